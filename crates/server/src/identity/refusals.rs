//! What was refused leaves a trace: a count by kind for alarms, and a line in the log, of each kind so many a minute, so that
//! a flood of one fills no disk and hides no other. A line names no person and no secret: the kind, the route, the network
//! roughly, and the id of the credential where one is known.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use axum::http::StatusCode;

use crate::problem::Problem;

/// Lines of one kind in a minute.
const LINES: u64 = 20;

/// What was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// An operator's password.
    Password,
    /// A second factor.
    SecondFactor,
    /// A passkey.
    Passkey,
    /// An answer of an identity provider.
    SignOn,
    /// A member's one-time code.
    Code,
    /// A key, a token, or a session.
    Credential,
    /// The secret of an OAuth2 client.
    ClientSecret,
    /// Something that the caller may not do.
    Permission,
    /// A request that another site may have sent.
    Origin,
    /// A signature, or its absence.
    Signature,
    /// A signed request that came before.
    Replay,
    /// One request or attempt too many.
    Limit,
}

const KINDS: usize = Why::Limit as usize + 1;

impl Why {
    /// The name in the metric and the log.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Password => "password",
            Self::SecondFactor => "second_factor",
            Self::Passkey => "passkey",
            Self::SignOn => "sign_on",
            Self::Code => "code",
            Self::Credential => "credential",
            Self::ClientSecret => "client_secret",
            Self::Permission => "permission",
            Self::Origin => "origin",
            Self::Signature => "signature",
            Self::Replay => "replay",
            Self::Limit => "limit",
        }
    }

    /// What a problem that is answered tells of. `None`: nothing that an attacker would cause.
    pub fn of(problem: &Problem, presented: bool) -> Option<Self> {
        match (StatusCode::from_u16(problem.status).unwrap_or_default(), problem.code.as_str()) {
            (_, "cross_site_request") => Some(Self::Origin),
            (_, "signature_replayed") => Some(Self::Replay),
            (StatusCode::TOO_MANY_REQUESTS, _) => Some(Self::Limit),
            (StatusCode::FORBIDDEN, _) => Some(Self::Permission),
            // Who shows nothing is asked to sign in, which is no refusal.
            (StatusCode::UNAUTHORIZED, "unauthorized") => presented.then_some(Self::Credential),
            (StatusCode::UNAUTHORIZED, _) => Some(Self::Signature),
            _ => None,
        }
    }
}

/// Counts a refusal, and logs it where there were not too many of its kind. `who`: the id of the credential, if any is known.
pub fn note(why: Why, route: &str, address: IpAddr, who: Option<&str>) {
    static STARTED: LazyLock<Instant> = LazyLock::new(Instant::now);
    static COUNTS: [Minute; KINDS] = [const { Minute(AtomicU64::new(0)) }; KINDS];
    metrics::counter!("guerdon_refused_total", "why" => why.name()).increment(1);
    let minute = STARTED.elapsed().as_secs() / 60;
    if COUNTS.get(why as usize).is_some_and(|count| count.has_room(minute)) {
        let (why, network, who) = (why.name(), prefix(address), who.unwrap_or("-"));
        tracing::warn!(why, route, network, who, "refused");
    }
}

/// A minute, and how many lines it has had, in the lower 16 bits.
struct Minute(AtomicU64);

impl Minute {
    fn has_room(&self, minute: u64) -> bool {
        let next = |state: u64| match state {
            state if state >> 16 != minute => Some(minute << 16 | 1),
            state if state & 0xFFFF < LINES => Some(state + 1),
            _ => None,
        };
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next).is_ok()
    }
}

/// From where, without naming anybody: 256 addresses of IPv4, or a site's network of IPv6.
fn prefix(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(address) => format!("{}/24", Ipv4Addr::from_bits(address.to_bits() & !0xFF)),
        IpAddr::V6(address) => format!("{}/48", Ipv6Addr::from_bits(address.to_bits() >> 80 << 80)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_one_kind_has_few_lines_a_minute() {
        let lines = Minute(AtomicU64::new(0));
        assert_eq!((0..1_000).filter(|_| lines.has_room(0)).count(), LINES as usize);
        assert_eq!((0..1_000).filter(|_| lines.has_room(7)).count(), LINES as usize);
    }

    #[test]
    fn a_network_names_no_caller() {
        let shown = |text: &str| prefix(text.parse().unwrap());
        assert_eq!(shown("203.0.113.77"), "203.0.113.0/24");
        assert_eq!(shown("::ffff:203.0.113.77"), "203.0.113.0/24");
        assert_eq!(shown("2001:db8:1:2:3:4:5:6"), "2001:db8:1::/48");
    }

    #[test]
    fn problems_are_told_apart_and_whoever_shows_nothing_is_not_counted() {
        let of = |status, code: &str, presented| Why::of(&Problem::new(status, code, ""), presented);
        assert_eq!(of(StatusCode::FORBIDDEN, "cross_site_request", false), Some(Why::Origin));
        assert_eq!(of(StatusCode::FORBIDDEN, "four_eyes", true), Some(Why::Permission));
        assert_eq!(of(StatusCode::UNAUTHORIZED, "unauthorized", true), Some(Why::Credential));
        assert_eq!(of(StatusCode::UNAUTHORIZED, "unauthorized", false), None);
        assert_eq!(of(StatusCode::UNAUTHORIZED, "signature_replayed", true), Some(Why::Replay));
        assert_eq!(of(StatusCode::UNAUTHORIZED, "signature_invalid", true), Some(Why::Signature));
        assert_eq!(of(StatusCode::TOO_MANY_REQUESTS, "quota_exceeded", true), Some(Why::Limit));
        assert_eq!(of(StatusCode::NOT_FOUND, "unknown_member", true), None);
    }
}
