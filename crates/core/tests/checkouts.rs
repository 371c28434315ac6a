//! Points as part of a checkout: set aside, spent and given back in any order and repetition, with and without network, without
//! losing a point or granting one too many.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::collections::BTreeMap;

use guerdon_core::earning::Activity;
use guerdon_core::id::{IdGenerator, MemberId, OrderId, TransactionId};
use guerdon_core::kernel::{
    AllowanceRequest, Authorisation, Batch, Command, Committed, Event, Loaded, Mover, OfflineReceipt, OfflineSpending,
    OrderChange, Receipt, Refusal, RefusalCode, Share, TenderChange, checkout_reference,
};
use guerdon_core::ledger::{Account, CurrencyId, Transaction, TransactionKind, Verifier, leaf_hash};
use guerdon_core::program::{Bundle, Program};
use guerdon_core::redemption::{Funds, Order, OrderDetails, OrderMove, OrderPolicy, OrderState, Paid, Tender};
use guerdon_core::time::{EARLIEST, Timestamp};
use proptest::prelude::*;

const ANN: MemberId = MemberId(1);
const MINUTE: i64 = 60_000;
const POINTS: i64 = 10_000;

fn at(minutes: i64) -> Timestamp {
    Timestamp::parse_rfc3339("2026-03-02T08:00:00Z").unwrap().plus_millis(minutes * MINUTE)
}

/// A member with points, her orders and her journal, as a store keeps them.
#[derive(Clone)]
struct Shop {
    program: std::sync::Arc<Program>,
    account: Account,
    orders: BTreeMap<i64, Order>,
    journal: Vec<Transaction>,
    ids: IdGenerator,
    /// What rules gave her besides.
    earned: i64,
}

impl Shop {
    fn of(checkout: &str) -> Self {
        let file = format!(
            r#"
            currencies = [{{ id = 1, code = "points", name = "Points", per_money_unit = 100, expiry = {{ after = 12, granule = "month" }}, life = {{ shortfall = {{ policy = "owe", up_to = 300 }} }} }}]
            [program]
            id = "shop"
            name = "Shop"
            money = "CNY"
            time_zone = "Asia/Shanghai"
            [program.checkout]
            {checkout}
            [[rules]]
            id = "base"
            name = "Base"
            trigger = "purchase"
            effect = {{ type = "points_per_money", rate = "1" }}
            "#
        );
        let program = Program::from_documents(&Bundle::parse(&file).unwrap().documents().unwrap()).unwrap();
        let (account, ids) = (Account::default(), IdGenerator::new(1));
        let program = std::sync::Arc::new(program);
        let mut shop = Self { program, account, orders: BTreeMap::new(), journal: Vec::new(), ids, earned: 0 };
        // Two lots: what expires first is spent first.
        shop.adjust("a", -60 * 24 * 90, 4_000);
        shop.adjust("b", 0, POINTS - 4_000);
        shop
    }

    fn adjust(&mut self, key: &str, minutes: i64, points: i64) {
        self.decide(&Command::adjust(ANN, key, at(minutes), CurrencyId(1), points, "to spend").unwrap()).unwrap();
    }

    /// Earns points by a purchase.
    fn earn(&mut self, key: &str, points: i64, minutes: i64) -> Receipt {
        let activity = Activity {
            kind: "purchase".to_owned(),
            occurred_at: Some(at(minutes)),
            amount: Some(points * 100),
            ..Activity::default()
        };
        let command = Command::record(&self.program, ANN, key, &activity, at(minutes), EARLIEST).unwrap();
        let receipt = self.decide(&command).unwrap();
        self.earned += receipt.explanation.iter().map(|outcome| outcome.points).sum::<i64>();
        receipt
    }

    fn owed(&self) -> i64 {
        self.account.agenda.owed(CurrencyId(1))
    }

    fn decide(&mut self, command: &Command) -> Result<Receipt, Refusal> {
        let committed = self.journal.iter().map(|done| {
            let (request_digest, receipt) = (done.request_digest, done.receipt.clone());
            ((ANN, done.idempotency_key.clone()), Committed { request_digest, receipt })
        });
        let loaded = Loaded {
            accounts: [(ANN, self.account.clone())].into_iter().collect(),
            orders: self.orders.values().map(|order| ((ANN, order.id), order.clone())).collect(),
            committed: committed.collect(),
            ..Loaded::default()
        };
        let program = std::sync::Arc::clone(&self.program);
        let mut batch = Batch::new(&program, loaded, &mut self.ids, command.at);
        let reply = batch.decide(command)?;
        let changes = batch.finish();
        for (order, _) in changes.orders {
            assert_eq!(OrderDetails::decode(&order.details.encode()).as_ref(), Ok(&order.details));
            self.orders.insert(order.id.0, order);
        }
        self.journal.extend(changes.decisions.into_iter().map(|decision| decision.transaction));
        if let Some(change) = changes.accounts.into_iter().next() {
            self.account = change.account;
        }
        Ok(serde_json::from_str(&reply.receipt).unwrap())
    }

    fn authorise(&mut self, reference: &str, basket: i64, share: Share, partial: bool) -> Result<Receipt, Refusal> {
        self.authorise_at(reference, basket, share, partial, 1)
    }

    fn authorise_at(
        &mut self,
        reference: &str,
        basket: i64,
        share: Share,
        partial: bool,
        minutes: i64,
    ) -> Result<Receipt, Refusal> {
        let (reference, store) = (reference.to_owned(), "North".to_owned());
        let wanted = Authorisation { reference, store, terminal: None, basket, share, partial };
        self.decide(&Command::authorise(ANN, at(minutes), wanted)?)
    }

    fn change(order: OrderId, share: Share, reversal: Option<&str>) -> TenderChange {
        TenderChange { order, owner: ANN, share, reversal: reversal.map(str::to_owned), reason: None }
    }

    fn capture(&mut self, order: OrderId, share: Share, minutes: i64) -> Result<Receipt, Refusal> {
        self.decide(&Command::capture_checkout(ANN, at(minutes), Self::change(order, share, None))?)
    }

    fn reverse(
        &mut self,
        order: OrderId,
        share: Share,
        reversal: Option<&str>,
        minutes: i64,
    ) -> Result<Receipt, Refusal> {
        self.decide(&Command::reverse_checkout(ANN, at(minutes), Self::change(order, share, reversal))?)
    }

    fn grant(&mut self, number: i64, terminal: &str, points: Option<i64>, minutes: i64) -> Result<Receipt, Refusal> {
        let wanted = AllowanceRequest { store: "North".to_owned(), terminal: terminal.to_owned(), points, number };
        self.decide(&Command::grant_allowance(ANN, at(minutes), wanted)?)
    }

    fn spend(
        &mut self,
        order: OrderId,
        (id, terminal): (&str, &str),
        points: i64,
        (spent, told): (i64, i64),
    ) -> Result<(OfflineReceipt, Receipt), Refusal> {
        let (id, store, terminal) = (id.to_owned(), "North".to_owned(), terminal.to_owned());
        let spent = OfflineSpending { order, owner: ANN, id, store, terminal, points, basket: 10_000, at: at(spent) };
        let receipt = self.decide(&Command::charge_offline(ANN, at(told), spent)?)?;
        Ok((receipt.order.as_ref().unwrap().offline.unwrap(), receipt))
    }

    fn end(&mut self, order: OrderId, minutes: i64) -> Result<Receipt, Refusal> {
        let command = Command::end_order(&self.orders[&order.0].clone(), at(minutes), ANN);
        self.decide(&command)
    }

    fn order(&self, order: OrderId) -> &Order {
        &self.orders[&order.0]
    }

    /// Available, held and spent points.
    fn points(&self) -> [i64; 3] {
        let wallet = self.account.wallet(CurrencyId(1)).unwrap();
        [wallet.balance().available, wallet.balance().held, wallet.lifetime.redeemed]
    }

    /// What the orders say is held and spent is what the wallet says, the journal leads there, and `verify` finds nothing.
    fn check(&self) {
        let sum = |funds: Funds| -> i64 {
            self.orders.values().filter(|order| order.state.funds() == funds).map(|order| order.points).sum()
        };
        let [available, held, spent] = self.points();
        assert_eq!((held, spent), (sum(Funds::Held), sum(Funds::Spent)));
        // What is owed for a spending is as if it were spent, until it is repaid or the goods come back.
        let tenders = self.orders.values().filter(|order| order.state.funds() == Funds::Spent);
        let on_debt: i64 =
            tenders.filter_map(|order| order.details.particulars.tender.as_ref()).map(Tender::owed_left).sum();
        assert_eq!(available + held + spent + on_debt - self.owed(), POINTS + self.earned);
        let mut followed = Account::default();
        self.journal.iter().for_each(|transaction| followed.follow(transaction).unwrap());
        assert_eq!(followed, self.account);
        let mut verifier = Verifier::default();
        self.journal.iter().for_each(|transaction| verifier.transaction(transaction, &leaf_hash(transaction)));
        self.orders.values().for_each(|order| verifier.order(order));
        verifier.account(ANN, &self.account, self.account.available(), self.account.next_due_at());
        // There is no log here.
        let found = verifier.finish().findings.into_iter().filter(|finding| !finding.problem.contains("in the log"));
        assert_eq!(found.collect::<Vec<_>>(), []);
    }

    /// The orders as a restored backup has them that takes back everything from an entry on.
    fn rewound(&self, from: TransactionId, moment: Timestamp) -> BTreeMap<i64, Order> {
        let kept = self.orders.values().filter(|order| order.id.0 < from.0).cloned();
        kept.map(|mut order| {
            if order.details.history.iter().any(|step| step.transaction_id >= from) {
                assert!(order.rewind(from, moment));
            }
            (order.id.0, order)
        })
        .collect()
    }
}

fn id(receipt: &Receipt) -> OrderId {
    receipt.order.as_ref().unwrap().id
}

fn authorised(receipt: &Receipt) -> Paid {
    receipt.order.as_ref().unwrap().tender.as_ref().unwrap().authorised
}

const POLICY: &str = "least_percent = 10\nmost_percent = 50\nstep = 100\nminutes = 15";

#[test]
fn points_pay_their_share_of_a_basket_in_whole_steps() {
    let mut shop = Shop::of(POLICY);
    // ¥90.50: at most half of it, in steps of 100 points.
    let receipt = shop.authorise("r1", 9_050, Share::All, true).unwrap();
    assert_eq!((authorised(&receipt), receipt.kind), (Paid { points: 4_500, money: 4_500 }, TransactionKind::Redeem));
    assert_eq!(receipt.order.as_ref().unwrap().tender.as_ref().unwrap().lapses_at, Some(at(16)));
    assert_eq!(shop.points(), [5_500, 4_500, 0]);
    assert_eq!(shop.authorise("r1", 9_050, Share::All, true).unwrap(), receipt, "asked again");
    let other = shop.authorise("r1", 9_060, Share::All, true).unwrap_err();
    assert_eq!(other.code, RefusalCode::IdempotencyMismatch);
    for (reference, basket, share, partial, code, said) in [
        ("s1", 9_000, Share::Points(150), true, RefusalCode::InvalidAmount, "100 or 200, not 150"),
        ("s2", 9_000, Share::Points(4_600), false, RefusalCode::InvalidAmount, "at most 50 % of a basket: 4500"),
        ("s3", 90_000, Share::Points(6_000), false, RefusalCode::InsufficientPoints, "5500 are available"),
        ("s4", 9_000, Share::Points(800), true, RefusalCode::InvalidAmount, "at least 10 %"),
        ("s5", 90_000, Share::All, true, RefusalCode::InsufficientPoints, "too few"),
        ("s6", 9_000, Share::Points(0), true, RefusalCode::InvalidRequest, "`points` must be 1"),
        ("s8", 90_000, Share::Money(4_550), false, RefusalCode::InvalidAmount, "4500 or 4600, not 4550"),
        ("s7", 0, Share::All, true, RefusalCode::InvalidRequest, "`basket`"),
    ] {
        let refusal = shop.authorise(reference, basket, share, partial).unwrap_err();
        assert_eq!((refusal.code, refusal.message.contains(said)), (code, true), "{reference}: {}", refusal.message);
    }
    let exact = shop.authorise("r3", 50_000, Share::Money(5_500), false).unwrap();
    assert_eq!(authorised(&exact), Paid { points: 5_500, money: 5_500 });
    shop.reverse(id(&exact), Share::All, None, 2).unwrap();
    let part = shop.authorise("r2", 50_000, Share::Money(9_999), true).unwrap();
    assert_eq!(authorised(&part), Paid { points: 5_500, money: 5_500 }, "as many as there are");
    shop.check();
}

#[test]
fn less_is_captured_and_the_rest_is_given_back() {
    let mut shop = Shop::of(POLICY);
    let order = id(&shop.authorise("r1", 10_000, Share::Points(5_000), false).unwrap());
    let receipt = shop.capture(order, Share::Money(4_321), 2).unwrap();
    assert_eq!((receipt.kind, receipt.points), (TransactionKind::Capture, 679));
    assert_eq!(shop.capture(order, Share::Money(4_321), 9).unwrap(), receipt, "asked again");
    assert_eq!(shop.capture(order, Share::All, 9).unwrap_err().code, RefusalCode::IdempotencyMismatch);
    assert_eq!((shop.points(), shop.order(order).points), ([5_679, 0, 4_321], 4_321));
    shop.check();
    let first = shop.reverse(order, Share::Money(1_000), Some("x1"), 3).unwrap();
    assert_eq!(
        (first.kind, first.points, shop.order(order).state),
        (TransactionKind::Refund, 1_000, OrderState::Completed)
    );
    assert_eq!(shop.reverse(order, Share::Money(1_000), Some("x1"), 9).unwrap(), first, "asked again");
    let much = shop.reverse(order, Share::Points(3_322), Some("x2"), 4).unwrap_err();
    assert!(much.code == RefusalCode::InvalidAmount && much.message.contains("3321 points"), "{}", much.message);
    // What expires first stays spent: the lot of 4,000 came first.
    let held: Vec<i64> = shop.order(order).holds.iter().map(|portion| portion.amount).collect();
    assert_eq!(held, [3_321]);
    shop.check();
    let before = shop.orders.clone();
    let last = shop.reverse(order, Share::All, None, 5).unwrap();
    assert_eq!((last.points, shop.order(order).state, shop.points()), (3_321, OrderState::Refunded, [POINTS, 0, 0]));
    shop.check();
    let refusal = shop.reverse(order, Share::All, Some("x3"), 6).unwrap_err();
    assert_eq!(refusal.code, RefusalCode::CheckoutOver);
    // A restored backup has it as it was.
    assert_eq!(shop.rewound(last.transaction_id, at(5)), before);
    let back = shop.rewound(receipt.transaction_id, at(2));
    assert_eq!(
        (back[&order.0].state, back[&order.0].points, back[&order.0].due_at),
        (OrderState::Placed, 5_000, Some(at(16)))
    );
}

#[test]
fn what_is_not_captured_is_released_by_reference_or_by_itself() {
    let mut shop = Shop::of(POLICY);
    let order = id(&shop.authorise("r1", 10_000, Share::Points(5_000), false).unwrap());
    let part = shop.reverse(order, Share::Points(100), None, 2).unwrap_err();
    assert!(part.code == RefusalCode::InvalidAmount && part.message.contains("capture less"), "{}", part.message);
    let receipt = shop.reverse(order, Share::All, None, 2).unwrap();
    assert_eq!((receipt.kind, receipt.points, shop.points()), (TransactionKind::Release, 5_000, [POINTS, 0, 0]));
    assert_eq!(shop.reverse(order, Share::All, None, 3).unwrap(), receipt);
    assert_eq!(shop.capture(order, Share::All, 3).unwrap_err().code, RefusalCode::CheckoutOver);
    let lapsed = id(&shop.authorise_at("r2", 10_000, Share::Points(5_000), false, 10).unwrap());
    assert_eq!(shop.end(lapsed, 24).unwrap_err().code, RefusalCode::IllegalOrderMove, "not yet");
    assert_eq!(shop.capture(lapsed, Share::All, 25).unwrap_err().code, RefusalCode::OrderExpired);
    assert_eq!(shop.end(lapsed, 25).unwrap().points, 5_000);
    assert_eq!(shop.reverse(lapsed, Share::All, None, 26).unwrap_err().code, RefusalCode::CheckoutOver);
    shop.check();
    // No till's points are moved on as an order; the staff may call them off, the member may not.
    let order = id(&shop.authorise_at("r3", 10_000, Share::Points(5_000), false, 30).unwrap());
    let step = |step, channel: &str| {
        let change = OrderChange { order, owner: ANN, step, reason: Some("why".to_owned()), shipment: None };
        Command::move_order(ANN, &format!("{step:?}{channel}"), at(31), change).unwrap().from_channel(channel)
    };
    let moves = |shop: &Shop, channel, minutes| -> Vec<OrderMove> {
        let mover = Mover { program: &shop.program, at: at(minutes), channel, actor: None };
        mover.moves(shop.order(order)).collect()
    };
    assert_eq!(moves(&shop, "console", 31), [OrderMove::Cancel]);
    assert_eq!(moves(&shop, "portal", 31), []);
    assert_eq!(moves(&shop, "system", 90), [OrderMove::Cancel, OrderMove::Expire], "its time is over");
    for (moved, channel) in [(OrderMove::Complete, "api"), (OrderMove::Ship, "api"), (OrderMove::Cancel, "portal")] {
        assert_eq!(shop.decide(&step(moved, channel)).unwrap_err().code, RefusalCode::IllegalOrderMove);
    }
    assert_eq!(shop.decide(&step(OrderMove::Cancel, "console")).unwrap().points, 5_000);
    shop.check();
    // What was captured is disputed at the till.
    let order = id(&shop.authorise_at("r4", 10_000, Share::Points(5_000), false, 32).unwrap());
    shop.capture(order, Share::All, 33).unwrap();
    let policy = OrderPolicy { dispute_hours: Some(48), ..OrderPolicy::default() };
    let captured = shop.order(order);
    assert!(captured.handed_over_at().is_some() && captured.disputable_until(&policy).is_none(), "{captured:?}");
}

#[test]
fn where_points_do_not_pay_the_till_hears_so() {
    let file = r#"
        program = { id = "shop", name = "Shop", money = "CNY", time_zone = "Asia/Shanghai" }
        currencies = [{ id = 1, code = "points", name = "Points", per_money_unit = 100 }]"#;
    let program = Program::from_documents(&Bundle::parse(file).unwrap().documents().unwrap()).unwrap();
    let mut shop = Shop::of(POLICY);
    assert_eq!(shop.grant(1, "till 3", None, 1).unwrap_err().code, RefusalCode::CheckoutNotOffered, "no `offline`");
    shop.program = std::sync::Arc::new(program);
    assert_eq!(shop.authorise("r1", 10_000, Share::All, true).unwrap_err().code, RefusalCode::CheckoutNotOffered);
    let tier_value = file
        .replace("per_money_unit = 100", "spendable = false")
        .replace("time_zone", "checkout = { step = 1 }, time_zone");
    assert!(
        Bundle::parse(&tier_value)
            .and_then(|bundle| bundle.documents())
            .unwrap_err()
            .to_string()
            .contains("tier value")
    );
}

#[test]
fn the_numbers_of_two_stores_are_never_alike() {
    let pairs =
        [("North", "7-1"), ("South", "7-1"), ("a@b", "c"), ("b", "c@a"), ("a\\@b", "c"), ("b", "c\\@a"), ("b", "c\\")];
    let named: std::collections::BTreeSet<String> =
        pairs.iter().map(|(store, number)| checkout_reference(store, number)).collect();
    assert_eq!(named.len(), pairs.len(), "{named:?}");
    let mut shop = Shop::of(OFFLINE);
    shop.authorise("7-1", 10_000, Share::Points(100), true).unwrap();
    assert_eq!(shop.journal.last().unwrap().reference.as_deref(), Some("7-1@North"));
}

#[test]
fn a_terminal_gives_a_number_once_whatever_the_allowance() {
    let mut shop = Shop::of(OFFLINE);
    let first = id(&shop.grant(1, "till 3", Some(100), 1).unwrap());
    let second = id(&shop.grant(2, "till 3", Some(200), 2).unwrap());
    shop.spend(first, ("1", "till 3"), 50, (5, 60)).unwrap();
    assert_eq!(shop.spend(second, ("1", "till 3"), 50, (5, 60)).unwrap_err().code, RefusalCode::IdempotencyMismatch);
    shop.check();
}

const OFFLINE: &str = "offline = { points = 500, hours = 24 }";

#[test]
fn an_allowance_sets_points_aside_until_it_is_spent_or_lapses() {
    let mut shop = Shop::of(OFFLINE);
    let receipt = shop.grant(1, "till 3", Some(300), 1).unwrap();
    let (order, told) = (id(&receipt), receipt.order.clone().unwrap().allowance.unwrap());
    assert_eq!((told.granted, told.ends_at), (Paid { points: 300, money: 300 }, at(1 + 24 * 60)));
    assert_eq!(shop.points(), [POINTS - 300, 300, 0]);
    let (spent, receipt) = shop.spend(order, ("1", "till 3"), 120, (5, 60)).unwrap();
    let charged = Paid { points: 120, money: 120 };
    assert_eq!((spent.charged, spent.beyond, spent.owed, spent.lost), (charged, 0, 0, 0));
    assert_eq!((receipt.kind, receipt.points, receipt.events.len()), (TransactionKind::Capture, 0, 0));
    assert_eq!(shop.spend(order, ("1", "till 3"), 120, (5, 90)).unwrap(), (spent, receipt.clone()), "sent again");
    assert_eq!(shop.spend(order, ("1", "till 3"), 121, (5, 90)).unwrap_err().code, RefusalCode::IdempotencyMismatch);
    assert_eq!((shop.points(), shop.order(order).points), ([POINTS - 300, 180, 120], 180));
    shop.check();
    // What was spent is reversed as any checkout.
    let tender = spent.tender.unwrap();
    assert_eq!(shop.reverse(tender, Share::Points(20), None, 91).unwrap().points, 20);
    shop.check();
    assert_eq!(shop.end(order, 2 + 24 * 60).unwrap().points, 180);
    assert_eq!(shop.points(), [POINTS - 100, 0, 100]);
    // What was spent in time and is told late is charged from what is there.
    let (late, _) = shop.spend(order, ("2", "till 3"), 80, (6, 3_000)).unwrap();
    assert_eq!((late.charged.points, late.beyond, shop.points()), (80, 0, [POINTS - 180, 0, 180]));
    shop.check();
    let back = shop.rewound(receipt.transaction_id, at(60));
    assert_eq!((back[&order.0].state, back[&order.0].points), (OrderState::Placed, 300));
}

#[test]
fn what_goes_beyond_is_told_and_treated_as_the_program_says() {
    for (overdraft, charged, owed, lost) in [("refuse_and_report", 300, 0, 100), ("owe", 400, 0, 0)] {
        let mut shop = Shop::of(&format!("offline = {{ points = 300, hours = 24, overdraft = \"{overdraft}\" }}"));
        let order = id(&shop.grant(1, "till 3", None, 1).unwrap());
        let (spent, receipt) = shop.spend(order, ("1", "till 3"), 400, (5, 60)).unwrap();
        assert_eq!(
            (spent.charged.points, spent.beyond, spent.owed, spent.lost),
            (charged, 100, owed, lost),
            "{overdraft}"
        );
        assert!(matches!(receipt.events[..], [Event::OfflineBeyond { points: 400, beyond: 100, .. }]), "{receipt:?}");
        // A copy at another terminal, one that was spent too late, and one that was spent before it was there.
        for (id, terminal, spent_at) in [("a", "till 4", 6), ("b", "till 3", 2_000), ("c", "till 3", -600)] {
            let (spent, receipt) = shop.spend(order, (id, terminal), 50, (spent_at, 3_000)).unwrap();
            let charged = if overdraft == "owe" { 50 } else { 0 };
            assert_eq!((spent.beyond, spent.charged.points, spent.lost), (50, charged, 50 - charged), "{id}");
            assert_eq!((receipt.events.len(), spent.tender.is_some()), (1, charged > 0));
        }
        shop.check();
    }
}

#[test]
fn what_is_not_there_is_owed_up_to_the_limit() {
    let mut shop = Shop::of("offline = { points = 500, hours = 24, reserve = false, overdraft = \"owe\" }");
    let order = id(&shop.grant(1, "till 3", None, 1).unwrap());
    assert_eq!(shop.points(), [POINTS, 0, 0], "nothing is set aside");
    let all = id(&shop.authorise_at("r1", 1_000_000, Share::Points(9_900), false, 2).unwrap());
    shop.capture(all, Share::All, 2).unwrap();
    // 100 are left, and the limit of what is owed is 300.
    let (spent, receipt) = shop.spend(order, ("1", "till 3"), 500, (5, 60)).unwrap();
    assert_eq!((spent.charged.points, spent.beyond, spent.owed, spent.lost), (100, 0, 300, 100));
    assert!(matches!(receipt.events[..], [Event::OfflineBeyond { owed: 300, lost: 100, .. }]));
    assert_eq!(shop.account.agenda.owed(CurrencyId(1)), 300);
    shop.check();
}

/// Spends 500 points without network of which 100 are there, 300 are owed and 100 are lost.
fn in_debt() -> (Shop, OrderId) {
    let mut shop = Shop::of("offline = { points = 500, hours = 24, reserve = false, overdraft = \"owe\" }");
    let order = id(&shop.grant(1, "till 3", None, 1).unwrap());
    let all = id(&shop.authorise_at("r1", 1_000_000, Share::Points(9_900), false, 2).unwrap());
    shop.capture(all, Share::All, 2).unwrap();
    let (spent, _) = shop.spend(order, ("1", "till 3"), 500, (5, 60)).unwrap();
    assert_eq!((spent.charged.points, spent.owed, spent.lost), (100, 300, 100));
    (shop, spent.tender.unwrap())
}

#[test]
fn goods_that_come_back_are_owed_no_longer() {
    let (mut shop, tender) = in_debt();
    // Of 400 points 250 come back: all of them of the debt, which was 300.
    let receipt = shop.reverse(tender, Share::Points(250), Some("x1"), 61).unwrap();
    assert_eq!((receipt.points, receipt.debt_cancelled, shop.owed()), (0, 250, 50));
    assert_eq!((shop.points(), shop.order(tender).points), ([0, 0, POINTS], 100));
    let told = receipt.order.as_ref().unwrap().tender.as_ref().unwrap().returned;
    assert_eq!(told, Some(Paid { points: 250, money: 250 }));
    let before = shop.order(tender).clone();
    shop.check();
    // The rest: 50 of the debt, and the 100 points that were there.
    let receipt = shop.reverse(tender, Share::All, Some("x2"), 62).unwrap();
    assert_eq!((receipt.points, receipt.debt_cancelled, shop.owed()), (100, 50, 0));
    assert_eq!((shop.points(), shop.order(tender).state), ([100, 0, POINTS - 100], OrderState::Refunded));
    shop.check();
    assert_eq!(shop.rewound(receipt.transaction_id, at(62))[&tender.0], before);
}

#[test]
fn a_debt_that_was_settled_comes_back_as_points() {
    let (mut shop, tender) = in_debt();
    let earned = shop.earn("p1", 220, 61);
    assert_eq!((earned.repaid, shop.owed(), shop.points()), (220, 80, [0, 0, POINTS]));
    // Of 300 that were owed 80 are yet: the other 220 were paid.
    let receipt = shop.reverse(tender, Share::Points(300), Some("x1"), 62).unwrap();
    assert_eq!((receipt.points, receipt.debt_cancelled, shop.owed()), (220, 80, 0));
    assert_eq!((shop.points(), shop.order(tender).points), ([220, 0, POINTS], 100));
    shop.check();
    // They live as long as points that are earned now: twelve months, to the end of the month.
    let lots = &shop.account.wallet(CurrencyId(1)).unwrap().lots;
    assert_eq!(
        lots.iter().map(|lot| (lot.remaining, lot.key.expires_at)).collect::<Vec<_>>(),
        [(220, Timestamp::parse_rfc3339("2027-03-31T16:00:00Z").unwrap()),]
    );
    assert_eq!(shop.reverse(tender, Share::All, Some("x2"), 63).unwrap().points, 100);
    assert_eq!((shop.points(), shop.owed()), ([320, 0, POINTS - 100], 0));
    shop.check();
}

#[test]
fn the_staff_refund_what_is_owed_as_well() {
    let (mut shop, tender) = in_debt();
    shop.earn("p1", 120, 61);
    let (step, reason) = (OrderMove::Refund, Some("the goods came back".to_owned()));
    let change = OrderChange { order: tender, owner: ANN, step, reason, shipment: None };
    let receipt =
        shop.decide(&Command::move_order(ANN, "refund", at(62), change).unwrap().by("opr_1".to_owned())).unwrap();
    assert_eq!((receipt.points, receipt.debt_cancelled, shop.owed()), (100 + 120, 180, 0));
    assert_eq!(shop.points(), [220, 0, POINTS - 100]);
    shop.check();
}

#[test]
fn what_is_owed_alone_can_come_back_and_what_a_closed_account_owed_does_not() {
    let (mut shop, tender) = in_debt();
    shop.reverse(tender, Share::All, None, 61).unwrap();
    let order = id(&shop.grant(2, "till 3", None, 24 * 60 + 2).unwrap());
    let all = id(&shop.authorise_at("r2", 1_000_000, Share::Points(100), false, 24 * 60 + 3).unwrap());
    shop.capture(all, Share::All, 24 * 60 + 3).unwrap();
    let (spent, _) = shop.spend(order, ("2", "till 3"), 100, (24 * 60 + 4, 24 * 60 + 5)).unwrap();
    assert_eq!((spent.charged, spent.owed), (Paid::default(), 100), "nothing was there");
    let alone = spent.tender.expect("by which it is reversed");
    let mut closed = shop.clone();
    let receipt = shop.reverse(alone, Share::All, None, 24 * 60 + 6).unwrap();
    assert_eq!((receipt.points, receipt.debt_cancelled, shop.owed()), (0, 100, 0));
    shop.check();
    closed.end(order, 2 * 24 * 60 + 3).unwrap();
    closed.decide(&Command::close(ANN, "close", at(2 * 24 * 60 + 4), "asked for it").unwrap()).unwrap();
    let receipt = closed.reverse(alone, Share::All, None, 2 * 24 * 60 + 5).unwrap();
    assert_eq!((receipt.points, receipt.debt_cancelled, closed.owed()), (0, 0, 0), "it was forgiven");
}

#[test]
fn allowances_of_all_terminals_together_stay_within_the_program() {
    let mut shop = Shop::of(OFFLINE);
    shop.grant(1, "till 3", Some(300), 1).unwrap();
    assert_eq!(shop.grant(1, "till 4", Some(300), 2).unwrap_err().code, RefusalCode::IdempotencyMismatch, "overtaken");
    let second = shop.grant(2, "till 4", Some(300), 2).unwrap();
    assert_eq!(second.order.unwrap().allowance.unwrap().granted.points, 200, "what is left");
    let third = shop.grant(3, "till 5", None, 3).unwrap_err();
    assert!(third.code == RefusalCode::CapReached && third.message.contains("500 points"), "{}", third.message);
    assert_eq!(shop.grant(9, "till 5", None, 3).unwrap_err().code, RefusalCode::InvalidRequest, "there is no eighth");
    // A day later the first are over.
    let later = shop.grant(3, "till 5", None, 24 * 60 + 1).unwrap();
    assert_eq!(later.order.unwrap().allowance.unwrap().granted.points, 300);
    shop.check();
}

#[derive(Debug, Clone)]
enum Step {
    Authorise(i64, i64, bool),
    Capture(usize, i64),
    Reverse(usize, i64, u8),
    Grant(u8, i64),
    Spend(usize, u8, u8, i64),
    Earn(i64),
    Again(usize),
    Wait(i64),
}

fn steps() -> impl Strategy<Value = Vec<(Step, u8)>> {
    let step = prop_oneof![
        (1..60_000_i64, 0..80_i64, any::<bool>())
            .prop_map(|(basket, points, partial)| Step::Authorise(basket, points, partial)),
        (0..8_usize, 0..6_000_i64).prop_map(|(which, points)| Step::Capture(which, points)),
        (0..8_usize, 0..6_000_i64, 0..4_u8).prop_map(|(which, points, name)| Step::Reverse(which, points, name)),
        (0..3_u8, 1..400_i64).prop_map(|(terminal, points)| Step::Grant(terminal, points)),
        (0..8_usize, 0..3_u8, 0..20_u8, 1..400_i64)
            .prop_map(|(which, terminal, name, points)| Step::Spend(which, terminal, name, points)),
        (1..300_i64).prop_map(Step::Earn),
        (0..30_usize).prop_map(Step::Again),
        (1..2_000_i64).prop_map(Step::Wait),
    ];
    proptest::collection::vec((step, any::<u8>()), 1..40)
}

fn share(points: i64) -> Share {
    match points {
        0 => Share::All,
        points if points % 2 == 0 => Share::Points(points),
        money => Share::Money(money),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, ..ProptestConfig::default() })]

    /// In any order and repetition no point is lost, none is granted beyond the program, and each backup is as it was.
    #[test]
    fn no_order_of_steps_loses_a_point(steps in steps(), owe in any::<bool>(), reserve in any::<bool>()) {
        let overdraft = if owe { "owe" } else { "refuse_and_report" };
        let offline = format!("offline = {{ points = 500, hours = 24, reserve = {reserve}, overdraft = \"{overdraft}\" }}");
        let mut shop = Shop::of(&format!("{POLICY}\n{offline}"));
        let (mut minutes, mut done, mut number, mut charged) = (1, Vec::<Command>::new(), 0, BTreeMap::<i64, i64>::new());
        for (step, _) in steps {
            let orders: Vec<Order> = shop.orders.values().cloned().collect();
            let pick = |which: usize, of: &dyn Fn(&Order) -> bool| {
                let known: Vec<OrderId> = orders.iter().filter(|order| of(order)).map(|order| order.id).collect();
                known.get(which % known.len().max(1)).copied()
            };
            let tender = |order: &Order| order.details.particulars.tender.is_some();
            let allowance = |order: &Order| order.details.particulars.allowance.is_some();
            let now = at(minutes);
            let command = match step {
                Step::Wait(more) => {
                    minutes += more;
                    for order in orders.iter().filter(|order| order.is_due(at(minutes))) {
                        shop.end(order.id, minutes).unwrap();
                    }
                    continue;
                }
                Step::Earn(points) => {
                    shop.earn(&format!("p{}", shop.journal.len()), points, minutes);
                    shop.check();
                    continue;
                }
                Step::Again(which) => match done.get(which % done.len().max(1)) {
                    Some(command) => {
                        let before = (shop.points(), shop.journal.len());
                        shop.decide(&command.clone()).unwrap();
                        prop_assert_eq!((shop.points(), shop.journal.len()), before);
                        continue;
                    }
                    None => continue,
                },
                Step::Authorise(basket, hundreds, partial) => {
                    let (reference, store) = (format!("r{}", done.len()), "North".to_owned());
                    let share = if hundreds == 0 { Share::All } else { Share::Points(hundreds * 100) };
                    Command::authorise(ANN, now, Authorisation { reference, store, terminal: None, basket, share, partial })
                }
                Step::Capture(which, points) => match pick(which, &tender) {
                    Some(order) => Command::capture_checkout(ANN, now, Shop::change(order, share(points), None)),
                    None => continue,
                },
                Step::Reverse(which, points, name) => match pick(which, &tender) {
                    Some(order) => {
                        let name = format!("x{name}");
                        Command::reverse_checkout(ANN, now, Shop::change(order, share(points), Some(&name)))
                    }
                    None => continue,
                },
                Step::Grant(terminal, points) => {
                    let (store, terminal) = ("North".to_owned(), format!("till {terminal}"));
                    let wanted = AllowanceRequest { store, terminal, points: Some(points), number: number + 1 };
                    Command::grant_allowance(ANN, now, wanted)
                }
                Step::Spend(which, terminal, name, points) => match pick(which, &allowance) {
                    Some(order) => {
                        let (id, store, terminal) = (format!("o{name}"), "North".to_owned(), format!("till {terminal}"));
                        Command::charge_offline(ANN, now, OfflineSpending { order, owner: ANN, id, store, terminal, points, basket: 10_000, at: now })
                    }
                    None => continue,
                },
            };
            let Ok(command) = command else { continue };
            let (before, length) = (shop.orders.clone(), shop.journal.len());
            let Ok(receipt) = shop.decide(&command) else { continue };
            shop.check();
            if shop.journal.len() == length {
                continue;
            }
            prop_assert_eq!(shop.rewound(receipt.transaction_id, now), before);
            let order = receipt.order.as_ref().unwrap();
            if let Some(granted) = &order.allowance {
                number += 1;
                let live: i64 = granted.lent.iter().map(|one| one.points).sum();
                prop_assert!(live <= 500 && granted.lent.iter().all(|one| one.ends_at > now), "{:?}", granted.lent);
            }
            if let Some(offline) = order.offline {
                prop_assert_eq!(offline.charged.points + offline.owed + offline.lost, offline.points);
                let within = charged.entry(order.id.0).or_default();
                *within += offline.points - offline.beyond;
                let granted = shop.order(order.id).details.particulars.allowance.as_ref().unwrap().granted;
                prop_assert!(*within <= granted.points);
                if !owe {
                    prop_assert!(offline.charged.points <= offline.points - offline.beyond);
                }
            }
            done.push(command);
        }
        // In the end everything that lapses has lapsed, and what was spent can be given back.
        minutes += 3_000;
        for order in shop.orders.values().cloned().collect::<Vec<_>>() {
            if order.is_due(at(minutes)) {
                shop.end(order.id, minutes).unwrap();
            }
            if order.state == OrderState::Completed {
                shop.reverse(order.id, Share::All, Some("end"), minutes).unwrap();
            }
        }
        shop.check();
        prop_assert_eq!((shop.points(), shop.owed()), ([POINTS + shop.earned, 0, 0], 0));
    }
}

#[test]
fn an_account_that_has_ended_comes_to_owe_nothing() {
    let mut shop = Shop::of("offline = { points = 500, hours = 24, reserve = false, overdraft = \"owe\" }");
    let order = id(&shop.grant(1, "till 3", None, 1).unwrap());
    shop.decide(&Command::close(ANN, "close", at(2), "asked for it").unwrap()).unwrap();
    let (spent, receipt) = shop.spend(order, ("1", "till 3"), 300, (1, 60)).unwrap();
    assert_eq!((spent.charged.points, spent.owed, spent.lost), (0, 0, 300));
    assert!(matches!(receipt.events[..], [Event::OfflineBeyond { owed: 0, lost: 300, .. }]), "{:?}", receipt.events);
    assert_eq!(shop.owed(), 0);
}
