//! Passkeys (WebAuthn): registration and sign-in, with the person verified by the device each time.
//!
//! A ceremony has two requests; between them its state is stored. **That the state can be serialised is safe here** because
//! it never leaves the server: it is the body of a short-lived record whose id only the browser's session knows, and the
//! record is deleted when it is read, so that a challenge is answered once. (The danger that the library's feature warns of
//! is state in a cookie, which could be replayed.)

use axum::http::StatusCode;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::problem::Problem;
use guerdon_core::time::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use url::Url;
use webauthn_rs::fake::{FakePasskeyDistribution, WebauthnFakeCredentialGenerator};
use webauthn_rs::prelude::{
    Passkey, PasskeyAuthentication, PasskeyRegistration, PublicKeyCredential, RegisterPublicKeyCredential, Uuid,
    Webauthn, WebauthnBuilder, WebauthnError,
};

/// How many passkeys an account may have.
pub const MOST_PASSKEYS: usize = 20;
/// How long the state of a ceremony is kept, in milliseconds.
pub const CEREMONY_MS: i64 = 5 * 60 * 1000;
/// The longest answer of a browser that is read.
const MOST_ANSWER_BYTES: usize = 64 * 1024;
/// The longest label of a passkey, in characters.
const MOST_LABEL: usize = 60;

/// Why a passkey was not registered or not accepted.
#[derive(Debug, thiserror::Error)]
pub enum PasskeyError {
    /// Passkeys are bound to a host name.
    #[error("passkeys need a public URL with a host name, such as https://loyalty.example.com; an address has none")]
    NoHostName,
    /// The account has as many as it may.
    #[error("an account has at most {MOST_PASSKEYS} passkeys; remove one first")]
    TooMany,
    /// It is registered already.
    #[error("this passkey is registered already")]
    AlreadyRegistered,
    /// The answer is not what a browser sends.
    #[error("this is not the answer of a passkey")]
    Malformed,
    /// The signature count went back: somebody has a copy of the key. To be audited; the passkey must be registered anew.
    #[error("this passkey seems to have been copied; sign in another way and register it anew")]
    Copied,
    /// A wrong challenge, origin, key or signature, or the person was not verified.
    #[error("this passkey was not accepted")]
    Refused(#[source] WebauthnError),
}

impl PasskeyError {
    /// A stable name, for messages in the language of the reader.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::NoHostName => "passkey_no_host_name",
            Self::TooMany => "passkey_too_many",
            Self::AlreadyRegistered => "passkey_already_registered",
            Self::Malformed => "passkey_malformed",
            Self::Copied => "passkey_copied",
            Self::Refused(_) => "passkey_refused",
        }
    }
}

impl From<PasskeyError> for Problem {
    fn from(error: PasskeyError) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, error.name(), error.to_string())
    }
}

/// A passkey as stored. Nothing in it is secret.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct StoredPasskey {
    /// What its owner calls it.
    pub label: String,
    /// When it was registered.
    pub registered_at: Timestamp,
    /// When it was last used.
    #[serde(default)]
    pub last_used_at: Option<Timestamp>,
    key: Passkey,
}

impl StoredPasskey {
    /// Its credential id in base64url: to name it in a page or an address, and in a record.
    pub fn id(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.key.cred_id())
    }
}

/// What is kept between the two requests of a registration. Only ever stored on the server.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RegistrationState {
    state: PasskeyRegistration,
    existing: Vec<String>,
}

/// What is kept between the two requests of a sign-in. Only ever stored on the server.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AuthenticationState(PasskeyAuthentication);

/// Whose passkey is registered.
#[derive(Debug, Clone, Copy)]
pub struct PasskeyOwner<'a> {
    /// The id of the operator or member; its digest is the handle that the device keeps.
    pub id: &'a str,
    /// The name to sign in with.
    pub account: &'a str,
    /// The person's name.
    pub name: &'a str,
}

/// The ceremonies, for one public URL.
pub struct Passkeys {
    webauthn: Webauthn,
    decoys: WebauthnFakeCredentialGenerator<FakePasskeyDistribution>,
}

impl Passkeys {
    /// For the server's public URL. `brand` is shown by devices; `decoy_key` is shared by all nodes, and used for nothing
    /// else. The host name is what passkeys are bound to: when it changes they are lost.
    pub fn new(public_url: &Url, brand: &str, decoy_key: &[u8; 32]) -> Result<Self, PasskeyError> {
        let host = public_url.domain().ok_or(PasskeyError::NoHostName)?;
        let builder = WebauthnBuilder::new(host, public_url).map_err(PasskeyError::Refused)?.rp_name(brand);
        let webauthn = builder.build().map_err(PasskeyError::Refused)?;
        let decoys = WebauthnFakeCredentialGenerator::new(decoy_key).map_err(PasskeyError::Refused)?;
        Ok(Self { webauthn, decoys })
    }

    /// The options for `navigator.credentials.create` (its `publicKey` is to be read with
    /// `PublicKeyCredential.parseCreationOptionsFromJSON`), and the state.
    pub fn begin_registration(
        &self,
        owner: PasskeyOwner<'_>,
        existing: &[StoredPasskey],
    ) -> Result<(Value, RegistrationState), PasskeyError> {
        if existing.len() >= MOST_PASSKEYS {
            return Err(PasskeyError::TooMany);
        }
        let exclude = existing.iter().map(|passkey| passkey.key.cred_id().clone()).collect();
        let (options, state) = self
            .webauthn
            .start_passkey_registration(handle(owner.id), owner.account, owner.name, Some(exclude))
            .map_err(PasskeyError::Refused)?;
        let existing = existing.iter().map(StoredPasskey::id).collect();
        Ok((json(&options)?, RegistrationState { state, existing }))
    }

    /// Checks the browser's answer (`credential.toJSON()`): the passkey to store with its owner. Whether another account has
    /// it is the caller's to look up by [`StoredPasskey::id`].
    pub fn finish_registration(
        &self,
        answer: &str,
        state: &RegistrationState,
        label: &str,
        now: Timestamp,
    ) -> Result<StoredPasskey, PasskeyError> {
        let answer: RegisterPublicKeyCredential = read(answer)?;
        if state.existing.contains(&URL_SAFE_NO_PAD.encode(&answer.raw_id)) {
            return Err(PasskeyError::AlreadyRegistered);
        }
        let key = self.webauthn.finish_passkey_registration(&answer, &state.state).map_err(refused)?;
        let label = label.trim().chars().filter(|c| !c.is_control()).take(MOST_LABEL).collect();
        Ok(StoredPasskey { label, registered_at: now, last_used_at: None, key })
    }

    /// The options for `navigator.credentials.get` (its `publicKey` is to be read with
    /// `PublicKeyCredential.parseRequestOptionsFromJSON`), and the state. For an
    /// account without passkeys, or none at all, they name passkeys that do not exist, always the same for the same
    /// account: who asks does not learn which accounts there are.
    pub fn begin_authentication(
        &self,
        account: &str,
        passkeys: &[StoredPasskey],
    ) -> Result<(Value, AuthenticationState), PasskeyError> {
        let keys: Vec<Passkey> = passkeys.iter().map(|passkey| passkey.key.clone()).collect();
        let (options, state) = self.webauthn.start_passkey_authentication(&keys).map_err(PasskeyError::Refused)?;
        let mut options = json(&options)?;
        if let Some(Value::Array(allowed)) = options.pointer_mut("/publicKey/allowCredentials") {
            if keys.is_empty() {
                *allowed = self.decoys(account)?;
            }
            // Through which cable a key is reached would tell real ones from decoys.
            allowed.iter_mut().filter_map(Value::as_object_mut).for_each(|one| _ = one.remove("transports"));
        }
        Ok((options, AuthenticationState(state)))
    }

    /// Checks the browser's answer. Answers the place in `passkeys` of the one that was used, with its counter, backup
    /// state and last use brought up to date: the caller stores it, and lets nobody in whose storing conflicted.
    pub fn finish_authentication(
        &self,
        answer: &str,
        state: &AuthenticationState,
        passkeys: &mut [StoredPasskey],
        now: Timestamp,
    ) -> Result<usize, PasskeyError> {
        let answer: PublicKeyCredential = read(answer)?;
        let result = self.webauthn.finish_passkey_authentication(&answer, &state.0).map_err(refused)?;
        if !result.user_verified() {
            return Err(PasskeyError::Refused(WebauthnError::UserNotVerified));
        }
        // The passkeys are read anew for the second request: one that was removed in between does not count.
        let used = passkeys.iter_mut().enumerate().find(|(_, passkey)| passkey.key.cred_id() == result.cred_id());
        let (place, passkey) = used.ok_or(PasskeyError::Refused(WebauthnError::CredentialNotFound))?;
        passkey.key.update_credential(&result);
        passkey.last_used_at = Some(now);
        Ok(place)
    }

    fn decoys(&self, account: &str) -> Result<Vec<Value>, PasskeyError> {
        let account = account.to_lowercase();
        let mut ids = self.decoys.generate(account.as_bytes()).map_err(PasskeyError::Refused)?;
        let mut salt = 0_u8;
        while ids.is_empty() {
            salt = salt.wrapping_add(1);
            let other = [account.as_bytes(), &[0, salt]].concat();
            ids = self.decoys.generate(&other).map_err(PasskeyError::Refused)?;
        }
        Ok(ids.iter().map(|id| json!({"type": "public-key", "id": URL_SAFE_NO_PAD.encode(id)})).collect())
    }
}

/// The handle that a device keeps for its owner: it must not be personal, and the same each time.
fn handle(id: &str) -> Uuid {
    let digest: [u8; 32] = Sha256::new().chain_update(b"guerdon passkey owner 1\0").chain_update(id).finalize().into();
    Uuid::from_bytes(digest.first_chunk().copied().unwrap_or_default())
}

fn json(options: &impl Serialize) -> Result<Value, PasskeyError> {
    serde_json::to_value(options).map_err(|error| PasskeyError::Refused(error.into()))
}

fn read<T: for<'de> Deserialize<'de>>(answer: &str) -> Result<T, PasskeyError> {
    if answer.len() > MOST_ANSWER_BYTES {
        return Err(PasskeyError::Malformed);
    }
    serde_json::from_str(answer).map_err(|_| PasskeyError::Malformed)
}

fn refused(error: WebauthnError) -> PasskeyError {
    match error {
        WebauthnError::CredentialPossibleCompromise => PasskeyError::Copied,
        error => PasskeyError::Refused(error),
    }
}

#[cfg(test)]
mod tests;
