//! Where a test's commands live: their own home, state and ports.

use muster_bus::server::{Running, ServerConfig};
use muster_testkit::{Spawned, eventually, free_port};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;
use tempfile::TempDir;

/// A nats-server and three services start within it, on a busy machine too.
pub(crate) const START: Duration = Duration::from_secs(60);

/// A machine of one test's own.
pub(crate) struct Place {
    dir: TempDir,
    ports: [u16; 4],
}

impl Place {
    pub(crate) fn new() -> Self {
        // Short: a socket's path has a hundred characters at most.
        let dir = tempfile::Builder::new().prefix("mu-").tempdir_in("/tmp").unwrap();
        Self {
            dir,
            ports: [free_port(), free_port(), free_port(), free_port()],
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) const fn ports(&self) -> [u16; 4] {
        self.ports
    }

    /// `muster` with these words.
    pub(crate) fn muster(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_muster"));
        command.args(words).current_dir(self.dir.path());
        for name in [
            "MUSTER_NATS",
            "MUSTER_SOCKET",
            "MUSTER_TOKEN_FILE",
            "MUSTER_RUN",
            "MUSTER_OPERATOR_TOKEN_FILE",
            "CLAUDE_CONFIG_DIR",
            "CLAUDE_CODE_SESSION_ID",
        ] {
            command.env_remove(name);
        }
        command.env("USER", "anna");
        for (name, folder) in [
            ("HOME", "home"),
            ("XDG_STATE_HOME", "state"),
            ("XDG_RUNTIME_DIR", "run"),
            ("XDG_CONFIG_HOME", "config"),
        ] {
            let folder = self.path(folder);
            std::fs::create_dir_all(&folder).unwrap();
            command.env(name, folder);
        }
        command
    }

    /// `muster up` with these words, on this place's ports.
    pub(crate) fn up(&self, words: &[&str]) -> Spawned {
        let mut command = self.muster(&["up", "--json"]);
        let flags = ["--nats-port", "--ingest-port", "--orchestrator-port", "--notifier-port"];
        for (flag, port) in flags.iter().zip(self.ports) {
            command.arg(flag).arg(port.to_string());
        }
        command.args(words);
        Spawned::start(command)
    }

    /// `muster up`, once it says that it is up.
    pub(crate) async fn started(&self, words: &[&str]) -> (Spawned, Value) {
        let mut up = self.up(words);
        let running = announced(&mut up).await;
        (up, running)
    }

    /// What a command says, and how it ends.
    pub(crate) fn output(&self, words: &[&str]) -> Output {
        self.muster(words).output().unwrap()
    }

    /// The document that a command prints.
    pub(crate) fn json(&self, words: &[&str]) -> Value {
        let output = self.output(words);
        let said = String::from_utf8_lossy(&output.stderr);
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{words:?}: {error}; it said: {said}"))
    }

    /// The documents that a command prints, one a line.
    pub(crate) fn lines(&self, words: &[&str]) -> Vec<Value> {
        let output = self.output(words);
        assert!(
            output.status.success(),
            "{words:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        let text = String::from_utf8(output.stdout).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// The session of this id, once it is as wanted.
    pub(crate) async fn session(&self, id: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        eventually(START, async || {
            let listed = self.json(&["sessions", "list", "--json"]);
            let row = listed.as_array().unwrap().iter().find(|row| row["id"] == id).cloned();
            row.clone().filter(&wanted).ok_or(row)
        })
        .await
    }

    /// The nats-server that was started in this folder below the state folder.
    pub(crate) fn nats(&self, folder: &str) -> Option<Running> {
        Running::find(&ServerConfig::new(self.path("state/muster").join(folder).join("nats")))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // A test that failed leaves its server, which outlives `up` by design.
        for folder in ["up", "demo"] {
            let pid = self
                .nats(folder)
                .and_then(|nats| i32::try_from(nats.pid).ok())
                .and_then(Pid::from_raw);
            if let Some(pid) = pid {
                kill_process(pid, Signal::KILL).ok();
            }
        }
    }
}

/// What `up --json` says once it is up.
pub(crate) async fn announced(up: &mut Spawned) -> Value {
    eventually(START, || {
        let said: Result<Value, _> = serde_json::from_str(&up.stdout());
        assert!(up.is_running(), "up ended: {}", up.stderr());
        std::future::ready(said)
    })
    .await
}

/// Posts JSON as an agent without the hook binary would, and returns the whole answer.
pub(crate) fn post(base: &str, path: &str, body: &Value) -> String {
    let authority = base.trim_start_matches("http://");
    let mut stream = TcpStream::connect(authority).unwrap();
    let body = body.to_string();
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: {authority}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all((head + &body).as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// A hook of a session in the folder `/w`, which does not wait for anybody's answer.
pub(crate) fn hook(running: &Value, session: &str, name: &str, more: Value) {
    let mut payload = serde_json::json!({
        "session_id": session, "hook_event_name": name, "cwd": "/w", "prompt_id": "p1", "permission_mode": "default"
    });
    payload
        .as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    let answer = post(
        running["ingest"].as_str().unwrap(),
        "/v1/hooks/claude-code?wait=0",
        &payload,
    );
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

/// A script that anybody may run.
pub(crate) fn script(path: &Path, text: &str) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}
