//! The catalogue: rewards that are searched, browsed and suggested. What is offered is configuration, held in memory with an
//! index that is made anew when it changes; stock and orders are read beside it.

mod missed;
mod stand;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use guerdon_core::rewards::{Figures, Left};
use guerdon_core::time::Timestamp;
use guerdon_store::StoreError;
use moka::sync::Cache;

use crate::AppState;
use crate::degraded::{Seen, Unanswered};
use crate::reviews;
use crate::scarcity::Scarce;
pub use missed::{Missed, MissedSearch, missed_searches};
pub use stand::{Answer, Stand, Suggestions};

/// For how long stock is taken as it was read, where rewards are narrowed and sorted by it. What a page shows of a reward is
/// read anew.
const FRESH: Duration = Duration::from_secs(1);
/// From when on a page waits for stock to be read, instead of letting it be read for the next one.
const STALE: Duration = Duration::from_secs(60);
/// For how long orders are taken as they were counted: counting reads all of them.
const COUNTED: Duration = Duration::from_secs(300);

/// How much there is of a reward, as members are told: a number only where it is small.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Availability {
    /// There is enough.
    Available,
    /// A tenth or less of what there was.
    Few(i64),
    /// There is none.
    SoldOut,
}

impl Availability {
    /// From what somebody may have; `None`: there is no limit.
    pub fn of(left: Option<Left>) -> Self {
        match left {
            Some(left) if left.units <= 0 => Self::SoldOut,
            Some(left) if left.units.saturating_mul(10) <= left.all => Self::Few(left.units),
            _ => Self::Available,
        }
    }

    /// The name used in the API.
    pub fn name(self) -> &'static str {
        match self {
            Self::Available => "available",
            Self::Few(_) => "few",
            Self::SoldOut => "sold_out",
        }
    }

    /// Units that can still be ordered, where they are few.
    pub fn left(self) -> Option<i64> {
        match self {
            Self::Few(left) => Some(left),
            _ => None,
        }
    }
}

/// Orders by reward, and when the first of all was made.
pub type Reviewed = (BTreeMap<String, i64>, Option<Timestamp>);

/// Windows of days whose orders are kept for reviews of the range.
const REVIEWED: u64 = 8;

/// The stand of the program in force, and what is known of stock and orders.
pub struct Desk {
    stand: tokio::sync::Mutex<Option<Arc<Stand>>>,
    known: Mutex<Option<Known>>,
    reading: tokio::sync::Mutex<()>,
    counting: tokio::sync::Mutex<()>,
    /// How scarce rewards are shared out.
    pub scarce: Scarce,
    /// What was searched for in vain.
    pub missed: Missed,
    /// What reviews of the range go by, by the days that are looked at.
    pub reviewed: Cache<i64, Arc<Reviewed>>,
}

impl Default for Desk {
    fn default() -> Self {
        Self {
            stand: Default::default(),
            known: Default::default(),
            reading: Default::default(),
            counting: Default::default(),
            scarce: Scarce::default(),
            missed: Missed::default(),
            reviewed: Cache::builder().max_capacity(REVIEWED).time_to_live(COUNTED).build(),
        }
    }
}

#[derive(Clone)]
struct Known {
    stand: Arc<Stand>,
    figures: Arc<Figures>,
    read_at: Instant,
    /// The same by the machine's clock.
    as_of: Timestamp,
    ordered: Arc<BTreeMap<String, i64>>,
    /// When; `None`: they were not counted yet.
    counted_at: Option<Instant>,
}

impl Desk {
    /// The stand of the program in force. While one caller builds it, the others wait for it.
    pub async fn stand(&self, state: &AppState) -> Result<Arc<Stand>, StoreError> {
        let program = state.program();
        let mut kept = self.stand.lock().await;
        let is_of = |stand: &&Arc<Stand>| Arc::ptr_eq(&stand.program, &program) || *stand.program == *program;
        if let Some(stand) = kept.as_ref().filter(is_of) {
            return Ok(Arc::clone(stand));
        }
        let built = tokio::task::spawn_blocking(move || Stand::build(program)).await;
        let stand = Arc::new(built.map_err(|error| StoreError::Unusable(error.to_string()))??);
        *kept = Some(Arc::clone(&stand));
        Ok(stand)
    }

    fn known(&self) -> Option<Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Stock and orders of a stand's rows, a second old or so.
    pub async fn figures(&self, state: &AppState, stand: &Arc<Stand>) -> Result<Arc<Figures>, StoreError> {
        match self.known().filter(|known| Arc::ptr_eq(&known.stand, stand)) {
            Some(known) if known.read_at.elapsed() < FRESH => Ok(known.figures),
            Some(known) if known.read_at.elapsed() < STALE => {
                let (state, stand) = (state.clone(), Arc::clone(stand));
                tokio::spawn(async move {
                    // Where another reads already there is nothing to do.
                    let Ok(_reading) = state.catalogue.reading.try_lock() else { return };
                    if let Err(error) = state.catalogue.read(&state, &stand).await {
                        tracing::warn!(%error, "stock could not be read for the catalogue");
                    }
                });
                Ok(known.figures)
            }
            _ => {
                let _reading = self.reading.lock().await;
                match self.known().filter(|known| Arc::ptr_eq(&known.stand, stand)) {
                    Some(known) if known.read_at.elapsed() < STALE => Ok(known.figures),
                    _ => self.read(state, stand).await,
                }
            }
        }
    }

    /// The same, or what was last known of them.
    pub async fn seen(&self, state: &AppState, stand: &Arc<Stand>) -> Result<Seen<Arc<Figures>>, Unanswered> {
        if let Some(figures) = state.degraded.read(self.figures(state, stand)).await? {
            return Ok(Seen { value: figures, as_of: None });
        }
        match self.known().filter(|known| Arc::ptr_eq(&known.stand, stand)) {
            Some(known) => Ok(Seen { value: known.figures, as_of: Some(known.as_of) }),
            // Nobody has looked at this catalogue here: it is shown without its orders and reviews.
            None => {
                let Seen { value: stock, as_of } = state.degraded.last_stock()?;
                Ok(Seen { value: Arc::new(stand.shelf.figures(&stock, &BTreeMap::new())), as_of })
            }
        }
    }

    /// Counts orders beside everything else, for the pages after this one: nobody waits until all were read.
    fn count_orders(state: &AppState) {
        let state = state.clone();
        tokio::spawn(async move {
            // Where another counts already there is nothing to do.
            let Ok(_counting) = state.catalogue.counting.try_lock() else { return };
            match state.reader.ordered().await {
                Ok(ordered) => state.catalogue.counted(Arc::new(ordered)),
                Err(error) => tracing::warn!(%error, "orders could not be counted for the catalogue"),
            }
        });
    }

    fn counted(&self, ordered: Arc<BTreeMap<String, i64>>) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = known.as_mut() {
            let Figures { stock, parts, ratings, .. } = Figures::clone(&known.figures);
            let Figures { ordered: rows, .. } = known.stand.shelf.figures(&BTreeMap::new(), &ordered);
            known.figures = Arc::new(Figures { stock, ordered: rows, parts, ratings });
            (known.ordered, known.counted_at) = (ordered, Some(Instant::now()));
        }
    }

    async fn read(&self, state: &AppState, stand: &Arc<Stand>) -> Result<Arc<Figures>, StoreError> {
        let as_of = state.clock();
        let stock = Arc::new(state.reader.stock().await?);
        state.degraded.keep_stock(&stock, as_of);
        let ratings = reviews::every_rating(state).await?;
        let (figures, counted_at) = {
            // Held until it is exchanged: what was counted meanwhile must not be lost.
            let mut kept = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            let (ordered, counted_at) = kept.take().map(|known| (known.ordered, known.counted_at)).unwrap_or_default();
            let ratings = stand.shelf.ratings(&ratings);
            let figures = Arc::new(Figures { ratings, ..stand.shelf.figures(&stock, &ordered) });
            let (stand, read_at) = (Arc::clone(stand), Instant::now());
            *kept = Some(Known { stand, figures: Arc::clone(&figures), read_at, as_of, ordered, counted_at });
            (figures, counted_at)
        };
        if counted_at.is_none_or(|at| at.elapsed() >= COUNTED) {
            Self::count_orders(state);
        }
        Ok(figures)
    }
}
