use std::io::{self, Cursor};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::*;

const HELLO: &[u8] = br#"{"type":"hello","proto":1}"#;
const ANSWER: &[u8] = br#"{"type":"hook_answer","event_id":"e-1","exit_code":0}"#;

/// What the process left behind: exit status, stdout, stderr.
#[derive(Debug, PartialEq, Eq)]
struct Left(u8, String, String);

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

fn hook(socket: &Path, args: &[&str], stdin: impl Read + Send + 'static) -> Left {
    let env = |name: &str| match name {
        "MUSTER_SOCKET" => Some(socket.into()),
        "CLAUDECODE" => Some("1".into()),
        "CLAUDE_CODE_SESSION_ID" => Some("s \"1\"".into()),
        _ => None,
    };
    hook_in(&env, args, stdin)
}

fn hook_in(env: Env<'_>, args: &[&str], stdin: impl Read + Send + 'static) -> Left {
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    let code = run(
        args.iter().map(OsString::from),
        env,
        stdin,
        &mut stdout,
        &mut stderr,
    );
    Left(
        code,
        String::from_utf8(stdout).unwrap(),
        String::from_utf8(stderr).unwrap(),
    )
}

fn reply(stream: &mut UnixStream, frames: &[&[u8]]) {
    let mut bytes = Vec::new();
    for body in frames {
        frame::append(&mut bytes, body);
    }
    stream.write_all(&bytes).unwrap();
}

/// Reads one whole request: hello, question, payload.
fn request(stream: &mut UnixStream) -> (String, String, Vec<u8>) {
    let mut text = || String::from_utf8(frame::read(stream).unwrap()).unwrap();
    let (hello, question) = (text(), text());
    (hello, question, frame::read(stream).unwrap())
}

fn key(question: &str) -> String {
    let members = json::scalars(question).unwrap();
    members
        .into_iter()
        .find(|(name, _)| name == "key")
        .unwrap()
        .1
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
    let left = hook(
        &path,
        &["--agent", "claude-code"],
        Cursor::new(payload.clone()),
    );
    assert_eq!(left, Left(0, r#"{"decision":"x"}"#.into(), String::new()));
    let (hello, question, got) = server.join().unwrap();
    assert_eq!(
        hello,
        r#"{"type":"hello","proto_min":1,"proto_max":1,"client":"hook","token":null}"#
    );
    assert!(
        question.starts_with(r#"{"type":"ingest_hook","agent":"claude-code","key":""#),
        "{question}"
    );
    let env = r#""truncated":false,"env":{"CLAUDECODE":"1","CLAUDE_CODE_SESSION_ID":"s \"1\""}"#;
    assert!(question.contains(env), "{question}");
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
            &[
                HELLO,
                br#"{"type":"hook_answer","event_id":"e","exit_code":2}"#,
                b"",
            ],
        );
    });
    assert_eq!(
        hook(&path, &[], io::empty()),
        Left(2, String::new(), String::new())
    );
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
    let left = hook(&path, &["--budget", "20s"], Cursor::new("payload"));
    assert_eq!(left, Left(0, "ok".into(), String::new()));
    let (first, second) = server.join().unwrap();
    assert_eq!(key(&first.1), key(&second.1));
    assert_eq!(first, second);
}

#[test]
fn a_killed_ingest_that_is_back_at_once_is_still_reached() {
    let (_folder, path) = socket();
    // Dropped without unlink: what a killed process leaves.
    drop(UnixListener::bind(&path).unwrap());
    let next = path.with_extension("next");
    let (mut input, reader) = UnixStream::pair().unwrap();
    let hook_path = path.clone();
    let hook = thread::spawn(move || hook(&hook_path, &["--budget", "20s"], reader));
    input.write_all(b"{}").unwrap();
    drop(input);
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
            with_reply(
                &listener,
                &[br#"{"type":"error","code":"version","detail":"too old"}"#],
            );
        }),
        ("refused", |listener| {
            with_reply(
                &listener,
                &[HELLO, br#"{"type":"error","code":"full","detail":"x"}"#],
            );
        }),
        ("not a JSON object", |listener| {
            with_reply(&listener, &[b"\xff\xfe"])
        }),
        ("unexpected frame", |listener| {
            with_reply(&listener, &[ANSWER])
        }),
        ("no exit code", |listener| {
            with_reply(
                &listener,
                &[HELLO, br#"{"type":"hook_answer","exit_code":256}"#],
            );
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
        let left = hook(&path, &["--budget", "5s"], Cursor::new("{}"));
        assert_eq!(left, Left::nothing(), "{reason}");
    }
    for (reason, server) in cases {
        let (_folder, path) = socket();
        let listener = UnixListener::bind(&path).unwrap();
        thread::spawn(move || server(listener));
        let Left(code, out, why) =
            hook(&path, &["--fail-closed", "--budget=5s"], Cursor::new("{}"));
        assert_eq!((code, out.as_str()), (2, ""));
        assert!(why.contains(reason), "{reason} not in {why}");
    }
}

#[test]
fn an_absent_ingest_costs_no_time_and_a_killed_one_half_a_second() {
    let (_folder, path) = socket();
    let started = Instant::now();
    let Left(code, _, why) = hook(&path, &["--fail-closed", "--budget", "60s"], io::empty());
    assert_eq!(code, 2);
    assert!(why.contains("not running"), "{why}");
    assert!(
        started.elapsed() < Duration::from_millis(400),
        "{:?}",
        started.elapsed()
    );

    drop(UnixListener::bind(&path).unwrap());
    let started = Instant::now();
    assert_eq!(
        hook(&path, &["--budget", "60s"], io::empty()),
        Left::nothing()
    );
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
        let left = hook(&path, &args, Cursor::new(vec![b'x'; payload]));
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
    assert_eq!(
        hook(&path, &["--budget", "600s"], io::empty()),
        Left::nothing()
    );
    assert!(
        started.elapsed() < Duration::from_secs(4),
        "{:?}",
        started.elapsed()
    );
    drop(listener);
}

#[test]
fn an_input_nobody_closes_ends_with_the_budget() {
    let (_folder, path) = socket();
    let _listener = UnixListener::bind(&path).unwrap();
    let (reader, _writer) = UnixStream::pair().unwrap();
    let started = Instant::now();
    assert_eq!(hook(&path, &["--budget", "50ms"], reader), Left::nothing());
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
    let input = io::repeat(b'x').take(frame::PAYLOAD_MAX_BYTES as u64 + 10);
    assert_eq!(hook(&path, &["--budget", "20s"], input), Left::nothing());
    let (question, length) = server.join().unwrap();
    assert!(question.contains(r#""truncated":true"#));
    assert_eq!(length, frame::PAYLOAD_MAX_BYTES);
}

#[test]
fn misuse_fails_open_too_and_debug_says_why() {
    for args in [
        &["--nonsense"][..],
        &["--budget", "soon"],
        &["--budget", "99999999999999s"],
        &["--agent"],
    ] {
        assert_eq!(
            hook_in(&|_| None, args, io::empty()),
            Left::nothing(),
            "{args:?}"
        );
    }
    assert_eq!(
        hook_in(&|_| None, &[], io::empty()),
        Left::nothing(),
        "no socket path"
    );
    let debug = |name: &str| (name == "MUSTER_HOOK_DEBUG").then(|| "1".into());
    let Left(code, out, why) = hook_in(&debug, &["--nonsense"], io::empty());
    assert_eq!((code, out.as_str()), (0, ""));
    assert!(
        why.contains("--nonsense") && why.lines().count() == 1,
        "{why}"
    );
    let Left(code, _, why) = hook_in(&|_| None, &["--nonsense", "--fail-closed"], io::empty());
    assert_eq!(code, 2);
    assert!(why.contains("--nonsense"), "{why}");
}

#[test]
fn the_socket_is_where_flag_variable_or_xdg_folder_say() {
    type Case<'a> = (&'a [&'a str], &'a [(&'a str, &'a str)], &'a str);
    let table: [Case<'_>; 6] = [
        (&["--socket", "/f"], &[("MUSTER_SOCKET", "/m")], "/f"),
        (&["--socket=/f"], &[], "/f"),
        (
            &[],
            &[("MUSTER_SOCKET", "/m"), ("XDG_RUNTIME_DIR", "/run/u")],
            "/m",
        ),
        (
            &[],
            &[("XDG_RUNTIME_DIR", "/run/u"), ("HOME", "/h")],
            "/run/u/muster/ingest.sock",
        ),
        (
            &[],
            &[("XDG_STATE_HOME", "/s"), ("HOME", "/h")],
            "/s/muster/ingest.sock",
        ),
        (
            &[],
            &[("XDG_RUNTIME_DIR", ""), ("HOME", "/h")],
            "/h/.local/state/muster/ingest.sock",
        ),
    ];
    for (args, env, expected) in table {
        let env = |name: &str| {
            env.iter()
                .find(|(key, _)| *key == name)
                .map(|(_, value)| value.into())
        };
        let args = args.iter().map(OsString::from).collect();
        let Ok(Command::Forward(options)) = options::parse(args, &env) else {
            panic!("refused");
        };
        assert_eq!(options.socket, Path::new(expected));
    }
}

#[test]
fn cursor_running_claudes_settings_is_not_taken_for_claude_code() {
    let payload = br#"{"hook_event_name":"PreToolUse","cursor_version":"2.0.77"}"#;
    for (claudecode, stamped) in [(None, "cursor"), (Some("1"), "claude-code")] {
        let (_folder, path) = socket();
        let listener = UnixListener::bind(&path).unwrap();
        let server = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let got = request(&mut stream);
            reply(&mut stream, &[HELLO, ANSWER, b""]);
            got.1
        });
        let env = |name: &str| match name {
            "MUSTER_SOCKET" => Some(path.clone().into()),
            "CLAUDECODE" => claudecode.map(OsString::from),
            _ => None,
        };
        assert_eq!(hook_in(&env, &[], Cursor::new(payload)), Left::nothing());
        assert!(
            server
                .join()
                .unwrap()
                .contains(&format!(r#""agent":"{stamped}""#))
        );
    }
}
