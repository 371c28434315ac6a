//! Who may do what: permissions, roles, and what an actor's grants come to.

mod access;
mod permission;
mod role;

pub use access::{Access, Grant};
pub use permission::{Permission, Permissions};
pub use role::{Role, RoleName};
