//! What the catalogue says of a reward: how it is described and found, for whom it is, and when.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::DateTime;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use super::Reward;
use super::kind::{Content, RewardKind, check_money};
use super::picture::{Picture, validate_pictures};
use crate::earning::Audience;
use crate::limits;
use crate::program::Text;

/// How a reward stands in the catalogue. What is left out does not matter.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Catalogue {
    /// What it is, in some sentences.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<Text>,
    /// What it looks like; the first stands in lists.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pictures: Vec<Picture>,
    /// The categories in which it stands; it stands in those above them as well.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub categories: Vec<String>,
    /// Words by which it is found besides.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// What it costs in shops, in major units of the program's money.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub market_price: Option<Decimal>,
    /// The zone in which it stands: all but `base` are open only to tiers that name them among their benefits.
    #[serde(default, skip_serializing_if = "Zone::is_base")]
    pub zone: Zone,
    /// For whom, and where.
    #[serde(default, skip_serializing_if = "VisibleTo::is_everyone")]
    pub visible_to: VisibleTo,
    /// From when until when.
    #[serde(default, skip_serializing_if = "Listed::is_always")]
    pub listed: Listed,
}

/// A zone of the catalogue.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Zone {
    /// Open to everyone.
    #[default]
    Base,
    /// Open to tiers that say so.
    Upgraded,
    /// Open to tiers that say so.
    Premium,
}

impl Zone {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Base, Self::Upgraded, Self::Premium];

    /// The name, which the benefits of tiers use as well.
    pub fn name(self) -> &'static str {
        match self {
            Self::Base => "base",
            Self::Upgraded => "upgraded",
            Self::Premium => "premium",
        }
    }

    /// The zone of a name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|zone| zone.name() == name)
    }

    fn is_base(&self) -> bool {
        *self == Self::Base
    }
}

/// For whom a reward is, and where. Everything that is named must fit.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VisibleTo {
    /// For members of one of these tiers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tiers: Vec<String>,
    /// For members for whom this holds: CEL over `history`, `member` and `tier`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audience: Option<String>,
    /// In one of these stores.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stores: Vec<String>,
    /// Through one of these channels.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub channels: Vec<String>,
}

impl VisibleTo {
    pub(super) fn is_everyone(&self) -> bool {
        *self == Self::default()
    }
}

/// When a reward can be seen and ordered, by the local time of the program.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Listed {
    /// The first moment: `2026-11-01T00:00`; earlier by the hours of early access that a tier gives.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<DateTime>,
    /// The moment at which it is over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<DateTime>,
}

impl Listed {
    fn is_always(&self) -> bool {
        *self == Self::default()
    }
}

impl Catalogue {
    /// Whether it says nothing.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Checks every field by itself; the message names it.
    pub(crate) fn validate(&self) -> Result<(), String> {
        if let Some(description) = &self.description {
            description.validate_within("catalogue.description", limits::DESCRIPTION_CHARS)?;
        }
        validate_pictures(&self.pictures)?;
        list("catalogue.categories", &self.categories, limits::REWARD_CATEGORIES)?;
        list("catalogue.tags", &self.tags, limits::REWARD_TAGS)?;
        self.market_price.map_or(Ok(()), |price| check_money("catalogue.market_price", price))?;
        if let (Some(from), Some(to)) = (self.listed.from, self.listed.to)
            && from >= to
        {
            return Err(format!("`catalogue.listed.to` {to} must be later than `catalogue.listed.from` {from}"));
        }
        check_visible_to("catalogue.visible_to", &self.visible_to)
    }
}

/// Checks for whom something is, and where; `field` names it.
pub(super) fn check_visible_to(field: &str, visible_to: &VisibleTo) -> Result<(), String> {
    let VisibleTo { tiers, audience, stores, channels } = visible_to;
    list(&format!("{field}.tiers"), tiers, limits::TIERS)?;
    list(&format!("{field}.stores"), stores, limits::REWARD_STORES)?;
    list(&format!("{field}.channels"), channels, limits::REWARD_PARTS)?;
    audience.as_deref().map_or(Ok(()), |text| Audience::validate(&format!("{field}.audience"), text))
}

/// What a program has that rewards may name.
pub(crate) struct Named<'a> {
    pub(crate) categories: BTreeSet<&'a str>,
    pub(crate) tiers: Vec<&'a str>,
    /// The zones that tiers open.
    pub(crate) zones: BTreeSet<&'a str>,
    pub(crate) rewards: BTreeMap<&'a str, &'a Reward>,
}

impl Named<'_> {
    /// Checks that all that a reward names is there.
    pub(crate) fn check(&self, reward: &Reward) -> Result<(), String> {
        let Catalogue { categories, zone, visible_to, .. } = &reward.catalogue;
        if let Some(unknown) = categories.iter().find(|id| !self.categories.contains(id.as_str())) {
            return Err(format!("`catalogue.categories`: there is no category `{unknown}`"));
        }
        if !zone.is_base() && !self.zones.contains(zone.name()) {
            let name = zone.name();
            return Err(format!(
                "`catalogue.zone`: no tier opens the zone `{name}`; name it in `benefits.zones` of one"
            ));
        }
        self.check_visible_to("catalogue.visible_to", visible_to)?;
        reward.scarcity.check_named(self)?;
        let contents = reward.kind.as_ref().map_or(&[][..], RewardKind::contents);
        contents.iter().try_for_each(|content| match self.rewards.get(content.reward.as_str()) {
            None => Err(format!("`kind.contents`: there is no reward `{}`", content.reward)),
            Some(part) if matches!(part.kind, Some(RewardKind::Bundle { .. })) => {
                Err(format!("`kind.contents`: `{}` is a bundle itself", content.reward))
            }
            Some(part) => check_part(part, content),
        })
    }
}

impl Named<'_> {
    /// Checks that the tiers for which something is are there; `field` names it.
    pub(super) fn check_visible_to(&self, field: &str, visible_to: &VisibleTo) -> Result<(), String> {
        if let Some(unknown) = visible_to.tiers.iter().find(|id| !self.tiers.contains(&id.as_str())) {
            return Err(format!("`{field}.tiers`: there is no tier `{unknown}`"));
        }
        let audience = visible_to.audience.as_deref();
        audience.map_or(Ok(()), |text| Audience::check_tiers(&format!("{field}.audience"), text, &self.tiers))
    }
}

/// Refuses a part of a bundle of which something must be chosen that the bundle does not say.
fn check_part(part: &Reward, content: &Content) -> Result<(), String> {
    let (id, variants) = (&part.id, part.variants());
    if part.appointments().is_some() {
        return Err(format!("`kind.contents`: `{id}` is had by appointment, which a bundle cannot make"));
    }
    if matches!(part.kind, Some(RewardKind::TopUp { account: Some(_) })) {
        return Err(format!("`kind.contents`: `{id}` asks for an account, which a bundle cannot say"));
    }
    if !part.scarcity.pools.is_empty() {
        return Err(format!("`kind.contents`: the stock of `{id}` is in pools, of which a bundle cannot say which"));
    }
    part.check_is_for_anybody()
        .map_err(|problem| format!("`kind.contents`: {problem}, which a bundle would pass by"))?;
    match &content.variant {
        Some(named) if !variants.iter().any(|known| known.id == *named) => {
            Err(format!("`kind.contents`: `{id}` has no variant `{named}`"))
        }
        None if variants.iter().any(|known| known.stock.is_some()) => {
            Err(format!("`kind.contents`: variants of `{id}` have stock of their own; say which `variant`"))
        }
        _ => Ok(()),
    }
}

fn list(field: &str, texts: &[String], most: usize) -> Result<(), String> {
    if texts.len() > most {
        return Err(format!("`{field}` has {} entries; at most {most} are allowed", texts.len()));
    }
    for (index, text) in texts.iter().enumerate() {
        limits::check_text(field, text, 64)?;
        if texts.iter().take(index).any(|other| other == text) {
            return Err(format!("`{field}`: `{text}` is there twice"));
        }
    }
    Ok(())
}
