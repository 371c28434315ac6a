//! Friends who order together: what an order keeps of its group.

use serde::{Deserialize, Serialize};

use crate::id::TransactionId;
use crate::time::Timestamp;

/// How long after its group should have been full an order that nobody came back to is given up, in milliseconds (a day): time
/// enough for a server that was away to say whether the group was full.
const GRACE_MS: i64 = 24 * 60 * 60 * 1000;

/// The group of an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Companions {
    /// The code of the group.
    pub code: String,
    /// Until when it must be full.
    pub ends_at: Timestamp,
    /// The entry of the journal by which it was known to be full; `None`: it is open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filled: Option<TransactionId>,
}

impl Companions {
    /// Whether it is not known yet whether the group comes together.
    pub fn is_open(&self) -> bool {
        self.filled.is_none()
    }

    /// When an order that nobody has come back to is given up.
    pub(crate) fn given_up_at(&self) -> Timestamp {
        self.ends_at.plus_millis(GRACE_MS)
    }
}
