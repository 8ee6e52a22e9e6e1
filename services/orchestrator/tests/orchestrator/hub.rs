//! A hub, orchestrators on it, and hosts that report to it.

use muster_bus::migrate::{Shrink, migrate};
use muster_bus::publish::Producer;
use muster_bus::read::Start;
use muster_bus::service::RequestError;
use muster_bus::{Bus, Options, Outgoing, StreamState};
use muster_domain::fact::Origin;
use muster_domain::family::EventType;
use muster_domain::ids::{EventId, ProducerId};
use muster_domain::names::{AgentName, HostName, SessionId};
use muster_domain::state::SessionState;
use muster_orchestrator::{App, Config, SERVICE};
use muster_runtime::config;
use muster_runtime::service::{Context, Flags};
use muster_testkit::{Spawned, TestServer, eventually, free_port};
use muster_wire::api::{Reply, SessionSummary, SessionsList};
use muster_wire::data::hook::HookNote;
use muster_wire::subject::{Caller, Operation};
use muster_wire::topology::{EVENTS, PRESENCE, Sizing};
use muster_wire::{Envelope, Request};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, SystemTime};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use uuid::Uuid;

/// What is waited for comes within this, or never.
pub(crate) const SOON: Duration = Duration::from_secs(30);

pub(crate) struct Hub {
    pub(crate) server: TestServer,
    pub(crate) bus: Bus,
    pub(crate) dir: TempDir,
}

impl Hub {
    pub(crate) async fn start() -> Self {
        let server = TestServer::start().await;
        let bus = Bus::connect(&Options::new(server.client_url(), "test/1"))
            .await
            .unwrap();
        let hub = Self {
            server,
            bus,
            dir: tempfile::tempdir().unwrap(),
        };
        hub.migrate().await;
        hub
    }

    pub(crate) async fn migrate(&self) {
        let sizing = Sizing {
            events_bytes_max: 256 << 20,
            transcript_bytes_max: 64 << 20,
            ..Sizing::default()
        };
        migrate(&self.bus, &sizing, Shrink::Refuse).await.unwrap();
    }

    /// What an orchestrator with this state folder is told.
    pub(crate) fn settings(&self, name: &str, more: &[(&str, &str)]) -> Vec<(String, String)> {
        let state = self.dir.path().join(name);
        let mut set = vec![
            ("nats.url".to_owned(), self.server.client_url()),
            ("state.dir".to_owned(), state.display().to_string()),
            ("http.listen".to_owned(), format!("127.0.0.1:{}", free_port())),
        ];
        set.extend(more.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())));
        set
    }

    /// An orchestrator in this process.
    pub(crate) fn orchestrator(&self, name: &str, more: &[(&str, &str)]) -> Orchestrator {
        let flags = Flags {
            config: None,
            set: self.settings(name, more),
        };
        let config: Config = config::load(SERVICE.defaults, &SERVICE.sources(flags, [])).unwrap();
        let context = Context {
            instance: name.to_owned(),
            ..Context::new(SERVICE.name)
        };
        let running = tokio::spawn(App::run(config, context.clone()));
        Orchestrator { context, running }
    }

    /// An orchestrator in a process of its own, to be killed.
    pub(crate) fn process(&self, name: &str, more: &[(&str, &str)]) -> Spawned {
        let mut command = Command::new(env!("CARGO_BIN_EXE_muster-orchestrator"));
        for (key, value) in self.settings(name, more) {
            command.arg("--set").arg(format!("{key}={value}"));
        }
        Spawned::start(command)
    }

    pub(crate) fn host(&self, name: &str) -> Host {
        Host {
            bus: self.bus.clone(),
            publisher: Producer::new(&self.bus, EVENTS),
            producer: ProducerId::from_uuid(Uuid::now_v7()),
            name: HostName::new(name).unwrap(),
            seq: 0,
        }
    }

    /// Asks as an operator would; a refusal is an answer too.
    pub(crate) async fn ask(&self, operation: Operation, body: impl ToString) -> Result<Vec<u8>, RequestError> {
        let request = Request {
            operation,
            caller: Caller::new("op-anna").unwrap(),
        };
        let body = body.to_string().into();
        self.bus
            .request(&request, body, Duration::from_secs(5))
            .await
            .map(|answer| answer.to_vec())
    }

    /// Asks until there is an answer that is no refusal, and reads it.
    pub(crate) async fn answer<T: DeserializeOwned>(&self, operation: Operation, body: Value) -> Reply<T> {
        let answer = eventually(SOON, async || self.ask(operation, &body).await).await;
        Reply::read(&answer).unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&answer)))
    }

    pub(crate) async fn sessions(&self) -> Vec<SessionSummary> {
        let list: Reply<SessionsList> = self.answer(Operation::SessionsList, json!({})).await;
        list.body.sessions
    }

    /// Waits until the list shows this session in this state.
    pub(crate) async fn until(&self, id: &str, state: SessionState) -> SessionSummary {
        eventually(SOON, async || {
            let sessions = self.sessions().await;
            let row = sessions.into_iter().find(|row| row.id.as_str() == id);
            row.filter(|row| row.state == state).ok_or("another state")
        })
        .await
    }

    pub(crate) async fn log(&self) -> StreamState {
        self.bus.stream_state(EVENTS).await.unwrap()
    }

    /// Everything in the log, as documents.
    pub(crate) async fn events(&self) -> Vec<Value> {
        let mut reader = self.bus.read(EVENTS, &[], Start::First);
        let end = reader.open().await.unwrap().last_seq;
        let mut events = Vec::new();
        while reader.position() <= end && end > 0 {
            let stored = reader.next().await.unwrap();
            events.extend(serde_json::from_slice::<Value>(&stored.payload));
        }
        events
    }

    /// The events of one type, in order.
    pub(crate) async fn events_of(&self, event_type: &str) -> Vec<Value> {
        let mut events = self.events().await;
        events.retain(|event| event["type"] == event_type);
        events
    }

    /// Waits until the log has this many events of one type.
    pub(crate) async fn until_events(&self, event_type: &str, count: usize) -> Vec<Value> {
        eventually(SOON, async || {
            let events = self.events_of(event_type).await;
            if events.len() >= count { Ok(events) } else { Err(events) }
        })
        .await
    }

    /// The names of those who were elected, in order.
    pub(crate) async fn elected(&self) -> Vec<String> {
        let elected = self.events_of("runtime.leader.elected").await;
        elected
            .iter()
            .map(|event| event["source"].as_str().unwrap().to_owned())
            .collect()
    }
}

/// An orchestrator in this process.
pub(crate) struct Orchestrator {
    pub(crate) context: Context,
    running: JoinHandle<anyhow::Result<()>>,
}

impl Orchestrator {
    pub(crate) async fn ready(&self) {
        let health = &self.context.health;
        eventually(SOON, async || health.is_ready().then_some(())).await;
    }

    /// Drains it.
    pub(crate) async fn stop(self) {
        self.context.drain.request();
        self.running.await.unwrap().unwrap();
    }

    /// Its own end.
    pub(crate) async fn ended(self) -> anyhow::Result<()> {
        self.running.await.unwrap()
    }
}

/// A host's ingest, as the hub sees it.
pub(crate) struct Host {
    bus: Bus,
    publisher: Producer,
    producer: ProducerId,
    pub(crate) name: HostName,
    seq: u64,
}

impl Host {
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

/// The state folder's newest snapshot.
pub(crate) fn snapshot(dir: &Path, name: &str) -> std::path::PathBuf {
    dir.join(name).join("fleet.snapshot")
}
