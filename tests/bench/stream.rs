//! From the answer to a hook's post until a client of the live stream has the event, at a steady pace.

use crate::hub::Hub;
use crate::table::{Reach, Row, Unit, percentile};
use async_nats::jetstream::consumer::{AckPolicy, pull};
use async_nats::jetstream::stream::Config;
use futures_util::StreamExt as _;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::interval;

const ROUNDS: usize = 5;
/// Events of a round: two seconds' worth.
const EVENTS: usize = 400;
const PACE: Duration = Duration::from_millis(5);
const BARE: &str = "bare.event";

/// What arrived, under the name it can be recognised by.
type Arrivals = mpsc::Receiver<(String, Instant)>;

pub(crate) async fn rows() -> Vec<Row> {
    let hub = Hub::start().await;
    let ingest = hub.ingest().await;
    let _orchestrator = hub.service("muster-orchestrator", &[]).await;
    let notifier = hub.service("muster-notifier", &[]).await;
    let mut readers = JoinSet::new();
    let mut frames = follow(
        &mut readers,
        format!("{}/api/v1/stream?family=agent.hook", notifier.url()),
    )
    .await;
    let mut pulled = consume(&mut readers, &hub).await;
    let url = format!("{}/v1/hooks/claude-code", ingest.url());
    let http = reqwest::Client::new();

    let mut half = Row::new(
        "HTTP 2xx → SSE frame, 200 events/s, p50",
        Unit::Millis,
        Reach::AtMost(2.0),
    );
    let mut most = Row::new("HTTP 2xx → SSE frame, 200 events/s, p99", Unit::Millis, Reach::Reported);
    for _ in 0..ROUNDS {
        let floors = published(&hub, &mut pulled).await;
        let ours = posted(&http, &url, &mut frames).await;
        half.round(percentile(&ours, 0.5), percentile(&floors, 0.5));
        most.round(percentile(&ours, 0.99), percentile(&floors, 0.99));
    }
    vec![half, most]
}

async fn posted(http: &reqwest::Client, url: &str, frames: &mut Arrivals) -> Vec<Duration> {
    let mut answered = BTreeMap::new();
    let mut tick = interval(PACE);
    for number in 0..EVENTS {
        tick.tick().await;
        let body = json!({"hook_event_name": "PreToolUse", "session_id": "s", "prompt_id": "p", "tool_name": "Bash",
            "tool_use_id": format!("call-{number}"), "tool_input": {"command": "cargo test --workspace 2>&1 | tail -40"}});
        let response = http.post(url).json(&body).send().await.expect("ingest answers");
        let at = Instant::now();
        let id = response
            .headers()
            .get("muster-event-id")
            .and_then(|id| id.to_str().ok())
            .expect("an accepted hook");
        answered.insert(id.to_owned(), at);
    }
    delays(answered, frames).await
}

async fn published(hub: &Hub, pulled: &mut Arrivals) -> Vec<Duration> {
    let mut sent = BTreeMap::new();
    let mut tick = interval(PACE);
    for number in 0..EVENTS {
        tick.tick().await;
        let payload = format!("{number:0>600}");
        sent.insert(payload.clone(), Instant::now());
        hub.jetstream
            .publish(BARE, payload.into())
            .await
            .expect("it is sent")
            .await
            .expect("it is stored");
    }
    delays(sent, pulled).await
}

async fn delays(mut begun: BTreeMap<String, Instant>, arrivals: &mut Arrivals) -> Vec<Duration> {
    let mut delays = Vec::with_capacity(begun.len());
    while !begun.is_empty() {
        let (name, at) = tokio::time::timeout(Duration::from_secs(10), arrivals.recv())
            .await
            .expect("all arrive")
            .expect("the reader goes on");
        if let Some(began) = begun.remove(&name) {
            delays.push(at.saturating_duration_since(began));
        }
    }
    delays
}

async fn consume(readers: &mut JoinSet<()>, hub: &Hub) -> Arrivals {
    let config = Config {
        name: "bare".into(),
        subjects: vec![BARE.into()],
        ..Config::default()
    };
    let stream = hub
        .jetstream
        .create_stream(config)
        .await
        .expect("a stream for the floor");
    let consumer = stream
        .create_consumer(pull::Config {
            ack_policy: AckPolicy::None,
            ..pull::Config::default()
        })
        .await
        .expect("a consumer");
    let mut messages = consumer.messages().await.expect("its messages");
    let (sender, arrivals) = mpsc::channel(4 * EVENTS);
    readers.spawn(async move {
        while let Some(message) = messages.next().await {
            let (message, at) = (message.expect("a message"), Instant::now());
            sender
                .send((String::from_utf8_lossy(&message.payload).into_owned(), at))
                .await
                .ok();
        }
    });
    arrivals
}

/// A client of the stream; returns when it was greeted.
async fn follow(readers: &mut JoinSet<()>, url: String) -> Arrivals {
    let response = reqwest::get(url).await.expect("the notifier answers");
    assert!(response.status().is_success(), "{}", response.status());
    let mut chunks = response.bytes_stream();
    let (sender, arrivals) = mpsc::channel(4 * EVENTS);
    let first = chunks.next().await.expect("a greeting").expect("bytes");
    readers.spawn(async move {
        let mut text = String::from_utf8_lossy(&first).into_owned();
        while let Some(chunk) = chunks.next().await {
            let at = Instant::now();
            text.push_str(&String::from_utf8_lossy(&chunk.expect("bytes")));
            while let Some(end) = text.find("\n\n") {
                let frame: String = text.drain(..end + 2).collect();
                let data = frame.lines().find_map(|line| line.strip_prefix("data: "));
                let event: Option<Value> = data.and_then(|data| serde_json::from_str(data).ok());
                if let Some(id) = event.as_ref().and_then(|event| event["id"].as_str()) {
                    sender.send((id.to_owned(), at)).await.ok();
                }
            }
        }
    });
    arrivals
}
