//! Work on workspaces: CCD's session lifecycle.

use super::list::BadCursor;
use crate::data::continuity::ContinuityData;
use crate::data::lease::LeaseData;
use crate::token;
use muster_domain::lease::{LeaseKey, Mode, OwnerKind, WriteOutcome};
use muster_domain::names::{HostName, Profile, SessionId, Workspace};
use serde::{Deserialize, Serialize};

/// Which workspace, and what the writer believes of it (CCD's protected write envelope).
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct LeaseTarget {
    /// On what.
    pub workspace: Workspace,
    /// Whose work.
    #[serde(default)]
    pub profile: Option<Profile>,
    /// Who writes.
    #[serde(default)]
    pub actor_id: Option<String>,
    /// For which piece of work.
    #[serde(default)]
    pub session_id: Option<SessionId>,
    /// At which revision; another one is a conflict.
    #[serde(default)]
    pub expected_revision: Option<u64>,
    /// The host it is held from; a host that asks is that host.
    #[serde(default)]
    pub host: Option<HostName>,
    /// Names this request, so that it can be repeated: the same again is `idempotent_noop`.
    #[serde(default, alias = "idempotency_key", skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

/// `sessions.start`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SessionsStartRequest {
    /// Where, and who.
    #[serde(flatten)]
    pub target: LeaseTarget,
    /// What kind of work.
    #[serde(default)]
    pub mode: Mode,
    /// Who keeps it; a program unless it is said, where an actor is named.
    #[serde(default)]
    pub owner_kind: Option<OwnerKind>,
    /// Who supervises.
    #[serde(default)]
    pub supervisor_id: Option<String>,
    /// How long one heartbeat keeps it, in seconds: a program has to say.
    #[serde(default)]
    pub lease_seconds: Option<u64>,
    /// Go on with one's own work although it went stale.
    #[serde(default)]
    pub recover_stale: bool,
}

/// `sessions.heartbeat`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SessionsHeartbeatRequest {
    /// Where, and who.
    #[serde(flatten)]
    pub target: LeaseTarget,
    /// What is being done, in at most 280 characters.
    #[serde(default)]
    pub activity: Option<String>,
}

/// `sessions.clear`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SessionsClearRequest {
    /// Where, and who.
    #[serde(flatten)]
    pub target: LeaseTarget,
    /// Why.
    #[serde(default)]
    pub reason: Option<String>,
}

/// `sessions.takeover`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SessionsTakeoverRequest {
    /// Where, and who takes.
    #[serde(flatten)]
    pub target: LeaseTarget,
    /// Why.
    #[serde(default)]
    pub reason: String,
}

/// Whether it went well, in CCD's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LeaseStatus {
    /// It did.
    Ok,
    /// Nobody keeps the lease any more.
    Stale,
    /// It did not.
    Failed,
}

/// What became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaseAnswer {
    /// Whether it went well.
    pub status: LeaseStatus,
    /// What became of the write.
    pub outcome: WriteOutcome,
    /// Why not, or what to know.
    pub message: Option<String>,
    /// On what.
    pub workspace: Workspace,
    /// Whose work.
    pub profile: Option<Profile>,
    /// The revision now.
    pub revision: u64,
    /// The work now.
    pub session: Option<LeaseData>,
    /// The work that ended by it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prior_session_id: Option<SessionId>,
    /// Who held that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prior_actor_id: Option<String>,
    /// What the work before left, when work begins or changes hands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub continuity: Option<ContinuityData>,
}

/// Where a page of leases ended: the last row's profile and workspace, since another profile may hold the same workspace.
/// Opaque to callers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct LeaseCursor(LeaseKey);

impl LeaseCursor {
    /// The end of a page whose last row has this key.
    pub const fn after(key: LeaseKey) -> Self {
        Self(key)
    }

    /// The key after which the next page begins.
    pub const fn key(&self) -> &LeaseKey {
        &self.0
    }
}

impl TryFrom<String> for LeaseCursor {
    type Error = BadCursor;

    fn try_from(text: String) -> Result<Self, BadCursor> {
        let key = || {
            let (profile, workspace) = text.split_once('.')?;
            let profile = match profile {
                token::NONE => None,
                profile => Some(Profile::new(&token::decode(profile)?).ok()?),
            };
            let workspace = Workspace::new(&token::decode(workspace)?).ok()?;
            Some(LeaseKey { profile, workspace })
        };
        key().map(Self).ok_or(BadCursor(text))
    }
}

impl From<LeaseCursor> for String {
    fn from(LeaseCursor(key): LeaseCursor) -> Self {
        let profile = key
            .profile
            .map_or_else(|| token::NONE.to_owned(), |profile| token::encode(profile.as_str()));
        [&profile, ".", &token::encode(key.workspace.as_str())].concat()
    }
}

/// What became of a write of what belongs to the work: of `R`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Written<R> {
    /// Whether it went well.
    pub status: LeaseStatus,
    /// What became of the write.
    pub outcome: WriteOutcome,
    /// Why not, or what to know.
    pub message: Option<String>,
    /// What there is now.
    #[serde(flatten)]
    pub row: R,
}

/// `sessions.leases`: who works on what.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LeasesListRequest {
    /// Only this.
    pub workspace: Option<Workspace>,
    /// `next_cursor` of the page before.
    pub cursor: Option<LeaseCursor>,
    /// Rows at most.
    pub limit: Option<usize>,
}

/// A page of workspaces that somebody holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeasesList {
    /// The rows.
    pub leases: Vec<LeaseRow>,
    /// Where to go on; none at the end.
    #[serde(default)]
    pub next_cursor: Option<LeaseCursor>,
}

/// A workspace that somebody holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaseRow {
    /// On what.
    pub workspace: Workspace,
    /// Whose work.
    pub profile: Option<Profile>,
    /// The revision now.
    pub revision: u64,
    /// Whether nobody keeps it.
    pub stale: bool,
    /// The work.
    pub session: LeaseData,
}
