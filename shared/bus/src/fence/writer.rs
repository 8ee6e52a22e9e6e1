//! Writing decisions as the one leader.

use crate::ask::{Away, Failed, Refusal, Unanswered};
use crate::connect::{Bus, retry_pause};
use crate::publish::send::{self, Fence, is_fenced};
use crate::publish::{Outgoing, spread_out};
use async_nats::header;
use async_nats::jetstream::publish::PublishAck;
use muster_wire::limits::BATCH_MESSAGES_MAX;
use muster_wire::topology::EVENTS;
use std::time::Duration;

/// How often an election is tried again after somebody else's came in between.
const CAMPAIGN_ATTEMPTS: usize = 3;
/// How often a decision is tried again while something else that depends on the fence is on its way: about 2 s of growing
/// pauses.
const WRITE_ATTEMPTS: usize = 6;
/// How often an election is: about 2 s of short pauses. An earlier leader that is still writing leaves gaps of a
/// millisecond, and the election has to find one; the writer, once it met the election, leaves larger ones.
const ELECTION_ATTEMPTS: usize = 400;
const ELECTION_PAUSE_MAX: Duration = Duration::from_millis(10);

/// Why a write of the leader's did not happen, or is not known to have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WriteError {
    /// Somebody else was elected since: step down.
    #[error("another leader was elected")]
    Fenced,
    /// It may have happened or not: step down and read the log.
    #[error("it is not known whether the write happened: {0}")]
    Unknown(Unanswered),
    /// It did not happen; later it may.
    #[error(transparent)]
    Away(Away),
    /// This message will never be taken. Those before it are stored.
    #[error("message {index}: {reason}")]
    Refused {
        /// Its place among the messages given.
        index: usize,
        /// Why.
        reason: Refusal,
    },
    /// A message of somebody else's has this message's id. Those before it are stored.
    #[error("the id of message {index} is taken by the message at {seq}, which is not ours")]
    Occupied {
        /// Its place among the messages given.
        index: usize,
        /// Where the other one is.
        seq: u64,
    },
}

impl WriteError {
    fn of(failed: Failed, index: usize) -> Self {
        if is_fenced(&failed) {
            return Self::Fenced;
        }
        match failed {
            Failed::Refused(reason) => Self::Refused { index, reason },
            Failed::Away(away) => Self::Away(away),
            Failed::Unanswered(unanswered) => Self::Unknown(unanswered),
        }
    }
}

/// Writes decisions as long as nobody else is elected. One write at a time.
#[derive(Debug)]
pub struct FencedWriter {
    bus: Bus,
    fence: Fence,
}

/// Announces a new leader: from here on every earlier one is refused. Call it with the lease in hand.
///
/// # Errors
/// [`WriteError::Fenced`] when others were elected faster, [`WriteError::Unknown`] and the rest as they are named.
pub async fn campaign(bus: &Bus, elected: &Outgoing) -> Result<FencedWriter, WriteError> {
    let subject = elected.subject.to_string();
    for _ in 0..CAMPAIGN_ATTEMPTS {
        let last = bus.last_by_subject_at_leader(EVENTS, &subject).await.map_err(|error| {
            WriteError::Away(Away::Busy {
                code: 0,
                text: error.to_string(),
            })
        })?;
        let mut writer = FencedWriter {
            bus: bus.clone(),
            fence: Fence {
                subject: subject.clone(),
                seq: last.map_or(0, |message| message.sequence),
            },
        };
        match writer.renew(elected).await {
            Ok(_) => return Ok(writer),
            Err(WriteError::Fenced) => {}
            Err(error) => return Err(error),
        }
    }
    Err(WriteError::Fenced)
}

impl FencedWriter {
    /// The sequence of our announcement: whoever folded past it knows everything that any earlier leader wrote.
    pub const fn fence(&self) -> u64 {
        self.fence.seq
    }

    /// Announces the same leader again, long before the announcement itself ages out of the log.
    ///
    /// # Errors
    /// [`WriteError`].
    pub async fn renew(&mut self, elected: &Outgoing) -> Result<u64, WriteError> {
        let sent = self.again(ELECTION_ATTEMPTS, election_pause, || {
            send::one(&self.bus, EVENTS, elected, Some(&self.fence))
        });
        self.fence.seq = self.settle(sent.await, elected, 0).await?;
        Ok(self.fence.seq)
    }

    /// Stores all messages, at most [`BATCH_MESSAGES_MAX`]; gives the log sequence of each. All or none, except when one of
    /// them is in the log already: then one by one, and an error leaves those before it stored.
    ///
    /// # Errors
    /// [`WriteError`].
    pub async fn write(&mut self, messages: &[Outgoing]) -> Result<Vec<u64>, WriteError> {
        match messages {
            [] => Ok(Vec::new()),
            [message] => Ok(vec![self.one(message, 0).await?]),
            messages if messages.len() > BATCH_MESSAGES_MAX => self.each(messages).await,
            messages => match self
                .again(WRITE_ATTEMPTS, retry_pause, || {
                    send::batch(&self.bus, EVENTS, messages, Some(&self.fence))
                })
                .await
            {
                Ok(ack) => {
                    let first = (ack.sequence + 1).saturating_sub(messages.len() as u64);
                    Ok((first..=ack.sequence).collect())
                }
                Err(failed) if send::only_as_batch(&failed) => {
                    spread_out().await;
                    self.each(messages).await
                }
                Err(failed) => Err(WriteError::of(failed, 0)),
            },
        }
    }

    /// Sends, and sends again as long as it is open whether this or another write that depends on the fence comes first.
    async fn again<F>(
        &self,
        attempts: usize,
        pause: fn(usize) -> Duration,
        send: impl Fn() -> F,
    ) -> Result<PublishAck, Failed>
    where
        F: Future<Output = Result<PublishAck, Failed>>,
    {
        for attempt in 0..attempts {
            match send().await {
                Err(Failed::Away(away)) if away.is_contention() => {
                    tokio::time::sleep(pause(attempt)).await;
                }
                sent => return sent,
            }
        }
        send().await
    }

    async fn each(&self, messages: &[Outgoing]) -> Result<Vec<u64>, WriteError> {
        let mut seqs = Vec::with_capacity(messages.len());
        for (index, message) in messages.iter().enumerate() {
            seqs.push(self.one(message, index).await?);
        }
        Ok(seqs)
    }

    async fn one(&self, message: &Outgoing, index: usize) -> Result<u64, WriteError> {
        let sent = self.again(WRITE_ATTEMPTS, retry_pause, || {
            send::one(&self.bus, EVENTS, message, Some(&self.fence))
        });
        self.settle(sent.await, message, index).await
    }

    async fn settle(
        &self,
        sent: Result<PublishAck, Failed>,
        message: &Outgoing,
        index: usize,
    ) -> Result<u64, WriteError> {
        let ack = sent.map_err(|failed| WriteError::of(failed, index))?;
        if ack.duplicate && !self.is_ours(&ack, message).await? {
            return Err(WriteError::Occupied {
                index,
                seq: ack.sequence,
            });
        }
        Ok(ack.sequence)
    }

    /// Ids are recognised across the whole stream, so the message that has this one may be anybody's: an event of this
    /// subject can only come from a leader.
    async fn is_ours(&self, ack: &PublishAck, message: &Outgoing) -> Result<bool, WriteError> {
        let unknown = |text: String| WriteError::Unknown(Unanswered::Unexpected(text));
        let stream = self
            .bus
            .context
            .get_stream_no_info(EVENTS)
            .await
            .map_err(|error| unknown(error.to_string()))?;
        let stored = stream
            .get_raw_message(ack.sequence)
            .await
            .map_err(|error| unknown(error.to_string()))?;
        let id = stored
            .headers
            .get(header::NATS_MESSAGE_ID)
            .map(async_nats::HeaderValue::as_str);
        Ok(*stored.subject == *message.subject.to_string() && id == Some(message.id.to_string().as_str()))
    }
}

fn election_pause(_: usize) -> Duration {
    rand::random_range(Duration::ZERO..ELECTION_PAUSE_MAX)
}
