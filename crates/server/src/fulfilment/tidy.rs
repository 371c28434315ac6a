//! Codes that were set aside for an order, and whose end was lost with the process that knew it: handed over where the order
//! was, and free again where it was given back unseen. The same of what suppliers were asked for.

use std::time::{Duration, Instant};

use guerdon_core::id::OrderId;
use guerdon_fulfilment::{ASKED_FOR, follow_watched, settle_codes};
use guerdon_store::RecordQuery;

use super::effects::Doing;
use crate::AppState;
use crate::problem::Problem;

/// How often is looked for them, and how many orders are looked at.
const EVERY: Duration = Duration::from_secs(10);
const SLICE: i64 = 200;

/// Where the next look begins, and when.
#[derive(Default)]
pub(super) struct Tidy {
    after: Option<OrderId>,
    watched_after: Option<String>,
    last: Option<Instant>,
}

impl Tidy {
    pub(super) async fn round(&mut self, state: &AppState) -> Result<(), Problem> {
        if self.last.is_some_and(|last| last.elapsed() < EVERY) {
            return Ok(());
        }
        self.last = Some(Instant::now());
        let after = self.after.unwrap_or(OrderId(0));
        let open = state.reader.orders_with_open_codes(after, SLICE).await?;
        self.after = open.last().filter(|_| open.len() as i64 == SLICE).map(|(order, _)| *order);
        for (id, _) in open {
            // An order that a restored database does not know was given its codes all the same: they are not free.
            if let Some(order) = state.reader.order(id).await? {
                settle_codes(&Doing::of(state), &order).await?;
            }
        }
        self.watched_after = follow_next(state, self.watched_after.take()).await?;
        Ok(())
    }
}

/// Looks at the next orders of which suppliers were asked for something. Answers where the next round begins.
async fn follow_next(state: &AppState, after: Option<String>) -> Result<Option<String>, Problem> {
    let query = RecordQuery { kind: ASKED_FOR.to_owned(), after, limit: SLICE, ..RecordQuery::default() };
    let records = state.reader.records(&query, state.clock()).await?;
    let next = records.last().filter(|_| records.len() as i64 == SLICE).map(|record| record.id.clone());
    for record in records {
        let order = match record.id.parse::<OrderId>() {
            Ok(id) => state.reader.order(id).await?,
            Err(_) => None,
        };
        // What a restored database does not know may have been delivered all the same: reconciliation tells.
        if let Some(order) = order {
            follow_watched(&Doing::of(state), &order, record).await?;
        }
    }
    Ok(next)
}
