//! An agent that asks, and whose hook is held open for the answer: what its host's ingest reports of it.

use muster_bus::publish::Producer;
use muster_bus::{Bus, Options, Outgoing};
use muster_domain::fact::Origin;
use muster_domain::family::EventType;
use muster_domain::ids::{EventId, ProducerId};
use muster_domain::names::{AgentName, HostName, SessionId};
use muster_testkit::eventually;
use muster_wire::Envelope;
use muster_wire::topology::{EVENTS, PAYLOADS};
use serde_json::{Value, json};
use std::time::SystemTime;
use uuid::Uuid;

use crate::place::{Place, START};

/// A host with agents on it.
pub(crate) struct Host {
    pub(crate) bus: Bus,
    producer: ProducerId,
    seq: u64,
}

impl Host {
    pub(crate) async fn of(running: &Value) -> Self {
        let options = Options {
            credentials: Some(running["nats_credentials"].as_str().unwrap().into()),
            ..Options::new(running["nats"].as_str().unwrap(), "test")
        };
        let bus = Bus::connect(&options).await.unwrap();
        Self {
            bus,
            producer: ProducerId::from_uuid(Uuid::now_v7()),
            seq: 0,
        }
    }

    /// An agent asks for permission to use a tool; gives the approval's id.
    pub(crate) async fn asks(&mut self, session: &str, tool: &str, input: &Value) -> String {
        self.asks_noted(session, tool, input, json!({})).await
    }

    /// An agent asks with an input that is too large for an event: the log has a preview, and the store has all of it.
    pub(crate) async fn asks_much(&mut self, session: &str, tool: &str, input: &Value) -> String {
        let whole = json!({"tool_name": tool, "tool_input": input}).to_string();
        let overflow = json!({"object": "web-09/00ff", "bytes": whole.len()});
        let store = self.bus.objects(&PAYLOADS);
        store.put("web-09/00ff", whole.into()).await.unwrap();
        let note = json!({"overflow": overflow});
        self.asks_noted(session, tool, &json!({"command": "preview"}), note)
            .await
    }

    async fn asks_noted(&mut self, session: &str, tool: &str, input: &Value, mut note: Value) -> String {
        self.seq += 1;
        note["hook"] = json!("PermissionRequest");
        note["wait_ms"] = json!(60_000);
        let data = json!({
            "tool_name": tool, "tool_input": input, "cwd": "/w", "prompt_id": "p1", "permission_mode": "default",
            "muster": note,
        });
        let envelope = Envelope {
            id: EventId::from_uuid(Uuid::now_v7()),
            source: "/hosts/web-09/ingest".to_owned(),
            event_type: EventType::parse("agent.hook.permission_request").unwrap(),
            host: Some(HostName::new("web-09").unwrap()),
            session: Some(SessionId::new(session).unwrap()),
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
            data: serde_json::value::to_raw_value(&data).unwrap(),
        };
        let message = Outgoing::of(&envelope).unwrap();
        let outcome = Producer::new(&self.bus, EVENTS).publish(&[message]).await;
        assert_eq!(outcome.stored, 1, "{outcome:?}");
        envelope.id.to_string()
    }
}

/// Waits until this many approvals are open, and gives them.
pub(crate) async fn waiting(place: &Place, count: usize) -> Vec<Value> {
    eventually(START, async || {
        let listed = place.json(&["approvals", "--json"]);
        let rows = listed.as_array().unwrap().clone();
        if rows.len() == count { Ok(rows) } else { Err(listed) }
    })
    .await
}
