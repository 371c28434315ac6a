//! Secrets that must be read again, such as those of authenticator apps and signing devices: sealed under a key that follows
//! from the program's own secrets, so that a new master key leaves them as they are.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use super::{Keyring, NONCE, PrivacyError, cipher};

const WHAT: &str = "a sealed secret";

/// Binds a secret to what it is for and to whom it belongs.
fn context(purpose: &str, owner: &str) -> Vec<u8> {
    [b"guerdon secret 1\n", purpose.as_bytes(), b"\n", owner.as_bytes()].concat()
}

impl Keyring {
    /// Seals a secret for its purpose and owner. Base64.
    pub fn seal_secret(
        &self,
        purpose: &str,
        owner: &str,
        secret: &[u8],
        nonce: [u8; NONCE],
    ) -> Result<String, PrivacyError> {
        let sealed = cipher::seal(WHAT, &self.secret_key(), nonce, &context(purpose, owner), secret)?;
        Ok(STANDARD.encode(sealed))
    }

    /// Opens a secret that was sealed for the same purpose and owner.
    pub fn open_secret(&self, purpose: &str, owner: &str, sealed: &str) -> Result<Zeroizing<Vec<u8>>, PrivacyError> {
        let sealed = STANDARD.decode(sealed).map_err(|_| PrivacyError::Damaged(WHAT))?;
        cipher::open(WHAT, &self.secret_key(), &context(purpose, owner), &sealed)
    }

    fn secret_key(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.digest("sealed secrets", b""))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::{MasterKey, SECRETS_RANDOM};
    use super::*;

    #[test]
    fn a_secret_opens_for_its_purpose_and_owner_only_and_outlives_the_master_key() {
        let (keyring, _) = Keyring::generate(Arc::new(MasterKey::new([1; 32])), [7; SECRETS_RANDOM]).unwrap();
        let sealed = keyring.seal_secret("authenticator", "opr_1", b"secret", [3; NONCE]).unwrap();
        let rotated = keyring.with_current(Arc::new(MasterKey::new([2; 32]))).unwrap();
        assert_eq!(*rotated.open_secret("authenticator", "opr_1", &sealed).unwrap(), b"secret");
        assert!(keyring.open_secret("authenticator", "opr_2", &sealed).is_err());
        assert!(keyring.open_secret("signing", "opr_1", &sealed).is_err());
        assert!(keyring.open_secret("authenticator", "opr_1", "not base64!").is_err());
    }
}
