//! What every surface turns its input into, before redaction and numbering.

use crate::spool::{Lane, Priority};
use muster_domain::family::{EventType, HookName, LifecycleKind, TurnKind};
use muster_domain::ids::EventId;
use muster_domain::names::{AgentName, SessionId};
use muster_domain::time::Timestamp;
use muster_wire::data::hook::{HookNote, ProcessId};
use serde_json::{Map, Value};

/// A fact reported by an agent or by this service.
#[derive(Debug, Clone)]
pub(crate) struct Observation {
    pub(crate) event_type: EventType,
    pub(crate) session: Option<SessionId>,
    pub(crate) agent: Option<AgentName>,
    /// Given by the reporter; else one is minted.
    pub(crate) id: Option<EventId>,
    /// Given by the reporter; else it is when ingest received it.
    pub(crate) time: Option<Timestamp>,
    pub(crate) traceparent: Option<String>,
    pub(crate) data: Map<String, Value>,
    /// What ingest notes beside the payload.
    pub(crate) notes: HookNote,
    /// The process that the session runs in, where that is known.
    pub(crate) process: Option<ProcessId>,
}

impl Observation {
    /// A fact of this kind with nothing else said.
    pub(crate) fn of(event_type: EventType, data: Map<String, Value>) -> Self {
        Self {
            event_type,
            session: None,
            agent: None,
            id: None,
            time: None,
            traceparent: None,
            data,
            notes: HookNote::default(),
            process: None,
        }
    }

    /// The count it is numbered in.
    pub(crate) const fn lane(&self) -> Lane {
        if matches!(self.event_type, EventType::AgentOutput(_)) {
            Lane::Transcript
        } else {
            Lane::Events
        }
    }

    /// Whether it may use the spool's last room: without it a session, a turn or an approval would be lost, not a detail.
    pub(crate) const fn priority(&self) -> Priority {
        let event_type = &self.event_type;
        let lifecycle = matches!(
            event_type,
            EventType::AgentTurn(TurnKind::TurnStart | TurnKind::TurnEnd)
                | EventType::AgentEffect(_)
                | EventType::ProcessLifecycle(LifecycleKind::Started | LifecycleKind::Exited)
                | EventType::HostStatus(_)
        ) || matches!(event_type, EventType::AgentHook(hook) if is_lifecycle(hook));
        if lifecycle { Priority::High } else { Priority::Low }
    }
}

const fn is_lifecycle(hook: &HookName) -> bool {
    matches!(
        hook,
        HookName::SessionStart
            | HookName::SessionEnd
            | HookName::UserPromptSubmit
            | HookName::Stop
            | HookName::StopFailure
            | HookName::SubagentStart
            | HookName::SubagentStop
            | HookName::SubagentStopFailure
            | HookName::PermissionRequest
            | HookName::PermissionDenied
            | HookName::PermissionGranted
    )
}
