//! All keys of a program's personal data, and what is done with them.

use std::fmt;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::SigningKey;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::{KeyWrap, NONCE, PrivacyError, cipher};
use crate::id::MemberId;
use crate::members::{MemberRef, Profile, RefKind};

/// Random bytes that sealing a new profile takes: the member's key, and a nonce each for the key and the profile.
pub const SEAL_RANDOM: usize = 32 + 2 * NONCE;
/// Random bytes that the secrets of a new program take: the index key, the card key, and a nonce.
pub const SECRETS_RANDOM: usize = 2 * 32 + NONCE;

const PROFILE: &str = "a profile";
const SECRETS: &str = "the keys of the program";
const SECRETS_CONTEXT: &[u8] = b"guerdon program secrets 1";

/// A profile as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedProfile {
    /// The master key that has wrapped the member's key.
    pub key_id: String,
    /// The member's key.
    pub wrapped_key: Vec<u8>,
    /// The profile under the member's key.
    pub ciphertext: Vec<u8>,
}

impl SealedProfile {
    /// Tells whether the profile is still the one that was read. The same under every master key.
    pub fn version(&self) -> [u8; 32] {
        profile_version(&self.ciphertext)
    }
}

/// The version of a profile by its ciphertext, which has a nonce of its own each time.
pub fn profile_version(ciphertext: &[u8]) -> [u8; 32] {
    Sha256::digest(ciphertext).into()
}

/// The master keys at hand, the one in use, and the program's own secrets. Never prints a key.
pub struct Keyring {
    masters: Vec<Arc<dyn KeyWrap>>,
    current: Arc<dyn KeyWrap>,
    index_key: Zeroizing<[u8; 32]>,
    /// The keyed hash of the blind index, ready to be fed.
    index: Hmac<Sha256>,
    card_key: SigningKey,
}

/// Binds a sealed value to its member and its purpose.
fn context(purpose: &str, member: MemberId) -> Vec<u8> {
    [purpose.as_bytes(), b"\n", &member.0.to_be_bytes()].concat()
}

fn key_context(member: MemberId) -> Vec<u8> {
    context("guerdon member key 1", member)
}

fn profile_context(member: MemberId) -> Vec<u8> {
    context("guerdon profile 1", member)
}

impl Keyring {
    /// The keyring of a new program: draws its secrets. [`Keyring::wrapped_secrets`] is what to store.
    pub fn generate(master: Arc<dyn KeyWrap>, random: [u8; SECRETS_RANDOM]) -> Result<(Self, String), PrivacyError> {
        let random = Zeroizing::new(random);
        let damaged = || PrivacyError::Damaged(SECRETS);
        let (secrets, nonce) = random.split_last_chunk::<NONCE>().ok_or_else(damaged)?;
        let keyring = Self::new(vec![Arc::clone(&master)], master, secrets)?;
        let wrapped = keyring.wrapped_secrets(*nonce)?;
        Ok((keyring, wrapped))
    }

    /// Opens the keyring of a program: the master keys at hand, the id of the one in use, and the stored secrets.
    pub fn open(masters: Vec<Arc<dyn KeyWrap>>, current: &str, stored: &str) -> Result<Self, PrivacyError> {
        let (id, wrapped) = stored.split_once(' ').ok_or(PrivacyError::Damaged(SECRETS))?;
        let wrapped = STANDARD.decode(wrapped).map_err(|_| PrivacyError::Damaged(SECRETS))?;
        let secrets = find(&masters, id)?.unwrap(&wrapped, SECRETS_CONTEXT)?;
        let current = Arc::clone(find(&masters, current)?);
        Self::new(masters, current, &secrets)
    }

    fn new(masters: Vec<Arc<dyn KeyWrap>>, current: Arc<dyn KeyWrap>, secrets: &[u8]) -> Result<Self, PrivacyError> {
        let damaged = || PrivacyError::Damaged(SECRETS);
        let (index_key, card_key) = secrets.split_first_chunk::<32>().ok_or_else(damaged)?;
        let card_key = SigningKey::from_bytes(card_key.try_into().map_err(|_| damaged())?);
        let index = Hmac::new_from_slice(index_key).map_err(|_| damaged())?;
        Ok(Self { masters, current, index_key: Zeroizing::new(*index_key), index, card_key })
    }

    /// The same keyring with another master key in use, which is added where it is not at hand yet.
    pub fn with_current(&self, current: Arc<dyn KeyWrap>) -> Result<Self, PrivacyError> {
        let mut masters = self.masters.clone();
        if find(&masters, current.id()).is_err() {
            masters.push(Arc::clone(&current));
        }
        Self::new(masters, current, &self.secrets())
    }

    /// The master key of an id, where it is at hand.
    pub fn master(&self, id: &str) -> Result<&Arc<dyn KeyWrap>, PrivacyError> {
        find(&self.masters, id)
    }

    /// The id of the master key in use.
    pub fn current_id(&self) -> &str {
        self.current.id()
    }

    fn secrets(&self) -> Zeroizing<Vec<u8>> {
        Zeroizing::new([*self.index_key, *Zeroizing::new(self.card_key.to_bytes())].concat())
    }

    /// The program's secrets under the master key in use, to be stored.
    pub fn wrapped_secrets(&self, nonce: [u8; NONCE]) -> Result<String, PrivacyError> {
        let wrapped = self.current.wrap(&self.secrets(), SECRETS_CONTEXT, nonce)?;
        Ok(format!("{} {}", self.current.id(), STANDARD.encode(wrapped)))
    }

    /// Seals the profile of a new member under a new key.
    pub fn seal_profile(
        &self,
        member: MemberId,
        profile: &Profile,
        random: [u8; SEAL_RANDOM],
    ) -> Result<SealedProfile, PrivacyError> {
        let random = Zeroizing::new(random);
        let damaged = || PrivacyError::Damaged(PROFILE);
        let (key, nonces) = random.split_first_chunk::<32>().ok_or_else(damaged)?;
        let ([first, second], []) = nonces.as_chunks::<NONCE>() else { return Err(damaged()) };
        Ok(SealedProfile {
            key_id: self.current.id().to_owned(),
            wrapped_key: self.current.wrap(key, &key_context(member), *first)?,
            ciphertext: encrypt(key, member, profile, *second)?,
        })
    }

    /// Seals a changed profile under the key that the member has. Returns the new ciphertext.
    pub fn reseal_profile(
        &self,
        member: MemberId,
        before: &SealedProfile,
        profile: &Profile,
        nonce: [u8; NONCE],
    ) -> Result<Vec<u8>, PrivacyError> {
        encrypt(&*self.member_key(member, &before.key_id, &before.wrapped_key)?, member, profile, nonce)
    }

    /// Opens the profile of a member.
    pub fn open_profile(&self, member: MemberId, sealed: &SealedProfile) -> Result<Profile, PrivacyError> {
        let key = self.member_key(member, &sealed.key_id, &sealed.wrapped_key)?;
        let plain = cipher::open(PROFILE, &key, &profile_context(member), &sealed.ciphertext)?;
        serde_json::from_slice(&plain).map_err(|_| PrivacyError::Damaged(PROFILE))
    }

    /// Seals something that is kept beside a profile under the key that the member has: what it is, and its purpose, which
    /// keeps things of one kind from being taken for another.
    pub fn seal_beside(
        &self,
        (what, purpose): (&'static str, &str),
        member: MemberId,
        profile: &SealedProfile,
        plain: &[u8],
        nonce: [u8; NONCE],
    ) -> Result<Vec<u8>, PrivacyError> {
        let key = self.member_key(member, &profile.key_id, &profile.wrapped_key)?;
        cipher::seal(what, &key, nonce, &context(purpose, member), plain)
    }

    /// Opens what [`Keyring::seal_beside`] has sealed.
    pub fn open_beside(
        &self,
        (what, purpose): (&'static str, &str),
        member: MemberId,
        profile: &SealedProfile,
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, PrivacyError> {
        let key = self.member_key(member, &profile.key_id, &profile.wrapped_key)?;
        cipher::open(what, &key, &context(purpose, member), sealed)
    }

    /// Wraps a member's key under the master key in use.
    pub fn rewrap(
        &self,
        member: MemberId,
        key_id: &str,
        wrapped_key: &[u8],
        nonce: [u8; NONCE],
    ) -> Result<Vec<u8>, PrivacyError> {
        self.current.wrap(&*self.member_key(member, key_id, wrapped_key)?, &key_context(member), nonce)
    }

    fn member_key(&self, member: MemberId, id: &str, wrapped: &[u8]) -> Result<Zeroizing<[u8; 32]>, PrivacyError> {
        let key = find(&self.masters, id)?.unwrap(wrapped, &key_context(member))?;
        key.as_slice().try_into().map(Zeroizing::new).map_err(|_| PrivacyError::Damaged("a member's key"))
    }

    /// The reference for a value as a person or a system wrote it.
    pub fn reference(&self, kind: RefKind, value: &str) -> MemberRef {
        self.keyed(kind, &Sha256::digest(kind.normalise(value).as_bytes()).into())
    }

    /// The reference whose value has the SHA-256 `plain`: how databases from before there were keys are taken over.
    pub fn keyed(&self, kind: RefKind, plain: &[u8; 32]) -> MemberRef {
        MemberRef { kind, digest: self.hmac(&[kind as u8], plain) }
    }

    /// The references of a profile that must be unique in the program.
    pub fn references(&self, profile: &Profile) -> Vec<MemberRef> {
        profile.reference_values().map(|(kind, value)| self.reference(kind, value)).collect()
    }

    /// A digest of something that must not be guessed from it, such as a request with a phone number; `purpose` keeps
    /// digests of different things apart.
    pub fn digest(&self, purpose: &str, bytes: &[u8]) -> [u8; 32] {
        // Longer than what a reference is made of, so that no digest is one.
        let purpose = Sha256::digest(purpose.as_bytes());
        self.hmac(&purpose, &Sha256::digest(bytes).into())
    }

    /// Whether something is the [`Keyring::digest`] of `bytes`; it takes as long however much of it fits.
    pub fn is_digest(&self, purpose: &str, bytes: &[u8], digest: &[u8; 32]) -> bool {
        let purpose = Sha256::digest(purpose.as_bytes());
        self.keyed_by(&purpose, &Sha256::digest(bytes).into()).verify(digest.into()).is_ok()
    }

    /// The key that signs membership cards.
    pub fn card_key(&self) -> &SigningKey {
        &self.card_key
    }

    fn hmac(&self, first: &[u8], second: &[u8; 32]) -> [u8; 32] {
        self.keyed_by(first, second).finalize().into_bytes().into()
    }

    fn keyed_by(&self, first: &[u8], second: &[u8; 32]) -> Hmac<Sha256> {
        self.index.clone().chain_update(first).chain_update(second)
    }
}

fn find<'a>(masters: &'a [Arc<dyn KeyWrap>], id: &str) -> Result<&'a Arc<dyn KeyWrap>, PrivacyError> {
    let found = masters.iter().find(|master| master.id() == id);
    found.ok_or_else(|| PrivacyError::UnknownMasterKey(id.chars().take(64).collect()))
}

fn encrypt(key: &[u8; 32], member: MemberId, profile: &Profile, nonce: [u8; NONCE]) -> Result<Vec<u8>, PrivacyError> {
    let plain = serde_json::to_vec(profile).map(Zeroizing::new).map_err(|_| PrivacyError::Damaged(PROFILE))?;
    cipher::seal(PROFILE, key, nonce, &profile_context(member), &plain)
}

impl fmt::Debug for Keyring {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ids: Vec<&str> = self.masters.iter().map(|master| master.id()).collect();
        formatter.debug_struct("Keyring").field("masters", &ids).field("current", &self.current.id()).finish()
    }
}
