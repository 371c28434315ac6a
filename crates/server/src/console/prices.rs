//! Prices as operators see them: what every reward costs now, for whom, how that came about, and what changes it ahead.

use askama::Template;
use axum::extract::{Query, State};
use axum::response::Response;
use guerdon_core::identity::Permission;
use guerdon_core::limits;
use guerdon_core::program::Program;
use guerdon_core::rewards::{Base, DemandFigures, How, Occasion, Price, PriceTurn, Priced, Reward};
use guerdon_core::time::Timestamp;
use serde::Deserialize;

use super::frame::{Frame, render};
use super::nav::Place;
use super::price_reward;
use super::price_words::{PriceWords, money, plain};
use super::trouble::{OrPage, PageError};
use crate::AppState;
use crate::identity::access::{Needs, Pages};
use crate::pictures::Thumb;

/// Rewards of one page.
const PAGE: usize = 25;
/// How far ahead changes are looked for.
pub(super) const AHEAD_MS: i64 = 365 * 24 * 60 * 60 * 1_000;

/// The pages of prices.
pub fn pages() -> Pages {
    Pages::default().get("/console/prices", Needs::Permission(Permission::RewardsRead), page).get(
        "/console/prices/{id}",
        Needs::Permission(Permission::RewardsRead),
        price_reward::page,
    )
}

/// A kind of price, by which the list is filtered.
type Kind = (&'static str, fn(&Price) -> bool);

/// Those that the price itself tells; `running` and `ahead` need the moment as well.
const KINDS: [Kind; 10] = [
    ("points", |price| matches!(price.base, Base::Points(_))),
    ("cost", |price| matches!(price.base, Base::Cost { .. })),
    ("tiers", |price| !price.tiers.is_empty()),
    ("seasons", |price| !price.seasons.is_empty()),
    ("offers", |price| !price.offers.is_empty()),
    ("demand", |price| price.demand.is_some()),
    ("cold", |price| price.cold.is_some()),
    ("curve", |price| !price.curve.is_empty()),
    ("cash", |price| price.cash.is_some()),
    ("group", |price| price.group.is_some()),
];

/// What is to be shown. Whatever is wrong in an address is as if it were not there.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Wanted {
    q: String,
    kind: String,
    page: usize,
}

/// What the points are worth beside what the reward costs, and costs elsewhere.
struct MoneyLine {
    cost: Option<String>,
    margin: Option<String>,
    /// The points bring less than the unit costs.
    below_cost: bool,
    market: Option<String>,
}

/// What happened in the last hour, and what that does to the price.
struct DemandLine {
    figures: String,
    effect: String,
}

struct Line {
    id: String,
    name: String,
    picture: Option<Thumb>,
    price: String,
    worth: String,
    made: String,
    /// Until when an offer runs.
    offer: Option<String>,
    /// A group's price, and that money may be paid.
    also: Vec<String>,
    /// What each tier pays that pays something else than everyone.
    tiers: Vec<(String, String)>,
    money: MoneyLine,
    demand: Option<DemandLine>,
    /// The next change, and how many come after it.
    next: Option<(String, Option<String>)>,
}

#[derive(Template)]
#[template(path = "console/prices.html")]
struct PricesPage {
    frame: Frame,
    wanted: Wanted,
    kinds: Vec<(&'static str, String)>,
    count: String,
    lines: Vec<Line>,
    pictured: bool,
    /// Whether there are any rewards at all.
    any: bool,
    /// Whether the program has tiers.
    tiered: bool,
    next: Option<usize>,
}

/// Who may pay another price: everyone, and each tier, with their names.
pub(super) fn tiers_at(frame: &Frame, program: &Program, at: Timestamp) -> Vec<(Option<String>, String)> {
    let everyone = (None, frame.t("prices-anyone"));
    let levels = program.tiers.at(at).levels().iter();
    let tier = |level: &std::sync::Arc<guerdon_core::tiers::CompiledTier>| {
        (Some(level.tier.id.clone()), level.tier.name.get(frame.language.tag()).to_owned())
    };
    std::iter::once(everyone).chain(levels.map(tier)).collect()
}

/// The changes ahead, for everyone and each tier.
pub(super) fn turns_ahead(
    program: &Program,
    id: &str,
    tiers: &[(Option<String>, String)],
    now: Timestamp,
) -> Vec<PriceTurn> {
    let tiers: Vec<Option<&str>> = tiers.iter().map(|(tier, _)| tier.as_deref()).collect();
    program.price_turns(id, &tiers, (now, now.plus_millis(AHEAD_MS)))
}

/// Orders and views in words; orders are counted up to the highest step, which stands for all above it.
pub(super) fn figures_words(frame: &Frame, reward: &Reward, figures: DemandFigures) -> [String; 2] {
    let counted = reward.price.orders_counted();
    let orders = match figures.orders {
        orders if counted > 0 && orders >= counted => "prices-orders-at-least",
        _ => "prices-orders",
    };
    [
        frame.say(orders, [("count", figures.orders.into())]),
        frame.say("prices-views", [("count", figures.views.into())]),
    ]
}

async fn page(
    frame: Frame,
    State(state): State<AppState>,
    Query(mut wanted): Query<Wanted>,
) -> Result<Response, PageError> {
    let frame = frame.at(Place::Prices);
    let stand = state.catalogue.stand(&state).await.or_page(&frame)?;
    wanted.q = wanted.q.trim().chars().take(limits::SEARCH_CHARS).collect();
    let now = state.engine.now();
    let program = &stand.program;
    let tiers = tiers_at(&frame, program, now);
    let rows: Vec<usize> = match wanted.q.as_str() {
        "" => (0..stand.shelf.rewards().len()).collect(),
        text => {
            let found = stand.search(text).or_page(&frame)?;
            found.rows.iter().filter_map(|row| usize::try_from(*row).ok()).collect()
        }
    };
    let local_now = program.calendar.local(now);
    let fits = |reward: &Reward| match wanted.kind.as_str() {
        "" => true,
        "running" => reward.price.offers.iter().any(|offer| offer.holds(local_now)),
        "ahead" => !turns_ahead(program, &reward.id, &tiers, now).is_empty(),
        kind => KINDS.iter().find(|(name, _)| *name == kind).is_none_or(|(_, has)| has(&reward.price)),
    };
    let rewards = rows.into_iter().filter_map(|row| stand.shelf.reward(row)).map(|offered| &offered.reward);
    let found: Vec<&Reward> = rewards.filter(|reward| fits(reward)).collect();
    let begin = wanted.page.saturating_mul(PAGE);
    let shown = || found.iter().copied().skip(begin).take(PAGE);
    let figures = state.demand.figures_of(&state.reader, shown(), now).await.or_page(&frame)?;
    let of_reward = |reward| line(&frame, program, reward, &tiers, (now, figures.get(&reward.id).copied()));
    let lines: Vec<Line> = shown().map(of_reward).collect();
    let names = ["points", "cost", "tiers", "seasons", "offers", "running", "demand", "cold", "curve", "cash", "group"];
    let kinds = names.into_iter().chain(["ahead"]);
    Ok(render(&PricesPage {
        kinds: kinds.map(|kind| (kind, frame.t(&format!("prices-kind-{kind}")))).collect(),
        count: frame.say_count("prices-count", &found.len()),
        pictured: lines.iter().any(|line| line.picture.is_some()),
        lines,
        any: stand.shelf.rewards().len() > 0,
        tiered: tiers.len() > 1,
        next: (found.len() > begin.saturating_add(PAGE)).then(|| wanted.page.saturating_add(1)),
        wanted,
        frame,
    }))
}

fn line(
    frame: &Frame,
    program: &Program,
    reward: &Reward,
    tiers: &[(Option<String>, String)],
    (now, figures): (Timestamp, Option<DemandFigures>),
) -> Line {
    let words = PriceWords { frame, reward, knows_cost: frame.actor.may(Permission::ProgramRead) };
    let price_for = |tier: Option<&str>| program.price(reward, Occasion { at: now, tier, figures, quantity: 1 }).ok();
    let points = |points: i64| frame.points(reward.currency, points);
    let everyone = price_for(None);
    let costs = everyone.as_ref().map(|priced| priced.points);
    let others = tiers.iter().filter_map(|(tier, name)| {
        let own = price_for(Some(tier.as_deref()?))?.points;
        (Some(own) != costs).then(|| (name.clone(), frame.number(reward.currency, own)))
    });
    let local_now = program.calendar.local(now);
    let running = reward.price.offers.iter().filter(|offer| offer.holds(local_now)).map(|offer| offer.to).min();
    let turns = turns_ahead(program, &reward.id, tiers, now);
    Line {
        id: reward.id.clone(),
        name: reward.name.get(frame.language.tag()).to_owned(),
        picture: Thumb::first(reward, frame.language.tag()),
        price: costs.map_or_else(|| frame.t("none"), points),
        worth: costs.map_or_else(String::new, |costs| {
            let worth = frame.money(program.value_of(reward.currency, costs, now));
            frame.say_text("prices-worth", "money", &worth)
        }),
        made: everyone.as_ref().map(|priced| words.made(priced)).unwrap_or_default(),
        offer: running
            .map(|to| frame.say_text("prices-offer-runs", "time", &frame.time(program.calendar.instant_of(to)))),
        also: words.group(&reward.price).into_iter().chain(words.cash(&reward.price)).collect(),
        tiers: others.collect(),
        money: money_line(&words, program, costs, now),
        demand: figures.map(|figures| demand_line(&words, everyone.as_ref(), figures, now)),
        next: turns.split_first().map(|(next, later)| {
            // Demand has no part in what is to come.
            let calm = program.price(reward, Occasion { at: now, tier: None, figures: None, quantity: 1 });
            next_change(frame, reward, calm.ok().map(|priced| priced.points), (next, later.len()))
        }),
    }
}

fn money_line(words: &PriceWords<'_>, program: &Program, costs: Option<i64>, now: Timestamp) -> MoneyLine {
    let PriceWords { frame, reward, knows_cost } = *words;
    let cost = match reward.price.base {
        Base::Cost { cost, .. } if knows_cost => Some(frame.say_text("prices-cost", "money", &money(frame, cost))),
        _ => None,
    };
    let margin = costs.filter(|_| knows_cost).and_then(|costs| program.margin_of(reward, costs, now));
    MoneyLine {
        cost,
        margin: margin.map(|margin| frame.say_text("prices-margin", "percent", &plain(margin).replace('-', "−"))),
        below_cost: margin.is_some_and(|margin| margin.is_sign_negative() && !margin.is_zero()),
        market: reward.catalogue.market_price.map(|price| {
            let price = money(frame, price);
            frame.say_text("prices-market", "money", &price)
        }),
    }
}

fn demand_line(words: &PriceWords<'_>, priced: Option<&Priced>, figures: DemandFigures, now: Timestamp) -> DemandLine {
    let (frame, price) = (words.frame, &words.reward.price);
    let mut effects = Vec::new();
    let mut told = Vec::new();
    if price.demand.is_some() {
        told.extend(figures_words(frame, words.reward, figures));
        let ceiling = words.ceiling(now, None).unwrap_or_else(|| frame.t("none"));
        let premium = priced.into_iter().flat_map(|priced| &priced.steps).find_map(|step| match step.how {
            How::Demand { percent, .. } => Some(percent),
            _ => None,
        });
        effects.push(match premium {
            Some(percent) => {
                frame.say("prices-premium", [("percent", plain(percent).into()), ("ceiling", ceiling.into())])
            }
            None => frame.say_text("prices-premium-none", "ceiling", &ceiling),
        });
    }
    if price.cold.is_some() {
        effects.push(match figures.last_order_at {
            Some(at) => frame.say_text("prices-last-order", "time", &frame.time(at)),
            None => frame.t("prices-never-ordered"),
        });
    }
    DemandLine { figures: told.join(" · "), effect: effects.join(" · ") }
}

/// The next change for everyone, or for some tiers alone, and how many come after it.
fn next_change(
    frame: &Frame,
    reward: &Reward,
    calm: Option<i64>,
    (next, later): (&PriceTurn, usize),
) -> (String, Option<String>) {
    let time = frame.time(next.at);
    let words = match next.points.first().copied().flatten() {
        None => frame.say_text("prices-next-gone", "time", &time),
        Some(points) if Some(points) == calm => frame.say_text("prices-next-tiers", "time", &time),
        Some(points) => {
            let points = frame.points(reward.currency, points);
            frame.say("prices-next", [("time", time.into()), ("points", points.into())])
        }
    };
    (words, (later > 0).then(|| frame.say_count("prices-next-more", &later)))
}
