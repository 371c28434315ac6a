//! Ends that the simulation's program does not come to, over effects that are answered by hand.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use guerdon_core::fulfilment::{Called, Delivery, DeliveryKey, Item, Said, Stage, Terms, Undoing};
use guerdon_core::id::{MemberId, OrderId};
use guerdon_core::kernel::{Command, Refusal, RefusalCode};
use guerdon_core::ledger::CurrencyId;
use guerdon_core::program::{Bundle, Program};
use guerdon_core::redemption::{Order, OrderDetails, OrderState};
use guerdon_core::time::Timestamp;
use guerdon_store::{CodeFate, RamStore, Record, RecordChange, StoreError, load_program, publish};

use super::*;

const START: Timestamp = Timestamp::from_millis(1_800_000_000_000);
const KEY: DeliveryKey = DeliveryKey { order: OrderId(7), part: None };

const PROGRAM: &str = r#"
[program]
id = "club"
name = "Club"
money = "GBP"
time_zone = "Europe/London"

[[currencies]]
id = 1
code = "points"
name = "Points"
per_money_unit = 100
expiry = { after = 24, granule = "month" }

[[rewards]]
id = "credit"
name = "Credit"
price = 100
kind = { type = "virtual_code" }
fulfilment = { by = "supplier", supplier = "acme" }
"#;

#[derive(Debug)]
struct Problem(#[allow(dead_code)] String);

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        Self(refusal.message)
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        Self(error.to_string())
    }
}

#[derive(Clone, Copy)]
struct Kept(Terms);

impl AsRef<Terms> for Kept {
    fn as_ref(&self) -> &Terms {
        &self.0
    }
}

/// Whatever happens to one order, which the kernel refuses to move with `refuses`.
struct ByHand {
    program: Arc<Program>,
    order: Order,
    supplier: Option<Kept>,
    refuses: Option<RefusalCode>,
    now: Timestamp,
    records: Mutex<BTreeMap<(String, String), Record>>,
    moved: Mutex<Vec<String>>,
}

impl ByHand {
    fn new(supplier: Option<Kept>) -> Self {
        let mut store = RamStore::new();
        publish(&mut store, &Bundle::parse(PROGRAM).unwrap(), START.plus_millis(-1)).unwrap();
        let order = Order {
            id: KEY.order,
            member_id: MemberId(1),
            reward_id: "credit".to_owned(),
            quantity: 1,
            points: 100,
            currency: CurrencyId(1),
            state: OrderState::Fulfilling,
            holds: Vec::new(),
            created_at: START,
            updated_at: START,
            due_at: None,
            details: OrderDetails::default(),
        };
        Self {
            program: Arc::new(load_program(&mut store).unwrap()),
            order,
            supplier,
            refuses: None,
            now: START,
            records: Mutex::default(),
            moved: Mutex::default(),
        }
    }

    fn keep(&self, delivery: &Delivery) {
        let record = Record::new(DELIVERY, &KEY.to_string(), &delivery.supplier, delivery).unwrap();
        let record = Record { version: 1, ..record };
        self.records.lock().unwrap().insert((record.kind.clone(), record.id.clone()), record);
    }

    fn differences(&self) -> Vec<String> {
        let records = self.records.lock().unwrap();
        let differences = records.values().filter(|record| record.kind == DIFFERENCE);
        differences.map(|record| record.read::<Difference>().unwrap().what).collect()
    }

    fn delivery(&self) -> Delivery {
        self.records.lock().unwrap()[&(DELIVERY.to_owned(), KEY.to_string())].read().unwrap()
    }
}

impl Effects for ByHand {
    type Error = Problem;
    type Supplier = Kept;
    type Place = ();

    fn program(&self) -> Arc<Program> {
        Arc::clone(&self.program)
    }
    fn now(&self) -> Timestamp {
        self.now
    }
    fn clock(&self) -> Timestamp {
        self.now
    }
    fn chance(&self) -> i64 {
        0
    }
    fn place(&self, _: &str) -> Option<()> {
        Some(())
    }
    fn tell(&self, _: Happened<'_>) {}
    fn look_again(&self, _: OrderId) {}
    async fn order(&self, _: OrderId) -> Result<Option<Order>, Problem> {
        Ok(Some(self.order.clone()))
    }
    async fn mover(&self, order: &Order) -> Result<MemberId, Problem> {
        Ok(order.member_id)
    }
    async fn supplier(&self, _: &str) -> Result<Option<Kept>, Problem> {
        Ok(self.supplier)
    }
    async fn record(&self, kind: &str, id: &str) -> Result<Option<Record>, Problem> {
        Ok(self.records.lock().unwrap().get(&(kind.to_owned(), id.to_owned())).cloned())
    }
    async fn differences(&self, _: &str) -> Result<usize, Problem> {
        Ok(0)
    }
    async fn submit(&self, commands: Vec<Command>) -> Result<Vec<Result<(), Refusal>>, Problem> {
        self.moved.lock().unwrap().extend(commands.iter().map(|command| command.idempotency_key.clone()));
        let answer = |_| self.refuses.map_or(Ok(()), |code| Err(Refusal::new(code, "by hand")));
        Ok(commands.iter().map(answer).collect())
    }
    async fn write(&self, _: Writing, change: RecordChange) -> Result<bool, Problem> {
        let mut records = self.records.lock().unwrap();
        match change {
            RecordChange::Put(record) => {
                let stored = Record { version: record.version + 1, ..record };
                records.insert((stored.kind.clone(), stored.id.clone()), stored);
            }
            RecordChange::Delete(record) => drop(records.remove(&(record.kind, record.id))),
        }
        Ok(true)
    }
    async fn set_aside(&self, _: Item<'_>, _: CodesWanted<'_>) -> Result<Aside, Problem> {
        Ok(Aside::There { as_given: true })
    }
    async fn settle_codes(&self, _: &str, _: OrderId, _: CodeFate) -> Result<(), Problem> {
        Ok(())
    }
    async fn ask(&self, _: &str, _: &Kept, _: Item<'_>) -> Result<Called, Problem> {
        Ok(Called::Said(Said::Delivered { codes: Vec::new(), reference: None }))
    }
    async fn cancel(&self, _: &str, _: &Kept, _: &DeliveryKey) -> Result<Undoing, Problem> {
        Ok(Undoing::Cancelled)
    }
}

/// Everything is answered at once.
fn now<T>(work: impl Future<Output = Result<T, Problem>>) -> T {
    let mut work = std::pin::pin!(work);
    match work.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(done) => done.unwrap(),
        Poll::Pending => panic!("something was not answered"),
    }
}

const TERMS: Kept = Kept(Terms { timeout_ms: 5_000, attempts: 8, first_retry_ms: 2_000, active: true, cancels: false });

/// Money that is not there yet keeps an order from being issued; what was delivered for it is not forgotten.
#[test]
fn what_is_delivered_and_cannot_be_issued_is_told_to_people() {
    let mut by_hand = ByHand::new(Some(TERMS));
    by_hand.refuses = Some(RefusalCode::PaymentDue);
    now(go_on(&by_hand, &by_hand.order));
    assert_eq!(by_hand.delivery().stage, Stage::Delivered);
    assert_eq!(by_hand.differences(), ["delivered_not_issued"]);
    assert!(by_hand.records.lock().unwrap().keys().any(|(kind, _)| kind == ASKED_FOR), "it is looked after yet");
    // Once it can be, it is, and nothing is asked for it again.
    by_hand.refuses = None;
    now(go_on(&by_hand, &by_hand.order));
    let moved = by_hand.moved.lock().unwrap().clone();
    assert!(moved.last().is_some_and(|key| key.starts_with("fulfil:complete")), "{moved:?}");
    assert_eq!(by_hand.delivery().attempts, 1);
}

/// A supplier that is kept no longer is not asked; what waits for it is given back once its time is over.
#[test]
fn what_waits_for_a_supplier_that_was_forgotten_is_given_back_in_time() {
    let mut by_hand = ByHand::new(None);
    let mut asked = Delivery::new("acme", START);
    asked.attempts = 1;
    by_hand.keep(&asked);
    for hours in [0, 24] {
        by_hand.now = START.plus_millis(hours * 3_600_000);
        now(go_on(&by_hand, &by_hand.order));
        assert!(by_hand.moved.lock().unwrap().is_empty() && by_hand.delivery().stage == Stage::Waiting);
    }
    by_hand.now = by_hand.now.plus_millis(1);
    now(go_on(&by_hand, &by_hand.order));
    assert_eq!(by_hand.delivery().stage, Stage::Failed);
    assert_eq!(*by_hand.moved.lock().unwrap(), [format!("fulfil:fail:{}", KEY.order)]);
    // Nobody can ask it what became of what it was asked for.
    by_hand.order.state = OrderState::Cancelled;
    now(follow(&by_hand, &by_hand.order));
    assert_eq!(by_hand.differences(), ["to_be_cancelled"]);
    assert!(!by_hand.records.lock().unwrap().keys().any(|(kind, _)| kind == ASKED_FOR));
}
