//! A hub, and orchestrators on it.

use crate::host::Host;
use crate::raw;
use bytes::Bytes;
use muster_bus::migrate::{Shrink, migrate};
use muster_bus::operator::Key;
use muster_bus::read::Start;
use muster_bus::service::{Credentials, RequestError};
use muster_bus::{Bus, Options, StreamState};
use muster_domain::names::SessionId;
use muster_domain::state::SessionState;
use muster_orchestrator::{App, Config, SERVICE};
use muster_runtime::config;
use muster_runtime::drain::Drain;
use muster_runtime::service::{Context, Flags};
use muster_testkit::{Spawned, TestServer, eventually, free_port};
use muster_wire::Request;
use muster_wire::api::{Reply, SessionSummary, SessionsList};
use muster_wire::subject::{Caller, Operation};
use muster_wire::topology::{EVENTS, Sizing};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use tempfile::TempDir;

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

    /// Lets everything in the log grow too old for it.
    pub(crate) async fn age_out(&self) {
        let url = self.server.client_url();
        let info = raw::request(&url, "$JS.API.STREAM.INFO.EVENTS", "").await.unwrap();
        let config = &info["config"];
        let mut short = config.clone();
        short["max_age"] = json!(200_000_000);
        short["duplicate_window"] = json!(100_000_000);
        raw::command(&url, "$JS.API.STREAM.UPDATE.EVENTS", &short.to_string()).await;
        eventually(SOON, async || {
            let log = self.log().await;
            if log.first_seq > log.last_seq { Ok(()) } else { Err(log) }
        })
        .await;
        raw::command(&url, "$JS.API.STREAM.UPDATE.EVENTS", &config.to_string()).await;
    }

    /// What an orchestrator with this state folder is told.
    pub(crate) fn settings(&self, name: &str, more: &[(&str, &str)]) -> Vec<(String, String)> {
        let state = self.dir.path().join(name);
        let mut set = vec![
            ("nats.url".to_owned(), self.server.client_url()),
            ("state.dir".to_owned(), state.display().to_string()),
            ("http.listen".to_owned(), format!("127.0.0.1:{}", free_port())),
            (
                "operator.token_file".to_owned(),
                self.operator_token().display().to_string(),
            ),
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
        let outer = Drain::new();
        let context = Context {
            instance: name.to_owned(),
            drain: outer.child(),
            ..Context::new(SERVICE.name)
        };
        outer.spawn("orchestrator", App::run(config, context.clone()));
        Orchestrator { context, outer }
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
        Host::new(&self.bus, name)
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

    fn operator_token(&self) -> PathBuf {
        self.dir.path().join("operator.token")
    }

    /// Asks with the operator's token, and reads the answer.
    pub(crate) async fn order(&self, operation: Operation, body: &Value) -> Result<Value, RequestError> {
        let answer = self.operate(operation, body).await?;
        Ok(serde_json::from_slice(&answer).unwrap())
    }

    /// Asks with the operator's token, on behalf of a session.
    pub(crate) async fn order_of(
        &self,
        session: &str,
        operation: Operation,
        body: &Value,
    ) -> Result<Value, RequestError> {
        let credentials = Credentials {
            operator: Some(Key::read_or_make(&self.operator_token()).unwrap()),
            session: Some(SessionId::new(session).unwrap()),
        };
        let request = Request {
            operation,
            caller: Caller::new("op-anna").unwrap(),
        };
        let body = body.to_string().into();
        let answer = self.bus.request_as(&credentials, &request, body, SOON).await?;
        Ok(serde_json::from_slice(&answer).unwrap())
    }

    /// Asks as an operator who has the token.
    pub(crate) async fn operate(&self, operation: Operation, body: impl ToString) -> Result<Vec<u8>, RequestError> {
        let request = Request {
            operation,
            caller: Caller::new("op-anna").unwrap(),
        };
        let credentials = Credentials {
            operator: Some(Key::read_or_make(&self.operator_token()).unwrap()),
            ..Credentials::default()
        };
        let body = Bytes::from(body.to_string());
        // What was signed just before the election is signed anew, as everybody does who is told to.
        let signed_again = eventually(SOON, async || {
            let answer = self
                .bus
                .request_as(&credentials, &request, body.clone(), Duration::from_secs(5));
            match answer.await {
                Err(RequestError::Failed(early)) if early.code == 503 && early.text.contains("sign again") => {
                    Err(early)
                }
                answer => Ok(answer),
            }
        });
        signed_again.await.map(|answer| answer.to_vec())
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
    outer: Drain,
}

impl Orchestrator {
    pub(crate) async fn ready(&self) {
        let health = &self.context.health;
        eventually(SOON, async || health.is_ready().then_some(())).await;
    }

    /// Drains it.
    pub(crate) async fn stop(self) {
        self.outer.request();
        self.ended().await.unwrap();
    }

    /// Its own end.
    pub(crate) async fn ended(self) -> anyhow::Result<()> {
        self.outer.finish(SOON).await
    }
}

/// The state folder's newest snapshot.
pub(crate) fn snapshot(dir: &Path, name: &str) -> std::path::PathBuf {
    dir.join(name).join("fleet.snapshot")
}
