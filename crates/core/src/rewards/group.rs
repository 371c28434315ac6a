//! The price for a group of friends: several who order within a time pay less.

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

/// What a group takes, and what each of its members pays.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GroupPrice {
    /// How many members it takes, whoever opens it among them.
    pub members: i64,
    /// Within how many hours of its opening.
    pub hours: i64,
    /// Per cent of the price before that each pays.
    pub percent: Decimal,
}
