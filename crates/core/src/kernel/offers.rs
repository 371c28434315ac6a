//! Refuses orders for what is not offered to the member.

use std::collections::BTreeMap;

use super::decide::Draft;
use super::refusal::{Refusal, RefusalCode};
use crate::rewards::{CompiledReward, Rights, Viewer};

/// What must be spent to take part in the presale of a reward, as the rights of an order say.
pub(super) fn thresholds(reward_id: &str, rights: &Rights) -> BTreeMap<String, i64> {
    rights.presale.map(|least| (reward_id.to_owned(), least)).into_iter().collect()
}

impl Draft<'_> {
    /// Refuses an order for a reward that the member may not see at that moment, in that place.
    pub(super) fn check_offered(&self, offered: &CompiledReward, rights: &Rights) -> Result<(), Refusal> {
        if offered.is_unrestricted() {
            return Ok(());
        }
        let reward_id = &offered.reward.id;
        let thresholds = thresholds(reward_id, rights);
        self.viewer(&thresholds).sees(offered).map_err(|why| {
            Refusal::new(RefusalCode::RewardNotOffered, format!("reward `{reward_id}` is not offered: {why}"))
        })
    }

    /// The member as a viewer of the catalogue, with what must be spent to take part in presales.
    pub(super) fn viewer<'v>(&'v self, thresholds: &'v BTreeMap<String, i64>) -> Viewer<'v> {
        let viewer = Viewer::new(self.program, Some(&self.account), &self.command.place, self.command.at);
        viewer.with_presale(thresholds)
    }
}
