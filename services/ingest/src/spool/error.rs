//! What can go wrong with the spool, by who should act: the operator (`OpenError`), the agent, later (`AppendError::Full`),
//! or whoever keeps the disk (`StoreError`).

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
    #[error("cannot open the spool's store: check the disk under it")]
    Engine(#[from] rusqlite::Error),
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
    #[error("the spool is closed")]
    Closed,
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Engine(Arc::new(error))
    }
}
