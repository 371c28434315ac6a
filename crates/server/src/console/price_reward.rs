//! The prices of one reward: what it would cost somebody at some time, step by step, its rule in words, and what changes it.

use std::cmp::Ordering;

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::response::Response;
use guerdon_core::identity::Permission;
use guerdon_core::kernel::check_quantity;
use guerdon_core::limits;
use guerdon_core::program::Program;
use guerdon_core::rewards::{DemandFigures, Hidden, Occasion, Place as Standpoint, Reward, Viewer};
use guerdon_core::time::{EARLIEST, Timestamp};
use rust_decimal::Decimal;
use serde::Deserialize;

use super::configuration::{DraftLine, draft_line};
use super::format;
use super::frame::{Frame, render};
use super::nav::Place;
use super::price_chart::{Outlook, outlook};
use super::price_words::{PriceWords, money, plain, point_value};
use super::prices::{figures_words, tiers_at};
use super::trouble::{OrPage, PageError, unprocessable};
use crate::AppState;
use crate::drafts;

/// The last year of which a price is worked out; what is beyond is mistyped.
const LAST_YEAR: i16 = 2200;

/// For whom, when, where and of how many the price is asked; whatever is empty is as usual.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Question {
    tier: String,
    at: String,
    quantity: String,
    channel: String,
    store: String,
    orders: String,
    views: String,
}

/// A question that can be answered.
struct Asked {
    tier: Option<String>,
    at: Timestamp,
    quantity: i64,
    standpoint: Standpoint,
    /// Orders and views of the hour before a time to come.
    assumed: (i64, i64),
}

/// A figure at the top of the page.
struct Figure {
    label: String,
    value: String,
    note: String,
}

struct StepLine {
    step: String,
    does: String,
    before: String,
    after: String,
}

/// The answer to a question.
struct Answer {
    title: String,
    total: String,
    worth: String,
    steps: Vec<StepLine>,
    /// What friends pay in a group, and how it may be split.
    also: Vec<String>,
    /// What demand was reckoned with, and whether it is offered there and then at all.
    notes: Vec<String>,
    hidden: Option<String>,
}

#[derive(Template)]
#[template(path = "console/price_reward.html")]
struct RewardPage {
    frame: Frame,
    id: String,
    name: String,
    figures: Vec<Figure>,
    rule: Vec<String>,
    question: Question,
    /// Ids and names.
    tiers: Vec<(String, String)>,
    channels: Vec<String>,
    stores: Vec<String>,
    asks_demand: bool,
    most: i64,
    answer: Option<Answer>,
    trouble: Option<String>,
    outlook: Outlook,
    drafts: Vec<DraftLine>,
    may_open: bool,
    may_write: bool,
}

/// `/console/prices/{id}`
pub(super) async fn page(
    frame: Frame,
    State(state): State<AppState>,
    Path(id): Path<String>,
    Query(question): Query<Question>,
) -> Result<Response, PageError> {
    let frame = frame.at(Place::Prices);
    let (program, now) = (state.program(), state.engine.now());
    let reward = program.reward_at(&id, now).ok_or_else(|| PageError::not_found(&frame))?;
    let measured = state.demand.figures(&state.reader, reward, now).await.or_page(&frame)?;
    let answered =
        understood(&frame, &question, now).and_then(|asked| answer(&frame, &program, &id, &asked, (now, measured)));
    let (answer, trouble) = match answered {
        Ok(answer) => (Some(answer), None),
        Err(trouble) => (None, Some(trouble)),
    };
    let may_open = frame.actor.may(Permission::ProgramRead);
    let words = PriceWords { frame: &frame, reward, knows_cost: may_open };
    let tiers = tiers_at(&frame, &program, now);
    let visible_to = &reward.catalogue.visible_to;
    let is_wrong = trouble.is_some();
    let shown = render(&RewardPage {
        name: reward.name.get(frame.language.tag()).to_owned(),
        figures: figures(&words, &program, &tiers, (now, measured)),
        rule: words.rule(now),
        channels: visible_to.channels.clone(),
        stores: visible_to.stores.clone(),
        asks_demand: reward.price.demand.is_some(),
        most: limits::ORDER_QUANTITY,
        outlook: outlook(&frame, &program, reward, &tiers, now),
        tiers: tiers.into_iter().filter_map(|(tier, name)| Some((tier?, name))).collect(),
        drafts: if may_open { drafts_of(&frame, &state, &id).await? } else { Vec::new() },
        may_write: frame.actor.may(Permission::ProgramWrite),
        may_open,
        question,
        answer,
        trouble,
        id,
        frame,
    });
    Ok(if is_wrong { unprocessable(shown) } else { shown })
}

/// The drafts on their way that change the reward.
async fn drafts_of(frame: &Frame, state: &AppState, id: &str) -> Result<Vec<DraftLine>, PageError> {
    let all = drafts::list(state).await.or_page(frame)?;
    let open = all.iter().filter(|(_, draft)| {
        let standing = drafts::standing(state, draft).name();
        matches!(standing, "draft" | "submitted" | "approved" | "scheduled")
            && draft.changes.iter().any(|change| change.kind == "reward" && change.id == id)
    });
    Ok(open.map(|(record, draft)| draft_line(frame, state, &record.id, draft)).collect())
}

/// What was asked, or what is wrong with it in words.
fn understood(frame: &Frame, question: &Question, now: Timestamp) -> Result<Asked, String> {
    let typed = |text: &str| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
    let at = match typed(&question.at) {
        None => now,
        Some(text) => {
            let at = frame.program.calendar.parse_local(&text).ok();
            let within = |at: &Timestamp| *at >= EARLIEST && frame.program.calendar.local(*at).year() < LAST_YEAR;
            at.filter(within).ok_or_else(|| frame.t("prices-at-wrong"))?
        }
    };
    let quantity = match typed(&question.quantity) {
        None => Some(1),
        Some(text) => format::parse(&text, 0).filter(|quantity| check_quantity(*quantity).is_ok()),
    };
    let wrong = || frame.say("prices-quantity-wrong", [("most", limits::ORDER_QUANTITY.into())]);
    let quantity = quantity.ok_or_else(wrong)?;
    let figure = |text: &str| match typed(text) {
        None => Ok(0),
        Some(text) => format::parse(&text, 0).ok_or_else(|| frame.t("prices-figure-wrong")),
    };
    let assumed = (figure(&question.orders)?, figure(&question.views)?);
    let standpoint = Standpoint { store: typed(&question.store), channel: typed(&question.channel) };
    Ok(Asked { tier: typed(&question.tier), at, quantity, standpoint, assumed })
}

/// The price as it would be, by the one function of prices; an error says in words why there is none.
fn answer(
    frame: &Frame,
    program: &Program,
    id: &str,
    asked: &Asked,
    (now, measured): (Timestamp, Option<DemandFigures>),
) -> Result<Answer, String> {
    let Asked { tier, at, quantity, standpoint, .. } = asked;
    let (at, tier) = (*at, tier.as_deref());
    let time = frame.time(at);
    let offered = program.offered_at(id, at).ok_or_else(|| frame.say_text("prices-not-there", "time", &time))?;
    let reward = &offered.reward;
    let words = PriceWords { frame, reward, knows_cost: frame.actor.may(Permission::ProgramRead) };
    let (figures, note) = reckoned(frame, reward, asked, (now, measured));
    let occasion = Occasion { at, tier, figures, quantity: *quantity };
    let priced = program.price(reward, occasion).map_err(|_| frame.t("prices-too-much"))?;
    let points = |points: i64| frame.points(reward.currency, points);
    let number = |points: i64| frame.number(reward.currency, points);
    let mut also = Vec::new();
    if let Some(group) = &reward.price.group
        && let Ok(together) = program.price_in_group(reward, occasion, group.percent)
    {
        let places = [("count", group.members.into()), ("points", points(together.points).into())];
        also.push(frame.say("prices-answer-group", places));
    }
    if let Some(range) = program.cash_range(reward, priced.points, at) {
        let places = [
            ("least", frame.money(range.least.amount).into()),
            ("least-points", points(range.least.points).into()),
            ("most", frame.money(range.most.amount).into()),
            ("most-points", points(range.most.points).into()),
        ];
        also.push(frame.say("prices-answer-cash", places));
    }
    let name = match tier {
        None => frame.t("prices-anyone"),
        Some(tier) => super::tier::tier_name(frame, tier),
    };
    let seen = match Viewer::of_tier(program, tier, standpoint, at).sees(offered) {
        // Where it is ordered was not said.
        Err(Hidden::Store) if standpoint.store.is_none() => Ok(()),
        Err(Hidden::Channel) if standpoint.channel.is_none() => Ok(()),
        seen => seen,
    };
    Ok(Answer {
        title: frame.say("prices-answer", [("tier", name.into()), ("time", time.into())]),
        total: points(priced.points),
        worth: {
            let worth = frame.money(program.value_of(reward.currency, priced.points, at));
            frame.say_text("prices-answer-worth", "money", &worth)
        },
        steps: priced
            .steps
            .iter()
            .map(|step| StepLine {
                step: words.step(&step.how),
                does: words.does(&step.how, true),
                before: if step.before == 0 { String::new() } else { number(step.before) },
                after: number(step.after),
            })
            .collect(),
        also,
        notes: note.into_iter().collect(),
        hidden: seen.err().map(|why| hidden_words(frame, why)),
    })
}

/// The demand that a price is worked out with, and what is to be said of it: measured now, assumed for a time to come, and not
/// known of one that has passed.
fn reckoned(
    frame: &Frame,
    reward: &Reward,
    asked: &Asked,
    (now, measured): (Timestamp, Option<DemandFigures>),
) -> (Option<DemandFigures>, Option<String>) {
    if !reward.price.needs_figures() {
        return (None, None);
    }
    let said = |key: &str, figures: DemandFigures| {
        let [orders, views] = figures_words(frame, reward, figures);
        frame.say(key, [("orders", orders.into()), ("views", views.into())])
    };
    match asked.at.cmp(&now) {
        Ordering::Equal => (measured, measured.map(|figures| said("prices-demand-measured", figures))),
        Ordering::Less => (None, Some(frame.t("prices-demand-past"))),
        Ordering::Greater => {
            let (orders, views) = asked.assumed;
            let last_order_at = measured.and_then(|figures| figures.last_order_at);
            let figures = DemandFigures { orders, views, last_order_at };
            (Some(figures), Some(said("prices-demand-assumed", figures)))
        }
    }
}

fn hidden_words(frame: &Frame, why: Hidden) -> String {
    match why {
        Hidden::NotYet(from) => frame.say_text("prices-hidden-not-yet", "time", &frame.time(from)),
        Hidden::Over(to) => frame.say_text("prices-hidden-over", "time", &frame.time(to)),
        Hidden::Zone(zone) => {
            let zone = frame.t(&format!("zone-{}", zone.name()));
            frame.say_text("prices-hidden-zone", "zone", &zone)
        }
        Hidden::Tier => frame.t("prices-hidden-tier"),
        Hidden::Audience => frame.t("prices-hidden-audience"),
        Hidden::Store => frame.t("prices-hidden-store"),
        Hidden::Channel => frame.t("prices-hidden-channel"),
    }
}

/// What everyone pays now, and what that is worth beside the cost and the market.
fn figures(
    words: &PriceWords<'_>,
    program: &Program,
    tiers: &[(Option<String>, String)],
    (now, measured): (Timestamp, Option<DemandFigures>),
) -> Vec<Figure> {
    let PriceWords { frame, reward, knows_cost } = *words;
    let points_for = |tier: Option<&str>| {
        let occasion = Occasion { at: now, tier, figures: measured, quantity: 1 };
        program.price(reward, occasion).ok().map(|priced| priced.points)
    };
    let costs = points_for(None);
    let worth_words = |points: i64| {
        let worth = frame.money(program.value_of(reward.currency, points, now));
        frame.say_text("prices-worth", "money", &worth)
    };
    let value = program.point_value(reward.currency, now);
    let worth = costs.map(|points| program.value_of(reward.currency, points, now));
    let mut figures = vec![Figure {
        label: frame.t("prices-now"),
        value: costs.map_or_else(|| frame.t("none"), |points| frame.points(reward.currency, points)),
        note: costs.map(worth_words).unwrap_or_default(),
    }];
    for (tier, name) in tiers {
        let own = tier.as_deref().and_then(|tier| points_for(Some(tier))).filter(|own| Some(*own) != costs);
        figures.extend(own.map(|own| Figure {
            label: name.clone(),
            value: frame.points(reward.currency, own),
            note: worth_words(own),
        }));
    }
    if let guerdon_core::rewards::Base::Cost { cost, .. } = reward.price.base
        && knows_cost
    {
        let figure = |label: &str, value: String, note: String| Figure { label: frame.t(label), value, note };
        figures.push(figure("prices-figure-cost", money(frame, cost), String::new()));
        if let Some(margin) = costs.and_then(|points| program.margin_of(reward, points, now)) {
            let currency = frame.program.settings.money.as_str();
            let places = [("value", point_value(value).into()), ("currency", currency.into())];
            let shown = format!("{}\u{202f}%", plain(margin).replace('-', "−"));
            let mut note = frame.say("prices-figure-margin-note", places);
            if margin < Decimal::ZERO {
                note = format!("{} · {note}", frame.t("prices-below-cost"));
            }
            figures.push(figure("prices-figure-margin", shown, note));
        }
    }
    if let Some(market) = reward.catalogue.market_price {
        let minor = market.checked_mul(Decimal::from(program.minor_per_major())).and_then(|it| i64::try_from(it).ok());
        let percent = worth.zip(minor).filter(|(_, market)| *market > 0).and_then(|(worth, market)| {
            let share = Decimal::from(worth).checked_mul(Decimal::ONE_HUNDRED)?.checked_div(Decimal::from(market))?;
            Some(plain(share.round_dp(0)))
        });
        let note = percent.map(|percent| frame.say_text("prices-figure-market-note", "percent", &percent));
        figures.push(Figure {
            label: frame.t("prices-figure-market"),
            value: money(frame, market),
            note: note.unwrap_or_default(),
        });
    }
    if let Some(measured) = measured.filter(|_| reward.price.demand.is_some()) {
        let [orders, views] = figures_words(frame, reward, measured);
        figures.push(Figure { label: frame.t("prices-figure-hour"), value: orders, note: views });
    }
    figures
}
