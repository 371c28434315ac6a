//! What operators do to accounts by hand: adjust, refund, merge, close. One place for the API and the console; each act asks
//! whether another operator must agree, and leaves its event in the audit log.

use std::sync::Arc;

use axum::http::StatusCode;
use guerdon_core::audit::AuditEvent;
use guerdon_core::id::MemberId;
use guerdon_core::identity::Permission;
use guerdon_core::kernel::{Amendment, Command, Mover, OrderAmendment, OrderChange, Rebooking, Reply};
use guerdon_core::program::Program;
use guerdon_core::redemption::{Order, OrderMove, PaymentMove, Shipment};
use guerdon_core::time::Timestamp;
use guerdon_store::Outcome;
use serde_json::{Value, json};

use crate::AppState;
use crate::approvals::{self, Act, Permit};
use crate::disputes;
use crate::identity::actor::Actor;
use crate::problem::Problem;

/// By whom, under which idempotency key, over which channel, and why.
pub struct By<'a> {
    /// Who.
    pub actor: &'a Actor,
    /// A repetition of the request has the same.
    pub key: &'a str,
    /// `api` or `console`.
    pub channel: &'static str,
    /// As the member and the audit log read it.
    pub reason: &'a str,
}

/// What became of an act.
pub enum Done {
    /// It was done.
    Now(Reply),
    /// It waits under this id for another operator.
    Waits(String),
}

/// Corrects a balance by hand; in the program's first currency when none is named.
pub async fn adjust(
    state: &AppState,
    by: &By<'_>,
    member: MemberId,
    currency: Option<&str>,
    points: i64,
) -> Result<Done, Problem> {
    let program = state.program();
    let named = match currency {
        None => program.currencies.first(),
        Some(code) => program.currency_by_code(code),
    };
    let currency = named.ok_or_else(|| {
        let known: Vec<&str> = program.currencies.iter().map(|currency| currency.code.as_str()).collect();
        let detail = format!("`currency` must be one of {}", known.join(", "));
        Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "unknown_currency", detail)
    })?;
    // Checked before anyone is asked.
    let command = Command::adjust(member, by.key, state.engine.now(), currency.id, points, by.reason)?;
    let (reason, key, channel) = (by.reason.to_owned(), by.key.to_owned(), by.channel.to_owned());
    let act = Act::Adjust { member, currency: currency.id.0, points, reason, key, channel };
    ask(state, by, act, command, by.event(state, "member.adjust", &member.to_string())).await
}

/// Refunds an order. The points go to the account that goes on, when that of the order was merged.
pub async fn refund(state: &AppState, by: &By<'_>, order: &Order) -> Result<Done, Problem> {
    let (owner, member) = (order.member_id, mover(state, order).await?);
    let command = Command::refund(member, owner, by.key, state.engine.now(), order.id, by.reason)?;
    let (reason, key, channel) = (by.reason.to_owned(), by.key.to_owned(), by.channel.to_owned());
    let points = order.worth_in_points();
    let act = Act::Refund { member, owner, order: order.id, points, reason, key, channel };
    let mut event = by.event(state, "order.refund", &order.id.to_string());
    event.after = json!({ "worth": points });
    let done = ask(state, by, act, command, event).await?;
    if matches!(done, Done::Now(_)) {
        disputes::settle_quietly(state, order.id).await;
    }
    Ok(done)
}

/// Moves an order on, in the name of the account that goes on when that of the order was merged: one account alone moves an
/// order, so that no two writers do.
pub async fn move_order(
    state: &AppState,
    by: &By<'_>,
    order: &Order,
    step: OrderMove,
    shipment: Option<Shipment>,
) -> Result<Done, Problem> {
    if step == OrderMove::Refund {
        return refund(state, by, order).await;
    }
    let reason = Some(by.reason.to_owned()).filter(|reason| !reason.is_empty());
    let change = OrderChange { order: order.id, owner: order.member_id, step, reason, shipment };
    let member = mover(state, order).await?;
    let command = Command::move_order(member, by.key, state.engine.now(), change)?;
    let event = by.event(state, &format!("order.{}", step.name()), &order.id.to_string());
    submit(state, by, command, event).await.map(Done::Now)
}

/// Notes that the money of an order went from hand to hand.
pub async fn move_payment(
    state: &AppState,
    by: &By<'_>,
    order: &Order,
    step: PaymentMove,
    reference: Option<String>,
) -> Result<Reply, Problem> {
    let reason = Some(by.reason.to_owned()).filter(|reason| !reason.is_empty());
    let change = Amendment::Payment { step, reference, reason };
    let amendment = OrderAmendment { order: order.id, owner: order.member_id, change };
    let command = Command::amend(mover(state, order).await?, by.key, state.engine.now(), amendment)?;
    let event = by.event(state, &format!("payment.{}", step.name()), &order.id.to_string());
    submit(state, by, command, event).await
}

/// Moves the appointment of an order to another slot.
pub async fn rebook(state: &AppState, by: &By<'_>, order: &Order, slot: &str) -> Result<Done, Problem> {
    let reason = Some(by.reason.to_owned()).filter(|reason| !reason.is_empty());
    let rebooking = Rebooking { order: order.id, owner: order.member_id, slot: slot.to_owned(), reason };
    let member = mover(state, order).await?;
    let command = Command::rebook(member, by.key, state.engine.now(), rebooking)?;
    submit(state, by, command, by.event(state, "order.rebook", &order.id.to_string())).await.map(Done::Now)
}

/// The account that moves an order: its own, or the one that goes on.
pub async fn mover(state: &AppState, order: &Order) -> Result<MemberId, Problem> {
    Ok(state.reader.resolve(order.member_id).await?.map_or(order.member_id, |(member, _)| member))
}

/// Who would move orders now: by which of their moves something is offered is by which it is done.
pub struct Moving {
    program: Arc<Program>,
    at: Timestamp,
    channel: &'static str,
    actor: String,
}

impl Moving {
    /// Somebody, over a channel: `api`, `console` or `portal`.
    pub fn by(state: &AppState, actor: &Actor, channel: &'static str) -> Self {
        Self { program: state.program(), at: state.engine.now(), channel, actor: actor.name() }
    }

    /// The moves of an order that are possible for them now, those among them that somebody chooses. Which of them they have
    /// the permission for is [`permission_of`]'s.
    pub fn moves(&self, order: &Order) -> Vec<OrderMove> {
        let mover =
            Mover { program: &self.program, at: self.at, channel: self.channel, actor: Some(self.actor.as_str()) };
        mover.moves(order).filter(|step| permission_of(*step).is_some()).collect()
    }
}

/// The permission that a move of an order needs. `None`: it is no move that somebody chooses.
pub fn permission_of(step: OrderMove) -> Option<Permission> {
    match step {
        OrderMove::Claim | OrderMove::Review | OrderMove::Approve | OrderMove::Reject => Some(Permission::OrdersReview),
        OrderMove::Fulfil
        | OrderMove::Ship
        | OrderMove::Issue
        | OrderMove::Complete
        | OrderMove::Cancel
        | OrderMove::Fail => Some(Permission::OrdersWrite),
        OrderMove::Refund => Some(Permission::OrdersRefund),
        // Disputes are opened and declined by operations of their own.
        OrderMove::Expire | OrderMove::Dispute | OrderMove::Decline => None,
    }
}

/// The move of a name, among those that a permission is for.
pub fn move_named(name: &str, permission: Permission) -> Option<OrderMove> {
    moves_for(permission).find(|step| step.name() == name)
}

/// The moves that a permission is for.
pub fn moves_for(permission: Permission) -> impl Iterator<Item = OrderMove> {
    OrderMove::ALL.into_iter().filter(move |step| permission_of(*step) == Some(permission))
}

/// Merges the account of `from` into that of `into`, which goes on.
pub async fn merge(state: &AppState, by: &By<'_>, from: MemberId, into: MemberId) -> Result<Done, Problem> {
    let command = Command::merge(from, into, by.key, state.engine.now(), by.reason)?;
    let mut event = by.event(state, "member.merge", &into.to_string());
    event.before = json!({ "from": from });
    let balances = state.reader.account(from).await?.map(|account| account.wallets).unwrap_or_default();
    let balances = balances.iter().map(|wallet| wallet.balance());
    let points = balances.fold(0_i64, |sum, balance| {
        sum.saturating_add(balance.available).saturating_add(balance.pending).saturating_add(balance.held)
    });
    let (reason, key, channel) = (by.reason.to_owned(), by.key.to_owned(), by.channel.to_owned());
    ask(state, by, Act::Merge { from, into, points, reason, key, channel }, command, event).await
}

/// Closes an account for ever.
pub async fn close(state: &AppState, by: &By<'_>, member: MemberId) -> Result<Reply, Problem> {
    let command = Command::close(member, by.key, state.engine.now(), by.reason)?;
    submit(state, by, command, by.event(state, "member.close", &member.to_string())).await
}

impl By<'_> {
    /// What the audit log is to say of it.
    pub(crate) fn event(&self, state: &AppState, action: &str, subject: &str) -> AuditEvent {
        let mut event = self.actor.event(state.clock(), action, subject);
        self.reason.clone_into(&mut event.reason);
        event
    }
}

async fn ask(state: &AppState, by: &By<'_>, act: Act, command: Command, event: AuditEvent) -> Result<Done, Problem> {
    match approvals::ask(state, by.actor, act, by.reason, Some(by.key)).await? {
        Permit::Waits(id) => Ok(Done::Waits(id)),
        Permit::Now => submit(state, by, command, event).await.map(Done::Now),
    }
}

/// Does it. Once it is done, the audit log says who did it, and names its transaction.
pub(crate) async fn submit(
    state: &AppState,
    by: &By<'_>,
    command: Command,
    mut event: AuditEvent,
) -> Result<Reply, Problem> {
    let outcome: Outcome = state.engine.submit_one(command.from_channel(by.channel).by(by.actor.name())).await;
    let reply = outcome?;
    if !reply.replayed {
        let receipt: Value = serde_json::from_str(&reply.receipt).unwrap_or_default();
        let worth = event.after.get("worth").cloned();
        event.after = json!({ "transaction_id": receipt.get("transaction_id"), "points": receipt.get("points") });
        if let (Some(worth), Some(after)) = (worth, event.after.as_object_mut()) {
            after.insert("worth".to_owned(), worth);
        }
        if let Err(error) = state.engine.write_records(Vec::new(), vec![event]).await {
            // The act stands in the journal; who did it is in this line at least.
            tracing::error!(%error, "an act of administration was done, but the audit log does not say so");
        }
    }
    Ok(reply)
}
