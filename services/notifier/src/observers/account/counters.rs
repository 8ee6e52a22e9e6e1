//! An observer's numbers, as they are kept across restarts.

use super::Gap;
use serde::{Deserialize, Serialize};

/// What was counted up to a place of the log, and from where counting goes on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Counters {
    pub(crate) delivered: u64,
    pub(crate) missed: u64,
    pub(crate) pending: u64,
    /// The place these three are of: they add up to what was wanted of the log up to here.
    pub(crate) at_seq: u64,
    /// Everything wanted up to here was delivered or missed.
    pub(crate) settled: u64,
    /// The last event that was handed over.
    pub(crate) handed: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) untold: Option<Gap>,
}

impl Counters {
    /// Nothing yet; the first event after this place is the first that counts.
    pub(crate) fn after(seq: u64) -> Self {
        Self {
            at_seq: seq,
            settled: seq,
            handed: seq,
            ..Self::default()
        }
    }
}
