//! Units that come into stock by themselves, as rewards say: once however often the clock asks, and on however many nodes.

use std::sync::Arc;

use guerdon_core::kernel::{Command, Receipt, RefusalCode};
use guerdon_core::ledger::TransactionKind;
use guerdon_core::time::Timestamp;
use sqlx::AssertSqlSafe;

use crate::read::{Read, Reader, failed};
use crate::{CommandError, EngineHandle, StoreError};

/// Under which key the database keeps up to which moment everything has come in.
pub(crate) const RESTOCKED_UNTIL: &str = "restocked_until";
/// The lease of the node that does it.
const LEASE: &str = "job restock";

impl Reader {
    /// The latest restocks of a reward, newest first.
    pub async fn restocks(&self, reward_id: &str, limit: i64) -> Read<Vec<Receipt>> {
        // As the receipt writes it; of what means something in a pattern an id has only this.
        let id = reward_id.replace('_', "\\_");
        let said = format!("%\"restock\":{{\"reward\\_id\":\"{id}\"%");
        // The index of these entries is used where the condition names their kind, and nothing else by which they could be found.
        // Those of former versions have no reference, and none is added to them.
        let kind = TransactionKind::Restock as i64;
        let sql = format!(
            "SELECT receipt FROM (
                 SELECT * FROM (SELECT txn_id, receipt FROM txn WHERE kind = {kind} AND reference = $1
                                ORDER BY txn_id DESC LIMIT $2) AS named
                 UNION ALL
                 SELECT * FROM (SELECT txn_id, receipt FROM txn WHERE kind = {kind} AND reference IS NULL
                                AND receipt LIKE $3 ESCAPE '\\' ORDER BY txn_id DESC LIMIT $2) AS former) AS found
             ORDER BY txn_id DESC LIMIT $2"
        );
        let query = sqlx::query_scalar::<_, String>(AssertSqlSafe(sql));
        let query = query.bind(reward_id).bind(limit).bind(said);
        let receipts = query.fetch_all(&self.pool).await.map_err(failed)?;
        let read = |text: &String| serde_json::from_str(text).map_err(|error| StoreError::Unusable(error.to_string()));
        receipts.iter().map(read).collect()
    }
}

impl EngineHandle {
    /// Lets come in what rewards say comes in up to `now`, since the last time; what was to come before the program was
    /// first looked at does not. Each moment counts by the version of the reward that held then. Returns how many restocks
    /// there were.
    pub async fn restock(&self, now: Timestamp) -> Result<usize, CommandError> {
        if !self.program().all_offered().any(|offered| !offered.reward.scarcity.restock.is_empty()) {
            return Ok(0);
        }
        let known = self.restocked_until(now).await?;
        let Some(since) = known.filter(|since| *since < now) else { return Ok(0) };
        // By now the writer knows what others have published.
        let program = self.program();
        let mut commands = Vec::new();
        for offered in program.all_offered().filter(|offered| !offered.reward.scarcity.restock.is_empty()) {
            let reward = &offered.reward;
            for ((moment, pool), quantity) in offered.restocks(&program.calendar, since, now) {
                let holds = program.offered_at(&reward.id, moment).is_some_and(|held| Arc::ptr_eq(held, offered));
                if holds {
                    commands.push(Command::planned_restock(&reward.id, pool.as_deref(), quantity, moment, now));
                }
            }
        }
        let mut done = 0;
        for outcome in self.submit(commands).await {
            match outcome {
                Ok(reply) => done += usize::from(!reply.replayed),
                // The reward was retired since; the others go on.
                Err(CommandError::Refused(refusal)) if refusal.code == RefusalCode::UnknownReward => {}
                Err(CommandError::Refused(refusal)) => {
                    tracing::error!(code = refusal.code.name(), refusal.message, "a planned restock was refused");
                }
                Err(error) => return Err(error),
            }
        }
        let text = now.as_millis().to_string();
        self.run(move |store| store.set_meta(RESTOCKED_UNTIL, &text)).await?;
        Ok(done)
    }

    /// Up to which moment everything has come in; `None`: there is nothing to do here, or another node does it.
    async fn restocked_until(&self, now: Timestamp) -> Result<Option<Timestamp>, CommandError> {
        self.run(move |store| {
            if !store.lease(LEASE)? {
                return Ok(None);
            }
            let Some(known) = store.meta(RESTOCKED_UNTIL)? else {
                store.set_meta(RESTOCKED_UNTIL, &now.as_millis().to_string())?;
                return Ok(None);
            };
            let millis = known.parse().map_err(|_| StoreError::Unusable(format!("{RESTOCKED_UNTIL}: `{known}`")))?;
            Ok(Some(Timestamp::from_millis(millis)))
        })
        .await
    }
}
