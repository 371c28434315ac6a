//! What handlers take from a request: JSON bodies, query strings, ids and idempotency keys, with problems for what is
//! wrong.

use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, QueryRejection};
use axum::extract::{FromRequest, FromRequestParts, Query, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use guerdon_core::limits;
use guerdon_store::Outcome;
use serde::de::DeserializeOwned;

use crate::problem::Problem;

/// A JSON body.
pub struct Body<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let bytes = Bytes::from_request(request, state).await.map_err(|rejection: BytesRejection| {
            let status = rejection.status();
            if status == StatusCode::PAYLOAD_TOO_LARGE {
                return Problem::new(status, "body_too_large", "the body is larger than 1 MiB; send several requests");
            }
            Problem::new(status, "invalid_body", "the body could not be read")
        })?;
        serde_json::from_slice(&bytes)
            .map(Self)
            .map_err(|error| Problem::bad_request("invalid_json", format!("the body does not fit: {error}")))
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
        return Ok((StatusCode::OK, json, [("idempotent-replayed", "true")], reply.receipt).into_response());
    }
    Ok((StatusCode::CREATED, json, reply.receipt).into_response())
}
