//! The ledger: accounts with their lots, transfers between ledger accounts, transactions and their hashes.

mod account;
mod agenda;
mod statement;
mod status;
mod transaction;
mod verify;
mod wallet;

pub use account::Account;
pub use agenda::{Agenda, Extended, FinalPurchase, PastExtension, WalletAgenda};
pub use statement::{Movement, Statement};
pub use status::{AccountStatus, Merge};
pub use transaction::{LedgerAccount, Transaction, TransactionKind, Transfer, leaf_hash};
pub use verify::{Finding, Verifier, VerifyReport};
pub use wallet::{Balance, CurrencyId, FundingId, Lifetime, Lot, LotKey, Portion, Wallet};
