//! From the log into the ledger: an event is acknowledged when every endpoint that wants it has it written down.

use super::endpoint::Endpoint;
use super::notice::{Notices, Said, Unsaid};
use super::now;
use super::record::{Record, State};
use crate::config::Delivery as Config;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use muster_bus::consume::Delivery;
use muster_bus::kv::{Bucket, KvError};
use muster_bus::{Bus, Stored};
use muster_domain::family::DeliveryKind;
use muster_runtime::drain::Drain;
use muster_wire::Envelope;
use muster_wire::topology::{LEDGER, NOTIFIER};
use serde_json::value::RawValue;
use std::sync::Arc;
use std::time::Duration;

/// Events settled at the same time: what a round trip to the hub allows at a few thousand events a second.
const AT_ONCE: usize = 64;
/// When an event that could not be written down is handed out again.
const RETRY_AFTER: Duration = Duration::from_secs(2);

/// Why an event is not written down yet.
#[derive(Debug, thiserror::Error)]
enum EnterError {
    #[error(transparent)]
    Ledger(#[from] KvError),
    #[error("the service drains")]
    Draining,
}

impl From<Unsaid> for EnterError {
    fn from(_: Unsaid) -> Self {
        Self::Draining
    }
}

/// Takes events from the durable consumer.
pub(crate) struct Intake {
    bus: Bus,
    entries: Arc<Vec<(Arc<Endpoint>, Notices)>>,
    book: Book,
}

/// Writes deliveries down.
#[derive(Clone)]
struct Book {
    ledger: Bucket,
    backlog_max: usize,
    parked_for: Duration,
}

impl Intake {
    pub(crate) fn new(bus: &Bus, entries: Vec<(Arc<Endpoint>, Notices)>, config: &Config) -> Self {
        let book = Book {
            ledger: bus.bucket(&LEDGER),
            backlog_max: config.backlog_max,
            parked_for: config.parked_for.get(),
        };
        Self {
            bus: bus.clone(),
            entries: Arc::new(entries),
            book,
        }
    }

    pub(crate) async fn run(self, drain: Drain) -> anyhow::Result<()> {
        let mut consumption = self.bus.consume(NOTIFIER.stream, NOTIFIER.name, AT_ONCE);
        let mut settling = FuturesUnordered::new();
        loop {
            let delivery = tokio::select! {
                () = drain.requested() => break,
                Some(()) = settling.next() => continue,
                delivery = consumption.next(), if settling.len() < AT_ONCE => delivery,
            };
            match delivery {
                Ok(delivery) => settling.push(settle(delivery, Arc::clone(&self.entries), self.book.clone())),
                // A hub that is set up anew by somebody at this moment.
                Err(error) => {
                    tracing::warn!(%error, "no events to deliver can be had");
                    tokio::time::sleep(RETRY_AFTER).await;
                }
            }
        }
        while settling.next().await.is_some() {}
        Ok(())
    }
}

async fn settle(delivery: Delivery, entries: Arc<Vec<(Arc<Endpoint>, Notices)>>, book: Book) {
    let wanting = match delivery.stored.subject() {
        Ok(subject) => entries
            .iter()
            .filter(|(endpoint, _)| endpoint.wants(&subject))
            .collect(),
        // Of a later version: nobody here can have asked for it.
        Err(_) => Vec::new(),
    };
    let mut written = Ok(());
    if !wanting.is_empty() {
        written = book.enter_all(&delivery.stored, &wanting).await;
    }
    let settled = match written {
        Ok(()) => delivery.ack().await,
        Err(error) => {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "an event is not in the ledger yet"
            );
            delivery.retry_after(RETRY_AFTER).await
        }
    };
    if let Err(error) = settled {
        tracing::debug!(%error, "an event will be handed out again");
    }
}

impl Book {
    async fn enter_all(&self, stored: &Stored, wanting: &[&(Arc<Endpoint>, Notices)]) -> Result<(), EnterError> {
        let envelope = match stored.envelope() {
            Ok(envelope) => envelope,
            Err(error) => {
                tracing::error!(%error, seq = stored.seq, "an event cannot be read, so nobody is told of it");
                return Ok(());
            }
        };
        for (endpoint, notices) in wanting {
            self.enter(stored, &envelope, endpoint, notices).await?;
        }
        Ok(())
    }

    async fn enter(
        &self,
        stored: &Stored,
        envelope: &Envelope,
        endpoint: &Endpoint,
        notices: &Notices,
    ) -> Result<(), EnterError> {
        let reason = |error: &str| Said {
            error: Some(error.to_owned()),
            ..Said::default()
        };
        if endpoint.is_gone() {
            let said = reason("the receiver answered 410 Gone; it is called again after a restart");
            notices
                .say(DeliveryKind::Suppressed, envelope, stored.seq, said, now())
                .await?;
            return Ok(());
        }
        let is_full = endpoint.queue().len() >= self.backlog_max;
        let why = is_full.then(|| {
            format!(
                "more than {} deliveries wait; see delivery.backlog_max",
                self.backlog_max
            )
        });
        let record = Record {
            state: if is_full { State::Parked } else { State::Open },
            attempt: 0,
            due: now(),
            seq: stored.seq,
            traceparent: envelope
                .traceparent
                .clone()
                .or_else(|| stored.traceparent().map(ToOwned::to_owned)),
            reason: why.clone(),
            event: Some(raw(stored)),
        };
        let key = endpoint.ledger_key(envelope.id);
        let written = match &why {
            None => self.ledger.create(&key, record.to_bytes()).await,
            Some(_) => {
                self.ledger
                    .put_with_ttl(&key, record.to_bytes(), self.parked_for, Some(0))
                    .await
            }
        };
        match written {
            // It was handed out before, and is written down.
            Ok(_) | Err(KvError::Conflict { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        if let Some(why) = why {
            notices
                .say(DeliveryKind::Parked, envelope, stored.seq, reason(&why), now())
                .await?;
        }
        Ok(())
    }
}

fn raw(stored: &Stored) -> Box<RawValue> {
    serde_json::from_slice(&stored.payload).expect("invariant: an envelope that was decoded is JSON")
}
