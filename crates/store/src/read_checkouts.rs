//! What tills have done with points, found by their own numbers.

use guerdon_core::id::{MemberId, OrderId};
use guerdon_core::kernel::{AllowanceReceipt, Receipt, checkout_reference};
use guerdon_core::ledger::TransactionKind;
use guerdon_core::redemption::Order;
use sqlx::{AssertSqlSafe, Row};

use crate::StoreError;
use crate::read::{Read, Reader, failed};

impl Reader {
    /// The checkouts of a number in a store, oldest first: one, unless two members were served under it at the same moment,
    /// or terminals without network count alike.
    pub async fn checkouts(&self, store: &str, reference: &str) -> Read<Vec<Order>> {
        let (redeem, capture) = (TransactionKind::Redeem as i64, TransactionKind::Capture as i64);
        let sql = format!(
            "SELECT receipt FROM txn WHERE channel = 'checkout' AND reference = $1 AND kind IN ({redeem}, {capture})
             ORDER BY txn_id"
        );
        let named = checkout_reference(store, reference);
        let rows = sqlx::query(AssertSqlSafe(sql)).bind(named).fetch_all(&self.pool).await.map_err(failed)?;
        let mut ids: Vec<OrderId> = Vec::with_capacity(rows.len());
        for row in &rows {
            let receipt: Receipt = read_receipt(row.try_get(0).map_err(failed)?)?;
            // What was spent without network has an order beside that of its allowance.
            ids.extend(receipt.order.map(|order| order.offline.and_then(|offline| offline.tender).unwrap_or(order.id)));
        }
        let orders = self.orders(&ids).await?;
        // An allowance of which nothing was charged is none.
        Ok(orders.into_values().filter(|order| order.details.particulars.tender.is_some()).collect())
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
