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

fn gate(holds: Vec<Hold>) -> Gate {
    Gate::new(HostName::new("web-01").unwrap(), Edge::enforcing(rules(holds)))
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
    assert!(judge(&rules, &whom, Timestamp::from_millis(999)).is_some());
    assert_eq!(judge(&rules, &whom, Timestamp::from_millis(1_000)), None);
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
