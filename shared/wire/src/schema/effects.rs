//! What hosts are told to do.

use super::{cursor, object, request_id, rows, text};
use serde_json::{Value, json};

/// A session, and what is said beyond it.
fn of_session(beyond: Value, required: &[&str]) -> Value {
    let mut properties = json!({
        "id": text("the session's id"),
        "host": text("its host; may be left out while no two hosts have the id"),
        "request_id": request_id(),
    });
    if let (Value::Object(properties), Value::Object(beyond)) = (&mut properties, beyond) {
        properties.extend(beyond);
    }
    object(properties, &[&["id"], required].concat())
}

pub(super) fn sessions_control() -> Value {
    of_session(json!({}), &[])
}

pub(super) fn sessions_model() -> Value {
    of_session(json!({"model": text("which, as the agent names models")}), &["model"])
}

pub(super) fn sessions_spawn() -> Value {
    let properties = json!({
        "host": text("where"),
        "template": text("which of the templates in that host's configuration"),
        "prompt": text("the first prompt"),
        "model": text("the model, where it is not the template's"),
        "budget_usd": {"type": "number", "exclusiveMinimum": 0, "description": "what it may cost, in US dollars"},
        "request_id": request_id(),
    });
    object(properties, &["host", "template", "prompt"])
}

pub(super) fn memory_compact() -> Value {
    of_session(json!({"instructions": text("what shall be kept, in words")}), &[])
}

pub(super) fn effects_list() -> Value {
    let properties = json!({
        "all": {"type": "boolean", "description": "also those that are over"},
        "session": text("only of this session"),
        "host": text("only on this host"),
        "cursor": cursor(),
        "limit": rows(),
    });
    object(properties, &[])
}

pub(super) fn effects_get() -> Value {
    object(json!({"id": text("the effect's id")}), &["id"])
}
