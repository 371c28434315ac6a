//! The one cipher: AES-256-GCM, with a format byte and the nonce in front of what is sealed.

use aes_gcm::aead::{Aead, Payload};
use aes_gcm::{Aes256Gcm, KeyInit};
use zeroize::Zeroizing;

use super::{NONCE, PrivacyError};

/// The only format so far: the nonce, then the ciphertext with its tag.
const FORMAT: u8 = 1;

/// Seals `plain` so that it opens under the same key and `context` only.
pub fn seal(
    what: &'static str,
    key: &[u8; 32],
    nonce: [u8; NONCE],
    context: &[u8],
    plain: &[u8],
) -> Result<Vec<u8>, PrivacyError> {
    let cipher = Aes256Gcm::new(key.into());
    let sealed = cipher.encrypt((&nonce).into(), Payload { msg: plain, aad: context });
    let sealed = sealed.map_err(|_| PrivacyError::Damaged(what))?;
    let mut bytes = Vec::with_capacity(1 + NONCE + sealed.len());
    bytes.push(FORMAT);
    bytes.extend_from_slice(&nonce);
    bytes.extend_from_slice(&sealed);
    Ok(bytes)
}

/// Opens what was sealed under the key and context.
pub fn open(
    what: &'static str,
    key: &[u8; 32],
    context: &[u8],
    sealed: &[u8],
) -> Result<Zeroizing<Vec<u8>>, PrivacyError> {
    let damaged = || PrivacyError::Damaged(what);
    let (format, rest) = sealed.split_first().ok_or_else(damaged)?;
    if *format != FORMAT {
        return Err(PrivacyError::UnknownFormat(what, *format));
    }
    let (nonce, ciphertext) = rest.split_first_chunk::<NONCE>().ok_or_else(damaged)?;
    let cipher = Aes256Gcm::new(key.into());
    let plain = cipher.decrypt(nonce.into(), Payload { msg: ciphertext, aad: context });
    plain.map(Zeroizing::new).map_err(|_| damaged())
}
