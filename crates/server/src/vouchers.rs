//! Vouchers: what a member shows at a store to be handed what an order is for. Issued here, found again by text or code, and
//! redeemed through the engine; one place for the API, the portal and the console.
//!
//! A text carries everything, so nothing is kept of it. A code is found by a record whose id is a keyed digest of the code:
//! who reads the database learns no code. Codes that are not there are counted, see [`Throttle`], before anyone learns that.
//!
//! [`Throttle`]: crate::identity::throttle::Throttle

use axum::http::StatusCode;
use guerdon_core::hex;
use guerdon_core::id::OrderId;
use guerdon_core::kernel::{Command, HandOut, RefusalCode, Reply};
use guerdon_core::members::CardKey;
use guerdon_core::redemption::{HandedOut, Order, Voucher, VoucherCode, VoucherError, VoucherStanding};
use guerdon_core::time::Timestamp;
use guerdon_store::{CommandError, Record, RecordChange};

use crate::AppState;
use crate::acts::mover;
use crate::identity::actor::Actor;
use crate::identity::throttle::Counterplace;
use crate::problem::Problem;

/// The kind of the records of codes; the subject is the order.
const VOUCHER: &str = "voucher";
const HOUR_MS: i64 = 60 * 60 * 1_000;
/// How long a text is good for: a till without network takes it that long after the order was called off.
const TEXT_HOURS: i64 = 24;
/// How long a code is found after it was shown last: long enough to say when and where it was redeemed.
const CODE_MS: i64 = 90 * 24 * HOUR_MS;
/// When so much of that is left, it begins anew.
const RENEW_MS: i64 = 60 * 24 * HOUR_MS;
/// How often another code, or another write, is tried.
const TRIES: u32 = 8;

/// A voucher as it is shown.
pub struct Issued {
    /// For whoever types.
    pub code: VoucherCode,
    /// For the QR code. While money is due it is the code: a till without network would hand out and take nothing.
    pub text: String,
    /// Until when the text is good, by the machine's clock.
    pub expires_at: Timestamp,
}

/// A voucher as it came back.
pub struct Presented {
    /// What it is for.
    pub order: Order,
    /// What its text says; none where a code was typed.
    pub voucher: Option<Voucher>,
}

/// The voucher of an order as it stands now. `None`: its reward is not handed out at a store, or not now.
pub async fn issue(state: &AppState, order: &Order) -> Result<Option<Issued>, Problem> {
    let now = state.engine.now();
    let standing = VoucherStanding::of(order, now);
    // As it was ordered: what is owed stays owed when the reward is offered no longer.
    let pickup = state.program().reward_at(&order.reward_id, order.created_at).is_some_and(|reward| reward.pickup);
    if !pickup || !matches!(standing, VoucherStanding::Good | VoucherStanding::Unpaid) {
        return Ok(None);
    }
    let clock = state.clock();
    // The same text for an hour: a picture that changes while it is scanned is read badly.
    let day = Timestamp::from_millis(clock.as_millis().div_euclid(HOUR_MS) * HOUR_MS + TEXT_HOURS * HOUR_MS);
    let due = order.due_at.map(|due| clock.plus_millis(due.as_millis() - now.as_millis()));
    let expires_at = due.map_or(day, |due| due.min(day));
    let (reward_id, quantity) = (order.reward_id.clone(), order.quantity);
    let voucher = Voucher { order: order.id, reward_id, quantity, expires_at };
    let code = code(state, order.id, clock).await?;
    let text = match standing {
        VoucherStanding::Good => voucher.sign(&CardKey::of(&state.keys())),
        _ => code.to_string(),
    };
    Ok(Some(Issued { code, text, expires_at }))
}

/// The code of an order, with a record by which it is found.
async fn code(state: &AppState, order: OrderId, clock: Timestamp) -> Result<VoucherCode, Problem> {
    let (keys, subject) = (state.keys(), order.to_string());
    let mut attempt = 0;
    for _ in 0..TRIES {
        let code = VoucherCode::of(&keys, order, attempt);
        let id = hex::encode(&code.look_up(&keys));
        let found = state.reader.record(VOUCHER, &id, clock).await?;
        let record = match found {
            Some(record) if record.subject != subject => {
                attempt += 1;
                continue;
            }
            Some(record) if record.expires_at.is_none_or(|until| until > clock.plus_millis(RENEW_MS)) => {
                return Ok(code);
            }
            Some(record) => record,
            None => Record::new(VOUCHER, &id, &subject, &serde_json::json!({}))?,
        };
        let change = RecordChange::Put(record.until(clock.plus_millis(CODE_MS)));
        match state.engine.write_records(vec![change], Vec::new()).await {
            Ok(()) => return Ok(code),
            // Another page shows it at the same moment.
            Err(CommandError::Conflict) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(CommandError::Unavailable("no code could be made for this order; try again".to_owned()).into())
}

/// What a text or a code is for. Codes that are not there cost the terminal of a store that tries them time; the names are empty
/// where they are not told.
pub async fn read(
    state: &AppState,
    actor: &Actor,
    (store, terminal): (&str, &str),
    presented: &str,
) -> Result<Presented, Problem> {
    if presented.contains('.') {
        let voucher = Voucher::open(&CardKey::of(&state.keys()).public(), presented)?;
        let order = state.reader.order(voucher.order).await?.ok_or_else(unknown)?;
        return Ok(Presented { order, voucher: Some(voucher) });
    }
    let code = VoucherCode::parse(presented)?;
    let (caller, clock) = (actor.name(), state.clock());
    let place = Counterplace { caller: &caller, store, terminal };
    let admitted = state.people.throttle.admit_code(place, clock).map_err(|wait| {
        let detail = format!("too many codes were not found; try again in {} seconds", wait.seconds());
        Problem::new(StatusCode::TOO_MANY_REQUESTS, "too_many_attempts", detail).after(wait.seconds())
    })?;
    let record = state.reader.record(VOUCHER, &hex::encode(&code.look_up(&state.keys())), clock).await?;
    let record = record.ok_or_else(unknown)?;
    state.people.throttle.withdrawn(admitted);
    let order: OrderId = record.subject.parse().map_err(|_| unknown())?;
    let order = state.reader.order(order).await?.ok_or_else(unknown)?;
    Ok(Presented { order, voucher: None })
}

/// Hands out what a voucher is for. Once it was, whoever comes again hears when and where, however old the text is.
pub async fn redeem(
    state: &AppState,
    actor: &Actor,
    (key, channel): (&str, &str),
    presented: Presented,
    place: HandedOut,
) -> Result<Reply, Problem> {
    let Presented { order, voucher } = presented;
    let now = state.engine.now();
    if let Some(voucher) = voucher.filter(|_| VoucherStanding::of(&order, now) != VoucherStanding::HandedOut) {
        voucher.check_life(place.at)?;
    }
    // The journal is dated by the program's clock, which may be set back.
    let at = now.plus_millis(place.at.as_millis() - state.clock().as_millis());
    let (member, owner) = (mover(state, &order).await?, order.member_id);
    let wanted = HandOut { order: order.id, owner, place: HandedOut { at, ..place } };
    let command = Command::hand_out(member, key, now, wanted)?.from_channel(channel).by(actor.name());
    match state.engine.submit_one(command).await {
        Err(CommandError::Refused(refusal)) if refusal.code == RefusalCode::VoucherRedeemed => {
            let order = state.reader.order(order.id).await?;
            let handed_out = order.and_then(|order| order.details.particulars.handed_out).map(Box::new);
            Err(Problem { handed_out, ..refusal.into() })
        }
        outcome => Ok(outcome?),
    }
}

fn unknown() -> Problem {
    Problem::not_found("unknown_voucher", "there is no such voucher: read or type it again")
}

impl From<VoucherError> for Problem {
    fn from(error: VoucherError) -> Self {
        let code = match error {
            VoucherError::Unreadable => "voucher_unreadable",
            VoucherError::WrongCharacter => "voucher_wrong_character",
            VoucherError::Forged => "voucher_forged",
            VoucherError::Stale(_) => "voucher_stale",
        };
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, code, error.to_string())
    }
}
