//! Earning rules: when this activity, if this condition, then this effect, within these caps.

use std::fmt;
use std::sync::Arc;

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use super::act::Act;
use super::activity_kind::Bodies;
use super::caps::{self, Cap, Over};
use super::expression::{self, BodySeen, Expression, Fact};
use super::window::Window;
use crate::ledger::{CurrencyId, FundingId};
use crate::limits;
use crate::program::Text;
use crate::serial::is_zero;
use crate::tiers::FACTOR_PREFIX;
use crate::tiers::TIER_CHANGED;
use crate::time::Timestamp;

/// The kinds of activity that a rule listens to: one, or several.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged, expecting = "a kind of activity, or a list of them")]
pub enum Trigger {
    /// One.
    One(String),
    /// Any of several.
    Many(Vec<String>),
}

impl Trigger {
    /// The kinds.
    pub fn kinds(&self) -> &[String] {
        match self {
            Self::One(kind) => std::slice::from_ref(kind),
            Self::Many(kinds) => kinds,
        }
    }

    /// Whether a kind is among them.
    pub fn listens(&self, kind: &str) -> bool {
        self.kinds().iter().any(|one| one == kind)
    }
}

/// What a rule does. Every effect rounds down, once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Effect {
    /// `rate` points for each major unit of money, over all lines or those for which the CEL expression `lines` holds.
    PointsPerMoney {
        /// Points for one major unit.
        rate: Decimal,
        /// Which lines count; it may look at `line`, `activity` and `context`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        lines: Option<String>,
    },
    /// `points` for each full `step` of money, over all lines or some.
    PointsPerStep {
        /// Points for one step.
        points: i64,
        /// Major units of money.
        step: Decimal,
        /// Which lines count.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        lines: Option<String>,
    },
    /// A fixed number of points: once, or for each line for which `lines` holds.
    FixedPoints {
        /// How many.
        points: i64,
        /// Which lines count.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        lines: Option<String>,
    },
    /// `percent` % of what an earlier rule gave to the same activity.
    PercentOfRule {
        /// The earlier rule.
        rule: String,
        /// Per cent.
        percent: Decimal,
    },
    /// Makes the base `factor` times as much, by giving the difference. The base is what one earlier rule gave, or all
    /// earlier ones that give points for money in the same currency; over all lines, or some.
    Multiply {
        /// 1 or more.
        factor: Decimal,
        /// The earlier rule; left out: all that give points for money.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        rule: Option<String>,
        /// Which lines count; then the base is of `points_per_money` alone.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        lines: Option<String>,
    },
    /// Takes back `rate` points for each major unit refunded, at most what is available; the shortfall is forgiven and
    /// recorded. It does not apply to a return that names its purchase.
    TakeBackPerMoney {
        /// Points for one major unit.
        rate: Decimal,
    },
    /// Gives somebody something to do, such as to call the member: an event, and a task in the console.
    Task {
        /// What is to be done.
        text: Text,
    },
    /// Writes to the member, who has agreed to it, by a template of the program.
    Message {
        /// The template's id.
        template: String,
    },
    /// Gives a reward of the program for no points; where there is no unit left nothing is given.
    IssueReward {
        /// The reward's id.
        reward: String,
        /// How many units.
        #[serde(default = "one")]
        quantity: i64,
    },
    /// Lifts the member to a tier for a time. What the figures lead to goes on beneath, and counts when it is higher.
    GrantTier {
        /// The tier's id.
        tier: String,
        /// For how many days, that of the activity included. Left out: for the time after which the tier is reviewed, and for
        /// ever where it is not.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        days: Option<i32>,
    },
}

fn one() -> i64 {
    1
}

impl Effect {
    /// Whether it does something besides giving points; it is limited by count alone.
    pub fn is_act(&self) -> bool {
        Act::of(self).is_some()
    }

    /// The reward that it gives, and how many units.
    pub fn reward(&self) -> Option<(&str, i64)> {
        match self {
            Self::IssueReward { reward, quantity } => Some((reward, *quantity)),
            _ => None,
        }
    }

    /// Which lines count.
    pub fn lines(&self) -> Option<&str> {
        match self {
            Self::PointsPerMoney { lines, .. }
            | Self::PointsPerStep { lines, .. }
            | Self::FixedPoints { lines, .. }
            | Self::Multiply { lines, .. } => lines.as_deref(),
            Self::PercentOfRule { .. }
            | Self::TakeBackPerMoney { .. }
            | Self::Task { .. }
            | Self::Message { .. }
            | Self::IssueReward { .. }
            | Self::GrantTier { .. } => None,
        }
    }

    /// The earlier rule of which it is a share.
    pub fn of_rule(&self) -> Option<&str> {
        match self {
            Self::PercentOfRule { rule, .. } => Some(rule),
            Self::Multiply { rule, .. } => rule.as_deref(),
            _ => None,
        }
    }

    /// Whether it gives points for money: what a multiplier without a rule multiplies.
    pub fn is_base(&self) -> bool {
        matches!(self, Self::PointsPerMoney { .. } | Self::PointsPerStep { .. })
    }

    fn validate(&self) -> Result<(), String> {
        let rate_limit = Decimal::from(1_000_000);
        let check = |name: &str, value: &Decimal, least: Decimal| {
            if *value < least || *value > rate_limit {
                return Err(format!("`{name}` must be {least} to {rate_limit}"));
            }
            Ok(())
        };
        match self {
            Self::PointsPerMoney { rate, .. } | Self::TakeBackPerMoney { rate } => check("rate", rate, Decimal::ZERO),
            Self::PercentOfRule { percent, .. } => check("percent", percent, Decimal::ZERO),
            Self::Multiply { factor, .. } => check("factor", factor, Decimal::ONE),
            Self::PointsPerStep { step, .. } if *step <= Decimal::ZERO => Err("`step` must be more than 0".to_owned()),
            Self::PointsPerStep { points, step, .. } => {
                check("step", step, Decimal::ZERO)?;
                check_points(*points)
            }
            Self::FixedPoints { points, .. } => check_points(*points),
            Self::Task { text } => text.validate("text"),
            Self::Message { template } => limits::check_text("template", template, 64),
            Self::IssueReward { quantity, .. } if !(1..=limits::ORDER_QUANTITY).contains(quantity) => {
                Err(format!("`quantity` must be 1 to {}", limits::ORDER_QUANTITY))
            }
            Self::IssueReward { reward, .. } => limits::check_text("reward", reward, 64),
            Self::GrantTier { days: Some(days), .. } if !(1..=limits::GRANT_DAYS).contains(days) => {
                Err(format!("`days` must be 1 to {}", limits::GRANT_DAYS))
            }
            Self::GrantTier { tier, .. } => limits::check_text("tier", tier, 64),
        }
    }
}

fn check_points(points: i64) -> Result<(), String> {
    if (1..=limits::AMOUNT).contains(&points) {
        return Ok(());
    }
    Err(format!("`points` must be 1 to {}", limits::AMOUNT))
}

/// To whom a rule gives.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Beneficiary {
    /// To the member who did something.
    #[default]
    Member,
    /// To whoever referred that member; to nobody where nobody did.
    Referrer,
}

impl Beneficiary {
    fn is_member(&self) -> bool {
        *self == Self::Member
    }
}

/// Which rule of an exclusive group gives.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Choice {
    /// The one that offers most, before caps; the first of several.
    #[default]
    Best,
    /// The first in the order of evaluation.
    First,
}

/// A group of rules of which only one gives to an activity.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exclusive {
    /// Its name; all rules that name it belong to it.
    pub group: String,
    /// Which one; the same for all rules of the group.
    #[serde(default)]
    pub choose: Choice,
}

/// What points wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PendingUntil {
    /// An `order_final` that names the purchase.
    Final,
}

/// An earning rule as an operator writes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Its id.
    pub id: String,
    /// What people call it.
    pub name: Text,
    /// The kinds of activity that it listens to.
    pub trigger: Trigger,
    /// CEL over `activity`, `lines`, `context`, `history` and `member`; left out: always.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub condition: Option<String>,
    /// What it does.
    pub effect: Effect,
    /// The currency that it gives; 1, the first, when left out.
    #[serde(default = "first_currency")]
    pub currency: CurrencyId,
    /// To whom it gives; its caps count on that account. The condition looks at the member who did something.
    #[serde(default, skip_serializing_if = "Beneficiary::is_member")]
    pub beneficiary: Beneficiary,
    /// Who pays.
    #[serde(default)]
    pub funding: FundingId,
    /// Days for which the points stay pending.
    #[serde(default)]
    pub pending_days: i32,
    /// What ends that before; left out: nothing does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pending_until: Option<PendingUntil>,
    /// Rules with a higher one are evaluated first; among equals the order of the file holds.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub priority: i32,
    /// The exclusive group that it belongs to; left out: it adds to what others give.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exclusive: Option<Exclusive>,
    /// Whether rules after it give nothing to an activity to which it gives.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub stop: bool,
    /// The campaign that it belongs to; left out: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub campaign: Option<String>,
    /// The arm of the campaign whose members it is for; left out: all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arm: Option<String>,
    /// How much it gives at most.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub caps: Vec<Cap>,
}

pub(super) fn first_currency() -> CurrencyId {
    CurrencyId(1)
}

impl Rule {
    /// Checks that the tiers with which its condition compares are there.
    pub(crate) fn check_tiers(&self, tiers: &[&str]) -> Result<(), String> {
        self.condition.as_deref().map_or(Ok(()), |text| expression::check_tiers("condition", text, tiers))
    }

    /// Checks the rule for publication; `earlier` are the rules that are evaluated before it, `bodies` what the bodies of
    /// activities hold. The message names the field, and the line and column in an expression.
    pub(crate) fn validate(&self, earlier: &[&Rule], bodies: &Bodies) -> Result<(), String> {
        limits::check_text("id", &self.id, 64)?;
        if self.id.starts_with(FACTOR_PREFIX) {
            return Err(format!("`id` must not begin with `{FACTOR_PREFIX}`: so do the factors of tiers"));
        }
        if !(1..=limits::TRIGGERS).contains(&self.trigger.kinds().len()) {
            return Err(format!("`trigger` must name 1 to {} kinds of activity", limits::TRIGGERS));
        }
        self.trigger.kinds().iter().try_for_each(|kind| limits::check_text("trigger", kind, 64))?;
        self.effect.validate()?;
        if let Some(rule) = self.effect.of_rule() {
            let known = earlier.iter().find(|known| known.id == rule);
            let known =
                known.ok_or_else(|| format!("`rule` names `{rule}`, which is not a rule that stands before it"))?;
            if known.currency != self.currency {
                return Err(format!("`rule` names `{rule}`, which gives another currency"));
            }
            if known.effect.is_act() {
                return Err(format!("`rule` names `{rule}`, which gives no points"));
            }
        }
        if !(0..=3_650).contains(&self.pending_days) {
            return Err("`pending_days` must be 0 to 3650".to_owned());
        }
        if self.pending_until.is_some() && self.pending_days == 0 {
            return Err("`pending_until` needs `pending_days`: how long the points wait at the most".to_owned());
        }
        if !(-1_000..=1_000).contains(&self.priority) {
            return Err("`priority` must be -1000 to 1000".to_owned());
        }
        if let Some(exclusive) = &self.exclusive {
            limits::check_text("exclusive.group", &exclusive.group, 64)?;
        }
        let gives = !matches!(self.effect, Effect::TakeBackPerMoney { .. });
        if !gives && (self.exclusive.is_some() || self.stop || !self.caps.is_empty()) {
            return Err("a rule that takes back has no `exclusive`, `stop` or `caps`".to_owned());
        }
        if self.trigger.listens(TIER_CHANGED)
            && (self.beneficiary == Beneficiary::Referrer
                || matches!(self.effect, Effect::IssueReward { .. } | Effect::GrantTier { .. }))
        {
            let problem =
                "a change of the tier gives nothing to the referrer, issues no reward and grants no other tier";
            return Err(format!("`trigger` `{TIER_CHANGED}`: {problem}"));
        }
        if self.beneficiary == Beneficiary::Referrer {
            if !gives {
                return Err("`beneficiary`: take back of the member; what a purchase gave to the referrer goes back \
                            with a return that names the purchase"
                    .to_owned());
            }
            if self.pending_until.is_some() {
                return Err("`pending_until`: only the member's own points wait for a purchase to be final".to_owned());
            }
            if self.caps.iter().any(|cap| cap.over == Over::Refuse) {
                return Err(
                    "`over`: what the referrer has no room for cannot refuse what another member does".to_owned()
                );
            }
        }
        if self.arm.is_some() && self.campaign.is_none() {
            return Err("`arm` is one of a campaign; name its `campaign`".to_owned());
        }
        caps::validate(&self.caps)?;
        if self.effect.is_act() && self.caps.iter().any(|cap| cap.points.is_some() || cap.cost.is_some()) {
            return Err("a rule that gives no points has `caps` by `count` alone".to_owned());
        }
        CompiledRule::compile(self.clone(), 1, Timestamp::ZERO, true).map(drop)?;
        if let Some(text) = &self.condition {
            let check = |kind: &String| bodies.of(kind, |body| expression::check("condition", text, body));
            self.trigger.kinds().iter().try_for_each(check)?;
        }
        let nothing = BodySeen::Nothing("lines have no body; look at it in the `condition`");
        self.effect.lines().map_or(Ok(()), |text| expression::check("lines", text, nothing))
    }
}

/// One version of a rule with its expressions compiled.
pub struct CompiledRule {
    /// As written.
    pub rule: Rule,
    /// Its id, which everything that it gives names.
    pub id: Arc<str>,
    /// Which version.
    pub version: i64,
    /// From when it holds.
    pub effective_from: Timestamp,
    /// Whether it is in force, or retired from `effective_from` on.
    pub active: bool,
    /// Its place among the rules.
    pub position: i64,
    pub(super) condition: Option<Expression>,
    pub(super) line_filter: Option<Expression>,
}

impl CompiledRule {
    /// Compiles the CEL of a rule; the message quotes what is wrong.
    pub fn compile(rule: Rule, version: i64, effective_from: Timestamp, active: bool) -> Result<Self, String> {
        let on_activity = ["activity", "lines", "context", "history", "member", "tier", "referrer"];
        let on_line = ["line", "activity", "context"];
        let condition = rule.condition.as_deref().map(|text| Expression::compile("condition", text, &on_activity));
        let line_filter = rule.effect.lines().map(|text| Expression::compile("lines", text, &on_line));
        let (condition, line_filter) = (condition.transpose()?, line_filter.transpose()?);
        let id = rule.id.as_str().into();
        Ok(Self { condition, line_filter, rule, id, version, effective_from, active, position: 0 })
    }

    /// What its condition asks of the account.
    pub(super) fn facts(&self) -> impl Iterator<Item = &Fact> {
        let account = self.condition.iter().filter_map(|condition| condition.account.as_ref());
        account.flat_map(|account| account.facts.iter().map(|(_, fact)| fact))
    }

    /// The kinds of activity, and the windows, that accounts must count for its condition.
    pub fn counted(&self) -> impl Iterator<Item = (&str, Window)> {
        counted(self.facts())
    }

    /// Whether it listens to a kind of activity, or its condition asks for it.
    pub fn asks_for(&self, kind: &str) -> bool {
        self.rule.trigger.listens(kind) || self.facts().any(|fact| fact.is_about(kind))
    }

    /// The same of members whom the account has referred.
    pub fn counted_referred(&self) -> impl Iterator<Item = (&str, Window)> {
        self.facts().filter_map(|fact| match fact {
            Fact::ReferredCount(kind, window) | Fact::ReferredAmount(kind, window) => Some((kind.as_str(), *window)),
            _ => None,
        })
    }
    /// The kinds of activity that accounts must count by days for its condition.
    pub fn counted_by_day(&self) -> impl Iterator<Item = &str> {
        counted_by_day(self.facts())
    }
}

/// The kinds of activity that accounts must count by days to know some facts.
pub(super) fn counted_by_day<'a>(facts: impl Iterator<Item = &'a Fact>) -> impl Iterator<Item = &'a str> {
    facts.filter_map(|fact| match fact {
        Fact::CountOfDays(kind, _) | Fact::AmountOfDays(kind, _) => Some(kind.as_str()),
        _ => None,
    })
}

/// The kinds of activity, and the windows, that accounts must count to know some facts.
pub(super) fn counted<'a>(facts: impl Iterator<Item = &'a Fact>) -> impl Iterator<Item = (&'a str, Window)> {
    facts.filter_map(|fact| match fact {
        // All time is counted for every kind anyway.
        Fact::Count(kind, window) | Fact::Amount(kind, window) if *window != Window::Lifetime => {
            Some((kind.as_str(), *window))
        }
        _ => None,
    })
}

impl fmt::Debug for CompiledRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "rule {} version {}", self.rule.id, self.version)
    }
}

impl PartialEq for CompiledRule {
    fn eq(&self, other: &Self) -> bool {
        self.version == other.version && self.rule == other.rule
    }
}

impl Eq for CompiledRule {}
