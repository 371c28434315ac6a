//! Groups of friends who order together and pay less: opened, joined, left, and full or not in time.
//!
//! A group is one record. Who joins first gets a place in it, by a write over the version that was read, so that there are never
//! more places than the price says, on however many nodes; then the order is made under a key of that place, once; then the
//! place names its order. What its member has chosen is kept with the place until then, sealed where it is personal, so that the
//! order is the same whoever makes it. Whatever was cut off in between, the worker takes from there ([`worker`]).

mod joining;
#[cfg(test)]
mod tests;
mod worker;

use guerdon_core::id::{MemberId, OrderId};
use guerdon_core::kernel::{GroupTerms, Refusal, RefusalCode, Tendering};
use guerdon_core::rewards::Place;
use guerdon_core::time::Timestamp;
use guerdon_store::{CommandError, Record, RecordChange, RecordQuery, StoreError};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

pub use joining::{Joiner, join, open};
pub use worker::group_worker;

use crate::AppState;
use crate::due;
use crate::order_choice::Chosen;
use crate::problem::Problem;

/// The kind of the records. The id is the code of the group, the subject when the worker has to see to it, by the program's clock.
const KIND: &str = "group";
/// How long a group is kept once it is over, in milliseconds (30 days).
const KEPT_MS: i64 = 30 * 86_400_000;
/// The subject of those that nobody has to see to any more: it comes behind all moments.
const TOLD: &str = "told";
/// A place without an order for longer than any request takes was cut off, in milliseconds.
const CUT_OFF_MS: i64 = 60_000;
/// How long until is looked again whether money is there, in milliseconds.
const UNPAID_MS: i64 = 3_000;
/// Bytes of the digest that make the code: nobody guesses one.
const CODE_BYTES: usize = 10;
/// Bytes of the digest that name the place of whoever opens a group.
const PLACE_BYTES: usize = 4;
/// Writes that are tried while others are faster.
const TRIES: usize = 20;
/// Groups that are read at once.
const PAGE: i64 = 200;
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
    /// A keyed digest of what its member asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    asked: Option<[u8; 32]>,
    /// Where the order was made.
    at: Place,
    channel: String,
    actor: Option<String>,
    /// What the member has chosen; where it goes to is sealed. `None`: the order has it, or the place was taken before members
    /// could choose.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    chosen: Option<Chosen>,
    /// How a part of it is paid in money; `None`: in points alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tendering: Option<Tendering>,
    order: Option<OrderId>,
    /// Whether the money of its order is not confirmed yet: until then it has not joined.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    unpaid: bool,
    /// When it was taken, by the machine's clock.
    since: Timestamp,
    #[serde(default)]
    leaving: bool,
    /// Whether its order knows how the group ended.
    #[serde(default)]
    told: bool,
}

impl Group {
    /// How many have joined, and their money is there or will be taken by hand.
    pub fn joined(&self) -> usize {
        self.places.iter().filter(|place| place.order.is_some() && !place.leaving && !place.unpaid).count()
    }

    /// The order of a member in it, whose accounts are [`accounts_of`].
    pub fn order_of(&self, accounts: &[MemberId]) -> Option<OrderId> {
        self.place_of(accounts).filter(|place| !place.leaving).and_then(|place| place.order)
    }

    /// Whether the money of a member's order in it is not confirmed yet.
    pub fn waits_for_money(&self, accounts: &[MemberId]) -> bool {
        self.place_of(accounts).is_some_and(|place| place.unpaid)
    }

    /// Whether somebody can join at `now`.
    pub fn has_room(&self, now: Timestamp) -> bool {
        self.stage == Stage::Open && now < self.ends_at && self.places.len() < self.size
    }

    fn place_of(&self, accounts: &[MemberId]) -> Option<&GroupPlace> {
        self.places.iter().find(|place| accounts.contains(&place.member))
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

/// The accounts under which a member may be in a group: their own, and those that were merged into it.
pub async fn accounts_of(state: &AppState, member: MemberId) -> Result<Vec<MemberId>, StoreError> {
    let account = state.reader.account(member).await?;
    Ok(account.into_iter().flat_map(|account| account.merged_from).chain([member]).collect())
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
            let unpaid = group.places.iter().filter(|place| place.unpaid).map(|_| now.plus_millis(UNPAID_MS));
            due::subject(cut_off.chain(unpaid).fold(group.ends_at, Ord::min))
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

/// Frees the place of an order that was given back while its group was open: rejected, expired, or called off by the staff.
pub async fn given_back(state: &AppState, id: OrderId) -> Result<(), Problem> {
    let order = state.reader.order(id).await?;
    let Some(companions) = order.and_then(|order| order.details.particulars.group) else { return Ok(()) };
    match read(state, &companions.code).await? {
        Some(_) => change(state, &companions.code, |group| Ok(without(group, id))).await.map(drop),
        None => Ok(()),
    }
}

/// Makes a group and an order one again whose database went back to before: the order is told anew how its group ended, it goes
/// back where its member had left, and the place of one that was never made is free.
pub async fn tell_again(state: &AppState, id: OrderId) -> Result<(), Problem> {
    let Some(order) = state.reader.order(id).await? else { return free_place_of(state, id).await };
    let Some(companions) = &order.details.particulars.group else { return Ok(()) };
    let Some((_, group)) = read(state, &companions.code).await? else { return Ok(()) };
    let is_its = |place: &GroupPlace| place.order == Some(id);
    // A place without an order may be its own: the worker finds it.
    let may_be_its = |place: &GroupPlace| place.order.is_none() && place.member == order.member_id;
    if !group.places.iter().any(|place| is_its(place) || may_be_its(place)) {
        return worker::give_back(state, id, LEFT).await;
    }
    let unpaid = order.details.particulars.payment.as_ref().is_some_and(|payment| !payment.lets_fulfil());
    let untold = |mut group: Group| {
        let is_open = group.stage == Stage::Open;
        let Some(place) = group.places.iter_mut().find(|place| is_its(place)) else { return Ok(None) };
        let as_it_was = !is_open || place.unpaid == unpaid;
        if !place.told && as_it_was {
            return Ok(None);
        }
        place.told = false;
        place.unpaid = if is_open { unpaid } else { place.unpaid };
        Ok(Some(group))
    };
    change(state, &companions.code, untold).await.map(drop)
}

/// Frees the place of an order that is not there any more, whose group is known by nothing else than that.
async fn free_place_of(state: &AppState, id: OrderId) -> Result<(), Problem> {
    let mut query = RecordQuery { kind: KIND.to_owned(), subject: None, after: None, limit: PAGE };
    loop {
        let records = state.reader.records(&query, state.clock()).await?;
        for record in &records {
            let Ok(group) = record.read::<Group>() else { continue };
            if group.places.iter().any(|place| place.order == Some(id)) {
                return change(state, &record.id, |group| Ok(without(group, id))).await.map(drop);
            }
        }
        match records.last() {
            Some(last) if records.len() as i64 == PAGE => query.after = Some(last.id.clone()),
            _ => return Ok(()),
        }
    }
}

/// A group that is open without the place of an order; `None`: it has none.
fn without(mut group: Group, id: OrderId) -> Changed {
    let before = group.places.len();
    if group.stage == Stage::Open {
        group.places.retain(|place| place.order != Some(id));
    }
    (group.places.len() != before).then_some(group)
}

/// Leaves a group that is not full yet: the points come back, and the place is free.
pub async fn leave(state: &AppState, code: &str, member: MemberId) -> Result<Group, Problem> {
    let accounts = accounts_of(state, member).await?;
    let group = change(state, code, |mut group| {
        if group.stage != Stage::Open {
            return Err(over("the group is full or over, and cannot be left any more"));
        }
        let own = group.places.iter_mut().find(|place| accounts.contains(&place.member));
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
