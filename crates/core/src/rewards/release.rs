//! How much of a reward's stock is for whom at a moment: pools, what is set aside, presale, and what is kept for those who went
//! away empty-handed. The kernel and whoever shows stock ask the same question here.

use std::collections::BTreeMap;
use std::fmt;

use jiff::ToSpan;
use jiff::civil::DateTime;

use super::scarcity::{Every, Pool, Presale, Restock, Scarcity};
use super::scarcity_check::audience_of;
use super::stock::stock_key;
use super::waiting::Room;
use super::{CompiledReward, Hidden, Reward, StockLevel, Viewer, parts_level, variant_key};
use crate::earning::Audience;
use crate::limits;
use crate::tiers::{Standing, month_number};
use crate::time::{Calendar, Timestamp};

pub(super) const HOUR_MS: i64 = 60 * 60 * 1000;

/// One version of how a reward is shared out, ready to be asked.
pub(super) struct CompiledScarcity {
    /// The audiences of its pools.
    audiences: Vec<Option<Audience>>,
    presale: Option<PresaleTime>,
    pub(super) room: Option<Room>,
}

/// When a presale is, and what decides who takes part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PresaleTime {
    /// When it begins.
    pub from: Timestamp,
    /// When everybody comes.
    pub to: Timestamp,
    /// The local months in which spending counts: the first and the last, since the year 0.
    pub months: (i32, i32),
    /// As written.
    pub presale: Presale,
}

impl PresaleTime {
    /// What a member spent in the months that count, in minor units of the program's money.
    pub fn spent(&self, standing: &Standing) -> i64 {
        standing.spend_between(self.months.0, self.months.1)
    }

    /// How much somebody must have spent to take part: as much as the last of the upper per cent of those who spent anything,
    /// counted up to whole members. Whoever spent the same takes part as well. `None`: nobody spent anything.
    pub fn threshold(&self, mut spent: Vec<i64>) -> Option<i64> {
        spent.retain(|spent| *spent > 0);
        let percent = usize::try_from(self.presale.top_percent).unwrap_or_default();
        let taking_part = spent.len().saturating_mul(percent).div_ceil(100);
        let last = taking_part.checked_sub(1)?;
        let (_, least, _) = spent.select_nth_unstable_by(last, |one, other| other.cmp(one));
        Some(*least)
    }
}

impl CompiledScarcity {
    pub(super) fn compile(reward: &Reward, from: Option<Timestamp>, calendar: &Calendar) -> Result<Self, String> {
        let Scarcity { pools, release, waiting_room, .. } = &reward.scarcity;
        let audiences = pools.iter().enumerate().map(|(index, pool)| audience_of(index, &pool.open_to));
        let presale = release.as_ref().and_then(|release| release.presale.as_ref()).zip(from);
        let presale = presale.map(|(presale, to)| {
            let from = to.plus_millis(-presale.hours.saturating_mul(HOUR_MS));
            let last = month_number(calendar.day_of(from)) - 1;
            let first = last - i32::try_from(presale.months).unwrap_or(limits::TIER_MONTHS) + 1;
            PresaleTime { from, to, months: (first, last), presale: presale.clone() }
        });
        let room = waiting_room.as_ref().map(|room| Room::compile(room, calendar));
        Ok(Self { audiences: audiences.collect::<Result<_, _>>()?, presale, room })
    }

    pub(super) fn audiences(&self) -> impl Iterator<Item = &Audience> {
        self.audiences.iter().flatten()
    }
}

/// The rights of somebody who orders, which other members' doings or refusals have given: whoever asks the kernel looks them
/// up and hands them in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rights {
    /// What somebody must have spent to take part in the presale of the reward; `None`: nobody takes part.
    pub presale: Option<i64>,
    /// Since when the member has gone away empty-handed often enough. Whether that was used up meanwhile, the account says.
    pub private: Option<Timestamp>,
    /// The member's place in the waiting room.
    pub ticket: Option<super::Ticket>,
}

/// Why a part of the stock is not for somebody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shut {
    /// It is for others, or elsewhere.
    For(Hidden),
    /// It is kept for those who went away empty-handed, until the moment that is said.
    Private(Option<Timestamp>),
    /// So many units are free, of which so many are set aside for members without early access, until then.
    SetAside {
        /// Free in all.
        free: i64,
        /// Set aside.
        kept: i64,
        /// Until when.
        until: Timestamp,
    },
    /// So many are left.
    Left(i64),
}

impl fmt::Display for Shut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::For(why) => write!(f, "{why}"),
            Self::Private(Some(until)) => {
                write!(f, "until {until} it is kept for members who found nothing left before")
            }
            Self::Private(None) => f.write_str("it is kept for members who found nothing left before"),
            Self::SetAside { free, kept, until } => {
                write!(f, "{free} left, of which {kept} are set aside until {until} for members without early access")
            }
            Self::Left(left) => write!(f, "{left} left"),
        }
    }
}

/// Units that somebody may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share {
    /// How many.
    pub units: i64,
    /// How many must stay.
    pub kept: i64,
}

/// What somebody may have of a reward.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Left {
    /// Units, of all parts that are open to them.
    pub units: i64,
    /// Units that there ever were in those.
    pub all: i64,
}

impl CompiledReward {
    /// What can be restocked: the keys of its stock, with the name by which a part of it is called, and the pool that it is.
    pub fn stock_parts(&self) -> Vec<(String, Option<String>, Option<&Pool>)> {
        let own = self.stock_keys().map(|(key, pool)| (key, pool.map(|pool| pool.id.clone()), pool));
        let stocked = self.reward.variants().iter().filter(|variant| variant.stock.is_some());
        let variants = stocked
            .map(|variant| (variant_key(&self.reward.id, &variant.id), Some(format!("variant:{}", variant.id)), None));
        own.chain(variants).collect()
    }

    /// The keys of its stock, with the pools that they are of.
    pub fn stock_keys(&self) -> impl Iterator<Item = (String, Option<&Pool>)> {
        let pools = &self.reward.scarcity.pools;
        let whole = pools.is_empty().then(|| (stock_key(&self.reward.id, None), None));
        whole.into_iter().chain(pools.iter().map(|pool| (stock_key(&self.reward.id, Some(&pool.id)), Some(pool))))
    }

    /// When its presale is.
    pub fn presale(&self) -> Option<&PresaleTime> {
        self.scarcity.presale.as_ref()
    }

    /// Its waiting room.
    pub fn waiting_room(&self) -> Option<&Room> {
        self.scarcity.room.as_ref()
    }

    /// The units that come in by themselves after `since`, up to `until`, by moment and pool.
    pub fn restocks(
        &self,
        calendar: &Calendar,
        since: Timestamp,
        until: Timestamp,
    ) -> BTreeMap<(Timestamp, Option<String>), i64> {
        let mut due = BTreeMap::new();
        for restock in &self.reward.scarcity.restock {
            for moment in moments(restock, calendar, since, until) {
                let quantity: &mut i64 = due.entry((moment, restock.pool.clone())).or_default();
                *quantity = quantity.saturating_add(restock.quantity);
            }
        }
        due
    }

    /// When units come in by themselves next after `now`.
    pub fn next_restock(&self, calendar: &Calendar, pool: Option<&str>, now: Timestamp) -> Option<(Timestamp, i64)> {
        let far = now.plus_millis(400 * 24 * HOUR_MS);
        let own = self.reward.scarcity.restock.iter().filter(|restock| restock.pool.as_deref() == pool);
        let next = |restock: &Restock| Some((*moments(restock, calendar, now, far).first()?, restock.quantity));
        own.filter_map(next).min()
    }
}

/// The moments of a restock after `since`, up to `until`; at most [`limits::RESTOCK_MOMENTS`] of them.
fn moments(restock: &Restock, calendar: &Calendar, since: Timestamp, until: Timestamp) -> Vec<Timestamp> {
    let first = calendar.instant_of(restock.at);
    let Some(every) = restock.every else {
        return if first > since && first <= until { vec![first] } else { Vec::new() };
    };
    let end = restock.until.map_or(Timestamp::NEVER, |end| calendar.instant_of(end));
    let days = since.as_millis().saturating_sub(first.as_millis()).div_euclid(24 * HOUR_MS);
    // Some before the first that counts: months and days differ in length.
    let begin = match every {
        Every::Day => days - 2,
        Every::Week => days / 7 - 2,
        Every::Month => days / 31 - 2,
    };
    let mut found = Vec::new();
    for count in begin.max(0).. {
        let Some(at) = later(restock.at, every, count) else { break };
        let at = calendar.instant_of(at);
        if at > until || at >= end || found.len() >= limits::RESTOCK_MOMENTS {
            break;
        }
        if at > since {
            found.push(at);
        }
    }
    found
}

/// So many days, weeks or months later at the same local time, counted from the first, so that the 31st comes back.
fn later(first: DateTime, every: Every, count: i64) -> Option<DateTime> {
    let span = match every {
        Every::Day => 0.days().try_days(count),
        Every::Week => 0.days().try_weeks(count),
        Every::Month => 0.days().try_months(count),
    };
    first.checked_add(span.ok()?).ok()
}

impl Viewer<'_> {
    /// How many hours before everybody a reward is there for the viewer.
    pub(super) fn early_hours(&self, offered: &CompiledReward) -> i64 {
        let by_tier = self.benefits().map_or(0, |benefits| i64::from(benefits.early_access_hours));
        let Some(release) = &offered.reward.scarcity.release else { return by_tier };
        let named = release.early.iter().filter(|one| self.has_reached(&one.tier)).map(|one| one.hours);
        let presale = offered.presale().filter(|presale| self.takes_part(&offered.reward.id, presale));
        named.chain(presale.map(|presale| presale.presale.hours)).fold(by_tier, i64::max)
    }

    /// Whether the viewer is among those who spent most.
    fn takes_part(&self, reward: &str, presale: &PresaleTime) -> bool {
        let least = self.thresholds.and_then(|thresholds| thresholds.get(reward));
        self.account.zip(least).is_some_and(|(account, least)| {
            let spent = presale.spent(&account.standing);
            spent > 0 && spent >= *least
        })
    }

    /// The units of a part of a reward's stock that the viewer may have; `private`: whether the viewer went away empty-handed
    /// often enough.
    pub fn share(
        &self,
        offered: &CompiledReward,
        pool: Option<&Pool>,
        level: &StockLevel,
        private: Option<Timestamp>,
    ) -> Result<Share, Shut> {
        if let Some((pool, audience)) = pool.map(|pool| (pool, offered.audience_of(pool))) {
            self.fits(&pool.open_to, audience, offered.reward.currency).map_err(Shut::For)?;
        }
        // Only what came in since: nobody earns a right to what is there by asking for it.
        let private = private.filter(|since| self.has_right(&offered.reward.id, *since));
        let is_first = private.is_some_and(|since| level.restocked_at.is_none_or(|at| since <= at));
        if !is_first {
            self.check_private(offered, pool, level)?;
        }
        let free = level.free();
        match self.set_aside(offered, pool, level) {
            Some((kept, until)) if free > 0 && free <= kept => Err(Shut::SetAside { free, kept, until }),
            set_aside => {
                let kept = set_aside.map_or(0, |(kept, _)| kept);
                Ok(Share { units: (free - kept).max(0), kept })
            }
        }
    }

    /// What the viewer may have of a reward, by the levels of its stock; `None`: there is no limit.
    pub fn left(
        &self,
        offered: &CompiledReward,
        stock: &BTreeMap<String, StockLevel>,
        private: Option<Timestamp>,
    ) -> Option<Left> {
        let parts = parts_level(&offered.reward, stock).map(|level| Left { units: level.free(), all: level.all() });
        let own = self.own_left(offered, stock, private);
        own.into_iter().chain(parts).min_by_key(|left| left.units)
    }

    /// The same of its own units.
    fn own_left(
        &self,
        offered: &CompiledReward,
        stock: &BTreeMap<String, StockLevel>,
        private: Option<Timestamp>,
    ) -> Option<Left> {
        let mut left = Left { units: 0, all: 0 };
        for (key, pool) in offered.stock_keys() {
            let Some(level) = stock.get(&key) else {
                match pool {
                    None => return None,
                    Some(_) => continue,
                }
            };
            if let Ok(share) = self.share(offered, pool, level, private) {
                left.units = left.units.saturating_add(share.units);
                left.all = left.all.saturating_add(level.all());
            }
        }
        Some(left)
    }

    /// Whether the right to what is kept of a reward, which the viewer got at `since`, can still be used: it was not, and the
    /// account has room to note that it is.
    pub fn has_right(&self, reward: &str, since: Timestamp) -> bool {
        self.account.is_none_or(|account| account.history.can_use_right(reward, since, self.at))
    }

    /// Refuses what is kept for those who went away empty-handed.
    fn check_private(&self, offered: &CompiledReward, pool: Option<&Pool>, level: &StockLevel) -> Result<(), Shut> {
        let Some(window) = &offered.reward.scarcity.private_window else { return Ok(()) };
        let until = level.restocked_at.map(|at| at.plus_millis(window.hours.saturating_mul(HOUR_MS)));
        match (&window.pool, pool) {
            (Some(kept), Some(pool)) if *kept == pool.id => match until {
                Some(until) if self.at >= until => Ok(()),
                until => Err(Shut::Private(until)),
            },
            (Some(_), _) => Ok(()),
            (None, _) => match until {
                Some(until) if self.at < until => Err(Shut::Private(Some(until))),
                _ => Ok(()),
            },
        }
    }

    /// Units that the viewer leaves for members without early access, and until when. None are set aside in a pool that is
    /// not for everybody.
    fn set_aside(&self, offered: &CompiledReward, pool: Option<&Pool>, level: &StockLevel) -> Option<(i64, Timestamp)> {
        let release = offered.reward.scarcity.release.as_ref().filter(|release| release.set_aside > 0)?;
        let for_some = pool.is_some_and(|pool| !pool.open_to.tiers.is_empty() || pool.open_to.audience.is_some());
        let everybody = offered.listed_from()?;
        let until = everybody.plus_millis(release.regular_hours.saturating_mul(HOUR_MS));
        let is_early = self.at < everybody || self.at < until && self.early_hours(offered) > 0;
        if for_some || !is_early {
            return None;
        }
        // Rounded up to whole units, in favour of those who come later.
        let kept = i128::from(level.all().max(0)) * i128::from(release.set_aside);
        Some((i64::try_from((kept + 99) / 100).unwrap_or(i64::MAX), until))
    }
}

impl CompiledReward {
    fn audience_of(&self, pool: &Pool) -> Option<&Audience> {
        let index = self.reward.scarcity.pools.iter().position(|known| known.id == pool.id)?;
        self.scarcity.audiences.get(index)?.as_ref()
    }

    /// The audiences of its pools.
    pub(crate) fn pool_audiences(&self) -> impl Iterator<Item = &Audience> {
        self.scarcity.audiences()
    }
}
