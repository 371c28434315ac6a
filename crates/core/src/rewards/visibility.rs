//! Whether an account may see and order a reward: at this moment, in this store, through this channel. The catalogue and the
//! kernel ask the same question here.

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::release::{CompiledScarcity, HOUR_MS};
use super::{Occasion, Reward, VisibleTo, Zone};
use crate::earning::{Audience, Onlooker};
use crate::ledger::{Account, CurrencyId};
use crate::limits;
use crate::program::Program;
use crate::tiers::{Benefits, CompiledTier};
use crate::time::{Calendar, Timestamp};

/// Where somebody stands who looks or orders.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// Store, branch or device.
    pub store: Option<String>,
    /// `pos`, `app`, `web`, or any other word of the operator's.
    pub channel: Option<String>,
}

impl Place {
    /// Checks the lengths; the message names the field.
    pub fn validate(&self) -> Result<(), String> {
        let check = |field: &str, text: &Option<String>| {
            text.as_deref().map_or(Ok(()), |text| limits::check_text(field, text, limits::KEY_CHARS))
        };
        check("store", &self.store)?;
        check("channel", &self.channel)
    }
}

/// One version of a reward, ready to be offered.
pub struct CompiledReward {
    /// As written.
    pub reward: Reward,
    /// For whom it is.
    audience: Option<Audience>,
    /// How it is shared out.
    pub(super) scarcity: CompiledScarcity,
    /// From when on it is listed.
    from: Option<Timestamp>,
    /// Until when.
    to: Option<Timestamp>,
    /// Whether it is for everybody, everywhere and at all times, as most are: then nothing else is looked at.
    unrestricted: bool,
    /// Since when there is a reward of this id, or since when it is listed: what is newer comes first, and of two that came
    /// together the one that stands later in the program.
    pub newness: (Timestamp, i64),
}

impl CompiledReward {
    /// Compiles one version; the message quotes what is wrong. `since`: from when on the first version holds.
    pub fn compile(reward: Reward, calendar: &Calendar, since: Timestamp, position: i64) -> Result<Self, String> {
        let catalogue = &reward.catalogue;
        let audience = catalogue.visible_to.audience.as_deref();
        let audience = audience.map(|text| Audience::compile("catalogue.visible_to.audience", text)).transpose()?;
        let [from, to] =
            [catalogue.listed.from, catalogue.listed.to].map(|local| local.map(|local| calendar.instant_of(local)));
        let unrestricted = from.is_none()
            && to.is_none()
            && catalogue.zone == Zone::Base
            && catalogue.visible_to == VisibleTo::default();
        let scarcity = CompiledScarcity::compile(&reward, from, calendar)?;
        Ok(Self { audience, scarcity, from, to, unrestricted, newness: (from.unwrap_or(since), position), reward })
    }

    /// Whether it is for everybody, everywhere and at all times.
    pub(crate) fn is_unrestricted(&self) -> bool {
        self.unrestricted
    }

    /// What it and its pools ask of accounts.
    pub fn audiences(&self) -> impl Iterator<Item = &Audience> {
        self.audience.iter().chain(self.pool_audiences())
    }

    /// From when on it is listed; `None`: from the beginning.
    pub fn listed_from(&self) -> Option<Timestamp> {
        self.from
    }

    /// Until when it is listed; `None`: for ever.
    pub fn listed_to(&self) -> Option<Timestamp> {
        self.to
    }

    /// Whether it is listed at a moment, to those without early access.
    pub fn is_listed(&self, at: Timestamp) -> bool {
        self.from.is_none_or(|from| from <= at) && self.to.is_none_or(|to| at < to)
    }
}

impl fmt::Debug for CompiledReward {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "reward {}", self.reward.id)
    }
}

/// Why a reward is not offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hidden {
    /// It is listed later.
    NotYet(Timestamp),
    /// It was delisted.
    Over(Timestamp),
    /// The member's tier does not open its zone.
    Zone(Zone),
    /// It is for other tiers.
    Tier,
    /// It is for other members.
    Audience,
    /// It is offered in other stores.
    Store,
    /// It is offered through other channels.
    Channel,
}

impl fmt::Display for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotYet(from) => write!(f, "it is offered from {from} on"),
            Self::Over(to) => write!(f, "it was offered until {to}"),
            Self::Zone(zone) => write!(f, "the member's tier does not open the zone `{}`", zone.name()),
            Self::Tier => f.write_str("it is for members of other tiers"),
            Self::Audience => f.write_str("it is for other members"),
            Self::Store => f.write_str("it is offered in certain stores only; name the order's `store`"),
            Self::Channel => f.write_str("it is offered through certain channels only; name the order's `channel`"),
        }
    }
}

/// Who looks, where and when.
pub struct Viewer<'a> {
    program: &'a Program,
    pub(super) account: Option<&'a Account>,
    place: &'a Place,
    pub(super) at: Timestamp,
    tier: Option<Arc<CompiledTier>>,
    /// What must have been spent to take part in presales, by reward.
    pub(super) thresholds: Option<&'a BTreeMap<String, i64>>,
    onlooker: OnceCell<Onlooker<'a>>,
}

impl<'a> Viewer<'a> {
    /// Somebody with an account, or anybody: they see what everybody may.
    pub fn new(program: &'a Program, account: Option<&'a Account>, place: &'a Place, at: Timestamp) -> Self {
        let tiers = program.tiers.at(at);
        let tier = account.and_then(|account| tiers.level_of(&account.standing)).cloned();
        Self { program, account, place, at, tier, thresholds: None, onlooker: OnceCell::new() }
    }

    /// Somebody of whom nothing is known but the tier; `None`: none.
    pub fn of_tier(program: &'a Program, tier: Option<&str>, place: &'a Place, at: Timestamp) -> Self {
        let levels = program.tiers.at(at).levels();
        let tier = levels.iter().find(|level| Some(level.tier.id.as_str()) == tier).cloned();
        Self { tier, ..Self::new(program, None, place, at) }
    }

    /// The same viewer, who takes part in presales from these figures on: money spent, in minor units, by reward.
    pub fn with_presale(self, thresholds: &'a BTreeMap<String, i64>) -> Self {
        Self { thresholds: Some(thresholds), ..self }
    }

    pub(super) fn benefits(&self) -> Option<&Benefits> {
        self.tier.as_ref().map(|tier| &tier.tier.benefits)
    }

    /// Whether the viewer's tier is this one or one above it.
    pub(super) fn has_reached(&self, tier: &str) -> bool {
        let levels = self.program.tiers.at(self.at).levels();
        let named = levels.iter().find(|level| level.tier.id == tier);
        named.zip(self.tier.as_ref()).is_some_and(|(named, own)| own.tier.rank >= named.tier.rank)
    }

    /// Points of a currency that can be spent.
    pub fn spendable(&self, currency: CurrencyId) -> i64 {
        let wallet = self.account.and_then(|account| account.wallet(currency));
        wallet.map_or(0, |wallet| wallet.spendable(self.at))
    }

    /// Points for a unit of a reward, as the viewer's tier pays them when demand changes nothing.
    pub fn price_of(&self, reward: &Reward) -> i64 {
        let tier = self.tier.as_ref().map(|tier| tier.tier.id.as_str());
        let priced = self.program.price(reward, Occasion { at: self.at, tier, figures: None, quantity: 1 });
        priced.map_or(limits::AMOUNT, |priced| priced.points)
    }

    /// Whether a reward is offered, or why not.
    pub fn sees(&self, offered: &CompiledReward) -> Result<(), Hidden> {
        if offered.unrestricted {
            return Ok(());
        }
        let visible_to = &offered.reward.catalogue.visible_to;
        let benefits = self.benefits();
        if let Some(from) = offered.from {
            let from = from.plus_millis(-self.early_hours(offered) * HOUR_MS);
            if self.at < from {
                return Err(Hidden::NotYet(from));
            }
        }
        if let Some(to) = offered.to.filter(|to| self.at >= *to) {
            return Err(Hidden::Over(to));
        }
        let zone = offered.reward.catalogue.zone;
        let opens = |zone: Zone| benefits.is_some_and(|benefits| benefits.zones.iter().any(|open| open == zone.name()));
        if zone != Zone::Base && !opens(zone) {
            return Err(Hidden::Zone(zone));
        }
        self.fits(visible_to, offered.audience.as_ref(), offered.reward.currency)
    }

    /// Whether something that is for some, in some places, is for the viewer.
    pub(super) fn fits(
        &self,
        visible_to: &VisibleTo,
        audience: Option<&Audience>,
        currency: CurrencyId,
    ) -> Result<(), Hidden> {
        if !visible_to.tiers.is_empty() {
            let own = self.tier.as_ref().map(|tier| &tier.tier.id);
            if !own.is_some_and(|own| visible_to.tiers.contains(own)) {
                return Err(Hidden::Tier);
            }
        }
        let among = |list: &[String], own: &Option<String>| {
            list.is_empty() || own.as_ref().is_some_and(|own| list.contains(own))
        };
        if !among(&visible_to.stores, &self.place.store) {
            return Err(Hidden::Store);
        }
        if !among(&visible_to.channels, &self.place.channel) {
            return Err(Hidden::Channel);
        }
        match audience {
            Some(audience) if !self.belongs_to(audience, currency) => Err(Hidden::Audience),
            _ => Ok(()),
        }
    }

    fn belongs_to(&self, audience: &Audience, currency: CurrencyId) -> bool {
        let Some(account) = self.account else { return false };
        let onlooker = self.onlooker.get_or_init(|| Onlooker::new(self.program, account, self.at));
        onlooker.belongs_to(audience, currency)
    }
}
