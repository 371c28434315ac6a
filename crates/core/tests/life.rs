//! Properties of what ends an account or takes something back: merge, closing, refund.
//!
//! Helpers outside of `#[test]` functions are test code too: what goes wrong in them must stop the test.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use std::collections::BTreeMap;
use std::sync::Arc;

use guerdon_core::id::{IdGenerator, MemberId};
use guerdon_core::kernel::{Batch, Changes, Command, Footprint, Loaded, Receipt, RefusalCode};
use guerdon_core::ledger::{
    Account, AccountStatus, CurrencyId, FundingId, LedgerAccount, Lifetime, LotKey, Transfer, Wallet,
};
use guerdon_core::members::{Profile, RefKind};
use guerdon_core::privacy::{Keyring, MasterKey, SEAL_RANDOM, SECRETS_RANDOM};
use guerdon_core::program::{Bundle, Program};
use guerdon_core::redemption::OrderState;
use guerdon_core::rewards::StockLevel;
use guerdon_core::time::Timestamp;
use proptest::prelude::*;

const POINTS: CurrencyId = CurrencyId(1);
const DAY: i64 = 24 * 60 * 60 * 1000;
const ANN: MemberId = MemberId(1);
const BOB: MemberId = MemberId(2);
const EVE: MemberId = MemberId(3);

fn program(granule: &str) -> Program {
    let text = format!(
        r#"
        program = {{ id = "p", name = "P", money = "GBP", time_zone = "Europe/London" }}
        rewards = [{{ id = "cup", name = "Cup", price = 1, stock = 5000 }}]
        [[currencies]]
        id = 1
        code = "points"
        name = "Points"
        per_money_unit = 100
        expiry = {{ after = 24, granule = "{granule}" }}
        "#
    );
    let mut documents = Bundle::parse(&text).unwrap().documents().unwrap();
    documents.iter_mut().for_each(|document| document.version = 1);
    Program::from_documents(&documents).unwrap()
}

fn now() -> Timestamp {
    Timestamp::parse_rfc3339("2026-03-10T09:00:00Z").unwrap()
}

/// A wallet whose lots expire in days from now, some of them not active yet, and which has a history.
fn wallet(currency: CurrencyId) -> impl Strategy<Value = Wallet> {
    let lots = prop::collection::vec((-3_i64..100, 0_u16..3, 0_i64..9, 1_i64..1_000, 0_i64..100), 0..8);
    lots.prop_map(move |lots| {
        let mut wallet = Wallet::new(currency);
        for (days, funding, active_in, amount, percent) in lots {
            let pending = active_in > 5;
            let lot = LotKey {
                expires_at: now().plus_millis(days * DAY),
                funding: FundingId(funding),
                active_at: if pending { now().plus_millis(active_in * DAY) } else { Timestamp::ZERO },
            };
            let moved = |debit, credit, amount| Transfer { debit, credit, currency, amount, lot, rule: None };
            use LedgerAccount::{Adjustment, Breakage, Issuance, MemberAvailable, MemberPending};
            let place = if pending { MemberPending } else { MemberAvailable };
            wallet.apply(&moved(if funding == 0 { Issuance } else { Adjustment }, place, amount)).unwrap();
            let gone = amount * percent / 100;
            if gone > 0 {
                wallet.apply(&moved(place, Breakage, gone)).unwrap();
            }
        }
        wallet
    })
}

fn account() -> impl Strategy<Value = Account> {
    (wallet(POINTS), prop::option::of(wallet(CurrencyId(2))), 1_i64..50, 0_i64..1_000_000).prop_map(
        |(first, second, version, active)| Account {
            version,
            wallets: [Some(first), second].into_iter().flatten().collect(),
            last_activity_at: Timestamp::from_millis(active),
            last_transaction_at: now(),
            last_transaction_id: version,
            ..Account::default()
        },
    )
}

fn total(wallet: &Wallet) -> i64 {
    wallet.balance().available + wallet.balance().pending + wallet.balance().held
}

fn owed(wallet: &Wallet) -> i64 {
    let life = wallet.lifetime;
    life.earned + life.adjusted - life.redeemed - life.expired - life.revoked
}

/// Free points by currency and lot.
fn lots<'a>(accounts: impl IntoIterator<Item = &'a Account>) -> BTreeMap<(CurrencyId, LotKey), i64> {
    let mut lots = BTreeMap::new();
    for wallet in accounts.into_iter().flat_map(|account| &account.wallets) {
        for lot in &wallet.lots {
            *lots.entry((wallet.currency, lot.key)).or_default() += lot.remaining;
        }
    }
    lots
}

fn lifetimes<'a>(accounts: impl IntoIterator<Item = &'a Account>) -> BTreeMap<CurrencyId, Lifetime> {
    let mut sums: BTreeMap<CurrencyId, Lifetime> = BTreeMap::new();
    for wallet in accounts.into_iter().flat_map(|account| &account.wallets) {
        let sum = sums.entry(wallet.currency).or_default();
        *sum = sum.plus(wallet.lifetime);
    }
    sums
}

/// Decides commands in one batch over some accounts; all must be accepted.
fn all_accepted(program: &Program, accounts: &BTreeMap<MemberId, Account>, commands: &[Command]) -> Changes {
    let loaded = Loaded {
        accounts: accounts.iter().map(|(member, account)| (*member, account.clone())).collect(),
        stock: [("cup".to_owned(), StockLevel::new(5_000))].into_iter().collect(),
        ..Loaded::default()
    };
    let mut ids = IdGenerator::new(1);
    let mut batch = Batch::new(program, loaded, &mut ids, now());
    commands.iter().for_each(|command| drop(batch.decide(command).unwrap()));
    batch.finish()
}

fn after(changes: &Changes) -> BTreeMap<MemberId, Account> {
    changes.accounts.iter().map(|change| (change.member_id, change.account.clone())).collect()
}

/// The journal alone leads from the accounts before to the accounts after, as in `verify` and in a return to the past.
fn check_journal(before: &BTreeMap<MemberId, Account>, changes: &Changes) {
    let mut followed = before.clone();
    for decision in &changes.decisions {
        assert!(decision.counterpart.is_none(), "a batch has taken it out");
        followed.get_mut(&decision.transaction.member_id).unwrap().follow(&decision.transaction).unwrap();
    }
    assert_eq!(followed, after(changes));
}

fn merge(from: MemberId, into: MemberId) -> Command {
    Command::merge(from, into, &format!("{from} into {into}"), now(), "one person").unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(256) })]

    #[test]
    fn merging_keeps_every_lot_and_sum(ann in account(), bob in account(), eve in account()) {
        let before = BTreeMap::from([(ANN, ann), (BOB, bob), (EVE, eve)]);
        let changes = all_accepted(&program("month"), &before, &[merge(ANN, BOB), merge(BOB, EVE)]);
        check_journal(&before, &changes);
        let after = after(&changes);
        prop_assert_eq!(lots(after.values()), lots(before.values()));
        prop_assert_eq!(lifetimes(after.values()), lifetimes(before.values()));
        prop_assert!(after.values().flat_map(|account| &account.wallets).all(|wallet| total(wallet) == owed(wallet)));
        for (member, into) in [(ANN, BOB), (BOB, EVE)] {
            let ended = &after[&member];
            prop_assert_eq!(ended.status, AccountStatus::Merged { into });
            prop_assert!(ended.wallets.iter().all(|wallet| *wallet == Wallet::new(wallet.currency)));
            prop_assert_eq!(ended.next_due_at(), None);
        }
        prop_assert_eq!(&after[&EVE].merged_from, &[ANN, BOB]);
        let latest = before.values().map(|account| account.last_activity_at).max().unwrap();
        prop_assert_eq!(after[&EVE].last_activity_at, latest);
        // Per currency the merges put in what they took out.
        let mut between: BTreeMap<CurrencyId, i64> = BTreeMap::new();
        for transfer in changes.decisions.iter().flat_map(|decision| &decision.transaction.transfers) {
            let sign = if transfer.credit == LedgerAccount::Merge { 1 } else { -1 };
            *between.entry(transfer.currency).or_default() += sign * transfer.amount;
        }
        prop_assert!(between.values().all(|points| *points == 0));
        // The entry of the account that ends comes first; all ids rise.
        let entries: Vec<MemberId> = changes.decisions.iter().map(|decision| decision.transaction.member_id).collect();
        prop_assert_eq!(entries, [ANN, BOB, BOB, EVE]);
        prop_assert!(changes.decisions.is_sorted_by(|left, right| left.transaction.id < right.transaction.id));
        prop_assert!(changes.are_inseparable());
    }

    #[test]
    fn closing_leaves_nothing(ann in account()) {
        let before = BTreeMap::from([(ANN, ann)]);
        let close = Command::close(ANN, "close", now(), "moves away").unwrap();
        let changes = all_accepted(&program("month"), &before, &[close]);
        check_journal(&before, &changes);
        let closed = &changes.accounts[0].account;
        prop_assert_eq!(closed.status, AccountStatus::Closed { at: now() });
        prop_assert!(closed.wallets.iter().all(|wallet| wallet.lots.is_empty() && owed(wallet) == 0));
        let receipt: Receipt = serde_json::from_str(&changes.decisions[0].transaction.receipt).unwrap();
        prop_assert_eq!(receipt.forfeited, before[&ANN].wallets.iter().map(total).sum::<i64>());
        prop_assert_eq!(receipt.points, -before[&ANN].available());
    }

    #[test]
    fn erasing_leaves_neither_points_nor_references(ann in account()) {
        let mut before = BTreeMap::from([(ANN, ann)]);
        before.get_mut(&ANN).unwrap().merged_from.push(BOB);
        let erase = Command::erase(ANN, "erase", now()).unwrap();
        let changes = all_accepted(&program("month"), &before, &[erase]);
        check_journal(&before, &changes);
        let erased = &changes.accounts[0].account;
        prop_assert_eq!(erased.status, AccountStatus::Erased { at: now() });
        prop_assert!(erased.wallets.iter().all(|wallet| wallet.lots.is_empty() && owed(wallet) == 0));
        prop_assert_eq!(&changes.decisions[0].erased, &vec![BOB, ANN]);
    }

    /// What is refunded lies where it lay, or, when that is nearly over, in a lot that lives on for a week at least.
    #[test]
    fn a_refund_restores(ann in account(), percent in 1_i64..=100, monthly in any::<bool>()) {
        let program = program(if monthly { "month" } else { "day" });
        let spendable = ann.wallet(POINTS).unwrap().spendable(now());
        let quantity = (spendable * percent / 100).min(1_000);
        prop_assume!(quantity > 0);
        let before = BTreeMap::from([(ANN, ann)]);
        let redeem = Command::redeem(ANN, "redeem", now(), "cup", quantity, true).unwrap();
        let spent = all_accepted(&program, &before, std::slice::from_ref(&redeem));
        let order = spent.orders[0].0.clone();
        let loaded = Loaded {
            accounts: after(&spent).into_iter().collect(),
            orders: [((ANN, order.id), order.clone())].into_iter().collect(),
            stock: [("cup".to_owned(), StockLevel::new(5_000).plus(spent.stock["cup"]))].into_iter().collect(),
            ..Loaded::default()
        };
        let mut ids = IdGenerator::new(1);
        let later = now().plus_millis(60_000);
        let mut batch = Batch::new(&program, loaded, &mut ids, later);
        let refund = |key: &str| Command::refund(ANN, ANN, key, later, order.id, "broken").unwrap();
        let receipt: Receipt = serde_json::from_str(&batch.decide(&refund("one")).unwrap().receipt).unwrap();
        prop_assert_eq!((receipt.points, receipt.order.unwrap().state), (quantity, OrderState::Refunded));
        prop_assert_eq!(batch.decide(&refund("two")).unwrap_err().code, RefusalCode::IllegalOrderMove);
        let changes = batch.finish();
        check_journal(&after(&spent), &changes);
        prop_assert_eq!(StockLevel::new(5_000).plus(spent.stock["cup"]).plus(changes.stock["cup"]), StockLevel::new(5_000));
        let restored = after(&changes);
        let (was, is) = (before[&ANN].wallet(POINTS).unwrap(), restored[&ANN].wallet(POINTS).unwrap());
        prop_assert_eq!((is.lifetime, total(is)), (was.lifetime, total(was)));
        let renewed = program.end_of_granule(POINTS, later.plus_millis(7 * DAY));
        let mut expected = lots(before.values());
        for portion in &order.holds {
            if portion.lot.expires_at < renewed {
                let lot = expected.get_mut(&(POINTS, portion.lot)).unwrap();
                *lot -= portion.amount;
                let key = LotKey { expires_at: renewed, ..portion.lot };
                *expected.entry((POINTS, key)).or_default() += portion.amount;
            }
        }
        expected.retain(|_, points| *points > 0);
        prop_assert_eq!(lots(restored.values()), expected);
        for lot in &is.lots {
            prop_assert!(lot.amount >= lot.remaining);
            let credited = was.lots.iter().find(|before| before.key == lot.key && before.remaining == lot.remaining);
            if lot.key.expires_at > renewed && spent.accounts[0].account.wallet(POINTS).unwrap().lots.iter().any(|left| left.key == lot.key) {
                prop_assert_eq!(credited.map(|before| before.amount), Some(lot.amount), "credited once");
            }
        }
    }
}

#[test]
fn a_merge_is_refused_where_it_would_lose_something() {
    let program = program("month");
    let account = |points: i64| {
        let mut account = Account { version: 1, ..Account::default() };
        let lot = LotKey {
            expires_at: now().plus_millis(90 * DAY),
            ..LotKey { expires_at: now(), funding: FundingId(0), active_at: Timestamp::ZERO }
        };
        let given = Transfer {
            debit: LedgerAccount::Issuance,
            credit: LedgerAccount::MemberAvailable,
            currency: POINTS,
            amount: points,
            lot,
            rule: None,
        };
        account.wallet_mut(POINTS).apply(&given).unwrap();
        account
    };
    let keyring = Keyring::generate(Arc::new(MasterKey::new([1; 32])), [2; SECRETS_RANDOM]).unwrap().0;
    let mail = keyring.reference(RefKind::Email, "ann@example.org");
    let loaded = Loaded {
        accounts: [(ANN, account(10)), (BOB, account(20)), (EVE, account(30))].into_iter().collect(),
        references: [(mail, ANN)].into_iter().collect(),
        ..Loaded::default()
    };
    let mut ids = IdGenerator::new(1);
    let mut batch = Batch::new(&program, loaded, &mut ids, now());
    let mut refused = |command: &Command| {
        batch.decide(command).map(|reply| reply.receipt.to_string()).map_err(|refusal| (refusal.code, refusal.message))
    };
    let code = |result: &Result<String, (RefusalCode, String)>| result.as_ref().unwrap_err().0;
    assert_eq!(code(&refused(&merge(ANN, ANN))), RefusalCode::InvalidRequest);
    assert_eq!(code(&refused(&merge(MemberId(9), ANN))), RefusalCode::UnknownMember);
    assert_eq!(code(&refused(&merge(ANN, MemberId(9)))), RefusalCode::UnknownMember);
    // While points are held for an order the account cannot end.
    let held = Command::redeem(ANN, "held", now(), "cup", 4, false).unwrap();
    let held: Receipt = serde_json::from_str(&refused(&held).unwrap()).unwrap();
    assert_eq!(code(&refused(&merge(ANN, BOB))), RefusalCode::OpenOrders);
    let close = |member: MemberId| Command::close(member, &format!("close {member}"), now(), "gone").unwrap();
    assert_eq!(code(&refused(&close(ANN))), RefusalCode::OpenOrders);
    refused(&Command::capture(ANN, "capture", now(), held.order.unwrap().id).unwrap()).unwrap();
    let early = Command::merge(ANN, BOB, "early", now().plus_millis(-DAY), "one person").unwrap();
    assert_eq!(code(&refused(&early)), RefusalCode::OutOfOrder);
    let done = refused(&merge(ANN, BOB)).unwrap();
    assert_eq!(refused(&merge(ANN, BOB)).unwrap(), done, "the same key, the same receipt");
    // What is merged is answered with the name of what goes on.
    let again = Command::merge(ANN, EVE, "again", now(), "one person").unwrap();
    let (merged, message) = refused(&again).unwrap_err();
    assert_eq!(merged, RefusalCode::MemberMerged);
    assert!(message.contains(&BOB.to_string()), "{message}");
    let profile = Profile { email: Some("ann@example.org".to_owned()), ..Profile::default() };
    let enrol = Command::enrol(&keyring, [3; SEAL_RANDOM], MemberId(8), "e-2", now(), &profile).unwrap();
    let (taken, message) = refused(&enrol).unwrap_err();
    assert_eq!(taken, RefusalCode::AlreadyEnrolled);
    assert!(message.contains(&BOB.to_string()), "references go with their member: {message}");
    assert_eq!(code(&refused(&merge(EVE, ANN))), RefusalCode::MemberMerged);
    assert_eq!(code(&refused(&close(ANN))), RefusalCode::MemberMerged);
    let redeem = |member: MemberId, key: &str| Command::redeem(member, key, now(), "cup", 1, true).unwrap();
    assert_eq!(code(&refused(&redeem(ANN, "r-1"))), RefusalCode::MemberMerged);
    refused(&redeem(BOB, "r-2")).unwrap();
    // The keys of a person hold for the person: what Ann's caller repeats on Bob's account is not done again.
    let replayed: Receipt =
        serde_json::from_str(&refused(&Command::redeem(BOB, "held", now(), "cup", 4, false).unwrap()).unwrap())
            .unwrap();
    assert_eq!(replayed.member_id, ANN);
    refused(&close(EVE)).unwrap();
    assert_eq!(code(&refused(&merge(EVE, BOB))), RefusalCode::MemberClosed);
    assert_eq!(code(&refused(&merge(BOB, EVE))), RefusalCode::MemberClosed);
    assert_eq!(code(&refused(&redeem(EVE, "r-3"))), RefusalCode::MemberClosed);
    assert_eq!(Command::close(ANN, "merge:1", now(), "gone").unwrap_err().code, RefusalCode::InvalidRequest);
}

/// A refund of what was bought before the merge goes to the account that goes on.
#[test]
fn an_order_outlives_its_account() {
    let program = program("month");
    let mut account = Account { version: 1, ..Account::default() };
    let lot = LotKey { expires_at: now().plus_millis(90 * DAY), funding: FundingId(0), active_at: Timestamp::ZERO };
    let given = Transfer {
        debit: LedgerAccount::Issuance,
        credit: LedgerAccount::MemberAvailable,
        currency: POINTS,
        amount: 10,
        lot,
        rule: None,
    };
    account.wallet_mut(POINTS).apply(&given).unwrap();
    let before = BTreeMap::from([(ANN, account), (BOB, Account::default()), (EVE, Account::default())]);
    let redeem = Command::redeem(ANN, "redeem", now(), "cup", 10, true).unwrap();
    let first = all_accepted(&program, &before, &[redeem, merge(ANN, BOB), merge(BOB, EVE)]);
    let order = first.orders[0].0.clone();
    let loaded = || Loaded {
        accounts: after(&first).into_iter().collect(),
        orders: [((ANN, order.id), order.clone())].into_iter().collect(),
        ..Loaded::default()
    };
    let mut ids = IdGenerator::new(1);
    let mut batch = Batch::new(&program, loaded(), &mut ids, now());
    let refund = |member, owner, key: &str| Command::refund(member, owner, key, now(), order.id, "broken").unwrap();
    assert_eq!(batch.decide(&refund(ANN, ANN, "k-1")).unwrap_err().code, RefusalCode::MemberMerged);
    assert_eq!(batch.decide(&refund(BOB, ANN, "k-2")).unwrap_err().code, RefusalCode::MemberMerged);
    assert_eq!(batch.decide(&refund(EVE, EVE, "k-3")).unwrap_err().code, RefusalCode::UnknownOrder);
    batch.decide(&refund(EVE, ANN, "k-4")).unwrap();
    let mut changes = batch.finish();
    check_journal(&BTreeMap::from([(EVE, after(&first)[&EVE].clone())]), &changes);
    let eve = changes.accounts[0].account.wallet(POINTS).unwrap();
    assert_eq!((eve.balance().available, eve.lifetime.redeemed, eve.lifetime.earned), (10, 0, 10));
    // Left out with the member who changes it, not with the one under whose name it is kept.
    assert_eq!((changes.orders[0].0.member_id, changes.orders[0].1), (ANN, false));
    changes.leave_out(&[ANN].into_iter().collect());
    assert_eq!(changes.orders.len(), 1);
    changes.leave_out(&[EVE].into_iter().collect());
    assert!(changes.orders.is_empty() && changes.accounts.is_empty());
    let footprint = Footprint::of([&refund(EVE, ANN, "k-5"), &merge(ANN, BOB)]);
    assert_eq!(footprint.orders, [(ANN, order.id)]);
    assert_eq!(footprint.members, [EVE, BOB, ANN]);
    let more = Footprint::follow_up([&refund(EVE, ANN, "k-5")], &loaded()).unwrap();
    assert_eq!(more.keys, [(ANN, "k-5".to_owned()), (BOB, "k-5".to_owned())]);
}
