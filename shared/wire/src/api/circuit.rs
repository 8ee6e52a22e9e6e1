//! Circuits: how they are, who may probe, and an operator's reset.

use crate::data::circuit::ProbeHolder;
use crate::time;
use muster_domain::circuit::{self, Circuits, State};
use muster_domain::ids::DelegationId;
use muster_domain::names::{SessionId, SubagentName, ToolCallId};
use muster_domain::time::Timestamp;
use serde::{Deserialize, Serialize};

/// `circuits.status`: of one agent, or of all that were heard of.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CircuitsStatusRequest {
    /// The agent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent: Option<SubagentName>,
}

/// How circuits are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum CircuitsStatus {
    /// All that were heard of.
    All {
        /// By agent.
        breakers: Vec<Circuit>,
        /// Whether there are more than fit.
        #[serde(default)]
        more: bool,
    },
    /// The one that was asked about.
    One(Box<Circuit>),
}

/// The circuit of one agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Circuit {
    /// The agent.
    pub agent: SubagentName,
    /// Its breaker, as trusty-mpm's clients know it.
    pub breaker: Breaker,
    /// Since when it is in this state; null for one that never changed.
    #[serde(with = "time::optional", default)]
    pub since: Option<Timestamp>,
    /// Openings in a row.
    pub trips: u32,
    /// When a probe may be asked for; of an open one.
    #[serde(with = "time::optional", default)]
    pub until: Option<Timestamp>,
    /// The probe under way; of a half-open one.
    pub probe: Option<Probe>,
    /// The last failure before it opened, in words.
    pub error: Option<String>,
}

/// A breaker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Breaker {
    /// `closed`, `open` or `half_open`.
    pub state: String,
    /// Failures in a row.
    pub consecutive_failures: u32,
    /// What it goes by.
    pub config: BreakerConfig,
}

/// What a breaker goes by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct BreakerConfig {
    /// Failures in a row that open it.
    pub failure_threshold: u32,
    /// How deep delegations may nest.
    pub max_depth: u32,
}

/// A probe under way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probe {
    /// Whose it is.
    pub holder: ProbeHolder,
    /// Until when.
    #[serde(with = "time")]
    pub expires: Timestamp,
}

impl Circuit {
    /// The circuit of this agent; one that was never heard of is closed.
    pub fn of(circuits: &Circuits, agent: &SubagentName, settings: &circuit::Settings) -> Self {
        let known = circuits.get(agent);
        let state = known.map_or(&State::Closed, circuit::Circuit::state);
        let (until, probe) = match state {
            State::Closed => (None, None),
            State::Open { until, .. } => (Some(*until), None),
            State::HalfOpen(probe) => (
                None,
                Some(Probe {
                    holder: probe.holder.clone().into(),
                    expires: probe.expires,
                }),
            ),
        };
        Self {
            agent: agent.clone(),
            breaker: Breaker {
                state: state.as_str().to_owned(),
                consecutive_failures: circuits.failures(agent),
                config: BreakerConfig {
                    failure_threshold: settings.failure_threshold,
                    max_depth: settings.max_depth,
                },
            },
            since: known.and_then(circuit::Circuit::since),
            trips: known.map_or(0, circuit::Circuit::trips),
            until,
            probe,
            error: known.and_then(circuit::Circuit::error).map(str::to_owned),
        }
    }
}

/// `circuits.reset`: forgive an agent what it failed at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CircuitsResetRequest {
    /// The agent.
    pub agent: SubagentName,
    /// The same id again is the same request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

/// Whether a reset did anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ResetOutcome {
    /// It did.
    Applied,
    /// There was nothing to forgive.
    Unchanged,
}

/// What became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CircuitsReset {
    /// Whether anything was forgiven.
    pub outcome: ResetOutcome,
    /// The circuit now.
    #[serde(flatten)]
    pub circuit: Circuit,
}

/// `circuits.probe`: may this run go ahead? The host is the caller.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CircuitsProbeRequest {
    /// The agent.
    pub agent: SubagentName,
    /// The session that wants to run it.
    pub session: SessionId,
    /// The call, where the agent names calls.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool_use_id: Option<ToolCallId>,
    /// The delegation that the call is made for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delegation_id: Option<DelegationId>,
}

/// Whether it may.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CircuitsProbe {
    /// Whether it may.
    pub granted: bool,
    /// The circuit, with the probe's holder and its expiry.
    #[serde(flatten)]
    pub circuit: Circuit,
}
