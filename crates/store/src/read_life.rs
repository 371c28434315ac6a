//! Readers that follow an account through its life: a member who was merged is found under the one who goes on.

use guerdon_core::id::MemberId;
use guerdon_core::ledger::{Account, AccountStatus};
use guerdon_core::limits::MERGED_ACCOUNTS;

use crate::StoreError;
use crate::read::{Read, Reader};

impl Reader {
    /// The member who goes on after all merges, and the account: those of the id itself unless it was merged. `None`:
    /// there is no such member.
    pub async fn resolve(&self, member: MemberId) -> Read<Option<(MemberId, Account)>> {
        let mut here = member;
        for _ in 0..=MERGED_ACCOUNTS {
            match self.account(here).await? {
                Some(Account { status: AccountStatus::Merged { into }, .. }) => here = into,
                found => return Ok(found.map(|account| (here, account))),
            }
        }
        Err(StoreError::Unusable(format!("the merges of {member} go in a circle")))
    }
}
