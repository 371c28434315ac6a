//! Fulfils orders by itself where a reward says how: out of the code vault, by a coupon that is made up, or through a supplier.
//!
//! Of a bundle each part is handed out by its own way, and all of it or nothing.
//!
//! An order goes through its states by commands whose keys follow from it, and what it is given is claimed under its id. So
//! it does not matter who goes on with it, or how often: a crash between two steps loses nothing, and nothing is done twice.
//! Orders that this node has just committed are taken up at once; those that another node left lying are looked for by the
//! one that holds the lease.

//!
//! Which steps there are, in which order, stands in `guerdon-fulfilment`; here they are done.

pub mod codes;
mod effects;
pub mod parts;
pub mod supplier;
mod tidy;
pub mod tracking;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use guerdon_core::fulfilment::Item;
/// Reasons for which the program itself gives orders back; pages say them in words.
pub use guerdon_core::fulfilment::REASONS;
use guerdon_core::id::OrderId;
use guerdon_core::redemption::{Order, OrderState};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use crate::AppState;
use crate::problem::Problem;
use effects::Doing;

/// Orders that are looked at in each queue in one round.
const SLICE: i64 = 500;
/// Orders that are taken up at once when they were just committed.
const FRESH: usize = 1_000;
/// Orders that one node is at together.
const TOGETHER: usize = 64;
/// Orders for which one node calls the same supplier together.
const CALLS: usize = 8;
/// How often is looked for orders that were left lying.
const EVERY: Duration = Duration::from_secs(1);
/// How long to wait after a failure.
const AFTER_FAILURE: Duration = Duration::from_secs(5);
/// The lease of the node that looks.
const LEASE: &str = "job fulfilment";
/// The queues in which an order may stand that the program fulfils.
const QUEUES: [OrderState; 4] = [OrderState::Placed, OrderState::Approved, OrderState::Fulfilling, OrderState::Issued];

/// What the tasks of a node share.
struct Shared {
    state: AppState,
    /// Orders that this node is at.
    under_way: Mutex<BTreeSet<OrderId>>,
    together: Arc<Semaphore>,
    /// By supplier.
    calls: Mutex<BTreeMap<String, Arc<Semaphore>>>,
}

/// Fulfils orders, and tidies up behind those that are over, until `stop` says true.
pub async fn fulfilment_worker(state: AppState, stop: watch::Receiver<bool>) {
    // Suppliers that take their time to cancel keep nobody waiting who has just ordered.
    tokio::join!(fulfil(state.clone(), stop.clone()), tidy::tidy_up(state, stop));
}

async fn fulfil(state: AppState, mut stop: watch::Receiver<bool>) {
    let engine = state.engine.clone();
    let shared = Arc::new(Shared {
        under_way: Mutex::default(),
        together: Arc::new(Semaphore::new(TOGETHER)),
        calls: Mutex::default(),
        state,
    });
    let mut places = [None; QUEUES.len()];
    let mut look = tokio::time::interval(EVERY);
    look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        let fresh = tokio::select! {
            () = engine.to_fulfil().woken() => true,
            _ = look.tick() => false,
            _ = stop.wait_for(|stop| *stop) => return,
        };
        take_up_fresh(&shared).await;
        if !fresh && let Err(problem) = look_round(&shared, &mut places).await {
            tracing::warn!(problem.detail, "orders to be fulfilled could not be looked for; trying again");
            tokio::select! {
                () = tokio::time::sleep(AFTER_FAILURE) => {}
                _ = stop.wait_for(|stop| *stop) => return,
            }
        }
    }
}

async fn take_up_fresh(shared: &Arc<Shared>) {
    loop {
        let fresh = shared.state.engine.to_fulfil().take(FRESH);
        if fresh.is_empty() {
            return;
        }
        for order in fresh {
            take_up(shared, order).await;
        }
    }
}

/// Looks at the next slice of each queue; behind its end it begins anew. One node does.
async fn look_round(shared: &Arc<Shared>, places: &mut [Option<OrderId>; QUEUES.len()]) -> Result<(), Problem> {
    let state = &shared.state;
    if !is_ours(state).await? {
        return Ok(());
    }
    for (place, queue) in places.iter_mut().zip(QUEUES) {
        let found = state.reader.orders_in(queue, *place, SLICE).await?;
        *place = found.last().filter(|_| found.len() as i64 == SLICE).map(|order| order.id);
        let (program, now) = (state.program(), state.engine.now());
        for order in found.iter().filter(|order| program.may_fulfil(order, now)) {
            take_up(shared, order.id).await;
        }
    }
    Ok(())
}

/// Whether this node looks for what was left lying, where anything can be.
async fn is_ours(state: &AppState) -> Result<bool, Problem> {
    Ok(state.program().has_automatic_rewards() && state.engine.run(|store| store.lease(LEASE)).await?)
}

/// Lets a task go on with an order, unless one is at it. Waits for room.
async fn take_up(shared: &Arc<Shared>, id: OrderId) {
    if !shared.under_way.lock().unwrap_or_else(PoisonError::into_inner).insert(id) {
        return;
    }
    let Ok(permit) = Arc::clone(&shared.together).acquire_owned().await else { return };
    let shared = Arc::clone(shared);
    let at_it = AtIt { shared: Arc::clone(&shared), id };
    tokio::spawn(async move {
        let _at_it = at_it;
        if let Err(problem) = go_on(&shared, id, permit).await {
            tracing::warn!(order = %id, problem.detail, "an order could not be fulfilled; it is tried again");
        }
    });
}

/// An order that this node is at, until this is dropped, also by a panic.
struct AtIt {
    shared: Arc<Shared>,
    id: OrderId,
}

impl Drop for AtIt {
    fn drop(&mut self) {
        self.shared.under_way.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.id);
    }
}

async fn go_on(shared: &Shared, id: OrderId, permit: OwnedSemaphorePermit) -> Result<(), Problem> {
    let Some(order) = shared.state.reader.order(id).await? else { return Ok(()) };
    let program = shared.state.program();
    // A supplier that is slow keeps neither codes nor other suppliers waiting.
    let permit = Some(permit).filter(|_| Item::all(&program, &order).iter().all(|item| item.supplier().is_none()));
    let done = guerdon_fulfilment::go_on(&Doing::by(shared), &order).await;
    drop(permit);
    done
}

/// Whether the program itself is at an order, or about to be, so that it is worth to wait for it.
pub fn is_coming(state: &AppState, order: &Order) -> bool {
    state.program().may_fulfil(order, state.engine.now())
}

/// Whether the program itself hands out a reward as it is now, or a part of it.
pub fn hands_out(state: &AppState, reward: &str) -> bool {
    let (program, now) = (state.program(), state.engine.now());
    let known = program.reward_at(reward, now);
    known.is_some_and(|reward| reward.fulfilment.is_some() || !reward.order_parts(&program, 1, now).is_empty())
}

/// Waits for a moment until an order that the program fulfils is done. Answers it as it is then.
pub async fn settled(state: &AppState, id: OrderId) -> Result<Option<Order>, Problem> {
    let until = tokio::time::Instant::now() + Duration::from_millis(1_500);
    loop {
        let order = state.reader.order(id).await?;
        let waits = order.as_ref().is_some_and(|order| order.state != OrderState::Issued && is_coming(state, order));
        if !waits || tokio::time::Instant::now() >= until {
            return Ok(order);
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
}
