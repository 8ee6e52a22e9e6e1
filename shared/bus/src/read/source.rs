//! One temporary consumer at the hub, read until anything about it is wrong.
//!
//! Push rather than pull: a quarter faster, and flow control bounds what is in flight. Written over the plain subscription,
//! because the client library's own ordered consumer restarts itself without asking whether it is still the same stream.

use super::ReadError;
use super::stored::{Place, Stored};
use crate::connect::{ANSWER_WITHIN, Bus};
use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, push};
use async_nats::jetstream::stream::ConsumerErrorKind;
use async_nats::{Message, StatusCode, Subject, Subscriber, header};
use bytes::Bytes;
use futures_util::{FutureExt, StreamExt};
use std::time::Duration;
use tokio::sync::watch;

use crate::connect::ConnectionState;

/// How often the hub says that it is still there while there is nothing to deliver.
const HEARTBEAT: Duration = Duration::from_secs(2);
/// Silence after which it is not believed to be there any more: two heartbeats and a little. A server of a cluster that
/// dies takes its consumers with it, and this is all that tells when our own connection is to another one.
const SILENCE_MAX: Duration = Duration::from_secs(5);
/// After this long without a subscriber the hub forgets a consumer that was not taken back (see `Drop`). Longer than a lost
/// connection usually lasts, short enough that a fleet that comes and goes stays far from the limit of 1000 consumers a
/// stream.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(30);

/// A consumer of our own.
pub(crate) struct Source {
    bus: Bus,
    /// Where the hub takes the consumer back.
    delete: String,
    subscriber: Subscriber,
    connection: watch::Receiver<ConnectionState>,
    losses: u64,
    /// Messages received: the hub's own count must agree.
    received: u64,
    pending: u64,
    /// A flow control question that is not answered yet. Kept, because answering may be interrupted.
    question: Option<Subject>,
}

impl Source {
    pub(crate) async fn open(
        bus: &Bus,
        stream: &str,
        filters: &[String],
        deliver_policy: DeliverPolicy,
    ) -> Result<Self, ReadError> {
        let unavailable = |text: String| ReadError::Unavailable(text);
        let mut connection = bus.state();
        let losses = connection.borrow_and_update().losses;
        let inbox = bus.client.new_inbox();
        let subscriber = bus
            .client
            .subscribe(inbox.clone())
            .await
            .map_err(|error| unavailable(error.to_string()))?;
        let config = push::Config {
            deliver_subject: inbox,
            deliver_policy,
            filter_subjects: filters.to_vec(),
            ack_policy: AckPolicy::None,
            flow_control: true,
            idle_heartbeat: HEARTBEAT,
            inactive_threshold: FORGOTTEN_AFTER,
            max_deliver: 1,
            memory_storage: true,
            num_replicas: 1,
            ..push::Config::default()
        };
        let creating = bus.context.create_consumer_on_stream(config, stream);
        let api = format!("$JS.API.CONSUMER.CREATE.{stream}");
        let consumer = bus
            .permitted(&api, tokio::time::timeout(ANSWER_WITHIN, creating))
            .await
            .map_err(|failed| unavailable(failed.to_string()))?
            .map_err(|_| unavailable("no answer".to_owned()))?
            .map_err(|error| {
                if matches!(error.kind(), ConsumerErrorKind::JetStream(inner) if inner.error_code() == ErrorCode::STREAM_NOT_FOUND) {
                    return ReadError::Missing(format!("stream {stream}"));
                }
                unavailable(error.to_string())
            })?;
        let delete = format!("$JS.API.CONSUMER.DELETE.{stream}.{}", consumer.cached_info().name);
        Ok(Self {
            bus: bus.clone(),
            delete,
            subscriber,
            connection,
            losses,
            received: 0,
            pending: consumer.cached_info().num_pending,
            question: None,
        })
    }

    /// Messages that wait at the hub, as of the last one.
    pub(crate) const fn pending(&self) -> u64 {
        self.pending
    }

    /// The next message; `None` when this consumer is of no more use.
    pub(crate) async fn next(&mut self) -> Option<Stored> {
        loop {
            if let Some(question) = &self.question {
                self.bus.client.publish(question.clone(), Bytes::new()).await.ok()?;
                self.question = None;
            }
            // Under load there is always one waiting, and looking costs less than setting up a wait.
            let message = match self.subscriber.next().now_or_never() {
                Some(message) => message?,
                None => self.wait().await?,
            };
            match message.status {
                None => return self.accept(message),
                Some(_) => self.heed(&message)?,
            }
        }
    }

    async fn wait(&mut self) -> Option<Message> {
        let silence = tokio::time::sleep(SILENCE_MAX);
        tokio::pin!(silence);
        loop {
            tokio::select! {
                biased;
                message = self.subscriber.next() => return message,
                changed = self.connection.changed() => {
                    changed.ok()?;
                    if self.connection.borrow_and_update().losses != self.losses {
                        return None;
                    }
                }
                () = &mut silence => return None,
            }
        }
    }

    fn accept(&mut self, message: Message) -> Option<Stored> {
        let place = Place::parse(message.reply.as_deref()?)?;
        self.received += 1;
        if place.nth != self.received {
            return None;
        }
        self.pending = place.pending;
        Some(Stored::new(place.seq, place.at, message))
    }

    /// A heartbeat or a flow control question; `None` when it shows that something was missed.
    fn heed(&mut self, message: &Message) -> Option<()> {
        if message.status != Some(StatusCode::IDLE_HEARTBEAT) {
            return None;
        }
        if let Some(question) = &message.reply {
            self.question = Some(question.clone());
            return Some(());
        }
        let headers = message.headers.as_ref()?;
        if let Some(stalled) = headers.get("Nats-Consumer-Stalled") {
            self.question = Some(Subject::from(stalled.as_str()));
        }
        let delivered: u64 = headers.get(header::NATS_LAST_CONSUMER)?.as_str().parse().ok()?;
        (delivered == self.received).then_some(())
    }
}

impl Drop for Source {
    fn drop(&mut self) {
        // Asked for without waiting for the answer. Where nothing can be sent now, the hub forgets the consumer by itself;
        // but whoever looks into the log again and again would be refused at the limit of 1000 long before that.
        let deletion = self.bus.client.publish(std::mem::take(&mut self.delete), Bytes::new());
        // Unconstrained: who has just read many messages has used up what the runtime lets a task do in one go.
        let _ = tokio::task::unconstrained(deletion).now_or_never();
    }
}
