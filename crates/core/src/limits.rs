//! A limit on everything that comes in, in one place.

/// Commands decided and committed together at the most.
pub const BATCH_COMMANDS: usize = 1_024;
/// Activities in one batch request.
pub const BATCH_ACTIVITIES: usize = 1_000;
/// Lines of one activity.
pub const ACTIVITY_LINES: usize = 2_000;
/// Characters of an idempotency key, external id or reference.
pub const KEY_CHARS: usize = 128;
/// Characters of a name, description or reason.
pub const TEXT_CHARS: usize = 500;
/// Rows of one imported file.
pub const IMPORT_ROWS: u64 = 20_000_000;
/// Attributes of a member, activity or line.
pub const ATTRIBUTES: usize = 50;
/// Bytes of the body of one activity, as JSON.
pub const BODY_BYTES: usize = 16 * 1024;
/// Levels of the body of one activity: parts within parts.
pub const BODY_DEPTH: usize = 16;
/// Bytes of the JSON Schema of a body.
pub const SCHEMA_BYTES: usize = 64 * 1024;
/// Levels of such a schema, its references followed.
pub const SCHEMA_DEPTH: usize = 64;
/// Parts of such a schema, its references followed: what it costs to check one value.
pub const SCHEMA_PARTS: usize = 1_000;
/// Bytes that one compiled pattern of such a schema may take.
pub const PATTERN_BYTES: usize = 256 * 1024;
/// Characters of a CEL expression.
pub const EXPRESSION_CHARS: usize = 2_000;
/// Levels of a CEL expression: parts within parts.
pub const EXPRESSION_DEPTH: usize = 128;
/// Earning rules, rewards or currencies in a program.
pub const DOCUMENTS: usize = 10_000;
/// Documents that one draft changes.
pub const DRAFT_CHANGES: usize = 200;
/// Moves that the history of one draft keeps.
pub const DRAFT_MOVES: usize = 200;
/// Drafts that are kept.
pub const DRAFTS: usize = 10_000;
/// Moments to come at which scheduled versions take effect.
pub const SCHEDULED: usize = 1_000;
/// Points that one command may move, and money in minor units that one activity may bear: 10^12.
pub const AMOUNT: i64 = 1_000_000_000_000;
/// Points of one wallet; far from the edge of `i64`, so that sums never overflow.
pub const WALLET_POINTS: i64 = 1_000_000_000_000_000;
/// Major units of money that one smallest unit of a currency is worth at the most.
pub const POINT_VALUE: i64 = 1_000_000;
/// Units in one order.
pub const ORDER_QUANTITY: i64 = 1_000;
/// Steps in the history of an order from which on nobody takes its review on any more.
pub const ORDER_STEPS: usize = 100;
/// Characters of a code that is handed out: from, to.
pub const CODE_CHARS: [usize; 2] = [4, 200];
/// Codes of one upload.
pub const CODE_UPLOAD: usize = 5_000;
/// Codes of one reward, those that were handed out among them.
pub const REWARD_CODES: i64 = 5_000_000;
/// Characters of the name of a supplier.
pub const SUPPLIER_NAME_CHARS: usize = 64;
/// Suppliers that are kept.
pub const SUPPLIERS: i64 = 200;
/// Longest time that a supplier may be given for one answer, in milliseconds.
pub const SUPPLIER_CALL_MS: i64 = 15_000;
/// Events that the tracking of one order keeps, the latest of them.
pub const TRACKING_EVENTS: usize = 50;
/// Tracking events of one request.
pub const TRACKING_UPLOAD: usize = 20;
/// Seasons, offers, steps of demand or of the curve of one price.
pub const PRICE_PARTS: usize = 32;
/// Changes of one price that are looked for ahead.
pub const PRICE_TURNS: usize = 100;
/// Per cent that come on top of what a reward costs the program, at the most.
pub const MARGIN_PERCENT: i64 = 1_000;
/// Per cent of the price before that a season leaves of it or makes of it: from, to.
pub const SEASON_PERCENT: [i64; 2] = [10, 300];
/// Per cent that demand puts on top of a price at the most.
pub const DEMAND_PERCENT: i64 = 15;
/// Per cent of the price without them that discounts leave at the least.
pub const DISCOUNT_PERCENT: i64 = 10;
/// Orders or views of an hour of which a step of demand can speak.
pub const DEMAND_COUNT: i64 = 100_000;
/// Days without an order after which a price may fall, at the most.
pub const COLD_DAYS: i32 = 3_650;
/// Per cent of a later point that a point of the curve is worth at the most.
pub const CURVE_PERCENT: i64 = 1_000;
/// Per cent of a price that may be paid in money at the most.
pub const CASH_PERCENT: i64 = 90;
/// Members of a group that orders together.
pub const GROUP_MEMBERS: i64 = 50;
/// Hours within which a group must be full, at the most: a week.
pub const GROUP_HOURS: i64 = 168;
/// Ways to pay money that a program takes.
pub const TENDERS: usize = 8;
/// Steps in the payment of an order from which on it takes none that does not end it.
pub const PAYMENT_STEPS: usize = 20;
/// Characters of the token of a quote.
pub const QUOTE_CHARS: usize = 512;
/// How long a quote holds, in milliseconds (10 minutes).
pub const QUOTE_MS: i64 = 10 * 60 * 1000;
/// Kinds of activity that an account keeps a history of.
pub const ACTIVITY_KINDS: usize = 64;
/// Counters of one account: for caps, and for what conditions ask of the history.
pub const COUNTERS: usize = 256;
/// Windows of one counter that are told apart; earlier ones count as one.
pub const COUNTER_WINDOWS: usize = 32;
/// How long before the end of a counter's latest window earlier ones are told apart, in milliseconds (62 days).
pub const COUNTER_AGE_MS: i64 = 62 * 24 * 60 * 60 * 1000;
/// Days that a window which rolls reaches back at most.
pub const ROLLING_DAYS: i32 = 365;
/// Kinds of activity that an account remembers by days, for windows that roll.
pub const ROLLING_KINDS: usize = 16;
/// Levels of a program.
pub const TIERS: usize = 32;
/// Months that are told apart for tiers.
pub const TIER_MONTHS: i32 = 36;
/// Ways to qualify for one tier, zones or texts of its benefits, factors of one.
pub const TIER_PARTS: usize = 16;
/// Reviews of a tier that one command catches up with.
pub const TIER_REVIEWS: usize = 24;
/// Days for which a rule may grant a tier.
pub const GRANT_DAYS: i32 = 3_650;
/// Purchases of one account whose returns are kept; those of earlier ones are closed.
pub const RETURNED_PURCHASES: usize = 100;
/// Caps of one rule, or of the program.
pub const CAPS: usize = 8;
/// Kinds of activity that one rule listens to.
pub const TRIGGERS: usize = 16;
/// Accounts that were merged into one.
pub const MERGED_ACCOUNTS: usize = 50;
/// Reminders of points that will expire, for one currency.
pub const REMINDERS: usize = 8;
/// Moments at which something is due that one tick lets happen; the next tick goes on.
pub const TICK_MOMENTS: usize = 128;
/// Extensions of lots that an account remembers; what moved with earlier ones is not found by a return any more.
pub const EXTENSIONS: usize = 24;
/// Purchases made final that an account remembers until their points would have become active anyway.
pub const FINAL_PURCHASES: usize = 100;
/// Characters of the description of a reward.
pub const DESCRIPTION_CHARS: usize = 2_000;
/// Levels of categories.
pub const CATEGORY_LEVELS: usize = 3;
/// Categories of one reward.
pub const REWARD_CATEGORIES: usize = 8;
/// Tags of one reward.
pub const REWARD_TAGS: usize = 16;
/// Stores to which one reward is kept.
pub const REWARD_STORES: usize = 1_000;
/// Variants of one reward, rewards of one bundle, channels of one reward.
pub const REWARD_PARTS: usize = 50;
/// Pools of one reward's stock.
pub const POOLS: usize = 20;
/// Characters of the id of a pool.
pub const POOL_CHARS: usize = 32;
/// Restocks that one reward plans.
pub const RESTOCKS: usize = 50;
/// Moments at which one planned restock is caught up with at once.
pub const RESTOCK_MOMENTS: usize = 1_000;
/// Hours before everybody that some may come, or for which something is kept for some.
pub const EARLY_HOURS: i64 = 24 * 31;
/// For how long somebody who was refused often enough has a right to what is kept, in milliseconds (90 days).
pub const PRIVATE_RIGHT_MS: i64 = 90 * 24 * 60 * 60 * 1000;
/// Refused orders after which something is kept for a member.
pub const TRIES: i64 = 10;
/// Members whom a waiting room lets in each second.
pub const ADMITTED_PER_SECOND: i64 = 100_000;
/// Leading zero bits of the puzzle of a waiting room.
pub const PUZZLE_BITS: u32 = 24;
/// Characters of the token of a place in a waiting room.
pub const TICKET_CHARS: usize = 512;
/// Days for which a coupon, privilege or trial is good.
pub const REWARD_DAYS: i64 = 3_650;
/// Major units of money of a market price or of a coupon.
pub const REWARD_MONEY: i64 = 100_000_000;
/// Pictures of one reward.
pub const REWARD_PICTURES: usize = 8;
/// Characters of the words for a picture.
pub const PICTURE_ALT_CHARS: usize = 250;
/// Bytes of a picture that is uploaded.
pub const PICTURE_BYTES: usize = 8 << 20;
/// Pixels of a picture that is uploaded, width × height: a small file can unfold into gigabytes.
pub const PICTURE_PIXELS: u64 = 25_000_000;
/// Pictures that are kept.
pub const PICTURES: i64 = 20_000;
/// Stars of the best review.
pub const REVIEW_STARS: i64 = 5;
/// Characters of a review.
pub const REVIEW_CHARS: usize = 1_000;
/// Words that send a review to moderation.
pub const REVIEW_WORDS: usize = 500;
/// How often one review may be written anew.
pub const REVIEW_CHANGES: u32 = 20;
/// Reviews that one member may write or change within an hour.
pub const REVIEWS_AN_HOUR: usize = 10;
/// Messages of one dispute.
pub const DISPUTE_MESSAGES: usize = 50;
/// Characters of one of them.
pub const DISPUTE_CHARS: usize = 1_000;
/// Disputes that are open at once and shown in the queue.
pub const DISPUTES: usize = 5_000;
/// Units for which there is room in one slot of a service.
pub const SLOT_CAPACITY: i64 = 10_000;
/// Days from now within which an appointment lies.
pub const APPOINTMENT_DAYS: i64 = 366;
/// Addresses in the book of one member.
pub const ADDRESSES: usize = 10;
/// Characters of what is searched for.
pub const SEARCH_CHARS: usize = 100;
/// Rewards of one page of the catalogue.
pub const CATALOGUE_PAGE: usize = 100;
/// Categories and tags that are counted beside a page of the catalogue, each.
pub const FACETS: usize = 100;
/// Characters of a till's own number of a checkout, of a reversal or of a spending.
pub const REFERENCE_CHARS: usize = 64;
/// Parts in which one checkout is given back.
pub const CHECKOUT_RETURNS: usize = 50;
/// Spendings of one allowance.
pub const ALLOWANCE_SPENDINGS: usize = 200;
/// Spendings in one upload.
pub const OFFLINE_UPLOADS: usize = 200;
/// Bytes of the name of a terminal that is granted an allowance.
pub const TERMINAL_BYTES: usize = 64;
/// Items of one page.
pub const PAGE: i64 = 200;

/// A text field that is too long or empty, or has control characters.
pub fn check_text(field: &str, text: &str, limit: usize) -> Result<(), String> {
    let length = text.chars().count();
    if text.trim().is_empty() {
        return Err(format!("`{field}` is empty"));
    }
    if length > limit {
        return Err(format!("`{field}` has {length} characters; at most {limit} are allowed"));
    }
    if text.chars().any(char::is_control) {
        return Err(format!("`{field}` holds control characters"));
    }
    Ok(())
}
