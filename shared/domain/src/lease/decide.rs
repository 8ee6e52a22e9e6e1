//! May they? Each of CCD's four operations, and the six outcomes of a protected write.

use super::{
    ACTIVITY_CHARS_MAX, Continuity, Guards, Lease, LeaseFact, LeaseKey, Mode, Operation, OwnerKind, Place, Prior,
};
use crate::asker::Asker;
use crate::conclusion::{Cause, Conclusion, Draft};
use crate::fleet::Fleet;
use crate::host::HostState;
use crate::names::{HostName, SessionId};
use crate::overlay::Overlay;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// What became of a protected write (CCD).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WriteOutcome {
    /// It was done.
    Applied,
    /// It was done before, by this very request.
    IdempotentNoop,
    /// Somebody else holds it, or it is at another revision.
    OwnershipConflict,
    /// Nobody keeps it any more; recover it, or take it over.
    StaleSession,
    /// A program holds it, and the write does not name the work it belongs to.
    UnsupportedMultiwriter,
    /// The request's id was used for something else.
    DuplicateIdConflict,
}

impl WriteOutcome {
    /// Whether what was asked for is the case.
    pub const fn is_done(self) -> bool {
        matches!(self, Self::Applied | Self::IdempotentNoop)
    }
}

/// What the writer believes (CCD's protected write envelope).
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Protected {
    /// Who writes.
    pub actor: Option<Box<str>>,
    /// For which piece of work.
    pub session: Option<SessionId>,
    /// At which revision.
    pub expected_revision: Option<u64>,
}

/// Begin, or go on.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Start {
    /// What the starter believes.
    pub protected: Protected,
    /// What kind of work.
    pub mode: Mode,
    /// Who keeps it.
    pub owner_kind: OwnerKind,
    /// Who supervises.
    pub supervisor: Option<Box<str>>,
    /// How long one heartbeat keeps it.
    pub ttl: Option<Duration>,
    /// Go on with one's own work although it went stale.
    pub recover_stale: bool,
    /// The host it is held from.
    pub host: Option<HostName>,
}

/// Keep.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Heartbeat {
    /// What the sender believes.
    pub protected: Protected,
    /// What they say they do.
    pub activity: Option<Box<str>>,
    /// The host it is held from.
    pub host: Option<HostName>,
}

/// Take from whoever does not keep it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Takeover {
    /// What the taker believes; its actor is who takes.
    pub protected: Protected,
    /// Why.
    pub reason: Box<str>,
    /// The host it will be held from.
    pub host: Option<HostName>,
}

/// What follows from a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decided {
    /// What became of it.
    pub outcome: WriteOutcome,
    /// What is to be written.
    pub draft: Option<Box<Draft>>,
    /// Why not, or what to know.
    pub note: Option<&'static str>,
}

impl Decided {
    pub(crate) const fn nothing(note: &'static str) -> Self {
        Self::refused(WriteOutcome::IdempotentNoop, note)
    }

    pub(crate) const fn refused(outcome: WriteOutcome, note: &'static str) -> Self {
        Self {
            outcome,
            draft: None,
            note: Some(note),
        }
    }
}

/// Where a decision is made.
pub struct Ground<'a> {
    /// What is known.
    pub fleet: &'a Fleet,
    /// What was decided and is not folded.
    pub overlay: &'a Overlay,
    /// The service's clock: nobody's own clock keeps a lease.
    pub now: Timestamp,
    /// Who asks.
    pub asker: &'a Asker,
    /// A digest of what is asked: the same request asks the same.
    pub digest: u64,
}

impl Ground<'_> {
    /// The workspace as it will be once what is on its way is folded.
    pub(crate) fn place(&self, key: &LeaseKey) -> Place {
        let mut place = self.fleet.leases().get(key).cloned().unwrap_or_default();
        for fact in self.overlay.leases(key) {
            place.take(fact);
        }
        place
    }

    pub(crate) fn is_stale(&self, lease: &Lease) -> bool {
        lease.is_stale(self.now, lease.host.as_ref().is_some_and(|host| self.is_lost(host)))
    }

    fn is_lost(&self, host: &HostName) -> bool {
        let host = self.fleet.hosts().get(host);
        host.is_some_and(|host| host.state() == HostState::Lost)
    }

    /// The request was made before.
    pub(super) fn repeated(&self, place: &Place) -> Option<Decided> {
        let known = place.requests.iter().find(|(id, ..)| *id == self.asker.request)?;
        Some(if known.1 == self.digest {
            Decided {
                outcome: WriteOutcome::IdempotentNoop,
                draft: None,
                note: None,
            }
        } else {
            let note = "this request id was used for another request";
            Decided::refused(WriteOutcome::DuplicateIdConflict, note)
        })
    }

    pub(super) fn write(&self, key: &LeaseKey, place: &Place, operation: Operation, after: After) -> Decided {
        let After {
            lease,
            prior,
            reason,
            guards,
            continuity,
        } = after;
        let named = lease.as_ref().or(place.lease.as_ref());
        let (host, session) = (
            named.and_then(|lease| lease.host.clone()),
            named.map(|lease| lease.session.clone()),
        );
        let fact = LeaseFact {
            key: key.clone(),
            operation,
            lease: lease.map(Box::new),
            prior: prior.map(Box::new),
            guards: guards.map(Box::new),
            continuity: continuity.map(Box::new),
            reason,
            revision: place.revision + 1,
            request: (self.asker.request.clone(), self.digest),
        };
        let draft = Draft {
            host,
            session,
            agent: None,
            profile: key.profile.clone(),
            conclusion: Conclusion::Lease(fact),
            cause: Cause::Request(self.asker.request.clone()),
        };
        Decided {
            outcome: WriteOutcome::Applied,
            draft: Some(Box::new(draft)),
            note: None,
        }
    }
}

/// What is the case after a write.
#[derive(Default)]
pub(super) struct After {
    /// The work; none when it was cleared.
    pub(super) lease: Option<Lease>,
    /// The work that ended by it.
    pub(super) prior: Option<Prior>,
    /// Why.
    pub(super) reason: Option<Box<str>>,
    /// Escalations and gates, where they change.
    pub(super) guards: Option<Guards>,
    /// What the work left, where that changes.
    pub(super) continuity: Option<Continuity>,
}

impl From<Lease> for After {
    fn from(lease: Lease) -> Self {
        Self {
            lease: Some(lease),
            ..Self::default()
        }
    }
}

/// What the writer believes is not the case.
pub(super) fn disbelieved(place: &Place, protected: &Protected) -> Option<Decided> {
    let other_revision = protected
        .expected_revision
        .is_some_and(|expected| expected != place.revision);
    let lease = place.lease.as_ref();
    let other_work = protected.session.is_some() && protected.session.as_ref() != lease.map(|lease| &lease.session);
    let note = match (other_revision, other_work) {
        (true, _) => "the lease is at another revision; read it again",
        (false, true) => "the workspace is held for other work",
        (false, false) => return None,
    };
    Some(Decided::refused(WriteOutcome::OwnershipConflict, note))
}

/// Starts work, or goes on with it. `minted` names the work if it is new.
pub fn start(ground: &Ground<'_>, key: &LeaseKey, start: &Start, minted: SessionId) -> Decided {
    let place = ground.place(key);
    if let Some(before) = ground
        .repeated(&place)
        .or_else(|| disbelieved(&place, &start.protected))
    {
        return before;
    }
    let autonomous = start.owner_kind.is_autonomous();
    let actor = start.protected.actor.clone();
    let fresh = |started: Timestamp, session: SessionId, count: u32, ttl| Lease {
        session,
        started,
        last_started: ground.now,
        start_count: count,
        mode: start.mode,
        owner_kind: start.owner_kind,
        actor: actor.clone(),
        supervisor: start.supervisor.clone(),
        ttl,
        last_heartbeat: autonomous.then_some(ground.now),
        activity: None,
        host: start.host.clone(),
        caller: Some(ground.asker.caller.clone()),
    };
    let begin = |prior: Option<Prior>| {
        let lease = fresh(ground.now, minted.clone(), 1, start.ttl);
        let after = After {
            guards: place.guards.after_stale(),
            prior,
            ..lease.into()
        };
        ground.write(key, &place, Operation::StartSession, after)
    };
    let Some(held) = &place.lease else {
        return begin(None);
    };
    let stale = ground.is_stale(held);
    let same_actor = held.actor == actor && held.owner_kind.is_autonomous() == autonomous;
    match (stale, held.owner_kind.is_autonomous(), autonomous) {
        // A person's work that is stale is nobody's.
        (true, false, _) => begin(Some(prior(held))),
        (false, false, false) | (false, true, true) if same_actor || !autonomous => {
            let lease = Lease {
                supervisor: start.supervisor.clone().or_else(|| held.supervisor.clone()),
                activity: held.activity.clone(),
                ..fresh(
                    held.started,
                    held.session.clone(),
                    held.start_count + 1,
                    start.ttl.or(held.ttl),
                )
            };
            let decided = ground.write(key, &place, Operation::StartSession, lease.into());
            Decided {
                note: Some("the work was held already; it goes on"),
                ..decided
            }
        }
        (false, ..) => Decided::refused(
            WriteOutcome::OwnershipConflict,
            "somebody else holds the workspace and keeps it",
        ),
        (true, true, true) if same_actor && start.recover_stale => {
            let ttl = start.ttl.or(held.ttl);
            let lease = fresh(held.started, held.session.clone(), held.start_count + 1, ttl);
            let after = After {
                guards: place.guards.after_stale(),
                ..lease.into()
            };
            ground.write(key, &place, Operation::StartSession, after)
        }
        (true, true, true) if same_actor => Decided::refused(
            WriteOutcome::StaleSession,
            "the lease went stale; start with recover_stale",
        ),
        (true, true, _) => Decided::refused(WriteOutcome::StaleSession, "the lease went stale; take it over"),
    }
}

/// Keeps a program's work.
pub fn heartbeat(ground: &Ground<'_>, key: &LeaseKey, heartbeat: &Heartbeat) -> Decided {
    let place = ground.place(key);
    if let Some(before) = ground
        .repeated(&place)
        .or_else(|| disbelieved(&place, &heartbeat.protected))
    {
        return before;
    }
    let conflict = |note| Decided::refused(WriteOutcome::OwnershipConflict, note);
    let Some(held) = place.lease.as_ref().filter(|held| held.owner_kind.is_autonomous()) else {
        return conflict("no program holds the workspace");
    };
    if held.actor != heartbeat.protected.actor {
        return conflict("only its owner keeps a lease");
    }
    if held.stale_at() <= ground.now {
        return Decided::refused(
            WriteOutcome::StaleSession,
            "the lease went stale; start with recover_stale",
        );
    }
    // An actor's name is known to everybody; from which host a request comes, the hub has checked.
    let elsewhere = |from: &HostName| {
        held.host
            .as_ref()
            .is_some_and(|kept| kept != from && !ground.is_lost(kept))
    };
    if heartbeat.host.as_ref().is_some_and(elsewhere) {
        return conflict("it is kept from another host; clear it there, or start there again");
    }
    let shortened = |text: &str| text.chars().take(ACTIVITY_CHARS_MAX).collect::<String>().into();
    let lease = Lease {
        last_heartbeat: Some(ground.now),
        activity: heartbeat
            .activity
            .as_deref()
            .map(shortened)
            .or_else(|| held.activity.clone()),
        host: heartbeat.host.clone().or_else(|| held.host.clone()),
        ..held.clone()
    };
    ground.write(key, &place, Operation::HeartbeatSession, lease.into())
}

/// Ends work: its owner's or supervisor's right, and anybody's where a person holds it.
pub fn clear(ground: &Ground<'_>, key: &LeaseKey, protected: &Protected, reason: Option<Box<str>>) -> Decided {
    let place = ground.place(key);
    if let Some(before) = ground.repeated(&place).or_else(|| disbelieved(&place, protected)) {
        return before;
    }
    let Some(held) = &place.lease else {
        return Decided {
            outcome: WriteOutcome::IdempotentNoop,
            draft: None,
            note: Some("nobody holds the workspace"),
        };
    };
    if held.owner_kind.is_autonomous() {
        let Some(actor) = &protected.actor else {
            let note = "a program holds the workspace: say who clears it";
            return Decided::refused(WriteOutcome::UnsupportedMultiwriter, note);
        };
        if held.actor.as_ref() != Some(actor) && held.supervisor.as_ref() != Some(actor) {
            let note = "only its owner or supervisor clears a program's lease";
            return Decided::refused(WriteOutcome::OwnershipConflict, note);
        }
    }
    let after = After {
        lease: None,
        prior: Some(prior(held)),
        reason,
        guards: place.guards.after_clear(),
        continuity: place.continuity.after_clear(),
    };
    ground.write(key, &place, Operation::ClearSession, after)
}

/// Takes work over from a program that does not keep it. `minted` names it from then on.
pub fn takeover(ground: &Ground<'_>, key: &LeaseKey, takeover: &Takeover, minted: SessionId) -> Decided {
    let place = ground.place(key);
    if let Some(before) = ground
        .repeated(&place)
        .or_else(|| disbelieved(&place, &takeover.protected))
    {
        return before;
    }
    let conflict = |note| Decided::refused(WriteOutcome::OwnershipConflict, note);
    let Some(held) = place.lease.as_ref().filter(|held| held.owner_kind.is_autonomous()) else {
        return conflict("no program holds the workspace: start work instead");
    };
    if held.actor == takeover.protected.actor {
        return conflict("it is your own: start with recover_stale");
    }
    if !ground.is_stale(held) {
        return conflict("its owner keeps it");
    }
    let lease = Lease {
        session: minted,
        started: ground.now,
        last_started: ground.now,
        start_count: 1,
        owner_kind: OwnerKind::RuntimeWorker,
        actor: takeover.protected.actor.clone(),
        last_heartbeat: Some(ground.now),
        activity: None,
        host: takeover.host.clone(),
        caller: Some(ground.asker.caller.clone()),
        ..held.clone()
    };
    let after = After {
        prior: Some(prior(held)),
        reason: Some(takeover.reason.clone()),
        guards: place.guards.after_stale(),
        ..lease.into()
    };
    ground.write(key, &place, Operation::TakeoverSession, after)
}

fn prior(held: &Lease) -> Prior {
    Prior {
        session: held.session.clone(),
        actor: held.actor.clone(),
    }
}
