//! Tiers on every store: reached in a batch, looked at again by ticks, changed by publications, and told by the journal.
//!
//! Helpers outside of `#[test]` functions are test code too: what goes wrong in them must stop the test.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use guerdon_core::earning::Activity;
use guerdon_core::id::MemberId;
use guerdon_core::kernel::{Command, Receipt, RefusalCode};
use guerdon_core::ledger::CurrencyId;
use guerdon_core::program::Bundle;
use guerdon_core::tiers::Step;
use guerdon_core::time::Timestamp;
use guerdon_store::{Store, StoreError, publish, verify};
use guerdon_tests::*;

on_every_store!(
    a_tier_is_reached_reviewed_and_lost,
    a_welcome_has_a_budget_that_members_share,
    levels_are_published_and_retired,
    merged_accounts_are_told_by_the_journal,
);

const EXAMPLE: &str = include_str!("../../programs/examples/tiers.toml");

fn house<B: Backend>(file: &str) -> House<B> {
    let (mut store, keep) = B::fresh();
    publish(&mut store, &Bundle::parse(file).unwrap(), at("2026-01-01T00:00:00Z")).unwrap();
    House::over(store, keep)
}

fn order(occurred_at: &str, yuan: i64) -> Activity {
    paid("purchase", at(occurred_at), yuan * 100)
}

fn steps(receipt: &Receipt) -> Vec<Step> {
    receipt.tier.iter().flat_map(|tier| &tier.steps).map(|step| step.step).collect()
}

fn tier<B: Backend>(house: &mut House<B>, member: MemberId) -> Option<String> {
    house.account(member).standing.held.map(|held| held.tier)
}

fn a_tier_is_reached_reviewed_and_lost<B: Backend>() {
    let mut house = house::<B>(EXAMPLE);
    let (ann, bob) = (house.member(), house.member());
    // In one batch: the second purchase is judged by the tier that the first one led to.
    let batch = vec![
        house.record(ann, &order("2026-03-02T02:00:00Z", 1_000)),
        house.record(bob, &order("2026-03-02T02:00:00Z", 999)),
        house.record(ann, &order("2026-03-02T03:00:00Z", 100)),
    ];
    let outcomes = house.submit(batch);
    let receipts: Vec<Receipt> =
        outcomes.iter().map(|outcome| serde_json::from_str(&outcome.as_ref().unwrap().receipt).unwrap()).collect();
    assert_eq!(receipts.iter().map(|receipt| receipt.points).collect::<Vec<_>>(), [1_200, 999, 110]);
    assert_eq!((steps(&receipts[0]), receipts[1].growth), (vec![Step::Reached], 999));
    assert_eq!((tier(&mut house, ann), tier(&mut house, bob)), (Some("silver".to_owned()), None));
    // Thirteen months later, at midnight in Shanghai, ann's tier is due; bob has nothing to lose.
    assert_eq!(house.tick(at("2027-03-31T15:59:59Z")), 0);
    assert_eq!(house.tick(at("2027-03-31T16:00:00Z")), 1);
    assert_eq!(house.tick(at("2027-03-31T16:00:00Z")), 0);
    let held = house.account(ann).standing.held.unwrap();
    assert_eq!((held.tier.as_str(), held.grace_until), ("silver", Some(at("2027-04-30T16:00:00Z"))));
    assert_eq!(house.tick(at("2027-05-31T00:00:00Z")), 1);
    assert_eq!(tier(&mut house, ann).as_deref(), Some("regular"));
    assert_eq!(house.tick(at("2036-01-01T00:00:00Z")), 0);
    house.close();
}

fn a_welcome_has_a_budget_that_members_share<B: Backend>() {
    let file = EXAMPLE.replace(
        "caps = [{ window = \"lifetime\", count = 1 }]",
        "caps = [{ window = \"lifetime\", count = 1 }, { window = \"lifetime\", points = 300, per = \"everyone\" }]",
    );
    let mut house = house::<B>(&file);
    let members: Vec<MemberId> = (0..3).map(|_| house.member()).collect();
    let batch: Vec<Command> =
        members.iter().map(|member| house.record(*member, &order("2026-03-02T02:00:00Z", 1_000))).collect();
    let points: Vec<i64> = house
        .submit(batch)
        .iter()
        .map(|outcome| serde_json::from_str::<Receipt>(&outcome.as_ref().unwrap().receipt).unwrap().points)
        .collect();
    // 300 points are there for all: 200, 100, none. All three are silver.
    assert_eq!(points, [1_200, 1_100, 1_000]);
    // Nothing is left to try out with either.
    let next = house.member();
    let purchase = house.record(next, &order("2026-03-02T02:00:00Z", 1_000));
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let tried = runtime.block_on(house.handle().try_out(purchase, false)).unwrap();
    assert_eq!(serde_json::from_str::<Receipt>(&tried.receipt).unwrap().points, 1_000);
    for member in members {
        assert_eq!(tier(&mut house, member).as_deref(), Some("silver"));
    }
    // The tick that takes the tier away looks at the same rules, and verify adds the budget up from the journal.
    assert_eq!(house.tick(at("2028-01-01T00:00:00Z")), 3);
    house.close();
}

fn levels_are_published_and_retired<B: Backend>() {
    let mut house = house::<B>(EXAMPLE);
    let ann = house.member();
    let purchase = house.record(ann, &order("2026-03-02T02:00:00Z", 5_000));
    house.accepted(&purchase);
    assert_eq!(tier(&mut house, ann).as_deref(), Some("gold"));
    let now = at("2026-04-01T00:00:00Z");
    // Without gold its members are silver, and what comes from then on earns as silver does.
    let without = |id: &str| {
        let mut bundle = Bundle::parse(EXAMPLE).unwrap();
        bundle.tiers.retain(|tier| tier.id != id);
        bundle
    };
    let published = house.look(|store| publish(store, &without("gold"), now).unwrap());
    assert_eq!(published.retired, ["tier gold"]);
    let (store, keep) = house.stop();
    let mut house = House::<B>::over(store, keep);
    let before = house.record_as(ann, "before", &order("2026-03-31T02:00:00Z", 100));
    let after = house.record_as(ann, "after", &order("2026-04-01T02:00:00Z", 100));
    assert_eq!((house.accepted(&before).points, house.accepted(&after).points), (130, 110));
    // What is tier value never becomes money.
    let money = EXAMPLE.replace("spendable = false", "per_money_unit = 1");
    let money = money.replace("growth = ", "spend = ").replace("window = \"quarter\", spend = \"30000\", ", "");
    let refused = house.look(|store| publish(store, &Bundle::parse(&money).unwrap(), now).unwrap_err());
    let StoreError::Refused(refusal) = refused else { panic!("{refused}") };
    assert_eq!(refusal.code, RefusalCode::InvalidRequest);
    assert!(refusal.message.contains("cannot become spendable"), "{refusal}");
    house.close();
}

fn merged_accounts_are_told_by_the_journal<B: Backend>() {
    let mut house = house::<B>(EXAMPLE);
    let (ann, bob) = (house.member(), house.member());
    for (member, yuan) in [(ann, 600), (bob, 700)] {
        let purchase = house.record(member, &order("2026-03-02T02:00:00Z", yuan));
        house.accepted(&purchase);
    }
    let key = house.key();
    let merge = Command::merge(ann, bob, &key, today(), "one person").unwrap();
    let receipt = house.accepted(&merge);
    assert_eq!((steps(&receipt), receipt.points, receipt.growth), (vec![Step::Reached], 800, 600));
    let growth = house.account(bob).wallet(CurrencyId(2)).unwrap().balance().available;
    assert_eq!((tier(&mut house, bob).as_deref(), growth), (Some("silver"), 1_300));
    let (mut store, _keep) = house.close();
    assert_eq!(store.due(Timestamp::NEVER, 10).unwrap().len(), 1);
    assert_eq!(verify(&mut store).unwrap().wrong, 0);
}
