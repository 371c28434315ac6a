//! Readers of what a member earns.

use guerdon_core::id::MemberId;
use guerdon_core::ledger::{CurrencyId, LedgerAccount};
use guerdon_core::time::Day;

use crate::StoreError;
use crate::read::{Read, Reader, failed};
use crate::rows::Cells;

impl Reader {
    /// Points of a currency that rules gave a member on `from` or later, less what was taken back.
    pub async fn earned_since(&self, member: MemberId, currency: CurrencyId, from: Day) -> Read<i64> {
        let query = sqlx::query(
            "SELECT CAST(COALESCE(SUM(CASE WHEN t.debit IN ($4, $5) THEN t.amount ELSE -t.amount END), 0) AS BIGINT)
             FROM txn x JOIN transfer t ON t.txn_id = x.txn_id AND t.member_id = x.member_id
             WHERE x.member_id = $1 AND x.day >= $3 AND t.currency = $2 AND (t.debit IN ($4, $5) OR t.credit = $5)",
        );
        let query = query.bind(member.0).bind(i64::from(currency.0)).bind(i64::from(from.0));
        let query = query.bind(LedgerAccount::Issuance as i64).bind(LedgerAccount::Revocation as i64);
        let row = query.fetch_one(&self.pool).await.map_err(failed)?;
        row.int(0).map_err(StoreError::Unusable)
    }
}
