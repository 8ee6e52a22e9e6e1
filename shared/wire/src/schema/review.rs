//! What is thought of sessions, which are kept, and by which rules.

use super::{count, object, request_id, rows, text, time};
use muster_domain::alert::Severity;
use muster_domain::review::{Action, Label};
use serde_json::{Value, json};

fn label(what: &str) -> Value {
    let all: Vec<&str> = Label::ALL.iter().map(|label| label.as_str()).collect();
    json!({"enum": all, "description": what})
}

fn flag(what: &str) -> Value {
    json!({"type": "boolean", "description": what})
}

fn host() -> Value {
    text("the session's host, where others have a session of this id")
}

fn after() -> Value {
    count("next_cursor of the page before")
}

pub(super) fn annotate() -> Value {
    let members = json!({
        "session_id": text("of which session"),
        "host": host(),
        "score": {"type": "integer", "minimum": 1, "maximum": 5, "description": "how good it was; 1 is worst"},
        "label": label("what kind of session it was"),
        "note": text("in words, at most 4 KiB"),
        "request_id": request_id(),
    });
    object(members, &["session_id"])
}

pub(super) fn feedback_list() -> Value {
    let members = json!({
        "session_id": text("only of this session"),
        "host": text("only of sessions on this host"),
        "label": label("only of this kind"),
        "all": flag("also what the same speaker replaced by later words"),
        "cursor": after(),
        "limit": rows(),
    });
    object(members, &[])
}

pub(super) fn cases_create() -> Value {
    let members = json!({
        "session_id": text("which session"),
        "host": host(),
        "reason": text("why it is kept, in at most 1 KiB"),
        "label": label("what kind of session it was"),
        "request_id": request_id(),
    });
    object(members, &["session_id", "reason"])
}

pub(super) fn list() -> Value {
    let members = json!({
        "all": flag("also those that are over: the latest of them"),
        "session_id": text("only of this session"),
        "host": text("only of sessions on this host"),
        "cursor": after(),
        "limit": rows(),
    });
    object(members, &[])
}

pub(super) fn get() -> Value {
    object(json!({"id": count("its number")}), &["id"])
}

pub(super) fn close() -> Value {
    let members = json!({
        "id": count("its number"),
        "note": text("what there is to say, in at most 1 KiB"),
        "request_id": request_id(),
    });
    object(members, &["id"])
}

pub(super) fn cases_mine() -> Value {
    let members = json!({"since": time("only what happened since then"), "limit": rows()});
    object(members, &[])
}

pub(super) fn rules_create() -> Value {
    let actions: Vec<&str> = Action::ALL.iter().map(|action| action.as_str()).collect();
    let severities: Vec<&str> = Severity::ALL.iter().map(|severity| severity.as_str()).collect();
    let members = json!({
        "name": text("what it is called, in at most 64 bytes"),
        "filter": text("which sessions: a query, as in errors>=3 agent=codex"),
        "action": {"enum": actions, "description": "what is done about each of them, once"},
        "message": text("why, in at most 1 KiB"),
        "severity": {"enum": severities, "description": "how much its alerts matter; warning without it"},
        "request_id": request_id(),
    });
    object(members, &["name", "filter", "action"])
}

pub(super) fn rules_switch() -> Value {
    let members = json!({"id": count("its number"), "request_id": request_id()});
    object(members, &["id"])
}

pub(super) fn rules_run() -> Value {
    let members = json!({
        "id": count("only this rule; without it, every one that is on"),
        "since": time("only about sessions that were heard of since then"),
        "dry_run": flag("only say what would be done"),
        "request_id": request_id(),
    });
    object(members, &[])
}
