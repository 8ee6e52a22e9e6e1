//! Whose a session is: every process of this user can open the socket, and only one carries. The others are this program
//! again, as a process of its own that says what it is told.

use crate::client::Socket;
use crate::rig::{Hub, Ingest, Place, SOON};
use muster_domain::family::Family;
use muster_testkit::{Spawned, eventually};
use muster_wire::Filter;
use muster_wire::frame::ServerFrame;
use muster_wire::topology::EVENTS;
use serde_json::{Value, json};
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::process::Command;

const SOCKET: &str = "MUSTER_TEST_SOCKET";
const SAYS: &str = "MUSTER_TEST_SAYS";

/// Nothing to see where nobody told it what to say.
#[test]
fn a_process_that_says_what_it_is_told() {
    let (Ok(socket), Ok(says)) = (std::env::var(SOCKET), std::env::var(SAYS)) else {
        return;
    };
    let says: Vec<Value> = serde_json::from_str(&says).unwrap();
    let mut stream = UnixStream::connect(socket).unwrap();
    let mut out = std::io::stdout();
    for said in says {
        let body = said.to_string();
        let length = u32::try_from(body.len()).unwrap().to_be_bytes();
        stream.write_all(&[&length[..], body.as_bytes()].concat()).unwrap();
        let mut length = [0; 4];
        stream.read_exact(&mut length).unwrap();
        let mut heard = vec![0; u32::from_be_bytes(length) as usize];
        stream.read_exact(&mut heard).unwrap();
        writeln!(out, "\nheard {}", String::from_utf8(heard).unwrap()).unwrap();
    }
    writeln!(out, "\nheard all").unwrap();
    loop {
        std::thread::park();
    }
}

/// Another process that says this; what it heard, and it lives until it is dropped.
async fn another(ingest: &Ingest, says: &[Value]) -> (Spawned, Vec<Value>) {
    let hello = json!({"type": "hello", "proto_min": 1, "proto_max": 1, "client": "run", "token": null});
    let says: Vec<&Value> = std::iter::once(&hello).chain(says).collect();
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([
        "carriers::a_process_that_says_what_it_is_told",
        "--exact",
        "--nocapture",
    ]);
    command.env(SOCKET, &ingest.socket);
    command.env(SAYS, serde_json::to_string(&says).unwrap());
    let process = Spawned::start(command);
    let heard = eventually(SOON, async || {
        let printed = process.stdout();
        let heard = printed.lines().filter_map(|line| line.strip_prefix("heard "));
        match heard.collect::<Vec<_>>().split_last() {
            Some((&"all", heard)) => Ok(heard[1..].iter().map(|text| text.parse().unwrap()).collect()),
            _ => Err(printed),
        }
    })
    .await;
    (process, heard)
}

fn carry(run: &str) -> Value {
    json!({"type": "carry", "run": run, "session": "s"})
}

/// What a run says of its agent.
fn told(kind: &str, run: &str) -> Value {
    let data = json!({"pid": 4711, "start_ticks": 99, "run": run, "carries": ["message"]});
    json!({"kind": format!("process.lifecycle.{kind}"), "session": "s", "agent": "claude-code", "data": data})
}

fn events(events: &[Value]) -> Value {
    json!({"type": "ingest_events", "events": events})
}

async fn carrier(ingest: &Ingest, run: &str) -> Socket {
    let mut socket = ingest.connect().await;
    socket.say(&carry(run)).await;
    assert!(matches!(socket.hear().await, Some(ServerFrame::Carrying)));
    socket
}

#[tokio::test]
async fn a_session_that_a_process_carries_is_no_others_until_it_is_gone_also_after_a_kill_of_ingest() {
    let hub = Hub::start().await;
    let place = Place::new("web-01", &hub.server.client_url());
    let mut ingest = place.start().await;
    let (mut owner, heard) = another(&ingest, &[carry("r1")]).await;
    assert_eq!(heard[0]["type"], "carrying");
    // However late the run says that it began.
    let mut thief = ingest.connect().await;
    thief.say(&carry("r9")).await;
    assert_eq!(thief.error().await, "not-the-carrier");

    ingest.process.kill9().await;
    let ingest = place.start().await;
    let mut thief = ingest.connect().await;
    thief.say(&carry("r9")).await;
    assert_eq!(thief.error().await, "not-the-carrier");

    owner.kill9().await;
    drop(owner);
    carrier(&ingest, "r2").await;
}

#[tokio::test]
async fn nobody_else_tells_what_the_processes_of_a_carried_run_do() {
    let hub = Hub::start().await;
    let place = Place::new("web-01", &hub.server.client_url());
    let ingest = place.start().await;
    let data = json!({"pid": 7, "start_ticks": 70, "command": "curl", "run": "r1", "address": "192.0.2.1:443"});
    let saw = |kind: &str, host: &str| json!({"kind": kind, "session": "s", "host": host, "data": data});
    let kinds = [
        "process.lifecycle.descendant_started",
        "process.process.exec",
        "process.file.open",
        "process.network.connect",
    ];
    let all: Vec<Value> = kinds.iter().map(|kind| saw(kind, "web-01")).collect();
    let (_owner, heard) = another(&ingest, &[events(&all), carry("r1")]).await;
    assert_eq!(
        (&heard[0]["rejected"], &heard[1]["type"]),
        (&json!([]), &json!("carrying"))
    );

    let mut thief = ingest.connect().await;
    thief.say(&events(&all)).await;
    let Some(ServerFrame::Ack(ack)) = thief.hear().await else {
        panic!("no acknowledgement");
    };
    let refused: Vec<&str> = ack.rejected.iter().map(|rejected| rejected.kind.as_str()).collect();
    assert_eq!(refused, ["not-the-carrier"; 4]);
    let answer = ingest.post("/v1/events", "application/json", all[3].to_string()).await;
    assert_eq!((answer.status, answer.problem().as_str()), (409, "not-the-carrier"));
    // Of a session that nobody carries anybody tells, but of no other host than this one.
    let mut elsewhere = saw("process.network.connect", "db-01");
    elsewhere["session"] = json!("free");
    let answer = ingest
        .post("/v1/events", "application/json", elsewhere.to_string())
        .await;
    assert_eq!(answer.status, 202);
    let stored = async || {
        let processes = hub.stored(EVENTS, Filter::all().area(Family::ProcessNetwork)).await;
        let hosts = processes.into_iter().filter_map(|(_, envelope)| envelope.host);
        let hosts: Vec<String> = hosts.map(|host| host.to_string()).collect();
        if hosts.len() == kinds.len() + 1 {
            Ok(hosts)
        } else {
            Err(hosts)
        }
    };
    assert_eq!(eventually(SOON, stored).await, ["web-01"; 5]);
}

#[tokio::test]
async fn nobody_else_tells_that_a_carried_run_began_or_ended() {
    let hub = Hub::start().await;
    let place = Place::new("web-01", &hub.server.client_url());
    let ingest = place.start().await;
    let (_owner, heard) = another(&ingest, &[events(&[told("started", "r1")]), carry("r1")]).await;
    assert_eq!(
        (&heard[0]["rejected"], &heard[1]["type"]),
        (&json!([]), &json!("carrying"))
    );

    let mut thief = ingest.connect().await;
    thief.say(&events(&[told("started", "r9"), told("exited", "r1")])).await;
    let Some(ServerFrame::Ack(ack)) = thief.hear().await else {
        panic!("no acknowledgement");
    };
    let refused: Vec<&str> = ack.rejected.iter().map(|rejected| rejected.kind.as_str()).collect();
    assert_eq!(refused, ["not-the-carrier"; 2]);
    for told in [told("started", "r9"), told("exited", "r1")] {
        let answer = ingest.post("/v1/events", "application/json", told.to_string()).await;
        assert_eq!((answer.status, answer.problem().as_str()), (409, "not-the-carrier"));
    }
    hub.event("web-01", "process.lifecycle.started").await;
    let lifecycle = Filter::all().area(Family::ProcessLifecycle);
    assert_eq!(hub.stored(EVENTS, lifecycle).await.len(), 1);
}

#[tokio::test]
async fn what_became_of_an_order_is_told_by_the_process_that_has_it_and_by_nobody_else() {
    let hub = Hub::start().await;
    let place = Place::new("web-01", &hub.server.client_url());
    let ingest = place.start().await;
    crate::effects::following(&ingest).await;
    let session = crate::effects::SESSION;
    let mut socket = crate::effects::carrier(&ingest, "r1", &[]).await;
    let effect = crate::effects::order(&hub, Some("r1"), 60, json!({"kind": "interrupt"})).await;
    assert_eq!(crate::effects::ordered(&mut socket).await, effect);

    let receipt = json!({"type": "receipt", "effect_id": effect, "kind": "interrupt"});
    // It carries a session of its own, and says that it has the order.
    let own = json!({"type": "carry", "run": "r9", "session": "own", "holds": [effect]});
    let (_thief, heard) = another(&ingest, &[own, receipt.clone()]).await;
    assert_eq!(
        (&heard[0]["type"], &heard[1]["code"]),
        (&json!("carrying"), &json!("not-the-carrier"))
    );
    let data = json!({"effect_id": effect, "kind": "interrupt", "run": "r1"});
    let forged = json!({"kind": "agent.effect.done", "session": session, "data": data});
    let answer = ingest.post("/v1/events", "application/json", forged.to_string()).await;
    assert_eq!(answer.problem(), "not-an-observation");

    crate::effects::receipt(&mut socket, &effect, Some("interrupted")).await;
    assert_eq!(crate::effects::ended(&hub, &effect).await, ["accepted", "interrupted"]);
}
