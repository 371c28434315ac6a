//! What lies in the database: `verify` must be able to say what is wrong with whatever is found there.

use guerdon_core::kernel::Receipt;
use guerdon_core::ledger::{Account, CurrencyId, FundingId, Lot, LotKey, Wallet};
use guerdon_core::members::Profile;
use guerdon_core::redemption::Order;
use guerdon_core::time::Timestamp;
use guerdon_store::{LogBatch, OutboxBatch};

use crate::behaviour;

pub fn accounts() -> Vec<Vec<u8>> {
    let lot = |expires: i64, active: i64| Lot {
        key: LotKey {
            expires_at: Timestamp::from_millis(expires),
            funding: FundingId(1),
            active_at: Timestamp::from_millis(active),
        },
        amount: 900,
        remaining: 500,
        held: 100,
    };
    let mut wallet = Wallet::new(CurrencyId(1));
    wallet.lots = vec![lot(1_800_000_000_000, 0), lot(i64::MAX, 1_750_000_000_000)];
    let account = Account { wallets: vec![wallet], last_activity_at: Timestamp::ZERO, ..Account::default() };
    vec![account.encode(), Account::default().encode()]
}

pub fn account(input: &[u8]) -> String {
    let holds = behaviour(Order::decode_holds(input), |holds| format!("{} holds", holds.len().min(3)));
    let account = behaviour(Account::decode(1, input), |account| {
        let spendable = account.wallets.iter().map(|wallet| wallet.spendable(Timestamp::from_millis(1))).max();
        let lots: usize = account.wallets.iter().map(|wallet| wallet.lots.len()).sum();
        let some = (spendable.is_some(), account.available() != 0, account.next_due_at().is_some());
        assert_eq!(Account::decode(1, &account.encode()).as_ref(), Ok(&account));
        format!("{lots} lots in {} wallets, {some:?}", account.wallets.len())
    });
    format!("{holds}; {account}")
}

pub fn batches() -> Vec<Vec<u8>> {
    vec![vec![1; 48 * 3], vec![2; 16 * 5]]
}

pub fn batch(input: &[u8]) -> String {
    let outbox = behaviour(OutboxBatch::decode(7, input), |batch| format!("{} leaves", batch.leaves.len().min(3)));
    let log = behaviour(LogBatch::decode(7, -7, input).or_else(|_| LogBatch::decode(7, 7, input)), |batch| {
        format!("{} transactions of {}", batch.transactions.len().min(3), batch.members.len().min(3))
    });
    format!("{outbox}; {log}")
}

pub fn receipts() -> Vec<String> {
    let receipt = r#"{"transaction_id":"txn_0000000000001","member_id":"mem_0000000000002","kind":"activity",
        "at":"2026-01-31T09:30:00Z","points":15,"explanation":[{"rule":"base","version":1,"points":15,"currency":1,
        "amount":1530,"rate":"1","active_at":"2026-02-01T00:00:00Z","expires_at":"never"}],"forgiven":3,
        "activity":{"id":"act_0000000000003","kind":"purchase","amount":1530},
        "order":{"id":"ord_0000000000004","reward_id":"voucher-5","quantity":1,"points":500,"currency":1,"state":"held"},
        "balances":[{"currency":1,"available":15,"pending":0,"held":0}]}"#;
    let profile = r#"{"external_id":"17850","name":"Ann","email":"ann@example.org","phone":"+44 20 7946 0000",
        "birth_date":"1990-05-17","language":"en-GB","country":"GB","attributes":{"shoe":"42"}}"#;
    vec![receipt.to_owned(), profile.to_owned()]
}

pub fn receipt(input: &[u8]) -> String {
    let receipt = behaviour(serde_json::from_slice::<Receipt>(input), |receipt| {
        let again: Receipt = serde_json::from_str(&serde_json::to_string(&receipt).unwrap()).unwrap();
        assert_eq!(again, receipt);
        format!("{:?} {}", receipt.kind, receipt.explanation.len().min(3))
    });
    let profile = behaviour(serde_json::from_slice::<Profile>(input), |profile| {
        behaviour(profile.validate(), |()| format!("{} references", profile.reference_values().count()))
    });
    format!("{receipt}; {profile}")
}
