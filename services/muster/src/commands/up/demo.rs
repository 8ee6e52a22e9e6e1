//! A recorded fleet, played for ever: what `up --demo` shows.
//!
//! It goes in where a real fleet does, over the sockets of several ingests, each a host of its own. Every round has fresh
//! session ids; the sessions of the round before end as the new ones have begun, so that there is always something of every
//! state to see.

use crate::socket::{Connection, SocketError};
use anyhow::Context as _;
use muster_runtime::drain::Drain;
use muster_wire::RawData;
use muster_wire::frame::{ClientFrame, IngestEvents, IngestHook};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;
use tokio::time::{Instant, sleep};
use uuid::Uuid;

const RECORDING: &str = include_str!("../../../demo/fleet.ndjson");
/// When, in a round, the sessions of the round before end.
const CURTAIN: Duration = Duration::from_secs(4);
/// How long a round goes on after its last step, so that its end can be seen.
const AFTERGLOW: Duration = Duration::from_secs(6);
/// Before a step that failed is tried again: an ingest may be starting.
const AGAIN: Duration = Duration::from_millis(200);

/// Who plays, and what happens.
pub(super) struct Recording {
    cast: BTreeMap<String, Role>,
    steps: Vec<Step>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Role {
    cast: String,
    host: String,
    agent: String,
    cwd: String,
    model: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Step {
    /// Seconds after the round's beginning.
    at: f64,
    session: String,
    /// A hook's name, or else an event's kind.
    #[serde(default)]
    hook: Option<String>,
    #[serde(default)]
    event: Option<String>,
    #[serde(default)]
    prompt: Option<u32>,
    data: Map<String, Value>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Line {
    Role(Role),
    Step(Step),
}

/// The sessions of a round: each role's id, and who is gone without a word.
#[derive(Default)]
struct Round {
    ids: BTreeMap<String, String>,
    gone: BTreeSet<String>,
}

impl Recording {
    pub(super) fn load() -> anyhow::Result<Self> {
        let (mut cast, mut steps) = (BTreeMap::new(), Vec::new());
        for (number, line) in RECORDING.lines().enumerate() {
            match serde_json::from_str(line).with_context(|| format!("reading line {} of the recording", number + 1))? {
                Line::Role(role) => {
                    cast.insert(role.cast.clone(), role);
                }
                Line::Step(step) => steps.push(step),
            }
        }
        Ok(Self { cast, steps })
    }

    /// Hosts that play a part.
    pub(super) fn hosts(&self) -> BTreeSet<String> {
        self.cast.values().map(|role| role.host.clone()).collect()
    }

    /// Plays round after round until the drain.
    pub(super) async fn play(self, sockets: BTreeMap<String, PathBuf>, drain: Drain) -> anyhow::Result<()> {
        let mut stage = Stage {
            sockets,
            connections: BTreeMap::new(),
        };
        tokio::select! {
            () = drain.requested() => {}
            () = self.rounds(&mut stage) => {}
        }
        Ok(())
    }

    async fn rounds(&self, stage: &mut Stage) {
        let mut before = Round::default();
        loop {
            let ids = self
                .cast
                .keys()
                .map(|role| (role.clone(), Uuid::new_v4().to_string()))
                .collect();
            let mut round = Round {
                ids,
                gone: BTreeSet::new(),
            };
            let began = Instant::now();
            for step in &self.steps {
                let due = Duration::try_from_secs_f64(step.at).unwrap_or_default();
                if due >= CURTAIN {
                    self.end(std::mem::take(&mut before), stage).await;
                }
                sleep((began + due).saturating_duration_since(Instant::now())).await;
                self.step(step, &mut round, stage).await;
            }
            sleep(AFTERGLOW).await;
            before = round;
        }
    }

    async fn step(&self, step: &Step, round: &mut Round, stage: &mut Stage) {
        let Some((role, id)) = self.cast.get(&step.session).zip(round.ids.get(&step.session)) else {
            return;
        };
        if let Some(hook) = &step.hook {
            stage
                .send(&role.host, || role.hook(hook, id, step.prompt, step.data.clone()))
                .await;
        }
        if let Some(kind) = &step.event {
            stage.send(&role.host, || role.event(kind, id, step.data.clone())).await;
            if kind == "process.lifecycle.exited" {
                round.gone.insert(step.session.clone());
            }
        }
    }

    async fn end(&self, round: Round, stage: &mut Stage) {
        for (name, id) in &round.ids {
            let Some(role) = self.cast.get(name).filter(|_| !round.gone.contains(name)) else {
                continue;
            };
            let data = Map::from_iter([("reason".to_owned(), json!("prompt_input_exit"))]);
            stage
                .send(&role.host, || role.hook("SessionEnd", id, None, data.clone()))
                .await;
        }
    }
}

impl Role {
    /// The hook as its agent would post it.
    fn hook(&self, name: &str, id: &str, prompt: Option<u32>, data: Map<String, Value>) -> ClientFrame {
        let mut payload = Map::from_iter([
            ("session_id".to_owned(), json!(id)),
            (
                "transcript_path".to_owned(),
                json!(format!("{}/.transcripts/{id}.jsonl", self.cwd)),
            ),
            ("cwd".to_owned(), json!(self.cwd)),
            ("hook_event_name".to_owned(), json!(name)),
            ("permission_mode".to_owned(), json!("default")),
            ("model".to_owned(), json!(self.model)),
        ]);
        payload.extend(prompt.map(|prompt| ("prompt_id".to_owned(), json!(format!("{id}-{prompt}")))));
        payload.extend(data);
        let env = [("CLAUDECODE", "1"), ("MUSTER_RUN", id)];
        ClientFrame::IngestHook(Box::new(IngestHook {
            agent: self.agent.clone(),
            key: None,
            event_hint: None,
            payload: raw(&payload),
            payload_follows: false,
            truncated: false,
            env: env.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
            pid: None,
            pid_start: None,
            boot_id: None,
            pid_ns: None,
            wait_ms: None,
        }))
    }

    /// An event as `muster run` would report it.
    fn event(&self, kind: &str, id: &str, mut data: Map<String, Value>) -> ClientFrame {
        data.insert("run".to_owned(), json!(id));
        let event = json!({ "kind": kind, "session": id, "agent": self.agent, "data": data });
        ClientFrame::IngestEvents(IngestEvents {
            events: raw(&event).into_iter().collect(),
        })
    }
}

fn raw(value: &impl serde::Serialize) -> Option<RawData> {
    serde_json::value::to_raw_value(value).ok()
}

/// The hosts' ingests.
struct Stage {
    sockets: BTreeMap<String, PathBuf>,
    connections: BTreeMap<String, Connection>,
}

impl Stage {
    /// Sends until it is taken, or refused for what it says.
    async fn send(&mut self, host: &str, frame: impl Fn() -> ClientFrame) {
        loop {
            match self.try_send(host, &frame()).await {
                Ok(()) => return,
                Err(SocketError::Refused(error)) => {
                    tracing::warn!(
                        code = error.code,
                        "a step of the recording was refused: {}",
                        error.detail
                    );
                    return;
                }
                Err(_) => {
                    self.connections.remove(host);
                    sleep(AGAIN).await;
                }
            }
        }
    }

    async fn try_send(&mut self, host: &str, frame: &ClientFrame) -> Result<(), SocketError> {
        if !self.connections.contains_key(host) {
            let path = self.sockets.get(host).ok_or(SocketError::Unexpected)?;
            self.connections
                .insert(host.to_owned(), Connection::open(path, "demo").await?);
        }
        let connection = self.connections.get_mut(host).ok_or(SocketError::Unexpected)?;
        connection.ask(frame).await.map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_recording_is_in_order_and_its_parts_are_cast() {
        let recording = Recording::load().unwrap();
        assert!(recording.hosts().len() >= 3);
        assert!(recording.steps.is_sorted_by_key(|step| (step.at * 1000.0) as u64));
        for step in &recording.steps {
            assert!(recording.cast.contains_key(&step.session), "{step:?}");
            assert_ne!(step.hook.is_some(), step.event.is_some(), "{step:?}");
        }
    }

    #[test]
    fn every_hook_of_the_recording_can_be_read() {
        let recording = Recording::load().unwrap();
        for step in &recording.steps {
            let role = &recording.cast[&step.session];
            let Some(hook) = &step.hook else { continue };
            let ClientFrame::IngestHook(frame) = role.hook(hook, "s", step.prompt, step.data.clone()) else {
                panic!("another frame")
            };
            let payload = frame.payload.unwrap();
            assert!(
                muster_wire::incoming::Incoming::read(payload.get().as_bytes(), None).is_ok(),
                "{payload}"
            );
        }
    }
}
