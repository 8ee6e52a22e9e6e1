//! Sessions, hosts, and the service itself.

use super::{count, cursor, object, rows, text, time};
use muster_domain::state::SessionState;
use serde_json::{Value, json};

pub(super) fn hello() -> Value {
    let properties = json!({"proto_min": count("oldest version spoken"), "proto_max": count("newest version spoken")});
    object(properties, &[])
}

pub(super) fn sessions_list() -> Value {
    let states: Vec<&str> = SessionState::ALL.iter().map(|state| state.as_str()).collect();
    let properties = json!({
        "cursor": cursor(),
        "limit": rows(),
        "host": text("only on this host"),
        "agent": text("only of this product, as in claude-code"),
        "state": {"enum": states, "description": "only in this state"},
        "since": time("only those heard of at or after this time"),
    });
    object(properties, &[])
}

pub(super) fn sessions_status() -> Value {
    let properties = json!({
        "id": text("the session's id"),
        "host": text("its host; may be left out while no two hosts have the id"),
    });
    object(properties, &["id"])
}

pub(super) fn sessions_detail() -> Value {
    let properties = json!({
        "id": text("the session's id"),
        "host": text("its host; may be left out while no two hosts have the id"),
        "after_seq": count("only events after this log sequence: next_events of the page before"),
        "limit": count("events at most; 0 for none"),
    });
    object(properties, &["id"])
}

pub(super) fn hosts_list() -> Value {
    object(json!({"cursor": cursor(), "limit": rows()}), &[])
}

pub(super) fn audit_digest() -> Value {
    object(
        json!({"at_seq": count("after which log sequence; wherever the state is without it")}),
        &[],
    )
}

pub(super) fn memory_report() -> Value {
    let properties = json!({
        "session": text("the session's id; it need not be known where the numbers are given"),
        "host": text("its host; may be left out while no two hosts have the id"),
        "used_tokens": count("tokens in the context, instead of what was measured"),
        "window_tokens": count("tokens that fit, instead of what was measured"),
    });
    object(properties, &[])
}
