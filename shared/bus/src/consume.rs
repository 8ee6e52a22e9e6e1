//! Work that the hub hands out, and hands out again until it is acknowledged.
//!
//! For effects in the outside world: at least once, several at a time. The order of the log is kept only by
//! [`crate::read`].

use crate::ask::Failed;
use crate::connect::{ANSWER_WITHIN, Bus, retry_pause};
use crate::read::{Place, ReadError, Stored};
use async_nats::Subject;
use async_nats::jetstream::AckKind;
use async_nats::jetstream::consumer::pull;
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::future::BoxFuture;
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

type Opening = BoxFuture<'static, Result<pull::Stream, ReadError>>;

enum Step {
    Idle,
    Opening(Opening),
    Open(Box<pull::Stream>),
}

/// A place in a durable consumer's queue.
pub struct Consumption {
    bus: Bus,
    stream: String,
    durable: String,
    in_flight: usize,
    attempt: usize,
    step: Step,
}

impl Bus {
    /// Takes work from a durable consumer, of which at most about `in_flight` deliveries wait in this process.
    pub fn consume(&self, stream: &str, durable: &str, in_flight: usize) -> Consumption {
        Consumption {
            bus: self.clone(),
            stream: stream.to_owned(),
            durable: durable.to_owned(),
            in_flight: in_flight.max(1),
            attempt: 0,
            step: Step::Idle,
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
            match &mut self.step {
                Step::Idle => self.step = Step::Opening(self.opening()),
                Step::Opening(opening) => {
                    let opened = opening.await;
                    self.step = Step::Idle;
                    match opened {
                        Ok(messages) => self.step = Step::Open(Box::new(messages)),
                        Err(error) => {
                            self.attempt += 1;
                            match error {
                                ReadError::Unavailable(_) => {}
                                error => return Err(error),
                            }
                        }
                    }
                }
                Step::Open(messages) => match messages.next().await {
                    Some(Ok(message)) => {
                        self.attempt = 0;
                        if let Some(delivery) = Delivery::new(&self.bus, message.message) {
                            return Ok(delivery);
                        }
                    }
                    Some(Err(error)) => {
                        tracing::debug!(durable = %self.durable, %error, "asking for work anew");
                        self.attempt += 1;
                        self.step = Step::Idle;
                    }
                    None => self.step = Step::Idle,
                },
            }
        }
    }

    fn opening(&self) -> Opening {
        let bus = self.bus.clone();
        let (stream, durable, in_flight) =
            (self.stream.clone(), self.durable.clone(), self.in_flight);
        let pause = (self.attempt > 0).then(|| retry_pause(self.attempt));
        Box::pin(async move {
            if let Some(pause) = pause {
                tokio::time::sleep(pause).await;
            }
            let mut connection = bus.state();
            let _ = connection.wait_for(|state| state.connected).await;
            let unavailable = |text: String| ReadError::Unavailable(text);
            let consumer: async_nats::jetstream::consumer::PullConsumer = bus
                .context
                .get_consumer_from_stream(&durable, &stream)
                .await
                .map_err(|error| {
                    let text = error.to_string();
                    if text.contains("not found") {
                        return ReadError::Missing(format!("consumer {durable} on {stream}"));
                    }
                    unavailable(text)
                })?;
            consumer
                .stream()
                .max_messages_per_batch(in_flight)
                .expires(PULL_EXPIRES)
                .heartbeat(HEARTBEAT)
                .messages()
                .await
                .map_err(|error| unavailable(error.to_string()))
        })
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
