//! Everything that a fulfilment reads, writes and asks.

use std::sync::Arc;

use guerdon_core::fulfilment::{Called, DeliveryKey, Item, Stage, Terms, Undoing};
use guerdon_core::id::{MemberId, OrderId};
use guerdon_core::kernel::{Command, Refusal};
use guerdon_core::program::Program;
use guerdon_core::redemption::Order;
use guerdon_core::time::Timestamp;
use guerdon_store::{Claimed, CodeFate, Record, RecordChange, StoreError};

/// Which codes are set aside for an order.
#[derive(Debug, Clone, Copy)]
pub enum CodesWanted<'a> {
    /// Those of the vault that are free.
    OfVault,
    /// Coupons that are made up.
    Coupons,
    /// Those that a supplier gave.
    Given(&'a [String]),
}

/// What came of setting codes aside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Aside {
    /// They are there, now or by an earlier attempt.
    There {
        /// Whether they are those that were given this time.
        as_given: bool,
    },
    /// Fewer are free than are wanted.
    Dry,
    /// One that was given or made up belongs to another order.
    Taken,
}

impl Aside {
    /// What the store has answered, where the codes of these digests were given.
    pub fn of(claimed: &Claimed, given: &[[u8; 32]]) -> Self {
        match claimed {
            Claimed::Codes(there) => Self::There { as_given: there.iter().all(|code| given.contains(&code.digest)) },
            Claimed::Dry => Self::Dry,
            Claimed::Taken => Self::Taken,
        }
    }
}

/// What a record is written for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Writing {
    /// An order of which suppliers are about to be asked for something.
    Watch,
    /// The same is struck out: it has come to its end.
    StrikeOut,
    /// A delivery of which nobody was asked yet.
    NewDelivery,
    /// An attempt that is about to be made.
    Attempt,
    /// The end of a delivery, or the promise of one.
    End,
    /// That it is asked again later.
    Wait,
    /// That nobody wants a delivery any more.
    Unwanted,
    /// That its supplier is about to be told.
    Telling,
    /// That it is told again later.
    TellLater,
    /// That its cancelling is over.
    Undone,
    /// What a supplier and we know differently.
    Difference,
    /// How a supplier answers.
    Circuit,
}

/// What people count, and read in logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Happened<'a> {
    /// An order was given back for this reason.
    GivenBack {
        /// Why.
        reason: &'static str,
    },
    /// A delivery came to its end, or one was promised.
    Ended {
        /// Which.
        stage: Stage,
    },
    /// A supplier and we know an order differently, whether or not that stands on record before.
    Differs {
        /// The supplier.
        supplier: &'a str,
        /// The order, as the supplier names it.
        order: &'a str,
        /// What.
        what: &'a str,
        /// In words.
        detail: &'a str,
    },
}

/// Whoever does what a fulfilment asks for. Each function with a future is one effect: it happens all at once or not at all, and
/// whoever asks may end before and after it.
pub trait Effects: Sync {
    /// Why an effect could not be had: whoever goes on later tries again.
    type Error: From<Refusal> + From<StoreError> + Send;
    /// A supplier as it is kept.
    type Supplier: AsRef<Terms> + Send + Sync;
    /// A place among the orders for which a supplier is called at once.
    type Place: Send;

    /// The program as it is now.
    fn program(&self) -> Arc<Program>;
    /// The program's own clock, which may be set back.
    fn now(&self) -> Timestamp;
    /// The machine's clock.
    fn clock(&self) -> Timestamp;
    /// Any number, by chance.
    fn chance(&self) -> i64;
    /// A place to call a supplier for one more order; `None`: it is called for as many as may be.
    fn place(&self, supplier: &str) -> Option<Self::Place>;
    /// Counts and logs.
    fn tell(&self, happened: Happened<'_>);
    /// Lets whoever fulfils orders look at one soon.
    fn look_again(&self, order: OrderId);

    /// Reads an order.
    fn order(&self, id: OrderId) -> impl Future<Output = Result<Option<Order>, Self::Error>> + Send;
    /// Who goes on for the member of an order, after merges.
    fn mover(&self, order: &Order) -> impl Future<Output = Result<MemberId, Self::Error>> + Send;
    /// Reads a supplier; `None`: none of this name is kept.
    fn supplier(&self, name: &str) -> impl Future<Output = Result<Option<Self::Supplier>, Self::Error>> + Send;
    /// Reads a record that has not expired.
    fn record(&self, kind: &str, id: &str) -> impl Future<Output = Result<Option<Record>, Self::Error>> + Send;
    /// How many differences with a supplier nobody has settled, [`MOST_DIFFERENCES`](crate::MOST_DIFFERENCES) at the most.
    fn differences(&self, supplier: &str) -> impl Future<Output = Result<usize, Self::Error>> + Send;

    /// Decides commands in one batch, and answers those that were done and those that were refused.
    fn submit(
        &self,
        commands: Vec<Command>,
    ) -> impl Future<Output = Result<Vec<Result<(), Refusal>>, Self::Error>> + Send;
    /// Writes a record over the version that was read. False: another was faster.
    fn write(&self, what: Writing, change: RecordChange) -> impl Future<Output = Result<bool, Self::Error>> + Send;
    /// Sets codes aside for an item, once however often it is asked.
    fn set_aside(
        &self,
        item: Item<'_>,
        codes: CodesWanted<'_>,
    ) -> impl Future<Output = Result<Aside, Self::Error>> + Send;
    /// Says what became of the codes of an order for one of its rewards.
    fn settle_codes(
        &self,
        reward: &str,
        order: OrderId,
        fate: CodeFate,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// Asks a supplier for an item, under its key.
    fn ask(
        &self,
        name: &str,
        supplier: &Self::Supplier,
        item: Item<'_>,
    ) -> impl Future<Output = Result<Called, Self::Error>> + Send;
    /// Tells a supplier that what it was asked for is not wanted any more.
    fn cancel(
        &self,
        name: &str,
        supplier: &Self::Supplier,
        key: &DeliveryKey,
    ) -> impl Future<Output = Result<Undoing, Self::Error>> + Send;
}
