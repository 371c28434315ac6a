//! Explains a transaction in sentences: what it was, and which rule gave or took which points and why.

use guerdon_core::id::OrderId;
use guerdon_core::kernel::{OrderReceipt, Receipt};
use guerdon_core::ledger::{CurrencyId, TransactionKind};
use guerdon_core::redemption::{Grievance, OrderState};
use guerdon_store::read::TransactionRow;

use super::disputes::kind_words;
use super::format;
use super::frame::Frame;
use super::tier::step_sentence;
use super::why::outcome_sentence;

/// A transaction in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// What it was.
    pub title: String,
    /// A sentence for each rule and each remark.
    pub sentences: Vec<String>,
    /// The change of the points that can be spent.
    pub points: i64,
    /// The same with its sign; empty when nothing changed.
    pub change: String,
    /// The points that can be spent afterwards.
    pub balance: String,
    /// The order that it is about.
    pub order: Option<OrderId>,
}

/// Explains a stored transaction; one whose receipt cannot be read keeps at least its kind.
pub fn explain(frame: &Frame, row: &TransactionRow) -> Explanation {
    match serde_json::from_str::<Receipt>(&row.receipt) {
        Ok(receipt) => explain_receipt(frame, &receipt),
        Err(error) => {
            tracing::warn!(%error, transaction = %row.id, "a receipt cannot be read");
            let title = frame.t(&format!("kind-{}", row.kind.name()));
            let (change, balance) = (String::new(), String::new());
            Explanation { title, sentences: Vec::new(), points: 0, change, balance, order: None }
        }
    }
}

/// Explains a receipt.
pub fn explain_receipt(frame: &Frame, receipt: &Receipt) -> Explanation {
    let currency = currency_of(receipt);
    let mut sentences: Vec<String> =
        receipt.explanation.iter().map(|outcome| outcome_sentence(frame, outcome, receipt)).collect();
    sentences.extend(remarks(frame, receipt, currency));
    let balance = receipt.balances.iter().find(|balance| balance.currency == currency);
    let change = match receipt.points {
        0 => String::new(),
        points => format::signed(points, frame.decimals(currency)),
    };
    Explanation {
        title: title(frame, receipt, currency),
        sentences,
        points: receipt.points,
        change,
        balance: balance.map(|balance| frame.number(currency, balance.available)).unwrap_or_default(),
        order: receipt.order.as_ref().map(|order| order.id),
    }
}

/// The currency that a transaction is about: that of its order or first outcome that can be spent, else the first such one
/// of the wallet.
fn currency_of(receipt: &Receipt) -> CurrencyId {
    let order = receipt.order.as_ref().map(|order| order.currency);
    let money = || receipt.balances.iter().filter(|balance| balance.spendable).map(|balance| balance.currency);
    let outcomes = receipt.explanation.iter().map(|outcome| outcome.currency);
    let outcome = outcomes.into_iter().find(|currency| money().any(|known| known == *currency));
    let wallet = money().next();
    order.or(outcome).or(wallet).unwrap_or(CurrencyId(1))
}

fn title(frame: &Frame, receipt: &Receipt, currency: CurrencyId) -> String {
    match receipt.kind {
        TransactionKind::Activity => activity_title(frame, receipt),
        TransactionKind::Redeem
        | TransactionKind::Capture
        | TransactionKind::Release
        | TransactionKind::Refund
        | TransactionKind::Order => match &receipt.order {
            Some(order) => order_title(frame, receipt, order),
            None => frame.t(&format!("kind-{}", receipt.kind.name())),
        },
        TransactionKind::Adjust if receipt.points == 0 && receipt.growth != 0 => {
            let growth = frame.program.tiers.growth.unwrap_or(currency);
            let change = format::signed(receipt.growth, frame.decimals(growth));
            frame.say("title-adjust-growth", [("points", change.into())])
        }
        TransactionKind::Adjust => {
            let change = format::signed(receipt.points, frame.decimals(currency));
            frame.say("title-adjust", [("points", change.into())])
        }
        TransactionKind::Tick => tick_title(frame, receipt, currency),
        TransactionKind::Extend => frame.t("title-extend"),
        TransactionKind::Restock => frame.t("kind-restock"),
        TransactionKind::Enrol => frame.t("kind-enrol"),
        TransactionKind::Referral => frame.t("kind-referral"),
        TransactionKind::Close => frame.t("title-close"),
        TransactionKind::Erase => frame.t("title-erase"),
        TransactionKind::Profile => frame.t("title-profile"),
        TransactionKind::Merge => match &receipt.merge {
            Some(merge) if merge.from == receipt.member_id => {
                frame.say("title-merged-into", [("member", merge.into.to_string().into())])
            }
            Some(merge) => frame.say("title-merged-from", [("member", merge.from.to_string().into())]),
            None => frame.t("kind-merge"),
        },
    }
}

/// What a tick is about first of all; the rest is in its remarks.
fn tick_title(frame: &Frame, receipt: &Receipt, currency: CurrencyId) -> String {
    let of = |key: &str, points: i64| frame.say(key, [("points", frame.points(currency, points).into())]);
    match receipt {
        Receipt { expired: 1.., .. } => of("title-expired", receipt.expired),
        Receipt { decayed: 1.., .. } => of("title-decayed", receipt.decayed),
        Receipt { matured: 1.., .. } => of("title-matured", receipt.matured),
        _ if receipt.tier.is_some() => frame.t("title-tier-review"),
        _ if !receipt.explanation.is_empty() => frame.t("title-interest"),
        _ if !receipt.events.is_empty() => frame.t("title-reminded"),
        _ => frame.t("title-planned"),
    }
}

/// Which points are told in remarks, those of a tick's title excepted.
fn moved(receipt: &Receipt) -> Vec<(&'static str, i64)> {
    let happened =
        [("title-expired", receipt.expired), ("title-decayed", receipt.decayed), ("title-matured", receipt.matured)];
    let titled = usize::from(receipt.kind == TransactionKind::Tick);
    let happened = happened.into_iter().filter(|(_, points)| *points > 0).skip(titled);
    let owed = [("why-owed", receipt.owed), ("why-repaid", receipt.repaid), ("why-forgiven", receipt.forgiven)];
    let ended = [("why-debt-cancelled", receipt.debt_cancelled), ("why-forfeited", receipt.forfeited)];
    let owed = owed.into_iter().chain(ended).filter(|(_, points)| *points > 0);
    owed.chain(happened).collect()
}

fn activity_title(frame: &Frame, receipt: &Receipt) -> String {
    let Some(activity) = &receipt.activity else { return frame.t("kind-activity") };
    let amount = frame.money(activity.amount);
    match activity.kind.as_str() {
        "purchase" => frame.say("title-purchase", [("amount", amount.into())]),
        "return" => frame.say("title-return", [("amount", amount.into())]),
        kind => {
            let own = frame.program.activity_kind_at(kind, receipt.at);
            let kind = own.map_or(kind, |own| own.kind.name.get(frame.language.tag()));
            match activity.amount {
                0 => frame.say("title-activity", [("kind", kind.into())]),
                _ => frame.say("title-activity-of", [("kind", kind.into()), ("amount", amount.into())]),
            }
        }
    }
}

fn order_title(frame: &Frame, receipt: &Receipt, order: &OrderReceipt) -> String {
    // Of a checkout what this entry moved: the order tells what is left of it.
    let (points, state) = match (&order.tender, order.offline, receipt.kind) {
        (_, Some(offline), _) => (offline.charged.points, OrderState::Completed),
        (Some(tender), _, TransactionKind::Capture) => {
            (tender.captured.map_or(order.points, |paid| paid.points), order.state)
        }
        (Some(_), _, TransactionKind::Refund) => (receipt.points, OrderState::Refunded),
        (Some(_), ..) => (receipt.points.saturating_abs(), order.state),
        (None, None, _) => (order.points, order.state),
    };
    let points = frame.points(order.currency, points);
    let (quantity, reward) = (format::number(order.quantity), frame.reward_name(&order.reward_id));
    let key = match order.disputed {
        Some(true) => "title-order-disputed".to_owned(),
        Some(false) => "title-order-declined".to_owned(),
        None => format!("title-order-{}", state.name()),
    };
    frame.say(&key, [("quantity", quantity.into()), ("reward", reward.into()), ("points", points.into())])
}

/// What else there is to say: what was owed or forgiven, what happened beside the title, why an operator stepped in.
fn remarks(frame: &Frame, receipt: &Receipt, currency: CurrencyId) -> Vec<String> {
    let mut remarks = Vec::new();
    let steps = receipt.tier.iter().flat_map(|tier| &tier.steps);
    remarks.extend(steps.map(|step| step_sentence(frame, step)));
    for (key, points) in moved(receipt) {
        remarks.push(frame.say(key, [("points", frame.points(currency, points).into())]));
    }
    if let Some(fee) = receipt.fee {
        remarks.push(frame.say("why-fee", [("amount", frame.money(fee).into())]));
    }
    for extended in &receipt.extended {
        let key = if extended.paid { "why-extended" } else { "why-extended-by-spend" };
        remarks.push(frame.say(key, [("count", extended.days.into())]));
    }
    if let Some(share) = &receipt.referrer_share {
        let points = share.explanation.iter().map(|outcome| (outcome.currency, outcome.points));
        for (currency, points) in points.filter(|(_, points)| *points != 0) {
            let key = if points > 0 { "why-to-referrer" } else { "why-from-referrer" };
            remarks.push(frame.say(key, [("points", frame.points(currency, points.saturating_abs()).into())]));
        }
    }
    let grievance = receipt.reason.as_deref().and_then(Grievance::from_name);
    let grievance = grievance.filter(|_| receipt.order.as_ref().is_some_and(|order| order.disputed == Some(true)));
    if let Some(kind) = grievance {
        remarks.push(frame.say("why-reason", [("reason", kind_words(frame, kind).into())]));
    } else if let Some(reason) = &receipt.reason {
        remarks.push(frame.say("why-reason", [("reason", reason.as_str().into())]));
    }
    if receipt.kind == TransactionKind::Activity && receipt.explanation.is_empty() && receipt.referrer_share.is_none() {
        remarks.push(frame.t("why-no-rule"));
    }
    remarks
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use guerdon_core::program::{Bundle, Program};
    use serde_json::{Value, json};

    use guerdon_core::redemption::OrderMove;

    use super::*;
    use crate::identity::actor::Actor;
    use crate::language::Language;

    fn frame(language: Language) -> Frame {
        let bundle = Bundle::parse(include_str!("../../../../programs/gift-club.toml")).unwrap();
        let nobody = Actor::anonymous(std::net::Ipv4Addr::LOCALHOST.into());
        Frame::new(Arc::new(Program::from_documents(&bundle.documents().unwrap()).unwrap()), language, nobody)
    }

    fn receipt(kind: &str, more: Value) -> Receipt {
        let mut receipt = json!({
            "transaction_id": "txn_0000000000001", "member_id": "mem_0000000000001", "kind": kind,
            "at": "2011-12-01T12:00:00Z", "points": 0,
            "balances": [{"currency": 1, "available": 1_645, "pending": 0, "held": 0}],
        });
        receipt.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        serde_json::from_value(receipt).unwrap()
    }

    fn told(language: Language, receipt: &Receipt) -> Vec<String> {
        let told = explain_receipt(&frame(language), receipt);
        [vec![told.title], told.sentences].concat()
    }

    fn purchase() -> Receipt {
        let activity = json!({"id": "act_0000000000001", "kind": "purchase", "amount": 13_240});
        let base = json!({"rule": "base", "version": 1, "points": 132, "currency": 1, "amount": 13_240, "rate": "1",
            "expires_at": "2014-01-01T00:00:00Z"});
        let more = json!({"rule": "big-basket", "version": 1, "points": 13, "currency": 1, "rate": "10.0",
            "of_rule": "base"});
        let fixed = json!({"rule": "gone", "version": 1, "points": 1, "currency": 1});
        receipt("activity", json!({"points": 146, "activity": activity, "explanation": [base, more, fixed]}))
    }

    #[test]
    fn a_purchase_is_explained_rule_by_rule() {
        assert_eq!(
            told(Language::English, &purchase()),
            [
                "Purchase of £132.40",
                "132 points: Base — 1 point for each £1.00 of £132.40, rounded down; good through 2013-12-31",
                "13 points: Big basket — 10 % of the 132 points of Base, rounded down",
                "1 point: gone",
            ]
        );
        assert_eq!(
            told(Language::Chinese, &purchase()),
            [
                "消费 £132.40",
                "132 积分：基础积分 — £132.40 中每 £1.00 得 1 积分，向下取整；有效期至 2013-12-31",
                "13 积分：大单奖励 — “基础积分”所得 132 积分的 10%，向下取整",
                "1 积分：gone",
            ]
        );
        let told = explain_receipt(&frame(Language::English), &purchase());
        assert_eq!((told.change.as_str(), told.balance.as_str()), ("+146", "1,645"));
    }

    #[test]
    fn a_return_tells_what_was_taken_and_what_was_forgiven() {
        let back = json!({"rule": "return", "version": 1, "points": -30, "currency": 1, "amount": 5_000, "rate": "1"});
        let activity = json!({"id": "act_0000000000001", "kind": "return", "amount": 5_000});
        let receipt =
            receipt("activity", json!({"points": -30, "forgiven": 20, "activity": activity, "explanation": [back]}));
        assert_eq!(
            told(Language::English, &receipt),
            [
                "Return of £50.00",
                "30 points taken back: Return — 1 point for each £1.00 of £50.00, at most what was available",
                "20 points were no longer there and are forgiven",
            ]
        );
        assert_eq!(
            told(Language::Chinese, &receipt),
            [
                "退货 £50.00",
                "扣回 30 积分：退货扣回 — £50.00 中每 £1.00 扣 1 积分，以可用积分为限",
                "20 积分已不在账户中，予以免除",
            ]
        );
    }

    #[test]
    fn caps_and_other_rules_are_named() {
        let activity = json!({"id": "act_0000000000001", "kind": "purchase", "amount": 13_240});
        let outcome = |more: Value| {
            let mut outcome = json!({"rule": "base", "version": 1, "points": 0, "currency": 1, "amount": 13_240});
            outcome.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            outcome
        };
        let cap = json!({"offered": 132, "cap": "rule", "window": "day", "points": 100});
        let of_store = json!({"offered": 5, "cap": "campaign", "per": "store", "window": "month", "points": 20});
        let of_all = json!({"offered": 5, "cap": "program", "per": "everyone", "window": "year", "points": 20});
        let times = json!({"offered": 5, "cap": "program", "window": "lifetime", "count": 1});
        let explanation = [
            outcome(json!({"points": 100, "rate": "1", "trimmed": cap})),
            outcome(json!({"rate": "1", "trimmed": times})),
            outcome(json!({"points": 10, "rate": "10", "step": "100"})),
            outcome(json!({"points": 66, "factor": "1.50", "of_rule": "big-basket"})),
            outcome(json!({"points": 66, "factor": "2"})),
            outcome(json!({"factor": "3", "lost_to": "big-basket"})),
            outcome(json!({"stopped_by": "big-basket"})),
            outcome(json!({"trimmed": of_store})),
            outcome(json!({"trimmed": of_all})),
        ];
        let receipt = receipt("activity", json!({"activity": activity, "explanation": explanation}));
        assert_eq!(
            told(Language::English, &receipt)[1..],
            [
                "100 points: Base — 1 point for each £1.00 of £132.40, rounded down; 132 points offered, limit of the rule \
                 reached: 100 points (day)",
                "Nothing: Base; 5 points offered, limit of the program reached: 1 × (all time)",
                "10 points: Base — 10 points for each full £100.00 of £132.40",
                "66 points: Base — Big basket × 1.5",
                "66 points: Base — × 2",
                "Nothing: Base — Big basket gave instead",
                "Nothing: Base — Big basket lets no rule after it give",
                "Nothing: Base; 5 points offered, limit of the campaign reached: 20 points (month) for the members of the \
                 store together",
                "Nothing: Base; 5 points offered, limit of the program reached: 20 points (year) for all members together",
            ]
        );
        assert_eq!(
            told(Language::Chinese, &receipt)[8..],
            [
                "未发放：基础积分；应得 5 积分，已达活动上限：20 积分（每月）（本店会员合计）",
                "未发放：基础积分；应得 5 积分，已达项目上限：20 积分（每年）（全体会员合计）",
            ]
        );
    }

    #[test]
    fn a_return_of_a_purchase_names_what_gave() {
        let back = json!({"rule": "big-basket", "version": 1, "points": -13, "currency": 1, "amount": 5_000, "rate": "10",
            "of_rule": "base"});
        let activity = json!({"id": "act_0000000000001", "kind": "return", "amount": 5_000});
        let returned = json!({"transaction": 5, "amount": 5_000, "points": [13]});
        let more = json!({"points": -13, "activity": activity, "explanation": [back], "returned": returned});
        let receipt = receipt("activity", more);
        assert_eq!(told(Language::English, &receipt)[1..], ["13 points taken back of what Big basket gave"]);
        assert_eq!(told(Language::Chinese, &receipt)[1..], ["扣回 13 积分：大单奖励所发"]);
    }

    #[test]
    fn orders_adjustments_and_ticks_have_their_sentence() {
        let order = |state: &str| {
            let order = json!({"id": "ord_0000000000001", "reward_id": "voucher-5", "quantity": 2, "points": 1_000,
                "currency": 1, "state": state});
            receipt("redeem", json!({"points": -1_000, "order": order}))
        };
        let english = |receipt: &Receipt| told(Language::English, receipt);
        assert_eq!(english(&order("captured")), ["Redeemed: 2 × £5 voucher for 1,000 points"]);
        assert_eq!(english(&order("held")), ["Ordered: 2 × £5 voucher; 1,000 points set aside"]);
        assert_eq!(english(&order("released")), ["Order cancelled: 2 × £5 voucher; 1,000 points given back"]);
        assert_eq!(told(Language::Chinese, &order("captured")), ["兑换：5 英镑代金券 × 2，使用 1,000 积分"]);
        let adjusted = receipt("adjust", json!({"points": -25, "reason": "Entered twice"}));
        assert_eq!(english(&adjusted), ["Adjusted by −25 points", "Reason: Entered twice"]);
        let due = receipt("tick", json!({"points": -3, "expired": 5, "matured": 2}));
        assert_eq!(english(&due), ["5 points expired", "2 points became available"]);
        assert_eq!(told(Language::Chinese, &due), ["5 积分已过期", "2 积分已生效"]);
        assert_eq!(english(&order("refunded")), ["Order refunded: 2 × £5 voucher; 1,000 points given back"]);
        let closed = receipt("close", json!({"points": -7, "forfeited": 9, "reason": "At the member's wish"}));
        assert_eq!(
            english(&closed),
            ["Account closed", "9 points that were left are forfeited", "Reason: At the member's wish"]
        );
        assert_eq!(told(Language::Chinese, &closed)[..2], ["账户已注销", "剩余 9 积分已作废"]);
        let merge = |from: &str, into: &str| {
            let merge =
                json!({"from": from, "into": into, "lifetimes": [], "last_activity_at": "1970-01-01T00:00:00Z"});
            receipt("merge", json!({"merge": merge}))
        };
        let (own, other) = ("mem_0000000000001", "mem_0000000000002");
        assert_eq!(english(&merge(own, other)), ["Merged into mem_0000000000002"]);
        assert_eq!(english(&merge(other, own)), ["mem_0000000000002 was merged into this account"]);
        let idle = receipt("activity", json!({"activity": {"id": "act_0000000000001", "kind": "survey", "amount": 0}}));
        assert_eq!(english(&idle), ["Activity: survey", "No earning rule gave points for it"]);
    }

    #[test]
    fn a_tier_has_its_sentences() {
        let step = |step: &str, from: &str, to: &str, growth: i64| {
            let measure = json!({"measure": "growth", "value": growth, "needed": 5_000});
            let by = json!({"window": {"months": 12}, "measures": [measure]});
            json!({"step": step, "at": "2011-12-01T12:00:00Z", "from": from, "to": to, "by": by})
        };
        let tick = |steps: Value| receipt("tick", json!({"tier": {"steps": steps}}));
        let reviewed = tick(json!([step("grace", "gold", "gold", 10), step("lost", "gold", "silver", 10)]));
        assert_eq!(
            told(Language::English, &reviewed),
            [
                "Tier reviewed",
                "Tier gold is kept for a while, though it is not reached any more: 10 points of 5,000 points (in 12 months)",
                "Tier silver since, before: gold: 10 points of 5,000 points (in 12 months)",
            ]
        );
        assert_eq!(
            told(Language::Chinese, &reviewed)[2],
            "降至 silver，此前为 gold：10 积分 / 5,000 积分（12 个月内）"
        );
        let reached = tick(json!([step("renewed", "gold", "gold", 5_100), step("merged", "silver", "gold", 5_100)]));
        let told = told(Language::English, &reached);
        assert!(told[1].starts_with("Tier gold confirmed: 5,100"), "{told:?}");
        assert!(told[2].starts_with("Tier gold came with the account that was merged, before: silver"), "{told:?}");
    }

    #[test]
    fn every_kind_and_every_state_of_an_order_has_a_name_in_both_languages() {
        let kinds = (1..100).filter_map(TransactionKind::from_code).map(|kind| format!("kind-{}", kind.name()));
        let states = OrderState::ALL.map(OrderState::name);
        let titles = states.map(|state| format!("title-order-{state}"));
        let disputes = ["disputed", "declined"].map(|step| format!("title-order-{step}"));
        let grievances = Grievance::ALL.map(|kind| format!("dispute-kind-{}", kind.name().replace('_', "-")));
        let names = states.map(|state| format!("order-{state}"));
        let moves = OrderMove::ALL.map(|step| format!("order-do-{}", step.name()));
        for key in kinds.chain(titles).chain(names).chain(moves).chain(disputes).chain(grievances) {
            for language in [Language::English, Language::Chinese] {
                let values = ["quantity", "reward", "points"].map(|name| (name, "1".into()));
                assert!(!frame(language).say(&key, values).contains("Unknown"), "{key}");
            }
        }
    }
}
