//! The waiting room of a reward, for members: a place for a little work, and how far it is.

use askama::Template;
use axum::extract::{Form, Path, State};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use guerdon_core::rewards::{CompiledReward, Hidden, Puzzle, Room, Ticket};
use guerdon_core::time::Timestamp;
use serde::Deserialize;
use std::sync::Arc;

use super::own::{Own, Sight, own};
use super::trouble::{OrTrouble, PortalError};
use crate::AppState;
use crate::console::{Frame, render};
use crate::scarcity::rooms;

/// Lets htmx load the page anew, or another one.
const REFRESH: HeaderName = HeaderName::from_static("hx-refresh");

/// How far a member is.
struct Turn {
    number: String,
    ahead: String,
    wait: String,
    /// Whether it is their turn, and until when.
    admitted: Option<String>,
}

/// What a place costs.
struct Work {
    challenge: String,
    difficulty: u32,
}

#[derive(Template)]
#[template(path = "portal/waiting.html")]
struct WaitingPage {
    frame: Frame,
    place: &'static str,
    address: String,
    name: String,
    /// When the sale begins, or that it has.
    when: String,
    turn: Option<Turn>,
    /// Where there is no place yet; none: no places are given yet.
    work: Option<Work>,
    trouble: Option<String>,
}

#[derive(Template)]
#[template(path = "portal/waiting_turn.html")]
struct TurnPart {
    frame: Frame,
    address: String,
    turn: Option<Turn>,
}

/// What a member sees of a room.
struct Seen {
    offered: Arc<CompiledReward>,
    room: Room,
    ticket: Option<Ticket>,
    now: Timestamp,
}

async fn seen(frame: &Frame, state: &AppState, own: &Own, id: &str) -> Result<Seen, PortalError> {
    let (program, sight) = (state.program(), Sight::now(state));
    let (viewer, now) = (sight.viewer(&program, own), sight.at);
    let offered = program.offered_at(id, now).ok_or_else(|| PortalError::not_found(frame))?;
    let room = offered.waiting_room().ok_or_else(|| PortalError::not_found(frame))?;
    // Before the reward is listed there may be a queue for it already, for those who were told.
    let queues = |from: Timestamp| room.queue_from <= now && now < from;
    match viewer.sees(offered) {
        Ok(()) => {}
        Err(Hidden::NotYet(from)) if queues(from) => {}
        Err(_) => return Err(PortalError::not_found(frame)),
    }
    let ticket = rooms::own_ticket(state, own.id, id, room).await.or_trouble(frame)?;
    Ok(Seen { offered: Arc::clone(offered), room: room.clone(), ticket, now })
}

impl Seen {
    /// The place, as long as it is good.
    fn good(&self) -> Option<&Ticket> {
        self.ticket.as_ref().filter(|ticket| self.now < self.room.good_until(&ticket.place))
    }

    fn turn(&self, frame: &Frame) -> Option<Turn> {
        let ticket = self.good()?;
        let (ahead, wait_ms) = self.room.ahead(&ticket.place, self.now);
        let seconds = (wait_ms + 999) / 1_000;
        let number = |number: i64| crate::console::plain_number(number);
        let wait = [("minutes", (seconds / 60).into()), ("seconds", (seconds % 60).into())];
        Some(Turn {
            number: number(ticket.place.number),
            ahead: frame.say("waiting-ahead", [("count", ahead.into()), ("shown", number(ahead).into())]),
            wait: frame.say("waiting-wait", wait),
            admitted: (wait_ms == 0).then(|| {
                let until = frame.time(self.room.good_until(&ticket.place));
                frame.say_text("waiting-until", "at", &until)
            }),
        })
    }

    fn when(&self, frame: &Frame) -> String {
        match self.now {
            now if now < self.room.queue_from => {
                frame.say_text("waiting-from", "at", &frame.time(self.room.queue_from))
            }
            now if now < self.room.opens_at => frame.say_text("waiting-opens", "at", &frame.time(self.room.opens_at)),
            _ => frame.t("waiting-open"),
        }
    }
}

fn address(id: &str) -> String {
    format!("/portal/rewards/{id}")
}

/// `/portal/rewards/{id}/wait`
pub async fn page(
    frame: Frame,
    State(state): State<AppState>,
    Path(id): Path<String>,
) -> Result<Response, PortalError> {
    let own = own(&state, &frame).await?;
    let seen = seen(&frame, &state, &own, &id).await?;
    if seen.now >= seen.room.closes_at {
        return Ok(Redirect::to(&address(&id)).into_response());
    }
    Ok(show(frame, &state, &own, &seen, None))
}

fn show(frame: Frame, state: &AppState, own: &Own, seen: &Seen, trouble: Option<String>) -> Response {
    let id = &seen.offered.reward.id;
    let turn = seen.turn(&frame);
    let asks = turn.is_none() && seen.room.is_queueing(seen.now);
    let work = asks.then(|| {
        let Puzzle { challenge, difficulty } = rooms::puzzle(state, own.id, id, &seen.room, seen.now);
        Work { challenge, difficulty }
    });
    let over = seen.ticket.as_ref().filter(|_| turn.is_none()).map(|ticket| {
        let at = frame.time(seen.room.good_until(&ticket.place));
        frame.say_text("waiting-over", "at", &at)
    });
    render(&WaitingPage {
        place: "rewards",
        address: address(id),
        name: seen.offered.reward.name.get(frame.language.tag()).to_owned(),
        when: seen.when(&frame),
        turn,
        work,
        trouble: trouble.or(over),
        frame,
    })
}

/// The form of a place.
#[derive(Deserialize)]
pub struct JoinForm {
    #[serde(default)]
    nonce: String,
}

/// Takes a place.
pub async fn join(
    frame: Frame,
    State(state): State<AppState>,
    Path(id): Path<String>,
    Form(form): Form<JoinForm>,
) -> Result<Response, PortalError> {
    let own = own(&state, &frame).await?;
    let seen = seen(&frame, &state, &own, &id).await?;
    match rooms::join(&state, own.id, &seen.offered, form.nonce.parse().ok(), seen.now).await {
        Ok(_) => Ok(Redirect::to(&format!("{}/wait", address(&id))).into_response()),
        Err(_) => {
            let words = frame.t("waiting-again");
            let mut response = show(frame, &state, &own, &seen, Some(words));
            *response.status_mut() = StatusCode::UNPROCESSABLE_ENTITY;
            Ok(response)
        }
    }
}

/// How far the member is: the part of the page that keeps itself up to date.
pub async fn turn(
    frame: Frame,
    State(state): State<AppState>,
    Path(id): Path<String>,
) -> Result<Response, PortalError> {
    let own = own(&state, &frame).await?;
    let seen = seen(&frame, &state, &own, &id).await?;
    let turn = seen.turn(&frame);
    // Places are given by now, or a place is over: there is something to do.
    let stale = turn.is_none() && seen.room.is_queueing(seen.now) || seen.now >= seen.room.closes_at;
    let mut response = render(&TurnPart { address: address(&id), turn, frame });
    if stale {
        response.headers_mut().insert(REFRESH, HeaderValue::from_static("true"));
    }
    Ok(response)
}

/// Whether an order of a member for a reward goes through a waiting room in which it is not their turn.
pub async fn must_wait(
    state: &AppState,
    own: &Own,
    offered: &CompiledReward,
) -> Result<bool, guerdon_store::StoreError> {
    let now = state.engine.now();
    let Some(room) = offered.waiting_room().filter(|room| room.is_open(now)) else { return Ok(false) };
    let ticket = rooms::own_ticket(state, own.id, &offered.reward.id, room).await?;
    Ok(room.admits(ticket.as_ref(), (own.id, &offered.reward.id), now).is_err())
}
