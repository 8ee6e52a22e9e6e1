//! A real `nats-server`, one for each test.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use muster_bus::server::{Server, ServerConfig, Supply, find};
use tempfile::TempDir;

use crate::process::{free_port, until_stopped};

/// A server on a store and ports of its own, synced always; killed when dropped, its log shown when the test panics.
#[derive(Debug)]
pub struct TestServer {
    server: Server,
    /// Dropped after the server, which writes to it.
    _dir: TempDir,
}

impl TestServer {
    /// Starts a server with the configuration that deployments use.
    ///
    /// # Panics
    /// When there is no server to be had, or it does not start.
    pub async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    /// Starts a server with a configuration changed by `adjust`, for example other limits, or accounts in `extra`.
    ///
    /// # Panics
    /// As [`TestServer::start`].
    pub async fn start_with(adjust: impl FnOnce(&mut ServerConfig)) -> Self {
        let dir = tempfile::Builder::new()
            .prefix("muster-nats-")
            .tempdir()
            .expect("a temporary folder can be made");
        let mut config = ServerConfig::new(dir.path());
        config.max_file_bytes = 4 << 30;
        config.ready_within = Duration::from_secs(30);
        // Of its own choice, the server would take ports that somebody else may get while it is down.
        config.listen.set_port(free_port());
        config.monitor_port = free_port();
        adjust(&mut config);
        let server = Server::start(&server_bin(), config).await.unwrap_or_else(give_up);
        Self { server, _dir: dir }
    }

    /// Where clients connect.
    #[must_use]
    pub fn client_url(&self) -> String {
        self.server.client_url()
    }

    /// Where the server is monitored.
    #[must_use]
    pub fn monitor_url(&self) -> String {
        self.server.monitor_url()
    }

    /// Process id; another one after a restart.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.server.pid()
    }

    /// What it runs with.
    #[must_use]
    pub fn config(&self) -> &ServerConfig {
        self.server.config()
    }

    /// Ends the server in good order, if it still runs, and starts it on the same ports and store.
    ///
    /// # Panics
    /// When it does not come back.
    pub async fn restart(&mut self) {
        self.server.restart().await.unwrap_or_else(give_up);
    }

    /// Ends the server in good order; [`TestServer::restart`] brings it back.
    ///
    /// # Panics
    /// When it cannot be signaled.
    pub async fn stop(&mut self) {
        self.server
            .stop(Duration::from_secs(10))
            .await
            .expect("an own child can be signaled");
    }

    /// Kills the server as a crash would, and waits until it is gone.
    ///
    /// # Panics
    /// As [`TestServer::stop`].
    pub async fn kill9(&mut self) {
        self.server.kill9().expect("an own child can be signaled");
        self.server.exited().await;
    }

    /// Freezes the server: connections stay open, nothing answers.
    ///
    /// # Panics
    /// As [`TestServer::stop`].
    pub fn pause(&mut self) {
        self.server.pause().expect("an own child can be signaled");
        until_stopped(self.server.pid());
    }

    /// Lets a paused server go on.
    ///
    /// # Panics
    /// As [`TestServer::stop`].
    pub fn resume(&mut self) {
        self.server.resume().expect("an own child can be signaled");
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        if std::thread::panicking() {
            show_log(&self.server.config().log_file());
        }
        self.server.kill9().ok();
    }
}

#[expect(clippy::print_stderr, reason = "the test harness shows it beside the panic")]
fn show_log(path: &Path) {
    let log = fs::read(path).unwrap_or_default();
    eprintln!("--- {}\n{}", path.display(), String::from_utf8_lossy(&log));
}

/// Panics with all that is known, in place of the outermost sentence.
fn give_up<T>(error: impl Into<anyhow::Error>) -> T {
    panic!("{:#}", error.into())
}

/// The server to test with: `NATS_SERVER_BIN`, `PATH`, muster's cache, or a download of the pinned one.
///
/// # Panics
/// When there is none; the message says what to do.
#[must_use]
pub fn server_bin() -> PathBuf {
    static FOUND: OnceLock<PathBuf> = OnceLock::new();
    let search = || find(&Supply::from_vars(None, |name| std::env::var_os(name))).unwrap_or_else(give_up);
    FOUND.get_or_init(search).clone()
}
