//! What was said and called, where it can be searched: an index of the log on this instance's disk.
//!
//! The state keeps a line of a prompt or a call; the log has them whole, and cannot be searched. So each instance draws
//! from the log, beside the fold and never in its way, the words of its events and how long its calls took, into one
//! SQLite file. Nothing is decided by it and nothing is lost with it: a file that is damaged, or drawn from another log,
//! is drawn again. Until it holds what the log held when this instance began, it answers nothing: an index that is not
//! there yet must not look like a log in which nothing was said.

mod draw;
mod follow;
mod metrics;
mod search;
mod snippet;
mod store;
mod terms;
#[cfg(test)]
mod tests;

pub(crate) use search::Wanted;
pub(crate) use terms::Terms;

use crate::answer::{self, Reply};
use bytes::Bytes;
use muster_domain::time::Timestamp;
use muster_runtime::drain::Drain;
use muster_wire::api::{self, ApiError, ErrorKind, Position, SessionsSearchRequest};
use rusqlite::{Connection, ErrorCode};
use serde::Serialize;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, Semaphore, watch};
use tokio::time::{Instant, timeout_at};

/// Questions looked up at the same time: each has page cache of its own, and further ones wait.
const AT_ONCE: usize = 2;
/// How long one may wait for its turn and take, together: every client waits longer (the notifier 3 s), so it is told, and
/// nothing is looked up for somebody who gave up.
const PATIENCE: Duration = Duration::from_millis(2500);

/// Why the index does not answer.
#[derive(Debug, thiserror::Error)]
enum IndexError {
    #[error("the index of the log failed: {0}")]
    Engine(#[from] rusqlite::Error),
    #[error("the folder of the index cannot be used: {0}")]
    Io(#[from] io::Error),
    #[error("the index is of a log that was created {0:?}, and another is asked for")]
    OtherLog(Timestamp),
}

impl IndexError {
    /// Whether the file itself is at fault: it is set aside then, and drawn anew.
    fn is_damage(&self) -> bool {
        matches!(self.code(), Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase))
    }

    /// Whether there is no file to read: somebody took it away from under whoever draws it.
    fn is_absence(&self) -> bool {
        self.code() == Some(ErrorCode::CannotOpen)
    }

    fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::Engine(error) => error.sqlite_error_code(),
            Self::Io(_) | Self::OtherLog(_) => None,
        }
    }
}

/// Whether the index can be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Standing {
    /// It does not hold yet what the log held when it was opened.
    Drawing { seq: u64, of: u64 },
    /// It does.
    Drawn,
    /// It cannot be read or written.
    Broken(String),
}

/// Answers from the index.
#[derive(Clone)]
pub(crate) struct Searcher {
    dir: Arc<Path>,
    standing: watch::Receiver<Standing>,
    /// Told when the file turns out to be damaged while it is read.
    damaged: Arc<Notify>,
    turns: Arc<Semaphore>,
    drain: Drain,
}

/// What is asked of the index.
pub(crate) struct Question {
    at: Position,
    about: About,
}

enum About {
    Search(Wanted),
    Metrics { now: Timestamp, days: u32 },
}

impl Question {
    /// For words.
    pub(crate) fn search(at: Position, request: &SessionsSearchRequest, terms: Terms) -> Self {
        let about = About::Search(Wanted::new(request, terms));
        Self { at, about }
    }

    /// For what calls and turns of the last days took.
    pub(crate) const fn metrics(at: Position, now: Timestamp, days: u32) -> Self {
        Self {
            at,
            about: About::Metrics { now, days },
        }
    }
}

impl Searcher {
    /// The answer, once it is this question's turn.
    pub(crate) async fn answer(&self, question: Question) -> Reply {
        let answered = self.look_up(question).await;
        answered.map_err(|error| answer::failure(&error))
    }

    async fn look_up(&self, question: Question) -> Result<Bytes, ApiError> {
        let unavailable = |detail: String| ApiError::new(ErrorKind::Unavailable, detail);
        match &*self.standing.borrow() {
            Standing::Drawn => {}
            Standing::Drawing { seq, of } => {
                let text = format!("the index is being drawn from the log and is at {seq} of {of}; ask again");
                return Err(unavailable(text));
            }
            Standing::Broken(why) => return Err(unavailable(why.clone())),
        }
        let until = Instant::now() + PATIENCE;
        // The turns are never closed.
        let Ok(_turn) = timeout_at(until, self.turns.acquire()).await else {
            return Err(unavailable(
                "too much is being looked up at the moment; ask again".to_owned(),
            ));
        };
        let blocking = self.drain.tracker();
        let dir = Arc::clone(&self.dir);
        let broken = |_| ApiError::new(ErrorKind::Internal, "looking something up panicked");
        let opened = blocking.spawn_blocking(move || store::open_reader(&dir));
        let connection = match opened.await.map_err(broken)? {
            Ok(connection) => connection,
            Err(error) => return Err(self.failed(&error.into())),
        };
        let interrupt = connection.get_interrupt_handle();
        let looking = blocking.spawn_blocking(move || question.look_up(connection));
        match timeout_at(until, looking).await {
            Ok(found) => match found.map_err(broken)? {
                Ok(reply) => reply,
                Err(error) => Err(self.failed(&error)),
            },
            Err(_) => {
                interrupt.interrupt();
                Err(unavailable(format!(
                    "this takes longer than {} s; ask for less, as by more words or a later `since`",
                    PATIENCE.as_secs_f32()
                )))
            }
        }
    }

    fn failed(&self, error: &IndexError) -> ApiError {
        if error.is_damage() || error.is_absence() {
            self.damaged.notify_one();
        }
        ApiError::new(ErrorKind::Unavailable, error.to_string())
    }
}

impl Question {
    /// Reads one state of the index, whatever is written meanwhile.
    fn look_up(self, mut connection: Connection) -> Result<Result<Bytes, ApiError>, IndexError> {
        let view = connection.transaction()?;
        let progress = store::progress(&view)?;
        if progress.created != self.at.stream_created {
            return Err(IndexError::OtherLog(progress.created));
        }
        Ok(match self.about {
            About::Search(wanted) => encode(self.at, search::search(&view, &wanted, progress.indexed())?),
            About::Metrics { now, days } => encode(self.at, metrics::metrics(&view, now, days, progress.indexed())?),
        })
    }
}

fn encode(at: Position, body: impl Serialize) -> Result<Bytes, ApiError> {
    answer::encode(&api::Reply::new(at, body))
}

/// The end that is asked, and the end that draws.
pub(crate) fn index(dir: &Path, drain: &Drain) -> (Searcher, follow::Drawer) {
    let (standing, seen) = watch::channel(Standing::Drawing { seq: 0, of: 0 });
    let damaged = Arc::new(Notify::new());
    let searcher = Searcher {
        dir: dir.into(),
        standing: seen,
        damaged: Arc::clone(&damaged),
        turns: Arc::new(Semaphore::new(AT_ONCE)),
        drain: drain.clone(),
    };
    (searcher, follow::Drawer::new(dir, standing, damaged, drain))
}
