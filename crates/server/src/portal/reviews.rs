//! What members say of a reward, and how a member writes it.

use askama::Template;
use axum::extract::{Form, Path, Query, State};
use axum::response::{IntoResponse, Redirect, Response};
use guerdon_core::id::MemberId;
use guerdon_core::redemption::{Order, OrderState};
use guerdon_core::rewards::Rating;
use serde::Deserialize;

use super::orders;
use super::own::{Own, Sight, own};
use super::trouble::{OrTrouble, PortalError};
use crate::AppState;
use crate::console::{Frame, render, stars};
use crate::problem::Problem;
use crate::reviews::{self, Review, Said, Standing};

/// Reviews of one page.
const PAGE: usize = 20;
/// Reviews that stand on the page of their reward.
const FIRST: usize = 5;

/// A review as members read it.
pub struct Line {
    pub stars: String,
    pub stars_words: String,
    pub text: String,
    pub author: String,
    pub when: String,
}

/// What a page says of the reviews of its reward.
pub struct Part {
    /// The average and how many there are; none: nobody has said anything.
    pub rating: Option<String>,
    /// The latest.
    pub lines: Vec<Line>,
    /// Where there are more.
    pub more: Option<String>,
}

/// The form under a receipt.
pub struct ReviewForm {
    pub action: String,
    pub stars: i64,
    pub text: String,
    /// What became of it so far.
    pub status: Option<String>,
    pub button: String,
}

#[derive(Template)]
#[template(path = "portal/reviews.html")]
struct ReviewsPage {
    frame: Frame,
    place: &'static str,
    name: String,
    reward: String,
    rating: Option<String>,
    lines: Vec<Line>,
    next: Option<String>,
}

fn line(frame: &Frame, review: Review) -> Line {
    Line {
        stars: stars(review.stars),
        stars_words: frame.say("review-stars", [("count", review.stars.into())]),
        author: review.author.unwrap_or_else(|| frame.t("review-anonymous")),
        when: frame.clock_time(review.changed_at.unwrap_or(review.written_at)),
        text: review.text,
    }
}

/// `4.7 · 12 reviews`
pub fn rating_words(frame: &Frame, rating: Option<&Rating>) -> Option<String> {
    let rating = rating?;
    let average = rating.average()?;
    Some(frame.say("review-rating", [("average", average.into()), ("count", rating.count.into())]))
}

/// What the page of a reward says of its reviews; `None`: the program has none.
pub async fn part(state: &AppState, frame: &Frame, reward: &str) -> Result<Option<Part>, Problem> {
    if reviews::policy(state).is_none() {
        return Ok(None);
    }
    let ratings = reviews::ratings(state, &[reward]).await?;
    let mut found = reviews::of_reward(state, reward, None, FIRST as i64 + 1).await?;
    let more = (found.len() > FIRST).then(|| format!("/portal/rewards/{reward}/reviews"));
    found.truncate(FIRST);
    let lines = found.into_iter().map(|(_, review)| line(frame, review)).collect();
    Ok(Some(Part { rating: rating_words(frame, ratings.get(reward)), lines, more }))
}

/// Where a page begins.
#[derive(Deserialize)]
pub struct Cursor {
    before: Option<String>,
}

/// `/portal/rewards/{id}/reviews`
pub async fn page(
    frame: Frame,
    State(state): State<AppState>,
    Path(id): Path<String>,
    Query(cursor): Query<Cursor>,
) -> Result<Response, PortalError> {
    let own = own(&state, &frame).await?;
    let stand = state.catalogue.stand(&state).await.or_trouble(&frame)?;
    let sight = Sight::now(&state);
    let viewer = sight.viewer(&stand.program, &own);
    let offered = stand.shelf.row_of(&id).and_then(|row| stand.shelf.reward(row));
    let offered = offered.filter(|offered| viewer.sees(offered).is_ok() && reviews::policy(&state).is_some());
    let offered = offered.ok_or_else(|| PortalError::not_found(&frame))?;
    let limit = PAGE as i64 + 1;
    let found = reviews::of_reward(&state, &id, cursor.before.as_deref(), limit).await;
    let mut found = found.map_err(detail).or_trouble(&frame)?;
    let ratings = reviews::ratings(&state, &[&id]).await.map_err(detail).or_trouble(&frame)?;
    let more = found.len() > PAGE;
    found.truncate(PAGE);
    let next = found.last().filter(|_| more).map(|(record, _)| record.id.clone());
    Ok(render(&ReviewsPage {
        place: "rewards",
        name: offered.reward.name.get(frame.language.tag()).to_owned(),
        rating: rating_words(&frame, ratings.get(&id)),
        lines: found.into_iter().map(|(_, review)| line(&frame, review)).collect(),
        next,
        reward: id,
        frame,
    }))
}

pub(super) fn detail(problem: Problem) -> String {
    problem.detail
}

/// The form of a completed order; `None`: it is not completed, there is no reward to review, or the program has no reviews.
pub async fn form(
    state: &AppState,
    frame: &Frame,
    own: &Own,
    order: &Order,
    typed: Option<&Typed>,
) -> Result<Option<ReviewForm>, Problem> {
    if reviews::policy(state).is_none() || order.state != OrderState::Completed || order.is_of_till() {
        return Ok(None);
    }
    let known = reviews::own(state, &accounts(own), &order.reward_id).await?.map(|(_, review)| review);
    let button = if known.is_some() { "review-change" } else { "review-send" };
    let status = known.as_ref().map(|review| match (review.standing, &review.reason) {
        (Standing::Waiting, _) => frame.t("review-is-waiting"),
        (Standing::Approved, _) => frame.t("review-is-there"),
        (Standing::Rejected, why) => frame.say_text("review-is-rejected", "why", why.as_deref().unwrap_or_default()),
    });
    let (stars, text) = match (typed, known) {
        (Some(typed), _) => (typed.stars.unwrap_or_default(), typed.text.clone()),
        (None, Some(review)) => (review.stars, review.text),
        (None, None) => (0, String::new()),
    };
    let action = format!("/portal/orders/{}/review", order.id);
    Ok(Some(ReviewForm { action, stars, text, status, button: frame.t(button) }))
}

fn accounts(own: &Own) -> Vec<MemberId> {
    own.account.merged_from.iter().copied().chain([own.id]).collect()
}

/// What was typed.
#[derive(Default, Deserialize)]
#[serde(default)]
pub struct Typed {
    stars: Option<i64>,
    text: String,
}

/// Writes the review of an order's reward.
pub async fn write(
    frame: Frame,
    State(state): State<AppState>,
    Path(text): Path<String>,
    Form(typed): Form<Typed>,
) -> Result<Response, PortalError> {
    let (own, order) = orders::find(&state, &frame, &text).await?;
    let written = match Said::new(typed.stars.unwrap_or_default(), &typed.text) {
        Ok(said) => reviews::write(&state, &order, &said).await.map(drop),
        Err(problem) => Err(problem),
    };
    match written {
        Ok(()) => Ok(Redirect::to(&format!("/portal/orders/{}#review", order.id)).into_response()),
        Err(problem) if problem.status >= 500 => Err(problem.detail).or_trouble(&frame),
        Err(problem) => {
            let key = match problem.code.as_str() {
                "too_many_reviews" => "review-too-many",
                "too_many_changes" => "review-too-many-changes",
                "invalid_request" if typed.stars.is_none() => "review-stars-needed",
                "invalid_request" => "review-text-needed",
                _ => "review-not-now",
            };
            let trouble = frame.t(key);
            orders::refused(frame, &state, &own, &order, orders::Again { trouble, review: Some(typed), dispute: None })
                .await
        }
    }
}
