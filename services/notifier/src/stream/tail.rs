//! The live end of the log: read once, for every client.
//!
//! A client that keeps up takes its frames from here and costs the hub nothing. Nobody waits for a client that does not:
//! the ring has a fixed size, and whoever falls behind reads what is missing from the log ([`super::client`]). An
//! incarnation of the log is one [`Epoch`]; when the log is created anew there is a new one, and clients notice.

use super::frame::{Frame, Place};
use muster_bus::read::{ReadError, Start};
use muster_bus::{Bus, StreamState};
use muster_domain::time::Timestamp;
use muster_runtime::drain::Drain;
use muster_runtime::health::Condition;
use muster_telemetry::metrics::Counter;
use muster_wire::topology::EVENTS;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::{broadcast, watch};

/// Between attempts to find the log while the hub answers but has none: long against a restart of a replica, short against
/// `muster migrate`.
const RETRY_AFTER: Duration = Duration::from_millis(500);

/// One incarnation of the log, as long as it is the present one.
#[derive(Debug)]
pub(crate) struct Epoch {
    /// When the log was created.
    pub(crate) created: Timestamp,
    live: broadcast::Sender<Arc<Frame>>,
    /// The sequence the next frame has at least.
    next: AtomicU64,
}

/// The present epoch; `None` until the log was found.
pub(crate) type Epochs = watch::Receiver<Option<Arc<Epoch>>>;

impl Epoch {
    fn new(state: StreamState, ring: usize) -> Self {
        Self {
            created: state.created,
            live: broadcast::Sender::new(ring),
            next: AtomicU64::new(state.last_seq + 1),
        }
    }

    /// The first part of every event id.
    pub(crate) const fn incarnation(&self) -> i64 {
        self.created.as_millis().div_euclid(1000)
    }

    /// A place in this log.
    pub(crate) const fn place(&self, seq: u64) -> Place {
        Place {
            incarnation: self.incarnation(),
            seq,
        }
    }

    /// The sequence the next frame has at least.
    pub(crate) fn next(&self) -> u64 {
        self.next.load(Ordering::Acquire)
    }

    /// Every frame from the given sequence on; what is older is in the log.
    pub(crate) fn join(&self) -> (broadcast::Receiver<Arc<Frame>>, u64) {
        // In this order: what is counted before the count is read but sent after the subscription comes twice, and
        // clients compare sequences; the other way round it could be missed.
        let live = self.live.subscribe();
        (live, self.next())
    }

    fn send(&self, frame: Frame) {
        self.next.store(frame.seq + 1, Ordering::Release);
        // Without clients there is nobody to tell.
        let _ = self.live.send(Arc::new(frame));
    }
}

/// Reads the end of the log for as long as the service runs.
pub(crate) struct Tail {
    pub(crate) bus: Bus,
    /// Frames that the ring holds.
    pub(crate) ring: usize,
    pub(crate) epochs: watch::Sender<Option<Arc<Epoch>>>,
    pub(crate) condition: Condition,
    pub(crate) frames: Counter,
}

impl Tail {
    pub(crate) async fn run(self, drain: Drain) -> anyhow::Result<()> {
        tokio::select! {
            () = drain.requested() => {}
            () = self.follow() => {}
        }
        Ok(())
    }

    async fn follow(&self) {
        let mut said = String::new();
        loop {
            let error = self.one_incarnation().await.to_string();
            if error != said {
                tracing::warn!(%error, "the log's end is looked for again");
            }
            self.condition.set_failed(&*error);
            said = error;
            tokio::time::sleep(RETRY_AFTER).await;
        }
    }

    async fn one_incarnation(&self) -> ReadError {
        let mut reader = self.bus.read(EVENTS, &[], Start::New);
        let state = match reader.open().await {
            Ok(state) => state,
            Err(error) => return error,
        };
        let epoch = self.epoch(state);
        self.condition.set_ok();
        loop {
            match reader.next().await {
                Ok(stored) => {
                    epoch.send(Frame::new(epoch.incarnation(), &stored));
                    self.frames.add(1);
                }
                Err(error) => return error,
            }
        }
    }

    /// The epoch of what was found. The same log that goes on stays the same epoch: clients see by the next frame's
    /// sequence what they have to read themselves.
    fn epoch(&self, found: StreamState) -> Arc<Epoch> {
        let before = self.epochs.borrow().clone();
        let goes_on = |epoch: &Arc<Epoch>| epoch.created == found.created && epoch.next() <= found.last_seq + 1;
        before.filter(goes_on).unwrap_or_else(|| {
            let epoch = Arc::new(Epoch::new(found, self.ring));
            self.epochs.send_replace(Some(Arc::clone(&epoch)));
            epoch
        })
    }
}
