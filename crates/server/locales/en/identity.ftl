# Signing in, one's own account, and operators.

nav-operators = Operators
nav-account = Account

field-email = E-mail address
field-password = Password
field-current-password = Current password
field-new-password = New password
field-name = Name
field-reason = Reason
yes = yes
no = no
never-used = never

sign-in-title = Sign in
sign-in-go = Sign in
sign-in-passkey = Use a passkey
sign-in-passkey-trouble = The passkey was not accepted. Try again, or sign in with your password.
sign-in-with = Continue with { $name }
sign-in-anew = Begin anew
sign-in-wrong = That is not right. Check what you typed and try again.
sign-in-over = This took too long, or was done already. Begin anew.
sign-in-wait = Too many attempts. Try again in { $seconds } seconds.
sign-in-wait-minutes = Too many attempts. Try again in { $minutes } minutes.
sso-over = This took too long, or was done already. Begin anew.
sso-cancelled = The sign-in was cancelled there. Begin anew, or sign in with your password.
sso-unavailable = That way of signing in does not work at the moment. Try again later, or sign in with your password.
sso-no-access = You are known there, but have no access here. Ask an administrator.
sign-out = Sign out
link-why = This link signs you in once.

code-title = Second step
code-label = Code
code-hint = The six digits of your authenticator app, or one of your recovery codes.
code-go = Continue

authenticator-title = Set up your second step
authenticator-why = A password alone can be stolen. Scan the picture with an authenticator app; it then shows a new code every 30 seconds.
authenticator-picture = QR code for your authenticator app
authenticator-by-hand = Or type this secret into the app:
authenticator-label = The six digits that the app shows
authenticator-go = Continue

recovery-title = Your recovery codes
recovery-why = If you lose your phone, each of these lets you in once. Print them or keep them in a password manager; they are not shown again.
recovery-go = I have kept them

welcome-title = Welcome
welcome-setup = You are the first. This makes you the owner of the program.
welcome-invitation = You are invited. Choose a password of your own.
welcome-go = Continue

password-hint = At least 12 characters. A few words are easier to remember than a riddle.
password_too_short = The password needs { $least } characters or more.
password_too_long = The password has more than 128 characters.
password_common = Many people use this password, so it is tried first. Choose another.
password_pattern = The password follows a simple pattern. Choose another.
password_personal = The password holds your name, address or brand. Choose another.

account-title = Your account
account-prove = To change how and where you sign in, prove that it is you.
account-prove-go = Sign in again
account-password-go = Change the password
account-factors = Second step
account-authenticator-none = none
account-recovery-left = { $count ->
    [one] Recovery codes: one left
   *[other] Recovery codes: { $count } left
}
account-recovery-new = New codes
account-remove = Remove
account-last-used = Last used:
account-passkey-label = Name of the passkey
account-passkey-add = Add a passkey
account-passkey-trouble = The passkey was not registered. Try again.
account-sessions = Where you are signed in
method-password = password
method-totp = authenticator app
method-recovery = recovery code
method-passkey = passkey
method-sso = single sign-on
method-setup = set-up link
method-invitation = invitation
method-link = link
session-address = Address
session-began = Since
session-seen = Last seen
session-current = this one
session-end = End
session-end-others = End all others

operators-title = Operators
operators-none = There are no operators yet.
operators-invite = Invite an operator
operators-invite-go = Invite
operators-invited = The invitation is made. Pass on this link yourself; it works once, for seven days:
operators-invited-sent = The invitation is on its way to { $email }. You can also pass on this link yourself; it works once, for seven days:
operator-role = Role
operator-roles = Roles
operator-stores = Stores, separated by commas
operator-stores-all = all stores
operator-state = State
operator-since = Since
operator-authenticator = Authenticator app
operator-passkeys = Passkeys
operator-sessions = Signed in on
operator-invited = invited
operator-active = active
operator-suspended = suspended
operator-change = Change
operator-grants-remove = Roles to take away
operator-grants-add = Role to add
operator-grants-add-none = none
operator-grant-go = Change roles
operator-suspend-go = Suspend
operator-resume-go = Let in again
operator-reset-go = Reset the sign-in
operator-reset-sent = The sign-in is reset. The link to choose it anew was sent by e-mail.
grant-in-stores = { $role } in { $stores }

role-owner = Owner
role-administrator = Administrator
role-marketing = Marketing
role-catalogue = Catalogue
role-service = Service
role-finance = Finance
role-auditor = Auditor
role-developer = Developer

trouble-link = This link is not valid any more
trouble-link-message = It was used already, or is too old. Ask for a new one.
trouble-forbidden = You may not see this page
trouble-forbidden-message = Your roles do not include it. Ask an administrator.

problem-already_invited = This address belongs to an operator already.
problem-beyond_own_permissions = Nobody can give what they may not do themselves.
problem-owners_only = Only an owner may make, change or suspend an owner.
problem-not_oneself = Another operator must do this.
problem-last_owner = This is the last owner who can sign in. Make another one first.
problem-conflict = Somebody else has changed this in the meantime. Look at it again and repeat.

nav-approvals = Approvals
approvals-title = Approvals
approvals-waiting = Waiting for another operator
approvals-none = Nothing waits.
approvals-decided = Decided
approval-adjust = Adjust { $member } by { $points } points
approval-refund = Refund the order { $order } of { $points } points
approval-merge = Merge { $from } with { $points } points into { $into }
approval-publish = Publish a changed program
approval-value = Set the value of a point of { $currency } to { $value }
approval-reveal = Export { $members } members with their personal data
approval-policy = Change from where on two people are needed
approval-asked = Asked for by { $who }, { $when }
approval-look = Look at it
approval-note = A word to whoever asked
approval-approve = Approve
approval-reject = Reject
approval-again = Carry out again
approval-own = You asked for this, or are too close to whoever did, so another operator decides.
approval-no-right = Your roles do not include this act, so another operator decides.
approval-stage-waiting = waiting
approval-stage-approved = approved, under way
approval-stage-done = done
approval-stage-failed = approved, but failed
approval-stage-rejected = rejected
problem-too_many_looks = You have looked at the personal data of as many members today as the policy allows. Ask for an export, which another operator agrees to.
problem-four_eyes = You asked for this, or are too close to whoever did, so another operator decides.
problem-decided_already = This was decided already.

nav-audit = Audit log
audit-title = Audit log
audit-export = Export
audit-number = No.
audit-at = When
audit-actor = Who
audit-action = What
audit-subject = To what
audit-before = Before:
audit-after = After:
audit-details = Before and after
audit-none = Nothing like that was done.
audit-older = Older ones
reveal-why = Why do you need to see the personal data?
reveal-go = Show in full
export-title = Everything about your membership
export-data = The same data for programs: data.json in this archive.
consents-title = Your consents

roles-title = Roles
roles-about = A role is a set of permissions. Operators are given roles, each for all stores or for some.
roles-own = Roles of your own
roles-none = There are none yet. The built-in roles below may be enough.
roles-shipped = Built-in roles
role-shipped = built in, cannot be changed
role-make = Make a role
role-make-go = Make the role
role-name = Name
role-name-hint = Lower-case letters, digits and hyphens. It cannot be changed later.
problem-role_name_taken = There is a role of this name already. Choose another name.
role-description = What it is for
role-may = What it may do
role-give-note = You see what you may do yourself: nobody gives what they lack.
role-change-note = A change counts at once for everyone who has the role.
role-beyond = You cannot change this role: it needs someone who may do all of this.
role-delete = Delete the role
role-delete-about = Nobody has this role. Once it is deleted it cannot be given any more.
role-delete-held = Operators have this role. Give them another one first.
role-holders = { $count ->
    [0] nobody has it
    [one] one operator has it
   *[other] { $count } operators have it
}
role-permissions-count = { $count ->
    [one] one permission
   *[other] { $count } permissions
}
role-owner-about = Everything, and the only one who makes owners.
role-administrator-about = Everything but making owners.
role-marketing-about = Rules, campaigns and what they bring.
role-catalogue-about = Rewards, and what they cost.
role-service-about = Members at the counter and on the phone.
role-finance-about = Balances, refunds and what they cost.
role-auditor-about = Sees everything, changes nothing.
role-developer-about = Keys, partners and metrics.
problem-role_in_use = Operators have this role. Give them another one first.
device-unknown = Unknown device
