//! Watches the processes that a run launched: who begins and ends, what they run, open and connect to.
//!
//! It looks at them in samples, beside the run and never in its way: a thread reads (`proc`), a pure function says what
//! happened since the last look (`tree`), and what finds no room on its way to ingest is counted and dropped. What is over
//! between two looks is not seen, which is the price of asking the kernel for no rights.

#[cfg(target_os = "linux")]
mod files;
#[cfg(target_os = "linux")]
mod proc;
#[cfg_attr(not(target_os = "linux"), path = "watching/absent.rs")]
mod sampler;
#[cfg(target_os = "linux")]
mod snapshot;
#[cfg(target_os = "linux")]
mod sockets;
#[cfg(target_os = "linux")]
mod teller;
#[cfg(target_os = "linux")]
mod tree;

use super::process::Started;
use muster_domain::family::EventType;
use muster_domain::names::RunId;
use muster_domain::time::Timestamp;
use muster_wire::RawData;
use muster_wire::data::watch::{Categories, Watched};
use std::time::Duration;
use tokio::sync::mpsc::Receiver;
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// How long the last look may take. Nothing waits for a system that hangs.
const LAST_LOOK: Duration = Duration::from_secs(1);

pub(super) use sampler::is_there;

/// Something that was seen.
#[derive(Debug)]
pub(super) struct Observed {
    pub(super) event_type: EventType,
    pub(super) time: Timestamp,
    pub(super) data: RawData,
}

/// The watch over a run; nothing where nothing is watched.
pub(super) struct Watch(Option<Running>);

/// Ends when it is dropped.
struct Running {
    observed: Receiver<Observed>,
    stop: std::sync::mpsc::Sender<()>,
    sampler: JoinHandle<Watched>,
}

impl Watch {
    /// Watches the run of a process that was started just now.
    pub(super) fn start(categories: &Categories, run: &RunId, started: &Started) -> Self {
        let wanted = !categories.is_empty() && started.start_ticks > 0;
        Self(wanted.then(|| sampler::start(categories, run, started)).flatten())
    }

    /// What was seen next; nothing ever comes where nothing is watched.
    pub(super) async fn next(&mut self) -> Observed {
        if let Some(running) = &mut self.0
            && let Some(observed) = running.observed.recv().await
        {
            return observed;
        }
        std::future::pending().await
    }

    /// Looks for the last time. What was seen and not told yet, and what was watched in all.
    pub(super) async fn finish(&mut self) -> (Vec<Observed>, Option<Watched>) {
        let Some(Running {
            mut observed,
            stop,
            sampler,
        }) = self.0.take()
        else {
            return (Vec::new(), None);
        };
        drop(stop);
        let watched = timeout(LAST_LOOK, sampler).await.ok().and_then(Result::ok);
        let rest = std::iter::from_fn(|| observed.try_recv().ok()).collect();
        (rest, watched)
    }
}
