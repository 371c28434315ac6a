//! One suite of behaviours, run on every store.
//!
//! Helpers outside of `#[test]` functions are test code too: what goes wrong in them must stop the test.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use guerdon_core::earning::{Activity, CapScope, Per};
use guerdon_core::id::{IdGenerator, MemberId, OrderId};
use guerdon_core::kernel::{Action, Batch, Command, Footprint, Loaded, OrderChange, Receipt, RefusalCode};
use guerdon_core::ledger::CurrencyId;
use guerdon_core::members::Profile;
use guerdon_core::program::{Bundle, Program};
use guerdon_core::proofs::{SigningKey, consistency_ranges, edge_tiles, tiles_of, verify_consistency};
use guerdon_core::redemption::{OrderMove, OrderState, Shipment};
use guerdon_core::time::{EARLIEST, Timestamp};
use guerdon_store::{
    DataDir, LogGrowth, LogHead, Outcome, Sequenced, SqliteStore, Store, StoreError, load_program, log_keys, publish,
    rotate_log_key, sequence, start_log, verify,
};
use guerdon_tests::*;

on_every_store!(
    an_external_id_belongs_to_one_member,
    a_repeated_enrolment_finds_the_member_it_made,
    a_purchase_earns_and_says_why,
    one_key_gives_one_receipt,
    a_key_cannot_serve_two_requests,
    a_hold_is_captured,
    a_released_hold_goes_back_to_its_lots,
    points_are_looked_at_before_stock,
    one_batch_cannot_oversell,
    an_order_is_settled_once,
    an_order_keeps_what_happened_to_it,
    a_return_takes_what_is_there_and_forgives_the_rest,
    a_cap_holds_within_a_batch_and_after_it,
    a_budget_is_shared_by_members_and_by_stores,
    a_return_that_names_its_purchase_takes_back_what_it_earned,
    pending_points_mature_when_due,
    points_expire_when_due_and_cannot_be_spent_before_the_tick,
    a_release_after_expiry_gives_back_what_then_expires,
    the_lot_that_expires_first_is_spent_first,
    an_operator_adjusts_up_and_down,
    a_dry_run_changes_nothing,
    what_does_not_exist_is_refused,
    a_redemption_cannot_come_before_the_latest_transaction,
    a_stale_version_is_a_conflict,
    more_commands_than_one_batch_holds,
    commands_of_one_batch_see_each_other,
    publishing_twice_changes_nothing,
    a_changed_rule_holds_from_now_on,
    a_retired_rule_gives_nothing_more,
    a_rule_put_first_does_not_make_the_others_earn_twice,
    a_callers_key_cannot_stop_a_tick,
    a_restart_gives_no_id_twice,
    what_another_writer_inserted_is_a_conflict,
    the_log_takes_every_transaction_once_and_proves_it,
    a_new_key_goes_on_where_the_old_one_ended,
    a_log_that_was_changed_is_not_continued,
    an_erased_member_leaves_points_and_references_behind,
    a_publication_that_changes_the_life_of_points_plans_every_account,
);

fn an_external_id_belongs_to_one_member<B: Backend>() {
    let mut house = House::<B>::new();
    let (first, second) = (house.new_member_id(), house.new_member_id());
    house.accepted(&enrol(first, "e-1", today(), &profile("C-7")).unwrap());
    let again = enrol(second, "e-2", today(), &profile("C-7")).unwrap();
    assert_eq!(house.refused(&again), RefusalCode::AlreadyEnrolled);
    let with_mail = |mail: &str| Profile { email: Some(mail.to_owned()), ..Profile::default() };
    house.accepted(&enrol(second, "e-3", today(), &with_mail("Ann@Example.org")).unwrap());
    let third = house.new_member_id();
    let same_mail = enrol(third, "e-4", today(), &with_mail("ann@example.ORG")).unwrap();
    assert_eq!(house.refused(&same_mail), RefusalCode::AlreadyEnrolled);
    let together: Vec<Command> =
        (0..3).map(|n| enrol(house.new_member_id(), &format!("f-{n}"), today(), &profile("C-8")).unwrap()).collect();
    let outcomes = house.submit(together);
    assert!(outcomes[0].is_ok());
    assert!(outcomes[1..].iter().all(|outcome| refusal_code(outcome) == Some(RefusalCode::AlreadyEnrolled)));
    house.close();
}

fn a_repeated_enrolment_finds_the_member_it_made<B: Backend>() {
    let mut house = House::<B>::new();
    let (first, retry, other) = (house.new_member_id(), house.new_member_id(), house.new_member_id());
    let receipt = house.receipt(&enrol(first, "e-1", today(), &profile("C-7")).unwrap());
    // Each call of the API draws a fresh member id, so a retry arrives under another one.
    let reply = house.one(&enrol(retry, "e-1", today(), &profile("C-7")).unwrap()).unwrap();
    assert_eq!((&*reply.receipt, reply.replayed), (&receipt, true));
    let changed = enrol(other, "e-1", today(), &profile("C-9")).unwrap();
    assert_eq!(house.refused(&changed), RefusalCode::IdempotencyMismatch);
    let twice = [other, retry].map(|id| enrol(id, "e-2", today(), &profile("C-10")).unwrap());
    let outcomes = house.submit(twice.to_vec());
    let replies: Vec<_> = outcomes.into_iter().map(Result::unwrap).collect();
    assert_eq!(replies[0].receipt, replies[1].receipt);
    assert!(house.look(|store| stored_account(store, retry)).is_none());
    house.close();
}

fn a_purchase_earns_and_says_why<B: Backend>() {
    let mut house = House::<B>::new();
    let member = house.member();
    let lines = [("RED CHRISTMAS BAUBLE", "4", "2.55"), ("OAK TABLE", "1", "149.99")];
    let purchase = house.record(member, &basket(today(), &lines));
    let receipt = house.accepted(&purchase);
    let given: Vec<(&str, i64, i64, Option<i64>)> =
        receipt.explanation.iter().map(|o| (&*o.rule, o.version, o.points, o.amount)).collect();
    // £10.20 + £149.99 = £160.19; a tenth of 160 is 16; half a point for £10.20 is 5.
    assert_eq!(given, [("base", 1, 160, Some(16_019)), ("big-basket", 1, 16, None), ("christmas", 1, 5, Some(1_020))]);
    assert_eq!((receipt.points, receipt.balances[0].available), (181, 181));
    assert_eq!(receipt.activity.unwrap().amount, 16_019);
    let at_the_limit = house.record(member, &paid("purchase", today(), 10_000));
    assert_eq!(house.accepted(&at_the_limit).points, 100);
    let too_little = house.record(member, &paid("purchase", today(), 99));
    let receipt = house.accepted(&too_little);
    assert_eq!((receipt.points, receipt.explanation.len()), (0, 0));
    let lots = house.lots(member);
    assert_eq!(lots.len(), 1, "points of one month share a lot");
    assert_eq!((lots[0].amount, lots[0].remaining, lots[0].key.expires_at), (281, 281, at("2028-03-31T23:00:00Z")));
    house.close();
}

fn one_key_gives_one_receipt<B: Backend>() {
    let mut house = House::<B>::new();
    let member = house.member();
    let purchase = house.record(member, &paid("purchase", today(), 60_000));
    let redeem = house.redeem(member, VOUCHER, 1, true);
    for command in [purchase, redeem] {
        let outcomes = house.submit(vec![command.clone(), command.clone()]);
        let replies: Vec<_> = outcomes.into_iter().map(Result::unwrap).collect();
        assert_eq!((replies[0].replayed, replies[1].replayed), (false, true));
        let later = house.one(&command).unwrap();
        assert!(later.replayed);
        assert!(replies.iter().all(|reply| reply.receipt == later.receipt));
    }
    assert_eq!(house.account(member).available(), 160);
    assert_eq!(house.stock(VOUCHER).issued, 1);
    house.close();
}

fn a_key_cannot_serve_two_requests<B: Backend>() {
    let mut house = House::<B>::new();
    let (member, other) = (house.member(), house.member());
    let first = house.record_as(member, "k", &paid("purchase", today(), 5_000));
    house.accepted(&first);
    let changed = house.record_as(member, "k", &paid("purchase", today(), 5_001));
    assert_eq!(house.refused(&changed), RefusalCode::IdempotencyMismatch);
    let another_action = Command::redeem(member, "k", today(), TEA, 1, true).unwrap();
    assert_eq!(house.refused(&another_action), RefusalCode::IdempotencyMismatch);
    // A key is unique for its member only.
    house.accepted(&house.record_as(other, "k", &paid("purchase", today(), 5_001)));
    assert_eq!(house.account(member).available(), 50);
    house.close();
}

fn a_hold_is_captured<B: Backend>() {
    let mut house = House::<B>::new();
    let member = house.rich_member(1_200);
    let redeem = house.redeem(member, VOUCHER, 2, false);
    let receipt = house.accepted(&redeem);
    let order = receipt.order.unwrap();
    assert_eq!((order.state, order.points, order.quantity), (OrderState::Placed, 1_000, 2));
    let balance = receipt.balances[0];
    assert_eq!((balance.available, balance.pending, balance.held), (200, 0, 1_000));
    let stock = house.stock(VOUCHER);
    assert_eq!((stock.on_hand, stock.reserved, stock.issued), (100, 2, 0));
    let capture = house.capture(member, order.id);
    let receipt = house.accepted(&capture);
    assert_eq!((receipt.points, receipt.balances[0].held), (0, 0));
    let stock = house.stock(VOUCHER);
    assert_eq!((stock.on_hand, stock.reserved, stock.issued), (98, 0, 2));
    assert_eq!(house.account(member).wallet(POINTS).unwrap().lifetime.redeemed, 1_000);
    house.close();
}

fn a_released_hold_goes_back_to_its_lots<B: Backend>() {
    let mut house = House::<B>::new();
    let member = house.member();
    for month in ["2026-01", "2026-02", "2026-03"] {
        let purchase = house.record(member, &paid("purchase", at(&format!("{month}-05T10:00:00Z")), 5_000));
        house.accepted(&purchase);
    }
    let before = house.lots(member);
    assert_eq!(before.len(), 3);
    let redeem = house.redeem(member, TEA, 3, false);
    let order = house.accepted(&redeem).order.unwrap();
    let held: Vec<i64> = house.lots(member).iter().map(|lot| lot.held).collect();
    assert_eq!(held, [50, 50, 20]);
    let release = house.release(member, order.id);
    let receipt = house.accepted(&release);
    assert_eq!((receipt.points, receipt.order.unwrap().state), (120, OrderState::Cancelled));
    assert_eq!(house.lots(member), before);
    let voucher = house.rich_member(500);
    let redeem = house.redeem(voucher, VOUCHER, 1, false);
    let order = house.accepted(&redeem).order.unwrap();
    let release = house.release(voucher, order.id);
    house.accepted(&release);
    assert_eq!(house.stock(VOUCHER).free(), 100);
    house.close();
}

fn points_are_looked_at_before_stock<B: Backend>() {
    let mut house = House::<B>::new();
    let (poor, rich) = (house.rich_member(499), house.rich_member(1_000_000));
    let redeem = house.redeem(poor, VOUCHER, 101, true);
    assert_eq!(house.refused(&redeem), RefusalCode::InsufficientPoints);
    let redeem = house.redeem(poor, VOUCHER, 1, true);
    assert_eq!(house.refused(&redeem), RefusalCode::InsufficientPoints);
    let redeem = house.redeem(rich, VOUCHER, 101, true);
    assert_eq!(house.refused(&redeem), RefusalCode::OutOfStock);
    let redeem = house.redeem(rich, VOUCHER, 100, true);
    house.accepted(&redeem);
    let redeem = house.redeem(rich, TEA, 1_000, true);
    house.accepted(&redeem);
    house.close();
}

fn one_batch_cannot_oversell<B: Backend>() {
    let mut house = House::<B>::new();
    let members: Vec<_> = (0..150).map(|_| house.new_member_id()).collect();
    let mut prepare = Vec::new();
    for member in &members {
        let key = house.key();
        prepare.push(enrol(*member, &key, today(), &profile(&key)).unwrap());
        prepare.push(house.adjust(*member, 500));
    }
    assert!(house.submit(prepare).iter().all(Result::is_ok));
    let redeemers: Vec<Command> =
        members.iter().enumerate().map(|(index, member)| house.redeem(*member, VOUCHER, 1, index % 2 == 0)).collect();
    let outcomes = house.submit(redeemers);
    assert!(outcomes[..100].iter().all(Result::is_ok));
    assert!(outcomes[100..].iter().all(|outcome| refusal_code(outcome) == Some(RefusalCode::OutOfStock)));
    let stock = house.stock(VOUCHER);
    assert_eq!((stock.issued, stock.reserved, stock.on_hand, stock.free()), (50, 50, 50, 0));
    assert_eq!(house.account(members[149]).available(), 500);
    house.close();
}

fn an_order_is_settled_once<B: Backend>() {
    let mut house = House::<B>::new();
    let (member, other) = (house.rich_member(2_000), house.member());
    let redeem = house.redeem(member, VOUCHER, 1, false);
    let order = house.accepted(&redeem).order.unwrap().id;
    let by_another = house.capture(other, order);
    assert_eq!(house.refused(&by_another), RefusalCode::UnknownOrder);
    let (first, second) = (house.capture(member, order), house.capture(member, order));
    let outcomes = house.submit(vec![first.clone(), second]);
    assert!(outcomes[0].is_ok());
    assert_eq!(refusal_code(&outcomes[1]), Some(RefusalCode::IllegalOrderMove));
    let release = house.release(member, order);
    assert_eq!(house.refused(&release), RefusalCode::IllegalOrderMove);
    assert!(house.one(&first).unwrap().replayed);
    let redeem = house.redeem(member, VOUCHER, 1, false);
    let order = house.accepted(&redeem).order.unwrap().id;
    let release = house.release(member, order);
    house.accepted(&release);
    for again in [house.release(member, order), house.capture(member, order)] {
        assert_eq!(house.refused(&again), RefusalCode::IllegalOrderMove);
    }
    let at_once = house.redeem(member, VOUCHER, 1, true);
    let order = house.accepted(&at_once).order.unwrap().id;
    let capture = house.capture(member, order);
    assert_eq!(house.refused(&capture), RefusalCode::IllegalOrderMove);
    house.close();
}

fn an_order_keeps_what_happened_to_it<B: Backend>() {
    let mut house = House::<B>::new();
    let member = house.rich_member(1_200);
    let redeem = house.redeem(member, VOUCHER, 2, false);
    let order = house.accepted(&redeem).order.unwrap().id;
    let shipment = Shipment { carrier: "SF".to_owned(), tracking_number: "SF-1".to_owned() };
    for (step, shipment) in [
        (OrderMove::Review, None),
        (OrderMove::Claim, None),
        (OrderMove::Approve, None),
        (OrderMove::Ship, Some(shipment.clone())),
        (OrderMove::Complete, None),
    ] {
        let change = OrderChange { order, owner: member, step, reason: Some("a reason".to_owned()), shipment };
        let command = Command::move_order(member, &house.key(), today(), change).unwrap().by("opr_1".to_owned());
        house.accepted(&command);
    }
    let stored = house.look(|store| {
        let footprint = Footprint { orders: vec![(member, order)], ..Footprint::default() };
        store.prefetch(&footprint).unwrap().orders[&(member, order)].clone()
    });
    let states: Vec<&str> = stored.details.history.iter().map(|step| step.state.name()).collect();
    assert_eq!(states, ["placed", "in_review", "in_review", "approved", "shipped", "completed"]);
    let step = &stored.details.history[3];
    assert_eq!((step.actor.as_deref(), step.reason.as_deref()), (Some("opr_1"), Some("a reason")));
    assert_eq!((stored.details.shipment, stored.details.claimed_by.as_deref()), (Some(shipment), Some("opr_1")));
    let stock = house.stock(VOUCHER);
    assert_eq!((stock.on_hand, stock.reserved, stock.issued), (98, 0, 2));
    house.close();
}

fn a_return_takes_what_is_there_and_forgives_the_rest<B: Backend>() {
    let mut house = House::<B>::new();
    let member = house.member();
    let purchase = house.record(member, &paid("purchase", today(), 2_000));
    house.accepted(&purchase);
    let spend = house.adjust(member, -15);
    house.accepted(&spend);
    let refund = house.record(member, &paid("return", today(), 2_099));
    let receipt = house.accepted(&refund);
    assert_eq!((receipt.points, receipt.forgiven, receipt.balances[0].available), (-5, 15, 0));
    assert_eq!((&*receipt.explanation[0].rule, receipt.explanation[0].points), ("return-back", -5));
    // Held points are promised to an order and stay there.
    let member = house.rich_member(40);
    let redeem = house.redeem(member, TEA, 1, false);
    house.accepted(&redeem);
    let refund = house.record(member, &paid("return", today(), 1_000));
    let receipt = house.accepted(&refund);
    assert_eq!((receipt.points, receipt.forgiven, receipt.balances[0].held), (0, 10, 40));
    // Lines of a return may bear quantities of either sign.
    let member = house.rich_member(100);
    let mut lines = basket(today(), &[("OAK TABLE", "-1", "30.00")]);
    lines.kind = "return".to_owned();
    let refund = house.record(member, &lines);
    assert_eq!(house.accepted(&refund).points, -30);
    house.close();
}

/// A house whose program has caps and asks for the history.
fn capped_house<B: Backend>() -> House<B> {
    let (mut store, keep) = B::fresh();
    publish(&mut store, &capped_bundle(), today()).unwrap();
    House::over(store, keep)
}

fn a_cap_holds_within_a_batch_and_after_it<B: Backend>() {
    let mut house = capped_house::<B>();
    let member = house.member();
    // 60 points each, 100 a day, and 7 for the third.
    let together = (0..3).map(|_| house.record(member, &paid("purchase", today(), 6_000))).collect();
    let receipts: Vec<_> = house.submit(together).iter().map(receipt_of).collect();
    let points: Vec<i64> = receipts.iter().map(|receipt| receipt.points).collect();
    assert_eq!(points, [60, 40, 7]);
    assert_eq!(receipts[1].explanation[0].trimmed.as_ref().map(|trim| trim.offered), Some(60));
    house.restart();
    let late = house.record(member, &paid("purchase", today(), 6_000));
    assert_eq!(house.accepted(&late).points, 0);
    let tomorrow = house.record(member, &paid("purchase", today().plus_millis(24 * 60 * 60 * 1000), 6_000));
    assert_eq!(house.accepted(&tomorrow).points, 60);
    let history = house.account(member).history;
    assert_eq!((history.lifetime("purchase").count, history.counters.len()), (5, 2));
    house.close();
}

fn a_budget_is_shared_by_members_and_by_stores<B: Backend>() {
    let (mut store, keep) = B::fresh();
    publish(&mut store, &campaign_bundle(), today()).unwrap();
    let mut house = House::<B>::over(store, keep);
    let members = [house.member(), house.member(), house.member()];
    let bought = |store: &str| Activity { store: Some(store.to_owned()), ..paid("purchase", today(), 3_000) };
    // 30 points each: 50 for the first store, and what is left of £1, which is 100 points, for the others.
    let together = (0..6).map(|index| house.record(members[index % 3], &bought(["a", "a", "b"][index / 2]))).collect();
    let receipts: Vec<_> = house.submit(together).iter().map(receipt_of).collect();
    let points: Vec<i64> = receipts.iter().map(|receipt| receipt.points).collect();
    assert_eq!(points, [30, 20, 0, 0, 30, 20]);
    let trim = |index: usize| receipts[index].explanation[0].trimmed.clone().unwrap();
    assert_eq!((trim(1).cap, trim(1).per, trim(1).points), (CapScope::Campaign, Per::Store, Some(50)));
    assert_eq!((trim(5).offered, trim(5).per, trim(5).points), (30, Per::Everyone, Some(100)));
    house.restart();
    let other = house.record(members[0], &bought("c"));
    let receipt = house.accepted(&other);
    let trim = receipt.explanation[0].trimmed.clone().unwrap();
    assert_eq!((receipt.points, trim.per, trim.points), (0, Per::Everyone, Some(100)));
    let tomorrow = Activity { occurred_at: Some(today().plus_millis(86_400_000)), ..bought("a") };
    let tomorrow = house.record(members[1], &tomorrow);
    assert_eq!(house.accepted(&tomorrow).points, 30);
    house.close();
}

fn a_return_that_names_its_purchase_takes_back_what_it_earned<B: Backend>() {
    let mut house = capped_house::<B>();
    let member = house.member();
    let command = house.record_as(member, "invoice-1", &paid("purchase", today(), 9_000));
    assert_eq!(house.accepted(&command).points, 90);
    let back = |amount| Activity { purchase: Some("invoice-1".to_owned()), ..paid("return", today(), amount) };
    let unknown = Activity { purchase: Some("invoice-2".to_owned()), ..back(1) };
    let unknown = house.record(member, &unknown);
    assert_eq!(house.refused(&unknown), RefusalCode::UnknownPurchase);
    let other = house.member();
    let foreign = house.record(other, &back(9_000));
    assert_eq!(house.refused(&foreign), RefusalCode::UnknownPurchase);
    let third = house.record(member, &back(3_000));
    assert_eq!(house.accepted(&third).points, -30);
    // A purchase and its return in one batch, and the rest of the first one.
    let second = house.record_as(member, "invoice-3", &paid("purchase", today(), 500));
    let same = Activity { purchase: Some("invoice-3".to_owned()), ..back(500) };
    let commands = vec![second, house.record(member, &same), house.record(member, &back(6_000))];
    let points: Vec<i64> = house.submit(commands).iter().map(|outcome| receipt_of(outcome).points).collect();
    assert_eq!(points, [5, -5, -60]);
    // The account goes on under another member, and the purchase is found there.
    let keeper = house.member();
    let key = house.key();
    let third = house.record_as(member, "invoice-4", &paid("purchase", today().plus_millis(86_400_000), 800));
    assert_eq!(house.accepted(&third).points, 8 + 7);
    let merge = Command::merge(member, keeper, &key, today().plus_millis(86_400_000), "the same person").unwrap();
    house.accepted(&merge);
    let last =
        Activity { purchase: Some("invoice-4".to_owned()), ..paid("return", today().plus_millis(86_400_000), 800) };
    let last = house.record(keeper, &last);
    assert_eq!(house.accepted(&last).points, -15);
    assert_eq!(house.account(keeper).available(), 0);
    house.close();
}

fn receipt_of(outcome: &Outcome) -> Receipt {
    serde_json::from_str(&outcome.as_ref().unwrap().receipt).unwrap()
}

fn pending_points_mature_when_due<B: Backend>() {
    let mut house = House::<B>::new();
    let member = house.member();
    let visit = house.record(member, &custom("check_in", today()));
    let receipt = house.accepted(&visit);
    assert_eq!((receipt.points, receipt.balances[0].pending), (0, 5));
    let active_at = at("2026-03-12T00:00:00Z");
    assert_eq!(receipt.explanation[0].active_at, Some(active_at));
    let take = house.adjust(member, -1);
    assert_eq!(house.refused(&take), RefusalCode::InsufficientPoints);
    let early = active_at.plus_millis(-1);
    assert_eq!(house.look(|store| store.due(early, 10).unwrap()), []);
    assert_eq!(house.refused(&Command::tick(member, 2, early)), RefusalCode::NothingDue);
    assert_eq!(house.look(|store| store.due(active_at, 10).unwrap()), [(member, 2)]);
    let tick = Command::tick(member, 2, active_at);
    let receipt = house.accepted(&tick);
    assert_eq!((receipt.matured, receipt.expired, receipt.points, receipt.balances[0].available), (5, 0, 5, 5));
    assert!(house.one(&tick).unwrap().replayed);
    assert_eq!(house.look(|store| store.due(active_at, 10).unwrap()), []);
    house.close();
}

fn points_expire_when_due_and_cannot_be_spent_before_the_tick<B: Backend>() {
    let mut house = House::<B>::new();
    let member = house.rich_member(100);
    let end = at("2028-03-31T23:00:00Z");
    let too_late = Command::redeem(member, "late", end, TEA, 1, true).unwrap();
    assert_eq!(house.refused(&too_late), RefusalCode::InsufficientPoints);
    assert_eq!(house.tick(end.plus_millis(-1)), 0);
    let last_moment = Command::redeem(member, "just", end.plus_millis(-1), TEA, 1, true).unwrap();
    assert_eq!(house.accepted(&last_moment).points, -40);
    assert_eq!(house.tick(end), 1);
    assert_eq!(house.tick(end), 0);
    let account = house.account(member);
    assert_eq!((account.available(), account.wallet(POINTS).unwrap().lifetime.expired), (0, 60));
    assert!(account.wallet(POINTS).unwrap().lots.is_empty());
    house.close();
}

fn a_release_after_expiry_gives_back_what_then_expires<B: Backend>() {
    let mut house = House::<B>::new();
    let member = house.rich_member(100);
    let end = at("2028-03-31T23:00:00Z");
    let redeem = house.redeem(member, TEA, 1, false);
    let order = house.accepted(&redeem).order.unwrap().id;
    assert_eq!(house.tick(end), 1);
    assert_eq!(house.lots(member)[0].held, 40, "held points are promised and do not expire");
    let release = Command::release(member, "rel", end.plus_millis(1), order).unwrap();
    house.accepted(&release);
    assert_eq!(house.tick(end.plus_millis(1)), 1);
    assert_eq!(house.account(member).wallet(POINTS).unwrap().lifetime.expired, 100);
    house.close();
}

fn the_lot_that_expires_first_is_spent_first<B: Backend>() {
    let mut house = House::<B>::new();
    let member = house.member();
    // Recorded in another order than dated.
    for day in ["2026-03-05", "2026-01-05", "2026-02-05"] {
        let purchase = house.record(member, &paid("purchase", at(&format!("{day}T10:00:00Z")), 3_000));
        house.accepted(&purchase);
    }
    let redeem = house.redeem(member, TEA, 1, true);
    house.accepted(&redeem);
    let left: Vec<(Timestamp, i64)> =
        house.lots(member).iter().map(|lot| (lot.key.expires_at, lot.remaining)).collect();
    assert_eq!(left, [(at("2028-03-01T00:00:00Z"), 20), (at("2028-03-31T23:00:00Z"), 30)]);
    house.close();
}

fn an_operator_adjusts_up_and_down<B: Backend>() {
    let mut house = House::<B>::new();
    let member = house.member();
    let up = house.adjust(member, 70);
    let receipt = house.accepted(&up);
    assert_eq!((receipt.points, receipt.reason.as_deref()), (70, Some("for the test")));
    let too_far = house.adjust(member, -71);
    assert_eq!(house.refused(&too_far), RefusalCode::InsufficientPoints);
    let down = house.adjust(member, -30);
    assert_eq!(house.accepted(&down).balances[0].available, 40);
    let foreign = Command::adjust(member, "x", today(), CurrencyId(9), 5, "no such currency").unwrap();
    assert_eq!(house.refused(&foreign), RefusalCode::UnknownCurrency);
    assert_eq!(house.account(member).wallet(POINTS).unwrap().lifetime.adjusted, 40);
    house.close();
}

fn a_dry_run_changes_nothing<B: Backend>() {
    let mut house = House::<B>::new();
    let member = house.rich_member(600);
    let before = house.account(member);
    let redeem = house.redeem(member, VOUCHER, 1, true);
    let purchase = house.record(member, &paid("purchase", today(), 15_000));
    let newcomer = house.new_member_id();
    let enrol = enrol(newcomer, "new", today(), &profile("C-new")).unwrap();
    let dry = vec![redeem.clone().dry(), redeem.clone().dry(), purchase.clone().dry(), enrol.clone().dry()];
    for outcome in house.submit(dry) {
        assert!(!outcome.unwrap().replayed);
    }
    assert_eq!(house.account(member), before);
    assert_eq!(house.stock(VOUCHER).free(), 100);
    let too_much = house.redeem(member, VOUCHER, 2, true).dry();
    assert_eq!(house.refused(&too_much), RefusalCode::InsufficientPoints);
    // The keys are still free.
    for command in [redeem, purchase, enrol] {
        assert!(!house.one(&command).unwrap().replayed);
    }
    house.close();
}

fn what_does_not_exist_is_refused<B: Backend>() {
    let mut house = House::<B>::new();
    let (member, stranger) = (house.member(), house.new_member_id());
    for command in [
        house.record(stranger, &paid("purchase", today(), 100)),
        house.redeem(stranger, TEA, 1, true),
        house.capture(stranger, OrderId(1)),
        house.adjust(stranger, 5),
        Command::tick(stranger, 1, today()),
    ] {
        assert_eq!(house.refused(&command), RefusalCode::UnknownMember);
    }
    let reward = house.redeem(member, "yacht", 1, true);
    assert_eq!(house.refused(&reward), RefusalCode::UnknownReward);
    let order = house.capture(member, OrderId(77));
    assert_eq!(house.refused(&order), RefusalCode::UnknownOrder);
    let order = house.release(member, OrderId(77));
    assert_eq!(house.refused(&order), RefusalCode::UnknownOrder);
    house.close();
}

fn a_redemption_cannot_come_before_the_latest_transaction<B: Backend>() {
    let mut house = House::<B>::new();
    let member = house.rich_member(100);
    let early = Command::redeem(member, "a", today().plus_millis(-300_001), TEA, 1, true).unwrap();
    assert_eq!(house.refused(&early), RefusalCode::OutOfOrder);
    // Clocks of two tills may differ by five minutes.
    let skewed = Command::redeem(member, "b", today().plus_millis(-300_000), TEA, 1, true).unwrap();
    house.accepted(&skewed);
    // An activity may be handed in later.
    let backdated = house.record(member, &paid("purchase", today().plus_millis(-86_400_000), 100));
    house.accepted(&backdated);
    house.close();
}

fn a_stale_version_is_a_conflict<B: Backend>() {
    let mut house = House::<B>::new();
    let member = house.rich_member(1_000);
    let mut stale = Vec::new();
    for key in ["one", "two"] {
        stale.push(Command::redeem(member, key, today(), VOUCHER, 1, true).unwrap());
    }
    let (mut store, keep) = house.close();
    let program = load_program(&mut store).unwrap();
    let mut ids = IdGenerator::new(2);
    let footprints = Footprint::of(&stale);
    // Two writers load the same rows; the slower one must not overwrite the faster.
    let (first, second) = (store.prefetch(&footprints).unwrap(), store.prefetch(&footprints).unwrap());
    let mut decide = |loaded, command: &Command| {
        // Ids are dated after those of the engine, as the journal is read in their order.
        let mut batch = Batch::new(&program, loaded, &mut ids, at("2035-01-01T00:00:00Z"));
        batch.decide(command).unwrap();
        batch.finish()
    };
    let (fast, slow) = (decide(first, &stale[0]), decide(second, &stale[1]));
    store.commit(&fast).unwrap();
    assert!(matches!(store.commit(&slow), Err(StoreError::Conflict)));
    let account = stored_account(&mut store, member).unwrap();
    assert_eq!((account.available(), account.version), (500, 3));
    let report = verify(&mut store).unwrap();
    assert_eq!(report.wrong, 0, "{:?}", report.findings);
    drop((store, keep));
}

fn more_commands_than_one_batch_holds<B: Backend>() {
    let mut house = House::<B>::new();
    let member = house.member();
    let commands: Vec<Command> = (0..2_500).map(|_| house.adjust(member, 1)).collect();
    let outcomes = house.submit(commands.clone());
    assert_eq!(outcomes.len(), 2_500);
    assert!(outcomes.iter().all(|outcome| outcome.as_ref().is_ok_and(|reply| !reply.replayed)));
    let again = house.submit(commands);
    assert!(again.iter().all(|outcome| outcome.as_ref().is_ok_and(|reply| reply.replayed)));
    assert_eq!(house.account(member).available(), 2_500);
    assert_eq!(house.submit(Vec::new()).len(), 0);
    house.close();
}

fn commands_of_one_batch_see_each_other<B: Backend>() {
    let mut house = House::<B>::new();
    let member = house.new_member_id();
    let commands = vec![
        house.redeem(member, TEA, 1, true),
        enrol(member, "e", today(), &profile("C-1")).unwrap(),
        house.redeem(member, TEA, 1, true),
        house.record(member, &paid("purchase", today(), 9_000)),
        house.redeem(member, TEA, 1, true),
        house.redeem(member, TEA, 1, false),
        house.redeem(member, TEA, 1, false),
    ];
    let codes: Vec<Option<RefusalCode>> = house.submit(commands).iter().map(refusal_code).collect();
    let (unknown, poor) = (Some(RefusalCode::UnknownMember), Some(RefusalCode::InsufficientPoints));
    assert_eq!(codes, [unknown, None, poor, None, None, None, poor]);
    let account = house.account(member);
    let balance = account.wallet(POINTS).unwrap().balance();
    assert_eq!((balance.available, balance.held, account.version), (10, 40, 4));
    house.close();
}

fn publishing_twice_changes_nothing<B: Backend>() {
    let (mut store, keep) = B::fresh();
    let first = publish(&mut store, &bundle(), today()).unwrap();
    assert!(first.added.contains(&"rule base 1".to_owned()));
    let documents = store.documents().unwrap();
    let second = publish(&mut store, &bundle(), today().plus_millis(1)).unwrap();
    assert!(second.added.is_empty() && second.retired.is_empty(), "{second:?}");
    assert_eq!(store.documents().unwrap(), documents);
    let moved = PROGRAM.replace("Europe/London", "Europe/Paris");
    assert!(matches!(publish(&mut store, &Bundle::parse(&moved).unwrap(), today()), Err(StoreError::Refused(_))));
    let restocked = PROGRAM.replace("stock = 100", "stock = 200");
    assert!(matches!(publish(&mut store, &Bundle::parse(&restocked).unwrap(), today()), Err(StoreError::Refused(_))));
    assert_eq!(store.documents().unwrap(), documents);
    drop((store, keep));
}

/// What each rule and version gives for a purchase of £20 at a moment.
fn given(program: &Program, occurred_at: Timestamp) -> Vec<(String, i64, i64)> {
    let activity = paid("purchase", occurred_at, 2_000);
    let member = guerdon_core::id::MemberId(1);
    let command = Command::record(program, member, "k", &activity, occurred_at, EARLIEST).unwrap();
    match command.action {
        Action::Record(activity) => activity
            .candidates
            .into_iter()
            .filter(|candidate| candidate.points != 0)
            .map(|candidate| (candidate.rule.rule.id.clone(), candidate.rule.version, candidate.points))
            .collect(),
        other => panic!("{other:?}"),
    }
}

fn a_changed_rule_holds_from_now_on<B: Backend>() {
    let (mut store, keep) = B::fresh();
    publish(&mut store, &bundle(), today()).unwrap();
    let change = at("2026-04-01T00:00:00Z");
    let double = PROGRAM.replacen("rate = \"1\"", "rate = \"2\"", 1);
    let published = publish(&mut store, &Bundle::parse(&double).unwrap(), change).unwrap();
    assert_eq!(published.added, ["rule base 2"]);
    let program = load_program(&mut store).unwrap();
    assert_eq!(given(&program, change.plus_millis(-1)), [("base".to_owned(), 1, 20)]);
    assert_eq!(given(&program, change), [("base".to_owned(), 2, 40)]);
    let mut house = House::<B>::over(store, keep);
    let member = house.member();
    let late = house.record(member, &paid("purchase", today(), 2_000));
    let receipt = house.accepted(&late);
    assert_eq!((receipt.points, receipt.explanation[0].version), (20, 1));
    house.close();
}

fn a_retired_rule_gives_nothing_more<B: Backend>() {
    let (mut store, keep) = B::fresh();
    publish(&mut store, &bundle(), today()).unwrap();
    let change = at("2026-04-01T00:00:00Z");
    let mut without = bundle();
    // The last one, so that no other rule changes its place.
    let gone = without.rules.pop().unwrap();
    let published = publish(&mut store, &without, change).unwrap();
    assert_eq!(published.retired, [format!("rule {}", gone.id)]);
    let mut house = House::<B>::over(store, keep);
    let member = house.member();
    let before = house.record(member, &custom("check_in", today()));
    assert_eq!(house.accepted(&before).balances[0].pending, 5);
    let after = house.record(member, &custom("check_in", change));
    assert_eq!(house.accepted(&after).balances[0].pending, 5);
    house.close();
}

fn a_rule_put_first_does_not_make_the_others_earn_twice<B: Backend>() {
    let (mut store, keep) = B::fresh();
    publish(&mut store, &bundle(), today()).unwrap();
    let change = at("2026-04-01T00:00:00Z");
    let mut more = bundle();
    let mut first = more.rules[0].clone();
    first.id = "welcome".to_owned();
    first.effect = guerdon_core::earning::Effect::FixedPoints { points: 3, lines: None };
    more.rules.insert(0, first);
    publish(&mut store, &more, change).unwrap();
    let program = load_program(&mut store).unwrap();
    let after: Vec<(String, i64)> =
        given(&program, change).into_iter().map(|(rule, _, points)| (rule, points)).collect();
    assert_eq!(after, [("welcome".to_owned(), 3), ("base".to_owned(), 20)]);
    drop((store, keep));
}

fn a_callers_key_cannot_stop_a_tick<B: Backend>() {
    let mut house = House::<B>::new();
    let member = house.member();
    let visit = house.record(member, &custom("check_in", today()));
    house.accepted(&visit);
    // Keys of the program's own clock, of merges and of erasures are not for callers.
    for key in ["tick:3", "merge:3", "erase:erasure 1"] {
        let sly = Command::adjust(member, key, today(), CurrencyId(1), 1, "sly").unwrap_err();
        assert_eq!(sly.code, RefusalCode::InvalidRequest);
    }
    house.tick(at("2026-03-12T00:00:00Z"));
    assert_eq!(house.account(member).available(), 5);
    house.close();
}

fn what_another_writer_inserted_is_a_conflict<B: Backend>() {
    let mut house = House::<B>::new();
    let (first, second) = (house.new_member_id(), house.new_member_id());
    let (mut store, keep) = house.close();
    let program = load_program(&mut store).unwrap();
    let mut changes = Vec::new();
    for (node, member, key) in [(2, first, "a"), (3, second, "b")] {
        let command = enrol(member, key, today(), &profile("C-1")).unwrap();
        let loaded = store.prefetch(&Footprint::of([&command])).unwrap();
        let mut ids = IdGenerator::new(node);
        let mut batch = Batch::new(&program, loaded, &mut ids, today());
        batch.decide(&command).unwrap();
        changes.push(batch.finish());
    }
    store.commit(&changes[0]).unwrap();
    // Decided again, the second one would be refused as a duplicate; as a rejected row it is an internal error.
    assert!(matches!(store.commit(&changes[1]), Err(StoreError::Conflict)));
    drop((store, keep));
}

/// A house with a log that holds what has happened so far.
fn logged<B: Backend>(key: &SigningKey) -> (B::Store, B::Keep) {
    let mut house = House::<B>::new();
    let member = house.rich_member(500);
    for _ in 0..300 {
        let adjust = house.adjust(member, 1);
        house.accepted(&adjust);
    }
    let many: Vec<Command> = (0..600).map(|_| house.adjust(member, 1)).collect();
    house.submit(many).into_iter().for_each(|outcome| drop(outcome.unwrap()));
    let (mut store, keep) = house.close();
    start_log(&mut store, key).unwrap();
    (store, keep)
}

/// One more transaction.
fn another<B: Backend>(store: B::Store, keep: B::Keep) -> (B::Store, B::Keep) {
    let house = House::<B>::over(store, keep);
    house.accepted(&enrol(MemberId(77), "another", today(), &profile("C-77")).unwrap());
    house.close()
}

fn transactions(store: &mut dyn Store) -> u64 {
    let report = verify(store).unwrap();
    assert_eq!(report.wrong, 0, "{:?}", report.findings);
    report.transactions
}

fn the_log_takes_every_transaction_once_and_proves_it<B: Backend>() {
    let key = SigningKey::new("guerdon/gift-club", &[7; 32]);
    let (mut store, keep) = logged::<B>(&key);
    let all = transactions(&mut store);
    assert_eq!(sequence(&mut store, &key).unwrap(), Sequenced { leaves: all as usize, more: false });
    assert_eq!(sequence(&mut store, &key).unwrap(), Sequenced::default());
    let head = key.public().open_head(&store.log_head().unwrap().checkpoint).unwrap();
    assert_eq!((head.size, transactions(&mut store)), (all, all));
    // More, and the newer head begins with the older one.
    let (mut store, keep) = another::<B>(store, keep);
    assert_eq!(sequence(&mut store, &key).unwrap().leaves, 1);
    let newer = key.public().open_head(&store.log_head().unwrap().checkpoint).unwrap();
    let ranges = consistency_ranges(head.size, newer.size).unwrap();
    let tiles = store.log_tiles(&tiles_of(&ranges)).unwrap();
    let proof: Vec<_> = ranges.iter().map(|range| tiles.range(range).unwrap()).collect();
    verify_consistency((head.size, &head.root), (newer.size, &newer.root), &proof).unwrap();
    assert_eq!(transactions(&mut store), all + 1);
    // Another node that saw the log as it was cannot write over it.
    let stale = LogGrowth { from: all, head: LogHead::default(), tiles: Vec::new(), batches: Vec::new() };
    assert!(matches!(store.append_log(&stale), Err(StoreError::Conflict)));
    drop((store, keep));
}

fn a_new_key_goes_on_where_the_old_one_ended<B: Backend>() {
    let (old, new) = (SigningKey::new("guerdon/x", &[1; 32]), SigningKey::new("guerdon/x", &[2; 32]));
    let (mut store, keep) = logged::<B>(&old);
    assert!(start_log(&mut store, &new).unwrap_err().to_string().contains("already"));
    assert!(sequence(&mut store, &new).unwrap_err().to_string().contains("key"), "a key that nobody endorsed");
    sequence(&mut store, &old).unwrap();
    rotate_log_key(&mut store, &old, &new).unwrap();
    assert!(rotate_log_key(&mut store, &old, &new).is_err(), "the old key has no say any more");
    transactions(&mut store);
    let (mut store, keep) = another::<B>(store, keep);
    assert!(sequence(&mut store, &old).is_err());
    assert_eq!(sequence(&mut store, &new).unwrap().leaves, 1);
    assert!(new.public().open_head(&store.log_head().unwrap().checkpoint).is_ok());
    assert_eq!(log_keys(&mut store).unwrap(), [old.public(), new.public()]);
    transactions(&mut store);
    drop((store, keep));
}

fn a_log_that_was_changed_is_not_continued<B: Backend>() {
    let key = SigningKey::new("guerdon/x", &[1; 32]);
    let (mut store, keep) = logged::<B>(&key);
    sequence(&mut store, &key).unwrap();
    let (mut store, keep) = another::<B>(store, keep);
    // Someone writes another last tile over the log.
    let head = store.log_head().unwrap();
    let last = edge_tiles(head.size).into_iter().next().unwrap();
    let mut bytes = store.log_tiles(&[last].into()).unwrap().bytes(last);
    bytes[0] ^= 1;
    let forged = LogGrowth { from: head.size, head: head.clone(), tiles: vec![(last, bytes)], batches: Vec::new() };
    store.append_log(&forged).unwrap();
    assert!(sequence(&mut store, &key).unwrap_err().to_string().contains("not the one that was signed"));
    let report = verify(&mut store).unwrap();
    let named: Vec<&str> = report.findings.iter().map(|finding| finding.row.as_str()).collect();
    assert!(named.iter().any(|row| row.starts_with("transaction txn_")) && named.contains(&"log head"), "{named:?}");
    drop((store, keep));
}

fn an_erased_member_leaves_points_and_references_behind<B: Backend>() {
    let mut house = House::<B>::new();
    let (first, second) = (house.new_member_id(), house.new_member_id());
    house.accepted(&enrol(first, "e-1", today(), &profile("C-7")).unwrap());
    house.accepted(&Command::adjust(first, "a-1", today(), POINTS, 500, "opening").unwrap());
    let erase = Command::erase(first, "erase", today()).unwrap();
    let receipt = house.receipt(&erase);
    assert!(receipt.contains("\"forfeited\":500"), "{receipt}");
    assert_eq!(house.receipt(&erase), receipt, "the same key gives the same receipt");
    let late = Command::adjust(first, "a-2", today(), POINTS, 5, "late").unwrap();
    assert_eq!(house.refused(&late), RefusalCode::MemberErased);
    let twice = Command::erase(first, "erase again", today()).unwrap();
    assert_eq!(house.refused(&twice), RefusalCode::MemberErased);
    // The number is free again: nothing remembers whose it was.
    house.accepted(&enrol(second, "e-2", today(), &profile("C-7")).unwrap());
    house.close();
}

fn a_restart_gives_no_id_twice<B: Backend>() {
    let mut house = House::<B>::new();
    let member = house.member();
    for _ in 0..50 {
        let adjust = house.adjust(member, 1);
        house.accepted(&adjust);
        house.restart();
    }
    assert_eq!(house.account(member).available(), 50);
    house.close();
}

mod sqlite_only {
    use super::*;

    /// A closed directory with a member who has bought, held and captured.
    fn lived_in() -> (tempfile::TempDir, Command, String) {
        let mut house = House::<Sqlite>::new();
        let member = house.member();
        let purchase = house.record(member, &paid("purchase", today(), 200_000));
        let receipt = house.receipt(&purchase);
        let held = house.redeem(member, VOUCHER, 1, false);
        house.accepted(&held);
        let captured = house.redeem(member, VOUCHER, 2, true);
        house.accepted(&captured);
        let (store, directory) = house.close();
        drop(store);
        (directory, purchase, receipt)
    }

    fn reopen(directory: &tempfile::TempDir) -> Result<SqliteStore, StoreError> {
        SqliteStore::open(DataDir::open(directory.path())?)
    }

    fn raw(directory: &tempfile::TempDir) -> rusqlite::Connection {
        rusqlite::Connection::open(directory.path().join("guerdon.db")).unwrap()
    }

    /// The rows that `verify` names after a statement was run behind its back.
    fn named_after(sql: &str) -> Vec<String> {
        named_in(&lived_in().0, sql)
    }

    fn named_in(directory: &tempfile::TempDir, sql: &str) -> Vec<String> {
        assert!(raw(directory).execute(sql, []).unwrap() > 0, "{sql} changed nothing");
        let report = verify(&mut reopen(directory).unwrap()).unwrap();
        assert!(report.wrong > 0, "{sql} went unnoticed");
        report.findings.into_iter().map(|finding| finding.row).collect()
    }

    fn assert_names(sql: &str, row: &str) {
        let rows = named_after(sql);
        assert!(rows.iter().any(|named| named.starts_with(row)), "{sql}: {rows:?} name no {row}");
    }

    #[test]
    fn everything_is_there_after_reopening() {
        let (directory, purchase, receipt) = lived_in();
        let mut house = House::<Sqlite>::over(reopen(&directory).unwrap(), directory);
        let reply = house.one(&purchase).unwrap();
        assert_eq!((&*reply.receipt, reply.replayed), (&receipt, true));
        let balance = house.account(purchase.member_id).wallet(POINTS).unwrap().balance();
        assert_eq!((balance.available, balance.held), (700, 500));
        let stock = house.stock(VOUCHER);
        assert_eq!((stock.issued, stock.reserved), (2, 1));
        house.close();
    }

    #[test]
    fn a_changed_receipt_is_noticed() {
        assert_names("UPDATE txn SET receipt = receipt || ' ' WHERE kind = 3", "transaction txn_");
        assert_names("UPDATE txn SET at = at + 1 WHERE kind = 2", "transaction txn_");
    }

    #[test]
    fn a_changed_transfer_is_noticed() {
        let sql = "UPDATE transfer SET amount = amount + 1 WHERE debit = 10 AND rule = 'base'";
        assert_names(sql, "transaction txn_");
        assert_names(sql, "account mem_");
        assert_names("UPDATE transfer SET rule = 'other' WHERE rule = 'base'", "transaction txn_");
        assert_names("DELETE FROM transfer WHERE rule = 'base'", "account mem_");
    }

    #[test]
    fn a_changed_account_is_noticed() {
        assert_names("UPDATE account SET available = available + 1", "account mem_");
        assert_names("UPDATE account SET next_due_at = next_due_at + 1", "account mem_");
        assert_names("UPDATE account SET version = version + 1", "account mem_");
        let (directory, purchase, _) = lived_in();
        let mut store = reopen(&directory).unwrap();
        let mut account = stored_account(&mut store, purchase.member_id).unwrap();
        drop(store);
        account.wallets[0].lots[0].remaining += 1_000;
        let change = rusqlite::params![account.encode(), account.available()];
        raw(&directory).execute("UPDATE account SET state = $1, available = $2", change).unwrap();
        let report = verify(&mut reopen(&directory).unwrap()).unwrap();
        assert_eq!(report.findings[0].row, format!("account {}", purchase.member_id));
        assert!(report.findings[0].problem.contains("add up to"), "{:?}", report.findings);
    }

    #[test]
    fn changed_orders_and_stock_are_noticed() {
        assert_names("UPDATE orders SET points = points + 1 WHERE state = 1", "order ord_");
        assert_names("UPDATE orders SET state = 3 WHERE state = 1", "stock voucher-5");
        assert_names("UPDATE stock SET issued = issued - 1, on_hand = on_hand + 1 WHERE issued > 0", "stock voucher-5");
        assert_names("DELETE FROM account", "account mem_");
    }

    #[test]
    fn a_changed_budget_is_noticed() {
        for (sql, row) in [
            ("UPDATE budget SET points = points + 1", "budget campaign:autumn day until"),
            ("UPDATE budget SET name = 'campaign:spring' WHERE name = 'campaign:autumn'", "budget campaign:spring day"),
            ("DELETE FROM budget WHERE name = 'campaign:autumn'", "budget campaign:autumn"),
        ] {
            let (mut store, directory) = Sqlite::fresh();
            publish(&mut store, &campaign_bundle(), today()).unwrap();
            let mut house = House::<Sqlite>::over(store, directory);
            let member = house.member();
            let purchase = house.record(member, &paid("purchase", today(), 1_000));
            assert_eq!(house.accepted(&purchase).points, 10);
            let (store, directory) = house.close();
            drop(store);
            let rows = named_in(&directory, sql);
            assert!(rows.iter().any(|named| named.starts_with(row)), "{sql}: {rows:?} name no {row}");
        }
    }

    #[test]
    fn a_damaged_account_is_named() {
        // What cannot be read at all must still be named, not end the check.
        assert_names("UPDATE account SET state = x'01ff'", "account mem_");
    }

    #[test]
    fn a_deleted_transaction_is_noticed() {
        assert_names("DELETE FROM txn WHERE kind = 2", "account mem_");
    }

    #[test]
    fn a_deleted_last_transaction_is_noticed() {
        assert_names("DELETE FROM txn WHERE txn_id = (SELECT max(txn_id) FROM txn)", "account mem_");
    }

    #[test]
    fn a_newer_schema_is_refused() {
        let (directory, _, _) = lived_in();
        raw(&directory).pragma_update(None, "user_version", 99).unwrap();
        let Err(StoreError::Unusable(problem)) = reopen(&directory) else { panic!("opened a newer schema") };
        assert!(problem.contains("99"), "{problem}");
        assert!(matches!(SqliteStore::open_read_only(directory.path()), Err(StoreError::Unusable(_))));
    }

    #[test]
    fn a_directory_in_use_is_refused() {
        let (directory, _, _) = lived_in();
        let store = reopen(&directory).unwrap();
        let Err(StoreError::Unusable(problem)) = reopen(&directory) else { panic!("two writers in one directory") };
        assert!(problem.contains("in use"), "{problem}");
        // Reading beside the writer is fine.
        let mut reader = SqliteStore::open_read_only(directory.path()).unwrap();
        assert_eq!(verify(&mut reader).unwrap().wrong, 0);
        drop(store);
        reopen(&directory).unwrap();
    }

    #[test]
    fn an_empty_directory_is_no_data_directory() {
        let directory = tempfile::tempdir().unwrap();
        assert!(matches!(reopen(&directory), Err(StoreError::Unusable(_))));
    }

    #[test]
    fn a_directory_keeps_values_of_its_own() {
        let (mut store, directory) = Sqlite::fresh();
        store.set_meta("clock", "1").unwrap();
        store.set_meta("clock", "2").unwrap();
        drop(store);
        let mut store = reopen(&directory).unwrap();
        assert_eq!(store.meta("clock").unwrap().as_deref(), Some("2"));
        assert_eq!(store.meta("none").unwrap(), None);
    }
}

/// The trait can be used as an object, and an empty footprint loads nothing.
#[test]
fn an_empty_footprint_loads_nothing() {
    let (mut store, _keep) = Sqlite::fresh();
    let store: &mut dyn Store = &mut store;
    let Loaded { accounts, committed, orders, stock, references, profiles, budgets } =
        store.prefetch(&Footprint::default()).unwrap();
    let rows = accounts.len() + committed.len() + orders.len() + stock.len() + references.len() + profiles.len();
    assert_eq!((rows, budgets.len()), (0, 0));
}

fn a_publication_that_changes_the_life_of_points_plans_every_account<B: Backend>() {
    let mut house = House::<B>::new();
    let members: Vec<MemberId> = (0..5).map(|_| house.member()).collect();
    for member in &members[..3] {
        let purchase = house.record(*member, &paid("purchase", today(), 2_000));
        house.accepted(&purchase);
    }
    assert_eq!(house.plan_anew(today(), 2), 0);
    let lively = PROGRAM.replacen("\n[[rules]]", "\nlife = { reminders = { days = [30] } }\n\n[[rules]]", 1);
    let published = house.look(|store| publish(store, &Bundle::parse(&lively).unwrap(), today()).unwrap());
    assert_eq!(published.added, ["currency points 2"]);
    // Two at a time, with a restart in between; the last round finds one, and all are done.
    assert_eq!((house.plan_anew(today(), 2), house.plan_anew(today(), 2)), (2, 2));
    house.restart();
    assert_eq!((house.plan_anew(today(), 2), house.plan_anew(today(), 2)), (1, 0));
    for member in &members[..3] {
        let account = house.account(*member);
        let expires_at = account.wallets[0].lots[0].key.expires_at;
        assert_eq!(account.next_due_at(), Some(expires_at.plus_millis(-30 * 24 * 3_600_000)));
        // Enrolled, earned, planned.
        assert_eq!(account.version, 3);
    }
    // Who has no points has no dates.
    assert_eq!(members[3..].iter().map(|member| house.account(*member).version).collect::<Vec<_>>(), [1, 1]);
    house.close();
}
