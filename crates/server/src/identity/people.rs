//! What signing in needs: passwords, throttling, known devices, passkeys, and the address that people reach us under.

use guerdon_core::privacy::Keyring;

use super::device::DeviceCookies;
use super::passkey::Passkeys;
use super::password::{PasswordError, Passwords};
use super::throttle::Throttle;
use crate::edge::PublicUrl;

/// One a server.
pub struct People {
    /// Hashes and checks passwords.
    pub passwords: Passwords,
    /// Slows down guessing.
    pub throttle: Throttle,
    /// Tells known devices from strangers.
    pub devices: DeviceCookies,
    /// Passkeys; none where the public address has no host name.
    pub passkeys: Option<Passkeys>,
    /// Where people reach us; unknown where nobody has said.
    public_url: Option<PublicUrl>,
    https: bool,
}

impl People {
    /// For a public address; `https`: whether people's connections are encrypted; `brand` is what devices show. The keys
    /// come from the keyring, so that all nodes share them.
    pub fn new(
        public_url: Option<PublicUrl>,
        https: bool,
        brand: &str,
        keyring: &Keyring,
    ) -> Result<Self, PasswordError> {
        let decoys = keyring.digest("passkey decoys", b"");
        let passkeys = public_url.as_ref().map(|public| Passkeys::new(public.url(), brand, &decoys)).transpose();
        if let Err(error) = &passkeys {
            tracing::info!(%error, "there are no passkeys here");
        }
        Ok(Self {
            passwords: Passwords::new()?,
            throttle: Throttle::new(),
            devices: DeviceCookies::new(keyring.digest("device cookies", b"")),
            passkeys: passkeys.ok().flatten(),
            https: https || public_url.as_ref().is_some_and(PublicUrl::is_https),
            public_url,
        })
    }

    /// Whether cookies are for encrypted connections only.
    pub fn https(&self) -> bool {
        self.https
    }

    /// The address of a page to be passed on; without a public address the path alone.
    pub fn link(&self, path: &str) -> String {
        self.public_url.as_ref().map_or_else(|| path.to_owned(), |public| public.page(path))
    }
}
