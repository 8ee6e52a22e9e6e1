//! What hosts shall enforce stands in the bucket, and no older view replaces a newer one.

use crate::hub::{Hub, SOON};
use muster_testkit::eventually;
use muster_wire::edge;
use muster_wire::topology::EDGE;
use serde_json::{Value, json};

async fn document(hub: &Hub, key: &str) -> Option<(Value, u64)> {
    let (value, revision) = hub.bus.bucket(&EDGE).get(key).await.unwrap()?;
    Some((serde_json::from_slice(&value).unwrap(), revision))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_writes_the_rules_when_its_term_begins_and_a_successor_finds_them_right() {
    let hub = Hub::start().await;
    let orchestrator = hub.orchestrator("a", &[]);
    let (holds, revision) = eventually(SOON, async || document(&hub, edge::HOLDS).await).await;
    assert_eq!((&holds["schema"], &holds["holds"]), (&json!(1), &json!([])));
    orchestrator.stop().await;
    // Somebody meddled while nobody led.
    hub.bus.bucket(&EDGE).put(edge::HOLDS, "{}".into()).await.unwrap();
    let orchestrator = hub.orchestrator("b", &[]);
    eventually(SOON, async || {
        let found = document(&hub, edge::HOLDS).await.unwrap();
        if found.0 == holds && found.1 > revision {
            Ok(())
        } else {
            Err(found)
        }
    })
    .await;
    orchestrator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_later_leader_wrote_is_left_alone() {
    let hub = Hub::start().await;
    let created = muster_wire::time::format(hub.log().await.created);
    let later = json!({"schema": 1, "stream_created": created, "seq": 1_000_000, "holds": []});
    let bucket = hub.bus.bucket(&EDGE);
    bucket.put(edge::HOLDS, later.to_string().into()).await.unwrap();
    let mut orchestrator = hub.process("a", &[]);
    eventually(SOON, async || {
        let log = orchestrator.stdout() + &orchestrator.stderr();
        if log.contains("a later leader wrote this rule") {
            Ok(())
        } else {
            Err(log)
        }
    })
    .await;
    assert_eq!(document(&hub, edge::HOLDS).await.unwrap().0, later);
    // What stands from another log, created earlier, says nothing about this one.
    let other = json!({"schema": 1, "stream_created": "2020-01-01T00:00:00.000Z", "seq": 2_000_000, "holds": []});
    bucket.put(edge::HOLDS, other.to_string().into()).await.unwrap();
    orchestrator.terminate(SOON).await;
    let orchestrator = hub.orchestrator("b", &[]);
    eventually(SOON, async || {
        let found = document(&hub, edge::HOLDS).await.unwrap().0;
        if found["seq"] == 0 { Ok(()) } else { Err(found) }
    })
    .await;
    orchestrator.stop().await;
}
