//! Members on SQLite: sealed profiles, and the references that lead to them.

use guerdon_core::id::MemberId;
use guerdon_core::kernel::{Decision, NewMember, NewProfile};
use guerdon_core::members::{MemberRef, RefKind};
use guerdon_core::time::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};

use super::store::foreign;
use super::{code, merge, store_error};
use crate::StoreError;
use crate::privacy::{KEYRING, NowSealed, PlainMember, check_wrapped};

/// Writes what decisions change of members, in their order: what one of them frees, a later one may take.
pub(super) fn write(connection: &Connection, decisions: &[Decision]) -> Result<(), StoreError> {
    let mut key_ids = decisions.iter().filter_map(|one| Some(one.member.as_ref()?.sealed.key_id.as_str())).peekable();
    if key_ids.peek().is_some() {
        check_wrapped(stored_keyring(connection).map_err(store_error)?.as_deref(), key_ids)?;
    }
    for decision in decisions {
        let (member, at) = (decision.transaction.member_id, decision.transaction.at);
        if let Some(new) = &decision.member {
            insert(connection, member, at, new).map_err(store_error)?;
        }
        if let Some(new) = &decision.profile {
            change(connection, member, new)?;
        }
        if let Some(from) = decision.takes_references_of {
            merge::move_references(connection, from, member).map_err(store_error)?;
        }
        decision.erased.iter().try_for_each(|erased| erase(connection, *erased, at)).map_err(store_error)?;
    }
    Ok(())
}

fn insert(connection: &Connection, member: MemberId, at: Timestamp, new: &NewMember) -> rusqlite::Result<()> {
    let NewMember { sealed, references } = new;
    let row = params![member.0, at.as_millis(), sealed.key_id, sealed.wrapped_key, sealed.ciphertext];
    connection
        .prepare_cached(
            "INSERT INTO member (member_id, enrolled_at, key_id, wrapped_key, profile) VALUES (?1, ?2, ?3, ?4, ?5)",
        )?
        .execute(row)?;
    insert_references(connection, member, references)
}

/// Puts a profile in the place of the member's, and leaves the member's key alone.
fn change(connection: &Connection, member: MemberId, new: &NewProfile) -> Result<(), StoreError> {
    let sql = "UPDATE member SET profile = ?2 WHERE member_id = ?1 AND profile IS NOT NULL";
    let mut update = connection.prepare_cached(sql).map_err(store_error)?;
    if update.execute(params![member.0, new.ciphertext]).map_err(store_error)? != 1 {
        return Err(StoreError::Conflict);
    }
    delete_references(connection, member, &new.removed).map_err(store_error)?;
    insert_references(connection, member, &new.added).map_err(store_error)
}

/// Destroys what is known of a member: the row keeps the id, and when the member came and went. What lay there is
/// overwritten.
fn erase(connection: &Connection, member: MemberId, at: Timestamp) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "UPDATE member SET erased_at = ?2, key_id = NULL, wrapped_key = NULL, profile = NULL WHERE member_id = ?1",
        )?
        .execute([member.0, at.as_millis()])?;
    code::erase(connection, member)?;
    connection.prepare_cached("DELETE FROM member_ref WHERE member_id = ?1")?.execute([member.0]).map(drop)
}

fn delete_references<'a>(
    connection: &Connection,
    member: MemberId,
    references: impl IntoIterator<Item = &'a MemberRef>,
) -> rusqlite::Result<()> {
    let mut delete =
        connection.prepare_cached("DELETE FROM member_ref WHERE kind = ?1 AND digest = ?2 AND member_id = ?3")?;
    for reference in references {
        delete.execute(params![reference.kind as i64, reference.digest, member.0])?;
    }
    Ok(())
}

fn insert_references<'a>(
    connection: &Connection,
    member: MemberId,
    references: impl IntoIterator<Item = &'a MemberRef>,
) -> rusqlite::Result<()> {
    let mut insert =
        connection.prepare_cached("INSERT INTO member_ref (kind, digest, member_id) VALUES (?1, ?2, ?3)")?;
    for reference in references {
        insert.execute(params![reference.kind as i64, reference.digest, member.0])?;
    }
    Ok(())
}

fn stored_keyring(connection: &Connection) -> rusqlite::Result<Option<String>> {
    let mut query = connection.prepare_cached("SELECT value FROM meta WHERE key = ?1")?;
    query.query_row([KEYRING], |row| row.get(0)).optional()
}

/// Sets what the database knows of its keys, when it is as it was read, and `unused` wraps no member's key any more.
pub(super) fn set_keyring(
    connection: &mut Connection,
    from: Option<&str>,
    to: &str,
    unused: Option<&str>,
) -> rusqlite::Result<bool> {
    let transaction = connection.transaction()?;
    if stored_keyring(&transaction)?.as_deref() != from {
        return Ok(false);
    }
    let used = "SELECT EXISTS (SELECT 1 FROM member WHERE key_id = ?1)";
    if let Some(id) = unused
        && transaction.query_row(used, [id], |row| row.get(0))?
    {
        return Ok(false);
    }
    let sql = "INSERT INTO meta (key, value) VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET value = excluded.value";
    transaction.execute(sql, [KEYRING, to])?;
    transaction.commit()?;
    Ok(true)
}

/// Members whose keys a master key has wrapped, and those keys.
pub(super) fn members_under(
    connection: &Connection,
    key_id: &str,
    limit: usize,
) -> rusqlite::Result<Vec<(MemberId, Vec<u8>)>> {
    let sql = "SELECT member_id, wrapped_key FROM member WHERE key_id = ?1 LIMIT ?2";
    let mut query = connection.prepare_cached(sql)?;
    let found = query.query_map(params![key_id, limit as i64], |row| Ok((MemberId(row.get(0)?), row.get(1)?)))?;
    found.collect()
}

/// Puts members' keys in place that another master key has wrapped.
pub(super) fn rewrap_members(
    connection: &mut Connection,
    from: &str,
    to: &str,
    members: &[(MemberId, Vec<u8>)],
) -> rusqlite::Result<()> {
    let transaction = connection.transaction()?;
    {
        let sql = "UPDATE member SET key_id = ?2, wrapped_key = ?3 WHERE member_id = ?1 AND key_id = ?4";
        let mut update = transaction.prepare_cached(sql)?;
        for (member, wrapped) in members {
            update.execute(params![member.0, to, wrapped, from])?;
        }
    }
    transaction.commit()
}

fn has_plain_members(connection: &Connection) -> rusqlite::Result<bool> {
    let sql = "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'member_plain')";
    connection.query_row(sql, [], |row| row.get(0))
}

/// Members that an older version has stored.
pub(super) fn plain_members(connection: &Connection, limit: usize) -> rusqlite::Result<Vec<PlainMember>> {
    if !has_plain_members(connection)? {
        return Ok(Vec::new());
    }
    let mut query = connection.prepare("SELECT member_id, profile FROM member_plain ORDER BY member_id LIMIT ?1")?;
    let found = query.query_map([limit as i64], |row| {
        Ok(PlainMember { member_id: MemberId(row.get(0)?), profile: row.get(1)?, references: Vec::new() })
    })?;
    let mut members: Vec<PlainMember> = found.collect::<Result<_, _>>()?;
    let mut query = connection.prepare("SELECT kind, digest FROM member_ref WHERE member_id = ?1")?;
    for member in &mut members {
        let found = query.query_map([member.member_id.0], |row| {
            let kind = row.get(0)?;
            let kind = RefKind::from_code(kind).ok_or_else(|| foreign(format!("reference kind {kind}")))?;
            Ok(MemberRef { kind, digest: row.get(1)? })
        })?;
        member.references = found.collect::<Result<_, _>>()?;
    }
    Ok(members)
}

/// Puts sealed rows in the place of plain ones; what was plain is overwritten.
pub(super) fn seal_plain_members(connection: &mut Connection, members: &[NowSealed]) -> Result<(), StoreError> {
    connection.pragma_update(None, "secure_delete", true).map_err(store_error)?;
    let transaction = connection.transaction().map_err(store_error)?;
    let sealed = seal_all(&transaction, members);
    sealed.and_then(|()| transaction.commit()).map_err(store_error)?;
    connection.pragma_update(None, "secure_delete", "FAST").map_err(store_error)
}

fn seal_all(connection: &Connection, members: &[NowSealed]) -> rusqlite::Result<()> {
    let mut insert = connection.prepare(
        "INSERT INTO member (member_id, enrolled_at, key_id, wrapped_key, profile)
         SELECT member_id, enrolled_at, ?2, ?3, ?4 FROM member_plain WHERE member_id = ?1",
    )?;
    let mut delete = connection.prepare("DELETE FROM member_plain WHERE member_id = ?1")?;
    for NowSealed { member_id, sealed, references } in members {
        insert.execute(params![member_id.0, sealed.key_id, sealed.wrapped_key, sealed.ciphertext])?;
        delete.execute([member_id.0])?;
        delete_references(connection, *member_id, references.iter().map(|(old, _)| old))?;
        insert_references(connection, *member_id, references.iter().map(|(_, keyed)| keyed))?;
    }
    Ok(())
}

/// Takes the empty table of plain members away, and its pages out of the log of writes.
pub(super) fn drop_plain_members(connection: &mut Connection) -> rusqlite::Result<()> {
    if !has_plain_members(connection)? {
        return Ok(());
    }
    connection.pragma_update(None, "secure_delete", true)?;
    connection.execute_batch("DROP TABLE member_plain")?;
    connection.pragma_update(None, "secure_delete", "FAST")?;
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
}
