//! The free slots of services that are had by appointment.

use axum::Json;
use axum::extract::State;
use guerdon_core::rewards::{Reward, Slot, StockLevel, free_places, slot_key};
use guerdon_core::time::{Day, Timestamp};
use guerdon_store::StoreError;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::extract::{Params, Path};
use super::rewards::unknown_reward;
use crate::AppState;
use crate::problem::Problem;

/// Days that one request looks at.
const DAYS: usize = 31;
const FROM: &str = "`from` must be a day such as 2026-12-01";
/// Slots of which the stock is read at once.
const SLICE: usize = 200;

pub(super) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(slots))
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct SlotParams {
    /// The first local day, `2026-12-01`; left out: today.
    from: Option<String>,
    /// How many days; 7 when left out.
    #[param(minimum = 1, maximum = 31)]
    days: Option<usize>,
    /// How many units there must be room for; 1 when left out.
    quantity: Option<i64>,
}

/// A slot with room.
#[derive(Serialize, ToSchema)]
struct SlotView {
    /// What an order names.
    #[schema(example = "2026-12-01T10:00@bund")]
    slot: String,
    /// RFC 3339.
    starts_at: String,
    /// RFC 3339, exclusive.
    ends_at: String,
    /// Where; left out: there is only one place.
    #[serde(skip_serializing_if = "Option::is_none")]
    store: Option<String>,
    /// For how many units there is room.
    free: i64,
}

/// List the slots of a service that can be ordered now, in the order in which they begin.
#[utoipa::path(get, path = "/v1/rewards/{reward_id}/slots", tag = "rewards",
    security(("key" = ["rewards:read@store"])), params(("reward_id" = String, Path), SlotParams),
    responses((status = 200, body = Vec<SlotView>), (status = 400, body = Problem),
        (status = 404, description = "`unknown_reward`, or `no_appointments`: it is had without one", body = Problem)))]
async fn slots(
    State(state): State<AppState>,
    Path(id): Path<String>,
    Params(params): Params<SlotParams>,
) -> Result<Json<Vec<SlotView>>, Problem> {
    let (program, now) = (state.program(), state.engine.now());
    let reward = program.reward_at(&id, now).ok_or_else(|| unknown_reward(&id))?;
    if reward.appointments().is_none() {
        return Err(Problem::not_found("no_appointments", format!("`{}` is had without an appointment", reward.id)));
    }
    let wrong = |problem: &str| Problem::bad_request("invalid_query", problem.to_owned());
    let first = match &params.from {
        Some(text) => program.calendar.parse_local(&format!("{text}T00:00")).map_err(|_| wrong(FROM))?,
        None => now,
    };
    let first = program.calendar.day_of(first);
    let days = params.days.unwrap_or(7);
    if !(1..=DAYS).contains(&days) {
        return Err(wrong("`days` must be 1 to 31"));
    }
    let wanted = params.quantity.unwrap_or(1);
    let found = free_slots(&state, reward, now, (first, days)).await?;
    let view = |(slot, free): (Slot, i64)| SlotView {
        slot: slot.id,
        starts_at: slot.starts_at.to_string(),
        ends_at: slot.ends_at.to_string(),
        store: slot.store,
        free,
    };
    Ok(Json(found.into_iter().filter(|(_, free)| *free >= wanted).map(view).collect()))
}

/// The slots of some days that can be ordered now, and for how many units there is room.
pub(crate) async fn free_slots(
    state: &AppState,
    reward: &Reward,
    now: Timestamp,
    (first, days): (Day, usize),
) -> Result<Vec<(Slot, i64)>, StoreError> {
    let program = state.program();
    let Some(appointments) = reward.appointments() else { return Ok(Vec::new()) };
    let slots = appointments.bookable(&program.calendar, now, first, days);
    let keys: Vec<String> = slots.iter().map(|slot| slot_key(&reward.id, &slot.id)).collect();
    let mut levels: Vec<Option<StockLevel>> = Vec::with_capacity(keys.len());
    for slice in keys.chunks(SLICE) {
        let named: Vec<&str> = slice.iter().map(String::as_str).collect();
        let stock = state.reader.stock_of(&named).await?;
        levels.extend(named.iter().map(|key| stock.get(*key).copied()));
    }
    let free = |(slot, level): (Slot, Option<StockLevel>)| {
        let free = free_places(slot.capacity, level.as_ref());
        (free > 0).then_some((slot, free))
    };
    Ok(slots.into_iter().zip(levels).filter_map(free).collect())
}
