//! Who works on what: one lease a workspace, shared by all hosts.
//!
//! Somebody starts work on a workspace, keeps it by starting again (people) or by heartbeats (programs), and clears it. What
//! nobody keeps goes stale, and a stale lease of a program may be taken over by another. The rules are those of CCD's
//! session state; what is new is that the workspace may be held from any machine, and that a host that is lost keeps
//! nothing.
//!
//! Every change raises the revision. A write that names the revision it was made for is not applied to another one.
//!
//! A workspace that nobody keeps is forgotten after the retention, with all that was left in it: the log has forgotten it by
//! then as well.

mod continuity;
mod decide;
mod guard;
mod room;

pub use continuity::{
    Buffer, Continuity, ENTRIES_MAX, Handoff, Leave, Origin, Pulse, Recovery, TEXT_BYTES_MAX, Written, leave,
};
pub use decide::{
    Decided, Ground, Heartbeat, Protected, Start, Takeover, WriteOutcome, clear, heartbeat, start, takeover,
};
pub use guard::{
    Change, ESCALATIONS_MAX, Escalation, EscalationKind, GATES_MAX, Gate, GateStatus, Guards, Seed, WORDS_CHARS_MAX,
    change,
};

pub use room::{HELD_BY_ONE, HELD_MAX, Refusal, room};

use crate::family::{EventType, StatusKind};
use crate::names::{HostName, Profile, SessionId, Workspace};
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Bound;
use std::time::Duration;

/// How long a person's lease lasts without a new start (CCD: 8 h).
pub const INTERACTIVE_TTL: Duration = Duration::from_hours(8);
/// How long a program's lease may last by one heartbeat.
pub const TTL_MAX: Duration = Duration::from_hours(7 * 24);
/// Longest note on what is being done, in characters (CCD).
pub const ACTIVITY_CHARS_MAX: usize = 280;
/// How many requests of a workspace are remembered, so that a repeated one is recognised.
const REQUESTS_MAX: usize = 64;
/// How many workspaces are kept that nobody holds: their revisions and requests.
const CLEARED_MAX: usize = 4096;

/// What a lease is for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct LeaseKey {
    /// Whose work.
    pub profile: Option<Profile>,
    /// On what.
    pub workspace: Workspace,
}

/// How work is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OwnerKind {
    /// By a person.
    Interactive,
    /// By a program that supervises others.
    RuntimeSupervisor,
    /// By a program that works.
    RuntimeWorker,
}

impl OwnerKind {
    /// Whether it is a program, and has to send heartbeats.
    pub const fn is_autonomous(self) -> bool {
        !matches!(self, Self::Interactive)
    }
}

/// What kind of work it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Any.
    #[default]
    General,
    /// Finding out.
    Research,
    /// Making.
    Implement,
}

/// Work that somebody holds.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Lease {
    /// Names this piece of work, from its start to its clearing or takeover.
    pub session: SessionId,
    /// When it began.
    pub started: Timestamp,
    /// When it was last started.
    pub last_started: Timestamp,
    /// How often.
    pub start_count: u32,
    /// What kind of work.
    pub mode: Mode,
    /// Who keeps it.
    pub owner_kind: OwnerKind,
    /// Their name; a person may have none.
    pub actor: Option<Box<str>>,
    /// Who supervises them.
    pub supervisor: Option<Box<str>>,
    /// How long a program keeps it by one heartbeat.
    pub ttl: Option<Duration>,
    /// The last heartbeat.
    pub last_heartbeat: Option<Timestamp>,
    /// What they say they do.
    pub activity: Option<Box<str>>,
    /// The host it is held from.
    pub host: Option<HostName>,
    /// The name under which it was begun, which the hub has checked.
    #[serde(default)]
    pub caller: Option<Box<str>>,
}

impl Lease {
    /// When it goes stale: a person's 8 h after the last start, a program's one lease after its last heartbeat. A program's
    /// lease that lacks either is stale at once.
    pub fn stale_at(&self) -> Timestamp {
        if !self.owner_kind.is_autonomous() {
            return self.last_started.after(INTERACTIVE_TTL);
        }
        match (self.last_heartbeat, self.ttl) {
            (Some(heartbeat), Some(ttl)) => heartbeat.after(ttl),
            _ => self.last_started,
        }
    }

    /// Whether nobody keeps it any more, now or because its host is lost.
    pub fn is_stale(&self, now: Timestamp, host_is_lost: bool) -> bool {
        self.stale_at() <= now || (self.owner_kind.is_autonomous() && host_is_lost)
    }
}

/// What was asked of a lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Operation {
    /// Begin, or go on.
    StartSession,
    /// Keep.
    HeartbeatSession,
    /// End.
    ClearSession,
    /// Take from whoever does not keep it.
    TakeoverSession,
    /// Something waits for somebody.
    SetEscalation,
    /// It does no longer.
    ClearEscalation,
    /// Other gates.
    ReplaceExecutionGates,
    /// First gates.
    SeedExecutionGates,
    /// One gate is this far.
    SetExecutionGateStatus,
    /// The next gate is passed.
    AdvanceExecutionGates,
    /// No gates.
    ClearExecutionGates,
    /// Something for whoever goes on with the work.
    WriteHandoff,
    /// Something for when the work is interrupted.
    WriteRecovery,
}

impl Operation {
    const fn kind(self) -> StatusKind {
        match self {
            Self::StartSession => StatusKind::StartSession,
            Self::HeartbeatSession => StatusKind::HeartbeatSession,
            Self::ClearSession => StatusKind::ClearSession,
            Self::TakeoverSession => StatusKind::TakeoverSession,
            Self::SetEscalation => StatusKind::SetEscalation,
            Self::ClearEscalation => StatusKind::ClearEscalation,
            Self::ReplaceExecutionGates => StatusKind::ReplaceExecutionGates,
            Self::SeedExecutionGates => StatusKind::SeedExecutionGates,
            Self::SetExecutionGateStatus => StatusKind::SetExecutionGateStatus,
            Self::AdvanceExecutionGates => StatusKind::AdvanceExecutionGates,
            Self::ClearExecutionGates => StatusKind::ClearExecutionGates,
            Self::WriteHandoff => StatusKind::WriteHandoff,
            Self::WriteRecovery => StatusKind::WriteRecovery,
        }
    }

    /// The name, as in `start_session`.
    pub const fn as_str(self) -> &'static str {
        self.kind().as_str()
    }
}

/// A change of a lease, as the log says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaseFact {
    /// Of which.
    pub key: LeaseKey,
    /// What was done.
    pub operation: Operation,
    /// The lease after it; none when it was cleared.
    pub lease: Option<Box<Lease>>,
    /// The lease before it, where another piece of work ended by it.
    pub prior: Option<Box<Prior>>,
    /// Escalations and gates after it, where they changed.
    pub guards: Option<Box<Guards>>,
    /// What the work left after it, where that changed.
    pub continuity: Option<Box<Continuity>>,
    /// Why, in the words of who did it.
    pub reason: Option<Box<str>>,
    /// The revision after it.
    pub revision: u64,
    /// The request, and a digest of what it asked.
    pub request: (Box<str>, u64),
}

/// Work that ended.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Prior {
    /// Which.
    pub session: SessionId,
    /// Whose.
    pub actor: Option<Box<str>>,
}

impl LeaseFact {
    pub(crate) const fn event_type(&self) -> EventType {
        EventType::RuntimeStatus(self.operation.kind())
    }

    pub(crate) fn identity(&self) -> String {
        format!("{:?} {}", self.key, self.revision)
    }
}

/// A workspace that is or was held.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct Place {
    /// Who holds it.
    pub lease: Option<Lease>,
    /// What stands between the work and its going on.
    #[serde(default)]
    pub guards: Guards,
    /// What the work left to whoever goes on with it.
    #[serde(default)]
    pub continuity: Continuity,
    /// How often it changed; goes back to nothing only where the workspace was forgotten.
    pub revision: u64,
    /// When it is forgotten, if nobody does anything with it until then.
    #[serde(default)]
    forgotten: Timestamp,
    /// The latest requests: the id, a digest of what was asked, and the revision that followed.
    pub(crate) requests: VecDeque<(Box<str>, u64, u64)>,
}

impl Place {
    fn take(&mut self, fact: &LeaseFact) {
        self.revision = fact.revision;
        self.lease = fact.lease.as_deref().cloned();
        if let Some(guards) = &fact.guards {
            self.guards = Guards::clone(guards);
        }
        if let Some(continuity) = &fact.continuity {
            self.continuity = Continuity::clone(continuity);
        }
        let (request, digest) = &fact.request;
        self.requests.push_back((request.clone(), *digest, fact.revision));
        if self.requests.len() > REQUESTS_MAX {
            self.requests.pop_front();
        }
    }
}

/// All workspaces.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct Leases {
    #[serde(with = "crate::pairs")]
    places: BTreeMap<LeaseKey, Place>,
    /// Those that nobody holds, the longest first.
    cleared: VecDeque<LeaseKey>,
    /// All of them, by when they are forgotten.
    #[serde(default)]
    agenda: BTreeSet<(Timestamp, LeaseKey)>,
}

impl Leases {
    /// The workspace of this key.
    pub fn get(&self, key: &LeaseKey) -> Option<&Place> {
        self.places.get(key)
    }

    /// The workspace where this work is done.
    pub fn of(&self, session: &SessionId) -> Option<&Place> {
        let holds = |place: &&Place| place.lease.as_ref().is_some_and(|lease| lease.session == *session);
        self.places.values().find(holds)
    }

    /// All that somebody holds, after this one, in the order of profile and workspace.
    pub fn held_after(&self, after: Option<&LeaseKey>) -> impl Iterator<Item = (&LeaseKey, &Lease, u64)> {
        let after = after.map_or(Bound::Unbounded, Bound::Excluded);
        let held = self.places.range::<LeaseKey, _>((after, Bound::Unbounded));
        held.filter_map(|(key, place)| Some((key, place.lease.as_ref()?, place.revision)))
    }

    /// Takes in a change; `retention` is how long what nobody keeps is kept.
    pub(crate) fn fold(&mut self, fact: &LeaseFact, at: Timestamp, retention: Duration) {
        let place = self.places.entry(fact.key.clone()).or_default();
        if fact.revision <= place.revision {
            return;
        }
        place.take(fact);
        self.agenda.remove(&(place.forgotten, fact.key.clone()));
        place.forgotten = place
            .lease
            .as_ref()
            .map_or(at, Lease::stale_at)
            .max(at)
            .after(retention);
        self.agenda.insert((place.forgotten, fact.key.clone()));
        if place.lease.is_some() {
            return self.cleared.retain(|key| *key != fact.key);
        }
        self.cleared.push_back(fact.key.clone());
        if self.cleared.len() > CLEARED_MAX
            && let Some(key) = self.cleared.pop_front()
        {
            self.forget(&key);
        }
    }

    fn forget(&mut self, key: &LeaseKey) {
        if let Some(place) = self.places.remove(key) {
            self.agenda.remove(&(place.forgotten, key.clone()));
        }
    }

    /// Forgets what nobody kept for long, by the log's own time.
    pub(crate) fn bury(&mut self, now: Timestamp) {
        while self.agenda.first().is_some_and(|(at, _)| *at <= now)
            && let Some((_, key)) = self.agenda.pop_first()
        {
            self.places.remove(&key);
            self.cleared.retain(|cleared| *cleared != key);
        }
    }
}
