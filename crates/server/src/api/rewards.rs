//! Rewards: list and get.

use axum::extract::State;
use guerdon_core::rewards::{DemandFigures, Reward, keys_of};
use guerdon_core::time::Timestamp;
use guerdon_store::StoreError;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::extract::Path;
use super::views::RewardView;
use crate::AppState;
use crate::degraded::{Marked, Seen};
use crate::problem::Problem;

pub(super) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(get))
}

/// List rewards with what is left of them.
#[utoipa::path(get, path = "/v1/rewards", tag = "rewards",
    security(("key" = ["rewards:read@store"])), responses((status = 200, body = Vec<RewardView>)))]
async fn list(State(state): State<AppState>) -> Result<Marked<Vec<RewardView>>, Problem> {
    let Seen { value: stock, as_of } = state.degraded.stock(&state).await?;
    let program = state.program();
    let now = state.engine.now();
    let mut views = Vec::new();
    for offered in program.offered() {
        let reward = &offered.reward;
        let figures = figures(&state, reward, now).await?;
        views.push(RewardView::new(&program, reward, &stock, now, figures).known(as_of));
    }
    Ok(Marked::new(&state, views, as_of))
}

/// What the price of a reward asks for, or what was last known of it.
async fn figures(state: &AppState, reward: &Reward, now: Timestamp) -> Result<Option<DemandFigures>, StoreError> {
    let read = state.degraded.read(state.demand.figures(&state.reader, reward, now)).await?;
    Ok(read.unwrap_or_else(|| state.demand.last_figures(reward, now)))
}

/// Get a reward.
#[utoipa::path(get, path = "/v1/rewards/{reward_id}", tag = "rewards",
    security(("key" = ["rewards:read@store"])), params(("reward_id" = String, Path)),
    responses((status = 200, body = RewardView), (status = 404, body = Problem)))]
async fn get(State(state): State<AppState>, Path(id): Path<String>) -> Result<Marked<RewardView>, Problem> {
    let program = state.program();
    let reward = program.reward(&id).ok_or_else(|| unknown_reward(&id))?;
    let Seen { value: stock, as_of } = state.degraded.stock_of(&state, &keys_of(reward)).await?;
    let now = state.engine.now();
    state.demand.seen(reward, now);
    let figures = figures(&state, reward, now).await?;
    let view = RewardView::new(&program, reward, &stock, now, figures).known(as_of);
    Ok(Marked::new(&state, view, as_of))
}

pub(super) fn unknown_reward(id: &str) -> Problem {
    let shown: String = id.chars().take(64).collect();
    Problem::not_found("unknown_reward", format!("there is no reward `{shown}`"))
}
