//! Effects: what hosts are told to do for a session, listed and shown.

use super::list::UnderWayRequest;
use crate::data::memory::CompactionData;
use crate::time;
use muster_domain::effect::{Action, ActionKind, Effect, End, Status};
use muster_domain::ids::EffectId;
use muster_domain::names::{HostName, RunId, SessionId};
use muster_domain::time::Timestamp;
use serde::{Deserialize, Serialize};

/// `sessions.interrupt`, `sessions.stop`, `sessions.reset`: whom.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SessionsControlRequest {
    /// The session's id.
    pub id: SessionId,
    /// Its host; may be left out while no two hosts have the id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<HostName>,
    /// The same id again is the same request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

/// `sessions.model`: another model, from the next turn on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SessionsModelRequest {
    /// The session's id.
    pub id: SessionId,
    /// Its host; may be left out while no two hosts have the id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<HostName>,
    /// Which, as the agent names models.
    pub model: String,
    /// The same id again is the same request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

/// `sessions.spawn`: a new session, of a template that its host knows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SessionsSpawnRequest {
    /// Where.
    pub host: HostName,
    /// Which template of that host's.
    pub template: String,
    /// The first prompt.
    pub prompt: String,
    /// The model, where it is not the template's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// What it may cost, in US dollars.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget_usd: Option<f64>,
    /// The same id again is the same request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

/// `memory.compact`: a session's context.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MemoryCompactRequest {
    /// The session's id.
    #[serde(alias = "session_id")]
    pub id: SessionId,
    /// Its host; may be left out while no two hosts have the id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<HostName>,
    /// What shall be kept, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instructions: Option<String>,
    /// The same id again is the same request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

/// What became of a request that may have nothing to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StagedOutcome {
    /// It was asked for.
    Applied,
    /// It is asked for already, or nothing happened since it was done last.
    IdempotentNoop,
}

/// A write that was staged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StagedWrite {
    /// What became of it.
    pub outcome: StagedOutcome,
}

/// A compaction that was asked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MemoryCompacting {
    /// Whether it was.
    pub staged_write: StagedWrite,
    /// The effect that compacts; none where nothing happened since the last compaction.
    pub effect: Option<EffectRow>,
    /// The session's last compaction that was announced.
    pub compaction: Option<CompactionData>,
}

/// `effects.list`: which.
pub type EffectsListRequest = UnderWayRequest<EffectId>;

/// Effects, the latest first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EffectsList {
    /// The rows.
    pub effects: Vec<EffectRow>,
    /// Where to go on; none at the end.
    pub next_cursor: Option<EffectId>,
}

/// `effects.get`: which one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EffectRequest {
    /// Its id.
    pub id: EffectId,
}

/// One effect.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EffectAnswer {
    /// It.
    pub effect: EffectRow,
}

/// An effect.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EffectRow {
    /// Its id.
    pub id: EffectId,
    /// The host that shall do it.
    pub host: HostName,
    /// The session it is for; for a spawn, the one that begins.
    pub session: SessionId,
    /// The run that shall do it.
    pub run: Option<RunId>,
    /// What it is.
    pub kind: ActionKind,
    /// What shall be done; a message's words are shown with the message.
    pub action: Action,
    /// How it stands.
    pub status: Status,
    /// Since when it stands so.
    #[serde(with = "time")]
    pub since: Timestamp,
    /// Who wants it.
    pub by: String,
    /// The session on whose behalf it was asked for.
    pub by_session: Option<SessionId>,
    /// When it was asked for.
    #[serde(with = "time")]
    pub requested: Timestamp,
    /// Until when it may begin.
    #[serde(with = "time")]
    pub expires: Timestamp,
    /// Why it ended so, in one word.
    pub reason: Option<String>,
    /// The same, in a sentence.
    pub detail: Option<String>,
}

impl EffectRow {
    /// The row of an effect.
    pub fn new(id: EffectId, effect: &Effect) -> Self {
        let detail = match &effect.ended {
            Some((_, End::Failed { detail, .. })) => detail.as_deref(),
            Some((_, End::Done)) | None => None,
        };
        Self {
            id,
            host: effect.target.host.clone(),
            session: effect.target.id.clone(),
            run: effect.order.run.clone(),
            kind: effect.order.action.kind(),
            action: effect.order.action.clone(),
            status: effect.status(),
            since: effect.since(),
            by: effect.order.by.caller.to_string(),
            by_session: effect.order.by.session.clone(),
            requested: effect.asked,
            expires: effect.order.expires,
            reason: effect.reason().map(str::to_owned),
            detail: detail.map(str::to_owned),
        }
    }
}
