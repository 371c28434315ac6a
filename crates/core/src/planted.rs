//! Known bugs that tests plant, to see that the simulation finds them. Without the feature `planted-bugs`, which only
//! the test crate turns on, there are none, and the compiler removes every trace.

/// A bug that can be planted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bug {
    /// The lot that expires last is spent first.
    LastExpiringFirst,
    /// A repeated command is done again.
    KeysIgnored,
    /// A release gives the points back to another lot.
    ReleasedToAnotherLot,
    /// Stock is taken before it is checked.
    StockTakenBeforeCheck,
    /// Points are rounded up.
    RoundedUp,
    /// Points that are not active yet are so after a merge.
    MergedTooEarly,
    /// A refund can be had twice.
    RefundedTwice,
    /// A profile is put in the place of one that nobody has read.
    ProfileOverwritten,
    /// A bundle is promised though a part of it is gone.
    BundlesInPart,
    /// Units that come in by plan come in whenever the clock asks.
    RestockedTwice,
    /// An order is fulfilled though its money is missing.
    FulfilledUnpaid,
    /// What was given back of a checkout can be given back once more.
    ReversedTwice,
    /// Each terminal is granted as much as all together.
    GrantedToEach,
    /// A supplier is asked again however often it was asked.
    AskedWithoutEnd,
    /// What suppliers were asked for is forgotten once its order was given back.
    ForgottenOnceGivenBack,
    /// Codes of an order that was given back unseen stay with it.
    CodesKeptByReturned,
}

#[cfg(feature = "planted-bugs")]
thread_local! {
    static PLANTED: std::cell::Cell<Option<Bug>> = const { std::cell::Cell::new(None) };
}

/// Runs some work on this thread with a bug planted.
#[cfg(feature = "planted-bugs")]
pub fn with<T>(bug: Bug, work: impl FnOnce() -> T) -> T {
    PLANTED.set(Some(bug));
    let result = work();
    PLANTED.set(None);
    result
}

#[cfg(feature = "planted-bugs")]
pub(crate) fn is(bug: Bug) -> bool {
    PLANTED.get() == Some(bug)
}

#[cfg(not(feature = "planted-bugs"))]
pub(crate) const fn is(_: Bug) -> bool {
    false
}
