# The member portal: what members read.

channel-portal = Portal

portal-navigation = Your account
portal-nav-points = Points
portal-nav-card = Card
portal-nav-privacy = Privacy

portal-sign-in-title = Sign in or join
portal-address = E-mail address or phone number
portal-sign-in-hint = We send you a code. If you are new, you can join with it.
portal-sign-in-go = Send the code
portal-address-wrong = This is neither an e-mail address such as ann@example.org nor a phone number such as +44 20 7946 0000.
portal-no-email = Codes cannot be sent by e-mail here. Use your phone number.
portal-no-phone = Codes cannot be sent to phones here. Use your e-mail address.

portal-sso-over = This took too long, or was done already. Begin anew.
portal-sso-cancelled = The sign-in was cancelled there. Begin anew, or have a code sent.
portal-sso-unavailable = That way of signing in does not work at the moment. Try again later, or have a code sent.
portal-sso-no-access = That account does not lead to a membership here. Sign in or join with a code.

portal-code-title = Your code
portal-code-label = The six digits that we sent to { $address }
portal-code-hint = The code is good for ten minutes. Never pass it on to anyone: nobody from us asks for it.
portal-code-go = Continue
portal-code-resend = Send another code
portal-code-other = Use another address
portal-code-form = A code has six digits.
portal-code-wrong = { $left ->
    [one] This is not the code that we sent last. You can try once more.
   *[other] This is not the code that we sent last. You can try { $left } more times.
}
portal-code-gone = This code does not count any more. Ask for a new one.
portal-code-wait = A code was sent a moment ago. You can ask for another one in { $seconds } seconds.
portal-code-wait-minutes = Too many codes were asked for. Try again in { $minutes } minutes.
portal-no-more-texts = No more text messages can be sent at the moment. Use your e-mail address, or try again in { $minutes } minutes.

portal-join-title = Join
portal-join-why = { $address } is proved. Tell us who you are, and you are a member.
portal-join-by = { $provider } has told us that it is you. Tell us the rest, and you are a member.
portal-join-birth-date = Date of birth (optional)
portal-join-consents = Every box is optional. You can change your mind at any time under “Privacy”.
portal-join-go = Join
portal-join-no-name = Give your name, in at most 500 characters.
portal-join-birth-date-wrong = Give the date of birth as year, month and day, such as 1990-05-17, or leave it out.
portal-join-text-changed = A text has changed in the meantime. Please read it again.

portal-nav-profile = Profile
portal-profile-about = About you
portal-profile-prove = To change anything here, prove that it is you.
portal-profile-language = Language
portal-language-english = English
portal-language-chinese = 中文
portal-language-none = not chosen
portal-profile-save = Save
portal-profile-saved = Saved.
portal-profile-changed = Your profile was changed elsewhere in the meantime. Please look at it again.
portal-profile-addresses = How you sign in
portal-profile-no-address = none
portal-profile-new-address = New e-mail address or phone number
portal-profile-new-address-hint = We send a code to it. Once you have typed that in, it takes the place of the old one, and your other devices are signed out. Your old address is told.
portal-profile-address-taken = This address belongs to another account. Ask in the shop to have the two accounts merged.

portal-link-since = Since { $date }
portal-link-remove = Remove
portal-link-only = This is your only way to sign in. Give an e-mail address or phone number first.

portal-no-points = You have no points yet.

portal-card-qr = QR code of your membership card
portal-card-bars = Bar code of your membership card
portal-card-hint = Show this at the till. The code changes every 30 seconds, so a photo of it is of no use to anyone.

portal-consents-title = What your data may be used for
portal-consents-none = Nothing beyond your membership itself.
portal-consent-none = You have not agreed.
portal-consent-given = You agreed on { $date } (text { $version }).
portal-consent-outdated = You agreed to text { $version } on { $date }. This text is new and does not count as agreed.
portal-consent-withdrawn = You withdrew on { $date } (text { $version }).
portal-consent-give = Agree
portal-consent-withdraw = Withdraw

portal-data-title = Your data
portal-export-why = Everything that we know of you, as a file to read and to take elsewhere.
portal-export-go = Download my data
portal-prove = To download or erase your data, prove that it is you.
portal-prove-go = Send me a code

portal-erasure-title = Erase my data
portal-erasure-what = Your name, addresses, date of birth and consents will be destroyed. Nobody can bring them back, and you cannot use your points any more. What is left of your purchases names nobody.
portal-erasure-days = It is done in { $days } days. Until then everything stays as it is, and you can take it back on the page “Privacy”.
portal-erasure-go = Erase my data
portal-erasure-keep = Keep them
portal-erasure-due = Your data will be erased on { $date }. Until then you can take it back.
portal-erasure-withdraw = Keep my data

portal-devices-title = Where you are signed in
portal-device-seen = Last seen { $date }
portal-device-current = this one
portal-device-end = End
portal-devices-end-all = Sign out everywhere

portal-trouble-page = There is no such page
portal-trouble-page-message = The address may be old or mistyped.
portal-trouble-closed = This account is closed
portal-trouble-closed-message = It cannot be used any more. Ask in the shop if you think that this is wrong.
portal-trouble-store = That does not work just now
portal-trouble-store-message = Nothing is lost. Please try again in a few seconds.
portal-trouble-home = To my points
portal-extend = Good for { $count } days longer, for { $points }
portal-extend-too-few = You have too few points for that.
portal-extend-not-now = These points cannot be extended now.
