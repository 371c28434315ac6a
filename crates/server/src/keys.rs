//! The keyring of a running server, and the worker that keeps it in step with the database: it takes over a master key
//! that another node has taken into use, and carries every rotation to its end, also one that a stop has interrupted.

use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use guerdon_core::privacy::{KeyWrap, Keyring};
use guerdon_store::{CommandError, Rotated, StoreError, begin_rotation, rotate};
use serde::Serialize;
use tokio::sync::watch;
use utoipa::ToSchema;

use crate::AppState;

/// Members whose keys are wrapped anew between two batches.
const SLICE: usize = 1_000;
/// How often the worker looks whether there is something to do.
const EVERY: Duration = Duration::from_secs(1);
/// How long the worker rests between two slices, in times of what the slice took: callers come first.
const REST: u32 = 1;
/// How long to wait after a failure.
const AFTER_FAILURE: Duration = Duration::from_secs(5);

/// Where the master keys are kept.
pub trait MasterKeys: Send + Sync {
    /// The key to rotate to: one that waits behind the key in use, or a new one, which is kept safely before it is used.
    fn next(&self, in_use: &str) -> Result<Arc<dyn KeyWrap>, String>;

    /// The key of an id.
    fn find(&self, id: &str) -> Result<Arc<dyn KeyWrap>, String>;

    /// Drops the keys before the one in use: nothing in the database is under them.
    fn drop_before(&self, in_use: &str) -> Result<(), String>;
}

/// How a rotation of the master key stands.
#[derive(Debug, Clone, Default, Serialize, ToSchema)]
pub struct RotationView {
    /// The master key in use.
    pub master_key: String,
    /// Old master keys that still have members; empty: no rotation is on its way.
    pub retiring: Vec<String>,
    /// Members whose keys this server has wrapped anew.
    pub done: u64,
    /// Members whose keys are still to be wrapped anew.
    pub left: u64,
    /// Members a second.
    pub per_second: u64,
    /// What holds it up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// The keyring in force, which a rotation of the master key exchanges. Cheap to clone.
#[derive(Clone)]
pub struct SharedKeyring(Arc<Shared>);

struct Shared {
    keyring: RwLock<Arc<Keyring>>,
    masters: Option<Box<dyn MasterKeys>>,
    work: Mutex<Work>,
    /// Held while a rotation begins: two at once would be two rotations.
    beginning: tokio::sync::Mutex<()>,
    wake: tokio::sync::Notify,
}

/// What the worker has done of the latest rotation.
#[derive(Default, Clone)]
struct Work {
    done: u64,
    busy: Duration,
    problem: Option<String>,
}

impl SharedKeyring {
    /// Shares a keyring whose master keys are not to be rotated here.
    pub fn new(keyring: Keyring) -> Self {
        Self::shared(keyring, None)
    }

    /// Shares a keyring with the place where its master keys are kept.
    pub fn with_masters(keyring: Keyring, masters: Box<dyn MasterKeys>) -> Self {
        Self::shared(keyring, Some(masters))
    }

    fn shared(keyring: Keyring, masters: Option<Box<dyn MasterKeys>>) -> Self {
        let keyring = RwLock::new(Arc::new(keyring));
        Self(Arc::new(Shared {
            keyring,
            masters,
            work: Mutex::default(),
            beginning: Default::default(),
            wake: Default::default(),
        }))
    }

    /// The keyring in force.
    pub fn get(&self) -> Arc<Keyring> {
        Arc::clone(&self.0.keyring.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Puts another in its place.
    pub fn set(&self, keyring: Keyring) {
        *self.0.keyring.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(keyring);
    }

    fn work(&self, change: impl FnOnce(&mut Work)) -> Work {
        let mut work = self.0.work.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut work);
        work.clone()
    }

    fn masters(&self) -> Result<&dyn MasterKeys, CommandError> {
        let problem = "this server was not told where its master keys are kept";
        self.0.masters.as_deref().ok_or_else(|| CommandError::Unavailable(problem.to_owned()))
    }
}

fn unavailable(problem: String) -> CommandError {
    CommandError::Unavailable(problem)
}

/// Takes a new master key into use; the worker does the rest. True: a rotation was begun, false: one was on its way.
pub(crate) async fn begin(state: &AppState) -> Result<bool, CommandError> {
    let _alone = state.keyring.0.beginning.lock().await;
    if on_its_way(state).await? {
        return Ok(false);
    }
    let keyring = state.keys();
    let new = state.keyring.masters()?.next(keyring.current_id()).map_err(unavailable)?;
    match state.engine.run(move |store| begin_rotation(store, &keyring, new, rand::random())).await {
        Ok(begun) => state.keyring.set(begun),
        // Another node was faster.
        Err(_) if on_its_way(state).await? => return Ok(false),
        Err(error) => return Err(error),
    }
    state.keyring.work(|work| *work = Work::default());
    state.keyring.0.wake.notify_one();
    Ok(true)
}

/// Whether a rotation is on its way, as the database says; the master key in use is taken over.
async fn on_its_way(state: &AppState) -> Result<bool, CommandError> {
    let Some(stored) = state.reader.keyring().await.map_err(|error| unavailable(error.to_string()))? else {
        return Ok(false);
    };
    if stored.current() != state.keys().current_id() {
        let new = state.keyring.masters()?.find(stored.current()).map_err(unavailable)?;
        let keyring = state.keys().with_current(new).map_err(|error| unavailable(error.to_string()))?;
        state.keyring.set(keyring);
        tracing::info!(master_key = stored.current(), "the master key was rotated");
    }
    Ok(stored.master_keys.len() > 1)
}

/// How the rotation stands.
pub(crate) async fn view(state: &AppState) -> Result<RotationView, StoreError> {
    let stored = state.reader.keyring().await?;
    let mut retiring = stored.map(|stored| stored.master_keys).unwrap_or_default();
    let master_key = retiring.pop().unwrap_or_default();
    let mut left = 0;
    for id in &retiring {
        left += u64::try_from(state.reader.count_under(id).await?).unwrap_or_default();
    }
    let Work { done, busy, problem } = state.keyring.work(|_| {});
    let per_second = done * 1_000 / u64::try_from(busy.as_millis()).unwrap_or(u64::MAX).max(1);
    Ok(RotationView { master_key, retiring, done, left, per_second, problem })
}

/// Keeps the keyring in step with the database until `stop` says true.
pub async fn keep_keys(state: AppState, mut stop: watch::Receiver<bool>) {
    loop {
        let wait = match round(&state).await {
            Ok(Some(busy)) => busy * REST,
            Ok(None) => EVERY,
            Err(error) => {
                let problem = error.to_string();
                tracing::warn!(problem, "the master key in use cannot be taken over, or the rotation to it is held up");
                state.keyring.work(|work| work.problem = Some(problem));
                AFTER_FAILURE
            }
        };
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = state.keyring.0.wake.notified() => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
    }
}

/// Does what there is to do. Returns how long it took where there may be more.
async fn round(state: &AppState) -> Result<Option<Duration>, CommandError> {
    if !on_its_way(state).await? {
        return Ok(None);
    }
    let started = Instant::now();
    let keyring = state.keys();
    let rotated = state.engine.run(move |store| rotate(store, &keyring, SLICE, &mut rand::random)).await?;
    let busy = started.elapsed();
    match rotated {
        Rotated::Elsewhere => Ok(None),
        Rotated::Members(count) => {
            metrics::counter!("guerdon_rotated_members_total").increment(count as u64);
            state.keyring.work(|work| {
                work.done += count as u64;
                work.busy += busy;
                work.problem = None;
            });
            // The last round has retired the old key; whoever holds the file drops it. What counts is what the database
            // said then: where the next rotation has begun since, members are still under the key before its own.
            let now = state.reader.keyring().await.map_err(|error| unavailable(error.to_string()))?;
            if let Some(now) = now.filter(|now| now.master_keys.len() == 1) {
                state.keyring.masters()?.drop_before(now.current()).map_err(unavailable)?;
            }
            Ok(Some(busy))
        }
        Rotated::All => Ok(None),
    }
}
