//! What `muster run --watch` tells of the processes that it launched, as the log has it.

use crate::place::{Place, START, script};
use muster_testkit::{Spawned, eventually};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use std::io::Write as _;
use std::net::{TcpListener, TcpStream};
use std::process::Stdio;
use std::time::Duration;

const CONNECTS: &str = "MUSTER_TEST_CONNECTS";

/// Nothing to see where nobody asked it to connect to itself.
#[test]
fn a_process_that_connects_to_itself() {
    if std::env::var_os(CONNECTS).is_none() {
        return;
    }
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let far = listener.accept().unwrap();
    // Until whoever runs it has seen enough.
    std::io::stdin().read_line(&mut String::new()).unwrap();
    drop((near, far));
}

/// Each step waits until the one before was seen: what is over between two samples is not.
const STEPS: &str = r#"
sleep 600 & child=$!
exec 3>written
echo hello >&3
read step
mv written renamed
read step
rm renamed
read step
exec 3>&-
kill $child
wait
read step
exec "$0" watched::a_process_that_connects_to_itself --exact --nocapture
"#;

/// What the log has of processes that is of this type.
fn told(place: &Place, event_type: &str) -> Vec<Value> {
    let lines = place.lines(&["tail", "--json", "--no-follow", "--family", "process"]);
    let of_type = lines.into_iter().filter(|line| line["type"] == event_type);
    of_type.map(|line| line["data"].clone()).collect()
}

/// The first of this type that is as wanted, once there is one.
async fn seen(place: &Place, event_type: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    eventually(START, async || {
        let told = told(place, event_type);
        told.iter().find(|data| wanted(data)).cloned().ok_or(told)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_launched_processes_do_is_told_as_far_as_samples_show_it() {
    let place = Place::new();
    let (mut up, _) = place.started(&["--host", "web-01"]).await;
    let mut command = place.muster(&["run", "--agent", "watched", "--watch", "all", "--", "sh", "-c", STEPS]);
    let mut child = command
        .arg(std::env::current_exe().unwrap())
        .env(CONNECTS, "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut steps = child.stdin.take().unwrap();
    let mut step = || steps.write_all(b"\n").unwrap();
    let named = |name: &str| place.path(name).canonicalize().unwrap_or_else(|_| place.path(name));
    let (written, renamed) = (json!(named("written")), json!(named("renamed")));

    let opened = seen(&place, "process.file.open", |data| data["path"] == written).await;
    assert_eq!(
        (&opened["flags"], &opened["command"]),
        (&json!(["write"]), &json!("sh"))
    );
    let shell = &opened["pid"];
    let sleeps = seen(&place, "process.lifecycle.descendant_started", |data| {
        data["ppid"] == *shell
    })
    .await;
    let wrote = seen(&place, "process.file.write", |data| data["path"] == written).await;
    assert_eq!(wrote["byte_count"], 6);
    step();
    let moved = seen(&place, "process.file.rename", |data| data["from"] == written).await;
    assert_eq!((&moved["to"], &moved["pid"]), (&renamed, shell));
    step();
    seen(&place, "process.file.unlink", |data| data["path"] == renamed).await;
    step();
    seen(&place, "process.file.close", |data| data["path"] == renamed).await;
    let over = seen(&place, "process.lifecycle.descendant_exited", |data| {
        data["pid"] == sleeps["pid"]
    })
    .await;
    assert_eq!(
        (&over["start_ticks"], &over["command"]),
        (&sleeps["start_ticks"], &json!("sleep"))
    );
    step();
    let exec = seen(&place, "process.process.exec", |data| data["pid"] == *shell).await;
    assert_eq!(exec["program"], json!(std::env::current_exe().unwrap()));
    let listens = seen(&place, "process.network.listen", |data| data["pid"] == *shell).await;
    let connects = seen(&place, "process.network.connect", |data| data["pid"] == *shell).await;
    assert_eq!(connects["address"], listens["address"]);
    step();
    drop(steps);
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert_eq!(said, "", "all of it was reported");

    let ended = seen(&place, "process.lifecycle.exited", |data| data["command"] == "sh").await;
    let watched = &ended["watched"];
    assert_eq!(
        watched["categories"],
        json!(["lifecycle", "process", "file", "network"])
    );
    let lines = place.lines(&["tail", "--json", "--no-follow", "--family", "process"]);
    assert_eq!(
        watched["told"],
        lines.len() - 2,
        "all but the run's own beginning and end: {watched}"
    );
    assert_eq!(
        told(&place, "process.network.connect").len(),
        1,
        "the other end was accepted"
    );
    assert!(lines.iter().all(|line| line["data"]["run"] == ended["run"]));
    assert!(up.terminate(Duration::from_secs(30)).await.success(), "{}", up.stderr());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_agent_of_a_turn_loop_leaves_running_is_not_said_to_have_ended() {
    let place = Place::new();
    let (mut up, _) = place.started(&["--host", "web-01"]).await;
    let agent = place.path("claude");
    let result = r#"{"type":"result","subtype":"success","is_error":false}"#;
    let text = format!("#!/bin/sh\nsleep 600 >/dev/null 2>&1 &\nwhile read -r line; do echo '{result}'; done\n");
    script(&agent, &text);
    let session = "4f1c2b6e-0000-4000-8000-000000000001";
    let program = agent.display().to_string();
    let words = ["run", "--program", &program, "--session", session, "--prompt", "begin"];
    let mut turns = Spawned::start(place.muster(&words));

    let sleeps = seen(&place, "process.lifecycle.descendant_started", |_| true).await;
    assert!(turns.terminate(START).await.success(), "{}", turns.stderr());
    let ended = seen(&place, "process.lifecycle.exited", |data| data["run"] == sleeps["run"]).await;
    let left = i32::try_from(sleeps["pid"].as_i64().unwrap())
        .ok()
        .and_then(Pid::from_raw);
    kill_process(left.unwrap(), Signal::KILL).unwrap();
    assert_eq!(sleeps["ppid"], ended["pid"]);
    assert_eq!(
        ended["watched"],
        json!({"categories": ["lifecycle"], "told": 1, "running": 1})
    );
    let lines = place.lines(&[
        "tail",
        "--json",
        "--no-follow",
        "--family",
        "process",
        "--session",
        session,
    ]);
    assert_eq!(lines.len(), 3, "{lines:?}");
    assert!(up.terminate(Duration::from_secs(30)).await.success(), "{}", up.stderr());
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_told_that_nobody_wants_and_a_word_that_nobody_knows_is_refused() {
    let place = Place::new();
    let (mut up, _) = place.started(&["--host", "web-01"]).await;
    let script = "sleep 600 & exec 3>written; read line; kill $!; wait";
    for (watch, types) in [
        (&["--watch", "none"][..], &["started", "exited"][..]),
        (&[], &["started", "descendant_started", "descendant_exited", "exited"]),
    ] {
        let before = place
            .lines(&["tail", "--json", "--no-follow", "--family", "process"])
            .len();
        let mut command = place.muster(&[&["run"], watch, &["--", "sh", "-c", script]].concat());
        let mut child = command.stdin(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        eventually(START, async || {
            let lines = place.lines(&["tail", "--json", "--no-follow", "--family", "process"]);
            (lines.len() - before == types.len() / 2).then_some(()).ok_or(lines)
        })
        .await;
        child.stdin.take().unwrap().write_all(b"\n").unwrap();
        assert!(child.wait().unwrap().success());
        let lines = place.lines(&["tail", "--json", "--no-follow", "--family", "process"]);
        let kinds = lines[before..].iter().map(|line| line["type"].as_str().unwrap());
        let kinds: Vec<&str> = kinds.map(|kind| kind.rsplit('.').next().unwrap()).collect();
        assert_eq!(kinds, types);
        let watched = &lines.last().unwrap()["data"]["watched"];
        assert_eq!(watched.is_null(), !watch.is_empty(), "{watched}");
    }
    for wrong in ["everything", "file,syscalls", ""] {
        let output = place.output(&["run", "--watch", wrong, "--", "true"]);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(64), "{said}");
        assert!(said.contains("lifecycle, process, file, network"), "{said}");
    }
    assert!(up.terminate(Duration::from_secs(30)).await.success(), "{}", up.stderr());
}
