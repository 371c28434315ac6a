//! The catalogue: what is refused at publication, who may see and order what, and how it is narrowed, sorted and paged.
//!
//! Helpers outside of `#[test]` functions are test code too: what goes wrong in them must stop the test.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, dead_code)]

mod club;

use std::collections::BTreeMap;

use club::{Club, MEMBER};
use guerdon_core::kernel::{Command, RefusalCode};
use guerdon_core::program::{Bundle, Verdict, compare, typed};
use guerdon_core::rewards::{
    Cursor, Figures, Listing, Place, Shelf, Sort, StockLevel, StrongCategory, Viewer, Window, Wish, Zone,
};
use guerdon_core::time::Timestamp;
use serde_json::{Value, json};

const PROGRAM: &str = r#"
program = { id = "p", name = "P", money = "CNY", time_zone = "Asia/Shanghai" }
currencies = [{ id = 1, code = "points", name = "Points", per_money_unit = 100 }]
categories = [
    { id = "home", name = "Home" },
    { id = "kitchen", name = "Kitchen", parent = "home" },
    { id = "cups", name = "Cups", parent = "kitchen" },
    { id = "travel", name = "Travel" },
]
tiers = [
    { id = "regular", name = "Regular", rank = 0 },
    { id = "gold", name = "Gold", rank = 1, qualify = [{ spend = "100" }], benefits = { zones = ["upgraded"], early_access_hours = 24 } },
]
[[rules]]
id = "base"
name = "Base"
trigger = "purchase"
effect = { type = "points_per_money", rate = "1" }
"#;

fn with(rewards: &str) -> String {
    format!("{PROGRAM}\n{rewards}")
}

fn reward(id: &str, more: &str) -> String {
    format!("[[rewards]]\nid = \"{id}\"\nname = \"{id}\"\nprice = 10\n{more}\n")
}

#[test]
fn what_cannot_be_is_refused_at_publication() {
    for (more, problem) in [
        ("kind = { type = \"spoon\" }", "spoon"),
        ("kind = { type = \"coupon\", value = \"0\" }", "`kind.value` must be more than 0"),
        ("kind = { type = \"coupon\", value = \"5\", valid_days = 0 }", "`kind.valid_days` must be 1 to 3650"),
        ("kind = { type = \"trial\", days = 0 }", "`kind.days` must be 1 to 3650"),
        ("kind = { type = \"physical\", weight_grams = -1 }", "`kind.weight_grams` must be 1 to"),
        (
            "kind = { type = \"physical\", variants = [{ id = \"s\", name = \"S\" }, { id = \"s\", name = \"T\" }] }",
            "`kind.variants`: `s` is there twice",
        ),
        ("kind = { type = \"bundle\", contents = [] }", "`kind.contents` must name 1 to 50 rewards"),
        ("kind = { type = \"bundle\", contents = [{ reward = \"tea\" }] }", "there is no reward `tea`"),
        (
            "kind = { type = \"bundle\", contents = [{ reward = \"cup\" }] }",
            "`kind.contents`: `cup` is a bundle itself",
        ),
        ("catalogue = { categories = [\"garden\"] }", "`catalogue.categories`: there is no category `garden`"),
        ("catalogue = { tags = [\"new\", \"new\"] }", "`catalogue.tags`: `new` is there twice"),
        ("catalogue = { market_price = \"-1\" }", "`catalogue.market_price` must be more than 0"),
        ("catalogue = { zone = \"premium\" }", "no tier opens the zone `premium`"),
        ("catalogue = { visible_to = { tiers = [\"black\"] } }", "there is no tier `black`"),
        ("catalogue = { visible_to = { audience = \"activity.net > 5\" } }", "refers to `activity`"),
        ("catalogue = { visible_to = { audience = \"tier.id == 'black'\" } }", "the program has no tier `black`"),
        ("catalogue = { visible_to = { audience = \"member.available\" } }", "must give true or false"),
        (
            "catalogue = { listed = { from = \"2026-11-02T00:00\", to = \"2026-11-01T00:00\" } }",
            "must be later than `catalogue.listed.from`",
        ),
        ("catalogue = { colour = \"red\" }", "colour"),
    ] {
        let found = Bundle::parse(&with(&reward("cup", more))).unwrap_err();
        assert!(found.contains(problem), "{more}: {found}");
    }
}

/// One of everything, the fields of an older document left out.
fn everything() -> String {
    with(
        &(reward("plain", "")
            + &reward(
                "cup",
                r#"stock = 3
                kind = { type = "physical", variants = [{ id = "blue", name = "Blue" }], weight_grams = 300 }
                catalogue = { description = { en = "A cup", zh = "杯子" }, categories = ["cups"], tags = ["new"], market_price = "49.50" }"#,
            )
            + &reward(
                "lamp",
                r#"kind = { type = "virtual_code" }
                catalogue = { categories = ["home"], zone = "upgraded" }"#,
            )
            + &reward(
                "flight",
                r#"kind = { type = "experience" }
                catalogue = { categories = ["travel"], visible_to = { tiers = ["gold"] }, listed = { from = "2026-11-02T00:00", to = "2026-12-01T00:00" } }"#,
            )
            + &reward(
                "tea",
                r#"kind = { type = "trial" }
                catalogue = { tags = ["new"], visible_to = { audience = "history.purchase.month.count >= 2 && member.available > 5 * 2" } }"#,
            )
            + &reward("map", r#"catalogue = { visible_to = { stores = ["bund"], channels = ["pos", "app"] } }"#)
            + &reward(
                "set",
                "price_is = 0\nkind = { type = \"bundle\", contents = [{ reward = \"cup\", quantity = 2 }, { reward = \"tea\" }] }",
            )
            .replace("price_is = 0\n", "")),
    )
}

fn at(text: &str) -> Timestamp {
    Timestamp::parse_rfc3339(text).unwrap()
}

fn place(store: &str, channel: &str) -> Place {
    let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    Place { store: some(store), channel: some(channel) }
}

/// The ids on a page.
fn ids(shelf: &Shelf, listing: &Listing) -> Vec<String> {
    listing.rows.iter().map(|row| shelf.reward(*row).unwrap().reward.id.clone()).collect()
}

fn page() -> Wish<'static> {
    Wish { limit: 24, sort: Sort::Points, ..Wish::default() }
}

/// What the club's member sees, by id.
fn seen(club: &Club, place: &Place, now: &str) -> String {
    let shelf = Shelf::new(&club.program);
    let viewer = Viewer::new(&club.program, Some(&club.account), place, at(now));
    ids(&shelf, &shelf.browse(&viewer, &Figures::default(), &page(), None)).join(" ")
}

#[test]
fn who_sees_a_reward_goes_by_tier_zone_audience_place_and_moment() {
    let mut club = Club::of(&everything());
    let (nowhere, anybody) = (
        Place::default(),
        Viewer::new(&club.program, None, &Place::default(), at("2026-11-10T00:00:00Z")).spendable(club::POINTS),
    );
    assert_eq!(anybody, 0);
    assert_eq!(seen(&club, &nowhere, "2026-11-10T00:00:00Z"), "cup plain set");
    assert_eq!(seen(&club, &place("bund", "app"), "2026-11-10T00:00:00Z"), "cup map plain set");
    assert_eq!(seen(&club, &place("bund", "web"), "2026-11-10T00:00:00Z"), "cup plain set");
    // Two purchases of the month, and gold.
    for day in ["2026-10-03 10:00:00", "2026-10-04 10:00:00"] {
        club.earns(day, json!({ "kind": "purchase", "amount": 10_000 }));
    }
    assert_eq!(club.tier(), "gold");
    // Listed from midnight in Shanghai on, gold a day before: from 16:00 in UTC on 31 October.
    assert_eq!(seen(&club, &nowhere, "2026-10-31T15:59:59Z"), "cup lamp plain set tea");
    assert_eq!(seen(&club, &nowhere, "2026-10-31T16:00:00Z"), "cup flight lamp plain set");
    assert_eq!(seen(&club, &nowhere, "2026-11-30T15:59:59Z"), "cup flight lamp plain set");
    assert_eq!(seen(&club, &nowhere, "2026-11-30T16:00:00Z"), "cup lamp plain set");
    club.check();
}

#[test]
fn an_order_for_what_is_not_offered_is_refused() {
    let mut club = Club::of(&everything());
    club.adjust(1_000, "2026-10-01 00:00:00");
    let mut order = |reward: &str, place: &Place, now: &str| {
        let key = format!("{reward} {now} {place:?}");
        let command = Command::redeem(MEMBER, &key, at(now), reward, 1, false).unwrap();
        let answer = club.decide(&command.in_place(place.clone()).unwrap(), true);
        answer.map(drop).map_err(|refusal| (refusal.code, refusal.message))
    };
    let nowhere = Place::default();
    let now = "2026-10-20T00:00:00Z";
    for (reward, why) in [
        ("lamp", "the member's tier does not open the zone `upgraded`"),
        ("flight", "it is offered from 2026-11-01T16:00:00Z on"),
        ("tea", "it is for other members"),
        ("map", "it is offered in certain stores only"),
    ] {
        let (code, message) = order(reward, &nowhere, now).unwrap_err();
        assert_eq!(code, RefusalCode::RewardNotOffered, "{reward}");
        assert!(message.starts_with(&format!("reward `{reward}` is not offered: {why}")), "{message}");
    }
    assert!(order("map", &place("bund", "web"), now).unwrap_err().1.contains("certain channels only"));
    assert_eq!(order("map", &place("bund", "pos"), now), Ok(()));
    assert_eq!(order("plain", &nowhere, now), Ok(()));
    let (_, message) = order("flight", &nowhere, "2026-11-10T00:00:00Z").unwrap_err();
    assert!(message.ends_with("it is for members of other tiers"), "{message}");
    let (_, message) = order("flight", &nowhere, "2026-12-10T00:00:00Z").unwrap_err();
    assert!(message.ends_with("it was offered until 2026-11-30T16:00:00Z"), "{message}");
    // Whether a reward is there at all is told before.
    assert_eq!(order("spoon", &nowhere, now).unwrap_err().0, RefusalCode::UnknownReward);
    club.check();
}

#[test]
fn the_place_belongs_to_the_request() {
    let command = || Command::redeem(MEMBER, "key", Timestamp::ZERO, "cup", 1, false).unwrap();
    let digest = |place: Place| command().in_place(place).unwrap().request_digest;
    assert_eq!(digest(Place::default()), command().request_digest, "as older versions had it");
    assert_ne!(digest(place("bund", "")), digest(place("", "bund")));
    assert!(command().in_place(place(&"x".repeat(129), "")).is_err());
}

/// A shelf of thirty cups, lamps and teas, and what is known of them.
fn wide() -> (Club, Shelf, Figures) {
    let mut text = String::new();
    for number in 0..30 {
        let id = format!("r{number:02}");
        let category = ["cups", "home", "travel"][number % 3];
        let tags = if number % 2 == 0 { "\"even\"" } else { "\"odd\", \"few\"" };
        text += &format!(
            "[[rewards]]\nid = \"{id}\"\nname = \"{id}\"\nprice = {}\nstock = {}\ncatalogue = {{ categories = [\"{category}\"], tags = [{tags}] }}\n",
            100 + (number * 7) % 30,
            number % 5
        );
    }
    let mut club = Club::of(&with(&text));
    club.adjust(110, "2026-01-01 00:00:00");
    let shelf = Shelf::new(&club.program);
    let stock: BTreeMap<String, StockLevel> =
        (0..30).map(|number| (format!("r{number:02}"), StockLevel::new(number % 5))).collect();
    let ordered = (0..30).map(|number: i64| (format!("r{number:02}"), (number * 11) % 30)).collect();
    let figures = shelf.figures(&stock, &ordered);
    (club, shelf, figures)
}

#[test]
fn pages_follow_each_other_without_gap_or_repetition() {
    let (club, shelf, figures) = wide();
    let nowhere = Place::default();
    let viewer = Viewer::new(&club.program, Some(&club.account), &nowhere, at("2026-02-01T00:00:00Z"));
    let all = |sort: Sort, limit: usize, found: Option<&[u32]>| {
        let (mut after, mut seen) = (None, Vec::new());
        loop {
            let wish = Wish { sort, after, limit, ..Wish::default() };
            let listing = shelf.browse(&viewer, &figures, &wish, found);
            assert!(listing.rows.len() <= limit && listing.total == found.map_or(30, <[u32]>::len));
            seen.extend(ids(&shelf, &listing));
            let Some(next) = listing.next else { return seen };
            // As it comes back from an address.
            after = Some(next.to_string().parse::<Cursor>().unwrap());
        }
    };
    for sort in Sort::ALL {
        let whole = all(sort, 100, None);
        assert_eq!(whole.len(), 30);
        assert_eq!(all(sort, 7, None), whole, "{sort:?}");
    }
    assert_eq!(all(Sort::Points, 30, None)[..3], ["r00", "r13", "r26"]);
    assert_eq!(all(Sort::Popularity, 30, None)[..3], ["r19", "r08", "r27"]);
    // All came at once: what stands later is newer.
    assert_eq!(all(Sort::Newest, 30, None)[..2], ["r29", "r28"]);
    assert_eq!(all(Sort::Relevance, 2, Some(&[7, 3, 20])), ["r07", "r03", "r20"]);
    for wrong in ["", "x", "1.2", "1.2.", "1.x.r01", "99999999999999999999.0.r01"] {
        assert!(wrong.parse::<Cursor>().is_err(), "{wrong}");
    }
}

#[test]
fn filters_narrow_and_facets_count_what_each_would_give() {
    let (club, shelf, figures) = wide();
    let nowhere = Place::default();
    let viewer = Viewer::new(&club.program, Some(&club.account), &nowhere, at("2026-02-01T00:00:00Z"));
    let browse = |wish: Wish<'_>| shelf.browse(&viewer, &figures, &Wish { limit: 100, ..wish }, None);
    let counted = |found: &[(String, usize)]| {
        found.iter().map(|(id, count)| format!("{id} {count}")).collect::<Vec<_>>().join(", ")
    };
    let all = browse(Wish::default());
    assert_eq!(counted(&all.categories), "cups 10, home 20, kitchen 10, travel 10");
    assert_eq!(counted(&all.tags), "even 15, few 15, odd 15");
    let cups = browse(Wish { category: Some("kitchen"), tags: vec!["odd"], ..Wish::default() });
    assert_eq!((cups.total, counted(&cups.tags)), (5, "few 5, odd 5".to_owned()));
    // A category counts what is there without it, so that another one can be chosen.
    assert_eq!(counted(&cups.categories), "cups 5, home 10, kitchen 5, travel 5");
    assert_eq!(browse(Wish { category: Some("garden"), ..Wish::default() }).total, 0);
    assert_eq!(browse(Wish { zone: Some(Zone::Premium), ..Wish::default() }).total, 0);
    assert_eq!(browse(Wish { in_stock: true, ..Wish::default() }).total, 24);
    assert_eq!(browse(Wish { affordable: true, ..Wish::default() }).total, 11, "100 to 110 points");
}

#[test]
fn few_are_a_tenth_of_what_there_was() {
    let level = |initial, issued, reserved| StockLevel {
        issued,
        reserved,
        on_hand: initial - issued,
        ..StockLevel::new(initial)
    };
    assert_eq!([level(100, 89, 0).few(), level(100, 89, 1).few(), level(100, 100, 0).few()], [None, Some(10), Some(0)]);
    assert_eq!(StockLevel { restocked: 100, on_hand: 20, ..level(100, 0, 0) }.few(), Some(20));
}

#[test]
fn changes_are_judged_from_the_members_side() {
    let judged = |before: Value, after: Value| {
        let whole = |more: Value| {
            let mut reward = json!({"id": "x", "name": "X", "price": 5});
            reward.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            typed("reward", &reward).unwrap()
        };
        let found = compare("reward", "x", Some(&whole(before)), Some(&whole(after)));
        found.into_iter().map(|one| format!("{} {}", one.field, one.verdict.name())).collect::<Vec<_>>().join(", ")
    };
    let catalogue = |catalogue: Value| json!({ "catalogue": catalogue });
    let none = || json!({});
    for (before, after, verdict) in [
        (none(), catalogue(json!({"zone": "premium"})), "catalogue.zone worse"),
        (none(), catalogue(json!({"visible_to": {"tiers": ["gold"]}})), "catalogue.visible_to.tiers worse"),
        (
            catalogue(json!({"visible_to": {"stores": ["a"]}})),
            catalogue(json!({"visible_to": {"stores": ["a", "b"]}})),
            "catalogue.visible_to.stores better",
        ),
        (none(), catalogue(json!({"listed": {"from": "2026-01-01T00:00"}})), "catalogue.listed.from worse"),
        (
            catalogue(json!({"listed": {"to": "2026-01-01T00:00"}})),
            catalogue(json!({"listed": {"to": "2026-02-01T00:00"}})),
            "catalogue.listed.to better",
        ),
        (
            none(),
            catalogue(json!({"tags": ["new"], "description": "A cup"})),
            "catalogue.description neutral, catalogue.tags neutral",
        ),
        (none(), json!({"kind": {"type": "trial"}}), "kind.type neutral, kind.days better"),
        (json!({"kind": {"type": "trial"}}), json!({"kind": {"type": "privilege", "days": 7}}), "kind.type unclear"),
        (
            json!({"kind": {"type": "coupon", "value": "5"}}),
            json!({"kind": {"type": "coupon", "value": "6", "minimum": "20", "valid_days": 30}}),
            "kind.value better, kind.minimum worse, kind.valid_days worse",
        ),
    ] {
        assert_eq!(judged(before, after), verdict);
    }
    let category = json!({"id": "x", "name": "X"});
    assert_eq!(compare("category", "x", Some(&category), None)[0].verdict, Verdict::Neutral);
}

#[test]
fn older_documents_are_read_and_newer_ones_come_back_as_they_were() {
    let bundle = Bundle::parse(&everything()).unwrap();
    assert!(bundle.rewards[0].kind.is_none() && bundle.rewards[0].catalogue.is_empty());
    assert_eq!(
        serde_json::to_value(&bundle.rewards[0]).unwrap(),
        json!({"id": "plain", "name": "plain", "price": 10, "currency": 1})
    );
    let documents = bundle.documents().unwrap();
    assert_eq!(Bundle::of_documents(&documents).unwrap(), bundle);
    assert_eq!(documents.iter().filter(|document| document.kind == "category").count(), 4);
}

/// Worked out by hand: 300 units of 6 listed rewards are ordered, 50 on average.
#[test]
fn the_range_is_reviewed_by_what_was_taken() {
    let of = |category: &str| format!("catalogue = {{ categories = [\"{category}\"] }}");
    let text = [
        reward("cup", &format!("stock = 100\n{}", of("cups"))),
        reward("dear", &format!("stock = 100\n{}", of("travel"))),
        reward("flight", &of("travel")),
        reward("hat", ""),
        reward("late", "stock = 100\ncatalogue = { listed = { from = \"2026-01-20T00:00\" } }"),
        reward("over", "stock = 100\ncatalogue = { listed = { to = \"2026-01-20T00:00\" } }"),
        reward("tray", &format!("stock = 10\n{}", of("kitchen"))),
    ];
    let club = Club::of(&with(&text.concat()));
    let shelf = Shelf::new(&club.program);
    // What is free now: of the tray nothing.
    let stock = [("cup", 10), ("dear", 96), ("late", 100), ("over", 100), ("tray", 0)];
    let stock = stock.map(|(id, free)| (id.to_owned(), StockLevel::new(free))).into_iter().collect();
    let ordered = [("cup", 284), ("dear", 4), ("flight", 2), ("tray", 10), ("over", 1)];
    let ordered = ordered.map(|(id, units)| (id.to_owned(), units)).into_iter().collect();
    let figures = shelf.figures(&stock, &ordered);
    let first_order_at = Some(at("2025-12-31T00:00:00Z"));
    let (from, to) = (at("2026-01-01T00:00:00Z"), at("2026-03-01T00:00:00Z"));
    let window = Window { from, to, first_order_at, below_percent: 5 };
    let found = shelf.assortment(&club.program, &figures, window);
    assert_eq!((found.listed, found.ordered), (6, 300));
    let told = |found: &[guerdon_core::rewards::Uptake]| -> Vec<(String, i64, i64)> {
        let id = |row: usize| shelf.reward(row).unwrap().reward.id.clone();
        found.iter().map(|one| (id(one.row), one.permille(), one.of)).collect()
    };
    let line = |id: &str, permille: i64, of: i64| (id.to_owned(), permille, of);
    // Of the unlimited hat none against 50; the late one was not there for the whole time, and 4 % of the dear one is too little.
    assert_eq!(told(&found.retire), [line("hat", 0, 50), line("dear", 40, 100), line("flight", 40, 50)]);
    assert_eq!(told(&found.nearly_gone), [line("cup", 965, 294), line("tray", 1_000, 10)]);
    // Cups 284 for 1, kitchen and home 294 for 2 with those below: 147; travel 6 for 2.
    let category = |id: &str, rewards, ordered| StrongCategory { id: id.to_owned(), rewards, ordered };
    assert_eq!(found.categories, [category("cups", 1, 284), category("home", 2, 294), category("kitchen", 2, 294)]);
    // Where orders began within the time, nothing has been there long enough.
    for first_order_at in [None, Some(at("2026-01-01T00:00:01Z"))] {
        let young = shelf.assortment(&club.program, &figures, Window { first_order_at, ..window });
        assert_eq!((young.retire.len(), young.nearly_gone.len()), (0, 2));
    }
    let nothing = Shelf::new(&Club::of(&with("")).program);
    let none = nothing.assortment(&club.program, &Figures::default(), window);
    assert_eq!(none, guerdon_core::rewards::Assortment::default());
}
