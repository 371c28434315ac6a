# Disputes of orders.

nav-disputes = Disputes
disputes-about = What members say is wrong with what came. They are to be answered within 48 hours; those that are due first stand on top.
disputes-open = Open
disputes-closed = Closed
disputes-none = There are no disputes here.
dispute-title = Dispute
dispute-kind-not-received = It never came
dispute-kind-damaged = It came broken
dispute-kind-wrong = Something else came
dispute-kind-other = Something else
dispute-opened = opened { $when }
dispute-due = answer by { $when }
dispute-overdue = Overdue:
dispute-answered = answered; it waits for the member
dispute-was-refunded = refunded { $when }
dispute-was-declined = declined { $when }
dispute-the-member = The member
dispute-words = What the member reads
dispute-words-needed = Write what the member is to read.
dispute-answer = Answer
dispute-decline = Decline
dispute-hidden = What was said is for those who may review orders.
dispute-without-words = Nothing is known of what the member said: it was cut off, or erased since. You can decline it here, or refund the order.
dispute-until = Is something wrong with it? You can tell us until { $when }.
dispute-cut-off = You began to tell us that something is wrong with it, and were cut off. Please tell us again.
dispute-own-due = We answer by { $when }.
dispute-own-answered = We have answered you.
dispute-own-refunded = Your points were given back. { $why }
dispute-own-declined = We have looked at it, and could not give your points back: { $why }
dispute-you = You
dispute-us = We
dispute-kind = What is wrong?
dispute-choose = Choose
dispute-text = Tell us more
dispute-say = Send
dispute-open = Tell us
dispute-too-late = It is too late to dispute this order.
dispute-too-many = There are as many messages as there can be. We decide soon.
dispute-form = Choose what is wrong, and tell us more in 1,000 characters at most.
dispute-not-now = This is not possible any more.
order-do-dispute = Dispute
order-do-decline = Decline the dispute
title-order-disputed = Disputed: { $quantity } × { $reward } for { $points }
title-order-declined = Dispute declined: { $quantity } × { $reward } for { $points }
problem-dispute_closed = This dispute is closed, or it is too late for one.
problem-too_many_messages = There are as many messages as there can be. Decide the dispute.
receipt-print = Print
message-dispute-subject = { $news ->
    [answered] { $program } has answered you
    [refunded] { $program } has given your points back
   *[declined] { $program } has looked at your order
}
message-dispute-title = Your order
message-dispute-text = { $news ->
    [answered] { $program } has answered what you wrote about your order.
    [refunded] { $program } has given back the points of the order that you disputed.
   *[declined] { $program } has looked at the order that you disputed, and does not give its points back. The reason stands with it.
}
message-dispute-link = Look at the order
message-dispute-phone = { $news ->
    [answered] { $program } has answered you about your order: { $link }
    [refunded] { $program } has given back the points of your order: { $link }
   *[declined] { $program } has decided about your order: { $link }
}
