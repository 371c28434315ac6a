//! What the catalogue and the portal read of stock and orders, on every engine that has readers.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use std::collections::BTreeMap;

use guerdon_core::id::OrderId;
use guerdon_core::redemption::OrderState;
use guerdon_store::read::Reader;
use guerdon_tests::postgres::Postgres;
use guerdon_tests::*;

fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Runtime::new().unwrap().block_on(future)
}

fn readers<B: Backend>(open: impl AsyncFn(&B::Keep) -> Reader) {
    let mut house = House::<B>::new();
    let (ann, bob) = (house.rich_member(10_000), house.rich_member(10_000));
    let mut order = |member, quantity: i64, capture: bool| -> OrderId {
        let command = house.redeem(member, VOUCHER, quantity, capture);
        house.accepted(&command).order.unwrap().id
    };
    let (first, second) = (order(ann, 1, true), order(ann, 2, false));
    let given_back = order(ann, 1, false);
    order(bob, 1, false);
    let release = house.release(ann, given_back);
    house.accepted(&release);
    let level = house.stock(VOUCHER);
    let (store, keep) = house.close();
    wait(async {
        let reader = open(&keep).await;
        let stock = reader.stock_of(&[VOUCHER, "nothing"]).await.unwrap();
        assert_eq!(stock, BTreeMap::from([(VOUCHER.to_owned(), level)]));
        assert!(reader.stock_of::<&str>(&[]).await.unwrap().is_empty());
        // What was given back is not counted.
        assert_eq!(reader.ordered().await.unwrap(), BTreeMap::from([(VOUCHER.to_owned(), 4)]));
        let orders = reader.orders(&[first, given_back, OrderId(1)]).await.unwrap();
        assert_eq!(orders.len(), 2);
        assert_eq!((orders[&first].state, orders[&given_back].state), (OrderState::Completed, OrderState::Cancelled));
        // Redemptions alone, newest first, page by page; not the release, and nobody else's.
        let page = async |before, limit| {
            let rows = reader.redemptions(ann, before, limit).await.unwrap();
            let of = |receipt: &str| serde_json::from_str::<serde_json::Value>(receipt).unwrap()["order"]["id"].clone();
            let ids: Vec<String> = rows.iter().map(|row| of(&row.receipt).as_str().unwrap().to_owned()).collect();
            (ids, rows.last().map(|row| row.id))
        };
        let (newest, last) = page(None, 2).await;
        assert_eq!(newest, [given_back.to_string(), second.to_string()]);
        assert_eq!(page(last, 2).await.0, [first.to_string()]);
    });
    drop((store, keep));
}

#[test]
fn stock_and_orders_are_read_on_sqlite() {
    readers::<Sqlite>(async |keep| Reader::open(keep.path()).await.unwrap());
}

#[test]
fn stock_and_orders_are_read_on_postgres() {
    readers::<Postgres>(async |url| Reader::connect(url).await.unwrap());
}
