//! Who hands out what was ordered: one trait, and those who do it.

use std::pin::Pin;

use guerdon_core::redemption::Order;
use guerdon_core::rewards::{Fulfilment, Reward, RewardKind};
use guerdon_store::{Claimed, CodeClaim, CodeOrigin, SealedCode};

use super::codes;
use super::supplier::HttpSupplier;
use crate::AppState;
use crate::problem::Problem;

/// There are no codes left.
pub const CODES_RAN_OUT: &str = "codes_ran_out";
/// The supplier will not deliver it.
pub const SUPPLIER_REFUSED: &str = "supplier_refused";
/// The supplier was asked as often as it may be.
pub const SUPPLIER_FAILED: &str = "supplier_failed";
/// All reasons that are codes.
pub const REASONS: [&str; 3] = [CODES_RAN_OUT, SUPPLIER_REFUSED, SUPPLIER_FAILED];

/// What came of an attempt to hand an order out.
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

    /// Hands an order out, or finds that it was: however often it is asked, it is done once.
    fn deliver<'a>(&'a self, state: &'a AppState, order: &'a Order, reward: &'a Reward) -> Delivering<'a>;
}

/// The code vault.
struct Vault;

/// Codes that are made up.
struct Coupons;

impl Supplier for Vault {
    fn deliver<'a>(&'a self, state: &'a AppState, order: &'a Order, _: &'a Reward) -> Delivering<'a> {
        Box::pin(async move {
            Ok(match state.engine.claim_codes(claim(state, order, None)).await? {
                Claimed::Codes(_) => Delivery::Delivered,
                Claimed::Dry | Claimed::Taken => Delivery::Refused(CODES_RAN_OUT),
            })
        })
    }
}

impl Supplier for Coupons {
    fn deliver<'a>(&'a self, state: &'a AppState, order: &'a Order, reward: &'a Reward) -> Delivering<'a> {
        Box::pin(async move {
            let terms = match &reward.kind {
                Some(kind @ RewardKind::Coupon { .. }) => codes::terms(state, kind)?,
                _ => None,
            };
            let code = |_| codes::coupon(state, &order.reward_id, terms.clone());
            let made: Vec<SealedCode> = (0..order.quantity).map(code).collect::<Result<_, _>>()?;
            Ok(match state.engine.claim_codes(claim(state, order, Some((CodeOrigin::Coupon, made)))).await? {
                Claimed::Codes(_) => Delivery::Delivered,
                // One of them was made up before: others will not have been.
                Claimed::Dry | Claimed::Taken => Delivery::Later,
            })
        })
    }
}

/// The codes of an order.
pub(super) fn claim(state: &AppState, order: &Order, made: Option<(CodeOrigin, Vec<SealedCode>)>) -> CodeClaim {
    CodeClaim {
        reward_id: order.reward_id.clone(),
        order: order.id,
        member: order.member_id,
        quantity: order.quantity,
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
