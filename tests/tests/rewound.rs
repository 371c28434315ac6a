//! What orders waited for before a return to an earlier moment they wait for again, and are asked for.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use std::time::Duration;

use guerdon_core::kernel::{Amendment, Command, Event, GroupTerms, OrderAmendment, Tendering};
use guerdon_core::program::Bundle;
use guerdon_core::redemption::{Order, PaymentMove, PaymentTender};
use guerdon_core::rewards::Split;
use guerdon_core::time::Timestamp;
use guerdon_store::read::Reader;
use guerdon_store::{DataDir, SqliteStore, Store, publish, rewind, verify};
use guerdon_tests::{Backend, House, Sqlite, today};

const PROGRAM: &str = r#"
    rules = []
    currencies = [{ id = 1, code = "points", name = "Points", per_money_unit = 100 }]
    [[rewards]]
    id = "pot"
    name = "Pot"
    stock = 10
    price = { points = 6000, cash = { from_percent = 10, to_percent = 50 }, group = { members = 3, hours = 24, percent = 80 } }
    [program]
    id = "shop"
    name = "Shop"
    money = "GBP"
    time_zone = "Europe/London"
    payment = { tenders = ["test"] }
"#;

fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Runtime::new().unwrap().block_on(future)
}

/// A moment of the machine's clock between what was done before and what is done after.
fn moment() -> Timestamp {
    std::thread::sleep(Duration::from_millis(20));
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis();
    std::thread::sleep(Duration::from_millis(20));
    Timestamp::from_millis(i64::try_from(now).unwrap())
}

#[test]
fn money_and_groups_are_asked_for_anew() {
    let (mut store, directory) = Sqlite::fresh();
    publish(&mut store, &Bundle::parse(PROGRAM).unwrap(), today()).unwrap();
    let mut house = House::<Sqlite>::over(store, directory);
    let member = house.rich_member(100_000);
    let tendering = Tendering { tender: PaymentTender::Test, split: Some(Split::Points(4_000)) };
    let [paid, settled] = [0, 1].map(|_| {
        let command = house.redeem(member, "pot", 1, false).paid_by(Some(tendering));
        house.accepted(&command).order.unwrap().id
    });
    let ends_at = today().plus_millis(24 * 3_600_000);
    let terms = GroupTerms { code: "00112233445566778899".to_owned(), ends_at, percent: 80.into() };
    let joined = house.accepted(&Command::join_group(member, today(), "pot", (terms, "a"), None)).order.unwrap().id;
    let authorise = |house: &House<Sqlite>, order, key: &str| {
        let change = Amendment::Payment { step: PaymentMove::Authorise, reference: None, reason: None };
        let amendment = OrderAmendment { order, owner: member, change };
        house.accepted(&Command::amend(member, key, today(), amendment).unwrap());
    };
    authorise(&house, settled, "settled");
    let before = moment();
    authorise(&house, paid, "paid");
    let read = |house: &mut House<Sqlite>, order| -> Order {
        house.look(|store| {
            store
                .prefetch(&guerdon_core::kernel::Footprint { orders: vec![(member, order)], ..Default::default() })
                .unwrap()
                .orders[&(member, order)]
                .clone()
        })
    };
    let full = Command::fill_group(member, today(), &read(&mut house, joined));
    house.accepted(&full);
    let (mut store, directory) = house.close();
    // All that was told until then has been seen to.
    let told = store.tell(100, today(), Timestamp::ZERO).unwrap();
    let last = store.feed(0, 100).unwrap().last().unwrap().number;
    assert!(told >= 3, "{told}");
    drop(store);

    let data = DataDir::open(directory.path()).unwrap();
    rewind(&data, before).unwrap();
    let mut store = SqliteStore::open(data).unwrap();
    let report = verify(&mut store).unwrap();
    assert_eq!(report.wrong, 0, "{:?}", report.findings);
    store.tell(100, today(), Timestamp::ZERO).unwrap();
    let asked: Vec<Event> = store.feed(last, 10).unwrap().into_iter().map(|told| told.stored.event).collect();
    let expected = [
        Event::PaymentWanted { order_id: paid, step: PaymentMove::Authorise },
        Event::GroupWanted { order_id: joined },
    ];
    assert_eq!(asked, expected, "and nothing of what stays settled");
    drop(store);
    wait(async {
        let reader = Reader::open(directory.path()).await.unwrap();
        let order = reader.order(joined).await.unwrap().unwrap();
        assert!(order.details.particulars.group.unwrap().is_open());
    });
}
