//! Whoever publishes the orchestrator's decisions about effects, and what the log says of them.

use crate::parts::Parts;
use muster_bus::publish::Producer;
use muster_bus::read::Start;
use muster_bus::{Bus, Options, Outgoing};
use muster_domain::family::EventType;
use muster_domain::ids::EventId;
use muster_domain::names::SessionId;
use muster_domain::time::Timestamp;
use muster_testkit::eventually;
use muster_tests::WITHIN;
use muster_wire::data::runtime::RuntimeMetadata;
use muster_wire::topology::EVENTS;
use muster_wire::{Envelope, Filter};
use serde_json::{Value, json};
use std::time::SystemTime;

/// What a turn loop says that it can do.
pub(crate) const TURN_LOOP: &[&str] = &["message", "model", "new_session", "compact", "interrupt", "stop"];
/// How long an order may wait for its host.
const EXPIRY_MS: i64 = 60_000;

pub(crate) struct Leader {
    bus: Bus,
}

impl Leader {
    pub(crate) async fn of(parts: &Parts) -> Self {
        let bus = Bus::connect(&Options::new(parts.hub.client_url(), "leader")).await;
        Self {
            bus: bus.expect("the hub is there"),
        }
    }

    /// Orders something; the effect.
    pub(crate) async fn order(&self, session: &str, run: Option<&str>, action: Value) -> String {
        let id = EventId::from_uuid(uuid::Uuid::new_v4()).to_string();
        self.again(&id, session, run, action).await;
        id
    }

    /// Orders it in an event that the hub takes for a new one, under an id that may have been used.
    pub(crate) async fn again(&self, effect: &str, session: &str, run: Option<&str>, action: Value) {
        let now = muster_wire::time::from_system(SystemTime::now());
        let id: EventId = effect.parse().expect("an id");
        let expires = muster_wire::time::format(Timestamp::from_millis(now.as_millis() + EXPIRY_MS));
        let data = json!({
            "runtime": RuntimeMetadata::unasked("effect", id), "run": run, "expires_at": expires,
            "by": {"caller": "op-anna"}, "action": action,
        });
        let envelope = Envelope {
            id,
            source: "/orchestrator".to_owned(),
            event_type: EventType::parse("runtime.effect.requested").expect("a type"),
            host: Some("web-01".parse().expect("a name")),
            session: SessionId::new(session).ok(),
            time: now,
            time_exact: false,
            agent: None,
            profile: None,
            origin: None,
            causation: None,
            correlation: None,
            traceparent: None,
            data: serde_json::value::to_raw_value(&data).expect("data"),
        };
        let outgoing = Outgoing {
            id: EventId::from_uuid(uuid::Uuid::new_v4()),
            ..Outgoing::of(&envelope).expect("an envelope")
        };
        let outcome = Producer::new(&self.bus, EVENTS).publish(&[outgoing]).await;
        assert_eq!((outcome.stored, outcome.duplicates), (1, 0), "{outcome:?}");
    }

    async fn log(&self) -> Vec<(Envelope, Value)> {
        let mut reader = self.bus.read(EVENTS, &[Filter::all()], Start::First);
        reader.open().await.expect("the log");
        let mut found = Vec::new();
        while reader.pending() != Some(0) {
            let stored = reader.next().await.expect("an event");
            let envelope = Envelope::decode(&stored.payload).expect("an envelope");
            let data = serde_json::from_str(envelope.data.get()).expect("data");
            found.push((envelope, data));
        }
        found
    }

    /// What every event of this kind says of the session.
    pub(crate) async fn of_session(&self, session: &str, kind: &str) -> Vec<Value> {
        let is = |envelope: &Envelope| {
            envelope.event_type.to_string() == kind
                && envelope.session.as_ref().is_some_and(|name| name.as_str() == session)
        };
        let all = self.log().await.into_iter();
        all.filter(|(envelope, _)| is(envelope)).map(|(_, data)| data).collect()
    }

    /// Waits for an event of the session, the first of its kind.
    pub(crate) async fn event(&self, session: &str, kind: &str) -> Value {
        eventually(WITHIN, async || {
            self.of_session(session, kind).await.into_iter().next().ok_or("not yet")
        })
        .await
    }

    /// Waits until the session has begun this many turns.
    pub(crate) async fn turns(&self, session: &str, count: usize) -> Vec<Value> {
        eventually(WITHIN, async || {
            let turns = self.of_session(session, "agent.turn.turn_start").await;
            if turns.len() >= count { Ok(turns) } else { Err(turns) }
        })
        .await
    }

    /// Waits for a run that carries a session other than `than`: the session and the latest such run.
    pub(crate) async fn carrier(&self, than: Option<&str>) -> (String, String) {
        eventually(WITHIN, async || {
            let log = self.log().await;
            let carriers = log.iter().rev().filter(|(envelope, data)| {
                envelope.event_type.to_string() == "process.lifecycle.started" && data["carries"].is_array()
            });
            let named = carriers.filter_map(|(envelope, data)| {
                Some((envelope.session.as_ref()?.to_string(), data["run"].as_str()?.to_owned()))
            });
            let mut named = named.filter(|(session, _)| Some(session.as_str()) != than);
            named.next().ok_or("nobody carries")
        })
        .await
    }

    /// What the log says of an effect, in its order: `accepted`, `done`, or the reason why it failed.
    pub(crate) async fn told(&self, effect: &str) -> Vec<String> {
        let mut told = Vec::new();
        for (envelope, data) in self.log().await {
            let kind = envelope.event_type.to_string();
            if let Some(kind) = kind.strip_prefix("agent.effect.")
                && data["effect_id"] == effect
            {
                told.push(data["reason"].as_str().unwrap_or(kind).to_owned());
            }
        }
        told
    }

    /// The same once it has ended.
    pub(crate) async fn ended(&self, effect: &str) -> Vec<String> {
        eventually(WITHIN, async || {
            let told = self.told(effect).await;
            if told.last().is_some_and(|last| last != "accepted") {
                Ok(told)
            } else {
                Err(told)
            }
        })
        .await
    }
}
