//! Identifiers: 64-bit, time-ordered, with a node part; in text a typed prefix and base32.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::time::Timestamp;

/// Crockford's base32 alphabet in lower case: no `i`, `l`, `o` or `u`, so that an id can be read aloud.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
/// 13 digits of 5 bits hold 64 bits.
const DIGITS: usize = 13;
/// 2020-01-01T00:00:00Z: ids count milliseconds from here.
const EPOCH_MS: i64 = 1_577_836_800_000;
const SEQUENCE_BITS: u32 = 12;
const NODE_BITS: u32 = 10;

/// Why a text is not an id of the wanted kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not {kind} id: expected `{prefix}_` and 13 base32 digits")]
pub struct InvalidId {
    text: String,
    kind: &'static str,
    prefix: &'static str,
}

fn encode(prefix: &str, value: i64, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let mut digits = [b'0'; DIGITS];
    let mut rest = value as u64;
    for digit in digits.iter_mut().rev() {
        *digit = ALPHABET.get((rest & 31) as usize).copied().unwrap_or(b'0');
        rest >>= 5;
    }
    write!(f, "{prefix}_{}", std::str::from_utf8(&digits).map_err(|_| fmt::Error)?)
}

fn decode(prefix: &str, text: &str) -> Option<i64> {
    let digits = text.strip_prefix(prefix)?.strip_prefix('_')?;
    if digits.len() != DIGITS {
        return None;
    }
    let mut value: u64 = 0;
    for (position, byte) in digits.bytes().enumerate() {
        let digit = ALPHABET.iter().position(|known| *known == byte)? as u64;
        if position == 0 && digit > 7 {
            return None;
        }
        value = value << 5 | digit;
    }
    i64::try_from(value).ok()
}

macro_rules! id_type {
    ($(#[$doc:meta])* $name:ident, $prefix:literal, $kind:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(pub i64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                encode($prefix, self.0, f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                encode($prefix, self.0, f)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;
            fn from_str(text: &str) -> Result<Self, InvalidId> {
                decode($prefix, text).map(Self).ok_or_else(|| InvalidId {
                    text: text.chars().take(40).collect(),
                    kind: $kind,
                    prefix: $prefix,
                })
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

id_type!(
    /// A member of a program, `mem_…`.
    MemberId, "mem", "a member"
);
id_type!(
    /// A transaction, `txn_…`.
    TransactionId, "txn", "a transaction"
);
id_type!(
    /// An activity, `act_…`.
    ActivityId, "act", "an activity"
);
id_type!(
    /// An order, `ord_…`.
    OrderId, "ord", "an order"
);

/// The node that gave an id, 0–1023.
pub fn node_of(id: i64) -> i64 {
    id >> SEQUENCE_BITS & ((1 << NODE_BITS) - 1)
}

/// The lowest id of a moment: ids given before it are below, those given from it on are not.
pub fn first_id_at(at: Timestamp) -> i64 {
    (at.as_millis() - EPOCH_MS).clamp(0, i64::MAX >> (NODE_BITS + SEQUENCE_BITS)) << (NODE_BITS + SEQUENCE_BITS)
}

/// Hands out ids in rising order for one node. The clock is handed in, so a seed replays a run exactly.
#[derive(Debug, Clone)]
pub struct IdGenerator {
    node: i64,
    tick: i64,
    sequence: i64,
}

impl IdGenerator {
    /// A generator for `node` (0–1023).
    pub fn new(node: u16) -> Self {
        Self { node: i64::from(node) & ((1 << NODE_BITS) - 1), tick: 0, sequence: -1 }
    }

    /// A generator for `node` that gives only ids above `last`, also when the clock has fallen since.
    pub fn after(node: u16, last: i64) -> Self {
        Self { tick: last >> (NODE_BITS + SEQUENCE_BITS), sequence: (1 << SEQUENCE_BITS) - 1, ..Self::new(node) }
    }

    /// Gives only ids above `last` from now on: the transactions of a member rise in id also when the clocks of the
    /// nodes differ.
    pub fn rise_above(&mut self, last: i64) {
        if last >= self.latest() {
            *self = Self::after(u16::try_from(self.node).unwrap_or_default(), last);
        }
    }

    fn latest(&self) -> i64 {
        self.tick << (NODE_BITS + SEQUENCE_BITS) | self.node << SEQUENCE_BITS | self.sequence.max(0)
    }

    /// The next id at `now`. It never repeats and never falls, even when the clock does; 4,096 ids a millisecond
    /// are given before it borrows from the next one.
    pub fn next(&mut self, now: Timestamp) -> i64 {
        let tick = (now.as_millis() - EPOCH_MS).max(0);
        if tick > self.tick {
            self.tick = tick;
            self.sequence = -1;
        }
        self.sequence += 1;
        if self.sequence >= 1 << SEQUENCE_BITS {
            self.tick += 1;
            self.sequence = 0;
        }
        self.latest()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_round_trips_and_foreign_text_is_refused() {
        for value in [0, 1, 31, 32, i64::MAX, 7_112_233_445_566] {
            let id = MemberId(value);
            assert_eq!(id.to_string().parse::<MemberId>(), Ok(id));
        }
        let order = OrderId(5).to_string();
        assert!(order.parse::<MemberId>().unwrap_err().to_string().contains("mem_"));
        assert!("mem_zzzzzzzzzzzzz".parse::<MemberId>().is_err());
        assert!("mem_00000000000é".parse::<MemberId>().is_err());
    }

    #[test]
    fn a_node_behind_gives_ids_above_those_of_a_node_ahead() {
        let (mut ahead, mut behind) = (IdGenerator::new(9), IdGenerator::new(2));
        let now = Timestamp::from_millis(1_700_000_000_000);
        let last = ahead.next(now.plus_millis(60_000));
        behind.rise_above(last);
        let next = behind.next(now);
        assert!(next > last && next != ahead.next(now.plus_millis(60_000)));
        behind.rise_above(last);
        assert_eq!(behind.next(now), next + 1, "an id that is lower already changes nothing");
    }

    #[test]
    fn ids_rise_even_when_the_clock_falls() {
        let mut ids = IdGenerator::new(3);
        let mut last = -1;
        for step in 0..20_000 {
            let id = ids.next(Timestamp::from_millis(1_700_000_000_000 - step % 7));
            assert!(id > last);
            last = id;
        }
    }
}
