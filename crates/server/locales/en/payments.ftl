# Money for rewards, and groups of friends: what members and operators read.

tender-cash_on_delivery = Cash on delivery
tender-test = Test payment (no money moves)
payment-state-due = to be paid
payment-state-authorised = set aside
payment-state-paid = paid
payment-state-returned = given back
payment-state-void = nothing to pay
payment-state-declined = declined

split-title = How would you like to pay?
split-points = { $points }, no money
split-part = { $points } and { $money }
split-tender = How is the money paid?
split-redeem = Redeem as chosen
split-points-left = You have { $points }.
split-declined = The payment was declined. The order was called off, and your points are back.
split-not-now = It cannot be paid like this any more. Choose anew.

reach-by = If you go on as in the last 90 days, you have enough by { $date }.

order-money = Money
order-money-line = { $money }, { $tender }: { $state }
order-money-due-hand = Please have { $money } ready when it is handed over.
order-money-due-wait = The payment of { $money } is not confirmed yet. We go on as soon as it is.
order-money-declined = The payment of { $money } was declined, so that the order was called off. Your points are back.
order-money-void = Nothing is to be paid any more.
order-money-returned = { $money } was given back to you.
order-money-return-due = { $money } will be given back to you.
order-money-collect-title = Money on this order
order-money-collect-about = { $money } is due. Say so once you have taken it; the order is not completed before.
order-money-return-about = { $money } was paid and the order was refunded. Say so once the member has it back.
order-money-reference = Number of the receipt
order-money-collect = Money taken
order-money-return = Money given back
order-reason-group_not_full = The group was not full in time.
order-reason-left_group = The member left the group.
order-reason-payment_not_confirmed = The payment was not confirmed in time.
order-reason-declined = The payment was declined.
order-group = Group
order-group-open = open until { $time }
order-group-full = full
order-group-waits = Your group is not full yet. Your points are set aside until { $time }; if friends are missing then, they come back.
order-group-see = See the group

group-title = Together for { $reward }
group-offer-title = Together it is cheaper
group-offer = With { $members } members in all within { $hours ->
    [one] one hour
   *[other] { $hours } hours
}, each pays { $points }.
group-open = Open a group for { $points }
group-price = { $points } each
group-joined = { $joined } of { $size } have joined
group-until = Open until { $time }
group-in = You are in. Send this link to friends:
group-link = Link to the group
group-in-about = Your points are set aside. When the group is full in time, all orders go on; if not, everybody gets their points back.
group-join = Join for { $points }
group-join-about = Your points are set aside at once. When the group is not full in time, they come back.
group-leave = Leave the group
group-full = The group is full. All orders go on.
group-no-room = The group is full. You can open one of your own.
group-not-full = The group was not full in time. All points were given back.
group-short = You are { $points } short.
group-refused = That did not work: the group is full or over, or the reward cannot be ordered now. Look again.
group-slot = This time is taken by now, or begins before the group is over. Choose another one.
group-no-slot = No time is free in the two weeks after the group is over.
group-choice-gone = What you chose is gone by now. Choose anew.
group-each-chooses = Each friend chooses for themselves.
group-slots-after = Appointments begin once the group is over.
group-open-chosen = Open a group
group-join-chosen = Join as chosen
group-money-about = Then no money is taken either.
group-unpaid = Your payment is not confirmed yet. You are in as soon as it is.
group-own-order = See my order
group-to-reward = See the reward

problem-split_not_offered = The price cannot be split like this.
problem-tender_not_offered = Money is not taken in this way.
problem-payment_due = Money is due on this order. It must be paid first.
problem-illegal_payment_move = The payment has moved on and cannot do this any more. Look at it again.
problem-group_open = The group of this order is not full yet.
problem-group_over = The group is full or over.
