//! Reviews of rewards: read, write, and decide which others may read.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use guerdon_core::id::{MemberId, OrderId};
use guerdon_core::rewards::Rating;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::extract::{Body, Params, Path, id, page_limit};
use super::members::unknown_member;
use super::rewards::unknown_reward;
use super::views::Page;
use crate::AppState;
use crate::identity::actor::Actor;
use crate::problem::Problem;
use crate::reviews::{self, Decision, Review, Said, Standing};

pub(super) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(of_reward, write))
        .routes(routes!(of_member))
        .routes(routes!(queue))
        .routes(routes!(decide))
}

/// What the reviews of a reward come to.
#[derive(Serialize, ToSchema)]
pub(super) struct RatingView {
    /// Stars on average, with one decimal: `4.7`.
    average: String,
    /// How many reviews.
    count: i64,
}

impl RatingView {
    /// `None`: there are no reviews.
    pub(super) fn of(rating: Option<&Rating>) -> Option<Self> {
        let rating = rating?;
        rating.average().map(|average| Self { average, count: rating.count })
    }
}

/// A review as everybody may read it.
#[derive(Serialize, ToSchema)]
struct PublicReview {
    /// `rev_…`.
    id: String,
    /// 1 to 5.
    stars: i64,
    /// What its author says, as plain text: escape it where it is shown.
    text: String,
    /// The author's name, masked: `A****`; left out: it is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    author: Option<String>,
    /// RFC 3339.
    written_at: String,
    /// When it was written anew, RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    changed_at: Option<String>,
}

/// A review with everything about it.
#[derive(Serialize, ToSchema)]
struct ReviewView {
    /// What everybody may read.
    #[serde(flatten)]
    review: PublicReview,
    /// What it is about.
    reward_id: String,
    /// `mem_…`, who wrote it.
    member_id: String,
    /// `ord_…`, by which they had it.
    order_id: String,
    /// `waiting` for somebody to look at it, `approved`, or `rejected`.
    state: &'static str,
    /// Why it was rejected.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

fn public(id: String, review: &Review) -> PublicReview {
    PublicReview {
        id,
        stars: review.stars,
        text: review.text.clone(),
        author: review.author.clone(),
        written_at: review.written_at.to_string(),
        changed_at: review.changed_at.map(|at| at.to_string()),
    }
}

fn view(id: String, review: Review) -> ReviewView {
    ReviewView {
        review: public(id, &review),
        member_id: review.member_id.to_string(),
        order_id: review.order_id.to_string(),
        state: review.standing.name(),
        reward_id: review.reward_id,
        reason: review.reason,
    }
}

/// The reviews of a reward.
#[derive(Serialize, ToSchema)]
struct RewardReviews {
    /// The reviews, the latest first.
    items: Vec<PublicReview>,
    /// Give this as `after` for the next page; left out on the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
    /// What all of them come to; left out: there are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    rating: Option<RatingView>,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct PageParams {
    /// Items of a page, 1–200; 50 when left out.
    limit: Option<i64>,
    /// The cursor of the page before.
    after: Option<String>,
}

/// List the reviews of a reward that everybody may read, the latest first.
#[utoipa::path(get, path = "/v1/rewards/{reward_id}/reviews", tag = "reviews", security(("key" = ["rewards:read"])),
    params(("reward_id" = String, Path), PageParams),
    responses((status = 200, body = RewardReviews), (status = 400, body = Problem), (status = 404, body = Problem)))]
async fn of_reward(
    State(state): State<AppState>,
    Path(reward): Path<String>,
    Params(params): Params<PageParams>,
) -> Result<Json<RewardReviews>, Problem> {
    let limit = page_limit(params.limit)?;
    if state.program().reward(&reward).is_none() {
        return Err(unknown_reward(&reward));
    }
    let found = reviews::of_reward(&state, &reward, params.after.as_deref(), limit.saturating_add(1)).await?;
    let ratings = reviews::ratings(&state, &[&reward]).await?;
    let more = found.len() as i64 > limit;
    let kept = usize::try_from(limit).unwrap_or(usize::MAX);
    let items: Vec<PublicReview> =
        found.into_iter().take(kept).map(|(record, review)| public(record.id, &review)).collect();
    let next = items.last().filter(|_| more).map(|last| last.id.clone());
    Ok(Json(RewardReviews { items, next, rating: RatingView::of(ratings.get(&reward)) }))
}

/// What a member says of a reward.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct RewardReviewRequest {
    /// The member's own completed order of the reward.
    order_id: String,
    /// 1 to 5.
    #[schema(minimum = 1, maximum = 5)]
    stars: i64,
    /// In their words: plain text, of which each run of spaces and lines counts as one space.
    #[schema(max_length = 1000)]
    text: String,
}

/// Write a review for the member of an order, or write it anew: there is one for each member and reward. Whether it waits for
/// somebody to look at it, the program says.
#[utoipa::path(post, path = "/v1/rewards/{reward_id}/reviews", tag = "reviews", security(("key" = ["orders:write"])),
    params(("reward_id" = String, Path)), request_body = RewardReviewRequest,
    responses((status = 200, body = ReviewView), (status = 404, body = Problem),
        (status = 409, description = "`reviews_not_taken`, `order_not_completed`, `no_reward`: the order pays at a till; or \
            `too_many_changes`", body = Problem),
        (status = 422, body = Problem),
        (status = 429, description = "`too_many_reviews` within an hour", body = Problem)))]
async fn write(
    State(state): State<AppState>,
    Path(reward): Path<String>,
    Body(request): Body<RewardReviewRequest>,
) -> Result<Json<ReviewView>, Problem> {
    let said = Said::new(request.stars, &request.text)?;
    let order: OrderId = id(&request.order_id)?;
    let found = state.reader.order(order).await?.filter(|order| order.reward_id == reward);
    let found = found.ok_or_else(|| {
        let shown: String = reward.chars().take(64).collect();
        Problem::not_found("unknown_order", format!("there is no order {order} of `{shown}`"))
    })?;
    let (id, review) = reviews::write(&state, &found, &said).await?;
    Ok(Json(view(id, review)))
}

/// List what a member has written, the latest first, also what nobody else may read.
#[utoipa::path(get, path = "/v1/members/{member_id}/reviews", tag = "reviews", security(("key" = ["members:read"])),
    params(("member_id" = String, Path)),
    responses((status = 200, body = Vec<ReviewView>), (status = 404, body = Problem)))]
async fn of_member(State(state): State<AppState>, Path(text): Path<String>) -> Result<Json<Vec<ReviewView>>, Problem> {
    let resolved = state.reader.resolve(id::<MemberId>(&text)?).await?;
    let (member, account) = resolved.ok_or_else(|| unknown_member(&text))?;
    let accounts: Vec<MemberId> = account.merged_from.into_iter().chain([member]).collect();
    let found = reviews::of_member(&state, &accounts).await?;
    Ok(Json(found.into_iter().map(|(record, review)| view(record.id, review)).collect()))
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct QueueParams {
    /// `waiting` (when left out) or `rejected`.
    state: Option<String>,
    /// Items of a page, 1–200; 50 when left out.
    limit: Option<i64>,
    /// The cursor of the page before.
    after: Option<String>,
}

/// List the reviews that wait for somebody to look at them, or were rejected, oldest first.
#[utoipa::path(get, path = "/v1/reviews", tag = "reviews", security(("key" = ["reviews:moderate"])), params(QueueParams),
    responses((status = 200, body = Page<ReviewView>), (status = 400, body = Problem)))]
async fn queue(
    State(state): State<AppState>,
    Params(params): Params<QueueParams>,
) -> Result<Json<Page<ReviewView>>, Problem> {
    let limit = page_limit(params.limit)?;
    let standing = match params.state.as_deref() {
        None | Some("waiting") => Standing::Waiting,
        Some("rejected") => Standing::Rejected,
        Some(_) => return Err(Problem::bad_request("invalid_query", "`state` must be `waiting` or `rejected`")),
    };
    let found = reviews::queue(&state, standing, params.after, limit.saturating_add(1)).await?;
    let page = Page::cut(found, limit, |(record, _)| record.id.clone());
    Ok(Json(page.map(|(record, review)| view(record.id, review))))
}

/// What is decided of a review.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct DecisionRequest {
    /// Whether everybody may read it.
    approve: bool,
    /// Why not; needed to reject. Its author reads it.
    reason: Option<String>,
}

/// Approve or reject a review, also one that was decided before.
#[utoipa::path(post, path = "/v1/reviews/{review_id}/decision", tag = "reviews",
    security(("key" = ["reviews:moderate"])), params(("review_id" = String, Path)), request_body = DecisionRequest,
    responses((status = 200, body = ReviewView), (status = 404, body = Problem), (status = 422, body = Problem)))]
async fn decide(
    State(state): State<AppState>,
    actor: Actor,
    Path(review_id): Path<String>,
    Body(request): Body<DecisionRequest>,
) -> Result<(StatusCode, Json<ReviewView>), Problem> {
    let reason = request.reason.unwrap_or_default();
    let decision = if request.approve { Decision::Approve } else { Decision::Reject(reason.trim()) };
    let review = reviews::decide(&state, &actor, &review_id, &decision).await?;
    Ok((StatusCode::OK, Json(view(review_id, review))))
}
