//! The one thread that writes: it numbers, commits, answers, and tidies up when nobody waits.
//!
//! While one commit is being synced, the next callers queue up and share the following one; nothing is delayed on purpose.
//! What can wait for a quiet moment is in `upkeep`.

mod upkeep;

use std::{
    collections::VecDeque,
    fs::File,
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use super::{
    AppendError, Encode, Lane, Options, Origin, Priority, StoreError,
    store::{PAGE_BYTES, Place, Record, Store},
};
use muster_domain::ids::ProducerId;
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::timeout,
};

/// Bounds what one commit holds in memory; at 512 B a record it is never what ends a batch.
const COMMIT_MAX_BYTES: u64 = 1 << 20;
/// Callers that share one sync at most; far more than wait at once, it bounds the answer to the first.
const COMMIT_MAX_APPENDS: usize = 256;
/// How soon an idle writer sees acks; also bounds how stale the watermark on disk is.
const TICK: Duration = Duration::from_millis(250);
/// Under steady load tidying gets every eighth turn, so that trimming keeps up with appending.
const TURNS_PER_UPKEEP: u32 = 8;
pub(super) enum Order {
    Append(Append),
    Work(Box<dyn FnOnce(&mut Writer) + Send>),
    Close(oneshot::Sender<()>),
}

pub(super) struct Append {
    pub(super) lane: Lane,
    pub(super) priority: Priority,
    pub(super) encode: Vec<Encode>,
    pub(super) reply: Reply,
}

type Reply = oneshot::Sender<Result<Vec<Origin>, AppendError>>;

/// What is durable, as everybody may see it.
#[derive(Debug, Clone, Copy)]
pub(super) struct View {
    pub(super) producer: ProducerId,
    lanes: [Span; 2],
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Span {
    pub(super) first: u64,
    pub(super) last: u64,
}

/// Numbers both sides touch without asking the thread.
#[derive(Default)]
pub(super) struct Shared {
    pub(super) acked: [AtomicU64; 2],
    pub(super) used_bytes: AtomicU64,
    pub(super) refused: AtomicU64,
    pub(super) raw_dropped: AtomicU64,
}

pub(super) struct Writer {
    store: Store,
    place: Arc<Place>,
    options: Options,
    shared: Arc<Shared>,
    view: watch::Sender<View>,
    /// Per lane, when which watermark was first seen: it may be trimmed `retain_after_ack` later.
    marks: [VecDeque<(u64, Instant)>; 2],
    saved_acked: [u64; 2],
    saved_at: Instant,
    /// Estimated growth of the write-ahead log since the last checkpoint.
    logged_bytes: u64,
    free_bytes: u64,
    /// So that a disk that stays broken is reported once, not every tick.
    upkeep_failed: bool,
}

impl View {
    pub(super) fn lane(&self, lane: Lane) -> Span {
        self.lanes[lane.index()]
    }
}

impl Writer {
    pub(super) fn new(store: Store, options: Options, place: Place) -> rusqlite::Result<(Self, watch::Receiver<View>)> {
        let shared = Arc::new(Shared::default());
        let mut saved_acked = [0; 2];
        let mut lanes = [Span { first: 1, last: 0 }; 2];
        for lane in Lane::ALL {
            let position = store.position(lane)?;
            lanes[lane.index()] = Span {
                first: position.first,
                last: position.last,
            };
            saved_acked[lane.index()] = position.acked;
            shared.acked[lane.index()].store(position.acked, Ordering::Release);
        }
        let (view, seen) = watch::channel(View {
            producer: store.producer()?,
            lanes,
        });
        let mut writer = Self {
            store,
            place: Arc::new(place),
            options,
            shared,
            view,
            marks: [VecDeque::new(), VecDeque::new()],
            saved_acked,
            saved_at: Instant::now(),
            logged_bytes: 0,
            free_bytes: 0,
            upkeep_failed: false,
        };
        writer.measure(0)?;
        Ok((writer, seen))
    }

    pub(super) fn shared(&self) -> Arc<Shared> {
        Arc::clone(&self.shared)
    }

    pub(super) fn place(&self) -> Arc<Place> {
        Arc::clone(&self.place)
    }

    /// Runs until closed or until every handle is gone; `held` is let go of last.
    pub(super) fn start(mut self, mut queue: mpsc::Receiver<Order>, held: File) -> io::Result<()> {
        // A timer for the idle tick is all this needs of a runtime; the service's own may end before the spool does.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
        let run = move || {
            let closed = runtime.block_on(self.run(&mut queue));
            drop(queue);
            if let Err(error) = self.store.save_watermarks(self.acked()) {
                tracing::warn!(%error, "could not save the acked watermarks; the hub will be offered records it has");
            }
            drop(self);
            drop(held);
            if let Some(closed) = closed {
                // Whoever closed may not wait for the answer.
                let _ = closed.send(());
            }
        };
        thread::Builder::new().name("spool".to_owned()).spawn(run)?;
        Ok(())
    }

    async fn run(&mut self, queue: &mut mpsc::Receiver<Order>) -> Option<oneshot::Sender<()>> {
        let mut turns = 0;
        let mut more_upkeep = false;
        loop {
            let wait = if more_upkeep { Duration::ZERO } else { TICK };
            let mut next = match timeout(wait, queue.recv()).await {
                Ok(None) => return None,
                Ok(Some(order)) => Some(order),
                Err(_) => None,
            };
            while let Some(order) = next.take() {
                match order {
                    Order::Append(append) => next = self.commit(append, queue),
                    Order::Work(work) => work(self),
                    Order::Close(closed) => return Some(closed),
                }
            }
            turns += 1;
            if queue.is_empty() || turns >= TURNS_PER_UPKEEP {
                turns = 0;
                more_upkeep = self.upkeep();
            }
        }
    }

    /// Commits `append` and what waits behind it, then answers. Returns the order that ended the batch.
    fn commit(&mut self, append: Append, queue: &mut mpsc::Receiver<Order>) -> Option<Order> {
        let View { producer, mut lanes } = *self.view.borrow();
        let mut records = Vec::new();
        let mut size_bytes = 0;
        let mut waiting: Vec<(Reply, Vec<Origin>)> = Vec::new();
        let mut next = Some(Order::Append(append));
        let mut interrupted = None;
        while let Some(order) = next.take() {
            let Append {
                lane,
                priority,
                encode,
                reply,
            } = match order {
                Order::Append(append) => append,
                other @ (Order::Work(_) | Order::Close(_)) => {
                    interrupted = Some(other);
                    break;
                }
            };
            let start = records.len();
            let mut origins = Vec::with_capacity(encode.len());
            let mut added_bytes = 0;
            for (encode, seq) in encode.into_iter().zip(lanes[lane.index()].last + 1..) {
                let origin = Origin { producer, seq };
                let bytes = encode(origin);
                added_bytes += bytes.len() as u64;
                origins.push(origin);
                records.push(Record { lane, seq, bytes });
            }
            match self.admit(priority, size_bytes + added_bytes) {
                Ok(()) => {
                    size_bytes += added_bytes;
                    lanes[lane.index()].last += origins.len() as u64;
                    waiting.push((reply, origins));
                }
                Err(full) => {
                    records.truncate(start);
                    self.shared.refused.fetch_add(origins.len() as u64, Ordering::Relaxed);
                    // A caller that went away needs no refusal.
                    let _ = reply.send(Err(full));
                }
            }
            if size_bytes < COMMIT_MAX_BYTES && waiting.len() < COMMIT_MAX_APPENDS {
                next = queue.try_recv().ok();
            }
        }
        let stored = if records.is_empty() {
            Ok(())
        } else if self.place.is_kept() {
            self.store.insert(&records).map_err(StoreError::from)
        } else {
            Err(StoreError::Displaced)
        };
        if let Err(error) = &stored {
            tracing::error!(%error, records = records.len(), "the spool could not store; its callers were told");
            // A log that starts over may be all the room a full disk has left.
            self.logged_bytes = upkeep::CHECKPOINT_BYTES;
        } else if !records.is_empty() {
            self.view.send_modify(|view| view.lanes = lanes);
        }
        for (reply, origins) in waiting {
            // A caller that went away finds its record on the hub all the same.
            let _ = reply.send(stored.clone().map(|()| origins).map_err(AppendError::from));
        }
        if stored.is_ok()
            && let Err(error) = self.measure(size_bytes)
        {
            tracing::warn!(%error, "could not measure the spool; its fill level is stale");
        }
        interrupted
    }

    fn admit(&self, priority: Priority, added_bytes: u64) -> Result<(), AppendError> {
        let limit_bytes = match priority {
            Priority::Low => self.options.max_bytes - self.options.reserve_bytes,
            Priority::High => self.options.max_bytes,
        };
        let used_bytes = self.shared.used_bytes.load(Ordering::Relaxed) + added_bytes;
        if used_bytes > limit_bytes {
            return Err(AppendError::Full {
                used_bytes,
                limit_bytes,
            });
        }
        Ok(())
    }

    /// Reads how full the store is, and adds what a transaction of `size_bytes` wrote to the log.
    fn measure(&mut self, size_bytes: u64) -> rusqlite::Result<()> {
        // A commit rewrites the last leaf of each lane beside the pages it fills.
        self.logged_bytes += size_bytes + 2 * PAGE_BYTES;
        let (used_bytes, free_bytes) = self.store.space()?;
        self.shared.used_bytes.store(used_bytes, Ordering::Relaxed);
        self.free_bytes = free_bytes;
        Ok(())
    }

    fn acked(&self) -> [u64; 2] {
        [0, 1].map(|index: usize| self.shared.acked[index].load(Ordering::Acquire))
    }

    pub(super) fn park(&mut self, lane: Lane, seq: u64, reason: &str, tombstone: &[u8]) -> rusqlite::Result<bool> {
        let parked = self.store.park(lane, seq, reason, tombstone)?;
        self.measure(tombstone.len() as u64)?;
        Ok(parked)
    }

    pub(super) fn park_raw(&mut self, reason: &str, bytes: &[u8]) -> rusqlite::Result<()> {
        let max = (self.options.raw_max_count, self.options.raw_max_bytes);
        let dropped = self.store.park_raw(reason, bytes, max)?;
        self.shared.raw_dropped.fetch_add(dropped, Ordering::Relaxed);
        self.measure(bytes.len() as u64)
    }

    pub(super) fn discard_parked(&mut self, id: u64) -> rusqlite::Result<u64> {
        let discarded = self.store.discard_parked(id)?;
        self.measure(0)?;
        Ok(discarded)
    }

    pub(super) fn remint(
        &mut self,
        reencode: impl FnMut(Lane, Origin, Vec<u8>) -> Vec<u8>,
    ) -> rusqlite::Result<ProducerId> {
        let acked = self.acked();
        let producer = self.store.remint(acked, reencode)?;
        for lane in Lane::ALL {
            self.shared.acked[lane.index()].store(0, Ordering::Release);
            self.marks[lane.index()].clear();
        }
        self.saved_acked = [0; 2];
        self.view.send_modify(|view| {
            view.producer = producer;
            for (span, acked) in view.lanes.iter_mut().zip(acked) {
                *span = Span {
                    first: 1,
                    last: span.last - acked,
                };
            }
        });
        self.measure(upkeep::CHECKPOINT_BYTES)?;
        Ok(producer)
    }
}
