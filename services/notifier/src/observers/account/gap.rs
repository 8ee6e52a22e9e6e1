//! A part of the log that an observer missed.

use serde::{Deserialize, Serialize};

/// Wanted events between two places of the log that will never be given, and how many they were.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Gap {
    #[serde(rename = "first_missing")]
    pub(crate) first: u64,
    #[serde(rename = "last_missing")]
    pub(crate) last: u64,
    pub(crate) missed: u64,
}

impl Gap {
    /// One event.
    pub(crate) const fn of(seq: u64) -> Self {
        Self {
            first: seq,
            last: seq,
            missed: 1,
        }
    }

    /// Both, with nothing given in between.
    pub(crate) fn merge(one: Option<Self>, other: Option<Self>) -> Option<Self> {
        let (Some(one), Some(other)) = (one, other) else {
            return one.or(other);
        };
        Some(Self {
            first: one.first.min(other.first),
            last: one.last.max(other.last),
            missed: one.missed + other.missed,
        })
    }
}
