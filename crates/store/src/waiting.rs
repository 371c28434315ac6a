//! Places in waiting rooms: given once, in the order in which they were asked for, on however many nodes. They are records
//! that end with the place; one record of a room says how far its places are given, and every write names its version.

use std::collections::BTreeMap;
use std::time::Duration;

use guerdon_core::id::MemberId;
use guerdon_core::rewards::{Line, Room, WaitingPlace};
use guerdon_core::time::Timestamp;
use rand::RngExt;

use crate::engine::system_now;
use crate::read::{Read, Reader};
use crate::{CommandError, EngineHandle, Record, RecordChange, Store, StoreError};

/// How far the places of a room are given.
const LINE: &str = "waiting_line";
/// A member's place in a room.
const PLACE: &str = "waiting_place";
/// How often places are given again because another node was faster.
const TRIES: usize = 64;
/// For how long a place is remembered after it is over, and a room after it was last asked for.
const REMEMBERED_MS: i64 = 24 * 60 * 60 * 1000;

/// The name of a room: a later one of the same reward is another.
fn room_name(reward_id: &str, room: &Room) -> String {
    format!("{reward_id}@{}", room.opens_at.as_millis())
}

fn place_name(reward_id: &str, room: &Room, member: MemberId) -> String {
    format!("{}/{member}", room_name(reward_id, room))
}

impl EngineHandle {
    /// Gives members places in the waiting room of a reward, in their order; whoever has a place that is not over keeps it.
    pub async fn give_places(
        &self,
        reward_id: &str,
        room: &Room,
        members: &[MemberId],
        now: Timestamp,
    ) -> Result<Vec<WaitingPlace>, CommandError> {
        for _ in 0..TRIES {
            let (reward, room, members) = (reward_id.to_owned(), room.clone(), members.to_vec());
            let given = self
                .run_with_ids(move |store, ids| {
                    let (places, changes) = places(store, &reward, &room, &members, now)?;
                    if !changes.is_empty() {
                        store.write_records(&changes, &[], system_now(), ids)?;
                    }
                    Ok(places)
                })
                .await;
            match given {
                Err(CommandError::Conflict) => {
                    // Not all nodes at the same moment again.
                    let pause = rand::rng().random_range(1..20);
                    tokio::time::sleep(Duration::from_millis(pause)).await;
                }
                given => return given,
            }
        }
        Err(CommandError::Unavailable("the waiting room is busy; try again in a second".to_owned()))
    }
}

/// The places of some members, and what is to be written for those who had none.
fn places(
    store: &mut dyn Store,
    reward_id: &str,
    room: &Room,
    members: &[MemberId],
    now: Timestamp,
) -> Result<(Vec<WaitingPlace>, Vec<RecordChange>), StoreError> {
    let (name, clock) = (room_name(reward_id, room), system_now());
    // Records end by the machine's clock; the program's own may be set back.
    let ends = |after_ms: i64| clock.plus_millis(after_ms.saturating_add(REMEMBERED_MS));
    let known = store.record(LINE, &name, clock)?;
    let mut line: Line = known.as_ref().map(Record::read).transpose()?.unwrap_or_default();
    let mut given: BTreeMap<MemberId, WaitingPlace> = BTreeMap::new();
    let mut changes = Vec::new();
    for member in members {
        if given.contains_key(member) {
            continue;
        }
        let id = place_name(reward_id, room, *member);
        let before = store.record(PLACE, &id, clock)?;
        let held: Option<WaitingPlace> = before.as_ref().map(Record::read).transpose()?;
        if let Some(place) = held.filter(|place| now < room.good_until(place)) {
            given.insert(*member, place);
            continue;
        }
        let place = room.give(&mut line, now);
        let record = match before {
            Some(before) => before.with(&place)?,
            None => Record::new(PLACE, &id, &name, &place)?,
        };
        let wait = room.good_until(&place).as_millis().saturating_sub(now.as_millis());
        changes.push(RecordChange::Put(record.until(ends(wait))));
        given.insert(*member, place);
    }
    if !changes.is_empty() {
        let record = match known {
            Some(known) => known.with(&line)?,
            None => Record::new(LINE, &name, reward_id, &line)?,
        };
        // As long as there may be places that it numbers.
        let wait = (line.next_us / 1_000).saturating_sub(now.as_millis()).max(0).saturating_add(room.admitted_ms);
        // First, so that another node waits for this one before it has written anything.
        changes.insert(0, RecordChange::Put(record.until(ends(wait))));
    }
    Ok((members.iter().filter_map(|member| given.get(member).copied()).collect(), changes))
}

impl Reader {
    /// The place of a member in the waiting room of a reward, also where it is over.
    pub async fn waiting_place(&self, reward_id: &str, room: &Room, member: MemberId) -> Read<Option<WaitingPlace>> {
        let found = self.record(PLACE, &place_name(reward_id, room, member), system_now()).await?;
        found.map(|record| record.read()).transpose()
    }

    /// How far the places of a room are given.
    pub async fn waiting_line(&self, reward_id: &str, room: &Room) -> Read<Line> {
        let found = self.record(LINE, &room_name(reward_id, room), system_now()).await?;
        found.map_or(Ok(Line::default()), |record| record.read())
    }
}
