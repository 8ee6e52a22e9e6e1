//! Escalations and execution gates of leased work.

use crate::api::lease::{LeaseTarget, Written};
use crate::data::lease::GuardsData;
use muster_domain::lease::{EscalationKind, GateStatus, Seed};
use muster_domain::names::{Profile, Workspace};
use serde::{Deserialize, Serialize};

/// `escalations.list`, `gates.list`: of which workspace.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GuardsListRequest {
    /// On what is worked.
    pub workspace: Workspace,
    /// Whose work.
    #[serde(default)]
    pub profile: Option<Profile>,
}

/// `escalations.set`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct EscalationsSetRequest {
    /// Where, and who.
    #[serde(flatten)]
    pub target: LeaseTarget,
    /// Names it; made where it is not given.
    #[serde(default)]
    pub id: Option<String>,
    /// Whether it stops the work.
    pub kind: EscalationKind,
    /// Why.
    pub reason: String,
}

/// `escalations.clear`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct EscalationsClearRequest {
    /// Where, and who.
    #[serde(flatten)]
    pub target: LeaseTarget,
    /// Which; all where none is named.
    #[serde(default)]
    pub id: Option<String>,
}

/// `gates.replace`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct GatesReplaceRequest {
    /// Where, and who.
    #[serde(flatten)]
    pub target: LeaseTarget,
    /// What has to be passed, in order.
    pub gates: Vec<String>,
}

/// `gates.seed`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct GatesSeedRequest {
    /// Where, and who.
    #[serde(flatten)]
    pub target: LeaseTarget,
    /// Where they come from.
    pub seeded_from: Seed,
    /// What has to be passed, in order; what the handoff says, where none are given.
    #[serde(default)]
    pub gates: Vec<String>,
}

/// `gates.set_status`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct GatesSetStatusRequest {
    /// Where, and who.
    #[serde(flatten)]
    pub target: LeaseTarget,
    /// Which gate, counted from 0.
    pub index: usize,
    /// How far it is.
    pub status: GateStatus,
}

/// `gates.advance`, `gates.clear`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct GatesRequest {
    /// Where, and who.
    #[serde(flatten)]
    pub target: LeaseTarget,
}

/// Escalations and gates of a workspace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GuardsRow {
    /// On what is worked.
    pub workspace: Workspace,
    /// Whose work.
    pub profile: Option<Profile>,
    /// The revision now.
    pub revision: u64,
    /// What they are.
    #[serde(flatten)]
    pub guards: GuardsData,
}

/// What became of a change of them.
pub type GuardsAnswer = Written<GuardsRow>;
