//! The whole application: API, console, health, metrics, description, and what surrounds every request.

use std::sync::Arc;
use std::time::Duration;

use axum::http::StatusCode;
use axum::middleware;
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::get;
use axum::{Extension, Json, Router};
use guerdon_core::identity::Permission;
use metrics_exporter_prometheus::PrometheusHandle;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::timeout::TimeoutLayer;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityScheme};
use utoipa::{Modify, OpenApi};
use utoipa_axum::router::OpenApiRouter;

use crate::edge::{PublicUrl, SecurityContact, well_known};
use crate::identity::access::{Needs, Pages, Routes};
use crate::identity::actor::Actor;
use crate::identity::guard::{Gate, guard};
use crate::identity::session::{MEMBER_COOKIE, OPERATOR_COOKIE};
use crate::messages::Mailbox;
use crate::problem::Problem;
use crate::{AppState, api, assets, console, describe, messages, pictures, portal, ready};

/// Longest time that a request may take.
const REQUEST_TIME: Duration = Duration::from_secs(30);

/// What surrounds the application.
#[derive(Default)]
pub struct AppOptions {
    /// Where `/metrics` reads from.
    pub metrics: Option<PrometheusHandle>,
    /// Under which address people reach the server.
    pub public_url: Option<PublicUrl>,
    /// Whom to tell of a weakness.
    pub security_contact: Option<SecurityContact>,
    /// The mailbox that takes the place of senders; only `demo` has one.
    pub mailbox: Option<Mailbox>,
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Guerdon",
        description = "A self-hosted loyalty platform: members, points, rewards.",
        license(name = "Apache-2.0")
    ),
    components(schemas(Problem)),
    modifiers(&Schemes)
)]
struct Description;

/// The ways to prove who one is. An operation asks for one of them, and names the permission as its scope.
struct Schemes;

impl Modify for Schemes {
    fn modify(&self, description: &mut utoipa::openapi::OpenApi) {
        let components = description.components.get_or_insert_default();
        let bearer = |text: &str| {
            let mut scheme = Http::new(HttpAuthScheme::Bearer);
            scheme.description = Some(text.to_owned());
            SecurityScheme::Http(scheme)
        };
        let key = "An API key or an access token, or the session of an operator. The scope is the permission that is \
                   asked for; behind `@store` it may be granted for some stores only, of which the request names one.";
        components.add_security_scheme("key", bearer(key));
        let cookie =
            |name: &str, text: &str| SecurityScheme::ApiKey(ApiKey::Cookie(ApiKeyValue::with_description(name, text)));
        components.add_security_scheme("operator", cookie(OPERATOR_COOKIE, "The session of a signed-in operator."));
        components.add_security_scheme("member", cookie(MEMBER_COOKIE, "The session of a signed-in member."));
    }
}

/// The description of the API, OpenAPI 3.1.
pub fn openapi() -> utoipa::openapi::OpenApi {
    describe::complete(
        OpenApiRouter::<AppState>::with_openapi(Description::openapi()).merge(api::router()).into_openapi(),
    )
}

/// All pages beside the API, and what each asks for.
fn pages(options: AppOptions, description: utoipa::openapi::OpenApi) -> Pages {
    let description = Arc::new(description);
    let AppOptions { metrics, public_url, security_contact, mailbox } = options;
    let metrics = async move || metrics.map(|handle| handle.render()).unwrap_or_default();
    Pages::default()
        .get("/metrics", Needs::Permission(Permission::MetricsRead), metrics)
        .get("/openapi.json", Needs::Nothing, async move || Json(Arc::unwrap_or_clone(description)))
        .get("/docs", Needs::Nothing, docs)
        .get("/", Needs::Nothing, async || Redirect::temporary("/console"))
        .and(console::pages())
        .and(portal::pages())
        .and(assets::pages())
        .and(pictures::pages())
        .and(well_known(security_contact, public_url))
        .and(mailbox.map(messages::mailbox_pages).unwrap_or_default())
}

/// What every route asks for. The message names an operation that does not say.
pub fn routes() -> Result<Routes, String> {
    let mut routes = Routes::default();
    routes.add_described(&openapi())?;
    let options = AppOptions { mailbox: Some(Mailbox::default()), ..AppOptions::default() };
    drop(pages(options, openapi()).declare(&mut routes));
    Ok(routes)
}

/// Builds the application.
pub fn app(state: AppState, options: AppOptions) -> Router {
    build(state, options, None)
}

/// The application without its gate, where everyone is one and the same: for the benchmark, which measures what the gate
/// costs. Never to be served to anyone else.
pub fn app_without_gate(state: AppState, everyone: Actor) -> Router {
    build(state, AppOptions::default(), Some(everyone))
}

fn build(state: AppState, options: AppOptions, everyone: Option<Actor>) -> Router {
    let (api, description) = OpenApiRouter::with_openapi(Description::openapi()).merge(api::router()).split_for_parts();
    let description = describe::complete(description);
    let mut routes = Routes::default();
    if let Err(problem) = routes.add_described(&description) {
        // The tests walk every operation. One that slipped through is closed to everyone.
        tracing::error!(problem, "an operation declares no permission");
    }
    let pages = pages(options, description).declare(&mut routes);
    let gate = Arc::new(Gate { state: state.clone(), routes });
    let routes = api.merge(pages);
    let routes = match everyone {
        None => routes.route_layer(middleware::from_fn_with_state(gate, guard)),
        Some(everyone) => routes.route_layer(Extension(everyone)),
    };
    routes
        .route("/livez", get(async || "ok"))
        .route("/readyz", get(ready::ready).layer(Extension(Arc::<ready::Ready>::default())))
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

async fn docs() -> Html<&'static str> {
    Html(include_str!("../templates/docs.html"))
}
