//! Transactions and the transfers of which they consist.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{CurrencyId, LotKey};
use crate::id::{MemberId, TransactionId};
use crate::time::{Day, Timestamp};

/// Where points lie. The first three belong to the member, the others to the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(i64)]
pub enum LedgerAccount {
    /// The member's points that are active and free.
    MemberAvailable = 1,
    /// The member's points that are not active yet.
    MemberPending = 2,
    /// The member's points that are set aside for orders.
    MemberHeld = 3,
    /// Points issued by earning rules.
    Issuance = 10,
    /// Points spent on rewards.
    Redemption = 11,
    /// Points that expired unspent.
    Breakage = 12,
    /// Points taken back after returns.
    Revocation = 13,
    /// Manual adjustments.
    Adjustment = 14,
    /// Points on their way from one account of a person to another; a merge takes out what it puts in.
    Merge = 15,
    /// Points on their way from a lot to one that lives longer; each transaction takes out what it puts in.
    Extension = 16,
}

impl LedgerAccount {
    /// From the stored number.
    pub fn from_code(code: i64) -> Option<Self> {
        [
            Self::MemberAvailable,
            Self::MemberPending,
            Self::MemberHeld,
            Self::Issuance,
            Self::Redemption,
            Self::Breakage,
            Self::Revocation,
            Self::Adjustment,
            Self::Merge,
            Self::Extension,
        ]
        .into_iter()
        .find(|account| *account as i64 == code)
    }

    /// Whether the points in it belong to the member.
    pub fn is_member(self) -> bool {
        (self as i64) < 10
    }
}

/// An amount moved from one ledger account (debit) to another (credit): balanced by construction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Transfer {
    /// From.
    pub debit: LedgerAccount,
    /// To.
    pub credit: LedgerAccount,
    /// The currency.
    pub currency: CurrencyId,
    /// Points, more than zero.
    pub amount: i64,
    /// The lot whose points move.
    pub lot: LotKey,
    /// The earning rule and its version, on points that a rule gave or took back.
    pub rule: Option<(Arc<str>, i64)>,
}

/// What a transaction is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(i64)]
pub enum TransactionKind {
    /// A member was enrolled.
    Enrol = 1,
    /// An activity was recorded and may have earned points.
    Activity = 2,
    /// An order was created and its points set aside, or spent when captured at once.
    Redeem = 3,
    /// What an order holds was spent.
    Capture = 4,
    /// What an order holds was given back.
    Release = 5,
    /// An operator corrected a balance.
    Adjust = 6,
    /// Something happened by itself: points matured, expired or decayed, interest was paid, a member was reminded.
    Tick = 7,
    /// An account was closed and its points forfeited.
    Close = 8,
    /// An account was merged into another; each of the two has an entry.
    Merge = 9,
    /// What an order had spent was given back.
    Refund = 10,
    /// What was known of the member was destroyed, and the points forfeited.
    Erase = 11,
    /// The member's profile was changed.
    Profile = 12,
    /// Somebody whom the member has referred did something that gives to the member, or takes back.
    Referral = 13,
    /// The member paid for points to live longer.
    Extend = 15,
    /// An order moved on, and its points stayed where they were.
    Order = 16,
}

impl TransactionKind {
    /// From the stored number.
    pub fn from_code(code: i64) -> Option<Self> {
        [
            Self::Enrol,
            Self::Activity,
            Self::Redeem,
            Self::Capture,
            Self::Release,
            Self::Adjust,
            Self::Tick,
            Self::Close,
            Self::Merge,
            Self::Refund,
            Self::Erase,
            Self::Profile,
            Self::Referral,
            Self::Extend,
            Self::Order,
        ]
        .into_iter()
        .find(|kind| *kind as i64 == code)
    }

    /// Whether it changes more of an account than its points: what, its receipt says.
    pub fn changes_status(self) -> bool {
        matches!(self, Self::Close | Self::Merge | Self::Erase)
    }

    /// The name used in the API.
    pub fn name(self) -> &'static str {
        match self {
            Self::Enrol => "enrol",
            Self::Activity => "activity",
            Self::Redeem => "redeem",
            Self::Capture => "capture",
            Self::Release => "release",
            Self::Adjust => "adjust",
            Self::Tick => "tick",
            Self::Close => "close",
            Self::Merge => "merge",
            Self::Refund => "refund",
            Self::Erase => "erase",
            Self::Profile => "profile",
            Self::Referral => "referral",
            Self::Extend => "extend",
            Self::Order => "order",
        }
    }
}

/// One committed command: its transfers, its explanation (the receipt) and its place in the proofs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Transaction {
    /// Its id.
    pub id: TransactionId,
    /// The member whose points moved.
    pub member_id: MemberId,
    /// What it is about.
    pub kind: TransactionKind,
    /// When it happened in the world.
    pub at: Timestamp,
    /// The local day of `at`.
    pub day: Day,
    /// Unique for the member.
    pub idempotency_key: String,
    /// SHA-256 of the request; in text hexadecimal.
    #[serde(with = "crate::hex")]
    pub request_digest: [u8; 32],
    /// Where the command came from: `api`, `import`, `console`, `system`.
    pub channel: String,
    /// The caller's own number for it, such as an invoice number.
    pub reference: Option<String>,
    /// The receipt as it was answered, JSON.
    pub receipt: Arc<String>,
    /// The transfers, in order.
    pub transfers: Vec<Transfer>,
}

/// The RFC 9162 leaf hash of a transaction: SHA-256 of a zero byte and the canonical encoding of all its fields, each
/// text preceded by its length, so that no two transactions share an encoding.
pub fn leaf_hash(transaction: &Transaction) -> [u8; 32] {
    let mut bytes = Vec::with_capacity(256 + transaction.receipt.len() + 64 * transaction.transfers.len());
    let number = |bytes: &mut Vec<u8>, value: i64| bytes.extend_from_slice(&value.to_be_bytes());
    fn text(bytes: &mut Vec<u8>, value: &str) {
        bytes.extend_from_slice(&(value.len() as u64).to_be_bytes());
        bytes.extend_from_slice(value.as_bytes());
    }
    bytes.push(0);
    number(&mut bytes, transaction.id.0);
    number(&mut bytes, transaction.member_id.0);
    number(&mut bytes, transaction.kind as i64);
    number(&mut bytes, transaction.at.as_millis());
    number(&mut bytes, i64::from(transaction.day.0));
    bytes.extend_from_slice(&transaction.request_digest);
    text(&mut bytes, &transaction.idempotency_key);
    text(&mut bytes, &transaction.channel);
    text(&mut bytes, transaction.reference.as_deref().unwrap_or_default());
    text(&mut bytes, &transaction.receipt);
    number(&mut bytes, transaction.transfers.len() as i64);
    for transfer in &transaction.transfers {
        number(&mut bytes, transfer.debit as i64);
        number(&mut bytes, transfer.credit as i64);
        number(&mut bytes, i64::from(transfer.currency.0));
        number(&mut bytes, transfer.amount);
        number(&mut bytes, transfer.lot.expires_at.as_millis());
        number(&mut bytes, i64::from(transfer.lot.funding.0));
        number(&mut bytes, transfer.lot.active_at.as_millis());
        let (rule, version) = transfer.rule.as_ref().map_or(("", 0), |(rule, version)| (rule, *version));
        text(&mut bytes, rule);
        number(&mut bytes, version);
    }
    Sha256::digest(&bytes).into()
}
