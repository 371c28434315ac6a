//! Exports of many members as CSV: masked for whoever may see members, in full only for who may see personal data, with a
//! reason, and of more than a few members only when another operator has agreed.

use axum::http::StatusCode;
use guerdon_core::limits;
use guerdon_core::members::Profile;
use guerdon_core::privacy::mask;
use guerdon_store::{Record, RecordChange};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{consent, invalid};
use crate::AppState;
use crate::approvals::{self, Act, Permit};
use crate::identity::actor::{Actor, forbidden};
use crate::identity::operators::new_id;
use crate::problem::Problem;
use guerdon_core::identity::Permission;

/// The kind of the records of exports; the id is `exp_…`.
const EXPORT: &str = "member_export";
/// How long an export can be fetched, in milliseconds.
const LIFE_MS: i64 = 24 * 3_600_000;
const SLICE: i64 = 1_000;
/// Members of one export at the most.
const MOST: usize = 1_000_000;

/// What is to be exported.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Export {
    /// Whether personal fields are in full.
    pub revealed: bool,
    /// Only members who have consented to this purpose.
    pub purpose: Option<String>,
    /// Why.
    pub reason: String,
    /// Who asked, and may fetch it.
    pub requested_by: String,
    /// Whether it may be fetched.
    pub released: bool,
}

/// Asks for an export. Returns its id, and the approval that it waits for.
pub async fn ask(
    state: &AppState,
    actor: &Actor,
    revealed: bool,
    purpose: Option<String>,
    reason: &str,
) -> Result<(String, Option<String>), Problem> {
    limits::check_text("reason", reason, limits::TEXT_CHARS).map_err(invalid)?;
    if let Some(purpose) = &purpose
        && !consent::purposes(state).await?.iter().any(|(known, _)| known == purpose)
    {
        return Err(invalid("there is no such `purpose`; see /v1/consent-purposes"));
    }
    if revealed && !actor.may(Permission::MembersReveal) {
        return Err(forbidden(Permission::MembersReveal));
    }
    let id = new_id("exp");
    let export =
        Export { revealed, purpose, reason: reason.to_owned(), requested_by: actor.name(), released: !revealed };
    let record = Record::new(EXPORT, &id, &actor.name(), &export)?.until(state.clock().plus_millis(30 * LIFE_MS));
    let mut event = actor.event(state.clock(), "member.export", &id);
    (event.reason, event.after) = (reason.to_owned(), json!(export));
    state.engine.write_records(vec![RecordChange::Put(record)], vec![event]).await?;
    if !revealed {
        return Ok((id, None));
    }
    let members = state.reader.counts().await?.members;
    match approvals::ask(state, actor, Act::Reveal { members, export: id.clone() }, reason, None).await? {
        Permit::Now => {
            release(state, &id).await?;
            Ok((id, None))
        }
        Permit::Waits(approval) => Ok((id, Some(approval))),
    }
}

/// Lets an export be fetched from now on, for a day.
pub async fn release(state: &AppState, id: &str) -> Result<Value, Problem> {
    let (mut record, mut export) = find(state, id).await?;
    export.released = true;
    record.expires_at = Some(state.clock().plus_millis(LIFE_MS));
    state.engine.write_records(vec![RecordChange::Put(record.with(&export)?)], Vec::new()).await?;
    Ok(json!({ "export": id }))
}

async fn find(state: &AppState, id: &str) -> Result<(Record, Export), Problem> {
    let unknown = || Problem::not_found("unknown_export", "there is no such export, or its time is over");
    let record = state.reader.record(EXPORT, id, state.clock()).await?.ok_or_else(unknown)?;
    let export = record.read()?;
    Ok((record, export))
}

/// The file: for who asked for it, once it is released.
pub async fn file(state: &AppState, actor: &Actor, id: &str) -> Result<String, Problem> {
    let (_, export) = find(state, id).await?;
    if export.requested_by != actor.name() {
        return Err(Problem::not_found("unknown_export", "there is no such export of yours"));
    }
    if !export.released {
        return Err(Problem::new(StatusCode::CONFLICT, "waiting", "another operator must agree first"));
    }
    let mut event = actor.event(state.clock(), "member.export_fetch", id);
    (event.reason, event.after) = (export.reason.clone(), json!({ "revealed": export.revealed }));
    state.engine.write_records(Vec::new(), vec![event]).await?;
    write(state, &export).await
}

const COLUMNS: &str = "member_id,external_id,name,email,phone,birth_date,language,country,enrolled_at,available\r\n";

async fn write(state: &AppState, export: &Export) -> Result<String, Problem> {
    let _room = super::room_for_export()?;
    let (mut text, mut after, mut count) = (COLUMNS.to_owned(), None, 0);
    while count < MOST {
        let rows = state.reader.members(after, SLICE).await?;
        let Some(last) = rows.last() else { break };
        after = Some(last.id);
        for row in &rows {
            if let Some(purpose) = &export.purpose
                && !consent::allows(state, row.id, purpose).await?
            {
                continue;
            }
            let Some(profile) = state.profile(row)? else { continue };
            let profile = if export.revealed { profile } else { mask::profile(&profile) };
            count += 1;
            line(&mut text, row, &profile);
        }
    }
    Ok(text)
}

fn line(text: &mut String, row: &guerdon_store::read::MemberRow, profile: &Profile) {
    let known = |field: &Option<String>| field.clone().unwrap_or_default();
    let fields = [
        row.id.to_string(),
        known(&profile.external_id),
        known(&profile.name),
        known(&profile.email),
        known(&profile.phone),
        known(&profile.birth_date),
        known(&profile.language),
        known(&profile.country),
        row.enrolled_at.to_string(),
        row.available.to_string(),
    ];
    text.push_str(&fields.map(|field| cell(&field)).join(","));
    text.push_str("\r\n");
}

/// A cell of CSV (RFC 4180) that no spreadsheet takes for a formula
/// (<https://owasp.org/www-community/attacks/CSV_Injection>).
pub fn cell(text: &str) -> String {
    let formula = text.starts_with(['=', '+', '-', '@', '\t', '\r', '＝', '＋', '－', '＠']);
    // A number is none, and neither is a phone number that begins with its plus and has nothing but digits behind it.
    let number = text
        .strip_prefix(['+', '-'])
        .is_some_and(|rest| !rest.is_empty() && rest.chars().all(|c| c.is_ascii_digit() || c == '*'));
    let text = if formula && !number { format!("'{text}") } else { text.to_owned() };
    if text.contains([',', '"', '\r', '\n', '\'']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text }
}

#[cfg(test)]
mod tests {
    use super::cell;

    #[test]
    fn no_cell_is_a_formula() {
        assert_eq!(cell("=HYPERLINK(\"x\")"), "\"'=HYPERLINK(\"\"x\"\")\"");
        for formula in ["@SUM(A1)", "+1+cmd|' /C calc'!A0", "-2+3", "\tx", "＝1"] {
            assert!(cell(formula).contains("'"), "{formula}");
            assert!(!cell(formula).trim_start_matches('"').starts_with(['=', '+', '-', '@']), "{formula}");
        }
        assert_eq!(cell("+44****0000"), "+44****0000");
        assert_eq!(cell("-5"), "-5");
        assert_eq!(cell("a,b"), "\"a,b\"");
    }
}
