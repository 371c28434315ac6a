//! A node that is at an order: the steps of `guerdon-fulfilment`, of which each waits until the world lets it be done.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};

use guerdon_core::fulfilment::{Called, DeliveryKey, Item, Terms, Undoing};
use guerdon_core::id::{MemberId, OrderId};
use guerdon_core::kernel::{Command, Refusal};
use guerdon_core::program::Program;
use guerdon_core::redemption::{Order, OrderMove};
use guerdon_core::time::Timestamp;
use guerdon_fulfilment::{Aside, CodesWanted, Effects, Happened, Taken, Writing};
use guerdon_store::{CodeFate, CodeOrigin, Record, RecordChange, StoreError};

use super::partner::Callback;
use crate::dice::Dice;

/// What a node asks of the world, as it would be on its way.
#[derive(Debug, Clone)]
pub(crate) enum Effect {
    Order(OrderId),
    Mover(MemberId),
    Supplier(String),
    Record(String, String),
    Differences,
    Submit(Vec<Command>, Vec<OrderMove>),
    Write(Writing, RecordChange),
    SetAside {
        reward: String,
        order: OrderId,
        member: MemberId,
        quantity: i64,
        given: Option<(CodeOrigin, Vec<String>)>,
    },
    Settle(String, OrderId, CodeFate),
    Ask {
        supplier: String,
        key: String,
        quantity: i64,
    },
    Cancel {
        supplier: String,
        key: String,
    },
}

/// What comes of it.
#[derive(Debug)]
pub(crate) enum Heard {
    Order(Option<Box<Order>>),
    Mover(MemberId),
    Supplier(Option<Terms>),
    Record(Option<Record>),
    Differences(usize),
    Submitted(Vec<Result<(), Refusal>>),
    Written(bool),
    Aside(Aside),
    Settled,
    Called(Called),
    Undoing(Undoing),
}

impl Effect {
    /// What it is called where crashes are counted; `None`: it only reads, and to end before it is to end before what comes next.
    pub(crate) fn step(&self) -> Option<&'static str> {
        Some(match self {
            Self::Order(_) | Self::Mover(_) | Self::Supplier(_) | Self::Record(..) | Self::Differences => return None,
            Self::Submit(_, steps) => match steps.first() {
                Some(OrderMove::Fulfil) => "begin the order",
                Some(OrderMove::Issue) => "hand over",
                Some(OrderMove::Complete) => "complete the order",
                Some(OrderMove::Fail) => "give back",
                _ => "move the order",
            },
            Self::Write(what, _) => match what {
                Writing::Watch => "watch the order",
                Writing::StrikeOut => "strike out the order",
                Writing::NewDelivery => "write a delivery",
                Writing::Attempt => "count an attempt",
                Writing::End => "end a delivery",
                Writing::Wait => "wait for the next attempt",
                Writing::Unwanted => "want a delivery no more",
                Writing::Telling => "count a cancelling",
                Writing::TellLater => "wait for the next cancelling",
                Writing::Undone => "end a cancelling",
                Writing::Difference => "note a difference",
                Writing::Circuit => "note how it answers",
            },
            Self::SetAside { given: None, .. } => "claim codes",
            Self::SetAside { given: Some((CodeOrigin::Coupon, _)), .. } => "make coupons",
            Self::SetAside { .. } => "take in codes",
            Self::Settle(_, _, CodeFate::Released) => "release codes",
            Self::Settle(..) => "issue codes",
            Self::Ask { .. } => "ask the supplier",
            Self::Cancel { .. } => "tell the supplier",
        })
    }

    /// Whether it goes to somebody who may do it though whoever asked is no more.
    pub(crate) fn is_outward(&self) -> bool {
        matches!(self, Self::Ask { .. } | Self::Cancel { .. })
    }
}

/// Between a node that waits and the world.
#[derive(Debug)]
pub(crate) struct Slot {
    pub(crate) wanted: Option<Effect>,
    pub(crate) heard: Option<Heard>,
    /// The clock of the node.
    pub(crate) now: i64,
    pub(crate) dice: Dice,
    /// Whether places at suppliers are short now and then.
    pub(crate) is_busy: bool,
    pub(crate) look_again: Vec<OrderId>,
    /// What was counted, by its name.
    pub(crate) told: BTreeMap<&'static str, i64>,
}

/// Why an effect could not be had. In here it always can.
#[derive(Debug)]
pub(crate) struct Broken(pub(crate) String);

impl From<Refusal> for Broken {
    fn from(refusal: Refusal) -> Self {
        Self(format!("refused as {:?}: {refusal}", refusal.code))
    }
}

impl From<StoreError> for Broken {
    fn from(error: StoreError) -> Self {
        Self(error.to_string())
    }
}

/// A supplier as it is kept.
pub(crate) struct Known(Terms);

impl AsRef<Terms> for Known {
    fn as_ref(&self) -> &Terms {
        &self.0
    }
}

/// The effects of one node at one order.
#[derive(Clone)]
pub(crate) struct Acting {
    slot: Arc<Mutex<Slot>>,
    program: Arc<Program>,
}

/// Waits until the world has done an effect.
struct Doing<'a> {
    acting: &'a Acting,
    effect: Option<Effect>,
}

impl Future for Doing<'_> {
    type Output = Heard;

    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Heard> {
        let effect = self.effect.take();
        let mut slot = self.acting.slot();
        if effect.is_some() {
            slot.wanted = effect;
            return Poll::Pending;
        }
        slot.heard.take().map_or(Poll::Pending, Poll::Ready)
    }
}

impl Acting {
    fn slot(&self) -> MutexGuard<'_, Slot> {
        self.slot.lock().expect("one thread")
    }

    fn have(&self, effect: Effect) -> Doing<'_> {
        Doing { acting: self, effect: Some(effect) }
    }
}

/// What the world gives for an effect, which must be of its kind.
macro_rules! heard {
    ($acting:expr, $effect:expr, $kind:path) => {
        match $acting.have($effect).await {
            $kind(value) => Ok(value),
            other => Err(Broken(format!("{other:?} is no answer"))),
        }
    };
}

impl Effects for Acting {
    type Error = Broken;
    type Supplier = Known;
    type Place = ();

    fn program(&self) -> Arc<Program> {
        Arc::clone(&self.program)
    }

    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.slot().now)
    }

    fn clock(&self) -> Timestamp {
        self.now()
    }

    fn chance(&self) -> i64 {
        self.slot().dice.between(0, 999)
    }

    fn place(&self, _: &str) -> Option<()> {
        let mut slot = self.slot();
        let is_short = slot.is_busy && slot.dice.percent(3);
        (!is_short).then_some(())
    }

    fn tell(&self, happened: Happened<'_>) {
        let what = match happened {
            Happened::GivenBack { reason: "codes_ran_out" } => "given back: no codes",
            Happened::GivenBack { reason: "supplier_refused" } => "given back: refused",
            Happened::GivenBack { .. } => "given back: failed",
            Happened::Ended { .. } => "deliveries ended",
            Happened::Differs { what: "delivered_after_return", .. } => "delivered after return",
            Happened::Differs { what: "delivered_not_issued", .. } => "delivered, not issued",
            Happened::Differs { what: "to_be_cancelled", .. } => "to be cancelled by hand",
            Happened::Differs { what: "code_given_before", .. } => "codes given before",
            Happened::Differs { what: "other_codes", .. } => "other codes",
            Happened::Differs { what: "refused_after_delivery", .. } => "refused after delivery",
            Happened::Differs { what: "not_asked", .. } => "not asked",
            Happened::Differs { .. } => "lies",
        };
        *self.slot().told.entry(what).or_default() += 1;
    }

    fn look_again(&self, order: OrderId) {
        self.slot().look_again.push(order);
    }

    async fn order(&self, id: OrderId) -> Result<Option<Order>, Broken> {
        heard!(self, Effect::Order(id), Heard::Order).map(|order| order.map(|order| *order))
    }

    async fn mover(&self, order: &Order) -> Result<MemberId, Broken> {
        heard!(self, Effect::Mover(order.member_id), Heard::Mover)
    }

    async fn supplier(&self, name: &str) -> Result<Option<Known>, Broken> {
        heard!(self, Effect::Supplier(name.to_owned()), Heard::Supplier).map(|terms| terms.map(Known))
    }

    async fn record(&self, kind: &str, id: &str) -> Result<Option<Record>, Broken> {
        heard!(self, Effect::Record(kind.to_owned(), id.to_owned()), Heard::Record)
    }

    async fn differences(&self, _: &str) -> Result<usize, Broken> {
        heard!(self, Effect::Differences, Heard::Differences)
    }

    async fn submit(&self, commands: Vec<Command>) -> Result<Vec<Result<(), Refusal>>, Broken> {
        let steps = commands.iter().filter_map(step_of).collect();
        heard!(self, Effect::Submit(commands, steps), Heard::Submitted)
    }

    async fn write(&self, what: Writing, change: RecordChange) -> Result<bool, Broken> {
        heard!(self, Effect::Write(what, change), Heard::Written)
    }

    async fn set_aside(&self, item: Item<'_>, codes: CodesWanted<'_>) -> Result<Aside, Broken> {
        let quantity = item.handing.quantity;
        let given = match codes {
            CodesWanted::OfVault => None,
            CodesWanted::Coupons => {
                let mut slot = self.slot();
                let made = (0..quantity).map(|_| format!("coupon-{:016x}", slot.dice.roll())).collect();
                Some((CodeOrigin::Coupon, made))
            }
            CodesWanted::Given(given) => Some((CodeOrigin::Supplier, given.to_vec())),
        };
        let (reward, order, member) = (item.handing.reward_id.to_owned(), item.order.id, item.order.member_id);
        heard!(self, Effect::SetAside { reward, order, member, quantity, given }, Heard::Aside)
    }

    async fn settle_codes(&self, reward: &str, order: OrderId, fate: CodeFate) -> Result<(), Broken> {
        match self.have(Effect::Settle(reward.to_owned(), order, fate)).await {
            Heard::Settled => Ok(()),
            other => Err(Broken(format!("{other:?} is no answer"))),
        }
    }

    async fn ask(&self, name: &str, _: &Known, item: Item<'_>) -> Result<Called, Broken> {
        let (supplier, key, quantity) = (name.to_owned(), item.key().to_string(), item.handing.quantity);
        heard!(self, Effect::Ask { supplier, key, quantity }, Heard::Called)
    }

    async fn cancel(&self, name: &str, _: &Known, key: &DeliveryKey) -> Result<Undoing, Broken> {
        let (supplier, key) = (name.to_owned(), key.to_string());
        heard!(self, Effect::Cancel { supplier, key }, Heard::Undoing)
    }
}

/// By which move a command of a fulfilment moves its order.
pub(crate) fn step_of(command: &Command) -> Option<OrderMove> {
    OrderMove::ALL.into_iter().find(|step| command.idempotency_key.starts_with(&format!("fulfil:{}:", step.name())))
}

/// What came of a task.
#[derive(Debug)]
pub(crate) enum Ended {
    /// It has done what it could.
    Done,
    /// A call of a supplier was taken in.
    Call(Taken),
}

type Running = Pin<Box<dyn Future<Output = Result<Ended, Broken>>>>;

/// A node at one order: what it does next waits in its slot.
pub(crate) struct Task {
    pub(crate) node: usize,
    pub(crate) order: OrderId,
    pub(crate) slot: Arc<Mutex<Slot>>,
    /// The last thing that it changed.
    pub(crate) last_step: &'static str,
    /// What a supplier has answered, and is on its way.
    pub(crate) on_its_way: Option<Heard>,
    /// Of what it has heard that it was delivered: the supplier, and the key.
    pub(crate) heard_of: Option<(String, String)>,
    /// The call of a supplier that is taken in.
    pub(crate) call: Option<Callback>,
    running: Running,
}

impl Task {
    pub(crate) fn new<F>(
        (node, order): (usize, OrderId),
        program: &Arc<Program>,
        slot: Slot,
        work: impl FnOnce(Acting) -> F,
    ) -> Self
    where
        F: Future<Output = Result<Ended, Broken>> + 'static,
    {
        let slot = Arc::new(Mutex::new(slot));
        let acting = Acting { slot: Arc::clone(&slot), program: Arc::clone(program) };
        let running = Box::pin(work(acting));
        Self { node, order, slot, last_step: "nothing", on_its_way: None, heard_of: None, call: None, running }
    }

    /// Lets it come to its next effect. What came of it, where there is none.
    pub(crate) fn run(&mut self) -> Option<Result<Ended, Broken>> {
        match self.running.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(ended) => Some(ended),
            Poll::Pending => None,
        }
    }

    pub(crate) fn slot(&self) -> MutexGuard<'_, Slot> {
        self.slot.lock().expect("one thread")
    }

    /// Whether what it waits for is more than to read something.
    pub(crate) fn is_about_to_change_something(&self) -> bool {
        self.on_its_way.is_some() || self.slot().wanted.as_ref().is_some_and(|effect| effect.step().is_some())
    }
}
