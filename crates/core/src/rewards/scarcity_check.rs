//! What publication asks of how a reward is shared out. The messages name the field.

use super::catalogue::{Named, check_visible_to};
use super::scarcity::{Pool, Presale, PrivateWindow, Release, Restock, Scarcity, WaitingRoom};
use super::{Reward, VisibleTo};
use crate::earning::Audience;
use crate::limits;

impl Scarcity {
    /// Checks every field of a reward's sharing out.
    pub(crate) fn validate(&self, reward: &Reward) -> Result<(), String> {
        self.check_pools(reward)?;
        count("scarcity.restock", self.restock.len(), limits::RESTOCKS)?;
        self.restock.iter().enumerate().try_for_each(|(index, restock)| self.check_restock(index, restock, reward))?;
        if let Some(release) = &self.release {
            self.check_release(release, reward)?;
        }
        if let Some(window) = &self.private_window {
            self.check_private_window(window, reward)?;
        }
        self.waiting_room.as_ref().map_or(Ok(()), check_waiting_room)
    }

    /// Whether there is stock to share out.
    fn is_limited(&self, reward: &Reward) -> bool {
        reward.stock.is_some() || !self.pools.is_empty()
    }

    fn check_limited(&self, field: &str, reward: &Reward) -> Result<(), String> {
        match self.is_limited(reward) {
            true => Ok(()),
            false => Err(format!("`{field}`: the reward is unlimited; say its `stock` or `scarcity.pools`")),
        }
    }

    fn check_pools(&self, reward: &Reward) -> Result<(), String> {
        count("scarcity.pools", self.pools.len(), limits::POOLS)?;
        if !self.pools.is_empty() && reward.stock.is_some() {
            return Err("`stock` is the sum of `scarcity.pools`; leave it out".to_owned());
        }
        for (index, Pool { id, stock, open_to }) in self.pools.iter().enumerate() {
            let field = format!("scarcity.pools[{index}]");
            limits::check_text(&format!("{field}.id"), id, limits::POOL_CHARS)?;
            if !id.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-') {
                return Err(format!("`{field}.id` must be of lower-case letters, digits and hyphens, not `{id}`"));
            }
            if self.pools.iter().take(index).any(|other| other.id == *id) {
                return Err(format!("`scarcity.pools`: `{id}` is there twice"));
            }
            within(&format!("{field}.stock"), *stock, [0, limits::AMOUNT])?;
            check_visible_to(&format!("{field}.open_to"), open_to)?;
        }
        Ok(())
    }

    fn check_pool(&self, field: &str, pool: Option<&str>) -> Result<(), String> {
        match pool {
            Some(id) if self.pool(id).is_none() => Err(format!("`{field}`: the reward has no pool `{id}`")),
            None if !self.pools.is_empty() => Err(format!("`{field}` is missing: say which pool")),
            _ => Ok(()),
        }
    }

    fn check_restock(&self, index: usize, restock: &Restock, reward: &Reward) -> Result<(), String> {
        let field = |name: &str| format!("scarcity.restock[{index}].{name}");
        self.check_limited(&format!("scarcity.restock[{index}]"), reward)?;
        within(&field("quantity"), restock.quantity, [1, limits::AMOUNT])?;
        self.check_pool(&field("pool"), restock.pool.as_deref())?;
        match (restock.every, restock.until) {
            (None, Some(_)) => Err(format!("`{}` is for what recurs; say `every`, or leave it out", field("until"))),
            (_, Some(until)) if until <= restock.at => {
                Err(format!("`{}` {until} must be later than `{}` {}", field("until"), field("at"), restock.at))
            }
            _ => Ok(()),
        }
    }

    fn check_release(&self, release: &Release, reward: &Reward) -> Result<(), String> {
        let Release { early, set_aside, regular_hours, presale } = release;
        if reward.catalogue.listed.from.is_none() {
            return Err(
                "`scarcity.release` is before everybody comes; say when that is, in `catalogue.listed.from`".into()
            );
        }
        count("scarcity.release.early", early.len(), limits::TIERS)?;
        for (index, one) in early.iter().enumerate() {
            within(&format!("scarcity.release.early[{index}].hours"), one.hours, [1, limits::EARLY_HOURS])?;
            if early.iter().take(index).any(|other| other.tier == one.tier) {
                return Err(format!("`scarcity.release.early`: `{}` is there twice", one.tier));
            }
        }
        within("scarcity.release.set_aside", *set_aside, [0, 100])?;
        within("scarcity.release.regular_hours", *regular_hours, [0, limits::EARLY_HOURS])?;
        if *set_aside > 0 {
            self.check_limited("scarcity.release.set_aside", reward)?;
        }
        if *regular_hours > 0 && *set_aside == 0 {
            return Err(
                "`scarcity.release.regular_hours`: nothing is set aside; say `set_aside`, or leave it out".into()
            );
        }
        presale.as_ref().map_or(Ok(()), |Presale { top_percent, hours, months }| {
            within("scarcity.release.presale.top_percent", *top_percent, [1, 100])?;
            within("scarcity.release.presale.hours", *hours, [1, limits::EARLY_HOURS])?;
            within("scarcity.release.presale.months", *months, [1, i64::from(limits::TIER_MONTHS) - 1])
        })
    }

    fn check_private_window(&self, window: &PrivateWindow, reward: &Reward) -> Result<(), String> {
        let PrivateWindow { after_tries, within_hours, hours, pool } = window;
        self.check_limited("scarcity.private_window", reward)?;
        within("scarcity.private_window.after_tries", *after_tries, [1, limits::TRIES])?;
        within("scarcity.private_window.within_hours", *within_hours, [1, limits::EARLY_HOURS])?;
        within("scarcity.private_window.hours", *hours, [1, limits::EARLY_HOURS])?;
        match pool {
            Some(id) if self.pool(id).is_none() => {
                Err(format!("`scarcity.private_window.pool`: the reward has no pool `{id}`"))
            }
            _ => Ok(()),
        }
    }

    /// Checks that the tiers it names are there.
    pub(crate) fn check_named(&self, named: &Named<'_>) -> Result<(), String> {
        for (index, pool) in self.pools.iter().enumerate() {
            named.check_visible_to(&format!("scarcity.pools[{index}].open_to"), &pool.open_to)?;
        }
        let Some(release) = &self.release else { return Ok(()) };
        if let Some(unknown) = release.early.iter().find(|one| !named.tiers.contains(&one.tier.as_str())) {
            return Err(format!("`scarcity.release.early`: there is no tier `{}`", unknown.tier));
        }
        if release.presale.is_some() && named.tiers.is_empty() {
            return Err(
                "`scarcity.release.presale`: what members spend is counted for tiers, and there are none".into()
            );
        }
        Ok(())
    }
}

fn check_waiting_room(room: &WaitingRoom) -> Result<(), String> {
    let field = |name: &str| format!("scarcity.waiting_room.{name}");
    within(&field("admit_per_second"), room.admit_per_second, [1, limits::ADMITTED_PER_SECOND])?;
    within(&field("queue_minutes"), room.queue_minutes, [0, 24 * 60])?;
    within(&field("admitted_minutes"), room.admitted_minutes, [1, 24 * 60])?;
    within(&field("difficulty"), i64::from(room.difficulty), [0, i64::from(limits::PUZZLE_BITS)])?;
    match room.to {
        Some(to) if to <= room.from => {
            Err(format!("`{}` {to} must be later than `{}` {}", field("to"), field("from"), room.from))
        }
        _ => Ok(()),
    }
}

/// For whom a pool is, compiled.
pub(super) fn audience_of(index: usize, open_to: &VisibleTo) -> Result<Option<Audience>, String> {
    let field = format!("scarcity.pools[{index}].open_to.audience");
    open_to.audience.as_deref().map(|text| Audience::compile(&field, text)).transpose()
}

fn within(field: &str, value: i64, [from, to]: [i64; 2]) -> Result<(), String> {
    match (from..=to).contains(&value) {
        true => Ok(()),
        false => Err(format!("`{field}` must be {from} to {to}, not {value}")),
    }
}

fn count(field: &str, count: usize, most: usize) -> Result<(), String> {
    match count <= most {
        true => Ok(()),
        false => Err(format!("`{field}` has {count} entries; at most {most} are allowed")),
    }
}
