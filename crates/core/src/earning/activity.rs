//! Activities: what a member did, as it was received.

use std::collections::BTreeMap;

use rust_decimal::{Decimal, RoundingStrategy};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use crate::id::MemberId;
use crate::limits;
use crate::members::check_attributes;
use crate::tiers::TIER_CHANGED;
use crate::time::Timestamp;

/// One line of a purchase or return.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ActivityLine {
    /// Stock keeping unit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sku: Option<String>,
    /// What it is called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Product category.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub category: Option<String>,
    /// How many.
    pub quantity: Decimal,
    /// Price of one, in major units of money (`2.55`).
    pub unit_price: Decimal,
}

impl ActivityLine {
    /// Quantity × unit price in minor units, rounded half away from zero. `None`: beyond all limits.
    pub fn amount(&self, minor_per_major: i64) -> Option<i64> {
        let exact = self.quantity.checked_mul(self.unit_price)?.checked_mul(Decimal::from(minor_per_major))?;
        round_half_away(exact)
    }
}

/// Rounds to a whole number, halves away from zero.
pub fn round_half_away(value: Decimal) -> Option<i64> {
    i64::try_from(value.round_dp_with_strategy(0, RoundingStrategy::MidpointAwayFromZero)).ok()
}

/// What a member did. `purchase` and `return` bear money; any other kind is a custom activity.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Activity {
    /// `purchase`, `return`, or any other word.
    pub kind: String,
    /// When it happened; left out: now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub occurred_at: Option<Timestamp>,
    /// ISO 4217 code; left out: the program's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub currency: Option<String>,
    /// Total in minor units of money, when there are no lines; positive also for a return.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount: Option<i64>,
    /// Its lines; on a return the quantities are negative or positive alike.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lines: Vec<ActivityLine>,
    /// Store, branch or device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub store: Option<String>,
    /// Where the member was served: `pos`, `app`, `web`, or any other word of the operator's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel: Option<String>,
    /// On a return: the idempotency key under which its purchase was recorded, so that exactly what it earned is taken back.
    /// On an `order_final`: of the purchase that is final, so that what it earned becomes active.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub purchase: Option<String>,
    /// On a referral: who referred the member.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub referrer: Option<MemberId>,
    /// Anything else that rules may look at, as texts.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub attributes: BTreeMap<String, String>,
    /// What the program's schema for the kind describes; its fields are in the order of their names.
    #[serde(default, deserialize_with = "in_order", skip_serializing_if = "Option::is_none")]
    pub body: Option<Map<String, Value>>,
}

/// Reads a body, so that the same one is the same however it is written.
fn in_order<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Map<String, Value>>, D::Error> {
    let mut body: Option<Map<String, Value>> = Option::deserialize(deserializer)?;
    if let Some(body) = &mut body {
        body.sort_keys();
        body.values_mut().for_each(Value::sort_all_objects);
    }
    Ok(body)
}

/// Checks the size of a body.
fn check_body(body: &Map<String, Value>) -> Result<(), String> {
    let levels = 1 + body.values().map(levels).max().unwrap_or_default();
    if levels > limits::BODY_DEPTH {
        return Err(format!("`body` has parts within parts, more than {} levels deep", limits::BODY_DEPTH));
    }
    let bytes = serde_json::to_vec(body).map_err(|error| error.to_string())?.len();
    if bytes > limits::BODY_BYTES {
        return Err(format!("`body` has {bytes} bytes as JSON; at most {} are allowed", limits::BODY_BYTES));
    }
    Ok(())
}

/// How many levels of parts within parts a value has; a plain one has none. The parser has bounded them.
fn levels(value: &Value) -> usize {
    let deepest = match value {
        Value::Array(items) => items.iter().map(levels).max(),
        Value::Object(fields) => fields.values().map(levels).max(),
        _ => return 0,
    };
    1 + deepest.unwrap_or_default()
}

impl Activity {
    /// One of a kind of which nothing else is known.
    pub(crate) fn of_kind(kind: &str) -> Self {
        Self { kind: kind.to_owned(), ..Self::default() }
    }

    /// Whether money was given back.
    pub fn is_return(&self) -> bool {
        self.kind == "return"
    }

    /// Whether a purchase cannot be returned any more.
    pub fn is_final(&self) -> bool {
        self.kind == "order_final"
    }

    /// The purchase that a return names.
    pub fn returned_purchase(&self) -> Option<&String> {
        self.purchase.as_ref().filter(|_| self.is_return())
    }

    /// Checks every field against its limit. `money` is the program's; the message names the field.
    pub fn validate(&self, money: &str) -> Result<(), (&'static str, String)> {
        let text = |field, value: &Option<String>, limit| match value {
            Some(value) => limits::check_text(field, value, limit).map_err(|problem| (field, problem)),
            None => Ok(()),
        };
        let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        if self.kind.is_empty() || self.kind.len() > 64 || !self.kind.bytes().all(fits) {
            let problem = "`kind` is `purchase`, `return` or a word of lower-case letters, digits and underscores";
            return Err(("kind", problem.to_owned()));
        }
        if self.kind == TIER_CHANGED {
            return Err(("kind", format!("`{TIER_CHANGED}` is recorded by the program itself, when a tier changes")));
        }
        if let Some(currency) = &self.currency
            && currency != money
        {
            let problem =
                format!("this program takes {money}, not `{}`", currency.chars().take(12).collect::<String>());
            return Err(("currency", problem));
        }
        if self.lines.len() > limits::ACTIVITY_LINES {
            let problem = format!("{} lines; at most {} are allowed", self.lines.len(), limits::ACTIVITY_LINES);
            return Err(("lines", problem));
        }
        if self.amount.is_some() && !self.lines.is_empty() {
            return Err((
                "amount",
                "give `amount` or `lines`, not both: the amount is the sum of the lines".to_owned(),
            ));
        }
        let bears_money = self.kind == "purchase" || self.is_return();
        if bears_money && self.amount.is_none() && self.lines.is_empty() {
            return Err(("lines", format!("a {} needs `lines` or `amount`", self.kind)));
        }
        if self.amount.is_some_and(|amount| !(0..=limits::AMOUNT).contains(&amount)) {
            return Err(("amount", format!("`amount` must be 0 to {} minor units", limits::AMOUNT)));
        }
        text("store", &self.store, limits::KEY_CHARS)?;
        text("channel", &self.channel, limits::KEY_CHARS)?;
        text("purchase", &self.purchase, limits::KEY_CHARS)?;
        if self.purchase.is_some() && !self.is_return() && !self.is_final() {
            let problem = format!("only a return and an `order_final` name their purchase, not a {}", self.kind);
            return Err(("purchase", problem));
        }
        if self.is_final() && self.purchase.is_none() {
            return Err(("purchase", "an `order_final` names its `purchase` by its idempotency key".to_owned()));
        }
        if self.referrer.is_some() && !matches!(self.kind.as_str(), "referral" | "enrol") {
            return Err(("referrer", format!("only a referral names its referrer, not a {}", self.kind)));
        }
        for line in &self.lines {
            text("lines.sku", &line.sku, limits::KEY_CHARS)?;
            text("lines.description", &line.description, limits::TEXT_CHARS)?;
            text("lines.category", &line.category, limits::KEY_CHARS)?;
        }
        check_attributes(&self.attributes).map_err(|problem| ("attributes", problem))?;
        self.body.as_ref().map_or(Ok(()), check_body).map_err(|problem| ("body", problem))
    }
}
