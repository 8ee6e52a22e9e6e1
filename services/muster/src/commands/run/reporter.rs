//! Tells ingest what a wrapped run says, beside the run and never in its way.
//!
//! A bounded queue lies between. While it has room the command waits for nothing; when it has none, the command waits until
//! it has, as at any pipe, but at most [`ROOM`] in all. After that ingest counts as away: what finds no room is counted
//! and dropped. Events keep their ids when a batch is sent again, so that nothing is stored twice.

use super::session::Said;
use crate::socket::{Connection, SocketError};
use muster_domain::ids::EventId;
use muster_domain::names::AgentName;
use muster_wire::RawData;
use muster_wire::frame::{ClientFrame, IngestEvents, ServerFrame};
use serde::Serialize;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::task::TaskTracker;
use uuid::Uuid;

/// Events between the command and ingest: some seconds of a talkative agent, a few megabytes at most.
const WAITING_MAX: usize = 2048;
/// Events and bytes in one frame: far below the frame's limit, and one disk write of ingest's.
const BATCH_EVENTS: usize = 256;
const BATCH_BYTES: usize = 1024 * 1024;
/// How long the command waits for room, in all: a local ingest writes a batch in milliseconds.
pub(super) const ROOM: Duration = Duration::from_secs(2);
/// How long the last events are offered after the command's end.
const LAST_WORDS: Duration = Duration::from_secs(3);
/// The same where not even a socket is there: no ingest runs, nor one that restarts.
const NOBODY_THERE: Duration = Duration::from_millis(300);
/// Between two attempts to reach ingest.
const AGAIN: Duration = Duration::from_millis(250);

/// An event as ingest takes it.
type Item = RawData;

pub(super) struct Reporter {
    agent: AgentName,
    socket: Option<PathBuf>,
    queue: Sender<Item>,
    sender: JoinHandle<()>,
    missed: Arc<AtomicU64>,
    room_left: Duration,
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
        let (queue, items) = mpsc::channel(WAITING_MAX);
        let missed = Arc::new(AtomicU64::new(0));
        let sending = Sending {
            socket: socket.clone(),
            connection: None,
            missed: missed.clone(),
        };
        let sender = TaskTracker::new().spawn(sending.run(items));
        Self {
            agent,
            socket,
            queue,
            sender,
            missed,
            room_left: ROOM,
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
            let began = Instant::now();
            let queued = timeout(self.room_left, self.queue.send(item)).await;
            self.room_left = self.room_left.saturating_sub(began.elapsed());
            if !matches!(queued, Ok(Ok(()))) {
                self.missed.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// Lets the last events go, and says how many of all did not.
    pub(super) async fn finish(self) -> u64 {
        drop(self.queue);
        let mut sender = self.sender;
        let somebody = self.socket.as_ref().is_some_and(|socket| socket.exists());
        let patience = if somebody { LAST_WORDS } else { NOBODY_THERE };
        if timeout(patience, &mut sender).await.is_err() {
            sender.abort();
            // What it held is counted when it is dropped.
            let _ = sender.await;
        }
        self.missed.load(Ordering::Relaxed)
    }
}

struct Sending {
    socket: Option<PathBuf>,
    connection: Option<Connection>,
    missed: Arc<AtomicU64>,
}

/// Events that are not at ingest yet; those that never get there are counted when this goes.
struct Owed {
    batch: Vec<Item>,
    items: Receiver<Item>,
    missed: Arc<AtomicU64>,
}

impl Drop for Owed {
    fn drop(&mut self) {
        self.items.close();
        let waiting = std::iter::from_fn(|| self.items.try_recv().ok()).count();
        self.missed
            .fetch_add((self.batch.len() + waiting) as u64, Ordering::Relaxed);
    }
}

impl Owed {
    /// Fills the batch with what waits; false when nothing will come any more.
    async fn fill(&mut self) -> bool {
        let Some(first) = self.items.recv().await else {
            return false;
        };
        let mut bytes = first.get().len();
        self.batch.push(first);
        while self.batch.len() < BATCH_EVENTS && bytes < BATCH_BYTES {
            let Ok(item) = self.items.try_recv() else { break };
            bytes += item.get().len();
            self.batch.push(item);
        }
        true
    }
}

impl Sending {
    async fn run(mut self, items: Receiver<Item>) {
        let mut owed = Owed {
            batch: Vec::new(),
            items,
            missed: self.missed.clone(),
        };
        while owed.fill().await {
            loop {
                match self.send(&owed.batch).await {
                    Ok(refused) => {
                        self.missed.fetch_add(refused, Ordering::Relaxed);
                        owed.batch.clear();
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

    /// How many ingest refused of what it was sent.
    async fn send(&mut self, batch: &[Item]) -> Result<u64, SocketError> {
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
        Ok(ack.rejected.len() as u64)
    }
}
