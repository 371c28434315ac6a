//! Operators: the list, invitations, and what is done with one of them.

use askama::Template;
use axum::extract::{Form, Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use guerdon_core::identity::{Grant, Permission, RoleName};
use serde::Deserialize;

use super::frame::{Frame, render};
use super::nav::Place;
use super::trouble::PageError;
use crate::AppState;
use crate::identity::access::{Needs, Pages};
use crate::identity::invitations;
use crate::identity::operator::{Operator, OperatorState};
use crate::identity::operators::{self, OperatorChange};
use crate::identity::session;
use crate::identity::token::Token;
use crate::problem::Problem;

/// The pages of operators.
pub fn pages() -> Pages {
    let (read, write) = (Needs::Permission(Permission::OperatorsRead), Needs::Permission(Permission::OperatorsWrite));
    Pages::default()
        .get("/console/operators", read, list)
        .post("/console/operators", write, invite)
        .get("/console/operators/{id}", read, page)
        .post("/console/operators/{id}", write, change)
}

struct Line {
    id: String,
    name: String,
    email: String,
    roles: String,
    state: String,
    is_active: bool,
}

#[derive(Template)]
#[template(path = "console/operators.html")]
struct ListPage {
    frame: Frame,
    operators: Vec<Line>,
    roles: Vec<(String, String)>,
    may_invite: bool,
    invited: Option<Invited>,
    typed: InviteForm,
    trouble: Option<String>,
}

/// Someone who was invited: what became of it in a sentence, and the link to pass on.
struct Invited {
    told: String,
    link: String,
}

/// Sends an invitation where that can be done, and says so.
async fn pass_on(frame: &Frame, state: &AppState, id: &str, token: &Token) -> Invited {
    let sent = invitations::send(state, &frame.actor, frame.language, id, token).await;
    let told = match sent {
        Some(email) => frame.say_text("operators-invited-sent", "email", &email),
        None => frame.t("operators-invited"),
    };
    Invited { told, link: invitations::link(state, token) }
}

fn line(frame: &Frame, id: &str, operator: &Operator) -> Line {
    let roles: Vec<String> = operator.grants.iter().map(|grant| frame.grant(grant)).collect();
    Line {
        id: id.to_owned(),
        name: operator.name.clone(),
        email: operator.email.clone(),
        roles: roles.join(" · "),
        state: frame.t(&format!("operator-{}", operator.state.name())),
        is_active: operator.state == OperatorState::Active,
    }
}

/// What someone is called who acts: an operator's name, the system in words, else the id.
pub(super) async fn name(state: &AppState, frame: &Frame, id: &str) -> String {
    match id {
        "system" | "cli" | "anonymous" | "key_bootstrap" => frame.t(&format!("who-{}", id.replace('_', "-"))),
        id if id.starts_with("opr_") => {
            operators::find(state, id).await.map_or_else(|_| id.to_owned(), |(_, one)| one.name)
        }
        id => id.to_owned(),
    }
}

/// Roles to choose from: those that ship with their names in the page's language, then one's own.
async fn roles(frame: &Frame, state: &AppState) -> Result<Vec<(String, String)>, Problem> {
    let shipped = RoleName::ALL.iter().map(|role| (role.name().to_owned(), frame.role(role.name())));
    let own = operators::roles(state).await?;
    Ok(shipped.chain(own.into_iter().map(|(_, role)| (role.name.clone(), role.name))).collect())
}

async fn list(frame: Frame, State(state): State<AppState>) -> Result<Response, PageError> {
    let typed = InviteForm { role: "service".to_owned(), ..InviteForm::default() };
    show_list(frame, &state, None, typed, None).await
}

async fn show_list(
    frame: Frame,
    state: &AppState,
    invited: Option<Invited>,
    typed: InviteForm,
    trouble: Option<String>,
) -> Result<Response, PageError> {
    let frame = frame.at(Place::Operators);
    let found = operators::list(state).await.map_err(|_| PageError::store(&frame))?;
    let mut operators: Vec<Line> = found.iter().map(|(record, one)| line(&frame, &record.id, one)).collect();
    operators.sort_by(|a, b| a.email.cmp(&b.email));
    let roles = roles(&frame, state).await.map_err(|_| PageError::store(&frame))?;
    let may_invite = frame.actor.may(Permission::OperatorsWrite);
    Ok(render(&ListPage { operators, roles, may_invite, invited, typed, trouble, frame }))
}

#[derive(Deserialize, Default)]
struct InviteForm {
    #[serde(default)]
    email: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    role: String,
    #[serde(default)]
    stores: String,
}

/// `north, south` as a list.
fn stores(text: &str) -> Vec<String> {
    text.split([',', '，', '\n']).map(str::trim).filter(|store| !store.is_empty()).map(str::to_owned).collect()
}

async fn invite(
    frame: Frame,
    State(state): State<AppState>,
    Form(form): Form<InviteForm>,
) -> Result<Response, PageError> {
    let grants = vec![Grant { role: form.role.clone(), program: "*".to_owned(), stores: stores(&form.stores) }];
    match operators::invite(&state, &frame.actor, &form.email, &form.name, grants).await {
        Ok(invited) => {
            let invited = pass_on(&frame, &state, &invited.id, &invited.token).await;
            show_list(frame, &state, Some(invited), InviteForm::default(), None).await
        }
        Err(problem) if problem.status >= 500 => Err(PageError::store(&frame)),
        Err(problem) => {
            let trouble = frame.problem(&problem);
            let page = show_list(frame, &state, None, form, Some(trouble)).await?;
            Ok((StatusCode::UNPROCESSABLE_ENTITY, page).into_response())
        }
    }
}

#[derive(Template)]
#[template(path = "console/operator.html")]
struct OperatorPage {
    frame: Frame,
    line: Line,
    facts: Vec<(String, String)>,
    grants: Vec<Given>,
    roles: Vec<(String, String)>,
    suspended: bool,
    may_change: bool,
    invited: Option<Invited>,
    said: Option<String>,
    trouble: Option<String>,
}

async fn page(frame: Frame, State(state): State<AppState>, Path(id): Path<String>) -> Result<Response, PageError> {
    show(frame, &state, &id, Shown::default()).await
}

/// What is to be said above an operator.
#[derive(Default)]
struct Shown {
    invited: Option<Invited>,
    said: Option<String>,
    trouble: Option<String>,
}

async fn show(frame: Frame, state: &AppState, id: &str, shown: Shown) -> Result<Response, PageError> {
    let Shown { invited, said, trouble } = shown;
    let frame = frame.at(Place::Operators);
    let (_, operator) = operators::find(state, id).await.map_err(|problem| match problem.status {
        404 => PageError::not_found(&frame),
        _ => PageError::store(&frame),
    })?;
    let sessions = session::list(state, id).await.map_err(|_| PageError::store(&frame))?;
    let yes = |there: bool| frame.t(if there { "yes" } else { "no" });
    let facts = vec![
        (frame.t("field-email"), operator.email.clone()),
        (frame.t("operator-since"), frame.clock_time(operator.created_at)),
        (frame.t("operator-authenticator"), yes(operator.authenticator.is_some())),
        (frame.t("operator-passkeys"), operator.passkeys.len().to_string()),
        (frame.t("operator-sessions"), sessions.len().to_string()),
    ];
    let own = frame.actor.operator() == Some(id);
    let may_change = frame.actor.may(Permission::OperatorsWrite) && !own;
    let page = OperatorPage {
        line: line(&frame, id, &operator),
        facts,
        roles: roles(&frame, state).await.map_err(|_| PageError::store(&frame))?,
        suspended: operator.state == OperatorState::Suspended,
        grants: operator.grants.iter().map(|grant| given(&frame, grant)).collect(),
        may_change,
        invited,
        said,
        trouble,
        frame,
    };
    Ok(render(&page))
}

/// A role that an operator has: what it is called, and what the form calls it.
struct Given {
    name: String,
    value: String,
}

fn given(frame: &Frame, grant: &Grant) -> Given {
    // A grant is always fit for JSON; one that were not could be looked at and not taken away.
    Given { name: frame.grant(grant), value: serde_json::to_string(grant).unwrap_or_default() }
}

/// What was asked for.
#[derive(Default)]
struct ChangeForm {
    act: String,
    reason: String,
    remove: Vec<Grant>,
    add: Vec<Grant>,
}

impl ChangeForm {
    fn read(fields: &[(String, String)]) -> Self {
        let all = |wanted: &'static str| fields.iter().filter(move |(name, _)| name == wanted).map(|(_, value)| value);
        let one = |wanted: &'static str| all(wanted).next().map(|value| value.trim().to_owned()).unwrap_or_default();
        let role = Some(one("role")).filter(|role| !role.is_empty());
        let grant = |role| Grant { role, program: "*".to_owned(), stores: stores(&one("stores")) };
        Self {
            act: one("act"),
            reason: one("reason"),
            // What is no grant is none that the operator has.
            remove: all("remove").filter_map(|value| serde_json::from_str(value).ok()).collect(),
            add: role.map(grant).into_iter().collect(),
        }
    }
}

async fn change(
    frame: Frame,
    State(state): State<AppState>,
    Path(id): Path<String>,
    Form(fields): Form<Vec<(String, String)>>,
) -> Result<Response, PageError> {
    let form = ChangeForm::read(&fields);
    let wanted = match form.act.as_str() {
        "grant" => OperatorChange::Regrant { remove: form.remove, add: form.add },
        "suspend" => OperatorChange::Suspend,
        "resume" => OperatorChange::Resume,
        "reset" => OperatorChange::Reset(frame.language),
        _ => return Err(PageError::not_found(&frame)),
    };
    match operators::change(&state, &frame.actor, &id, wanted, &form.reason).await {
        Ok(Some(link)) => {
            let invited = Some(Invited { told: frame.t("operators-invited"), link });
            show(frame, &state, &id, Shown { invited, ..Shown::default() }).await
        }
        Ok(None) if form.act == "reset" => {
            let said = Some(frame.t("operator-reset-sent"));
            show(frame, &state, &id, Shown { said, ..Shown::default() }).await
        }
        Ok(None) => Ok(Redirect::to(&format!("/console/operators/{id}")).into_response()),
        Err(problem) if problem.status >= 500 => Err(PageError::store(&frame)),
        Err(problem) => {
            let trouble = frame.problem(&problem);
            let page = show(frame, &state, &id, Shown { trouble: Some(trouble), ..Shown::default() }).await?;
            Ok((StatusCode::UNPROCESSABLE_ENTITY, page).into_response())
        }
    }
}
