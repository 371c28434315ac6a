//! Makes a purchase final: the points that wait for that become active before their time.

use super::batch::Loaded;
use super::decide::Draft;
use super::refusal::{Refusal, RefusalCode};
use crate::ledger::{FinalPurchase, LedgerAccount, Transfer};
use crate::time::Timestamp;

impl Draft<'_> {
    /// Activates exactly what the purchase under a key earned, less what was taken back. Once is enough: doing it again
    /// changes nothing.
    pub(super) fn make_final(&mut self, key: &str, loaded: &Loaded) -> Result<(), Refusal> {
        let purchase = self.purchase(key, loaded)?;
        let transaction = purchase.transaction_id.0;
        let waiting = purchase.explanation.iter().filter(|outcome| outcome.until_final);
        let until = waiting.filter_map(|outcome| outcome.active_at).max().filter(|until| *until > self.command.at);
        let Some(until) = until.filter(|_| !self.account.agenda.is_final(transaction)) else { return Ok(()) };
        let returned = self.account.history.returned(transaction);
        let returned = returned.filter(|_| transaction > self.account.agenda.finals_closed_until).ok_or_else(|| {
            let problem = format!("much happened since the purchase `{key}`; its points become active by {until}");
            Refusal::new(RefusalCode::UnknownPurchase, problem)
        })?;
        for (index, outcome) in purchase.explanation.iter().enumerate().filter(|(_, outcome)| outcome.until_final) {
            let lot = self.lot_by_now(outcome, &purchase);
            let back = returned.points.get(index).copied().unwrap_or_default();
            let wallet = self.account.wallet(outcome.currency);
            let found = wallet.and_then(|wallet| wallet.lots.iter().find(|known| known.key == lot));
            let amount = found.map_or(0, |known| known.remaining.min(outcome.points - outcome.repaid - back));
            if amount > 0 && lot.active_at != Timestamp::ZERO {
                self.receipt.matured += amount;
                let (debit, credit) = (LedgerAccount::MemberPending, LedgerAccount::MemberAvailable);
                self.transfer(Transfer { debit, credit, currency: outcome.currency, amount, lot, rule: None })?;
            }
        }
        let purchase = FinalPurchase { transaction, until };
        self.account.agenda.finish(purchase, self.command.at);
        self.receipt.made_final = Some(purchase);
        Ok(())
    }
}
