//! Backtests over what the stores have recorded: with the rules in force as the draft, both sides are the ledger.
//!
//! Helpers outside of `#[test]` functions are test code too: what goes wrong in them must stop the test.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use std::cell::Cell;
use std::collections::BTreeMap;
use std::path::Path;

use guerdon_backtest::{Backtest, Programs, Ran, from_ledger, run};
use guerdon_core::backtest::{Flows, Period};
use guerdon_core::earning::Activity;
use guerdon_core::id::MemberId;
use guerdon_core::kernel::{Arrival, Command, Payment};
use guerdon_core::ledger::LedgerAccount;
use guerdon_core::program::{Bundle, Document};
use guerdon_core::time::Timestamp;
use guerdon_store::read::{Flow, Reader};
use guerdon_store::{Store, publish};
use guerdon_tests::postgres::Postgres;
use guerdon_tests::*;

/// A store that readers can be opened on.
trait Readable: Backend {
    async fn reader(keep: &Self::Keep) -> Reader;
}

impl Readable for Sqlite {
    async fn reader(keep: &Self::Keep) -> Reader {
        let directory: &Path = keep.path();
        Reader::open(directory).await.unwrap()
    }
}

impl Readable for Postgres {
    async fn reader(keep: &Self::Keep) -> Reader {
        Reader::connect(keep).await.unwrap()
    }
}

/// Some of everything that happens to accounts, over four weeks of March 2026 and to 20 members.
fn live_through<B: Backend>(house: &mut House<B>) {
    let members: Vec<MemberId> = (0..20).map(|_| house.member()).collect();
    let day = |day: usize, hour: usize| at(&format!("2026-03-{:02}T{hour:02}:00:00Z", day + 1));
    for (number, member) in members.iter().enumerate() {
        for visit in 0..6 {
            let when = day(visit * 4, number % 20);
            let pounds = format!("{}", 7 * number + 31 * visit + 3);
            let lines = [("RED CHRISTMAS BAUBLE", "2", "4.99"), ("OAK TABLE", "1", pounds.as_str())];
            let key = format!("purchase-{number}-{visit}");
            house.accepted(&house.record_as(*member, &key, &basket(when, &lines)));
            if visit == 2 {
                let one = basket(when.plus_millis(60_000), &[("RED CHRISTMAS BAUBLE", "-1", "4.99")]);
                let back = Activity { kind: "return".to_owned(), purchase: Some(key), ..one };
                let back = house.record(*member, &back);
                house.accepted(&back);
            }
            if visit == 3 && number % 3 == 0 {
                let back = house.record(*member, &paid("return", when.plus_millis(60_000), 1_500));
                house.accepted(&back);
            }
            let check_in = house.record(*member, &custom("check_in", when.plus_millis(120_000)));
            house.accepted(&check_in);
        }
    }
    let end = day(26, 0);
    house.tick(end);
    let key = |house: &mut House<B>| house.key();
    for (number, member) in members.iter().enumerate() {
        let order = Command::redeem(*member, &key(house), end, TEA, 2, number % 2 == 0).unwrap();
        let order = house.accepted(&order).order.unwrap().id;
        let settle = match number % 4 {
            0 => Command::refund(*member, *member, &key(house), end, order, "cold").unwrap(),
            1 => Command::capture(*member, &key(house), end, order).unwrap(),
            2 => Command::adjust(*member, &key(house), end, POINTS, 17 - number as i64, "for the test").unwrap(),
            _ => Command::release(*member, &key(house), end, order).unwrap(),
        };
        house.accepted(&settle);
    }
    let merge = Command::merge(members[1], members[2], &key(house), end, "one person").unwrap();
    house.accepted(&merge);
    // The purchase was recorded under the account that has ended.
    let one = basket(end, &[("OAK TABLE", "-1", "5.00")]);
    let back = Activity { kind: "return".to_owned(), purchase: Some("purchase-1-5".to_owned()), ..one };
    let back = house.record(members[2], &back);
    house.accepted(&back);
    let close = Command::close(members[3], &key(house), end, "asked to").unwrap();
    house.accepted(&close);
    let erase = Command::erase(members[4], &key(house), end).unwrap();
    house.accepted(&erase);
}

/// What the journal says, as a backtest counts it: in all and by rule.
fn of_journal(flows: &[Flow]) -> (Flows, BTreeMap<String, Flows>) {
    let (mut total, mut rules) = (Flows::default(), BTreeMap::new());
    for flow in flows {
        let add = |sum: &mut Flows| match (flow.debit, flow.credit) {
            (LedgerAccount::Issuance, _) => {
                sum.issued += flow.amount;
                sum.times += flow.count;
            }
            (_, LedgerAccount::Revocation) => sum.taken_back += flow.amount,
            (_, LedgerAccount::Redemption) => sum.redeemed += flow.amount,
            (LedgerAccount::Redemption, _) => sum.redeemed -= flow.amount,
            (_, LedgerAccount::Breakage) => sum.expired += flow.amount,
            (LedgerAccount::Adjustment, _) => sum.adjusted += flow.amount,
            (_, LedgerAccount::Adjustment) => sum.adjusted -= flow.amount,
            _ => {}
        };
        add(&mut total);
        if let Some((rule, _)) = &flow.rule {
            add(rules.entry(rule.clone()).or_default());
        }
    }
    (total, rules)
}

/// Members who refer each other, are merged, return what they bought, and pay for their points to live longer.
fn friends(percent: &str) -> Bundle {
    let text = format!(
        r#"
        program = {{ id = "friends", name = "Friends", money = "GBP", time_zone = "Europe/London" }}
        [[currencies]]
        id = 1
        code = "points"
        name = "Points"
        per_money_unit = 100
        expiry = {{ after = 1, granule = "month" }}
        life = {{ extension = {{ paid = {{ points = 10, fee = "1", days = 60 }} }} }}
        [[rules]]
        id = "welcome"
        name = "Welcome"
        trigger = "enrol"
        effect = {{ type = "fixed_points", points = 50 }}
        [[rules]]
        id = "base"
        name = "Base"
        trigger = "purchase"
        effect = {{ type = "points_per_money", rate = "1" }}
        [[rules]]
        id = "commission"
        name = "Commission"
        trigger = "purchase"
        beneficiary = "referrer"
        effect = {{ type = "percent_of_rule", rule = "base", percent = "{percent}" }}
        "#
    );
    Bundle::parse(&text).unwrap()
}

fn live_as_friends<B: Backend>() -> House<B> {
    let (mut store, keep) = B::fresh();
    publish(&mut store, &friends("10"), today()).unwrap();
    let mut house = House::<B>::over(store, keep);
    let day = |day: usize| at(&format!("2026-03-{day:02}T12:00:00Z"));
    let joins = |house: &mut House<B>, referrer: Option<MemberId>| {
        let (member, key) = (house.new_member_id(), house.key());
        let enrol = enrol(member, &key, day(1), &profile(&format!("F-{}", member.0))).unwrap();
        let enrol = enrol.welcomed(&house.program, &Arrival { referrer, ..Arrival::default() }).unwrap();
        house.accepted(&enrol);
        member
    };
    let ann = joins(&mut house, None);
    let [bob, eve] = [joins(&mut house, Some(ann)), joins(&mut house, Some(ann))];
    let buys = |house: &mut House<B>, member, key: &str, when, pence| {
        let purchase = house.record_as(member, key, &paid("purchase", when, pence));
        house.accepted(&purchase);
    };
    buys(&mut house, bob, "of-bob", day(2), 10_000);
    buys(&mut house, eve, "of-eve", day(2), 5_000);
    let back = Activity { purchase: Some("of-bob".to_owned()), ..paid("return", day(3), 5_000) };
    let back = house.record(bob, &back);
    house.accepted(&back);
    let dan = joins(&mut house, None);
    let (merge, extend, fee) = (house.key(), house.key(), house.key());
    house.accepted(&Command::merge(ann, dan, &merge, day(4), "one person").unwrap());
    buys(&mut house, eve, "of-eve-again", day(5), 3_000);
    house.accepted(&Command::extend(dan, &extend, day(6), POINTS, Payment::Points).unwrap());
    house.accepted(&Command::extend(eve, &fee, day(6), POINTS, Payment::Fee).unwrap());
    // What Bob has not paid for expires at the end of April.
    house.tick(at("2026-05-01T12:00:00Z"));
    house
}

fn until_april() -> Period {
    Period { from: Timestamp::ZERO, until: at("2026-04-01T00:00:00Z") }
}

fn backtest<B: Readable>(keep: &B::Keep, documents: &[Document], draft: &Bundle) -> (Backtest, Vec<Flow>) {
    backtest_within::<B>(keep, documents, draft, until_april())
}

fn backtest_within<B: Readable>(
    keep: &B::Keep,
    documents: &[Document],
    draft: &Bundle,
    period: Period,
) -> (Backtest, Vec<Flow>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let reader = runtime.block_on(B::reader(keep));
    let programs = Programs::with_file(documents, draft, at("2026-04-01T00:00:00Z")).unwrap();
    let ran = run(&programs, period, &|_| true, |feed| runtime.block_on(from_ledger(&reader, feed))).unwrap();
    let flows = runtime.block_on(reader.flows()).unwrap();
    runtime.block_on(reader.close());
    let Ran::Done(done) = ran else { panic!("it was stopped") };
    (*done, flows)
}

fn the_rules_in_force_come_to_the_journal<B: Readable>() {
    let mut house = House::<B>::new();
    live_through(&mut house);
    let (mut store, keep) = house.close();
    let documents = store.documents().unwrap();
    let (found, flows) = backtest::<B>(&keep, &documents, &bundle());
    let total = both_are_the_journal(&found, &flows);
    assert!(total.taken_back > 0 && total.redeemed > 0 && total.expired > 0 && total.adjusted != 0, "{total:?}");
    assert_eq!((found.activities, found.comparison.sides.live.activities), (268, 268));
}

/// Both sides moved what the journal says, in all and by rule, and leave what is on the accounts.
fn both_are_the_journal(found: &Backtest, flows: &[Flow]) -> Flows {
    let (total, rules) = of_journal(flows);
    let points = found.comparison.main().unwrap();
    assert_eq!(points.flows.live, total);
    assert_eq!(points.flows.draft, total);
    let by_rule: BTreeMap<String, Flows> =
        points.rules.iter().map(|group| (group.name.clone(), group.flows.draft)).collect();
    assert_eq!(by_rule, rules);
    let outstanding: i64 = flows
        .iter()
        .map(|flow| flow.amount * (i64::from(flow.credit.is_member()) - i64::from(flow.debit.is_member())))
        .sum();
    // The points of the last visit have matured by April; nothing else has changed since.
    assert_eq!((points.outstanding.live, points.outstanding.draft), (outstanding, outstanding));
    assert_eq!((found.comparison.better, found.comparison.worse), (0, 0));
    let sides = &found.comparison.sides;
    assert!(sides.live.refused.is_empty() && sides.draft.refused.is_empty(), "{sides:?}");
    total
}

fn two_accounts_of_one_decision_come_to_the_journal<B: Readable>() {
    let (mut store, keep) = live_as_friends::<B>().close();
    let documents = store.documents().unwrap();
    let until_may = Period { from: Timestamp::ZERO, until: at("2026-05-02T00:00:00Z") };
    let (found, flows) = backtest_within::<B>(&keep, &documents, &friends("10"), until_may);
    let total = both_are_the_journal(&found, &flows);
    // 50 for each of four; £100, £50 and £30, and a tenth for whoever referred; 55 come back. 10 are paid for the others.
    assert_eq!((total.issued, total.taken_back, total.redeemed, total.expired), (398, 55, 10, 100));

    let (found, _) = backtest_within::<B>(&keep, &documents, &friends("20"), until_may);
    let commission = found.comparison.main().unwrap().rules.iter().find(|group| group.name == "commission").unwrap();
    assert_eq!((commission.flows.live.earned(), commission.flows.draft.earned()), (13, 26));
    assert_eq!((found.comparison.better, found.comparison.more, found.comparison.worse), (1, 13, 0));
}

fn a_draft_differs_where_it_says<B: Readable>() {
    let mut house = House::<B>::new();
    live_through(&mut house);
    let (mut store, keep) = house.close();
    let documents = store.documents().unwrap();
    let draft = PROGRAM.replace("points = 5 }", "points = 7 }");
    let (found, flows) = backtest::<B>(&keep, &documents, &Bundle::parse(&draft).unwrap());
    let (_, rules) = of_journal(&flows);
    let points = found.comparison.main().unwrap();
    for group in &points.rules {
        let of_draft = if group.name == "check-in" { 7 * 120 } else { rules[&group.name].issued };
        assert_eq!((group.flows.live.issued, group.flows.draft.issued), (rules[&group.name].issued, of_draft));
    }
    // Nobody's joining was an activity before a rule for it came.
    let welcome = "[[rules]]\nid = 'welcome'\nname = 'Welcome'\ntrigger = 'enrol'\n\
        effect = { type = 'fixed_points', points = 50 }\n";
    let (joined, _) = backtest::<B>(&keep, &documents, &Bundle::parse(&format!("{PROGRAM}\n{welcome}")).unwrap());
    let given = joined.comparison.main().unwrap().rules.iter().find(|group| group.name == "welcome").unwrap();
    assert_eq!((given.flows.live.issued, given.flows.draft.issued), (0, 20 * 50));
    // Six visits each; two members have become one.
    assert_eq!((found.comparison.better, found.comparison.more), (19, 240));
    assert_eq!(found.comparison.most_affected.len(), 10);
}

fn it_stops_when_asked_to<B: Readable>() {
    let mut house = House::<B>::new();
    live_through(&mut house);
    let (mut store, keep) = house.close();
    let programs = Programs::with_file(&store.documents().unwrap(), &bundle(), today()).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let reader = runtime.block_on(B::reader(&keep));
    let heard = Cell::new(0);
    let watch = |done| {
        heard.set(done);
        false
    };
    let ran = run(&programs, until_april(), &watch, |feed| runtime.block_on(from_ledger(&reader, feed))).unwrap();
    runtime.block_on(reader.close());
    assert!(matches!(ran, Ran::Stopped));
    assert!((1..268).contains(&heard.get()), "{}", heard.get());
}

mod on_sqlite {
    use guerdon_tests::Sqlite;

    #[test]
    fn the_rules_in_force_come_to_the_journal() {
        super::the_rules_in_force_come_to_the_journal::<Sqlite>();
    }

    #[test]
    fn two_accounts_of_one_decision_come_to_the_journal() {
        super::two_accounts_of_one_decision_come_to_the_journal::<Sqlite>();
    }

    #[test]
    fn a_draft_differs_where_it_says() {
        super::a_draft_differs_where_it_says::<Sqlite>();
    }

    #[test]
    fn it_stops_when_asked_to() {
        super::it_stops_when_asked_to::<Sqlite>();
    }
}

mod on_postgres {
    use guerdon_tests::postgres::Postgres;

    #[test]
    fn the_rules_in_force_come_to_the_journal() {
        super::the_rules_in_force_come_to_the_journal::<Postgres>();
    }

    #[test]
    fn two_accounts_of_one_decision_come_to_the_journal() {
        super::two_accounts_of_one_decision_come_to_the_journal::<Postgres>();
    }

    #[test]
    fn a_draft_differs_where_it_says() {
        super::a_draft_differs_where_it_says::<Postgres>();
    }
}
