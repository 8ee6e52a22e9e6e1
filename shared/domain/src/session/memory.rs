//! What compactions made of the context, from whatever said that they began and ended.
//!
//! An agent says it more than once: with its hooks, and in what it prints. So a compaction is made of marks: it is over
//! with the first end after a beginning, and what else is said of its end, or late of its beginning, is the same one. All
//! that is kept is the latest few of each mark, which is the same set in whatever order they came.

use super::merge::clearly_after;
use crate::fact::{Hook, HookBody};
use crate::memory::{Compaction, MemoryFact, Pressure};
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};

/// How many marks of each kind are kept: more than are said of one compaction, and of the next.
const MARKS_MAX: usize = 8;

#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub(crate) struct Memory {
    /// Tokens in the context, as measured.
    measured: Vec<(Timestamp, u64)>,
    began: Vec<Timestamp>,
    ended: Vec<Timestamp>,
    /// What was last announced that the context asks for.
    pressure: Option<Pressure>,
    /// Since when.
    #[serde(default)]
    since: Timestamp,
    /// The end of the last compaction that was announced.
    compacted: Option<Compaction>,
}

/// A compaction that is over and was not announced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pending {
    pub(crate) compaction: Compaction,
    /// Nothing more is to be learned of it.
    pub(crate) settled: bool,
}

impl Memory {
    pub(super) fn measured(&mut self, at: Timestamp, used_tokens: u64) {
        keep(&mut self.measured, (at, used_tokens));
    }

    pub(super) fn compacting(&mut self, compacting: bool, at: Timestamp) {
        keep(if compacting { &mut self.began } else { &mut self.ended }, at);
    }

    pub(super) fn hook(&mut self, hook: &Hook, at: Timestamp) {
        // A subagent's context is its own.
        if hook.subagent.is_some() {
            return;
        }
        let begins_again =
            matches!(&hook.body, HookBody::SessionStarted { source } if source.as_deref() == Some("compact"));
        if hook.body == HookBody::CompactionStarted {
            self.compacting(true, at);
        } else if begins_again || hook.body == HookBody::CompactionEnded {
            self.compacting(false, at);
        }
    }

    pub(super) fn announced(&mut self, fact: &MemoryFact, at: Timestamp) {
        match fact {
            MemoryFact::PressureChanged { to, .. } => {
                (self.pressure, self.since) = (Some(*to), at);
            }
            MemoryFact::Compacted(compaction) => {
                self.compacted = self.compacted.max(Some(*compaction));
            }
        }
    }

    /// What was last announced that the context asks for.
    pub(crate) fn pressure(&self) -> Pressure {
        self.pressure.unwrap_or(Pressure::Ok)
    }

    /// Since when.
    pub(crate) const fn pressure_since(&self) -> Timestamp {
        self.since
    }

    /// The last compaction that was announced.
    pub(crate) const fn compacted(&self) -> Option<Compaction> {
        self.compacted
    }

    /// The first compaction that is over and was not announced.
    pub(crate) fn pending(&self) -> Option<Pending> {
        let (mut over, mut previous) = (None, None);
        for ended in self.ended.iter().copied() {
            let is_its =
                |began: &&Timestamp| **began < ended && over.is_none_or(|over: Timestamp| clearly_after(**began, over));
            let began = self.began.iter().rfind(is_its).copied();
            over = Some(ended);
            let Some(began) = began else {
                continue;
            };
            // The log tells times in milliseconds.
            let later = |announced: Compaction| announced.ended.as_millis() < ended.as_millis();
            if self.compacted.is_none_or(later) {
                return Some(self.made(began, ended, previous));
            }
            previous = Some(ended);
        }
        None
    }

    fn made(&self, began: Timestamp, ended: Timestamp, previous: Option<Timestamp>) -> Pending {
        let next = self.began.iter().find(|next| clearly_after(**next, ended)).copied();
        let of = |measure: &(Timestamp, u64)| measure.1;
        let before = self.measured.iter().rfind(|(at, _)| *at <= began);
        let after = self.measured.iter().find(|(at, _)| *at > ended);
        let compaction = Compaction {
            began,
            ended,
            // What was measured before the compaction before says nothing of this one.
            before: before
                .filter(|(at, _)| previous.is_none_or(|previous| *at > previous))
                .map(of),
            after: after.filter(|(at, _)| next.is_none_or(|next| *at <= next)).map(of),
        };
        let settled = after.is_some() || next.is_some() || self.measured.is_empty();
        Pending { compaction, settled }
    }
}

/// Keeps the latest.
fn keep<T: Ord>(kept: &mut Vec<T>, mark: T) {
    if let Err(at) = kept.binary_search(&mark) {
        kept.insert(at, mark);
    }
    if kept.len() > MARKS_MAX {
        kept.remove(0);
    }
}
