//! Suppliers: how each answers, the form that keeps one, the comparison with its list, and what does not fit.

use std::collections::BTreeSet;

use askama::Template;
use axum::extract::{Form, Path, Query, State};
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Redirect, Response};
use guerdon_core::identity::Permission;
use guerdon_core::rewards::Fulfilment;
use guerdon_core::time::Timestamp;
use serde::Deserialize;

use super::frame::{Frame, render};
use super::nav::Place;
use super::trouble::{PageError, unprocessable};
use crate::AppState;
use crate::fulfilment::supplier::differences::{self, Difference};
use crate::fulfilment::supplier::reconcile::{self, Report};
use crate::fulfilment::supplier::{self, Breaker, Supplier, Wanted};
use crate::identity::access::{Needs, Pages};
use crate::problem::Problem;

/// Differences of one page.
const PAGE: i64 = 50;
const DAY_MS: i64 = 86_400_000;

/// The pages of suppliers.
pub fn pages() -> Pages {
    let (reads, writes) = (Needs::Permission(Permission::SuppliersRead), Needs::Permission(Permission::SuppliersWrite));
    Pages::default()
        .get("/console/suppliers", reads, page)
        .post("/console/suppliers", writes, keep_new)
        .get("/console/suppliers/{name}", reads, one)
        .post("/console/suppliers/{name}", writes, keep)
        .post("/console/suppliers/{name}/compare", writes, compare)
        .post("/console/suppliers/differences", writes, settle)
}

struct Line {
    name: String,
    title: String,
    url: String,
    circuit: &'static str,
    words: String,
    trouble: Option<String>,
}

struct DifferenceLine {
    id: String,
    order: String,
    supplier: String,
    words: String,
    /// As it was noted for the log, where that says more.
    detail: Option<String>,
    at: String,
}

#[derive(Template)]
#[template(path = "console/suppliers.html")]
struct SuppliersPage {
    frame: Frame,
    lines: Vec<Line>,
    /// Names that rewards ask for and nobody keeps.
    missing: Vec<String>,
    differences: Vec<DifferenceLine>,
    next: Option<String>,
    may_write: bool,
    form: SupplierForm,
    trouble: Option<String>,
}

#[derive(Template)]
#[template(path = "console/supplier.html")]
struct SupplierPage {
    frame: Frame,
    line: Line,
    report: Option<ReportView>,
    may_write: bool,
    form: SupplierForm,
    secret: Option<String>,
    trouble: Option<String>,
}

struct ReportView {
    time: String,
    words: String,
    lines: Vec<(String, String)>,
    more: usize,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct SupplierForm {
    name: String,
    title: String,
    url: String,
    timeout_ms: String,
    attempts: String,
    active: Option<String>,
    renew_secret: Option<String>,
}

impl SupplierForm {
    fn of(name: &str, supplier: &Supplier) -> Self {
        Self {
            name: name.to_owned(),
            title: supplier.title.clone(),
            url: supplier.url.clone(),
            timeout_ms: supplier.timeout_ms.to_string(),
            attempts: supplier.attempts.to_string(),
            active: supplier.active.then(|| "yes".to_owned()),
            renew_secret: None,
        }
    }

    fn empty() -> Self {
        let (timeout_ms, attempts) = ("5000".to_owned(), "8".to_owned());
        Self { timeout_ms, attempts, active: Some("yes".to_owned()), ..Self::default() }
    }

    fn wanted(&self) -> Wanted {
        // What is no number is refused as one that is out of bounds.
        let number = |text: &str| text.trim().parse::<i64>().unwrap_or(-1);
        Wanted {
            title: self.title.clone(),
            url: self.url.trim().to_owned(),
            timeout_ms: Some(number(&self.timeout_ms)),
            attempts: Some(u32::try_from(number(&self.attempts)).unwrap_or(0)),
            first_retry_ms: None,
            active: self.active.is_some(),
            renew_secret: self.renew_secret.is_some(),
        }
    }
}

/// What only the store can be blamed for.
fn store_trouble<T>(frame: &Frame, found: Result<T, Problem>) -> Result<T, PageError> {
    found.map_err(|problem| PageError::of(frame, &problem))
}

fn line(frame: &Frame, state: &AppState, name: &str, supplier: &Supplier, breaker: Breaker) -> Line {
    let circuit = if supplier.active { breaker.circuit(state.clock()).name() } else { "inactive" };
    let trouble = breaker.last_failure.map(|(at, words)| {
        let at = frame.clock_time(at);
        frame.say("supplier-last-failure", [("time", at.into()), ("words", words.into())])
    });
    Line {
        name: name.to_owned(),
        title: supplier.title.clone(),
        url: supplier.url.clone(),
        circuit,
        words: frame.t(&format!("supplier-circuit-{circuit}")),
        trouble,
    }
}

/// A difference in words; one that has none as it is called.
fn what_words(frame: &Frame, what: &str) -> String {
    frame.language.say_if_known(&format!("difference-{what}")).unwrap_or_else(|| what.to_owned())
}

/// Differences of which more is known than what they are called: how an answer did not fit.
const TOLD: [&str; 3] = ["unreadable_answer", "answer_for_another_order", "unfit_answer"];

fn difference(frame: &Frame, (id, difference): (String, Difference)) -> DifferenceLine {
    let more = TOLD.contains(&difference.what.as_str());
    DifferenceLine {
        id,
        words: what_words(frame, &difference.what),
        detail: more.then(|| frame.say_text("difference-as-noted", "detail", &difference.detail)),
        order: difference.order,
        supplier: difference.supplier,
        at: frame.clock_time(difference.at),
    }
}

#[derive(Deserialize)]
struct Asked {
    after: Option<String>,
}

async fn page(frame: Frame, State(state): State<AppState>, Query(asked): Query<Asked>) -> Result<Response, PageError> {
    show(frame, &state, asked.after, SupplierForm::empty(), None).await
}

async fn show(
    frame: Frame,
    state: &AppState,
    after: Option<String>,
    form: SupplierForm,
    trouble: Option<String>,
) -> Result<Response, PageError> {
    let frame = frame.at(Place::Suppliers);
    let kept = store_trouble(&frame, supplier::all(state).await)?;
    let mut lines = Vec::with_capacity(kept.len());
    for (name, supplier) in &kept {
        let breaker = store_trouble(&frame, supplier::circuit(state, name).await)?;
        lines.push(line(&frame, state, name, supplier, breaker));
    }
    let named = frame.program.rewards().filter_map(|reward| match &reward.fulfilment {
        Some(Fulfilment::Supplier { supplier }) => Some(supplier.clone()),
        _ => None,
    });
    let missing: BTreeSet<String> = named.filter(|name| !kept.iter().any(|(known, _)| known == name)).collect();
    let mut found = store_trouble(&frame, differences::list(state, None, after, PAGE + 1).await)?;
    let more = found.len() as i64 > PAGE;
    found.truncate(usize::try_from(PAGE).unwrap_or(usize::MAX));
    let next = found.last().filter(|_| more).map(|(id, _)| id.clone());
    Ok(render(&SuppliersPage {
        lines,
        missing: missing.into_iter().collect(),
        differences: found.into_iter().map(|one| difference(&frame, one)).collect(),
        next,
        may_write: frame.actor.may(Permission::SuppliersWrite),
        form,
        trouble,
        frame,
    }))
}

async fn keep_new(
    frame: Frame,
    State(state): State<AppState>,
    Form(form): Form<SupplierForm>,
) -> Result<Response, PageError> {
    let name = form.name.trim().to_owned();
    let known = store_trouble(&frame, supplier::find(&state, &name).await)?;
    if known.is_some() {
        let trouble = Some(frame.t("supplier-name-taken"));
        return Ok(unprocessable(show(frame, &state, None, form, trouble).await?));
    }
    match supplier::keep(&state, &frame.actor, &name, &form.wanted()).await {
        Ok(secret) => show_one(frame, &state, &name, None, secret, None).await,
        Err(problem) => {
            let trouble = Some(frame.trouble(&problem)?);
            Ok(unprocessable(show(frame, &state, None, form, trouble).await?))
        }
    }
}

async fn one(frame: Frame, State(state): State<AppState>, Path(name): Path<String>) -> Result<Response, PageError> {
    show_one(frame, &state, &name, None, None, None).await
}

async fn show_one(
    frame: Frame,
    state: &AppState,
    name: &str,
    typed: Option<SupplierForm>,
    secret: Option<String>,
    trouble: Option<String>,
) -> Result<Response, PageError> {
    let frame = frame.at(Place::Suppliers);
    let (_, supplier) = store_trouble(&frame, supplier::known(state, name).await)?;
    let breaker = store_trouble(&frame, supplier::circuit(state, name).await)?;
    let report = store_trouble(&frame, reconcile::latest(state, name).await)?;
    let page = SupplierPage {
        line: line(&frame, state, name, &supplier, breaker),
        report: report.map(|report| report_view(&frame, report)),
        may_write: frame.actor.may(Permission::SuppliersWrite),
        form: typed.unwrap_or_else(|| SupplierForm::of(name, &supplier)),
        secret,
        trouble,
        frame,
    };
    let mut response = render(&page);
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

fn report_view(frame: &Frame, report: Report) -> ReportView {
    let counts = [("listed", report.listed.into()), ("matched", report.matched.into())];
    let times = [("from", frame.clock_time(report.from).into()), ("to", frame.clock_time(report.to).into())];
    ReportView {
        time: frame.say("supplier-compared", times),
        words: frame.say("supplier-compared-counts", counts),
        lines: report.differences.into_iter().map(|line| (line.order, what_words(frame, &line.what))).collect(),
        more: report.more,
    }
}

async fn keep(
    frame: Frame,
    State(state): State<AppState>,
    Path(name): Path<String>,
    Form(form): Form<SupplierForm>,
) -> Result<Response, PageError> {
    store_trouble(&frame, supplier::known(&state, &name).await)?;
    match supplier::keep(&state, &frame.actor, &name, &form.wanted()).await {
        Ok(secret) => show_one(frame, &state, &name, None, secret, None).await,
        Err(problem) => {
            let trouble = Some(frame.trouble(&problem)?);
            Ok(unprocessable(show_one(frame, &state, &name, Some(form), None, trouble).await?))
        }
    }
}

#[derive(Deserialize)]
struct CompareForm {
    #[serde(default)]
    days: String,
}

async fn compare(
    frame: Frame,
    State(state): State<AppState>,
    Path(name): Path<String>,
    Form(form): Form<CompareForm>,
) -> Result<Response, PageError> {
    let days = form.days.trim().parse::<i64>().unwrap_or_default().clamp(1, 92);
    let to = state.clock();
    let from: Timestamp = to.plus_millis(-days * DAY_MS);
    match reconcile::run(&state, &frame.actor, &name, from, to).await {
        Ok(_) => Ok(Redirect::to(&format!("/console/suppliers/{name}")).into_response()),
        Err(problem) if problem.status == 404 => Err(PageError::not_found(&frame)),
        Err(problem) => {
            let trouble = Some(frame.problem(&problem));
            Ok(unprocessable(show_one(frame, &state, &name, None, None, trouble).await?))
        }
    }
}

#[derive(Deserialize)]
#[serde(default)]
#[derive(Default)]
struct SettleForm {
    id: String,
    note: String,
}

async fn settle(
    frame: Frame,
    State(state): State<AppState>,
    Form(form): Form<SettleForm>,
) -> Result<Response, PageError> {
    match differences::settle(&state, &frame.actor, &form.id, form.note.trim()).await {
        Ok(()) => Ok(Redirect::to("/console/suppliers").into_response()),
        Err(problem) => {
            let trouble = Some(frame.trouble(&problem)?);
            Ok(unprocessable(show(frame, &state, None, SupplierForm::empty(), trouble).await?))
        }
    }
}
