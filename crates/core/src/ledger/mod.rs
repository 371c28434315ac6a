//! The ledger: accounts with their lots, transfers between ledger accounts, transactions and their hashes.

mod account;
mod transaction;
mod verify;

pub use account::{Account, Balance, CurrencyId, FundingId, Lifetime, Lot, LotKey, Portion, Wallet};
pub use transaction::{LedgerAccount, Transaction, TransactionKind, Transfer, leaf_hash};
pub use verify::{Finding, Verifier, VerifyReport};
