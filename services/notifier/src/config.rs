//! Configuration: one section a part. `config.default.toml` is its manual.

use muster_runtime::config::{HumanDuration, SecretFile};
use muster_runtime::service::Settings;
use muster_runtime::{drain, http};
use serde::Deserialize;
use std::path::PathBuf;

/// Everything that can be configured.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Programs that are told.
    pub webhooks: Vec<Webhook>,
    /// The hub.
    pub nats: Nats,
    /// The API.
    pub http: http::Config,
    /// The live stream.
    pub stream: Stream,
    /// Observers.
    pub observers: Observers,
    /// Questions to the orchestrator.
    pub requests: Requests,
    /// Attempts and retries.
    pub delivery: Delivery,
    /// Logs, traces, metrics.
    pub telemetry: muster_telemetry::Config,
    /// Draining.
    pub shutdown: drain::Config,
}

/// A program that is told, over HTTP.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Webhook {
    /// What it is called in notices, logs and the ledger.
    pub name: String,
    /// Where it listens.
    pub url: String,
    /// The secret both sides sign with.
    pub secret_file: SecretFile,
    /// Families it is told of.
    #[serde(default = "decisions")]
    pub families: Vec<String>,
    /// Kinds it is told of; empty for all.
    #[serde(default)]
    pub kinds: Vec<String>,
    /// Hosts it is told of; empty for all.
    #[serde(default)]
    pub hosts: Vec<String>,
}

fn decisions() -> Vec<String> {
    vec!["runtime.*".to_owned()]
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
}

/// The live stream.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stream {
    /// Clients at the same time.
    pub clients_max: usize,
    /// Silence after which a client hears that the stream is there.
    pub keep_alive: HumanDuration,
    /// For how long a client may take nothing.
    pub write_timeout: HumanDuration,
    /// Events kept for clients that are a little late.
    pub ring_events: usize,
}

/// Observers.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Observers {
    /// Registered at the same time.
    pub max: usize,
    /// Events that may wait for all of them together.
    pub waiting_max: u64,
    /// Between writes of their numbers.
    pub save_every: HumanDuration,
    /// For how long nothing may be heard of whoever serves an attachment.
    pub attachment_lapses: HumanDuration,
}

/// Questions to the orchestrator.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Requests {
    /// Who asks.
    pub caller: String,
    /// How long an answer may take.
    pub timeout: HumanDuration,
}

/// Attempts and retries.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Delivery {
    /// One attempt, from connecting to the end of the answer's head.
    pub timeout: HumanDuration,
    /// Pauses after failed attempts.
    pub retry: Vec<HumanDuration>,
    /// How far pauses differ, as a share of them.
    pub jitter: f64,
    /// Deliveries that one webhook may have waiting.
    pub backlog_max: usize,
    /// How long it is known what was delivered.
    pub delivered_for: HumanDuration,
    /// How long what was parked is kept.
    pub parked_for: HumanDuration,
}

impl Config {
    /// How to reach the hub.
    pub(crate) fn bus(&self, instance: &str) -> muster_bus::Options {
        let file = |path: &PathBuf| (!path.as_os_str().is_empty()).then(|| path.clone());
        muster_bus::Options {
            credentials: file(&self.nats.credentials_file),
            ca_file: file(&self.nats.ca_file),
            ..muster_bus::Options::new(self.nats.url.clone(), format!("notifier/{instance}"))
        }
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
