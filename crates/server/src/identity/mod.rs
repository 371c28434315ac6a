//! Who may do what: credentials, sessions, permissions, and the one gate that every request passes.

pub mod access;
pub mod account;
pub mod actor;
pub mod allowance;
pub mod api_key;
pub mod attempt;
pub mod client;
pub mod clients;
pub mod code;
pub mod device;
pub mod directory;
pub mod guard;
pub mod hands;
pub mod invitations;
pub mod keys;
pub mod last_use;
pub mod limit;
pub mod mac;
pub mod member_session;
pub mod network;
pub mod nonces;
pub mod operator;
pub mod operator_change;
pub mod operators;
pub mod passkey;
pub mod passkey_sign_in;
pub mod password;
pub mod password_policy;
pub mod people;
pub mod rate;
pub mod recovery;
pub mod refusals;
pub mod session;
pub mod setup;
pub mod sign_in;
pub mod signature;
pub mod signed;
pub mod sso;
pub mod throttle;
pub mod token;
pub mod totp;
pub mod traffic;
pub mod usage;

#[cfg(test)]
mod comparisons;
#[cfg(test)]
pub(crate) mod testing;
