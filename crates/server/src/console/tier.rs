//! A member's tier in words: where they stand, what is missing for the next tier, and what a transaction did to it.

use guerdon_core::ledger::{Account, AccountStatus, CurrencyId};
use guerdon_core::tiers::{CompiledTier, Measure, Measured, Moment, Progress, Span, Step, TierStep};
use guerdon_core::time::Timestamp;

use super::format;
use super::frame::Frame;

/// How far a member is on one way to the next tier.
pub(crate) struct WayLine {
    /// `¥320 to Gold`.
    pub words: String,
    /// 0 to 100.
    pub percent: i64,
}

/// A member's tier as pages show it.
pub(crate) struct TierView {
    /// Its name, or a word for none.
    pub name: String,
    /// The tier value, since when, until when, and what the figures are for keeping it.
    pub facts: Vec<(String, String)>,
    /// That it will be lost, unless.
    pub warning: Option<String>,
    /// What it gives.
    pub benefits: Vec<String>,
    /// The ways to the next tier, the one that is furthest first; none at the top.
    pub next: Vec<WayLine>,
    /// That there is none above.
    pub is_highest: bool,
}

/// A member's tier; `None`: the program has none, or the account has ended.
pub(crate) fn tier_view(frame: &Frame, account: &Account, now: Timestamp) -> Option<TierView> {
    let ladder = frame.program.tiers.at(now);
    if ladder.levels().is_empty() || account.status != AccountStatus::Active {
        return None;
    }
    let level = ladder.level_of(&account.standing);
    let moment = Moment::new(&frame.program.calendar, now);
    let held = account.standing.held.as_ref();
    let held = held.filter(|held| level.is_some_and(|level| level.tier.id == held.tier));
    let mut facts = Vec::new();
    if let Some(currency) = frame.program.tiers.growth.and_then(|growth| frame.program.currency(growth)) {
        let name = currency.name.get(frame.language.tag()).to_owned();
        facts.push((name, frame.number(currency.id, account.growth())));
    }
    if let Some(held) = held {
        facts.push((frame.t("tier-since"), frame.time(held.since)));
        if held.review_at != Timestamp::NEVER && held.grace_until.is_none() {
            let date = frame.program.calendar.last_day_before(held.review_at);
            facts.push((frame.t("tier-good-through"), date));
        }
        if held.due() != Timestamp::NEVER {
            let ways = level.map(|level| level.progress(&account.standing, &account.history, moment));
            let keeps: Vec<String> = ways.iter().flatten().map(|way| reached(frame, way)).collect();
            facts.push((frame.t("tier-keeps"), keeps.join(&frame.t("tier-or"))));
        }
    }
    let granted = account.standing.granted.as_ref();
    let granted = granted.filter(|granted| level.is_some_and(|level| level.tier.id == granted.tier));
    if let Some(granted) = granted.filter(|granted| granted.until != Timestamp::NEVER) {
        let date = frame.program.calendar.last_day_before(granted.until);
        facts.push((frame.t("tier-granted-until"), date));
    }
    let warning = held.and_then(|held| held.grace_until).map(|until| {
        let date = frame.program.calendar.last_day_before(until);
        frame.say_text("tier-grace", "date", &date)
    });
    let above = ladder.above(level);
    let mut ways = above.map(|next| next.progress(&account.standing, &account.history, moment)).unwrap_or_default();
    ways.sort_by_key(|way| std::cmp::Reverse(way.percent()));
    let next = above.into_iter().flat_map(|next| ways.iter().map(|way| way_line(frame, next, way)));
    Some(TierView {
        name: level.map_or_else(|| frame.t("tier-none"), |level| name_of(frame, level)),
        facts,
        warning,
        benefits: level.map(|level| benefits(frame, level)).unwrap_or_default(),
        next: next.collect(),
        is_highest: above.is_none(),
    })
}

fn name_of(frame: &Frame, level: &CompiledTier) -> String {
    level.tier.name.get(frame.language.tag()).to_owned()
}

/// The name of a tier, or its id when there is none such any more.
pub(crate) fn tier_name(frame: &Frame, id: &str) -> String {
    frame.program.tiers.level(id).map_or_else(|| id.to_owned(), |level| name_of(frame, level))
}

/// `¥320 to Gold`.
fn way_line(frame: &Frame, next: &CompiledTier, way: &Progress) -> WayLine {
    let missing: Vec<String> =
        way.measures.iter().filter(|one| one.missing() > 0).map(|one| amount(frame, one, one.missing())).collect();
    let window = window(frame, way.window);
    let tier = name_of(frame, next);
    let words = match missing.as_slice() {
        [] => frame.say("tier-next-soon", [("tier", tier.into())]),
        missing => frame.say(
            "tier-next",
            [("what", missing.join(&frame.t("tier-and")).into()), ("tier", tier.into()), ("window", window.into())],
        ),
    };
    WayLine { words, percent: way.percent() }
}

/// `1,000 of 1,000 growth value in 12 months`.
fn reached(frame: &Frame, way: &Progress) -> String {
    let measures = way.measures.iter().map(|one| {
        let (value, needed) = (amount(frame, one, one.value), amount(frame, one, one.needed));
        frame.say("tier-of", [("value", value.into()), ("needed", needed.into())])
    });
    let measures: Vec<String> = measures.collect();
    let window = window(frame, way.window);
    frame.say("tier-by", [("what", measures.join(&frame.t("tier-and")).into()), ("window", window.into())])
}

fn amount(frame: &Frame, measured: &Measured, value: i64) -> String {
    match measured.measure {
        Measure::Growth => {
            let growth = frame.program.tiers.growth.unwrap_or(CurrencyId(1));
            frame.points(growth, value)
        }
        Measure::Spend => frame.money(value),
        Measure::Orders => counted(frame, "tier-orders", value),
        Measure::WithinDays => counted(frame, "tier-days", value),
    }
}

fn counted(frame: &Frame, key: &str, count: i64) -> String {
    frame.say(key, [("count", count.into()), ("number", format::number(count).into())])
}

fn window(frame: &Frame, window: Span) -> String {
    match window {
        Span::Months(months) => counted(frame, "tier-window-months", i64::from(months)),
        Span::Days(days) => counted(frame, "tier-window-days", i64::from(days)),
        Span::Month => frame.t("tier-window-month"),
        Span::Quarter => frame.t("tier-window-quarter"),
        Span::Year => frame.t("tier-window-year"),
        Span::Lifetime => frame.t("tier-window-lifetime"),
    }
}

fn benefits(frame: &Frame, level: &CompiledTier) -> Vec<String> {
    let benefits = &level.tier.benefits;
    let mut words: Vec<String> = Vec::new();
    for factor in &benefits.factors {
        let currency = frame.program.currency(factor.currency);
        let name = currency.map_or("", |currency| currency.name.get(frame.language.tag()));
        let factor = factor.factor.normalize().to_string();
        words.push(frame.say("tier-factor", [("factor", factor.into()), ("currency", name.into())]));
    }
    if benefits.early_access_hours > 0 {
        words.push(counted(frame, "tier-early", i64::from(benefits.early_access_hours)));
    }
    if !benefits.zones.is_empty() {
        words.push(frame.say_text("tier-zones", "zones", &benefits.zones.join(", ")));
    }
    if let Some(service) = &benefits.service {
        words.push(frame.say_text("tier-service", "service", service));
    }
    words.extend(benefits.texts.iter().map(|text| text.get(frame.language.tag()).to_owned()));
    words
}

/// What a transaction did to the tier, as one sentence.
pub(super) fn step_sentence(frame: &Frame, step: &TierStep) -> String {
    let name = |id: &Option<String>| match id {
        Some(id) => tier_name(frame, id),
        None => frame.t("tier-none"),
    };
    let (from, to) = (name(&step.from), name(&step.to));
    let mut sentence = match step.step {
        Step::Reached | Step::Granted | Step::Ended | Step::Merged | Step::Lost => {
            frame.say(&format!("why-tier-{}", step.step.name()), [("from", from.into()), ("to", to.into())])
        }
        Step::Renewed | Step::Grace => frame.say(&format!("why-tier-{}", step.step.name()), [("to", to.into())]),
    };
    if let Some(by) = &step.by {
        sentence.push_str(&frame.say_text("why-tier-by", "what", &reached(frame, by)));
    }
    sentence
}
