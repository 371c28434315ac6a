//! Refuses orders for what is not offered to the member.

use super::decide::Draft;
use super::refusal::{Refusal, RefusalCode};
use crate::rewards::Viewer;

impl Draft<'_> {
    /// Refuses an order for a reward that the member may not see at that moment, in that place.
    pub(super) fn check_offered(&self, reward_id: &str) -> Result<(), Refusal> {
        let at = self.command.at;
        let Some(offered) = self.program.offered_at(reward_id, at) else { return Ok(()) };
        if offered.is_unrestricted() {
            return Ok(());
        }
        let viewer = Viewer::new(self.program, Some(&self.account), &self.command.place, at);
        viewer.sees(offered).map_err(|why| {
            Refusal::new(RefusalCode::RewardNotOffered, format!("reward `{reward_id}` is not offered: {why}"))
        })
    }
}
