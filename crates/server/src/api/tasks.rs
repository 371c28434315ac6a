//! Tasks that rules ask for.

use axum::Json;
use axum::extract::State;
use guerdon_core::program::Text;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::extract::{Body, Params, Path, page_limit};
use super::views::Page;
use crate::AppState;
use crate::events::tasks::{self, Step, Task};
use crate::identity::actor::Actor;
use crate::problem::Problem;

pub(super) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(step))
}

/// Something that somebody is to do about a member.
#[derive(Serialize, ToSchema)]
struct TaskView {
    /// Its id: the transaction that led to it, and its place there.
    id: String,
    /// The member.
    member_id: String,
    /// The id of the rule that asks for it, or `call`.
    about: String,
    /// What is to be done; one text, or one for each language.
    #[schema(value_type = serde_json::Value)]
    text: Text,
    /// `open`, `taken` or `done`.
    state: &'static str,
    /// When what led to it happened, RFC 3339.
    raised_at: String,
    /// Who has taken it.
    #[serde(skip_serializing_if = "Option::is_none")]
    taken_by: Option<String>,
    /// Who has done it.
    #[serde(skip_serializing_if = "Option::is_none")]
    done_by: Option<String>,
    /// When it was done, RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    done_at: Option<String>,
    /// What came of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
}

impl TaskView {
    fn of(id: String, task: Task) -> Self {
        let state = task.state();
        Self {
            id,
            member_id: task.member_id.to_string(),
            about: task.subject,
            text: task.text,
            state,
            raised_at: task.raised_at.to_string(),
            taken_by: task.taken_by,
            done_by: task.done_by,
            done_at: task.done_at.map(|at| at.to_string()),
            note: task.note,
        }
    }
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct TaskParams {
    /// `true`: those that are done; left out: those that wait.
    #[serde(default)]
    done: bool,
    /// Items of a page, 1–200; 50 when left out.
    limit: Option<i64>,
    /// The cursor of the page before.
    after: Option<String>,
}

/// List tasks, oldest first.
#[utoipa::path(get, path = "/v1/tasks", tag = "tasks", security(("key" = ["tasks:write"])), params(TaskParams),
    responses((status = 200, body = Page<TaskView>), (status = 400, body = Problem)))]
async fn list(
    State(state): State<AppState>,
    Params(params): Params<TaskParams>,
) -> Result<Json<Page<TaskView>>, Problem> {
    let limit = page_limit(params.limit)?;
    let found = tasks::list(&state, params.done, params.after, limit + 1).await?;
    let page = Page::cut(found, limit, |(id, _)| id.clone());
    Ok(Json(page.map(|(id, task)| TaskView::of(id, task))))
}

/// What is done with a task.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct StepRequest {
    /// `take`, `give_back` or `done`.
    step: Step,
    /// What came of it, with `done`.
    note: Option<String>,
}

/// Take a task, give it back, or say that it is done.
#[utoipa::path(post, path = "/v1/tasks/{task_id}", tag = "tasks", security(("key" = ["tasks:write"])),
    params(("task_id" = String, Path)), request_body = StepRequest,
    responses((status = 200, body = TaskView), (status = 404, body = Problem),
        (status = 409, description = "`task_taken`: somebody else has taken it, or it is done", body = Problem)))]
async fn step(
    State(state): State<AppState>,
    actor: Actor,
    Path(id): Path<String>,
    Body(request): Body<StepRequest>,
) -> Result<Json<TaskView>, Problem> {
    let task = tasks::step(&state, &actor, &id, request.step, request.note).await?;
    Ok(Json(TaskView::of(id, task)))
}
