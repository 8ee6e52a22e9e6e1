use crate::rig::{Hub, Place, assert_counts_are_whole, copy};
use muster_wire::Filter;
use muster_wire::topology::EVENTS;
use serde_json::json;
use std::collections::BTreeSet;

fn tool(n: usize) -> serde_json::Value {
    json!({"session_id": "s", "hook_event_name": "PreToolUse", "tool_name": "Bash", "n": n})
}

#[tokio::test]
async fn a_spool_restored_from_an_older_copy_loses_nothing_and_is_reported() {
    let mut hub = Hub::start().await;
    let place = Place::new("web-01", &hub.server.client_url());
    let mut ids = BTreeSet::new();
    let mut ingest = place.start().await;
    for n in 0..10 {
        ids.insert(ingest.hook(&tool(n)).await.event_id.unwrap());
    }
    hub.hooks("web-01", 10).await;
    hub.server.kill9().await;
    for n in 10..20 {
        ids.insert(ingest.hook(&tool(n)).await.event_id.unwrap());
    }
    ingest.process.kill9().await;
    // The backup holds ten that the hub has and ten that it does not have yet.
    let backup = place.dir.path().join("backup");
    copy(&place.spool(), &backup);
    hub.server.restart().await;
    let mut ingest = place.start().await;
    for n in 20..30 {
        ids.insert(ingest.hook(&tool(n)).await.event_id.unwrap());
    }
    hub.hooks("web-01", 30).await;
    ingest.process.kill9().await;
    hub.server.kill9().await;
    std::fs::remove_dir_all(place.spool()).unwrap();
    copy(&backup, &place.spool());
    let ingest = place.start().await;
    for n in 30..35 {
        ids.insert(ingest.hook(&tool(n)).await.event_id.unwrap());
    }
    hub.server.restart().await;
    let degraded = hub.event("web-01", "host.status.degraded").await;
    assert!(degraded.data.get().contains("copy"), "{}", degraded.data);
    let stored = hub.hooks("web-01", 35).await;
    let found: BTreeSet<String> = stored.iter().map(|(_, envelope)| envelope.id.to_string()).collect();
    assert_eq!((found, stored.len()), (ids, 35));
    let all = hub.stored(EVENTS, Filter::all()).await;
    let producers: BTreeSet<_> = all
        .iter()
        .map(|(_, envelope)| envelope.origin.unwrap().producer)
        .collect();
    assert_eq!(producers.len(), 2);
    assert_counts_are_whole(&all);
}
