//! A hook whose call ingest holds: it waits for a person, through restarts, and not forever.

#![expect(
    clippy::unwrap_used,
    reason = "clippy spares only test functions, not what they call"
)]

use serde_json::{Value, json};
use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

const HELLO: &str = r#"{"type":"hello","proto":1}"#;
const ANSWER: &str = r#"{"type":"hook_answer","event_id":"e-1","exit_code":0}"#;
/// Longer than a hook's own budget below, shorter than what it would wait for.
const A_WHILE: Duration = Duration::from_millis(300);

fn hook(socket: &Path, more: &[&str]) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_muster-hook"));
    command.args(["--budget", "150ms"]).args(more).env_clear();
    command.env("MUSTER_SOCKET", socket).env("MUSTER_HOOK_DEBUG", "1");
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command.spawn().unwrap()
}

fn frame(stream: &mut UnixStream) -> Vec<u8> {
    let mut length = [0; 4];
    stream.read_exact(&mut length).unwrap();
    let mut body = vec![0; u32::from_be_bytes(length) as usize];
    stream.read_exact(&mut body).unwrap();
    body
}

fn say(stream: &mut UnixStream, texts: &[&str]) {
    for text in texts {
        let length = u32::try_from(text.len()).unwrap();
        let bytes = [&length.to_be_bytes(), text.as_bytes()].concat();
        // A hook that has given up is not there to read it.
        let _ = stream.write_all(&bytes);
    }
}

/// Takes a connection up to where ingest says that it holds the call; what the hook asked.
fn holding(listener: &UnixListener, alone: Duration) -> (UnixStream, Value) {
    let (mut stream, _) = listener.accept().unwrap();
    frame(&mut stream);
    let question = serde_json::from_slice(&frame(&mut stream)).unwrap();
    frame(&mut stream);
    let hold = json!({"type": "hold", "event_id": "e-1", "wait_ms": 60_000, "alone_ms": alone.as_millis()}).to_string();
    say(&mut stream, &[HELLO, &hold]);
    (stream, question)
}

/// Whether it still runs after [`A_WHILE`].
fn lasts(hook: &mut Child) -> bool {
    let until = Instant::now() + A_WHILE;
    while Instant::now() < until {
        if hook.try_wait().unwrap().is_some() {
            return false;
        }
        std::thread::yield_now();
    }
    true
}

fn printed(output: &Output) -> (i32, String) {
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    (output.status.code().unwrap(), text)
}

#[test]
fn a_held_call_outlasts_the_budget_and_a_restart_of_ingest() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ingest.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let mut hook = hook(&path, &["--wait", "60s"]);
    let (stream, first) = holding(&listener, Duration::from_secs(60));
    assert_eq!(first["wait_ms"], 60_000);
    assert!(lasts(&mut hook));
    // Killed: the socket's file stays and refuses.
    drop((stream, listener));
    assert!(lasts(&mut hook));
    std::fs::remove_file(&path).unwrap();
    let listener = UnixListener::bind(&path).unwrap();
    let (mut stream, again) = holding(&listener, Duration::from_secs(60));
    assert_eq!(again["key"], first["key"]);
    say(&mut stream, &[ANSWER, r#"{"decision":"x"}"#]);
    assert_eq!(
        printed(&hook.wait_with_output().unwrap()),
        (0, r#"{"decision":"x"}"#.to_owned())
    );
}

#[test]
fn a_held_call_ends_with_its_own_time() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ingest.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let hook = hook(&path, &["--wait", "400ms"]);
    let _held = holding(&listener, Duration::from_secs(60));
    let output = hook.wait_with_output().unwrap();
    assert_eq!(printed(&output), (0, String::new()));
    let why = String::from_utf8(output.stderr).unwrap();
    assert!(why.contains("somebody to decide"), "{why}");
}

#[test]
fn a_held_call_goes_on_alone_only_for_as_long_as_it_was_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ingest.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let hook = hook(&path, &["--wait", "600s"]);
    let held = holding(&listener, Duration::from_millis(200));
    let begun = Instant::now();
    drop((held, listener));
    assert_eq!(printed(&hook.wait_with_output().unwrap()), (0, String::new()));
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
}

#[test]
fn without_an_offer_to_wait_there_is_none() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ingest.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let hook = hook(&path, &[]);
    let (mut stream, question) = holding(&listener, Duration::from_secs(60));
    assert_eq!(question.get("wait_ms"), None);
    say(&mut stream, &[ANSWER, ""]);
    assert_eq!(printed(&hook.wait_with_output().unwrap()).0, 0);
}
