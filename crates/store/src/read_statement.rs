//! Readers of what moved on one account, for its statements.

use guerdon_core::id::MemberId;
use guerdon_core::ledger::{CurrencyId, LedgerAccount, Movement};
use guerdon_core::time::Day;
use sqlx::any::AnyRow;

use crate::StoreError;
use crate::read::{Read, Reader, failed};
use crate::rows::{self, Cell, Cells};

impl Reader {
    /// What moved on the account of a member before the day `until`, added up; what came on `from` or later is marked.
    pub async fn movements(&self, member: MemberId, from: Day, until: Day) -> Read<Vec<Movement>> {
        let query = sqlx::query(
            "SELECT CAST(CASE WHEN t.day < $2 THEN 0 ELSE 1 END AS BIGINT), t.debit, t.credit, t.currency, t.rule,
                    t.lot_expires_at, CAST(SUM(t.amount) AS BIGINT)
             FROM txn x JOIN transfer t ON t.txn_id = x.txn_id AND t.member_id = x.member_id
             WHERE x.member_id = $1 AND t.day < $3 GROUP BY 1, 2, 3, 4, 5, 6",
        );
        let query = query.bind(member.0).bind(i64::from(from.0)).bind(i64::from(until.0));
        let rows = query.fetch_all(&self.pool).await.map_err(failed)?;
        rows.iter().map(|row| movement(row).map_err(StoreError::Unusable)).collect()
    }

    /// The day of the earliest entry in the journal of a member's account. `None`: there is no entry.
    pub async fn first_day(&self, member: MemberId) -> Read<Option<Day>> {
        let query = sqlx::query("SELECT day FROM txn WHERE member_id = $1 ORDER BY day LIMIT 1").bind(member.0);
        let row = query.fetch_optional(&self.pool).await.map_err(failed)?;
        row.map(|row| rows::day(&row, 0).map_err(StoreError::Unusable)).transpose()
    }
}

fn movement(row: &AnyRow) -> Cell<Movement> {
    Ok(Movement {
        in_month: row.int(0)? == 1,
        debit: row.code(1, LedgerAccount::from_code)?,
        credit: row.code(2, LedgerAccount::from_code)?,
        currency: CurrencyId(row.small(3)?),
        rule: row.maybe_text(4)?,
        expires_at: row.millis(5)?,
        amount: row.int(6)?,
    })
}
