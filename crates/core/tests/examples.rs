//! The example programs that ship, with numbers computed by hand.
//!
//! Helpers outside of `#[test]` functions are test code too: what goes wrong in them must stop the test.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, dead_code)]

mod club;

use club::{Club, want};
use guerdon_core::earning::{CapScope, Per};
use guerdon_core::kernel::{Command, Event, GroupTerms, Payment, RefusalCode, Tendering};
use guerdon_core::ledger::{CurrencyId, Lot};
use guerdon_core::redemption::PaymentTender;
use guerdon_core::rewards::{DemandFigures, Split};
use guerdon_core::tiers::{Measure, Span, Step};
use guerdon_core::time::Timestamp;
use rust_decimal::Decimal;
use serde_json::json;

macro_rules! example {
    ($name:literal) => {
        Club::of(include_str!(concat!("../../../programs/examples/", $name, ".toml")))
    };
}

#[test]
fn spend() {
    let mut club = example!("spend");
    // ¥60.50 of tea and ¥59.40 of cups: ¥119.90. 119; 10 % of 119; half of 60.50.
    let basket = json!({"kind": "purchase", "lines": [
        {"category": "tea", "quantity": "1", "unit_price": "60.50"},
        {"category": "cups", "quantity": "2", "unit_price": "29.70"},
    ]});
    assert_eq!(club.earns("2026-03-02 10:00:00", basket), want([("base", 119), ("big-basket", 11), ("tea", 30)]));
    // ¥100.00 is not over ¥100.
    assert_eq!(club.earns("2026-03-02 10:00:00", json!({"kind": "purchase", "amount": 10_000})), want([("base", 100)]));
    let over = json!({"kind": "purchase", "amount": 10_001});
    assert_eq!(club.earns("2026-03-02 10:00:00", over), want([("base", 100), ("big-basket", 10)]));
    assert_eq!(club.total(), 160 + 100 + 110);
    club.check();
}

#[test]
fn check_in() {
    let mut club = example!("check-in");
    let check_in = || json!({"kind": "check_in"});
    for day in 1..=6 {
        assert_eq!(club.earns(&format!("2026-03-0{day} 23:30:00"), check_in()), want([("check-in", 5)]));
    }
    // Another one on the sixth day earns nothing, and says why.
    let again = club.record("again", "2026-03-06 23:59:59", check_in()).unwrap();
    let trim = again.explanation[0].trimmed.as_ref().unwrap();
    assert_eq!((again.explanation[0].points, trim.offered, trim.count, trim.points), (0, 5, Some(1), None));
    // The seventh day begins a second later; the bonus comes once.
    let seventh = club.record("seventh", "2026-03-07 00:00:00", check_in()).unwrap();
    assert_eq!(club::points(&seventh), want([("check-in", 5), ("seventh-day", 50)]));
    assert_eq!(seventh.explanation[1].facts["history.check_in.streak"], 7);
    assert_eq!(club.earns("2026-03-07 12:00:00", check_in()), want([("check-in", 0), ("seventh-day", 0)]));
    // A day is missed: the next bonus comes seven days after that.
    for day in 9..=14 {
        assert_eq!(club.earns(&format!("2026-03-{day:02} 08:00:00"), check_in()), want([("check-in", 5)]));
    }
    assert_eq!(club.earns("2026-03-15 08:00:00", check_in()), want([("check-in", 5), ("seventh-day", 50)]));
    assert_eq!(club.total(), 14 * 5 + 2 * 50);
    club.check();
}

#[test]
fn engagement() {
    let mut club = example!("engagement");
    // Monday, 2 March.
    let survey = || json!({"kind": "survey"});
    assert_eq!(club.earns("2026-03-02 09:00:00", survey()), want([("survey", 100), ("any-of-them", 30)]));
    let refused = club.record("twice", "2026-03-31 09:00:00", survey()).unwrap_err();
    assert_eq!(refused.code, RefusalCode::CapReached);
    assert!(refused.message.contains("rule `survey` gives a member at most 1 times in one month"), "{refused}");
    // Three shares on one day, the fourth has no room.
    for room in [20, 20, 20, 0] {
        let earned = club.earns("2026-03-03 09:00:00", json!({"kind": "share"}));
        assert_eq!(earned, want([("share", room), ("any-of-them", 0)]));
    }
    let review = json!({"kind": "review", "attributes": {"text": "good"}});
    assert_eq!(club.earns("2026-03-08 09:00:00", review), want([("review", 50), ("any-of-them", 0)]));
    // Without a text, but in a new week.
    assert_eq!(club.earns("2026-03-09 09:00:00", json!({"kind": "review"})), want([("any-of-them", 30)]));
    assert_eq!(club.earns("2026-04-01 00:00:00", survey()), want([("survey", 100), ("any-of-them", 30)]));
    assert_eq!(club.total(), 130 + 60 + 50 + 30 + 130);
    club.check();
}

#[test]
fn activities() {
    let mut club = example!("activities");
    let workout = |body: serde_json::Value| json!({ "kind": "workout", "body": body });
    // Monday, 2 March: 29 minutes are too few; 10 km in 50 minutes are 12 km/h.
    let short = workout(json!({"sport": "swim", "minutes": 29}));
    assert_eq!(club.earns("2026-03-02 07:00:00", short), want([]));
    let fast = workout(json!({"sport": "run", "minutes": 50, "distance_km": 10, "tags": ["hills"]}));
    assert_eq!(
        club.earns("2026-03-02 08:00:00", fast),
        want([("half-hour", 20), ("long-run", 50), ("fast", 30), ("outside", 5)])
    );
    // The third of the week. 9.99 km are less than 10, and in 50 minutes less than 12 km/h.
    let slow = workout(json!({"sport": "run", "minutes": 50, "distance_km": 9.99, "tags": ["hills"],
        "place": {"indoors": true, "town": "Hangzhou"}}));
    assert_eq!(
        club.earns("2026-03-02 09:00:00", slow),
        want([("half-hour", 0), ("says-where", 1), ("third", 40)]),
        "half an hour counts once a day"
    );
    // A ride is no run; without a distance nothing is fast; the place is there, the town is not.
    let ride = workout(json!({"sport": "ride", "minutes": 30, "distance_km": 40.5, "place": {"indoors": false}}));
    assert_eq!(club.earns("2026-03-03 08:00:00", ride), want([("half-hour", 20), ("third", 0)]));
    assert_eq!(
        club.earns("2026-03-09 08:00:00", workout(json!({"sport": "run", "minutes": 45}))),
        want([("half-hour", 20)])
    );
    let class = json!({"kind": "class", "body": {"minutes": 60, "booked_on": "2026-03-01", "coach": 7}});
    assert_eq!(club.earns("2026-03-10 08:00:00", class), want([("half-hour", 20)]));
    assert_eq!(club.total(), 105 + 41 + 20 + 20 + 20);
    club.check();
}

#[test]
fn weekend() {
    let mut club = example!("weekend");
    let order = |channel: &str| json!({"kind": "purchase", "amount": 5_050, "channel": channel});
    assert_eq!(club.earns("2026-03-06 12:00:00", order("app")), want([("base", 50)]));
    // Saturday.
    assert_eq!(club.earns("2026-03-07 12:00:00", order("app")), want([("base", 50), ("weekend", 50)]));
    let happy = club.record("happy", "2026-03-07 17:30:00", order("app")).unwrap();
    assert_eq!(club::points(&happy), want([("base", 50), ("weekend", 0), ("happy-hour", 100)]));
    assert_eq!(happy.explanation[1].lost_to.as_deref(), Some("happy-hour"));
    assert_eq!(club.earns("2026-03-07 17:30:00", order("pos")), want([("base", 50), ("weekend", 50)]));
    club.check();
}

#[test]
fn first_order() {
    let mut club = example!("first-order");
    let order = || json!({"kind": "purchase", "amount": 8_100});
    // The first order stops what comes after it: nobody is welcomed back who was never there.
    let first = club.record("first", "2026-01-01 12:00:00", order()).unwrap();
    assert_eq!(club::points(&first), want([("base", 81), ("first-order", 81), ("welcome-back", 0)]));
    assert_eq!(first.explanation[2].stopped_by.as_deref(), Some("first-order"));
    assert_eq!(club.earns("2026-01-02 12:00:00", order()), want([("base", 81)]));
    assert_eq!(club.earns("2026-01-31 12:00:00", order()), want([("base", 81)]));
    assert_eq!(club.earns("2026-03-02 12:00:00", order()), want([("base", 81), ("welcome-back", 40)]));
    club.check();
}

#[test]
fn limits() {
    let mut club = example!("limits");
    let order = |amount: i64| json!({"kind": "purchase", "amount": amount});
    assert_eq!(club.earns("2026-03-02 10:00:00", order(9_000)), want([("base", 90)]));
    // Both rules draw on the same minute.
    let share = club.record("share", "2026-03-02 10:00:59", json!({"kind": "share"})).unwrap();
    assert_eq!(club::points(&share), want([("share", 10)]));
    let trim = share.explanation[0].trimmed.as_ref().unwrap();
    assert_eq!((trim.offered, trim.points, trim.window.name()), (20, Some(100), "minute"));
    // 49 more minutes fill the day.
    for minute in 1..50 {
        assert_eq!(club.earns(&format!("2026-03-02 10:{minute:02}:00"), order(50_000)), want([("base", 100)]));
    }
    let full = club.record("full", "2026-03-02 23:59:00", order(50_000)).unwrap();
    let trim = full.explanation[0].trimmed.as_ref().unwrap();
    assert_eq!((full.points, trim.points, trim.window.name()), (0, Some(5_000), "day"));
    assert_eq!(club.earns("2026-03-03 00:00:00", order(50_000)), want([("base", 100)]));
    assert_eq!(club.total(), 5_100);
    club.check();
}

#[test]
fn steps() {
    let mut club = example!("steps");
    let order = |amount: i64| json!({"kind": "purchase", "amount": amount});
    assert_eq!(club.earns("2026-03-02 10:00:00", order(9_999)), want([]));
    assert_eq!(club.earns("2026-03-02 10:00:00", order(10_000)), want([("hundred", 10)]));
    assert_eq!(club.earns("2026-03-02 10:00:00", order(29_999)), want([("hundred", 20)]));
    let fruit = json!({"kind": "purchase", "lines": [
        {"category": "fruit", "quantity": "3", "unit_price": "1"},
        {"category": "fruit", "quantity": "1", "unit_price": "2"},
        {"category": "bread", "quantity": "1", "unit_price": "95"},
    ]});
    assert_eq!(club.earns("2026-03-02 10:00:00", fruit), want([("hundred", 10), ("fruit", 10)]));
    club.check();
}

#[test]
fn campaign() {
    let mut club = example!("campaign");
    let gifts = |yuan: &str| {
        json!({"kind": "purchase", "lines": [
            {"category": "gift", "quantity": "1", "unit_price": yuan},
            {"category": "tea", "quantity": "1", "unit_price": "10"},
        ]})
    };
    // The hash puts this member into the arm `five-fold`: place 27 of 100. The campaign begins at midnight.
    assert_eq!(club.earns("2026-10-31 23:59:59", gifts("100")), want([("base", 110)]));
    assert_eq!(club.earns("2026-11-01 00:00:00", gifts("100")), want([("base", 110), ("gifts", 400)]));
    // Four times 600 are 2,400; of 2,000 a day for one member 1,600 are left.
    let second = club.record("second", "2026-11-01 20:00:00", gifts("600")).unwrap();
    assert_eq!(club::points(&second), want([("base", 610), ("gifts", 1_600)]));
    let trim = second.explanation[1].trimmed.as_ref().unwrap();
    assert_eq!((trim.offered, trim.cap, trim.per, trim.points), (2_400, CapScope::Campaign, Per::Member, Some(2_000)));
    let spent: Vec<(&str, i64)> = second.budgets.iter().map(|spent| (spent.key.name.as_str(), spent.points)).collect();
    assert_eq!(spent, [("campaign:double-eleven", 1_600)]);
    assert_eq!(club.earns("2026-11-12 00:00:00", gifts("100")), want([("base", 110)]));
    // A Sunday, 31 days later; an hour afterwards the member has been there today.
    let tea = || json!({"kind": "purchase", "amount": 1_000, "store": "bund"});
    let back = club.record("back", "2026-12-13 10:00:00", tea()).unwrap();
    assert_eq!(club::points(&back), want([("base", 10), ("back", 200)]));
    assert_eq!(back.explanation[1].facts["history.purchase.days_since"], 31);
    assert_eq!(back.budgets[0].key.name, "campaign:come-back@bund");
    assert_eq!(club.earns("2026-12-13 11:00:00", tea()), want([("base", 10)]));
    club.check();
}

#[test]
fn rfm() {
    let mut club = example!("rfm");
    let order = |fen: i64| json!({"kind": "purchase", "amount": fen});
    assert_eq!(club.earns("2026-03-01 10:00:00", order(10_000)), want([("base", 100)]));
    // Four and five days later, but seen once and twice before, with ¥100 and ¥300.
    assert_eq!(club.earns("2026-03-05 10:00:00", order(20_000)), want([("base", 200)]));
    assert_eq!(club.earns("2026-03-10 10:00:00", order(25_000)), want([("base", 250)]));
    // Two days later, seen three times before, with ¥550: three times 50, which is more than twice 50.
    let fourth = club.record("fourth", "2026-03-12 10:00:00", order(5_000)).unwrap();
    assert_eq!(club::points(&fourth), want([("base", 50), ("often", 100), ("much", 0)]));
    assert_eq!(fourth.explanation[2].lost_to.as_deref(), Some("often"));
    assert_eq!(fourth.explanation[2].facts["history.purchase.last_365_days.amount"], 55_000);
    // Eight days later is too late for a week; ¥600 in a year.
    assert_eq!(club.earns("2026-03-20 10:00:00", order(8_000)), want([("base", 80), ("much", 80)]));
    assert_eq!(club.earns("2026-06-01 10:00:00", order(3_099)), want([("base", 30)]));
    // The ninety days that end with 7 June begin with 10 March: of the six purchases four lie in them.
    let june = club.record("june", "2026-06-07 23:59:59", order(1_000)).unwrap();
    assert_eq!(club::points(&june), want([("base", 10), ("often", 20), ("much", 0)]));
    assert_eq!(june.explanation[1].facts["history.purchase.last_90_days.count"], 4);
    // A second later it is 8 June: 10 March is out, 7 June is in.
    let next = club.record("next", "2026-06-08 00:00:00", order(500)).unwrap();
    assert_eq!(club::points(&next), want([("base", 5), ("often", 10), ("much", 0)]));
    assert_eq!(next.explanation[1].facts["history.purchase.last_90_days.count"], 4);
    assert_eq!(club.total(), 100 + 200 + 250 + 150 + 160 + 30 + 30 + 15);
    club.check();
}

#[test]
fn tiers() {
    let mut club = example!("tiers");
    let order = |fen: i64| json!({"kind": "purchase", "amount": fen});
    assert_eq!(club.earns("2026-03-02 10:00:00", order(99_900)), want([("base", 999), ("growth", 999)]));
    assert_eq!(club.tier(), "regular");
    // The last yuan of a thousand: silver at once, and welcome.
    let silver = club.record("silver", "2026-03-10 10:00:00", order(100)).unwrap();
    assert_eq!(club::points(&silver), want([("base", 1), ("growth", 1), ("welcome-up", 200)]));
    assert_eq!((silver.points, club.tier()), (201, "silver".to_owned()));
    let step = &silver.tier.as_ref().unwrap().steps[0];
    assert_eq!((step.from.as_deref(), step.to.as_deref(), step.step), (Some("regular"), Some("silver"), Step::Reached));
    let by = step.by.as_ref().unwrap().measures[0];
    assert_eq!((by.measure, by.value, by.needed), (Measure::Growth, 1_000, 1_000));
    let changed = Event::TierChanged { from: Some("regular".to_owned()), to: Some("silver".to_owned()) };
    assert_eq!(silver.events, [changed]);
    let earned = club.earns("2026-03-11 10:00:00", order(10_000));
    assert_eq!(earned, want([("base", 100), ("growth", 100), ("tier:silver", 10)]));
    // 999 + 1 + 100 + 3,900 = 5,000: the factor is still that of silver.
    let earned = club.earns("2026-04-05 10:00:00", order(390_000));
    assert_eq!(earned, want([("base", 3_900), ("growth", 3_900), ("tier:silver", 390), ("welcome-high", 500)]));
    // 30 % of 99 is 29.7.
    let earned = club.earns("2026-04-06 10:00:00", order(9_999));
    assert_eq!(earned, want([("base", 99), ("growth", 99), ("tier:gold", 29)]));
    let spendable = 999 + 201 + 110 + 3_900 + 390 + 500 + 99 + 29;
    assert_eq!((club.total(), spendable, club.account.available()), (6_228, 6_228, 6_228));
    let growth = club.account.wallet(CurrencyId(2)).unwrap().balance();
    assert_eq!(growth.available, 5_099);

    // Gold since April 2026: looked at again on 1 May 2027. In the twelve months from May 2026 nothing grew: it is kept for
    // thirty days.
    assert_eq!(club.due(), "2027-05-01 00:00");
    let grace = club.tick("2027-05-01 00:00:00").unwrap();
    assert_eq!((club.tier(), club.due(), grace.points), ("gold".to_owned(), "2027-05-31 00:00".to_owned(), 0));
    let step = &grace.tier.as_ref().unwrap().steps[0];
    assert_eq!((step.step, step.by.as_ref().unwrap().measures[0].value), (Step::Grace, 0));
    // Gently down: to silver, though the figures are those of a regular; nobody is welcomed on the way down.
    let lost = club.tick("2027-05-31 00:00:00").unwrap();
    assert_eq!((club.tier(), club.due(), lost.points), ("silver".to_owned(), "2028-06-01 00:00".to_owned(), 0));
    // A year later the program was down for two months: both moments are caught up with, each at its own date.
    let late = club.tick("2028-08-15 12:00:00").unwrap();
    let steps = &late.tier.as_ref().unwrap().steps;
    let dates: Vec<(Step, String)> =
        steps.iter().map(|step| (step.step, club.program.calendar.show(step.at))).collect();
    let (grace, lost) = ("2028-06-01 00:00".to_owned(), "2028-07-01 00:00".to_owned());
    assert_eq!((dates, club.tier()), (vec![(Step::Grace, grace), (Step::Lost, lost)], "regular".to_owned()));
    assert_eq!(club.account.next_due_at(), None);
    // Up again: the welcome to silver is given once in a lifetime.
    let again = club.earns("2028-09-01 10:00:00", order(100_000));
    assert_eq!(again, want([("base", 1_000), ("growth", 1_000), ("welcome-up", 0)]));
    club.check();
}

#[test]
fn the_highest_tier_has_two_ways() {
    let mut club = example!("tiers");
    let order = |fen: i64| json!({"kind": "purchase", "amount": fen});
    // ¥9,500 each month from November: 9,500 gold, 28,500 diamond in January, 57,000 of growth black in April.
    let mut tiers = Vec::new();
    for month in ["2026-11", "2026-12", "2027-01", "2027-02", "2027-03", "2027-04"] {
        club.earns(&format!("{month}-15 10:00:00"), order(950_000));
        tiers.push(club.tier());
    }
    assert_eq!(tiers, ["gold", "gold", "diamond", "diamond", "diamond", "black"]);
    // Until the beginning of the year after the next.
    assert_eq!(club.due(), "2029-01-01 00:00");

    // ¥30,000 in a quarter: ¥10,000 on the last day of the year before do not count, nor does what comes back.
    let mut club = example!("tiers");
    club.earns("2026-12-31 10:00:00", order(1_000_000));
    (1..=10).for_each(|day| drop(club.earns(&format!("2027-01-{day:02} 10:00:00"), order(270_000))));
    club.record("mistake", "2027-02-01 10:00:00", order(300_000)).unwrap();
    let back = json!({"kind": "return", "purchase": "mistake", "amount": 300_000});
    let back = club.record("back", "2027-03-05 10:00:00", back).unwrap();
    // 10,000 + 10 × 2,700 of growth are diamond, whose half more is taken back as well.
    assert_eq!(
        (club::points(&back), back.points),
        (want([("base", -3_000), ("growth", -3_000), ("tier:diamond", -1_500)]), -4_500)
    );
    let counted = &back.tier.as_ref().unwrap().counted[0];
    assert_eq!((counted.day.date().to_string().as_str(), counted.figures.orders), ("2027-02-01", -1));
    club.earns("2027-03-30 10:00:00", order(300_000));
    // ¥30,000 in eleven purchases are too few; the twelfth decides.
    assert_eq!(club.tier(), "diamond");
    let twelfth = club.record("twelfth", "2027-03-31 23:59:59", order(100)).unwrap();
    let by = twelfth.tier.unwrap().steps[0].by.clone().unwrap();
    let measures: Vec<(Measure, i64)> = by.measures.iter().map(|one| (one.measure, one.value)).collect();
    assert_eq!((club.tier().as_str(), by.window), ("black", Span::Quarter));
    assert_eq!(measures, [(Measure::Spend, 3_000_100), (Measure::Orders, 12)]);
    club.check();
}

#[test]
fn point_life() {
    let mut club = example!("point-life");
    let order = |yuan: i64| json!({"kind": "purchase", "amount": yuan * 100});
    let names = |kind: &str, purchase: &str| json!({"kind": kind, "purchase": purchase});
    let lots = |club: &Club| -> Vec<(String, bool, i64)> {
        let lots = &club.account.wallet(club::POINTS).unwrap().lots;
        let calendar = &club.program.calendar;
        let row = |lot: &Lot| {
            (calendar.last_day_before(lot.key.expires_at), lot.key.active_at == Timestamp::ZERO, lot.remaining)
        };
        lots.iter().map(row).collect()
    };
    let waits = |day: &str, points| (day.to_owned(), false, points);
    let has = |day: &str, points| (day.to_owned(), true, points);
    // Two orders on one day share a lot; the points are active by 25 January and good for a year from then.
    club.record("one", "2026-01-10 12:00:00", order(120)).unwrap();
    club.record("two", "2026-01-10 13:00:00", order(60)).unwrap();
    assert_eq!(lots(&club), [waits("2027-01-31", 180)]);
    // Only those of the order that is final become active; saying so again changes nothing.
    let done = club.record("done", "2026-01-12 12:00:00", names("order_final", "one")).unwrap();
    assert_eq!((done.matured, done.points), (120, 120));
    let again = club.record("again", "2026-01-12 12:00:01", names("order_final", "one")).unwrap();
    assert_eq!((again.matured, again.points), (0, 0));
    assert_eq!(lots(&club), [has("2027-01-31", 120), waits("2027-01-31", 60)]);
    // ¥180 so far; with ¥20 the month reaches ¥200 and everything lives 90 days longer: 31 January + 90 days is 1 May.
    let third = club.record("three", "2026-01-20 12:00:00", order(20)).unwrap();
    assert_eq!((third.extended.len(), third.extended[0].days), (1, 90));
    // The third order was to be good through February 2027: 28 February + 90 days is 29 May.
    assert_eq!(lots(&club), [has("2027-05-31", 120), waits("2027-05-31", 60), waits("2027-05-31", 20)]);
    assert_eq!(club.record("four", "2026-01-21 12:00:00", order(500)).unwrap().extended.len(), 0);
    // The second order comes back: its 60 points are taken, wherever they have moved since.
    let back = json!({"kind": "return", "amount": 6_000, "purchase": "two"});
    let back = club.record("back", "2026-01-22 12:00:00", back).unwrap();
    assert_eq!((club::points(&back)["base"], back.points, back.forgiven), (-60, 0, 0));
    assert_eq!(lots(&club), [waits("2027-02-28", 500), has("2027-05-31", 120), waits("2027-05-31", 20)]);
    // What waits longest becomes active by itself: with the ends of 3 and 4 February.
    assert_eq!(club.tick("2026-02-06 00:00:00").unwrap().matured, 520);
    assert_eq!(lots(&club), [has("2027-02-28", 500), has("2027-05-31", 140)]);
    // 100 points buy half a year for the rest: 28 February + 180 days is 27 August, 31 May + 180 days is 27 November.
    let when = at(&club, "2026-03-01 09:00:00");
    let extend = Command::extend(club::MEMBER, "longer", when, club::POINTS, Payment::Points).unwrap();
    let longer = club.decide(&extend, true).unwrap();
    assert_eq!((longer.points, longer.extended[0].paid), (-100, true));
    assert_eq!(lots(&club), [has("2027-08-31", 400), has("2027-11-30", 140)]);
    // The first order comes back at last: its 120 points are in the later lot.
    let back = json!({"kind": "return", "amount": 12_000, "purchase": "one"});
    club.record("late", "2026-04-01 12:00:00", back).unwrap();
    assert_eq!(lots(&club), [has("2027-08-31", 400), has("2027-11-30", 20)]);
    // 1 January 2027: 5 % of 420 is 21. 90 days before 1 September: 3 June.
    assert_eq!(club.due(), "2027-01-01 00:00");
    assert_eq!(club.tick("2027-01-01 00:00:00").unwrap().decayed, 21);
    assert_eq!(club.due(), "2027-06-03 00:00");
    let told = club.tick("2027-06-03 10:00:00").unwrap();
    assert_eq!(told.events.len(), 1);
    // Spent by half, then all of it comes back: what is not there is owed, and repaid by the next order.
    club.adjust(-199, "2027-07-01 12:00:00");
    let back = json!({"kind": "return", "amount": 50_000, "purchase": "four"});
    let back = club.record("too-late", "2027-07-02 12:00:00", back).unwrap();
    assert_eq!((back.points, back.owed, back.forgiven, club.total()), (-200, 300, 0, 0));
    let next = club.record("next", "2027-07-03 12:00:00", order(310)).unwrap();
    assert_eq!((next.repaid, next.explanation[0].repaid, club.total()), (300, 300, 10));
    // What repaid is not activated as if it were there, nor are the points of others.
    club.record("same-day", "2027-07-03 13:00:00", order(70)).unwrap();
    let done = club.record("next-done", "2027-07-04 12:00:00", names("order_final", "next")).unwrap();
    assert_eq!((done.matured, done.points), (10, 10));
    // Deposits of 2026 are cleared on 31 December 2028; 5 % of 1000 on 1 January 2028 at the earliest.
    let mut saver = example!("point-life");
    saver.record("save", "2026-05-01 12:00:00", json!({"kind": "save"})).unwrap();
    let years = saver.tick("2029-01-01 00:00:00").unwrap();
    let paid: Vec<i64> = years.explanation.iter().map(|outcome| outcome.points).collect();
    // 50 on 1 January 2028, 52 (of 1050) on 1 January 2029, as the 1000 are cleared.
    assert_eq!((paid, years.expired), (vec![50, 52], 1_000));
    saver.check();
    club.check();
}

fn at(club: &Club, local: &str) -> Timestamp {
    club.program.calendar.parse_local(local).unwrap()
}

#[test]
fn prices() {
    let mut club = example!("prices");
    club.adjust(100_000, "2026-03-01 08:00:00");
    let mut number = 0;
    let mut pays = |club: &mut Club, local: &str, reward: &str, quantity, figures: Option<DemandFigures>| {
        number += 1;
        let at = club.program.calendar.parse_local(local).unwrap();
        let redeem = Command::redeem(club::MEMBER, &format!("order-{number}"), at, reward, quantity, true).unwrap();
        -club.decide(&redeem.by_demand(figures), true).unwrap().points
    };
    // ¥50 and 20 % are ¥60, at ¥0.01.
    assert_eq!(pays(&mut club, "2026-03-02 10:00:00", "teapot", 1, None), 6_000);
    club.record("gold", "2026-03-02 11:00:00", json!({"kind": "purchase", "amount": 100_000})).unwrap();
    assert_eq!(pays(&mut club, "2026-03-02 11:00:01", "teapot", 2, None), 10_800);
    // 800 / 1.2 = 666.7; three of them are 2,400, of which the first 1,000 points pay 1,200.
    assert_eq!(pays(&mut club, "2026-03-03 10:00:00", "voucher", 1, None), 667);
    assert_eq!(pays(&mut club, "2026-03-03 10:00:00", "voucher", 3, None), 2_200);
    // 45 orders: 10 %. 2,000 views: 15 %, up to the ceiling of 110 %. No order for 30 days: 90 %.
    let figures = |orders, views, last: &str| {
        let at = Some(Timestamp::parse_rfc3339(last).unwrap());
        Some(DemandFigures { orders, views, last_order_at: at })
    };
    for (orders, views, last, points) in [
        (45, 10, "2026-05-31T10:00:00Z", 2_200),
        (0, 2_000, "2026-05-31T10:00:00Z", 2_200),
        (20, 0, "2026-05-31T10:00:00Z", 2_100),
        (0, 0, "2026-05-02T15:59:59Z", 1_800),
        (0, 0, "2026-05-02T16:00:00Z", 2_000),
    ] {
        let paid = pays(&mut club, "2026-06-01 12:00:00", "ticket", 1, figures(orders, views, last));
        assert_eq!(paid, points, "{orders} {views} {last}");
    }
    // 110 % of 2,000 in June; 80 % of that on the 18th.
    assert_eq!(pays(&mut club, "2026-06-17 23:59:59", "fan", 1, None), 2_200);
    assert_eq!(pays(&mut club, "2026-06-18 00:00:00", "fan", 1, None), 1_760);
    assert_eq!(pays(&mut club, "2026-09-01 00:00:00", "fan", 1, None), 2_000);
    club.check();
}

#[test]
fn payments() {
    let mut club = example!("payments");
    club.adjust(100_000, "2026-03-01 08:00:00");
    let mut number = 0;
    let mut pays = |club: &mut Club, reward: &str, quantity, split| {
        number += 1;
        let at = club.program.calendar.parse_local("2026-03-02 10:00:00").unwrap();
        let redeem = Command::redeem(club::MEMBER, &format!("order-{number}"), at, reward, quantity, false).unwrap();
        let tendering = Tendering { tender: PaymentTender::CashOnDelivery, split: Some(split) };
        let receipt = club.decide(&redeem.paid_by(Some(tendering)), true).map_err(|refusal| refusal.message)?;
        let order = receipt.order.unwrap();
        Ok::<_, String>((order.points, order.payment.unwrap().amount))
    };
    // ¥0.01 a point: 10 % to 50 % of 6,000 points, and of 12,000.
    assert_eq!(pays(&mut club, "teapot", 1, Split::Points(5_400)), Ok((5_400, 600)));
    assert_eq!(pays(&mut club, "teapot", 1, Split::Money(3_000)), Ok((3_000, 3_000)));
    assert_eq!(pays(&mut club, "teapot", 2, Split::Money(6_000)), Ok((6_000, 6_000)));
    let problem = pays(&mut club, "teapot", 1, Split::Money(3_001)).unwrap_err();
    assert!(problem.contains("`cash` of a price of 6000 points must be 600 to 3000, not 3001"), "{problem}");
    // ¥0.012 a point: 8,000 points are ¥96, and 1,000 must be paid. ¥10 pay for 833 points, which are worth ¥9.996.
    assert_eq!(pays(&mut club, "kettle", 1, Split::Points(1_000)), Ok((1_000, 9_600)));
    assert_eq!(pays(&mut club, "kettle", 1, Split::Money(1_000)), Ok((8_167, 1_000)));
    assert_eq!(pays(&mut club, "kettle", 1, Split::Points(8_999)), Ok((8_999, 2)), "¥0.012 are rounded up");
    assert!(pays(&mut club, "green-tea", 1, Split::Points(1)).unwrap_err().contains("cannot be paid with money"));
    // Three friends pay 80 %.
    let at = club.program.calendar.parse_local("2026-03-02 11:00:00").unwrap();
    let terms = GroupTerms { code: "c".to_owned(), ends_at: at.plus_millis(1), percent: Decimal::from(80) };
    let join = Command::join_group(club::MEMBER, at, "teapot", (terms, "p"), None);
    assert_eq!(club.decide(&join, true).unwrap().order.unwrap().points, 4_800);
    club.check();
}
