//! What people and agents think of sessions, and which of them are kept. Members are called as kaizen's tools call them.

use crate::api::list::SessionSummary;
use crate::time;
use muster_domain::names::{HostName, SessionId};
use muster_domain::review::{By, File, How, Label, Proposal, Score, Sign, Word};
use muster_domain::time::Timestamp;
use serde::{Deserialize, Serialize};

/// `feedback.annotate`: a score, a label or a note at least.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FeedbackAnnotateRequest {
    /// Of which session.
    pub session_id: SessionId,
    /// Its host, where others have a session of this id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<HostName>,
    /// How good it was: 1, which is worst, to 5.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub score: Option<Score>,
    /// What kind it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<Label>,
    /// In words, at most 4 KiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// The same id again is the same request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

/// What was taken in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FeedbackAnswer {
    /// It.
    pub feedback: FeedbackRow,
}

/// `feedback.list`: which.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FeedbackListRequest {
    /// Only of this session.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session_id: Option<SessionId>,
    /// Only of sessions on this host.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<HostName>,
    /// Only of this kind.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<Label>,
    /// Also what the same speaker replaced by later words, as far as it is remembered.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub all: bool,
    /// `next_cursor` of the page before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cursor: Option<u64>,
    /// Rows at most; the server has a cap of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
}

/// A page of what was said, the latest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FeedbackList {
    /// The rows.
    pub feedback: Vec<FeedbackRow>,
    /// Where the next page begins.
    pub next_cursor: Option<u64>,
}

/// What somebody said of a session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FeedbackRow {
    /// Its number.
    pub id: u64,
    /// Of which session.
    pub session_id: SessionId,
    /// Its host.
    pub host: HostName,
    /// How good it was.
    pub score: Option<Score>,
    /// What kind it was.
    pub label: Option<Label>,
    /// In words.
    pub note: Option<String>,
    /// Who says it.
    pub by: By,
    /// When.
    #[serde(with = "time")]
    pub at: Timestamp,
    /// Whether it is the latest that this speaker said of the session.
    pub counts: bool,
}

impl FeedbackRow {
    /// The row of a word.
    pub fn new(word: &Word, counts: bool) -> Self {
        let said = word.annotation.clone();
        Self {
            id: said.id,
            session_id: said.session.id,
            host: said.session.host,
            score: said.score,
            label: said.label,
            note: said.note.map(Into::into),
            by: said.by,
            at: word.at,
            counts,
        }
    }
}

/// `cases.create`: which session, and why.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CasesCreateRequest {
    /// Which session.
    pub session_id: SessionId,
    /// Its host, where others have a session of this id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<HostName>,
    /// Why it is kept, in at most 1 KiB.
    pub reason: String,
    /// What kind of session it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<Label>,
    /// The same id again is the same request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

/// `cases.archive`, `reviews.resolve`, `reviews.dismiss`: which, and what there is to say.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CloseRequest {
    /// Its number.
    pub id: u64,
    /// In words, at most 1 KiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// The same id again is the same request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

/// `cases.get`, `reviews.get`: which.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileRequest {
    /// Its number.
    pub id: u64,
}

/// `cases.list`, `reviews.list`: which.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FilesListRequest {
    /// Also those that are over: the latest of them.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub all: bool,
    /// Only of this session.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session_id: Option<SessionId>,
    /// Only of sessions on this host.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<HostName>,
    /// `next_cursor` of the page before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cursor: Option<u64>,
    /// Rows at most; the server has a cap of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
}

/// A page of cases, the latest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CasesList {
    /// The rows.
    pub cases: Vec<FileRow>,
    /// Where the next page begins.
    pub next_cursor: Option<u64>,
}

/// A page of sessions that wait for somebody to look at them, the latest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReviewsList {
    /// The rows.
    pub reviews: Vec<FileRow>,
    /// Where the next page begins.
    pub next_cursor: Option<u64>,
}

/// What became of a request about a review.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReviewWritten {
    /// Whether it is this request's doing.
    pub outcome: FileOutcome,
    /// The review, as it is.
    pub review: FileRow,
}

/// One review, with what is known of its session.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReviewAnswer {
    /// The review.
    pub review: FileRow,
    /// Its session, while it is known.
    pub session: Option<SessionSummary>,
    /// What counts of what was said of it.
    pub feedback: Vec<FeedbackRow>,
}

/// What became of a request about a case.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CaseWritten {
    /// Whether it is this request's doing.
    pub outcome: FileOutcome,
    /// The case, as it is.
    pub case: FileRow,
}

/// Whose doing it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FileOutcome {
    /// This request's.
    Applied,
    /// It was over before; the row says who ended it.
    AlreadyClosed,
}

impl FileOutcome {
    /// Whether it was carried out.
    pub const fn of(applied: bool) -> Self {
        if applied { Self::Applied } else { Self::AlreadyClosed }
    }
}

/// One case, with what is known of its session.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CaseAnswer {
    /// The case.
    pub case: FileRow,
    /// Its session, while it is known.
    pub session: Option<SessionSummary>,
    /// What counts of what was said of it.
    pub feedback: Vec<FeedbackRow>,
}

/// A session that is, or was, kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileRow {
    /// Its number.
    pub id: u64,
    /// Which session.
    pub session_id: SessionId,
    /// Its host.
    pub host: HostName,
    /// Why.
    pub reason: String,
    /// What kind of session it was.
    pub label: Option<Label>,
    /// Who keeps it.
    pub by: By,
    /// Since when.
    #[serde(with = "time")]
    pub at: Timestamp,
    /// How it ended; null while it is open.
    pub closed: Option<ClosedRow>,
}

/// How it ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClosedRow {
    /// How.
    pub how: How,
    /// By whom.
    pub by: By,
    /// In words.
    pub note: Option<String>,
    /// When.
    #[serde(with = "time")]
    pub at: Timestamp,
}

impl FileRow {
    /// The row of a file.
    pub fn new(file: &File) -> Self {
        let opening = file.opening.clone();
        Self {
            id: opening.id,
            session_id: opening.session.id,
            host: opening.session.host,
            reason: opening.reason.into(),
            label: opening.label,
            by: opening.by,
            at: file.at,
            closed: file.end.as_ref().map(|end| ClosedRow {
                how: end.how,
                by: end.by.clone(),
                note: end.note.as_deref().map(str::to_owned),
                at: end.at,
            }),
        }
    }
}

/// `cases.mine`: which signs.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CasesMineRequest {
    /// Only what happened since then.
    #[serde(skip_serializing_if = "Option::is_none", with = "time::optional")]
    pub since: Option<Timestamp>,
    /// Rows at most; the server has a cap of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
}

/// Sessions that deserve a case and have none, those with the most signs first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CasesMined {
    /// The rows.
    pub proposals: Vec<ProposalRow>,
    /// Whether there are more than those.
    pub more: bool,
}

/// A session that deserves a case.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProposalRow {
    /// Which session.
    pub session_id: SessionId,
    /// Its host.
    pub host: HostName,
    /// How many said that something went wrong in it.
    pub bad_feedback: u32,
    /// How many of its latest turns failed.
    pub failed_turns: u32,
    /// Alerts that were raised of it.
    pub alerts: Vec<String>,
    /// When the latest of that was.
    #[serde(with = "time")]
    pub at: Timestamp,
}

impl From<Proposal> for ProposalRow {
    fn from(proposal: Proposal) -> Self {
        let mut row = Self {
            session_id: proposal.session.id,
            host: proposal.session.host,
            bad_feedback: 0,
            failed_turns: 0,
            alerts: Vec::new(),
            at: proposal.at,
        };
        for sign in proposal.signs {
            match sign {
                Sign::BadFeedback(count) => row.bad_feedback = count,
                Sign::FailedTurns(count) => row.failed_turns = count,
                Sign::Alert(rule) => row.alerts.push(rule.to_string()),
            }
        }
        row
    }
}
