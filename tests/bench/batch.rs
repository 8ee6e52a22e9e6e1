//! The floor of everything that stores events: atomic batches of a thousand, written by hand, one in flight.

use async_nats::jetstream::consumer::push;
use async_nats::jetstream::stream::{Config, Republish};
use async_nats::jetstream::{self, Context};
use async_nats::{Client, HeaderMap};
use bytes::Bytes;
use futures_util::StreamExt as _;
use muster_wire::topology;
use std::time::Instant;

/// As many as an atomic batch may hold.
const BATCH: usize = 1000;

/// A stream for the floor, which takes what its prefix begins.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Floor {
    /// With nothing asked of it but to be a file.
    Bare,
    /// With all that the log has: compression, republication, and message ids to recognise.
    Twin,
}

impl Floor {
    const fn prefix(self) -> &'static str {
        match self {
            Self::Bare => "bare",
            Self::Twin => "twin",
        }
    }

    pub(crate) async fn create(self, jetstream: &Context) {
        let config = match self {
            Self::Bare => Config {
                allow_atomic_publish: true,
                ..Config::default()
            },
            Self::Twin => jetstream
                .get_stream(topology::EVENTS)
                .await
                .expect("the log")
                .cached_info()
                .config
                .clone(),
        };
        let republish = config.republish.clone().map(|_| Republish {
            source: ">".into(),
            destination: "copied.>".into(),
            headers_only: false,
        });
        let config = Config {
            name: self.prefix().to_owned(),
            subjects: vec![format!("{}.>", self.prefix())],
            republish,
            ..config
        };
        jetstream.create_stream(config).await.expect("a stream for the floor");
    }

    /// Stores each message as often as it takes to reach `total`; messages a second.
    pub(crate) async fn rate(self, client: &Client, messages: &[(String, Bytes)], total: usize) -> f64 {
        let all: Vec<_> = messages
            .iter()
            .map(|(subject, payload)| (format!("{}.{subject}", self.prefix()), payload.clone()))
            .collect();
        let began = Instant::now();
        let mut stored = 0;
        while stored < total {
            self.batch(client, &all[..BATCH.min(all.len())]).await;
            stored += BATCH.min(all.len());
        }
        stored as f64 / began.elapsed().as_secs_f64()
    }

    async fn batch(self, client: &Client, messages: &[(String, Bytes)]) {
        let batch = format!("{:032x}", rand::random::<u128>());
        for (index, (subject, payload)) in messages.iter().enumerate() {
            let mut headers = HeaderMap::new();
            headers.insert("Nats-Batch-Id", batch.as_str());
            headers.insert("Nats-Batch-Sequence", (index + 1).to_string().as_str());
            if matches!(self, Self::Twin) {
                headers.insert("Nats-Msg-Id", format!("{batch}-{index}").as_str());
            }
            if index + 1 < messages.len() {
                client
                    .publish_with_headers(subject.clone(), headers, payload.clone())
                    .await
                    .expect("a message is sent");
                continue;
            }
            headers.insert("Nats-Batch-Commit", "1");
            let ack = client
                .request_with_headers(subject.clone(), headers, payload.clone())
                .await
                .expect("the hub answers");
            let ack: serde_json::Value = serde_json::from_slice(&ack.payload).expect("an acknowledgement");
            assert_eq!(ack["count"], messages.len(), "{ack}");
        }
    }
}

/// The first messages of the log from a sequence on: the very bytes the floor is measured with.
pub(crate) async fn sample(jetstream: &Context, from: u64, count: usize) -> Vec<(String, Bytes)> {
    let mut messages = ordered(jetstream, from).await.take(count);
    let mut sample = Vec::with_capacity(count);
    while let Some(message) = messages.next().await {
        let message = message.expect("the log can be read");
        sample.push((message.subject.to_string(), message.payload.clone()));
    }
    sample
}

/// A bare ordered consumer of the log, the faster of the two kinds there are.
pub(crate) async fn ordered(jetstream: &Context, start_sequence: u64) -> push::Ordered {
    let stream = jetstream.get_stream(topology::EVENTS).await.expect("the log");
    let deliver_policy = jetstream::consumer::DeliverPolicy::ByStartSequence { start_sequence };
    let config = push::OrderedConfig {
        deliver_subject: jetstream.client().new_inbox(),
        deliver_policy,
        ..push::OrderedConfig::default()
    };
    let consumer = stream.create_consumer(config).await.expect("an ordered consumer");
    consumer.messages().await.expect("its messages")
}
