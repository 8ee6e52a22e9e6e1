//! The event that makes a leader, and the event that a decision becomes.

use muster_bus::Outgoing;
use muster_bus::msg_id::{self, Secret};
use muster_domain::conclusion::Draft;
use muster_domain::ids::{EventId, InstanceId};
use muster_domain::time::Timestamp;
use muster_wire::{Envelope, decision};
use std::time::SystemTime;
use uuid::Uuid;

/// The announcement of an election.
///
/// # Errors
/// Only when it cannot be serialised.
pub(crate) fn announcement(name: &str, instance: InstanceId, term: u64) -> Result<Outgoing, serde_json::Error> {
    let id = EventId::from_uuid(Uuid::now_v7());
    Outgoing::of(&signed(
        name,
        decision::elected(instance, term, crate::VERSION, id, now()),
    ))
}

/// A draft as the event it becomes. Its id follows from what it is and what caused it, so that a successor that decides
/// the same publishes the same message, and the hub keeps one.
///
/// # Errors
/// Only when it cannot be serialised.
pub(crate) fn decided(name: &str, secret: &Secret, draft: &Draft) -> Result<(EventId, Outgoing), serde_json::Error> {
    let id = msg_id::keyed(secret, &draft.identity(), &[]);
    Ok((id, Outgoing::of(&signed(name, decision::envelope(draft, id, now())))?))
}

/// Which orchestrator it was stands in the source, for whoever reads the log after a failover.
fn signed(name: &str, mut envelope: Envelope) -> Envelope {
    envelope.source = format!("{}/{name}", decision::SOURCE);
    envelope.traceparent = muster_telemetry::propagation::traceparent_of_current();
    envelope
}

/// The service's clock, in the core's unit.
pub(crate) fn now() -> Timestamp {
    muster_wire::time::from_system(SystemTime::now())
}
