//! What each rule gives, as receipts tell it.

use std::collections::BTreeMap;
use std::sync::Arc;

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
use crate::serial::is_zero;
use crate::time::Timestamp;

/// What one rule gives for an activity, or takes back when `points` is negative. A rule that gives nothing because of a
/// cap or another rule is told with 0 points.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// The rule.
    pub rule: Arc<str>,
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

fn is_program(funding: &FundingId) -> bool {
    *funding == FundingId::default()
}

/// Appends a field: its name with all that stands around it, and its value.
pub(super) fn write_field(
    json: &mut Vec<u8>,
    name: &[u8],
    value: &(impl Serialize + ?Sized),
) -> serde_json::Result<()> {
    json.extend_from_slice(name);
    serde_json::to_writer(json, value)
}

/// The moment that was written last: most outcomes of an activity name the same.
#[derive(Default)]
pub(crate) struct Moments {
    last: Option<Timestamp>,
    written: Vec<u8>,
}

impl Moments {
    /// As [`write_field`].
    pub(super) fn write_field(&mut self, json: &mut Vec<u8>, name: &[u8], moment: Timestamp) -> serde_json::Result<()> {
        if self.last != Some(moment) {
            self.written.clear();
            serde_json::to_writer(&mut self.written, &moment)?;
            self.last = Some(moment);
        }
        json.extend_from_slice(name);
        json.extend_from_slice(&self.written);
        Ok(())
    }
}

fn write_optional(json: &mut Vec<u8>, name: &[u8], value: Option<&impl Serialize>) -> serde_json::Result<()> {
    value.map_or(Ok(()), |value| write_field(json, name, value))
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

    /// Appends the JSON that `Serialize` makes, without the detour over names that must be escaped: receipts are full of
    /// outcomes, and are written while others wait.
    pub(crate) fn write_json(&self, json: &mut Vec<u8>, moments: &mut Moments) -> serde_json::Result<()> {
        write_field(json, br#"{"rule":"#, &*self.rule)?;
        write_field(json, br#","version":"#, &self.version)?;
        write_field(json, br#","points":"#, &self.points)?;
        write_field(json, br#","currency":"#, &self.currency)?;
        write_optional(json, br#","amount":"#, self.amount.as_ref())?;
        write_optional(json, br#","rate":"#, self.rate.as_ref())?;
        write_optional(json, br#","step":"#, self.step.as_ref())?;
        write_optional(json, br#","factor":"#, self.factor.as_ref())?;
        write_optional(json, br#","of_rule":"#, self.of_rule.as_ref())?;
        write_optional(json, br#","act":"#, self.act.as_ref())?;
        write_optional(json, br#","facts":"#, Some(&self.facts).filter(|facts| !facts.is_empty()))?;
        write_optional(json, br#","trimmed":"#, self.trimmed.as_ref())?;
        write_optional(json, br#","lost_to":"#, self.lost_to.as_ref())?;
        write_optional(json, br#","stopped_by":"#, self.stopped_by.as_ref())?;
        self.active_at.map_or(Ok(()), |at| moments.write_field(json, br#","active_at":"#, at))?;
        self.expires_at.map_or(Ok(()), |at| moments.write_field(json, br#","expires_at":"#, at))?;
        write_optional(json, br#","until_final":"#, Some(&true).filter(|_| self.until_final))?;
        write_optional(json, br#","repaid":"#, Some(&self.repaid).filter(|repaid| !is_zero(*repaid)))?;
        write_optional(json, br#","funding":"#, Some(&self.funding).filter(|funding| !is_program(funding)))?;
        json.push(b'}');
        Ok(())
    }

    /// Points that no activity gave: of a rule that is not one of the program's, of version 0.
    pub(crate) fn plain(rule: Arc<str>, points: i64, currency: CurrencyId) -> Self {
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
            rule: Arc::clone(&candidate.rule.id),
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
