# The catalogue: what members browse and redeem, and what operators see of it.

portal-nav-rewards = Rewards

rewards-available = You have { $points }.
rewards-search = Search rewards
rewards-search-go = Search
rewards-categories = Categories
rewards-order = Order
rewards-all = All
rewards-affordable = What I can afford
rewards-sort-newest = Newest
rewards-sort-popularity = Popular
rewards-sort-points = Fewest points
rewards-sort-relevance = Best match
rewards-total = { $count ->
    [one] 1 reward
   *[other] { $count } rewards
}
rewards-corrected = Showing what fits “{ $words }”.
rewards-loose = Nothing fits all of it. This fits a part.
rewards-nothing = There is nothing like that.
rewards-show-all = Show everything
rewards-more = Show more
rewards-left = { $count ->
    [one] only 1 left
   *[other] only { $count } left
}
rewards-market = worth { $money }
rewards-sold-out = sold out

reward-kind-physical = Gift
reward-kind-virtual_code = Digital code
reward-kind-service = Service
reward-kind-coupon = Coupon
reward-kind-privilege = Privilege
reward-kind-experience = Experience
reward-kind-trial = Trial
reward-kind-top_up = Partner top-up
reward-kind-charity = Donation
reward-kind-bundle = Set

reward-market = In shops { $money }
reward-coupon-value = { $money } off
reward-coupon-minimum = For purchases of { $money } or more
reward-coupon-scope = For: { $scope }
reward-coupon-days = { $count ->
    [one] Good for 1 day
   *[other] Good for { $count } days
}
reward-days = { $count ->
    [one] For 1 day
   *[other] For { $count } days
}
reward-content = { $quantity } × { $name }
reward-redeem = Redeem for { $points }
reward-afterwards = Afterwards you have { $points }.
reward-how = The points are set aside at once. Show the code of the receipt to collect it.
reward-missing = You are { $points } short.
reward-gone = None of it is left.
reward-not-now = This could not be redeemed now. Look at your points, and try again.
reward-proposals = You could have this instead

orders-own = My orders
orders-none = You have redeemed nothing yet.
order-receipt = Receipt
order-qr = QR code of the order
order-qr-hint = Show this code when you collect it.
order-more = More rewards

nav-catalogue = Catalogue
catalogue-about = What is offered now, to whom, and what is left of it.
catalogue-search = Search by name, tag, category or description
catalogue-show-listed = Listed now
catalogue-show-coming = Coming
catalogue-show-over = Delisted
catalogue-show-all = All
catalogue-none = There is no such reward.
catalogue-no-rewards = There are no rewards yet.
catalogue-reward = Reward
catalogue-price = Points
catalogue-stock = Left
catalogue-ordered = Ordered
catalogue-listed = Listed
catalogue-for = For
catalogue-unlimited = unlimited
catalogue-left = { $free } of { $all }
catalogue-state-listed = listed
catalogue-state-coming = from { $from }
catalogue-state-over = until { $to }
catalogue-for-everyone = everyone
catalogue-for-zone = zone { $zone }
catalogue-for-tiers = tiers { $tiers }
catalogue-for-audience = an audience
catalogue-for-stores = { $count ->
    [one] 1 store
   *[other] { $count } stores
}
catalogue-for-channels = channels { $channels }
catalogue-more = More

zone-base = base
zone-upgraded = upgraded
zone-premium = premium

field-description-en = Description, English
field-description-zh = Description, Chinese
field-categories = Categories
field-categories-hint = Ids, with commas between them
field-tags = Tags
field-tags-hint = Words, with commas between them
field-market-price = Price in shops
field-zone = Zone
field-listed-from = Listed from
field-listed-to = Listed until
field-listed-hint = In local time, such as 2026-11-01T00:00; left empty: always
field-tiers = Only for the tiers
field-stores = Only in the stores
field-channels = Only through the channels
field-parent = Belongs to
field-parent-hint = Id of the category above; left empty: it stands at the top
reward-price-anew = The price was promised for ten minutes, which are over. This is what it costs now.
order-cancel = Cancel this order
order-cancel-until = You may cancel until { $time }; nothing is sent before.
order-cancel-too-late = This order cannot be cancelled any more. Ask us if something is wrong with it.
order-ahead-review = We look at this order before it goes on. Your points are set aside.
order-ahead-send = It is being made ready, and then sent to you.

# The review of the range.
range-title = Range review
range-about = { $listed } rewards are listed; { $ordered } units of them were ordered since { $from }.
range-window = Time
range-days = { $count ->
    [one] { $count } day
   *[other] { $count } days
}
range-share = Taken
range-of = Of
range-of-average = average { $average }
range-retire = To retire
range-retire-about = Listed for the whole time, and less than { $percent } % of what there was is taken; of what is unlimited, less than that of the average reward.
range-retire-none = Everything is taken often enough.
range-retire-early = There are no orders of this whole time yet: nothing is proposed.
range-restock = To restock
range-restock-about = Nine tenths or more are taken.
range-restock-none = Nothing is nearly gone.
range-categories = Worth more rewards
range-categories-about = Rewards of these categories are ordered twice as often as the average, or more.
range-categories-none = No category stands out.
range-category = ordered: { $ordered } · rewards: { $rewards }
range-searches = Searched for and not found
range-searches-about = Three times or more within 90 days. Who searched is not kept, nor what looks like a number or an address.
range-searches-none = Members find what they search for.
range-search = Search
range-count = Times
range-last = Last
