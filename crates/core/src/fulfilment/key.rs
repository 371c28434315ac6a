//! How suppliers know what they hand out: an order by its id, and a part of one by that and the reward.

use std::fmt;
use std::str::FromStr;

use crate::id::OrderId;

/// Apart from neither ids nor rewards by chance: both have none.
const APART: char = '.';
/// Characters of one at the most: an order's id, and a reward's of up to 64.
pub const DELIVERY_KEY_CHARS: usize = 100;

/// What is handed out: `ord_…`, or `ord_….reward` for a part of a bundle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryKey {
    /// The order.
    pub order: OrderId,
    /// The reward that is a part of it.
    pub part: Option<String>,
}

impl fmt::Display for DeliveryKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.part {
            None => write!(formatter, "{}", self.order),
            Some(part) => write!(formatter, "{}{APART}{part}", self.order),
        }
    }
}

impl FromStr for DeliveryKey {
    type Err = <OrderId as FromStr>::Err;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once(APART) {
            None => Ok(Self { order: text.parse()?, part: None }),
            Some((order, part)) => Ok(Self { order: order.parse()?, part: Some(part.to_owned()) }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_read_as_it_was_written_and_fits_everywhere() {
        let whole = DeliveryKey { order: OrderId(7), part: None };
        let part = DeliveryKey { part: Some("x".repeat(64)), ..whole.clone() };
        assert_eq!(whole.to_string(), OrderId(7).to_string());
        for key in [whole, part] {
            assert_eq!(key.to_string().parse(), Ok(key.clone()));
            assert!(key.to_string().len() + "cancel-".len() <= DELIVERY_KEY_CHARS);
        }
        assert!("nonsense.top-up".parse::<DeliveryKey>().is_err());
    }
}
