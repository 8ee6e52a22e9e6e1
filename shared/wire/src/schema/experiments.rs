//! Comparisons of sessions.

use super::{count, cursor, object, request_id, rows, text};
use serde_json::{Value, json};

fn variant() -> Value {
    json!({"type": "string", "enum": ["control", "treatment"], "description": "the side; without it, none"})
}

pub(super) fn create() -> Value {
    let metrics = ["cost_usd", "tokens", "turns", "tool_calls", "failures", "duration"];
    let members = json!({
        "name": text("what people call it"),
        "hypothesis": text("what is expected"),
        "change": text("what is changed"),
        "metric": {"type": "string", "enum": metrics, "description": "what is measured of each session"},
        "target_percent": {"type": "integer", "description": "by how much it shall change; -10 without it"},
        "duration_days": count("for how many days sessions that begin count; 14 without it"),
        "control": text("which sessions are the control, as a query: model=sonnet"),
        "treatment": text("which sessions have the change, as a query"),
        "request_id": request_id(),
    });
    object(members, &["name", "metric"])
}

pub(super) fn list() -> Value {
    let states = ["draft", "running", "concluded", "archived"];
    let members = json!({
        "state": {"type": "string", "enum": states, "description": "only these; without it, all but the archived"},
        "cursor": cursor(),
        "limit": rows(),
    });
    object(members, &[])
}

pub(super) fn one() -> Value {
    object(
        json!({"id": text("the experiment's id"), "request_id": request_id()}),
        &["id"],
    )
}

pub(super) fn tag() -> Value {
    let members = json!({
        "id": text("the experiment's id"),
        "session": text("the session's id"),
        "host": text("its host; may be left out while no two hosts have the id"),
        "variant": variant(),
        "request_id": request_id(),
    });
    object(members, &["id", "session"])
}

pub(super) fn conclude() -> Value {
    let members = json!({
        "id": text("the experiment's id"),
        "note": text("what you make of its figures"),
        "request_id": request_id(),
    });
    object(members, &["id"])
}
