//! Circuits on a host: denied without a question while they cool down, asked for once they may be tried, and careful where
//! nobody can be asked.

use crate::rig::{Hub, Ingest, Place, SOON};
use muster_bus::service::{self, Serving};
use muster_domain::time::Timestamp;
use muster_testkit::eventually;
use muster_wire::subject::Operation;
use muster_wire::time;
use muster_wire::topology::{EDGE, PRESENCE};
use serde_json::{Value, json};
use std::time::{Duration, SystemTime};
use tokio::task::JoinSet;

fn call(agent: &str) -> Value {
    json!({"session_id": "s1", "hook_event_name": "PreToolUse", "tool_name": "Agent", "tool_use_id": "toolu_1",
        "tool_input": {"subagent_type": agent, "prompt": "review it"}})
}

fn shifted(seconds: i64) -> String {
    let now = time::from_system(SystemTime::now()).as_millis();
    time::format(Timestamp::from_millis(now + seconds * 1000))
}

/// A circuit that is open until then, and denies without the hub for a minute more.
fn open(until: i64) -> Value {
    json!({"agent": "reviewer", "state": "open", "until": shifted(until), "grace_until": shifted(until + 60),
        "reason": "it failed 3 times in a row, last with: overloaded"})
}

/// Puts the document in force on the host.
async fn set(hub: &Hub, seq: u64, circuits: &Value) {
    let document = json!({"schema": 1, "stream_created": "2026-11-21T12:00:00.000Z", "seq": seq, "circuits": circuits});
    let revision = hub
        .bus
        .bucket(&EDGE)
        .put("circuits", document.to_string().into())
        .await
        .unwrap();
    eventually(SOON, async || {
        let card = hub.bus.bucket(&PRESENCE).get("web-01").await.unwrap();
        let (card, _) = card.ok_or(Value::Null)?;
        let card: Value = serde_json::from_slice(&card).unwrap();
        if card["edge_revision"] == revision {
            Ok(())
        } else {
            Err(card)
        }
    })
    .await;
}

/// What the agent is told: the decision and the reason, if anything.
async fn said(ingest: &Ingest, call: &Value) -> Option<(String, String)> {
    let answer = ingest.hook(call).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    if answer.body.is_empty() {
        return None;
    }
    let output = answer.json()["hookSpecificOutput"].clone();
    let text = |member: &str| output[member].as_str().unwrap().to_owned();
    Some((text("permissionDecision"), text("permissionDecisionReason")))
}

/// Answers as the leader would: the first who asks gets the probe.
fn play(playing: &mut JoinSet<()>, mut serving: Serving) {
    playing.spawn(async move {
        let mut holder: Option<(String, Value)> = None;
        while let Some(question) = serving.next().await {
            let host = question.request().caller.as_str().to_owned();
            let asked: Value = serde_json::from_slice(question.body()).unwrap();
            let own = (host, asked["tool_use_id"].clone());
            let granted = *holder.get_or_insert(own.clone()) == own;
            let (host, call) = holder.clone().unwrap();
            let probe =
                json!({"holder": {"host": host, "session": "s1", "tool_use_id": call}, "expires": shifted(600)});
            let breaker = json!({"state": "half_open", "consecutive_failures": 3,
                "config": {"failure_threshold": 3, "max_depth": 5}});
            let answer = json!({"seq": 9, "stream_created": shifted(0), "retry_class": "safe_retry", "granted": granted,
                "agent": asked["agent"], "breaker": breaker, "trips": 1, "until": null, "since": null, "probe": probe,
                "error": null});
            question.respond(Ok(answer.to_string().into())).await.unwrap();
        }
    });
}

#[tokio::test]
async fn an_open_circuit_denies_its_agent_alone_and_says_when_it_may_be_tried() {
    let hub = Hub::start().await;
    let place = Place::new("web-01", &hub.server.client_url());
    let ingest = place.start().await;
    set(&hub, 17, &json!([open(30)])).await;
    let (decision, reason) = said(&ingest, &call("reviewer")).await.unwrap();
    assert_eq!(decision, "deny");
    for part in [
        "circuit breaker for agent `reviewer` is Open",
        "last with: overloaded",
        "may be tried again at",
    ] {
        assert!(reason.contains(part), "{reason}");
    }
    assert_eq!(said(&ingest, &call("Explore")).await, None);
    let other = json!({"session_id": "s1", "hook_event_name": "PreToolUse", "tool_name": "Bash", "tool_use_id": "toolu_2",
        "tool_input": {"command": "ls"}});
    assert_eq!(said(&ingest, &other).await, None);
    let noted: Value = serde_json::from_str(hub.hooks("web-01", 3).await[0].1.data.get()).unwrap();
    assert_eq!(noted["muster"]["verdict"]["by"], "circuit");
    assert_eq!(noted["muster"]["verdict"]["rule"], "reviewer");
    set(&hub, 18, &json!([])).await;
    assert_eq!(said(&ingest, &call("reviewer")).await, None);
}

#[tokio::test]
async fn once_it_may_be_tried_the_leader_says_who() {
    let hub = Hub::start().await;
    let place = Place::new("web-01", &hub.server.client_url());
    let ingest = place.start().await;
    let serving = service::serve(&hub.bus, "0.1.0", &[Operation::CircuitsProbe], 4)
        .await
        .unwrap();
    let mut playing = JoinSet::new();
    play(&mut playing, serving);
    set(&hub, 17, &json!([open(-1)])).await;
    assert_eq!(said(&ingest, &call("reviewer")).await, None, "the first who asks may");
    assert_eq!(said(&ingest, &call("reviewer")).await, None, "and may ask again");
    let mut other = call("reviewer");
    other["tool_use_id"] = json!("toolu_2");
    let (decision, reason) = said(&ingest, &other).await.unwrap();
    assert_eq!(decision, "deny");
    assert!(reason.contains("its probe is held by session s1 on web-01"), "{reason}");
}

#[tokio::test]
async fn with_the_hub_away_it_stays_open_until_its_grace_is_over_and_then_the_user_is_asked() {
    let mut hub = Hub::start().await;
    let place = Place::new("web-01", &hub.server.client_url());
    let ingest = place.start().await;
    let cooled = open(-1);
    let mut past = open(-100);
    past["agent"] = json!("writer");
    set(&hub, 17, &json!([cooled, past])).await;
    hub.server.kill9().await;
    let started = std::time::Instant::now();
    let (decision, reason) = said(&ingest, &call("reviewer")).await.unwrap();
    assert!(
        started.elapsed() < Duration::from_secs(2),
        "a hook has two seconds for everything"
    );
    assert_eq!(decision, "deny");
    assert!(reason.contains("cannot be asked"), "{reason}");
    let (decision, reason) = said(&ingest, &call("writer")).await.unwrap();
    assert_eq!(decision, "ask");
    assert!(reason.contains("the user decides"), "{reason}");
}
