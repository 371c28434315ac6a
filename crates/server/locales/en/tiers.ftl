# Tiers in English.

tier-title = Tier
tier-heading = Tier: { $tier }
tier-none = no tier
tier-since = Since
tier-good-through = Good through
tier-keeps = Kept by
tier-or = {" "}or{" "}
tier-and = {" "}and{" "}
tier-grace = This tier is kept through { $date }. Who qualifies again until then keeps it.
tier-highest = There is no higher tier.
tier-next = { $what } to { $tier } ({ $window })
tier-next-soon = { $tier } is reached with the next purchase
tier-of = { $value } of { $needed }
tier-by = { $what } ({ $window })
tier-orders = { $count ->
    [one] { $number } purchase
   *[other] { $number } purchases
}
tier-days = { $count ->
    [one] { $number } day since the latest purchase
   *[other] { $number } days since the latest purchase
}
tier-window-months = { $count ->
    [one] this month
   *[other] in { $number } months
}
tier-window-days = { $count ->
    [one] today
   *[other] in { $number } days
}
tier-window-month = in the month
tier-window-quarter = in the quarter
tier-window-year = in the year
tier-window-lifetime = in all
tier-factor = { $currency } × { $factor } on purchases
tier-early = { $count ->
    [one] New rewards { $number } hour earlier
   *[other] New rewards { $number } hours earlier
}
tier-zones = Zones: { $zones }
tier-service = Service: { $service }
wallet-growth = tier value, it cannot be spent
rule-of-tier = Tier { $tier }
title-tier-review = Tier reviewed
title-adjust-growth = Tier value adjusted by { $points }
tier-granted-until = Granted until
why-tier-reached = Tier { $to } reached, before: { $from }
why-tier-merged = Tier { $to } came with the account that was merged, before: { $from }
why-tier-granted = Tier { $to } for a time, granted by a rule
why-tier-ended = The time of tier { $from } is over, since then: { $to }
why-tier-lost = Tier { $to } since, before: { $from }
why-tier-renewed = Tier { $to } confirmed
why-tier-grace = Tier { $to } is kept for a while, though it is not reached any more
why-tier-by = {": "}{ $what }
