//! Questions, answered from the state. Pure but for a page of events, which is read from the log.

use bytes::Bytes;
use muster_bus::read::Start;
use muster_bus::service::Failure;
use muster_bus::{Bus, Stored};
use muster_domain::fleet::{Fleet, SessionKey};
use muster_domain::ids::InstanceId;
use muster_domain::names::{HostName, SessionId};
use muster_domain::time::Timestamp;
use muster_domain::view;
use muster_wire::api::{
    self, ApiError, AuditDigest, Cursor, ErrorKind, Hello, HelloRequest, HostSummary, HostsList, HostsListRequest,
    Position, Reply, Session, SessionDetail, SessionDetailRequest, SessionRequest, SessionSummary, SessionsList,
    SessionsListRequest, Status, StoredEvent,
};
use muster_wire::subject::Operation;
use muster_wire::{Filter, limits, snapshot, topology};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::ops::Bound;
use std::time::Duration;

/// Bytes of events in one page at most: with the rest of the answer it stays below the hub's 1 MiB a message.
const PAGE_BYTES_MAX: usize = 512 * 1024;
/// How long reading one page may take before what was read is the page.
const PAGE_WITHIN: Duration = Duration::from_secs(2);

/// What the answers are drawn from.
pub(crate) struct Asked<'a> {
    pub(crate) fleet: &'a Fleet,
    pub(crate) stream_created: Timestamp,
    pub(crate) instance: InstanceId,
    pub(crate) leading: bool,
    pub(crate) uptime: Duration,
    pub(crate) queue_depth: u64,
    pub(crate) last_error: Option<&'a str>,
}

/// An answer, or what is missing for it.
pub(crate) enum Answer {
    /// It is ready.
    Ready(Result<Bytes, Failure>),
    /// Ready but for a page of events.
    WithEvents(Box<Wanted>),
}

/// A detail whose page of events is still to be read.
pub(crate) struct Wanted {
    at: Position,
    session: SessionKey,
    detail: SessionDetail,
    after_seq: u64,
    rows: usize,
}

/// Answers one request.
pub(crate) fn to(asked: &Asked<'_>, operation: Operation, body: &[u8]) -> Answer {
    let ready = match operation {
        Operation::Hello => read(body)
            .and_then(|request| hello(asked, &request))
            .and_then(|body| asked.reply(body)),
        Operation::Status => asked.reply(status(asked)),
        Operation::SessionsList => read(body).and_then(|request| asked.reply(sessions(asked.fleet, &request))),
        Operation::SessionsStatus => read::<SessionRequest>(body)
            .and_then(|request| summary(asked.fleet, &find(asked.fleet, &request.id, request.host.as_ref())?))
            .and_then(|session| asked.reply(Session { session })),
        Operation::SessionsDetail => match read(body).and_then(|request| detail(asked, &request)) {
            Ok(wanted) if wanted.rows > 0 => return Answer::WithEvents(Box::new(wanted)),
            Ok(wanted) => asked.reply(wanted.detail),
            Err(error) => Err(error),
        },
        Operation::HostsList => read(body).and_then(|request| asked.reply(hosts(asked.fleet, &request))),
        Operation::AuditDigest => digest(asked.fleet).and_then(|body| asked.reply(body)),
    };
    Answer::Ready(ready.map_err(|error| failure(&error)))
}

/// Reads the page of events that a detail lacks.
pub(crate) async fn with_events(bus: &Bus, mut wanted: Wanted) -> Result<Bytes, Failure> {
    let filter = Filter::all()
        .host(wanted.session.host.clone())
        .session(wanted.session.id.clone());
    let mut reader = bus.read(topology::EVENTS, &[filter], Start::Seq(wanted.after_seq + 1));
    let mut bytes = 0;
    let page = async {
        reader.open().await?;
        // One row more than asked tells whether there is a next page.
        while reader.pending() != Some(0) && wanted.detail.events.len() <= wanted.rows && bytes < PAGE_BYTES_MAX {
            let stored = reader.next().await?;
            bytes += stored.payload.len();
            wanted.detail.events.extend(stored_event(&stored));
        }
        Ok::<(), muster_bus::read::ReadError>(())
    };
    match tokio::time::timeout(PAGE_WITHIN, page).await {
        Ok(Err(error)) => {
            return Err(failure(&ApiError::new(ErrorKind::Unavailable, error.to_string())));
        }
        Ok(Ok(())) | Err(_) => {}
    }
    let complete = reader.pending() == Some(0) && wanted.detail.events.len() <= wanted.rows;
    wanted.detail.events.truncate(wanted.rows);
    wanted.detail.next_events = if complete {
        None
    } else {
        Some(wanted.detail.events.last().map_or(wanted.after_seq, |event| event.seq))
    };
    encode(&Reply::new(wanted.at, wanted.detail)).map_err(|error| failure(&error))
}

/// An event as the page shows it; one that is no JSON is left out, as the fold left it out.
fn stored_event(stored: &Stored) -> Option<StoredEvent> {
    let event = serde_json::from_slice(&stored.payload).ok()?;
    Some(StoredEvent {
        seq: stored.seq,
        at: stored.at,
        event,
    })
}

impl Asked<'_> {
    fn at(&self) -> Position {
        Position {
            seq: self.fleet.watermark(),
            stream_created: self.stream_created,
        }
    }

    fn reply<T: Serialize>(&self, body: T) -> Result<Bytes, ApiError> {
        encode(&Reply::new(self.at(), body))
    }
}

fn encode(reply: &impl Serialize) -> Result<Bytes, ApiError> {
    serde_json::to_vec(reply)
        .map(Bytes::from)
        .map_err(|error| ApiError::new(ErrorKind::Internal, error.to_string()))
}

/// A request's body; an empty one is the request with nothing set.
fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
    let body = if body.is_empty() { b"{}" } else { body };
    serde_json::from_slice(body).map_err(|error| ApiError::new(ErrorKind::BadRequest, error.to_string()))
}

fn failure(error: &ApiError) -> Failure {
    let body = serde_json::to_vec(&api::Failure { error: error.clone() }).unwrap_or_default();
    Failure {
        code: error.kind.status(),
        text: error.to_string(),
        body: body.into(),
    }
}

fn hello(asked: &Asked<'_>, request: &HelloRequest) -> Result<Hello, ApiError> {
    let (min, max) = (
        request.proto_min.unwrap_or(limits::PROTOCOL_MIN),
        request.proto_max.unwrap_or(limits::PROTOCOL_MAX),
    );
    let proto = max.min(limits::PROTOCOL_MAX);
    if proto < min.max(limits::PROTOCOL_MIN) {
        let (oldest, newest) = (limits::PROTOCOL_MIN, limits::PROTOCOL_MAX);
        return Err(ApiError::new(
            ErrorKind::Version,
            format!("versions {oldest} to {newest} are spoken here, {min} to {max} there"),
        ));
    }
    Ok(Hello {
        proto,
        proto_min: limits::PROTOCOL_MIN,
        proto_max: limits::PROTOCOL_MAX,
        version: crate::VERSION.to_owned(),
        instance: asked.instance,
        leading: asked.leading,
    })
}

fn status(asked: &Asked<'_>) -> Status {
    let (fleet, leader) = (asked.fleet, asked.fleet.leader());
    let counters = fleet.counters();
    Status {
        version: crate::VERSION.to_owned(),
        instance: asked.instance,
        leading: asked.leading,
        leader: leader.map(|leader| leader.instance),
        term: leader.map(|leader| leader.term),
        uptime_ms: millis(asked.uptime),
        queue_depth: asked.queue_depth,
        sessions: fleet.sessions().len() as u64,
        hosts: fleet.hosts().len() as u64,
        gaps: fleet.gaps(),
        redelivered: counters.redelivered,
        forked: counters.forked,
        last_error: asked.last_error.map(str::to_owned),
    }
}

fn sessions(fleet: &Fleet, request: &SessionsListRequest) -> SessionsList {
    let rows = api::page_rows(request.limit);
    let after = request
        .cursor
        .as_ref()
        .map_or(Bound::Unbounded, |cursor| Bound::Excluded(cursor.key()));
    let keys = fleet.sessions().range((after, Bound::Unbounded)).map(|(key, _)| key);
    let mut sessions: Vec<SessionSummary> = keys
        .filter_map(|key| view::session(fleet, key))
        .filter(|session| request.admits(session))
        .take(rows + 1)
        .map(SessionSummary::from)
        .collect();
    let more = sessions.len() > rows;
    sessions.truncate(rows);
    let last = sessions.last().filter(|_| more);
    let next_cursor = last.map(|row| {
        Cursor::after(SessionKey {
            host: row.host.clone(),
            id: row.id.clone(),
        })
    });
    SessionsList { sessions, next_cursor }
}

fn summary(fleet: &Fleet, key: &SessionKey) -> Result<SessionSummary, ApiError> {
    view::session(fleet, key)
        .map(SessionSummary::from)
        .ok_or_else(|| unknown(&key.id))
}

fn detail(asked: &Asked<'_>, request: &SessionDetailRequest) -> Result<Wanted, ApiError> {
    let key = find(asked.fleet, &request.id, request.host.as_ref())?;
    let session = summary(asked.fleet, &key)?;
    let turns = asked.fleet.session(&key).map(view::turns).unwrap_or_default();
    Ok(Wanted {
        at: asked.at(),
        session: key,
        detail: SessionDetail {
            session,
            turns: turns.into_iter().map(api::Turn::from).collect(),
            events: Vec::new(),
            next_events: None,
        },
        after_seq: request.after_seq.unwrap_or(0),
        rows: request.limit.map_or(0, |rows| rows.min(limits::PAGE_ROWS_MAX)),
    })
}

/// The one session of this id, or why it is not one.
fn find(fleet: &Fleet, id: &SessionId, host: Option<&HostName>) -> Result<SessionKey, ApiError> {
    let keys: Vec<&SessionKey> = fleet
        .find(id)
        .map(|(key, _)| key)
        .filter(|key| host.is_none_or(|host| *host == key.host))
        .collect();
    match keys[..] {
        [] => Err(unknown(id)),
        [key] => Ok(key.clone()),
        _ => {
            let hosts: Vec<&str> = keys.iter().map(|key| key.host.as_str()).collect();
            Err(ApiError::new(
                ErrorKind::Ambiguous,
                format!("session {id} is known on {}; name one of them", hosts.join(", ")),
            ))
        }
    }
}

fn unknown(id: &SessionId) -> ApiError {
    ApiError::new(ErrorKind::NotFound, format!("no such session: {id}"))
}

fn hosts(fleet: &Fleet, request: &HostsListRequest) -> HostsList {
    let rows = api::page_rows(request.limit);
    let after = |host: &view::HostView| request.cursor.as_ref().is_none_or(|cursor| host.name > *cursor);
    let mut hosts: Vec<HostSummary> = view::hosts(fleet)
        .filter(after)
        .take(rows + 1)
        .map(HostSummary::from)
        .collect();
    let more = hosts.len() > rows;
    hosts.truncate(rows);
    let next_cursor = hosts.last().filter(|_| more).map(|host| host.name.clone());
    HostsList { hosts, next_cursor }
}

fn digest(fleet: &Fleet) -> Result<AuditDigest, ApiError> {
    let digest = snapshot::digest(fleet).map_err(|error| ApiError::new(ErrorKind::Internal, error.to_string()))?;
    let settings = fleet.settings();
    Ok(AuditDigest {
        at_seq: fleet.watermark(),
        digest,
        silence_ms: millis(settings.silence),
        retention_ms: millis(settings.retention),
    })
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}
