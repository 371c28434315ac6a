//! Vendored and own static files, embedded in the binary.

use axum::extract::{Path, Query};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use rust_embed::{Embed, EmbeddedFile};
use serde::Deserialize;
use tower_http::compression::CompressionLayer;

use crate::identity::access::{Needs, Pages};
use crate::problem::Problem;

#[derive(Embed)]
#[folder = "assets"]
struct Assets;

/// Hexadecimal digits of a file's SHA-256 that name its content.
const DIGITS: usize = 16;
/// For an address that names the content: it can never be another.
const FOREVER: &str = "public, max-age=31536000, immutable";
/// For an address without it: a new release may bring another content.
const A_DAY: &str = "public, max-age=86400";

/// The static files.
pub fn pages() -> Pages {
    Pages::default()
        .get("/assets/{*path}", Needs::Nothing, asset)
        .around(|router| router.layer(CompressionLayer::new()))
}

/// The address of a file with the name of its content, so that it may be kept for ever.
pub fn address(path: &str) -> String {
    match Assets::get(path) {
        Some(file) => format!("/assets/{path}?v={}", content_name(&file)),
        None => format!("/assets/{path}"),
    }
}

#[derive(Deserialize)]
struct Version {
    v: Option<String>,
}

async fn asset(Path(path): Path<String>, Query(version): Query<Version>, headers: HeaderMap) -> Response {
    let Some(file) = Assets::get(&path) else {
        return Problem::not_found("not_found", "there is no such file").into_response();
    };
    let name = content_name(&file);
    // Weak, because compression may change the bytes on the way.
    let etag = format!("W/\"{name}\"");
    let lasting = if version.v.as_deref() == Some(name.as_str()) { FOREVER } else { A_DAY };
    let known = headers.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok());
    let head = [(header::ETAG, etag.as_str()), (header::CACHE_CONTROL, lasting)];
    if known.is_some_and(|tags| tags.split(',').any(|tag| tag.trim() == etag)) {
        return (StatusCode::NOT_MODIFIED, head).into_response();
    }
    (head, [(header::CONTENT_TYPE, content_type(&path)), (header::X_CONTENT_TYPE_OPTIONS, "nosniff")], file.data)
        .into_response()
}

fn content_name(file: &EmbeddedFile) -> String {
    let digest = file.metadata.sha256_hash();
    digest.iter().take(DIGITS / 2).map(|byte| format!("{byte:02x}")).collect()
}

fn content_type(path: &str) -> &'static str {
    match path.rsplit('.').next().unwrap_or_default() {
        "css" => "text/css; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "svg" => "image/svg+xml; charset=utf-8",
        "txt" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn fetch(path: &str, version: Option<&str>, etag: Option<&str>) -> Response {
        let mut headers = HeaderMap::new();
        if let Some(etag) = etag {
            headers.insert(header::IF_NONE_MATCH, etag.parse().unwrap());
        }
        asset(Path(path.to_owned()), Query(Version { v: version.map(str::to_owned) }), headers).await
    }

    #[tokio::test]
    async fn a_named_file_may_be_kept_for_ever_and_is_not_sent_twice() {
        let address = address("console.css");
        let version = address.split_once("?v=").unwrap().1;
        let first = fetch("console.css", Some(version), None).await;
        assert_eq!(first.status(), StatusCode::OK);
        assert_eq!(first.headers()[header::CONTENT_TYPE], "text/css; charset=utf-8");
        let picture = fetch("guerdon.svg", None, None).await;
        assert_eq!(picture.headers()[header::CONTENT_TYPE], "image/svg+xml; charset=utf-8");
        assert_eq!(first.headers()[header::CACHE_CONTROL], FOREVER);
        let etag = first.headers()[header::ETAG].to_str().unwrap();
        assert_eq!(fetch("console.css", None, Some(etag)).await.status(), StatusCode::NOT_MODIFIED);
        assert_eq!(fetch("console.css", Some("other"), None).await.headers()[header::CACHE_CONTROL], A_DAY);
    }

    #[tokio::test]
    async fn what_is_not_there_or_lies_outside_is_not_found() {
        for path in ["nothing.js", "../Cargo.toml", "vendor", ""] {
            assert_eq!(fetch(path, None, None).await.status(), StatusCode::NOT_FOUND, "{path}");
        }
        for path in ["vendor/swagger-ui.css", "vendor/swagger-ui-bundle.js", "docs.js", "vendor/htmx.min.js"] {
            assert_eq!(fetch(path, None, None).await.status(), StatusCode::OK, "{path}");
        }
    }
}
