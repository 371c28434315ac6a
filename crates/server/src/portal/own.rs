//! The account of the member who is signed in, and nobody else's: no page of the portal takes a member's id.

use std::collections::BTreeMap;
use std::sync::Arc;

use guerdon_core::id::MemberId;
use guerdon_core::ledger::{Account, AccountStatus};
use guerdon_core::program::Program;
use guerdon_core::rewards::{Place, Viewer};
use guerdon_core::time::Timestamp;
use guerdon_store::StoreError;

use super::rewards::here;
use super::trouble::{OrTrouble, PortalError};
use crate::AppState;
use crate::console::Frame;
use crate::identity::actor::Actor;
use crate::identity::session::{SESSION, Session};

/// The member who is signed in.
pub struct Own {
    /// The account in which the member goes on: another than the session's when it was merged since.
    pub id: MemberId,
    /// The member of the session.
    pub signed_in_as: MemberId,
    /// The account.
    pub account: Account,
}

/// The account of who looks; a page when it is closed or erased.
pub async fn own(state: &AppState, frame: &Frame) -> Result<Own, PortalError> {
    let signed_in_as = frame.actor.member().ok_or_else(|| PortalError::closed(frame))?;
    let found = state.reader.resolve(signed_in_as).await.or_trouble(frame)?;
    let (id, account) = found.ok_or_else(|| PortalError::closed(frame))?;
    match account.status {
        AccountStatus::Active => Ok(Own { id, signed_in_as, account }),
        _ => Err(PortalError::closed(frame)),
    }
}

/// Where and when a member looks at the catalogue, and what it takes to see what is sold ahead of the others.
pub struct Sight {
    /// The portal.
    pub place: Place,
    /// When.
    pub at: Timestamp,
    thresholds: Arc<BTreeMap<String, i64>>,
}

impl Sight {
    /// The portal, now.
    pub fn now(state: &AppState) -> Self {
        Self { place: here(), at: state.engine.now(), thresholds: state.catalogue.scarce.thresholds() }
    }

    /// What a member sees: every page of the portal shows the same to them.
    pub fn viewer<'a>(&'a self, program: &'a Program, own: &'a Own) -> Viewer<'a> {
        Viewer::new(program, Some(&own.account), &self.place, self.at).with_presale(&self.thresholds)
    }
}

/// Whether the member has proved a moment ago who they are: what leads all data away, or destroys them, asks for it.
pub async fn is_fresh(state: &AppState, actor: &Actor) -> Result<bool, StoreError> {
    let Some(session) = actor.session() else { return Ok(false) };
    let Some(record) = state.reader.record(SESSION, session, state.clock()).await? else { return Ok(false) };
    Ok(record.read::<Session>()?.is_fresh(state.clock()))
}
