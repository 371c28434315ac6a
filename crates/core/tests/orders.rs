//! Orders move through their states, and their points and units with them: no path loses one or makes one.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::collections::BTreeMap;

use guerdon_core::id::{IdGenerator, MemberId, OrderId};
use guerdon_core::kernel::{Action, Batch, Command, Loaded, Mover, OrderChange, Receipt, Refusal, RefusalCode};
use guerdon_core::ledger::{Account, CurrencyId, Transaction, TransactionKind};
use guerdon_core::program::{Bundle, Program};
use guerdon_core::redemption::{Funds, Order, OrderMove, OrderState, Shipment};
use guerdon_core::rewards::StockLevel;
use guerdon_core::time::Timestamp;
use proptest::prelude::*;

const ANN: MemberId = MemberId(1);
const HOUR: i64 = 3_600_000;
const STOCK: i64 = 20;

fn program(orders: &str) -> Program {
    let file = format!(
        r#"
        currencies = [{{ id = 1, code = "points", name = "Points", per_money_unit = 100, expiry = {{ after = 12, granule = "month" }} }}]
        rules = []
        rewards = [{{ id = "cup", name = "Cup", price = 100, stock = {STOCK} }}, {{ id = "lamp", name = "Lamp", price = 60000 }}]
        [program]
        id = "shop"
        name = "Shop"
        money = "CNY"
        time_zone = "Asia/Shanghai"
        [program.orders]
        {orders}
        "#
    );
    let mut documents = Bundle::parse(&file).unwrap().documents().unwrap();
    documents.iter_mut().for_each(|document| document.version = 1);
    Program::from_documents(&documents).unwrap()
}

fn at(hours: i64) -> Timestamp {
    Timestamp::parse_rfc3339("2026-03-02T08:00:00Z").unwrap().plus_millis(hours * HOUR)
}

/// A member with points, her orders and the stock, as a store keeps them.
struct Shop {
    program: Program,
    account: Account,
    orders: BTreeMap<i64, Order>,
    stock: StockLevel,
    journal: Vec<Transaction>,
    ids: IdGenerator,
}

impl Shop {
    fn of(orders: &str) -> Self {
        let (account, ids) = (Account::default(), IdGenerator::new(1));
        let (program, stock) = (program(orders), StockLevel::new(STOCK));
        let mut shop = Self { program, account, orders: BTreeMap::new(), stock, journal: Vec::new(), ids };
        shop.decide(Command::adjust(ANN, "a", at(0), CurrencyId(1), 100_000, "to spend").unwrap()).unwrap();
        shop
    }

    fn decide(&mut self, command: Command) -> Result<Receipt, Refusal> {
        let orders = self.orders.values().map(|order| ((order.member_id, order.id), order.clone())).collect();
        let loaded = Loaded {
            accounts: [(ANN, self.account.clone())].into_iter().collect(),
            orders,
            stock: [("cup".to_owned(), self.stock)].into_iter().collect(),
            ..Loaded::default()
        };
        let mut batch = Batch::new(&self.program, loaded, &mut self.ids, command.at);
        let reply = batch.decide(&command)?;
        let changes = batch.finish();
        for (order, _) in changes.orders {
            let stored = guerdon_core::redemption::OrderDetails::decode(&order.details.encode()).unwrap();
            assert_eq!(stored, order.details);
            self.orders.insert(order.id.0, order);
        }
        for change in changes.stock.values() {
            self.stock = self.stock.plus(*change);
        }
        self.journal.extend(changes.decisions.into_iter().map(|decision| decision.transaction));
        self.account = changes.accounts.into_iter().next().unwrap().account;
        Ok(serde_json::from_str(&reply.receipt).unwrap())
    }

    fn redeem(&mut self, reward: &str, hours: i64, risk: Option<i64>) -> Result<OrderId, Refusal> {
        let key = format!("redeem-{}", self.journal.len());
        let command = Command::redeem(ANN, &key, at(hours), reward, 1, false).unwrap().with_risk(risk).unwrap();
        self.decide(command).map(|receipt| receipt.order.unwrap().id)
    }

    fn step(&mut self, order: OrderId, step: OrderMove, hours: i64, actor: &str) -> Result<Receipt, Refusal> {
        let reason = step.needs_reason().then(|| "for the test".to_owned());
        let change = OrderChange { order, owner: ANN, step, reason, shipment: None };
        let key = format!("step-{}", self.journal.len());
        let command = Command::move_order(ANN, &key, at(hours), change).unwrap().by(actor.to_owned());
        // What is offered is what is done, whatever else stands in the way.
        let (at, channel, actor) = (command.at, command.channel.clone(), command.actor.clone());
        let mover = Mover { program: &self.program, at, channel: &channel, actor: actor.as_deref() };
        let offered = mover.moves(self.order(order)).any(|offered| offered == step);
        let done = self.decide(command);
        assert_eq!(offered, done.is_ok(), "{step:?}: {done:?}");
        done
    }

    fn refused(&mut self, order: OrderId, step: OrderMove, hours: i64) -> RefusalCode {
        self.step(order, step, hours, "opr_1").unwrap_err().code
    }

    fn order(&self, order: OrderId) -> &Order {
        &self.orders[&order.0]
    }

    /// What the orders say is held and spent is what the wallet and the stock say, and the journal leads there.
    fn check(&self) {
        let sum = |funds: Funds, of: &dyn Fn(&Order) -> i64| -> i64 {
            self.orders.values().filter(|order| order.state.funds() == funds).map(of).sum()
        };
        let wallet = self.account.wallet(CurrencyId(1)).unwrap();
        let (held, spent) = (sum(Funds::Held, &|one| one.points), sum(Funds::Spent, &|one| one.points));
        assert_eq!(wallet.balance().held, held);
        assert_eq!(wallet.balance().available, 100_000 - held - spent);
        let cups = |order: &Order| if order.reward_id == "cup" { order.quantity } else { 0 };
        assert_eq!((self.stock.reserved, self.stock.issued), (sum(Funds::Held, &cups), sum(Funds::Spent, &cups)));
        let mut followed = Account::default();
        self.journal.iter().for_each(|transaction| followed.follow(transaction).unwrap());
        assert_eq!(followed, self.account);
        for order in self.orders.values() {
            let last = order.details.history.last().unwrap();
            assert_eq!((last.state, last.at, last.due_at), (order.state, order.updated_at, order.due_at));
        }
    }
}

#[test]
fn an_order_above_the_limit_is_reviewed_by_one_person_and_shipped() {
    let mut shop = Shop::of(r#"review = { above_value = "500" }"#);
    let cup = shop.redeem("cup", 1, None).unwrap();
    assert_eq!(shop.order(cup).state, OrderState::Approved, "worth ¥1");
    let lamp = shop.redeem("lamp", 1, None).unwrap();
    assert_eq!(shop.order(lamp).state, OrderState::InReview, "worth ¥600");
    let states: Vec<OrderState> = shop.order(lamp).details.history.iter().map(|step| step.state).collect();
    assert_eq!(states, [OrderState::Placed, OrderState::InReview]);
    assert_eq!(shop.refused(lamp, OrderMove::Ship, 2), RefusalCode::IllegalOrderMove);

    shop.step(lamp, OrderMove::Claim, 2, "opr_1").unwrap();
    assert_eq!(shop.order(lamp).details.claimed_by.as_deref(), Some("opr_1"));
    let refusal = shop.step(lamp, OrderMove::Approve, 2, "opr_2").unwrap_err();
    assert_eq!((refusal.code, refusal.message.contains("looked at by opr_1")), (RefusalCode::InReview, true));
    let receipt = shop.step(lamp, OrderMove::Approve, 3, "opr_1").unwrap();
    assert_eq!((receipt.kind, receipt.points), (TransactionKind::Order, 0));
    shop.check();

    let shipment = Shipment { carrier: "SF".to_owned(), tracking_number: "SF-1".to_owned() };
    let change = |step, shipment| OrderChange { order: lamp, owner: ANN, step, reason: None, shipment };
    let early = Command::move_order(ANN, "k", at(4), change(OrderMove::Fulfil, Some(shipment.clone())));
    assert!(early.unwrap_err().message.contains("`shipment` is for the move `ship`"));
    let ship = Command::move_order(ANN, "ship", at(4), change(OrderMove::Ship, Some(shipment.clone()))).unwrap();
    let receipt = shop.decide(ship).unwrap();
    assert_eq!((receipt.kind, receipt.order.unwrap().state), (TransactionKind::Capture, OrderState::Shipped));
    assert_eq!(shop.order(lamp).details.shipment, Some(shipment));
    assert_eq!(shop.step(lamp, OrderMove::Complete, 5, "opr_1").unwrap().kind, TransactionKind::Order);
    assert_eq!(shop.step(lamp, OrderMove::Refund, 6, "opr_1").unwrap().points, 60_000);
    let refusal = shop.step(lamp, OrderMove::Refund, 6, "opr_1").unwrap_err();
    assert!(refusal.message.contains("is refunded, and cannot refund; possible is nothing"), "{}", refusal.message);
    shop.check();
}

#[test]
fn a_risk_engine_has_its_say() {
    let mut shop = Shop::of("review = { above_risk = 60, refuse_above_risk = 90 }");
    assert_eq!(shop.redeem("cup", 1, Some(91)).unwrap_err().code, RefusalCode::TooRisky);
    for (risk, state) in
        [(None, OrderState::Approved), (Some(60), OrderState::Approved), (Some(61), OrderState::InReview)]
    {
        let order = shop.redeem("cup", 1, risk).unwrap();
        assert_eq!(shop.order(order).state, state, "{risk:?}");
    }
    let command = |risk| Command::redeem(ANN, "now", at(1), "cup", 1, true).unwrap().with_risk(risk);
    assert!(command(Some(101)).unwrap_err().message.contains("`risk_score` must be 0 to 100, not 101"));
    // What is to be reviewed cannot be spent at once; what is not can.
    assert_eq!(shop.decide(command(Some(61)).unwrap()).unwrap_err().code, RefusalCode::InReview);
    assert_eq!(shop.decide(command(Some(1)).unwrap()).unwrap().order.unwrap().state, OrderState::Completed);
    shop.check();
}

#[test]
fn what_is_dear_may_be_called_off_for_a_day_and_is_not_fulfilled_before() {
    let mut shop = Shop::of("cooling_off = { above_value = \"500\" }\nexpire_after_hours = 48");
    let lamp = shop.redeem("lamp", 1, None).unwrap();
    assert_eq!(shop.order(lamp).details.cooling_until, Some(at(25)));
    assert_eq!(shop.order(lamp).due_at, Some(at(73)), "two days from when it could be fulfilled");
    for step in [OrderMove::Fulfil, OrderMove::Ship, OrderMove::Issue, OrderMove::Complete] {
        assert_eq!(shop.refused(lamp, step, 24), RefusalCode::CoolingOff, "{step:?}");
    }
    shop.step(lamp, OrderMove::Fulfil, 25, "opr_1").unwrap();
    let at_once = Command::redeem(ANN, "now", at(26), "lamp", 1, true).unwrap();
    assert_eq!(shop.decide(at_once).unwrap_err().code, RefusalCode::InsufficientPoints);
    shop.step(lamp, OrderMove::Cancel, 26, "opr_1").unwrap();
    let at_once = Command::redeem(ANN, "now", at(26), "lamp", 1, true).unwrap();
    assert_eq!(shop.decide(at_once).unwrap_err().code, RefusalCode::CoolingOff);
    let again = shop.redeem("lamp", 27, None).unwrap();
    let receipt = shop.step(again, OrderMove::Cancel, 28, "mem_1").unwrap();
    assert_eq!((receipt.kind, receipt.points), (TransactionKind::Release, 60_000));
    shop.check();
}

#[test]
fn what_nobody_comes_back_to_ends_by_itself_once() {
    let mut shop = Shop::of("expire_after_hours = 48\ncomplete_after_hours = 72");
    let (kept, forgotten) = (shop.redeem("cup", 1, None).unwrap(), shop.redeem("cup", 1, None).unwrap());
    shop.step(kept, OrderMove::Ship, 2, "opr_1").unwrap();
    assert_eq!(shop.order(kept).due_at, Some(at(74)));
    let end = |shop: &Shop, order, hours| Command::end_order(shop.order(order), at(hours), ANN);
    let early = end(&shop, forgotten, 48);
    assert_eq!(shop.decide(early).unwrap_err().code, RefusalCode::IllegalOrderMove, "its time has not run out");
    // From then on it can only end, whoever comes.
    for step in [OrderMove::Complete, OrderMove::Fulfil, OrderMove::Approve] {
        assert_eq!(shop.refused(forgotten, step, 49), RefusalCode::OrderExpired, "{step:?}");
    }
    let late = end(&shop, forgotten, 50);
    let receipt = shop.decide(late.clone()).unwrap();
    assert_eq!((receipt.kind, receipt.points), (TransactionKind::Release, 100));
    assert_eq!(shop.decide(late).unwrap_err().code, RefusalCode::IllegalOrderMove);
    let done = end(&shop, kept, 74);
    assert_eq!(shop.decide(done).unwrap().order.unwrap().state, OrderState::Completed);
    assert_eq!((shop.order(kept).due_at, shop.order(forgotten).due_at), (None, None));
    shop.check();
}

#[test]
fn a_disputed_order_waits_for_a_decision_and_is_disputed_once() {
    let mut shop = Shop::of("complete_after_hours = 72\ndispute_hours = 48");
    let cup = shop.redeem("cup", 1, None).unwrap();
    assert_eq!(shop.refused(cup, OrderMove::Dispute, 1), RefusalCode::IllegalOrderMove, "nothing was sent yet");
    shop.step(cup, OrderMove::Ship, 2, "opr_1").unwrap();
    let policy = shop.program.settings_at(at(2)).orders.clone();
    assert_eq!(shop.order(cup).disputable_until(&policy), Some(at(50)));
    assert_eq!(shop.refused(cup, OrderMove::Decline, 3), RefusalCode::IllegalOrderMove, "there is no dispute");
    let receipt = shop.step(cup, OrderMove::Dispute, 3, "mem_1").unwrap();
    assert_eq!((receipt.kind, receipt.points), (TransactionKind::Order, 0));
    let disputed = shop.order(cup).clone();
    assert_eq!((disputed.state, disputed.due_at, disputed.is_disputed()), (OrderState::Shipped, None, true));
    assert_eq!(disputed.disputable_until(&policy), None);
    assert_eq!(shop.refused(cup, OrderMove::Dispute, 4), RefusalCode::IllegalOrderMove);
    // Once it is declined the order goes on, and is not disputed again.
    shop.step(cup, OrderMove::Decline, 60, "opr_1").unwrap();
    let order = shop.order(cup).clone();
    assert_eq!((order.due_at, order.is_disputed(), order.handed_over_at()), (Some(at(132)), false, Some(at(2))));
    assert_eq!(shop.refused(cup, OrderMove::Dispute, 61), RefusalCode::IllegalOrderMove);
    assert_eq!(shop.refused(cup, OrderMove::Decline, 61), RefusalCode::IllegalOrderMove);
    shop.check();
    // Whoever takes entries of the journal back takes the dispute back as well.
    let entry = |order: &Order, back: usize| order.details.history.iter().rev().nth(back).unwrap().transaction_id;
    let mut earlier = order.clone();
    assert!(earlier.rewind(entry(&order, 0), Timestamp::NEVER));
    assert!(earlier.is_disputed() && earlier.due_at.is_none());
    assert!(earlier.rewind(entry(&order, 1), Timestamp::NEVER));
    assert_eq!((earlier.details.particulars.dispute, earlier.due_at), (None, Some(at(74))));
}

#[test]
fn a_dispute_ends_with_a_refund_and_comes_in_time() {
    let mut shop = Shop::of("dispute_hours = 48");
    let (broken, late) = (shop.redeem("cup", 1, None).unwrap(), shop.redeem("cup", 1, None).unwrap());
    shop.step(broken, OrderMove::Ship, 2, "opr_1").unwrap();
    shop.step(broken, OrderMove::Complete, 40, "opr_1").unwrap();
    shop.step(broken, OrderMove::Dispute, 87, "mem_1").unwrap();
    shop.step(broken, OrderMove::Refund, 90, "opr_1").unwrap();
    let end = shop.order(broken).details.particulars.dispute.clone().unwrap().ended.unwrap();
    assert!(end.refunded && end.at == at(90) && !shop.order(broken).is_disputed());
    shop.step(late, OrderMove::Issue, 90, "opr_1").unwrap();
    assert_eq!(shop.refused(late, OrderMove::Dispute, 138), RefusalCode::DisputeClosed);
    shop.check();
    let mut none = Shop::of("");
    let cup = none.redeem("cup", 1, None).unwrap();
    none.step(cup, OrderMove::Complete, 1, "opr_1").unwrap();
    assert_eq!(none.refused(cup, OrderMove::Dispute, 1), RefusalCode::DisputeClosed, "the program takes none");
}

#[test]
fn an_order_goes_back_to_where_it_stood_before_an_entry_of_the_journal() {
    let mut shop = Shop::of("review = { above_points = 0 }\nexpire_after_hours = 48");
    let cup = shop.redeem("cup", 1, None).unwrap();
    let mut stood = vec![shop.order(cup).clone()];
    for (hours, step) in [(2, OrderMove::Claim), (3, OrderMove::Approve), (4, OrderMove::Ship), (5, OrderMove::Refund)]
    {
        shop.step(cup, step, hours, "opr_1").unwrap();
        stood.push(shop.order(cup).clone());
    }
    let last = shop.order(cup).clone();
    for before in stood.iter().rev() {
        let from = before.details.history.last().unwrap().transaction_id.0 + 1;
        let mut order = last.clone();
        assert!(order.rewind(guerdon_core::id::TransactionId(from), Timestamp::NEVER));
        let expected = Order { details: before.details.clone(), ..before.clone() };
        // Who reviewed it is kept as long as it is reviewed.
        let claimed_by = expected.details.claimed_by.clone().filter(|_| expected.state == OrderState::InReview);
        order.details.claimed_by = order.details.claimed_by.filter(|_| expected.state == OrderState::InReview);
        assert_eq!(order.details.claimed_by, claimed_by);
        assert_eq!(
            (order.state, order.due_at, order.updated_at),
            (expected.state, expected.due_at, expected.updated_at)
        );
        assert_eq!(order.details.history, expected.details.history);
    }
}

fn steps() -> impl Strategy<Value = Vec<(usize, usize, i64)>> {
    proptest::collection::vec((0..4_usize, 0..OrderMove::ALL.len() + 3, 0..30_i64), 1..60)
}

proptest! {
    /// Whatever is asked of whichever order, in whichever order: points and units are where the orders say.
    #[test]
    fn no_path_loses_points_or_stock(
        steps in steps(),
        policy in prop::sample::select(vec![
            "",
            "expire_after_hours = 12",
            "complete_after_hours = 5\nreview = { above_points = 50 }",
            "cooling_off = { above_value = \"0.5\", hours = 6 }\nexpire_after_hours = 24\nreview = { above_value = \"500\" }",
        ]),
    ) {
        let mut shop = Shop::of(policy);
        let mut hours = 1;
        for (which, what, later) in steps {
            hours += later / 10;
            let known: Vec<OrderId> = shop.orders.values().map(|order| order.id).collect();
            let order = known.get(which % known.len().max(1)).copied();
            let _ = match (OrderMove::ALL.get(what), order) {
                (Some(step), Some(order)) => shop.step(order, *step, hours, "opr_1").map(drop),
                (None, Some(order)) if what == OrderMove::ALL.len() => {
                    let end = Command::end_order(shop.order(order), at(hours), ANN);
                    shop.decide(end).map(drop)
                }
                (_, _) => shop.redeem(["cup", "lamp"][which % 2], hours, None).map(drop),
            };
            shop.check();
        }
    }
}

#[test]
fn a_move_that_says_nothing_of_why_is_refused_where_a_reason_is_due() {
    let change = |step, reason: Option<&str>| {
        let reason = reason.map(str::to_owned);
        Command::move_order(
            ANN,
            "k",
            at(0),
            OrderChange { order: OrderId(9), owner: ANN, step, reason, shipment: None },
        )
    };
    assert!(change(OrderMove::Reject, None).unwrap_err().message.contains("`reason` is needed to reject an order"));
    assert_eq!(change(OrderMove::Reject, Some(" ")).unwrap_err().code, RefusalCode::InvalidRequest);
    // As earlier versions wrote them: a retry of a request from before the states had names is known.
    let capture = Command::capture(ANN, "k", at(0), OrderId(9)).unwrap();
    let Action::Move(change) = &capture.action else { panic!("a move") };
    assert_eq!(change.step, OrderMove::Complete);
    let digest = <sha2::Sha256 as sha2::Digest>::digest(serde_json::to_vec(&("capture", OrderId(9))).unwrap());
    assert_eq!(capture.request_digest.as_slice(), digest.as_slice());
}
