//! Event families and kinds: the closed vocabulary, and who may publish each.
//!
//! *Who may publish a family is one service* is the rule the whole system stands on; [`Family::owner`] is where it is
//! written, and the hub's permissions are generated from it. Two families are open at the kind: agents invent hook names
//! and platforms invent process events, and an unknown one is kept rather than refused.

mod kinds;

pub use kinds::*;

use std::fmt;

/// The service that alone publishes a family.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Owner {
    /// Facts reported from a host.
    Ingest,
    /// Facts concluded by the leader.
    Orchestrator,
    /// Facts about telling somebody.
    Notifier,
}

/// Why a family or kind was not recognised.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnknownType {
    /// No such family.
    #[error("unknown event family {0:?}")]
    Family(String),
    /// The family is known; this kind of it is not.
    #[error("unknown kind {kind:?} of {family}")]
    Kind {
        /// The family.
        family: Family,
        /// What was given.
        kind: String,
    },
}

macro_rules! families {
    ($($variant:ident($kind:ident) = $area:literal . $topic:literal, $owner:ident;)+) => {
        /// A family of events: two subject tokens.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Family {
            $(#[doc = concat!("`", $area, ".", $topic, "`")] $variant,)+
        }

        impl Family {
            /// Every family, in the order of the documentation.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            /// The name, as in `runtime.status`.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => concat!($area, ".", $topic),)+ }
            }

            /// The two subject tokens of the name.
            pub const fn tokens(self) -> (&'static str, &'static str) {
                match self { $(Self::$variant => ($area, $topic),)+ }
            }

            /// The service that alone publishes it.
            pub const fn owner(self) -> Owner {
                match self { $(Self::$variant => Owner::$owner,)+ }
            }
        }

        /// A family together with one of its kinds: the CloudEvents `type`.
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum EventType {
            $(#[doc = concat!("A kind of `", $area, ".", $topic, "`.")] $variant($kind),)+
        }

        impl EventType {
            /// The family.
            pub const fn family(&self) -> Family {
                match self { $(Self::$variant(_) => Family::$variant,)+ }
            }

            /// The kind: one subject token.
            pub fn kind(&self) -> &str {
                match self { $(Self::$variant(kind) => kind.as_str(),)+ }
            }

            /// The type of `family` and `kind`.
            ///
            /// # Errors
            /// [`UnknownType::Kind`] when the family is closed and has no such kind.
            pub fn of(family: Family, kind: &str) -> Result<Self, UnknownType> {
                let unknown = || UnknownType::Kind { family, kind: kind.to_owned() };
                Ok(match family { $(Family::$variant => Self::$variant($kind::parse(kind).ok_or_else(unknown)?),)+ })
            }

            /// Every type with a name of its own, family by family; open families contribute the kinds known today.
            pub fn known() -> Vec<Self> {
                let mut all = Vec::new();
                $(all.extend($kind::known().into_iter().map(Self::$variant));)+
                all
            }
        }
    };
}

families! {
    AgentHook(HookName) = "agent"."hook", Ingest;
    AgentTurn(TurnKind) = "agent"."turn", Ingest;
    AgentOutput(OutputKind) = "agent"."output", Ingest;
    AgentEffect(EffectReceiptKind) = "agent"."effect", Ingest;
    ProcessLifecycle(LifecycleKind) = "process"."lifecycle", Ingest;
    ProcessFile(FileKind) = "process"."file", Ingest;
    ProcessNetwork(NetworkKind) = "process"."network", Ingest;
    ProcessProcess(ProcessKind) = "process"."process", Ingest;
    HostStatus(HostStatusKind) = "host"."status", Ingest;
    RuntimeStatus(StatusKind) = "runtime"."status", Orchestrator;
    ApprovalRequired(ApprovalRequiredKind) = "runtime"."approval_required", Orchestrator;
    ApprovalResolved(ApprovalResolvedKind) = "runtime"."approval_resolved", Orchestrator;
    Checkpoint(CheckpointKind) = "runtime"."checkpoint", Orchestrator;
    MemoryCompaction(MemoryCompactionKind) = "runtime"."memory_compaction", Orchestrator;
    WorkMemory(WorkMemoryKind) = "runtime"."memory", Orchestrator;
    Delegation(DelegationKind) = "runtime"."delegation", Orchestrator;
    Circuit(CircuitKind) = "runtime"."circuit", Orchestrator;
    Hold(HoldKind) = "runtime"."hold", Orchestrator;
    Budget(BudgetKind) = "runtime"."budget", Orchestrator;
    Policy(PolicyKind) = "runtime"."policy", Orchestrator;
    Experiment(ExperimentKind) = "runtime"."experiment", Orchestrator;
    Message(MessageKind) = "runtime"."message", Orchestrator;
    RuntimeHost(RuntimeHostKind) = "runtime"."host", Orchestrator;
    Alert(AlertKind) = "runtime"."alert", Orchestrator;
    Feedback(FeedbackKind) = "runtime"."feedback", Orchestrator;
    Case(CaseKind) = "runtime"."case", Orchestrator;
    Rule(RuleKind) = "runtime"."rule", Orchestrator;
    Review(ReviewKind) = "runtime"."review", Orchestrator;
    Effect(EffectKind) = "runtime"."effect", Orchestrator;
    Leader(LeaderKind) = "runtime"."leader", Orchestrator;
    NoticeDelivery(DeliveryKind) = "notice"."delivery", Notifier;
}

impl Family {
    /// The family of this name.
    ///
    /// # Errors
    /// [`UnknownType::Family`] when there is none.
    pub fn parse(name: &str) -> Result<Self, UnknownType> {
        Self::ALL
            .iter()
            .copied()
            .find(|family| family.as_str() == name)
            .ok_or_else(|| UnknownType::Family(name.to_owned()))
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl EventType {
    /// The type written `family.kind`, as in `agent.hook.pre_tool_use`.
    ///
    /// # Errors
    /// [`UnknownType`] when the family or the kind is not known.
    pub fn parse(name: &str) -> Result<Self, UnknownType> {
        let (family, kind) = name
            .rsplit_once('.')
            .ok_or_else(|| UnknownType::Family(name.to_owned()))?;
        Self::of(Family::parse(family)?, kind)
    }

    /// Whether it was seen of the processes that a run launched, of which there are many and any may be missed.
    pub const fn is_sampled(&self) -> bool {
        matches!(
            self,
            Self::ProcessLifecycle(LifecycleKind::DescendantStarted | LifecycleKind::DescendantExited)
                | Self::ProcessFile(_)
                | Self::ProcessNetwork(_)
                | Self::ProcessProcess(_)
        )
    }
}

impl fmt::Display for EventType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.family(), self.kind())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_known_type_survives_its_name() {
        let all = EventType::known();
        for event_type in &all {
            assert_eq!(EventType::parse(&event_type.to_string()).as_ref(), Ok(event_type));
        }
        let names: BTreeSet<String> = all.iter().map(ToString::to_string).collect();
        assert_eq!(names.len(), all.len(), "two types share a name");
    }

    #[test]
    fn every_family_has_a_kind() {
        let seen: BTreeSet<Family> = EventType::known().iter().map(EventType::family).collect();
        assert_eq!(seen.len(), Family::ALL.len());
    }

    #[test]
    fn an_unknown_hook_is_kept_and_an_unknown_decision_is_refused() {
        assert_eq!(
            EventType::parse("agent.hook.brand_new_hook").unwrap().kind(),
            "brand_new_hook"
        );
        assert!(EventType::parse("runtime.status.brand_new").is_err());
        assert!(EventType::parse("agent.hook.Bad-Kind").is_err());
        assert!(EventType::parse("nothing").is_err());
    }
}
