//! Waiting rooms: who comes gets a place in the order of arrival. Those who come at the same moment get theirs in one write.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use axum::http::StatusCode;
use guerdon_core::id::MemberId;
use guerdon_core::rewards::{CompiledReward, Puzzle, Room, Ticket, WaitingPlace};
use guerdon_core::time::Timestamp;
use guerdon_store::{CommandError, StoreError};
use tokio::sync::oneshot;

use crate::AppState;
use crate::problem::Problem;

/// Places given in one write at the most.
const TOGETHER: usize = 500;
/// Members who wait for their place to be written at the most; who comes beyond that is told to come again.
const WAITING: usize = 20_000;

type Given = Result<WaitingPlace, CommandError>;

/// Those who wait for their place to be written, by room.
#[derive(Default)]
pub(super) struct Rooms {
    doors: Mutex<HashMap<(String, Timestamp), Arc<Door>>>,
}

/// The door of a room: who stands before it, in the order in which they came.
#[derive(Default)]
struct Door {
    waiting: Mutex<Vec<(MemberId, oneshot::Sender<Given>)>>,
    /// Whoever has the turn gives places to all who wait.
    turn: tokio::sync::Mutex<()>,
}

impl Rooms {
    fn door(&self, reward: &str, room: &Room) -> Arc<Door> {
        let mut doors = self.doors.lock().unwrap_or_else(PoisonError::into_inner);
        // A door that nobody holds has nobody before it.
        doors.retain(|_, door| Arc::strong_count(door) > 1);
        Arc::clone(doors.entry((reward.to_owned(), room.opens_at)).or_default())
    }
}

impl Door {
    fn queue(&self, member: MemberId) -> Result<oneshot::Receiver<Given>, Problem> {
        let (answer, place) = oneshot::channel();
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.len() >= WAITING {
            let detail = "too many come at this moment; try again in a second";
            return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", detail));
        }
        waiting.push((member, answer));
        Ok(place)
    }

    fn next(&self) -> Vec<(MemberId, oneshot::Sender<Given>)> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let count = waiting.len().min(TOGETHER);
        waiting.drain(..count).collect()
    }
}

/// The ticket of a member who has a place in a room.
pub async fn own_ticket(
    state: &AppState,
    member: MemberId,
    reward: &str,
    room: &Room,
) -> Result<Option<Ticket>, StoreError> {
    let place = state.reader.waiting_place(reward, room, member).await?;
    Ok(place.map(|place| ticket(member, reward, room, place)))
}

fn ticket(member_id: MemberId, reward: &str, room: &Room, place: WaitingPlace) -> Ticket {
    Ticket { member_id, reward_id: reward.to_owned(), opens_at: room.opens_at, place }
}

/// The waiting room of a reward.
pub fn room_of(offered: &CompiledReward) -> Result<&Room, Problem> {
    offered.waiting_room().ok_or_else(|| {
        let detail = format!("reward `{}` has no waiting room; order it as any other", offered.reward.id);
        Problem::not_found("no_waiting_room", detail)
    })
}

/// What a place in the room costs a member now.
pub fn puzzle(state: &AppState, member: MemberId, reward: &str, room: &Room, now: Timestamp) -> Puzzle {
    Puzzle::of(&state.keys(), room, (member, reward), now)
}

/// Gives a member a place, for work that was done; whoever has one that is not over keeps it.
pub async fn join(
    state: &AppState,
    member: MemberId,
    offered: &CompiledReward,
    nonce: Option<u64>,
    now: Timestamp,
) -> Result<Ticket, Problem> {
    let (room, reward) = (room_of(offered)?, offered.reward.id.as_str());
    if !room.is_queueing(now) {
        let detail = match now < room.queue_from {
            true => format!("places in the waiting room of reward `{reward}` are given from {} on", room.queue_from),
            false => format!("the waiting room of reward `{reward}` closed {}; order it as any other", room.closes_at),
        };
        return Err(Problem::new(StatusCode::CONFLICT, "waiting_room_closed", detail));
    }
    // Checked before anything is read: it costs a caller much and the server a microsecond.
    let solved = |nonce: u64| Puzzle::is_solved(&state.keys(), room, (member, reward), now, nonce);
    if room.difficulty > 0 && !nonce.is_some_and(solved) {
        let detail = format!(
            "`nonce` does not solve the puzzle: ask for it with `GET /v1/rewards/{reward}/waiting-room` for this member, and find \
             a number for which SHA-256 of `<challenge>:<number>` begins with {} zero bits; it is good for five minutes",
            room.difficulty
        );
        return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "work_not_done", detail));
    }
    let door = state.catalogue.scarce.rooms.door(reward, room);
    let mut place = door.queue(member)?;
    // Goes on also when its caller is gone: others wait for the places that it gives.
    tokio::spawn(give(state.clone(), Arc::clone(&door), reward.to_owned(), room.clone()));
    let given = (&mut place).await.map_err(|_| CommandError::Unavailable("try again in a second".to_owned()));
    Ok(ticket(member, reward, room, given.and_then(|given| given)?))
}

/// Gives places to those who stand before a door, unless somebody else has done so.
async fn give(state: AppState, door: Arc<Door>, reward: String, room: Room) {
    let _turn = door.turn.lock().await;
    let next = door.next();
    if next.is_empty() {
        return;
    }
    let members: Vec<MemberId> = next.iter().map(|(member, _)| *member).collect();
    let given = state.engine.give_places(&reward, &room, &members, state.engine.now()).await;
    for (index, (_, answer)) in next.into_iter().enumerate() {
        let place = match &given {
            Ok(places) => places.get(index).copied().ok_or_else(|| CommandError::Unavailable("try again".to_owned())),
            Err(error) => Err(error.clone()),
        };
        // Who is gone finds the place when they come again.
        drop(answer.send(place));
    }
}
