//! What work leaves to whoever goes on with it: a handoff, written on purpose, and a recovery, written before something
//! may be lost.
//!
//! Both belong to the workspace, so they outlive the lease under which they were written: whoever takes the work over, or
//! starts it after it was cleared, reads them. A handoff stays until another is written; a recovery is about work that was
//! interrupted, and ends with the work when that is cleared. They are written as the guards are: at the lease's revision,
//! by whoever holds or supervises the work, with the same outcomes.

use super::decide::{After, Decided, Ground, Protected, disbelieved};
use super::guard::{Seed, writable};
use super::{LeaseKey, Operation};
use crate::names::SessionId;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};

/// How many entries one list of them has at most.
pub const ENTRIES_MAX: usize = 64;
/// How many bytes of text one of them has at most: what an agent can be told at the beginning of its work.
pub const TEXT_BYTES_MAX: usize = 16 * 1024;

/// What somebody is to know who goes on with the work (CCD's handoff).
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Handoff {
    /// What it is about.
    pub title: Box<str>,
    /// What is to be done next, in order.
    pub immediate_actions: Vec<Box<str>>,
    /// What is done.
    pub completed_state: Vec<Box<str>>,
    /// What is to be kept to.
    pub operational_guardrails: Vec<Box<str>>,
    /// Where to look.
    pub key_files: Vec<Box<str>>,
    /// What has to be the case in the end.
    pub definition_of_done: Vec<Box<str>>,
}

/// Why a recovery was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// Somebody wanted it.
    #[default]
    Manual,
    /// The context is about to be compacted.
    Compaction,
    /// The work pauses at a place where it may be lost.
    RiskyPause,
}

/// Where interrupted work stood.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Pulse {
    /// In a few sentences.
    pub summary: Box<str>,
    /// What is to be done next, in order.
    pub immediate_actions: Vec<Box<str>>,
    /// Where to look.
    pub key_files: Vec<Box<str>>,
}

/// What was in mind and is written nowhere else.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Buffer {
    /// Line by line.
    pub summary_lines: Vec<Box<str>>,
}

/// How to go on with work that was interrupted (CCD's recovery).
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Recovery {
    /// Why it was written.
    pub origin: Origin,
    /// Where the work stood.
    pub checkpoint: Pulse,
    /// What was in mind.
    pub working_buffer: Buffer,
}

/// One of them, as it was written.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Written<T> {
    /// What it says.
    #[serde(flatten)]
    pub what: T,
    /// How often it was written in this workspace; a recovery, since the work was last cleared.
    pub revision: u64,
    /// When it was written.
    pub at: Timestamp,
    /// The work in which it was.
    pub session: SessionId,
    /// By whom, where they say so.
    pub actor: Option<Box<str>>,
}

/// What the work of one workspace left.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Continuity {
    /// For whoever goes on with it.
    pub handoff: Option<Written<Handoff>>,
    /// For when it was interrupted.
    pub recovery: Option<Written<Recovery>>,
}

impl Continuity {
    /// What a handoff says that gates may begin with.
    pub fn seed(&self, from: Seed) -> &[Box<str>] {
        let Some(Written { what: handoff, .. }) = &self.handoff else {
            return &[];
        };
        match from {
            Seed::ImmediateActions => &handoff.immediate_actions,
            Seed::DefinitionOfDone => &handoff.definition_of_done,
        }
    }

    /// What is left of it when work is cleared.
    pub(super) fn after_clear(&self) -> Option<Self> {
        let left = Self {
            recovery: None,
            ..self.clone()
        };
        (left != *self).then_some(left)
    }
}

/// What is to be left.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Leave {
    /// For whoever goes on.
    Handoff(Handoff),
    /// For when it is interrupted.
    Recovery(Recovery),
}

/// Leaves something in held work: its owner's, its supervisor's or an operator's right, and anybody's where a person holds
/// it.
pub fn leave(ground: &Ground<'_>, key: &LeaseKey, protected: &Protected, what: &Leave) -> Decided {
    let place = ground.place(key);
    if let Some(before) = ground.repeated(&place).or_else(|| disbelieved(&place, protected)) {
        return before;
    }
    let held = match writable(ground, &place, protected) {
        Ok(held) => held.clone(),
        Err(refused) => return refused,
    };
    let mut next = place.continuity.clone();
    let by = |revision| (revision, ground.now, held.session.clone(), protected.actor.clone());
    let operation = match what {
        Leave::Handoff(handoff) => {
            if next.handoff.as_ref().is_some_and(|known| known.what == *handoff) {
                return Decided::nothing("this handoff is written already");
            }
            next.handoff = Some(written(handoff, by(revision(next.handoff.as_ref()))));
            Operation::WriteHandoff
        }
        Leave::Recovery(recovery) => {
            if next.recovery.as_ref().is_some_and(|known| known.what == *recovery) {
                return Decided::nothing("this recovery is written already");
            }
            next.recovery = Some(written(recovery, by(revision(next.recovery.as_ref()))));
            Operation::WriteRecovery
        }
    };
    let after = After {
        lease: Some(held),
        continuity: Some(next),
        ..After::default()
    };
    ground.write(key, &place, operation, after)
}

fn revision<T>(known: Option<&Written<T>>) -> u64 {
    known.map_or(1, |known| known.revision + 1)
}

type By = (u64, Timestamp, SessionId, Option<Box<str>>);

fn written<T: Clone>(what: &T, (revision, at, session, actor): By) -> Written<T> {
    Written {
        what: what.clone(),
        revision,
        at,
        session,
        actor,
    }
}
