//! Readers of codes.

use std::collections::BTreeMap;

use guerdon_core::id::OrderId;
use sqlx::any::AnyRow;
use sqlx::{AssertSqlSafe, Row};

use crate::StoreError;
use crate::code::{CODE_COLUMNS, CodeCounts, OrderCode, order_code};
use crate::read::{Read, Reader, failed};

impl Reader {
    /// The codes of an order, in the order of its units; sealed.
    pub async fn codes_of(&self, reward_id: &str, order: OrderId) -> Read<Vec<OrderCode>> {
        let sql = format!("SELECT {CODE_COLUMNS} FROM code WHERE reward_id = $1 AND order_id = $2 ORDER BY unit");
        let query = sqlx::query(AssertSqlSafe(sql)).bind(reward_id.to_owned()).bind(order.0);
        let rows = query.fetch_all(&self.pool).await.map_err(failed)?;
        rows.iter().map(order_code).collect::<Result<_, _>>().map_err(StoreError::Unusable)
    }

    /// How many codes some rewards have; those without any are left out.
    pub async fn code_counts(&self, rewards: &[&str]) -> Read<BTreeMap<String, CodeCounts>> {
        if rewards.is_empty() {
            return Ok(BTreeMap::new());
        }
        let places: Vec<String> = (1..=rewards.len()).map(|place| format!("${place}")).collect();
        let sql = format!(
            "SELECT reward_id, CAST(COUNT(*) AS BIGINT), CAST(COUNT(order_id) AS BIGINT),
                 CAST(COUNT(issued_at) AS BIGINT) FROM code WHERE reward_id IN ({}) GROUP BY reward_id",
            places.join(", ")
        );
        let query = sqlx::query(AssertSqlSafe(sql));
        let query = rewards.iter().fold(query, |query, reward| query.bind((*reward).to_owned()));
        let rows = query.fetch_all(&self.pool).await.map_err(failed)?;
        let read = |row: &AnyRow| -> Result<(String, CodeCounts), sqlx::Error> {
            let (all, taken, issued): (i64, i64, i64) = (row.try_get(1)?, row.try_get(2)?, row.try_get(3)?);
            Ok((row.try_get(0)?, CodeCounts { free: all - taken, claimed: taken - issued, issued }))
        };
        rows.iter().map(|row| read(row).map_err(failed)).collect()
    }

    /// Orders for which codes are set aside that were not handed over yet, at most `limit` of them, and their rewards.
    pub async fn orders_with_open_codes(&self, after: OrderId, limit: i64) -> Read<Vec<(OrderId, String)>> {
        let sql = "SELECT DISTINCT order_id, reward_id FROM code
                   WHERE order_id IS NOT NULL AND issued_at IS NULL AND order_id > $1 ORDER BY order_id LIMIT $2";
        let rows = sqlx::query(sql).bind(after.0).bind(limit).fetch_all(&self.pool).await.map_err(failed)?;
        let read = |row: &AnyRow| -> Result<_, sqlx::Error> { Ok((OrderId(row.try_get(0)?), row.try_get(1)?)) };
        rows.iter().map(|row| read(row).map_err(failed)).collect()
    }
}
