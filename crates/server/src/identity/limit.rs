//! How many requests are allowed, as people write it: `1000/s`, `1000/s burst 2000`, `90/min`, `unlimited`.

use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// More than this in a second or minute is better called unlimited.
const MOST_REQUESTS: u32 = 1_000_000;

/// The time over which requests are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Per {
    /// A second.
    Second,
    /// A minute.
    Minute,
    /// An hour.
    Hour,
}

impl Per {
    /// Its length in seconds.
    pub const fn seconds(self) -> u64 {
        match self {
            Self::Second => 1,
            Self::Minute => 60,
            Self::Hour => 3_600,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Second => "s",
            Self::Minute => "min",
            Self::Hour => "h",
        }
    }
}

/// So many requests in a time, and so many at once after a rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Rate {
    /// How many in the long run.
    pub requests: NonZeroU32,
    /// In which time.
    pub per: Per,
    /// How many at once.
    pub burst: NonZeroU32,
}

/// A limit on requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Limit {
    /// None.
    Unlimited,
    /// A rate.
    Rate(Rate),
}

impl Limit {
    /// A limit for the defaults; zero counts as one.
    pub const fn new(requests: u32, per: Per, burst: u32) -> Self {
        Self::Rate(Rate { requests: at_least_one(requests), per, burst: at_least_one(burst) })
    }
}

const fn at_least_one(number: u32) -> NonZeroU32 {
    match NonZeroU32::new(number) {
        Some(number) => number,
        None => NonZeroU32::MIN,
    }
}

/// Why a text is not a limit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not a limit: expected such as `1000/s`, `1000/s burst 2000`, `90/min`, `500/h` or `unlimited`, with numbers from 1 to {MOST_REQUESTS}"
)]
pub struct InvalidLimit(String);

impl FromStr for Limit {
    type Err = InvalidLimit;

    fn from_str(text: &str) -> Result<Self, InvalidLimit> {
        parse(text.trim()).ok_or_else(|| InvalidLimit(text.chars().take(40).collect()))
    }
}

fn parse(text: &str) -> Option<Limit> {
    if text == "unlimited" {
        return Some(Limit::Unlimited);
    }
    let mut words = text.split_ascii_whitespace();
    let (requests, per) = words.next()?.split_once('/')?;
    let requests = number(requests)?;
    let per = [Per::Second, Per::Minute, Per::Hour].into_iter().find(|known| known.name() == per)?;
    let burst = match words.next() {
        None => requests,
        Some("burst") => number(words.next()?)?,
        Some(_) => return None,
    };
    words.next().is_none().then_some(Limit::Rate(Rate { requests, per, burst }))
}

fn number(text: &str) -> Option<NonZeroU32> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let number = if digits { text.parse::<u32>().ok()? } else { return None };
    NonZeroU32::new(number).filter(|_| number <= MOST_REQUESTS)
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unlimited => f.write_str("unlimited"),
            Self::Rate(Rate { requests, per, burst }) if requests == burst => write!(f, "{requests}/{}", per.name()),
            Self::Rate(Rate { requests, per, burst }) => write!(f, "{requests}/{} burst {burst}", per.name()),
        }
    }
}

impl Serialize for Limit {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Limit {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// The limits of a server: what applies to whom unless a key has its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// To each API key.
    pub key: Limit,
    /// To each partner with OAuth2 client credentials.
    pub client: Limit,
    /// To each address, or IPv6 /64, of whoever has not said who they are.
    pub address: Limit,
    /// To each member in the portal.
    pub member: Limit,
    /// To each operator.
    pub operator: Limit,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            key: Limit::new(1_000, Per::Second, 2_000),
            client: Limit::new(1_000, Per::Second, 2_000),
            address: Limit::new(100, Per::Second, 300),
            member: Limit::new(20, Per::Second, 100),
            operator: Limit::new(100, Per::Second, 300),
        }
    }
}

impl Limits {
    /// Nothing is limited.
    pub const UNLIMITED: Self = Self {
        key: Limit::Unlimited,
        client: Limit::Unlimited,
        address: Limit::Unlimited,
        member: Limit::Unlimited,
        operator: Limit::Unlimited,
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_read_and_written_as_people_write_them() {
        for text in ["unlimited", "1000/s", "1000/s burst 2000", "90/min", "1/h burst 5"] {
            assert_eq!(text.parse::<Limit>().unwrap().to_string(), text);
        }
        assert_eq!(" 5/s  burst  5 ".parse::<Limit>().unwrap().to_string(), "5/s");
        for text in
            ["", "1000", "/s", "0/s", "-1/s", "+1/s", "1.5/s", "1/day", "1/s burst", "1/s burst 0", "1/s burst 2 x"]
        {
            assert!(text.parse::<Limit>().is_err(), "{text}");
        }
        let error = "1000001/s".parse::<Limit>().unwrap_err().to_string();
        assert!(error.starts_with("`1000001/s` is not a limit: expected such as `1000/s`"), "{error}");
    }

    #[test]
    fn what_is_left_out_of_the_limits_is_as_it_ships() {
        let limits: Limits = serde_json::from_str(r#"{"key": "unlimited", "member": "5/s"}"#).unwrap();
        assert_eq!(limits.key, Limit::Unlimited);
        assert_eq!(limits.member, Limit::new(5, Per::Second, 5));
        assert_eq!(limits.address, Limits::default().address);
        assert!(serde_json::from_str::<Limits>(r#"{"keys": "unlimited"}"#).is_err());
        assert_eq!(serde_json::to_value(Limits::default()).unwrap()["key"], "1000/s burst 2000");
    }
}
