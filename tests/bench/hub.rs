//! The real processes: a hub that syncs before it acknowledges, and whatever services a row measures.

use async_nats::Client;
use async_nats::jetstream::{self, Context};
use muster_bus::{Bus, Options, migrate};
use muster_testkit::eventually;
use muster_testkit::nats::TestServer;
use muster_testkit::process::Spawned;
use muster_tests::Service;
use muster_wire::topology::{self, Sizing};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use tempfile::TempDir;

/// The host every observation is from.
pub(crate) const HOST: &str = "bench";
/// The log and its copies that floors are measured on.
const DISK_BYTES: u64 = 32 << 30;
/// Long enough for a backlog on a busy machine.
const WITHIN: Duration = Duration::from_secs(120);

pub(crate) struct Hub {
    pub(crate) server: TestServer,
    pub(crate) client: Client,
    pub(crate) jetstream: Context,
    root: TempDir,
}

impl Hub {
    pub(crate) async fn start() -> Self {
        let server = TestServer::start_with(|config| config.max_file_bytes = DISK_BYTES).await;
        let url = server.client_url();
        let bus = Bus::connect(&Options::new(&url, "bench"))
            .await
            .expect("the hub answers");
        migrate::migrate(&bus, &Sizing::default(), migrate::Shrink::Refuse)
            .await
            .expect("the hub is prepared");
        let client = async_nats::connect(&url).await.expect("the hub answers");
        let jetstream = jetstream::new(client.clone());
        Self {
            server,
            client,
            jetstream,
            root: tempfile::tempdir().expect("a folder"),
        }
    }

    pub(crate) fn root(&self) -> &Path {
        self.root.path()
    }

    pub(crate) async fn service(&self, binary: &'static str, own: &[(&str, String)]) -> Service {
        let mut service = Service::start(binary, binary, self.root(), &self.server.client_url(), own);
        service.ready().await;
        service
    }

    pub(crate) async fn ingest(&self) -> Service {
        self.service("muster-ingest", &[("HOST__NAME", HOST.to_owned())]).await
    }

    /// Last sequence of the log.
    pub(crate) async fn last(&self) -> u64 {
        self.jetstream
            .get_stream(topology::EVENTS)
            .await
            .expect("the log")
            .cached_info()
            .state
            .last_sequence
    }

    /// Waits until the log holds so many; seconds since 1970 when the hub stored the last of them.
    pub(crate) async fn reaches(&self, seq: u64) -> f64 {
        eventually(WITHIN, async || {
            let stream = self
                .jetstream
                .get_stream(topology::EVENTS)
                .await
                .map_err(|error| error.to_string())?;
            let last = stream.cached_info().state.last_sequence;
            if last >= seq {
                Ok(())
            } else {
                Err(format!("{last} of {seq}"))
            }
        })
        .await;
        self.stored_at(seq).await
    }

    pub(crate) async fn stored_at(&self, seq: u64) -> f64 {
        let stream = self.jetstream.get_stream(topology::EVENTS).await.expect("the log");
        let message = stream.direct_get(seq).await.expect("a stored message");
        message.time.unix_timestamp_nanos() as f64 / 1e9
    }
}

/// Where an ingest listens for hooks.
pub(crate) fn socket(ingest: &Service) -> PathBuf {
    ingest.dir.join("run/muster/ingest.sock")
}

/// The floor's agent, listening.
pub(crate) async fn bare_agent(root: &Path) -> (Spawned, PathBuf) {
    let socket = root.join("bare.sock");
    let mut command = Command::new(bare());
    command.arg("agent").arg(&socket).arg(root.join("bare.spool"));
    let agent = Spawned::start(command);
    eventually(WITHIN, async || socket.exists().then_some(())).await;
    (agent, socket)
}

/// The program of the floors that are whole processes.
pub(crate) const fn bare() -> &'static str {
    env!("CARGO_BIN_EXE_muster-bare")
}
