//! What is ordered of a reward: what its price may depend on. Rewards that rules gave for nothing are no demand.

use guerdon_core::time::Timestamp;
use sqlx::Row;

use crate::read::{Read, Reader, failed};

impl Reader {
    /// How many orders of a reward were made after `since`; `up_to` stands for more, so that a rush is not counted to its
    /// end. Orders that were released or refunded count as well.
    pub async fn recent_orders(&self, reward_id: &str, since: Timestamp, up_to: i64) -> Read<i64> {
        let sql = "SELECT CAST(COUNT(*) AS BIGINT) FROM (SELECT order_id FROM orders
                   WHERE reward_id = $1 AND points > 0 AND created_at > $2 LIMIT $3) AS recent";
        let row = sqlx::query(sql).bind(reward_id).bind(since.as_millis()).bind(up_to).fetch_one(&self.pool).await;
        row.and_then(|row| row.try_get(0)).map_err(failed)
    }

    /// When a reward was last ordered; `None`: never.
    pub async fn last_order_at(&self, reward_id: &str) -> Read<Option<Timestamp>> {
        let sql = "SELECT created_at FROM orders WHERE reward_id = $1 AND points > 0 ORDER BY created_at DESC LIMIT 1";
        let row = sqlx::query(sql).bind(reward_id).fetch_optional(&self.pool).await.map_err(failed)?;
        let millis = row.map(|row| row.try_get(0)).transpose().map_err(failed)?;
        Ok(millis.map(Timestamp::from_millis))
    }
}
