//! Why something did not become an observation: one list for every surface.
//!
//! Each reason has a stable name that programs may match, and says who should act: the caller (most), or nobody but time
//! (the spool is full).

use crate::effects::NotCarrier;
use axum::http::StatusCode;
use muster_domain::family::UnknownType;
use muster_domain::ids::EventId;
use muster_domain::names::NameError;
use muster_runtime::http::Problem;
use std::time::Duration;

/// How long a refused caller should wait for a full spool: about one drain of a reachable hub.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// Why it was refused.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum Reject {
    #[error("the input is not UTF-8")]
    NotUtf8,
    #[error("the input is not JSON: {0}")]
    BrokenJson(String),
    #[error("the input is nested deeper than 128 levels")]
    TooDeep,
    #[error("the input must be a JSON object")]
    NotAnObject,
    #[error("the input names no session: send session_id")]
    MissingSession,
    #[error("the input names no hook: send hook_event_name")]
    MissingHook,
    #[error("the input is over the limit and was cut by the sender")]
    Truncated,
    #[error("unknown agent {0:?}: use `generic` for one that muster has no name for")]
    UnknownAgent(String),
    #[error(transparent)]
    BadName(#[from] NameError),
    #[error("{0:?} has neither a letter nor a digit and cannot name a hook")]
    BadHookName(String),
    #[error("{what}: {detail}")]
    BadField { what: &'static str, detail: String },
    #[error(transparent)]
    UnknownKind(#[from] UnknownType),
    #[error("{0} is not published from a host: only agent.* and process.* are")]
    NotOurs(String),
    #[error("{0} is said by this host's ingest alone")]
    OwnWord(String),
    #[error(transparent)]
    NotCarrier(#[from] NotCarrier),
    #[error("id {0} is that of another observation, with another kind, session or data: give each an id of its own")]
    IdConflict(EventId),
    #[error("{0} events are more than one request may bring")]
    TooMany(usize),
    #[error("this service ends: ask again under the same name")]
    Draining,
    #[error("too much is being read at once: try again later")]
    Busy,
    #[error("the spool is full and keeps its last room for lifecycle and approvals: try again later")]
    Full,
    #[error("the spool cannot be written: {0}")]
    Disk(String),
}

impl Reject {
    /// The stable name.
    pub(crate) const fn kind(&self) -> &'static str {
        match self {
            Self::NotUtf8 => "not-utf8",
            Self::BrokenJson(_) => "broken-json",
            Self::TooDeep => "too-deep",
            Self::NotAnObject => "not-an-object",
            Self::MissingSession => "missing-session",
            Self::MissingHook => "missing-hook",
            Self::Truncated => "too-large",
            Self::UnknownAgent(_) => "unknown-agent",
            Self::BadName(_) | Self::BadHookName(_) => "bad-name",
            Self::BadField { .. } => "bad-field",
            Self::UnknownKind(_) => "unknown-kind",
            Self::NotOurs(_) | Self::OwnWord(_) => "not-an-observation",
            Self::NotCarrier(not) => not.kind(),
            Self::IdConflict(_) => "id-conflict",
            Self::TooMany(_) => "too-many",
            Self::Draining => "draining",
            Self::Busy => "busy",
            Self::Full => "spool-full",
            Self::Disk(_) => "spool-failed",
        }
    }

    /// The answer over HTTP when there is nothing but this to say.
    pub(crate) fn problem(&self) -> Problem {
        let status = match self {
            Self::NotUtf8
            | Self::BrokenJson(_)
            | Self::TooDeep
            | Self::NotAnObject
            | Self::MissingSession
            | Self::MissingHook => StatusCode::BAD_REQUEST,
            Self::UnknownAgent(_) => StatusCode::NOT_FOUND,
            Self::NotCarrier(NotCarrier::Ending) => StatusCode::SERVICE_UNAVAILABLE,
            Self::IdConflict(_) | Self::NotCarrier(_) => StatusCode::CONFLICT,
            Self::Truncated | Self::TooMany(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::BadName(_)
            | Self::BadHookName(_)
            | Self::BadField { .. }
            | Self::UnknownKind(_)
            | Self::NotOurs(_)
            | Self::OwnWord(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Draining | Self::Busy | Self::Full | Self::Disk(_) => StatusCode::SERVICE_UNAVAILABLE,
        };
        let problem = Problem::new(status, self.kind(), self.to_string());
        if self.is_passing() {
            problem.retry_after(RETRY_AFTER)
        } else {
            problem
        }
    }

    /// Whether the same input may be taken later. What is not passing is worth keeping for inspection.
    pub(crate) const fn is_passing(&self) -> bool {
        matches!(
            self,
            Self::Draining | Self::Busy | Self::Full | Self::Disk(_) | Self::NotCarrier(NotCarrier::Ending)
        )
    }
}
