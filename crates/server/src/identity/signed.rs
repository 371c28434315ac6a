//! Requests of keys that must sign them: the signature is checked over the body, which is read for it.

use axum::body::Body;
use axum::extract::Request;

use super::signature::{SIGNATURE_HEADER, Signature, SignatureError, SignedParts};
use crate::AppState;
use crate::api::extract::read;
use crate::problem::Problem;

/// Checks a request of a key, and gives it back. One that changes something is taken once by all nodes together; one that
/// only reads, once by each.
pub async fn check(state: &AppState, key: &str, secret: &[u8], request: Request) -> Result<Request, Problem> {
    let (parts, body) = request.into_parts();
    let Some(signature) = Signature::read(&parts.headers)? else {
        return Err(SignatureError::Missing(SIGNATURE_HEADER).into());
    };
    let now = state.clock();
    let body = read(body).await?;
    let idempotency_key = parts.headers.get("idempotency-key").map_or(Some(""), |key| key.to_str().ok());
    let signed = SignedParts {
        method: parts.method.as_str(),
        target: parts.uri.path_and_query().map_or("", |target| target.as_str()),
        idempotency_key: idempotency_key.ok_or(SignatureError::Wrong)?,
        body: &body,
    };
    signature.verify(&[secret], &signed, now)?;
    let nonces = state.directory.nonces();
    if parts.method.is_safe() {
        nonces.remember(key, &signature, now)?;
    } else {
        nonces.remember_everywhere(&state.engine, key, &signature, now).await?;
    }
    Ok(Request::from_parts(parts, Body::from(body)))
}
