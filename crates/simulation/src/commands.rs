//! From wishes in the terms of the model to commands of the kernel.

use guerdon_core::earning::Activity;
use guerdon_core::id::{MemberId, OrderId, TransactionId};
use guerdon_core::kernel::{
    AllowanceRequest, Amendment, Authorisation, Choice, Command, HandOut, OfflineSpending, OrderAmendment, Rebooking,
    Refusal, Restocking, Share, TenderChange, Tendering,
};
use guerdon_core::redemption::{HandedOut, Payment, PaymentMove, PaymentState, PaymentStep, PaymentTender};
use guerdon_core::rewards::Place;
use guerdon_core::time::{EARLIEST, Timestamp};
use guerdon_store::Store;

use crate::baskets::Basket;
use crate::catalogue::PLANNED;
use crate::fixtures::{POINTS, basket, custom, enrol, paid, profile, renumber};
use crate::orders::{self, named};
use crate::wishes::{Want, What};
use crate::world::World;

const REASON: &str = "for the simulation";

/// What an order chooses, as a digest that tells one choice from another.
fn choice_of(basket: &Basket) -> (Choice, Option<[u8; 32]>) {
    let variant = basket.variant.map(str::to_owned);
    let choice = Choice { variant, slot: basket.slot.clone(), delivery: None };
    let text = format!("{}/{}", basket.variant.unwrap_or("-"), basket.slot.as_deref().unwrap_or("-"));
    let mut said = [0; 32];
    said.iter_mut().zip(text.bytes()).for_each(|(to, from)| *to = from);
    let says_something = choice != Choice::default();
    (choice, says_something.then_some(said))
}

/// A payment that has moved so often.
fn payment_of(steps: usize) -> Payment {
    let step = PaymentStep {
        state: PaymentState::Due,
        at: Timestamp::ZERO,
        transaction_id: TransactionId(1),
        reference: None,
        reason: None,
        actor: None,
    };
    Payment { steps: vec![step; steps], ..Payment::due(PaymentTender::Test, 1, 1) }
}

impl<S: Store> World<S> {
    /// A wish under the key that follows from it.
    pub(crate) fn keyed(&self, want: Want) -> Want {
        let command = self.command(&want).expect("a command");
        Want { key: command.idempotency_key, ..want }
    }

    /// Under whose name an order is kept.
    fn owner(&self, order: i64, want: &Want) -> MemberId {
        MemberId(self.model.orders.get(&order).map_or(want.member, |order| order.member))
    }

    pub(crate) fn command(&self, want: &Want) -> Result<Command, Refusal> {
        let (member, key, at) = (MemberId(want.member), want.key.as_str(), Timestamp::from_millis(want.at));
        let record = |activity: Activity| Command::record(&self.program, member, key, &activity, at, EARLIEST);
        let owner = |order: i64| self.owner(order, want);
        let command = match &want.what {
            What::Enrol { external } => enrol(member, key, at, &profile(external))?,
            What::Purchase { plain, christmas: 0, at } => {
                record(paid("purchase", Timestamp::from_millis(*at), *plain))?
            }
            What::Purchase { plain, christmas, at } => {
                let price = |pence: &i64| format!("{}.{:02}", pence / 100, pence % 100);
                let lines = [("OAK TABLE", "1", &*price(plain)), ("BOX OF CHRISTMAS STARS", "1", &*price(christmas))];
                record(basket(Timestamp::from_millis(*at), &lines))?
            }
            What::Return { amount, at } => record(paid("return", Timestamp::from_millis(*at), *amount))?,
            What::CheckIn { at } => record(custom("check_in", Timestamp::from_millis(*at)))?,
            What::Redeem(basket) => {
                let Basket { reward, quantity, capture, store, paid, .. } = basket;
                let (choice, said) = choice_of(basket);
                let tendering = paid.map(|(tender, split)| Tendering { tender, split: Some(split) });
                let place = Place { store: store.map(str::to_owned), channel: None };
                let command = Command::redeem(member, key, at, reward, *quantity, *capture)?;
                command.choosing(choice, said)?.paid_by(tendering).in_place(place)?
            }
            What::Move(order, step) => orders::step(want, *order, *step, owner(*order).0)?,
            What::Fulfil(order, step) => orders::fulfilment_step(*order, owner(*order).0, want.at, want.member, *step),
            What::Lapse(order) => Command::end_order(&named(*order, owner(*order).0), at, member),
            What::Rebook(order, slot) => {
                let (order, owner, slot) = (OrderId(*order), owner(*order), slot.clone());
                Command::rebook(member, key, at, Rebooking { order, owner, slot, reason: None })?
            }
            What::HandOut(presented) => {
                let order = presented.found(self.model.orders.keys().copied());
                let (store, terminal) = (presented.store.to_owned(), presented.terminal.to_owned());
                let place = HandedOut { at: Timestamp::from_millis(presented.at), store, terminal };
                Command::hand_out(member, key, at, HandOut { order, owner: owner(order.0), place })?
            }
            What::Pay { order, step, steps } => {
                let named = (&named(*order, owner(*order).0), &payment_of(*steps));
                Command::follow_tender(member, at, named, *step, Some("T-1".to_owned()), None)
            }
            What::Collect(order) => {
                let change = Amendment::Payment { step: PaymentMove::Collect, reference: None, reason: None };
                let (order, owner) = (OrderId(*order), owner(*order));
                Command::amend(member, key, at, OrderAmendment { order, owner, change })?
            }
            What::Restock { reward, part, quantity } => {
                let (reward_id, pool) = ((*reward).to_owned(), part.map(str::to_owned));
                let wanted = Restocking { reward_id, pool, quantity: *quantity, planned_at: None };
                Command::restock(key, at, wanted, REASON)?
            }
            What::PlannedRestock(moment) => {
                Command::planned_restock("biscuit", None, PLANNED, Timestamp::from_millis(*moment), at)
            }
            What::Merge { from } => Command::merge(MemberId(*from), member, key, at, REASON)?,
            What::Renumber { read, external } => renumber(member, key, at, read, external)?,
            What::Close => Command::close(member, key, at, REASON)?,
            What::Adjust(points) => Command::adjust(member, key, at, POINTS, *points, REASON)?,
            What::Tick => {
                let tick = Command::tick(member, 0, at);
                Command { idempotency_key: key.to_owned(), ..tick }
            }
            _ => self.till_command(want)?,
        };
        Ok(if want.dry { command.dry() } else { command })
    }

    /// What tills do with points.
    fn till_command(&self, want: &Want) -> Result<Command, Refusal> {
        let (member, at) = (MemberId(want.member), Timestamp::from_millis(want.at));
        let change = |order: i64, share: Share, reversal: Option<String>| TenderChange {
            order: OrderId(order),
            owner: self.owner(order, want),
            share,
            reversal,
            reason: None,
        };
        match &want.what {
            What::Authorise { reference, store, basket, share, partial } => {
                let (reference, store) = (reference.clone(), (*store).to_owned());
                let (terminal, basket, share, partial) = (None, *basket, *share, *partial);
                let wanted = Authorisation { reference, store, terminal, basket, share, partial };
                Command::authorise(member, at, wanted)
            }
            What::Capture(order, share) => Command::capture_checkout(member, at, change(*order, *share, None)),
            What::Reverse(order, share, reversal) => {
                Command::reverse_checkout(member, at, change(*order, *share, reversal.clone()))
            }
            What::Grant { store, terminal, points, number } => {
                let (store, terminal) = ((*store).to_owned(), (*terminal).to_owned());
                let wanted = AllowanceRequest { store, terminal, points: *points, number: *number };
                Command::grant_allowance(member, at, wanted)
            }
            What::Spend(spent) => {
                let wanted = OfflineSpending {
                    order: OrderId(spent.order),
                    owner: self.owner(spent.order, want),
                    id: spent.id.clone(),
                    store: spent.store.to_owned(),
                    terminal: spent.terminal.to_owned(),
                    points: spent.points,
                    basket: spent.basket,
                    at: Timestamp::from_millis(spent.at),
                };
                Command::charge_offline(member, at, wanted)
            }
            other => unreachable!("{other:?} is no till's"),
        }
    }
}
