//! What the domain concluded, as events.

use crate::data::Payload;
use crate::data::alert::Alert;
use crate::data::approval::{ApprovalRequired, ApprovalResolved};
use crate::data::budget::{BudgetReached, BudgetRemoved, BudgetSet};
use crate::data::circuit::{CircuitClosed, CircuitHalfOpened, CircuitOpened};
use crate::data::delegation::{DelegationChanged, DelegationQueued, DelegationRefused};
use crate::data::effect::{EffectRequested, EffectWithdrawn};
use crate::data::evaluation::{CheckpointEvaluated, ContextEvaluated};
use crate::data::experiment;
use crate::data::hold::{HoldConfirmed, HoldReleased, HoldSet};
use crate::data::lease::LeaseChanged;
use crate::data::memory::{MemoryCompacted, PressureChanged};
use crate::data::message;
use crate::data::policy::PolicyActivated;
use crate::data::review;
use crate::data::runtime::{HostPresence, LeaderElected, RuntimeMetadata, SessionLost, StateChanged};
use crate::data::work_memory;
use crate::envelope::{Envelope, RawData};
use muster_domain::approval::ApprovalFact;
use muster_domain::budget;
use muster_domain::circuit::Change;
use muster_domain::conclusion::{Cause, Conclusion, Draft};
use muster_domain::delegation::DelegationFact;
use muster_domain::effect::EffectFact;
use muster_domain::family::{EventType, LeaderKind};
use muster_domain::hold;
use muster_domain::ids::{EventId, InstanceId};
use muster_domain::memory::MemoryFact;
use muster_domain::policy::PolicyFact;
use muster_domain::time::Timestamp;

/// The `source` of every decision.
pub const SOURCE: &str = "/orchestrator";

/// The event that a draft becomes under this id, concluded at this time.
pub fn envelope(draft: &Draft, id: EventId, at: Timestamp) -> Envelope {
    let event_type = draft.event_type();
    Envelope {
        data: data(draft, metadata(draft, id)),
        host: draft.host.clone(),
        session: draft.session.clone(),
        agent: draft.agent.clone(),
        profile: draft.profile.clone(),
        causation: match &draft.cause {
            Cause::Event(cause) => Some(*cause),
            Cause::Silence { .. } | Cause::Presence { .. } | Cause::Request(_) | Cause::Due { .. } => None,
        },
        ..bare(event_type, id, at)
    }
}

/// The event with which a leader begins; its subject is what every decision is fenced by.
pub fn elected(instance: InstanceId, term: u64, version: &str, id: EventId, at: Timestamp) -> Envelope {
    let event_type = EventType::Leader(LeaderKind::Elected);
    let elected = LeaderElected {
        runtime: RuntimeMetadata::unasked(event_type.kind(), id),
        instance,
        term,
        version: version.to_owned(),
    };
    Envelope {
        data: elected.to_raw(),
        ..bare(event_type, id, at)
    }
}

fn bare(event_type: EventType, id: EventId, at: Timestamp) -> Envelope {
    Envelope {
        id,
        source: SOURCE.to_owned(),
        event_type,
        host: None,
        session: None,
        time: at,
        time_exact: true,
        agent: None,
        profile: None,
        origin: None,
        causation: None,
        correlation: None,
        traceparent: None,
        data: crate::data::Empty {}.to_raw(),
    }
}

fn metadata(draft: &Draft, id: EventId) -> RuntimeMetadata {
    let mut metadata = RuntimeMetadata::unasked(draft.event_type().kind(), id);
    if let Cause::Request(request) = &draft.cause {
        metadata.request_id = request.to_string();
    }
    if let Conclusion::Approval(ApprovalFact::Required { id, .. } | ApprovalFact::Resolved { id, .. }) =
        &draft.conclusion
    {
        metadata.approval_request_id = Some(id.to_string());
    }
    metadata
}

fn of_hold(change: hold::Change, runtime: RuntimeMetadata) -> RawData {
    match change {
        hold::Change::Set(order) => HoldSet::new(runtime, order).to_raw(),
        hold::Change::Released { hold, by, reason } => HoldReleased {
            runtime,
            hold_id: hold,
            by,
            reason,
        }
        .to_raw(),
        hold::Change::Confirmed { hold } => HoldConfirmed { runtime, hold_id: hold }.to_raw(),
    }
}

fn of_budget(change: budget::Change, runtime: RuntimeMetadata) -> RawData {
    match change {
        budget::Change::Set { rule, by } => BudgetSet {
            runtime,
            budget_id: rule.id(),
            rule,
            by,
        }
        .to_raw(),
        budget::Change::Removed { id, by } => BudgetRemoved {
            runtime,
            budget_id: id,
            by,
        }
        .to_raw(),
        budget::Change::Warned(reached) | budget::Change::Exceeded(reached) => {
            BudgetReached::new(runtime, reached).to_raw()
        }
    }
}

fn data(draft: &Draft, runtime: RuntimeMetadata) -> RawData {
    match draft.conclusion.clone() {
        Conclusion::StateChanged {
            from,
            to,
            reason,
            since,
        } => StateChanged {
            runtime,
            from,
            to,
            reason,
            since,
        }
        .to_raw(),
        Conclusion::SessionLost { reason } => SessionLost { runtime, reason }.to_raw(),
        Conclusion::Lease(fact) => LeaseChanged::new(runtime, &fact).to_raw(),
        Conclusion::Approval(ApprovalFact::Required {
            id,
            stage,
            deadline,
            fallback,
            asked,
        }) => ApprovalRequired {
            runtime,
            approval_id: id,
            stage,
            deadline,
            fallback,
            asked: (&*asked).into(),
        }
        .to_raw(),
        Conclusion::Approval(ApprovalFact::Resolved { id, resolution }) => ApprovalResolved {
            runtime,
            approval_id: id,
            resolution: (&*resolution).into(),
        }
        .to_raw(),
        Conclusion::Policy(PolicyFact::Activated(activation)) => PolicyActivated::new(runtime, &activation).to_raw(),
        Conclusion::Hold(change) => of_hold(change, runtime),
        Conclusion::Budget(change) => of_budget(change, runtime),
        Conclusion::Alert(fact) => Alert::new(runtime, fact).to_raw(),
        Conclusion::Memory(fact) => memory(fact, runtime),
        Conclusion::Circuit(change) => circuit(change, runtime),
        Conclusion::Context(fact) => ContextEvaluated::new(runtime, *fact).to_raw(),
        Conclusion::Checkpoint(fact) => CheckpointEvaluated::new(runtime, *fact).to_raw(),
        Conclusion::Delegation(fact) => delegation(fact, runtime),
        Conclusion::Message(fact) => message::encode(runtime, fact),
        Conclusion::WorkMemory(fact) => work_memory::encode(runtime, *fact),
        Conclusion::Review(fact) => review::encode(runtime, *fact),
        Conclusion::Experiment(fact) => experiment::encode(runtime, *fact),
        Conclusion::Effect(EffectFact::Requested(order)) => EffectRequested::new(runtime, *order).to_raw(),
        Conclusion::Effect(EffectFact::Withdrawn { id, reason }) => EffectWithdrawn {
            runtime,
            effect_id: id,
            reason: reason.into(),
        }
        .to_raw(),
        Conclusion::HostAdded | Conclusion::HostLost | Conclusion::HostReturned => HostPresence {
            runtime,
            instance: None,
        }
        .to_raw(),
    }
}

fn memory(fact: MemoryFact, runtime: RuntimeMetadata) -> RawData {
    match fact {
        MemoryFact::PressureChanged {
            from,
            to,
            used_tokens,
            window_tokens,
        } => PressureChanged::new(runtime, from, to, used_tokens, window_tokens).to_raw(),
        MemoryFact::Compacted(compaction) => MemoryCompacted {
            runtime,
            compaction: compaction.into(),
        }
        .to_raw(),
    }
}

fn delegation(fact: DelegationFact, runtime: RuntimeMetadata) -> RawData {
    match fact {
        DelegationFact::Queued { id, delegation } => DelegationQueued {
            runtime,
            delegation_id: id,
            host: delegation.session.host,
            session: delegation.session.id,
            parent: delegation.parent,
            depth: delegation.depth,
            agent: delegation.agent,
            tier: delegation.tier,
            task: delegation.task.into(),
            permission_mode: delegation.permission_mode.map(Into::into),
            by: delegation.by.into(),
            request_id: delegation.request.into(),
        }
        .to_raw(),
        DelegationFact::Running { id, call } => DelegationChanged {
            runtime,
            delegation_id: id,
            tool_use_id: Some(call),
            reason: None,
        }
        .to_raw(),
        DelegationFact::Ended { id, call, reason, .. } => DelegationChanged {
            runtime,
            delegation_id: id,
            tool_use_id: call,
            reason: reason.map(Into::into),
        }
        .to_raw(),
        DelegationFact::Refused { agent, reason } => DelegationRefused {
            runtime,
            agent,
            reason: reason.into(),
        }
        .to_raw(),
    }
}

fn circuit(change: Change, runtime: RuntimeMetadata) -> RawData {
    match change {
        Change::Opened {
            agent,
            reason,
            failures,
            trips,
            until,
            error,
        } => CircuitOpened {
            runtime,
            agent,
            reason,
            failures,
            trips,
            until,
            error,
        }
        .to_raw(),
        Change::HalfOpened {
            agent,
            holder,
            failures,
            expires,
        } => CircuitHalfOpened {
            runtime,
            agent,
            holder: holder.into(),
            failures,
            expires,
        }
        .to_raw(),
        Change::Closed {
            agent,
            reason,
            failures,
            by,
            request,
        } => CircuitClosed {
            runtime,
            agent,
            reason,
            failures,
            by,
            request_id: request,
        }
        .to_raw(),
    }
}

#[cfg(test)]
mod tests;
