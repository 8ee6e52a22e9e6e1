//! JSON Schemas (2020-12) of requests: what a program may ask, readable for programs.
//!
//! Written by hand, because a schema is also the words by which a model learns what to pass; a test holds each against its
//! request's type, so that neither can gain or lose a member alone.

use crate::subject::Operation;
use serde_json::{Value, json};

/// Writes a schema.
type Write = fn() -> Value;

/// Schemas of requests, by operation.
const REQUESTS: &[(Operation, Write)] = &[
    (Operation::Hello, hello),
    (Operation::Status, nothing),
    (Operation::SessionsList, sessions_list),
    (Operation::SessionsStatus, sessions_status),
    (Operation::SessionsDetail, sessions_detail),
    (Operation::HostsList, hosts_list),
    (Operation::AuditDigest, audit_digest),
];

/// The schema of an operation's request.
pub fn request(operation: Operation) -> Option<Value> {
    let (_, schema) = REQUESTS.iter().find(|(of, _)| *of == operation)?;
    Some(schema())
}

/// An object of exactly these members.
pub fn object(properties: Value, required: &[&str]) -> Value {
    json!({
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": false,
    })
}

fn text(what: &str) -> Value {
    json!({"type": "string", "description": what})
}

fn count(what: &str) -> Value {
    json!({"type": "integer", "minimum": 0, "description": what})
}

fn time(what: &str) -> Value {
    json!({"type": "string", "format": "date-time", "description": what})
}

fn rows() -> Value {
    json!({"type": "integer", "minimum": 1, "description": "rows at most; the server has a cap of its own"})
}

fn cursor() -> Value {
    text("next_cursor of the page before")
}

fn nothing() -> Value {
    object(json!({}), &[])
}

fn hello() -> Value {
    let properties = json!({"proto_min": count("oldest version spoken"), "proto_max": count("newest version spoken")});
    object(properties, &[])
}

fn sessions_list() -> Value {
    let states: Vec<&str> = muster_domain::state::SessionState::ALL
        .iter()
        .map(|state| state.as_str())
        .collect();
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

fn sessions_status() -> Value {
    let properties = json!({
        "id": text("the session's id"),
        "host": text("its host; may be left out while no two hosts have the id"),
    });
    object(properties, &["id"])
}

fn sessions_detail() -> Value {
    let properties = json!({
        "id": text("the session's id"),
        "host": text("its host; may be left out while no two hosts have the id"),
        "after_seq": count("only events after this log sequence: next_events of the page before"),
        "limit": count("events at most; 0 for none"),
    });
    object(properties, &["id"])
}

fn hosts_list() -> Value {
    object(json!({"cursor": cursor(), "limit": rows()}), &[])
}

fn audit_digest() -> Value {
    object(
        json!({"at_seq": count("after which log sequence; wherever the state is without it")}),
        &[],
    )
}

#[cfg(test)]
mod tests;
