//! When a snapshot is due, and having it written without stopping the loop.

use super::{Store, write};
use crate::config;
use anyhow::Context as _;
use bytes::Bytes;
use muster_bus::{Bus, StreamState};
use muster_domain::fleet::Fleet;
use muster_domain::time::Timestamp;
use muster_runtime::drain::Drain;
use muster_runtime::health::Condition;
use muster_wire::{snapshot, topology};
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// Encoding takes the loop at most one part in this many of its time, however large the state is: requests wait meanwhile,
/// and fewer than one in a hundred shall notice.
const SHARE_OF_TIME: u32 = 200;

/// Keeps snapshots coming.
pub(crate) struct Keeper {
    store: Store,
    bus: Bus,
    drain: Drain,
    settings: config::State,
    condition: Condition,
    /// What the last one covers, when it was made, and how long encoding it took.
    covered: u64,
    made: Instant,
    took: Duration,
    copied: Option<Instant>,
    writing: Option<JoinHandle<()>>,
}

impl Keeper {
    pub(crate) fn new(store: Store, bus: Bus, drain: Drain, settings: config::State, condition: Condition) -> Self {
        condition.set_ok();
        Self {
            store,
            bus,
            drain,
            settings,
            condition,
            covered: 0,
            made: Instant::now(),
            took: Duration::ZERO,
            copied: None,
            writing: None,
        }
    }

    /// The loop goes on from this state.
    pub(crate) fn restored(&mut self, fleet: &Fleet) {
        self.covered = fleet.watermark();
        self.made = Instant::now();
    }

    /// Makes a snapshot if one is due. It is encoded here, where the state is at rest, and written elsewhere, one at a time.
    pub(crate) fn look(&mut self, fleet: &Fleet, stream: &StreamState, leading: bool) {
        let busy = self.writing.as_ref().is_some_and(|writing| !writing.is_finished());
        if busy || !self.is_due(fleet) {
            return;
        }
        let begun = Instant::now();
        let bytes = match snapshot::encode(fleet, topology::EVENTS, stream.created) {
            Ok(bytes) => Bytes::from(bytes),
            Err(error) => {
                self.condition
                    .set_degraded(format!("no snapshot can be made, and the log ages: {error}"));
                // Trying costs as much as succeeding, and is paced the same.
                (self.made, self.took) = (Instant::now(), begun.elapsed());
                let error = &error as &dyn std::error::Error;
                return tracing::error!(error, "the state cannot be encoded");
            }
        };
        self.took = begun.elapsed();
        self.made = Instant::now();
        self.covered = fleet.watermark();
        let copying = leading
            && self
                .copied
                .is_none_or(|at| at.elapsed() >= self.settings.hub_copy_every.get());
        if copying {
            self.copied = Some(Instant::now());
            self.copy(stream.created, fleet.watermark(), bytes.clone());
        }
        let (dir, condition) = (self.store.dir.clone(), self.condition.clone());
        self.writing = Some(tokio::task::spawn_blocking(move || match write(&dir, &bytes) {
            Ok(()) => condition.set_ok(),
            Err(error) => {
                let error = format!("{error:#}");
                condition.set_degraded(format!("a snapshot was not written: {error}"));
                tracing::warn!(error, "a snapshot was not written; the next one may be");
            }
        }));
    }

    fn is_due(&self, fleet: &Fleet) -> bool {
        let folded = fleet.watermark().saturating_sub(self.covered);
        let age = self.made.elapsed();
        let wanted = folded >= self.settings.snapshot_events || age >= self.settings.snapshot_every.get();
        folded > 0 && wanted && age >= self.took * SHARE_OF_TIME
    }

    fn copy(&self, created: Timestamp, last_seq: u64, bytes: Bytes) {
        let (copies, bus, drain) = (self.store.copies.clone(), self.bus.clone(), self.drain.clone());
        self.drain.tracker().spawn(async move {
            let copy = async {
                let stream = bus.stream_state(topology::EVENTS).await?;
                if stream.created == created {
                    copies.put(&stream, last_seq, bytes).await?;
                    copies.remove_others(&bus).await?;
                }
                anyhow::Ok(())
            };
            let outcome = tokio::select! {
                outcome = copy => outcome,
                // Half a copy is no object.
                () = drain.requested() => return,
            };
            if let Err(error) = outcome {
                let error = format!("{error:#}");
                tracing::warn!(error, "the hub has no copy of this snapshot; it will of a later one");
            }
        });
    }

    /// Leaves the newest state behind.
    pub(crate) async fn finish(mut self, fleet: &Fleet, stream: &StreamState) -> anyhow::Result<()> {
        if let Some(writing) = self.writing.take() {
            writing.await?;
        }
        if fleet.watermark() == self.covered {
            return Ok(());
        }
        let bytes = snapshot::encode(fleet, topology::EVENTS, stream.created)?;
        let dir = self.store.dir.clone();
        let writing = tokio::task::spawn_blocking(move || write(&dir, &bytes));
        writing.await?.context("leaving a snapshot behind")
    }
}
