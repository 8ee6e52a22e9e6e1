//! What was written to the log and not yet read back.
//!
//! State changes only by folding, so between a write and its return the fold still says the old thing. Whoever concludes
//! asks through the overlay and does not conclude twice. It is the leader's alone and is dropped when leading ends.

use crate::approval::{ApprovalFact, ApprovalId, Stage};
use crate::budget;
use crate::circuit::Change;
use crate::conclusion::{Conclusion, Draft};
use crate::delegation::Status;
use crate::effect;
use crate::fact::{Decision, Fact, Recorded};
use crate::fleet::{Fleet, SessionKey};
use crate::hold;
use crate::host::HostState;
use crate::ids::{DelegationId, EventId};
use crate::lease::{Lease, LeaseFact, LeaseKey};
use crate::matter;
use crate::memory::{MemoryFact, Pressure};
use crate::message;
use crate::names::{HostName, SubagentName};
use crate::policy::{Activation, PolicyFact};
use crate::review;
use crate::session::Session;
use crate::state::SessionState;
use crate::time::Timestamp;
use crate::work_memory;
use std::collections::BTreeMap;

/// Conclusions on their way, in the order they were written.
#[derive(Debug, Default)]
pub struct Overlay {
    sessions: BTreeMap<SessionKey, Vec<(EventId, SessionState)>>,
    hosts: BTreeMap<HostName, Vec<(EventId, HostState)>>,
    /// Alerts that begin or end.
    alerts: Vec<(EventId, Box<str>)>,
    memory: BTreeMap<SessionKey, Vec<(EventId, MemoryFact)>>,
    approvals: BTreeMap<ApprovalId, Vec<(EventId, Said)>>,
    circuits: BTreeMap<EventId, Change>,
    delegations: BTreeMap<DelegationId, Vec<(EventId, Status)>>,
    leases: BTreeMap<LeaseKey, Vec<(EventId, LeaseFact)>>,
    activations: Vec<(EventId, Activation)>,
    evaluations: matter::Pending,
    holds: hold::Pending,
    budgets: budget::Pending,
    effects: effect::Pending,
    messages: message::Pending,
    work_memories: work_memory::Pending,
    reviews: review::Pending,
}

/// What was written of an approval.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Said {
    Announced(Stage),
    Resolved,
}

impl Overlay {
    /// Nothing on its way.
    pub fn new() -> Self {
        Self::default()
    }

    /// Notes that `draft` was written as event `id`.
    pub fn published(&mut self, id: EventId, draft: &Draft) {
        let host_state = match &draft.conclusion {
            Conclusion::StateChanged { to, .. } => {
                if let (Some(host), Some(session)) = (&draft.host, &draft.session) {
                    let key = SessionKey {
                        host: host.clone(),
                        id: session.clone(),
                    };
                    self.sessions.entry(key).or_default().push((id, *to));
                }
                return;
            }
            Conclusion::Alert(fact) => return self.alerts.push((id, fact.key().into())),
            Conclusion::Memory(fact) => {
                if let (Some(host), Some(session)) = (&draft.host, &draft.session) {
                    let key = SessionKey {
                        host: host.clone(),
                        id: session.clone(),
                    };
                    self.memory.entry(key).or_default().push((id, *fact));
                }
                return;
            }
            Conclusion::Lease(fact) => {
                let words = self.leases.entry(fact.key.clone()).or_default();
                words.push((id, fact.clone()));
                return;
            }
            Conclusion::Approval(fact) => {
                let (approval, said) = match fact {
                    ApprovalFact::Required { id, stage, .. } => (*id, Said::Announced(*stage)),
                    ApprovalFact::Resolved { id, .. } => (*id, Said::Resolved),
                };
                self.approvals.entry(approval).or_default().push((id, said));
                return;
            }
            Conclusion::Delegation(fact) => {
                if let (Some(delegation), Some(status)) = (fact.id(), fact.status()) {
                    self.delegations.entry(delegation).or_default().push((id, status));
                }
                return;
            }
            Conclusion::Context(fact) => {
                let check = (fact.matter.clone(), fact.evaluation.urgency);
                return self.evaluations.published(id, &fact.request, Some(check));
            }
            Conclusion::Checkpoint(fact) => return self.evaluations.published(id, &fact.request, None),
            Conclusion::Circuit(change) => {
                self.circuits.insert(id, change.clone());
                return;
            }
            Conclusion::Policy(PolicyFact::Activated(activation)) => {
                self.activations.push((id, (**activation).clone()));
                return;
            }
            Conclusion::Hold(change) => return self.holds.published(id, draft.host.as_ref(), change),
            Conclusion::Budget(change) => return self.budgets.published(id, change),
            Conclusion::Message(fact) => return self.messages.published(id, fact),
            Conclusion::WorkMemory(fact) => return self.work_memories.published(id, fact),
            Conclusion::Review(fact) => return self.reviews.published(id, fact),
            Conclusion::Effect(fact) => return self.effects.published(id, draft, fact),
            // One travels with the change of state that it explains. Of the others' steps the first that is folded counts.
            Conclusion::SessionLost { .. } | Conclusion::Experiment(_) => return,
            Conclusion::HostAdded | Conclusion::HostReturned => HostState::Present,
            Conclusion::HostLost => HostState::Lost,
        };
        if let Some(host) = &draft.host {
            let words = self.hosts.entry(host.clone()).or_default();
            words.push((id, host_state));
        }
    }

    /// Notes that the fold has read this event.
    pub fn folded(&mut self, recorded: &Recorded) {
        let event = &recorded.event;
        self.alerts.retain(|(id, ..)| *id != event.id);
        self.evaluations.folded(event.id);
        self.circuits.remove(&event.id);
        if let Fact::Decision(Decision::Delegation(fact)) = &event.fact
            && let Some(id) = fact.id()
        {
            settle(&mut self.delegations, &id, event.id);
        }
        if let Fact::Decision(Decision::Lease(fact)) = &event.fact {
            settle(&mut self.leases, &fact.key, event.id);
        }
        self.activations.retain(|(written, _)| *written != event.id);
        if let Fact::Decision(Decision::Approval(fact)) = &event.fact {
            let (ApprovalFact::Required { id, .. } | ApprovalFact::Resolved { id, .. }) = fact;
            settle(&mut self.approvals, id, event.id);
        }
        if let Fact::Decision(Decision::Hold(_)) = &event.fact {
            self.holds.folded(event.id);
        }
        if let Fact::Decision(Decision::Budget(_)) = &event.fact {
            self.budgets.folded(event.id);
        }
        if let Fact::Decision(Decision::Message(_)) = &event.fact {
            self.messages.folded(event.id);
        }
        if let Fact::Decision(Decision::WorkMemory(_)) = &event.fact {
            self.work_memories.folded(event.id);
        }
        if let Fact::Decision(Decision::Review(_)) = &event.fact {
            self.reviews.folded(event.id);
        }
        if let Fact::Decision(Decision::Effect(_)) = &event.fact {
            self.effects.folded(event.id);
        }
        let Some(host) = &event.host else {
            return;
        };
        let Some(session) = &event.session else {
            settle(&mut self.hosts, host, event.id);
            return;
        };
        if !self.sessions.is_empty() || !self.memory.is_empty() {
            let key = SessionKey {
                host: host.clone(),
                id: session.clone(),
            };
            settle(&mut self.sessions, &key, event.id);
            settle(&mut self.memory, &key, event.id);
        }
    }

    /// Notes that this event will not be read: it was refused, or was in the log before it was written again.
    pub fn withdraw(&mut self, id: EventId) {
        // Named one by one, so that none is forgotten.
        let Self {
            sessions,
            hosts,
            alerts,
            memory,
            approvals,
            circuits,
            delegations,
            leases,
            activations,
            evaluations,
            holds,
            budgets,
            effects,
            messages,
            work_memories,
            reviews,
        } = self;
        without(sessions, id);
        without(hosts, id);
        without(memory, id);
        without(approvals, id);
        without(delegations, id);
        without(leases, id);
        alerts.retain(|(written, ..)| *written != id);
        activations.retain(|(written, _)| *written != id);
        circuits.remove(&id);
        evaluations.folded(id);
        holds.folded(id);
        work_memories.folded(id);
        reviews.folded(id);
        budgets.folded(id);
        effects.folded(id);
        messages.folded(id);
    }

    pub(crate) fn session(&self, key: &SessionKey, session: &Session) -> Option<SessionState> {
        let written = self.sessions.get(key).and_then(|words| words.last());
        written.map(|(_, state)| *state).or(session.announced())
    }

    pub(crate) fn host(&self, fleet: &Fleet, name: &HostName) -> Option<HostState> {
        let written = self.hosts.get(name).and_then(|words| words.last());
        let folded = || fleet.hosts().get(name).and_then(|host| host.announced);
        written.map(|(_, state)| *state).or_else(folded)
    }

    /// The event by which this approval ends, if it is on its way.
    pub(crate) fn resolving(&self, id: ApprovalId) -> Option<EventId> {
        let words = self.approvals.get(&id)?;
        words
            .iter()
            .find(|(_, said)| *said == Said::Resolved)
            .map(|(event, _)| *event)
    }

    /// The event that asks for this approval, if it is on its way.
    pub(crate) fn requiring(&self, id: ApprovalId) -> Option<EventId> {
        let words = self.approvals.get(&id)?;
        let announced = words.iter().find(|(_, said)| matches!(said, Said::Announced(_)));
        announced.map(|(event, _)| *event)
    }

    /// How urgently it is being announced.
    pub(crate) fn announced(&self, id: ApprovalId) -> Option<Stage> {
        let stages = self.approvals.get(&id)?.iter().filter_map(|(_, said)| match said {
            Said::Announced(stage) => Some(*stage),
            Said::Resolved => None,
        });
        stages.max()
    }

    /// What was last written of this delegation and is on its way.
    pub(crate) fn delegation(&self, id: DelegationId) -> Option<(EventId, Status)> {
        self.delegations.get(&id)?.last().copied()
    }

    /// A transition of this agent's circuit that is on its way.
    pub(crate) fn circuit(&self, agent: &SubagentName) -> Option<EventId> {
        let mut on_their_way = self.circuits.iter();
        on_their_way
            .find(|(_, change)| change.agent() == agent)
            .map(|(id, _)| *id)
    }

    /// The reset of this agent's circuit by this request, if it is on its way.
    pub(crate) fn circuit_reset(&self, agent: &SubagentName, by: &str) -> Option<EventId> {
        let own = |change: &Change| matches!(change, Change::Closed { agent: of, request, .. } if of == agent && request.as_deref() == Some(by));
        self.circuits.iter().find(|(_, change)| own(change)).map(|(id, _)| *id)
    }

    /// The changes of this workspace that are on their way, in order.
    pub(crate) fn leases(&self, key: &LeaseKey) -> impl Iterator<Item = &LeaseFact> {
        self.leases.get(key).into_iter().flatten().map(|(_, fact)| fact)
    }

    /// The work that will be held where changes are on their way.
    pub(crate) fn leases_held(&self) -> impl Iterator<Item = (&LeaseKey, &Lease)> {
        let last = self
            .leases
            .iter()
            .filter_map(|(key, facts)| Some((key, &facts.last()?.1)));
        last.filter_map(|(key, fact)| Some((key, fact.lease.as_deref()?)))
    }

    /// Rules on their way into force, in the order they were written.
    pub(crate) fn activating(&self) -> impl Iterator<Item = (EventId, &Activation)> {
        self.activations.iter().map(|(id, activation)| (*id, activation))
    }

    pub(crate) const fn evaluations(&self) -> &matter::Pending {
        &self.evaluations
    }

    pub(crate) const fn holds(&self) -> &hold::Pending {
        &self.holds
    }

    pub(crate) const fn messages(&self) -> &message::Pending {
        &self.messages
    }

    pub(crate) const fn work_memories(&self) -> &work_memory::Pending {
        &self.work_memories
    }

    pub(crate) const fn reviews(&self) -> &review::Pending {
        &self.reviews
    }

    pub(crate) const fn effects(&self) -> &effect::Pending {
        &self.effects
    }

    pub(crate) const fn budgets(&self) -> &budget::Pending {
        &self.budgets
    }

    /// What this session's context was last said to ask for.
    pub(crate) fn pressure(&self, key: &SessionKey, session: &Session) -> Pressure {
        let written = self.memory.get(key).into_iter().flatten().rev();
        let mut said = written.filter_map(|(_, fact)| match fact {
            MemoryFact::PressureChanged { to, .. } => Some(*to),
            MemoryFact::Compacted(_) => None,
        });
        said.next().unwrap_or_else(|| session.memory.pressure())
    }

    /// Whether it is on its way that the compaction which ended then is announced.
    pub(crate) fn compacted(&self, key: &SessionKey, ended: Timestamp) -> bool {
        let mut written = self.memory.get(key).into_iter().flatten();
        written.any(|(_, fact)| matches!(fact, MemoryFact::Compacted(compaction) if compaction.ended == ended))
    }

    /// Whether it is on its way that this alert begins, or ends.
    pub(crate) fn alerting(&self, key: &str) -> bool {
        self.alerts.iter().any(|(_, written)| **written == *key)
    }
}

fn settle<K: Ord, V>(words: &mut BTreeMap<K, Vec<(EventId, V)>>, key: &K, id: EventId) {
    if let Some(list) = words.get_mut(key) {
        list.retain(|(written, _)| *written != id);
        if list.is_empty() {
            words.remove(key);
        }
    }
}

fn without<K: Ord, V>(words: &mut BTreeMap<K, Vec<(EventId, V)>>, id: EventId) {
    words.retain(|_, list| {
        list.retain(|(written, _)| *written != id);
        !list.is_empty()
    });
}
