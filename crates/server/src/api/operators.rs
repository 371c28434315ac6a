//! Operators and roles.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use guerdon_core::identity::{Grant, Permissions, Role, RoleName};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::extract::{Body, Path};
use crate::AppState;
use crate::identity::actor::Actor;
use crate::identity::invitations;
use crate::identity::operator::Operator;
use crate::identity::operators::{self, OperatorChange};
use crate::language::Language;
use crate::problem::Problem;

pub(super) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(list, invite))
        .routes(routes!(get, change))
        .routes(routes!(roles))
        .routes(routes!(put_role, delete_role))
}

/// An operator.
#[derive(Serialize, ToSchema)]
struct OperatorView {
    /// `opr_…`.
    id: String,
    /// The e-mail address to sign in with.
    email: String,
    /// Display name.
    name: String,
    /// `invited`, `active` or `suspended`.
    state: &'static str,
    /// Roles, each for a program and its stores.
    #[schema(value_type = Vec<Object>)]
    grants: Vec<Grant>,
    /// RFC 3339.
    created_at: String,
    /// Whether there is an authenticator app.
    authenticator: bool,
    /// How many passkeys.
    passkeys: usize,
}

fn view(id: &str, operator: Operator) -> OperatorView {
    OperatorView {
        id: id.to_owned(),
        state: operator.state.name(),
        created_at: operator.created_at.to_string(),
        authenticator: operator.authenticator.is_some(),
        passkeys: operator.passkeys.len(),
        email: operator.email,
        name: operator.name,
        grants: operator.grants,
    }
}

/// List operators.
#[utoipa::path(get, path = "/v1/operators", tag = "operators", security(("key" = ["operators:read"])),
    responses((status = 200, body = Vec<OperatorView>)))]
async fn list(State(state): State<AppState>) -> Result<Json<Vec<OperatorView>>, Problem> {
    let found = operators::list(&state).await?;
    Ok(Json(found.into_iter().map(|(record, operator)| view(&record.id, operator)).collect()))
}

/// Get an operator.
#[utoipa::path(get, path = "/v1/operators/{operator_id}", tag = "operators", security(("key" = ["operators:read"])),
    params(("operator_id" = String, Path)), responses((status = 200, body = OperatorView), (status = 404, body = Problem)))]
async fn get(State(state): State<AppState>, Path(id): Path<String>) -> Result<Json<OperatorView>, Problem> {
    let (record, operator) = operators::find(&state, &id).await?;
    Ok(Json(view(&record.id, operator)))
}

/// An invitation.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct InvitationRequest {
    /// Work e-mail.
    email: String,
    /// Display name.
    name: String,
    /// Roles; nobody gives what they lack themselves.
    #[schema(value_type = Vec<Object>, example = json!([{"role": "service", "stores": ["north"]}]))]
    grants: Vec<Grant>,
}

/// An invitation that was made.
#[derive(Serialize, ToSchema)]
struct InvitationView {
    /// `opr_…`.
    id: String,
    /// The link to pass on: it works once, for seven days.
    link: String,
    /// Where it was sent by e-mail, in the language of `Accept-Language`; left out where the server sends none.
    #[serde(skip_serializing_if = "Option::is_none")]
    sent_to: Option<String>,
}

/// Invite an operator.
#[utoipa::path(post, path = "/v1/operators", tag = "operators", security(("key" = ["operators:write"])),
    request_body = InvitationRequest,
    responses((status = 201, body = InvitationView), (status = 403, body = Problem), (status = 409, body = Problem),
        (status = 422, body = Problem)))]
async fn invite(
    State(state): State<AppState>,
    actor: Actor,
    language: Language,
    Body(request): Body<InvitationRequest>,
) -> Result<(StatusCode, Json<InvitationView>), Problem> {
    let invited = operators::invite(&state, &actor, &request.email, &request.name, request.grants).await?;
    let sent_to = invitations::send(&state, &actor, language, &invited.id, &invited.token).await;
    let view = InvitationView { link: invitations::link(&state, &invited.token), id: invited.id, sent_to };
    Ok((StatusCode::CREATED, Json(view)))
}

/// What to change of an operator; one of the acts.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ChangeRequest {
    /// `grant`, `suspend`, `resume` or `reset`.
    act: Act,
    /// Why.
    reason: String,
    /// With `grant`: the roles from now on.
    #[serde(default)]
    #[schema(value_type = Vec<Object>)]
    grants: Vec<Grant>,
}

#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Act {
    Grant,
    Suspend,
    Resume,
    Reset,
}

/// An operator that was changed.
#[derive(Serialize, ToSchema)]
struct ChangedView {
    /// As it is now.
    operator: OperatorView,
    /// After a reset the link of the new invitation, unless the server has sent it to the person by e-mail.
    #[serde(skip_serializing_if = "Option::is_none")]
    link: Option<String>,
}

/// Change an operator: other roles, suspend, resume, or reset what they sign in with. Their sessions end.
#[utoipa::path(patch, path = "/v1/operators/{operator_id}", tag = "operators",
    security(("key" = ["operators:write"])), params(("operator_id" = String, Path)), request_body = ChangeRequest,
    responses((status = 200, body = ChangedView), (status = 403, body = Problem), (status = 404, body = Problem),
        (status = 409, body = Problem), (status = 422, body = Problem)))]
async fn change(
    State(state): State<AppState>,
    actor: Actor,
    language: Language,
    Path(id): Path<String>,
    Body(request): Body<ChangeRequest>,
) -> Result<Json<ChangedView>, Problem> {
    let wanted = match request.act {
        Act::Grant => OperatorChange::Grants(request.grants),
        Act::Suspend => OperatorChange::Suspend,
        Act::Resume => OperatorChange::Resume,
        Act::Reset => OperatorChange::Reset(language),
    };
    let link = operators::change(&state, &actor, &id, wanted, &request.reason).await?;
    let (record, operator) = operators::find(&state, &id).await?;
    Ok(Json(ChangedView { operator: view(&record.id, operator), link }))
}

/// A role.
#[derive(Serialize, ToSchema)]
struct RoleView {
    /// Its name.
    name: String,
    /// What it is for.
    description: String,
    /// What it may do.
    #[schema(value_type = Vec<String>)]
    permissions: Permissions,
    /// Whether it ships with Guerdon and cannot be changed.
    shipped: bool,
}

/// List roles: those that ship, then one's own.
#[utoipa::path(get, path = "/v1/roles", tag = "operators", security(("key" = ["operators:read"])),
    responses((status = 200, body = Vec<RoleView>)))]
async fn roles(State(state): State<AppState>) -> Result<Json<Vec<RoleView>>, Problem> {
    let shipped = RoleName::ALL.iter().map(|role| RoleView {
        name: role.name().to_owned(),
        description: String::new(),
        permissions: role.permissions(),
        shipped: true,
    });
    let own = operators::roles(&state).await?.into_iter().map(|(_, role)| RoleView {
        name: role.name,
        description: role.description,
        permissions: role.permissions,
        shipped: false,
    });
    Ok(Json(shipped.chain(own).collect()))
}

/// What a role is to be.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct RoleRequest {
    /// What it is for.
    description: String,
    /// What it may do.
    #[schema(value_type = Vec<String>, example = json!(["cards:verify", "activities:write"]))]
    permissions: Permissions,
}

/// Make a role of one's own, or change it.
#[utoipa::path(put, path = "/v1/roles/{name}", tag = "operators", security(("key" = ["operators:write"])),
    params(("name" = String, Path)), request_body = RoleRequest,
    responses((status = 204), (status = 403, body = Problem), (status = 422, body = Problem)))]
async fn put_role(
    State(state): State<AppState>,
    actor: Actor,
    Path(name): Path<String>,
    Body(request): Body<RoleRequest>,
) -> Result<StatusCode, Problem> {
    let role = Role { name, description: request.description, permissions: request.permissions };
    operators::put_role(&state, &actor, &role).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Delete a role of one's own that nobody has.
#[utoipa::path(delete, path = "/v1/roles/{name}", tag = "operators", security(("key" = ["operators:write"])),
    params(("name" = String, Path)),
    responses((status = 204), (status = 404, body = Problem), (status = 409, body = Problem)))]
async fn delete_role(
    State(state): State<AppState>,
    actor: Actor,
    Path(name): Path<String>,
) -> Result<StatusCode, Problem> {
    operators::delete_role(&state, &actor, &name).await?;
    Ok(StatusCode::NO_CONTENT)
}
