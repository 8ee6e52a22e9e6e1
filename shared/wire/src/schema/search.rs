//! Finding sessions, and adding them up.

use super::{count, cursor, object, rows, text, time};
use crate::words::WordsKind;
use muster_domain::query::Field;
use serde_json::{Value, json};

/// A query, with the fields it may name: a model writes what it is told.
fn expr() -> Value {
    let fields: Vec<&str> = Field::ALL.iter().map(|field| field.as_str()).collect();
    let fields = fields.join(", ");
    text(&format!(
        "terms joined by AND, as in `agent=codex errors>2 last_seen>=24h`; =, !=, >, >=, <, <=, ~ (contains); a,b means either; fields: {fields}"
    ))
}

fn since() -> Value {
    time("only those heard of at or after this time")
}

pub(super) fn query() -> Value {
    let properties = json!({
        "expr": expr(),
        "since": since(),
        "cursor": cursor(),
        "limit": rows(),
    });
    object(properties, &["expr"])
}

pub(super) fn search() -> Value {
    let kinds: Vec<&str> = WordsKind::ALL.iter().map(|kind| kind.as_str()).collect();
    let properties = json!({
        "query": text("words that all have to be there; \"in this order\" in quotes; begin* for words that begin so"),
        "since": time("only what was stored since then"),
        "agent": text("only of this product, as in claude-code"),
        "kind": {"enum": kinds, "description": "only prompts, tool calls, messages of agents, or errors"},
        "host": text("only on this host"),
        "session": text("only of this session"),
        "limit": rows(),
    });
    object(properties, &["query"])
}

pub(super) fn summary() -> Value {
    object(json!({"expr": expr(), "since": since()}), &[])
}

pub(super) fn metrics() -> Value {
    object(json!({"days": count("back from now; 7 without it")}), &[])
}
