//! Circuit breakers: an agent that keeps failing is stopped for the whole fleet, and recovers through one probe.
//!
//! There is one circuit per agent name. Failures in a row open it; while it is open nobody runs the agent. Once the cooldown
//! is over, the first who asks becomes the holder of the one probe, by name, and the outcome of *its* run decides: success
//! closes, failure opens again for twice as long. A holder that is never heard of again loses the probe when it expires.
//!
//! What counts is how runs went (`ledger`), each once. Transitions are decisions in the log: the outcomes only say which one
//! is due, so any number of replicas, repetitions and reorderings lead to one transition.

mod change;
mod conclude;
mod ledger;
mod settings;

pub use change::{Change, Closing, Holder, Opening, Permit, Probe, State};
pub use conclude::{Asking, Refusal, ask, reset};
pub(crate) use conclude::{catch_up, due, expire, react};
pub use settings::Settings;

use crate::fact::{Decision, Fact, Hook, HookBody, Moment, Recorded, TurnFact};
use crate::fleet::SessionKey;
use crate::ids::DelegationId;
use crate::names::{SessionId, SubagentName, ToolCallId};
use crate::time::Timestamp;
use crate::work::{Stage, Work};
use ledger::{Ledger, Links, Outcome, Verdict, Witness};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How many circuits are kept; names come from outside. Of those that say nothing, the longest unheard goes first.
const CIRCUITS_MAX: usize = 1000;

/// The circuit of one agent.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Circuit {
    state: State,
    since: Option<Timestamp>,
    /// When it last closed: what failed before is forgiven.
    closed: Option<Timestamp>,
    /// Openings in a row.
    trips: u32,
    /// Failures in a row when it opened; while closed they are counted anew from the ledger.
    failures: u32,
    error: Option<Box<str>>,
    /// The request that closed it last.
    reset: Option<Box<str>>,
    ledger: Ledger,
}

impl Circuit {
    fn fresh() -> Self {
        Self {
            state: State::Closed,
            since: None,
            closed: None,
            trips: 0,
            failures: 0,
            error: None,
            reset: None,
            ledger: Ledger::default(),
        }
    }

    /// Whether the agent may run.
    pub const fn state(&self) -> &State {
        &self.state
    }

    /// Since when; `None` for one that never changed.
    pub const fn since(&self) -> Option<Timestamp> {
        self.since
    }

    /// Openings in a row.
    pub const fn trips(&self) -> u32 {
        self.trips
    }

    /// The failure that opened it, in words.
    pub fn error(&self) -> Option<&str> {
        self.error.as_deref()
    }

    /// The request that closed it last, if it was one.
    pub fn reset_request(&self) -> Option<&str> {
        self.reset.as_deref()
    }

    /// Why nobody may run the agent, in words.
    pub fn reason(&self) -> String {
        let failures = match self.failures {
            1 => "it failed".to_owned(),
            n => format!("it failed {n} times in a row"),
        };
        self.error
            .as_ref()
            .map_or_else(|| failures.clone(), |error| format!("{failures}, last with: {error}"))
    }

    /// Whether a run of this session had a part in how it stands.
    fn involves(&self, session: &SessionId) -> bool {
        let holds = |probe: &Probe| probe.holder.session.id == *session;
        let probing = match &self.state {
            State::HalfOpen(probe) => holds(probe),
            State::Open { expired, .. } => expired.as_ref().is_some_and(holds),
            State::Closed => false,
        };
        probing || self.ledger.knows(session)
    }

    /// Whether it is as good as unheard of.
    fn says_nothing(&self) -> bool {
        self.state == State::Closed
    }
}

/// All circuits.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct Circuits {
    changed_seq: u64,
    all: BTreeMap<SubagentName, Circuit>,
    links: Links,
}

impl Circuits {
    /// Takes in what was observed; the agents whose runs it bears on.
    pub(crate) fn observe(&mut self, recorded: Moment<'_>) {
        let (Some(host), Some(id)) = (&recorded.event.host, &recorded.event.session) else {
            return;
        };
        let session = || SessionKey {
            host: host.clone(),
            id: id.clone(),
        };
        if let Fact::Turn(TurnFact::SubagentLinked { subagent, call }) = &recorded.event.fact {
            self.links.note(&session(), subagent, call, recorded.at);
        } else if let Fact::Hook(hook) = &recorded.event.fact
            && let Some(work) = &hook.work
        {
            self.work(&session(), recorded, hook, work);
        }
    }

    fn work(&mut self, session: &SessionKey, recorded: Moment<'_>, hook: &Hook, work: &Work) {
        let at = recorded.at;
        let (call, of_tool) = called(&hook.body);
        if let (HookBody::ToolEnded { spawned: Some(id), .. }, Some(call)) = (&hook.body, call) {
            self.links.note(session, id, call, at);
        }
        let outcome = match &work.stage {
            Stage::Begun | Stage::Detached => {
                if let (Some(call), Some(delegation)) = (call, work.delegation) {
                    self.join_probe(&work.agent, session, call, delegation);
                }
                return;
            }
            Stage::Dropped => Outcome::Dropped,
            Stage::Done => Outcome::Done,
            Stage::Failed { error } => Outcome::Failed(error.as_str().into()),
        };
        let witness = match (call, &hook.subagent, &hook.prompt) {
            (Some(call), _, _) => Witness::Call(call.clone()),
            // Without a type of its own, what stands for the subagent is the agent's name, which is no run's.
            (None, Some(subagent), _) if !of_tool && hook.subagent_type.is_some() => {
                Witness::Subagent(subagent.clone())
            }
            (None, None, Some(prompt)) if !of_tool => Witness::Turn(prompt.clone()),
            _ => Witness::Event(recorded.event.id),
        };
        self.entry(&work.agent).ledger.note(session, witness, at, outcome);
        self.forget();
    }

    /// A delegation that holds the probe became a call: from here on its run is known by the call.
    fn join_probe(&mut self, agent: &SubagentName, session: &SessionKey, call: &ToolCallId, delegation: DelegationId) {
        if let Some(circuit) = self.all.get_mut(agent)
            && let State::HalfOpen(probe) = &mut circuit.state
            && probe.holder.delegation == Some(delegation)
            && probe.holder.session == *session
            && probe.holder.call.as_ref().is_none_or(|known| known > call)
        {
            probe.holder.call = Some(call.clone());
        }
    }

    /// Takes in a transition. The log is the authority, so whatever it says is so.
    pub(crate) fn fold(&mut self, change: &Change, recorded: Moment<'_>) {
        let at = recorded.at;
        self.changed_seq = recorded.seq;
        let circuit = self.entry(change.agent());
        circuit.since = Some(at);
        match change {
            Change::Opened {
                failures,
                trips,
                until,
                error,
                reason,
                ..
            } => {
                let before = std::mem::replace(&mut circuit.state, State::Closed);
                let expired = match before {
                    State::HalfOpen(probe) if *reason == Opening::ProbeExpired => Some(probe),
                    State::Closed | State::Open { .. } | State::HalfOpen(_) => None,
                };
                circuit.state = State::Open { until: *until, expired };
                (circuit.failures, circuit.trips) = (*failures, *trips);
                circuit.error = error.as_deref().map(Into::into);
            }
            Change::HalfOpened {
                holder,
                expires,
                failures,
                ..
            } => {
                circuit.failures = *failures;
                circuit.state = State::HalfOpen(Probe {
                    holder: holder.clone(),
                    since: at,
                    expires: *expires,
                });
            }
            Change::Closed { request, .. } => {
                circuit.reset = request.as_deref().map(Into::into);
                (circuit.state, circuit.closed) = (State::Closed, Some(at));
                (circuit.failures, circuit.trips, circuit.error) = (0, 0, None);
            }
        }
        self.forget();
    }

    fn entry(&mut self, agent: &SubagentName) -> &mut Circuit {
        self.all.entry(agent.clone()).or_insert_with(Circuit::fresh)
    }

    fn forget(&mut self) {
        while self.all.len() > CIRCUITS_MAX {
            let quiet = self.all.iter().filter(|(_, circuit)| circuit.says_nothing());
            let oldest = quiet.min_by_key(|(_, circuit)| (circuit.ledger.last(), circuit.since));
            let Some(agent) = oldest.map(|(agent, _)| agent.clone()) else {
                return;
            };
            self.all.remove(&agent);
        }
    }

    /// The place in the log of the last transition; 0 before the first.
    pub const fn changed_seq(&self) -> u64 {
        self.changed_seq
    }

    /// All that were heard of.
    pub const fn all(&self) -> &BTreeMap<SubagentName, Circuit> {
        &self.all
    }

    /// The circuit of this agent; `None` is as good as closed.
    pub fn get(&self, agent: &SubagentName) -> Option<&Circuit> {
        self.all.get(agent)
    }

    /// Failures in a row: counted anew while closed, those that opened it otherwise.
    pub fn failures(&self, agent: &SubagentName) -> u32 {
        let Some(circuit) = self.all.get(agent) else {
            return 0;
        };
        match circuit.state {
            State::Closed => {
                let in_a_row = circuit.ledger.runs(&self.links).in_a_row(circuit.closed);
                u32::try_from(in_a_row.len()).unwrap_or(u32::MAX)
            }
            State::Open { .. } | State::HalfOpen(_) => circuit.failures,
        }
    }

    fn verdict<'a>(&self, circuit: &'a Circuit, probe: &Probe) -> Option<Verdict<'a>> {
        let Holder {
            session,
            call,
            delegation,
        } = &probe.holder;
        match (call, delegation) {
            (Some(call), _) => circuit.ledger.of_call(session, call, &self.links),
            // No call was made for it yet.
            (None, Some(_)) => None,
            (None, None) => circuit.ledger.of_session(session, probe.since),
        }
    }

    /// How the run of this call ended, if it did: well, with an error, or not at all because it was refused.
    pub(crate) fn outcome(
        &self,
        agent: &SubagentName,
        session: &SessionKey,
        call: &ToolCallId,
    ) -> Option<Result<(), Option<&str>>> {
        let verdict = self.all.get(agent)?.ledger.of_call(session, call, &self.links)?;
        Some(match verdict {
            Verdict::Done => Ok(()),
            Verdict::Failed(error) => Err(Some(error)),
            Verdict::Dropped => Err(None),
        })
    }

    /// The transition that the outcomes call for, seen at `now`.
    pub fn due_change(&self, agent: &SubagentName, settings: &Settings, now: Timestamp) -> Option<Change> {
        let circuit = self.all.get(agent)?;
        match &circuit.state {
            State::Closed => self.trip(agent, circuit, settings, now),
            State::HalfOpen(probe) => match self.verdict(circuit, probe)? {
                Verdict::Done => Some(Self::recovered(agent, circuit)),
                Verdict::Failed(error) => Some(Change::Opened {
                    agent: agent.clone(),
                    reason: Opening::ProbeFailed,
                    failures: circuit.failures.saturating_add(1),
                    trips: circuit.trips.saturating_add(1),
                    until: now.after(settings.cooldown_of(circuit.trips.saturating_add(1))),
                    error: Some(error.to_owned()),
                }),
                // It says nothing about the agent, so the next one may try at once.
                Verdict::Dropped => Some(circuit.opened_again(agent, Opening::ProbeDropped, now)),
            },
            State::Open {
                expired: Some(probe), ..
            } if self.verdict(circuit, probe) == Some(Verdict::Done) => Some(Self::recovered(agent, circuit)),
            State::Open { .. } => None,
        }
    }

    fn trip(&self, agent: &SubagentName, circuit: &Circuit, settings: &Settings, now: Timestamp) -> Option<Change> {
        let in_a_row = circuit.ledger.runs(&self.links).in_a_row(circuit.closed);
        let failures = u32::try_from(in_a_row.len()).unwrap_or(u32::MAX);
        let last = in_a_row.last()?;
        (failures >= settings.failure_threshold).then(|| Change::Opened {
            agent: agent.clone(),
            reason: Opening::Failures,
            failures,
            trips: 1,
            until: now.after(settings.cooldown_of(1)),
            error: Some(last.error.to_owned()),
        })
    }

    fn recovered(agent: &SubagentName, circuit: &Circuit) -> Change {
        Change::Closed {
            agent: agent.clone(),
            reason: Closing::ProbeSucceeded,
            failures: circuit.failures,
            by: None,
            request: None,
        }
    }

    /// What follows from an operator's word; `None` where there is nothing to forgive.
    pub fn reset(&self, agent: &SubagentName, by: String, request: String) -> Option<Change> {
        let circuit = self.all.get(agent)?;
        let nothing = circuit.state == State::Closed && self.failures(agent) == 0;
        (!nothing).then(|| Change::Closed {
            agent: agent.clone(),
            reason: Closing::Reset,
            failures: self.failures(agent),
            by: Some(by),
            request: Some(request),
        })
    }

    /// Whether `holder` may run the agent now.
    pub fn permit(&self, agent: &SubagentName, holder: &Holder, settings: &Settings, now: Timestamp) -> Permit {
        let Some(circuit) = self.all.get(agent) else {
            return Permit::Free;
        };
        match &circuit.state {
            State::Closed => Permit::Free,
            State::Open { until, .. } if now < *until => Permit::Open { until: *until },
            State::Open { .. } => Permit::Probe(Change::HalfOpened {
                agent: agent.clone(),
                holder: holder.clone(),
                failures: circuit.failures,
                expires: now.after(settings.probe),
            }),
            State::HalfOpen(probe) if probe.holder.is(holder) => Permit::Granted { expires: probe.expires },
            State::HalfOpen(probe) => Permit::Held {
                holder: probe.holder.clone(),
                expires: probe.expires,
            },
        }
    }

    /// The agents on which `recorded`, just folded, may bear.
    pub(crate) fn touched<'a>(&'a self, recorded: &'a Recorded) -> Vec<&'a SubagentName> {
        if let Fact::Hook(hook) = &recorded.event.fact {
            hook.work.iter().map(|work| &work.agent).collect()
        } else if let Fact::Turn(TurnFact::SubagentLinked { .. }) = &recorded.event.fact {
            self.all.keys().collect()
        } else if let Fact::Decision(Decision::Circuit(change)) = &recorded.event.fact {
            vec![change.agent()]
        } else {
            Vec::new()
        }
    }

    /// When the next probe expires.
    pub fn due(&self) -> Option<Timestamp> {
        self.probes().map(|(_, _, probe)| probe.expires).min()
    }

    /// The probes that are over at `now` without a word, and when they were.
    pub fn expire(&self, settings: &Settings, now: Timestamp) -> Vec<(Timestamp, Change)> {
        let over = self.probes().filter(|(_, _, probe)| probe.expires <= now);
        over.map(|(agent, circuit, probe)| {
            let until = now.after(settings.cooldown_of(circuit.trips));
            let change = circuit.opened_again(agent, Opening::ProbeExpired, until);
            (probe.expires, change)
        })
        .collect()
    }

    fn probes(&self) -> impl Iterator<Item = (&SubagentName, &Circuit, &Probe)> {
        self.all.iter().filter_map(|(agent, circuit)| match &circuit.state {
            State::HalfOpen(probe) => Some((agent, circuit, probe)),
            State::Closed | State::Open { .. } => None,
        })
    }
}

impl Circuit {
    fn opened_again(&self, agent: &SubagentName, reason: Opening, until: Timestamp) -> Change {
        Change::Opened {
            agent: agent.clone(),
            reason,
            failures: self.failures,
            trips: self.trips,
            until,
            error: self.error.as_deref().map(ToOwned::to_owned),
        }
    }
}

/// The call that a hook is about, and whether it is about a tool at all.
const fn called(body: &HookBody) -> (Option<&ToolCallId>, bool) {
    if let HookBody::ToolStarted(used) | HookBody::ToolEnded { tool: used, .. } = body {
        (used.call.as_ref(), true)
    } else {
        (None, false)
    }
}
