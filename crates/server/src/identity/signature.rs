//! Signed requests, for tills and kiosks whose traffic passes through other hands: an HMAC-SHA256 over everything that
//! matters of a request, with its time and a nonce. `docs/signatures.md` tells callers how to sign, with test vectors.
//!
//! A signature stands beside the API key and does not replace it. Its secret (`grd_sig_…`) is one of its own, because keys
//! are stored as digests only and HMAC needs the secret itself: store it sealed.

use axum::http::{HeaderMap, StatusCode};
use guerdon_core::hex;
use guerdon_core::time::Timestamp;
use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};

use crate::identity::mac::hmac_sha256;
use crate::problem::Problem;

/// When the request was signed: seconds since 1970-01-01T00:00:00Z.
pub const TIMESTAMP_HEADER: &str = "guerdon-timestamp";
/// A text that the signer uses once.
pub const NONCE_HEADER: &str = "guerdon-nonce";
/// `v1=` and 64 hexadecimal digits.
pub const SIGNATURE_HEADER: &str = "guerdon-signature";
/// How far the clocks may be apart, in milliseconds.
pub const WINDOW_MS: i64 = 5 * 60 * 1000;

const NONCE_LENGTHS: std::ops::RangeInclusive<usize> = 16..=64;

/// Why a signature was not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// This key must sign, and a header is not there.
    #[error("the header `{0}` is missing; this key must sign its requests")]
    Missing(&'static str),
    /// A header stands there twice.
    #[error("the header `{0}` stands there more than once")]
    Repeated(&'static str),
    /// The time is not a number of seconds.
    #[error("`Guerdon-Timestamp` must be the seconds since 1970-01-01T00:00:00Z, such as 1800000000")]
    Timestamp,
    /// The nonce has another form.
    #[error("`Guerdon-Nonce` must have 16 to 64 letters, digits, `-` or `_`")]
    Nonce,
    /// The signature has another form.
    #[error("`Guerdon-Signature` must be `v1=` and 64 hexadecimal digits")]
    Form,
    /// Too long ago or ahead: a replay, or a wrong clock.
    #[error("the request was signed more than five minutes away from the server's time, {now}; set the clock")]
    Expired {
        /// The server's time.
        now: Timestamp,
    },
    /// Another secret, or something was changed on the way.
    #[error("the signature does not fit the request; docs/signatures.md says what is signed")]
    Wrong,
    /// The same request came before.
    #[error("this signed request was received before; sign each request anew, with a nonce of its own")]
    Replayed,
    /// There is no room to remember nonces.
    #[error("too many signed requests at the moment; try again in a minute")]
    Busy,
    /// The records that nodes share could not be written.
    #[error("the store cannot be written at the moment; try again in a second")]
    Unavailable,
}

impl From<SignatureError> for Problem {
    fn from(error: SignatureError) -> Self {
        use SignatureError::{Busy, Expired, Form, Missing, Nonce, Repeated, Replayed, Timestamp, Unavailable, Wrong};
        let (status, code) = match error {
            Missing(_) => (StatusCode::UNAUTHORIZED, "signature_missing"),
            Repeated(_) | Timestamp | Nonce | Form => (StatusCode::UNAUTHORIZED, "signature_malformed"),
            Expired { .. } => (StatusCode::UNAUTHORIZED, "signature_expired"),
            Wrong => (StatusCode::UNAUTHORIZED, "signature_invalid"),
            Replayed => (StatusCode::UNAUTHORIZED, "signature_replayed"),
            Busy => return Self::new(StatusCode::SERVICE_UNAVAILABLE, "busy", error.to_string()).after(60),
            Unavailable => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
        };
        Self::new(status, code, error.to_string())
    }
}

/// What is signed of a request.
#[derive(Debug, Clone, Copy)]
pub struct SignedParts<'a> {
    /// `POST`, in capitals.
    pub method: &'a str,
    /// Path and query exactly as sent.
    pub target: &'a str,
    /// The header `Idempotency-Key`; empty: there is none.
    pub idempotency_key: &'a str,
    /// The body exactly as sent.
    pub body: &'a [u8],
}

/// The signature of a request as its headers have it. Nothing is known of its truth before [`Signature::verify`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature<'a> {
    /// When it was made.
    pub signed_at: Timestamp,
    /// What makes it unique.
    pub nonce: &'a str,
    seconds: &'a str,
    tag: [u8; 32],
}

impl<'a> Signature<'a> {
    /// Reads the three headers. `None`: none of them is there, the request is not signed.
    pub fn read(headers: &'a HeaderMap) -> Result<Option<Self>, SignatureError> {
        let names = [TIMESTAMP_HEADER, NONCE_HEADER, SIGNATURE_HEADER];
        if names.iter().all(|name| !headers.contains_key(*name)) {
            return Ok(None);
        }
        let seconds = one(headers, TIMESTAMP_HEADER)?.ok_or(SignatureError::Timestamp)?;
        let nonce = one(headers, NONCE_HEADER)?.ok_or(SignatureError::Nonce)?;
        let signature = one(headers, SIGNATURE_HEADER)?.ok_or(SignatureError::Form)?;
        let digits = (1..=11).contains(&seconds.len()) && seconds.bytes().all(|byte| byte.is_ascii_digit());
        let millis = if digits { seconds.parse::<i64>().ok().map(|seconds| seconds * 1000) } else { None };
        let signed_at = Timestamp::from_millis(millis.ok_or(SignatureError::Timestamp)?);
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        if !NONCE_LENGTHS.contains(&nonce.len()) || !nonce.bytes().all(plain) {
            return Err(SignatureError::Nonce);
        }
        let tag = signature.strip_prefix("v1=").filter(|digits| digits.len() == 64).and_then(hex::decode);
        Ok(Some(Self { signed_at, nonce, seconds, tag: tag.ok_or(SignatureError::Form)? }))
    }

    /// Checks time and signature, under the secrets that count at the moment (two while they are rotated). That it was not
    /// there before is for [`Nonces`](crate::identity::nonces::Nonces) to say, afterwards: so nobody without the secret can
    /// use up their room.
    pub fn verify(&self, secrets: &[&[u8]], parts: &SignedParts<'_>, now: Timestamp) -> Result<(), SignatureError> {
        if (now.as_millis() - self.signed_at.as_millis()).abs() > WINDOW_MS {
            return Err(SignatureError::Expired { now });
        }
        let fits = |secret: &&[u8]| tag(secret, self.seconds, self.nonce, parts).verify_slice(&self.tag).is_ok();
        if secrets.iter().any(fits) { Ok(()) } else { Err(SignatureError::Wrong) }
    }
}

/// The value of `Guerdon-Signature` for a request: what a caller does.
pub fn sign(secret: &[u8], seconds: i64, nonce: &str, parts: &SignedParts<'_>) -> String {
    let tag = tag(secret, &seconds.to_string(), nonce, parts).finalize().into_bytes();
    format!("v1={}", hex::encode(&tag.into()))
}

/// One line for each part; none of them can contain a line break, and the body is the digest of it.
fn tag(secret: &[u8], seconds: &str, nonce: &str, parts: &SignedParts<'_>) -> Hmac<Sha256> {
    let SignedParts { method, target, idempotency_key, body } = parts;
    let body = hex::encode(&Sha256::digest(body).into());
    let lines = ["guerdon-signature-v1", seconds, nonce, method, target, idempotency_key, &body];
    hmac_sha256(secret).chain_update(lines.join("\n"))
}

fn one<'a>(headers: &'a HeaderMap, name: &'static str) -> Result<Option<&'a str>, SignatureError> {
    let mut values = headers.get_all(name).iter();
    let value = values.next().ok_or(SignatureError::Missing(name))?;
    if values.next().is_some() {
        return Err(SignatureError::Repeated(name));
    }
    Ok(value.to_str().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &[u8] = b"grd_sig_0aBcDeFgHiJkLmNoPqRsTuVwXyZ0123456789ABCDEF0example";
    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);
    const ORDER: SignedParts<'static> = SignedParts {
        method: "POST",
        target: "/v1/orders?dry_run=false",
        idempotency_key: "till-7-000123",
        body: br#"{"member_id":"mem_0123456789abc","reward_id":"mug"}"#,
    };
    const READ: SignedParts<'static> =
        SignedParts { method: "GET", target: "/v1/members/mem_0123456789abc", idempotency_key: "", body: b"" };

    fn headers(seconds: &str, nonce: &str, signature: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in [(TIMESTAMP_HEADER, seconds), (NONCE_HEADER, nonce), (SIGNATURE_HEADER, signature)] {
            headers.insert(name, value.parse().unwrap());
        }
        headers
    }

    fn signed(parts: &SignedParts<'_>) -> HeaderMap {
        headers("1800000000", "b2f5c9d1e0a74836", &sign(SECRET, 1_800_000_000, "b2f5c9d1e0a74836", parts))
    }

    fn verify(headers: &HeaderMap, parts: &SignedParts<'_>, now: Timestamp) -> Result<(), SignatureError> {
        Signature::read(headers)?.unwrap().verify(&[SECRET], parts, now)
    }

    #[test]
    fn the_test_vectors_of_the_documentation() {
        let document = include_str!("../../../../docs/signatures.md");
        for parts in [ORDER, READ] {
            let signature = sign(SECRET, 1_800_000_000, "b2f5c9d1e0a74836", &parts);
            assert!(document.contains(&signature), "{} {signature}", parts.target);
            assert_eq!(verify(&signed(&parts), &parts, NOW), Ok(()));
        }
        assert!(document.contains(std::str::from_utf8(SECRET).unwrap()));
    }

    #[test]
    fn every_part_is_signed() {
        let headers = signed(&ORDER);
        let changed = [
            SignedParts { method: "PUT", ..ORDER },
            SignedParts { target: "/v1/orders?dry_run=true", ..ORDER },
            SignedParts { target: "/v1/orders", ..ORDER },
            SignedParts { idempotency_key: "till-7-000124", ..ORDER },
            SignedParts { idempotency_key: "", ..ORDER },
            SignedParts { body: br#"{"member_id":"mem_0123456789abc","reward_id":"bag"}"#, ..ORDER },
            SignedParts { body: b"", ..ORDER },
        ];
        for parts in changed {
            assert_eq!(verify(&headers, &parts, NOW), Err(SignatureError::Wrong), "{parts:?}");
        }
        let signature = sign(SECRET, 1_800_000_000, "b2f5c9d1e0a74836", &ORDER);
        let later = super::tests::headers("1800000001", "b2f5c9d1e0a74836", &signature);
        assert_eq!(verify(&later, &ORDER, NOW), Err(SignatureError::Wrong));
        let renamed = super::tests::headers("1800000000", "b2f5c9d1e0a74837", &signature);
        assert_eq!(verify(&renamed, &ORDER, NOW), Err(SignatureError::Wrong));
        // The same number in another writing is another text.
        let padded = super::tests::headers("01800000000", "b2f5c9d1e0a74836", &signature);
        assert_eq!(verify(&padded, &ORDER, NOW), Err(SignatureError::Wrong));
    }

    #[test]
    fn either_secret_counts_while_they_are_rotated() {
        let headers = signed(&ORDER);
        let signature = Signature::read(&headers).unwrap().unwrap();
        assert_eq!(signature.verify(&[b"new secret", SECRET], &ORDER, NOW), Ok(()));
        assert_eq!(signature.verify(&[b"new secret"], &ORDER, NOW), Err(SignatureError::Wrong));
        assert_eq!(signature.verify(&[], &ORDER, NOW), Err(SignatureError::Wrong));
    }

    #[test]
    fn five_minutes_are_allowed_and_no_more() {
        let headers = signed(&ORDER);
        for (shift, fits) in [(-WINDOW_MS - 1, false), (-WINDOW_MS, true), (WINDOW_MS, true), (WINDOW_MS + 1, false)] {
            let now = NOW.plus_millis(shift);
            let expected = if fits { Ok(()) } else { Err(SignatureError::Expired { now }) };
            assert_eq!(verify(&headers, &ORDER, now), expected, "{shift}");
        }
    }

    #[test]
    fn errors_say_which_header_and_what_would_be_right() {
        let long = "a".repeat(65);
        let (nonce, good) = ("b2f5c9d1e0a74836", sign(SECRET, 1_800_000_000, "b2f5c9d1e0a74836", &ORDER));
        assert_eq!(Signature::read(&HeaderMap::new()), Ok(None));
        let read = |seconds, nonce, signature| Signature::read(&headers(seconds, nonce, signature)).map(|_| ());
        assert_eq!(read("1800000000", nonce, &good), Ok(()));
        for seconds in ["", "x", "-1", "+1", "1.5", " 1 2", "2027-01-15T08:00:00Z", "123456789012"] {
            assert_eq!(read(seconds, nonce, &good), Err(SignatureError::Timestamp), "{seconds}");
        }
        for nonce in ["", "short", "b2f5c9d1e0a7483é", "b2f5c9d1 e0a74836", &long] {
            assert_eq!(read("1800000000", nonce, &good), Err(SignatureError::Nonce), "{nonce}");
        }
        for signature in
            ["", "v1=", "v2=00", &good[3..], &good[..66], &format!("{good}0"), &good.replace("v1=", "v1=g")]
        {
            assert_eq!(read("1800000000", nonce, signature), Err(SignatureError::Form), "{signature}");
        }
        for name in [TIMESTAMP_HEADER, NONCE_HEADER, SIGNATURE_HEADER] {
            let mut without = headers("1800000000", nonce, &good);
            without.remove(name);
            assert_eq!(Signature::read(&without), Err(SignatureError::Missing(name)));
            let mut twice = headers("1800000000", nonce, &good);
            twice.append(name, twice[name].clone());
            assert_eq!(Signature::read(&twice), Err(SignatureError::Repeated(name)));
        }
        let problem = Problem::from(SignatureError::Expired { now: NOW });
        assert_eq!((problem.status, problem.code.as_str()), (401, "signature_expired"));
        assert!(problem.detail.contains("2027-01-15T08:00:00Z"), "{}", problem.detail);
        assert_eq!(Problem::from(SignatureError::Busy).retry_after, Some(60));
    }
}
