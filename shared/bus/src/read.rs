//! The log in order: every message once, across lost connections and restarts of the hub.
//!
//! A [`Reader`] stands on a position in the stream, not on a consumer at the hub. Consumers are temporary (ordered push:
//! in memory, nothing acknowledged); whenever anything about one is wrong — a gap in its count, silence instead of its
//! heartbeat, a lost connection — it is thrown away and another one starts at the position. Each start compares the stream
//! with the one that was read before: a stream that was created anew, or that ends before the position, is no
//! continuation, and pretending it were would skip what is stored there now.

mod source;
mod stored;

pub use stored::Stored;

pub(crate) use source::Source;
pub(crate) use stored::{Place, moment};

use crate::ask::Away;
use crate::connect::{Bus, StreamState};
use crate::resume::Resuming;
use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::consumer::DeliverPolicy;
use async_nats::jetstream::{context::GetStreamErrorKind, stream};
use muster_domain::time::Timestamp;
use muster_wire::Filter;
use time::OffsetDateTime;

/// Where reading begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// The oldest message kept.
    First,
    /// The message of this sequence. From 2 on, it is an error when it is no longer kept.
    Seq(u64),
    /// The first message stored at this moment or later.
    Time(Timestamp),
    /// What is stored from now on.
    New,
    /// The newest message that passes the filters, and on.
    Last,
}

/// Why the log cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// This is not the stream that was read before.
    #[error(
        "stream {stream} is not the one read before: created {found:?} and ending at {last_seq}, \
         expected created {expected:?} and {position} still to come; load a snapshot that fits and fold again"
    )]
    Incarnation {
        /// The stream.
        stream: String,
        /// When the one read before was created; `None` when it was not known.
        expected: Option<Timestamp>,
        /// When the present one was created.
        found: Timestamp,
        /// The next sequence that was to be read.
        position: u64,
        /// The last sequence there is.
        last_seq: u64,
    },
    /// The position was discarded by the stream's limits.
    #[error("stream {stream} starts at {first_seq}; {position} is no longer kept")]
    Discarded {
        /// The stream.
        stream: String,
        /// The next sequence that was to be read.
        position: u64,
        /// The oldest sequence there is.
        first_seq: u64,
    },
    /// There is no such stream or consumer.
    #[error("the hub has no {0}; was `muster migrate` run?")]
    Missing(String),
    /// The hub cannot say now.
    #[error("cannot read from the hub now: {0}")]
    Unavailable(String),
}

/// A position in a stream, and a way to go on from it.
pub struct Reader {
    bus: Bus,
    stream: String,
    filters: Vec<String>,
    start: Start,
    /// The next sequence, once it is known.
    position: Option<u64>,
    created: Option<Timestamp>,
    source: Resuming<(Source, StreamState)>,
}

impl Bus {
    /// Reads a stream in order. No filters means everything.
    pub fn read(&self, stream: &str, filters: &[Filter], start: Start) -> Reader {
        Reader {
            bus: self.clone(),
            stream: stream.to_owned(),
            filters: filters.iter().map(ToString::to_string).collect(),
            start,
            position: match start {
                Start::Seq(seq) => Some(seq.max(1)),
                Start::First | Start::Time(_) | Start::New | Start::Last => None,
            },
            created: None,
            source: Resuming::new(),
        }
    }

    /// What a stream is and where it ends.
    ///
    /// # Errors
    /// [`ReadError::Missing`] and [`ReadError::Unavailable`].
    pub async fn stream_state(&self, stream: &str) -> Result<StreamState, ReadError> {
        let info = self.info(stream).await?;
        Ok(StreamState {
            created: stored::moment(info.created),
            first_seq: info.state.first_sequence,
            last_seq: info.state.last_sequence,
        })
    }

    pub(crate) async fn info(&self, stream: &str) -> Result<stream::Info, ReadError> {
        if !self.is_connected() {
            return Err(ReadError::Unavailable(Away::Disconnected.to_string()));
        }
        let api = format!("$JS.API.STREAM.INFO.{stream}");
        let handle = self
            .permitted(&api, self.context.get_stream(stream))
            .await
            .map_err(|failed| ReadError::Unavailable(failed.to_string()))?
            .map_err(|error| match error.kind() {
                GetStreamErrorKind::JetStream(inner) if inner.error_code() == ErrorCode::STREAM_NOT_FOUND => {
                    ReadError::Missing(format!("stream {stream}"))
                }
                GetStreamErrorKind::JetStream(_)
                | GetStreamErrorKind::Request
                | GetStreamErrorKind::EmptyName
                | GetStreamErrorKind::InvalidStreamName => ReadError::Unavailable(error.to_string()),
            })?;
        Ok(handle.cached_info().clone())
    }
}

impl Reader {
    /// Accepts only the stream that was created at this moment: the one a snapshot was taken of.
    #[must_use]
    pub const fn expect_created(mut self, created: Timestamp) -> Self {
        self.created = Some(created);
        self
    }

    /// Begins, and says what the stream was like then: who has read up to its `last_seq` is caught up with it.
    ///
    /// # Errors
    /// As [`Self::next`].
    pub async fn open(&mut self) -> Result<StreamState, ReadError> {
        let (_, state) = *self.opened().await?;
        Ok(state)
    }

    /// The next message. Waits for it as long as it takes, through outages too; may be dropped and called again.
    ///
    /// # Errors
    /// [`ReadError::Incarnation`], [`ReadError::Discarded`] and [`ReadError::Missing`]: what to do then is not for this
    /// crate to decide. Calling again tries again.
    pub async fn next(&mut self) -> Result<Stored, ReadError> {
        loop {
            let (source, _) = self.opened().await?;
            if let Some(stored) = source.next().await {
                self.position = Some(stored.seq + 1);
                self.source.works();
                return Ok(stored);
            }
            self.source.broke();
        }
    }

    /// Messages that wait at the hub: 0 means caught up, as of the last message or the start. `None` while not reading.
    pub fn pending(&self) -> Option<u64> {
        self.source.get().map(|(source, _)| source.pending())
    }

    /// The sequence the next message has at least; 0 before anything is known.
    pub const fn position(&self) -> u64 {
        match self.position {
            Some(position) => position,
            None => 0,
        }
    }

    async fn opened(&mut self) -> Result<&mut (Source, StreamState), ReadError> {
        let Self {
            bus,
            stream,
            filters,
            start,
            position,
            created,
            source,
        } = self;
        let open = || {
            begin(
                bus.clone(),
                stream.clone(),
                filters.clone(),
                *start,
                *position,
                *created,
            )
        };
        let opened = source.opened(bus, open).await?;
        *created = Some(opened.1.created);
        if position.is_none() && *start == Start::New {
            // From now on the moment of this beginning, however often it is begun anew.
            *position = Some(opened.1.last_seq + 1);
        }
        Ok(opened)
    }
}

/// One attempt to begin at a position, in the stream it belongs to.
async fn begin(
    bus: Bus,
    stream: String,
    filters: Vec<String>,
    start: Start,
    position: Option<u64>,
    created: Option<Timestamp>,
) -> Result<(Source, StreamState), ReadError> {
    let state = bus.stream_state(&stream).await?;
    let next = position.unwrap_or(1);
    if created.is_some_and(|created| created != state.created) || state.last_seq + 1 < next {
        return Err(ReadError::Incarnation {
            stream,
            expected: created,
            found: state.created,
            position: next,
            last_seq: state.last_seq,
        });
    }
    if next > 1 && next < state.first_seq {
        return Err(ReadError::Discarded {
            stream,
            position: next,
            first_seq: state.first_seq,
        });
    }
    let policy = match (position, start) {
        (Some(start_sequence), _) => DeliverPolicy::ByStartSequence { start_sequence },
        (None, Start::Time(at)) => DeliverPolicy::ByStartTime {
            start_time: instant(at),
        },
        (None, Start::Last) => DeliverPolicy::Last,
        // Not the hub's own "new": that would mean another moment than the state just asked for.
        (None, Start::New) => DeliverPolicy::ByStartSequence {
            start_sequence: state.last_seq + 1,
        },
        (None, Start::First | Start::Seq(_)) => DeliverPolicy::All,
    };
    let source = Source::open(&bus, &stream, &filters, policy).await?;
    Ok((source, state))
}

fn instant(at: Timestamp) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(at.as_millis()) * 1_000_000)
        .unwrap_or(OffsetDateTime::UNIX_EPOCH)
}
