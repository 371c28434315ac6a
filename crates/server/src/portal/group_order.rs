//! What a member orders in a group of friends, on whichever page: whether they can, at what price, and what there is to choose.

use guerdon_core::kernel::RefusalCode;
use guerdon_core::program::Program;
use guerdon_core::rewards::{CompiledReward, Occasion, Reward, keys_of};
use guerdon_core::time::Timestamp;
use rust_decimal::Decimal;

use super::choice::{Asked, ChoiceForm, Choosing};
use super::own::{Own, Sight};
use super::reward::{asked, limit_words};
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

/// What a member could order in a group: a reward, for so many points, until when the group is open.
#[derive(Clone, Copy)]
pub(super) struct Together<'a> {
    pub(super) program: &'a Program,
    pub(super) offered: &'a CompiledReward,
    pub(super) points: i64,
    pub(super) ends_at: Timestamp,
}

/// Who joins, with what they have chosen in a form.
pub(super) fn joiner<'a>(frame: &Frame, own: &Own, form: &ChoiceForm) -> Joiner<'a> {
    Joiner { member: own.id, place: here(), channel: "portal", actor: Some(frame.actor.name()), said: form.said() }
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
) -> Result<Result<Asked, Barrier>, PortalError> {
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
    let missing = points.saturating_sub(viewer.spendable(reward.currency));
    if missing > 0 {
        let points = frame.points(reward.currency, missing);
        return Ok(Err(Barrier::plain(frame.say_text("group-short", "points", &points))));
    }
    // Appointments are for when it is known whether the group comes together.
    let choosing = Choosing::of(reward, now).together_until(ends_at);
    let asked = asked(frame, state, choosing, own, &stock, form).await?;
    if asked.lacks_slot() {
        return Ok(Err(Barrier::plain(frame.t("group-no-slot"))));
    }
    Ok(Ok(asked))
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
    ];
    let words = known.into_iter().find(|(code, _)| problem.code == code.name());
    words.map_or("group-refused", |(_, words)| words)
}
