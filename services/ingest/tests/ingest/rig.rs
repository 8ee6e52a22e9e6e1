//! A hub, ingests on folders of their own, and what is in the log.

use crate::client::{Answer, Socket};
use muster_bus::migrate::{Shrink, migrate};
use muster_bus::read::Start;
use muster_bus::{Bus, Options};
use muster_testkit::{Spawned, TestServer, eventually, free_port};
use muster_wire::topology::{EVENTS, Sizing};
use muster_wire::{Envelope, Filter};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use tempfile::TempDir;

pub(crate) const SOON: Duration = Duration::from_secs(20);

/// A hub with its streams.
pub(crate) struct Hub {
    pub(crate) server: TestServer,
    pub(crate) bus: Bus,
}

impl Hub {
    pub(crate) async fn start() -> Self {
        Self::on(TestServer::start().await).await
    }

    pub(crate) async fn on(server: TestServer) -> Self {
        let bus = Bus::connect(&Options::new(server.client_url(), "test")).await.unwrap();
        let sizing = Sizing {
            events_bytes_max: 256 << 20,
            transcript_bytes_max: 64 << 20,
            ..Sizing::default()
        };
        migrate(&bus, &sizing, Shrink::Refuse).await.unwrap();
        Self { server, bus }
    }

    /// Everything in the log that passes, in its order.
    pub(crate) async fn stored(&self, stream: &str, filter: Filter) -> Vec<(String, Envelope)> {
        let mut reader = self.bus.read(stream, &[filter], Start::First);
        reader.open().await.unwrap();
        let mut found = Vec::new();
        while reader.pending() != Some(0) {
            let stored = reader.next().await.unwrap();
            found.push((
                stored.subject_text().to_owned(),
                Envelope::decode(&stored.payload).unwrap(),
            ));
        }
        found
    }

    /// Waits until that many hooks of `host` are in the log.
    pub(crate) async fn hooks(&self, host: &str, count: usize) -> Vec<(String, Envelope)> {
        let filter = || {
            Filter::all()
                .family(muster_domain::family::Family::AgentHook)
                .host(host.parse().unwrap())
        };
        eventually(SOON, async || {
            let found = self.stored(EVENTS, filter()).await;
            if found.len() >= count {
                Ok(found)
            } else {
                Err(found.len())
            }
        })
        .await
    }

    /// Waits for an event of this type.
    pub(crate) async fn event(&self, host: &str, event_type: &str) -> Envelope {
        eventually(SOON, async || {
            let found = self.stored(EVENTS, Filter::all().host(host.parse().unwrap())).await;
            let kinds: Vec<String> = found
                .iter()
                .map(|(_, envelope)| envelope.event_type.to_string())
                .collect();
            found
                .into_iter()
                .map(|(_, envelope)| envelope)
                .find(|envelope| envelope.event_type.to_string() == event_type)
                .ok_or(kinds)
        })
        .await
    }
}

/// The producers' counts in the log, which must have no hole and no place twice.
pub(crate) fn assert_counts_are_whole(events: &[(String, Envelope)]) {
    let mut counts = std::collections::BTreeMap::<_, Vec<u64>>::new();
    for (_, envelope) in events {
        let origin = envelope.origin.unwrap();
        counts.entry(origin.producer).or_default().push(origin.seq);
    }
    for (producer, seqs) in counts {
        let expected: Vec<u64> = (1..=seqs.len() as u64).collect();
        assert_eq!(seqs, expected, "producer {producer}");
    }
}

/// An ingest process, and how to talk to it.
pub(crate) struct Ingest {
    pub(crate) process: Spawned,
    pub(crate) port: u16,
    pub(crate) socket: PathBuf,
    client: reqwest::Client,
}

/// Where and as whom an ingest runs.
pub(crate) struct Place {
    pub(crate) dir: TempDir,
    pub(crate) host: String,
    pub(crate) nats: String,
    pub(crate) port: u16,
    pub(crate) more: Vec<String>,
}

impl Place {
    pub(crate) fn new(host: &str, nats: &str) -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
            host: host.to_owned(),
            nats: nats.to_owned(),
            port: free_port(),
            more: Vec::new(),
        }
    }

    pub(crate) fn with(mut self, setting: &str) -> Self {
        self.more.push(setting.to_owned());
        self
    }

    pub(crate) fn spool(&self) -> PathBuf {
        self.dir.path().join("spool")
    }

    /// Starts an ingest here and waits until it answers.
    pub(crate) async fn start(&self) -> Ingest {
        let socket = self.dir.path().join("s/ingest.sock");
        let mut command = Command::new(env!("CARGO_BIN_EXE_muster-ingest"));
        let settings = [
            format!("host.name={}", self.host),
            format!("nats.url={}", self.nats),
            format!("http.listen=127.0.0.1:{}", self.port),
            format!("spool.dir={}", self.spool().display()),
            format!("socket.path={}", socket.display()),
            "telemetry.log=info".to_owned(),
        ];
        for setting in settings.iter().chain(&self.more) {
            command.args(["--set", setting]);
        }
        let ingest = Ingest {
            process: Spawned::start(command),
            port: self.port,
            socket,
            client: reqwest::Client::new(),
        };
        eventually(SOON, async || ingest.try_get("/healthz").await.ok_or("not up")).await;
        ingest
    }
}

impl Ingest {
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    async fn try_get(&self, path: &str) -> Option<Answer> {
        Answer::of(self.client.get(self.url(path)).send().await.ok()?).await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.try_get(path).await.unwrap()
    }

    pub(crate) async fn post(&self, path: &str, kind: &str, body: impl Into<reqwest::Body>) -> Answer {
        let request = self.client.post(self.url(path)).header("content-type", kind).body(body);
        Answer::of(request.send().await.unwrap()).await.unwrap()
    }

    pub(crate) async fn hook(&self, payload: &Value) -> Answer {
        self.post("/v1/hooks/claude-code", "application/json", payload.to_string())
            .await
    }

    /// The most memory that the process ever held.
    pub(crate) fn peak_kib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.pid())).unwrap();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        peak.trim().trim_end_matches(" kB").parse().unwrap()
    }

    pub(crate) async fn connect(&self) -> Socket {
        Socket::greeted(&self.socket).await
    }
}

/// A copy of a folder, as a backup makes one.
pub(crate) fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}
