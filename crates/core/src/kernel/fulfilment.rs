//! Orders that are fulfilled by the program itself: the commands of its steps, each under a key that follows from the order,
//! and what is given back when an order cannot be fulfilled.

use super::command::{Action, Command, FULFIL_PREFIX};
use super::decide::Draft;
use super::event::Event;
use super::order_commands::OrderChange;
use super::orders::REFUND_LIFE_MS;
use super::refusal::Refusal;
use crate::id::MemberId;
use crate::ledger::{LedgerAccount, LotKey, Transfer};
use crate::program::Program;
use crate::redemption::{Order, OrderMove, OrderState};
use crate::rewards::Fulfilment;
use crate::time::Timestamp;

/// The channel of what the program does by itself.
const SYSTEM: &str = "system";
/// The reason of an order to which nobody came back.
const EXPIRED: &str = "expired";

impl Command {
    /// A step in the fulfilment of an order by the program itself, in the name of the account that goes on: once however
    /// often it is sent, and by whichever node.
    pub fn fulfilment_step(
        order: &Order,
        member_id: MemberId,
        step: OrderMove,
        at: Timestamp,
        reason: Option<&str>,
    ) -> Self {
        let change = OrderChange {
            order: order.id,
            owner: order.member_id,
            step,
            reason: reason.map(str::to_owned),
            shipment: None,
        };
        let key = format!("{FULFIL_PREFIX}{}:{}", step.name(), order.id);
        Self::new(member_id, &key, at, Action::Move(Box::new(change)), &"fulfilment").from_channel(SYSTEM)
    }
}

impl Program {
    /// Who or what fulfils an order, by the reward as it was when it was ordered. `None`: people do.
    pub fn fulfilment_of(&self, order: &Order) -> Option<&Fulfilment> {
        self.reward_at(&order.reward_id, order.created_at)?.fulfilment.as_ref()
    }

    /// Whether the program itself may go on with an order at a moment: nobody looks at it first, nobody may call it off
    /// freely any more, and its time has not run out.
    pub fn may_fulfil(&self, order: &Order, at: Timestamp) -> bool {
        let ready = match order.state {
            OrderState::Approved | OrderState::Fulfilling => true,
            OrderState::Placed => self.settings_at(at).orders.review.is_none(),
            // It was handed over, and the last step is missing.
            OrderState::Issued => return self.fulfilment_of(order).is_some(),
            _ => false,
        };
        let cooling = order.details.cooling_until.is_some_and(|until| until > at);
        ready && !cooling && !order.is_due(at) && self.fulfilment_of(order).is_some()
    }
}

impl Draft<'_> {
    /// After a move that gives points back because something went wrong: lets them live on for a while, so that they can be
    /// spent, and says so to the member.
    pub(super) fn make_good(&mut self, order: &Order, change: &OrderChange) -> Result<(), Refusal> {
        match change.step {
            // What was refunded lives on already.
            OrderMove::Refund => {}
            OrderMove::Fail | OrderMove::Expire => self.let_live(order)?,
            _ => return Ok(()),
        }
        self.receipt.events.push(Event::OrderGivenBack {
            order: order.id,
            reward: order.reward_id.clone(),
            quantity: order.quantity,
            points: order.points,
            currency: order.currency,
            reason: change.reason.clone().unwrap_or_else(|| EXPIRED.to_owned()),
        });
        Ok(())
    }

    /// Moves what was held, and is back in its lots, to lots that are good for as long as what is refunded.
    fn let_live(&mut self, order: &Order) -> Result<(), Refusal> {
        let alive_until = self.command.at.plus_millis(REFUND_LIFE_MS);
        let renewed = self.program.end_of_granule(order.currency, alive_until);
        let short = order.holds.iter().filter(|portion| portion.lot.expires_at < renewed);
        short.into_iter().try_for_each(|portion| {
            let (currency, amount, lot) = (order.currency, portion.amount, portion.lot.activated());
            let (here, way) = (LedgerAccount::MemberAvailable, LedgerAccount::Extension);
            self.transfer(Transfer { debit: here, credit: way, currency, amount, lot, rule: None })?;
            let lot = LotKey { expires_at: renewed, ..lot };
            self.transfer(Transfer { debit: way, credit: here, currency, amount, lot, rule: None })
        })
    }
}
