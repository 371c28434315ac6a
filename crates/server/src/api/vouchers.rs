//! Vouchers of orders that are handed out at a store: show, check, redeem.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use guerdon_core::id::OrderId;
use guerdon_core::identity::Permission;
use guerdon_core::redemption::{HandedOut, VoucherStanding};
use guerdon_core::time::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::extract::{Body, IdempotencyKey, Path, id, receipt};
use crate::AppState;
use crate::identity::actor::Actor;
use crate::problem::Problem;
use crate::vouchers;

pub(super) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(issue)).routes(routes!(check)).routes(routes!(redeem))
}

/// A voucher as it is shown to a member.
#[derive(Serialize, ToSchema)]
struct VoucherView {
    /// What it is for.
    #[schema(value_type = String, example = "ord_066ahg5mr0001")]
    order_id: OrderId,
    /// For whoever types: the same for the life of the order.
    #[schema(example = "7KQXB-4MZP9")]
    code: String,
    /// The text of the QR code, which a till checks offline; while money is due the code, which it cannot.
    text: String,
    /// Until when the text is good, RFC 3339: at most a day ahead. Ask again for a newer one.
    expires_at: String,
}

/// Get the voucher of an order that is handed out at a store, to show it to the member, on a kiosk or in an app.
#[utoipa::path(post, path = "/v1/orders/{order_id}/voucher", tag = "vouchers",
    security(("key" = ["orders:write"])), params(("order_id" = String, Path)),
    responses((status = 200, body = VoucherView), (status = 404, body = Problem),
        (status = 409, description = "`no_voucher`: the reward has no `pickup`, or the order is not to be handed out now",
            body = Problem)))]
async fn issue(State(state): State<AppState>, Path(text): Path<String>) -> Result<Json<VoucherView>, Problem> {
    let order: OrderId = id(&text)?;
    let found = state.reader.order(order).await?;
    let found = found.ok_or_else(|| Problem::not_found("unknown_order", format!("there is no order {order}")))?;
    let issued = vouchers::issue(&state, &found).await?.ok_or_else(|| {
        let (reward, standing) = (&found.reward_id, VoucherStanding::of(&found, state.engine.now()).name());
        let detail =
            format!("only rewards with `pickup` have vouchers, while they are good; this is `{reward}`, {standing}");
        Problem::new(StatusCode::CONFLICT, "no_voucher", detail)
    })?;
    let (code, expires_at) = (issued.code.to_string(), issued.expires_at.to_string());
    Ok(Json(VoucherView { order_id: order, code, text: issued.text, expires_at }))
}

/// A voucher as it was read or typed.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct CheckRequest {
    /// The text of the QR code, or the code that was typed.
    #[schema(example = "7KQXB-4MZP9")]
    voucher: String,
    /// The store, for callers whose permission is for some stores only.
    store: Option<String>,
    /// At which terminal; codes that are not there are counted by store and terminal.
    terminal: Option<String>,
}

/// What a voucher is for, and whether it is still good.
#[derive(Serialize, ToSchema)]
struct CheckView {
    /// `good`: hand it out. `unpaid`: take the `amount_due` first, and say so with
    /// `POST /v1/orders/{order_id}/payment/collect`. `not_yet`: the order is looked at first, may still be called off, its
    /// group is not full, or its money is not confirmed. `handed_out`: it was redeemed. `over`: the order was sent, called
    /// off or given back, or its time has run out.
    #[schema(example = "good")]
    standing: &'static str,
    /// The order.
    #[schema(value_type = String)]
    order_id: OrderId,
    /// Where the order stands.
    #[schema(example = "approved")]
    order_state: &'static str,
    /// What is handed out.
    #[schema(example = "tea-set")]
    reward_id: String,
    /// What people call it, in the program's first language.
    name: String,
    /// The variant that was chosen.
    #[serde(skip_serializing_if = "Option::is_none")]
    variant: Option<String>,
    /// How many units of it.
    quantity: i64,
    /// Money that is taken first, in minor units, of what is `unpaid`.
    #[serde(skip_serializing_if = "Option::is_none")]
    amount_due: Option<i64>,
    /// Until when the text that was read is good, RFC 3339; left out for a code.
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<String>,
    /// When and where it was handed out.
    #[serde(skip_serializing_if = "Option::is_none")]
    handed_out: Option<HandedOutView>,
}

/// When and where something was handed out.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct HandedOutView {
    /// RFC 3339.
    at: String,
    /// In which store.
    store: String,
    /// At which terminal.
    terminal: String,
}

impl From<HandedOut> for HandedOutView {
    fn from(place: HandedOut) -> Self {
        Self { at: place.at.to_string(), store: place.store, terminal: place.terminal }
    }
}

/// Check a voucher: what it is for, and whether it is still good. Codes that are not there are few a terminal: after that
/// `429` says for how long to wait.
#[utoipa::path(post, path = "/v1/vouchers/check", tag = "vouchers",
    security(("key" = ["vouchers:redeem@store"])), request_body = CheckRequest,
    responses((status = 200, body = CheckView), (status = 404, description = "`unknown_voucher`", body = Problem),
        (status = 422, description = "`voucher_unreadable`, `voucher_wrong_character` or `voucher_forged`", body = Problem),
        (status = 429, description = "`too_many_attempts`", body = Problem)))]
async fn check(
    State(state): State<AppState>,
    actor: Actor,
    Body(request): Body<CheckRequest>,
) -> Result<Json<CheckView>, Problem> {
    actor.require_at(Permission::VouchersRedeem, request.store.as_deref())?;
    let place = (request.store.as_deref().unwrap_or_default(), request.terminal.as_deref().unwrap_or_default());
    let presented = vouchers::read(&state, &actor, place, &request.voucher).await?;
    let (order, program) = (presented.order, state.program());
    let reward = program.reward_at(&order.reward_id, order.created_at);
    let name = reward.map_or(order.reward_id.as_str(), |reward| reward.name.get("en"));
    let standing = VoucherStanding::of(&order, state.engine.now());
    let payment = order.details.particulars.payment.as_ref().filter(|_| standing == VoucherStanding::Unpaid);
    Ok(Json(CheckView {
        standing: standing.name(),
        amount_due: payment.map(|payment| payment.amount),
        order_id: order.id,
        order_state: order.state.name(),
        name: name.to_owned(),
        variant: order.details.particulars.variant.clone(),
        quantity: order.quantity,
        expires_at: presented.voucher.map(|voucher| voucher.expires_at.to_string()),
        handed_out: order.details.particulars.handed_out.map(HandedOutView::from),
        reward_id: order.reward_id,
    }))
}

/// A voucher that is redeemed.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct RedeemRequest {
    /// The text of the QR code, or the code that was typed.
    voucher: String,
    /// In which store.
    store: String,
    /// At which terminal.
    terminal: String,
    /// When it was handed out, RFC 3339, by a till that was without network and has checked the text by itself; left out: now.
    handed_out_at: Option<String>,
}

/// Redeem a voucher: what it is for was handed out, and its order is completed, once. Another try hears when and where.
#[utoipa::path(post, path = "/v1/vouchers/redeem", tag = "vouchers",
    security(("key" = ["vouchers:redeem@store"])), request_body = RedeemRequest,
    params(("Idempotency-Key" = String, Header)),
    responses((status = 201, description = "The receipt; its order says what to hand out", body = Object),
        (status = 404, description = "`unknown_voucher`", body = Problem),
        (status = 409, description = "`voucher_redeemed` with `handed_out`; `illegal_order_move`, `order_expired`, `cooling_off`, \
            `group_open` or `payment_due`",
            body = Problem),
        (status = 422, description = "`voucher_unreadable`, `voucher_wrong_character`, `voucher_forged` or `voucher_stale`",
            body = Problem),
        (status = 429, description = "`too_many_attempts`", body = Problem)))]
async fn redeem(
    State(state): State<AppState>,
    actor: Actor,
    IdempotencyKey(key): IdempotencyKey,
    Body(request): Body<RedeemRequest>,
) -> Result<Response, Problem> {
    actor.require_at(Permission::VouchersRedeem, Some(&request.store))?;
    let at = match &request.handed_out_at {
        None => state.clock(),
        Some(text) => Timestamp::parse_rfc3339(text).map_err(|problem| {
            let detail = format!("`handed_out_at`: {problem}");
            Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_request", detail)
        })?,
    };
    let place = (request.store.as_str(), request.terminal.as_str());
    let presented = vouchers::read(&state, &actor, place, &request.voucher).await?;
    let place = HandedOut { at, store: request.store, terminal: request.terminal };
    let reply = vouchers::redeem(&state, &actor, (&key, "pos"), presented, place).await?;
    receipt(Ok(reply))
}
