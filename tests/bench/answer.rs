//! From an operator's answer to the end of the hook that waited for it, beside the least that could carry it: two publishes
//! that are stored, and a reader that gets the second.

use crate::hub::{HOST, Hub, socket};
use crate::table::{Reach, Row, Unit, percentile};
use async_nats::jetstream::consumer::{AckPolicy, pull};
use async_nats::jetstream::stream::Config;
use bytes::Bytes;
use futures_util::StreamExt as _;
use muster_bus::operator::Key;
use muster_bus::service::Credentials;
use muster_bus::{Bus, Options};
use muster_testkit::eventually;
use muster_testkit::process::bin;
use muster_wire::api::{ApprovalsList, Reply};
use muster_wire::subject::{Caller, Operation, Request};
use serde_json::json;
use std::io::Write as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const ROUNDS: usize = 5;
/// Of each kind in a round.
const RUNS: usize = 40;
const BARE: &str = "bare.answer";
const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) async fn rows() -> Vec<Row> {
    let hub = Hub::start().await;
    let ingest = hub.ingest().await;
    let orchestrator = hub.service("muster-orchestrator", &[]).await;
    let bus = Bus::connect(&Options::new(hub.server.client_url(), "bench-operator"))
        .await
        .expect("the hub answers");
    let token = orchestrator.dir.join("state/muster/operator.token");
    let operator = Operator {
        credentials: Credentials {
            operator: Some(Key::read(&token).expect("the orchestrator made a token")),
            session: None,
        },
        bus,
    };
    let mut floor = Floor::new(&hub).await;
    let (mut half, mut most) = (row("p50", Reach::Reported), row("p95", Reach::AtMost(2.0)));
    for round in 0..ROUNDS {
        let (mut ours, mut floors) = (Vec::with_capacity(RUNS), Vec::with_capacity(RUNS));
        for run in 0..RUNS {
            floors.push(floor.once().await);
            ours.push(
                operator
                    .answered(&socket(&ingest), &format!("make {round}-{run}"))
                    .await,
            );
        }
        half.round(percentile(&ours, 0.5), percentile(&floors, 0.5));
        most.round(percentile(&ours, 0.95), percentile(&floors, 0.95));
    }
    vec![half, most]
}

fn row(which: &str, reach: Reach) -> Row {
    Row::new(format!("answer posted → hook exits, {which}"), Unit::Millis, reach)
}

struct Operator {
    bus: Bus,
    credentials: Credentials,
}

impl Operator {
    async fn ask(&self, operation: Operation, body: serde_json::Value) -> Bytes {
        let caller = Caller::new(HOST).expect("a legal name");
        let request = Request { operation, caller };
        let body = Bytes::from(body.to_string());
        self.bus
            .request_as(&self.credentials, &request, body, PATIENCE)
            .await
            .expect("an answer")
    }

    /// A hook waits; its approval is answered; it ends.
    async fn answered(&self, socket: &Path, command: &str) -> Duration {
        let hook = wait(socket, command);
        let id = eventually(PATIENCE, async || {
            let list = self.ask(Operation::ApprovalsList, json!({})).await;
            let list = Reply::<ApprovalsList>::read(&list).expect("a list").body;
            list.approvals.first().map(|row| row.id)
        })
        .await;
        let began = Instant::now();
        let answer = json!({ "id": id, "decision": "approve" });
        let (answer, output) = tokio::join!(
            self.ask(Operation::ApprovalsResolve, answer),
            tokio::task::spawn_blocking(move || {
                let output = hook.wait_with_output().expect("it ends");
                (output, Instant::now())
            })
        );
        let (output, ended) = output.expect("it is waited for");
        let (said, took) = (
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&answer),
        );
        assert!(said.contains("\"allow\"") && took.contains("applied"), "{said} {took}");
        ended - began
    }
}

/// A hook that asks for permission.
fn wait(socket: &Path, command: &str) -> Child {
    let payload = json!({
        "session_id": "78e6edba-fbb9-4db4-878f-fd73757b08ad", "cwd": "/home/dev/app", "permission_mode": "default",
        "prompt_id": "6a0c5a3e-5cf8-4c65-8b0f-6f9c1c7ad0de", "hook_event_name": "PermissionRequest",
        "tool_name": "Bash", "tool_input": { "command": command },
    });
    let mut hook = Command::new(bin("muster-hook"))
        .env_clear()
        .env("CLAUDECODE", "1")
        .arg("--socket")
        .arg(socket)
        .args(["--wait", "60s"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("a program starts");
    let mut input = hook.stdin.take().expect("its input");
    input.write_all(payload.to_string().as_bytes()).expect("it reads");
    hook
}

/// Two stored messages, and a reader that waits for the second.
struct Floor {
    jetstream: async_nats::jetstream::Context,
    messages: pull::Stream,
}

impl Floor {
    async fn new(hub: &Hub) -> Self {
        let config = Config {
            name: "bare".into(),
            subjects: vec![format!("{BARE}.>")],
            ..Config::default()
        };
        let stream = hub.jetstream.create_stream(config).await.expect("a stream");
        let reader = pull::Config {
            ack_policy: AckPolicy::None,
            filter_subject: format!("{BARE}.second"),
            ..pull::Config::default()
        };
        let consumer = stream.create_consumer(reader).await.expect("a consumer");
        Self {
            jetstream: hub.jetstream.clone(),
            messages: consumer.messages().await.expect("its messages"),
        }
    }

    async fn once(&mut self) -> Duration {
        let began = Instant::now();
        for subject in ["first", "second"] {
            let payload = Bytes::from(vec![b' '; 600]);
            let sent = self.jetstream.publish(format!("{BARE}.{subject}"), payload).await;
            sent.expect("it is sent").await.expect("it is stored");
        }
        self.messages.next().await.expect("it goes on").expect("a message");
        began.elapsed()
    }
}
