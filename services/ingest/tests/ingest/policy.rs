//! The rules an operator activated, enforced on a host: promptly, without the hub, and from the first hook after a restart.

use crate::rig::{Hub, Ingest, Place, SOON};
use muster_testkit::eventually;
use muster_wire::frame::ServerFrame;
use muster_wire::topology::{EDGE, PRESENCE};
use serde_json::{Value, json};
use std::time::Duration;

const RULES: &str = r#"
@id("no-force") @reason("history_is_shared") @message("History is shared: push without --force.")
forbid (principal, action == Action::"Bash", resource)
when { context.commands.contains("git push") && context.words.contains("--force") };

@decision("approval_required")
forbid (principal, action in Action::"publish_external", resource);
"#;

fn call(line: &str) -> Value {
    json!({"session_id": "s1", "hook_event_name": "PreToolUse", "tool_name": "Bash", "tool_use_id": "t1",
        "cwd": "/home/dev/app", "permission_mode": "bypassPermissions", "tool_input": {"command": line}})
}

/// Puts rules into force at the hub; gives the revision that a host reports once it has them on disk.
async fn activate(hub: &Hub, version: u64, text: &str) -> u64 {
    let document = json!({"schema": 1, "stream_created": "2026-11-21T12:00:00.000Z", "seq": version, "version": version,
        "fingerprint": "sha256:x", "sources": [{"name": "team.cedar", "text": text}]});
    hub.bus
        .bucket(&EDGE)
        .put("policy", document.to_string().into())
        .await
        .unwrap()
}

async fn confirmed(hub: &Hub, revision: u64) {
    eventually(SOON, async || {
        let card = hub.bus.bucket(&PRESENCE).get("web-01").await.unwrap();
        let (card, _) = card.ok_or("no presence")?;
        let card: Value = serde_json::from_slice(&card).unwrap();
        (card["edge_revision"].as_u64() >= Some(revision))
            .then_some(())
            .ok_or("not confirmed")
    })
    .await;
}

/// What the agent is told over the socket, the way its hook asks.
async fn said(ingest: &Ingest, line: &str) -> Option<(String, String)> {
    let mut socket = ingest.connect().await;
    socket
        .say(&json!({"type": "ingest_hook", "agent": "claude-code", "payload": call(line)}))
        .await;
    let answer = match socket.hear().await {
        Some(ServerFrame::HookAnswer(answer)) => answer.answer?,
        other => panic!("not an answer: {other:?}"),
    };
    let answer: Value = serde_json::from_str(answer.get()).unwrap();
    let output = &answer["hookSpecificOutput"];
    let text = |name: &str| output[name].as_str().unwrap_or_default().to_owned();
    Some((text("permissionDecision"), text("permissionDecisionReason")))
}

async fn denied_soon(ingest: &Ingest, within: Duration) {
    // Until these rules are read, those before may say something else.
    let reason = eventually(within, async || {
        let verdict = said(ingest, "git push --force").await.ok_or(String::new())?;
        if verdict.0 == "deny" {
            Ok(verdict.1)
        } else {
            Err(verdict.0)
        }
    })
    .await;
    assert_eq!(reason, "History is shared: push without --force.");
}

#[tokio::test]
async fn a_policy_is_enforced_within_seconds_without_the_hub_and_after_a_restart() {
    let mut hub = Hub::start().await;
    let place = Place::new("web-01", &hub.server.client_url());
    let mut ingest = place.start().await;
    assert_eq!(said(&ingest, "git push --force").await, None, "no rules change nothing");
    let revision = activate(&hub, 1, RULES).await;
    denied_soon(&ingest, Duration::from_secs(5)).await;
    assert_eq!(said(&ingest, "git push").await.unwrap().0, "ask");
    assert_eq!(said(&ingest, "git status").await, None);
    confirmed(&hub, revision).await;
    hub.server.kill9().await;
    denied_soon(&ingest, Duration::from_secs(5)).await;
    ingest.process.kill9().await;
    let ingest = place.start().await;
    assert!(
        said(&ingest, "git push --force").await.is_some(),
        "from the first hook on"
    );
    hub.server.restart().await;
    eventually(SOON, async || hub.bus.is_connected().then_some(())).await;
    activate(&hub, 2, "").await;
    eventually(SOON, async || {
        said(&ingest, "git push --force").await.is_none().then_some(())
    })
    .await;
}

#[tokio::test]
async fn rules_that_cannot_be_read_leave_those_before_in_force() {
    let hub = Hub::start().await;
    let place = Place::new("web-01", &hub.server.client_url());
    let ingest = place.start().await;
    activate(&hub, 1, "a newer language").await;
    let destructive = eventually(SOON, async || said(&ingest, "rm -rf /").await.ok_or("nothing said")).await;
    assert_eq!(destructive.0, "ask");
    assert_eq!(said(&ingest, "git push").await, None);
    activate(&hub, 2, RULES).await;
    denied_soon(&ingest, SOON).await;
    activate(&hub, 3, "a newer language").await;
    activate(&hub, 4, RULES).await;
    denied_soon(&ingest, SOON).await;
}
