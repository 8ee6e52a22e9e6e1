//! A log that is not as it should be.

use crate::hub::{Hub, SOON};
use crate::raw;
use muster_domain::state::SessionState;
use muster_runtime::exit;
use muster_testkit::{Spawned, eventually, free_port};
use muster_wire::api::{Reply, Status};
use muster_wire::subject::Operation;
use serde_json::json;
use std::process::Command;

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_is_no_event_stops_nothing() {
    let hub = Hub::start().await;
    let url = hub.server.client_url();
    raw::command(&url, "agent.hook.stop.web-01.s1", "not an envelope").await;
    let orchestrator = hub.orchestrator("a", &[]);
    orchestrator.ready().await;
    let mut host = hub.host("web-01");
    host.begin("s1").await;
    raw::command(&url, "agent.hook.stop.web-01.s1", "{}").await;
    raw::command(&url, "host.nonsense", "\u{1}").await;
    host.end("s1").await;
    hub.until("s1", SessionState::Idle).await;
    let metrics = orchestrator.context.metrics.render();
    assert!(
        metrics.contains("muster_orchestrator_events_unreadable_total 3"),
        "{metrics}"
    );
    orchestrator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_made_anew_under_the_service_is_folded_anew() {
    let hub = Hub::start().await;
    let orchestrator = hub.orchestrator("a", &[]);
    hub.host("web-01").begin("old").await;
    hub.until("old", SessionState::Working).await;
    let before = hub.log().await.created;
    raw::command(&hub.server.client_url(), "$JS.API.STREAM.DELETE.EVENTS", "").await;
    hub.migrate().await;
    hub.host("web-01").begin("new").await;
    hub.until("new", SessionState::Working).await;
    let status: Reply<Status> = hub.answer(Operation::Status, json!({})).await;
    assert!(status.stream_created > before);
    assert_eq!(status.body.sessions, 1);
    assert!(status.body.last_error.is_some());
    assert_eq!(
        hub.until_events("runtime.status.state_changed", 1).await[0]["subject"],
        "new"
    );
    orchestrator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_log_the_service_is_not_ready_until_there_is_one_again() {
    let hub = Hub::start().await;
    let orchestrator = hub.orchestrator("a", &[]);
    let _: Reply<Status> = hub.answer(Operation::Status, json!({})).await;
    orchestrator.ready().await;
    raw::command(&hub.server.client_url(), "$JS.API.STREAM.DELETE.EVENTS", "").await;
    let health = orchestrator.context.health.clone();
    eventually(SOON, async || (!health.is_ready()).then_some(())).await;
    hub.migrate().await;
    orchestrator.ready().await;
    orchestrator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_whose_events_have_all_aged_out_is_caught_up_with() {
    let hub = Hub::start().await;
    hub.host("web-01").begin("old").await;
    hub.age_out().await;
    let orchestrator = hub.orchestrator("a", &[]);
    orchestrator.ready().await;
    hub.host("web-01").begin("new").await;
    hub.until("new", SessionState::Working).await;
    assert_eq!(hub.sessions().await.len(), 1);
    orchestrator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_hub_the_service_waits_and_then_says_what_is_missing() {
    let url = format!("nats.url=nats://127.0.0.1:{}", free_port());
    let listen = format!("http.listen=127.0.0.1:{}", free_port());
    let mut command = Command::new(env!("CARGO_BIN_EXE_muster-orchestrator"));
    command.args(["--set", &url, "--set", &listen]);
    let mut alone = Spawned::start(command);
    let status = alone.wait(SOON).await;
    assert_eq!(status.code(), Some(i32::from(exit::UNAVAILABLE)));
    let said = alone.stdout() + &alone.stderr();
    assert!(said.contains("no hub at nats://127.0.0.1"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hub_that_was_not_migrated_is_refused() {
    let hub = Hub::start().await;
    raw::command(&hub.server.client_url(), "$JS.API.STREAM.DELETE.EVENTS", "").await;
    let orchestrator = hub.orchestrator("a", &[]);
    let error = orchestrator.ended().await.unwrap_err();
    assert!(format!("{error:#}").contains("muster migrate"), "{error:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_is_asked_to_end_before_it_found_the_hub_ends() {
    let hub = Hub::start().await;
    let nowhere = format!("nats://127.0.0.1:{}", free_port());
    let orchestrator = hub.orchestrator("a", &[("nats.url", &nowhere)]);
    let running = eventually(SOON, async || (!orchestrator.context.health.is_ready()).then_some(()));
    running.await;
    orchestrator.stop().await;
}
