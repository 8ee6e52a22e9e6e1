//! Evaluations, and what work leaves.

use super::leases::lease_with;
use super::{count, object, request_id, text};
use muster_domain::context::Trigger;
use serde_json::{Value, json};

fn list(of: &str, what: &str) -> Value {
    json!({"type": "array", "items": text(of), "description": what})
}

/// What is evaluated, and what the caller may say of it.
fn of_matter(beyond: Value) -> Value {
    let mut properties = json!({
        "session": text("the agent's session; name it, or the workspace, or both"),
        "host": text("its host; may be left out while no two hosts have the id"),
        "workspace": text("on what it works"),
        "profile": text("whose work"),
        "request_id": request_id(),
    });
    if let (Value::Object(properties), Value::Object(beyond)) = (&mut properties, beyond) {
        properties.extend(beyond);
    }
    object(properties, &[])
}

pub(super) fn context_check() -> Value {
    of_matter(json!({
        "trigger": {"enum": Trigger::ALL, "description": "why it is asked; manual without it"},
        "symptoms": list("one of them", "what the operator sees; the first three count"),
        "no_progress": count("attempts in a row that brought nothing"),
        "checkout_advisory": text("what is wrong with the checkout"),
        "behavioural_drift": text("what the agent does instead of what it should"),
        "boundary": {
            "enum": ["continue", "refresh", "wrap_up", "stop"],
            "description": "what the session does at its next boundary",
        },
        "review_required": {"type": "boolean", "description": "what is known of the work is to be looked at again"},
        "source_fingerprint": text("of your last check: what it told is not told again"),
    }))
}

pub(super) fn checkpoint() -> Value {
    let git = object(
        json!({
            "branch": text("the branch"),
            "changed_files": count("files that differ from the last commit, new ones included"),
            "conflicts": count("files with conflicts"),
            "ahead": count("commits that the remote does not have"),
            "behind": count("commits of the remote that are not here"),
        }),
        &[],
    );
    of_matter(json!({
        "git": git,
        "memory_candidates": count("things learned that nobody admitted to memory yet"),
        "memory_changed": {"type": "boolean", "description": "memory was changed and not committed"},
    }))
}

pub(super) fn handoffs_get() -> Value {
    let properties = json!({"workspace": text("on what is worked"), "profile": text("whose work")});
    object(properties, &["workspace"])
}

fn next() -> Value {
    list("one thing", "what is to be done next, in order")
}

fn files() -> Value {
    list("a path", "where to look")
}

pub(super) fn handoffs_write() -> Value {
    let handoff = object(
        json!({
            "title": text("what it is about"),
            "immediate_actions": next(),
            "completed_state": list("one thing", "what is done"),
            "operational_guardrails": list("one thing", "what is to be kept to"),
            "key_files": files(),
            "definition_of_done": list("one thing", "what has to be the case in the end"),
        }),
        &[],
    );
    lease_with(json!({"handoff": handoff}), &["handoff"])
}

pub(super) fn recoveries_write() -> Value {
    let checkpoint = object(
        json!({
            "summary": text("where the work stands"),
            "immediate_actions": next(),
            "key_files": files(),
        }),
        &[],
    );
    let buffer = object(
        json!({"summary_lines": list("one line", "what is in mind and written nowhere else")}),
        &[],
    );
    let recovery = object(
        json!({
            "origin": {"enum": ["manual", "compaction", "risky_pause"], "description": "why it is written"},
            "checkpoint": checkpoint,
            "working_buffer": buffer,
        }),
        &[],
    );
    lease_with(json!({"recovery": recovery}), &["recovery"])
}
