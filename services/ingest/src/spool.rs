//! The spool: every observation is durable on this host before its agent is answered.
//!
//! One embedded store (SQLite in WAL mode, `docs/adr/0003-spool-engine.md`), two lanes with a count of their own, and one
//! writer thread. Callers hand the thread a closure that encodes the record once its origin is known; the thread numbers
//! what waits, commits it with one `fdatasync`, and only then answers all of them. So sequences have no holes, an
//! acknowledged record survives a kill, and sixteen callers pay for one sync. Reads use a second connection on the
//! blocking pool: no engine work ever runs on a worker of the runtime.
//!
//! What lies in a lane: `first ..= acked` waits out `retain_after_ack` (the hub may still lose its tail), `acked + 1 ..=
//! last` is owed to the hub. Nothing owed is ever dropped; when the spool is full, new records are refused.

mod error;
mod lock;
mod record;
mod store;
mod writer;

use std::{
    path::Path,
    sync::{Arc, Mutex, PoisonError, atomic::Ordering},
    time::{SystemTime, UNIX_EPOCH},
};

use muster_domain::ids::ProducerId;
use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot, watch};

pub use self::error::{AppendError, OpenError, StoreError};
pub use self::record::{Lane, LaneStats, Options, Origin, Parked, Priority, Stats, Stored};
use self::store::Place;
use self::writer::{Append, Order, Shared, View, Writer};

/// Encodes a record once its origin is known. Runs on the writer thread: pure, quick, never panicking.
pub type Encode = Box<dyn FnOnce(Origin) -> Vec<u8> + Send>;

/// A cheap handle; the spool closes when the last one is dropped or [`Spool::close`] is called.
#[derive(Clone)]
pub struct Spool {
    orders: mpsc::Sender<Order>,
    view: watch::Receiver<View>,
    shared: Arc<Shared>,
    reader: Arc<Mutex<Connection>>,
    max_bytes: u64,
    place: Arc<Place>,
    set_aside: Option<Arc<Path>>,
}

/// The store, read as far as every start reads it.
struct Opened {
    writer: Writer,
    view: watch::Receiver<View>,
    reader: Connection,
}

/// Enough for every hook of a busy host to wait at once; beyond it, callers wait for a place.
const ORDERS_WAITING_MAX: usize = 1024;

impl Spool {
    /// Opens the spool in `dir`, making it when missing. One that is damaged is set aside whole and a new one begun, under a
    /// new producer: a host that takes no observations any more loses all that follow. Blocks for a few milliseconds: call it while building the service.
    ///
    /// # Errors
    /// When another process holds it (named by its pid), its options contradict each other, or the disk fails.
    pub fn open(dir: &Path, options: Options) -> Result<Self, OpenError> {
        if options.reserve_bytes >= options.max_bytes {
            return Err(OpenError::Reserve {
                reserve_bytes: options.reserve_bytes,
                max_bytes: options.max_bytes,
            });
        }
        let held = lock::take(dir)?;
        let io = |source| OpenError::Io {
            dir: dir.to_owned(),
            source,
        };
        let engine = |source| OpenError::Engine {
            path: store::path(dir),
            source,
        };
        let max_bytes = options.max_bytes;
        let opened = if store::is_only_log(dir) {
            None
        } else {
            match Opened::at(dir, options.clone()) {
                Err(error) if error::is_damage(&error) => None,
                opened => Some(opened.map_err(engine)?),
            }
        };
        let (opened, set_aside) = match opened {
            Some(opened) => (opened, None),
            None => {
                let aside = store::set_aside(dir).map_err(io)?;
                (Opened::at(dir, options).map_err(engine)?, Some(aside.into()))
            }
        };
        let Opened { writer, view, reader } = opened.map_err(|found| OpenError::Newer {
            found,
            known: store::FORMAT,
        })?;
        let (orders, queue) = mpsc::channel(ORDERS_WAITING_MAX);
        let shared = writer.shared();
        let place = writer.place();
        writer.start(queue, held).map_err(io)?;
        Ok(Self {
            orders,
            view,
            shared,
            reader: Arc::new(Mutex::new(reader)),
            max_bytes,
            place,
            set_aside,
        })
    }

    /// Where a damaged store was moved when this one was opened in its place.
    #[must_use]
    pub fn set_aside(&self) -> Option<&Path> {
        self.set_aside.as_deref()
    }

    /// Whether the store is still where it was opened. One that was moved or deleted takes nothing any more.
    #[must_use]
    pub fn is_in_place(&self) -> bool {
        self.place.is_kept()
    }

    /// Makes one record durable; returns when it is.
    ///
    /// # Errors
    /// [`AppendError::Full`] when there is no room for this priority; [`AppendError::Store`] when the disk failed: nothing
    /// was numbered, and the same call may succeed once there is space again.
    pub async fn append(
        &self,
        lane: Lane,
        priority: Priority,
        encode: impl FnOnce(Origin) -> Vec<u8> + Send + 'static,
    ) -> Result<Origin, AppendError> {
        let origins = self.append_all(lane, priority, vec![Box::new(encode)]).await?;
        origins.first().copied().ok_or(AppendError::Store(StoreError::Closed))
    }

    /// Makes all of them durable in one commit, or none.
    ///
    /// # Errors
    /// As [`Spool::append`].
    pub async fn append_all(
        &self,
        lane: Lane,
        priority: Priority,
        encode: Vec<Encode>,
    ) -> Result<Vec<Origin>, AppendError> {
        let (reply, answer) = oneshot::channel();
        let order = Order::Append(Append {
            lane,
            priority,
            encode,
            reply,
        });
        self.orders.send(order).await.map_err(|_| StoreError::Closed)?;
        answer.await.map_err(|_| StoreError::Closed)?
    }

    /// Records from `seq` on, oldest first: at most `max_records` and, beyond the first, at most `max_bytes`.
    ///
    /// # Errors
    /// When the disk fails.
    pub async fn read_from(
        &self,
        lane: Lane,
        seq: u64,
        max_records: usize,
        max_bytes: usize,
    ) -> Result<Vec<Stored>, StoreError> {
        self.read(move |reader| store::read_from(reader, lane, seq, max_records, max_bytes))
            .await
    }

    /// Waits until the lane holds something after `seq`; returns its last sequence.
    ///
    /// # Errors
    /// When the spool closes first.
    pub async fn wait_for(&self, lane: Lane, seq: u64) -> Result<u64, StoreError> {
        let mut view = self.view.clone();
        let reached = view.wait_for(|view| view.lane(lane).last > seq).await;
        Ok(reached.map_err(|_| StoreError::Closed)?.lane(lane).last)
    }

    #[must_use]
    pub fn producer(&self) -> ProducerId {
        self.view.borrow().producer
    }

    /// The oldest sequence still stored; one more than [`Spool::last_seq`] when nothing is.
    #[must_use]
    pub fn first_seq(&self, lane: Lane) -> u64 {
        self.view.borrow().lane(lane).first
    }

    /// The newest durable sequence; 0 before the first.
    #[must_use]
    pub fn last_seq(&self, lane: Lane) -> u64 {
        self.view.borrow().lane(lane).last
    }

    /// Everything up to here is stored by the hub; 0 before the first.
    #[must_use]
    pub fn acked(&self, lane: Lane) -> u64 {
        self.shared.acked[lane.index()].load(Ordering::Acquire)
    }

    /// Notes that the hub stored everything up to `seq`. Cheap: the watermark reaches the disk within about a second, and
    /// forgetting it only means offering again what the hub already has.
    pub fn mark_acked(&self, lane: Lane, seq: u64) {
        let last = self.last_seq(lane);
        self.shared.acked[lane.index()].fetch_max(seq.min(last), Ordering::AcqRel);
    }

    /// The hub only has `seq` (it lost its tail): everything after it that is still here is owed again. Returns the new
    /// watermark, which is higher than `seq` where older records were trimmed already.
    ///
    /// # Errors
    /// When the spool is closed.
    pub async fn rewind(&self, lane: Lane, seq: u64) -> Result<u64, StoreError> {
        self.work(move |writer| Ok(writer.rewind(lane, seq))).await
    }

    /// Removes acked records up to `seq` now, without waiting out `retain_after_ack`. Returns how many.
    ///
    /// # Errors
    /// When the disk fails.
    pub async fn trim(&self, lane: Lane, seq: u64) -> Result<u64, StoreError> {
        self.work(move |writer| writer.trim(lane, seq)).await
    }

    /// Sets aside a record the hub refuses for good and puts `tombstone` in its place. False when it is not stored.
    ///
    /// # Errors
    /// When the disk fails.
    pub async fn park(&self, lane: Lane, seq: u64, reason: String, tombstone: Vec<u8>) -> Result<bool, StoreError> {
        self.work(move |writer| writer.park(lane, seq, &reason, &tombstone))
            .await
    }

    /// Keeps an input that could not be read, for inspection.
    ///
    /// # Errors
    /// When the disk fails.
    pub async fn park_raw(&self, reason: String, bytes: Vec<u8>) -> Result<(), StoreError> {
        self.work(move |writer| writer.park_raw(&reason, &bytes)).await
    }

    /// What was set aside after `id` (0 for the start), oldest first.
    ///
    /// # Errors
    /// When the disk fails.
    pub async fn parked(&self, id: u64, max: usize) -> Result<Vec<Parked>, StoreError> {
        self.read(move |reader| store::parked(reader, id, max)).await
    }

    /// Drops what was set aside up to `id`, once somebody has looked at it. Returns how many.
    ///
    /// # Errors
    /// When the disk fails.
    pub async fn discard_parked(&self, id: u64) -> Result<u64, StoreError> {
        self.work(move |writer| writer.discard_parked(id)).await
    }

    /// Becomes a new producer, because this spool is a copy of one that went on without it. Acked records are dropped; the
    /// owed ones are numbered from 1 in each lane and rewritten by `reencode`. The caller stops publishing meanwhile.
    ///
    /// # Errors
    /// When the disk fails; then nothing has changed.
    pub async fn remint_producer(
        &self,
        reencode: impl FnMut(Lane, Origin, Vec<u8>) -> Vec<u8> + Send + 'static,
    ) -> Result<ProducerId, StoreError> {
        self.work(move |writer| writer.remint(reencode)).await
    }

    /// # Errors
    /// When the disk fails.
    pub async fn stats(&self) -> Result<Stats, StoreError> {
        let view = *self.view.borrow();
        let acked = [Lane::Events, Lane::Transcript].map(|lane| self.acked(lane));
        let oldest = move |reader: &Connection, lane: Lane| store::stored_at(reader, lane, acked[lane.index()] + 1);
        let (events_at, transcript_at, parked, raw) = self
            .read(move |reader| {
                let (parked, raw) = store::parked_counts(reader)?;
                Ok((
                    oldest(reader, Lane::Events)?,
                    oldest(reader, Lane::Transcript)?,
                    parked,
                    raw,
                ))
            })
            .await?;
        let lane = |lane: Lane, at: Option<SystemTime>| LaneStats {
            records: view.lane(lane).last + 1 - view.lane(lane).first,
            owed: view.lane(lane).last.saturating_sub(acked[lane.index()]),
            oldest_owed: at.map(|at| at.elapsed().unwrap_or_default()),
        };
        Ok(Stats {
            used_bytes: self.shared.used_bytes.load(Ordering::Relaxed),
            max_bytes: self.max_bytes,
            events: lane(Lane::Events, events_at),
            transcript: lane(Lane::Transcript, transcript_at),
            parked,
            raw,
            raw_dropped: self.shared.raw_dropped.load(Ordering::Relaxed),
            refused: self.shared.refused.load(Ordering::Relaxed),
        })
    }

    /// Finishes what was accepted, writes the watermarks and lets go of the lock. Later calls fail as closed.
    pub async fn close(&self) {
        let (reply, done) = oneshot::channel();
        if self.orders.send(Order::Close(reply)).await.is_ok() {
            // An error means the thread ended on its own: closed either way.
            let _ = done.await;
        }
    }

    async fn work<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Writer) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (reply, answer) = oneshot::channel();
        let order = Order::Work(Box::new(move |writer| {
            // The caller may have gone; the work is done all the same.
            let _ = reply.send(work(writer));
        }));
        self.orders.send(order).await.map_err(|_| StoreError::Closed)?;
        Ok(answer.await.map_err(|_| StoreError::Closed)??)
    }

    async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let reader = Arc::clone(&self.reader);
        let read = move || read(&reader.lock().unwrap_or_else(PoisonError::into_inner));
        Ok(tokio::task::spawn_blocking(read)
            .await
            .map_err(|_| StoreError::Closed)??)
    }
}

impl Opened {
    /// Or the later version's format that it is in.
    fn at(dir: &Path, options: Options) -> rusqlite::Result<Result<Self, u32>> {
        let store = match store::Store::open(dir)? {
            Ok(store) => store,
            Err(format) => return Ok(Err(format)),
        };
        let reader = store::open_reader(dir)?;
        let (writer, view) = Writer::new(store, options, Place::of(dir))?;
        Ok(Ok(Self { writer, view, reader }))
    }
}

fn unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
