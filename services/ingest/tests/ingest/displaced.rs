//! Files that are damaged, moved or deleted, and settings that nothing can be started with.

use crate::client::Socket;
use crate::rig::{Hub, Ingest, Place, SOON};
use muster_testkit::eventually;
use serde_json::{Value, json};
use std::process::Command;
use std::time::Duration;

fn stop() -> Value {
    json!({"session_id": "s", "hook_event_name": "Stop"})
}

/// Waits until readiness says this of one of its conditions.
async fn condition(ingest: &Ingest, name: &str, status: &str) -> Value {
    eventually(SOON, async || {
        let ready = ingest.get("/readyz").await.json();
        if ready["conditions"][name]["status"] == status {
            Ok(ready["conditions"][name].clone())
        } else {
            Err(ready)
        }
    })
    .await
}

#[tokio::test]
async fn a_damaged_spool_is_told_and_does_not_keep_the_host_from_reporting() {
    let hub = Hub::start().await;
    let place = Place::new("web-01", &hub.server.client_url());
    let mut ingest = place.start().await;
    ingest.hook(&stop()).await;
    let before = hub.hooks("web-01", 1).await;
    ingest.process.terminate(Duration::from_secs(10)).await;
    for part in ["spool.db-wal", "spool.db-shm"] {
        // Gone where the service closed it whole.
        let _ = std::fs::remove_file(place.spool().join(part));
    }
    std::fs::write(place.spool().join("spool.db"), "not what it was").unwrap();
    let ingest = place.start().await;
    let told = condition(&ingest, "spool", "degraded").await;
    assert!(told["reason"].as_str().unwrap().contains("spool.db.damaged-"), "{told}");
    hub.event("web-01", "host.status.degraded").await;
    assert_eq!(ingest.hook(&stop()).await.status, 200);
    let after = hub.hooks("web-01", 2).await;
    assert_ne!(
        after[1].1.origin.unwrap().producer,
        before[0].1.origin.unwrap().producer
    );
}

#[tokio::test]
async fn a_deleted_spool_refuses_and_is_not_ready() {
    let hub = Hub::start().await;
    let place = Place::new("web-01", &hub.server.client_url());
    let ingest = place.start().await;
    condition(&ingest, "spool", "ok").await;
    std::fs::remove_dir_all(place.spool()).unwrap();
    let refused = ingest.hook(&stop()).await;
    assert_eq!((refused.status, refused.problem().as_str()), (503, "spool-failed"));
    condition(&ingest, "spool", "failed").await;
    assert_eq!(ingest.get("/readyz").await.status, 503);
}

#[tokio::test]
async fn a_deleted_socket_is_there_again() {
    let hub = Hub::start().await;
    let place = Place::new("web-01", &hub.server.client_url());
    let ingest = place.start().await;
    std::fs::remove_dir_all(ingest.socket.parent().unwrap()).unwrap();
    eventually(SOON, async || ingest.socket.exists().then_some(())).await;
    let payload = stop().to_string();
    Socket::greeted(&ingest.socket)
        .await
        .hook(json!({}), payload.as_bytes())
        .await;
    condition(&ingest, "socket", "ok").await;
}

#[test]
fn a_setting_that_nothing_starts_with_is_named_once_and_exits_as_such() {
    let dir = tempfile::tempdir().unwrap();
    let long = format!("socket.path={}/{}", dir.path().display(), "s".repeat(120));
    for (setting, key) in [
        ("host.name=a b", "host.name"),
        ("spool.max_bytes=0", "spool.max_bytes"),
        (&long, "socket.path"),
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_muster-ingest"))
            .args(["--set", &format!("spool.dir={}/spool", dir.path().display())])
            .args(["--set", &format!("socket.path={}/ingest.sock", dir.path().display())])
            .args([
                "--set",
                &format!("http.listen=127.0.0.1:{}", muster_testkit::free_port()),
            ])
            .args(["--set", setting])
            .output()
            .unwrap();
        let said = [output.stdout, output.stderr]
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .concat();
        assert_eq!(output.status.code(), Some(78), "{setting}: {said}");
        assert_eq!(said.matches(key).count(), 1, "{said}");
    }
}
