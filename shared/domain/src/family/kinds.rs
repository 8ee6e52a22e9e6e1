//! The kinds of each family. A closed family is an enum; an open one adds [`KindToken`] for names not known today.

use std::fmt;

/// Longest kind, in bytes: hook names are short, and a kind is part of every subject.
pub const KIND_BYTES_MAX: usize = 64;

/// A kind with no name of its own here: `snake_case`, one subject token.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KindToken(Box<str>);

impl KindToken {
    /// Takes a `snake_case` token of at most [`KIND_BYTES_MAX`] bytes.
    pub fn parse(text: &str) -> Option<Self> {
        let legal = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
        (!text.is_empty() && text.len() <= KIND_BYTES_MAX && text.bytes().all(legal)).then(|| Self(text.into()))
    }

    /// The nearest token to a name an agent invented: `MyHook` and `my-hook` become `my_hook`.
    pub fn from_name(name: &str) -> Option<Self> {
        let mut token = String::with_capacity(name.len() + 8);
        let mut after_lower = false;
        for c in name.chars() {
            if c.is_ascii_uppercase() {
                if after_lower {
                    token.push('_');
                }
                token.push(c.to_ascii_lowercase());
                after_lower = false;
            } else if c.is_ascii_lowercase() || c.is_ascii_digit() {
                token.push(c);
                after_lower = true;
            } else {
                if !token.is_empty() && !token.ends_with('_') {
                    token.push('_');
                }
                after_lower = false;
            }
        }
        token.truncate(KIND_BYTES_MAX);
        Self::parse(token.trim_end_matches('_'))
    }

    /// The token.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for KindToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &*self.0)
    }
}

macro_rules! closed {
    ($(#[$doc:meta])* $name:ident { $($variant:ident = $text:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $(#[doc = concat!("`", $text, "`")] $variant,)+ }

        impl $name {
            /// The subject token.
            pub const fn as_str(&self) -> &'static str {
                match self { $(Self::$variant => $text,)+ }
            }

            /// The kind of this token, if it is one.
            pub fn parse(text: &str) -> Option<Self> {
                match text { $($text => Some(Self::$variant),)+ _ => None }
            }

            pub(super) fn known() -> Vec<Self> {
                vec![$(Self::$variant,)+]
            }
        }
    };
}

macro_rules! open {
    ($(#[$doc:meta])* $name:ident { $($variant:ident = $text:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $(#[doc = concat!("`", $text, "`")] $variant,)+
            /// A kind not known today, kept under its own name.
            Other(KindToken),
        }

        impl $name {
            /// The subject token.
            pub fn as_str(&self) -> &str {
                match self { $(Self::$variant => $text,)+ Self::Other(token) => token.as_str() }
            }

            /// The kind of this token; `None` when it is no token.
            pub fn parse(text: &str) -> Option<Self> {
                match text { $($text => Some(Self::$variant),)+ _ => KindToken::parse(text).map(Self::Other) }
            }

            pub(super) fn known() -> Vec<Self> {
                vec![$(Self::$variant,)+]
            }
        }
    };
}

open! {
    /// Hooks: Claude Code's 33, trusty-mpm's further names, and whatever an agent invents.
    HookName {
        SessionStart = "session_start", SessionEnd = "session_end", Setup = "setup",
        UserPromptSubmit = "user_prompt_submit", UserPromptExpansion = "user_prompt_expansion",
        PreToolUse = "pre_tool_use", PostToolUse = "post_tool_use", PostToolUseFailure = "post_tool_use_failure",
        PostToolBatch = "post_tool_batch", PermissionRequest = "permission_request", PermissionDenied = "permission_denied",
        Notification = "notification", MessageDisplay = "message_display",
        Stop = "stop", StopFailure = "stop_failure", SubagentStart = "subagent_start", SubagentStop = "subagent_stop",
        PreCompact = "pre_compact", PostCompact = "post_compact",
        PreModelSwitch = "pre_model_switch", PostModelSwitch = "post_model_switch",
        TeammateIdle = "teammate_idle", TaskCreated = "task_created", TaskCompleted = "task_completed",
        Elicitation = "elicitation", ElicitationResult = "elicitation_result", ConfigChange = "config_change",
        InstructionsLoaded = "instructions_loaded", CwdChanged = "cwd_changed", FileChanged = "file_changed",
        DirectoryAdded = "directory_added", WorktreeCreate = "worktree_create", WorktreeRemove = "worktree_remove",
        SubagentStopFailure = "subagent_stop_failure", TokenUsageUpdate = "token_usage_update",
        TaskUpdated = "task_updated", TaskStopped = "task_stopped", PermissionGranted = "permission_granted",
        McpServerConnected = "mcp_server_connected", McpServerDisconnected = "mcp_server_disconnected",
        ErrorRaised = "error_raised", SkillActivated = "skill_activated",
    }
}

impl HookName {
    /// The hook of the name an agent sent, in whatever case it writes names; `None` when no letter or digit is left of it.
    pub fn from_agent(name: &str) -> Option<Self> {
        KindToken::from_name(name).and_then(|token| Self::parse(token.as_str()))
    }
}

closed! {
    /// Turns, as read from an agent's printed lines.
    TurnKind {
        TurnStart = "turn_start", Note = "note", TurnEnd = "turn_end", StatusChanged = "status_changed",
        ModelChanged = "model_changed", TokenUsageChanged = "token_usage_changed", TurnStateChanged = "turn_state_changed",
    }
}
closed! {
    /// Lines an agent prints.
    OutputKind { Stream = "stream" }
}
closed! {
    /// Receipts of effects.
    EffectReceiptKind { Accepted = "accepted", Done = "done", Failed = "failed" }
}
closed! {
    /// Lives of processes.
    LifecycleKind {
        Started = "started", Exited = "exited", DescendantStarted = "descendant_started", DescendantExited = "descendant_exited",
    }
}
closed! {
    /// Files a process touched.
    FileKind { Open = "open", Write = "write", Close = "close", Unlink = "unlink", Rename = "rename" }
}
closed! {
    /// Connections a process made.
    NetworkKind { Connect = "connect", Listen = "listen" }
}
open! {
    /// Other things a process did; the set grows with the platforms.
    ProcessKind { Exec = "exec" }
}
closed! {
    /// What a host says of itself.
    HostStatusKind {
        Started = "started", Degraded = "degraded", Recovered = "recovered", Stopping = "stopping", Capability = "capability",
    }
}
closed! {
    /// Session state and leases.
    StatusKind {
        StartSession = "start_session", HeartbeatSession = "heartbeat_session", ClearSession = "clear_session",
        TakeoverSession = "takeover_session", EvaluateContextRefresh = "evaluate_context_refresh",
        StateChanged = "state_changed", SessionLost = "session_lost",
        SetEscalation = "set_escalation", ClearEscalation = "clear_escalation",
        ReplaceExecutionGates = "replace_execution_gates", SeedExecutionGates = "seed_execution_gates",
        SetExecutionGateStatus = "set_execution_gate_status", AdvanceExecutionGates = "advance_execution_gates",
        ClearExecutionGates = "clear_execution_gates",
        WriteHandoff = "write_handoff", WriteRecovery = "write_recovery",
    }
}
closed! {
    /// Something needs a human.
    ApprovalRequiredKind { PolicyCheck = "policy_check", PermissionRequest = "permission_request", Question = "question" }
}
closed! {
    /// How it ended.
    ApprovalResolvedKind {
        Approved = "approved", Denied = "denied", Expired = "expired", AnsweredElsewhere = "answered_elsewhere", Withdrawn = "withdrawn",
    }
}
closed! {
    /// Checkpoints.
    CheckpointKind { EvaluateCheckpoint = "evaluate_checkpoint", EvaluateCloseout = "evaluate_closeout" }
}
closed! {
    /// What is known of work, by CCD's names of the operations.
    WorkMemoryKind {
        SubmitMemoryEvidence = "submit_memory_evidence", ExtractMemoryCandidates = "extract_memory_candidates",
        AdmitMemoryCandidate = "admit_memory_candidate", PromoteMemory = "promote_memory", CompactMemory = "compact_memory",
    }
}
closed! {
    /// Memory.
    MemoryCompactionKind { CompactMemory = "compact_memory", PressureChanged = "pressure_changed" }
}
closed! {
    /// Lives of delegations.
    DelegationKind {
        Queued = "queued", Running = "running", Completed = "completed", Failed = "failed", Cancelled = "cancelled",
        Stale = "stale", Refused = "refused",
    }
}
closed! {
    /// Circuit breakers.
    CircuitKind { Opened = "opened", HalfOpened = "half_opened", Closed = "closed" }
}
closed! {
    /// Holds.
    HoldKind { Set = "set", Released = "released", Confirmed = "confirmed" }
}
closed! {
    /// Budgets.
    BudgetKind { Set = "set", Removed = "removed", Warned = "warned", Exceeded = "exceeded" }
}
closed! {
    /// Comparisons of sessions.
    ExperimentKind {
        Created = "created", Started = "started", Tagged = "tagged", Concluded = "concluded", Archived = "archived",
    }
}
closed! {
    /// Policy.
    PolicyKind { Activated = "activated" }
}
closed! {
    /// Messages between agents and operators.
    MessageKind { Sent = "sent", Delivered = "delivered", Acked = "acked", Answered = "answered", Expired = "expired" }
}
closed! {
    /// Presence of hosts, as concluded.
    RuntimeHostKind { Added = "added", Removed = "removed", Lost = "lost", Returned = "returned" }
}
closed! {
    /// Alerts.
    AlertKind { Raised = "raised", Cleared = "cleared" }
}
closed! {
    /// What is said of sessions.
    FeedbackKind { Annotated = "annotated" }
}
closed! {
    /// Sessions that are kept.
    CaseKind { Created = "created", Archived = "archived" }
}
closed! {
    /// Queries, with something to be done about each session they find.
    RuleKind { Created = "created", Enabled = "enabled", Disabled = "disabled", Ran = "ran" }
}
closed! {
    /// Sessions that wait for somebody to look at them.
    ReviewKind { Queued = "queued", Resolved = "resolved", Dismissed = "dismissed" }
}
closed! {
    /// What a host shall do.
    EffectKind { Requested = "requested", Withdrawn = "withdrawn" }
}
closed! {
    /// Who leads.
    LeaderKind { Elected = "elected" }
}
closed! {
    /// Telling somebody.
    DeliveryKind {
        Sent = "sent", Delivered = "delivered", Failed = "failed", Parked = "parked", Suppressed = "suppressed",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hook_names_are_found_in_any_case() {
        for name in ["PreToolUse", "preToolUse", "pre_tool_use", "pre-tool-use"] {
            assert_eq!(HookName::from_agent(name), Some(HookName::PreToolUse), "{name}");
        }
        assert_eq!(HookName::from_agent("BeforeTool").unwrap().as_str(), "before_tool");
        assert_eq!(HookName::from_agent("??"), None);
        assert_eq!(HookName::from_agent("command:new").unwrap().as_str(), "command_new");
    }

    #[test]
    fn a_long_invented_name_is_cut_to_a_token() {
        assert!(HookName::from_agent(&"A1".repeat(200)).unwrap().as_str().len() <= KIND_BYTES_MAX);
    }
}
