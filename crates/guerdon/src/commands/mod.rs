//! One file for each command.

pub mod api_key;
pub mod audit;
pub mod backup;
pub mod bench;
mod bench_auth;
mod bench_http;
mod bench_log;
mod bench_postgres;
mod bench_privacy;
mod bench_tick;
pub mod card;
pub mod demo;
pub mod import;
pub mod init;
pub mod inspect;
pub mod keys;
pub mod log_key;
pub mod migrate;
pub mod restore;
pub mod serve;
pub mod simulate;
pub mod verify;
pub mod version;
