use super::*;
use crate::spool::{Lane, Priority};
use serde_json::json;

fn read(agent: &str, payload: &Value) -> Result<Observation, Reject> {
    hook(agent, payload.to_string().as_bytes(), Circumstances::default())
}

#[test]
fn a_hook_keeps_its_payload_and_its_own_name() {
    let payload = json!({"session_id": "s-1", "hook_event_name": "PreToolUse", "tool_name": "Bash", "tool_input": {"command": "ls"}});
    let seen = read("claude-code", &payload).unwrap();
    assert_eq!(seen.event_type.to_string(), "agent.hook.pre_tool_use");
    assert_eq!(seen.session.unwrap().as_str(), "s-1");
    assert_eq!(seen.agent.unwrap().as_str(), "claude-code");
    assert_eq!(seen.notes.hook, "PreToolUse");
    assert_eq!(Value::Object(seen.data), payload);
    assert_eq!(seen.time, None);
}

#[test]
fn an_unknown_hook_is_kept_under_its_own_name() {
    let payload = json!({"session_id": "s", "hook_event_name": "BrandNewHook", "unheard_of": [1]});
    let seen = read("generic", &payload).unwrap();
    assert_eq!(seen.event_type.to_string(), "agent.hook.brand_new_hook");
    assert_eq!(seen.data["unheard_of"], json!([1]));
}

#[test]
fn the_short_keys_of_trusty_mpm_are_unwrapped() {
    let payload =
        json!({"session_id": "s", "event": "PostToolUse", "payload": {"tool": "Bash", "output": "x", "agent": "qa"}});
    let seen = read("trusty-mpm", &payload).unwrap();
    assert_eq!(seen.event_type.to_string(), "agent.hook.post_tool_use");
    assert_eq!(
        (&seen.data["tool"], &seen.data["agent"]),
        (&json!("Bash"), &json!("qa"))
    );
    assert!(!seen.data.contains_key("payload"));
}

#[test]
fn other_spellings_of_session_and_time_are_found() {
    let copilot = json!({"sessionId": "c", "timestamp": 1_795_267_134_318_i64, "cwd": "/x"});
    let around = Circumstances {
        hint: Some("sessionStart".into()),
        ..Circumstances::default()
    };
    let seen = hook("copilot-cli", copilot.to_string().as_bytes(), around).unwrap();
    assert_eq!(seen.event_type.to_string(), "agent.hook.session_start");
    assert_eq!(seen.time.unwrap().as_millis(), 1_795_267_134_318);
    let opencode = json!({"type": "session.created", "properties": {"sessionID": "ses_1"}});
    assert_eq!(read("opencode", &opencode).unwrap().session.unwrap().as_str(), "ses_1");
    let vibe = json!({"session_id": "v", "event": "tool_start"});
    assert_eq!(
        read("vibe", &vibe).unwrap().event_type.to_string(),
        "agent.hook.pre_tool_use"
    );
}

#[test]
fn the_environment_of_the_hook_is_noted() {
    let env = [
        ("CLAUDE_CODE_ENTRYPOINT", "cli"),
        ("CLAUDE_CODE_SESSION_ATTENDED", "1"),
        ("MUSTER_RUN", "run-7"),
        ("MUSTER_LABELS", "team=web, tier = 2"),
        ("TRACEPARENT", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
        ("CLAUDE_CODE_SESSION_ID", "from-env"),
    ];
    let around = Circumstances {
        env: env.map(|(key, value)| (key.to_owned(), value.to_owned())).into(),
        key: Some("k".into()),
        ..Circumstances::default()
    };
    let seen = hook("claude", br#"{"hook_event_name":"Stop"}"#, around).unwrap();
    assert_eq!(seen.session.unwrap().as_str(), "from-env");
    assert_eq!(seen.notes.run.unwrap().as_str(), "run-7");
    assert_eq!(seen.notes.attended, Some(true));
    assert_eq!(seen.notes.labels["tier"], "2");
    assert_eq!(seen.notes.key.as_deref(), Some("k"));
    assert!(seen.traceparent.is_some());
}

#[test]
fn each_flaw_of_a_hook_has_its_reason() {
    let kind = |agent: &str, body: &[u8]| hook(agent, body, Circumstances::default()).unwrap_err().kind();
    assert_eq!(kind("nobody", b"{}"), "unknown-agent");
    assert_eq!(kind("codex", b"{"), "broken-json");
    assert_eq!(kind("codex", b"\xff"), "not-utf8");
    assert_eq!(kind("codex", b"[]"), "not-an-object");
    assert_eq!(kind("codex", b"{}"), "missing-session");
    assert_eq!(kind("codex", br#"{"session_id":""}"#), "missing-session");
    assert_eq!(kind("codex", br#"{"session_id":"s"}"#), "missing-hook");
    assert_eq!(
        kind("codex", br#"{"session_id":"a\nb","hook_event_name":"Stop"}"#),
        "bad-name"
    );
    assert_eq!(
        kind("codex", br#"{"session_id":"s","hook_event_name":"??"}"#),
        "bad-name"
    );
}

#[test]
fn lifecycle_and_approvals_go_before_tools() {
    let priority = |name: &str| {
        read("claude", &json!({"session_id": "s", "hook_event_name": name}))
            .unwrap()
            .priority()
    };
    for name in [
        "SessionStart",
        "SessionEnd",
        "Stop",
        "StopFailure",
        "SubagentStop",
        "PermissionRequest",
        "UserPromptSubmit",
    ] {
        assert_eq!(priority(name), Priority::High, "{name}");
    }
    for name in ["PreToolUse", "PostToolUse", "Notification", "SomethingNew"] {
        assert_eq!(priority(name), Priority::Low, "{name}");
    }
}

#[test]
fn events_are_read_alone_in_arrays_and_in_lines() {
    let one = json!({"kind": "agent.turn.note", "session": "s", "agent": "claude-code", "time": "2026-11-21T12:00:00Z",
        "id": "0198f3c2-0000-7000-8000-000000000001", "data": {"text": "x"}});
    let seen = event(one.clone()).unwrap();
    assert_eq!(seen.id.unwrap().to_string(), "0198f3c2-0000-7000-8000-000000000001");
    assert_eq!(seen.lane(), Lane::Events);
    let text = one.to_string();
    assert!(items(text.as_bytes(), false).unwrap().single);
    let array = json!([one, 5]).to_string();
    let array = items(array.as_bytes(), false).unwrap();
    assert!(super::read(array.texts[0]).is_ok());
    assert_eq!(super::read(array.texts[1]).unwrap_err().kind(), "not-an-object");
    let lines = format!("{text}\n\n{{\n{text}");
    let lines = items(lines.as_bytes(), true).unwrap();
    let read: Vec<bool> = lines.texts.iter().map(|text| super::read(text).is_ok()).collect();
    assert_eq!(read, [true, false, true]);
    assert_eq!(items(b"[1, ", false).unwrap_err().kind(), "broken-json");
    assert_eq!(
        items("[1".repeat(200).as_bytes(), false).unwrap_err().kind(),
        "too-deep"
    );
    assert_eq!(
        items("1\n".repeat(20_001).as_bytes(), true).unwrap_err().kind(),
        "too-many"
    );
    let output = event(json!({"kind": "agent.output.stream", "session": "s", "data": {"n": 1}})).unwrap();
    assert_eq!(output.lane(), Lane::Transcript);
}

#[test]
fn each_flaw_of_an_event_has_its_reason() {
    for (item, kind) in [
        (json!({"session": "s"}), "bad-field"),
        (json!({"kind": "agent.nope.x", "session": "s"}), "unknown-kind"),
        (json!({"kind": "agent.turn.nope", "session": "s"}), "unknown-kind"),
        (json!({"kind": "runtime.leader.elected"}), "not-an-observation"),
        (json!({"kind": "notice.delivery.sent"}), "not-an-observation"),
        (
            json!({"kind": "agent.effect.done", "session": "s"}),
            "not-an-observation",
        ),
        (json!({"kind": "host.status.stopping"}), "not-an-observation"),
        (
            json!({"kind": "agent.turn.status_changed", "session": "s", "data": {"status": "permission_answered"}}),
            "not-an-observation",
        ),
        (json!({"kind": "agent.hook.stop"}), "missing-session"),
        (json!({"kind": "agent.hook.stop", "session": "a\u{1}"}), "bad-name"),
        (json!({"kind": "agent.hook.stop", "session": 5}), "bad-field"),
        (
            json!({"kind": "agent.hook.stop", "session": "s", "id": "x"}),
            "bad-field",
        ),
        (
            json!({"kind": "agent.hook.stop", "session": "s", "time": "noon"}),
            "bad-field",
        ),
        (
            json!({"kind": "agent.hook.stop", "session": "s", "data": []}),
            "bad-field",
        ),
    ] {
        assert_eq!(event(item.clone()).unwrap_err().kind(), kind, "{item}");
    }
    assert!(event(json!({"kind": "process.network.connect"})).is_ok());
}
