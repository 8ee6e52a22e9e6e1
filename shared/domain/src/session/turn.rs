//! One turn, as hooks tell it: a prompt, the calls it led to, and its stop, in whatever order they come.
//!
//! A turn is filed under the prompt's id, so a late stop finds its own turn and never closes the next one. It *begins* with
//! the first thing that only a going turn does; a lone stop begins nothing.

use super::ask::Ask;
use super::merge::{Latest, clearly_after, earliest, later, when};
use super::subagent::Subagent;
use super::tool::{Tool, key_for};
use crate::fact::{HookBody, ToolOutcome, ToolUse};
use crate::names::{PromptId, RunId, SubagentId};
use crate::sorted::{Keyed, Sorted};
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;

/// How many calls, asks and subagents of one turn are kept singly; later ones are only counted.
const SPANS_MAX: usize = 512;
/// How many asks: each is compared with the calls, and only the latest can be open.
const ASKS_MAX: usize = 64;

/// What a turn is known by within its session.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) enum TurnKey {
    Prompt(PromptId),
    /// The agent names no prompts: the how-manieth of the session.
    Counted(u32),
}

/// When a thread's calls were last known to be over; `None` is the main thread.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
struct Done {
    thread: Option<SubagentId>,
    at: Timestamp,
}

impl Keyed for Done {
    type Key = Option<SubagentId>;
    fn compare(&self, key: &Self::Key) -> Ordering {
        self.thread.cmp(key)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Turn {
    pub(crate) key: TurnKey,
    pub(crate) run: Option<RunId>,
    /// When anything of it was first heard.
    pub(crate) first: Timestamp,
    /// When anything of it was last heard.
    pub(crate) last: Timestamp,
    pub(crate) began: Option<Timestamp>,
    pub(crate) given: Option<(Timestamp, Option<Box<str>>)>,
    /// When it stopped, and how many background tasks went on.
    pub(crate) stopped: Option<Latest<u32>>,
    pub(crate) failed: Option<Latest<Box<str>>>,
    pub(crate) tools: Sorted<Tool>,
    pub(crate) asks: Sorted<Ask>,
    pub(crate) subagents: Sorted<Subagent>,
    done: Sorted<Done>,
    /// Calls beyond those kept.
    pub(crate) uncounted_calls: u32,
    pub(crate) uncounted_failures: u32,
}

impl Keyed for Turn {
    type Key = TurnKey;
    fn compare(&self, key: &Self::Key) -> Ordering {
        self.key.cmp(key)
    }
}

impl Turn {
    pub(crate) fn new(key: TurnKey, at: Timestamp) -> Self {
        Self {
            key,
            run: None,
            first: at,
            last: at,
            began: None,
            given: None,
            stopped: None,
            failed: None,
            tools: Sorted::default(),
            asks: Sorted::default(),
            subagents: Sorted::default(),
            done: Sorted::default(),
            uncounted_calls: 0,
            uncounted_failures: 0,
        }
    }

    /// Whether a hook of this kind belongs to a turn at all.
    pub(crate) const fn takes(body: &HookBody) -> bool {
        match body {
            HookBody::PromptGiven { .. }
            | HookBody::ToolStarted(_)
            | HookBody::ToolEnded { .. }
            | HookBody::PermissionAsked(_)
            | HookBody::ToolsDone
            | HookBody::SubagentStarted
            | HookBody::SubagentStopped
            | HookBody::Stopped { .. }
            | HookBody::StopFailed { .. } => true,
            HookBody::SessionStarted { .. }
            | HookBody::SessionEnded { .. }
            | HookBody::CompactionStarted
            | HookBody::CompactionEnded
            | HookBody::InputAwaited { .. }
            | HookBody::InputGiven
            | HookBody::CwdChanged { .. }
            | HookBody::Other => false,
        }
    }

    /// Takes in a hook of this turn.
    pub(crate) fn note(&mut self, hook: &crate::fact::Hook, at: Timestamp) {
        let thread = hook.subagent.as_ref();
        self.first = self.first.min(at);
        self.last = self.last.max(at);
        if let Some(run) = &hook.run
            && self.run.as_ref().is_none_or(|known| known > run)
        {
            self.run = Some(run.clone());
        }
        if let Some(id) = thread {
            self.subagent(id, |s| s.heard(at, hook.subagent_type.as_deref()));
        }
        match &hook.body {
            HookBody::PromptGiven { preview } => {
                earliest(&mut self.began, at);
                let given = (at, preview.as_deref().map(Into::into));
                if self.given.as_ref().is_none_or(|known| *known > given) {
                    self.given = Some(given);
                }
            }
            HookBody::ToolStarted(used) => {
                earliest(&mut self.began, at);
                self.tool(thread, used, true, |tool| tool.start(at, used));
            }
            HookBody::ToolEnded {
                tool: used,
                outcome,
                duration_ms,
                ..
            } => self.tool_ended(thread, used, outcome, *duration_ms, at),
            HookBody::PermissionAsked(used) => {
                earliest(&mut self.began, at);
                let key = (at, thread.cloned(), used.tool.clone(), used.input);
                self.asks.entry(key, |key| Ask::new(key, used));
                self.asks.keep_last(ASKS_MAX);
            }
            HookBody::ToolsDone => {
                let done = self.done.entry(thread.cloned(), |thread| Done { thread, at });
                done.at = done.at.max(at);
                self.done.keep_last(SPANS_MAX);
            }
            HookBody::SubagentStarted => {
                earliest(&mut self.began, at);
                if let Some(id) = thread {
                    self.subagent(id, |subagent| subagent.start(at));
                }
            }
            HookBody::SubagentStopped => self.subagent_stopped(thread, at),
            // A stop inside a subagent is that subagent's.
            HookBody::Stopped { .. } | HookBody::StopFailed { .. } if thread.is_some() => {
                self.subagent_stopped(thread, at);
            }
            HookBody::Stopped { background_tasks } => {
                later(&mut self.stopped, at, *background_tasks);
            }
            HookBody::StopFailed { error } => {
                later(&mut self.failed, at, error.as_str().into());
            }
            HookBody::SessionStarted { .. }
            | HookBody::SessionEnded { .. }
            | HookBody::CompactionStarted
            | HookBody::CompactionEnded
            | HookBody::InputAwaited { .. }
            | HookBody::InputGiven
            | HookBody::CwdChanged { .. }
            | HookBody::Other => {}
        }
    }

    fn tool(
        &mut self,
        thread: Option<&SubagentId>,
        used: &ToolUse,
        begins: bool,
        change: impl FnOnce(&mut Tool),
    ) -> bool {
        let key = key_for(&self.tools, thread, used, begins);
        if self.tools.len() >= SPANS_MAX && self.tools.get(&key).is_none() {
            return false;
        }
        change(self.tools.entry(key, |key| Tool::new(key, thread, used)));
        true
    }

    fn tool_ended(
        &mut self,
        thread: Option<&SubagentId>,
        used: &ToolUse,
        outcome: &ToolOutcome,
        duration_ms: Option<u64>,
        at: Timestamp,
    ) {
        let kept = self.tool(thread, used, false, |tool| {
            tool.end(at, outcome, duration_ms);
        });
        if !kept {
            // Counted by their ends: a call beyond those kept has no place that its beginning could be noted in.
            self.uncounted_calls += 1;
            self.uncounted_failures += u32::from(matches!(outcome, ToolOutcome::Failed { .. }));
        }
    }

    fn subagent(&mut self, id: &SubagentId, change: impl FnOnce(&mut Subagent)) {
        if self.subagents.len() < SPANS_MAX || self.subagents.get(id).is_some() {
            change(self.subagents.entry(id.clone(), Subagent::new));
        }
    }

    fn subagent_stopped(&mut self, thread: Option<&SubagentId>, at: Timestamp) {
        if let Some(id) = thread {
            self.subagent(id, |subagent| subagent.end(at));
        }
    }

    /// What turns are ordered by: those that began, by when they began; before them those of which only an end is known.
    pub(crate) fn order(&self) -> (Option<Timestamp>, Timestamp, &TurnKey) {
        (self.began, self.first, &self.key)
    }

    /// The latest stop of either kind.
    pub(crate) fn stop(&self) -> Option<Timestamp> {
        when(self.stopped.as_ref()).max(when(self.failed.as_ref()))
    }

    /// When its main thread last began a call.
    pub(crate) fn last_call(&self) -> Option<Timestamp> {
        self.tools
            .iter()
            .filter(|tool| tool.subagent.is_none())
            .filter_map(Tool::first)
            .max()
    }

    /// Whether the agent clearly went on after `stop`: a stop hook may have told it to.
    pub(crate) fn went_on_after(&self, stop: Timestamp) -> bool {
        self.last_call().is_some_and(|at| clearly_after(at, stop))
    }

    /// When everything that a thread had under way was last known to be over.
    pub(crate) fn done(&self, thread: Option<&SubagentId>) -> Option<Timestamp> {
        let batch = self.done.get(&thread.cloned()).map(|done| done.at);
        let subagent = thread.and_then(|id| self.subagents.get(id)).and_then(Subagent::over);
        batch.max(subagent)
    }

    /// Whether it stopped and left something going on: then a subagent without an end is at work, not given up.
    pub(crate) fn left_tasks(&self) -> bool {
        self.stopped.as_ref().is_some_and(|stopped| stopped.value > 0)
    }

    pub(crate) fn calls(&self) -> u64 {
        self.tools.len() as u64 + u64::from(self.uncounted_calls)
    }

    pub(crate) fn failures(&self) -> u64 {
        let kept = self.tools.iter().filter(|tool| tool.failed()).count();
        kept as u64 + u64::from(self.uncounted_failures)
    }
}
