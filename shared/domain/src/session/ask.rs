//! A permission request. It names no call, so it is joined to one by thread, tool and input.

use super::tool::{Tool, ToolKey};
use super::{Session, Turn};
use crate::approval::Asked;
use crate::fact::{InputDigest, ToolUse};
use crate::names::{SubagentId, ToolCallId, ToolName};
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
    /// When the log said that it was answered.
    #[serde(default)]
    pub(crate) closed: Option<Timestamp>,
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
            closed: None,
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

impl Session {
    /// Whether this ask, made at `at`, still waits, as far as the agent's own hooks tell.
    pub(crate) fn still_asks(&self, asked: &Asked, at: Timestamp) -> bool {
        let began_after = self.turns.iter().filter_map(|turn| turn.began).any(|began| began > at);
        if began_after || self.started.is_some_and(|started| started > at) {
            return false;
        }
        let key = key(asked, at);
        let asking = |turn: &Turn| {
            let ask = turn.asks.get(&key).map(|ask| self.open(turn, ask));
            ask.or_else(|| self.question_open(turn, asked, at))
        };
        // What is no longer kept ends by its deadline.
        self.turns.iter().find_map(asking).unwrap_or(true)
    }

    /// The call that an ask which names none is about: the latest of the same thread, tool and input that is not over.
    pub(crate) fn call_asked_for(&self, asked: &Asked) -> Option<ToolCallId> {
        let calls = self.turns.iter().flat_map(|turn| turn.tools.iter());
        let meant = calls.filter(|tool| {
            tool.ended.is_none()
                && tool.input == asked.digest
                && tool.name() == asked.tool.as_str()
                && tool.subagent == asked.subagent
        });
        meant.max_by_key(|tool| tool.started)?.call()?.parse().ok()
    }

    /// As [`Session::open`], for a question that is a call and not an ask.
    fn question_open(&self, turn: &Turn, asked: &Asked, at: Timestamp) -> Option<bool> {
        let call = ToolKey::Named(asked.call.clone()?);
        let tool = turn.tools.get(&call)?;
        let stopped = turn.stop().is_some_and(|stop| stop > at);
        let done = turn.done(asked.subagent.as_ref()).is_some_and(|done| done >= at);
        Some(tool.ended.is_none() && !stopped && !done)
    }

    /// The log says that this ask, made at `at`, is answered.
    pub(crate) fn close_ask(&mut self, asked: &Asked, at: Timestamp, closed: Timestamp) {
        let key = key(asked, at);
        for turn in self.turns.iter_mut() {
            if let Some(ask) = turn.asks.get_mut(&key) {
                ask.closed = ask.closed.or(Some(closed));
            }
        }
    }
}

fn key(asked: &Asked, at: Timestamp) -> AskKey {
    (at, asked.subagent.clone(), asked.tool.clone(), asked.digest)
}
