//! Stock as operators see it: every limited reward with its pools, what is low, what comes in next, and restocking by hand.

use std::collections::BTreeMap;

use askama::Template;
use axum::extract::{Form, Path, Query, State};
use axum::response::{IntoResponse, Redirect, Response};
use guerdon_core::identity::Permission;
use guerdon_core::kernel::{Receipt, Restocking};
use guerdon_core::rewards::{CompiledReward, StockLevel};
use guerdon_core::time::Timestamp;
use serde::Deserialize;

use super::format;
use super::frame::{Frame, render};
use super::nav::Place;
use super::operators;
use super::prove;
use super::trouble::{OrPage, PageError, unprocessable};
use crate::AppState;
use crate::acts::By;
use crate::identity::access::{Needs, Pages};
use crate::scarcity;

/// Parts of stock on one page.
const PAGE: usize = 50;
/// Restocks that are shown of a reward.
const LATEST: i64 = 50;

/// The pages of stock.
pub fn pages() -> Pages {
    Pages::default()
        .get("/console/stock", Needs::Permission(Permission::RewardsRead), page)
        .get("/console/stock/{id}", Needs::Permission(Permission::RewardsRead), one)
        .post("/console/stock/{id}", Needs::Permission(Permission::StockWrite), restock)
}

/// What is to be shown. Whatever is wrong in an address is as if it were not there.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Wanted {
    /// `low`: only what is low; empty: all.
    show: String,
    page: usize,
}

/// A part of a reward's stock.
struct Line {
    id: String,
    name: String,
    /// The pool; empty: the reward has none.
    pool: String,
    /// For whom, where it is not for everybody.
    open_to: String,
    on_hand: String,
    reserved: String,
    free: String,
    restocked: String,
    next: String,
    /// `out`, `low` or empty.
    mark: &'static str,
}

#[derive(Template)]
#[template(path = "console/stock.html")]
struct StockPage {
    frame: Frame,
    show: String,
    lines: Vec<Line>,
    next: Option<usize>,
}

/// A restock that was done.
struct Done {
    when: String,
    who: String,
    pool: String,
    quantity: String,
    reason: String,
}

#[derive(Template)]
#[template(path = "console/stock_reward.html")]
struct RewardPage {
    frame: Frame,
    id: String,
    name: String,
    lines: Vec<Line>,
    pools: Vec<String>,
    may_write: bool,
    done: Vec<Done>,
    typed: RestockForm,
    trouble: Option<String>,
}

/// The lines of a reward: one for each part of its stock.
fn lines(frame: &Frame, offered: &CompiledReward, stock: &BTreeMap<String, StockLevel>, now: Timestamp) -> Vec<Line> {
    let line = |(key, part, pool): (String, Option<String>, Option<&guerdon_core::rewards::Pool>)| {
        let level = stock.get(&key)?;
        let next = offered.next_restock(&frame.program.calendar, pool.map(|pool| pool.id.as_str()), now);
        let next = next.map(|(at, quantity)| {
            let quantity = format::number(quantity);
            frame.say("stock-next-words", [("quantity", quantity.into()), ("at", frame.time(at).into())])
        });
        let mark = match level.free() {
            free if free <= 0 => "out",
            _ if level.few().is_some() => "low",
            _ => "",
        };
        Some(Line {
            id: offered.reward.id.clone(),
            name: offered.reward.name.get(frame.language.tag()).to_owned(),
            pool: part.unwrap_or_default(),
            open_to: pool.map(|pool| super::catalogue::for_words(frame, &pool.open_to).join(" · ")).unwrap_or_default(),
            on_hand: format::number(level.on_hand),
            reserved: format::number(level.reserved),
            free: format::number(level.free()),
            restocked: format::number(level.restocked),
            next: next.unwrap_or_else(|| frame.t("none")),
            mark,
        })
    };
    offered.stock_parts().into_iter().filter_map(line).collect()
}

async fn page(
    frame: Frame,
    State(state): State<AppState>,
    Query(wanted): Query<Wanted>,
) -> Result<Response, PageError> {
    let frame = frame.at(Place::Stock);
    let stock = state.reader.stock().await.or_page(&frame)?;
    let (program, now) = (state.program(), state.engine.now());
    let begin = wanted.page.saturating_mul(PAGE);
    let all = program.offered().flat_map(|offered| lines(&frame, offered, &stock, now));
    let fits = |line: &Line| wanted.show != "low" || !line.mark.is_empty();
    let mut lines: Vec<Line> = all.filter(fits).skip(begin).take(PAGE + 1).collect();
    let more = lines.len() > PAGE;
    lines.truncate(PAGE);
    let next = more.then(|| wanted.page.saturating_add(1));
    Ok(render(&StockPage { show: wanted.show, lines, next, frame }))
}

/// What is typed into the form of a restock.
#[derive(Deserialize, Default)]
#[serde(default)]
struct RestockForm {
    key: String,
    pool: String,
    /// `add` or `take`.
    direction: String,
    quantity: String,
    reason: String,
}

async fn one(frame: Frame, State(state): State<AppState>, Path(id): Path<String>) -> Result<Response, PageError> {
    let frame = frame.at(Place::Stock);
    let typed = RestockForm { key: prove::form_key(), ..RestockForm::default() };
    show(frame, &state, &id, typed, None).await
}

async fn restock(
    frame: Frame,
    State(state): State<AppState>,
    Path(id): Path<String>,
    Form(form): Form<RestockForm>,
) -> Result<Response, PageError> {
    let frame = frame.at(Place::Stock);
    let Some(quantity) = format::parse(&form.quantity, 0).filter(|quantity| *quantity > 0) else {
        let trouble = Some(frame.t("stock-quantity-wrong"));
        return Ok(unprocessable(show(frame, &state, &id, form, trouble).await?));
    };
    let quantity = if form.direction == "take" { -quantity } else { quantity };
    let pool = Some(form.pool.clone()).filter(|pool| !pool.is_empty());
    let wanted = Restocking { reward_id: id.clone(), pool, quantity, planned_at: None };
    let by = By { actor: &frame.actor, key: &form.key, channel: "console", reason: form.reason.trim() };
    match scarcity::restock::restock(&state, &by, wanted).await {
        Ok(_) => Ok(Redirect::to(&format!("/console/stock/{id}")).into_response()),
        Err(problem) => {
            let trouble = Some(frame.trouble(&problem)?);
            Ok(unprocessable(show(frame, &state, &id, form, trouble).await?))
        }
    }
}

async fn show(
    frame: Frame,
    state: &AppState,
    id: &str,
    typed: RestockForm,
    trouble: Option<String>,
) -> Result<Response, PageError> {
    let program = state.program();
    let offered = program.offered_at(id, state.engine.now()).ok_or_else(|| PageError::not_found(&frame))?;
    let parts = offered.stock_parts();
    let keys: Vec<String> = parts.iter().map(|(key, ..)| key.clone()).collect();
    let stock = state.reader.stock_of(&keys).await.or_page(&frame)?;
    let lines = lines(&frame, offered, &stock, state.engine.now());
    if lines.is_empty() {
        return Err(PageError::not_found(&frame));
    }
    let mut done = Vec::new();
    for row in state.reader.restocks(id, LATEST).await.or_page(&frame)? {
        done.push(done_line(&frame, state, &row).await);
    }
    Ok(render(&RewardPage {
        id: id.to_owned(),
        name: offered.reward.name.get(frame.language.tag()).to_owned(),
        pools: parts.into_iter().filter(|(key, ..)| stock.contains_key(key)).filter_map(|(_, part, _)| part).collect(),
        may_write: frame.actor.may(Permission::StockWrite),
        lines,
        done,
        typed,
        trouble,
        frame,
    }))
}

async fn done_line(frame: &Frame, state: &AppState, receipt: &Receipt) -> Done {
    let restock = receipt.restock.as_ref();
    let planned = restock.and_then(|restock| restock.planned_at);
    let who = match (&receipt.actor, planned) {
        (Some(actor), _) => operators::name(state, frame, actor).await,
        (None, _) => frame.t("stock-by-itself"),
    };
    Done {
        when: frame.time(receipt.at),
        who,
        pool: restock.and_then(|restock| restock.pool.clone()).unwrap_or_default(),
        quantity: format::signed(restock.map_or(0, |restock| restock.quantity), 0),
        reason: match (&receipt.reason, planned) {
            (Some(reason), _) => reason.clone(),
            (None, Some(at)) => frame.say_text("stock-planned-for", "at", &frame.time(at)),
            (None, None) => String::new(),
        },
    }
}
