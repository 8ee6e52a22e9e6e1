//! The configuration file of a `nats-server`, as a value.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

const MIB: u64 = 1024 * 1024;

/// What a server is started with. Everything it writes is below [`ServerConfig::state_dir`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerConfig {
    /// Name of the server; in a cluster, unique.
    pub name: String,
    /// Where clients connect; port 0 lets the system choose.
    pub listen: SocketAddr,
    /// Monitoring port on loopback; 0 lets the system choose.
    pub monitor_port: u16,
    /// Folder of the store, the configuration, the log, the pid file and the ports file.
    pub state_dir: PathBuf,
    /// Sync to disk before a publish is acknowledged. Off means that up to two minutes of acknowledged messages are
    /// lost with the power.
    pub sync_always: bool,
    /// Upper bound of memory streams, bytes.
    pub max_memory_bytes: u64,
    /// Upper bound of file streams, bytes; keep it below the free disk.
    pub max_file_bytes: u64,
    /// Atomic batches that may be open at once on one stream. The server's own default of 50 counts the whole fleet,
    /// one for each ingest that drains a backlog.
    pub batches_per_stream: u32,
    /// Atomic batches that may be open at once on the server.
    pub batches_total: u32,
    /// Lines added as they are: accounts, users, TLS, a cluster.
    pub extra: String,
    /// How long a start may take. A large store is recovered before the server listens.
    pub ready_within: Duration,
}

impl ServerConfig {
    /// A server on loopback, on ports that the system chooses, that syncs always.
    #[must_use]
    pub fn new(state_dir: impl Into<PathBuf>) -> Self {
        Self {
            name: "muster".to_owned(),
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            monitor_port: 0,
            state_dir: state_dir.into(),
            sync_always: true,
            max_memory_bytes: 256 * MIB,
            max_file_bytes: 20 * 1024 * MIB,
            // Room for a fleet of 100 hosts that all drain after an outage, with two streams each.
            batches_per_stream: 256,
            batches_total: 4096,
            extra: String::new(),
            ready_within: Duration::from_secs(60),
        }
    }

    pub(super) fn file(&self) -> PathBuf {
        self.state_dir.join("nats.conf")
    }

    pub(super) fn pid_file(&self) -> PathBuf {
        self.state_dir.join("nats.pid")
    }

    /// Where the server logs.
    #[must_use]
    pub fn log_file(&self) -> PathBuf {
        self.state_dir.join("nats.log")
    }
}

/// The text of the configuration file.
#[must_use]
pub fn render(config: &ServerConfig) -> String {
    let ServerConfig {
        name,
        listen,
        monitor_port,
        state_dir,
        sync_always,
        max_memory_bytes,
        max_file_bytes,
        batches_per_stream,
        batches_total,
        extra,
        ready_within: _,
    } = config;
    let sync = if *sync_always { "\n  sync_interval: always" } else { "" };
    format!(
        r#"# Written at each start of the server; changes made here are lost.
server_name: {name}
listen: {listen}
http: {http}
pid_file: {pid_file}
ports_file_dir: {dir}
log_file: {log_file}
logfile_size_limit: 16MB
logfile_max_num: 3
jetstream {{
  store_dir: {dir}
  max_memory_store: {max_memory_bytes}
  max_file_store: {max_file_bytes}{sync}
  limits {{ batch {{ max_inflight_per_stream: {batches_per_stream}, max_inflight_total: {batches_total} }} }}
}}
{extra}
"#,
        name = quoted(name),
        listen = address(*listen),
        http = address(SocketAddr::from((Ipv4Addr::LOCALHOST, *monitor_port))),
        pid_file = path(&config.pid_file()),
        log_file = path(&config.log_file()),
        dir = path(state_dir),
    )
}

/// The server writes "any port" as -1.
fn address(addr: SocketAddr) -> String {
    let ip = match addr {
        SocketAddr::V4(v4) => v4.ip().to_string(),
        SocketAddr::V6(v6) => format!("[{}]", v6.ip()),
    };
    match addr.port() {
        0 => quoted(&format!("{ip}:-1")),
        port => quoted(&format!("{ip}:{port}")),
    }
}

fn path(path: &Path) -> String {
    quoted(&path.to_string_lossy())
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unset_port_is_left_to_the_server() {
        let text = render(&ServerConfig::new("/state"));
        assert!(text.contains("listen: \"127.0.0.1:-1\""), "{text}");
        assert!(text.contains("http: \"127.0.0.1:-1\""), "{text}");
        assert!(text.contains("sync_interval: always"), "{text}");
    }

    #[test]
    fn a_path_cannot_end_its_quotes() {
        assert_eq!(path(Path::new("/a \"b\\c")), r#""/a \"b\\c""#);
    }

    #[test]
    fn sync_can_be_left_at_the_servers_default() {
        let config = ServerConfig {
            sync_always: false,
            ..ServerConfig::new("/state")
        };
        assert!(!render(&config).contains("sync_interval"));
    }
}
