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
//! Codes of vouchers that are typed at a counter are counted by themselves, never with sign-in:
//!
//! - **one terminal of one caller**: three codes that are not there are free, then waiting grows as above; one is forgiven
//!   every five minutes after the last.
//! - **one caller at all its terminals** (who has a key may call its terminals what he likes): a hundred are free, then ten
//!   seconds at the most, so that no till stands still for what another has done; one is forgiven a minute. That is some
//!   9,000 guesses a day, among 26 million million codes.
//!
//! What succeeds leaves the counters as they were before it, also when they count until.
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
    /// So long after the last failure one is forgiven, and another after each such time, in milliseconds.
    forgive_ms: i64,
}

const STRANGER: Pace = Pace { free: 3, longest_ms: 15 * 60 * 1000, forgive_ms: FORGET_MS };
const DEVICE: Pace = Pace { free: 5, longest_ms: 15 * 60 * 1000, forgive_ms: FORGET_MS };
const ACCOUNT: Pace = Pace { free: 30, longest_ms: 5 * 60 * 1000, forgive_ms: FORGET_MS };
const NETWORK: Pace = Pace { free: 50, longest_ms: 5 * 60 * 1000, forgive_ms: FORGET_MS };
const TERMINAL: Pace = Pace { free: 3, longest_ms: 15 * 60 * 1000, forgive_ms: 5 * 60 * 1000 };
const CALLER: Pace = Pace { free: 100, longest_ms: 10 * 1000, forgive_ms: 60 * 1000 };

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

/// Where a code is typed that members show.
#[derive(Debug, Clone, Copy)]
pub struct Counterplace<'a> {
    /// Who asks: an operator, a key, a client.
    pub caller: &'a str,
    /// In which store; empty where it is not told.
    pub store: &'a str,
    /// At which terminal; empty where it is not told.
    pub terminal: &'a str,
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
    counted: Vec<Counted>,
}

/// What an attempt has made of a counter.
#[derive(Debug, Clone, Copy)]
struct Counted {
    counter: Counter,
    before: Option<Attempts>,
    after: Attempts,
}

/// What attempts are counted by. Accounts are digests: the memory names nobody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Counter {
    Stranger([u8; 16], Network),
    Device([u8; 16], KnownDevice),
    Account([u8; 16]),
    Network(Network),
    Terminal([u8; 16]),
    Caller([u8; 16]),
}

impl Counter {
    fn pace(&self) -> &'static Pace {
        match self {
            Self::Stranger(..) => &STRANGER,
            Self::Device(..) => &DEVICE,
            Self::Account(_) => &ACCOUNT,
            Self::Network(_) => &NETWORK,
            Self::Terminal(_) => &TERMINAL,
            Self::Caller(_) => &CALLER,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Attempts {
    count: u32,
    latest: Timestamp,
}

impl Attempts {
    /// Without those that are forgiven by now.
    fn left(self, pace: &Pace, now: Timestamp) -> u32 {
        let quiet = (now.as_millis() - self.latest.as_millis()).max(0);
        self.count.saturating_sub(u32::try_from(quiet / pace.forgive_ms).unwrap_or(u32::MAX))
    }
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
        self.admit_to(&counters, now)
    }

    /// The same for a code that is typed at a counter. When it is there, the attempt is [withdrawn](Self::withdrawn): whoever
    /// has one good code cannot try others between.
    pub fn admit_code(&self, place: Counterplace<'_>, now: Timestamp) -> Result<Admitted, MustWait> {
        let Counterplace { caller, store, terminal } = place;
        // Told apart however they are named.
        let place = digest(&format!("{} {} {caller}{store}{terminal}", caller.len(), store.len()));
        self.admit_to(&[Counter::Terminal(place), Counter::Caller(digest(caller))], now)
    }

    fn admit_to(&self, counters: &[Counter], now: Timestamp) -> Result<Admitted, MustWait> {
        let mut admitted = Admitted { counted: Vec::with_capacity(counters.len()) };
        for counter in counters {
            match self.count(*counter, now) {
                Ok(counted) => admitted.counted.push(counted),
                Err(wait) => {
                    self.withdrawn(admitted);
                    return Err(wait);
                }
            }
        }
        Ok(admitted)
    }

    /// The attempt succeeded: this network or device starts anew. What others did to the account stays counted.
    pub fn succeeded(&self, admitted: Admitted) {
        let is_own = |counted: &Counted| matches!(counted.counter, Counter::Stranger(..) | Counter::Device(..));
        let (own, shared): (Vec<Counted>, Vec<Counted>) = admitted.counted.into_iter().partition(is_own);
        for counted in own {
            self.counters.invalidate(&counted.counter);
        }
        self.withdrawn(Admitted { counted: shared });
    }

    /// The attempt was not made after all, because the server was busy, say. It is as if it had not been: nobody waits longer
    /// for it, unless others have tried meanwhile.
    pub fn withdrawn(&self, admitted: Admitted) {
        for Counted { counter, before, after } in admitted.counted {
            let _ =
                self.counters.entry(counter).and_compute_with(|entry| match entry.map(|entry| entry.into_value()) {
                    Some(now) if now == after => before.map_or(Op::Remove, Op::Put),
                    Some(Attempts { count, latest }) if count > 1 => Op::Put(Attempts { count: count - 1, latest }),
                    Some(_) => Op::Remove,
                    None => Op::Nop,
                });
        }
    }

    /// One at a time for each counter: of two that come at once, the second sees the first.
    fn count(&self, counter: Counter, now: Timestamp) -> Result<Counted, MustWait> {
        let mut must_wait = None;
        let (pace, mut before, mut after) = (counter.pace(), None, Attempts { count: 1, latest: now });
        let outcome = self.counters.entry(counter).and_compute_with(|entry| {
            let attempts = entry.map(|entry| entry.into_value());
            let attempts = attempts.filter(|attempts| now.as_millis() - attempts.latest.as_millis() < FORGET_MS);
            let count = attempts.map_or(0, |attempts| attempts.left(pace, now));
            let wait = attempts.map_or(0, |attempts| wait_ms(pace, Attempts { count, ..attempts }, now));
            if wait > 0 {
                must_wait = Some(MustWait { wait: Duration::from_millis(wait.unsigned_abs()) });
                Op::Nop
            } else {
                (before, after) = (attempts, Attempts { count: count.saturating_add(1), latest: now });
                Op::Put(after)
            }
        });
        match must_wait {
            Some(wait) if matches!(outcome, CompResult::Unchanged(_)) => Err(wait),
            _ => Ok(Counted { counter, before, after }),
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

    fn place<'a>(caller: &'a str, terminal: &'a str) -> Counterplace<'a> {
        Counterplace { caller, store: "North", terminal }
    }

    #[test]
    fn what_succeeds_prolongs_no_wait_and_failures_do_not_add_up_for_ever() {
        let throttle = Throttle::new();
        for _ in 0..30 {
            let _ = throttle.admit_code(place("key", "1"), NOW);
            let _ = throttle.admit(&stranger("ann", 1), NOW);
        }
        let minute = |minutes: i64| NOW.plus_millis(minutes * 60 * 1000);
        // Three failures, and good codes every minute: all are forgiven after a quarter of an hour.
        for minutes in 1..60 {
            throttle.withdrawn(throttle.admit_code(place("key", "1"), minute(minutes)).unwrap());
        }
        for _ in 0..3 {
            let _ = throttle.admit_code(place("key", "1"), minute(60)).unwrap();
        }
        assert!(throttle.admit_code(place("key", "1"), minute(60)).is_err());
        // A year of one wrong code an hour among good ones, at one terminal.
        let throttle = Throttle::new();
        for hour in 0..24 * 365 {
            let _ = throttle.admit_code(place("key", "1"), minute(hour * 60)).unwrap();
            throttle.withdrawn(throttle.admit_code(place("key", "1"), minute(hour * 60 + 1)).unwrap());
        }
    }

    #[test]
    fn a_terminal_that_guesses_keeps_neither_the_others_nor_sign_in() {
        let throttle = Throttle::new();
        let from = Attempt { account: "voucher key", network: network(1), device: None };
        for _ in 0..1_000 {
            let _ = throttle.admit_code(place("key", "1"), NOW);
        }
        assert!(throttle.admit_code(place("key", "1"), NOW).is_err());
        assert!(throttle.admit_code(place("key", "2"), NOW).is_ok(), "another terminal");
        let south = Counterplace { store: "South", ..place("key", "1") };
        assert!(throttle.admit_code(south, NOW).is_ok(), "a terminal of that name in another store");
        assert!(throttle.admit(&from, NOW).is_ok(), "sign-in");
        // Whoever calls each guess another terminal is slowed down all the same, and nobody for long.
        let (mut now, mut guesses) = (NOW, 0);
        while now < NOW.plus_millis(DAY) {
            match throttle.admit_code(place("key", &guesses.to_string()), now) {
                Ok(_) => guesses += 1,
                Err(wait) => {
                    assert!(wait.wait <= Duration::from_secs(10), "{wait}");
                    now = now.plus_millis(wait.wait.as_millis() as i64);
                }
            }
        }
        assert!((5_000..12_000).contains(&guesses), "{guesses} guesses a day");
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
