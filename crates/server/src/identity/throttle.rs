//! Slows down guessing at sign-in without giving anyone the means to lock others out.
//!
//! Each attempt is counted *before* the password is looked at, so that attempts that come at once cannot slip through
//! together, and taken back when it succeeds. What is counted, and how waiting grows (see the constants):
//!
//! - **a stranger's network against one account**: the usual case. Three attempts are free; then one second, two, four …
//!   up to a quarter of an hour.
//! - **one account from everywhere** (a botnet): thirty attempts are free; then the account takes strangers one by one, at
//!   most every five minutes. That is some 300 guesses a day, against passwords that are not among the common ones.
//! - **one network against all accounts** (one password tried on many): fifty attempts are free; then up to five minutes.
//! - **a known device** (it carries a cookie from an earlier sign-in, see [`device`](crate::identity::device)) is counted by
//!   itself and by nothing else. The owner of an attacked account, or of one that shares an address with an attacker, signs
//!   in as if nothing had happened. A thief of the cookie has the few attempts of one network.
//!
//! Waiting is always told (`Retry-After`), and nothing is ever locked for good. A stranger who is the account's owner on a
//! new device competes with the attackers for turns while the attack goes on; a passkey or a known device is the way in.
//!
//! The counters are in the memory of each node, bounded, and forgotten after a day without attempts or at a restart. Behind
//! a balancer that spreads the attempts, `n` nodes allow up to `n` times as many: three nodes make of 300 guesses a day 900,
//! which changes nothing for a password that is not among the common ones. A balancer that keeps an address on one node
//! keeps the counts of that address whole.

use std::time::Duration;

use axum::http::StatusCode;
use guerdon_core::time::Timestamp;
use moka::ops::compute::{CompResult, Op};
use moka::sync::Cache;
use sha2::{Digest, Sha256};

use crate::identity::device::KnownDevice;
use crate::identity::network::Network;
use crate::problem::Problem;

/// How many counters are kept.
const MOST_COUNTERS: u64 = 200_000;
/// Without attempts for so long, a counter starts anew.
const FORGET_MS: i64 = 24 * 60 * 60 * 1000;

/// How waiting grows with attempts.
struct Pace {
    /// Attempts without waiting.
    free: u32,
    /// The longest wait, in milliseconds. The first is a second, and each the double of the one before.
    longest_ms: i64,
}

const STRANGER: Pace = Pace { free: 3, longest_ms: 15 * 60 * 1000 };
const DEVICE: Pace = Pace { free: 5, longest_ms: 15 * 60 * 1000 };
const ACCOUNT: Pace = Pace { free: 30, longest_ms: 5 * 60 * 1000 };
const NETWORK: Pace = Pace { free: 50, longest_ms: 5 * 60 * 1000 };

/// An attempt to sign in.
#[derive(Debug, Clone, Copy)]
pub struct Attempt<'a> {
    /// What is guessed at, whether it exists or not: an e-mail address, or a purpose and an id such as `totp:op_1`.
    pub account: &'a str,
    /// From where.
    pub network: Network,
    /// The device, when its cookie was good for this account.
    pub device: Option<KnownDevice>,
}

/// The attempt must wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many attempts to sign in; try again in {} seconds", self.seconds())]
pub struct MustWait {
    /// For how long.
    pub wait: Duration,
}

impl MustWait {
    /// For `Retry-After`: whole seconds, rounded up.
    pub fn seconds(&self) -> u64 {
        self.wait.as_millis().div_ceil(1000).try_into().unwrap_or(u64::MAX)
    }
}

impl From<MustWait> for Problem {
    fn from(wait: MustWait) -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, "too_many_attempts", wait.to_string()).after(wait.seconds())
    }
}

/// An attempt that may be made. It stays counted as a failure unless its outcome is told.
#[derive(Debug)]
#[must_use = "tell how it ended: succeeded or withdrawn; dropping it counts as a failure"]
pub struct Admitted {
    counted: Vec<Counter>,
}

/// What attempts are counted by. Accounts are digests: the memory names nobody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Counter {
    Stranger([u8; 16], Network),
    Device([u8; 16], KnownDevice),
    Account([u8; 16]),
    Network(Network),
}

impl Counter {
    fn pace(&self) -> &'static Pace {
        match self {
            Self::Stranger(..) => &STRANGER,
            Self::Device(..) => &DEVICE,
            Self::Account(_) => &ACCOUNT,
            Self::Network(_) => &NETWORK,
        }
    }
}

#[derive(Debug, Clone, Copy)]
struct Attempts {
    count: u32,
    latest: Timestamp,
}

/// Counts attempts. Cheap to clone; one a server.
#[derive(Clone)]
pub struct Throttle {
    counters: Cache<Counter, Attempts>,
}

impl Default for Throttle {
    fn default() -> Self {
        Self::new()
    }
}

impl Throttle {
    /// With nothing counted yet.
    pub fn new() -> Self {
        let forget = Duration::from_millis(FORGET_MS.unsigned_abs());
        Self { counters: Cache::builder().max_capacity(MOST_COUNTERS).time_to_idle(forget).build() }
    }

    /// Counts an attempt, or says how long it must wait. Ask before anything secret is looked at.
    pub fn admit(&self, attempt: &Attempt<'_>, now: Timestamp) -> Result<Admitted, MustWait> {
        let account = digest(attempt.account);
        let counters = match attempt.device {
            Some(device) => vec![Counter::Device(account, device)],
            None => vec![
                Counter::Stranger(account, attempt.network),
                Counter::Network(attempt.network),
                Counter::Account(account),
            ],
        };
        let mut admitted = Admitted { counted: Vec::with_capacity(counters.len()) };
        for counter in counters {
            if let Err(wait) = self.count(counter, now) {
                self.withdrawn(admitted);
                return Err(wait);
            }
            admitted.counted.push(counter);
        }
        Ok(admitted)
    }

    /// The attempt succeeded: this network or device starts anew. What others did to the account stays counted.
    pub fn succeeded(&self, admitted: Admitted) {
        let (own, shared) =
            admitted.counted.into_iter().partition(|c| matches!(c, Counter::Stranger(..) | Counter::Device(..)));
        for counter in Vec::from_iter::<Vec<Counter>>(own) {
            self.counters.invalidate(&counter);
        }
        self.withdrawn(Admitted { counted: shared });
    }

    /// The attempt was not made after all, because the server was busy, say.
    pub fn withdrawn(&self, admitted: Admitted) {
        for counter in admitted.counted {
            let _ =
                self.counters.entry(counter).and_compute_with(|entry| match entry.map(|entry| entry.into_value()) {
                    Some(Attempts { count, latest }) if count > 1 => Op::Put(Attempts { count: count - 1, latest }),
                    Some(_) => Op::Remove,
                    None => Op::Nop,
                });
        }
    }

    /// One at a time for each counter: of two that come at once, the second sees the first.
    fn count(&self, counter: Counter, now: Timestamp) -> Result<(), MustWait> {
        let mut must_wait = None;
        let outcome = self.counters.entry(counter).and_compute_with(|entry| {
            let attempts = entry.map(|entry| entry.into_value());
            let attempts = attempts.filter(|attempts| now.as_millis() - attempts.latest.as_millis() < FORGET_MS);
            let count = attempts.map_or(0, |attempts| attempts.count);
            let wait = attempts.map_or(0, |attempts| wait_ms(counter.pace(), attempts, now));
            if wait > 0 {
                must_wait = Some(MustWait { wait: Duration::from_millis(wait.unsigned_abs()) });
                Op::Nop
            } else {
                Op::Put(Attempts { count: count.saturating_add(1), latest: now })
            }
        });
        match must_wait {
            Some(wait) if matches!(outcome, CompResult::Unchanged(_)) => Err(wait),
            _ => Ok(()),
        }
    }
}

/// How long after `now` the next attempt may come. A clock that was set back makes nobody wait longer than the longest.
fn wait_ms(pace: &Pace, attempts: Attempts, now: Timestamp) -> i64 {
    let Some(doublings) = attempts.count.checked_sub(pace.free) else { return 0 };
    let delay = 1_000_i64.checked_shl(doublings.min(20)).unwrap_or(i64::MAX).min(pace.longest_ms);
    (attempts.latest.plus_millis(delay).as_millis() - now.as_millis()).min(pace.longest_ms)
}

fn digest(account: &str) -> [u8; 16] {
    let digest: [u8; 32] = Sha256::digest(account.to_lowercase()).into();
    digest.first_chunk().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::device::DeviceCookies;

    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    fn network(number: u32) -> Network {
        Network::V4(number.into())
    }

    fn stranger(account: &str, from: u32) -> Attempt<'_> {
        Attempt { account, network: network(from), device: None }
    }

    fn known(account: &str, from: u32) -> Attempt<'_> {
        let cookies = DeviceCookies::new([1; 32]);
        let cookie = cookies.renew(None, account, NOW);
        Attempt { account, network: network(from), device: cookies.recognise(&cookie, account, NOW) }
    }

    /// Tries as often as it is allowed to until `until`; answers how often that was.
    fn guess(throttle: &Throttle, attempt: impl Fn(u32) -> Attempt<'static>, from: Timestamp, until: Timestamp) -> u32 {
        let (mut now, mut count) = (from, 0);
        while now < until {
            match throttle.admit(&attempt(count), now) {
                Ok(_) => count += 1,
                Err(MustWait { wait }) => now = now.plus_millis(wait.as_millis() as i64),
            }
        }
        count
    }

    const DAY: i64 = 24 * 60 * 60 * 1000;

    #[test]
    fn waiting_doubles_up_to_a_quarter_of_an_hour() {
        let throttle = Throttle::new();
        let (mut now, mut waits) = (NOW, Vec::new());
        while waits.len() < 13 {
            match throttle.admit(&stranger("ann", 1), now) {
                Ok(_) => {}
                Err(wait) => {
                    waits.push(wait.seconds());
                    now = now.plus_millis(wait.wait.as_millis() as i64);
                }
            }
        }
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900, 900]);
    }

    #[test]
    fn success_starts_anew_and_failure_does_not() {
        let throttle = Throttle::new();
        for _ in 0..14 {
            for _ in 0..2 {
                let _ = throttle.admit(&stranger("ann", 1), NOW).unwrap();
            }
            throttle.succeeded(throttle.admit(&stranger("ann", 1), NOW).unwrap());
        }
        // 28 failures are left on the account: two more are free.
        let more = [2, 2, 2].map(|from| throttle.admit(&stranger("ann", from), NOW).is_ok());
        assert_eq!(more, [true, true, false]);
    }

    #[test]
    fn a_withdrawn_attempt_was_none() {
        let throttle = Throttle::new();
        for _ in 0..1_000 {
            throttle.withdrawn(throttle.admit(&stranger("ann", 1), NOW).unwrap());
        }
        assert!(throttle.admit(&stranger("ann", 1), NOW).is_ok());
    }

    #[test]
    fn an_attack_never_keeps_out_a_known_device() {
        let throttle = Throttle::new();
        let guesses = guess(&throttle, |count| stranger("ann", count), NOW, NOW.plus_millis(DAY));
        assert!((300..340).contains(&guesses), "{guesses} guesses a day from a botnet");
        let later = NOW.plus_millis(DAY - 1);
        assert!(throttle.admit(&stranger("ann", 999_999), later).is_err());
        // The same account, from a network of the attacker's even.
        let owner = known("ann", 7);
        for _ in 0..20 {
            throttle.succeeded(throttle.admit(&owner, later).unwrap());
        }
        // Another account of a stranger elsewhere is not touched.
        assert!(throttle.admit(&stranger("bob", 999_999), later).is_ok());
    }

    #[test]
    fn a_stolen_cookie_gives_few_guesses_and_costs_others_nothing() {
        let throttle = Throttle::new();
        let cookies = DeviceCookies::new([1; 32]);
        let cookie = cookies.renew(None, "ann", NOW);
        let device = cookies.recognise(&cookie, "ann", NOW);
        let stolen = |count| Attempt { account: "ann", network: network(count), device };
        let guesses = guess(&throttle, stolen, NOW, NOW.plus_millis(DAY));
        assert!(guesses < 120, "{guesses}");
        assert!(throttle.admit(&known("ann", 3), NOW).is_ok());
        assert!(throttle.admit(&stranger("ann", 4), NOW).is_ok());
    }

    #[test]
    fn one_network_cannot_try_a_password_on_everyone() {
        let throttle = Throttle::new();
        let accounts: Vec<&'static str> = (0..10_000).map(|n| &*format!("user{n}").leak()).collect();
        let guesses = guess(&throttle, |n| stranger(accounts[n as usize], 1), NOW, NOW.plus_millis(60 * 60 * 1000));
        assert!((50..80).contains(&guesses), "{guesses} accounts in an hour");
        let later = NOW.plus_millis(60 * 60 * 1000 - 1);
        assert!(throttle.admit(&known("user9999", 1), later).is_ok(), "a known device behind the same address");
        assert!(throttle.admit(&stranger("user9999", 2), later).is_ok());
    }

    #[test]
    fn attempts_at_once_do_not_slip_through_together() {
        let throttle = Throttle::new();
        let admitted: usize = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8)
                .map(|_| scope.spawn(|| (0..200).filter(|_| throttle.admit(&stranger("ann", 1), NOW).is_ok()).count()))
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!(admitted, 3);
    }

    #[test]
    fn a_day_of_quiet_is_forgiven_and_a_clock_set_back_locks_nobody_out() {
        let throttle = Throttle::new();
        for _ in 0..3 {
            let _ = throttle.admit(&stranger("ann", 1), NOW).unwrap();
        }
        let wait = throttle.admit(&stranger("ann", 1), NOW.plus_millis(-DAY)).unwrap_err();
        assert!(wait.wait <= Duration::from_secs(15 * 60), "{wait}");
        assert!(throttle.admit(&stranger("ann", 1), NOW.plus_millis(DAY)).is_ok());
        assert!(throttle.admit(&stranger("ann", 1), NOW.plus_millis(DAY)).is_ok());
        let problem = Problem::from(wait);
        assert_eq!((problem.status, problem.code.as_str()), (429, "too_many_attempts"));
        assert_eq!(problem.retry_after.map(u64::from), Some(wait.seconds()));
    }
}
