//! What each kind of reward needs in an order: a variant, an address, an account; and what a bundle holds. All of it is there,
//! or the whole order is refused.

use serde::{Deserialize, Serialize};

use super::appointments::check_after_group;
use super::batch::{Footprint, Loaded};
use super::command::{Action, Command};
use super::decide::Draft;
use super::order_commands::Redemption;
use super::refusal::{Refusal, RefusalCode};
use crate::limits;
use crate::planted::{self, Bug};
use crate::program::Program;
use crate::redemption::{Benefit, Booked, Funds, Order, SealedDelivery};
use crate::rewards::{
    Chosen, Part, Reward, RewardKind, Slot, StockChange, StockLevel, StockTaken, free_places, parts_of,
};

/// What was chosen for an order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Choice {
    /// The variant of a thing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
    /// The slot of a service.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slot: Option<String>,
    /// Where it goes to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delivery: Option<SealedDelivery>,
}

impl Choice {
    /// Checks that none of its texts is longer than any that fits; the problem names the field.
    pub fn check(&self) -> Result<(), Refusal> {
        let texts = [("variant", &self.variant), ("slot", &self.slot)];
        texts.into_iter().try_for_each(|(field, text)| {
            let checked = text.as_deref().map_or(Ok(()), |text| limits::check_text(field, text, limits::KEY_CHARS));
            checked.map_err(unfit)
        })
    }

    pub(super) fn chosen(&self) -> Chosen<'_> {
        Chosen { variant: self.variant.as_deref(), slot: self.slot.as_deref() }
    }
}

impl Footprint {
    /// What orders take besides units of their rewards: the stock of parts.
    pub(super) fn expect_parts<'a>(&mut self, program: &Program, commands: impl IntoIterator<Item = &'a Command>) {
        for command in commands {
            let at = command.at;
            let mut expect = |reward: &str, quantity: i64, chosen: Chosen<'_>| {
                let Some(reward) = program.reward_at(reward, at) else { return };
                for part in parts_of(program, reward, quantity, chosen, at) {
                    if !self.stock.contains(&part.key) {
                        self.stock.push(part.key);
                    }
                }
            };
            if let Action::Redeem(redemption) = &command.action {
                expect(&redemption.reward_id, redemption.quantity, redemption.choice.chosen());
            }
            let given = super::decide::activity_of(&command.action);
            given.into_iter().flat_map(|activity| activity.rewards()).for_each(|reward| {
                expect(reward, 1, Chosen::default());
            });
        }
    }
}

fn needed(problem: String) -> Refusal {
    Refusal::new(RefusalCode::ChoiceNeeded, problem)
}

fn unfit(problem: String) -> Refusal {
    Refusal::new(RefusalCode::InvalidRequest, problem)
}

impl Draft<'_> {
    /// Refuses an order that lacks what its reward asks for, or brings what it does not. Answers the slot of its appointment.
    pub(super) fn check_choice(&self, reward: &Reward, wanted: &Redemption) -> Result<Option<Slot>, Refusal> {
        let id = &reward.id;
        self.check_units_by_itself(reward, wanted.quantity)?;
        let Choice { variant, slot, delivery } = &wanted.choice;
        let variants = reward.variants();
        match variant {
            None if !variants.is_empty() => {
                return Err(needed(format!(
                    "`variant` must name one of {}",
                    names(variants.iter().map(|one| &one.id))
                )));
            }
            Some(named) if !variants.iter().any(|known| known.id == *named) => {
                return Err(unfit(match variants.is_empty() {
                    true => format!("`{id}` has no variants; leave out `variant`"),
                    false => format!("`variant` must be one of {}", names(variants.iter().map(|one| &one.id))),
                }));
            }
            _ => {}
        }
        let has_address = delivery.as_ref().is_some_and(|delivery| delivery.address);
        match (reward.needs_address(self.program, self.command.at), has_address) {
            (true, false) => {
                return Err(needed(format!("`{id}` is sent: give an `address`, or keep one in the profile")));
            }
            (false, true) => return Err(unfit(format!("`{id}` is not sent; leave out the address"))),
            _ => {}
        }
        let has_account = delivery.as_ref().is_some_and(|delivery| delivery.account);
        let asks_account = matches!(&reward.kind, Some(RewardKind::TopUp { account: Some(_) }));
        match (asks_account, has_account) {
            (true, false) => return Err(needed(format!("`account` must say which account of `{id}` gets the credit"))),
            (false, true) => return Err(unfit(format!("`{id}` asks for no account; leave out `account`"))),
            _ => {}
        }
        let Some(slot) = self.check_slot(reward, slot.as_deref())? else { return Ok(None) };
        check_after_group(&slot, wanted.group.as_ref().map(|group| group.ends_at))?;
        Ok(Some(slot))
    }

    /// Takes what an order needs besides units of its reward; when one is out, the whole order is refused.
    pub(super) fn take_parts(
        &mut self,
        parts: Vec<Part>,
        capture: bool,
        loaded: &Loaded,
    ) -> Result<Vec<StockTaken>, Refusal> {
        let limited = |part: &Part| Some(free(part, loaded)? < part.units);
        let is_out = |part: &&Part| limited(part) == Some(true) && !planted::is(Bug::BundlesInPart);
        if let Some(part) = parts.iter().find(is_out) {
            let left = free(part, loaded).unwrap_or_default().max(0);
            let problem = format!("{} of {} wanted, {left} left", part.units, part.name);
            return Err(Refusal::new(RefusalCode::OutOfStock, problem));
        }
        let mut taken = Vec::with_capacity(parts.len());
        for part in parts.into_iter().filter(|part| limited(part).is_some()) {
            let Part { key, units, opens_with, .. } = part;
            let one = match capture {
                true => StockChange { issued: 1, ..StockChange::default() },
                false => StockChange { reserved: 1, ..StockChange::default() },
            };
            // A slot that was made narrower has a wider row: the write must hold to what the program says now.
            let narrowed = opens_with.zip(loaded.stock.get(&key)).map(|(capacity, level)| level.all() - capacity);
            self.stock.push((key.clone(), one.times(units).leaving(narrowed.unwrap_or_default().max(0))));
            let is_new = opens_with.filter(|_| !loaded.stock.contains_key(&key));
            self.opened.extend(is_new.map(|capacity| (key.clone(), capacity)));
            taken.push(StockTaken { key, units });
        }
        Ok(taken)
    }

    /// Takes what an order needs besides units of its reward, as it was chosen.
    pub(super) fn take_contents(
        &mut self,
        reward: &Reward,
        wanted: &Redemption,
        loaded: &Loaded,
    ) -> Result<Vec<StockTaken>, Refusal> {
        let parts = parts_of(self.program, reward, wanted.quantity, wanted.choice.chosen(), self.command.at);
        self.take_parts(parts, wanted.capture, loaded)
    }

    /// Writes into a new order what it takes and what was chosen, so that it can be given back whatever is published since.
    pub(super) fn put_contents(
        &self,
        order: &mut Order,
        reward: &Reward,
        choice: &Choice,
        (taken, slot): (Vec<StockTaken>, Option<Slot>),
    ) {
        let at = self.command.at;
        put_taken(order, taken);
        let particulars = &mut order.details.particulars;
        particulars.parts = reward.order_parts(self.program, order.quantity, at);
        particulars.variant.clone_from(&choice.variant);
        particulars.delivery.clone_from(&choice.delivery);
        particulars.slots = slot.map(|slot| Booked::new(self.receipt.transaction_id, slot)).into_iter().collect();
        let benefits = reward.benefits(self.program, order.quantity, at).into_iter();
        particulars.benefits =
            benefits.map(|(reward, days)| Benefit { reward, days, from: None, until: None }).collect();
    }

    /// Lets privileges begin with the moment at which they are handed over.
    pub(super) fn begin_benefits(&self, order: &mut Order, to: Funds) {
        if to != Funds::Spent {
            return;
        }
        let (at, calendar) = (self.command.at, &self.program.calendar);
        let begin = |benefit: &mut Benefit| {
            let until = calendar.end_of_day_after(at, i32::try_from(benefit.days).unwrap_or(i32::MAX));
            (benefit.from, benefit.until) = (Some(at), Some(until));
        };
        order.details.particulars.benefits.iter_mut().filter(|benefit| benefit.from.is_none()).for_each(begin);
    }

    /// What a reward holds that a rule gives for nothing: there is stock for all of it. `capture`: it is handed out at once, as
    /// the reward itself is.
    pub(super) fn give_contents(&mut self, order: &mut Order, reward: Option<&Reward>, capture: bool, loaded: &Loaded) {
        let Some(reward) = reward else { return };
        let parts = parts_of(self.program, reward, order.quantity, Chosen::default(), self.command.at);
        let taken = self.take_parts(parts, capture, loaded).unwrap_or_default();
        self.put_contents(order, reward, &Choice::default(), (taken, None));
    }
}

/// Units of a part that can still be promised. `None`: there is no end of them.
fn free(part: &Part, loaded: &Loaded) -> Option<i64> {
    let level = loaded.stock.get(&part.key);
    match part.opens_with {
        Some(capacity) => Some(free_places(capacity, level)),
        None => level.map(StockLevel::free),
    }
}

/// Adds parts to what an order takes.
fn put_taken(order: &mut Order, taken: Vec<StockTaken>) {
    let stock = &mut order.details.particulars.stock;
    if !taken.is_empty() && stock.is_empty() {
        stock.push(StockTaken { key: order.reward_id.clone(), units: order.quantity });
    }
    stock.extend(taken);
}

fn names<'a>(ids: impl Iterator<Item = &'a String>) -> String {
    ids.map(String::as_str).collect::<Vec<_>>().join(", ")
}
