//! Streams, buckets and consumers, as data.
//!
//! One owner creates and updates them (`muster migrate`, which `up` runs too); services compare what they find with what
//! stands here and refuse to start on drift, so that nobody changes retention by being started.

use crate::limits;
use crate::subject::Filter;
use muster_domain::family::Family;
use muster_domain::names::HostName;
use std::time::Duration;

/// What an operator chooses about the hub.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sizing {
    /// Copies of everything: 1, or 3 on a cluster.
    pub replicas: usize,
    /// Bytes of events at most; the oldest go first.
    pub events_bytes_max: i64,
    /// Age of events at most.
    pub events_age_max: Duration,
    /// Bytes of printed lines at most.
    pub transcript_bytes_max: i64,
    /// Age of printed lines at most.
    pub transcript_age_max: Duration,
    /// For how long the hub recognises a message id it has seen.
    pub duplicate_window: Duration,
}

impl Default for Sizing {
    fn default() -> Self {
        Self {
            replicas: 1,
            events_bytes_max: 4 << 30,
            events_age_max: Duration::from_hours(14 * 24),
            transcript_bytes_max: 1 << 30,
            transcript_age_max: Duration::from_hours(3 * 24),
            duplicate_window: Duration::from_mins(2),
        }
    }
}

/// A stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stream {
    /// Its name.
    pub name: &'static str,
    /// What it is for, shown by NATS tools.
    pub description: &'static str,
    /// What it captures.
    pub subjects: Vec<String>,
    /// Copies.
    pub replicas: usize,
    /// Bytes at most.
    pub bytes_max: i64,
    /// Age at most.
    pub age_max: Duration,
    /// Dedupe window.
    pub duplicate_window: Duration,
    /// Prefix under which what was stored is published again, for observers.
    pub republish_prefix: Option<&'static str>,
}

/// A key-value bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bucket {
    /// Its name.
    pub name: &'static str,
    /// What it is for.
    pub description: &'static str,
    /// Revisions kept a key.
    pub history: i64,
    /// Whether keys may carry a time to live.
    pub expiring_keys: bool,
}

/// An object store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Store {
    /// Its name.
    pub name: &'static str,
    /// What it is for.
    pub description: &'static str,
    /// Age at most; none keeps until deleted.
    pub age_max: Option<Duration>,
}

/// A durable pull consumer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Consumer {
    /// Its name.
    pub name: &'static str,
    /// The stream it reads.
    pub stream: &'static str,
    /// Redelivery after this long without an ack.
    pub ack_wait: Duration,
    /// Deliveries waiting for an ack at most.
    pub ack_pending_max: i64,
}

/// The log: every observation, decision and delivery, in one order.
pub const EVENTS: &str = "EVENTS";
/// Lines that agents print: bulky, kept for a shorter time, and never folded.
pub const TRANSCRIPT: &str = "TRANSCRIPT";

/// What hosts enforce: policy, circuits, holds.
pub const EDGE: Bucket = Bucket {
    name: "edge",
    description: "what hosts enforce: policy, circuits, holds",
    history: 1,
    expiring_keys: false,
};
/// Hosts that are there.
pub const PRESENCE: Bucket = Bucket {
    name: "presence",
    description: "hosts that are there; keys expire",
    history: 1,
    expiring_keys: true,
};
/// The last summary of each session.
pub const SESSIONS: Bucket = Bucket {
    name: "sessions",
    description: "last summary of each session",
    history: 1,
    expiring_keys: false,
};
/// Who leads.
pub const LEASE: Bucket = Bucket {
    name: "lease",
    description: "who leads; the key expires",
    history: 1,
    expiring_keys: true,
};
/// Registered observers.
pub const OBSERVERS: Bucket = Bucket {
    name: "observers",
    description: "registered observers",
    history: 1,
    expiring_keys: true,
};
/// What was delivered to whom.
pub const LEDGER: Bucket = Bucket {
    name: "ledger",
    description: "deliveries claimed and done; keys expire",
    history: 1,
    expiring_keys: true,
};

/// Every bucket.
pub const BUCKETS: &[Bucket] = &[EDGE, PRESENCE, SESSIONS, LEASE, OBSERVERS, LEDGER];

/// Payloads too large for an event, by host and digest. Kept as long as the events that name them.
pub const PAYLOADS: Store = Store {
    name: "payloads",
    description: "payloads too large for an event, by host and digest",
    age_max: Some(Duration::from_hours(14 * 24)),
};
/// Snapshots of the folded state.
pub const SNAPSHOTS: Store = Store {
    name: "snapshots",
    description: "snapshots of the folded state",
    age_max: None,
};

/// Every object store.
pub const STORES: &[Store] = &[PAYLOADS, SNAPSHOTS];

/// The notifier's place in the log.
pub const NOTIFIER: Consumer = Consumer {
    name: "notifier",
    stream: EVENTS,
    // Longer than one delivery attempt may take, so that only a dead notifier's work is handed out again.
    ack_wait: Duration::from_secs(30),
    ack_pending_max: 256,
};

/// Every durable consumer that services share. Hosts' own are made with the host.
pub const CONSUMERS: &[Consumer] = &[NOTIFIER];

/// What one host reads of the log: answers to what its agents asked, and what it shall do.
///
/// A pull consumer of its own, because a host may not make consumers where identities are kept apart; whoever adds the host
/// makes it. The host needs `CONSUMER.INFO` and `CONSUMER.MSG.NEXT` of this name, and the acknowledgements.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostConsumer {
    /// Its name.
    pub name: String,
    /// The stream it reads.
    pub stream: &'static str,
    /// What of it.
    pub filters: Vec<Filter>,
    /// Redelivery after this long without an ack.
    pub ack_wait: Duration,
    /// Deliveries waiting for an ack at most.
    pub ack_pending_max: i64,
    /// It goes by itself when nobody reads it for so long.
    pub inactive_max: Duration,
}

/// The consumer of this host. It begins with what comes after it was made: older answers have nobody waiting for them.
pub fn host_consumer(host: &HostName) -> HostConsumer {
    let about = |family: Family| Filter::all().family(family).host(host.clone());
    HostConsumer {
        name: format!("host-{host}"),
        stream: EVENTS,
        filters: vec![about(Family::ApprovalResolved), about(Family::Effect)],
        // Taking one is a matter of milliseconds; what a killed ingest had in hand shall not wait for long.
        ack_wait: Duration::from_secs(5),
        ack_pending_max: 256,
        // As long as events are kept.
        inactive_max: Duration::from_hours(14 * 24),
    }
}

/// The streams of a hub of this size.
pub fn streams(sizing: &Sizing) -> Vec<Stream> {
    let family = |family: Family| format!("{family}.>");
    vec![
        Stream {
            name: EVENTS,
            description: "every observation, decision and delivery, in one order",
            subjects: vec![
                family(Family::AgentHook),
                family(Family::AgentTurn),
                family(Family::AgentEffect),
                "process.>".to_owned(),
                "host.>".to_owned(),
                "runtime.>".to_owned(),
                "notice.>".to_owned(),
            ],
            replicas: sizing.replicas,
            bytes_max: sizing.events_bytes_max,
            age_max: sizing.events_age_max,
            duplicate_window: sizing.duplicate_window,
            republish_prefix: Some(crate::subject::STORED_PREFIX),
        },
        Stream {
            name: TRANSCRIPT,
            description: "lines that agents print",
            subjects: vec![family(Family::AgentOutput)],
            replicas: sizing.replicas,
            bytes_max: sizing.transcript_bytes_max,
            age_max: sizing.transcript_age_max,
            duplicate_window: sizing.duplicate_window,
            republish_prefix: None,
        },
    ]
}

/// The stream an event of this family belongs to.
pub const fn stream_of(family: Family) -> &'static str {
    if matches!(family, Family::AgentOutput) {
        TRANSCRIPT
    } else {
        EVENTS
    }
}

/// How long a key lives in a bucket whose keys expire.
pub const fn key_ttl(bucket: &Bucket) -> Option<Duration> {
    match bucket.name.as_bytes() {
        b"presence" => Some(limits::PRESENCE_TTL),
        b"lease" => Some(limits::LEASE_TTL),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::subject::{Operation, Request};
    use muster_domain::family::EventType;

    fn captures(pattern: &str, subject: &str) -> bool {
        pattern
            .strip_suffix('>')
            .is_some_and(|prefix| subject.starts_with(prefix))
    }

    #[test]
    fn each_event_is_captured_by_exactly_its_stream() {
        let streams = streams(&Sizing::default());
        for event_type in EventType::known() {
            let subject = crate::Subject::new(event_type.clone(), None, None).to_string();
            let by: Vec<_> = streams
                .iter()
                .filter(|stream| stream.subjects.iter().any(|p| captures(p, &subject)))
                .map(|s| s.name)
                .collect();
            assert_eq!(by, [stream_of(event_type.family())], "{subject}");
        }
    }

    #[test]
    fn a_host_hears_only_of_itself() {
        let consumer = host_consumer(&HostName::new("web-01").unwrap());
        assert_eq!(consumer.name, "host-web-01");
        let filters: Vec<String> = consumer.filters.iter().map(ToString::to_string).collect();
        assert_eq!(
            filters,
            ["runtime.approval_resolved.*.web-01.*", "runtime.effect.*.web-01.*"]
        );
    }

    #[test]
    fn no_stream_captures_a_request() {
        for operation in Operation::ALL.iter().copied() {
            let endpoint = Request::endpoint(operation);
            assert!(
                !streams(&Sizing::default())
                    .iter()
                    .flat_map(|s| &s.subjects)
                    .any(|p| captures(p, &endpoint))
            );
        }
    }
}
