//! Messages: sent, received, asked, answered.

use crate::data::message::MessageFor;
use crate::time;
use muster_domain::effect::ActionKind;
use muster_domain::ids::MessageId;
use muster_domain::message::{Kind, Message, Status};
use muster_domain::names::{AgentName, HostName, SessionId};
use muster_domain::state::SessionState;
use muster_domain::time::Timestamp;
use serde::{Deserialize, Serialize};

/// The longest that a receiver waits for a message, in seconds.
pub const WAIT_SECONDS_MAX: u64 = 180;
/// Messages that are taken at once, at most.
pub const RECEIVE_MAX: usize = 32;

/// `messages.send`: to whom, and what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MessagesSendRequest {
    /// A session's id, `host/session`, `operator`, or `*` for every live session.
    pub to: String,
    /// What.
    pub body: String,
    /// The message that it answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<MessageId>,
    /// The same id again is the same request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

/// `messages.ask`: a question, and to whom.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MessagesAskRequest {
    /// What is asked.
    pub question: String,
    /// Among what the answer is chosen; any words without them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub options: Vec<String>,
    /// Whether several of them may be chosen.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub multi: bool,
    /// A session's id, `host/session`, or `operator`, which it is without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// For how long it waits; an hour without it, six at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl_seconds: Option<u64>,
    /// The same id again is the same request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

/// `messages.remind`: of what, and when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MessagesRemindRequest {
    /// Of what.
    pub body: String,
    /// In how many seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_seconds: Option<u64>,
    /// When, instead.
    #[serde(default, with = "time::optional", skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
    /// The same id again is the same request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

/// `messages.receive`: how many, and how long to wait for the first.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MessagesReceiveRequest {
    /// How many at most; 32 without it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max: Option<usize>,
    /// How long to wait where there is none; not at all without it, 180 at most. The answer then is that there is one
    /// (`waiting`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wait_seconds: Option<u64>,
    /// The same id again gives the same messages.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

/// `messages.ack`: which were read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MessagesAckRequest {
    /// Which.
    pub ids: Vec<MessageId>,
    /// The same id again is the same request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

/// `messages.answer`: which question, and how.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MessagesAnswerRequest {
    /// Which.
    pub id: MessageId,
    /// What is chosen among its options.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub choices: Vec<String>,
    /// In words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// The same id again is the same request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

/// `messages.cancel`: which is taken back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MessagesCancelRequest {
    /// Which.
    pub id: MessageId,
    /// The same id again is the same request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

/// `messages.list`: whose.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MessagesListRequest {
    /// This session's; without it, the inbox of whoever asks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<SessionId>,
    /// Its host; may be left out while no two hosts have the id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<HostName>,
    /// Also those that were read, answered or given up lately.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub all: bool,
    /// The last row of the page before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cursor: Option<MessageId>,
    /// Rows at most; the server has a cap of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
}

/// `messages.threads`: whose. Few are open at a time, so there are no pages of them.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MessagesThreadsRequest {
    /// This session's; without it, those of whoever asks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<SessionId>,
    /// Its host; may be left out while no two hosts have the id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<HostName>,
    /// Rows of each kind at most; the server has a cap of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
}

/// What was sent: one message, or one for each session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessagesSent {
    /// They; of a message to all as many as fit.
    pub messages: Vec<MessageRow>,
    /// How many in all.
    pub count: usize,
}

/// What was taken. It has to be said to be read within five minutes, else it is offered again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessagesReceived {
    /// They, the oldest first.
    pub messages: Vec<MessageRow>,
    /// How many are unread in all.
    pub unread: usize,
    /// Whoever waited was woken: ask again to take what waits. Waiting itself takes nothing, since nobody knows whether who
    /// waits is still there.
    #[serde(default)]
    pub waiting: bool,
}

/// What is said to be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessagesAcked {
    /// How many are unread still.
    pub unread: usize,
}

/// What became of an answer, or of taking something back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MessageOutcome {
    /// It counts.
    Applied,
    /// It was over before: answered, given up, or taken back.
    AlreadyOver,
}

/// A message that somebody answered or took back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessagesAnswered {
    /// Whether that counts.
    pub outcome: MessageOutcome,
    /// The message, as it is now.
    pub message: MessageRow,
}

/// An inbox, the latest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessagesList {
    /// Whose.
    pub inbox: String,
    /// How many are to be read.
    pub unread: usize,
    /// The rows.
    pub messages: Vec<MessageRow>,
    /// Where to go on; none at the end.
    pub next_cursor: Option<MessageId>,
}

/// What is open: the oldest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessagesThreads {
    /// Whose.
    pub inbox: String,
    /// Questions that wait for their answer.
    pub to_answer: Vec<MessageRow>,
    /// Questions whose answer is waited for.
    pub asked: Vec<MessageRow>,
    /// Reminders to come.
    pub reminders: Vec<MessageRow>,
    /// Whether there are more than those.
    pub more: bool,
}

/// `messages.whoami`: nothing is said, since who asks is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WhoamiRequest {}

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Whoami {
    /// The name under which it is asked.
    pub caller: String,
    /// The name by which others write to whoever asks; none where it is not known.
    pub name: Option<String>,
    /// The session's host.
    pub host: Option<HostName>,
    /// The session.
    pub session: Option<SessionId>,
    /// The product that runs it.
    pub agent: Option<AgentName>,
    /// Its model.
    pub model: Option<String>,
    /// What it does.
    pub state: Option<SessionState>,
    /// What of the things it is told is carried out by what runs it.
    pub carries: Vec<ActionKind>,
    /// Messages to read.
    pub unread: usize,
    /// Questions to answer.
    pub to_answer: usize,
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnswerRow {
    /// What was chosen.
    pub choices: Vec<String>,
    /// In words.
    pub text: Option<String>,
    /// By whom.
    pub by: String,
    /// When.
    #[serde(with = "time")]
    pub at: Timestamp,
}

/// A message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageRow {
    /// Its id.
    pub id: MessageId,
    /// Who wrote it.
    pub from: String,
    /// To whom.
    pub to: String,
    /// What for.
    pub kind: MessageFor,
    /// What.
    pub body: String,
    /// Among what the answer is chosen.
    pub options: Vec<String>,
    /// Whether several of them may be.
    pub multi: bool,
    /// The message that it answers.
    pub reply_to: Option<MessageId>,
    /// How it stands.
    pub status: Status,
    /// When it was sent.
    #[serde(with = "time")]
    pub sent: Timestamp,
    /// Before when it is not delivered.
    #[serde(with = "time::optional")]
    pub due: Option<Timestamp>,
    /// Until when it waits.
    #[serde(with = "time")]
    pub expires: Timestamp,
    /// How often it was brought.
    pub attempts: u32,
    /// Whether that was more than once: it may have been read before.
    pub redelivered: bool,
    /// When it was last brought.
    #[serde(with = "time::optional")]
    pub delivered: Option<Timestamp>,
    /// When it was read.
    #[serde(with = "time::optional")]
    pub acked: Option<Timestamp>,
    /// The answer to it.
    pub answer: Option<AnswerRow>,
    /// Why it was given up.
    pub reason: Option<String>,
}

impl MessageRow {
    /// The row of a message.
    pub fn new(id: MessageId, message: &Message) -> Self {
        let sent = &message.sent;
        let (options, multi) = match &sent.kind {
            Kind::Question { options, multi } => (options.iter().map(ToString::to_string).collect(), *multi),
            Kind::Note | Kind::Reminder => (Vec::new(), false),
        };
        let answer = message.answered.as_ref().map(|(at, by, answer)| AnswerRow {
            choices: answer.choices.iter().map(ToString::to_string).collect(),
            text: answer.text.as_ref().map(ToString::to_string),
            by: by.to_string(),
            at: *at,
        });
        Self {
            id,
            from: sent.from.to_string(),
            to: sent.to.to_string(),
            kind: (&sent.kind).into(),
            body: sent.body.to_string(),
            options,
            multi,
            reply_to: sent.reply_to,
            status: message.status(),
            sent: message.at,
            due: sent.due,
            expires: sent.expires,
            attempts: message.attempts,
            redelivered: message.attempts > 1,
            delivered: message.delivery.as_ref().map(|delivery| delivery.at),
            acked: message.acked,
            answer,
            reason: message.expired.as_ref().map(|(_, reason)| reason.to_string()),
        }
    }
}
