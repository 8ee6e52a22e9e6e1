//! `runtime.*`: what the orchestrator concluded, and the metadata that CCD clients expect on each.

use crate::time;
use muster_domain::ids::{EventId, InstanceId};
use muster_domain::state::SessionState;
use muster_domain::time::Timestamp;
use serde::{Deserialize, Serialize};

/// The family of requests and answers that CCD's clients speak.
pub const API_FAMILY: &str = "ccd-runtime";
/// Its version.
pub const API_VERSION: u32 = 1;

/// What a caller may do when an answer did not come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RetryClass {
    /// Ask again.
    SafeRetry,
    /// Do not ask again by itself.
    DoNotRetry,
    /// Read what is the case first, then decide.
    RetryAfterReread,
}

/// Operations after whose loss the caller reads again before it repeats them (CCD's runtime contract).
const REREAD: &[&str] = &[
    "start_session",
    "clear_session",
    "replace_execution_gates",
    "seed_execution_gates",
    "set_execution_gate_status",
    "advance_execution_gates",
    "clear_execution_gates",
    "refresh_handoff_view",
    "write_handoff",
    "write_recovery",
    "evaluate_checkpoint",
    "evaluate_closeout",
    "set_escalation",
    "clear_escalation",
    "submit_memory_evidence",
    "extract_memory_candidates",
    "probe_ingest_sync_status",
    "export_ingest_source_map",
    "admit_memory_candidate",
    "promote_memory",
    "compact_memory",
];

impl RetryClass {
    /// The class of an operation; what is not known may be repeated.
    pub fn of(operation: &str) -> Self {
        if operation == "takeover_session" {
            Self::DoNotRetry
        } else if REREAD.contains(&operation) {
            Self::RetryAfterReread
        } else {
            Self::SafeRetry
        }
    }
}

/// What stands in `runtime` of every decision. What is not known is `null`, as CCD's clients expect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuntimeMetadata {
    /// [`API_FAMILY`].
    pub api_family: String,
    /// [`API_VERSION`].
    pub api_version: u32,
    /// The request that led here; `evt_…` where nobody asked.
    pub request_id: String,
    /// The key under which the caller may repeat it.
    #[serde(default)]
    pub idempotency_key: Option<String>,
    /// The approval it belongs to.
    #[serde(default)]
    pub approval_request_id: Option<String>,
    /// What was done.
    pub operation: String,
    /// What a caller may do when the answer did not come.
    pub retry_class: RetryClass,
}

impl RuntimeMetadata {
    /// The metadata of a decision that nobody asked for.
    pub fn unasked(operation: &str, decision: EventId) -> Self {
        Self {
            api_family: API_FAMILY.to_owned(),
            api_version: API_VERSION,
            request_id: format!("evt_{decision}"),
            idempotency_key: None,
            approval_request_id: None,
            operation: operation.to_owned(),
            retry_class: RetryClass::of(operation),
        }
    }
}

/// `runtime.status.state_changed`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateChanged {
    /// What every decision carries.
    pub runtime: RuntimeMetadata,
    /// The state before; none for a session just met.
    pub from: Option<SessionState>,
    /// The state now.
    pub to: SessionState,
    /// Why.
    pub reason: Option<String>,
    /// Since when.
    #[serde(with = "time")]
    pub since: Timestamp,
}

/// `runtime.status.session_lost`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionLost {
    /// What every decision carries.
    pub runtime: RuntimeMetadata,
    /// How it was noticed.
    pub reason: String,
}

/// `runtime.host.*`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostPresence {
    /// What every decision carries.
    pub runtime: RuntimeMetadata,
    /// The start of its ingest, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<InstanceId>,
}

/// `runtime.leader.elected`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaderElected {
    /// What every decision carries.
    pub runtime: RuntimeMetadata,
    /// Who.
    pub instance: InstanceId,
    /// Its lease revision.
    pub term: u64,
    /// Its version.
    pub version: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_classes_are_those_of_the_runtime_contract() {
        assert_eq!(RetryClass::of("heartbeat_session"), RetryClass::SafeRetry);
        assert_eq!(RetryClass::of("never_heard_of"), RetryClass::SafeRetry);
        assert_eq!(RetryClass::of("takeover_session"), RetryClass::DoNotRetry);
        assert_eq!(RetryClass::of("compact_memory"), RetryClass::RetryAfterReread);
    }
}
