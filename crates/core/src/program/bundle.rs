//! The program file: one readable bundle that is split into versioned documents.

use std::collections::BTreeMap;

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use super::documents::{Document, is_json};
use super::expiry::Expiry;
use super::life::Life;
use super::position::{json_problem, toml_problem};
use super::template::Template;
use crate::earning::{ActivityKind, Bodies, Campaign, Cap, Effect, ProgramCap, Rule, validate_caps};
use crate::ledger::CurrencyId;
use crate::limits;
use crate::redemption::{CheckoutPolicy, OrderPolicy, PaymentPolicy};
use crate::rewards::{
    Category, Named, PriceSurroundings, ReviewPolicy, Reward, RewardKind, check_margin, validate_categories,
    validate_limits,
};
use crate::tiers::{Tier, validate as validate_tiers};
use crate::time::Timestamp;

use super::value::Floating;

/// A text for people: one for all languages, or one for each.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Text {
    /// The same in every language.
    One(String),
    /// By language (`en`, `zh`).
    Many(BTreeMap<String, String>),
}

impl Text {
    /// The text in a language, else in English, else any.
    pub fn get(&self, language: &str) -> &str {
        match self {
            Self::One(text) => text,
            Self::Many(texts) => texts
                .get(language.split('-').next().unwrap_or_default())
                .or_else(|| texts.get("en"))
                .or_else(|| texts.values().next())
                .map_or("", String::as_str),
        }
    }

    /// The text in all its languages.
    pub fn all(&self) -> impl Iterator<Item = &String> {
        let (one, many) = match self {
            Self::One(text) => (Some(text), None),
            Self::Many(texts) => (None, Some(texts.values())),
        };
        one.into_iter().chain(many.into_iter().flatten())
    }

    pub(crate) fn validate(&self, field: &str) -> Result<(), String> {
        self.validate_within(field, limits::TEXT_CHARS)
    }

    /// The same with another limit of characters.
    pub(crate) fn validate_within(&self, field: &str, limit: usize) -> Result<(), String> {
        match self {
            Self::One(text) => limits::check_text(field, text, limit),
            Self::Many(texts) if texts.is_empty() => Err(format!("`{field}` is empty")),
            Self::Many(texts) => texts.values().try_for_each(|text| limits::check_text(field, text, limit)),
        }
    }
}

/// The program's own settings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProgramSettings {
    /// Its id.
    pub id: String,
    /// What people call it.
    pub name: Text,
    /// ISO 4217 code of the money that purchases are in.
    pub money: String,
    /// IANA time zone of days, months and expiry.
    pub time_zone: String,
    /// How many days ago an activity sent to the API may lie; imports may bring older ones.
    #[serde(default = "default_backdating_days")]
    pub backdating_days: i64,
    /// How much all rules together give at most.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub caps: Vec<ProgramCap>,
    /// How orders are reviewed, and when they end by themselves.
    #[serde(default, skip_serializing_if = "OrderPolicy::is_empty")]
    pub orders: OrderPolicy,
    /// How money is taken for rewards.
    #[serde(default, skip_serializing_if = "PaymentPolicy::is_empty")]
    pub payment: PaymentPolicy,
    /// How points pay at a till; left out: not at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkout: Option<CheckoutPolicy>,
    /// How members review what they have redeemed; left out: they do not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reviews: Option<ReviewPolicy>,
    /// Per cent that come on top of what a reward costs the program, where its price says no `margin` of its own.
    #[serde(default, skip_serializing_if = "Decimal::is_zero")]
    pub reward_margin: Decimal,
}

fn yes() -> bool {
    true
}

fn is_yes(value: &bool) -> bool {
    *value
}

fn default_backdating_days() -> i64 {
    30
}

/// A kind of points.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Currency {
    /// Its number in the ledger, 1 for the first; never reused.
    pub id: CurrencyId,
    /// Its code in the API, such as `points`.
    pub code: String,
    /// What people call it.
    pub name: Text,
    /// Digits after the decimal point when shown, 0–2.
    #[serde(default)]
    pub decimals: u8,
    /// How many smallest units are worth one major unit of money: 100 means 100 points = £1.00. Tier value is worth none.
    #[serde(default)]
    pub per_money_unit: i64,
    /// Whether its points can be spent; if not, they are tier value, which never is money.
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub spendable: bool,
    /// The bounds between which the value of a point floats; left out: `per_money_unit` fixes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub floating: Option<Floating>,
    /// When its points expire; left out: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expiry: Option<Expiry>,
    /// What happens to its points besides.
    #[serde(default, skip_serializing_if = "Life::is_empty")]
    pub life: Life,
}

/// A whole program file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bundle {
    /// The program's own settings.
    pub program: ProgramSettings,
    /// Its currencies.
    pub currencies: Vec<Currency>,
    /// Its own kinds of activity, and what their bodies hold.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub activities: Vec<ActivityKind>,
    /// Its earning rules, in the order in which they are evaluated.
    #[serde(default)]
    pub rules: Vec<Rule>,
    /// Its campaigns, to which rules may belong.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub campaigns: Vec<Campaign>,
    /// Its messages to members.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub templates: Vec<Template>,
    /// Its tiers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tiers: Vec<Tier>,
    /// The categories of its catalogue.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub categories: Vec<Category>,
    /// Its rewards.
    #[serde(default)]
    pub rewards: Vec<Reward>,
}

impl Bundle {
    /// Reads a program file: TOML, or JSON when it begins with `{`. The message names the line and
    /// column, or the field.
    pub fn parse(text: &str) -> Result<Self, String> {
        let bundle: Self = match is_json(text) {
            true => serde_json::from_str(text).map_err(|error| json_problem(&error))?,
            false => toml::from_str(text).map_err(|error| toml_problem(text, &error))?,
        };
        bundle.validate()?;
        Ok(bundle)
    }

    /// The bundle of documents that are in force at one moment.
    pub fn of_documents(documents: &[Document]) -> Result<Self, String> {
        fn all<T: serde::de::DeserializeOwned>(documents: &[Document], kind: &str) -> Result<Vec<T>, String> {
            let mut own: Vec<&Document> = documents.iter().filter(|document| document.kind == kind).collect();
            own.sort_by(|a, b| (a.position, &a.id).cmp(&(b.position, &b.id)));
            let read = |document: &Document| {
                serde_json::from_str(&document.body).map_err(|error| format!("{kind} `{}`: {error}", document.id))
            };
            own.into_iter().map(read).collect()
        }
        Ok(Self {
            program: all(documents, "program")?.pop().ok_or("there is no program among the documents")?,
            currencies: all(documents, "currency")?,
            activities: all(documents, "activity")?,
            rules: all(documents, "rule")?,
            campaigns: all(documents, "campaign")?,
            templates: all(documents, "template")?,
            tiers: all(documents, "tier")?,
            categories: all(documents, "category")?,
            rewards: all(documents, "reward")?,
        })
    }

    /// Checks every field; the message names it.
    pub fn validate(&self) -> Result<(), String> {
        let program = &self.program;
        check_id("program.id", &program.id)?;
        program.name.validate("program.name")?;
        if money_digits(&program.money).is_none() {
            return Err(format!("program.money: `{}` is not an ISO 4217 currency code such as GBP", program.money));
        }
        crate::time::Calendar::new(&program.time_zone).map_err(|problem| format!("program.time_zone: {problem}"))?;
        if !(0..=36_500).contains(&program.backdating_days) {
            return Err("program.backdating_days must be 0 to 36500".to_owned());
        }
        check_margin("program.reward_margin", program.reward_margin)?;
        if self.currencies.is_empty() {
            return Err("a program needs at least one currency".to_owned());
        }
        unique("currency", self.currencies.iter().map(|currency| currency.code.as_str()))?;
        unique("activity", self.activities.iter().map(|kind| kind.id.as_str()))?;
        unique("rule", self.rules.iter().map(|rule| rule.id.as_str()))?;
        unique("reward", self.rewards.iter().map(|reward| reward.id.as_str()))?;
        unique("campaign", self.campaigns.iter().map(|campaign| campaign.id.as_str()))?;
        unique("tier", self.tiers.iter().map(|tier| tier.id.as_str()))?;
        unique("category", self.categories.iter().map(|category| category.id.as_str()))?;
        unique("template", self.templates.iter().map(|template| template.id.as_str()))?;
        self.currencies.iter().try_for_each(Currency::validate)?;
        self.activities
            .iter()
            .try_for_each(|kind| kind.validate().map_err(|problem| format!("activity `{}`: {problem}", kind.id)))?;
        self.templates.iter().try_for_each(|template| {
            let what = format!("template `{}`", template.id);
            check_id(&what, &template.id)?;
            template.validate().map_err(|problem| format!("{what}: {problem}"))
        })?;
        self.validate_tiers()?;
        self.campaigns.iter().try_for_each(|campaign| self.validate_campaign(campaign))?;
        self.validate_catalogue()?;
        self.validate_caps()?;
        self.program.orders.validate().map_err(|problem| format!("program.orders: {problem}"))?;
        self.program.payment.validate().map_err(|problem| format!("program.payment: {problem}"))?;
        self.validate_checkout()?;
        let reviews = self.program.reviews.as_ref().map_or(Ok(()), ReviewPolicy::validate);
        reviews.map_err(|problem| format!("program.reviews: {problem}"))?;
        self.validate_rules()
    }

    fn validate_checkout(&self) -> Result<(), String> {
        let Some(checkout) = &self.program.checkout else { return Ok(()) };
        checkout.validate().map_err(|problem| format!("program.checkout: {problem}"))?;
        self.check_currency("program.checkout", checkout.currency)?;
        let currency = self.currencies.iter().find(|known| known.id == checkout.currency);
        if currency.is_some_and(|currency| !currency.spendable) {
            return Err(format!(
                "program.checkout: currency {} is tier value, which pays nothing",
                checkout.currency.0
            ));
        }
        Ok(())
    }

    /// Checks the tiers, and that what names one names one that is there.
    fn validate_tiers(&self) -> Result<(), String> {
        let growth: Vec<&str> =
            self.currencies.iter().filter(|one| !one.spendable).map(|one| one.code.as_str()).collect();
        if growth.len() > 1 {
            return Err(format!("only one currency may have `spendable = false`, not {}", growth.join(" and ")));
        }
        for tier in &self.tiers {
            let what = format!("tier `{}`", tier.id);
            check_id(&what, &tier.id)?;
            tier.name.validate(&what)?;
        }
        validate_tiers(&self.tiers, &self.currencies)?;
        let tiers: Vec<&str> = self.tiers.iter().map(|tier| tier.id.as_str()).collect();
        let of_rule =
            |rule: &Rule| rule.check_tiers(&tiers).map_err(|problem| format!("rule `{}`: {problem}", rule.id));
        self.rules.iter().try_for_each(of_rule)?;
        self.campaigns.iter().try_for_each(|campaign| {
            campaign.check_tiers(&tiers).map_err(|problem| format!("campaign `{}`: {problem}", campaign.id))
        })
    }

    fn validate_caps(&self) -> Result<(), String> {
        let caps: Vec<Cap> = self.program.caps.iter().map(ProgramCap::cap).collect();
        validate_caps(&caps).map_err(|problem| format!("program: {problem}"))?;
        self.program.caps.iter().try_for_each(|cap| self.check_currency("program.caps", cap.currency))
    }

    /// Checks the rules in the order in which they are evaluated.
    fn validate_rules(&self) -> Result<(), String> {
        let mut rules: Vec<&Rule> = self.rules.iter().collect();
        rules.sort_by_key(|rule| std::cmp::Reverse(rule.priority));
        let mut groups: BTreeMap<&str, &Rule> = BTreeMap::new();
        let bodies = Bodies::new(&self.activities);
        rules.iter().enumerate().try_for_each(|(index, rule)| {
            let what = format!("rule `{}`", rule.id);
            let earlier = rules.get(..index).unwrap_or_default();
            rule.validate(earlier, &bodies).map_err(|problem| format!("{what}: {problem}"))?;
            self.check_currency(&what, rule.currency)?;
            self.check_campaign(&what, rule)?;
            self.check_named(&what, &rule.effect)?;
            let Some(exclusive) = &rule.exclusive else { return Ok(()) };
            let first = groups.entry(&exclusive.group).or_insert(rule);
            let same_choice = first.exclusive.as_ref().is_some_and(|other| other.choose == exclusive.choose);
            if same_choice && first.currency == rule.currency {
                return Ok(());
            }
            let group = &exclusive.group;
            Err(format!(
                "{what}: rules of the group `{group}` must give one currency and have one `choose`, as `{}`",
                first.id
            ))
        })
    }

    fn validate_campaign(&self, campaign: &Campaign) -> Result<(), String> {
        let what = format!("campaign `{}`", campaign.id);
        check_id(&what, &campaign.id)?;
        campaign.name.validate(&what)?;
        campaign.validate().map_err(|problem| format!("{what}: {problem}"))?;
        campaign.caps.iter().try_for_each(|cap| self.check_currency(&what, cap.currency))
    }

    fn check_campaign(&self, what: &str, rule: &Rule) -> Result<(), String> {
        let Some(id) = &rule.campaign else { return Ok(()) };
        let campaign = self.campaigns.iter().find(|campaign| campaign.id == *id);
        let campaign = campaign.ok_or_else(|| format!("{what}: there is no campaign `{id}`"))?;
        match &rule.arm {
            Some(arm) if !campaign.arms.iter().any(|known| known.id == *arm) => {
                Err(format!("{what}: the campaign `{id}` has no arm `{arm}`"))
            }
            _ => Ok(()),
        }
    }

    /// Checks that what an effect names is there.
    fn check_named(&self, what: &str, effect: &Effect) -> Result<(), String> {
        match effect {
            Effect::Message { template } if !self.templates.iter().any(|known| known.id == *template) => {
                Err(format!("{what}: there is no template `{template}`"))
            }
            Effect::IssueReward { reward, .. } => {
                let find = |id: &str| self.rewards.iter().find(|known| known.id == id);
                let known = find(reward).ok_or_else(|| format!("{what}: there is no reward `{reward}`"))?;
                known.check_may_be_given(find).map_err(|problem| format!("{what}: {problem}; issue another reward"))
            }
            Effect::GrantTier { tier, .. } if !self.tiers.iter().any(|known| known.id == *tier) => {
                Err(format!("{what}: there is no tier `{tier}`"))
            }
            _ => Ok(()),
        }
    }

    fn check_currency(&self, what: &str, currency: CurrencyId) -> Result<(), String> {
        if self.currencies.iter().any(|known| known.id == currency) {
            return Ok(());
        }
        Err(format!("{what}: currency {} is not one of the program's", currency.0))
    }

    /// Checks the categories and the rewards, and that what a reward names is there.
    fn validate_catalogue(&self) -> Result<(), String> {
        self.categories.iter().try_for_each(|one| check_id(&format!("category `{}`", one.id), &one.id))?;
        validate_categories(&self.categories)?;
        let named = Named {
            categories: self.categories.iter().map(|category| category.id.as_str()).collect(),
            tiers: self.tiers.iter().map(|tier| tier.id.as_str()).collect(),
            zones: self.tiers.iter().flat_map(|tier| &tier.benefits.zones).map(String::as_str).collect(),
            rewards: self.rewards.iter().map(|reward| (reward.id.as_str(), reward)).collect(),
        };
        self.rewards.iter().try_for_each(|reward| {
            self.validate_reward(reward)?;
            named.check(reward).map_err(|problem| format!("reward `{}`: {problem}", reward.id))
        })
    }

    fn validate_reward(&self, reward: &Reward) -> Result<(), String> {
        let what = format!("reward `{}`", reward.id);
        check_id(&what, &reward.id)?;
        reward.name.validate(&what)?;
        if reward.stock.is_some_and(|stock| !(0..=limits::AMOUNT).contains(&stock)) {
            return Err(format!("{what}: stock must be 0 to {}", limits::AMOUNT));
        }
        let of_reward = |problem| format!("{what}: {problem}");
        validate_limits(&reward.limit).map_err(of_reward)?;
        reward.catalogue.validate().map_err(of_reward)?;
        reward.scarcity.validate(reward).map_err(of_reward)?;
        reward.kind.as_ref().map_or(Ok(()), RewardKind::validate).map_err(of_reward)?;
        let fulfilment = reward.fulfilment.as_ref();
        fulfilment.map_or(Ok(()), |by| by.validate(reward.kind.as_ref())).map_err(of_reward)?;
        if reward.pickup && fulfilment.is_some() {
            return Err(format!("{what}: `pickup` is for what people hand out; leave out `pickup` or `fulfilment`"));
        }
        self.check_currency(&what, reward.currency)?;
        let spent = self.currencies.iter().find(|currency| currency.id == reward.currency);
        if let Some(currency) = spent.filter(|currency| !currency.spendable) {
            return Err(format!("{what}: `{}` is tier value and cannot be spent", currency.code));
        }
        self.validate_price(reward).map_err(|problem| format!("{what}: {problem}"))
    }

    fn validate_price(&self, reward: &Reward) -> Result<(), String> {
        let one = Decimal::ONE;
        let currency = self.currencies.iter().find(|currency| currency.id == reward.currency);
        let most_per_money = currency.map_or(Some(one), |currency| match &currency.floating {
            Some(bounds) => one.checked_div(bounds.least),
            None => Some(Decimal::from(currency.per_money_unit)),
        });
        reward.price.validate(&PriceSurroundings {
            tiers: self.tiers.iter().map(|tier| tier.id.as_str()).collect(),
            money_digits: money_digits(&self.program.money).unwrap_or_default(),
            margin: self.program.reward_margin,
            most_per_money: most_per_money.unwrap_or(Decimal::MAX),
            takes_money: !self.program.payment.tenders.is_empty(),
        })
    }

    /// The bundle as documents of version 0 that are still to be numbered, in the order of the file.
    pub fn documents(&self) -> Result<Vec<Document>, String> {
        let mut documents = vec![document("program", "program", 0, &self.program)?];
        for (position, currency) in self.currencies.iter().enumerate() {
            documents.push(document("currency", &currency.code, position, currency)?);
        }
        for (position, kind) in self.activities.iter().enumerate() {
            documents.push(document("activity", &kind.id, position, kind)?);
        }
        for (position, rule) in self.rules.iter().enumerate() {
            documents.push(document("rule", &rule.id, position, rule)?);
        }
        for (position, campaign) in self.campaigns.iter().enumerate() {
            documents.push(document("campaign", &campaign.id, position, campaign)?);
        }
        for (position, template) in self.templates.iter().enumerate() {
            documents.push(document("template", &template.id, position, template)?);
        }
        for (position, tier) in self.tiers.iter().enumerate() {
            documents.push(document("tier", &tier.id, position, tier)?);
        }
        for (position, category) in self.categories.iter().enumerate() {
            documents.push(document("category", &category.id, position, category)?);
        }
        for (position, reward) in self.rewards.iter().enumerate() {
            documents.push(document("reward", &reward.id, position, reward)?);
        }
        Ok(documents)
    }
}

impl Currency {
    fn validate(&self) -> Result<(), String> {
        let what = format!("currency `{}`", self.code);
        check_id(&what, &self.code)?;
        self.name.validate(&what)?;
        let least = i64::from(self.spendable);
        if self.id.0 == 0 || self.decimals > 2 || !(least..=1_000_000_000).contains(&self.per_money_unit) {
            return Err(format!("{what}: id must be 1 or more, decimals 0 to 2, per_money_unit 1 to 1000000000"));
        }
        if self.floating.is_some() && !self.spendable {
            return Err(format!("{what}: tier value is worth nothing, so that nothing of it can float"));
        }
        if let Some(floating) = &self.floating {
            floating.validate(self.per_money_unit).map_err(|problem| format!("{what}: {problem}"))?;
        }
        self.life.validate(self.expiry.is_some()).map_err(|problem| format!("{what}: life: {problem}"))
    }
}

/// Digits after the decimal point of an ISO 4217 currency, as far as the code is known.
pub(crate) fn money_digits(code: &str) -> Option<u32> {
    iso_currency::Currency::from_code(code).and_then(|currency| currency.exponent()).map(u32::from)
}

fn document(kind: &str, id: &str, position: usize, body: &impl Serialize) -> Result<Document, String> {
    Ok(Document {
        kind: kind.to_owned(),
        id: id.to_owned(),
        version: 0,
        position: position as i64,
        effective_from: Timestamp::ZERO,
        state: "active".to_owned(),
        body: serde_json::to_string(body).map_err(|error| error.to_string())?,
    })
}

fn check_id(what: &str, id: &str) -> Result<(), String> {
    let fits = !id.is_empty()
        && id.len() <= 64
        && id.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'_');
    if fits {
        return Ok(());
    }
    Err(format!("{what}: an id has 1 to 64 lower-case letters, digits and hyphens, not `{id}`"))
}

fn unique<'a>(kind: &str, ids: impl Iterator<Item = &'a str>) -> Result<(), String> {
    let mut seen = std::collections::BTreeSet::new();
    for id in ids {
        if !seen.insert(id) {
            return Err(format!("{kind} `{id}` is there twice"));
        }
    }
    if seen.len() > limits::DOCUMENTS {
        return Err(format!("more than {} of kind {kind}", limits::DOCUMENTS));
    }
    Ok(())
}
