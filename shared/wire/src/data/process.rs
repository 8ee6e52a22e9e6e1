//! `process.lifecycle.*`: the processes sessions run in.

use muster_domain::fact::ProcessRef;
use muster_domain::names::RunId;
use serde::{Deserialize, Serialize};

/// `started` and `exited`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// Process id in ingest's pid namespace.
    pub pid: u32,
    /// Start in clock ticks since boot.
    pub start_ticks: u64,
    /// The program, without its arguments: those may hold secrets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
    /// How it ended: exit status, or the negative number of the signal. Unknown for a process that is not a child.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<i32>,
    /// The run it is, when it is wrapped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<RunId>,
    /// Whether the session is over with it.
    #[serde(default = "yes")]
    pub session_process: bool,
}

const fn yes() -> bool {
    true
}

impl Process {
    /// The process itself.
    pub const fn reference(&self) -> ProcessRef {
        ProcessRef {
            pid: self.pid,
            start_ticks: self.start_ticks,
        }
    }
}
