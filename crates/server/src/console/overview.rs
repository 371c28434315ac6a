//! The program at a glance.

use std::sync::Arc;

use askama::Template;
use axum::Extension;
use axum::extract::State;
use axum::response::Response;
use guerdon_core::rewards::{Occasion, level_of};
use guerdon_core::time::Timestamp;
use serde_json::json;

use super::explain::{Explanation, explain};
use super::format;
use super::frame::{Frame, render};
use super::nav::Place;
use super::summary::{Cache, Month, Summary};
use super::trouble::{OrPage, PageError};
use crate::AppState;

struct Card {
    label: String,
    value: String,
    note: String,
}

struct MonthRow {
    name: String,
    earned: String,
    redeemed: String,
    lost: String,
    outstanding: String,
}

struct RuleRow {
    name: String,
    points: String,
    takes: bool,
    times: String,
    share: String,
}

struct StockRow {
    left: String,
    /// For the bar: units that can still be ordered, and all there ever were.
    free: i64,
    all: i64,
    issued: String,
}

struct RewardRow {
    name: String,
    price: String,
    value: String,
    stock: Option<StockRow>,
}

struct LatestRow {
    member_id: String,
    member: String,
    at: String,
    instant: String,
    told: Explanation,
}

#[derive(Template)]
#[template(path = "console/overview.html")]
struct OverviewPage {
    frame: Frame,
    query: String,
    cards: Vec<Card>,
    chart: String,
    months: Vec<MonthRow>,
    rules: Vec<RuleRow>,
    rewards: Vec<RewardRow>,
    latest: Vec<LatestRow>,
}

/// `/console`
pub async fn page(
    frame: Frame,
    State(state): State<AppState>,
    Extension(cache): Extension<Arc<Cache>>,
) -> Result<Response, PageError> {
    let frame = frame.at(Place::Overview);
    let summary = cache.get(&state).await.or_page(&frame)?;
    let now = state.engine.now();
    let latest = summary.latest.iter().map(|(row, name)| LatestRow {
        member_id: row.member_id.to_string(),
        member: name.clone(),
        at: frame.time(row.at),
        instant: row.at.to_string(),
        told: explain(&frame, row),
    });
    Ok(render(&OverviewPage {
        query: String::new(),
        cards: cards(&frame, &summary, now),
        chart: chart(&frame, &summary),
        months: summary.months.iter().rev().map(|month| month_row(&frame, &summary, month)).collect(),
        rules: rules(&frame, &summary),
        rewards: rewards(&frame, &summary, now),
        latest: latest.collect(),
        frame,
    }))
}

fn cards(frame: &Frame, summary: &Summary, now: Timestamp) -> Vec<Card> {
    let (totals, currency) = (&summary.totals, summary.currency);
    let number = |points: i64| frame.number(currency, points);
    let lost = totals.expired.saturating_add(totals.taken_back);
    let outstanding = totals.outstanding();
    let of_earned = |points: i64| match format::share(points, totals.earned) {
        Some(share) => frame.say("card-of-earned", [("share", share.into())]),
        None => String::new(),
    };
    let per_unit = frame.program.currency(currency).map_or(1, |currency| currency.per_money_unit);
    let worth = frame.say(
        "card-worth",
        [
            ("points", frame.points(currency, per_unit).into()),
            ("money", frame.money(frame.program.value_of(currency, per_unit, now)).into()),
        ],
    );
    let lost_note = frame.say(
        "card-lost-note",
        [("expired", number(totals.expired).into()), ("taken", number(totals.taken_back).into())],
    );
    let held = match totals.adjusted {
        0 => String::new(),
        adjusted => {
            let adjusted = format::signed(adjusted, frame.decimals(currency));
            frame.say("card-adjusted", [("points", adjusted.into())])
        }
    };
    let cards = [
        ("card-members", format::number(summary.members), String::new()),
        ("card-earned", number(totals.earned), String::new()),
        ("card-redeemed", number(totals.redeemed), of_earned(totals.redeemed)),
        ("card-lost", number(lost), lost_note),
        ("card-outstanding", number(outstanding), held),
        ("card-liability", frame.money(frame.program.value_of(currency, outstanding, now)), worth),
    ];
    cards.into_iter().map(|(key, value, note)| Card { label: frame.t(key), value, note }).collect()
}

fn month_name(frame: &Frame, month: &Month) -> String {
    let year = month.year.to_string();
    frame.say("month", [("month", i64::from(month.month).into()), ("year", year.into())])
}

/// What console.js draws, as JSON.
fn chart(frame: &Frame, summary: &Summary) -> String {
    let months = &summary.months;
    let names: Vec<String> = months.iter().map(|month| month_name(frame, month)).collect();
    let earned: Vec<i64> = months.iter().map(|month| month.moved.earned).collect();
    let redeemed: Vec<i64> = months.iter().map(|month| month.moved.redeemed).collect();
    let outstanding: Vec<i64> = months.iter().map(|month| month.outstanding).collect();
    json!({
        "months": names,
        "moved": frame.t("chart-moved"),
        "earned": { "name": frame.t("column-earned"), "points": earned },
        "redeemed": { "name": frame.t("column-redeemed"), "points": redeemed },
        "outstanding": { "name": frame.t("column-outstanding"), "points": outstanding },
    })
    .to_string()
}

fn month_row(frame: &Frame, summary: &Summary, month: &Month) -> MonthRow {
    let number = |points: i64| frame.number(summary.currency, points);
    MonthRow {
        name: month_name(frame, month),
        earned: number(month.moved.earned),
        redeemed: number(month.moved.redeemed),
        lost: number(month.moved.expired.saturating_add(month.moved.taken_back)),
        outstanding: number(month.outstanding),
    }
}

fn rules(frame: &Frame, summary: &Summary) -> Vec<RuleRow> {
    let rows = summary.rules.iter().map(|total| RuleRow {
        name: frame.rule_name(&total.rule),
        points: frame.number(summary.currency, total.points),
        takes: total.points < 0,
        times: format::number(total.times),
        share: match format::share(total.points.max(0), summary.totals.earned) {
            Some(share) if total.points > 0 => share,
            _ => frame.t("none"),
        },
    });
    rows.collect()
}

fn rewards(frame: &Frame, summary: &Summary, now: Timestamp) -> Vec<RewardRow> {
    let rows = frame.program.offered().map(|offered| {
        let reward = &offered.reward;
        let stock = level_of(reward, &summary.stock).map(|level| StockRow {
            left: format::number(level.free()),
            free: level.free().max(0),
            all: level.all().max(1),
            issued: format::number(level.issued),
        });
        // Without demand, which takes a query for each.
        let occasion = Occasion { at: now, tier: None, figures: None, quantity: 1 };
        let price = frame.program.price(reward, occasion).ok().map(|priced| priced.unit);
        RewardRow {
            name: reward.name.get(frame.language.tag()).to_owned(),
            price: price.map_or_else(|| frame.t("none"), |points| frame.points(reward.currency, points)),
            value: price
                .map_or_else(String::new, |points| frame.money(frame.program.value_of(reward.currency, points, now))),
            stock,
        }
    });
    rows.collect()
}
