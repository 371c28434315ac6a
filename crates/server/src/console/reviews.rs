//! Reviews that wait for somebody to look at them, those that were rejected, and those of one reward.

use askama::Template;
use axum::Form;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Redirect, Response};
use guerdon_core::identity::Permission;
use serde::Deserialize;
use url::form_urlencoded::Serializer;

use super::frame::{Frame, render};
use super::nav::Place;
use super::trouble::{PageError, unprocessable};
use crate::AppState;
use crate::identity::access::{Needs, Pages};
use crate::reviews::{self, Decision, Review, Standing};

/// Reviews of one page.
const PAGE: usize = 30;

/// The pages of reviews.
pub fn pages() -> Pages {
    let needs = Needs::Permission(Permission::ReviewsModerate);
    Pages::default().get("/console/reviews", needs, page).post("/console/reviews/{id}", needs, decide)
}

/// Which reviews, and where a page begins.
#[derive(Clone, Default, Deserialize)]
#[serde(default)]
struct Asked {
    /// `rejected`; anything else: those that wait.
    state: String,
    /// Those of a reward that everybody may read.
    reward: String,
    after: String,
}

impl Asked {
    /// The address of the same list from another review on.
    fn address(&self, after: &str) -> String {
        let mut query = Serializer::new(String::new());
        for (name, value) in [("state", self.state.as_str()), ("reward", &self.reward), ("after", after)] {
            if !value.is_empty() {
                query.append_pair(name, value);
            }
        }
        format!("/console/reviews?{}", query.finish())
    }
}

struct Line {
    id: String,
    reward: String,
    stars: String,
    stars_words: String,
    text: String,
    author: String,
    order: String,
    when: String,
    reason: Option<String>,
    may_approve: bool,
    may_reject: bool,
}

#[derive(Template)]
#[template(path = "console/reviews.html")]
struct ReviewsPage {
    frame: Frame,
    asked: Asked,
    /// The name of the reward whose reviews these are.
    reward: Option<String>,
    lines: Vec<Line>,
    next: Option<String>,
    trouble: Option<String>,
}

/// Stars as they are shown: filled ones, then empty ones.
pub(crate) fn stars(count: i64) -> String {
    (1..=guerdon_core::limits::REVIEW_STARS).map(|star| if star <= count { '★' } else { '☆' }).collect()
}

async fn show(frame: Frame, state: &AppState, asked: Asked, trouble: Option<String>) -> Result<Response, PageError> {
    let frame = frame.at(Place::Reviews);
    let limit = i64::try_from(PAGE + 1).unwrap_or(i64::MAX);
    let after = Some(asked.after.clone()).filter(|after| !after.is_empty());
    let found = match asked.reward.as_str() {
        "" => {
            let standing = if asked.state == "rejected" { Standing::Rejected } else { Standing::Waiting };
            reviews::queue(state, standing, after, limit).await
        }
        reward => reviews::of_reward(state, reward, after.as_deref(), limit).await,
    };
    let mut found = found.map_err(|_| PageError::store(&frame))?;
    let more = found.len() > PAGE;
    found.truncate(PAGE);
    let next = found.last().filter(|_| more).map(|(record, _)| asked.address(&record.id));
    let lines = found.into_iter().map(|(record, review)| line(&frame, record.id, review)).collect();
    let reward = Some(asked.reward.as_str()).filter(|reward| !reward.is_empty());
    let reward = reward.map(|reward| frame.reward_name(reward));
    Ok(render(&ReviewsPage { frame, asked, reward, lines, next, trouble }))
}

fn line(frame: &Frame, id: String, review: Review) -> Line {
    Line {
        id,
        reward: frame.reward_name(&review.reward_id),
        stars: stars(review.stars),
        stars_words: frame.say("review-stars", [("count", review.stars.into())]),
        author: review.author.unwrap_or_else(|| frame.t("review-anonymous")),
        order: review.order_id.to_string(),
        when: frame.clock_time(review.changed_at.unwrap_or(review.written_at)),
        text: review.text,
        reason: review.reason,
        may_approve: review.standing != Standing::Approved,
        may_reject: review.standing != Standing::Rejected,
    }
}

async fn page(frame: Frame, State(state): State<AppState>, Query(asked): Query<Asked>) -> Result<Response, PageError> {
    show(frame, &state, asked, None).await
}

#[derive(Deserialize)]
#[serde(default)]
#[derive(Default)]
struct DecisionForm {
    decision: String,
    reason: String,
    /// Which list to go back to.
    state: String,
    reward: String,
}

async fn decide(
    frame: Frame,
    State(state): State<AppState>,
    Path(id): Path<String>,
    Form(form): Form<DecisionForm>,
) -> Result<Response, PageError> {
    let decision = match form.decision.as_str() {
        "approve" => Decision::Approve,
        "reject" => Decision::Reject(form.reason.trim()),
        _ => return Err(PageError::not_found(&frame)),
    };
    let back = Asked { state: form.state, reward: form.reward, after: String::new() };
    match reviews::decide(&state, &frame.actor, &id, &decision).await {
        Ok(_) => Ok(Redirect::to(&back.address("")).into_response()),
        Err(problem) if problem.status == 404 => Err(PageError::not_found(&frame)),
        Err(problem) => {
            let trouble = match form.reason.trim() {
                "" => frame.t("review-reason-needed"),
                _ => frame.trouble(&problem)?,
            };
            Ok(unprocessable(show(frame, &state, back, Some(trouble)).await?))
        }
    }
}
