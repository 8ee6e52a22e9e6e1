//! What an evaluation is about: a session, the work it does, or both; and what is known of it.

use crate::conclusion::{Cause, Conclusion, Draft};
use crate::context::Urgency;
use crate::fleet::SessionKey;
use crate::ids::EventId;
use crate::lease::{Escalation, EscalationKind, GateStatus, Ground, LeaseKey, Origin, Place};
use crate::memory::Pressure;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// How long a request is remembered, so that a repeated one is written once: longer than the log itself would know it.
const REMEMBERED: Duration = Duration::from_mins(5);

/// What is evaluated. The two are joined by whoever asks: a lease does not say which agent's session works under it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Matter {
    /// An agent's session.
    pub session: Option<SessionKey>,
    /// Leased work.
    pub work: Option<LeaseKey>,
}

/// What stands in the way of the matter, or speaks for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct Known {
    /// Whether somebody holds the work.
    pub held: bool,
    /// Whether nobody keeps it.
    pub stale: bool,
    /// Gates that are passed.
    pub gates_done: usize,
    /// Gates that are not, those that cannot be passed now included.
    pub gates_unfinished: usize,
    /// Gates that cannot be passed now.
    pub gates_blocked: usize,
    /// Escalations that stop the work.
    pub blocking_escalations: usize,
    /// Escalations that do not.
    pub other_escalations: usize,
    /// Approvals that the session waits for.
    pub open_approvals: usize,
    /// Delegations of the session that are under way.
    pub running_delegations: usize,
    /// What the session's context asks for.
    pub pressure: Option<Pressure>,
    /// A recovery that was written at a risky pause.
    pub risky_pause: bool,
    /// Whether there is a handoff.
    pub handoff: bool,
}

impl Known {
    /// What is known of this matter, with what is decided and not folded.
    pub fn of(ground: &Ground<'_>, matter: &Matter) -> Self {
        let place = matter.place(ground).unwrap_or_default();
        let (guards, left) = (&place.guards, &place.continuity);
        let gates = |wanted: fn(GateStatus) -> bool| guards.gates.iter().filter(|gate| wanted(gate.status)).count();
        let blocks = |one: &&Escalation| one.kind == EscalationKind::Blocking;
        let blocking = guards.escalations.iter().filter(blocks).count();
        let session = matter.session.as_ref();
        let approvals = ground.fleet.approvals().iter();
        let waits = approvals.filter(|(_, one)| one.is_open() && one.session.as_ref() == session);
        Self {
            held: place.lease.is_some(),
            stale: place.lease.as_ref().is_some_and(|lease| ground.is_stale(lease)),
            gates_done: gates(|status| status == GateStatus::Done),
            gates_unfinished: gates(|status| status != GateStatus::Done),
            gates_blocked: gates(|status| status == GateStatus::Blocked),
            blocking_escalations: blocking,
            other_escalations: guards.escalations.len() - blocking,
            open_approvals: session.map_or(0, |_| waits.count()),
            running_delegations: session.map_or(0, |key| ground.fleet.delegations().active(key)),
            pressure: session.and_then(|key| {
                let context = ground.fleet.session(key)?.context()?;
                let settings = &ground.fleet.settings().memory;
                settings.pressure(context.used_tokens, context.window_tokens)
            }),
            risky_pause: left
                .recovery
                .as_ref()
                .is_some_and(|one| one.what.origin == Origin::RiskyPause),
            handoff: left.handoff.is_some(),
        }
    }
}

/// Whether an evaluation is to be written down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Writing {
    /// It is.
    Now(Box<Draft>),
    /// The same request's is being written.
    Soon(EventId),
    /// The same request's was written before, or none is needed.
    Not,
}

impl Writing {
    /// Writes a conclusion about the matter, once for each request.
    pub(crate) fn of(ground: &Ground<'_>, matter: &Matter, conclusion: Conclusion) -> Self {
        let request = &ground.asker.request;
        if let Some(event) = ground.overlay.evaluations().event(request) {
            Self::Soon(event)
        } else if ground.fleet.evaluations().know(request) {
            Self::Not
        } else {
            Self::Now(Box::new(matter.draft(ground, conclusion)))
        }
    }
}

/// The latest evaluations, as far as later ones depend on them.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct Evaluations {
    /// When the context was last checked, and how urgent that was.
    #[serde(with = "crate::pairs")]
    checks: BTreeMap<Matter, (Timestamp, Urgency)>,
    requests: VecDeque<(Timestamp, Box<str>)>,
}

impl Evaluations {
    pub(crate) fn fold(&mut self, request: &str, check: Option<(&Matter, Urgency)>, at: Timestamp) {
        let young = |then: Timestamp| at < then.after(REMEMBERED);
        self.checks.retain(|_, (then, _)| young(*then));
        self.requests.retain(|(then, _)| young(*then));
        self.requests.push_back((at, request.into()));
        if let Some((matter, urgency)) = check {
            self.checks.insert(matter.clone(), (at, urgency));
        }
    }

    /// How urgent this was last said to be, if that was no longer ago.
    pub(crate) fn said(&self, matter: &Matter, now: Timestamp, ago: Duration) -> Option<Urgency> {
        let (at, urgency) = self.checks.get(matter)?;
        (now < at.after(ago)).then_some(*urgency)
    }

    fn know(&self, request: &str) -> bool {
        self.requests.iter().any(|(_, known)| **known == *request)
    }
}

/// Evaluations on their way into the log.
#[derive(Debug, Default)]
pub(crate) struct Pending(Vec<Evaluated>);

#[derive(Debug)]
struct Evaluated {
    event: EventId,
    request: Box<str>,
    /// How urgent a check of a context was.
    check: Option<(Matter, Urgency)>,
}

impl Pending {
    pub(crate) fn published(&mut self, event: EventId, request: &str, check: Option<(Matter, Urgency)>) {
        self.0.push(Evaluated {
            event,
            request: request.into(),
            check,
        });
    }

    pub(crate) fn folded(&mut self, event: EventId) {
        self.0.retain(|written| written.event != event);
    }

    /// The event of the evaluation that this request asked for.
    fn event(&self, request: &str) -> Option<EventId> {
        let asked = self.0.iter().find(|written| *written.request == *request);
        asked.map(|written| written.event)
    }

    /// How urgent this context is being said to be.
    pub(crate) fn said(&self, matter: &Matter) -> Option<Urgency> {
        let checks = self.0.iter().filter_map(|written| written.check.as_ref());
        checks.filter(|(of, _)| of == matter).map(|(_, urgency)| *urgency).max()
    }
}

impl Matter {
    /// The work, as it will be once what is on its way is folded.
    pub(crate) fn place(&self, ground: &Ground<'_>) -> Option<Place> {
        self.work.as_ref().map(|key| ground.place(key))
    }

    /// A conclusion about it. The event is the session's; without one, that of the work, as its lease's events are.
    pub(crate) fn draft(&self, ground: &Ground<'_>, conclusion: Conclusion) -> Draft {
        let key = self.session.as_ref();
        let session = key.and_then(|key| ground.fleet.session(key));
        let lease = self.place(ground).and_then(|place| place.lease);
        let profile = self.work.as_ref().and_then(|work| work.profile.clone());
        Draft {
            host: match key {
                Some(key) => Some(key.host.clone()),
                None => lease.as_ref().and_then(|lease| lease.host.clone()),
            },
            session: match key {
                Some(key) => Some(key.id.clone()),
                None => lease.map(|lease| lease.session),
            },
            agent: session.and_then(|session| session.agent().cloned()),
            profile: profile.or_else(|| session.and_then(|session| session.profile().cloned())),
            conclusion,
            cause: Cause::Request(ground.asker.request.clone()),
        }
    }
}
