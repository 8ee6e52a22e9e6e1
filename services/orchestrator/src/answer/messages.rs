//! Messages: sent, asked, received, answered. Who writes is who asks; no request says it.

use super::page::Room;
use super::{After, Answer, Asked, Then, encode_at, failure, lists, page};
use bytes::Bytes;
use muster_domain::fleet::Fleet;
use muster_domain::ids::MessageId;
use muster_domain::message::{self, Asked as Deciding, Kind, Message, Party, Received, Refusal, Sending, To, Wish};
use muster_domain::names::{HostName, SessionId};
use muster_domain::time::Timestamp;
use muster_wire::api::{
    self, ApiError, ErrorKind, MessageOutcome, MessageRow, MessagesAckRequest, MessagesAcked, MessagesAnswerRequest,
    MessagesAnswered, MessagesAskRequest, MessagesCancelRequest, MessagesList, MessagesListRequest,
    MessagesReceiveRequest, MessagesReceived, MessagesRemindRequest, MessagesSendRequest, MessagesSent,
    MessagesThreads, MessagesThreadsRequest, Position, Whoami,
};
use muster_wire::limits::PAGE_ROWS_MAX;
use std::cmp::Reverse;
use std::time::Duration;

/// For everybody.
const ALL: &str = "*";
/// For whoever has the operator's token, and the same as it is often written.
const OPERATOR: &str = "operator";
const OPERATORS: &str = "operators";

/// Somebody who waits for a message.
pub(crate) struct Waits {
    pub(crate) inbox: Party,
    pub(crate) wait: Duration,
}

pub(super) fn send(asked: &Asked<'_>, request: MessagesSendRequest) -> Result<After, ApiError> {
    let wish = Wish {
        to: recipient(asked.fleet, &request.to)?,
        body: request.body,
        kind: Kind::Note,
        reply_to: request.reply_to,
        due: None,
        ttl: None,
    };
    sending(asked, &wish)
}

pub(super) fn ask(asked: &Asked<'_>, request: MessagesAskRequest) -> Result<After, ApiError> {
    let to = recipient(asked.fleet, request.to.as_deref().unwrap_or(OPERATOR))?;
    if to == To::All {
        return Err(bad("a question goes to one session, or to the operator"));
    }
    let options = request.options.into_iter().map(String::into_boxed_str).collect();
    let wish = Wish {
        to,
        body: request.question,
        kind: Kind::Question {
            options,
            multi: request.multi,
        },
        reply_to: None,
        due: None,
        ttl: Some(request.ttl_seconds.map_or(message::TTL, Duration::from_secs)),
    };
    sending(asked, &wish)
}

pub(super) fn remind(asked: &Asked<'_>, request: MessagesRemindRequest) -> Result<After, ApiError> {
    let due = match (request.in_seconds, request.at) {
        (Some(seconds), None) => asked.now.after(Duration::from_secs(seconds)),
        (None, Some(at)) => at,
        (Some(_), Some(_)) | (None, None) => return Err(bad("say when: either `in_seconds` or `at`")),
    };
    let own = own_inbox(asked)?;
    let wish = Wish {
        to: To::One(own),
        body: request.body,
        kind: Kind::Reminder,
        reply_to: None,
        due: Some(due),
        ttl: None,
    };
    sending(asked, &wish)
}

fn sending(asked: &Asked<'_>, wish: &Wish) -> Result<After, ApiError> {
    let asker = asked.asker;
    let sending = message::send(asked.fleet, asked.overlay, asker, wish, asked.now).map_err(|no| error(&no))?;
    let from = message::speaker(asked.fleet, asker).map_err(|no| error(&no))?;
    let (caller, name) = (asker.caller.clone(), asker.request.clone());
    let then: Then = Box::new(move |fleet, at| {
        let sent = fleet.messages().sent_by(&from, &caller, &name);
        let rows: Vec<_> = sent.map(|(id, message)| MessageRow::new(id, message)).collect();
        let count = rows.len();
        // To all there may be hundreds, which say the same.
        let messages = page::of(rows, PAGE_ROWS_MAX).rows;
        encode_at(at, MessagesSent { messages, count })
    });
    Ok(match sending {
        Sending::Write(drafts) => After::written(drafts, then),
        Sending::Soon(event) => After::folded(event, then),
        Sending::Before => After::nothing(then),
    })
}

/// What waits; where nothing does, the asker may wait for it.
pub(super) fn receive(asked: &Asked<'_>, request: &MessagesReceiveRequest) -> Answer {
    let max = request.max.unwrap_or(api::RECEIVE_MAX).clamp(1, api::RECEIVE_MAX);
    let (mut room, mut count) = (Room::new(), 0);
    let mut fits = |id, message: &Message| {
        count += 1;
        count <= max && room.takes(&MessageRow::new(id, message))
    };
    let received = message::receive(asked.fleet, asked.overlay, asked.asker, &mut fits, asked.now);
    let party = message::speaker(asked.fleet, asked.asker);
    let (received, party) = match (received, party) {
        (Ok(received), Ok(party)) => (received, party),
        (Err(no), _) | (_, Err(no)) => return Answer::Ready(Err(failure(&error(&no)))),
    };
    let (name, now, whose) = (asked.asker.request.clone(), asked.now, party.clone());
    let taken: Then = Box::new(move |fleet, at| {
        let ids = fleet
            .messages()
            .taken_by(&whose, &name, now)
            .map(|(id, _)| id)
            .collect();
        received_as(fleet, at, ids, &whose, now)
    });
    Answer::After(match received {
        Received::Take(_, drafts) => After::written(drafts, taken),
        Received::Soon(event) => After::folded(event, taken),
        Received::Again(_) => After::nothing(taken),
        Received::Nothing => {
            let wait = Duration::from_secs(request.wait_seconds.unwrap_or(0).min(api::WAIT_SECONDS_MAX));
            let inbox = inbox(&party);
            if !wait.is_zero() {
                return Answer::Wait(Waits { inbox, wait });
            }
            After::nothing(Box::new(move |fleet, at| nothing(fleet, at, &inbox, now, false)))
        }
    })
}

/// Nothing is taken; who waited is told whether something waits now.
pub(crate) fn nothing(
    fleet: &Fleet,
    at: Position,
    inbox: &Party,
    now: Timestamp,
    waiting: bool,
) -> Result<Bytes, ApiError> {
    let received = MessagesReceived {
        messages: Vec::new(),
        unread: fleet.messages().unread_count(inbox, now),
        waiting,
    };
    encode_at(at, received)
}

fn received_as(
    fleet: &Fleet,
    at: Position,
    ids: Vec<MessageId>,
    party: &Party,
    now: Timestamp,
) -> Result<Bytes, ApiError> {
    let mut found: Vec<(MessageId, &Message)> = ids
        .into_iter()
        .filter_map(|id| Some((id, fleet.messages().get(id)?)))
        .collect();
    found.sort_by_key(|(id, message)| (message.at, *id));
    let received = MessagesReceived {
        messages: found
            .into_iter()
            .map(|(id, message)| MessageRow::new(id, message))
            .collect(),
        unread: fleet.messages().unread_count(&inbox(party), now),
        waiting: false,
    };
    encode_at(at, received)
}

pub(super) fn ack(asked: &Asked<'_>, request: &MessagesAckRequest) -> Result<After, ApiError> {
    let drafts = message::ack(asked.fleet, asked.overlay, asked.asker, &request.ids).map_err(|no| error(&no))?;
    let (inbox, now) = (own_inbox(asked)?, asked.now);
    let then: Then = Box::new(move |fleet, at| {
        let unread = fleet.messages().unread_count(&inbox, now);
        encode_at(at, MessagesAcked { unread })
    });
    Ok(After::written(drafts, then))
}

pub(super) fn answer(asked: &Asked<'_>, request: MessagesAnswerRequest) -> Result<After, ApiError> {
    let id = request.id;
    let answer = message::Answer {
        choices: request.choices.into_iter().map(Into::into).collect(),
        text: request.text.filter(|text| !text.trim().is_empty()).map(Into::into),
    };
    let deciding = message::answer(asked.fleet, asked.overlay, asked.asker, id, &answer, asked.now);
    decided(deciding.map_err(|no| error(&no))?, id)
}

pub(super) fn cancel(asked: &Asked<'_>, request: &MessagesCancelRequest) -> Result<After, ApiError> {
    let deciding = message::cancel(asked.fleet, asked.overlay, asked.asker, request.id);
    decided(deciding.map_err(|no| error(&no))?, request.id)
}

fn decided(deciding: Deciding, id: MessageId) -> Result<After, ApiError> {
    let then = |outcome| -> Then {
        Box::new(move |fleet: &Fleet, at| {
            let message = fleet.messages().get(id).ok_or_else(|| error(&Refusal::Unknown(id)))?;
            let message = MessageRow::new(id, message);
            encode_at(at, MessagesAnswered { outcome, message })
        })
    };
    Ok(match deciding {
        Deciding::Write(drafts) => After::written(drafts, then(MessageOutcome::Applied)),
        Deciding::Soon(event) => After::folded(event, then(MessageOutcome::AlreadyOver)),
        Deciding::Over => After::nothing(then(MessageOutcome::AlreadyOver)),
    })
}

pub(super) fn list(asked: &Asked<'_>, request: &MessagesListRequest) -> Result<MessagesList, ApiError> {
    let inbox = whose(asked, request.session.as_ref(), request.host.as_ref())?;
    let messages = asked.fleet.messages();
    let after = request.cursor.map(|id| {
        let message = messages.get(id).ok_or_else(|| error(&Refusal::Unknown(id)))?;
        Ok((Reverse(message.at), id))
    });
    let shown = |message: &Message| request.all || (message.is_unread() && message.is_due(asked.now));
    let wanted = messages.inbox(&inbox).filter(|(_, message)| shown(message));
    let page = page::latest(
        wanted,
        |message| message.at,
        after.transpose()?,
        MessageRow::new,
        api::page_rows(request.limit),
    );
    Ok(MessagesList {
        unread: messages.unread_count(&inbox, asked.now),
        next_cursor: page.next(|row| row.id),
        messages: page.rows,
        inbox: inbox.to_string(),
    })
}

pub(super) fn threads(asked: &Asked<'_>, request: &MessagesThreadsRequest) -> Result<MessagesThreads, ApiError> {
    let inbox = whose(asked, request.session.as_ref(), request.host.as_ref())?;
    let (mut room, mut more) = (Room::new(), false);
    let mut rows = |is: &dyn Fn(&Message) -> bool| {
        let open = asked
            .fleet
            .messages()
            .all()
            .iter()
            .filter(|(_, message)| !message.is_over() && is(message));
        let mut open: Vec<_> = open.collect();
        open.sort_by_key(|(id, message)| (message.at, **id));
        let rows = open.into_iter().map(|(id, message)| MessageRow::new(*id, message));
        let page = room.page(rows, api::page_rows(request.limit));
        more |= page.more;
        page.rows
    };
    let asks = |message: &Message| message.sent.from == inbox || message.sent.from.inbox().as_ref() == Some(&inbox);
    Ok(MessagesThreads {
        to_answer: rows(&|message| message.is_question() && message.sent.to == inbox),
        asked: rows(&|message| message.is_question() && asks(message)),
        reminders: rows(&|message| message.sent.kind == Kind::Reminder && message.sent.to == inbox),
        inbox: inbox.to_string(),
        more,
    })
}

pub(super) fn whoami(asked: &Asked<'_>) -> Whoami {
    let party = message::speaker(asked.fleet, asked.asker).ok();
    let inbox = party.as_ref().and_then(Party::inbox);
    let key = party.as_ref().and_then(Party::session);
    let session = key.and_then(|key| asked.fleet.session(key));
    let messages = asked.fleet.messages();
    let to_answer = |of: &Party| {
        let questions = messages
            .inbox(of)
            .filter(|(_, message)| message.is_question() && !message.is_over());
        questions.count()
    };
    Whoami {
        caller: asked.asker.caller.to_string(),
        name: party.as_ref().map(ToString::to_string),
        host: key.map(|key| key.host.clone()),
        session: key.map(|key| key.id.clone()).or_else(|| asked.asker.session.clone()),
        agent: session.and_then(|session| session.agent().cloned()),
        model: session.and_then(|session| session.model()).map(str::to_owned),
        state: session.map(|session| session.standing().state),
        carries: session
            .and_then(|session| session.carrier())
            .map_or_else(Vec::new, |carrier| carrier.can.iter().copied().collect()),
        unread: inbox
            .as_ref()
            .map_or(0, |inbox| messages.unread_count(inbox, asked.now)),
        to_answer: inbox.as_ref().map_or(0, to_answer),
    }
}

/// Whose inbox a question is about: a session's that is named, else that of whoever asks, else the operators'.
fn whose(asked: &Asked<'_>, session: Option<&SessionId>, host: Option<&HostName>) -> Result<Party, ApiError> {
    if let Some(id) = session {
        return lists::find(asked.fleet, id, host).map(Party::Session);
    }
    match message::speaker(asked.fleet, asked.asker) {
        Err(Refusal::Nobody) => Ok(Party::Operators),
        Ok(_) => own_inbox(asked),
        Err(no) => Err(error(&no)),
    }
}

fn own_inbox(asked: &Asked<'_>) -> Result<Party, ApiError> {
    let speaker = message::speaker(asked.fleet, asked.asker).map_err(|no| error(&no))?;
    Ok(inbox(&speaker))
}

fn inbox(party: &Party) -> Party {
    party.inbox().unwrap_or_else(|| party.clone())
}

/// Whom a name stands for.
fn recipient(fleet: &Fleet, name: &str) -> Result<To, ApiError> {
    match name {
        ALL => return Ok(To::All),
        OPERATOR | OPERATORS => return Ok(To::One(Party::Operators)),
        _ => {}
    }
    if let Some(Party::Session(key)) = Party::parse(name)
        && fleet.session(&key).is_some()
    {
        return Ok(To::One(Party::Session(key)));
    }
    let id = SessionId::new(name).map_err(|error| bad(&error.to_string()))?;
    lists::find(fleet, &id, None).map(|key| To::One(Party::Session(key)))
}

fn bad(text: &str) -> ApiError {
    ApiError::new(ErrorKind::BadRequest, text)
}

fn error(refusal: &Refusal) -> ApiError {
    let kind = match refusal {
        Refusal::Nobody | Refusal::NotItself { .. } | Refusal::NotAllowed(_) | Refusal::NotYours { .. } => {
            ErrorKind::Forbidden
        }
        Refusal::NoSession(_) | Refusal::Unknown(_) => ErrorKind::NotFound,
        Refusal::Malformed(_) | Refusal::NoOption(..) | Refusal::OneOption => ErrorKind::BadRequest,
        Refusal::NoQuestion(_) => ErrorKind::Conflict,
        Refusal::Full(_) | Refusal::Waiting(_) | Refusal::TooMany { .. } | Refusal::Busy => ErrorKind::Unavailable,
    };
    ApiError::new(kind, refusal.to_string())
}
