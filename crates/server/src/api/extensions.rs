//! Extensions: the points of a member live longer, for points or for a fee.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use guerdon_core::kernel::{Command, Payment};
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::extract::{Body, IdempotencyKey, Path, id, receipt};
use crate::AppState;
use crate::identity::actor::Actor;
use crate::problem::Problem;

pub(super) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(extend))
}

/// An extension.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ExtensionRequest {
    /// The currency's code; left out: the first.
    currency: Option<String>,
    /// `points`, or `fee` when the caller has collected the fee that the program asks for.
    #[schema(value_type = String)]
    payment: Payment,
    /// The caller's own number, such as that of the payment.
    reference: Option<String>,
}

/// Let the points of a member live longer, as the program offers it.
#[utoipa::path(post, path = "/v1/members/{member_id}/extensions", tag = "members",
    security(("key" = ["orders:write"])), request_body = ExtensionRequest,
    params(("member_id" = String, Path), ("Idempotency-Key" = String, Header)),
    responses((status = 201, description = "The receipt; `extended` says how much longer", body = Object),
        (status = 404, body = Problem),
        (status = 409, description = "`insufficient_points`, `extension_not_offered` or `nothing_to_extend`", body = Problem),
        (status = 422, body = Problem)))]
async fn extend(
    State(state): State<AppState>,
    actor: Actor,
    Path(text): Path<String>,
    IdempotencyKey(key): IdempotencyKey,
    Body(request): Body<ExtensionRequest>,
) -> Result<Response, Problem> {
    let program = state.program();
    let named = match request.currency.as_deref() {
        None => program.currencies.first(),
        Some(code) => program.currency_by_code(code),
    };
    let currency = named.ok_or_else(|| {
        let known: Vec<&str> = program.currencies.iter().map(|currency| currency.code.as_str()).collect();
        let detail = format!("`currency` must be one of {}", known.join(", "));
        Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "unknown_currency", detail)
    })?;
    let command = Command::extend(id(&text)?, &key, state.engine.now(), currency.id, request.payment)?;
    let command = command.with_reference(request.reference).by(actor.name());
    receipt(state.engine.submit_one(command).await)
}
