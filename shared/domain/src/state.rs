//! The states a session can be in, as people and programs see them.

use serde::{Deserialize, Serialize};
use std::fmt;

/// What a session is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SessionState {
    /// Known, and no prompt yet.
    Starting,
    /// In a turn.
    Working,
    /// A tool waits for permission.
    WaitingApproval,
    /// The agent asked its user something.
    WaitingInput,
    /// Between turns.
    Idle,
    /// Compacting its context.
    Compacting,
    /// Over, on purpose.
    Stopped,
    /// The last turn ended in an error.
    Failed,
    /// Its process is gone without a word.
    Lost,
    /// Nothing was heard for too long to say.
    Unknown,
}

impl SessionState {
    /// Every state, in the order of a session's life.
    pub const ALL: &[Self] = &[
        Self::Starting,
        Self::Working,
        Self::WaitingApproval,
        Self::WaitingInput,
        Self::Idle,
        Self::Compacting,
        Self::Stopped,
        Self::Failed,
        Self::Lost,
        Self::Unknown,
    ];

    /// The name, as in `waiting_approval`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Working => "working",
            Self::WaitingApproval => "waiting_approval",
            Self::WaitingInput => "waiting_input",
            Self::Idle => "idle",
            Self::Compacting => "compacting",
            Self::Stopped => "stopped",
            Self::Failed => "failed",
            Self::Lost => "lost",
            Self::Unknown => "unknown",
        }
    }

    /// The state of this name, if it is one.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|state| state.as_str() == name)
    }

    /// Whether nothing more is expected of the session.
    pub const fn is_over(self) -> bool {
        matches!(self, Self::Stopped | Self::Lost)
    }
}

impl fmt::Display for SessionState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
