//! A host's ingest, as the hub sees it: observations with a place in its spool's count, and a presence.

use crate::hub::SOON;
use muster_bus::publish::Producer;
use muster_bus::{Bus, Outgoing};
use muster_domain::fact::Origin;
use muster_domain::family::EventType;
use muster_domain::ids::{EventId, ProducerId};
use muster_domain::names::{AgentName, HostName, SessionId};
use muster_testkit::eventually;
use muster_wire::Envelope;
use muster_wire::data::hook::HookNote;
use muster_wire::topology::{EVENTS, PRESENCE};
use serde_json::{Value, json};
use std::time::{Duration, SystemTime};
use uuid::Uuid;

/// A host's ingest, as the hub sees it.
pub(crate) struct Host {
    bus: Bus,
    publisher: Producer,
    producer: ProducerId,
    pub(crate) name: HostName,
    seq: u64,
}

impl Host {
    pub(crate) fn new(bus: &Bus, name: &str) -> Self {
        Self {
            bus: bus.clone(),
            publisher: Producer::new(bus, EVENTS),
            producer: ProducerId::from_uuid(Uuid::now_v7()),
            name: HostName::new(name).unwrap(),
            seq: 0,
        }
    }

    /// The next observation.
    pub(crate) fn observe(&mut self, session: Option<&str>, event_type: &str, data: &Value) -> Envelope {
        self.seq += 1;
        Envelope {
            id: EventId::from_uuid(Uuid::now_v7()),
            source: format!("/hosts/{}/ingest", self.name),
            event_type: EventType::parse(event_type).unwrap(),
            host: Some(self.name.clone()),
            session: session.map(|id| SessionId::new(id).unwrap()),
            time: muster_wire::time::from_system(SystemTime::now()),
            time_exact: false,
            agent: Some(AgentName::new("claude-code").unwrap()),
            profile: None,
            origin: Some(Origin {
                producer: self.producer,
                seq: self.seq,
            }),
            causation: None,
            correlation: None,
            traceparent: None,
            data: serde_json::value::to_raw_value(data).unwrap(),
        }
    }

    /// A hook, as translated.
    pub(crate) fn hook(&mut self, session: &str, kind: &str, payload: Value) -> Envelope {
        let Value::Object(payload) = payload else {
            panic!("a payload is an object");
        };
        let data = HookNote::default().attach(payload);
        let data: Value = serde_json::from_str(data.get()).unwrap();
        self.observe(Some(session), &["agent.hook", kind].join("."), &data)
    }

    /// Loses the next observation.
    pub(crate) const fn skip(&mut self) {
        self.seq += 1;
    }

    /// Publishes in order; gives the last log sequence.
    pub(crate) async fn publish(&mut self, envelopes: &[Envelope]) -> u64 {
        let messages: Vec<Outgoing> = envelopes.iter().map(|one| Outgoing::of(one).unwrap()).collect();
        let outcome = self.publisher.publish(&messages).await;
        assert!(outcome.stopped.is_none(), "{outcome:?}");
        outcome.last_seq.unwrap()
    }

    /// Publishes an observation once more, under an id that the hub does not recognise.
    pub(crate) async fn publish_again(&mut self, envelope: &Envelope) {
        let id = EventId::from_uuid(Uuid::now_v7());
        let message = Outgoing {
            id,
            ..Outgoing::of(envelope).unwrap()
        };
        assert_eq!(self.publisher.publish(&[message]).await.stored, 1);
    }

    /// Publishes the hooks of a session that was asked something and uses a tool.
    pub(crate) async fn begin(&mut self, session: &str) -> u64 {
        let events = [
            self.hook(session, "session_start", json!({"source": "startup", "cwd": "/src"})),
            self.hook(
                session,
                "user_prompt_submit",
                json!({"prompt_id": "p1", "prompt": "build it"}),
            ),
            self.hook(session, "pre_tool_use", tool("p1", "t1")),
        ];
        self.publish(&events).await
    }

    /// Publishes the rest of that turn.
    pub(crate) async fn end(&mut self, session: &str) -> u64 {
        let events = [
            self.hook(session, "post_tool_use", tool("p1", "t1")),
            self.hook(session, "stop", json!({"prompt_id": "p1"})),
        ];
        self.publish(&events).await
    }

    /// Shows the host's presence for so long.
    pub(crate) async fn present(&self, ttl: Duration) {
        let presence = self.bus.bucket(&PRESENCE);
        presence
            .put_with_ttl(self.name.as_str(), "{}".into(), ttl, None)
            .await
            .unwrap();
    }

    /// Waits until its presence has expired.
    pub(crate) async fn gone(&self) {
        let presence = self.bus.bucket(&PRESENCE);
        eventually(SOON, async || {
            presence.get(self.name.as_str()).await.unwrap().is_none().then_some(())
        })
        .await;
    }
}

fn tool(prompt: &str, call: &str) -> Value {
    json!({
        "prompt_id": prompt, "tool_name": "Bash", "tool_use_id": call,
        "tool_input": {"command": "make"}, "tool_response": {"stdout": "ok"},
    })
}
