//! Groups of friends: opened from a reward, seen and joined by a link, left while they are open.

use askama::Template;
use axum::extract::{Form, Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use guerdon_core::id::OrderId;
use guerdon_core::kernel::RefusalCode;
use guerdon_core::program::Program;
use guerdon_core::rewards::{CompiledReward, Occasion, Reward, Viewer, group_share, keys_of};
use serde::Deserialize;

use super::choice::{Asked, ChoiceForm};
use super::own::{Own, Sight, own};
use super::reward::{asked, limit_words};
use super::rewards::here;
use super::trouble::{OrTrouble, PortalError};
use super::waiting::must_wait;
use crate::AppState;
use crate::catalogue::Availability;
use crate::console::{Frame, render};
use crate::groups::{self, Group, Joiner, Stage};
use crate::identity::access::{Needs, Pages};
use crate::problem::Problem;
use crate::scarcity::may_private;

/// The pages of groups.
pub(super) fn pages() -> Pages {
    Pages::default()
        .get("/portal/groups/{code}", Needs::Member, page)
        .post("/portal/groups/{code}/join", Needs::Member, join)
        .post("/portal/groups/{code}/leave", Needs::Member, leave)
        .post("/portal/rewards/{id}/group", Needs::Member, open)
}

#[derive(Template)]
#[template(path = "portal/group.html")]
struct GroupPage {
    frame: Frame,
    place: &'static str,
    title: String,
    address: String,
    reward_address: String,
    price: Option<String>,
    joined: String,
    count: usize,
    size: usize,
    until: Option<String>,
    /// How it ended, or that there is no room.
    ended: Option<String>,
    trouble: Option<String>,
    /// Where that is seen to: an address, and its words.
    way_out: Option<(String, String)>,
    /// What friends join by, for who is in it.
    link: Option<String>,
    available: String,
    /// The words of the button; none: nobody joins now.
    join: Option<String>,
    may_leave: bool,
    order: Option<OrderId>,
}

async fn find(state: &AppState, frame: &Frame, code: &str) -> Result<Group, PortalError> {
    let group = groups::find(state, code).await.or_trouble(frame)?;
    group.ok_or_else(|| PortalError::not_found(frame))
}

async fn page(frame: Frame, State(state): State<AppState>, Path(code): Path<String>) -> Result<Response, PortalError> {
    let own = own(&state, &frame).await?;
    let group = find(&state, &frame, &code).await?;
    show(frame, &state, &own, (&code, &group), None).await
}

fn joiner<'a>(frame: &Frame, own: &Own) -> Joiner<'a> {
    Joiner { member: own.id, place: here(), channel: "portal", actor: Some(frame.actor.name()) }
}

/// The form that opens a group.
#[derive(Deserialize)]
struct OpenForm {
    #[serde(default)]
    key: String,
}

async fn open(
    frame: Frame,
    State(state): State<AppState>,
    Path(id): Path<String>,
    Form(form): Form<OpenForm>,
) -> Result<Response, PortalError> {
    let own = own(&state, &frame).await?;
    // The same form sent twice opens one group.
    let key = format!("portal group {}", form.key);
    match groups::open(&state, joiner(&frame, &own), &id, &key).await {
        Ok((code, _)) => Ok(Redirect::to(&format!("/portal/groups/{code}")).into_response()),
        Err(problem) if problem.status < 500 => super::reward::not_opened(frame, &state, &own, &id, &problem).await,
        Err(problem) => Err(problem.detail).or_trouble(&frame),
    }
}

async fn join(frame: Frame, State(state): State<AppState>, Path(code): Path<String>) -> Result<Response, PortalError> {
    let own = own(&state, &frame).await?;
    let joined = groups::join(&state, joiner(&frame, &own), &code).await;
    answer(frame, &state, &own, &code, joined).await
}

async fn leave(frame: Frame, State(state): State<AppState>, Path(code): Path<String>) -> Result<Response, PortalError> {
    let own = own(&state, &frame).await?;
    let left = groups::leave(&state, &code, own.id).await;
    answer(frame, &state, &own, &code, left).await
}

/// The page again, with what was in the way where something was.
async fn answer(
    frame: Frame,
    state: &AppState,
    own: &Own,
    code: &str,
    outcome: Result<Group, Problem>,
) -> Result<Response, PortalError> {
    let problem = match outcome {
        Ok(_) => return Ok(Redirect::to(&format!("/portal/groups/{code}")).into_response()),
        Err(problem) => problem,
    };
    if problem.status >= 500 {
        return Err(problem.detail).or_trouble(&frame);
    }
    let group = find(state, &frame, code).await?;
    let trouble = Some(frame.t(trouble_of(&problem)));
    let mut response = show(frame, state, own, (code, &group), trouble).await?;
    *response.status_mut() = StatusCode::UNPROCESSABLE_ENTITY;
    Ok(response)
}

/// The words of what was refused.
pub(super) fn trouble_of(problem: &Problem) -> &'static str {
    if problem.code == RefusalCode::ChoiceNeeded.name() { "group-needs-address" } else { "group-refused" }
}

/// What a group of friends pays for a reward, on its page, and how one is opened.
pub(super) struct Offer {
    pub(super) words: String,
    /// The words of the button; none: the member cannot open one now.
    pub(super) button: Option<String>,
    /// Whether an address must be kept first.
    pub(super) lacks_address: bool,
}

/// What a group pays for a unit, in words, where the reward has such a price and can be ordered so.
pub(super) fn offer(
    frame: &Frame,
    viewer: &Viewer<'_>,
    reward: &Reward,
    (price, asked): (i64, &Asked),
) -> Option<Offer> {
    let group = reward.price.group.as_ref().filter(|_| reward.group_lacks().is_none())?;
    let each = group_share(price, group.percent)?;
    let points = frame.points(reward.currency, each);
    let places = [("members", group.members.into()), ("hours", group.hours.into()), ("points", points.as_str().into())];
    let lacks_address = asked.lacks_address();
    let can = each <= viewer.spendable(reward.currency) && !lacks_address;
    let button = can.then(|| frame.say_text("group-open", "points", &points));
    Some(Offer { words: frame.say("group-offer", places), button, lacks_address })
}

/// What keeps a member from ordering in a group, besides points.
struct Barrier {
    words: String,
    /// Where that is seen to: an address, and its words.
    way_out: Option<(String, String)>,
}

/// Whether an order of the member in a group would be refused, and for what: the same as on the page of the reward.
async fn barrier(
    frame: &Frame,
    state: &AppState,
    own: &Own,
    (offered, program, sight): (&CompiledReward, &Program, &Sight),
) -> Result<Option<Barrier>, PortalError> {
    let (reward, now) = (&offered.reward, sight.at);
    let plain = |words: String| Ok(Some(Barrier { words, way_out: None }));
    if reward.group_lacks().is_some() {
        return plain(frame.t("group-not-for-this"));
    }
    let stock = state.reader.stock_of(&keys_of(reward)).await.or_trouble(frame)?;
    let private = may_private(state, own.id, offered).await.or_trouble(frame)?;
    if Availability::of(sight.viewer(program, own).left(offered, &stock, private)) == Availability::SoldOut {
        return plain(frame.t("reward-gone"));
    }
    if let (Some(words), true) = limit_words(frame, reward, own, now) {
        return plain(words);
    }
    if must_wait(state, own, offered).await.or_trouble(frame)? {
        let way_out = Some((format!("/portal/rewards/{}/wait", reward.id), frame.t("reward-waiting-go")));
        return Ok(Some(Barrier { words: frame.t("reward-waiting"), way_out }));
    }
    let asked = asked(frame, state, (reward, now), own, &stock, &ChoiceForm::default()).await?;
    Ok(asked.lacks_address().then(|| Barrier {
        words: frame.t("group-needs-address"),
        way_out: Some(("/portal/profile/addresses".to_owned(), frame.t("portal-book"))),
    }))
}

async fn show(
    frame: Frame,
    state: &AppState,
    own: &Own,
    (code, group): (&str, &Group),
    trouble: Option<String>,
) -> Result<Response, PortalError> {
    let (program, sight) = (state.program(), Sight::now(state));
    let (viewer, now) = (sight.viewer(&program, own), sight.at);
    let order = group.order_of(own.id);
    // A link tells nothing of a reward that its holder may not see.
    let seen = program.offered_at(&group.reward_id, now).filter(|offered| viewer.sees(offered).is_ok());
    if seen.is_none() && order.is_none() {
        return Err(PortalError::not_found(&frame));
    }
    let reward = program.reward_at(&group.reward_id, now);
    let mut points = None;
    if let Some(reward) = reward {
        let figures = state.demand.figures(&state.reader, reward, now).await.or_trouble(&frame)?;
        let tier = program.tiers.at(now).level_of(&own.account.standing).map(|level| level.tier.id.as_str());
        let occasion = Occasion { at: now, tier, figures, quantity: 1 };
        let priced = program.price_in_group(reward, occasion, group.percent).ok();
        points = priced.map(|priced| (reward.currency, priced.points));
    }
    let open = group.stage == Stage::Open && now < group.ends_at;
    let (mut join, mut trouble, mut way_out) = (None, trouble, None);
    let mut available = String::new();
    if let Some(((currency, price), offered)) = points.zip(seen).filter(|_| order.is_none() && group.has_room(now)) {
        let spendable = viewer.spendable(currency);
        available = frame.say_text("rewards-available", "points", &frame.points(currency, spendable));
        let missing = price.saturating_sub(spendable);
        // What stands in the way now says more than what was refused a moment ago.
        if let Some(barrier) = barrier(&frame, state, own, (offered, &program, &sight)).await? {
            (trouble, way_out) = (Some(barrier.words), barrier.way_out);
        } else if missing > 0 {
            trouble = Some(frame.say_text("group-short", "points", &frame.points(currency, missing)));
        } else {
            join = Some(frame.say_text("group-join", "points", &frame.points(currency, price)));
        }
    }
    let ended = match group.stage {
        Stage::Full if order.is_some() => Some(frame.t("group-full")),
        Stage::NotFull => Some(frame.t("group-not-full")),
        Stage::Open if !open => Some(frame.t("group-not-full")),
        _ if order.is_none() && !group.has_room(now) => Some(frame.t("group-no-room")),
        _ => None,
    };
    let (count, size) = (group.joined(), group.size);
    let places = [("joined", count.into()), ("size", size.into())];
    let address = format!("/portal/groups/{code}");
    Ok(render(&GroupPage {
        place: "rewards",
        title: frame.say_text("group-title", "reward", &frame.reward_name(&group.reward_id)),
        reward_address: format!("/portal/rewards/{}", group.reward_id),
        price: points
            .map(|(currency, points)| frame.say_text("group-price", "points", &frame.points(currency, points))),
        joined: frame.say("group-joined", places),
        count,
        size,
        until: open.then(|| frame.say_text("group-until", "time", &frame.time(group.ends_at))),
        ended,
        trouble,
        way_out,
        link: (order.is_some() && open).then(|| state.people.link(&address)),
        available,
        join,
        may_leave: order.is_some() && open,
        order,
        address,
        frame,
    }))
}
