//! The products whose hooks are taken, and where each of them says which session and which hook it is.
//!
//! A hook's name is kept as the agent wrote it; only the names that the kaizen daemon mapped (OpenClaw, Vibe) are mapped
//! here too, because they have no hooks of that meaning under any other name.

use serde_json::{Map, Value};

/// Names a caller may use, and the name that is stored.
const KNOWN: &[(&str, &str)] = &[
    ("claude-code", "claude-code"),
    ("claude", "claude-code"),
    ("codex", "codex"),
    ("gemini-cli", "gemini-cli"),
    ("opencode", "opencode"),
    ("qwen-code", "qwen-code"),
    ("copilot-cli", "copilot-cli"),
    ("cursor", "cursor"),
    ("trusty-mpm", "trusty-mpm"),
    ("openclaw", "openclaw"),
    ("vibe", "vibe"),
    ("hermes", "hermes"),
    ("generic", "generic"),
];

const ALIASES: &[(&str, &str, &str)] = &[
    ("openclaw", "command:new", "SessionStart"),
    ("openclaw", "message:received", "SessionStart"),
    ("openclaw", "command:stop", "Stop"),
    ("openclaw", "message:sent", "PreToolUse"),
    ("openclaw", "command:reset", "PreToolUse"),
    ("vibe", "tool_start", "PreToolUse"),
    ("vibe", "tool_end", "PostToolUse"),
];

/// The stored name of an agent; `None` for one nobody knows.
pub(crate) fn known(name: &str) -> Option<&'static str> {
    KNOWN
        .iter()
        .find(|(known, _)| *known == name)
        .map(|(_, stored)| *stored)
}

/// The hook that an agent's own word for it stands for.
pub(crate) fn hook_name<'a>(agent: &str, name: &'a str) -> &'a str {
    ALIASES
        .iter()
        .find(|(of, alias, _)| *of == agent && *alias == name)
        .map_or(name, |(_, _, hook)| hook)
}

/// The session a payload names. Claude's spelling first; then Copilot's, OpenCode's, Cursor's, Codex's `notify`.
pub(crate) fn session(payload: &Map<String, Value>) -> Option<&str> {
    const KEYS: &[&str] = &[
        "session_id",
        "sessionId",
        "sessionID",
        "session",
        "conversation_id",
        "thread-id",
    ];
    first_text(payload, KEYS).or_else(|| {
        // OpenCode's events keep it inside.
        let inner = payload.get("properties").or_else(|| payload.get("input"))?;
        first_text(inner.as_object()?, KEYS)
    })
}

/// The hook a payload names; `hint` is what its caller knows. An `event` may also be a fact of the hook (Claude's
/// `FileChanged` has one), so it counts only where nothing better does.
pub(crate) fn hook<'a>(payload: &'a Map<String, Value>, hint: Option<&'a str>) -> Option<&'a str> {
    first_text(payload, &["hook_event_name", "hookEventName", "hookName"])
        .or(hint)
        .or_else(|| first_text(payload, &["event", "hook", "type"]))
}

fn first_text<'a>(of: &'a Map<String, Value>, keys: &[&str]) -> Option<&'a str> {
    keys.iter()
        .find_map(|key| of.get(*key)?.as_str())
        .filter(|text| !text.is_empty())
}
