//! Who hands out what was ordered: one trait, and those who do it.

use std::pin::Pin;

use guerdon_core::program::Program;
use guerdon_core::redemption::{Handing, Order};
use guerdon_core::rewards::{Fulfilment, RewardKind};
use guerdon_store::{Claimed, CodeClaim, CodeOrigin, SealedCode};

use super::codes;
use super::supplier::{DeliveryKey, HttpSupplier};
use crate::AppState;
use crate::problem::Problem;

/// There are no codes left.
pub const CODES_RAN_OUT: &str = "codes_ran_out";
/// The supplier will not deliver it.
pub const SUPPLIER_REFUSED: &str = "supplier_refused";
/// The supplier was asked as often as it may be.
pub const SUPPLIER_FAILED: &str = "supplier_failed";
/// All reasons that are codes; the last are of money and of groups.
pub const REASONS: [&str; 6] =
    [CODES_RAN_OUT, SUPPLIER_REFUSED, SUPPLIER_FAILED, "declined", "payment_not_confirmed", "group_not_full"];

/// What is handed out of an order: all of it, or a part of a bundle.
#[derive(Debug, Clone, Copy)]
pub struct Item<'a> {
    /// The order.
    pub order: &'a Order,
    /// What.
    pub handing: Handing<'a>,
}

impl<'a> Item<'a> {
    /// All that the program hands out of an order.
    pub fn all(program: &'a Program, order: &'a Order) -> Vec<Self> {
        program.handings(order).into_iter().map(|handing| Self { order, handing }).collect()
    }

    /// The supplier that is called for it.
    pub fn supplier(&self) -> Option<&'a str> {
        match self.handing.fulfilment {
            Fulfilment::Supplier { supplier } => Some(supplier),
            Fulfilment::Vault {} | Fulfilment::Coupon {} => None,
        }
    }

    /// The name under which suppliers know it.
    pub fn key(&self) -> DeliveryKey {
        let part = self.handing.is_part.then(|| self.handing.reward_id.to_owned());
        DeliveryKey { order: self.order.id, part }
    }
}

/// What came of an attempt to hand something out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Delivery {
    /// It is there.
    Delivered,
    /// It will never be, for this reason.
    Refused(&'static str),
    /// Not yet: it is asked again.
    Later,
}

/// What an attempt comes to.
pub type Delivering<'a> = Pin<Box<dyn Future<Output = Result<Delivery, Problem>> + Send + 'a>>;

/// Somebody who hands out what was ordered.
pub trait Supplier: Send + Sync {
    /// Whether it is worth to begin an order now: one that nobody begins may still be called off.
    fn is_ready<'a>(&'a self, _: &'a AppState) -> Pin<Box<dyn Future<Output = Result<bool, Problem>> + Send + 'a>> {
        Box::pin(async { Ok(true) })
    }

    /// Hands something out, or finds that it was: however often it is asked, it is done once. Nobody sees it before the order
    /// was handed over.
    fn deliver<'a>(&'a self, state: &'a AppState, item: Item<'a>) -> Delivering<'a>;
}

/// The code vault.
struct Vault;

/// Codes that are made up.
struct Coupons;

impl Supplier for Vault {
    fn deliver<'a>(&'a self, state: &'a AppState, item: Item<'a>) -> Delivering<'a> {
        Box::pin(async move {
            Ok(match state.engine.claim_codes(claim(state, item, None)).await? {
                Claimed::Codes(_) => Delivery::Delivered,
                Claimed::Dry | Claimed::Taken => Delivery::Refused(CODES_RAN_OUT),
            })
        })
    }
}

impl Supplier for Coupons {
    fn deliver<'a>(&'a self, state: &'a AppState, item: Item<'a>) -> Delivering<'a> {
        Box::pin(async move {
            let terms = match item.handing.kind {
                Some(kind @ RewardKind::Coupon { .. }) => codes::terms(state, kind)?,
                _ => None,
            };
            let code = |_| codes::coupon(state, item.handing.reward_id, terms.clone());
            let made: Vec<SealedCode> = (0..item.handing.quantity).map(code).collect::<Result<_, _>>()?;
            Ok(match state.engine.claim_codes(claim(state, item, Some((CodeOrigin::Coupon, made)))).await? {
                Claimed::Codes(_) => Delivery::Delivered,
                // One of them was made up before: others will not have been.
                Claimed::Dry | Claimed::Taken => Delivery::Later,
            })
        })
    }
}

/// The codes of an order, or of a part of it: a bundle holds no reward twice.
pub(super) fn claim(state: &AppState, item: Item<'_>, made: Option<(CodeOrigin, Vec<SealedCode>)>) -> CodeClaim {
    CodeClaim {
        reward_id: item.handing.reward_id.to_owned(),
        order: item.order.id,
        member: item.order.member_id,
        quantity: item.handing.quantity,
        at: state.engine.now(),
        made,
    }
}

/// Who hands out what a reward says.
pub(super) fn supplier_of(fulfilment: &Fulfilment) -> Box<dyn Supplier> {
    match fulfilment {
        Fulfilment::Vault {} => Box::new(Vault),
        Fulfilment::Coupon {} => Box::new(Coupons),
        Fulfilment::Supplier { supplier } => Box::new(HttpSupplier { name: supplier.clone() }),
    }
}
