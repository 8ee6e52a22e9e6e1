//! One session: its row, its turns as trees of spans, and its events a page at a time.

use super::{SessionSummary, Tokens, usd};
use crate::envelope::RawData;
use crate::time;
use muster_domain::names::{HostName, PromptId, RunId, SessionId, SubagentId, ToolCallId};
use muster_domain::time::Timestamp;
use muster_domain::view::{SpanKind, SpanView, TurnView};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// `sessions.status`: which session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SessionRequest {
    /// Its id.
    pub id: SessionId,
    /// Its host; may be left out while no two hosts have the id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<HostName>,
}

/// A session, as the list shows it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Session {
    /// The row.
    pub session: SessionSummary,
}

/// `sessions.detail`: which session, and which of its events.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SessionDetailRequest {
    /// Its id.
    pub id: SessionId,
    /// Its host; may be left out while no two hosts have the id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<HostName>,
    /// Only events after this log sequence: `next_events` of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after_seq: Option<u64>,
    /// Events at most; 0 for none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
}

/// A session with its turns and a page of its events.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SessionDetail {
    /// The row.
    pub session: SessionSummary,
    /// Its turns, oldest first.
    pub turns: Vec<Turn>,
    /// Its events, oldest first.
    pub events: Vec<StoredEvent>,
    /// Where to go on with events; none at the end.
    pub next_events: Option<u64>,
}

/// An event at its place of the log.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct StoredEvent {
    /// Its log sequence.
    pub seq: u64,
    /// When the log took it.
    #[serde(with = "time")]
    pub at: Timestamp,
    /// The whole envelope.
    pub event: RawData,
}

/// A turn: from a prompt to the agent's stop.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Turn {
    /// What names it within its session.
    pub key: String,
    /// Its place in the session, from 0.
    pub index: u32,
    /// The prompt.
    pub prompt_id: Option<PromptId>,
    /// The wrapped run it belongs to.
    pub run: Option<RunId>,
    /// Its place in that run, from 0.
    pub run_index: Option<u32>,
    /// When it began.
    #[serde(with = "time::optional")]
    pub start: Option<Timestamp>,
    /// When it was over.
    #[serde(with = "time::optional")]
    pub end: Option<Timestamp>,
    /// `running`, `ok`, `failed` or `abandoned`.
    pub outcome: String,
    /// How long it took.
    pub duration_ms: Option<u64>,
    /// The first line of the prompt, shortened.
    pub preview: Option<String>,
    /// Tokens.
    pub tokens: Option<Tokens>,
    /// What it cost.
    pub cost_usd: Option<f64>,
    /// Tool calls, by tool.
    pub tools: BTreeMap<String, u64>,
    /// The agent's result class, or its error class.
    pub result: Option<String>,
    /// Tool calls beyond those that have a span.
    pub truncated: u64,
    /// What happened in it.
    pub spans: Vec<Span>,
}

/// Something that took time: a tool call, a subagent's work, a wait for permission.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    /// `tool`, `subagent` or `permission`.
    pub kind: String,
    /// The tool called, or waited for.
    pub tool: Option<String>,
    /// The kind of subagent.
    pub agent_type: Option<String>,
    /// The call, where its agent names calls.
    pub tool_use_id: Option<ToolCallId>,
    /// The subagent itself, or the one it happened in.
    pub agent_id: Option<SubagentId>,
    /// When it began.
    #[serde(with = "time")]
    pub start: Timestamp,
    /// When it ended.
    #[serde(with = "time::optional")]
    pub end: Option<Timestamp>,
    /// How long it took.
    pub duration_ms: Option<u64>,
    /// `running`, `ok`, `failed`, `denied` or `abandoned`.
    pub outcome: String,
    /// One line of what it did.
    pub summary: Option<String>,
    /// What went wrong.
    pub error: Option<String>,
    /// Tool calls in it and below.
    pub subtree_tool_calls: u64,
    /// Those that failed.
    pub subtree_failures: u64,
    /// Subagents in it and below.
    pub subtree_subagents: u64,
    /// What happened within it.
    pub children: Vec<Span>,
}

impl From<TurnView> for Turn {
    fn from(view: TurnView) -> Self {
        let (run, run_index) = view.run.map(|turn| (turn.run, turn.index)).unzip();
        Self {
            key: view.key,
            index: view.index,
            prompt_id: view.prompt,
            run,
            run_index,
            start: view.started,
            end: view.ended,
            outcome: view.state.as_str().to_owned(),
            duration_ms: view.duration_ms,
            preview: view.preview,
            tokens: view.usage.map(Tokens::from),
            cost_usd: view.cost_micros.map(usd),
            tools: view.tools,
            result: view.result,
            truncated: view.truncated,
            spans: view.spans.into_iter().map(Span::from).collect(),
        }
    }
}

impl From<SpanView> for Span {
    fn from(view: SpanView) -> Self {
        let (tool, agent_type) = match view.kind {
            SpanKind::Tool | SpanKind::Permission => (Some(view.name), None),
            SpanKind::Subagent => (None, Some(view.name)),
        };
        Self {
            kind: view.kind.as_str().to_owned(),
            tool,
            agent_type,
            tool_use_id: view.tool_use_id,
            agent_id: view.agent_id,
            start: view.start,
            end: view.end,
            duration_ms: view.duration_ms,
            outcome: view.outcome.as_str().to_owned(),
            summary: view.summary,
            error: view.error,
            subtree_tool_calls: view.totals.tool_calls,
            subtree_failures: view.totals.failures,
            subtree_subagents: view.totals.subagents,
            children: view.children.into_iter().map(Self::from).collect(),
        }
    }
}
