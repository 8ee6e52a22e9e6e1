//! Counters, gauges and durations, read by Prometheus from `/metrics` and pushed over OTLP where that is on.
//!
//! Names are `muster_<part>_<what>_<unit>[_total]` and are exported as written. Labels come from closed sets (outcome,
//! family, channel), never from ids: every label value is a series that lives as long as the process. There is no global
//! registry; each service has its own, so that three services in one process do not add up.

use std::sync::Arc;
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Meter, MeterProvider};
use opentelemetry_otlp::MetricExporter;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use prometheus::{Registry, TextEncoder};

/// Seconds. The SDK's own buckets are meant for milliseconds; these reach from a hook's answer to a human's.
const BUCKETS: [f64; 16] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0,
];

pub type Labels<'a> = &'a [(&'static str, &'a str)];

/// The instruments of one service; clones share them.
#[derive(Clone)]
pub struct Metrics {
    meter: Meter,
    registry: Registry,
    provider: SdkMeterProvider,
}

impl Metrics {
    /// Instruments that are only scraped.
    pub fn new(service: &'static str) -> Self {
        Self::build(service, Resource::builder_empty().build(), None)
    }

    pub(crate) fn build(service: &'static str, resource: Resource, push: Option<MetricExporter>) -> Self {
        let registry = Registry::new();
        let mut provider = SdkMeterProvider::builder().with_resource(resource);
        match opentelemetry_prometheus::exporter()
            .with_registry(registry.clone())
            .without_units()
            .without_counter_suffixes()
            .without_target_info()
            .scope_info_enabled(false)
            .build()
        {
            Ok(reader) => provider = provider.with_reader(reader),
            Err(error) => {
                tracing::warn!(%error, "no metrics to scrape: the Prometheus reader was not built")
            }
        }
        if let Some(exporter) = push {
            provider = provider.with_periodic_exporter(exporter);
        }
        let provider = provider.build();
        Self {
            meter: provider.meter(service),
            registry,
            provider,
        }
    }

    pub(crate) fn provider(&self) -> SdkMeterProvider {
        self.provider.clone()
    }

    pub fn counter(&self, name: &'static str, help: &'static str, labels: Labels<'_>) -> Counter {
        Counter::started(
            self.meter.u64_counter(name).with_description(help).build(),
            bind(&[], labels),
        )
    }

    pub fn gauge(&self, name: &'static str, help: &'static str, labels: Labels<'_>) -> Gauge {
        Gauge(
            self.meter.f64_gauge(name).with_description(help).build(),
            bind(&[], labels),
        )
    }

    /// A distribution of durations in seconds.
    pub fn histogram(&self, name: &'static str, help: &'static str, labels: Labels<'_>) -> Histogram {
        let instrument = self
            .meter
            .f64_histogram(name)
            .with_description(help)
            .with_unit("s")
            .with_boundaries(BUCKETS.to_vec());
        Histogram(instrument.build(), bind(&[], labels))
    }

    /// Everything in the Prometheus text format.
    pub fn render(&self) -> String {
        TextEncoder::new()
            .encode_to_string(&self.registry.gather())
            .unwrap_or_else(|error| {
                tracing::warn!(%error, "metrics were not rendered");
                String::new()
            })
    }
}

#[derive(Clone)]
pub struct Counter(opentelemetry::metrics::Counter<u64>, Arc<[KeyValue]>);

impl Counter {
    /// Shows the series with zero, so that a rate sees its first increment.
    fn started(instrument: opentelemetry::metrics::Counter<u64>, labels: Arc<[KeyValue]>) -> Self {
        instrument.add(0, &labels);
        Self(instrument, labels)
    }

    pub fn add(&self, count: u64) {
        self.0.add(count, &self.1);
    }

    /// The same counter under further labels.
    pub fn with(&self, labels: Labels<'_>) -> Self {
        Self::started(self.0.clone(), bind(&self.1, labels))
    }
}

#[derive(Clone)]
pub struct Gauge(opentelemetry::metrics::Gauge<f64>, Arc<[KeyValue]>);

impl Gauge {
    pub fn set(&self, value: f64) {
        self.0.record(value, &self.1);
    }

    /// The same gauge under further labels.
    pub fn with(&self, labels: Labels<'_>) -> Self {
        Self(self.0.clone(), bind(&self.1, labels))
    }
}

#[derive(Clone)]
pub struct Histogram(opentelemetry::metrics::Histogram<f64>, Arc<[KeyValue]>);

impl Histogram {
    pub fn observe(&self, took: Duration) {
        self.0.record(took.as_secs_f64(), &self.1);
    }

    /// The same histogram under further labels.
    pub fn with(&self, labels: Labels<'_>) -> Self {
        Self(self.0.clone(), bind(&self.1, labels))
    }
}

fn bind(already: &[KeyValue], labels: Labels<'_>) -> Arc<[KeyValue]> {
    already
        .iter()
        .cloned()
        .chain(
            labels
                .iter()
                .map(|(name, value)| KeyValue::new(*name, (*value).to_owned())),
        )
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instruments_are_rendered_under_the_names_they_were_given() {
        let metrics = Metrics::new("muster-test");
        let events = metrics.counter("muster_test_events_total", "events seen", &[("outcome", "ok")]);
        events.add(2);
        events.add(1);
        metrics
            .counter("muster_test_events_total", "events seen", &[("outcome", "ok")])
            .add(1);
        metrics
            .gauge("muster_test_queue_depth", "waiting", &[])
            .with(&[("stream", "EVENTS")])
            .set(7.0);
        metrics
            .histogram("muster_test_wait_seconds", "waited", &[])
            .observe(Duration::from_millis(20));

        let text = metrics.render();
        for line in [
            "# HELP muster_test_events_total events seen",
            "# TYPE muster_test_events_total counter",
            "muster_test_events_total{outcome=\"ok\"} 4",
            "muster_test_queue_depth{stream=\"EVENTS\"} 7",
            "muster_test_wait_seconds_bucket{le=\"0.01\"} 0",
            "muster_test_wait_seconds_bucket{le=\"0.025\"} 1",
            "muster_test_wait_seconds_sum 0.02",
        ] {
            assert!(
                text.lines().any(|found| found == line),
                "{line} is missing from:\n{text}"
            );
        }
    }

    #[test]
    fn a_counter_is_visible_before_it_counts() {
        let metrics = Metrics::new("muster-test");
        metrics.counter("muster_test_lost_total", "never", &[]);
        assert!(metrics.render().contains("muster_test_lost_total 0"));
    }

    #[test]
    fn two_services_in_one_process_do_not_share_series() {
        let (ingest, notifier) = (Metrics::new("muster-ingest"), Metrics::new("muster-notifier"));
        ingest.counter("muster_ingest_events_total", "events", &[]).add(1);
        assert!(!notifier.render().contains("muster_ingest_events_total"));
    }
}
