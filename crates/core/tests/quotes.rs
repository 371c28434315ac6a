//! Quotes: what they promise, for how long, and that nobody else can make one.
//!
//! Helpers outside of `#[test]` functions are test code too: what goes wrong in them must stop the test.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, dead_code)]

mod club;

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use club::{Club, MEMBER, POINTS};
use guerdon_core::id::MemberId;
use guerdon_core::kernel::{Command, Receipt, Refusal, RefusalCode};
use guerdon_core::limits;
use guerdon_core::privacy::{Keyring, MasterKey, SECRETS_RANDOM};
use guerdon_core::program::{DocumentChange, Program, with_changes};
use guerdon_core::rewards::{Cash, DemandFigures, Occasion, Opened, Promise, Quote};
use guerdon_core::time::Timestamp;
use proptest::prelude::*;
use serde_json::json;

const PROGRAM: &str = r#"
    program = { id = "club", name = "Club", money = "CNY", time_zone = "Asia/Shanghai" }
    currencies = [{ id = 1, code = "points", name = "Points", per_money_unit = 100 }]
    tiers = [{ id = "gold", name = "Gold", rank = 1, qualify = [{ spend = 100, window = "lifetime" }] }]
    rewards = [
        { id = "cup", name = "Cup", price = { points = 500, tiers = { gold = { points = 450 } }, demand = { ceiling = 115, steps = [{ orders = 10, percent = 10 }] } } },
        { id = "pot", name = "Pot", price = { points = 600, curve = [{ up_to = 1000, worth = 120 }] } },
    ]"#;

fn keyring(random: u8) -> Keyring {
    Keyring::generate(Arc::new(MasterKey::new([1; 32])), [random; SECRETS_RANDOM]).unwrap().0
}

fn club() -> Club {
    let mut club = Club::of(PROGRAM);
    club.adjust(100_000, "2026-06-01 08:00:00");
    club
}

fn at(club: &Club, local: &str) -> Timestamp {
    club.program.calendar.parse_local(local).unwrap()
}

/// A quote for the member, with the tier that the account has.
fn quote(club: &Club, reward: &str, quantity: i64, at: Timestamp, figures: Option<DemandFigures>) -> Quote {
    let program = &club.program;
    let found = program.reward_at(reward, at).unwrap();
    let tier = program.tiers.at(at).level_of(&club.account.standing).map(|level| level.tier.id.as_str());
    let priced = program.price(found, Occasion { at, tier, figures, quantity }).unwrap();
    Quote::new((MEMBER, reward, quantity), found.currency, &priced, at)
}

fn order(club: &mut Club, token: &str, key: &str, at: Timestamp) -> Result<Receipt, Refusal> {
    let opened = Quote::open(&keyring(2), token).unwrap();
    club.decide(&Command::redeem_at(&opened, token, key, at, true).unwrap(), true)
}

#[test]
fn an_order_costs_what_the_moment_says_or_what_the_quote_says() {
    let mut club = club();
    let noon = at(&club, "2026-06-10 12:00:00");
    let plain = |key: &str, reward: &str, quantity| Command::redeem(MEMBER, key, noon, reward, quantity, true).unwrap();
    let asked = club.decide(&plain("a", "cup", 2), true).unwrap().order.unwrap();
    assert_eq!((asked.points, asked.unit_price, asked.quoted), (1_000, None, false));
    // By demand 10 % more; the request is the same, and its repetition is answered as it was.
    let figures = |orders| Some(DemandFigures { orders, ..DemandFigures::default() });
    let first = club.decide(&plain("b", "cup", 2).by_demand(figures(10)), true).unwrap();
    assert_eq!(first.order.as_ref().unwrap().points, 1_100);
    assert_eq!(club.decide(&plain("b", "cup", 2).by_demand(figures(0)), true).unwrap(), first);
    // The first 1,000 points of an order pay for 1,200: the receipt says what a unit costs besides.
    let pots = club.decide(&plain("c", "pot", 3), true).unwrap().order.unwrap();
    assert_eq!((pots.points, pots.unit_price), (1_600, Some(600)));
    // Gold pays 450 from the purchase on that makes it gold.
    club.record("d", "2026-06-10 12:00:01", json!({"kind": "purchase", "amount": 10_000})).unwrap();
    let later = Command::redeem(MEMBER, "e", noon.plus_millis(1_000), "cup", 1, true).unwrap();
    assert_eq!((club.tier().as_str(), club.decide(&later, true).unwrap().order.unwrap().points), ("gold", 450));
    let quoted = quote(&club, "cup", 2, noon.plus_millis(2_000), figures(10)).seal(&keyring(2));
    let made = order(&mut club, &quoted, "f", noon.plus_millis(3_000)).unwrap().order.unwrap();
    assert_eq!((made.points, made.quantity, made.quoted), (990, 2, true));
    club.check();
}

#[test]
fn a_quote_holds_for_ten_minutes_whatever_is_published() {
    let mut club = club();
    let noon = at(&club, "2026-06-10 12:00:00");
    let token = quote(&club, "cup", 1, noon, None).seal(&keyring(2));
    let change = DocumentChange {
        kind: "reward".to_owned(),
        id: "cup".to_owned(),
        base: 1,
        document: Some(json!({"id": "cup", "name": "Cup", "price": 900})),
    };
    let dearer = with_changes(club.program.documents(), &[change], noon.plus_millis(1_000)).unwrap();
    club.program = Program::from_documents(&dearer).unwrap();
    let last = noon.plus_millis(limits::QUOTE_MS - 1);
    let plain = Command::redeem(MEMBER, "plain", last, "cup", 1, true).unwrap();
    assert_eq!(club.decide(&plain, true).unwrap().order.unwrap().points, 900);
    let made = order(&mut club, &token, "a", last).unwrap();
    assert_eq!(made.order.as_ref().unwrap().points, 500);
    // A millisecond later it is over: for a new order, not for the repetition of the one that was made.
    let over = noon.plus_millis(limits::QUOTE_MS);
    let refusal = order(&mut club, &token, "b", over).unwrap_err();
    assert_eq!(refusal.code, RefusalCode::QuoteExpired);
    assert!(refusal.message.contains("good until 2026-06-10T04:10:00Z"), "{}", refusal.message);
    assert_eq!(order(&mut club, &token, "a", over.plus_millis(86_400_000)).unwrap(), made);
    club.check();
}

#[test]
fn nobody_else_can_make_or_change_a_quote() {
    let mut club = club();
    let noon = at(&club, "2026-06-10 12:00:00");
    let own = quote(&club, "cup", 1, noon, None);
    let token = own.seal(&keyring(2));
    assert_eq!(Quote::open(&keyring(2), &token), Some(Opened::Genuine(own.clone())));
    assert!(token.len() < 100, "{token}");
    let bytes = URL_SAFE_NO_PAD.decode(&token).unwrap();
    for index in 0..bytes.len() {
        for bit in 0..8 {
            let mut altered = bytes.clone();
            altered[index] ^= 1 << bit;
            let opened = Quote::open(&keyring(2), &URL_SAFE_NO_PAD.encode(altered));
            assert!(!matches!(opened, Some(Opened::Genuine(_))), "byte {index} bit {bit}");
        }
    }
    for cut in 0..token.len() {
        assert!(!matches!(Quote::open(&keyring(2), &token[..cut]), Some(Opened::Genuine(_))), "{cut}");
    }
    assert_eq!(Quote::open(&keyring(2), &format!("{token}A")), Some(Opened::Altered(own.clone())));
    assert_eq!(Quote::open(&keyring(2), &format!("{token}=")), None);
    // It outlives the master key.
    let rotated = keyring(2).with_current(Arc::new(MasterKey::new([9; 32]))).unwrap();
    assert_eq!(Quote::open(&rotated, &token), Some(Opened::Genuine(own.clone())));
    assert_eq!(Quote::open(&keyring(2), &"A".repeat(limits::QUOTE_CHARS + 1)), None);
    // For another member, cheaper, or of another program: as if it were altered.
    let others = [
        Quote { member_id: MemberId(2), ..own.clone() },
        Quote { promise: Promise { points: 1, ..own.promise }, ..own.clone() },
    ];
    let mac = bytes.len() - 32;
    for other in others {
        let sealed = URL_SAFE_NO_PAD.decode(other.seal(&keyring(3))).unwrap();
        let spliced = [&sealed[..sealed.len() - 32], &bytes[mac..]].concat();
        assert_eq!(Quote::open(&keyring(2), &URL_SAFE_NO_PAD.encode(spliced)), Some(Opened::Altered(other.clone())));
        assert_eq!(Quote::open(&keyring(2), &other.seal(&keyring(3))), Some(Opened::Altered(other)));
    }
    // An order at such a quote is refused; under a key that was used before, it is another request.
    let made = order(&mut club, &token, "a", noon).unwrap();
    let cheaper = own.seal(&keyring(3));
    assert_eq!(order(&mut club, &cheaper, "b", noon).unwrap_err().code, RefusalCode::QuoteAltered);
    assert_eq!(order(&mut club, &cheaper, "a", noon).unwrap_err().code, RefusalCode::IdempotencyMismatch);
    assert_eq!(order(&mut club, &token, "a", noon).unwrap(), made);
    club.check();
}

proptest! {
    /// Whatever comes instead of a token is read without a panic and believed by nobody; what was sealed comes back.
    #[test]
    fn only_what_was_sealed_is_genuine(
        text in "[A-Za-z0-9_-]{0,200}", bytes in proptest::collection::vec(any::<u8>(), 0..200),
        member in any::<i64>(), reward in "[a-z0-9-]{1,64}", quantity in 1_i64..=1_000, points in 1_i64..=limits::AMOUNT,
        until in any::<i64>(), cash in proptest::option::of((1_i64..=limits::AMOUNT, 1_i64..=limits::AMOUNT)),
    ) {
        let keys = keyring(2);
        let forms = [1, 2].map(|form| URL_SAFE_NO_PAD.encode([&[form], bytes.as_slice()].concat()));
        for token in forms.into_iter().chain([text]) {
            prop_assert!(!matches!(Quote::open(&keys, &token), Some(Opened::Genuine(_))));
        }
        let cash = cash.map(|(amount, points)| Cash { amount, points });
        let promise = Promise { unit: points, points, cash, currency: POINTS, expires_at: Timestamp::from_millis(until) };
        let quote = Quote { member_id: MemberId(member), reward_id: reward, quantity, promise };
        let token = quote.seal(&keys);
        prop_assert!(token.len() <= limits::QUOTE_CHARS);
        prop_assert_eq!(Quote::open(&keys, &token), Some(Opened::Genuine(quote)));
    }
}
