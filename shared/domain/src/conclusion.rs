//! What the leader concludes, before it is an event.
//!
//! A draft has no id and no time of its own: both replicas of one state draw the same draft from the same cause, and the id
//! that is made of its [`Draft::identity`] makes a second write of it a duplicate.

use crate::alert::AlertFact;
use crate::approval::ApprovalFact;
use crate::budget;
use crate::checkpoint::CheckpointFact;
use crate::circuit;
use crate::context::ContextFact;
use crate::delegation::DelegationFact;
use crate::effect::EffectFact;
use crate::experiment::ExperimentFact;
use crate::family::{CircuitKind, EventType, RuntimeHostKind, StatusKind};
use crate::fleet::SessionKey;
use crate::hold;
use crate::ids::EventId;
use crate::lease::LeaseFact;
use crate::memory::MemoryFact;
use crate::message::MessageFact;
use crate::names::{AgentName, HostName, Profile, SessionId};
use crate::policy::PolicyFact;
use crate::review::ReviewFact;
use crate::session::Session;
use crate::state::SessionState;
use crate::time::Timestamp;
use crate::work_memory::WorkMemoryFact;
use std::fmt;

/// Something concluded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Conclusion {
    /// A session does something else now.
    StateChanged {
        /// What was last announced.
        from: Option<SessionState>,
        /// What it does.
        to: SessionState,
        /// Why.
        reason: Option<String>,
        /// Since when.
        since: Timestamp,
    },
    /// A session's process is gone without a word.
    SessionLost {
        /// How it was noticed.
        reason: String,
    },
    /// Of a request for permission.
    Approval(ApprovalFact),
    /// Of work on a workspace.
    Lease(LeaseFact),
    /// Of what is known of the work on a workspace.
    WorkMemory(Box<WorkMemoryFact>),
    /// Of an experiment.
    Experiment(Box<ExperimentFact>),
    /// Of the rules in force.
    Policy(PolicyFact),
    /// Of an order that hosts enforce.
    Hold(hold::Change),
    /// Of a budget.
    Budget(budget::Change),
    /// Somebody should look, or no longer.
    Alert(AlertFact),
    /// Of what is thought of sessions.
    Review(Box<ReviewFact>),
    /// Of a session's context.
    Memory(MemoryFact),
    /// A host's presence began.
    HostAdded,
    /// A host's presence expired.
    HostLost,
    /// It is back.
    HostReturned,
    /// A circuit opens, lets one probe through, or closes.
    Circuit(circuit::Change),
    /// Of a session's context, checked on request.
    Context(Box<ContextFact>),
    /// Of work, evaluated on request.
    Checkpoint(Box<CheckpointFact>),
    /// Of a delegation.
    Delegation(DelegationFact),
    /// Of something a host shall do.
    Effect(EffectFact),
    /// Of a message.
    Message(MessageFact),
}

/// What a conclusion was drawn from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cause {
    /// An event.
    Event(EventId),
    /// Silence.
    Silence {
        /// Since when.
        since: Timestamp,
    },
    /// A host's presence, or the lack of it.
    Presence {
        /// Log sequence of the host's last change before.
        after_seq: u64,
    },
    /// A request, by its id.
    Request(Box<str>),
    /// A moment that was set before.
    Due {
        /// Which.
        at: Timestamp,
    },
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Event(id) => write!(f, "event:{id}"),
            Self::Silence { since } => write!(f, "silence:{}", since.as_millis()),
            Self::Presence { after_seq } => write!(f, "presence:{after_seq}"),
            Self::Request(id) => write!(f, "request:{id:?}"),
            Self::Due { at } => write!(f, "due:{}", at.as_millis()),
        }
    }
}

/// A conclusion, about whom, and from what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// The host it is about.
    pub host: Option<HostName>,
    /// The session it is about.
    pub session: Option<SessionId>,
    /// The product that runs the session.
    pub agent: Option<AgentName>,
    /// The session's profile.
    pub profile: Option<Profile>,
    /// What was concluded.
    pub conclusion: Conclusion,
    /// From what.
    pub cause: Cause,
}

impl Draft {
    pub(crate) fn of_session(key: &SessionKey, session: &Session, conclusion: Conclusion, cause: Cause) -> Self {
        Self {
            host: Some(key.host.clone()),
            session: Some(key.id.clone()),
            agent: session.agent().cloned(),
            profile: session.profile().cloned(),
            conclusion,
            cause,
        }
    }

    pub(crate) fn of_host(host: HostName, conclusion: Conclusion, cause: Cause) -> Self {
        Self {
            host: Some(host),
            session: None,
            agent: None,
            profile: None,
            conclusion,
            cause,
        }
    }

    /// Family and kind of the event it becomes.
    pub const fn event_type(&self) -> EventType {
        match &self.conclusion {
            Conclusion::StateChanged { .. } => EventType::RuntimeStatus(StatusKind::StateChanged),
            Conclusion::SessionLost { .. } => EventType::RuntimeStatus(StatusKind::SessionLost),
            Conclusion::Approval(fact) => fact.event_type(),
            Conclusion::Lease(fact) => fact.event_type(),
            Conclusion::WorkMemory(fact) => fact.event_type(),
            Conclusion::Experiment(fact) => fact.event_type(),
            Conclusion::Policy(fact) => fact.event_type(),
            Conclusion::Hold(change) => change.event_type(),
            Conclusion::Budget(change) => change.event_type(),
            Conclusion::Alert(fact) => fact.event_type(),
            Conclusion::Review(fact) => fact.event_type(),
            Conclusion::Memory(fact) => fact.event_type(),
            Conclusion::HostAdded => EventType::RuntimeHost(RuntimeHostKind::Added),
            Conclusion::HostLost => EventType::RuntimeHost(RuntimeHostKind::Lost),
            Conclusion::HostReturned => EventType::RuntimeHost(RuntimeHostKind::Returned),
            Conclusion::Circuit(circuit::Change::Opened { .. }) => EventType::Circuit(CircuitKind::Opened),
            Conclusion::Circuit(circuit::Change::HalfOpened { .. }) => EventType::Circuit(CircuitKind::HalfOpened),
            Conclusion::Circuit(circuit::Change::Closed { .. }) => EventType::Circuit(CircuitKind::Closed),
            Conclusion::Delegation(fact) => fact.event_type(),
            Conclusion::Effect(fact) => fact.event_type(),
            Conclusion::Message(fact) => fact.event_type(),
            Conclusion::Context(_) => EventType::RuntimeStatus(StatusKind::EvaluateContextRefresh),
            Conclusion::Checkpoint(fact) => EventType::Checkpoint(fact.extent.kind()),
        }
    }

    /// What makes two drafts the same, as a text to derive the event's id from. Names come quoted, so no two drafts can
    /// share a text by choice of a name.
    pub fn identity(&self) -> String {
        let own;
        let what = match &self.conclusion {
            Conclusion::StateChanged { to, .. } => to.as_str(),
            Conclusion::Alert(fact) => fact.key(),
            Conclusion::Memory(fact) => {
                own = fact.identity();
                &own
            }
            Conclusion::Approval(fact) => {
                own = fact.identity();
                &own
            }
            Conclusion::Lease(fact) => {
                own = fact.identity();
                &own
            }
            Conclusion::WorkMemory(fact) => {
                own = fact.identity();
                &own
            }
            Conclusion::Review(fact) => {
                own = fact.identity();
                &own
            }
            Conclusion::Experiment(fact) => {
                own = fact.identity();
                &own
            }
            Conclusion::Hold(change) => {
                own = change.identity();
                &own
            }
            Conclusion::Budget(change) => {
                own = change.identity();
                &own
            }
            Conclusion::Circuit(change) => change.agent().as_str(),
            Conclusion::Context(fact) => {
                own = fact.identity();
                &own
            }
            Conclusion::Checkpoint(fact) => {
                own = fact.identity();
                &own
            }
            Conclusion::Delegation(fact) => {
                own = fact.identity();
                &own
            }
            Conclusion::Message(fact) => {
                own = fact.identity();
                &own
            }
            Conclusion::Effect(fact) => {
                own = fact.identity();
                &own
            }
            Conclusion::Policy(fact) => {
                own = fact.identity();
                &own
            }
            Conclusion::SessionLost { .. }
            | Conclusion::HostAdded
            | Conclusion::HostLost
            | Conclusion::HostReturned => "",
        };
        format!(
            "{} {:?} {:?} {what:?} {}",
            self.event_type(),
            self.host,
            self.session,
            self.cause
        )
    }
}
