//! Readers of records and of the audit log.

use guerdon_core::audit::AuditEntry;
use guerdon_core::time::Timestamp;
use sqlx::{AssertSqlSafe, Row};

use crate::read::{Read, Reader, failed};
use crate::{AuditQuery, Record, RecordQuery, StoreError, rows};

/// A condition on the audit log with its value, where the caller wants one: only what is asked for stands in the SQL, so
/// that an index serves it.
enum Value {
    Number(i64),
    Text(String),
}

/// The conditions of a query, in the order in which they are bound.
fn conditions(query: &AuditQuery) -> Vec<(&'static str, Value)> {
    let mut all = Vec::new();
    let text = |all: &mut Vec<_>, condition, value: &Option<String>| {
        if let Some(value) = value.as_ref().filter(|value| !value.is_empty()) {
            all.push((condition, Value::Text(value.clone())));
        }
    };
    if let Some(before) = query.before {
        all.push(("number <", Value::Number(before)));
    }
    text(&mut all, "actor =", &query.actor);
    match &query.action {
        // `operator/` is the first text above all that begin with `operator.`.
        Some(prefix) if prefix.ends_with('.') => {
            all.push(("action >", Value::Text(prefix.clone())));
            let above = prefix.strip_suffix('.').map(|noun| format!("{noun}/"));
            all.push(("action <", Value::Text(above.unwrap_or_default())));
        }
        action => text(&mut all, "action =", action),
    }
    text(&mut all, "subject =", &query.subject);
    if let Some(from) = query.from {
        all.push(("at >=", Value::Number(from.as_millis())));
    }
    if let Some(until) = query.until {
        all.push(("at <", Value::Number(until.as_millis())));
    }
    all
}

impl Reader {
    /// A record, unless it is not there or has expired at `now`.
    pub async fn record(&self, kind: &str, id: &str, now: Timestamp) -> Read<Option<Record>> {
        let sql = format!(
            "SELECT {} FROM record WHERE kind = $1 AND id = $2 AND (expires_at IS NULL OR expires_at > $3)",
            rows::RECORD_COLUMNS
        );
        let query = sqlx::query(AssertSqlSafe(sql)).bind(kind).bind(id).bind(now.as_millis());
        let row = query.fetch_optional(&self.pool).await.map_err(failed)?;
        row.map(|row| rows::record(&row)).transpose().map_err(StoreError::Unusable)
    }

    /// Records in the order of their ids, without those that have expired at `now`.
    pub async fn records(&self, query: &RecordQuery, now: Timestamp) -> Read<Vec<Record>> {
        let subject = if query.subject.is_some() { "AND subject = $5" } else { "" };
        let sql = format!(
            "SELECT {} FROM record WHERE kind = $1 AND id > $2 AND (expires_at IS NULL OR expires_at > $3) {subject}
             ORDER BY id LIMIT $4",
            rows::RECORD_COLUMNS
        );
        let mut wanted = sqlx::query(AssertSqlSafe(sql))
            .bind(query.kind.as_str())
            .bind(query.after.as_deref().unwrap_or_default())
            .bind(now.as_millis())
            .bind(query.limit);
        if let Some(subject) = &query.subject {
            wanted = wanted.bind(subject.as_str());
        }
        let found = wanted.fetch_all(&self.pool).await.map_err(failed)?;
        found.iter().map(rows::record).collect::<Result<_, _>>().map_err(StoreError::Unusable)
    }

    /// Records of a kind whose subject is not above one, in the order of their subjects and then of their ids, behind a subject
    /// and an id; those left out that have expired at `now`. Of kinds whose subject says until when they wait.
    pub async fn records_up_to(
        &self,
        kind: &str,
        subject: &str,
        after: (&str, &str),
        limit: i64,
        now: Timestamp,
    ) -> Read<Vec<Record>> {
        let sql = format!(
            "SELECT {} FROM record WHERE kind = $1 AND subject <= $2 AND (subject, id) > ($3, $4)
             AND (expires_at IS NULL OR expires_at > $5) ORDER BY subject, id LIMIT $6",
            rows::RECORD_COLUMNS
        );
        let query = sqlx::query(AssertSqlSafe(sql)).bind(kind).bind(subject).bind(after.0).bind(after.1);
        let found = query.bind(now.as_millis()).bind(limit).fetch_all(&self.pool).await.map_err(failed)?;
        found.iter().map(rows::record).collect::<Result<_, _>>().map_err(StoreError::Unusable)
    }

    /// How many records of a kind there are, also expired ones that were not swept yet.
    pub async fn count_records(&self, kind: &str) -> Read<i64> {
        let query = sqlx::query("SELECT CAST(COUNT(*) AS BIGINT) FROM record WHERE kind = $1").bind(kind);
        query.fetch_one(&self.pool).await.and_then(|row| row.try_get(0)).map_err(failed)
    }

    /// Some records of a kind, at most as many as one page holds; those that are not there are left out. Of kinds that do not
    /// expire.
    pub async fn records_of(&self, kind: &str, ids: &[&str]) -> Read<Vec<Record>> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let places: Vec<String> = (2..ids.len() + 2).map(|place| format!("${place}")).collect();
        let (columns, places) = (rows::RECORD_COLUMNS, places.join(", "));
        let sql = format!("SELECT {columns} FROM record WHERE kind = $1 AND id IN ({places})");
        let query = sqlx::query(AssertSqlSafe(sql)).bind(kind.to_owned());
        let query = ids.iter().fold(query, |query, id| query.bind((*id).to_owned()));
        let found = query.fetch_all(&self.pool).await.map_err(failed)?;
        found.iter().map(rows::record).collect::<Result<_, _>>().map_err(StoreError::Unusable)
    }

    /// Records that belong to something, the highest id first, below an id. Of kinds that do not expire.
    pub async fn records_before(
        &self,
        kind: &str,
        subject: &str,
        before: Option<&str>,
        limit: i64,
    ) -> Read<Vec<Record>> {
        let below = if before.is_some() { "AND id < $4" } else { "" };
        let sql = format!(
            "SELECT {} FROM record WHERE kind = $1 AND subject = $2 {below} ORDER BY id DESC LIMIT $3",
            rows::RECORD_COLUMNS
        );
        let mut query = sqlx::query(AssertSqlSafe(sql)).bind(kind.to_owned()).bind(subject.to_owned()).bind(limit);
        if let Some(before) = before {
            query = query.bind(before.to_owned());
        }
        let found = query.fetch_all(&self.pool).await.map_err(failed)?;
        found.iter().map(rows::record).collect::<Result<_, _>>().map_err(StoreError::Unusable)
    }

    /// Events of the audit log, newest first.
    pub async fn audit_events(&self, query: &AuditQuery) -> Read<Vec<AuditEntry>> {
        let conditions = conditions(query);
        let mut sql = format!("SELECT {} FROM audit WHERE 1 = 1", rows::AUDIT_COLUMNS);
        for (place, (condition, _)) in conditions.iter().enumerate() {
            sql.push_str(&format!(" AND {condition} ${}", place + 1));
        }
        sql.push_str(&format!(" ORDER BY number DESC LIMIT ${}", conditions.len() + 1));
        let mut wanted = sqlx::query(AssertSqlSafe(sql));
        for (_, value) in conditions {
            wanted = match value {
                Value::Number(number) => wanted.bind(number),
                Value::Text(text) => wanted.bind(text),
            };
        }
        let found = wanted.bind(query.limit).fetch_all(&self.pool).await.map_err(failed)?;
        found.iter().map(rows::audit_entry).collect::<Result<_, _>>().map_err(StoreError::Unusable)
    }
}
