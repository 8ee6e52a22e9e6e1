//! One leader, its end, and the next one.

use crate::hub::{Hub, SOON};
use muster_domain::state::SessionState;
use muster_testkit::eventually;
use muster_wire::api::{Hello, Reply};
use muster_wire::subject::Operation;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// What a successor may need in all: the lease's expiry and an election, on a machine that is busy with other tests.
const TAKEOVER: Duration = Duration::from_secs(8);

fn decisions(events: &[Value]) -> Vec<String> {
    let announced = events
        .iter()
        .filter(|event| event["type"] == "runtime.status.state_changed");
    announced
        .map(|event| {
            [&event["subject"], &event["data"]["from"], &event["data"]["to"]]
                .map(Value::to_string)
                .join(" ")
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_leader_is_replaced_and_nothing_is_decided_twice() {
    let hub = Hub::start().await;
    let mut leader = hub.process("a", &[]);
    let mut host = hub.host("web-01");
    host.begin("s0").await;
    hub.until("s0", SessionState::Working).await;
    let standby = hub.orchestrator("b", &[]);
    standby.ready().await;
    for n in 1..100 {
        host.begin(&format!("s{n}")).await;
    }
    leader.kill9().await;
    let killed = Instant::now();
    let _: Reply<Hello> = hub.answer(Operation::Hello, json!({})).await;
    let took = killed.elapsed();
    assert!(took < TAKEOVER, "{took:?}");
    host.end("s99").await;
    hub.until("s99", SessionState::Idle).await;
    let expected = 101;
    eventually(SOON, async || {
        let sessions = hub.sessions().await;
        let announced = decisions(&hub.events().await);
        if announced.len() >= expected {
            Ok(())
        } else {
            Err((sessions.len(), announced.len()))
        }
    })
    .await;
    standby.stop().await;
    let announced = decisions(&hub.events().await);
    let once: BTreeSet<_> = announced.iter().collect();
    assert_eq!(once.len(), announced.len(), "{announced:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_leader_writes_nothing_after_it_was_replaced() {
    let hub = Hub::start().await;
    let mut paused = hub.process("a", &[]);
    let mut host = hub.host("web-01");
    host.begin("s0").await;
    hub.until("s0", SessionState::Working).await;
    let successor = hub.orchestrator("b", &[]);
    successor.ready().await;
    paused.pause();
    // It has these unread when it wakes up.
    for n in 1..50 {
        host.begin(&format!("s{n}")).await;
    }
    hub.until_events("runtime.leader.elected", 2).await;
    eventually(SOON, async || {
        let announced = decisions(&hub.events().await);
        if announced.len() >= 50 {
            Ok(())
        } else {
            Err(announced.len())
        }
    })
    .await;
    let before = hub.log().await.last_seq;
    paused.resume();
    eventually(SOON, async || {
        let log = paused.stdout() + &paused.stderr();
        if log.contains("standing by") { Ok(()) } else { Err(log) }
    })
    .await;
    host.end("s0").await;
    hub.until("s0", SessionState::Idle).await;
    paused.terminate(SOON).await;
    successor.stop().await;
    let events = hub.events().await;
    let after = events.iter().skip(usize::try_from(before).unwrap());
    let sources = after.map(|event| event["source"].as_str().unwrap());
    let decided: BTreeSet<&str> = sources.filter(|source| source.starts_with("/orchestrator/")).collect();
    assert_eq!(decided, BTreeSet::from(["/orchestrator/b"]));
    let announced = decisions(&events);
    assert_eq!(
        announced.iter().collect::<BTreeSet<_>>().len(),
        announced.len(),
        "{announced:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drained_leader_hands_the_lease_back() {
    let hub = Hub::start().await;
    let mut leader = hub.process("a", &[]);
    let first: Reply<Hello> = hub.answer(Operation::Hello, json!({})).await;
    let standby = hub.orchestrator("b", &[]);
    standby.ready().await;
    let asked = Instant::now();
    assert_eq!(leader.terminate(SOON).await.code(), Some(0));
    let second: Reply<Hello> = hub.answer(Operation::Hello, json!({})).await;
    assert_ne!(first.body.instance, second.body.instance);
    assert!(asked.elapsed() < TAKEOVER, "{:?}", asked.elapsed());
    assert_eq!(hub.elected().await.len(), 2);
    standby.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hub_that_restarts_finds_its_orchestrator_again() {
    let mut hub = Hub::start().await;
    let orchestrator = hub.orchestrator("a", &[]);
    let mut host = hub.host("web-01");
    host.begin("s1").await;
    hub.until("s1", SessionState::Working).await;
    for _ in 0..2 {
        hub.server.kill9().await;
        eventually(SOON, async || (!orchestrator.context.health.is_ready()).then_some(())).await;
        hub.server.restart().await;
        orchestrator.ready().await;
        eventually(SOON, async || hub.bus.is_connected().then_some(())).await;
    }
    host.end("s1").await;
    hub.until("s1", SessionState::Idle).await;
    orchestrator.stop().await;
    let announced = decisions(&hub.events().await);
    assert_eq!(
        announced.iter().collect::<BTreeSet<_>>().len(),
        announced.len(),
        "{announced:?}"
    );
}
