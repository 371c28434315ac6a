//! What the readers of every engine tell of the demand for a reward.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use guerdon_core::kernel::Command;
use guerdon_core::time::Timestamp;
use guerdon_store::read::Reader;
use guerdon_tests::postgres::Postgres;
use guerdon_tests::*;

const MINUTE: i64 = 60_000;

/// Orders of tea, one a minute from today on, by two members, of which one is released.
fn ordered<B: Backend>(house: &mut House<B>) {
    let members = [house.rich_member(1_000), house.rich_member(1_000)];
    for number in 0..5 {
        let (key, when) = (house.key(), today().plus_millis(number * MINUTE));
        let order = Command::redeem(members[number as usize % 2], &key, when, TEA, 1, false).unwrap();
        let order = house.accepted(&order).order.unwrap().id;
        if number == 4 {
            let release = Command::release(members[0], &house.key(), when, order).unwrap();
            house.accepted(&release);
        }
    }
}

async fn told(reader: &Reader) {
    let since = async |minute: i64, up_to| {
        let (both, since) = ([TEA, VOUCHER], today().plus_millis(minute * MINUTE));
        let found = reader.demand(&both, since, up_to).await.unwrap();
        // What nobody has ordered is told of as well.
        assert_eq!((found.len(), found[VOUCHER]), (2, (0, None)));
        assert_eq!(found[TEA].1, Some(today().plus_millis(4 * MINUTE)));
        found[TEA].0
    };
    // Those made after the moment; a released one as well; never more than asked for.
    assert_eq!([since(-1, 100).await, since(0, 100).await, since(3, 100).await, since(4, 100).await], [5, 4, 1, 0]);
    assert_eq!([since(-1, 5).await, since(-1, 3).await, since(-1, 0).await], [5, 3, 0]);
    assert!(reader.demand(&[], Timestamp::ZERO, 10).await.unwrap().is_empty());
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap()
}

#[test]
fn on_sqlite() {
    let mut house = House::<Sqlite>::new();
    ordered(&mut house);
    let (store, directory) = house.close();
    drop(store);
    runtime().block_on(async { told(&Reader::open(directory.path()).await.unwrap()).await });
}

#[test]
fn on_postgres() {
    let mut house = House::<Postgres>::new();
    ordered(&mut house);
    let (store, url) = house.close();
    drop(store);
    runtime().block_on(async { told(&Reader::connect(&url).await.unwrap()).await });
}
