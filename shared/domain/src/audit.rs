//! The same log counted a second way.
//!
//! The fold says of each event whether it applied it. The audit keeps its own plain table of what it was shown and compares:
//! it shares nothing with [`crate::producer`] but the definition of the words. It costs memory by the observation and is
//! for a walk over the log, not for living beside the fold.

use crate::fact::Recorded;
use crate::fleet::Applied;
use crate::ids::{EventId, ProducerId};
use std::collections::BTreeMap;

/// What a walk over the log found. All but `redelivered` shall be 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AuditReport {
    /// Observations that a producer counted and the log does not hold.
    pub gaps: u64,
    /// Observations that the fold applied more than once.
    pub doubles_applied: u64,
    /// Observations that the log holds again, and the fold ignored.
    pub redelivered: u64,
    /// Counts that the log holds under a further event id.
    pub forked: u64,
    /// The last log sequence seen.
    pub at_seq: u64,
}

/// A walk over the log.
#[derive(Debug, Default)]
pub struct Audit {
    /// Per producer and count: the ids seen, each with how often it was applied.
    seen: BTreeMap<ProducerId, BTreeMap<u64, Vec<(EventId, u32)>>>,
    first_seq: Option<u64>,
    report: AuditReport,
}

impl Audit {
    /// Nothing seen yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes an event, and what the fold answered to it.
    pub fn observe(&mut self, recorded: &Recorded, applied: Applied) {
        self.first_seq.get_or_insert(recorded.seq);
        self.report.at_seq = self.report.at_seq.max(recorded.seq);
        let Some(origin) = recorded.event.origin else {
            return;
        };
        let ids = self
            .seen
            .entry(origin.producer)
            .or_default()
            .entry(origin.seq)
            .or_default();
        let counted = u32::from(applied.counted());
        match ids.iter_mut().find(|(id, _)| *id == recorded.event.id) {
            Some((_, times)) => {
                *times += counted;
                if counted == 0 {
                    self.report.redelivered += 1;
                } else if *times > 1 {
                    self.report.doubles_applied += 1;
                }
            }
            None => {
                self.report.forked += u64::from(!ids.is_empty());
                ids.push((recorded.event.id, counted));
            }
        }
    }

    /// What was found. Where the walk began after the log's first event, what a producer reported before its first visible
    /// observation cannot be judged and counts as no gap.
    pub fn report(&self) -> AuditReport {
        let whole = self.first_seq == Some(1);
        let missing = |counts: &BTreeMap<u64, Vec<(EventId, u32)>>| {
            let first = counts.first_key_value().map_or(1, |(seq, _)| *seq);
            let last = counts.last_key_value().map_or(0, |(seq, _)| *seq);
            let base = if whole { 1 } else { first };
            last.saturating_add(1)
                .saturating_sub(base)
                .saturating_sub(counts.len() as u64)
        };
        AuditReport {
            gaps: self.seen.values().map(missing).fold(0, u64::saturating_add),
            ..self.report
        }
    }
}
