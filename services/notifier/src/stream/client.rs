//! One client of the stream: every event of the log is considered exactly once, in order, at the client's own pace.
//!
//! `done` is the last sequence that was considered. The live tail gives frames in order; a frame that is not the next one
//! means that the tail was joined late or that this client fell out of its ring, and then everything in between is read
//! from the log by a reader of its own, which knows the client's filters. So a slow client loses nothing and holds nobody
//! up, and there is one way to catch up, whether after an hour or after a hiccup.

use super::asked::{Asked, Begin};
use super::frame::{Frame, Place, about};
use super::outlet::{Gone, Outlet};
use super::tail::{Epoch, Epochs};
use crate::fleet::Fleet;
use muster_bus::Bus;
use muster_bus::read::{ReadError, Reader, Start};
use muster_wire::topology::EVENTS;
use serde_json::json;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::{sleep, timeout};

/// While the past is read: how often it is looked whether any of it is left. A reader says so with a message only, and
/// after an outage there may be none to come.
const LOOK_AFTER: Duration = Duration::from_millis(500);

/// A client's wish, and the way to it.
pub(crate) struct Client {
    pub(crate) bus: Bus,
    pub(crate) fleet: Fleet,
    pub(crate) epochs: Epochs,
    pub(crate) asked: Asked,
    pub(crate) outlet: Outlet,
}

/// Why streaming in one epoch came to an end.
enum Ended {
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

impl Client {
    /// Streams until the client is gone.
    pub(crate) async fn run(mut self) {
        // The only end there is, so there is nothing to say about it.
        let Err(Gone) = self.serve().await;
    }

    async fn serve(&mut self) -> Result<Infallible, Gone> {
        let (mut epoch, mut start) = self.greet().await?;
        loop {
            let Err(ended) = self.follow(&epoch, start).await;
            match ended {
                Ended::Gone => return Err(Gone),
                Ended::Replaced => {}
            }
            epoch = self.present().await.ok_or(Gone)?;
            start = self.reset(&epoch, "the log was created anew").await?;
        }
    }

    /// The present epoch, once there is one.
    async fn present(&mut self) -> Option<Arc<Epoch>> {
        let epoch = self.epochs.wait_for(Option::is_some).await.ok()?.clone();
        self.epochs.mark_unchanged();
        epoch
    }

    /// The first frames: where the stream begins, and why not where it was asked to.
    async fn greet(&mut self) -> Result<(Arc<Epoch>, Start), Gone> {
        let epoch = self.present().await.ok_or(Gone)?;
        let after = match self.asked.from {
            Begin::Now => Err(Start::Seq(epoch.next())),
            Begin::Time(at) => Err(Start::Time(at)),
            Begin::Seq(0) => Err(Start::First),
            // A sequence that the log does not have yet is as much of another log as an id is.
            Begin::Seq(seq) => Ok(Place {
                incarnation: epoch.incarnation(),
                seq: seq - 1,
            }),
            Begin::After(place) => Ok(place),
        };
        let start = match after {
            Err(start) => start,
            Ok(place) => match self.unknown(&epoch, place).await {
                None => Start::Seq(place.seq + 1),
                Some(reason) => {
                    self.hello(&epoch, None).await?;
                    let start = self.reset(&epoch, reason).await?;
                    return Ok((epoch, start));
                }
            },
        };
        let from_seq = match start {
            Start::Seq(seq) => Some(seq),
            Start::First | Start::Time(_) | Start::New | Start::Last => None,
        };
        self.hello(&epoch, from_seq).await?;
        Ok((epoch, start))
    }

    /// Why this log has no such place; `None` when it has.
    async fn unknown(&self, epoch: &Epoch, place: Place) -> Option<&'static str> {
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

    async fn hello(&mut self, epoch: &Epoch, from_seq: Option<u64>) -> Result<(), Gone> {
        let place = from_seq.map(|seq| place(epoch, seq.saturating_sub(1)));
        let data = json!({ "incarnation": epoch.incarnation().to_string(), "from_seq": from_seq });
        self.outlet.send(about(place, "hello", &data)).await
    }

    /// Tells the client to forget what it knew, and gives it the state to go on from. Without an orchestrator there is no
    /// state to give; the log is then told from its oldest event, so that nothing is missing either way.
    async fn reset(&mut self, epoch: &Epoch, reason: &str) -> Result<Start, Gone> {
        let snapshot = self
            .fleet
            .snapshot()
            .await
            .ok()
            .filter(|snapshot| snapshot.stream_created == epoch.created);
        let reset = json!({
            "reason": reason,
            "incarnation": epoch.incarnation().to_string(),
            "snapshot": snapshot.is_some(),
        });
        self.outlet.send(about(Some(place(epoch, 0)), "reset", &reset)).await?;
        let Some(snapshot) = snapshot else {
            return Ok(Start::First);
        };
        self.outlet
            .send(about(Some(place(epoch, snapshot.seq)), "snapshot", &snapshot))
            .await?;
        Ok(Start::Seq(snapshot.seq + 1))
    }

    async fn follow(&mut self, epoch: &Arc<Epoch>, start: Start) -> Result<Infallible, Ended> {
        let (mut live, end) = epoch.join();
        let mut done = match start {
            Start::Seq(seq) if seq >= end => seq - 1,
            Start::Seq(_) | Start::First | Start::Time(_) | Start::New | Start::Last => {
                self.catch_up(epoch, start, end).await?
            }
        };
        loop {
            tokio::select! {
                biased;
                frame = live.recv() => match frame {
                    Ok(frame) if frame.seq <= done => {}
                    Ok(frame) => {
                        if frame.seq > done + 1 {
                            self.catch_up(epoch, Start::Seq(done + 1), frame.seq).await?;
                        }
                        self.consider(&frame).await?;
                        done = frame.seq;
                    }
                    Err(RecvError::Lagged(_)) => {}
                    Err(RecvError::Closed) => return Err(Ended::Replaced),
                },
                changed = self.epochs.changed() => return Err(changed.map_or(Ended::Gone, |()| Ended::Replaced)),
                () = self.outlet.quiet() => self.outlet.alive(Some(place(epoch, done))).await?,
            }
        }
    }

    async fn consider(&mut self, frame: &Frame) -> Result<(), Gone> {
        if self.asked.selection.wants(frame.subject.as_ref(), || frame.head()) {
            self.outlet.send(frame.text()).await?;
        }
        Ok(())
    }

    /// Reads everything before `end`, which the log is known to hold; gives the last sequence considered.
    async fn catch_up(&mut self, epoch: &Arc<Epoch>, start: Start, end: u64) -> Result<u64, Ended> {
        let mut start = start;
        loop {
            let filters = self.asked.selection.filters();
            let mut reader = self.bus.read(EVENTS, &filters, start).expect_created(epoch.created);
            match self.read_before(&mut reader, epoch, start, end).await {
                Ok(()) => return Ok(end - 1),
                Err(Broken::Gone(gone)) => return Err(gone.into()),
                Err(Broken::Read(ReadError::Discarded {
                    position, first_seq, ..
                })) => {
                    // What the tail may still have is not missing.
                    self.gap(epoch, position, first_seq.min(end) - 1).await?;
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
                    self.outlet.alive_if_quiet(None).await?;
                    sleep(LOOK_AFTER).await;
                    if reader.position() > 0 {
                        start = Start::Seq(reader.position());
                    }
                }
            }
        }
    }

    async fn read_before(&mut self, reader: &mut Reader, epoch: &Epoch, start: Start, end: u64) -> Result<(), Broken> {
        let state = reader.open().await?;
        if start == Start::Seq(1) && state.first_seq > 1 {
            // The reader takes this for "the oldest kept"; who asks for the first event is told what is missing.
            self.gap(epoch, 1, state.first_seq.min(end) - 1).await?;
        }
        let is_whole = self.asked.selection.filters().is_empty();
        let mut expected: Option<u64> = None;
        while reader.pending() != Some(0) {
            let Ok(read) = timeout(LOOK_AFTER, reader.next()).await else {
                self.outlet.alive_if_quiet(None).await?;
                continue;
            };
            let stored = read?;
            // The log ages while it is read, and the hub passes over what is gone without a word. Only where everything is
            // asked for does a jump tell; elsewhere it is what the filters hold back.
            if let Some(expected) = expected.filter(|expected| is_whole && *expected < stored.seq.min(end)) {
                self.gap(epoch, expected, stored.seq.min(end) - 1).await?;
            }
            expected = Some(stored.seq + 1);
            if stored.seq >= end {
                break;
            }
            self.consider(&Frame::new(epoch.incarnation(), &stored)).await?;
        }
        Ok(())
    }

    async fn gap(&mut self, epoch: &Epoch, first: u64, last: u64) -> Result<(), Gone> {
        let data = json!({ "first_missing": first, "last_missing": last });
        self.outlet.send(about(Some(place(epoch, last)), "gap", &data)).await
    }
}

fn place(epoch: &Epoch, seq: u64) -> Place {
    Place {
        incarnation: epoch.incarnation(),
        seq,
    }
}
