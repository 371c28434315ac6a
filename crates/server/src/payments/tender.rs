//! The seam to whoever moves money: four questions, each asked again until it is answered.

use std::pin::Pin;

use guerdon_core::id::OrderId;

/// The money of an order. One order has one charge: its id is the key under which a tender does each step once, however often
/// it is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Charge<'a> {
    /// The order.
    pub order: OrderId,
    /// Minor units.
    pub amount: i64,
    /// ISO 4217 code of the money.
    pub money: &'a str,
    /// What the tender called it before.
    pub reference: Option<&'a str>,
}

/// What a tender answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// It is done, now or when it was asked before.
    Done {
        /// What the tender calls it.
        reference: Option<String>,
    },
    /// It will not be done.
    Declined {
        /// Why, as a code.
        reason: String,
    },
    /// It is not decided yet: a notice comes, or it is asked again.
    Later,
    /// People do it, and say so.
    ByHand,
}

/// No answer: it may have been done or not.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct TenderError(pub String);

/// A question on its way.
pub type Asking<'a> = Pin<Box<dyn Future<Output = Result<Answer, TenderError>> + Send + 'a>>;

/// A way to move money. What was asked before is answered as it was.
pub trait TenderWay: Send + Sync {
    /// Sets the money aside.
    fn authorise<'a>(&'a self, charge: &'a Charge<'a>) -> Asking<'a>;
    /// Takes what was set aside.
    fn capture<'a>(&'a self, charge: &'a Charge<'a>) -> Asking<'a>;
    /// Lets go what was set aside, and takes care that nothing is set aside for the order any more: also where it was never
    /// asked for, or the question was lost.
    fn void<'a>(&'a self, charge: &'a Charge<'a>) -> Asking<'a>;
    /// Gives back what was taken.
    fn refund<'a>(&'a self, charge: &'a Charge<'a>) -> Asking<'a>;
}
