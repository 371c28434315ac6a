//! The part of a condition that needs the account: a small tree over whole numbers, evaluated inside the batch.
//!
//! What of it does not need the account is evaluated outside and comes as `given`. Publication has made sure that no
//! operation leaves 64 bits or divides by zero.

use cel::IdedExpr;
use cel::common::ast::{Expr, LiteralValue, operators};

use super::body::BodySeen;
use super::check::{Kind, Problem, Scope};
use super::walk::{find, mentions};
use crate::earning::Window;
use crate::earning::recent::rolling_days;

/// The variables that only the account knows.
pub(super) const ACCOUNT: [&str; 4] = ["history", "member", "tier", "referrer"];

/// Something that the account knows, as a whole number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fact {
    /// Points that can be spent, in the rule's currency.
    Available,
    /// Points earned over the account's life, in the rule's currency.
    Earned,
    /// Points spent over the account's life, in the rule's currency.
    Redeemed,
    /// Local days since the latest activity or redemption.
    DaysSince,
    /// Local days since the latest activity of a kind.
    DaysSinceKind(String),
    /// Local days in a row with an activity of a kind, this one included.
    Streak(String),
    /// Activities of a kind in the window of this one, before it.
    Count(String, Window),
    /// Their money in minor units.
    Amount(String, Window),
    /// Whether somebody referred the member: 1, or 0.
    Referred,
    /// Activities of a kind in the window of this one, before it, of all whom the same member has referred.
    ReferredCount(String, Window),
    /// Their money in minor units.
    ReferredAmount(String, Window),
    /// Activities of a kind on so many local days up to this one's, before it.
    CountOfDays(String, u16),
    /// Their money in minor units.
    AmountOfDays(String, u16),
    /// The rank of the member's tier; 0 when there is none.
    TierRank,
    /// The rank of the tier before the change that a rule for it looks at; else the same as `TierRank`.
    TierRankBefore,
    /// Whether the member's tier has an id.
    TierIs(String),
}

impl Fact {
    /// Whether it is about a kind of activity of the member.
    pub(in crate::earning) fn is_about(&self, kind: &str) -> bool {
        match self {
            Self::DaysSinceKind(known) | Self::Streak(known) | Self::Count(known, _) | Self::Amount(known, _) => {
                known == kind
            }
            Self::CountOfDays(known, _) | Self::AmountOfDays(known, _) => known == kind,
            _ => false,
        }
    }
}

/// A comparison or an operation on two whole numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Add,
    Subtract,
    Multiply,
    Divide,
    Modulo,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
    Equal,
    NotEqual,
    And,
    Or,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Node {
    Value(i64),
    Given(usize),
    Fact(usize),
    Not(Box<Node>),
    Negate(Box<Node>),
    Both(Operator, Box<(Node, Node)>),
    If(Box<(Node, Node, Node)>),
    In(Box<Node>, Vec<Node>),
}

/// A condition on the account.
#[derive(Debug)]
pub struct AccountCondition {
    node: Node,
    /// What it asks of the account, each once, by the names used in expressions.
    pub facts: Vec<(String, Fact)>,
    /// What is evaluated outside, to whole numbers or truths.
    pub(super) given: Vec<IdedExpr>,
}

impl AccountCondition {
    /// From the terms that look at the account; all must hold.
    pub(super) fn new(terms: &[&IdedExpr], body: BodySeen<'_>) -> Result<Self, Problem> {
        let mut condition = Self { node: Node::Value(1), facts: Vec::new(), given: Vec::new() };
        let mut all: Option<Node> = None;
        for term in terms {
            let node = condition.lower(term, body)?;
            all = Some(match all {
                None => node,
                Some(before) => Node::Both(Operator::And, Box::new((before, node))),
            });
        }
        condition.node = all.unwrap_or(Node::Value(1));
        Ok(condition)
    }

    /// Whether it holds, over what was evaluated outside and what the account knows, in the order of `facts`.
    pub fn holds(&self, given: &[i64], facts: &[(&str, i64)]) -> bool {
        self.node.value(given, facts) != 0
    }

    fn lower(&mut self, part: &IdedExpr, body: BodySeen<'_>) -> Result<Node, Problem> {
        if let Expr::Literal(LiteralValue::Int(value)) = &part.expr {
            return Ok(Node::Value(*value.inner()));
        }
        if !mentions(part, &ACCOUNT) {
            return self.give(part, body);
        }
        match &part.expr {
            Expr::Select(_) => self.fact(part),
            Expr::Call(_) if compares_tier(part).is_some() => Ok(self.tier_is(part)),
            Expr::Call(call) => {
                let name = call.func_name.as_str();
                match (name, call.args.as_slice()) {
                    (operators::LOGICAL_NOT, [of]) => Ok(Node::Not(Box::new(self.lower(of, body)?))),
                    (operators::NEGATE, [of]) => Ok(Node::Negate(Box::new(self.lower(of, body)?))),
                    (operators::CONDITIONAL, [if_so, yes, no]) => Ok(Node::If(Box::new((
                        self.lower(if_so, body)?,
                        self.lower(yes, body)?,
                        self.lower(no, body)?,
                    )))),
                    (operators::IN, [item, list]) => match &list.expr {
                        Expr::List(list) => {
                            let item = Box::new(self.lower(item, body)?);
                            Ok(Node::In(
                                item,
                                list.elements.iter().map(|one| self.lower(one, body)).collect::<Result<_, _>>()?,
                            ))
                        }
                        _ => Err(unable(part)),
                    },
                    (_, [left, right]) if call.target.is_none() => {
                        let operator = operator(name).ok_or_else(|| unable(part))?;
                        Ok(Node::Both(operator, Box::new((self.lower(left, body)?, self.lower(right, body)?))))
                    }
                    _ => Err(unable(part)),
                }
            }
            _ => Err(unable(part)),
        }
    }

    /// A part that is evaluated outside.
    fn give(&mut self, part: &IdedExpr, body: BodySeen<'_>) -> Result<Node, Problem> {
        match Scope::new(body).check(part)? {
            Kind::Bool | Kind::Int(..) | Kind::Any => {
                let index = self.given.iter().position(|known| known.expr == part.expr).unwrap_or(self.given.len());
                if index == self.given.len() {
                    self.given.push(part.clone());
                }
                Ok(Node::Given(index))
            }
            _ => Err(unable(part)),
        }
    }

    fn fact(&mut self, part: &IdedExpr) -> Result<Node, Problem> {
        let path = path(part).ok_or_else(|| unable(part))?;
        let fact = match path.as_slice() {
            ["member", "available"] => Fact::Available,
            ["member", "earned"] => Fact::Earned,
            ["member", "redeemed"] => Fact::Redeemed,
            ["member", "referred"] => Fact::Referred,
            ["referrer", kind, window, what] => {
                let window = Window::counted(window).ok_or_else(|| unable(part))?;
                let kind = (*kind).to_owned();
                match *what {
                    "count" => Fact::ReferredCount(kind, window),
                    _ => Fact::ReferredAmount(kind, window),
                }
            }
            ["tier", "rank"] => Fact::TierRank,
            ["tier", "rank_before"] => Fact::TierRankBefore,
            ["tier", "id"] => return Err(unable_tier(part)),
            ["history", "days_since"] => Fact::DaysSince,
            ["history", kind, "days_since"] => Fact::DaysSinceKind((*kind).to_owned()),
            ["history", kind, "streak"] => Fact::Streak((*kind).to_owned()),
            ["history", kind, window, what] => {
                let (kind, counts) = ((*kind).to_owned(), *what == "count");
                match (rolling_days(window), Window::counted(window)) {
                    (Some(days), _) if counts => Fact::CountOfDays(kind, days),
                    (Some(days), _) => Fact::AmountOfDays(kind, days),
                    (None, Some(window)) if counts => Fact::Count(kind, window),
                    (None, Some(window)) => Fact::Amount(kind, window),
                    (None, None) => return Err(unable(part)),
                }
            }
            _ => return Err(unable(part)),
        };
        Ok(self.ask(path.join("."), fact))
    }

    /// Asks the account for a fact, once.
    fn ask(&mut self, name: String, fact: Fact) -> Node {
        let index = self.facts.iter().position(|(_, known)| *known == fact).unwrap_or(self.facts.len());
        if index == self.facts.len() {
            self.facts.push((name, fact));
        }
        Node::Fact(index)
    }

    /// A comparison of the tier's id with texts: whether it is one of them.
    fn tier_is(&mut self, part: &IdedExpr) -> Node {
        let (ids, differs) = compares_tier(part).unwrap_or_default();
        let mut any: Option<Node> = None;
        for (_, id) in ids {
            let node = self.ask(format!("tier.id == '{id}'"), Fact::TierIs(id));
            any = Some(match any {
                None => node,
                Some(before) => Node::Both(Operator::Or, Box::new((before, node))),
            });
        }
        let any = any.unwrap_or(Node::Value(0));
        if differs { Node::Not(Box::new(any)) } else { any }
    }
}

/// The texts with which a part compares `tier.id`, by `==`, `!=` or `in`, and whether it holds for others than them. `None`:
/// it is no such comparison.
pub(super) fn compares_tier(part: &IdedExpr) -> Option<(Vec<(&IdedExpr, String)>, bool)> {
    let Expr::Call(call) = &part.expr else { return None };
    let [left, right] = call.args.as_slice() else { return None };
    let is_tier = |part: &IdedExpr| path(part).as_deref() == Some(["tier", "id"].as_slice());
    let text = |part: &IdedExpr| match &part.expr {
        Expr::Literal(LiteralValue::String(text)) => Some(text.inner().to_owned()),
        _ => None,
    };
    match call.func_name.as_str() {
        operators::EQUALS | operators::NOT_EQUALS => {
            let other = if is_tier(left) { right } else { Some(left).filter(|_| is_tier(right))? };
            Some((vec![(other, text(other)?)], call.func_name == operators::NOT_EQUALS))
        }
        operators::IN if is_tier(left) => {
            let Expr::List(list) = &right.expr else { return None };
            let texts = list.elements.iter().map(|one| Some((one, text(one)?)));
            Some((texts.collect::<Option<_>>()?, false))
        }
        _ => None,
    }
}

/// The names of a chain of fields, root first.
fn path(part: &IdedExpr) -> Option<Vec<&str>> {
    match &part.expr {
        Expr::Ident(name) => Some(vec![name]),
        Expr::Select(select) if !select.test => {
            let mut names = path(&select.operand)?;
            names.push(&select.field);
            Some(names)
        }
        _ => None,
    }
}

fn unable(part: &IdedExpr) -> Problem {
    let of_tier = find(part, &|part| (path(part).as_deref() == Some(["tier", "id"].as_slice())).then_some(()));
    if of_tier.is_some() {
        return unable_tier(part);
    }
    let text = "the history, the member and the referrer can only be compared and calculated with as whole numbers";
    Problem { part: part.id, text: text.to_owned() }
}

fn unable_tier(part: &IdedExpr) -> Problem {
    let text = "`tier.id` can be compared with texts that are written out, by ==, != or in";
    Problem { part: part.id, text: text.to_owned() }
}

fn operator(name: &str) -> Option<Operator> {
    Some(match name {
        operators::ADD => Operator::Add,
        operators::SUBSTRACT => Operator::Subtract,
        operators::MULTIPLY => Operator::Multiply,
        operators::DIVIDE => Operator::Divide,
        operators::MODULO => Operator::Modulo,
        operators::LESS => Operator::Less,
        operators::LESS_EQUALS => Operator::LessEqual,
        operators::GREATER => Operator::Greater,
        operators::GREATER_EQUALS => Operator::GreaterEqual,
        operators::EQUALS => Operator::Equal,
        operators::NOT_EQUALS => Operator::NotEqual,
        operators::LOGICAL_AND => Operator::And,
        operators::LOGICAL_OR => Operator::Or,
        _ => return None,
    })
}

impl Node {
    fn value(&self, given: &[i64], facts: &[(&str, i64)]) -> i64 {
        let of = |node: &Self| node.value(given, facts);
        match self {
            Self::Value(value) => *value,
            Self::Given(index) => given.get(*index).copied().unwrap_or_default(),
            Self::Fact(index) => facts.get(*index).map_or(0, |(_, value)| *value),
            Self::Not(node) => i64::from(of(node) == 0),
            Self::Negate(node) => of(node).saturating_neg(),
            Self::If(nodes) => of(if of(&nodes.0) != 0 { &nodes.1 } else { &nodes.2 }),
            Self::In(item, list) => {
                let item = of(item);
                i64::from(list.iter().any(|one| of(one) == item))
            }
            Self::Both(Operator::And, nodes) => i64::from(of(&nodes.0) != 0 && of(&nodes.1) != 0),
            Self::Both(Operator::Or, nodes) => i64::from(of(&nodes.0) != 0 || of(&nodes.1) != 0),
            Self::Both(operator, nodes) => operator.apply(of(&nodes.0), of(&nodes.1)),
        }
    }
}

impl Operator {
    fn apply(self, left: i64, right: i64) -> i64 {
        match self {
            Self::Add => left.saturating_add(right),
            Self::Subtract => left.saturating_sub(right),
            Self::Multiply => left.saturating_mul(right),
            Self::Divide => left.checked_div(right).unwrap_or_default(),
            Self::Modulo => left.checked_rem(right).unwrap_or_default(),
            Self::Less => i64::from(left < right),
            Self::LessEqual => i64::from(left <= right),
            Self::Greater => i64::from(left > right),
            Self::GreaterEqual => i64::from(left >= right),
            Self::Equal => i64::from(left == right),
            Self::NotEqual => i64::from(left != right),
            Self::And => i64::from(left != 0 && right != 0),
            Self::Or => i64::from(left != 0 || right != 0),
        }
    }
}
