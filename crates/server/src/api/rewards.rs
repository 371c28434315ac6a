//! Rewards: list and get.

use axum::Json;
use axum::extract::State;
use guerdon_core::rewards::keys_of;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::extract::Path;
use super::views::RewardView;
use crate::AppState;
use crate::problem::Problem;

pub(super) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(get))
}

/// List rewards with what is left of them.
#[utoipa::path(get, path = "/v1/rewards", tag = "rewards",
    security(("key" = ["rewards:read@store"])), responses((status = 200, body = Vec<RewardView>)))]
async fn list(State(state): State<AppState>) -> Result<Json<Vec<RewardView>>, Problem> {
    let stock = state.reader.stock().await?;
    let program = state.program();
    let now = state.engine.now();
    let mut views = Vec::new();
    for reward in program.rewards() {
        let figures = state.demand.figures(&state.reader, reward, now).await?;
        views.push(RewardView::new(&program, reward, &stock, now, figures));
    }
    Ok(Json(views))
}

/// Get a reward.
#[utoipa::path(get, path = "/v1/rewards/{reward_id}", tag = "rewards",
    security(("key" = ["rewards:read@store"])), params(("reward_id" = String, Path)),
    responses((status = 200, body = RewardView), (status = 404, body = Problem)))]
async fn get(State(state): State<AppState>, Path(id): Path<String>) -> Result<Json<RewardView>, Problem> {
    let program = state.program();
    let reward = program.reward(&id).ok_or_else(|| unknown_reward(&id))?;
    let keys = keys_of(reward);
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    let (stock, now) = (state.reader.stock_of(&keys).await?, state.engine.now());
    state.demand.seen(reward, now);
    let figures = state.demand.figures(&state.reader, reward, now).await?;
    Ok(Json(RewardView::new(&program, reward, &stock, now, figures)))
}

pub(super) fn unknown_reward(id: &str) -> Problem {
    let shown: String = id.chars().take(64).collect();
    Problem::not_found("unknown_reward", format!("there is no reward `{shown}`"))
}
