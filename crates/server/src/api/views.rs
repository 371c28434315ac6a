//! The shapes that the API answers with.

use std::collections::BTreeMap;

use guerdon_core::id::MemberId;
use guerdon_core::ledger::{Account, AccountStatus, Lot, Wallet};
use guerdon_core::members::Profile;
use guerdon_core::privacy::mask;
use guerdon_core::program::Program;
use guerdon_core::redemption::{Benefit, Booked, Order, OrderMove, OrderStep, Payment, PaymentStep, Shipment};
use guerdon_core::rewards::{
    CashShare, Catalogue, Demand, DemandFigures, DemandStep, GroupPrice, Limit, Occasion, Reward, RewardKind, Scarcity,
    StockLevel, level_of, variant_key,
};
use guerdon_core::time::Timestamp;
use guerdon_store::StoreError;
use guerdon_store::read::{MemberRow, TransactionRow};
use rust_decimal::Decimal;
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::vouchers::HandedOutView;
use crate::AppState;
use crate::acts::Moving;

/// A member.
#[derive(Serialize, ToSchema)]
pub struct MemberView {
    /// `mem_…`.
    id: String,
    /// RFC 3339.
    enrolled_at: String,
    /// `active`, `closed`, `merged` or `erased`.
    status: &'static str,
    /// The member into whom this one was merged; left out: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    merged_into: Option<String>,
    /// The members who were merged into this one; their ids lead here.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    merged_from: Vec<String>,
    /// Points available in all currencies that can be spent.
    available: i64,
    /// The id of the tier, see `/tier`; left out: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    tier: Option<String>,
    /// RFC 3339; left out: never.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_activity_at: Option<String>,
    /// The profile with its personal fields masked, see `/reveal`; left out: it was erased.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Object)]
    profile: Option<Profile>,
    /// RFC 3339: when the personal data were erased; left out: they are there.
    #[serde(skip_serializing_if = "Option::is_none")]
    erased_at: Option<String>,
}

impl MemberView {
    /// A member with the profile masked.
    pub fn open(state: &AppState, row: MemberRow) -> Result<Self, StoreError> {
        let active = (row.last_activity_at != Timestamp::ZERO).then(|| row.last_activity_at.to_string());
        Ok(Self {
            id: row.id.to_string(),
            enrolled_at: row.enrolled_at.to_string(),
            status: row.status.name(),
            merged_into: match row.status {
                AccountStatus::Merged { into } => Some(into.to_string()),
                _ => None,
            },
            merged_from: row.merged_from.iter().map(MemberId::to_string).collect(),
            available: row.available,
            tier: tier(&state.program(), &row, state.engine.now()),
            last_activity_at: active,
            profile: state.profile(&row)?.map(|profile| mask::profile(&profile)),
            erased_at: row.stored.erased_at.map(|at| at.to_string()),
        })
    }
}

/// The id of the tier of a member whose account goes on.
fn tier(program: &Program, row: &MemberRow, now: Timestamp) -> Option<String> {
    let level = program.tiers.at(now).level_of(&row.standing).filter(|_| row.status == AccountStatus::Active);
    level.map(|level| level.tier.id.clone())
}

/// A page of a list.
#[derive(Serialize, ToSchema)]
pub struct Page<T> {
    /// The items.
    pub items: Vec<T>,
    /// Give this as `after` for the next page; left out on the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

impl<T> Page<T> {
    /// A page that was read with one item more than asked for, to see whether there is another.
    pub fn cut(mut rows: Vec<T>, limit: i64, cursor: impl Fn(&T) -> String) -> Self {
        let limit = usize::try_from(limit).unwrap_or_default();
        let more = rows.len() > limit;
        rows.truncate(limit);
        let next = rows.last().filter(|_| more).map(cursor);
        Self { items: rows, next }
    }

    /// The same page of other items.
    pub fn map<U>(self, convert: impl Fn(T) -> U) -> Page<U> {
        Page { items: self.items.into_iter().map(convert).collect(), next: self.next }
    }

    /// The same, where converting may fail.
    pub fn try_map<U, E>(self, convert: impl Fn(T) -> Result<U, E>) -> Result<Page<U>, E> {
        Ok(Page { items: self.items.into_iter().map(convert).collect::<Result<_, _>>()?, next: self.next })
    }
}

/// A lot of points.
#[derive(Serialize, ToSchema)]
pub struct LotView {
    /// Points that were credited to it.
    amount: i64,
    /// Points left.
    remaining: i64,
    /// Points set aside for orders.
    held: i64,
    /// RFC 3339; left out: active now.
    #[serde(skip_serializing_if = "Option::is_none")]
    active_at: Option<String>,
    /// RFC 3339, exclusive; left out: never.
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<String>,
}

/// A member's points in one currency.
#[derive(Serialize, ToSchema)]
pub struct WalletView {
    /// The currency's code.
    currency: String,
    /// Points that can be spent now.
    available: i64,
    /// Points that are not active yet.
    pending: i64,
    /// Points set aside for orders.
    held: i64,
    /// What the available points are worth, in minor units of the program's money.
    value: i64,
    /// Whether they can be spent; if not, they are tier value.
    spendable: bool,
    /// Totals over the wallet's life.
    #[schema(value_type = Object)]
    lifetime: guerdon_core::ledger::Lifetime,
    /// What expires next.
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_next: Option<ExpiryView>,
    /// What becomes active next, at the latest.
    #[serde(skip_serializing_if = "Option::is_none")]
    active_next: Option<ActiveView>,
    /// Points that returns should have taken back: what is earned next repays them. Left out: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    owed: Option<i64>,
    /// RFC 3339: when a part of what is available decays; left out: it does not.
    #[serde(skip_serializing_if = "Option::is_none")]
    decays_at: Option<String>,
    /// RFC 3339: when interest is paid; left out: none is.
    #[serde(skip_serializing_if = "Option::is_none")]
    interest_at: Option<String>,
    /// Lots, first-expiring first.
    lots: Vec<LotView>,
}

/// Points that expire together.
#[derive(Serialize, ToSchema)]
pub struct ExpiryView {
    /// How many.
    points: i64,
    /// RFC 3339, exclusive.
    expires_at: String,
}

/// Points that become active together.
#[derive(Serialize, ToSchema)]
pub struct ActiveView {
    /// How many.
    points: i64,
    /// RFC 3339.
    active_at: String,
}

fn active_next(wallet: &Wallet) -> Option<ActiveView> {
    let pending = wallet.lots.iter().filter(|lot| lot.key.active_at != Timestamp::ZERO && lot.remaining > 0);
    let active_at = pending.clone().map(|lot| lot.key.active_at).min()?;
    let points = pending.filter(|lot| lot.key.active_at == active_at).map(|lot| lot.remaining).sum();
    Some(ActiveView { points, active_at: active_at.to_string() })
}

fn lot_view(lot: &Lot) -> LotView {
    LotView {
        amount: lot.amount,
        remaining: lot.remaining,
        held: lot.held,
        active_at: (lot.key.active_at != Timestamp::ZERO).then(|| lot.key.active_at.to_string()),
        expires_at: (lot.key.expires_at != Timestamp::NEVER).then(|| lot.key.expires_at.to_string()),
    }
}

/// The wallets of an account at `now`.
pub fn wallets(program: &Program, account: &Account, now: Timestamp) -> Vec<WalletView> {
    account.wallets.iter().map(|wallet| wallet_view(program, account, wallet, now)).collect()
}

fn wallet_view(program: &Program, account: &Account, wallet: &Wallet, now: Timestamp) -> WalletView {
    let agenda = account.agenda.wallet(wallet.currency);
    let (balance, available) = (wallet.balance(), wallet.spendable(now));
    let mut live = wallet.lots.iter().filter(|lot| lot.key.expires_at > now);
    let next = live.find(|lot| lot.remaining > 0 && lot.key.expires_at != Timestamp::NEVER);
    WalletView {
        currency: program.currency(wallet.currency).map(|currency| currency.code.clone()).unwrap_or_default(),
        available,
        pending: balance.pending,
        held: balance.held,
        value: program.value_of(wallet.currency, available, now),
        spendable: program.currency(wallet.currency).is_none_or(|currency| currency.spendable),
        lifetime: wallet.lifetime,
        expires_next: next.map(|lot| ExpiryView { points: lot.remaining, expires_at: lot.key.expires_at.to_string() }),
        active_next: active_next(wallet),
        owed: (agenda.owed > 0).then_some(agenda.owed),
        decays_at: agenda.decay_at.map(|at| at.to_string()),
        interest_at: agenda.interest_at.map(|at| at.to_string()),
        lots: wallet.lots.iter().map(lot_view).collect(),
    }
}

/// A transaction with its explanation.
#[derive(Serialize, ToSchema)]
pub struct TransactionView {
    /// `txn_…`.
    id: String,
    /// `mem_…`.
    member_id: String,
    /// `enrol`, `activity`, `redeem`, `capture`, `release`, `refund`, `adjust`, `extend`, `merge`, `close` or `tick`.
    kind: &'static str,
    /// RFC 3339.
    at: String,
    /// Where the command came from.
    channel: String,
    /// The caller's own number.
    #[serde(skip_serializing_if = "Option::is_none")]
    reference: Option<String>,
    /// The receipt as it was answered, with the explanation of every point.
    #[schema(value_type = Object)]
    receipt: Box<RawValue>,
}

impl From<TransactionRow> for TransactionView {
    fn from(row: TransactionRow) -> Self {
        Self {
            id: row.id.to_string(),
            member_id: row.member_id.to_string(),
            kind: row.kind.name(),
            at: row.at.to_string(),
            channel: row.channel,
            reference: row.reference,
            receipt: RawValue::from_string(row.receipt).unwrap_or_default(),
        }
    }
}

/// How a price rises with the demand of the last hour. The step with the highest premium counts of those that are reached.
#[derive(Serialize, ToSchema)]
pub struct DemandView {
    /// The premiums, and what reaches them.
    steps: Vec<DemandStepView>,
    /// Per cent of the price for the member's tier, above which demand never lifts the price.
    #[schema(value_type = String, example = "115")]
    ceiling: Decimal,
    /// That in points, of the base price.
    #[serde(skip_serializing_if = "Option::is_none")]
    ceiling_points: Option<i64>,
}

/// A premium, and what reaches it: one of both.
#[derive(Serialize, ToSchema)]
pub struct DemandStepView {
    /// Orders of the last hour.
    #[serde(skip_serializing_if = "Option::is_none")]
    orders: Option<i64>,
    /// Views of the last hour.
    #[serde(skip_serializing_if = "Option::is_none")]
    views: Option<i64>,
    /// Per cent that come on top.
    #[schema(value_type = String, example = "5")]
    percent: Decimal,
}

impl DemandView {
    fn new(demand: &Demand, base_price: Option<i64>) -> Self {
        let step = |step: &DemandStep| DemandStepView { orders: step.orders, views: step.views, percent: step.percent };
        Self {
            steps: demand.steps.iter().map(step).collect(),
            ceiling: demand.ceiling,
            ceiling_points: base_price.and_then(|points| demand.ceiling_points(points)),
        }
    }
}

/// A reward.
#[derive(Serialize, ToSchema)]
pub struct RewardView {
    /// Its id.
    id: String,
    /// Its name by language, or one for all.
    #[schema(value_type = serde_json::Value)]
    name: guerdon_core::program::Text,
    /// Points that anyone pays for one now; a tier may pay less, and an order may pay less than its units together. Left
    /// out: more than an order can bear.
    #[serde(skip_serializing_if = "Option::is_none")]
    price: Option<i64>,
    /// Points for one before seasons, offers and demand.
    #[serde(skip_serializing_if = "Option::is_none")]
    base_price: Option<i64>,
    /// How the price rises with the demand of the last hour; left out: it does not.
    #[serde(skip_serializing_if = "Option::is_none")]
    demand: Option<DemandView>,
    /// Which share may be paid in money: `from_percent`, `to_percent`, `min_points`, `point_value`; left out: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    cash: Option<CashShare>,
    /// What friends pay who order together: `members` within `hours` pay `percent`; left out: there is no such price.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    group: Option<GroupPrice>,
    /// The currency's code.
    currency: String,
    /// Units that can still be ordered; left out: unlimited. Of a bundle, as many as there is everything for.
    #[serde(skip_serializing_if = "Option::is_none")]
    left: Option<i64>,
    /// That of variants with stock of their own.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    variants_left: BTreeMap<String, i64>,
    /// How many each member may order: `quantity`, `per` `day`, `week`, `month`, `year` or `lifetime`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<Object>)]
    limit: Vec<Limit>,
    /// What it is, and what that needs; left out: it is not said.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    kind: Option<RewardKind>,
    /// How it stands in the catalogue: description, categories, tags, market price, zone, for whom, where and when.
    #[serde(skip_serializing_if = "Catalogue::is_empty")]
    #[schema(value_type = Object)]
    catalogue: Catalogue,
    /// How it is shared out where there is not enough for all: pools, restocking, early access, waiting room.
    #[serde(skip_serializing_if = "Scarcity::is_empty")]
    #[schema(value_type = Object)]
    scarcity: Scarcity,
}

impl RewardView {
    /// A reward with its stock by keys, as it is at `at`.
    pub fn new(
        program: &Program,
        reward: &Reward,
        stock: &BTreeMap<String, StockLevel>,
        at: Timestamp,
        figures: Option<DemandFigures>,
    ) -> Self {
        let priced = program.price(reward, Occasion { at, tier: None, figures, quantity: 1 }).ok();
        let base_price = program.base_price(reward, at);
        let in_variant = |id: &str| stock.get(&variant_key(&reward.id, id)).map(StockLevel::free);
        let variants = reward.variants().iter().filter(|variant| variant.stock.is_some());
        let variants_left = variants.filter_map(|one| Some((one.id.clone(), in_variant(&one.id)?))).collect();
        Self {
            id: reward.id.clone(),
            name: reward.name.clone(),
            price: priced.map(|priced| priced.unit),
            base_price,
            cash: reward.price.cash.clone(),
            group: reward.price.group.clone(),
            demand: reward.price.demand.as_ref().map(|demand| DemandView::new(demand, base_price)),
            currency: program.currency(reward.currency).map(|currency| currency.code.clone()).unwrap_or_default(),
            left: level_of(reward, stock).map(|level| level.free().max(0)),
            variants_left,
            limit: reward.limit.clone(),
            kind: reward.kind.clone(),
            catalogue: reward.catalogue.clone(),
            scarcity: reward.scarcity.clone(),
        }
    }
}

/// An order.
#[derive(Serialize, ToSchema)]
pub struct OrderView {
    /// `ord_…`.
    id: String,
    /// `mem_…`.
    member_id: String,
    /// What is redeemed.
    reward_id: String,
    /// How many.
    quantity: i64,
    /// Points in all.
    points: i64,
    /// `placed`, `in_review`, `approved`, `fulfilling`: its points are set aside. `shipped`, `issued`, `completed`: they are
    /// spent. `rejected`, `cancelled`, `expired`, `refunded`: they were given back.
    state: &'static str,
    /// The moves that would be done now, if you asked for them; that a permission is missing is not told.
    moves: Vec<&'static str>,
    /// RFC 3339.
    created_at: String,
    /// RFC 3339.
    updated_at: String,
    /// When it expires, or is done, if nobody moves it before, RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    due_at: Option<String>,
    /// Until when it may be called off and is not fulfilled, RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    cooling_until: Option<String>,
    /// Who looks at it.
    #[serde(skip_serializing_if = "Option::is_none")]
    claimed_by: Option<String>,
    /// How it was sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    shipment: Option<ShipmentView>,
    /// What is paid in money; left out: nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    payment: Option<PaymentView>,
    /// The group of friends in which it was ordered; left out: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    group: Option<CompanionsView>,
    /// How its dispute stands: `open`, `refunded` or `declined`; left out: there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    dispute: Option<&'static str>,
    /// The variant that was chosen.
    #[serde(skip_serializing_if = "Option::is_none")]
    variant: Option<String>,
    /// Its appointment.
    #[serde(skip_serializing_if = "Option::is_none")]
    appointment: Option<AppointmentView>,
    /// Whether an address or an account was given to which it goes: see `/reveal`.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    has_delivery: bool,
    /// The privileges and trials that came with it, since they were handed over.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    benefits: Vec<BenefitView>,
    /// What carriers told of it on its way, oldest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tracking: Vec<super::tracking::TrackingView>,
    /// When and where it was handed out against its voucher.
    #[serde(skip_serializing_if = "Option::is_none")]
    handed_out: Option<HandedOutView>,
    /// Every state that it was in, oldest first; empty where it was made before histories were kept.
    history: Vec<OrderStepView>,
}

/// An appointment.
#[derive(Serialize, ToSchema)]
pub struct AppointmentView {
    /// The slot, as the free slots name it.
    #[schema(example = "2026-12-01T10:00@bund")]
    slot: String,
    /// RFC 3339.
    starts_at: String,
    /// RFC 3339, exclusive.
    ends_at: String,
    /// Where; left out: there is only one place.
    #[serde(skip_serializing_if = "Option::is_none")]
    store: Option<String>,
}

impl From<&Booked> for AppointmentView {
    fn from(booked: &Booked) -> Self {
        Self {
            slot: booked.slot.clone(),
            starts_at: booked.starts_at.to_string(),
            ends_at: booked.ends_at.to_string(),
            store: booked.store.clone(),
        }
    }
}

/// A privilege or trial that holds by an order.
#[derive(Serialize, ToSchema)]
pub struct BenefitView {
    /// The reward.
    reward_id: String,
    /// The order by which it holds.
    order_id: String,
    /// Since when, RFC 3339.
    from: String,
    /// Until when, RFC 3339, exclusive: the end of its last day.
    until: String,
}

impl BenefitView {
    /// What holds by an order at `at`, or later.
    pub fn of(order: &Order, at: Timestamp) -> Vec<Self> {
        let view = |(benefit, from, until): (&Benefit, Timestamp, Timestamp)| Self {
            reward_id: benefit.reward.clone(),
            order_id: order.id.to_string(),
            from: from.to_string(),
            until: until.to_string(),
        };
        order.benefits().filter(|(_, _, until)| *until > at).map(view).collect()
    }
}

/// How an order was sent.
#[derive(Serialize, ToSchema)]
pub struct ShipmentView {
    /// Who carries it.
    carrier: String,
    /// The number under which the carrier knows it.
    tracking_number: String,
}

/// What an order is paid in money.
#[derive(Serialize, ToSchema)]
pub struct PaymentView {
    /// How: `cash_on_delivery` or `test`.
    tender: &'static str,
    /// Minor units of the program's money.
    amount: i64,
    /// The points that it takes the place of.
    points: i64,
    /// `due`, `authorised`, `paid`, `returned`; `void`: nothing is to be paid any more; `declined`: the order is over.
    state: &'static str,
    /// What the tender, or whoever took it, calls it.
    #[serde(skip_serializing_if = "Option::is_none")]
    reference: Option<String>,
    /// What happened to it, oldest first.
    steps: Vec<PaymentStepView>,
}

/// One step of a payment.
#[derive(Serialize, ToSchema)]
pub struct PaymentStepView {
    /// The state it came to.
    state: &'static str,
    /// When, RFC 3339.
    at: String,
    /// The entry of the journal.
    transaction_id: String,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// By whom; left out: by the program itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    actor: Option<String>,
}

impl From<Payment> for PaymentView {
    fn from(payment: Payment) -> Self {
        let (state, reference) = (payment.state().name(), payment.reference().map(str::to_owned));
        let step = |step: PaymentStep| PaymentStepView {
            state: step.state.name(),
            at: step.at.to_string(),
            transaction_id: step.transaction_id.to_string(),
            reason: step.reason,
            actor: step.actor,
        };
        let Payment { tender, amount, points, steps } = payment;
        let steps = steps.into_iter().map(step).collect();
        Self { tender: tender.name(), amount, points, state, reference, steps }
    }
}

/// The group of an order. Who else is in it is not told.
#[derive(Serialize, ToSchema)]
pub struct CompanionsView {
    /// Its code.
    code: String,
    /// Until when it must be full, RFC 3339.
    ends_at: String,
    /// Whether it was full in time; until it is, the order waits.
    full: bool,
}

/// One step in the life of an order.
#[derive(Serialize, ToSchema)]
pub struct OrderStepView {
    /// The state it came to.
    state: &'static str,
    /// When, RFC 3339.
    at: String,
    /// The entry of the journal.
    #[serde(skip_serializing_if = "Option::is_none")]
    transaction_id: Option<String>,
    /// By whom; left out: by the program itself, or unknown.
    #[serde(skip_serializing_if = "Option::is_none")]
    actor: Option<String>,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

impl From<OrderStep> for OrderStepView {
    fn from(step: OrderStep) -> Self {
        Self {
            state: step.state.name(),
            at: step.at.to_string(),
            transaction_id: Some(step.transaction_id).filter(|id| id.0 != 0).map(|id| id.to_string()),
            actor: step.actor,
            reason: step.reason,
        }
    }
}

impl OrderView {
    /// An order, for who would move it.
    pub fn of(order: Order, moving: &Moving) -> Self {
        Self {
            id: order.id.to_string(),
            member_id: order.member_id.to_string(),
            reward_id: order.reward_id.clone(),
            quantity: order.quantity,
            points: order.points,
            state: order.state.name(),
            moves: moving.moves(&order).into_iter().map(OrderMove::name).collect(),
            created_at: order.created_at.to_string(),
            updated_at: order.updated_at.to_string(),
            due_at: order.due_at.map(|at| at.to_string()),
            cooling_until: order.details.cooling_until.map(|at| at.to_string()),
            variant: order.details.particulars.variant.clone(),
            appointment: order.details.particulars.booked().map(AppointmentView::from),
            has_delivery: order.details.particulars.delivery.is_some(),
            benefits: BenefitView::of(&order, Timestamp::ZERO),
            claimed_by: order.details.claimed_by,
            shipment: order.details.shipment.map(|sent| {
                let Shipment { carrier, tracking_number } = sent;
                ShipmentView { carrier, tracking_number }
            }),
            payment: order.details.particulars.payment.map(PaymentView::from),
            group: order.details.particulars.group.map(|group| CompanionsView {
                full: !group.is_open(),
                ends_at: group.ends_at.to_string(),
                code: group.code,
            }),
            dispute: order.details.particulars.dispute.as_ref().map(|disputed| match &disputed.ended {
                None => "open",
                Some(end) if end.refunded => "refunded",
                Some(_) => "declined",
            }),
            tracking: order.details.particulars.tracking.into_iter().map(Into::into).collect(),
            handed_out: order.details.particulars.handed_out.map(HandedOutView::from),
            history: order.details.history.into_iter().map(OrderStepView::from).collect(),
        }
    }
}
