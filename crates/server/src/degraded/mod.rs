//! What is still answered while the database is away: the catalogue and the balances that this node knew last, marked as
//! such. Everything else is refused at once.

mod accounts;
mod answer;
mod routes;
mod watching;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::http::StatusCode;
use guerdon_core::id::MemberId;
use guerdon_core::ledger::Account;
use guerdon_core::rewards::StockLevel;
use guerdon_core::time::Timestamp;
use guerdon_store::{EngineHandle, StoreError};
use tokio::sync::{Notify, watch};

use crate::AppState;
use crate::problem::Problem;
use accounts::Accounts;
pub use answer::{Marked, Refusing, mark};
pub use routes::{LAST_KNOWN, Way, way};
pub use watching::watch_database;

/// Stock by its keys.
pub type Stock = BTreeMap<String, StockLevel>;

/// What refused callers are told.
const AWAY: &str = "the database cannot be reached: what was last known is still read, and nothing is written; repeat in a \
                    moment, with the same idempotency key";
const NOT_REMEMBERED: &str = "the database cannot be reached, and this node remembers nothing of what is asked for; repeat in a \
                              moment";
const NOT_VERIFIED: &str = "the database cannot be reached, and this node has not verified this key, token or session lately; \
                            repeat in a moment";

/// Something that was read, or what was last known of it.
#[derive(Debug, Clone)]
pub struct Seen<T> {
    /// What.
    pub value: T,
    /// As of when, by the machine's clock; `None`: it is as it is now.
    pub as_of: Option<Timestamp>,
}

/// The account in which a member goes on.
#[derive(Debug, Clone)]
pub struct Found {
    /// Its id: another than the one that was asked for when it was merged.
    pub id: MemberId,
    /// The account.
    pub account: Account,
}

/// Why something cannot be shown.
#[derive(Debug, thiserror::Error)]
pub enum Unanswered {
    /// The database is away, and nothing is remembered.
    #[error("{}", .0.detail)]
    Away(Problem),
    /// The store says what is wrong.
    #[error(transparent)]
    Failed(#[from] StoreError),
}

impl From<Unanswered> for Problem {
    fn from(unanswered: Unanswered) -> Self {
        match unanswered {
            Unanswered::Away(problem) => problem,
            Unanswered::Failed(error) => error.into(),
        }
    }
}

/// Whether the database is away, and what is remembered for then.
pub struct Degraded {
    away: watch::Sender<bool>,
    since: Mutex<Option<Instant>>,
    /// When the database was last known to answer, in milliseconds by the machine's clock.
    answered_at: AtomicI64,
    /// Wakes whoever looks whether it is there.
    look: Notify,
    accounts: Arc<Accounts>,
    stock: Mutex<Option<Seen<Arc<Stock>>>>,
}

impl Degraded {
    /// What a node remembers. Whoever is closed, merged or erased on it is forgotten with the commit.
    pub fn new(engine: &EngineHandle) -> Self {
        let accounts = Arc::<Accounts>::default();
        let told = Arc::downgrade(&accounts);
        engine.left().tell(move |members| {
            if let Some(accounts) = told.upgrade() {
                accounts.forget(members);
            }
        });
        Self {
            away: watch::Sender::new(false),
            since: Mutex::default(),
            answered_at: AtomicI64::default(),
            look: Notify::new(),
            accounts,
            stock: Mutex::default(),
        }
    }

    /// Whether the database is away.
    pub fn is_away(&self) -> bool {
        *self.away.borrow()
    }

    /// Waits until it is.
    pub async fn gone(&self) {
        let mut away = self.away.subscribe();
        // The sender lives as long as what is borrowed here.
        drop(away.wait_for(|away| *away).await);
    }

    /// After how many seconds a caller may try again: the longer it is away, the longer it is likely to stay so.
    pub fn retry_after(&self) -> u64 {
        let since = *self.since.lock().unwrap_or_else(PoisonError::into_inner);
        match since.map_or(0, |since| since.elapsed().as_secs()) {
            0..10 => 1,
            10..60 => 5,
            _ => 15,
        }
    }

    /// What refuses what is not answered now.
    pub fn refusal(&self) -> Problem {
        self.problem("unavailable", AWAY)
    }

    /// What refuses what would be answered if it were remembered.
    pub fn not_remembered(&self) -> Problem {
        self.problem("not_remembered", NOT_REMEMBERED)
    }

    /// What refuses a credential that cannot be looked up and was not verified lately.
    pub fn not_verified(&self) -> Problem {
        self.problem("unavailable", NOT_VERIFIED)
    }

    fn problem(&self, code: &str, detail: &str) -> Problem {
        answer::count(if code == "not_remembered" { "not_remembered" } else { "refused" });
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, code, detail).after(self.retry_after())
    }

    /// What a read gives; `None`: the database is away, or turns out to be while the read waits for it.
    pub async fn read<T>(&self, read: impl Future<Output = Result<T, StoreError>>) -> Result<Option<T>, StoreError> {
        if self.is_away() {
            return Ok(None);
        }
        let found = tokio::select! {
            biased;
            found = read => found,
            () = self.gone() => return Ok(None),
        };
        match found {
            Err(error) if error.is_away() => {
                self.look.notify_one();
                Ok(None)
            }
            found => found.map(Some),
        }
    }

    /// The account in which a member goes on, or what was last known of it here. `None`: there is no such member.
    pub async fn account(&self, state: &AppState, member: MemberId) -> Result<Option<Seen<Found>>, Unanswered> {
        let (generation, now) = (self.accounts.generation(), state.clock());
        match self.read(state.reader.resolve(member)).await? {
            Some(None) => Ok(None),
            Some(Some((id, account))) => {
                self.accounts.keep(member, id, &account, now, generation);
                Ok(Some(Seen { value: Found { id, account }, as_of: None }))
            }
            None => match self.accounts.last(member, now) {
                Some(seen) => Ok(Some(seen)),
                None => Err(Unanswered::Away(self.not_remembered())),
            },
        }
    }

    /// Keeps all stock as it was read.
    pub fn keep_stock(&self, stock: &Arc<Stock>, as_of: Timestamp) {
        let seen = Seen { value: Arc::clone(stock), as_of: Some(as_of) };
        *self.stock.lock().unwrap_or_else(PoisonError::into_inner) = Some(seen);
    }

    /// All stock as it was last read here.
    pub fn last_stock(&self) -> Result<Seen<Arc<Stock>>, Unanswered> {
        let last = self.stock.lock().unwrap_or_else(PoisonError::into_inner).clone();
        last.ok_or_else(|| Unanswered::Away(self.not_remembered()))
    }

    fn last_stock_at(&self) -> Option<Timestamp> {
        self.stock.lock().unwrap_or_else(PoisonError::into_inner).as_ref().and_then(|seen| seen.as_of)
    }

    /// All stock, or what was last known of it.
    pub async fn stock(&self, state: &AppState) -> Result<Seen<Arc<Stock>>, Unanswered> {
        let now = state.clock();
        let Some(stock) = self.read(state.reader.stock()).await? else { return self.last_stock() };
        let stock = Arc::new(stock);
        self.keep_stock(&stock, now);
        Ok(Seen { value: stock, as_of: None })
    }

    /// The stock of some keys, or what was last known of all.
    pub async fn stock_of(&self, state: &AppState, keys: &[String]) -> Result<Seen<Arc<Stock>>, Unanswered> {
        match self.read(state.reader.stock_of(keys)).await? {
            Some(stock) => Ok(Seen { value: Arc::new(stock), as_of: None }),
            None => self.last_stock(),
        }
    }

    /// As of when the configuration is known: it is read once a second. `None`: the database answers.
    pub fn configuration_as_of(&self) -> Option<Timestamp> {
        self.is_away().then(|| Timestamp::from_millis(self.answered_at.load(Ordering::Relaxed)))
    }

    /// Takes in what asking the database came to; `None`: it has answered.
    fn found(&self, problem: Option<&StoreError>, now: Timestamp) {
        if problem.is_none() {
            self.answered_at.store(now.as_millis(), Ordering::Relaxed);
        }
        let was_away = self.away.send_replace(problem.is_some());
        let mut since = self.since.lock().unwrap_or_else(PoisonError::into_inner);
        match problem {
            Some(problem) if !was_away => {
                *since = Some(Instant::now());
                tracing::error!(%problem, "the database is away: what was last known is served, and writes are refused");
            }
            None if was_away => {
                let away_for = since.take().map_or(Duration::ZERO, |since| since.elapsed());
                tracing::info!(seconds = away_for.as_secs_f64(), "the database answers again");
            }
            _ => {}
        }
        metrics::gauge!("guerdon_degraded").set(if problem.is_some() { 1.0 } else { 0.0 });
    }
}

/// The earlier of two moments of which each may be now.
pub fn earlier(one: Option<Timestamp>, other: Option<Timestamp>) -> Option<Timestamp> {
    one.into_iter().chain(other).min()
}

#[cfg(test)]
mod tests;
