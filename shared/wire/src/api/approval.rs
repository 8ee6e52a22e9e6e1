//! Approvals: what waits for an answer, and the answer.

use crate::data::approval::{AskedData, ResolutionData};
use crate::envelope::RawData;
use crate::time;
use muster_domain::approval::{Approval, ApprovalId, Fallback, Scope, Stage};
use muster_domain::names::{AgentName, HostName, Profile, SessionId};
use muster_domain::time::Timestamp;
use serde::{Deserialize, Serialize};

/// Which approvals a list holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ApprovalState {
    /// Those that wait.
    #[default]
    Open,
    /// Those that ended lately, too.
    All,
}

/// `approvals.list`. What is not set matches anything.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ApprovalsListRequest {
    /// Only those that wait, or all.
    pub state: ApprovalState,
    /// Only of this session.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<SessionId>,
    /// Only on this host.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<HostName>,
    /// The last id of the page before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cursor: Option<ApprovalId>,
    /// Rows at most; a page ends sooner where inputs are long.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
}

/// A page of approvals, oldest ask first.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ApprovalsList {
    /// The rows.
    pub approvals: Vec<ApprovalRow>,
    /// Where to go on; none at the end.
    pub next_cursor: Option<ApprovalId>,
}

/// `approvals.get`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApprovalRequest {
    /// Which.
    pub id: ApprovalId,
}

/// One approval.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ApprovalAnswer {
    /// It.
    pub approval: ApprovalRow,
}

/// An approval, whole.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ApprovalRow {
    /// Its id.
    pub id: ApprovalId,
    /// Where it was asked.
    pub host: Option<HostName>,
    /// Whose it is.
    pub session: Option<SessionId>,
    /// The product that asks.
    pub agent: Option<AgentName>,
    /// The session's profile.
    pub profile: Option<Profile>,
    /// Since when it waits.
    #[serde(with = "time")]
    pub at: Timestamp,
    /// Until when an answer counts.
    #[serde(with = "time")]
    pub deadline: Timestamp,
    /// What the agent is told without one.
    pub fallback: Fallback,
    /// How it was last announced.
    pub stage: Option<Stage>,
    /// What is asked.
    pub asked: AskedData,
    /// How it ended; none while it waits.
    pub resolution: Option<ResolutionRow>,
}

/// How an approval ended, and when.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ResolutionRow {
    /// When.
    #[serde(with = "time")]
    pub at: Timestamp,
    /// How, and by whom.
    pub answer: ResolutionData,
}

impl ApprovalRow {
    /// The row of an approval.
    pub fn new(id: ApprovalId, approval: &Approval) -> Self {
        Self {
            id,
            host: approval.session.as_ref().map(|key| key.host.clone()),
            session: approval.session.as_ref().map(|key| key.id.clone()),
            agent: approval.agent.clone(),
            profile: approval.profile.clone(),
            at: approval.at,
            deadline: approval.deadline,
            fallback: approval.fallback,
            stage: approval.stage,
            asked: (&*approval.asked).into(),
            resolution: approval.resolution.as_ref().map(|(at, resolution)| ResolutionRow {
                at: *at,
                answer: (&**resolution).into(),
            }),
        }
    }
}

/// Yes or no.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Yes.
    Approve,
    /// No.
    Deny,
}

/// `approvals.resolve`: an operator's answer.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApprovalsResolveRequest {
    /// To which.
    pub id: ApprovalId,
    /// Yes or no.
    pub decision: Verdict,
    /// In the operator's words; a denied agent reads them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// `session` allows calls like it until the session ends.
    #[serde(default)]
    pub scope: Scope,
    /// A denied agent shall stop, instead of trying something else.
    #[serde(default)]
    pub interrupt: bool,
    /// The answers to an agent's questions: label by question.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answers: Option<RawData>,
    /// The input that the tool shall run with instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub updated_input: Option<RawData>,
    /// Names this request, so that it can be repeated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

/// Whether an answer was the one that counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Taken {
    /// It was.
    Applied,
    /// Another one was first: the approval says whose.
    AlreadyResolved,
}

/// What became of an answer.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ApprovalsResolved {
    /// Whether it counts.
    pub outcome: Taken,
    /// The approval as it is now.
    pub approval: ApprovalRow,
}
