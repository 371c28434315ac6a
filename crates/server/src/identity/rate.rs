//! Rate limits: each key, partner, address, member and operator may send so many requests, and is told how many are left
//! (draft-ietf-httpapi-ratelimit-headers: `RateLimit-Policy`, `RateLimit`), and when to come back (`Retry-After`).
//!
//! Counting is GCRA (a leaky bucket, by `governor`): one atomic number a caller, no queue, nothing to reset. Each node
//! counts for itself: behind a balancer that spreads a caller's requests over `n` nodes they have up to `n` times the rate,
//! so set it to what one node can bear. Memory is bounded: callers beyond the limit of [`MOST_SUBJECTS`] share one count.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use governor::clock::{Clock, DefaultClock};
use governor::middleware::StateInformationMiddleware;
use governor::nanos::Nanos;
use governor::state::StateStore;
use governor::state::keyed::{DashMapStateStore, ShrinkableKeyedStateStore};
use governor::{Quota, RateLimiter};

use crate::identity::limit::{Limit, Limits, Rate};
use crate::identity::network::Network;
use crate::problem::Problem;

/// How many callers of one rate are counted apart.
pub const MOST_SUBJECTS: usize = 100_000;
/// How many different rates there may be; keys with a rate beyond that share the default of their kind.
const MOST_RATES: usize = 1_000;
/// After so many requests, callers who have rested are forgotten.
const SWEEP_EVERY: u64 = 4_096;

const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const LIMIT: HeaderName = HeaderName::from_static("ratelimit");

/// Who is counted, by kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SubjectKind {
    /// An API key.
    Key,
    /// A partner with client credentials.
    Client,
    /// An address.
    Address,
    /// A member.
    Member,
    /// An operator.
    Operator,
    /// All who do not fit into memory.
    Others,
}

impl SubjectKind {
    /// Its name in the headers and messages.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Key => "key",
            Self::Client => "client",
            Self::Address => "address",
            Self::Member => "member",
            Self::Operator => "operator",
            Self::Others => "others",
        }
    }
}

/// Who is counted. Ids and addresses are hashed under a key of this process: small, and nothing to read in a dump.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Subject {
    kind: SubjectKind,
    id: u64,
}

/// What came of a request that was let through: for the headers of its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateHeaders {
    /// The policy's name.
    pub policy: &'static str,
    /// How many requests it allows at once.
    pub quota: u64,
    /// In how many seconds the quota is there again in full, after it was used up.
    pub window: u64,
    /// How many are left at the moment.
    pub remaining: u64,
    /// In how many seconds the quota is there again in full.
    pub reset: u64,
}

impl RateHeaders {
    /// Adds the two fields to an answer. They are lists: several policies stand beside each other.
    pub fn add_to(&self, headers: &mut HeaderMap) {
        let Self { policy, quota, window, remaining, reset } = self;
        for (name, value) in [
            (POLICY, format!("\"{policy}\";q={quota};w={window}")),
            (LIMIT, format!("\"{policy}\";r={remaining};t={reset}")),
        ] {
            if let Ok(value) = HeaderValue::try_from(value) {
                headers.append(name, value);
            }
        }
    }
}

/// The request is one too many.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "too many requests: the limit `{}` is used up; try again in {retry_after} seconds",
    headers.policy
)]
pub struct Limited {
    /// For the headers.
    pub headers: RateHeaders,
    /// In how many seconds to try again; at least 1.
    pub retry_after: u64,
}

impl From<Limited> for Problem {
    fn from(limited: Limited) -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, "rate_limited", limited.to_string()).after(limited.retry_after)
    }
}

impl IntoResponse for Limited {
    fn into_response(self) -> Response {
        let mut response = Problem::from(self).into_response();
        self.headers.add_to(response.headers_mut());
        response
    }
}

type Limiter<C> = RateLimiter<Subject, Bounded, C, StateInformationMiddleware>;

/// Counts requests. One a server.
pub struct RateLimits<C: Clock = DefaultClock> {
    limits: Limits,
    limiters: RwLock<HashMap<Rate, Arc<Limiter<C>>>>,
    hasher: RandomState,
    checks: AtomicU64,
    clock: C,
}

impl RateLimits {
    /// With the limits of a server.
    pub fn new(limits: Limits) -> Self {
        Self::with_clock(limits, DefaultClock::default())
    }
}

impl<C: Clock + Clone> RateLimits<C> {
    fn with_clock(limits: Limits, clock: C) -> Self {
        let (limiters, hasher, checks) = (RwLock::default(), RandomState::new(), AtomicU64::new(0));
        Self { limits, limiters, hasher, checks, clock }
    }

    /// An API key, by its id.
    pub fn key(&self, id: &str) -> Subject {
        self.subject(SubjectKind::Key, id)
    }

    /// A partner, by its id.
    pub fn client(&self, id: &str) -> Subject {
        self.subject(SubjectKind::Client, id)
    }

    /// An address; an IPv6 address counts as its /64.
    pub fn address(&self, address: IpAddr) -> Subject {
        self.subject(SubjectKind::Address, Network::of(address))
    }

    /// A member, by the id as a number.
    pub fn member(&self, id: i64) -> Subject {
        self.subject(SubjectKind::Member, id)
    }

    /// An operator, by its id.
    pub fn operator(&self, id: &str) -> Subject {
        self.subject(SubjectKind::Operator, id)
    }

    fn subject(&self, kind: SubjectKind, id: impl std::hash::Hash) -> Subject {
        Subject { kind, id: self.hasher.hash_one(id) }
    }

    /// Counts a request of `subject`, under its own limit or the one of its kind. `Ok(None)`: nothing is limited here.
    pub fn check(&self, subject: Subject, own: Option<Limit>) -> Result<Option<RateHeaders>, Limited> {
        let usual = self.usual(subject.kind);
        let Limit::Rate(rate) = own.unwrap_or(usual) else { return Ok(None) };
        let limiter = self.limiter(rate, usual);
        if self.checks.fetch_add(1, Ordering::Relaxed) % SWEEP_EVERY == SWEEP_EVERY - 1 {
            self.sweep();
        }
        let Some(limiter) = limiter else { return Ok(None) };
        match limiter.check_key(&subject) {
            Ok(state) => Ok(Some(headers(subject, state.quota(), state.remaining_burst_capacity()))),
            Err(until) => {
                let wait = until.wait_time_from(self.clock.now());
                let retry_after = whole_seconds(wait).max(1);
                Err(Limited { headers: headers(subject, until.quota(), 0), retry_after })
            }
        }
    }

    /// Forgets callers who have rested long enough. Also done by itself now and then.
    pub fn sweep(&self) {
        let limiters = self.limiters.read().unwrap_or_else(PoisonError::into_inner);
        limiters.values().for_each(|limiter| limiter.retain_recent());
    }

    fn usual(&self, kind: SubjectKind) -> Limit {
        match kind {
            SubjectKind::Key => self.limits.key,
            SubjectKind::Client => self.limits.client,
            SubjectKind::Address | SubjectKind::Others => self.limits.address,
            SubjectKind::Member => self.limits.member,
            SubjectKind::Operator => self.limits.operator,
        }
    }

    /// The limiter of a rate, made when it is first asked for.
    fn limiter(&self, rate: Rate, usual: Limit) -> Option<Arc<Limiter<C>>> {
        if let Some(known) = self.limiters.read().unwrap_or_else(PoisonError::into_inner).get(&rate) {
            return Some(Arc::clone(known));
        }
        let mut limiters = self.limiters.write().unwrap_or_else(PoisonError::into_inner);
        let rate = match usual {
            Limit::Rate(usual) if limiters.len() >= MOST_RATES => usual,
            _ => rate,
        };
        if let Some(known) = limiters.get(&rate) {
            return Some(Arc::clone(known));
        }
        let interval = Duration::from_secs(rate.per.seconds()) / rate.requests.get();
        let quota = Quota::with_period(interval)?.allow_burst(rate.burst);
        let limiter: Arc<Limiter<C>> = Arc::new(RateLimiter::new(quota, Bounded::default(), self.clock.clone()));
        limiters.insert(rate, Arc::clone(&limiter));
        Some(limiter)
    }
}

fn headers(subject: Subject, quota: Quota, remaining: u32) -> RateHeaders {
    let burst = quota.burst_size().get();
    RateHeaders {
        policy: subject.kind.name(),
        quota: u64::from(burst),
        window: whole_seconds(quota.burst_size_replenished_in()),
        remaining: u64::from(remaining),
        reset: whole_seconds(quota.replenish_interval().saturating_mul(burst.saturating_sub(remaining))),
    }
}

fn whole_seconds(duration: Duration) -> u64 {
    duration.as_secs() + u64::from(duration.subsec_nanos() > 0)
}

/// Callers and their counts; when there are too many, those who come new share one.
#[derive(Default)]
struct Bounded {
    states: DashMapStateStore<Subject>,
    /// As of the last sweep: at most a sweep's worth of requests behind.
    held: AtomicUsize,
}

impl StateStore for Bounded {
    type Key = Subject;

    fn measure_and_replace<T, F, E>(&self, subject: &Subject, decide: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let full = self.held.load(Ordering::Relaxed) >= MOST_SUBJECTS;
        if full && !self.states.contains_key(subject) {
            return self.states.measure_and_replace(&Subject { kind: SubjectKind::Others, id: 0 }, decide);
        }
        self.states.measure_and_replace(subject, decide)
    }
}

impl ShrinkableKeyedStateStore<Subject> for Bounded {
    fn retain_recent(&self, drop_below: Nanos) {
        self.states.retain_recent(drop_below);
        self.held.store(self.states.len(), Ordering::Relaxed);
    }

    fn len(&self) -> usize {
        self.states.len()
    }

    fn is_empty(&self) -> bool {
        self.states.is_empty()
    }
}

#[cfg(test)]
mod tests;
