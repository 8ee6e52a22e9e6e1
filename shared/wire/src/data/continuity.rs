//! What work leaves to whoever goes on with it, as `runtime.status.write_handoff` and `write_recovery` carry it.

use crate::time;
use muster_domain::lease::{Continuity, Handoff, Recovery, Written};
use muster_domain::names::SessionId;
use muster_domain::time::Timestamp;
use serde::{Deserialize, Serialize};

/// All that is left.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ContinuityData {
    /// For whoever goes on.
    pub handoff: Option<WrittenData<Handoff>>,
    /// For when the work was interrupted.
    pub recovery: Option<WrittenData<Recovery>>,
}

/// One of them, as it was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WrittenData<T> {
    /// What it says.
    #[serde(flatten)]
    pub what: T,
    /// How often it was written in this workspace.
    pub revision: u64,
    /// When.
    #[serde(with = "time")]
    pub written_at: Timestamp,
    /// The work in which it was.
    pub session_id: SessionId,
    /// By whom.
    pub actor_id: Option<String>,
}

impl<T> From<Written<T>> for WrittenData<T> {
    fn from(written: Written<T>) -> Self {
        Self {
            what: written.what,
            revision: written.revision,
            written_at: written.at,
            session_id: written.session,
            actor_id: written.actor.map(Into::into),
        }
    }
}

impl<T> From<WrittenData<T>> for Written<T> {
    fn from(data: WrittenData<T>) -> Self {
        Self {
            what: data.what,
            revision: data.revision,
            at: data.written_at,
            session: data.session_id,
            actor: data.actor_id.map(Into::into),
        }
    }
}

impl From<Continuity> for ContinuityData {
    fn from(left: Continuity) -> Self {
        Self {
            handoff: left.handoff.map(Into::into),
            recovery: left.recovery.map(Into::into),
        }
    }
}

impl From<ContinuityData> for Continuity {
    fn from(data: ContinuityData) -> Self {
        Self {
            handoff: data.handoff.map(Into::into),
            recovery: data.recovery.map(Into::into),
        }
    }
}
