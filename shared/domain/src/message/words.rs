//! The words of messages.

use crate::family::{EventType, MessageKind};
use crate::fleet::SessionKey;
use crate::ids::{EffectId, MessageId};
use crate::names::{HostName, SessionId};
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Duration;

/// How long whoever receives a message has to say that it was read, before it is offered again.
pub const LEASE: Duration = Duration::from_mins(5);
/// How often a message is brought before it counts as undeliverable.
pub const ATTEMPTS_MAX: u32 = 5;
/// Bytes of a body.
pub const BODY_BYTES_MAX: usize = 4096;
/// How long a message waits to be read.
pub const KEPT: Duration = Duration::from_hours(7 * 24);
/// How long a question may wait for its answer, at most and where nobody says.
pub const TTL_MAX: Duration = Duration::from_hours(6);
/// See [`TTL_MAX`].
pub const TTL: Duration = Duration::from_hours(1);
/// How far ahead a reminder may lie.
pub const AHEAD_MAX: Duration = Duration::from_hours(30 * 24);

/// Whom a session may write to, beside the operators.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Allowed {
    /// Any session.
    #[default]
    Fleet,
    /// Sessions of its own host.
    Host,
    /// None.
    Operators,
}

/// What the leader is told of messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Whom a session may write to.
    pub allowed: Allowed,
}

/// Who writes, and to whom.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Party {
    /// Whoever has the operator's token: one inbox for all of them.
    Operators,
    /// One of them, as the request's subject names them.
    Operator(Box<str>),
    /// A session.
    Session(SessionKey),
    /// Muster itself.
    Muster,
}

/// The name of [`Party::Operators`].
const OPERATORS: &str = "operator";
/// The name of [`Party::Muster`].
const MUSTER: &str = "muster";

impl Party {
    /// The party of this name, as it is displayed.
    pub fn parse(name: &str) -> Option<Self> {
        if let Some((host, id)) = name.split_once('/') {
            let (host, id) = (HostName::new(host).ok()?, SessionId::new(id).ok()?);
            return Some(Self::Session(SessionKey { host, id }));
        }
        Some(match name {
            "" => return None,
            OPERATORS => Self::Operators,
            MUSTER => Self::Muster,
            name => Self::Operator(name.into()),
        })
    }

    /// The session, if it is one.
    pub const fn session(&self) -> Option<&SessionKey> {
        match self {
            Self::Session(key) => Some(key),
            Self::Operators | Self::Operator(_) | Self::Muster => None,
        }
    }

    /// Its inbox, where answers to it go.
    pub fn inbox(&self) -> Option<Self> {
        match self {
            Self::Operators | Self::Operator(_) => Some(Self::Operators),
            Self::Session(key) => Some(Self::Session(key.clone())),
            Self::Muster => None,
        }
    }
}

impl fmt::Display for Party {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Operators => f.write_str(OPERATORS),
            Self::Operator(name) => f.write_str(name),
            Self::Session(SessionKey { host, id }) => write!(f, "{host}/{id}"),
            Self::Muster => f.write_str(MUSTER),
        }
    }
}

/// What a message is for.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Kind {
    /// To be read.
    Note,
    /// To be answered.
    Question {
        /// Among these; any words where there are none.
        options: Vec<Box<str>>,
        /// Several of them may be chosen.
        multi: bool,
    },
    /// To be read at its time.
    Reminder,
}

/// What is sent.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Sent {
    /// Who writes.
    pub from: Party,
    /// To whom.
    pub to: Party,
    /// What.
    pub body: Box<str>,
    /// What for.
    pub kind: Kind,
    /// The message that it answers.
    pub reply_to: Option<MessageId>,
    /// Before when it is not delivered.
    pub due: Option<Timestamp>,
    /// Until when it waits: to be read, or, a question, to be answered.
    pub expires: Timestamp,
    /// The name the request came under.
    pub caller: Box<str>,
    /// The request that sent it.
    pub request: Box<str>,
}

impl Sent {
    /// Whether this request of this party sent it.
    pub(crate) fn is_of(&self, from: &Party, caller: &str, request: &str) -> bool {
        self.from == *from && *self.caller == *caller && *self.request == *request
    }
}

/// The answer to a question.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct Answer {
    /// What was chosen.
    pub choices: Vec<Box<str>>,
    /// In words.
    pub text: Option<Box<str>>,
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.choices.join(", "))?;
        match &self.text {
            Some(text) if self.choices.is_empty() => f.write_str(text),
            Some(text) => write!(f, ": {text}"),
            None => Ok(()),
        }
    }
}

/// What is concluded, written down, and folded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MessageFact {
    /// It was sent.
    Sent(Box<Sent>),
    /// It was brought to its recipient.
    Delivered {
        /// Which.
        id: MessageId,
        /// For the how-manieth time.
        attempt: u32,
        /// Until when it is not offered again; where an effect brought it, that says so.
        until: Option<Timestamp>,
        /// The effect that brought it.
        effect: Option<EffectId>,
        /// The request that took it.
        request: Box<str>,
    },
    /// It was read.
    Acked {
        /// Which.
        id: MessageId,
        /// By whom.
        by: Party,
    },
    /// It was answered.
    Answered {
        /// Which.
        id: MessageId,
        /// How.
        answer: Answer,
        /// By whom.
        by: Party,
    },
    /// It is not waited for any more.
    Expired {
        /// Which.
        id: MessageId,
        /// Why: `expired`, `cancelled`, `undeliverable`, `interrupted`.
        reason: Box<str>,
    },
}

impl MessageFact {
    /// The message it is about; a new one has no id before it is an event.
    pub const fn id(&self) -> Option<MessageId> {
        match self {
            Self::Sent(_) => None,
            Self::Delivered { id, .. }
            | Self::Acked { id, .. }
            | Self::Answered { id, .. }
            | Self::Expired { id, .. } => Some(*id),
        }
    }

    pub(crate) const fn event_type(&self) -> EventType {
        EventType::Message(match self {
            Self::Sent(_) => MessageKind::Sent,
            Self::Delivered { .. } => MessageKind::Delivered,
            Self::Acked { .. } => MessageKind::Acked,
            Self::Answered { .. } => MessageKind::Answered,
            Self::Expired { .. } => MessageKind::Expired,
        })
    }

    pub(crate) fn identity(&self) -> String {
        match self {
            Self::Sent(sent) => format!("{:?} {} {} {:?}", sent.caller, sent.from, sent.to, sent.reply_to),
            Self::Delivered { id, attempt, .. } => format!("{id} {attempt}"),
            Self::Acked { id, .. } | Self::Answered { id, .. } | Self::Expired { id, .. } => id.to_string(),
        }
    }
}

/// How a message stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Nobody has it.
    Waiting,
    /// It was brought, and not said to be read.
    Delivered,
    /// It was read.
    Acked,
    /// It was answered.
    Answered,
    /// It is not waited for any more.
    Expired,
}
