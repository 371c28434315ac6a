//! When prices change by what is published: with numbers computed by hand, and beside the price function at any moment.
//!
//! Helpers outside of `#[test]` functions are test code too: what goes wrong in them must stop the test.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use guerdon_core::limits;
use guerdon_core::program::{Bundle, DocumentChange, Program, with_changes};
use guerdon_core::rewards::{Occasion, PriceTurn, TurnCause};
use guerdon_core::time::Timestamp;
use proptest::prelude::*;
use rust_decimal::Decimal;
use serde_json::{Value, json};

/// ¥1 is 100 points, the program's margin is 20 %, and gold pays 90 % where the price says so.
fn program(price: &str) -> Program {
    let text = format!(
        r#"
        program = {{ id = "club", name = "Club", money = "CNY", time_zone = "Asia/Shanghai", reward_margin = 20 }}
        currencies = [{{ id = 1, code = "points", name = "Points", per_money_unit = 100 }}]
        tiers = [{{ id = "gold", name = "Gold", rank = 1, qualify = [{{ spend = 100, window = "lifetime" }}] }}]
        rewards = [{{ id = "cup", name = "Cup", price = {price} }}]"#
    );
    Program::from_documents(&Bundle::parse(&text).unwrap().documents().unwrap()).unwrap()
}

/// The program with a document changed from a local moment on; `None` retires it.
fn changed(program: &Program, kind: &str, id: &str, from: &str, document: Option<Value>) -> Program {
    let from = program.calendar.parse_local(from).unwrap();
    let change = DocumentChange { kind: kind.to_owned(), id: id.to_owned(), base: 1, document };
    Program::from_documents(&with_changes(program.documents(), &[change], from).unwrap()).unwrap()
}

fn local(program: &Program, text: &str) -> Timestamp {
    program.calendar.parse_local(text).unwrap()
}

const TIERS: [Option<&str>; 2] = [None, Some("gold")];

fn turns(program: &Program, from: &str, until: &str) -> Vec<PriceTurn> {
    program.price_turns("cup", &TIERS, (local(program, from), local(program, until)))
}

/// What is told of each turn: when, what everyone and gold pay, why.
fn told(program: &Program, turns: &[PriceTurn]) -> Vec<(String, [Option<i64>; 2], Vec<TurnCause>)> {
    let one =
        |turn: &PriceTurn| (program.calendar.show(turn.at), [turn.points[0], turn.points[1]], turn.causes.clone());
    turns.iter().map(one).collect()
}

fn percent(of: i64) -> Decimal {
    Decimal::from(of)
}

#[test]
fn seasons_and_offers_turn_a_price_when_they_begin_and_end() {
    let price = r#"{ points = 1000, tiers = { gold = { percent = 90 } }, seasons = [{ months = [11, 12], percent = 120 }],
        offers = [{ from = "2026-11-11T00:00", to = "2026-11-12T00:00", percent = 80 }] }"#;
    let program = program(&price.replace('\n', " "));
    let seen = turns(&program, "2026-10-15 12:00:00", "2027-02-01 00:00:00");
    assert_eq!(
        told(&program, &seen),
        [
            ("2026-11-01 00:00".into(), [Some(1_200), Some(1_080)], vec![TurnCause::SeasonBegins(percent(120))]),
            ("2026-11-11 00:00".into(), [Some(960), Some(864)], vec![TurnCause::OfferBegins(percent(80))]),
            ("2026-11-12 00:00".into(), [Some(1_200), Some(1_080)], vec![TurnCause::OfferEnds(percent(80))]),
            ("2027-01-01 00:00".into(), [Some(1_000), Some(900)], vec![TurnCause::SeasonEnds(percent(120))]),
        ]
    );
    // A turn at the very beginning has happened already; one at the end still counts.
    assert_eq!(turns(&program, "2026-11-01 00:00:00", "2026-11-11 00:00:00").len(), 1);
    assert_eq!(turns(&program, "2026-11-01 00:00:00", "2026-11-10 23:59:59").len(), 0);
}

#[test]
fn versions_that_take_effect_later_turn_it_too() {
    let first = program("{ cost = 50 }");
    assert_eq!(turns(&first, "2026-01-01 00:00:00", "2027-01-01 00:00:00"), []);
    // ¥50 and 20 % are 6,000 points; with ¥60 they are 7,200, and offered for half in the days after.
    let dearer = json!({ "id": "cup", "name": "Cup", "price": { "cost": "60",
        "offers": [{ "from": "2026-03-10T00:00:00", "to": "2026-04-01T00:00:00", "percent": "50" }] } });
    let second = changed(&first, "reward", "cup", "2026-03-01 00:00:00", Some(dearer));
    let settings =
        json!({ "id": "club", "name": "Club", "money": "CNY", "time_zone": "Asia/Shanghai", "reward_margin": "30" });
    let third = changed(&second, "program", "program", "2026-05-01 00:00:00", Some(settings));
    let fourth = changed(&third, "reward", "cup", "2026-06-01 00:00:00", None);
    let seen = turns(&fourth, "2026-01-01 00:00:00", "2027-01-01 00:00:00");
    assert_eq!(
        told(&fourth, &seen),
        [
            ("2026-03-01 00:00".into(), [Some(7_200); 2], vec![TurnCause::Version]),
            ("2026-03-10 00:00".into(), [Some(3_600); 2], vec![TurnCause::OfferBegins(percent(50))]),
            ("2026-04-01 00:00".into(), [Some(7_200); 2], vec![TurnCause::OfferEnds(percent(50))]),
            ("2026-05-01 00:00".into(), [Some(7_800); 2], vec![TurnCause::Program]),
            ("2026-06-01 00:00".into(), [None; 2], vec![TurnCause::Withdrawn]),
        ]
    );
    assert_eq!(turns(&fourth, "2026-06-01 00:00:00", "2027-01-01 00:00:00"), [], "it is gone");
}

#[test]
fn no_more_turns_are_told_than_there_is_room_for() {
    let offers = (0..32).map(|day| {
        let month = day / 8 + 1;
        let day = day % 8 * 2 + 1;
        format!(r#"{{ from = "2026-{month:02}-{day:02}T00:00", to = "2026-{month:02}-{day:02}T12:00", percent = 50 }}"#)
    });
    let offers = offers.collect::<Vec<_>>().join(", ");
    let mut program = program(&format!("{{ points = 1000, offers = [{offers}] }}"));
    assert_eq!(turns(&program, "2025-12-01 00:00:00", "2027-01-01 00:00:00").len(), 64);
    for (month, day) in (6..=7).flat_map(|month| (1..=28).map(move |day| (month, day))) {
        let document = json!({ "id": "cup", "name": "Cup", "price": 2_000 + day });
        let from = format!("2026-{month:02}-{day:02} 00:00:00");
        program = changed(&program, "reward", "cup", &from, Some(document));
    }
    let seen = turns(&program, "2025-12-01 00:00:00", "2027-01-01 00:00:00");
    assert_eq!(seen.len(), limits::PRICE_TURNS);
}

#[test]
fn a_margin_is_what_points_bring_above_the_cost() {
    let program = program("{ cost = 50 }");
    let at = local(&program, "2026-06-10 12:00:00");
    let cup = program.reward("cup").unwrap();
    let margin = |points: i64| program.margin_of(cup, points, at).map(|margin| margin.normalize().to_string());
    assert_eq!(margin(6_000).as_deref(), Some("20"));
    assert_eq!(margin(5_003).as_deref(), Some("0.1"), "¥50.03 is 0.06 % above");
    assert_eq!(margin(4_000).as_deref(), Some("-20"));
    let fixed = self::program("500");
    assert_eq!(fixed.margin_of(fixed.reward("cup").unwrap(), 500, at), None);
}

prop_compose! {
    fn season()(months in proptest::collection::btree_set(1_i8..=12, 1..4), percent in 50_i64..99) -> String {
        format!("{{ months = {:?}, percent = {percent} }}", months.into_iter().collect::<Vec<_>>())
    }
}

prop_compose! {
    fn offer()(month in 1_u8..=12, day in 1_u8..=27, hour in 0_u8..=23, percent in 20_i64..90) -> String {
        let (from, to) = (format!("2026-{month:02}-{day:02}T{hour:02}:30"), format!("2026-{month:02}-{:02}T00:00", day + 1));
        format!(r#"{{ from = "{from}", to = "{to}", percent = {percent} }}"#)
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Between two turns a price is what it was at the first: nothing is missed, and nothing is made up.
    #[test]
    fn the_price_at_any_moment_is_that_of_the_last_turn(
        seasons in proptest::collection::vec(season(), 0..4),
        offers in proptest::collection::vec(offer(), 0..6),
        hours in proptest::collection::vec(0_i64..(365 * 24), 24),
    ) {
        let (seasons, offers) = (seasons.join(", "), offers.join(", "));
        let program = program(&format!("{{ points = 1000, seasons = [{seasons}], offers = [{offers}] }}"));
        let from = local(&program, "2026-01-01 00:00:00");
        let until = from.plus_millis(365 * 86_400_000);
        let turns = program.price_turns("cup", &TIERS, (from, until));
        let points = |at: Timestamp, tier| {
            let occasion = Occasion { at, tier, figures: None, quantity: 1 };
            program.price(program.reward("cup").unwrap(), occasion).ok().map(|priced| priced.points)
        };
        let around = turns.iter().flat_map(|turn| [turn.at, turn.at.plus_millis(-1)]);
        let moments: Vec<Timestamp> = hours.iter().map(|hour| from.plus_millis(hour * 3_600_000)).chain(around).collect();
        for at in moments {
            let last = turns.iter().rev().find(|turn| turn.at <= at);
            for (place, tier) in TIERS.into_iter().enumerate() {
                prop_assert_eq!(last.map_or_else(|| points(from, tier), |turn| turn.points[place]), points(at, tier));
            }
        }
    }
}
