//! The compiled configuration in force: built from documents, immutable, shared by every thread.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::{Bound, Deref, DerefMut};
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::bundle::{Currency, ProgramSettings, money_digits};
use super::documents::Document;
use super::expiry::{Expiry, Granule};
use super::life::Life;
use super::template::Template;
use super::value::{POINT_VALUE, PointValue, ValueVersion};
use super::versions::Versions;
use crate::earning::{
    ActivityKind, Audience, Campaign, CompiledActivityKind, CompiledCampaign, CompiledRule, Per, Rule, Window,
};
use crate::kernel::SPENDING;
use crate::ledger::CurrencyId;
use crate::rewards::{Category, CompiledReward, Reward};
use crate::tiers::{CompiledTier, TIER_CHANGED, Tier, Tiers};
use crate::time::{Calendar, Timestamp};

/// A program, ready to decide; cheap to clone. It holds all versions of everything: what is decided goes by the versions of
/// the decided moment (`…_at`), what is shown by those of the moment for which the snapshot was taken ([`Program::as_of`]).
#[derive(Clone)]
pub struct Program(Arc<Snapshot>);

/// What a program holds.
#[derive(Clone)]
pub struct Snapshot {
    /// Its settings.
    pub settings: ProgramSettings,
    /// Its calendar.
    pub calendar: Calendar,
    /// Digits after the decimal point of its money.
    pub money_digits: u32,
    /// Its currencies, in the order of their numbers.
    pub currencies: Vec<Currency>,
    /// All versions of all rules, in the order of the file and of their versions.
    pub rules: Vec<Arc<CompiledRule>>,
    /// All versions of all campaigns, by id and in the order of their versions.
    campaigns: BTreeMap<String, Vec<Arc<CompiledCampaign>>>,
    /// All versions of its own kinds of activity, by id.
    activity_kinds: BTreeMap<String, Versions<CompiledActivityKind>>,
    /// Its levels through time.
    pub tiers: Arc<Tiers>,
    /// Whether rules for changes of the tier have budgets that members share.
    pub tier_changes_share: bool,
    tracked: BTreeMap<String, Vec<Window>>,
    tracked_referred: BTreeMap<String, Vec<Window>>,
    by_day: BTreeSet<String>,
    categories: BTreeMap<String, Versions<Category>>,
    templates: BTreeMap<String, Versions<Template>>,
    pub(super) values: BTreeMap<CurrencyId, Vec<ValueVersion>>,
    all_settings: Versions<ProgramSettings>,
    all_currencies: BTreeMap<CurrencyId, Versions<Currency>>,
    all_rewards: BTreeMap<String, Versions<Arc<CompiledReward>>>,
    documents: Arc<[Document]>,
    /// For which moment it was taken.
    as_of: Timestamp,
    /// The moments at which something takes effect.
    moments: BTreeSet<Timestamp>,
}

impl Deref for Program {
    type Target = Snapshot;

    fn deref(&self) -> &Snapshot {
        &self.0
    }
}

impl DerefMut for Program {
    fn deref_mut(&mut self) -> &mut Snapshot {
        Arc::make_mut(&mut self.0)
    }
}

/// Whether it is the same snapshot.
impl PartialEq for Program {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Program {}

impl fmt::Debug for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "program {} as of {}", self.settings.id, self.as_of)
    }
}

impl Program {
    /// Compiles the stored documents; what it shows are the newest versions. The message names the document that does not
    /// fit.
    pub fn from_documents(documents: &[Document]) -> Result<Self, String> {
        let mut all_settings = Versions::default();
        let mut all_currencies: BTreeMap<CurrencyId, Versions<Currency>> = BTreeMap::new();
        let mut rewards: Vec<(&Document, Reward)> = Vec::new();
        let mut categories: BTreeMap<String, Versions<Category>> = BTreeMap::new();
        let mut templates: BTreeMap<String, Versions<Template>> = BTreeMap::new();
        let mut values: BTreeMap<&str, Vec<ValueVersion>> = BTreeMap::new();
        let mut rules = Vec::new();
        let mut campaigns: BTreeMap<String, Vec<Arc<CompiledCampaign>>> = BTreeMap::new();
        let mut activity_kinds: BTreeMap<String, Versions<CompiledActivityKind>> = BTreeMap::new();
        let mut levels: Vec<(Timestamp, bool, i64, Tier)> = Vec::new();
        for document in documents {
            let what = format!("{} `{}` version {}", document.kind, document.id, document.version);
            let active = document.state == "active";
            let (version, from) = (document.version, document.effective_from);
            match document.kind.as_str() {
                "program" => all_settings.add(version, from, Some(read::<ProgramSettings>(&what, &document.body)?)),
                "currency" => {
                    let currency: Currency = read(&what, &document.body)?;
                    all_currencies.entry(currency.id).or_default().add(version, from, Some(currency));
                }
                "reward" => rewards.push((document, read::<Reward>(&what, &document.body)?)),
                "category" => {
                    let category = read::<Category>(&what, &document.body)?;
                    categories.entry(document.id.clone()).or_default().add(version, from, active.then_some(category));
                }
                "template" => {
                    let template = read::<Template>(&what, &document.body)?;
                    templates.entry(document.id.clone()).or_default().add(version, from, active.then_some(template));
                }
                "activity" => {
                    let kind = read::<ActivityKind>(&what, &document.body)?;
                    let compiled =
                        CompiledActivityKind::compile(kind).map_err(|problem| format!("{what}: {problem}"))?;
                    let versions = activity_kinds.entry(document.id.clone()).or_default();
                    versions.add(version, from, active.then_some(compiled));
                }
                "rule" => {
                    let rule: Rule = read(&what, &document.body)?;
                    let mut compiled = CompiledRule::compile(rule, version, from, active)
                        .map_err(|problem| format!("{what}: {problem}"))?;
                    compiled.position = document.position;
                    rules.push(compiled);
                }
                "campaign" => {
                    let campaign: Campaign = read(&what, &document.body)?;
                    let compiled = CompiledCampaign::compile(campaign, version, from, active)
                        .map_err(|problem| format!("{what}: {problem}"))?;
                    campaigns.entry(document.id.clone()).or_default().push(Arc::new(compiled));
                }
                "tier" => {
                    let tier: Tier = read(&what, &document.body)?;
                    levels.push((document.effective_from, active, document.version, tier));
                }
                POINT_VALUE => {
                    let published: PointValue = read(&what, &document.body)?;
                    let (version, effective_from) = (document.version, document.effective_from);
                    values.entry(&document.id).or_default().push(ValueVersion { version, effective_from, published });
                }
                other => return Err(format!("this version knows no configuration of kind `{other}`")),
            }
        }
        let first = all_settings.first().ok_or("there is no program in this data directory; run `guerdon init`")?;
        let settings: ProgramSettings = first.clone();
        let rules = in_order(rules);
        campaigns.values_mut().for_each(|versions| versions.sort_by_key(|campaign| campaign.version));
        let money_digits = money_digits(&settings.money).ok_or("unknown money")?;
        let calendar = Calendar::new(&settings.time_zone)?;
        let all_rewards = compiled_rewards(rewards, &calendar)?;
        let program = Self(Arc::new(Snapshot {
            calendar,
            money_digits,
            tiers: Arc::new(tiers(levels, &all_currencies, money_digits)?),
            tier_changes_share: tier_changes_share(&rules, &campaigns, &all_settings),
            currencies: Vec::new(),
            tracked: tracked(&rules, &campaigns, &all_rewards, all_currencies.values().flat_map(Versions::all)),
            tracked_referred: by_kind(in_use(&rules).flat_map(|rule| rule.counted_referred())),
            by_day: by_day(&rules, &campaigns, &all_rewards),
            rules,
            campaigns,
            activity_kinds,
            categories,
            values: by_currency(values, &all_currencies),
            templates,
            settings,
            all_settings,
            all_currencies,
            all_rewards,
            documents: documents.into(),
            as_of: Timestamp::ZERO,
            moments: documents.iter().map(|document| document.effective_from).collect(),
        }));
        Ok(program.as_of(Timestamp::NEVER))
    }

    /// The same program as it is shown at `at`.
    pub fn as_of(&self, at: Timestamp) -> Self {
        let mut snapshot = Snapshot::clone(&self.0);
        snapshot.settings = self.settings_at(at).clone();
        snapshot.currencies = self.currencies_at(at).cloned().collect();
        snapshot.as_of = at;
        Self(Arc::new(snapshot))
    }

    /// The documents that it was compiled from: all versions of all.
    pub fn documents(&self) -> &[Document] {
        &self.documents
    }

    /// Whether what it shows is what holds at `now`: nothing takes effect between the moment it was taken for and `now`.
    pub fn shows(&self, now: Timestamp) -> bool {
        let (from, to) = (self.as_of.min(now), self.as_of.max(now));
        self.moments.range((Bound::Excluded(from), Bound::Included(to))).next().is_none()
    }

    /// The settings that hold at `at`; before the first ones take effect, those.
    pub fn settings_at(&self, at: Timestamp) -> &ProgramSettings {
        self.all_settings.at(at).or_else(|| self.all_settings.first()).unwrap_or(&self.settings)
    }

    /// The currencies that there are at `at`, in the order of their numbers.
    pub fn currencies_at(&self, at: Timestamp) -> impl Iterator<Item = &Currency> {
        self.all_currencies.values().filter_map(move |versions| versions.at(at))
    }

    /// The currency of a number, as it is at `at`.
    pub fn currency_at(&self, id: CurrencyId, at: Timestamp) -> Option<&Currency> {
        self.all_currencies.get(&id)?.at(at)
    }

    /// The reward of an id, as it is offered at `at`.
    pub fn reward_at(&self, id: &str, at: Timestamp) -> Option<&Reward> {
        self.offered_at(id, at).map(|offered| &offered.reward)
    }

    /// The same with what it is offered by.
    pub fn offered_at(&self, id: &str, at: Timestamp) -> Option<&Arc<CompiledReward>> {
        self.all_rewards.get(id)?.at(at)
    }

    /// The moments at which something takes effect that the price of a reward may follow: its versions, the settings, its
    /// currency with the values of a point, and the tiers. In no order, and some more than once.
    pub(crate) fn moments_of_price(&self, id: &str) -> Vec<Timestamp> {
        let Some(versions) = self.all_rewards.get(id) else { return Vec::new() };
        let currencies: BTreeSet<CurrencyId> = versions.all().map(|offered| offered.reward.currency).collect();
        let of_currency = |currency: &CurrencyId| {
            let published = self.all_currencies.get(currency).into_iter().flat_map(Versions::moments);
            published.chain(self.values(*currency).iter().map(|value| value.effective_from))
        };
        let of_currencies = currencies.iter().flat_map(of_currency);
        let of_program = self.all_settings.moments().chain(self.tiers.moments());
        versions.moments().chain(of_currencies).chain(of_program).collect()
    }

    /// Since when there is a reward: when its first version took effect, whatever held since.
    pub fn reward_since(&self, id: &str) -> Option<Timestamp> {
        self.all_rewards.get(id)?.moments().next()
    }

    /// What the program says of a kind of activity of its own, as it holds at `at`.
    pub fn activity_kind_at(&self, kind: &str, at: Timestamp) -> Option<&CompiledActivityKind> {
        self.activity_kinds.get(kind)?.at(at)
    }

    /// The kinds of activity of its own that are shown, by id.
    pub fn activity_kinds(&self) -> impl Iterator<Item = &CompiledActivityKind> {
        self.activity_kinds.values().filter_map(|versions| versions.at(self.as_of))
    }

    /// The windows in which accounts count a kind of activity, because conditions ask for it.
    pub fn tracked(&self, kind: &str) -> &[Window] {
        self.tracked.get(kind).map_or(&[], Vec::as_slice)
    }

    /// The windows in which accounts count what all did whom they have referred, because conditions ask for it.
    pub fn tracked_referred(&self, kind: &str) -> &[Window] {
        self.tracked_referred.get(kind).map_or(&[], Vec::as_slice)
    }

    /// Whether any rule listens to a kind of activity, or a condition or audience asks for it.
    pub fn asks_for(&self, kind: &str) -> bool {
        let audience = |campaign: &Arc<CompiledCampaign>| campaign.active && campaign.asks_for(kind);
        self.rules.iter().any(|rule| rule.active && rule.asks_for(kind))
            || self.campaigns.values().flatten().any(audience)
            || audiences(&self.all_rewards).any(|audience| audience.asks_for(kind))
    }

    /// Whether any rule listens to a kind of activity.
    pub fn listens(&self, kind: &str) -> bool {
        self.rules.iter().any(|rule| rule.active && rule.rule.trigger.listens(kind))
    }

    /// Whether accounts count a kind of activity by days, because a condition asks for a window that rolls.
    pub fn counts_by_day(&self, kind: &str) -> bool {
        self.by_day.contains(kind)
    }

    /// The version of a campaign that holds at `at`.
    pub fn campaign(&self, id: &str, at: Timestamp) -> Option<&Arc<CompiledCampaign>> {
        self.campaigns.get(id)?.iter().rev().find(|campaign| campaign.effective_from <= at)
    }

    /// The version of each campaign that is shown, by id; those that only take effect later are left out.
    pub fn campaigns(&self) -> impl Iterator<Item = &Arc<CompiledCampaign>> {
        self.campaigns.keys().filter_map(|id| self.campaign(id, self.as_of))
    }

    /// The reward of an id, as it is shown.
    pub fn reward(&self, id: &str) -> Option<&Reward> {
        self.reward_at(id, self.as_of)
    }

    /// The template of an id that is shown.
    pub fn template(&self, id: &str) -> Option<&Template> {
        self.templates.get(id)?.at(self.as_of)
    }

    /// Whether any version of a reward says how the program itself fulfils its orders.
    pub fn has_automatic_rewards(&self) -> bool {
        self.all_rewards.values().flat_map(Versions::all).any(|offered| offered.reward.fulfilment.is_some())
    }

    /// All rewards that are shown, by id.
    pub fn rewards(&self) -> impl Iterator<Item = &Reward> {
        self.offered().map(|offered| &offered.reward)
    }

    /// The same with what they are offered by.
    pub fn offered(&self) -> impl Iterator<Item = &Arc<CompiledReward>> {
        self.all_rewards.values().filter_map(|versions| versions.at(self.as_of))
    }

    /// All versions of all rewards.
    pub fn all_offered(&self) -> impl Iterator<Item = &Arc<CompiledReward>> {
        self.all_rewards.values().flat_map(Versions::all)
    }

    /// All categories that are shown, by id.
    pub fn categories(&self) -> impl Iterator<Item = &Category> {
        self.categories.values().filter_map(|versions| versions.at(self.as_of))
    }

    /// The category of an id, as it is shown.
    pub fn category(&self, id: &str) -> Option<&Category> {
        self.categories.get(id)?.at(self.as_of)
    }

    /// The currency of a number, as it is shown.
    pub fn currency(&self, id: CurrencyId) -> Option<&Currency> {
        self.currencies.iter().find(|currency| currency.id == id)
    }

    /// The currency of a code, such as `points`.
    pub fn currency_by_code(&self, code: &str) -> Option<&Currency> {
        self.currencies.iter().find(|currency| currency.code == code)
    }

    /// When points of a currency earned at `at` expire.
    pub fn expires_at(&self, currency: CurrencyId, at: Timestamp) -> Timestamp {
        let expiry = self.currency_at(currency, at).and_then(|currency| currency.expiry.as_ref());
        expiry.map_or(Timestamp::NEVER, |expiry| expiry.expires_at(&self.calendar, at))
    }

    /// The end of the granule that holds `at`: when points of a currency expire that live at least until then.
    pub fn end_of_granule(&self, currency: CurrencyId, at: Timestamp) -> Timestamp {
        match self.currency_at(currency, at).and_then(|currency| currency.expiry.as_ref()).map(Expiry::rounding) {
            None => Timestamp::NEVER,
            Some(Granule::Day) => self.calendar.end_of_day_after(at, 0),
            Some(_) => self.calendar.end_of_month_after(at, 0),
        }
    }

    /// What happens to the points of a currency besides, at `at`.
    pub fn life_at(&self, currency: CurrencyId, at: Timestamp) -> Option<&Life> {
        self.currency_at(currency, at).map(|currency| &currency.life)
    }

    /// A digest of what happens by itself to the points of all currencies that are shown: accounts are planned anew when it changes.
    pub fn life_digest(&self) -> String {
        let said: Vec<(u16, &Life)> = self.currencies.iter().map(|currency| (currency.id.0, &currency.life)).collect();
        crate::hex::encode(&Sha256::digest(serde_json::to_vec(&said).unwrap_or_default()).into())
    }

    /// Minor units of money in one major unit.
    pub fn minor_per_major(&self) -> i64 {
        10_i64.saturating_pow(self.money_digits)
    }
}

/// The values of each currency, oldest first.
fn by_currency(
    values: BTreeMap<&str, Vec<ValueVersion>>,
    currencies: &BTreeMap<CurrencyId, Versions<Currency>>,
) -> BTreeMap<CurrencyId, Vec<ValueVersion>> {
    let named = |(code, mut versions): (&str, Vec<ValueVersion>)| {
        let of_code = |versions: &Versions<Currency>| versions.first().is_some_and(|currency| currency.code == code);
        let (id, _) = currencies.iter().find(|(_, versions)| of_code(versions))?;
        versions.sort_by_key(|value| value.version);
        Some((*id, versions))
    };
    values.into_iter().filter_map(named).collect()
}

/// All versions of a rule side by side, at the place of its newest version.
fn in_order(mut rules: Vec<CompiledRule>) -> Vec<Arc<CompiledRule>> {
    rules.sort_by_key(|compiled| compiled.version);
    let places: BTreeMap<String, i64> =
        rules.iter().map(|compiled| (compiled.rule.id.clone(), compiled.position)).collect();
    let mut rules: Vec<Arc<CompiledRule>> = rules.into_iter().map(Arc::new).collect();
    rules.sort_by_key(|compiled| (places.get(&compiled.rule.id).copied(), compiled.rule.id.clone(), compiled.version));
    rules
}

/// All versions of all rewards.
fn compiled_rewards(
    rewards: Vec<(&Document, Reward)>,
    calendar: &Calendar,
) -> Result<BTreeMap<String, Versions<Arc<CompiledReward>>>, String> {
    let mut since: BTreeMap<&str, (i64, Timestamp)> = BTreeMap::new();
    for (document, _) in &rewards {
        let first = since.entry(&document.id).or_insert((document.version, document.effective_from));
        *first = (*first).min((document.version, document.effective_from));
    }
    let mut all: BTreeMap<String, Versions<Arc<CompiledReward>>> = BTreeMap::new();
    for (document, reward) in rewards {
        let since = since.get(document.id.as_str()).map_or(document.effective_from, |(_, from)| *from);
        let compiled = CompiledReward::compile(reward, calendar, since, document.position)
            .map_err(|problem| format!("reward `{}` version {}: {problem}", document.id, document.version))?;
        let content = (document.state == "active").then(|| Arc::new(compiled));
        all.entry(document.id.clone()).or_default().add(document.version, document.effective_from, content);
    }
    Ok(all)
}

/// The audiences of all versions of all rewards.
fn audiences(rewards: &BTreeMap<String, Versions<Arc<CompiledReward>>>) -> impl Iterator<Item = &Audience> {
    rewards.values().flat_map(Versions::all).flat_map(|offered| offered.audiences())
}

/// What the conditions of all versions, and extensions by spend, ask of histories: also of those that are to come, so that the counters are there.
fn tracked<'a>(
    rules: &[Arc<CompiledRule>],
    campaigns: &BTreeMap<String, Vec<Arc<CompiledCampaign>>>,
    rewards: &BTreeMap<String, Versions<Arc<CompiledReward>>>,
    mut currencies: impl Iterator<Item = &'a Currency>,
) -> BTreeMap<String, Vec<Window>> {
    let of_rewards = audiences(rewards).flat_map(|audience| audience.counted());
    let audiences = campaigns.values().flatten().filter(|campaign| campaign.active);
    let audiences = audiences.flat_map(|campaign| campaign.counted()).chain(of_rewards);
    let extends = |currency: &Currency| currency.life.extension.iter().any(|extension| extension.spend.is_some());
    let spending = currencies.any(extends).then_some((SPENDING, Window::Month));
    by_kind(in_use(rules).flat_map(|rule| rule.counted()).chain(audiences).chain(spending))
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

/// The kinds that the conditions of all versions ask for by days.
fn by_day(
    rules: &[Arc<CompiledRule>],
    campaigns: &BTreeMap<String, Vec<Arc<CompiledCampaign>>>,
    rewards: &BTreeMap<String, Versions<Arc<CompiledReward>>>,
) -> BTreeSet<String> {
    let of_rewards = audiences(rewards).flat_map(|audience| audience.counted_by_day());
    let audiences = campaigns.values().flatten().filter(|campaign| campaign.active);
    let audiences = audiences.flat_map(|campaign| campaign.counted_by_day()).chain(of_rewards);
    let kinds = rules.iter().filter(|rule| rule.active).flat_map(|rule| rule.counted_by_day()).chain(audiences);
    kinds.map(str::to_owned).collect()
}

/// Whether rules for changes of the tier, in any version, have caps that members share.
fn tier_changes_share(
    rules: &[Arc<CompiledRule>],
    campaigns: &BTreeMap<String, Vec<Arc<CompiledCampaign>>>,
    settings: &Versions<ProgramSettings>,
) -> bool {
    let mut listening = rules.iter().map(|rule| &rule.rule).filter(|rule| rule.trigger.listens(TIER_CHANGED));
    listening.any(|rule| {
        let campaigns = rule.campaign.as_ref().and_then(|id| campaigns.get(id)).into_iter().flatten();
        let campaigns = campaigns.flat_map(|campaign| &campaign.campaign.caps).map(|cap| cap.per);
        let mut shared = rule.caps.iter().map(|cap| cap.per).chain(campaigns);
        let mut of_all = settings.all().flat_map(|settings| &settings.caps);
        shared.any(|per| per != Per::Member) || of_all.any(|cap| cap.per != Per::Member)
    })
}

/// The levels through time, and the currency that is tier value in any version: it never becomes money again.
fn tiers(
    levels: Vec<(Timestamp, bool, i64, Tier)>,
    currencies: &BTreeMap<CurrencyId, Versions<Currency>>,
    digits: u32,
) -> Result<Tiers, String> {
    let grows = |versions: &Versions<Currency>| versions.all().any(|currency| !currency.spendable);
    let growth = currencies.iter().find(|(_, versions)| grows(versions)).map(|(id, _)| *id);
    let minor_per_major = 10_i64.saturating_pow(digits);
    let versions = levels.into_iter().map(|(from, active, version, tier)| {
        let what = format!("tier `{}` version {version}", tier.id);
        let compiled = CompiledTier::compile(tier, version, minor_per_major);
        compiled.map(|compiled| (from, active, compiled)).map_err(|problem| format!("{what}: {problem}"))
    });
    Ok(Tiers::new(versions.collect::<Result<_, _>>()?, growth))
}

fn read<T: serde::de::DeserializeOwned>(what: &str, body: &str) -> Result<T, String> {
    serde_json::from_str(body).map_err(|error| format!("{what}: {error}"))
}
