//! A service as a process: what its supervisor sees.
//!
//! Runs `examples/minimal.rs`, which `cargo test` builds beside the tests.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, ChildStderr, Command, Output, Stdio};

use rustix::process::{Pid, Signal, kill_process};

fn minimal(arguments: &[&str], env: &[(&str, &str)]) -> Command {
    let tests = std::env::current_exe().unwrap();
    let built: PathBuf = tests.ancestors().nth(2).unwrap().join("examples/minimal");
    let mut command = Command::new(built);
    command
        .args(arguments)
        .env_clear()
        .envs(env.iter().copied())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

fn ended(arguments: &[&str], env: &[(&str, &str)]) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } = minimal(arguments, env).output().unwrap();
    (
        status.code(),
        String::from_utf8(stdout).unwrap(),
        String::from_utf8(stderr).unwrap(),
    )
}

/// A started service; killed with the test that failed.
struct Running {
    child: Child,
    log: BufReader<ChildStderr>,
    address: String,
}

impl Running {
    fn new() -> Self {
        let mut child = minimal(&[], &[("MUSTER_MINIMAL__TELEMETRY__LOG_FORMAT", "json")])
            .spawn()
            .unwrap();
        let log = BufReader::new(child.stderr.take().unwrap());
        let mut running = Self {
            child,
            log,
            address: String::new(),
        };
        let line = running.logged("listening");
        let entry: serde_json::Value = serde_json::from_str(&line).unwrap();
        running.address = entry["address"].as_str().unwrap().to_owned();
        running
    }

    /// The next line with `text`.
    fn logged(&mut self, text: &str) -> String {
        let mut line = String::new();
        while !line.contains(text) {
            line.clear();
            assert!(
                self.log.read_line(&mut line).unwrap() > 0,
                "ended before it logged {text:?}"
            );
        }
        line
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    fn code(&mut self) -> Option<i32> {
        self.child.wait().unwrap().code()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Fails where the process has ended, as it should have.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_signal_drains_and_exits_with_zero() {
    for stop in [Signal::TERM, Signal::INT] {
        let mut service = Running::new();
        let listen = format!("http.listen={}", service.address);
        let check = ["healthcheck", "--set", &listen];
        assert_eq!(ended(&check, &[]).0, Some(0));
        service.signal(stop);
        assert_eq!(service.code(), Some(0));
        let (code, _, complaint) = ended(&check, &[]);
        assert_eq!(
            (code, complaint.contains(&service.address)),
            (Some(1), true),
            "{complaint}"
        );
    }
}

#[test]
fn a_second_signal_exits_at_once() {
    let mut service = Running::new();
    // A request that is being read keeps the drain waiting for its grace.
    let mut open = TcpStream::connect(&service.address).unwrap();
    open.write_all(b"POST /echo HTTP/1.1\r\nhost: localhost\r\nexpect: 100-continue\r\ncontent-length: 1\r\n\r\n")
        .unwrap();
    let mut goes_on = String::new();
    BufReader::new(&open).read_line(&mut goes_on).unwrap();
    assert!(goes_on.starts_with("HTTP/1.1 100"), "{goes_on}");
    service.signal(Signal::TERM);
    service.logged("a second signal exits at once");
    service.signal(Signal::INT);
    assert_eq!(service.code(), Some(130));
}

/// Arguments, environment, and what the complaint names.
type Case<'a> = (&'a [&'a str], &'a [(&'a str, &'a str)], [&'a str; 2]);

#[test]
fn a_wrong_configuration_exits_78_and_names_key_and_source() {
    let table: [Case<'_>; 4] = [
        (
            &[],
            &[("MUSTER_MINIMAL__HTTP__LISTEN", "here")],
            ["http.listen", "MUSTER_MINIMAL__HTTP__LISTEN"],
        ),
        (&["--set", "htpp.listen=x"], &[], ["htpp", "flag --set"]),
        (
            &["run", "--set", "telemetry.otlp.protocol=udp"],
            &[],
            ["telemetry.otlp.protocol", "http"],
        ),
        (
            &["config", "check", "--config", "/nowhere.toml"],
            &[],
            ["/nowhere.toml", "No such file"],
        ),
    ];
    for (arguments, env, named) in table {
        let (code, _, complaint) = ended(arguments, env);
        assert_eq!(code, Some(78), "{complaint}");
        assert!(named.iter().all(|name| complaint.contains(name)), "{complaint}");
    }
    let (code, _, complaint) = ended(&["--set", "http.listen=0.0.0.0:0"], &[]);
    assert_eq!(
        (code, complaint.contains("http.token_file")),
        (Some(78), true),
        "{complaint}"
    );
}

#[test]
fn other_ends_have_codes_of_their_own() {
    let (code, out, _) = ended(&["config", "dump", "--set", "http.listen=127.0.0.1:7"], &[]);
    assert_eq!(code, Some(0));
    assert!(out.contains("http.listen = \"127.0.0.1:7\"  # flag --set"), "{out}");
    assert_eq!(ended(&["--no-such-flag"], &[]).0, Some(64));
    assert_eq!(
        ended(&["--version"], &[]),
        (
            Some(0),
            format!("muster-minimal {}\n", env!("CARGO_PKG_VERSION")),
            String::new()
        )
    );

    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let (code, _, complaint) = ended(&["--set", &format!("http.listen={}", taken.local_addr().unwrap())], &[]);
    assert_eq!(
        (code, complaint.contains("listening on 127.0.0.1")),
        (Some(69), true),
        "{complaint}"
    );
}
