//! What somebody needs who begins in the middle: CCD's bounded context of a child.

use crate::data::continuity::WrittenData;
use crate::data::lease::{EscalationData, LeaseData};
use muster_domain::lease::{Gate, Handoff, Recovery};
use muster_domain::names::{HostName, Profile, SessionId, Workspace};
use muster_domain::work_memory::{Kind, Scope};
use serde::{Deserialize, Serialize};

/// Bytes of such a context, as JSON: what a model reads before it begins.
pub const BOOTSTRAP_BYTES_MAX: usize = 16 * 1024;

/// `workspaces.bootstrap`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BootstrapRequest {
    /// On what is worked.
    pub workspace: Workspace,
    /// Whose work.
    #[serde(default)]
    pub profile: Option<Profile>,
    /// The session that hands work on; then it is said how much deeper that may go.
    #[serde(default)]
    pub session: Option<SessionId>,
    /// Where it runs, where several hosts have one of this id.
    #[serde(default)]
    pub host: Option<HostName>,
}

/// The context.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bootstrap {
    /// On what is worked.
    pub workspace: Workspace,
    /// Whose work.
    pub profile: Option<Profile>,
    /// What a child may and may not.
    pub rights: String,
    /// How deep the work is handed on, where the session is known.
    pub nesting: Option<Nesting>,
    /// Who holds the work.
    pub lease: Option<BootstrapLease>,
    /// What waits for somebody.
    pub escalations: Vec<EscalationData>,
    /// Gates that are not passed, in order.
    pub open_gates: Vec<OpenGate>,
    /// The first of them, counted from 0 among all gates.
    pub attention_anchor: Option<usize>,
    /// What was left to whoever goes on.
    pub handoff: Option<WrittenData<Handoff>>,
    /// What was left for when the work was interrupted.
    pub recovery: Option<WrittenData<Recovery>>,
    /// What holds there, the widest scope first.
    pub memories: Vec<BootstrapMemory>,
    /// How much of it did not fit.
    pub left_out: LeftOut,
}

/// How deep work is handed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Nesting {
    /// How deep a delegation of the session would be.
    pub depth: u32,
    /// How deep any may be.
    pub depth_max: u32,
    /// How many may follow below that.
    pub depth_left: u32,
}

/// Who holds the work, and whether they keep it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BootstrapLease {
    /// Whether nobody keeps it.
    pub stale: bool,
    /// The lease's revision.
    pub revision: u64,
    /// The work.
    pub session: LeaseData,
}

/// A gate that is not passed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenGate {
    /// Which, counted from 0 among all gates.
    pub index: usize,
    /// What it is.
    #[serde(flatten)]
    pub gate: Gate,
}

/// Something that holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BootstrapMemory {
    /// Its number within its workspace.
    pub id: u64,
    /// The workspace in which it is known, where that is another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workspace: Option<Workspace>,
    /// What it is.
    #[serde(rename = "type")]
    pub kind: Kind,
    /// Where it holds.
    pub scope: Scope,
    /// What it says.
    pub text: String,
}

/// How much did not fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct LeftOut {
    /// Whether the lease is not said.
    pub lease: bool,
    /// Escalations.
    pub escalations: usize,
    /// Gates that are not passed.
    pub open_gates: usize,
    /// Entries of the handoff's lists; its title too, where there is no handoff.
    pub handoff: usize,
    /// Entries of the recovery's lists; its summary too, where there is no recovery.
    pub recovery: usize,
    /// Entries that hold.
    pub memories: usize,
}
