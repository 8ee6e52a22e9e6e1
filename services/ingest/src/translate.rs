//! From what an agent says to an observation, or to the reason why not. Pure: the same input gives the same result.

mod event;
#[cfg(test)]
mod tests;

#[cfg(test)]
pub(crate) use event::event;
pub(crate) use event::{Count, EVENTS_MAX, items, read};

use crate::observation::Observation;
use crate::reject::Reject;
use crate::{agents, json};
use muster_domain::family::{EventType, HookName};
use muster_domain::names::{AgentName, RunId, SessionId};
use muster_domain::time::Timestamp;
use muster_wire::data::hook::{HookNote, NOTE_KEY, ProcessId};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// What is known about a hook besides its payload.
#[derive(Debug, Clone, Default)]
pub(crate) struct Circumstances {
    /// The hook's name, where the caller knows it and the payload may not.
    pub(crate) hint: Option<String>,
    /// Same key, same observation.
    pub(crate) key: Option<String>,
    /// The variables the hook process was given, as far as it passes them on.
    pub(crate) env: BTreeMap<String, String>,
    /// The agent's process, when it lives in ingest's own pid namespace.
    pub(crate) process: Option<ProcessId>,
    /// W3C trace context of the caller.
    pub(crate) traceparent: Option<String>,
}

/// Reads one hook of `agent`.
///
/// # Errors
/// [`Reject`] says what is wrong with it. An unknown hook is not an error.
pub(crate) fn hook(agent: &str, body: &[u8], around: Circumstances) -> Result<Observation, Reject> {
    let agent = agents::known(agent).ok_or_else(|| Reject::UnknownAgent(agent.to_owned()))?;
    let Value::Object(payload) = json::parse(body)? else {
        return Err(Reject::NotAnObject);
    };
    let payload = flattened(payload);
    let session = agents::session(&payload).or_else(|| around.env.get("CLAUDE_CODE_SESSION_ID").map(String::as_str));
    let session = SessionId::new(session.ok_or(Reject::MissingSession)?)?;
    let name = agents::hook(&payload, around.hint.as_deref());
    let name = name.ok_or(Reject::MissingHook)?.to_owned();
    let hook =
        HookName::from_agent(agents::hook_name(agent, &name)).ok_or_else(|| Reject::BadHookName(name.clone()))?;
    let mut observation = of_hook(hook, payload);
    observation.session = Some(session);
    observation.agent = Some(AgentName::new(agent)?);
    observation.time = observation.data.get("timestamp").and_then(moment);
    observation.process = around.process;
    observation.notes.hook = name;
    observation.notes.process = around.process;
    describe(&mut observation, around);
    Ok(observation)
}

/// A hook's observation with what its payload already says about itself.
fn of_hook(hook: HookName, mut payload: Map<String, Value>) -> Observation {
    // Kept from a reporter that relays for others; what ingest finds out itself replaces it.
    let notes: Option<HookNote> = payload
        .shift_remove(NOTE_KEY)
        .and_then(|notes| serde_json::from_value(notes).ok());
    Observation {
        notes: HookNote {
            // Nobody waits here for what is relayed, and what this host enforces it says itself.
            wait_ms: None,
            verdict: None,
            away: false,
            ..notes.unwrap_or_default()
        },
        ..Observation::of(EventType::AgentHook(hook), payload)
    }
}

fn describe(observation: &mut Observation, mut around: Circumstances) {
    let notes = &mut observation.notes;
    notes.key = around.key;
    let mut take = |name: &str| around.env.remove(name).filter(|value| !value.is_empty());
    if let Some(run) = take("MUSTER_RUN").and_then(|run| RunId::new(&run).ok()) {
        notes.run = Some(run);
    }
    if let Some(entrypoint) = take("CLAUDE_CODE_ENTRYPOINT") {
        notes.entrypoint = Some(entrypoint);
    }
    if let Some(attended) = take("CLAUDE_CODE_SESSION_ATTENDED") {
        notes.attended = Some(attended == "1");
    }
    if let Some(labels) = take("MUSTER_LABELS") {
        let pairs = labels.split(',').filter_map(|pair| pair.split_once('='));
        notes
            .labels
            .extend(pairs.map(|(key, value)| (key.trim().to_owned(), value.trim().to_owned())));
    }
    observation.traceparent = around
        .traceparent
        .or_else(|| take("TRACEPARENT"))
        .filter(|text| is_traceparent(text));
}

/// trusty-mpm wraps the payload: `{session_id, event, payload}`. What is inside is what its keys are looked up in.
fn flattened(mut outer: Map<String, Value>) -> Map<String, Value> {
    if !outer.get("event").is_some_and(Value::is_string) {
        return outer;
    }
    match outer.shift_remove("payload") {
        Some(Value::Object(inner)) => {
            for (key, value) in inner {
                outer.entry(key).or_insert(value);
            }
        }
        Some(other) => {
            outer.insert("payload".to_owned(), other);
        }
        None => {}
    }
    outer
}

/// RFC 3339, or milliseconds since the epoch.
fn moment(value: &Value) -> Option<Timestamp> {
    match value {
        Value::String(text) => muster_wire::time::parse(text),
        Value::Number(ms) => ms.as_i64().map(Timestamp::from_millis),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

/// `00-<32 hex>-<16 hex>-<2 hex>`; anything else would only spread.
fn is_traceparent(text: &str) -> bool {
    let lengths: Vec<usize> = text.split('-').map(str::len).collect();
    lengths == [2, 32, 16, 2]
        && text
            .bytes()
            .all(|b| b == b'-' || b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}
