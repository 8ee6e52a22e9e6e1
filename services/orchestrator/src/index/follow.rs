//! Drawing the index from the log, beside the fold.

use super::draw::{self, Entry};
use super::store::{Progress, Store, set_aside};
use super::{IndexError, Standing};
use muster_bus::read::{ReadError, Reader, Start};
use muster_bus::{Bus, Stored, StreamState};
use muster_runtime::drain::Drain;
use muster_runtime::health::Condition;
use muster_telemetry::Metrics;
use muster_telemetry::metrics::{Counter, Gauge};
use muster_wire::{topology, words};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout_at};

/// Events drawn in one transaction: a commit costs more than an event, and memory holds this many with their words.
const TOGETHER: usize = 256;
/// How long the first of them waits for others: nobody looks for what was said this moment.
const LINGER: Duration = Duration::from_millis(50);
/// How often what the log no longer has is removed.
const FORGET_EVERY: Duration = Duration::from_secs(60);
/// How many times as long as a write took it rests, once the index is whole, so that it has a tenth of a core at most: what a
/// fleet says beyond about 1500 things a second is found later, and its requests are answered as fast as without an index.
const REST: u32 = 9;
/// Between two attempts at something that failed.
const RETRY: Duration = Duration::from_secs(2);

/// The end that draws.
pub(crate) struct Drawer {
    dir: Arc<Path>,
    standing: watch::Sender<Standing>,
    damaged: Arc<Notify>,
    drain: Drain,
}

/// Why drawing cannot go on as it is.
#[derive(Debug, thiserror::Error)]
enum Stop {
    #[error(transparent)]
    Index(#[from] IndexError),
    #[error("the log cannot be read: {0}")]
    Log(#[from] ReadError),
    #[error("the index was found to be damaged")]
    Damaged,
    #[error("writing the index panicked")]
    Panicked(#[from] tokio::task::JoinError),
}

impl Stop {
    fn is_damage(&self) -> bool {
        match self {
            Self::Damaged => true,
            Self::Index(error) => error.is_damage(),
            Self::Log(_) | Self::Panicked(_) => false,
        }
    }
}

struct Meters {
    drawn: Counter,
    behind: Gauge,
}

impl Drawer {
    pub(super) fn new(dir: &Path, standing: watch::Sender<Standing>, damaged: Arc<Notify>, drain: &Drain) -> Self {
        Self {
            dir: dir.into(),
            standing,
            damaged,
            drain: drain.clone(),
        }
    }

    /// Draws until the service drains. What goes wrong is told by the condition and to whoever asks, and tried again.
    pub(crate) async fn run(self, bus: Bus, condition: Condition, metrics: Metrics) -> anyhow::Result<()> {
        let meters = Meters {
            drawn: metrics.counter(
                "muster_orchestrator_index_events_total",
                "Events drawn into the index",
                &[],
            ),
            behind: metrics.gauge(
                "muster_orchestrator_index_behind",
                "Events of the log not in the index yet",
                &[],
            ),
        };
        condition.set_ok();
        tokio::select! {
            () = self.drain.requested() => {}
            () = self.keep_drawing(&bus, &condition, &meters) => {}
        }
        Ok(())
    }

    async fn keep_drawing(&self, bus: &Bus, condition: &Condition, meters: &Meters) {
        let mut connection = bus.state();
        loop {
            // The sender lives as long as the client does.
            let _ = connection.wait_for(|state| state.connected).await;
            let Err(stop) = self.draw(bus, condition, meters).await;
            let text = stop.to_string();
            if stop.is_damage() {
                tracing::warn!(error = text, "the index is set aside and drawn anew");
                condition.set_degraded("the index is drawn anew; searches are refused until it is");
                self.standing.send_replace(Standing::Drawing { seq: 0, of: 0 });
                let dir = Arc::clone(&self.dir);
                match self.drain.tracker().spawn_blocking(move || set_aside(&dir)).await {
                    Ok(Ok(())) => continue,
                    Ok(Err(error)) => self.broken(condition, error.to_string()),
                    Err(error) => self.broken(condition, error.to_string()),
                }
            } else {
                tracing::warn!(error = text, "the index cannot be drawn");
                self.broken(condition, text);
            }
            tokio::time::sleep(RETRY).await;
        }
    }

    fn broken(&self, condition: &Condition, why: String) {
        condition.set_degraded(why.clone());
        self.standing.send_replace(Standing::Broken(why));
    }

    /// Goes on where the index ends, as long as that works.
    async fn draw(&self, bus: &Bus, condition: &Condition, meters: &Meters) -> Result<std::convert::Infallible, Stop> {
        let log = bus.stream_state(topology::EVENTS).await?;
        let dir = Arc::clone(&self.dir);
        let opening = self.drain.tracker().spawn_blocking(move || Store::open(&dir, log));
        let (mut store, progress) = opening.await??;
        let (mut reader, log) = open(bus, progress, log).await?;
        let mut drawn = progress.seq;
        let mut forgetting = interval(FORGET_EVERY);
        forgetting.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let whole = drawn >= log.last_seq;
            let standing = if whole {
                Standing::Drawn
            } else {
                Standing::Drawing {
                    seq: drawn,
                    of: log.last_seq,
                }
            };
            if self.standing.send_if_modified(|before| {
                *before != standing && {
                    *before = standing;
                    true
                }
            }) && whole
            {
                condition.set_ok();
            }
            tokio::select! {
                stored = reader.next() => {
                    let entries = gather(&mut reader, stored?).await?;
                    let (seq, count) = (entries.seq, entries.events);
                    let began = Instant::now();
                    store = self.blocking(store, move |store| store.write(&entries.entries, seq)).await?;
                    if whole {
                        tokio::time::sleep(began.elapsed() * REST).await;
                    }
                    drawn = seq;
                    meters.drawn.add(count);
                    // Far below what a double cannot hold.
                    meters.behind.set(reader.pending().unwrap_or(0) as f64);
                }
                _ = forgetting.tick() => {
                    if let Ok(log) = bus.stream_state(topology::EVENTS).await {
                        store = self.blocking(store, move |store| {
                            while store.forget(log.first_seq)? {}
                            Ok(())
                        }).await?;
                    }
                }
                () = self.damaged.notified() => return Err(Stop::Damaged),
            }
        }
    }

    /// Has something done to the store where it may take its time.
    async fn blocking(
        &self,
        mut store: Store,
        work: impl FnOnce(&mut Store) -> rusqlite::Result<()> + Send + 'static,
    ) -> Result<Store, Stop> {
        let working = move || work(&mut store).map(|()| store);
        let done = self.drain.tracker().spawn_blocking(working).await?;
        Ok(done.map_err(IndexError::from)?)
    }
}

/// The log where the index ends; what the log no longer has is not missed.
async fn open(bus: &Bus, progress: Progress, log: StreamState) -> Result<(Reader, StreamState), ReadError> {
    let next = (progress.seq + 1).max(log.first_seq);
    let mut reader = bus
        .read(topology::EVENTS, &[], Start::Seq(next))
        .expect_created(progress.created);
    let log = reader.open().await?;
    Ok((reader, log))
}

/// Events that are drawn together.
struct Gathered {
    entries: Vec<Entry>,
    seq: u64,
    events: u64,
}

impl Gathered {
    fn take(&mut self, stored: &Stored) {
        self.seq = stored.seq;
        self.events += 1;
        // What cannot be read, the fold has said.
        let read = words::recorded(stored.seq, stored.at, stored.subject_text(), &stored.payload);
        self.entries
            .extend(read.ok().and_then(|(recorded, words)| draw::entry(&recorded, words)));
    }
}

async fn gather(reader: &mut Reader, first: Stored) -> Result<Gathered, ReadError> {
    let until = Instant::now() + LINGER;
    let mut gathered = Gathered {
        entries: Vec::new(),
        seq: 0,
        events: 0,
    };
    gathered.take(&first);
    while gathered.events < TOGETHER as u64 {
        match timeout_at(until, reader.next()).await {
            Ok(stored) => gathered.take(&stored?),
            Err(_) => break,
        }
    }
    Ok(gathered)
}
