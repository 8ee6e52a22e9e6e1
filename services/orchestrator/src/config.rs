//! Configuration: one section a part. `config.default.toml` is its manual.

use muster_domain::fleet;
use muster_runtime::config::HumanDuration;
use muster_runtime::service::Settings;
use muster_runtime::{http, paths};
use serde::Deserialize;
use std::path::PathBuf;

/// Everything that can be configured.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The hub.
    pub nats: Nats,
    /// Health and metrics.
    pub http: http::Config,
    /// Snapshots.
    pub state: State,
    /// Rules of the fold.
    pub fold: Fold,
    /// Answering.
    pub requests: Requests,
    /// Logs, traces, metrics.
    pub telemetry: muster_telemetry::Config,
    /// Draining.
    pub shutdown: Shutdown,
}

/// The hub.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Nats {
    /// Where it is.
    pub url: String,
    /// Credentials; empty for none.
    pub credentials_file: PathBuf,
    /// Certificate authority; empty for the system's.
    pub ca_file: PathBuf,
    /// Monitoring address; empty does not ask.
    pub monitor_url: String,
}

/// Snapshots.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    /// Where; empty for the user's state folder.
    pub dir: PathBuf,
    /// Events between two.
    pub snapshot_events: u64,
    /// Time between two.
    pub snapshot_every: HumanDuration,
    /// Time between two copies to the hub.
    pub hub_copy_every: HumanDuration,
}

/// Rules of the fold.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fold {
    /// Until an unwatched session is unknown.
    pub silence: HumanDuration,
    /// Until an ended session leaves the state.
    pub retention: HumanDuration,
}

/// Answering.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Requests {
    /// At the same time.
    pub at_once: usize,
}

/// Draining.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shutdown {
    /// How long it may take.
    pub grace: HumanDuration,
}

impl Config {
    /// What the fold is told.
    pub(crate) fn fleet(&self) -> fleet::Settings {
        fleet::Settings {
            silence: self.fold.silence.get(),
            retention: self.fold.retention.get(),
        }
    }

    /// Where snapshots are kept.
    pub(crate) fn state_dir(&self) -> anyhow::Result<PathBuf> {
        if self.state.dir.as_os_str().is_empty() {
            return Ok(paths::Dirs::from_env()?.state.join("orchestrator"));
        }
        Ok(self.state.dir.clone())
    }

    /// How to reach the hub.
    pub(crate) fn bus(&self, instance: &str) -> muster_bus::Options {
        let file = |path: &PathBuf| (!path.as_os_str().is_empty()).then(|| path.clone());
        let mut options = muster_bus::Options::new(self.nats.url.clone(), format!("orchestrator/{instance}"));
        options.credentials = file(&self.nats.credentials_file);
        options.ca_file = file(&self.nats.ca_file);
        options
    }
}

impl Settings for Config {
    fn telemetry(&self) -> &muster_telemetry::Config {
        &self.telemetry
    }

    fn http(&self) -> &http::Config {
        &self.http
    }
}
