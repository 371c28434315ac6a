//! The account: the one row that holds everything a decision must know of a member.

use serde::{Deserialize, Serialize};

use super::{AccountStatus, Agenda, Balance, CurrencyId, Lifetime, Merge, Transaction, TransactionKind, Wallet};
use crate::earning::{History, Recent};
use crate::id::MemberId;
use crate::kernel::Receipt;
use crate::redemption::Granted;
use crate::tiers::Standing;
use crate::time::Timestamp;

/// The account of one member.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Account {
    /// Counts the changes; a commit names the version that it read.
    pub version: i64,
    /// Wallets in the order of their currencies.
    pub wallets: Vec<Wallet>,
    /// When the member last did something (activity or redemption).
    pub last_activity_at: Timestamp,
    /// The date of the latest transaction: nothing is redeemed before it.
    pub last_transaction_at: Timestamp,
    /// The id of the latest transaction: the next one is above it, whichever node writes it.
    pub last_transaction_id: i64,
    /// Where the account stands in its life.
    pub status: AccountStatus,
    /// The accounts that were merged into this one, in the order in which they came.
    pub merged_from: Vec<MemberId>,
    /// What is remembered of the member's activities.
    pub history: History,
    /// What is due besides lots, what is owed, and where lots went.
    pub agenda: Agenda,
    /// What is remembered of them by days.
    pub recent: Recent,
    /// Where the member stands.
    pub standing: Standing,
    /// Who referred the member; that account may have been merged into another since.
    pub referrer: Option<MemberId>,
    /// Allowances of tills without network that were good when the latest was granted, of merged accounts as well.
    pub lent: Vec<Granted>,
}

/// The stored form; the number in front tells which. Format 1 had no id of the latest transaction, format 2 no status,
/// format 3 no history, format 4 no agenda, days, standing and referrer, format 5 no allowances.
const STATE_FORMAT: u8 = 6;

/// What every format begins with.
#[derive(Deserialize)]
struct State {
    wallets: Vec<Wallet>,
    last_activity_at: Timestamp,
    last_transaction_at: Timestamp,
}

impl Account {
    /// The wallet of a currency, when there is one.
    pub fn wallet(&self, currency: CurrencyId) -> Option<&Wallet> {
        self.wallets.iter().find(|wallet| wallet.currency == currency)
    }

    /// The wallet of a currency, made when it is not there.
    #[expect(clippy::indexing_slicing, reason = "the lines above put a wallet at this index")]
    pub fn wallet_mut(&mut self, currency: CurrencyId) -> &mut Wallet {
        let index = self.wallets.partition_point(|wallet| wallet.currency < currency);
        if self.wallets.get(index).is_none_or(|wallet| wallet.currency != currency) {
            self.wallets.insert(index, Wallet::new(currency));
        }
        &mut self.wallets[index]
    }

    /// Follows one transaction of the journal as the kernel did when it decided it. Given all of them in the order of
    /// their ids, an empty account becomes what is stored.
    pub fn follow(&mut self, transaction: &Transaction) -> Result<(), String> {
        let receipt: Receipt = serde_json::from_str(&transaction.receipt).map_err(|error| error.to_string())?;
        for balance in &receipt.balances {
            self.wallet_mut(balance.currency);
        }
        transaction.transfers.iter().try_for_each(|transfer| self.wallet_mut(transfer.currency).apply(transfer))?;
        self.version += 1;
        self.last_transaction_id = transaction.id.0;
        self.last_transaction_at = self.last_transaction_at.max(transaction.at);
        if transaction.kind == TransactionKind::Redeem || receipt.activity.is_some() {
            self.last_activity_at = self.last_activity_at.max(transaction.at);
        }
        self.follow_receipt(transaction, &receipt);
        Ok(())
    }

    /// Follows what a receipt says of the account beside its points.
    pub(super) fn follow_receipt(&mut self, transaction: &Transaction, receipt: &Receipt) {
        let growth = receipt.balances.iter().filter(|balance| !balance.spendable);
        growth.for_each(|balance| self.standing.note_growth(balance.currency));
        if let Some(activity) = &receipt.activity {
            self.history.record(&activity.kind, transaction.day, activity.amount);
            if activity.by_day {
                self.recent.record(&activity.kind, transaction.day, activity.amount);
            }
        }
        self.referrer = receipt.referrer.or(self.referrer);
        receipt.counted.iter().for_each(|counted| self.history.count(counted));
        if let Some(returned) = &receipt.returned {
            self.history.give_back(returned);
        }
        if let Some(status) = receipt.status {
            self.status = status;
        }
        if let Some(merge) = &receipt.merge {
            self.follow_merge(transaction.member_id, merge);
        }
        receipt.extended.iter().for_each(|extended| self.agenda.extend(transaction.id.0, *extended));
        if let Some(purchase) = receipt.made_final {
            self.agenda.finish(purchase, transaction.at);
        }
        receipt.agenda.iter().for_each(|wallet| self.agenda.set(*wallet));
        if let Some(tier) = &receipt.tier {
            self.standing.follow(tier);
        }
        let granted = receipt.order.as_ref().and_then(|order| order.allowance.as_ref());
        if let Some(granted) = granted.filter(|granted| !granted.lent.is_empty()) {
            self.lent.clone_from(&granted.lent);
        }
    }

    /// Carries over what goes with a merge besides the points, on either of its accounts.
    pub(crate) fn follow_merge(&mut self, member: MemberId, merge: &Merge) {
        if member == merge.from {
            self.wallets.iter_mut().for_each(|wallet| wallet.lifetime = Lifetime::default());
            self.history = History::default();
            self.referrer = None;
            self.recent = Recent::default();
            self.standing = Standing { growth: std::mem::take(&mut self.standing.growth), ..Standing::default() };
            self.agenda = Agenda::default();
            self.lent.clear();
            return;
        }
        for (currency, lifetime) in &merge.lifetimes {
            let wallet = self.wallet_mut(*currency);
            wallet.lifetime = wallet.lifetime.plus(*lifetime);
        }
        self.last_activity_at = self.last_activity_at.max(merge.last_activity_at);
        self.merged_from.extend_from_slice(&merge.brought);
        self.merged_from.push(merge.from);
        self.history.merge(&merge.history);
        // Nobody is referred by oneself.
        self.referrer =
            self.referrer.or(merge.referrer).filter(|referrer| *referrer != member && *referrer != merge.from);
        self.recent.merge(&merge.recent);
        self.standing.merge(&merge.standing);
        self.agenda.merge((merge.from, merge.into), &merge.agenda);
        self.lent.extend_from_slice(&merge.lent);
    }

    /// Points available in all currencies that can be spent, for the column that operators sort by.
    pub fn available(&self) -> i64 {
        let spendable = self.wallets.iter().filter(|wallet| !self.standing.is_growth(wallet.currency));
        spendable.map(|wallet| wallet.balance().available).sum()
    }

    /// Tier value that the member has.
    pub fn growth(&self) -> i64 {
        let growth = self.wallets.iter().filter(|wallet| self.standing.is_growth(wallet.currency));
        growth.map(|wallet| wallet.balance().available).sum()
    }

    /// The balances of all wallets.
    pub fn balances(&self) -> Vec<Balance> {
        let of = |wallet: &Wallet| Balance { spendable: !self.standing.is_growth(wallet.currency), ..wallet.balance() };
        self.wallets.iter().map(of).collect()
    }

    /// Notes that a currency is tier value, when there is a wallet of it.
    pub(crate) fn note_growth(&mut self, currency: CurrencyId) {
        if self.wallet(currency).is_some() {
            self.standing.note_growth(currency);
        }
    }

    /// The earliest moment at which something happens by itself: a lot matures or expires, the agenda has something, or the
    /// tier is looked at again.
    /// `None`: nothing will.
    pub fn next_due_at(&self) -> Option<Timestamp> {
        let lots = self.wallets.iter().flat_map(|wallet| &wallet.lots).filter(|lot| lot.remaining > 0);
        let tier = if self.status == AccountStatus::Active { self.standing.due() } else { Timestamp::NEVER };
        lots.map(|lot| if lot.key.active_at == Timestamp::ZERO { lot.key.expires_at } else { lot.key.active_at })
            .chain(self.agenda.next_due_at())
            .chain([tier])
            .min()
            .filter(|due| *due != Timestamp::NEVER)
    }

    /// The compact stored form: a format number and postcard.
    pub fn encode(&self) -> Vec<u8> {
        let state = StateRef {
            wallets: &self.wallets,
            last_activity_at: self.last_activity_at,
            last_transaction_at: self.last_transaction_at,
            last_transaction_id: self.last_transaction_id,
            status: self.status,
            merged_from: &self.merged_from,
            history: &self.history,
            agenda: &self.agenda,
            recent: &self.recent,
            standing: &self.standing,
            referrer: self.referrer,
            lent: &self.lent,
        };
        postcard::to_extend(&state, vec![STATE_FORMAT]).unwrap_or_default()
    }

    /// Reads the stored form.
    pub fn decode(version: i64, bytes: &[u8]) -> Result<Self, String> {
        let Some((&format, rest)) = bytes.split_first() else { return Err("account state is empty".to_owned()) };
        if format == 0 || format > STATE_FORMAT {
            return Err(format!("account state has format {format}; this version knows 1 to {STATE_FORMAT}"));
        }
        let damaged = |error| format!("account state: {error}");
        let (state, rest): (State, _) = postcard::take_from_bytes(rest).map_err(damaged)?;
        let lots = state.wallets.iter().flat_map(|wallet: &Wallet| &wallet.lots);
        let points = lots.flat_map(|lot| [lot.amount, lot.remaining, lot.held]);
        // Whatever is stored, its sums can be made: the rest of the code need not look.
        let sum = points.map(u64::try_from).try_fold(0_u64, |sum, points| sum.checked_add(points.ok()?));
        if sum.is_none_or(|sum| i64::try_from(sum).is_err()) {
            return Err("account state: its lots hold points beyond all limits, or fewer than none".to_owned());
        }
        let (last_transaction_id, rest): (i64, _) =
            if format == 1 { (0, rest) } else { postcard::take_from_bytes(rest).map_err(damaged)? };
        let ((status, merged_from), rest): ((AccountStatus, Vec<MemberId>), _) =
            if format < 3 { Default::default() } else { postcard::take_from_bytes(rest).map_err(damaged)? };
        let (history, rest) = match format {
            4.. => postcard::take_from_bytes(rest).map_err(damaged)?,
            _ => (History { partial: state.last_activity_at != Timestamp::ZERO, ..History::default() }, rest),
        };
        let ((agenda, recent, standing, referrer), rest): ((Agenda, Recent, Standing, Option<MemberId>), _) =
            if format < 5 { (Default::default(), rest) } else { postcard::take_from_bytes(rest).map_err(damaged)? };
        let (lent, _) =
            if format < 6 { (Vec::new(), rest) } else { postcard::take_from_bytes(rest).map_err(damaged)? };
        Ok(Self {
            version,
            wallets: state.wallets,
            last_activity_at: state.last_activity_at,
            last_transaction_at: state.last_transaction_at,
            last_transaction_id,
            status,
            merged_from,
            history,
            agenda,
            recent,
            standing,
            referrer,
            lent,
        })
    }
}

#[derive(Serialize)]
struct StateRef<'a> {
    wallets: &'a [Wallet],
    last_activity_at: Timestamp,
    last_transaction_at: Timestamp,
    last_transaction_id: i64,
    status: AccountStatus,
    merged_from: &'a [MemberId],
    history: &'a History,
    agenda: &'a Agenda,
    recent: &'a Recent,
    standing: &'a Standing,
    referrer: Option<MemberId>,
    lent: &'a [Granted],
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Formats 1 to 5 as earlier versions wrote them.
    #[test]
    fn what_earlier_versions_wrote_is_read() {
        let mut wallet = Wallet::new(CurrencyId(1));
        wallet.lifetime.earned = 300;
        let (active, latest) = (Timestamp::from_millis(7), Timestamp::from_millis(9));
        let first = postcard::to_extend(&(vec![wallet.clone()], active, latest), vec![1]).unwrap();
        let account = Account::decode(4, &first).unwrap();
        assert_eq!((account.version, account.last_transaction_id), (4, 0));
        assert_eq!((account.last_activity_at, account.last_transaction_at), (active, latest));
        assert_eq!((account.status, account.merged_from.len()), (AccountStatus::Active, 0));
        assert_eq!(account.wallets, [wallet.clone()]);
        let second = postcard::to_extend(&(vec![wallet.clone()], active, latest, 77_i64), vec![2]).unwrap();
        let account = Account::decode(4, &second).unwrap();
        assert_eq!((account.last_transaction_id, account.status), (77, AccountStatus::Active));
        let closed = AccountStatus::Closed { at: latest };
        let third = (vec![wallet], active, latest, 77_i64, closed, vec![MemberId(5)]);
        let account = Account::decode(4, &postcard::to_extend(&third, vec![3]).unwrap()).unwrap();
        let fourth = (third.clone(), History::default());
        let before_agendas = Account::decode(4, &postcard::to_extend(&fourth, vec![4]).unwrap()).unwrap();
        assert!(before_agendas.agenda.is_empty() && !before_agendas.history.partial);
        assert_eq!((account.status, &account.merged_from[..]), (closed, &[MemberId(5)][..]));
        // What the member did is not known, but that something was done is.
        assert_eq!((account.history.partial, account.history.lifetime("purchase").count), (true, 1));
        // It is written in the newest format, and nothing is lost.
        let written = account.encode();
        assert_eq!((written.first(), Account::decode(4, &written)), (Some(&6), Ok(account.clone())));
        // Format 4 ended with the history.
        let fourth = postcard::to_extend(&(&account.wallets, active, latest, 77_i64), vec![4]).unwrap();
        let fourth = postcard::to_extend(&(closed, vec![MemberId(5)], &account.history), fourth).unwrap();
        assert_eq!(Account::decode(4, &fourth), Ok(account.clone()));
        // Format 5 ended with the referrer: without the one byte that says that nothing is lent.
        let mut fifth = written.clone();
        fifth.pop();
        fifth[0] = 5;
        assert_eq!(Account::decode(4, &fifth), Ok(account));
        let unknown = Account::decode(4, &[7, 0]).unwrap_err();
        assert!(unknown.contains("knows 1 to 6"), "{unknown}");
    }
}
