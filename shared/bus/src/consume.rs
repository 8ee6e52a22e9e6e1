//! Work that the hub hands out, and hands out again until it is acknowledged.
//!
//! For effects in the outside world: at least once, several at a time. The order of the log is kept only by
//! [`crate::read`].

use crate::ask::Failed;
use crate::connect::{ANSWER_WITHIN, Bus};
use crate::read::{Place, ReadError, Stored};
use crate::resume::Resuming;
use async_nats::Subject;
use async_nats::jetstream::consumer::{PullConsumer, pull};
use async_nats::jetstream::stream::ConsumerErrorKind;
use async_nats::jetstream::{AckKind, ErrorCode};
use bytes::Bytes;
use futures_util::{FutureExt, StreamExt};
use std::time::Duration;

/// How long one request for work stands at the hub.
const PULL_EXPIRES: Duration = Duration::from_secs(30);
/// How often the hub says that it is still there: two missed ones start anew.
const HEARTBEAT: Duration = Duration::from_secs(5);

/// Why the hub did not hear what became of a delivery: it will be handed out again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the hub did not confirm the acknowledgement: {0}")]
pub struct AckError(String);

impl From<Failed> for AckError {
    fn from(failed: Failed) -> Self {
        Self(failed.to_string())
    }
}

/// A place in a durable consumer's queue.
///
/// To leave, drop it before the deliveries it gave: as long as it is there, what goes back to the hub comes here again.
pub struct Consumption {
    bus: Bus,
    stream: String,
    durable: String,
    in_flight: usize,
    messages: Resuming<pull::Stream>,
}

impl Bus {
    /// Takes work from a durable consumer, of which at most about `in_flight` deliveries wait in this process.
    pub fn consume(&self, stream: &str, durable: &str, in_flight: usize) -> Consumption {
        Consumption {
            bus: self.clone(),
            stream: stream.to_owned(),
            durable: durable.to_owned(),
            in_flight: in_flight.max(1),
            messages: Resuming::new(),
        }
    }
}

impl Consumption {
    /// The next delivery. Waits for it as long as it takes, through outages too; may be dropped and called again.
    ///
    /// # Errors
    /// [`ReadError::Missing`] when there is no such consumer. Calling again tries again.
    pub async fn next(&mut self) -> Result<Delivery, ReadError> {
        loop {
            let Self {
                bus,
                stream,
                durable,
                in_flight,
                messages,
            } = self;
            let open = || begin(bus.clone(), stream.clone(), durable.clone(), *in_flight);
            match messages.opened(bus, open).await?.next().await {
                Some(Ok(message)) => {
                    messages.works();
                    if let Some(delivery) = Delivery::new(bus, message.message) {
                        return Ok(delivery);
                    }
                }
                Some(Err(error)) => {
                    tracing::debug!(durable, %error, "asking for work anew");
                    messages.broke();
                }
                None => messages.broke(),
            }
        }
    }
}

/// A durable consumer, which must be there.
pub(crate) async fn existing(bus: &Bus, stream: &str, durable: &str) -> Result<PullConsumer, ReadError> {
    let found = bus.context.get_consumer_from_stream(durable, stream).await;
    found.map_err(|error| match error.kind() {
        ConsumerErrorKind::JetStream(inner)
            if [ErrorCode::CONSUMER_NOT_FOUND, ErrorCode::STREAM_NOT_FOUND].contains(&inner.error_code()) =>
        {
            ReadError::Missing(format!("consumer {durable} on {stream}"))
        }
        ConsumerErrorKind::JetStream(_)
        | ConsumerErrorKind::TimedOut
        | ConsumerErrorKind::Request
        | ConsumerErrorKind::InvalidConsumerType
        | ConsumerErrorKind::InvalidName
        | ConsumerErrorKind::Other => ReadError::Unavailable(error.to_string()),
    })
}

async fn begin(bus: Bus, stream: String, durable: String, in_flight: usize) -> Result<pull::Stream, ReadError> {
    let consumer = existing(&bus, &stream, &durable).await?;
    consumer
        .stream()
        .max_messages_per_batch(in_flight)
        .expires(PULL_EXPIRES)
        .heartbeat(HEARTBEAT)
        .messages()
        .await
        .map_err(|error| ReadError::Unavailable(error.to_string()))
}

impl Drop for Consumption {
    fn drop(&mut self) {
        let Some(messages) = self.messages.get_mut() else {
            return;
        };
        // What was fetched ahead is work that others can have now instead of when its time is up.
        for _ in 0..2 * self.in_flight {
            let Some(Some(Ok(message))) = messages.next().now_or_never() else {
                return;
            };
            drop(Delivery::new(&self.bus, message.message));
        }
    }
}

/// One piece of work. Dropped without a word, it goes back to the hub at once.
#[must_use = "a delivery that is dropped is handed out again"]
pub struct Delivery {
    /// The message.
    pub stored: Stored,
    /// How often it has been handed out, this time included.
    pub attempt: u64,
    bus: Bus,
    reply: Option<Subject>,
}

impl Delivery {
    fn new(bus: &Bus, message: async_nats::Message) -> Option<Self> {
        let reply = message.reply.clone()?;
        let place = Place::parse(&reply)?;
        Some(Self {
            stored: Stored::new(place.seq, place.at, message),
            attempt: place.attempt,
            bus: bus.clone(),
            reply: Some(reply),
        })
    }

    /// It is done: never again. Returns when the hub has confirmed it.
    ///
    /// # Errors
    /// [`AckError`]: it may be handed out again.
    pub async fn ack(self) -> Result<(), AckError> {
        self.settle(AckKind::Ack).await
    }

    /// It failed for now: hand it out again after `pause`.
    ///
    /// # Errors
    /// [`AckError`]: it is handed out again when its time is up.
    pub async fn retry_after(self, pause: Duration) -> Result<(), AckError> {
        self.settle(AckKind::Nak(Some(pause))).await
    }

    /// It can never be done and was put aside: never again.
    ///
    /// # Errors
    /// [`AckError`]: it may be handed out again.
    pub async fn park(self) -> Result<(), AckError> {
        self.settle(AckKind::Term).await
    }

    /// It takes longer: start its time anew.
    ///
    /// # Errors
    /// [`AckError`]: it may be handed out again meanwhile.
    pub async fn progress(&self) -> Result<(), AckError> {
        self.say(AckKind::Progress).await
    }

    async fn settle(mut self, kind: AckKind) -> Result<(), AckError> {
        let said = self.say(kind).await;
        // Said is said, heard or not: a late "no" after a "yes" would hand it out again.
        self.reply = None;
        said
    }

    async fn say(&self, kind: AckKind) -> Result<(), AckError> {
        let Some(reply) = &self.reply else {
            return Ok(());
        };
        self.bus
            .ask(reply.to_string(), None, kind.into(), ANSWER_WITHIN)
            .await?;
        Ok(())
    }
}

impl Drop for Delivery {
    fn drop(&mut self) {
        // Outside the runtime nothing can be sent any more; the delivery's time runs out instead.
        if let Some(reply) = self.reply.take()
            && tokio::runtime::Handle::try_current().is_ok()
        {
            let client = self.bus.client.clone();
            self.bus.tracker.spawn(async move {
                let nak: Bytes = AckKind::Nak(None).into();
                let _ = tokio::time::timeout(ANSWER_WITHIN, client.publish(reply, nak)).await;
            });
        }
    }
}
