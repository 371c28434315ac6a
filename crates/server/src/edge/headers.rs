//! The security headers of every answer, in one place.

use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, STRICT_TRANSPORT_SECURITY,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::response::Response;

/// Pages bring no script or style of their own; the `data:` images are the stylesheets'.
const PAGE_POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'self'; \
     frame-ancestors 'none'",
);
/// What is no page shows and runs nothing.
const DATA_POLICY: HeaderValue = HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");
/// Two years, as browsers' preload lists ask for.
const TRANSPORT: HeaderValue = HeaderValue::from_static("max-age=63072000; includeSubDomains");
/// Nothing but passkeys is needed of what browsers offer.
const PERMISSIONS: HeaderValue = HeaderValue::from_static(
    "accelerometer=(), camera=(), display-capture=(), geolocation=(), gyroscope=(), magnetometer=(), microphone=(), \
     midi=(), payment=(), usb=(), publickey-credentials-create=(self), publickey-credentials-get=(self)",
);
const SAME_ORIGIN: HeaderValue = HeaderValue::from_static("same-origin");

const PERMISSIONS_POLICY: HeaderName = HeaderName::from_static("permissions-policy");
const OPENER_POLICY: HeaderName = HeaderName::from_static("cross-origin-opener-policy");
const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

/// Sets what an answer does not set itself. Other origins get no CORS headers, so their scripts read nothing here.
pub fn surround(response: &mut Response, https: bool) {
    let headers = response.headers_mut();
    let page = is_page(headers);
    let mut set = |name: HeaderName, value: HeaderValue| {
        headers.entry(name).or_insert(value);
    };
    set(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    set(CONTENT_SECURITY_POLICY, if page { PAGE_POLICY } else { DATA_POLICY });
    // Nearly everything is somebody's own: it stays out of every cache unless its handler says that it may be kept.
    set(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    set(RESOURCE_POLICY, SAME_ORIGIN);
    set(X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    set(REFERRER_POLICY, SAME_ORIGIN);
    if page {
        set(OPENER_POLICY, SAME_ORIGIN);
        set(PERMISSIONS_POLICY, PERMISSIONS);
    }
    if https {
        set(STRICT_TRANSPORT_SECURITY, TRANSPORT);
    }
}

fn is_page(headers: &HeaderMap) -> bool {
    headers.get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"text/html"))
}

#[cfg(test)]
mod tests {
    use axum::Json;
    use axum::response::{Html, IntoResponse};

    use super::*;

    fn header<'a>(response: &'a Response, name: &str) -> Option<&'a str> {
        response.headers().get(name).map(|value| value.to_str().unwrap())
    }

    #[test]
    fn pages_and_data_have_their_policies_and_no_inline_script_or_style() {
        let mut page = Html("<p>").into_response();
        surround(&mut page, false);
        let policy = header(&page, "content-security-policy").unwrap();
        assert!(policy.contains("default-src 'self'") && !policy.contains("unsafe"), "{policy}");
        assert_eq!(header(&page, "strict-transport-security"), None);
        assert_eq!(header(&page, "cross-origin-opener-policy"), Some("same-origin"));
        assert_eq!(header(&page, "cache-control"), Some("no-store"));
        let mut data = Json(1).into_response();
        surround(&mut data, true);
        assert!(header(&data, "content-security-policy").unwrap().starts_with("default-src 'none'"));
        assert!(header(&data, "strict-transport-security").unwrap().starts_with("max-age=63072000"));
        assert_eq!(header(&data, "access-control-allow-origin"), None);
        assert_eq!(header(&data, "server"), None);
    }

    #[test]
    fn what_a_handler_says_stays() {
        let mut response = ([("cache-control", "public, max-age=60")], "x").into_response();
        surround(&mut response, false);
        assert_eq!(header(&response, "cache-control"), Some("public, max-age=60"));
    }
}
