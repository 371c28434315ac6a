//! Quotes: the price of a redemption, how it is made, and a promise of it for ten minutes.

use axum::Json;
use axum::extract::State;
use guerdon_core::id::MemberId;
use guerdon_core::kernel::{Refusal, RefusalCode, check_active, check_quantity};
use guerdon_core::rewards::{CurveStep, Hidden, How, Occasion, Place, Quote, Step, TierPrice, Viewer};
use guerdon_core::time::Timestamp;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::cards::named_member;
use super::extract::Body;
use super::members::unknown_member;
use super::rewards::unknown_reward;
use crate::AppState;
use crate::problem::Problem;

pub(super) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(create))
}

/// What is to be priced, and for whom.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct QuoteRequest {
    /// `mem_…`; or give `external_id` or `card`.
    member_id: Option<String>,
    /// The brand's own number of the member.
    external_id: Option<String>,
    /// The member's card: the text of its QR code, or the number of its bar code.
    card: Option<String>,
    /// What.
    reward_id: String,
    /// How many; 1 when left out.
    quantity: Option<i64>,
}

/// A price that is promised.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct QuoteView {
    /// What an order names to get this price: opaque, and only for this member, reward and quantity.
    pub(crate) quote: String,
    /// To whom.
    #[schema(value_type = String, example = "mem_066ahg5mr0000")]
    member_id: MemberId,
    /// For what.
    reward_id: String,
    /// For how many.
    quantity: i64,
    /// Points for one unit; with a `curve` an order costs less than its units.
    unit_price: i64,
    /// Points in all.
    pub(crate) points: i64,
    /// The currency's code.
    currency: String,
    /// Until when it is promised.
    #[schema(value_type = String, format = DateTime)]
    expires_at: Timestamp,
    /// How the price is made, one step after the other; each is rounded up to whole points.
    steps: Vec<StepView>,
}

/// One step of a price. What a reward costs the program is not told.
#[derive(Debug, Clone, Default, Serialize, ToSchema)]
pub struct StepView {
    /// `points`, `cost`, `tier`, `season`, `offer`, `demand`, `cold`, `quantity` or `curve`.
    #[schema(example = "tier")]
    step: &'static str,
    /// Points before it; 0 before the first.
    before: i64,
    /// Points after it.
    after: i64,
    /// Of a tier: the tier that the price is for, the member's or one below it.
    #[serde(skip_serializing_if = "Option::is_none")]
    tier: Option<String>,
    /// Per cent of the price before; of demand, per cent on top of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "90")]
    percent: Option<Decimal>,
    /// Of demand: per cent of the price for the tier, above which it does not lift the price.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "115")]
    ceiling: Option<Decimal>,
    /// Of cold: for how many days at the least nobody has ordered it.
    #[serde(skip_serializing_if = "Option::is_none")]
    days: Option<i32>,
    /// Of a cost: what a point is worth, in major units of money.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "0.01")]
    point_value: Option<Decimal>,
    /// Of the quantity: how many units.
    #[serde(skip_serializing_if = "Option::is_none")]
    quantity: Option<i64>,
    /// Of the curve: what the first points of an order are worth.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    curve: Vec<CurveStepView>,
}

/// What some of the first points of an order are worth.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct CurveStepView {
    /// Up to how many points of the order.
    #[schema(example = 1000)]
    up_to: i64,
    /// Per cent of a later point that each of them is worth.
    #[schema(value_type = String, example = "120")]
    worth: Decimal,
}

impl From<Step> for StepView {
    fn from(step: Step) -> Self {
        let Step { how, before, after } = step;
        let named = |step: &'static str| Self { step, before, after, ..Self::default() };
        match how {
            How::Points => named("points"),
            How::Cost { value, .. } => Self { point_value: Some(value), ..named("cost") },
            How::Tier { tier, price } => {
                let percent = match price {
                    TierPrice::Points(_) => None,
                    TierPrice::Percent(percent) => Some(percent),
                };
                Self { tier: Some(tier), percent, ..named("tier") }
            }
            How::Season(percent) => Self { percent: Some(percent), ..named("season") },
            How::Offer(percent) => Self { percent: Some(percent), ..named("offer") },
            How::Demand { percent, ceiling } => {
                Self { percent: Some(percent), ceiling: Some(ceiling), ..named("demand") }
            }
            How::Cold { days, percent } => Self { days: Some(days), percent: Some(percent), ..named("cold") },
            How::Quantity(quantity) => Self { quantity: Some(quantity), ..named("quantity") },
            How::Curve(curve) => {
                let step = |CurveStep { up_to, worth }| CurveStepView { up_to, worth };
                Self { curve: curve.into_iter().map(step).collect(), ..named("curve") }
            }
        }
    }
}

/// Ask for the price of a redemption, and have it promised for 10 minutes: an order that names the `quote` until then costs
/// that, whatever is published or in demand meanwhile. It sets nothing aside.
#[utoipa::path(post, path = "/v1/quotes", tag = "orders",
    security(("key" = ["orders:write"])), request_body = QuoteRequest,
    responses((status = 200, body = QuoteView), (status = 404, body = Problem),
        (status = 409, description = "The account is closed, merged or erased", body = Problem),
        (status = 422, description = "Not as asked for, or a card that is not accepted", body = Problem)))]
async fn create(State(state): State<AppState>, Body(request): Body<QuoteRequest>) -> Result<Json<QuoteView>, Problem> {
    let QuoteRequest { member_id, external_id, card, reward_id, quantity } = &request;
    let member = named_member(&state, member_id.as_deref(), external_id.as_deref(), card.as_deref()).await?;
    Ok(Json(quote(&state, member, reward_id, quantity.unwrap_or(1)).await?))
}

/// The price of a redemption now, promised to a member.
pub(crate) async fn quote(
    state: &AppState,
    member: MemberId,
    reward_id: &str,
    quantity: i64,
) -> Result<QuoteView, Problem> {
    check_quantity(quantity)?;
    let (program, at) = (state.program(), state.engine.now());
    let account = state.reader.account(member).await?.ok_or_else(|| unknown_member(&member.to_string()))?;
    check_active(member, account.status)?;
    let reward = program.reward_at(reward_id, at).ok_or_else(|| unknown_reward(reward_id))?;
    if let Some(offered) = program.offered_at(reward_id, at) {
        // Where the order will be made is told with it.
        let thresholds = state.catalogue.scarce.thresholds();
        match Viewer::new(&program, Some(&account), &Place::default(), at).with_presale(&thresholds).sees(offered) {
            Ok(()) | Err(Hidden::Store | Hidden::Channel) => {}
            Err(why) => {
                let problem = format!("reward `{reward_id}` is not offered: {why}");
                return Err(Refusal::new(RefusalCode::RewardNotOffered, problem).into());
            }
        }
    }
    state.demand.seen(reward, at);
    let figures = state.demand.figures(&state.reader, reward, at).await?;
    let tier = program.tiers.at(at).level_of(&account.standing).map(|level| level.tier.id.as_str());
    let priced = program
        .price(reward, Occasion { at, tier, figures, quantity })
        .map_err(|problem| Problem::from(Refusal::new(RefusalCode::InvalidAmount, problem)))?;
    let quote = Quote::new((member, reward_id, quantity), reward.currency, &priced, at);
    Ok(QuoteView {
        quote: quote.seal(&state.keys()),
        member_id: member,
        reward_id: quote.reward_id,
        quantity,
        unit_price: priced.unit,
        points: priced.points,
        currency: program.currency(reward.currency).map(|currency| currency.code.clone()).unwrap_or_default(),
        expires_at: quote.promise.expires_at,
        steps: priced.steps.into_iter().map(StepView::from).collect(),
    })
}
