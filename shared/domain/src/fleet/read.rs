//! What the state of everything is asked for.

use super::agenda::Agenda;
use super::{Counters, Fleet, Leader, SessionKey, Settings, first_key};
use crate::alert::Alerts;
use crate::approval::Approvals;
use crate::budget::Budgets;
use crate::circuit::Circuits;
use crate::delegation::Delegations;
use crate::effect::Effects;
use crate::experiment::Experiments;
use crate::hold::Holds;
use crate::host::Host;
use crate::ids::ProducerId;
use crate::lease::Leases;
use crate::matter::Evaluations;
use crate::message::Messages;
use crate::names::{HostName, SessionId};
use crate::policy::Policy;
use crate::producer::Producer;
use crate::review::Reviews;
use crate::session::Session;
use crate::time::Timestamp;
use crate::work_memory::WorkMemories;
use std::collections::BTreeMap;

impl Fleet {
    /// The last log sequence folded; 0 before the first.
    pub const fn watermark(&self) -> u64 {
        self.watermark
    }

    /// The latest time of the log.
    pub const fn now(&self) -> Timestamp {
        self.now
    }

    /// One number for the whole state: equal on all replicas that folded the same log under the same settings.
    pub fn digest(&self) -> u64 {
        crate::digest::of(self)
    }

    /// What the fold was told from outside.
    pub const fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The session of this key.
    pub fn session(&self, key: &SessionKey) -> Option<&Session> {
        self.sessions.get(key).map(|session| &**session)
    }

    /// Sessions of this id, on whatever host.
    pub fn find(&self, id: &SessionId) -> impl Iterator<Item = (&SessionKey, &Session)> {
        self.hosts.keys().filter_map(move |host| {
            let key = SessionKey {
                host: host.clone(),
                id: id.clone(),
            };
            self.sessions
                .get_key_value(&key)
                .map(|(key, session)| (key, &**session))
        })
    }

    /// All sessions.
    pub const fn sessions(&self) -> &BTreeMap<SessionKey, Box<Session>> {
        &self.sessions
    }

    /// The sessions of one host.
    pub fn sessions_of<'a>(&'a self, host: &'a HostName) -> impl Iterator<Item = (&'a SessionKey, &'a Session)> + 'a {
        self.sessions
            .range(first_key(host)..)
            .take_while(move |(key, _)| key.host == *host)
            .map(|(key, session)| (key, &**session))
    }

    /// All hosts.
    pub const fn hosts(&self) -> &BTreeMap<HostName, Host> {
        &self.hosts
    }

    /// All spools.
    pub const fn producers(&self) -> &BTreeMap<ProducerId, Producer> {
        &self.producers
    }

    /// Who leads.
    pub const fn leader(&self) -> Option<&Leader> {
        self.leader.as_ref()
    }

    /// Alerts: those that stand, and the latest that are over.
    pub const fn alerts(&self) -> &Alerts {
        &self.alerts
    }

    /// Budgets, and what was spent.
    pub const fn budgets(&self) -> &Budgets {
        &self.budgets
    }

    /// Orders that hosts enforce.
    pub const fn holds(&self) -> &Holds {
        &self.holds
    }

    /// Requests for permission: those that wait, and the latest that ended.
    pub const fn approvals(&self) -> &Approvals {
        &self.approvals
    }

    /// Work that sessions handed to agents.
    pub const fn delegations(&self) -> &Delegations {
        &self.delegations
    }

    /// What hosts shall do.
    pub const fn effects(&self) -> &Effects {
        &self.effects
    }

    /// What was evaluated lately.
    pub const fn evaluations(&self) -> &Evaluations {
        &self.evaluations
    }

    /// What sessions and operators tell one another.
    pub const fn messages(&self) -> &Messages {
        &self.messages
    }

    /// Circuit breakers.
    pub const fn circuits(&self) -> &Circuits {
        &self.circuits
    }

    /// Who works on what.
    pub const fn leases(&self) -> &Leases {
        &self.leases
    }

    /// What is known of the work on workspaces.
    pub const fn work_memories(&self) -> &WorkMemories {
        &self.work_memories
    }

    /// What people and agents think of sessions.
    pub const fn reviews(&self) -> &Reviews {
        &self.reviews
    }

    /// Comparisons of sessions with a change to those without.
    pub const fn experiments(&self) -> &Experiments {
        &self.experiments
    }

    /// The rules in force.
    pub const fn policy(&self) -> &Policy {
        &self.policy
    }

    /// What was counted on the way.
    pub const fn counters(&self) -> Counters {
        self.counters
    }

    /// Observations that are missing, of all producers.
    pub fn gaps(&self) -> u64 {
        self.producers
            .values()
            .map(Producer::missing_count)
            .fold(0, u64::saturating_add)
    }

    pub(crate) const fn agenda(&self) -> &Agenda {
        &self.agenda
    }
}
