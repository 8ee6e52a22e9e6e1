//! One tool call, made of what was said when it began and when it ended, in either order.

use super::merge::{Latest, earliest};
use crate::fact::{InputDigest, ToolOutcome, ToolUse};
use crate::names::{FREE_NAME_BYTES_MAX, SubagentId, ToolCallId};
use crate::sorted::{Keyed, Sorted};
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;

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

/// A session has some forty of these and a fleet has ten thousand sessions, so the words share one allocation.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Tool {
    /// The call's name, the tool's name, and the summary, one after the other.
    words: Box<str>,
    /// Length of the call's name in bytes; 0 where it has none.
    call_bytes: u8,
    /// Length of the tool's name in bytes.
    name_bytes: u8,
    /// Its place in the turn, where it has no name.
    place: u32,
    pub(crate) subagent: Option<SubagentId>,
    pub(crate) input: InputDigest,
    pub(crate) started: Option<Timestamp>,
    pub(crate) ended: Option<Latest<End>>,
    /// The agent's own measure; a call of seven weeks saturates.
    pub(crate) duration_ms: Option<u32>,
    pub(crate) asks_user: bool,
}

// Lengths of names are kept in one byte.
const _: () = assert!(FREE_NAME_BYTES_MAX <= u8::MAX as usize);

impl Keyed for Tool {
    type Key = ToolKey;
    fn compare(&self, key: &ToolKey) -> Ordering {
        match (self.call(), key) {
            (Some(own), ToolKey::Named(call)) => own.cmp(call.as_str()),
            (Some(_), ToolKey::Counted(_)) => Ordering::Less,
            (None, ToolKey::Named(_)) => Ordering::Greater,
            (None, ToolKey::Counted(place)) => self.place.cmp(place),
        }
    }
}

impl Tool {
    pub(crate) fn new(key: ToolKey, subagent: Option<&SubagentId>, used: &ToolUse) -> Self {
        let (call, place) = match key {
            ToolKey::Named(call) => (Some(call), 0),
            ToolKey::Counted(place) => (None, place),
        };
        let mut tool = Self {
            words: Box::default(),
            call_bytes: 0,
            name_bytes: 0,
            place,
            subagent: subagent.cloned(),
            input: used.input,
            started: None,
            ended: None,
            duration_ms: None,
            asks_user: used.asks_user,
        };
        tool.say(
            call.as_ref().map_or("", ToolCallId::as_str),
            used.tool.as_str(),
            used.summary.as_deref(),
        );
        tool
    }

    fn say(&mut self, call: &str, name: &str, summary: Option<&str>) {
        self.words = [call, name, summary.unwrap_or_default()].concat().into();
        self.call_bytes = u8::try_from(call.len()).unwrap_or(u8::MAX);
        self.name_bytes = u8::try_from(name.len()).unwrap_or(u8::MAX);
    }

    fn part(&self, from: u8, bytes: usize) -> &str {
        let from = usize::from(from);
        self.words.get(from..from + bytes).unwrap_or_default()
    }

    /// The name of the call, where the agent names calls.
    pub(crate) fn call(&self) -> Option<&str> {
        Some(self.part(0, self.call_bytes.into())).filter(|call| !call.is_empty())
    }

    pub(crate) fn name(&self) -> &str {
        self.part(self.call_bytes, self.name_bytes.into())
    }

    pub(crate) fn summary(&self) -> Option<&str> {
        let from = usize::from(self.call_bytes) + usize::from(self.name_bytes);
        self.words.get(from..).filter(|summary| !summary.is_empty())
    }

    pub(crate) fn start(&mut self, at: Timestamp, used: &ToolUse) {
        earliest(&mut self.started, at);
        // A hook may rewrite the input on its way: what was asked for is what the permission request names.
        self.input = used.input;
        self.asks_user |= used.asks_user;
        if used.summary.is_some() && self.summary() != used.summary.as_deref() {
            let (call, name) = (self.call().unwrap_or_default().to_owned(), self.name().to_owned());
            self.say(&call, &name, used.summary.as_deref());
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
        self.subagent.as_ref() == subagent && self.name() == used.tool.as_str() && self.input == used.input
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
        half && tool.call().is_none() && tool.is_of(subagent, used)
    };
    tools.iter().find(open).map_or_else(
        || ToolKey::Counted(u32::try_from(tools.len()).unwrap_or(u32::MAX)),
        |tool| ToolKey::Counted(tool.place),
    )
}
