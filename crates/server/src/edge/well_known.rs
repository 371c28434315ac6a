//! What every site has at a well-known place: whom to tell of a weakness, and what robots may read.

use std::str::FromStr;
use std::time::SystemTime;

use axum::http::header;
use axum::response::IntoResponse;
use guerdon_core::time::Timestamp;
use url::Url;

use super::PublicUrl;
use crate::identity::access::{Needs, Pages};
use crate::problem::Problem;

/// A contact is good for a while from each day on; RFC 9116 recommends less than a year.
const VALID_MILLIS: i64 = 360 * DAY_MILLIS;
const DAY_MILLIS: i64 = 86_400_000;
/// A contact is shorter than this.
const CONTACT_BYTES: usize = 500;

/// Whom to tell of a weakness: `mailto:…`, `https://…` or `tel:…`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecurityContact(String);

/// A contact that cannot be published.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no contact; it looks like mailto:security@loyalty.example or https://loyalty.example/security")]
pub struct InvalidContact(String);

impl FromStr for SecurityContact {
    type Err = InvalidContact;

    fn from_str(text: &str) -> Result<Self, InvalidContact> {
        let invalid = || InvalidContact(text.to_owned());
        // The parser writes line ends and spaces as escapes or drops them: no line can be smuggled in.
        let url = Url::parse(text).map_err(|_| invalid())?;
        let fit = match url.scheme() {
            "mailto" => url.path().split_once('@').is_some_and(|(name, host)| !name.is_empty() && !host.is_empty()),
            "tel" => !url.path().is_empty(),
            "https" => url.has_host(),
            _ => false,
        };
        let text = url.to_string();
        if fit && text.len() <= CONTACT_BYTES { Ok(Self(text)) } else { Err(invalid()) }
    }
}

/// The pages, open to everybody.
pub fn pages(contact: Option<SecurityContact>, public_url: Option<PublicUrl>) -> Pages {
    let security = move || async move {
        match contact {
            Some(contact) => plain(security_text(&contact, public_url.as_ref(), now())).into_response(),
            None => {
                let detail = "no contact for reports of weaknesses is set; the operator can with --security-contact";
                Problem::not_found("no_security_contact", detail).into_response()
            }
        }
    };
    let robots = async || plain("User-agent: *\nDisallow: /\n".to_owned());
    Pages::default().get("/.well-known/security.txt", Needs::Nothing, security).get(
        "/robots.txt",
        Needs::Nothing,
        robots,
    )
}

fn now() -> Timestamp {
    let elapsed = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(i64::try_from(elapsed.as_millis()).unwrap_or(i64::MAX))
}

fn plain(text: String) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/plain; charset=utf-8"), (header::CACHE_CONTROL, "public, max-age=86400")], text)
}

fn security_text(contact: &SecurityContact, public_url: Option<&PublicUrl>, now: Timestamp) -> String {
    let today = now.as_millis() - now.as_millis() % DAY_MILLIS;
    let expires = Timestamp::from_millis(today + VALID_MILLIS);
    let mut text = format!("Contact: {}\nExpires: {expires}\nPreferred-Languages: zh, en\n", contact.0);
    if let Some(url) = public_url.filter(|url| url.is_https()) {
        text.push_str(&format!("Canonical: {}\n", url.page("/.well-known/security.txt")));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_contact_is_published_as_rfc_9116_asks() {
        let contact: SecurityContact = "mailto:security@loyalty.example".parse().unwrap();
        let url: PublicUrl = "https://loyalty.example".parse().unwrap();
        let text = security_text(&contact, Some(&url), Timestamp::parse_rfc3339("2026-01-15T10:20:30Z").unwrap());
        let expected = "Contact: mailto:security@loyalty.example\nExpires: 2027-01-10T00:00:00Z\n\
                        Preferred-Languages: zh, en\nCanonical: https://loyalty.example/.well-known/security.txt\n";
        assert_eq!(text, expected);
    }

    #[test]
    fn what_is_no_contact_is_refused() {
        for text in ["security@loyalty.example", "http://loyalty.example", "mailto:security", "javascript:alert(1)", ""]
        {
            assert!(text.parse::<SecurityContact>().is_err(), "{text}");
        }
        let smuggled: SecurityContact = "https://loyalty.example/a\nContact: mailto:x@y".parse().unwrap();
        assert!(!smuggled.0.contains('\n') && !smuggled.0.contains(' '), "{}", smuggled.0);
    }
}
