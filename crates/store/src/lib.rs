//! The memory of Guerdon: one trait for every store, the batch writer in front of it, and the readers beside it.

mod circuit;
mod code;
mod dry_run;
mod engine;
mod error;
mod feed;
mod left;
mod log;
mod pictures;
mod plan;
mod point_value;
mod postgres;
mod presale;
mod privacy;
mod probe;
mod publish;
mod ram;
mod ram_codes;
pub mod read;
pub mod read_activities;
mod read_checkouts;
mod read_codes;
mod read_demand;
mod read_earning;
mod read_history;
mod read_life;
pub mod read_log;
mod read_records;
mod read_statement;
mod record;
mod restock;
mod rotation;
mod rows;
mod search;
mod sqlite;
mod to_fulfil;
mod tries;
mod waiting;
mod writer;

pub use code::{Claimed, CodeClaim, CodeCounts, CodeFate, CodeOrigin, CodeUpload, CodesAdded, OrderCode, SealedCode};
pub use dry_run::DryRunStore;
pub use engine::{Answer, CommandError, Engine, EngineHandle, Outcome};
pub use error::StoreError;
pub use feed::{StoredEvent, ToldEvent};
pub use left::Left;
pub use log::{LogBatch, LogGrowth, LogHead, OutboxBatch, Sequenced, log_keys, rotate_log_key, sequence, start_log};
pub use pictures::{PICTURE, StoredPicture, named_pictures};
pub use point_value::publish_value;
pub use postgres::{LEASE_TIME, PostgresStore, stays_here_or_says};
pub use presale::{PresaleThreshold, thresholds};
pub use privacy::{
    NowSealed, PlainMember, StoredKeyring, StoredMember, open_keyring, seal_plain_members, start_keyring,
    stored_keyring,
};
pub use probe::Probe;
pub use publish::{Published, publish, publish_as, publish_changes, withdraw_versions};
pub use ram::RamStore;
pub use ram_codes::KeptCode;
pub use read_demand::Ordered;
pub use record::{AuditQuery, Record, RecordChange, RecordQuery};
pub use rotation::{Rotated, begin_rotation, rotate};
pub use search::{Found, SearchIndex, SearchText};
pub use sqlite::{BareEngine, DataDir, Rewound, SqliteStore, backup, create_private, rewind};
pub use to_fulfil::ToFulfil;
pub use tries::{RefusedTry, Tries};
pub use writer::{Store, id_generator, load_program, verify, write_records};
