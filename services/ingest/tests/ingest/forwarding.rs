use crate::rig::{Hub, Place, SOON, assert_counts_are_whole};
use muster_testkit::{TestServer, eventually, free_port};
use muster_wire::Filter;
use muster_wire::topology::EVENTS;
use serde_json::json;
use std::time::Duration;

fn tool(n: usize) -> serde_json::Value {
    json!({"session_id": "s", "hook_event_name": "PreToolUse", "tool_name": "Bash", "n": n})
}

#[tokio::test]
async fn while_the_hub_is_away_hooks_are_answered_and_drained_in_order_after() {
    let mut hub = Hub::start().await;
    let place = Place::new("web-01", &hub.server.client_url());
    let ingest = place.start().await;
    ingest.hook(&tool(0)).await;
    hub.hooks("web-01", 1).await;
    hub.server.kill9().await;
    let mut ids = Vec::new();
    for n in 1..60 {
        let answer = ingest.hook(&tool(n)).await;
        assert_eq!(answer.status, 200);
        ids.push(answer.event_id.unwrap());
    }
    let ready = eventually(SOON, async || {
        Some(ingest.get("/readyz").await).filter(|ready| ready.json()["status"] == "degraded")
    })
    .await;
    assert_eq!(ready.status, 200, "it still works");
    hub.server.restart().await;
    let stored = hub.hooks("web-01", 60).await;
    let after: Vec<String> = stored[1..]
        .iter()
        .map(|(_, envelope)| envelope.id.to_string())
        .collect();
    assert_eq!(after, ids);
    assert_counts_are_whole(&hub.stored(EVENTS, Filter::all()).await);
    eventually(SOON, async || {
        Some(ingest.get("/readyz").await).filter(|ready| ready.json()["status"] == "ready")
    })
    .await;
}

#[tokio::test]
async fn an_ingest_starts_without_a_hub() {
    let port = free_port();
    let place = Place::new("web-01", &format!("nats://127.0.0.1:{port}"));
    let ingest = place.start().await;
    assert_eq!(ingest.hook(&tool(1)).await.status, 200);
    assert_eq!(ingest.get("/readyz").await.json()["status"], "degraded");
}

#[tokio::test]
async fn killed_at_any_point_it_goes_on_where_the_acknowledgement_stopped() {
    let hub = Hub::start().await;
    let place = Place::new("web-01", &hub.server.client_url());
    let mut ids = Vec::new();
    for round in 0..4 {
        let mut ingest = place.start().await;
        for n in 0..40 {
            ids.push(ingest.hook(&tool(round * 40 + n)).await.event_id.unwrap());
        }
        ingest.process.kill9().await;
    }
    let _last = place.start().await;
    let stored = hub.hooks("web-01", ids.len()).await;
    let found: Vec<String> = stored.iter().map(|(_, envelope)| envelope.id.to_string()).collect();
    assert_eq!(found, ids);
    assert_counts_are_whole(&hub.stored(EVENTS, Filter::all()).await);
}

#[tokio::test]
async fn a_drain_says_goodbye_and_leaves_nothing_behind() {
    let hub = Hub::start().await;
    let place = Place::new("web-01", &hub.server.client_url());
    let mut ingest = place.start().await;
    // A hub that was not reached yet is not waited for at the end.
    ingest.hook(&tool(0)).await;
    hub.hooks("web-01", 1).await;
    for n in 1..20 {
        ingest.hook(&tool(n)).await;
    }
    let status = ingest.process.terminate(Duration::from_secs(10)).await;
    assert!(status.success(), "{status}");
    assert!(
        ingest.socket.exists(),
        "a hook takes a missing file for a machine without ingest"
    );
    let all = hub.stored(EVENTS, Filter::all()).await;
    assert_eq!(all.last().unwrap().1.event_type.to_string(), "host.status.stopping");
    assert_eq!(all.len(), 23);
}

#[tokio::test]
async fn what_a_hub_forgot_is_offered_again() {
    let mut hub = Hub::start().await;
    let place = Place::new("web-01", &hub.server.client_url());
    let ingest = place.start().await;
    for n in 0..10 {
        ingest.hook(&tool(n)).await;
    }
    hub.hooks("web-01", 10).await;
    let url = hub.server.client_url();
    let port = hub.server.config().listen.port();
    let port = if port == 0 {
        url.rsplit(':').next().unwrap().parse().unwrap()
    } else {
        port
    };
    hub.server.stop().await;
    // The same address with an empty store: what was acknowledged is gone.
    let empty = TestServer::start_with(|config| config.listen.set_port(port)).await;
    let hub = Hub::on(empty).await;
    hub.hooks("web-01", 10).await;
    assert_counts_are_whole(&hub.stored(EVENTS, Filter::all()).await);
}
