//! The store trait on PostgreSQL: one connection, opened anew when it is lost.

use std::collections::BTreeSet;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::{Duration, Instant};

use guerdon_core::audit::{AuditEntry, AuditEvent};
use guerdon_core::id::{IdGenerator, MemberId, OrderId};
use guerdon_core::kernel::{Changes, Footprint, Loaded};
use guerdon_core::ledger::Verifier;
use guerdon_core::program::Document;
use guerdon_core::proofs::{TileId, Tiles};
use guerdon_core::time::Timestamp;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, Connection, Row};
use tokio::runtime::Runtime;

use super::code::Added;
use super::connection::{self, LEASE_TIME};
use super::record::Appended;
use super::{audit, code, distribute, feed, log, members, prefetch, record, store_error, write};
use crate::code::{Claimed, CodeClaim, CodeFate, CodeUpload, CodesAdded};
use crate::log::{LogGrowth, LogHead, OutboxBatch, log_keys};
use crate::privacy::{NowSealed, PlainMember};
use crate::rows::{self, Cells};
use crate::{Record, RecordChange, Store, StoreError, ToldEvent};

/// The lease of the node that lets due things happen.
const TICK_LEASE: &str = "job tick";
/// The lease of the node that deletes expired records.
const SWEEP_LEASE: &str = "job sweep";
/// How long a small batch waits for more when many are coming: a few round trips to the server.
const GATHERS_FOR: Duration = Duration::from_millis(1);
/// How often a place in the audit chain is tried for: each time another node gets one, so all of them get theirs.
const CHAIN_TRIES: usize = 100;

/// The store of many nodes.
pub struct PostgresStore {
    /// `None` only while it is dropped.
    runtime: Option<Runtime>,
    /// A way to each host.
    hosts: Vec<PgConnectOptions>,
    connection: Option<PgConnection>,
    /// Who we are in the table of leases.
    holder: String,
    node: Option<NodeLease>,
}

struct NodeLease {
    node: u16,
    renewed_at: Instant,
}

impl PostgresStore {
    /// Connects to `postgres://…` and brings the schema up to date, one node at a time.
    pub fn create(url: &str) -> Result<Self, StoreError> {
        Self::new(url)?.prepared(async |connection| connection::migrate(connection).await.map(drop))
    }

    /// Connects to a database that holds a program, migrating its schema where a newer binary meets an older one.
    pub fn open(url: &str) -> Result<Self, StoreError> {
        let mut store = Self::create(url)?;
        if store.revision()? > 0 {
            return Ok(store);
        }
        let problem = "the database holds no guerdon program; run `guerdon init --database-url …` first";
        Err(StoreError::Unusable(problem.to_owned()))
    }

    /// Connects to a database as it is, to read it beside running nodes.
    pub fn open_read_only(url: &str) -> Result<Self, StoreError> {
        Self::new(url)?.prepared(async |connection| connection::check_migrated(connection).await)
    }

    /// Spreads the tables over the nodes of a Citus cluster. Returns the tables that were not spread before; an error
    /// where the extension is not there.
    pub fn distribute(&mut self) -> Result<Vec<String>, StoreError> {
        self.run(async |connection| distribute::distribute(connection).await)
    }

    fn new(url: &str) -> Result<Self, StoreError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| StoreError::Unavailable(error.to_string()))?;
        let holder = format!("{:016x}", RandomState::new().build_hasher().finish());
        let hosts = connection::options(url)?;
        Ok(Self { runtime: Some(runtime), hosts, connection: None, holder, node: None })
    }

    fn prepared(
        mut self,
        work: impl AsyncFnOnce(&mut PgConnection) -> Result<(), StoreError>,
    ) -> Result<Self, StoreError> {
        self.run(work)?;
        Ok(self)
    }

    /// Runs work on the connection, opened where there is none. After an error that the connection may not survive it is
    /// closed: the server rolls back what was open on it.
    fn run<T>(&mut self, work: impl AsyncFnOnce(&mut PgConnection) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let Some(runtime) = &self.runtime else {
            return Err(StoreError::Unavailable("the store is closed".to_owned()));
        };
        let mut connection = self.connection.take();
        let result = runtime.block_on(async {
            let connection = match &mut connection {
                Some(connection) => connection,
                None => connection.insert(connection::connect(&self.hosts).await?),
            };
            work(connection).await
        });
        if !matches!(result, Err(StoreError::Disconnected(_))) {
            self.connection = connection;
        }
        result
    }

    /// Runs work that appends events to the audit log, again whenever another node has taken their place in its chain.
    fn append(
        &mut self,
        events: &[AuditEvent],
        mut work: impl AsyncFnMut(&mut PgConnection) -> Result<Appended, StoreError>,
    ) -> Result<(), StoreError> {
        if !events.is_empty() {
            self.keep_node()?;
        }
        for _ in 0..CHAIN_TRIES {
            if let Appended::Done = self.run(async |connection| work(connection).await)? {
                return Ok(());
            }
            metrics::counter!("guerdon_audit_races_total").increment(1);
        }
        let problem = "all nodes write to the audit log at once; try again in a second";
        Err(StoreError::Unavailable(problem.to_owned()))
    }

    /// Renews the lease of the node's number where it is old. Without it nothing is written: another node might give the
    /// same ids.
    fn keep_node(&mut self) -> Result<(), StoreError> {
        let Some(NodeLease { node, renewed_at }) = self.node else { return self.node().map(drop) };
        if renewed_at.elapsed() < LEASE_TIME / 3 {
            return Ok(());
        }
        let (asked_at, holder) = (Instant::now(), self.holder.clone());
        if self.run(async |connection| connection::renew_node(connection, node, &holder).await)? {
            self.node = Some(NodeLease { node, renewed_at: asked_at });
            return Ok(());
        }
        let problem = format!("this node was away so long that another took its number {node}; restart it");
        Err(StoreError::Unavailable(problem))
    }
}

impl Drop for PostgresStore {
    fn drop(&mut self) {
        let Some(runtime) = self.runtime.take() else { return };
        if let Some(mut connection) = self.connection.take()
            && tokio::runtime::Handle::try_current().is_err()
        {
            // A polite goodbye: others take over the jobs at once. Without it they do when the leases end.
            let goodbye = async {
                let leaving = async {
                    let sql = "DELETE FROM lease WHERE holder = $1 AND name LIKE 'job %'";
                    drop(sqlx::query(sql).bind(&self.holder).execute(&mut connection).await);
                    connection.close().await
                };
                tokio::time::timeout(Duration::from_secs(1), leaving).await
            };
            drop(runtime.block_on(goodbye));
        }
        runtime.shutdown_background();
    }
}

impl Store for PostgresStore {
    fn prefetch(&mut self, footprint: &Footprint) -> Result<Loaded, StoreError> {
        self.run(async |connection| prefetch::prefetch(connection, footprint).await)
    }

    fn commit(&mut self, changes: &Changes) -> Result<(), StoreError> {
        if changes.decisions.is_empty() {
            return Ok(());
        }
        self.keep_node()?;
        self.run(async |connection| write::commit(connection, changes).await)
    }

    fn commit_what_fits(&mut self, changes: Changes) -> Result<Vec<MemberId>, StoreError> {
        if changes.decisions.is_empty() {
            return Ok(Vec::new());
        }
        self.keep_node()?;
        self.run(async |connection| write::commit_what_fits(connection, changes).await)
    }

    fn due(&mut self, now: Timestamp, limit: usize) -> Result<Vec<(MemberId, i64)>, StoreError> {
        // Of all nodes one does this; when it dies another takes the lease.
        if !self.lease(TICK_LEASE)? {
            return Ok(Vec::new());
        }
        self.run(async |connection| {
            let sql = "SELECT member_id, version FROM account WHERE next_due_at <= $1 ORDER BY next_due_at LIMIT $2";
            let query = sqlx::query(sql).bind(now.as_millis()).bind(limit as i64);
            let found = query.fetch_all(connection).await.map_err(store_error)?;
            let read = |row: &sqlx::postgres::PgRow| Ok((MemberId(row.int(0)?), row.int(1)?));
            found.iter().map(read).collect::<Result<_, String>>().map_err(StoreError::Rejected)
        })
    }

    fn accounts_after(&mut self, after: MemberId, limit: usize) -> Result<Vec<(MemberId, i64)>, StoreError> {
        self.run(async |connection| {
            let sql = "SELECT member_id, version FROM account WHERE member_id > $1 ORDER BY member_id LIMIT $2";
            let query = sqlx::query(sql).bind(after.0).bind(limit as i64);
            let found = query.fetch_all(connection).await.map_err(store_error)?;
            let read = |row: &sqlx::postgres::PgRow| Ok((MemberId(row.int(0)?), row.int(1)?));
            found.iter().map(read).collect::<Result<_, String>>().map_err(StoreError::Rejected)
        })
    }

    fn gathers_for(&self) -> Duration {
        GATHERS_FOR
    }

    fn last_id(&mut self) -> Result<i64, StoreError> {
        self.run(async |connection| {
            let mut last = 0;
            for sql in [
                "SELECT MAX(txn_id) FROM txn",
                "SELECT MAX(activity_id) FROM activity",
                "SELECT MAX(order_id) FROM orders",
                "SELECT MAX(member_id) FROM account",
                "SELECT MAX(id) FROM (SELECT id FROM audit ORDER BY number DESC LIMIT 1) AS last",
            ] {
                let row = sqlx::query(sql).fetch_one(&mut *connection).await.map_err(store_error)?;
                last = last.max(row.maybe_int(0).map_err(StoreError::Rejected)?.unwrap_or(0));
            }
            Ok(last)
        })
    }

    fn documents(&mut self) -> Result<Vec<Document>, StoreError> {
        self.run(async |connection| {
            let sql = format!("SELECT {} FROM document ORDER BY kind, id, version", rows::DOCUMENT_COLUMNS);
            let found = sqlx::query(AssertSqlSafe(sql)).fetch_all(connection).await.map_err(store_error)?;
            found.iter().map(|row| rows::document(row).map_err(StoreError::Unusable)).collect()
        })
    }

    fn add_documents(
        &mut self,
        documents: &[Document],
        stock: &[(String, i64)],
        events: &[AuditEvent],
        ids: &mut IdGenerator,
    ) -> Result<(), StoreError> {
        self.append(events, async |connection| {
            let mut transaction = connection.begin().await.map_err(store_error)?;
            for document in documents {
                let sql = "INSERT INTO document (kind, id, version, position, effective_from, state, body)
                           VALUES ($1, $2, $3, $4, $5, $6, $7)";
                let query = sqlx::query(sql)
                    .bind(&document.kind)
                    .bind(&document.id)
                    .bind(document.version)
                    .bind(document.position)
                    .bind(document.effective_from.as_millis())
                    .bind(&document.state)
                    .bind(&document.body);
                query.execute(&mut *transaction).await.map_err(store_error)?;
            }
            for (reward, initial) in stock {
                let sql = "INSERT INTO stock (reward_id, initial, restocked, issued, on_hand, reserved)
                           VALUES ($1, $2, 0, 0, $2, 0) ON CONFLICT (reward_id) DO NOTHING";
                let query = sqlx::query(sql).bind(reward).bind(initial);
                query.execute(&mut *transaction).await.map_err(store_error)?;
            }
            record::append_and_commit(transaction, events, ids).await
        })
    }

    fn revision(&mut self) -> Result<i64, StoreError> {
        self.run(async |connection| {
            let query = sqlx::query("SELECT COUNT(*) FROM document");
            query.fetch_one(connection).await.and_then(|row| row.try_get(0)).map_err(store_error)
        })
    }

    fn meta(&mut self, key: &str) -> Result<Option<String>, StoreError> {
        self.run(async |connection| {
            let query = sqlx::query_scalar("SELECT value FROM meta WHERE key = $1").bind(key);
            query.fetch_optional(connection).await.map_err(store_error)
        })
    }

    fn set_meta(&mut self, key: &str, value: &str) -> Result<(), StoreError> {
        self.run(async |connection| {
            let sql =
                "INSERT INTO meta (key, value) VALUES ($1, $2) ON CONFLICT (key) DO UPDATE SET value = EXCLUDED.value";
            sqlx::query(sql).bind(key).bind(value).execute(connection).await.map(drop).map_err(store_error)
        })
    }

    fn set_keyring(&mut self, from: Option<&str>, to: &str, unused: Option<&str>) -> Result<bool, StoreError> {
        self.run(async |connection| members::set_keyring(connection, from, to, unused).await)
    }

    fn members_under(&mut self, key_id: &str, limit: usize) -> Result<Vec<(MemberId, Vec<u8>)>, StoreError> {
        self.run(async |connection| members::members_under(connection, key_id, limit).await)
    }

    fn rewrap_members(&mut self, from: &str, to: &str, members: &[(MemberId, Vec<u8>)]) -> Result<(), StoreError> {
        self.run(async |connection| members::rewrap_members(connection, from, to, members).await)
    }

    fn plain_members(&mut self, limit: usize) -> Result<Vec<PlainMember>, StoreError> {
        self.run(async |connection| members::plain_members(connection, limit).await)
    }

    fn seal_plain_members(&mut self, members: &[NowSealed]) -> Result<(), StoreError> {
        self.run(async |connection| members::seal_plain_members(connection, members).await)
    }

    fn drop_plain_members(&mut self) -> Result<(), StoreError> {
        self.run(async |connection| members::drop_plain_members(connection).await)
    }

    fn node(&mut self) -> Result<u16, StoreError> {
        if let Some(lease) = &self.node {
            return Ok(lease.node);
        }
        let (renewed_at, holder) = (Instant::now(), self.holder.clone());
        let node = self.run(async |connection| connection::lease_node(connection, &holder).await)?;
        self.node = Some(NodeLease { node, renewed_at });
        Ok(node)
    }

    fn lease(&mut self, name: &str) -> Result<bool, StoreError> {
        let holder = self.holder.clone();
        self.run(async |connection| connection::lease(connection, name, &holder).await)
    }

    fn tell(&mut self, limit: usize, now: Timestamp, keep_from: Timestamp) -> Result<usize, StoreError> {
        self.run(async |connection| feed::tell(connection, limit, now, keep_from).await)
    }

    fn feed(&mut self, after: i64, limit: usize) -> Result<Vec<ToldEvent>, StoreError> {
        self.run(async |connection| feed::read(connection, after, limit).await)
    }

    fn outbox(&mut self, limit: usize) -> Result<Vec<OutboxBatch>, StoreError> {
        self.run(async |connection| log::outbox(connection, limit).await)
    }

    fn log_head(&mut self) -> Result<LogHead, StoreError> {
        self.run(async |connection| log::head(connection).await)
    }

    fn log_tiles(&mut self, ids: &BTreeSet<TileId>) -> Result<Tiles, StoreError> {
        self.run(async |connection| log::tiles(connection, ids).await)
    }

    fn append_log(&mut self, growth: &LogGrowth) -> Result<(), StoreError> {
        self.run(async |connection| log::append(connection, growth).await)
    }

    fn write_records(
        &mut self,
        changes: &[RecordChange],
        events: &[AuditEvent],
        now: Timestamp,
        ids: &mut IdGenerator,
    ) -> Result<(), StoreError> {
        self.append(events, async |connection| record::write(connection, changes, events, now, ids).await)
    }

    fn record(&mut self, kind: &str, id: &str, now: Timestamp) -> Result<Option<Record>, StoreError> {
        self.run(async |connection| record::record(connection, kind, id, now).await)
    }

    fn sweep_records(&mut self, now: Timestamp, limit: usize) -> Result<usize, StoreError> {
        if !self.lease(SWEEP_LEASE)? {
            return Ok(0);
        }
        self.run(async |connection| record::sweep(connection, now, limit).await)
    }

    fn add_codes(
        &mut self,
        upload: &CodeUpload,
        events: &[AuditEvent],
        ids: &mut IdGenerator,
    ) -> Result<CodesAdded, StoreError> {
        let mut done = CodesAdded::Added;
        self.append(events, async |connection| {
            Ok(match code::add(connection, upload, events, ids).await? {
                Added::Raced => Appended::Raced,
                Added::Done(added) => {
                    done = added;
                    Appended::Done
                }
            })
        })?;
        Ok(done)
    }

    fn claim_codes(&mut self, claim: &CodeClaim) -> Result<Claimed, StoreError> {
        self.run(async |connection| code::claim(connection, claim).await)
    }

    fn settle_codes(&mut self, reward_id: &str, order: OrderId, fate: CodeFate) -> Result<(), StoreError> {
        self.run(async |connection| code::settle(connection, reward_id, order, fate).await)
    }

    fn audit_head(&mut self) -> Result<Option<AuditEntry>, StoreError> {
        self.run(async |connection| record::head(connection).await)
    }

    fn audit(&mut self, verifier: &mut Verifier) -> Result<(), StoreError> {
        let keys = log_keys(self)?;
        self.run(async |connection| audit::audit(connection, verifier, &keys).await)
    }
}
