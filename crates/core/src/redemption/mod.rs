//! Redemption: the order, from hold to capture or release, and to refund.

use serde::{Deserialize, Serialize};

use crate::id::{MemberId, OrderId};
use crate::ledger::{CurrencyId, Portion};
use crate::time::Timestamp;

/// Where an order stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(i64)]
pub enum OrderState {
    /// Points and stock are set aside.
    Held = 1,
    /// Points are spent, the units handed out.
    Captured = 2,
    /// Points and stock were given back.
    Released = 3,
    /// Points and units were given back after they had been spent and handed out.
    Refunded = 4,
}

impl OrderState {
    /// From the stored number.
    pub fn from_code(code: i64) -> Option<Self> {
        [Self::Held, Self::Captured, Self::Released, Self::Refunded].into_iter().find(|state| *state as i64 == code)
    }

    /// The name used in the API.
    pub fn name(self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::Captured => "captured",
            Self::Released => "released",
            Self::Refunded => "refunded",
        }
    }
}

/// One redemption.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// Its id.
    pub id: OrderId,
    /// Who redeems.
    pub member_id: MemberId,
    /// What.
    pub reward_id: String,
    /// How many.
    pub quantity: i64,
    /// Points in all.
    pub points: i64,
    /// Their currency.
    pub currency: CurrencyId,
    /// Where it stands.
    pub state: OrderState,
    /// From which lots the points came: they go back to the same.
    pub holds: Vec<Portion>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

impl Order {
    /// The stored form of its holds.
    pub fn encode_holds(&self) -> Vec<u8> {
        postcard::to_extend(&self.holds, Vec::new()).unwrap_or_default()
    }

    /// Reads the stored form of holds.
    pub fn decode_holds(bytes: &[u8]) -> Result<Vec<Portion>, String> {
        postcard::from_bytes(bytes).map_err(|error| format!("order holds: {error}"))
    }
}
