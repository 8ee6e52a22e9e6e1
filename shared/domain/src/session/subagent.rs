//! A subagent within one turn: from its first sign of life to its last stop.

use super::merge::{clearly_after, earliest, latest};
use crate::names::{SubagentId, ToolCallId};
use crate::sorted::Keyed;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;

#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Subagent {
    pub(crate) id: SubagentId,
    pub(crate) kind: Option<Box<str>>,
    /// Its first sign of life.
    pub(crate) first: Option<Timestamp>,
    /// When it last began: it may be woken again after it stopped.
    pub(crate) started: Option<Timestamp>,
    pub(crate) ended: Option<Timestamp>,
}

impl Keyed for Subagent {
    type Key = SubagentId;
    fn compare(&self, key: &Self::Key) -> Ordering {
        self.id.cmp(key)
    }
}

impl Subagent {
    pub(crate) const fn new(id: SubagentId) -> Self {
        Self {
            id,
            kind: None,
            first: None,
            started: None,
            ended: None,
        }
    }

    pub(crate) fn heard(&mut self, at: Timestamp, kind: Option<&str>) {
        earliest(&mut self.first, at);
        if let Some(kind) = kind
            && self.kind.as_deref().is_none_or(|known| known < kind)
        {
            self.kind = Some(kind.into());
        }
    }

    pub(crate) fn start(&mut self, at: Timestamp) {
        latest(&mut self.started, at);
    }

    pub(crate) fn end(&mut self, at: Timestamp) {
        latest(&mut self.ended, at);
    }

    /// When it stopped, unless it was woken since.
    pub(crate) fn over(&self) -> Option<Timestamp> {
        let ended = self.ended?;
        let woken = self.started.is_some_and(|start| clearly_after(start, ended));
        (!woken).then_some(ended)
    }
}

/// Which call started which subagent.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Link {
    pub(crate) subagent: SubagentId,
    pub(crate) call: ToolCallId,
}

impl Keyed for Link {
    type Key = SubagentId;
    fn compare(&self, key: &Self::Key) -> Ordering {
        self.subagent.cmp(key)
    }
}
