//! One observer as the hub keeps it: what it asked for, who is attached, and its numbers as they were last written down.

use super::account::{Account, Counters};
use super::registration::Wish;
use bytes::Bytes;
use muster_bus::StreamState;
use muster_domain::time::Timestamp;
use muster_wire::time;
use serde::{Deserialize, Serialize};
use std::time::Duration;
use uuid::Uuid;

/// An observer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    pub(crate) id: Uuid,
    pub(crate) wish: Wish,
    #[serde(with = "time")]
    pub(crate) created: Timestamp,
    #[serde(with = "time")]
    pub(crate) expires: Timestamp,
    pub(crate) log: Log,
    pub(crate) counters: Counters,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) claim: Option<Claim>,
    /// It is no more. Kept for a moment, so that every notifier hears of it.
    #[serde(default)]
    pub(crate) unregistered: bool,
}

/// How long it is kept that an observer is no more: notifiers that were away longer find it missing.
const UNREGISTERED_FOR: Duration = Duration::from_mins(1);

/// The log that the numbers are of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Log {
    #[serde(with = "time")]
    pub(crate) created: Timestamp,
    /// The first place of it that may be given.
    pub(crate) from_seq: u64,
    /// Whether the client has to hear yet that it is another than before.
    #[serde(default)]
    pub(crate) replaced: bool,
}

/// Who is attached. It is written again as long as they are; without that it lapses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Claim {
    pub(crate) id: Uuid,
    #[serde(with = "time")]
    pub(crate) since: Timestamp,
    /// The notifier that serves it, by the name it has until it is started again.
    pub(crate) notifier: Uuid,
}

impl Record {
    /// A new observer, of what the log is given from now on.
    pub(crate) fn new(id: Uuid, wish: Wish, log: &StreamState, now: Timestamp) -> Self {
        let mut record = Self {
            id,
            wish,
            created: now,
            expires: now,
            log: Log {
                created: log.created,
                from_seq: log.last_seq + 1,
                replaced: false,
            },
            counters: Counters::after(log.last_seq),
            claim: None,
            unregistered: false,
        };
        record.renew(now);
        record
    }

    pub(crate) fn read(bytes: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(bytes)
    }

    pub(crate) fn to_bytes(&self) -> Bytes {
        serde_json::to_vec(self)
            .expect("invariant: a record has text keys only")
            .into()
    }

    /// Where counting goes on.
    pub(crate) fn account(&self) -> Account {
        Account::restore(self.wish.backpressure, self.wish.capacity, &self.counters)
    }

    /// Somebody came by: it is kept for its time from now on.
    pub(crate) fn renew(&mut self, now: Timestamp) {
        let span = i64::try_from(self.wish.lifetime().as_millis()).unwrap_or(i64::MAX);
        self.expires = Timestamp::from_millis(now.as_millis().saturating_add(span));
    }

    /// How long the hub keeps it if nobody comes by, in whole seconds, as the hub counts.
    pub(crate) fn time_left(&self, now: Timestamp) -> Duration {
        if self.unregistered {
            return UNREGISTERED_FOR;
        }
        let left = self.expires.as_millis().saturating_sub(now.as_millis());
        Duration::from_secs(u64::try_from(left).unwrap_or_default().div_ceil(1000))
    }

    pub(crate) fn is_claimed_by(&self, claim: Uuid) -> bool {
        self.claim.as_ref().is_some_and(|now| now.id == claim)
    }
}
