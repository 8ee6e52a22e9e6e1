//! What is known of work, and what somebody needs who begins in the middle.

use super::leases::lease_with;
use super::{count, cursor, object, rows, text};
use serde_json::{Value, json};

fn kind(what: &str) -> Value {
    json!({"enum": ["rule", "constraint", "heuristic", "observation", "attempt"], "description": what})
}

fn scope(what: &str) -> Value {
    json!({"enum": ["work_stream", "workspace", "project", "profile", "project_truth"], "description": what})
}

/// Where agents may admit something by themselves.
fn own_scope(what: &str) -> Value {
    json!({"enum": ["work_stream", "workspace"], "description": what})
}

pub(super) fn submit() -> Value {
    let sources = [
        "transcript",
        "session",
        "event-stream",
        "hook-output",
        "log",
        "document",
    ];
    let beyond = json!({
        "source": {"enum": sources, "description": "where it comes from"},
        "title": text("what it is called: a file, a session, a command"),
        "text": text("what it says, in at most 8 KiB"),
    });
    lease_with(beyond, &["source", "text"])
}

pub(super) fn extract() -> Value {
    let candidate = json!({
        "type": kind("what it is"),
        "scope": own_scope("where it would hold; in the workspace, unless it is said"),
        "text": text("what it says, in at most 1 KiB"),
    });
    let beyond = json!({
        "evidence": count("number of the evidence"),
        "candidates": {
            "type": "array",
            "items": object(candidate, &["type", "text"]),
            "description": "what it shows: what would help whoever works here next",
        },
    });
    lease_with(beyond, &["evidence", "candidates"])
}

pub(super) fn admit() -> Value {
    let decay = ["permanent", "stable", "active"];
    let beyond = json!({
        "candidate": count("number of the candidate"),
        "scope": own_scope("where it holds; where its candidate says, unless it is said"),
        "decay_class": {"enum": decay, "description": "kept for 90, 30 or 7 days after it was last affirmed"},
        "supersedes": count("number of the entry instead of which it holds"),
    });
    lease_with(beyond, &["candidate"])
}

pub(super) fn promote() -> Value {
    let to = ["project", "profile", "project_truth"];
    let beyond = json!({
        "entry": count("number of the entry"),
        "to": {"enum": to, "description": "where it holds from then on"},
    });
    lease_with(beyond, &["entry", "to"])
}

pub(super) fn compact() -> Value {
    let reviews = ["expired", "superseded", "promotion-candidate"];
    let modes = "keep: what is said twice; decay: what nobody affirmed for long; review: what `review` says";
    let beyond = json!({
        "mode": {"enum": ["keep", "decay", "review"], "description": modes},
        "review": {"enum": reviews, "description": "what a review looks for; expired, unless it is said"},
        "remove": {"type": "boolean", "description": "a review takes away what it finds"},
        "write": {"type": "boolean", "description": "do it; else it is only said what would be done"},
    });
    lease_with(beyond, &["mode"])
}

pub(super) fn list() -> Value {
    let states = ["entry", "superseded", "candidate"];
    let properties = json!({
        "workspace": text("on what is worked"),
        "profile": text("whose work"),
        "state": {"enum": states, "description": "what holds (unless it is said), was replaced, or may hold"},
        "text": text("only what says this"),
        "scope": scope("only what holds there"),
        "type": kind("only what is this"),
        "cursor": cursor(),
        "limit": rows(),
    });
    object(properties, &["workspace"])
}

pub(super) fn get() -> Value {
    let properties = json!({
        "workspace": text("on what is worked"),
        "profile": text("whose work"),
        "id": count("number of an entry or a candidate"),
    });
    object(properties, &["workspace", "id"])
}

pub(super) fn of_workspace() -> Value {
    let properties = json!({"workspace": text("on what is worked"), "profile": text("whose work")});
    object(properties, &["workspace"])
}

pub(super) fn bootstrap() -> Value {
    let properties = json!({
        "workspace": text("on what is worked"),
        "profile": text("whose work"),
        "session": text("the session that hands work on; then it is said how much deeper that may go"),
        "host": text("where it runs, where several hosts have one of this id"),
    });
    object(properties, &["workspace"])
}
