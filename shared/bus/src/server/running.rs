//! Recognizing a server that was started earlier, from what it left in its state folder.
//!
//! A pid alone proves nothing, since pids are used again. The proof is the command line of the live process: it carries
//! the path of the configuration file in this very state folder, which no other process has a reason to do.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

use serde::Deserialize;

use super::config::ServerConfig;
use super::holder;

/// A live server of this state folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Running {
    /// Its process id.
    pub pid: u32,
    /// Where clients connect.
    pub client_port: u16,
    /// Where it is monitored, on loopback.
    pub monitor_port: u16,
}

impl Running {
    /// The server that runs on the state folder of `config`, whoever started it. `None` when none does, and off Linux.
    #[must_use]
    pub fn find(config: &ServerConfig) -> Option<Self> {
        let pid = fs::read_to_string(config.pid_file()).ok()?.trim().parse().ok()?;
        if !is_ours(pid, config) {
            return None;
        }
        read_ports(&config.state_dir, pid)
    }
}

/// Whether `pid` is a live server that was started with this configuration file.
pub(super) fn is_ours(pid: u32, config: &ServerConfig) -> bool {
    let file = config.file();
    !is_zombie(pid) && holder::command(pid).iter().any(|arg| Path::new(arg) == file)
}

/// A killed process whose parent has not collected it keeps its pid and runs no more.
fn is_zombie(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(')')
        .is_some_and(|(_, rest)| rest.trim_start().starts_with('Z'))
}

/// Reads the file that the server writes once it listens. `None` as long as it is not there in full.
pub(super) fn read_ports(dir: &Path, pid: u32) -> Option<Running> {
    let suffix = format!("_{pid}.ports");
    let file = ports_files(dir)
        .into_iter()
        .find(|path| path.to_string_lossy().ends_with(&suffix))?;
    let ports: Ports = serde_json::from_slice(&fs::read(file).ok()?).ok()?;
    Some(Running {
        pid,
        client_port: port(&ports.nats)?,
        monitor_port: port(&ports.monitoring)?,
    })
}

/// The ports files in `dir`; killed servers leave theirs behind.
pub(super) fn ports_files(dir: &Path) -> Vec<std::path::PathBuf> {
    let entries = fs::read_dir(dir)
        .into_iter()
        .flatten()
        .filter_map(Result::ok)
        .map(|entry| entry.path());
    entries
        .filter(|path| path.extension() == Some("ports".as_ref()))
        .collect()
}

pub(super) fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

#[derive(Deserialize)]
struct Ports {
    nats: Vec<String>,
    monitoring: Vec<String>,
}

fn port(urls: &[String]) -> Option<u16> {
    urls.first()?.rsplit_once(':')?.1.parse().ok()
}
