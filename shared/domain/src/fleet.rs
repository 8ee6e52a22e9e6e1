//! The state of everything, as a function of the log.
//!
//! [`Fleet::apply`] is total: the log is the authority, so a surprising fact is ignored by name and never refused. An event
//! counts once by two independent guards: its place in the log (`watermark`) and its producer's own count
//! ([`crate::producer`]). Sessions and hosts never look at one another while folding, except that a session's standing
//! depends on whether its host can be counted on.

mod agenda;
mod read;
mod settings;

use crate::alert::{AlertFact, Alerts};
use crate::approval::{self, Approval, ApprovalFact, ApprovalId, Approvals};
use crate::budget::{self, Budgets};
use crate::circuit::Circuits;
use crate::delegation::Delegations;
use crate::effect::Effects;
use crate::experiment::Experiments;
use crate::fact::{Decision, Fact, Hook, HookBody, Moment, Recorded, TurnFact};
use crate::family::{Family, Owner};
use crate::hold::Holds;
use crate::host::{Host, HostState};
use crate::ids::{EffectId, InstanceId, MessageId, ProducerId};
use crate::lease::Leases;
use crate::matter::Evaluations;
use crate::message::Messages;
use crate::names::{HostName, SessionId};
use crate::policy::Policy;
use crate::producer::{Producer, Seen};
use crate::review::Reviews;
use crate::session::Session;
use crate::time::Timestamp;
use crate::work_memory::WorkMemories;
use agenda::Agenda;
pub(crate) use agenda::Planned;
use serde::{Deserialize, Serialize};
pub use settings::Settings;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

/// Names a session: ids are unique to a host, not to a fleet.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SessionKey {
    /// Where it runs.
    pub host: HostName,
    /// Its id there.
    pub id: SessionId,
}

/// Who leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Leader {
    /// The instance.
    pub instance: InstanceId,
    /// Its lease revision.
    pub term: u64,
    /// Where in the log it was elected.
    pub seq: u64,
}

/// What was counted on the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct Counters {
    /// Events that counted.
    pub events: u64,
    /// Observations that came again.
    pub redelivered: u64,
    /// Observations under a count that another one holds.
    pub forked: u64,
}

/// What became of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Applied {
    /// It is part of the state now.
    Changed,
    /// It left the state as it was, but for counters.
    Ignored(Why),
}

/// Why an event left the state as it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// The log was folded beyond it already.
    BelowWatermark,
    /// Its producer reported it before.
    Redelivered,
    /// It says nothing that state is made of.
    NoBearing,
    /// It is about a session that is not known.
    UnknownSession,
    /// It is about a turn so old that only counts are left of it.
    Forgotten,
}

impl Applied {
    /// Whether the event counted: it was taken in, even where nothing followed from it.
    pub const fn counted(self) -> bool {
        !matches!(self, Self::Ignored(Why::BelowWatermark | Why::Redelivered))
    }
}

/// Everything that is known.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Fleet {
    settings: Settings,
    watermark: u64,
    /// The fold did not begin with the log's first event, nor with a snapshot: what producers counted before is out of sight.
    headless: bool,
    /// The latest time of the log.
    now: Timestamp,
    /// The time of the last event, and how many in a row before it had the same: all messages of a batch do.
    at: Timestamp,
    ties: u16,
    /// Boxed: a node of the map has room for eleven, and is half empty where keys come in order.
    #[serde(with = "crate::pairs")]
    sessions: BTreeMap<SessionKey, Box<Session>>,
    hosts: BTreeMap<HostName, Host>,
    producers: BTreeMap<ProducerId, Producer>,
    leader: Option<Leader>,
    /// Under this name since it holds more than times.
    #[serde(default, rename = "alarms")]
    alerts: Alerts,
    #[serde(default)]
    holds: Holds,
    #[serde(default)]
    budgets: Budgets,
    #[serde(default)]
    approvals: Approvals,
    #[serde(default)]
    leases: Leases,
    #[serde(default)]
    policy: Policy,
    counters: Counters,
    agenda: Agenda,
    #[serde(default)]
    circuits: Circuits,
    #[serde(default)]
    delegations: Delegations,
    #[serde(default)]
    effects: Effects,
    #[serde(default)]
    messages: Messages,
    #[serde(default)]
    evaluations: Evaluations,
    #[serde(default)]
    work_memories: WorkMemories,
    #[serde(default)]
    reviews: Reviews,
    experiments: Experiments,
}

impl Fleet {
    /// Nothing known yet.
    pub fn new(settings: Settings) -> Self {
        Self {
            budgets: Budgets::new(&settings.budgets),
            settings,
            watermark: 0,
            headless: false,
            now: Timestamp::default(),
            at: Timestamp::default(),
            ties: 0,
            sessions: BTreeMap::new(),
            hosts: BTreeMap::new(),
            producers: BTreeMap::new(),
            leader: None,
            alerts: Alerts::default(),
            holds: Holds::default(),
            approvals: Approvals::default(),
            leases: Leases::default(),
            policy: Policy::default(),
            counters: Counters::default(),
            agenda: Agenda::default(),
            circuits: Circuits::default(),
            delegations: Delegations::default(),
            effects: Effects::default(),
            messages: Messages::default(),
            evaluations: Evaluations::default(),
            work_memories: WorkMemories::default(),
            reviews: Reviews::default(),
            experiments: Experiments::default(),
        }
    }

    /// Folds one event. Events at or below the watermark are ignored, so a reader may begin anywhere before it.
    pub fn apply(&mut self, recorded: &Recorded) -> Applied {
        if recorded.seq <= self.watermark {
            return Applied::Ignored(Why::BelowWatermark);
        }
        let first = self.watermark == 0;
        self.headless |= first && recorded.seq > 1;
        self.watermark = recorded.seq;
        if recorded.at == self.at && !first {
            self.ties = self.ties.saturating_add(1);
        } else {
            (self.at, self.ties) = (recorded.at, 0);
        }
        let recorded = Moment {
            seq: recorded.seq,
            at: recorded.at.step(self.ties),
            event: &recorded.event,
        };
        self.now = self.now.max(recorded.at);
        let applied = if self.seen_before(recorded) {
            Applied::Ignored(Why::Redelivered)
        } else {
            self.counters.events += 1;
            self.fold(recorded)
        };
        self.bury();
        applied
    }

    fn seen_before(&mut self, recorded: Moment<'_>) -> bool {
        let Some(origin) = recorded.event.origin else {
            return false;
        };
        let base = if self.headless { origin.seq.saturating_sub(1) } else { 0 };
        let producer = self
            .producers
            .entry(origin.producer)
            .or_insert_with(|| Producer::after(base));
        match producer.note(origin.seq, recorded.event.id) {
            Seen::New => false,
            Seen::Again => {
                self.counters.redelivered += 1;
                true
            }
            Seen::Forked => {
                self.counters.forked += 1;
                false
            }
        }
    }

    fn fold(&mut self, recorded: Moment<'_>) -> Applied {
        let event = &recorded.event;
        let observed = event.event_type.family().owner() == Owner::Ingest;
        if let (Some(name), true) = (&event.host, observed) {
            let host = self.hosts.entry(name.clone());
            host.or_insert_with(|| Host::first_seen(recorded.at)).heard(recorded.at);
        }
        if observed {
            self.circuits.observe(recorded);
            self.delegations.observe(recorded);
        }
        match &event.fact {
            Fact::Host(fact) => self.host(recorded, |host| {
                host.note(fact, recorded.at, recorded.seq);
            }),
            Fact::Decision(decision) => self.decision(recorded, decision),
            Fact::Hook(hook) => {
                let applied = self.session_event(recorded, true);
                self.ask(recorded, hook);
                applied
            }
            Fact::Turn(TurnFact::AskEnded { ask, end, reason }) => {
                let (host, ask) = (event.host.as_ref(), ApprovalId::of(*ask));
                self.approvals.host_says(host, ask, *end, reason.as_deref());
                self.session_event(recorded, true)
            }
            Fact::Turn(_) | Fact::Process(_) => self.session_event(recorded, true),
            Fact::Effect(receipt) => {
                self.effects.receive(event.host.as_ref(), receipt, recorded.at);
                Applied::Changed
            }
            // A receipt of an effect is ingest's word, not the session's.
            Fact::Noted if observed && event.event_type.family() != Family::AgentEffect => {
                self.session_event(recorded, true)
            }
            Fact::Noted | Fact::Tombstone => Applied::Ignored(Why::NoBearing),
        }
    }

    fn decision(&mut self, recorded: Moment<'_>, decision: &Decision) -> Applied {
        let conclude = |state| move |host: &mut Host| host.conclude(state, recorded.at, recorded.seq);
        match decision {
            Decision::LeaderElected { instance, term } => {
                if self.leader.is_none_or(|known| known.term <= *term) {
                    self.leader = Some(Leader {
                        instance: *instance,
                        term: *term,
                        seq: recorded.seq,
                    });
                }
                Applied::Changed
            }
            Decision::HostAdded | Decision::HostReturned => self.host(recorded, conclude(HostState::Present)),
            Decision::HostLost => self.host(recorded, conclude(HostState::Lost)),
            Decision::HostRemoved => self.host(recorded, conclude(HostState::Removed)),
            Decision::StateChanged { .. } | Decision::SessionLost { .. } | Decision::Memory(_) => {
                self.session_event(recorded, false)
            }
            Decision::Lease(fact) => {
                self.leases.fold(fact, recorded.at, self.settings.retention);
                Applied::Changed
            }
            Decision::WorkMemory(fact) => {
                self.work_memories.fold(fact);
                Applied::Changed
            }
            Decision::Review(fact) => {
                self.reviews.fold(fact, recorded.at);
                Applied::Changed
            }
            Decision::Experiment(fact) => self.experiments.fold(recorded, fact),
            Decision::Approval(fact) => self.approval(recorded, fact),
            Decision::Delegation(fact) => {
                self.delegations.fold(fact, recorded.at);
                Applied::Changed
            }
            Decision::Effect(fact) => {
                let target = session_of(recorded);
                let id = EffectId::of(recorded.event.id);
                self.effects.fold(fact, id, target, recorded.at);
                if let Some(message) = fact.message() {
                    self.messages.pushed(message, id);
                }
                Applied::Changed
            }
            Decision::Message(fact) => {
                self.messages.fold(fact, MessageId::of(recorded.event.id), recorded.at);
                Applied::Changed
            }
            Decision::Context(fact) => {
                let check = Some((&fact.matter, fact.evaluation.urgency));
                self.evaluations.fold(&fact.request, check, recorded.at);
                Applied::Changed
            }
            Decision::Checkpoint(fact) => {
                self.evaluations.fold(&fact.request, None, recorded.at);
                Applied::Changed
            }
            Decision::Circuit(change) => {
                self.circuits.fold(change, recorded);
                Applied::Changed
            }
            Decision::Policy(fact) => {
                self.policy.fold(fact, recorded);
                Applied::Changed
            }
            Decision::Hold(change) => self.holds.fold(recorded, change),
            Decision::Budget(change) => self.budgets.fold(recorded, change),
            Decision::Alert(fact) => self.alert(recorded, fact),
        }
    }

    /// A hook that is held open until somebody answers begins an approval.
    fn ask(&mut self, recorded: Moment<'_>, hook: &Hook) {
        let (HookBody::PermissionAsked(used) | HookBody::ToolStarted(used)) = &hook.body else {
            return;
        };
        if let Some(held) = &used.held {
            let origin = origin(recorded);
            self.approvals.ask(origin, hook, used, held, &self.settings.approvals);
        }
    }

    fn approval(&mut self, recorded: Moment<'_>, fact: &ApprovalFact) -> Applied {
        let ended = self.approvals.fold(fact, origin(recorded), &self.settings.approvals);
        if let Some(Approval {
            session: Some(key),
            asked,
            at,
            ..
        }) = ended
            && let Some(session) = self.sessions.get_mut(key)
        {
            // The agent goes on as soon as it is told, and says so only when the call is over.
            session.close_ask(asked, *at, recorded.at);
            let host = self.hosts.get(&key.host);
            session.settle(host);
            self.agenda.plan(key, session, host, &self.settings, self.now);
        }
        Applied::Changed
    }

    fn alert(&mut self, recorded: Moment<'_>, fact: &AlertFact) -> Applied {
        let applied = self.alerts.fold(recorded, fact);
        self.reviews.alert(fact, session_of(recorded).as_ref(), recorded.at);
        if let (Some(host), Some(id)) = (&recorded.event.host, &recorded.event.session) {
            let key = SessionKey {
                host: host.clone(),
                id: id.clone(),
            };
            if let Some(session) = self.sessions.get_mut(&key) {
                session.watch.told(fact, recorded.at, &self.settings.alerts);
                self.agenda
                    .plan(&key, session, self.hosts.get(host), &self.settings, self.now);
            }
        }
        applied
    }

    fn host(&mut self, recorded: Moment<'_>, change: impl FnOnce(&mut Host)) -> Applied {
        let Some(name) = &recorded.event.host else {
            return Applied::Ignored(Why::NoBearing);
        };
        let host = self
            .hosts
            .entry(name.clone())
            .or_insert_with(|| Host::first_seen(recorded.at));
        let before = (host.state, host.present_since);
        change(host);
        if before != (host.state, host.present_since) {
            let host = &*host;
            let of_host = self.sessions.range_mut(first_key(name)..);
            for (key, session) in of_host.take_while(|(key, _)| key.host == *name) {
                session.settle(Some(host));
                self.agenda.plan(key, session, Some(host), &self.settings, self.now);
            }
        }
        Applied::Changed
    }

    fn session_event(&mut self, recorded: Moment<'_>, create: bool) -> Applied {
        let event = &recorded.event;
        let (Some(host), Some(id)) = (&event.host, &event.session) else {
            return Applied::Ignored(Why::NoBearing);
        };
        let key = SessionKey {
            host: host.clone(),
            id: id.clone(),
        };
        let session = match self.sessions.entry(key.clone()) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(place) if create => place.insert(Box::new(Session::first_seen(recorded.at, event.id))),
            Entry::Vacant(_) => return Applied::Ignored(Why::UnknownSession),
        };
        let host = self.hosts.get(host);
        let applied = session.apply(recorded);
        if budget::spends(&event.fact)
            && let Some(change) = session.recount()
        {
            self.budgets.spend(&key, session.agent(), change, recorded.at);
        }
        session.settle(host);
        self.agenda.plan(&key, session, host, &self.settings, self.now);
        applied
    }

    /// Drops sessions that have been over for longer than the retention, by the log's own time.
    fn bury(&mut self) {
        while let Some(key) = self.agenda.next_burial(self.now) {
            if let Some(session) = self.sessions.remove(&key) {
                self.alerts.forget(&key, &session);
                self.experiments.forget(&self.reviews, &key, &session);
            }
            self.budgets.forget(&key);
            self.reviews.forget(&key);
        }
        self.approvals.bury(self.now);
        self.leases.bury(self.now);
    }
}

/// The session it is about.
fn session_of(recorded: Moment<'_>) -> Option<SessionKey> {
    let event = &recorded.event;
    let (host, id) = event.host.clone().zip(event.session.clone())?;
    Some(SessionKey { host, id })
}

fn origin(recorded: Moment<'_>) -> approval::Origin<'_> {
    let event = &recorded.event;
    approval::Origin {
        id: ApprovalId::of(event.id),
        session: session_of(recorded),
        agent: event.agent.as_ref(),
        profile: event.profile.as_ref(),
        at: recorded.at,
    }
}

/// The key that sorts before every session of `host`: no id may hold a control character, so none sorts before a space.
fn first_key(host: &HostName) -> SessionKey {
    SessionKey {
        host: host.clone(),
        id: SessionId::new(" ").expect("invariant: a space is a session id"),
    }
}
