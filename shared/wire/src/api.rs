//! What is asked of the orchestrator and answered: the JSON of its requests, which is also what the console, the CLI and
//! the REST surface show.
//!
//! Every answer says which place of the log it reflects (`seq` within the stream made at `stream_created`) and what a caller
//! may do when an answer does not come. A failure is `{"error": …}`. What is not known is `null`; money is in US dollars,
//! times are RFC 3339, durations milliseconds.

mod alert;
mod approval;
mod bootstrap;
mod budget;
mod circuit;
mod continuity;
mod delegation;
mod detail;
mod effect;
mod evaluation;
mod experiment;
mod guard;
mod hold;
mod lease;
mod list;
mod memory;
mod message;
mod policy;
mod query;
mod review;
mod rule;
mod search;
mod stats;
mod work_memory;

pub use crate::data::runtime::RetryClass;
pub use crate::edge::Source as PolicyText;
pub use alert::{AlertRow, AlertState, AlertsList, AlertsListRequest};
pub use approval::{
    ApprovalAnswer, ApprovalRequest, ApprovalRow, ApprovalState, ApprovalsList, ApprovalsListRequest,
    ApprovalsResolveRequest, ApprovalsResolved, ResolutionRow, Taken, Verdict,
};
pub use bootstrap::{
    BOOTSTRAP_BYTES_MAX, Bootstrap, BootstrapLease, BootstrapMemory, BootstrapRequest, LeftOut, Nesting, OpenGate,
};
pub use budget::{
    BudgetRow, BudgetsList, BudgetsListRequest, BudgetsRemoveRequest, BudgetsRemoved, BudgetsSet, BudgetsSetRequest,
    StandingRow,
};
pub use circuit::{
    Breaker, BreakerConfig, Circuit, CircuitsProbe, CircuitsProbeRequest, CircuitsReset, CircuitsResetRequest,
    CircuitsStatus, CircuitsStatusRequest, Probe, ResetOutcome,
};
pub use continuity::{HandoffAnswer, HandoffRow, HandoffsGetRequest, HandoffsWriteRequest, RecoveriesWriteRequest};
pub use delegation::{
    DelegateRequest, Delegated, DelegationAnswer, DelegationRequest, DelegationRow, DelegationsCancelRequest,
    DelegationsList, DelegationsListRequest,
};
pub use detail::{Session, SessionDetail, SessionDetailRequest, SessionRequest, Span, StoredEvent, Turn};
pub use effect::{
    EffectAnswer, EffectRequest, EffectRow, EffectsList, EffectsListRequest, MemoryCompactRequest, MemoryCompacting,
    SessionsControlRequest, SessionsModelRequest, SessionsSpawnRequest, StagedOutcome, StagedWrite,
};
pub use evaluation::{CheckpointAnswer, CheckpointRequest, ContextCheckRequest, ContextChecked};
pub use experiment::{
    ArmRow, ConcludedRow, ExperimentAnswer, ExperimentReport, ExperimentRequest, ExperimentRow,
    ExperimentsConcludeRequest, ExperimentsCreateRequest, ExperimentsList, ExperimentsListRequest,
    ExperimentsTagRequest,
};
pub use guard::{
    EscalationsClearRequest, EscalationsSetRequest, GatesReplaceRequest, GatesRequest, GatesSeedRequest,
    GatesSetStatusRequest, GuardsAnswer, GuardsListRequest, GuardsRow,
};
pub use hold::{
    HoldEnd, HoldHost, HoldRow, HoldsList, HoldsListRequest, HoldsReleaseRequest, HoldsReleased, HoldsSet,
    HoldsSetRequest,
};
pub use lease::{
    LeaseAnswer, LeaseCursor, LeaseRow, LeaseStatus, LeaseTarget, LeasesList, LeasesListRequest, SessionsClearRequest,
    SessionsHeartbeatRequest, SessionsStartRequest, SessionsTakeoverRequest, Written,
};
pub use list::{
    Cursor, HostSummary, HostsList, HostsListRequest, SessionSummary, SessionsList, SessionsListRequest, Tokens,
    UnderWayRequest,
};
pub use memory::{MemoryReport, MemoryReportRequest};
pub use message::{
    AnswerRow, MessageOutcome, MessageRow, MessagesAckRequest, MessagesAcked, MessagesAnswerRequest, MessagesAnswered,
    MessagesAskRequest, MessagesCancelRequest, MessagesList, MessagesListRequest, MessagesReceiveRequest,
    MessagesReceived, MessagesRemindRequest, MessagesSendRequest, MessagesSent, MessagesThreads,
    MessagesThreadsRequest, RECEIVE_MAX, WAIT_SECONDS_MAX, Whoami, WhoamiRequest,
};
pub use policy::{
    ActivationOutcome, CheckedBy, PolicyActivateRequest, PolicyActivatedAnswer, PolicyCheckRequest, PolicyChecked,
    PolicyRow, PolicyShowRequest, PolicyShown, PolicySource,
};

pub use review::{
    CaseAnswer, CaseWritten, CasesCreateRequest, CasesList, CasesMineRequest, CasesMined, CloseRequest, ClosedRow,
    FeedbackAnnotateRequest, FeedbackAnswer, FeedbackList, FeedbackListRequest, FeedbackRow, FileOutcome, FileRequest,
    FileRow, FilesListRequest, ProposalRow, ReviewAnswer, ReviewWritten, ReviewsList,
};
pub use rule::{
    ActedRow, RuleAnswer, RuleRow, RuleRunRow, RulesCreateRequest, RulesList, RulesListRequest, RulesRan,
    RulesRunRequest, RulesSwitchRequest,
};

pub use query::{Place, SessionsFound, SessionsQueryRequest, SessionsSummary, SessionsSummaryRequest, Share, Sum};
pub use search::{
    FailingAgent, Hit, HotFile, Indexed, SessionsHits, SessionsMetrics, SessionsMetricsRequest, SessionsSearchRequest,
    SlowTool, TokenSink,
};
pub use stats::{Cost, Covered, ModelTurns, Spread, ToolCalls, TurnsStats, TurnsStatsRequest};

pub use work_memory::{
    CandidateGiven, Compaction, CompactionResult, FoundRow, MemoriesAdmitRequest, MemoriesAnswer, MemoriesChanged,
    MemoriesCompactRequest, MemoriesCompacted, MemoriesDescribed, MemoriesExtractRequest, MemoriesGetRequest,
    MemoriesList, MemoriesListRequest, MemoriesPromoteRequest, MemoriesRequest, MemoriesSources, MemoriesSubmitRequest,
    Memory, MemoryAnswer, MemoryLimits, MemoryRow, MemorySource, MemoryState,
};

use crate::limits::{PAGE_ROWS_DEFAULT, PAGE_ROWS_MAX};
use crate::time;
use muster_domain::fleet::Settings;
use muster_domain::ids::InstanceId;
use muster_domain::time::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// The place of the log that an answer reflects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// The last log sequence that was folded.
    pub seq: u64,
    /// When the stream was made: a sequence of another stream is another place.
    #[serde(with = "time")]
    pub stream_created: Timestamp,
}

/// An answer at its place of the log.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Reply<T> {
    /// The last log sequence that was folded.
    pub seq: u64,
    /// When the stream was made.
    #[serde(with = "time")]
    pub stream_created: Timestamp,
    /// What a caller may do when an answer does not come.
    pub retry_class: RetryClass,
    /// The answer itself, its members beside the ones above.
    #[serde(flatten)]
    pub body: T,
}

impl<T> Reply<T> {
    /// An answer to a question; asking again is always safe.
    pub const fn new(at: Position, body: T) -> Self {
        Self::classed(at, RetryClass::SafeRetry, body)
    }

    /// An answer after whose loss the caller does what the class says.
    pub const fn classed(at: Position, retry_class: RetryClass, body: T) -> Self {
        Self {
            seq: at.seq,
            stream_created: at.stream_created,
            retry_class,
            body,
        }
    }
}

/// Why there is no answer to be had from bytes that came back.
#[derive(Debug, thiserror::Error)]
pub enum ReplyError {
    /// The orchestrator says no.
    #[error(transparent)]
    Refused(#[from] ApiError),
    /// It is no answer of this operation.
    #[error("not an answer of this operation: {0}")]
    Malformed(#[from] serde_json::Error),
}

impl<T: DeserializeOwned> Reply<T> {
    /// Reads an answer. Its own members are read from the text itself, since events within it are kept as they came.
    ///
    /// # Errors
    /// [`ReplyError::Refused`] when the answer is a failure.
    pub fn read(bytes: &[u8]) -> Result<Self, ReplyError> {
        if let Ok(failure) = serde_json::from_slice::<Failure>(bytes) {
            return Err(failure.error.into());
        }
        let at: Position = serde_json::from_slice(bytes)?;
        Ok(Self::new(at, serde_json::from_slice(bytes)?))
    }
}

/// A failure, as it travels.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// What went wrong.
    pub error: ApiError,
}

/// What went wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[error("{title}: {detail}")]
pub struct ApiError {
    /// What kind of failure, for programs.
    #[serde(rename = "type")]
    pub kind: ErrorKind,
    /// The kind, in words.
    pub title: String,
    /// This one, in words.
    pub detail: String,
    /// What the caller may do now.
    pub retry_class: RetryClass,
}

/// Kinds of failures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorKind {
    /// The request cannot be read.
    BadRequest,
    /// It says more than is taken.
    TooLarge,
    /// What it is about is not known.
    NotFound,
    /// The id names sessions of several hosts.
    Ambiguous,
    /// The caller may not.
    Forbidden,
    /// Something else is the case than the caller believes.
    Conflict,
    /// No version in common.
    Version,
    /// Not now.
    Unavailable,
    /// A defect.
    Internal,
}

impl ErrorKind {
    /// The kind, in words.
    pub const fn title(self) -> &'static str {
        match self {
            Self::BadRequest => "bad request",
            Self::TooLarge => "too large",
            Self::NotFound => "not found",
            Self::Ambiguous => "ambiguous",
            Self::Forbidden => "forbidden",
            Self::Conflict => "conflict",
            Self::Version => "no common version",
            Self::Unavailable => "unavailable",
            Self::Internal => "internal error",
        }
    }

    /// The HTTP status that stands for it; NATS services answer with the same number.
    pub const fn status(self) -> u16 {
        match self {
            Self::BadRequest => 400,
            Self::TooLarge => 413,
            Self::NotFound => 404,
            Self::Forbidden => 403,
            Self::Ambiguous | Self::Conflict => 409,
            Self::Version => 426,
            Self::Unavailable => 503,
            Self::Internal => 500,
        }
    }
}

impl ApiError {
    /// A failure of this kind.
    pub fn new(kind: ErrorKind, detail: impl Into<String>) -> Self {
        let retry_class = match kind {
            ErrorKind::Unavailable | ErrorKind::Internal => RetryClass::SafeRetry,
            ErrorKind::Conflict => RetryClass::RetryAfterReread,
            ErrorKind::BadRequest
            | ErrorKind::TooLarge
            | ErrorKind::NotFound
            | ErrorKind::Ambiguous
            | ErrorKind::Forbidden
            | ErrorKind::Version => RetryClass::DoNotRetry,
        };
        Self {
            kind,
            title: kind.title().to_owned(),
            detail: detail.into(),
            retry_class,
        }
    }
}

/// `service.hello`: which versions the caller speaks.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct HelloRequest {
    /// Oldest.
    pub proto_min: Option<u32>,
    /// Newest.
    pub proto_max: Option<u32>,
}

/// Who answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// The version both speak.
    pub proto: u32,
    /// Oldest version spoken.
    pub proto_min: u32,
    /// Newest version spoken.
    pub proto_max: u32,
    /// The program's version.
    pub version: String,
    /// This start of it.
    pub instance: InstanceId,
    /// Whether it leads.
    pub leading: bool,
}

/// `service.status`: how the orchestrator is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// The program's version.
    pub version: String,
    /// This start of it.
    pub instance: InstanceId,
    /// Whether it leads.
    pub leading: bool,
    /// Who leads, as the log says.
    pub leader: Option<InstanceId>,
    /// The term of that leader.
    pub term: Option<u64>,
    /// Milliseconds since its start.
    pub uptime_ms: u64,
    /// Events of the log that it has not folded yet.
    pub queue_depth: u64,
    /// Sessions known.
    pub sessions: u64,
    /// Hosts known.
    pub hosts: u64,
    /// Observations that producers counted and the log does not hold.
    pub gaps: u64,
    /// Observations that came again and were ignored.
    pub redelivered: u64,
    /// Observations under a count that another one holds.
    pub forked: u64,
    /// What went wrong last.
    pub last_error: Option<String>,
}

/// `audit.digest`: the digest of the state at a place of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct AuditDigestRequest {
    /// Which place; without it, wherever the answering side is.
    pub at_seq: Option<u64>,
}

/// The digest of the state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditDigest {
    /// After which log sequence.
    pub at_seq: u64,
    /// SHA-256, in hexadecimal.
    pub digest: String,
    /// The settings it was folded under, which an audit has to fold under too.
    pub settings: Settings,
}

/// Rows in a page for which `limit` was asked.
pub fn page_rows(limit: Option<usize>) -> usize {
    limit.unwrap_or(PAGE_ROWS_DEFAULT).clamp(1, PAGE_ROWS_MAX)
}

/// US dollars of a count of millionths.
fn usd(micros: u64) -> f64 {
    // Exact below nine billion dollars.
    micros as f64 / 1e6
}

#[cfg(test)]
mod tests;
