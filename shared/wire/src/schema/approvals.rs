//! What waits for an answer.

use super::{cursor, object, request_id, rows, text};
use serde_json::{Value, json};

pub(super) fn approvals_list() -> Value {
    let properties = json!({
        "state": {"enum": ["open", "all"], "description": "those that wait, which is the default, or all"},
        "session": text("only of this session"),
        "host": text("only on this host"),
        "cursor": cursor(),
        "limit": rows(),
    });
    object(properties, &[])
}

pub(super) fn approvals_get() -> Value {
    object(json!({"id": text("the approval's id")}), &["id"])
}

pub(super) fn approvals_resolve() -> Value {
    let properties = json!({
        "id": text("the approval's id"),
        "decision": {"enum": ["approve", "deny"]},
        "reason": text("in the operator's words; a denied agent reads them"),
        "scope": {"enum": ["once", "session"], "description": "session allows calls like it until the session ends"},
        "interrupt": {"type": "boolean", "description": "a denied agent shall stop, instead of trying something else"},
        "answers": {"type": "object", "description": "the answers to an agent's questions: label by question"},
        "updated_input": {"type": "object", "description": "the input that the tool shall run with instead"},
        "request_id": request_id(),
    });
    object(properties, &["id", "decision"])
}
