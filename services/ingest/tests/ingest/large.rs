use crate::rig::{Hub, Place, SOON};
use muster_testkit::eventually;
use muster_wire::topology::PAYLOADS;
use serde_json::{Value, json};

#[tokio::test]
async fn a_large_payload_reaches_the_object_store_although_hub_and_ingest_were_killed() {
    let mut hub = Hub::start().await;
    let place = Place::new("web-01", &hub.server.client_url());
    let mut ingest = place.start().await;
    hub.event("web-01", "host.status.started").await;
    hub.server.kill9().await;
    let content = "line of a file\n".repeat(200_000);
    let payload = json!({"session_id": "s", "hook_event_name": "PreToolUse", "tool_name": "Write", "tool_input": {"file_path": "/a", "content": content}});
    assert_eq!(ingest.hook(&payload).await.status, 200);
    ingest.process.kill9().await;
    let _ingest = place.start().await;
    hub.server.restart().await;
    let stored = hub.hooks("web-01", 1).await;
    let data: Value = serde_json::from_str(stored[0].1.data.get()).unwrap();
    assert_eq!(data["tool_input"]["file_path"], "/a");
    assert!(stored[0].1.data.get().len() <= 64 * 1024);
    let name = data["muster"]["overflow"]["object"].as_str().unwrap();
    assert!(name.starts_with("web-01/"), "{name}");
    let whole = eventually(SOON, async || hub.bus.objects(&PAYLOADS).get(name).await.ok().flatten()).await;
    assert_eq!(serde_json::from_slice::<Value>(&whole).unwrap(), payload);
    eventually(SOON, async || {
        let waiting = std::fs::read_dir(place.spool().join("payloads")).unwrap().count();
        if waiting == 0 { Ok(()) } else { Err(waiting) }
    })
    .await;
}
