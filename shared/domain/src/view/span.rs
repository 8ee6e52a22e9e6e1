//! What happened in a turn, as a tree: calls, the subagents they started, and the permissions they waited for.
//!
//! Each span is placed exactly once. A subagent hangs below the call that started it, where that is known; what it did
//! hangs below the subagent. Links that lead in a circle leave their spans at the top.

use crate::names::{SubagentId, ToolCallId};
use crate::session::{Ask, End, Session, Subagent, Tool, ToolKey, Turn};
use crate::time::Timestamp;
use std::fmt;

/// What a span is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SpanKind {
    /// A tool call.
    Tool,
    /// A subagent at work.
    Subagent,
    /// A wait for permission.
    Permission,
}

/// How a span, or a turn, ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// It has not.
    Running,
    /// Well.
    Ok,
    /// Not well.
    Failed,
    /// It was not allowed.
    Denied,
    /// Nothing was heard of its end, and what it belonged to is over.
    Abandoned,
}

impl SpanKind {
    /// The name, as in `tool`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Tool => "tool",
            Self::Subagent => "subagent",
            Self::Permission => "permission",
        }
    }
}

impl Outcome {
    /// The name, as in `running`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Ok => "ok",
            Self::Failed => "failed",
            Self::Denied => "denied",
            Self::Abandoned => "abandoned",
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a span and everything below it add up to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Totals {
    /// Tool calls.
    pub tool_calls: u64,
    /// Those that failed.
    pub failures: u64,
    /// Subagents.
    pub subagents: u64,
}

/// Something that took time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpanView {
    /// What it is.
    pub kind: SpanKind,
    /// The tool, or the kind of subagent.
    pub name: String,
    /// The call, where the agent names calls.
    pub tool_use_id: Option<ToolCallId>,
    /// The subagent itself, or the one it happened in.
    pub agent_id: Option<SubagentId>,
    /// When it began; where only its end is known, that.
    pub start: Timestamp,
    /// When it ended.
    pub end: Option<Timestamp>,
    /// The agent's own measure in milliseconds, or end less start.
    pub duration_ms: Option<u64>,
    /// How it ended.
    pub outcome: Outcome,
    /// One line of what it did.
    pub summary: Option<String>,
    /// What went wrong.
    pub error: Option<String>,
    /// What happened within it, by time.
    pub children: Vec<SpanView>,
    /// What it and all below it add up to.
    pub totals: Totals,
}

/// The spans of a turn that was over at `over`, if it was.
pub(super) fn tree(session: &Session, turn: &Turn, over: Option<Timestamp>) -> Vec<SpanView> {
    let mut forest = Forest {
        session,
        turn,
        over,
        tools: turn.tools.iter().map(Some).collect(),
        subagents: turn.subagents.iter().map(Some).collect(),
        asks: turn.asks.iter().map(Some).collect(),
    };
    let mut spans = forest.of_thread(None);
    // What is left hangs below something unknown, or below itself.
    while let Some(subagent) = forest.subagents.iter_mut().find_map(Option::take) {
        spans.push(forest.subagent(subagent));
    }
    while let Some(tool) = forest.tools.iter_mut().find_map(Option::take) {
        spans.push(forest.tool(tool));
    }
    let asks: Vec<&Ask> = forest.asks.iter_mut().filter_map(Option::take).collect();
    spans.extend(asks.into_iter().map(|ask| forest.ask(ask, None)));
    spans.sort_by_key(|span| span.start);
    spans
}

/// Spans not yet placed; each is taken once, so that building ends whatever the links say.
struct Forest<'a> {
    session: &'a Session,
    turn: &'a Turn,
    over: Option<Timestamp>,
    tools: Vec<Option<&'a Tool>>,
    subagents: Vec<Option<&'a Subagent>>,
    asks: Vec<Option<&'a Ask>>,
}

fn take<'a, T>(items: &mut [Option<&'a T>], is: impl Fn(&T) -> bool) -> Vec<&'a T> {
    items
        .iter_mut()
        .filter_map(|slot| slot.take_if(|item| is(item)))
        .collect()
}

impl<'a> Forest<'a> {
    fn of_thread(&mut self, thread: Option<&SubagentId>) -> Vec<SpanView> {
        let tools = take(&mut self.tools, |tool| tool.subagent.as_ref() == thread);
        let mut spans: Vec<SpanView> = tools.into_iter().map(|tool| self.tool(tool)).collect();
        if thread.is_none() {
            let (session, turn) = (self.session, self.turn);
            let loose = take(&mut self.subagents, |subagent| {
                let starter = session.starter_of(&subagent.id).cloned();
                starter.is_none_or(|call| turn.tools.get(&ToolKey::Named(call)).is_none())
            });
            spans.extend(loose.into_iter().map(|subagent| self.subagent(subagent)));
        }
        let asks = take(&mut self.asks, |ask| ask.subagent() == thread);
        spans.extend(asks.into_iter().map(|ask| self.ask(ask, None)));
        spans.sort_by_key(|span| span.start);
        spans
    }

    fn tool(&mut self, tool: &'a Tool) -> SpanView {
        let call = tool.call().and_then(|call| ToolCallId::new(call).ok());
        let session = self.session;
        let spawned = take(&mut self.subagents, |subagent| {
            call.is_some() && session.starter_of(&subagent.id) == call.as_ref()
        });
        let mut children: Vec<SpanView> = spawned.into_iter().map(|subagent| self.subagent(subagent)).collect();
        let asked = take(&mut self.asks, |ask| {
            ask.is_for(tool) && tool.ended_at().is_none_or(|end| end >= ask.at())
        });
        children.extend(asked.into_iter().map(|ask| self.ask(ask, Some(tool))));
        children.sort_by_key(|span| span.start);
        let (outcome, error) = match tool.ended.as_ref().map(|end| &end.value) {
            Some(End::Ok) => (Outcome::Ok, None),
            Some(End::Failed(error)) => (Outcome::Failed, Some(error.to_string())),
            Some(End::Denied(reason)) => (Outcome::Denied, Some(reason.to_string())),
            None => (self.unended(tool.subagent.as_ref(), tool.started), None),
        };
        let start = tool.started.or(tool.ended_at()).unwrap_or(self.turn.first);
        let own = Totals {
            tool_calls: 1,
            failures: u64::from(outcome == Outcome::Failed),
            subagents: 0,
        };
        SpanView {
            kind: SpanKind::Tool,
            name: tool.name().to_owned(),
            tool_use_id: call,
            agent_id: tool.subagent.clone(),
            start: tool.ended_at().map_or(start, |end| start.min(end)),
            end: tool.ended_at(),
            duration_ms: tool
                .duration_ms
                .map(u64::from)
                .or_else(|| elapsed(tool.started, tool.ended_at())),
            outcome,
            summary: tool.summary().map(ToOwned::to_owned),
            error,
            totals: sum(own, &children),
            children,
        }
    }

    fn subagent(&mut self, subagent: &'a Subagent) -> SpanView {
        let children = self.of_thread(Some(&subagent.id));
        let end = subagent.over();
        let outcome = match end {
            Some(_) => Outcome::Ok,
            None => self.unended(Some(&subagent.id), subagent.first),
        };
        let own = Totals {
            subagents: 1,
            ..Totals::default()
        };
        let kind = subagent.kind.as_deref();
        SpanView {
            kind: SpanKind::Subagent,
            name: kind.unwrap_or("subagent").to_owned(),
            tool_use_id: self.session.starter_of(&subagent.id).cloned(),
            agent_id: Some(subagent.id.clone()),
            start: subagent.first.unwrap_or(self.turn.first),
            end,
            duration_ms: elapsed(subagent.first, end),
            outcome,
            summary: None,
            error: None,
            totals: sum(own, &children),
            children,
        }
    }

    fn ask(&self, ask: &Ask, tool: Option<&Tool>) -> SpanView {
        let ended = tool.and_then(|tool| tool.ended.as_ref());
        // A call's own measure leaves out the wait before it: what is left is the wait.
        let end = ended.map(|end| {
            let ran_ms = tool.and_then(|tool| tool.duration_ms).map_or(0, i64::from);
            let began = Timestamp::from_millis(end.at.as_millis().saturating_sub(ran_ms));
            began.max(ask.at())
        });
        let outcome = match ended.map(|end| &end.value) {
            Some(End::Denied(_)) => Outcome::Denied,
            Some(End::Ok | End::Failed(_)) => Outcome::Ok,
            None if self.over.is_none() && self.session.open(self.turn, ask) => Outcome::Running,
            None => Outcome::Abandoned,
        };
        SpanView {
            kind: SpanKind::Permission,
            name: ask.tool().to_string(),
            tool_use_id: None,
            agent_id: ask.subagent().cloned(),
            start: ask.at(),
            end,
            duration_ms: elapsed(Some(ask.at()), end),
            outcome,
            summary: ask.summary.as_deref().map(ToOwned::to_owned),
            error: None,
            totals: Totals::default(),
            children: Vec::new(),
        }
    }

    fn unended(&self, thread: Option<&SubagentId>, started: Option<Timestamp>) -> Outcome {
        let done = self.turn.done(thread);
        let background = thread.is_some() && self.turn.left_tasks();
        if (self.over.is_some() && !background) || (done.is_some() && done >= started) {
            Outcome::Abandoned
        } else {
            Outcome::Running
        }
    }
}

fn elapsed(start: Option<Timestamp>, end: Option<Timestamp>) -> Option<u64> {
    let span = end?.since(start?);
    u64::try_from(span.as_millis()).ok()
}

fn sum(own: Totals, children: &[SpanView]) -> Totals {
    children.iter().fold(own, |sum, child| Totals {
        tool_calls: sum.tool_calls + child.totals.tool_calls,
        failures: sum.failures + child.totals.failures,
        subagents: sum.subagents + child.totals.subagents,
    })
}
