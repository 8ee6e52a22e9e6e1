//! What is drawn from the index of the log: words that were said, and what tools took.

use super::stats::Spread;
use crate::time;
use crate::words::WordsKind;
use muster_domain::names::{AgentName, HostName, SessionId};
use muster_domain::time::Timestamp;
use serde::{Deserialize, Serialize};

/// `sessions.search`: for which words, and where.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SessionsSearchRequest {
    /// Words that an event has to have, all of them; `"in this order"` in quotes, `begin*` for words that begin so.
    pub query: String,
    /// Only events stored since then.
    #[serde(default, with = "time::optional", skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// Only of this product.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent: Option<AgentName>,
    /// Only words of this kind.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<WordsKind>,
    /// Only on this host.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<HostName>,
    /// Only of this session.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<SessionId>,
    /// Rows at most; 50 where nobody says, and the server has a cap of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
}

/// Events that have the words, the best match first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SessionsHits {
    /// The events.
    pub hits: Vec<Hit>,
    /// There are more than were asked for.
    pub more: bool,
    /// What the index covers.
    #[serde(flatten)]
    pub indexed: Indexed,
}

/// How much of the log an answer is drawn from: what was stored after `indexed_seq` is not in it yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Indexed {
    /// The last log sequence in the index.
    pub indexed_seq: u64,
    /// The log's oldest sequence when the index last looked; what was older is gone from both.
    pub indexed_from: u64,
}

/// An event that has the words.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Hit {
    /// Its log sequence.
    pub event_seq: u64,
    /// When it was stored.
    #[serde(with = "time")]
    pub at: Timestamp,
    /// Its host.
    pub host: HostName,
    /// Its session.
    pub session: SessionId,
    /// The product that runs the session.
    pub agent: Option<String>,
    /// Whose words.
    pub kind: WordsKind,
    /// The tool, of a call.
    pub tool: Option<String>,
    /// The words around the match, which is between « and ».
    pub snippet: String,
    /// How well it matches: BM25, larger is better. Comparable within one answer.
    pub score: f64,
}

/// `sessions.metrics`: of which days.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SessionsMetricsRequest {
    /// Back from now; 7 where nobody says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub days: Option<u32>,
}

/// Where time, tokens and failures go, from what the log says of calls and turns.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SessionsMetrics {
    /// Since when.
    #[serde(with = "time")]
    pub from: Timestamp,
    /// When the oldest call or turn in the numbers was heard of.
    #[serde(with = "time::optional")]
    pub oldest: Option<Timestamp>,
    /// Files that calls named, the most named first.
    pub files: Vec<HotFile>,
    /// Tools, the slowest p95 first.
    pub tools: Vec<SlowTool>,
    /// Sessions by the tokens of their turns, the most first.
    pub tokens: Vec<TokenSink>,
    /// Agents, those that fail most first.
    pub agents: Vec<FailingAgent>,
    /// What the index covers.
    #[serde(flatten)]
    pub indexed: Indexed,
}

/// A file that calls named.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HotFile {
    /// The file, as they named it.
    pub path: String,
    /// Calls.
    pub calls: u64,
    /// Sessions that they are of.
    pub sessions: u64,
}

/// What a tool takes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlowTool {
    /// The tool.
    pub tool: String,
    /// Calls.
    pub calls: u64,
    /// Those that failed.
    pub failures: u64,
    /// Milliseconds, of those whose duration is known.
    pub duration_ms: Spread,
}

/// What a session used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenSink {
    /// The session.
    pub session: SessionId,
    /// Its host.
    pub host: HostName,
    /// The product that runs it.
    pub agent: Option<String>,
    /// Its printed turns in that time.
    pub turns: u64,
    /// Tokens that went into the model, cached ones included.
    pub input: u64,
    /// Tokens that came out.
    pub output: u64,
}

/// How often an agent fails.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailingAgent {
    /// The agent.
    pub agent: String,
    /// Its sessions in that time.
    pub sessions: u64,
    /// Its tool calls.
    pub calls: u64,
    /// Those that failed.
    pub failures: u64,
    /// Printed turns that failed.
    pub failed_turns: u64,
}
