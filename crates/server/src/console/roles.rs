//! Roles: those that ship, to read; and those of one's own, to make, change and delete.

use askama::Template;
use axum::extract::{Form, Path, State};
use axum::response::{IntoResponse, Redirect, Response};
use guerdon_core::identity::{Permission, Permissions, Role, RoleName};

use super::frame::{Frame, render};
use super::nav::Place;
use super::permissions::{self, Group};
use super::trouble::{OrPage, PageError, unprocessable};
use crate::AppState;
use crate::identity::access::{Needs, Pages};
use crate::identity::operators;
use crate::problem::Problem;

/// The pages of roles.
pub fn pages() -> Pages {
    let (read, write) = (Needs::Permission(Permission::OperatorsRead), Needs::Permission(Permission::OperatorsWrite));
    Pages::default()
        .get("/console/roles", read, list)
        .post("/console/roles", write, make)
        .get("/console/roles/{name}", read, page)
        .post("/console/roles/{name}", write, change)
}

struct Line {
    name: String,
    title: String,
    about: String,
    permissions: String,
    holders: String,
}

/// What was typed.
#[derive(Default)]
struct RoleForm {
    act: String,
    name: String,
    description: String,
    permissions: Permissions,
}

impl RoleForm {
    fn read(fields: &[(String, String)]) -> Self {
        let field = |wanted: &str| {
            let found = fields.iter().find(|(name, _)| name == wanted);
            found.map(|(_, value)| value.trim().to_owned()).unwrap_or_default()
        };
        let chosen = fields.iter().filter(|(name, _)| name == "permission").map(|(_, value)| value.as_str());
        Self {
            act: field("act"),
            name: field("name"),
            description: field("description"),
            permissions: permissions::parse(chosen),
        }
    }
}

#[derive(Template)]
#[template(path = "console/roles.html")]
struct ListPage {
    frame: Frame,
    own: Vec<Line>,
    shipped: Vec<Line>,
    may_change: bool,
    typed: RoleForm,
    groups: Vec<Group>,
    trouble: Option<String>,
}

/// How many operators have a role.
async fn holders(state: &AppState) -> Result<impl Fn(&str) -> usize, Problem> {
    let operators = operators::list(state).await?;
    Ok(move |role: &str| {
        operators.iter().filter(|(_, operator)| operator.grants.iter().any(|grant| grant.role == role)).count()
    })
}

fn about(frame: &Frame, role: RoleName) -> String {
    frame.t(&format!("role-{}-about", role.name()))
}

async fn list(frame: Frame, State(state): State<AppState>) -> Result<Response, PageError> {
    show_list(frame, &state, RoleForm::default(), None).await
}

async fn show_list(
    frame: Frame,
    state: &AppState,
    typed: RoleForm,
    trouble: Option<String>,
) -> Result<Response, PageError> {
    let frame = frame.at(Place::Roles);
    let holders = holders(state).await.or_page(&frame)?;
    let line = |name: &str, about: String, permissions: Permissions| Line {
        name: name.to_owned(),
        title: frame.role(name),
        about,
        permissions: frame.say_count("role-permissions-count", &permissions.iter().count()),
        holders: frame.say_count("role-holders", &holders(name)),
    };
    let own = operators::roles(state).await.or_page(&frame)?;
    let own = own.into_iter().map(|(_, role)| line(&role.name, role.description, role.permissions)).collect();
    let shipped = RoleName::ALL.map(|role| line(role.name(), about(&frame, role), role.permissions()));
    Ok(render(&ListPage {
        own,
        shipped: shipped.into(),
        may_change: frame.actor.may(Permission::OperatorsWrite),
        groups: permissions::groups(&frame, frame.actor.access.anywhere(), typed.permissions),
        typed,
        trouble,
        frame,
    }))
}

async fn make(
    frame: Frame,
    State(state): State<AppState>,
    Form(fields): Form<Vec<(String, String)>>,
) -> Result<Response, PageError> {
    let form = RoleForm::read(&fields);
    let (name, description) = (form.name.clone(), form.description.clone());
    let role = Role { name, description, permissions: form.permissions };
    match operators::make_role(&state, &frame.actor, &role).await {
        Ok(()) => Ok(Redirect::to(&format!("/console/roles/{}", role.name)).into_response()),
        Err(problem) => {
            let trouble = Some(frame.trouble(&problem)?);
            Ok(unprocessable(show_list(frame, &state, form, trouble).await?))
        }
    }
}

#[derive(Template)]
#[template(path = "console/role.html")]
struct RolePage {
    frame: Frame,
    name: String,
    title: String,
    about: String,
    holders: String,
    is_shipped: bool,
    /// Whether who looks may change it: nobody changes a role that may do more than they.
    may_change: bool,
    may_delete: bool,
    is_held: bool,
    groups: Vec<Group>,
    trouble: Option<String>,
}

async fn page(frame: Frame, State(state): State<AppState>, Path(name): Path<String>) -> Result<Response, PageError> {
    show(frame, &state, &name, None, None).await
}

/// A role by its name: what it is for, and what it may do.
async fn find(frame: &Frame, state: &AppState, name: &str) -> Result<(String, Permissions), PageError> {
    if let Some(shipped) = RoleName::from_name(name) {
        return Ok((about(frame, shipped), shipped.permissions()));
    }
    let own = operators::roles(state).await.or_page(frame)?;
    let found = own.into_iter().find(|(_, role)| role.name == name);
    found.map(|(_, role)| (role.description, role.permissions)).ok_or_else(|| PageError::not_found(frame))
}

async fn show(
    frame: Frame,
    state: &AppState,
    name: &str,
    typed: Option<RoleForm>,
    trouble: Option<String>,
) -> Result<Response, PageError> {
    let frame = frame.at(Place::Roles);
    let (about, stored) = find(&frame, state, name).await?;
    let holders = holders(state).await.or_page(&frame)?(name);
    let is_shipped = RoleName::from_name(name).is_some();
    let may_delete = !is_shipped && frame.actor.may(Permission::OperatorsWrite);
    let mine = frame.actor.access.anywhere();
    let may_change = may_delete && stored.are_within(mine);
    let (about, chosen) = typed.map_or((about, stored), |typed| (typed.description, typed.permissions));
    Ok(render(&RolePage {
        name: name.to_owned(),
        title: frame.role(name),
        about,
        holders: frame.say_count("role-holders", &holders),
        is_shipped,
        may_change,
        may_delete,
        is_held: holders > 0,
        groups: permissions::groups(&frame, if may_change { mine } else { stored }, chosen),
        trouble,
        frame,
    }))
}

async fn change(
    frame: Frame,
    State(state): State<AppState>,
    Path(name): Path<String>,
    Form(fields): Form<Vec<(String, String)>>,
) -> Result<Response, PageError> {
    // One that ships, or is gone, is not made by changing it.
    let form = RoleForm::read(&fields);
    find(&frame, &state, &name).await?;
    let (done, next) = match form.act.as_str() {
        "save" => {
            let description = form.description.clone();
            let role = Role { name: name.clone(), description, permissions: form.permissions };
            (operators::put_role(&state, &frame.actor, &role).await, format!("/console/roles/{name}"))
        }
        "delete" => (operators::delete_role(&state, &frame.actor, &name).await, "/console/roles".to_owned()),
        _ => return Err(PageError::not_found(&frame)),
    };
    match done {
        Ok(()) => Ok(Redirect::to(&next).into_response()),
        Err(problem) => {
            let trouble = Some(frame.trouble(&problem)?);
            let typed = (form.act == "save").then_some(form);
            Ok(unprocessable(show(frame, &state, &name, typed, trouble).await?))
        }
    }
}
