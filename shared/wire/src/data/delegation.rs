//! `runtime.delegation.*`: work that a session hands to a named agent.

use super::runtime::RuntimeMetadata;
use muster_domain::delegation::Tier;
use muster_domain::ids::DelegationId;
use muster_domain::names::{HostName, SessionId, SubagentName, ToolCallId};
use serde::{Deserialize, Serialize};

/// Characters of a task that the state keeps; the event has all of it.
pub const TASK_CHARS: usize = 1000;

/// `runtime.delegation.queued`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DelegationQueued {
    /// What every decision carries.
    pub runtime: RuntimeMetadata,
    /// Its id.
    pub delegation_id: DelegationId,
    /// The host of the session that delegates.
    pub host: HostName,
    /// The session that delegates.
    pub session: SessionId,
    /// The delegation it is part of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<DelegationId>,
    /// How many delegations it is nested in.
    pub depth: u32,
    /// Who shall do it.
    pub agent: SubagentName,
    /// Which kind of model shall.
    pub tier: Tier,
    /// What shall be done.
    pub task: String,
    /// The delegator's permission mode, which is its ceiling.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub permission_mode: Option<String>,
    /// Who asked for it.
    pub by: String,
    /// The request that asked for it.
    pub request_id: String,
}

/// `runtime.delegation.running`, `completed`, `failed`, `cancelled` and `stale`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DelegationChanged {
    /// What every decision carries.
    pub runtime: RuntimeMetadata,
    /// Its id.
    pub delegation_id: DelegationId,
    /// The call that was made for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool_use_id: Option<ToolCallId>,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// `runtime.delegation.refused`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DelegationRefused {
    /// What every decision carries.
    pub runtime: RuntimeMetadata,
    /// Who should have done it.
    pub agent: SubagentName,
    /// Why not.
    pub reason: String,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decision::envelope;
    use crate::decode;
    use muster_domain::conclusion::{Cause, Conclusion, Draft};
    use muster_domain::delegation::{Delegation, DelegationFact, Status};
    use muster_domain::fact::{Decision, Fact};
    use muster_domain::fleet::SessionKey;
    use muster_domain::ids::EventId;
    use muster_domain::time::Timestamp;
    use uuid::Uuid;

    #[test]
    fn every_step_of_a_delegation_is_read_back() {
        let id = DelegationId::from_uuid(Uuid::from_u128(7));
        let session = SessionKey {
            host: HostName::new("web-01").unwrap(),
            id: SessionId::new("s").unwrap(),
        };
        let delegation = Delegation {
            session: session.clone(),
            parent: Some(DelegationId::from_uuid(Uuid::from_u128(6))),
            depth: 1,
            agent: SubagentName::new("reviewer").unwrap(),
            tier: Tier::Opus,
            task: "review it".into(),
            permission_mode: Some("plan".into()),
            by: "web-01".into(),
            request: "r1".into(),
            status: Status::Queued,
            queued: Timestamp::default(),
            since: Timestamp::default(),
            call: None,
            reason: None,
        };
        let facts = [
            DelegationFact::Queued {
                id,
                delegation: Box::new(delegation),
            },
            DelegationFact::Running {
                id,
                call: ToolCallId::new("toolu_1").unwrap(),
            },
            DelegationFact::Ended {
                id,
                status: Status::Stale,
                call: None,
                reason: Some("its session is over".into()),
            },
            DelegationFact::Refused {
                agent: SubagentName::new("reviewer").unwrap(),
                reason: "held".into(),
            },
        ];
        for fact in facts {
            let draft = Draft {
                host: Some(session.host.clone()),
                session: Some(session.id.clone()),
                agent: None,
                profile: None,
                conclusion: Conclusion::Delegation(fact.clone()),
                cause: Cause::Request("r1".into()),
            };
            let sent = envelope(&draft, EventId::from_uuid(Uuid::from_u128(2)), Timestamp::default());
            let read = decode::event(&sent).fact;
            assert_eq!(read, Fact::Decision(Decision::Delegation(fact)), "{}", sent.data.get());
        }
    }
}
