//! Copies in the hub's object store: for a machine that has none, and for a rebuild from further back.

use bytes::Bytes;
use muster_bus::objects::{ObjectError, Objects};
use muster_bus::{Bus, StreamState};
use muster_domain::time::Timestamp;
use muster_wire::topology;

/// Newest copies that are kept: some to choose from if one is bad.
const NEWEST_KEPT: usize = 3;

/// The copies.
#[derive(Clone)]
pub(super) struct Copies(Objects);

impl Copies {
    pub(super) fn new(bus: &Bus) -> Self {
        Self(bus.objects(&topology::SNAPSHOTS))
    }

    /// Names of the copies of this stream.
    pub(super) async fn newest_first(&self, stream: &StreamState) -> Result<Vec<String>, ObjectError> {
        let covered = self.covered(stream.created).await?;
        Ok(covered
            .into_iter()
            .rev()
            .map(|last_seq| name(stream.created, last_seq))
            .collect())
    }

    /// A copy, if it is there and whole.
    pub(super) async fn get(&self, name: &str) -> Result<Option<Bytes>, ObjectError> {
        match self.0.get(name).await {
            Err(error @ ObjectError::Damaged { .. }) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "a snapshot is passed over");
                Ok(None)
            }
            other => other,
        }
    }

    /// Adds a copy, and removes those that serve nothing any more.
    pub(super) async fn put(&self, stream: &StreamState, last_seq: u64, bytes: Bytes) -> Result<(), ObjectError> {
        self.0.put(&name(stream.created, last_seq), bytes).await?;
        let covered = self.covered(stream.created).await?;
        for last_seq in superfluous(&covered, stream.first_seq) {
            self.0.delete(&name(stream.created, last_seq)).await?;
        }
        Ok(())
    }

    /// Removes the copies of streams that are no more: nothing goes on from them.
    pub(super) async fn remove_others(&self, bus: &Bus) -> anyhow::Result<()> {
        let objects = self.0.list().await?;
        // Asked after the list was read: what was listed of another stream is of one that this one has replaced.
        let stream = bus.stream_state(topology::EVENTS).await?;
        for object in objects {
            if created_of(&object.name).is_some_and(|created| created != stream.created) {
                self.0.delete(&object.name).await?;
                tracing::info!(name = object.name, "removed a snapshot of a log that is no more");
            }
        }
        Ok(())
    }

    /// The last sequences that the copies of this stream cover, in order.
    async fn covered(&self, created: Timestamp) -> Result<Vec<u64>, ObjectError> {
        let prefix = prefix(created);
        let objects = self.0.list().await?;
        let covered = objects
            .iter()
            .filter_map(|object| object.name.strip_prefix(&prefix)?.parse().ok());
        let mut covered: Vec<u64> = covered.collect();
        covered.sort_unstable();
        Ok(covered)
    }
}

fn prefix(created: Timestamp) -> String {
    format!("fleet-{}-", created.as_millis())
}

/// The stream that a copy is of; `None` for what is no copy.
fn created_of(name: &str) -> Option<Timestamp> {
    let (created, last_seq) = name.strip_prefix("fleet-")?.split_once('-')?;
    last_seq.parse::<u64>().ok()?;
    created.parse().ok().map(Timestamp::from_millis)
}

fn name(created: Timestamp, last_seq: u64) -> String {
    format!("{}{last_seq:020}", prefix(created))
}

/// Which copies may go: all but the newest few, and the oldest one that the log still goes on from. That one allows the
/// longest rebuild, and it stands from when it was young until its successor event ages out.
fn superfluous(covered: &[u64], first_seq: u64) -> Vec<u64> {
    let newest = covered.len().saturating_sub(NEWEST_KEPT);
    let oldest = covered.iter().copied().find(|last_seq| last_seq + 1 >= first_seq);
    let candidates = covered.iter().copied().take(newest);
    candidates.filter(|last_seq| Some(*last_seq) != oldest).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_tells_which_stream_it_is_of() {
        let created = Timestamp::from_millis(1_790_000_000_123);
        assert_eq!(created_of(&name(created, 42)), Some(created));
        for other in [
            "fleet-x-00000000000000000042",
            "fleet-1790000000123",
            "fleet-1-x",
            "audit-1-2",
            "",
        ] {
            assert_eq!(created_of(other), None, "{other}");
        }
    }

    #[test]
    fn the_newest_copies_stay() {
        assert!(superfluous(&[10, 20, 30], 1).is_empty());
        assert!(superfluous(&[10, 20, 30], 100).is_empty());
    }

    #[test]
    fn the_oldest_copy_that_the_log_goes_on_from_stays() {
        let all = [10, 20, 30, 40, 50, 60, 70];
        assert_eq!(superfluous(&all, 1), [20, 30, 40]);
        assert_eq!(superfluous(&all, 21), [10, 30, 40]);
        assert_eq!(superfluous(&all, 22), [10, 20, 40]);
        assert_eq!(superfluous(&all, 65), [10, 20, 30, 40]);
    }
}
