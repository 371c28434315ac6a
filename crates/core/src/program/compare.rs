//! Compares two versions of a document field by field, and judges each difference from the member's side: more earned, a
//! longer life, a lower price and fewer limits are better. What cannot be judged, such as another condition, counts as
//! adverse: nobody is to find out at a till that a change was one for the worse after all.

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;

use rust_decimal::Decimal;
use serde::Serialize;
use serde_json::{Map, Value};

use super::documents::{Document, DocumentChange, holding, in_force, typed};
use crate::time::Timestamp;

/// How long before it takes effect an adverse change is announced, in days.
pub const NOTICE_DAYS: i64 = 30;

/// What a difference means for members.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// They get more, or pay less.
    Better,
    /// They get less, or pay more.
    Worse,
    /// It is the same to them.
    Neutral,
    /// It depends; it counts as adverse.
    Unclear,
}

impl Verdict {
    /// The name in the API.
    pub fn name(self) -> &'static str {
        match self {
            Self::Better => "better",
            Self::Worse => "worse",
            Self::Neutral => "neutral",
            Self::Unclear => "unclear",
        }
    }

    /// Whether it needs notice.
    pub fn is_adverse(self) -> bool {
        matches!(self, Self::Worse | Self::Unclear)
    }

    fn reversed(self) -> Self {
        match self {
            Self::Better => Self::Worse,
            Self::Worse => Self::Better,
            same => same,
        }
    }
}

/// One difference between two versions of a document.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Difference {
    /// Of which kind of document.
    pub kind: String,
    /// Of which document.
    pub id: String,
    /// The field, such as `effect.rate`; empty: the document as a whole.
    pub field: String,
    /// Before; null: not there.
    pub before: Value,
    /// After; null: not there.
    pub after: Value,
    /// What it means for members.
    pub verdict: Verdict,
}

impl Difference {
    /// `rule `base`: `effect.rate` 2 → 1`, as a refusal names it.
    pub fn sentence(&self) -> String {
        let Self { kind, id, field, before, after, .. } = self;
        let what = format!("{kind} `{id}`");
        match (field.is_empty(), before, after) {
            (true, Value::Null, _) => format!("{what} is new"),
            (true, _, Value::Null) => format!("{what} is retired"),
            _ => format!("{what}: `{field}` {} → {}", short(before), short(after)),
        }
    }
}

/// A value in a sentence, cut where it is long.
fn short(value: &Value) -> String {
    let text = match value {
        Value::Null => "none".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    match text.char_indices().nth(80) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text,
    }
}

/// The differences that changes make to what holds at `from`, in the order of the changes.
pub fn differences(live: &[Document], changes: &[DocumentChange], from: Timestamp) -> Result<Vec<Difference>, String> {
    let mut all = Vec::new();
    for change in changes {
        let held = holding(live, &change.kind, &change.id, from).filter(|held| held.state == "active");
        let before: Option<Value> = match held {
            Some(held) => Some(serde_json::from_str(&held.body).map_err(|error| error.to_string())?),
            None => None,
        };
        let after = change.document.as_ref().map(|document| typed(&change.kind, document)).transpose();
        let after = after.map_err(|problem| format!("{}: {problem}", change.subject()))?;
        let mut found = compare(&change.kind, &change.id, before.as_ref(), after.as_ref());
        if change.kind == "activity" && !is_named(live, &change.id, from) {
            // Nothing was given for it, so that nothing is taken by asking for a body.
            let asks_first = |one: &Difference| one.field == "schema" && one.before.is_null();
            for one in &mut found {
                if before.is_none() || asks_first(one) {
                    one.verdict = Verdict::Neutral;
                }
            }
        }
        all.extend(found);
    }
    Ok(all)
}

/// Whether a rule or campaign in force says the word of a kind of activity anywhere.
fn is_named(live: &[Document], kind: &str, at: Timestamp) -> bool {
    let held = in_force(live, at).into_iter().filter(|one| matches!(one.kind.as_str(), "rule" | "campaign"));
    held.into_iter().any(|one| one.body.contains(kind))
}

/// Compares two versions of a document; `None`: there is none, or it is retired.
pub fn compare(kind: &str, id: &str, before: Option<&Value>, after: Option<&Value>) -> Vec<Difference> {
    let mut comparison = Comparison { kind, id, found: Vec::new() };
    match (before, after) {
        (None, None) => {}
        (None, Some(after)) => comparison.whole(Value::Null, after.clone(), appeared(kind, after)),
        // What stood in a category is found without it.
        (Some(before), None) if kind == "category" => {
            comparison.whole(before.clone(), Value::Null, Verdict::Neutral);
        }
        (Some(before), None) => comparison.whole(before.clone(), Value::Null, appeared(kind, before).of_end()),
        (Some(before), Some(after)) => comparison.fields("", before, after, takes_back(before) && takes_back(after)),
    }
    comparison.found
}

/// How a field is judged.
#[derive(Clone, Copy)]
enum Sense {
    /// A larger number is better; none is like nothing of it.
    More,
    /// A larger number is better; none stands for what another document says.
    MoreIfSaid,
    /// A smaller number is better.
    Less,
    /// None is best; a smaller number is worse: a limit.
    Limit,
    /// What it says does not touch what members get.
    Same,
    /// None is best; what narrows is worse, and two that differ cannot be told apart.
    Narrows,
    /// A list of what is let in; empty lets everything in.
    Among,
    /// A list of what is let in; more is better, and empty lets nothing in.
    Includes,
    /// True is worse.
    Bars,
    /// A moment that is better late, none best; or early.
    Until,
    /// A moment that is better early, none best.
    Since,
    /// Caps, by what they limit.
    Caps,
    /// A part with fields of its own.
    Part,
    /// A part of which each field is judged by itself, also where the part is new.
    Fields,
    /// What gives something to members: none is worst; with fields of its own where it is a part.
    Gives,
    /// Saying it for the first time changes nothing; saying another thing does.
    Said,
    /// A smaller number is better; none stands for what another document or another field says.
    LessIfSaid,
    /// A price: a number, or a table of its parts.
    Price,
    /// Percentages by when they hold or what reaches them: more per cent are worse, more than `none` is nothing good.
    Factors {
        /// The percentage at which nothing changes.
        none: i64,
    },
    /// It depends.
    Depends,
}

/// How a field of a kind of documents is judged. What is not listed depends.
fn sense(kind: &str, field: &str) -> Sense {
    match (kind, field) {
        (_, "name" | "department") => Sense::Same,
        (_, "caps") => Sense::Caps,
        ("rule", "effect") => Sense::Part,
        ("rule", "effect.rate" | "effect.points" | "effect.percent" | "effect.factor") => Sense::More,
        ("rule", "effect.step" | "pending_days") => Sense::Less,
        ("rule", "condition" | "effect.lines" | "campaign" | "arm" | "exclusive") => Sense::Narrows,
        ("rule", "trigger") => Sense::Includes,
        ("rule", "effect.quantity") => Sense::More,
        // Left out, it is the time after which the tier is reviewed, which may be longer or shorter.
        ("rule", "effect.days") => Sense::MoreIfSaid,
        ("rule", "effect.text" | "effect.template") | ("template", "subject" | "text") => Sense::Same,
        ("rule", "stop") => Sense::Bars,
        ("rule", "pending_until") => Sense::Gives,
        ("rule", "funding") => Sense::Same,
        ("activity", "description") => Sense::Same,
        ("activity", "schema") => Sense::Narrows,
        ("campaign", "schedule") => Sense::Part,
        ("campaign", "schedule.from") => Sense::Since,
        ("campaign", "schedule.to") => Sense::Until,
        ("campaign", "schedule.weekdays" | "schedule.days" | "schedule.months") => Sense::Among,
        ("campaign", "audience" | "schedule.hours") => Sense::Narrows,
        ("campaign", "release") => Sense::Part,
        ("campaign", "release.percent") => Sense::More,
        ("campaign", "release.stores") => Sense::Includes,
        ("reward", "price") => Sense::Price,
        ("reward", "price.points" | "price.cost" | "price.margin") => Sense::LessIfSaid,
        ("reward", "price.tiers") => Sense::Fields,
        ("reward", "price.cold" | "price.curve") => Sense::Gives,
        ("reward", "price.seasons" | "price.offers") => Sense::Factors { none: 100 },
        ("reward", "price.cash" | "price.group") => Sense::Gives,
        ("reward", "price.cash.from_percent" | "price.cash.min_points") => Sense::Less,
        ("reward", "price.cash.point_value") => Sense::LessIfSaid,
        ("reward", "price.cash.to_percent" | "price.group.hours") => Sense::More,
        ("reward", "price.group.members" | "price.group.percent") => Sense::Less,
        ("reward", "price.demand") => Sense::Part,
        ("reward", "price.demand.steps") => Sense::Factors { none: 0 },
        ("reward", "price.demand.ceiling" | "price.cold.days" | "price.cold.percent") => Sense::Less,
        ("reward", field) if field.starts_with("price.tiers.") => match field.matches('.').count() {
            // The price of a tier, and the number in it.
            2 => Sense::Gives,
            _ => Sense::LessIfSaid,
        },
        ("reward", "stock" | "fulfilment" | "pickup") => Sense::Same,
        ("reward", "limit") => Sense::Caps,
        ("reward", "kind" | "catalogue" | "catalogue.visible_to" | "catalogue.listed") => Sense::Fields,
        ("reward", "kind.type") => Sense::Said,
        ("reward", "kind.value" | "kind.days") => Sense::More,
        ("reward", "kind.minimum") => Sense::Less,
        ("reward", "kind.valid_days") => Sense::Limit,
        ("reward", "kind.scope") => Sense::Narrows,
        ("reward", "kind.variants") => Sense::Includes,
        ("reward", "kind.weight_grams") => Sense::Same,
        ("reward", "kind.needs_address") => Sense::Bars,
        ("reward", "kind.appointments") => Sense::Part,
        ("reward", "kind.appointments.until") => Sense::Until,
        ("reward", "kind.appointments.notice_hours") => Sense::Less,
        ("reward", "kind.account") => Sense::Narrows,
        ("reward", "catalogue.description" | "catalogue.categories" | "catalogue.tags" | "catalogue.market_price") => {
            Sense::Same
        }
        ("reward", "catalogue.pictures") => Sense::Same,
        ("reward", "catalogue.zone" | "catalogue.visible_to.audience") => Sense::Narrows,
        ("reward", "catalogue.visible_to.tiers" | "catalogue.visible_to.stores" | "catalogue.visible_to.channels") => {
            Sense::Among
        }
        ("reward", "catalogue.listed.from") => Sense::Since,
        ("reward", "catalogue.listed.to") => Sense::Until,
        ("reward", "scarcity") => Sense::Fields,
        ("reward", "scarcity.pools" | "scarcity.restock") => Sense::Includes,
        ("reward", "scarcity.waiting_room") => Sense::Part,
        ("reward", "scarcity.waiting_room.admit_per_second" | "scarcity.waiting_room.admitted_minutes") => Sense::More,
        ("reward", "scarcity.waiting_room.queue_minutes") => Sense::More,
        ("reward", "scarcity.waiting_room.difficulty") => Sense::Less,
        ("category", "parent") => Sense::Same,
        ("currency", "per_money_unit") => Sense::Less,
        ("currency", "expiry.after") => Sense::More,
        ("currency", "expiry" | "life.decay" | "life.shortfall") => Sense::Part,
        ("currency", "life" | "life.extension") => Sense::Fields,
        ("currency", "life.interest" | "life.extension.spend" | "life.extension.paid") => Sense::Gives,
        ("currency", "life.decay.percent" | "life.extension.spend.amount") => Sense::Less,
        ("currency", "life.interest.percent" | "life.extension.spend.days" | "life.extension.paid.days") => Sense::More,
        ("currency", "life.shortfall.up_to") => Sense::Less,
        ("currency", "life.reminders") => Sense::Same,
        ("program", "backdating_days") => Sense::More,
        ("program", "orders") => Sense::Fields,
        // What somebody looks at takes longer, and may be refused.
        ("program", "orders.review") => Sense::Part,
        ("program", "orders.review.above_points" | "orders.review.above_value") => Sense::Limit,
        ("program", "orders.review.above_risk" | "orders.review.refuse_above_risk") => Sense::Limit,
        ("program", "orders.expire_after_hours") => Sense::Limit,
        ("program", "orders.complete_after_hours") => Sense::Same,
        ("program", "payment") => Sense::Fields,
        ("program", "payment.tenders") => Sense::Includes,
        ("program", "payment.authorise_within_minutes") => Sense::Same,
        // A till where points pay.
        ("program", "checkout" | "checkout.offline") => Sense::Gives,
        ("program", "checkout.value" | "checkout.most_percent" | "checkout.minutes") => Sense::MoreIfSaid,
        ("program", "checkout.least_percent" | "checkout.step") => Sense::Less,
        ("program", "checkout.offline.points" | "checkout.offline.hours") => Sense::More,
        ("program", "checkout.offline.reserve" | "checkout.offline.overdraft") => Sense::Depends,
        ("program", "orders.dispute_hours") => Sense::More,
        // Who says what of a reward gives and takes nothing.
        ("program", "reviews") => Sense::Same,
        ("program", "reward_margin") => Sense::Less,
        ("tier", "benefits" | "review") => Sense::Part,
        ("tier", "benefits.early_access_hours" | "review.grace_days") => Sense::More,
        ("tier", "benefits.zones") => Sense::Includes,
        _ => Sense::Depends,
    }
}

/// What it means that a document is there since.
fn appeared(kind: &str, document: &Value) -> Verdict {
    let has = |field: &str| document.get(field).is_some_and(|value| !value.is_null() && *value != Value::Bool(false));
    match kind {
        "rule" if takes_back(document) => Verdict::Worse,
        // It may stand in the way of others.
        "rule" if has("stop") || has("exclusive") => Verdict::Unclear,
        "rule" | "reward" | "currency" => Verdict::Better,
        // Activities without such a body were taken until then.
        "activity" if has("schema") => Verdict::Unclear,
        "activity" => Verdict::Neutral,
        // It gives nothing by itself: its rules do.
        "campaign" | "template" | "category" => Verdict::Neutral,
        _ => Verdict::Unclear,
    }
}

impl Verdict {
    /// What it means that a document is gone, whose appearance meant this.
    fn of_end(self) -> Self {
        match self {
            // Rules of the campaign may go on without it, or not.
            Self::Neutral => Self::Unclear,
            other => other.reversed(),
        }
    }
}

/// Whether a rule takes points back, so that less of everything is better.
fn takes_back(document: &Value) -> bool {
    document.pointer("/effect/type").and_then(Value::as_str) == Some("take_back_per_money")
}

struct Comparison<'a> {
    kind: &'a str,
    id: &'a str,
    found: Vec<Difference>,
}

impl Comparison<'_> {
    fn whole(&mut self, before: Value, after: Value, verdict: Verdict) {
        self.found(String::new(), before, after, verdict);
    }

    fn found(&mut self, field: String, before: Value, after: Value, verdict: Verdict) {
        let (kind, id) = (self.kind.to_owned(), self.id.to_owned());
        self.found.push(Difference { kind, id, field, before, after, verdict });
    }

    /// All fields of two objects, in the order in which they are written.
    fn fields(&mut self, path: &str, before: &Value, after: &Value, reversed: bool) {
        let none = Map::new();
        let (before, after) = (before.as_object().unwrap_or(&none), after.as_object().unwrap_or(&none));
        let added = after.keys().filter(|name| !before.contains_key(*name));
        for name in before.keys().chain(added) {
            let field = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            let of = |fields: &Map<String, Value>| fields.get(name).cloned().unwrap_or_default();
            self.field(field, of(before), of(after), reversed);
        }
    }

    fn field(&mut self, field: String, before: Value, after: Value, reversed: bool) {
        if before == after || same_number(&before, &after) {
            return;
        }
        let verdict = match sense(self.kind, &field) {
            Sense::Part => return self.part(field, before, after, reversed),
            Sense::Fields => return self.fields(&field, &before, &after, reversed),
            Sense::Gives if before.is_object() && after.is_object() => {
                return self.fields(&field, &before, &after, reversed);
            }
            Sense::Caps => return self.caps(&field, &before, &after),
            Sense::Price if before.is_number() && after.is_number() => judge(Sense::Less, &before, &after),
            Sense::Price => return self.fields(&field, &price_table(before), &price_table(after), reversed),
            Sense::Factors { none } => return self.factors(&field, &before, &after, Decimal::from(none)),
            sense => judge(sense, &before, &after),
        };
        self.found(field, before, after, if reversed { verdict.reversed() } else { verdict });
    }

    /// A part with fields of its own, unless it is there only once or is of another type.
    fn part(&mut self, field: String, before: Value, after: Value, reversed: bool) {
        let verdict = match (before.is_null(), after.is_null()) {
            (true, false) if field == "benefits" => Verdict::Better,
            (false, true) if field == "benefits" => Verdict::Worse,
            // Expiry, schedule, release and review all narrow.
            (true, false) => Verdict::Worse,
            (false, true) => Verdict::Better,
            _ if before.get("type") == after.get("type") => {
                return self.fields(&field, &before, &after, reversed);
            }
            _ => Verdict::Unclear,
        };
        self.found(field, before, after, verdict);
    }

    /// Percentages are told apart by everything else that their parts say. All apply that hold, so that each one that is
    /// added or taken away can be judged by itself.
    fn factors(&mut self, field: &str, before: &Value, after: &Value, none: Decimal) {
        let (before, after) = (factors_of(before), factors_of(after));
        let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
        for name in names {
            let of = |factors: &BTreeMap<String, Vec<Value>>| factors.get(name).cloned().unwrap_or_default();
            let (was, is) = (of(&before), of(&after));
            let path = format!("{field}[{name}]");
            let dear = |one: &Value| number(one).is_none_or(|percent| percent > none);
            let by = |better: bool| if better { Verdict::Better } else { Verdict::Worse };
            match (was.as_slice(), is.as_slice()) {
                (was, is) if was == is => {}
                ([was], [is]) if same_number(was, is) => {}
                ([], [is]) => self.found(path, Value::Null, is.clone(), by(!dear(is))),
                ([was], []) => self.found(path, was.clone(), Value::Null, by(dear(was))),
                ([was], [is]) => self.found(path, was.clone(), is.clone(), judge(Sense::Less, was, is)),
                (was, is) => {
                    self.found(path, Value::from(was.to_vec()), Value::from(is.to_vec()), Verdict::Unclear);
                }
            }
        }
    }

    /// Caps are told apart by what they count, and compared limit by limit.
    fn caps(&mut self, field: &str, before: &Value, after: &Value) {
        let (before, after) = (caps_of(before), caps_of(after));
        let sum = |caps: &[(String, Value)], name: &str| {
            caps.iter().filter(|(known, _)| known == name).map(|(_, cap)| cap.clone()).collect::<Vec<_>>()
        };
        let mut names: Vec<&String> = before.iter().chain(&after).map(|(name, _)| name).collect();
        let mut seen = BTreeSet::new();
        names.retain(|name| seen.insert((*name).clone()));
        for name in names {
            let path = format!("{field}[{name}]");
            match (sum(&before, name).as_slice(), sum(&after, name).as_slice()) {
                (was, is) if was == is => {}
                ([], is) => self.found(path, Value::Null, Value::from(is.to_vec()), Verdict::Worse),
                (was, []) => self.found(path, Value::from(was.to_vec()), Value::Null, Verdict::Better),
                ([was], [is]) => {
                    for limit in ["points", "count", "cost", "quantity"] {
                        let of = |cap: &Value| cap.get(limit).cloned().unwrap_or_default();
                        let (was, is) = (of(was), of(is));
                        if was != is && !same_number(&was, &is) {
                            let verdict = judge(Sense::Limit, &was, &is);
                            self.found(format!("{path}.{limit}"), was, is, verdict);
                        }
                    }
                    let over = |cap: &Value| cap.get("over").cloned().unwrap_or_default();
                    let (was, is) = (over(was), over(is));
                    if was != is {
                        let harsh = |over: &Value| ["trim", "skip", "refuse"].iter().position(|one| over == one);
                        let verdict = if harsh(&is) > harsh(&was) { Verdict::Worse } else { Verdict::Better };
                        self.found(format!("{path}.over"), was, is, verdict);
                    }
                }
                (was, is) => {
                    self.found(path, Value::from(was.to_vec()), Value::from(is.to_vec()), Verdict::Unclear);
                }
            }
        }
    }
}

/// A price as a table, also where it is a number.
fn price_table(price: Value) -> Value {
    match price.is_number() {
        true => Value::Object(Map::from_iter([("points".to_owned(), price)])),
        false => price,
    }
}

/// Percentages by everything else that their parts say, and that in words: `months [12,1]`.
fn factors_of(factors: &Value) -> BTreeMap<String, Vec<Value>> {
    let mut named: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for factor in factors.as_array().into_iter().flatten() {
        let fields = factor.as_object().into_iter().flatten().filter(|(name, _)| *name != "percent");
        let words = fields.map(|(name, value)| match value.as_str() {
            Some(text) => format!("{name} {text}"),
            None => format!("{name} {value}"),
        });
        let percent = factor.get("percent").cloned().unwrap_or_default();
        named.entry(words.collect::<Vec<_>>().join(" ")).or_default().push(percent);
    }
    named
}

/// Caps by what they count: the currency where it is not the first, the window, and for whom.
fn caps_of(caps: &Value) -> Vec<(String, Value)> {
    let text = |cap: &Value, field: &str| cap.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
    let name = |cap: &Value| {
        let currency = cap.get("currency").and_then(Value::as_i64).filter(|currency| *currency != 1);
        let parts = [currency.map(|number| number.to_string()), Some(text(cap, "window")), Some(text(cap, "per"))];
        parts.into_iter().flatten().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
    };
    caps.as_array().into_iter().flatten().map(|cap| (name(cap), cap.clone())).collect()
}

fn number(value: &Value) -> Option<Decimal> {
    match value {
        Value::Number(number) => Decimal::from_str(&number.to_string()).ok(),
        Value::String(text) => Decimal::from_str(text).ok(),
        _ => None,
    }
}

/// Whether two values are one number, however it is written: `1.0` and `1`.
fn same_number(before: &Value, after: &Value) -> bool {
    number(before).is_some_and(|before| number(after) == Some(before))
}

fn judge(sense: Sense, before: &Value, after: &Value) -> Verdict {
    let by = |better: bool| if better { Verdict::Better } else { Verdict::Worse };
    let (was, is) = (number(before), number(after));
    match sense {
        Sense::Same => Verdict::Neutral,
        Sense::More => by(is.unwrap_or_default() > was.unwrap_or_default()),
        Sense::MoreIfSaid => match (was, is) {
            (Some(was), Some(is)) => by(is > was),
            _ => Verdict::Unclear,
        },
        Sense::LessIfSaid => match (was, is) {
            (Some(was), Some(is)) => by(is < was),
            _ => Verdict::Unclear,
        },
        Sense::Less => by(is.unwrap_or_default() < was.unwrap_or_default()),
        Sense::Bars => by(*before == Value::Bool(true)),
        Sense::Narrows if before.is_null() => Verdict::Worse,
        Sense::Narrows if after.is_null() => Verdict::Better,
        Sense::Limit => match (was, is) {
            (Some(was), Some(is)) => by(is > was),
            (None, _) => Verdict::Worse,
            (_, None) => Verdict::Better,
        },
        Sense::Until | Sense::Since => match (before.as_str(), after.as_str()) {
            // Local times of one form: their order is that of their texts.
            (Some(was), Some(is)) => by((is > was) == matches!(sense, Sense::Until)),
            (None, _) => Verdict::Worse,
            (_, None) => Verdict::Better,
        },
        Sense::Among | Sense::Includes => {
            let (was, is) = (list(before), list(after));
            let open = |all: &[Value]| all.is_empty() && matches!(sense, Sense::Among);
            let holds = |outer: &[Value], inner: &[Value]| inner.iter().all(|one| outer.contains(one));
            match (open(&was), open(&is)) {
                (true, _) => Verdict::Worse,
                (_, true) => Verdict::Better,
                _ if holds(&is, &was) && holds(&was, &is) => Verdict::Neutral,
                _ if holds(&is, &was) => Verdict::Better,
                _ if holds(&was, &is) => Verdict::Worse,
                _ => Verdict::Unclear,
            }
        }
        Sense::Said if before.is_null() => Verdict::Neutral,
        Sense::Gives if before.is_null() => Verdict::Better,
        Sense::Gives if after.is_null() => Verdict::Worse,
        Sense::Narrows | Sense::Caps | Sense::Part | Sense::Fields | Sense::Gives | Sense::Said | Sense::Depends => {
            Verdict::Unclear
        }
        Sense::Price | Sense::Factors { .. } => Verdict::Unclear,
    }
}

/// A list, or one value as a list of one.
fn list(value: &Value) -> Vec<Value> {
    match value {
        Value::Null => Vec::new(),
        Value::Array(all) => all.clone(),
        one => vec![one.clone()],
    }
}

/// The earliest moment at which changes may take effect that are announced at `announced`: at once, or when one of them is
/// adverse after [`NOTICE_DAYS`].
pub fn earliest(differences: &[Difference], announced: Timestamp) -> Timestamp {
    match differences.iter().any(|difference| difference.verdict.is_adverse()) {
        true => announced.plus_millis(NOTICE_DAYS * 86_400_000),
        false => announced,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn judged(kind: &str, before: Value, after: Value) -> Vec<(String, &'static str)> {
        let typed = |document: &Value| typed(kind, document).unwrap();
        let found = compare(kind, "x", Some(&typed(&before)), Some(&typed(&after)));
        found.into_iter().map(|one| (one.field, one.verdict.name())).collect()
    }

    fn rule(more: Value) -> Value {
        let mut rule = json!({"id": "x", "name": "X", "trigger": "purchase",
            "effect": {"type": "points_per_money", "rate": "1"}});
        rule.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        rule
    }

    /// What a change of a rule means, and the other way round.
    fn both_ways(before: Value, after: Value) -> [Vec<(String, &'static str)>; 2] {
        [judged("rule", rule(before.clone()), rule(after.clone())), judged("rule", rule(after), rule(before))]
    }

    fn one(field: &str, verdict: &'static str) -> Vec<(String, &'static str)> {
        vec![(field.to_owned(), verdict)]
    }

    #[test]
    fn what_an_order_must_say_and_how_many_one_may_have_are_judged() {
        let reward = |more: Value| {
            let mut reward = json!({"id": "x", "name": "X", "price": 1});
            reward.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            reward
        };
        let limit = |quantity: i64| json!({"limit": [{"quantity": quantity, "per": "month"}]});
        let sent = |needs: bool| json!({"kind": {"type": "physical", "needs_address": needs}});
        let slots = |more: Value| {
            let mut appointments = json!({"slots": [{"weekdays": [1], "from": "10:00", "to": "12:00", "minutes": 60}]});
            appointments.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            json!({"kind": {"type": "service", "appointments": appointments}})
        };
        for (before, after, field) in [
            (json!({}), limit(2), "limit[month]"),
            (limit(3), limit(2), "limit[month].quantity"),
            (sent(false), sent(true), "kind.needs_address"),
            (json!({"kind": {"type": "service"}}), slots(json!({})), "kind.appointments"),
            (slots(json!({})), slots(json!({"notice_hours": 24})), "kind.appointments.notice_hours"),
            (slots(json!({"until": "2026-12-31"})), slots(json!({"until": "2026-06-30"})), "kind.appointments.until"),
        ] {
            let (before, after) = (reward(before), reward(after));
            assert_eq!(judged("reward", before.clone(), after.clone()), one(field, "worse"), "{field}");
            assert_eq!(judged("reward", after, before), one(field, "better"), "{field}");
        }
    }

    #[test]
    fn what_members_get_less_of_is_worse() {
        let effect = |effect: Value| json!({ "effect": effect });
        let money = |rate: &str| effect(json!({"type": "points_per_money", "rate": rate}));
        let lines = |lines: &str| effect(json!({"type": "points_per_money", "rate": "1", "lines": lines}));
        let step = |points: i64, step: &str| effect(json!({"type": "points_per_step", "points": points, "step": step}));
        let back = |rate: &str| effect(json!({"type": "take_back_per_money", "rate": rate}));
        let cap = |cap: Value| json!({ "caps": [cap] });
        let gold = |days: i64| effect(json!({"type": "grant_tier", "tier": "gold", "days": days}));
        for (before, after, field) in [
            (money("1.5"), money("1"), "effect.rate"),
            (step(10, "100"), step(9, "100"), "effect.points"),
            (step(10, "100"), step(10, "200"), "effect.step"),
            (back("1"), back("2"), "effect.rate"),
            (gold(30), gold(14), "effect.days"),
            (money("1"), lines("line.amount > 5"), "effect.lines"),
            (json!({}), json!({"condition": "activity.net > 5"}), "condition"),
            (json!({}), json!({"pending_days": 3}), "pending_days"),
            (json!({}), json!({"stop": true}), "stop"),
            (json!({"trigger": ["purchase", "visit"]}), json!({}), "trigger"),
            (json!({}), cap(json!({"window": "day", "points": 5})), "caps[day]"),
            (
                cap(json!({"window": "day", "points": 5})),
                cap(json!({"window": "day", "points": 4})),
                "caps[day].points",
            ),
            (
                cap(json!({"window": "day", "points": 5})),
                cap(json!({"window": "day", "points": 5, "over": "skip"})),
                "caps[day].over",
            ),
            (
                cap(json!({"window": "day", "points": 5})),
                cap(json!({"window": "day", "points": 5, "count": 1})),
                "caps[day].count",
            ),
        ] {
            assert_eq!(both_ways(before, after), [one(field, "worse"), one(field, "better")], "{field}");
        }
    }

    #[test]
    fn what_cannot_be_judged_counts_as_adverse() {
        let money = json!({"effect": {"type": "points_per_money", "rate": "1"}});
        let fixed = json!({"effect": {"type": "fixed_points", "points": 100}});
        let day = json!({"caps": [{"window": "day", "points": 5}]});
        let week = json!({"caps": [{"window": "week", "points": 50}]});
        let when = |condition: &str| json!({ "condition": condition });
        let grant = |more: Value| {
            let mut effect = json!({"type": "grant_tier", "tier": "gold"});
            effect.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            json!({ "effect": effect })
        };
        for (before, after, field) in [
            (when("activity.net > 5"), when("activity.net > 4"), "condition"),
            (money, fixed, "effect"),
            (grant(json!({})), grant(json!({"tier": "silver"})), "effect.tier"),
            // Without days it is the tier's own time.
            (grant(json!({})), grant(json!({"days": 30})), "effect.days"),
            (json!({}), json!({"currency": 2}), "currency"),
            (json!({}), json!({"priority": 5}), "priority"),
        ] {
            assert_eq!(both_ways(before, after), [one(field, "unclear"), one(field, "unclear")], "{field}");
        }
        let told: Vec<String> =
            both_ways(day, week)[0].iter().map(|(field, verdict)| format!("{field} {verdict}")).collect();
        assert_eq!(told, ["caps[day] better", "caps[week] worse"]);
        assert!(Verdict::Unclear.is_adverse() && !Verdict::Neutral.is_adverse());
    }

    #[test]
    fn what_says_the_same_is_no_difference() {
        let rate = |rate: &str| json!({"effect": {"type": "points_per_money", "rate": rate}});
        assert_eq!(both_ways(rate("1"), rate("1.00")), [vec![], vec![]]);
        let [there, back] = both_ways(json!({}), json!({"name": "Other"}));
        assert_eq!((there, back), (one("name", "neutral"), one("name", "neutral")));
    }

    #[test]
    fn other_kinds_are_judged_from_the_members_side() {
        let reward = |price: i64| json!({"id": "x", "name": "X", "price": price});
        assert_eq!(judged("reward", reward(5), reward(6)), one("price", "worse"));
        let currency = |worth: i64, after: i64| json!({"id": 1, "code": "x", "name": "X", "per_money_unit": worth, "expiry": {"after": after, "granule": "month"}});
        assert_eq!(judged("currency", currency(100, 24), currency(100, 12)), one("expiry.after", "worse"));
        assert_eq!(judged("currency", currency(100, 24), currency(200, 24)), one("per_money_unit", "worse"));
        let living = |life: Value| {
            let mut currency = currency(100, 24);
            currency.as_object_mut().unwrap().insert("life".to_owned(), life);
            currency
        };
        let spend = |days: i64| json!({"extension": {"spend": {"amount": "200", "days": days}}});
        for (before, after, field) in [
            (json!({}), json!({"decay": {"percent": "5"}}), "life.decay"),
            (json!({"decay": {"percent": "5"}}), json!({"decay": {"percent": "6"}}), "life.decay.percent"),
            (json!({}), json!({"shortfall": {"policy": "owe", "up_to": 5}}), "life.shortfall"),
            (json!({"interest": {"percent": "5", "every": "year"}}), json!({}), "life.interest"),
            (
                spend(90),
                json!({"extension": {"paid": {"points": 5, "days": 9}, "spend": {"amount": "200", "days": 60}}}),
                "",
            ),
        ] {
            let told = judged("currency", living(before.clone()), living(after.clone()));
            if field.is_empty() {
                let want = [("life.extension.spend.days", "worse"), ("life.extension.paid", "better")];
                assert_eq!(told, want.map(|(field, verdict)| (field.to_owned(), verdict)));
                continue;
            }
            assert_eq!(told, one(field, "worse"));
            assert_eq!(judged("currency", living(after), living(before)), one(field, "better"));
        }
        let told = judged("currency", currency(100, 24), living(json!({"reminders": {}})));
        assert_eq!(told, one("life.reminders", "neutral"));
        let campaign = |more: Value| {
            let mut campaign = json!({"id": "x", "name": "X"});
            campaign.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            campaign
        };
        let week = |days: Value| campaign(json!({"schedule": {"weekdays": days, "to": "2026-12-01T00:00"}}));
        assert_eq!(judged("campaign", week(json!([6, 7])), week(json!([7]))), one("schedule.weekdays", "worse"));
        assert_eq!(judged("campaign", week(json!([6])), week(json!([]))), one("schedule.weekdays", "better"));
        let until = |to: &str| campaign(json!({"schedule": {"to": to}}));
        assert_eq!(
            judged("campaign", until("2026-12-01T00:00"), until("2026-11-01T00:00")),
            one("schedule.to", "worse")
        );
        let released = |percent: i64| campaign(json!({"release": {"percent": percent}}));
        assert_eq!(judged("campaign", released(10), released(20)), one("release.percent", "better"));
        let caps = |points: i64| {
            json!({"id": "p", "name": "P", "money": "GBP", "time_zone": "UTC",
                "caps": [{"currency": 2, "window": "day", "per": "everyone", "points": points}]})
        };
        assert_eq!(judged("program", caps(5), caps(4)), one("caps[2 day everyone].points", "worse"));
    }

    #[test]
    fn prices_are_judged_part_by_part() {
        let reward = |price: Value| json!({"id": "x", "name": "X", "price": price});
        let with = |part: Value| {
            let mut price = json!({"points": 500});
            price.as_object_mut().unwrap().extend(part.as_object().unwrap().clone());
            reward(price)
        };
        let (plain, step) = (with(json!({})), |percent: i64| json!({"orders": 20, "percent": percent.to_string()}));
        let demand =
            |ceiling: i64, steps: &[Value]| with(json!({"demand": {"ceiling": ceiling.to_string(), "steps": steps}}));
        let season = |percent: i64| with(json!({"seasons": [{"months": [12, 1], "percent": percent.to_string()}]}));
        let offer = |percent: &str| {
            with(json!({"offers": [{"from": "2026-06-18T00:00", "to": "2026-06-19T00:00", "percent": percent}]}))
        };
        let gold = |price: Value| with(json!({"tiers": {"gold": price}}));
        let cold = |days: i64, percent: i64| with(json!({"cold": {"days": days, "percent": percent.to_string()}}));
        let curve = with(json!({"curve": [{"up_to": 1000, "worth": "120"}]}));
        let cost = |cost: &str, margin: i64| reward(json!({"cost": cost, "margin": margin.to_string()}));
        let cash = |from: i64, to: i64, least: i64| {
            let (from, to) = (from.to_string(), to.to_string());
            with(json!({"cash": {"from_percent": from, "to_percent": to, "min_points": least, "point_value": "0.01"}}))
        };
        let dearer =
            with(json!({"cash": {"from_percent": "10", "to_percent": "50", "min_points": 5, "point_value": "0.02"}}));
        let group = |members: i64, hours: i64, percent: i64| {
            with(json!({"group": {"members": members, "hours": hours, "percent": percent.to_string()}}))
        };
        for (before, after, field) in [
            (plain.clone(), with(json!({"points": 600})), "price"),
            (cash(10, 50, 5), plain.clone(), "price.cash"),
            (cash(10, 50, 5), cash(20, 50, 5), "price.cash.from_percent"),
            (cash(10, 50, 5), cash(10, 40, 5), "price.cash.to_percent"),
            (cash(10, 50, 5), cash(10, 50, 6), "price.cash.min_points"),
            (cash(10, 50, 5), dearer, "price.cash.point_value"),
            (group(3, 24, 80), plain.clone(), "price.group"),
            (group(3, 24, 80), group(4, 24, 80), "price.group.members"),
            (group(3, 24, 80), group(3, 12, 80), "price.group.hours"),
            (group(3, 24, 80), group(3, 24, 90), "price.group.percent"),
            (
                season(110),
                with(json!({"points": 600, "seasons": [{"months": [12, 1], "percent": "110"}]})),
                "price.points",
            ),
            (cost("50", 20), cost("51", 20), "price.cost"),
            (cost("50", 20), cost("50", 21), "price.margin"),
            (plain.clone(), season(110), "price.seasons[months [12,1]]"),
            (season(90), plain.clone(), "price.seasons[months [12,1]]"),
            (season(80), season(110), "price.seasons[months [12,1]]"),
            (season(110), season(120), "price.seasons[months [12,1]]"),
            (offer("80"), plain.clone(), "price.offers[from 2026-06-18T00:00:00 to 2026-06-19T00:00:00]"),
            (offer("80"), offer("85"), "price.offers[from 2026-06-18T00:00:00 to 2026-06-19T00:00:00]"),
            (plain.clone(), demand(115, &[step(5)]), "price.demand"),
            (demand(115, &[step(5)]), demand(120, &[step(5)]), "price.demand.ceiling"),
            (demand(115, &[step(5)]), demand(115, &[step(6)]), "price.demand.steps[orders 20]"),
            (
                demand(115, &[step(5)]),
                demand(115, &[step(5), json!({"views": 9, "percent": "5"})]),
                "price.demand.steps[views 9]",
            ),
            (gold(json!({"points": 450})), plain.clone(), "price.tiers.gold"),
            (gold(json!({"points": 450})), gold(json!({"points": 460})), "price.tiers.gold.points"),
            (gold(json!({"percent": "90"})), gold(json!({"percent": "95"})), "price.tiers.gold.percent"),
            (cold(30, 80), plain.clone(), "price.cold"),
            (cold(30, 80), cold(31, 80), "price.cold.days"),
            (cold(30, 80), cold(30, 81), "price.cold.percent"),
            (curve.clone(), plain.clone(), "price.curve"),
        ] {
            assert_eq!(judged("reward", before.clone(), after.clone()), one(field, "worse"), "{before} {after}");
            assert_eq!(judged("reward", after, before), one(field, "better"), "{field}");
        }
        // Which is less depends on the value of a point, or on the program's margin.
        let told = judged("reward", plain.clone(), cost("5", 0));
        assert!(!told.is_empty() && told.iter().all(|(_, verdict)| *verdict == "unclear"), "{told:?}");
        let told = judged("reward", cost("5", 0), reward(json!({"cost": "5"})));
        assert_eq!(told, one("price.margin", "unclear"));
        assert_eq!(
            judged("reward", season(110), with(json!({"seasons": [{"months": [12, 1], "percent": "110.0"}]}))),
            []
        );
        let told = judged("reward", gold(json!({"points": 450})), gold(json!({"percent": "90"})));
        assert!(!told.is_empty() && told.iter().all(|(_, verdict)| *verdict == "unclear"), "{told:?}");
        // Another time: what one loses and another gains is adverse.
        let told = judged("reward", season(80), with(json!({"seasons": [{"months": [1], "percent": "80"}]})));
        assert_eq!(told.iter().map(|(_, verdict)| *verdict).collect::<Vec<_>>(), ["worse", "better"]);
        let program = |margin: i64| json!({"id": "p", "name": "P", "money": "GBP", "time_zone": "UTC", "reward_margin": margin.to_string()});
        assert_eq!(judged("program", program(0), program(5)), one("reward_margin", "worse"));
        let takes = |tenders: Value| json!({"id": "p", "name": "P", "money": "GBP", "time_zone": "UTC", "payment": {"tenders": tenders}});
        let (both, one_way) = (takes(json!(["cash_on_delivery", "test"])), takes(json!(["test"])));
        assert_eq!(judged("program", both, one_way), one("payment.tenders", "worse"));
    }

    #[test]
    fn documents_that_come_and_go() {
        let whole = |before: Option<Value>, after: Option<Value>| {
            let found = compare("rule", "x", before.as_ref(), after.as_ref());
            found.iter().map(|one| (one.verdict.name(), one.sentence())).collect::<Vec<_>>()
        };
        let back = rule(json!({"effect": {"type": "take_back_per_money", "rate": "1"}}));
        assert_eq!(whole(None, Some(rule(json!({})))), [("better", "rule `x` is new".to_owned())]);
        assert_eq!(whole(Some(rule(json!({}))), None), [("worse", "rule `x` is retired".to_owned())]);
        assert_eq!(whole(None, Some(back.clone()))[0].0, "worse");
        assert_eq!(whole(Some(back), None)[0].0, "better");
        assert_eq!(whole(None, Some(rule(json!({"stop": true}))))[0].0, "unclear");
        let day = Timestamp::from_millis(86_400_000);
        let found = compare("rule", "x", Some(&rule(json!({}))), None);
        assert_eq!((earliest(&found, day), earliest(&[], day)), (Timestamp::from_millis(31 * 86_400_000), day));
    }

    #[test]
    fn a_body_of_what_no_rule_names_takes_nothing_away() {
        let document = |kind: &str, id: &str, content: &Value| Document {
            kind: kind.to_owned(),
            id: id.to_owned(),
            version: 1,
            position: 0,
            effective_from: Timestamp::ZERO,
            state: "active".to_owned(),
            body: typed(kind, content).unwrap().to_string(),
        };
        let bare = json!({"id": "workshop", "name": "Workshop"});
        let asking = |schema: &str| json!({"id": "workshop", "name": "Workshop", "schema": {"type": schema}});
        let (named, other) = (rule(json!({"trigger": "workshop"})), rule(json!({"trigger": "visit"})));
        let told = |held: Option<&Value>, rule: &Value, after: &Value| {
            let mut live = vec![document("rule", "x", rule)];
            live.extend(held.map(|held| document("activity", "workshop", held)));
            let (kind, id) = ("activity".to_owned(), "workshop".to_owned());
            let change = DocumentChange { kind, id, base: 0, document: Some(after.clone()) };
            let found = differences(&live, &[change], Timestamp::ZERO).unwrap();
            found.into_iter().map(|one| (one.field, one.verdict.name())).collect::<Vec<_>>()
        };
        // A new kind, and one that was there without a schema.
        assert_eq!(told(None, &other, &asking("object")), one("", "neutral"));
        assert_eq!(told(None, &named, &asking("object")), one("", "unclear"));
        assert_eq!(told(Some(&bare), &other, &asking("object")), one("schema", "neutral"));
        assert_eq!(told(Some(&bare), &named, &asking("object")), one("schema", "worse"));
        // Whoever sends one that fitted is not to be refused unawares.
        assert_eq!(told(Some(&asking("object")), &other, &asking("array")), one("schema", "unclear"));
    }
}
