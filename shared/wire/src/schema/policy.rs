//! Rules, and what they are asked.

use super::{count, object, request_id, text};
use muster_domain::policy::ActionFamily;
use serde_json::{Value, json};

pub(super) fn policy_activate() -> Value {
    let source = object(
        json!({"name": text("the file's name"), "text": text("what it says")}),
        &["name", "text"],
    );
    let properties = json!({
        "name": text("what the rules are called"),
        "sources": {"type": "array", "items": source, "description": "none puts no rule in force"},
        "expected_fingerprint": text("of what they replace, empty for nothing; whatever there is without it"),
        "request_id": request_id(),
    });
    object(properties, &["sources"])
}

pub(super) fn policy_check() -> Value {
    let families: Vec<&str> = ActionFamily::ALL.iter().map(|family| family.as_str()).collect();
    let properties = json!({
        "action": {"enum": families, "description": "the action's family; without it, the tool call says"},
        "tool": text("the tool that would run, as in Bash"),
        "input": {"description": "what it would be called with"},
        "session": text("whose action it is"),
        "host": text("where that session runs"),
        "agent": text("the product that runs it, as in claude-code"),
        "cwd": text("where it would run; without it, where the session is"),
        "summary": text("in a sentence, what it is for: shown to whoever approves"),
        "dry_run": {"type": "boolean", "description": "only tell; ask nobody to approve"},
        "wait_ms": count("for how long an approval is waited for; without it, ten minutes"),
        "request_id": request_id(),
    });
    object(properties, &[])
}
