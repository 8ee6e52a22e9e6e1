//! What the loop counts.

use crate::control::Control;
use muster_telemetry::Metrics;
use muster_telemetry::metrics::{Counter, Gauge};

/// Handles of the loop's own metrics.
pub(crate) struct Meters {
    /// Events folded.
    pub(crate) folded: Counter,
    /// Events passed over.
    pub(crate) unreadable: Counter,
    position: Gauge,
    behind: Gauge,
    leading: Gauge,
    sessions: Gauge,
    waiting: Gauge,
}

impl Meters {
    pub(crate) fn new(metrics: &Metrics) -> Self {
        let counter = |name, help| metrics.counter(name, help, &[]);
        let gauge = |name, help| metrics.gauge(name, help, &[]);
        Self {
            folded: counter("muster_orchestrator_events_folded_total", "Events folded"),
            unreadable: counter(
                "muster_orchestrator_events_unreadable_total",
                "Events that could not be read",
            ),
            position: gauge("muster_orchestrator_log_position", "Last log sequence folded"),
            behind: gauge("muster_orchestrator_log_behind", "Events of the log not folded yet"),
            leading: gauge("muster_orchestrator_leading", "1 while this instance leads"),
            sessions: gauge("muster_orchestrator_sessions", "Sessions in the state"),
            waiting: gauge(
                "muster_orchestrator_decisions_waiting",
                "Decisions that wait to be written",
            ),
        }
    }

    /// Sets the gauges: numbers far below those that a double cannot hold.
    pub(crate) fn look(&self, control: &Control, behind: u64) {
        let fleet = control.fleet();
        self.position.set(fleet.watermark() as f64);
        self.behind.set(behind as f64);
        self.leading.set(f64::from(u8::from(control.is_leading())));
        self.sessions.set(fleet.sessions().len() as f64);
        self.waiting.set(control.waiting() as f64);
    }
}
