//! A host: what it says of itself, and what was concluded from its presence.
//!
//! Both come with the time of the log, and the later word wins; so a host that reports again after it was given up is
//! present at once, before anybody concludes it.

use crate::fact::HostFact;
use crate::ids::InstanceId;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Whether a host can be counted on to report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HostState {
    /// It reports.
    Present,
    /// Its presence expired.
    Lost,
    /// It stopped on purpose.
    Stopping,
    /// An operator removed it.
    Removed,
}

impl HostState {
    /// The name, as in `present`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Present => "present",
            Self::Lost => "lost",
            Self::Stopping => "stopping",
            Self::Removed => "removed",
        }
    }
}

impl fmt::Display for HostState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One machine that runs agents.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Host {
    /// Its state, since when.
    pub(crate) state: (Timestamp, HostState),
    /// What was last concluded of it in the log; `Present` after `added` and `returned`.
    pub(crate) announced: Option<HostState>,
    /// Log sequence of the last change of either: tells two conclusions of the same kind apart.
    pub(crate) changed_seq: u64,
    /// When it last began to count as present.
    pub(crate) present_since: Timestamp,
    started: Option<(Timestamp, Box<str>, InstanceId)>,
    degraded: Option<(Timestamp, Option<Box<str>>)>,
    pub(crate) last_seen: Timestamp,
}

impl Host {
    pub(crate) const fn first_seen(at: Timestamp) -> Self {
        Self {
            state: (at, HostState::Present),
            announced: None,
            changed_seq: 0,
            present_since: at,
            started: None,
            degraded: None,
            last_seen: at,
        }
    }

    pub(crate) fn heard(&mut self, at: Timestamp) {
        self.last_seen = self.last_seen.max(at);
        if self.changed_seq == 0 {
            // Nobody has spoken of it yet: it is present since it was first heard of, whichever of its sessions came first.
            self.state.0 = self.state.0.min(at);
            self.present_since = self.state.0;
        }
    }

    pub(crate) fn note(&mut self, fact: &HostFact, at: Timestamp, seq: u64) {
        match fact {
            HostFact::Started { version, instance } => {
                let start = (at, version.as_str().into(), *instance);
                if self.started.as_ref().is_none_or(|known| *known < start) {
                    self.started = Some(start);
                }
                self.turn(HostState::Present, at, seq);
            }
            HostFact::Degraded { reason } => self.condition(at, Some(reason.as_str().into())),
            HostFact::Recovered => self.condition(at, None),
            HostFact::Stopping => self.turn(HostState::Stopping, at, seq),
            HostFact::Capability => {}
        }
    }

    pub(crate) fn conclude(&mut self, state: HostState, at: Timestamp, seq: u64) {
        self.announced = Some(state);
        self.changed_seq = seq;
        self.turn(state, at, seq);
    }

    fn turn(&mut self, state: HostState, at: Timestamp, seq: u64) {
        let (since, known) = self.state;
        if at < since {
            return;
        }
        if state == HostState::Present && known != state {
            self.present_since = at;
        }
        if state != known {
            self.state = (at, state);
            self.changed_seq = seq;
        }
    }

    fn condition(&mut self, at: Timestamp, reason: Option<Box<str>>) {
        let word = (at, reason);
        if self.degraded.as_ref().is_none_or(|known| *known < word) {
            self.degraded = Some(word);
        }
    }

    /// Its state.
    pub const fn state(&self) -> HostState {
        self.state.1
    }

    /// Since when.
    pub const fn since(&self) -> Timestamp {
        self.state.0
    }

    /// The version of its ingest.
    pub fn version(&self) -> Option<&str> {
        self.started.as_ref().map(|(_, version, _)| &**version)
    }

    /// The running instance of its ingest.
    pub fn instance(&self) -> Option<InstanceId> {
        self.started.as_ref().map(|(_, _, instance)| *instance)
    }

    /// What is wrong with it, while something is.
    pub fn degraded(&self) -> Option<&str> {
        self.degraded.as_ref().and_then(|(_, reason)| reason.as_deref())
    }

    /// When it last reported anything.
    pub const fn last_seen(&self) -> Timestamp {
        self.last_seen
    }
}
