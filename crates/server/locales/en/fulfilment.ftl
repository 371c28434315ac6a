# How what was ordered is handed out: codes, coupons, suppliers, tracking.
order-do-fail = Cannot be fulfilled
order-reason-codes_ran_out = There are no codes left.
order-reason-supplier_refused = The partner cannot deliver it.
order-reason-supplier_failed = The partner could not be reached.
order-given-back = This order could not be fulfilled. Your points are back, and good for at least 7 days.
order-coming = Your code is on its way …
order-codes = Your code
order-codes-many = Your codes
order-code-copy = Copy
order-code-copied = Copied
order-code-qr = QR code of { $code }
order-code-value = Worth { $money }
order-code-minimum = from { $money } on
order-code-until = good until { $time }
message-given-back-subject = Your points are back: { $reward }
message-given-back-title = Your points are back
message-given-back-text = Your order “{ $reward }” could not be fulfilled. { $program } has given you { $points } points back.
message-given-back-reason = Why: { $reason }
message-given-back-other = They are good for at least 7 days.
message-given-back-phone = { $program }: “{ $reward }” could not be fulfilled. { $points } points are back, good for at least 7 days.
permission-codes-write = Put codes into the vault
permission-codes-read = See the codes of orders
permission-suppliers-read = See suppliers and differences
permission-suppliers-write = Keep suppliers
nav-codes = Codes
codes-about = The vault: codes that orders are given, each once. They lie encrypted, and nobody sees those that are free.
codes-none = No reward takes codes. Say fulfilment = { "{" } by = "vault" { "}" } in a reward.
codes-reward = Reward
codes-free = Free
codes-claimed = Set aside
codes-issued = Handed out
codes-upload = Add codes
codes-upload-to = Add codes to { $reward }
codes-list = Codes, one per line
codes-hint = Up to 5,000 at once, 4 to 200 characters each. Either all are taken or, if one is there already, none.
codes-added = { $count ->
    [one] One code was added.
   *[other] { $count } codes were added.
}
codes-low = few left
codes-show = Show the codes
codes-show-about = That you have seen them is put down in the audit log.
codes-shown = Codes of this order
codes-shown-none = There are none: nothing was handed out, or the member was erased.
