//! What the simulation's program offers besides the two rewards of all tests: as the program says it, and beside it as the model
//! has it, written down by hand.

use crate::calendar::{date_of, days_of, local_hour};
use crate::fixtures::{TEA, VOUCHER};
use crate::world::HOUR;

/// Rewards that are scarce in every way there is: variants, slots, bundles, pools, a staged release, limits, plans of restocking
/// and a part in money.
pub(crate) const SHELVES: &str = r#"
[[rewards]]
id = "mug"
name = "A mug"
price = 30
stock = 3
pickup = true
kind = { type = "physical", variants = [{ id = "blue", name = "Blue", stock = 2 }, { id = "red", name = "Red" }] }

[[rewards]]
id = "biscuit"
name = "A biscuit"
price = 10
stock = 4
pickup = true
limit = [{ quantity = 3, per = "month" }]
scarcity = { restock = [{ at = "2026-03-12T10:00", quantity = 2, every = "week", until = "2026-09-01T00:00" }] }

[[rewards]]
id = "breakfast"
name = "Breakfast"
price = 45
stock = 3
kind = { type = "bundle", contents = [{ reward = "mug", variant = "blue" }, { reward = "biscuit", quantity = 2 }] }

[[rewards]]
id = "massage"
name = "A massage"
price = 20
kind = { type = "service", appointments = { slots = [{ weekdays = [1, 2, 3, 4, 5, 6, 7], from = "10:00", to = "12:00", minutes = 60, capacity = 2 }], notice_hours = 1 } }

[[rewards]]
id = "kettle"
name = "A kettle"
stock = 4
price = { points = 100, cash = { from_percent = 10, to_percent = 60, point_value = "0.007" } }

[[rewards]]
id = "lamp"
name = "A lamp"
price = 25
catalogue = { listed = { from = "2026-03-30T10:00" } }
scarcity = { pools = [
    { id = "gold", stock = 1, open_to = { tiers = ["gold"] } },
    { id = "north", stock = 1, open_to = { stores = ["North"] } },
    { id = "rest", stock = 3 },
], release = { early = [{ tier = "silver", hours = 240 }, { tier = "gold", hours = 480 }], set_aside = 50, regular_hours = 480 } }

[program.payment]
tenders = ["test", "cash_on_delivery"]
"#;

/// The keys under which units are counted from the beginning, and how many there are.
pub(crate) const STOCKED: [(&str, i64); 9] = [
    (VOUCHER, crate::world::VOUCHERS),
    ("mug", 3),
    ("mug#variant:blue", 2),
    ("biscuit", 4),
    ("breakfast", 3),
    ("kettle", 4),
    ("lamp#gold", 1),
    ("lamp#north", 1),
    ("lamp#rest", 3),
];

/// What people may restock: of which reward, which part of it.
pub(crate) const PARTS: [(&str, Option<&str>); 10] = [
    (VOUCHER, None),
    ("mug", None),
    ("mug", Some("variant:blue")),
    ("biscuit", None),
    ("breakfast", None),
    ("kettle", None),
    ("lamp", Some("gold")),
    ("lamp", Some("north")),
    ("lamp", Some("rest")),
    (TEA, None),
];

/// Points for one unit.
pub(crate) fn price(reward: &str) -> Option<i64> {
    Some(match reward {
        VOUCHER => 500,
        TEA => 40,
        "mug" => 30,
        "biscuit" => 10,
        "breakfast" => 45,
        "massage" => 20,
        "kettle" => 100,
        "lamp" => 25,
        other => return crate::fulfilment::catalogue::price(other),
    })
}

/// Units that one member may order in a month.
pub(crate) fn monthly_limit(reward: &str) -> Option<i64> {
    (reward == "biscuit").then_some(3)
}

/// Places in a slot of a massage.
pub(crate) const PLACES: i64 = 2;

/// A slot on a day by the local clock: whether there is one depends on the hour.
pub(crate) fn slot(day: i64, hour: i64) -> String {
    let (year, month, day) = date_of(day);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:00")
}

/// When a slot begins; `None`: there is none.
pub(crate) fn slot_begins(slot: &str) -> Option<i64> {
    let number = |from: usize, to: usize| slot[from..to].parse::<i64>().expect("a number");
    let (day, hour) = (days_of(number(0, 4), number(5, 7), number(8, 10)), number(11, 13));
    (10..12).contains(&hour).then(|| local_hour(day, hour))
}

/// The slot may be ordered for an hour less than the time until it begins, and a year ahead.
pub(crate) fn is_bookable(slot: &str, at: i64) -> bool {
    slot_begins(slot).is_some_and(|begins| at <= begins - HOUR && begins <= at + 366 * 24 * HOUR)
}

/// The moments at which two biscuits come in by themselves: each Thursday at ten from the 12th of March to the end of August.
pub(crate) fn planned() -> impl Iterator<Item = i64> {
    (0..)
        .map(|week| days_of(2026, 3, 12) + 7 * week)
        .take_while(|day| *day < days_of(2026, 9, 1))
        .map(|day| local_hour(day, 10))
}
/// How many come in then.
pub(crate) const PLANNED: i64 = 2;

/// Since when lamps are there for everybody, and until when those who came earlier leave half of them to the others.
pub(crate) fn lamps_for_everybody() -> (i64, i64) {
    let from = local_hour(days_of(2026, 3, 30), 10);
    (from, from + 480 * HOUR)
}

/// Since when a tier may have lamps.
pub(crate) fn lamps_from(rank: u8) -> i64 {
    lamps_for_everybody().0 - early_hours(rank) * HOUR
}

/// How many hours before everybody a tier may have lamps.
pub(crate) fn early_hours(rank: u8) -> i64 {
    match rank {
        2 => 480,
        1 => 240,
        _ => 0,
    }
}
