//! Rewards: list and get.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use guerdon_core::rewards::{Reward, StockLevel, keys_of};
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::extract::{Params, Path, page_limit};
use super::views::{Page, RewardView};
use crate::AppState;
use crate::problem::Problem;

/// Keys of stock that are read at once; a reward may have many.
const STOCK_KEYS: usize = 1_000;

pub(super) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(get))
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct ListParams {
    /// Items of a page, 1–200; 50 when left out.
    limit: Option<i64>,
    /// The cursor of the page before.
    after: Option<String>,
}

/// List rewards with what is left of them, by id.
#[utoipa::path(get, path = "/v1/rewards", tag = "rewards",
    security(("key" = ["rewards:read@store"])), params(ListParams),
    responses((status = 200, body = Page<RewardView>), (status = 400, body = Problem)))]
async fn list(
    State(state): State<AppState>,
    Params(params): Params<ListParams>,
) -> Result<Json<Page<RewardView>>, Problem> {
    let (limit, after) = (page_limit(params.limit)?, params.after.unwrap_or_default());
    let (program, now) = (state.program(), state.engine.now());
    let one_more = usize::try_from(limit).unwrap_or_default().saturating_add(1);
    let found: Vec<&Reward> = program.rewards().filter(|reward| reward.id > after).take(one_more).collect();
    let page = Page::cut(found, limit, |reward| reward.id.clone());
    let (stock, figures) = (
        stock_of(&state, &page.items).await?,
        state.demand.figures_of(&state.reader, page.items.iter().copied(), now).await?,
    );
    let view = |reward: &Reward| RewardView::new(&program, reward, &stock, now, figures.get(&reward.id).copied());
    Ok(Json(page.map(view)))
}

async fn stock_of(state: &AppState, rewards: &[&Reward]) -> Result<BTreeMap<String, StockLevel>, Problem> {
    let keys: Vec<String> = rewards.iter().flat_map(|reward| keys_of(reward)).collect();
    let mut stock = BTreeMap::new();
    for keys in keys.chunks(STOCK_KEYS) {
        stock.extend(state.reader.stock_of(keys).await?);
    }
    Ok(stock)
}

/// Get a reward.
#[utoipa::path(get, path = "/v1/rewards/{reward_id}", tag = "rewards",
    security(("key" = ["rewards:read@store"])), params(("reward_id" = String, Path)),
    responses((status = 200, body = RewardView), (status = 404, body = Problem)))]
async fn get(State(state): State<AppState>, Path(id): Path<String>) -> Result<Json<RewardView>, Problem> {
    let program = state.program();
    let reward = program.reward(&id).ok_or_else(|| unknown_reward(&id))?;
    let (stock, now) = (state.reader.stock_of(&keys_of(reward)).await?, state.engine.now());
    state.demand.seen(reward, now);
    let figures = state.demand.figures(&state.reader, reward, now).await?;
    Ok(Json(RewardView::new(&program, reward, &stock, now, figures)))
}

pub(super) fn unknown_reward(id: &str) -> Problem {
    let shown: String = id.chars().take(64).collect();
    Problem::not_found("unknown_reward", format!("there is no reward `{shown}`"))
}
