//! Changes of a member's profile.

use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::header::IF_MATCH;
use axum::response::Response;
use guerdon_core::hex;
use serde_json::{Map, Value};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::extract::{Body, IdempotencyKey, Path, id, receipt};
use crate::AppState;
use crate::identity::actor::Actor;
use crate::privacy::profile::{self, Wish};
use crate::problem::Problem;

pub(super) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(change))
}

/// Change a member's profile by a JSON merge patch (RFC 7396): a field that is named is put, `null` removes it, the others
/// stay. Values that are masked, as reading shows them, are refused. With `If-Match`, the `ETag` of the member as it was
/// read, the change is refused when somebody has changed the profile since.
#[utoipa::path(patch, path = "/v1/members/{member_id}", tag = "members",
    security(("key" = ["members:write"])), request_body(content = Object,
    example = json!({"phone": "+44 20 7946 0000", "email": null})),
    params(("member_id" = String, Path), ("Idempotency-Key" = String, Header), ("If-Match" = Option<String>, Header)),
    responses((status = 201, description = "The receipt; `fields` names what was changed", body = Object),
        (status = 404, body = Problem),
        (status = 409, description = "`already_enrolled`: another member has the address or number; \
            `profile_changed`, `member_closed`, `member_merged` or `member_erased`", body = Problem),
        (status = 422, body = Problem)))]
async fn change(
    State(state): State<AppState>,
    actor: Actor,
    Path(text): Path<String>,
    IdempotencyKey(key): IdempotencyKey,
    headers: HeaderMap,
    Body(patch): Body<Map<String, Value>>,
) -> Result<Response, Problem> {
    let wish = Wish { member: id(&text)?, key: &key, channel: "api", patch: &patch, seen: seen(&headers)?, reason: "" };
    let changed = profile::change(&state, &actor, wish).await?;
    receipt(Ok(changed.reply))
}

/// The version that `If-Match` names.
fn seen(headers: &HeaderMap) -> Result<Option<[u8; 32]>, Problem> {
    let Some(value) = headers.get(IF_MATCH) else { return Ok(None) };
    let tag = value.to_str().ok().and_then(|text| text.trim().strip_prefix('"')?.strip_suffix('"'));
    let version = tag.and_then(hex::decode);
    let wrong = || Problem::bad_request("invalid_header", "`If-Match` must be the `ETag` of the member as it was read");
    version.map(Some).ok_or_else(wrong)
}
