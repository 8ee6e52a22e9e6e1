//! What stands between work and its going on: escalations, which wait for somebody, and execution gates, which are passed
//! in their order.
//!
//! Both belong to the work that is held: they end with it, and work that went stale keeps of them only what blocks. They
//! are written as the lease is, at its revision and with the same outcomes.

use super::decide::{After, Decided, Ground, Protected, WriteOutcome, disbelieved};
use super::{Lease, LeaseKey, Operation, Place};
use crate::names::SessionId;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};

/// How many escalations one workspace has at most.
pub const ESCALATIONS_MAX: usize = 32;
/// How many gates one workspace has at most.
pub const GATES_MAX: usize = 64;
/// Longest reason or gate, in characters.
pub const WORDS_CHARS_MAX: usize = 500;

/// Whether an escalation stops the work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EscalationKind {
    /// It does: whatever is asked of policy is refused until it is cleared, but for looking.
    Blocking,
    /// It does not.
    NonBlocking,
}

/// Something that waits for somebody.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Escalation {
    /// Names it within its workspace.
    pub id: Box<str>,
    /// Whether it stops the work.
    pub kind: EscalationKind,
    /// Why.
    pub reason: Box<str>,
    /// Since when.
    pub created: Timestamp,
    /// The work it was raised in.
    pub session: SessionId,
}

/// How far a gate is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GateStatus {
    /// It is to be passed.
    Open,
    /// It is passed.
    Done,
    /// It cannot be passed now.
    Blocked,
}

/// Where a gate comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Seed {
    /// What a handoff says to do next.
    #[serde(rename = "handoff:immediate_actions")]
    ImmediateActions,
    /// What has to be the case in the end.
    #[serde(rename = "definition_of_done")]
    DefinitionOfDone,
}

/// One step that has to be passed.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Gate {
    /// What has to be the case.
    pub text: Box<str>,
    /// How far it is.
    pub status: GateStatus,
    /// Where it comes from; none where somebody wrote it.
    pub seeded_from: Option<Seed>,
}

/// The escalations and gates of one workspace.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct Guards {
    /// What waits for somebody, the oldest first.
    pub escalations: Vec<Escalation>,
    /// What has to be passed, in order.
    pub gates: Vec<Gate>,
}

impl Guards {
    /// Whether something stops the work.
    pub fn is_blocked(&self) -> bool {
        self.escalations.iter().any(|one| one.kind == EscalationKind::Blocking)
    }

    /// The first gate that is not passed: what to attend to.
    pub fn attention_anchor(&self) -> Option<usize> {
        self.gates.iter().position(|gate| gate.status != GateStatus::Done)
    }

    /// What is left of them when work that went stale begins again.
    pub(super) fn after_stale(&self) -> Option<Self> {
        let left = Self {
            escalations: self
                .escalations
                .iter()
                .filter(|one| one.kind == EscalationKind::Blocking)
                .cloned()
                .collect(),
            gates: Vec::new(),
        };
        (left != *self).then_some(left)
    }

    /// What is left of them when work is cleared: nothing.
    pub(super) fn after_clear(&self) -> Option<Self> {
        (*self != Self::default()).then(Self::default)
    }
}

/// What is to become of them.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Change {
    /// Something waits for somebody.
    SetEscalation {
        /// Names it.
        id: Box<str>,
        /// Whether it stops the work.
        kind: EscalationKind,
        /// Why.
        reason: Box<str>,
    },
    /// It does no longer; nothing does, where none is named.
    ClearEscalation(Option<Box<str>>),
    /// These gates instead of those there are.
    ReplaceGates(Vec<Box<str>>),
    /// These gates where there are none; those that the handoff says, where none are given.
    SeedGates(Seed, Vec<Box<str>>),
    /// One gate, counted from 0, is this far.
    SetGateStatus(usize, GateStatus),
    /// The first gate that is not passed is passed.
    AdvanceGates,
    /// No gates.
    ClearGates,
}

impl Change {
    const fn operation(&self) -> Operation {
        match self {
            Self::SetEscalation { .. } => Operation::SetEscalation,
            Self::ClearEscalation(_) => Operation::ClearEscalation,
            Self::ReplaceGates(_) => Operation::ReplaceExecutionGates,
            Self::SeedGates(..) => Operation::SeedExecutionGates,
            Self::SetGateStatus(..) => Operation::SetExecutionGateStatus,
            Self::AdvanceGates => Operation::AdvanceExecutionGates,
            Self::ClearGates => Operation::ClearExecutionGates,
        }
    }

    /// What the guards are then.
    fn on(&self, place: &Place, now: Timestamp, held: &Lease) -> Result<Guards, Decided> {
        let guards = &place.guards;
        let mut next = guards.clone();
        match self {
            Self::SetEscalation { id, kind, reason } => match guards.escalations.iter().find(|one| one.id == *id) {
                Some(known) if known.kind == *kind && known.reason == *reason => {}
                Some(_) => {
                    let note = "this id is that of another escalation";
                    return Err(Decided::refused(WriteOutcome::DuplicateIdConflict, note));
                }
                None => next.escalations.push(Escalation {
                    id: id.clone(),
                    kind: *kind,
                    reason: reason.clone(),
                    created: now,
                    session: held.session.clone(),
                }),
            },
            Self::ClearEscalation(Some(id)) => next.escalations.retain(|one| one.id != *id),
            Self::ClearEscalation(None) => next.escalations.clear(),
            Self::ReplaceGates(texts) => next.gates = gates(texts, None),
            Self::SeedGates(from, texts) if guards.gates.is_empty() => {
                let texts = if texts.is_empty() {
                    place.continuity.seed(*from)
                } else {
                    texts
                };
                if texts.is_empty() {
                    return Err(Decided::nothing(
                        "no handoff says any: give the gates, or write a handoff",
                    ));
                }
                next.gates = gates(texts, Some(*from));
            }
            Self::SeedGates(..) => return Err(Decided::nothing("there are gates already; replace them")),
            Self::SetGateStatus(index, status) => {
                let Some(gate) = next.gates.get_mut(*index) else {
                    let note = "there is no such gate; read them again";
                    return Err(Decided::refused(WriteOutcome::OwnershipConflict, note));
                };
                gate.status = *status;
            }
            Self::AdvanceGates => {
                let anchor = guards.attention_anchor();
                if let Some(gate) = anchor.and_then(|at| next.gates.get_mut(at)) {
                    gate.status = GateStatus::Done;
                }
            }
            Self::ClearGates => next.gates.clear(),
        }
        if next == *guards {
            return Err(Decided::nothing("it is so already"));
        }
        Ok(next)
    }
}

fn gates(texts: &[Box<str>], seeded_from: Option<Seed>) -> Vec<Gate> {
    let texts = texts.iter().cloned();
    texts
        .map(|text| Gate {
            text,
            status: GateStatus::Open,
            seeded_from,
        })
        .collect()
}

/// Changes the guards of held work: its owner's, its supervisor's or an operator's right, and anybody's where a person
/// holds it.
pub fn change(ground: &Ground<'_>, key: &LeaseKey, protected: &Protected, change: &Change) -> Decided {
    let place = ground.place(key);
    if let Some(before) = ground.repeated(&place).or_else(|| disbelieved(&place, protected)) {
        return before;
    }
    let held = match writable(ground, &place, protected) {
        Ok(held) => held,
        Err(refused) => return refused,
    };
    match change.on(&place, ground.now, held) {
        Err(decided) => decided,
        Ok(next) => {
            let after = After {
                lease: Some(held.clone()),
                guards: Some(next),
                ..After::default()
            };
            ground.write(key, &place, change.operation(), after)
        }
    }
}

/// The work, where this writer may write to it.
pub(super) fn writable<'a>(ground: &Ground<'_>, place: &'a Place, protected: &Protected) -> Result<&'a Lease, Decided> {
    let Some(held) = &place.lease else {
        let note = "nobody holds the workspace: start work first";
        return Err(Decided::refused(WriteOutcome::OwnershipConflict, note));
    };
    if ground.is_stale(held) {
        let note = "the lease went stale; start again, or take it over";
        return Err(Decided::refused(WriteOutcome::StaleSession, note));
    }
    if !held.owner_kind.is_autonomous() || ground.asker.operator {
        return Ok(held);
    }
    let Some(actor) = &protected.actor else {
        let note = "a program holds the workspace: say who writes";
        return Err(Decided::refused(WriteOutcome::UnsupportedMultiwriter, note));
    };
    if held.actor.as_ref() != Some(actor) && held.supervisor.as_ref() != Some(actor) {
        let note = "only its owner or supervisor writes to a program's work";
        return Err(Decided::refused(WriteOutcome::OwnershipConflict, note));
    }
    Ok(held)
}
