//! The rules on disk: written whole or not at all, for this user alone.

use anyhow::Context as _;
use muster_domain::time::Timestamp;
use muster_wire::{RawData, time};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

/// What is on disk.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Cache {
    /// When the hub was last heard.
    #[serde(with = "time::optional")]
    pub(super) saved_at: Option<Timestamp>,
    /// By key of the bucket.
    pub(super) documents: BTreeMap<String, Kept>,
}

/// A document as the hub gave it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Kept {
    /// Its revision in the bucket.
    pub(super) revision: u64,
    pub(super) document: RawData,
}

/// What is on disk; nothing where nothing was ever kept.
///
/// # Errors
/// When something is there and cannot be read: rules were in force, and nobody can say which.
pub(super) fn load(file: &Path) -> anyhow::Result<Cache> {
    match std::fs::read(file) {
        Ok(bytes) => serde_json::from_slice(&bytes).with_context(|| format!("reading {}", file.display())),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Cache::default()),
        Err(error) => Err(error).with_context(|| format!("reading {}", file.display())),
    }
}

/// Replaces what is on disk.
pub(super) fn save(file: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let next = file.with_extension("next");
    // Left by a crash, with whatever rights it had.
    if let Err(error) = std::fs::remove_file(&next)
        && error.kind() != ErrorKind::NotFound
    {
        return Err(error).with_context(|| format!("removing {}", next.display()));
    }
    let mut out = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&next)
        .with_context(|| format!("writing {}", next.display()))?;
    out.write_all(bytes)?;
    out.sync_all()?;
    std::fs::rename(&next, file).with_context(|| format!("writing {}", file.display()))?;
    if let Some(dir) = file.parent() {
        // The new name is on disk only when the folder is.
        File::open(dir)?.sync_all()?;
    }
    Ok(())
}
