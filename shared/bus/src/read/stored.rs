//! One stored message as it was read.

use async_nats::{HeaderMap, Message, Subject as Text};
use bytes::Bytes;
use muster_domain::time::Timestamp;
use muster_wire::envelope::DecodeError;
use muster_wire::subject::SubjectError;
use muster_wire::{Envelope, Subject};
use time::OffsetDateTime;

/// A message with its place in the log.
#[derive(Debug, Clone)]
pub struct Stored {
    /// Its sequence in the stream.
    pub seq: u64,
    /// When the hub stored it: the log's own time.
    pub at: Timestamp,
    /// The encoded envelope.
    pub payload: Bytes,
    subject: Text,
    headers: Option<HeaderMap>,
}

impl Stored {
    pub(crate) fn new(seq: u64, at: Timestamp, message: Message) -> Self {
        Self {
            seq,
            at,
            payload: message.payload,
            subject: message.subject,
            headers: message.headers,
        }
    }

    /// Where it was published, as text.
    pub fn subject_text(&self) -> &str {
        &self.subject
    }

    /// Where it was published.
    ///
    /// # Errors
    /// [`SubjectError`] when it is no event's subject.
    pub fn subject(&self) -> Result<Subject, SubjectError> {
        Subject::parse(&self.subject)
    }

    /// The event it holds.
    ///
    /// # Errors
    /// [`DecodeError`] when it is none, or not one that belongs where it was published.
    pub fn envelope(&self) -> Result<Envelope, DecodeError> {
        Envelope::decode_at(&self.subject, &self.payload)
    }

    /// One of its headers.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.as_ref()?.get(name).map(async_nats::HeaderValue::as_str)
    }

    /// W3C trace context of whoever published it.
    pub fn traceparent(&self) -> Option<&str> {
        self.header("traceparent")
    }

    /// The id by which the hub recognises a repetition: the event's.
    pub fn msg_id(&self) -> Option<&str> {
        self.header("Nats-Msg-Id")
    }
}

pub(crate) fn moment(at: OffsetDateTime) -> Timestamp {
    millis(at.unix_timestamp_nanos())
}

pub(crate) fn millis(nanos: i128) -> Timestamp {
    Timestamp::from_millis(i64::try_from(nanos.div_euclid(1_000_000)).unwrap_or(i64::MAX))
}

/// What the hub says about a delivery, in the subject that would acknowledge it (ADR-15).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) attempt: u64,
    pub(crate) seq: u64,
    pub(crate) nth: u64,
    pub(crate) at: Timestamp,
    pub(crate) pending: u64,
}

impl Place {
    /// `$JS.ACK.<stream>.<consumer>.<attempt>.<seq>.<nth>.<time>.<pending>`, or the newer form that has domain and account
    /// before the stream.
    pub(crate) fn parse(reply: &str) -> Option<Self> {
        let rest = reply.strip_prefix("$JS.ACK.")?;
        // Counting bytes is cheaper than splitting twice, and this is done for every event of a replay.
        let before = if rest.bytes().filter(|byte| *byte == b'.').count() >= 8 {
            4
        } else {
            2
        };
        let mut tokens = rest.split('.').skip(before);
        let mut number = || tokens.next()?.parse::<u64>().ok();
        Some(Self {
            attempt: number()?,
            seq: number()?,
            nth: number()?,
            at: millis(i128::from(number()?)),
            pending: number()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_of_a_place_are_read() {
        let place = Place {
            attempt: 1,
            seq: 42,
            nth: 7,
            at: Timestamp::from_millis(1_700_000_000_123),
            pending: 3,
        };
        for reply in [
            "$JS.ACK.EVENTS.c1.1.42.7.1700000000123456789.3",
            "$JS.ACK._.hash.EVENTS.c1.1.42.7.1700000000123456789.3",
            "$JS.ACK._.hash.EVENTS.c1.1.42.7.1700000000123456789.3.token",
        ] {
            assert_eq!(Place::parse(reply), Some(place), "{reply}");
        }
        assert_eq!(Place::parse("_INBOX.abc"), None);
        assert_eq!(Place::parse("$JS.ACK.EVENTS.c1.1"), None);
    }
}
