//! What one event says, as far as the fold cares.
//!
//! The log holds whole payloads; this is what state is made of. An agent's own vocabulary ends at the contract crate,
//! which reads each payload (either key style, any vendor) into these shapes. What has no bearing on state is
//! [`Fact::Noted`]: it still counts, and is still replayed.

use crate::approval::{ApprovalFact, AskEnd};
use crate::budget;
use crate::effect::{Carrier, EffectFact, Receipt};
use crate::family::EventType;
use crate::hold;
use crate::ids::{EventId, InstanceId, ProducerId};
use crate::lease::LeaseFact;
use crate::message::MessageFact;
use crate::names::{AgentName, HostName, Profile, PromptId, RunId, SessionId, SubagentId, ToolCallId, ToolName};
use crate::policy::PolicyFact;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

/// An event at its place in the log.
#[derive(Debug, Clone, PartialEq)]
pub struct Recorded {
    /// Position in the stream: the one total order.
    pub seq: u64,
    /// The stream's timestamp: the fold's only clock.
    pub at: Timestamp,
    /// The event.
    pub event: Event,
}

/// An event as it is folded: at a time of its own, where the log gave several the same.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moment<'a> {
    pub(crate) seq: u64,
    pub(crate) at: Timestamp,
    pub(crate) event: &'a Event,
}

/// An event, read.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// Its id.
    pub id: EventId,
    /// Family and kind.
    pub event_type: EventType,
    /// The host it is about, if any.
    pub host: Option<HostName>,
    /// The session it is about, if any.
    pub session: Option<SessionId>,
    /// The product that runs the session.
    pub agent: Option<AgentName>,
    /// The session's profile.
    pub profile: Option<Profile>,
    /// Which spool reported it, and as its how-manieth; on observations only.
    pub origin: Option<Origin>,
    /// What it says.
    pub fact: Fact,
}

/// Where an observation stands in its producer's own count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Origin {
    /// The spool.
    pub producer: ProducerId,
    /// Its count, from 1, without gaps.
    pub seq: u64,
}

/// What an event says.
#[derive(Debug, Clone, PartialEq)]
pub enum Fact {
    /// An agent's hook.
    Hook(Box<Hook>),
    /// Something read from an agent's printed lines.
    Turn(TurnFact),
    /// A process that a session runs in.
    Process(ProcessFact),
    /// A host about itself.
    Host(HostFact),
    /// What a host says of an effect.
    Effect(Receipt),
    /// Something the orchestrator concluded.
    Decision(Decision),
    /// A place in a producer's count whose event the hub refused for good.
    Tombstone,
    /// In the log, without bearing on state.
    Noted,
}

/// What every hook may carry, and what this one says.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Hook {
    /// The prompt it belongs to; without one it belongs to the session's current turn.
    pub prompt: Option<PromptId>,
    /// The subagent it happened in; without one, the main thread.
    pub subagent: Option<SubagentId>,
    /// The kind of that subagent.
    pub subagent_type: Option<String>,
    /// The wrapped process it ran under.
    pub run: Option<RunId>,
    /// What it says of the work of a named agent.
    pub work: Option<Box<crate::work::Work>>,
    /// Working directory.
    pub cwd: Option<String>,
    /// Model, where the hook names it.
    pub model: Option<String>,
    /// Permission mode, where the hook names it.
    pub permission_mode: Option<String>,
    /// Bytes of a tool's output that it tells of.
    pub output_bytes: u64,
    /// Of a call that ran: a digest of what it gave back, to tell the same result from another.
    pub output: Option<u32>,
    /// What it says.
    pub body: HookBody,
}

/// A digest of a tool's input: what joins a permission request, which names no call, to its call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct InputDigest(pub u64);

/// What a hook says.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum HookBody {
    /// The session began, or began again.
    SessionStarted {
        /// `startup`, `resume`, `clear`, `compact`, `fork`.
        source: Option<String>,
    },
    /// The session is over.
    SessionEnded {
        /// Why, in the agent's words.
        reason: Option<String>,
    },
    /// A prompt was given: a turn begins.
    PromptGiven {
        /// The first line of it, shortened, for people to recognise it by.
        preview: Option<String>,
    },
    /// A tool is about to run.
    ToolStarted(ToolUse),
    /// A tool ran, failed, or was refused.
    ToolEnded {
        /// Which.
        tool: ToolUse,
        /// How.
        outcome: ToolOutcome,
        /// The agent's own measure, in milliseconds.
        duration_ms: Option<u64>,
        /// The subagent that the call had started.
        spawned: Option<SubagentId>,
    },
    /// A tool waits for permission.
    PermissionAsked(ToolUse),
    /// Every call of this thread that was under way is over, those included that end without an event of their own
    /// (a denied call often does).
    ToolsDone,
    /// A subagent began.
    SubagentStarted,
    /// A subagent is done.
    SubagentStopped,
    /// The turn is over.
    Stopped {
        /// Background tasks that go on.
        background_tasks: u32,
    },
    /// The turn ended in an error.
    StopFailed {
        /// The agent's error class.
        error: String,
    },
    /// The agent compacts its context.
    CompactionStarted,
    /// It is done compacting.
    CompactionEnded,
    /// The agent waits for words of the user, outside a permission.
    InputAwaited {
        /// For what.
        reason: String,
    },
    /// What it waited for came.
    InputGiven,
    /// Working directory changed.
    CwdChanged {
        /// The new one.
        cwd: String,
    },
    /// Anything else: keeps the session alive and counts.
    #[default]
    Other,
}

/// A tool call, as hooks name it.
#[derive(Debug, Clone, PartialEq)]
pub struct ToolUse {
    /// The tool.
    pub tool: ToolName,
    /// The call, where the agent names calls.
    pub call: Option<ToolCallId>,
    /// Digest of its input.
    pub input: InputDigest,
    /// One line that tells people what it does, shortened.
    pub summary: Option<String>,
    /// The tool asks the user something (a question, a plan to accept): its call waits for input, not for work.
    pub asks_user: bool,
    /// The hook is held open until somebody answers.
    pub held: Option<Box<Held>>,
}

/// A hook that its host holds open until somebody answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// For how long.
    pub wait: Duration,
    /// The tool's input, as JSON.
    pub input: Option<Box<str>>,
    /// Rules that the agent offers to add, as JSON.
    pub suggestions: Option<Box<str>>,
    /// Where the whole payload lies when only a preview of it is here.
    pub overflow: Option<Box<str>>,
}

/// How a tool call ended.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "outcome")]
pub enum ToolOutcome {
    /// It ran.
    Ok,
    /// It ran and failed.
    Failed {
        /// The error, shortened.
        error: String,
    },
    /// It was not allowed to run.
    Denied {
        /// Why, shortened.
        reason: String,
    },
}

/// Tokens, as agents count them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct Usage {
    /// Input tokens that were not read from a cache.
    pub input: u64,
    /// Output tokens.
    pub output: u64,
    /// Input tokens read from a cache.
    pub cache_read: u64,
    /// Input tokens written to a cache.
    pub cache_creation: u64,
}

impl Usage {
    /// All tokens.
    pub const fn total(self) -> u64 {
        self.input
            .saturating_add(self.output)
            .saturating_add(self.cache_read)
            .saturating_add(self.cache_creation)
    }

    /// Both together.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self {
            input: self.input.saturating_add(other.input),
            output: self.output.saturating_add(other.output),
            cache_read: self.cache_read.saturating_add(other.cache_read),
            cache_creation: self.cache_creation.saturating_add(other.cache_creation),
        }
    }
}

/// One turn of a wrapped run: the run, and the how-manieth turn of it, from 0.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RunTurn {
    /// The wrapped process.
    pub run: RunId,
    /// The turn's place in it.
    pub index: u32,
}

/// Something read from an agent's printed lines.
#[derive(Debug, Clone, PartialEq)]
pub enum TurnFact {
    /// A turn began.
    Started {
        /// Which.
        turn: RunTurn,
        /// Working directory.
        cwd: Option<String>,
    },
    /// A turn is over.
    Ended {
        /// Which.
        turn: RunTurn,
        /// Whether it went well.
        ok: bool,
        /// The agent's result class (`success`, `error_max_turns`, …).
        result: String,
        /// The agent's own measure, in milliseconds.
        duration_ms: Option<u64>,
        /// Tokens of this turn.
        usage: Usage,
        /// What the run has cost so far, in millionths of a US dollar.
        run_cost_micros: Option<u64>,
        /// Tool calls of this turn, by tool.
        tools: BTreeMap<String, u64>,
    },
    /// The model changed.
    ModelChanged {
        /// To which.
        model: String,
    },
    /// Tokens that the context now holds.
    ContextChanged {
        /// Tokens in the context.
        used_tokens: u64,
        /// Tokens that fit.
        window_tokens: Option<u64>,
    },
    /// What the agent says it is doing.
    StateChanged {
        /// Whether it compacts.
        compacting: bool,
    },
    /// The model's provider turned a call of it away, and it is made again.
    Retried,
    /// A subagent, joined to the call that started it.
    SubagentLinked {
        /// The subagent.
        subagent: SubagentId,
        /// The call.
        call: ToolCallId,
    },
    /// The host says how an ask ended that it held.
    AskEnded {
        /// The event that asked.
        ask: EventId,
        /// How.
        end: AskEnd,
        /// In words.
        reason: Option<String>,
    },
}

/// A process, named so that a reused pid is another process.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ProcessRef {
    /// Process id in ingest's pid namespace.
    pub pid: u32,
    /// Start time in clock ticks since boot (`/proc/<pid>/stat`, field 22).
    pub start_ticks: u64,
}

/// A process that a session runs in.
#[derive(Debug, Clone, PartialEq)]
pub enum ProcessFact {
    /// Ingest watches it from now on.
    Started(ProcessRef),
    /// The same, of a process that carries out what its session is told.
    Carries {
        /// Which.
        process: ProcessRef,
        /// As what, and what it can do.
        carrier: Box<Carrier>,
    },
    /// It is gone.
    Exited {
        /// Which.
        process: ProcessRef,
        /// Exit status where known; negative is a signal.
        status: Option<i32>,
    },
}

/// A host about itself.
#[derive(Debug, Clone, PartialEq)]
pub enum HostFact {
    /// Its ingest started.
    Started {
        /// Ingest's version.
        version: String,
        /// Ingest's start, unique.
        instance: InstanceId,
    },
    /// It works, but not fully.
    Degraded {
        /// What is wrong.
        reason: String,
    },
    /// It works fully again.
    Recovered,
    /// Its ingest stops on purpose.
    Stopping,
    /// What it can observe.
    Capability,
}

/// Something the orchestrator concluded, as far as state depends on it.
#[derive(Debug, Clone, PartialEq)]
pub enum Decision {
    /// A leader took over.
    LeaderElected {
        /// Which instance.
        instance: InstanceId,
        /// Its lease revision: grows with each election.
        term: u64,
    },
    /// A host's presence began.
    HostAdded,
    /// A host was removed by an operator.
    HostRemoved,
    /// A host's presence expired.
    HostLost,
    /// It is back.
    HostReturned,
    /// A session's state changed, as concluded.
    StateChanged {
        /// The new state.
        to: crate::state::SessionState,
        /// Why.
        reason: Option<String>,
    },
    /// A session's process is gone without a word.
    SessionLost {
        /// How it was noticed.
        reason: String,
    },
    /// Of a request for permission.
    Approval(ApprovalFact),
    /// A circuit opened, let one probe through, or closed.
    Circuit(crate::circuit::Change),
    /// Of work on a workspace.
    Lease(Box<LeaseFact>),
    /// Of what is known of the work on a workspace.
    WorkMemory(Box<crate::work_memory::WorkMemoryFact>),
    /// Of an experiment.
    Experiment(Box<crate::experiment::ExperimentFact>),
    /// Of the rules in force.
    Policy(PolicyFact),
    /// Of an order that hosts enforce.
    Hold(hold::Change),
    /// Of a budget.
    Budget(budget::Change),
    /// Of a session's context.
    Memory(crate::memory::MemoryFact),
    /// Of a session's context, checked on request.
    Context(Box<crate::context::ContextFact>),
    /// Of work, evaluated on request.
    Checkpoint(Box<crate::checkpoint::CheckpointFact>),
    /// Of a delegation.
    Delegation(crate::delegation::DelegationFact),
    /// Of something a host shall do.
    Effect(EffectFact),
    /// Of an alert.
    Alert(crate::alert::AlertFact),
    /// Of what is thought of sessions.
    Review(Box<crate::review::ReviewFact>),
    /// Of a message.
    Message(MessageFact),
}
