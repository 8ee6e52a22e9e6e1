//! One session with its turns and a page of its events: too much to make while the loop waits.
//!
//! A message to the hub may have 1 MiB. Half of it is for events, and what turns may have is below the other half; a session
//! of many long turns is answered without the spans of its oldest ones, and says so.

use super::lists::{find, summary};
use super::{Asked, Reply, encode, failure};
use muster_bus::read::{ReadError, Reader, Start};
use muster_bus::{Bus, Stored};
use muster_domain::fleet::SessionKey;
use muster_domain::view;
use muster_wire::api::{self, ApiError, ErrorKind, Position, SessionDetail, SessionDetailRequest, StoredEvent, Turn};
use muster_wire::{Filter, limits, topology};
use std::time::Duration;

/// Bytes of events in one page of several. One alone may have more: a decision has 512 KiB at most.
const EVENT_BYTES_MAX: usize = 448 * 1024;
/// Bytes of turns with their spans.
const TURN_BYTES_MAX: usize = 448 * 1024;
/// How long reading one page may take before what was read is the page.
const PAGE_WITHIN: Duration = Duration::from_secs(2);

/// A detail that is still to be completed.
pub(crate) struct Wanted {
    at: Position,
    session: SessionKey,
    detail: SessionDetail,
    after_seq: u64,
    rows: usize,
}

/// What can be told from the state alone.
pub(super) fn of(asked: &Asked<'_>, request: &SessionDetailRequest) -> Result<Wanted, ApiError> {
    let key = find(asked.fleet, &request.id, request.host.as_ref())?;
    let session = summary(asked.fleet, &key)?;
    let turns = asked.fleet.session(&key).map(view::turns).unwrap_or_default();
    Ok(Wanted {
        at: asked.at(),
        session: key,
        detail: SessionDetail {
            session,
            turns: turns.into_iter().map(Turn::from).collect(),
            events: Vec::new(),
            next_events: None,
        },
        after_seq: request.after_seq.unwrap_or(0),
        rows: request.limit.map_or(0, |rows| rows.min(limits::PAGE_ROWS_MAX)),
    })
}

impl Wanted {
    /// The whole answer.
    pub(crate) async fn complete(mut self, bus: &Bus) -> Reply {
        fit(&mut self.detail.turns);
        if self.rows > 0 && self.after_seq < self.at.seq {
            self.add_events(bus).await.map_err(|error| {
                let error = ApiError::new(ErrorKind::Unavailable, error.to_string());
                failure(&error)
            })?;
        }
        encode(&api::Reply::new(self.at, self.detail)).map_err(|error| failure(&error))
    }

    async fn add_events(&mut self, bus: &Bus) -> Result<(), ReadError> {
        let (at, rows) = (self.at.seq, self.rows);
        // Opening waits for a hub that is away; whoever asks does not.
        let opened = tokio::time::timeout(PAGE_WITHIN, self.open(bus)).await;
        let mut reader = opened.map_err(|_| ReadError::Unavailable("no answer".to_owned()))??;
        let mut page = Vec::new();
        let mut bytes = 0;
        let reading = async {
            while page.len() < rows && reader.pending() != Some(0) {
                let stored = reader.next().await?;
                // Beyond the place that this answer reflects: the next answer's.
                if stored.seq > at {
                    return Ok(true);
                }
                bytes += stored.payload.len();
                if bytes > EVENT_BYTES_MAX && !page.is_empty() {
                    return Ok(false);
                }
                page.push(stored);
            }
            Ok(reader.pending() == Some(0))
        };
        // A page that took too long ends where it is.
        let complete = tokio::time::timeout(PAGE_WITHIN, reading).await.unwrap_or(Ok(false))?;
        if !complete {
            self.detail.next_events = Some(page.last().map_or(self.after_seq, |stored| stored.seq));
        }
        self.detail.events = page.iter().filter_map(event).collect();
        Ok(())
    }

    /// Opens the log at the page's beginning, or at the oldest event where that has aged out.
    async fn open(&self, bus: &Bus) -> Result<Reader, ReadError> {
        let (host, id) = (self.session.host.clone(), self.session.id.clone());
        let filters = [Filter::all().host(host).session(id)];
        let at = |start| {
            bus.read(topology::EVENTS, &filters, start)
                .expect_created(self.at.stream_created)
        };
        let mut reader = at(Start::Seq(self.after_seq + 1));
        match reader.open().await {
            Err(ReadError::Discarded { .. }) => {
                reader = at(Start::First);
                reader.open().await?;
            }
            other => drop(other?),
        }
        Ok(reader)
    }
}

/// An event as the page shows it; one that is no JSON is left out, as the fold left it out.
fn event(stored: &Stored) -> Option<StoredEvent> {
    Some(StoredEvent {
        seq: stored.seq,
        at: stored.at,
        event: serde_json::from_slice(&stored.payload).ok()?,
    })
}

/// Leaves out the spans of the oldest turns if there are too many.
fn fit(turns: &mut [Turn]) {
    let mut room = TURN_BYTES_MAX;
    for turn in turns.iter_mut().rev() {
        let bytes = serde_json::to_vec(turn).map_or(0, |json| json.len());
        if bytes > room {
            turn.truncated += turn.spans.iter().map(|span| span.subtree_tool_calls).sum::<u64>();
            turn.spans.clear();
        }
        room = room.saturating_sub(bytes);
    }
}
