//! Short texts in paths, queries and bodies: ids, times, days, zones, digests, decimals.

use guerdon_core::earning::round_half_away;
use guerdon_core::id::{ActivityId, MemberId, OrderId, TransactionId};
use guerdon_core::time::{Calendar, Day, Timestamp};
use rust_decimal::Decimal;

use crate::text;

pub const EXAMPLES: &[&str] = &[
    "mem_0000000000001",
    "txn_7zzzzzzzzzzzz",
    "act_0000000000abc",
    "ord_00000000000zz",
    "2026-01-31T09:30:00Z",
    "2026-03-29 01:30:00",
    "-009999-01-02T01:59:59+25:59",
    "9999-12-31",
    "Europe/London",
    "0101010101010101010101010101010101010101010101010101010101010101",
    "79228162514264337593543950335",
    "1.5e-7",
];

pub const WORDS: &[&str] =
    &["mem_", "txn_", "T", "Z", "-", ":", "+14:00", "[Europe/London]", "W", "60", "29", "02", "é", "\0"];

pub fn short_text(input: &[u8]) -> String {
    let text = text(input);
    let mut kinds = String::new();
    let mut note = |kind: &str, found: bool| kinds.extend(found.then_some(kind));
    note("member ", text.parse::<MemberId>().inspect(|id| assert_eq!(id.to_string(), text)).is_ok());
    note("transaction ", text.parse::<TransactionId>().inspect(|id| assert_eq!(id.to_string(), text)).is_ok());
    note("activity ", text.parse::<ActivityId>().is_ok());
    note("order ", text.parse::<OrderId>().is_ok());
    note(
        "digest ",
        guerdon_core::hex::decode(&text).is_some_and(|bytes| guerdon_core::hex::encode(&bytes).len() == 64),
    );
    note("decimal ", text.parse::<Decimal>().or_else(|_| Decimal::from_scientific(&text)).is_ok_and(rounds));
    note(
        "zone ",
        Calendar::new(&text).is_ok_and(|calendar| dated(&calendar, Timestamp::from_millis(1_700_000_000_000))),
    );
    for zone in ["Europe/London", "Pacific/Apia", "Asia/Kathmandu"] {
        let calendar = Calendar::new(zone).unwrap();
        note("instant ", Timestamp::parse_rfc3339(&text).is_ok_and(|at| dated(&calendar, at)));
        note("local ", calendar.parse_local(&text).is_ok_and(|at| dated(&calendar, at)));
    }
    note("day ", serde_json::from_value::<Day>(text.into()).is_ok_and(|day| !day.date().to_string().is_empty()));
    kinds
}

fn rounds(value: Decimal) -> bool {
    round_half_away(value).is_some()
}

fn dated(calendar: &Calendar, at: Timestamp) -> bool {
    let day = calendar.day_of(at);
    let ends = [calendar.end_of_month_after(at, 1_200), calendar.end_of_day_after(at, 1_200), calendar.start_of(day)];
    ends.iter().all(|end| !end.to_string().is_empty()) && !at.to_string().is_empty()
}
