//! Orders: create, capture, release, refund, get.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use guerdon_core::id::OrderId;
use guerdon_core::identity::Permission;
use guerdon_core::kernel::{Command, OrderChange, Receipt, Refusal, RefusalCode, Tendering};
use guerdon_core::members::Address;
use guerdon_core::redemption::{Delivery, Order, OrderMove, OrderState, PaymentTender, Shipment};
use guerdon_core::rewards::{Place, Quote, Split};
use guerdon_store::{CommandError, Outcome};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::accounts::Reason;
use super::approvals::ApprovalView;
use super::cards::named_member;
use super::extract::{Body, IdempotencyKey, Params, Path, cursor, done, id, page_limit, receipt};
use super::quotes::{split_quote, wanted_split};
use super::views::{OrderView, Page};
use crate::AppState;
use crate::acts::{self, By, Moving};
use crate::identity::actor::Actor;
use crate::order_choice::{self, Said};
use crate::payments;
use crate::privacy::{invalid, reveal_delivery};
use crate::problem::Problem;
use crate::proposals::{Refused, helped};
use crate::scarcity::{self, Entry};

/// The move of an appointment.
const REBOOK: &str = "rebook";

pub(super) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(create, list))
        .routes(routes!(step))
        .routes(routes!(review))
        .routes(routes!(get))
        .routes(routes!(capture))
        .routes(routes!(release))
        .routes(routes!(refund))
        .routes(routes!(reveal))
}

/// A redemption.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct OrderRequest {
    /// `mem_…`; or give `external_id` or `card`.
    member_id: Option<String>,
    /// The brand's own number of the member.
    external_id: Option<String>,
    /// The member's card: the text of its QR code, or the number of its bar code.
    card: Option<String>,
    /// What.
    reward_id: Option<String>,
    /// How many; 1 when left out.
    quantity: Option<i64>,
    /// The `quote` of a price that was promised; it says the member, the reward and the quantity, which are left out then.
    quote: Option<String>,
    /// Pay so many points, and the rest in money, where the price allows it; a quote says it already.
    points: Option<i64>,
    /// Pay up to so much money, in minor units, and the rest in points, where the price allows it; a quote says it already.
    cash: Option<i64>,
    /// How the money is paid: `cash_on_delivery`, or another way that the program names.
    tender: Option<String>,
    /// Spend the points at once, instead of setting them aside until the order is captured.
    #[serde(default)]
    capture: bool,
    /// What a risk engine makes of it, 0 to 100: above the limits of the program it is reviewed first, or refused.
    risk_score: Option<i64>,
    /// Which variant, of a reward that has some.
    variant: Option<String>,
    /// Which slot, of a service that is had by appointment: one of `GET /v1/rewards/{reward_id}/slots`.
    #[schema(example = "2026-12-01T10:00@bund")]
    slot: Option<String>,
    /// Where to send it: `recipient`, `phone`, `street`, `district`, `city`, `region`, `postcode`, `country`. Left out: the
    /// default of the member's `addresses`.
    #[schema(value_type = Option<Object>)]
    address: Option<Address>,
    /// The `id` of one of the member's `addresses`, in its place.
    address_id: Option<String>,
    /// Which account gets the credit, of a top-up that asks for it.
    account: Option<String>,
    /// The store, for rewards that are offered in some stores only.
    store: Option<String>,
    /// The channel, for rewards that are offered through some channels only.
    channel: Option<String>,
    /// The `ticket` of the member's place in the waiting room of the reward, where there is one.
    waiting_ticket: Option<String>,
}

/// Create an order: set the points and the stock aside.
#[utoipa::path(post, path = "/v1/orders", tag = "orders",
    security(("key" = ["orders:write"])), request_body = OrderRequest,
    params(("Idempotency-Key" = String, Header)),
    responses((status = 201, description = "The receipt; `order` is the new order", body = Object),
        (status = 404, body = Problem),
        (status = 409, description = "`insufficient_points`, `out_of_stock`, `limit_reached`, `slot_not_offered`, \
            `reward_not_offered` or `waiting_room_required`; `quote_expired` or `quote_altered`, with the price now as a new \
            `quote`; `split_not_offered`, `tender_not_offered` or `payment_declined`. With `proposals` where something would \
            help", body = Problem),
        (status = 422, description = "`choice_needed`: a variant, slot, address or account is missing; not as asked for; or a card \
            that is not accepted", body = Problem)))]
async fn create(
    State(state): State<AppState>,
    actor: Actor,
    IdempotencyKey(key): IdempotencyKey,
    Body(request): Body<OrderRequest>,
) -> Result<Response, Problem> {
    let OrderRequest { member_id, external_id, card, reward_id, quantity, quote, .. } = &request;
    let place = Place { store: request.store.clone(), channel: request.channel.clone() };
    let tendering = tendering(&state, request.tender.as_deref(), (request.points, request.cash))?;
    let shape = |command: Command| -> Result<Command, Refusal> {
        command.with_risk(request.risk_score)?.paid_by(tendering).in_place(place.clone())
    };
    let said = Said {
        variant: request.variant.clone(),
        slot: request.slot.clone(),
        address: request.address.clone(),
        address_id: request.address_id.clone(),
        account: request.account.clone(),
    };
    let ticket = request.waiting_ticket.as_deref();
    let named = (member_id.as_deref(), external_id.as_deref(), card.as_deref());
    let is_said_twice = named != (None, None, None) || quantity.is_some();
    match (quote, reward_id) {
        (Some(token), None) if !is_said_twice => {
            at_quote(&state, &actor, (&key, token, ticket), request.capture, &place, (said, shape)).await
        }
        (None, Some(reward)) => {
            let member = named_member(&state, named.0, named.1, named.2).await?;
            let now = state.engine.now();
            let command = Command::redeem(member, &key, now, reward, quantity.unwrap_or(1), request.capture)?;
            let figures = match state.program().reward_at(reward, now) {
                Some(reward) => state.demand.figures(&state.reader, reward, now).await?,
                None => None,
            };
            let command = order_choice::choose(&state, command.by_demand(figures), (member, reward), said).await?;
            let command = shape(command)?.by(actor.name());
            let outcome = scarcity::submit(&state, command, Entry::Ticket(ticket)).await;
            let quantity = quantity.unwrap_or(1);
            made(&state, outcome, Refused { member, reward_id: reward, quantity, place: &place }).await
        }
        _ => {
            let detail = "give the `reward_id` and a member, or a `quote` and neither of `member_id`, `external_id`, `card`, \
                          `reward_id` and `quantity`: it says them";
            Err(Problem::bad_request("invalid_request", detail))
        }
    }
}

/// How the money of an order is to be paid, of which so many points or so much money was said; `None`: there is none.
pub(super) fn tendering(
    state: &AppState,
    tender: Option<&str>,
    (points, cash): (Option<i64>, Option<i64>),
) -> Result<Option<Tendering>, Problem> {
    let split = wanted_split(points, cash)?;
    let Some(name) = tender else {
        return match split {
            None => Ok(None),
            Some(_) => Err(Problem::bad_request("invalid_request", "name the `tender` by which the money is paid")),
        };
    };
    let tender = PaymentTender::from_name(name).ok_or_else(|| {
        let known = PaymentTender::ALL.map(PaymentTender::name).join(", ");
        Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_request", format!("`tender` must be one of {known}"))
    })?;
    state.payments.check(tender)?;
    Ok(Some(Tendering { tender, split }))
}

/// The answer to an order: its receipt once its money is seen to, or what stood in the way with what would help.
async fn made(state: &AppState, outcome: Outcome, refused: Refused<'_>) -> Result<Response, Problem> {
    match outcome {
        Err(CommandError::Refused(refusal)) => Err(helped(state, refused, refusal).await),
        Err(error) => Err(error.into()),
        Ok(reply) => {
            // Only receipts that name a payment are looked at more closely: a till makes many others.
            if reply.receipt.contains("\"payment\":")
                && let Ok(Receipt { order: Some(order), .. }) = serde_json::from_str(&reply.receipt)
            {
                payments::see_to(state, order.id).await?;
            }
            receipt(Ok(reply))
        }
    }
}

/// An order at a price that was promised. When it is not good any more, the problem tells the price now.
async fn at_quote(
    state: &AppState,
    actor: &Actor,
    (key, token, ticket): (&str, &str, Option<&str>),
    capture: bool,
    place: &Place,
    (said, shape): (Said, impl FnOnce(Command) -> Result<Command, Refusal>),
) -> Result<Response, Problem> {
    let opened = Quote::open(&state.keys(), token).ok_or_else(|| {
        let problem = "`quote` is not one that `POST /v1/quotes` has answered; give it as it was answered";
        Refusal::new(RefusalCode::QuoteAltered, problem)
    })?;
    let command = Command::redeem_at(&opened, token, key, state.engine.now(), capture)?;
    let claimed = opened.claimed();
    let of = (claimed.member_id, claimed.reward_id.as_str());
    let command = order_choice::choose(state, command, of, said).await?;
    match scarcity::submit(state, shape(command)?.by(actor.name()), Entry::Ticket(ticket)).await {
        Err(CommandError::Refused(refusal))
            if matches!(refusal.code, RefusalCode::QuoteExpired | RefusalCode::QuoteAltered) =>
        {
            let split = claimed.promise.cash.map(|cash| Split::Money(cash.amount));
            let wanted = (claimed.reward_id.as_str(), claimed.quantity);
            let mut renewed = split_quote(state, claimed.member_id, wanted, split).await;
            if renewed.is_err() && split.is_some() {
                // The new price may not be split so.
                renewed = split_quote(state, claimed.member_id, wanted, None).await;
            }
            Err(Problem { quote: renewed.ok().map(Box::new), ..refusal.into() })
        }
        outcome => {
            let Quote { member_id, reward_id, quantity, .. } = opened.claimed();
            made(state, outcome, Refused { member: *member_id, reward_id, quantity: *quantity, place }).await
        }
    }
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct OrderParams {
    /// The state that they are in: one from which they move on.
    state: String,
    /// Items of a page, 1–200; 50 when left out.
    limit: Option<i64>,
    /// The cursor of the page before.
    after: Option<String>,
}

/// List the orders in a state, oldest first: the queue of whoever moves them on.
#[utoipa::path(get, path = "/v1/orders", tag = "orders", security(("key" = ["orders:read"])), params(OrderParams),
    responses((status = 200, body = Page<OrderView>), (status = 400, body = Problem)))]
async fn list(
    State(state): State<AppState>,
    actor: Actor,
    Params(params): Params<OrderParams>,
) -> Result<Json<Page<OrderView>>, Problem> {
    let limit = page_limit(params.limit)?;
    let after = params.after.as_deref().map(cursor::<OrderId>).transpose()?;
    let wanted = OrderState::queue(&params.state).ok_or_else(|| {
        let known = OrderState::QUEUES.map(OrderState::name).join(", ");
        Problem::bad_request("invalid_query", format!("`state` must be one of {known}"))
    })?;
    let found = state.reader.orders_in(wanted, after, limit + 1).await?;
    let moving = Moving::by(&state, &actor, "api");
    Ok(Json(Page::cut(found, limit, |order| order.id.to_string()).map(|order| OrderView::of(order, &moving))))
}

/// A move of an order.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct MoveRequest {
    /// `fulfil`, `ship`, `issue`, `complete`, `cancel`, or `fail`: it cannot be fulfilled, and the member is told; `rebook` moves
    /// the appointment to another `slot`.
    #[serde(rename = "move")]
    step: String,
    /// Why.
    reason: Option<String>,
    /// How it was sent, with `ship`.
    shipment: Option<ShipmentRequest>,
    /// Which slot, with `rebook`.
    slot: Option<String>,
}

/// How an order was sent.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ShipmentRequest {
    /// Who carries it.
    carrier: String,
    /// The number under which the carrier knows it.
    tracking_number: String,
}

/// Move an order on. Its points are spent once it is shipped, issued or completed, and given back when it is cancelled.
#[utoipa::path(post, path = "/v1/orders/{order_id}/moves", tag = "orders",
    security(("key" = ["orders:write"])), request_body = MoveRequest,
    params(("order_id" = String, Path), ("Idempotency-Key" = String, Header)),
    responses((status = 201, description = "The receipt", body = Object), (status = 404, body = Problem),
        (status = 409, description = "`illegal_order_move`, `order_expired`, `cooling_off`, `payment_due`: its money is not \
            there yet, or `group_open`: its group is not full yet; of `rebook` `slot_not_offered` or `out_of_stock`", body = Problem),
        (status = 422, body = Problem)))]
async fn step(
    State(state): State<AppState>,
    actor: Actor,
    Path(text): Path<String>,
    IdempotencyKey(key): IdempotencyKey,
    Body(request): Body<MoveRequest>,
) -> Result<Response, Problem> {
    let by = By { actor: &actor, key: &key, channel: "api", reason: request.reason.as_deref().unwrap_or_default() };
    match (&request.slot, request.step == REBOOK) {
        (Some(slot), true) => {
            let order = find(&state, &text).await?;
            return done(&state, acts::rebook(&state, &by, &order, slot).await?).await;
        }
        (None, false) => {}
        _ => return Err(invalid("`slot` is for the move `rebook`, which needs it")),
    }
    let step = named("move", &request.step, Permission::OrdersWrite)?;
    let order = find(&state, &text).await?;
    let shipment = request.shipment.map(|sent| {
        let ShipmentRequest { carrier, tracking_number } = sent;
        Shipment { carrier, tracking_number }
    });
    done(&state, acts::move_order(&state, &by, &order, step, shipment).await?).await
}

/// A step in the review of an order.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ReviewRequest {
    /// `claim`, `review`, `approve` or `reject`.
    step: String,
    /// Why; `reject` needs it.
    reason: Option<String>,
}

/// Review an order: `claim` takes its review on, so that nobody else decides it; `review` asks for one; `approve` lets it be
/// fulfilled; `reject` gives its points back.
#[utoipa::path(post, path = "/v1/orders/{order_id}/review", tag = "orders",
    security(("key" = ["orders:review"])), request_body = ReviewRequest,
    params(("order_id" = String, Path), ("Idempotency-Key" = String, Header)),
    responses((status = 201, description = "The receipt", body = Object), (status = 404, body = Problem),
        (status = 409, description = "`illegal_order_move`, `order_expired`, or `in_review` by somebody else", body = Problem),
        (status = 422, body = Problem)))]
async fn review(
    State(state): State<AppState>,
    actor: Actor,
    Path(text): Path<String>,
    IdempotencyKey(key): IdempotencyKey,
    Body(request): Body<ReviewRequest>,
) -> Result<Response, Problem> {
    let step = named("step", &request.step, Permission::OrdersReview)?;
    let order = find(&state, &text).await?;
    let by = By { actor: &actor, key: &key, channel: "api", reason: request.reason.as_deref().unwrap_or_default() };
    done(&state, acts::move_order(&state, &by, &order, step, None).await?).await
}

/// The move of a name, among those that a permission is for.
fn named(field: &str, name: &str, permission: Permission) -> Result<OrderMove, Problem> {
    acts::move_named(name, permission).ok_or_else(|| {
        let rebook = (permission == Permission::OrdersWrite).then_some(REBOOK);
        let known: Vec<&str> = acts::moves_for(permission).map(OrderMove::name).chain(rebook).collect();
        let detail = format!("`{field}` must be one of {}", known.join(", "));
        Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_request", detail)
    })
}

/// Why somebody looks.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct LookReason {
    /// The audit log keeps it.
    reason: String,
}

/// See where an order goes to: the address or the account. Every look is in the audit log.
#[utoipa::path(post, path = "/v1/orders/{order_id}/reveal", tag = "privacy",
    security(("key" = ["members:reveal"])), params(("order_id" = String, Path)), request_body = LookReason,
    responses((status = 200, description = "`address` and `account`, what there is of them", body = Object),
        (status = 404, description = "`unknown_order`, or `no_delivery`: it goes nowhere, or its member was erased", body = Problem),
        (status = 422, body = Problem), (status = 429, description = "`too_many_looks`", body = Problem)))]
async fn reveal(
    State(state): State<AppState>,
    actor: Actor,
    Path(text): Path<String>,
    Body(request): Body<LookReason>,
) -> Result<Json<Delivery>, Problem> {
    let order = find(&state, &text).await?;
    let delivery = reveal_delivery(&state, &actor, &order, &request.reason).await?;
    let nowhere = || Problem::not_found("no_delivery", format!("nothing is known of where order {} goes", order.id));
    delivery.map(Json).ok_or_else(nowhere)
}

pub(super) async fn find(state: &AppState, text: &str) -> Result<Order, Problem> {
    let order: OrderId = id(text)?;
    let found = state.reader.order(order).await?;
    found.ok_or_else(|| Problem::not_found("unknown_order", format!("there is no order {order}")))
}

/// Get an order.
#[utoipa::path(get, path = "/v1/orders/{order_id}", tag = "orders",
    security(("key" = ["orders:read"])), params(("order_id" = String, Path)),
    responses((status = 200, body = OrderView), (status = 404, body = Problem)))]
async fn get(
    State(state): State<AppState>,
    actor: Actor,
    Path(text): Path<String>,
) -> Result<Json<OrderView>, Problem> {
    let order = find(&state, &text).await?;
    let parts = super::order_parts::of(&state, &order).await?;
    Ok(Json(OrderView::of(order, &Moving::by(&state, &actor, "api")).with_parts(parts)))
}

/// A move that leaves no word in the audit log: a till makes many.
async fn shortly(
    state: &AppState,
    actor: &Actor,
    key: &str,
    order: &Order,
    step: OrderMove,
) -> Result<Response, Problem> {
    let member = acts::mover(state, order).await?;
    let change = OrderChange { order: order.id, owner: order.member_id, step, reason: None, shipment: None };
    let command = Command::move_order(member, key, state.engine.now(), change)?;
    receipt(state.engine.submit_one(command.by(actor.name())).await)
}

/// Complete an order: spend what it holds.
#[utoipa::path(post, path = "/v1/orders/{order_id}/capture", tag = "orders",
    security(("key" = ["orders:write"])),
    params(("order_id" = String, Path), ("Idempotency-Key" = String, Header)),
    responses((status = 201, description = "The receipt", body = Object), (status = 404, body = Problem),
        (status = 409, description = "`illegal_order_move`, `order_expired`, `cooling_off`, `payment_due`: its money is not \
            there yet, or `group_open`: its group is not full yet", body = Problem)))]
async fn capture(
    State(state): State<AppState>,
    actor: Actor,
    Path(text): Path<String>,
    IdempotencyKey(key): IdempotencyKey,
) -> Result<Response, Problem> {
    let order = find(&state, &text).await?;
    shortly(&state, &actor, &key, &order, OrderMove::Complete).await
}

/// Cancel an order: give back what it holds.
#[utoipa::path(post, path = "/v1/orders/{order_id}/release", tag = "orders",
    security(("key" = ["orders:write"])),
    params(("order_id" = String, Path), ("Idempotency-Key" = String, Header)),
    responses((status = 201, description = "The receipt", body = Object), (status = 404, body = Problem),
        (status = 409, description = "`illegal_order_move`, or `group_open`: it is called off by leaving its group", body = Problem)))]
async fn release(
    State(state): State<AppState>,
    actor: Actor,
    Path(text): Path<String>,
    IdempotencyKey(key): IdempotencyKey,
) -> Result<Response, Problem> {
    let order = find(&state, &text).await?;
    shortly(&state, &actor, &key, &order, OrderMove::Cancel).await
}

/// Refund an order: give the points back to the lots from which they came, where they are good for a week at the
/// least, and the units to the stock.
#[utoipa::path(post, path = "/v1/orders/{order_id}/refund", tag = "orders",
    security(("key" = ["orders:refund"])), request_body = Reason,
    params(("order_id" = String, Path), ("Idempotency-Key" = String, Header)),
    responses((status = 201, description = "The receipt", body = Object),
        (status = 202, description = "Above the limit: it waits for another operator", body = ApprovalView),
        (status = 404, body = Problem), (status = 409, description = "`illegal_order_move`", body = Problem),
        (status = 422, body = Problem)))]
async fn refund(
    State(state): State<AppState>,
    actor: Actor,
    Path(text): Path<String>,
    IdempotencyKey(key): IdempotencyKey,
    Body(request): Body<Reason>,
) -> Result<Response, Problem> {
    let order = find(&state, &text).await?;
    let by = By { actor: &actor, key: &key, channel: "api", reason: &request.reason };
    done(&state, acts::refund(&state, &by, &order).await?).await
}
