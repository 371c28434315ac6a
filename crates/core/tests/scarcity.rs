//! Scarce rewards: pools, restocking, staged release, presale, private windows and waiting rooms, as the kernel decides them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, dead_code)]

mod town;

use guerdon_core::id::{MemberId, OrderId};
use guerdon_core::kernel::{Arrival, Command, OrderChange, Receipt, Refusal, RefusalCode, Restocking, STOCKROOM};
use guerdon_core::ledger::{TransactionKind, Verifier};
use guerdon_core::program::{Bundle, compare, typed};
use guerdon_core::redemption::{Funds, OrderMove};
use guerdon_core::rewards::{Place, Rights, Ticket, WaitingPlace};
use guerdon_core::time::Timestamp;
use proptest::prelude::*;
use serde_json::json;
use town::{POINTS, Town};

const HEAD: &str = r#"
program = { id = "p", name = "P", money = "CNY", time_zone = "Asia/Shanghai" }
currencies = [{ id = 1, code = "points", name = "Points", per_money_unit = 100 }]
tiers = [
    { id = "regular", name = "Regular", rank = 0 },
    { id = "silver", name = "Silver", rank = 1, qualify = [{ spend = "100" }] },
    { id = "gold", name = "Gold", rank = 2, qualify = [{ spend = "1000" }] },
]
[[rules]]
id = "base"
name = "Base"
trigger = "purchase"
effect = { type = "points_per_money", rate = "1" }
"#;

const REGULAR: i64 = 1;
const SILVER: i64 = 2;
const GOLD: i64 = 3;
/// Everybody comes.
const OPENING: &str = "2026-12-01T10:00:00";

fn program(reward: &str) -> String {
    format!("{HEAD}\n[[rewards]]\nid = \"lamp\"\nname = \"Lamp\"\nprice = 10\n{reward}\n")
}

/// Three members of three tiers with points enough.
fn town(reward: &str) -> Town {
    let mut town = Town::of(&program(reward));
    for (member, spent) in [(REGULAR, 5_000), (SILVER, 50_000), (GOLD, 500_000)] {
        town.joins(member, "2026-01-01T10:00:00", &Arrival::default()).unwrap();
        let money = json!({"kind": "purchase", "amount": spent, "occurred_at": "2026-02-01T10:00:00+08:00"});
        town.does(member, "2026-02-01T10:00:00", money);
        let more =
            Command::adjust(MemberId(member), "more", town.at("2026-02-02T10:00:00"), POINTS, 100_000, "to spend");
        town.decide(&[more.unwrap()]).remove(0).unwrap();
    }
    town
}

struct Wants<'a> {
    member: i64,
    quantity: i64,
    local: &'a str,
    place: Place,
    rights: Rights,
}

fn wants(member: i64, quantity: i64, local: &str) -> Wants<'_> {
    Wants { member, quantity, local, place: Place::default(), rights: Rights::default() }
}

fn order(town: &mut Town, key: &str, wants: Wants<'_>) -> Result<Receipt, Refusal> {
    let at = town.at(wants.local);
    let command = Command::redeem(MemberId(wants.member), key, at, "lamp", wants.quantity, false)?;
    town.decide(&[command.with_rights(wants.rights).in_place(wants.place)?]).remove(0)
}

fn restock(town: &mut Town, key: &str, pool: Option<&str>, quantity: i64, local: &str) -> Result<Receipt, Refusal> {
    let wanted = Restocking { reward_id: "lamp".to_owned(), pool: pool.map(str::to_owned), quantity, planned_at: None };
    let command = Command::restock(key, town.at(local), wanted, "delivery 17")?;
    town.decide(&[command]).remove(0)
}

fn code(outcome: Result<Receipt, Refusal>) -> (RefusalCode, String) {
    let refusal = outcome.unwrap_err();
    (refusal.code, refusal.message)
}

const POOLED: &str = r#"scarcity = { pools = [
    { id = "gold", stock = 2, open_to = { tiers = ["gold"] } },
    { id = "bund", stock = 1, open_to = { stores = ["bund"] } },
    { id = "all", stock = 3 },
] }"#;

#[test]
fn an_order_takes_from_the_first_pool_that_is_open_to_it_and_gives_back_to_the_same() {
    let mut town = town(POOLED);
    let local = "2026-03-01T10:00:00";
    let taken = |town: &Town, receipt: Receipt| {
        let order = &town.orders[&(receipt.member_id, receipt.order.unwrap().id)];
        order.stock().map(|(key, units)| (key.to_owned(), units)).collect::<Vec<_>>()
    };
    let first = order(&mut town, "a", wants(GOLD, 2, local)).unwrap();
    assert_eq!(taken(&town, first.clone()), [("lamp#gold".to_owned(), 2)]);
    let second = order(&mut town, "b", wants(GOLD, 1, local)).unwrap();
    assert_eq!(taken(&town, second), [("lamp#all".to_owned(), 1)]);
    let at_bund = Place { store: Some("bund".to_owned()), channel: None };
    let third = order(&mut town, "c", Wants { place: at_bund.clone(), ..wants(REGULAR, 1, local) }).unwrap();
    assert_eq!(taken(&town, third), [("lamp#bund".to_owned(), 1)]);
    // An order takes from one pool, and a refusal says what is with each.
    let (refused, why) = code(order(&mut town, "d", Wants { place: at_bund, ..wants(SILVER, 3, local) }));
    assert_eq!(refused, RefusalCode::OutOfStock);
    assert_eq!(why, "3 wanted, pool `gold`: it is for members of other tiers; pool `bund`: 0 left; pool `all`: 2 left");
    let change = OrderChange {
        order: first.order.unwrap().id,
        owner: MemberId(GOLD),
        step: OrderMove::Cancel,
        reason: None,
        shipment: None,
    };
    let cancel = Command::move_order(MemberId(GOLD), "e", town.at(local), change).unwrap();
    town.decide(&[cancel]).remove(0).unwrap();
    assert_eq!((town.stock["lamp#gold"].reserved, town.stock["lamp#all"].reserved), (0, 1));
    town.check();
}

#[test]
fn units_come_in_and_are_counted_once() {
    let mut town = town("stock = 3");
    let local = "2026-03-01T10:00:00";
    order(&mut town, "a", wants(GOLD, 3, local)).unwrap();
    assert_eq!(code(order(&mut town, "b", wants(GOLD, 1, local))).0, RefusalCode::OutOfStock);
    let receipt = restock(&mut town, "in", None, 5, "2026-03-02T10:00:00").unwrap();
    assert_eq!((receipt.kind, receipt.member_id, receipt.points), (TransactionKind::Restock, STOCKROOM, 0));
    assert_eq!(receipt.reason.as_deref(), Some("delivery 17"));
    assert_eq!(restock(&mut town, "in", None, 5, "2026-03-02T10:00:00").unwrap(), receipt, "the same request");
    assert_eq!(code(restock(&mut town, "in", None, 6, "2026-03-02T10:00:00")).0, RefusalCode::IdempotencyMismatch);
    let level = town.stock["lamp"];
    assert_eq!((level.initial, level.restocked, level.on_hand, level.reserved), (3, 5, 8, 3));
    // A count found fewer, but what is promised stays.
    let (refused, why) = code(restock(&mut town, "out", None, -6, "2026-03-02T11:00:00"));
    assert_eq!(refused, RefusalCode::StockReserved);
    assert!(why.contains("8 are there, of which 3 are promised to orders, so that 5 are left"), "{why}");
    restock(&mut town, "out", None, -5, "2026-03-02T11:00:00").unwrap();
    let level = town.stock["lamp"];
    assert_eq!((level.restocked, level.on_hand, level.free()), (0, 3, 0));
    assert_eq!(level.restocked_at, Some(town.at("2026-03-02T10:00:00")), "taking out is no delivery");
    assert_eq!(code(restock(&mut town, "x", Some("all"), 1, local)).0, RefusalCode::UnknownPool);
    assert_eq!(code(restock(&mut town, "x", None, 0, local)).0, RefusalCode::InvalidAmount);
    town.check();
    // The account of the stock is nobody's.
    let merge = Command::merge(STOCKROOM, MemberId(GOLD), "m", town.at(local), "what?").unwrap();
    let adjust = Command::adjust(STOCKROOM, "n", town.at(local), POINTS, 5, "what?").unwrap();
    for command in [merge, adjust] {
        assert_eq!(code(town.decide(&[command]).remove(0)).0, RefusalCode::UnknownMember);
    }
    let referred = Arrival { referrer: Some(STOCKROOM), ..Arrival::default() };
    assert_eq!(code(town.joins(9, local, &referred)).0, RefusalCode::UnknownMember);
}

#[test]
fn what_is_unlimited_or_in_pools_says_so_when_it_is_restocked() {
    let mut unlimited = town("");
    assert_eq!(code(restock(&mut unlimited, "a", None, 5, OPENING)).0, RefusalCode::StockUnlimited);
    let mut pooled = town(POOLED);
    let (refused, why) = code(restock(&mut pooled, "a", None, 5, OPENING));
    assert_eq!(
        (refused, why.as_str()),
        (RefusalCode::UnknownPool, "`pool` of reward `lamp` must be one of gold, bund, all")
    );
    restock(&mut pooled, "b", Some("bund"), 5, OPENING).unwrap();
    assert_eq!(pooled.stock["lamp#bund"].on_hand, 6);
}

#[test]
fn the_verifier_recounts_what_came_in() {
    let mut town = town("stock = 3");
    restock(&mut town, "in", None, 5, "2026-03-02T10:00:00").unwrap();
    let check = |level| {
        let mut verifier = Verifier::default();
        town.journal_of(STOCKROOM).for_each(|transaction| verifier.transaction(transaction, &[]));
        verifier.stock("lamp", &level);
        let findings = verifier.finish().findings;
        findings
            .into_iter()
            .filter(|finding| finding.row == "stock lamp")
            .map(|finding| finding.problem)
            .collect::<Vec<_>>()
    };
    let level = town.stock["lamp"];
    assert!(check(level).is_empty(), "{:?}", check(level));
    let forged = guerdon_core::rewards::StockLevel { restocked: 6, on_hand: 9, ..level };
    assert_eq!(check(forged), ["restocked 6, but the journal says 5, or another time"]);
}

const STAGED: &str = r#"stock = 11
catalogue = { listed = { from = "2026-12-01T10:00" } }
scarcity = { release = { early = [{ tier = "silver", hours = 24 }, { tier = "gold", hours = 48 }], set_aside = 20, regular_hours = 2 } }"#;

#[test]
fn those_who_come_earlier_leave_what_is_set_aside() {
    let mut town = town(STAGED);
    let two_days = "2026-11-29T10:00:00";
    assert_eq!(code(order(&mut town, "a", wants(SILVER, 1, two_days))).0, RefusalCode::RewardNotOffered);
    assert_eq!(code(order(&mut town, "a", wants(GOLD, 1, "2026-11-29T09:59:59"))).0, RefusalCode::RewardNotOffered);
    // 20 % of 11 are 2.2: three are set aside.
    let (refused, why) = code(order(&mut town, "b", wants(GOLD, 9, two_days)));
    assert_eq!((refused, why.as_str()), (RefusalCode::OutOfStock, "9 wanted, 8 left"));
    order(&mut town, "c", wants(GOLD, 6, two_days)).unwrap();
    order(&mut town, "d", wants(SILVER, 2, "2026-11-30T10:00:00")).unwrap();
    let (_, why) = code(order(&mut town, "e", wants(SILVER, 1, "2026-11-30T11:00:00")));
    assert!(why.starts_with("1 wanted, 3 left, of which 3 are set aside until 2026-12-01T04:00:00Z"), "{why}");
    // Everybody comes, and for two hours they are for members without early access.
    assert_eq!(code(order(&mut town, "f", wants(GOLD, 1, OPENING))).0, RefusalCode::OutOfStock);
    order(&mut town, "g", wants(REGULAR, 1, OPENING)).unwrap();
    order(&mut town, "h", wants(GOLD, 2, "2026-12-01T12:00:00")).unwrap();
    assert_eq!(town.stock["lamp"].free(), 0);
}

#[test]
fn a_batch_leaves_what_is_set_aside_whoever_comes_between() {
    let mut town = town(STAGED);
    let local = "2026-11-30T12:00:00";
    let command = |key: &str, member: i64, quantity: i64| {
        Command::redeem(MemberId(member), key, town.at(local), "lamp", quantity, false).unwrap()
    };
    let commands = [command("a", GOLD, 5), command("b", SILVER, 3), command("c", GOLD, 1)];
    let asked: Vec<&Command> = commands.iter().collect();
    let changes = town.changes_of(&asked);
    let change = changes.stock["lamp"];
    // Eight are taken, and three must be left after that: eleven must be free before.
    assert_eq!((change.reserved, change.needs), (8, 11));
    let level = town.stock["lamp"];
    assert!(level.bears(change));
    // Another node sold one in the meantime.
    let sold = guerdon_core::rewards::StockChange { reserved: 1, ..Default::default() };
    assert!(!level.plus(sold).bears(change));
    assert!(town.decide(&commands)[2].is_err());
}

#[test]
fn the_upper_per_cent_by_spend_come_to_the_presale() {
    let reward = r#"stock = 5
catalogue = { listed = { from = "2026-12-01T10:00" } }
scarcity = { release = { presale = { top_percent = 40, hours = 72, months = 12 } } }"#;
    let mut town = town(reward);
    let offered = town.program.offered_at("lamp", town.at(OPENING)).unwrap().clone();
    let presale = offered.presale().unwrap();
    // It begins in November: the twelve months from November of the year before to October count.
    assert_eq!(presale.months, (2025 * 12 + 10, 2026 * 12 + 9));
    let spent: Vec<i64> = town.accounts.values().map(|account| presale.spent(&account.standing)).collect();
    assert_eq!(spent, [5_000, 50_000, 500_000]);
    // 40 % of three are 1.2, counted up to two members.
    assert_eq!(presale.threshold(spent), Some(50_000));
    assert_eq!([presale.threshold(vec![]), presale.threshold(vec![0, -5])], [None, None]);
    assert_eq!(presale.threshold(vec![7, 7, 7]), Some(7), "whoever spent the same takes part");
    let rights = || Rights { presale: Some(50_000), ..Rights::default() };
    let local = "2026-11-29T10:00:00";
    let refused = order(&mut town, "d", Wants { rights: rights(), ..wants(GOLD, 1, "2026-11-28T09:59:59") });
    assert_eq!(code(refused).0, RefusalCode::RewardNotOffered);
    assert_eq!(
        code(order(&mut town, "a", wants(SILVER, 1, local))).0,
        RefusalCode::RewardNotOffered,
        "none is published"
    );
    order(&mut town, "a", Wants { rights: rights(), ..wants(SILVER, 1, local) }).unwrap();
    order(&mut town, "b", Wants { rights: rights(), ..wants(GOLD, 1, local) }).unwrap();
    let refused = order(&mut town, "c", Wants { rights: rights(), ..wants(REGULAR, 1, local) });
    assert_eq!(code(refused).0, RefusalCode::RewardNotOffered);
}

#[test]
fn what_comes_in_is_first_for_those_who_went_away_empty_handed() {
    let reward = "stock = 0\nscarcity = { private_window = { after_tries = 3, hours = 24 } }";
    let mut whole = town(reward);
    restock(&mut whole, "in", None, 4, "2026-03-01T10:00:00").unwrap();
    let since = |at| Rights { private: Some(at), ..Rights::default() };
    let (before, after) = (whole.at("2026-02-28T10:00:00"), whole.at("2026-03-01T10:00:01"));
    let private = || since(before);
    // Whoever asks three times for what has come in gets no right to it.
    let late = Wants { rights: since(after), ..wants(REGULAR, 1, "2026-03-01T10:00:02") };
    assert_eq!(code(order(&mut whole, "late", late)).0, RefusalCode::OutOfStock);
    let (refused, why) = code(order(&mut whole, "a", wants(GOLD, 1, "2026-03-02T09:59:59")));
    assert_eq!(refused, RefusalCode::OutOfStock);
    assert!(why.contains("until 2026-03-02T02:00:00Z it is kept for members who found nothing left before"), "{why}");
    order(&mut whole, "b", Wants { rights: private(), ..wants(REGULAR, 1, "2026-03-01T10:00:00") }).unwrap();
    order(&mut whole, "c", wants(GOLD, 1, "2026-03-02T10:00:00")).unwrap();
    let pooled = r#"scarcity = { pools = [{ id = "all", stock = 1 }, { id = "private", stock = 2 }], private_window = { hours = 24, pool = "private" } }"#;
    let mut pooled = town(pooled);
    order(&mut pooled, "a", wants(GOLD, 1, "2026-03-01T10:00:00")).unwrap();
    let (_, why) = code(order(&mut pooled, "b", wants(GOLD, 1, "2026-03-01T10:00:00")));
    assert_eq!(
        why,
        "1 wanted, pool `all`: 0 left; pool `private`: it is kept for members who found nothing left before"
    );
    order(&mut pooled, "c", Wants { rights: private(), ..wants(SILVER, 1, "2026-03-01T10:00:00") }).unwrap();
    restock(&mut pooled, "in", Some("all"), 1, "2026-03-01T11:00:00").unwrap();
    order(&mut pooled, "d", wants(GOLD, 1, "2026-03-01T11:00:00")).unwrap();
    restock(&mut pooled, "in2", Some("private"), 1, "2026-03-01T12:00:00").unwrap();
    assert!(order(&mut pooled, "e", wants(GOLD, 1, "2026-03-02T11:59:59")).is_err());
    order(&mut pooled, "e", wants(GOLD, 1, "2026-03-02T12:00:00")).unwrap();
}

#[test]
fn what_is_kept_for_a_member_is_had_once() {
    let reward = "stock = 0\nscarcity = { private_window = { after_tries = 3, hours = 24 } }";
    let mut town = town(reward);
    restock(&mut town, "in", None, 4, "2026-03-01T10:00:00").unwrap();
    let rights = |since: Timestamp| Rights { private: Some(since), ..Rights::default() };
    let since = town.at("2026-02-28T10:00:00");
    let wanted = |town: &Town, key: &str, local: &str| {
        let command = Command::redeem(MemberId(REGULAR), key, town.at(local), "lamp", 1, false).unwrap();
        command.with_rights(rights(since))
    };
    // Each was sent when the right was there yet: in one batch, and in another.
    let both = [wanted(&town, "a", "2026-03-01T10:00:01"), wanted(&town, "b", "2026-03-01T10:00:01")];
    let mut outcomes = town.decide(&both);
    let (first, second) = (outcomes.remove(0).unwrap(), outcomes.remove(0));
    let (refused, why) = code(second);
    assert_eq!(refused, RefusalCode::OutOfStock);
    assert!(why.contains("kept for members who found nothing left before; this member has had"), "{why}");
    let third = wanted(&town, "c", "2026-03-01T10:00:02");
    assert_eq!(code(town.decide(&[third]).remove(0)).0, RefusalCode::OutOfStock);
    let again = wanted(&town, "a", "2026-03-01T10:00:03");
    assert_eq!(town.decide(&[again]).remove(0).unwrap(), first, "a retry is answered as it was");
    // Another member's right is another's, and so is one that came later.
    let other = Wants { rights: rights(since), ..wants(SILVER, 1, "2026-03-01T10:00:04") };
    order(&mut town, "d", other).unwrap();
    let later = rights(town.at("2026-03-01T11:00:00"));
    restock(&mut town, "in-2", None, 1, "2026-03-01T12:00:00").unwrap();
    for (key, is_had) in [("e", true), ("f", false)] {
        let wanted = Wants { rights: later.clone(), ..wants(REGULAR, 1, "2026-03-01T12:00:01") };
        assert_eq!(order(&mut town, key, wanted).is_ok(), is_had, "{key}");
    }
    assert_eq!(town.stock["lamp"].reserved, 3);
    town.check();
}

#[test]
fn a_waiting_room_lets_in_who_is_admitted() {
    let reward = "stock = 5\nscarcity = { waiting_room = { from = \"2026-12-01T10:00\", to = \"2026-12-01T12:00\", admit_per_second = 10 } }";
    let mut town = town(reward);
    let opens_at = town.at(OPENING);
    order(&mut town, "before", wants(GOLD, 1, "2026-12-01T09:59:59")).unwrap();
    let (refused, why) = code(order(&mut town, "a", wants(GOLD, 1, OPENING)));
    assert_eq!(refused, RefusalCode::WaitingRoomRequired);
    assert!(why.contains("POST /v1/rewards/lamp/waiting-room"), "{why}");
    let place = WaitingPlace { number: 3, admitted_at: opens_at.plus_millis(1_000) };
    let ticket = Ticket { member_id: MemberId(GOLD), reward_id: "lamp".to_owned(), opens_at, place };
    let with = |ticket: &Ticket| Rights { ticket: Some(ticket.clone()), ..Rights::default() };
    assert!(order(&mut town, "a", Wants { rights: with(&ticket), ..wants(GOLD, 1, OPENING) }).is_err());
    assert!(order(&mut town, "a", Wants { rights: with(&ticket), ..wants(SILVER, 1, "2026-12-01T10:00:01") }).is_err());
    let older = Ticket { opens_at: opens_at.plus_millis(-1), ..ticket.clone() };
    assert!(order(&mut town, "a", Wants { rights: with(&older), ..wants(GOLD, 1, "2026-12-01T10:00:01") }).is_err());
    let first =
        order(&mut town, "a", Wants { rights: with(&ticket), ..wants(GOLD, 1, "2026-12-01T10:00:01") }).unwrap();
    // A retry is answered as it was, also when its time is over.
    assert_eq!(order(&mut town, "a", wants(GOLD, 1, "2026-12-01T10:30:00")).unwrap(), first);
    let late = order(&mut town, "b", Wants { rights: with(&ticket), ..wants(GOLD, 1, "2026-12-01T10:10:01") });
    assert!(code(late).1.contains("ask for a new place"));
    order(&mut town, "c", wants(GOLD, 1, "2026-12-01T12:00:00")).unwrap();
}

#[test]
fn planned_units_come_in_at_their_moments() {
    let reward = r#"stock = 5
scarcity = { restock = [
    { at = "2026-01-31T09:00", quantity = 10, every = "month", until = "2026-06-01T00:00" },
    { at = "2026-03-31T09:00", quantity = 7 },
    { at = "2026-03-30T08:00", quantity = 1, every = "day", until = "2026-04-02T00:00" },
] }"#;
    let town = town(reward);
    let offered = town.program.offered_at("lamp", town.at(OPENING)).unwrap().clone();
    let calendar = &town.program.calendar;
    let due = offered.restocks(calendar, town.at("2026-01-31T09:00:00"), town.at("2026-12-31T00:00:00"));
    let shown: Vec<(String, i64)> = due.iter().map(|((at, _), quantity)| (calendar.show(*at), *quantity)).collect();
    let want = [
        ("2026-02-28 09:00", 10),
        ("2026-03-30 08:00", 1),
        ("2026-03-31 08:00", 1),
        ("2026-03-31 09:00", 17),
        ("2026-04-01 08:00", 1),
        ("2026-04-30 09:00", 10),
        ("2026-05-31 09:00", 10),
    ];
    assert_eq!(shown, want.map(|(at, quantity)| (at.to_owned(), quantity)));
    let next = offered.next_restock(calendar, None, town.at("2026-03-31T08:30:00")).unwrap();
    assert_eq!((calendar.show(next.0), next.1), ("2026-03-31 09:00".to_owned(), 7));
    assert_eq!(offered.next_restock(calendar, None, town.at("2026-06-01T00:00:00")), None);
}

#[test]
fn what_cannot_be_is_refused_at_publication() {
    for (reward, problem) in [
        ("stock = 1\nscarcity = { pools = [{ id = \"a\", stock = 1 }] }", "`stock` is the sum of `scarcity.pools`"),
        ("scarcity = { pools = [{ id = \"a#b\", stock = 1 }] }", "`scarcity.pools[0].id` must be of lower-case"),
        ("scarcity = { pools = [{ id = \"a\", stock = -1 }] }", "`scarcity.pools[0].stock` must be 0 to"),
        ("scarcity = { pools = [{ id = \"a\", stock = 1 }, { id = \"a\", stock = 1 }] }", "`a` is there twice"),
        (
            "scarcity = { pools = [{ id = \"a\", stock = 1, open_to = { tiers = [\"x\"] } }] }",
            "`scarcity.pools[0].open_to.tiers`: there is no tier `x`",
        ),
        ("scarcity = { restock = [{ at = \"2026-01-01T00:00\", quantity = 1 }] }", "the reward is unlimited"),
        (
            "stock = 1\nscarcity = { restock = [{ at = \"2026-01-01T00:00\", quantity = 0 }] }",
            "`scarcity.restock[0].quantity` must be 1 to",
        ),
        (
            "stock = 1\nscarcity = { restock = [{ at = \"2026-01-01T00:00\", quantity = 1, pool = \"a\" }] }",
            "the reward has no pool `a`",
        ),
        (
            "scarcity = { pools = [{ id = \"a\", stock = 1 }], restock = [{ at = \"2026-01-01T00:00\", quantity = 1 }] }",
            "`scarcity.restock[0].pool` is missing",
        ),
        (
            "stock = 1\nscarcity = { restock = [{ at = \"2026-01-01T00:00\", quantity = 1, until = \"2026-02-01T00:00\" }] }",
            "say `every`",
        ),
        ("stock = 1\nscarcity = { release = { set_aside = 20 } }", "say when that is, in `catalogue.listed.from`"),
        (
            "catalogue = { listed = { from = \"2026-12-01T10:00\" } }\nscarcity = { release = { set_aside = 20 } }",
            "the reward is unlimited",
        ),
        (
            "stock = 1\ncatalogue = { listed = { from = \"2026-12-01T10:00\" } }\nscarcity = { release = { early = [{ tier = \"x\", hours = 1 }] } }",
            "there is no tier `x`",
        ),
        ("stock = 1\nscarcity = { private_window = { pool = \"a\" } }", "the reward has no pool `a`"),
        (
            "stock = 1\nscarcity = { private_window = { after_tries = 11 } }",
            "`scarcity.private_window.after_tries` must be 1 to 10",
        ),
        (
            "scarcity = { waiting_room = { from = \"2026-12-01T10:00\", admit_per_second = 0 } }",
            "admit_per_second` must be 1 to",
        ),
        (
            "scarcity = { waiting_room = { from = \"2026-12-01T10:00\", admit_per_second = 1, difficulty = 25 } }",
            "difficulty` must be 0 to 24",
        ),
        (
            "scarcity = { pools = [{ id = \"a\", stock = 1 }] }\n[[rules]]\nid = \"give\"\nname = \"Give\"\ntrigger = \"visit\"\neffect = { type = \"issue_reward\", reward = \"lamp\" }",
            "a rule does not say which",
        ),
    ] {
        let told = Bundle::parse(&program(reward)).and_then(|bundle| bundle.validate().map(drop)).unwrap_err();
        assert!(told.contains(problem), "{reward}: {told}");
    }
}

#[test]
fn more_units_are_better_and_a_waiting_room_is_not() {
    let reward = |scarcity: serde_json::Value| {
        typed("reward", &json!({"id": "x", "name": "X", "price": 1, "scarcity": scarcity})).unwrap()
    };
    let pool = |stock: i64| json!({"id": "a", "stock": stock});
    let restock = |quantity: i64| json!({"at": "2026-12-01T10:00", "quantity": quantity, "pool": "a"});
    let room =
        |rate: i64| json!({"pools": [pool(1)], "waiting_room": {"from": "2026-12-01T10:00", "admit_per_second": rate}});
    for (before, after, field) in [
        (json!({"pools": [pool(1)], "restock": [restock(5)]}), json!({"pools": [pool(1)]}), "scarcity.restock"),
        (json!({"pools": [pool(1)]}), room(5), "scarcity.waiting_room"),
        (room(5), room(4), "scarcity.waiting_room.admit_per_second"),
    ] {
        let (before, after) = (reward(before), reward(after));
        let judged = |before, after| {
            let found = compare("reward", "x", Some(before), Some(after));
            found.into_iter().map(|one| (one.field, one.verdict.name())).collect::<Vec<_>>()
        };
        assert_eq!(judged(&before, &after), [(field.to_owned(), "worse")]);
        assert_eq!(judged(&after, &before), [(field.to_owned(), "better")]);
    }
}

#[derive(Debug, Clone)]
enum Happens {
    Orders { member: i64, quantity: i64, store: bool, hours: i64 },
    Moves { which: usize, step: OrderMove },
    Restocks { pool: usize, quantity: i64 },
}

fn happens() -> impl Strategy<Value = Happens> {
    let steps = prop_oneof![
        Just(OrderMove::Complete),
        Just(OrderMove::Cancel),
        Just(OrderMove::Refund),
        Just(OrderMove::Fulfil),
        Just(OrderMove::Ship)
    ];
    prop_oneof![
        4 => (1..=3_i64, 1..4_i64, any::<bool>(), 0..60_i64)
            .prop_map(|(member, quantity, store, hours)| Happens::Orders { member, quantity, store, hours }),
        3 => (any::<usize>(), steps).prop_map(|(which, step)| Happens::Moves { which, step }),
        2 => (0..3_usize, -4..6_i64).prop_map(|(pool, quantity)| Happens::Restocks { pool, quantity }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    /// Whatever happens in whatever batches, no pool promises more than it has, what it counts is what its orders say, and
    /// those who come earlier leave what is set aside.
    #[test]
    fn no_pool_promises_more_than_it_has(story in prop::collection::vec(happens(), 1..40), batch in 1..5_usize) {
        let reward = r#"catalogue = { listed = { from = "2026-12-01T10:00" } }
scarcity = { release = { early = [{ tier = "silver", hours = 48 }], set_aside = 25 }, pools = [
    { id = "gold", stock = 4, open_to = { tiers = ["gold"] } },
    { id = "bund", stock = 3, open_to = { stores = ["bund"] } },
    { id = "all", stock = 6 },
] }"#;
        let mut town = town(reward);
        let opening = town.at(OPENING);
        let pools = ["gold", "bund", "all"];
        for (round, some) in story.chunks(batch).enumerate() {
            let orders: Vec<(MemberId, OrderId)> = {
                let mut all: Vec<_> = town.orders.keys().copied().collect();
                all.sort();
                all
            };
            let at = opening.plus_millis((round as i64 * 2 - 20) * 3_600_000);
            let commands: Vec<Command> = some.iter().enumerate().filter_map(|(index, one)| {
                let key = format!("k-{round}-{index}");
                match one {
                    Happens::Orders { member, quantity, store, hours: _ } => {
                        let place = Place { store: store.then(|| "bund".to_owned()), channel: None };
                        let command = Command::redeem(MemberId(*member), &key, at, "lamp", *quantity, false).unwrap();
                        Some(command.in_place(place).unwrap())
                    }
                    Happens::Moves { which, step } => {
                        let (owner, order) = *orders.get(which % orders.len().max(1))?;
                        let reason = step.needs_reason().then(|| "for the test".to_owned());
                        let change = OrderChange { order, owner, step: *step, reason, shipment: None };
                        Some(Command::move_order(owner, &key, at, change).unwrap())
                    }
                    Happens::Restocks { pool, quantity } => {
                        let (reward_id, pool) = ("lamp".to_owned(), Some(pools[*pool].to_owned()));
                        let wanted = Restocking { reward_id, pool, quantity: *quantity, planned_at: None };
                        Command::restock(&key, at, wanted, "count").ok()
                    }
                }
            }).collect();
            if commands.is_empty() {
                continue;
            }
            let before = town.stock.clone();
            town.decide(&commands);
            for pool in pools {
                let key = format!("lamp#{pool}");
                let level = town.stock[&key];
                let units = |funds: Funds| -> i64 {
                    let own = town.orders.values().filter(|order| order.state.funds() == funds);
                    own.flat_map(|order| order.stock()).filter(|(taken, _)| *taken == key).map(|(_, units)| units).sum()
                };
                prop_assert_eq!((level.reserved, level.issued), (units(Funds::Held), units(Funds::Spent)));
                prop_assert_eq!(level.on_hand, level.initial + level.restocked - level.issued);
                prop_assert!(level.reserved >= 0 && level.reserved <= level.on_hand);
                // Orders alone never take what is set aside; a count may find fewer.
                let took = level.free() < before[&key].free() && level.restocked == before[&key].restocked;
                if pool != "gold" && at < opening && took {
                    prop_assert!(level.free() * 4 >= level.all(), "{:?}", level);
                }
            }
        }
        town.check();
    }
}
