//! What a member orders in a group of friends, on whichever page: whether they can, at what price, and what there is to choose.

use guerdon_core::kernel::{RefusalCode, Tendering};
use guerdon_core::program::Program;
use guerdon_core::redemption::PaymentTender;
use guerdon_core::rewards::{CompiledReward, Occasion, Reward, Split, keys_of};
use guerdon_core::time::Timestamp;
use rust_decimal::Decimal;
use serde::Deserialize;

use super::choice::{Asked, ChoiceForm, Choosing};
use super::own::{Own, Sight};
use super::reward::{asked, limit_words, tenders};
use super::rewards::here;
use super::trouble::{OrTrouble, PortalError};
use super::waiting::must_wait;
use crate::AppState;
use crate::catalogue::Availability;
use crate::console::Frame;
use crate::groups::Joiner;
use crate::problem::Problem;
use crate::scarcity::may_private;

/// What keeps a member from ordering in a group.
pub(super) struct Barrier {
    pub(super) words: String,
    /// Where that is seen to: an address, and its words.
    pub(super) way_out: Option<(String, String)>,
}

impl Barrier {
    fn plain(words: String) -> Self {
        Self { words, way_out: None }
    }
}

/// The form of an order in a group.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct GroupForm {
    pub(super) key: String,
    /// Minor units of money; empty: it is paid in points alone.
    cash: String,
    tender: String,
    #[serde(flatten)]
    pub(super) choice: ChoiceForm,
}

impl GroupForm {
    /// How a part of it is paid in money; `None`: in points alone.
    fn tendering(&self, state: &AppState) -> Result<Option<Tendering>, Problem> {
        if self.cash.is_empty() {
            return Ok(None);
        }
        let wrong = || Problem::bad_request("invalid_request", "`cash` and `tender` must be those of the page");
        let amount = self.cash.parse().map_err(|_| wrong())?;
        let tender = PaymentTender::from_name(&self.tender).ok_or_else(wrong)?;
        state.payments.check(tender)?;
        Ok(Some(Tendering { tender, split: Some(Split::Money(amount)) }))
    }
}

/// One way to pay: minor units of money, or empty for points alone, and its words.
pub(super) struct Way {
    pub(super) cash: String,
    pub(super) words: String,
}

/// What there is to choose for who can order.
#[derive(Default)]
pub(super) struct Chance {
    pub(super) asked: Asked,
    /// How it may be paid, where there is a choice.
    pub(super) ways: Vec<Way>,
    /// How money may be paid, by the names of tenders.
    pub(super) tenders: Vec<(&'static str, String)>,
}

/// What a member could order in a group: a reward, for so many points, until when the group is open.
#[derive(Clone, Copy)]
pub(super) struct Together<'a> {
    pub(super) program: &'a Program,
    pub(super) offered: &'a CompiledReward,
    pub(super) points: i64,
    pub(super) ends_at: Timestamp,
}

/// Who joins, with what they have chosen in a form.
pub(super) fn joiner<'a>(frame: &Frame, state: &AppState, own: &Own, form: &GroupForm) -> Result<Joiner<'a>, Problem> {
    Ok(Joiner {
        member: own.id,
        place: here(),
        channel: "portal",
        actor: Some(frame.actor.name()),
        said: form.choice.said(),
        tendering: form.tendering(state)?,
    })
}

/// Up to four ways to pay that the member can: in points alone, with the least money, with the most, and half-way. None: there is
/// no choice.
fn ways(frame: &Frame, together: Together<'_>, spendable: i64, now: Timestamp) -> Vec<Way> {
    let Together { program, offered, points, .. } = together;
    let reward = &offered.reward;
    let Some(range) = program.cash_range(reward, points, now) else { return Vec::new() };
    let (least, most) = (range.least.points.max(points.saturating_sub(spendable)), range.most.points);
    if least > most {
        return Vec::new();
    }
    let mut wanted = vec![least, least.midpoint(most), most];
    wanted.dedup();
    let shown = |points: i64| frame.points(reward.currency, points);
    let alone = (points <= spendable)
        .then(|| Way { cash: String::new(), words: frame.say_text("split-points", "points", &shown(points)) });
    let by_money = |by_money: i64| {
        let split = |wanted: Split| program.split(reward, points, wanted, now).ok();
        let amount = split(Split::Points(points.saturating_sub(by_money)))?.amount;
        // It may take the place of one point more.
        let left = points.saturating_sub(split(Split::Money(amount))?.points);
        let places = [("points", shown(left).into()), ("money", frame.money(amount).into())];
        Some(Way { cash: amount.to_string(), words: frame.say("split-part", places) })
    };
    alone.into_iter().chain(wanted.into_iter().filter_map(by_money)).collect()
}

/// What a member pays in a group whose members pay so many per cent; `None`: it has no price now.
pub(super) async fn price_of(
    frame: &Frame,
    state: &AppState,
    own: &Own,
    (program, reward, now): (&Program, &Reward, Timestamp),
    percent: Decimal,
) -> Result<Option<i64>, PortalError> {
    let figures = state.demand.figures(&state.reader, reward, now).await.or_trouble(frame)?;
    let tier = program.tiers.at(now).level_of(&own.account.standing).map(|level| level.tier.id.as_str());
    let occasion = Occasion { at: now, tier, figures, quantity: 1 };
    Ok(program.price_in_group(reward, occasion, percent).ok().map(|priced| priced.points))
}

/// What there is to choose, or why an order of the member in a group would be refused: the same as on the page of the reward.
pub(super) async fn chance(
    frame: &Frame,
    state: &AppState,
    own: &Own,
    (together, sight): (Together<'_>, &Sight),
    form: &ChoiceForm,
) -> Result<Result<Chance, Barrier>, PortalError> {
    let Together { program, offered, points, ends_at } = together;
    let (reward, now) = (&offered.reward, sight.at);
    let viewer = sight.viewer(program, own);
    let stock = state.reader.stock_of(&keys_of(reward)).await.or_trouble(frame)?;
    let private = may_private(state, own.id, offered).await.or_trouble(frame)?;
    if Availability::of(viewer.left(offered, &stock, private)) == Availability::SoldOut {
        return Ok(Err(Barrier::plain(frame.t("reward-gone"))));
    }
    if let (Some(words), true) = limit_words(frame, reward, own, now) {
        return Ok(Err(Barrier::plain(words)));
    }
    if must_wait(state, own, offered).await.or_trouble(frame)? {
        let way_out = Some((format!("/portal/rewards/{}/wait", reward.id), frame.t("reward-waiting-go")));
        return Ok(Err(Barrier { words: frame.t("reward-waiting"), way_out }));
    }
    let spendable = viewer.spendable(reward.currency);
    let tenders = tenders(frame, state, reward);
    let ways = if tenders.is_empty() { Vec::new() } else { ways(frame, together, spendable, now) };
    let missing = points.saturating_sub(spendable);
    if missing > 0 && ways.is_empty() {
        let points = frame.points(reward.currency, missing);
        return Ok(Err(Barrier::plain(frame.say_text("group-short", "points", &points))));
    }
    // Appointments are for when it is known whether the group comes together.
    let choosing = Choosing::of(reward, now).together_until(ends_at);
    let asked = asked(frame, state, choosing, own, &stock, form).await?;
    if asked.lacks_slot() {
        return Ok(Err(Barrier::plain(frame.t("group-no-slot"))));
    }
    Ok(Ok(Chance { asked, ways, tenders }))
}

/// What the member has, in words.
pub(super) fn available(frame: &Frame, own: &Own, (together, sight): (Together<'_>, &Sight)) -> String {
    let currency = together.offered.reward.currency;
    let spendable = sight.viewer(together.program, own).spendable(currency);
    frame.say_text("rewards-available", "points", &frame.points(currency, spendable))
}

/// The words of what was refused: what can be chosen anew, and all else.
pub(super) fn refusal_words(problem: &Problem) -> &'static str {
    let known = [
        (RefusalCode::SlotNotOffered, "group-slot"),
        (RefusalCode::OutOfStock, "group-choice-gone"),
        (RefusalCode::ChoiceNeeded, "reward-choose"),
        (RefusalCode::InvalidRequest, "reward-choice-wrong"),
        (RefusalCode::InsufficientPoints, "split-not-now"),
        (RefusalCode::SplitNotOffered, "split-not-now"),
        (RefusalCode::TenderNotOffered, "split-not-now"),
    ];
    if problem.code == "payment_declined" {
        return "split-declined";
    }
    let words = known.into_iter().find(|(code, _)| problem.code == code.name());
    words.map_or("group-refused", |(_, words)| words)
}
