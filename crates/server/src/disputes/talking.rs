//! What is said in a dispute: by the member who opens it, and by both sides from then on.

use guerdon_core::kernel::{Command, OrderChange, RefusalCode, check_active};
use guerdon_core::ledger::AccountStatus;
use guerdon_core::redemption::{Order, OrderMove};
use guerdon_store::CommandError;

use super::telling::{News, tell};
use super::*;
use crate::acts::{self, By};
use crate::privacy::invalid;

/// Who says something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The member.
    Member,
    /// Whoever decides.
    Staff,
}

/// One paragraph, within its limit.
fn plain(text: &str) -> Result<String, Problem> {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    limits::check_text("text", &text, limits::DISPUTE_CHARS).map_err(invalid)?;
    Ok(text)
}

/// Opens the dispute of an order. Repeating it opens it once. Where a try was cut off between the order and what is said, whatever
/// is said next opens it.
pub async fn open(
    state: &AppState,
    by: &By<'_>,
    order: &Order,
    kind: Grievance,
    text: &str,
) -> Result<Dispute, Problem> {
    let text = plain(text)?;
    let member = acts::mover(state, order).await?;
    // Of a member who was erased nothing is kept any more.
    if let Some(AccountStatus::Erased { at }) = state.reader.account(member).await?.map(|account| account.status) {
        check_active(member, AccountStatus::Erased { at })?;
    }
    let known = find(state, order.id).await?;
    if known.is_some() || !order.is_disputed() {
        mark(state, by, order, (member, kind)).await?;
    }
    if let Some(known) = find(state, order.id).await? {
        return Ok(known);
    }
    let now = state.clock();
    let (order_id, due_at) = (order.id, Some(now.plus_millis(ANSWER_MS)));
    let mut dispute =
        Dispute { order_id, member_id: member, kind, opened_at: now, due_at, end: None, sealed: String::new() };
    dispute.keep(state, &[Message { at: now, by_member: true, actor: by.actor.name(), text }])?;
    let lead = format!("{member}/{order_id}");
    let changes = vec![
        RecordChange::Put(Record::new(DISPUTE, &order_id.to_string(), OPEN, &dispute)?),
        RecordChange::Put(Record::new(DISPUTE_OF, &lead, &member.to_string(), &order_id)?),
    ];
    match state.engine.write_records(changes, Vec::new()).await {
        Ok(()) => Ok(dispute),
        Err(CommandError::Conflict) => find(state, order_id).await?.ok_or_else(|| unknown(order_id)),
        Err(error) => Err(error.into()),
    }
}

/// Notes in the order that it is disputed. Where it was done already, and what is said was not kept, it is done.
async fn mark(
    state: &AppState,
    by: &By<'_>,
    order: &Order,
    (member, kind): (MemberId, Grievance),
) -> Result<(), Problem> {
    let (step, reason) = (OrderMove::Dispute, Some(kind.name().to_owned()));
    let change = OrderChange { order: order.id, owner: order.member_id, step, reason, shipment: None };
    let command = Command::move_order(member, by.key, state.engine.now(), change)?;
    match state.engine.submit_one(command.from_channel(by.channel).by(by.actor.name())).await {
        Ok(_) => Ok(()),
        Err(CommandError::Refused(refusal)) => {
            let now = state.reader.order(order.id).await?;
            let is_cut_off = refusal.code == RefusalCode::IllegalOrderMove && now.is_some_and(|now| now.is_disputed());
            if !is_cut_off || find(state, order.id).await?.is_some() {
                return Err(refusal.into());
            }
            Ok(())
        }
        Err(error) => Err(error.into()),
    }
}

/// Says something in a dispute that is open. What staff say is in the audit log, without its words, and the member is told.
pub async fn say(state: &AppState, by: &By<'_>, order: OrderId, side: Side, text: &str) -> Result<Dispute, Problem> {
    let text = plain(text)?;
    settle(state, order).await?;
    for _ in 0..TRIES {
        let none = || Problem::not_found("unknown_dispute", format!("nothing was said in a dispute of order {order}"));
        let (record, mut dispute) = read(state, order).await?.ok_or_else(none)?;
        if dispute.end.is_some() {
            return Err(Problem::new(
                StatusCode::CONFLICT,
                "dispute_closed",
                format!("the dispute of order {order} is closed"),
            ));
        }
        let mut messages = dispute.messages(state)?;
        let now = state.clock();
        let by_member = side == Side::Member;
        let last = messages.last();
        if last.is_some_and(|last| last.by_member == by_member && last.text == text) {
            // The same form sent twice.
            return Ok(dispute);
        }
        if messages.len() >= limits::DISPUTE_MESSAGES {
            let detail = format!("a dispute has at most {} messages; decide it", limits::DISPUTE_MESSAGES);
            return Err(Problem::new(StatusCode::CONFLICT, "too_many_messages", detail));
        }
        messages.push(Message { at: now, by_member, actor: by.actor.name(), text: text.clone() });
        dispute.keep(state, &messages)?;
        // Who writes again before they were answered has waited since the first time.
        dispute.due_at = match side {
            Side::Staff => None,
            Side::Member => dispute.due_at.or(Some(now.plus_millis(ANSWER_MS))),
        };
        let event = by.actor.event(now, "dispute.answer", &order.to_string());
        let events = if by_member { Vec::new() } else { vec![event] };
        match state.engine.write_records(vec![put(record, &dispute)?], events).await {
            Ok(()) => {
                if !by_member {
                    tell(state, &dispute, News::Answered).await;
                }
                return Ok(dispute);
            }
            Err(CommandError::Conflict) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(CommandError::Conflict.into())
}

/// Deletes what was said in the disputes of a member. That there were any stays in their orders, without a word. It may be
/// done again where it was cut off.
pub async fn erase(state: &AppState, member: MemberId) -> Result<(), Problem> {
    for lead in leads(state, member).await? {
        let order: OrderId = lead.read()?;
        let found = read(state, order).await?.map(|(record, _)| record);
        let changes = found.into_iter().chain([lead]).map(RecordChange::Delete).collect();
        state.engine.write_records(changes, Vec::new()).await?;
    }
    Ok(())
}
