//! Who hands out what was ordered: one trait, and those who do it.

use std::pin::Pin;

use guerdon_core::fulfilment::{CODES_RAN_OUT, Circuit, Item, Outcome};
use guerdon_core::rewards::Fulfilment;

use crate::asking;
use crate::breaker;
use crate::effects::{Aside, CodesWanted, Effects};

/// What an attempt comes to.
pub type Delivering<'a, E> = Pin<Box<dyn Future<Output = Result<Outcome, E>> + Send + 'a>>;

/// Somebody who hands out what was ordered.
pub trait Supplier<E: Effects>: Send + Sync {
    /// Whether it is worth to begin an order now: one that nobody begins may still be called off.
    fn is_ready<'a>(&'a self, _: &'a E) -> Pin<Box<dyn Future<Output = Result<bool, E::Error>> + Send + 'a>> {
        Box::pin(async { Ok(true) })
    }

    /// Hands something out, or finds that it was: however often it is asked, it is done once. Nobody sees it before the order
    /// was handed over.
    fn deliver<'a>(&'a self, effects: &'a E, item: Item<'a>) -> Delivering<'a, E::Error>;
}

/// The code vault.
struct Vault;

/// Codes that are made up.
struct Coupons;

/// A partner that is called.
struct Partner {
    name: String,
}

impl<E: Effects> Supplier<E> for Vault {
    fn deliver<'a>(&'a self, effects: &'a E, item: Item<'a>) -> Delivering<'a, E::Error> {
        Box::pin(async move {
            Ok(match effects.set_aside(item, CodesWanted::OfVault).await? {
                Aside::There { .. } => Outcome::Delivered,
                Aside::Dry | Aside::Taken => Outcome::Refused(CODES_RAN_OUT),
            })
        })
    }
}

impl<E: Effects> Supplier<E> for Coupons {
    fn deliver<'a>(&'a self, effects: &'a E, item: Item<'a>) -> Delivering<'a, E::Error> {
        Box::pin(async move {
            Ok(match effects.set_aside(item, CodesWanted::Coupons).await? {
                Aside::There { .. } => Outcome::Delivered,
                // One of them was made up before: others will not have been.
                Aside::Dry | Aside::Taken => Outcome::Later,
            })
        })
    }
}

impl<E: Effects> Supplier<E> for Partner {
    fn is_ready<'a>(&'a self, effects: &'a E) -> Pin<Box<dyn Future<Output = Result<bool, E::Error>> + Send + 'a>> {
        Box::pin(async move {
            let Some(supplier) = effects.supplier(&self.name).await? else { return Ok(false) };
            let open = breaker::circuit(effects, &self.name).await?.circuit(effects.clock()) == Circuit::Open;
            Ok(supplier.as_ref().active && !open)
        })
    }

    fn deliver<'a>(&'a self, effects: &'a E, item: Item<'a>) -> Delivering<'a, E::Error> {
        Box::pin(async move {
            // One that is called for as many others as it may is left for later: its orders are found again.
            let Some(_place) = effects.place(&self.name) else { return Ok(Outcome::Later) };
            asking::ask(effects, &self.name, item).await
        })
    }
}

/// Who hands out what a reward says.
pub fn supplier_of<E: Effects>(fulfilment: &Fulfilment) -> Box<dyn Supplier<E>> {
    match fulfilment {
        Fulfilment::Vault {} => Box::new(Vault),
        Fulfilment::Coupon {} => Box::new(Coupons),
        Fulfilment::Supplier { supplier } => Box::new(Partner { name: supplier.clone() }),
    }
}
