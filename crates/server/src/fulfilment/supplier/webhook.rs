//! Signatures of requests to suppliers and from them, as Standard Webhooks has them:
//! <https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>.

use axum::http::HeaderMap;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use guerdon_core::time::Timestamp;
use hmac::Mac;

use crate::identity::mac::hmac_sha256;
use crate::identity::token::random_bytes;

/// The headers.
pub const ID: &str = "webhook-id";
/// Seconds since 1970.
pub const TIMESTAMP: &str = "webhook-timestamp";
/// Signatures, each with its version, apart by spaces.
pub const SIGNATURE: &str = "webhook-signature";
/// How a secret begins.
const PREFIX: &str = "whsec_";
/// How far the clocks may be apart, in milliseconds (5 minutes).
const WINDOW_MS: i64 = 300_000;
/// Characters of an id, and signatures of one request.
const ID_CHARS: usize = 100;
const SIGNATURES: usize = 8;

/// Why a signature was not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotSigned {
    /// A header is missing, twice there, or of another form.
    #[error("the headers `webhook-id`, `webhook-timestamp` and `webhook-signature` must stand there once each")]
    Headers,
    /// Too long ago or ahead.
    #[error("the request was signed more than five minutes away from the server's time")]
    Expired,
    /// Another secret, or something was changed on the way.
    #[error("the signature does not fit the request")]
    Wrong,
}

/// A new secret: 32 random bytes.
pub fn new_secret() -> String {
    format!("{PREFIX}{}", STANDARD.encode(random_bytes::<32>()))
}

fn mac(secret: &str, id: &str, seconds: &str, body: &[u8]) -> Option<hmac::Hmac<sha2::Sha256>> {
    let key = zeroize::Zeroizing::new(STANDARD.decode(secret.strip_prefix(PREFIX)?).ok()?);
    let mut mac = hmac_sha256(&key);
    for part in [id.as_bytes(), b".", seconds.as_bytes(), b".", body] {
        mac.update(part);
    }
    Some(mac)
}

/// The signature of a request. `None`: the secret is none.
pub fn sign(secret: &str, id: &str, at: Timestamp, body: &[u8]) -> Option<(String, String)> {
    let seconds = (at.as_millis() / 1_000).to_string();
    let tag = mac(secret, id, &seconds, body)?.finalize().into_bytes();
    Some((seconds, format!("v1,{}", STANDARD.encode(tag))))
}

/// Whether a request is signed by whoever holds the secret, now. Answers its id.
pub fn verify<'h>(secret: &str, headers: &'h HeaderMap, now: Timestamp, body: &[u8]) -> Result<&'h str, NotSigned> {
    let one = |name: &str| {
        let mut values = headers.get_all(name).iter();
        let value = values.next().and_then(|value| value.to_str().ok());
        value.filter(|_| values.next().is_none()).ok_or(NotSigned::Headers)
    };
    let (id, seconds, signatures) = (one(ID)?, one(TIMESTAMP)?, one(SIGNATURE)?);
    let plain = id.chars().all(|letter| letter.is_ascii_graphic());
    let digits = (1..=11).contains(&seconds.len()) && seconds.bytes().all(|byte| byte.is_ascii_digit());
    if id.is_empty() || id.len() > ID_CHARS || !plain || !digits {
        return Err(NotSigned::Headers);
    }
    let at = seconds.parse::<i64>().map_err(|_| NotSigned::Headers)?.saturating_mul(1_000);
    if (at.saturating_sub(now.as_millis())).abs() > WINDOW_MS {
        return Err(NotSigned::Expired);
    }
    let fits = |signature: &str| {
        let tag = signature.strip_prefix("v1,").and_then(|tag| STANDARD.decode(tag).ok());
        tag.zip(mac(secret, id, seconds, body)).is_some_and(|(tag, mac)| mac.verify_slice(&tag).is_ok())
    };
    if signatures.split(' ').take(SIGNATURES).any(fits) { Ok(id) } else { Err(NotSigned::Wrong) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the reference implementation's tests:
    /// <https://github.com/standard-webhooks/standard-webhooks/blob/main/libraries/rust/src/lib.rs>.
    #[test]
    fn signatures_are_those_of_the_standard() {
        let (secret, id) = ("whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD", "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk");
        let body = br#"{"email":"test@example.com","username":"test_user"}"#;
        let at = Timestamp::from_millis(1_649_367_553_000);
        let (seconds, signature) = sign(secret, id, at, body).unwrap();
        assert_eq!(
            (seconds.as_str(), signature.as_str()),
            ("1649367553", "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=")
        );
        let headers = |id: &str, seconds: &str, signature: &str| -> HeaderMap {
            let pairs = [(ID, id), (TIMESTAMP, seconds), (SIGNATURE, signature)];
            pairs.into_iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
        };
        let asked = |headers: &HeaderMap, now: i64, body: &[u8]| {
            verify(secret, headers, at.plus_millis(now), body).map(str::to_owned)
        };
        let good = headers(id, &seconds, &format!("v1,AAAA {signature}"));
        assert_eq!(asked(&good, 299_000, body), Ok(id.to_owned()));
        assert_eq!(asked(&good, 301_000, body), Err(NotSigned::Expired));
        assert_eq!(asked(&good, -301_000, body), Err(NotSigned::Expired));
        assert_eq!(asked(&good, 0, b"{}"), Err(NotSigned::Wrong));
        assert_eq!(asked(&headers("msg_other", &seconds, &signature), 0, body), Err(NotSigned::Wrong));
        assert_eq!(asked(&headers(id, &seconds, "v2,tZ1I"), 0, body), Err(NotSigned::Wrong));
        assert_eq!(asked(&headers(id, "soon", &signature), 0, body), Err(NotSigned::Headers));
        assert_eq!(asked(&HeaderMap::new(), 0, body), Err(NotSigned::Headers));
        let mut twice = good.clone();
        twice.append(ID, "other".parse().unwrap());
        assert_eq!(asked(&twice, 0, body), Err(NotSigned::Headers));
        assert!(new_secret().starts_with("whsec_") && sign(&new_secret(), id, at, body).is_some());
    }
}
