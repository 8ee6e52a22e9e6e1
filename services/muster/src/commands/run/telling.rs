//! Listens to what the command prints, beside the copying of it.
//!
//! The copy hands over what it has written already and goes on; reading lines out of it, and waiting for ingest, happen
//! here. When this cannot keep up, the copy waits, as at any pipe, but at most [`ROOM`] in all: then what finds no room is
//! passed over, and counted in lines.

use super::lines::Lines;
use super::process::Started;
use super::reporter::{Missed, Reporter};
use super::session::Session;
use super::watching::Watch;
use std::time::Duration;
use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::task::TaskTracker;

/// Chunks between the copy and here: 4 MiB of the copy's buffers.
const CHUNKS_MAX: usize = 64;
/// How long the copy waits for room, in all. Longer than the reporter waits for room for lines, so that what is read out of
/// them, turns and usage, survives an ingest that is away.
pub(super) const ROOM: Duration = Duration::from_secs(2);

/// What the copy wrote.
struct Printed {
    bytes: Vec<u8>,
    /// Something before it was passed over.
    after_gap: bool,
}

/// The copy's end.
pub(super) struct Telling {
    chunks: Sender<Printed>,
    listener: JoinHandle<Listener>,
    room_left: Duration,
    gap: bool,
    missed_lines: u64,
}

struct Listener {
    session: Session,
    reporter: Reporter,
    watch: Watch,
}

impl Telling {
    /// Tells of the start, and listens. A session that has no name after `nameless` gets one.
    pub(super) fn start(
        session: Session,
        reporter: Reporter,
        watch: Watch,
        started: &Started,
        nameless: Duration,
    ) -> Self {
        let (chunks, printed) = mpsc::channel(CHUNKS_MAX);
        let mut listener = Listener {
            session,
            reporter,
            watch,
        };
        let first = listener.session.started(started);
        let listener = TaskTracker::new().spawn(async move {
            listener.reporter.report(first).await;
            listener.listen(printed, Instant::now() + nameless).await;
            listener
        });
        Self {
            chunks,
            listener,
            room_left: ROOM,
            gap: false,
            missed_lines: 0,
        }
    }

    /// The command printed this.
    pub(super) async fn printed(&mut self, bytes: &[u8]) {
        let printed = Printed {
            bytes: bytes.to_vec(),
            after_gap: self.gap,
        };
        let room = match self.chunks.try_reserve() {
            Err(_) if !self.room_left.is_zero() => {
                let began = Instant::now();
                let room = timeout(self.room_left, self.chunks.reserve()).await;
                self.room_left = self.room_left.saturating_sub(began.elapsed());
                room.ok().and_then(Result::ok)
            }
            room => room.ok(),
        };
        self.gap = match room {
            Some(room) => {
                room.send(printed);
                false
            }
            None => {
                let lines = bytes.iter().filter(|byte| **byte == b'\n').count();
                self.missed_lines += lines as u64;
                true
            }
        };
    }

    /// Tells of the end, lets the last events go, and says what did not.
    pub(super) async fn finish(self, started: &Started, status: i32) -> anyhow::Result<Missed> {
        drop(self.chunks);
        let mut listener = self.listener.await?;
        let (seen, watched) = listener.watch.finish().await;
        for seen in seen {
            let said = listener.session.observed(seen);
            listener.reporter.report(said).await;
        }
        let said = listener.session.ended(started, status, watched);
        listener.reporter.report(said).await;
        let mut missed = listener.reporter.finish().await;
        missed.lines += self.missed_lines;
        Ok(missed)
    }
}

impl Listener {
    async fn listen(&mut self, mut printed: Receiver<Printed>, nameless: Instant) {
        let mut lines = Lines::default();
        loop {
            let said = tokio::select! {
                printed = printed.recv() => {
                    let Some(printed) = printed else { break };
                    if printed.after_gap {
                        lines.gap();
                    }
                    lines.take(&printed.bytes);
                    while let Some(line) = lines.next() {
                        let said = self.session.line(&line);
                        self.reporter.report(said).await;
                    }
                    continue;
                }
                seen = self.watch.next() => self.session.observed(seen),
                () = sleep_until(nameless), if !self.session.is_named() => self.session.name_it(),
            };
            self.reporter.report(said).await;
        }
        if let Some(line) = lines.rest() {
            let said = self.session.line(&line);
            self.reporter.report(said).await;
        }
    }
}
