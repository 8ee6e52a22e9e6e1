//! Approvals over REST: what waits for an answer, and the answer.
//!
//! Whoever answers presents the operator's token. It is not known here: the request to the orchestrator is signed with
//! whatever was presented, the orchestrator judges, and its verdict is handed on. So this service can be asked by anybody and
//! decides nothing. Where the surface has a token of its own, that one opens the lists and is no operator's.

use crate::api::{self, Asked};
use crate::fleet::Fleet;
use axum::Router;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use muster_bus::operator::Key;
use muster_bus::service::Credentials;
use muster_domain::approval::{ApprovalId, Scope};
use muster_domain::names::{HostName, SessionId};
use muster_runtime::http::{self, Guard, Problem, bearer, content_type, read_body};
use muster_wire::RawData;
use muster_wire::api::{ApprovalRequest, ApprovalState, ApprovalsListRequest, ApprovalsResolveRequest, Taken, Verdict};
use muster_wire::subject::Operation;
use serde::Deserialize;

const PATH: &str = "/api/v1/approvals";

/// What the routes work with.
#[derive(Debug, Clone)]
pub(crate) struct Desk {
    pub(crate) fleet: Fleet,
    pub(crate) guard: Guard,
    pub(crate) http: http::Config,
}

/// Answers carry the operator's token where others carry the service's.
pub(crate) fn brings_operator_token(method: &Method, path: &str) -> bool {
    *method == Method::POST && path.strip_prefix(PATH).is_some_and(|rest| rest.starts_with('/'))
}

pub(crate) fn routes(desk: Desk) -> Router {
    Router::new()
        .route("/api/v1/approvals", get(list))
        .route("/api/v1/approvals/{id}", get(show).post(resolve))
        .with_state(desk)
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ListQuery {
    state: Option<String>,
    host: Option<String>,
    session: Option<String>,
    limit: Option<String>,
    cursor: Option<String>,
}

async fn list(State(desk): State<Desk>, query: Asked<ListQuery>) -> Result<Response, Problem> {
    let query = api::understood(query)?;
    let request = ApprovalsListRequest {
        state: match query.state.as_deref() {
            None | Some("open") => ApprovalState::Open,
            Some("all") => ApprovalState::All,
            Some(_) => return Err(api::bad("state", "open or all")),
        },
        session: api::parse::<SessionId>("session", query.session)?,
        host: api::parse::<HostName>("host", query.host)?,
        cursor: api::parse::<ApprovalId>("cursor", query.cursor)?,
        limit: api::parse("limit", query.limit)?,
    };
    Ok(api::forward(&desk.fleet, Operation::ApprovalsList, &request).await)
}

async fn show(State(desk): State<Desk>, Path(id): Path<String>) -> Result<Response, Problem> {
    let request = ApprovalRequest { id: which(&id)? };
    Ok(api::forward(&desk.fleet, Operation::ApprovalsGet, &request).await)
}

fn which(id: &str) -> Result<ApprovalId, Problem> {
    id.parse().map_err(|_| {
        let detail = format!("no approval is called {id:?}; ids are whole here");
        Problem::new(StatusCode::NOT_FOUND, "not-found", detail)
    })
}

/// An answer, as it is posted to an approval's own address.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Answer {
    decision: Verdict,
    #[serde(default)]
    reason: Option<String>,
    #[serde(default)]
    scope: Scope,
    #[serde(default)]
    interrupt: bool,
    #[serde(default)]
    answers: Option<RawData>,
    #[serde(default)]
    updated_input: Option<RawData>,
    #[serde(default)]
    request_id: Option<String>,
}

async fn resolve(
    State(desk): State<Desk>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    content_type(&headers, &["application/json"])?;
    let credentials = Credentials {
        operator: Some(desk.presented(&headers)?),
        ..Credentials::default()
    };
    let body = read_body(body, &desk.http).await?;
    let answer: Answer = serde_json::from_slice(&body)
        .map_err(|error| Problem::new(StatusCode::BAD_REQUEST, "bad-request", error.to_string()))?;
    let request = ApprovalsResolveRequest {
        id: which(&id)?,
        decision: answer.decision,
        reason: answer.reason,
        scope: answer.scope,
        interrupt: answer.interrupt,
        answers: answer.answers,
        updated_input: answer.updated_input,
        request_id: answer.request_id,
    };
    let asked = desk
        .fleet
        .order(&credentials, Operation::ApprovalsResolve, &request)
        .await;
    Ok(match asked {
        Err(error) => error.into_response(),
        Ok(told) => {
            let status = match serde_json::from_slice(&told) {
                Ok(Told {
                    outcome: Taken::AlreadyResolved,
                }) => StatusCode::CONFLICT,
                Ok(Told {
                    outcome: Taken::Applied,
                })
                | Err(_) => StatusCode::OK,
            };
            (status, api::json_as_is(told)).into_response()
        }
    })
}

#[derive(Deserialize)]
struct Told {
    outcome: Taken,
}

impl Desk {
    /// What was presented as the operator's token.
    fn presented(&self, headers: &HeaderMap) -> Result<Key, Problem> {
        let token = bearer(headers).ok_or_else(|| {
            Problem::new(
                StatusCode::UNAUTHORIZED,
                "unauthorized",
                "send authorization: Bearer with the operator's token",
            )
        })?;
        let wrong = |detail: &str| Problem::new(StatusCode::FORBIDDEN, "forbidden", detail);
        // Nothing is ever signed with it, so nobody who sees signatures can learn anything about it.
        if self.guard.is_service_token(token) {
            return Err(wrong("this is the service's token; answering needs the operator's"));
        }
        Key::new(token).map_err(|error| wrong(&error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_answers_bring_the_operators_token() {
        for (method, path, expected) in [
            (Method::POST, "/api/v1/approvals/x", true),
            (Method::GET, "/api/v1/approvals/x", false),
            (Method::POST, "/api/v1/approvals", false),
            (Method::POST, "/api/v1/approvalsx/y", false),
            (Method::POST, "/api/v1/sessions", false),
        ] {
            assert_eq!(brings_operator_token(&method, path), expected, "{method} {path}");
        }
    }
}
