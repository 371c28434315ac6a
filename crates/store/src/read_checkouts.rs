//! What tills have done with points, found by their own numbers.

use guerdon_core::id::{MemberId, OrderId};
use guerdon_core::kernel::{AllowanceReceipt, Receipt};
use guerdon_core::ledger::TransactionKind;
use guerdon_core::redemption::Order;
use sqlx::{AssertSqlSafe, Row};

use crate::StoreError;
use crate::read::{Read, Reader, failed};

/// Checkouts of one number that are looked at; tills of many stores may count alike.
const MOST: i64 = 100;

impl Reader {
    /// The checkout of a till's own number in a store. Where two members were served under one, the earlier.
    pub async fn checkout(&self, store: &str, reference: &str) -> Read<Option<Order>> {
        let (redeem, capture) = (TransactionKind::Redeem as i64, TransactionKind::Capture as i64);
        let sql = format!(
            "SELECT receipt FROM txn WHERE channel = 'checkout' AND reference = $1 AND kind IN ({redeem}, {capture})
             ORDER BY txn_id LIMIT {MOST}"
        );
        let rows = sqlx::query(AssertSqlSafe(sql)).bind(reference).fetch_all(&self.pool).await.map_err(failed)?;
        let mut ids: Vec<OrderId> = Vec::with_capacity(rows.len());
        for row in &rows {
            let receipt: Receipt = read_receipt(row.try_get(0).map_err(failed)?)?;
            // What was spent without network has an order beside that of its allowance.
            ids.extend(receipt.order.map(|order| order.offline.and_then(|offline| offline.tender).unwrap_or(order.id)));
        }
        let orders = self.orders(&ids).await?;
        let is_its = |order: &&Order| {
            let tender = order.details.particulars.tender.as_ref();
            tender.is_some_and(|tender| tender.store == store && tender.reference == reference)
        };
        Ok(orders.into_values().find(|order| is_its(&order)))
    }

    /// The latest allowance that was granted of a member's points.
    pub async fn latest_allowance(&self, member: MemberId) -> Read<Option<AllowanceReceipt>> {
        let sql = "SELECT receipt FROM txn WHERE channel = 'allowance' AND member_id = $1 ORDER BY txn_id DESC LIMIT 1";
        let row = sqlx::query(sql).bind(member.0).fetch_optional(&self.pool).await.map_err(failed)?;
        let Some(row) = row else { return Ok(None) };
        let receipt = read_receipt(row.try_get(0).map_err(failed)?)?;
        Ok(receipt.order.and_then(|order| order.allowance))
    }
}

fn read_receipt(text: &str) -> Read<Receipt> {
    serde_json::from_str(text).map_err(|error| StoreError::Unusable(format!("a receipt of a checkout: {error}")))
}
