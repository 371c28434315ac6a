//! The privileges and trials that hold for a member.

use axum::Json;
use axum::extract::State;
use guerdon_core::id::MemberId;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::extract::{Path, id};
use super::members::unknown_member;
use super::views::BenefitView;
use crate::AppState;
use crate::problem::Problem;

pub(super) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(list))
}

/// List the privileges and trials that hold for a member now, because of orders; those first that hold longest.
#[utoipa::path(get, path = "/v1/members/{member_id}/benefits", tag = "orders",
    security(("key" = ["members:read@store"])), params(("member_id" = String, Path)),
    responses((status = 200, body = Vec<BenefitView>), (status = 404, body = Problem)))]
async fn list(State(state): State<AppState>, Path(text): Path<String>) -> Result<Json<Vec<BenefitView>>, Problem> {
    let member: MemberId = id(&text)?;
    let (member, account) = state.reader.resolve(member).await?.ok_or_else(|| unknown_member(&text))?;
    let now = state.engine.now();
    let accounts: Vec<MemberId> = account.merged_from.iter().copied().chain([member]).collect();
    let orders = state.reader.orders_good(&accounts, now).await?;
    let views = orders.iter().flat_map(|order| BenefitView::of(order, now));
    Ok(Json(views.collect()))
}
