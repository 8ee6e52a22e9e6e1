//! What ingest notes beside an agent's own payload.

use crate::envelope::RawData;
use muster_domain::names::RunId;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// The key under which the notes stand in the payload.
pub const NOTE_KEY: &str = "muster";

/// Ingest's notes on one hook. What is not known is left out.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct HookNote {
    /// The hook's name as the agent wrote it.
    pub hook: String,
    /// Digest of the tool's input as it came, after redaction and before caps: 16 hexadecimal digits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input_digest: Option<String>,
    /// The wrapped process it ran under.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<RunId>,
    /// The agent's process.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub process: Option<ProcessId>,
    /// Labels that whoever started the agent gave it.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Whether a person sits before it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attended: Option<bool>,
    /// How the agent was started (`cli`, `sdk-cli`, …).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entrypoint: Option<String>,
    /// What the optimizer did to the tool's output.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub optimized: Option<Optimized>,
    /// Where the whole payload is, when only a preview stands here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub overflow: Option<Overflow>,
    /// Secrets that were taken out.
    #[serde(skip_serializing_if = "is_zero")]
    pub redacted: u64,
    /// The request key under which the hook asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// For how many milliseconds the agent is kept waiting for an answer. Only hooks that say so can be answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wait_ms: Option<u64>,
    /// An operator said that nobody sits before the session now.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub away: bool,
    /// What the host's own rules said of the call; nothing where they said nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verdict: Option<Verdict>,
}

/// What a host enforced without asking the orchestrator.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// What the agent was told.
    pub decision: VerdictKind,
    /// Which kind of rule said so.
    pub by: VerdictBy,
    /// Why, as the agent was told.
    pub reason: String,
    /// The rule: the id of a hold, the name of an agent, the id of a policy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
}

/// What an agent is told about a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VerdictKind {
    /// It does not run.
    Deny,
    /// The user is asked.
    Ask,
    /// It runs, and the user is not asked.
    Allow,
}

/// Which kind of rule a host enforced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VerdictBy {
    /// A hold.
    Hold,
    /// A circuit.
    Circuit,
    /// The policy.
    Policy,
    /// A delegator's rights.
    Delegation,
}

/// A process in its host's pid namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessId {
    /// Process id.
    pub pid: u32,
    /// Start in clock ticks since boot, which tells it from a later process of the same pid.
    pub start_ticks: u64,
}

/// What the optimizer did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Optimized {
    /// How hard it tried.
    pub level: String,
    /// Bytes before.
    pub original_bytes: u64,
    /// Bytes after.
    pub kept_bytes: u64,
}

/// A payload kept beside the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Overflow {
    /// Name in the payload store: host and SHA-256 of the bytes.
    pub object: String,
    /// Its size.
    pub bytes: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks with a reference")]
const fn is_zero(n: &u64) -> bool {
    *n == 0
}

impl HookNote {
    /// The agent's payload with these notes in it. Notes that an agent brought itself are overwritten.
    pub fn attach(&self, mut payload: Map<String, Value>) -> RawData {
        let note = serde_json::to_value(self).unwrap_or_default();
        payload.insert(NOTE_KEY.to_owned(), note);
        serde_json::value::to_raw_value(&payload).expect("invariant: a map of JSON values is JSON")
    }
}
