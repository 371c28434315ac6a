//! Points that terminals spend without network, as the model has it: what is granted, and what becomes of what was spent, at the
//! terminal that it was granted to or at another.

use crate::member::Member;
use crate::model::{Model, NEW_ORDER, Said};
use crate::orders::Order;
use crate::till::{CHECKOUT, Tender, pence, split};
use crate::wishes::Want;
use crate::world::{HOUR, SKEW};

/// Points of a member that are granted to all terminals together.
const MOST: i64 = 150;
/// For how long an allowance is good.
const LIFE: i64 = 48 * HOUR;

/// What the order of an allowance is for.
pub(crate) const ALLOWANCE: &str = "@allowance";

/// What a program says of tills without network.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Offline {
    /// Whether what is granted is set aside.
    pub(crate) reserve: bool,
    /// Whether what goes beyond it is charged.
    pub(crate) owe: bool,
}

impl Offline {
    pub(crate) fn text(self) -> String {
        let overdraft = if self.owe { "owe" } else { "refuse_and_report" };
        let Self { reserve, .. } = self;
        format!("offline = {{ points = {MOST}, hours = 48, reserve = {reserve}, overdraft = \"{overdraft}\" }}\n")
    }
}

/// Points that a terminal may spend without network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Allowance {
    /// Counted from 1 for each member.
    pub(crate) number: i64,
    pub(crate) store: String,
    pub(crate) terminal: String,
    pub(crate) ends_at: i64,
    pub(crate) left: i64,
}

/// What a terminal says that it has spent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Spending {
    /// Of which allowance.
    pub(crate) order: i64,
    /// The terminal's own number of it.
    pub(crate) id: String,
    pub(crate) store: &'static str,
    pub(crate) terminal: &'static str,
    pub(crate) points: i64,
    pub(crate) basket: i64,
    pub(crate) at: i64,
}

impl Spending {
    /// Whether it is the same: clocks are set, so that the moment says nothing.
    pub(crate) fn is_the_same(&self, other: &Self) -> bool {
        Self { at: 0, ..self.clone() } == Self { at: 0, ..other.clone() }
    }
}

impl Model {
    pub(crate) fn grant(
        &mut self,
        want: &Want,
        member: &mut Member,
        (store, terminal): (&str, &str),
        (points, number): (Option<i64>, i64),
        said: &mut Said,
    ) -> Result<(), &'static str> {
        member.must_not_precede(want.at)?;
        let allowances = self.orders.values().filter(|order| order.member == want.member);
        let mut numbers = allowances.filter_map(|order| order.allowance.as_ref()).map(|known| known.number);
        if number > 1 && !numbers.any(|known| known == number - 1) {
            return Err("invalid_request");
        }
        let mut live = member.lent.clone();
        live.retain(|(_, ends_at)| *ends_at > want.at);
        let lent: i64 = live.iter().map(|(points, _)| points).sum();
        let spendable = member.spendable(want.at) - if self.offline.reserve { 0 } else { lent };
        let room = (MOST - lent).min(spendable);
        let points = points.unwrap_or(room).min(room);
        if points <= 0 {
            return Err(if lent >= MOST { "cap_reached" } else { "insufficient_points" });
        }
        let holds = if self.offline.reserve { member.take(points, want.at) } else { Vec::new() };
        member.hold(&holds);
        let held = holds.iter().map(|(_, points)| points).sum();
        said.points -= held;
        said.tell("granted points", points);
        said.tell("granted money", pence(points));
        said.tell("granted until", want.at + LIFE);
        said.note("granted", 1);
        live.push((points, want.at + LIFE));
        said.tell("granted in all", live.iter().map(|(points, _)| points).sum());
        let (store, terminal) = (store.to_owned(), terminal.to_owned());
        member.lent = live;
        let allowance = Allowance { number, store, terminal, ends_at: want.at + LIFE, left: points };
        let order = Order { allowance: Some(allowance), ..Order::new(want, ALLOWANCE, 1, (held, holds), "placed") };
        self.orders.insert(NEW_ORDER, order);
        Ok(())
    }

    /// Charges what a terminal has spent: from what was set aside for it, then from what is there.
    pub(crate) fn spend(
        &mut self,
        want: &Want,
        member: &mut Member,
        spent: &Spending,
        said: &mut Said,
    ) -> Result<(), &'static str> {
        let owe = self.offline.owe;
        let order = self.own(want, member, spent.order)?;
        let (made, placed) = (order.at, order.state == "placed");
        let lives = placed || order.state == "expired";
        let allowance = order.allowance.as_mut().ok_or("unknown_order")?;
        let is_its_own = (allowance.terminal.as_str(), allowance.store.as_str()) == (spent.terminal, spent.store)
            && spent.at < allowance.ends_at
            && spent.at + SKEW >= made
            && lives;
        let within = if is_its_own { spent.points.min(allowance.left) } else { 0 };
        allowance.left -= within;
        let mut lots = Vec::new();
        if placed {
            (lots, order.holds) = split(&order.holds, within);
            member.unhold(&lots);
        }
        let held: i64 = lots.iter().map(|(_, points)| points).sum();
        order.points -= held;
        let chargeable = if owe { spent.points } else { within };
        let more = member.take(chargeable - held, want.at);
        let charged = held + more.iter().map(|(_, points)| points).sum::<i64>();
        lots.extend(more);
        said.points -= charged - held;
        member.lifetime[1] += charged;
        let owed_before = said.owed;
        if owe && charged < chargeable {
            member.fall_short(chargeable - charged, said);
        }
        let owed = said.owed - owed_before;
        said.tell("spent points", spent.points);
        said.tell("beyond", spent.points - within);
        said.tell("charged points", charged);
        said.tell("charged money", pence(charged));
        said.tell("owed", owed);
        said.tell("lost", spent.points - charged - owed);
        said.note("spent offline", 1);
        said.note("spent beyond", i64::from(within < spent.points));
        said.note("owed offline", owed);
        if charged + owed > 0 {
            let paid = (charged + owed, pence(charged + owed));
            let tender = Tender {
                reference: spent.id.clone(),
                store: spent.store.to_owned(),
                authorised: paid,
                captured: Some(paid),
                returned: Vec::new(),
                owed,
                lapses: i64::MAX,
            };
            let order = Order::new(want, CHECKOUT, 1, (charged, lots), "completed");
            self.orders.insert(NEW_ORDER, Order { tender: Some(tender), ..order });
        }
        Ok(())
    }
}
