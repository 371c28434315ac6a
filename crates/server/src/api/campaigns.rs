//! Campaigns, and what was taken out of their budgets.

use axum::Json;
use axum::extract::State;
use guerdon_core::earning::{BudgetKey, Campaign, CompiledCampaign, Tally};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::AppState;
use crate::problem::Problem;

pub(super) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(list))
}

/// A campaign.
#[derive(Serialize, ToSchema)]
struct CampaignView {
    /// Its newest version.
    version: i64,
    /// Whether it is in force; a campaign that is gone from the program file is not.
    active: bool,
    /// Whether it runs now by its schedule.
    running: bool,
    /// As it was published: id, name, schedule, audience, department, caps, arms, release.
    #[schema(value_type = Object)]
    campaign: Campaign,
    /// What was taken out of its shared budgets in windows that are open, those that end late before others; of all campaigns
    /// together 10,000 are listed.
    budgets: Vec<BudgetView>,
}

/// What was taken out of a shared budget in one window.
#[derive(Serialize, ToSchema)]
struct BudgetView {
    /// The store, where the budget is one of each store.
    #[serde(skip_serializing_if = "Option::is_none")]
    store: Option<String>,
    /// `minute`, `hour`, `day`, `week`, `month`, `year` or `lifetime`.
    window: &'static str,
    /// When the window ends, RFC 3339; `never` for `lifetime`.
    ends_at: String,
    /// Points given.
    points: i64,
    /// Activities to which they were given.
    count: i64,
}

/// List campaigns with what was taken out of their budgets.
#[utoipa::path(get, path = "/v1/campaigns", tag = "campaigns", security(("key" = ["program:read"])),
    responses((status = 200, body = Vec<CampaignView>)))]
async fn list(State(state): State<AppState>) -> Result<Json<Vec<CampaignView>>, Problem> {
    let now = state.engine.now();
    let taken = state.reader.campaign_budgets(now).await?;
    let program = state.program();
    let view = |campaign: &CompiledCampaign| CampaignView {
        version: campaign.version,
        active: campaign.active,
        running: campaign.runs(&program.calendar, now),
        campaign: campaign.campaign.clone(),
        budgets: taken.iter().filter_map(|(key, tally)| budget(&campaign.campaign.id, key, *tally)).collect(),
    };
    Ok(Json(program.campaigns().map(|campaign| view(campaign)).collect()))
}

/// A counter that belongs to a campaign.
fn budget(campaign: &str, key: &BudgetKey, tally: Tally) -> Option<BudgetView> {
    let rest = key.name.strip_prefix("campaign:")?.strip_prefix(campaign)?;
    let store = if rest.is_empty() { None } else { Some(rest.strip_prefix('@')?.to_owned()) };
    let (window, ends_at) = (key.window.name(), key.ends_at.to_string());
    Some(BudgetView { store, window, ends_at, points: tally.sum, count: tally.count })
}
