//! One printed line: the union of the dialects, as far as turns are made of it.

use crate::data::turn::TokenUsage;
use muster_domain::names::{SessionId, SubagentId, ToolCallId};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::BTreeMap;

/// A value of the right type, or nothing: one foreign field must not cost the whole line.
fn lenient<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    let raw = <&'de RawValue>::deserialize(deserializer)?;
    Ok(serde_json::from_str(raw.get()).ok())
}

/// A text, or nothing.
fn words<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Cow<'de, str>>, D::Error> {
    let raw = <&'de RawValue>::deserialize(deserializer)?;
    Ok(crate::members::text(raw))
}

#[derive(Deserialize)]
pub(super) struct Line<'a> {
    #[serde(rename = "type", borrow)]
    pub(super) kind: Cow<'a, str>,
    #[serde(default, borrow, deserialize_with = "words")]
    pub(super) subtype: Option<Cow<'a, str>>,
    #[serde(default, borrow, deserialize_with = "words")]
    session_id: Option<Cow<'a, str>>,
    #[serde(default, borrow, deserialize_with = "words")]
    thread_id: Option<Cow<'a, str>>,
    #[serde(default, borrow, deserialize_with = "words")]
    pub(super) cwd: Option<Cow<'a, str>>,
    #[serde(default, borrow, deserialize_with = "words")]
    pub(super) model: Option<Cow<'a, str>>,
    #[serde(default, borrow, deserialize_with = "words")]
    pub(super) status: Option<Cow<'a, str>>,
    #[serde(default, borrow, deserialize_with = "words")]
    pub(super) description: Option<Cow<'a, str>>,
    #[serde(default, borrow, deserialize_with = "words")]
    pub(super) parent_tool_use_id: Option<Cow<'a, str>>,
    #[serde(default, borrow, deserialize_with = "words")]
    pub(super) tool_name: Option<Cow<'a, str>>,
    #[serde(default, borrow, deserialize_with = "words")]
    pub(super) tool_id: Option<Cow<'a, str>>,
    #[serde(default, borrow, deserialize_with = "words")]
    pub(super) stop_reason: Option<Cow<'a, str>>,
    #[serde(default, borrow, deserialize_with = "words")]
    pub(super) terminal_reason: Option<Cow<'a, str>>,
    #[serde(default, borrow, deserialize_with = "words")]
    task_id: Option<Cow<'a, str>>,
    #[serde(default, borrow, deserialize_with = "words")]
    task_type: Option<Cow<'a, str>>,
    #[serde(default, borrow, deserialize_with = "words")]
    subagent_type: Option<Cow<'a, str>>,
    #[serde(default, borrow, deserialize_with = "words")]
    tool_use_id: Option<Cow<'a, str>>,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) is_error: Option<bool>,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) api_error_status: Option<u16>,
    #[serde(default, deserialize_with = "lenient")]
    duration_ms: Option<u64>,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) num_turns: Option<u64>,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) total_cost_usd: Option<f64>,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) compact_metadata: Option<Compact>,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) item: Option<Item>,
    #[serde(default, deserialize_with = "lenient")]
    usage: Option<AnyUsage>,
    #[serde(default, deserialize_with = "lenient")]
    stats: Option<AnyUsage>,
    #[serde(default, rename = "modelUsage", deserialize_with = "lenient")]
    model_usage: Option<BTreeMap<String, ModelUsage>>,
    #[serde(default, borrow)]
    message: Option<&'a RawValue>,
}

#[derive(Deserialize)]
pub(super) struct Compact {
    #[serde(default)]
    pub(super) post_tokens: Option<u64>,
}

#[derive(Deserialize)]
struct ModelUsage {
    #[serde(default, rename = "contextWindow")]
    context_window: Option<u64>,
}

/// Tokens under the names of all three dialects. Codex and Gemini count cached tokens as input too.
#[derive(Default, Deserialize)]
#[serde(default)]
struct AnyUsage {
    input_tokens: u64,
    output_tokens: u64,
    cache_read_input_tokens: u64,
    cache_creation_input_tokens: u64,
    cached_input_tokens: u64,
    cache_write_input_tokens: u64,
    cached: u64,
    duration_ms: Option<u64>,
}

impl AnyUsage {
    const fn tokens(&self) -> TokenUsage {
        let counted_twice = self.cached_input_tokens.saturating_add(self.cached);
        TokenUsage {
            input_tokens: self.input_tokens.saturating_sub(counted_twice),
            output_tokens: self.output_tokens,
            cache_read_input_tokens: self.cache_read_input_tokens.saturating_add(counted_twice),
            cache_creation_input_tokens: self
                .cache_creation_input_tokens
                .saturating_add(self.cache_write_input_tokens),
        }
    }
}

/// Codex: something it did.
#[derive(Deserialize)]
pub(super) struct Item {
    pub(super) id: String,
    #[serde(rename = "type")]
    pub(super) kind: String,
}

impl Item {
    pub(super) fn is_call(&self) -> bool {
        ["command_execution", "file_change", "mcp_tool_call", "web_search"].contains(&self.kind.as_str())
    }
}

/// Claude Code: what the model said.
#[derive(Deserialize)]
pub(super) struct Message<'a> {
    #[serde(default, borrow, deserialize_with = "words")]
    pub(super) id: Option<Cow<'a, str>>,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) usage: Option<TokenUsage>,
    #[serde(default, borrow)]
    pub(super) content: Vec<Block<'a>>,
}

#[derive(Deserialize)]
pub(super) struct Block<'a> {
    #[serde(default, rename = "type", borrow, deserialize_with = "words")]
    kind: Option<Cow<'a, str>>,
    #[serde(default, borrow, deserialize_with = "words")]
    id: Option<Cow<'a, str>>,
    #[serde(default, borrow, deserialize_with = "words")]
    name: Option<Cow<'a, str>>,
}

impl Block<'_> {
    /// Name and id of a tool call.
    pub(super) fn call(&self) -> Option<(&str, &str)> {
        (self.kind.as_deref() == Some("tool_use")).then_some(())?;
        self.name.as_deref().zip(self.id.as_deref())
    }
}

impl<'a> Line<'a> {
    pub(super) fn session(&self) -> Option<SessionId> {
        SessionId::new(self.session_id.as_deref().or(self.thread_id.as_deref())?).ok()
    }

    pub(super) fn message(&self) -> Option<Message<'a>> {
        serde_json::from_str(self.message?.get()).ok()
    }

    pub(super) fn usage(&self) -> Option<TokenUsage> {
        self.usage.as_ref().or(self.stats.as_ref()).map(AnyUsage::tokens)
    }

    pub(super) fn duration_ms(&self) -> Option<u64> {
        self.duration_ms.or_else(|| self.stats.as_ref()?.duration_ms)
    }

    /// The window of the run's model; where it is not named, of the only one there is.
    pub(super) fn window_tokens(&self, model: Option<&str>) -> Option<u64> {
        let models = self.model_usage.as_ref()?;
        let only = || models.values().next().filter(|_| models.len() == 1);
        model.and_then(|model| models.get(model)).or_else(only)?.context_window
    }

    /// A task that is a subagent, and the call that started it. Other tasks are commands in the background.
    pub(super) fn subagent(&self) -> Option<(SubagentId, ToolCallId)> {
        let agent =
            self.subagent_type.is_some() || self.task_type.as_deref().is_some_and(|kind| kind.contains("agent"));
        agent.then_some(())?;
        let subagent = SubagentId::new(self.task_id.as_deref()?).ok()?;
        Some((subagent, ToolCallId::new(self.tool_use_id.as_deref()?).ok()?))
    }
}
