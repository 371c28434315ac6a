//! The hands of Guerdon: the HTTP API, the console and the background workers.

mod acts;
mod api;
mod app;
mod approvals;
mod assets;
mod birthdays;
pub mod card;
mod console;
mod describe;
mod drafts;
pub mod edge;
mod events;
pub mod identity;
pub mod imports;
mod keys;
pub mod language;
pub mod messages;
pub mod outbound;
pub mod picture;
mod portal;
mod privacy;
mod problem;
mod ready;
mod sequencer;
mod serve;
mod state;
mod statement;

pub use app::{AppOptions, app, app_without_gate, openapi, routes};
pub use identity::access::{Needs, Routes};
pub use identity::directory::Directory;
pub use identity::people::People;
pub use keys::{MasterKeys, SharedKeyring, keep_keys};
pub use metrics_exporter_prometheus::PrometheusBuilder;
pub use problem::Problem;
pub use serve::serve;
pub use state::AppState;
