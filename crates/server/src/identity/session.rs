//! Sessions as they are stored: of operators and of members, told apart by whom they belong to.

use guerdon_core::time::Timestamp;
use serde::{Deserialize, Serialize};

/// The kind of their records; the id is the digest of the cookie's token, the subject `opr_…` or `mem_…`.
pub const SESSION: &str = "session";
/// The cookies of operators and of members. Over https they carry the prefix `__Host-`.
pub const OPERATOR_COOKIE: &str = "guerdon_session";
/// See above.
pub const MEMBER_COOKIE: &str = "guerdon_member";

/// Idle time after which a session of an operator ends, in milliseconds; and of a member.
pub const OPERATOR_IDLE_MS: i64 = 30 * 60_000;
/// See above.
pub const MEMBER_IDLE_MS: i64 = 7 * 86_400_000;
/// How long a session may last at most, in milliseconds, of an operator and of a member.
pub const OPERATOR_LIFE_MS: i64 = 12 * 3_600_000;
/// See above.
pub const MEMBER_LIFE_MS: i64 = 30 * 86_400_000;

/// A signed-in browser.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// When it began.
    pub created_at: Timestamp,
    /// When it was last used, to the minute.
    pub seen_at: Timestamp,
    /// When the person last proved who they are; sensitive acts ask for a fresh proof.
    pub proved_at: Timestamp,
    /// How: `password+totp`, `passkey`, `sso`, `code`.
    pub method: String,
    /// From which address it began.
    pub address: String,
    /// The browser, as it called itself, cut to 200 characters.
    pub agent: String,
}
