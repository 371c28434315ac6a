//! References of members who were merged: they lead to the member who goes on, and back when the merge is undone.

use guerdon_core::id::MemberId;
use guerdon_core::ledger::{Account, AccountStatus};
use guerdon_core::limits::MERGED_ACCOUNTS;
use guerdon_core::members::RefKind;
use rusqlite::{Connection, OptionalExtension};

use super::store::foreign;

/// Lets the references of a merged member lead to the one who goes on.
pub(super) fn move_references(connection: &Connection, from: MemberId, into: MemberId) -> rusqlite::Result<()> {
    let sql = "UPDATE member_ref SET member_id = ?2, origin = COALESCE(origin, member_id)
               WHERE member_id = ?1 AND kind <> ?3";
    connection.prepare_cached(sql)?.execute([from.0, into.0, RefKind::Enrolment as i64]).map(drop)
}

/// Lets every reference lead to where it led before any merge.
pub(super) fn send_references_back(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute("UPDATE member_ref SET member_id = origin WHERE origin IS NOT NULL", []).map(drop)
}

/// Lets the references of members who are merged lead to those who go on, after all were sent back.
pub(super) fn lead_references_on(connection: &Connection) -> rusqlite::Result<()> {
    let mut origins = connection.prepare("SELECT DISTINCT origin FROM member_ref WHERE origin IS NOT NULL")?;
    let origins: Vec<i64> = origins.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
    let sql = "UPDATE member_ref SET member_id = ?2, origin = NULLIF(?1, ?2) WHERE origin = ?1";
    let mut update = connection.prepare(sql)?;
    for origin in origins {
        update.execute([origin, survivor(connection, MemberId(origin))?.0])?;
    }
    Ok(())
}

/// The member who goes on after all merges.
fn survivor(connection: &Connection, member: MemberId) -> rusqlite::Result<MemberId> {
    let mut find = connection.prepare_cached("SELECT version, state FROM account WHERE member_id = ?1")?;
    let mut here = member;
    for _ in 0..=MERGED_ACCOUNTS {
        let account =
            find.query_row([here.0], |row| Account::decode(row.get(0)?, row.get_ref(1)?.as_blob()?).map_err(foreign));
        match account.optional()?.map(|account| account.status) {
            Some(AccountStatus::Merged { into }) => here = into,
            _ => return Ok(here),
        }
    }
    Err(foreign(format!("the merges of {member} go in a circle")))
}
