//! The brain of Guerdon: its types, rules and decisions. Pure: no input or output, no clock, no randomness, no async.

pub mod audit;
pub mod backtest;
pub mod earning;
pub mod fulfilment;
pub mod hex;
pub mod id;
pub mod identity;
pub mod kernel;
pub mod ledger;
pub mod limits;
pub mod members;
pub mod planted;
pub mod privacy;
pub mod program;
pub mod proofs;
pub mod redemption;
pub mod rewards;
mod serial;
pub mod tiers;
pub mod time;
