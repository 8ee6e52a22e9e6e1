//! Delegations: asked for, listed, shown, taken back.

use super::list::UnderWayRequest;
use crate::time;
use muster_domain::delegation::{Delegation, Status, Tier};
use muster_domain::ids::DelegationId;
use muster_domain::names::{HostName, SessionId, SubagentName, ToolCallId};
use muster_domain::time::Timestamp;
use serde::{Deserialize, Serialize};

/// `delegations.delegate`: hand work to a named agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DelegateRequest {
    /// The session that delegates.
    pub session_id: SessionId,
    /// Its host; may be left out while no two hosts have the id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<HostName>,
    /// Who shall do it.
    pub agent: SubagentName,
    /// What shall be done.
    pub task: String,
    /// Which kind of model shall: `haiku`, `sonnet`, `opus`; `sonnet` without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tier: Option<String>,
    /// The delegation that this one is part of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent_delegation: Option<DelegationId>,
    /// The same id again is the same request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

/// A delegation that may begin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delegated {
    /// Its id.
    pub delegation_id: DelegationId,
    /// Who shall do it.
    pub agent: SubagentName,
    /// Which kind of model shall.
    pub tier: Tier,
    /// How the agent's circuit stands: `closed` or `half_open`.
    pub circuit: String,
    /// The line that the prompt of the agent's call must hold, so that the call is known to be the delegation's.
    pub prompt_line: String,
    /// What to do with it, in words.
    pub instructions: String,
    /// All of it.
    pub delegation: DelegationRow,
}

/// `delegations.list`: which.
pub type DelegationsListRequest = UnderWayRequest<DelegationId>;

/// Delegations, the latest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DelegationsList {
    /// The rows.
    pub delegations: Vec<DelegationRow>,
    /// Where to go on; none at the end.
    pub next_cursor: Option<DelegationId>,
}

/// `delegations.get`: which one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DelegationRequest {
    /// Its id.
    pub id: DelegationId,
}

/// One delegation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DelegationAnswer {
    /// It.
    pub delegation: DelegationRow,
}

/// `delegations.cancel`: take one back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DelegationsCancelRequest {
    /// Which one.
    pub id: DelegationId,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The same id again is the same request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

/// A delegation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DelegationRow {
    /// Its id.
    pub id: DelegationId,
    /// The host of the session that delegates.
    pub host: HostName,
    /// The session that delegates.
    pub session: SessionId,
    /// The delegation it is part of.
    pub parent: Option<DelegationId>,
    /// How many delegations it is nested in.
    pub depth: u32,
    /// Who shall do it.
    pub agent: SubagentName,
    /// Which kind of model shall.
    pub tier: Tier,
    /// How it stands.
    pub status: Status,
    /// What shall be done; of a long one its beginning.
    pub task: String,
    /// The delegator's permission mode when it asked, which is its ceiling.
    pub permission_mode: Option<String>,
    /// Who asked for it.
    pub by: String,
    /// When it was queued.
    #[serde(with = "time")]
    pub queued: Timestamp,
    /// Since when it stands so.
    #[serde(with = "time")]
    pub since: Timestamp,
    /// The call that was made for it.
    pub tool_use_id: Option<ToolCallId>,
    /// Why it ended so.
    pub reason: Option<String>,
}

impl DelegationRow {
    /// The row of a delegation.
    pub fn new(id: DelegationId, delegation: &Delegation) -> Self {
        let owned = |text: Option<&str>| text.map(str::to_owned);
        Self {
            id,
            host: delegation.session.host.clone(),
            session: delegation.session.id.clone(),
            parent: delegation.parent,
            depth: delegation.depth,
            agent: delegation.agent.clone(),
            tier: delegation.tier,
            status: delegation.status,
            task: delegation.task.to_string(),
            permission_mode: owned(delegation.permission_mode.as_deref()),
            by: delegation.by.to_string(),
            queued: delegation.queued,
            since: delegation.since,
            tool_use_id: delegation.call.clone(),
            reason: owned(delegation.reason.as_deref()),
        }
    }
}
