//! What agents send, into facts.

use crate::{expect, raw, read};
use muster_domain::fact::{Fact, HookBody, Origin};
use muster_domain::family::EventType;
use muster_domain::ids::{EventId, ProducerId};
use muster_domain::names::{AgentName, HostName, RunId};
use muster_domain::time::Timestamp;
use muster_wire::data::hook::HookNote;
use muster_wire::incoming::Incoming;
use muster_wire::stream::StreamTurns;
use muster_wire::{Envelope, canonical, decode};
use proptest::prelude::*;
use serde::Deserialize;
use serde_json::value::RawValue;
use uuid::Uuid;

#[derive(Deserialize)]
struct Sent<'a> {
    hint: Option<&'a str>,
    #[serde(borrow)]
    payload: &'a RawValue,
}

/// The whole way of a hook: read as ingest reads it, noted, enveloped, stored, read as the fold reads it.
fn folded(agent: &str, sent: &Sent<'_>) -> (String, Fact) {
    let hook = Incoming::read(sent.payload.get().as_bytes(), sent.hint).unwrap();
    let note = HookNote {
        hook: hook.name.clone(),
        input_digest: hook
            .tool_input
            .map(|input| canonical::hex(canonical::input_digest(input))),
        run: RunId::new("r1").ok(),
        ..HookNote::default()
    };
    let envelope = Envelope {
        id: EventId::from_uuid(Uuid::from_u128(1)),
        source: "/hosts/web-01/ingest".to_owned(),
        event_type: EventType::AgentHook(hook.hook),
        host: HostName::new("web-01").ok(),
        session: Some(hook.session),
        time: hook.time.unwrap_or_default(),
        time_exact: hook.time.is_some(),
        agent: AgentName::new(agent).ok(),
        profile: None,
        origin: Some(Origin {
            producer: ProducerId::from_uuid(Uuid::from_u128(2)),
            seq: 1,
        }),
        causation: None,
        correlation: None,
        traceparent: None,
        data: note.attach(serde_json::from_str(hook.text).unwrap()),
    };
    let stored = envelope.encode().unwrap();
    let recorded = decode::recorded(1, Timestamp::default(), &envelope.subject().to_string(), &stored).unwrap();
    assert_eq!(decode::event(&envelope), recorded.event);
    (recorded.event.event_type.kind().to_owned(), recorded.event.fact)
}

/// A fact on one line, without what it lacks and what every one has.
fn compact(fact: &Fact) -> String {
    let mut text = format!("{fact:?}").replace("run: Some(\"r1\"), ", "");
    while let Some(none) = text.find(": None") {
        let (mut start, mut end) = (text[..none].rfind(' ').map_or(0, |at| at + 1), none + ": None".len());
        if text[end..].starts_with(", ") {
            end += 2;
        } else if text[..start].ends_with(", ") {
            start -= 2;
        }
        text.replace_range(start..end, "");
    }
    text
}

#[test]
fn every_recorded_hook_becomes_its_fact() {
    for agent in [
        "claude-code",
        "claude-code-documented",
        "codex",
        "gemini-cli",
        "qwen-code",
        "copilot-cli",
        "trusty-mpm",
        "kaizen",
    ] {
        let text = read(&format!("{agent}.jsonl"));
        let facts: Vec<String> = text
            .lines()
            .map(|line| {
                let (kind, fact) = folded(agent, &serde_json::from_str(line).unwrap());
                format!("{kind}: {}", compact(&fact))
            })
            .collect();
        expect(&format!("{agent}.facts"), &facts);
    }
}

#[test]
fn every_recorded_stream_becomes_its_turns() {
    for agent in ["claude-code", "codex", "gemini-cli"] {
        let mut turns = StreamTurns::new(RunId::new("r1").unwrap());
        let text = read(&format!("{agent}.stream.jsonl"));
        let said: Vec<String> = text
            .lines()
            .flat_map(|line| turns.line(line))
            .map(|(kind, data)| format!("{} {}", kind.as_str(), data.get()))
            .collect();
        assert_eq!(turns.session().map(ToString::to_string).as_deref(), Some("s1"));
        expect(&format!("{agent}.stream.turns"), &said);
    }
}

#[test]
fn a_codex_ask_joins_its_call() {
    let digest = |json| {
        let (_, fact) = folded(
            "codex",
            &Sent {
                hint: None,
                payload: &raw(json),
            },
        );
        let Fact::Hook(hook) = fact else {
            return None;
        };
        let (HookBody::ToolStarted(tool) | HookBody::PermissionAsked(tool)) = hook.body else {
            return None;
        };
        Some(tool.input)
    };
    let call =
        r#"{"session_id":"s1","hook_event_name":"PreToolUse","tool_name":"Bash","tool_input":{"command":"touch a"}}"#;
    let ask = r#"{"session_id":"s1","hook_event_name":"PermissionRequest","tool_name":"Bash","tool_input":{"command":"touch a","description":"why"}}"#;
    assert!(digest(call).is_some());
    assert_eq!(digest(call), digest(ask));
}

fn json() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<f64>().prop_map(Into::into),
        "\\PC{0,12}".prop_map(Into::into),
        "[^\\p{C}]{0,3}\\PC*[\\x00-\\x1f\"\\\\]{0,3}".prop_map(Into::into),
    ];
    let key = prop_oneof![
        prop::sample::select(vec![
            "tool_name",
            "tool",
            "tool_input",
            "tool_response",
            "agent_id",
            "error",
            "prompt",
            "background_tasks",
            "muster",
            "run",
            "index",
            "usage",
            "pid",
            "start_ticks",
            "instance",
            "term",
            "to",
            "reason",
            "key",
            "tombstone",
            "message",
            "notification_type",
            "questions",
            "state",
            "link",
            "model",
            "status",
            "token_usage",
            "duration_ms",
        ])
        .prop_map(str::to_owned),
        "[a-z_]{0,8}",
    ];
    leaf.prop_recursive(4, 40, 8, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Into::into),
            prop::collection::vec((key.clone(), inner), 0..10)
                .prop_map(|members| serde_json::Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn any_data_of_any_known_type_is_read(data in json(), pick in any::<prop::sample::Index>()) {
        let known = EventType::known();
        let event_type = known[pick.index(known.len())].clone();
        let envelope = crate::envelopes::of(event_type.clone(), &data.to_string());
        let stored = envelope.encode().unwrap();
        let recorded = decode::recorded(1, Timestamp::default(), &envelope.subject().to_string(), &stored).unwrap();
        prop_assert_eq!(recorded.event.event_type, event_type);
    }

    #[test]
    fn reading_an_envelope_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = decode::recorded(1, Timestamp::default(), "agent.hook.pre_tool_use.web-01.s", &bytes);
    }

    #[test]
    fn a_damaged_envelope_never_panics(at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut bytes = crate::envelopes::of(
            EventType::parse("agent.hook.pre_tool_use").unwrap(),
            r#"{"tool_name":"Bash","tool_input":{"command":"l\u0073"},"tool_use_id":"t"}"#,
        )
        .encode()
        .unwrap();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        let _ = decode::recorded(1, Timestamp::default(), "agent.hook.pre_tool_use.web-01.s", &bytes);
    }

    #[test]
    fn any_json_line_is_taken_from_a_stream(lines in prop::collection::vec(json(), 0..5)) {
        let mut turns = StreamTurns::new(RunId::new("r1").unwrap());
        for line in lines {
            let _ = turns.line(&line.to_string());
        }
    }
}
