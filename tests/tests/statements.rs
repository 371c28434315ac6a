//! Statements on every engine that has readers: a month is one of local days, and what it closes with the next one opens with.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use std::collections::BTreeMap;

use guerdon_core::ledger::Statement;
use guerdon_core::time::Month;
use guerdon_store::read::Reader;
use guerdon_tests::postgres::Postgres;
use guerdon_tests::*;

fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Runtime::new().unwrap().block_on(future)
}

fn statements<B: Backend>(open: impl AsyncFn(&B::Keep) -> Reader) {
    let mut house = House::<B>::new();
    let ann = house.member();
    for (day, minor) in [("2026-01-05", 5_000), ("2026-02-28", 7_000), ("2026-03-01", 9_000)] {
        let purchase = house.record(ann, &paid("purchase", at(&format!("{day}T10:00:00Z")), minor));
        house.accepted(&purchase);
    }
    let redeem = house.redeem(ann, TEA, 1, true);
    house.accepted(&redeem);
    let held = house.redeem(ann, TEA, 1, false);
    house.accepted(&held);
    let visit = house.record(ann, &custom("check_in", today()));
    house.accepted(&visit);
    let balance = house.account(ann).wallet(POINTS).unwrap().balance();
    let this_month = Month::of(house.program.calendar.day_of(today()));
    let (store, keep) = house.close();
    wait(async {
        let reader = open(&keep).await;
        let of = async |month: Month| {
            let (from, until) = (month.first_day(), month.next().first_day());
            Statement::of(&reader.movements(ann, from, until).await.unwrap()).remove(&POINTS).unwrap_or_default()
        };
        let february = of("2026-02".parse().unwrap()).await;
        assert_eq!((february.opening, february.closing, february.spent), (50, 120, 0));
        assert_eq!(february.earned, BTreeMap::from([("base".to_owned(), 70)]));
        let first = reader.first_day(ann).await.unwrap().unwrap();
        let mut month = Month::of(first);
        let mut before = of(month.previous()).await;
        assert_eq!(before, Statement::default());
        while month <= this_month {
            let statement = of(month).await;
            assert_eq!(statement.opening, before.closing, "{month}");
            let changes = statement.earned_in_all() - statement.spent - statement.expired - statement.taken_back
                + statement.adjusted
                + statement.merged;
            assert_eq!(statement.opening + changes, statement.closing, "{month}");
            (before, month) = (statement, month.next());
        }
        assert_eq!(before.closing, balance.available + balance.pending + balance.held);
        assert_eq!((before.pending, before.held), (balance.pending, balance.held));
        assert_eq!((before.pending, before.held), (5, 40));
    });
    drop((store, keep));
}

#[test]
fn months_lead_from_one_balance_to_the_next_on_sqlite() {
    statements::<Sqlite>(async |keep| Reader::open(keep.path()).await.unwrap());
}

#[test]
fn months_lead_from_one_balance_to_the_next_on_postgres() {
    statements::<Postgres>(async |url| Reader::connect(url).await.unwrap());
}
