//! Tells ingest what a wrapped run says, beside the run and never in its way.
//!
//! Two bounded queues lie between. What happened (the process, turns, usage) goes first, and is never dropped for the sake
//! of what was printed: printed lines wait for room at most [`ROOM`] in all, then ingest counts as away or slow, and what
//! finds no room is counted and dropped. What was seen of processes never waits, and leaves half of the room to what
//! happened. Events keep their ids when a batch is sent again, so that nothing is stored twice.

use super::session::Said;
use crate::socket::{Connection, SocketError};
use muster_domain::family::EventType;
use muster_domain::ids::EventId;
use muster_domain::names::AgentName;
use muster_wire::RawData;
use muster_wire::frame::{ClientFrame, IngestEvents, ServerFrame};
use serde::Serialize;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::task::TaskTracker;
use uuid::Uuid;

/// Lines, and other events, between the command and ingest: some seconds of a talkative agent, a few megabytes at most.
const WAITING_MAX: usize = 2048;
/// Events and bytes in one frame: far below the frame's limit, and one disk write of ingest's.
const BATCH_EVENTS: usize = 256;
const BATCH_BYTES: usize = 1024 * 1024;
/// How long lines wait for room, in all, and how long the other events do: a local ingest writes a batch in milliseconds.
const ROOM: Duration = Duration::from_millis(500);
/// How long the last events are offered after the command's end.
const LAST_WORDS: Duration = Duration::from_secs(3);
/// The same where not even a socket is there: no ingest runs, nor one that restarts.
const NOBODY_THERE: Duration = Duration::from_millis(300);
/// Between two attempts to reach ingest.
const AGAIN: Duration = Duration::from_millis(250);

/// An event as ingest takes it.
type Item = RawData;

/// What ingest did not get.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Missed {
    pub(super) lines: u64,
    pub(super) events: u64,
}

impl fmt::Display for Missed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} printed lines and {} other events", self.lines, self.events)
    }
}

#[derive(Debug, Default)]
struct Counts {
    lines: AtomicU64,
    events: AtomicU64,
}

/// One queue, and how long it has been waited for.
struct Lane {
    queue: Sender<Item>,
    missed: fn(&Counts) -> &AtomicU64,
    room_left: Duration,
}

impl Lane {
    /// Whether there was room for it. A timer is only set while waiting is allowed: even one of no time takes a millisecond.
    async fn take(&mut self, item: Item) -> bool {
        let item = match self.queue.try_send(item) {
            Ok(()) => return true,
            Err(TrySendError::Full(item)) if !self.room_left.is_zero() => item,
            Err(_) => return false,
        };
        let began = Instant::now();
        let queued = timeout(self.room_left, self.queue.send(item)).await;
        self.room_left = self.room_left.saturating_sub(began.elapsed());
        matches!(queued, Ok(Ok(())))
    }

    /// Whether there was plenty of room for it.
    fn take_at_once(&self, item: Item) -> bool {
        self.queue.capacity() > WAITING_MAX / 2 && self.queue.try_send(item).is_ok()
    }
}

pub(super) struct Reporter {
    agent: AgentName,
    socket: Option<PathBuf>,
    events: Lane,
    lines: Lane,
    sender: JoinHandle<()>,
    missed: Arc<Counts>,
}

#[derive(Serialize)]
struct Event<'a> {
    kind: String,
    session: &'a str,
    agent: &'a str,
    time: String,
    id: EventId,
    data: &'a RawData,
}

impl Reporter {
    pub(super) fn start(socket: Option<PathBuf>, agent: AgentName) -> Self {
        let (events, events_out) = mpsc::channel(WAITING_MAX);
        let (lines, lines_out) = mpsc::channel(WAITING_MAX);
        let missed = Arc::new(Counts::default());
        let owed = Owed {
            batch: Vec::new(),
            lines_in_batch: 0,
            events: events_out,
            lines: lines_out,
            missed: missed.clone(),
        };
        let sending = Sending {
            socket: socket.clone(),
            connection: None,
        };
        let lane = |queue, missed| Lane {
            queue,
            missed,
            room_left: ROOM,
        };
        Self {
            agent,
            socket,
            events: lane(events, |counts| &counts.events),
            lines: lane(lines, |counts| &counts.lines),
            sender: TaskTracker::new().spawn(sending.run(owed)),
            missed,
        }
    }

    pub(super) async fn report(&mut self, said: Vec<Said>) {
        for said in said {
            let event = Event {
                kind: said.event_type.to_string(),
                session: said.session.as_str(),
                agent: self.agent.as_str(),
                time: muster_wire::time::format(said.time),
                id: EventId::from_uuid(Uuid::now_v7()),
                data: &said.data,
            };
            let Ok(item) = serde_json::value::to_raw_value(&event) else {
                continue;
            };
            let lane = if matches!(said.event_type, EventType::AgentOutput(_)) {
                &mut self.lines
            } else {
                &mut self.events
            };
            let taken = if said.event_type.is_sampled() {
                lane.take_at_once(item)
            } else {
                lane.take(item).await
            };
            if !taken {
                (lane.missed)(&self.missed).fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// Lets the last events go, and says how many of all did not.
    pub(super) async fn finish(self) -> Missed {
        drop((self.events, self.lines));
        let mut sender = self.sender;
        let somebody = self.socket.as_ref().is_some_and(|socket| socket.exists());
        let patience = if somebody { LAST_WORDS } else { NOBODY_THERE };
        if timeout(patience, &mut sender).await.is_err() {
            sender.abort();
            // What it held is counted when it is dropped.
            let _ = sender.await;
        }
        Missed {
            lines: self.missed.lines.load(Ordering::Relaxed),
            events: self.missed.events.load(Ordering::Relaxed),
        }
    }
}

struct Sending {
    socket: Option<PathBuf>,
    connection: Option<Connection>,
}

/// Events that are not at ingest yet; those that never get there are counted when this goes.
struct Owed {
    /// Lines last.
    batch: Vec<Item>,
    lines_in_batch: usize,
    events: Receiver<Item>,
    lines: Receiver<Item>,
    missed: Arc<Counts>,
}

impl Drop for Owed {
    fn drop(&mut self) {
        let waiting = |queue: &mut Receiver<Item>| {
            queue.close();
            std::iter::from_fn(|| queue.try_recv().ok()).count()
        };
        let lines = self.lines_in_batch + waiting(&mut self.lines);
        let events = self.batch.len() - self.lines_in_batch + waiting(&mut self.events);
        self.missed.lines.fetch_add(lines as u64, Ordering::Relaxed);
        self.missed.events.fetch_add(events as u64, Ordering::Relaxed);
    }
}

impl Owed {
    /// Fills the batch with what waits, events before lines; false when nothing will come any more.
    async fn fill(&mut self) -> bool {
        let (first, is_line) = tokio::select! {
            biased;
            Some(event) = self.events.recv() => (event, false),
            Some(line) = self.lines.recv() => (line, true),
            else => return false,
        };
        let mut bytes = first.get().len();
        self.batch.push(first);
        self.lines_in_batch = usize::from(is_line);
        while self.batch.len() < BATCH_EVENTS && bytes < BATCH_BYTES {
            let event = if self.lines_in_batch == 0 {
                self.events.try_recv().ok()
            } else {
                None
            };
            let item = match event {
                Some(event) => event,
                None => {
                    let Ok(line) = self.lines.try_recv() else { break };
                    self.lines_in_batch += 1;
                    line
                }
            };
            bytes += item.get().len();
            self.batch.push(item);
        }
        true
    }

    /// The batch is at ingest, but for those at the indices it refused.
    fn sent(&mut self, refused: &[usize]) {
        let events = self.batch.len() - self.lines_in_batch;
        let lines = refused.iter().filter(|at| **at >= events).count();
        self.missed.lines.fetch_add(lines as u64, Ordering::Relaxed);
        self.missed
            .events
            .fetch_add((refused.len() - lines) as u64, Ordering::Relaxed);
        self.batch.clear();
        self.lines_in_batch = 0;
    }
}

impl Sending {
    async fn run(mut self, mut owed: Owed) {
        while owed.fill().await {
            loop {
                match self.send(&owed.batch).await {
                    Ok(refused) => {
                        owed.sent(&refused);
                        break;
                    }
                    Err(_) => {
                        self.connection = None;
                        sleep(AGAIN).await;
                    }
                }
            }
        }
    }

    /// Which of those sent ingest refused.
    async fn send(&mut self, batch: &[Item]) -> Result<Vec<usize>, SocketError> {
        let connection = match &mut self.connection {
            Some(connection) => connection,
            none => {
                let path = self.socket.as_deref().ok_or(SocketError::Unexpected)?;
                none.insert(Connection::open(path, "run").await?)
            }
        };
        let frame = ClientFrame::IngestEvents(IngestEvents { events: batch.to_vec() });
        let ServerFrame::Ack(ack) = connection.ask(&frame).await? else {
            return Err(SocketError::Unexpected);
        };
        Ok(ack.rejected.iter().map(|refused| refused.index).collect())
    }
}
