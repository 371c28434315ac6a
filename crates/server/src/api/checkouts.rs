//! Points as part of a checkout: authorise, capture, reverse, all by the till's own number.

use std::future::Future;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use guerdon_core::id::MemberId;
use guerdon_core::identity::Permission;
use guerdon_core::kernel::{Authorisation, Command, RefusalCode, Share, TenderChange};
use guerdon_core::redemption::{Order, Paid, Tender};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::cards::named_member;
use super::extract::{Body, Params, receipt};
use crate::AppState;
use crate::acts::mover;
use crate::identity::actor::Actor;
use crate::problem::Problem;

/// How long a till waits for an answer at the most. A little of the two seconds is left for the way.
const BUDGET: Duration = Duration::from_millis(1_800);

pub(super) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(authorise, get)).routes(routes!(capture)).routes(routes!(reverse))
}

/// A checkout of which points are to pay a part.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct AuthoriseRequest {
    /// `mem_…`; or give `external_id` or `card`.
    member_id: Option<String>,
    /// The brand's own number of the member.
    external_id: Option<String>,
    /// The member's card: the text of its QR code, or the number of its bar code.
    card: Option<String>,
    /// In which store.
    store: String,
    /// At which terminal.
    terminal: Option<String>,
    /// The till's own number of the checkout, unique within the store: 1 to 64 characters. It stands for the idempotency key.
    #[schema(example = "7-000123")]
    reference: String,
    /// What the whole basket costs, in minor units of money.
    #[schema(example = 12900)]
    basket: i64,
    /// How many points are to pay; or give `money`, or neither: as many as may.
    points: Option<i64>,
    /// How much money they are to pay, in minor units.
    money: Option<i64>,
    /// Whether less will do where so much is not there or not allowed; true when left out.
    #[serde(default = "yes")]
    partial: bool,
}

fn yes() -> bool {
    true
}

/// What is to become of a checkout.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct CaptureRequest {
    /// In which store.
    store: String,
    /// The till's own number of the checkout.
    #[schema(example = "7-000123")]
    reference: String,
    /// At which terminal; needed where terminals of the store have used the same number.
    terminal: Option<String>,
    /// How many points are spent; or give `money`, or neither: all. The rest is given back.
    points: Option<i64>,
    /// How much money they pay, in minor units.
    money: Option<i64>,
}

/// What is to be given back of a checkout.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ReverseRequest {
    /// In which store.
    store: String,
    /// The till's own number of the checkout.
    #[schema(example = "7-000123")]
    reference: String,
    /// At which terminal; needed where terminals of the store have used the same number.
    terminal: Option<String>,
    /// The till's own number of the reversal, so that several parts can be told apart; left out: there is one.
    #[schema(example = "7-000130")]
    reversal: Option<String>,
    /// How many points are given back; or give `money`, or neither: all that is left.
    points: Option<i64>,
    /// The points of how much money, in minor units.
    money: Option<i64>,
    /// Why.
    reason: Option<String>,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct CheckoutParams {
    /// In which store.
    store: String,
    /// The till's own number of the checkout.
    reference: String,
    /// At which terminal; needed where terminals of the store have used the same number.
    terminal: Option<String>,
}

/// Points, and the money that they pay.
#[derive(Serialize, ToSchema)]
struct PaidView {
    /// Points.
    points: i64,
    /// Minor units of money.
    money: i64,
}

impl From<Paid> for PaidView {
    fn from(Paid { points, money }: Paid) -> Self {
        Self { points, money }
    }
}

/// A checkout of which points pay a part.
#[derive(Serialize, ToSchema)]
struct CheckoutView {
    /// `ord_…`
    order_id: String,
    /// `mem_…`
    member_id: String,
    /// In which store.
    store: String,
    /// The till's own number.
    reference: String,
    /// `placed`: set aside. `completed`: spent. `cancelled`, `expired`: given back before it was spent. `refunded`: given back.
    state: &'static str,
    /// What the whole basket costs, in minor units of money.
    basket: i64,
    /// What was set aside.
    authorised: PaidView,
    /// What was spent of that.
    #[serde(skip_serializing_if = "Option::is_none")]
    captured: Option<PaidView>,
    /// What was given back of what was spent.
    #[serde(skip_serializing_if = "Option::is_none")]
    returned: Option<PaidView>,
    /// When it is given back, unless it is captured before, RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    lapses_at: Option<String>,
}

/// Does something within the time that a till waits. What is on its way to the database by then may still be done: the till
/// asks again by its number, or reverses.
async fn in_time<T>(started: Instant, work: impl Future<Output = Result<T, Problem>>) -> Result<T, Problem> {
    tokio::time::timeout_at(started + BUDGET, work).await.unwrap_or_else(|_| {
        metrics::counter!("guerdon_checkout_timeouts_total").increment(1);
        let detail = "there is no answer within two seconds, and it may still be done. Ask again with the same `reference`: \
                      the answer is then that of the first time. To go on without points, reverse by the `reference`; what \
                      is neither captured nor reversed is given back by itself";
        Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "checkout_timeout", detail).after(1))
    })
}

fn share(points: Option<i64>, money: Option<i64>) -> Result<Share, Problem> {
    match (points, money) {
        (None, None) => Ok(Share::All),
        (Some(points), None) => Ok(Share::Points(points)),
        (None, Some(money)) => Ok(Share::Money(money)),
        (Some(_), Some(_)) => {
            let detail = "give `points` or `money`, not both: the one follows from the other";
            Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_request", detail))
        }
    }
}

/// Set points aside for a checkout. They pay as much as the answer says in `order.tender.authorised.money`; the rest is paid
/// elsewhere. The same `reference` again gets the same answer.
#[utoipa::path(post, path = "/v1/checkouts", tag = "checkouts",
    security(("key" = ["checkouts:write@store"])), request_body = AuthoriseRequest,
    responses((status = 201, description = "The receipt; its order's `tender` says what is set aside", body = Object),
        (status = 404, body = Problem),
        (status = 409, description = "`insufficient_points`, or `checkout_not_offered`", body = Problem),
        (status = 422, description = "`invalid_amount`, or `idempotency_mismatch`: the number stands for another checkout, \
            another member, or what was spent without network",
            body = Problem),
        (status = 503, description = "`checkout_timeout`: ask again, or reverse", body = Problem)))]
async fn authorise(
    State(state): State<AppState>,
    actor: Actor,
    Body(request): Body<AuthoriseRequest>,
) -> Result<Response, Problem> {
    let started = Instant::now();
    actor.require_at(Permission::CheckoutsWrite, Some(&request.store))?;
    let AuthoriseRequest { member_id, external_id, card, store, terminal, reference, basket, points, money, partial } =
        request;
    let share = share(points, money)?;
    in_time(started, async {
        let known = state.reader.checkouts(&store, &reference).await?;
        let named = named_member(&state, member_id.as_deref(), external_id.as_deref(), card.as_deref()).await;
        let member = who_pays(&state, &known, named).await?;
        let wanted = Authorisation { reference, store, terminal, basket, share, partial };
        let command = Command::authorise(member, state.engine.now(), wanted)?;
        receipt(state.engine.submit_one(command.by(actor.name())).await)
    })
    .await
}

/// Spend what was set aside for a checkout, or less: the rest is given back. The same again gets the same answer.
#[utoipa::path(post, path = "/v1/checkouts/capture", tag = "checkouts",
    security(("key" = ["checkouts:write@store"])), request_body = CaptureRequest,
    responses((status = 201, description = "The receipt; its order's `tender` says what is spent", body = Object),
        (status = 404, description = "`unknown_checkout`", body = Problem),
        (status = 409, description = "`order_expired`, `checkout_over`, or `checkout_ambiguous`: name the `terminal`", body = Problem),
        (status = 422, description = "`invalid_amount`, or `idempotency_mismatch`: it was captured otherwise", body = Problem),
        (status = 503, description = "`checkout_timeout`: ask again, or reverse", body = Problem)))]
async fn capture(
    State(state): State<AppState>,
    actor: Actor,
    Body(request): Body<CaptureRequest>,
) -> Result<Response, Problem> {
    let started = Instant::now();
    actor.require_at(Permission::CheckoutsWrite, Some(&request.store))?;
    let share = share(request.points, request.money)?;
    in_time(started, async {
        let order = find(&state, &request.store, &request.reference, request.terminal.as_deref()).await?;
        let change = TenderChange { order: order.id, owner: order.member_id, share, reversal: None, reason: None };
        let command = Command::capture_checkout(mover(&state, &order).await?, state.engine.now(), change)?;
        receipt(state.engine.submit_one(command.by(actor.name())).await)
    })
    .await
}

/// Reverse a checkout: what is set aside is given back as a whole; what was spent in whole or in part, to the lots from which
/// it came. The same again gets the same answer.
#[utoipa::path(post, path = "/v1/checkouts/reverse", tag = "checkouts",
    security(("key" = ["checkouts:write@store"])), request_body = ReverseRequest,
    responses((status = 201, description = "The receipt; its order's `tender` says what was given back", body = Object),
        (status = 404, description = "`unknown_checkout`: nothing was set aside under this number", body = Problem),
        (status = 409, description = "`checkout_over`: there is nothing to give back; `checkout_ambiguous`: name the `terminal`", body = Problem),
        (status = 422, description = "`invalid_amount`, or `idempotency_mismatch`", body = Problem),
        (status = 503, description = "`checkout_timeout`: ask again", body = Problem)))]
async fn reverse(
    State(state): State<AppState>,
    actor: Actor,
    Body(request): Body<ReverseRequest>,
) -> Result<Response, Problem> {
    let started = Instant::now();
    actor.require_at(Permission::CheckoutsWrite, Some(&request.store))?;
    let ReverseRequest { store, reference, terminal, reversal, points, money, reason } = request;
    let share = share(points, money)?;
    in_time(started, async {
        let order = find(&state, &store, &reference, terminal.as_deref()).await?;
        let change = TenderChange { order: order.id, owner: order.member_id, share, reversal, reason };
        let command = Command::reverse_checkout(mover(&state, &order).await?, state.engine.now(), change)?;
        receipt(state.engine.submit_one(command.by(actor.name())).await)
    })
    .await
}

/// Whose points are to pay: of a number that is known, the member of then, unless the request names another.
async fn who_pays(state: &AppState, known: &[Order], named: Result<MemberId, Problem>) -> Result<MemberId, Problem> {
    let Some(order) = known.first() else { return named };
    let tenders = known.iter().filter_map(|order| order.details.particulars.tender.as_ref());
    if tenders.into_iter().any(|tender| tender.allowance.is_some()) {
        return Err(number_used("this `reference` was used for what a terminal has spent without network"));
    }
    let member = mover(state, order).await?;
    match named {
        Ok(named) if named == member => Ok(member),
        Ok(_) => Err(number_used("this `reference` was used for another member")),
        // It was read before, when it was good.
        Err(problem) if matches!(problem.code.as_str(), "card_stale" | "card_early") => Ok(member),
        Err(problem) => Err(problem),
    }
}

/// A till's own number stands for something else.
pub(super) fn number_used(detail: &str) -> Problem {
    let code = RefusalCode::IdempotencyMismatch.name();
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, code, format!("{detail}; use a new one"))
}

/// The checkout of a number, where two members were served under it the earlier.
async fn find(state: &AppState, store: &str, reference: &str, terminal: Option<&str>) -> Result<Order, Problem> {
    let mut known = state.reader.checkouts(store, reference).await?;
    let at = |order: &Order| order.details.particulars.tender.as_ref().and_then(|tender| tender.terminal.clone());
    if let Some(terminal) = terminal {
        known.retain(|order| at(order).is_none_or(|of| of == terminal));
    }
    let mut known = known.into_iter();
    let first = known.next().ok_or_else(|| {
        let detail = "nothing was set aside under this `reference` in this store; if an authorisation is still on its way, ask \
                      again in a moment, or let it lapse by itself";
        Problem::not_found("unknown_checkout", detail)
    })?;
    if known.any(|other| at(&other) != at(&first)) {
        let detail = "several terminals of this store have used this `reference`: name the `terminal`";
        return Err(Problem::new(StatusCode::CONFLICT, "checkout_ambiguous", detail));
    }
    Ok(first)
}

/// Get a checkout as it stands.
#[utoipa::path(get, path = "/v1/checkouts", tag = "checkouts", security(("key" = ["checkouts:write@store"])),
    params(CheckoutParams),
    responses((status = 200, body = CheckoutView), (status = 404, description = "`unknown_checkout`", body = Problem),
        (status = 409, description = "`checkout_ambiguous`: name the `terminal`", body = Problem)))]
async fn get(
    State(state): State<AppState>,
    actor: Actor,
    Params(params): Params<CheckoutParams>,
) -> Result<Json<CheckoutView>, Problem> {
    actor.require_at(Permission::CheckoutsWrite, Some(&params.store))?;
    let order = find(&state, &params.store, &params.reference, params.terminal.as_deref()).await?;
    let (order_id, member_id, state, due_at) = (order.id, order.member_id, order.state, order.due_at);
    let tender =
        order.details.particulars.tender.ok_or_else(|| Problem::not_found("unknown_checkout", "it is none"))?;
    let returned = Some(tender.returned()).filter(|paid| *paid != Paid::default());
    let Tender { reference, store, basket, authorised, captured, .. } = tender;
    Ok(Json(CheckoutView {
        order_id: order_id.to_string(),
        member_id: member_id.to_string(),
        store,
        reference,
        state: state.name(),
        basket,
        authorised: authorised.into(),
        captured: captured.map(|captured| captured.paid.into()),
        returned: returned.map(PaidView::from),
        lapses_at: due_at.map(|at| at.to_string()),
    }))
}
