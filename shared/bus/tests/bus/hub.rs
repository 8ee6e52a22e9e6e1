//! A hub for a test, and events to send to it.

use muster_bus::migrate::{Change, Shrink, migrate};
use muster_bus::{Bus, Options, Outgoing};
use muster_domain::fact::Origin;
use muster_domain::family::EventType;
use muster_domain::ids::{EventId, ProducerId};
use muster_domain::names::{HostName, SessionId};
use muster_domain::time::Timestamp;
use muster_testkit::TestServer;
use muster_wire::topology::Sizing;
use muster_wire::{Envelope, RawData};
use std::time::Duration;

/// What is waited for comes within this, or never.
pub(crate) const SOON: Duration = Duration::from_secs(20);

/// Small enough for a test server's store.
pub(crate) fn sizing() -> Sizing {
    Sizing {
        events_bytes_max: 256 << 20,
        transcript_bytes_max: 64 << 20,
        ..Sizing::default()
    }
}

/// A server that holds what muster needs, and a connection to it.
pub(crate) async fn hub() -> (TestServer, Bus) {
    let server = TestServer::start().await;
    let bus = connect(&server).await;
    prepare(&bus).await;
    (server, bus)
}

pub(crate) async fn connect(server: &TestServer) -> Bus {
    Bus::connect(&Options::new(server.client_url(), "test/1"))
        .await
        .unwrap()
}

pub(crate) async fn prepare(bus: &Bus) -> Vec<Change> {
    migrate(bus, &sizing(), Shrink::Refuse).await.unwrap()
}

/// The plain client, for what muster itself never does.
pub(crate) async fn stranger(server: &TestServer) -> async_nats::jetstream::Context {
    async_nats::jetstream::new(async_nats::connect(server.client_url()).await.unwrap())
}

/// A spool's count.
pub(crate) struct Spool {
    pub(crate) producer: ProducerId,
    pub(crate) host: HostName,
    next: u64,
}

impl Spool {
    pub(crate) fn new(host: &str) -> Self {
        Self {
            producer: ProducerId::from_uuid(random_uuid()),
            host: HostName::new(host).unwrap(),
            next: 1,
        }
    }

    pub(crate) fn take(&mut self, count: usize) -> Vec<Outgoing> {
        (0..count).map(|_| self.event("agent.hook.pre_tool_use", 100)).collect()
    }

    pub(crate) fn event(&mut self, event_type: &str, data_bytes: usize) -> Outgoing {
        let origin = Origin {
            producer: self.producer,
            seq: self.next,
        };
        self.next += 1;
        Outgoing::of(&Envelope {
            source: "/hosts/test/ingest".to_owned(),
            host: Some(self.host.clone()),
            session: Some(SessionId::new("s1").unwrap()),
            origin: Some(origin),
            data: data(data_bytes),
            ..envelope(event_type)
        })
        .unwrap()
    }
}

pub(crate) fn envelope(event_type: &str) -> Envelope {
    Envelope {
        id: EventId::from_uuid(random_uuid()),
        source: "/orchestrator".to_owned(),
        event_type: EventType::parse(event_type).unwrap(),
        host: None,
        session: None,
        time: Timestamp::from_millis(1_790_000_000_000),
        time_exact: false,
        agent: None,
        profile: None,
        origin: None,
        causation: None,
        correlation: None,
        traceparent: None,
        data: data(10),
    }
}

fn data(bytes: usize) -> RawData {
    let text = format!("{{\"pad\":\"{}\"}}", "x".repeat(bytes));
    serde_json::value::RawValue::from_string(text).unwrap()
}

fn random_uuid() -> uuid::Uuid {
    uuid::Builder::from_random_bytes(rand::random()).into_uuid()
}
