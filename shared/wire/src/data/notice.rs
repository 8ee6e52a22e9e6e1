//! `notice.delivery.*`: what became of telling somebody.

use crate::time;
use muster_domain::ids::EventId;
use muster_domain::time::Timestamp;
use serde::{Deserialize, Serialize};

/// One attempt at one delivery.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivery {
    /// The kind of channel: `webhook`, …
    pub channel: String,
    /// The name of the endpoint; never its address, which may hold a secret.
    pub target: String,
    /// The message id its receiver can recognise a repetition by.
    pub webhook_id: String,
    /// The event it tells of.
    pub cause: EventId,
    /// That event's place in the log.
    pub cause_seq: u64,
    /// Which attempt, from 1.
    pub attempt: u32,
    /// What the receiver answered, if it did (HTTP status).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// What went wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// When it is tried again.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "time::optional")]
    pub next_at: Option<Timestamp>,
}
