//! The whole application: API, console, health, metrics, description, and what surrounds every request.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::get;
use axum::{Json, Router};
use metrics_exporter_prometheus::PrometheusHandle;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::timeout::TimeoutLayer;
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;

use crate::problem::Problem;
use crate::{AppState, api, assets, console};

/// Longest time that a request may take.
const REQUEST_TIME: Duration = Duration::from_secs(30);

/// What surrounds the application.
#[derive(Default)]
pub struct AppOptions {
    /// When set, every call must bring it, as `Authorization: Bearer …`.
    pub api_key: Option<String>,
    /// Where `/metrics` reads from.
    pub metrics: Option<PrometheusHandle>,
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Guerdon",
        description = "A self-hosted loyalty platform: members, points, rewards.",
        license(name = "Apache-2.0")
    ),
    components(schemas(Problem))
)]
struct Description;

/// The description of the API, OpenAPI 3.1.
pub fn openapi() -> utoipa::openapi::OpenApi {
    OpenApiRouter::<AppState>::with_openapi(Description::openapi()).merge(api::router()).into_openapi()
}

/// Builds the application.
pub fn app(state: AppState, options: AppOptions) -> Router {
    let (api, description) = OpenApiRouter::with_openapi(Description::openapi()).merge(api::router()).split_for_parts();
    let description = Arc::new(description);
    let metrics = options.metrics;
    let guarded = api
        .merge(console::router())
        .route("/metrics", get(move || async move { metrics.map(|handle| handle.render()).unwrap_or_default() }))
        .route("/openapi.json", get(move || async move { Json(Arc::unwrap_or_clone(description)) }))
        .route("/docs", get(docs))
        .route("/", get(async || Redirect::temporary("/console")))
        .merge(assets::router());
    let guarded = match options.api_key {
        None => guarded,
        Some(key) => {
            let digest: Arc<[u8; 32]> = Arc::new(Sha256::digest(key.as_bytes()).into());
            guarded.layer(middleware::from_fn_with_state(digest, require_key))
        }
    };
    guarded
        .route("/livez", get(async || "ok"))
        .route("/readyz", get(ready))
        .fallback(async || Problem::not_found("not_found", "there is no such page; /docs lists the API"))
        .method_not_allowed_fallback(async || {
            Problem::new(
                StatusCode::METHOD_NOT_ALLOWED,
                "method_not_allowed",
                "this page takes another method; see /docs",
            )
        })
        .layer(TimeoutLayer::with_status_code(StatusCode::SERVICE_UNAVAILABLE, REQUEST_TIME))
        .layer(CatchPanicLayer::custom(panicked))
        .with_state(state)
}

fn panicked(_: Box<dyn std::any::Any + Send>) -> Response {
    // The panic hook has logged it; the caller learns no inner words.
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal_error", "an internal error was logged").into_response()
}

async fn ready(State(state): State<AppState>) -> Result<&'static str, Problem> {
    state.reader.ping().await?;
    Ok("ready")
}

async fn docs() -> Html<&'static str> {
    Html(include_str!("../templates/docs.html"))
}

async fn require_key(State(digest): State<Arc<[u8; 32]>>, request: Request, next: Next) -> Response {
    let given = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let given = given.and_then(|value| value.strip_prefix("Bearer ")).unwrap_or_default();
    let given: [u8; 32] = Sha256::digest(given.as_bytes()).into();
    // Digests of equal length, compared in constant time: the answer's time tells nothing of the key.
    if given.ct_eq(digest.as_ref()).into() {
        return next.run(request).await;
    }
    let detail = "send the API key as `Authorization: Bearer …`";
    let mut response = Problem::new(StatusCode::UNAUTHORIZED, "unauthorized", detail).into_response();
    response.headers_mut().insert(header::WWW_AUTHENTICATE, header::HeaderValue::from_static("Bearer"));
    response
}
