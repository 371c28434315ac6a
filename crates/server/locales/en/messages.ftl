# What members and operators are sent, in English. A text for a phone is one sentence or two.

message-automatic = This message was sent automatically by { $program }. It needs no answer.

message-code-subject = { $code } is your code for { $program }
message-code-title = Your code
message-code-sign-in = Enter this code to sign in to { $program }.
message-code-join = Enter this code to join { $program }.
message-code-change-address = Enter this code to use this address with { $program } from now on.
message-code-recovery = Enter this code to get back into your account with { $program }.
message-code-limits = It is good for { $minutes } minutes and for one use. Nobody from { $program } will ever ask you for it.
message-code-other = Was it not you? Then ignore this message: without the code nobody gets in.
message-code-phone = { $code } is your code for { $program }, good for { $minutes } minutes. Tell it to nobody.

message-invitation-subject = You are invited to work with { $program }
message-invitation-title = Your invitation
message-invitation-text = { $inviter } invites you to the console of { $program } as { $role }.
message-invitation-link = Accept the invitation
message-invitation-until = The invitation is good until { $until } and for one use.
message-invitation-phone = { $inviter } invites you to the console of { $program }: { $link }

message-reset-subject = Choose anew how you sign in to { $program }
message-reset-title = Your sign-in was reset
message-reset-text = Somebody who looks after the console of { $program } has reset how you sign in. Choose a new password and a new second step.
message-reset-link = Choose anew
message-reset-until = The link is good until { $until } and for one use.
message-reset-other = Did you not ask for this? Then ask who did, before you go on.
message-reset-phone = Your sign-in to { $program } was reset. Choose anew: { $link }

message-alert-subject = New sign-in to { $program }
message-alert-title = A new device signed in
message-alert-text = Your account with { $program } was used from a device that was not seen before.
message-alert-when = { $time }, { $device }, from { $address }
message-alert-other = Was it not you? Sign out that device and choose a new password, or ask for help, at once.
message-alert-link = Look at your devices
message-alert-phone = New sign-in to { $program } at { $time } from { $device }. Not you? Sign out that device: { $link }

message-address-subject = { $field ->
    [email] The e-mail address of your account with { $program } was changed
   *[other] The phone number of your account with { $program } was changed
}
message-address-title = Your account has another address
message-address-text = { $field ->
    [email] At { $time } another e-mail address was entered for your account with { $program }.
   *[other] At { $time } another phone number was entered for your account with { $program }.
}
message-address-other = Was it not you? Sign in while you still can and change it back, or ask for help at once.
message-address-link = Look at your account
message-address-phone = { $field ->
    [email] The e-mail address of your account with { $program } was changed at { $time }. Not you? { $link }
   *[other] The phone number of your account with { $program } was changed at { $time }. Not you? { $link }
}

message-erasure-subject = Your account with { $program } will be erased
message-erasure-title = Your account will be erased
message-erasure-text = Everything personal in your account with { $program } will be erased for ever at { $at }. Your points end with it.
message-erasure-other = Do you want to keep your account? Until then you can call it off.
message-erasure-link = Keep my account
message-erasure-phone = Your account with { $program } will be erased at { $at }. To keep it: { $link }

mailbox-title = Developer mailbox
mailbox-banner = This is the demo. No message leaves this machine: what would have been sent by e-mail or text message is shown here, to whoever opens this page.
mailbox-empty = Nothing was sent yet.
mailbox-email = E-mail
mailbox-phone = Text message
mailbox-to = to { $address }
mailbox-html = As a mail program shows it
mailbox-limit = The last { $count } messages are kept, in memory only.
mailbox-previews = Previews
mailbox-previews-note = Every message with sample values, in this language.
