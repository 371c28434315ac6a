//! Codes on SQLite.

use guerdon_core::audit::AuditEvent;
use guerdon_core::id::{IdGenerator, MemberId, OrderId};
use rusqlite::{Connection, params};

use super::store::read;
use super::{record, store_error};
use crate::StoreError;
use crate::code::{
    CODE_COLUMNS, Claimed, CodeClaim, CodeFate, CodeOrigin, CodeUpload, CodesAdded, OrderCode, SealedCode, order_code,
};

/// The claim: as many free codes as are wanted, or none; and none where the order has some.
const CLAIM: &str = "
    WITH free AS (
        SELECT digest, ROW_NUMBER() OVER (ORDER BY added_at, digest) AS unit FROM (
            SELECT digest, added_at FROM code WHERE reward_id = ?1 AND order_id IS NULL
            ORDER BY added_at, digest LIMIT ?4))
    UPDATE code SET order_id = ?2, member_id = ?3, unit = free.unit FROM free
    WHERE code.reward_id = ?1 AND code.digest = free.digest AND (SELECT COUNT(*) FROM free) = ?4
      AND NOT EXISTS (SELECT 1 FROM code AS own WHERE own.reward_id = ?1 AND own.order_id = ?2)";

pub(super) fn add(
    connection: &mut Connection,
    upload: &CodeUpload,
    events: &[AuditEvent],
    ids: &mut IdGenerator,
) -> Result<CodesAdded, StoreError> {
    let transaction = connection.transaction().map_err(store_error)?;
    let there = present(&transaction, &upload.codes).map_err(store_error)?;
    if !there.is_empty() {
        return Ok(CodesAdded::Duplicates(there));
    }
    let sql = "SELECT COUNT(*) FROM code WHERE reward_id = ?1";
    let count: i64 = transaction.query_row(sql, [&upload.reward_id], |row| row.get(0)).map_err(store_error)?;
    if count.saturating_add(upload.codes.len() as i64) > upload.most {
        return Ok(CodesAdded::TooMany);
    }
    let sql = "INSERT INTO code (reward_id, digest, sealed, terms, origin, added_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    {
        let mut insert = transaction.prepare_cached(sql).map_err(store_error)?;
        for SealedCode { digest, sealed, terms } in &upload.codes {
            let (origin, at) = (CodeOrigin::Vault as i64, upload.at.as_millis());
            insert.execute(params![upload.reward_id, digest, sealed, terms, origin, at]).map_err(store_error)?;
        }
    }
    record::append(&transaction, events, ids)?;
    transaction.commit().map_err(store_error)?;
    Ok(CodesAdded::Added)
}

/// The places of codes that are there already, for whichever reward.
fn present(connection: &Connection, codes: &[SealedCode]) -> rusqlite::Result<Vec<usize>> {
    let mut find = connection.prepare_cached("SELECT 1 FROM code WHERE digest = ?1 LIMIT 1")?;
    let mut there = Vec::new();
    for (place, code) in codes.iter().enumerate() {
        if find.exists([code.digest])? {
            there.push(place);
        }
    }
    Ok(there)
}

pub(super) fn claim(connection: &mut Connection, claim: &CodeClaim) -> Result<Claimed, StoreError> {
    let transaction = connection.transaction().map_err(store_error)?;
    let refused = match &claim.made {
        None => {
            let mut statement = transaction.prepare_cached(CLAIM).map_err(store_error)?;
            let row = params![claim.reward_id, claim.order.0, claim.member.0, claim.quantity];
            statement.execute(row).map_err(store_error)?;
            Claimed::Dry
        }
        Some((origin, codes)) => {
            if of_order(&transaction, &claim.reward_id, claim.order).map_err(store_error)?.is_empty()
                && present(&transaction, codes).map_err(store_error)?.is_empty()
            {
                insert_made(&transaction, claim, *origin, codes).map_err(store_error)?;
            }
            Claimed::Taken
        }
    };
    let codes = of_order(&transaction, &claim.reward_id, claim.order).map_err(store_error)?;
    transaction.commit().map_err(store_error)?;
    Ok(if codes.is_empty() { refused } else { Claimed::Codes(codes) })
}

fn insert_made(
    connection: &Connection,
    claim: &CodeClaim,
    origin: CodeOrigin,
    codes: &[SealedCode],
) -> rusqlite::Result<()> {
    let mut insert = connection.prepare_cached(
        "INSERT INTO code (reward_id, digest, sealed, terms, origin, added_at, order_id, member_id, unit)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    )?;
    for (unit, SealedCode { digest, sealed, terms }) in (1_i64..).zip(codes) {
        let at = claim.at.as_millis();
        let (order, member) = (claim.order.0, claim.member.0);
        insert.execute(params![claim.reward_id, digest, sealed, terms, origin as i64, at, order, member, unit])?;
    }
    Ok(())
}

fn of_order(connection: &Connection, reward: &str, order: OrderId) -> rusqlite::Result<Vec<OrderCode>> {
    let sql = format!("SELECT {CODE_COLUMNS} FROM code WHERE reward_id = ?1 AND order_id = ?2 ORDER BY unit");
    let mut find = connection.prepare_cached(&sql)?;
    find.query_map(params![reward, order.0], |row| read(order_code(row)))?.collect()
}

pub(super) fn settle(
    connection: &mut Connection,
    reward: &str,
    order: OrderId,
    fate: CodeFate,
) -> Result<(), StoreError> {
    let open = "WHERE reward_id = ?1 AND order_id = ?2 AND issued_at IS NULL";
    let transaction = connection.transaction().map_err(store_error)?;
    match fate {
        CodeFate::Issued(at) => {
            let sql = format!("UPDATE code SET issued_at = ?3 {open}");
            transaction.execute(&sql, params![reward, order.0, at.as_millis()]).map_err(store_error)?;
        }
        CodeFate::Released => {
            let sql = format!("DELETE FROM code {open} AND origin <> ?3");
            let (key, vault) = (order.0, CodeOrigin::Vault as i64);
            transaction.execute(&sql, params![reward, key, vault]).map_err(store_error)?;
            let sql = format!("UPDATE code SET order_id = NULL, member_id = NULL, unit = NULL {open}");
            transaction.execute(&sql, params![reward, key]).map_err(store_error)?;
        }
    }
    transaction.commit().map_err(store_error)
}

/// Destroys the codes of a member. Their digests stay, so that none of them is uploaded and handed out again.
pub(super) fn erase(connection: &Connection, member: MemberId) -> rusqlite::Result<()> {
    let sql = "UPDATE code SET sealed = NULL, terms = NULL WHERE member_id = ?1";
    connection.prepare_cached(sql)?.execute([member.0]).map(drop)
}
