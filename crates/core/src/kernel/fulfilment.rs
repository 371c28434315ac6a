//! Orders that are fulfilled by the program itself: the commands of its steps, each under a key that follows from the order,
//! and what is given back when an order cannot be fulfilled.

use super::command::{Action, Command, FULFIL_PREFIX};
use super::decide::Draft;
use super::event::Event;
use super::moves::Mover;
use super::order_commands::OrderChange;
use super::orders::REFUND_LIFE_MS;
use super::refusal::{Refusal, RefusalCode};
use crate::id::MemberId;
use crate::ledger::{LedgerAccount, LotKey, Transfer};
use crate::limits;
use crate::program::Program;
use crate::redemption::{Funds, Handing, Order, OrderMove, OrderState, PartWay};
use crate::rewards::{Fulfilment, Reward};
use crate::time::Timestamp;

/// The channel of what the program does by itself.
pub(super) const SYSTEM: &str = "system";
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
    /// Who or what fulfils an order as a whole, by the reward as it was when it was ordered. `None`: people do, or each part of
    /// it has its own way.
    pub fn fulfilment_of(&self, order: &Order) -> Option<&Fulfilment> {
        self.reward_at(&order.reward_id, order.created_at)?.fulfilment.as_ref()
    }

    /// Whether the program itself hands out an order, or a part of it.
    pub fn hands_out(&self, order: &Order) -> bool {
        !order.details.particulars.parts.is_empty() || self.fulfilment_of(order).is_some()
    }

    /// What the program itself hands out of an order: all of it, or the parts of a bundle that have a way of their own.
    pub fn handings<'a>(&'a self, order: &'a Order) -> Vec<Handing<'a>> {
        let kind_of = |reward: &str| self.reward_at(reward, order.created_at).and_then(|reward| reward.kind.as_ref());
        let whole = self.fulfilment_of(order).map(|fulfilment| Handing {
            reward_id: &order.reward_id,
            quantity: order.quantity,
            variant: order.details.particulars.variant.as_deref(),
            fulfilment,
            kind: kind_of(&order.reward_id),
            is_part: false,
        });
        let parts = order.details.particulars.parts.iter().filter_map(|part| match &part.way {
            PartWay::Program { fulfilment } => Some(Handing {
                reward_id: &part.reward,
                quantity: part.quantity,
                variant: part.variant.as_deref(),
                fulfilment,
                kind: kind_of(&part.reward),
                is_part: true,
            }),
            PartWay::Granted {} | PartWay::People {} => None,
        });
        whole.into_iter().chain(parts).collect()
    }

    /// Whether a supplier is asked for an order, or for a part of it.
    pub(super) fn is_by_supplier(&self, order: &Order) -> bool {
        self.handings(order).iter().any(|handing| matches!(handing.fulfilment, Fulfilment::Supplier { .. }))
    }

    /// Whether the program itself may go on with an order at a moment: nobody looks at it first, nobody may call it off
    /// freely any more, and its time has not run out.
    pub fn may_fulfil(&self, order: &Order, at: Timestamp) -> bool {
        let ready = match order.state {
            OrderState::Approved | OrderState::Fulfilling => true,
            OrderState::Placed => self.settings_at(at).orders.review.is_none(),
            // It was handed over, and the last step is missing.
            OrderState::Issued => !order.has_rest_for_people(),
            _ => false,
        };
        let handed_over = order.state == OrderState::Issued;
        let cooling = order.details.cooling_until.is_some_and(|until| until > at);
        let go_on = order.details.particulars.let_go_on(order.state);
        ready && go_on && (handed_over || !cooling && !order.is_due(at)) && self.hands_out(order)
    }
}

impl Draft<'_> {
    /// Whether the program itself hands out so many units of a reward, or a part of them.
    pub(super) fn is_handed_out_by_itself(&self, reward_id: &str, quantity: i64) -> bool {
        let at = self.command.at;
        let by_itself =
            |reward: &Reward| reward.fulfilment.is_some() || !reward.order_parts(self.program, quantity, at).is_empty();
        self.program.reward_at(reward_id, at).is_some_and(by_itself)
    }

    /// Refuses more bundles at once than the program hands out codes for.
    pub(super) fn check_units_by_itself(&self, reward: &Reward, quantity: i64) -> Result<(), Refusal> {
        let one = reward.units_by_itself(self.program, self.command.at);
        let most = limits::ORDER_QUANTITY.checked_div(one).unwrap_or(limits::ORDER_QUANTITY);
        if quantity <= most {
            return Ok(());
        }
        let (id, limit) = (&reward.id, limits::ORDER_QUANTITY);
        let problem = format!(
            "`quantity` must be {most} at the most: `{id}` holds {one} units that are handed out one by one, and an order has {limit} of them at the most"
        );
        Err(Refusal::new(RefusalCode::InvalidAmount, problem))
    }
}

impl Mover<'_> {
    /// Refuses to take the points of an order without what the program hands out for them.
    pub(super) fn check_handed_out_by_itself(&self, order: &Order, step: OrderMove) -> Result<(), Refusal> {
        let next = order.after(step).map(OrderState::funds);
        let spends = order.state.funds() == Funds::Held && next == Some(Funds::Spent);
        if !spends || self.channel == SYSTEM || !self.program.hands_out(order) {
            return Ok(());
        }
        let first = if order.has_rest_for_people() { ", which comes before what people send" } else { "" };
        let problem =
            format!("order {} is handed out by the program itself{first}; `cancel` or `fail` gives it back", order.id);
        Err(Refusal::new(RefusalCode::IllegalOrderMove, problem))
    }
}

impl Draft<'_> {
    /// After a move that gives points back because something went wrong: lets them live on for a while, so that they can be
    /// spent, and says so to the member.
    pub(super) fn make_good(&mut self, order: &Order, step: OrderMove, reason: Option<&String>) -> Result<(), Refusal> {
        // What points pay at tills is given back as they find it: nobody has waited for it.
        if order.is_of_till() {
            return Ok(());
        }
        match step {
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
            reason: reason.cloned().unwrap_or_else(|| EXPIRED.to_owned()),
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
