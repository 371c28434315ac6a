//! Programs that call: API keys and partners, issued, rotated and ended.

use askama::Template;
use axum::extract::{Form, Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use guerdon_core::identity::Permission;
use guerdon_core::time::Timestamp;
use serde::Deserialize;

use super::format;
use super::frame::{Frame, render};
use super::key_form::KeyForm;
use super::nav::Place;
use super::operators;
use super::permissions::{self, Group};
use super::trouble::PageError;
use crate::AppState;
use crate::identity::access::{Needs, Pages};
use crate::identity::allowance::Allowance;
use crate::identity::client::ClientState;
use crate::identity::clients::{self, Known};
use crate::identity::keys::{self, Key};
use crate::identity::usage::{Usage, Used};
use crate::problem::Problem;

/// Days whose use is shown.
const USED_DAYS: usize = 14;

/// The pages of keys and partners.
pub fn pages() -> Pages {
    let (read, write) = (Needs::Permission(Permission::ClientsRead), Needs::Permission(Permission::ClientsWrite));
    Pages::default()
        .get("/console/keys", read, list)
        .post("/console/keys", write, issue)
        .get("/console/keys/{id}", read, key_page)
        .post("/console/keys/{id}", write, act_on_key)
        .get("/console/clients/{id}", read, client_page)
        .post("/console/clients/{id}", write, act_on_client)
}

/// A secret that is shown this once: what it is, and the secret.
pub struct Shown {
    label: String,
    secret: String,
}

struct Line {
    address: String,
    name: String,
    prefix: String,
    state: String,
    used: String,
    ends: String,
    is_active: bool,
}

#[derive(Template)]
#[template(path = "console/keys.html")]
struct ListPage {
    frame: Frame,
    keys: Vec<Line>,
    clients: Vec<Line>,
    groups: Vec<Group>,
    may_issue: bool,
    shown: Vec<Shown>,
    typed: KeyForm,
    trouble: Option<String>,
}

fn moment(frame: &Frame, at: Option<Timestamp>, never: &str) -> String {
    at.map_or_else(|| frame.t(never), |at| frame.clock_time(at))
}

fn key_line(frame: &Frame, key: &Key) -> Line {
    Line {
        address: format!("/console/keys/{}", key.id),
        name: key.key.name.clone(),
        prefix: key.key.prefix.clone(),
        state: String::new(),
        used: moment(frame, key.last_used_at, "never-used"),
        ends: moment(frame, key.expires_at, "key-without-end"),
        is_active: true,
    }
}

fn client_line(frame: &Frame, known: &Known) -> Line {
    let is_active = known.client.state == ClientState::Active;
    Line {
        address: format!("/console/clients/{}", known.id),
        name: known.client.name.clone(),
        prefix: known.id.clone(),
        state: frame.t(if is_active { "client-active" } else { "client-suspended" }),
        used: moment(frame, known.last_used_at, "never-used"),
        ends: String::new(),
        is_active,
    }
}

async fn list(frame: Frame, State(state): State<AppState>) -> Result<Response, PageError> {
    show_list(frame, &state, Vec::new(), KeyForm::default(), None).await
}

async fn show_list(
    frame: Frame,
    state: &AppState,
    shown: Vec<Shown>,
    typed: KeyForm,
    trouble: Option<String>,
) -> Result<Response, PageError> {
    let frame = frame.at(Place::Keys);
    let keys = keys::list(state).await.map_err(|_| PageError::store(&frame))?;
    let clients = clients::list(state).await.map_err(|_| PageError::store(&frame))?;
    let chosen = permissions::parse(typed.permissions.iter().map(String::as_str));
    Ok(render(&ListPage {
        keys: keys.iter().map(|key| key_line(&frame, key)).collect(),
        clients: clients.iter().map(|known| client_line(&frame, known)).collect(),
        groups: permissions::groups(&frame, frame.actor.access.somewhere(), chosen),
        may_issue: frame.actor.may(Permission::ClientsWrite),
        shown,
        typed,
        trouble,
        frame,
    }))
}

async fn issue(
    frame: Frame,
    State(state): State<AppState>,
    Form(fields): Form<Vec<(String, String)>>,
) -> Result<Response, PageError> {
    let form = KeyForm::read(fields);
    match try_issue(&frame, &state, &form).await {
        Ok(shown) => show_list(frame, &state, shown, KeyForm::default(), None).await,
        Err(problem) if problem.status >= 500 => Err(PageError::store(&frame)),
        Err(problem) => {
            let trouble = frame.problem(&problem);
            let page = show_list(frame, &state, Vec::new(), form, Some(trouble)).await?;
            Ok((StatusCode::UNPROCESSABLE_ENTITY, page).into_response())
        }
    }
}

async fn try_issue(frame: &Frame, state: &AppState, form: &KeyForm) -> Result<Vec<Shown>, Problem> {
    let shown = |label: &str, secret: &str| Shown { label: frame.t(label), secret: secret.to_owned() };
    if form.is_partner {
        let (known, token) = clients::register(state, &frame.actor, &form.client()?).await?;
        return Ok(vec![shown("client-id", &known.id), shown("client-secret", token.reveal())]);
    }
    let (_, secrets) = keys::issue(state, &frame.actor, &form.key(state.clock())?).await?;
    Ok(key_secrets(frame, &secrets))
}

fn key_secrets(frame: &Frame, secrets: &keys::Secrets) -> Vec<Shown> {
    let signing = secrets.signing.iter().map(|secret| ("key-signing-secret", secret));
    let both = [("key-secret", &secrets.token)].into_iter().chain(signing);
    both.map(|(label, token)| Shown { label: frame.t(label), secret: token.reveal().to_owned() }).collect()
}

#[derive(Template)]
#[template(path = "console/key.html")]
struct OnePage {
    frame: Frame,
    title: String,
    address: String,
    facts: Vec<(String, String)>,
    groups: Vec<Group>,
    used: Vec<Used>,
    is_partner: bool,
    is_suspended: bool,
    may_change: bool,
    shown: Vec<Shown>,
    trouble: Option<String>,
}

impl OnePage {
    /// What keys and partners have in common.
    async fn of(frame: Frame, state: &AppState, id: &str, allowance: &Allowance) -> Result<Self, Problem> {
        let mut used = Usage::used(&state.reader, id, state.clock()).await?;
        used.retain(|used| used.period.len() == "2026-01-31".len());
        used.reverse();
        used.truncate(USED_DAYS);
        Ok(Self {
            groups: permissions::groups(&frame, allowance.permissions, allowance.permissions),
            facts: limits(&frame, allowance),
            may_change: frame.actor.may(Permission::ClientsWrite),
            title: String::new(),
            address: String::new(),
            used,
            is_partner: false,
            is_suspended: false,
            shown: Vec::new(),
            trouble: None,
            frame,
        })
    }
}

/// Where, from where and how often.
fn limits(frame: &Frame, allowance: &Allowance) -> Vec<(String, String)> {
    let or_all = |list: Vec<String>, all: &str| if list.is_empty() { frame.t(all) } else { list.join(", ") };
    let rate = allowance.rate.map_or_else(|| frame.t("key-rate-usual"), |rate| rate.to_string());
    vec![
        (frame.t("key-stores"), or_all(allowance.stores.clone(), "key-stores-all")),
        (frame.t("key-networks"), or_all(allowance.network_names(), "key-networks-all")),
        (frame.t("key-rate"), rate),
    ]
}

async fn key_page(frame: Frame, State(state): State<AppState>, Path(id): Path<String>) -> Result<Response, PageError> {
    show_key(frame, &state, &id, Vec::new(), None).await
}

fn gone_or_store(frame: &Frame) -> impl Fn(Problem) -> PageError {
    let frame = frame.clone();
    move |problem| if problem.status == 404 { PageError::not_found(&frame) } else { PageError::store(&frame) }
}

async fn show_key(
    frame: Frame,
    state: &AppState,
    id: &str,
    shown: Vec<Shown>,
    trouble: Option<String>,
) -> Result<Response, PageError> {
    let frame = frame.at(Place::Keys);
    let wrong = gone_or_store(&frame);
    let key = keys::find(state, id).await.map_err(&wrong)?;
    let page = OnePage::of(frame.clone(), state, id, &key.key.allowance).await.map_err(&wrong)?;
    let mut facts = vec![
        (frame.t("key-prefix"), format!("{}…", key.key.prefix)),
        (frame.t("key-since"), frame.clock_time(key.key.created_at)),
        (frame.t("key-by"), operators::name(state, &frame, &key.key.created_by).await),
        (frame.t("key-last-used"), moment(&frame, key.last_used_at, "never-used")),
        (frame.t("key-ends"), moment(&frame, key.expires_at, "key-without-end")),
        (frame.t("key-signed"), frame.t(if key.key.signing.is_some() { "yes" } else { "no" })),
    ];
    facts.extend(page.facts);
    let retiring = |old: &keys::Retiring| {
        (format!("{}…", old.prefix), frame.say_text("key-retiring", "when", &moment(&frame, old.ends_at, "none")))
    };
    facts.extend(key.retiring.iter().map(retiring));
    let address = format!("/console/keys/{}", key.id);
    Ok(render(&OnePage { title: key.key.name, address, facts, shown, trouble, ..page }))
}

#[derive(Deserialize)]
struct ActForm {
    act: String,
    #[serde(default)]
    overlap_hours: String,
}

impl ActForm {
    fn overlap_seconds(&self) -> i64 {
        // What is no number is refused like a number that is too large.
        self.overlap_hours.trim().parse::<i64>().map_or(i64::MAX, |hours| hours.saturating_mul(3_600))
    }
}

async fn act_on_key(
    frame: Frame,
    State(state): State<AppState>,
    Path(id): Path<String>,
    Form(form): Form<ActForm>,
) -> Result<Response, PageError> {
    let done = match form.act.as_str() {
        "rotate" => {
            let rotated = keys::rotate(&state, &frame.actor, &id, form.overlap_seconds(), None).await;
            rotated.map(|(_, secrets)| Some(key_secrets(&frame, &secrets)))
        }
        "revoke" => keys::revoke(&state, &frame.actor, &id).await.map(|()| None),
        _ => return Err(PageError::not_found(&frame)),
    };
    match done {
        Ok(Some(shown)) => show_key(frame, &state, &id, shown, None).await,
        Ok(None) => Ok(Redirect::to("/console/keys").into_response()),
        Err(problem) if problem.status == 404 || problem.status >= 500 => Err(gone_or_store(&frame)(problem)),
        Err(problem) => {
            let trouble = frame.problem(&problem);
            let page = show_key(frame, &state, &id, Vec::new(), Some(trouble)).await?;
            Ok((StatusCode::UNPROCESSABLE_ENTITY, page).into_response())
        }
    }
}

async fn client_page(
    frame: Frame,
    State(state): State<AppState>,
    Path(id): Path<String>,
) -> Result<Response, PageError> {
    show_client(frame, &state, &id, Vec::new(), None).await
}

async fn show_client(
    frame: Frame,
    state: &AppState,
    id: &str,
    shown: Vec<Shown>,
    trouble: Option<String>,
) -> Result<Response, PageError> {
    let frame = frame.at(Place::Keys);
    let wrong = gone_or_store(&frame);
    let known = clients::find(state, id).await.map_err(&wrong)?;
    let client = known.client;
    let page = OnePage::of(frame.clone(), state, id, &client.allowance).await.map_err(&wrong)?;
    let quota = |quota: Option<u64>| match quota.map(i64::try_from) {
        Some(quota) => format::number(quota.unwrap_or(i64::MAX)),
        None => frame.t("client-unlimited"),
    };
    let is_suspended = client.state == ClientState::Suspended;
    let mut facts = vec![
        (frame.t("client-id"), known.id.clone()),
        (frame.t("client-state"), frame.t(if is_suspended { "client-suspended" } else { "client-active" })),
        (frame.t("key-since"), frame.clock_time(client.created_at)),
        (frame.t("key-by"), operators::name(state, &frame, &client.created_by).await),
        (frame.t("key-last-used"), moment(&frame, known.last_used_at, "never-used")),
        (frame.t("client-day"), quota(client.quota.per_day)),
        (frame.t("client-month"), quota(client.quota.per_month)),
    ];
    facts.extend(page.facts);
    let now = state.clock();
    for secret in client.secrets.iter().filter(|secret| secret.holds(now)) {
        let until = match secret.expires_at {
            Some(end) => frame.say_text("key-retiring", "when", &frame.clock_time(end)),
            None => frame.t("client-secret-in-use"),
        };
        facts.push((frame.t("client-secret"), format!("{}… · {until}", secret.prefix)));
    }
    let address = format!("/console/clients/{}", known.id);
    let title = client.name;
    Ok(render(&OnePage { title, address, facts, shown, trouble, is_partner: true, is_suspended, ..page }))
}

async fn act_on_client(
    frame: Frame,
    State(state): State<AppState>,
    Path(id): Path<String>,
    Form(form): Form<ActForm>,
) -> Result<Response, PageError> {
    let actor = &frame.actor;
    let done = match form.act.as_str() {
        "rotate" => clients::rotate(&state, actor, &id, form.overlap_seconds())
            .await
            .map(|(_, token)| vec![Shown { label: frame.t("client-secret"), secret: token.reveal().to_owned() }]),
        "suspend" => clients::set_state(&state, actor, &id, ClientState::Suspended).await.map(|_| Vec::new()),
        "resume" => clients::set_state(&state, actor, &id, ClientState::Active).await.map(|_| Vec::new()),
        "revoke" => match clients::delete(&state, actor, &id).await {
            Ok(()) => return Ok(Redirect::to("/console/keys").into_response()),
            Err(problem) => Err(problem),
        },
        _ => return Err(PageError::not_found(&frame)),
    };
    match done {
        Ok(shown) => show_client(frame, &state, &id, shown, None).await,
        Err(problem) if problem.status == 404 || problem.status >= 500 => Err(gone_or_store(&frame)(problem)),
        Err(problem) => {
            let trouble = frame.problem(&problem);
            let page = show_client(frame, &state, &id, Vec::new(), Some(trouble)).await?;
            Ok((StatusCode::UNPROCESSABLE_ENTITY, page).into_response())
        }
    }
}
