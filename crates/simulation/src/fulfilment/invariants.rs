//! What must hold after every step of a fulfilment, and once everybody has had time enough.

use std::collections::{BTreeMap, BTreeSet};

use guerdon_core::fulfilment::{Delivery, DeliveryKey, Item, Stage, listed_differently};
use guerdon_core::id::OrderId;
use guerdon_fulfilment::{ASKED_FOR, DELIVERY};
use guerdon_store::KeptCode;

use super::Fulfilments;
use super::catalogue::{Way, is_bundle, parts};
use super::partner::Memory;
use crate::orders::{Where, place};

/// Codes by the reward and the order that they belong to.
type Taken<'c> = BTreeMap<(&'c str, i64), Vec<&'c KeptCode>>;

fn taken(codes: &[KeptCode]) -> Taken<'_> {
    let mut taken = Taken::new();
    for code in codes {
        if let Some(order) = code.order {
            taken.entry((code.reward_id.as_str(), order.0)).or_default().push(code);
        }
    }
    taken
}

/// Under which key a supplier knows a part of an order.
pub(super) fn key(order: i64, reward: &str, part: &str) -> String {
    DeliveryKey { order: OrderId(order), part: is_bundle(reward).then(|| part.to_owned()) }.to_string()
}

impl Fulfilments {
    /// Orders of which codes are set aside, and neither handed over nor free again.
    pub(super) fn with_open_codes(&self) -> Vec<OrderId> {
        let open = self.world.store.kept_codes().into_iter().filter(|code| code.issued_at.is_none());
        let orders: BTreeSet<OrderId> = open.filter_map(|code| code.order).collect();
        orders.into_iter().collect()
    }

    /// Orders of which is written down that suppliers were asked.
    pub(super) fn watched(&self) -> Vec<OrderId> {
        let records = self.world.store.kept_records(ASKED_FOR);
        records.filter_map(|record| record.id.parse().ok()).collect()
    }

    pub(super) fn compare(&mut self) -> Result<(), String> {
        if std::mem::take(&mut self.world.is_changed) {
            self.world.compare()?;
        }
        let codes = self.world.store.kept_codes();
        let different: BTreeSet<[u8; 32]> = codes.iter().map(|code| code.digest).collect();
        if different.len() != codes.len() {
            return Err("a code is there twice".to_owned());
        }
        let in_vault = codes.iter().filter(|code| code.reward_id == "film").count();
        if in_vault as i64 != self.uploaded {
            return Err(format!("{in_vault} codes are in the vault, and {} were put there", self.uploaded));
        }
        let taken = taken(&codes);
        let spent: Vec<i64> = self
            .world
            .model
            .orders
            .iter()
            .filter(|(_, order)| place(order.state) == Where::Spent)
            .map(|(id, _)| *id)
            .collect();
        for id in spent {
            self.check_seen(id, &taken)?;
            self.seen.insert(id);
        }
        self.check_asked()
    }

    /// Whoever sees an order that was handed over finds all of it.
    fn check_seen(&self, id: i64, taken: &Taken<'_>) -> Result<(), String> {
        let order = &self.world.model.orders[&id];
        let is_new = !self.seen.contains(&id);
        for (part, each, way) in parts(order.reward) {
            let wanted = order.quantity * each;
            let codes = taken.get(&(*part, id)).map_or(0, |codes| codes.len() as i64);
            let gives_codes = match way {
                Way::Vault | Way::Coupon => true,
                Way::Supplier(name) => {
                    let partner = &self.partners[name];
                    let memory = partner.memory.get(&key(id, order.reward, part));
                    let is_there = memory.is_some_and(|memory| memory.delivered.is_some() && !memory.cancelled);
                    if is_new && !is_there {
                        return Err(format!("order {id} is handed over, and {name} has not delivered {part}"));
                    }
                    partner.gives_codes
                }
            };
            if gives_codes && codes != wanted || !gives_codes && codes != 0 {
                return Err(format!("order {id} is handed over with {codes} codes of {part} instead of {wanted}"));
            }
        }
        Ok(())
    }

    /// No supplier is asked, or told, more often than it says.
    fn check_asked(&self) -> Result<(), String> {
        for partner in self.partners.values() {
            let most = partner.most_attempts;
            for (key, memory) in &partner.memory {
                if memory.asked > most || memory.told > most {
                    let (asked, told) = (memory.asked, memory.told);
                    return Err(format!("{} was asked {asked} times for {key} and told {told} times", partner.name));
                }
            }
        }
        Ok(())
    }

    /// Once everybody has had time enough.
    pub(super) fn check_the_end(&mut self) -> Result<(), String> {
        let codes = self.world.store.kept_codes();
        let taken = taken(&codes);
        for (id, order) in &self.world.model.orders {
            let own = parts(order.reward).iter().filter_map(|(part, _, _)| taken.get(&(*part, *id)));
            let own: Vec<&KeptCode> = own.flatten().copied().collect();
            let is_seen = self.seen.contains(id);
            if order.is_open() && !["issued", "shipped"].contains(&order.state) {
                return Err(format!("order {id} is {} for ever", order.state));
            }
            if order.state == "issued" && !super::catalogue::has_rest(order.reward) {
                return Err(format!("order {id} is never done"));
            }
            if is_seen && own.iter().any(|code| code.issued_at.is_none()) {
                return Err(format!("codes of order {id} are not handed over"));
            }
            if !is_seen && !own.is_empty() {
                return Err(format!("order {id} was given back, and keeps {} codes", own.len()));
            }
        }
        if let Some(left) = self.watched().first() {
            return Err(format!("order {left} is watched for ever"));
        }
        self.check_suppliers()
    }

    /// What was delivered of orders that were given back is cancelled, or people know of it.
    fn check_suppliers(&mut self) -> Result<(), String> {
        let records: BTreeMap<String, Delivery> = self
            .world
            .store
            .kept_records(DELIVERY)
            .filter_map(|record| Some((record.id.clone(), record.read().ok()?)))
            .collect();
        let mut by_reconciliation = Vec::new();
        for partner in self.partners.values() {
            for (key, memory) in &partner.memory {
                let order = key.parse::<DeliveryKey>().map_err(|_| format!("{key} is no key"))?.order;
                if memory.delivered.is_none() || memory.cancelled || self.seen.contains(&order.0) {
                    continue;
                }
                let told = |what: &str| self.told.contains(&(key.clone(), what.to_owned()));
                if ["delivered_after_return", "to_be_cancelled", "code_given_before"].into_iter().any(told) {
                    self.world.summary.note("delivered for nothing, and told", 1);
                    continue;
                }
                if !is_found_by_reconciliation_only(partner.cancels, key, memory, records.get(key)) {
                    let record = records.get(key);
                    return Err(format!("{} has delivered {key} for nothing: {memory:?} {record:?}", partner.name));
                }
                by_reconciliation.push((key.clone(), order));
            }
        }
        for (key, order) in by_reconciliation {
            let order = self.stored(order)?.ok_or("an order is gone")?;
            let items = Item::all(&self.program, &order);
            let item = items.into_iter().find(|item| item.key().to_string() == key).ok_or("an item is gone")?;
            if listed_differently(&item, "delivered", None) != Some("delivered_after_return") {
                return Err(format!("reconciliation does not tell of {key}"));
            }
            self.world.summary.note("found by reconciliation only", 1);
        }
        Ok(())
    }
}

/// A supplier that cannot be told, and of whose delivery nobody has ever heard: its list says so.
fn is_found_by_reconciliation_only(cancels: bool, key: &str, memory: &Memory, record: Option<&Delivery>) -> bool {
    let Some(record) = record else { return false };
    let is_part = key.contains('.');
    let unheard = match record.stage {
        Stage::Failed => true,
        Stage::Waiting | Stage::Promised => !is_part,
        Stage::Delivered | Stage::Refused | Stage::Cancelled => false,
    };
    !cancels && unheard && !memory.confirmed
}
