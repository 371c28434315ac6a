//! Points that a till spends without network: an allowance, fetched before and signed, and what becomes of what was spent.
//!
//! The text: `GA1.` · base32 of member id (8 bytes), order id of the allowance (8), points (4), the money that they pay in
//! minor units (8), end of its life in seconds since 1970 (4), all big-endian, the length of the terminal in bytes (1), the
//! terminal and the store in UTF-8 · `.` · base32 of an Ed25519 signature.

use serde::{Deserialize, Serialize};

use super::tender::{Paid, split};
use crate::id::{MemberId, OrderId, TransactionId};
use crate::ledger::Portion;
use crate::limits;
use crate::members::{CardKey, CardPublicKey, Form, Unopened};
use crate::time::Timestamp;

/// What the order of an allowance is for. No reward of a catalogue has such an id.
pub const ALLOWANCE: &str = "@allowance";

const ALLOWANCE_FORM: Form = Form { format: "GA1.", domain: "guerdon allowance\n" };
/// Bytes of a body before the terminal and the store.
const HEAD: usize = 32;
const HOUR_MS: i64 = 60 * 60 * 1_000;
/// The longest life of an allowance, in hours: 30 days.
const MOST_HOURS: i64 = 30 * 24;
/// The most points of an allowance: what four bytes hold.
const MOST_POINTS: i64 = u32::MAX as i64;

/// How tills without network spend points.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OfflinePolicy {
    /// Points of a member's allowances that are good at the same time, at all terminals together.
    pub points: i64,
    /// For how many hours an allowance is good.
    pub hours: i64,
    /// Whether they are set aside meanwhile. If not, the member may spend them elsewhere as well.
    #[serde(default = "yes")]
    pub reserve: bool,
    /// What becomes of what was spent beyond an allowance.
    #[serde(default)]
    pub overdraft: Overdraft,
}

fn yes() -> bool {
    true
}

/// What becomes of what was spent beyond an allowance, or on one of another terminal. It is reported either way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Overdraft {
    /// It is charged: what is not there is owed, as after a return, up to the currency's limit.
    Owe,
    /// Nothing is charged for it.
    #[default]
    RefuseAndReport,
}

impl OfflinePolicy {
    /// Until when an allowance that is fetched at `at` is good.
    pub fn ends_at(&self, at: Timestamp) -> Timestamp {
        at.plus_millis(self.hours.saturating_mul(HOUR_MS))
    }

    /// Checks every field; the message names it.
    pub fn validate(&self) -> Result<(), String> {
        if !(1..=MOST_POINTS).contains(&self.points) {
            return Err(format!("`offline.points` must be 1 to {MOST_POINTS}, not {}", self.points));
        }
        if !(1..=MOST_HOURS).contains(&self.hours) {
            return Err(format!("`offline.hours` must be 1 to {MOST_HOURS}, not {}", self.hours));
        }
        Ok(())
    }
}

/// Points that a terminal may spend without network, and what it has spent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Allowance {
    /// In which store.
    pub store: String,
    /// At which terminal alone.
    pub terminal: String,
    /// How many points, and what they pay.
    pub granted: Paid,
    /// Until when they may be spent.
    pub ends_at: Timestamp,
    /// From which lots they are set aside; none where they are not.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub portions: Vec<Portion>,
    /// What was spent of it, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub spent: Vec<SpentOffline>,
}

/// What was spent of an allowance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpentOffline {
    /// By which entry of the journal.
    pub transaction_id: TransactionId,
    /// How many points of the allowance.
    pub points: i64,
    /// How many of them were set aside for it.
    pub held: i64,
}

impl Allowance {
    /// Points that may still be spent.
    pub fn left(&self) -> i64 {
        self.granted.points - self.spent.iter().map(|spent| spent.points).sum::<i64>()
    }

    /// The lots of what is still set aside: what is spent first is what expires first.
    pub fn portions_left(&self) -> Vec<Portion> {
        split(&self.portions, self.spent.iter().map(|spent| spent.held).sum()).1
    }
}

/// Points of an allowance that is good at the moment, as the next one of the member must know of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Granted {
    /// Which.
    pub order: OrderId,
    /// How many.
    pub points: i64,
    /// Until when.
    pub ends_at: Timestamp,
}

/// Why the text of an allowance is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AllowanceError {
    /// The text is none of an allowance.
    #[error("this is no allowance: its text begins with GA1., as `POST /v1/allowances` has answered it")]
    Unreadable,
    /// Not signed by the key of this program.
    #[error("the signature is wrong: the allowance is forged, or of another program")]
    Forged,
}

/// What the text of an allowance says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AllowanceText {
    /// Whose points.
    pub member: MemberId,
    /// Which allowance.
    pub order: OrderId,
    /// How many points, and what they pay.
    pub granted: Paid,
    /// Until when, in whole seconds.
    pub ends_at: Timestamp,
    /// In which store alone: stores number their terminals alike.
    pub store: String,
    /// At which terminal alone.
    pub terminal: String,
}

impl AllowanceText {
    /// The text, of a terminal that [`check_terminal`] accepts.
    pub fn sign(&self, key: &CardKey) -> String {
        let four = |number: i64| u32::try_from(number).unwrap_or(u32::MAX).to_be_bytes();
        let (member, order) = (self.member.0.to_be_bytes(), self.order.0.to_be_bytes());
        let (points, money) = (four(self.granted.points), self.granted.money.to_be_bytes());
        let ends = four(self.ends_at.as_millis().div_euclid(1_000));
        let (terminal, store) = (self.terminal.as_bytes(), self.store.as_bytes());
        let length = [u8::try_from(terminal.len()).unwrap_or(u8::MAX)];
        let body = [member.as_slice(), &order, &points, &money, &ends, &length, terminal, store].concat();
        key.sign(&ALLOWANCE_FORM, &body)
    }

    /// Opens a text that the key has signed.
    pub fn open(key: &CardPublicKey, text: &str) -> Result<Self, AllowanceError> {
        let body = key.open(&ALLOWANCE_FORM, text).map_err(|unopened| match unopened {
            Unopened::Unreadable => AllowanceError::Unreadable,
            Unopened::Forged => AllowanceError::Forged,
        })?;
        let (head, place) = body.split_first_chunk::<HEAD>().ok_or(AllowanceError::Unreadable)?;
        let (length, place) = place.split_first().ok_or(AllowanceError::Unreadable)?;
        let (terminal, store) = place.split_at_checked(usize::from(*length)).ok_or(AllowanceError::Unreadable)?;
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).map_err(|_| AllowanceError::Unreadable);
        let (member, rest) = eight(head);
        let (order, rest) = eight(rest);
        let (points, rest) = four(rest);
        let (money, rest) = eight(rest);
        let (seconds, _) = four(rest);
        Ok(Self {
            member: MemberId(member),
            order: OrderId(order),
            granted: Paid { points, money },
            ends_at: Timestamp::from_millis(seconds * 1_000),
            store: text(store)?,
            terminal: text(terminal)?,
        })
    }
}

fn eight(bytes: &[u8]) -> (i64, &[u8]) {
    bytes.split_first_chunk().map_or((0, &[]), |(first, rest)| (i64::from_be_bytes(*first), rest))
}

fn four(bytes: &[u8]) -> (i64, &[u8]) {
    bytes.split_first_chunk().map_or((0, &[]), |(first, rest)| (i64::from(u32::from_be_bytes(*first)), rest))
}

/// Checks the name of a terminal: it must fit into the text.
pub fn check_terminal(terminal: &str) -> Result<(), String> {
    limits::check_text("terminal", terminal, limits::TERMINAL_BYTES)?;
    if terminal.len() > limits::TERMINAL_BYTES {
        return Err(format!("`terminal` must have at most {} bytes", limits::TERMINAL_BYTES));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_allowance_opens_under_its_key_alone() {
        let key = CardKey::new(&[7; 32]);
        let text = AllowanceText {
            member: "mem_066ahg5mr0000".parse().unwrap(),
            order: "ord_066ahg5mr0001".parse().unwrap(),
            granted: Paid { points: 500, money: 500 },
            ends_at: Timestamp::parse_rfc3339("2026-02-03T02:40:10Z").unwrap(),
            store: "North".to_owned(),
            terminal: "till 3".to_owned(),
        };
        let signed = text.sign(&key);
        let elsewhere = AllowanceText { store: "South".to_owned(), ..text.clone() }.sign(&key);
        assert_ne!(signed, elsewhere, "a terminal of the same name in another store");
        // The example of docs/pos.md, for whoever writes a till in another language.
        assert!(include_str!("../../../../docs/pos.md").contains(&signed), "{signed}");
        assert_eq!(AllowanceText::open(&key.public(), &signed.to_lowercase()), Ok(text.clone()));
        assert_eq!(AllowanceText::open(&CardKey::new(&[8; 32]).public(), &signed), Err(AllowanceError::Forged));
        let card = key.show(text.member, text.ends_at);
        assert_eq!(AllowanceText::open(&key.public(), &card), Err(AllowanceError::Unreadable));
        let (longest, most) = ("终".repeat(21), Paid { points: MOST_POINTS, money: i64::MAX });
        assert_eq!(check_terminal(&longest), Ok(()));
        let store = "店".repeat(limits::KEY_CHARS);
        let longest = AllowanceText { terminal: longest, store, granted: most, ..text };
        assert_eq!(AllowanceText::open(&key.public(), &longest.sign(&key)), Ok(longest));
        assert!(check_terminal(&"终".repeat(22)).is_err());
    }
}
