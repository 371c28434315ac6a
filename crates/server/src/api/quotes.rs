//! Quotes: the price of a redemption, how it is made, and a promise of it for ten minutes.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use guerdon_core::id::MemberId;
use guerdon_core::kernel::{Refusal, RefusalCode, check_active, check_quantity};
use guerdon_core::ledger::Account;
use guerdon_core::program::Program;
use guerdon_core::rewards::{
    Cash, CashRange, CurveStep, Hidden, How, Occasion, Place, Quote, Reward, Split, Step, TierPrice, Viewer,
};
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
    /// Pay so many points, and the rest in money, where the price allows it.
    points: Option<i64>,
    /// Pay up to so much money, in minor units, and the rest in points, where the price allows it.
    cash: Option<i64>,
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
    /// Points in all, without what is paid in money.
    pub(crate) points: i64,
    /// The currency's code.
    currency: String,
    /// What is paid in money besides; the order names its `tender`.
    #[serde(skip_serializing_if = "Option::is_none")]
    cash: Option<CashView>,
    /// Between what the price may be split into points and money; left out: it is paid in points alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    cash_range: Option<CashRangeView>,
    /// Until when it is promised.
    #[schema(value_type = String, format = DateTime)]
    expires_at: Timestamp,
    /// How the price is made, one step after the other; each is rounded up to whole points.
    steps: Vec<StepView>,
}

/// Money that takes the place of points.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct CashView {
    /// Minor units.
    amount: i64,
    /// ISO 4217 code of the money.
    #[schema(example = "CNY")]
    money: String,
    /// The points that it takes the place of.
    points: i64,
}

/// The bounds of a split.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct CashRangeView {
    /// With the least money.
    least: CashView,
    /// With the most.
    most: CashView,
}

impl QuoteView {
    /// Minor units of money that are paid besides.
    pub(crate) fn cash_amount(&self) -> Option<i64> {
        self.cash.as_ref().map(|cash| cash.amount)
    }

    /// Points for one unit.
    pub(crate) fn unit(&self) -> i64 {
        self.unit_price
    }
}

impl CashView {
    fn new(program: &Program, Cash { amount, points }: Cash) -> Self {
        Self { amount, points, money: program.settings.money.clone() }
    }
}

/// One step of a price. What a reward costs the program is not told.
#[derive(Debug, Clone, Default, Serialize, ToSchema)]
pub struct StepView {
    /// `points`, `cost`, `tier`, `season`, `offer`, `demand`, `cold`, `group`, `quantity`, `curve` or `cash`.
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
    /// Of cash: minor units of money that take the place of points.
    #[serde(skip_serializing_if = "Option::is_none")]
    amount: Option<i64>,
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
            How::Group(percent) => Self { percent: Some(percent), ..named("group") },
            How::Cash(amount) => Self { amount: Some(amount), ..named("cash") },
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
    let QuoteRequest { member_id, external_id, card, reward_id, quantity, points, cash } = &request;
    let split = wanted_split(*points, *cash)?;
    let member = named_member(&state, member_id.as_deref(), external_id.as_deref(), card.as_deref()).await?;
    let asking = Asking::of(&state, member, reward_id, *quantity).await?;
    state.demand.seen(asking.reward()?, asking.at);
    Ok(Json(asking.quote(&state, split).await?))
}

/// How somebody wants to pay; `None`: in points alone.
pub(super) fn wanted_split(points: Option<i64>, cash: Option<i64>) -> Result<Option<Split>, Problem> {
    match (points, cash) {
        (None, None) => Ok(None),
        (Some(points), None) => Ok(Some(Split::Points(points))),
        (None, Some(cash)) => Ok(Some(Split::Money(cash))),
        (Some(_), Some(_)) => {
            Err(Problem::bad_request("invalid_request", "give `points` or `cash`, not both: one says the other"))
        }
    }
}

/// The price of a redemption now in points alone, promised to a member.
pub(crate) async fn quote(
    state: &AppState,
    member: MemberId,
    reward_id: &str,
    quantity: i64,
) -> Result<QuoteView, Problem> {
    split_quote(state, member, (reward_id, quantity), None).await
}

/// The price of a redemption now, split as wanted, promised to a member.
pub(crate) async fn split_quote(
    state: &AppState,
    member: MemberId,
    (reward_id, quantity): (&str, i64),
    split: Option<Split>,
) -> Result<QuoteView, Problem> {
    Asking::of(state, member, reward_id, Some(quantity)).await?.quote(state, split).await
}

/// A member who asks what so many of a reward cost, and may see it.
struct Asking {
    program: Arc<Program>,
    account: Account,
    member: MemberId,
    reward_id: String,
    quantity: i64,
    at: Timestamp,
}

impl Asking {
    async fn of(state: &AppState, member: MemberId, reward_id: &str, quantity: Option<i64>) -> Result<Self, Problem> {
        let quantity = quantity.unwrap_or(1);
        check_quantity(quantity)?;
        let (program, at) = (state.program(), state.engine.now());
        let account = state.reader.account(member).await?.ok_or_else(|| unknown_member(&member.to_string()))?;
        check_active(member, account.status)?;
        let asking = Self { program, account, member, reward_id: reward_id.to_owned(), quantity, at };
        asking.reward()?;
        asking.check_offered(state)?;
        Ok(asking)
    }

    fn reward(&self) -> Result<&Reward, Problem> {
        self.program.reward_at(&self.reward_id, self.at).ok_or_else(|| unknown_reward(&self.reward_id))
    }

    fn check_offered(&self, state: &AppState) -> Result<(), Problem> {
        let Some(offered) = self.program.offered_at(&self.reward_id, self.at) else { return Ok(()) };
        // Where the order will be made is told with it.
        let (thresholds, place) = (state.catalogue.scarce.thresholds(), Place::default());
        let viewer = Viewer::new(&self.program, Some(&self.account), &place, self.at).with_presale(&thresholds);
        match viewer.sees(offered) {
            Ok(()) | Err(Hidden::Store | Hidden::Channel) => Ok(()),
            Err(why) => {
                let problem = format!("reward `{}` is not offered: {why}", self.reward_id);
                Err(Refusal::new(RefusalCode::RewardNotOffered, problem).into())
            }
        }
    }

    /// The price now, split as wanted. It is no look at the reward: that counts whoever answers the member.
    async fn quote(&self, state: &AppState, split: Option<Split>) -> Result<QuoteView, Problem> {
        let Self { program, at, quantity, .. } = self;
        let (at, quantity, reward) = (*at, *quantity, self.reward()?);
        let figures = state.demand.figures(&state.reader, reward, at).await?;
        let tier = program.tiers.at(at).level_of(&self.account.standing).map(|level| level.tier.id.as_str());
        let priced = program
            .price(reward, Occasion { at, tier, figures, quantity })
            .map_err(|problem| Problem::from(Refusal::new(RefusalCode::InvalidAmount, problem)))?;
        let cash = split.map(|split| program.split(reward, priced.points, split, at)).transpose();
        let cash = cash.map_err(|problem| Problem::from(Refusal::new(RefusalCode::SplitNotOffered, problem)))?;
        let range = program.cash_range(reward, priced.points, at);
        let priced = match cash {
            None => priced,
            Some(cash) => priced.with_cash(cash),
        };
        let quote = Quote::new((self.member, &self.reward_id, quantity), reward.currency, &priced, at).with_cash(cash);
        Ok(QuoteView {
            quote: quote.seal(&state.keys()),
            member_id: self.member,
            reward_id: quote.reward_id,
            quantity,
            unit_price: priced.unit,
            points: priced.points,
            currency: program.currency(reward.currency).map(|currency| currency.code.clone()).unwrap_or_default(),
            expires_at: quote.promise.expires_at,
            cash: cash.map(|cash| CashView::new(program, cash)),
            cash_range: range.map(|CashRange { least, most }| {
                let [least, most] = [least, most].map(|cash| CashView::new(program, cash));
                CashRangeView { least, most }
            }),
            steps: priced.steps.into_iter().map(StepView::from).collect(),
        })
    }
}
