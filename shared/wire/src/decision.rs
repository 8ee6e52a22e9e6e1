//! What the domain concluded, as events.

use crate::data::Payload;
use crate::data::approval::{ApprovalRequired, ApprovalResolved};
use crate::data::budget::{BudgetReached, BudgetRemoved, BudgetSet};
use crate::data::circuit::{CircuitClosed, CircuitHalfOpened, CircuitOpened};
use crate::data::delegation::{DelegationChanged, DelegationQueued, DelegationRefused};
use crate::data::hold::{HoldConfirmed, HoldReleased, HoldSet};
use crate::data::lease::LeaseChanged;
use crate::data::memory::{MemoryCompacted, PressureChanged};
use crate::data::policy::PolicyActivated;
use crate::data::runtime::{Alert, HostPresence, LeaderElected, RuntimeMetadata, SessionLost, StateChanged};
use crate::envelope::{Envelope, RawData};
use muster_domain::approval::ApprovalFact;
use muster_domain::budget;
use muster_domain::circuit::Change;
use muster_domain::conclusion::{Cause, Conclusion, Draft};
use muster_domain::delegation::DelegationFact;
use muster_domain::family::{EventType, LeaderKind};
use muster_domain::hold;
use muster_domain::ids::{EventId, InstanceId};
use muster_domain::memory::MemoryFact;
use muster_domain::policy::PolicyFact;
use muster_domain::time::Timestamp;

/// The `source` of every decision.
pub const SOURCE: &str = "/orchestrator";

/// Severity of alerts about the log itself: something was counted twice, or two spools count as one.
const SEVERITY: &str = "warning";

/// The event that a draft becomes under this id, concluded at this time.
pub fn envelope(draft: &Draft, id: EventId, at: Timestamp) -> Envelope {
    let event_type = draft.event_type();
    Envelope {
        data: data(draft, metadata(draft, id)),
        host: draft.host.clone(),
        session: draft.session.clone(),
        agent: draft.agent.clone(),
        profile: draft.profile.clone(),
        causation: match &draft.cause {
            Cause::Event(cause) => Some(*cause),
            Cause::Silence { .. } | Cause::Presence { .. } | Cause::Request(_) | Cause::Due { .. } => None,
        },
        ..bare(event_type, id, at)
    }
}

/// The event with which a leader begins; its subject is what every decision is fenced by.
pub fn elected(instance: InstanceId, term: u64, version: &str, id: EventId, at: Timestamp) -> Envelope {
    let event_type = EventType::Leader(LeaderKind::Elected);
    let elected = LeaderElected {
        runtime: RuntimeMetadata::unasked(event_type.kind(), id),
        instance,
        term,
        version: version.to_owned(),
    };
    Envelope {
        data: elected.to_raw(),
        ..bare(event_type, id, at)
    }
}

fn bare(event_type: EventType, id: EventId, at: Timestamp) -> Envelope {
    Envelope {
        id,
        source: SOURCE.to_owned(),
        event_type,
        host: None,
        session: None,
        time: at,
        time_exact: true,
        agent: None,
        profile: None,
        origin: None,
        causation: None,
        correlation: None,
        traceparent: None,
        data: crate::data::Empty {}.to_raw(),
    }
}

fn metadata(draft: &Draft, id: EventId) -> RuntimeMetadata {
    let mut metadata = RuntimeMetadata::unasked(draft.event_type().kind(), id);
    if let Cause::Request(request) = &draft.cause {
        metadata.request_id = request.to_string();
    }
    if let Conclusion::Approval(ApprovalFact::Required { id, .. } | ApprovalFact::Resolved { id, .. }) =
        &draft.conclusion
    {
        metadata.approval_request_id = Some(id.to_string());
    }
    metadata
}

fn of_hold(change: hold::Change, runtime: RuntimeMetadata) -> RawData {
    match change {
        hold::Change::Set(order) => HoldSet::new(runtime, order).to_raw(),
        hold::Change::Released { hold, by, reason } => HoldReleased {
            runtime,
            hold_id: hold,
            by,
            reason,
        }
        .to_raw(),
        hold::Change::Confirmed { hold } => HoldConfirmed { runtime, hold_id: hold }.to_raw(),
    }
}

fn of_budget(change: budget::Change, runtime: RuntimeMetadata) -> RawData {
    match change {
        budget::Change::Set { rule, by } => BudgetSet {
            runtime,
            budget_id: rule.id(),
            rule,
            by,
        }
        .to_raw(),
        budget::Change::Removed { id, by } => BudgetRemoved {
            runtime,
            budget_id: id,
            by,
        }
        .to_raw(),
        budget::Change::Warned(reached) | budget::Change::Exceeded(reached) => {
            BudgetReached::new(runtime, reached).to_raw()
        }
    }
}

fn data(draft: &Draft, runtime: RuntimeMetadata) -> RawData {
    match draft.conclusion.clone() {
        Conclusion::StateChanged {
            from,
            to,
            reason,
            since,
        } => StateChanged {
            runtime,
            from,
            to,
            reason,
            since,
        }
        .to_raw(),
        Conclusion::SessionLost { reason } => SessionLost { runtime, reason }.to_raw(),
        Conclusion::Lease(fact) => LeaseChanged::new(runtime, &fact).to_raw(),
        Conclusion::Approval(ApprovalFact::Required {
            id,
            stage,
            deadline,
            fallback,
            asked,
        }) => ApprovalRequired {
            runtime,
            approval_id: id,
            stage,
            deadline,
            fallback,
            asked: (&*asked).into(),
        }
        .to_raw(),
        Conclusion::Approval(ApprovalFact::Resolved { id, resolution }) => ApprovalResolved {
            runtime,
            approval_id: id,
            resolution: (&*resolution).into(),
        }
        .to_raw(),
        Conclusion::Policy(PolicyFact::Activated(activation)) => PolicyActivated::new(runtime, &activation).to_raw(),
        Conclusion::Hold(change) => of_hold(change, runtime),
        Conclusion::Budget(change) => of_budget(change, runtime),
        Conclusion::AlertRaised { key, summary } => Alert {
            runtime,
            key,
            severity: Some(SEVERITY.to_owned()),
            summary: Some(summary),
        }
        .to_raw(),
        Conclusion::AlertCleared { key } => Alert {
            runtime,
            key,
            severity: None,
            summary: None,
        }
        .to_raw(),
        Conclusion::Memory(fact) => memory(fact, runtime),
        Conclusion::Circuit(change) => circuit(change, runtime),
        Conclusion::Delegation(fact) => delegation(fact, runtime),
        Conclusion::HostAdded | Conclusion::HostLost | Conclusion::HostReturned => HostPresence {
            runtime,
            instance: None,
        }
        .to_raw(),
    }
}

fn memory(fact: MemoryFact, runtime: RuntimeMetadata) -> RawData {
    match fact {
        MemoryFact::PressureChanged {
            from,
            to,
            used_tokens,
            window_tokens,
        } => PressureChanged::new(runtime, from, to, used_tokens, window_tokens).to_raw(),
        MemoryFact::Compacted(compaction) => MemoryCompacted {
            runtime,
            compaction: compaction.into(),
        }
        .to_raw(),
    }
}

fn delegation(fact: DelegationFact, runtime: RuntimeMetadata) -> RawData {
    match fact {
        DelegationFact::Queued { id, delegation } => DelegationQueued {
            runtime,
            delegation_id: id,
            host: delegation.session.host,
            session: delegation.session.id,
            parent: delegation.parent,
            depth: delegation.depth,
            agent: delegation.agent,
            tier: delegation.tier,
            task: delegation.task.into(),
            permission_mode: delegation.permission_mode.map(Into::into),
            by: delegation.by.into(),
            request_id: delegation.request.into(),
        }
        .to_raw(),
        DelegationFact::Running { id, call } => DelegationChanged {
            runtime,
            delegation_id: id,
            tool_use_id: Some(call),
            reason: None,
        }
        .to_raw(),
        DelegationFact::Ended { id, call, reason, .. } => DelegationChanged {
            runtime,
            delegation_id: id,
            tool_use_id: call,
            reason: reason.map(Into::into),
        }
        .to_raw(),
        DelegationFact::Refused { agent, reason } => DelegationRefused {
            runtime,
            agent,
            reason: reason.into(),
        }
        .to_raw(),
    }
}

fn circuit(change: Change, runtime: RuntimeMetadata) -> RawData {
    match change {
        Change::Opened {
            agent,
            reason,
            failures,
            trips,
            until,
            error,
        } => CircuitOpened {
            runtime,
            agent,
            reason,
            failures,
            trips,
            until,
            error,
        }
        .to_raw(),
        Change::HalfOpened {
            agent,
            holder,
            failures,
            expires,
        } => CircuitHalfOpened {
            runtime,
            agent,
            holder: holder.into(),
            failures,
            expires,
        }
        .to_raw(),
        Change::Closed {
            agent,
            reason,
            failures,
            by,
            request,
        } => CircuitClosed {
            runtime,
            agent,
            reason,
            failures,
            by,
            request_id: request,
        }
        .to_raw(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode;
    use muster_domain::approval::{ApprovalId, Asked, By, Fallback, Kind, Outcome, Resolution, Scope, Stage};
    use muster_domain::fact::{Decision, Fact, InputDigest};
    use muster_domain::memory::{Compaction, Pressure};
    use muster_domain::names::{HostName, SessionId, ToolCallId, ToolName};
    use muster_domain::state::SessionState;
    use uuid::Uuid;

    fn folded(conclusion: Conclusion) -> (Envelope, Fact) {
        let cause = EventId::from_uuid(Uuid::from_u128(1));
        let draft = Draft {
            host: HostName::new("web-01").ok(),
            session: SessionId::new("s").ok(),
            agent: None,
            profile: None,
            conclusion,
            cause: Cause::Event(cause),
        };
        let sent = envelope(
            &draft,
            EventId::from_uuid(Uuid::from_u128(2)),
            Timestamp::from_millis(5),
        );
        assert_eq!(sent.causation, Some(cause));
        let bytes = sent.encode().unwrap();
        let fact = decode::recorded(1, Timestamp::from_millis(6), &bytes)
            .unwrap()
            .event
            .fact;
        (sent, fact)
    }

    #[test]
    fn what_was_concluded_is_what_is_folded() {
        let (sent, fact) = folded(Conclusion::StateChanged {
            from: None,
            to: SessionState::WaitingApproval,
            reason: Some("Bash".to_owned()),
            since: Timestamp::from_millis(5),
        });
        let to = SessionState::WaitingApproval;
        assert_eq!(
            fact,
            Fact::Decision(Decision::StateChanged {
                to,
                reason: Some("Bash".to_owned())
            })
        );
        assert_eq!(
            sent.data.get(),
            r#"{"runtime":{"api_family":"ccd-runtime","api_version":1,"request_id":"evt_00000000-0000-0000-0000-000000000002","idempotency_key":null,"approval_request_id":null,"operation":"state_changed","retry_class":"safe_retry"},"from":null,"to":"waiting_approval","reason":"Bash","since":"1970-01-01T00:00:00.005Z"}"#
        );
        let facts = [
            (
                Conclusion::SessionLost {
                    reason: "gone".to_owned(),
                },
                Decision::SessionLost {
                    reason: "gone".to_owned(),
                },
            ),
            (Conclusion::HostAdded, Decision::HostAdded),
            (Conclusion::HostLost, Decision::HostLost),
            (Conclusion::HostReturned, Decision::HostReturned),
            (
                Conclusion::AlertRaised {
                    key: "k".to_owned(),
                    summary: "s".to_owned(),
                },
                Decision::AlertRaised { key: "k".to_owned() },
            ),
            (
                Conclusion::AlertCleared { key: "k".to_owned() },
                Decision::AlertCleared { key: "k".to_owned() },
            ),
        ];
        for (conclusion, decision) in facts {
            assert_eq!(folded(conclusion).1, Fact::Decision(decision));
        }
    }

    #[test]
    fn rules_are_folded_as_they_were_activated() {
        let activation = muster_domain::policy::Activation {
            version: 3,
            fingerprint: "sha256:ab".into(),
            name: Some("team".into()),
            sources: vec![muster_domain::policy::Source {
                name: "team.cedar".into(),
                text: "forbid(principal, action, resource);\n".into(),
            }],
            by: "anna".into(),
            request: "evt_00000000-0000-0000-0000-000000000002".into(),
        };
        let activated = PolicyFact::Activated(Box::new(activation));
        let (sent, fact) = folded(Conclusion::Policy(activated.clone()));
        assert_eq!(fact, Fact::Decision(Decision::Policy(activated)));
        assert_eq!(sent.event_type.to_string(), "runtime.policy.activated");
        let shown: serde_json::Value = serde_json::from_str(sent.data.get()).unwrap();
        assert_eq!(shown["runtime"]["operation"], "activated");
        assert_eq!((&shown["version"], &shown["by"]), (&3.into(), &"anna".into()));
        assert_eq!(shown["sources"][0]["name"], "team.cedar");
    }

    #[test]
    fn an_approval_is_folded_as_it_was_concluded() {
        let id = ApprovalId::of(EventId::from_uuid(Uuid::from_u128(9)));
        let asked = Asked {
            kind: Kind::PermissionRequest,
            tool: ToolName::new("Bash").unwrap(),
            call: ToolCallId::new("toolu_1").ok(),
            subagent: None,
            prompt: None,
            digest: InputDigest(7),
            summary: Some("make".into()),
            cwd: Some("/repo".into()),
            permission_mode: None,
            input: Some(r#"{"command":"make"}"#.into()),
            suggestions: Some("[]".into()),
            overflow: None,
        };
        let required = ApprovalFact::Required {
            id,
            stage: Stage::Reminded,
            deadline: Timestamp::from_millis(570_000),
            fallback: Fallback::Deny,
            asked: Box::new(asked),
        };
        let (sent, fact) = folded(Conclusion::Approval(required.clone()));
        assert_eq!(fact, Fact::Decision(Decision::Approval(required)));
        let subject = sent.subject().to_string();
        assert_eq!(subject, "runtime.approval_required.permission_request.web-01.s");
        let shown: serde_json::Value = serde_json::from_str(sent.data.get()).unwrap();
        assert_eq!(shown["runtime"]["approval_request_id"], id.to_string());
        assert_eq!(shown["asked"]["tool_input"]["command"], "make");
        assert_eq!(shown["deadline"], "1970-01-01T00:09:30.000Z");
        let resolution = Resolution {
            outcome: Outcome::Denied,
            by: By::Operator("anna".into()),
            reason: Some("no".into()),
            scope: Scope::Session,
            interrupt: true,
            updated_input: None,
            fallback: None,
            request: Some("r1".into()),
        };
        let resolved = ApprovalFact::Resolved {
            id,
            resolution: Box::new(resolution),
        };
        let (sent, fact) = folded(Conclusion::Approval(resolved.clone()));
        assert_eq!(fact, Fact::Decision(Decision::Approval(resolved)));
        assert_eq!(sent.subject().to_string(), "runtime.approval_resolved.denied.web-01.s");
        let shown: serde_json::Value = serde_json::from_str(sent.data.get()).unwrap();
        assert_eq!(
            shown["resolution"]["by"],
            serde_json::json!({"kind": "operator", "name": "anna"})
        );
    }

    #[test]
    fn what_is_concluded_of_a_context_is_what_is_folded() {
        let compaction = Compaction {
            began: Timestamp::from_millis(5),
            ended: Timestamp::from_millis(9),
            before: Some(600),
            after: None,
        };
        let changed = MemoryFact::PressureChanged {
            from: Pressure::Warn,
            to: Pressure::Compact,
            used_tokens: 900,
            window_tokens: 1000,
        };
        for said in [changed, MemoryFact::Compacted(compaction)] {
            let (_, fact) = folded(Conclusion::Memory(said));
            assert_eq!(fact, Fact::Decision(Decision::Memory(said)));
        }
        let shown = |said| -> (String, serde_json::Value) {
            let (sent, _) = folded(Conclusion::Memory(said));
            let subject = sent.subject().to_string();
            (subject, serde_json::from_str(sent.data.get()).unwrap())
        };
        let (subject, data) = shown(changed);
        assert_eq!(subject, "runtime.memory_compaction.pressure_changed.web-01.s");
        assert_eq!((&data["from"], &data["to"]), (&"Warn".into(), &"Compact".into()));
        assert_eq!((&data["fraction"], &data["used_tokens"]), (&0.9.into(), &900.into()));
        let (subject, data) = shown(MemoryFact::Compacted(compaction));
        assert_eq!(subject, "runtime.memory_compaction.compact_memory.web-01.s");
        assert_eq!(
            (&data["before_tokens"], &data["after_tokens"]),
            (&600.into(), &serde_json::Value::Null)
        );
        assert_eq!(data["runtime"]["retry_class"], "retry_after_reread");
    }

    #[test]
    fn an_election_is_read_with_its_term() {
        let instance = InstanceId::from_uuid(Uuid::from_u128(3));
        let sent = elected(
            instance,
            7,
            "0.1.0",
            EventId::from_uuid(Uuid::from_u128(2)),
            Timestamp::default(),
        );
        assert_eq!(sent.subject().to_string(), "runtime.leader.elected.-.-");
        assert_eq!(
            decode::event(&sent).fact,
            Fact::Decision(Decision::LeaderElected { instance, term: 7 })
        );
    }
}
