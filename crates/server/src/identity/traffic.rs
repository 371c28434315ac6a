//! Holds back who asks too often: programs, members and operators by who they are, strangers by their address.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use moka::sync::Cache;

use super::actor::{Actor, Who};
use super::limit::{Limit, Limits, Per};
use super::network::Network;
use super::rate::{Limited, RateHeaders, RateLimits};

/// Credentials that an address may show in vain. Those that were good within the hour are not counted, so that nobody
/// keeps others out by failing behind the same address.
const FAILURES: Limit = Limit::new(60, Per::Minute, 120);

/// What somebody of whom nothing is proved may begin that leaves a record behind, from one address.
const BEGINNINGS: Limit = Limit::new(10, Per::Minute, 30);

/// Addresses that wait at the most, and for how long at the most.
const MOST_WAITING: u64 = 100_000;
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// Counts requests.
pub struct Traffic {
    limits: RateLimits,
    waiting: Cache<Network, (Instant, Limited)>,
}

impl Traffic {
    /// With the limits of a server.
    pub fn new(limits: Limits) -> Self {
        let waiting = Cache::builder().max_capacity(MOST_WAITING).time_to_live(LONGEST_WAIT).build();
        Self { limits: RateLimits::new(limits), waiting }
    }

    /// Counts a request, under a rate of the caller's own or the usual one.
    pub fn count(&self, actor: &Actor, own: Option<Limit>) -> Result<Option<RateHeaders>, Limited> {
        let subject = match &actor.who {
            Who::Key { id } => self.limits.key(id),
            Who::Client { id } => self.limits.client(id),
            Who::Operator { id, .. } => self.limits.operator(id),
            Who::Member { id, .. } => self.limits.member(id.0),
            Who::Anonymous | Who::System => self.limits.address(actor.address),
        };
        self.limits.check(subject, own)
    }

    /// Counts a request of a client at the token endpoint.
    pub fn client(&self, id: &str, own: Option<Limit>) -> Result<Option<RateHeaders>, Limited> {
        self.limits.check(self.limits.client(id), own)
    }

    /// Whether an address may show a credential that is not known to be good.
    pub fn may_try(&self, address: IpAddr) -> Result<(), Limited> {
        match self.waiting.get(&Network::of(address)) {
            Some((since, limited)) if since.elapsed().as_secs() < limited.retry_after => Err(limited),
            _ => Ok(()),
        }
    }

    /// Counts something that a stranger begins and that is written down, such as the way to an identity provider.
    pub fn may_begin(&self, address: IpAddr) -> Result<(), Limited> {
        self.limits.check(self.limits.address(address), Some(BEGINNINGS)).map(drop)
    }

    /// Counts a credential that was shown in vain. Who has shown too many waits.
    pub fn failed(&self, address: IpAddr) {
        if let Err(limited) = self.limits.check(self.limits.address(address), Some(FAILURES)) {
            self.waiting.insert(Network::of(address), (Instant::now(), limited));
        }
    }
}

#[cfg(test)]
mod tests {
    use guerdon_core::id::MemberId;

    use super::*;

    #[test]
    fn an_address_that_fails_too_often_waits() {
        let traffic = Traffic::new(Limits::default());
        let (here, there) = ("192.0.2.1".parse().unwrap(), "192.0.2.2".parse().unwrap());
        for _ in 0..120 {
            assert_eq!(traffic.may_try(here), Ok(()));
            traffic.failed(here);
        }
        traffic.failed(here);
        let limited = traffic.may_try(here).unwrap_err();
        assert!((1..=2).contains(&limited.retry_after), "{limited:?}");
        assert_eq!(traffic.may_try(there), Ok(()));
    }

    #[test]
    fn strangers_begin_a_few_things_and_are_not_kept_from_others() {
        let traffic = Traffic::new(Limits::default());
        let (here, there) = ("192.0.2.1".parse().unwrap(), "192.0.2.2".parse().unwrap());
        assert_eq!((0..100).filter(|_| traffic.may_begin(here).is_ok()).count(), 30);
        assert!(traffic.may_begin(there).is_ok() && traffic.may_try(here).is_ok());
    }

    #[test]
    fn everyone_is_counted_by_who_they_are() {
        let one = Limit::new(1, Per::Hour, 1);
        let limits = Limits { key: one, client: one, address: one, member: one, operator: one };
        let traffic = Traffic::new(limits);
        let (here, there) = ("192.0.2.1".parse().unwrap(), "192.0.2.2".parse().unwrap());
        let session = || "digest".to_owned();
        let actor = |who, address| Actor { who, ..Actor::anonymous(address) };
        for who in [
            Who::Key { id: "key_1".to_owned() },
            Who::Key { id: "key_2".to_owned() },
            Who::Client { id: "cli_1".to_owned() },
            Who::Operator { id: "opr_1".to_owned(), session: session() },
            Who::Member { id: MemberId(1), session: session() },
        ] {
            assert!(traffic.count(&actor(who.clone(), here), None).is_ok(), "{who:?}");
            assert!(traffic.count(&actor(who.clone(), there), None).is_err(), "{who:?} comes from elsewhere");
        }
        let stranger = |address| traffic.count(&Actor::anonymous(address), None).is_ok();
        assert!(stranger(here) && stranger(there) && !stranger(here));
        let key = actor(Who::Key { id: "key_1".to_owned() }, here);
        assert_eq!(traffic.count(&key, Some(Limit::Unlimited)), Ok(None));
    }
}
