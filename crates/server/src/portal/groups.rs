//! Groups of friends: opened from a reward, seen and joined by a link, left while they are open.

use askama::Template;
use axum::extract::{Form, Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use guerdon_core::id::OrderId;
use guerdon_core::kernel::RefusalCode;
use guerdon_core::rewards::{Occasion, Viewer};
use serde::Deserialize;

use super::own::{Own, own};
use super::rewards::here;
use super::trouble::{OrTrouble, PortalError};
use crate::AppState;
use crate::console::{Frame, render};
use crate::groups::{self, Group, Joiner, Stage};
use crate::identity::access::{Needs, Pages};
use crate::problem::Problem;

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
        Err(problem) if problem.status < 500 => super::reward::not_opened(frame, &state, &own, &id).await,
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
    // What is missing is told by the page itself.
    let told = problem.code == RefusalCode::InsufficientPoints.name();
    let trouble = (!told).then(|| frame.t("group-refused"));
    let mut response = show(frame, state, own, (code, &group), trouble).await?;
    *response.status_mut() = StatusCode::UNPROCESSABLE_ENTITY;
    Ok(response)
}

async fn show(
    frame: Frame,
    state: &AppState,
    own: &Own,
    (code, group): (&str, &Group),
    trouble: Option<String>,
) -> Result<Response, PortalError> {
    let (program, now, here) = (state.program(), state.engine.now(), here());
    let viewer = Viewer::new(&program, Some(&own.account), &here, now);
    let order = group.order_of(own.id);
    // A link tells nothing of a reward that its holder may not see.
    let seen = program.offered_at(&group.reward_id, now).is_some_and(|offered| viewer.sees(offered).is_ok());
    if !seen && order.is_none() {
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
    let (mut join, mut trouble) = (None, trouble);
    let mut available = String::new();
    if let Some((currency, price)) = points.filter(|_| order.is_none() && group.has_room(now)) {
        let spendable = viewer.spendable(currency);
        available = frame.say_text("rewards-available", "points", &frame.points(currency, spendable));
        let missing = price.saturating_sub(spendable);
        if missing > 0 {
            let short = frame.say_text("group-short", "points", &frame.points(currency, missing));
            trouble = trouble.or(Some(short));
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
        link: (order.is_some() && open).then(|| state.people.link(&address)),
        available,
        join,
        may_leave: order.is_some() && open,
        order,
        address,
        frame,
    }))
}
