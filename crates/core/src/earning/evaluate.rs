//! What each rule gives, as receipts tell it.

use std::collections::BTreeMap;

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use super::act::Act;
use super::activity::Activity;
use super::budget::Budgets;
use super::caps::Trim;
use super::known::Parties;
use super::prepare::{Candidate, prepare};
use super::rule::Effect;
use super::settle::{Shared, settle};
use crate::id::MemberId;
use crate::ledger::{Account, CurrencyId, FundingId};
use crate::program::Program;
use crate::time::Timestamp;

/// What one rule gives for an activity, or takes back when `points` is negative. A rule that gives nothing because of a
/// cap or another rule is told with 0 points.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// The rule.
    pub rule: String,
    /// Its version.
    pub version: i64,
    /// Points; negative when taken back.
    pub points: i64,
    /// The currency.
    pub currency: CurrencyId,
    /// The money that counted, in minor units.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount: Option<i64>,
    /// Points for one major unit or one step, or per cent of the other rule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<Decimal>,
    /// The step for which `rate` holds, in major units of money.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<Decimal>,
    /// How many times as much the base became.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub factor: Option<Decimal>,
    /// The rule of which this is a share.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of_rule: Option<String>,
    /// What it does besides giving points; it did so unless `trimmed`, `lost_to` or `stopped_by` says why not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub act: Option<Act>,
    /// What its condition found in the account, by the names used in expressions.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub facts: BTreeMap<String, i64>,
    /// The cap that made it smaller.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trimmed: Option<Trim>,
    /// The rule of its exclusive group that gave instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lost_to: Option<String>,
    /// The earlier rule that lets none after it give.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stopped_by: Option<String>,
    /// When the points become active, when that is later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub active_at: Option<Timestamp>,
    /// When the points expire.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// Whether they become active before, once the purchase is final.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub until_final: bool,
    /// How many of them went into what the member owed.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub repaid: i64,
    /// Who pays, when it is not the program itself.
    #[serde(default, skip_serializing_if = "is_program")]
    pub funding: FundingId,
}

fn is_zero(points: &i64) -> bool {
    *points == 0
}

fn is_program(funding: &FundingId) -> bool {
    *funding == FundingId::default()
}

impl Outcome {
    /// Whether what it does besides giving points was done.
    pub fn is_done(&self) -> bool {
        let kept = self.trimmed.is_some() || self.lost_to.is_some() || self.stopped_by.is_some();
        match &self.act {
            None => false,
            Some(Act::Reward { out_of_stock: true, .. }) => false,
            Some(_) => !kept,
        }
    }

    /// Points that no activity gave: of a rule that is not one of the program's, of version 0.
    pub(crate) fn plain(rule: String, points: i64, currency: CurrencyId) -> Self {
        Self {
            rule,
            version: 0,
            points,
            currency,
            amount: None,
            rate: None,
            step: None,
            factor: None,
            of_rule: None,
            act: None,
            facts: BTreeMap::new(),
            trimmed: None,
            lost_to: None,
            stopped_by: None,
            active_at: None,
            expires_at: None,
            until_final: false,
            repaid: 0,
            funding: FundingId::default(),
        }
    }

    /// What a rule gives to an activity.
    pub(super) fn of(candidate: &Candidate, points: i64) -> Self {
        let rule = &candidate.rule.rule;
        let (rate, step, factor) = match &rule.effect {
            Effect::PointsPerMoney { rate, .. } | Effect::TakeBackPerMoney { rate } => (Some(*rate), None, None),
            Effect::PointsPerStep { points, step, .. } => (Some(Decimal::from(*points)), Some(*step), None),
            Effect::PercentOfRule { percent, .. } => (Some(*percent), None, None),
            Effect::Multiply { factor, .. } => (None, None, Some(*factor)),
            Effect::FixedPoints { .. }
            | Effect::Task { .. }
            | Effect::Message { .. }
            | Effect::IssueReward { .. }
            | Effect::GrantTier { .. } => (None, None, None),
        };
        let gives = points > 0;
        Self {
            rule: rule.id.clone(),
            version: candidate.rule.version,
            points,
            currency: rule.currency,
            amount: candidate.amount,
            rate,
            step,
            factor,
            of_rule: rule.effect.of_rule().map(str::to_owned),
            act: Act::of(&rule.effect),
            facts: BTreeMap::new(),
            trimmed: None,
            lost_to: None,
            stopped_by: None,
            active_at: candidate.active_at.filter(|_| gives),
            expires_at: gives.then_some(candidate.expires_at),
            until_final: gives && rule.pending_until.is_some(),
            repaid: 0,
            funding: rule.funding,
        }
    }
}

/// What the rules in force at `at` give for the activity to a member who never did anything, and its amount in minor units.
///
/// Errors name the field (`lines`) or the rule that failed, or the cap that refuses.
pub fn evaluate(program: &Program, activity: &Activity, at: Timestamp) -> Result<(Vec<Outcome>, i64), String> {
    let prepared = prepare(program, MemberId(0), activity, at)?;
    let parties = Parties { member: &Account::default(), referrer: None };
    let shared = Shared { budgets: &Budgets::default(), stock: &Default::default() };
    let settled = settle(program, &prepared, parties, shared, at).map_err(|problem| problem.to_string())?;
    Ok((settled.member.outcomes, prepared.amount))
}
