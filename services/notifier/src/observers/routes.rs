//! Observers over REST.

use super::attach::{Attachment, farewell};
use super::book::{Book, BookError};
use super::observed::Observed;
use super::registration::Wish;
use crate::api::{self, Asked};
use crate::stream::{Streams, last_place};
use axum::body::Body;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use muster_bus::kv::KvError;
use muster_domain::time::Timestamp;
use muster_runtime::config::ByteSize;
use muster_runtime::http::{self, Problem, content_type, read_body};
use muster_wire::limits::PAGE_ROWS_MAX;
use muster_wire::time;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use uuid::Uuid;

/// Of the protocol, as running-process counted: registration, status and stream as they are here.
const PROTOCOL_VERSION: u32 = 1;
/// A registration has some names in it, and no more.
const BODY_BYTES_MAX: u64 = 16 * 1024;
/// When to come again where the hub is away.
const AWAY_RETRY: Duration = Duration::from_secs(3);

/// What the routes work with.
#[derive(Clone)]
pub(crate) struct Desk {
    pub(crate) book: Arc<Book>,
    pub(crate) streams: Streams,
    pub(crate) progress: watch::Receiver<u64>,
    pub(crate) http: http::Config,
}

pub(crate) fn routes(mut desk: Desk) -> Router {
    desk.http.max_body = desk.http.max_body.min(ByteSize::b(BODY_BYTES_MAX));
    Router::new()
        .route("/api/v1/observers", get(list).post(register))
        .route("/api/v1/observers/{id}", get(show).delete(unregister))
        .route("/api/v1/observers/{id}/renew", post(renew))
        .route("/api/v1/observers/{id}/attach", get(attach))
        .with_state(desk)
}

/// An observer, as it is shown.
#[derive(Debug, Serialize)]
struct Shown {
    id: Uuid,
    protocol_version: u32,
    #[serde(with = "time")]
    created: Timestamp,
    #[serde(with = "time")]
    expires: Timestamp,
    #[serde(flatten)]
    wish: Wish,
    families: Vec<&'static str>,
    #[serde(with = "time")]
    stream_created: Timestamp,
    from_seq: u64,
    status: Status,
}

#[derive(Debug, Serialize)]
struct Status {
    delivered: u64,
    missed: u64,
    pending: u64,
    /// Nobody is attached.
    disconnected: bool,
    #[serde(with = "time::optional", skip_serializing_if = "Option::is_none")]
    attached_since: Option<Timestamp>,
    at_seq: u64,
}

impl Desk {
    fn shown(&self, observed: &Observed) -> Shown {
        let (record, _) = observed.present();
        let attached_since = observed.attached_since(self.book.settings.attachment_lapses);
        let families = observed.selection.families();
        Shown {
            id: record.id,
            protocol_version: PROTOCOL_VERSION,
            created: record.created,
            expires: record.expires,
            families: families.iter().map(|family| family.as_str()).collect(),
            wish: record.wish,
            stream_created: record.log.created,
            from_seq: record.log.from_seq,
            status: Status {
                delivered: record.counters.delivered,
                missed: record.counters.missed,
                pending: record.counters.pending,
                disconnected: attached_since.is_none(),
                attached_since,
                at_seq: record.counters.at_seq,
            },
        }
    }

    async fn find(&self, id: &str) -> Result<Arc<Observed>, Problem> {
        let id: Uuid = id.parse().map_err(|_| {
            let detail = format!("no observer is called {id:?}; ids are whole here");
            Problem::new(StatusCode::NOT_FOUND, "not-found", detail)
        })?;
        Ok(self.book.find(id).await?)
    }
}

async fn register(State(desk): State<Desk>, headers: HeaderMap, body: Body) -> Result<Response, Problem> {
    content_type(&headers, &["application/json"])?;
    let body = read_body(body, &desk.http).await?;
    let wish: Wish = serde_json::from_slice(&body)
        .map_err(|error| Problem::new(StatusCode::BAD_REQUEST, "bad-request", error.to_string()))?;
    let (observed, new) = desk.book.register(wish).await?;
    let status = if new { StatusCode::CREATED } else { StatusCode::OK };
    let location = HeaderValue::from_str(&format!("/api/v1/observers/{}", observed.id));
    let location = location.expect("invariant: an id has only characters of a header");
    Ok((status, [(header::LOCATION, location)], Json(desk.shown(&observed))).into_response())
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ListQuery {
    limit: Option<String>,
    cursor: Option<String>,
}

/// A page of observers.
#[derive(Debug, Serialize)]
struct Page {
    observers: Vec<Shown>,
    next_cursor: Option<Uuid>,
}

async fn list(State(desk): State<Desk>, query: Asked<ListQuery>) -> Result<Json<Page>, Problem> {
    let query = api::understood(query)?;
    let limit: Option<usize> = api::parse("limit", query.limit)?;
    let limit = limit.unwrap_or(PAGE_ROWS_MAX).clamp(1, PAGE_ROWS_MAX);
    let cursor: Option<Uuid> = api::parse("cursor", query.cursor)?;
    let (observers, next_cursor) = desk.book.page(cursor, limit).await?;
    Ok(Json(Page {
        observers: observers.iter().map(|observed| desk.shown(observed)).collect(),
        next_cursor,
    }))
}

async fn show(State(desk): State<Desk>, Path(id): Path<String>) -> Result<Json<Shown>, Problem> {
    let observed = desk.find(&id).await?;
    Ok(Json(desk.shown(&observed)))
}

async fn renew(State(desk): State<Desk>, Path(id): Path<String>) -> Result<Json<Shown>, Problem> {
    let observed = desk.find(&id).await?;
    desk.book.renew(&observed).await?;
    Ok(Json(desk.shown(&observed)))
}

/// Answers with the observer as it was last.
async fn unregister(State(desk): State<Desk>, Path(id): Path<String>) -> Result<Json<Shown>, Problem> {
    let observed = desk.find(&id).await?;
    desk.book.unregister(&observed).await?;
    Ok(Json(desk.shown(&observed)))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct AttachQuery {
    steal: Option<String>,
    last_event_id: Option<String>,
}

async fn attach(
    State(desk): State<Desk>,
    Path(id): Path<String>,
    query: Asked<AttachQuery>,
    headers: HeaderMap,
    socket: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Problem> {
    let query = api::understood(query)?;
    let socket = wanted(socket, &headers)?;
    let steal = api::parse("steal", query.steal)?.unwrap_or_default();
    let after = match last_place(&headers)? {
        Some(place) => Some(place),
        None => api::parse("last_event_id", query.last_event_id)?,
    };
    let observed = desk.find(&id).await?;
    let slot = desk.streams.admit()?;
    let claim = desk.book.claim(&observed, steal).await?;
    let (book, follower, progress) = (desk.book, desk.streams.follower(), desk.progress);
    Ok(slot.stream(socket, |outlet, left| async move {
        book.attach(&observed, claim);
        let attachment = Attachment {
            observed: Arc::clone(&observed),
            claim,
            after,
            follower,
            progress,
            outlet,
        };
        tokio::select! {
            biased;
            standing = observed.over(claim) => left.last_word(farewell(standing)).await,
            () = attachment.run() => {}
            () = left.wait() => {}
        }
        book.release(&observed, claim).await;
    }))
}

/// The socket that the client asked for; a request for one that cannot be is refused rather than answered with a stream.
fn wanted(
    socket: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
    headers: &HeaderMap,
) -> Result<Option<WebSocketUpgrade>, Problem> {
    match socket {
        Ok(socket) => Ok(Some(socket)),
        Err(_) if !headers.contains_key(header::UPGRADE) => Ok(None),
        Err(error) => Err(Problem::new(StatusCode::BAD_REQUEST, "bad-request", error.to_string())),
    }
}

impl From<BookError> for Problem {
    fn from(error: BookError) -> Self {
        let detail = error.to_string();
        let (status, kind) = match &error {
            BookError::Wish(_) => (StatusCode::BAD_REQUEST, "bad-request"),
            BookError::Unknown(_) => (StatusCode::NOT_FOUND, "not-found"),
            BookError::Taken(_) => (StatusCode::CONFLICT, "conflict"),
            BookError::Attached(_) => (StatusCode::CONFLICT, "attached"),
            BookError::Full(_) | BookError::Crowded { .. } => (StatusCode::TOO_MANY_REQUESTS, "too-many-observers"),
            BookError::NotListed | BookError::Log(_) => (StatusCode::SERVICE_UNAVAILABLE, "hub-away"),
            BookError::Kv(KvError::Refused(_)) => (StatusCode::BAD_GATEWAY, "refused"),
            BookError::Kv(KvError::Conflict { .. } | KvError::Unknown(_) | KvError::Away(_) | KvError::Read(_)) => {
                (StatusCode::SERVICE_UNAVAILABLE, "hub-away")
            }
        };
        let problem = Self::new(status, kind, detail);
        if status == StatusCode::SERVICE_UNAVAILABLE {
            problem.retry_after(AWAY_RETRY)
        } else {
            problem
        }
    }
}
