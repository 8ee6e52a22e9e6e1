//! `runtime.*`, as far as the state of the fleet depends on it.

use super::read;
use crate::data::alert::Alert;
use crate::data::approval::{ApprovalRequired, ApprovalResolved};
use crate::data::budget::{BudgetReached, BudgetRemoved, BudgetSet};
use crate::data::circuit::{CircuitClosed, CircuitHalfOpened, CircuitOpened};
use crate::data::delegation::{DelegationChanged, DelegationQueued, DelegationRefused, TASK_CHARS};
use crate::data::effect::{EffectRequested, EffectWithdrawn};
use crate::data::evaluation::{CheckpointEvaluated, ContextEvaluated};
use crate::data::hold::{HoldConfirmed, HoldReleased, HoldSet};
use crate::data::lease::LeaseChanged;
use crate::data::memory::{MemoryCompacted, PressureChanged};
use crate::data::policy::PolicyActivated;
use crate::data::runtime::{LeaderElected, SessionLost, StateChanged};
use muster_domain::checkpoint::Extent;
use muster_domain::circuit::Change;
use muster_domain::delegation::{Delegation, DelegationFact, Status};
use muster_domain::effect::EffectFact;
use muster_domain::fact::Decision;
use muster_domain::family::{
    AlertKind, BudgetKind, CheckpointKind, CircuitKind, DelegationKind, EffectKind, HoldKind, LeaderKind,
    MemoryCompactionKind, PolicyKind, RuntimeHostKind, StatusKind,
};
use muster_domain::fleet::SessionKey;
use muster_domain::memory::MemoryFact;
use muster_domain::time::Timestamp;
use muster_domain::{budget, hold};

pub(super) fn status(kind: StatusKind, data: &str) -> Option<Decision> {
    match kind {
        StatusKind::StateChanged => {
            let StateChanged { to, reason, .. } = read(data)?;
            Some(Decision::StateChanged { to, reason })
        }
        StatusKind::SessionLost => {
            let SessionLost { reason, .. } = read(data)?;
            Some(Decision::SessionLost { reason })
        }
        StatusKind::StartSession
        | StatusKind::HeartbeatSession
        | StatusKind::ClearSession
        | StatusKind::TakeoverSession
        | StatusKind::SetEscalation
        | StatusKind::ClearEscalation
        | StatusKind::ReplaceExecutionGates
        | StatusKind::SeedExecutionGates
        | StatusKind::SetExecutionGateStatus
        | StatusKind::AdvanceExecutionGates
        | StatusKind::ClearExecutionGates
        | StatusKind::WriteHandoff
        | StatusKind::WriteRecovery => {
            let changed: LeaseChanged = read(data)?;
            Some(Decision::Lease(Box::new(changed.into_fact())))
        }
        StatusKind::EvaluateContextRefresh => {
            let evaluated: ContextEvaluated = read(data)?;
            Some(Decision::Context(Box::new(evaluated.into_fact())))
        }
    }
}

pub(super) fn checkpoint(kind: CheckpointKind, data: &str) -> Option<Decision> {
    let extent = match kind {
        CheckpointKind::EvaluateCheckpoint => Extent::Checkpoint,
        CheckpointKind::EvaluateCloseout => Extent::Closeout,
    };
    let evaluated: CheckpointEvaluated = read(data)?;
    Some(Decision::Checkpoint(Box::new(evaluated.into_fact(extent))))
}

pub(super) fn required(data: &str) -> Option<Decision> {
    read::<ApprovalRequired>(data).map(|data| Decision::Approval(data.into_fact()))
}

pub(super) fn resolved(data: &str) -> Option<Decision> {
    read::<ApprovalResolved>(data).map(|data| Decision::Approval(data.into_fact()))
}

pub(super) fn policy(kind: PolicyKind, data: &str) -> Option<Decision> {
    let PolicyKind::Activated = kind;
    read::<PolicyActivated>(data).map(|data| Decision::Policy(data.into_fact()))
}

pub(super) fn hold(kind: HoldKind, data: &str) -> Option<Decision> {
    let change = match kind {
        HoldKind::Set => read::<HoldSet>(data)?.into_change(),
        HoldKind::Released => {
            let HoldReleased {
                hold_id, by, reason, ..
            } = read(data)?;
            hold::Change::Released {
                hold: hold_id,
                by,
                reason,
            }
        }
        HoldKind::Confirmed => {
            let HoldConfirmed { hold_id, .. } = read(data)?;
            hold::Change::Confirmed { hold: hold_id }
        }
    };
    Some(Decision::Hold(change))
}

pub(super) fn budget(kind: BudgetKind, data: &str) -> Option<Decision> {
    let change = match kind {
        BudgetKind::Set => {
            let BudgetSet { rule, by, .. } = read(data)?;
            budget::Change::Set { rule, by }
        }
        BudgetKind::Removed => {
            let BudgetRemoved { budget_id, by, .. } = read(data)?;
            budget::Change::Removed { id: budget_id, by }
        }
        BudgetKind::Warned => budget::Change::Warned(read::<BudgetReached>(data)?.into_reached()),
        BudgetKind::Exceeded => budget::Change::Exceeded(read::<BudgetReached>(data)?.into_reached()),
    };
    Some(Decision::Budget(change))
}

pub(super) const fn host(kind: RuntimeHostKind) -> Decision {
    match kind {
        RuntimeHostKind::Added => Decision::HostAdded,
        RuntimeHostKind::Removed => Decision::HostRemoved,
        RuntimeHostKind::Lost => Decision::HostLost,
        RuntimeHostKind::Returned => Decision::HostReturned,
    }
}

pub(super) fn memory(kind: MemoryCompactionKind, data: &str) -> Option<Decision> {
    Some(Decision::Memory(match kind {
        MemoryCompactionKind::PressureChanged => read::<PressureChanged>(data)?.into_fact(),
        MemoryCompactionKind::CompactMemory => MemoryFact::Compacted(read::<MemoryCompacted>(data)?.compaction.into()),
    }))
}

pub(super) fn alert(kind: AlertKind, data: &str) -> Option<Decision> {
    let alert: Alert = read(data)?;
    Some(match kind {
        AlertKind::Raised => Decision::Alert(alert.raised()),
        AlertKind::Cleared => Decision::Alert(alert.cleared()),
    })
}

pub(super) fn leader(kind: LeaderKind, data: &str) -> Option<Decision> {
    let LeaderKind::Elected = kind;
    let LeaderElected { instance, term, .. } = read(data)?;
    Some(Decision::LeaderElected { instance, term })
}

pub(super) fn circuit(kind: CircuitKind, data: &str) -> Option<Decision> {
    let change = match kind {
        CircuitKind::Opened => {
            let CircuitOpened {
                agent,
                reason,
                failures,
                trips,
                until,
                error,
                ..
            } = read(data)?;
            Change::Opened {
                agent,
                reason,
                failures,
                trips,
                until,
                error,
            }
        }
        CircuitKind::HalfOpened => {
            let CircuitHalfOpened {
                agent,
                holder,
                failures,
                expires,
                ..
            } = read(data)?;
            Change::HalfOpened {
                agent,
                holder: holder.into(),
                failures,
                expires,
            }
        }
        CircuitKind::Closed => {
            let CircuitClosed {
                agent,
                reason,
                failures,
                by,
                request_id: request,
                ..
            } = read(data)?;
            Change::Closed {
                agent,
                reason,
                failures,
                by,
                request,
            }
        }
    };
    Some(Decision::Circuit(change))
}

pub(super) fn effect(kind: EffectKind, data: &str) -> Option<Decision> {
    Some(Decision::Effect(match kind {
        EffectKind::Requested => read::<EffectRequested>(data)?.into_fact(),
        EffectKind::Withdrawn => {
            let EffectWithdrawn {
                effect_id: id, reason, ..
            } = read(data)?;
            let reason = reason.into();
            EffectFact::Withdrawn { id, reason }
        }
    }))
}

pub(super) fn delegation(kind: DelegationKind, data: &str) -> Option<Decision> {
    let status = match kind {
        DelegationKind::Queued => return queued(data).map(Decision::Delegation),
        DelegationKind::Refused => {
            let DelegationRefused { agent, reason, .. } = read(data)?;
            let reason = reason.into();
            return Some(Decision::Delegation(DelegationFact::Refused { agent, reason }));
        }
        DelegationKind::Running => Status::Running,
        DelegationKind::Completed => Status::Completed,
        DelegationKind::Failed => Status::Failed,
        DelegationKind::Cancelled => Status::Cancelled,
        DelegationKind::Stale => Status::Stale,
    };
    let DelegationChanged {
        delegation_id: id,
        tool_use_id: call,
        reason,
        ..
    } = read(data)?;
    let reason = reason.map(Into::into);
    Some(Decision::Delegation(if status == Status::Running {
        DelegationFact::Running { id, call: call? }
    } else {
        DelegationFact::Ended {
            id,
            status,
            call,
            reason,
        }
    }))
}

fn queued(data: &str) -> Option<DelegationFact> {
    let queued: DelegationQueued = read(data)?;
    // The times are the log's.
    let (at, task) = (
        Timestamp::default(),
        queued.task.chars().take(TASK_CHARS).collect::<String>(),
    );
    let delegation = Delegation {
        session: SessionKey {
            host: queued.host,
            id: queued.session,
        },
        parent: queued.parent,
        depth: queued.depth,
        agent: queued.agent,
        tier: queued.tier,
        task: task.into(),
        permission_mode: queued.permission_mode.map(Into::into),
        by: queued.by.into(),
        request: queued.request_id.into(),
        status: Status::Queued,
        queued: at,
        since: at,
        call: None,
        reason: None,
    };
    Some(DelegationFact::Queued {
        id: queued.delegation_id,
        delegation: Box::new(delegation),
    })
}
