//! What an order of a reward takes besides units of the reward itself: of a variant, of a slot, of what a bundle holds.

use std::collections::BTreeMap;

use super::{Appointments, Content, Reward, RewardKind, Scarcity, Slot, StockLevel, Variant, slot_key, stock_key};
use crate::limits;
use crate::program::Program;
use crate::redemption::{OrderPart, PartWay};
use crate::time::Timestamp;

/// What is chosen of a reward.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Chosen<'a> {
    /// The variant of a thing.
    pub variant: Option<&'a str>,
    /// The slot of a service.
    pub slot: Option<&'a str>,
}

/// Units that are taken under a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// The [`stock_key`].
    pub key: String,
    /// How many.
    pub units: i64,
    /// Of what, for people: `cup`, `cup in blue`.
    pub name: String,
    /// How many there are of it until the first order comes: of slots, which are too many to be counted before. `None`: as the
    /// stock says, and no end of it where it says nothing.
    pub opens_with: Option<i64>,
}

/// Under which key the units of a variant are counted.
pub fn variant_key(reward_id: &str, variant: &str) -> String {
    stock_key(reward_id, Some(&format!("variant:{variant}")))
}

/// What `quantity` of a reward take besides as many units of the reward itself. What was chosen and is not there takes
/// nothing: whether it is there is asked elsewhere.
pub fn parts_of(program: &Program, reward: &Reward, quantity: i64, chosen: Chosen<'_>, at: Timestamp) -> Vec<Part> {
    let variant = chosen.variant.and_then(|id| variant_part(reward, id, quantity));
    let slot = chosen.slot.and_then(|id| reward.appointments()?.slot(&program.calendar, id));
    let slot = slot.map(|slot| slot_part(&reward.id, &slot, quantity));
    let mut parts: Vec<Part> = variant.into_iter().chain(slot).collect();
    for content in reward.kind.as_ref().map_or(&[][..], RewardKind::contents) {
        let units = quantity.saturating_mul(content.quantity);
        let (key, name) = (content.reward.clone(), content.reward.clone());
        parts.push(Part { key, units, name, opens_with: None });
        let variant = content.variant.as_deref();
        parts.extend(variant.and_then(|id| variant_part(program.reward_at(&content.reward, at)?, id, units)));
    }
    parts
}

fn variant_part(reward: &Reward, id: &str, units: i64) -> Option<Part> {
    let variant = reward.variants().iter().find(|variant| variant.id == id && variant.stock.is_some())?;
    let name = format!("{} in {}", reward.id, variant.id);
    Some(Part { key: variant_key(&reward.id, id), units, name, opens_with: None })
}

/// What an order takes of a slot.
pub fn slot_part(reward_id: &str, slot: &Slot, units: i64) -> Part {
    let (key, name) = (slot_key(reward_id, &slot.id), format!("{reward_id} at {}", slot.id));
    Part { key, units, name, opens_with: Some(slot.capacity) }
}

/// What a reward says of its stock, as members are told: of what it takes for one unit that which there is least of. Of
/// variants with stock of their own, all together. `None`: there is no end of it.
pub fn level_of(reward: &Reward, stock: &BTreeMap<String, StockLevel>) -> Option<StockLevel> {
    let own = own_keys(reward).filter_map(|key| stock.get(&key).copied()).reduce(|sum, level| sum.and(&level));
    own.into_iter().chain(parts_level(reward, stock)).min_by_key(StockLevel::free)
}

/// The same of what it takes besides units of its own.
pub(crate) fn parts_level(reward: &Reward, stock: &BTreeMap<String, StockLevel>) -> Option<StockLevel> {
    let contents = reward.kind.as_ref().map_or(&[][..], RewardKind::contents);
    let parts = contents.iter().flat_map(|content| {
        let in_variant = content.variant.as_deref().map(|id| variant_key(&content.reward, id));
        let keys = [Some(content.reward.clone()), in_variant].into_iter().flatten();
        keys.filter_map(|key| Some(stock.get(&key)?.per(content.quantity)))
    });
    let variants = reward.variants();
    let counted = variants.iter().map(|variant| variant.stock.and(stock.get(&variant_key(&reward.id, &variant.id))));
    let counted: Option<Vec<&StockLevel>> = counted.collect();
    let together = counted
        .filter(|levels| !levels.is_empty())
        .map(|levels| levels.into_iter().fold(StockLevel::default(), |sum, level| sum.and(level)));
    parts.chain(together).min_by_key(StockLevel::free)
}

/// The keys of its own units: one, or one for each of its pools.
fn own_keys(reward: &Reward) -> impl Iterator<Item = String> {
    let pools = &reward.scarcity.pools;
    let whole = pools.is_empty().then(|| reward.id.clone());
    whole.into_iter().chain(pools.iter().map(|pool| stock_key(&reward.id, Some(&pool.id))))
}

/// The keys of all that [`level_of`] looks at.
pub fn keys_of(reward: &Reward) -> Vec<String> {
    let of_variants = reward.variants().iter().map(|variant| variant_key(&reward.id, &variant.id));
    let contents = reward.kind.as_ref().map_or(&[][..], RewardKind::contents);
    let parts = contents.iter().flat_map(|content| {
        let in_variant = content.variant.as_deref().map(|id| variant_key(&content.reward, id));
        [Some(content.reward.clone()), in_variant].into_iter().flatten()
    });
    own_keys(reward).chain(of_variants).chain(parts).collect()
}

impl Reward {
    /// Whether nobody comes before another: what is given beside its own orders must leave nothing for anyone.
    pub(crate) fn check_is_for_anybody(&self) -> Result<(), String> {
        let Scarcity { release, private_window, waiting_room, .. } = &self.scarcity;
        let says = [
            ("set_aside", release.as_ref().is_some_and(|release| release.set_aside > 0)),
            ("private_window", private_window.is_some()),
            ("waiting_room", waiting_room.is_some()),
        ];
        match says.into_iter().find(|(_, is_said)| *is_said) {
            Some((field, _)) => Err(format!("`{}` has a `{field}`", self.id)),
            None => Ok(()),
        }
    }

    /// Whether a rule may give it, which chooses nothing and knows no address. `known` finds what a bundle holds.
    pub(crate) fn check_may_be_given<'r>(&self, known: impl Fn(&str) -> Option<&'r Self>) -> Result<(), String> {
        let id = &self.id;
        if !self.scarcity.pools.is_empty() {
            return Err(format!("the stock of `{id}` is in pools, and a rule does not say which"));
        }
        self.check_is_for_anybody().map_err(|problem| format!("{problem}, which a rule would pass by"))?;
        if matches!(&self.kind, Some(RewardKind::Physical { variants, .. }) if variants.iter().any(|one| one.stock.is_some()))
        {
            return Err(format!("variants of `{id}` have stock of their own, and a rule does not say which"));
        }
        self.check_needs_nothing()?;
        let contents = self.kind.as_ref().map_or(&[][..], RewardKind::contents).iter();
        contents.filter_map(|content| known(&content.reward)).try_for_each(|part| {
            // A bundle says which variant.
            part.check_needs_nothing().map_err(|problem| format!("`{id}` is a bundle, and of what it holds {problem}"))
        })
    }

    /// Refuses what cannot be given to somebody who has only earned it.
    fn check_needs_nothing(&self) -> Result<(), String> {
        let id = &self.id;
        match &self.kind {
            Some(RewardKind::Physical { needs_address: true, .. }) => {
                Err(format!("`{id}` is sent to an address, which a rule does not know"))
            }
            Some(RewardKind::Service { appointments: Some(_) }) => {
                Err(format!("`{id}` is had by appointment, which a rule does not make"))
            }
            Some(RewardKind::TopUp { account: Some(_) }) => {
                Err(format!("`{id}` asks for an account, which a rule does not know"))
            }
            _ => Ok(()),
        }
    }

    /// What there is to choose between; of what is no thing nothing.
    pub fn variants(&self) -> &[Variant] {
        match &self.kind {
            Some(RewardKind::Physical { variants, .. }) => variants,
            _ => &[],
        }
    }

    /// When it can be had, where that is to be chosen.
    pub fn appointments(&self) -> Option<&Appointments> {
        match &self.kind {
            Some(RewardKind::Service { appointments }) => appointments.as_ref(),
            _ => None,
        }
    }

    /// The stock that it begins with: its own or that of its pools, and that of its variants.
    pub fn first_stock(&self) -> Vec<(String, i64)> {
        let own = self.stock.map(|stock| (self.id.clone(), stock));
        let of_variant = |variant: &Variant| Some((variant_key(&self.id, &variant.id), variant.stock?));
        let pools = self.scarcity.pools.iter().map(|pool| (stock_key(&self.id, Some(&pool.id)), pool.stock));
        own.into_iter().chain(pools).chain(self.variants().iter().filter_map(of_variant)).collect()
    }

    /// Whether an order for it, or for a part of it, asks for an address to which it is sent.
    pub fn needs_address(&self, program: &Program, at: Timestamp) -> bool {
        match &self.kind {
            Some(RewardKind::Physical { needs_address, .. }) => *needs_address,
            Some(RewardKind::Bundle { contents }) => contents.iter().any(|content| {
                let kind = program.reward_at(&content.reward, at).and_then(|part| part.kind.as_ref());
                matches!(kind, Some(RewardKind::Physical { needs_address: true, .. }))
            }),
            _ => false,
        }
    }

    /// What an order for `quantity` of it is made of, where it is a bundle of which the program itself hands some out. Empty: it
    /// does not; what is picked up at a store is handed out there with all that it holds.
    pub fn order_parts(&self, program: &Program, quantity: i64, at: Timestamp) -> Vec<OrderPart> {
        let units = self.units_by_itself(program, at).saturating_mul(quantity);
        if !(1..=limits::ORDER_QUANTITY).contains(&units) {
            return Vec::new();
        }
        let contents = self.kind.as_ref().map_or(&[][..], RewardKind::contents);
        let part = |content: &Content| {
            let part = program.reward_at(&content.reward, at);
            let way = match part.and_then(|part| part.fulfilment.as_ref()) {
                Some(fulfilment) => PartWay::Program { fulfilment: fulfilment.clone() },
                None => match part.and_then(|part| part.kind.as_ref()) {
                    Some(RewardKind::Privilege { .. } | RewardKind::Trial { .. }) => PartWay::Granted {},
                    _ => PartWay::People {},
                },
            };
            let quantity = quantity.saturating_mul(content.quantity);
            OrderPart { reward: content.reward.clone(), quantity, variant: content.variant.clone(), way }
        };
        contents.iter().map(part).collect()
    }

    /// How many units of what one of it holds the program itself hands out.
    pub(crate) fn units_by_itself(&self, program: &Program, at: Timestamp) -> i64 {
        if self.pickup || self.fulfilment.is_some() {
            return 0;
        }
        let contents = self.kind.as_ref().map_or(&[][..], RewardKind::contents).iter();
        let by_itself =
            |content: &&Content| program.reward_at(&content.reward, at).is_some_and(|part| part.fulfilment.is_some());
        contents.filter(by_itself).fold(0, |sum, content| content.quantity.saturating_add(sum))
    }

    /// The privileges and trials that come with `quantity` of it: the reward, and for how many days. More than one of the same last longer.
    pub fn benefits(&self, program: &Program, quantity: i64, at: Timestamp) -> Vec<(String, i64)> {
        let days = |reward: &Self, quantity: i64| match &reward.kind {
            Some(RewardKind::Privilege { days } | RewardKind::Trial { days }) => {
                Some((reward.id.clone(), days.saturating_mul(quantity).min(crate::limits::REWARD_DAYS)))
            }
            _ => None,
        };
        let contents = self.kind.as_ref().map_or(&[][..], RewardKind::contents);
        let of_parts = contents.iter().filter_map(|content| {
            days(program.reward_at(&content.reward, at)?, quantity.saturating_mul(content.quantity))
        });
        days(self, quantity).into_iter().chain(of_parts).collect()
    }
}
