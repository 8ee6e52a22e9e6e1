//! What a session does, as the list says it and as the log announces it.

use crate::hub::{Hub, SOON};
use muster_domain::state::SessionState;
use muster_testkit::eventually;
use muster_wire::api::{Hello, Reply, Status};
use muster_wire::subject::Operation;
use serde_json::{Value, json};

fn changes(events: &[Value]) -> Vec<&str> {
    events
        .iter()
        .map(|event| event["data"]["to"].as_str().unwrap())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_turn_shows_in_the_list_and_each_change_is_announced_once() {
    let hub = Hub::start().await;
    let orchestrator = hub.orchestrator("a", &[]);
    let _: Reply<Hello> = hub.answer(Operation::Hello, json!({})).await;
    let mut host = hub.host("web-01");
    host.begin("s1").await;
    hub.until("s1", SessionState::Working).await;
    host.end("s1").await;
    let row = hub.until("s1", SessionState::Idle).await;
    assert_eq!((row.cwd.as_deref(), row.turns, row.tool_calls), (Some("/src"), 1, 1));
    let announced = hub.until_events("runtime.status.state_changed", 3).await;
    let seq = hub.log().await.last_seq;
    orchestrator.stop().await;
    // Its own announcements are events too, and nothing follows from them.
    assert_eq!(hub.log().await.last_seq, seq);
    assert_eq!(changes(&announced), ["starting", "working", "idle"]);
    let last = announced.last().unwrap();
    assert_eq!(last["source"], "/orchestrator/a");
    assert_eq!(last["data"]["runtime"]["api_family"], "ccd-runtime");
    let stop = hub.events_of("agent.hook.stop").await;
    assert_eq!(last["causationid"], stop[0]["id"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_again_and_what_is_missing_is_counted() {
    let hub = Hub::start().await;
    let orchestrator = hub.orchestrator("a", &[]);
    let mut host = hub.host("web-01");
    host.begin("s1").await;
    // As after an outage longer than the hub remembers ids: the same place in the count, stored once more.
    let twice = host.hook("s1", "notification", json!({"message": "look"}));
    host.publish(std::slice::from_ref(&twice)).await;
    host.publish_again(&twice).await;
    host.skip();
    host.skip();
    host.end("s1").await;
    let status = eventually(SOON, async || {
        let status: Reply<Status> = hub.answer(Operation::Status, json!({})).await;
        if status.body.gaps == 2 {
            Ok(status.body)
        } else {
            Err(status.body)
        }
    })
    .await;
    assert_eq!(
        (status.redelivered, status.forked, status.sessions, status.hosts),
        (1, 0, 1, 1)
    );
    orchestrator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_exits_without_a_word_loses_its_session() {
    let hub = Hub::start().await;
    let orchestrator = hub.orchestrator("a", &[]);
    let mut host = hub.host("web-01");
    let process = json!({"pid": 4711, "start_ticks": 99, "command": "claude", "session_process": true});
    let started = host.observe(Some("s1"), "process.lifecycle.started", &process);
    host.publish(&[started]).await;
    host.begin("s1").await;
    hub.until("s1", SessionState::Working).await;
    let exited = host.observe(Some("s1"), "process.lifecycle.exited", &process);
    host.publish(&[exited]).await;
    hub.until("s1", SessionState::Lost).await;
    let lost = hub.until_events("runtime.status.session_lost", 1).await;
    assert_eq!(lost[0]["subject"], "s1");
    orchestrator.stop().await;
    assert_eq!(hub.events_of("runtime.status.session_lost").await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_falls_silent_is_unknown_until_it_is_heard_again() {
    let hub = Hub::start().await;
    let orchestrator = hub.orchestrator("a", &[("fold.silence", "2s")]);
    let mut host = hub.host("web-01");
    host.begin("s1").await;
    hub.until("s1", SessionState::Unknown).await;
    let announced = hub.until_events("runtime.status.state_changed", 2).await;
    let silent = announced.last().unwrap();
    assert_eq!(
        (&silent["data"]["to"], &silent["data"]["reason"]),
        (&json!("unknown"), &json!("silent"))
    );
    host.end("s1").await;
    hub.until("s1", SessionState::Idle).await;
    orchestrator.stop().await;
}
