//! Handoffs and recoveries of leased work.

use crate::api::lease::{LeaseTarget, Written};
use crate::data::continuity::ContinuityData;
use muster_domain::lease::{Handoff, Recovery};
use muster_domain::names::{Profile, Workspace};
use serde::{Deserialize, Serialize};

/// `handoffs.get`: of which workspace.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HandoffsGetRequest {
    /// On what is worked.
    pub workspace: Workspace,
    /// Whose work.
    #[serde(default)]
    pub profile: Option<Profile>,
}

/// `handoffs.write`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct HandoffsWriteRequest {
    /// Where, and who.
    #[serde(flatten)]
    pub target: LeaseTarget,
    /// What whoever goes on is to know.
    pub handoff: Handoff,
}

/// `recoveries.write`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct RecoveriesWriteRequest {
    /// Where, and who.
    #[serde(flatten)]
    pub target: LeaseTarget,
    /// How to go on with work that is interrupted.
    pub recovery: Recovery,
}

/// What the work of a workspace left.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HandoffRow {
    /// On what is worked.
    pub workspace: Workspace,
    /// Whose work.
    pub profile: Option<Profile>,
    /// The lease's revision now.
    pub revision: u64,
    /// The handoff and the recovery.
    #[serde(flatten)]
    pub left: ContinuityData,
}

/// What became of a write of them.
pub type HandoffAnswer = Written<HandoffRow>;
