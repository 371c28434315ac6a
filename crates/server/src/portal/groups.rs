//! Groups of friends: seen and joined by a link, left while they are open.

use askama::Template;
use axum::extract::{Form, Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use guerdon_core::id::{MemberId, OrderId};

use super::choice::ChoiceForm;
use super::group_order::{Barrier, Chance, GroupForm, Together, available, chance, joiner, price_of, refusal_words};
use super::own::{Own, Sight, own};
use super::trouble::{OrTrouble, PortalError};
use crate::AppState;
use crate::console::{Frame, render};
use crate::groups::{self, Group, Stage};
use crate::identity::access::{Needs, Pages};
use crate::problem::Problem;

/// The pages of groups.
pub(super) fn pages() -> Pages {
    Pages::default()
        .get("/portal/groups/{code}", Needs::Member, page)
        .post("/portal/groups/{code}/join", Needs::Member, join)
        .post("/portal/groups/{code}/leave", Needs::Member, leave)
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
    /// Where the form leads.
    action: String,
    /// None is needed: a place is taken once.
    key: &'static str,
    available: String,
    /// The words of the button; none: nobody joins now.
    button: Option<String>,
    /// What there is to choose.
    chance: Chance,
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
    show(frame, &state, &own, (&code, &group), (None, &ChoiceForm::default())).await
}

async fn join(
    frame: Frame,
    State(state): State<AppState>,
    Path(code): Path<String>,
    Form(form): Form<GroupForm>,
) -> Result<Response, PortalError> {
    let own = own(&state, &frame).await?;
    let joined = match joiner(&frame, &state, &own, &form) {
        Ok(joiner) => groups::join(&state, joiner, &code).await,
        Err(problem) => Err(problem),
    };
    answer(frame, &state, &own, (&code, &form.choice), joined).await
}

async fn leave(frame: Frame, State(state): State<AppState>, Path(code): Path<String>) -> Result<Response, PortalError> {
    let own = own(&state, &frame).await?;
    let left = groups::leave(&state, &code, own.id).await;
    answer(frame, &state, &own, (&code, &ChoiceForm::default()), left).await
}

/// The page again, with what was in the way where something was.
async fn answer(
    frame: Frame,
    state: &AppState,
    own: &Own,
    (code, form): (&str, &ChoiceForm),
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
    let trouble = Some(frame.t(refusal_words(&problem)));
    let mut response = show(frame, state, own, (code, &group), (trouble, form)).await?;
    *response.status_mut() = StatusCode::UNPROCESSABLE_ENTITY;
    Ok(response)
}

async fn show(
    frame: Frame,
    state: &AppState,
    own: &Own,
    (code, group): (&str, &Group),
    (trouble, form): (Option<String>, &ChoiceForm),
) -> Result<Response, PortalError> {
    let (program, sight) = (state.program(), Sight::now(state));
    let (viewer, now) = (sight.viewer(&program, own), sight.at);
    let accounts: Vec<MemberId> = own.account.merged_from.iter().copied().chain([own.id]).collect();
    let order = group.order_of(&accounts);
    // A link tells nothing of a reward that its holder may not see.
    let seen = program.offered_at(&group.reward_id, now).filter(|offered| viewer.sees(offered).is_ok());
    if seen.is_none() && order.is_none() {
        return Err(PortalError::not_found(&frame));
    }
    let points = match program.reward_at(&group.reward_id, now) {
        Some(reward) => {
            let points = price_of(&frame, state, own, (&program, reward, now), group.percent).await?;
            points.map(|points| (points, frame.points(reward.currency, points)))
        }
        None => None,
    };
    let open = group.stage == Stage::Open && now < group.ends_at;
    let (mut trouble, mut way_out, mut button) = (trouble, None, None);
    let (mut own_points, mut choice) = (String::new(), Chance::default());
    if let Some((offered, (points, shown))) =
        seen.zip(points.as_ref()).filter(|_| order.is_none() && group.has_room(now))
    {
        let together = (Together { program: &program, offered, points: *points, ends_at: group.ends_at }, &sight);
        own_points = available(&frame, own, together);
        match chance(&frame, state, own, together, form).await? {
            Ok(chance) => {
                button = Some(match chance.ways.is_empty() {
                    true => frame.say_text("group-join", "points", shown),
                    false => frame.t("group-join-chosen"),
                });
                choice = chance;
            }
            // What stands in the way now says more than what was refused a moment ago.
            Err(Barrier { words, way_out: out }) => (trouble, way_out) = (Some(words), out),
        }
    }
    let ended = match group.stage {
        Stage::Open if open && group.waits_for_money(&accounts) => Some(frame.t("group-unpaid")),
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
        price: points.map(|(_, shown)| frame.say_text("group-price", "points", &shown)),
        joined: frame.say("group-joined", places),
        count,
        size,
        until: open.then(|| frame.say_text("group-until", "time", &frame.time(group.ends_at))),
        ended,
        trouble,
        way_out,
        link: (order.is_some() && open).then(|| state.people.link(&address)),
        action: format!("{address}/join"),
        key: "",
        available: own_points,
        button,
        chance: choice,
        may_leave: order.is_some() && open,
        order,
        address,
        frame,
    }))
}
