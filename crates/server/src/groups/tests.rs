//! Places that a server left behind which ended between a place and its order: what was chosen is ordered all the same.

use std::sync::Arc;

use guerdon_core::kernel::Command;
use guerdon_core::ledger::CurrencyId;
use guerdon_core::members::{Address, Profile};
use guerdon_core::privacy::{Keyring, MasterKey, SECRETS_RANDOM};
use guerdon_core::redemption::Order;

use super::worker::round;
use super::*;
use crate::identity::testing::{Scratch, scratch_of, state};
use crate::messages::Post;
use crate::order_choice::{self, Said};

const MUG: &str = r#"
[[rewards]]
id = "mug"
name = "Mug"
stock = 9
kind = { type = "physical", needs_address = true, variants = [{ id = "blue", name = "Blue", stock = 2 }, { id = "white", name = "White" }] }
[rewards.price]
points = 1000
group = { members = 3, hours = 24, percent = 80 }
"#;

async fn shop() -> (Scratch, AppState) {
    let program = format!("{}{MUG}", include_str!("../../../../programs/examples/payments.toml"));
    let scratch = scratch_of(&program).await;
    let keyring = Keyring::generate(Arc::new(MasterKey::new([1; 32])), [2; SECRETS_RANDOM]).unwrap().0;
    let state = state(&scratch, keyring, Post::default());
    (scratch, state)
}

async fn member(state: &AppState, key: &str) -> MemberId {
    let (member, now) = (state.engine.new_member_id(), state.engine.now());
    let profile = Profile { name: Some(key.to_owned()), ..Profile::default() };
    let enrol = Command::enrol(&state.keys(), rand::random(), member, key, now, &profile).unwrap();
    state.engine.submit_one(enrol).await.unwrap();
    let opening = Command::adjust(member, "opening", now, CurrencyId(1), 5_000, "opening balance").unwrap();
    state.engine.submit_one(opening).await.unwrap();
    member
}

/// A mug, sent to a street.
fn said(variant: &str, street: &str) -> Said {
    let address = Address {
        recipient: "Ann".to_owned(),
        street: street.to_owned(),
        city: "Shanghai".to_owned(),
        ..Address::default()
    };
    Said { variant: Some(variant.to_owned()), address: Some(address), ..Said::default() }
}

/// A place that was taken two minutes ago, with a blue mug for a street chosen.
async fn place(state: &AppState, member: MemberId, street: &str) -> GroupPlace {
    let chosen = order_choice::prepare(state, (member, "mug"), said("blue", street)).await.unwrap().unwrap();
    GroupPlace {
        member,
        place: member.to_string(),
        asked: None,
        at: Place::default(),
        channel: "api".to_owned(),
        actor: None,
        chosen: Some(chosen),
        tendering: None,
        unpaid: false,
        order: None,
        since: state.clock().plus_millis(-2 * CUT_OFF_MS),
        leaving: false,
        told: false,
    }
}

async fn left_behind(state: &AppState, places: Vec<GroupPlace>) -> (String, Group) {
    let group = Group {
        reward_id: "mug".to_owned(),
        size: 3,
        percent: 80.into(),
        ends_at: state.engine.now().plus_millis(3_600_000),
        stage: Stage::Open,
        opener: MemberId(1),
        places,
    };
    let code = "c".repeat(CODE_BYTES * 2);
    let record = Record::new(KIND, &code, &waits_until(state, &group), &group).unwrap();
    state.engine.write_records(vec![RecordChange::Put(record)], Vec::new()).await.unwrap();
    (code, group)
}

async fn record_of(state: &AppState, code: &str) -> String {
    state.reader.record(KIND, code, state.clock()).await.unwrap().unwrap().body
}

async fn order_of(state: &AppState, group: &Group, member: MemberId) -> Order {
    state.reader.order(group.order_of(&[member]).unwrap()).await.unwrap().unwrap()
}

async fn street_of(state: &AppState, order: &Order) -> Option<String> {
    order_choice::open(state, order).await.unwrap()?.address.map(|address| address.street)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_chosen_is_ordered_whoever_makes_the_order() {
    let (_scratch, state) = shop().await;
    let (ann, bob) = (member(&state, "ann").await, member(&state, "bob").await);
    let places = vec![place(&state, ann, "1 Pier").await, place(&state, bob, "2 Pier").await];
    let (code, group) = left_behind(&state, places).await;
    let kept = record_of(&state, &code).await;
    assert!(kept.contains("sealed") && !kept.contains("Pier"), "{kept}");
    // Bob's order was made, and only not noted.
    let made = joining::command_of(&state, &code, &group, &group.places[1]).await.unwrap();
    state.engine.submit_one(made).await.unwrap();

    round(&state).await.unwrap();
    let group = find(&state, &code).await.unwrap().unwrap();
    assert_eq!((group.joined(), group.stage), (2, Stage::Open));
    for (who, street) in [(ann, "1 Pier"), (bob, "2 Pier")] {
        let order = order_of(&state, &group, who).await;
        assert_eq!((order.details.particulars.variant.as_deref(), order.points), (Some("blue"), 800));
        assert_eq!(street_of(&state, &order).await.as_deref(), Some(street));
    }
    assert_eq!(state.reader.stock_of(&["mug"]).await.unwrap()["mug"].reserved, 2, "nobody ordered twice");
    // The orders have it now, and go with their members.
    let kept = record_of(&state, &code).await;
    assert!(!kept.contains("sealed") && !kept.contains("blue"), "{kept}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_erased_member_had_chosen_is_gone() {
    let (_scratch, state) = shop().await;
    let ann = member(&state, "ann").await;
    let (code, _) = left_behind(&state, vec![place(&state, ann, "1 Pier").await]).await;
    state.engine.submit_one(Command::erase(ann, "erasure", state.engine.now()).unwrap()).await.unwrap();
    round(&state).await.unwrap();
    let group = find(&state, &code).await.unwrap().unwrap();
    assert_eq!((group.places.len(), group.stage), (0, Stage::Open), "the place is free");
    assert!(!record_of(&state, &code).await.contains("sealed"));
    assert_eq!(state.reader.stock_of(&["mug"]).await.unwrap()["mug"].reserved, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_opens_one_group_for_one_choice() {
    let (_scratch, state) = shop().await;
    let ann = member(&state, "ann").await;
    let opens = async |variant: &str| {
        let (said, place) = (said(variant, "1 Bund"), Place::default());
        let joiner = Joiner { member: ann, place, channel: "api", actor: None, said, tendering: None };
        open(&state, joiner, "mug", "key").await
    };
    let (code, group) = opens("blue").await.unwrap();
    let again = opens("blue").await.unwrap();
    assert_eq!((&again.0, again.1.order_of(&[ann])), (&code, group.order_of(&[ann])));
    assert_eq!(opens("white").await.unwrap_err().code, "idempotency_mismatch");
    // Who has left does not come back by the same request.
    leave(&state, &code, ann).await.unwrap();
    assert_eq!(opens("blue").await.unwrap_err().code, "group_over");
    let orders = state.reader.account(ann).await.unwrap().unwrap();
    assert_eq!(orders.wallet(CurrencyId(1)).unwrap().balance().available, 5_000);
}
