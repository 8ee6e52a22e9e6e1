//! Exporters to a collector.
//!
//! Both transports are compiled in and chosen by configuration. The HTTP client must be the blocking one: batches are
//! sent from threads of the SDK, where an async client finds no reactor and panics, and telemetry ends without a word.

use opentelemetry_otlp::{ExporterBuildError, MetricExporter, Protocol as Encoding, SpanExporter, WithExportConfig};

use crate::config::{Otlp, Protocol};

pub(crate) fn spans(config: &Otlp) -> Result<SpanExporter, ExporterBuildError> {
    match config.protocol {
        Protocol::Http => SpanExporter::builder()
            .with_http()
            .with_protocol(Encoding::HttpBinary)
            .with_endpoint(signal(config, "traces"))
            .with_timeout(config.timeout)
            .build(),
        Protocol::Grpc => SpanExporter::builder()
            .with_tonic()
            .with_endpoint(&config.endpoint)
            .with_timeout(config.timeout)
            .build(),
    }
}

pub(crate) fn metrics(config: &Otlp) -> Result<MetricExporter, ExporterBuildError> {
    match config.protocol {
        Protocol::Http => MetricExporter::builder()
            .with_http()
            .with_protocol(Encoding::HttpBinary)
            .with_endpoint(signal(config, "metrics"))
            .with_timeout(config.timeout)
            .build(),
        Protocol::Grpc => MetricExporter::builder()
            .with_tonic()
            .with_endpoint(&config.endpoint)
            .with_timeout(config.timeout)
            .build(),
    }
}

/// An endpoint given in code is used as it is; the path of the signal is appended only to one from the environment.
fn signal(config: &Otlp, name: &str) -> String {
    format!("{}/v1/{name}", config.endpoint.trim_end_matches('/'))
}
