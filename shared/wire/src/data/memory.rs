//! `runtime.memory_compaction.*`: how full contexts are, and what compactions made of them.

use super::runtime::RuntimeMetadata;
use crate::time;
use muster_domain::memory::{Compaction, MemoryFact, Pressure, fraction};
use muster_domain::time::Timestamp;
use serde::{Deserialize, Serialize};

/// `pressure_changed`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PressureChanged {
    /// What every decision carries.
    pub runtime: RuntimeMetadata,
    /// What was last announced; `Ok` where nothing was.
    pub from: Pressure,
    /// What the context asks for now.
    pub to: Pressure,
    /// The share of the window that is used, from 0 to 1.
    pub fraction: f64,
    /// Tokens in the context.
    pub used_tokens: u64,
    /// Tokens that fit.
    pub window_tokens: u64,
}

/// `compact_memory`: what a compaction made of a context.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemoryCompacted {
    /// What every decision carries.
    pub runtime: RuntimeMetadata,
    /// The compaction.
    #[serde(flatten)]
    pub compaction: CompactionData,
}

/// One compaction of one session's context.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct CompactionData {
    /// When it began.
    #[serde(with = "time")]
    pub began_at: Timestamp,
    /// When it was over.
    #[serde(with = "time")]
    pub ended_at: Timestamp,
    /// Tokens in the context when it began; null where nobody measured.
    pub before_tokens: Option<u64>,
    /// Tokens in the context when they were first measured after it; null where nobody did.
    pub after_tokens: Option<u64>,
}

impl From<Compaction> for CompactionData {
    fn from(compaction: Compaction) -> Self {
        Self {
            began_at: compaction.began,
            ended_at: compaction.ended,
            before_tokens: compaction.before,
            after_tokens: compaction.after,
        }
    }
}

impl From<CompactionData> for Compaction {
    fn from(data: CompactionData) -> Self {
        Self {
            began: data.began_at,
            ended: data.ended_at,
            before: data.before_tokens,
            after: data.after_tokens,
        }
    }
}

impl PressureChanged {
    pub(crate) fn new(runtime: RuntimeMetadata, from: Pressure, to: Pressure, used: u64, window: u64) -> Self {
        Self {
            runtime,
            from,
            to,
            fraction: fraction(used, window).unwrap_or_default(),
            used_tokens: used,
            window_tokens: window,
        }
    }

    pub(crate) fn into_fact(self) -> MemoryFact {
        MemoryFact::PressureChanged {
            from: self.from,
            to: self.to,
            used_tokens: self.used_tokens,
            window_tokens: self.window_tokens,
        }
    }
}
