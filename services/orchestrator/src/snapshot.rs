//! Snapshots: what makes a restart short, and a rebuild possible after old history has aged out of the log.
//!
//! A snapshot names the stream it was folded from (by its creation time) and the last sequence it covers. It is loaded
//! only if the stream is that one and still holds everything after it; anything else is refolded and said aloud, because a
//! stream that lost its tail is how a hub without `sync_interval: always` shows that it lost acknowledged events.
//!
//! On disk the newest one is kept; the hub keeps copies of some.

mod copies;
mod keeper;

pub(crate) use keeper::Keeper;

use anyhow::Context as _;
use copies::Copies;
use muster_bus::{Bus, StreamState};
use muster_domain::fleet::{Fleet, Settings};
use muster_wire::{snapshot, topology};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The newest snapshot.
const NEWEST: &str = "fleet.snapshot";
/// The end of the names of files that are being written.
const UNFINISHED: &str = ".next";
/// Nobody writes for this long: an unfinished file of this age was left behind by a crash.
const UNFINISHED_AGE: Duration = Duration::from_secs(600);

/// Where snapshots are kept.
#[derive(Clone)]
pub(crate) struct Store {
    dir: PathBuf,
    copies: Copies,
}

impl Store {
    /// Makes the folder, and removes what a crash left unfinished in it.
    pub(crate) fn open(dir: PathBuf, bus: &Bus) -> anyhow::Result<Self> {
        std::fs::create_dir_all(&dir).with_context(|| format!("making the state folder {}", dir.display()))?;
        for entry in std::fs::read_dir(&dir)?.flatten() {
            let path = entry.path();
            let age = entry.metadata().and_then(|meta| meta.modified()).ok();
            let old = age
                .and_then(|at| at.elapsed().ok())
                .is_some_and(|age| age > UNFINISHED_AGE);
            if old && path.as_os_str().as_encoded_bytes().ends_with(UNFINISHED.as_bytes()) {
                std::fs::remove_file(&path).with_context(|| format!("removing {}", path.display()))?;
            }
        }
        let copies = Copies::new(bus);
        Ok(Self { dir, copies })
    }

    /// The newest state that the log can go on from: the disk's, else the hub's, else nothing folded yet.
    pub(crate) async fn restore(&self, bus: &Bus, settings: &Settings) -> anyhow::Result<(Fleet, StreamState)> {
        let stream = bus.stream_state(topology::EVENTS).await.context("looking at the log")?;
        if let Some(bytes) = on_disk(&self.dir)
            && let Some(fleet) = fitting(&bytes, &stream, settings, "the state folder")
        {
            return Ok((fleet, stream));
        }
        for name in self.copies.newest_first(&stream).await? {
            if let Some(fleet) = self
                .copies
                .get(&name)
                .await?
                .and_then(|bytes| fitting(&bytes, &stream, settings, "the hub"))
            {
                return Ok((fleet, stream));
            }
        }
        if stream.first_seq > 1 {
            tracing::warn!(
                first_seq = stream.first_seq,
                "folding from the log's oldest event; what aged out is not in the state"
            );
        }
        Ok((Fleet::new(settings.clone()), stream))
    }
}

/// Writes the newest snapshot, whole or not at all, whoever else is writing one.
fn write(dir: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let mut next = tempfile::Builder::new().suffix(UNFINISHED).tempfile_in(dir)?;
    next.write_all(bytes)?;
    next.as_file().sync_all()?;
    next.persist(dir.join(NEWEST))?;
    // The new name is on disk only when the folder is.
    std::fs::File::open(dir)?.sync_all()?;
    Ok(())
}

fn on_disk(dir: &Path) -> Option<Vec<u8>> {
    let file = dir.join(NEWEST);
    match std::fs::read(&file) {
        Ok(bytes) => Some(bytes),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(file = %file.display(), error, "a snapshot cannot be read and is passed over");
            None
        }
    }
}

/// The state of a snapshot, if the log goes on from it.
fn fitting(bytes: &[u8], stream: &StreamState, settings: &Settings, place: &str) -> Option<Fleet> {
    let (header, fleet) = match snapshot::decode(bytes) {
        Ok(decoded) => decoded,
        Err(error) => {
            tracing::warn!(
                place,
                error = &error as &dyn std::error::Error,
                "a snapshot cannot be read and is passed over"
            );
            return None;
        }
    };
    let unfit = if header.stream_created != stream.created {
        "the log was created anew since"
    } else if header.last_seq > stream.last_seq {
        "the log ends before it: the hub lost acknowledged events"
    } else if header.last_seq + 1 < stream.first_seq {
        "the log begins after it: events between them have aged out"
    } else if fleet.settings() != settings {
        "it was folded under other settings"
    } else {
        tracing::info!(place, seq = header.last_seq, "restored a snapshot");
        return Some(fleet);
    };
    tracing::error!(
        place,
        snapshot_seq = header.last_seq,
        first_seq = stream.first_seq,
        last_seq = stream.last_seq,
        "a snapshot does not fit: {unfit}"
    );
    None
}

#[cfg(test)]
mod tests;
