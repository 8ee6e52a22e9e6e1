//! Publishing events so that at every moment it is known which are stored.
//!
//! A [`Producer`] has one publish or one batch in flight. That is what makes "the last one stored" an answer: what a
//! producer sent arrives in its own order or not at all, so after an unknown outcome one question ([`Bus::last_stored`])
//! tells where to go on. Few messages go out one by one, at once; many go out as atomic batches, because the hub fsyncs
//! once a batch. A batch can be refused for reasons that none of its messages would be refused for (one of them was stored
//! before, the hub has too many batches open): its messages then go out one by one, after a pause that differs between
//! producers, and the next batch is a batch again.
//!
//! Nothing here retries. What to do next depends on what the caller has on disk.

mod last;
pub(crate) mod send;

pub use last::LastStored;

use crate::ask::{Away, Failed, Refusal, Unanswered};
use crate::connect::Bus;
use bytes::Bytes;
use muster_domain::ids::EventId;
use muster_wire::limits::{BATCH_BYTES_MAX, BATCH_MESSAGES_MAX};
use muster_wire::{Envelope, Subject};
use rand::Rng;
use std::time::Duration;

/// From how many messages on a batch is faster than one publish after another: a batch costs the hub about 4 ms whatever
/// its size, a publish 0.3 ms (0.5 ms with an fsync each).
const BATCH_FROM: usize = 12;
/// What headers add to a message at most: the ids, trace context and batch fields we set ourselves.
const HEADER_BYTES_MAX: usize = 1024;
/// How far producers whose batches were refused spread out.
const FALLBACK_SPREAD: Duration = Duration::from_millis(50);

/// One event on its way to the hub.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outgoing {
    /// Where to.
    pub subject: Subject,
    /// The envelope, encoded.
    pub payload: Bytes,
    /// The event's id, by which the hub recognises a repetition.
    pub id: EventId,
    /// W3C trace context; the current span's where none is given.
    pub traceparent: Option<String>,
}

impl Outgoing {
    /// The message of an envelope.
    ///
    /// # Errors
    /// Those of [`Envelope::encode`].
    pub fn of(envelope: &Envelope) -> Result<Self, serde_json::Error> {
        Ok(Self {
            subject: envelope.subject(),
            payload: envelope.encode()?.into(),
            id: envelope.id,
            traceparent: envelope.traceparent.clone(),
        })
    }
}

/// What is known after publishing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outcome {
    /// How many messages, counted from the first, are stored for sure.
    pub stored: usize,
    /// How many of those the hub had already.
    pub duplicates: usize,
    /// The log sequence of the last one stored.
    pub last_seq: Option<u64>,
    /// Why it stopped before the end; `None` when all are stored.
    pub stopped: Option<Stopped>,
}

/// Why publishing stopped.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Stopped {
    /// The hub will never take this message.
    #[error("message {index}: {reason}")]
    Refused {
        /// Its place among the messages given.
        index: usize,
        /// Why.
        reason: Refusal,
    },
    /// Nothing of the rest is stored.
    #[error(transparent)]
    Away(Away),
    /// The rest may be stored or not.
    #[error(transparent)]
    Unknown(Unanswered),
}

/// What to do after publishing stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disposition {
    /// Put the message aside with the reason, publish a tombstone in its place, go on after it.
    Park,
    /// Wait, then publish the rest again.
    Wait,
    /// Ask for the last one stored, and go on after it.
    Ask,
}

impl Stopped {
    /// What to do now.
    pub const fn disposition(&self) -> Disposition {
        match self {
            Self::Refused { .. } => Disposition::Park,
            Self::Away(_) => Disposition::Wait,
            Self::Unknown(_) => Disposition::Ask,
        }
    }

    fn of(failed: Failed, index: usize) -> Self {
        match failed {
            Failed::Refused(reason) => Self::Refused { index, reason },
            Failed::Away(away) => Self::Away(away),
            Failed::Unanswered(unanswered) => Self::Unknown(unanswered),
        }
    }
}

/// One lane into one stream. Only one may publish for one spool.
#[derive(Debug)]
pub struct Producer {
    bus: Bus,
    stream: &'static str,
}

impl Producer {
    /// A lane into `stream`.
    pub fn new(bus: &Bus, stream: &'static str) -> Self {
        Self {
            bus: bus.clone(),
            stream,
        }
    }

    /// Publishes in the order given, until all are stored or it has to stop.
    ///
    /// Not to be cancelled lightly: after that the outcome is unknown.
    pub async fn publish(&mut self, messages: &[Outgoing]) -> Outcome {
        let mut outcome = Outcome::default();
        while outcome.stored < messages.len() && outcome.stopped.is_none() {
            let rest = &messages[outcome.stored..];
            let next = &rest[..cut(rest, self.bus.client.max_payload())];
            if next.len() < BATCH_FROM {
                self.singly(next, &mut outcome).await;
            } else {
                self.together(next, &mut outcome).await;
            }
        }
        outcome
    }

    async fn singly(&self, messages: &[Outgoing], outcome: &mut Outcome) {
        for message in messages {
            match send::one(&self.bus, self.stream, message, None).await {
                Ok(ack) => {
                    outcome.stored += 1;
                    outcome.duplicates += usize::from(ack.duplicate);
                    outcome.last_seq = Some(ack.sequence);
                }
                Err(failed) => {
                    outcome.stopped = Some(Stopped::of(failed, outcome.stored));
                    return;
                }
            }
        }
    }

    async fn together(&self, messages: &[Outgoing], outcome: &mut Outcome) {
        match send::batch(&self.bus, self.stream, messages, None).await {
            Ok(ack) => {
                outcome.stored += messages.len();
                outcome.last_seq = Some(ack.sequence);
            }
            Err(failed) if send::only_as_batch(&failed) => {
                tracing::debug!(error = %failed, messages = messages.len(), "batch refused; publishing one by one");
                spread_out().await;
                self.singly(messages, outcome).await;
            }
            Err(failed) => outcome.stopped = Some(Stopped::of(failed, outcome.stored)),
        }
    }
}

/// Waits for a moment that is another one in every producer.
pub(crate) async fn spread_out() {
    let pause = rand::rng().random_range(Duration::ZERO..FALLBACK_SPREAD);
    tokio::time::sleep(pause).await;
}

/// How many messages, counted from the first, go out together: what a batch may hold, and a message that may be too large
/// for the hub only alone, so that the refusal hits nobody else.
fn cut(messages: &[Outgoing], payload_max: usize) -> usize {
    let mut bytes = 0;
    for (index, message) in messages.iter().enumerate() {
        let size = message.payload.len() + HEADER_BYTES_MAX;
        bytes += size;
        if index > 0 && (index == BATCH_MESSAGES_MAX || bytes > BATCH_BYTES_MAX || size > payload_max) {
            return index;
        }
        if size > payload_max {
            return 1;
        }
    }
    messages.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use muster_domain::family::EventType;

    const PAYLOAD_MAX: usize = 1024 * 1024;

    fn sized(sizes: &[usize]) -> Vec<Outgoing> {
        sizes
            .iter()
            .map(|size| Outgoing {
                subject: Subject::new(EventType::parse("agent.hook.stop").unwrap(), None, None),
                payload: vec![b' '; *size].into(),
                id: EventId::from_uuid(uuid::Uuid::nil()),
                traceparent: None,
            })
            .collect()
    }

    #[test]
    fn a_batch_keeps_to_the_hubs_limits() {
        assert_eq!(cut(&sized(&[10; 3]), PAYLOAD_MAX), 3);
        assert_eq!(cut(&sized(&[10; 1500]), PAYLOAD_MAX), BATCH_MESSAGES_MAX);
        assert_eq!(cut(&sized(&[500 * 1024; 20]), PAYLOAD_MAX), 8);
    }

    #[test]
    fn a_message_that_may_be_too_large_travels_alone() {
        let sizes = [10, 10, 2 * PAYLOAD_MAX, 10];
        assert_eq!(cut(&sized(&sizes), PAYLOAD_MAX), 2);
        assert_eq!(cut(&sized(&sizes[2..]), PAYLOAD_MAX), 1);
        assert_eq!(cut(&sized(&[5 * PAYLOAD_MAX]), 8 * PAYLOAD_MAX), 1);
    }
}
