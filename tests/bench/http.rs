//! NDJSON posted to `/v1/events`, until it is spooled and until the hub has it.

use crate::batch::{Floor, sample};
use crate::hub::{Hub, bare_agent};
use crate::load;
use crate::table::{Reach, Row, Unit};
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

const ROUNDS: usize = 3;
const POSTS: usize = 40;
const POST_EVENTS: usize = 1000;
const SESSIONS: usize = 100;

pub(crate) async fn rows() -> Vec<Row> {
    let hub = Hub::start().await;
    Floor::Bare.create(&hub.jetstream).await;
    let ingest = hub.ingest().await;
    let (_agent, socket) = bare_agent(hub.root()).await;
    let (http, url) = (reqwest::Client::new(), ingest.url());
    let total = POSTS * POST_EVENTS;
    let post = format!("HTTP NDJSON, {POST_EVENTS} a post");
    let mut kept = Row::new(
        format!("{post} → spooled (floor: fdatasync agent)"),
        Unit::PerSecond,
        Reach::Reported,
    );
    let mut spooled = Row::new(
        format!("{post} → spooled (floor: batches)"),
        Unit::PerSecond,
        Reach::AtLeast(0.3),
    );
    let mut durable = Row::new(
        format!("{post} → hub durable (floor: batches)"),
        Unit::PerSecond,
        Reach::AtLeast(0.3),
    );
    for round in 0..ROUNDS {
        let bodies: Vec<_> = (0..POSTS)
            .map(|number| load::ndjson(round * POSTS + number, POST_EVENTS, SESSIONS))
            .collect();
        let before = hub.last().await;
        let began = (
            Instant::now(),
            SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .expect("a clock")
                .as_secs_f64(),
        );
        for body in &bodies {
            load::post(&http, &url, body.clone()).await;
        }
        let at_spool = total as f64 / began.0.elapsed().as_secs_f64();
        let at_hub = total as f64 / (hub.reaches(before + total as u64).await - began.1);

        let agent = total as f64 / bare(&socket, &bodies);
        let messages = sample(&hub.jetstream, before + 1, 1000).await;
        let batches = Floor::Bare.rate(&hub.client, &messages, total).await;
        kept.round(at_spool, agent);
        spooled.round(at_spool, batches);
        durable.round(at_hub, batches);
    }
    vec![kept, spooled, durable]
}

/// Seconds the floor's agent takes for the same bytes.
fn bare(socket: &Path, bodies: &[bytes::Bytes]) -> f64 {
    let began = Instant::now();
    let mut stream = UnixStream::connect(socket).expect("the agent listens");
    for body in bodies {
        let length = u32::try_from(body.len()).expect("a small body");
        stream.write_all(&length.to_be_bytes()).expect("it reads");
        stream.write_all(body).expect("it reads");
        stream.read_exact(&mut [0]).expect("it answers");
    }
    began.elapsed().as_secs_f64()
}
