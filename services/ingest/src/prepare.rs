//! What happens to an observation before it is written: secrets out, output shortened, size capped. Pure.
//!
//! The order matters. Redaction comes first, so that nothing after it can leak; the digest of a tool's input is taken
//! before anything is shortened, because it joins a request for permission to its call.

use crate::cap;
use crate::json;
use crate::observation::Observation;
use crate::optimize::{Optimizer, Saved};
use crate::redact::Redactor;
use muster_domain::family::{EventType, HookName};
use muster_domain::names::HostName;
use muster_wire::canonical;
use muster_wire::data::hook::{HookNote, Optimized, Overflow};
use muster_wire::envelope::RawData;
use muster_wire::limits::DATA_BYTES_MAX;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

/// Room that the notes take beside a payload or its preview.
const NOTE_BYTES_MAX: usize = 8 * 1024;

/// The rules, ready to be applied.
#[derive(Debug)]
pub(crate) struct Rules {
    pub(crate) host: HostName,
    pub(crate) redactor: Redactor,
    pub(crate) optimizer: Optimizer,
}

/// A payload ready to be written.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) data: RawData,
    /// The whole payload, where `data` only holds a preview.
    pub(crate) overflow: Option<Whole>,
    pub(crate) saved: Option<Saved>,
    pub(crate) redacted: u64,
}

/// A payload on its way to the object store.
#[derive(Debug)]
pub(crate) struct Whole {
    /// SHA-256 of `bytes`, in hexadecimal.
    pub(crate) digest: String,
    pub(crate) bytes: Vec<u8>,
}

impl Rules {
    /// Prepares the payload of `observation`, and takes payload and notes out of it.
    pub(crate) fn prepare(&self, observation: &mut Observation) -> serde_json::Result<Prepared> {
        let mut notes = std::mem::take(&mut observation.notes);
        let mut payload = Value::Object(std::mem::take(&mut observation.data));
        notes.redacted = self.redactor.redact(&mut payload);
        let input = ["tool_input", "input", "toolInput", "toolArgs"]
            .iter()
            .find_map(|key| payload.get(*key));
        notes.input_digest = match (&observation.event_type, input) {
            (EventType::AgentHook(_), Some(input)) => {
                let raw = serde_json::value::to_raw_value(input)?;
                Some(canonical::hex(canonical::input_digest(&raw)))
            }
            _ => None,
        };
        let saved = prints(&observation.event_type)
            .then(|| self.optimizer.optimize(&tool(&payload), &mut payload))
            .flatten();
        notes.optimized = saved.map(|saved| Optimized {
            level: saved.level.as_str().to_owned(),
            original_bytes: saved.original_bytes as u64,
            kept_bytes: saved.kept_bytes as u64,
        });
        let Value::Object(payload) = payload else {
            return Err(serde::de::Error::custom("invariant: an object stays one"));
        };
        let redacted = notes.redacted;
        let (data, overflow) = self.capped(&observation.event_type, payload, notes)?;
        Ok(Prepared {
            data,
            overflow,
            saved,
            redacted,
        })
    }

    fn capped(
        &self,
        event_type: &EventType,
        payload: Map<String, Value>,
        mut notes: HookNote,
    ) -> serde_json::Result<(RawData, Option<Whole>)> {
        let bytes = serde_json::to_vec(&payload)?;
        if bytes.len() + NOTE_BYTES_MAX <= DATA_BYTES_MAX {
            return Ok((noted(event_type, payload, &notes)?, None));
        }
        let digest = json::hex(&Sha256::digest(&bytes));
        notes.overflow = Some(Overflow {
            object: object_name(&self.host, &digest),
            bytes: bytes.len() as u64,
        });
        let preview = cap::preview(&payload, DATA_BYTES_MAX - NOTE_BYTES_MAX);
        let data = noted(event_type, preview, &notes)?;
        Ok((data, Some(Whole { digest, bytes })))
    }
}

/// The name of a payload in the object store.
pub(crate) fn object_name(host: &HostName, digest: &str) -> String {
    format!("{host}/{digest}")
}

fn noted(event_type: &EventType, payload: Map<String, Value>, notes: &HookNote) -> serde_json::Result<RawData> {
    if matches!(event_type, EventType::AgentHook(_)) || *notes != HookNote::default() {
        Ok(notes.attach(payload))
    } else {
        serde_json::value::to_raw_value(&payload)
    }
}

/// Hooks that bring what a tool printed. Gemini calls it `AfterTool`.
fn prints(event_type: &EventType) -> bool {
    matches!(event_type, EventType::AgentHook(hook) if *hook == HookName::PostToolUse || hook.as_str() == "after_tool")
}

fn tool(payload: &Value) -> String {
    let name = payload.get("tool_name").or_else(|| payload.get("tool"));
    name.and_then(Value::as_str).unwrap_or("unknown").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::optimize::Config;
    use crate::translate::event;
    use serde_json::json;

    fn prepared(kind: &str, data: Value) -> (Value, Prepared) {
        let rules = Rules {
            host: HostName::new("web-01").unwrap(),
            redactor: Redactor::new().unwrap(),
            optimizer: Optimizer::new(Config::default()).unwrap(),
        };
        let mut observation = event(json!({"kind": kind, "session": "s", "data": data})).unwrap();
        let prepared = rules.prepare(&mut observation).unwrap();
        (serde_json::from_str(prepared.data.get()).unwrap(), prepared)
    }

    #[test]
    fn a_small_payload_gets_its_notes_and_stays() {
        let (data, prepared) = prepared(
            "agent.hook.pre_tool_use",
            json!({"tool_name": "Bash", "tool_input": {"command": "ls"}}),
        );
        assert_eq!(data["tool_input"]["command"], "ls");
        assert_eq!(data["muster"]["input_digest"].as_str().unwrap().len(), 16);
        assert!(prepared.overflow.is_none());
        let (plain, _) = self::prepared("agent.turn.note", json!({"text": "x"}));
        assert_eq!(plain, json!({"text": "x"}));
    }

    #[test]
    fn the_digest_is_of_the_redacted_and_whole_input() {
        let long = "x".repeat(300_000);
        let of = |secret: &str| {
            prepared(
                "agent.hook.pre_tool_use",
                json!({"tool_input": {"content": long, "password": secret}}),
            )
            .0
        };
        let (one, other) = (of("first-pass"), of("second-pass"));
        assert_eq!(one["muster"]["input_digest"], other["muster"]["input_digest"]);
        assert_eq!(one["muster"]["redacted"], 1);
    }

    #[test]
    fn a_large_payload_leaves_a_preview_and_the_name_of_the_whole() {
        let (data, prepared) = prepared(
            "agent.hook.pre_tool_use",
            json!({"tool_input": {"content": "x".repeat(1 << 20)}}),
        );
        let whole = prepared.overflow.unwrap();
        assert_eq!(data["muster"]["overflow"]["object"], format!("web-01/{}", whole.digest));
        assert_eq!(data["muster"]["overflow"]["bytes"], whole.bytes.len());
        assert!(prepared.data.get().len() <= DATA_BYTES_MAX);
        assert!(serde_json::from_slice::<Value>(&whole.bytes).is_ok());
    }

    #[test]
    fn printed_output_is_shortened_before_it_is_measured() {
        let output = "a line of output\n".repeat(50_000);
        let (data, prepared) = prepared("agent.hook.post_tool_use", json!({"tool": "Bash", "output": output}));
        assert!(prepared.overflow.is_none());
        assert_eq!(data["muster"]["optimized"]["original_bytes"], output.len());
        assert_eq!(data["muster"]["optimized"]["level"], "trim");
    }
}
