//! What this service counts.

use crate::optimize::Saved;
use crate::reject::Reject;
use muster_telemetry::Metrics;
use muster_telemetry::metrics::{Counter, Gauge, Histogram};

/// Cheap to clone; clones count together.
#[derive(Clone)]
pub(crate) struct Counts {
    accepted: Counter,
    rejected: Counter,
    redacted: Counter,
    saved_bytes: Counter,
    original_bytes: Counter,
    pub(crate) repeated: Counter,
    pub(crate) published: Counter,
    pub(crate) publish: Histogram,
    pub(crate) spool_bytes: Gauge,
    pub(crate) spool_owed: Gauge,
    pub(crate) watched: Gauge,
}

impl Counts {
    pub(crate) fn new(metrics: &Metrics) -> Self {
        let counter = |name, help| metrics.counter(name, help, &[]);
        Self {
            accepted: counter("muster_ingest_events_accepted_total", "Observations made durable."),
            rejected: counter("muster_ingest_events_rejected_total", "Inputs refused, by reason."),
            repeated: counter(
                "muster_ingest_requests_repeated_total",
                "Requests answered from an earlier one of the same name.",
            ),
            redacted: counter("muster_ingest_secrets_redacted_total", "Secrets taken out of payloads."),
            saved_bytes: counter(
                "muster_ingest_optimizer_saved_bytes_total",
                "Bytes of tool output not stored.",
            ),
            original_bytes: counter(
                "muster_ingest_optimizer_original_bytes_total",
                "Bytes of tool output before it was shortened.",
            ),
            published: counter("muster_ingest_events_published_total", "Observations the hub has."),
            publish: metrics.histogram(
                "muster_ingest_publish_seconds",
                "One publish or batch, until the hub has it.",
                &[],
            ),
            spool_bytes: metrics.gauge("muster_ingest_spool_used_bytes", "Bytes in the spool.", &[]),
            spool_owed: metrics.gauge(
                "muster_ingest_spool_owed_records",
                "Observations the hub does not have yet.",
                &[],
            ),
            watched: metrics.gauge(
                "muster_ingest_watched_processes",
                "Agent processes that are watched.",
                &[],
            ),
        }
    }

    pub(crate) fn accepted(&self, redacted: u64, saved: Option<Saved>) {
        self.accepted.add(1);
        self.redacted.add(redacted);
        if let Some(saved) = saved {
            self.original_bytes.add(saved.original_bytes as u64);
            self.saved_bytes
                .add(saved.original_bytes.saturating_sub(saved.kept_bytes) as u64);
        }
    }

    pub(crate) fn rejected(&self, reject: &Reject) {
        self.rejected.with(&[("reason", reject.kind())]).add(1);
    }
}
