//! The master key of personal data.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::AppState;
use crate::identity::actor::Actor;
use crate::keys::{self, RotationView};
use crate::problem::Problem;

pub(super) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(rotate, rotation))
}

/// Take a new master key into use. Members' keys are wrapped anew beside everything else; where one is on its way
/// already, nothing begins.
#[utoipa::path(post, path = "/v1/keys/rotation", tag = "keys", security(("key" = ["keys:rotate"])),
    responses((status = 202, description = "On its way", body = RotationView), (status = 503, body = Problem)))]
async fn rotate(State(state): State<AppState>, actor: Actor) -> Result<(StatusCode, Json<RotationView>), Problem> {
    if keys::begin(&state).await? {
        let master_key = state.keys().current_id().to_owned();
        let event = actor.event(state.clock(), "master_key.rotate", &master_key);
        state.engine.write_records(Vec::new(), vec![event]).await?;
    }
    Ok((StatusCode::ACCEPTED, Json(keys::view(&state).await?)))
}

/// How the rotation of the master key stands.
#[utoipa::path(get, path = "/v1/keys/rotation", tag = "keys", security(("key" = ["keys:rotate"])),
    responses((status = 200, body = RotationView)))]
async fn rotation(State(state): State<AppState>) -> Result<Json<RotationView>, Problem> {
    Ok(Json(keys::view(&state).await?))
}
