//! Readers: one SQL text for every engine, through sqlx, beside the writer.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use guerdon_core::earning::{BudgetKey, Tally};
use guerdon_core::id::{MemberId, OrderId, TransactionId};
use guerdon_core::ledger::{Account, AccountStatus, CurrencyId, LedgerAccount, TransactionKind};
use guerdon_core::members::MemberRef;
use guerdon_core::privacy::SealedProfile;
use guerdon_core::redemption::{Funds, Order, OrderState};
use guerdon_core::rewards::StockLevel;
use guerdon_core::tiers::Standing;
use guerdon_core::time::{Day, Timestamp};
use sqlx::any::{AnyConnectOptions, AnyPoolOptions, AnyRow};
use sqlx::{AnyConnection, AnyPool, AssertSqlSafe, Connection, Row};

use crate::StoreError;
use crate::privacy::{KEYRING, StoredKeyring, StoredMember};
use crate::probe::DatabaseFile;
use crate::rows::{self, Cell, Cells};

const READERS: u32 = 4;
/// How long a reader waits for a connection before the caller is told to come back.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often is looked whether the host still answers, where there are several.
const FOLLOW_EVERY: Duration = Duration::from_secs(1);

/// The host that takes writes, of those that say so in time.
pub(crate) async fn primary(hosts: &[AnyConnectOptions], patience: Duration) -> Option<&AnyConnectOptions> {
    for host in hosts {
        let asked = async {
            let mut connection = AnyConnection::connect_with(host).await?;
            let query = sqlx::query("SELECT current_setting('transaction_read_only')");
            let read_only: String = query.fetch_one(&mut connection).await?.try_get(0)?;
            connection.close().await?;
            Ok::<_, sqlx::Error>(read_only == "off")
        };
        if let Ok(Ok(true)) = tokio::time::timeout(patience, asked).await {
            return Some(host);
        }
    }
    None
}

/// Lets the pool open its connections on the host that takes writes, which after a failover is another.
async fn follow(pool: AnyPool, hosts: Arc<[AnyConnectOptions]>) {
    while !pool.is_closed() {
        tokio::time::sleep(FOLLOW_EVERY).await;
        // While the pool's own connections answer nothing has happened.
        if sqlx::query("SELECT 1").execute(&pool).await.is_err()
            && let Some(host) = primary(&hosts, PATIENCE).await
        {
            pool.set_connect_options(host.clone());
        }
    }
}

/// A pool of read connections.
#[derive(Clone)]
pub struct Reader {
    pub(crate) pool: AnyPool,
    /// Of an embedded database.
    pub(crate) file: Option<Arc<DatabaseFile>>,
    /// Where there are several.
    pub(crate) hosts: Option<Arc<[AnyConnectOptions]>>,
}

/// A member as listed.
#[derive(Debug, Clone)]
pub struct MemberRow {
    /// The member.
    pub id: MemberId,
    /// When the member was enrolled.
    pub enrolled_at: Timestamp,
    /// The row: sealed, or erased.
    pub stored: StoredMember,
    /// Points available in all currencies that can be spent.
    pub available: i64,
    /// When the member last did something; zero: never.
    pub last_activity_at: Timestamp,
    /// Where the account stands in its life.
    pub status: AccountStatus,
    /// The members who were merged into this one.
    pub merged_from: Vec<MemberId>,
    /// The tier and what it follows from.
    pub standing: Standing,
}

/// A transaction as listed.
#[derive(Debug, Clone)]
pub struct TransactionRow {
    /// Its id.
    pub id: TransactionId,
    /// Whose.
    pub member_id: MemberId,
    /// What it is about.
    pub kind: TransactionKind,
    /// When it happened.
    pub at: Timestamp,
    /// Where it came from.
    pub channel: String,
    /// The caller's own number.
    pub reference: Option<String>,
    /// Its idempotency key.
    pub idempotency_key: String,
    /// The receipt: JSON of `guerdon_core::kernel::Receipt`.
    pub receipt: String,
}

/// Points that moved between two ledger accounts on one local day, by rule.
#[derive(Debug, Clone)]
pub struct Flow {
    /// The day.
    pub day: Day,
    /// From.
    pub debit: LedgerAccount,
    /// To.
    pub credit: LedgerAccount,
    /// The currency.
    pub currency: CurrencyId,
    /// The rule and its version, on points that a rule gave or took.
    pub rule: Option<(String, i64)>,
    /// Points in all.
    pub amount: i64,
    /// Transfers.
    pub count: i64,
}

/// How many rows there are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    /// Members.
    pub members: i64,
    /// Transactions.
    pub transactions: i64,
    /// Activities by kind.
    pub activities: BTreeMap<String, i64>,
    /// Orders by state.
    pub orders: BTreeMap<&'static str, i64>,
}

pub(crate) type Read<T> = Result<T, StoreError>;

/// Tells a database that is away from a question that is wrong.
pub(crate) fn failed(error: sqlx::Error) -> StoreError {
    let message = error.to_string();
    match &error {
        sqlx::Error::Database(database) => match database.code() {
            Some(code) if is_away(&code) => StoreError::Unavailable(message),
            _ => StoreError::Rejected(message),
        },
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::Protocol(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed => StoreError::Disconnected(message),
        _ => StoreError::Rejected(message),
    }
}

/// Whether a code is of a database that cannot do its work. Those of PostgreSQL have five characters: connections, resources,
/// shutdown, failures of its machine (<https://www.postgresql.org/docs/15/errcodes-appendix.html>). Those of SQLite are numbers
/// whose lowest byte is the kind: busy, locked, read-only, failures of the disk (<https://www.sqlite.org/rescode.html>).
fn is_away(code: &str) -> bool {
    if code.len() == 5 {
        return ["08", "53", "57P", "58", "25006"].iter().any(|class| code.starts_with(class));
    }
    code.parse::<u32>().is_ok_and(|code| matches!(code & 0xff, 5 | 6 | 8 | 10 | 13 | 14))
}

fn strange(what: &str, value: impl std::fmt::Display) -> StoreError {
    StoreError::Unusable(format!("the database holds {what} {value}, which this version does not know"))
}

/// The stored states of orders whose points and units went back.
fn given_back_states() -> String {
    let given_back = OrderState::ALL.into_iter().filter(|state| state.funds() == Funds::Returned);
    given_back.map(|state| (state as i64).to_string()).collect::<Vec<_>>().join(", ")
}

impl Reader {
    /// Opens read connections on the database of a data directory.
    pub async fn open(directory: &Path) -> Read<Self> {
        let file = crate::sqlite::database_file(directory);
        let reader = Self::connect(&format!("sqlite:{}?mode=ro", file.display())).await?;
        Ok(Self { file: Some(Arc::new(DatabaseFile::of(file))), ..reader })
    }

    /// Opens read connections on a database server, `postgres://…`.
    pub async fn connect(url: &str) -> Read<Self> {
        sqlx::any::install_default_drivers();
        let options = AnyPoolOptions::new().max_connections(READERS).acquire_timeout(PATIENCE);
        let hosts = crate::postgres::urls(url);
        if let [host] = hosts.as_slice() {
            return Ok(Self { pool: options.connect(host).await.map_err(failed)?, file: None, hosts: None });
        }
        let hosts: Arc<[AnyConnectOptions]> =
            hosts.iter().map(|host| host.parse()).collect::<Result<_, _>>().map_err(failed)?;
        let primary =
            primary(&hosts, PATIENCE).await.ok_or_else(|| StoreError::Unavailable("no host answers".to_owned()))?;
        let pool = options.connect_lazy_with(primary.clone());
        tokio::spawn(follow(pool.clone(), Arc::clone(&hosts)));
        Ok(Self { pool, file: None, hosts: Some(hosts) })
    }

    /// Closes the connections, once what is being read has been.
    pub async fn close(&self) {
        self.pool.close().await;
    }

    /// Whether the database answers.
    pub async fn ping(&self) -> Read<()> {
        sqlx::query("SELECT 1").execute(&self.pool).await.map(drop).map_err(failed)
    }

    /// The member of an id.
    pub async fn member(&self, id: MemberId) -> Read<Option<MemberRow>> {
        let row = sqlx::query(AssertSqlSafe(format!(
            "SELECT {MEMBER_COLUMNS}
             FROM member m JOIN account a ON a.member_id = m.member_id WHERE m.member_id = $1"
        )));
        row.bind(id.0).fetch_optional(&self.pool).await.map_err(failed)?.map(|row| member_row(&row)).transpose()
    }

    /// Members after `after`, in the order of their ids.
    pub async fn members(&self, after: Option<MemberId>, limit: i64) -> Read<Vec<MemberRow>> {
        let rows = sqlx::query(AssertSqlSafe(format!(
            "SELECT {MEMBER_COLUMNS}
             FROM member m JOIN account a ON a.member_id = m.member_id
             WHERE m.member_id > $1 ORDER BY m.member_id LIMIT $2"
        )));
        let rows = rows.bind(after.map_or(-1, |id| id.0)).bind(limit).fetch_all(&self.pool).await.map_err(failed)?;
        rows.iter().map(member_row).collect()
    }

    /// The member to whom a reference leads.
    pub async fn member_by_reference(&self, reference: &MemberRef) -> Read<Option<MemberId>> {
        let row = sqlx::query("SELECT member_id FROM member_ref WHERE kind = $1 AND digest = $2")
            .bind(reference.kind as i64)
            .bind(reference.digest.to_vec())
            .fetch_optional(&self.pool)
            .await
            .map_err(failed)?;
        row.map(|row| row.try_get(0).map(MemberId)).transpose().map_err(failed)
    }

    /// What the database knows of its keys.
    pub async fn keyring(&self) -> Read<Option<StoredKeyring>> {
        let query = sqlx::query("SELECT value FROM meta WHERE key = $1").bind(KEYRING);
        let Some(row) = query.fetch_optional(&self.pool).await.map_err(failed)? else { return Ok(None) };
        let text: String = row.try_get(0).map_err(failed)?;
        StoredKeyring::decode(&text).map(Some)
    }

    /// How many members' keys a master key has wrapped.
    pub async fn count_under(&self, key_id: &str) -> Read<i64> {
        let query = sqlx::query("SELECT CAST(COUNT(*) AS BIGINT) FROM member WHERE key_id = $1").bind(key_id);
        query.fetch_one(&self.pool).await.and_then(|row| row.try_get(0)).map_err(failed)
    }

    /// The account of a member.
    pub async fn account(&self, id: MemberId) -> Read<Option<Account>> {
        // That of the stock is nobody's.
        if id == guerdon_core::kernel::STOCKROOM {
            return Ok(None);
        }
        let row = sqlx::query("SELECT version, state FROM account WHERE member_id = $1");
        let Some(row) = row.bind(id.0).fetch_optional(&self.pool).await.map_err(failed)? else { return Ok(None) };
        let state: Vec<u8> = row.try_get(1).map_err(failed)?;
        Account::decode(row.try_get(0).map_err(failed)?, &state).map(Some).map_err(StoreError::Unusable)
    }

    /// Transactions before `before`, newest first, of a member and of all who were merged into the member; of the one who
    /// goes on, when the member was merged.
    pub async fn transactions(
        &self,
        member: MemberId,
        before: Option<TransactionId>,
        limit: i64,
    ) -> Read<Vec<TransactionRow>> {
        self.transactions_of(member, before, limit, "").await
    }

    async fn transactions_of(
        &self,
        member: MemberId,
        before: Option<TransactionId>,
        limit: i64,
        narrowed: &str,
    ) -> Read<Vec<TransactionRow>> {
        let Some((member, account)) = self.resolve(member).await? else { return Ok(Vec::new()) };
        let members: Vec<MemberId> = account.merged_from.into_iter().chain([member]).collect();
        let places: Vec<String> = (3..members.len() + 3).map(|place| format!("${place}")).collect();
        let sql = format!(
            "SELECT txn_id, member_id, kind, at, channel, reference, idempotency_key, receipt FROM txn
             WHERE txn_id < $1 AND member_id IN ({}) {narrowed} ORDER BY txn_id DESC LIMIT $2",
            places.join(", ")
        );
        let query = sqlx::query(AssertSqlSafe(sql)).bind(before.map_or(i64::MAX, |id| id.0)).bind(limit);
        let query = members.iter().fold(query, |query, member| query.bind(member.0));
        let rows = query.fetch_all(&self.pool).await.map_err(failed)?;
        rows.iter().map(transaction_row).collect()
    }

    /// The latest transactions of all members that are not of kind `enrol`, newest first; those of the stock are no member's.
    pub async fn latest_transactions(&self, limit: i64) -> Read<Vec<TransactionRow>> {
        let rows = sqlx::query(
            "SELECT txn_id, member_id, kind, at, channel, reference, idempotency_key, receipt FROM txn
             WHERE kind NOT IN (1, 17) ORDER BY txn_id DESC LIMIT $1",
        );
        let rows = rows.bind(limit).fetch_all(&self.pool).await.map_err(failed)?;
        rows.iter().map(transaction_row).collect()
    }

    /// The order of an id.
    pub async fn order(&self, id: OrderId) -> Read<Option<Order>> {
        let row = sqlx::query(
            "SELECT order_id, member_id, reward_id, quantity, points, currency, state, holds, created_at, updated_at,
                 due_at, details
             FROM orders WHERE order_id = $1",
        );
        let row = row.bind(id.0).fetch_optional(&self.pool).await.map_err(failed)?;
        row.map(|row| rows::order(&row).map_err(StoreError::Unusable)).transpose()
    }

    /// Orders in one of the states of [`OrderState::QUEUES`], oldest first; of other states none is found. What tills do with
    /// points is no work for people.
    pub async fn orders_in(&self, state: OrderState, after: Option<OrderId>, limit: i64) -> Read<Vec<Order>> {
        let columns = rows::ORDER_COLUMNS;
        // The index of the queues is used where the condition names its states.
        let sql = format!(
            "SELECT {columns} FROM orders WHERE state = $1 AND state IN (1, 5, 6, 7, 8, 9) AND order_id > $2
               AND reward_id NOT LIKE '@%' ORDER BY order_id LIMIT $3"
        );
        let query = sqlx::query(AssertSqlSafe(sql)).bind(state as i64);
        let query = query.bind(after.map_or(0, |after| after.0)).bind(limit);
        let found = query.fetch_all(&self.pool).await.map_err(failed)?;
        found.iter().map(|row| rows::order(row).map_err(StoreError::Unusable)).collect()
    }

    /// Orders whose time has run out at a moment, those first that have waited longest, behind one of them.
    pub async fn orders_due(&self, at: Timestamp, after: Option<(Timestamp, OrderId)>, limit: i64) -> Read<Vec<Order>> {
        let columns = rows::ORDER_COLUMNS;
        let sql = format!(
            "SELECT {columns} FROM orders WHERE due_at IS NOT NULL AND due_at <= $1 AND due_at >= $2
               AND (due_at > $2 OR order_id > $3) ORDER BY due_at, order_id LIMIT $4"
        );
        let (due_at, id) = after.map_or((i64::MIN, 0), |(due_at, id)| (due_at.as_millis(), id.0));
        let query = sqlx::query(AssertSqlSafe(sql)).bind(at.as_millis()).bind(due_at).bind(id).bind(limit);
        let found = query.fetch_all(&self.pool).await.map_err(failed)?;
        found.iter().map(|row| rows::order(row).map_err(StoreError::Unusable)).collect()
    }

    /// The orders of some ids, at most as many as one page holds.
    pub async fn orders(&self, ids: &[OrderId]) -> Read<BTreeMap<OrderId, Order>> {
        if ids.is_empty() {
            return Ok(BTreeMap::new());
        }
        let places: Vec<String> = (1..=ids.len()).map(|place| format!("${place}")).collect();
        let (columns, places) = (rows::ORDER_COLUMNS, places.join(", "));
        let sql = format!("SELECT {columns} FROM orders WHERE order_id IN ({places})");
        let query = sqlx::query(AssertSqlSafe(sql));
        let query = ids.iter().fold(query, |query, id| query.bind(id.0));
        let rows = query.fetch_all(&self.pool).await.map_err(failed)?;
        let read = |row: &AnyRow| rows::order(row).map(|order| (order.id, order)).map_err(StoreError::Unusable);
        rows.iter().map(read).collect()
    }

    /// Orders by which something holds at `at` for a member, or for one who was merged into the member; those first that hold
    /// longest, 200 at most.
    pub async fn orders_good(&self, members: &[MemberId], at: Timestamp) -> Read<Vec<Order>> {
        let places: Vec<String> = (2..members.len().saturating_add(2)).map(|place| format!("${place}")).collect();
        if places.is_empty() {
            return Ok(Vec::new());
        }
        let (columns, places) = (rows::ORDER_COLUMNS, places.join(", "));
        let sql = format!(
            "SELECT {columns} FROM orders WHERE good_until IS NOT NULL AND good_until > $1 AND member_id IN ({places})
             ORDER BY good_until DESC, order_id LIMIT {}",
            guerdon_core::limits::PAGE
        );
        let query = sqlx::query(AssertSqlSafe(sql)).bind(at.as_millis());
        let query = members.iter().fold(query, |query, member| query.bind(member.0));
        let found = query.fetch_all(&self.pool).await.map_err(failed)?;
        found.iter().map(|row| rows::order(row).map_err(StoreError::Unusable)).collect()
    }

    /// The stock of every limited reward.
    pub async fn stock(&self) -> Read<BTreeMap<String, StockLevel>> {
        let rows = sqlx::query(AssertSqlSafe(format!("SELECT {} FROM stock", rows::STOCK_COLUMNS)));
        let rows = rows.fetch_all(&self.pool).await.map_err(failed)?;
        rows.iter().map(|row| rows::stock(row).map_err(StoreError::Unusable)).collect()
    }

    /// The stock under some keys, what is unlimited left out.
    pub async fn stock_of<K: AsRef<str>>(&self, keys: &[K]) -> Read<BTreeMap<String, StockLevel>> {
        if keys.is_empty() {
            return Ok(BTreeMap::new());
        }
        let places: Vec<String> = (1..=keys.len()).map(|place| format!("${place}")).collect();
        let columns = rows::STOCK_COLUMNS;
        let sql = format!("SELECT {columns} FROM stock WHERE reward_id IN ({})", places.join(", "));
        let query = sqlx::query(AssertSqlSafe(sql));
        let query = keys.iter().fold(query, |query, key| query.bind(key.as_ref().to_owned()));
        let rows = query.fetch_all(&self.pool).await.map_err(failed)?;
        rows.iter().map(|row| rows::stock(row).map_err(StoreError::Unusable)).collect()
    }

    /// Units of each reward that were ordered, those that were given back left out. It reads all orders.
    pub async fn ordered(&self) -> Read<BTreeMap<String, i64>> {
        let sql = format!(
            "SELECT reward_id, CAST(SUM(quantity) AS BIGINT) FROM orders WHERE state NOT IN ({}) GROUP BY reward_id",
            given_back_states()
        );
        let rows = sqlx::query(AssertSqlSafe(sql)).fetch_all(&self.pool).await.map_err(failed)?;
        let read = |row: &AnyRow| Ok((row.try_get(0)?, row.try_get(1)?));
        rows.iter().map(|row| read(row).map_err(failed)).collect()
    }

    /// Units of each reward that were ordered since a moment, those that were given back and those that rules gave for nothing
    /// left out; and when the first order of all was made. It reads all orders.
    pub async fn ordered_since(&self, since: Timestamp) -> Read<(BTreeMap<String, i64>, Option<Timestamp>)> {
        let sql = format!(
            "SELECT reward_id, CAST(SUM(CASE WHEN created_at >= $1 AND points > 0 AND state NOT IN ({}) THEN quantity ELSE 0 END) AS BIGINT),
                    CAST(MIN(created_at) AS BIGINT)
             FROM orders GROUP BY reward_id",
            given_back_states()
        );
        let rows =
            sqlx::query(AssertSqlSafe(sql)).bind(since.as_millis()).fetch_all(&self.pool).await.map_err(failed)?;
        let (mut ordered, mut first) = (BTreeMap::new(), None);
        for row in &rows {
            let read: Result<(String, i64, i64), sqlx::Error> =
                row.try_get(0).and_then(|reward| Ok((reward, row.try_get(1)?, row.try_get(2)?)));
            let (reward, units, at) = read.map_err(failed)?;
            let at = Timestamp::from_millis(at);
            first = Some(first.map_or(at, |first: Timestamp| first.min(at)));
            if units > 0 {
                ordered.insert(reward, units);
            }
        }
        Ok((ordered, first))
    }

    /// Redemptions before `before`, newest first, of a member and of all who were merged into the member: the transactions
    /// that made their orders.
    pub async fn redemptions(
        &self,
        member: MemberId,
        before: Option<TransactionId>,
        limit: i64,
    ) -> Read<Vec<TransactionRow>> {
        self.transactions_of(member, before, limit, &format!("AND kind = {}", TransactionKind::Redeem as i64)).await
    }

    /// What was taken out of the budgets of campaigns in windows that are open at a moment; 10,000 at most, of windows that
    /// end late before others.
    pub async fn campaign_budgets(&self, at: Timestamp) -> Read<Vec<(BudgetKey, Tally)>> {
        let sql = "SELECT name, period, ends_at, count, points FROM budget
                   WHERE name LIKE 'campaign:%' AND ends_at > $1 ORDER BY ends_at DESC, name, period LIMIT 10000";
        let rows = sqlx::query(sql).bind(at.as_millis()).fetch_all(&self.pool).await.map_err(failed)?;
        rows.iter().map(|row| rows::budget(row).map_err(StoreError::Unusable)).collect()
    }

    /// What moved, by local day, ledger accounts and rule: everything the dashboards add up.
    pub async fn flows(&self) -> Read<Vec<Flow>> {
        let rows = sqlx::query(
            "SELECT day, debit, credit, currency, rule, rule_version,
                    CAST(SUM(amount) AS BIGINT), CAST(COUNT(*) AS BIGINT)
             FROM transfer GROUP BY day, debit, credit, currency, rule, rule_version ORDER BY day",
        );
        let rows = rows.fetch_all(&self.pool).await.map_err(failed)?;
        rows.iter().map(|row| flow_row(row).map_err(StoreError::Unusable)).collect()
    }

    /// How many rows there are.
    pub async fn counts(&self) -> Read<Counts> {
        let count = async |sql: &'static str| -> Read<i64> {
            let row = sqlx::query(sql).fetch_one(&self.pool).await.map_err(failed)?;
            row.try_get(0).map_err(failed)
        };
        let mut counts = Counts {
            members: count("SELECT CAST(COUNT(*) AS BIGINT) FROM member").await?,
            transactions: count("SELECT CAST(COUNT(*) AS BIGINT) FROM txn").await?,
            ..Counts::default()
        };
        let activities = sqlx::query("SELECT kind, CAST(COUNT(*) AS BIGINT) FROM activity GROUP BY kind");
        for row in activities.fetch_all(&self.pool).await.map_err(failed)? {
            counts.activities.insert(row.try_get(0).map_err(failed)?, row.try_get(1).map_err(failed)?);
        }
        let orders = sqlx::query("SELECT state, CAST(COUNT(*) AS BIGINT) FROM orders GROUP BY state");
        for row in orders.fetch_all(&self.pool).await.map_err(failed)? {
            let state: i64 = row.try_get(0).map_err(failed)?;
            let state = OrderState::from_code(state).ok_or_else(|| strange("order state", state))?;
            counts.orders.insert(state.name(), row.try_get(1).map_err(failed)?);
        }
        Ok(counts)
    }
}

const MEMBER_COLUMNS: &str = "m.member_id, m.enrolled_at, a.available, a.last_activity_at, m.erased_at, m.key_id,
    m.wrapped_key, m.profile, a.version, a.state";

fn member_row(row: &AnyRow) -> Read<MemberRow> {
    let state: Vec<u8> = row.try_get(9).map_err(failed)?;
    let account = Account::decode(row.try_get(8).map_err(failed)?, &state).map_err(StoreError::Unusable)?;
    let erased_at: Option<i64> = row.try_get(4).map_err(failed)?;
    let key_id: Option<String> = row.try_get(5).map_err(failed)?;
    let sealed = match key_id {
        None => None,
        Some(key_id) => Some(SealedProfile {
            key_id,
            wrapped_key: row.try_get(6).map_err(failed)?,
            ciphertext: row.try_get(7).map_err(failed)?,
        }),
    };
    Ok(MemberRow {
        id: MemberId(row.try_get(0).map_err(failed)?),
        enrolled_at: millis(row, 1)?,
        available: row.try_get(2).map_err(failed)?,
        last_activity_at: millis(row, 3)?,
        stored: StoredMember { sealed, erased_at: erased_at.map(Timestamp::from_millis) },
        status: account.status,
        merged_from: account.merged_from,
        standing: account.standing,
    })
}

fn millis(row: &AnyRow, column: usize) -> Read<Timestamp> {
    row.millis(column).map_err(StoreError::Unusable)
}

fn transaction_row(row: &AnyRow) -> Read<TransactionRow> {
    let kind: i64 = row.try_get(2).map_err(failed)?;
    Ok(TransactionRow {
        id: TransactionId(row.try_get(0).map_err(failed)?),
        member_id: MemberId(row.try_get(1).map_err(failed)?),
        kind: TransactionKind::from_code(kind).ok_or_else(|| strange("transaction kind", kind))?,
        at: millis(row, 3)?,
        channel: row.try_get(4).map_err(failed)?,
        reference: row.try_get(5).map_err(failed)?,
        idempotency_key: row.try_get(6).map_err(failed)?,
        receipt: row.try_get(7).map_err(failed)?,
    })
}

fn flow_row(row: &AnyRow) -> Cell<Flow> {
    Ok(Flow {
        day: rows::day(row, 0)?,
        debit: row.code(1, LedgerAccount::from_code)?,
        credit: row.code(2, LedgerAccount::from_code)?,
        currency: CurrencyId(row.small(3)?),
        rule: row.maybe_text(4)?.zip(row.maybe_int(5)?),
        amount: row.int(6)?,
        count: row.int(7)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_that_is_away_is_told_from_a_question_that_is_wrong() {
        // PostgreSQL: connection failure, too many connections, shutdown, a standby; SQLite: busy, busy while it recovers, the
        // disk fails, cannot be opened.
        for code in ["08006", "53300", "57P01", "57P03", "25006", "5", "261", "10", "266", "14"] {
            assert!(is_away(code), "{code}");
        }
        // PostgreSQL: cancelled, no such column or table, a constraint; SQLite: an error, a constraint, damaged.
        for code in ["57014", "42703", "42P01", "23505", "1", "19", "2067", "11", "nonsense", ""] {
            assert!(!is_away(code), "{code}");
        }
        assert!(failed(sqlx::Error::PoolTimedOut).is_away());
        assert!(!failed(sqlx::Error::RowNotFound).is_away());
    }
}
