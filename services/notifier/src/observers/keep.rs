//! Keeping: numbers are written down now and then, not with each event; claims are renewed, and taken for lapsed.

use super::book::{Book, BookError};
use super::observed::Observed;
use futures_util::StreamExt as _;
use futures_util::stream;
use muster_bus::Bus;
use muster_runtime::drain::Drain;
use muster_telemetry::metrics::Gauge;
use muster_wire::topology::EVENTS;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, MissedTickBehavior, interval};

/// A claim is renewed so many times before it would lapse.
const RENEWALS: u32 = 3;
/// Between writes of an observer that nobody is attached to: a restart counts again what came since.
const IDLE_EVERY: Duration = Duration::from_secs(30);
/// Between looks where the log begins now.
const AGED_EVERY: Duration = Duration::from_secs(10);
/// Writes on their way at a time.
const WRITES: usize = 16;

/// Writes down for as long as the service runs.
pub(crate) struct Keep {
    pub(crate) book: Arc<Book>,
    pub(crate) bus: Bus,
    pub(crate) observers: Gauge,
}

impl Keep {
    pub(crate) async fn run(self, drain: Drain) -> anyhow::Result<()> {
        let mut ticks = interval(self.book.settings.save_every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut aged = Instant::now();
        loop {
            tokio::select! {
                () = drain.requested() => return Ok(()),
                _ = ticks.tick() => {}
            }
            let all = self.book.all();
            self.observers.set(all.len() as f64);
            if aged.elapsed() >= AGED_EVERY && !all.is_empty() {
                aged = Instant::now();
                self.age(&all).await;
            }
            self.lapse(&all);
            self.save(all).await;
        }
    }

    /// What the log no longer holds will not be delivered, whether or not somebody reads.
    async fn age(&self, all: &[Arc<Observed>]) {
        let Ok(log) = self.bus.stream_state(EVENTS).await else {
            return;
        };
        for observed in all.iter().filter(|observed| observed.log() == log.created) {
            observed.discard(log.first_seq);
        }
    }

    fn lapse(&self, all: &[Arc<Observed>]) {
        let lapses = self.book.settings.attachment_lapses;
        let lapsed = all.iter().filter(|observed| observed.lapse(lapses)).count();
        if lapsed > 0 {
            self.book.recount.notify_one();
        }
    }

    async fn save(&self, all: Vec<Arc<Observed>>) {
        let alive = self.book.settings.attachment_lapses / RENEWALS;
        let due = all.into_iter().filter(|observed| observed.is_due(alive, IDLE_EVERY));
        let writes = stream::iter(due).map(async |observed| match self.book.save(&observed).await {
            Ok(()) | Err(BookError::Unknown(_)) => {}
            Err(error) => tracing::debug!(observer = %observed.id, %error, "an observer's numbers are written later"),
        });
        writes.buffer_unordered(WRITES).collect::<()>().await;
    }
}
