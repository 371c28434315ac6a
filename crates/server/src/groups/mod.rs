//! Groups of friends who order together and pay less: opened, joined, left, and full or not in time.
//!
//! A group is one record. Who joins first gets a place in it, by a write over the version that was read, so that there are never
//! more places than the price says, on however many nodes; then the order is made under a key of that place, once; then the
//! place names its order. Whatever was cut off in between, the worker takes from there ([`worker`]).

mod worker;

use guerdon_core::id::{MemberId, OrderId};
use guerdon_core::kernel::{Command, GroupTerms, Receipt, Refusal, RefusalCode};
use guerdon_core::rewards::Place;
use guerdon_core::time::Timestamp;
use guerdon_store::{CommandError, Record, RecordChange, StoreError};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

pub use worker::group_worker;

use crate::AppState;
use crate::due;
use crate::order_choice::{self, Said};
use crate::problem::Problem;
use crate::scarcity::{self, Entry};

/// The kind of the records. The id is the code of the group, the subject when the worker has to see to it, by the program's clock.
const KIND: &str = "group";
/// How long a group is kept once it is over, in milliseconds (30 days).
const KEPT_MS: i64 = 30 * 86_400_000;
const HOUR_MS: i64 = 3_600_000;
/// The subject of those that nobody has to see to any more: it comes behind all moments.
const TOLD: &str = "told";
/// A place without an order for longer than any request takes was cut off, in milliseconds.
const CUT_OFF_MS: i64 = 60_000;
/// Bytes of the digest that make the code: nobody guesses one.
const CODE_BYTES: usize = 10;
/// Writes that are tried while others are faster.
const TRIES: usize = 20;
/// Why the order of who left a group is given back.
const LEFT: &str = "left_group";

/// Where a group stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Friends can join.
    Open,
    /// It is full: its orders go on.
    Full,
    /// It was not full in time: its orders are given back.
    NotFull,
}

impl Stage {
    /// The name used in the API.
    pub fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Full => "full",
            Self::NotFull => "not_full",
        }
    }
}

/// A group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    /// What is ordered.
    pub reward_id: String,
    /// How many it takes.
    pub size: usize,
    /// Per cent of the price that each pays.
    pub percent: Decimal,
    /// Until when it must be full.
    pub ends_at: Timestamp,
    /// Where it stands.
    pub stage: Stage,
    /// Who opened it.
    opener: MemberId,
    places: Vec<GroupPlace>,
}

/// The place of one member.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct GroupPlace {
    member: MemberId,
    /// Tells this place from another that the member has had: part of the order's key.
    place: String,
    /// Where the order was made.
    at: Place,
    channel: String,
    actor: Option<String>,
    order: Option<OrderId>,
    /// When it was taken, by the machine's clock.
    since: Timestamp,
    #[serde(default)]
    leaving: bool,
    /// Whether its order knows how the group ended.
    #[serde(default)]
    told: bool,
}

/// Who joins, and how.
pub struct Joiner<'a> {
    /// Who.
    pub member: MemberId,
    /// Where.
    pub place: Place,
    /// Over which channel.
    pub channel: &'a str,
    /// In whose name.
    pub actor: Option<String>,
}

impl Group {
    /// How many have joined.
    pub fn joined(&self) -> usize {
        self.places.iter().filter(|place| place.order.is_some() && !place.leaving).count()
    }

    /// The order of a member in it.
    pub fn order_of(&self, member: MemberId) -> Option<OrderId> {
        self.place_of(member).filter(|place| !place.leaving).and_then(|place| place.order)
    }

    /// Whether somebody can join at `now`.
    pub fn has_room(&self, now: Timestamp) -> bool {
        self.stage == Stage::Open && now < self.ends_at && self.places.len() < self.size
    }

    fn place_of(&self, member: MemberId) -> Option<&GroupPlace> {
        self.places.iter().find(|place| place.member == member)
    }

    fn terms(&self, code: &str) -> GroupTerms {
        GroupTerms { code: code.to_owned(), ends_at: self.ends_at, percent: self.percent }
    }

    /// Full once every place has its order.
    fn settle_stage(&mut self) {
        let all = self.places.len() == self.size && self.joined() == self.size;
        if self.stage == Stage::Open && all {
            self.stage = Stage::Full;
        }
    }
}

/// A group, by its code.
pub async fn find(state: &AppState, code: &str) -> Result<Option<Group>, StoreError> {
    let record = read(state, code).await?;
    record.map(|(_, group)| Ok(group)).transpose()
}

async fn read(state: &AppState, code: &str) -> Result<Option<(Record, Group)>, StoreError> {
    let known = code.len() == CODE_BYTES * 2 && code.bytes().all(|byte| byte.is_ascii_hexdigit());
    if !known {
        return Ok(None);
    }
    let record = state.reader.record(KIND, code, state.clock()).await?;
    record.map(|record| Ok((record.clone(), record.read()?))).transpose()
}

fn unknown() -> Problem {
    Problem::not_found("unknown_group", "there is no such group; its link may be mistyped or old")
}

fn over(problem: &str) -> Problem {
    Refusal::new(RefusalCode::GroupOver, problem).into()
}

/// What a change of a group comes to; `None`: leave it as it is.
type Changed = Option<Group>;

/// Changes a group, as often as others are faster. Answers it as it is then.
async fn change(
    state: &AppState,
    code: &str,
    mut decide: impl FnMut(Group) -> Result<Changed, Problem>,
) -> Result<Group, Problem> {
    for _ in 0..TRIES {
        let (record, group) = read(state, code).await?.ok_or_else(unknown)?;
        let Some(changed) = decide(group.clone())? else { return Ok(group) };
        match write(state, record, &changed).await {
            Ok(()) => return Ok(changed),
            Err(CommandError::Conflict) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(CommandError::Conflict.into())
}

/// The subject of a group's record: when something is to be seen to in it next.
fn waits_until(state: &AppState, group: &Group) -> String {
    let now = state.engine.now();
    match group.stage {
        Stage::Open if group.places.iter().any(|place| place.leaving) => due::subject(now),
        Stage::Open => {
            // Places are dated by the machine's clock; the program's own may be set back.
            let ahead_ms = now.as_millis().saturating_sub(state.clock().as_millis());
            let without_order = group.places.iter().filter(|place| place.order.is_none());
            let cut_off = without_order.map(|place| place.since.plus_millis(CUT_OFF_MS.saturating_add(ahead_ms)));
            due::subject(cut_off.fold(group.ends_at, Ord::min))
        }
        Stage::Full | Stage::NotFull if group.places.iter().all(|place| place.told) => TOLD.to_owned(),
        Stage::Full | Stage::NotFull => due::subject(now),
    }
}

async fn write(state: &AppState, mut record: Record, group: &Group) -> Result<(), CommandError> {
    record.subject = waits_until(state, group);
    let written = record.with(group).map_err(|error| CommandError::Unavailable(error.to_string()))?;
    state.engine.write_records(vec![RecordChange::Put(written)], Vec::new()).await
}

/// Opens a group for a reward and takes the first place in it. The same key opens it once. Answers its code.
pub async fn open(
    state: &AppState,
    joiner: Joiner<'_>,
    reward_id: &str,
    key: &str,
) -> Result<(String, Group), Problem> {
    let digest = state.keys().digest("group", format!("{}|{reward_id}|{key}", joiner.member).as_bytes());
    let code: String = digest.iter().take(CODE_BYTES).map(|byte| format!("{byte:02x}")).collect();
    if read(state, &code).await?.is_none() {
        let (program, now) = (state.program(), state.engine.now());
        let reward = program.reward_at(reward_id, now).ok_or_else(|| {
            let shown: String = reward_id.chars().take(64).collect();
            Problem::from(Refusal::new(RefusalCode::UnknownReward, format!("there is no reward `{shown}`")))
        })?;
        let price = reward.price.group.as_ref().ok_or_else(|| {
            let problem = format!("reward `{reward_id}` has no price for groups");
            Problem::from(Refusal::new(RefusalCode::RewardNotOffered, problem))
        })?;
        let ends_at = now.plus_millis(price.hours.saturating_mul(HOUR_MS));
        let group = Group {
            reward_id: reward_id.to_owned(),
            size: usize::try_from(price.members).unwrap_or_default(),
            percent: price.percent,
            ends_at,
            stage: Stage::Open,
            opener: joiner.member,
            places: Vec::new(),
        };
        let kept = state.clock().plus_millis(price.hours.saturating_mul(HOUR_MS).saturating_add(KEPT_MS));
        let record = Record::new(KIND, &code, &waits_until(state, &group), &group)?.until(kept);
        match state.engine.write_records(vec![RecordChange::Put(record)], Vec::new()).await {
            // The same request came twice at once.
            Ok(()) | Err(CommandError::Conflict) => {}
            Err(error) => return Err(error.into()),
        }
    }
    let member = joiner.member;
    match join(state, joiner, &code).await {
        Ok(group) => Ok((code, group)),
        Err(problem) => {
            forget(state, &code, member).await?;
            Err(problem)
        }
    }
}

/// Deletes a group in which its opener did not get a place.
async fn forget(state: &AppState, code: &str, opener: MemberId) -> Result<(), Problem> {
    let Some((record, group)) = read(state, code).await? else { return Ok(()) };
    if group.opener != opener || !group.places.is_empty() {
        return Ok(());
    }
    match state.engine.write_records(vec![RecordChange::Delete(record)], Vec::new()).await {
        Ok(()) | Err(CommandError::Conflict) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Joins a group: takes a place and orders. Who is in it already stays so.
pub async fn join(state: &AppState, joiner: Joiner<'_>, code: &str) -> Result<Group, Problem> {
    let member = joiner.member;
    let group = change(state, code, |mut group| {
        if let Some(place) = group.place_of(member) {
            return if place.leaving {
                Err(over("you are leaving this group; join again in a moment"))
            } else {
                Ok(None)
            };
        }
        if group.stage != Stage::Open || state.engine.now() >= group.ends_at {
            return Err(over("the group is over; open one of your own"));
        }
        if group.places.len() >= group.size {
            return Err(over("the group is full; open one of your own"));
        }
        group.places.push(GroupPlace {
            member,
            place: format!("{:08x}", rand::random::<u32>()),
            at: joiner.place.clone(),
            channel: joiner.channel.to_owned(),
            actor: joiner.actor.clone(),
            order: None,
            since: state.clock(),
            leaving: false,
            told: false,
        });
        Ok(Some(group))
    })
    .await?;
    if group.order_of(member).is_some() {
        return Ok(group);
    }
    order(state, code, &group, member).await
}

/// Makes the order of a place that has none yet, or finds the one that was made. What is refused frees the place.
async fn order(state: &AppState, code: &str, group: &Group, member: MemberId) -> Result<Group, Problem> {
    let place = group.place_of(member).ok_or_else(unknown)?.clone();
    let now = state.engine.now();
    let figures = match state.program().reward_at(&group.reward_id, now) {
        Some(reward) => state.demand.figures(&state.reader, reward, now).await?,
        None => None,
    };
    let terms = (group.terms(code), place.place.as_str());
    let command = Command::join_group(member, now, &group.reward_id, terms, figures);
    // It goes to where the member has things sent.
    let command = order_choice::choose(state, command, (member, &group.reward_id), Said::default()).await?;
    let mut command = command.in_place(place.at.clone())?.from_channel(&place.channel);
    if let Some(actor) = &place.actor {
        command = command.by(actor.clone());
    }
    match scarcity::submit(state, command, Entry::Own).await {
        Ok(reply) => {
            let receipt: Receipt = serde_json::from_str(&reply.receipt)
                .map_err(|error| Problem::from(CommandError::Unavailable(error.to_string())))?;
            let made = receipt.order.map(|order| order.id);
            let group = change(state, code, |mut group| {
                let own = group.places.iter_mut().find(|known| known.place == place.place);
                let Some(own) = own.filter(|own| own.order.is_none()) else { return Ok(None) };
                own.order = made;
                group.settle_stage();
                Ok(Some(group))
            })
            .await?;
            if group.stage == Stage::Full {
                // Whatever does not come to its end here, the worker sees to.
                if let Err(problem) = worker::tell(state, code, &group).await {
                    tracing::warn!(problem.detail, "a full group waits for the worker");
                }
            }
            Ok(group)
        }
        Err(CommandError::Refused(refusal)) => {
            let frees = |mut group: Group| {
                let before = group.places.len();
                group.places.retain(|known| known.place != place.place || known.order.is_some());
                Ok((group.places.len() != before).then_some(group))
            };
            change(state, code, frees).await?;
            Err(refusal.into())
        }
        Err(error) => Err(error.into()),
    }
}

/// Frees the place of an order that was given back while its group was open: rejected, expired, or called off by the staff.
pub async fn given_back(state: &AppState, id: OrderId) -> Result<(), Problem> {
    change_that_of(state, id, |mut group| {
        let before = group.places.len();
        if group.stage == Stage::Open {
            group.places.retain(|place| place.order != Some(id));
        }
        Ok((group.places.len() != before).then_some(group))
    })
    .await
}

/// Lets an order be told anew how its group ended: it knows it no longer.
pub async fn tell_again(state: &AppState, id: OrderId) -> Result<(), Problem> {
    change_that_of(state, id, |mut group| {
        let place = group.places.iter_mut().find(|place| place.order == Some(id) && place.told);
        let Some(place) = place else { return Ok(None) };
        place.told = false;
        Ok(Some(group))
    })
    .await
}

/// Changes the group of an order, where it is kept still.
async fn change_that_of(
    state: &AppState,
    id: OrderId,
    decide: impl FnMut(Group) -> Result<Changed, Problem>,
) -> Result<(), Problem> {
    let order = state.reader.order(id).await?;
    let Some(companions) = order.and_then(|order| order.details.particulars.group) else { return Ok(()) };
    match read(state, &companions.code).await? {
        Some(_) => change(state, &companions.code, decide).await.map(drop),
        None => Ok(()),
    }
}

/// Leaves a group that is not full yet: the points come back, and the place is free.
pub async fn leave(state: &AppState, code: &str, member: MemberId) -> Result<Group, Problem> {
    let group = change(state, code, |mut group| {
        if group.stage != Stage::Open {
            return Err(over("the group is full or over, and cannot be left any more"));
        }
        let own = group.places.iter_mut().find(|place| place.member == member);
        let own = own.ok_or_else(|| over("you are not in this group"))?;
        if own.order.is_none() {
            return Err(over("your order is being made; try again in a moment"));
        }
        own.leaving = true;
        Ok(Some(group))
    })
    .await?;
    worker::free(state, code, &group).await
}
