//! What becomes of each route while the database is away.

use axum::http::Method;

use crate::identity::access::Needs;

/// What is answered from what was last known. All of it is read, and none of it writes.
pub const LAST_KNOWN: [&str; 11] = [
    "/v1/rewards",
    "/v1/rewards/{reward_id}",
    "/v1/catalogue",
    "/v1/catalogue/suggestions",
    "/v1/categories",
    "/v1/members/{member_id}/wallet",
    "/portal",
    "/portal/rewards",
    "/portal/rewards/suggestions",
    "/portal/rewards/{id}",
    // Counts of this node's own.
    "/metrics",
];

/// What becomes of a request while the database is away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// It is answered from what was last known, also to whom this node has verified lately.
    LastKnown,
    /// It is open to the world, and may need no database; it is given a moment.
    Open,
    /// It is refused, also where it waits already.
    Read,
    /// It is refused. What waits already goes on: whether it was done is known by its idempotency key.
    Write,
}

/// What becomes of a request for a route, by its matched path.
pub fn way(method: &Method, path: &str, needs: Needs) -> Way {
    if !method.is_safe() {
        Way::Write
    } else if LAST_KNOWN.contains(&path) {
        Way::LastKnown
    } else if needs == Needs::Nothing {
        Way::Open
    } else {
        Way::Read
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::routes;

    #[test]
    fn what_is_answered_from_memory_is_there_and_is_read() {
        let routes = routes().unwrap();
        for path in LAST_KNOWN {
            let needs = routes.needs(&Method::GET, path).unwrap_or_else(|| panic!("there is no {path}"));
            assert_ne!(needs, Needs::Nothing, "{path}");
            assert_eq!(way(&Method::GET, path, needs), Way::LastKnown);
            assert_eq!(way(&Method::HEAD, path, needs), Way::LastKnown);
            assert_eq!(way(&Method::POST, path, needs), Way::Write, "nothing is written from memory");
        }
        for (method, path, needs) in routes.iter().filter(|(method, ..)| !method.is_safe()) {
            assert_eq!(way(method, path, needs), Way::Write, "{method} {path}");
        }
        let members = routes.needs(&Method::GET, "/v1/members/{member_id}").unwrap();
        assert_eq!(way(&Method::GET, "/v1/members/{member_id}", members), Way::Read);
        assert_eq!(way(&Method::GET, "/docs", Needs::Nothing), Way::Open);
    }
}
