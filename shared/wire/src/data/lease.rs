//! `runtime.status.start_session`, `heartbeat_session`, `clear_session`, `takeover_session`, and what guards the work:
//! escalations and execution gates; and `write_handoff`, `write_recovery`.

use super::continuity::ContinuityData;
use super::runtime::RuntimeMetadata;
use crate::time;
use muster_domain::lease::{
    Escalation, EscalationKind, Gate, Guards, Lease, LeaseFact, LeaseKey, Mode, Operation, OwnerKind, Prior,
};
use muster_domain::names::{HostName, Profile, SessionId, Workspace};
use muster_domain::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// A change of who works on what, with CCD's words.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LeaseChanged {
    /// What every decision carries.
    pub runtime: RuntimeMetadata,
    /// What was done.
    pub operation: Operation,
    /// On what.
    pub workspace: Workspace,
    /// Whose work.
    pub profile: Option<Profile>,
    /// How often the workspace changed hands or was kept; never goes back.
    pub revision: u64,
    /// The work after it; none when it was cleared.
    pub session: Option<LeaseData>,
    /// Escalations and gates after it, where they changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guards: Option<GuardsData>,
    /// Handoff and recovery after it, where they changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub continuity: Option<ContinuityData>,
    /// The work that ended by it.
    pub prior_session_id: Option<SessionId>,
    /// Who held that.
    pub prior_actor_id: Option<String>,
    /// Why.
    pub reason: Option<String>,
    /// Digest of what the request asked.
    pub request_digest: u64,
}

/// Work that somebody holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaseData {
    /// Names it.
    pub session_id: SessionId,
    /// When it began.
    #[serde(with = "time")]
    pub started_at: Timestamp,
    /// When it was last started.
    #[serde(with = "time")]
    pub last_started_at: Timestamp,
    /// How often.
    pub start_count: u32,
    /// What kind of work.
    pub mode: Mode,
    /// Who keeps it.
    pub owner_kind: OwnerKind,
    /// Their name.
    pub actor_id: Option<String>,
    /// Who supervises them.
    pub supervisor_id: Option<String>,
    /// How long one heartbeat keeps it.
    pub lease_seconds: Option<u64>,
    /// The last one.
    #[serde(with = "time::optional")]
    pub last_heartbeat_at: Option<Timestamp>,
    /// What they say they do.
    pub activity: Option<String>,
    /// The host it is held from.
    pub host: Option<HostName>,
    /// The name under which it was begun.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caller: Option<String>,
}

/// What stands between the work and its going on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GuardsData {
    /// What waits for somebody, the oldest first.
    pub escalations: Vec<EscalationData>,
    /// What has to be passed, in order.
    pub execution_gates: Vec<Gate>,
    /// The first gate that is not passed, counted from 0.
    #[serde(default)]
    pub attention_anchor: Option<usize>,
}

/// Something that waits for somebody.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EscalationData {
    /// Names it within its workspace.
    pub id: String,
    /// Whether it stops the work.
    pub kind: EscalationKind,
    /// Why.
    pub reason: String,
    /// Since when.
    #[serde(with = "time")]
    pub created_at: Timestamp,
    /// The work it was raised in.
    pub session_id: SessionId,
}

impl From<&Guards> for GuardsData {
    fn from(guards: &Guards) -> Self {
        let escalations = guards.escalations.iter().map(|one| EscalationData {
            id: one.id.to_string(),
            kind: one.kind,
            reason: one.reason.to_string(),
            created_at: one.created,
            session_id: one.session.clone(),
        });
        Self {
            escalations: escalations.collect(),
            execution_gates: guards.gates.clone(),
            attention_anchor: guards.attention_anchor(),
        }
    }
}

impl From<GuardsData> for Guards {
    fn from(data: GuardsData) -> Self {
        let escalations = data.escalations.into_iter().map(|one| Escalation {
            id: one.id.into(),
            kind: one.kind,
            reason: one.reason.into(),
            created: one.created_at,
            session: one.session_id,
        });
        Self {
            escalations: escalations.collect(),
            gates: data.execution_gates,
        }
    }
}

impl From<&Lease> for LeaseData {
    fn from(lease: &Lease) -> Self {
        let owned = |text: &Option<Box<str>>| text.as_deref().map(str::to_owned);
        Self {
            session_id: lease.session.clone(),
            started_at: lease.started,
            last_started_at: lease.last_started,
            start_count: lease.start_count,
            mode: lease.mode,
            owner_kind: lease.owner_kind,
            actor_id: owned(&lease.actor),
            supervisor_id: owned(&lease.supervisor),
            lease_seconds: lease.ttl.map(|ttl| ttl.as_secs()),
            last_heartbeat_at: lease.last_heartbeat,
            activity: owned(&lease.activity),
            host: lease.host.clone(),
            caller: owned(&lease.caller),
        }
    }
}

impl From<LeaseData> for Lease {
    fn from(data: LeaseData) -> Self {
        Self {
            session: data.session_id,
            started: data.started_at,
            last_started: data.last_started_at,
            start_count: data.start_count,
            mode: data.mode,
            owner_kind: data.owner_kind,
            actor: data.actor_id.map(Into::into),
            supervisor: data.supervisor_id.map(Into::into),
            ttl: data.lease_seconds.map(Duration::from_secs),
            last_heartbeat: data.last_heartbeat_at,
            activity: data.activity.map(Into::into),
            host: data.host,
            caller: data.caller.map(Into::into),
        }
    }
}

impl LeaseChanged {
    pub(crate) fn new(runtime: RuntimeMetadata, fact: &LeaseFact) -> Self {
        Self {
            runtime,
            operation: fact.operation,
            workspace: fact.key.workspace.clone(),
            profile: fact.key.profile.clone(),
            revision: fact.revision,
            session: fact.lease.as_deref().map(LeaseData::from),
            guards: fact.guards.as_deref().map(GuardsData::from),
            continuity: fact.continuity.as_deref().cloned().map(ContinuityData::from),
            prior_session_id: fact.prior.as_ref().map(|prior| prior.session.clone()),
            prior_actor_id: fact
                .prior
                .as_ref()
                .and_then(|prior| Some(prior.actor.as_deref()?.to_owned())),
            reason: fact.reason.as_deref().map(str::to_owned),
            request_digest: fact.request.1,
        }
    }

    pub(crate) fn into_fact(self) -> LeaseFact {
        let actor = self.prior_actor_id.map(Into::into);
        LeaseFact {
            key: LeaseKey {
                profile: self.profile,
                workspace: self.workspace,
            },
            operation: self.operation,
            lease: self.session.map(|data| Box::new(data.into())),
            prior: self.prior_session_id.map(|session| Box::new(Prior { session, actor })),
            guards: self.guards.map(|data| Box::new(data.into())),
            continuity: self.continuity.map(|data| Box::new(data.into())),
            reason: self.reason.map(Into::into),
            revision: self.revision,
            request: (self.runtime.request_id.into(), self.request_digest),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{decision, decode};
    use muster_domain::conclusion::{Cause, Conclusion, Draft};
    use muster_domain::fact::{Decision, Fact};
    use muster_domain::ids::EventId;
    use muster_domain::lease::{GateStatus, Seed};
    use uuid::Uuid;

    fn fact(operation: Operation, guards: Option<Guards>) -> LeaseFact {
        let key = LeaseKey {
            profile: None,
            workspace: Workspace::new("/repo").unwrap(),
        };
        LeaseFact {
            key,
            operation,
            lease: None,
            prior: None,
            guards: guards.map(Box::new),
            continuity: None,
            reason: None,
            revision: 7,
            request: ("r1".into(), 9),
        }
    }

    #[test]
    fn what_guards_work_is_folded_as_it_was_concluded() {
        let guards = Guards {
            escalations: vec![Escalation {
                id: "esc_1".into(),
                kind: EscalationKind::Blocking,
                reason: "which of the two?".into(),
                created: Timestamp::from_millis(5),
                session: SessionId::new("ses_1").unwrap(),
            }],
            gates: vec![Gate {
                text: "builds".into(),
                status: GateStatus::Blocked,
                seeded_from: Some(Seed::ImmediateActions),
            }],
        };
        let facts = [
            (fact(Operation::SetEscalation, Some(guards)), "set_escalation"),
            (fact(Operation::ClearSession, Some(Guards::default())), "clear_session"),
            (fact(Operation::HeartbeatSession, None), "heartbeat_session"),
        ];
        for (said, kind) in facts {
            let draft = Draft {
                host: None,
                session: None,
                agent: None,
                profile: None,
                conclusion: Conclusion::Lease(said.clone()),
                cause: Cause::Request("r1".into()),
            };
            let id = EventId::from_uuid(Uuid::from_u128(2));
            let sent = decision::envelope(&draft, id, Timestamp::from_millis(5));
            assert_eq!(sent.event_type.to_string(), ["runtime.status", kind].join("."));
            assert_eq!(
                decode::event(&sent).fact,
                Fact::Decision(Decision::Lease(Box::new(said)))
            );
        }
    }
}
