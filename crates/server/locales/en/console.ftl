# The console in English. Numbers, money and dates arrive as they are to be shown.

brand = Guerdon
skip-to-content = Skip to the content
navigation = Console
nav-overview = Overview
nav-members = Members
nav-proofs = Proofs of the ledger
nav-api = API
nav-settings = Settings
languages = Language
language-english = EN
language-chinese = 中文
colophon = Times are in { $zone }.

none = —
never = never
points = { $count ->
    [one] { $points } point
   *[other] { $points } points
}
points-of-currency = { $points } { $currency }
month = { $month ->
    [1] Jan
    [2] Feb
    [3] Mar
    [4] Apr
    [5] May
    [6] Jun
    [7] Jul
    [8] Aug
    [9] Sep
    [10] Oct
    [11] Nov
   *[12] Dec
} { $year }

search-label = Find a member
search-hint = Member id, number, e-mail or phone
search-go = Find
search-nothing = No member has “{ $query }” as id, number, e-mail address or phone number. References are compared whole.

overview-title = The program at a glance
overview-figures = Key figures
card-members = Members
card-earned = Points earned
card-redeemed = Points redeemed
card-lost = Expired and taken back
card-lost-note = { $expired } expired, { $taken } taken back
card-outstanding = Points outstanding
card-adjusted = including { $points } adjusted by hand
card-liability = Liability
card-worth = { $points } = { $money }
card-of-earned = { $share } of what was earned

chart-title = Points by month
chart-label = Chart of the points earned, redeemed and outstanding by month; the same figures are in the table below it
chart-moved = Earned, redeemed
chart-table = The figures as a table
column-month = Month
column-earned = Earned
column-redeemed = Redeemed
column-lost = Expired and taken back
column-outstanding = Outstanding

rules-title = Earning rules
rules-none = No rule has given points yet.
column-rule = Rule
column-points = Points
column-times = Times
column-share = Share of earned

rewards-title = Rewards
rewards-none = The catalogue is empty.
column-reward = Reward
column-price = Price
column-stock = Left
column-issued = Handed out
stock-unlimited = unlimited

latest-title = Latest transactions
latest-none = Nothing has happened yet.
column-when = When
column-member = Member
column-what = What
column-change = Points

members-title = Members
members-none = There are no members yet.
members-next = Next page
members-first = First page
column-number = Number
column-available = Available
column-last-activity = Last activity

profile-title = Profile
profile-change = Change the profile
profile-change-hint = What is there is shown masked. A field that you leave empty stays as it is. The member is told when an address changes.
profile-remove = Remove
profile-reason = Why? The audit log keeps it
profile-save = Save
profile-no-reason = Say why, in at most 500 characters.
profile-changed = The profile was changed by somebody else in the meantime. Look at it again.
fact-external-id = Number
fact-email = E-mail
fact-phone = Phone
fact-birth-date = Date of birth
fact-language = Language
fact-country = Country
fact-enrolled = Enrolled
fact-erased = Personal data erased
fact-last-activity = Last activity
fact-closed = Closed
fact-merged-from = Merged from
wallet-title = Wallet: { $currency }
wallet-available = Available
wallet-worth = worth { $money }
wallet-pending = Pending
wallet-held = Set aside for orders
wallet-earned = Earned in all
wallet-spent = Redeemed in all
wallet-lost = Expired or taken back
wallet-expires-next = Next to expire: { $points } after { $date }
wallet-nothing-expires = Nothing expires.
ahead-pending = { $points } become available by { $date }
ahead-owed = { $points } owed for returns: what is earned next repays them
ahead-decay = { $percent } % of what is unspent on { $date } is lost
ahead-interest = { $percent } % interest on { $points } on { $date }
lots-title = Lots, in the order in which they are spent
lots-none = This wallet is empty.
column-held = Set aside
column-expires = Good through
column-pending = Pending until
history-title = History
history-none = Nothing has happened yet.
history-more = Show earlier
history-start = Back to the latest
history-balance = balance { $balance }

kind-enrol = Enrolled
kind-activity = Activity
kind-redeem = Order
kind-capture = Order captured
kind-release = Order cancelled
kind-adjust = Adjustment
kind-tick = Points matured or expired
kind-extend = Extension
kind-close = Account closed
kind-erase = Personal data erased
kind-profile = Profile changed
kind-merge = Accounts merged
kind-refund = Order refunded
kind-order = Order moved on
channel-api = API
channel-import = Import
channel-console = Console
channel-system = System

title-purchase = Purchase of { $amount }
title-return = Return of { $amount }
title-activity = Activity: { $kind }
title-activity-of = Activity: { $kind }, { $amount }
title-adjust = Adjusted by { $points } points
title-close = Account closed
title-erase = Personal data erased
title-profile = Profile changed
title-merged-into = Merged into { $member }
title-merged-from = { $member } was merged into this account
why-forfeited = { $points } that were left are forfeited
title-expired = { $points } expired
title-matured = { $points } became available
title-decayed = { $points } lost to the yearly decay
rule-decay = Yearly decay
title-interest = Interest
title-reminded = Reminder of points that will expire
title-planned = Dates planned anew
title-extend = Points extended
title-order-placed = Ordered: { $quantity } × { $reward }; { $points } set aside
title-order-in_review = Order in review: { $quantity } × { $reward }
title-order-approved = Order approved: { $quantity } × { $reward }
title-order-fulfilling = Order being fulfilled: { $quantity } × { $reward }
title-order-shipped = Order shipped: { $quantity } × { $reward } for { $points }
title-order-issued = Issued: { $quantity } × { $reward } for { $points }
title-order-completed = Redeemed: { $quantity } × { $reward } for { $points }
title-order-rejected = Order rejected: { $quantity } × { $reward }; { $points } given back
title-order-cancelled = Order cancelled: { $quantity } × { $reward }; { $points } given back
title-order-expired = Order expired: { $quantity } × { $reward }; { $points } given back
title-order-refunded = Order refunded: { $quantity } × { $reward }; { $points } given back

why-per-money = { $points }: { $rule } — { $rate } for each { $unit } of { $amount }, rounded down
why-percent = { $points }: { $rule } — { $percent } % of the { $base } of { $other }, rounded down
why-fixed = { $points }: { $rule }
why-taken-back = { $points } taken back: { $rule } — { $rate } for each { $unit } of { $amount }, at most what was available
why-per-step = { $points }: { $rule } — { $rate } for each full { $unit } of { $amount }
why-times = { $points }: { $rule } — × { $factor }
why-times-rule = { $points }: { $rule } — { $other } × { $factor }
why-returned = { $points } taken back of what { $rule } gave
why-nothing = Nothing: { $rule }
why-lost = Nothing: { $rule } — { $other } gave instead
why-stopped = Nothing: { $rule } — { $other } lets no rule after it give
why-limit-of-rule = ; { $offered } offered, limit of the rule reached: { $limit } ({ $window })
why-limit-of-campaign = ; { $offered } offered, limit of the campaign reached: { $limit } ({ $window })
why-limit-of-everyone = {" "}for all members together
why-limit-of-store = {" "}for the members of the store together
why-limit-of-program = ; { $offered } offered, limit of the program reached: { $limit } ({ $window })
window-event = each time
window-minute = minute
window-hour = hour
window-day = day
window-week = week
window-month = month
window-year = year
window-lifetime = all time
why-pending = ; pending until { $date }
why-good-through = ; good through { $date }
why-forgiven = { $points } were no longer there and are forgiven
why-owed = { $points } were spent already: they are owed and repaid by what is earned next
why-repaid = { $points } of it repaid what was owed for an earlier return
why-debt-cancelled = { $points } that were owed for it are owed no longer
why-interest = { $points }: interest — { $percent } % of the lowest balance since the last time, rounded down
why-fee = Fee paid: { $amount }
why-extended = All points are good for { $count } days longer
why-extended-by-spend = All points are good for { $count } days longer, for what was spent this month
why-reason = Reason: { $reason }
why-no-rule = No earning rule gave points for it

trouble-no-page = There is no such page
trouble-no-page-message = The address may be old or mistyped.
trouble-no-member = There is no such member
trouble-no-member-message = No member has this id. Look for the member by number, e-mail address or phone number.
trouble-store = The data cannot be read just now
trouble-store-message = Nothing is lost. Please try again in a few seconds; the reason is in the server’s log.
trouble-home = Go to the overview

proof-proved = proved in the log
proof-download = download the proof
proof-waiting = on its way into the log
proofs-title = How anyone can check this ledger
proofs-what = Every transaction — its points, its rules, its receipt — is turned into a fingerprint and entered into a log that can only grow. The fingerprints are combined, two by two, into a single one: the head of the log. Change one old transaction by one point, move it, or take it away, and the head is another.
proofs-how = The head is signed anew within a second of each transaction. Whoever has kept an old head can later ask for the proof that today’s log begins with all that was in it then. Nobody can rewrite the past without being found out, not even those who run this program.
proofs-member = A member can download the proof of each transaction from the member’s page. The file holds the transaction in full and the fingerprints that lead from it to the signed head; it can be checked on any computer, without this server.
proofs-auditor = A partner or auditor needs only the public key below. The command keeps the last head that it saw, and fails loudly when the log is not what it was.
proofs-head = The latest head
proofs-empty = The log is empty.
proofs-commands = To check a downloaded proof, and to audit this server:
proofs-url = https://this-server.example
proof-head-size = Transactions
proof-head-at = Signed
proof-head-root = Fingerprint
proof-key = Public key

nav-group-control = Oversight
nav-group-access = Access
nav-group-data = Personal data
nav-group-programs = For developers
nav-roles = Roles
nav-consents = Consent texts
nav-registers = Registers
nav-retention = Retention
nav-erasures = Erasure
language-name-english = English
language-name-chinese = 中文
save = Save
cancel = Cancel
optional = (optional)
unit-days = days
never-happened = never yet
versions-title = History
change-told = { $when }, by { $who }
days = { $count ->
    [one] one day
   *[other] { $count } days
}
who-system = the server itself
who-cli = the command line
who-key-bootstrap = the server’s own key
problem-as-said = { $detail }
who-anonymous = somebody unknown

# A month of a wallet, added up.
statement-title = Points statement { $month }
statement-link = Monthly statements
statement-months = Other months
statement-print = Print
statement-open = The month is not over: more may come.
statement-opening = Opening balance
statement-earned = Earned
statement-spent = Spent on rewards
statement-expired = Expired
statement-taken-back = Taken back after returns
statement-adjusted = Adjusted by hand
statement-merged = From merged accounts
statement-closing = Closing balance
statement-pending = { $points } of it cannot be spent yet.
statement-held = { $points } of it are set aside for orders.
statement-expiring = What expires next
