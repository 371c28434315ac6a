//! What happens by itself: points mature and expire, a part decays, interest is paid, members are reminded. A tick lets it
//! happen moment by moment, so that an account whose ticks were late goes the way that it would have gone in time.

use std::collections::BTreeMap;

use super::batch::Loaded;
use super::decide::Draft;
use super::event::Event;
use super::refusal::{Refusal, RefusalCode};
use crate::earning::Outcome;
use crate::ledger::{
    Account, AccountStatus, CurrencyId, FundingId, LedgerAccount, LotKey, Portion, Transfer, Wallet, WalletAgenda,
};
use crate::limits;
use crate::program::{Currency, DAY_MS, Decay, Interest, Program, Reminders, percent_of};
use crate::time::Timestamp;

/// When each lot is to be reminded of, how many days ahead that is, when it expires, and how many points it has.
fn reminders<'a>(
    wallet: &'a Wallet,
    reminders: &'a Reminders,
) -> impl Iterator<Item = (Timestamp, i32, Timestamp, i64)> + 'a {
    let lots = wallet.lots.iter().filter(|lot| lot.remaining > 0 && lot.key.expires_at != Timestamp::NEVER);
    lots.flat_map(|lot| {
        let expires_at = lot.key.expires_at;
        reminders
            .days
            .iter()
            .map(move |days| (expires_at.plus_millis(-i64::from(*days) * DAY_MS), *days, expires_at, lot.remaining))
    })
}

/// Plans what is due on each wallet after `clock`. What was due before and has not happened yet stays due.
pub(super) fn plan(program: &Program, account: &mut Account, clock: Timestamp) {
    let active = account.status == AccountStatus::Active;
    for wallet in &account.wallets {
        let currency = program.currency_at(wallet.currency, clock);
        let known = account.agenda.wallet(wallet.currency);
        let life = currency.map(|currency| &currency.life).filter(|_| active);
        if life.is_none_or(|life| life.is_empty()) && known == WalletAgenda::new(wallet.currency) {
            continue;
        }
        let has_points = wallet.lots.iter().any(|lot| lot.remaining > 0);
        let overdue = |due: Option<Timestamp>| due.filter(|due| active && *due <= clock);
        let after_clock = |due: &Timestamp| *due > clock && *due != Timestamp::NEVER;
        let remind = || {
            let rows = reminders(wallet, life?.reminders.as_ref()?);
            rows.map(|(due, ..)| due).filter(after_clock).min()
        };
        let decay = || {
            let decay = life?.decay.as_ref().filter(|_| has_points)?;
            Some(decay.on.next_start(&program.calendar, clock)).filter(after_clock)
        };
        let interest = || {
            let interest = life?.interest.as_ref().filter(|_| has_points)?;
            Some(interest.next(&program.calendar, clock)).filter(after_clock)
        };
        let interest_at = overdue(known.interest_at).or_else(interest);
        let spendable = wallet.matured(clock);
        account.agenda.set(WalletAgenda {
            currency: wallet.currency,
            owed: if active { known.owed } else { 0 },
            remind_at: overdue(known.remind_at).or_else(remind),
            decay_at: overdue(known.decay_at).or_else(decay),
            interest_at,
            // Interest begins with the first whole time between two payments.
            lowest: match (known.interest_at, interest_at) {
                (Some(_), Some(_)) => known.lowest.min(spendable),
                _ => 0,
            },
        });
    }
}

impl Draft<'_> {
    /// Lets happen what is due, one moment after the other, or plans anew what a change of the program makes due.
    pub(super) fn tick(&mut self, loaded: &Loaded) -> Result<(), Refusal> {
        let moments = self.pass_while(Account::next_due_at, loaded)?;
        if moments == 0 && !self.plans_anew() {
            return Err(Refusal::new(RefusalCode::NothingDue, "nothing is due on this account"));
        }
        Ok(())
    }

    /// Lets happen what the agenda has before the command does what it is for, so that nothing depends on how late a tick
    /// is: points that are earned today do not decay for yesterday.
    pub(super) fn catch_up(&mut self, loaded: &Loaded) -> Result<(), Refusal> {
        let (since, at) = (self.account.last_transaction_at, self.command.at);
        self.pass_while(|account| account.agenda.next_due_at(), loaded)?;
        // Lots mature and expire in time, even when no tick has come to move them.
        for due in self.account.agenda.wallets.clone() {
            let fewest = self.account.wallet(due.currency).map_or(0, |wallet| wallet.fewest_matured(since, at));
            self.account.agenda.set(WalletAgenda { lowest: due.lowest.min(fewest), ..due });
        }
        Ok(())
    }

    /// Lets moments pass, up to the command's, while something is due. Returns how many.
    fn pass_while(&mut self, due: impl Fn(&Account) -> Option<Timestamp>, loaded: &Loaded) -> Result<usize, Refusal> {
        let at = self.command.at;
        let mut moments = 0;
        while moments < limits::TICK_MOMENTS
            && due(&self.account).is_some_and(|due| due <= at)
            && let Some(moment) = self.account.next_due_at()
        {
            self.happen(moment, loaded)?;
            moments += 1;
        }
        Ok(moments)
    }

    /// Whether something else is due under the program in force than what the account says.
    fn plans_anew(&self) -> bool {
        let mut planned = self.account.clone();
        let clock = planned.last_transaction_at.max(self.command.at);
        plan(self.program, &mut planned, clock);
        planned.agenda != self.account.agenda
    }

    /// Everything that is due at one moment.
    fn happen(&mut self, moment: Timestamp, loaded: &Loaded) -> Result<(), Refusal> {
        let program = self.program;
        let currencies: Vec<CurrencyId> = self.account.wallets.iter().map(|wallet| wallet.currency).collect();
        for id in currencies {
            self.mature(id, moment)?;
            let (due, currency) = (self.account.agenda.wallet(id), program.currency_at(id, moment));
            let life = currency.map(|currency| &currency.life);
            let pays = due.interest_at.is_some_and(|due| due <= moment);
            if let (true, Some(currency), Some(interest)) =
                (pays, currency, life.and_then(|life| life.interest.as_ref()))
            {
                self.pay_interest(currency, interest, due.lowest, moment)?;
            }
            self.expire(id, moment)?;
            let decays = due.decay_at.is_some_and(|due| due <= moment);
            if let (true, Some(currency), Some(decay)) = (decays, currency, life.and_then(|life| life.decay.as_ref())) {
                self.decay(currency, decay, moment)?;
            }
            let reminds = due.remind_at.is_some_and(|due| due <= moment);
            if let (true, Some(reminders)) = (reminds, life.and_then(|life| life.reminders.as_ref())) {
                self.remind(id, reminders, moment);
            }
            self.plan_after(id, due, moment);
        }
        plan(program, &mut self.account, moment);
        self.review_tier(moment, loaded)
    }

    /// Takes what has happened off the agenda.
    fn plan_after(&mut self, currency: CurrencyId, due: WalletAgenda, moment: Timestamp) {
        let later = |due: Option<Timestamp>| due.filter(|due| *due > moment);
        let spendable = self.account.wallet(currency).map_or(0, |wallet| wallet.spendable(moment));
        let paid = due.interest_at.is_some_and(|due| due <= moment);
        let now = self.account.agenda.wallet(currency);
        self.account.agenda.set(WalletAgenda {
            remind_at: later(due.remind_at),
            decay_at: later(due.decay_at),
            // `plan` sets the next one; until then it must not look as if none had been there.
            interest_at: if paid { Some(Timestamp::NEVER) } else { due.interest_at },
            lowest: if paid { spendable } else { now.lowest.min(spendable) },
            ..now
        });
    }

    fn mature(&mut self, currency: CurrencyId, moment: Timestamp) -> Result<(), Refusal> {
        let due = |key: &LotKey| key.active_at != Timestamp::ZERO && key.active_at <= moment;
        let matured = self.due_portions(currency, due);
        self.receipt.matured += self.money_in(currency, &matured);
        let ways = (LedgerAccount::MemberPending, LedgerAccount::MemberAvailable);
        self.transfer_portions(currency, &matured, ways, None)
    }

    fn expire(&mut self, currency: CurrencyId, moment: Timestamp) -> Result<(), Refusal> {
        let due = |key: &LotKey| key.active_at == Timestamp::ZERO && key.expires_at <= moment;
        let expired = self.due_portions(currency, due);
        self.receipt.expired += self.money_in(currency, &expired);
        let ways = (LedgerAccount::MemberAvailable, LedgerAccount::Breakage);
        self.transfer_portions(currency, &expired, ways, None)
    }

    fn due_portions(&self, currency: CurrencyId, due: impl Fn(&LotKey) -> bool) -> Vec<Portion> {
        let lots = self.account.wallet(currency).map_or(&[][..], |wallet| &wallet.lots);
        let due = lots.iter().filter(|lot| lot.remaining > 0 && due(&lot.key));
        due.map(|lot| Portion { lot: lot.key, amount: lot.remaining }).collect()
    }

    /// Takes a part of what can be spent, first-expiring-first.
    fn decay(&mut self, currency: &Currency, decay: &Decay, moment: Timestamp) -> Result<(), Refusal> {
        let Some(wallet) = self.account.wallet(currency.id) else { return Ok(()) };
        let lost = wallet.pick(percent_of(wallet.spendable(moment), decay.percent), moment);
        self.receipt.decayed += self.money_in(currency.id, &lost);
        let ways = (LedgerAccount::MemberAvailable, LedgerAccount::Breakage);
        self.transfer_portions(currency.id, &lost, ways, Some(&(format!("decay:{}", currency.code).into(), 0)))
    }

    /// Credits interest on the fewest points that lay there since it was paid last.
    fn pay_interest(
        &mut self,
        currency: &Currency,
        interest: &Interest,
        lowest: i64,
        moment: Timestamp,
    ) -> Result<(), Refusal> {
        let room = self.account.wallet(currency.id).map_or(0, |wallet| limits::WALLET_POINTS - wallet.lifetime.earned);
        let points = percent_of(lowest, interest.percent).min(room);
        if points <= 0 {
            return Ok(());
        }
        let mut outcome = Outcome {
            rate: Some(interest.percent),
            expires_at: Some(self.program.expires_at(currency.id, moment)),
            ..Outcome::plain(format!("interest:{}", currency.code).into(), points, currency.id)
        };
        outcome.repaid = self.credit(&outcome, (outcome.rule.clone(), 0))?;
        self.receipt.explanation.push(outcome);
        Ok(())
    }

    /// Tells of the points that expire so many days from now, and asks for a call when they are many.
    fn remind(&mut self, currency: CurrencyId, settings: &Reminders, moment: Timestamp) {
        let Some(wallet) = self.account.wallet(currency) else { return };
        let mut told: BTreeMap<(Timestamp, i32), i64> = BTreeMap::new();
        for (due, days, expires_at, points) in reminders(wallet, settings) {
            if due == moment {
                *told.entry((expires_at, days)).or_default() += points;
            }
        }
        for ((expires_at, days), points) in told {
            self.receipt.events.push(Event::PointsExpiring { currency, points, expires_at, days });
            if let Some(call) =
                settings.call.as_ref().filter(|call| points > call.over && settings.call_days() == Some(days))
            {
                self.receipt.events.push(Event::Task { subject: "call".to_owned(), text: call.text.clone() });
            }
        }
    }

    /// What a return should have taken back, or a spending without network should have found, is owed as far as the program lets it, else forgiven.
    pub(super) fn fall_short(&mut self, currency: CurrencyId, points: i64) {
        let shortfall = self.program.life_at(currency, self.command.at).map(|life| life.shortfall).unwrap_or_default();
        let wallet = self.account.agenda.wallet(currency);
        // Nobody is left who would earn what an account owes that has ended.
        let owed = match self.account.status {
            AccountStatus::Active => shortfall.owes(wallet.owed, points),
            _ => 0,
        };
        self.account.agenda.set(WalletAgenda { owed: wallet.owed.saturating_add(owed), ..wallet });
        self.receipt.owed += owed;
        self.receipt.forgiven += if self.is_money(currency) { points - owed } else { 0 };
    }

    /// Takes what the member owes out of points that a rule has just credited to a lot. Returns how much.
    pub(super) fn repay(&mut self, credited: Transfer) -> Result<i64, Refusal> {
        let wallet = self.account.agenda.wallet(credited.currency);
        let amount = wallet.owed.min(credited.amount);
        let (debit, credit) = (credited.credit, LedgerAccount::Revocation);
        self.transfer(Transfer { debit, credit, amount, ..credited })?;
        self.account.agenda.set(WalletAgenda { owed: wallet.owed - amount, ..wallet });
        self.receipt.repaid += amount;
        Ok(amount)
    }

    /// Gives back points that a spending came to owe: what is owed yet is owed no longer, and what was repaid out of later earnings
    /// comes back as points that are earned now. Debts have no names, so as long as any is left it counts as this one's.
    pub(super) fn give_back_owed(&mut self, currency: CurrencyId, points: i64) -> Result<(), Refusal> {
        // What an account owed that ended was forgiven, and what it had is gone.
        if points == 0 || self.account.status != AccountStatus::Active {
            return Ok(());
        }
        let wallet = self.account.agenda.wallet(currency);
        let cancelled = wallet.owed.min(points);
        self.account.agenda.set(WalletAgenda { owed: wallet.owed - cancelled, ..wallet });
        self.receipt.debt_cancelled += cancelled;
        let amount = points - cancelled;
        if amount == 0 {
            return Ok(());
        }
        let expires_at = self.program.expires_at(currency, self.command.at).max(self.renewed(currency));
        let lot = LotKey { expires_at, funding: FundingId::default(), active_at: Timestamp::ZERO };
        let (debit, credit) = (LedgerAccount::Revocation, LedgerAccount::MemberAvailable);
        self.transfer(Transfer { debit, credit, currency, amount, lot, rule: None })
    }

    /// Forgives what is owed on an account that ends.
    pub(super) fn forgive_owed(&mut self) {
        for wallet in self.account.agenda.wallets.clone() {
            self.receipt.forgiven += wallet.owed;
            self.account.agenda.set(WalletAgenda { owed: 0, ..wallet });
        }
    }
}
