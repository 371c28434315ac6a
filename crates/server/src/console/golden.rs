//! What members and operators read of the example programs, in both languages.

use std::sync::Arc;

use guerdon_core::kernel::{Arrival, Receipt};
use serde_json::{Value, json};

use super::explain::explain_receipt;
use super::frame::Frame;
use crate::identity::actor::Actor;
use crate::language::Language;

#[path = "../../../core/tests/town/mod.rs"]
#[allow(dead_code, reason = "a part of it is enough here")]
mod town;

use town::Town;

fn told(town: &Town, receipt: &Receipt) -> String {
    let nobody = || Actor::anonymous(std::net::Ipv4Addr::LOCALHOST.into());
    let said = [Language::English, Language::Chinese].map(|language| {
        let explanation = explain_receipt(&Frame::new(Arc::new(town.program.clone()), language, nobody()), receipt);
        let sentences = explanation.sentences.iter().map(|sentence| format!("  {sentence}\n"));
        format!("{} ({})\n{}", explanation.title, explanation.change, sentences.collect::<String>())
    });
    said.concat()
}

/// A program, and what happens under it: the member, when, and the activity. Tells every receipt, and what the referrer reads.
fn story(program: &str, happens: &[(i64, &str, Value)]) -> String {
    let mut town = Town::of(program);
    let mut all = told(&town, &town_joined(&mut Town::of(program)));
    town_joined(&mut town);
    let second = town.joins_by(2, "2026-03-01 10:00:00", 1).unwrap();
    all.push_str(&told(&town, &second));
    for (member, when, activity) in happens {
        let receipt = town.does(*member, when, activity.clone());
        all.push_str(&told(&town, &receipt));
        if receipt.referrer_share.is_some() {
            all.push_str(&told(&town, &town.latest(1)));
        }
    }
    all
}

fn town_joined(town: &mut Town) -> Receipt {
    town.joins(1, "2026-03-01 09:00:00", &Arrival { channel: Some("app".to_owned()), ..Arrival::default() }).unwrap()
}

fn order(fen: i64) -> Value {
    json!({"kind": "purchase", "amount": fen})
}

macro_rules! golden {
    ($name:ident, $file:literal, $happens:expr) => {
        #[test]
        fn $name() {
            let program = include_str!(concat!("../../../../programs/examples/", $file, ".toml"));
            insta::assert_snapshot!(story(program, &$happens));
        }
    };
}

golden!(referral, "referral", [(2, "2026-03-02 10:00:00", order(100))]);
golden!(leader, "leader", [(2, "2026-03-02 10:00:00", order(150_000)), (2, "2026-03-03 10:00:00", order(600_000))]);
golden!(team, "team", [(2, "2026-03-02 10:00:00", order(1_000_000)), (2, "2026-03-03 10:00:00", order(100))]);
golden!(
    birthday,
    "birthday",
    [(2, "2026-05-17 00:00:00", json!({"kind": "birthday"})), (2, "2026-05-17 10:00:00", order(5_000))]
);
golden!(
    cross_category,
    "cross-category",
    [(
        2,
        "2026-03-02 10:00:00",
        json!({"kind": "purchase", "lines": [
        {"category": "tea", "quantity": "1", "unit_price": "10"},
        {"category": "cups", "quantity": "1", "unit_price": "20"}]})
    )]
);
golden!(
    reactivation,
    "reactivation",
    [
        (2, "2026-03-02 10:00:00", order(8_000)),
        (2, "2026-04-01 10:00:00", order(8_000)),
        (2, "2026-06-01 10:00:00", order(8_050)),
    ]
);
golden!(gifts, "gifts", [(1, "2026-03-02 10:00:00", order(600_000)), (2, "2026-03-02 10:00:00", order(600_000))]);
golden!(
    weekend,
    "weekend",
    [(2, "2026-03-07 17:30:00", json!({"kind": "purchase", "amount": 5_050, "channel": "app"}))]
);
golden!(
    first_order,
    "first-order",
    [(2, "2026-03-02 10:00:00", order(8_100)), (2, "2026-04-05 10:00:00", order(8_100))]
);
golden!(
    limits,
    "limits",
    [(2, "2026-03-02 10:00:00", order(9_000)), (2, "2026-03-02 10:00:30", json!({"kind": "share"}))]
);
golden!(
    engagement,
    "engagement",
    [(2, "2026-03-02 10:00:00", json!({"kind": "survey"})), (2, "2026-03-02 10:00:00", json!({"kind": "share"}))]
);
golden!(
    activities,
    "activities",
    [
        (
            2,
            "2026-03-02 08:00:00",
            json!({"kind": "workout", "body": {"sport": "run", "minutes": 50, "distance_km": 10, "tags": ["hills"]}})
        ),
        (2, "2026-03-02 09:00:00", json!({"kind": "class", "body": {"minutes": 60}})),
    ]
);
