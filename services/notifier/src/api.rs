//! The HTTP surface: the stream, the fleet's state, and an index of both.

use crate::fleet::{AskError, Fleet, Snapshot};
use crate::stream::{self, Streams};
use axum::extract::{Path, Query, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use bytes::Bytes;
use muster_domain::names::{AgentName, HostName, SessionId};
use muster_domain::time::Timestamp;
use muster_runtime::http::Problem;
use muster_wire::api::{
    AlertsListRequest, Cursor, HostsListRequest, SessionDetailRequest, SessionsListRequest, SessionsSearchRequest,
};
use muster_wire::subject::Operation;
use muster_wire::time;
use serde::Deserialize;
use serde::de::{DeserializeOwned, IntoDeserializer as _};
use serde_json::json;
use std::str::FromStr;
use std::time::SystemTime;

/// Every route but health and metrics.
pub(crate) fn routes(streams: Streams, fleet: Fleet) -> Router {
    Router::new()
        .route("/", get(index))
        .route("/api/v1/snapshot", get(snapshot))
        .route("/api/v1/sessions", get(sessions))
        .route("/api/v1/sessions/{id}", get(session))
        .route("/api/v1/hosts", get(hosts))
        .route("/api/v1/alerts", get(alerts))
        .route("/api/v1/search", get(search))
        .with_state(fleet)
        .merge(
            Router::new()
                .route("/api/v1/stream", get(stream::open))
                .with_state(streams),
        )
}

async fn index() -> Json<serde_json::Value> {
    let version = env!("CARGO_PKG_VERSION");
    Json(json!({
        "service": "muster-notifier",
        "version": version,
        "links": {
            "stream": "/api/v1/stream{?family,kind,host,session,agent,profile,from_seq,since,last_event_id}",
            "snapshot": "/api/v1/snapshot",
            "sessions": "/api/v1/sessions{?host,agent,state,since,limit,cursor}",
            "session": "/api/v1/sessions/{id}{?host,after_seq,limit}",
            "hosts": "/api/v1/hosts{?limit,cursor}",
            "alerts": "/api/v1/alerts{?state,rule,severity,host,session,since,limit}",
            "search": "/api/v1/search{?query,since,agent,kind,host,session,limit}",
            "approvals": "/api/v1/approvals{?state,host,session,limit,cursor}",
            "approval": "/api/v1/approvals/{id}",
            "observers": "/api/v1/observers{?limit,cursor}",
            "observer": "/api/v1/observers/{id}",
            "attach": "/api/v1/observers/{id}/attach{?steal,last_event_id}",
            "health": "/healthz",
            "ready": "/readyz",
            "metrics": "/metrics",
        },
    }))
}

async fn snapshot(State(fleet): State<Fleet>) -> Result<Snapshot, AskError> {
    fleet.snapshot().await
}

/// Query of `sessions`, as text: what does not parse is named in the answer.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SessionsQuery {
    host: Option<String>,
    agent: Option<String>,
    #[serde(alias = "status")]
    state: Option<String>,
    since: Option<String>,
    limit: Option<String>,
    cursor: Option<String>,
}

pub(crate) type Asked<T> = Result<Query<T>, axum::extract::rejection::QueryRejection>;

async fn sessions(State(fleet): State<Fleet>, query: Asked<SessionsQuery>) -> Result<Response, Problem> {
    let query = understood(query)?;
    let now = time::from_system(SystemTime::now());
    let request = SessionsListRequest {
        cursor: parse::<Cursor>("cursor", query.cursor)?,
        limit: parse("limit", query.limit)?,
        host: parse::<HostName>("host", query.host)?,
        agent: parse::<AgentName>("agent", query.agent)?,
        state: named("state", query.state)?,
        since: query.since.as_deref().map(|text| since(text, now)).transpose()?,
    };
    Ok(forward(&fleet, Operation::SessionsList, &request).await)
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SessionQuery {
    host: Option<String>,
    after_seq: Option<String>,
    limit: Option<String>,
}

async fn session(
    State(fleet): State<Fleet>,
    Path(id): Path<String>,
    query: Asked<SessionQuery>,
) -> Result<Response, Problem> {
    let query = understood(query)?;
    let request = SessionDetailRequest {
        id: SessionId::new(&id).map_err(|error| bad("id", &error.to_string()))?,
        host: parse::<HostName>("host", query.host)?,
        after_seq: parse("after_seq", query.after_seq)?,
        limit: parse("limit", query.limit)?,
    };
    Ok(forward(&fleet, Operation::SessionsDetail, &request).await)
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct HostsQuery {
    limit: Option<String>,
    cursor: Option<String>,
}

async fn hosts(State(fleet): State<Fleet>, query: Asked<HostsQuery>) -> Result<Response, Problem> {
    let query = understood(query)?;
    let request = HostsListRequest {
        cursor: parse::<HostName>("cursor", query.cursor)?,
        limit: parse("limit", query.limit)?,
    };
    Ok(forward(&fleet, Operation::HostsList, &request).await)
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct AlertsQuery {
    state: Option<String>,
    rule: Option<String>,
    severity: Option<String>,
    host: Option<String>,
    session: Option<String>,
    since: Option<String>,
    limit: Option<String>,
}

async fn alerts(State(fleet): State<Fleet>, query: Asked<AlertsQuery>) -> Result<Response, Problem> {
    let query = understood(query)?;
    let now = time::from_system(SystemTime::now());
    let request = AlertsListRequest {
        state: named("state", query.state)?.unwrap_or_default(),
        rule: named("rule", query.rule)?,
        severity: named("severity", query.severity)?,
        host: parse::<HostName>("host", query.host)?,
        session: parse::<SessionId>("session", query.session)?,
        since: query.since.as_deref().map(|text| since(text, now)).transpose()?,
        limit: parse("limit", query.limit)?,
    };
    Ok(forward(&fleet, Operation::AlertsList, &request).await)
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SearchQuery {
    query: String,
    since: Option<String>,
    agent: Option<String>,
    kind: Option<String>,
    host: Option<String>,
    session: Option<String>,
    limit: Option<String>,
}

async fn search(State(fleet): State<Fleet>, query: Asked<SearchQuery>) -> Result<Response, Problem> {
    let query = understood(query)?;
    let now = time::from_system(SystemTime::now());
    let request = SessionsSearchRequest {
        query: query.query,
        since: query.since.as_deref().map(|text| since(text, now)).transpose()?,
        agent: parse::<AgentName>("agent", query.agent)?,
        kind: named("kind", query.kind)?,
        host: parse::<HostName>("host", query.host)?,
        session: parse::<SessionId>("session", query.session)?,
        limit: parse("limit", query.limit)?,
    };
    Ok(forward(&fleet, Operation::SessionsSearch, &request).await)
}

fn since(text: &str, now: Timestamp) -> Result<Timestamp, Problem> {
    stream::moment(text, now).ok_or_else(|| bad("since", "a moment or a span, as in 2026-11-21T12:00:00Z or 15m"))
}

pub(crate) async fn forward(fleet: &Fleet, operation: Operation, request: &impl serde::Serialize) -> Response {
    match fleet.ask(operation, request).await {
        Ok(answer) => json_as_is(answer),
        Err(error) => error.into_response(),
    }
}

pub(crate) fn json_as_is(answer: Bytes) -> Response {
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("application/json")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    (headers, answer).into_response()
}

pub(crate) fn understood<T>(query: Asked<T>) -> Result<T, Problem> {
    query.map(|Query(query)| query).map_err(|error| {
        use std::error::Error as _;
        let inner = error.source().map_or_else(|| error.to_string(), ToString::to_string);
        Problem::new(StatusCode::BAD_REQUEST, "bad-query", inner)
    })
}

pub(crate) fn parse<T: FromStr<Err: std::fmt::Display>>(
    key: &str,
    value: Option<String>,
) -> Result<Option<T>, Problem> {
    value
        .map(|value| value.parse().map_err(|error: T::Err| bad(key, &error.to_string())))
        .transpose()
}

/// One of a few words.
fn named<T: DeserializeOwned>(key: &str, value: Option<String>) -> Result<Option<T>, Problem> {
    let read = |text: String| {
        let text: serde::de::value::StringDeserializer<serde::de::value::Error> = text.into_deserializer();
        T::deserialize(text).map_err(|error| bad(key, &error.to_string()))
    };
    value.map(read).transpose()
}

pub(crate) fn bad(key: &str, text: &str) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "bad-query", format!("{key}: {text}"))
}
