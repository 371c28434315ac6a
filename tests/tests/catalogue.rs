//! What the catalogue and the portal read of stock and orders, on every engine that has readers.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use std::collections::BTreeMap;

use guerdon_core::id::OrderId;
use guerdon_core::kernel::{Command, Restocking};
use guerdon_core::redemption::OrderState;
use guerdon_core::time::Timestamp;
use guerdon_store::read::Reader;
use guerdon_tests::postgres::{self, Postgres};
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
        let made_at = orders[&first].created_at;
        let (units, began) = reader.ordered_since(made_at).await.unwrap();
        assert_eq!((units, began), (BTreeMap::from([(VOUCHER.to_owned(), 4)]), Some(made_at)));
        let (units, began) = reader.ordered_since(Timestamp::NEVER).await.unwrap();
        assert_eq!((units.len(), began), (0, Some(made_at)), "what was ordered before is not counted");
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

/// Restocks of a reward are found by it, those of its pools with them, and not those of another of a like name.
fn restocks<B: Backend>(open: impl AsyncFn(&B::Keep) -> Reader, forget_references: impl AsyncFn(&B::Keep)) {
    let mut house = House::<B>::new();
    let keys: Vec<String> = (0..3).map(|_| house.key()).collect();
    for (key, quantity) in keys.iter().zip([5, 7, 9]) {
        let restocking = Restocking { reward_id: VOUCHER.to_owned(), pool: None, quantity, planned_at: None };
        house.accepted(&Command::restock(key, today(), restocking, "delivered").unwrap());
    }
    let (store, keep) = house.close();
    wait(async {
        let found = async |reward: &str, limit| {
            let reader = open(&keep).await;
            let found = reader.restocks(reward, limit).await.unwrap();
            found.iter().map(|receipt| receipt.restock.as_ref().unwrap().quantity).collect::<Vec<_>>()
        };
        assert_eq!(found(VOUCHER, 2).await, [9, 7]);
        assert_eq!(found(&VOUCHER[1..], 2).await, Vec::<i64>::new());
        // As former versions wrote two of them.
        forget_references(&keep).await;
        assert_eq!(found(VOUCHER, 10).await, [9, 7, 5]);
        assert_eq!(found(VOUCHER, 2).await, [9, 7]);
        assert_eq!(found("nothing", 10).await, Vec::<i64>::new());
    });
    drop((store, keep));
}

const FORGET: &str = "UPDATE txn SET reference = NULL WHERE kind = 17 AND receipt NOT LIKE '%\"quantity\":7%'";

#[test]
fn restocks_are_found_on_sqlite() {
    restocks::<Sqlite>(
        async |keep| Reader::open(keep.path()).await.unwrap(),
        async |keep| {
            let database = rusqlite::Connection::open(keep.path().join("guerdon.db")).unwrap();
            assert_eq!(database.execute(FORGET, []).unwrap(), 2);
        },
    );
}

#[test]
fn restocks_are_found_on_postgres() {
    restocks::<Postgres>(
        async |url| Reader::connect(url).await.unwrap(),
        async |url| {
            assert_eq!(postgres::shared().sql(url, FORGET), "UPDATE 2");
        },
    );
}
