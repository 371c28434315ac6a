//! Prices with numbers computed by hand, what publication refuses, and what holds for every price.
//!
//! Helpers outside of `#[test]` functions are test code too: what goes wrong in them must stop the test.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use guerdon_core::limits;
use guerdon_core::program::{Bundle, Program};
use guerdon_core::rewards::{DemandFigures, How, Occasion, Priced, Reward};
use guerdon_core::time::Timestamp;
use proptest::prelude::*;
use rust_decimal::Decimal;

/// A program whose one reward costs `price`: 100 points are worth ¥1, a margin of 20 % is the program's, and silver lies
/// below gold and platinum.
fn bundle(price: &str) -> Result<Program, String> {
    let tier = |id: &str, rank: u8, spend: u32| {
        format!(
            r#"{{ id = "{id}", name = "{id}", rank = {rank}, qualify = [{{ spend = {spend}, window = "lifetime" }}] }}"#
        )
    };
    let text = format!(
        r#"
        program = {{ id = "club", name = "Club", money = "CNY", time_zone = "Asia/Shanghai", reward_margin = 20 }}
        currencies = [{{ id = 1, code = "points", name = "Points", per_money_unit = 100 }}]
        tiers = [{}, {}, {}]
        rewards = [{{ id = "cup", name = "Cup", price = {price} }}]"#,
        tier("silver", 1, 100),
        tier("gold", 2, 200),
        tier("platinum", 3, 300)
    );
    Program::from_documents(&Bundle::parse(&text)?.documents()?)
}

fn program(price: &str) -> Program {
    bundle(price).unwrap()
}

fn local(program: &Program, text: &str) -> Timestamp {
    program.calendar.parse_local(text).unwrap()
}

const NOON: &str = "2026-06-10 12:00:00";

fn cup(program: &Program) -> &Reward {
    program.reward("cup").unwrap()
}

fn asked(program: &Program, at: &str, tier: Option<&str>, figures: Option<DemandFigures>, quantity: i64) -> Priced {
    program.price(cup(program), Occasion { at: local(program, at), tier, figures, quantity }).unwrap()
}

fn plain(price: &str, quantity: i64) -> i64 {
    asked(&program(price), NOON, None, None, quantity).points
}

#[test]
fn a_price_by_cost_follows_the_value_of_a_point() {
    // ¥50 and 20 % are ¥60; at ¥0.01 that is 6,000 points.
    assert_eq!(plain(r#"{ cost = 50, margin = 20 }"#, 1), 6_000);
    // The same by the program's own margin; and one more where the margin is the reward's.
    assert_eq!([plain("{ cost = 50 }", 1), plain("{ cost = 50, margin = 0 }", 1)], [6_000, 5_000]);
    // ¥0.99 and 12.5 % are ¥1.11375, 111.375 points: 112. Three of them are 336, as one is 112.
    assert_eq!([1, 3].map(|quantity| plain("{ cost = 0.99, margin = 12.5 }", quantity)), [112, 336]);
    let program = program("{ cost = 50 }");
    let made = asked(&program, NOON, None, None, 2);
    let How::Cost { cost, margin, value } = &made.steps[0].how else { panic!("{made:?}") };
    assert_eq!((cost.to_string(), margin.to_string(), value.to_string()), ("50".into(), "20".into(), "0.01".into()));
    assert_eq!((made.steps[0].before, made.steps[0].after, made.unit), (0, 6_000, 6_000));
    assert_eq!((&made.steps[1].how, made.steps[1].before, made.steps[1].after), (&How::Quantity(2), 6_000, 12_000));
}

#[test]
fn a_tier_pays_the_lowest_price_for_it_or_a_tier_below() {
    let program = program(r#"{ points = 500, tiers = { silver = { percent = 90.5 }, gold = { points = 400 } } }"#);
    let pays = |tier: Option<&str>| asked(&program, NOON, tier, None, 1).points;
    // 90.5 % of 500 are 452.5.
    assert_eq!([None, Some("silver"), Some("gold"), Some("platinum")].map(pays), [500, 453, 400, 400]);
    assert_eq!(pays(Some("tin")), 500);
    // By cost the price may fall below what a tier was promised; then nobody pays more for a tier.
    assert_eq!(
        asked(&self::program(r#"{ cost = 1, tiers = { gold = { points = 400 } } }"#), NOON, Some("gold"), None, 1)
            .points,
        120
    );
}

#[test]
fn seasons_and_offers_go_by_the_local_calendar() {
    let program = program(
        r#"{ points = 1001, seasons = [{ months = [12, 1], percent = 120 }, { from = "2026-12-24T00:00", to = "2026-12-26T00:00", percent = 90 }],
            offers = [{ from = "2026-06-18T00:00", to = "2026-06-19T00:00", percent = 80 }] }"#,
    );
    let at = |text: &str| asked(&program, text, None, None, 1).points;
    assert_eq!([at("2026-11-30 23:59:59"), at("2026-06-17 23:59:59"), at("2026-06-19 00:00:00")], [1_001; 3]);
    // 1,001 × 1.2 = 1,201.2; 80 % of 1,001 are 800.8.
    assert_eq!([at("2026-12-01 00:00:00"), at("2027-01-31 23:00:00"), at("2026-06-18 00:00:00")], [1_202, 1_202, 801]);
    // Both hold: 90 % of 1,202 are 1,081.8.
    assert_eq!(at("2026-12-24 08:00:00"), 1_082);
}

#[test]
fn demand_lifts_the_price_up_to_its_ceiling() {
    let program = program(
        r#"{ points = 1000, tiers = { gold = { points = 900 } }, seasons = [{ months = [12], percent = 110 }, { months = [11], percent = 130 }],
            demand = { ceiling = 115, steps = [{ orders = 20, views = 500, percent = 5 }, { orders = 40, percent = 10 }, { views = 2000, percent = 15 }] } }"#,
    );
    let figures = |orders, views| Some(DemandFigures { orders, views, last_order_at: None });
    let at = |text: &str, orders, views| asked(&program, text, None, figures(orders, views), 1).points;
    let pays = |orders, views| at(NOON, orders, views);
    assert_eq!(
        [pays(0, 0), pays(19, 499), pays(20, 0), pays(0, 500), pays(39, 1_999)],
        [1_000, 1_000, 1_050, 1_050, 1_050]
    );
    assert_eq!([pays(40, 0), pays(40, 1_999), pays(0, 2_000), pays(i64::MAX, i64::MAX)], [1_100, 1_100, 1_150, 1_150]);
    // What the demand is, is not known.
    assert_eq!(asked(&program, NOON, None, None, 1).points, 1_000);
    // 1,100 and 15 % would be 1,265; the ceiling is 115 % of 1,000. In November the season alone is above it.
    assert_eq!([at("2026-12-05 10:00:00", 0, 2_000), at("2026-11-05 10:00:00", 0, 2_000)], [1_150, 1_300]);
    // The ceiling of gold is 115 % of 900.
    assert_eq!(asked(&program, "2026-12-05 10:00:00", Some("gold"), figures(99, 9_999), 1).points, 1_035);
}

#[test]
fn what_nobody_orders_becomes_cheaper() {
    let program = program("{ points = 999, cold = { days = 30, percent = 75 } }");
    let after = |last: &str| {
        let figures = DemandFigures { last_order_at: Some(local(&program, last)), ..DemandFigures::default() };
        asked(&program, NOON, None, Some(figures), 1).points
    };
    // Days by the calendar, not by hours: 75 % of 999 are 749.25.
    assert_eq!([after("2026-05-11 23:59:59"), after("2026-05-12 00:00:00")], [750, 999]);
    // It is there since the beginning, and nobody ever ordered it.
    assert_eq!(asked(&program, NOON, None, Some(DemandFigures::default()), 1).points, 750);
    assert_eq!(asked(&program, NOON, None, None, 1).points, 999);
}

#[test]
fn the_first_points_of_an_order_are_worth_more() {
    // The first 1,000 points pay for 1,200, the next 1,000 for 1,100.
    let curve = |points: i64, quantity| {
        plain(
            &format!(
                "{{ points = {points}, curve = [{{ up_to = 1000, worth = 120 }}, {{ up_to = 2000, worth = 110 }}] }}"
            ),
            quantity,
        )
    };
    // 600 / 1.2; 1,199 / 1.2 = 999.17; 100 more / 1.1 = 90.9; all of both: 2,300.
    assert_eq!([curve(600, 1), curve(1_199, 1), curve(1_200, 1), curve(1_300, 1)], [500, 1_000, 1_000, 1_091]);
    assert_eq!([curve(2_300, 1), curve(6_000, 1)], [2_000, 5_700]);
    // Once for the order, not for each unit.
    assert_eq!(curve(600, 10), 5_700);
}

#[test]
fn all_steps_come_in_one_order() {
    let program = program(
        r#"{ cost = 50, tiers = { gold = { percent = 95 } }, seasons = [{ months = [6], percent = 110 }],
            offers = [{ from = "2026-06-01T00:00", to = "2026-07-01T00:00", percent = 80 }],
            demand = { ceiling = 110, steps = [{ views = 10, percent = 10 }] }, cold = { days = 1, percent = 90 },
            curve = [{ up_to = 1000, worth = 150 }] }"#,
    );
    let figures = DemandFigures { orders: 0, views: 10, last_order_at: None };
    let made = asked(&program, NOON, Some("platinum"), Some(figures), 3);
    let told: Vec<(&str, i64, i64)> = made
        .steps
        .iter()
        .map(|step| {
            let name = match step.how {
                How::Points => "points",
                How::Cost { .. } => "cost",
                How::Tier { .. } => "tier",
                How::Season(_) => "season",
                How::Offer(_) => "offer",
                How::Demand { .. } => "demand",
                How::Cold { .. } => "cold",
                How::Quantity(_) => "quantity",
                How::Curve(_) => "curve",
                How::Group(_) => "group",
                How::Cash(_) => "cash",
            };
            (name, step.before, step.after)
        })
        .collect();
    // 95 % of 6,000; 110 %; 80 %; 110 % of 5,016 = 5,517.6, below 110 % of 5,700; 90 % = 4,966.2; 3 of them; the first 1,000
    // points pay for 1,500.
    let want = [
        ("cost", 0, 6_000),
        ("tier", 6_000, 5_700),
        ("season", 5_700, 6_270),
        ("offer", 6_270, 5_016),
        ("demand", 5_016, 5_518),
        ("cold", 5_518, 4_967),
        ("quantity", 4_967, 14_901),
        ("curve", 14_901, 14_401),
    ];
    assert_eq!((told.as_slice(), made.unit, made.points), (want.as_slice(), 4_967, 14_401));
}

#[test]
fn publication_names_the_field_that_is_wrong() {
    for (price, problem) in [
        ("0", "reward `cup`: price must be 1 to 1000000000000"),
        ("{ cost = 0 }", "`price.cost` must be more than 0, with at most 2 digits"),
        ("{ cost = 1.001 }", "`price.cost` must be more than 0, with at most 2 digits"),
        ("{ cost = 10000000000 }", "`price.cost` 10000000000 can come to more than 1000000000000 points"),
        ("{ cost = 1, margin = -1 }", "`price.margin` must be 0 to 1000 per cent, not -1"),
        ("{ cost = 1, margin = 0.125 }", "`price.margin` has at most 2 digits after the decimal point, not 0.125"),
        ("{ points = 5, tiers = { tin = { points = 4 } } }", "`price.tiers.tin`: there is no tier `tin`"),
        ("{ points = 5, tiers = { gold = { points = 5 } } }", "`price.tiers.gold.points` must be less than 5"),
        ("{ points = 5, tiers = { gold = { points = 0 } } }", "`price.tiers.gold.points` must be 1 to"),
        ("{ points = 5, tiers = { gold = { percent = 100 } } }", "`price.tiers.gold.percent` must be less than 100"),
        ("{ points = 5, seasons = [{ percent = 90 }] }", "`price.seasons[0]` must say its `months`"),
        ("{ points = 5, seasons = [{ months = [13], percent = 90 }] }", "`price.seasons[0].months` must be different"),
        ("{ points = 5, seasons = [{ months = [1], percent = 301 }] }", "`price.seasons[0].percent` must be 10 to 300"),
        ("{ points = 5, seasons = [{ months = [1], percent = 100 }] }", "`price.seasons[0].percent` must not be 100"),
        (
            r#"{ points = 5, offers = [{ from = "2026-06-18T00:00", to = "2026-06-18T00:00", percent = 80 }] }"#,
            "`price.offers[0].to` 2026-06-18T00:00:00 must be later than `price.offers[0].from`",
        ),
        (
            r#"{ points = 5, offers = [{ from = "2026-06-18T00:00", to = "2026-06-19T00:00", percent = 9 }] }"#,
            "`price.offers[0].percent` must be 10 to 100 per cent",
        ),
        ("{ points = 5, demand = { ceiling = 115, steps = [] } }", "`price.demand.steps` is empty"),
        ("{ points = 5, demand = { ceiling = 115, steps = [{ percent = 5 }] } }", "must say `orders` or `views`"),
        (
            "{ points = 5, demand = { ceiling = 115, steps = [{ orders = 0, percent = 5 }] } }",
            "`price.demand.steps[0].orders` must be 1 to",
        ),
        (
            "{ points = 5, demand = { ceiling = 115, steps = [{ orders = 1, percent = 15.5 }] } }",
            "`price.demand.steps[0].percent` must be more than 0 and at most 15, not 15.5",
        ),
        (
            "{ points = 5, demand = { ceiling = 100, steps = [{ orders = 1, percent = 5 }] } }",
            "`price.demand.ceiling` must be more than 100",
        ),
        ("{ points = 5, cold = { days = 0, percent = 90 } }", "`price.cold.days` must be 1 to 3650"),
        ("{ points = 5, cold = { days = 30, percent = 110 } }", "`price.cold.percent` must be less than 100"),
        ("{ points = 5, curve = [{ up_to = 9, worth = 100 }] }", "`price.curve[0].worth` must be more than 100"),
        (
            "{ points = 5, curve = [{ up_to = 9, worth = 120 }, { up_to = 9, worth = 110 }] }",
            "`price.curve[1]` must reach further than 9 points, and be worth less than 120 per cent",
        ),
    ] {
        let said = bundle(price).map(|_| ()).unwrap_err();
        assert!(said.contains(problem) && said.contains("reward `cup`: "), "{price}: {said}");
    }
    let seasons = vec!["{ months = [1], percent = 90 }"; 33].join(", ");
    let said = bundle(&format!("{{ points = 5, seasons = [{seasons}] }}")).map(|_| ()).unwrap_err();
    assert!(said.contains("`price.seasons` has 33 seasons; at most 32 are allowed"), "{said}");
}

#[test]
fn a_group_buys_what_leaves_something_to_choose() {
    let slots = r#"[{ weekdays = [2], from = "10:00", to = "12:00", minutes = 60 }]"#;
    for kind in [
        r#"{ type = "physical", variants = [{ id = "red", name = "Red" }] }"#.to_owned(),
        r#"{ type = "physical", needs_address = true }"#.to_owned(),
        r#"{ type = "top_up", account = { name = "Number", pattern = "[0-9]{11}" } }"#.to_owned(),
        format!(r#"{{ type = "service", appointments = {{ slots = {slots} }} }}"#),
    ] {
        let text = format!(
            r#"
            program = {{ id = "club", name = "Club", money = "CNY", time_zone = "Asia/Shanghai" }}
            currencies = [{{ id = 1, code = "points", name = "Points", per_money_unit = 100 }}]
            [[rewards]]
            id = "cup"
            name = "Cup"
            price = {{ points = 50, group = {{ members = 3, hours = 24, percent = 80 }} }}
            kind = {kind}"#
        );
        assert_eq!(Bundle::parse(&text).map(drop), Ok(()), "{kind}");
    }
}

#[test]
fn what_is_beyond_all_limits_is_no_price() {
    let program = program(&format!("{{ points = {}, seasons = [{{ months = [6], percent = 300 }}] }}", limits::AMOUNT));
    let price = |at: &str, quantity| {
        program.price(cup(&program), Occasion { at: local(&program, at), tier: None, figures: None, quantity })
    };
    assert_eq!(price("2026-05-01 00:00:00", 1).unwrap().points, limits::AMOUNT);
    for (at, quantity) in [("2026-05-01 00:00:00", 2), (NOON, 1), (NOON, i64::MAX)] {
        let said = price(at, quantity).unwrap_err();
        assert!(said.contains("of `cup` cost more than 1000000000000 points"), "{said}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// Whatever the parts: the price is at least 1, each step goes on where the one before ended, a tier never pays more than
    /// everyone, demand never lifts the price above its ceiling, discounts never raise it and the curve never makes it dearer.
    #[test]
    fn every_price_keeps_its_promises(
        points in 1_i64..1_000_000, tier in 1_i64..1_000_000, season in 1_000_i64..30_000, offer in 1_000_i64..10_000,
        premium in 1_i64..=1_500, ceiling in 10_001_i64..20_000, cold in 1_000_i64..10_000,
        orders in 0_i64..100, days_ago in 0_i64..60, quantity in 1_i64..=1_000,
        (up_to, more) in (1_i64..100_000, 1_i64..100_000), (worth, less) in (10_002_i64..100_000, 1_i64..=9_000),
    ) {
        let percent = |hundredths: i64| format!("{}.{:02}", hundredths / 100, hundredths % 100);
        let season = if season == 10_000 { 10_001 } else { season };
        let tail = (worth - less).clamp(10_001, worth - 1);
        let tiers = if tier < points { format!("tiers = {{ gold = {{ points = {tier} }} }},") } else { String::new() };
        let program = program(&format!(
            r#"{{ points = {points}, {tiers} seasons = [{{ months = [6], percent = {} }}],
                offers = [{{ from = "2026-06-01T00:00", to = "2026-07-01T00:00", percent = {} }}],
                demand = {{ ceiling = {}, steps = [{{ orders = 50, percent = {} }}] }}, cold = {{ days = 30, percent = {} }},
                curve = [{{ up_to = {up_to}, worth = {} }}, {{ up_to = {}, worth = {} }}] }}"#,
            percent(season), percent(offer), percent(ceiling), percent(premium), percent(cold), percent(worth), up_to + more,
            percent(tail),
        ));
        let last = local(&program, NOON).plus_millis(-days_ago * 86_400_000);
        let figures = DemandFigures { orders, views: 0, last_order_at: Some(last) };
        let of = |tier| asked(&program, NOON, tier, Some(figures), quantity);
        let (gold, all) = (of(Some("gold")), of(None));
        prop_assert!(gold.points <= all.points && gold.unit <= all.unit && gold.points >= 1);
        prop_assert_eq!(gold.steps.last().map(|step| step.after), Some(gold.points));
        let own = if tier < points { tier } else { points };
        let above = (own * ceiling + 9_999) / 10_000;
        let mut before = 0;
        for step in &gold.steps {
            prop_assert_eq!(step.before, before);
            before = step.after;
            match step.how {
                How::Offer(_)
                | How::Cold { .. }
                | How::Curve(_)
                | How::Group(_)
                | How::Cash(_)
                | How::Tier { .. } => prop_assert!(step.after <= step.before),
                How::Demand { .. } => prop_assert!(step.after >= step.before && step.after <= above.max(step.before)),
                How::Quantity(_) => prop_assert_eq!(step.after, gold.unit * quantity),
                How::Points | How::Cost { .. } | How::Season(_) => {}
            }
        }
        // Friends pay a share of the unit, rounded up, and no other step changes for them.
        let occasion =
            Occasion { at: local(&program, NOON), tier: Some("gold"), figures: Some(figures), quantity: 1 };
        let friends = program.price_in_group(cup(&program), occasion, Decimal::from(80)).unwrap();
        prop_assert_eq!(friends.unit, (gold.unit * 80 + 99) / 100);
        // One unit more is never cheaper.
        let more = program.price(cup(&program), Occasion {
            at: local(&program, NOON), tier: Some("gold"), figures: Some(figures), quantity: quantity + 1,
        });
        prop_assert!(more.is_ok_and(|more| more.points >= gold.points));
    }

    /// What costs more is never cheaper, and no price by cost is worth less than the cost with its margin.
    #[test]
    fn prices_by_cost_rise_with_the_cost(cost in 1_i64..10_000_000, more in 0_i64..1_000_000, margin in 0_i64..100_000) {
        let money = |cents: i64| format!("{}.{:02}", cents / 100, cents % 100);
        let price = |cents: i64| plain(&format!("{{ cost = {}, margin = {} }}", money(cents), money(margin)), 1);
        let (less, dearer) = (price(cost), price(cost + more));
        prop_assert!(less <= dearer);
        // One cent is one point here: cost × (1 + margin), rounded up.
        let exact = i128::from(cost) * (10_000 + i128::from(margin));
        prop_assert_eq!(i128::from(less), (exact + 9_999) / 10_000);
    }
}
