//! Readers of activities: as they were received, for members who ask what is known of them.

use guerdon_core::id::{ActivityId, MemberId};
use guerdon_core::time::Timestamp;
use sqlx::Row;

use crate::StoreError;
use crate::read::{Read, Reader, failed};
use crate::rows::Cells;

/// An activity as it was received.
#[derive(Debug, Clone)]
pub struct ActivityRow {
    /// Its id.
    pub id: ActivityId,
    /// Its kind.
    pub kind: String,
    /// When it happened.
    pub at: Timestamp,
    /// JSON of `guerdon_core::earning::Activity`.
    pub body: String,
}

impl Reader {
    /// An activity of a member.
    pub async fn activity(&self, member: MemberId, id: ActivityId) -> Read<Option<ActivityRow>> {
        let query = sqlx::query("SELECT kind, at, body FROM activity WHERE activity_id = $1 AND member_id = $2");
        let row = query.bind(id.0).bind(member.0).fetch_optional(&self.pool).await.map_err(failed)?;
        let read = |row: sqlx::any::AnyRow| {
            let at = row.millis(1).map_err(StoreError::Unusable)?;
            let (kind, body) = (row.try_get(0).map_err(failed)?, row.try_get(2).map_err(failed)?);
            Ok(ActivityRow { id, kind, at, body })
        };
        row.map(read).transpose()
    }
}
