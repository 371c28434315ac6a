//! Whom a commit of this node has made leave: closed, merged into another, or erased. Whoever keeps something of members in
//! memory hears of it before the caller of the command does.

use std::sync::{PoisonError, RwLock};

use guerdon_core::id::MemberId;
use guerdon_core::kernel::Changes;
use guerdon_core::ledger::AccountStatus;

type Told = Box<dyn Fn(&[MemberId]) + Send + Sync>;

/// Who is told.
#[derive(Default)]
pub struct Left(RwLock<Vec<Told>>);

impl Left {
    /// Tells somebody from now on.
    pub fn tell(&self, told: impl Fn(&[MemberId]) + Send + Sync + 'static) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).push(Box::new(told));
    }

    pub(crate) fn left(&self, members: &[MemberId]) {
        if !members.is_empty() {
            self.0.read().unwrap_or_else(PoisonError::into_inner).iter().for_each(|told| told(members));
        }
    }
}

/// The members whose accounts some changes end, with those who were merged into them before.
pub(crate) fn leaving(changes: &Changes) -> Vec<MemberId> {
    let ended = changes.accounts.iter().filter(|change| change.account.status != AccountStatus::Active);
    ended.flat_map(|change| change.account.merged_from.iter().copied().chain([change.member_id])).collect()
}
