use super::*;
use crate::translate::event;
use muster_domain::hold::Selector;
use muster_domain::ids::EventId;
use muster_wire::edge::{Head, Holds, Mark};
use serde_json::{Value, json};

fn hold(mode: Mode, selector: Selector) -> Hold {
    Hold {
        id: EventId::from_uuid(uuid::Uuid::now_v7()),
        mode,
        selector,
        reason: Some("a deploy runs".to_owned()),
        by: "operator op-anna".to_owned(),
        expires_at: None,
    }
}

fn label(key: &str, value: &str) -> Selector {
    Selector::Label {
        key: key.to_owned(),
        value: value.to_owned(),
    }
}

fn rules(holds: Vec<Hold>) -> Rules {
    let mark = Mark {
        stream_created: Timestamp::default(),
        seq: 1,
    };
    let head = Head::new(mark);
    let mut rules = Rules::default();
    rules.holds = Some(Holds { head, holds });
    rules
}

fn enforcing(rules: Rules) -> Gate {
    let profile = muster_domain::names::Profile::new("default").unwrap();
    Gate::new(HostName::new("web-01").unwrap(), profile, Edge::enforcing(rules))
}

fn gate(holds: Vec<Hold>) -> Gate {
    enforcing(rules(holds))
}

fn hook(kind: &str, labels: &Value) -> Observation {
    let data = json!({"tool_name": "Bash", "muster": {"labels": labels}});
    event(json!({"kind": format!("agent.hook.{kind}"), "session": "s", "agent": "claude-code", "data": data})).unwrap()
}

#[test]
fn a_held_call_is_denied_with_the_reason_and_the_log_shows_it() {
    let gate = gate(vec![hold(Mode::Hold, Selector::All)]);
    let mut call = hook("pre_tool_use", &json!({}));
    let verdict = gate.judge(&mut call).unwrap();
    assert_eq!((verdict.decision, verdict.by), (VerdictKind::Deny, VerdictBy::Hold));
    assert_eq!(
        verdict.reason,
        "Held by operator op-anna: a deploy runs. No tool may run for all sessions until it is released; \
         do not retry, tell the user."
    );
    assert_eq!(call.notes.verdict, Some(verdict));
}

#[test]
fn only_what_starts_a_tool_is_held_whatever_its_agent_calls_it() {
    let gate = gate(vec![hold(Mode::Hold, Selector::All)]);
    assert!(gate.judge(&mut hook("before_tool", &json!({}))).is_some());
    for other in ["post_tool_use", "stop", "user_prompt_submit", "session_start"] {
        assert_eq!(gate.judge(&mut hook(other, &json!({}))), None, "{other}");
    }
}

#[test]
fn a_label_counts_also_where_only_an_earlier_hook_brought_it() {
    let gate = gate(vec![hold(Mode::Hold, label("team", "a"))]);
    assert_eq!(gate.judge(&mut hook("pre_tool_use", &json!({}))), None);
    gate.judge(&mut hook("session_start", &json!({"team": "a"})));
    assert!(gate.judge(&mut hook("pre_tool_use", &json!({}))).is_some());
    assert_eq!(gate.judge(&mut hook("pre_tool_use", &json!({"team": "b"}))), None);
}

#[test]
fn an_order_ends_by_this_hosts_clock() {
    let mut ended = hold(Mode::Hold, Selector::All);
    ended.expires_at = Some(Timestamp::from_millis(1_000));
    let rules = rules(vec![ended]);
    let (host, none) = (HostName::new("web-01").unwrap(), std::collections::BTreeMap::new());
    let whom = Whom {
        host: &host,
        session: None,
        agent: None,
        labels: &none,
        remembered: None,
    };
    assert!(held(&rules, &whom, Timestamp::from_millis(999)).is_some());
    assert_eq!(held(&rules, &whom, Timestamp::from_millis(1_000)), None);
}

#[test]
fn being_away_holds_nothing_back() {
    let gate = gate(vec![hold(Mode::Away, Selector::All)]);
    let mut call = hook("pre_tool_use", &json!({}));
    assert_eq!(gate.judge(&mut call), None);
    assert!(call.notes.away);
    let mut request = hook("permission_request", &json!({}));
    gate.judge(&mut request);
    assert!(request.notes.away);
}

#[test]
fn a_verdict_that_a_reporter_brings_is_not_kept() {
    let verdict = json!({"decision": "deny", "by": "hold", "reason": "mine"});
    let data = json!({"tool_name": "Bash", "muster": {"verdict": verdict, "away": true}});
    let mut call = event(json!({"kind": "agent.hook.pre_tool_use", "session": "s", "data": data})).unwrap();
    gate(Vec::new()).judge(&mut call);
    assert_eq!((call.notes.verdict, call.notes.away), (None, false));
}

fn under(text: &str) -> Gate {
    let mut rules = rules(Vec::new());
    let document: muster_wire::edge::Policy = serde_json::from_value(json!({
        "schema": 1, "stream_created": "2026-11-21T12:00:00.000Z", "seq": 3, "version": 1, "fingerprint": "",
        "sources": [{"name": "team.cedar", "text": text}],
    }))
    .unwrap();
    rules.policy = Some(Arc::new(InForce::read(&document).unwrap()));
    enforcing(rules)
}

fn bash(line: &str) -> Observation {
    let data = json!({"tool_name": "Bash", "tool_input": {"command": line}, "cwd": "/home/dev/app", "muster": {"labels": {"team": "a"}}});
    event(json!({"kind": "agent.hook.pre_tool_use", "session": "s", "agent": "claude-code", "data": data})).unwrap()
}

#[test]
fn each_ruling_is_said_in_the_agents_words_and_an_allow_is_not_said() {
    let gate = under(
        r#"@id("no") @message("Not here.") forbid(principal, action in Action::"repair_destructive", resource);
           @decision("approval_required") forbid(principal in Label::"team=a", action in Action::"publish_external", resource);
           @decision("escalation_required") forbid(principal, action in Action::"local_finalize", resource);
           permit(principal, action, resource);
           @grant("true") permit(principal, action, resource) when { context.commands.contains("cargo test") };"#,
    );
    let said = |line: &str| gate.judge(&mut bash(line)).map(|verdict| verdict.decision);
    let denied = gate.judge(&mut bash("rm -rf /")).unwrap();
    assert_eq!((denied.decision, denied.by), (VerdictKind::Deny, VerdictBy::Policy));
    assert_eq!(
        (denied.reason.as_str(), denied.rule.as_deref()),
        ("Not here.", Some("no"))
    );
    assert_eq!(said("git push"), Some(VerdictKind::Ask));
    assert_eq!(said("git commit"), Some(VerdictKind::Ask));
    assert_eq!(said("ls"), None);
    assert_eq!(said("cargo test"), Some(VerdictKind::Allow));
}

#[test]
fn a_hold_comes_before_the_policy() {
    let mut rules = rules(vec![hold(Mode::Hold, Selector::All)]);
    rules.policy = Some(Arc::new(InForce::Unread));
    let verdict = enforcing(rules).judge(&mut bash("rm -rf /")).unwrap();
    assert_eq!(verdict.by, VerdictBy::Hold);
}

#[test]
fn without_any_policy_nothing_is_said_and_with_one_that_cannot_be_read_destruction_is_asked_about() {
    assert_eq!(gate(Vec::new()).judge(&mut bash("rm -rf /")), None);
    assert_eq!(under("").judge(&mut bash("rm -rf /")), None);
    let mut unread = rules(Vec::new());
    unread.policy = Some(Arc::new(InForce::Unread));
    let gate = enforcing(unread);
    assert_eq!(
        gate.judge(&mut bash("rm -rf /")).map(|verdict| verdict.decision),
        Some(VerdictKind::Ask)
    );
    assert_eq!(gate.judge(&mut bash("git push")), None);
}

/// A hook of Claude Code's, in the main thread or in a subagent, under a permission mode.
fn in_mode(kind: &str, mode: &str, subagent: Option<&str>, input: &Value) -> Observation {
    let tool = if input.is_null() { "Bash" } else { "Agent" };
    let mut data = json!({"tool_name": tool, "tool_input": input, "permission_mode": mode});
    if let Some(kind) = subagent {
        data["agent_id"] = json!("a1");
        data["agent_type"] = json!(kind);
    }
    event(json!({"kind": format!("agent.hook.{kind}"), "session": "s", "agent": "claude-code", "data": data})).unwrap()
}

fn delegation(agent: &str) -> Value {
    let prompt = "muster-delegation: 0198f3c2-0000-7000-8000-00000000000a\nreview it";
    json!({"subagent_type": agent, "prompt": prompt})
}

#[test]
fn a_delegated_agent_has_no_more_rights_than_its_delegator() {
    for gate in [enforcing(Rules::default()), gate(vec![hold(Mode::Away, Selector::All)])] {
        let bypass = |kind: &str| in_mode("pre_tool_use", "bypassPermissions", Some(kind), &Value::Null);
        assert_eq!(
            gate.judge(&mut in_mode("pre_tool_use", "default", None, &Value::Null)),
            None
        );
        assert_eq!(gate.judge(&mut bypass("reviewer")), None, "nobody delegated to it");
        let call = gate.judge(&mut in_mode("pre_tool_use", "default", None, &delegation("reviewer")));
        assert_eq!(call, None);
        let mut more = bypass("reviewer");
        let denied = gate.judge(&mut more).unwrap();
        assert_eq!((denied.decision, denied.by), (VerdictKind::Deny, VerdictBy::Delegation));
        assert!(denied.reason.contains("`bypassPermissions`"), "{}", denied.reason);
        assert_eq!(more.notes.verdict, Some(denied));
        assert_eq!(
            gate.judge(&mut bypass("other")),
            None,
            "another kind was not delegated to"
        );
        for mode in ["plan", "default", "dontAsk", "never-heard-of"] {
            let same = gate.judge(&mut in_mode("pre_tool_use", mode, Some("reviewer"), &Value::Null));
            assert_eq!(same, None, "{mode}");
        }
        // The user gives the session more, and with it its agents.
        gate.judge(&mut in_mode(
            "user_prompt_submit",
            "bypassPermissions",
            None,
            &Value::Null,
        ));
        assert_eq!(gate.judge(&mut bypass("reviewer")), None);
    }
}

#[test]
fn what_cannot_be_read_is_denied_where_something_might_deny_it() {
    let call = br#"{"session_id":"s","hook_event_name":"PreToolUse","tool_input":{"n":1e999"#;
    let after = br#"{"session_id":"s","hook_event_name":"PostToolUse","tool_input":{"n":1e999"#;
    let said = |gate: &Gate, hint: Option<&str>, bytes: &[u8]| {
        let (hook, verdict) = gate.of_unreadable(hint, bytes)?;
        assert_eq!(verdict.decision, VerdictKind::Deny);
        Some((hook, verdict.by))
    };
    let held = gate(vec![hold(Mode::Hold, Selector::All)]);
    assert_eq!(said(&held, None, call), Some(("PreToolUse", VerdictBy::Hold)));
    assert_eq!(
        said(&held, Some("preToolUse"), b"\xff"),
        Some(("preToolUse", VerdictBy::Hold))
    );
    assert_eq!(said(&held, None, after), None, "it does not start a tool");
    let ruled = under("permit(principal, action, resource);");
    assert_eq!(said(&ruled, None, call), Some(("PreToolUse", VerdictBy::Policy)));
    assert_eq!(said(&gate(Vec::new()), None, call), None, "nothing is in force");
    let away = gate(vec![hold(Mode::Away, Selector::All)]);
    assert_eq!(said(&away, None, call), None);
}
