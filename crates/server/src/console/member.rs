//! One member: profile, wallets with their lots, and the history.

use askama::Template;
use axum::extract::{Form, Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use guerdon_core::id::MemberId;
use guerdon_core::identity::Permission;
use guerdon_core::ledger::{Account, AccountStatus, Lot, Wallet};
use guerdon_core::limits;
use guerdon_core::members::Profile;
use guerdon_core::time::Timestamp;
use guerdon_store::read::MemberRow;
use serde::Deserialize;

use super::ahead::ahead;
use super::approvals;
use super::erasures::asked;
use super::frame::{Frame, render};
use super::history::{self, Cursor, History};
use super::nav::Place;
use super::summary::display_name;
use super::tier::{TierView, tier_view};
use super::trouble::{OrPage, PageError, unprocessable};
use crate::AppState;
use crate::approvals::Act;
use crate::identity::member_session;
use crate::privacy::{self, erasure};

struct LotRow {
    points: String,
    held: String,
    expires_on: String,
    pending_until: Option<String>,
}

struct WalletView {
    title: String,
    available: String,
    worth: String,
    pending: String,
    held: String,
    earned: String,
    spent: String,
    lost: String,
    expires_next: Option<String>,
    /// What else lies ahead.
    ahead: Vec<String>,
    lots: Vec<LotRow>,
}

#[derive(Template)]
#[template(path = "console/member.html")]
struct MemberPage {
    frame: Frame,
    id: MemberId,
    name: String,
    facts: Vec<(String, String)>,
    may_reveal: bool,
    acts: Vec<(&'static str, String)>,
    /// What waits for another operator.
    waiting: Vec<approvals::Waiting>,
    erasure: Option<ErasureView>,
    may_change: bool,
    /// How many devices are signed in, in words, where they can be signed out.
    sessions: Option<String>,
    tier: Option<TierView>,
    wallets: Vec<WalletView>,
    history: History,
}

/// `/console/members/{id}`
pub async fn page(
    frame: Frame,
    State(state): State<AppState>,
    Path(text): Path<String>,
    Query(cursor): Query<Cursor>,
) -> Result<Response, PageError> {
    show(frame, &state, &text, &cursor, None).await
}

/// Why an operator wants to see the personal fields.
#[derive(Deserialize)]
pub struct RevealForm {
    reason: String,
}

/// The same page with the personal fields in full, for a reason that the audit log keeps.
pub async fn reveal(
    frame: Frame,
    State(state): State<AppState>,
    Path(text): Path<String>,
    Form(form): Form<RevealForm>,
) -> Result<Response, PageError> {
    // Without a reason nothing is shown but the form once more.
    if limits::check_text("reason", &form.reason, limits::TEXT_CHARS).is_err() {
        let page = show(frame, &state, &text, &Cursor::default(), None).await?;
        return Ok((StatusCode::UNPROCESSABLE_ENTITY, page).into_response());
    }
    show(frame, &state, &text, &Cursor::default(), Some(&form.reason)).await
}

/// A member, whichever account they live on now.
pub(super) struct Subject {
    /// The id.
    pub id: MemberId,
    /// The name by which lists show them, masked.
    pub name: String,
    /// The account.
    pub account: Account,
    /// The row.
    pub row: MemberRow,
}

/// The member of an id.
pub(super) async fn find(state: &AppState, frame: &Frame, text: &str) -> Result<Subject, PageError> {
    let unknown = || PageError::unknown_member(frame);
    let id: MemberId = text.parse().map_err(|_| unknown())?;
    let (id, account) = state.reader.resolve(id).await.or_page(frame)?.ok_or_else(unknown)?;
    let row = state.reader.member(id).await.or_page(frame)?.ok_or_else(unknown)?;
    let name = display_name(id, &state.profile(&row).or_page(frame)?.unwrap_or_default());
    Ok(Subject { id, name, account, row })
}

/// Whether something that waits for another operator is about a member.
fn concerns(act: &Act, id: MemberId) -> bool {
    match act {
        Act::Adjust { member, .. } => *member == id,
        Act::Refund { member, owner, .. } => *member == id || *owner == id,
        Act::Merge { from, into, .. } => *from == id || *into == id,
        Act::Publish { .. }
        | Act::Draft { .. }
        | Act::Value { .. }
        | Act::Reveal { .. }
        | Act::Import { .. }
        | Act::Policy { .. } => false,
    }
}

/// What who looks may do with the account: the end of the address, and what it is called.
fn acts(frame: &Frame, is_active: bool, is_erased: bool) -> Vec<(&'static str, String)> {
    let acts = [
        ("adjust", Permission::MembersAdjust, is_active),
        ("merge", Permission::MembersMerge, is_active),
        ("close", Permission::MembersClose, is_active),
        ("erase", Permission::MembersErase, true),
    ];
    let open = |(_, permission, there): &(&str, Permission, bool)| *there && frame.actor.may(*permission);
    let named = |(name, _, _): (&'static str, Permission, bool)| (name, frame.t(&format!("act-{name}")));
    if is_erased { Vec::new() } else { acts.into_iter().filter(open).map(named).collect() }
}

/// A request for erasure, as it is told on the page: when it is carried out, and who asked.
async fn erasure(frame: &Frame, state: &AppState, id: MemberId) -> Result<Option<ErasureView>, PageError> {
    let Some((_, erasure)) = erasure::find(state, id).await.or_page(frame)? else { return Ok(None) };
    Ok(Some(ErasureView {
        due: frame.say_text("erasure-due", "when", &frame.clock_time(erasure.due_at)),
        asked: asked(frame, state, &erasure).await,
        may_withdraw: frame.actor.may(Permission::MembersErase),
    }))
}

struct ErasureView {
    due: String,
    asked: String,
    may_withdraw: bool,
}

async fn show(
    frame: Frame,
    state: &AppState,
    text: &str,
    cursor: &Cursor,
    reason: Option<&str>,
) -> Result<Response, PageError> {
    let frame = frame.at(Place::Members);
    let Subject { id, name, account, row } = find(state, &frame, text).await?;
    let now = state.engine.now();
    let shown = match reason {
        Some(reason) => privacy::reveal(state, &frame.actor, &row, reason).await,
        None => privacy::masked(state, &row),
    };
    let profile = shown.map_err(|_| PageError::store(&frame))?.unwrap_or_default();
    let mut facts = facts(&frame, &profile);
    facts.push((frame.t("fact-enrolled"), frame.time(row.enrolled_at)));
    facts.push((frame.t("fact-last-activity"), frame.time(row.last_activity_at)));
    if let Some(at) = row.stored.erased_at {
        facts.push((frame.t("fact-erased"), frame.time(at)));
    }
    facts.extend(life(&frame, &account));
    let history = history::read(state, &frame, id, cursor).await?;
    let is_erased = row.stored.erased_at.is_some();
    let page = MemberPage {
        id,
        name: if reason.is_some() { profile.name.unwrap_or(name) } else { name },
        acts: acts(&frame, account.status == AccountStatus::Active, is_erased),
        waiting: approvals::waiting(&frame, state, |act| concerns(act, id)).await?,
        erasure: erasure(&frame, state, id).await?,
        sessions: sessions(&frame, state, id, &account).await?,
        may_reveal: reason.is_none() && frame.actor.access.somewhere().has(Permission::MembersReveal),
        may_change: account.status == AccountStatus::Active && frame.actor.may(Permission::MembersWrite),
        facts,
        tier: tier_view(&frame, &account, now),
        wallets: account.wallets.iter().map(|wallet| wallet_view(&frame, &account, wallet, now)).collect(),
        history,
        frame,
    };
    Ok(render(&page))
}

/// How many devices are signed in, for who may sign them out.
async fn sessions(
    frame: &Frame,
    state: &AppState,
    id: MemberId,
    account: &Account,
) -> Result<Option<String>, PageError> {
    if !frame.actor.may(Permission::MembersWrite) {
        return Ok(None);
    }
    let count = member_session::count(state, id, &account.merged_from).await.or_page(frame)?;
    Ok((count > 0).then(|| frame.say_count("member-sessions", &count)))
}

/// Why the sessions of a member are ended.
#[derive(Deserialize)]
pub struct EndForm {
    #[serde(default)]
    reason: String,
}

/// Ends every session of a member.
pub async fn end_sessions(
    frame: Frame,
    State(state): State<AppState>,
    Path(text): Path<String>,
    Form(form): Form<EndForm>,
) -> Result<Response, PageError> {
    let Subject { id, account, .. } = find(&state, &frame, &text).await?;
    if limits::check_text("reason", &form.reason, limits::TEXT_CHARS).is_err() {
        let page = show(frame, &state, &text, &Cursor::default(), None).await?;
        return Ok(unprocessable(page));
    }
    let ended = member_session::end_all(&state, &frame.actor, id, &account.merged_from, form.reason.trim()).await;
    ended.map_err(|problem| PageError::of(&frame, &problem))?;
    Ok(Redirect::to(&format!("/console/members/{id}")).into_response())
}

/// Where the account stands, unless it is active, and who was merged into it.
fn life(frame: &Frame, account: &Account) -> Vec<(String, String)> {
    let mut facts = Vec::new();
    if let AccountStatus::Closed { at } = account.status {
        facts.push((frame.t("fact-closed"), frame.time(at)));
    }
    if !account.merged_from.is_empty() {
        let members: Vec<String> = account.merged_from.iter().map(MemberId::to_string).collect();
        facts.push((frame.t("fact-merged-from"), members.join(", ")));
    }
    facts
}

/// What is known of a member, as pairs of a label and a value.
pub(crate) fn facts(frame: &Frame, profile: &Profile) -> Vec<(String, String)> {
    let known = [
        ("fact-external-id", &profile.external_id),
        ("fact-email", &profile.email),
        ("fact-phone", &profile.phone),
        ("fact-birth-date", &profile.birth_date),
        ("fact-language", &profile.language),
        ("fact-country", &profile.country),
    ];
    let known = known.into_iter().filter_map(|(key, value)| Some((frame.t(key), value.clone()?)));
    let addresses = profile.addresses.iter().map(|known| (frame.t("fact-address"), known.address.lines().join(", ")));
    known.chain(addresses).chain(profile.attributes.iter().map(|(name, value)| (name.clone(), value.clone()))).collect()
}

fn wallet_view(frame: &Frame, account: &Account, wallet: &Wallet, now: Timestamp) -> WalletView {
    let (balance, available) = (wallet.balance(), wallet.spendable(now));
    let number = |points: i64| frame.number(wallet.currency, points);
    let currency = frame.program.currency(wallet.currency);
    let name = currency.map_or("", |currency| currency.name.get(frame.language.tag()));
    WalletView {
        title: frame.say("wallet-title", [("currency", name.into())]),
        available: number(available),
        worth: worth(frame, wallet, available, now),
        pending: number(balance.pending),
        held: number(balance.held),
        earned: number(wallet.lifetime.earned),
        spent: number(wallet.lifetime.redeemed),
        lost: number(wallet.lifetime.expired.saturating_add(wallet.lifetime.revoked)),
        expires_next: expires_next(frame, wallet, now),
        ahead: ahead(frame, account, wallet),
        lots: wallet.lots.iter().map(|lot| lot_row(frame, wallet, lot)).collect(),
    }
}

/// What the points of a wallet are worth; tier value is no money.
pub(crate) fn worth(frame: &Frame, wallet: &Wallet, available: i64, now: Timestamp) -> String {
    if frame.program.currency(wallet.currency).is_some_and(|currency| !currency.spendable) {
        return frame.t("wallet-growth");
    }
    let worth = frame.money(frame.program.value_of(wallet.currency, available, now));
    frame.say("wallet-worth", [("money", worth.into())])
}

/// Which points expire next: all lots that end together with the first that still has points.
pub(crate) fn expires_next(frame: &Frame, wallet: &Wallet, now: Timestamp) -> Option<String> {
    let live = wallet.lots.iter().filter(|lot| lot.remaining > 0 && lot.key.expires_at > now);
    let next = live.clone().map(|lot| lot.key.expires_at).min().filter(|expires_at| *expires_at != Timestamp::NEVER)?;
    let points = live.filter(|lot| lot.key.expires_at == next).map(|lot| lot.remaining).sum();
    let date = frame.program.calendar.last_day_before(next);
    Some(
        frame.say(
            "wallet-expires-next",
            [("points", frame.points(wallet.currency, points).into()), ("date", date.into())],
        ),
    )
}

fn lot_row(frame: &Frame, wallet: &Wallet, lot: &Lot) -> LotRow {
    let expires_on = match lot.key.expires_at {
        Timestamp::NEVER => frame.t("never"),
        at => frame.program.calendar.last_day_before(at),
    };
    LotRow {
        points: frame.number(wallet.currency, lot.remaining),
        held: frame.number(wallet.currency, lot.held),
        expires_on,
        pending_until: (lot.key.active_at != Timestamp::ZERO).then(|| frame.program.calendar.show(lot.key.active_at)),
    }
}
