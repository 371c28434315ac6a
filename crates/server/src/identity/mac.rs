//! HMAC-SHA256, which takes keys of any length.

use hmac::{Hmac, KeyInit};
use sha2::Sha256;

/// An HMAC-SHA256 under `key`, to be fed and then finalized or verified (`verify_slice` compares in constant time).
pub fn hmac_sha256(key: &[u8]) -> Hmac<Sha256> {
    Hmac::new_from_slice(key).unwrap_or_else(|_| unreachable!("HMAC takes keys of any length"))
}
