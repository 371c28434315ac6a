//! What is ordered of rewards: what their prices may depend on. Rewards that rules gave for nothing are no demand.

use std::collections::BTreeMap;

use guerdon_core::time::Timestamp;
use sqlx::{AssertSqlSafe, Row};

use crate::read::{Read, Reader, failed};

/// Orders of a reward since a moment, and when it was last ordered; `None`: never.
pub type Ordered = (i64, Option<Timestamp>);

impl Reader {
    /// How many orders of each of some rewards, at most as many as one page holds, were made after `since`, and when each was
    /// last ordered. `up_to` stands for more, so that a rush is not counted to its end. Orders that were released or refunded
    /// count as well.
    pub async fn demand(&self, rewards: &[&str], since: Timestamp, up_to: i64) -> Read<BTreeMap<String, Ordered>> {
        if rewards.is_empty() {
            return Ok(BTreeMap::new());
        }
        let places: Vec<String> = (3..rewards.len().saturating_add(3)).map(|place| format!("(${place})")).collect();
        let sql = format!(
            "SELECT wanted.column1, (SELECT CAST(COUNT(*) AS BIGINT) FROM (SELECT order_id FROM orders
                 WHERE reward_id = wanted.column1 AND points > 0 AND created_at > $1 LIMIT $2) AS recent),
             (SELECT created_at FROM orders WHERE reward_id = wanted.column1 AND points > 0
                 ORDER BY created_at DESC LIMIT 1)
             FROM (VALUES {}) AS wanted",
            places.join(", ")
        );
        let query = sqlx::query(AssertSqlSafe(sql)).bind(since.as_millis()).bind(up_to);
        let query = rewards.iter().fold(query, |query, reward| query.bind((*reward).to_owned()));
        let rows = query.fetch_all(&self.pool).await.map_err(failed)?;
        let read = |row: &sqlx::any::AnyRow| {
            let last: Option<i64> = row.try_get(2)?;
            Ok((row.try_get(0)?, (row.try_get(1)?, last.map(Timestamp::from_millis))))
        };
        rows.iter().map(|row| read(row).map_err(failed)).collect()
    }
}
