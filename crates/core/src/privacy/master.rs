//! What wraps the members' keys: a master key of our own, or a key service through the same trait.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::{NONCE, PrivacyError, cipher};

/// Wraps and unwraps keys: the seam at which a key management service takes the place of a master key at hand.
pub trait KeyWrap: Send + Sync {
    /// By what name the rows tell which key has wrapped theirs; short, and without spaces.
    fn id(&self) -> &str;

    /// Wraps a key so that it unwraps with the same context only. A service that draws nonces of its own leaves the
    /// given one aside.
    fn wrap(&self, key: &[u8], context: &[u8], nonce: [u8; NONCE]) -> Result<Vec<u8>, PrivacyError>;

    /// Unwraps a key.
    fn unwrap(&self, wrapped: &[u8], context: &[u8]) -> Result<Zeroizing<Vec<u8>>, PrivacyError>;
}

/// A master key at hand.
pub struct MasterKey {
    id: String,
    key: Zeroizing<[u8; 32]>,
}

impl MasterKey {
    /// A key of 32 random bytes.
    pub fn new(key: [u8; 32]) -> Self {
        let key = Zeroizing::new(key);
        let digest: [u8; 32] =
            Sha256::new().chain_update(b"guerdon master key id\n").chain_update(*key).finalize().into();
        let id = digest.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
        Self { id, key }
    }

    /// Reads keys, each the base64 of 32 bytes: one a line, or with commas between; the newest last. Empty lines and
    /// lines that begin with `#` say nothing.
    pub fn parse_all(text: &str) -> Result<Vec<Self>, PrivacyError> {
        let lines = text.lines().map(str::trim).filter(|line| !line.starts_with('#'));
        let words = lines.flat_map(|line| line.split(',')).map(str::trim).filter(|word| !word.is_empty());
        let keys: Vec<Self> = words.map(Self::parse).collect::<Result<_, _>>()?;
        if keys.is_empty() { Err(PrivacyError::InvalidMasterKey) } else { Ok(keys) }
    }

    fn parse(text: &str) -> Result<Self, PrivacyError> {
        let bytes = STANDARD.decode(text).map(Zeroizing::new).map_err(|_| PrivacyError::InvalidMasterKey)?;
        let key: [u8; 32] = bytes.as_slice().try_into().map_err(|_| PrivacyError::InvalidMasterKey)?;
        Ok(Self::new(key))
    }

    /// The text that [`MasterKey::parse_all`] reads: for the key file only.
    pub fn secret_text(&self) -> Zeroizing<String> {
        Zeroizing::new(STANDARD.encode(*self.key))
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "MasterKey({})", self.id)
    }
}

impl KeyWrap for MasterKey {
    fn id(&self) -> &str {
        &self.id
    }

    fn wrap(&self, key: &[u8], context: &[u8], nonce: [u8; NONCE]) -> Result<Vec<u8>, PrivacyError> {
        cipher::seal("a key", &self.key, nonce, context, key)
    }

    fn unwrap(&self, wrapped: &[u8], context: &[u8]) -> Result<Zeroizing<Vec<u8>>, PrivacyError> {
        cipher::open("a key", &self.key, context, wrapped)
    }
}
