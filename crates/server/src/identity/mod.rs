//! Who may do what: credentials, sessions, permissions, and the one gate that every request passes.

pub mod access;
pub mod actor;
pub mod api_key;
pub mod directory;
pub mod guard;
pub mod operator;
pub mod password;
pub mod password_policy;
pub mod recovery;
pub mod session;
pub mod token;
pub mod totp;
