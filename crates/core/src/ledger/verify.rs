//! Rebuilds every balance from the journal and compares: the invariants of the ledger as a check that anyone can run.

use rustc_hash::FxHashMap;

use super::{Account, CurrencyId, LedgerAccount, Transaction, TransactionKind, leaf_hash};
use crate::audit::{AuditColumns, AuditEntry, ChainVerifier};
use crate::earning::{BudgetKey, Budgets, Spent, Tally};
use crate::id::MemberId;
use crate::kernel::Receipt;
use crate::proofs::LogVerifier;
use crate::redemption::{Funds, Order};
use crate::rewards::StockLevel;
use crate::tiers::Standing;
use crate::time::Timestamp;

/// A row that breaks an invariant.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Finding {
    /// Which row: `account mem_…`, `transaction txn_…`, `stock …`, `order ord_…`, `audit entry 7`.
    pub row: String,
    /// What is wrong with it.
    pub problem: String,
}

/// What a verification saw.
#[derive(Debug, Clone, Default, serde::Serialize)]
pub struct VerifyReport {
    /// Rows read.
    pub accounts: u64,
    /// Rows read.
    pub transactions: u64,
    /// Rows read.
    pub transfers: u64,
    /// Rows read.
    pub orders: u64,
    /// Rows read.
    pub stocks: u64,
    /// Rows read.
    pub audit_entries: u64,
    /// Transactions and audit entries in the transparency log.
    pub log_leaves: u64,
    /// Transactions and audit entries on their way into it.
    pub waiting_for_log: u64,
    /// How many rows are wrong.
    pub wrong: u64,
    /// The first of them, at most 20.
    pub findings: Vec<Finding>,
}

#[derive(Default)]
struct OrderSums {
    reserved: FxHashMap<String, i64>,
    issued: FxHashMap<String, i64>,
    held: FxHashMap<MemberId, i64>,
}

/// Reads the journal in order of transaction, then the accounts, orders and stock, and reports what does not fit.
#[derive(Default)]
pub struct Verifier {
    rebuilt: FxHashMap<MemberId, Account>,
    orders: OrderSums,
    /// Points that merges took out of accounts and have not put into others, by currency: none in the end.
    merged: FxHashMap<CurrencyId, i64>,
    /// What the journal says was taken out of budgets.
    budgets: Budgets,
    /// The log, which is checked against the journal.
    pub log: LogVerifier,
    chain: ChainVerifier,
    report: VerifyReport,
}

impl Verifier {
    /// A row that cannot be read at all, or that belongs to nothing.
    pub fn unreadable(&mut self, row: String, problem: String) {
        self.wrong(row, problem);
    }

    fn wrong(&mut self, row: String, problem: String) {
        self.report.wrong += 1;
        if self.report.findings.len() < 20 {
            self.report.findings.push(Finding { row, problem });
        }
    }

    /// One transaction with its transfers, in the order of its id, and the leaf hash stored beside it.
    pub fn transaction(&mut self, transaction: &Transaction, stored_hash: &[u8]) {
        self.report.transactions += 1;
        self.report.transfers += transaction.transfers.len() as u64;
        let row = || format!("transaction {}", transaction.id);
        let hash = leaf_hash(transaction);
        self.log.transaction(transaction.id, &hash);
        if hash.as_slice() != stored_hash {
            self.wrong(row(), "its content does not match its leaf hash: a stored row was changed".to_owned());
        }
        let mut problems = Vec::new();
        let mut extending: FxHashMap<CurrencyId, i64> = FxHashMap::default();
        let account = self.rebuilt.entry(transaction.member_id).or_default();
        account.version += 1;
        for transfer in &transaction.transfers {
            if transfer.amount <= 0 {
                problems.push(format!("a transfer moves {} points; it must move more than zero", transfer.amount));
            }
            if transfer.debit == LedgerAccount::Issuance && transfer.rule.is_none() {
                problems.push("points were issued without naming a rule".to_owned());
            }
            if let Err(problem) = account.wallet_mut(transfer.currency).apply(transfer) {
                problems.push(problem);
            }
            let merged = self.merged.entry(transfer.currency).or_default();
            match (transfer.debit, transfer.credit) {
                (LedgerAccount::Merge, _) => *merged -= transfer.amount,
                (_, LedgerAccount::Merge) => *merged += transfer.amount,
                (LedgerAccount::Extension, _) => *extending.entry(transfer.currency).or_default() -= transfer.amount,
                (_, LedgerAccount::Extension) => *extending.entry(transfer.currency).or_default() += transfer.amount,
                _ => {}
            }
        }
        if extending.values().any(|points| *points != 0) {
            problems.push("an extension took out other points than it put in".to_owned());
        }
        let tells_more = transaction.kind.changes_status()
            || matches!(
                transaction.kind,
                TransactionKind::Activity | TransactionKind::Enrol | TransactionKind::Referral
            );
        let tells = |part: &str| transaction.receipt.contains(part);
        if tells_more || tells("\"counted\":") || tells("\"agenda\":") || tells("\"extended\":") || tells("\"tier\":{")
        {
            match serde_json::from_str(&transaction.receipt) {
                Ok(receipt) => {
                    let receipt: Receipt = receipt;
                    account.follow_receipt(transaction, &receipt);
                    for Spent { key, count, points } in receipt.budgets {
                        let tally = self.budgets.entry(key).or_default();
                        *tally = tally.plus(Tally { count, sum: points });
                    }
                }
                Err(error) => problems.push(format!("its receipt cannot be read: {error}")),
            }
        }
        for problem in problems {
            self.wrong(row(), problem);
        }
    }

    /// One order.
    pub fn order(&mut self, order: &Order) {
        self.report.orders += 1;
        let held: i64 = order.holds.iter().map(|portion| portion.amount).sum();
        if held != order.points {
            let problem = format!("costs {} points but holds {held}", order.points);
            self.wrong(format!("order {}", order.id), problem);
        }
        if let Some(last) = order.details.history.last().filter(|last| last.state != order.state) {
            let problem = format!("is {}, but its history ends with {}", order.state.name(), last.state.name());
            self.wrong(format!("order {}", order.id), problem);
        }
        let units = match order.state.funds() {
            Funds::Held => {
                *self.orders.held.entry(order.member_id).or_default() += order.points;
                &mut self.orders.reserved
            }
            Funds::Spent => &mut self.orders.issued,
            Funds::Returned => return,
        };
        for (key, taken) in order.stock() {
            *units.entry(key.to_owned()).or_default() += taken;
        }
    }

    /// One account as stored, with the columns that stand beside its state. Call after all transactions and orders.
    pub fn account(&mut self, member: MemberId, stored: &Account, available: i64, next_due_at: Option<Timestamp>) {
        self.report.accounts += 1;
        let rebuilt = self.rebuilt.remove(&member).unwrap_or_default();
        let held = self.orders.held.remove(&member).unwrap_or_default();
        let mut problems = Vec::new();
        if stored.version != rebuilt.version {
            problems.push(format!("version is {}, but it has {} transactions", stored.version, rebuilt.version));
        }
        if stored.status != rebuilt.status {
            problems.push(format!("is {:?}, but its transactions say {:?}", stored.status, rebuilt.status));
        }
        if stored.merged_from != rebuilt.merged_from {
            problems.push(format!(
                "was merged from {:?}, but its transactions say {:?}",
                stored.merged_from, rebuilt.merged_from
            ));
        }
        if stored.referrer != rebuilt.referrer {
            problems
                .push(format!("is referred by {:?}, but its transactions say {:?}", stored.referrer, rebuilt.referrer));
        }
        // What an account did before its history was kept is in the journal, but not in the account.
        if !stored.history.partial && stored.history != rebuilt.history {
            problems.push("its history or counters differ from its transactions".to_owned());
        }
        let standing = |account: &Account| Standing { growth: Vec::new(), ..account.standing.clone() };
        if standing(stored) != standing(&rebuilt) {
            problems.push("its tier or the figures behind it differ from its transactions".to_owned());
        }
        if stored.recent != rebuilt.recent {
            problems.push("what it remembers by days differs from its transactions".to_owned());
        }
        if stored.agenda != rebuilt.agenda {
            problems.push("what it says is due or owed differs from its transactions".to_owned());
        }
        for wallet in &stored.wallets {
            let balance = wallet.balance();
            let expected = rebuilt.wallet(wallet.currency);
            let sums = expected.map(|wallet| wallet.balance());
            if sums.is_some_and(|sums| sums != balance) {
                problems.push(format!("stores {balance:?}, but its transfers add up to {sums:?}"));
            } else if expected.is_some_and(|expected| expected != wallet) {
                problems.push("its lots or lifetime totals differ from its transfers".to_owned());
            } else if expected.is_none() && *wallet != super::Wallet::new(wallet.currency) {
                problems.push("has points that no transfer gave".to_owned());
            }
        }
        for wallet in rebuilt.wallets.iter().filter(|wallet| stored.wallet(wallet.currency).is_none()) {
            problems.push(format!("lacks the wallet of currency {}", wallet.currency.0));
        }
        let stored_held: i64 = stored.wallets.iter().map(|wallet| wallet.balance().held).sum();
        if stored_held != held {
            problems.push(format!("holds {stored_held} points, but its open orders hold {held}"));
        }
        if available != stored.available() {
            problems.push(format!("column `available` is {available}, its state says {}", stored.available()));
        }
        if next_due_at != stored.next_due_at() {
            problems
                .push(format!("column `next_due_at` is {next_due_at:?}, its state says {:?}", stored.next_due_at()));
        }
        for problem in problems {
            self.wrong(format!("account {member}"), problem);
        }
    }

    /// One stock row. Call after all orders.
    pub fn stock(&mut self, key: &str, stock: &StockLevel) {
        self.report.stocks += 1;
        let reserved = self.orders.reserved.remove(key).unwrap_or_default();
        let issued = self.orders.issued.remove(key).unwrap_or_default();
        let mut problems = Vec::new();
        if stock.on_hand != stock.initial + stock.restocked - stock.issued {
            problems.push(format!("on_hand {} is not initial + restocked − issued", stock.on_hand));
        }
        if stock.reserved < 0 || stock.reserved > stock.on_hand {
            problems.push(format!("reserved {} is not between 0 and on_hand {}", stock.reserved, stock.on_hand));
        }
        if (stock.reserved, stock.issued) != (reserved, issued) {
            problems.push(format!(
                "reserved {} and issued {}, but its orders reserve {reserved} and were issued {issued}",
                stock.reserved, stock.issued
            ));
        }
        for problem in problems {
            self.wrong(format!("stock {key}"), problem);
        }
    }

    /// What members have taken together out of a budget.
    pub fn budget(&mut self, key: &BudgetKey, stored: Tally) {
        let told = self.budgets.remove(key).unwrap_or_default();
        if told != stored {
            let problem = format!(
                "holds {} points of {} activities, but the journal says {} of {}",
                stored.sum, stored.count, told.sum, told.count
            );
            self.wrong(format!("budget {} {} until {}", key.name, key.window.name(), key.ends_at), problem);
        }
    }

    /// One entry of the audit log, in the order of the numbers, with the columns that stand beside it.
    pub fn audit_entry(&mut self, entry: &AuditEntry, columns: &AuditColumns) {
        self.report.audit_entries += 1;
        self.log.audit_entry(entry);
        self.chain.entry(entry, columns);
    }

    /// The report. Members with transactions but no account are found here.
    pub fn finish(mut self) -> VerifyReport {
        (self.report.log_leaves, self.report.waiting_for_log) = self.log.counts();
        let chain = std::mem::take(&mut self.chain).findings;
        for finding in chain.into_iter().chain(std::mem::take(&mut self.log).finish()) {
            self.wrong(finding.row, finding.problem);
        }
        let mut merged: Vec<(CurrencyId, i64)> = self.merged.drain().filter(|(_, points)| *points != 0).collect();
        merged.sort();
        for (currency, points) in merged {
            let problem = format!("merges took out {points} points more than they put in");
            self.wrong(format!("currency {}", currency.0), problem);
        }
        let mut missing: Vec<BudgetKey> = std::mem::take(&mut self.budgets).into_keys().collect();
        missing.sort();
        for key in missing {
            self.wrong(format!("budget {}", key.name), "was taken from, but has no row".to_owned());
        }
        let mut orphans: Vec<MemberId> = self.rebuilt.keys().copied().collect();
        orphans.sort();
        for member in orphans {
            self.wrong(format!("account {member}"), "has transactions but no account row".to_owned());
        }
        self.report
    }
}
