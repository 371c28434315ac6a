//! Earning rules: when this activity, if this condition, then this effect.

use cel::Program as Expression;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use crate::ledger::{CurrencyId, FundingId};
use crate::limits;
use crate::program::Text;
use crate::time::Timestamp;

/// What a rule does. Every effect rounds down, once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Effect {
    /// `rate` points for each major unit of money, over all lines or those for which the CEL expression `lines` holds.
    PointsPerMoney {
        /// Points for one major unit.
        rate: Decimal,
        /// Which lines count; it may look at `line` and `activity`.
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
    /// A fixed number of points.
    FixedPoints {
        /// How many.
        points: i64,
    },
    /// Takes back `rate` points for each major unit refunded, at most what is available; the shortfall is forgiven and
    /// recorded.
    TakeBackPerMoney {
        /// Points for one major unit.
        rate: Decimal,
    },
}

/// An earning rule as an operator writes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Its id.
    pub id: String,
    /// What people call it.
    pub name: Text,
    /// The kind of activity that it looks at.
    pub trigger: String,
    /// CEL over `activity` and `lines`; left out: always.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub condition: Option<String>,
    /// What it does.
    pub effect: Effect,
    /// The currency that it gives; 1, the first, when left out.
    #[serde(default = "first_currency")]
    pub currency: CurrencyId,
    /// Who pays.
    #[serde(default)]
    pub funding: FundingId,
    /// Days for which the points stay pending.
    #[serde(default)]
    pub pending_days: i32,
}

fn first_currency() -> CurrencyId {
    CurrencyId(1)
}

impl Rule {
    /// Checks the rule; `earlier` are the rules before it.
    pub fn validate(&self, earlier: &[Rule]) -> Result<(), String> {
        limits::check_text("id", &self.id, 64)?;
        limits::check_text("trigger", &self.trigger, 64)?;
        let rate_limit = Decimal::from(1_000_000);
        let check = |name: &str, rate: &Decimal| {
            if rate.is_sign_negative() || *rate > rate_limit {
                return Err(format!("`{name}` must be 0 to {rate_limit}"));
            }
            Ok(())
        };
        match &self.effect {
            Effect::PointsPerMoney { rate, .. } | Effect::TakeBackPerMoney { rate } => check("rate", rate)?,
            Effect::PercentOfRule { rule, percent } => {
                check("percent", percent)?;
                if !earlier.iter().any(|known| known.id == *rule) {
                    return Err(format!("`rule` names `{rule}`, which is not a rule that stands before it"));
                }
            }
            Effect::FixedPoints { points } if !(1..=limits::AMOUNT).contains(points) => {
                return Err(format!("`points` must be 1 to {}", limits::AMOUNT));
            }
            Effect::FixedPoints { .. } => {}
        }
        if !(0..=3_650).contains(&self.pending_days) {
            return Err("`pending_days` must be 0 to 3650".to_owned());
        }
        CompiledRule::compile(self.clone(), 1, Timestamp::ZERO, true).map(drop)
    }
}

/// One version of a rule with its expressions compiled.
pub struct CompiledRule {
    /// As written.
    pub rule: Rule,
    /// Which version.
    pub version: i64,
    /// From when it holds.
    pub effective_from: Timestamp,
    /// Whether it is in force, or retired from `effective_from` on.
    pub active: bool,
    pub(super) condition: Option<Expression>,
    pub(super) line_filter: Option<Expression>,
    /// Whether an expression looks at `lines`; building them for CEL is dear.
    pub(super) looks_at_lines: bool,
}

impl CompiledRule {
    /// Compiles the CEL of a rule; the message quotes what is wrong.
    pub fn compile(rule: Rule, version: i64, effective_from: Timestamp, active: bool) -> Result<Self, String> {
        let condition = rule.condition.as_deref().map(|text| compile("condition", text, &["activity", "lines"]));
        let line_filter = match &rule.effect {
            Effect::PointsPerMoney { lines: Some(text), .. } => Some(compile("lines", text, &["activity", "line"])),
            _ => None,
        };
        let (condition, line_filter) = (condition.transpose()?, line_filter.transpose()?);
        Ok(Self {
            looks_at_lines: condition.iter().any(|expression| expression.references().has_variable("lines")),
            condition,
            line_filter,
            rule,
            version,
            effective_from,
            active,
        })
    }
}

fn compile(field: &str, text: &str, variables: &[&str]) -> Result<Expression, String> {
    if text.len() > limits::EXPRESSION_CHARS {
        return Err(format!("`{field}` is longer than {} characters", limits::EXPRESSION_CHARS));
    }
    let expression = Expression::compile(text).map_err(|errors| format!("`{field}` is not CEL: {errors}"))?;
    super::cost::check(&expression).map_err(|problem| format!("`{field}` {problem}"))?;
    for name in expression.references().variables() {
        if !variables.contains(&name) {
            return Err(format!("`{field}` refers to `{name}`; it may look at {}", variables.join(", ")));
        }
    }
    Ok(expression)
}
