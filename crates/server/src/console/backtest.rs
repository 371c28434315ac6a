//! The backtest of a draft: begun, watched, cancelled, and what it came to: figures, charts, and who is better or worse off.

use askama::Template;
use axum::extract::{Form, Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use guerdon_backtest::Backtest;
use guerdon_core::backtest::{Affected, Comparison, CurrencyComparison, Flows, Group, Pair, SideReport};
use guerdon_core::identity::Permission;
use guerdon_core::ledger::CurrencyId;
use guerdon_core::time::Timestamp;
use serde::Deserialize;
use serde_json::json;

use super::configuration::name_of;
use super::format;
use super::frame::{Frame, looking_again, render};
use super::nav::Place;
use super::operators;
use super::summary;
use super::tier::tier_name;
use super::trouble::{OrPage, PageError};
use crate::AppState;
use crate::backtests::{self, Run, Stage, Window};
use crate::drafts;
use crate::identity::access::{Needs, Pages};

/// The page of backtests.
pub fn pages() -> Pages {
    let (read, write) = (Needs::Permission(Permission::ProgramRead), Needs::Permission(Permission::ProgramWrite));
    Pages::default().get("/console/drafts/{id}/backtest", read, page).post("/console/drafts/{id}/backtest", write, act)
}

/// Both sides of a figure, and by how much they differ.
struct Row {
    name: String,
    live: String,
    draft: String,
    difference: String,
    /// What the difference costs; empty where that is no question.
    cost: String,
    /// Whether it is more, less, or the same.
    way: &'static str,
}

struct Card {
    label: String,
    value: String,
    notes: Vec<String>,
}

/// What was earned by rule, month, tier or segment.
struct Table {
    id: &'static str,
    title: String,
    column: String,
    chart: String,
    chart_label: String,
    rows: Vec<Row>,
}

struct AffectedRow {
    member: String,
    row: Row,
}

/// What a backtest came to, in one currency.
struct Told {
    over: String,
    /// The currencies to choose from: number, name, whether it is shown.
    currencies: Vec<(u16, String, bool)>,
    cards: Vec<Card>,
    flows: Vec<Row>,
    months: Table,
    tables: Vec<Table>,
    members: Vec<Card>,
    affected: Vec<AffectedRow>,
    /// What could not happen on a side.
    notes: Vec<String>,
}

/// A backtest that is on its way.
struct Progress {
    words: String,
    done: u64,
    total: u64,
}

/// A backtest in the list.
struct Line {
    id: String,
    asked: String,
    over: String,
    state: String,
    is_shown: bool,
}

#[derive(Template)]
#[template(path = "console/backtest.html")]
struct BacktestPage {
    frame: Frame,
    draft: String,
    title: String,
    shown: String,
    asked: String,
    outdated: bool,
    progress: Option<Progress>,
    /// How it ended without a result.
    ended: Option<String>,
    told: Option<Told>,
    lines: Vec<Line>,
    may_run: bool,
    form: BacktestForm,
    trouble: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Wanted {
    /// Which backtest; empty: the latest.
    run: String,
    /// Which currency; none: the first that can be spent.
    currency: Option<u16>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct BacktestForm {
    act: String,
    from: String,
    to: String,
    /// Which backtest is to be cancelled.
    run: String,
}

async fn page(
    frame: Frame,
    State(state): State<AppState>,
    Path(id): Path<String>,
    Query(wanted): Query<Wanted>,
) -> Result<Response, PageError> {
    show(frame, &state, &id, &wanted, BacktestForm::default(), None).await
}

async fn act(
    frame: Frame,
    State(state): State<AppState>,
    Path(id): Path<String>,
    Form(form): Form<BacktestForm>,
) -> Result<Response, PageError> {
    let address = format!("/console/drafts/{id}/backtest");
    if form.act == "cancel" {
        return match backtests::cancel(&state, &frame.actor, &form.run).await {
            // One that has ended meanwhile is shown as it is.
            Err(problem) if problem.code != "wrong_stage" => Err(PageError::of(&frame, &problem)),
            _ => Ok(Redirect::to(&address).into_response()),
        };
    }
    let day = |text: &str| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
    let window = Window { from: day(&form.from), to: day(&form.to) };
    match backtests::start(&state, &frame.actor, &id, &window).await {
        Ok(_) => Ok(Redirect::to(&address).into_response()),
        Err(problem) if problem.status >= 500 && problem.code != "too_many_backtests" || problem.status == 404 => {
            Err(PageError::of(&frame, &problem))
        }
        Err(problem) => {
            let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::UNPROCESSABLE_ENTITY);
            let trouble = super::drafts::trouble_words(&frame, &problem);
            Ok((status, show(frame, &state, &id, &Wanted::default(), form, Some(trouble)).await?).into_response())
        }
    }
}

async fn show(
    frame: Frame,
    state: &AppState,
    id: &str,
    wanted: &Wanted,
    form: BacktestForm,
    trouble: Option<String>,
) -> Result<Response, PageError> {
    let frame = frame.at(Place::Drafts);
    let (_, draft) = drafts::find(state, id).await.or_page(&frame)?;
    let runs = backtests::list(state, id).await.or_page(&frame)?;
    let chosen = runs.iter().find(|(record, _)| wanted.run.is_empty() || record.id == wanted.run);
    if chosen.is_none() && !wanted.run.is_empty() {
        return Err(PageError::not_found(&frame));
    }
    let shown = chosen.map(|(record, _)| record.id.clone()).unwrap_or_default();
    let mut lines = Vec::with_capacity(runs.len());
    for (record, run) in &runs {
        lines.push(Line {
            asked: asked(&frame, state, run).await,
            over: over(&frame, run.from, run.until),
            state: frame.t(&format!("backtest-state-{}", run.stage.name())),
            is_shown: record.id == shown,
            id: record.id.clone(),
        });
    }
    let run = chosen.map(|(_, run)| run);
    let told = match run.and_then(|run| Some((run, run.result.as_deref()?))) {
        Some((run, result)) => told(&frame, state, run, result, wanted.currency).await?,
        None => None,
    };
    let moves = run.is_some_and(|run| run.stage.is_open());
    let page = BacktestPage {
        draft: id.to_owned(),
        title: draft.title.clone(),
        asked: lines.iter().find(|line| line.is_shown).map(|line| line.asked.clone()).unwrap_or_default(),
        outdated: run.is_some_and(|run| !run.is_of(&draft)),
        progress: run.filter(|_| moves).map(|run| progress(&frame, run)),
        ended: run.and_then(|run| ended(&frame, run)),
        may_run: frame.actor.may(Permission::ProgramWrite),
        shown,
        told,
        lines,
        form,
        trouble,
        frame,
    };
    Ok(looking_again(render(&page), moves && page.trouble.is_none()))
}

async fn asked(frame: &Frame, state: &AppState, run: &Run) -> String {
    let who = operators::name(state, frame, &run.requested_by).await;
    let when = frame.clock_time(run.requested_at);
    frame.say("backtest-asked", [("who", who.into()), ("when", when.into())])
}

/// The time that is counted, in words.
fn over(frame: &Frame, from: Option<Timestamp>, until: Option<Timestamp>) -> String {
    let from = from.filter(|from| *from > Timestamp::ZERO);
    let from = from.map_or_else(|| frame.t("backtest-from-beginning"), |from| frame.clock_time(from));
    let until = until.map_or_else(|| frame.t("backtest-until-now"), |until| frame.clock_time(until));
    frame.say("backtest-over", [("from", from.into()), ("until", until.into())])
}

fn count(number: u64) -> String {
    format::number(i64::try_from(number).unwrap_or(i64::MAX))
}

fn progress(frame: &Frame, run: &Run) -> Progress {
    let words = match run.stage {
        Stage::Queued => frame.t("backtest-queued"),
        _ => frame.say("backtest-running", [("done", count(run.done).into()), ("total", count(run.total).into())]),
    };
    Progress { words, done: run.done, total: run.total.max(1) }
}

fn ended(frame: &Frame, run: &Run) -> Option<String> {
    match run.stage {
        Stage::Failed => Some(frame.say_text("backtest-failed", "trouble", run.trouble.as_deref().unwrap_or_default())),
        Stage::Cancelled => Some(frame.t("backtest-cancelled")),
        _ => None,
    }
}

/// How the page shows figures of one currency.
struct Teller<'a> {
    frame: &'a Frame,
    run: &'a Run,
    currency: &'a CurrencyComparison,
    comparison: &'a Comparison,
}

async fn told(
    frame: &Frame,
    state: &AppState,
    run: &Run,
    result: &Backtest,
    wanted: Option<u16>,
) -> Result<Option<Told>, PageError> {
    let comparison = &result.comparison;
    let currencies = &comparison.currencies;
    let chosen = currencies.iter().find(|one| wanted.is_none_or(|wanted| one.id == CurrencyId(wanted)));
    let Some(currency) = chosen.or(currencies.first()) else { return Ok(None) };
    let teller = Teller { frame, run, currency, comparison };
    let mut affected = Vec::new();
    if frame.may_see_members() {
        for one in &comparison.most_affected {
            affected.push(teller.affected(state, one).await?);
        }
    }
    let name = |one: &CurrencyComparison| one.name.get(frame.language.tag()).to_owned();
    let period = comparison.period;
    Ok(Some(Told {
        over: frame.say(
            "backtest-over-what",
            [
                ("over", over(frame, Some(period.from), Some(period.until)).into()),
                ("activities", count(result.activities).into()),
            ],
        ),
        currencies: currencies.iter().map(|one| (one.id.0, name(one), one.id == currency.id)).collect(),
        cards: teller.cards(),
        flows: teller.flows(),
        months: teller.table("month", &currency.months),
        tables: [("rule", &currency.rules), ("tier", &currency.tiers), ("segment", &currency.segments)]
            .into_iter()
            .filter(|(_, groups)| !groups.is_empty())
            .map(|(by, groups)| teller.table(by, groups))
            .collect(),
        members: teller.members(),
        affected,
        notes: teller.notes(),
    }))
}

impl Teller<'_> {
    fn number(&self, points: i64) -> String {
        // The draft may have another number of decimals, or the currency be its own.
        self.frame.number(self.currency.id, points)
    }

    fn signed(&self, points: i64) -> String {
        format::signed(points, self.frame.decimals(self.currency.id))
    }

    fn money(&self, minor: i64) -> String {
        format::money(&self.comparison.money, self.comparison.money_digits, minor)
    }

    fn signed_money(&self, minor: i64) -> String {
        let text = self.money(minor);
        if minor > 0 { format!("+{text}") } else { text }
    }

    fn points_row(&self, name: String, points: Pair<i64>, cost: Option<Pair<i64>>) -> Row {
        let difference = difference(points);
        Row {
            name,
            live: self.number(points.live),
            draft: self.number(points.draft),
            difference: self.signed(difference),
            cost: cost.map(|cost| self.signed_money(self::difference(cost))).unwrap_or_default(),
            way: way(difference),
        }
    }

    /// What both sides come to: the draft's figure, the live one, and the difference.
    fn card(&self, key: &str, pair: Pair<i64>, shown: impl Fn(i64) -> String, signed: impl Fn(i64) -> String) -> Card {
        let difference = difference(pair);
        let share = format::share(difference.saturating_abs(), pair.live).filter(|_| difference != 0);
        let by = match share {
            Some(share) => {
                let sign = if difference > 0 { "+" } else { "−" };
                let arguments = [("difference", signed(difference).into()), ("share", format!("{sign}{share}").into())];
                self.frame.say("backtest-difference-share", arguments)
            }
            None if difference == 0 => self.frame.t("backtest-no-difference"),
            None => signed(difference),
        };
        let live = self.frame.say_text("backtest-live-figure", "figure", &shown(pair.live));
        Card { label: self.frame.t(key), value: shown(pair.draft), notes: vec![by, live] }
    }

    fn cards(&self) -> Vec<Card> {
        let currency = self.currency;
        let earned = Pair { live: currency.flows.live.earned(), draft: currency.flows.draft.earned() };
        let points = |key, pair| self.card(key, pair, |points| self.number(points), |points| self.signed(points));
        let money = |key, pair| self.card(key, pair, |minor| self.money(minor), |minor| self.signed_money(minor));
        let mut cards = vec![points("backtest-earned", earned)];
        // What cannot be spent is worth nothing.
        if currency.cost != Pair::default() || currency.liability != Pair::default() {
            cards.push(money("backtest-cost", currency.cost));
            cards.push(money("backtest-liability", currency.liability));
        }
        cards.push(points("backtest-outstanding", currency.outstanding));
        cards
    }

    fn flows(&self) -> Vec<Row> {
        let of = |what: fn(&Flows) -> i64| Pair {
            live: what(&self.currency.flows.live),
            draft: what(&self.currency.flows.draft),
        };
        let rows = [
            ("backtest-issued", of(|flows| flows.issued)),
            ("backtest-taken-back", of(|flows| flows.taken_back)),
            ("backtest-redeemed", of(|flows| flows.redeemed)),
            ("backtest-expired", of(|flows| flows.expired)),
            ("backtest-adjusted", of(|flows| flows.adjusted)),
            ("backtest-outstanding", self.currency.outstanding),
        ];
        let moved = rows.into_iter().filter(|(_, pair)| *pair != Pair::default());
        moved.map(|(key, pair)| self.points_row(self.frame.t(key), pair, None)).collect()
    }

    fn table(&self, by: &'static str, groups: &[Group]) -> Table {
        let earned = |group: &Group| Pair { live: group.flows.live.earned(), draft: group.flows.draft.earned() };
        let names: Vec<String> = groups.iter().map(|group| self.name(by, &group.name)).collect();
        let side = |key: &str, of: fn(&Pair<i64>) -> i64| {
            let points: Vec<i64> = groups.iter().map(|group| of(&earned(group))).collect();
            json!({ "name": self.frame.t(key), "points": points })
        };
        let chart = json!({
            "names": names,
            "live": side("backtest-live", |pair| pair.live),
            "draft": side("backtest-draft", |pair| pair.draft),
            "decimals": self.frame.decimals(self.currency.id),
            "sideways": by != "month",
        });
        let rows = groups.iter().zip(&names);
        Table {
            id: by,
            title: self.frame.t(&format!("backtest-by-{by}")),
            column: self.frame.t(&format!("backtest-column-{by}")),
            chart: chart.to_string(),
            chart_label: self.frame.t(&format!("backtest-chart-{by}")),
            rows: rows.map(|(group, name)| self.points_row(name.clone(), earned(group), Some(group.cost))).collect(),
        }
    }

    /// What a rule, month, tier or segment is called; the draft's own name where it has one.
    fn name(&self, by: &str, name: &str) -> String {
        let drafted = || {
            let change = self.run.changes.iter().find(|change| change.kind == by && change.id == name)?;
            Some(name_of(self.frame, change.document.as_ref()?, name))
        };
        match by {
            "month" => match name.split_once('-').map(|(year, month)| (year, month.parse::<i64>())) {
                Some((year, Ok(month))) => self.frame.say("month", [("month", month.into()), ("year", year.into())]),
                _ => name.to_owned(),
            },
            "segment" => self.frame.t(&format!("backtest-segment-{name}")),
            "tier" => drafted().unwrap_or_else(|| tier_name(self.frame, name)),
            _ => drafted().unwrap_or_else(|| self.frame.rule_name(name)),
        }
    }

    fn members(&self) -> Vec<Card> {
        let Comparison { members, better, worse, more, less, .. } = *self.comparison;
        let main = self.comparison.main().map_or(self.currency.id, |main| main.id);
        let by = |points| {
            let shown = format::signed(points, self.frame.decimals(main));
            Some(self.frame.points_as(main, shown, points)).filter(|_| points != 0)
        };
        let of_all = |number: u64| {
            let share = format::share(i64::try_from(number).unwrap_or(i64::MAX), i64::try_from(members).unwrap_or(0));
            let share = share.filter(|_| number > 0);
            share.map(|share| self.frame.say_text("backtest-of-members", "share", &share))
        };
        let card = |key: &str, number: u64, by: Option<String>| {
            let notes = by.into_iter().chain(of_all(number)).collect();
            Card { label: self.frame.t(key), value: count(number), notes }
        };
        vec![
            card("backtest-better", better, by(more)),
            card("backtest-worse", worse, by(less.saturating_neg())),
            card("backtest-same", members.saturating_sub(better.saturating_add(worse)), None),
        ]
    }

    async fn affected(&self, state: &AppState, one: &Affected) -> Result<AffectedRow, PageError> {
        let name = summary::name_of(state, one.member).await.or_page(self.frame)?;
        let main = self.comparison.main().unwrap_or(self.currency);
        let teller = Teller { currency: main, ..*self };
        Ok(AffectedRow { member: one.member.to_string(), row: teller.points_row(name, one.earned, None) })
    }

    fn notes(&self) -> Vec<String> {
        let sides = &self.comparison.sides;
        let mut notes = Vec::new();
        for (key, side) in [("backtest-live", &sides.live), ("backtest-draft", &sides.draft)] {
            self.note(&self.frame.t(key), side, &mut notes);
        }
        notes
    }

    fn note(&self, side: &str, report: &SideReport, notes: &mut Vec<String>) {
        if report.short_orders > 0 {
            notes.push(self.frame.say(
                "backtest-short",
                [
                    ("side", side.into()),
                    ("orders", count(report.short_orders).into()),
                    ("points", format::number(report.short_points).into()),
                ],
            ));
        }
        for (code, number) in &report.refused {
            if !self.frame.may_see_members() {
                // The reason may tell of the member who was refused.
                let code = code.as_str();
                let arguments = [("side", side.into()), ("count", count(*number).into()), ("code", code.into())];
                notes.push(self.frame.say("backtest-refused-count", arguments));
                continue;
            }
            let first = report.refusals.iter().find(|refused| refused.code == *code);
            let why = first.map_or(code.as_str(), |refused| refused.reason.as_str());
            let arguments = [("side", side.into()), ("count", count(*number).into()), ("why", why.into())];
            notes.push(self.frame.say("backtest-refused", arguments));
        }
    }
}

fn difference(pair: Pair<i64>) -> i64 {
    pair.draft.saturating_sub(pair.live)
}

fn way(difference: i64) -> &'static str {
    match difference {
        0 => "",
        1.. => "up",
        _ => "down",
    }
}
