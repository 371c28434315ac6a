//! Serves pictures: to everyone, and to be kept for ever, as their address names what they hold.

use std::sync::{Arc, LazyLock};

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderName, header};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use guerdon_core::rewards::is_picture_digest;
use guerdon_store::StoreError;
use moka::sync::Cache;

use super::render::WIDTHS;
use super::{FILE, StoredFile};
use crate::AppState;
use crate::identity::access::{Needs, Pages};
use crate::problem::Problem;

/// Bytes of pictures that are kept in memory: a page of the catalogue asks for two dozen at once.
const KEPT_BYTES: u64 = 32 << 20;
const FOREVER: &str = "public, max-age=31536000, immutable";

/// What was served last. An address names its content, so that nothing in it is ever out of date.
static KEPT: LazyLock<Cache<String, Arc<Served>>> = LazyLock::new(|| {
    let weigh = |name: &String, served: &Arc<Served>| {
        u32::try_from(name.len().saturating_add(served.bytes.len())).unwrap_or(u32::MAX)
    };
    Cache::builder().max_capacity(KEPT_BYTES).weigher(weigh).build()
});

struct Served {
    media_type: &'static str,
    bytes: Bytes,
}

/// The pictures.
pub fn pages() -> Pages {
    Pages::default().get("/pictures/{name}", Needs::Nothing, picture)
}

/// `/pictures/{digest}-{width}`
async fn picture(State(state): State<AppState>, Path(name): Path<String>) -> Result<Response, Problem> {
    let none = || {
        let widths = WIDTHS.map(|width| width.to_string()).join(", ");
        Problem::not_found("not_found", format!("there is no such picture; widths are {widths}"))
    };
    if !is_name(&name) {
        return Err(none());
    }
    let served = match KEPT.get(&name) {
        Some(served) => served,
        None => {
            let record = state.reader.record(FILE, &name, state.clock()).await?.ok_or_else(none)?;
            let served = Arc::new(Served::of(record.read()?)?);
            KEPT.insert(name, Arc::clone(&served));
            served
        }
    };
    let head: [(HeaderName, &str); 4] = [
        (header::CONTENT_TYPE, served.media_type),
        (header::CACHE_CONTROL, FOREVER),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        // Members' apps and shops show them as well; they hold nothing that is anybody's.
        (HeaderName::from_static("cross-origin-resource-policy"), "cross-origin"),
    ];
    Ok((head, served.bytes.clone()).into_response())
}

/// Whether a text is the digest of a picture and a width that is served.
fn is_name(name: &str) -> bool {
    name.split_once('-').is_some_and(|(digest, width)| {
        is_picture_digest(digest) && WIDTHS.iter().any(|known| known.to_string() == width)
    })
}

impl Served {
    fn of(stored: StoredFile) -> Result<Self, StoreError> {
        let unusable = |problem: &str| StoreError::Unusable(format!("a picture: {problem}"));
        let media_type = match stored.media_type.as_str() {
            "image/jpeg" => "image/jpeg",
            "image/webp" => "image/webp",
            other => return Err(unusable(&format!("media type {other}"))),
        };
        let bytes = STANDARD.decode(&stored.data).map_err(|error| unusable(&error.to_string()))?;
        Ok(Self { media_type, bytes: bytes.into() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_digest_and_a_width() {
        let digest = "0a".repeat(32);
        assert!(is_name(&format!("{digest}-160")) && is_name(&format!("{digest}-960")));
        for wrong in [digest.clone(), format!("{digest}-161"), format!("{digest}-0160"), format!("{digest}-160-160")] {
            assert!(!is_name(&wrong), "{wrong}");
        }
        assert!(!is_name("../../etc/passwd-160") && !is_name("-160"));
    }
}
