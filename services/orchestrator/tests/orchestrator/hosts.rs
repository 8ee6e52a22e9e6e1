//! Hosts come, go, and come back.

use crate::hub::Hub;
use muster_domain::state::SessionState;
use muster_wire::api::{HostsList, Reply};
use muster_wire::limits::PRESENCE_TTL;
use muster_wire::subject::Operation;
use serde_json::json;
use std::time::Duration;

#[tokio::test(flavor = "multi_thread")]
async fn a_host_is_added_lost_with_its_sessions_and_returns() {
    let hub = Hub::start().await;
    let orchestrator = hub.orchestrator("a", &[]);
    let mut host = hub.host("web-01");
    host.present(Duration::from_secs(2)).await;
    hub.until_events("runtime.host.added", 1).await;
    host.begin("s1").await;
    hub.until("s1", SessionState::Working).await;

    hub.until_events("runtime.host.lost", 1).await;
    hub.until("s1", SessionState::Unknown).await;
    let hosts: Reply<HostsList> = hub.answer(Operation::HostsList, json!({})).await;
    let lost = &hosts.body.hosts[0];
    assert_eq!((&*lost.state, &*lost.presence), ("lost", "expired"));
    assert_eq!(lost.runtime_health, None, "nobody can tell");

    host.present(PRESENCE_TTL).await;
    hub.until_events("runtime.host.returned", 1).await;
    hub.until("s1", SessionState::Working).await;
    let hosts: Reply<HostsList> = hub.answer(Operation::HostsList, json!({})).await;
    let back = &hosts.body.hosts[0];
    assert_eq!(
        (&*back.presence, back.runtime_health.as_deref()),
        ("active", Some("ready"))
    );
    // A heartbeat is no news.
    host.present(PRESENCE_TTL).await;
    host.end("s1").await;
    hub.until("s1", SessionState::Idle).await;
    orchestrator.stop().await;
    for once in ["runtime.host.added", "runtime.host.lost", "runtime.host.returned"] {
        assert_eq!(hub.events_of(once).await.len(), 1, "{once}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_happened_to_hosts_while_nobody_led_is_made_up_for() {
    let hub = Hub::start().await;
    let (stays, leaves) = (hub.host("web-01"), hub.host("web-02"));
    stays.present(PRESENCE_TTL).await;
    leaves.present(Duration::from_secs(3)).await;
    let orchestrator = hub.orchestrator("a", &[]);
    hub.until_events("runtime.host.added", 2).await;
    orchestrator.stop().await;
    leaves.gone().await;

    let orchestrator = hub.orchestrator("a", &[]);
    let lost = hub.until_events("runtime.host.lost", 1).await;
    assert_eq!((lost.len(), &lost[0]["host"]), (1, &json!("web-02")));
    orchestrator.stop().await;
    assert_eq!(hub.events_of("runtime.host.added").await.len(), 2);
}
