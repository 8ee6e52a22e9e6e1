//! Searching a hundred thousand prompts, beside a question about one session; and how fast they get into the index.

use crate::hub::{HOST, Hub};
use crate::load;
use crate::table::{Reach, Row, Unit, percentile};
use async_nats::Client;
use bytes::Bytes;
use muster_testkit::eventually;
use muster_wire::subject::{Caller, Operation, Request};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::time::{Duration, Instant};

const EVENTS: usize = 100_000;
const POST_EVENTS: usize = 500;
const SESSIONS: usize = 100;
const ROUNDS: usize = 3;
const ASKED: usize = 40;
/// Words there are, and words of a prompt.
const VOCABULARY: usize = 5000;
const PROMPT_WORDS: usize = 24;
/// Long enough for a debug build on a busy machine.
const WITHIN: Duration = Duration::from_secs(600);
/// What kaizen allows its search, in milliseconds.
const GATE: f64 = 250.0;

pub(crate) async fn rows() -> Vec<Row> {
    let hub = Hub::start().await;
    let ingest = hub.ingest().await;
    let http = reqwest::Client::new();
    for number in 0..EVENTS / POST_EVENTS {
        load::post(&http, &ingest.url(), prompts(number)).await;
    }
    hub.reaches(EVENTS as u64).await;
    let began = Instant::now();
    let _orchestrator = hub.service("muster-orchestrator", &[]).await;
    eventually(WITHIN, async || {
        let answer = ask(&hub.client, Operation::SessionsSearch, &json!({"query": "w1"}))
            .await
            .1;
        let reached = answer["indexed_seq"].as_u64().is_some_and(|seq| seq >= EVENTS as u64);
        if reached { Ok(()) } else { Err(answer) }
    })
    .await;
    let mut drawn = Row::new(
        "log → index, 100 000 prompts of 24 words, beside the fold",
        Unit::PerSecond,
        Reach::Reported,
    );
    drawn.alone(EVENTS as f64 / began.elapsed().as_secs_f64());
    let mut rows = vec![drawn];
    let one = json!({"id": "00000001-fbb9-4db4-878f-fd73757b08ad"});
    for (what, query) in [
        ("a word of one prompt in 200", "w17"),
        ("a word of every prompt", "every"),
        ("two words of every prompt", "every prompt"),
        ("a phrase and a beginning", "\"every prompt\" w49*"),
    ] {
        let mut row = Row::new(format!("search of them, p95: {what}"), Unit::Millis, Reach::Never(GATE));
        for _ in 0..ROUNDS {
            let (mut ours, mut floors) = (Vec::with_capacity(ASKED), Vec::with_capacity(ASKED));
            for _ in 0..ASKED {
                let (took, answer) = ask(&hub.client, Operation::SessionsStatus, &one).await;
                assert!(answer["session"].is_object(), "{answer}");
                floors.push(took);
                let (took, answer) = ask(&hub.client, Operation::SessionsSearch, &json!({"query": query})).await;
                assert!(
                    answer["hits"].as_array().is_some_and(|hits| !hits.is_empty()),
                    "{answer}"
                );
                ours.push(took);
            }
            row.round(percentile(&ours, 0.95), percentile(&floors, 0.95));
        }
        rows.push(row);
    }
    rows
}

/// NDJSON of prompts with two words in common and the others from a vocabulary, the same in each run.
fn prompts(number: usize) -> Bytes {
    let mut body = String::new();
    for event in number * POST_EVENTS..(number + 1) * POST_EVENTS {
        let session = format!("{:08x}-fbb9-4db4-878f-fd73757b08ad", event % SESSIONS);
        let mut prompt = "every prompt".to_owned();
        for word in 2..PROMPT_WORDS {
            let mixed = (event * PROMPT_WORDS + word).wrapping_mul(0x9E37_79B9) >> 7;
            write!(prompt, " w{}", mixed % VOCABULARY).expect("invariant: a string can be written to");
        }
        let data = json!({"prompt_id": format!("p{event}"), "prompt": prompt});
        let event = json!({
            "kind": "agent.hook.user_prompt_submit", "session": session, "agent": "claude-code", "data": data
        });
        writeln!(body, "{event}").expect("invariant: a string can be written to");
    }
    body.into()
}

async fn ask(client: &Client, operation: Operation, body: &Value) -> (Duration, Value) {
    let caller = Caller::new(HOST).expect("a legal name");
    let subject = Request { operation, caller }.to_string();
    let began = Instant::now();
    let answer = client.request(subject, body.to_string().into()).await;
    let took = began.elapsed();
    // Nobody is there to be asked before the first election.
    let answer = answer.map(|answer| serde_json::from_slice(&answer.payload).unwrap_or_default());
    (took, answer.unwrap_or_default())
}
