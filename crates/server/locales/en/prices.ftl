# Prices as operators see them: what rewards cost now, how that is made, and what changes it ahead.

nav-prices = Prices
prices-about = What every reward costs now, how that comes about, and what will change it.
prices-search = Search by name, tag, category or description
prices-kind = Kind of price
prices-kind-all = All prices
prices-kind-points = A number of points
prices-kind-cost = By cost and margin
prices-kind-tiers = With tier prices
prices-kind-seasons = With seasons
prices-kind-offers = With offers
prices-kind-running = On offer now
prices-kind-demand = Dearer on demand
prices-kind-cold = Cheaper when nobody orders it
prices-kind-curve = With a curve
prices-kind-cash = Partly in money
prices-kind-group = With a group price
prices-kind-ahead = Change ahead
prices-show = Show
prices-none = No reward has such a price.
prices-no-rewards = There are no rewards yet.
prices-count = { $count ->
    [one] 1 reward
   *[other] { $count } rewards
}

prices-now = Costs now
prices-worth = worth { $money }
prices-made = How it is made
prices-tiers = Tiers
prices-tiers-same = the same for all
prices-money = Cost and market
prices-hour = Last hour
prices-ahead = Ahead
prices-cost = Cost { $money }
prices-margin = Margin { $percent } %
prices-below-cost = below cost
prices-market = In shops { $money }
prices-offer-runs = On offer until { $time }
prices-orders = { $count ->
    [one] 1 order
   *[other] { $count } orders
}
prices-orders-at-least = at least { $count } orders
prices-views = { $count ->
    [one] 1 view
   *[other] { $count } views
}
prices-premium = +{ $percent } %, at most { $ceiling }
prices-premium-none = no premium; at most { $ceiling }
prices-next = From { $time }: { $points }
prices-next-gone = Until { $time }, then withdrawn
prices-next-tiers = From { $time }: other tier prices
prices-next-more = { $count ->
    [one] and 1 change more
   *[other] and { $count } changes more
}
prices-last-order = last ordered { $time }
prices-never-ordered = never ordered

prices-step-points = Points
prices-step-cost = Cost and margin
prices-step-tier = Tier
prices-step-season = Season
prices-step-offer = Offer
prices-step-demand = Demand
prices-step-cold = Nobody orders it
prices-step-group = Group
prices-step-quantity = Quantity
prices-step-curve = Curve
prices-step-cash = Money
prices-of-cost = { $cost } + { $margin } %
prices-of-cost-value = { $cost } + { $margin } %, { $value } { $currency } a point
prices-of-cost-hidden = by the value of a point
prices-of-tier-percent = { $tier }: { $percent } %
prices-of-tier-points = { $tier }: { $points }
prices-of-percent = { $percent } %
prices-of-premium = +{ $percent } %
prices-of-demand = +{ $percent } %, at most { $ceiling } % of the tier's price
prices-of-cold = { $days ->
    [one] 1 day: { $percent } %
   *[other] { $days } days: { $percent } %
}
prices-of-quantity = × { $quantity }
prices-of-curve = the first { $points } at { $percent } %

prices-title-rule = The rule
prices-rule-note = In this order. After each step the price is rounded up to whole points.
prices-rule-points = A unit costs { $points }.
prices-rule-cost = A unit costs as many points as { $cost } and { $margin } % on top are worth at that moment.
prices-rule-cost-program = A unit costs as many points as { $cost } and the program's { $margin } % on top are worth at that moment.
prices-rule-cost-hidden = A unit costs as many points as its cost and a margin are worth at that moment.
prices-rule-tier-percent = { $tier } and the tiers above pay { $percent } % of that.
prices-rule-tier-points = { $tier } and the tiers above pay { $points } instead.
prices-rule-season = Season, { $when }: { $percent } %.
prices-rule-offer = Offer, { $when }: { $percent } %.
prices-rule-demand = Demand: { $percent } % more in an hour with { $what }.
prices-rule-demand-orders = { $count ->
    [one] 1 order
   *[other] { $count } orders
} or more
prices-rule-demand-views = { $count ->
    [one] 1 view
   *[other] { $count } views
} or more
prices-rule-or = {" or "}
prices-rule-ceiling = Demand lifts no price above { $percent } % of what the tier pays.
prices-rule-cold = From day { $days } after the last order: { $percent } %.
prices-rule-group = { $count } friends who order within { $hours ->
    [one] 1 hour
   *[other] { $hours } hours
} pay { $percent } %.
prices-rule-curve = Of the first { $points } of an order each point is worth { $percent } % of a later one.
prices-rule-cash = { $from } to { $to } % may be paid in money.
prices-rule-cash-value = { $from } to { $to } % may be paid in money, at { $value } { $currency } a point.
prices-rule-cash-least = { $points } are paid in points in any case.
prices-month = { $month ->
    [1] January
    [2] February
    [3] March
    [4] April
    [5] May
    [6] June
    [7] July
    [8] August
    [9] September
    [10] October
    [11] November
   *[12] December
}
prices-list-comma = {", "}
prices-from = from { $from }
prices-until = until { $to }
prices-between = { $from } to { $to }
prices-holds = now
prices-over = over

prices-ask = What would it cost?
prices-ask-tier = Tier
prices-anyone = Everyone
prices-ask-at = When
prices-ask-at-hint = In local time; left empty: now
prices-ask-quantity = Quantity
prices-ask-channel = Channel
prices-ask-store = Store
prices-ask-orders = Orders in the hour before
prices-ask-views = Views in the hour before
prices-ask-demand-hint = Only for a time to come; left empty: none
prices-ask-go = Work it out
prices-at-wrong = Give the time as 2026-11-11T10:00, between the years 2000 and 2200.
prices-quantity-wrong = Give a whole number of units, 1 to { $most }.
prices-figure-wrong = Give orders and views as whole numbers.
prices-too-much = That costs more points than any order may.
prices-not-there = There is no such reward at { $time }.
prices-answer = { $tier }, { $time }
prices-answer-worth = worth { $money }
prices-answer-step = Step
prices-answer-what = What
prices-answer-before = Before
prices-answer-after = After
prices-answer-group = In a group of { $count }: { $points } each
prices-answer-cash = In money: { $least } for { $least-points } at the least, { $most } for { $most-points } at the most
prices-demand-measured = With the demand of the last hour: { $orders }, { $views }.
prices-demand-assumed = Assumes { $orders } and { $views } in the hour before, and that nobody orders it until then.
prices-demand-past = What the demand was then is not kept: without demand, and without what it costs less when nobody orders it.
prices-hidden-not-yet = Not offered then: it is listed from { $time }.
prices-hidden-over = Not offered then: it was delisted at { $time }.
prices-hidden-zone = Not offered to this tier: it does not open the zone { $zone }.
prices-hidden-tier = Not offered to this tier: it is for other tiers.
prices-hidden-audience = Only for a part of the members, whom the catalogue tells by their history.
prices-hidden-store = Not offered in this store.
prices-hidden-channel = Not offered through this channel.

prices-chart-title = The coming twelve months
prices-chart-note = By what is published today, without demand.
prices-chart-label = Chart of the price by tier over the coming twelve months; the same figures are in the table below it
prices-chart-none = Nothing that is published changes the price in the coming twelve months.
prices-turn-from = From
prices-turn-why = Why
prices-turn-version = another version
prices-turn-withdrawn = withdrawn
prices-turn-program = margin, value of a point or tiers
prices-turn-season-begins = season begins, { $percent } %
prices-turn-season-ends = season of { $percent } % ends
prices-turn-offer-begins = offer begins, { $percent } %
prices-turn-offer-ends = offer of { $percent } % ends
prices-turn-gone = not there
prices-drafts = Drafts of this reward
prices-draft = Draft a change
prices-document = The document
prices-figure-cost = Cost of a unit
prices-figure-margin = Margin now
prices-figure-margin-note = at { $value } { $currency } a point
prices-figure-market = In shops
prices-figure-market-note = { $percent } % of it is what the points are worth
prices-figure-hour = Last hour
