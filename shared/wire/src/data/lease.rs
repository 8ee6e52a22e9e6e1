//! `runtime.status.start_session`, `heartbeat_session`, `clear_session` and `takeover_session`: work on a workspace.

use super::runtime::RuntimeMetadata;
use crate::time;
use muster_domain::lease::{Lease, LeaseFact, LeaseKey, Mode, Operation, OwnerKind, Prior};
use muster_domain::names::{HostName, Profile, SessionId, Workspace};
use muster_domain::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// A change of who works on what, with CCD's words.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LeaseChanged {
    /// What every decision carries.
    pub runtime: RuntimeMetadata,
    /// What was done.
    pub operation: Operation,
    /// On what.
    pub workspace: Workspace,
    /// Whose work.
    pub profile: Option<Profile>,
    /// How often the workspace changed hands or was kept; never goes back.
    pub revision: u64,
    /// The work after it; none when it was cleared.
    pub session: Option<LeaseData>,
    /// The work that ended by it.
    pub prior_session_id: Option<SessionId>,
    /// Who held that.
    pub prior_actor_id: Option<String>,
    /// Why.
    pub reason: Option<String>,
    /// Digest of what the request asked.
    pub request_digest: u64,
}

/// Work that somebody holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaseData {
    /// Names it.
    pub session_id: SessionId,
    /// When it began.
    #[serde(with = "time")]
    pub started_at: Timestamp,
    /// When it was last started.
    #[serde(with = "time")]
    pub last_started_at: Timestamp,
    /// How often.
    pub start_count: u32,
    /// What kind of work.
    pub mode: Mode,
    /// Who keeps it.
    pub owner_kind: OwnerKind,
    /// Their name.
    pub actor_id: Option<String>,
    /// Who supervises them.
    pub supervisor_id: Option<String>,
    /// How long one heartbeat keeps it.
    pub lease_seconds: Option<u64>,
    /// The last one.
    #[serde(with = "time::optional")]
    pub last_heartbeat_at: Option<Timestamp>,
    /// What they say they do.
    pub activity: Option<String>,
    /// The host it is held from.
    pub host: Option<HostName>,
}

impl From<&Lease> for LeaseData {
    fn from(lease: &Lease) -> Self {
        let owned = |text: &Option<Box<str>>| text.as_deref().map(str::to_owned);
        Self {
            session_id: lease.session.clone(),
            started_at: lease.started,
            last_started_at: lease.last_started,
            start_count: lease.start_count,
            mode: lease.mode,
            owner_kind: lease.owner_kind,
            actor_id: owned(&lease.actor),
            supervisor_id: owned(&lease.supervisor),
            lease_seconds: lease.ttl.map(|ttl| ttl.as_secs()),
            last_heartbeat_at: lease.last_heartbeat,
            activity: owned(&lease.activity),
            host: lease.host.clone(),
        }
    }
}

impl From<LeaseData> for Lease {
    fn from(data: LeaseData) -> Self {
        Self {
            session: data.session_id,
            started: data.started_at,
            last_started: data.last_started_at,
            start_count: data.start_count,
            mode: data.mode,
            owner_kind: data.owner_kind,
            actor: data.actor_id.map(Into::into),
            supervisor: data.supervisor_id.map(Into::into),
            ttl: data.lease_seconds.map(Duration::from_secs),
            last_heartbeat: data.last_heartbeat_at,
            activity: data.activity.map(Into::into),
            host: data.host,
        }
    }
}

impl LeaseChanged {
    pub(crate) fn new(runtime: RuntimeMetadata, fact: &LeaseFact) -> Self {
        Self {
            runtime,
            operation: fact.operation,
            workspace: fact.key.workspace.clone(),
            profile: fact.key.profile.clone(),
            revision: fact.revision,
            session: fact.lease.as_deref().map(LeaseData::from),
            prior_session_id: fact.prior.as_ref().map(|prior| prior.session.clone()),
            prior_actor_id: fact
                .prior
                .as_ref()
                .and_then(|prior| Some(prior.actor.as_deref()?.to_owned())),
            reason: fact.reason.as_deref().map(str::to_owned),
            request_digest: fact.request.1,
        }
    }

    pub(crate) fn into_fact(self) -> LeaseFact {
        let actor = self.prior_actor_id.map(Into::into);
        LeaseFact {
            key: LeaseKey {
                profile: self.profile,
                workspace: self.workspace,
            },
            operation: self.operation,
            lease: self.session.map(|data| Box::new(data.into())),
            prior: self.prior_session_id.map(|session| Box::new(Prior { session, actor })),
            reason: self.reason.map(Into::into),
            revision: self.revision,
            request: (self.runtime.request_id.into(), self.request_digest),
        }
    }
}
