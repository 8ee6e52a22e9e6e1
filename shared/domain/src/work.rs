//! What a hook says of work that a named agent does.
//!
//! A run of a subagent is told by two witnesses: the call of the tool that starts it, and the subagent itself. Each has an
//! id of its own, and only a call that ran says which subagent was its own.

use crate::ids::DelegationId;
use crate::names::SubagentName;

/// What a hook says of a named agent's work. Whose work it is (which call, which subagent) stands in the hook itself.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Work {
    /// The agent.
    pub agent: SubagentName,
    /// The delegation that the call was made for, where its prompt names one.
    pub delegation: Option<DelegationId>,
    /// How the work stands.
    pub stage: Stage,
}

/// How a run stands, as one witness tells.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Stage {
    /// It begins.
    Begun,
    /// It goes on in the background.
    Detached,
    /// It was not allowed to run, or was interrupted: neither a success nor a failure.
    Dropped,
    /// It is done.
    Done,
    /// It failed.
    Failed {
        /// Why, shortened.
        error: String,
    },
}
