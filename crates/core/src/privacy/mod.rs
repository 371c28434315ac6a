//! Personal data: sealed under a key of the member's own, found by a blind index, and erased by destroying the key.
//!
//! A profile is AES-256-GCM under the member's key; that key lies beside it, wrapped by a master key that is not in the
//! database. References (external id, e-mail, phone) are stored as HMACs, so that an exact value finds its member and no
//! value can be guessed from the database alone. Randomness is handed in.

mod cipher;
mod keyring;
pub mod mask;
mod master;
mod secret;

pub use cipher::{open, seal};
pub use keyring::{Keyring, SEAL_RANDOM, SECRETS_RANDOM, SealedProfile, profile_version};
pub use master::{KeyWrap, MasterKey};

/// Bytes of a nonce.
pub const NONCE: usize = 12;

/// Why something cannot be sealed or opened. Never holds a key or a personal value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PrivacyError {
    /// It is sealed under a master key that is not at hand.
    #[error("it is sealed under the master key {0}, which is not at hand; give it with --master-key")]
    UnknownMasterKey(String),
    /// The bytes were altered, belong to someone else, or are none of ours.
    #[error("{0} cannot be opened: the bytes were altered or belong to something else")]
    Damaged(&'static str),
    /// A later version of guerdon has written it.
    #[error("{0} has the format {1}, which this version does not know")]
    UnknownFormat(&'static str, u8),
    /// The text of a master key is not one.
    #[error("a master key is the base64 of 32 random bytes, as `openssl rand -base64 32` makes it")]
    InvalidMasterKey,
    /// A key service does not answer.
    #[error("the key service cannot be used: {0}")]
    Unavailable(String),
}
