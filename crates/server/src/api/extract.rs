//! What handlers take from a request: JSON bodies, query strings, ids and idempotency keys, with problems for what is
//! wrong.

use axum::body::Body as HttpBody;
use axum::extract::rejection::QueryRejection;
use axum::extract::{FromRequest, FromRequestParts, Query, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use guerdon_core::limits;
use guerdon_store::Outcome;
use http_body_util::BodyExt;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::AppState;
use crate::acts::Done;
use crate::problem::Problem;

/// Largest body of a request, in bytes, and how much of a larger one is read before the connection is cut.
const BODY_BYTES: usize = 1 << 20;
const DRAINED_BYTES: usize = 16 << 20;

/// A JSON body.
pub struct Body<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let bytes = read(request.into_body()).await?;
        // Every body is an object. A list would be taken for the fields in their order, and nobody means that.
        if bytes.trim_ascii_start().first() != Some(&b'{') {
            return Err(Problem::bad_request("invalid_json", "the body must be a JSON object"));
        }
        serde_json::from_slice(&bytes)
            .map(Self)
            .map_err(|error| Problem::bad_request("invalid_json", format!("the body does not fit: {error}")))
    }
}

/// Reads a body up to its limit. What is too large is read on and thrown away for a while: a connection that is closed
/// on a sender makes it lose the answer.
pub async fn read(body: HttpBody) -> Result<Vec<u8>, Problem> {
    let too_large = || {
        let detail = "the body is larger than 1 MiB; send several requests";
        Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", detail)
    };
    read_at_most(body, BODY_BYTES, too_large).await
}

/// The same with a limit of its own.
pub async fn read_at_most(
    mut body: HttpBody,
    most: usize,
    too_large: impl FnOnce() -> Problem,
) -> Result<Vec<u8>, Problem> {
    let mut bytes = Vec::new();
    let mut length = 0;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Problem::bad_request("invalid_body", "the body ended before its length"))?;
        let data = frame.into_data().unwrap_or_default();
        length += data.len();
        if length <= most {
            bytes.extend_from_slice(&data);
        } else if length > DRAINED_BYTES {
            break;
        }
    }
    if length > most {
        return Err(too_large());
    }
    Ok(bytes)
}

/// What stands in the path.
pub struct Path<T>(pub T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let path = axum::extract::Path::<T>::from_request_parts(parts, state).await;
        path.map(|axum::extract::Path(value)| Self(value))
            .map_err(|rejection| Problem::bad_request("invalid_path", rejection.body_text()))
    }
}

/// A query string.
pub struct Params<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Params<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let query = Query::<T>::from_request_parts(parts, state).await;
        query
            .map(|Query(value)| Self(value))
            .map_err(|rejection: QueryRejection| Problem::bad_request("invalid_query", rejection.body_text()))
    }
}

/// The `Idempotency-Key` header.
pub struct IdempotencyKey(pub String);

impl<S: Send + Sync> FromRequestParts<S> for IdempotencyKey {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        read_key(&parts.headers).map(Self)
    }
}

fn read_key(headers: &HeaderMap) -> Result<String, Problem> {
    let problem = |detail: &str| Problem::bad_request("idempotency_key_required", detail);
    let header = headers.get("idempotency-key").ok_or_else(|| {
        problem(
            "send an Idempotency-Key header: a text of your choice, new for each request and the same for its retries",
        )
    })?;
    header.to_str().map(str::to_owned).map_err(|_| problem("the Idempotency-Key header must be printable ASCII"))
}

/// Reads an id from a path or query; an unfit one is a 404 with the id's own words.
pub fn id<T: std::str::FromStr<Err = guerdon_core::id::InvalidId>>(text: &str) -> Result<T, Problem> {
    text.parse().map_err(|error: guerdon_core::id::InvalidId| Problem::not_found("invalid_id", error.to_string()))
}

/// Reads the cursor of a page, which is an id.
pub fn cursor<T: std::str::FromStr<Err = guerdon_core::id::InvalidId>>(text: &str) -> Result<T, Problem> {
    text.parse().map_err(|error: guerdon_core::id::InvalidId| {
        Problem::bad_request("invalid_query", format!("`after`: {error}; give the `next` of the page before"))
    })
}

/// The size of a page: 50, or what is asked for.
pub fn page_limit(limit: Option<i64>) -> Result<i64, Problem> {
    match limit {
        None => Ok(50),
        Some(limit) if (1..=limits::PAGE).contains(&limit) => Ok(limit),
        Some(limit) => {
            Err(Problem::bad_request("invalid_query", format!("`limit` must be 1 to {}, not {limit}", limits::PAGE)))
        }
    }
}

/// Answers with the stored bytes of a receipt: 201 when it is new, 200 with `Idempotent-Replayed` when it is not.
pub fn receipt(outcome: Outcome) -> Result<Response, Problem> {
    let reply = outcome?;
    let json = [("content-type", "application/json")];
    if reply.replayed {
        return Ok((StatusCode::OK, json, [("idempotent-replayed", "true")], reply.into_text()).into_response());
    }
    Ok((StatusCode::CREATED, json, reply.into_text()).into_response())
}

/// The same for an act that may wait for another operator: 202, and where to look.
pub async fn done(state: &AppState, done: Done) -> Result<Response, Problem> {
    match done {
        Done::Now(reply) => receipt(Ok(reply)),
        Done::Waits(id) => super::approvals::waits(state, &id).await,
    }
}

/// A field that must be an object: serde would take a list of its values as well.
pub fn object<'de, D: Deserializer<'de>, T: DeserializeOwned>(deserializer: D) -> Result<T, D::Error> {
    let fields = serde_json::Map::deserialize(deserializer)?;
    serde_json::from_value(Value::Object(fields)).map_err(serde::de::Error::custom)
}
