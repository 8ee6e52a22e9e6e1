//! A question to the orchestrator, beside a bare request to a process that answers with as many bytes.

use crate::hub::{HOST, Hub};
use crate::load;
use crate::table::{Reach, Row, Unit, percentile};
use async_nats::Client;
use bytes::Bytes;
use futures_util::StreamExt as _;
use muster_testkit::eventually;
use muster_testkit::process::Spawned;
use muster_wire::subject::{Caller, Operation, Request};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

const ROUNDS: usize = 5;
/// Of each kind in a round.
const ASKED: usize = 400;
const POST_EVENTS: usize = 500;
const SESSIONS: usize = 100;
const BARE: &str = "bare.question";
/// How this program is called to be the floor's answering side.
pub(crate) const RESPONDER: &str = "responder";

pub(crate) async fn rows() -> Vec<Row> {
    let hub = Hub::start().await;
    let ingest = hub.ingest().await;
    let _orchestrator = hub.service("muster-orchestrator", &[]).await;
    let http = reqwest::Client::new();
    load::post(&http, &ingest.url(), load::ndjson(0, POST_EVENTS, SESSIONS)).await;
    hub.reaches(POST_EVENTS as u64).await;

    let caller = Caller::new(HOST).expect("a legal name");
    let subject = Request {
        operation: Operation::SessionsStatus,
        caller,
    }
    .to_string();
    let body = Bytes::from(r#"{"id":"00000001-fbb9-4db4-878f-fd73757b08ad"}"#);
    let answer = eventually(Duration::from_secs(30), async || {
        let answer = hub
            .client
            .request(subject.clone(), body.clone())
            .await
            .map_err(|error| error.to_string())?;
        let text = String::from_utf8_lossy(&answer.payload).into_owned();
        if text.contains("\"error\":") {
            Err(text)
        } else {
            Ok(text)
        }
    })
    .await;
    let mut responder = Command::new(std::env::current_exe().expect("this program"));
    responder.args([RESPONDER, &hub.server.client_url(), &answer.len().to_string()]);
    let _responder = Spawned::start(responder);
    eventually(Duration::from_secs(10), async || {
        hub.client.request(BARE, body.clone()).await.map(drop)
    })
    .await;

    let mut rows = measured("idle", &hub.client, &subject, &body).await;
    let (posts, began) = (Arc::new(AtomicUsize::new(0)), Instant::now());
    let load = JoinSet::from_iter([fill(http, ingest.url(), Arc::clone(&posts))]);
    rows.extend(measured("full ingest", &hub.client, &subject, &body).await);
    let rate = (posts.load(Ordering::Relaxed) * POST_EVENTS) as f64 / began.elapsed().as_secs_f64();
    drop(load);
    let mut beside = Row::new("  events accepted meanwhile", Unit::PerSecond, Reach::Reported);
    beside.alone(rate);
    rows.push(beside);
    rows
}

async fn fill(http: reqwest::Client, url: String, posts: Arc<AtomicUsize>) {
    loop {
        let number = posts.fetch_add(1, Ordering::Relaxed) + 1;
        load::post(&http, &url, load::ndjson(number, POST_EVENTS, SESSIONS)).await;
    }
}

async fn measured(state: &str, client: &Client, subject: &str, body: &Bytes) -> Vec<Row> {
    let mut half = Row::new(
        format!("orchestrator request, {state}, p50"),
        Unit::Millis,
        Reach::AtMost(1.5),
    );
    let mut most = Row::new(
        format!("orchestrator request, {state}, p99"),
        Unit::Millis,
        Reach::AtMost(2.0),
    );
    for _ in 0..ROUNDS {
        let (mut ours, mut floors) = (Vec::with_capacity(ASKED), Vec::with_capacity(ASKED));
        for _ in 0..ASKED {
            floors.push(ask(client, BARE, body).await);
            ours.push(ask(client, subject, body).await);
        }
        half.round(percentile(&ours, 0.5), percentile(&floors, 0.5));
        most.round(percentile(&ours, 0.99), percentile(&floors, 0.99));
    }
    vec![half, most]
}

async fn ask(client: &Client, subject: &str, body: &Bytes) -> Duration {
    let began = Instant::now();
    let answer = client
        .request(subject.to_owned(), body.clone())
        .await
        .expect("an answer");
    let took = began.elapsed();
    // A refusal is quick, and is marked in a header.
    assert!(answer.headers.is_none(), "refused: {:?}", answer.headers);
    took
}

/// The floor's answering side: the same bytes to whatever is asked.
pub(crate) async fn respond(url: &str, bytes: usize) {
    let client = async_nats::connect(url).await.expect("the hub answers");
    let mut questions = client.subscribe(BARE).await.expect("a subscription");
    let answer = Bytes::from(vec![b' '; bytes]);
    while let Some(question) = questions.next().await {
        let reply = question.reply.expect("a question has a reply subject");
        client.publish(reply, answer.clone()).await.expect("an answer is sent");
    }
}
