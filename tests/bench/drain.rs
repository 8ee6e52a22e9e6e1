//! A spool that filled while the hub was away, drained into it.

use crate::batch::{Floor, sample};
use crate::hub::Hub;
use crate::load;
use crate::table::{Reach, Row, Unit};

const ROUNDS: usize = 3;
/// Posts that fill the spool, and events of each.
const POSTS: usize = 50;
const POST_EVENTS: usize = 1000;
/// What the first batches of a new connection cost is not counted.
const SKIPPED: u64 = 2000;
const SESSIONS: usize = 100;

pub(crate) async fn rows() -> Vec<Row> {
    let mut hub = Hub::start().await;
    Floor::Bare.create(&hub.jetstream).await;
    Floor::Twin.create(&hub.jetstream).await;
    let ingest = hub.ingest().await;
    let http = reqwest::Client::new();
    let url = ingest.url();
    let mut bare = Row::new("", Unit::PerSecond, Reach::AtLeast(0.6));
    let mut twin = Row::new(
        "  against a stream configured as the log is",
        Unit::PerSecond,
        Reach::Reported,
    );
    let mut bytes = 0;
    for round in 0..ROUNDS {
        let before = hub.last().await;
        hub.server.stop().await;
        for number in 0..POSTS {
            load::post(&http, &url, load::ndjson(round * POSTS + number, POST_EVENTS, SESSIONS)).await;
        }
        hub.server.restart().await;
        let last = before + (POSTS * POST_EVENTS) as u64;
        let ended = hub.reaches(last).await;
        let first = before + SKIPPED;
        let rate = (last - first) as f64 / (ended - hub.stored_at(first).await);

        let messages = sample(&hub.jetstream, first, 1000).await;
        bytes = messages.iter().map(|(_, payload)| payload.len()).sum::<usize>() / messages.len();
        let total = POSTS * POST_EVENTS;
        bare.round(rate, Floor::Bare.rate(&hub.client, &messages, total).await);
        twin.round(rate, Floor::Twin.rate(&hub.client, &messages, total).await);
    }
    vec![
        bare.named(format!("spool drained → hub durable, {bytes} B an event")),
        twin,
    ]
}
