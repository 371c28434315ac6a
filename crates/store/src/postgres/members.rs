//! Members on PostgreSQL: sealed profiles, and the references that lead to them.

use guerdon_core::id::MemberId;
use guerdon_core::kernel::{Changes, Decision, NewProfile};
use guerdon_core::members::{MemberRef, RefKind};
use guerdon_core::privacy::SealedProfile;
use sqlx::postgres::PgConnection;
use sqlx::{Connection, Row};

use super::write::run;
use super::{code, store_error};
use crate::StoreError;
use crate::privacy::{KEYRING, NowSealed, PlainMember, check_wrapped};
use crate::rows::Cells;

type Done = Result<(), StoreError>;

/// Writes what decisions change of members, in their order: what one of them frees, a later one may take. New members
/// that follow each other are written together.
pub(super) async fn write(connection: &mut PgConnection, changes: &Changes) -> Done {
    let mut rest = changes.decisions.as_slice();
    while !rest.is_empty() {
        let until = rest.iter().position(changes_a_member).unwrap_or(rest.len());
        let (new, others) = rest.split_at(until);
        write_new(connection, new).await?;
        let Some((decision, others)) = others.split_first() else { break };
        change(connection, decision).await?;
        rest = others;
    }
    Ok(())
}

fn changes_a_member(decision: &Decision) -> bool {
    decision.profile.is_some() || decision.takes_references_of.is_some() || !decision.erased.is_empty()
}

/// What a decision changes of members who are there.
async fn change(connection: &mut PgConnection, decision: &Decision) -> Done {
    let member = decision.transaction.member_id;
    if let Some(new) = &decision.profile {
        change_profile(connection, member, new).await?;
    }
    if let Some(from) = decision.takes_references_of {
        let sql = "UPDATE member_ref SET member_id = $2, origin = COALESCE(origin, member_id)
                   WHERE member_id = $1 AND kind <> $3";
        let query = sqlx::query(sql).bind(from.0).bind(member.0).bind(RefKind::Enrolment as i64);
        query.execute(&mut *connection).await.map_err(store_error)?;
    }
    erase(connection, decision).await
}

/// Puts a profile in the place of the member's, and leaves the member's key alone: a rotation may wrap it anew meanwhile.
async fn change_profile(connection: &mut PgConnection, member: MemberId, new: &NewProfile) -> Done {
    let sql = "UPDATE member SET profile = $2 WHERE member_id = $1 AND profile IS NOT NULL";
    run(connection, sqlx::query(sql).bind(member.0).bind(new.ciphertext.as_slice()), 1).await?;
    let sql = "DELETE FROM member_ref WHERE kind = $1 AND digest = $2 AND member_id = $3";
    for reference in &new.removed {
        let query = sqlx::query(sql).bind(reference.kind as i64).bind(reference.digest.as_slice()).bind(member.0);
        query.execute(&mut *connection).await.map_err(store_error)?;
    }
    let added: Vec<_> = new.added.iter().map(|reference| (member, reference)).collect();
    if added.is_empty() { Ok(()) } else { insert_references(connection, &added).await }
}

/// Destroys what is known of members: the row keeps the id, and when the member came and went.
async fn erase(connection: &mut PgConnection, decision: &Decision) -> Done {
    if decision.erased.is_empty() {
        return Ok(());
    }
    let members: Vec<i64> = decision.erased.iter().map(|member| member.0).collect();
    let sql = "UPDATE member SET erased_at = $2, key_id = NULL, wrapped_key = NULL, profile = NULL
               WHERE member_id = ANY($1)";
    let query = sqlx::query(sql).bind(&members).bind(decision.transaction.at.as_millis());
    query.execute(&mut *connection).await.map_err(store_error)?;
    code::erase(connection, &members).await?;
    let query = sqlx::query("DELETE FROM member_ref WHERE member_id = ANY($1)").bind(&members);
    query.execute(&mut *connection).await.map(drop).map_err(store_error)
}

/// Writes the new members of decisions.
async fn write_new(connection: &mut PgConnection, decisions: &[Decision]) -> Done {
    let all: Vec<_> =
        decisions.iter().filter_map(|decision| Some((&decision.transaction, decision.member.as_ref()?))).collect();
    if all.is_empty() {
        return Ok(());
    }
    // The lock is kept until the commit: whoever retires a master key waits for us, and sees our rows.
    let sql = "SELECT value FROM meta WHERE key = $1 FOR SHARE";
    let stored: Option<String> =
        sqlx::query_scalar(sql).bind(KEYRING).fetch_optional(&mut *connection).await.map_err(store_error)?;
    check_wrapped(stored.as_deref(), all.iter().map(|(_, member)| member.sealed.key_id.as_str()))?;
    let rows: Vec<_> =
        all.iter().map(|(owner, member)| (owner.member_id, owner.at.as_millis(), &member.sealed)).collect();
    insert(connection, &rows).await?;
    let references: Vec<_> =
        all.iter().flat_map(|(owner, member)| member.references.iter().map(|one| (owner.member_id, one))).collect();
    insert_references(connection, &references).await
}

async fn insert(connection: &mut PgConnection, rows: &[(MemberId, i64, &SealedProfile)]) -> Done {
    let sql = "INSERT INTO member (member_id, enrolled_at, key_id, wrapped_key, profile)
               SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::text[], $4::bytea[], $5::bytea[])";
    let query = sqlx::query(sql)
        .bind(rows.iter().map(|(member, _, _)| member.0).collect::<Vec<_>>())
        .bind(rows.iter().map(|(_, enrolled_at, _)| *enrolled_at).collect::<Vec<_>>())
        .bind(rows.iter().map(|(_, _, sealed)| sealed.key_id.as_str()).collect::<Vec<_>>())
        .bind(rows.iter().map(|(_, _, sealed)| sealed.wrapped_key.as_slice()).collect::<Vec<_>>())
        .bind(rows.iter().map(|(_, _, sealed)| sealed.ciphertext.as_slice()).collect::<Vec<_>>());
    run(connection, query, rows.len()).await
}

async fn insert_references(connection: &mut PgConnection, references: &[(MemberId, &MemberRef)]) -> Done {
    let sql = "INSERT INTO member_ref (kind, digest, member_id)
               SELECT * FROM unnest($1::bigint[], $2::bytea[], $3::bigint[])";
    let query = sqlx::query(sql)
        .bind(references.iter().map(|(_, one)| one.kind as i64).collect::<Vec<_>>())
        .bind(references.iter().map(|(_, one)| one.digest.as_slice()).collect::<Vec<_>>())
        .bind(references.iter().map(|(member, _)| member.0).collect::<Vec<_>>());
    run(connection, query, references.len()).await
}

async fn delete_references(connection: &mut PgConnection, references: &[(MemberId, &MemberRef)]) -> Done {
    let sql = "DELETE FROM member_ref r USING unnest($1::bigint[], $2::bytea[], $3::bigint[])
                   AS u (kind, digest, member_id)
               WHERE r.kind = u.kind AND r.digest = u.digest AND r.member_id = u.member_id";
    let query = sqlx::query(sql)
        .bind(references.iter().map(|(_, one)| one.kind as i64).collect::<Vec<_>>())
        .bind(references.iter().map(|(_, one)| one.digest.as_slice()).collect::<Vec<_>>())
        .bind(references.iter().map(|(member, _)| member.0).collect::<Vec<_>>());
    run(connection, query, references.len()).await
}

/// Sets what the database knows of its keys, when it is as it was read, and `unused` wraps no member's key any more.
pub(super) async fn set_keyring(
    connection: &mut PgConnection,
    from: Option<&str>,
    to: &str,
    unused: Option<&str>,
) -> Result<bool, StoreError> {
    let mut transaction = connection.begin().await.map_err(store_error)?;
    let query = match from {
        None => sqlx::query("INSERT INTO meta (key, value) VALUES ($1, $2) ON CONFLICT (key) DO NOTHING"),
        Some(_) => sqlx::query("UPDATE meta SET value = $2 WHERE key = $1 AND value = $3"),
    };
    let mut query = query.bind(KEYRING).bind(to);
    if let Some(from) = from {
        query = query.bind(from);
    }
    if query.execute(&mut *transaction).await.map_err(store_error)?.rows_affected() != 1 {
        return Ok(false);
    }
    // After the update, which has waited for everyone who was writing members under the old keys.
    if let Some(id) = unused {
        let query = sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM member WHERE key_id = $1)").bind(id);
        if query.fetch_one(&mut *transaction).await.map_err(store_error)? {
            return Ok(false);
        }
    }
    transaction.commit().await.map_err(store_error)?;
    Ok(true)
}

/// Members whose keys a master key has wrapped, and those keys.
pub(super) async fn members_under(
    connection: &mut PgConnection,
    key_id: &str,
    limit: usize,
) -> Result<Vec<(MemberId, Vec<u8>)>, StoreError> {
    let query = sqlx::query("SELECT member_id, wrapped_key FROM member WHERE key_id = $1 LIMIT $2");
    let found = query.bind(key_id).bind(limit as i64).fetch_all(connection).await.map_err(store_error)?;
    let read = |row: &sqlx::postgres::PgRow| Ok((MemberId(row.int(0)?), row.bytes(1)?));
    found.iter().map(read).collect::<Result<_, String>>().map_err(StoreError::Rejected)
}

/// Puts members' keys in place that another master key has wrapped.
pub(super) async fn rewrap_members(
    connection: &mut PgConnection,
    from: &str,
    to: &str,
    members: &[(MemberId, Vec<u8>)],
) -> Done {
    let sql = "UPDATE member m SET key_id = $3, wrapped_key = u.wrapped_key
               FROM unnest($1::bigint[], $2::bytea[]) AS u (member_id, wrapped_key)
               WHERE m.member_id = u.member_id AND m.key_id = $4";
    let query = sqlx::query(sql)
        .bind(members.iter().map(|(member, _)| member.0).collect::<Vec<_>>())
        .bind(members.iter().map(|(_, wrapped)| wrapped.as_slice()).collect::<Vec<_>>())
        .bind(to)
        .bind(from);
    query.execute(connection).await.map(drop).map_err(store_error)
}

/// Whether a table is not there any more, because another process has taken it away.
fn is_gone(error: &sqlx::Error) -> bool {
    error.as_database_error().and_then(|error| error.code()).is_some_and(|code| code == "42P01")
}

async fn has_plain_members(connection: &mut PgConnection) -> Result<bool, StoreError> {
    let query = sqlx::query_scalar("SELECT to_regclass('member_plain') IS NOT NULL");
    query.fetch_one(connection).await.map_err(store_error)
}

/// Members that an older version has stored.
pub(super) async fn plain_members(connection: &mut PgConnection, limit: usize) -> Result<Vec<PlainMember>, StoreError> {
    if !has_plain_members(connection).await? {
        return Ok(Vec::new());
    }
    let query = sqlx::query("SELECT member_id, profile FROM member_plain ORDER BY member_id LIMIT $1");
    let found = match query.bind(limit as i64).fetch_all(&mut *connection).await {
        Err(error) if is_gone(&error) => return Ok(Vec::new()),
        found => found.map_err(store_error)?,
    };
    let mut members = Vec::with_capacity(found.len());
    for row in &found {
        let (member, profile) = (row.int(0).map_err(StoreError::Rejected)?, row.text(1).map_err(StoreError::Rejected)?);
        members.push(PlainMember { member_id: MemberId(member), profile, references: Vec::new() });
    }
    let ids: Vec<i64> = members.iter().map(|member| member.member_id.0).collect();
    let query = sqlx::query("SELECT member_id, kind, digest FROM member_ref WHERE member_id = ANY($1)").bind(ids);
    for row in query.fetch_all(connection).await.map_err(store_error)? {
        let member = MemberId(row.int(0).map_err(StoreError::Rejected)?);
        let kind = row.code(1, RefKind::from_code).map_err(StoreError::Rejected)?;
        let reference = MemberRef { kind, digest: row.digest(2).map_err(StoreError::Rejected)? };
        if let Ok(place) = members.binary_search_by_key(&member, |member| member.member_id)
            && let Some(member) = members.get_mut(place)
        {
            member.references.push(reference);
        }
    }
    Ok(members)
}

/// Puts sealed rows in the place of plain ones. Whoever deletes the plain row does it; others leave the member alone.
pub(super) async fn seal_plain_members(connection: &mut PgConnection, members: &[NowSealed]) -> Done {
    let mut transaction = connection.begin().await.map_err(store_error)?;
    let ids: Vec<i64> = members.iter().map(|member| member.member_id.0).collect();
    let sql = "DELETE FROM member_plain WHERE member_id = ANY($1) RETURNING member_id, enrolled_at";
    let mut ours = std::collections::BTreeMap::new();
    let deleted = match sqlx::query(sql).bind(ids).fetch_all(&mut *transaction).await {
        Err(error) if is_gone(&error) => return Ok(()),
        deleted => deleted.map_err(store_error)?,
    };
    for row in deleted {
        let member: i64 = row.try_get(0).map_err(store_error)?;
        ours.insert(MemberId(member), row.try_get::<i64, _>(1).map_err(store_error)?);
    }
    let (mut rows, mut plain, mut keyed) = (Vec::new(), Vec::new(), Vec::new());
    for NowSealed { member_id, sealed, references } in members {
        let Some(enrolled_at) = ours.get(member_id) else { continue };
        rows.push((*member_id, *enrolled_at, sealed));
        plain.extend(references.iter().map(|(plain, _)| (*member_id, plain)));
        keyed.extend(references.iter().map(|(_, keyed)| (*member_id, keyed)));
    }
    insert(&mut transaction, &rows).await?;
    delete_references(&mut transaction, &plain).await?;
    insert_references(&mut transaction, &keyed).await?;
    transaction.commit().await.map_err(store_error)
}

/// Takes the empty table of plain members away, and with it the files that held what was plain.
pub(super) async fn drop_plain_members(connection: &mut PgConnection) -> Done {
    sqlx::query("DROP TABLE IF EXISTS member_plain").execute(connection).await.map(drop).map_err(store_error)
}
