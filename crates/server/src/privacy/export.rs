//! Everything that is known of a member, as data and as a page to read, in one archive.

use std::io::{Cursor, Write};

use askama::Template;
use axum::http::StatusCode;
use guerdon_core::id::MemberId;
use guerdon_core::kernel::Receipt;
use guerdon_core::time::Timestamp;
use guerdon_store::AuditQuery;
use serde_json::{Value, json};
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use super::{consent, erasure, member};
use crate::AppState;
use crate::api::wallets;
use crate::console::{Frame, explain_row};
use crate::identity::{session, sso};
use crate::order_choice;
use crate::problem::Problem;
use crate::{disputes, reviews};

/// Transactions of one export at the most; that is decades of a busy member.
const TRANSACTIONS: usize = 100_000;
const SLICE: i64 = 1_000;

/// What is known of a member, as JSON.
pub async fn data(state: &AppState, id: MemberId) -> Result<Value, Problem> {
    let row = member(state, id).await?;
    let id = row.id;
    let account = state.reader.account(id).await?.unwrap_or_default();
    let wallets = wallets(&state.program(), &account, state.engine.now());
    let (mut transactions, mut activities, mut orders) = (Vec::new(), Vec::new(), Vec::new());
    let mut before = None;
    while transactions.len() < TRANSACTIONS {
        let rows = state.reader.transactions(id, before, SLICE).await?;
        let Some(last) = rows.last() else { break };
        before = Some(last.id);
        for row in rows {
            let receipt: Option<Receipt> = serde_json::from_str(&row.receipt).ok();
            if let Some(activity) = receipt.as_ref().and_then(|receipt| receipt.activity.as_ref())
                && let Some(found) = state.reader.activity(row.member_id, activity.id).await?
            {
                let body: Value = serde_json::from_str(&found.body).unwrap_or_default();
                activities.push(json!({ "id": found.id, "kind": found.kind, "at": found.at, "activity": body }));
            }
            if row.kind == guerdon_core::ledger::TransactionKind::Redeem
                && let Some(order) = receipt.as_ref().and_then(|receipt| receipt.order.as_ref())
                && let Some(found) = state.reader.order(order.id).await?
            {
                let kept = &found.details.particulars;
                orders.push(json!({ "id": found.id, "reward_id": found.reward_id, "quantity": found.quantity,
                    "points": found.points, "state": found.state, "created_at": found.created_at,
                    "variant": kept.variant, "appointment": kept.booked().map(|booked| &booked.slot),
                    "benefits": kept.benefits, "delivery": order_choice::open(state, &found).await? }));
            }
            let receipt: Value = serde_json::from_str(&row.receipt).unwrap_or_default();
            transactions.push(json!({ "id": row.id, "kind": row.kind, "at": row.at, "channel": row.channel,
                "reference": row.reference, "receipt": receipt }));
        }
    }
    let accounts: Vec<MemberId> = account.merged_from.iter().copied().chain([id]).collect();
    Ok(json!({
        "member": { "id": id, "enrolled_at": row.enrolled_at, "profile": state.profile(&row)? },
        "wallets": wallets,
        "standing": account.standing,
        "transactions": transactions,
        "activities": activities,
        "orders": orders,
        "reviews": written(state, &accounts).await?,
        "disputes": disputed(state, &accounts).await?,
        "consents": consents(state, id).await?,
        "sessions": sessions(state, id).await?,
        "identity_providers": providers(state, id, &account.merged_from).await?,
        "erasure": erasure::find(state, id).await?.map(|(_, erasure)| erasure),
        "acts_on_this_account": acts(state, id).await?,
        "exported_at": state.clock(),
    }))
}

/// What the member has said of rewards.
async fn written(state: &AppState, accounts: &[MemberId]) -> Result<Vec<Value>, Problem> {
    let found = reviews::of_member(state, accounts).await?;
    let view = |review: reviews::Review| {
        json!({ "reward_id": review.reward_id, "order_id": review.order_id, "stars": review.stars, "text": review.text,
            "author": review.author, "state": review.standing.name(), "reason": review.reason,
            "written_at": review.written_at, "changed_at": review.changed_at })
    };
    Ok(found.into_iter().map(|(_, review)| view(review)).collect())
}

/// The member's disputes, with what was said. Who of the staff said it is not the member's to know.
async fn disputed(state: &AppState, accounts: &[MemberId]) -> Result<Vec<Value>, Problem> {
    let mut views = Vec::new();
    for dispute in disputes::of_member(state, accounts).await? {
        let messages = dispute.messages(state)?.into_iter().map(|message| {
            json!({ "at": message.at, "by": if message.by_member { "member" } else { "staff" }, "text": message.text })
        });
        views.push(json!({ "order_id": dispute.order_id, "kind": dispute.kind, "opened_at": dispute.opened_at,
            "state": dispute.state(), "reason": dispute.end.as_ref().and_then(|end| end.reason.clone()),
            "messages": messages.collect::<Vec<Value>>() }));
    }
    Ok(views)
}

async fn consents(state: &AppState, id: MemberId) -> Result<Vec<Value>, Problem> {
    let choices = consent::choices(state, id).await?;
    let view =
        |choice: consent::Choice| json!({ "purpose": choice.id, "text": choice.purpose, "consent": choice.consent });
    Ok(choices.into_iter().map(view).collect())
}

async fn sessions(state: &AppState, id: MemberId) -> Result<Vec<Value>, Problem> {
    let sessions = session::list(state, &id.to_string()).await?;
    Ok(sessions.into_iter().map(|(_, session)| json!(session)).collect())
}

async fn providers(state: &AppState, id: MemberId, merged: &[MemberId]) -> Result<Vec<Value>, Problem> {
    let accounts: Vec<MemberId> = merged.iter().copied().chain([id]).collect();
    let links = sso::member::links(state, &accounts).await?;
    Ok(links.into_iter().map(|(_, link)| json!(link)).collect())
}

/// What was done with the account, from the audit log. Who of the staff did it is not the member's to know.
async fn acts(state: &AppState, id: MemberId) -> Result<Vec<Value>, Problem> {
    let query = AuditQuery { subject: Some(id.to_string()), limit: SLICE, ..AuditQuery::default() };
    let events = state.reader.audit_events(&query).await?;
    let view = |entry: &guerdon_core::audit::AuditEntry| {
        let event = entry.event().ok()?;
        Some(json!({ "at": event.at, "action": event.action }))
    };
    Ok(events.iter().filter_map(view).collect())
}

struct Line {
    at: String,
    title: String,
    sentences: Vec<String>,
    change: String,
}

#[derive(Template)]
#[template(path = "privacy/export.html")]
struct ExportPage {
    frame: Frame,
    id: MemberId,
    exported_at: String,
    facts: Vec<(String, String)>,
    lines: Vec<Line>,
    consents: Vec<(String, bool)>,
}

async fn page(state: &AppState, frame: &Frame, id: MemberId) -> Result<String, Problem> {
    let row = member(state, id).await?;
    let profile = state.profile(&row)?.unwrap_or_default();
    let mut lines = Vec::new();
    let mut before = None;
    while lines.len() < TRANSACTIONS {
        let rows = state.reader.transactions(row.id, before, SLICE).await?;
        let Some(last) = rows.last() else { break };
        before = Some(last.id);
        for row in &rows {
            let told = explain_row(frame, row);
            lines.push(Line {
                at: frame.time(row.at),
                title: told.title,
                sentences: told.sentences,
                change: told.change,
            });
        }
    }
    let mut facts = crate::console::facts(frame, &profile);
    facts.splice(0..0, profile.name.clone().map(|name| (frame.t("field-name"), name)));
    let consents = consent::choices(state, row.id).await?;
    let language = frame.language.tag();
    let page = ExportPage {
        id: row.id,
        exported_at: frame.clock_time(state.clock()),
        facts,
        lines,
        consents: consents
            .iter()
            .map(|choice| (choice.purpose.name.get(language).to_owned(), choice.is_given()))
            .collect(),
        frame: frame.clone(),
    };
    page.render().map_err(|error| internal(&error))
}

fn internal(error: &impl std::fmt::Display) -> Problem {
    tracing::error!(%error, "an export could not be written");
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal_error", "the export could not be written")
}

/// The archive: `data.json` and `index.html`.
pub async fn archive(state: &AppState, frame: &Frame, id: MemberId) -> Result<Vec<u8>, Problem> {
    let _room = super::room_for_export()?;
    let data = serde_json::to_vec_pretty(&data(state, id).await?).map_err(|error| internal(&error))?;
    let page = page(state, frame, id).await?;
    pack(&data, page.as_bytes()).map_err(|error| internal(&error))
}

fn pack(data: &[u8], page: &[u8]) -> zip::result::ZipResult<Vec<u8>> {
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in [("data.json", data), ("index.html", page)] {
        archive.start_file(name, SimpleFileOptions::default())?;
        archive.write_all(bytes)?;
    }
    Ok(archive.finish()?.into_inner())
}

/// What an archive is called: without anything personal.
pub fn file_name(id: MemberId, at: Timestamp) -> String {
    let day: String = at.to_string().chars().take(10).collect();
    format!("{id}-{day}.zip")
}
