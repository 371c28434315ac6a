//! Nonces of signed requests, remembered for as long as their signatures would be accepted again.
//!
//! One node remembers in memory. Where several nodes serve, or a restart must not forget, each nonce is also a record that
//! can be inserted once: one more durable write a request, which is why it is asked for by configuration. Without it a
//! signed request that was overheard could be repeated once on each other node within five minutes; what moves points
//! carries an idempotency key, which is signed too, and is answered with the first receipt.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use guerdon_core::hex;
use guerdon_core::time::Timestamp;
use guerdon_store::{CommandError, EngineHandle, Record, RecordChange};
use sha2::{Digest, Sha256};

use crate::identity::signature::{Signature, SignatureError, WINDOW_MS};

/// The kind of their records; the id is the digest of key and nonce.
pub const NONCE: &str = "nonce";
/// A signature is accepted from five minutes before to five minutes after its time.
const REMEMBER_MS: i64 = 2 * WINDOW_MS;
/// Nonces remembered in ten minutes, 1,600 a second: 16 bytes each, twice. Beyond that signed requests hear `503`, for a
/// nonce that is forgotten is a request that can be repeated.
const MOST_NONCES: usize = 1_000_000;

/// Remembers nonces. One a server.
pub struct Nonces {
    generations: Mutex<Generations>,
    most: usize,
}

/// Two generations of ten minutes: when the newer one is full of time it becomes the older one, which is forgotten whole.
struct Generations {
    began_at: Timestamp,
    newer: HashSet<[u8; 16]>,
    older: HashSet<[u8; 16]>,
}

impl Default for Nonces {
    fn default() -> Self {
        Self::new()
    }
}

impl Nonces {
    /// With nothing remembered yet.
    pub fn new() -> Self {
        let generations = Generations { began_at: Timestamp::ZERO, newer: HashSet::new(), older: HashSet::new() };
        Self { generations: Mutex::new(generations), most: MOST_NONCES }
    }

    /// Remembers the nonce of a *verified* signature by a key; refuses one that was there before.
    pub fn remember(&self, key: &str, signature: &Signature<'_>, now: Timestamp) -> Result<(), SignatureError> {
        let digest = digest(key, signature.nonce);
        let digest = digest.first_chunk().copied().unwrap_or_default();
        let mut generations = self.generations.lock().unwrap_or_else(PoisonError::into_inner);
        generations.turn(now);
        if generations.older.contains(&digest) || generations.newer.contains(&digest) {
            return Err(SignatureError::Replayed);
        }
        if generations.newer.len() >= self.most {
            return Err(SignatureError::Busy);
        }
        generations.newer.insert(digest);
        Ok(())
    }

    /// The same, and over all nodes and restarts, by a record.
    pub async fn remember_everywhere(
        &self,
        engine: &EngineHandle,
        key: &str,
        signature: &Signature<'_>,
        now: Timestamp,
    ) -> Result<(), SignatureError> {
        self.remember(key, signature, now)?;
        let id = hex::encode(&digest(key, signature.nonce));
        let record = Record::new(NONCE, &id, key, &()).map_err(|_| SignatureError::Unavailable)?;
        // Clocks of nodes differ by seconds, and a record that is swept too early would let a repetition through.
        let record = record.until(signature.signed_at.plus_millis(REMEMBER_MS));
        match engine.write_records(vec![RecordChange::Put(record)], Vec::new()).await {
            Ok(()) => Ok(()),
            Err(CommandError::Conflict) => Err(SignatureError::Replayed),
            Err(error) => {
                tracing::warn!(%error, "the nonce of a signed request was not written");
                Err(SignatureError::Unavailable)
            }
        }
    }
}

impl Generations {
    fn turn(&mut self, now: Timestamp) {
        let age = now.as_millis() - self.began_at.as_millis();
        if age >= 2 * REMEMBER_MS {
            self.older.clear();
            self.newer.clear();
            self.began_at = now;
        } else if age >= REMEMBER_MS {
            self.older = std::mem::take(&mut self.newer);
            self.began_at = now;
        } else if age < 0 {
            // The clock was set back: keep all, and count the ten minutes anew.
            self.began_at = now;
        }
    }
}

fn digest(key: &str, nonce: &str) -> [u8; 32] {
    Sha256::new().chain_update(key).chain_update(b"\0").chain_update(nonce).finalize().into()
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderMap;

    use super::*;
    use crate::identity::signature::{NONCE_HEADER, SIGNATURE_HEADER, SignedParts, TIMESTAMP_HEADER, sign};
    use crate::identity::testing::{NOW, scratch};

    const PARTS: SignedParts<'static> =
        SignedParts { method: "GET", target: "/v1/program", idempotency_key: "", body: b"" };

    fn headers(nonce: &str, at: Timestamp) -> HeaderMap {
        let seconds = at.as_millis() / 1000;
        let mut headers = HeaderMap::new();
        headers.insert(TIMESTAMP_HEADER, seconds.to_string().parse().unwrap());
        headers.insert(NONCE_HEADER, nonce.parse().unwrap());
        headers.insert(SIGNATURE_HEADER, sign(b"secret", seconds, nonce, &PARTS).parse().unwrap());
        headers
    }

    fn remember(
        nonces: &Nonces,
        key: &str,
        nonce: &str,
        signed_at: Timestamp,
        now: Timestamp,
    ) -> Result<(), SignatureError> {
        let headers = headers(nonce, signed_at);
        let signature = Signature::read(&headers)?.unwrap();
        signature.verify(&[b"secret"], &PARTS, now)?;
        nonces.remember(key, &signature, now)
    }

    #[test]
    fn a_request_counts_once_for_as_long_as_its_signature_holds() {
        let nonces = Nonces::new();
        // Signed by a clock that is five minutes ahead: it is accepted for ten minutes.
        let ahead = NOW.plus_millis(WINDOW_MS);
        assert_eq!(remember(&nonces, "key_1", "nonce-0123456789", ahead, NOW), Ok(()));
        for later in (0..=2 * WINDOW_MS).step_by(1_000) {
            // Others go on signing, so that generations turn.
            let now = NOW.plus_millis(later);
            assert_eq!(remember(&nonces, "key_1", &format!("other-nonce-{later:08}"), now, now), Ok(()));
            let again = remember(&nonces, "key_1", "nonce-0123456789", ahead, now);
            assert_eq!(again, Err(SignatureError::Replayed), "{later}");
        }
        let after = NOW.plus_millis(2 * WINDOW_MS + 1);
        let again = remember(&nonces, "key_1", "nonce-0123456789", ahead, after);
        assert_eq!(again, Err(SignatureError::Expired { now: after }));
        assert_eq!(remember(&nonces, "key_2", "nonce-0123456789", after, after), Ok(()), "another key's nonce");
    }

    #[test]
    fn a_clock_that_was_set_back_forgets_nothing() {
        let nonces = Nonces::new();
        assert_eq!(remember(&nonces, "key_1", "nonce-0123456789", NOW, NOW), Ok(()));
        let back = NOW.plus_millis(-WINDOW_MS);
        assert_eq!(remember(&nonces, "key_1", "nonce-0123456789", NOW, back), Err(SignatureError::Replayed));
    }

    #[test]
    fn a_full_memory_refuses_instead_of_forgetting() {
        let nonces = Nonces { most: 3, ..Nonces::new() };
        for n in 0..3 {
            assert_eq!(remember(&nonces, "key_1", &format!("nonce-00000000-{n}"), NOW, NOW), Ok(()));
        }
        assert_eq!(remember(&nonces, "key_1", "nonce-00000000-3", NOW, NOW), Err(SignatureError::Busy));
        assert_eq!(remember(&nonces, "key_1", "nonce-00000000-1", NOW, NOW), Err(SignatureError::Replayed));
        let later = NOW.plus_millis(REMEMBER_MS);
        assert_eq!(remember(&nonces, "key_1", "nonce-00000000-3", later, later), Ok(()));
    }

    #[tokio::test]
    async fn a_request_counts_once_over_all_nodes_and_restarts() {
        let scratch = scratch().await;
        let headers = headers("nonce-0123456789", NOW);
        let signature = Signature::read(&headers).unwrap().unwrap();
        let (one, two) = (Nonces::new(), Nonces::new());
        assert_eq!(one.remember_everywhere(&scratch.engine, "key_1", &signature, NOW).await, Ok(()));
        let again = two.remember_everywhere(&scratch.engine, "key_1", &signature, NOW).await;
        assert_eq!(again, Err(SignatureError::Replayed));
        assert_eq!(two.remember_everywhere(&scratch.engine, "key_2", &signature, NOW).await, Ok(()));
        let id = hex::encode(&digest("key_1", "nonce-0123456789"));
        let last = NOW.plus_millis(WINDOW_MS);
        assert!(scratch.reader.record(NONCE, &id, last).await.unwrap().is_some());
    }
}
