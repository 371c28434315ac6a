//! Passwords: argon2id at OWASP's parameters, on the blocking pool and at most two at once, so that a flood of sign-ins
//! cannot starve the server of its processors or memory.
//!
//! A password is hashed exactly as it was sent (ASVS 6.2.8): nothing is trimmed, folded or cut.

use std::sync::Arc;
use std::time::Duration;

use argon2::password_hash::phc::PasswordHash;
use argon2::{Algorithm, Argon2, Params, PasswordHasher, PasswordVerifier, Version};
use axum::http::StatusCode;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use zeroize::Zeroizing;

use crate::identity::password_policy::MOST_CHARACTERS;
use crate::identity::token::random_bytes;
use crate::problem::Problem;

/// Memory for one hash, in KiB: 19 MiB (OWASP Password Storage Cheat Sheet).
const MEMORY_KIB: u32 = 19 * 1024;
const ITERATIONS: u32 = 2;
const LANES: u32 = 1;
/// How many passwords are hashed at once.
const AT_ONCE: usize = 2;
/// How long a sign-in waits for its turn before it hears `503`.
const LONGEST_WAIT: Duration = Duration::from_secs(3);

/// Why a password was neither right nor wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PasswordError {
    /// Too many at once.
    #[error("too many people are signing in at the moment; try again in a few seconds")]
    Busy,
    /// What is stored is not a hash that we can read, or hashing failed.
    #[error("a password could not be checked: {0}")]
    Failed(String),
}

impl From<PasswordError> for Problem {
    fn from(error: PasswordError) -> Self {
        match error {
            PasswordError::Busy => Self::new(StatusCode::SERVICE_UNAVAILABLE, "busy", error.to_string()),
            PasswordError::Failed(_) => {
                tracing::error!(%error, "a password could not be checked");
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal_error", "the password could not be checked")
            }
        }
    }
}

/// The outcome of a check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Checked {
    /// Another password, or no such user.
    Wrong,
    /// The right password.
    Right {
        /// The hash to store instead, when the parameters have changed since the old one was made.
        replacement: Option<String>,
    },
}

impl Checked {
    /// Whether it was the right password.
    pub fn is_right(&self) -> bool {
        matches!(self, Self::Right { .. })
    }
}

/// Hashes and checks passwords. Cheap to clone; one a server, for the limit counts over all its clones.
#[derive(Clone)]
pub struct Passwords {
    inner: Arc<Inner>,
    turns: Arc<Semaphore>,
    longest_wait: Duration,
}

struct Inner {
    argon2: Argon2<'static>,
    params: Params,
    /// The hash of a password that nobody has: checked when there is no such user, so that time tells nothing.
    nobody: String,
}

impl Passwords {
    /// With the parameters in force.
    pub fn new() -> Result<Self, PasswordError> {
        Self::with(MEMORY_KIB, ITERATIONS, LANES)
    }

    fn with(memory_kib: u32, iterations: u32, lanes: u32) -> Result<Self, PasswordError> {
        let params = Params::new(memory_kib, iterations, lanes, None).map_err(failed)?;
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params.clone());
        let nobody = make(&argon2, &random_bytes::<32>())?;
        let inner = Arc::new(Inner { argon2, params, nobody });
        Ok(Self { inner, turns: Arc::new(Semaphore::new(AT_ONCE)), longest_wait: LONGEST_WAIT })
    }

    /// The hash of a new password as a PHC string. Its quality is judged before, by
    /// [`judge`](crate::identity::password_policy::judge).
    pub async fn hash(&self, password: Zeroizing<String>) -> Result<String, PasswordError> {
        self.in_turn(move |inner| make(&inner.argon2, password.as_bytes())).await
    }

    /// Checks a password against a stored hash; `None`: there is no such user, which takes as long to say.
    pub async fn check(&self, password: Zeroizing<String>, stored: Option<&str>) -> Result<Checked, PasswordError> {
        let stored = stored.map(str::to_owned);
        self.in_turn(move |inner| inner.check(&password, stored.as_deref())).await
    }

    /// Runs on the blocking pool when it is our turn. The turn is kept until the work is done, also when the caller has
    /// gone: otherwise hanging up would be the way to start a third.
    async fn in_turn<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Inner) -> Result<T, PasswordError> + Send + 'static,
    ) -> Result<T, PasswordError> {
        let turn = timeout(self.longest_wait, Arc::clone(&self.turns).acquire_owned()).await;
        let turn: OwnedSemaphorePermit = turn.map_err(|_| PasswordError::Busy)?.map_err(failed)?;
        let inner = Arc::clone(&self.inner);
        let outcome = tokio::task::spawn_blocking(move || {
            let outcome = work(&inner);
            drop(turn);
            outcome
        });
        outcome.await.map_err(failed)?
    }
}

impl Inner {
    fn check(&self, password: &str, stored: Option<&str>) -> Result<Checked, PasswordError> {
        // Nobody's password is longer: cut it, so that what it costs is bounded, and it stays wrong.
        let too_long = password.len() > 4 * MOST_CHARACTERS;
        let bytes = if too_long { &[] } else { password.as_bytes() };
        let hash = PasswordHash::new(stored.unwrap_or(&self.nobody)).map_err(failed)?;
        match self.argon2.verify_password(bytes, &hash) {
            Ok(()) if stored.is_some() && !too_long => {}
            Ok(()) | Err(argon2::password_hash::Error::PasswordInvalid) => return Ok(Checked::Wrong),
            Err(error) => return Err(failed(error)),
        }
        let replacement = if self.is_current(&hash) { None } else { Some(make(&self.argon2, bytes)?) };
        Ok(Checked::Right { replacement })
    }

    fn is_current(&self, hash: &PasswordHash) -> bool {
        let same = |params: Params| {
            (params.m_cost(), params.t_cost(), params.p_cost())
                == (self.params.m_cost(), self.params.t_cost(), self.params.p_cost())
        };
        hash.algorithm == argon2::ARGON2ID_IDENT
            && hash.version == Some(Version::V0x13.into())
            && Params::try_from(hash).is_ok_and(same)
    }
}

fn make(argon2: &Argon2<'static>, password: &[u8]) -> Result<String, PasswordError> {
    let salt = random_bytes::<16>();
    let hash: PasswordHash = argon2.hash_password_with_salt(password, &salt).map_err(failed)?;
    Ok(hash.to_string())
}

fn failed(error: impl std::fmt::Display) -> PasswordError {
    PasswordError::Failed(error.to_string())
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    fn secret(text: &str) -> Zeroizing<String> {
        Zeroizing::new(text.to_owned())
    }

    #[tokio::test]
    async fn the_right_password_and_no_other() {
        let passwords = Passwords::new().unwrap();
        let hash = passwords.hash(secret("velvet otter plinth")).await.unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        assert_ne!(hash, passwords.hash(secret("velvet otter plinth")).await.unwrap());
        let right = passwords.check(secret("velvet otter plinth"), Some(&hash)).await.unwrap();
        assert_eq!(right, Checked::Right { replacement: None });
        for wrong in ["", "velvet otter plint", "velvet otter plinth ", "Velvet otter plinth"] {
            assert!(!passwords.check(secret(wrong), Some(&hash)).await.unwrap().is_right(), "{wrong}");
        }
        assert!(!passwords.check(secret("velvet otter plinth"), None).await.unwrap().is_right());
    }

    #[tokio::test]
    async fn a_password_that_is_too_long_is_wrong_even_where_the_empty_one_is_right() {
        let passwords = Passwords::with(8, 1, 1).unwrap();
        let hash = passwords.hash(secret("")).await.unwrap();
        assert!(passwords.check(secret(""), Some(&hash)).await.unwrap().is_right());
        assert!(!passwords.check(secret(&"x".repeat(1 << 20)), Some(&hash)).await.unwrap().is_right());
    }

    #[tokio::test]
    async fn an_old_hash_is_replaced_at_the_next_sign_in() {
        let (old, new) = (Passwords::with(64, 1, 1).unwrap(), Passwords::with(128, 2, 1).unwrap());
        let hash = old.hash(secret("velvet otter plinth")).await.unwrap();
        let checked = new.check(secret("velvet otter plinth"), Some(&hash)).await.unwrap();
        let Checked::Right { replacement: Some(replacement) } = checked else { panic!("{checked:?}") };
        assert!(replacement.contains("m=128,t=2"), "{replacement}");
        let checked = new.check(secret("velvet otter plinth"), Some(&replacement)).await.unwrap();
        assert_eq!(checked, Checked::Right { replacement: None });
        assert_eq!(new.check(secret("another"), Some(&hash)).await.unwrap(), Checked::Wrong);
    }

    #[tokio::test]
    async fn a_hash_that_cannot_be_read_is_an_error_and_not_a_wrong_password() {
        let passwords = Passwords::with(8, 1, 1).unwrap();
        for stored in ["", "plain text", "$md5$abc", "$argon2id$v=19$m=8,t=1,p=1"] {
            let outcome = passwords.check(secret("x"), Some(stored)).await;
            assert!(!matches!(outcome, Ok(Checked::Right { .. })), "{stored}: {outcome:?}");
        }
        assert!(matches!(passwords.check(secret("x"), Some("plain text")).await, Err(PasswordError::Failed(_))));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn an_unknown_user_takes_as_long_as_a_wrong_password() {
        let passwords = Passwords::new().unwrap();
        let hash = passwords.hash(secret("velvet otter plinth")).await.unwrap();
        let mut times = [Vec::new(), Vec::new()];
        for _ in 0..15 {
            for (stored, times) in [Some(hash.as_str()), None].into_iter().zip(&mut times) {
                let start = Instant::now();
                passwords.check(secret("wrong"), stored).await.unwrap();
                times.push(start.elapsed());
            }
        }
        // The fastest of each: whatever else the machine does only makes one slower.
        let [wrong, unknown] = times.map(|times| times.into_iter().min().unwrap());
        assert!(
            unknown * 2 > wrong && wrong * 2 > unknown,
            "{wrong:?} for a wrong one, {unknown:?} for an unknown user"
        );
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_flood_hears_that_we_are_busy_and_two_go_on() {
        let mut passwords = Passwords::with(19 * 1024, 12, 1).unwrap();
        passwords.longest_wait = Duration::from_millis(1);
        let flood: Vec<_> = (0..20)
            .map(|_| {
                let passwords = passwords.clone();
                tokio::spawn(async move { passwords.check(secret("x"), None).await })
            })
            .collect();
        let mut answered = (0, 0);
        for one in flood {
            match one.await.unwrap() {
                Ok(checked) => {
                    assert_eq!(checked, Checked::Wrong);
                    answered.0 += 1;
                }
                Err(error) => {
                    assert_eq!(error, PasswordError::Busy);
                    answered.1 += 1;
                }
            }
        }
        assert!(answered.0 >= 2 && answered.1 >= 10, "{answered:?}");
        assert_eq!(Problem::from(PasswordError::Busy).status, 503);
        assert!(passwords.check(secret("x"), None).await.is_ok());
    }
}
