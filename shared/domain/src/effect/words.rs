//! The words of effects.

use crate::family::{EffectKind, EventType};
use crate::ids::{EffectId, MessageId};
use crate::names::{RunId, SessionId};
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

/// How long an effect may wait for its host.
pub const EXPIRY: Duration = Duration::from_mins(10);
/// The same for a spawn: whoever wants a session now does not want it later.
pub const SPAWN_EXPIRY: Duration = Duration::from_mins(2);
/// The reason of a withdrawal by time.
pub const EXPIRED: &str = "expired";

/// How long it is waited for a host that is away to say how something ended that it began.
pub const GIVEN_UP: Duration = Duration::from_hours(1);
/// The reason where that was waited for in vain.
pub const UNKNOWN: &str = "unknown";

/// A kind of effect, which is also what a carrier says that it can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ActionKind {
    /// A prompt for the next turn.
    Message,
    /// Another model.
    Model,
    /// A new conversation.
    NewSession,
    /// A compaction of the context.
    Compact,
    /// The end of the running turn.
    Interrupt,
    /// The end of the run.
    Stop,
    /// A new run.
    Spawn,
}

impl ActionKind {
    /// Every kind.
    pub const ALL: &[Self] = &[
        Self::Message,
        Self::Model,
        Self::NewSession,
        Self::Compact,
        Self::Interrupt,
        Self::Stop,
        Self::Spawn,
    ];

    /// The name, as in `new_session`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Message => "message",
            Self::Model => "model",
            Self::NewSession => "new_session",
            Self::Compact => "compact",
            Self::Interrupt => "interrupt",
            Self::Stop => "stop",
            Self::Spawn => "spawn",
        }
    }

    /// The kind of this name, if it is one.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.as_str() == name)
    }

    /// How long one may wait for its host.
    pub const fn expiry(self) -> Duration {
        match self {
            Self::Spawn => SPAWN_EXPIRY,
            Self::Message | Self::Model | Self::NewSession | Self::Compact | Self::Interrupt | Self::Stop => EXPIRY,
        }
    }
}

impl fmt::Display for ActionKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What shall be done.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Action {
    /// Somebody's words, as the prompt of a turn.
    Message {
        /// The message.
        message: MessageId,
        /// Who sends it, as people read it.
        from: Box<str>,
        /// What it says.
        body: Box<str>,
        /// The message that it answers.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reply_to: Option<MessageId>,
        /// How often it was brought, this time included.
        attempt: u32,
    },
    /// Another model, from the next turn on and for as long as the session lasts.
    Model {
        /// Which, as the agent names models.
        model: Box<str>,
    },
    /// The next turn begins a new conversation, once.
    NewSession,
    /// The context is compacted.
    Compact {
        /// What shall be kept, in words.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        instructions: Option<Box<str>>,
    },
    /// The running turn ends; the run goes on.
    Interrupt,
    /// The run ends.
    Stop,
    /// A new run begins, of a template that its host knows.
    Spawn {
        /// Which template.
        template: Box<str>,
        /// The first prompt.
        prompt: Box<str>,
        /// The model, where it is not the template's.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        model: Option<Box<str>>,
        /// What it may cost, in millionths of a US dollar.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        budget_usd_micros: Option<u64>,
    },
}

impl Action {
    /// The message that it brings.
    pub const fn message(&self) -> Option<MessageId> {
        match self {
            Self::Message { message, .. } => Some(*message),
            Self::Model { .. }
            | Self::NewSession
            | Self::Compact { .. }
            | Self::Interrupt
            | Self::Stop
            | Self::Spawn { .. } => None,
        }
    }

    /// Which kind it is.
    pub const fn kind(&self) -> ActionKind {
        match self {
            Self::Message { .. } => ActionKind::Message,
            Self::Model { .. } => ActionKind::Model,
            Self::NewSession => ActionKind::NewSession,
            Self::Compact { .. } => ActionKind::Compact,
            Self::Interrupt => ActionKind::Interrupt,
            Self::Stop => ActionKind::Stop,
            Self::Spawn { .. } => ActionKind::Spawn,
        }
    }
}

/// Who carries out what a session is told, and what of it: the run that said so when it began.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Carrier {
    /// The run. Another start of it is another one.
    pub run: RunId,
    /// What it can do.
    pub can: BTreeSet<ActionKind>,
}

/// Who wants something done.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct By {
    /// The name the request came under.
    pub caller: Box<str>,
    /// The session on whose behalf it was made.
    pub session: Option<SessionId>,
}

/// What is asked of a host.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Order {
    /// The run that shall do it; none for a spawn.
    pub run: Option<RunId>,
    /// What.
    pub action: Action,
    /// Who wants it.
    pub by: By,
    /// The request that asked for it.
    pub request: Box<str>,
    /// Until when it may begin, by the hub's clock.
    pub expires: Timestamp,
}

impl Order {
    /// Whether this request asked for it.
    pub(crate) fn is_by(&self, caller: &str, request: &str, kind: ActionKind) -> bool {
        *self.request == *request && *self.by.caller == *caller && self.action.kind() == kind
    }
}

/// What is concluded, written down, and folded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EffectFact {
    /// A host shall do something.
    Requested(Box<Order>),
    /// It shall not, if it has not begun; what has begun is given up, where the reason is [`UNKNOWN`].
    Withdrawn {
        /// Which effect.
        id: EffectId,
        /// Why.
        reason: Box<str>,
    },
}

impl EffectFact {
    /// The message that it shall bring.
    pub(crate) const fn message(&self) -> Option<MessageId> {
        match self {
            Self::Requested(order) => order.action.message(),
            Self::Withdrawn { .. } => None,
        }
    }

    pub(crate) const fn event_type(&self) -> EventType {
        EventType::Effect(match self {
            Self::Requested(_) => EffectKind::Requested,
            Self::Withdrawn { .. } => EffectKind::Withdrawn,
        })
    }

    pub(crate) fn identity(&self) -> String {
        match self {
            Self::Requested(order) => {
                let By { caller, session } = &order.by;
                let message = order.action.message();
                format!("{} {caller:?} {session:?} {message:?}", order.action.kind())
            }
            Self::Withdrawn { id, reason } => format!("{id} {reason}"),
        }
    }
}

/// What a host says of an effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// Which.
    pub id: EffectId,
    /// What.
    pub word: Word,
}

/// How far it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Word {
    /// It begins; from now on it is the carrier's.
    Accepted,
    /// It is over.
    Ended(End),
}

/// How an effect ended.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum End {
    /// It is done.
    Done,
    /// It is not, or nobody knows.
    Failed {
        /// In one word: `late`, `mismatched`, `no_carrier`, `unknown`, `refused`, `interrupted`, `error`.
        reason: Box<str>,
        /// In a sentence.
        detail: Option<Box<str>>,
    },
}

/// How an effect stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Its host has not said anything yet.
    Requested,
    /// It has begun.
    Accepted,
    /// It is done.
    Done,
    /// It is not, or nobody knows.
    Failed,
    /// It was taken back before it began.
    Withdrawn,
    /// Nothing was heard of it in time.
    Expired,
}

impl Status {
    /// Whether something is still to come.
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Requested | Self::Accepted)
    }

    /// The name, as in `accepted`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Requested => "requested",
            Self::Accepted => "accepted",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Withdrawn => "withdrawn",
            Self::Expired => "expired",
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
