//! What a reward is, and what each kind needs to be handed out.

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use crate::limits;
use crate::program::Text;

/// What a reward is. Most of it is a description, for members and for whoever hands it out: an order names neither a variant
/// nor an appointment, and a bundle has stock of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum RewardKind {
    /// A thing that is sent or handed over.
    Physical {
        /// What there is to choose between; left out: nothing.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        variants: Vec<Variant>,
        /// What one unit weighs.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        weight_grams: Option<i64>,
    },
    /// A code that is sent.
    VirtualCode {},
    /// Something that is done for the member.
    Service {},
    /// Money off a purchase.
    Coupon {
        /// How much, in major units of the program's money.
        value: Decimal,
        /// From which purchase on, in the same; left out: from any.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        minimum: Option<Decimal>,
        /// How many days after it was handed out it is good; left out: for ever.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        valid_days: Option<i64>,
        /// For what, in words; left out: for everything.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        scope: Option<Text>,
    },
    /// A benefit for a time.
    Privilege {
        /// For how many days.
        days: i64,
    },
    /// Something to take part in.
    Experience {},
    /// Access to something for a while, to get to know it.
    Trial {
        /// For how many days.
        #[serde(default = "trial_days")]
        days: i64,
    },
    /// Credit with a partner.
    TopUp {},
    /// A gift to a good cause.
    Charity {},
    /// Several rewards together.
    Bundle {
        /// Which, and how many of each.
        contents: Vec<Content>,
    },
}

/// One of the forms in which a thing comes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Variant {
    /// Its id within the reward.
    pub id: String,
    /// What people call it.
    pub name: Text,
}

/// A part of a bundle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Content {
    /// The reward.
    pub reward: String,
    /// How many units of it.
    #[serde(default = "one")]
    pub quantity: i64,
}

fn trial_days() -> i64 {
    7
}

fn one() -> i64 {
    1
}

impl RewardKind {
    /// The name in program files and in the API.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Physical { .. } => "physical",
            Self::VirtualCode {} => "virtual_code",
            Self::Service {} => "service",
            Self::Coupon { .. } => "coupon",
            Self::Privilege { .. } => "privilege",
            Self::Experience {} => "experience",
            Self::Trial { .. } => "trial",
            Self::TopUp {} => "top_up",
            Self::Charity {} => "charity",
            Self::Bundle { .. } => "bundle",
        }
    }

    /// Checks every field by itself; the message names it.
    pub(crate) fn validate(&self) -> Result<(), String> {
        match self {
            Self::Physical { variants, weight_grams } => {
                validate_variants(variants)?;
                weight_grams.map_or(Ok(()), |grams| within("kind.weight_grams", grams, 1_000_000))
            }
            Self::Coupon { value, minimum, valid_days, scope } => {
                check_money("kind.value", *value)?;
                minimum.map_or(Ok(()), |minimum| check_money("kind.minimum", minimum))?;
                valid_days.map_or(Ok(()), |days| within("kind.valid_days", days, limits::REWARD_DAYS))?;
                scope.as_ref().map_or(Ok(()), |scope| scope.validate("kind.scope"))
            }
            Self::Privilege { days } | Self::Trial { days } => within("kind.days", *days, limits::REWARD_DAYS),
            Self::Bundle { contents } => validate_contents(contents),
            _ => Ok(()),
        }
    }

    /// What a bundle holds; of other kinds nothing.
    pub fn contents(&self) -> &[Content] {
        match self {
            Self::Bundle { contents } => contents,
            _ => &[],
        }
    }
}

fn within(field: &str, value: i64, most: i64) -> Result<(), String> {
    if (1..=most).contains(&value) {
        return Ok(());
    }
    Err(format!("`{field}` must be 1 to {most}"))
}

/// Refuses money that is none, or beyond all limits.
pub(super) fn check_money(field: &str, amount: Decimal) -> Result<(), String> {
    if amount > Decimal::ZERO && amount <= Decimal::from(limits::REWARD_MONEY) {
        return Ok(());
    }
    Err(format!("`{field}` must be more than 0 and at most {}", limits::REWARD_MONEY))
}

fn validate_variants(variants: &[Variant]) -> Result<(), String> {
    if variants.len() > limits::REWARD_PARTS {
        return Err(format!("`kind.variants` has more than {} entries", limits::REWARD_PARTS));
    }
    for (index, variant) in variants.iter().enumerate() {
        limits::check_text("kind.variants.id", &variant.id, 64)?;
        variant.name.validate("kind.variants.name")?;
        if variants.iter().take(index).any(|other| other.id == variant.id) {
            return Err(format!("`kind.variants`: `{}` is there twice", variant.id));
        }
    }
    Ok(())
}

fn validate_contents(contents: &[Content]) -> Result<(), String> {
    if !(1..=limits::REWARD_PARTS).contains(&contents.len()) {
        return Err(format!("`kind.contents` must name 1 to {} rewards", limits::REWARD_PARTS));
    }
    for (index, content) in contents.iter().enumerate() {
        within("kind.contents.quantity", content.quantity, limits::ORDER_QUANTITY)?;
        if contents.iter().take(index).any(|other| other.reward == content.reward) {
            return Err(format!("`kind.contents`: `{}` is there twice; give its `quantity`", content.reward));
        }
    }
    Ok(())
}
