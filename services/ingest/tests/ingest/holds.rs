//! Rules of the hub, enforced on a host: promptly, without the hub, and from the first hook after a restart.

use crate::rig::{Hub, Ingest, Place, SOON};
use muster_testkit::eventually;
use muster_wire::frame::ServerFrame;
use muster_wire::topology::{EDGE, PRESENCE};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

fn call(session: &str) -> Value {
    json!({"session_id": session, "hook_event_name": "PreToolUse", "tool_name": "Bash", "tool_use_id": "t1",
        "tool_input": {"command": "ls"}})
}

fn document(seq: u64, holds: &Value) -> Value {
    json!({"schema": 1, "stream_created": "2026-11-21T12:00:00.000Z", "seq": seq, "holds": holds})
}

fn hold(selector: &Value) -> Value {
    json!([{"id": "0198f3c2-0000-7000-8000-000000000000", "mode": "hold", "selector": selector, "reason": "a deploy runs",
        "by": "operator op-anna"}])
}

async fn set(hub: &Hub, document: &Value) -> u64 {
    let bucket = hub.bus.bucket(&EDGE);
    bucket.put("holds", document.to_string().into()).await.unwrap()
}

/// Waits until the host says that it enforces this revision.
async fn applied(hub: &Hub, revision: u64) -> Value {
    eventually(SOON, async || {
        let card = hub.bus.bucket(&PRESENCE).get("web-01").await.unwrap();
        let (card, _) = card.ok_or(Value::Null)?;
        let card: Value = serde_json::from_slice(&card).unwrap();
        if card["edge_revision"] == revision {
            Ok(card)
        } else {
            Err(card)
        }
    })
    .await
}

async fn denied(ingest: &Ingest, session: &str) -> bool {
    let answer = ingest.hook(&call(session)).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    if answer.body.is_empty() {
        return false;
    }
    let output = &answer.json()["hookSpecificOutput"];
    assert_eq!(output["permissionDecision"], "deny");
    let reason = output["permissionDecisionReason"].as_str().unwrap();
    assert!(reason.contains("operator op-anna: a deploy runs"), "{reason}");
    true
}

#[tokio::test]
async fn a_hold_is_enforced_and_confirmed_at_once_and_the_log_shows_what_was_said() {
    let hub = Hub::start().await;
    let place = Place::new("web-01", &hub.server.client_url());
    let ingest = place.start().await;
    applied(&hub, 0).await;
    assert!(!denied(&ingest, "s1").await, "no rule, no output");
    let asked = Instant::now();
    let revision = set(&hub, &document(17, &hold(&json!({"kind": "session", "session": "s1"})))).await;
    let card = applied(&hub, revision).await;
    let took = asked.elapsed();
    assert!(
        took < Duration::from_secs(5),
        "a hold is confirmed within five seconds: {took:?}"
    );
    assert_eq!(card["edge"]["holds"]["seq"], 17);
    assert!(denied(&ingest, "s1").await);
    assert!(!denied(&ingest, "s2").await);
    let revision = set(&hub, &document(18, &json!([]))).await;
    applied(&hub, revision).await;
    assert!(!denied(&ingest, "s1").await);
    let said: Vec<Value> = hub
        .hooks("web-01", 4)
        .await
        .iter()
        .map(|(_, envelope)| serde_json::from_str::<Value>(envelope.data.get()).unwrap()["muster"]["verdict"].clone())
        .collect();
    assert_eq!((&said[1]["decision"], &said[1]["by"]), (&json!("deny"), &json!("hold")));
    assert_eq!(
        (&said[0], &said[2], &said[3]),
        (&Value::Null, &Value::Null, &Value::Null)
    );
}

#[tokio::test]
async fn a_hold_survives_a_restart_with_the_hub_away() {
    let mut hub = Hub::start().await;
    let place = Place::new("web-01", &hub.server.client_url());
    let mut ingest = place.start().await;
    let revision = set(&hub, &document(17, &hold(&json!({"kind": "host", "host": "web-01"})))).await;
    applied(&hub, revision).await;
    hub.server.kill9().await;
    assert!(denied(&ingest, "s1").await);
    ingest.process.kill9().await;
    let ingest = place.start().await;
    assert!(denied(&ingest, "s1").await, "from the first hook on");
    let ready = ingest.get("/readyz").await.json();
    let reason = ready["conditions"]["edge"]["reason"].as_str().unwrap();
    assert!(reason.contains("enforcing the rules known at"), "{reason}");
    hub.server.restart().await;
    eventually(SOON, async || hub.bus.is_connected().then_some(())).await;
    let revision = set(&hub, &document(18, &json!([]))).await;
    applied(&hub, revision).await;
    assert!(!denied(&ingest, "s1").await);
}

#[tokio::test]
async fn a_hold_by_label_holds_after_a_restart_also_where_only_an_earlier_hook_said_the_label() {
    let mut hub = Hub::start().await;
    let place = Place::new("web-01", &hub.server.client_url());
    let mut ingest = place.start().await;
    let label = json!({"kind": "label", "key": "team", "value": "a"});
    let revision = set(&hub, &document(17, &hold(&label))).await;
    applied(&hub, revision).await;
    let request = json!({"type": "ingest_hook", "agent": "claude-code", "payload": call("s1"), "env": {"MUSTER_LABELS": "team=a"}});
    let mut socket = ingest.connect().await;
    socket.say(&request).await;
    assert!(matches!(socket.hear().await, Some(ServerFrame::HookAnswer(_))));
    assert!(denied(&ingest, "s1").await);
    hub.server.kill9().await;
    ingest.process.kill9().await;
    let ingest = place.start().await;
    assert!(denied(&ingest, "s1").await, "its label was said before the restart");
    assert!(!denied(&ingest, "s2").await);
}

#[tokio::test]
async fn the_socket_says_it_too() {
    let hub = Hub::start().await;
    let place = Place::new("web-01", &hub.server.client_url());
    let ingest = place.start().await;
    let label = json!({"kind": "label", "key": "team", "value": "a"});
    let revision = set(&hub, &document(17, &hold(&label))).await;
    applied(&hub, revision).await;
    let mut socket = ingest.connect().await;
    let mut ask = async |labels: &str| {
        let request = json!({"type": "ingest_hook", "agent": "claude-code", "payload": call("s1"), "env": {"MUSTER_LABELS": labels}});
        socket.say(&request).await;
        match socket.hear().await {
            Some(ServerFrame::HookAnswer(answer)) => answer.answer.map(|answer| answer.get().to_owned()),
            other => panic!("not an answer: {other:?}"),
        }
    };
    assert_eq!(ask("team=b").await, None);
    let said = ask("tier=1, team=a").await.unwrap();
    assert!(said.contains(r#""permissionDecision":"deny""#), "{said}");
}
