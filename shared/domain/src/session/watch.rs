//! What the rules of alerts ask of a session that its turns do not keep: its latest calls, measures and refusals.
//!
//! Each of these is the latest few of a set, so they are the same in whatever order they were heard, and a turn of
//! thousands of calls is watched to its end. Calls are kept as digests: whether two are the same is all that is asked.

use crate::alert::{self, AlertFact, Rule, RuleSet};
use crate::digest;
use crate::fact::{Hook, HookBody, InputDigest, ToolOutcome, ToolUse};
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// How many measures of the context are kept: at 16 000 tokens each, more than the half million that is looked for.
const MEASURES_MAX: usize = 32;
/// An error of fewer letters says too little to be the same error of another call.
const TELLING_LETTERS: usize = 16;
/// Errors of classes that mean: not now.
const TURNED_AWAY: &[&str] = &["rate_limit", "overloaded", "server_overloaded"];
/// Calls that wait, and are made again and again on purpose; or that are as long as the work of a subagent.
pub(crate) const PATIENT: &[&str] = &[
    "Agent",
    "AgentOutputTool",
    "BashOutput",
    "Monitor",
    "ScheduleWakeup",
    "Sleep",
    "Task",
    "TaskOutput",
    "Workflow",
    "delegate_task",
    "spawn_agent",
    "task",
    "wait",
    "wait_agent",
    "write_stdin",
];

/// How a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) enum How {
    Ok,
    Failed,
    Denied,
}

/// A call that ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct Mark {
    pub(crate) at: Timestamp,
    /// Its name; 0 where it has none.
    call: u32,
    pub(crate) thread: u32,
    /// Tool and input.
    pub(crate) what: u32,
    /// What came of it; of a failure, the tool and the error without its numbers.
    pub(crate) result: u32,
    pub(crate) how: How,
}

impl Mark {
    /// Whether the same was done again, and the same came of it.
    pub(crate) const fn repeats(&self, earlier: &Self) -> bool {
        self.what == earlier.what && self.result == earlier.result && self.how as u8 == earlier.how as u8
    }

    /// Whether it failed the same way, whatever was tried.
    pub(crate) const fn fails_like(&self, earlier: &Self) -> bool {
        matches!((self.how, earlier.how), (How::Failed, How::Failed)) && self.result == earlier.result
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub(crate) struct Watch {
    /// The latest calls that ended, by time.
    marks: Vec<Mark>,
    /// The latest measures of the context: each is what one call of the model read.
    measures: Vec<(Timestamp, u64)>,
    /// When the model's provider turned the session away.
    retries: Vec<Timestamp>,
    /// Alerts of it that stand.
    standing: RuleSet,
    /// Rules that are quiet, and until when.
    quiet: BTreeSet<(Rule, Timestamp)>,
}

impl Watch {
    pub(super) fn hook(&mut self, hook: &Hook, at: Timestamp) {
        match &hook.body {
            HookBody::ToolEnded { tool, outcome, .. } => {
                if let Some(mark) = mark(hook, tool, outcome, at) {
                    self.ended(mark);
                }
            }
            HookBody::StopFailed { error } if TURNED_AWAY.contains(&error.as_str()) => self.turned_away(at),
            HookBody::SessionStarted { .. }
            | HookBody::SessionEnded { .. }
            | HookBody::PromptGiven { .. }
            | HookBody::ToolStarted(_)
            | HookBody::PermissionAsked(_)
            | HookBody::ToolsDone
            | HookBody::SubagentStarted
            | HookBody::SubagentStopped
            | HookBody::Stopped { .. }
            | HookBody::StopFailed { .. }
            | HookBody::CompactionStarted
            | HookBody::CompactionEnded
            | HookBody::InputAwaited { .. }
            | HookBody::InputGiven
            | HookBody::CwdChanged { .. }
            | HookBody::Other => {}
        }
    }

    /// A call told of more than once is one: the first word of its end counts.
    fn ended(&mut self, mark: Mark) {
        let same = |known: &Mark| mark.call != 0 && known.call == mark.call && known.thread == mark.thread;
        if let Some(at) = self.marks.iter().position(same) {
            if self.marks[at] <= mark {
                return;
            }
            self.marks.remove(at);
        }
        keep(&mut self.marks, mark, alert::Settings::CALLS_MAX);
    }

    pub(super) fn measured(&mut self, at: Timestamp, used_tokens: u64) {
        keep(&mut self.measures, (at, used_tokens), MEASURES_MAX);
    }

    pub(super) fn turned_away(&mut self, at: Timestamp) {
        keep(&mut self.retries, at, alert::Settings::RETRIES_MAX);
    }

    /// The log says that an alert of this session begins, or is over.
    pub(crate) fn told(&mut self, fact: &AlertFact, at: Timestamp, settings: &alert::Settings) {
        let Some(rule) = Rule::of_key(fact.key()) else {
            return;
        };
        let begins = matches!(fact, AlertFact::Raised(_));
        self.standing = self.standing.with(rule, begins);
        self.quiet.retain(|(quiet, until)| *quiet != rule && *until > at);
        if !begins {
            self.quiet.insert((rule, at.after(settings.cooldown)));
        }
    }

    /// The latest calls that ended, the latest last.
    pub(crate) fn marks(&self) -> &[Mark] {
        &self.marks
    }

    pub(crate) fn measures(&self) -> &[(Timestamp, u64)] {
        &self.measures
    }

    pub(crate) fn retries(&self) -> &[Timestamp] {
        &self.retries
    }

    /// Alerts of it that stand.
    pub(crate) const fn standing(&self) -> RuleSet {
        self.standing
    }

    /// Until when a rule is quiet.
    pub(crate) fn quiet(&self, rule: Rule) -> Option<Timestamp> {
        let mut quiet = self.quiet.iter().filter(|(quiet, _)| *quiet == rule);
        quiet.next_back().map(|(_, until)| *until)
    }
}

/// What is kept of a call that ended; nothing of one that waits on purpose, nor of one that its user broke off.
fn mark(hook: &Hook, tool: &ToolUse, outcome: &ToolOutcome, at: Timestamp) -> Option<Mark> {
    let name = tool.tool.as_str();
    if PATIENT.contains(&name) || tool.asks_user {
        return None;
    }
    let what = what(name, tool.input);
    let (how, result) = match outcome {
        ToolOutcome::Ok => (How::Ok, hook.output.unwrap_or_default()),
        ToolOutcome::Failed { error } if error.starts_with("interrupted") => return None,
        ToolOutcome::Failed { error } => (How::Failed, failure(name, what, error)),
        ToolOutcome::Denied { reason } => (How::Denied, short(&reason.as_str())),
    };
    Some(Mark {
        at,
        call: tool.call.as_ref().map_or(0, short),
        thread: hook.subagent.as_ref().map_or(0, short),
        what,
        result,
        how,
    })
}

/// A tool and its input.
pub(super) fn what(tool: &str, input: InputDigest) -> u32 {
    short(&(tool, input))
}

/// Numbers change from try to try: line numbers, times, ids. An error that says next to nothing is only the same of the
/// same call.
fn failure(tool: &str, what: u32, error: &str) -> u32 {
    let words = || error.chars().filter(|letter| !letter.is_ascii_digit());
    let telling = words().filter(|letter| letter.is_alphabetic()).count() >= TELLING_LETTERS;
    let call = if telling { 0 } else { what };
    short(&(tool, call, words().collect::<String>()))
}

/// Half a digest: two of twenty calls are taken for the same by chance once in twenty million sessions.
fn short(value: &impl std::hash::Hash) -> u32 {
    let whole = digest::of(value);
    (whole ^ (whole >> 32)) as u32
}

/// Keeps the latest.
fn keep<T: Ord>(kept: &mut Vec<T>, mark: T, most: usize) {
    let Err(at) = kept.binary_search(&mark) else {
        return;
    };
    if kept.len() < most {
        // Grow by a little: doubling would leave half of ten thousand sessions empty.
        if kept.len() == kept.capacity() {
            kept.reserve_exact(4);
        }
        kept.insert(at, mark);
    } else if at > 0 {
        kept[..at].rotate_left(1);
        kept[at - 1] = mark;
    }
}
