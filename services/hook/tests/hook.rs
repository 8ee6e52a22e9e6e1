//! The hook as an agent meets it: a process with streams, an environment and an exit status.

#![expect(
    clippy::unwrap_used,
    reason = "clippy spares only test functions, not what they call"
)]

use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

const HELLO: &[u8] = br#"{"type":"hello","proto":1}"#;
const ANSWER: &[u8] = br#"{"type":"hook_answer","event_id":"e-1","exit_code":0}"#;
const PAYLOAD_MAX_BYTES: usize = 8 << 20;

/// What the process left behind: exit status, stdout, stderr.
#[derive(Debug, PartialEq, Eq)]
struct Left(i32, String, String);

impl Left {
    fn nothing() -> Self {
        Self(0, String::new(), String::new())
    }
}

fn socket() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ingest.sock");
    (folder, path)
}

fn hook(socket: &Path, args: &[&str], stdin: &[u8]) -> Left {
    let socket = socket.to_str().unwrap();
    let env = [
        ("MUSTER_SOCKET", socket),
        ("CLAUDECODE", "1"),
        ("CLAUDE_CODE_SESSION_ID", "s \"1\""),
    ];
    hook_in(&env, args, stdin)
}

fn hook_in(env: &[(&str, &str)], args: &[&str], stdin: &[u8]) -> Left {
    let mut child = command(env, args).stdin(Stdio::piped()).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    // A hook that gives up while it is still being written to closes the pipe.
    let _ = input.write_all(stdin);
    drop(input);
    left(child.wait_with_output().unwrap())
}

fn command(env: &[(&str, &str)], args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_muster-hook"));
    command.args(args).env_clear().envs(env.iter().copied());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn left(output: std::process::Output) -> Left {
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Left(output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

fn frame(stream: &mut UnixStream) -> Vec<u8> {
    let mut prefix = [0; 4];
    stream.read_exact(&mut prefix).unwrap();
    let mut body = vec![0; u32::from_be_bytes(prefix) as usize];
    stream.read_exact(&mut body).unwrap();
    body
}

fn reply(stream: &mut UnixStream, frames: &[&[u8]]) {
    for body in frames {
        let length = u32::try_from(body.len()).unwrap();
        stream.write_all(&[&length.to_be_bytes(), *body].concat()).unwrap();
    }
}

/// Reads one whole request: hello, question, payload.
fn request(stream: &mut UnixStream) -> (serde_json::Value, serde_json::Value, Vec<u8>) {
    let mut json = || serde_json::from_slice(&frame(stream)).unwrap();
    let (hello, question) = (json(), json());
    (hello, question, frame(stream))
}

#[test]
fn the_payload_arrives_as_read_and_the_answer_is_printed() {
    let (_folder, path) = socket();
    let listener = UnixListener::bind(&path).unwrap();
    let server = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let got = request(&mut stream);
        reply(&mut stream, &[HELLO, ANSWER, br#"{"decision":"x"}"#]);
        got
    });
    let payload = b"{\"a\":\"\xff\xc3\xa9\"}\n".to_vec();
    let left = hook(&path, &["--agent", "claude-code"], &payload);
    assert_eq!(left, Left(0, r#"{"decision":"x"}"#.into(), String::new()));
    let (hello, question, got) = server.join().unwrap();
    let expected = serde_json::json!({"type":"hello","proto_min":1,"proto_max":1,"client":"hook","token":null});
    assert_eq!(hello, expected);
    assert_eq!(question["type"], "ingest_hook");
    assert_eq!(question["agent"], "claude-code");
    assert_eq!(
        (&question["truncated"], &question["payload_follows"]),
        (&false.into(), &true.into())
    );
    let expected = serde_json::json!({"CLAUDECODE":"1","CLAUDE_CODE_SESSION_ID":"s \"1\""});
    assert_eq!(question["env"], expected);
    assert_eq!(question["pid"], std::process::id());
    assert!(
        question["pid_start"].as_u64() > Some(0) && question["boot_id"].is_string() && question["pid_ns"].is_string()
    );
    assert_eq!(got, payload);
}

#[test]
fn the_exit_code_is_ingests() {
    let (_folder, path) = socket();
    let listener = UnixListener::bind(&path).unwrap();
    let server = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        request(&mut stream);
        reply(
            &mut stream,
            &[HELLO, br#"{"type":"hook_answer","event_id":"e","exit_code":2}"#, b""],
        );
    });
    assert_eq!(hook(&path, &[], b""), Left(2, String::new(), String::new()));
    server.join().unwrap();
}

#[test]
fn a_lost_connection_is_repeated_with_the_same_key() {
    let (_folder, path) = socket();
    let listener = UnixListener::bind(&path).unwrap();
    let server_path = path.clone();
    let server = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let first = request(&mut stream);
        reply(&mut stream, &[HELLO]);
        // Stopped in order: the socket's file is gone for a while.
        drop((stream, listener));
        std::fs::remove_file(&server_path).unwrap();
        let listener = UnixListener::bind(&server_path).unwrap();
        let (mut stream, _) = listener.accept().unwrap();
        let second = request(&mut stream);
        reply(&mut stream, &[HELLO, ANSWER, b"ok"]);
        (first, second)
    });
    let left = hook(&path, &["--budget", "20s"], b"payload");
    assert_eq!(left, Left(0, "ok".into(), String::new()));
    let (first, second) = server.join().unwrap();
    assert!(first.1["key"].as_str().is_some_and(|key| key.len() > 20));
    assert_eq!(first, second);
}

#[test]
fn a_killed_ingest_that_is_back_at_once_is_still_reached() {
    let (_folder, path) = socket();
    // Dropped without unlink: what a killed process leaves.
    drop(UnixListener::bind(&path).unwrap());
    let next = path.with_extension("next");
    let hook_path = path.clone();
    let hook = thread::spawn(move || hook(&hook_path, &["--budget", "20s"], b"{}"));
    // Renamed into place, so that the file is never absent.
    let listener = UnixListener::bind(&next).unwrap();
    std::fs::rename(&next, &path).unwrap();
    let (mut stream, _) = listener.accept().unwrap();
    request(&mut stream);
    reply(&mut stream, &[HELLO, ANSWER, b"ok"]);
    assert_eq!(hook.join().unwrap(), Left(0, "ok".into(), String::new()));
}

#[test]
fn whatever_is_wrong_with_ingest_the_agent_goes_on() {
    type Server = fn(UnixListener);
    fn with_reply(listener: &UnixListener, frames: &[&[u8]]) {
        let (mut stream, _) = listener.accept().unwrap();
        request(&mut stream);
        reply(&mut stream, frames);
        // Held open, so that only the frames can end the exchange.
        let _ = stream.read(&mut [0]);
    }
    let cases: [(&str, Server); 7] = [
        ("refused", |listener| {
            with_reply(&listener, &[br#"{"type":"error","code":"version","detail":"too old"}"#]);
        }),
        ("refused", |listener| {
            with_reply(&listener, &[HELLO, br#"{"type":"error","code":"full","detail":"x"}"#]);
        }),
        ("not a JSON object", |listener| with_reply(&listener, &[b"\xff\xfe"])),
        ("unexpected frame", |listener| with_reply(&listener, &[ANSWER])),
        ("no exit code", |listener| {
            with_reply(&listener, &[HELLO, br#"{"type":"hook_answer","exit_code":256}"#]);
        }),
        ("frame over the limit", |listener| {
            let (mut stream, _) = listener.accept().unwrap();
            request(&mut stream);
            stream.write_all(&[0xff; 64]).unwrap();
        }),
        ("unreachable", |listener| while listener.accept().is_ok() {}),
    ];
    for (reason, server) in cases {
        let (_folder, path) = socket();
        let listener = UnixListener::bind(&path).unwrap();
        thread::spawn(move || server(listener));
        let left = hook(&path, &["--budget", "5s"], b"{}");
        assert_eq!(left, Left::nothing(), "{reason}");
    }
    for (reason, server) in cases {
        let (_folder, path) = socket();
        let listener = UnixListener::bind(&path).unwrap();
        thread::spawn(move || server(listener));
        let Left(code, out, why) = hook(&path, &["--fail-closed", "--budget=5s"], b"{}");
        assert_eq!((code, out.as_str()), (2, ""));
        assert!(why.contains(reason), "{reason} not in {why}");
    }
}

#[test]
fn an_absent_ingest_costs_no_time_and_a_killed_one_half_a_second() {
    let (_folder, path) = socket();
    let started = Instant::now();
    let Left(code, _, why) = hook(&path, &["--fail-closed", "--budget", "60s"], b"");
    assert_eq!(code, 2);
    assert!(why.contains("not running"), "{why}");
    assert!(
        started.elapsed() < Duration::from_millis(400),
        "{:?}",
        started.elapsed()
    );

    drop(UnixListener::bind(&path).unwrap());
    let started = Instant::now();
    assert_eq!(hook(&path, &["--budget", "60s"], b""), Left::nothing());
    let waited = started.elapsed();
    assert!(waited < Duration::from_secs(3), "{waited:?}");
}

#[test]
fn a_black_hole_ends_with_the_budget() {
    let (_folder, path) = socket();
    let listener = UnixListener::bind(&path).unwrap();
    for (payload, args) in [
        (1_usize, ["--budget", "100ms"]),
        // More than the socket buffers, so that the write blocks.
        (4 << 20, ["--budget", "100ms"]),
        // Never greeted: the long budget of an approval is not for it.
        (1, ["--budget", "600s"]),
    ] {
        let started = Instant::now();
        let left = hook(&path, &args, &vec![b'x'; payload]);
        assert_eq!(left, Left::nothing());
        assert!(
            started.elapsed() < Duration::from_secs(4),
            "{args:?} {:?}",
            started.elapsed()
        );
    }
    drop(listener);
}

#[test]
fn a_full_backlog_ends_like_a_refusal() {
    let (_folder, path) = socket();
    let listener = UnixListener::bind(&path).unwrap();
    // Fills the backlog from threads that stay blocked in connect; the last one tells.
    let (sender, connected) = mpsc::sync_channel(0);
    for _ in 0..8192 {
        let (path, sender) = (path.clone(), sender.clone());
        let filler = thread::Builder::new().stack_size(16 * 1024).spawn(move || {
            let stream = UnixStream::connect(path);
            let _ = sender.send(stream);
        });
        if filler.is_err() {
            break;
        }
        let Ok(stream) = connected.recv_timeout(Duration::from_millis(300)) else {
            break;
        };
        std::mem::forget(stream);
    }
    let started = Instant::now();
    assert_eq!(hook(&path, &["--budget", "600s"], b""), Left::nothing());
    assert!(started.elapsed() < Duration::from_secs(4), "{:?}", started.elapsed());
    drop(listener);
}

#[test]
fn an_input_nobody_closes_ends_with_the_budget() {
    let (_folder, path) = socket();
    let _listener = UnixListener::bind(&path).unwrap();
    let (reader, _writer) = UnixStream::pair().unwrap();
    let socket = path.to_str().unwrap();
    let mut hook = command(&[("MUSTER_SOCKET", socket)], &["--budget", "50ms"]);
    let started = Instant::now();
    let output = hook.stdin(OwnedFd::from(reader)).output().unwrap();
    assert_eq!(left(output), Left::nothing());
    assert!(started.elapsed() < Duration::from_secs(2));
}

#[test]
fn an_oversized_input_is_cut_and_said_to_be() {
    let (_folder, path) = socket();
    let listener = UnixListener::bind(&path).unwrap();
    let server = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let (_, question, payload) = request(&mut stream);
        reply(&mut stream, &[HELLO, ANSWER, b""]);
        (question, payload.len())
    });
    let input = vec![b'x'; PAYLOAD_MAX_BYTES + 10];
    assert_eq!(hook(&path, &["--budget", "20s"], &input), Left::nothing());
    let (question, length) = server.join().unwrap();
    assert_eq!(question["truncated"], true);
    assert_eq!(length, PAYLOAD_MAX_BYTES);
}

#[test]
fn misuse_fails_open_too_and_debug_says_why() {
    for args in [
        &["--nonsense"][..],
        &["--budget", "soon"],
        &["--budget", "99999999999999s"],
        &["--agent"],
    ] {
        assert_eq!(hook_in(&[], args, b""), Left::nothing(), "{args:?}");
    }
    assert_eq!(hook_in(&[], &[], b""), Left::nothing(), "no socket path");
    let Left(code, out, why) = hook_in(&[("MUSTER_HOOK_DEBUG", "1")], &["--nonsense"], b"");
    assert_eq!((code, out.as_str()), (0, ""));
    assert!(why.contains("--nonsense") && why.lines().count() == 1, "{why}");
    let Left(code, _, why) = hook_in(&[], &["--nonsense", "--fail-closed"], b"");
    assert_eq!(code, 2);
    assert!(why.contains("--nonsense"), "{why}");
    let Left(code, out, _) = hook_in(&[], &["--fail-closed=1"], b"");
    assert_eq!((code, out.as_str()), (1, ""));
}

#[test]
fn cursor_running_claudes_settings_is_not_taken_for_claude_code() {
    let payload = br#"{"hook_event_name":"PreToolUse","cursor_version":"2.0.77"}"#;
    for (claudecode, stamped) in [("", "cursor"), ("1", "claude-code")] {
        let (_folder, path) = socket();
        let listener = UnixListener::bind(&path).unwrap();
        let server = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let got = request(&mut stream);
            reply(&mut stream, &[HELLO, ANSWER, b""]);
            got.1
        });
        let env = [("MUSTER_SOCKET", path.to_str().unwrap()), ("CLAUDECODE", claudecode)];
        assert_eq!(hook_in(&env, &[], payload), Left::nothing());
        assert_eq!(server.join().unwrap()["agent"], stamped);
    }
}

#[test]
fn a_secret_in_the_environment_stays_there() {
    let (_folder, path) = socket();
    let listener = UnixListener::bind(&path).unwrap();
    let server = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let got = request(&mut stream);
        reply(&mut stream, &[HELLO, ANSWER, b""]);
        got.1.to_string()
    });
    let env = [
        ("MUSTER_SOCKET", path.to_str().unwrap()),
        ("CLAUDE_CODE_MESSAGING_TOKEN", "hunter2"),
        ("ANTHROPIC_API_KEY", "hunter2"),
    ];
    assert_eq!(hook_in(&env, &[], b"{}"), Left::nothing());
    assert!(!server.join().unwrap().contains("hunter2"));
}
