use crate::rig::{Hub, Place, SOON};
use muster_testkit::eventually;
use muster_wire::topology::PRESENCE;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

async fn card(hub: &Hub) -> Option<Value> {
    let (value, _) = hub.bus.bucket(&PRESENCE).get("web-01").await.unwrap()?;
    Some(serde_json::from_slice(&value).unwrap())
}

#[tokio::test]
async fn a_name_that_another_ingest_holds_is_refused_and_both_are_named() {
    let hub = Hub::start().await;
    let first_place = Place::new("web-01", &hub.server.client_url());
    let mut first = first_place.start().await;
    let holder = eventually(SOON, async || card(&hub).await).await["instance"]
        .as_str()
        .unwrap()
        .to_owned();
    let second_place = Place::new("web-01", &hub.server.client_url());
    let second = second_place.start().await;
    let reason = eventually(SOON, async || {
        let ready = second.get("/readyz").await.json();
        let reason = ready["conditions"]["presence"]["reason"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        if reason.contains(&format!("is held by instance {holder}")) {
            Ok(reason)
        } else {
            Err(ready)
        }
    })
    .await;
    assert!(reason.matches("instance").count() >= 2, "{reason}");
    let hook = json!({"session_id": "s", "hook_event_name": "Stop"});
    assert_eq!(second.hook(&hook).await.status, 200, "it still takes hooks");
    first.hook(&hook).await;
    hub.hooks("web-01", 1).await;
    assert_eq!(card(&hub).await.unwrap()["instance"], holder.as_str());
    // On its way out the first gives the name back, and the second goes on.
    first.process.terminate(Duration::from_secs(10)).await;
    hub.hooks("web-01", 2).await;
}

#[tokio::test]
async fn a_new_spool_after_a_kill_waits_for_the_name_and_says_so() {
    let hub = Hub::start().await;
    let mut killed = Place::new("web-01", &hub.server.client_url()).start().await;
    let before = eventually(SOON, async || card(&hub).await).await;
    killed.process.kill9().await;
    let place = Place::new("web-01", &hub.server.client_url());
    let ingest = place.start().await;
    eventually(SOON, async || {
        let ready = ingest.get("/readyz").await.json();
        let reason = ready["conditions"]["presence"]["reason"].as_str().unwrap_or_default();
        if reason.contains("was held until a moment ago") {
            Ok(())
        } else {
            Err(ready)
        }
    })
    .await;
    eventually(SOON, async || {
        card(&hub).await.filter(|card| card["instance"] != before["instance"])
    })
    .await;
}

#[tokio::test]
async fn a_killed_ingest_has_its_name_again_at_once() {
    let hub = Hub::start().await;
    let place = Place::new("web-01", &hub.server.client_url());
    let mut ingest = place.start().await;
    let before = eventually(SOON, async || card(&hub).await).await;
    ingest.process.kill9().await;
    let began = Instant::now();
    let _ingest = place.start().await;
    eventually(SOON, async || {
        card(&hub).await.filter(|card| card["instance"] != before["instance"])
    })
    .await;
    assert!(
        began.elapsed() < Duration::from_secs(8),
        "not only when the key expired: {:?}",
        began.elapsed()
    );
}
