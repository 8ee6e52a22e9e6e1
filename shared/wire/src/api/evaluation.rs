//! Context checks, checkpoints and closeouts.

use muster_domain::checkpoint::{self, Git};
use muster_domain::context::{self, Boundary, Trigger};
use muster_domain::matter::Matter;
use muster_domain::names::{HostName, Profile, SessionId, Workspace};
use serde::{Deserialize, Serialize};

/// `context.check`: a session, leased work, or both, and what only the caller can see.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ContextCheckRequest {
    /// The agent's session.
    pub session: Option<SessionId>,
    /// Its host; may be left out while no two hosts have the id.
    pub host: Option<HostName>,
    /// On what it works.
    pub workspace: Option<Workspace>,
    /// Whose work.
    pub profile: Option<Profile>,
    /// Why it is asked.
    pub trigger: Trigger,
    /// Symptoms that the operator sees; the first three count.
    pub symptoms: Vec<String>,
    /// Attempts in a row that brought nothing.
    pub no_progress: u32,
    /// What is wrong with the checkout.
    pub checkout_advisory: Option<String>,
    /// What the agent does instead of what it should.
    pub behavioural_drift: Option<String>,
    /// What the session does at its next boundary.
    pub boundary: Option<Boundary>,
    /// Whether what is known of the work is to be looked at again.
    pub review_required: bool,
    /// `source_fingerprint` of the caller's last check.
    pub source_fingerprint: Option<String>,
    /// Names this request, so that it can be repeated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

/// Whether the session shall go on with the context it has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContextChecked {
    /// Of what.
    pub matter: Matter,
    /// Whether it is said and not written, because the last check is younger than two minutes.
    pub throttled: bool,
    /// What was found.
    #[serde(flatten)]
    pub evaluation: context::Evaluation,
}

/// `checkpoints.evaluate`, `checkpoints.closeout`: a session, leased work, or both, and what only the caller can see.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CheckpointRequest {
    /// The agent's session.
    pub session: Option<SessionId>,
    /// Its host; may be left out while no two hosts have the id.
    pub host: Option<HostName>,
    /// On what it works.
    pub workspace: Option<Workspace>,
    /// Whose work.
    pub profile: Option<Profile>,
    /// The state of the checkout.
    pub git: Option<Git>,
    /// Things learned that nobody admitted to memory yet.
    pub memory_candidates: Option<u32>,
    /// Whether memory was changed and not committed.
    pub memory_changed: Option<bool>,
    /// Names this request, so that it can be repeated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

/// How the work stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckpointAnswer {
    /// Of what.
    pub matter: Matter,
    /// What was found.
    #[serde(flatten)]
    pub evaluation: checkpoint::Evaluation,
}
