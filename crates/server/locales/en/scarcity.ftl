# Stock and scarcity: what operators see of stock, and the waiting room of members.

kind-restock = Restocked
nav-stock = Stock
stock-about = Limited rewards, with what is there, promised and on its way.
stock-show = Which stock
stock-show-all = All
stock-show-low = Low or out
stock-none = No reward is limited.
stock-none-low = Nothing is low: of every reward more than a tenth is left.
stock-pool = Pool
stock-whole = whole
stock-free = Free
stock-reserved = Reserved
stock-on-hand = On hand
stock-restocked = Restocked
stock-next = Next restock
stock-next-words = { $quantity } on { $at }
stock-low = low
stock-out = out
stock-restock = Restock
stock-restock-about = Units that are promised to orders cannot be taken out.
stock-direction = What
stock-add = Add units
stock-take = Take out missing units
stock-quantity = Units
stock-quantity-wrong = Give a whole number of units, 1 or more.
stock-restock-go = Change the stock
stock-restocks = Restocks
stock-no-restocks = It was not restocked yet.
stock-when = When
stock-by = By
stock-by-itself = by itself
stock-planned-for = planned for { $at }

waiting-title = Waiting room
waiting-about = Many come at once. Everybody gets a place in the order in which they come, and is let in when it is their turn.
waiting-from = Places are given from { $at } on.
waiting-opens = The sale begins at { $at }.
waiting-open = The sale has begun.
waiting-join = Take a place
waiting-work = Your device does a little work for a place, which takes a second or two. Bots that want many places would have to work for long.
waiting-working = Working …
waiting-needs-script = Taking a place needs JavaScript.
waiting-again = That took too long, or did not work. Please try once more.
waiting-place = Your place
waiting-ahead = { $count ->
    [0] You are next.
    [one] One person is before you.
   *[other] { $shown } people are before you.
}
waiting-wait = { $minutes ->
    [0] About { $seconds } seconds to go
   *[other] About { $minutes } min { $seconds } s to go
}
waiting-stay = This page keeps itself up to date. You keep your place if you leave and come back.
waiting-turn = It is your turn
waiting-until = You can redeem until { $at }.
waiting-go = Go on to the reward
waiting-over = Your turn was over at { $at }. You can take a new place.
reward-waiting = There is a waiting room for this reward.
reward-waiting-go = Go to the waiting room
problem-stock_reserved = So many units cannot be taken out: some of those that are there are promised to orders.
problem-stock_unlimited = The stock of this reward is not limited; there is nothing to add to.
