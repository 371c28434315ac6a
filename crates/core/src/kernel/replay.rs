//! Replays what was recorded by the very same decisions, over accounts in RAM and without a journal: for backtests.

use super::batch::Loaded;
use super::command::{Action, Command};
use super::decide::{Decision, Draft, decide, unknown_member};
use super::order_commands::{Redemption, Terms};
use super::refusal::Refusal;
use crate::id::{IdGenerator, MemberId, TransactionId};
use crate::ledger::{CurrencyId, LedgerAccount, Portion};
use crate::program::Program;
use crate::time::Timestamp;

/// What became of a recorded order, without the reward and its stock: those stay as they were.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum OrderStep {
    /// Points are set aside, and spent at once if `captured`: as many of `points` as there are.
    Redeemed { currency: CurrencyId, points: i64, captured: bool },
    /// What was set aside is spent.
    Captured(CurrencyId, Vec<Portion>),
    /// What was set aside is given back.
    Released(CurrencyId, Vec<Portion>),
    /// What was spent is given back, and lives on for a while.
    Refunded(CurrencyId, Vec<Portion>),
}

/// Decides a command as the batch does. Its receipt is left out of the entry unless `written`.
pub(crate) fn replay(
    program: &Program,
    mut command: Command,
    written: bool,
    loaded: &Loaded,
    ids: &mut IdGenerator,
) -> Result<Decision, Refusal> {
    command.unwritten = !written;
    decide(program, &command, loaded, ids, command.at)
}

/// Takes a step of a recorded order. Returns the decision and the lots that the points came from.
pub(crate) fn replay_order(
    program: &Program,
    (member, at): (MemberId, Timestamp),
    step: &OrderStep,
    loaded: &Loaded,
    ids: &mut IdGenerator,
) -> Result<(Decision, Vec<Portion>), Refusal> {
    let (reward_id, terms) = (String::new(), Terms::Now(None));
    let choice = super::Choice::default();
    let redemption = Redemption { reward_id, quantity: 1, capture: false, risk: None, terms, choice };
    let command = Command::replayed(member, at, Action::Redeem(Box::new(redemption)));
    let account = loaded.accounts.get(&member).ok_or_else(|| unknown_member(member))?.clone();
    let mut draft = Draft::new(program, &command, account, TransactionId(ids.next(at)));
    let holds = draft.replay_order(step)?;
    Ok((draft.finish()?, holds))
}

impl Draft<'_> {
    fn replay_order(&mut self, step: &OrderStep) -> Result<Vec<Portion>, Refusal> {
        use LedgerAccount::{MemberAvailable, MemberHeld, Redemption};
        match step {
            OrderStep::Redeemed { currency, points, captured } => {
                let at = self.command.at;
                let holds = self.account.wallet_mut(*currency).pick(*points, at);
                self.transfer_portions(*currency, &holds, (MemberAvailable, MemberHeld), None)?;
                if *captured {
                    self.transfer_portions(*currency, &holds, (MemberHeld, Redemption), None)?;
                }
                self.account.last_activity_at = self.account.last_activity_at.max(at);
                Ok(holds)
            }
            OrderStep::Captured(currency, holds) => {
                self.transfer_portions(*currency, holds, (MemberHeld, Redemption), None)?;
                Ok(holds.clone())
            }
            OrderStep::Released(currency, holds) => {
                self.transfer_portions(*currency, holds, (MemberHeld, MemberAvailable), None)?;
                Ok(Vec::new())
            }
            OrderStep::Refunded(currency, holds) => {
                self.give_back_refunded(*currency, holds)?;
                Ok(Vec::new())
            }
        }
    }
}
