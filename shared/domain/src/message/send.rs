//! What somebody writes: a message, a question, a reminder, an answer; and what they take back.

use super::{AHEAD_MAX, Allowed, Answer, BODY_BYTES_MAX, KEPT, Kind, Message, MessageFact, Party, Sent, TTL_MAX};
use crate::asker::{Asker, TOOLS_OVER_HTTP};
use crate::conclusion::{Cause, Conclusion, Draft};
use crate::fleet::{Fleet, SessionKey};
use crate::ids::{EventId, MessageId};
use crate::names::{HostName, SessionId};
use crate::overlay::Overlay;
use crate::time::Timestamp;
use std::time::Duration;

/// Sessions that one message to all goes to.
const ALL_MAX: usize = 500;
/// Messages that wait in one inbox, and of one session there.
const INBOX_MAX: usize = 256;
const INBOX_OF_ONE: usize = 64;
/// Messages that are under way in all, of the sessions of one host, and of one session: twice what one to all may be.
const OPEN_MAX: usize = 10_000;
const OPEN_OF_HOST: usize = 2500;
const OPEN_OF_ONE: usize = 1000;
/// Options of a question, and characters of one.
const OPTIONS_MAX: usize = 16;
const OPTION_CHARS_MAX: usize = 200;

/// Why something is not sent, taken or answered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Nobody can be told apart as the one who writes.
    #[error("it is not known who writes: ask as a session (muster's tools do), or with the operator's token")]
    Nobody,
    /// A session is claimed that the caller is not the host of.
    #[error("{caller} cannot speak for session {session}")]
    NotItself {
        /// The caller.
        caller: String,
        /// The session it claims.
        session: SessionId,
    },
    /// The recipient is not known.
    #[error("no such session: {0}")]
    NoSession(String),
    /// The settings do not let sessions write to it.
    #[error("sessions may not write to {0}: `messages.allowed` in the orchestrator's configuration says whom they may")]
    NotAllowed(String),
    /// More than a message may hold.
    #[error("{0}")]
    Malformed(String),
    /// The inbox is full.
    #[error("the inbox of {0} is full; it has to read first")]
    Full(String),
    /// As much of theirs waits in the inbox as may.
    #[error("{INBOX_OF_ONE} messages of yours wait in the inbox of {0}; some have to be read first")]
    Waiting(String),
    /// As much of theirs is under way as may be.
    #[error("{limit} messages of {whose} are under way; try again when some were read, answered or taken back")]
    TooMany {
        /// Whose: a session's, or a host's.
        whose: String,
        /// How many may be.
        limit: usize,
    },
    /// Too much is under way.
    #[error("too many messages are under way; try again when some were read")]
    Busy,
    /// There is no such message.
    #[error("no such message: {0}")]
    Unknown(MessageId),
    /// It is no question.
    #[error("message {0} is no question; send a message instead")]
    NoQuestion(MessageId),
    /// It is somebody else's.
    #[error("message {id} is for {to}, and not for you")]
    NotYours {
        /// Which.
        id: MessageId,
        /// Whose it is.
        to: String,
    },
    /// The answer is none of the options.
    #[error("{0:?} is not among the options: {1}")]
    NoOption(String, String),
    /// Several were chosen where one may be.
    #[error("one option may be chosen")]
    OneOption,
}

/// Whom a message is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum To {
    /// Every session that is not over, but for the one that writes.
    All,
    /// One.
    One(Party),
}

/// What somebody wants to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wish {
    /// To whom.
    pub to: To,
    /// What.
    pub body: String,
    /// What for.
    pub kind: Kind,
    /// The message that it answers.
    pub reply_to: Option<MessageId>,
    /// Before when it is not delivered.
    pub due: Option<Timestamp>,
    /// For how long it waits; for as long as messages do without it.
    pub ttl: Option<Duration>,
}

/// What is to be done before one who sends can be answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sending {
    /// These are to be written, and read back.
    Write(Vec<Draft>),
    /// This event is on its way.
    Soon(EventId),
    /// It was sent before.
    Before,
}

/// What is to be done before one who answers, or takes back, can be answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asked {
    /// These are to be written, and read back.
    Write(Vec<Draft>),
    /// This event is on its way.
    Soon(EventId),
    /// It is over already.
    Over,
}

/// Who asks, as messages know them. A host speaks for its own sessions only.
///
/// # Errors
/// [`Refusal::Nobody`] and [`Refusal::NotItself`].
pub fn speaker(fleet: &Fleet, asker: &Asker) -> Result<Party, Refusal> {
    let Some(id) = &asker.session else {
        let operator = asker.operator.then(|| Party::Operator(asker.caller.clone()));
        return operator.ok_or(Refusal::Nobody);
    };
    let host = HostName::new(&asker.caller).ok();
    if let Some(host) = host.filter(|host| fleet.hosts().contains_key(host)) {
        let id = id.clone();
        return Ok(Party::Session(SessionKey { host, id }));
    }
    let mut found = fleet.find(id).map(|(key, _)| key);
    match (found.next(), found.next()) {
        (Some(key), None) if asker.operator || *asker.caller == *TOOLS_OVER_HTTP => Ok(Party::Session(key.clone())),
        _ => Err(Refusal::NotItself {
            caller: asker.caller.to_string(),
            session: id.clone(),
        }),
    }
}

/// Sends. The same request again sends nothing.
///
/// # Errors
/// [`Refusal`].
pub fn send(fleet: &Fleet, overlay: &Overlay, asker: &Asker, wish: &Wish, now: Timestamp) -> Result<Sending, Refusal> {
    let from = speaker(fleet, asker)?;
    let sent = fleet.messages().sent_by(&from, &asker.caller, &asker.request).next();
    if sent.is_some() {
        return Ok(Sending::Before);
    }
    if let Some(event) = overlay.messages().sending(&from, &asker.caller, &asker.request) {
        return Ok(Sending::Soon(event));
    }
    well_formed(wish, now)?;
    let recipients = recipients(fleet, &from, &wish.to)?;
    // Whoever fills the room keeps no operator from speaking.
    if !asker.operator {
        has_room(fleet, overlay, &from, recipients.len())?;
    }
    let ttl = wish.ttl.unwrap_or(KEPT);
    let cause = Cause::Request(asker.request.clone());
    let drafts = recipients.into_iter().map(|to| {
        let sent = Sent {
            from: from.clone(),
            to,
            body: wish.body.as_str().into(),
            kind: wish.kind.clone(),
            reply_to: wish.reply_to,
            due: wish.due,
            expires: wish.due.unwrap_or(now).after(ttl),
            caller: asker.caller.clone(),
            request: asker.request.clone(),
        };
        written(fleet, sent, cause.clone())
    });
    Ok(Sending::Write(drafts.collect()))
}

/// Whether so many more may be under way of whoever writes.
fn has_room(fleet: &Fleet, overlay: &Overlay, from: &Party, more: usize) -> Result<(), Refusal> {
    let known = fleet.messages().all().values();
    let open = known.filter(|message| !message.is_over()).map(|message| &message.sent);
    let (mut all, mut of_host, mut own) = (more, more, more);
    for sent in open.chain(overlay.messages().sent()) {
        all += 1;
        own += usize::from(sent.from == *from);
        let hosts = sent.from.session().zip(from.session());
        of_host += usize::from(hosts.is_some_and(|(sender, own)| sender.host == own.host));
    }
    let too_many = |whose: String, limit| Err(Refusal::TooMany { whose, limit });
    match from.session() {
        _ if all > OPEN_MAX => Err(Refusal::Busy),
        Some(_) if own > OPEN_OF_ONE => too_many(from.to_string(), OPEN_OF_ONE),
        Some(key) if of_host > OPEN_OF_HOST => too_many(key.host.to_string(), OPEN_OF_HOST),
        _ => Ok(()),
    }
}

fn well_formed(wish: &Wish, now: Timestamp) -> Result<(), Refusal> {
    let malformed = |text: String| Err(Refusal::Malformed(text));
    if wish.body.trim().is_empty() || wish.body.len() > BODY_BYTES_MAX {
        return malformed(format!("a message has some words, and {BODY_BYTES_MAX} bytes at most"));
    }
    if let Kind::Question { options, .. } = &wish.kind {
        let long = |option: &str| option.trim().is_empty() || option.chars().count() > OPTION_CHARS_MAX;
        if options.len() > OPTIONS_MAX || options.iter().any(|option| long(option)) {
            return malformed(format!(
                "a question has {OPTIONS_MAX} options at most, each of {OPTION_CHARS_MAX} characters at most"
            ));
        }
        if wish.ttl.is_none_or(|ttl| ttl > TTL_MAX) {
            return malformed(format!("a question waits {} hours at most", TTL_MAX.as_secs() / 3600));
        }
    }
    if wish.due.is_some_and(|due| due > now.after(AHEAD_MAX)) {
        return malformed(format!(
            "a reminder lies {} days ahead at most",
            AHEAD_MAX.as_secs() / 86_400
        ));
    }
    Ok(())
}

fn recipients(fleet: &Fleet, from: &Party, to: &To) -> Result<Vec<Party>, Refusal> {
    let messages = fleet.messages();
    let full = |to: &Party| messages.unread(to).count() >= INBOX_MAX;
    match to {
        To::One(to) => {
            if let Party::Session(key) = to {
                fleet.session(key).ok_or_else(|| Refusal::NoSession(to.to_string()))?;
            }
            if !may_write(fleet, from, to) {
                return Err(Refusal::NotAllowed(to.to_string()));
            }
            if full(to) {
                return Err(Refusal::Full(to.to_string()));
            }
            let own = messages.unread(to).filter(|(_, message)| message.sent.from == *from);
            if from.session().is_some() && from != to && own.count() >= INBOX_OF_ONE {
                return Err(Refusal::Waiting(to.to_string()));
            }
            Ok(vec![to.clone()])
        }
        To::All => {
            let live = fleet
                .sessions()
                .iter()
                .filter(|(_, session)| !session.standing().state.is_over());
            let parties = live.map(|(key, _)| Party::Session(key.clone()));
            let meant = parties.filter(|to| to != from && may_write(fleet, from, to) && !full(to));
            let all: Vec<Party> = meant.take(ALL_MAX + 1).collect();
            match all.len() {
                0 => Err(Refusal::NoSession("no other session is live".to_owned())),
                n if n > ALL_MAX => Err(Refusal::Malformed(format!(
                    "more than {ALL_MAX} sessions are live, and one message goes to {ALL_MAX} at most"
                ))),
                _ => Ok(all),
            }
        }
    }
}

/// Everybody may write to operators and to themselves, and operators to everybody.
fn may_write(fleet: &Fleet, from: &Party, to: &Party) -> bool {
    let (Party::Session(from), Party::Session(to)) = (from, to) else {
        return true;
    };
    from == to
        || match fleet.settings().messages.allowed {
            Allowed::Fleet => true,
            Allowed::Host => from.host == to.host,
            Allowed::Operators => false,
        }
}

/// Whether whoever asks reads this inbox.
pub(super) fn reads(party: &Party, to: &Party) -> bool {
    match party {
        Party::Operators | Party::Operator(_) => *to == Party::Operators,
        Party::Session(_) => party == to,
        Party::Muster => false,
    }
}

/// Answers a question: whoever it was asked, or an operator. Whoever asked it is told.
///
/// # Errors
/// [`Refusal`].
pub fn answer(
    fleet: &Fleet,
    overlay: &Overlay,
    asker: &Asker,
    id: MessageId,
    answer: &Answer,
    now: Timestamp,
) -> Result<Asked, Refusal> {
    let party = speaker(fleet, asker)?;
    let question = fleet.messages().get(id).ok_or(Refusal::Unknown(id))?;
    let Kind::Question { options, multi } = &question.sent.kind else {
        return Err(Refusal::NoQuestion(id));
    };
    if !asker.operator && !reads(&party, &question.sent.to) {
        return Err(not_yours(id, question));
    }
    if let Some(over) = over(overlay, id, question) {
        return Ok(over);
    }
    if let Some(other) = answer.choices.iter().find(|choice| !options.contains(*choice)) {
        return Err(Refusal::NoOption(other.to_string(), options.join(", ")));
    }
    if answer.choices.len() > 1 && !multi {
        return Err(Refusal::OneOption);
    }
    let said = answer.to_string();
    if said.trim().is_empty() || said.len() > BODY_BYTES_MAX {
        return Err(Refusal::Malformed(format!(
            "an answer has some words, and {BODY_BYTES_MAX} bytes at most"
        )));
    }
    let cause = Cause::Request(asker.request.clone());
    let fact = MessageFact::Answered {
        id,
        answer: answer.clone(),
        by: party.clone(),
    };
    let mut drafts = vec![draft(fleet, &question.sent, fact, cause.clone())];
    if let Some(to) = question.sent.from.inbox() {
        let sent = Sent {
            from: party,
            to,
            body: said.into(),
            kind: Kind::Note,
            reply_to: Some(id),
            due: None,
            expires: now.after(KEPT),
            caller: asker.caller.clone(),
            request: asker.request.clone(),
        };
        drafts.push(written(fleet, sent, cause));
    }
    Ok(Asked::Write(drafts))
}

/// Takes a message back that was not read, or a question that was not answered: whoever sent it, or an operator.
///
/// # Errors
/// [`Refusal`].
pub fn cancel(fleet: &Fleet, overlay: &Overlay, asker: &Asker, id: MessageId) -> Result<Asked, Refusal> {
    let party = speaker(fleet, asker)?;
    let message = fleet.messages().get(id).ok_or(Refusal::Unknown(id))?;
    if !asker.operator && message.sent.from != party {
        return Err(not_yours(id, message));
    }
    if let Some(over) = over(overlay, id, message) {
        return Ok(over);
    }
    let fact = MessageFact::Expired {
        id,
        reason: "cancelled".into(),
    };
    let cause = Cause::Request(asker.request.clone());
    Ok(Asked::Write(vec![draft(fleet, &message.sent, fact, cause)]))
}

pub(super) fn not_yours(id: MessageId, message: &Message) -> Refusal {
    let to = message.sent.to.to_string();
    Refusal::NotYours { id, to }
}

fn over(overlay: &Overlay, id: MessageId, message: &Message) -> Option<Asked> {
    let ends = |fact: &MessageFact| matches!(fact, MessageFact::Answered { .. } | MessageFact::Expired { .. });
    let ending = overlay.messages().about(id, ends);
    ending
        .map(Asked::Soon)
        .or_else(|| message.is_over().then_some(Asked::Over))
}

/// A new message, as it is written.
pub(super) fn written(fleet: &Fleet, sent: Sent, cause: Cause) -> Draft {
    let about = sent.clone();
    draft(fleet, &about, MessageFact::Sent(Box::new(sent)), cause)
}

/// An event of a message stands with the session that it is for, else with the one that it is from.
pub(super) fn draft(fleet: &Fleet, sent: &Sent, fact: MessageFact, cause: Cause) -> Draft {
    let key = sent.to.session().or(sent.from.session());
    let session = key.and_then(|key| fleet.session(key));
    Draft {
        host: key.map(|key| key.host.clone()),
        session: key.map(|key| key.id.clone()),
        agent: session.and_then(|session| session.agent().cloned()),
        profile: session.and_then(|session| session.profile().cloned()),
        conclusion: Conclusion::Message(fact),
        cause,
    }
}
