//! Who may do what.

pub mod password;
pub mod password_policy;
pub mod recovery;
pub mod token;
pub mod totp;
