//! One tool call, made of what was said when it began and when it ended, in either order.

use super::merge::{Latest, earliest};
use crate::fact::{InputDigest, ToolOutcome, ToolUse};
use crate::names::{SubagentId, ToolCallId, ToolName};
use crate::sorted::{Keyed, Sorted};
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};

/// What a call is known by within its turn.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) enum ToolKey {
    Named(ToolCallId),
    /// The agent names no calls: the how-manieth of the turn.
    Counted(u32),
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) enum End {
    Ok,
    Failed(Box<str>),
    Denied(Box<str>),
}

impl From<&ToolOutcome> for End {
    fn from(outcome: &ToolOutcome) -> Self {
        match outcome {
            ToolOutcome::Ok => Self::Ok,
            ToolOutcome::Failed { error } => Self::Failed(error.as_str().into()),
            ToolOutcome::Denied { reason } => Self::Denied(reason.as_str().into()),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Tool {
    pub(crate) key: ToolKey,
    pub(crate) name: ToolName,
    pub(crate) subagent: Option<SubagentId>,
    pub(crate) input: InputDigest,
    pub(crate) summary: Option<Box<str>>,
    pub(crate) started: Option<Timestamp>,
    pub(crate) ended: Option<Latest<End>>,
    /// The agent's own measure; a call of seven weeks saturates.
    pub(crate) duration_ms: Option<u32>,
    pub(crate) asks_user: bool,
}

impl Keyed for Tool {
    type Key = ToolKey;
    fn key(&self) -> &ToolKey {
        &self.key
    }
}

impl Tool {
    pub(crate) fn new(key: ToolKey, subagent: Option<&SubagentId>, used: &ToolUse) -> Self {
        Self {
            key,
            name: used.tool.clone(),
            subagent: subagent.cloned(),
            input: used.input,
            summary: used.summary.as_deref().map(Into::into),
            started: None,
            ended: None,
            duration_ms: None,
            asks_user: used.asks_user,
        }
    }

    pub(crate) fn start(&mut self, at: Timestamp, used: &ToolUse) {
        earliest(&mut self.started, at);
        // A hook may rewrite the input on its way: what was asked for is what the permission request names.
        self.input = used.input;
        self.asks_user |= used.asks_user;
        if let Some(summary) = &used.summary
            && self.summary.as_deref() != Some(summary)
        {
            self.summary = Some(summary.as_str().into());
        }
    }

    pub(crate) fn end(&mut self, at: Timestamp, outcome: &ToolOutcome, duration_ms: Option<u64>) {
        super::merge::later(&mut self.ended, at, outcome.into());
        let duration_ms = duration_ms.map(|ms| u32::try_from(ms).unwrap_or(u32::MAX));
        self.duration_ms = self.duration_ms.max(duration_ms);
    }

    /// When it was first heard of.
    pub(crate) fn first(&self) -> Option<Timestamp> {
        match (self.started, &self.ended) {
            (Some(start), Some(end)) => Some(start.min(end.at)),
            (start, end) => start.or(end.as_ref().map(|end| end.at)),
        }
    }

    pub(crate) fn ended_at(&self) -> Option<Timestamp> {
        self.ended.as_ref().map(|end| end.at)
    }

    pub(crate) const fn failed(&self) -> bool {
        matches!(
            self.ended,
            Some(Latest {
                value: End::Failed(_),
                ..
            })
        )
    }

    pub(crate) fn is_of(&self, subagent: Option<&SubagentId>, used: &ToolUse) -> bool {
        self.subagent.as_ref() == subagent && self.name == used.tool && self.input == used.input
    }
}

/// The key under which a call that begins or ends now is filed. A call without a name is matched in order: an end goes to
/// the oldest call of the same tool and input that has none, and a beginning to one whose end came first.
pub(crate) fn key_for(tools: &Sorted<Tool>, subagent: Option<&SubagentId>, used: &ToolUse, begins: bool) -> ToolKey {
    if let Some(call) = &used.call {
        return ToolKey::Named(call.clone());
    }
    let open = |tool: &&Tool| {
        let half = if begins {
            tool.started.is_none()
        } else {
            tool.ended.is_none()
        };
        half && matches!(tool.key, ToolKey::Counted(_)) && tool.is_of(subagent, used)
    };
    tools.iter().find(open).map_or_else(
        || ToolKey::Counted(u32::try_from(tools.len()).unwrap_or(u32::MAX)),
        |tool| tool.key.clone(),
    )
}
