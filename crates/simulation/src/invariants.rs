//! What must hold of every row after every step, and of the whole store at the end.

use std::collections::{BTreeMap, BTreeSet};

use guerdon_core::id::{MemberId, OrderId};
use guerdon_core::kernel::Footprint;
use guerdon_core::members::RefKind;
use guerdon_core::redemption;
use guerdon_core::rewards::StockLevel;
use guerdon_core::time::Timestamp;
use guerdon_store::{Store, verify};

use crate::catalogue::{PLANNED, planned};
use crate::fixtures::{POINTS, sealed, stored_account, test_keyring};
use crate::member::Row;
use crate::orders::Order;
use crate::shelf::Shelf;
use crate::world::{MEMBERS, START, World};

impl<S: Store> World<S> {
    /// Every row must be what the model says.
    pub(crate) fn compare(&mut self) -> Result<(), String> {
        let mut members: Vec<(Timestamp, MemberId)> = Vec::new();
        for (member, state) in &self.model.members {
            let member = MemberId(*member);
            let account = stored_account(&mut self.store, member).ok_or_else(|| format!("{member} is gone"))?;
            let wallet = account.wallet(POINTS).ok_or_else(|| format!("{member} has no wallet"))?;
            let stored: Vec<Row> = wallet
                .lots
                .iter()
                .map(|lot| (lot.key.expires_at.as_millis(), lot.key.active_at.as_millis(), lot.remaining, lot.held))
                .collect();
            if stored != state.rows() {
                return Err(format!("{member} has the lots {stored:?}, the model {:?}", state.rows()));
            }
            if stored.iter().any(|(_, _, remaining, held)| *remaining < 0 || *held < 0) {
                return Err(format!("{member} is below zero: {stored:?}"));
            }
            let life = &wallet.lifetime;
            let lifetime = [life.earned, life.redeemed, life.expired, life.revoked, life.adjusted];
            if lifetime != state.lifetime {
                return Err(format!("{member} has the lifetime {lifetime:?}, the model {:?}", state.lifetime));
            }
            let sum: i64 = stored.iter().map(|(_, _, remaining, held)| remaining + held).sum();
            if sum != life.earned + life.adjusted - life.redeemed - life.expired - life.revoked {
                return Err(format!("{member} holds {sum} points, which do not add up with {life:?}"));
            }
            if (account.status.name(), &account.merged_from) != (state.status.name(), &state.merged_from()) {
                let stored = (account.status, account.merged_from);
                return Err(format!("{member} is {stored:?}, in the model {:?}", (state.status, state.merged_from())));
            }
            let rank = account.standing.held.as_ref().map_or(0, |held| held.rank);
            if rank != state.rank {
                return Err(format!("{member} holds the tier of rank {rank}, in the model {}", state.rank));
            }
            let agenda = account.agenda.wallet(POINTS);
            let millis = |at: Option<Timestamp>| at.map(Timestamp::as_millis);
            let stored = (agenda.owed, millis(agenda.remind_at), millis(agenda.decay_at));
            if stored != (state.owed, state.remind_at, state.decay_at) {
                let model = (state.owed, state.remind_at, state.decay_at);
                return Err(format!("{member} owes and expects {stored:?}, in the model {model:?}"));
            }
            if account.version != state.version {
                return Err(format!("{member} has version {}, the model {}", account.version, state.version));
            }
            members.extend(state.due_at().map(|due_at| (Timestamp::from_millis(due_at), member)));
        }
        members.sort();
        let now = Timestamp::from_millis(self.now);
        let expected: Vec<MemberId> =
            members.into_iter().filter(|(due_at, _)| *due_at <= now).map(|(_, member)| member).collect();
        let due = self.store.due(now, 100).map_err(|error| error.to_string())?;
        let due: Vec<MemberId> = due.into_iter().map(|(member, _)| member).collect();
        if due != expected {
            return Err(format!("due are {due:?}, in the model {expected:?}"));
        }
        self.compare_stock_and_orders()
    }

    fn compare_stock_and_orders(&mut self) -> Result<(), String> {
        let orders = self.model.orders.iter().map(|(id, order)| (MemberId(order.member), OrderId(*id))).collect();
        let stock = self.model.shelves.keys().cloned().collect();
        let loaded = self.store.prefetch(&Footprint { stock, orders, ..Footprint::default() });
        let loaded = loaded.map_err(|error| error.to_string())?;
        for (key, shelf) in &self.model.shelves {
            let level = loaded.stock.get(key).ok_or_else(|| format!("the stock of {key} is gone"))?;
            check_shelf(key, shelf, level, self.model.taken(key))?;
        }
        let mut references = BTreeSet::new();
        for (id, order) in &self.model.orders {
            let stored = loaded.orders.get(&(MemberId(order.member), OrderId(*id)));
            let stored = stored.ok_or_else(|| format!("order {id} is gone"))?;
            let differs = |what: &str| format!("order {id} has other {what}: {stored:?}, in the model {order:?}");
            check_order(stored, order, &self.model.shelves).map_err(differs)?;
            if let Some(tender) = order.tender.as_ref().filter(|tender| tender.lapses != i64::MAX)
                && !references.insert((order.member, &tender.store, &tender.reference))
            {
                return Err(format!("checkout {} was authorised twice", tender.reference));
            }
        }
        Ok(())
    }

    /// Every member is found by the number that was given, whatever was merged, and by none that was taken away.
    fn compare_references(&mut self) -> Result<(), String> {
        for external in (0..MEMBERS * 4).map(|number| format!("C-{number}")) {
            let reference = test_keyring().reference(RefKind::ExternalId, &external);
            let footprint = Footprint { references: vec![reference.clone()], ..Footprint::default() };
            let loaded = self.store.prefetch(&footprint).map_err(|error| error.to_string())?;
            let found = loaded.references.get(&reference).map(|member| member.0);
            let expected = self.model.externals.get(&external).map(|member| self.model.survivor(*member));
            if found != expected {
                return Err(format!("{external} leads to {found:?}, in the model to {expected:?}"));
            }
        }
        self.compare_profiles()
    }

    fn compare_profiles(&mut self) -> Result<(), String> {
        let profiles = self.model.members.keys().map(|member| MemberId(*member)).collect();
        let footprint = Footprint { profiles, ..Footprint::default() };
        let loaded = self.store.prefetch(&footprint).map_err(|error| error.to_string())?;
        for (member, state) in &self.model.members {
            let member = MemberId(*member);
            if loaded.profiles.get(&member) != Some(&sealed(member, &state.external).version()) {
                return Err(format!("{member} has another profile than that with {}", state.external));
            }
        }
        Ok(())
    }

    /// The journal must tell the same story as the rows.
    pub(crate) fn compare_at_the_end(&mut self) -> Result<(), String> {
        self.compare_references()?;
        self.compare_plan()?;
        let keys: Vec<(MemberId, String)> =
            self.model.answers.keys().map(|(member, key)| (MemberId(*member), key.to_string())).collect();
        let footprint = Footprint { keys, ..Footprint::default() };
        let loaded = self.store.prefetch(&footprint).map_err(|error| error.to_string())?;
        for ((member, key), answer) in &self.model.answers {
            let stored = loaded.committed.get(&(MemberId(*member), key.to_string()));
            if stored.is_none_or(|stored| **stored.receipt != *answer.receipt) {
                return Err(format!("{key} was acknowledged as {}, but the store says {stored:?}", answer.receipt));
            }
        }
        let report = verify(&mut self.store).map_err(|error| error.to_string())?;
        if report.wrong > 0 {
            return Err(format!("verify finds {:?}", report.findings));
        }
        // A merge has an entry on each of its accounts, and one answer.
        let entries = self.model.answers.len() as u64 + self.summary.merged;
        let counted = (report.transactions, report.orders);
        if counted != (entries, self.model.orders.len() as u64) {
            let (entries, orders) = (entries, self.model.orders.len());
            return Err(format!("{counted:?} transactions and orders where there should be {entries} and {orders}"));
        }
        Ok(())
    }

    /// What comes in by itself comes at the moments that the calendar says.
    fn compare_plan(&self) -> Result<(), String> {
        let (start, now) = (Timestamp::from_millis(START), Timestamp::from_millis(self.now));
        let offered = self.program.offered_at("biscuit", now).ok_or("there are no biscuits")?;
        let due = offered.restocks(&self.program.calendar, start, now);
        let moments = planned().filter(|moment| *moment <= self.now).map(Timestamp::from_millis);
        let expected: BTreeMap<(Timestamp, Option<String>), i64> =
            moments.map(|moment| ((moment, None), PLANNED)).collect();
        if due != expected {
            return Err(format!("biscuits come in at {due:?}, in the model at {expected:?}"));
        }
        Ok(())
    }
}

/// No unit is lost or promised twice: what is free, reserved, handed out and lost is all that ever came in.
fn check_shelf(key: &str, shelf: &Shelf, level: &StockLevel, taken: (i64, i64)) -> Result<(), String> {
    let (reserved, handed_out) = taken;
    let came_in = shelf.first + shelf.restocked;
    let sum = level.free() + level.reserved + level.issued + shelf.lost;
    let restocked_at = level.restocked_at.map(Timestamp::as_millis);
    let stored = (level.reserved, level.issued, level.initial + level.restocked, restocked_at);
    if level.free() < 0 || sum != came_in || stored != (reserved, handed_out, shelf.all(), shelf.restocked_at) {
        return Err(format!("{key}: {level:?}, but {reserved} are reserved, {handed_out} handed out of {shelf:?}"));
    }
    Ok(())
}

/// Compares an order with that of the model; an error names what differs.
fn check_order(
    stored: &redemption::Order,
    order: &Order,
    shelves: &BTreeMap<String, Shelf>,
) -> Result<(), &'static str> {
    let particulars = &stored.details.particulars;
    if (stored.state.name(), stored.points, stored.quantity) != (order.state, order.points, order.quantity) {
        return Err("state, points or quantity");
    }
    let holds = stored.holds.iter().map(|portion| (portion.lot.expires_at.as_millis(), portion.amount));
    if !holds.eq(order.holds.iter().copied()) {
        return Err("lots");
    }
    let limited = stored.stock().filter(|(key, _)| shelves.contains_key(*key));
    if !limited.eq(order.takes.iter().map(|(key, units)| (key.as_str(), *units))) {
        return Err("units");
    }
    let money =
        particulars.payment.as_ref().map(|payment| (payment.amount, payment.state().name(), payment.steps.len()));
    if money != order.money.as_ref().map(|money| (money.pence, money.state, money.steps)) {
        return Err("money");
    }
    let handed_out = particulars.handed_out.as_ref().map(|place| (&place.store, &place.terminal));
    if handed_out != order.handed_out.as_ref().map(|(store, terminal)| (store, terminal)) {
        return Err("places");
    }
    let left = particulars.tender.as_ref().map(|tender| (tender.left().points, tender.left().money));
    if left != order.tender.as_ref().map(|tender| tender.left()) {
        return Err("money at a till");
    }
    let left = particulars.allowance.as_ref().map(|allowance| allowance.left());
    if left != order.allowance.as_ref().map(|allowance| allowance.left) {
        return Err("points of an allowance");
    }
    Ok(())
}
