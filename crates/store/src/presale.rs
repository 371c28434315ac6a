//! Who comes to presales: what must have been spent is found out once over all accounts, and kept as it was found, with its
//! date, so that it can be explained.

use std::collections::BTreeMap;

use guerdon_core::id::MemberId;
use guerdon_core::ledger::{Account, AccountStatus};
use guerdon_core::rewards::{CompiledReward, PresaleTime};
use guerdon_core::time::Timestamp;
use serde::{Deserialize, Serialize};
use sqlx::Row as _;

use crate::engine::system_now;
use crate::read::{Read, Reader, failed};
use crate::record::RecordQuery;
use crate::{CommandError, EngineHandle, Record, RecordChange, StoreError};

/// The kind of these records.
const PRESALE: &str = "presale";
/// Accounts read at once.
const PAGE: i64 = 5_000;
/// Presales that are looked at.
const MOST: i64 = 10_000;
/// For how long it is kept after everybody came, for whoever asks: a year.
const KEPT_MS: i64 = 366 * 24 * 60 * 60 * 1000;

/// What must have been spent to come to a presale, and over whom that was found out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PresaleThreshold {
    /// The reward.
    pub reward_id: String,
    /// When everybody comes: a later presale of the reward is another.
    pub opens_at: Timestamp,
    /// Money in minor units of the program; `None`: nobody spent anything, so that nobody takes part.
    pub threshold: Option<i64>,
    /// How many members spent anything.
    pub members: i64,
    /// How many of them take part.
    pub taking_part: i64,
    /// When it was found out.
    pub computed_at: Timestamp,
}

fn name(reward_id: &str, presale: &PresaleTime) -> String {
    format!("{reward_id}@{}", presale.to.as_millis())
}

impl Reader {
    /// The threshold of a presale, where it was found out.
    pub async fn presale(&self, reward_id: &str, presale: &PresaleTime) -> Read<Option<PresaleThreshold>> {
        let found = self.record(PRESALE, &name(reward_id, presale), system_now()).await?;
        found.map(|record| record.read()).transpose()
    }

    /// All thresholds that were found out.
    pub async fn presales(&self) -> Read<Vec<PresaleThreshold>> {
        let query = RecordQuery { kind: PRESALE.to_owned(), limit: MOST, ..RecordQuery::default() };
        self.records(&query, system_now()).await?.iter().map(Record::read).collect()
    }

    /// What each active member spent in the months of a presale, nothing left out.
    async fn spent(&self, presale: &PresaleTime) -> Read<Vec<i64>> {
        let (mut spent, mut after) = (Vec::new(), MemberId(i64::MIN));
        loop {
            let sql = "SELECT member_id, version, state FROM account WHERE member_id > $1 ORDER BY member_id LIMIT $2";
            let query = sqlx::query(sql).bind(after.0).bind(PAGE);
            let rows = query.fetch_all(&self.pool).await.map_err(failed)?;
            for row in &rows {
                after = MemberId(row.try_get(0).map_err(failed)?);
                let state: Vec<u8> = row.try_get(2).map_err(failed)?;
                let account = Account::decode(row.try_get(1).map_err(failed)?, &state).map_err(StoreError::Unusable)?;
                if account.status == AccountStatus::Active {
                    spent.push(presale.spent(&account.standing));
                }
            }
            if (rows.len() as i64) < PAGE {
                return Ok(spent);
            }
        }
    }
}

impl EngineHandle {
    /// Finds out what must have been spent to come to the presale of a reward, and keeps it. Where another node was faster,
    /// what that one found holds.
    pub async fn find_presale(
        &self,
        reader: &Reader,
        offered: &CompiledReward,
        now: Timestamp,
    ) -> Result<Option<PresaleThreshold>, CommandError> {
        let Some(presale) = offered.presale() else { return Ok(None) };
        let reward_id = &offered.reward.id;
        let unreadable = |error: StoreError| CommandError::Unavailable(error.to_string());
        let spent = reader.spent(presale).await.map_err(unreadable)?;
        let count = |wanted: &dyn Fn(i64) -> bool| spent.iter().filter(|spent| wanted(**spent)).count() as i64;
        let threshold = presale.threshold(spent.clone());
        let found = PresaleThreshold {
            reward_id: reward_id.clone(),
            opens_at: presale.to,
            threshold,
            members: count(&|spent| spent > 0),
            taking_part: threshold.map_or(0, |threshold| count(&|spent| spent >= threshold)),
            computed_at: now,
        };
        let left = presale.to.as_millis().saturating_sub(now.as_millis()).max(0);
        let record = Record::new(PRESALE, &name(reward_id, presale), reward_id, &found).map_err(unreadable)?;
        let record = record.until(system_now().plus_millis(left.saturating_add(KEPT_MS)));
        match self.write_records(vec![RecordChange::Put(record)], Vec::new()).await {
            Ok(()) => Ok(Some(found)),
            Err(CommandError::Conflict) => reader.presale(reward_id, presale).await.map_err(unreadable),
            Err(error) => Err(error),
        }
    }
}

/// Thresholds by reward, of those presales that rewards announce now.
pub fn thresholds<'a>(
    found: &[PresaleThreshold],
    offered: impl Iterator<Item = &'a CompiledReward>,
) -> BTreeMap<String, i64> {
    let own = offered.filter_map(|offered| {
        let presale = offered.presale()?;
        let is_own = |one: &&PresaleThreshold| one.reward_id == offered.reward.id && one.opens_at == presale.to;
        Some((offered.reward.id.clone(), found.iter().find(is_own)?.threshold?))
    });
    own.collect()
}
