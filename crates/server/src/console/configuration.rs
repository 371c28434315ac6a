//! Rules and campaigns, and every other document of the program: what holds, what is to come, the versions of each, and
//! how they differ.

use std::collections::BTreeMap;

use askama::Template;
use axum::extract::{Form, Path, State};
use axum::response::{IntoResponse, Redirect, Response};
use guerdon_core::identity::Permission;
use guerdon_core::ledger::CurrencyId;
use guerdon_core::program::{Difference, Document, Draft, KINDS, Verdict, awaited, compare, holding, newest};
use guerdon_core::time::Timestamp;
use rust_decimal::Decimal;
use serde::Deserialize;
use serde_json::Value;

use super::frame::{Frame, render};
use super::nav::Place;
use super::operators;
use super::trouble::{OrPage, PageError};
use crate::AppState;
use crate::drafts;
use crate::identity::access::{Needs, Pages};

/// The pages of documents.
pub fn pages() -> Pages {
    let read = Needs::Permission(Permission::ProgramRead);
    Pages::default()
        .get("/console/rules", read, rules)
        .get("/console/campaigns", read, campaigns)
        .get("/console/configuration", read, everything)
        .get("/console/configuration/{kind}/{id}", read, page)
        .post("/console/configuration/{kind}/{id}", Needs::Permission(Permission::ProgramWrite), retire)
}

/// The place in the navigation of a kind of documents.
pub(super) fn place(kind: &str) -> Place {
    match kind {
        "rule" => Place::Rules,
        "campaign" => Place::Campaigns,
        _ => Place::Configuration,
    }
}

/// The address of the list that a kind of documents stands in, and the key of its words.
pub(super) fn home(kind: &str) -> (&'static str, &'static str) {
    match kind {
        "rule" => ("/console/rules", "nav-rules"),
        "campaign" => ("/console/campaigns", "nav-campaigns"),
        _ => ("/console/configuration", "nav-configuration"),
    }
}

/// The name of a document in the page's language, or its id.
pub(super) fn name_of(frame: &Frame, document: &Value, id: &str) -> String {
    let of = |name: &Value| match name {
        Value::String(name) => Some(name.clone()),
        Value::Object(names) => {
            let language = frame.language.tag().split('-').next().unwrap_or_default();
            let own = names.get(language).or_else(|| names.get("en")).or_else(|| names.values().next());
            own.and_then(Value::as_str).map(str::to_owned)
        }
        _ => None,
    };
    document.get("name").and_then(of).unwrap_or_else(|| id.to_owned())
}

/// What a document says, in a line: what a rule gives and to what, when a campaign runs, what a reward costs.
pub(super) fn summary(frame: &Frame, kind: &str, document: &Value) -> String {
    let text = |path: &str| {
        let value = document.pointer(path)?;
        value.as_str().map(str::to_owned).or_else(|| value.as_number().map(ToString::to_string))
    };
    let money = |major: &str| {
        let minor = Decimal::from(frame.program.minor_per_major());
        let minor = major.parse::<Decimal>().ok().and_then(|major| major.checked_mul(minor));
        minor.and_then(|minor| minor.trunc().try_into().ok()).map_or_else(|| major.to_owned(), |it| frame.money(it))
    };
    match kind {
        "rule" => {
            let trigger = match document.get("trigger") {
                Some(Value::Array(kinds)) => kinds.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", "),
                other => other.and_then(Value::as_str).unwrap_or_default().to_owned(),
            };
            let effect = text("/effect/type").unwrap_or_default();
            let of = |name: &str| text(&format!("/effect/{name}")).unwrap_or_default();
            let points_of = |number: String| {
                let one = i64::from(number != "1") + 1;
                frame.say("points", [("points", number.into()), ("count", one.into())])
            };
            let gives = match effect.as_str() {
                "points_per_money" => {
                    let (points, unit) = (points_of(of("rate")), money("1"));
                    frame.say("gives-per-money", [("points", points.into()), ("unit", unit.into())])
                }
                "points_per_step" => {
                    let (points, step) = (points_of(of("points")), money(&of("step")));
                    frame.say("gives-per-step", [("points", points.into()), ("step", step.into())])
                }
                "fixed_points" => points_of(of("points")),
                "percent_of_rule" => {
                    let rule = frame.rule_name(&of("rule"));
                    frame.say("gives-percent", [("percent", of("percent").into()), ("rule", rule.into())])
                }
                "multiply" => frame.say("gives-times", [("factor", of("factor").into())]),
                "take_back_per_money" => {
                    let (points, unit) = (points_of(of("rate")), money("1"));
                    frame.say("gives-back", [("points", points.into()), ("unit", unit.into())])
                }
                other => other.replace('_', " "),
            };
            format!("{trigger} → {gives}")
        }
        "activity" => {
            let fields = document.pointer("/schema/properties").and_then(Value::as_object).into_iter().flatten();
            fields.map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(", ")
        }
        "campaign" => {
            let [from, to] = ["/schedule/from", "/schedule/to"]
                .map(|path| text(path).map(|time| time.chars().take(16).collect::<String>().replace('T', " ")));
            let open = || "…".to_owned();
            match (from, to) {
                (None, None) => frame.t("campaign-always"),
                (from, to) => format!("{} – {}", from.unwrap_or_else(open), to.unwrap_or_else(open)),
            }
        }
        "reward" => {
            let currency = document.get("currency").and_then(Value::as_u64).and_then(|id| u16::try_from(id).ok());
            let points = text("/price").or_else(|| text("/price/points")).and_then(|points| points.parse().ok());
            match points {
                Some(points) => frame.points(currency.map_or(CurrencyId(1), CurrencyId), points),
                None => frame.say("price-by-cost", [("cost", money(&text("/price/cost").unwrap_or_default()).into())]),
            }
        }
        _ => String::new(),
    }
}

/// A line of a list.
struct Line {
    address: String,
    name: String,
    id: String,
    summary: String,
    state: &'static str,
    state_words: String,
    /// From when on, and what comes next.
    when: String,
    who: String,
}

struct Group {
    title: String,
    /// The kind of which one can be begun here.
    kind: Option<&'static str>,
    lines: Vec<Line>,
}

/// A draft in a list.
pub(super) struct DraftLine {
    pub id: String,
    pub title: String,
    pub about: String,
    pub state: &'static str,
    pub state_words: String,
    pub when: String,
}

#[derive(Template)]
#[template(path = "console/documents.html")]
struct ListPage {
    frame: Frame,
    title: String,
    about: String,
    /// What can be begun here.
    kind: Option<&'static str>,
    may_write: bool,
    groups: Vec<Group>,
    drafts: Vec<DraftLine>,
}

async fn rules(frame: Frame, State(state): State<AppState>) -> Result<Response, PageError> {
    list(frame, &state, Some("rule")).await
}

async fn campaigns(frame: Frame, State(state): State<AppState>) -> Result<Response, PageError> {
    list(frame, &state, Some("campaign")).await
}

async fn everything(frame: Frame, State(state): State<AppState>) -> Result<Response, PageError> {
    list(frame, &state, None).await
}

/// Which draft has brought a version.
pub(super) struct Origins(BTreeMap<(String, String, i64), (String, Draft)>);

impl Origins {
    pub(super) fn of(drafts: &[(guerdon_store::Record, Draft)]) -> Self {
        let all = drafts.iter().flat_map(|(record, draft)| {
            let key = |one: &guerdon_core::program::Brought| (one.kind.clone(), one.id.clone(), one.version);
            draft.brought.iter().map(move |one| (key(one), (record.id.clone(), draft.clone())))
        });
        Self(all.collect())
    }

    fn get(&self, one: &Document) -> Option<&(String, Draft)> {
        self.0.get(&(one.kind.clone(), one.id.clone(), one.version))
    }
}

/// A moment from which on something holds.
pub(super) fn since(frame: &Frame, from: Timestamp) -> String {
    if from == Timestamp::ZERO { frame.t("from-beginning") } else { frame.clock_time(from) }
}

/// A draft as a line of a list.
pub(super) fn draft_line(frame: &Frame, state: &AppState, id: &str, draft: &Draft) -> DraftLine {
    let standing = drafts::standing(state, draft).name();
    let about = draft.changes.iter().map(|change| {
        let kind = frame.t(&format!("kind-of-{}", change.kind));
        let sign = if change.document.is_none() { " ✕" } else { "" };
        format!("{kind} {}{sign}", change.id)
    });
    DraftLine {
        id: id.to_owned(),
        title: draft.title.clone(),
        about: about.collect::<Vec<_>>().join(" · "),
        state: standing,
        state_words: frame.t(&format!("standing-{standing}")),
        when: draft.effective_from.map(|from| since(frame, from)).unwrap_or_default(),
    }
}

async fn list(frame: Frame, state: &AppState, kind: Option<&'static str>) -> Result<Response, PageError> {
    let frame = frame.at(kind.map_or(Place::Configuration, place));
    let (program, now) = (state.program(), state.engine.now());
    let documents = program.documents();
    let all = drafts::list(state).await.or_page(&frame)?;
    let origins = Origins::of(&all);
    let mut groups = Vec::new();
    for one in KINDS.iter().filter(|one| kind.is_none_or(|kind| kind == **one)) {
        let mut shown: Vec<&Document> = Vec::new();
        for known in documents.iter().filter(|known| known.kind == *one) {
            if newest(documents, &known.kind, &known.id).is_some_and(|newest| newest == known) {
                // What holds, or will: what is gone for long stands at the end.
                let held = holding(documents, &known.kind, &known.id, now).filter(|held| held.state == "active");
                shown.push(held.unwrap_or(known));
            }
        }
        shown.sort_by_key(|known| (drafts::state_of(known, documents, now) == "retired", known.position));
        let mut lines = Vec::new();
        for known in shown {
            lines.push(line(&frame, state, known, documents, now, &origins).await);
        }
        let title = if kind.is_some() { String::new() } else { frame.t(&format!("kinds-{one}")) };
        let begins = kind.is_none() && matches!(*one, "activity" | "rule" | "campaign" | "reward");
        groups.push(Group { title, kind: Some(*one).filter(|_| begins), lines });
    }
    let open = all.iter().filter(|(_, draft)| {
        let standing = drafts::standing(state, draft).name();
        let is_open = matches!(standing, "draft" | "submitted" | "approved" | "scheduled");
        is_open && kind.is_none_or(|kind| draft.changes.iter().any(|change| change.kind == kind))
    });
    let drafts = open.map(|(record, draft)| draft_line(&frame, state, &record.id, draft)).collect();
    let name = kind.unwrap_or("all");
    let (title, about) = (frame.t(&format!("documents-{name}")), frame.t(&format!("documents-{name}-about")));
    let may_write = frame.actor.may(Permission::ProgramWrite);
    Ok(render(&ListPage { title, about, kind, may_write, groups, drafts, frame }))
}

async fn line(
    frame: &Frame,
    state: &AppState,
    known: &Document,
    documents: &[Document],
    now: Timestamp,
    origins: &Origins,
) -> Line {
    let document: Value = serde_json::from_str(&known.body).unwrap_or_default();
    let own = drafts::state_of(known, documents, now);
    let next = awaited(documents, &known.kind, &known.id, now).filter(|next| *next != known);
    let mut when = since(frame, known.effective_from);
    if let Some(next) = next {
        let key = if next.state == "active" { "next-version" } else { "next-retired" };
        when = format!("{when} · {}", frame.say(key, [("time", frame.clock_time(next.effective_from).into())]));
    }
    let who = match origins.get(known) {
        Some((_, draft)) => operators::name(state, frame, &draft.author).await,
        None => frame.t("by-program-file"),
    };
    Line {
        address: format!("/console/configuration/{}/{}", known.kind, known.id),
        name: name_of(frame, &document, &known.id),
        id: known.id.clone(),
        summary: summary(frame, &known.kind, &document),
        state: own,
        state_words: frame.t(&format!("version-{own}")),
        when,
        who,
    }
}

/// A difference as the pages show it.
pub(super) struct Row {
    pub what: String,
    pub field: String,
    pub before: String,
    pub after: String,
    pub verdict: &'static str,
    pub words: String,
}

/// Differences as the pages show them.
pub(super) fn rows(frame: &Frame, differences: &[Difference]) -> Vec<Row> {
    differences.iter().map(|one| row(frame, one)).collect()
}

fn row(frame: &Frame, one: &Difference) -> Row {
    let whole = one.field.is_empty();
    let shown = |value: &Value| match value {
        Value::Null => frame.t("none"),
        _ if whole => frame.t("document-there"),
        Value::String(text) => text.clone(),
        Value::Bool(true) => frame.t("yes"),
        Value::Bool(false) => frame.t("no"),
        other => other.to_string(),
    };
    let field = match (whole, &one.after) {
        (true, Value::Null) => frame.t("difference-retired"),
        (true, _) => frame.t("difference-new"),
        _ => one.field.clone(),
    };
    Row {
        what: format!("{} {}", frame.t(&format!("kind-of-{}", one.kind)), one.id),
        field,
        before: shown(&one.before),
        after: shown(&one.after),
        verdict: one.verdict.name(),
        words: frame.t(match one.verdict {
            Verdict::Better => "verdict-better",
            Verdict::Worse => "verdict-worse",
            Verdict::Neutral => "verdict-neutral",
            Verdict::Unclear => "verdict-unclear",
        }),
    }
}

/// A version of a document, as its page shows it.
struct Version {
    number: String,
    state: &'static str,
    state_words: String,
    from: String,
    who: String,
    /// The draft that has brought it.
    draft: Option<(String, String)>,
    /// Against the version before it.
    differences: Vec<Row>,
    text: String,
}

#[derive(Template)]
#[template(path = "console/document.html")]
struct DocumentPage {
    frame: Frame,
    home: (&'static str, &'static str),
    kind: String,
    id: String,
    name: String,
    summary: String,
    state: &'static str,
    state_words: String,
    facts: Vec<(String, String)>,
    versions: Vec<Version>,
    may_write: bool,
    may_retire: bool,
    retire_title: String,
}

/// A document as people read it.
pub(super) fn pretty(document: &Value) -> String {
    serde_json::to_string_pretty(document).unwrap_or_default()
}

async fn page(
    frame: Frame,
    State(state): State<AppState>,
    Path((kind, id)): Path<(String, String)>,
) -> Result<Response, PageError> {
    let frame = frame.at(place(&kind));
    let (program, now) = (state.program(), state.engine.now());
    let documents = program.documents();
    let mut own: Vec<&Document> = documents.iter().filter(|one| one.kind == kind && one.id == id).collect();
    own.sort_by_key(|one| std::cmp::Reverse(one.version));
    let Some(newest) = own.first() else { return Err(PageError::not_found(&frame)) };
    let shown = holding(documents, &kind, &id, now).unwrap_or(newest);
    let all = drafts::list(&state).await.or_page(&frame)?;
    let origins = Origins::of(&all);
    let mut versions = Vec::new();
    for (place, one) in own.iter().enumerate() {
        versions.push(version(&frame, &state, one, own.get(place + 1).copied(), &origins).await);
    }
    let document: Value = serde_json::from_str(&shown.body).unwrap_or_default();
    let own_state = drafts::state_of(shown, documents, now);
    let name = name_of(&frame, &document, &id);
    let may_write = frame.actor.may(Permission::ProgramWrite);
    let retirable = guerdon_core::program::check_retirable(&kind, &id).is_ok() && newest.state == "active";
    Ok(render(&DocumentPage {
        home: home(&kind),
        facts: facts(&frame, &kind, &document),
        summary: summary(&frame, &kind, &document),
        state: own_state,
        state_words: frame.t(&format!("version-{own_state}")),
        retire_title: frame.say("retire-title", [("name", name.as_str().into())]),
        may_retire: may_write && retirable,
        may_write,
        kind,
        id,
        name,
        versions,
        frame,
    }))
}

/// What stands in a document, where people ask for it first.
fn facts(frame: &Frame, kind: &str, document: &Value) -> Vec<(String, String)> {
    let fields: &[&str] = match kind {
        "rule" => &["condition", "campaign", "arm", "pending_days", "priority", "caps"],
        "campaign" => &["audience", "department", "schedule", "release", "arms", "caps"],
        _ => &[],
    };
    let fact = |field: &&str| {
        let value = words(document.get(*field)?)?;
        Some((frame.t(&format!("field-{field}").replace('_', "-")), value))
    };
    fields.iter().filter_map(fact).collect()
}

/// A value as a line of text: parts by their names, lists with semicolons; what is as usual is left out.
fn words(value: &Value) -> Option<String> {
    let part = |(name, value): (&String, &Value)| match (name.as_str(), value) {
        ("currency", Value::Number(number)) if number.as_i64() == Some(1) => None,
        ("over", Value::String(usual)) if usual == "trim" => None,
        // The summary tells it.
        ("from" | "to", _) => None,
        ("window" | "id", value) => words(value),
        (name, value) => words(value).map(|value| format!("{name} {value}")),
    };
    let text = match value {
        Value::Null => return None,
        Value::Number(number) if number.as_i64() == Some(0) => return None,
        Value::String(text) => text.clone(),
        Value::Array(all) => all.iter().filter_map(words).collect::<Vec<_>>().join("; "),
        Value::Object(parts) => parts.iter().filter_map(part).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    };
    Some(text).filter(|text| !text.is_empty())
}

async fn version(
    frame: &Frame,
    state: &AppState,
    one: &Document,
    before: Option<&Document>,
    origins: &Origins,
) -> Version {
    let content = |one: &Document| -> Option<Value> {
        if one.state == "active" { serde_json::from_str(&one.body).ok() } else { None }
    };
    let differences = match before {
        Some(before) => compare(&one.kind, &one.id, content(before).as_ref(), content(one).as_ref()),
        None => Vec::new(),
    };
    let own = drafts::state_of(one, state.program().documents(), state.engine.now());
    let (who, draft) = match origins.get(one) {
        Some((id, draft)) => {
            (operators::name(state, frame, &draft.author).await, Some((id.clone(), draft.title.clone())))
        }
        None => (frame.t("by-program-file"), None),
    };
    Version {
        number: frame.say("version-number", [("version", one.version.into())]),
        state: own,
        state_words: frame.t(&format!("version-{own}")),
        from: since(frame, one.effective_from),
        who,
        draft,
        differences: rows(frame, &differences),
        text: content(one).map(|content| pretty(&content)).unwrap_or_default(),
    }
}

#[derive(Deserialize)]
struct RetireForm {
    title: String,
}

/// Begins a draft that retires a document, and shows it.
async fn retire(
    frame: Frame,
    State(state): State<AppState>,
    Path((kind, id)): Path<(String, String)>,
    Form(form): Form<RetireForm>,
) -> Result<Response, PageError> {
    let draft = drafts::retire(&state, &frame.actor, &kind, &id, form.title.trim()).await.or_page(&frame)?;
    Ok(Redirect::to(&format!("/console/drafts/{draft}")).into_response())
}
