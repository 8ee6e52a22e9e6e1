//! What ingest and a carrier say to each other: a run that carries out what its session is told.
//!
//! After `carry` a connection is the carrier's alone. Ingest says `order`, and has written down by then that it did; the
//! carrier answers each with one `receipt`, again after each reconnection until it hears `noted`. Whoever connects says what
//! it still has, so that neither side takes for lost what the other one has.

use muster_domain::effect::{Action, ActionKind};
use muster_domain::ids::EffectId;
use muster_domain::names::{RunId, SessionId};
use serde::{Deserialize, Serialize};

/// Who is told what a session is told, from here on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Carry {
    /// The run that carries.
    pub run: RunId,
    /// Its session.
    pub session: SessionId,
    /// Orders that it has and whose end ingest has not noted.
    #[serde(default)]
    pub holds: Vec<EffectId>,
}

/// What shall be done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CarryOrder {
    /// By which effect.
    pub effect_id: EffectId,
    /// What.
    pub action: Action,
}

/// An effect, and nothing else about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct OfEffect {
    /// Which.
    pub effect_id: EffectId,
}

/// What became of an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CarryReceipt {
    /// Which.
    pub effect_id: EffectId,
    /// What it was.
    pub kind: ActionKind,
    /// Why nothing came of it, in one word; none where it is done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<String>,
    /// More, in a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}
