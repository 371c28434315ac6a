//! Activities, and what they give to whoever referred the member: two accounts in one decision.
//!
//! The entry of the referrer comes first, under the lower id; the command is answered with the other, which tells of both.

use rustc_hash::FxHashSet;

use super::batch::{Footprint, Loaded};
use super::command::{Action, Command, REFERRAL_PREFIX};
use super::decide::{Decision, Draft, activity_of, check_active};
use super::receipt::{Cause, Receipt, ReferrerShare};
use super::refusal::{Refusal, RefusalCode};
use super::restock::STOCKROOM;
use crate::earning::PreparedActivity;
use crate::id::{MemberId, TransactionId};
use crate::ledger::{Account, AccountStatus, TransactionKind};
use crate::limits;

/// Decides a command that records an activity.
pub(super) fn decide_activity(
    command: &Command,
    (account, activity): (Account, &PreparedActivity),
    loaded: &Loaded,
    next_id: &mut dyn FnMut() -> i64,
) -> Result<Decision, Refusal> {
    // What was prepared under one program is decided under it, though another was published meanwhile.
    let program = &activity.program;
    let referrer = referrer(command, activity, &account, loaded)?;
    // The lower id, so that the ids of a batch rise in its order.
    let reached = referrer.filter(|_| activity.reaches_referrer());
    let reached = reached.map(|(member, account)| (member, account, TransactionId(next_id())));
    let id = TransactionId(next_id());
    let their_command = reached.map(|(member, ..)| Command {
        member_id: member,
        idempotency_key: format!("{REFERRAL_PREFIX}{id}"),
        reference: None,
        ..command.without_action()
    });
    let mut theirs = their_command.as_ref().zip(reached).map(|(command, (_, account, id))| {
        let mut draft = Draft::new(program, command, account.clone(), id);
        draft.kind = TransactionKind::Referral;
        draft.receipt.kind = TransactionKind::Referral;
        draft
    });
    let mut draft = Draft::new(program, command, account, id);
    if let Action::Enrol(enrolment) = &command.action {
        draft.enrol(enrolment, loaded)?;
    }
    if let Some((member, _)) = referrer.filter(|_| activity.referrer.is_some()) {
        (draft.account.referrer, draft.receipt.referrer) = (Some(member), Some(member));
    }
    for draft in [&mut draft].into_iter().chain(&mut theirs) {
        draft.catch_up(loaded)?;
    }
    draft.record(activity, loaded, next_id, theirs.as_mut())?;
    let Some(mut theirs) = theirs.filter(|theirs| theirs.has_changed()) else { return draft.finish() };
    theirs.receipt.cause = Some(Cause { member_id: command.member_id, transaction_id: id });
    draft.receipt.referrer_share = Some(ReferrerShare {
        member_id: theirs.receipt.member_id,
        transaction_id: theirs.receipt.transaction_id,
        explanation: theirs.receipt.explanation.clone(),
    });
    let counterpart = Some(Box::new(theirs.finish()?));
    Ok(Decision { counterpart, ..draft.finish()? })
}

/// Whoever referred the member, as far as that account is active: as the activity says, as the purchase says that is
/// returned, or as the account remembers. What an activity says must be right.
fn referrer<'a>(
    command: &Command,
    activity: &PreparedActivity,
    account: &Account,
    loaded: &'a Loaded,
) -> Result<Option<(MemberId, &'a Account)>, Refusal> {
    let member = command.member_id;
    if let Some(named) = activity.referrer {
        let invalid = |problem: String| Refusal::new(RefusalCode::InvalidRequest, problem);
        let (found, referrer) = resolved(named, loaded).ok_or_else(|| {
            Refusal::new(
                RefusalCode::UnknownMember,
                format!("there is no member {named} who could have referred {member}"),
            )
        })?;
        if let Some(before) = account.referrer {
            let problem = format!("{member} was referred before, by {before}");
            return Err(Refusal::new(RefusalCode::AlreadyReferred, problem));
        }
        if found == member || account.merged_from.contains(&named) {
            return Err(invalid(format!("{member} cannot refer themselves")));
        }
        if referrer.referrer == Some(member) {
            return Err(invalid(format!("{found} was referred by {member}, and not the other way round")));
        }
        check_active(found, referrer.status)?;
        return Ok(Some((found, referrer)));
    }
    let known = match purchase_share(command, activity, loaded) {
        Some(share) => Some(share.member_id),
        None if activity.returns.is_some() => None,
        None => account.referrer,
    };
    let found = known.and_then(|known| resolved(known, loaded));
    Ok(found.filter(|(found, account)| *found != member && account.status == AccountStatus::Active))
}

/// The account that goes on after all merges.
pub(crate) fn resolved(member: MemberId, loaded: &Loaded) -> Option<(MemberId, &Account)> {
    let mut here = Some(member).filter(|member| *member != STOCKROOM)?;
    for _ in 0..=limits::MERGED_ACCOUNTS {
        let account = loaded.accounts.get(&here)?;
        match account.status {
            AccountStatus::Merged { into } => here = into,
            _ => return Some((here, account)),
        }
    }
    None
}

/// What the referrer got of a purchase that is returned.
fn purchase_share(command: &Command, activity: &PreparedActivity, loaded: &Loaded) -> Option<ReferrerShare> {
    let key = &activity.returns.as_ref()?.purchase;
    let merged = loaded.accounts.get(&command.member_id).map_or(&[][..], |account| &account.merged_from);
    let members = std::iter::once(&command.member_id).chain(merged);
    let committed = members.filter_map(|member| loaded.committed.get(&(*member, key.clone()))).next()?;
    // Most purchases have none, and are read again where they are taken back.
    if !committed.receipt.contains("\"referrer_share\"") {
        return None;
    }
    serde_json::from_str::<Receipt>(&committed.receipt).ok()?.referrer_share
}

impl Footprint {
    /// The accounts of referrers that some commands reach and that are not loaded yet. Each is asked for once.
    pub(super) fn referrers(commands: &[&Command], loaded: &Loaded, asked: &mut FxHashSet<MemberId>) -> Option<Self> {
        let mut wanted: Vec<MemberId> = Vec::new();
        let mut reaches = false;
        for command in commands {
            let Some(activity) = activity_of(&command.action) else { continue };
            wanted.extend(activity.referrer);
            if activity.reaches_referrer() {
                reaches = true;
                let account = loaded.accounts.get(&command.member_id);
                wanted.extend(account.and_then(|account| account.referrer));
                wanted.extend(purchase_share(command, activity, loaded).map(|share| share.member_id));
            }
        }
        // A merge of the same batch may bring a referrer along.
        for command in commands.iter().filter(|_| reaches) {
            if let Action::Merge { from, .. } = command.action {
                wanted.extend(loaded.accounts.get(&from).and_then(|account| account.referrer));
            }
        }
        let mut missing = Vec::new();
        for member in wanted {
            let mut here = Some(member);
            while let Some(next) = here {
                match loaded.accounts.get(&next).map(|account| account.status) {
                    Some(AccountStatus::Merged { into }) if into != next => here = Some(into),
                    Some(_) => here = None,
                    None => {
                        if asked.insert(next) {
                            missing.push(next);
                        }
                        here = None;
                    }
                }
            }
        }
        (!missing.is_empty()).then(|| Self { members: missing, ..Self::default() })
    }
}
