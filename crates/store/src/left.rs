//! Whom a commit of this node has made leave: closed, merged into another, or erased. Whoever keeps something of members in
//! memory hears of it before the caller of the command does.

use std::sync::OnceLock;

use guerdon_core::id::MemberId;
use guerdon_core::kernel::Changes;
use guerdon_core::ledger::AccountStatus;

type Told = Box<dyn Fn(&[MemberId]) + Send + Sync>;

/// Who is told. Set once, by the one cache that a node has.
#[derive(Default)]
pub struct Left(OnceLock<Told>);

impl Left {
    /// Tells somebody from now on. False: somebody is told already.
    pub fn tell(&self, told: impl Fn(&[MemberId]) + Send + Sync + 'static) -> bool {
        self.0.set(Box::new(told)).is_ok()
    }

    pub(crate) fn left(&self, members: &[MemberId]) {
        if let Some(told) = self.0.get().filter(|_| !members.is_empty()) {
            told(members);
        }
    }
}

/// The members whose accounts some changes end, with those who were merged into them before.
pub(crate) fn leaving(changes: &Changes) -> Vec<MemberId> {
    let ended = changes.accounts.iter().filter(|change| change.account.status != AccountStatus::Active);
    ended.flat_map(|change| change.account.merged_from.iter().copied().chain([change.member_id])).collect()
}
