//! What ends an account or takes something back: closing, the merge of two accounts of one person, and refunds.

use super::batch::Loaded;
use super::command::{Command, MERGE_PREFIX};
use super::decide::{Decision, Draft, check_active, unknown_member};
use super::refusal::{Refusal, RefusalCode};
use crate::id::{MemberId, TransactionId};
use crate::ledger::{Account, AccountStatus, LedgerAccount, Lot, Merge, Transfer};
use crate::limits;
use crate::planted::{self, Bug};
use crate::program::Program;
use crate::time::Timestamp;

/// Where the free points of a lot lie.
pub(super) fn place_of(lot: &Lot) -> LedgerAccount {
    if lot.key.active_at == Timestamp::ZERO { LedgerAccount::MemberAvailable } else { LedgerAccount::MemberPending }
}

fn check_settled(member: MemberId, account: &Account) -> Result<(), Refusal> {
    let held: i64 = account.wallets.iter().map(|wallet| wallet.balance().held).sum();
    if held == 0 {
        return Ok(());
    }
    let problem = format!("orders of {member} hold {held} points; capture or release them first");
    Err(Refusal::new(RefusalCode::OpenOrders, problem))
}

impl Draft<'_> {
    /// Ends an account: what points are left is forfeited.
    pub(super) fn close(&mut self, reason: &str) -> Result<(), Refusal> {
        check_settled(self.command.member_id, &self.account)?;
        self.check_order()?;
        self.forfeit()?;
        self.account.status = AccountStatus::Closed { at: self.command.at };
        self.receipt.reason = Some(reason.to_owned());
        Ok(())
    }

    /// Takes what points are left, and forgives what is owed.
    fn forfeit(&mut self) -> Result<(), Refusal> {
        self.forgive_owed();
        for wallet in self.account.wallets.clone() {
            for lot in wallet.lots.iter().filter(|lot| lot.remaining > 0) {
                self.receipt.forfeited += if self.is_money(wallet.currency) { lot.remaining } else { 0 };
                self.transfer(Transfer {
                    debit: place_of(lot),
                    credit: LedgerAccount::Breakage,
                    currency: wallet.currency,
                    amount: lot.remaining,
                    lot: lot.key,
                    rule: None,
                })?;
            }
        }
        Ok(())
    }

    /// Destroys what is known of the person, of every account that was merged into this one as well.
    pub(super) fn erase(&mut self) -> Result<(), Refusal> {
        match self.account.status {
            AccountStatus::Active | AccountStatus::Closed { .. } => {}
            status => check_active(self.command.member_id, status)?,
        }
        check_settled(self.command.member_id, &self.account)?;
        self.check_order()?;
        self.forfeit()?;
        self.account.status = AccountStatus::Erased { at: self.command.at };
        self.erased = self.account.merged_from.iter().copied().chain([self.command.member_id]).collect();
        Ok(())
    }
}

/// Decides a merge: every lot leaves the one account and arrives on the other as it is, and the history with it. The
/// entry of the account that ends comes first; the command is answered with the other.
pub(super) fn merge(
    program: &Program,
    command: &Command,
    (from, reason): (MemberId, &str),
    loaded: &Loaded,
    [out_id, in_id]: [TransactionId; 2],
) -> Result<Decision, Refusal> {
    let into = command.member_id;
    if from == into {
        let problem = format!("{into} cannot be merged into itself; `from` must name the other account");
        return Err(Refusal::new(RefusalCode::InvalidRequest, problem));
    }
    let target = loaded.accounts.get(&into).ok_or_else(|| unknown_member(into))?;
    let source = loaded.accounts.get(&from).ok_or_else(|| unknown_member(from))?;
    check_active(into, target.status)?;
    check_active(from, source.status)?;
    check_settled(from, source)?;
    if target.merged_from.len() + source.merged_from.len() >= limits::MERGED_ACCOUNTS {
        let problem = format!("an account can take in {} others at most", limits::MERGED_ACCOUNTS);
        return Err(Refusal::new(RefusalCode::InvalidRequest, problem));
    }
    let out_command = Command { member_id: from, idempotency_key: format!("{MERGE_PREFIX}{in_id}"), ..command.clone() };
    let mut leaving = Draft::new(program, &out_command, source.clone(), out_id);
    let mut arriving = Draft::new(program, command, target.clone(), in_id);
    leaving.check_order()?;
    arriving.check_order()?;
    leaving.catch_up(loaded)?;
    arriving.catch_up(loaded)?;
    let (ending, before) = (leaving.account.clone(), arriving.account.standing.clone());
    let merge = Merge {
        from,
        into,
        brought: ending.merged_from.clone(),
        lifetimes: ending.wallets.iter().map(|wallet| (wallet.currency, wallet.lifetime)).collect(),
        last_activity_at: ending.last_activity_at,
        referrer: ending.referrer,
        history: ending.history.clone(),
        agenda: ending.agenda.clone(),
        recent: ending.recent.clone(),
        standing: ending.standing.clone(),
        lent: ending.lent.clone(),
    };
    for wallet in &ending.wallets {
        for lot in wallet.lots.iter().filter(|lot| lot.remaining > 0) {
            let (place, way) = (place_of(lot), LedgerAccount::Merge);
            let arrival = if planted::is(Bug::MergedTooEarly) { LedgerAccount::MemberAvailable } else { place };
            let moved = |debit, credit| Transfer {
                debit,
                credit,
                currency: wallet.currency,
                amount: lot.remaining,
                lot: lot.key,
                rule: None,
            };
            leaving.transfer(moved(place, way))?;
            arriving.transfer(moved(way, arrival))?;
        }
    }
    for draft in [&mut leaving, &mut arriving] {
        draft.account.follow_merge(draft.command.member_id, &merge);
        draft.account.wallets.iter().try_for_each(Draft::check_limit)?;
        draft.receipt.merge = Some(merge.clone());
        draft.receipt.reason = Some(reason.to_owned());
    }
    arriving.merge_tiers(&before, loaded)?;
    leaving.account.status = AccountStatus::Merged { into };
    let counterpart = Some(Box::new(leaving.finish()?));
    Ok(Decision { counterpart, takes_references_of: Some(from), ..arriving.finish()? })
}
