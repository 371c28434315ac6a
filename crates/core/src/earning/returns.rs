//! Returns that name their purchase: they take back what it earned, in whole or by the lines that come back.

use super::evaluate::Outcome;
use super::history::ReturnedPurchase;

/// What of a return the activity alone decides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PreparedReturn {
    /// The idempotency key under which the purchase was recorded.
    pub purchase: String,
    /// The money given back, in minor units.
    pub amount: i64,
    /// For each version of a rule that counts some lines only: the money of those that come back.
    pub counted: Vec<((String, i64), i64)>,
}

/// A part of a whole, in minor units of money.
type Share = (i64, i64);

impl PreparedReturn {
    /// What is to be taken back for each outcome of the purchase, and the money of it that comes back. `bought` is the
    /// purchase's money, `before` what was returned of it already.
    ///
    /// With the last of the money goes the last of the points, whatever was rounded on the way.
    pub fn dues(&self, outcomes: &[Outcome], bought: i64, before: &ReturnedPurchase) -> Vec<(i64, i64)> {
        let all = before.amount.saturating_add(self.amount) >= bought;
        let mut shares: Vec<Share> = Vec::with_capacity(outcomes.len());
        let mut dues = Vec::with_capacity(outcomes.len());
        for (index, outcome) in outcomes.iter().enumerate() {
            let share = self.share(outcome, bought, outcomes, &shares);
            shares.push(share);
            let left = outcome.points.max(0).saturating_sub(before.points.get(index).copied().unwrap_or_default());
            let due = if all { left } else { part_of(outcome.points.max(0), share).min(left) };
            dues.push((due.max(0), share.0));
        }
        dues
    }

    /// Which part of the money that counted for an outcome comes back.
    fn share(&self, outcome: &Outcome, bought: i64, outcomes: &[Outcome], shares: &[Share]) -> Share {
        let of_lines =
            self.counted.iter().find(|((rule, version), _)| **rule == *outcome.rule && *version == outcome.version);
        if let (Some((_, amount)), Some(counted)) = (of_lines, outcome.amount) {
            return (*amount, counted);
        }
        // A share of another rule goes with what that rule counted.
        let base = outcome.of_rule.as_ref().and_then(|of| outcomes.iter().position(|base| *base.rule == **of));
        base.and_then(|base| shares.get(base)).copied().unwrap_or((self.amount, bought))
    }
}

/// `floor(points × share)`, between nothing and all.
fn part_of(points: i64, (part, whole): Share) -> i64 {
    if whole <= 0 {
        return 0;
    }
    let taken = i128::from(points) * i128::from(part.clamp(0, whole)) / i128::from(whole);
    i64::try_from(taken).unwrap_or(points)
}
