//! OAuth 2.0 for partners' programs: client credentials (RFC 6749, 4.4), revocation (RFC 7009) and metadata (RFC 8414).

use axum::Json;
use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, HOST, PRAGMA, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use guerdon_core::identity::{Permission, Permissions};
use serde::Serialize;
use url::form_urlencoded;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use zeroize::Zeroizing;

use super::extract::read;
use crate::AppState;
use crate::edge::External;
use crate::identity::actor::Actor;
use crate::identity::client::{ACCESS_TOKEN_SECONDS, Client};
use crate::identity::clients;
use crate::identity::refusals::{self, Why};
use crate::problem::Problem;

pub(super) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(token)).routes(routes!(revoke)).routes(routes!(metadata))
}

/// An error of the token endpoint (RFC 6749, 5.2).
#[derive(Debug, Serialize, ToSchema)]
struct OAuthError {
    /// `invalid_request`, `invalid_client`, `unsupported_grant_type` or `invalid_scope`.
    error: &'static str,
    /// What was wrong, and what would be right.
    error_description: String,
    #[serde(skip)]
    status: StatusCode,
}

impl OAuthError {
    fn new(error: &'static str, description: impl Into<String>) -> Self {
        Self { error, error_description: description.into(), status: StatusCode::BAD_REQUEST }
    }

    fn request(description: impl Into<String>) -> Self {
        Self::new("invalid_request", description)
    }

    /// One answer to all that can be wrong with a client, so that nobody learns which ids there are.
    fn client() -> Self {
        let description = "the client is unknown, suspended, calls from another network, or its secret is wrong";
        Self { status: StatusCode::UNAUTHORIZED, ..Self::new("invalid_client", description) }
    }
}

impl IntoResponse for OAuthError {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(&self)).into_response();
        if self.status == StatusCode::UNAUTHORIZED {
            let basic = HeaderValue::from_static("Basic realm=\"guerdon\"");
            response.headers_mut().insert(WWW_AUTHENTICATE, basic);
        }
        never_kept(response)
    }
}

/// RFC 6749, 5.1: tokens stay out of every cache.
fn never_kept(mut response: Response) -> Response {
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response.headers_mut().insert(PRAGMA, HeaderValue::from_static("no-cache"));
    response
}

/// What is wrong in the words of OAuth, or of the server itself.
enum Wrong {
    OAuth(OAuthError),
    Server(Problem),
}

impl From<OAuthError> for Wrong {
    fn from(error: OAuthError) -> Self {
        Self::OAuth(error)
    }
}

impl From<Problem> for Wrong {
    fn from(problem: Problem) -> Self {
        Self::Server(problem)
    }
}

impl IntoResponse for Wrong {
    fn into_response(self) -> Response {
        match self {
            Self::OAuth(error) => error.into_response(),
            Self::Server(problem) => problem.into_response(),
        }
    }
}

/// The fields of a form, none of them twice.
struct Form(Vec<(String, Zeroizing<String>)>);

impl Form {
    fn parse(bytes: &[u8]) -> Result<Self, OAuthError> {
        let mut fields: Vec<(String, Zeroizing<String>)> = Vec::new();
        for (name, value) in form_urlencoded::parse(bytes) {
            if fields.iter().any(|(known, _)| *known == name) {
                return Err(OAuthError::request("a parameter is given twice"));
            }
            fields.push((name.into_owned(), Zeroizing::new(value.into_owned())));
        }
        Ok(Self(fields))
    }

    /// A field; an empty one is as good as none (RFC 6749, 3.1).
    fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }
}

/// The client's id and secret, from the header or from the form, never from both (RFC 6749, 2.3).
fn credentials(headers: &HeaderMap, form: &Form) -> Result<(String, Zeroizing<String>), OAuthError> {
    match (headers.get(AUTHORIZATION), form.get("client_secret")) {
        (Some(_), Some(_)) => Err(OAuthError::request("give the secret in the header or in the form, not in both")),
        (Some(header), None) => {
            let (id, secret) = basic(header).ok_or_else(OAuthError::client)?;
            match form.get("client_id") {
                Some(other) if other != id => Err(OAuthError::request("`client_id` is not that of the header")),
                _ => Ok((id, secret)),
            }
        }
        (None, Some(secret)) => {
            let id = form.get("client_id").ok_or_else(|| OAuthError::request("`client_id` is missing"))?;
            Ok((id.to_owned(), Zeroizing::new(secret.to_owned())))
        }
        (None, None) => Err(OAuthError::client()),
    }
}

/// HTTP Basic, whose two parts are form-encoded (RFC 6749, 2.3.1).
fn basic(header: &HeaderValue) -> Option<(String, Zeroizing<String>)> {
    let (scheme, encoded) = header.to_str().ok()?.split_once(' ')?;
    let plain = scheme.eq_ignore_ascii_case("basic").then(|| STANDARD.decode(encoded.trim()))?.ok()?;
    let plain = Zeroizing::new(plain);
    let (id, secret) = std::str::from_utf8(&plain).ok()?.split_once(':')?;
    Some((form_decoded(id), Zeroizing::new(form_decoded(secret))))
}

fn form_decoded(text: &str) -> String {
    // Neither ids nor secrets have what `=` and `&` could stand for.
    form_urlencoded::parse(text.as_bytes()).next().map(|(name, _)| name.into_owned()).unwrap_or_default()
}

/// Reads a form, and the client that sends it.
async fn enter(state: &AppState, actor: &Actor, request: Request) -> Result<(Form, String, Client), Wrong> {
    let (parts, body) = request.into_parts();
    let kind = parts.headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    if !kind.to_ascii_lowercase().starts_with("application/x-www-form-urlencoded") {
        return Err(OAuthError::request("send the parameters as application/x-www-form-urlencoded").into());
    }
    let form = Form::parse(&Zeroizing::new(read(body).await?))?;
    let (id, secret) = credentials(&parts.headers, &form)?;
    state.directory.traffic().may_try(actor.address).map_err(Problem::from)?;
    match clients::authenticate(state, &id, &secret, actor.address).await? {
        Some((id, client)) => Ok((form, id, client)),
        None => {
            state.directory.traffic().failed(actor.address);
            refusals::note(Why::ClientSecret, "/oauth", actor.address, None);
            Err(OAuthError::client().into())
        }
    }
}

/// An access token (RFC 6749, 5.1).
#[derive(Serialize, ToSchema)]
struct TokenAnswer {
    /// Send it as `Authorization: Bearer …`.
    #[schema(example = "grd_acc_…")]
    access_token: String,
    /// `Bearer`
    #[schema(example = "Bearer")]
    token_type: &'static str,
    /// Seconds until it ends.
    #[schema(example = 900)]
    expires_in: i64,
    /// What it may do, with spaces between.
    #[schema(example = "activities:write members:read")]
    scope: String,
}

/// The form of the token endpoint, for the description.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it describes a form that is read field by field")]
struct TokenForm {
    /// `client_credentials`
    #[schema(example = "client_credentials")]
    grant_type: String,
    /// Permissions with spaces between; left out: all that the client has.
    scope: Option<String>,
    /// Where the client does not send HTTP Basic.
    client_id: Option<String>,
    /// Where the client does not send HTTP Basic.
    client_secret: Option<String>,
}

/// Get an access token for a client's id and secret.
#[utoipa::path(post, path = "/oauth/token", tag = "oauth", security(()),
    request_body(content = TokenForm, content_type = "application/x-www-form-urlencoded"),
    responses((status = 200, body = TokenAnswer), (status = 400, body = OAuthError),
        (status = 401, description = "`invalid_client`", body = OAuthError),
        (status = 413, body = Problem), (status = 429, body = Problem)))]
async fn token(State(state): State<AppState>, actor: Actor, request: Request) -> Result<Response, Wrong> {
    let (form, id, client) = enter(&state, &actor, request).await?;
    match form.get("grant_type") {
        Some("client_credentials") => {}
        Some(_) => {
            let description = "`grant_type` must be `client_credentials`";
            return Err(OAuthError::new("unsupported_grant_type", description).into());
        }
        None => return Err(OAuthError::request("`grant_type` is missing; it is `client_credentials`").into()),
    }
    let scope = narrowed(&client, form.get("scope"))?;
    state.directory.traffic().client(&id, client.allowance.rate).map_err(Problem::from)?;
    let token = clients::issue_token(&state, &id, scope).await?;
    let names: Vec<&str> = scope.iter().map(Permission::name).collect();
    tracing::info!(client = id, scope = names.join(" "), "an access token was issued");
    let answer = TokenAnswer {
        access_token: token.reveal().to_owned(),
        token_type: "Bearer",
        expires_in: ACCESS_TOKEN_SECONDS,
        scope: names.join(" "),
    };
    Ok(never_kept(Json(answer).into_response()))
}

/// What a token may do: what is asked for, which must be the client's to ask for.
fn narrowed(client: &Client, scope: Option<&str>) -> Result<Permissions, OAuthError> {
    let Some(scope) = scope else { return Ok(client.allowance.permissions) };
    let invalid = |problem: String| OAuthError::new("invalid_scope", problem);
    let wanted = scope.split(' ').filter(|word| !word.is_empty()).map(str::parse::<Permission>);
    let wanted: Permissions = wanted.collect::<Result<_, _>>().map_err(invalid)?;
    match wanted.iter().find(|permission| !client.allowance.permissions.has(*permission)) {
        Some(lacking) => Err(invalid(format!("the client does not have `{lacking}`"))),
        None if wanted.is_empty() => Err(invalid("`scope` names no permission; leave it out for all".to_owned())),
        None => Ok(wanted),
    }
}

/// The form of the revocation endpoint, for the description.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it describes a form that is read field by field")]
struct RevocationForm {
    /// The access token.
    token: String,
    /// Where the client does not send HTTP Basic.
    client_id: Option<String>,
    /// Where the client does not send HTTP Basic.
    client_secret: Option<String>,
}

/// End an access token before its time.
#[utoipa::path(post, path = "/oauth/revoke", tag = "oauth", security(()),
    request_body(content = RevocationForm, content_type = "application/x-www-form-urlencoded"),
    responses((status = 200, description = "It is over, or was no token of this client"),
        (status = 400, body = OAuthError), (status = 401, description = "`invalid_client`", body = OAuthError),
        (status = 413, body = Problem), (status = 429, body = Problem)))]
async fn revoke(State(state): State<AppState>, actor: Actor, request: Request) -> Result<Response, Wrong> {
    let (form, id, _) = enter(&state, &actor, request).await?;
    let token = form.get("token").ok_or_else(|| OAuthError::request("`token` is missing"))?;
    clients::revoke_token(&state, &id, token).await?;
    Ok(never_kept(StatusCode::OK.into_response()))
}

/// What clients ask about the server (RFC 8414).
#[derive(Serialize, ToSchema)]
struct Metadata {
    /// The public address of the server.
    issuer: String,
    /// Where tokens are to be had.
    token_endpoint: String,
    /// Where tokens are ended.
    revocation_endpoint: String,
    /// How clients show their secret.
    token_endpoint_auth_methods_supported: [&'static str; 2],
    /// How clients show their secret.
    revocation_endpoint_auth_methods_supported: [&'static str; 2],
    /// `client_credentials`
    grant_types_supported: [&'static str; 1],
    /// None: there is no authorization endpoint.
    response_types_supported: [&'static str; 0],
    /// The permissions.
    scopes_supported: Vec<&'static str>,
    /// Where people read on.
    service_documentation: String,
}

/// Where tokens are to be had, and how.
#[utoipa::path(get, path = "/.well-known/oauth-authorization-server", tag = "oauth", security(()),
    responses((status = 200, body = Metadata)))]
async fn metadata(request: Request) -> Json<Metadata> {
    let issuer = origin(&request);
    let methods = ["client_secret_basic", "client_secret_post"];
    Json(Metadata {
        token_endpoint: format!("{issuer}/oauth/token"),
        revocation_endpoint: format!("{issuer}/oauth/revoke"),
        token_endpoint_auth_methods_supported: methods,
        revocation_endpoint_auth_methods_supported: methods,
        grant_types_supported: ["client_credentials"],
        response_types_supported: [],
        scopes_supported: Permission::ALL.iter().map(|permission| permission.name()).collect(),
        service_documentation: format!("{issuer}/docs"),
        issuer,
    })
}

/// The address of the server as its caller has it.
fn origin(request: &Request) -> String {
    let external = request.extensions().get::<External>();
    if let Some(origin) = external.and_then(|external| external.origin.as_deref()) {
        return origin.to_owned();
    }
    let scheme = if external.is_some_and(|external| external.https) { "https" } else { "http" };
    let host = request.headers().get(HOST).and_then(|host| host.to_str().ok()).unwrap_or("localhost");
    format!("{scheme}://{host}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(authorization: Option<&str>) -> HeaderMap {
        let pairs = authorization.map(|text| (AUTHORIZATION, HeaderValue::from_str(text).unwrap()));
        pairs.into_iter().collect()
    }

    fn read_credentials(authorization: Option<&str>, form: &str) -> Result<(String, String), &'static str> {
        let form = Form::parse(form.as_bytes()).map_err(|wrong| wrong.error)?;
        let found = credentials(&headers(authorization), &form);
        found.map(|(id, secret)| (id, secret.as_str().to_owned())).map_err(|wrong| wrong.error)
    }

    #[test]
    fn credentials_come_from_one_place() {
        // cli_1:s%26 — the secret `s&`, form-encoded.
        let header = Some("Basic Y2xpXzE6cyUyNg==");
        let right = Ok(("cli_1".to_owned(), "s&".to_owned()));
        assert_eq!(read_credentials(header, "grant_type=client_credentials"), right);
        assert_eq!(read_credentials(header, "client_id=cli_1"), right);
        assert_eq!(read_credentials(None, "client_id=cli_1&client_secret=s%26"), right);
        assert_eq!(read_credentials(header, "client_secret=s"), Err("invalid_request"));
        assert_eq!(read_credentials(header, "client_id=cli_2"), Err("invalid_request"));
        assert_eq!(read_credentials(None, "client_secret=s"), Err("invalid_request"));
        assert_eq!(read_credentials(None, "client_id=cli_1"), Err("invalid_client"));
        assert_eq!(read_credentials(None, "client_id=a&client_id=b"), Err("invalid_request"));
        for wrong in ["Basic", "Basic !", "Bearer Y2xpXzE6cw==", "Basic Y2xp"] {
            assert_eq!(read_credentials(Some(wrong), ""), Err("invalid_client"), "{wrong}");
        }
    }
}
