//! Commands: who wants what, when, under which idempotency key.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::appointments::Rebooking;
use super::order_commands::{OrderChange, Redemption};
use super::tracking::Tracking;
use super::{Refusal, RefusalCode};
use crate::earning::{Activity, PreparedActivity, prepare};
use crate::id::MemberId;
use crate::ledger::CurrencyId;
use crate::limits;
use crate::members::{MemberRef, Profile, RefKind};
use crate::privacy::{Keyring, NONCE, PrivacyError, SEAL_RANDOM, SealedProfile};
use crate::program::Program;
use crate::rewards::Place;
use crate::time::{EARLIEST, MAX_CLOCK_SKEW_MS, Timestamp};

/// A member to be enrolled: sealed before it comes here, so that no personal value passes the kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Enrolment {
    /// The profile.
    pub sealed: SealedProfile,
    /// The references that must be unique, that of the idempotency key among them.
    pub references: Vec<MemberRef>,
    /// What rules for the kind `enrol` make of it, where there are any.
    pub welcome: Option<Box<PreparedActivity>>,
    /// The digest that the same request had before digests were keyed: a retry finds what an older version committed.
    pub former_digest: [u8; 32],
}

impl Enrolment {
    /// The reference by which a repeated enrolment finds the member it made.
    pub fn retry_reference(&self) -> Option<&MemberRef> {
        self.references.iter().find(|reference| reference.kind == RefKind::Enrolment)
    }
}

/// A profile as it is to be, sealed before it comes here, and what it was made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProfileChange {
    /// The [`SealedProfile::version`] that was read: the change is refused when it is another by now.
    pub read: [u8; 32],
    /// The new profile under the key that the member has.
    pub ciphertext: Vec<u8>,
    /// References that lead to the member no longer.
    pub removed: Vec<MemberRef>,
    /// References that lead to the member from now on.
    pub added: Vec<MemberRef>,
    /// The names of the fields that differ.
    pub fields: Vec<&'static str>,
}

/// How a member comes to be enrolled: what rules for the kind `enrol` may look at.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Arrival {
    /// Store, branch or device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub store: Option<String>,
    /// `pos`, `app`, `web`, or any other word of the operator's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel: Option<String>,
    /// Who referred the member.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub referrer: Option<MemberId>,
}

impl Arrival {
    /// What rules for the kind `enrol` listen to.
    pub(crate) fn activity(&self) -> Activity {
        let Self { store, channel, referrer } = self.clone();
        Activity { kind: "enrol".to_owned(), store, channel, referrer, ..Activity::default() }
    }
}

/// What an extension is paid with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Payment {
    /// Points of the same currency.
    Points,
    /// A fee in money, which the caller has collected.
    Fee,
}

impl Payment {
    /// The name used in the API.
    pub fn name(self) -> &'static str {
        match self {
            Self::Points => "points",
            Self::Fee => "a fee",
        }
    }
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Enrol a new member under the command's `member_id`.
    Enrol(Box<Enrolment>),
    /// Put a changed profile in the place of the one that was read.
    ChangeProfile(Box<ProfileChange>),
    /// Record an activity.
    Record(Box<PreparedActivity>),
    /// Do what cannot be done as things are now, such as recording an activity that the program does not take: refused, unless
    /// the key was used for it before.
    Unfit(Box<Refusal>),
    /// Create an order: set points and stock aside; `capture` spends them at once.
    Redeem(Box<Redemption>),
    /// Move an order on.
    Move(Box<OrderChange>),
    /// Note what happened to an order on its way.
    Track(Box<Tracking>),
    /// Move the appointment of an order to another slot.
    Rebook(Box<Rebooking>),
    /// Correct a balance by hand.
    Adjust {
        /// Of which currency.
        currency: CurrencyId,
        /// Points to add, or to take when negative.
        points: i64,
        /// Why.
        reason: String,
    },
    /// Take in another account of the same person.
    Merge {
        /// The account that ends.
        from: MemberId,
        /// Why.
        reason: String,
    },
    /// Destroy what is known of the person: the key, the profile, the references. Points that are left are forfeited; the
    /// journal stays.
    Erase,
    /// End the account; the points that are left are forfeited.
    Close {
        /// Why.
        reason: String,
    },
    /// Let points live longer, as the program offers it.
    Extend {
        /// Of which currency.
        currency: CurrencyId,
        /// For what.
        payment: Payment,
    },
    /// Let happen what is due: points mature and expire.
    Tick,
}

/// One command of one member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// Whose account.
    pub member_id: MemberId,
    /// Unique for the member: the same key gives the same receipt.
    pub idempotency_key: String,
    /// SHA-256 of the request, so that a key is not used for two.
    pub request_digest: [u8; 32],
    /// Where it came from.
    pub channel: String,
    /// Who sent it: the id of an API key, a client or an operator.
    pub actor: Option<String>,
    /// The caller's own number.
    pub reference: Option<String>,
    /// When it happens.
    pub at: Timestamp,
    /// What to do.
    pub action: Action,
    /// Decide, answer, and change nothing.
    pub dry_run: bool,
    /// Leave the receipt out of the entry: a replay that keeps no journal need not write it.
    pub unwritten: bool,
    /// Where the member stands, for what is offered in some places only.
    pub place: Place,
}

impl Command {
    pub(super) fn new(member_id: MemberId, key: &str, at: Timestamp, action: Action, request: &impl Serialize) -> Self {
        Self {
            member_id,
            idempotency_key: key.to_owned(),
            request_digest: digest_of(request),
            channel: "api".to_owned(),
            actor: None,
            reference: None,
            at,
            action,
            dry_run: false,
            unwritten: false,
            place: Place::default(),
        }
    }

    /// A command of a replay that keeps no journal: there is no request to be told from another.
    pub(crate) fn replayed(member_id: MemberId, at: Timestamp, action: Action) -> Self {
        Self {
            member_id,
            idempotency_key: String::new(),
            request_digest: [0; 32],
            channel: String::new(),
            actor: None,
            reference: None,
            at,
            action,
            dry_run: false,
            unwritten: true,
            place: Place::default(),
        }
    }

    /// Enrols a member under a fresh id; the profile is sealed here, on the caller's thread.
    pub fn enrol(
        keyring: &Keyring,
        random: [u8; SEAL_RANDOM],
        member_id: MemberId,
        key: &str,
        at: Timestamp,
        profile: &Profile,
    ) -> Result<Self, Refusal> {
        check_key(key)?;
        profile.validate().map_err(|problem| Refusal::new(RefusalCode::InvalidRequest, problem))?;
        let request = serde_json::to_vec(&("enrol", profile)).unwrap_or_default();
        let mut references = keyring.references(profile);
        references.push(keyring.reference(RefKind::Enrolment, key));
        let sealed = keyring.seal_profile(member_id, profile, random).map_err(unsealed)?;
        let former_digest = Sha256::digest(&request).into();
        let enrolment = Enrolment { sealed, references, welcome: None, former_digest };
        // Keyed: a phone number must not be guessed from the digest of its request.
        let request_digest = keyring.digest("request", &request);
        Ok(Self { request_digest, ..Self::new(member_id, key, at, Action::Enrol(Box::new(enrolment)), &()) })
    }

    /// The same enrolment with what rules for the kind `enrol` give: they are evaluated here, and give in the decision that
    /// enrols. Nothing is recorded where no rule listens and nobody referred the member.
    pub fn welcomed(mut self, program: &Program, arrival: &Arrival) -> Result<Self, Refusal> {
        let Action::Enrol(enrolment) = &mut self.action else { return Ok(self) };
        if *arrival != Arrival::default() {
            let arrival = serde_json::to_vec(arrival).unwrap_or_default();
            self.request_digest = Sha256::digest([self.request_digest.as_slice(), &arrival].concat()).into();
        }
        let activity = arrival.activity();
        check_activity(program, &activity)?;
        if program.listens(&activity.kind) || arrival.referrer.is_some() {
            enrolment.welcome =
                Some(Box::new(prepared(program, self.member_id, &activity, self.at, body(&activity)?)?));
        }
        Ok(self)
    }

    /// Changes a member's profile by a JSON merge patch of the sealed one that was read; both are opened and sealed here,
    /// on the caller's thread.
    pub fn change_profile(
        keyring: &Keyring,
        nonce: [u8; NONCE],
        member_id: MemberId,
        key: &str,
        at: Timestamp,
        sealed: &SealedProfile,
        patch: &Map<String, Value>,
    ) -> Result<Self, Refusal> {
        check_key(key)?;
        let before = keyring.open_profile(member_id, sealed).map_err(unsealed)?;
        let invalid = |problem| Refusal::new(RefusalCode::InvalidRequest, problem);
        let after = before.patched(patch).map_err(invalid)?;
        after.validate().map_err(invalid)?;
        let (was, is) = (keyring.references(&before), keyring.references(&after));
        let change = ProfileChange {
            read: sealed.version(),
            ciphertext: keyring.reseal_profile(member_id, sealed, &after, nonce).map_err(unsealed)?,
            removed: was.iter().filter(|reference| !is.contains(reference)).cloned().collect(),
            added: is.iter().filter(|reference| !was.contains(reference)).cloned().collect(),
            fields: before.differences(&after),
        };
        let request = serde_json::to_vec(&("profile", patch)).unwrap_or_default();
        // Keyed, as that of an enrolment.
        let request_digest = keyring.digest("request", &request);
        let action = Action::ChangeProfile(Box::new(change));
        Ok(Self { request_digest, ..Self::new(member_id, key, at, action, &()) })
    }

    /// Records an activity: validates it and evaluates its rules. `now` is the moment of the call; `oldest` the
    /// earliest date taken. What the program of the day has against it is told when it is decided: a repeated request is
    /// answered as it was, whatever was published or went by since.
    pub fn record(
        program: &Program,
        member_id: MemberId,
        key: &str,
        activity: &Activity,
        now: Timestamp,
        oldest: Timestamp,
    ) -> Result<Self, Refusal> {
        check_key(key)?;
        check_activity(program, activity)?;
        let at = activity.occurred_at.unwrap_or(now);
        let body = body(activity)?;
        let request_digest = Sha256::digest(body.as_bytes()).into();
        let fits = check_date(at, now, oldest).and_then(|()| check_body(program, activity, at));
        let action = match fits.and_then(|()| prepared(program, member_id, activity, at, body)) {
            Ok(prepared) => Action::Record(Box::new(prepared)),
            Err(refusal) => Action::Unfit(Box::new(refusal)),
        };
        Ok(Self { request_digest, ..Self::new(member_id, key, at, action, &()) })
    }

    /// Records the birthday of a member in a year: the activity `birthday`, once however often it is sent.
    pub fn birthday(program: &Program, member_id: MemberId, year: i16, at: Timestamp) -> Result<Self, Refusal> {
        let activity = Activity { kind: "birthday".to_owned(), ..Activity::default() };
        let action = Action::Record(Box::new(prepared(program, member_id, &activity, at, body(&activity)?)?));
        let command = Self::new(member_id, &format!("{BIRTHDAY_PREFIX}{year}"), at, action, &"birthday");
        Ok(command.from_channel("system"))
    }

    /// The same command, refused for what cannot be done about it unless its key was used for it before.
    pub fn unfit(mut self, refusal: Refusal) -> Self {
        self.action = Action::Unfit(Box::new(refusal));
        self
    }

    /// The same command given in a place. The place belongs to the request: the same key with another one is refused.
    pub fn in_place(mut self, place: Place) -> Result<Self, Refusal> {
        place.validate().map_err(|problem| Refusal::new(RefusalCode::InvalidRequest, problem))?;
        if place != Place::default() {
            let place = serde_json::to_vec(&place).unwrap_or_default();
            self.request_digest = Sha256::digest([self.request_digest.as_slice(), &place].concat()).into();
        }
        self.place = place;
        Ok(self)
    }

    /// Adds points by hand, or takes them when `points` is negative.
    pub fn adjust(
        member_id: MemberId,
        key: &str,
        at: Timestamp,
        currency: CurrencyId,
        points: i64,
        reason: &str,
    ) -> Result<Self, Refusal> {
        check_key(key)?;
        check_reason(reason)?;
        if points == 0 || !(-limits::AMOUNT..=limits::AMOUNT).contains(&points) {
            let problem = format!("`points` must be up to {} either way, and not 0", limits::AMOUNT);
            return Err(Refusal::new(RefusalCode::InvalidAmount, problem));
        }
        let request = ("adjust", currency, points, reason);
        Ok(Self::new(member_id, key, at, Action::Adjust { currency, points, reason: reason.to_owned() }, &request))
    }

    /// Merges the account of `from` into that of `into`, which goes on.
    pub fn merge(from: MemberId, into: MemberId, key: &str, at: Timestamp, reason: &str) -> Result<Self, Refusal> {
        check_key(key)?;
        check_reason(reason)?;
        let action = Action::Merge { from, reason: reason.to_owned() };
        Ok(Self::new(into, key, at, action, &("merge", from, reason)))
    }

    /// Erases a member.
    pub fn erase(member_id: MemberId, key: &str, at: Timestamp) -> Result<Self, Refusal> {
        check_key(key)?;
        Ok(Self::new(member_id, &format!("{ERASE_PREFIX}{key}"), at, Action::Erase, &"erase"))
    }

    /// Closes an account.
    pub fn close(member_id: MemberId, key: &str, at: Timestamp, reason: &str) -> Result<Self, Refusal> {
        check_key(key)?;
        check_reason(reason)?;
        Ok(Self::new(member_id, key, at, Action::Close { reason: reason.to_owned() }, &("close", reason)))
    }

    /// Lets the points of a currency live longer, as the program offers it.
    pub fn extend(
        member_id: MemberId,
        key: &str,
        at: Timestamp,
        currency: CurrencyId,
        payment: Payment,
    ) -> Result<Self, Refusal> {
        check_key(key)?;
        Ok(Self::new(member_id, key, at, Action::Extend { currency, payment }, &("extend", currency, payment)))
    }

    /// Lets happen what is due on an account of `version`.
    pub fn tick(member_id: MemberId, version: i64, at: Timestamp) -> Self {
        let command = Self::new(member_id, &format!("{TICK_PREFIX}{version}"), at, Action::Tick, &"tick");
        command.from_channel("system")
    }

    /// The same command without what is to be done: nothing of the activity is copied.
    pub(super) fn without_action(&self) -> Self {
        Self {
            member_id: self.member_id,
            idempotency_key: self.idempotency_key.clone(),
            request_digest: self.request_digest,
            channel: self.channel.clone(),
            actor: self.actor.clone(),
            reference: self.reference.clone(),
            at: self.at,
            action: Action::Tick,
            dry_run: self.dry_run,
            unwritten: self.unwritten,
            place: self.place.clone(),
        }
    }

    /// The same command with whoever sent it, whom the receipt names.
    pub fn by(mut self, actor: String) -> Self {
        self.actor = Some(actor);
        self
    }

    /// The same change of a profile, to be made only over the version that the caller has read.
    pub fn over(mut self, version: [u8; 32]) -> Self {
        if let Action::ChangeProfile(change) = &mut self.action {
            change.read = version;
        }
        self
    }

    /// The same command from another channel.
    pub fn from_channel(mut self, channel: &str) -> Self {
        self.channel = channel.to_owned();
        self
    }

    /// The same command with the caller's own number.
    pub fn with_reference(mut self, reference: Option<String>) -> Self {
        self.reference = reference;
        self
    }

    /// The same command, to be decided only.
    pub fn dry(mut self) -> Self {
        self.dry_run = true;
        self
    }
}

/// Keys of the program's own clock; callers may not use them, or they could stand in its way.
const TICK_PREFIX: &str = "tick:";
/// How the key of an erasure begins; a caller's key must not, or it could stand in the way of one.
const ERASE_PREFIX: &str = "erase:";
/// Keys of the entries on accounts that end in a merge; followed by the id of the other entry.
pub(super) const MERGE_PREFIX: &str = "merge:";
/// Keys of the entries on accounts of members who have referred another; followed by the id of that other's entry.
pub(super) const REFERRAL_PREFIX: &str = "referral:";
/// Keys of birthdays; followed by the year.
const BIRTHDAY_PREFIX: &str = "birthday:";
/// Keys of what becomes of orders by itself; followed by the move and the order.
pub(super) const ORDER_PREFIX: &str = "order-end:";
/// Keys of what the program itself does to fulfil an order; followed by the move and the order.
pub(super) const FULFIL_PREFIX: &str = "fulfil:";
const RESERVED: [&str; 7] =
    [TICK_PREFIX, MERGE_PREFIX, ERASE_PREFIX, REFERRAL_PREFIX, BIRTHDAY_PREFIX, ORDER_PREFIX, FULFIL_PREFIX];

/// SHA-256 of a request as JSON.
pub(super) fn digest_of(request: &impl Serialize) -> [u8; 32] {
    Sha256::digest(serde_json::to_vec(request).unwrap_or_default()).into()
}

fn unsealed(error: PrivacyError) -> Refusal {
    Refusal::new(RefusalCode::KeysUnavailable, format!("the profile cannot be sealed: {error}"))
}

pub(super) fn check_key(key: &str) -> Result<(), Refusal> {
    if let Some(prefix) = RESERVED.into_iter().find(|prefix| key.starts_with(prefix)) {
        let problem = format!("an Idempotency-Key must not begin with `{prefix}`");
        return Err(Refusal::new(RefusalCode::InvalidRequest, problem));
    }
    limits::check_text("Idempotency-Key", key, limits::KEY_CHARS)
        .map_err(|problem| Refusal::new(RefusalCode::InvalidRequest, problem))
}

fn check_activity(program: &Program, activity: &Activity) -> Result<(), Refusal> {
    activity.validate(&program.settings.money).map_err(|(field, problem)| {
        let code = match field {
            "currency" => RefusalCode::UnknownCurrency,
            "amount" => RefusalCode::InvalidAmount,
            "body" => RefusalCode::InvalidBody,
            _ => RefusalCode::InvalidRequest,
        };
        Refusal::new(code, problem)
    })
}

/// Checks the body by the schema that holds on the activity's own date.
fn check_body(program: &Program, activity: &Activity, at: Timestamp) -> Result<(), Refusal> {
    let checked = match (program.activity_kind_at(&activity.kind, at), &activity.body) {
        (Some(kind), body) => kind.check(body.as_ref()),
        (None, None) => Ok(()),
        (None, Some(_)) => Err(format!(
            "`body`: the program does not say what the body of the activity `{}` holds; declare it as an `activity`, or \
             send texts as `attributes`",
            activity.kind
        )),
    };
    checked.map_err(|problem| Refusal::new(RefusalCode::InvalidBody, problem))
}

fn prepared(
    program: &Program,
    member: MemberId,
    activity: &Activity,
    at: Timestamp,
    body: String,
) -> Result<PreparedActivity, Refusal> {
    let prepared = prepare(program, member, activity, at);
    let prepared = prepared.map_err(|problem| Refusal::new(RefusalCode::InvalidAmount, problem))?;
    Ok(PreparedActivity { body, ..prepared })
}

/// An activity as it is kept.
fn body(activity: &Activity) -> Result<String, Refusal> {
    serde_json::to_string(activity).map_err(|error| Refusal::new(RefusalCode::InvalidRequest, error.to_string()))
}

pub(super) fn check_reason(reason: &str) -> Result<(), Refusal> {
    limits::check_text("reason", reason, limits::TEXT_CHARS)
        .map_err(|problem| Refusal::new(RefusalCode::InvalidRequest, problem))
}

fn check_date(at: Timestamp, now: Timestamp, oldest: Timestamp) -> Result<(), Refusal> {
    if at > now.plus_millis(MAX_CLOCK_SKEW_MS) {
        let problem = format!("`occurred_at` {at} lies in the future; it is {now} now");
        return Err(Refusal::new(RefusalCode::OccurredInFuture, problem));
    }
    let oldest = oldest.max(EARLIEST);
    if at < oldest {
        let problem = format!("`occurred_at` {at} lies too far in the past; the oldest taken is {oldest}");
        return Err(Refusal::new(RefusalCode::OccurredTooLongAgo, problem));
    }
    Ok(())
}
