//! What a group of friends pays, on the page of a reward; and the page on which one is opened, and its opener chooses.

use askama::Template;
use axum::extract::{Form, Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use guerdon_core::rewards::{GroupPrice, Reward, Viewer, group_share};

use super::choice::{Asked, ChoiceForm};
use super::group_order::{Barrier, Chance, GroupForm, Together, available, chance, joiner, price_of, refusal_words};
use super::own::{Own, Sight, own};
use super::trouble::{OrTrouble, PortalError};
use crate::AppState;
use crate::console::{Frame, form_key, render};
use crate::groups;
use crate::identity::access::{Needs, Pages};

const HOUR_MS: i64 = 3_600_000;

pub(super) fn pages() -> Pages {
    Pages::default().get("/portal/rewards/{id}/group", Needs::Member, page).post(
        "/portal/rewards/{id}/group",
        Needs::Member,
        open,
    )
}

/// What a group of friends pays for a reward, on its page, and how one is opened.
pub(super) struct Offer {
    pub(super) words: String,
    /// The words of the button; none: the member cannot open one now.
    pub(super) button: Option<String>,
    /// Whether there is something to choose first, on a page of its own.
    pub(super) asks: bool,
}

/// What a group pays for a unit, in words, where the reward has such a price.
pub(super) fn offer(
    frame: &Frame,
    state: &AppState,
    viewer: &Viewer<'_>,
    reward: &Reward,
    (price, asked, takes_money): (i64, &Asked, bool),
) -> Option<Offer> {
    let group = reward.price.group.as_ref()?;
    let each = group_share(price, group.percent)?;
    let spendable = viewer.spendable(reward.currency);
    let split = || frame.program.affordable_split(reward, each, spendable, state.engine.now());
    let may_split = takes_money && split().is_some();
    let button = match each <= spendable {
        true => Some(frame.say_text("group-open", "points", &frame.points(reward.currency, each))),
        false => may_split.then(|| frame.t("group-open-chosen")),
    };
    Some(Offer { words: offer_words(frame, reward, group, each), button, asks: !asked.is_nothing() || may_split })
}

fn offer_words(frame: &Frame, reward: &Reward, group: &GroupPrice, each: i64) -> String {
    let points = frame.points(reward.currency, each);
    let places = [("members", group.members.into()), ("hours", group.hours.into()), ("points", points.into())];
    frame.say("group-offer", places)
}

#[derive(Template)]
#[template(path = "portal/group_opening.html")]
struct OpeningPage {
    frame: Frame,
    place: &'static str,
    title: String,
    reward_address: String,
    price: String,
    words: String,
    trouble: Option<String>,
    /// Where that is seen to: an address, and its words.
    way_out: Option<(String, String)>,
    /// Where the form leads.
    action: String,
    key: String,
    available: String,
    /// The words of the button; none: the member cannot open one now.
    button: Option<String>,
    /// What there is to choose.
    chance: Chance,
}

async fn page(frame: Frame, State(state): State<AppState>, Path(id): Path<String>) -> Result<Response, PortalError> {
    let own = own(&state, &frame).await?;
    show(frame, &state, &own, &id, (None, &ChoiceForm::default())).await
}

async fn open(
    frame: Frame,
    State(state): State<AppState>,
    Path(id): Path<String>,
    Form(form): Form<GroupForm>,
) -> Result<Response, PortalError> {
    let own = own(&state, &frame).await?;
    // The same form sent twice opens one group.
    let key = format!("portal group {}", form.key);
    let opened = match joiner(&frame, &state, &own, &form) {
        Ok(joiner) => groups::open(&state, joiner, &id, &key).await,
        Err(problem) => Err(problem),
    };
    match opened {
        Ok((code, _)) => Ok(Redirect::to(&format!("/portal/groups/{code}")).into_response()),
        Err(problem) if problem.status >= 500 => Err(problem.detail).or_trouble(&frame),
        Err(problem) => {
            let words = frame.t(refusal_words(&problem));
            let mut response = show(frame, &state, &own, &id, (Some(words), &form.choice)).await?;
            *response.status_mut() = StatusCode::UNPROCESSABLE_ENTITY;
            Ok(response)
        }
    }
}

/// The page, with what was in the way of its form and what was typed there.
async fn show(
    frame: Frame,
    state: &AppState,
    own: &Own,
    id: &str,
    (trouble, form): (Option<String>, &ChoiceForm),
) -> Result<Response, PortalError> {
    let (program, sight) = (state.program(), Sight::now(state));
    let (viewer, now) = (sight.viewer(&program, own), sight.at);
    let offered = program.offered_at(id, now).filter(|offered| viewer.sees(offered).is_ok());
    let offered = offered.ok_or_else(|| PortalError::not_found(&frame))?;
    let reward = &offered.reward;
    let group = reward.price.group.as_ref().ok_or_else(|| PortalError::not_found(&frame))?;
    let points = price_of(&frame, state, own, (&program, reward, now), group.percent).await?;
    let points = points.ok_or_else(|| PortalError::not_found(&frame))?;
    let ends_at = now.plus_millis(group.hours.saturating_mul(HOUR_MS));
    let together = (Together { program: &program, offered, points, ends_at }, &sight);
    let shown = frame.points(reward.currency, points);
    // What stands in the way now says more than what was refused a moment ago.
    let (chance, trouble, way_out) = match chance(&frame, state, own, together, form).await? {
        Ok(chance) => (Some(chance), trouble, None),
        Err(Barrier { words, way_out }) => (None, Some(words), way_out),
    };
    Ok(render(&OpeningPage {
        place: "rewards",
        title: frame.say_text("group-title", "reward", &frame.reward_name(id)),
        reward_address: format!("/portal/rewards/{id}"),
        price: frame.say_text("group-price", "points", &shown),
        words: offer_words(&frame, reward, group, points),
        trouble,
        way_out,
        action: format!("/portal/rewards/{id}/group"),
        key: form_key(),
        available: available(&frame, own, together),
        button: chance.as_ref().map(|chance| match chance.ways.is_empty() {
            true => frame.say_text("group-open", "points", &shown),
            false => frame.t("group-open-chosen"),
        }),
        chance: chance.unwrap_or_default(),
        frame,
    }))
}
