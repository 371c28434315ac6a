//! Device cookies (OWASP): a browser in which somebody signed in carries a signed, long-lived cookie that says so for that
//! account. Whoever attacks an account from outside can slow down strangers, never the devices of its owner.
//!
//! The cookie proves nothing but that: it is no session and opens nothing.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use guerdon_core::time::Timestamp;
use hmac::{Hmac, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::identity::mac::hmac_sha256;
use crate::identity::token::random_bytes;

/// How long a device is known after the last sign-in, in milliseconds: a year.
pub const KNOWN_FOR_MS: i64 = 365 * 24 * 60 * 60 * 1000;
/// How many accounts a browser remembers.
const MOST_ACCOUNTS: usize = 4;
const NONCE_BYTES: usize = 16;
const TAG_BYTES: usize = 32;
/// Nonce, milliseconds, tag.
const PASS_BYTES: usize = NONCE_BYTES + 8 + TAG_BYTES;

/// A device that has signed in to the account before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct KnownDevice([u8; NONCE_BYTES]);

/// Issues and reads device cookies.
#[derive(Clone)]
pub struct DeviceCookies {
    key: Zeroizing<[u8; 32]>,
}

impl DeviceCookies {
    /// Under a key that all nodes share and that is used for nothing else.
    pub fn new(key: [u8; 32]) -> Self {
        Self { key: Zeroizing::new(key) }
    }

    /// The device, when the cookie says that it has signed in to this account within the last year.
    pub fn recognise(&self, cookie: &str, account: &str, now: Timestamp) -> Option<KnownDevice> {
        passes(cookie).find_map(|pass| self.verify(&pass, account, now))
    }

    /// The value of the cookie after a successful sign-in to `account`: a fresh pass for it, and what the browser already
    /// had for other accounts. To be set `HttpOnly; Secure; SameSite=Lax; Max-Age=31536000`, on the path of the sign-in.
    pub fn renew(&self, cookie: Option<&str>, account: &str, now: Timestamp) -> String {
        let others = passes(cookie.unwrap_or_default()).filter(|pass| self.verify(pass, account, now).is_none());
        let others = others.take(MOST_ACCOUNTS - 1);
        let mut fresh = Vec::with_capacity(PASS_BYTES);
        fresh.extend(random_bytes::<NONCE_BYTES>());
        fresh.extend(now.as_millis().to_be_bytes());
        let tag = self.tag(&fresh, account).finalize().into_bytes();
        fresh.extend(tag);
        let texts: Vec<_> = std::iter::once(fresh).chain(others).map(|pass| URL_SAFE_NO_PAD.encode(pass)).collect();
        texts.join(".")
    }

    fn verify(&self, pass: &[u8], account: &str, now: Timestamp) -> Option<KnownDevice> {
        let (signed, tag) = pass.split_at_checked(PASS_BYTES - TAG_BYTES)?;
        self.tag(signed, account).verify_slice(tag).ok()?;
        let (nonce, issued) = signed.split_first_chunk::<NONCE_BYTES>()?;
        let age = now.as_millis().saturating_sub(i64::from_be_bytes(issued.try_into().ok()?));
        (age < KNOWN_FOR_MS).then_some(KnownDevice(*nonce))
    }

    /// The account is part of what is signed and not of the cookie, which so names nobody.
    fn tag(&self, signed: &[u8], account: &str) -> Hmac<Sha256> {
        let mac = hmac_sha256(&*self.key).chain_update(b"guerdon device 1\0");
        mac.chain_update(signed).chain_update(account.to_lowercase())
    }
}

fn passes(cookie: &str) -> impl Iterator<Item = Vec<u8>> {
    let texts = cookie.split('.').filter(|text| text.len() == PASS_BYTES.div_ceil(3) * 4 - 1).take(MOST_ACCOUNTS);
    texts.filter_map(|text| URL_SAFE_NO_PAD.decode(text).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    fn cookies() -> DeviceCookies {
        DeviceCookies::new([7; 32])
    }

    #[test]
    fn a_device_is_known_for_its_account_for_a_year() {
        let cookie = cookies().renew(None, "ann@example.com", NOW);
        let device = cookies().recognise(&cookie, "Ann@example.com", NOW).unwrap();
        assert_eq!(cookies().recognise(&cookie, "ann@example.com", NOW.plus_millis(KNOWN_FOR_MS - 1)), Some(device));
        assert_eq!(cookies().recognise(&cookie, "ann@example.com", NOW.plus_millis(KNOWN_FOR_MS)), None);
        assert_eq!(cookies().recognise(&cookie, "bob@example.com", NOW), None);
        assert_eq!(DeviceCookies::new([8; 32]).recognise(&cookie, "ann@example.com", NOW), None);
        assert!(!cookie.contains("ann"));
    }

    #[test]
    fn a_browser_remembers_the_last_four_accounts() {
        let mut cookie = String::new();
        for account in ["a", "b", "c", "d", "e", "d", "d"] {
            cookie = cookies().renew(Some(&cookie), account, NOW);
        }
        let known = |account| cookies().recognise(&cookie, account, NOW).is_some();
        assert_eq!(["a", "b", "c", "d", "e"].map(known), [false, true, true, true, true]);
        assert!(cookie.len() < 320, "{}", cookie.len());
    }

    #[test]
    fn a_changed_cookie_is_worth_nothing() {
        let cookie = cookies().renew(None, "ann", NOW);
        for position in 0..cookie.len() - 1 {
            let mut bytes = cookie.as_bytes().to_vec();
            bytes[position] = if bytes[position] == b'A' { b'B' } else { b'A' };
            assert_eq!(cookies().recognise(std::str::from_utf8(&bytes).unwrap(), "ann", NOW), None, "{position}");
        }
        for text in ["", ".", "....", "é", &cookie[1..], &".".repeat(10_000)] {
            assert_eq!(cookies().recognise(text, "ann", NOW), None);
        }
    }
}
