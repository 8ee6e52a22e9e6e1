//! What can go wrong with the spool, by who should act: the operator (`OpenError`), the agent, later (`AppendError::Full`),
//! or whoever keeps the disk (`StoreError`).

use rusqlite::ErrorCode;
use std::{io, path::PathBuf, sync::Arc};

#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error(
        "the spool at {} is in use by {}: stop that one, or give this one another directory",
        dir.display(),
        pid.map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}"))
    )]
    Held { dir: PathBuf, pid: Option<u32> },
    #[error(
        "reserve of {reserve_bytes} bytes leaves nothing of a spool of {max_bytes} bytes: lower it or raise the size"
    )]
    Reserve { reserve_bytes: u64, max_bytes: u64 },
    #[error("the spool is in format {found}, this version reads up to {known}: start the version that wrote it")]
    Newer { found: u32, known: u32 },
    #[error("cannot use the spool directory {}", dir.display())]
    Io { dir: PathBuf, source: io::Error },
    #[error("cannot open the spool's store {}: check the disk under it, and who may read and write the file", path.display())]
    Engine { path: PathBuf, source: rusqlite::Error },
}

#[derive(Debug, Clone, thiserror::Error)]
pub enum AppendError {
    /// Refused before anything was numbered; try again once the hub has taken some.
    #[error("the spool holds {used_bytes} bytes of {limit_bytes} allowed: wait until the hub has taken some")]
    Full { used_bytes: u64, limit_bytes: u64 },
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Cloneable, because one failed commit is told to everybody who waited for it.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    #[error("the spool's store failed: check space and health of the disk under it")]
    Engine(#[source] Arc<rusqlite::Error>),
    /// What is written to a file that has no name any more is gone with this process.
    #[error(
        "the spool's store was moved or deleted under the running service: put it back, or restart to begin a new one"
    )]
    Displaced,
    #[error("the spool is closed")]
    Closed,
}

/// Whether the file itself is broken, so that no later attempt can succeed either.
pub(super) fn is_damage(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)
    )
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Engine(Arc::new(error))
    }
}
