//! What each agent reads: the smallest JSON that its own contract takes for an answer. Pure.
//!
//! There is no superset that all would take. Codex refuses unknown fields, and then asks its user as if there were no hook;
//! Claude Code refuses a decision in another event's shape; Gemini hangs when told to ask. So every vendor gets what it was
//! seen to honour and nothing else. Where an agent cannot be told what was decided, it is told the safer thing: what was
//! approved only with changes it cannot take is denied, and what it cannot be made to ask about is denied too.

mod ask;
#[cfg(test)]
mod tests;

pub(crate) use ask::{Asked, Question};

use muster_wire::data::hook::{Verdict, VerdictKind};
use serde_json::{Value, json};

/// Whose contract an answer has to keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Vendor {
    ClaudeCode,
    Codex,
    Gemini,
    Qwen,
    Copilot,
    Cursor,
    /// Programs that speak for others: they speak like Claude Code.
    Other,
}

/// What was decided about one request for permission.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Decision {
    Approve {
        /// Also the next time, until the session ends.
        for_session: bool,
        /// The input to run with instead; a question's answers are in it.
        updated_input: Option<Value>,
    },
    Deny {
        reason: String,
        /// The turn ends too.
        interrupt: bool,
    },
}

impl Vendor {
    /// By the stored name of an agent.
    pub(crate) fn of(agent: &str) -> Self {
        match agent {
            "claude-code" => Self::ClaudeCode,
            "codex" => Self::Codex,
            "gemini-cli" => Self::Gemini,
            "qwen-code" => Self::Qwen,
            "copilot-cli" => Self::Copilot,
            "cursor" => Self::Cursor,
            _ => Self::Other,
        }
    }

    /// The answer to the hook before a tool runs; `hook` is its name as the agent wrote it. Nothing where nothing can be said
    /// that the agent would heed.
    pub(crate) fn before_tool(self, hook: &str, verdict: &Verdict) -> Option<Value> {
        let reason = &verdict.reason;
        let (word, reason) = match verdict.decision {
            VerdictKind::Deny => ("deny", reason.clone()),
            VerdictKind::Ask if self.can_ask(hook) => ("ask", reason.clone()),
            VerdictKind::Ask => ("deny", format!("{reason} {UNASKED}")),
            VerdictKind::Allow if self.skips_its_dialog() => ("allow", reason.clone()),
            VerdictKind::Allow => return None,
        };
        Some(match self {
            Self::ClaudeCode | Self::Codex | Self::Qwen | Self::Other => pre_tool_use(word, &reason),
            Self::Gemini => json!({"decision": word, "reason": reason}),
            Self::Copilot => json!({"permissionDecision": word, "permissionDecisionReason": reason}),
            Self::Cursor => json!({"permission": word, "user_message": reason, "agent_message": reason}),
        })
    }

    fn can_ask(self, hook: &str) -> bool {
        match self {
            Self::ClaudeCode | Self::Qwen | Self::Copilot | Self::Other => true,
            Self::Cursor => CURSOR_ASKS.contains(&hook),
            Self::Codex | Self::Gemini => false,
        }
    }

    const fn skips_its_dialog(self) -> bool {
        !matches!(self, Self::Codex | Self::Gemini)
    }
}

/// Cursor's hooks that take "ask".
const CURSOR_ASKS: &[&str] = &["beforeShellExecution", "beforeMCPExecution"];

/// Said where an agent would have to ask and cannot be made to.
const UNASKED: &str = "(a person must approve this, and this agent cannot be made to ask)";

fn pre_tool_use(word: &str, reason: &str) -> Value {
    json!({"hookSpecificOutput": {
        "hookEventName": "PreToolUse", "permissionDecision": word, "permissionDecisionReason": reason,
    }})
}
