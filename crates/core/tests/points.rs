//! The life of a point, with numbers computed by hand.
//!
//! Helpers outside of `#[test]` functions are test code too: what goes wrong in them must stop the test.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, dead_code)]

mod club;

use club::{Club, POINTS, want};
use guerdon_core::kernel::{Command, Event, Payment, Receipt};
use guerdon_core::ledger::CurrencyId;
use guerdon_core::time::Timestamp;
use proptest::prelude::*;
use serde_json::json;

/// A point for each yuan; the expiry and the life of the currency as given.
fn file(expiry: &str, life: &str) -> String {
    format!(
        r#"
        program = {{ id = "p", name = "P", money = "CNY", time_zone = "Asia/Shanghai" }}
        [[currencies]]
        id = 1
        code = "points"
        name = "Points"
        per_money_unit = 100
        {expiry}
        [currencies.life]
        {life}
        [[rules]]
        id = "base"
        name = "Base"
        trigger = "purchase"
        effect = {{ type = "points_per_money", rate = "1" }}
        [[rules]]
        id = "check-in"
        name = "Check-in"
        trigger = "check_in"
        effect = {{ type = "fixed_points", points = 5 }}
        pending_days = 3
        [[rules]]
        id = "return"
        name = "Return"
        trigger = "return"
        effect = {{ type = "take_back_per_money", rate = "1" }}
        "#
    )
}

fn buy(yuan: i64) -> serde_json::Value {
    json!({"kind": "purchase", "amount": yuan * 100})
}

fn told(receipt: &Receipt) -> Vec<String> {
    let tell = |event: &Event| match event {
        Event::PointsExpiring { points, expires_at, days, .. } => format!("{points} in {days} days: {expires_at}"),
        Event::Task { subject, text } => format!("{subject}: {}", text.get("en")),
        other => format!("{other:?}"),
    };
    receipt.events.iter().map(tell).collect()
}

#[test]
fn reminders_come_once_for_each_step() {
    let life = r#"reminders = { call = { over = 5000, text = "Call" } }"#;
    let mut club = Club::of(&file(r#"expiry = { after = 12, granule = "month" }"#, life));
    club.earns("2026-01-10 12:00:00", buy(5_000));
    // Good through 31 January 2027; 90 days before 1 February 2027 is 3 November 2026.
    assert_eq!(club.due(), "2026-11-03 00:00");
    club.earns("2026-01-31 23:59:59", buy(1));
    club.earns("2026-02-01 00:00:00", buy(300));
    assert!(club.tick("2026-11-02 23:59:59").is_err());
    let first = club.tick("2026-11-03 08:00:00").unwrap();
    let ends = "2027-01-31T16:00:00Z";
    assert_eq!(told(&first), [format!("5001 in 90 days: {ends}"), "call: Call".to_owned()]);
    // The points of February: 90 days before 1 March 2027.
    assert_eq!(club.due(), "2026-12-01 00:00");
    assert_eq!(told(&club.tick("2026-12-01 00:00:00").unwrap()), ["300 in 90 days: 2027-02-28T16:00:00Z"]);
    // What is earned meanwhile is in later reminders; a call is asked for once.
    club.adjust(-2_001, "2026-12-05 10:00:00");
    assert_eq!(club.due(), "2027-01-02 00:00");
    // Two steps of two lots at once, in order, after a month without a server.
    let late = club.tick("2027-02-01 09:00:00").unwrap();
    let want = [
        format!("3000 in 30 days: {ends}"),
        format!("3000 in 7 days: {ends}"),
        "300 in 30 days: 2027-02-28T16:00:00Z".to_owned(),
    ];
    assert_eq!((told(&late), late.expired), (want.to_vec(), 3_000));
    assert_eq!(club.due(), "2027-02-22 00:00");
    club.check();
}

#[test]
fn who_has_less_time_than_a_reminder_is_told_by_the_next() {
    let mut club =
        Club::of(&file(r#"expiry = { after = 1, granule = "month" }"#, "reminders = { days = [90, 30, 7] }"));
    // Good through 28 February: 48 days. 30 days before 1 March is 30 January.
    club.earns("2026-01-11 12:00:00", buy(10));
    assert_eq!(club.due(), "2026-01-30 00:00");
    // Everything is spent: the reminder tells nothing and the account rests.
    club.adjust(-10, "2026-01-12 12:00:00");
    assert_eq!(club.due(), "∞");
    club.check();
}

#[test]
fn a_part_decays_each_year_from_what_expires_first() {
    let mut club = Club::of(&file(r#"expiry = { after = 24, granule = "year" }"#, r#"decay = { percent = "5" }"#));
    club.earns("2025-03-01 12:00:00", buy(30));
    club.earns("2026-03-01 12:00:00", buy(969));
    // Both years: 1 January 2026 took floor(30 × 5 %) = 1; 1 January 2027 takes floor(998 × 5 %) = 49.
    assert_eq!((club.total(), club.due().as_str()), (998, "2027-01-01 00:00"));
    let receipt = club.tick("2027-01-01 00:00:00").unwrap();
    assert_eq!((receipt.decayed, receipt.expired, receipt.points), (49, 0, -49));
    // 29 of 2025, which would have expired on 31 December 2027, are gone first.
    let lots: Vec<i64> = club.account.wallet(POINTS).unwrap().lots.iter().map(|lot| lot.remaining).collect();
    assert_eq!(lots, [949]);
    // 1 January 2028: 5 % of 949 is 47. The year after, what is left expires first, and nothing is left to decay.
    let receipt = club.tick("2029-06-01 00:00:00").unwrap();
    assert_eq!((receipt.decayed, receipt.expired), (47, 902));
    assert_eq!((club.total(), club.due().as_str(), club.account.agenda.is_empty()), (0, "∞", true));
    club.check();
}

#[test]
fn what_is_earned_before_a_late_tick_does_not_decay() {
    let mut club = Club::of(&file("", r#"decay = { percent = "10" }"#));
    club.earns("2026-12-31 12:00:00", buy(100));
    let late = club.record("late", "2027-01-01 00:00:10", buy(1_000)).unwrap();
    assert_eq!((late.decayed, late.points), (10, 990));
    assert!(club.tick("2027-01-01 00:01:00").is_err());
    club.check();
}

#[test]
fn interest_is_paid_on_the_lowest_balance_of_a_whole_year() {
    let life = r#"interest = { percent = "5", every = "year" }"#;
    let mut club = Club::of(&file(r#"expiry = { after = 60, granule = "month" }"#, life));
    club.earns("2026-05-01 12:00:00", buy(1_000));
    // The first year was not a whole one.
    let first = club.tick("2027-01-01 00:00:00").unwrap();
    assert_eq!((first.points, first.explanation.len()), (0, 0));
    club.earns("2027-02-01 12:00:00", buy(500));
    club.adjust(-701, "2027-03-01 12:00:00");
    club.earns("2027-04-01 12:00:00", buy(5_000));
    // 1 January 2027: 1000; 1500; 799; 5799. 5 % of 799 is 39.
    let second = club.tick("2028-01-01 07:00:00").unwrap();
    assert_eq!(club::points(&second), want([("interest:points", 39)]));
    assert_eq!((second.points, second.explanation[0].version), (39, 0));
    // Whoever is late by two years gets both: 5 % of 5838 is 291; 5 % of 6129 is 306.
    let third = club.tick("2030-02-01 07:00:00").unwrap();
    let paid: Vec<i64> = third.explanation.iter().map(|outcome| outcome.points).collect();
    assert_eq!((paid, club.total()), (vec![291, 306], 6_435));
    club.check();
}

#[test]
fn monthly_interest() {
    let mut club = Club::of(&file("", r#"interest = { percent = "0.4", every = "month" }"#));
    club.earns("2026-01-31 23:00:00", buy(10_000));
    assert_eq!(club.due(), "2026-02-01 00:00");
    // Nothing on 1 February; 0.4 % of 10,000 on 1 March, of 10,040 on 1 April.
    let receipt = club.tick("2026-04-01 00:00:00").unwrap();
    let paid: Vec<i64> = receipt.explanation.iter().map(|outcome| outcome.points).collect();
    assert_eq!(paid, [40, 40]);
    club.check();
}

#[test]
fn interest_counts_what_has_matured_before_its_tick_comes() {
    let life = r#"interest = { percent = "20", every = "month" }"#;
    let mut club = Club::of(&file(r#"expiry = { after = 40, granule = "day" }"#, life));
    club.earns("2026-01-05 12:00:00", buy(1_000));
    club.earns("2026-01-25 12:00:00", buy(300));
    assert_eq!(club.tick("2026-02-01 00:00:00").unwrap().points, 0);
    // No tick comes in February: 5 points mature on the 11th, 1000 expire on the 15th, 305 are left.
    club.earns("2026-02-08 12:00:00", json!({"kind": "check_in"}));
    club.earns("2026-02-20 12:00:00", json!({"kind": "check_in"}));
    let receipt = club.tick("2026-03-01 00:00:00").unwrap();
    assert_eq!(club::points(&receipt), want([("interest:points", 61)]));
    club.check();
}

#[test]
fn what_a_return_cannot_take_back_is_owed_up_to_a_limit() {
    let mut club = Club::of(&file("", r#"shortfall = { policy = "owe", up_to = 80 }"#));
    club.record("first", "2026-01-10 12:00:00", buy(100)).unwrap();
    club.adjust(-70, "2026-01-11 12:00:00");
    let back = json!({"kind": "return", "amount": 10_000, "purchase": "first"});
    let back = club.record("back", "2026-01-12 12:00:00", back).unwrap();
    assert_eq!((back.points, back.owed, back.forgiven), (-30, 70, 0));
    // 10 more are owed at most; the rest is forgiven.
    let back = club.record("more", "2026-01-12 12:00:00", json!({"kind": "return", "amount": 2_500})).unwrap();
    assert_eq!((back.points, back.owed, back.forgiven), (0, 10, 15));
    assert_eq!(club.account.agenda.owed(POINTS), 80);
    // What is earned repays first, also while it is pending.
    let earned = club.record("check-in", "2026-01-13 12:00:00", json!({"kind": "check_in"})).unwrap();
    assert_eq!((earned.repaid, club.total()), (5, 0));
    let earned = club.record("second", "2026-01-14 12:00:00", buy(200)).unwrap();
    assert_eq!((earned.repaid, earned.points, club.account.agenda.owed(POINTS)), (75, 125, 0));
    // The member's points and what became of them: 100 + 5 + 200 earned, 110 taken back, 70 adjusted.
    let life = club.account.wallet(POINTS).unwrap().lifetime;
    assert_eq!((life.earned, life.revoked, life.adjusted, club.total()), (305, 110, -70, 125));
    // A return of what repaid: 125 are there, 75 are owed again.
    let back = json!({"kind": "return", "amount": 20_000, "purchase": "second"});
    let back = club.record("back-again", "2026-01-15 12:00:00", back).unwrap();
    assert_eq!((back.points, back.owed, back.forgiven, club.total()), (-125, 75, 0, 0));
    club.check();
}

#[test]
fn a_program_that_forgives_records_it() {
    let mut club = Club::of(&file("", ""));
    club.record("first", "2026-01-10 12:00:00", buy(100)).unwrap();
    club.adjust(-70, "2026-01-11 12:00:00");
    let back = json!({"kind": "return", "amount": 10_000, "purchase": "first"});
    let back = club.record("back", "2026-01-12 12:00:00", back).unwrap();
    assert_eq!((back.points, back.owed, back.forgiven), (-30, 0, 70));
    assert!(club.account.agenda.is_empty());
    club.check();
}

/// Everything at once, so that moments of all kinds mix.
fn all_of_it() -> String {
    file(
        r#"expiry = { after = 40, granule = "day" }"#,
        r#"
        reminders = { days = [30, 7, 1], call = { over = 100, text = "Call" } }
        decay = { percent = "7.5", on = "03-01" }
        interest = { percent = "3", every = "month" }
        shortfall = { policy = "owe", up_to = 50 }
        "#,
    )
}

fn after(hours: i64) -> Timestamp {
    Timestamp::parse_rfc3339("2026-01-10T00:00:00Z").unwrap().plus_millis(hours * 3_600_000)
}

/// Does the same in all clubs; the first has its ticks in time.
fn live(deeds: &[(i64, u8, i64)], returns: bool, in_time: bool, until: Timestamp) -> (Club, Vec<Event>) {
    let mut club = Club::of(&all_of_it());
    let mut events = Vec::new();
    let tick_until = |club: &mut Club, events: &mut Vec<Event>, at: Timestamp| {
        while let Some(due) = club.account.next_due_at().filter(|due| *due <= at) {
            events.extend(club.tick_at(if in_time { due } else { at }).unwrap().events);
        }
    };
    let mut hours = 0;
    for (index, (later, what, amount)) in deeds.iter().enumerate() {
        hours += later;
        if in_time {
            tick_until(&mut club, &mut events, after(hours));
        }
        let deed = match what {
            // What a return finds depends on whether points have matured, which waits for the tick.
            0 if !returns => json!({"kind": "check_in"}),
            1 if returns => json!({"kind": "return", "amount": amount * 100}),
            _ => buy(*amount),
        };
        events.extend(club.record_at(&format!("deed-{index}"), after(hours), deed).unwrap().events);
    }
    tick_until(&mut club, &mut events, until);
    assert!(club.tick_at(until).is_err());
    club.check();
    (club, events)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(128) })]

    #[test]
    fn late_ticks_lead_to_the_same(
        deeds in prop::collection::vec((0_i64..400, 0_u8..5, 1_i64..300), 1..12),
        returns in any::<bool>(),
        days in 0_i64..200,
    ) {
        let hours: i64 = deeds.iter().map(|(later, ..)| later).sum();
        let until = after(hours + days * 24);
        let (timely, told) = live(&deeds, returns, true, until);
        let (late, told_late) = live(&deeds, returns, false, until);
        prop_assert_eq!(&timely.account.wallets, &late.account.wallets);
        prop_assert_eq!(&timely.account.agenda, &late.account.agenda);
        prop_assert_eq!(told, told_late);
        let wallet = late.account.wallet(CurrencyId(1)).unwrap();
        prop_assert!(wallet.lots.iter().all(|lot| lot.remaining > 0 && lot.held == 0));
        let life = wallet.lifetime;
        prop_assert_eq!(life.earned - life.expired - life.revoked, late.total());
    }
}

/// Points wait until the order is final, live longer by what is spent and for a fee, and none is spent.
fn extended() -> String {
    file(
        r#"expiry = { after = 12, granule = "month" }"#,
        r#"
        extension = { spend = { amount = "150", days = 45 }, paid = { fee = "1", days = 40 } }
        shortfall = { policy = "owe", up_to = 1000000 }
        "#,
    )
    .replace(
        "effect = { type = \"points_per_money\", rate = \"1\" }",
        "effect = { type = \"points_per_money\", rate = \"1\" }\npending_days = 20\npending_until = \"final\"",
    )
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(256) })]

    /// Wherever extensions and final orders have moved points, returns find exactly those of their purchases.
    #[test]
    fn what_is_returned_in_full_leaves_nothing(
        deeds in prop::collection::vec((0_i64..300, 0_u8..8, 0_usize..9, 1_i64..200), 1..30),
    ) {
        let mut club = Club::of(&extended());
        let mut left: Vec<(String, i64)> = Vec::new();
        let mut hours = 0;
        for (index, (later, what, which, amount)) in deeds.into_iter().enumerate() {
            hours += later;
            let at = after(hours);
            while club.account.next_due_at().is_some_and(|due| due <= at) {
                club.tick_at(at).unwrap();
            }
            let key = format!("deed-{index}");
            let bought = (!left.is_empty()).then(|| which % left.len());
            match (what, bought) {
                (0, Some(bought)) => {
                    let part = amount.min(left[bought].1);
                    let back = json!({"kind": "return", "amount": part * 100, "purchase": left[bought].0});
                    let receipt = club.record_at(&key, at, back).unwrap();
                    prop_assert_eq!((receipt.forgiven, receipt.owed), (0, 0));
                    left[bought].1 -= part;
                }
                (1 | 2, Some(bought)) => {
                    let total = club.total();
                    let last = json!({"kind": "order_final", "purchase": left[bought].0});
                    let receipt = club.record_at(&key, at, last).unwrap();
                    prop_assert!(receipt.matured <= left[bought].1 && club.total() == total);
                }
                (3, _) if club.total() > 0 => {
                    let extend = Command::extend(club::MEMBER, &key, at, POINTS, Payment::Fee).unwrap();
                    let total = club.total();
                    let receipt = club.decide(&extend, true).unwrap();
                    prop_assert_eq!((receipt.fee, club.total()), (Some(100), total));
                }
                _ => {
                    club.record_at(&key, at, buy(amount)).unwrap();
                    left.push((key, amount));
                }
            }
            prop_assert_eq!(club.total(), left.iter().map(|(_, amount)| amount).sum::<i64>());
        }
        for (key, amount) in left {
            let back = json!({"kind": "return", "amount": amount * 100, "purchase": key});
            let receipt = club.record_at(&format!("back-{key}"), after(hours), back).unwrap();
            prop_assert_eq!((receipt.forgiven, receipt.owed), (0, 0));
        }
        prop_assert_eq!(club.total(), 0);
        club.check();
    }
}
