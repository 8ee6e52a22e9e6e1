//! `runtime.circuit.*`: an agent that keeps failing is stopped, tried, and let go on.

use super::runtime::RuntimeMetadata;
use crate::time;
use muster_domain::circuit::{Closing, Holder, Opening};
use muster_domain::fleet::SessionKey;
use muster_domain::ids::DelegationId;
use muster_domain::names::{HostName, SessionId, SubagentName, ToolCallId};
use muster_domain::time::Timestamp;
use serde::{Deserialize, Serialize};

/// `runtime.circuit.opened`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CircuitOpened {
    /// What every decision carries.
    pub runtime: RuntimeMetadata,
    /// The agent.
    pub agent: SubagentName,
    /// Why.
    pub reason: Opening,
    /// Failures in a row so far.
    pub failures: u32,
    /// The how-manieth opening in a row, from 1.
    pub trips: u32,
    /// When a probe may be asked for.
    #[serde(with = "time")]
    pub until: Timestamp,
    /// The last failure, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// `runtime.circuit.half_opened`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CircuitHalfOpened {
    /// What every decision carries.
    pub runtime: RuntimeMetadata,
    /// The agent.
    pub agent: SubagentName,
    /// Whose run may try.
    pub holder: ProbeHolder,
    /// Failures in a row so far.
    pub failures: u32,
    /// Until when.
    #[serde(with = "time")]
    pub expires: Timestamp,
}

/// `runtime.circuit.closed`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CircuitClosed {
    /// What every decision carries.
    pub runtime: RuntimeMetadata,
    /// The agent.
    pub agent: SubagentName,
    /// Why.
    pub reason: Closing,
    /// Failures in a row that are forgotten with it.
    pub failures: u32,
    /// Who, where somebody said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// In which request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

/// Whose run may try.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProbeHolder {
    /// The host.
    pub host: HostName,
    /// The session there.
    pub session: SessionId,
    /// The call, where the agent names calls.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool_use_id: Option<ToolCallId>,
    /// The delegation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delegation_id: Option<DelegationId>,
}

impl From<Holder> for ProbeHolder {
    fn from(holder: Holder) -> Self {
        Self {
            host: holder.session.host,
            session: holder.session.id,
            tool_use_id: holder.call,
            delegation_id: holder.delegation,
        }
    }
}

impl From<ProbeHolder> for Holder {
    fn from(holder: ProbeHolder) -> Self {
        Self {
            session: SessionKey {
                host: holder.host,
                id: holder.session,
            },
            call: holder.tool_use_id,
            delegation: holder.delegation_id,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decision::envelope;
    use crate::decode;
    use muster_domain::circuit::Change;
    use muster_domain::conclusion::{Cause, Draft};
    use muster_domain::fact::{Decision, Fact};
    use muster_domain::ids::EventId;
    use uuid::Uuid;

    #[test]
    fn every_transition_of_a_circuit_is_read_back() {
        let agent = SubagentName::new("reviewer").unwrap();
        let holder = Holder {
            session: SessionKey {
                host: HostName::new("web-01").unwrap(),
                id: SessionId::new("s").unwrap(),
            },
            call: ToolCallId::new("toolu_1").ok(),
            delegation: Some(DelegationId::from_uuid(Uuid::from_u128(7))),
        };
        let changes = [
            Change::Opened {
                agent: agent.clone(),
                reason: Opening::ProbeFailed,
                failures: 4,
                trips: 2,
                until: Timestamp::from_millis(9),
                error: Some("overloaded".to_owned()),
            },
            Change::HalfOpened {
                agent: agent.clone(),
                holder,
                failures: 3,
                expires: Timestamp::from_millis(9),
            },
            Change::Closed {
                agent,
                reason: Closing::Reset,
                failures: 3,
                by: Some("anna".to_owned()),
                request: Some("r1".to_owned()),
            },
        ];
        for change in changes {
            let draft = Draft::of_circuit(change.clone(), Cause::Request("r1".into()));
            let sent = envelope(&draft, EventId::from_uuid(Uuid::from_u128(2)), Timestamp::default());
            let fact = decode::event(&sent).fact;
            assert_eq!(fact, Fact::Decision(Decision::Circuit(change)), "{}", sent.data.get());
        }
    }
}
