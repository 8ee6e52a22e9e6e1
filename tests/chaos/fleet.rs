//! The system under test: a hub, three hosts, two orchestrators, a notifier, all real processes.

use muster_bus::read::Start;
use muster_bus::{Bus, Options, migrate};
use muster_testkit::eventually;
use muster_testkit::nats::TestServer;
use muster_testkit::process::bin;
use muster_tests::Service;
use muster_wire::{Envelope, topology};
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    Hub,
    Ingest,
    Orchestrator,
    Notifier,
}

impl Part {
    pub(crate) const ALL: [Self; 4] = [Self::Ingest, Self::Hub, Self::Orchestrator, Self::Notifier];
}

#[derive(Debug, Clone)]
pub(crate) struct Host {
    pub(crate) name: String,
    pub(crate) url: String,
}

pub(crate) struct Stack {
    hub: TestServer,
    ingests: Vec<Service>,
    orchestrators: Vec<Service>,
    notifiers: Vec<Service>,
    window: Duration,
    outlasted_window: bool,
    _root: tempfile::TempDir,
}

impl Stack {
    pub(crate) async fn start(window: Duration) -> Self {
        let hub = TestServer::start().await;
        let root = tempfile::tempdir().expect("a folder");
        let nats = hub.client_url();
        let sizing = topology::Sizing {
            duplicate_window: window,
            ..muster_tests::sizing()
        };
        let bus = connect(&nats).await;
        migrate::migrate(&bus, &sizing, migrate::Shrink::Refuse)
            .await
            .expect("the hub is prepared");
        let ingest = |number: usize| {
            let name = format!("host-{number}");
            Service::start(
                "muster-ingest",
                &name,
                root.path(),
                &nats,
                &[("HOST__NAME", name.clone())],
            )
        };
        let orchestrator = |number: usize| {
            let own = [("STATE__SNAPSHOT_EVENTS", "500".to_owned())];
            Service::start(
                "muster-orchestrator",
                &format!("orchestrator-{number}"),
                root.path(),
                &nats,
                &own,
            )
        };
        let mut stack = Self {
            ingests: (0..3).map(ingest).collect(),
            orchestrators: (0..2).map(orchestrator).collect(),
            notifiers: vec![Service::start("muster-notifier", "notifier", root.path(), &nats, &[])],
            hub,
            window,
            outlasted_window: false,
            _root: root,
        };
        stack.all_ready().await;
        stack
    }

    async fn all_ready(&mut self) {
        for service in self
            .ingests
            .iter_mut()
            .chain(&mut self.orchestrators)
            .chain(&mut self.notifiers)
        {
            service.ready().await;
        }
    }

    pub(crate) fn hosts(&self) -> Vec<Host> {
        self.ingests
            .iter()
            .map(|service| Host {
                name: service.name.clone(),
                url: service.url(),
            })
            .collect()
    }

    fn services(&mut self, part: Part) -> &mut Vec<Service> {
        match part {
            Part::Ingest => &mut self.ingests,
            Part::Orchestrator => &mut self.orchestrators,
            Part::Notifier | Part::Hub => &mut self.notifiers,
        }
    }

    pub(crate) fn count(&mut self, part: Part) -> usize {
        if part == Part::Hub {
            1
        } else {
            self.services(part).len()
        }
    }

    pub(crate) async fn kill9_and_restart(&mut self, part: Part, which: usize) {
        if part == Part::Hub {
            self.hub.kill9().await;
            self.hub.restart().await;
        } else {
            self.services(part)[which].kill9_and_restart().await;
        }
    }

    pub(crate) const fn outlasted_window(&self) -> bool {
        self.outlasted_window
    }

    /// The hub is away for longer than it remembers message ids: what was sent and not acknowledged is sent again after.
    pub(crate) async fn hub_away_longer_than_window(&mut self) {
        self.hub.kill9().await;
        tokio::time::sleep(self.window + Duration::from_secs(1)).await; // the window is a time; nothing else can outlast it
        self.hub.restart().await;
        self.outlasted_window = true;
    }

    /// Waits until no host owes the hub anything.
    pub(crate) async fn drained(&mut self) {
        self.all_ready().await;
        for service in &self.ingests {
            let url = format!("{}/metrics", service.url());
            eventually(muster_tests::WITHIN, async || {
                let text = reqwest::get(&url)
                    .await
                    .map_err(|error| error.to_string())?
                    .text()
                    .await
                    .map_err(|error| error.to_string())?;
                let owed = text
                    .lines()
                    .filter(|line| line.starts_with("muster_ingest_spool_owed"))
                    .map(str::to_owned)
                    .collect::<Vec<_>>();
                if !owed.is_empty() && owed.iter().all(|line| line.ends_with(" 0")) {
                    Ok(())
                } else {
                    Err(format!("{owed:?}"))
                }
            })
            .await;
        }
    }

    async fn bus(&self) -> Bus {
        connect(&self.hub.client_url()).await
    }

    async fn envelopes(&self) -> Vec<Envelope> {
        let bus = self.bus().await;
        let mut reader = bus.read(topology::EVENTS, &[], Start::First);
        let last = reader.open().await.expect("the log can be read").last_seq;
        let mut all = Vec::new();
        while reader.position() <= last {
            let stored = reader.next().await.expect("the log goes on");
            all.push(Envelope::decode(&stored.payload).expect("what is stored can be read"));
        }
        all
    }

    pub(crate) async fn stored_ids(&self) -> BTreeSet<String> {
        self.envelopes()
            .await
            .iter()
            .map(|envelope| envelope.id.to_string())
            .collect()
    }

    pub(crate) fn audit(&self) -> Value {
        let output = Command::new(bin("muster"))
            .args(["--nats", &self.hub.client_url(), "--json", "audit"])
            .output()
            .expect("muster runs");
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
            panic!(
                "audit printed no JSON ({error}): {}{}",
                String::from_utf8_lossy(&output.stdout),
                String::from_utf8_lossy(&output.stderr)
            )
        })
    }

    /// The source of the newest election.
    pub(crate) async fn leader(&self) -> String {
        let elected = self
            .envelopes()
            .await
            .into_iter()
            .rfind(|envelope| envelope.event_type.to_string() == "runtime.leader.elected");
        elected.expect("somebody was elected").source
    }

    pub(crate) async fn decisions_by(&self, source: &str) -> usize {
        self.envelopes()
            .await
            .iter()
            .filter(|envelope| envelope.source == source)
            .count()
    }

    fn orchestrator(&mut self, source: &str) -> &mut Service {
        let by = |service: &Service| source.ends_with(&format!("-{}", service.process.pid()));
        let at = self
            .orchestrators
            .iter()
            .position(by)
            .expect("the leader is one of ours");
        &mut self.orchestrators[at]
    }

    pub(crate) fn pause_leader(&mut self, source: &str) {
        self.orchestrator(source).process.pause();
    }

    pub(crate) fn resume_leader(&mut self, source: &str) {
        self.orchestrator(source).process.resume();
    }

    fn spool(&self, which: usize) -> PathBuf {
        self.ingests[which].dir.join("state")
    }

    pub(crate) async fn copy_spool(&mut self, which: usize) -> PathBuf {
        self.ingests[which].process.kill9().await;
        let copy = self.ingests[which].dir.join("copy");
        copy_folder(&self.spool(which), &copy);
        self.ingests[which].kill9_and_restart().await;
        self.ingests[which].ready().await;
        copy
    }

    pub(crate) async fn restore_spool(&mut self, which: usize, copy: PathBuf) {
        self.ingests[which].process.kill9().await;
        let spool = self.spool(which);
        std::fs::remove_dir_all(&spool).expect("the newer spool goes");
        std::fs::rename(copy, spool).expect("the older one is put back");
        self.ingests[which].kill9_and_restart().await;
        self.ingests[which].ready().await;
    }

    pub(crate) fn ingest_log(&self, which: usize) -> String {
        self.ingests[which].process.stderr()
    }
}

pub(crate) async fn connect(url: &str) -> Bus {
    Bus::connect(&Options::new(url, "test")).await.expect("the hub answers")
}

fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a folder");
    for entry in std::fs::read_dir(from).expect("the folder can be read") {
        let (entry, to) = (entry.expect("an entry"), to);
        let kind = entry.file_type().expect("its kind");
        if kind.is_dir() {
            copy_folder(&entry.path(), &to.join(entry.file_name()));
        } else if kind.is_file() {
            std::fs::copy(entry.path(), to.join(entry.file_name())).expect("a file is copied");
        }
    }
}
