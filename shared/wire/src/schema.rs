//! JSON Schemas (2020-12) of requests: what a program may ask, readable for programs.
//!
//! Written by hand, because a schema is also the words by which a model learns what to pass; a test holds each against its
//! request's type, so that neither can gain or lose a member alone.

use crate::subject::Operation;
use muster_domain::policy::ActionFamily;
use muster_domain::state::SessionState;
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
    (Operation::ApprovalsList, approvals_list),
    (Operation::ApprovalsGet, approvals_get),
    (Operation::ApprovalsResolve, approvals_resolve),
    (Operation::DelegationsDelegate, delegate),
    (Operation::DelegationsList, delegations_list),
    (Operation::DelegationsGet, delegations_get),
    (Operation::DelegationsCancel, delegations_cancel),
    (Operation::CircuitsStatus, circuits_status),
    (Operation::CircuitsProbe, circuits_probe),
    (Operation::CircuitsReset, circuits_reset),
    (Operation::HoldsList, holds_list),
    (Operation::HoldsSet, holds_set),
    (Operation::HoldsRelease, holds_release),
    (Operation::BudgetsList, nothing),
    (Operation::BudgetsSet, budgets_set),
    (Operation::BudgetsRemove, budgets_remove),
    (Operation::PolicyShow, nothing),
    (Operation::PolicyActivate, policy_activate),
    (Operation::PolicyCheck, policy_check),
    (Operation::MemoryReport, memory_report),
    (Operation::EscalationsList, guards_list),
    (Operation::EscalationsSet, escalations_set),
    (Operation::EscalationsClear, escalations_clear),
    (Operation::GatesList, guards_list),
    (Operation::GatesReplace, gates_replace),
    (Operation::GatesSeed, gates_seed),
    (Operation::GatesSetStatus, gates_set_status),
    (Operation::GatesAdvance, gates_change),
    (Operation::GatesClear, gates_change),
    (Operation::SessionsLeases, sessions_leases),
    (Operation::SessionsStart, sessions_start),
    (Operation::SessionsHeartbeat, sessions_heartbeat),
    (Operation::SessionsClear, sessions_clear),
    (Operation::SessionsTakeover, sessions_takeover),
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

fn request_id() -> Value {
    text("names this request, so that it can be repeated")
}

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

fn holds_list() -> Value {
    let past = json!({"type": "boolean", "description": "those that are over, too"});
    object(json!({ "past": past }), &[])
}

fn holds_set() -> Value {
    let members = json!({
        "mode": mode(),
        "selector": selector("whom it is for"),
        "reason": text("why; agents are shown it"),
        "expires_in_ms": count("after how many milliseconds it ends by itself"),
        "request_id": request_id(),
    });
    object(members, &["selector"])
}

fn holds_release() -> Value {
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

fn budgets_set() -> Value {
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

fn budgets_remove() -> Value {
    object(json!({"id": text("which"), "request_id": request_id()}), &["id"])
}

fn nothing() -> Value {
    object(json!({}), &[])
}

fn hello() -> Value {
    let properties = json!({"proto_min": count("oldest version spoken"), "proto_max": count("newest version spoken")});
    object(properties, &[])
}

fn sessions_list() -> Value {
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

fn approvals_list() -> Value {
    let properties = json!({
        "state": {"enum": ["open", "all"], "description": "those that wait, which is the default, or all"},
        "session": text("only of this session"),
        "host": text("only on this host"),
        "cursor": cursor(),
        "limit": rows(),
    });
    object(properties, &[])
}

fn approvals_get() -> Value {
    object(json!({"id": text("the approval's id")}), &["id"])
}

fn approvals_resolve() -> Value {
    let properties = json!({
        "id": text("the approval's id"),
        "decision": {"enum": ["approve", "deny"]},
        "reason": text("in the operator's words; a denied agent reads them"),
        "scope": {"enum": ["once", "session"], "description": "session allows calls like it until the session ends"},
        "interrupt": {"type": "boolean", "description": "a denied agent shall stop, instead of trying something else"},
        "answers": {"type": "object", "description": "the answers to an agent's questions: label by question"},
        "updated_input": {"type": "object", "description": "the input that the tool shall run with instead"},
        "request_id": request_id(),
    });
    object(properties, &["id", "decision"])
}

fn delegate() -> Value {
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

fn delegations_list() -> Value {
    let properties = json!({
        "all": {"type": "boolean", "description": "also those that ended lately"},
        "session": text("only of this session"),
        "host": text("only on this host"),
        "limit": rows(),
    });
    object(properties, &[])
}

fn delegations_get() -> Value {
    object(json!({"id": text("the delegation's id")}), &["id"])
}

fn delegations_cancel() -> Value {
    let properties = json!({
        "id": text("the delegation's id"),
        "reason": text("why"),
        "request_id": request_id(),
    });
    object(properties, &["id"])
}

fn circuits_status() -> Value {
    object(
        json!({"agent": text("name of the agent, as in code-reviewer; all without it")}),
        &[],
    )
}

fn circuits_probe() -> Value {
    let properties = json!({
        "agent": text("name of the agent"),
        "session": text("the session that wants to run it"),
        "tool_use_id": text("the call, where the agent names calls"),
        "delegation_id": text("the delegation that the call is made for"),
    });
    object(properties, &["agent", "session"])
}

fn circuits_reset() -> Value {
    object(
        json!({"agent": text("name of the agent"), "request_id": request_id()}),
        &["agent"],
    )
}

fn policy_activate() -> Value {
    let source = object(
        json!({"name": text("the file's name"), "text": text("what it says")}),
        &["name", "text"],
    );
    let properties = json!({
        "name": text("what the rules are called"),
        "sources": {"type": "array", "items": source, "description": "none puts no rule in force"},
        "expected_fingerprint": text("of what they replace, empty for nothing; whatever there is without it"),
        "request_id": request_id(),
    });
    object(properties, &["sources"])
}

fn policy_check() -> Value {
    let families: Vec<&str> = ActionFamily::ALL.iter().map(|family| family.as_str()).collect();
    let properties = json!({
        "action": {"enum": families, "description": "the action's family; without it, the tool call says"},
        "tool": text("the tool that would run, as in Bash"),
        "input": {"description": "what it would be called with"},
        "session": text("whose action it is"),
        "host": text("where that session runs"),
        "agent": text("the product that runs it, as in claude-code"),
        "cwd": text("where it would run; without it, where the session is"),
        "summary": text("in a sentence, what it is for: shown to whoever approves"),
        "dry_run": {"type": "boolean", "description": "only tell; ask nobody to approve"},
        "wait_ms": count("for how long an approval is waited for; without it, ten minutes"),
        "request_id": request_id(),
    });
    object(properties, &[])
}

fn memory_report() -> Value {
    let properties = json!({
        "session": text("the session's id; it need not be known where the numbers are given"),
        "host": text("its host; may be left out while no two hosts have the id"),
        "used_tokens": count("tokens in the context, instead of what was measured"),
        "window_tokens": count("tokens that fit, instead of what was measured"),
    });
    object(properties, &[])
}

fn sessions_leases() -> Value {
    let properties = json!({
        "workspace": text("only this one"),
        "cursor": text("workspace of the last row of the page before"),
        "limit": rows(),
    });
    object(properties, &[])
}

fn guards_list() -> Value {
    let properties = json!({"workspace": text("on what is worked"), "profile": text("whose work")});
    object(properties, &["workspace"])
}

fn escalations_set() -> Value {
    let beyond = json!({
        "id": text("names it; made where it is not given"),
        "kind": {"enum": ["blocking", "non_blocking"], "description": "whether it stops the work"},
        "reason": text("why, for whoever it waits for"),
    });
    lease_with(beyond, &["kind", "reason"])
}

fn escalations_clear() -> Value {
    lease(json!({"id": text("which; all where none is named")}))
}

/// Gates, as they are given.
fn gates() -> Value {
    json!({"type": "array", "items": text("what has to be the case"), "description": "what has to be passed, in order"})
}

fn gates_replace() -> Value {
    lease_with(json!({"gates": gates()}), &["gates"])
}

fn gates_seed() -> Value {
    let from =
        json!({"enum": ["handoff:immediate_actions", "definition_of_done"], "description": "where they come from"});
    lease_with(
        json!({"seeded_from": from, "gates": gates()}),
        &["seeded_from", "gates"],
    )
}

fn gates_set_status() -> Value {
    let beyond = json!({
        "index": count("which gate, counted from 0"),
        "status": {"enum": ["open", "done", "blocked"], "description": "how far it is"},
    });
    lease_with(beyond, &["index", "status"])
}

fn gates_change() -> Value {
    lease(json!({}))
}

/// What every write of a lease says, and what this one may say beyond it.
fn lease(beyond: Value) -> Value {
    lease_with(beyond, &[])
}

/// What every write of a lease says, and what this one says beyond it.
fn lease_with(beyond: Value, required: &[&str]) -> Value {
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

fn sessions_start() -> Value {
    let beyond = json!({
        "mode": {"enum": ["general", "research", "implement"], "description": "what kind of work"},
        "owner_kind": {"enum": ["interactive", "runtime_worker", "runtime_supervisor"], "description": "who keeps it"},
        "supervisor_id": text("who supervises"),
        "lease_seconds": count("how long one heartbeat keeps it; a program has to say"),
        "recover_stale": {"type": "boolean", "description": "go on with one's own work although it went stale"},
    });
    lease(beyond)
}

fn sessions_heartbeat() -> Value {
    lease(json!({"activity": text("what is being done, in at most 280 characters")}))
}

fn sessions_clear() -> Value {
    lease(json!({"reason": text("why")}))
}

fn sessions_takeover() -> Value {
    lease(json!({"reason": text("why; it has to be said")}))
}

#[cfg(test)]
mod tests;
