//! The connection of a node: how it is opened, how the schema is brought up to date, and what the node leases.

use std::str::FromStr;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{Connection, Executor, Row};

use super::{store_error, urls};
use crate::StoreError;

/// Migrations, oldest first: the schema version is how many have run.
const MIGRATIONS: &[&str] = &[
    include_str!("schema.sql"),
    include_str!("log.sql"),
    include_str!("record.sql"),
    include_str!("sealed.sql"),
    include_str!("merge.sql"),
    include_str!("budget.sql"),
    include_str!("event.sql"),
    include_str!("order.sql"),
    include_str!("demand.sql"),
    include_str!("code.sql"),
    include_str!("benefit.sql"),
    include_str!("checkout.sql"),
    include_str!("scarcity.sql"),
    include_str!("known.sql"),
    include_str!("restock.sql"),
];
/// The advisory lock under which one node at a time migrates; any number that nothing else uses.
const MIGRATION_LOCK: i64 = 0x6775_6572_646f_6e00;
/// How long opening a connection may take.
const CONNECT_TIME: Duration = Duration::from_secs(5);
/// How long a lease lasts after its last renewal.
pub const LEASE_TIME: Duration = Duration::from_secs(10);
/// For how long a node number is left alone after its lease has ended, so that no id of its last holder, still on its
/// way, meets one of the next.
const NODE_REST: Duration = Duration::from_secs(600);
/// Node numbers go from 0 to 1023.
const NODES: u16 = 1_024;

/// The server's clock, in milliseconds, and what a lease may be taken on: one's own, or one that has ended.
const NOW: &str = "CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)";

/// Reads a connection string, `postgres://user@host/database`, of one host or several.
pub(super) fn options(url: &str) -> Result<Vec<PgConnectOptions>, StoreError> {
    if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
        let problem = "the database URL must begin with postgres://, as in postgres://user:password@host:5432/database";
        return Err(StoreError::Unusable(problem.to_owned()));
    }
    // The error of a malformed URL may repeat the password, so it is not shown.
    let one = |url: String| PgConnectOptions::from_str(&url).map(|options| options.application_name("guerdon"));
    urls(url).into_iter().map(one).collect::<Result<_, _>>().map_err(|_| {
        let problem = "the database URL cannot be read; write postgres://user:password@host:5432/database";
        StoreError::Unusable(problem.to_owned())
    })
}

/// Opens a connection for the batch writer. Its statements name their rows by key, a thousand at a time: a plan that
/// looks each up in its index is right however old the statistics are, and it locks rows in the order of the arrays.
///
/// Of several hosts the first that takes writes is chosen: after a failover, the standby that was promoted.
pub(super) async fn connect(hosts: &[PgConnectOptions]) -> Result<PgConnection, StoreError> {
    let mut problem = StoreError::Disconnected("the database URL names no host".to_owned());
    for host in hosts {
        match connect_to(host, hosts.len() > 1).await {
            Ok(connection) => return Ok(connection),
            // A later host may do better; one that refuses us is told of before one that is away.
            Err(error) if matches!(problem, StoreError::Disconnected(_)) => problem = error,
            Err(_) => {}
        }
    }
    Err(problem)
}

async fn connect_to(options: &PgConnectOptions, must_write: bool) -> Result<PgConnection, StoreError> {
    let mut connection = tokio::time::timeout(CONNECT_TIME, PgConnection::connect_with(options))
        .await
        .map_err(|_| StoreError::Disconnected("the database did not answer within 5 s".to_owned()))?
        .map_err(store_error)?;
    let settings = "SET synchronous_commit = on; SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off;
                    SET enable_hashjoin = off; SET enable_mergejoin = off; SET lock_timeout = '10s';
                    SET statement_timeout = '60s'; SET idle_in_transaction_session_timeout = '60s'";
    connection.execute(sqlx::raw_sql(settings)).await.map_err(store_error)?;
    if must_write {
        let query = sqlx::query_scalar("SHOW transaction_read_only");
        let read_only: String = query.fetch_one(&mut connection).await.map_err(store_error)?;
        if read_only != "off" {
            return Err(StoreError::Disconnected("no host takes writes: a standby waits to be promoted".to_owned()));
        }
    }
    Ok(connection)
}

/// Brings the schema up to date, one node at a time. Returns how many migrations ran.
pub(super) async fn migrate(connection: &mut PgConnection) -> Result<usize, StoreError> {
    let mut transaction = connection.begin().await.map_err(store_error)?;
    sqlx::query("SELECT pg_advisory_xact_lock($1)")
        .bind(MIGRATION_LOCK)
        .execute(&mut *transaction)
        .await
        .map_err(store_error)?;
    let version = schema_version(&mut transaction).await?;
    check_version(version)?;
    for migration in MIGRATIONS.iter().skip(version) {
        transaction.execute(sqlx::raw_sql(*migration)).await.map_err(store_error)?;
    }
    if version < MIGRATIONS.len() {
        let sql = "INSERT INTO meta (key, value) VALUES ('schema_version', $1)
                   ON CONFLICT (key) DO UPDATE SET value = EXCLUDED.value";
        let version = MIGRATIONS.len().to_string();
        sqlx::query(sql).bind(version).execute(&mut *transaction).await.map_err(store_error)?;
    }
    transaction.commit().await.map_err(store_error)?;
    Ok(MIGRATIONS.len() - version)
}

/// Refuses a database that holds nothing of ours, or that another version has written.
pub(super) async fn check_migrated(connection: &mut PgConnection) -> Result<(), StoreError> {
    match schema_version(connection).await? {
        version if version == MIGRATIONS.len() => Ok(()),
        0 => Err(StoreError::Unusable(
            "the database holds no guerdon data; run `guerdon init --database-url …` first".to_owned(),
        )),
        version => check_version(version).and(Err(StoreError::Unusable(format!(
            "the database has schema {version}, this binary reads {}; run `guerdon migrate --database-url …`",
            MIGRATIONS.len()
        )))),
    }
}

async fn schema_version(connection: &mut PgConnection) -> Result<usize, StoreError> {
    let there: Option<String> = sqlx::query("SELECT CAST(to_regclass('meta') AS TEXT)")
        .fetch_one(&mut *connection)
        .await
        .and_then(|row| row.try_get(0))
        .map_err(store_error)?;
    if there.is_none() {
        return Ok(0);
    }
    let found = sqlx::query("SELECT value FROM meta WHERE key = 'schema_version'")
        .fetch_optional(&mut *connection)
        .await
        .map_err(store_error)?;
    let Some(row) = found else { return Ok(0) };
    let text: String = row.try_get(0).map_err(store_error)?;
    text.parse().map_err(|_| StoreError::Unusable(format!("the database's schema version is `{text}`, no number")))
}

fn check_version(version: usize) -> Result<(), StoreError> {
    if version <= MIGRATIONS.len() {
        return Ok(());
    }
    Err(StoreError::Unusable(format!(
        "the database has schema {version}, but this older binary knows only {}; install a newer guerdon",
        MIGRATIONS.len()
    )))
}

/// Takes or renews the lease of a name, unless another holds it. True: it is ours for [`LEASE_TIME`].
pub(super) async fn lease(connection: &mut PgConnection, name: &str, holder: &str) -> Result<bool, StoreError> {
    take(connection, name, holder, Duration::ZERO).await
}

async fn take(connection: &mut PgConnection, name: &str, holder: &str, rest: Duration) -> Result<bool, StoreError> {
    let sql = format!(
        "INSERT INTO lease (name, holder, expires_at) VALUES ($1, $2, {NOW} + $3)
         ON CONFLICT (name) DO UPDATE SET holder = EXCLUDED.holder, expires_at = EXCLUDED.expires_at
         WHERE lease.holder = EXCLUDED.holder OR lease.expires_at + $4 < {NOW}"
    );
    let result = sqlx::query(sqlx::AssertSqlSafe(sql))
        .bind(name)
        .bind(holder)
        .bind(millis(LEASE_TIME))
        .bind(millis(rest))
        .execute(connection)
        .await
        .map_err(store_error)?;
    Ok(result.rows_affected() == 1)
}

/// Renews the lease of a node number; false when another node has taken it.
pub(super) async fn renew_node(connection: &mut PgConnection, node: u16, holder: &str) -> Result<bool, StoreError> {
    take(connection, &node_name(node), holder, NODE_REST).await
}

/// Leases the first node number that nobody has held for a while.
pub(super) async fn lease_node(connection: &mut PgConnection, holder: &str) -> Result<u16, StoreError> {
    let taken: Vec<String> = sqlx::query_scalar(sqlx::AssertSqlSafe(format!(
        "SELECT name FROM lease WHERE name LIKE 'node %' AND expires_at + $1 >= {NOW}"
    )))
    .bind(millis(NODE_REST))
    .fetch_all(&mut *connection)
    .await
    .map_err(store_error)?;
    for node in (0..NODES).filter(|node| !taken.contains(&node_name(*node))) {
        if renew_node(connection, node, holder).await? {
            return Ok(node);
        }
    }
    let problem = "all 1,024 node numbers were used in the last ten minutes; stop nodes that restart over and over";
    Err(StoreError::Unavailable(problem.to_owned()))
}

fn node_name(node: u16) -> String {
    format!("node {node}")
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
