//! The words of delegations.

use super::Delegation;
use crate::family::{DelegationKind, EventType};
use crate::ids::DelegationId;
use crate::names::{SubagentName, ToolCallId};
use serde::{Deserialize, Serialize};
use std::str::FromStr;
use std::time::Duration;

/// How long anything is waited for.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// For a call that is made for it.
    pub queued: Duration,
    /// For a run's end.
    pub running: Duration,
}

impl Default for Settings {
    /// A quarter of an hour, which a model does not think; two hours, which few subagents work.
    fn default() -> Self {
        Self {
            queued: Duration::from_secs(15 * 60),
            running: Duration::from_secs(2 * 3600),
        }
    }
}

/// Which kind of model shall do it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Tier {
    /// Small.
    Haiku,
    /// Medium.
    #[default]
    Sonnet,
    /// Large.
    Opus,
}

/// A text that names no tier.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown model tier: {0}; it is haiku, sonnet or opus")]
pub struct UnknownTier(String);

impl FromStr for Tier {
    type Err = UnknownTier;
    fn from_str(text: &str) -> Result<Self, UnknownTier> {
        match text {
            "haiku" => Ok(Self::Haiku),
            "sonnet" => Ok(Self::Sonnet),
            "opus" => Ok(Self::Opus),
            _ => Err(UnknownTier(text.to_owned())),
        }
    }
}

/// How a delegation stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// No call was made for it yet.
    Queued,
    /// Its call is under way.
    Running,
    /// Its run ended well.
    Completed,
    /// Its run failed.
    Failed,
    /// Somebody took it back, or its call was not allowed to run.
    Cancelled,
    /// Nobody knows what became of it.
    Stale,
}

impl Status {
    /// Whether it is under way.
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Queued | Self::Running)
    }

    /// Whether it may become `next`.
    pub const fn may_become(self, next: Self) -> bool {
        match self {
            Self::Queued => !matches!(next, Self::Queued),
            Self::Running => !matches!(next, Self::Queued | Self::Running),
            Self::Stale => matches!(next, Self::Completed | Self::Failed | Self::Cancelled),
            Self::Completed | Self::Failed | Self::Cancelled => false,
        }
    }

    const fn kind(self) -> DelegationKind {
        match self {
            Self::Queued => DelegationKind::Queued,
            Self::Running => DelegationKind::Running,
            Self::Completed => DelegationKind::Completed,
            Self::Failed => DelegationKind::Failed,
            Self::Cancelled => DelegationKind::Cancelled,
            Self::Stale => DelegationKind::Stale,
        }
    }
}

/// What is concluded, written down, and folded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DelegationFact {
    /// It may begin.
    Queued {
        /// Its id.
        id: DelegationId,
        /// All of it; its times are the log's.
        delegation: Box<Delegation>,
    },
    /// A call was made for it.
    Running {
        /// Its id.
        id: DelegationId,
        /// The call.
        call: ToolCallId,
    },
    /// It is over.
    Ended {
        /// Its id.
        id: DelegationId,
        /// How.
        status: Status,
        /// The call.
        call: Option<ToolCallId>,
        /// Why.
        reason: Option<Box<str>>,
    },
    /// It was not let begin.
    Refused {
        /// Who should have done it.
        agent: SubagentName,
        /// Why not.
        reason: Box<str>,
    },
}

impl DelegationFact {
    /// The delegation it is about; none where it never became one.
    pub const fn id(&self) -> Option<DelegationId> {
        match self {
            Self::Queued { id, .. } | Self::Running { id, .. } | Self::Ended { id, .. } => Some(*id),
            Self::Refused { .. } => None,
        }
    }

    /// What it makes of it.
    pub const fn status(&self) -> Option<Status> {
        match self {
            Self::Queued { .. } => Some(Status::Queued),
            Self::Running { .. } => Some(Status::Running),
            Self::Ended { status, .. } => Some(*status),
            Self::Refused { .. } => None,
        }
    }

    pub(crate) fn identity(&self) -> String {
        match self {
            Self::Refused { agent, .. } => agent.to_string(),
            Self::Queued { id, .. } | Self::Running { id, .. } | Self::Ended { id, .. } => id.to_string(),
        }
    }

    pub(crate) const fn event_type(&self) -> EventType {
        EventType::Delegation(match self.status() {
            Some(status) => status.kind(),
            None => DelegationKind::Refused,
        })
    }
}
