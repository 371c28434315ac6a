//! Members' data: consent, export, erasure, retention, and the registers that a brand must keep.

pub mod bulk;
pub mod consent;
pub mod erasure;
pub mod export;
pub mod profile;
pub mod register;
pub mod retention;

use axum::http::StatusCode;
use guerdon_core::id::MemberId;
use guerdon_core::limits;
use guerdon_core::members::Profile;
use guerdon_core::privacy::mask;
use guerdon_core::redemption::{Delivery, Order};
use guerdon_store::read::MemberRow;
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::AppState;
use crate::approvals;
use crate::identity::actor::Actor;
use crate::order_choice;
use crate::problem::Problem;

/// Exports at once: each is put together in memory.
static EXPORTING: Semaphore = Semaphore::const_new(2);

/// Room for one more export; refused at once where there is none.
pub(crate) fn room_for_export() -> Result<SemaphorePermit<'static>, Problem> {
    EXPORTING.try_acquire().map_err(|_| {
        let problem = "other exports are being put together; try again in a few seconds";
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "busy", problem).after(5)
    })
}

pub(crate) fn invalid(detail: impl Into<String>) -> Problem {
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_request", detail)
}

/// A member by id, whichever account it lives on now.
pub async fn member(state: &AppState, id: MemberId) -> Result<MemberRow, Problem> {
    let unknown = || Problem::not_found("unknown_member", format!("there is no member `{id}`"));
    state.reader.member(id).await?.ok_or_else(unknown)
}

/// The profile of a member, masked. `None`: it was erased.
pub fn masked(state: &AppState, row: &MemberRow) -> Result<Option<Profile>, Problem> {
    Ok(state.profile(row)?.map(|profile| mask::profile(&profile)))
}

/// Where an order goes to, in full, for a reason that the audit log keeps. `None`: nowhere, or it was erased.
pub async fn reveal_delivery(
    state: &AppState,
    actor: &Actor,
    order: &Order,
    reason: &str,
) -> Result<Option<Delivery>, Problem> {
    limits::check_text("reason", reason, limits::TEXT_CHARS).map_err(invalid)?;
    approvals::check_looks(state, actor).await?;
    let mut event = actor.event(state.clock(), "order.reveal", &order.id.to_string());
    reason.clone_into(&mut event.reason);
    // Written before anything is shown, as of a profile.
    state.engine.write_records(Vec::new(), vec![event]).await?;
    Ok(order_choice::open(state, order).await?)
}

/// The profile of a member in full, for a reason that the audit log keeps.
pub async fn reveal(
    state: &AppState,
    actor: &Actor,
    row: &MemberRow,
    reason: &str,
) -> Result<Option<Profile>, Problem> {
    limits::check_text("reason", reason, limits::TEXT_CHARS).map_err(invalid)?;
    approvals::check_looks(state, actor).await?;
    let mut event = actor.event(state.clock(), "member.reveal", &row.id.to_string());
    reason.clone_into(&mut event.reason);
    // Written before anything is shown: nobody looks without leaving a trace.
    state.engine.write_records(Vec::new(), vec![event]).await?;
    Ok(state.profile(row)?)
}
