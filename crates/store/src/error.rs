//! What can go wrong with a store.

use guerdon_core::kernel::Refusal;

/// An error of a store; the message says what to do where something can be done.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another writer was faster: load again and decide again.
    #[error("another writer changed a row in the meantime")]
    Conflict,
    /// The disk is full, read-only or broken, or the database cannot be reached: nothing was written.
    #[error("the store cannot write: {0}")]
    Unavailable(String),
    /// The connection to the database was lost or is not to be had. Whether a commit that was on its way has arrived is
    /// told by its idempotency keys, once there is a connection again.
    #[error("the database cannot be reached: {0}")]
    Disconnected(String),
    /// The store refused a row: a defect.
    #[error("the store refused a row: {0}")]
    Rejected(String),
    /// What was asked for cannot be, whoever asks: the words say why.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The data directory cannot be used as it is.
    #[error("{0}")]
    Unusable(String),
}

impl StoreError {
    /// Whether the database is away or cannot do its work, so that the same question may be answered in a moment: nothing is
    /// wrong with the question itself.
    pub fn is_away(&self) -> bool {
        matches!(self, Self::Unavailable(_) | Self::Disconnected(_))
    }
}
