//! Delegations, and the circuits they pass.

use super::{cursor, object, request_id, rows, text};
use serde_json::{Value, json};

pub(super) fn delegate() -> Value {
    let tiers = json!({"enum": ["haiku", "sonnet", "opus"], "description": "which kind of model; sonnet without it"});
    let properties = json!({
        "session_id": text("id of the session that delegates"),
        "host": text("its host; may be left out while no two hosts have the id"),
        "agent": text("name of the agent, as in code-reviewer"),
        "task": text("what it shall do"),
        "tier": tiers,
        "parent_delegation": text("the delegation that this one is part of: the id your own prompt names"),
        "request_id": request_id(),
    });
    object(properties, &["session_id", "agent", "task"])
}

pub(super) fn delegations_list() -> Value {
    let properties = json!({
        "all": {"type": "boolean", "description": "also those that ended lately"},
        "session": text("only of this session"),
        "host": text("only on this host"),
        "cursor": cursor(),
        "limit": rows(),
    });
    object(properties, &[])
}

pub(super) fn delegations_get() -> Value {
    object(json!({"id": text("the delegation's id")}), &["id"])
}

pub(super) fn delegations_cancel() -> Value {
    let properties = json!({
        "id": text("the delegation's id"),
        "reason": text("why"),
        "request_id": request_id(),
    });
    object(properties, &["id"])
}

pub(super) fn circuits_status() -> Value {
    object(
        json!({"agent": text("name of the agent, as in code-reviewer; all without it")}),
        &[],
    )
}

pub(super) fn circuits_probe() -> Value {
    let properties = json!({
        "agent": text("name of the agent"),
        "session": text("the session that wants to run it"),
        "tool_use_id": text("the call, where the agent names calls"),
        "delegation_id": text("the delegation that the call is made for"),
    });
    object(properties, &["agent", "session"])
}

pub(super) fn circuits_reset() -> Value {
    object(
        json!({"agent": text("name of the agent"), "request_id": request_id()}),
        &["agent"],
    )
}
