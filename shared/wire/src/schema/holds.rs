//! Holds and budgets.

use super::{count, object, request_id, text};
use serde_json::{Value, json};

fn selector(what: &str) -> Value {
    json!({
        "type": "object",
        "description": what,
        "properties": {
            "kind": {"type": "string", "enum": ["all", "host", "agent", "label", "session"]},
            "host": text("the host, or the session's host"),
            "agent": text("the agent, as in claude-code"),
            "key": text("the label's key"),
            "value": text("the label's value"),
            "session": text("the session"),
        },
        "required": ["kind"],
        "additionalProperties": false,
    })
}

fn mode() -> Value {
    json!({
        "type": "string",
        "enum": ["hold", "away"],
        "description": "hold denies new tool calls; away has questions wait for an answer from elsewhere",
    })
}

pub(super) fn holds_list() -> Value {
    let past = json!({"type": "boolean", "description": "those that are over, too"});
    object(json!({ "past": past }), &[])
}

pub(super) fn holds_set() -> Value {
    let members = json!({
        "mode": mode(),
        "selector": selector("whom it is for"),
        "reason": text("why; agents are shown it"),
        "expires_in_ms": count("after how many milliseconds it ends by itself"),
        "request_id": request_id(),
    });
    object(members, &["selector"])
}

pub(super) fn holds_release() -> Value {
    let members = json!({
        "id": text("the one of this id"),
        "selector": selector("those set for exactly these sessions"),
        "all": {"type": "boolean", "description": "all of them, whomever they are for"},
        "mode": mode(),
        "reason": text("why"),
        "request_id": request_id(),
    });
    object(members, &[])
}

pub(super) fn budgets_set() -> Value {
    let scope = json!({
        "type": "object",
        "description": "for whom; without a name, for each of the kind",
        "properties": {
            "kind": {"type": "string", "enum": ["fleet", "host", "agent", "session"]},
            "host": text("the host, or the session's host"),
            "agent": text("the agent, as in claude-code"),
            "session": text("the session"),
        },
        "required": ["kind"],
        "additionalProperties": false,
    });
    let members = json!({
        "scope": scope,
        "measure": {"type": "string", "enum": ["usd", "tokens", "calls"]},
        "limit": {"type": "number", "exclusiveMinimum": 0, "description": "dollars, tokens or tool calls"},
        "window": {"type": "string", "enum": ["minute", "hour", "day"], "description": "per what; without it, all in all"},
        "request_id": request_id(),
    });
    object(members, &["scope", "measure", "limit"])
}

pub(super) fn budgets_remove() -> Value {
    object(json!({"id": text("which"), "request_id": request_id()}), &["id"])
}
