//! Requests to the orchestrator: `orchestrator.v1.<noun>.<verb>.<caller>`.
//!
//! The caller is the last token, so that a publish permission can pin it: a request cannot lie about who asks. No stream
//! may ever capture these subjects, or the stream's acknowledgement would be taken for the answer.

use muster_domain::names::{HostName, NameError};
use std::fmt;

/// The prefix every request subject begins with.
const PREFIX: &str = "orchestrator.v1";

/// What somebody must be to ask for something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Looks.
    Viewer,
    /// Works: a host and the agents on it.
    Agent,
    /// Decides: whoever has the operator token.
    Operator,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Viewer => "viewer",
            Self::Agent => "agent",
            Self::Operator => "operator",
        })
    }
}

macro_rules! operations {
    ($(
        $(#[doc = $about:literal])+
        $variant:ident = $noun:literal . $verb:literal, $role:ident $(, tool $tool:literal)? $(, cli $cli:literal)?;
    )+) => {
        /// What can be asked of the orchestrator: the one table from which its subject, its tool for agents and its command
        /// follow.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Operation { $($(#[doc = $about])+ $variant,)+ }

        impl Operation {
            /// Every operation.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            /// Noun and verb: two subject tokens.
            pub const fn tokens(self) -> (&'static str, &'static str) {
                match self { $(Self::$variant => ($noun, $verb),)+ }
            }

            /// What its caller must be.
            pub const fn role(self) -> Role {
                match self { $(Self::$variant => Role::$role,)+ }
            }

            /// What it is, in a sentence.
            pub const fn about(self) -> &'static str {
                match self { $(Self::$variant => concat!($($about),+).trim_ascii(),)+ }
            }

            /// The tool by which agents ask for it, where they may.
            pub const fn tool(self) -> Option<&'static str> {
                match self { $(Self::$variant => first(&[$($tool)?]),)+ }
            }

            /// The command that asks for it, as in `sessions list`.
            pub const fn command(self) -> Option<&'static str> {
                match self { $(Self::$variant => first(&[$($cli)?]),)+ }
            }
        }
    };
}

/// What an optional part of a row says.
const fn first(given: &[&'static str]) -> Option<&'static str> {
    match given {
        [] => None,
        [said, ..] => Some(said),
    }
}

operations! {
    /// Version range and identity.
    Hello = "service"."hello", Viewer;
    /// Uptime, position in the log, queue depth, last error.
    Status = "service"."status", Viewer, tool "orchestrator_status";
    /// Sessions, paged and filtered.
    SessionsList = "sessions"."list", Viewer, tool "session_list", cli "sessions list";
    /// One session, as the list shows it.
    SessionsStatus = "sessions"."status", Viewer, tool "session_status";
    /// One session with turns, spans and paged events.
    SessionsDetail = "sessions"."detail", Viewer, tool "session_detail", cli "sessions show";
    /// Sessions that a query names, as in `agent=codex errors>2`, those that began last first.
    SessionsQuery = "sessions"."query", Viewer, tool "session_query", cli "sessions query";
    /// Prompts, tool calls, messages and errors that have these words, the best match first.
    SessionsSearch = "sessions"."search", Viewer, tool "session_search", cli "search";
    /// Sessions added up: by state, agent, model and host, with tokens, dollars and tools.
    SessionsSummary = "sessions"."summary", Viewer, tool "session_summary", cli "summary";
    /// Hot files, slow tools, sinks of tokens, and agents that fail most, of the last days.
    SessionsMetrics = "sessions"."metrics", Viewer, tool "session_metrics", cli "metrics";
    /// Who works on which workspace.
    SessionsLeases = "sessions"."leases", Viewer, tool "lease_list", cli "lease list";
    /// Begins work on a workspace, or goes on with it.
    SessionsStart = "sessions"."start", Agent, cli "lease start";
    /// Keeps a program's work.
    SessionsHeartbeat = "sessions"."heartbeat", Agent, cli "lease heartbeat";
    /// Ends work.
    SessionsClear = "sessions"."clear", Agent, cli "lease clear";
    /// Takes work over from a program that does not keep it.
    SessionsTakeover = "sessions"."takeover", Agent, cli "lease takeover";
    /// What the work of a workspace left to whoever goes on with it.
    HandoffsGet = "handoffs"."get", Viewer, tool "handoff_get", cli "handoff show";
    /// Leaves a handoff to whoever goes on with leased work.
    HandoffsWrite = "handoffs"."write", Agent, tool "handoff_write", cli "handoff write";
    /// Leaves what is needed to go on with leased work that is interrupted.
    RecoveriesWrite = "recoveries"."write", Agent, tool "recovery_write", cli "recovery write";
    /// Whether a session shall go on with the context it has.
    ContextCheck = "context"."check", Agent, tool "context_check", cli "context check";
    /// How work stands, in the middle of it.
    CheckpointsEvaluate = "checkpoints"."evaluate", Agent, tool "checkpoint_evaluate", cli "checkpoint";
    /// How work stands at its end, and whether it can be left.
    CheckpointsCloseout = "checkpoints"."closeout", Agent, tool "checkpoint_closeout", cli "closeout";
    /// What waits for somebody in leased work.
    EscalationsList = "escalations"."list", Viewer, tool "escalation_list", cli "escalation list";
    /// Says that something waits for somebody; a blocking one stops what policy is asked for.
    EscalationsSet = "escalations"."set", Agent, tool "escalation_set", cli "escalation set";
    /// Says that it does no longer.
    EscalationsClear = "escalations"."clear", Agent, tool "escalation_clear", cli "escalation clear";
    /// The execution gates of leased work, and the first that is not passed.
    GatesList = "gates"."list", Viewer, tool "gate_list", cli "gate list";
    /// Other gates in place of those there are.
    GatesReplace = "gates"."replace", Agent, tool "gate_replace", cli "gate replace";
    /// Gates where there are none.
    GatesSeed = "gates"."seed", Agent, tool "gate_seed", cli "gate seed";
    /// How far one gate is.
    GatesSetStatus = "gates"."set_status", Agent, tool "gate_set_status", cli "gate set";
    /// Passes the first gate that is not passed.
    GatesAdvance = "gates"."advance", Agent, tool "gate_advance", cli "gate advance";
    /// Takes all gates away.
    GatesClear = "gates"."clear", Agent, tool "gate_clear", cli "gate clear";
    /// Keeps what shows how work on a workspace goes: a transcript, a log, a document.
    MemoriesSubmit = "memories"."submit", Agent, tool "work_memory_submit", cli "memory submit";
    /// Draws candidates from evidence; what is known already is counted, and affirmed.
    MemoriesExtract = "memories"."extract", Agent, tool "work_memory_extract", cli "memory extract";
    /// Makes a candidate an entry, which whoever works there is told.
    MemoriesAdmit = "memories"."admit", Agent, tool "work_memory_admit", cli "memory admit";
    /// Makes an entry durable; policy decides whether an agent may, and by default an operator has to.
    MemoriesPromote = "memories"."promote", Agent, tool "work_memory_promote", cli "memory promote";
    /// Takes away what is said twice, no longer affirmed, or replaced; a preview unless `write`.
    MemoriesCompact = "memories"."compact", Agent, tool "work_memory_compact", cli "memory compact";
    /// What is known of the work on a workspace, searched and paged.
    MemoriesList = "memories"."list", Viewer, tool "work_memory_list", cli "memory list";
    /// One entry or candidate, and what it was drawn from.
    MemoriesGet = "memories"."get", Viewer, tool "work_memory_get", cli "memory show";
    /// How much is known in a workspace, and how much may be.
    MemoriesDescribe = "memories"."describe", Viewer, tool "work_memory_describe", cli "memory describe";
    /// Which evidence there is, and what came of it.
    MemoriesSources = "memories"."sources", Viewer, tool "work_memory_sources", cli "memory sources";
    /// What a subagent needs to begin in a workspace, in at most 16 KiB.
    WorkspacesBootstrap = "workspaces"."bootstrap", Viewer, tool "workspace_bootstrap", cli "bootstrap";
    /// Hosts.
    HostsList = "hosts"."list", Viewer, tool "host_list";
    /// The digest of the folded state at a position, for audits.
    AuditDigest = "audit"."digest", Viewer, cli "audit";
    /// The rules in force.
    PolicyShow = "policy"."show", Viewer, tool "policy_show", cli "policy show";
    /// Rules into force, in place of others.
    PolicyActivate = "policy"."activate", Operator, cli "policy activate";
    /// Whether an action may happen.
    PolicyCheck = "policy"."check", Agent, tool "policy_check";
    /// What waits for somebody's answer, paged and filtered.
    ApprovalsList = "approvals"."list", Viewer, tool "approval_list", cli "approvals";
    /// One approval, open or answered.
    ApprovalsGet = "approvals"."get", Viewer, tool "approval_get", cli "approvals show";
    /// The answer to one.
    ApprovalsResolve = "approvals"."resolve", Operator, tool "approval_resolve", cli "approve";
    /// How long turns take, how they end, what they use.
    TurnsStats = "turns"."stats", Viewer, tool "turn_stats", cli "stats";
    /// What somebody should look at: sessions that are stuck, wait, fail, or cost too much.
    AlertsList = "alerts"."list", Viewer, tool "alert_list", cli "alerts";
    /// Says what you think of a session: a score, a label, a note.
    FeedbackAnnotate = "feedback"."annotate", Agent, tool "kaizen_annotate_session", cli "feedback add";
    /// What was said of sessions, the latest first.
    FeedbackList = "feedback"."list", Viewer, tool "feedback_list", cli "feedback list";
    /// Sessions that deserve a case and have none, and why: bad feedback, failed turns, alerts.
    CasesMine = "cases"."mine", Viewer, tool "kaizen_cases_mine", cli "case mine";
    /// Keeps a session as a case, with a reason.
    CasesCreate = "cases"."create", Agent, tool "kaizen_cases_create", cli "case create";
    /// Cases, the latest first.
    CasesList = "cases"."list", Viewer, tool "kaizen_cases_list", cli "case list";
    /// One case, with its session and what was said of it.
    CasesGet = "cases"."get", Viewer, tool "kaizen_cases_show", cli "case show";
    /// Puts a case away.
    CasesArchive = "cases"."archive", Operator, tool "kaizen_cases_archive", cli "case archive";
    /// A rule: a query, and what is done about each session that it finds, once.
    RulesCreate = "rules"."create", Operator, tool "kaizen_rules_create", cli "rule create";
    /// Every rule, and about how many sessions it did something.
    RulesList = "rules"."list", Viewer, tool "kaizen_rules_list", cli "rule list";
    /// Switches a rule on.
    RulesEnable = "rules"."enable", Operator, tool "kaizen_rules_enable", cli "rule enable";
    /// Switches a rule off, and clears its alerts.
    RulesDisable = "rules"."disable", Operator, tool "kaizen_rules_disable", cli "rule disable";
    /// Does what rules say about each session that they find and did nothing about yet.
    RulesRun = "rules"."run", Operator, tool "kaizen_rules_run", cli "rule run";
    /// Sessions that wait for somebody to look at them, the latest first.
    ReviewsList = "reviews"."list", Viewer, tool "kaizen_review_list", cli "review list";
    /// One of them, with its session and what was said of it.
    ReviewsGet = "reviews"."get", Viewer, tool "kaizen_review_show", cli "review show";
    /// Says that somebody looked at it, and that is that.
    ReviewsResolve = "reviews"."resolve", Operator, tool "kaizen_review_resolve", cli "review resolve";
    /// Says that nobody need look at it.
    ReviewsDismiss = "reviews"."dismiss", Operator, tool "kaizen_review_dismiss", cli "review dismiss";
    /// How full a session's context is, and what that asks for.
    MemoryReport = "memory"."report", Viewer, tool "memory_report";
    /// Has a session's context compacted, unless that is under way or would find nothing.
    MemoryCompact = "memory"."compact", Agent, tool "memory_compact", cli "session compact";
    /// Ends a session's running turn.
    SessionsInterrupt = "sessions"."interrupt", Operator, tool "session_interrupt", cli "session interrupt";
    /// Ends what runs a session.
    SessionsStop = "sessions"."stop", Operator, tool "session_stop", cli "session stop";
    /// Has a session's next turn begin a new conversation, once.
    SessionsReset = "sessions"."reset", Operator, tool "session_new", cli "session new";
    /// Has a session use another model from its next turn on.
    SessionsModel = "sessions"."model", Operator, tool "session_model", cli "session model";
    /// Begins a session on a host, of a template that the host knows.
    SessionsSpawn = "sessions"."spawn", Operator, tool "session_spawn", cli "session spawn";
    /// What hosts are told to do, the latest first.
    EffectsList = "effects"."list", Viewer, tool "effect_list", cli "effects";
    /// One of that, and what became of it.
    EffectsGet = "effects"."get", Viewer, tool "effect_get";
    /// A message to a session, to the operator, or to every live session.
    MessagesSend = "messages"."send", Agent, tool "send", cli "message send";
    /// What waits in your inbox, for five minutes yours; may wait for it.
    MessagesReceive = "messages"."receive", Agent, tool "recv", cli "message recv";
    /// Says that messages were read, so that they are not offered again.
    MessagesAck = "messages"."ack", Agent, tool "ack", cli "message ack";
    /// A question to a session or to the operator; the answer comes as a message.
    MessagesAsk = "messages"."ask", Agent, tool "ask", cli "message ask";
    /// The answer to a question.
    MessagesAnswer = "messages"."answer", Agent, tool "answer", cli "message answer";
    /// A message to yourself, at its time.
    MessagesRemind = "messages"."remind", Agent, tool "remind", cli "message remind";
    /// Takes back a message that was not read, or a question that was not answered.
    MessagesCancel = "messages"."cancel", Agent, tool "cancel_thread", cli "message cancel";
    /// An inbox, the latest first.
    MessagesList = "messages"."list", Viewer, tool "message_list", cli "message list";
    /// Questions and reminders that are open.
    MessagesThreads = "messages"."threads", Viewer, tool "open_threads", cli "message threads";
    /// Who you are here, and what waits for you.
    Whoami = "messages"."whoami", Viewer, tool "whoami";
    /// Work that a session hands to a named agent.
    DelegationsDelegate = "delegations"."delegate", Agent, tool "agent_delegate";
    /// Delegations, the latest first.
    DelegationsList = "delegations"."list", Viewer, tool "delegation_list";
    /// One delegation.
    DelegationsGet = "delegations"."get", Viewer, tool "delegation_get";
    /// Takes one back.
    DelegationsCancel = "delegations"."cancel", Agent, tool "delegation_cancel";
    /// Circuits, of one agent or of all.
    CircuitsStatus = "circuits"."status", Viewer, tool "circuit_breaker_status", cli "circuit";
    /// Whether a run of an agent whose circuit is open may go ahead, as its one probe.
    CircuitsProbe = "circuits"."probe", Agent;
    /// Forgive an agent what it failed at.
    CircuitsReset = "circuits"."reset", Operator, tool "circuit_reset", cli "circuit reset";
    /// Orders that hosts enforce, and which hosts do.
    HoldsList = "holds"."list", Viewer, tool "hold_list", cli "holds";
    /// Holds new tool calls, or treats sessions as unattended.
    HoldsSet = "holds"."set", Operator, tool "hold_set", cli "hold";
    /// Ends such orders.
    HoldsRelease = "holds"."release", Operator, tool "hold_release", cli "release";
    /// Budgets, and how they stand.
    BudgetsList = "budgets"."list", Viewer, tool "budget_list", cli "budget list";
    /// Sets a budget, or another limit for one.
    BudgetsSet = "budgets"."set", Operator, tool "budget_set", cli "budget set";
    /// Ends a budget.
    BudgetsRemove = "budgets"."remove", Operator, tool "budget_remove", cli "budget remove";
    /// Plans a comparison of sessions with a change to those without.
    ExperimentsCreate = "experiments"."create", Operator, tool "experiment_create", cli "experiment new";
    /// Experiments, the latest first.
    ExperimentsList = "experiments"."list", Viewer, tool "experiment_list", cli "experiment list";
    /// One experiment, with its figures so far.
    ExperimentsGet = "experiments"."get", Viewer, tool "experiment_get", cli "experiment show";
    /// Has sessions that begin from now on count.
    ExperimentsStart = "experiments"."start", Operator, tool "experiment_start", cli "experiment start";
    /// Puts a session on a side of an experiment.
    ExperimentsTag = "experiments"."tag", Agent, tool "experiment_tag", cli "experiment tag";
    /// Makes an experiment's figures final.
    ExperimentsConclude = "experiments"."conclude", Operator, tool "experiment_conclude", cli "experiment conclude";
    /// Takes an experiment out of the way.
    ExperimentsArchive = "experiments"."archive", Operator, tool "experiment_archive", cli "experiment archive";
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (noun, verb) = self.tokens();
        write!(f, "{noun}.{verb}")
    }
}

/// Who asks: a host, an operator or a service, as one subject token.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Caller(HostName);

impl Caller {
    /// Takes a name that is one subject token.
    ///
    /// # Errors
    /// [`NameError`] under the rules of host names.
    pub fn new(name: &str) -> Result<Self, NameError> {
        HostName::new(name).map(Self)
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

/// Where one request is published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// What is asked.
    pub operation: Operation,
    /// Who asks.
    pub caller: Caller,
}

impl Request {
    /// Every request of every caller, as a permission names them.
    pub const EVERY: &str = "orchestrator.v1.>";

    /// Reads a request subject; `None` when it is none.
    pub fn parse(text: &str) -> Option<Self> {
        let tokens: Vec<&str> = text.strip_prefix(PREFIX)?.strip_prefix('.')?.split('.').collect();
        let [noun, verb, caller] = tokens[..] else {
            return None;
        };
        let operation = Operation::ALL
            .iter()
            .copied()
            .find(|operation| operation.tokens() == (noun, verb))?;
        Some(Self {
            operation,
            caller: Caller::new(caller).ok()?,
        })
    }

    /// What the answering side subscribes to: one operation of any caller.
    pub fn endpoint(operation: Operation) -> String {
        format!("{PREFIX}.{operation}.*")
    }
}

impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}.{}.{}", self.operation, self.caller.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_request_subject_reads_back() {
        for operation in Operation::ALL.iter().copied() {
            let request = Request {
                operation,
                caller: Caller::new("op-anna").unwrap(),
            };
            assert_eq!(Request::parse(&request.to_string()), Some(request));
        }
        assert_eq!(Request::parse("orchestrator.v1.sessions.list"), None);
        assert_eq!(Request::parse("orchestrator.v1.sessions.list.a.b"), None);
    }
}
