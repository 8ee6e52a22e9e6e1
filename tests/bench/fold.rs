//! The log folded from its beginning, by an orchestrator without a snapshot.

use crate::batch::ordered;
use crate::hub::Hub;
use crate::load;
use crate::table::{Reach, Row, Unit};
use futures_util::StreamExt as _;
use muster_tests::Service;
use std::time::{Duration, Instant};

const ROUNDS: usize = 3;
const POSTS: usize = 150;
const POST_EVENTS: usize = 1000;
const SESSIONS: usize = 1000;
/// How often the orchestrator is asked how far it is: a few per cent of a replay at most.
const LOOK: Duration = Duration::from_millis(10);

pub(crate) async fn rows() -> Vec<Row> {
    let hub = Hub::start().await;
    let ingest = hub.ingest().await;
    let http = reqwest::Client::new();
    let before = hub.last().await;
    for number in 0..POSTS {
        load::post(&http, &ingest.url(), load::ndjson(number, POST_EVENTS, SESSIONS)).await;
    }
    hub.reaches(before + (POSTS * POST_EVENTS) as u64).await;
    drop(ingest);
    let events = hub.last().await;
    let mut row = Row::new(
        format!("fold of {events} events of {SESSIONS} sessions"),
        Unit::PerSecond,
        Reach::AtLeast(0.5),
    );
    for round in 0..ROUNDS {
        let floor = bare(&hub, events).await;
        row.round(replay(&hub, &http, round, events).await, floor);
    }
    vec![row]
}

async fn bare(hub: &Hub, events: u64) -> f64 {
    let mut messages = ordered(&hub.jetstream, 1).await;
    messages.next().await.expect("a message").expect("the log can be read");
    let began = Instant::now();
    for _ in 1..events {
        messages.next().await.expect("a message").expect("the log can be read");
    }
    (events - 1) as f64 / began.elapsed().as_secs_f64()
}

/// From the first time it has folded anything to the last event: what starting costs is another number.
async fn replay(hub: &Hub, http: &reqwest::Client, round: usize, events: u64) -> f64 {
    let name = format!("orchestrator-{round}");
    let orchestrator = Service::start("muster-orchestrator", &name, hub.root(), &hub.server.client_url(), &[]);
    let url = format!("{}/metrics", orchestrator.url());
    let mut began = None;
    loop {
        tokio::time::sleep(LOOK).await;
        let folded = folded(http, &url).await;
        match began {
            None if folded > 0 => began = Some((Instant::now(), folded)),
            Some((at, first)) if folded >= events => return (folded - first) as f64 / at.elapsed().as_secs_f64(),
            Some(_) | None => {}
        }
    }
}

/// Zero until it answers.
async fn folded(http: &reqwest::Client, url: &str) -> u64 {
    let Ok(response) = http.get(url).send().await else {
        return 0;
    };
    let text = response.text().await.unwrap_or_default();
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("muster_orchestrator_events_folded_total "));
    line.and_then(|count| count.trim().parse::<f64>().ok())
        .map_or(0, |count| count as u64)
}
