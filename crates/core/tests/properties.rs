//! Properties of the kernel: rounding, conservation, order of spending, expiry, claw-back and encodings.
//!
//! Helpers outside of `#[test]` functions are test code too: what goes wrong in them must stop the test.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use std::sync::Arc;

use guerdon_core::earning::{Activity, evaluate, round_half_away};
use guerdon_core::id::{ActivityId, IdGenerator, MemberId, OrderId, TransactionId};
use guerdon_core::kernel::{Batch, Command, Loaded, Receipt};
use guerdon_core::ledger::{
    Account, AccountStatus, CurrencyId, FundingId, LedgerAccount, Lot, LotKey, Transfer, Wallet,
};
use guerdon_core::members::Profile;
use guerdon_core::privacy::{Keyring, MasterKey, SEAL_RANDOM, SECRETS_RANDOM};
use guerdon_core::program::{Bundle, Program};
use guerdon_core::redemption::Order;
use guerdon_core::rewards::{StockChange, StockLevel};
use guerdon_core::time::{Calendar, EARLIEST, Timestamp};
use proptest::prelude::*;

const POINTS: CurrencyId = CurrencyId(1);

/// A program with a rate and a share, both in millionths.
fn program(rate_millionths: i64, percent_millionths: i64) -> Program {
    let decimal = |millionths: i64| format!("{}.{:06}", millionths / 1_000_000, millionths % 1_000_000);
    let text = format!(
        r#"
        program = {{ id = "p", name = "P", money = "GBP", time_zone = "Europe/London" }}
        currencies = [{{ id = 1, code = "points", name = "Points", per_money_unit = 100 }}]
        rewards = [{{ id = "cup", name = "Cup", price = 1 }}]
        [[rules]]
        id = "base"
        name = "Base"
        trigger = "purchase"
        effect = {{ type = "points_per_money", rate = "{}" }}
        [[rules]]
        id = "share"
        name = "Share"
        trigger = "purchase"
        effect = {{ type = "percent_of_rule", rule = "base", percent = "{}" }}
        [[rules]]
        id = "back"
        name = "Back"
        trigger = "return"
        effect = {{ type = "take_back_per_money", rate = "{0}" }}
        "#,
        decimal(rate_millionths),
        decimal(percent_millionths),
    );
    let mut documents = Bundle::parse(&text).unwrap().documents().unwrap();
    documents.iter_mut().for_each(|document| document.version = 1);
    Program::from_documents(&documents).unwrap()
}

fn activity(kind: &str, amount: i64) -> Activity {
    serde_json::from_value(serde_json::json!({ "kind": kind, "amount": amount })).unwrap()
}

fn now() -> Timestamp {
    Timestamp::parse_rfc3339("2026-03-10T09:00:00Z").unwrap()
}

fn enrolment(member: MemberId) -> Command {
    let master = Arc::new(MasterKey::new([1; 32]));
    let (keyring, _) = Keyring::generate(master, [2; SECRETS_RANDOM]).unwrap();
    Command::enrol(&keyring, [3; SEAL_RANDOM], member, "e", now(), &Profile::default()).unwrap()
}

fn transfer(debit: LedgerAccount, credit: LedgerAccount, lot: LotKey, amount: i64) -> Transfer {
    Transfer { debit, credit, currency: POINTS, amount, lot, rule: None }
}

fn active_lot(expires_at: i64) -> LotKey {
    LotKey { expires_at: Timestamp::from_millis(expires_at), funding: FundingId::default(), active_at: Timestamp::ZERO }
}

/// A wallet with some lots that expire in 1 to 50 (milliseconds), some of them pending.
fn wallets() -> impl Strategy<Value = Wallet> {
    prop::collection::vec((1_i64..50, 0_u16..3, prop_oneof![3 => Just(0_i64), 1 => 1_i64..50], 1_i64..1_000), 0..12)
        .prop_map(|grants| {
            let mut wallet = Wallet::new(POINTS);
            for (expires_at, funding, active_at, amount) in grants {
                let lot = LotKey {
                    expires_at: Timestamp::from_millis(expires_at),
                    funding: FundingId(funding),
                    active_at: Timestamp::from_millis(active_at),
                };
                let credit = if active_at == 0 { LedgerAccount::MemberAvailable } else { LedgerAccount::MemberPending };
                wallet.apply(&transfer(LedgerAccount::Issuance, credit, lot, amount)).unwrap();
            }
            wallet
        })
}

/// All but the accounts of merges, whose points come with their history (see `merging_keeps_every_lot_and_sum`), and of
/// extensions, which take out what they put in.
fn ledger_accounts() -> impl Strategy<Value = LedgerAccount> {
    prop::sample::select(vec![1_i64, 2, 3, 10, 11, 12, 13, 14]).prop_map(|code| LedgerAccount::from_code(code).unwrap())
}

fn statuses() -> impl Strategy<Value = AccountStatus> {
    prop_oneof![
        Just(AccountStatus::Active),
        any::<i64>().prop_map(|at| AccountStatus::Closed { at: Timestamp::from_millis(at) }),
        (0..=i64::MAX).prop_map(|into| AccountStatus::Merged { into: MemberId(into) }),
        any::<i64>().prop_map(|at| AccountStatus::Erased { at: Timestamp::from_millis(at) }),
    ]
}

fn total(wallet: &Wallet) -> i64 {
    let balance = wallet.balance();
    balance.available + balance.pending + balance.held
}

fn owed(wallet: &Wallet) -> i64 {
    let life = wallet.lifetime;
    life.earned + life.adjusted - life.redeemed - life.expired - life.revoked
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(256) })]

    #[test]
    fn each_rule_rounds_down_once(
        amount in 0_i64..100_000_000,
        rate in 0_i64..20_000_000,
        percent in 0_i64..300_000_000,
    ) {
        let program = program(rate, percent);
        let (outcomes, net) = evaluate(&program, &activity("purchase", amount), now()).unwrap();
        prop_assert_eq!(net, amount);
        // In whole numbers: pence × millionths of a point for a pound.
        let base = (i128::from(amount) * i128::from(rate)).div_euclid(100 * 1_000_000);
        let share = (base * i128::from(percent)).div_euclid(100 * 1_000_000);
        let points = |rule: &str| {
            i128::from(outcomes.iter().filter(|outcome| &*outcome.rule == rule).map(|outcome| outcome.points).sum::<i64>())
        };
        prop_assert_eq!((points("base"), points("share")), (base, share));
        prop_assert!(outcomes.iter().all(|outcome| outcome.points != 0));
        let (outcomes, _) = evaluate(&program, &activity("return", amount), now()).unwrap();
        let back: i64 = outcomes.iter().map(|outcome| outcome.points).sum();
        prop_assert_eq!(i128::from(back), -base);
    }

    #[test]
    fn halves_round_away_from_zero(thousandths in -10_000_000_i64..10_000_000) {
        let magnitude = (thousandths.abs() + 500).div_euclid(1_000);
        let expected = if thousandths < 0 { -magnitude } else { magnitude };
        let text = format!("{}{}.{:03}", if thousandths < 0 { "-" } else { "" }, thousandths.abs() / 1_000, thousandths.abs() % 1_000);
        prop_assert_eq!(round_half_away(text.parse().unwrap()), Some(expected));
    }

    /// Whatever is moved: what is held is what was received less what left, and nothing falls below zero unnoticed.
    #[test]
    fn transfers_conserve_points(
        mut wallet in wallets(),
        moves in prop::collection::vec((ledger_accounts(), ledger_accounts(), 1_i64..50, 1_i64..600), 0..30),
    ) {
        prop_assert_eq!(total(&wallet), owed(&wallet));
        for (debit, credit, expires_at, amount) in moves {
            // A pending credit names when it becomes active; the kernel never moves between two of the program's own.
            if debit == LedgerAccount::MemberPending || credit == LedgerAccount::MemberPending || !(debit.is_member() || credit.is_member()) {
                continue;
            }
            let before = total(&wallet);
            let mut after = wallet.clone();
            // A wallet on which a transfer failed must be dropped.
            if after.apply(&transfer(debit, credit, active_lot(expires_at), amount)).is_err() {
                continue;
            }
            let change = i64::from(credit.is_member()) - i64::from(debit.is_member());
            prop_assert_eq!(total(&after), before + change * amount);
            prop_assert_eq!(total(&after), owed(&after));
            prop_assert!(after.lots.iter().all(|lot| lot.remaining >= 0 && lot.held >= 0 && lot.remaining + lot.held > 0));
            prop_assert!(after.lots.is_sorted_by(|left, right| left.key < right.key));
            wallet = after;
        }
    }

    /// First-expiring-first, only what is spendable, never more than asked, and exactly that when it is there.
    #[test]
    fn picking_goes_by_expiry(wallet in wallets(), amount in 1_i64..4_000, at in 0_i64..50) {
        let at = Timestamp::from_millis(at);
        let portions = wallet.pick(amount, at);
        let taken: i64 = portions.iter().map(|portion| portion.amount).sum();
        prop_assert_eq!(taken, amount.min(wallet.spendable(at)));
        prop_assert!(portions.iter().all(|portion| portion.amount > 0 && portion.lot.expires_at > at));
        prop_assert!(portions.iter().all(|portion| portion.lot.active_at == Timestamp::ZERO));
        prop_assert!(portions.is_sorted_by(|left, right| left.lot < right.lot));
        let left_in = |lot: &&Lot| lot.remaining - portions.iter().filter(|p| p.lot == lot.key).map(|p| p.amount).sum::<i64>();
        if let Some(last) = portions.last() {
            // No lot that expires earlier is passed over.
            let earlier = wallet.lots.iter().filter(|lot| {
                lot.key < last.lot && lot.key.active_at == Timestamp::ZERO && lot.key.expires_at > at
            });
            prop_assert!(earlier.into_iter().all(|lot| left_in(&lot) == 0));
        }
    }

    /// The end of the London month, found by walking day by day instead of by adding months.
    #[test]
    fn points_expire_at_the_end_of_a_london_month(hours in 0_i64..(24 * 365 * 30), months in 0_i32..40) {
        let calendar = Calendar::new("Europe/London").unwrap();
        let at = Timestamp::from_millis(946_684_800_000 + hours * 3_600_000 + 1_800_000);
        let end = calendar.end_of_month_after(at, months);
        prop_assert!(end > at);
        let month_of = |at: Timestamp| {
            let date = calendar.day_of(at).date();
            i32::from(date.year()) * 12 + i32::from(date.month())
        };
        // The last moment still lies in the month, the next one is the first of the month after.
        prop_assert_eq!(month_of(end.plus_millis(-1)), month_of(at) + months);
        prop_assert_eq!(month_of(end), month_of(at) + months + 1);
        prop_assert_eq!(calendar.day_of(end).date().day(), 1);
        prop_assert_eq!(calendar.start_of(calendar.day_of(end)), end);
        // Midnight in London is at 23:00 or 00:00 UTC.
        prop_assert!([0, 23].contains(&end.as_millis().rem_euclid(86_400_000).div_euclid(3_600_000)));
    }

    #[test]
    fn a_return_never_takes_more_than_there_is(given in 0_i64..2_000, spent in 0_i64..2_000, refunded in 0_i64..300_000) {
        let program = program(1_000_000, 0);
        let member = MemberId(1);
        let mut ids = IdGenerator::new(1);
        let mut batch = Batch::new(&program, Loaded::default(), &mut ids, now());
        batch.decide(&enrolment(member)).unwrap();
        if given > 0 {
            batch.decide(&Command::adjust(member, "a", now(), POINTS, given, "given").unwrap()).unwrap();
        }
        let spent = spent.min(given);
        if (1..=1_000).contains(&spent) {
            batch.decide(&Command::redeem(member, "r", now(), "cup", spent, false).unwrap()).unwrap();
        }
        let held = if spent <= 1_000 { spent } else { 0 };
        let refund = Command::record(&program, member, "b", &activity("return", refunded), now(), EARLIEST).unwrap();
        let receipt: Receipt = serde_json::from_str(&batch.decide(&refund).unwrap().receipt).unwrap();
        let asked = refunded / 100;
        let taken = asked.min(given - held);
        prop_assert_eq!((-receipt.points, receipt.forgiven), (taken, asked - taken));
        prop_assert_eq!((receipt.balances[0].available, receipt.balances[0].held), (given - held - taken, held));
        let changes = batch.finish();
        let wallet = changes.accounts[0].account.wallet(POINTS).unwrap();
        prop_assert_eq!(total(wallet), owed(wallet));
    }

    #[test]
    fn an_account_reads_as_it_was_written(
        wallets in prop::collection::vec(wallets(), 0..3),
        version in any::<i64>(),
        moments in any::<(i64, i64)>(),
        status in statuses(),
        merged_from in prop::collection::vec((0..=i64::MAX).prop_map(MemberId), 0..3),
    ) {
        let mut account = Account { version, status, merged_from, ..Account::default() };
        account.last_activity_at = Timestamp::from_millis(moments.0);
        account.last_transaction_at = Timestamp::from_millis(moments.1);
        for (number, wallet) in wallets.into_iter().enumerate() {
            let currency = CurrencyId(number as u16 + 1);
            *account.wallet_mut(currency) = Wallet { currency, ..wallet };
        }
        let bytes = account.encode();
        prop_assert_eq!(Account::decode(version, &bytes), Ok(account));
        // Half a row is an error, never a smaller account.
        prop_assert!(Account::decode(version, &bytes[..bytes.len() - 1]).is_err());
    }

    #[test]
    fn no_bytes_make_decoding_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        drop(Account::decode(1, &bytes));
        drop(Order::decode_holds(&bytes));
    }

    #[test]
    fn an_id_reads_as_it_was_written(value in 0..=i64::MAX, text in "[a-z_0-9é]{0,20}") {
        prop_assert_eq!(MemberId(value).to_string().parse(), Ok(MemberId(value)));
        prop_assert_eq!(TransactionId(value).to_string().parse(), Ok(TransactionId(value)));
        prop_assert_eq!(OrderId(value).to_string().parse(), Ok(OrderId(value)));
        prop_assert_eq!(ActivityId(value).to_string().parse(), Ok(ActivityId(value)));
        prop_assert!(MemberId(value).to_string().parse::<OrderId>().is_err());
        if let Ok(id) = text.parse::<MemberId>() {
            prop_assert_eq!(id.to_string(), text);
        }
    }

    /// In text as in number: a later id stands behind an earlier one.
    #[test]
    fn ids_sort_as_their_text(left in 0..=i64::MAX, right in 0..=i64::MAX) {
        prop_assert_eq!(left.cmp(&right), MemberId(left).to_string().cmp(&MemberId(right).to_string()));
    }

    #[test]
    fn stock_changes_add_up(changes in prop::collection::vec((-5_i64..5, -5_i64..5), 0..20)) {
        let one_by_one = changes.iter().fold(StockLevel::new(100), |level, (reserved, issued)| {
            level.plus(StockChange { reserved: *reserved, issued: *issued })
        });
        let sum = changes.iter().fold(StockChange::default(), |sum, (reserved, issued)| {
            sum.plus(StockChange { reserved: *reserved, issued: *issued })
        });
        prop_assert_eq!(one_by_one, StockLevel::new(100).plus(sum));
        prop_assert_eq!(one_by_one.on_hand, one_by_one.initial + one_by_one.restocked - one_by_one.issued);
    }

    #[test]
    fn matured_points_are_as_good_as_any(amount in 1_i64..1_000) {
        let pending = LotKey { active_at: Timestamp::from_millis(5), ..active_lot(50) };
        let mut wallet = Wallet::new(POINTS);
        wallet.apply(&transfer(LedgerAccount::Issuance, LedgerAccount::MemberPending, pending, amount)).unwrap();
        wallet.apply(&transfer(LedgerAccount::MemberPending, LedgerAccount::MemberAvailable, pending, amount)).unwrap();
        prop_assert_eq!(wallet.lots.len(), 1);
        prop_assert_eq!((wallet.lots[0].key, wallet.lots[0].remaining), (active_lot(50), amount));
    }
}

/// `Lot::amount` counts what a lot was credited over its life, also when the points came to it by maturing.
#[test]
fn a_matured_lot_knows_what_it_was_credited() {
    let pending = LotKey { active_at: Timestamp::from_millis(5), ..active_lot(50) };
    let mut wallet = Wallet::new(POINTS);
    wallet.apply(&transfer(LedgerAccount::Issuance, LedgerAccount::MemberPending, pending, 7)).unwrap();
    wallet.apply(&transfer(LedgerAccount::MemberPending, LedgerAccount::MemberAvailable, pending, 7)).unwrap();
    assert_eq!((wallet.lots[0].amount, wallet.lots[0].remaining), (7, 7));
}

/// A rate of 28 digits times a large amount has more digits than a `Decimal`; rounding it must not lift the floor.
#[test]
fn a_long_rate_still_rounds_down() {
    let mut program = program(1_000_000, 0);
    for rule in &mut program.rules {
        let rule = Arc::get_mut(rule).unwrap();
        if let guerdon_core::earning::Effect::PointsPerMoney { rate, .. } = &mut rule.rule.effect {
            *rate = "0.3333333333333333333333333333".parse().unwrap();
        }
    }
    let (outcomes, _) = evaluate(&program, &activity("purchase", 300_000_000_000), now()).unwrap();
    assert_eq!(outcomes[0].points, 999_999_999);
}

#[test]
fn a_stored_account_beyond_all_limits_is_refused_and_not_added_up() {
    let lot = |amount| guerdon_core::ledger::Lot {
        key: guerdon_core::ledger::LotKey {
            expires_at: Timestamp::from_millis(amount),
            funding: guerdon_core::ledger::FundingId(0),
            active_at: Timestamp::ZERO,
        },
        amount,
        remaining: amount,
        held: 0,
    };
    for lots in [vec![lot(i64::MAX)], vec![lot(1), lot(-5)]] {
        let wallet = guerdon_core::ledger::Wallet { lots, ..guerdon_core::ledger::Wallet::new(CurrencyId(1)) };
        let account = guerdon_core::ledger::Account { wallets: vec![wallet], ..Default::default() };
        let refused = guerdon_core::ledger::Account::decode(1, &account.encode()).unwrap_err();
        assert!(refused.contains("beyond all limits"), "{refused}");
    }
}
