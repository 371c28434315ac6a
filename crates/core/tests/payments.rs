//! Points plus cash, payments and groups: a split is always within its bounds and worth the price; whatever becomes of the
//! money or the friends, no path loses points or units.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::collections::BTreeMap;

use guerdon_core::id::{IdGenerator, MemberId, OrderId, TransactionId};
use guerdon_core::kernel::{
    Amendment, Batch, Command, Event, GroupTerms, Loaded, Mover, OrderAmendment, OrderChange, Receipt, Refusal,
    RefusalCode, Tendering, Tracking,
};
use guerdon_core::ledger::{Account, CurrencyId, LotKey, Transaction, TransactionKind};
use guerdon_core::program::{Bundle, Program};
use guerdon_core::redemption::{
    Funds, Order, OrderDetails, OrderMove, OrderState, PaymentMove, PaymentState, PaymentTender, TrackingEvent,
    TrackingStatus, VoucherStanding,
};
use guerdon_core::rewards::{Cash, Fulfilment, Reward, Split, StockLevel};
use guerdon_core::time::Timestamp;
use proptest::prelude::*;
use rust_decimal::Decimal;

const ANN: MemberId = MemberId(1);
const HOUR: i64 = 3_600_000;
const STOCK: i64 = 1_000;
const CASH: &str = "{ from_percent = 10, to_percent = 50 }";

fn program(cash: &str) -> Program {
    program_of(cash, "")
}

fn program_of(cash: &str, of_pot: &str) -> Program {
    let file = format!(
        r#"
        currencies = [{{ id = 1, code = "points", name = "Points", per_money_unit = 100, expiry = {{ after = 12, granule = "month" }} }}]
        rules = []
        [[rewards]]
        id = "pot"
        name = "Pot"
        stock = {STOCK}
        {of_pot}
        price = {{ points = 6000, cash = {cash}, group = {{ members = 3, hours = 24, percent = 80 }} }}
        [program]
        id = "shop"
        name = "Shop"
        money = "CNY"
        time_zone = "Asia/Shanghai"
        orders = {{ expire_after_hours = 48, complete_after_hours = 72, dispute_hours = 48 }}
        payment = {{ tenders = ["cash_on_delivery", "test"] }}
        "#
    );
    let mut documents = Bundle::parse(&file).unwrap().documents().unwrap();
    documents.iter_mut().for_each(|document| document.version = 1);
    Program::from_documents(&documents).unwrap()
}

fn at(hours: i64) -> Timestamp {
    Timestamp::parse_rfc3339("2026-03-02T08:00:00Z").unwrap().plus_millis(hours * HOUR)
}

#[derive(Clone)]
struct Shop {
    program: Program,
    account: Account,
    orders: BTreeMap<i64, Order>,
    stock: StockLevel,
    journal: Vec<Transaction>,
    ids: IdGenerator,
}

impl Shop {
    fn new() -> Self {
        let program = program(CASH);
        let (account, ids, stock) = (Account::default(), IdGenerator::new(1), StockLevel::new(STOCK));
        let mut shop = Self { program, account, orders: BTreeMap::new(), stock, journal: Vec::new(), ids };
        // Two lots, so that points can go back to the wrong one.
        shop.decide(Command::adjust(ANN, "a", at(-24 * 40), CurrencyId(1), 4_000, "to spend").unwrap()).unwrap();
        shop.decide(Command::adjust(ANN, "b", at(0), CurrencyId(1), 96_000, "to spend").unwrap()).unwrap();
        shop
    }

    fn decide(&mut self, command: Command) -> Result<Receipt, Refusal> {
        let orders = self.orders.values().map(|order| ((order.member_id, order.id), order.clone())).collect();
        let mut loaded = Loaded {
            accounts: [(ANN, self.account.clone())].into_iter().collect(),
            orders,
            stock: [("pot".to_owned(), self.stock)].into_iter().collect(),
            ..Loaded::default()
        };
        for one in &self.journal {
            let committed =
                guerdon_core::kernel::Committed { request_digest: one.request_digest, receipt: one.receipt.clone() };
            loaded.committed.insert((ANN, one.idempotency_key.clone()), committed);
        }
        let mut batch = Batch::new(&self.program, loaded, &mut self.ids, command.at);
        let reply = batch.decide(&command)?;
        let changes = batch.finish();
        for (order, _) in changes.orders {
            assert_eq!(OrderDetails::decode(&order.details.encode()).unwrap(), order.details);
            self.orders.insert(order.id.0, order);
        }
        for change in changes.stock.values() {
            self.stock = self.stock.plus(*change);
        }
        self.journal.extend(changes.decisions.into_iter().map(|decision| decision.transaction));
        if let Some(change) = changes.accounts.into_iter().next() {
            self.account = change.account;
        }
        Ok(serde_json::from_str(&reply.receipt).unwrap())
    }

    fn redeem(&mut self, tender: PaymentTender, split: Split, hours: i64) -> Result<Receipt, Refusal> {
        let key = format!("redeem-{}", self.journal.len());
        let command = Command::redeem(ANN, &key, at(hours), "pot", 1, false).unwrap();
        self.decide(command.paid_by(Some(Tendering { tender, split: Some(split) })))
    }

    fn join(&mut self, place: &str, hours: i64) -> Result<Receipt, Refusal> {
        self.join_paying(place, None, hours)
    }

    fn join_paying(
        &mut self,
        place: &str,
        paying: Option<(PaymentTender, Split)>,
        hours: i64,
    ) -> Result<Receipt, Refusal> {
        let terms = GroupTerms { code: "friends".to_owned(), ends_at: at(24), percent: Decimal::from(80) };
        let tendering = paying.map(|(tender, split)| Tendering { tender, split: Some(split) });
        self.decide(Command::join_group(ANN, at(hours), "pot", (terms, place), None).paid_by(tendering))
    }

    fn step(&mut self, order: OrderId, step: OrderMove, hours: i64) -> Result<Receipt, Refusal> {
        let reason = step.needs_reason().then(|| "for the test".to_owned());
        let change = OrderChange { order, owner: ANN, step, reason, shipment: None };
        let key = format!("step-{}", self.journal.len());
        self.decide(Command::move_order(ANN, &key, at(hours), change).unwrap())
    }

    fn pay(&mut self, order: OrderId, step: PaymentMove, hours: i64) -> Result<Receipt, Refusal> {
        let change = Amendment::Payment { step, reference: Some("ref".to_owned()), reason: None };
        let key = format!("pay-{}", self.journal.len());
        self.decide(Command::amend(ANN, &key, at(hours), OrderAmendment { order, owner: ANN, change }).unwrap())
    }

    fn delivered(&mut self, order: OrderId, hours: i64) {
        let (status, transaction_id) = (TrackingStatus::Delivered, TransactionId(0));
        let events = vec![TrackingEvent { at: at(hours), status, place: None, text: None, transaction_id }];
        let key = format!("track-{}", self.journal.len());
        self.decide(Command::track(ANN, &key, at(hours), Tracking { order, owner: ANN, events }).unwrap()).unwrap();
    }

    /// As the program's own clock does it once it is due.
    fn end(&mut self, order: OrderId, hours: i64) -> Result<Receipt, Refusal> {
        let end = Command::end_order(self.order(order), at(hours), ANN);
        self.decide(end)
    }

    fn order(&self, order: OrderId) -> &Order {
        &self.orders[&order.0]
    }

    fn paid(&self, order: OrderId) -> PaymentState {
        self.order(order).details.particulars.payment.as_ref().unwrap().state()
    }

    fn lots(&self) -> Vec<(LotKey, i64)> {
        self.account.wallet(CurrencyId(1)).unwrap().lots.iter().map(|lot| (lot.key, lot.remaining)).collect()
    }

    fn check(&self) {
        let sum = |funds: Funds, of: &dyn Fn(&Order) -> i64| -> i64 {
            self.orders.values().filter(|order| order.state.funds() == funds).map(of).sum()
        };
        let wallet = self.account.wallet(CurrencyId(1)).unwrap();
        let (held, spent) = (sum(Funds::Held, &|one| one.points), sum(Funds::Spent, &|one| one.points));
        assert_eq!(wallet.balance().held, held);
        assert_eq!(wallet.balance().available, 100_000 - held - spent);
        assert_eq!((self.stock.reserved, self.stock.issued), (sum(Funds::Held, &|_| 1), sum(Funds::Spent, &|_| 1)));
        let mut followed = Account::default();
        self.journal.iter().for_each(|transaction| followed.follow(transaction).unwrap());
        assert_eq!(followed, self.account);
    }
}

fn order_of(receipt: &Receipt) -> OrderId {
    receipt.order.as_ref().unwrap().id
}

#[test]
fn a_price_is_split_as_wanted_or_it_is_said_what_may_be_wanted() {
    let program = program("{ from_percent = 10, to_percent = 50, min_points = 3500 }");
    let pot = program.reward_at("pot", at(0)).unwrap();
    let split = |wanted| program.split(pot, 6_000, wanted, at(0));
    // ¥0.01 a point. 10 % are 600 points; 50 % would be 3,000, but 3,500 points must be paid at least.
    assert_eq!(split(Split::Points(5_400)), Ok(Cash { amount: 600, points: 600 }));
    assert_eq!(split(Split::Money(2_500)), Ok(Cash { amount: 2_500, points: 2_500 }));
    assert_eq!(
        split(Split::Points(3_499)).unwrap_err(),
        "`points` of a price of 6000 points must be 3500 to 5400, not 3499"
    );
    assert_eq!(split(Split::Money(599)).unwrap_err(), "`cash` of a price of 6000 points must be 600 to 2500, not 599");
    assert!(program.split(pot, 3_000, Split::Money(600), at(0)).unwrap_err().contains("cannot be paid with money"));
    let affordable = |available| program.affordable_split(pot, 6_000, available, at(0)).map(|cash| cash.points);
    assert_eq!((affordable(5_000), affordable(5_900), affordable(3_499)), (Some(1_000), Some(600), None));
}

proptest! {
    /// A split is within its bounds, worth the price, and by less than one minor unit more; who names money never pays more.
    #[test]
    fn a_split_is_within_its_bounds_and_worth_the_price(
        price in 1_i64..2_000_000, from in 0_i64..=60, more in 0_i64..=30, min_points in 0_i64..10_000,
        value in 1_i64..100_000, wanted in 0_i64..2_000_000, by_points: bool,
    ) {
        let value = Decimal::new(value, 5);
        let to = (from + more).max(1);
        let program = program(&format!(
            "{{ from_percent = {from}, to_percent = {to}, min_points = {min_points}, point_value = \"{value}\" }}"
        ));
        let pot = program.reward_at("pot", at(0)).unwrap();
        let wanted = if by_points { Split::Points(wanted) } else { Split::Money(wanted) };
        let range = program.cash_range(pot, price, at(0));
        match program.split(pot, price, wanted, at(0)) {
            Ok(Cash { amount, points }) => {
                let worth = Decimal::from(points) * value * Decimal::from(100);
                let paid = Decimal::from(amount);
                prop_assert!(paid >= worth && paid < worth + Decimal::ONE, "{amount} for {worth}");
                prop_assert!(Decimal::from(points * 100) <= Decimal::from(price * to));
                prop_assert!(Decimal::from(points * 100) >= Decimal::from(price * from));
                prop_assert!(price - points >= min_points.max(1) && points >= 1);
                match wanted {
                    Split::Points(wanted) => prop_assert_eq!(price - points, wanted),
                    Split::Money(wanted) => prop_assert!(amount <= wanted),
                }
            }
            // Whatever the bounds name is taken.
            Err(_) => if let Some(range) = range {
                for cash in [range.least, range.most] {
                    prop_assert_eq!(program.split(pot, price, Split::Points(price - cash.points), at(0)), Ok(cash));
                    let by_money = program.split(pot, price, Split::Money(cash.amount), at(0)).unwrap();
                    prop_assert!(by_money.amount <= cash.amount && by_money.points >= cash.points);
                }
            }
        }
    }
}

#[test]
fn cash_on_delivery_is_due_until_whoever_hands_it_over_has_it() {
    let mut shop = Shop::new();
    let receipt = shop.redeem(PaymentTender::CashOnDelivery, Split::Points(4_000), 1).unwrap();
    let (pot, told) = (order_of(&receipt), receipt.order.as_ref().unwrap().payment.clone().unwrap());
    assert_eq!((receipt.points, told.amount, told.state), (-4_000, 2_000, PaymentState::Due));
    assert!(receipt.events.is_empty(), "nobody is asked: {:?}", receipt.events);
    shop.step(pot, OrderMove::Ship, 2).unwrap();
    assert_eq!(shop.order(pot).due_at, None, "what is not paid is not done by itself");
    assert_eq!(shop.step(pot, OrderMove::Complete, 3).unwrap_err().code, RefusalCode::PaymentDue);
    assert_eq!(shop.pay(pot, PaymentMove::Capture, 3).unwrap_err().code, RefusalCode::IllegalPaymentMove);
    let receipt = shop.pay(pot, PaymentMove::Collect, 4).unwrap();
    assert_eq!((receipt.kind, receipt.points), (TransactionKind::Order, 0));
    assert_eq!((shop.paid(pot), shop.order(pot).due_at), (PaymentState::Paid, Some(at(76))));
    assert_eq!(shop.pay(pot, PaymentMove::Collect, 4).unwrap_err().code, RefusalCode::IllegalPaymentMove);
    shop.step(pot, OrderMove::Complete, 5).unwrap();
    let receipt = shop.step(pot, OrderMove::Refund, 6).unwrap();
    assert_eq!(receipt.events[1], Event::PaymentWanted { order_id: pot, step: PaymentMove::Return });
    shop.pay(pot, PaymentMove::Return, 7).unwrap();
    assert_eq!(shop.paid(pot), PaymentState::Returned);
    // One that is called off owes nothing.
    let other = order_of(&shop.redeem(PaymentTender::CashOnDelivery, Split::Money(1_000), 8).unwrap());
    assert!(shop.step(other, OrderMove::Cancel, 9).unwrap().events.is_empty());
    assert_eq!(shop.paid(other), PaymentState::Void);
    shop.check();
}

#[test]
fn nothing_is_handed_out_against_a_voucher_before_its_money_and_its_friends_are_there() {
    let mut shop = Shop::new();
    let standing = |shop: &Shop, order| VoucherStanding::of(shop.order(order), at(1));
    let by_hand = order_of(&shop.redeem(PaymentTender::CashOnDelivery, Split::Points(4_000), 1).unwrap());
    assert_eq!(standing(&shop, by_hand), VoucherStanding::Unpaid);
    assert_eq!(shop.order(by_hand).worth_in_points(), 4_000, "there is no money yet that would go back");
    shop.pay(by_hand, PaymentMove::Collect, 1).unwrap();
    assert_eq!((standing(&shop, by_hand), shop.order(by_hand).worth_in_points()), (VoucherStanding::Good, 6_000));
    let by_tender = order_of(&shop.redeem(PaymentTender::Test, Split::Points(4_000), 1).unwrap());
    assert_eq!(standing(&shop, by_tender), VoucherStanding::NotYet);
    shop.pay(by_tender, PaymentMove::Authorise, 1).unwrap();
    assert_eq!(standing(&shop, by_tender), VoucherStanding::Good);
    let in_group = order_of(&shop.join("1", 1).unwrap());
    assert_eq!(standing(&shop, in_group), VoucherStanding::NotYet);
}

#[test]
fn what_the_program_hands_out_itself_is_not_paid_on_delivery() {
    let mut shop = Shop::new();
    let pot = shop.program.reward("pot").unwrap().clone();
    let tenders = |reward: &Reward| -> Vec<_> { shop.program.tenders_for(reward, at(1)).collect() };
    assert_eq!(tenders(&pot), [PaymentTender::CashOnDelivery, PaymentTender::Test]);
    let supplied = Reward { fulfilment: Some(Fulfilment::Vault {}), ..pot };
    assert_eq!(tenders(&supplied), [PaymentTender::Test]);
    shop.program = program_of(CASH, "fulfilment = { by = 'supplier', supplier = 'pots' }");
    let refusal = shop.redeem(PaymentTender::CashOnDelivery, Split::Points(4_000), 1).unwrap_err();
    assert_eq!(refusal.code, RefusalCode::TenderNotOffered, "{}", refusal.message);
    assert!(refusal.message.ends_with("the program takes test"), "{}", refusal.message);
    assert!(shop.redeem(PaymentTender::Test, Split::Points(4_000), 1).is_ok());
}

#[test]
fn what_a_carrier_delivers_unpaid_is_done_once_it_is_paid() {
    let mut shop = Shop::new();
    let pot = order_of(&shop.redeem(PaymentTender::CashOnDelivery, Split::Points(4_000), 1).unwrap());
    shop.step(pot, OrderMove::Ship, 2).unwrap();
    shop.delivered(pot, 3);
    assert_eq!((shop.order(pot).state, shop.order(pot).due_at), (OrderState::Shipped, None));
    assert_eq!(shop.order(pot).details.particulars.tracking.len(), 1, "the word of it is kept");
    assert_eq!(shop.end(pot, 400).unwrap_err().code, RefusalCode::PaymentDue);
    let collected = shop.pay(pot, PaymentMove::Collect, 4).unwrap();
    assert_eq!(shop.order(pot).due_at, Some(at(4)), "nothing more is waited for");
    let mut cut = shop.order(pot).clone();
    assert!(cut.rewind(collected.transaction_id, Timestamp::NEVER) && cut.due_at.is_none());
    shop.end(pot, 4).unwrap();
    assert_eq!(shop.order(pot).state, OrderState::Completed);
    shop.check();
}

#[test]
fn an_order_that_is_disputed_ends_neither_by_its_money_nor_by_its_delivery() {
    let mut shop = Shop::new();
    let mut shipped = || {
        let pot = order_of(&shop.redeem(PaymentTender::CashOnDelivery, Split::Points(4_000), 3).unwrap());
        shop.step(pot, OrderMove::Ship, 3).unwrap();
        shop.step(pot, OrderMove::Dispute, 3).unwrap();
        pot
    };
    let (paid, unpaid) = (shipped(), shipped());
    shop.delivered(paid, 4);
    shop.pay(paid, PaymentMove::Collect, 5).unwrap();
    assert_eq!((shop.order(paid).state, shop.order(paid).due_at), (OrderState::Shipped, None));
    assert_eq!(shop.end(paid, 400).unwrap_err().code, RefusalCode::IllegalOrderMove);
    shop.step(paid, OrderMove::Decline, 6).unwrap();
    assert_eq!(shop.order(paid).due_at, Some(at(6)), "it has arrived, and is paid");
    shop.end(paid, 6).unwrap();
    assert_eq!(shop.order(paid).state, OrderState::Completed);
    // One that is not paid is not done either once the dispute is declined.
    shop.step(unpaid, OrderMove::Decline, 6).unwrap();
    assert_eq!(shop.order(unpaid).due_at, None);
    shop.pay(unpaid, PaymentMove::Collect, 7).unwrap();
    assert_eq!(shop.order(unpaid).due_at, Some(at(79)));
    // The same of money that was set aside, and is taken only now.
    let taken = order_of(&shop.redeem(PaymentTender::Test, Split::Points(4_000), 8).unwrap());
    shop.pay(taken, PaymentMove::Authorise, 8).unwrap();
    for step in [OrderMove::Ship, OrderMove::Dispute] {
        shop.step(taken, step, 9).unwrap();
    }
    shop.pay(taken, PaymentMove::Capture, 10).unwrap();
    assert_eq!(shop.order(taken).due_at, None);
    shop.check();
}

#[test]
fn an_order_is_disputed_though_its_money_is_missing() {
    let mut shop = Shop::new();
    let order = order_of(&shop.redeem(PaymentTender::Test, Split::Points(4_000), 1).unwrap());
    shop.pay(order, PaymentMove::Authorise, 1).unwrap();
    shop.step(order, OrderMove::Complete, 2).unwrap();
    shop.pay(order, PaymentMove::Fail, 3).unwrap();
    assert_eq!((shop.order(order).state, shop.paid(order)), (OrderState::Completed, PaymentState::Due));
    shop.step(order, OrderMove::Dispute, 4).unwrap();
    assert!(shop.order(order).is_disputed());
    shop.step(order, OrderMove::Decline, 5).unwrap();
    assert!(!shop.order(order).is_disputed());
    shop.check();
}

#[test]
fn money_that_is_declined_gives_the_points_back_to_their_lots() {
    let mut shop = Shop::new();
    let before = shop.lots();
    let receipt = shop.redeem(PaymentTender::Test, Split::Points(5_000), 1).unwrap();
    let pot = order_of(&receipt);
    assert_eq!(receipt.events, [Event::PaymentWanted { order_id: pot, step: PaymentMove::Authorise }]);
    for step in [OrderMove::Fulfil, OrderMove::Ship, OrderMove::Issue, OrderMove::Complete] {
        assert_eq!(shop.step(pot, step, 2).unwrap_err().code, RefusalCode::PaymentDue, "{step:?}");
    }
    let receipt = shop.pay(pot, PaymentMove::Decline, 2).unwrap();
    assert_eq!((receipt.kind, receipt.points), (TransactionKind::Release, 5_000));
    assert_eq!(receipt.events[0], Event::PaymentFailed { order_id: pot });
    assert!(matches!(&receipt.events[1..], [Event::OrderGivenBack { points: 5_000, .. }]), "{:?}", receipt.events);
    assert_eq!((shop.order(pot).state, shop.paid(pot)), (OrderState::Cancelled, PaymentState::Declined));
    assert_eq!(shop.lots(), before, "the same lots");
    // What is confirmed late, for an order that is over, is let go.
    let late = order_of(&shop.redeem(PaymentTender::Test, Split::Points(5_000), 3).unwrap());
    let receipt = shop.step(late, OrderMove::Cancel, 4).unwrap();
    assert_eq!(receipt.events, [Event::PaymentWanted { order_id: late, step: PaymentMove::Void }]);
    let receipt = shop.pay(late, PaymentMove::Authorise, 5).unwrap();
    assert_eq!(receipt.events, [Event::PaymentWanted { order_id: late, step: PaymentMove::Void }]);
    shop.pay(late, PaymentMove::Void, 6).unwrap();
    assert_eq!(shop.lots(), before);
    shop.check();
}

#[test]
fn a_capture_that_fails_leaves_the_money_due() {
    let mut shop = Shop::new();
    let pot = order_of(&shop.redeem(PaymentTender::Test, Split::Points(5_000), 1).unwrap());
    shop.pay(pot, PaymentMove::Authorise, 1).unwrap();
    let receipt = shop.step(pot, OrderMove::Ship, 2).unwrap();
    assert_eq!(receipt.events, [Event::PaymentWanted { order_id: pot, step: PaymentMove::Capture }]);
    shop.pay(pot, PaymentMove::Fail, 3).unwrap();
    assert_eq!((shop.paid(pot), shop.order(pot).due_at), (PaymentState::Due, None));
    assert_eq!(shop.step(pot, OrderMove::Complete, 4).unwrap_err().code, RefusalCode::PaymentDue);
    shop.pay(pot, PaymentMove::Collect, 5).unwrap();
    shop.step(pot, OrderMove::Complete, 6).unwrap();
    // A journal that is cut off leaves the payment as it stood then.
    let mut cut = shop.order(pot).clone();
    let fail = cut.details.particulars.payment.as_ref().unwrap().steps[1].transaction_id;
    assert!(cut.rewind(fail, Timestamp::NEVER));
    let payment = cut.details.particulars.payment.unwrap();
    assert_eq!((payment.state(), payment.steps.len(), cut.state), (PaymentState::Authorised, 1, OrderState::Shipped));
    shop.check();
}

#[test]
fn what_is_not_offered_is_refused() {
    let mut shop = Shop::new();
    let refused = |shop: &mut Shop, command: Command| shop.decide(command).unwrap_err().code;
    let tendering = |split| Some(Tendering { tender: PaymentTender::Test, split });
    let plain = |capture| Command::redeem(ANN, "k", at(1), "pot", 1, capture).unwrap();
    let half = Some(Split::Points(3_000));
    assert_eq!(refused(&mut shop, plain(true).paid_by(tendering(half))), RefusalCode::PaymentDue);
    assert_eq!(refused(&mut shop, plain(false).paid_by(tendering(None))), RefusalCode::InvalidRequest);
    let less = plain(false).paid_by(tendering(Some(Split::Points(1))));
    assert_eq!(refused(&mut shop, less), RefusalCode::SplitNotOffered);
    // A former request has the digest that it always had; one with money has another.
    assert_eq!(plain(false).paid_by(None).request_digest, plain(false).request_digest);
    assert_ne!(plain(false).paid_by(tendering(half)).request_digest, plain(false).request_digest);
    shop.check();
}

#[test]
fn an_order_of_a_group_waits_until_the_group_is_full() {
    let mut shop = Shop::new();
    let before = shop.lots();
    let receipt = shop.join("a", 1).unwrap();
    let pot = order_of(&receipt);
    assert_eq!((receipt.points, shop.order(pot).due_at), (-4_800, Some(at(48))), "80 % of 6,000, and a day of grace");
    assert_eq!(shop.join("a", 2).unwrap(), receipt, "the same place is the same order");
    for step in [OrderMove::Fulfil, OrderMove::Ship, OrderMove::Complete, OrderMove::Cancel] {
        assert_eq!(shop.step(pot, step, 2).unwrap_err().code, RefusalCode::GroupOpen, "{step:?}");
    }
    let moves = |shop: &Shop| -> Vec<OrderMove> {
        Mover { program: &shop.program, at: at(2), channel: "api", actor: None }.moves(shop.order(pot)).collect()
    };
    assert_eq!(moves(&shop), [OrderMove::Review, OrderMove::Approve, OrderMove::Reject, OrderMove::Fail]);
    let other = order_of(&shop.join("c", 23).unwrap());
    let fill = Command::fill_group(ANN, at(25), shop.order(pot));
    let receipt = shop.decide(fill.clone()).unwrap();
    assert_eq!(receipt.events, [Event::GroupEnded { order_id: pot, full: true }]);
    assert_eq!(shop.order(pot).due_at, Some(at(73)));
    assert_eq!(shop.decide(fill).unwrap(), receipt);
    let mut cut = shop.order(pot).clone();
    assert!(cut.rewind(TransactionId(receipt.transaction_id.0), Timestamp::NEVER));
    assert!(cut.details.particulars.group.unwrap().is_open() && cut.due_at == Some(at(48)));
    let cancelled = shop.step(pot, OrderMove::Cancel, 26).unwrap();
    let mut cut = shop.order(pot).clone();
    assert!(cut.rewind(TransactionId(cancelled.transaction_id.0), Timestamp::NEVER));
    assert_eq!((cut.due_at, cut.state), (Some(at(73)), OrderState::Placed), "the group stays full");
    // Another that does not come together.
    assert_eq!(shop.join("b", 26).unwrap_err().code, RefusalCode::GroupOver);
    let give_up = Command::give_up_group(ANN, at(26), shop.order(other), "group_not_full");
    let receipt = shop.decide(give_up).unwrap();
    assert!(matches!(&receipt.events[0], Event::OrderGivenBack { reason, .. } if reason == "group_not_full"));
    assert_eq!(receipt.events[1], Event::GroupEnded { order_id: other, full: false });
    assert_eq!(shop.lots(), before);
    let late = Command::fill_group(ANN, at(26), shop.order(other));
    assert_eq!(shop.decide(late).unwrap_err().code, RefusalCode::IllegalOrderMove);
    shop.check();
}

#[test]
fn a_place_in_a_group_is_paid_in_part_with_money() {
    let mut shop = Shop::new();
    let before = shop.lots();
    let half = Some((PaymentTender::Test, Split::Points(2_400)));
    let refused = shop.join_paying("a", Some((PaymentTender::Test, Split::Points(2_399))), 1).unwrap_err();
    assert_eq!(refused.code, RefusalCode::SplitNotOffered);
    assert!(refused.message.contains("a price of 4800 points must be 2400 to 4320"), "{}", refused.message);
    let receipt = shop.join_paying("a", half, 1).unwrap();
    let pot = order_of(&receipt);
    let asked = Event::PaymentWanted { order_id: pot, step: PaymentMove::Authorise };
    assert_eq!((receipt.points, receipt.events), (-2_400, vec![asked]));
    assert_eq!(shop.order(pot).details.particulars.payment.as_ref().unwrap().amount, 2_400);
    // The same place is the same order, and no other.
    assert_eq!(order_of(&shop.join_paying("a", half, 2).unwrap()), pot);
    assert_eq!(shop.join("a", 2).unwrap_err().code, RefusalCode::IdempotencyMismatch);
    shop.pay(pot, PaymentMove::Authorise, 2).unwrap();
    assert_eq!(shop.step(pot, OrderMove::Ship, 3).unwrap_err().code, RefusalCode::GroupOpen);
    shop.decide(Command::fill_group(ANN, at(4), shop.order(pot))).unwrap();
    let shipped = shop.step(pot, OrderMove::Ship, 5).unwrap();
    assert_eq!(shipped.events, [Event::PaymentWanted { order_id: pot, step: PaymentMove::Capture }]);
    shop.pay(pot, PaymentMove::Capture, 5).unwrap();
    shop.step(pot, OrderMove::Refund, 6).unwrap();
    shop.pay(pot, PaymentMove::Return, 6).unwrap();

    // One whose money is refused leaves the group; of one that does not come together the money is let go.
    let declined = order_of(&shop.join_paying("b", half, 7).unwrap());
    let told = shop.pay(declined, PaymentMove::Decline, 7).unwrap().events;
    assert!(told.contains(&Event::GroupEnded { order_id: declined, full: false }), "{told:?}");
    let by_hand =
        order_of(&shop.join_paying("c", Some((PaymentTender::CashOnDelivery, Split::Money(1_000))), 8).unwrap());
    let kept = order_of(&shop.join_paying("d", half, 8).unwrap());
    shop.pay(kept, PaymentMove::Authorise, 8).unwrap();
    for order in [by_hand, kept] {
        let give_up = Command::give_up_group(ANN, at(25), shop.order(order), "group_not_full");
        let wanted = shop
            .decide(give_up)
            .unwrap()
            .events
            .contains(&Event::PaymentWanted { order_id: order, step: PaymentMove::Void });
        assert_eq!(wanted, order == kept, "a tender lets go what it has set aside");
    }
    shop.pay(kept, PaymentMove::Void, 25).unwrap();
    assert_eq!([shop.paid(by_hand), shop.paid(kept)], [PaymentState::Void, PaymentState::Void]);
    assert_eq!(shop.lots(), before);
    shop.check();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    /// Whatever is tried in whatever order, points, units and money add up, and no money is kept for what was given back.
    #[test]
    fn no_path_loses_points(tries in prop::collection::vec((0_usize..20, 0_usize..4), 1..40)) {
        use PaymentMove::{Authorise, Capture, Collect, Decline, Fail, Return, Void};
        let mut shop = Shop::new();
        let mut orders: Vec<OrderId> = Vec::new();
        for (index, (kind, which)) in tries.into_iter().enumerate() {
            let hours = index as i64 / 2;
            let Some(order) = orders.get(which.min(orders.len().saturating_sub(1))).copied() else {
                let tender = if kind % 2 == 0 { PaymentTender::Test } else { PaymentTender::CashOnDelivery };
                orders.extend(shop.redeem(tender, Split::Points(4_000), hours).ok().as_ref().map(order_of));
                continue;
            };
            let _ = match kind {
                0 => shop.redeem(PaymentTender::Test, Split::Money(1_234), hours).map(|made| orders.push(order_of(&made))),
                1 => shop.join(&index.to_string(), hours).map(|made| orders.push(order_of(&made))),
                2 => shop.step(order, OrderMove::Ship, hours).map(drop),
                3 => shop.step(order, OrderMove::Complete, hours).map(drop),
                4 => shop.step(order, OrderMove::Cancel, hours).map(drop),
                5 => shop.step(order, OrderMove::Refund, hours).map(drop),
                6 => { let full = Command::fill_group(ANN, at(hours), shop.order(order)); shop.decide(full).map(drop) }
                7 => {
                    let leave = Command::leave_group(ANN, at(hours), shop.order(order), "left_group");
                    shop.decide(leave).map(drop)
                }
                15 => shop.step(order, OrderMove::Dispute, hours).map(drop),
                16 => shop.step(order, OrderMove::Decline, hours).map(drop),
                17 if shop.order(order).state.funds() == Funds::Spent => { shop.delivered(order, hours); Ok(()) }
                17 => shop.end(order, hours + 100).map(drop),
                18 | 19 => {
                    let tender = if kind == 18 { PaymentTender::Test } else { PaymentTender::CashOnDelivery };
                    let joined = shop.join_paying(&index.to_string(), Some((tender, Split::Points(3_000))), hours);
                    joined.map(|made| orders.push(order_of(&made)))
                }
                kind => {
                    let step = [Authorise, Decline, Capture, Fail, Collect, Void, Return][(kind - 8) % 7];
                    shop.pay(order, step, hours).map(drop)
                }
            };
            shop.check();
            for order in shop.orders.values() {
                let Some(payment) = &order.details.particulars.payment else { continue };
                let kept = matches!(payment.state(), PaymentState::Authorised | PaymentState::Paid);
                let settled = !kept || order.state.funds() != Funds::Returned || payment.wants(Funds::Returned).is_some();
                prop_assert!(settled, "{payment:?}");
                let completed = order.state == OrderState::Completed && payment.state() == PaymentState::Due;
                prop_assert!(!completed || payment.steps.len() > 1, "completed without its money");
                // Whatever ends by itself may end.
                if order.due_at.is_some() && order.state.funds() == Funds::Spent {
                    let (end, due) = (Command::end_order(order, at(hours + 1_000), ANN), order.id);
                    let mut later = shop.clone();
                    prop_assert!(later.decide(end).is_ok(), "{:?}", later.order(due));
                }
            }
        }
    }
}
