//! The review of the range of rewards: orders of some days, stock as it is, and what was searched for in vain.

use std::sync::Arc;

use guerdon_core::rewards::{Assortment, Window};
use guerdon_store::StoreError;

use crate::AppState;
use crate::catalogue::{MissedSearch, Stand, missed_searches};

/// Days that are looked at when nobody says how many.
pub const DAYS: i64 = 90;
/// Days that may be looked at.
pub const MOST_DAYS: i64 = 366;
/// Per cent below which a reward is proposed for retirement when nobody says how many.
pub const BELOW_PERCENT: i64 = 5;
/// Texts that are told.
const SEARCHES: usize = 50;
const DAY_MS: i64 = 24 * 60 * 60 * 1_000;

/// A review of the range.
pub struct Report {
    /// The rewards that the rows of it stand for.
    pub stand: Arc<Stand>,
    /// What was looked at.
    pub window: Window,
    /// What is proposed.
    pub assortment: Assortment,
    /// What was searched for and not found.
    pub searches: Vec<MissedSearch>,
}

/// Reviews the range over the last days.
pub async fn review(state: &AppState, days: i64, below_percent: i64) -> Result<Report, StoreError> {
    let stand = state.catalogue.stand(state).await?;
    let to = state.engine.now();
    let from = to.plus_millis(-days.saturating_mul(DAY_MS));
    let known = match state.catalogue.reviewed.get(&days) {
        Some(known) => known,
        None => {
            let read = Arc::new(state.reader.ordered_since(from).await?);
            state.catalogue.reviewed.insert(days, Arc::clone(&read));
            read
        }
    };
    let (ordered, first_order_at) = &*known;
    let window = Window { from, to, first_order_at: *first_order_at, below_percent };
    let figures = stand.shelf.figures(&state.reader.stock().await?, ordered);
    let assortment = stand.shelf.assortment(&stand.program, &figures, window);
    Ok(Report { window, assortment, searches: missed_searches(state, SEARCHES).await?, stand })
}
