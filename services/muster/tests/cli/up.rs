//! `muster up` when things are not as it would like them.

use crate::place::{Place, hook};
use muster_testkit::eventually;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use std::net::TcpListener;
use std::time::Duration;

#[tokio::test(flavor = "multi_thread")]
async fn after_a_kill_it_goes_on_with_the_same_server_and_data() {
    let place = Place::new();
    let (mut first, running) = place.started(&["--host", "web-01"]).await;
    hook(&running, "s1", "SessionStart", json!({"source": "startup"}));
    place.session("s1", |row| row["state"] == "starting").await;
    let server = place.nats("up").unwrap();
    first.kill9().await;
    assert_eq!(place.nats("up").as_ref(), Some(&server), "the hub outlives it");

    let (mut second, running) = place.started(&["--host", "web-01"]).await;
    assert_eq!(place.nats("up").as_ref(), Some(&server), "and is adopted");
    hook(&running, "s1", "UserPromptSubmit", json!({"prompt": "go on"}));
    place.session("s1", |row| row["state"] == "working").await;
    let audit: Value = place.json(&["audit", "--json"]);
    assert_eq!(
        (&audit["gaps"], &audit["digest_live"]),
        (&json!(0), &audit["digest_replay"]),
        "{audit}"
    );

    let third = place.muster(&["up", "--nats-port", "1"]).output().unwrap();
    let said = String::from_utf8(third.stderr).unwrap();
    assert_eq!(third.status.code(), Some(69), "{said}");
    assert!(said.contains(&format!("(pid {})", second.pid())), "{said}");

    assert!(
        second.terminate(Duration::from_secs(30)).await.success(),
        "{}",
        second.stderr()
    );
    assert_eq!(place.nats("up"), None, "an adopted hub is stopped all the same");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_held_by_a_stranger_is_named_with_its_holder() {
    let place = Place::new();
    let stranger = TcpListener::bind(("127.0.0.1", place.ports()[3])).unwrap();
    let mut up = place.up(&[]);
    assert_eq!(up.wait(Duration::from_secs(30)).await.code(), Some(69));
    let said = up.stderr();
    let holder = format!("port {} is held by pid {}", place.ports()[3], std::process::id());
    assert!(said.contains(&holder) && said.contains("--notifier-port"), "{said}");
    assert_eq!(place.nats("up"), None, "nothing was started before");
    drop(stranger);
}

#[test]
fn a_wrong_setting_is_named_before_anything_is_touched() {
    let place = Place::new();
    let output = place.output(&["config", "ingest", "--set", "spool.max_byte=1"]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(78), "{said}");
    assert!(said.contains("spool.max_byte"), "{said}");
    let dumped = place.json(&["config", "ingest", "--json", "--set", "http.listen=127.0.0.1:9"]);
    assert_eq!(dumped["http.listen"]["value"], "127.0.0.1:9");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hub_that_was_killed_is_started_again() {
    let place = Place::new();
    let (mut up, running) = place.started(&["--host", "web-01"]).await;
    let killed = place.nats("up").unwrap();
    let pid = i32::try_from(killed.pid).ok().and_then(Pid::from_raw).unwrap();
    kill_process(pid, Signal::KILL).unwrap();
    eventually(Duration::from_secs(30), async || {
        place.nats("up").filter(|nats| nats.pid != killed.pid).map(|_| ())
    })
    .await;
    hook(&running, "s1", "SessionStart", json!({"source": "startup"}));
    eventually(Duration::from_secs(30), async || {
        place.output(&["sessions", "show", "s1"]).status.success().then_some(())
    })
    .await;
    assert!(up.terminate(Duration::from_secs(30)).await.success(), "{}", up.stderr());
}
