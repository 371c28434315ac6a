//! What a supplier and we know differently: lies, answers that came too late, codes that were given before. For people to look
//! at; each is on record once.

use guerdon_core::fulfilment::short;
use guerdon_core::time::Timestamp;
use guerdon_store::{Record, RecordChange};
use serde::{Deserialize, Serialize};

use crate::effects::{Effects, Happened, Writing};
use crate::records::{DIFFERENCE, KEPT_MS};

/// Open differences of one supplier; of more it is logged only, and what has to be told waits until there is room.
pub const MOST_DIFFERENCES: usize = 1_000;

/// Something that does not fit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// The supplier.
    pub supplier: String,
    /// The order, as the supplier names it.
    pub order: String,
    /// What: a code such as `delivered_after_return`.
    pub what: String,
    /// In words; never a code that was handed out.
    pub detail: String,
    /// When it was noticed first.
    pub at: Timestamp,
}

/// Notes a difference, once. False: there are as many open ones as may be, and it does not stand on record.
pub async fn note<E: Effects>(
    effects: &E,
    supplier: &str,
    order: &str,
    what: &str,
    detail: &str,
) -> Result<bool, E::Error> {
    let order = short(order);
    effects.tell(Happened::Differs { supplier, order: &order, what, detail });
    let id = format!("{supplier} {what} {order}");
    if effects.record(DIFFERENCE, &id).await?.is_some() {
        return Ok(true);
    }
    if effects.differences(supplier).await? >= MOST_DIFFERENCES {
        return Ok(false);
    }
    let at = effects.clock();
    let difference =
        Difference { supplier: supplier.to_owned(), order, what: what.to_owned(), detail: short(detail), at };
    let record = Record::new(DIFFERENCE, &id, supplier, &difference)?.until(at.plus_millis(KEPT_MS));
    // Where it is there by now, another node has noted the same.
    effects.write(Writing::Difference, RecordChange::Put(record)).await?;
    Ok(true)
}
