//! What only the host can do on which the agent runs.

use muster_domain::names::SessionId;
use serde_json::{Map, Value};
use std::pin::Pin;

/// An answer to come.
pub type Pending<'a, T> = Pin<Box<dyn Future<Output = Result<T, HostError>> + Send + 'a>>;

/// Something that happened in a session.
#[derive(Debug, Clone, PartialEq)]
pub struct Hook {
    /// The agent, as ingest's surfaces name it.
    pub agent: String,
    /// What it says of it, its session and the hook's name among that.
    pub payload: Map<String, Value>,
}

/// A tool call that waits for a permission.
#[derive(Debug, Clone, PartialEq)]
pub struct Ask {
    /// In which session.
    pub session: SessionId,
    /// The tool.
    pub tool_name: String,
    /// Its input.
    pub input: Map<String, Value>,
    /// The call.
    pub tool_use_id: Option<String>,
}

/// What became of an ask.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// It may run.
    Allow {
        /// With this input instead.
        updated_input: Option<Value>,
    },
    /// It may not.
    Deny {
        /// Why, for the model.
        message: String,
    },
    /// Nobody said anything for as long as could be waited.
    Unanswered,
}

/// Why the host did nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct HostError(pub String);

/// The host.
pub trait Host: Send + Sync + 'static {
    /// Takes a hook as an observation.
    fn hook(&self, hook: Hook) -> Pending<'_, ()>;

    /// Has a permission asked for, and waits for the answer.
    fn permission(&self, ask: Ask) -> Pending<'_, Verdict>;
}
