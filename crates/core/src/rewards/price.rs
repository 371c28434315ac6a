//! The price part of a reward's document: what one unit costs, and what changes that.

use std::collections::BTreeMap;
use std::fmt;

use jiff::civil::DateTime;
use rust_decimal::Decimal;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::cash::CashShare;
use super::group::GroupPrice;
use super::pricing::share;

/// What a unit costs before anything changes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Base {
    /// So many points.
    Points(i64),
    /// As many points as are worth what the unit costs the program and a margin, at the value of a point at that moment.
    Cost {
        /// What the unit costs the program, in major units of its money.
        cost: Decimal,
        /// Per cent of the cost that come on top; `None`: as the program says.
        margin: Option<Decimal>,
    },
}

/// The price of a reward. In a document a number of points, or a table.
///
/// In which order the parts change the price says [`crate::program::Program::price`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Price {
    /// Before anything changes it.
    pub base: Base,
    /// What members of a tier and of those above it pay instead, where that is less; by the ids of tiers.
    pub tiers: BTreeMap<String, TierPrice>,
    /// Times at which it costs more or less. All apply that hold.
    pub seasons: Vec<Season>,
    /// Times at which it is offered for less. All apply that hold.
    pub offers: Vec<Offer>,
    /// How it rises with demand.
    pub demand: Option<Demand>,
    /// How it falls when nobody orders it.
    pub cold: Option<Cold>,
    /// How much more than later ones the first points of an order are worth.
    pub curve: Vec<CurveStep>,
    /// Which share may be paid in money.
    pub cash: Option<CashShare>,
    /// What friends pay who order together.
    pub group: Option<GroupPrice>,
}

/// What members of a tier pay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "TierTable", into = "TierTable")]
pub enum TierPrice {
    /// So many points.
    Points(i64),
    /// Per cent of what everyone pays.
    Percent(Decimal),
}

/// A time, by the program's calendar, at which a reward costs more or less than otherwise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Season {
    /// In which months, 1 to 12; left out: in all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub months: Vec<i8>,
    /// The first moment: `2026-11-01T00:00`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<DateTime>,
    /// The moment at which it is over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<DateTime>,
    /// Per cent of the price before: more than 100 makes it dearer.
    pub percent: Decimal,
}

impl Season {
    /// Whether it holds at a local moment.
    pub fn holds(&self, local: DateTime) -> bool {
        (self.months.is_empty() || self.months.contains(&local.month()))
            && self.from.is_none_or(|from| from <= local)
            && self.to.is_none_or(|to| local < to)
    }
}

/// A time, by the program's calendar, at which a reward is offered for less.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Offer {
    /// The first moment.
    pub from: DateTime,
    /// The moment at which it is over.
    pub to: DateTime,
    /// Per cent of the price before.
    pub percent: Decimal,
}

impl Offer {
    /// Whether it holds at a local moment.
    pub fn holds(&self, local: DateTime) -> bool {
        self.from <= local && local < self.to
    }
}

/// How the price rises with the demand of the last hour. The rule is published with the reward.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Demand {
    /// By how much it rises at which demand. Of those that are reached the one with the highest premium counts.
    pub steps: Vec<DemandStep>,
    /// Per cent of the price for the member's tier, above which demand never lifts the price.
    pub ceiling: Decimal,
}

impl Demand {
    /// The ceiling in points, where the price for the member's tier is `own`.
    pub fn ceiling_points(&self, own: i64) -> Option<i64> {
        share(own, self.ceiling)
    }

    /// The highest premium that is reached, in per cent of the price before.
    pub fn premium(&self, figures: DemandFigures) -> Option<Decimal> {
        self.steps.iter().filter(|step| step.is_reached(figures)).map(|step| step.percent).max()
    }
}

/// A premium, and what it takes: one of both is enough.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DemandStep {
    /// Orders of the last hour.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub orders: Option<i64>,
    /// Views of the last hour.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub views: Option<i64>,
    /// Per cent that come on top of the price before.
    pub percent: Decimal,
}

impl DemandStep {
    fn is_reached(&self, figures: DemandFigures) -> bool {
        self.orders.is_some_and(|orders| figures.orders >= orders)
            || self.views.is_some_and(|views| figures.views >= views)
    }
}

/// How the price falls when nobody orders the reward.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cold {
    /// Days since the last order, or since there is the reward.
    pub days: i32,
    /// Per cent of the price before.
    pub percent: Decimal,
}

/// What the first points of an order are worth. Points beyond the last step are worth what they are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CurveStep {
    /// Up to how many points of the order.
    pub up_to: i64,
    /// Per cent of a later point that each of them is worth.
    pub worth: Decimal,
}

/// What the demand for a reward is. Asked for outside of the decision, and only where its price needs it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DemandFigures {
    /// Orders of the last hour; a number as high as the highest step stands for all above it.
    pub orders: i64,
    /// Views of the last hour.
    pub views: i64,
    /// When it was last ordered; `None`: never.
    pub last_order_at: Option<crate::time::Timestamp>,
}

impl Price {
    /// A price that nothing changes.
    pub fn fixed(points: i64) -> Self {
        Self {
            base: Base::Points(points),
            tiers: BTreeMap::new(),
            seasons: Vec::new(),
            offers: Vec::new(),
            demand: None,
            cold: None,
            curve: Vec::new(),
            cash: None,
            group: None,
        }
    }

    /// Whether it takes [`DemandFigures`] to tell the price.
    pub fn needs_figures(&self) -> bool {
        self.demand.is_some() || self.cold.is_some()
    }

    /// How many orders of the last hour are worth counting; 0: none are.
    pub fn orders_counted(&self) -> i64 {
        let steps = self.demand.iter().flat_map(|demand| &demand.steps);
        steps.filter_map(|step| step.orders).max().unwrap_or_default()
    }

    /// Whether views of the last hour matter.
    pub fn counts_views(&self) -> bool {
        self.demand.iter().flat_map(|demand| &demand.steps).any(|step| step.views.is_some())
    }

    /// The number of points, where nothing can change it.
    pub fn as_fixed(&self) -> Option<i64> {
        match self.base {
            Base::Points(points) if *self == Self::fixed(points) => Some(points),
            _ => None,
        }
    }
}

/// A price as it is written where it is more than a number.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    points: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cost: Option<Decimal>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    margin: Option<Decimal>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    tiers: BTreeMap<String, TierPrice>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    seasons: Vec<Season>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    offers: Vec<Offer>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    demand: Option<Demand>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cold: Option<Cold>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    curve: Vec<CurveStep>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cash: Option<CashShare>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    group: Option<GroupPrice>,
}

/// What a tier pays, as it is written.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct TierTable {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    points: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    percent: Option<Decimal>,
}

impl TryFrom<TierTable> for TierPrice {
    type Error = &'static str;

    fn try_from(table: TierTable) -> Result<Self, Self::Error> {
        match (table.points, table.percent) {
            (Some(points), None) => Ok(Self::Points(points)),
            (None, Some(percent)) => Ok(Self::Percent(percent)),
            _ => Err("the price of a tier has either `points` or `percent`"),
        }
    }
}

impl From<TierPrice> for TierTable {
    fn from(price: TierPrice) -> Self {
        match price {
            TierPrice::Points(points) => Self { points: Some(points), percent: None },
            TierPrice::Percent(percent) => Self { points: None, percent: Some(percent) },
        }
    }
}

impl TryFrom<Table> for Price {
    type Error = &'static str;

    fn try_from(table: Table) -> Result<Self, Self::Error> {
        let Table { points, cost, margin, tiers, seasons, offers, demand, cold, curve, cash, group } = table;
        let base = match (points, cost, margin) {
            (Some(points), None, None) => Base::Points(points),
            (None, Some(cost), margin) => Base::Cost { cost, margin },
            (None, None, _) => return Err("`price` must have `points`, or `cost` and a `margin`"),
            (Some(_), ..) => return Err("`price` has either `points`, or `cost` and a `margin`, not both"),
        };
        Ok(Self { base, tiers, seasons, offers, demand, cold, curve, cash, group })
    }
}

impl From<&Price> for Table {
    fn from(price: &Price) -> Self {
        let (points, cost, margin) = match price.base {
            Base::Points(points) => (Some(points), None, None),
            Base::Cost { cost, margin } => (None, Some(cost), margin),
        };
        let Price { tiers, seasons, offers, demand, cold, curve, cash, group, .. } = price.clone();
        Self { points, cost, margin, tiers, seasons, offers, demand, cold, curve, cash, group }
    }
}

impl Serialize for Price {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.as_fixed() {
            Some(points) => serializer.serialize_i64(points),
            None => Table::from(self).serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Price {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Written;

        impl<'de> Visitor<'de> for Written {
            type Value = Price;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a number of points, or a table with `points` or `cost`")
            }

            fn visit_i64<E: Error>(self, points: i64) -> Result<Price, E> {
                Ok(Price::fixed(points))
            }

            fn visit_u64<E: Error>(self, points: u64) -> Result<Price, E> {
                // What is beyond all limits is refused as such.
                Ok(Price::fixed(i64::try_from(points).unwrap_or(i64::MAX)))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Price, A::Error> {
                Table::deserialize(MapAccessDeserializer::new(map))?.try_into().map_err(A::Error::custom)
            }
        }

        deserializer.deserialize_any(Written)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Price, String> {
        serde_json::from_str(text).map_err(|error| error.to_string())
    }

    #[test]
    fn a_price_is_written_as_it_was_read() {
        for text in [
            "500",
            r#"{"cost":"50","margin":"20"}"#,
            r#"{"points":500,"tiers":{"gold":{"points":450},"silver":{"percent":"95"}}}"#,
            r#"{"points":500,"seasons":[{"months":[12],"percent":"120"},{"from":"2026-06-01T00:00:00","percent":"90"}]}"#,
            r#"{"points":500,"demand":{"steps":[{"orders":20,"percent":"5"}],"ceiling":"115"},"cold":{"days":30,"percent":"90"}}"#,
            r#"{"points":500,"curve":[{"up_to":1000,"worth":"120"}]}"#,
            r#"{"points":500,"cash":{"from_percent":"10","to_percent":"50","min_points":100,"point_value":"0.01"}}"#,
            r#"{"points":500,"group":{"members":3,"hours":24,"percent":"80"}}"#,
        ] {
            assert_eq!(serde_json::to_string(&read(text).unwrap()).unwrap(), text);
        }
        // A table that says no more than a number is one.
        assert_eq!(serde_json::to_string(&read(r#"{"points": 500}"#).unwrap()).unwrap(), "500");
        let of_toml: BTreeMap<String, Price> = toml::from_str("price = { cost = 50, margin = 12.5 }").unwrap();
        assert_eq!(of_toml["price"], read(r#"{"cost":"50","margin":"12.5"}"#).unwrap());
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (text, problem) in [
            (r#""ten""#, "expected a number of points, or a table"),
            ("{}", "`price` must have `points`, or `cost`"),
            (r#"{"margin":"5"}"#, "`price` must have `points`, or `cost`"),
            (r#"{"points":5,"cost":"5"}"#, "not both"),
            (r#"{"points":5,"margin":"5"}"#, "not both"),
            (r#"{"points":5,"colour":"red"}"#, "unknown field `colour`"),
            (
                r#"{"points":5,"tiers":{"gold":{"points":5,"percent":"5"}}}"#,
                "the price of a tier has either `points` or `percent`",
            ),
        ] {
            let said = read(text).unwrap_err();
            assert!(said.contains(problem), "{text}: {said}");
        }
    }
}
