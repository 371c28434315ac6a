//! Tiers: the levels of the program, and where a member stands.

use axum::Json;
use axum::extract::State;
use guerdon_core::id::MemberId;
use guerdon_core::ledger::Account;
use guerdon_core::program::{Program, Text};
use guerdon_core::tiers::{Benefits, CompiledTier, Measure, Moment, Progress, Span, Tier};
use guerdon_core::time::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::extract::{Path, id};
use super::members::unknown_member;
use crate::AppState;
use crate::problem::Problem;

pub(super) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(of_member))
}

/// A level of the program.
#[derive(Serialize, ToSchema)]
struct TierView {
    /// Its version.
    version: i64,
    /// As it was published: id, name, rank, qualify, review, benefits.
    #[schema(value_type = Object)]
    tier: Tier,
}

/// List the tiers in force, the lowest first.
#[utoipa::path(get, path = "/v1/tiers", tag = "tiers", security(("key" = ["program:read"])),
    responses((status = 200, body = Vec<TierView>)))]
async fn list(State(state): State<AppState>) -> Json<Vec<TierView>> {
    let program = state.program();
    let levels = program.tiers.at(state.engine.now()).levels();
    Json(levels.iter().map(|level| TierView { version: level.version, tier: level.tier.clone() }).collect())
}

/// A tier by its name.
#[derive(Serialize, ToSchema)]
struct NamedTier {
    /// Its id.
    id: String,
    /// Its name by language, or one for all.
    #[schema(value_type = serde_json::Value)]
    name: Text,
    /// Its place: a higher one is better.
    rank: u8,
}

impl NamedTier {
    fn of(level: &CompiledTier) -> Self {
        Self { id: level.tier.id.clone(), name: level.tier.name.clone(), rank: level.tier.rank }
    }
}

/// A figure beside what is asked for.
#[derive(Serialize, ToSchema)]
struct MeasureView {
    /// `growth`, `spend` (minor units of money), `orders`, or `within_days` (days since the latest purchase, at most).
    #[schema(value_type = String)]
    measure: Measure,
    /// What it is.
    value: i64,
    /// What is asked for.
    needed: i64,
    /// What is missing.
    missing: i64,
}

/// How far a member is on one way to a tier.
#[derive(Serialize, ToSchema)]
struct WayView {
    /// Over which stretch of time: `{"months": 12}`, `{"days": 90}`, `month`, `quarter`, `year` or `lifetime`.
    #[schema(value_type = serde_json::Value)]
    window: Span,
    /// How much of it is there, 0 to 100: the least of the measures.
    percent: i64,
    /// All that must be reached.
    measures: Vec<MeasureView>,
}

impl From<Progress> for WayView {
    fn from(progress: Progress) -> Self {
        let percent = progress.percent();
        let measure = |one: &guerdon_core::tiers::Measured| MeasureView {
            measure: one.measure,
            value: one.value,
            needed: one.needed,
            missing: one.missing(),
        };
        Self { window: progress.window, percent, measures: progress.measures.iter().map(measure).collect() }
    }
}

/// What leads to a tier.
#[derive(Serialize, ToSchema)]
struct ProgressView {
    /// The tier.
    tier: NamedTier,
    /// The ways to it, of which one is enough.
    ways: Vec<WayView>,
}

/// Where a member stands.
#[derive(Serialize, ToSchema)]
struct StandingView {
    /// The tier; left out: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    tier: Option<NamedTier>,
    /// RFC 3339: since when; left out: from the beginning.
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<String>,
    /// RFC 3339: when it is looked at again; left out: never.
    #[serde(skip_serializing_if = "Option::is_none")]
    review_at: Option<String>,
    /// RFC 3339: until when it is kept although the member does not qualify any more.
    #[serde(skip_serializing_if = "Option::is_none")]
    grace_until: Option<String>,
    /// RFC 3339: until when a rule has granted it; left out: it was reached, or is granted for ever.
    #[serde(skip_serializing_if = "Option::is_none")]
    granted_until: Option<String>,
    /// What it gives.
    #[schema(value_type = Object)]
    benefits: Benefits,
    /// What keeps it, by the figures of now; left out: it is not looked at again.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    keeps: Vec<WayView>,
    /// The next higher tier; left out: there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<ProgressView>,
}

fn standing(program: &Program, account: &Account, now: Timestamp) -> StandingView {
    let ladder = program.tiers.at(now);
    let level = ladder.level_of(&account.standing);
    let moment = Moment::new(&program.calendar, now);
    let ways = |level: &CompiledTier| -> Vec<WayView> {
        let progress = level.progress(&account.standing, &account.history, moment);
        progress.into_iter().map(WayView::from).collect()
    };
    let held = account.standing.held.as_ref();
    let held = held.filter(|held| level.is_some_and(|level| level.tier.id == held.tier));
    let granted = account.standing.granted.as_ref();
    let granted = granted.filter(|granted| level.is_some_and(|level| level.tier.id == granted.tier));
    let shown = |at: Timestamp| (at != Timestamp::NEVER).then(|| at.to_string());
    let reviewed = held.is_some_and(|held| held.due() != Timestamp::NEVER);
    StandingView {
        tier: level.map(|level| NamedTier::of(level)),
        since: held.map(|held| held.since).or(granted.map(|granted| granted.since)).map(|since| since.to_string()),
        review_at: held.and_then(|held| shown(held.review_at)),
        grace_until: held.and_then(|held| held.grace_until).map(|until| until.to_string()),
        granted_until: granted.and_then(|granted| shown(granted.until)),
        benefits: level.map(|level| level.tier.benefits.clone()).unwrap_or_default(),
        keeps: level.filter(|_| reviewed).map(|level| ways(level)).unwrap_or_default(),
        next: ladder.above(level).map(|next| ProgressView { tier: NamedTier::of(next), ways: ways(next) }),
    }
}

/// The tier of a member: since when, until when, what it gives, and what is missing for the next.
#[utoipa::path(get, path = "/v1/members/{member_id}/tier", tag = "tiers",
    security(("key" = ["members:read@store"])), params(("member_id" = String, Path)),
    responses((status = 200, body = StandingView), (status = 404, body = Problem)))]
async fn of_member(State(state): State<AppState>, Path(text): Path<String>) -> Result<Json<StandingView>, Problem> {
    let member: MemberId = id(&text)?;
    let (_, account) = state.reader.resolve(member).await?.ok_or_else(|| unknown_member(&text))?;
    Ok(Json(standing(&state.program(), &account, state.engine.now())))
}
