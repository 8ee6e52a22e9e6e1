//! Buckets: the current value of a key, changed by comparison, and watched.
//!
//! Spoken straight over the bucket's stream, not through the client library's store: that one needs more rights than a
//! host has (it asks for the stream's configuration first), and it loses the time to live of a key that is renewed, or
//! created again after it was deleted — which would make a lease immortal.
//!
//! A read may be answered by any replica and be a moment old. Decide on the result of a write, never on a read.

mod watch;

pub use watch::{Watch, Watched};

use crate::ask::{Away, Failed, Refusal, Unanswered};
use crate::connect::Bus;
use crate::publish::send::is_fenced;
use crate::read::ReadError;
use async_nats::HeaderMap;
use async_nats::header::{self, HeaderName, HeaderValue};
use async_nats::jetstream::message::StreamMessage;
use bytes::Bytes;
use muster_domain::time::Timestamp;
use muster_wire::token;
use muster_wire::topology;
use std::time::Duration;

const OPERATION: HeaderName = HeaderName::from_static("KV-Operation");

/// A key made of names: each becomes one token.
pub fn key(parts: &[&str]) -> String {
    let tokens: Vec<String> = parts.iter().map(|part| token::encode(part)).collect();
    tokens.join(".")
}

/// Why a bucket did not do what was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KvError {
    /// Somebody else changed the key.
    #[error("key {key} was changed by somebody else")]
    Conflict {
        /// The key.
        key: String,
    },
    /// It may have happened or not.
    #[error("it is not known whether the write happened: {0}")]
    Unknown(#[from] Unanswered),
    /// It did not happen; later it may.
    #[error(transparent)]
    Away(#[from] Away),
    /// It will never happen.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// It cannot be read now.
    #[error(transparent)]
    Read(#[from] ReadError),
}

/// What happened to a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Op {
    /// It has a value.
    Put,
    /// Somebody deleted it.
    Deleted,
    /// Nobody renewed it.
    Expired,
}

/// A key as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The key.
    pub key: String,
    /// Its value; `None` when it has none any more.
    pub value: Option<Bytes>,
    /// The position of this change among all of the bucket.
    pub revision: u64,
    /// What happened.
    pub op: Op,
    /// When.
    pub at: Timestamp,
}

/// A bucket.
#[derive(Debug, Clone)]
pub struct Bucket {
    bus: Bus,
    name: &'static str,
}

impl Bus {
    /// The bucket of this name.
    pub fn bucket(&self, bucket: &topology::Bucket) -> Bucket {
        Bucket {
            bus: self.clone(),
            name: bucket.name,
        }
    }
}

/// The stream that holds a bucket.
pub(crate) fn stream_of(bucket: &str) -> String {
    format!("KV_{bucket}")
}

/// The subjects of a bucket's keys.
pub(crate) fn subject_of(bucket: &str, key: &str) -> String {
    format!("$KV.{bucket}.{key}")
}

impl Bucket {
    /// The value of a key and its revision.
    ///
    /// # Errors
    /// [`KvError::Read`].
    pub async fn get(&self, key: &str) -> Result<Option<(Bytes, u64)>, KvError> {
        let message = self
            .bus
            .last_by_subject(&stream_of(self.name), &subject_of(self.name, key))
            .await?;
        Ok(message.and_then(|message| {
            (op_of(Some(&message.headers)) == Op::Put).then_some((message.payload, message.sequence))
        }))
    }

    /// Sets a key whatever it was; gives the revision.
    ///
    /// # Errors
    /// [`KvError`] except `Conflict`.
    pub async fn put(&self, key: &str, value: Bytes) -> Result<u64, KvError> {
        self.write(key, value, None, None, None).await
    }

    /// Sets a key that has no value.
    ///
    /// # Errors
    /// [`KvError::Conflict`] when it has one.
    pub async fn create(&self, key: &str, value: Bytes) -> Result<u64, KvError> {
        let last = self.last(key).await?;
        match last {
            Some(entry) if entry.value.is_some() => Err(KvError::Conflict { key: key.to_owned() }),
            last => {
                let expected = last.map_or(0, |entry| entry.revision);
                self.write(key, value, Some(expected), None, None).await
            }
        }
    }

    /// Sets a key that still has this revision.
    ///
    /// # Errors
    /// [`KvError::Conflict`] when it has another.
    pub async fn update(&self, key: &str, value: Bytes, revision: u64) -> Result<u64, KvError> {
        self.write(key, value, Some(revision), None, None).await
    }

    /// Sets a key that expires unless it is set again within `ttl` (whole seconds, at least one), and, where `expected` is
    /// given, only if it has this revision (0: never had a value).
    ///
    /// # Errors
    /// [`KvError::Conflict`] when it has another.
    pub async fn put_with_ttl(
        &self,
        key: &str,
        value: Bytes,
        ttl: Duration,
        expected: Option<u64>,
    ) -> Result<u64, KvError> {
        self.write(key, value, expected, Some(ttl), None).await
    }

    /// Takes a key's value away.
    ///
    /// # Errors
    /// [`KvError`] except `Conflict`.
    pub async fn delete(&self, key: &str) -> Result<u64, KvError> {
        self.write(key, Bytes::new(), None, None, Some("DEL")).await
    }

    /// Takes the value away that has this revision.
    ///
    /// # Errors
    /// [`KvError::Conflict`] when it has another.
    pub async fn delete_revision(&self, key: &str, revision: u64) -> Result<u64, KvError> {
        self.write(key, Bytes::new(), Some(revision), None, Some("DEL")).await
    }

    /// Follows keys: one, or many by wildcards (`>` for all).
    pub fn watch(&self, keys: &str) -> Watch {
        Watch::new(&self.bus, self.name, keys)
    }

    /// The last thing that happened to a key, as the bucket's leader knows it: values that are gone have a revision too.
    pub(crate) async fn last(&self, key: &str) -> Result<Option<Entry>, KvError> {
        let message = self
            .bus
            .last_by_subject_at_leader(&stream_of(self.name), &subject_of(self.name, key))
            .await?;
        Ok(message.map(|message| entry(key.to_owned(), message)))
    }

    async fn write(
        &self,
        key: &str,
        value: Bytes,
        expected: Option<u64>,
        ttl: Option<Duration>,
        operation: Option<&str>,
    ) -> Result<u64, KvError> {
        let mut headers = HeaderMap::new();
        if let Some(revision) = expected {
            headers.insert(header::NATS_EXPECTED_LAST_SUBJECT_SEQUENCE, HeaderValue::from(revision));
        }
        if let Some(ttl) = ttl {
            headers.insert(header::NATS_MESSAGE_TTL, HeaderValue::from(ttl.as_secs().max(1)));
        }
        if let Some(operation) = operation {
            headers.insert(OPERATION, operation);
        }
        match self.bus.store(subject_of(self.name, key), headers, value).await {
            Ok(ack) => Ok(ack.sequence),
            Err(failed) if is_fenced(&failed) => Err(KvError::Conflict { key: key.to_owned() }),
            Err(Failed::Away(away)) => Err(away.into()),
            Err(Failed::Unanswered(unanswered)) => Err(unanswered.into()),
            Err(Failed::Refused(refusal)) => Err(refusal.into()),
        }
    }
}

fn entry(key: String, message: StreamMessage) -> Entry {
    let op = op_of(Some(&message.headers));
    Entry {
        key,
        value: (op == Op::Put).then_some(message.payload),
        revision: message.sequence,
        op,
        at: crate::read::moment(message.time),
    }
}

fn op_of(headers: Option<&HeaderMap>) -> Op {
    op(|name| headers?.get(name).map(HeaderValue::as_str))
}

/// What a message in a bucket's stream says about its key: clients mark what they delete, the hub what it expired.
fn op<'a>(header: impl Fn(&'static str) -> Option<&'a str>) -> Op {
    match header("Nats-Marker-Reason") {
        Some("MaxAge") => return Op::Expired,
        Some(_) => return Op::Deleted,
        None => {}
    }
    match header("KV-Operation") {
        Some("DEL" | "PURGE") => Op::Deleted,
        Some(_) | None => Op::Put,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_tokens_of_a_key() {
        assert_eq!(key(&["web-01", "a.b"]), "web-01.a=2Eb");
    }

    #[test]
    fn marks_of_clients_and_of_the_hub_are_told_apart() {
        let with = |name: &'static str, value: &'static str| op(move |asked| (asked == name).then_some(value));
        assert_eq!(with("KV-Operation", "DEL"), Op::Deleted);
        assert_eq!(with("KV-Operation", "PURGE"), Op::Deleted);
        assert_eq!(with("Nats-Marker-Reason", "MaxAge"), Op::Expired);
        assert_eq!(with("Nats-Marker-Reason", "Remove"), Op::Deleted);
        assert_eq!(with("other", "DEL"), Op::Put);
    }
}
