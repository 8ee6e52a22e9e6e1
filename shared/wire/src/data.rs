//! Payloads that muster itself writes, typed once for those who write and those who read.
//!
//! Stored shapes only grow: a new field is optional, and no field changes its meaning. What an agent wrote is never typed
//! here; it is kept whole and read by [`crate::decode`].

pub mod alert;
pub mod approval;
pub mod budget;
pub mod circuit;
pub mod continuity;
pub mod delegation;
pub mod effect;
pub mod evaluation;
pub mod experiment;
pub mod hold;
pub mod hook;
pub mod host;
pub mod lease;
pub mod memory;
pub mod message;
pub mod notice;
pub mod policy;
pub mod process;
pub mod review;
pub mod runtime;
pub mod turn;
pub mod watch;
pub mod work_memory;

use crate::envelope::RawData;
use serde::{Deserialize, Serialize};

/// A payload of an event.
pub trait Payload: Serialize {
    /// The payload as an envelope carries it.
    fn to_raw(&self) -> RawData {
        serde_json::value::to_raw_value(self).expect("invariant: a payload is an object whose keys are strings")
    }
}

macro_rules! payloads {
    ($($name:ty),+ $(,)?) => { $(impl Payload for $name {})+ };
}

payloads! {
    Empty, Tombstone,
    alert::Alert,
    approval::ApprovalRequired, approval::ApprovalResolved,
    circuit::CircuitOpened, circuit::CircuitHalfOpened, circuit::CircuitClosed,
    delegation::DelegationQueued, delegation::DelegationChanged, delegation::DelegationRefused,
    effect::EffectRequested, effect::EffectWithdrawn, effect::EffectReceipt,
    experiment::ExperimentCreated, experiment::ExperimentStepped, experiment::ExperimentTagged,
    experiment::ExperimentConcluded,
    evaluation::ContextEvaluated, evaluation::CheckpointEvaluated,
    lease::LeaseChanged,
    message::MessageSent, message::MessageDelivered, message::MessageAcked, message::MessageAnswered,
    message::MessageExpired,
    memory::PressureChanged, memory::MemoryCompacted,
    host::Started, host::Reason, host::Capabilities,
    hold::HoldSet, hold::HoldReleased, hold::HoldConfirmed,
    budget::BudgetSet, budget::BudgetRemoved, budget::BudgetReached,
    notice::Delivery,
    policy::PolicyActivated,
    process::Process,
    runtime::StateChanged, runtime::SessionLost, runtime::HostPresence, runtime::LeaderElected,
    turn::TurnStart, turn::TurnEnd, turn::Note, turn::ModelChanged, turn::TokenUsageChanged,
    turn::TurnStateChanged, turn::StatusChanged, turn::OutputLine,
    watch::Descendant, watch::Executed, watch::FileOpened, watch::FileWritten, watch::FileLeft, watch::FileRenamed,
    watch::Socket,
}

/// Nothing to say beyond the type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Empty {}

/// The place of an observation that the hub refused for good: it has the type, producer and count of the original, so that
/// the count has no gap.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tombstone {
    /// What stands in the payload's place.
    pub tombstone: Refused,
}

/// Why an observation is not in the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// What the hub said.
    pub reason: String,
    /// The id it had, under which it is parked on its host.
    pub original_id: muster_domain::ids::EventId,
}

impl Tombstone {
    /// How every tombstone's payload begins. It is the only member, so no agent's payload is taken for one: those carry
    /// muster's own notes as well.
    pub(crate) const MARK: &str = r#"{"tombstone":{"#;

    /// The tombstone of an observation.
    pub const fn new(original_id: muster_domain::ids::EventId, reason: String) -> Self {
        Self {
            tombstone: Refused { reason, original_id },
        }
    }
}
