//! Reads all that was recorded, in the order in which it was, for backtests: one row at a time, however long it is.

use futures_util::TryStreamExt;
use guerdon_core::backtest::{Entry, Happened};
use guerdon_core::earning::Activity;
use guerdon_core::id::{MemberId, TransactionId};
use guerdon_core::kernel::{OrderReceipt, Payment, Receipt};
use guerdon_core::ledger::{CurrencyId, TransactionKind};
use guerdon_core::redemption::OrderState;
use guerdon_core::time::Timestamp;
use rustc_hash::FxHashSet;
use serde::Deserialize;
use sqlx::any::AnyRow;
use sqlx::{AssertSqlSafe, Row};

use crate::StoreError;
use crate::read::{Read, Reader, failed};
use crate::rows::Cells;

/// Entries other than activities that are read at once.
const PAGE: i64 = 2_000;

/// An entry and the id of its transaction.
type Dated = (i64, Entry);

impl Reader {
    /// How many activities were recorded.
    pub async fn count_activities(&self) -> Read<u64> {
        let query = sqlx::query("SELECT CAST(COUNT(*) AS BIGINT) FROM activity");
        let count: i64 = query.fetch_one(&self.pool).await.and_then(|row| row.try_get(0)).map_err(failed)?;
        Ok(count.unsigned_abs())
    }

    /// Hands every recorded enrolment, activity, order, correction, extension, merge and end of an account to `sink`, in the
    /// order in which they were recorded, until `sink` answers false. What is recorded meanwhile is left out.
    pub async fn history(&self, sink: &mut dyn FnMut(Entry) -> bool) -> Read<()> {
        let query = sqlx::query("SELECT CAST(COALESCE(MAX(txn_id), 0) AS BIGINT) FROM txn");
        let until: i64 = query.fetch_one(&self.pool).await.and_then(|row| row.try_get(0)).map_err(failed)?;
        let named = self.named_purchases().await?;
        // The keys lie with the transactions, which need not be read where no return names one.
        let sql = match named.is_empty() {
            true => {
                "SELECT txn_id, member_id, at, body, '' FROM activity
                 WHERE txn_id <= $1 ORDER BY activity_id"
            }
            false => {
                "SELECT a.txn_id, a.member_id, a.at, a.body, t.idempotency_key
                 FROM activity a JOIN txn t ON t.member_id = a.member_id AND t.txn_id = a.txn_id
                 WHERE a.txn_id <= $1 ORDER BY a.activity_id"
            }
        };
        let mut activities = sqlx::query(sql).bind(until).fetch(&self.pool);
        let mut others = Others { reader: self, until, after: 0, ready: Vec::new().into_iter(), ended: false };
        let mut other = others.next().await?;
        while let Some(row) = activities.try_next().await.map_err(failed)? {
            let (id, activity) = activity(&row, &named).map_err(StoreError::Unusable)?;
            while let Some((_, entry)) = other.take_if(|(before, _)| *before < id) {
                if !sink(entry) {
                    return Ok(());
                }
                other = others.next().await?;
            }
            if !sink(activity) {
                return Ok(());
            }
        }
        while let Some((_, entry)) = other {
            if !sink(entry) {
                return Ok(());
            }
            other = others.next().await?;
        }
        Ok(())
    }

    /// The keys of purchases that returns name, or what makes them final.
    async fn named_purchases(&self) -> Read<FxHashSet<String>> {
        #[derive(Deserialize)]
        struct Return {
            purchase: Option<String>,
        }
        let query = sqlx::query("SELECT body FROM activity WHERE kind IN ('return', 'order_final')");
        let (mut rows, mut named) = (query.fetch(&self.pool), FxHashSet::default());
        while let Some(row) = rows.try_next().await.map_err(failed)? {
            let body: &str = row.try_get(0).map_err(failed)?;
            let back: Return = serde_json::from_str(body).map_err(|error| StoreError::Unusable(error.to_string()))?;
            named.extend(back.purchase);
        }
        Ok(named)
    }
}

fn activity(row: &AnyRow, named: &FxHashSet<String>) -> Result<Dated, String> {
    let id = row.int(0)?;
    let body: &str = row.try_get(3).map_err(|error| error.to_string())?;
    let activity: Activity =
        serde_json::from_str(body).map_err(|error| format!("the activity of {}: {error}", TransactionId(id)))?;
    let key = row.text(4)?;
    let key = (!key.is_empty() && named.contains(&key)).then_some(key);
    let what = Happened::Activity { activity: Box::new(activity), key };
    Ok((id, Entry { member: MemberId(row.int(1)?), at: row.millis(2)?, what }))
}

/// What was recorded beside activities, a page at a time.
struct Others<'a> {
    reader: &'a Reader,
    until: i64,
    after: i64,
    ready: std::vec::IntoIter<Dated>,
    ended: bool,
}

impl Others<'_> {
    async fn next(&mut self) -> Read<Option<Dated>> {
        loop {
            if let Some(entry) = self.ready.next() {
                return Ok(Some(entry));
            }
            if self.ended {
                return Ok(None);
            }
            let rows = self.page().await?;
            self.ended = i64::try_from(rows.len()).is_ok_and(|count| count < PAGE);
            let mut entries = Vec::with_capacity(rows.len());
            for row in &rows {
                self.after = row.int(0).map_err(StoreError::Unusable)?;
                if let Some(what) = happened(row).map_err(StoreError::Unusable)? {
                    let member = MemberId(row.int(1).map_err(StoreError::Unusable)?);
                    let at: Timestamp = row.millis(3).map_err(StoreError::Unusable)?;
                    entries.push((self.after, Entry { member, at, what }));
                }
            }
            self.ready = entries.into_iter();
        }
    }

    async fn page(&self) -> Read<Vec<AnyRow>> {
        let kinds = [
            TransactionKind::Enrol,
            TransactionKind::Redeem,
            TransactionKind::Capture,
            TransactionKind::Release,
            TransactionKind::Refund,
            TransactionKind::Adjust,
            TransactionKind::Extend,
            TransactionKind::Merge,
            TransactionKind::Close,
            TransactionKind::Erase,
        ];
        let kinds: Vec<String> = kinds.iter().map(|kind| (*kind as i64).to_string()).collect();
        let sql = format!(
            "SELECT t.txn_id, t.member_id, t.kind, t.at, t.receipt, CAST(CASE WHEN t.kind = {adjust} THEN
                 (SELECT MIN(x.currency) FROM transfer x WHERE x.member_id = t.member_id AND x.txn_id = t.txn_id)
             END AS BIGINT)
             FROM txn t WHERE t.kind IN ({kinds}) AND t.txn_id > $1 AND t.txn_id <= $2 ORDER BY t.txn_id LIMIT $3",
            adjust = TransactionKind::Adjust as i64,
            kinds = kinds.join(", ")
        );
        let query = sqlx::query(AssertSqlSafe(sql)).bind(self.after).bind(self.until).bind(PAGE);
        query.fetch_all(&self.reader.pool).await.map_err(failed)
    }
}

/// What a transaction was about, by its receipt. `None`: a part of what another entry tells.
fn happened(row: &AnyRow) -> Result<Option<Happened>, String> {
    let kind = row.code(2, TransactionKind::from_code)?;
    if matches!(kind, TransactionKind::Close | TransactionKind::Erase) {
        return Ok(Some(Happened::Ended));
    }
    let body: &str = row.try_get(4).map_err(|error| error.to_string())?;
    let receipt: Receipt = serde_json::from_str(body)
        .map_err(|error| format!("the receipt of {}: {error}", TransactionId(row.int(0).unwrap_or_default())))?;
    if kind == TransactionKind::Adjust {
        let Some(currency) = row.maybe_int(5)?.and_then(|currency| u16::try_from(currency).ok()) else {
            return Ok(None);
        };
        return Ok(Some(Happened::Adjusted { currency: CurrencyId(currency), points: receipt.points }));
    }
    if kind == TransactionKind::Enrol {
        // Where it is an activity as well, that tells of it.
        return Ok(receipt.activity.is_none().then_some(Happened::Enrolled));
    }
    if kind == TransactionKind::Extend {
        let payment = if receipt.fee.is_some() { Payment::Fee } else { Payment::Points };
        return Ok(receipt.extended.first().map(|one| Happened::Extended { currency: one.currency, payment }));
    }
    if let Some(merge) = receipt.merge {
        return Ok((merge.from != receipt.member_id).then_some(Happened::Merged { from: merge.from }));
    }
    let Some(order) = receipt.order else { return Ok(None) };
    let part = match (&order.tender, order.offline, kind) {
        // What was spent without network: of the allowance's points, as far as they were set aside.
        (_, Some(offline), _) => return Ok(charged_offline(&order, offline.charged.points)),
        (Some(tender), _, TransactionKind::Capture) => tender.captured.map(|paid| (order.id, paid.points)),
        // Where it was owed alone, nothing came back.
        (Some(_), _, TransactionKind::Refund) if receipt.points == 0 => return Ok(None),
        (Some(_), _, TransactionKind::Refund) => Some((order.id, receipt.points)),
        _ => None,
    };
    if let Some((order, points)) = part {
        return Ok(Some(match kind {
            TransactionKind::Capture => Happened::CapturedPart { order, points },
            _ => Happened::RefundedPart { order, points },
        }));
    }
    Ok(Some(match kind {
        TransactionKind::Redeem => Happened::Redeemed {
            order: order.id,
            currency: order.currency,
            points: order.points,
            captured: order.state == OrderState::Completed,
        },
        TransactionKind::Capture => Happened::Captured(order.id),
        TransactionKind::Release => Happened::Released(order.id),
        TransactionKind::Refund => Happened::Refunded(order.id),
        _ => return Ok(None),
    }))
}

/// Points that a terminal has spent without network: under the order of what was charged, not under that of the allowance,
/// which gives back by itself what it holds.
fn charged_offline(order: &OrderReceipt, points: i64) -> Option<Happened> {
    // What is only owed is no movement of points.
    let tender = order.offline.filter(|_| points > 0).and_then(|offline| offline.tender)?;
    Some(Happened::Redeemed { order: tender, currency: order.currency, points, captured: true })
}
