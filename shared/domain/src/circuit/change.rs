//! The words of circuits: what state one is in, how it changes, and what one is told who wants to run an agent.

use crate::fleet::SessionKey;
use crate::ids::DelegationId;
use crate::names::{SubagentName, ToolCallId};
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};

/// Who may try, and for which run.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Holder {
    /// The session that asked.
    pub session: SessionKey,
    /// The call it asked for, where its agent names calls.
    pub call: Option<ToolCallId>,
    /// The delegation it asked for.
    pub delegation: Option<DelegationId>,
}

/// A probe under way.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Probe {
    /// Whose it is.
    pub holder: Holder,
    /// Since when.
    pub since: Timestamp,
    /// Until when.
    pub expires: Timestamp,
}

/// Whether an agent may run.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum State {
    /// It may.
    Closed,
    /// It may not, until somebody probes.
    Open {
        /// When a probe may be asked for.
        until: Timestamp,
        /// The probe that expired: should its run be done well after all, that counts.
        expired: Option<Probe>,
    },
    /// One run is under way, and nobody else may.
    HalfOpen(Probe),
}

impl State {
    /// Its name, as trusty-mpm's clients know it.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open { .. } => "open",
            Self::HalfOpen(_) => "half_open",
        }
    }
}

/// Why a circuit opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Opening {
    /// Failures in a row.
    Failures,
    /// The probe failed.
    ProbeFailed,
    /// The probe was not run: refused, or interrupted.
    ProbeDropped,
    /// Nothing was heard of the probe.
    ProbeExpired,
}

/// Why a circuit closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Closing {
    /// The probe succeeded.
    ProbeSucceeded,
    /// An operator said so.
    Reset,
}

/// A transition: concluded, written down, and folded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Nobody may run the agent.
    Opened {
        /// The agent.
        agent: SubagentName,
        /// Why.
        reason: Opening,
        /// Failures in a row so far.
        failures: u32,
        /// The how-manieth opening in a row, from 1.
        trips: u32,
        /// When a probe may be asked for.
        until: Timestamp,
        /// The last failure, in words.
        error: Option<String>,
    },
    /// One run may try.
    HalfOpened {
        /// The agent.
        agent: SubagentName,
        /// Whose run.
        holder: Holder,
        /// Failures in a row so far.
        failures: u32,
        /// Until when.
        expires: Timestamp,
    },
    /// Everybody may run the agent.
    Closed {
        /// The agent.
        agent: SubagentName,
        /// Why.
        reason: Closing,
        /// Failures in a row that are forgotten with it.
        failures: u32,
        /// Who, where somebody said so.
        by: Option<String>,
        /// In which request.
        request: Option<String>,
    },
}

impl Change {
    /// The agent it is about.
    pub const fn agent(&self) -> &SubagentName {
        match self {
            Self::Opened { agent, .. } | Self::HalfOpened { agent, .. } | Self::Closed { agent, .. } => agent,
        }
    }
}

impl Holder {
    /// Whether both are the same run. A delegation that holds a probe is the same run as the call that is made for it; of an
    /// agent that names no calls, a session makes one at a time.
    pub fn is(&self, other: &Self) -> bool {
        let same_delegation = self.delegation.is_some() && self.delegation == other.delegation;
        let same_call = self.call == other.call && (self.call.is_some() || self.delegation == other.delegation);
        self.session == other.session && (same_delegation || same_call)
    }
}

/// The answer to one who wants to run an agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Permit {
    /// The circuit is closed: nobody need ask.
    Free,
    /// The probe is its own already.
    Granted {
        /// Until when.
        expires: Timestamp,
    },
    /// The probe becomes its own with this transition.
    Probe(Change),
    /// Another one holds the probe.
    Held {
        /// Who.
        holder: Holder,
        /// Until when.
        expires: Timestamp,
    },
    /// The cooldown is not over.
    Open {
        /// When it is.
        until: Timestamp,
    },
}
