//! What is handed out of an order, and what came of an attempt at it.

use super::DeliveryKey;
use crate::program::Program;
use crate::redemption::{Handing, Order};
use crate::rewards::Fulfilment;

/// There are no codes left.
pub const CODES_RAN_OUT: &str = "codes_ran_out";
/// The supplier will not deliver it.
pub const SUPPLIER_REFUSED: &str = "supplier_refused";
/// The supplier was asked as often as it may be.
pub const SUPPLIER_FAILED: &str = "supplier_failed";
/// Reasons for which the program itself gives orders back; the last are of money and of groups. Pages say them in words.
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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It is there.
    Delivered,
    /// It will never be, for this reason.
    Refused(&'static str),
    /// Not yet: it is asked again.
    Later,
}
