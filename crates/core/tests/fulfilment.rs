//! Orders that cannot be fulfilled are made good, steps of the program happen once, and what carriers tell is kept.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::collections::BTreeMap;

use guerdon_core::earning::Activity;
use guerdon_core::id::{IdGenerator, MemberId, OrderId, TransactionId};
use guerdon_core::kernel::{
    Batch, Command, Committed, Event, Loaded, Mover, OrderChange, Receipt, Refusal, RefusalCode, Tracking,
};
use guerdon_core::ledger::{Account, CurrencyId, Transaction};
use guerdon_core::limits;
use guerdon_core::program::{Bundle, Program};
use guerdon_core::redemption::{Order, OrderDetails, OrderMove, OrderState, TrackingEvent, TrackingStatus};
use guerdon_core::time::Timestamp;

const ANN: MemberId = MemberId(1);
const HOUR: i64 = 3_600_000;
const DAY: i64 = 24 * HOUR;

fn program(orders: &str) -> Program {
    let file = format!(
        r#"
        currencies = [{{ id = 1, code = "points", name = "Points", per_money_unit = 100, expiry = {{ after = 10, granule = "day" }} }}]
        rules = [{{ id = "gift", name = "Gift", trigger = "survey", effect = {{ type = "issue_reward", reward = "code" }} }}]
        rewards = [
            {{ id = "code", name = "Code", price = 100, kind = {{ type = "virtual_code" }}, fulfilment = {{ by = "vault" }} }},
            {{ id = "cup", name = "Cup", price = 100 }},
            {{ id = "film", name = "Film", price = 100, kind = {{ type = "virtual_code" }}, fulfilment = {{ by = "supplier", supplier = "films" }} }},
        ]
        [program]
        id = "shop"
        name = "Shop"
        money = "CNY"
        time_zone = "UTC"
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

struct Shop {
    program: Program,
    account: Account,
    orders: BTreeMap<i64, Order>,
    committed: BTreeMap<String, Committed>,
    journal: Vec<Transaction>,
    ids: IdGenerator,
}

impl Shop {
    fn of(orders: &str) -> Self {
        let (program, ids) = (program(orders), IdGenerator::new(1));
        let (orders, committed) = (BTreeMap::new(), BTreeMap::new());
        let mut shop = Self { program, account: Account::default(), orders, committed, journal: Vec::new(), ids };
        shop.decide(Command::adjust(ANN, "a", at(0), CurrencyId(1), 1_000, "to spend").unwrap()).unwrap();
        shop
    }

    fn decide(&mut self, command: Command) -> Result<Receipt, Refusal> {
        let loaded = Loaded {
            accounts: [(ANN, self.account.clone())].into_iter().collect(),
            orders: self.orders.values().map(|order| ((order.member_id, order.id), order.clone())).collect(),
            committed: self.committed.iter().map(|(key, one)| ((ANN, key.clone()), one.clone())).collect(),
            ..Loaded::default()
        };
        let mut batch = Batch::new(&self.program, loaded, &mut self.ids, command.at);
        let reply = batch.decide(&command)?;
        let changes = batch.finish();
        for (order, _) in changes.orders {
            assert_eq!(OrderDetails::decode(&order.details.encode()).unwrap(), order.details);
            self.orders.insert(order.id.0, order);
        }
        for decision in changes.decisions {
            let transaction = decision.transaction;
            let (request_digest, receipt) = (transaction.request_digest, transaction.receipt.clone());
            self.committed.insert(transaction.idempotency_key.clone(), Committed { request_digest, receipt });
            self.journal.push(transaction);
        }
        if let Some(change) = changes.accounts.into_iter().next() {
            self.account = change.account;
        }
        Ok(serde_json::from_str(&reply.receipt).unwrap())
    }

    fn redeem(&mut self, reward: &str, hours: i64) -> OrderId {
        let key = format!("redeem-{}", self.journal.len());
        let command = Command::redeem(ANN, &key, at(hours), reward, 1, false).unwrap();
        self.decide(command).unwrap().order.unwrap().id
    }

    fn by_itself(&mut self, order: OrderId, step: OrderMove, hours: i64) -> Result<Receipt, Refusal> {
        let order = self.orders[&order.0].clone();
        let reason = step.needs_reason().then_some("codes_ran_out");
        self.decide(Command::fulfilment_step(&order, ANN, step, at(hours), reason))
    }

    fn track(&mut self, key: &str, order: OrderId, hours: i64, events: Vec<TrackingEvent>) -> Result<Receipt, Refusal> {
        self.decide(Command::track(ANN, key, at(hours), Tracking { order, owner: ANN, events })?)
    }

    fn order(&self, order: OrderId) -> &Order {
        &self.orders[&order.0]
    }

    /// The journal leads to the account.
    fn check(&self) {
        let mut followed = Account::default();
        self.journal.iter().for_each(|transaction| followed.follow(transaction).unwrap());
        assert_eq!(followed, self.account);
    }
}

#[test]
fn what_cannot_be_fulfilled_is_given_back_to_lots_that_live_for_a_week_and_told() {
    let mut shop = Shop::of("");
    let order = shop.redeem("code", 24);
    shop.by_itself(order, OrderMove::Fulfil, 24).unwrap();
    let before = shop.account.wallet(CurrencyId(1)).unwrap().lots[0].key.expires_at;
    // Nine days later the points would have half a day to live.
    let receipt = shop.by_itself(order, OrderMove::Fail, 9 * 24).unwrap();
    let event = Event::OrderGivenBack {
        order,
        reward: "code".to_owned(),
        quantity: 1,
        points: 100,
        currency: CurrencyId(1),
        reason: "codes_ran_out".to_owned(),
    };
    assert_eq!(receipt.events, [event]);
    assert_eq!((receipt.points, receipt.reason.as_deref()), (100, Some("codes_ran_out")));
    let lots = &shop.account.wallet(CurrencyId(1)).unwrap().lots;
    assert_eq!(lots.iter().map(|lot| (lot.remaining, lot.held)).collect::<Vec<_>>(), [(900, 0), (100, 0)]);
    assert_eq!(lots[0].key.expires_at, before, "what was not ordered dies when it would have");
    assert!(lots[1].key.expires_at >= at(9 * 24).plus_millis(7 * DAY), "{:?}", lots[1].key);
    assert!(lots[1].key.expires_at <= at(9 * 24).plus_millis(8 * DAY), "{:?}", lots[1].key);
    assert_eq!(shop.account.wallet(CurrencyId(1)).unwrap().lifetime.redeemed, 0);
    shop.check();
}

#[test]
fn points_that_live_longer_anyway_go_back_to_the_very_same_lots() {
    let mut shop = Shop::of("");
    let before = shop.account.wallet(CurrencyId(1)).unwrap().lots.clone();
    let order = shop.redeem("code", 1);
    shop.by_itself(order, OrderMove::Fail, 2).unwrap();
    assert_eq!(shop.account.wallet(CurrencyId(1)).unwrap().lots, before);
    assert_eq!(shop.order(order).state, OrderState::Cancelled);
    shop.check();
}

#[test]
fn points_that_have_expired_while_they_were_held_live_again() {
    let mut shop = Shop::of("");
    let order = shop.redeem("code", 1);
    shop.by_itself(order, OrderMove::Fail, 20 * 24).unwrap();
    let wallet = shop.account.wallet(CurrencyId(1)).unwrap();
    assert_eq!(wallet.spendable(at(26 * 24)), 100, "the others have expired");
    shop.check();
}

#[test]
fn what_expires_unfulfilled_is_made_good_as_well() {
    let mut shop = Shop::of("[program.orders]\nexpire_after_hours = 228");
    let order = shop.redeem("cup", 1);
    let held = shop.order(order).clone();
    let receipt = shop.decide(Command::end_order(&held, at(9 * 24 + 20), ANN)).unwrap();
    assert!(
        matches!(&receipt.events[..], [Event::OrderGivenBack { reason, .. }] if reason == "expired"),
        "{receipt:?}"
    );
    assert_eq!(shop.order(order).state, OrderState::Expired);
    assert_eq!(shop.account.wallet(CurrencyId(1)).unwrap().spendable(at(16 * 24)), 100);
    shop.check();
}

#[test]
fn what_a_supplier_is_asked_for_does_not_expire_under_it() {
    let mut shop = Shop::of("[program.orders]\nexpire_after_hours = 24");
    let (film, late) = (shop.redeem("film", 1), shop.redeem("film", 1));
    assert_eq!(shop.order(film).due_at, Some(at(25)), "until somebody begins");
    shop.by_itself(film, OrderMove::Fulfil, 2).unwrap();
    assert_eq!(shop.order(film).due_at, None);
    let end = Command::end_order(shop.order(film), at(400), ANN);
    assert_eq!(shop.decide(end).unwrap_err().code, RefusalCode::IllegalOrderMove);
    assert!(shop.program.may_fulfil(shop.order(film), at(60)));
    for step in [OrderMove::Issue, OrderMove::Complete] {
        shop.by_itself(film, step, 60).unwrap();
    }
    assert_eq!(shop.order(film).state, OrderState::Completed);
    // One that nobody has begun expires, and what is handed out of the vault is handed out at once.
    let end = Command::end_order(shop.order(late), at(61), ANN);
    shop.decide(end).unwrap();
    let code = shop.redeem("code", 61);
    shop.by_itself(code, OrderMove::Fulfil, 62).unwrap();
    assert_eq!(shop.order(code).due_at, Some(at(86)));
    shop.check();
}

#[test]
fn a_step_of_the_program_is_done_once_whoever_sends_it() {
    let mut shop = Shop::of("");
    let order = shop.redeem("code", 1);
    for step in [OrderMove::Fulfil, OrderMove::Issue, OrderMove::Complete] {
        let first = shop.by_itself(order, step, 2).unwrap();
        let entries = shop.journal.len();
        assert_eq!(shop.by_itself(order, step, 3).unwrap(), first);
        assert_eq!(shop.journal.len(), entries);
    }
    assert_eq!(shop.order(order).state, OrderState::Completed);
    assert_eq!(shop.by_itself(order, OrderMove::Fail, 4).unwrap_err().code, RefusalCode::IllegalOrderMove);
    // Nobody else may use its keys.
    let change =
        OrderChange { order, owner: ANN, step: OrderMove::Refund, reason: Some("x".to_owned()), shipment: None };
    let refused = Command::move_order(ANN, "fulfil:issue:x", at(4), change).unwrap_err();
    assert!(refused.message.contains("must not begin with `fulfil:`"), "{}", refused.message);
    shop.check();
}

#[test]
fn the_program_fulfils_what_it_may_and_leaves_the_rest_to_people() {
    let mut shop = Shop::of(
        "[program.orders]\nreview = { above_points = 100000 }\ncooling_off = { above_value = \"0.5\", hours = 2 }",
    );
    let (code, cup) = (shop.redeem("code", 1), shop.redeem("cup", 1));
    let may = |shop: &Shop, order, hours| shop.program.may_fulfil(shop.order(order), at(hours));
    assert_eq!(shop.order(code).state, OrderState::Approved);
    assert!(!may(&shop, code, 2), "it may be called off until 3");
    assert!(may(&shop, code, 3));
    assert!(!may(&shop, cup, 3), "people hand out cups");
    let mut plain = Shop::of("");
    let placed = plain.redeem("code", 1);
    assert!(may(&plain, placed, 1), "nobody reviews orders here");
    plain.by_itself(placed, OrderMove::Fail, 2).unwrap();
    assert!(!may(&plain, placed, 2));
}

fn seen(hours: i64, status: TrackingStatus, place: &str) -> TrackingEvent {
    let place = Some(place.to_owned());
    TrackingEvent { at: at(hours), status, place, text: None, transaction_id: TransactionId(0) }
}

#[test]
fn what_a_carrier_tells_is_kept_once_in_order_and_ends_the_order() {
    let mut shop = Shop::of("");
    let order = shop.redeem("cup", 1);
    let moving = || seen(5, TrackingStatus::InTransit, "Hangzhou");
    let early = shop.track("t-0", order, 5, vec![moving()]).unwrap_err();
    assert_eq!(early.code, RefusalCode::IllegalOrderMove, "it was not sent yet");
    let change = OrderChange { order, owner: ANN, step: OrderMove::Ship, reason: None, shipment: None };
    shop.decide(Command::move_order(ANN, "ship", at(4), change).unwrap()).unwrap();
    let due = shop.order(order).due_at;
    shop.track("t-1", order, 6, vec![moving()]).unwrap();
    shop.track("t-2", order, 7, vec![seen(4, TrackingStatus::Accepted, "Shanghai"), moving()]).unwrap();
    let told = |shop: &Shop| -> Vec<(Timestamp, TrackingStatus)> {
        shop.order(order).details.particulars.tracking.iter().map(|event| (event.at, event.status)).collect()
    };
    assert_eq!(told(&shop), [(at(4), TrackingStatus::Accepted), (at(5), TrackingStatus::InTransit)]);
    assert_eq!((shop.order(order).state, shop.order(order).due_at), (OrderState::Shipped, due));
    let before = shop.order(order).clone();
    shop.track("t-3", order, 30, vec![seen(29, TrackingStatus::Delivered, "Ann's door")]).unwrap();
    assert_eq!(shop.order(order).state, OrderState::Completed);
    // Later word is kept; it moves nothing any more.
    shop.track("t-4", order, 31, vec![seen(31, TrackingStatus::Trouble, "Ann's door")]).unwrap();
    assert_eq!(shop.order(order).state, OrderState::Completed);
    shop.check();

    // A database that is taken back to before the delivery knows nothing of it.
    let delivered = shop.order(order).details.history.last().unwrap().transaction_id;
    let mut rewound = shop.order(order).clone();
    assert!(rewound.rewind(delivered, at(30)));
    assert_eq!(rewound, before);
}

#[test]
fn tracking_is_bounded_and_checked() {
    let mut shop = Shop::of("");
    let order = shop.redeem("cup", 1);
    let change = OrderChange { order, owner: ANN, step: OrderMove::Ship, reason: None, shipment: None };
    shop.decide(Command::move_order(ANN, "ship", at(2), change).unwrap()).unwrap();
    for round in 0..4 {
        let events = (0..20).map(|n| seen(3 + round * 20 + n, TrackingStatus::InTransit, "road")).collect();
        shop.track(&format!("t-{round}"), order, 90, events).unwrap();
    }
    let kept = &shop.order(order).details.particulars.tracking;
    assert_eq!((kept.len(), kept.last().unwrap().at), (limits::TRACKING_EVENTS, at(82)));
    for (events, problem) in [
        (Vec::new(), "`events` must hold 1 to 20"),
        (vec![seen(2, TrackingStatus::Accepted, &"x".repeat(129))], "`place` has 129 characters"),
        (vec![seen(200, TrackingStatus::Accepted, "road")], "lies in the future"),
    ] {
        let refused = shop.track("bad", order, 90, events).unwrap_err();
        assert!(refused.message.contains(problem), "{}", refused.message);
    }
}

#[test]
fn nobody_completes_what_the_program_hands_out_but_the_program() {
    let mut shop = Shop::of("");
    let at_once = Command::redeem(ANN, "at once", at(1), "code", 1, true).unwrap();
    assert_eq!(shop.decide(at_once).unwrap_err().code, RefusalCode::IllegalOrderMove);
    let order = shop.redeem("code", 1);
    let moves = |shop: &Shop, channel| -> Vec<OrderMove> {
        Mover { program: &shop.program, at: at(2), channel, actor: None }.moves(shop.order(order)).collect()
    };
    let by_people = [OrderMove::Review, OrderMove::Approve, OrderMove::Reject, OrderMove::Fulfil];
    assert_eq!(moves(&shop, "console"), [&by_people[..], &[OrderMove::Cancel, OrderMove::Fail]].concat());
    assert!(moves(&shop, "system").contains(&OrderMove::Issue), "{:?}", moves(&shop, "system"));
    for step in [OrderMove::Issue, OrderMove::Ship, OrderMove::Complete] {
        let change = OrderChange { order, owner: ANN, step, reason: None, shipment: None };
        let by_people = Command::move_order(ANN, step.name(), at(2), change).unwrap();
        assert_eq!(shop.decide(by_people).unwrap_err().code, RefusalCode::IllegalOrderMove, "{step:?}");
    }
    for step in [OrderMove::Fulfil, OrderMove::Issue, OrderMove::Complete] {
        shop.by_itself(order, step, 2).unwrap();
    }
    assert_eq!(shop.order(order).state, OrderState::Completed);
    // Once it was handed over, people may end it.
    let change =
        OrderChange { order, owner: ANN, step: OrderMove::Refund, reason: Some("r".to_owned()), shipment: None };
    shop.decide(Command::move_order(ANN, "refund", at(3), change).unwrap()).unwrap();
    shop.check();
}

#[test]
fn what_a_rule_gives_is_handed_out_by_the_program_as_well() {
    let mut shop = Shop::of("");
    let survey = Activity { kind: "survey".to_owned(), ..Activity::default() };
    let command = Command::record(&shop.program, ANN, "survey", &survey, at(1), Timestamp::ZERO).unwrap();
    shop.decide(command).unwrap();
    let gift = shop.orders.values().next().unwrap().clone();
    assert_eq!((gift.state, gift.points), (OrderState::Approved, 0));
    assert!(shop.program.may_fulfil(&gift, at(1)));
    for step in [OrderMove::Fulfil, OrderMove::Issue, OrderMove::Complete] {
        shop.by_itself(gift.id, step, 1).unwrap();
    }
    assert_eq!(shop.order(gift.id).state, OrderState::Completed);
    shop.check();
}
