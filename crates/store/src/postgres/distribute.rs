//! How the tables are spread over the nodes of a Citus cluster.

use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Row};

use super::store_error;
use crate::StoreError;

/// Copied to every node: small, or read by everyone.
const REFERENCE: &[&str] = &["meta", "document", "lease", "log_head", "feed_head"];
/// Table, distribution column, and the table whose shards it lies beside.
const DISTRIBUTED: &[(&str, &str, &str)] = &[
    ("account", "member_id", "none"),
    ("member", "member_id", "account"),
    ("txn", "member_id", "account"),
    ("transfer", "member_id", "account"),
    ("activity", "member_id", "account"),
    ("orders", "member_id", "account"),
    ("event", "member_id", "account"),
    ("feed", "number", "none"),
    ("member_ref", "digest", "none"),
    ("stock", "reward_id", "none"),
    ("code", "reward_id", "stock"),
    ("code_known", "digest", "none"),
    ("budget", "name", "none"),
    ("record", "id", "none"),
    ("audit", "number", "none"),
    ("outbox", "batch_id", "none"),
    ("log_batch", "first_leaf", "none"),
    ("log_tile", "tile", "none"),
];

/// Distributes the tables that are not distributed yet. Returns their names. Functions:
/// <https://docs.citusdata.com/en/stable/develop/api_udf.html>.
pub(super) async fn distribute(connection: &mut PgConnection) -> Result<Vec<String>, StoreError> {
    let version = sqlx::query("SELECT extversion FROM pg_extension WHERE extname = 'citus'");
    if version.fetch_optional(&mut *connection).await.map_err(store_error)?.is_none() {
        let problem = "the database has no Citus extension, so there is nothing to distribute over and nothing was \
                       changed; on the coordinator of a Citus cluster run `CREATE EXTENSION citus` first";
        return Err(StoreError::Unusable(problem.to_owned()));
    }
    let rows = sqlx::query("SELECT CAST(logicalrelid AS TEXT) FROM pg_dist_partition");
    let rows = rows.fetch_all(&mut *connection).await.map_err(store_error)?;
    let there: Vec<String> = rows.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>().map_err(store_error)?;
    let is_there = |table: &str| there.iter().any(|name| name == table);
    let mut done = Vec::new();
    let calls = REFERENCE.iter().map(|table| (*table, format!("SELECT create_reference_table('{table}')")));
    let calls = calls.chain(DISTRIBUTED.iter().map(|(table, column, beside)| {
        (*table, format!("SELECT create_distributed_table('{table}', '{column}', colocate_with => '{beside}')"))
    }));
    for (table, sql) in calls.filter(|(table, _)| !is_there(table)) {
        sqlx::query(AssertSqlSafe(sql)).execute(&mut *connection).await.map_err(store_error)?;
        done.push(table.to_owned());
    }
    Ok(done)
}
