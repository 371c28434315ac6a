//! Properties of tiers: what is refused at publication, what a tier follows from, and that it is told in full.
//!
//! Helpers outside of `#[test]` functions are test code too: what goes wrong in them must stop the test.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, dead_code)]

mod club;

use club::{Club, points, want};
use guerdon_core::earning::{Act, Activity};
use guerdon_core::id::{IdGenerator, MemberId};
use guerdon_core::kernel::{Batch, Command, Event, Loaded, Receipt, RefusalCode};
use guerdon_core::ledger::{Account, CurrencyId};
use guerdon_core::program::Bundle;
use guerdon_core::tiers::{Held, Step};
use guerdon_core::time::{EARLIEST, Timestamp};
use proptest::prelude::*;
use serde_json::json;

const PROGRAM: &str = r#"
program = { id = "p", name = "P", money = "CNY", time_zone = "Asia/Shanghai" }
currencies = [
    { id = 1, code = "points", name = "Points", per_money_unit = 100 },
    { id = 2, code = "growth", name = "Growth", spendable = false },
]
"#;

const RULES: &str = r#"
[[rules]]
id = "base"
name = "Base"
trigger = "purchase"
effect = { type = "points_per_money", rate = "1" }
[[rules]]
id = "growth"
name = "Growth"
trigger = "purchase"
currency = 2
effect = { type = "points_per_money", rate = "1" }
"#;

fn tier(id: &str, rank: u8, rest: &str) -> String {
    format!("[[tiers]]\nid = \"{id}\"\nname = \"{id}\"\nrank = {rank}\n{rest}\n")
}

/// Three levels by growth in six months, and a fourth by purchases in ninety days.
fn levels() -> String {
    let review = "review = { after = { months = 4 }, grace_days = 20 }";
    PROGRAM.to_owned()
        + RULES
        + &tier("regular", 0, "")
        + &tier("silver", 1, &format!("qualify = [{{ window = {{ months = 6 }}, growth = 100 }}]\n{review}"))
        + &tier("gold", 2, &format!("qualify = [{{ window = {{ months = 6 }}, growth = 300 }}]\n{review}"))
        + &tier(
            "black",
            3,
            &format!(
                "qualify = [{{ window = {{ days = 90 }}, orders = 6, spend = \"200\", within_days = 60 }}]\n{review}"
            ),
        )
}

fn refused(rest: &str) -> String {
    Bundle::parse(&(PROGRAM.to_owned() + RULES + rest)).unwrap_err()
}

#[test]
fn what_cannot_be_is_refused_at_publication() {
    let silver = || tier("silver", 1, "qualify = [{ growth = 100 }]");
    let with = |rest: &str| refused(&tier("silver", 1, &format!("qualify = [{{ growth = 100 }}]\n{rest}")));
    for (rest, problem) in [
        (
            tier("a", 1, "") + &tier("b", 1, "qualify = [{ orders = 1 }]"),
            "tier `b`: `rank` 1 is that of the tier `a` as well",
        ),
        (tier("a", 1, "") + &tier("b", 2, ""), "tier `b`: needs a way to `qualify`"),
        (
            silver() + &tier("gold", 2, "qualify = [{ growth = 100 }]"),
            "tier `gold`: `qualify` asks for no more than the lower tier `silver`",
        ),
        (silver() + &silver(), "tier `silver` is there twice"),
        (tier("a", 100, ""), "`rank` must be 0 to 99"),
        (tier("a", 1, "qualify = [{ }]"), "needs `growth`, `spend`, `orders` or `within_days`"),
        (tier("a", 1, "qualify = [{ growth = 0 }]"), "`qualify.growth` must be more than 0"),
        (
            tier("a", 1, "qualify = [{ window = { months = 37 }, orders = 1 }]"),
            "`qualify.window.months` must be 1 to 36",
        ),
        (tier("a", 1, "qualify = [{ window = { days = 366 }, orders = 1 }]"), "`qualify.window.days` must be 1 to 365"),
        (tier("a", 1, "qualify = [{ window = \"decade\", orders = 1 }]"), "decade"),
        (tier("a", 1, "review = { after = { months = 12 } }"), "nothing to `review`"),
        (tier("A", 1, ""), "an id has 1 to 64 lower-case letters"),
    ] {
        let found = refused(&rest);
        assert!(found.contains(problem), "{rest}: {found}");
    }
    for (rest, problem) in [
        ("review = { after = { months = 0 } }", "`review.after.months` must be 1 to 120"),
        ("review = { after = { days = 6 } }", "`review.after.days` must be 7 to 3650"),
        ("review = { after = { years = 1 }, grace_days = 366 }", "`review.grace_days` must be 0 to 365"),
        ("benefits = { factors = [{ factor = \"0.9\" }] }", "factors[0]`.factor must be 1 to 100"),
        ("benefits = { factors = [{ factor = \"2\", currency = 9 }] }", "currency 9 is not one of the program's"),
        ("benefits = { factors = [{ factor = \"2\", currency = 2 }] }", "`growth` is tier value"),
        ("benefits = { factors = [{ factor = \"2\" }, { factor = \"3\" }] }", "a factor of currency 1 already"),
        ("benefits = { early_access_hours = -1 }", "early_access_hours` must be 0 to 8760"),
        ("benefits = { colour = \"red\" }", "colour"),
    ] {
        let found = with(rest);
        assert!(found.contains(problem), "{rest}: {found}");
    }
    let conditioned = |condition: &str| {
        let rule = "[[rules]]\nid = \"r\"\nname = \"R\"\ntrigger = \"purchase\"\neffect = { type = \"fixed_points\", points = 1 }";
        refused(&format!("{}{rule}\ncondition = \"{condition}\"", silver()))
    };
    for (condition, problem) in [
        ("activity.net > 5 && tier.id == 'gold'", "line 1, column 32: the program has no tier `gold`; it has silver"),
        ("tier.id in ['silver', 'gold']", "the program has no tier `gold`"),
        ("tier.id.startsWith('s')", "`tier.id` can be compared with texts that are written out"),
        ("tier.name == 'Silver'", "there is no attribute `name`; it has id, rank, rank_before"),
        ("history.purchase.last_400_days.count > 1", "last_1_days to last_365_days"),
    ] {
        let found = conditioned(condition);
        assert!(found.contains(problem), "{condition}: {found}");
    }
    let named = "[[rules]]\nid = \"tier:silver\"\nname = \"R\"\ntrigger = \"purchase\"\neffect = { type = \"fixed_points\", points = 1 }";
    assert!(refused(named).contains("must not begin with `tier:`"));
    let sold = "[[rewards]]\nid = \"cup\"\nname = \"Cup\"\nprice = 5\ncurrency = 2";
    assert!(refused(sold).contains("reward `cup`: `growth` is tier value and cannot be spent"));
    let two = PROGRAM.replace("per_money_unit = 100", "spendable = false");
    assert!(Bundle::parse(&two).unwrap_err().contains("only one currency may have `spendable = false`"));
    let none = PROGRAM.replace(", spendable = false", ", per_money_unit = 1");
    assert!(Bundle::parse(&(none + &silver())).unwrap_err().contains("needs a currency with `spendable = false`"));
}

#[test]
fn a_caller_cannot_change_a_tier() {
    let mut club = Club::of(&levels());
    let refusal = club.record("k", "2026-03-02 12:00:00", json!({"kind": "tier_changed"})).unwrap_err();
    assert_eq!(refusal.code, RefusalCode::InvalidRequest);
    assert!(refusal.message.contains("recorded by the program itself"), "{refusal}");
}

#[test]
fn conditions_look_at_the_tier() {
    let rule = |id: &str, condition: &str| {
        let effect = "effect = { type = \"fixed_points\", points = 1 }";
        format!(
            "[[rules]]\nid = \"{id}\"\nname = \"{id}\"\ntrigger = \"visit\"\ncondition = \"{condition}\"\n{effect}\n"
        )
    };
    let mut club = Club::of(
        &(levels()
            + &rule("is", "tier.id == 'silver'")
            + &rule("is-not", "'silver' != tier.id")
            + &rule("among", "tier.id in ['regular', 'gold'] && context.hour == 12")
            + &rule("rank", "tier.rank * 2 >= 2 && tier.rank == tier.rank_before")),
    );
    let visit = || json!({"kind": "visit"});
    assert_eq!(club.earns("2026-03-01 12:00:00", visit()), want([("is-not", 1), ("among", 1)]));
    club.earns("2026-03-01 13:00:00", json!({"kind": "purchase", "amount": 10_000}));
    assert_eq!(club.earns("2026-03-01 14:00:00", visit()), want([("is", 1), ("rank", 1)]));
    club.earns("2026-03-01 15:00:00", json!({"kind": "purchase", "amount": 20_000}));
    let receipt = club.record("v", "2026-03-02 12:00:00", visit()).unwrap();
    assert_eq!(points(&receipt), want([("is-not", 1), ("among", 1), ("rank", 1)]));
    assert_eq!(receipt.explanation[0].facts["tier.id == 'silver'"], 0);
    club.check();
}

/// Nothing that is told or summed counts tier value as money.
#[test]
fn growth_is_no_money() {
    let mut club = Club::of(&levels());
    let receipt = club.record("k", "2026-03-01 12:00:00", json!({"kind": "purchase", "amount": 9_900})).unwrap();
    assert_eq!((receipt.points, receipt.growth, club.account.available()), (99, 99, 99));
    let balances: Vec<(u16, i64, bool)> =
        receipt.balances.iter().map(|one| (one.currency.0, one.available, one.spendable)).collect();
    assert_eq!(balances, [(1, 99, true), (2, 99, false)]);
    assert_eq!(club.program.value_of(CurrencyId(2), 1_000_000, Timestamp::NEVER), 0);
    // An operator corrects it: one more, and the member is silver.
    let at = club.program.calendar.parse_local("2026-03-02 12:00:00").unwrap();
    let adjust = Command::adjust(MemberId(1), "a", at, CurrencyId(2), 1, "lost receipt").unwrap();
    let adjusted = club.decide(&adjust, true).unwrap();
    assert_eq!((adjusted.points, adjusted.growth, club.tier().as_str()), (0, 1, "silver"));
    let close = Command::close(MemberId(1), "c", at, "moved").unwrap();
    let closed = club.decide(&close, true).unwrap();
    assert_eq!((closed.points, closed.forfeited, club.account.next_due_at()), (-99, 99, None));
    club.check();
}

/// What is due has happened before anything that comes later is judged, whether or not the tick came.
#[test]
fn a_tier_that_was_lost_gives_nothing_more() {
    let mut club = Club::of(&(levels() + "[tiers.benefits]\nfactors = [{ factor = \"2\" }]\n"));
    (1..=6).for_each(|day| {
        drop(club.earns(&format!("2026-03-{day:02} 12:00:00"), json!({"kind": "purchase", "amount": 4_000})))
    });
    // ¥240 in six purchases: black, with twice the points. Until 1 July and 20 days more.
    assert_eq!((club.tier().as_str(), club.due().as_str()), ("black", "2026-07-01 00:00"));
    let late = club.record("late", "2026-07-21 00:00:00", json!({"kind": "purchase", "amount": 1_000})).unwrap();
    let steps: Vec<Step> = late.tier.as_ref().unwrap().steps.iter().map(|step| step.step).collect();
    // Down to gold, gently, though the growth is that of silver: 240 in six months up to August.
    assert_eq!((steps, club.tier().as_str()), (vec![Step::Grace, Step::Lost], "gold"));
    assert_eq!(points(&late), want([("base", 10), ("growth", 10)]));
    assert_eq!(late.events.len(), 2);
    club.check();
}

fn granting(trigger: &str, rest: &str) -> String {
    format!(
        "[[rules]]\nid = \"{trigger}\"\nname = \"{trigger}\"\ntrigger = \"{trigger}\"\neffect = {{ type = \"grant_tier\", {rest} }}\n"
    )
}

/// A trial of gold for thirty days, a card of another brand that is matched, and a welcome by whatever way gold comes.
fn granted() -> String {
    levels()
        + &granting("trial", "tier = \"gold\", days = 30")
        + &granting("match", "tier = \"gold\"")
        + "[[rules]]\nid = \"welcome\"\nname = \"Welcome\"\ntrigger = \"tier_changed\"\n\
           condition = \"tier.rank > tier.rank_before\"\neffect = { type = \"fixed_points\", points = 7 }\n"
}

fn granted_act(receipt: &Receipt) -> (&str, bool) {
    match &receipt.explanation[0].act {
        Some(Act::Tier { tier, without_effect }) => (tier, *without_effect),
        other => panic!("{other:?}"),
    }
}

fn steps(receipt: &Receipt) -> Vec<Step> {
    receipt.tier.iter().flat_map(|tier| &tier.steps).map(|step| step.step).collect()
}

#[test]
fn a_rule_grants_a_tier() {
    let mut club = Club::of(&granted());
    let trial = club.record("trial", "2026-03-10 12:00:00", json!({"kind": "trial"})).unwrap();
    assert_eq!(points(&trial), want([("trial", 0), ("welcome", 7)]));
    assert_eq!(granted_act(&trial), ("gold", false));
    let step = &trial.tier.as_ref().unwrap().steps[0];
    assert_eq!((step.step, step.from.as_deref(), step.to.as_deref()), (Step::Granted, Some("regular"), Some("gold")));
    assert!(matches!(&trial.events[..], [Event::TierChanged { .. }]));
    // The 30 days are 10 March to 8 April.
    assert_eq!((club.tier().as_str(), club.due().as_str()), ("gold", "2026-04-09 00:00"));
    let again = club.record("again", "2026-03-10 18:00:00", json!({"kind": "trial"})).unwrap();
    assert_eq!((granted_act(&again), steps(&again), again.events.len()), (("gold", true), vec![], 0));
    // Silver is reached beneath, which changes nothing yet.
    let silver = club.record("silver", "2026-03-20 12:00:00", json!({"kind": "purchase", "amount": 15_000})).unwrap();
    assert_eq!((steps(&silver), silver.events.len()), (vec![Step::Reached], 0));
    assert_eq!(points(&silver), want([("base", 150), ("growth", 150)]));
    let longer = club.record("longer", "2026-04-05 12:00:00", json!({"kind": "trial"})).unwrap();
    assert_eq!((granted_act(&longer), points(&longer)), (("gold", false), want([("trial", 0)])));
    assert_eq!((club.tier().as_str(), club.due().as_str()), ("gold", "2026-05-05 00:00"));
    // When it is over silver counts, until its own review at the end of July.
    let over = club.tick("2026-05-05 00:00:00").unwrap();
    assert_eq!((steps(&over), over.events.len()), (vec![Step::Ended], 1));
    assert_eq!((club.tier().as_str(), club.due().as_str()), ("silver", "2026-07-01 00:00"));
    // A match holds as long as if gold had been reached: four months, to the end of October.
    let matched = club.record("match", "2026-07-05 12:00:00", json!({"kind": "match"})).unwrap();
    assert_eq!((granted_act(&matched), points(&matched)), (("gold", false), want([("match", 0), ("welcome", 7)])));
    assert_eq!(club.account.standing.granted.as_ref().unwrap().until.to_string(), "2026-10-31T16:00:00Z");
    let shorter = club.record("shorter", "2026-07-06 12:00:00", json!({"kind": "trial"})).unwrap();
    assert_eq!(granted_act(&shorter), ("gold", true));
    // Silver is lost beneath; nobody sees it before the match is over.
    let lost = club.tick("2026-10-31 00:00:00").unwrap();
    assert!(
        steps(&lost).contains(&Step::Lost)
            && lost.events.iter().all(|event| !matches!(event, Event::TierChanged { .. }))
    );
    club.tick("2026-11-01 00:00:00").unwrap();
    assert_eq!((club.tier().as_str(), club.due().as_str()), ("regular", "∞"));
    club.check();
}

/// A trial takes nothing away: what is reached during it is held for all of its own time, also by the activity that grants.
#[test]
fn what_is_reached_during_a_trial_is_held() {
    let rules = granted() + &granting("purchase", "tier = \"gold\", days = 7");
    for kind in ["trial", "purchase"] {
        let mut club = Club::of(&rules);
        if kind == "trial" {
            club.record("trial", "2026-03-10 12:00:00", json!({"kind": kind})).unwrap();
        }
        club.record("gold", "2026-03-12 12:00:00", json!({"kind": "purchase", "amount": 30_000})).unwrap();
        club.tick("2026-04-09 00:00:00").ok();
        assert_eq!((club.tier().as_str(), club.due().as_str()), ("gold", "2026-07-01 00:00"));
        club.check();
    }
}

#[test]
fn whoever_stands_higher_is_granted_nothing() {
    let mut club = Club::of(&granted());
    (1..=6).for_each(|day| {
        drop(club.earns(&format!("2026-03-{day:02} 12:00:00"), json!({"kind": "purchase", "amount": 4_000})))
    });
    let before = club.account.standing.clone();
    let trial = club.record("trial", "2026-03-10 12:00:00", json!({"kind": "trial"})).unwrap();
    assert_eq!((granted_act(&trial), club.tier().as_str()), (("gold", true), "black"));
    assert_eq!(club.account.standing, before);
    // One that arrives when its time is over has no effect either.
    let mut club = Club::of(&granted());
    club.earns("2026-06-01 12:00:00", json!({"kind": "purchase", "amount": 100}));
    let late = club.record("late", "2026-04-01 12:00:00", json!({"kind": "trial"})).unwrap();
    assert_eq!((granted_act(&late), club.tier().as_str()), (("gold", true), "regular"));
    club.check();
}

/// A trial of the only level ends where there is none below, and growth that its welcome gives counts once.
#[test]
fn a_trial_ends_and_its_welcome_counts_once() {
    let welcome = "[[rules]]\nid = \"welcome\"\nname = \"Welcome\"\ntrigger = \"tier_changed\"\ncurrency = 2\n\
                   condition = \"tier.rank > 0\"\neffect = { type = \"fixed_points\", points = 60 }\n";
    let silver = tier("silver", 1, "qualify = [{ growth = 100 }]");
    let mut club = Club::of(
        &(PROGRAM.to_owned() + RULES + &silver + &granting("trial", "tier = \"silver\", days = 30") + welcome),
    );
    let trial = club.record("trial", "2026-03-10 12:00:00", json!({"kind": "trial"})).unwrap();
    assert_eq!((points(&trial), steps(&trial)), (want([("trial", 0), ("welcome", 60)]), vec![Step::Granted]));
    let figures: i64 = trial.tier.as_ref().unwrap().counted.iter().map(|counted| counted.figures.growth).sum();
    assert_eq!((figures, club.account.growth()), (60, 60));
    club.tick("2026-04-09 00:00:00").unwrap();
    assert_eq!((club.tier().as_str(), &club.account.standing.granted), ("", &None));
    club.check();
}

#[test]
fn a_grant_that_cannot_be_is_refused_at_publication() {
    for (rule, problem) in [
        (granting("trial", "tier = \"gold\""), "rule `trial`: there is no tier `gold`"),
        (granting("trial", "tier = \"silver\", days = 0"), "rule `trial`: `days` must be 1 to 3650"),
        (granting("trial", "days = 5"), "missing field `tier`"),
        (granting("tier_changed", "tier = \"silver\""), "issues no reward and grants no other tier"),
        (
            granting("trial", "tier = \"silver\"") + "caps = [{ window = \"day\", points = 5 }]",
            "a rule that gives no points has `caps` by `count` alone",
        ),
    ] {
        let found = refused(&(tier("silver", 1, "qualify = [{ growth = 100 }]") + &rule));
        assert!(found.contains(problem), "{rule}: {found}");
    }
}

/// However short the time until a review, each is done once, and the next one lies ahead.
#[test]
fn reviews_go_on() {
    for (after, next) in [
        ("{ months = 1 }", ["2026-02-01", "2026-03-01", "2026-04-01"]),
        ("{ months = 2 }", ["2026-03-01", "2026-04-01", "2026-05-01"]),
        ("{ years = 1 }", ["2027-01-01", "2028-01-01", "2029-01-01"]),
        ("{ years = 2 }", ["2028-01-01", "2029-01-01", "2030-01-01"]),
        ("{ days = 7 }", ["2026-01-18", "2026-01-25", "2026-02-01"]),
    ] {
        let review = format!("qualify = [{{ growth = 100 }}]\nreview = {{ after = {after} }}");
        let mut club = Club::of(&(PROGRAM.to_owned() + RULES + &tier("silver", 1, &review)));
        club.earns("2026-01-10 12:00:00", json!({"kind": "purchase", "amount": 10_000}));
        for date in next {
            assert_eq!(club.due(), format!("{date} 00:00"), "{after}");
            club.tick(&format!("{date} 00:00:00")).unwrap();
        }
        club.check();
    }
}

/// In the days of grace whoever qualifies again keeps the tier, from then on for the whole period.
#[test]
fn a_tier_is_confirmed_in_its_grace() {
    let mut club = Club::of(&levels());
    club.earns("2026-01-10 12:00:00", json!({"kind": "purchase", "amount": 30_000}));
    // Four months later the growth of six months is still there: 1 May, and again on 1 September, when it is gone.
    assert_eq!(club.due(), "2026-05-01 00:00");
    let renewed = club.tick("2026-05-01 00:00:00").unwrap();
    let step = &renewed.tier.unwrap().steps[0];
    assert_eq!((step.step, &step.from, club.due()), (Step::Renewed, &step.to, "2026-08-01 00:00".to_owned()));
    assert!(renewed.events.is_empty());
    let grace = club.tick("2026-08-01 00:00:00").unwrap();
    let until = club.program.calendar.parse_local("2026-08-21 00:00:00").unwrap();
    assert_eq!(grace.events, [Event::TierAtRisk { tier: "gold".to_owned(), until }]);
    let again = club.record("again", "2026-08-20 23:59:59", json!({"kind": "purchase", "amount": 30_000})).unwrap();
    assert_eq!(again.tier.unwrap().steps[0].step, Step::Renewed);
    assert_eq!((club.tier().as_str(), club.due().as_str()), ("gold", "2026-12-01 00:00"));
    club.check();
}

/// Two accounts of one person: their figures add up, the higher tier stays, and what both together reach is reached.
#[test]
fn merged_accounts_keep_the_higher_tier() {
    let file = levels()
        + "[[rules]]\nid = \"welcome\"\nname = \"W\"\ntrigger = \"tier_changed\"\neffect = { type = \"fixed_points\", points = 7 }\n";
    let merged = |ours: i64, theirs: i64| {
        let (mut one, mut other) = (Club::of(&file), Club::of(&file));
        one.earns("2026-03-01 12:00:00", json!({"kind": "purchase", "amount": ours}));
        other.earns("2026-03-02 12:00:00", json!({"kind": "purchase", "amount": theirs}));
        let at = one.program.calendar.parse_local("2026-03-03 12:00:00").unwrap();
        let loaded = Loaded {
            accounts: [(MemberId(1), one.account.clone()), (MemberId(2), other.account.clone())].into_iter().collect(),
            ..Loaded::default()
        };
        let mut ids = IdGenerator::new(2);
        let mut batch = Batch::new(&one.program, loaded, &mut ids, at);
        let merge = Command::merge(MemberId(2), MemberId(1), "m", at, "same person").unwrap();
        let receipt: Receipt = serde_json::from_str(&batch.decide(&merge).unwrap().receipt).unwrap();
        let changes = batch.finish();
        // The journal of both leads to both accounts.
        for change in &changes.accounts {
            let mut followed =
                if change.member_id == MemberId(1) { one.account.clone() } else { other.account.clone() };
            let own = changes.decisions.iter().filter(|decision| decision.transaction.member_id == change.member_id);
            own.for_each(|decision| followed.follow(&decision.transaction).unwrap());
            assert_eq!(followed, change.account);
            assert_eq!(Account::decode(followed.version, &followed.encode()), Ok(followed));
        }
        let ends = changes.accounts.iter().find(|change| change.member_id == MemberId(2)).unwrap();
        assert_eq!((&ends.account.standing.held, ends.account.next_due_at()), (&None, None));
        let goes_on = changes.accounts.iter().find(|change| change.member_id == MemberId(1)).unwrap();
        let held = goes_on.account.standing.held.clone().map(|held: Held| held.tier);
        let steps: Vec<Step> = receipt.tier.iter().flat_map(|tier| &tier.steps).map(|step| step.step).collect();
        (held.unwrap_or_default(), steps, points(&receipt))
    };
    // Gold comes along, and is not welcomed again.
    assert_eq!(merged(500, 35_000), ("gold".to_owned(), vec![Step::Merged], want([])));
    assert_eq!(merged(35_000, 500), ("gold".to_owned(), vec![], want([])));
    // 60 and 60 are silver together.
    assert_eq!(merged(6_000, 6_000), ("silver".to_owned(), vec![Step::Reached], want([("welcome", 7)])));
    assert_eq!(merged(1_000, 1_000), (String::new(), vec![], want([])));
}

/// What was published away or anew: a member stays on the highest level below.
#[test]
fn levels_may_change() {
    let mut club = Club::of(&levels());
    club.earns("2026-01-10 12:00:00", json!({"kind": "purchase", "amount": 30_000}));
    assert_eq!((club.tier().as_str(), club.due().as_str()), ("gold", "2026-05-01 00:00"));
    let published = |club: &mut Club, file: &str| {
        let mut documents = Bundle::parse(file).unwrap().documents().unwrap();
        documents.iter_mut().for_each(|document| document.version = 1);
        club.program = guerdon_core::program::Program::from_documents(&documents).unwrap();
    };
    let silver = tier("silver", 1, "qualify = [{ window = { months = 6 }, growth = 100 }]");
    published(&mut club, &(PROGRAM.to_owned() + RULES + &tier("regular", 0, "") + &silver));
    assert_eq!(club.tier(), "silver");
    // No tiers at all: the review that was due ends, and nothing is due any more.
    published(&mut club, &(PROGRAM.to_owned() + RULES));
    assert_eq!(club.tier(), "");
    club.tick("2026-05-01 00:00:00").unwrap();
    assert_eq!(club.account.next_due_at(), None);
    club.check();
}

/// A purchase, a return of an earlier one, or a tick, some days after what came before; a purchase may come late.
#[derive(Debug, Clone)]
enum Wish {
    Purchase { days: i64, late: i64, fen: i64 },
    Return { days: i64, of: usize, fen: i64 },
    Tick { days: i64 },
}

fn wishes() -> impl Strategy<Value = Vec<Wish>> {
    let one = prop_oneof![
        5 => (0..40_i64, 0..20_i64, 0..25_000_i64).prop_map(|(days, late, fen)| Wish::Purchase { days, late, fen }),
        1 => (0..10_i64, 0..20_usize, 1..25_000_i64).prop_map(|(days, of, fen)| Wish::Return { days, of, fen }),
        2 => (0..60_i64).prop_map(|days| Wish::Tick { days }),
    ];
    prop::collection::vec(one, 1..40)
}

/// A model that shares nothing with the kernel: what was bought when, by local day.
#[derive(Default)]
struct Model {
    /// Day, month, money, growth, and whether it counts as a purchase.
    bought: Vec<(i64, i64, i64, i64, bool)>,
}

impl Model {
    /// The rank for which the figures up to a day suffice.
    fn rank(&self, day: i64, month: i64) -> u8 {
        let growth: i64 = self.bought.iter().filter(|one| one.1 > month - 6 && one.1 <= month).map(|one| one.3).sum();
        let recent = || self.bought.iter().filter(|one| one.0 > day - 90 && one.0 <= day);
        let (orders, spend) = (recent().filter(|one| one.4).count(), recent().map(|one| one.2).sum::<i64>());
        let last = self.bought.iter().filter(|one| one.2 >= 0).map(|one| one.0).max();
        if orders >= 6 && spend >= 20_000 && last.is_some_and(|last| day - last <= 60) {
            return 3;
        }
        if growth >= 300 { 2 } else { u8::from(growth >= 100) }
    }
}

fn local(club: &Club, at: Timestamp) -> (i64, i64) {
    let date = club.program.calendar.local(at).date();
    (i64::from(club.program.calendar.day_of(at).0), i64::from(date.year()) * 12 + i64::from(date.month()))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    /// Never below what the figures suffice for; a level up only where they do; down by one level at most at each review;
    /// what was done twice is done once; and the journal alone leads to the standing.
    #[test]
    fn a_tier_follows_from_what_was_bought(wishes in wishes()) {
        let mut club = Club::of(&levels());
        let mut model = Model::default();
        let mut purchases: Vec<(String, Timestamp, i64)> = Vec::new();
        let mut now = club.program.calendar.parse_local("2026-01-01 12:00:00").unwrap();
        let rank = |club: &Club| club.account.standing.held.as_ref().map_or(0, |held| held.rank);
        for (index, wish) in wishes.iter().enumerate() {
            let before = rank(&club);
            let days = match wish { Wish::Purchase { days, .. } | Wish::Return { days, .. } | Wish::Tick { days } => days };
            now = now.plus_millis(days * 86_400_000);
            let key = format!("k{index}");
            let receipt = match wish {
                Wish::Purchase { late, fen, .. } => {
                    let at = now.plus_millis(-late * 86_400_000);
                    let (day, month) = local(&club, at);
                    model.bought.push((day, month, *fen, fen / 100, true));
                    purchases.push((key.clone(), at, *fen));
                    Some(club.record_at(&key, at, json!({"kind": "purchase", "amount": fen})).unwrap())
                }
                Wish::Return { of, fen, .. } => {
                    let Some((purchase, at, left)) = purchases.get_mut(of % 20).filter(|one| one.2 > 0) else { continue };
                    let fen = (*fen).min(*left);
                    *left -= fen;
                    let (purchase, at, whole) = (purchase.clone(), *at, *left == 0);
                    let returned = json!({"kind": "return", "purchase": purchase, "amount": fen});
                    let receipt = club.record_at(&key, now, returned).unwrap();
                    let (day, month) = local(&club, at);
                    let growth: i64 = receipt.explanation.iter().filter(|one| one.currency == CurrencyId(2)).map(|one| one.points).sum();
                    if whole {
                        let original = model.bought.iter_mut().find(|one| (one.0, one.4) == (day, true));
                        if let Some(original) = original { original.4 = false; }
                    }
                    model.bought.push((day, month, -fen, growth, false));
                    Some(receipt)
                }
                Wish::Tick { .. } => {
                    let due = club.account.next_due_at().is_some_and(|due| due <= now);
                    let tick = Command::tick(MemberId(1), club.account.version, now);
                    let ticked = club.decide(&tick, true);
                    prop_assert_eq!(ticked.is_ok(), due, "{:?}", ticked);
                    let again = Command::tick(MemberId(1), club.account.version, now);
                    prop_assert_eq!(club.decide(&again, true).unwrap_err().code, RefusalCode::NothingDue);
                    ticked.ok()
                }
            };
            let steps = receipt.iter().flat_map(|receipt| &receipt.tier).flat_map(|tier| &tier.steps);
            let mut at_rank = before;
            for step in steps {
                let rank_of = |id: &Option<String>| ["regular", "silver", "gold", "black"].iter().position(|one| id.as_deref() == Some(one)).unwrap() as u8;
                prop_assert_eq!(rank_of(&step.from), at_rank);
                at_rank = rank_of(&step.to);
                match step.step {
                    Step::Reached => prop_assert!(at_rank > rank_of(&step.from)),
                    Step::Lost => prop_assert_eq!(at_rank + 1, rank_of(&step.from)),
                    Step::Renewed | Step::Grace => prop_assert_eq!(at_rank, rank_of(&step.from)),
                    Step::Merged | Step::Granted | Step::Ended => prop_assert!(false),
                }
            }
            prop_assert_eq!(at_rank, rank(&club));
            if let Wish::Purchase { late: 0, .. } = wish {
                let (day, month) = local(&club, now);
                let suffices = model.rank(day, month);
                prop_assert!(rank(&club) >= suffices, "{} at {}, {suffices} suffices", club.tier(), now);
                let went_up = rank(&club) > before;
                prop_assert!(!went_up || rank(&club) == suffices);
            }
            let caught_up = club.account.next_due_at().is_none_or(|due| due > now);
            let ticked = matches!(wish, Wish::Tick { .. });
            prop_assert!(caught_up || !ticked);
        }
        club.check();
    }
}

/// A member's figures stay small, however long the history.
#[test]
fn nothing_grows_with_the_history() {
    let mut club = Club::of(&levels());
    let mut at = club.program.calendar.parse_local("2020-01-01 12:00:00").unwrap();
    let order: Activity = serde_json::from_value(json!({"kind": "purchase", "amount": 100})).unwrap();
    let mut sizes = Vec::new();
    for day in 0..1_500 {
        let record = Command::record(&club.program, MemberId(1), &format!("k{day}"), &order, at, EARLIEST).unwrap();
        club.decide(&record, true).unwrap();
        at = at.plus_millis(86_400_000);
        sizes.push(club.account.encode().len());
    }
    assert_eq!((club.account.standing.months.open.len(), club.account.standing.days.open.len()), (36, 365));
    assert_eq!(club.account.standing.months.total().orders, 1_500);
    assert!(sizes[1_499] < sizes[1_100] + 20 && sizes[1_499] < 4_000, "{} {}", sizes[1_100], sizes[1_499]);
}
