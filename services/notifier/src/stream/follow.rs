//! Following the log: every event is considered exactly once, in order, at the pace of whoever looks.
//!
//! `done` is the last sequence that was considered. The live tail gives frames in order; a frame that is not the next one
//! means that the tail was joined late or that this viewer fell out of its ring, and then everything in between is read
//! from the log by a reader of its own, which knows the viewer's filters. So a slow viewer loses nothing and holds nobody
//! up, and there is one way to catch up, whether after an hour or after a hiccup.

use super::frame::{Frame, Place};
use super::outlet::{Gone, Outlet};
use super::tail::{Epoch, Epochs};
use muster_bus::Bus;
use muster_bus::read::{ReadError, Reader, Start};
use muster_wire::Filter;
use muster_wire::topology::EVENTS;
use std::convert::Infallible;
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::{sleep, timeout};

/// While the past is read: how often it is looked whether any of it is left. A reader says so with a message only, and
/// after an outage there may be none to come.
const LOOK_AFTER: Duration = Duration::from_millis(500);

/// Whoever is shown the log.
pub(crate) trait Viewer: Send {
    /// What the hub may hold back; empty for nothing.
    fn filters(&self) -> Vec<Filter>;

    /// One event, wanted or not.
    fn consider(&mut self, frame: &Frame) -> impl Future<Output = Result<(), Gone>> + Send;

    /// The log no longer holds these.
    fn gap(&mut self, epoch: &Epoch, first: u64, last: u64) -> impl Future<Output = Result<(), Gone>> + Send;

    /// A client that must hear now and then that the stream is there.
    fn outlet(&mut self) -> Option<&mut Outlet>;

    /// Of what is to be read, the first that is still of use.
    fn useful(&self, seq: u64) -> u64 {
        seq
    }
}

/// The way to the log.
pub(crate) struct Follower {
    pub(crate) bus: Bus,
    pub(crate) epochs: Epochs,
}

/// Why following one epoch came to an end.
pub(crate) enum Ended {
    Gone,
    Replaced,
}

impl From<Gone> for Ended {
    fn from(_: Gone) -> Self {
        Self::Gone
    }
}

/// Why reading the past stopped.
enum Broken {
    Gone(Gone),
    Read(ReadError),
}

impl From<Gone> for Broken {
    fn from(gone: Gone) -> Self {
        Self::Gone(gone)
    }
}

impl From<ReadError> for Broken {
    fn from(error: ReadError) -> Self {
        Self::Read(error)
    }
}

impl Follower {
    /// The present epoch, once there is one.
    pub(crate) async fn present(&mut self) -> Result<Arc<Epoch>, Gone> {
        let epoch = self.epochs.wait_for(Option::is_some).await.map_err(|_| Gone)?.clone();
        self.epochs.mark_unchanged();
        epoch.ok_or(Gone)
    }

    /// Why this log has no such place; `None` when it has.
    pub(crate) async fn unknown(&self, epoch: &Epoch, place: Place) -> Option<&'static str> {
        if place.incarnation != epoch.incarnation() {
            return Some("the id is of another log");
        }
        if place.seq < epoch.next() {
            return None;
        }
        // Another notifier may have been a little ahead of this one's tail; only the hub knows the end.
        let state = self.bus.stream_state(EVENTS).await.ok()?;
        (place.seq > state.last_seq).then_some("the log ends before that place")
    }

    /// Shows the log from a place on, for as long as it is this log.
    pub(crate) async fn follow(
        &mut self,
        viewer: &mut impl Viewer,
        epoch: &Arc<Epoch>,
        start: Start,
    ) -> Result<Infallible, Ended> {
        let (mut live, end) = epoch.join();
        let mut done = match start {
            Start::Seq(seq) if seq >= end => seq - 1,
            Start::Seq(_) | Start::First | Start::Time(_) | Start::New | Start::Last => {
                self.catch_up(viewer, epoch, start, end).await?
            }
        };
        loop {
            tokio::select! {
                biased;
                frame = live.recv() => match frame {
                    Ok(frame) if frame.seq <= done => {}
                    Ok(frame) => {
                        let next = viewer.useful(done + 1);
                        if frame.seq > next {
                            self.catch_up(viewer, epoch, Start::Seq(next), frame.seq).await?;
                        }
                        viewer.consider(&frame).await?;
                        done = frame.seq;
                    }
                    Err(RecvError::Lagged(_)) => {}
                    Err(RecvError::Closed) => return Err(Ended::Replaced),
                },
                changed = self.epochs.changed() => return Err(changed.map_or(Ended::Gone, |()| Ended::Replaced)),
                outlet = quiet(viewer) => outlet.alive(Some(epoch.place(done))).await?,
            }
        }
    }

    /// Reads everything before `end`, which the log is known to hold; gives the last sequence considered.
    async fn catch_up(
        &mut self,
        viewer: &mut impl Viewer,
        epoch: &Arc<Epoch>,
        start: Start,
        end: u64,
    ) -> Result<u64, Ended> {
        let mut start = start;
        loop {
            let mut reader = self
                .bus
                .read(EVENTS, &viewer.filters(), start)
                .expect_created(epoch.created);
            match read_before(viewer, &mut reader, epoch, start, end).await {
                Ok(()) => return Ok(end - 1),
                Err(Broken::Gone(gone)) => return Err(gone.into()),
                Err(Broken::Read(ReadError::Discarded {
                    position, first_seq, ..
                })) => {
                    // What the tail may still have is not missing.
                    viewer.gap(epoch, position, first_seq.min(end) - 1).await?;
                    if first_seq >= end {
                        return Ok(end - 1);
                    }
                    start = Start::Seq(first_seq);
                }
                Err(Broken::Read(ReadError::Incarnation { .. })) => {
                    // The tail finds out too, and has the new one.
                    let other = |now: &Option<Arc<Epoch>>| now.as_ref().is_some_and(|now| !Arc::ptr_eq(now, epoch));
                    self.epochs.wait_for(other).await.map_err(|_| Ended::Gone)?;
                    return Err(Ended::Replaced);
                }
                Err(Broken::Read(ReadError::Missing(_) | ReadError::Unavailable(_))) => {
                    still_there(viewer).await?;
                    sleep(LOOK_AFTER).await;
                    if reader.position() > 0 {
                        start = Start::Seq(reader.position());
                    }
                }
            }
        }
    }
}

async fn read_before(
    viewer: &mut impl Viewer,
    reader: &mut Reader,
    epoch: &Epoch,
    start: Start,
    end: u64,
) -> Result<(), Broken> {
    let state = reader.open().await?;
    if start == Start::Seq(1) && state.first_seq > 1 {
        // The reader takes this for "the oldest kept"; who asks for the first event is told what is missing.
        viewer.gap(epoch, 1, state.first_seq.min(end) - 1).await?;
    }
    let is_whole = viewer.filters().is_empty();
    let mut expected: Option<u64> = None;
    while reader.pending() != Some(0) {
        let Ok(read) = timeout(LOOK_AFTER, reader.next()).await else {
            still_there(viewer).await?;
            continue;
        };
        let stored = read?;
        // The log ages while it is read, and the hub passes over what is gone without a word. Only where everything is
        // asked for does a jump tell; elsewhere it is what the filters hold back.
        if let Some(expected) = expected.filter(|expected| is_whole && *expected < stored.seq.min(end)) {
            viewer.gap(epoch, expected, stored.seq.min(end) - 1).await?;
        }
        expected = Some(stored.seq + 1);
        if stored.seq >= end {
            break;
        }
        viewer.consider(&Frame::new(epoch.incarnation(), &stored)).await?;
    }
    Ok(())
}

async fn still_there(viewer: &mut impl Viewer) -> Result<(), Gone> {
    match viewer.outlet() {
        Some(outlet) => outlet.alive_if_quiet(None).await,
        None => Ok(()),
    }
}

/// Until a client must hear something; for ever where nobody listens.
async fn quiet(viewer: &mut impl Viewer) -> &mut Outlet {
    let Some(outlet) = viewer.outlet() else {
        return pending().await;
    };
    outlet.quiet().await;
    outlet
}
