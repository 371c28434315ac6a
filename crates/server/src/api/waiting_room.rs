//! The waiting room of a flash sale: the puzzle, a place, and how far it is.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use guerdon_core::id::MemberId;
use guerdon_core::kernel::check_active;
use guerdon_core::rewards::{Puzzle, Room, Ticket};
use guerdon_core::time::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::extract::{Body, Params, Path, id};
use super::members::unknown_member;
use super::stock::offered;
use crate::AppState;
use crate::problem::Problem;
use crate::scarcity::rooms;

pub(super) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(get, join)).routes(routes!(place))
}

/// The waiting room of a reward.
#[derive(Serialize, ToSchema)]
struct RoomView {
    /// `closed`: no places are given yet; `queueing`: places are given, and nobody is let in yet; `open`: members are let in, and
    /// an order needs a place; `over`: an order needs none any more.
    state: &'static str,
    /// From when on places are given.
    #[schema(value_type = String, format = DateTime)]
    queue_from: Timestamp,
    /// From when on members are let in.
    #[schema(value_type = String, format = DateTime)]
    opens_at: Timestamp,
    /// When it is over; left out: it is not said.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    closes_at: Option<Timestamp>,
    /// How many places were given.
    given: i64,
    /// What a place costs the member; left out: nobody was named, or it costs nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    puzzle: Option<PuzzleView>,
}

/// What a place costs: a number is to be found for which SHA-256 of `<challenge>:<number>` begins with zero bits.
#[derive(Serialize, ToSchema)]
struct PuzzleView {
    /// The text, of this member alone; good for five minutes at the least.
    challenge: String,
    /// How many zero bits.
    #[schema(example = 16)]
    difficulty: u32,
}

/// A place in a waiting room.
#[derive(Serialize, ToSchema)]
struct PlaceView {
    /// What an order brings as `waiting_ticket`: opaque, and only for this member and reward.
    ticket: String,
    /// The number of the place, in the order of arrival.
    number: i64,
    /// How many are let in before.
    ahead: i64,
    /// After how many seconds it is the member's turn; 0: now.
    wait_seconds: i64,
    /// Whether the member may order now.
    admitted: bool,
    /// When it is the member's turn.
    #[schema(value_type = String, format = DateTime)]
    admitted_at: Timestamp,
    /// Until when; then another place is needed.
    #[schema(value_type = String, format = DateTime)]
    good_until: Timestamp,
}

impl PlaceView {
    fn new(state: &AppState, room: &Room, ticket: &Ticket, now: Timestamp) -> Self {
        let (ahead, wait_ms) = room.ahead(&ticket.place, now);
        Self {
            ticket: ticket.seal(&state.keys()),
            number: ticket.place.number,
            ahead,
            // Rounded up, so that nobody comes back too early.
            wait_seconds: (wait_ms + 999) / 1_000,
            admitted: room.admits(Some(ticket), (ticket.member_id, &ticket.reward_id), now).is_ok(),
            admitted_at: ticket.place.admitted_at,
            good_until: room.good_until(&ticket.place),
        }
    }
}

/// The state of a room in a word.
fn state_name(room: &Room, now: Timestamp) -> &'static str {
    match now {
        now if now < room.queue_from => "closed",
        now if now < room.opens_at => "queueing",
        now if now < room.closes_at => "open",
        _ => "over",
    }
}

async fn active(state: &AppState, text: &str) -> Result<MemberId, Problem> {
    let found = state.reader.resolve(id::<MemberId>(text)?).await?;
    let (member, account) = found.ok_or_else(|| unknown_member(text))?;
    check_active(member, account.status)?;
    Ok(member)
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct RoomParams {
    /// The member who wants a place: the puzzle is theirs alone.
    member_id: Option<String>,
}

/// Get the waiting room of a reward, and the puzzle that a place costs a member.
#[utoipa::path(get, path = "/v1/rewards/{reward_id}/waiting-room", tag = "rewards",
    security(("key" = ["orders:write"])), params(("reward_id" = String, Path), RoomParams),
    responses((status = 200, body = RoomView), (status = 404, description = "`unknown_reward` or `no_waiting_room`", body = Problem)))]
async fn get(
    State(state): State<AppState>,
    Path(reward_id): Path<String>,
    Params(params): Params<RoomParams>,
) -> Result<Json<RoomView>, Problem> {
    let (offered, now) = (offered(&state, &reward_id)?, state.engine.now());
    let room = rooms::room_of(&offered)?;
    // Nobody has it before the others.
    let has_puzzle = room.difficulty > 0 && room.is_queueing(now);
    let puzzle = match params.member_id.as_deref().filter(|_| has_puzzle) {
        None => None,
        Some(text) => {
            let member = active(&state, text).await?;
            let Puzzle { challenge, difficulty } = rooms::puzzle(&state, member, &reward_id, room, now);
            Some(PuzzleView { challenge, difficulty })
        }
    };
    let line = state.reader.waiting_line(&reward_id, room).await?;
    Ok(Json(RoomView {
        state: state_name(room, now),
        queue_from: room.queue_from,
        opens_at: room.opens_at,
        closes_at: Some(room.closes_at).filter(|at| *at != Timestamp::NEVER),
        given: line.given,
        puzzle,
    }))
}

/// Somebody who comes to a waiting room.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct JoinRequest {
    /// `mem_…`.
    member_id: String,
    /// The number that solves the member's puzzle; left out where a place costs nothing.
    nonce: Option<u64>,
}

/// Ask for a place in a waiting room. Places are given in the order of arrival; whoever has one that is not over gets the
/// same again.
#[utoipa::path(post, path = "/v1/rewards/{reward_id}/waiting-room", tag = "rewards",
    security(("key" = ["orders:write"])), request_body = JoinRequest, params(("reward_id" = String, Path)),
    responses((status = 200, body = PlaceView),
        (status = 404, description = "`unknown_reward`, `unknown_member` or `no_waiting_room`", body = Problem),
        (status = 409, description = "`waiting_room_closed`, or the account is", body = Problem),
        (status = 422, description = "`work_not_done`", body = Problem)))]
async fn join(
    State(state): State<AppState>,
    Path(reward_id): Path<String>,
    Body(request): Body<JoinRequest>,
) -> Result<Json<PlaceView>, Problem> {
    let (offered, now) = (offered(&state, &reward_id)?, state.engine.now());
    let member = active(&state, &request.member_id).await?;
    let ticket = rooms::join(&state, member, &offered, request.nonce, now).await?;
    Ok(Json(PlaceView::new(&state, rooms::room_of(&offered)?, &ticket, state.engine.now())))
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct PlaceParams {
    /// The `ticket` of the place.
    #[param(max_length = 512)]
    ticket: String,
}

/// Get how far a place in a waiting room is.
#[utoipa::path(get, path = "/v1/rewards/{reward_id}/waiting-room/place", tag = "rewards",
    security(("key" = ["orders:write"])), params(("reward_id" = String, Path), PlaceParams),
    responses((status = 200, body = PlaceView), (status = 404, body = Problem),
        (status = 422, description = "`ticket_altered`", body = Problem)))]
async fn place(
    State(state): State<AppState>,
    Path(reward_id): Path<String>,
    Params(params): Params<PlaceParams>,
) -> Result<Json<PlaceView>, Problem> {
    let offered = offered(&state, &reward_id)?;
    let room = rooms::room_of(&offered)?;
    let ticket = Ticket::open(&state.keys(), &params.ticket);
    let ticket = ticket.filter(|ticket| ticket.reward_id == reward_id && ticket.opens_at == room.opens_at);
    let ticket = ticket.ok_or_else(|| {
        let detail = format!(
            "`ticket` is none of this waiting room; ask for a place with `POST /v1/rewards/{reward_id}/waiting-room`"
        );
        Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "ticket_altered", detail)
    })?;
    Ok(Json(PlaceView::new(&state, room, &ticket, state.engine.now())))
}
