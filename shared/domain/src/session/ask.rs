//! A permission request. It names no call, so it is joined to one by thread, tool and input.

use super::tool::Tool;
use crate::fact::{InputDigest, ToolUse};
use crate::names::{SubagentId, ToolName};
use crate::sorted::Keyed;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;

/// When it was asked, by which thread, and for what.
pub(crate) type AskKey = (Timestamp, Option<SubagentId>, ToolName, InputDigest);

#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Ask {
    pub(crate) key: AskKey,
    pub(crate) summary: Option<Box<str>>,
    pub(crate) asks_user: bool,
}

impl Keyed for Ask {
    type Key = AskKey;
    fn compare(&self, key: &Self::Key) -> Ordering {
        self.key.cmp(key)
    }
}

impl Ask {
    pub(crate) fn new(key: AskKey, used: &ToolUse) -> Self {
        Self {
            key,
            summary: used.summary.as_deref().map(Into::into),
            asks_user: used.asks_user,
        }
    }

    pub(crate) const fn at(&self) -> Timestamp {
        self.key.0
    }

    pub(crate) const fn subagent(&self) -> Option<&SubagentId> {
        self.key.1.as_ref()
    }

    pub(crate) const fn tool(&self) -> &ToolName {
        &self.key.2
    }

    /// Whether `tool` is a call that this may have asked for.
    pub(crate) fn is_for(&self, tool: &Tool) -> bool {
        let (_, subagent, name, input) = &self.key;
        tool.input == *input && tool.name() == name.as_str() && tool.subagent == *subagent
    }
}
