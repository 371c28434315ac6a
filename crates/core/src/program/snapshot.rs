//! The compiled configuration in force: built from documents, immutable, shared by every thread.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::bundle::{Currency, Document, Granule, ProgramSettings, money_digits};
use super::template::Template;
use super::value::{POINT_VALUE, PointValue, ValueVersion};
use crate::earning::{Campaign, CompiledCampaign, CompiledRule, Rule, Window};
use crate::ledger::CurrencyId;
use crate::rewards::Reward;
use crate::time::{Calendar, Timestamp};

/// A program, ready to decide.
pub struct Program {
    /// Its settings.
    pub settings: ProgramSettings,
    /// Its calendar.
    pub calendar: Calendar,
    /// Digits after the decimal point of its money.
    pub money_digits: u32,
    /// Its currencies, in the order of the file.
    pub currencies: Vec<Currency>,
    /// All versions of all rules, in the order of the file and of their versions.
    pub rules: Vec<Arc<CompiledRule>>,
    /// All versions of all campaigns, by id and in the order of their versions.
    campaigns: BTreeMap<String, Vec<Arc<CompiledCampaign>>>,
    tracked: BTreeMap<String, Vec<Window>>,
    tracked_referred: BTreeMap<String, Vec<Window>>,
    rewards: BTreeMap<String, Reward>,
    templates: BTreeMap<String, Template>,
    pub(super) values: BTreeMap<CurrencyId, Vec<ValueVersion>>,
}

impl Program {
    /// Compiles the stored documents. The message names the document that does not fit.
    pub fn from_documents(documents: &[Document]) -> Result<Self, String> {
        let mut settings = None;
        let mut currencies = BTreeMap::new();
        let mut rewards = BTreeMap::new();
        let mut templates = BTreeMap::new();
        let mut values: BTreeMap<&str, Vec<ValueVersion>> = BTreeMap::new();
        let mut rules = Vec::new();
        let mut campaigns: BTreeMap<String, Vec<Arc<CompiledCampaign>>> = BTreeMap::new();
        for document in documents {
            let what = format!("{} `{}` version {}", document.kind, document.id, document.version);
            let active = document.state == "active";
            match document.kind.as_str() {
                "program" => settings = Some(read::<ProgramSettings>(&what, &document.body)?),
                "currency" => {
                    let currency: Currency = read(&what, &document.body)?;
                    currencies.insert(currency.id, currency);
                }
                "reward" if active => {
                    rewards.insert(document.id.clone(), read::<Reward>(&what, &document.body)?);
                }
                "reward" => drop(rewards.remove(&document.id)),
                "template" if active => {
                    templates.insert(document.id.clone(), read::<Template>(&what, &document.body)?);
                }
                "template" => drop(templates.remove(&document.id)),
                "rule" => {
                    let rule: Rule = read(&what, &document.body)?;
                    let compiled = CompiledRule::compile(rule, document.version, document.effective_from, active)
                        .map_err(|problem| format!("{what}: {problem}"))?;
                    rules.push((document.position, compiled));
                }
                "campaign" => {
                    let campaign: Campaign = read(&what, &document.body)?;
                    let (version, from) = (document.version, document.effective_from);
                    let compiled = CompiledCampaign::compile(campaign, version, from, active)
                        .map_err(|problem| format!("{what}: {problem}"))?;
                    campaigns.entry(document.id.clone()).or_default().push(Arc::new(compiled));
                }
                POINT_VALUE => {
                    let published: PointValue = read(&what, &document.body)?;
                    let (version, effective_from) = (document.version, document.effective_from);
                    values.entry(&document.id).or_default().push(ValueVersion { version, effective_from, published });
                }
                other => return Err(format!("this version knows no configuration of kind `{other}`")),
            }
        }
        let settings = settings.ok_or("there is no program in this data directory; run `guerdon init`")?;
        let rules = in_order(rules);
        campaigns.values_mut().for_each(|versions| versions.sort_by_key(|campaign| campaign.version));
        Ok(Self {
            calendar: Calendar::new(&settings.time_zone)?,
            money_digits: money_digits(&settings.money).ok_or("unknown money")?,
            tracked: tracked(&rules, &campaigns),
            tracked_referred: by_kind(in_use(&rules).flat_map(|rule| rule.counted_referred())),
            rules,
            campaigns,
            rewards,
            templates,
            values: by_currency(values, &currencies),
            currencies: currencies.into_values().collect(),
            settings,
        })
    }

    /// The windows in which accounts count a kind of activity, because conditions ask for it.
    pub fn tracked(&self, kind: &str) -> &[Window] {
        self.tracked.get(kind).map_or(&[], Vec::as_slice)
    }

    /// The windows in which accounts count what all did whom they have referred, because conditions ask for it.
    pub fn tracked_referred(&self, kind: &str) -> &[Window] {
        self.tracked_referred.get(kind).map_or(&[], Vec::as_slice)
    }

    /// Whether any rule listens to a kind of activity.
    pub fn listens(&self, kind: &str) -> bool {
        self.rules.iter().any(|rule| rule.active && rule.rule.trigger.listens(kind))
    }

    /// The version of a campaign that holds at `at`.
    pub fn campaign(&self, id: &str, at: Timestamp) -> Option<&Arc<CompiledCampaign>> {
        self.campaigns.get(id)?.iter().rev().find(|campaign| campaign.effective_from <= at)
    }

    /// The newest version of each campaign, by id.
    pub fn campaigns(&self) -> impl Iterator<Item = &Arc<CompiledCampaign>> {
        self.campaigns.values().filter_map(|versions| versions.last())
    }

    /// The reward of an id.
    pub fn reward(&self, id: &str) -> Option<&Reward> {
        self.rewards.get(id)
    }

    /// The template of an id.
    pub fn template(&self, id: &str) -> Option<&Template> {
        self.templates.get(id)
    }

    /// All rewards, by id.
    pub fn rewards(&self) -> impl Iterator<Item = &Reward> {
        self.rewards.values()
    }

    /// The currency of a number.
    pub fn currency(&self, id: CurrencyId) -> Option<&Currency> {
        self.currencies.iter().find(|currency| currency.id == id)
    }

    /// The currency of a code, such as `points`.
    pub fn currency_by_code(&self, code: &str) -> Option<&Currency> {
        self.currencies.iter().find(|currency| currency.code == code)
    }

    /// When points of a currency earned at `at` expire.
    pub fn expires_at(&self, currency: CurrencyId, at: Timestamp) -> Timestamp {
        match self.currency(currency).and_then(|currency| currency.expiry.as_ref()) {
            None => Timestamp::NEVER,
            Some(expiry) if expiry.granule == Granule::Month => self.calendar.end_of_month_after(at, expiry.after),
            Some(expiry) => self.calendar.end_of_day_after(at, expiry.after),
        }
    }

    /// The end of the granule that holds `at`: when points of a currency expire that live at least until then.
    pub fn end_of_granule(&self, currency: CurrencyId, at: Timestamp) -> Timestamp {
        match self.currency(currency).and_then(|currency| currency.expiry.as_ref()) {
            None => Timestamp::NEVER,
            Some(expiry) if expiry.granule == Granule::Month => self.calendar.end_of_month_after(at, 0),
            Some(_) => self.calendar.end_of_day_after(at, 0),
        }
    }

    /// Minor units of money in one major unit.
    pub fn minor_per_major(&self) -> i64 {
        10_i64.saturating_pow(self.money_digits)
    }
}

/// The values of each currency, oldest first.
fn by_currency(
    values: BTreeMap<&str, Vec<ValueVersion>>,
    currencies: &BTreeMap<CurrencyId, Currency>,
) -> BTreeMap<CurrencyId, Vec<ValueVersion>> {
    let named = |(code, mut versions): (&str, Vec<ValueVersion>)| {
        let currency = currencies.values().find(|currency| currency.code == code)?;
        versions.sort_by_key(|value| value.version);
        Some((currency.id, versions))
    };
    values.into_iter().filter_map(named).collect()
}

/// All versions of a rule side by side, at the place of its newest version.
fn in_order(mut rules: Vec<(i64, CompiledRule)>) -> Vec<Arc<CompiledRule>> {
    rules.sort_by_key(|(_, compiled)| compiled.version);
    let places: BTreeMap<String, i64> =
        rules.iter().map(|(position, compiled)| (compiled.rule.id.clone(), *position)).collect();
    let mut rules: Vec<Arc<CompiledRule>> = rules.into_iter().map(|(_, compiled)| Arc::new(compiled)).collect();
    rules.sort_by_key(|compiled| (places.get(&compiled.rule.id).copied(), compiled.rule.id.clone(), compiled.version));
    rules
}

/// What the conditions of all versions ask of histories: also of those that are to come, so that the counters are there.
fn tracked(
    rules: &[Arc<CompiledRule>],
    campaigns: &BTreeMap<String, Vec<Arc<CompiledCampaign>>>,
) -> BTreeMap<String, Vec<Window>> {
    let audiences = campaigns.values().flatten().filter(|campaign| campaign.active);
    let audiences = audiences.flat_map(|campaign| campaign.counted());
    by_kind(in_use(rules).flat_map(|rule| rule.counted()).chain(audiences))
}

fn in_use(rules: &[Arc<CompiledRule>]) -> impl Iterator<Item = &Arc<CompiledRule>> {
    rules.iter().filter(|rule| rule.active)
}

fn by_kind<'a>(windows: impl Iterator<Item = (&'a str, Window)>) -> BTreeMap<String, Vec<Window>> {
    let mut tracked: BTreeMap<String, Vec<Window>> = BTreeMap::new();
    for (kind, window) in windows {
        let windows = tracked.entry(kind.to_owned()).or_default();
        if !windows.contains(&window) {
            windows.push(window);
        }
    }
    tracked
}

fn read<T: serde::de::DeserializeOwned>(what: &str, body: &str) -> Result<T, String> {
    serde_json::from_str(body).map_err(|error| format!("{what}: {error}"))
}
