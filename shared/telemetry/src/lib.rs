//! Traces, metrics and logs, and the only crate that knows OpenTelemetry.
//!
//! The one idea: telemetry is best effort and never in the way. Switched off it costs no thread and no socket; switched
//! on with a collector that is down, slow or misspelled, spans are dropped and the service goes on. Nothing here returns
//! an error to a service, and nothing is kept in process-wide state except the subscriber that `tracing` itself keeps.
//!
//! Logs go to stderr, because stdout belongs to what a command prints for programs.

pub mod fields;
pub mod mask;
pub mod metrics;
pub mod propagation;
pub mod spans;

mod config;
mod export;
mod init;
mod json;

pub use config::{Config, LogFormat, Otlp, Protocol};
pub use init::{Guard, init};
pub use metrics::{Counter, Gauge, Histogram, Metrics};
