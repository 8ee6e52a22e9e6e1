//! `GET /api/v1/stream`: the log as server-sent events.
//!
//! Frames: `hello` (incarnation and first sequence), then each event under its type, with the whole envelope as data and
//! [`frame::Place`] as id; `gap` where the log no longer holds what was asked for; `reset` and then `snapshot` where the
//! client's place is in a log that is no more.

mod asked;
mod client;
pub(crate) mod follow;
pub(crate) mod frame;
pub(crate) mod outlet;
mod socket;
pub(crate) mod tail;

pub(crate) use asked::moment;

use crate::config::Stream as Config;
use crate::fleet::Fleet;
use asked::Asked;
use axum::body::Body;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use client::Client;
use follow::Follower;
use frame::{NoPlace, Place};
use muster_bus::Bus;
use muster_runtime::drain::Drain;
use muster_runtime::http::Problem;
use muster_telemetry::metrics::Gauge;
use muster_wire::time;
use outlet::{CHUNKS_WAITING, Left, Outlet};
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tail::Epochs;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_stream::wrappers::ReceiverStream;

/// When a client that found no place should come again.
const FULL_RETRY: Duration = Duration::from_secs(5);
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
/// What keeps nginx and its like from collecting a stream before they pass it on.
const ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// What serves streams.
#[derive(Clone)]
pub(crate) struct Streams {
    pub(crate) bus: Bus,
    pub(crate) fleet: Fleet,
    pub(crate) epochs: Epochs,
    pub(crate) config: Config,
    pub(crate) places: Arc<Semaphore>,
    pub(crate) clients: Gauge,
    pub(crate) drain: Drain,
}

/// The handler.
pub(crate) async fn open(
    State(streams): State<Streams>,
    Query(query): Query<Vec<(String, String)>>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let header = last_event_id(&headers)?;
    let now = time::from_system(SystemTime::now());
    let asked = Asked::read(&query, header, now).map_err(|error| bad_query(&error))?;
    let slot = streams.admit()?;
    let (follower, fleet) = (streams.follower(), streams.fleet);
    Ok(slot.stream(None, |outlet, left| async move {
        let client = Client {
            follower,
            fleet,
            asked,
            outlet,
        };
        tokio::select! {
            () = client.run() => {}
            () = left.wait() => {}
        }
    }))
}

/// What a client that comes back sends of itself.
pub(crate) fn last_event_id(headers: &HeaderMap) -> Result<Option<&str>, Problem> {
    let value = headers.get(LAST_EVENT_ID).map(|value| value.to_str());
    value.transpose().map_err(|_| bad_query(&NoPlace))
}

/// The same, read; nothing where it is empty.
pub(crate) fn last_place(headers: &HeaderMap) -> Result<Option<Place>, Problem> {
    let text = last_event_id(headers)?.filter(|text| !text.is_empty());
    text.map(|text| text.parse().map_err(|error: NoPlace| bad_query(&error)))
        .transpose()
}

fn bad_query(error: &dyn std::error::Error) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "bad-query", error.to_string())
}

impl Streams {
    /// A way to the log for one client.
    pub(crate) fn follower(&self) -> Follower {
        Follower {
            bus: self.bus.clone(),
            epochs: self.epochs.clone(),
        }
    }

    /// Room for one more client, and a log to show it.
    pub(crate) fn admit(&self) -> Result<Slot, Problem> {
        let unavailable = |kind, text: &str| Problem::new(StatusCode::SERVICE_UNAVAILABLE, kind, text);
        let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else {
            let problem = unavailable(
                "too-many-clients",
                "as many clients as stream.clients_max allows are connected",
            );
            return Err(problem.retry_after(FULL_RETRY));
        };
        if self.epochs.borrow().is_none() {
            return Err(unavailable("no-log", "the log was not found yet; see /readyz").retry_after(FULL_RETRY));
        }
        Ok(Slot {
            streams: self.clone(),
            place,
        })
    }
}

/// Room for one client.
pub(crate) struct Slot {
    streams: Streams,
    place: OwnedSemaphorePermit,
}

impl Slot {
    /// The response that `client` fills, over a socket where one is wanted. It ends by itself once its client has left.
    pub(crate) fn stream<F>(self, socket: Option<WebSocketUpgrade>, client: impl FnOnce(Outlet, Left) -> F) -> Response
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let Self { streams, place } = self;
        let (chunks, taken) = mpsc::channel(CHUNKS_WAITING);
        let left = Left::new(chunks.clone(), streams.drain.clone());
        let (write_timeout, keep_alive) = (streams.config.write_timeout.get(), streams.config.keep_alive.get());
        let client = client(Outlet::new(chunks, write_timeout, keep_alive), left);
        let (clients, places, limit) = (streams.clients, streams.places, streams.config.clients_max);
        let count = move || clients.set(limit.saturating_sub(places.available_permits()) as f64);
        count();
        streams.drain.tracker().spawn(async move {
            client.await;
            drop(place);
            count();
        });
        if let Some(socket) = socket {
            return socket::upgrade(socket, taken);
        }
        let headers = [
            (header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream")),
            (
                header::CACHE_CONTROL,
                HeaderValue::from_static("no-cache, no-transform"),
            ),
            (ACCEL_BUFFERING, HeaderValue::from_static("no")),
        ];
        (headers, Body::from_stream(ReceiverStream::new(taken))).into_response()
    }
}

/// Has the system end connections whose peer takes nothing for so long: while a socket cannot be written, nobody is asked
/// for more, so nobody here could notice. Where the system cannot, only the socket stays; its client is given up anyway.
#[cfg(target_os = "linux")]
pub(crate) fn drop_stalled(listener: &tokio::net::TcpListener, after: Duration) {
    let millis = u32::try_from(after.as_millis()).unwrap_or(u32::MAX);
    // Accepted sockets inherit it.
    if let Err(error) = rustix::net::sockopt::set_tcp_user_timeout(listener, millis) {
        tracing::warn!(%error, "stalled connections will not be closed by the system");
    }
}

/// As above: other systems have no such limit.
#[cfg(not(target_os = "linux"))]
pub(crate) fn drop_stalled(_: &tokio::net::TcpListener, _: Duration) {}
