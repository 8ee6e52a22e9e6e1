//! Starting from a snapshot, and the same state as without one.

use crate::hub::{Hub, SOON, snapshot};
use muster_bus::read::Start;
use muster_domain::fleet::Fleet;
use muster_domain::state::SessionState;
use muster_testkit::eventually;
use muster_wire::api::{AuditDigest, Reply, Status};
use muster_wire::subject::Operation;
use muster_wire::{decode, topology};
use serde_json::json;
use std::fs;

const OFTEN: &[(&str, &str)] = &[("state.snapshot_every", "1s"), ("state.hub_copy_every", "1s")];

/// What a fold from the first event to this place gives.
async fn replayed(hub: &Hub, digest: &AuditDigest) -> String {
    let mut fleet = Fleet::new(digest.settings.clone());
    let mut reader = hub.bus.read(topology::EVENTS, &[], Start::First);
    while fleet.watermark() < digest.at_seq {
        let stored = reader.next().await.unwrap();
        let recorded = decode::recorded(stored.seq, stored.at, stored.subject_text(), &stored.payload).unwrap();
        let _ = fleet.apply(&recorded);
    }
    muster_wire::snapshot::digest(&fleet).unwrap()
}

async fn assert_same_as_replayed(hub: &Hub) -> AuditDigest {
    let live: Reply<AuditDigest> = hub.answer(Operation::AuditDigest, json!({})).await;
    assert_eq!(live.body.digest, replayed(hub, &live.body).await);
    live.body
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_from_a_snapshot_is_the_same_as_a_replay() {
    let hub = Hub::start().await;
    let orchestrator = hub.orchestrator("a", &[]);
    let mut host = hub.host("web-01");
    for n in 0..50 {
        host.begin(&format!("s{n}")).await;
    }
    hub.until("s49", SessionState::Working).await;
    orchestrator.stop().await;
    let left = fs::read(snapshot(hub.dir.path(), "a")).unwrap();
    let left = muster_wire::snapshot::header(&left).unwrap().last_seq;

    let orchestrator = hub.orchestrator("a", &[]);
    host.end("s0").await;
    hub.until("s0", SessionState::Idle).await;
    assert_same_as_replayed(&hub).await;
    let folded = folded(&orchestrator.context.metrics.render());
    assert!(
        folded <= hub.log().await.last_seq - left,
        "{folded} events were folded again"
    );
    orchestrator.stop().await;
}

fn folded(metrics: &str) -> u64 {
    let line = metrics
        .lines()
        .find_map(|line| line.strip_prefix("muster_orchestrator_events_folded_total "));
    line.unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_orchestrator_goes_on_from_its_last_snapshot() {
    let hub = Hub::start().await;
    let mut killed = hub.process("a", OFTEN);
    let mut host = hub.host("web-01");
    host.begin("s1").await;
    hub.until("s1", SessionState::Working).await;
    let file = snapshot(hub.dir.path(), "a");
    eventually(SOON, async || file.exists().then_some(())).await;
    host.begin("s2").await;
    killed.kill9().await;
    host.end("s1").await;

    let orchestrator = hub.orchestrator("a", OFTEN);
    hub.until("s1", SessionState::Idle).await;
    hub.until("s2", SessionState::Working).await;
    assert_same_as_replayed(&hub).await;
    orchestrator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_machine_begins_with_the_hubs_copy() {
    let hub = Hub::start().await;
    let first = hub.orchestrator("a", OFTEN);
    let mut host = hub.host("web-01");
    host.begin("s1").await;
    hub.until("s1", SessionState::Working).await;
    let copies = hub.bus.objects(&topology::SNAPSHOTS);
    for n in 2..8 {
        host.begin(&format!("s{n}")).await;
        eventually(SOON, async || {
            let end = hub.log().await.last_seq.to_string();
            let copies = copies.list().await.unwrap();
            copies.iter().any(|copy| copy.name.ends_with(&end)).then_some(())
        })
        .await;
    }
    // The older ones go once the newest is there.
    eventually(SOON, async || {
        let kept = copies.list().await.unwrap().len();
        if kept <= 4 { Ok(()) } else { Err(kept) }
    })
    .await;
    first.stop().await;
    let second = hub.orchestrator("b", OFTEN);
    assert_same_as_replayed(&hub).await;
    assert!(folded(&second.context.metrics.render()) < 10);
    second.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_hubs_copies_of_a_log_that_is_no_more_are_removed() {
    let hub = Hub::start().await;
    let copies = hub.bus.objects(&topology::SNAPSHOTS);
    let (earlier, other) = ("fleet-1577836800000-00000000000000000042", "something else");
    for name in [earlier, other] {
        copies.put(name, "x".into()).await.unwrap();
    }
    let orchestrator = hub.orchestrator("a", OFTEN);
    hub.host("web-01").begin("s1").await;
    let present = format!("fleet-{}-", hub.log().await.created.as_millis());
    eventually(SOON, async || (!copies.contains(earlier).await.unwrap()).then_some(())).await;
    let listed = copies.list().await.unwrap();
    let (own, rest): (Vec<_>, Vec<_>) = listed.iter().partition(|copy| copy.name.starts_with(&present));
    assert!(!own.is_empty(), "{listed:?}");
    assert_eq!(rest.iter().map(|copy| copy.name.as_str()).collect::<Vec<_>>(), [other]);
    orchestrator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_that_does_not_fit_is_refused_and_the_log_folded_from_its_beginning() {
    let hub = Hub::start().await;
    let orchestrator = hub.orchestrator("a", &[]);
    hub.host("web-01").begin("s1").await;
    hub.until("s1", SessionState::Working).await;
    orchestrator.stop().await;
    let file = snapshot(hub.dir.path(), "a");
    let whole = fs::read(&file).unwrap();
    let (header, state) = whole.split_at(whole.iter().position(|byte| *byte == b'\n').unwrap());
    let mut header: serde_json::Value = serde_json::from_slice(header).unwrap();
    header["stream_created"] = json!("2020-01-01T00:00:00Z");
    let foreign = [header.to_string().as_bytes(), state].concat();
    for unfit in [foreign.as_slice(), &whole[..whole.len() / 2], b""] {
        fs::write(&file, unfit).unwrap();
        let orchestrator = hub.orchestrator("a", &[]);
        let status: Reply<Status> = hub.answer(Operation::Status, json!({})).await;
        assert_eq!(status.body.sessions, 1);
        let digest = assert_same_as_replayed(&hub).await;
        assert_eq!(folded(&orchestrator.context.metrics.render()), digest.at_seq);
        orchestrator.stop().await;
    }
}
