//! What surrounds every connection and every request: the accept loop with its limits, TLS, who is calling, headers.

mod accept;
mod activity;
mod addresses;
mod connection;
pub mod content;
mod headers;
mod public_url;
mod tls;
mod trust;
mod well_known;

use std::sync::Arc;
use std::time::Duration;

pub use accept::accept;
pub use public_url::{InvalidPublicUrl, PublicUrl};
pub use tls::{Tls, TlsError};
pub use trust::{ClientAddress, External, ForwardedHeader, InvalidNetwork, Trust, parse_networks};
pub use well_known::{InvalidContact, SecurityContact, pages as well_known};

/// Largest head of a request, in bytes, its first line included. More headers than 100 are refused by the HTTP library.
const HEAD_BYTES: usize = 32 << 10;

/// How the server meets the network.
#[derive(Default)]
pub struct Edge {
    /// Certificate and key; without them connections are plain.
    pub tls: Option<Arc<Tls>>,
    /// Whose word on the caller's address is taken.
    pub trust: Trust,
    /// Under which address people reach the server.
    pub public_url: Option<PublicUrl>,
    /// Limits of connections.
    pub limits: Limits,
    /// Only trusted proxies and this machine may call: what others send would travel in the clear.
    pub proxies_only: bool,
}

/// Limits of connections.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Connections at once; more wait to be accepted.
    pub connections: usize,
    /// Connections at once from one address (IPv6: from one /64); more are closed. Loopback and proxies have no limit.
    pub connections_per_address: usize,
    /// Unfinished TLS handshakes at once from one address; more are closed.
    pub handshakes_per_address: usize,
    /// Longest time of a TLS handshake.
    pub handshake_time: Duration,
    /// Longest time from the first byte of a request's head to its last; on a new connection, from its start.
    pub head_time: Duration,
    /// Longest time in which nothing moves on a connection that has no request at work.
    pub idle_time: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 4_096,
            connections_per_address: 1_024,
            handshakes_per_address: 64,
            handshake_time: Duration::from_secs(10),
            head_time: Duration::from_secs(15),
            // Longer than the minute for which proxies keep connections: the one who keeps shorter must be the caller.
            idle_time: Duration::from_secs(75),
        }
    }
}

#[cfg(test)]
mod tests;
