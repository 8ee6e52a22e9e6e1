//! Switching telemetry on, and flushing it at the end.

use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider};
use tracing::{Subscriber, dispatcher};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry};

use crate::config::{Config, LogFormat};
use crate::export;
use crate::json::WithTrace;
use crate::metrics::Metrics;
use crate::spans;

/// What is exported as spans. The exporters' own libraries are silent, or sending a span would make the next one.
const SPANS: &str = "info,hyper=off,h2=off,tonic=off,reqwest=off,tower=off,opentelemetry=off";

/// How long after the deadline the flushing threads are believed to report still.
const SLACK: Duration = Duration::from_millis(200);

/// Keeps telemetry alive; [`Guard::shutdown`] flushes it.
#[must_use]
pub struct Guard {
    metrics: Metrics,
    tracer: Option<SdkTracerProvider>,
}

/// Starts logs, and spans and metrics over OTLP where configured.
///
/// Call it inside the tokio runtime: the gRPC exporter needs one. Where the process has a subscriber already (several
/// services in one process, tests) logs and spans stay with the first, and only the metrics are new.
pub fn init(config: &Config, service: &'static str, version: &'static str, instance: &str) -> Guard {
    let otlp = &config.otlp;
    let first = !dispatcher::has_been_set();
    let traced = (otlp.enabled && otlp.traces && first).then(|| export::spans(otlp));
    let pushed = (otlp.enabled && otlp.metrics).then(|| export::metrics(otlp));

    let resource = resource(config, service, version, instance);
    let (span_exporter, no_spans) = apart(traced);
    let tracer = span_exporter.map(|exporter| {
        SdkTracerProvider::builder()
            .with_resource(resource.clone())
            .with_batch_exporter(exporter)
            .build()
    });
    if first {
        let tracer = tracer.as_ref().map(|provider| provider.tracer(service));
        // Lost only to a subscriber set in the same moment, which then has the logs.
        let _ = subscriber(config, tracer).try_init();
    }
    let (metric_exporter, no_metrics) = apart(pushed);
    for error in no_spans.into_iter().chain(no_metrics) {
        tracing::warn!(%error, endpoint = otlp.endpoint, "telemetry is not exported: check [telemetry.otlp]");
    }
    Guard {
        metrics: Metrics::build(service, resource, metric_exporter),
        tracer,
    }
}

impl Guard {
    pub fn metrics(&self) -> Metrics {
        self.metrics.clone()
    }

    /// Sends what is still queued, for at most `deadline`; what a dead collector did not take is lost.
    ///
    /// Blocks: call it outside the runtime, while the runtime still exists, because the gRPC exporter lives in it.
    pub fn shutdown(self, deadline: Duration) {
        let (report, reports) = mpsc::sync_channel(2);
        let metrics = self.metrics.provider();
        // On threads of their own, so that two dead exports cost one deadline and a hanging one costs no more.
        flush("metrics", report.clone(), move || {
            metrics.shutdown_with_timeout(deadline)
        });
        if let Some(tracer) = self.tracer {
            flush("spans", report, move || tracer.shutdown_with_timeout(deadline));
        } else {
            drop(report);
        }
        let until = Instant::now() + deadline + SLACK;
        // Ends early when every flushing thread has reported and dropped its end.
        while let Ok((what, result)) = reports.recv_timeout(until.saturating_duration_since(Instant::now())) {
            if let Err(error) = result {
                tracing::warn!(%error, what, "telemetry was not flushed");
            }
        }
    }
}

type Report = mpsc::SyncSender<(&'static str, OTelSdkResult)>;

fn flush(what: &'static str, report: Report, shutdown: impl FnOnce() -> OTelSdkResult + Send + 'static) {
    let started = thread::Builder::new().name(format!("flush-{what}")).spawn(move || {
        // Nobody listens any more after the deadline.
        let _ = report.send((what, shutdown()));
    });
    if let Err(error) = started {
        tracing::warn!(%error, what, "telemetry was not flushed");
    }
}

fn apart<T, E>(built: Option<Result<T, E>>) -> (Option<T>, Option<E>) {
    match built {
        Some(Ok(exporter)) => (Some(exporter), None),
        Some(Err(error)) => (None, Some(error)),
        None => (None, None),
    }
}

fn resource(config: &Config, service: &'static str, version: &'static str, instance: &str) -> Resource {
    Resource::builder()
        .with_service_name(service)
        .with_attributes([
            KeyValue::new("service.namespace", "muster"),
            KeyValue::new("service.version", version),
            KeyValue::new("service.instance.id", instance.to_owned()),
            KeyValue::new("deployment.environment.name", config.environment.clone()),
        ])
        .build()
}

fn subscriber(config: &Config, tracer: Option<SdkTracer>) -> impl Subscriber + Send + Sync {
    // A list and not an optional layer: an absent one would want every span, and undo the filters of the others.
    let mut layers = vec![lines(config)];
    if let Some(tracer) = tracer {
        layers.push(
            tracing_opentelemetry::layer()
                .with_tracer(tracer)
                .with_filter(EnvFilter::new(SPANS))
                .boxed(),
        );
    }
    tracing_subscriber::registry().with(layers)
}

fn lines(config: &Config) -> Box<dyn Layer<Registry> + Send + Sync> {
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let filter = EnvFilter::new(format!("{},{}=off", config.log, spans::TARGET));
    match config.log_format {
        LogFormat::Text => lines.with_filter(filter).boxed(),
        LogFormat::Json => lines.json().event_format(WithTrace::new()).with_filter(filter).boxed(),
    }
}

#[cfg(test)]
mod tests;
