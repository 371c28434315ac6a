//! What a reward is, and what each kind needs to be handed out.

use regex::{Regex, RegexBuilder};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use super::Appointments;
use crate::limits;
use crate::program::Text;

/// What a reward is, and what an order for it must say: which variant, where to, when.
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
        /// Whether it is sent, so that an order needs an address.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        needs_address: bool,
    },
    /// A code that is sent.
    VirtualCode {},
    /// Something that is done for the member.
    Service {
        /// When it can be had; left out: that is not chosen with the order.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        appointments: Option<Appointments>,
    },
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
    TopUp {
        /// Which account of the member's gets it; left out: an order does not say.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        account: Option<AccountForm>,
    },
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
    /// Units to begin with. Left out: as many as the reward has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stock: Option<i64>,
}

/// What an order must say of the account to which credit goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccountForm {
    /// What people call it: "phone number".
    pub name: Text,
    /// A regular expression that all of it matches: `1[3-9][0-9]{9}`.
    pub pattern: String,
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
    /// In which variant; left out: whoever hands it out asks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
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
            Self::Service { .. } => "service",
            Self::Coupon { .. } => "coupon",
            Self::Privilege { .. } => "privilege",
            Self::Experience {} => "experience",
            Self::Trial { .. } => "trial",
            Self::TopUp { .. } => "top_up",
            Self::Charity {} => "charity",
            Self::Bundle { .. } => "bundle",
        }
    }

    /// Checks every field by itself; the message names it.
    pub(crate) fn validate(&self) -> Result<(), String> {
        match self {
            Self::Service { appointments: Some(appointments) } => appointments.validate(),
            Self::TopUp { account: Some(account) } => account.validate(),
            Self::Physical { variants, weight_grams, .. } => {
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

impl AccountForm {
    fn validate(&self) -> Result<(), String> {
        self.name.validate("kind.account.name")?;
        limits::check_text("kind.account.pattern", &self.pattern, limits::TEXT_CHARS)?;
        self.compiled().map(drop)
    }

    fn compiled(&self) -> Result<Regex, String> {
        let all = format!("^(?:{})$", self.pattern);
        let compiled = RegexBuilder::new(&all).size_limit(limits::PATTERN_BYTES).build();
        compiled.map_err(|error| format!("`kind.account.pattern`: {error}"))
    }

    /// Checks an account as it was given; the message says what is wrong, and not what was given.
    pub fn check(&self, account: &str) -> Result<(), String> {
        limits::check_text("account", account, limits::KEY_CHARS)?;
        match self.compiled()?.is_match(account) {
            true => Ok(()),
            false => Err(format!("`account` does not match the pattern {}", self.pattern)),
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
        if variant.stock.is_some_and(|stock| !(0..=limits::AMOUNT).contains(&stock)) {
            return Err(format!("`kind.variants.stock` must be 0 to {}", limits::AMOUNT));
        }
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
