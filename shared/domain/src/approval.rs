//! Requests for permission: from the ask to whoever answered first.
//!
//! An approval begins with an observation whose hook a host holds open, or with a request, and ends exactly once: answered
//! by somebody, at the agent's own terminal, by a rule, by its deadline, or because nobody waits any more. Who was first is
//! decided by the log: the first resolution folded counts, and nobody writes a second.
//!
//! Between beginning and end it is announced: once at once, again as a reminder, again as an escalation.

mod answer;
mod conclude;

pub use answer::{Answer, Refusal, Resolved, Verdict, resolve};
pub(crate) use conclude::{catch_up, due, expire, react};

use crate::fact::{Held, Hook, InputDigest, ToolUse};
use crate::family::{ApprovalRequiredKind, ApprovalResolvedKind, EventType};
use crate::fleet::SessionKey;
use crate::ids::EventId;
use crate::names::{AgentName, HostName, Profile, PromptId, SubagentId, ToolCallId, ToolName};
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// How many that ended are kept, whatever their age: what tells a late answer who was first.
const ENDED_MAX: usize = 4096;

/// Names an approval: the event that asked.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ApprovalId(EventId);

impl ApprovalId {
    /// The approval that this event asked for.
    pub const fn of(event: EventId) -> Self {
        Self(event)
    }

    /// The event that asked.
    pub const fn event(self) -> EventId {
        self.0
    }
}

impl fmt::Display for ApprovalId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl FromStr for ApprovalId {
    type Err = <EventId as FromStr>::Err;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

/// When people are told again. Replicas of one fleet must be told the same.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// After how long an approval nobody answered is announced again.
    pub remind: Duration,
    /// After how long it is announced as escalated.
    pub escalate: Duration,
    /// What the agent is told when nobody answered in time.
    pub fallback: Fallback,
    /// How long an ended approval is kept.
    pub keep: Duration,
}

impl Default for Settings {
    /// A reminder after two minutes, an escalation after five: both well inside the 570 s that a hook waits.
    fn default() -> Self {
        Self {
            remind: Duration::from_mins(2),
            escalate: Duration::from_mins(5),
            fallback: Fallback::Agent,
            keep: Duration::from_hours(24),
        }
    }
}

/// What happens when nobody answered in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fallback {
    /// The agent decides as if nobody had been asked: its own dialog, or its own refusal.
    #[default]
    Agent,
    /// The call is denied.
    Deny,
}

/// What kind of thing is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// May this tool run?
    PermissionRequest,
    /// A question of the agent to its user.
    Question,
    /// A rule wants a person to look first.
    PolicyCheck,
}

/// How urgently it was announced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// For the first time.
    Asked,
    /// Again.
    Reminded,
    /// Again, to whoever else can answer.
    Escalated,
}

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Asked {
    /// What kind of thing.
    pub kind: Kind,
    /// The tool that is to run.
    pub tool: ToolName,
    /// Its call, where the ask itself named it.
    pub call: Option<ToolCallId>,
    /// The subagent that asks; none is the main thread.
    pub subagent: Option<SubagentId>,
    /// The prompt it belongs to.
    pub prompt: Option<PromptId>,
    /// Digest of its input.
    pub digest: InputDigest,
    /// One line for people.
    pub summary: Option<Box<str>>,
    /// Where it would run.
    pub cwd: Option<Box<str>>,
    /// The permission mode it is asked in.
    pub permission_mode: Option<Box<str>>,
    /// The input, whole, as JSON; gone when it ended.
    pub input: Option<Box<str>>,
    /// Rules that the agent offers to add, as JSON; gone when it ended.
    pub suggestions: Option<Box<str>>,
    /// Where the whole payload lies when it is too large for an event.
    pub overflow: Option<Box<str>>,
}

/// Who ended it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(tag = "kind", content = "name", rename_all = "snake_case")]
pub enum By {
    /// An operator, by the name the request came under.
    Operator(Box<str>),
    /// A rule.
    Policy(Box<str>),
    /// Whoever sits at the agent's own dialog.
    Terminal,
    /// Nobody, in time.
    Deadline,
    /// The host, because nobody waits there any more.
    Host,
    /// Nobody: the session is over.
    SessionOver,
}

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Yes.
    Approved,
    /// No.
    Denied,
    /// Nobody answered in time.
    Expired,
    /// At the agent's own dialog; what was answered shows in what the agent does next.
    AnsweredElsewhere,
    /// Nobody waits for an answer any more.
    Withdrawn,
}

/// For how long an answer holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// For this call.
    #[default]
    Once,
    /// For calls like it, until the session ends.
    Session,
}

/// How it ended, and all that the waiting agent needs of it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Resolution {
    /// How.
    pub outcome: Outcome,
    /// By whom.
    pub by: By,
    /// In their words; a denied agent reads them.
    pub reason: Option<Box<str>>,
    /// For how long.
    pub scope: Scope,
    /// Whether the agent shall stop instead of trying something else.
    pub interrupt: bool,
    /// The input that the tool shall run with instead, as JSON; a question's answers are in it.
    pub updated_input: Option<Box<str>>,
    /// What an agent is told that nobody answered.
    pub fallback: Option<Fallback>,
    /// The request that brought it.
    pub request: Option<Box<str>>,
}

/// A word from the host on an ask that it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AskEnd {
    /// The agent's own dialog was answered.
    Answered,
    /// The hook that waited is gone.
    Released,
}

/// Someone waits for an answer, or did.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Approval {
    /// Whose; a policy check may have none.
    pub session: Option<SessionKey>,
    /// The product that asks.
    pub agent: Option<AgentName>,
    /// The session's profile.
    pub profile: Option<Profile>,
    /// What is asked.
    pub asked: Box<Asked>,
    /// Since when.
    pub at: Timestamp,
    /// Until when.
    pub deadline: Timestamp,
    /// What the agent is told when nobody answers.
    pub fallback: Fallback,
    /// How it was last announced.
    pub stage: Option<Stage>,
    /// What the host last said of it.
    pub(crate) ended: Option<(AskEnd, Option<Box<str>>)>,
    /// How it ended, and when.
    pub resolution: Option<(Timestamp, Box<Resolution>)>,
}

impl Approval {
    /// Whether it still waits.
    pub const fn is_open(&self) -> bool {
        self.resolution.is_none()
    }

    /// When time alone will make something of it: the next announcement, or the end.
    pub(crate) fn next(&self, settings: &Settings) -> Timestamp {
        let next = match self.stage {
            None => self.deadline,
            Some(Stage::Asked) => self.at.after(settings.remind),
            Some(Stage::Reminded) => self.at.after(settings.escalate),
            Some(Stage::Escalated) => self.deadline,
        };
        next.min(self.deadline)
    }
}

/// What the log says of approvals.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ApprovalFact {
    /// One was announced.
    Required {
        /// Which.
        id: ApprovalId,
        /// How urgently.
        stage: Stage,
        /// Until when.
        deadline: Timestamp,
        /// What the agent is told when nobody answers.
        fallback: Fallback,
        /// What is asked: what makes one known that no observation asked for.
        asked: Box<Asked>,
    },
    /// One ended.
    Resolved {
        /// Which.
        id: ApprovalId,
        /// How.
        resolution: Box<Resolution>,
    },
}

impl ApprovalFact {
    pub(crate) const fn event_type(&self) -> EventType {
        match self {
            Self::Required { asked, .. } => EventType::ApprovalRequired(match asked.kind {
                Kind::PermissionRequest => ApprovalRequiredKind::PermissionRequest,
                Kind::Question => ApprovalRequiredKind::Question,
                Kind::PolicyCheck => ApprovalRequiredKind::PolicyCheck,
            }),
            Self::Resolved { resolution, .. } => EventType::ApprovalResolved(match resolution.outcome {
                Outcome::Approved => ApprovalResolvedKind::Approved,
                Outcome::Denied => ApprovalResolvedKind::Denied,
                Outcome::Expired => ApprovalResolvedKind::Expired,
                Outcome::AnsweredElsewhere => ApprovalResolvedKind::AnsweredElsewhere,
                Outcome::Withdrawn => ApprovalResolvedKind::Withdrawn,
            }),
        }
    }

    pub(crate) fn identity(&self) -> String {
        match self {
            Self::Required { id, stage, .. } => format!("{id} {stage:?}"),
            Self::Resolved { id, .. } => id.to_string(),
        }
    }
}

/// All approvals that wait, and the latest that ended.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct Approvals {
    all: BTreeMap<ApprovalId, Box<Approval>>,
    /// Open ones by session.
    open: BTreeSet<(Option<SessionKey>, ApprovalId)>,
    /// Open ones by when time will make something of them.
    agenda: BTreeSet<(Timestamp, ApprovalId)>,
    /// Ended ones by when they are forgotten.
    ended: BTreeSet<(Timestamp, ApprovalId)>,
}

/// Whose an approval is, and by which event and when it came up.
pub(crate) struct Origin<'a> {
    pub(crate) id: ApprovalId,
    pub(crate) session: Option<SessionKey>,
    pub(crate) agent: Option<&'a AgentName>,
    pub(crate) profile: Option<&'a Profile>,
    pub(crate) at: Timestamp,
}

impl Approvals {
    /// The approval of this id.
    pub fn get(&self, id: ApprovalId) -> Option<&Approval> {
        self.all.get(&id).map(|approval| &**approval)
    }

    /// All that are known, oldest ask first where ids are made by time.
    pub fn iter(&self) -> impl Iterator<Item = (ApprovalId, &Approval)> {
        self.all.iter().map(|(id, approval)| (*id, &**approval))
    }

    /// Those after `id`.
    pub fn after(&self, id: ApprovalId) -> impl Iterator<Item = (ApprovalId, &Approval)> {
        use std::ops::Bound::{Excluded, Unbounded};
        let rest = self.all.range((Excluded(id), Unbounded));
        rest.map(|(id, approval)| (*id, &**approval))
    }

    /// How many wait.
    pub fn waiting(&self) -> usize {
        self.open.len()
    }

    pub(crate) fn open_of(&self, session: &SessionKey) -> impl Iterator<Item = ApprovalId> + '_ {
        let session = Some(session.clone());
        let first = (session.clone(), ApprovalId::of(EventId::from_uuid(uuid::Uuid::nil())));
        let rest = self.open.range(first..);
        rest.take_while(move |(of, _)| *of == session).map(|(_, id)| *id)
    }

    pub(crate) fn open(&self) -> impl Iterator<Item = ApprovalId> + '_ {
        self.open.iter().map(|(_, id)| *id)
    }

    pub(crate) fn agenda(&self) -> impl Iterator<Item = (Timestamp, ApprovalId)> + '_ {
        self.agenda.iter().copied()
    }

    /// A hook that asks and is held.
    pub(crate) fn ask(&mut self, origin: Origin<'_>, hook: &Hook, used: &ToolUse, held: &Held, settings: &Settings) {
        let text = |text: &Option<String>| text.as_deref().map(Into::into);
        let asked = Asked {
            kind: if used.asks_user {
                Kind::Question
            } else {
                Kind::PermissionRequest
            },
            tool: used.tool.clone(),
            call: used.call.clone(),
            subagent: hook.subagent.clone(),
            prompt: hook.prompt.clone(),
            digest: used.input,
            summary: text(&used.summary),
            cwd: text(&hook.cwd),
            permission_mode: text(&hook.permission_mode),
            input: held.input.clone(),
            suggestions: held.suggestions.clone(),
            overflow: held.overflow.clone(),
        };
        let deadline = origin.at.after(held.wait);
        self.begin(origin, asked, deadline, None, settings);
    }

    fn begin(
        &mut self,
        origin: Origin<'_>,
        asked: Asked,
        deadline: Timestamp,
        stage: Option<Stage>,
        settings: &Settings,
    ) {
        // An id is chosen where it is reported: whoever says one again must not change what people read under it.
        if self.all.contains_key(&origin.id) {
            return;
        }
        let approval = Approval {
            session: origin.session,
            agent: origin.agent.cloned(),
            profile: origin.profile.cloned(),
            asked: Box::new(asked),
            at: origin.at,
            deadline,
            fallback: settings.fallback,
            stage,
            ended: None,
            resolution: None,
        };
        self.open.insert((approval.session.clone(), origin.id));
        self.agenda.insert((approval.next(settings), origin.id));
        self.all.insert(origin.id, Box::new(approval));
    }

    /// The word on an ask of the host that holds it; any other host's is not heard.
    pub(crate) fn host_says(&mut self, host: Option<&HostName>, id: ApprovalId, end: AskEnd, reason: Option<&str>) {
        let Some(approval) = self.all.get_mut(&id).filter(|approval| approval.is_open()) else {
            return;
        };
        if approval.session.as_ref().map(|key| &key.host) != host {
            return;
        }
        let word = Some((end, reason.map(Into::into)));
        // An answer says more than that nobody waits any more, whichever is heard first.
        if approval.ended.is_none() || word < approval.ended {
            approval.ended = word;
        }
    }

    /// Takes in what the log says; gives the approval that ended by it.
    pub(crate) fn fold(&mut self, fact: &ApprovalFact, origin: Origin<'_>, settings: &Settings) -> Option<&Approval> {
        match fact {
            ApprovalFact::Required {
                id,
                stage,
                deadline,
                asked,
                ..
            } => {
                let Some(approval) = self.all.get_mut(id) else {
                    self.begin(
                        Origin { id: *id, ..origin },
                        (**asked).clone(),
                        *deadline,
                        Some(*stage),
                        settings,
                    );
                    return None;
                };
                if approval.is_open() {
                    self.agenda.remove(&(approval.next(settings), *id));
                    approval.stage = approval.stage.max(Some(*stage));
                    approval.asked.call = approval.asked.call.take().or_else(|| asked.call.clone());
                    self.agenda.insert((approval.next(settings), *id));
                }
                None
            }
            ApprovalFact::Resolved { id, resolution } => {
                let approval = self.all.get_mut(id).filter(|approval| approval.is_open())?;
                self.agenda.remove(&(approval.next(settings), *id));
                self.open.remove(&(approval.session.clone(), *id));
                (approval.asked.input, approval.asked.suggestions) = (None, None);
                approval.resolution = Some((origin.at, resolution.clone()));
                self.ended.insert((origin.at.after(settings.keep), *id));
                self.all.get(id).map(|approval| &**approval)
            }
        }
    }

    /// Forgets what ended long ago, by the log's own time.
    pub(crate) fn bury(&mut self, now: Timestamp) {
        while let Some((at, id)) = self.ended.first().copied()
            && (at <= now || self.ended.len() > ENDED_MAX)
        {
            self.ended.pop_first();
            self.all.remove(&id);
        }
    }
}
