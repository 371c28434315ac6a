//! What an order is for is handed out against its voucher once, with the place on record.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use guerdon_core::earning::Activity;
use guerdon_core::id::{IdGenerator, MemberId, OrderId};
use guerdon_core::kernel::{Batch, Command, HandOut, Loaded, OrderChange, Receipt, Refusal, RefusalCode};
use guerdon_core::ledger::{Account, CurrencyId, TransactionKind};
use guerdon_core::program::{Bundle, Program};
use guerdon_core::redemption::{HandedOut, Order, OrderDetails, OrderMove, OrderState, VoucherStanding};
use guerdon_core::time::Timestamp;

const ANN: MemberId = MemberId(1);
const BOB: MemberId = MemberId(2);
const HOUR: i64 = 3_600_000;

struct Shop {
    program: Program,
    account: Account,
    order: Option<Order>,
    ids: IdGenerator,
}

fn at(hours: i64) -> Timestamp {
    Timestamp::parse_rfc3339("2026-03-02T08:00:00Z").unwrap().plus_millis(hours * HOUR)
}

impl Shop {
    fn of(orders: &str) -> Self {
        let file = format!(
            r#"
            program = {{ id = "shop", name = "Shop", money = "CNY", time_zone = "Asia/Shanghai", orders = {{ {orders} }} }}
            currencies = [{{ id = 1, code = "points", name = "Points", per_money_unit = 100 }}]
            rules = [{{ id = "gift", name = "Gift", trigger = "survey", effect = {{ type = "issue_reward", reward = "tea" }} }}]
            rewards = [{{ id = "tea", name = "Tea", price = 100, pickup = true }}]"#
        );
        let program = Program::from_documents(&Bundle::parse(&file).unwrap().documents().unwrap()).unwrap();
        let mut shop = Self { program, account: Account::default(), order: None, ids: IdGenerator::new(1) };
        shop.decide(&Command::adjust(ANN, "a", at(0), CurrencyId(1), 1_000, "to spend").unwrap()).unwrap();
        shop.decide(&Command::redeem(ANN, "r", at(0), "tea", 2, false).unwrap()).unwrap();
        shop
    }

    fn decide(&mut self, command: &Command) -> Result<Receipt, Refusal> {
        let orders = self.order.iter().map(|order| ((ANN, order.id), order.clone())).collect();
        let accounts = [(ANN, self.account.clone()), (BOB, Account::default())].into_iter().collect();
        let loaded = Loaded { accounts, orders, ..Loaded::default() };
        let mut batch = Batch::new(&self.program, loaded, &mut self.ids, command.at);
        let reply = batch.decide(command)?;
        let mut changes = batch.finish();
        self.account = changes.accounts.remove(0).account;
        if let Some((order, _)) = changes.orders.pop() {
            assert_eq!(OrderDetails::decode(&order.details.encode()).as_ref(), Ok(&order.details));
            self.order = Some(order);
        }
        Ok(serde_json::from_str(&reply.receipt).unwrap())
    }

    fn order(&self) -> &Order {
        self.order.as_ref().unwrap()
    }

    fn id(&self) -> OrderId {
        self.order().id
    }

    fn hand_out(&mut self, key: &str, hours: i64, store: &str) -> Result<Receipt, Refusal> {
        let place = HandedOut { at: at(hours), store: store.to_owned(), terminal: "till 3".to_owned() };
        let wanted = HandOut { order: self.id(), owner: ANN, place };
        self.decide(&Command::hand_out(ANN, key, at(hours), wanted).unwrap())
    }

    fn step(&mut self, step: OrderMove, hours: i64) {
        let (order, key) = (self.id(), format!("{step:?}{hours}"));
        let change = OrderChange { order, owner: ANN, step, reason: Some("why".to_owned()), shipment: None };
        self.decide(&Command::move_order(ANN, &key, at(hours), change).unwrap()).unwrap();
    }

    fn standing(&self, hours: i64) -> VoucherStanding {
        VoucherStanding::of(self.order(), at(hours))
    }
}

#[test]
fn what_a_rule_gives_is_handed_out_against_a_voucher_as_well() {
    let mut shop = Shop::of("expire_after_hours = 48");
    let bought = shop.id();
    let survey = Activity { kind: "survey".to_owned(), ..Activity::default() };
    let command = Command::record(&shop.program, ANN, "survey", &survey, at(1), Timestamp::ZERO).unwrap();
    shop.decide(&command).unwrap();
    assert_ne!(shop.id(), bought);
    assert_eq!((shop.order().state, shop.order().points, shop.order().due_at), (OrderState::Approved, 0, Some(at(49))));
    assert_eq!((shop.standing(1), shop.standing(49)), (VoucherStanding::Good, VoucherStanding::Over));
    shop.hand_out("h", 2, "North").unwrap();
    assert_eq!((shop.order().state, shop.standing(2)), (OrderState::Completed, VoucherStanding::HandedOut));
    assert_eq!(shop.hand_out("i", 3, "South").unwrap_err().code, RefusalCode::VoucherRedeemed);
}

#[test]
fn a_second_terminal_is_told_when_and_where_it_was() {
    let mut shop = Shop::of("");
    assert_eq!(shop.standing(1), VoucherStanding::Good);
    let receipt = shop.hand_out("h", 1, "North").unwrap();
    assert_eq!(
        (receipt.kind, receipt.order.as_ref().unwrap().state),
        (TransactionKind::Capture, OrderState::Completed)
    );
    let place = receipt.order.unwrap().handed_out.unwrap();
    assert_eq!((place.at, place.store.as_str(), place.terminal.as_str()), (at(1), "North", "till 3"));
    assert_eq!((shop.standing(2), shop.account.available()), (VoucherStanding::HandedOut, 800));
    let refusal = shop.hand_out("i", 2, "South").unwrap_err();
    assert_eq!(refusal.code, RefusalCode::VoucherRedeemed);
    for part in ["2026-03-02T09:00:00", "North", "till 3"] {
        assert!(refusal.message.contains(part), "{}", refusal.message);
    }
    assert_eq!(shop.order().details.particulars.handed_out.as_ref().unwrap().store, "North");
    // A restored backup knows nothing of what it took back, and the voucher is good again.
    let from = shop.order().details.history.last().unwrap().transaction_id;
    let mut order = shop.order().clone();
    assert!(order.rewind(from, at(1)));
    assert_eq!((order.state, order.details.particulars.handed_out.clone()), (OrderState::Placed, None));
}

#[test]
fn nobody_is_told_of_orders_of_others() {
    let mut shop = Shop::of("");
    let place = HandedOut { at: at(2), store: "South".to_owned(), terminal: "till 3".to_owned() };
    let wanted = HandOut { order: shop.id(), owner: ANN, place };
    let command = Command::hand_out(BOB, "b", at(2), wanted).unwrap();
    assert_eq!(shop.decide(&command).unwrap_err().code, RefusalCode::UnknownOrder);
    shop.hand_out("h", 1, "North").unwrap();
    let refusal = shop.decide(&command).unwrap_err();
    assert_eq!(refusal.code, RefusalCode::UnknownOrder, "{}", refusal.message);
}

#[test]
fn what_is_refunded_or_was_sent_is_not_handed_out() {
    let mut shop = Shop::of("");
    shop.hand_out("h", 1, "North").unwrap();
    shop.step(OrderMove::Refund, 2);
    assert_eq!((shop.standing(3), shop.account.available()), (VoucherStanding::Over, 1_000));
    assert_eq!(shop.hand_out("i", 3, "North").unwrap_err().code, RefusalCode::IllegalOrderMove);
    let mut shop = Shop::of("");
    shop.step(OrderMove::Ship, 1);
    assert_eq!(shop.standing(2), VoucherStanding::Over);
    assert_eq!(shop.hand_out("h", 2, "North").unwrap_err().code, RefusalCode::IllegalOrderMove);
}

#[test]
fn a_voucher_waits_for_a_review_and_ends_with_its_order() {
    let mut shop = Shop::of("review = { above_points = 100 }, expire_after_hours = 48");
    assert_eq!(shop.standing(1), VoucherStanding::NotYet);
    assert_eq!(shop.hand_out("h", 1, "North").unwrap_err().code, RefusalCode::IllegalOrderMove);
    shop.step(OrderMove::Approve, 1);
    assert_eq!((shop.standing(2), shop.standing(49)), (VoucherStanding::Good, VoucherStanding::Over));
    assert_eq!(shop.hand_out("i", 49, "North").unwrap_err().code, RefusalCode::OrderExpired);
    let mut shop = Shop::of("cooling_off = { above_value = \"1\" }");
    assert_eq!((shop.standing(23), shop.standing(24)), (VoucherStanding::NotYet, VoucherStanding::Good));
    assert_eq!(shop.hand_out("h", 23, "North").unwrap_err().code, RefusalCode::CoolingOff);
    assert!(shop.hand_out("i", 24, "North").is_ok());
}

#[test]
fn a_place_must_be_said_and_lie_in_the_past() {
    let shop = Shop::of("");
    let command = |hours, store: &str| {
        let place = HandedOut { at: at(hours), store: store.to_owned(), terminal: "till 3".to_owned() };
        Command::hand_out(ANN, "h", at(1), HandOut { order: shop.id(), owner: ANN, place })
    };
    assert_eq!(command(3, "North").unwrap_err().code, RefusalCode::OccurredInFuture);
    assert!(command(0, " ").unwrap_err().message.contains("`store` is empty"));
}
