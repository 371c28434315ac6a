//! The review of the range of rewards.

use axum::Json;
use axum::extract::State;
use guerdon_core::program::Text;
use guerdon_core::rewards::Uptake;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::extract::Params;
use crate::AppState;
use crate::assortment::{BELOW_PERCENT, DAYS, MOST_DAYS, Report, review};
use crate::problem::Problem;

pub(super) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(report))
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct AssortmentQuery {
    /// How many days are looked at, 1 to 366; 90 when left out.
    #[param(minimum = 1, maximum = 366)]
    days: Option<i64>,
    /// Below how many per cent a reward is proposed for retirement, 1 to 50; 5 when left out.
    #[param(minimum = 1, maximum = 50)]
    below_percent: Option<i64>,
}

/// How much was taken of a reward.
#[derive(Serialize, ToSchema)]
struct UptakeView {
    /// Which.
    reward_id: String,
    /// Its name by language, or one for all.
    #[schema(value_type = serde_json::Value)]
    name: Text,
    /// Units that were ordered and not given back.
    ordered: i64,
    /// Of how many: those and what is free of limited ones; of unlimited ones as many as the average reward was ordered.
    of: i64,
    /// Per cent that were taken, to a tenth.
    percent: f64,
    /// Units that are free; left out: it is unlimited.
    #[serde(skip_serializing_if = "Option::is_none")]
    free: Option<i64>,
}

/// A category of which members take more than of the rest.
#[derive(Serialize, ToSchema)]
struct StrongCategoryView {
    /// Which.
    category_id: String,
    /// Rewards in it that are listed.
    rewards: i64,
    /// Units of them that were ordered.
    ordered: i64,
}

/// What was searched for and not found.
#[derive(Serialize, ToSchema)]
struct MissedSearchView {
    /// In small letters.
    text: String,
    /// How often, at the least.
    count: i64,
    /// When it was last, RFC 3339.
    last_at: String,
}

/// A review of the range.
#[derive(Serialize, ToSchema)]
struct AssortmentView {
    /// From when on orders were counted, RFC 3339.
    from: String,
    /// Now, RFC 3339.
    to: String,
    /// Rewards that are listed.
    listed: i64,
    /// Units of them that were ordered.
    ordered: i64,
    /// Proposed for retirement, what was taken least of first: listed for the whole time, and taken less than `below_percent`.
    retire: Vec<UptakeView>,
    /// Nine tenths or more are taken: proposed to be restocked, what was ordered most first.
    restock: Vec<UptakeView>,
    /// Proposed for more rewards of their kind: taken twice as often as the average or more.
    categories: Vec<StrongCategoryView>,
    /// Proposed as new rewards: searched for three times or more within 90 days, and nothing holds all of it.
    searches: Vec<MissedSearchView>,
}

impl AssortmentView {
    fn of(report: Report) -> Self {
        let Report { stand, window, assortment, searches } = report;
        let view = |one: Uptake| {
            let reward = &stand.shelf.reward(one.row)?.reward;
            let percent = one.permille() as f64 / 10.0;
            let (reward_id, name) = (reward.id.clone(), reward.name.clone());
            Some(UptakeView { reward_id, name, ordered: one.ordered, of: one.of, percent, free: one.free })
        };
        let categories = assortment.categories.into_iter().map(|one| StrongCategoryView {
            category_id: one.id,
            rewards: one.rewards,
            ordered: one.ordered,
        });
        let searches = searches.into_iter().map(|one| MissedSearchView {
            text: one.text,
            count: one.count,
            last_at: one.last_at.to_string(),
        });
        Self {
            from: window.from.to_string(),
            to: window.to.to_string(),
            listed: assortment.listed,
            ordered: assortment.ordered,
            retire: assortment.retire.into_iter().filter_map(view).collect(),
            restock: assortment.nearly_gone.into_iter().filter_map(view).collect(),
            categories: categories.collect(),
            searches: searches.collect(),
        }
    }
}

/// Review the range: what hardly anybody takes, what is nearly gone, and what is wanted besides.
#[utoipa::path(get, path = "/v1/assortment", tag = "rewards", security(("key" = ["reports:read"])), params(AssortmentQuery),
    responses((status = 200, body = AssortmentView), (status = 400, body = Problem)))]
async fn report(
    State(state): State<AppState>,
    Params(query): Params<AssortmentQuery>,
) -> Result<Json<AssortmentView>, Problem> {
    let (days, below) = (query.days.unwrap_or(DAYS), query.below_percent.unwrap_or(BELOW_PERCENT));
    for (name, value, most) in [("days", days, MOST_DAYS), ("below_percent", below, 50)] {
        if !(1..=most).contains(&value) {
            return Err(Problem::bad_request("invalid_query", format!("`{name}` must be 1 to {most}, not {value}")));
        }
    }
    Ok(Json(AssortmentView::of(review(&state, days, below).await?)))
}
