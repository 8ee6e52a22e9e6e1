//! What is known of the fleet: asked of the orchestrator, never kept here.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use muster_bus::Bus;
use muster_bus::Refusal;
use muster_bus::service::{Credentials, RequestError};
use muster_domain::time::Timestamp;
use muster_runtime::http::Problem;
use muster_wire::api::{
    ApiError, ErrorKind, Failure, HostSummary, HostsList, HostsListRequest, Reply, SessionSummary, SessionsList,
    SessionsListRequest,
};
use muster_wire::limits::PAGE_ROWS_MAX;
use muster_wire::subject::{Caller, Operation};
use muster_wire::{Request, time};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::time::Duration;

/// When somebody who finds no leader should ask again: a lease and an election.
const NO_LEADER_RETRY: Duration = Duration::from_secs(3);

/// Why the orchestrator gave no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AskError {
    #[error(transparent)]
    Request(#[from] RequestError),
    #[error("the orchestrator's answer cannot be read: {0}")]
    Unreadable(#[from] serde_json::Error),
    #[error("the orchestrator's pages are of different logs; ask again")]
    Torn,
}

/// Everything that is known at one place of the log. The events after `seq` are all that is missing: some of the rows may
/// already know of the first few, never the other way round.
#[derive(Debug, Serialize)]
pub(crate) struct Snapshot {
    /// The lowest place of any page.
    pub(crate) seq: u64,
    #[serde(with = "time")]
    pub(crate) stream_created: Timestamp,
    pub(crate) sessions: Vec<SessionSummary>,
    pub(crate) hosts: Vec<HostSummary>,
}

/// The way to the orchestrator.
#[derive(Debug, Clone)]
pub(crate) struct Fleet {
    pub(crate) bus: Bus,
    pub(crate) caller: Caller,
    pub(crate) timeout: Duration,
}

impl Fleet {
    /// Asks, and hands the answer on as it is.
    pub(crate) async fn ask(&self, operation: Operation, request: &impl Serialize) -> Result<Bytes, AskError> {
        self.order(&Credentials::default(), operation, request).await
    }

    /// Has something decided, on behalf of whoever these credentials are.
    pub(crate) async fn order(
        &self,
        credentials: &Credentials,
        operation: Operation,
        request: &impl Serialize,
    ) -> Result<Bytes, AskError> {
        let body = serde_json::to_vec(request)?;
        let request = Request {
            operation,
            caller: self.caller.clone(),
        };
        let asked = self.bus.request_as(credentials, &request, body.into(), self.timeout);
        Ok(asked.await?)
    }

    /// All sessions and hosts.
    pub(crate) async fn snapshot(&self) -> Result<Snapshot, AskError> {
        let (mut sessions, mut cursor, mut places) = (Vec::new(), None, Vec::new());
        loop {
            let request = SessionsListRequest {
                cursor,
                limit: Some(PAGE_ROWS_MAX),
                ..SessionsListRequest::default()
            };
            let page: Reply<SessionsList> = self.read(Operation::SessionsList, &request).await?;
            places.push((page.stream_created, page.seq));
            sessions.extend(page.body.sessions);
            cursor = page.body.next_cursor;
            if cursor.is_none() {
                break;
            }
        }
        let (mut hosts, mut cursor) = (Vec::new(), None);
        loop {
            let request = HostsListRequest {
                cursor,
                limit: Some(PAGE_ROWS_MAX),
            };
            let page: Reply<HostsList> = self.read(Operation::HostsList, &request).await?;
            places.push((page.stream_created, page.seq));
            hosts.extend(page.body.hosts);
            cursor = page.body.next_cursor;
            if cursor.is_none() {
                break;
            }
        }
        let (stream_created, seq) = lowest(&places).ok_or(AskError::Torn)?;
        Ok(Snapshot {
            seq,
            stream_created,
            sessions,
            hosts,
        })
    }

    async fn read<T: DeserializeOwned>(
        &self,
        operation: Operation,
        request: &impl Serialize,
    ) -> Result<Reply<T>, AskError> {
        let answer = self.ask(operation, request).await?;
        Reply::read(&answer).map_err(|error| match error {
            muster_wire::api::ReplyError::Malformed(error) => error.into(),
            muster_wire::api::ReplyError::Refused(error) => refused(&error).into(),
        })
    }
}

/// The lowest sequence, when all are of the same log.
fn lowest(places: &[(Timestamp, u64)]) -> Option<(Timestamp, u64)> {
    let (created, _) = places.first()?;
    let same = places.iter().all(|(other, _)| other == created);
    same.then(|| places.iter().map(|(_, seq)| *seq).min().map(|seq| (*created, seq)))?
}

fn refused(error: &ApiError) -> RequestError {
    RequestError::Failed(muster_bus::service::Failure {
        code: error.kind.status(),
        text: error.to_string(),
        body: Bytes::new(),
    })
}

impl IntoResponse for AskError {
    fn into_response(self) -> Response {
        let unavailable = |kind, text: String| Problem::new(StatusCode::SERVICE_UNAVAILABLE, kind, text);
        let problem = match self {
            Self::Request(RequestError::NoOrchestrator) => {
                unavailable("no-orchestrator", RequestError::NoOrchestrator.to_string()).retry_after(NO_LEADER_RETRY)
            }
            Self::Request(RequestError::Unanswered(why)) => {
                Problem::new(StatusCode::GATEWAY_TIMEOUT, "unanswered", why.to_string()).retry_after(NO_LEADER_RETRY)
            }
            Self::Request(RequestError::Away(why)) => {
                unavailable("hub-away", why.to_string()).retry_after(NO_LEADER_RETRY)
            }
            Self::Request(RequestError::Failed(failure)) => return failed(&failure).into_response(),
            Self::Torn => unavailable("torn", Self::Torn.to_string()).retry_after(Duration::from_secs(1)),
            Self::Request(RequestError::Refused(Refusal::TooLarge(_))) => Problem::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                "too-large",
                "the hub takes no request of this size",
            ),
            other @ (Self::Request(RequestError::Refused(_)) | Self::Unreadable(_)) => {
                Problem::new(StatusCode::BAD_GATEWAY, "unreadable", other.to_string())
            }
        };
        problem.into_response()
    }
}

/// The orchestrator's no, as this surface says no.
fn failed(failure: &muster_bus::service::Failure) -> Problem {
    let Ok(Failure { error }) = serde_json::from_slice(&failure.body) else {
        let status = StatusCode::from_u16(failure.code).unwrap_or(StatusCode::BAD_GATEWAY);
        return Problem::new(status, "refused", failure.text.clone());
    };
    let status = StatusCode::from_u16(error.kind.status()).unwrap_or(StatusCode::BAD_GATEWAY);
    let kind = match error.kind {
        ErrorKind::BadRequest => "bad-request",
        ErrorKind::TooLarge => "too-large",
        ErrorKind::NotFound => "not-found",
        ErrorKind::Ambiguous => "ambiguous",
        ErrorKind::Forbidden => "forbidden",
        ErrorKind::Conflict => "conflict",
        ErrorKind::Version => "version",
        ErrorKind::Unavailable => "unavailable",
        ErrorKind::Internal => "internal",
    };
    let problem = Problem::new(status, kind, error.detail);
    match error.kind {
        ErrorKind::Unavailable => problem.retry_after(NO_LEADER_RETRY),
        ErrorKind::BadRequest
        | ErrorKind::TooLarge
        | ErrorKind::NotFound
        | ErrorKind::Ambiguous
        | ErrorKind::Forbidden
        | ErrorKind::Conflict
        | ErrorKind::Version
        | ErrorKind::Internal => problem,
    }
}

impl IntoResponse for Snapshot {
    fn into_response(self) -> Response {
        Json(self).into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_stands_at_its_lowest_page_of_one_log() {
        let at = Timestamp::from_millis;
        assert_eq!(lowest(&[(at(1), 7), (at(1), 5), (at(1), 9)]), Some((at(1), 5)));
        assert_eq!(lowest(&[(at(1), 7), (at(2), 5)]), None);
        assert_eq!(lowest(&[]), None);
    }
}
