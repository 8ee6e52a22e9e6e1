//! The `[telemetry]` section of every service.

use std::time::Duration;

use serde::{Deserialize, Deserializer, de};
use tracing_subscriber::EnvFilter;

#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Which log lines are written, in `tracing` filter syntax: `info`, `muster_bus=debug,info`.
    #[serde(deserialize_with = "filter")]
    pub log: String,
    pub log_format: LogFormat,
    /// `deployment.environment.name` on everything exported.
    pub environment: String,
    pub otlp: Otlp,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    Text,
    Json,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Otlp {
    pub enabled: bool,
    /// Base address of the collector: `http://host:4318` for http, `http://host:4317` for grpc.
    pub endpoint: String,
    pub protocol: Protocol,
    /// How long one export may take before it counts as failed.
    #[serde(with = "humantime_serde")]
    pub timeout: Duration,
    pub traces: bool,
    pub metrics: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    Http,
    Grpc,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            log: "info".to_owned(),
            log_format: LogFormat::Text,
            environment: "local".to_owned(),
            otlp: Otlp::default(),
        }
    }
}

impl Default for Otlp {
    fn default() -> Self {
        Self {
            enabled: false,
            endpoint: "http://127.0.0.1:4318".to_owned(),
            protocol: Protocol::Http,
            // Shorter than the drain of a service, so that one dead export cannot use it up.
            timeout: Duration::from_secs(3),
            traces: true,
            metrics: true,
        }
    }
}

/// Refuses a filter that would not parse while the source of the value is still known.
fn filter<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    let text = String::deserialize(from)?;
    EnvFilter::try_new(&text).map_err(|error| de::Error::custom(format_args!("not a log filter: {error}")))?;
    Ok(text)
}
