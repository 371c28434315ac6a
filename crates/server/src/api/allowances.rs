//! Points that tills spend without network: fetched before, told afterwards.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use guerdon_core::id::{MemberId, OrderId};
use guerdon_core::identity::Permission;
use guerdon_core::kernel::{AllowanceRequest, Command, OfflineSpending, Receipt, Refusal, RefusalCode};
use guerdon_core::limits;
use guerdon_core::members::CardKey;
use guerdon_core::redemption::{Allowance, AllowanceError, AllowanceText, Order, OrderState};
use guerdon_core::time::Timestamp;
use guerdon_store::CommandError;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::activities::{BatchResponse, batch_result, refused};
use super::cards::named_member;
use super::checkouts::number_used;
use super::extract::Body;
use crate::AppState;
use crate::acts::mover;
use crate::identity::actor::Actor;
use crate::problem::Problem;

/// How often another number is tried when two terminals ask at the same moment.
const TRIES: usize = 5;

pub(super) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(fetch)).routes(routes!(upload))
}

/// An allowance that a terminal fetches.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct FetchRequest {
    /// `mem_…`; or give `external_id` or `card`.
    member_id: Option<String>,
    /// The brand's own number of the member.
    external_id: Option<String>,
    /// The member's card: the text of its QR code, or the number of its bar code.
    card: Option<String>,
    /// In which store.
    store: String,
    /// For which terminal alone; at most 64 bytes.
    terminal: String,
    /// How many points at the most; left out: as many as the program grants.
    points: Option<i64>,
}

/// Points that a terminal may spend without network.
#[derive(Serialize, ToSchema)]
struct AllowanceView {
    /// `ord_…`
    allowance_id: String,
    /// `mem_…`
    member_id: String,
    /// In which store.
    store: String,
    /// At which terminal alone.
    terminal: String,
    /// How many.
    points: i64,
    /// What they pay, in minor units of money.
    money: i64,
    /// Until when, RFC 3339.
    ends_at: String,
    /// The signed text that the terminal keeps, and sends back with what it has spent.
    allowance: String,
}

fn view(state: &AppState, (member, order): (MemberId, OrderId), allowance: &Allowance) -> AllowanceView {
    // The program's own clock may be set back; the terminal goes by the machine's.
    // Both are read one after the other: whole seconds, so that asking again gets the same text.
    let ahead = state.clock().as_millis() - state.engine.now().as_millis();
    let ends_at = allowance.ends_at.plus_millis((ahead + 500).div_euclid(1_000) * 1_000);
    let ends_at = Timestamp::from_millis(ends_at.as_millis().div_euclid(1_000) * 1_000);
    let (granted, store, terminal) = (allowance.granted, allowance.store.clone(), allowance.terminal.clone());
    let text = AllowanceText { member, order, granted, ends_at, store, terminal };
    AllowanceView {
        allowance_id: order.to_string(),
        member_id: member.to_string(),
        store: allowance.store.clone(),
        terminal: allowance.terminal.clone(),
        points: granted.points,
        money: granted.money,
        ends_at: ends_at.to_string(),
        allowance: text.sign(&CardKey::of(&state.keys())),
    }
}

/// Fetch an allowance: points of a member that a terminal may spend without network. As long as one of the same terminal and the
/// same number of points is good and untouched, asking again gets the same (200).
#[utoipa::path(post, path = "/v1/allowances", tag = "checkouts",
    security(("key" = ["checkouts:write@store"])), request_body = FetchRequest,
    responses((status = 201, body = AllowanceView), (status = 200, body = AllowanceView), (status = 404, body = Problem),
        (status = 409, description = "`checkout_not_offered`, `insufficient_points`, or `cap_reached`: other terminals have the \
            member's allowances", body = Problem),
        (status = 422, body = Problem)))]
async fn fetch(
    State(state): State<AppState>,
    actor: Actor,
    Body(request): Body<FetchRequest>,
) -> Result<Response, Problem> {
    actor.require_at(Permission::CheckoutsWrite, Some(&request.store))?;
    let FetchRequest { member_id, external_id, card, store, terminal, points } = request;
    let member = named_member(&state, member_id.as_deref(), external_id.as_deref(), card.as_deref()).await?;
    let mut overtaken = Refusal::new(RefusalCode::IdempotencyMismatch, "other terminals ask for the same member");
    for _ in 0..TRIES {
        let latest = state.reader.latest_allowance(member).await?;
        let account = state.reader.account(member).await?;
        let kept = account.iter().flat_map(|account| &account.lent);
        let ids: Vec<OrderId> =
            kept.chain(latest.iter().flat_map(|latest| &latest.live)).map(|granted| granted.order).collect();
        let orders = state.reader.orders(&ids).await?;
        if let Some((order, known)) = untouched(&orders, (&store, &terminal), points, state.engine.now()) {
            return Ok(Json(view(&state, (member, order), known)).into_response());
        }
        let number = latest.map_or(0, |latest| latest.number) + 1;
        let wanted = AllowanceRequest { store: store.clone(), terminal: terminal.clone(), points, number };
        let command = Command::grant_allowance(member, state.engine.now(), wanted)?.by(actor.name());
        match state.engine.submit_one(command).await {
            // Another terminal was faster with this number.
            Err(CommandError::Refused(refusal)) if matches!(refusal.code, RefusalCode::IdempotencyMismatch) => {
                overtaken = refusal;
            }
            outcome => {
                let receipt: Option<Receipt> = serde_json::from_str(&outcome?.receipt).ok();
                let order = receipt.and_then(|receipt| receipt.order);
                let Some(order) = order else { continue };
                if let Some(Order { details, .. }) = state.reader.order(order.id).await?
                    && let Some(allowance) = details.particulars.allowance
                {
                    return Ok(
                        (StatusCode::CREATED, Json(view(&state, (member, order.id), &allowance))).into_response()
                    );
                }
            }
        }
    }
    Err(overtaken.into())
}

/// An allowance of a terminal that is good and of which nothing was spent.
fn untouched<'a>(
    orders: &'a BTreeMap<OrderId, Order>,
    place: (&str, &str),
    points: Option<i64>,
    now: Timestamp,
) -> Option<(OrderId, &'a Allowance)> {
    let of = |order: &'a Order| Some((order.id, order.details.particulars.allowance.as_ref()?, order.state));
    orders.values().filter_map(of).find_map(|(id, allowance, state)| {
        let is_its = (allowance.store.as_str(), allowance.terminal.as_str()) == place;
        let is_good = state == OrderState::Placed && allowance.ends_at > now && allowance.spent.is_empty();
        let is_enough = points.is_none_or(|points| points == allowance.granted.points);
        (is_its && is_good && is_enough).then_some((id, allowance))
    })
}

/// What a terminal has spent without network.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct UploadRequest {
    /// In which store.
    store: String,
    /// Which terminal has spent it.
    terminal: String,
    /// At most 200.
    spendings: Vec<SpendingRequest>,
}

/// Points that a terminal has spent without network.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct SpendingRequest {
    /// The terminal's own number of it, 1 to 64 characters; sent again it is the same. It is also the `reference` by which it
    /// is reversed, with the `terminal` where others of the store have used the same number.
    #[schema(example = "till-3-000007")]
    id: String,
    /// The signed text of the allowance.
    allowance: String,
    /// How many points.
    points: i64,
    /// What the whole basket cost, in minor units of money.
    basket: i64,
    /// When, by the terminal's clock, RFC 3339.
    spent_at: String,
}

/// Tell what a terminal has spent without network: each spending is charged by itself, once. What goes beyond its allowance, or
/// is not there, is treated as the program says, and becomes a task of the staff.
#[utoipa::path(post, path = "/v1/allowances/uploads", tag = "checkouts",
    security(("key" = ["checkouts:write@store"])), request_body = UploadRequest,
    responses((status = 200, description = "In the order of the spendings: the receipt, whose order's `offline` says what was \
            charged, or the problem", body = BatchResponse),
        (status = 400, body = Problem)))]
async fn upload(
    State(state): State<AppState>,
    actor: Actor,
    Body(request): Body<UploadRequest>,
) -> Result<Json<BatchResponse>, Problem> {
    actor.require_at(Permission::CheckoutsWrite, Some(&request.store))?;
    let count = request.spendings.len();
    if !(1..=limits::OFFLINE_UPLOADS).contains(&count) {
        let detail = format!("`spendings` must hold 1 to {}, not {count}", limits::OFFLINE_UPLOADS);
        return Err(Problem::bad_request("invalid_request", detail));
    }
    let (mut results, mut commands) = (Vec::with_capacity(count), Vec::with_capacity(count));
    let mut told = BTreeMap::new();
    for spending in request.spendings {
        // The database knows nothing yet of what comes with it.
        if told.entry(spending.id.clone()).or_insert_with(|| spending.allowance.clone()) != &spending.allowance {
            results.push(Some(refused(number_used("this `id` was used for another allowance"))));
            continue;
        }
        match prepare(&state, &actor, (&request.store, &request.terminal), spending).await {
            Ok(command) => {
                commands.push(command);
                results.push(None);
            }
            Err(problem) => results.push(Some(refused(problem))),
        }
    }
    let mut outcomes = state.engine.submit(commands).await.into_iter();
    let results = results.into_iter().filter_map(|result| result.or_else(|| outcomes.next().map(batch_result)));
    Ok(Json(BatchResponse::of(results.collect())))
}

async fn prepare(
    state: &AppState,
    actor: &Actor,
    (store, terminal): (&str, &str),
    spending: SpendingRequest,
) -> Result<Command, Problem> {
    let text = AllowanceText::open(&CardKey::of(&state.keys()).public(), &spending.allowance)?;
    let order = state
        .reader
        .order(text.order)
        .await?
        .ok_or_else(|| Problem::not_found("unknown_allowance", format!("there is no allowance {}", text.order)))?;
    let spent_at = Timestamp::parse_rfc3339(&spending.spent_at).map_err(|problem| {
        Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_request", format!("`spent_at`: {problem}"))
    })?;
    let known = state.reader.checkouts(store, &spending.id).await?;
    let tenders = known.iter().filter_map(|order| order.details.particulars.tender.as_ref());
    let mut of_terminal = tenders.filter(|tender| tender.terminal.as_deref().is_none_or(|of| of == terminal));
    if of_terminal.any(|tender| tender.allowance != Some(order.id)) {
        return Err(number_used("this `id` was used by the terminal for another checkout or allowance"));
    }
    let now = state.engine.now();
    let spent = OfflineSpending {
        order: order.id,
        owner: order.member_id,
        id: spending.id,
        store: store.to_owned(),
        terminal: terminal.to_owned(),
        points: spending.points,
        basket: spending.basket,
        at: spent_at.plus_millis(now.as_millis() - state.clock().as_millis()),
    };
    Ok(Command::charge_offline(mover(state, &order).await?, now, spent)?.by(actor.name()))
}

impl From<AllowanceError> for Problem {
    fn from(error: AllowanceError) -> Self {
        let code = match error {
            AllowanceError::Unreadable => "allowance_unreadable",
            AllowanceError::Forged => "allowance_forged",
        };
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, code, error.to_string())
    }
}
