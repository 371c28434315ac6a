//! Two accounts in one decision: what the referred do gives to whoever referred them, through merges and returns.
//!
//! Helpers outside of `#[test]` functions are test code too: what goes wrong in them must stop the test.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, dead_code)]

mod town;

use guerdon_core::id::MemberId;
use guerdon_core::kernel::{Arrival, Command, RefusalCode};
use guerdon_core::program::Bundle;
use proptest::prelude::*;
use serde_json::json;
use town::{Town, points, shared, want};

const PROGRAM: &str = r#"
    program = { id = "p", name = "P", money = "CNY", time_zone = "Asia/Shanghai" }
    currencies = [{ id = 1, code = "points", name = "Points", per_money_unit = 100 }]
    rewards = [{ id = "cup", name = "Cup", price = 100, stock = 100 }]
"#;

fn commission() -> String {
    format!(
        "{PROGRAM}{}",
        r#"
        [[rules]]
        id = "base"
        name = "Base"
        trigger = "purchase"
        effect = { type = "points_per_money", rate = "1" }
        [[rules]]
        id = "commission"
        name = "Commission"
        trigger = "purchase"
        beneficiary = "referrer"
        effect = { type = "percent_of_rule", rule = "base", percent = "10" }
        caps = [{ window = "day", points = 100 }]
        [[rules]]
        id = "gift"
        name = "Gift"
        trigger = "purchase"
        condition = "referrer.purchase.lifetime.count % 3 == 2"
        beneficiary = "referrer"
        effect = { type = "issue_reward", reward = "cup" }
        "#
    )
}

fn order(fen: i64) -> serde_json::Value {
    json!({"kind": "purchase", "amount": fen})
}

const DAY: &str = "2026-03-02 10:00:00";

fn town_of_three() -> Town {
    let mut town = Town::of(&commission());
    town.joins(1, DAY, &Arrival::default()).unwrap();
    town.joins_by(2, DAY, 1).unwrap();
    town.joins_by(3, DAY, 1).unwrap();
    town
}

#[test]
fn the_referrer_has_a_share_within_their_own_caps() {
    let mut town = town_of_three();
    assert_eq!(shared(&town.does(2, DAY, order(60_000))), want([("commission", 60)]));
    assert_eq!(shared(&town.does(3, DAY, order(60_000))), want([("commission", 40)]));
    // The third purchase of all brings a cup, of which the stock knows.
    let third = town.does(2, DAY, order(60_000));
    assert_eq!(shared(&third), want([("commission", 0), ("gift", 0)]));
    assert_eq!((town.total(1), town.total(2), town.stock["cup"].issued), (100, 1_200, 1));
    assert!(town.orders.keys().all(|(member, _)| *member == MemberId(1)));
    town.check();
}

#[test]
fn commands_of_one_batch_see_each_other() {
    let mut town = Town::of(&commission());
    town.joins(1, DAY, &Arrival::default()).unwrap();
    // Enrolled and bought in one batch, three at once.
    let arrival = Arrival { referrer: Some(MemberId(1)), ..Arrival::default() };
    let commands: Vec<Command> = (2..5)
        .flat_map(|member| {
            [town.enrolment(member, DAY, &arrival), town.activity(member, "first", DAY, order(50_000)).unwrap()]
        })
        .collect();
    let receipts: Vec<_> = town.decide(&commands).into_iter().map(Result::unwrap).collect();
    assert_eq!(shared(&receipts[1]), want([("commission", 50)]));
    assert_eq!(shared(&receipts[3]), want([("commission", 50)]));
    assert_eq!(shared(&receipts[5]), want([("commission", 0), ("gift", 0)]));
    assert_eq!(town.total(1), 100);
    town.check();
}

#[test]
fn who_goes_on_after_a_merge_takes_the_referrer_s_place() {
    let mut town = town_of_three();
    town.records(2, "before", DAY, order(10_000)).unwrap();
    town.joins(4, DAY, &Arrival::default()).unwrap();
    town.merges(1, 4, "2026-03-03 10:00:00");
    assert_eq!(town.total(4), 10);
    let after = town.does(2, "2026-03-04 10:00:00", order(10_000));
    assert_eq!((shared(&after), after.referrer_share.unwrap().member_id), (want([("commission", 10)]), MemberId(4)));
    let back = json!({"kind": "return", "purchase": "before", "amount": 10_000});
    let back = town.does(2, "2026-03-05 10:00:00", back);
    assert_eq!((points(&back), shared(&back)), (want([("base", -100)]), want([("commission", -10)])));
    assert_eq!(town.total(4), 10);
    town.check();
}

#[test]
fn nobody_is_their_own_referrer_after_a_merge() {
    let mut town = town_of_three();
    town.records(2, "before", DAY, order(10_000)).unwrap();
    town.merges(1, 2, "2026-03-03 10:00:00");
    assert_eq!((town.total(2), town.accounts[&MemberId(2)].referrer), (110, None));
    let after = town.does(2, "2026-03-04 10:00:00", order(10_000));
    assert_eq!((points(&after), after.referrer_share), (want([("base", 100)]), None));
    // What the purchase gave to both is on one account now, and goes from it.
    let back = json!({"kind": "return", "purchase": "before", "amount": 10_000});
    let back = town.does(2, "2026-03-05 10:00:00", back);
    assert_eq!(points(&back), want([("base", -100), ("commission", -10)]));
    assert_eq!(town.total(2), 100);
    town.check();
}

#[test]
fn a_merge_brings_its_referrer_along() {
    let mut town = town_of_three();
    town.joins(5, DAY, &Arrival::default()).unwrap();
    let merge = Command::merge(MemberId(2), MemberId(5), "m", town.at("2026-03-03 10:00:00"), "one person").unwrap();
    let buys = town.activity(5, "k", "2026-03-03 10:00:00", order(10_000)).unwrap();
    let receipts = town.decide(&[merge, buys]);
    assert_eq!(shared(receipts[1].as_ref().unwrap()), want([("commission", 10)]));
    town.check();
}

#[test]
fn a_closed_account_gets_nothing_and_gives_nothing_back() {
    let mut town = town_of_three();
    town.records(2, "before", DAY, order(10_000)).unwrap();
    let close = Command::close(MemberId(1), "close", town.at("2026-03-03 10:00:00"), "at the member's wish").unwrap();
    town.decide(&[close]).remove(0).unwrap();
    let after = town.does(2, "2026-03-04 10:00:00", order(10_000));
    assert_eq!((points(&after), after.referrer_share), (want([("base", 100)]), None));
    let back = json!({"kind": "return", "purchase": "before", "amount": 10_000});
    let back = town.does(2, "2026-03-05 10:00:00", back);
    assert_eq!((points(&back), back.referrer_share), (want([("base", -100)]), None));
    let referral = json!({"kind": "referral", "referrer": MemberId(1).to_string()});
    town.joins(6, DAY, &Arrival::default()).unwrap();
    assert_eq!(town.records(6, "r", DAY, referral).unwrap_err().code, RefusalCode::MemberClosed);
    town.check();
}

#[test]
fn callers_cannot_use_the_keys_of_shared_entries() {
    let town = town_of_three();
    let refused = town.activity(2, "referral:txn_0", DAY, order(100)).unwrap_err();
    assert!(refused.message.contains("must not begin with `referral:`"), "{refused}");
    let elsewhere = json!({"kind": "purchase", "amount": 1, "referrer": MemberId(1).to_string()});
    assert!(town.activity(2, "k", DAY, elsewhere).unwrap_err().message.contains("only a referral names its referrer"));
}

#[test]
fn what_makes_no_sense_for_a_referrer_is_refused() {
    let problem =
        |rule: &str| Bundle::parse(&format!("{PROGRAM}\n[[rules]]\nid = 'r'\nname = 'R'\n{rule}")).unwrap_err();
    let back = "trigger = 'return'\nbeneficiary = 'referrer'\neffect = { type = 'take_back_per_money', rate = '1' }";
    assert!(problem(back).contains("goes back with a return that names the purchase"), "{}", problem(back));
    let refuses = "trigger = 'purchase'\nbeneficiary = 'referrer'\neffect = { type = 'fixed_points', points = 1 }\n\
                   caps = [{ window = 'day', points = 5, over = 'refuse' }]";
    assert!(problem(refuses).contains("cannot refuse what another member does"), "{}", problem(refuses));
    let unknown = "trigger = 'purchase'\nbeneficiary = 'referrer'\neffect = { type = 'issue_reward', reward = 'none' }";
    assert!(problem(unknown).contains("there is no reward `none`"), "{}", problem(unknown));
    let text = "trigger = 'purchase'\ncondition = 'referrer.purchase.streak > 1'\neffect = { type = 'fixed_points', points = 1 }";
    assert!(problem(text).contains("there is no attribute `streak`"), "{}", problem(text));
}

/// Rules with random numbers; what they give is no matter, but that it goes back.
fn programs() -> impl Strategy<Value = String> {
    let rates = (1..3_000_i64, 1..200_i64, 1..500_i64, 1..2_000_i64);
    (rates, any::<[bool; 4]>(), prop::option::of(1..400_i64)).prop_map(
        |((base, percent, fixed, commission), on, cap)| {
            let cap = cap.map_or(String::new(), |points| format!("caps = [{{ window = 'day', points = {points} }}]\n"));
            let to = |yes: bool| if yes { "beneficiary = 'referrer'\n" } else { "" };
            let rule = |id: &str, more: &str, effect: String| {
                format!(
                    "[[rules]]\nid = '{id}'\nname = 'R'\ntrigger = 'purchase'\n{more}{cap}effect = {{ {effect} }}\n"
                )
            };
            let mut text = PROGRAM.to_owned();
            text += &rule("base", "", format!("type = 'points_per_money', rate = '0.{base:04}'"));
            text +=
                &rule("share", to(on[0]), format!("type = 'percent_of_rule', rule = 'base', percent = '{percent}'"));
            text += &rule("times", to(on[1]), "type = 'multiply', factor = '2.5', rule = 'base'".to_owned());
            text += &rule("fixed", to(on[2]), format!("type = 'fixed_points', points = {fixed}"));
            text += &rule("some", to(on[3]), format!("type = 'points_per_step', points = {commission}, step = '7.30'"));
            text += &rule("cup", "beneficiary = 'referrer'\n", "type = 'issue_reward', reward = 'cup'".to_owned())
                .replace(&cap, "");
            text + &rule("call", "", "type = 'task', text = 'Call'".to_owned()).replace(&cap, "")
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Whatever the rules are: what purchases gave to both sides, their full returns take back, in one piece or in several.
    #[test]
    fn earning_and_returning_all_leaves_zero(
        program in programs(),
        purchases in prop::collection::vec((2..5_i64, 1..80_000_i64, prop::collection::vec(1..100_i64, 1..4)), 1..8),
    ) {
        let mut town = Town::of(&program);
        town.joins(1, DAY, &Arrival::default()).unwrap();
        for member in 2..5 {
            town.joins_by(member, DAY, 1).unwrap();
        }
        for (number, (member, amount, _)) in purchases.iter().enumerate() {
            town.records(*member, &format!("p{number}"), DAY, order(*amount)).unwrap();
        }
        for (number, (member, amount, parts)) in purchases.iter().enumerate() {
            let whole: i64 = parts.iter().sum();
            let mut left = *amount;
            for (place, part) in parts.iter().enumerate() {
                let back = if place + 1 == parts.len() { left } else { amount * part / whole };
                left -= back;
                let back = json!({"kind": "return", "purchase": format!("p{number}"), "amount": back});
                town.records(*member, &format!("r{number}-{place}"), DAY, back).unwrap();
            }
        }
        prop_assert_eq!((1..5).map(|member| town.total(member)).collect::<Vec<_>>(), [0; 4]);
        town.check();
    }
}
