use super::*;
use crate::decode;
use muster_domain::alert::{AlertFact, Because, Raised, Rule, Severity};
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
    let fact = decode::recorded(1, Timestamp::from_millis(6), &sent.subject().to_string(), &bytes)
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
    ];
    for (conclusion, decision) in facts {
        assert_eq!(folded(conclusion).1, Fact::Decision(decision));
    }
}

#[test]
fn an_alert_is_folded_as_it_was_raised() {
    let raised = AlertFact::Raised(Box::new(Raised {
        key: "stuck:web-01/s".into(),
        rule: Some(Rule::Stuck),
        kind: Some("same_call".into()),
        severity: Severity::Warning,
        summary: "session s on web-01 made the same call 6 times in a row".into(),
        since: Some(Timestamp::from_millis(3)),
        evidence: [("times".into(), 6)].into(),
    }));
    let (sent, fact) = folded(Conclusion::Alert(raised.clone()));
    assert_eq!(fact, Fact::Decision(Decision::Alert(raised)));
    assert_eq!(sent.subject().to_string(), "runtime.alert.raised.web-01.s");
    let shown: serde_json::Value = serde_json::from_str(sent.data.get()).unwrap();
    assert_eq!(
        (&shown["rule"], &shown["severity"]),
        (&"stuck".into(), &"warning".into())
    );
    assert_eq!(shown["evidence"]["times"], 6);
    let cleared = AlertFact::Cleared {
        key: "stuck:web-01/s".into(),
        because: Because::SessionOver,
    };
    let (sent, fact) = folded(Conclusion::Alert(cleared.clone()));
    assert_eq!(fact, Fact::Decision(Decision::Alert(cleared)));
    let shown: serde_json::Value = serde_json::from_str(sent.data.get()).unwrap();
    assert_eq!(
        (&shown["rule"], &shown["because"]),
        (&"stuck".into(), &"session_over".into())
    );
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
