//! `agent.turn.*` and `agent.output.stream`: what was read from an agent's printed lines.

use crate::envelope::RawData;
use crate::incoming::check_depth;
use crate::limits::JSON_DEPTH_MAX;
use muster_domain::fact::Usage;
use muster_domain::ids::EventId;
use muster_domain::names::{RunId, SubagentId, ToolCallId};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// `turn_start`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TurnStart {
    /// The run.
    pub run: RunId,
    /// The how-manieth turn of it, from 0.
    pub index: u32,
    /// Working directory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cwd: Option<String>,
    /// Who gave the prompt, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// Messages that wait for turns of their own, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unread: Option<u64>,
}

/// `turn_end`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TurnEnd {
    /// The run.
    pub run: RunId,
    /// The how-manieth turn of it, from 0.
    pub index: u32,
    /// Whether it went well.
    pub ok: bool,
    /// The agent's result class (`success`, `error_max_turns`, …); where it gives none for an error, why the turn is over
    /// (`rate_limit`, `prompt_too_long`, …).
    pub result: String,
    /// The agent's own measure, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<u64>,
    /// Calls of the model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub num_turns: Option<u64>,
    /// Tokens of this turn.
    #[serde(default)]
    pub usage: TokenUsage,
    /// What the run has cost so far, in US dollars, as the agent counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_cost_usd: Option<f64>,
    /// Tool calls of this turn, by tool.
    #[serde(default)]
    pub tools: BTreeMap<String, u64>,
    /// Why the model stopped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop_reason: Option<String>,
    /// Why the turn is over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub terminal_reason: Option<String>,
}

/// Tokens, under the names of the Messages API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct TokenUsage {
    /// Input tokens that were not read from a cache.
    pub input_tokens: u64,
    /// Output tokens.
    pub output_tokens: u64,
    /// Input tokens read from a cache.
    pub cache_read_input_tokens: u64,
    /// Input tokens written to a cache.
    pub cache_creation_input_tokens: u64,
}

impl From<TokenUsage> for Usage {
    fn from(usage: TokenUsage) -> Self {
        Self {
            input: usage.input_tokens,
            output: usage.output_tokens,
            cache_read: usage.cache_read_input_tokens,
            cache_creation: usage.cache_creation_input_tokens,
        }
    }
}

/// `note`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// In words.
    pub text: String,
    /// A subagent and the call that started it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<Link>,
}

/// A subagent and the call that started it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// The subagent.
    pub agent_id: SubagentId,
    /// The call.
    pub tool_use_id: ToolCallId,
}

/// `model_changed`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelChanged {
    /// To which.
    pub model: String,
}

/// `token_usage_changed`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenUsageChanged {
    /// Tokens in the context.
    pub used_tokens: u64,
    /// Tokens that fit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window_tokens: Option<u64>,
    /// Tokens of the call that was measured.
    #[serde(default)]
    pub usage: TokenUsage,
}

/// `turn_state_changed`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TurnStateChanged {
    /// What the agent does.
    pub state: TurnState,
}

/// What an agent does within or between turns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TurnState {
    /// Nothing.
    Idle,
    /// It works.
    Thinking,
    /// It compacts its context.
    Compacting,
}

/// `status_changed`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusChanged {
    /// In the agent's words; [`StatusChanged::ANSWERED`] and [`StatusChanged::RELEASED`] are ingest's own.
    pub status: String,
    /// The event that asked, where it is about an ask.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ask: Option<EventId>,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl StatusChanged {
    /// The agent's own dialog was answered while a hook waited for an answer.
    pub const ANSWERED: &str = "permission_answered";
    /// The hook that waited for an answer is gone.
    pub const RELEASED: &str = "permission_released";

    /// A call of the model failed for now, and is made again.
    pub const RETRYING: &str = "retrying";

    /// What an agent says of itself.
    pub const fn of_agent(status: String) -> Self {
        Self {
            status,
            ask: None,
            reason: None,
        }
    }
}

/// `agent.output.stream`: one printed line.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct OutputLine {
    /// The run.
    pub run: RunId,
    /// Which line of it, from 1.
    pub n: u64,
    /// The line where it is a JSON object, else an object with its `text`.
    pub line: RawData,
}

#[derive(Serialize)]
struct Text<'a> {
    text: &'a str,
}

impl OutputLine {
    /// The line `n` of a run.
    pub fn new(run: RunId, n: u64, line: &str) -> Self {
        let object = line.trim_start().starts_with('{') && check_depth(line.as_bytes(), JSON_DEPTH_MAX);
        let raw = object.then(|| serde_json::from_str::<&RawValue>(line).ok()).flatten();
        let line = raw.map_or_else(
            || serde_json::value::to_raw_value(&Text { text: line }).expect("invariant: a text is JSON"),
            ToOwned::to_owned,
        );
        Self { run, n, line }
    }
}
