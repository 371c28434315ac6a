//! Ports for servers that are started a moment later.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::net::TcpListener;

/// A port that nobody listens on. It lies below those that the system gives to connections of its own (from 32768 on), so
/// that none of them takes it before the server is there.
pub fn free_port() -> u16 {
    loop {
        let drawn = RandomState::new().hash_one(std::process::id()) % 12_000;
        let port = 20_000 + u16::try_from(drawn).unwrap_or_default();
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}
