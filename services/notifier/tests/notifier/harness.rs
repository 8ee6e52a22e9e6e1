//! A hub with its log, and a notifier on it.

use crate::sse::Sse;
use muster_bus::migrate::{Shrink, migrate};
use muster_bus::publish::Producer;
use muster_bus::{Bus, Options, Outgoing};
use muster_domain::family::EventType;
use muster_domain::ids::EventId;
use muster_domain::names::{AgentName, HostName, Profile, SessionId};
use muster_notifier::{App, Config, SERVICE};
use muster_runtime::config::{self, Sources};
use muster_runtime::drain::Drain;
use muster_runtime::service::Context;
use muster_testkit::{Spawned, TestServer, eventually, free_port};
use muster_wire::Envelope;
use muster_wire::topology::{EVENTS, Sizing};
use reqwest::{Client, RequestBuilder, StatusCode};
use serde_json::value::{RawValue, to_raw_value};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, SystemTime};
use uuid::Uuid;

pub(crate) const SOON: Duration = Duration::from_secs(20);

/// A server whose log is set up.
pub(crate) struct Hub {
    pub(crate) server: TestServer,
    pub(crate) bus: Bus,
    sizing: Sizing,
}

impl Hub {
    pub(crate) async fn start() -> Self {
        Self::sized(small()).await
    }

    pub(crate) async fn sized(sizing: Sizing) -> Self {
        let server = TestServer::start().await;
        let bus = Bus::connect(&Options::new(server.client_url(), "test")).await.unwrap();
        migrate(&bus, &sizing, Shrink::Refuse).await.unwrap();
        Self { server, bus, sizing }
    }

    /// Ends the server, forgets everything it stored, and sets it up again.
    pub(crate) async fn recreate(&mut self) {
        self.set_up_without("jetstream").await;
    }

    /// The same, with only the log forgotten.
    pub(crate) async fn recreate_log(&mut self) {
        let before = self.created_unix().await;
        // Two logs of the same second would have the same name.
        eventually(SOON, async || {
            let now = muster_wire::time::from_system(SystemTime::now());
            (now.as_millis().div_euclid(1000) > before).then_some(())
        })
        .await;
        self.set_up_without("jetstream/$G/streams/EVENTS").await;
    }

    async fn set_up_without(&mut self, stored: &str) {
        self.server.stop().await;
        std::fs::remove_dir_all(self.server.config().state_dir.join(stored)).unwrap();
        self.server.restart().await;
        eventually(SOON, async || {
            migrate(&self.bus, &self.sizing, Shrink::Refuse).await.map(Some)
        })
        .await;
    }

    /// Publishes, and gives the log's last sequence.
    pub(crate) async fn publish(&self, events: &[Outgoing]) -> u64 {
        let outcome = Producer::new(&self.bus, EVENTS).publish(events).await;
        assert_eq!(outcome.stopped, None);
        outcome.last_seq.unwrap()
    }

    /// `count` stops of one session, numbered in their data from `first` on.
    pub(crate) async fn stops(&self, first: usize, count: usize) -> u64 {
        let events: Vec<Outgoing> = (first..first + count)
            .map(|n| Event::of("agent.hook.stop").data(&n).outgoing())
            .collect();
        self.publish(&events).await
    }

    pub(crate) async fn created_unix(&self) -> i64 {
        self.bus
            .stream_state(EVENTS)
            .await
            .unwrap()
            .created
            .as_millis()
            .div_euclid(1000)
    }
}

/// A log that fits many times into what a test's server may store.
pub(crate) fn small() -> Sizing {
    Sizing {
        events_bytes_max: 256 << 20,
        transcript_bytes_max: 64 << 20,
        ..Sizing::default()
    }
}

/// An event to publish.
pub(crate) struct Event(Envelope);

impl Event {
    pub(crate) fn of(event_type: &str) -> Self {
        Self(Envelope {
            id: EventId::from_uuid(Uuid::from_u128(rand::random())),
            source: "/test".to_owned(),
            event_type: EventType::parse(event_type).unwrap(),
            host: Some(HostName::new("web-01").unwrap()),
            session: Some(SessionId::new("s1").unwrap()),
            time: muster_wire::time::from_system(SystemTime::now()),
            time_exact: true,
            agent: Some(AgentName::new("claude-code").unwrap()),
            profile: Some(Profile::new("default").unwrap()),
            origin: None,
            causation: None,
            correlation: None,
            traceparent: Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned()),
            data: RawValue::from_string("{}".to_owned()).unwrap(),
        })
    }

    pub(crate) fn host(mut self, host: &str) -> Self {
        self.0.host = Some(HostName::new(host).unwrap());
        self
    }

    pub(crate) fn session(mut self, session: &str) -> Self {
        self.0.session = Some(SessionId::new(session).unwrap());
        self
    }

    pub(crate) fn agent(mut self, agent: &str, profile: &str) -> Self {
        self.0.agent = Some(AgentName::new(agent).unwrap());
        self.0.profile = Some(Profile::new(profile).unwrap());
        self
    }

    pub(crate) fn data(mut self, data: &impl serde::Serialize) -> Self {
        self.0.data = to_raw_value(data).unwrap();
        self
    }

    pub(crate) fn id(&self) -> String {
        self.0.id.to_string()
    }

    pub(crate) fn outgoing(&self) -> Outgoing {
        Outgoing::of(&self.0).unwrap()
    }
}

/// A notifier in this process.
pub(crate) struct Notifier {
    pub(crate) base: String,
    pub(crate) http: Client,
    drain: Drain,
}

impl Notifier {
    pub(crate) async fn start(hub: &Hub, settings: &[(&str, &str)]) -> Self {
        Self::configured(hub, settings, None).await
    }

    /// With settings, and a file below them.
    pub(crate) async fn configured(hub: &Hub, settings: &[(&str, &str)], file: Option<&Path>) -> Self {
        let listen = format!("127.0.0.1:{}", free_port());
        let mut overrides = vec![
            ("nats.url".to_owned(), hub.server.client_url()),
            ("http.listen".to_owned(), listen.clone()),
        ];
        overrides.extend(
            settings
                .iter()
                .map(|(key, value)| ((*key).to_owned(), (*value).to_owned())),
        );
        let sources = Sources {
            file: file.map(Into::into),
            overrides,
            ..Sources::default()
        };
        let config: Config = config::load(SERVICE.defaults, &sources).unwrap();
        let drain = Drain::new();
        drain.part(
            "notifier",
            App::run(
                config,
                Context {
                    drain: drain.child(),
                    ..Context::new(SERVICE.name)
                },
            ),
        );
        let notifier = Self {
            base: format!("http://{listen}"),
            http: client(),
            drain,
        };
        ready(&notifier.base).await;
        notifier
    }

    /// One that runs as a process of its own, to be killed.
    pub(crate) async fn spawned(hub: &Hub, settings: &[(&str, &str)]) -> (Self, Spawned) {
        let listen = format!("127.0.0.1:{}", free_port());
        let mut command = Command::new(env!("CARGO_BIN_EXE_muster-notifier"));
        command
            .arg("run")
            .arg("--set")
            .arg(format!("nats.url={}", hub.server.client_url()))
            .arg("--set")
            .arg(format!("http.listen={listen}"));
        for (key, value) in settings {
            command.arg("--set").arg(format!("{key}={value}"));
        }
        let process = Spawned::start(command);
        let notifier = Self {
            base: format!("http://{listen}"),
            http: client(),
            drain: Drain::new(),
        };
        ready(&notifier.base).await;
        (notifier, process)
    }

    pub(crate) fn get(&self, path: &str) -> RequestBuilder {
        self.http.get(format!("{}{path}", self.base))
    }

    pub(crate) fn post(&self, path: &str, body: &serde_json::Value) -> RequestBuilder {
        self.http.post(format!("{}{path}", self.base)).json(body)
    }

    pub(crate) async fn stream(&self, query: &str) -> Sse {
        Sse::open(self.get(&format!("/api/v1/stream{query}"))).await
    }

    pub(crate) async fn json(&self, path: &str) -> (StatusCode, serde_json::Value) {
        let response = self.get(path).send().await.unwrap();
        (response.status(), response.json().await.unwrap())
    }

    pub(crate) fn request_drain(&self) {
        self.drain.request();
    }

    pub(crate) async fn drained(self) {
        self.drain.request();
        self.drain.finish(SOON).await.unwrap();
    }
}

/// A client that opens a connection for each request, so that none is counted twice.
pub(crate) fn client() -> Client {
    Client::builder().pool_max_idle_per_host(0).build().unwrap()
}

pub(crate) async fn ready(base: &str) {
    eventually(SOON, async || {
        match client().get(format!("{base}/readyz")).send().await {
            Ok(response) if response.status().is_success() => Ok(Some(())),
            Ok(response) => Err(response.text().await.unwrap_or_default()),
            Err(error) => Err(error.to_string()),
        }
    })
    .await;
}
