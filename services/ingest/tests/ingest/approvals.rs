//! Requests for permission: held until they are answered, or until nobody waits any more. The orchestrator is played by
//! whoever publishes its decisions.

use crate::client::Socket;
use crate::rig::{Hub, Ingest, Place, SOON};
use muster_bus::Outgoing;
use muster_bus::publish::Producer;
use muster_domain::family::EventType;
use muster_domain::ids::EventId;
use muster_domain::names::SessionId;
use muster_domain::time::Timestamp;
use muster_testkit::eventually;
use muster_wire::Envelope;
use muster_wire::data::runtime::RuntimeMetadata;
use muster_wire::frame::ServerFrame;
use muster_wire::topology::EVENTS;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::timeout;

const SESSION: &str = "78e6edba-fbb9";

fn ask() -> Value {
    json!({"session_id": SESSION, "hook_event_name": "PermissionRequest", "tool_name": "Bash",
        "tool_input": {"command": "touch made.txt"}, "permission_suggestions": []})
}

/// Says on the leader's behalf how an ask ended.
async fn resolve(hub: &Hub, host: &str, ask: &str, kind: &str, more: Value) {
    let runtime = RuntimeMetadata::unasked("approval_resolved", EventId::from_uuid(uuid::Uuid::nil()));
    let mut resolution = json!({"outcome": kind, "by": {"kind": "operator", "name": "anna"}});
    resolution
        .as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    let data = json!({"runtime": runtime, "approval_id": ask, "resolution": resolution});
    let envelope = Envelope {
        id: EventId::from_uuid(uuid::Uuid::now_v7()),
        source: "/orchestrator".to_owned(),
        event_type: EventType::parse(&format!("runtime.approval_resolved.{kind}")).unwrap(),
        host: Some(host.parse().unwrap()),
        session: Some(SessionId::new(SESSION).unwrap()),
        time: Timestamp::from_millis(1_790_000_000_000),
        time_exact: false,
        agent: None,
        profile: None,
        origin: None,
        causation: None,
        correlation: None,
        traceparent: None,
        data: serde_json::value::to_raw_value(&data).unwrap(),
    };
    let outcome = Producer::new(&hub.bus, EVENTS)
        .publish(&[Outgoing::of(&envelope).unwrap()])
        .await;
    assert_eq!(outcome.stored, 1, "{outcome:?}");
}

/// A hook that is held: its connection and its event.
async fn held(ingest: &Ingest, around: Value, payload: &Value) -> (Socket, String) {
    let mut socket = ingest.connect().await;
    let mut message =
        json!({"type": "ingest_hook", "agent": "claude-code", "payload_follows": true, "wait_ms": 595_000});
    message
        .as_object_mut()
        .unwrap()
        .extend(around.as_object().unwrap().clone());
    socket.say(&message).await;
    socket.frame(payload.to_string().as_bytes()).await;
    match socket.hear().await {
        Some(ServerFrame::Hold(hold)) => (socket, hold.event_id.to_string()),
        other => panic!("not held: {other:?}"),
    }
}

/// What the hook is told in the end.
async fn told(socket: &mut Socket) -> Value {
    let (_, text) = timeout(SOON, socket.answer()).await.unwrap();
    serde_json::from_slice(&text).unwrap_or(Value::Null)
}

/// Waits until answers can come: before, an ingest has no place in the log yet.
async fn following(ingest: &Ingest) {
    eventually(SOON, async || {
        let ready = ingest.get("/readyz").await;
        if ready.status == 200 && !ready.body.contains("degraded") {
            Ok(())
        } else {
            Err(ready.body)
        }
    })
    .await;
}

/// What the log says of the end of a wait.
async fn end(hub: &Hub, host: &str) -> Value {
    let event = hub.event(host, "agent.turn.status_changed").await;
    assert_eq!(event.session.unwrap().as_str(), SESSION);
    serde_json::from_str(event.data.get()).unwrap()
}

#[tokio::test]
async fn the_answer_reaches_the_waiting_hook() {
    let hub = Hub::start().await;
    let place = Place::new("web-01", &hub.server.client_url());
    let ingest = place.start().await;
    following(&ingest).await;
    for (kind, more, expected) in [
        ("approved", json!({}), json!({"behavior": "allow"})),
        (
            "denied",
            json!({"reason": "not \"here\""}),
            json!({"behavior": "deny", "message": "not \"here\""}),
        ),
        ("expired", json!({}), Value::Null),
    ] {
        let (mut socket, id) = held(&ingest, json!({}), &ask()).await;
        resolve(&hub, "web-01", &id, kind, more).await;
        let told = told(&mut socket).await;
        assert_eq!(told["hookSpecificOutput"]["decision"], expected, "{kind}");
    }
    let asked = hub.hooks("web-01", 3).await;
    let data: Value = serde_json::from_str(asked[0].1.data.get()).unwrap();
    assert_eq!(data["muster"]["wait_ms"], 570_000);
}

#[tokio::test]
async fn a_hook_over_http_waits_too_and_nobody_waits_who_does_not_want_to() {
    let hub = Hub::start().await;
    let place = Place::new("web-01", &hub.server.client_url());
    let ingest = place.start().await;
    following(&ingest).await;
    let answer = ingest
        .post("/v1/hooks/claude-code?wait=0", "application/json", ask().to_string())
        .await;
    assert_eq!((answer.status, answer.body.as_str()), (200, ""));
    let mut socket = ingest.connect().await;
    let plain = json!({"type": "ingest_hook", "agent": "claude-code", "payload_follows": true});
    socket.say(&plain).await;
    socket.frame(ask().to_string().as_bytes()).await;
    assert!(matches!(socket.hear().await, Some(ServerFrame::HookAnswer(_))));

    let mut posting = JoinSet::new();
    let (url, client) = (ingest.url("/v1/hooks/claude-code"), reqwest::Client::new());
    posting.spawn(async move {
        let request = client.post(url).header("content-type", "application/json");
        request
            .body(ask().to_string())
            .send()
            .await
            .unwrap()
            .text()
            .await
            .unwrap()
    });
    let asked = hub.hooks("web-01", 3).await;
    let waits = |data: &str| serde_json::from_str::<Value>(data).unwrap()["muster"]["wait_ms"].as_u64();
    let told: Vec<_> = asked.iter().map(|(_, event)| waits(event.data.get())).collect();
    assert_eq!(told, [None, None, Some(570_000)]);
    resolve(&hub, "web-01", &asked[2].1.id.to_string(), "approved", json!({})).await;
    let text = timeout(SOON, posting.join_next()).await.unwrap().unwrap().unwrap();
    assert!(text.contains("\"allow\""), "{text}");
}

#[tokio::test]
async fn a_wait_that_nobody_is_in_any_more_is_told() {
    let hub = Hub::start().await;
    let place = Place::new("web-01", &hub.server.client_url());
    let ingest = place.start().await;
    let (socket, id) = held(&ingest, json!({}), &ask()).await;
    drop(socket);
    assert_eq!(
        end(&hub, "web-01").await,
        json!({"status": "permission_released", "ask": id, "reason": "hook_gone"})
    );
}

#[tokio::test]
async fn a_wait_ends_with_its_time() {
    let hub = Hub::start().await;
    let place = Place::new("web-01", &hub.server.client_url()).with("approvals.wait=1s");
    let ingest = place.start().await;
    let (mut socket, id) = held(&ingest, json!({}), &ask()).await;
    assert_eq!(told(&mut socket).await, Value::Null);
    let said = end(&hub, "web-01").await;
    assert_eq!((&said["ask"], &said["reason"]), (&json!(id), &json!("deadline")));
}

#[tokio::test]
async fn what_hides_its_dialog_does_not_wait_for_a_hub_that_is_away() {
    let hub = Hub::start().await;
    let place = Place::new("web-01", &hub.server.client_url()).with("approvals.hub_away=1s");
    let ingest = place.start().await;
    let Hub { server, .. } = hub;
    drop(server);
    let (mut socket, _) = held(&ingest, json!({"agent": "codex"}), &ask()).await;
    let begun = std::time::Instant::now();
    assert_eq!(told(&mut socket).await, Value::Null);
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_restarted_ingest_goes_on_with_the_same_wait() {
    let hub = Hub::start().await;
    let place = Place::new("web-01", &hub.server.client_url());
    for killed in [true, false] {
        let around = json!({"key": format!("1-{killed}")});
        let mut ingest = place.start().await;
        following(&ingest).await;
        let (mut socket, first) = held(&ingest, around.clone(), &ask()).await;
        if killed {
            ingest.process.kill9().await;
        } else {
            ingest.process.terminate(SOON).await;
        }
        assert!(socket.hear().await.is_none(), "the hook is told something");
        let mut ingest = place.start().await;
        let (mut socket, again) = held(&ingest, around, &ask()).await;
        assert_eq!(again, first);
        resolve(&hub, "web-01", &first, "approved", json!({})).await;
        let told = told(&mut socket).await;
        assert_eq!(told["hookSpecificOutput"]["decision"]["behavior"], "allow", "{killed}");
        ingest.process.terminate(SOON).await;
    }
    assert_eq!(hub.hooks("web-01", 2).await.len(), 2, "asked once each");
}

#[tokio::test]
async fn an_answer_that_came_while_ingest_was_gone_is_there_when_it_is_back() {
    let hub = Hub::start().await;
    let place = Place::new("web-01", &hub.server.client_url());
    let mut ingest = place.start().await;
    following(&ingest).await;
    let around = json!({"key": "1-a-b"});
    let (_, id) = held(&ingest, around.clone(), &ask()).await;
    hub.hooks("web-01", 1).await;
    ingest.process.kill9().await;
    resolve(&hub, "web-01", &id, "denied", json!({"reason": "R"})).await;
    let ingest = place.start().await;
    let (mut socket, _) = held(&ingest, around, &ask()).await;
    assert_eq!(
        told(&mut socket).await["hookSpecificOutput"]["decision"]["message"],
        "R"
    );
}

#[tokio::test]
async fn an_answer_at_the_terminal_ends_the_wait() {
    let hub = Hub::start().await;
    let place = Place::new("web-01", &hub.server.client_url());
    let ingest = place.start().await;
    let agent = Agent::new(place.dir.path());
    let (mut socket, id) = held(&ingest, agent.around(), &ask()).await;
    agent.says("waiting");
    // Two looks apart, so that it is seen.
    let early = timeout(Duration::from_millis(800), socket.hear()).await;
    assert!(early.is_err(), "{early:?}");
    agent.says("busy");
    assert_eq!(told(&mut socket).await, Value::Null);
    assert_eq!(
        end(&hub, "web-01").await,
        json!({"status": "permission_answered", "ask": id, "reason": "terminal"})
    );
}

#[tokio::test]
async fn a_question_is_held_where_nobody_sits_and_answered_in_its_own_words() {
    let hub = Hub::start().await;
    let place = Place::new("web-01", &hub.server.client_url());
    let ingest = place.start().await;
    following(&ingest).await;
    let questions = json!([{"question": "Which?", "options": [{"label": "Red"}, {"label": "Blue"}]}]);
    let payload = json!({"session_id": SESSION, "hook_event_name": "PreToolUse", "tool_name": "AskUserQuestion",
        "tool_use_id": "t1", "tool_input": {"questions": questions}});
    let attended = json!({"env": {"CLAUDE_CODE_SESSION_ATTENDED": "1"}, "wait_ms": 595_000});
    let mut socket = ingest.connect().await;
    socket.hook(attended, payload.to_string().as_bytes()).await;

    let unattended = json!({"env": {"CLAUDE_CODE_SESSION_ATTENDED": "0"}});
    let (mut socket, id) = held(&ingest, unattended, &payload).await;
    resolve(
        &hub,
        "web-01",
        &id,
        "approved",
        json!({"updated_input": {"answers": {"Which?": "Blue"}}}),
    )
    .await;
    let told = told(&mut socket).await;
    assert_eq!(
        told["hookSpecificOutput"]["updatedInput"],
        json!({"questions": questions, "answers": {"Which?": "Blue"}})
    );
}

/// What an agent's own files say of it; it is this very process.
struct Agent {
    home: std::path::PathBuf,
}

impl Agent {
    fn new(dir: &std::path::Path) -> Self {
        let home = dir.join("home");
        std::fs::create_dir_all(home.join(".claude/sessions")).unwrap();
        Self { home }
    }

    fn around(&self) -> Value {
        let pid = std::process::id();
        let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
        let start: u64 = stat
            .rsplit_once(')')
            .unwrap()
            .1
            .split_whitespace()
            .nth(19)
            .unwrap()
            .parse()
            .unwrap();
        let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
        let namespace = std::fs::read_link("/proc/self/ns/pid").unwrap();
        json!({"env": {"CLAUDE_PID": pid.to_string(), "HOME": self.home}, "pid": pid, "pid_start": start,
            "boot_id": boot.trim_end(), "pid_ns": namespace})
    }

    fn says(&self, status: &str) {
        let path = self.home.join(format!(".claude/sessions/{}.json", std::process::id()));
        std::fs::write(path, json!({"sessionId": SESSION, "status": status}).to_string()).unwrap();
    }
}
