//! Questions to the orchestrator.

use crate::args::Global;
use crate::hub;
use muster_bus::Bus;
use muster_bus::service::{Credentials, RequestError};
use muster_domain::names::{HostName, SessionId};
use muster_runtime::exit::Failure;
use muster_wire::api::{self, ApiError, ErrorKind, Position, SessionSummary, SessionsList, SessionsListRequest};
use muster_wire::limits::PAGE_ROWS_MAX;
use muster_wire::subject::{Caller, Operation, Request};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::time::Duration;
use tokio::time::{Instant, sleep};
use uuid::Uuid;

/// How long one answer may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long it is asked again while nobody leads: an election takes less than the lease and a little.
const ELECTION: Duration = Duration::from_secs(4);
/// How long something is asked for again whose outcome is not known: an answer's patience, and an election.
const TAKEOVER: Duration = Duration::from_secs(15);

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AskError {
    /// The orchestrator says no.
    #[error("{}", .0.detail)]
    Refused(ApiError),
    /// It did not say anything.
    #[error(transparent)]
    Request(RequestError),
    /// It said something else.
    #[error("the answer cannot be read; is the orchestrator of another version? ({0})")]
    Unreadable(#[from] serde_json::Error),
}

impl AskError {
    /// The error with the exit status it stands for.
    pub(crate) fn fatal(self) -> anyhow::Error {
        let text = self.to_string();
        match &self {
            Self::Refused(error) => match error.kind {
                ErrorKind::BadRequest
                | ErrorKind::TooLarge
                | ErrorKind::NotFound
                | ErrorKind::Ambiguous
                | ErrorKind::Forbidden
                | ErrorKind::Conflict => anyhow::Error::from(Failure::Usage(text)),
                ErrorKind::Version | ErrorKind::Unavailable => Failure::Unavailable(text).into(),
                ErrorKind::Internal => self.into(),
            },
            Self::Request(_) => Failure::Unavailable(text).into(),
            Self::Unreadable(_) => self.into(),
        }
    }
}

/// Asks, and reads the answer and the place of the log that it reflects.
pub(crate) async fn ask<A: DeserializeOwned>(
    bus: &Bus,
    operation: Operation,
    question: &impl Serialize,
) -> Result<(Position, A), AskError> {
    ask_as(bus, &Credentials::default(), operation, question).await
}

/// Has something decided, as an operator. What is asked has a `request_id`, so when it is not known what became of it, it is
/// asked again and done once.
pub(crate) async fn order<A: DeserializeOwned>(
    bus: &Bus,
    operator: &Credentials,
    operation: Operation,
    question: &impl Serialize,
) -> Result<(Position, A), AskError> {
    let until = Instant::now() + TAKEOVER;
    loop {
        let error = match ask_as(bus, operator, operation, question).await {
            Ok(answer) => return Ok(answer),
            Err(error) => error,
        };
        let again = match &error {
            AskError::Refused(refused) => refused.kind == ErrorKind::Unavailable,
            AskError::Request(RequestError::Refused(_)) | AskError::Unreadable(_) => false,
            AskError::Request(_) => true,
        };
        if !again || Instant::now() >= until {
            return Err(error);
        }
        sleep(Duration::from_millis(100)).await;
    }
}

/// Has something decided, with the operator's token that the flags name.
///
/// # Errors
/// With the exit status that stands for it.
pub(crate) async fn command<A: DeserializeOwned>(
    bus: &Bus,
    global: &Global,
    operation: Operation,
    question: &impl Serialize,
) -> anyhow::Result<A> {
    let operator = hub::operator(global)?;
    let answered = order(bus, &operator, operation, question).await;
    answered.map(|(_, answer)| answer).map_err(AskError::fatal)
}

/// A name for a request: the same again is the same request.
pub(crate) fn request_id() -> String {
    Uuid::now_v7().to_string()
}

/// Who asks: this machine's user, as one subject token.
fn caller() -> Caller {
    let user = ["USER", "LOGNAME"].iter().find_map(|name| std::env::var(name).ok());
    let user = user.unwrap_or_else(|| user_of(rustix::process::getuid().as_raw()));
    let name = HostName::from_hostname(&format!("op-{user}"));
    let caller = name.ok().and_then(|name| Caller::new(name.as_str()).ok());
    caller.unwrap_or_else(|| Caller::new("operator").expect("invariant: a legal name"))
}

/// The name of a user whose environment does not tell it, as under cron; their number where this machine knows no name.
fn user_of(uid: u32) -> String {
    let number = uid.to_string();
    let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let named = users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)? == number).then(|| name.to_owned())
    });
    named.unwrap_or(number)
}

/// Asks, and shows who asks.
async fn ask_as<A: DeserializeOwned>(
    bus: &Bus,
    credentials: &Credentials,
    operation: Operation,
    question: &impl Serialize,
) -> Result<(Position, A), AskError> {
    let request = Request {
        operation,
        caller: caller(),
    };
    let body: Vec<u8> = serde_json::to_vec(question)?;
    let until = Instant::now() + ELECTION;
    let answer = loop {
        match bus
            .request_as(credentials, &request, body.clone().into(), PATIENCE)
            .await
        {
            Err(RequestError::NoOrchestrator) if Instant::now() < until => sleep(Duration::from_millis(100)).await,
            Err(RequestError::Failed(failed)) => {
                return Err(match serde_json::from_slice::<api::Failure>(&failed.body) {
                    Ok(failure) => AskError::Refused(failure.error),
                    Err(_) => AskError::Request(RequestError::Failed(failed)),
                });
            }
            Err(error) => return Err(AskError::Request(error)),
            Ok(answer) => break answer,
        }
    };
    // Read twice: what is kept as raw JSON inside an answer does not survive being flattened.
    Ok((serde_json::from_slice(&answer)?, serde_json::from_slice(&answer)?))
}

/// Every session that the filter admits, page by page.
pub(crate) async fn sessions(bus: &Bus, mut filter: SessionsListRequest) -> Result<Vec<SessionSummary>, AskError> {
    filter.limit = Some(PAGE_ROWS_MAX);
    let mut all = Vec::new();
    loop {
        let (_, page): (_, SessionsList) = ask(bus, Operation::SessionsList, &filter).await?;
        all.extend(page.sessions);
        match page.next_cursor {
            Some(cursor) => filter.cursor = Some(cursor),
            None => return Ok(all),
        }
    }
}

/// The one session whose id begins with `start`; a whole id wins over ids that begin with it.
pub(crate) async fn session(
    bus: &Bus,
    start: &str,
    host: Option<&HostName>,
) -> Result<(HostName, SessionId), AskError> {
    let filter = SessionsListRequest {
        host: host.cloned(),
        ..SessionsListRequest::default()
    };
    let known = sessions(bus, filter).await?;
    pick(start, known.iter().map(|row| (&row.host, &row.id))).map_err(AskError::Refused)
}

fn pick<'a>(
    start: &str,
    known: impl Iterator<Item = (&'a HostName, &'a SessionId)>,
) -> Result<(HostName, SessionId), ApiError> {
    let mut meant: Vec<_> = known.filter(|(_, id)| id.as_str().starts_with(start)).collect();
    if meant.iter().any(|(_, id)| id.as_str() == start) {
        meant.retain(|(_, id)| id.as_str() == start);
    }
    match meant[..] {
        [] => Err(ApiError::new(
            ErrorKind::NotFound,
            format!("no session's id begins with {start:?}"),
        )),
        [(host, id)] => Ok((host.clone(), id.clone())),
        _ => {
            // Few enough to read, with their hosts.
            let mut list: Vec<String> = meant
                .iter()
                .take(5)
                .map(|(host, id)| format!("{id} on {host}"))
                .collect();
            if meant.len() > list.len() {
                list.push(format!("{} more", meant.len() - list.len()));
            }
            let list = list.join(", ");
            let detail = format!("{start:?} is not one session: {list}; give more of its id, or --host");
            Err(ApiError::new(ErrorKind::Ambiguous, detail))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picked(start: &str, known: &[(&str, &str)]) -> Result<String, String> {
        let known: Vec<_> = known
            .iter()
            .map(|(host, id)| (HostName::new(host).unwrap(), SessionId::new(id).unwrap()))
            .collect();
        pick(start, known.iter().map(|(host, id)| (host, id)))
            .map(|(host, id)| format!("{id}@{host}"))
            .map_err(|error| error.detail)
    }

    #[test]
    fn a_beginning_names_a_session_while_it_is_the_only_one() {
        let known = [("a", "abc1"), ("a", "abd2"), ("b", "abd2"), ("b", "ab")];
        assert_eq!(picked("abc", &known).unwrap(), "abc1@a");
        assert_eq!(picked("ab", &known).unwrap(), "ab@b");
        assert!(picked("x", &known).unwrap_err().contains("no session"));
        let error = picked("abd", &known).unwrap_err();
        assert!(error.contains("abd2 on a, abd2 on b"), "{error}");
    }

    #[test]
    fn a_user_without_a_name_goes_by_number() {
        assert_eq!(user_of(0), "root");
        assert_eq!(user_of(4_000_000_001), "4000000001");
    }
}
