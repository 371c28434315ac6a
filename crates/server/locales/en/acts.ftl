# What is done to accounts and orders by hand.

acts-title = Change this account
act-adjust = Adjust the balance
act-adjust-about = The member sees the change and the reason in their history. A large one waits for another operator.
act-adjust-go = Adjust
act-direction = What to do
act-add = Add
act-take = Take away
act-currency = Wallet
act-points-wrong = Give the points as a number above zero, such as 250.
act-merge = Merge into another account
act-merge-go = Merge the accounts
act-close = Close the account
act-close-about = The points that are left are forfeited, and the member can neither earn nor redeem any more. Open orders must be captured or cancelled first.
act-close-go = Close for ever
act-no-way-back = There is no way back.
act-erase = Erase the member
act-erase-about = Everything personal is destroyed in { $days } days. Until then the request can be taken back. The ledger stays whole and names nobody.
act-erase-points = The points that are left then are forfeited.
act-erase-go = Ask for erasure
prove-first = This is grave: prove first that it is you.

merge-about = For two accounts of one person. This account ends; its points, their expiry, its numbers and its history go to the other one.
merge-find = Which account goes on?
merge-ends = This one ends
merge-goes-on = This one goes on
merge-what = Merge these two?
merge-what-about = The points keep the days on which they expire. Both numbers lead to the account that goes on.
merge-sure = I have compared both: they belong to one person.
merge-not-sure = Compare both accounts, and say that they belong to one person.
merge-with-itself = This is the same account. Find the other one.
merge-not-active = That account is closed or erased, so nothing can be merged into it.

order-points = Points
order-made = Ordered
order-changed = Last changed
nav-orders = Orders
orders-title = Orders
orders-about = What waits to be reviewed, fulfilled or finished, the oldest first.
order-queue-none = Nothing waits here.
order-queue-none-marked = Mark at least one order.
orders-moved = { $count ->
    [one] One order is now: { $state }.
   *[other] { $count } orders are now: { $state }.
}
order-claimed-by = taken on by { $who }
order-claimed = Reviewed by
order-cooling = May be called off until
order-expires = Expires
order-completes = Counts as completed
order-shipment = Shipment
order-history = History
order-moves = How it goes on
order-carrier = Carrier
order-tracking = Tracking number
order-reason = Reason
order-placed = set aside
order-in_review = in review
order-approved = approved
order-fulfilling = being fulfilled
order-shipped = shipped
order-issued = issued
order-completed = completed
order-rejected = rejected
order-cancelled = cancelled
order-expired = expired
order-refunded = refunded
order-do-claim = Take on
order-do-review = Review first
order-do-approve = Approve
order-do-reject = Reject
order-do-fulfil = Begin to fulfil
order-do-ship = Ship
order-do-issue = Hand over
order-do-complete = Complete
order-do-cancel = Cancel
order-do-refund = Refund
order-do-expire = Expire
order-refund = Refund the order
order-refund-about = The points go back to the lots from which they came, good for a week at the least, and the units to the stock. A large refund waits for another operator.
order-refund-go = Refund
history-order = order

waits-for-another = Waits for another operator:
waits-look = Look at the queue

problem-insufficient_points = The account does not have so many points.
problem-reward_not_offered = This reward is not offered to the member, or not there, or not now.
problem-choice_needed = The order lacks something: which variant, when, where to, or which account.
problem-slot_not_offered = This time is not offered, or not any more.
problem-no_delivery = Nothing is known of where this order goes.
problem-no_appointments = This reward is had without an appointment.
problem-limit_reached = The member has ordered as many of this reward as one may; orders that are given back count no more.
problem-wallet_limit = The wallet would hold more points than is allowed.
problem-invalid_amount = That is no possible number of points.
problem-member_closed = This account is closed.
problem-member_merged = This account was merged into another one.
problem-member_erased = The personal data of this member were erased.
problem-open_orders = There are open orders. Capture or cancel them first.
problem-illegal_order_move = The order has moved on and cannot do this any more. Look at it again.
problem-order_expired = The time of this order has run out; its points are given back.
problem-cooling_off = The member may still call this order off, so that it is not fulfilled yet.
problem-in_review = Somebody else reviews this order. Take it on first.
problem-too_risky = The risk of this order is too high.
problem-idempotency_mismatch = This form was sent before with something else in it. Open it anew.
problem-rejected = Another operator has rejected this.
problem-too_many_waiting = Too much waits for another operator already. Decide some of it first.
problem-out_of_stock = There is none left of this, or not at this time.
problem-unknown_currency = There is no such currency.
problem-not_approved = This was not approved, or was done already.
problem-operators_only = A person must decide this: sign in as an operator.
problem-waiting = Another operator must agree first.

member-sessions-title = Devices
member-sessions = { $count ->
    [one] The member is signed in on one device.
   *[other] The member is signed in on { $count } devices.
}
member-sessions-end = Sign out everywhere
