//! Audiences that look at the account alone, as rewards have them.

use std::fmt;

use cel::Context;

use super::expression::{self, BodySeen, Expression, Fact};
use super::known::{Knowledge, Parties};
use super::prepare::PreparedActivity;
use super::rule;
use super::window::Window;
use crate::ledger::{Account, CurrencyId};
use crate::program::Program;
use crate::time::Timestamp;

/// What such an audience may look at.
const VARIABLES: [&str; 3] = ["history", "member", "tier"];

/// An audience, compiled: there is no activity, so that what it does not ask of the account is known at once.
pub struct Audience {
    expression: Expression,
    holds_outside: bool,
    given: Vec<i64>,
}

impl Audience {
    /// Compiles an expression; the message quotes what is wrong, with its line and column. `field` names it.
    pub fn compile(field: &str, text: &str) -> Result<Self, String> {
        let expression = Expression::compile(field, text, &VARIABLES)?;
        let nothing = Context::default();
        let named = |problem| format!("`{field}`: {problem}");
        let holds_outside = expression.holds(&nothing).map_err(named)?;
        let given = expression.given(&nothing).map_err(named)?;
        Ok(Self { expression, holds_outside, given })
    }

    /// Checks it for publication.
    pub(crate) fn validate(field: &str, text: &str) -> Result<(), String> {
        Self::compile(field, text)?;
        expression::check(field, text, BodySeen::Nothing("an audience has no body"))
    }

    /// Checks that the tiers with which it compares are there.
    pub(crate) fn check_tiers(field: &str, text: &str, tiers: &[&str]) -> Result<(), String> {
        expression::check_tiers(field, text, tiers)
    }

    fn facts(&self) -> impl Iterator<Item = &Fact> {
        self.expression.account.iter().flat_map(|account| account.facts.iter().map(|(_, fact)| fact))
    }

    /// Whether it asks for a kind of activity.
    pub fn asks_for(&self, kind: &str) -> bool {
        self.facts().any(|fact| fact.is_about(kind))
    }

    /// The kinds of activity, and the windows, that accounts must count for it.
    pub fn counted(&self) -> impl Iterator<Item = (&str, Window)> {
        rule::counted(self.facts())
    }

    /// The kinds of activity that accounts must count by days for it.
    pub fn counted_by_day(&self) -> impl Iterator<Item = &str> {
        rule::counted_by_day(self.facts())
    }
}

impl fmt::Debug for Audience {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("audience")
    }
}

/// An account at a moment, to be held against audiences.
pub struct Onlooker<'a> {
    program: &'a Program,
    account: &'a Account,
    at: Timestamp,
    nothing: PreparedActivity,
}

impl<'a> Onlooker<'a> {
    /// An account at `at`.
    pub fn new(program: &'a Program, account: &'a Account, at: Timestamp) -> Self {
        let ends = Window::COUNTED.into_iter().map(|window| (window, window.end(&program.calendar, at)));
        let nothing = PreparedActivity {
            program: program.clone(),
            kind: String::new(),
            body: String::new(),
            amount: 0,
            today: program.calendar.day_of(at),
            candidates: Vec::new(),
            caps: Vec::new(),
            store: String::new(),
            tracked: Vec::new(),
            ends: ends.collect(),
            returns: None,
            tracked_referred: Vec::new(),
            referrer: None,
            by_day: false,
            rank_before: None,
            makes_final: None,
        };
        Self { program, account, at, nothing }
    }

    /// Whether the account belongs to an audience; points are those of a currency.
    pub fn belongs_to(&self, audience: &Audience, currency: CurrencyId) -> bool {
        let Some(condition) = &audience.expression.account else { return audience.holds_outside };
        let parties = Parties { member: self.account, referrer: None };
        let known = Knowledge { program: self.program, prepared: &self.nothing, parties, at: self.at };
        let facts: Vec<(&str, i64)> =
            condition.facts.iter().map(|(name, fact)| (name.as_str(), known.of(currency, fact))).collect();
        audience.holds_outside && condition.holds(&audience.given, &facts)
    }
}
