//! What ends an account: the merge into another account of the same person, and closing.

use axum::extract::State;
use axum::response::Response;
use guerdon_core::id::MemberId;
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::approvals::ApprovalView;
use super::extract::{Body, IdempotencyKey, Path, done, id, receipt};
use crate::AppState;
use crate::acts::{self, By};
use crate::identity::actor::Actor;
use crate::problem::Problem;

pub(super) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(merge)).routes(routes!(close))
}

/// A merge.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct MergeRequest {
    /// `mem_…`: the other account of the same person. It ends; its id goes on to lead to this member.
    from: String,
    /// Why.
    reason: String,
}

/// Merge another account of the same person into this one: its points, their lots, its references and its history.
#[utoipa::path(post, path = "/v1/members/{member_id}/merge", tag = "members",
    security(("key" = ["members:merge"])), request_body = MergeRequest,
    params(("member_id" = String, Path), ("Idempotency-Key" = String, Header)),
    responses((status = 201, description = "The receipt; `merge` tells what was carried over", body = Object),
        (status = 202, description = "Above the limit: it waits for another operator", body = ApprovalView),
        (status = 404, body = Problem),
        (status = 409, description = "`open_orders`, `member_merged`, `member_closed` or `member_erased`",
            body = Problem),
        (status = 422, body = Problem)))]
async fn merge(
    State(state): State<AppState>,
    actor: Actor,
    Path(text): Path<String>,
    IdempotencyKey(key): IdempotencyKey,
    Body(request): Body<MergeRequest>,
) -> Result<Response, Problem> {
    let (into, from): (MemberId, MemberId) = (id(&text)?, id(&request.from)?);
    let by = By { actor: &actor, key: &key, channel: "api", reason: &request.reason };
    done(&state, acts::merge(&state, &by, from, into).await?).await
}

/// A reason.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Reason {
    /// Why.
    pub(super) reason: String,
}

/// Close an account. The points that are left are forfeited, and it cannot be opened again.
#[utoipa::path(post, path = "/v1/members/{member_id}/close", tag = "members",
    security(("key" = ["members:close"])), request_body = Reason,
    params(("member_id" = String, Path), ("Idempotency-Key" = String, Header)),
    responses((status = 201, description = "The receipt; `forfeited` tells how many points were lost", body = Object),
        (status = 404, body = Problem),
        (status = 409, description = "`open_orders`, `member_merged`, `member_closed` or `member_erased`",
            body = Problem),
        (status = 422, body = Problem)))]
async fn close(
    State(state): State<AppState>,
    actor: Actor,
    Path(text): Path<String>,
    IdempotencyKey(key): IdempotencyKey,
    Body(request): Body<Reason>,
) -> Result<Response, Problem> {
    let member: MemberId = id(&text)?;
    let by = By { actor: &actor, key: &key, channel: "api", reason: &request.reason };
    receipt(Ok(acts::close(&state, &by, member).await?))
}
