//! What this host shall do: handed on once, told of in the log, and refused where it is late or for somebody else. The
//! orchestrator is played by whoever publishes its decisions, the carrier by a connection to the socket.

use crate::client::Socket;
use crate::rig::{Hub, Ingest, Place, SOON};
use muster_bus::Outgoing;
use muster_bus::publish::Producer;
use muster_domain::family::{EventType, Family};
use muster_domain::ids::EventId;
use muster_domain::names::SessionId;
use muster_domain::time::Timestamp;
use muster_testkit::eventually;
use muster_wire::data::runtime::RuntimeMetadata;
use muster_wire::frame::ServerFrame;
use muster_wire::topology::EVENTS;
use muster_wire::{Envelope, Filter};
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, Instant, SystemTime};
use tokio::time::timeout;

pub(crate) const SESSION: &str = "78e6edba-fbb9-4db4-878f-fd73757b08ad";

fn in_seconds(seconds: i64) -> String {
    let now = muster_wire::time::from_system(SystemTime::now());
    muster_wire::time::format(Timestamp::from_millis(now.as_millis() + seconds * 1000))
}

/// Says something on the leader's behalf; the event's id.
async fn decide(hub: &Hub, kind: &str, more: Value) -> String {
    let id = EventId::from_uuid(uuid::Uuid::now_v7());
    say(hub, kind, id, more).await;
    id.to_string()
}

/// Says it in an event of this id, which the hub takes for a new one each time.
async fn say(hub: &Hub, kind: &str, id: EventId, more: Value) {
    let runtime = RuntimeMetadata::unasked("effect", id);
    let mut data = json!({ "runtime": runtime });
    data.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let envelope = Envelope {
        id,
        source: "/orchestrator".to_owned(),
        event_type: EventType::parse(&format!("runtime.effect.{kind}")).unwrap(),
        host: Some("web-01".parse().unwrap()),
        session: Some(SessionId::new(SESSION).unwrap()),
        time: Timestamp::from_millis(1_790_000_000_000),
        time_exact: false,
        agent: None,
        profile: None,
        origin: None,
        causation: None,
        correlation: None,
        traceparent: None,
        data: serde_json::value::to_raw_value(&data).unwrap(),
    };
    let outgoing = Outgoing {
        id: EventId::from_uuid(uuid::Uuid::now_v7()),
        ..Outgoing::of(&envelope).unwrap()
    };
    let outcome = Producer::new(&hub.bus, EVENTS).publish(&[outgoing]).await;
    assert_eq!((outcome.stored, outcome.duplicates), (1, 0), "{outcome:?}");
}

fn wanted(run: Option<&str>, seconds: i64, action: &Value) -> Value {
    let by = json!({"caller": "op-anna"});
    json!({"run": run, "expires_at": in_seconds(seconds), "by": by, "action": action})
}

/// Orders something of a run; the effect's id.
pub(crate) async fn order(hub: &Hub, run: Option<&str>, seconds: i64, action: Value) -> String {
    decide(hub, "requested", wanted(run, seconds, &action)).await
}

/// Waits until orders can come: before, an ingest has no place in the log yet.
pub(crate) async fn following(ingest: &Ingest) {
    eventually(SOON, async || {
        let ready = ingest.get("/readyz").await;
        if ready.status == 200 && !ready.body.contains("degraded") {
            Ok(())
        } else {
            Err(ready.body)
        }
    })
    .await;
}

/// A carrier's connection.
pub(crate) async fn carrier(ingest: &Ingest, run: &str, holds: &[&str]) -> Socket {
    let mut socket = ingest.connect().await;
    let carry = json!({"type": "carry", "run": run, "session": SESSION, "holds": holds});
    socket.say(&carry).await;
    assert!(matches!(socket.hear().await, Some(ServerFrame::Carrying)));
    socket
}

/// The next order that a carrier hears; its effect.
pub(crate) async fn ordered(socket: &mut Socket) -> String {
    match timeout(SOON, socket.hear()).await.unwrap() {
        Some(ServerFrame::Order(order)) => order.effect_id.to_string(),
        other => panic!("no order: {other:?}"),
    }
}

/// Says what became of an order, and waits until that is on disk.
pub(crate) async fn receipt(socket: &mut Socket, effect: &str, failed: Option<&str>) {
    let said = json!({"type": "receipt", "effect_id": effect, "kind": "interrupt", "failed": failed});
    socket.say(&said).await;
    match timeout(SOON, socket.hear()).await.unwrap() {
        Some(ServerFrame::Noted(noted)) => assert_eq!(noted.effect_id.to_string(), effect),
        other => panic!("not noted: {other:?}"),
    }
}

/// What the log says of an effect, in its order: `accepted`, `done`, or the reason why it failed.
async fn told(hub: &Hub, effect: &str) -> Vec<String> {
    let filter = Filter::all()
        .family(Family::AgentEffect)
        .host("web-01".parse().unwrap());
    let mut told = Vec::new();
    for (_, envelope) in hub.stored(EVENTS, filter).await {
        let data: Value = serde_json::from_str(envelope.data.get()).unwrap();
        if data["effect_id"] == effect {
            assert_eq!(envelope.session.unwrap().as_str(), SESSION);
            let kind = envelope.event_type.to_string().replace("agent.effect.", "");
            told.push(data["reason"].as_str().map_or(kind, ToOwned::to_owned));
        }
    }
    told
}

pub(crate) async fn ended(hub: &Hub, effect: &str) -> Vec<String> {
    eventually(SOON, async || {
        let told = told(hub, effect).await;
        if told.last().is_some_and(|last| last != "accepted") {
            Ok(told)
        } else {
            Err(told)
        }
    })
    .await
}

#[tokio::test]
async fn an_order_reaches_its_carrier_once_and_its_end_the_log() {
    let hub = Hub::start().await;
    let place = Place::new("web-01", &hub.server.client_url());
    let ingest = place.start().await;
    following(&ingest).await;
    let mut socket = carrier(&ingest, "r1", &[]).await;
    let done = order(&hub, Some("r1"), 60, json!({"kind": "interrupt"})).await;
    assert_eq!(ordered(&mut socket).await, done);
    eventually(SOON, async || {
        let told = told(&hub, &done).await;
        if told == ["accepted"] { Ok(()) } else { Err(told) }
    })
    .await;
    receipt(&mut socket, &done, None).await;
    assert_eq!(ended(&hub, &done).await, ["accepted", "done"]);
    // Said twice, it is told once.
    receipt(&mut socket, &done, Some("error")).await;

    let failed = order(&hub, Some("r1"), 60, json!({"kind": "interrupt"})).await;
    assert_eq!(ordered(&mut socket).await, failed);
    receipt(&mut socket, &failed, Some("interrupted")).await;
    assert_eq!(ended(&hub, &failed).await, ["accepted", "interrupted"]);
    assert_eq!(told(&hub, &done).await, ["accepted", "done"]);
}

#[tokio::test]
async fn what_is_late_or_for_another_run_is_refused_and_never_begun() {
    let hub = Hub::start().await;
    let place = Place::new("web-01", &hub.server.client_url());
    let ingest = place.start().await;
    following(&ingest).await;
    let mut socket = carrier(&ingest, "r2", &[]).await;
    let late = order(&hub, Some("r2"), -1, json!({"kind": "interrupt"})).await;
    assert_eq!(ended(&hub, &late).await, ["late"]);
    let other = order(&hub, Some("r1"), 60, json!({"kind": "interrupt"})).await;
    assert_eq!(ended(&hub, &other).await, ["mismatched"]);
    // An earlier run does not take it back.
    let mut earlier = ingest.connect().await;
    earlier
        .say(&json!({"type": "carry", "run": "r1", "session": SESSION}))
        .await;
    assert_eq!(earlier.error().await, "displaced");
    // Nothing of all that came here.
    let own = order(&hub, Some("r2"), 60, json!({"kind": "interrupt"})).await;
    assert_eq!(ordered(&mut socket).await, own);
    drop(socket);
    let nobody = order(&hub, Some("r2"), 60, json!({"kind": "interrupt"})).await;
    assert_eq!(ended(&hub, &nobody).await, ["no_carrier"]);
}

#[tokio::test]
async fn an_order_that_waited_for_its_carrier_past_its_time_is_refused() {
    let hub = Hub::start().await;
    let place = Place::new("web-01", &hub.server.client_url());
    let ingest = place.start().await;
    following(&ingest).await;
    let begun = Instant::now();
    let passed = async |since: Duration| {
        let elapsed = || begun.elapsed() > since;
        eventually(SOON, async || elapsed().then_some(()).ok_or("too early")).await;
    };
    // What comes without having been waited for says nothing of the hub's clock.
    passed(Duration::from_secs(1)).await;
    let late = order(&hub, Some("r1"), 2, json!({"kind": "interrupt"})).await;
    passed(Duration::from_millis(3500)).await;
    let mut socket = carrier(&ingest, "r1", &[]).await;
    assert_eq!(ended(&hub, &late).await, ["late"]);
    let next = order(&hub, Some("r1"), 60, json!({"kind": "interrupt"})).await;
    assert_eq!(ordered(&mut socket).await, next);
}

#[tokio::test]
async fn an_order_that_was_withdrawn_while_it_waited_for_its_carrier_is_dropped() {
    let hub = Hub::start().await;
    let place = Place::new("web-01", &hub.server.client_url());
    let ingest = place.start().await;
    following(&ingest).await;
    let dropped = order(&hub, Some("r1"), 60, json!({"kind": "stop"})).await;
    decide(&hub, "withdrawn", json!({"effect_id": dropped, "reason": "not needed"})).await;
    let kept = order(&hub, Some("r1"), 60, json!({"kind": "interrupt"})).await;
    eventually(SOON, async || {
        let journal = std::fs::read_to_string(place.spool().join("effects.json")).unwrap_or_default();
        if journal.contains(&dropped) {
            Ok(())
        } else {
            Err(journal)
        }
    })
    .await;
    let mut socket = carrier(&ingest, "r1", &[]).await;
    assert_eq!(ordered(&mut socket).await, kept);
    assert_eq!(told(&hub, &dropped).await, [""; 0]);
}

#[tokio::test]
async fn after_a_kill_only_the_carrier_knows_how_an_order_ended_and_nothing_is_begun_twice() {
    let hub = Hub::start().await;
    let place = Place::new("web-01", &hub.server.client_url());
    let mut ingest = place.start().await;
    following(&ingest).await;
    let mut socket = carrier(&ingest, "r1", &[]).await;
    let mut begun = Vec::new();
    for _ in 0..2 {
        let id = order(&hub, Some("r1"), 60, json!({"kind": "interrupt"})).await;
        assert_eq!(ordered(&mut socket).await, id);
        begun.push(id);
    }
    ingest.process.kill9().await;
    drop((ingest, socket));
    let ingest = place.start().await;
    let mut socket = carrier(&ingest, "r1", &[&begun[0]]).await;
    for id in &begun {
        let again = wanted(Some("r1"), 60, &json!({"kind": "interrupt"}));
        say(&hub, "requested", id.parse().unwrap(), again).await;
    }
    assert_eq!(ended(&hub, &begun[1]).await, ["accepted", "unknown"]);
    receipt(&mut socket, &begun[0], None).await;
    assert_eq!(ended(&hub, &begun[0]).await, ["accepted", "done"]);
    // Too late to be believed, and nobody is told twice.
    receipt(&mut socket, &begun[1], None).await;
    following(&ingest).await;
    let next = order(&hub, Some("r1"), 60, json!({"kind": "interrupt"})).await;
    assert_eq!(ordered(&mut socket).await, next);
    assert_eq!(told(&hub, &begun[1]).await, ["accepted", "unknown"]);
}

#[tokio::test]
async fn a_session_is_begun_of_a_template_alone_and_what_fails_says_why() {
    let hub = Hub::start().await;
    let mut place = Place::new("web-01", &hub.server.client_url());
    let program = place.dir.path().join("program");
    std::fs::write(&program, "#!/bin/sh\necho \"$@\"; cat; exit 3\n").unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o700)).unwrap();
    place = place.with(&format!("spawn.program={}", program.display()));
    place = place.with("spawn.templates.worker.cwd=/tmp");
    let ingest = place.start().await;
    following(&ingest).await;
    let spawn = |template: &str| json!({"kind": "spawn", "template": template, "prompt": "$(touch made) --help"});
    let unknown = order(&hub, None, 60, spawn("root")).await;
    assert_eq!(ended(&hub, &unknown).await, ["refused"]);
    let broken = order(&hub, None, 60, spawn("worker")).await;
    assert_eq!(ended(&hub, &broken).await, ["accepted", "error"]);
    let event = hub.event("web-01", "agent.effect.accepted").await;
    assert!(event.data.get().contains("\"spawn\""));
    let log = std::fs::read_to_string(place.spool().join(format!("runs/{SESSION}.log"))).unwrap();
    assert!(
        log.contains(&format!("--session={SESSION}")) && log.contains("$(touch made) --help"),
        "{log}"
    );
}
