//! Orders in the simulation: what moves them, and where each move should lead.

use guerdon_core::id::{MemberId, OrderId};
use guerdon_core::kernel::{Command, OrderChange, Refusal};
use guerdon_core::ledger::CurrencyId;
use guerdon_core::redemption::{self, OrderDetails, OrderMove, OrderState};
use guerdon_core::time::Timestamp;

use crate::calendar::month_end;
use crate::dice::Dice;
use crate::fulfilment::catalogue::{has_rest, is_automatic, is_by_supplier};
use crate::member::Member;
use crate::model::Said;
use crate::money::Money;
use crate::offline::Allowance;
use crate::till::Tender;
use crate::wishes::{Want, What};
use crate::world::DAY;

/// An order in the model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Order {
    pub(crate) member: i64,
    pub(crate) reward: &'static str,
    pub(crate) quantity: i64,
    pub(crate) points: i64,
    /// Expiry and points of the lots that it took.
    pub(crate) holds: Vec<(i64, i64)>,
    pub(crate) state: &'static str,
    /// When it was made.
    pub(crate) at: i64,
    /// Units that it takes of what there is an end of, by their keys.
    pub(crate) takes: Vec<(String, i64)>,
    pub(crate) money: Option<Money>,
    /// In which store and at which terminal it was handed out against its voucher.
    pub(crate) handed_out: Option<(String, String)>,
    /// What of a checkout it pays.
    pub(crate) tender: Option<Tender>,
    /// What a terminal may spend of it without network.
    pub(crate) allowance: Option<Allowance>,
    /// After how long in one state it expires.
    pub(crate) expires: Option<i64>,
    /// When it does, as it stands.
    pub(crate) lapses: Option<i64>,
}

/// Where points and units of an order are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Where {
    Held,
    Spent,
    Back,
}

pub(crate) fn place(state: &str) -> Where {
    match state {
        "placed" | "in_review" | "approved" | "fulfilling" => Where::Held,
        "shipped" | "issued" | "completed" => Where::Spent,
        _ => Where::Back,
    }
}

/// Where a move leads, in a program that says nothing of orders: none expires.
fn leads_to(state: &str, step: OrderMove) -> Option<&'static str> {
    let begun = ["placed", "approved", "fulfilling"].contains(&state);
    let (may, next) = match step.name() {
        "review" => (state == "placed", "in_review"),
        "claim" => (state == "in_review", "in_review"),
        "approve" => (["placed", "in_review"].contains(&state), "approved"),
        "reject" => (["placed", "in_review"].contains(&state), "rejected"),
        "fulfil" => (["placed", "approved"].contains(&state), "fulfilling"),
        "ship" => (begun, "shipped"),
        "issue" => (begun, "issued"),
        "complete" => (begun || ["shipped", "issued"].contains(&state), "completed"),
        "cancel" | "fail" => (place(state) == Where::Held, "cancelled"),
        "refund" => (place(state) == Where::Spent, "refunded"),
        _ => (false, ""),
    };
    may.then_some(next)
}

impl Order {
    pub(crate) fn new(
        want: &Want,
        reward: &'static str,
        quantity: i64,
        (points, holds): (i64, Vec<(i64, i64)>),
        state: &'static str,
    ) -> Self {
        let (member, at) = (want.member, want.at);
        let (takes, money, handed_out, tender, allowance) = (Vec::new(), None, None, None, None);
        let (expires, lapses) = (None, None);
        Self {
            member,
            reward,
            quantity,
            points,
            holds,
            state,
            at,
            takes,
            money,
            handed_out,
            tender,
            allowance,
            expires,
            lapses,
        }
    }

    /// Whether the clock is to end it.
    pub(crate) fn is_late(&self, at: i64) -> bool {
        place(self.state) == Where::Held && self.due().is_some_and(|due| due <= at)
    }

    /// Whether people have something to send once the program has handed out its parts.
    pub(crate) fn has_rest(&self) -> bool {
        has_rest(self.reward)
    }

    /// Nobody else takes the points of what the program hands out.
    pub(crate) fn must_leave_to_program(&self, step: OrderMove) -> Result<(), &'static str> {
        let spends = leads_to(self.state, step).is_some_and(|next| place(next) == Where::Spent);
        let is_program = is_automatic(self.reward) && place(self.state) == Where::Held;
        if spends && is_program { Err("illegal_order_move") } else { Ok(()) }
    }

    /// Whether it is for points at a till: those tills move.
    pub(crate) fn is_at_till(&self) -> bool {
        self.tender.is_some() || self.allowance.is_some()
    }

    /// When it lapses by itself.
    fn due(&self) -> Option<i64> {
        let till = self
            .tender
            .as_ref()
            .map(|tender| tender.lapses)
            .or(self.allowance.as_ref().map(|allowance| allowance.ends_at));
        till.or(self.lapses)
    }

    /// Moves the order, and its points with it.
    pub(crate) fn follow(
        &mut self,
        step: OrderMove,
        member: &mut Member,
        at: i64,
        said: &mut Said,
    ) -> Result<(), &'static str> {
        let (from, is_late) = (place(self.state), self.due().is_some_and(|due| due <= at));
        if step == OrderMove::Dispute && from == Where::Spent && !self.is_at_till() {
            // The program takes no disputes.
            return Err("dispute_closed");
        }
        let next = match step {
            OrderMove::Expire => (from == Where::Held && is_late).then_some("expired"),
            // What people send of a bundle comes after what the program hands out.
            OrderMove::Ship if self.state == "issued" && self.has_rest() => Some("shipped"),
            _ => leads_to(self.state, step),
        };
        let by_staff = match step {
            OrderMove::Expire | OrderMove::Cancel => true,
            OrderMove::Refund => self.tender.is_some(),
            _ => false,
        };
        let next = next.filter(|_| by_staff || !self.is_at_till()).ok_or("illegal_order_move")?;
        if is_late && from == Where::Held && place(next) != Where::Back && !self.is_at_till() {
            return Err("order_expired");
        }
        if let Some(money) = &self.money {
            money.must_let(next)?;
        }
        match (from, place(next)) {
            (Where::Held, Where::Spent) => {
                member.unhold(&self.holds);
                member.lifetime[1] += self.points;
            }
            (Where::Held | Where::Spent, Where::Back) => {
                let renewed = match step {
                    OrderMove::Fail | OrderMove::Refund => true,
                    OrderMove::Expire => !self.is_at_till(),
                    _ => false,
                };
                self.give_back(renewed, member, at, said);
            }
            _ => {}
        }
        if let Some(money) = &mut self.money {
            money.follow(place(next));
        }
        if self.state != next {
            // How long a supplier is waited for, its delivery knows.
            let waits = place(next) == Where::Held && !(next == "fulfilling" && is_by_supplier(self.reward));
            self.lapses = self.expires.filter(|_| waits).map(|after| at + after);
        }
        self.state = next;
        self.tell(said);
        said.note(next, 1);
        Ok(())
    }

    /// Gives back the points that it holds or has spent; what went wrong leaves them good for a week at the least.
    pub(crate) fn give_back(&mut self, renewed: bool, member: &mut Member, at: i64, said: &mut Said) {
        let good_until = if renewed { month_end(at + 7 * DAY, 0) } else { 0 };
        match place(self.state) {
            Where::Held => member.unhold(&self.holds),
            _ => {
                member.lifetime[1] -= self.points;
                member.give_back_owed(self.tender.as_ref().map_or(0, Tender::owed_left), at, said);
            }
        }
        let short = self.holds.iter().filter(|(expires, _)| *expires < good_until);
        said.note("points given back that live on", short.map(|(_, part)| *part).sum());
        self.holds.iter().for_each(|(expires, part)| member.give(good_until.max(*expires), *part));
        said.points += self.points;
    }

    /// What a receipt says of it.
    pub(crate) fn tell(&self, said: &mut Said) {
        if let Some(money) = &self.money {
            said.tell("money", money.pence);
            said.tell(money.state, 1);
        }
    }

    /// Whether it is not at an end yet.
    pub(crate) fn is_open(&self) -> bool {
        place(self.state) != Where::Back && self.state != "completed"
    }

    /// The next step of whoever fulfils orders by itself.
    fn next_step(&self) -> Option<OrderMove> {
        match self.state {
            "placed" | "approved" => Some(OrderMove::Fulfil),
            "fulfilling" => Some(OrderMove::Issue),
            "issued" => Some(OrderMove::Complete),
            _ => None,
        }
    }

    /// What somebody wants of this order: the next step of its fulfilment, under the key that every node uses for it, or any
    /// move of people's.
    pub(crate) fn wish(&self, id: i64, key: &str, dice: &mut Dice) -> (String, What) {
        let fails = dice.percent(10).then_some(OrderMove::Fail);
        if let Some(step) = fails.or(self.next_step()).filter(|_| dice.percent(65)) {
            return (fulfilment_step(id, self.member, 0, self.member, step).idempotency_key, What::Fulfil(id, step));
        }
        let step = match dice.below(10) {
            0..6 if self.state == "completed" => OrderMove::Refund,
            0..3 => OrderMove::Complete,
            3 => OrderMove::Cancel,
            4..6 => OrderMove::Refund,
            _ => OrderMove::ALL[dice.below(OrderMove::ALL.len() as u64) as usize],
        };
        (key.to_owned(), What::Move(id, step))
    }
}

/// The command of a move by people. `owner`: under whose name the order is kept.
pub(crate) fn step(want: &Want, order: i64, step: OrderMove, owner: i64) -> Result<Command, Refusal> {
    let reason = step.needs_reason().then(|| "for the simulation".to_owned());
    let change = OrderChange { order: OrderId(order), owner: MemberId(owner), step, reason, shipment: None };
    Command::move_order(MemberId(want.member), &want.key, Timestamp::from_millis(want.at), change)
}

/// As much of an order as commands about it ask for.
pub(crate) fn named(order: i64, owner: i64) -> redemption::Order {
    redemption::Order {
        id: OrderId(order),
        member_id: MemberId(owner),
        reward_id: String::new(),
        quantity: 1,
        points: 0,
        currency: CurrencyId(1),
        state: OrderState::Placed,
        holds: Vec::new(),
        created_at: Timestamp::ZERO,
        updated_at: Timestamp::ZERO,
        due_at: None,
        details: OrderDetails::default(),
    }
}

/// The command of a step of the program's own.
pub(crate) fn fulfilment_step(order: i64, owner: i64, at: i64, member: i64, step: OrderMove) -> Command {
    let reason = (step == OrderMove::Fail).then_some("for the simulation");
    Command::fulfilment_step(&named(order, owner), MemberId(member), step, Timestamp::from_millis(at), reason)
}
