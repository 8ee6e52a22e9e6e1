//! Snapshots: what makes a restart short, and a rebuild possible after old history has aged out of the log.
//!
//! A snapshot names the stream it was folded from (by its creation time) and the last sequence it covers. It is loaded
//! only if the stream is that one and still holds everything after it; anything else is refolded and said aloud, because a
//! stream that lost its tail is how a hub without `sync_interval: always` shows that it lost acknowledged events.
//!
//! On disk the newest one is kept. The hub's object store keeps copies, and among them always one that the log's first
//! event still joins on to.

use anyhow::Context as _;
use muster_bus::objects::Objects;
use muster_bus::{Bus, StreamState};
use muster_domain::fleet::{Fleet, Settings};
use muster_domain::time::Timestamp;
use muster_wire::snapshot;
use muster_wire::topology;
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// Copies kept in the hub besides the one the log's first event joins on to: some to choose from if the newest is bad.
const HUB_COPIES: usize = 3;

/// Where snapshots are kept.
pub(crate) struct Store {
    file: PathBuf,
    objects: Objects,
    /// The stream that is folded now.
    created: Timestamp,
}

impl Store {
    /// Makes the folder.
    pub(crate) fn open(dir: PathBuf, bus: &Bus) -> anyhow::Result<Self> {
        std::fs::create_dir_all(&dir).with_context(|| format!("making the state folder {}", dir.display()))?;
        let objects = bus.objects(&topology::SNAPSHOTS);
        Ok(Self {
            file: dir.join("fleet.snapshot"),
            objects,
            created: Timestamp::default(),
        })
    }

    /// When the stream that is folded now was created.
    pub(crate) const fn created(&self) -> Timestamp {
        self.created
    }

    /// The newest state that the log can go on from: the disk's, else the hub's, else nothing folded yet.
    pub(crate) async fn restore(&mut self, bus: &Bus, settings: Settings) -> anyhow::Result<Fleet> {
        let stream = bus.stream_state(topology::EVENTS).await.context("looking at the log")?;
        self.created = stream.created;
        if let Some(fleet) = std::fs::read(&self.file)
            .ok()
            .and_then(|bytes| fitting(&bytes, &stream, &settings, "the state folder"))
        {
            return Ok(fleet);
        }
        for name in self.hub_copies(&stream).await.into_iter().rev() {
            let bytes = self.objects.get(&name).await.ok().flatten();
            if let Some(fleet) = bytes.and_then(|bytes| fitting(&bytes, &stream, &settings, "the hub")) {
                return Ok(fleet);
            }
        }
        if stream.first_seq > 1 {
            tracing::warn!(
                first_seq = stream.first_seq,
                "folding from the log's oldest event; what aged out is not in the state"
            );
        }
        Ok(Fleet::new(settings))
    }

    /// The state as bytes, with what it was folded from.
    pub(crate) fn encode(&self, fleet: &Fleet) -> anyhow::Result<Vec<u8>> {
        Ok(snapshot::encode(fleet, topology::EVENTS, self.created)?)
    }

    /// Writes the newest snapshot, whole or not at all.
    pub(crate) fn write(file: &Path, bytes: &[u8]) -> std::io::Result<()> {
        let next = file.with_extension("next");
        let mut out = std::fs::File::create(&next)?;
        out.write_all(bytes)?;
        out.sync_all()?;
        std::fs::rename(&next, file)?;
        // The rename is on disk only when the folder is.
        file.parent().map_or(Ok(()), |dir| std::fs::File::open(dir)?.sync_all())
    }

    /// The file the newest one goes to.
    pub(crate) fn file(&self) -> PathBuf {
        self.file.clone()
    }

    /// The hub's object store.
    pub(crate) fn objects(&self) -> Objects {
        self.objects.clone()
    }

    /// Copies of this stream in the hub, oldest first.
    async fn hub_copies(&self, stream: &StreamState) -> Vec<String> {
        copies(&self.objects, stream.created)
            .await
            .into_iter()
            .map(|(_, name)| name)
            .collect()
    }
}

/// Puts a copy into the hub, and removes copies that serve nothing any more.
pub(crate) async fn copy_to_hub(
    objects: Objects,
    stream: StreamState,
    last_seq: u64,
    bytes: Vec<u8>,
) -> anyhow::Result<()> {
    objects.put(&name(stream.created, last_seq), bytes.into()).await?;
    let copies = copies(&objects, stream.created).await;
    for name in superfluous(&copies, stream.first_seq) {
        objects.delete(name).await?;
    }
    Ok(())
}

fn name(created: Timestamp, last_seq: u64) -> String {
    format!("fleet-{}-{last_seq:020}", created.as_millis())
}

async fn copies(objects: &Objects, created: Timestamp) -> Vec<(u64, String)> {
    let prefix = format!("fleet-{}-", created.as_millis());
    let listed = objects.list().await.unwrap_or_default();
    let mut copies: Vec<(u64, String)> = listed
        .into_iter()
        .filter_map(|object| Some((object.name.strip_prefix(&prefix)?.parse().ok()?, object.name)))
        .collect();
    copies.sort();
    copies
}

/// Which copies may go: all but the newest few and the newest one that does not reach beyond the log's first event.
fn superfluous(copies: &[(u64, String)], first_seq: u64) -> Vec<&str> {
    let newest = copies.len().saturating_sub(HUB_COPIES);
    let joining = copies
        .iter()
        .rposition(|(last_seq, _)| *last_seq < first_seq.max(1) + 1);
    let joining = joining.or_else(|| copies.first().map(|_| 0));
    let keep = |index: usize| index >= newest || Some(index) == joining || joining.is_some_and(|at| index == at + 1);
    copies
        .iter()
        .enumerate()
        .filter(|(index, _)| !keep(*index))
        .map(|(_, (_, name))| name.as_str())
        .collect()
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
mod tests {
    use super::*;

    fn copies(seqs: &[u64]) -> Vec<(u64, String)> {
        seqs.iter().map(|seq| (*seq, seq.to_string())).collect()
    }

    #[test]
    fn the_newest_copies_stay() {
        assert!(superfluous(&copies(&[10, 20, 30]), 1).is_empty());
    }

    #[test]
    fn the_copy_that_the_first_event_joins_on_to_stays() {
        let all = copies(&[10, 20, 30, 40, 50, 60, 70]);
        assert_eq!(superfluous(&all, 35), ["10", "20"]);
        assert_eq!(superfluous(&all, 65), ["10", "20", "30", "40"]);
    }

    #[test]
    fn a_snapshot_is_written_whole() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("fleet.snapshot");
        Store::write(&file, b"one").unwrap();
        Store::write(&file, b"two").unwrap();
        assert_eq!(std::fs::read(&file).unwrap(), b"two");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
