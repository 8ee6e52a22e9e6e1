//! `process.lifecycle.*`: the processes sessions run in.

use super::watch::Watched;
use muster_domain::effect::{ActionKind, Carrier};
use muster_domain::fact::{ProcessFact, ProcessRef};
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
    /// What of that it carries out which its session is told; nothing where it is empty. A kind that the reader does not
    /// know is passed over.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub carries: Vec<String>,
    /// What was seen of the processes it launched, said when it ended; nothing where they were not watched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub watched: Option<Watched>,
    /// Whether the session is over with it.
    #[serde(default = "yes")]
    pub session_process: bool,
}

const fn yes() -> bool {
    true
}

impl Process {
    /// What its beginning says.
    pub(crate) fn into_started(self) -> ProcessFact {
        let process = self.reference();
        let can = self.carries.iter().filter_map(|kind| ActionKind::parse(kind)).collect();
        match self.run {
            Some(run) if !self.carries.is_empty() => {
                let carrier = Box::new(Carrier { run, can });
                ProcessFact::Carries { process, carrier }
            }
            Some(_) | None => ProcessFact::Started(process),
        }
    }

    /// The process itself.
    pub const fn reference(&self) -> ProcessRef {
        ProcessRef {
            pid: self.pid,
            start_ticks: self.start_ticks,
        }
    }
}
