//! The accounts that a node has read lately, as they were: bounded in bytes and in time, and without those who have left.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use guerdon_core::id::MemberId;
use guerdon_core::ledger::{Account, AccountStatus};
use guerdon_core::limits::{LAST_KNOWN_BYTES, LAST_KNOWN_MS};
use guerdon_core::time::Timestamp;
use moka::sync::Cache;

use super::{Found, Seen};

/// What an entry takes besides the account in its compact form.
const ENTRY_BYTES: usize = 200;

/// The accounts, by the ids under which they were asked for.
pub struct Accounts {
    kept: Cache<MemberId, Arc<Kept>>,
    /// Counts who leaves, so that nothing is kept that was read before.
    left: AtomicU64,
}

struct Kept {
    id: MemberId,
    version: i64,
    encoded: Vec<u8>,
    /// When it was last read so, in milliseconds.
    as_of: AtomicI64,
}

impl Default for Accounts {
    fn default() -> Self {
        let weigh =
            |_: &MemberId, kept: &Arc<Kept>| u32::try_from(kept.encoded.len() + ENTRY_BYTES).unwrap_or(u32::MAX);
        let idle = Duration::from_millis(LAST_KNOWN_MS.unsigned_abs());
        let kept = Cache::builder().max_capacity(LAST_KNOWN_BYTES).weigher(weigh).time_to_idle(idle).build();
        Self { kept, left: AtomicU64::default() }
    }
}

impl Accounts {
    /// To be asked for before an account is read, and handed back with it.
    pub fn generation(&self) -> u64 {
        self.left.load(Ordering::SeqCst)
    }

    /// Keeps an account as it was read at a moment under an id that led to it.
    pub fn keep(&self, asked: MemberId, id: MemberId, account: &Account, as_of: Timestamp, generation: u64) {
        if account.status != AccountStatus::Active {
            self.kept.invalidate(&asked);
            return;
        }
        match self.kept.get(&asked).filter(|kept| kept.id == id && kept.version == account.version) {
            Some(kept) => {
                kept.as_of.fetch_max(as_of.as_millis(), Ordering::Relaxed);
            }
            None => {
                let (version, encoded) = (account.version, account.encode());
                let kept = Kept { id, version, encoded, as_of: AtomicI64::new(as_of.as_millis()) };
                self.kept.insert(asked, Arc::new(kept));
            }
        }
        if self.generation() != generation {
            self.kept.invalidate(&asked);
        }
    }

    /// An account as it was last read, unless that is too long ago.
    pub fn last(&self, asked: MemberId, now: Timestamp) -> Option<Seen<Found>> {
        let kept = self.kept.get(&asked)?;
        let as_of = Timestamp::from_millis(kept.as_of.load(Ordering::Relaxed));
        if as_of.plus_millis(LAST_KNOWN_MS) < now {
            return None;
        }
        let account = Account::decode(kept.version, &kept.encoded).ok()?;
        Some(Seen { value: Found { id: kept.id, account }, as_of: Some(as_of) })
    }

    /// Forgets members who have left.
    pub fn forget(&self, members: &[MemberId]) {
        self.left.fetch_add(1, Ordering::SeqCst);
        members.iter().for_each(|member| self.kept.invalidate(member));
        // What was invalidated is out of memory now, and not when the cache finds the time.
        self.kept.run_pending_tasks();
    }

    #[cfg(test)]
    pub fn weight(&self) -> u64 {
        self.kept.run_pending_tasks();
        self.kept.weighted_size()
    }
}
