//! Leased work: who keeps it, what waits for somebody, what has to be passed.

use super::{count, cursor, object, request_id, rows, text};
use serde_json::{Value, json};

pub(super) fn sessions_leases() -> Value {
    let properties = json!({
        "workspace": text("only this one"),
        "cursor": cursor(),
        "limit": rows(),
    });
    object(properties, &[])
}

pub(super) fn guards_list() -> Value {
    let properties = json!({"workspace": text("on what is worked"), "profile": text("whose work")});
    object(properties, &["workspace"])
}

pub(super) fn escalations_set() -> Value {
    let beyond = json!({
        "id": text("names it; made where it is not given"),
        "kind": {"enum": ["blocking", "non_blocking"], "description": "whether it stops the work"},
        "reason": text("why, for whoever it waits for"),
    });
    lease_with(beyond, &["kind", "reason"])
}

pub(super) fn escalations_clear() -> Value {
    lease(json!({"id": text("which; all where none is named")}))
}

/// Gates, as they are given.
fn gates() -> Value {
    json!({"type": "array", "items": text("what has to be the case"), "description": "what has to be passed, in order"})
}

pub(super) fn gates_replace() -> Value {
    lease_with(json!({"gates": gates()}), &["gates"])
}

pub(super) fn gates_seed() -> Value {
    let from =
        json!({"enum": ["handoff:immediate_actions", "definition_of_done"], "description": "where they come from"});
    lease_with(json!({"seeded_from": from, "gates": gates()}), &["seeded_from"])
}

pub(super) fn gates_set_status() -> Value {
    let beyond = json!({
        "index": count("which gate, counted from 0"),
        "status": {"enum": ["open", "done", "blocked"], "description": "how far it is"},
    });
    lease_with(beyond, &["index", "status"])
}

pub(super) fn gates_change() -> Value {
    lease(json!({}))
}

/// What every write of a lease says, and what this one may say beyond it.
fn lease(beyond: Value) -> Value {
    lease_with(beyond, &[])
}

/// What every write of a lease says, and what this one says beyond it.
pub(super) fn lease_with(beyond: Value, required: &[&str]) -> Value {
    let mut properties = json!({
        "workspace": text("on what is worked"),
        "profile": text("whose work"),
        "actor_id": text("who writes"),
        "session_id": text("for which piece of work"),
        "expected_revision": count("at which revision; another one is a conflict"),
        "host": text("the host it is held from; a host that asks is that host"),
        "request_id": request_id(),
    });
    if let (Value::Object(properties), Value::Object(beyond)) = (&mut properties, beyond) {
        properties.extend(beyond);
    }
    object(properties, &[&["workspace"], required].concat())
}

pub(super) fn sessions_start() -> Value {
    let beyond = json!({
        "mode": {"enum": ["general", "research", "implement"], "description": "what kind of work"},
        "owner_kind": {"enum": ["interactive", "runtime_worker", "runtime_supervisor"], "description": "who keeps it"},
        "supervisor_id": text("who supervises"),
        "lease_seconds": count("how long one heartbeat keeps it; a program has to say"),
        "recover_stale": {"type": "boolean", "description": "go on with one's own work although it went stale"},
    });
    lease(beyond)
}

pub(super) fn sessions_heartbeat() -> Value {
    lease(json!({"activity": text("what is being done, in at most 280 characters")}))
}

pub(super) fn sessions_clear() -> Value {
    lease(json!({"reason": text("why")}))
}

pub(super) fn sessions_takeover() -> Value {
    lease(json!({"reason": text("why; it has to be said")}))
}
