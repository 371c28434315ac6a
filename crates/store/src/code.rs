//! Codes that are handed out: the vault from which each is issued once, and those that are made for an order. All lie sealed;
//! what tells one from another is a keyed digest.

use guerdon_core::audit::AuditEvent;
use guerdon_core::id::{IdGenerator, MemberId, OrderId};
use guerdon_core::time::Timestamp;

use crate::rows::{Cell, Cells};
use crate::{CommandError, EngineHandle, StoreError};

/// How often a claim is tried again because another node took some of the same codes.
pub(crate) const CLAIM_TRIES: usize = 32;

/// Where a code comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i64)]
pub enum CodeOrigin {
    /// It was uploaded, and goes back to the vault when its order is given back before it was seen.
    Vault = 1,
    /// It was made up for the order.
    Coupon = 2,
    /// A supplier gave it for the order.
    Supplier = 3,
}

impl CodeOrigin {
    /// From the stored number.
    pub fn from_code(code: i64) -> Option<Self> {
        [Self::Vault, Self::Coupon, Self::Supplier].into_iter().find(|origin| *origin as i64 == code)
    }
}

/// A code as it is stored, before it belongs to an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedCode {
    /// Keyed: tells it from others, and nothing of what it is.
    pub digest: [u8; 32],
    /// The code, sealed.
    pub sealed: String,
    /// What it is worth, as JSON, where it says so.
    pub terms: Option<String>,
}

/// Codes to be put into the vault of a reward.
#[derive(Debug, Clone)]
pub struct CodeUpload {
    /// Of which reward.
    pub reward_id: String,
    /// Which.
    pub codes: Vec<SealedCode>,
    /// When.
    pub at: Timestamp,
    /// How many codes the reward may have in all.
    pub most: i64,
}

/// What became of an upload: all of it was taken, or nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CodesAdded {
    /// All are there.
    Added,
    /// Some are there already: their places in the upload.
    Duplicates(Vec<usize>),
    /// There would be more than the reward may have.
    TooMany,
}

/// Codes wanted for an order.
#[derive(Debug, Clone)]
pub struct CodeClaim {
    /// The reward of the order.
    pub reward_id: String,
    /// The order.
    pub order: OrderId,
    /// Under whose name it is kept.
    pub member: MemberId,
    /// How many.
    pub quantity: i64,
    /// When.
    pub at: Timestamp,
    /// The codes themselves, where they do not come out of the vault.
    pub made: Option<(CodeOrigin, Vec<SealedCode>)>,
}

/// A code of an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderCode {
    /// Its number within the order, from 1.
    pub unit: i64,
    /// Its digest.
    pub digest: [u8; 32],
    /// The code, sealed; `None`: its member was erased.
    pub sealed: Option<String>,
    /// What it is worth, as JSON.
    pub terms: Option<String>,
    /// Where it comes from.
    pub origin: CodeOrigin,
    /// When it was handed over; `None`: it is only set aside.
    pub issued_at: Option<Timestamp>,
}

/// What became of a claim: all codes of the order, or none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claimed {
    /// Those of the order: now, or since an earlier claim.
    Codes(Vec<OrderCode>),
    /// Fewer are free than are wanted.
    Dry,
    /// A code that was made is there already.
    Taken,
}

/// What becomes of the codes of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CodeFate {
    /// They were handed over.
    Issued(Timestamp),
    /// Nobody has seen them: those of the vault are free again, the others are gone.
    Released,
}

/// How many codes a reward has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CodeCounts {
    /// In the vault.
    pub free: i64,
    /// Set aside for orders that are being fulfilled.
    pub claimed: i64,
    /// Handed over.
    pub issued: i64,
}

pub(crate) const CODE_COLUMNS: &str = "unit, digest, sealed, terms, origin, issued_at";

pub(crate) fn order_code(row: &impl Cells) -> Cell<OrderCode> {
    Ok(OrderCode {
        unit: row.int(0)?,
        digest: row.digest(1)?,
        sealed: row.maybe_text(2)?,
        terms: row.maybe_text(3)?,
        origin: row.code(4, CodeOrigin::from_code)?,
        issued_at: row.maybe_int(5)?.map(Timestamp::from_millis),
    })
}

impl EngineHandle {
    /// Puts codes into the vault, with the audit events of it; all or nothing.
    pub async fn add_codes(&self, upload: CodeUpload, events: Vec<AuditEvent>) -> Result<CodesAdded, CommandError> {
        self.run_with_ids(move |store, ids: &mut IdGenerator| store.add_codes(&upload, &events, ids)).await
    }

    /// Sets codes aside for an order, or finds those that are.
    pub async fn claim_codes(&self, claim: CodeClaim) -> Result<Claimed, CommandError> {
        self.run(move |store| store.claim_codes(&claim)).await
    }

    /// Says what became of the codes of an order.
    pub async fn settle_codes(&self, reward_id: String, order: OrderId, fate: CodeFate) -> Result<(), CommandError> {
        self.run(move |store| store.settle_codes(&reward_id, order, fate)).await
    }
}

/// The refusal of a store that keeps no codes.
pub(crate) fn no_codes<T>() -> Result<T, StoreError> {
    Err(StoreError::Unusable("this store keeps no codes".to_owned()))
}
