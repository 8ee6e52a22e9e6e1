//! Which kinds somebody really publishes, and which are only words so far.
//!
//! The families are closed before all of them are spoken. This table says so by name: a new kind fails the test until it
//! is listed, and a kind listed as live fails it when nothing in its owner's code says it any more.

use muster_domain::family::*;
use std::collections::BTreeSet;
use std::path::Path;

struct Row {
    event_type: EventType,
    /// How the code of an emitter spells the kind.
    spelled: &'static str,
    live: bool,
}

macro_rules! rows {
    ($($state:ident: $($family:ident { $kind:ident: $($variant:ident),+ })+;)+) => {
        vec![$($($(Row {
            event_type: EventType::$family($kind::$variant),
            spelled: concat!(stringify!($kind), "::", stringify!($variant)),
            live: stringify!($state) == "live",
        },)+)+)+]
    };
}

fn table() -> Vec<Row> {
    rows! {
        live:
            AgentTurn { TurnKind: TurnStart, Note, TurnEnd, StatusChanged, ModelChanged, TokenUsageChanged, TurnStateChanged }
            RuntimeStatus { StatusKind: StateChanged, SessionLost, StartSession, HeartbeatSession, ClearSession, TakeoverSession }
            RuntimeStatus { StatusKind: SetEscalation, ClearEscalation, ReplaceExecutionGates, SeedExecutionGates }
            RuntimeStatus { StatusKind: SetExecutionGateStatus, AdvanceExecutionGates, ClearExecutionGates }
            RuntimeStatus { StatusKind: WriteHandoff, WriteRecovery, EvaluateContextRefresh }
            Checkpoint { CheckpointKind: EvaluateCheckpoint, EvaluateCloseout }
            RuntimeHost { RuntimeHostKind: Added, Lost, Returned }
            ApprovalRequired { ApprovalRequiredKind: PolicyCheck, PermissionRequest, Question }
            Policy { PolicyKind: Activated }
            ApprovalResolved { ApprovalResolvedKind: Approved, Denied, Expired, AnsweredElsewhere, Withdrawn }
            Hold { HoldKind: Set, Released, Confirmed }
            Budget { BudgetKind: Set, Removed, Warned, Exceeded }
            Alert { AlertKind: Raised, Cleared }
            Feedback { FeedbackKind: Annotated }
            Case { CaseKind: Created, Archived }
            Rule { RuleKind: Created, Enabled, Disabled, Ran }
            Review { ReviewKind: Queued, Resolved, Dismissed }
            Experiment { ExperimentKind: Created, Started, Tagged, Concluded, Archived }
            WorkMemory { WorkMemoryKind: SubmitMemoryEvidence, ExtractMemoryCandidates, AdmitMemoryCandidate, PromoteMemory }
            WorkMemory { WorkMemoryKind: CompactMemory }
            MemoryCompaction { MemoryCompactionKind: CompactMemory, PressureChanged }
            Circuit { CircuitKind: Opened, HalfOpened, Closed }
            Effect { EffectKind: Requested, Withdrawn }
            Message { MessageKind: Sent, Delivered, Acked, Answered, Expired }
            Delegation { DelegationKind: Queued, Running, Completed, Failed, Cancelled, Stale, Refused }
            Leader { LeaderKind: Elected }
            HostStatus { HostStatusKind: Started, Degraded, Recovered, Stopping, Capability }
            ProcessLifecycle { LifecycleKind: Started, Exited, DescendantStarted, DescendantExited }
            ProcessFile { FileKind: Open, Write, Close, Unlink, Rename }
            ProcessNetwork { NetworkKind: Connect, Listen }
            ProcessProcess { ProcessKind: Exec }
            AgentOutput { OutputKind: Stream }
            AgentEffect { EffectReceiptKind: Accepted, Done, Failed }
            NoticeDelivery { DeliveryKind: Delivered, Failed, Parked, Suppressed };
        missing:
            RuntimeHost { RuntimeHostKind: Removed }
            NoticeDelivery { DeliveryKind: Sent };
    }
}

/// Where the words of an owner are written, from the root of the tree.
const fn places(owner: Owner) -> &'static [&'static str] {
    match owner {
        Owner::Ingest => &[
            "services/ingest/src",
            "services/muster/src",
            "shared/wire/src/stream.rs",
        ],
        Owner::Orchestrator => &[
            "services/orchestrator/src",
            "shared/domain/src",
            "shared/wire/src/decision.rs",
        ],
        Owner::Notifier => &["services/notifier/src"],
    }
}

fn sources(path: &Path, text: &mut String) {
    if path.is_file() {
        text.push_str(&std::fs::read_to_string(path).unwrap());
    } else if let Ok(entries) = std::fs::read_dir(path) {
        for entry in entries {
            sources(&entry.unwrap().path(), text);
        }
    }
}

#[test]
fn every_kind_is_listed_once() {
    let listed: BTreeSet<EventType> = table().into_iter().map(|row| row.event_type).collect();
    assert_eq!(listed.len(), table().len(), "a kind is listed twice");
    // Hooks are the agents' words: whatever one says is published under its own name.
    let known: BTreeSet<EventType> = EventType::known()
        .into_iter()
        .filter(|known| known.family() != Family::AgentHook)
        .collect();
    let names = |types: BTreeSet<&EventType>| types.into_iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(
        names(known.difference(&listed).collect()),
        Vec::<String>::new(),
        "not listed"
    );
    assert_eq!(
        names(listed.difference(&known).collect()),
        Vec::<String>::new(),
        "listed, but unknown"
    );
}

#[test]
fn a_live_kind_has_an_emitter() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    for owner in [Owner::Ingest, Owner::Orchestrator, Owner::Notifier] {
        let mut text = String::new();
        for place in places(owner) {
            sources(&root.join(place), &mut text);
        }
        for row in table().iter().filter(|row| row.event_type.family().owner() == owner) {
            assert!(
                !row.live || text.contains(row.spelled),
                "{} is listed as live",
                row.event_type
            );
        }
        let missing: Vec<String> = table()
            .iter()
            .filter(|row| row.event_type.family().owner() == owner && !row.live)
            .map(|row| row.event_type.to_string())
            .collect();
        println!("{owner:?} does not say yet: {}", missing.join(", "));
    }
}
