//! How full a context is.

use crate::data::memory::CompactionData;
use muster_domain::memory::{Pressure, Thresholds};
use muster_domain::names::{HostName, SessionId};
use serde::{Deserialize, Serialize};

/// `memory.report`: of a session as it was last measured, or of these numbers.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MemoryReportRequest {
    /// The session; it need not be known where the numbers are given.
    #[serde(alias = "session_id", skip_serializing_if = "Option::is_none")]
    pub session: Option<SessionId>,
    /// Its host; may be left out while no two hosts have the id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<HostName>,
    /// Tokens in the context, instead of what was measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub used_tokens: Option<u64>,
    /// Tokens that fit, instead of what was measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub window_tokens: Option<u64>,
}

/// How full it is. What nobody measured is null, and so is what would follow from it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MemoryReport {
    /// Tokens in the context.
    pub used_tokens: Option<u64>,
    /// Tokens that fit.
    pub window_tokens: Option<u64>,
    /// The share of the window that is used, from 0 to 1.
    pub fraction: Option<f64>,
    /// What that asks for.
    pub pressure: Option<Pressure>,
    /// From when on there is pressure.
    pub config: Thresholds,
    /// The session's last compaction that was announced.
    pub compaction: Option<CompactionData>,
}
