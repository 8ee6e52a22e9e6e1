//! The life of one server process.

use std::fs::{self, OpenOptions};
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};

use super::config::{ServerConfig, render};
use super::holder::{Holder, port_holder};
use super::running::{Running, is_ours, loopback, ports_files, read_ports};

/// A server that takes part in nothing but this process's care. Dropping it leaves the server running: the log belongs
/// to the machine, not to whoever started the server.
#[derive(Debug)]
pub struct Server {
    bin: PathBuf,
    config: ServerConfig,
    running: Running,
    /// None when the server was adopted: it is no child of this process then.
    child: Option<Child>,
}

impl Server {
    /// Starts a server and waits until it listens.
    ///
    /// # Errors
    /// [`StartError::PortHeld`] names who is in the way; [`StartError::Exited`] and [`StartError::NotReady`] carry the
    /// end of the server's log.
    pub async fn start(bin: &Path, mut config: ServerConfig) -> Result<Self, StartError> {
        let io = |path: &Path| {
            let path = path.to_owned();
            move |source| StartError::Io { path, source }
        };
        fs::create_dir_all(&config.state_dir).map_err(io(&config.state_dir))?;
        config.state_dir = config.state_dir.canonicalize().map_err(io(&config.state_dir))?;
        for addr in [config.listen, loopback(config.monitor_port)] {
            ensure_free(addr)?;
        }
        for stale in ports_files(&config.state_dir) {
            fs::remove_file(&stale).map_err(io(&stale))?;
        }
        fs::write(config.file(), render(&config)).map_err(io(&config.file()))?;
        let log_path = config.log_file();
        let log = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&log_path)
            .map_err(io(&log_path))?;
        let mut child = Command::new(bin)
            .arg("--config")
            .arg(config.file())
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(log.try_clone().map_err(io(&log_path))?)
            .stderr(log)
            .spawn()
            .map_err(io(bin))?;
        match until_ready(&mut child, &config).await {
            Ok(running) => {
                // A restart keeps the ports that clients already know.
                config.listen.set_port(running.client_port);
                config.monitor_port = running.monitor_port;
                Ok(Self {
                    bin: bin.to_owned(),
                    config,
                    running,
                    child: Some(child),
                })
            }
            Err(error) => {
                // It may have exited by itself, which is then what the error says.
                child.kill().await.ok();
                Err(error)
            }
        }
    }

    /// Adopts the server that already runs on this state folder, or starts one. One that runs with another configuration
    /// is stopped first.
    ///
    /// Whoever calls holds the state folder's lock: two callers would share one server without knowing.
    ///
    /// # Errors
    /// As [`Server::start`].
    pub async fn adopt_or_start(bin: &Path, mut config: ServerConfig) -> Result<Self, StartError> {
        if let Ok(state_dir) = config.state_dir.canonicalize() {
            config.state_dir = state_dir;
        }
        let Some(running) = Running::find(&config) else {
            return Self::start(bin, config).await;
        };
        let mut fixed = config.clone();
        fixed.listen.set_port(running.client_port);
        fixed.monitor_port = running.monitor_port;
        let written = fs::read_to_string(config.file()).unwrap_or_default();
        let adopted = Self {
            bin: bin.to_owned(),
            config: fixed,
            running,
            child: None,
        };
        if written == render(&config) || written == render(&adopted.config) {
            return Ok(adopted);
        }
        let mut outdated = adopted;
        let path = outdated.config.pid_file();
        outdated
            .stop(Duration::from_secs(10))
            .await
            .map_err(|source| StartError::Io { path, source })?;
        Self::start(bin, config).await
    }

    /// Whether somebody else had started it.
    #[must_use]
    pub fn is_adopted(&self) -> bool {
        self.child.is_none()
    }

    /// Process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.running.pid
    }

    /// Where clients on this machine connect.
    #[must_use]
    pub fn client_url(&self) -> String {
        let mut addr = self.config.listen;
        if addr.ip().is_unspecified() {
            addr = loopback(addr.port());
        }
        format!("nats://{addr}")
    }

    /// Where [`super::sync_always`] and others ask.
    #[must_use]
    pub fn monitor_url(&self) -> String {
        format!("http://{}", loopback(self.config.monitor_port))
    }

    /// What it runs with; the ports are the real ones.
    #[must_use]
    pub fn config(&self) -> &ServerConfig {
        &self.config
    }

    /// Whether the process exists and is the one that was started.
    pub fn is_running(&mut self) -> bool {
        match &mut self.child {
            Some(child) => matches!(child.try_wait(), Ok(None)),
            None => is_ours(self.running.pid, &self.config),
        }
    }

    /// Waits until the process has ended, for whatever reason.
    pub async fn exited(&mut self) {
        match &mut self.child {
            // An error means that there is nothing to wait for.
            Some(child) => drop(child.wait().await),
            None => {
                while self.is_running() {
                    sleep(Duration::from_millis(50)).await;
                }
            }
        }
    }

    /// Ends it in good order; after `grace`, by force.
    ///
    /// # Errors
    /// When the system refuses the signal, for example to another user's process.
    pub async fn stop(&mut self, grace: Duration) -> io::Result<()> {
        self.signal(Signal::TERM)?;
        // A stopped process would only see the signal once it is continued.
        self.signal(Signal::CONT)?;
        if timeout(grace, self.exited()).await.is_err() {
            self.kill9()?;
            self.exited().await;
        }
        Ok(())
    }

    /// Kills it as a crash would.
    ///
    /// # Errors
    /// As [`Server::stop`].
    pub fn kill9(&mut self) -> io::Result<()> {
        self.signal(Signal::KILL)
    }

    /// Freezes it: connections stay open and nothing answers.
    ///
    /// # Errors
    /// As [`Server::stop`].
    pub fn pause(&mut self) -> io::Result<()> {
        self.signal(Signal::STOP)
    }

    /// Ends [`Server::pause`].
    ///
    /// # Errors
    /// As [`Server::stop`].
    pub fn resume(&mut self) -> io::Result<()> {
        self.signal(Signal::CONT)
    }

    /// Starts it again on the same ports and store, after it ended or was killed; one that still runs is stopped first.
    ///
    /// # Errors
    /// As [`Server::start`].
    pub async fn restart(&mut self) -> Result<(), StartError> {
        let path = self.config.pid_file();
        self.stop(Duration::from_secs(10))
            .await
            .map_err(|source| StartError::Io { path, source })?;
        *self = Self::start(&self.bin, self.config.clone()).await?;
        Ok(())
    }

    fn signal(&mut self, signal: Signal) -> io::Result<()> {
        let pid = i32::try_from(self.running.pid).ok().and_then(Pid::from_raw);
        match pid {
            // The check keeps a pid that was used again from being hit.
            Some(pid) if self.is_running() => Ok(kill_process(pid, signal)?),
            _ => Ok(()),
        }
    }
}

/// Asks before the server does, because its own refusal ends up in a log and names nobody.
fn ensure_free(addr: SocketAddr) -> Result<(), StartError> {
    if addr.port() == 0 {
        return Ok(());
    }
    match TcpListener::bind(addr) {
        Ok(_free_again) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => Err(StartError::PortHeld {
            addr,
            holder: port_holder(addr.port()),
        }),
        Err(source) => Err(StartError::Address { addr, source }),
    }
}

async fn until_ready(child: &mut Child, config: &ServerConfig) -> Result<Running, StartError> {
    let asked = Instant::now();
    // A start takes about 20 ms; the file is the only sign the server gives.
    let poll = Duration::from_millis(2);
    while asked.elapsed() < config.ready_within {
        if let Some(running) = child.id().and_then(|pid| read_ports(&config.state_dir, pid)) {
            return Ok(running);
        }
        if let Ok(Some(status)) = child.try_wait() {
            return Err(StartError::Exited {
                status,
                log: log_tail(config),
            });
        }
        sleep(poll).await;
    }
    Err(StartError::NotReady {
        waited: config.ready_within,
        log: log_tail(config),
    })
}

fn log_tail(config: &ServerConfig) -> String {
    let log = fs::read(config.log_file()).unwrap_or_default();
    let log = String::from_utf8_lossy(&log);
    let lines: Vec<&str> = log.lines().collect();
    lines
        .get(lines.len().saturating_sub(10)..)
        .unwrap_or_default()
        .join("\n")
}

/// Why a server did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Somebody listens where the server should.
    #[error(
        "{addr} is held by {}; stop it, or choose another port",
        holder.as_ref().map_or_else(|| "another process".to_owned(), ToString::to_string)
    )]
    PortHeld {
        /// The wanted address.
        addr: SocketAddr,
        /// Who holds it, when that can be seen.
        holder: Option<Holder>,
    },
    /// The address is not this machine's, or not allowed.
    #[error("{addr} cannot be listened on; choose another address")]
    Address {
        /// The wanted address.
        addr: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// A file or the program itself cannot be used.
    #[error("{} cannot be used to run nats-server", path.display())]
    Io {
        /// Which one.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The server gave up.
    #[error("nats-server ended while starting ({status}); the end of its log:\n{log}")]
    Exited {
        /// How it ended.
        status: ExitStatus,
        /// End of its log.
        log: String,
    },
    /// The server took too long and was ended.
    #[error("nats-server was not ready within {waited:?}; the end of its log:\n{log}")]
    NotReady {
        /// How long it was waited for.
        waited: Duration,
        /// End of its log.
        log: String,
    },
}
