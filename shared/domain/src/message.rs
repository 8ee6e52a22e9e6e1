//! Messages: what sessions and operators tell and ask one another.
//!
//! A message waits in its recipient's inbox until somebody says that it was read. Whoever takes it has a lease: when that
//! is over and nobody said so, it is offered again, five times at most. To a session that something runs it is brought as
//! an effect instead, and the run's receipts say the same. A question waits for an answer besides, and a reminder for its
//! time.

mod conclude;
mod pending;
mod receive;
mod send;
mod words;

pub(crate) use conclude::{catch_up, due, expire, react};
pub(crate) use pending::Pending;
pub use receive::{Received, ack, may_hold, receive, waits};
pub use send::{Asked, Refusal, Sending, To, Wish, answer, cancel, send, speaker};
pub use words::{
    AHEAD_MAX, ATTEMPTS_MAX, Allowed, Answer, BODY_BYTES_MAX, KEPT, Kind, LEASE, MessageFact, Party, Sent, Settings,
    Status, TTL, TTL_MAX,
};

use crate::effect::Effects;
use crate::fleet::SessionKey;
use crate::ids::{EffectId, MessageId};
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

/// How many that are over are kept, the latest.
const OVER_MAX: usize = 2000;

/// A delivery.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Delivery {
    /// When.
    pub at: Timestamp,
    /// Until when it is not offered again.
    until: Option<Timestamp>,
    /// The effect that brought it.
    effect: Option<EffectId>,
    /// The request that took it.
    request: Box<str>,
}

/// A message.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Message {
    /// What was sent.
    pub sent: Sent,
    /// When.
    pub at: Timestamp,
    /// How often it was brought.
    pub attempts: u32,
    /// The last time it was.
    pub delivery: Option<Delivery>,
    /// The effect that shall bring it.
    push: Option<EffectId>,
    /// When it was read.
    pub acked: Option<Timestamp>,
    /// When it was answered, by whom, and how.
    pub answered: Option<(Timestamp, Party, Answer)>,
    /// When it was given up, and why.
    pub expired: Option<(Timestamp, Box<str>)>,
}

impl Message {
    /// How it stands.
    pub const fn status(&self) -> Status {
        match self {
            Self { answered: Some(_), .. } => Status::Answered,
            Self { expired: Some(_), .. } => Status::Expired,
            Self { acked: Some(_), .. } => Status::Acked,
            Self { delivery: Some(_), .. } => Status::Delivered,
            Self { .. } => Status::Waiting,
        }
    }

    /// Whether it is still to be read.
    pub const fn is_unread(&self) -> bool {
        self.acked.is_none() && self.answered.is_none() && self.expired.is_none()
    }

    /// Whether it is a question.
    pub const fn is_question(&self) -> bool {
        matches!(self.sent.kind, Kind::Question { .. })
    }

    /// Whether nothing more is to come of it.
    pub const fn is_over(&self) -> bool {
        if self.is_question() {
            self.answered.is_some() || self.expired.is_some()
        } else {
            !self.is_unread()
        }
    }

    /// Whether its time has come.
    pub fn is_due(&self, now: Timestamp) -> bool {
        self.sent.due.is_none_or(|due| due <= now)
    }

    /// Whether somebody has it, or it is being brought.
    fn is_held(&self, effects: &Effects, now: Timestamp) -> bool {
        let pushed = self.push.and_then(|id| effects.get(id));
        let leased = self.delivery.as_ref().and_then(|delivery| delivery.until);
        pushed.is_some_and(|effect| effect.status().is_open()) || leased.is_some_and(|until| until > now)
    }
}

/// Messages that are under way, and the latest that are over.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(from = "Stored")]
pub struct Messages {
    all: BTreeMap<MessageId, Message>,
    /// Those that are to be read, by the inbox they are in. Follows from the above: a thousand may wait for a message, and are
    /// looked at often.
    #[serde(skip)]
    unread: BTreeMap<Party, BTreeSet<MessageId>>,
}

/// What is kept of them.
#[derive(Deserialize)]
struct Stored {
    all: BTreeMap<MessageId, Message>,
}

impl From<Stored> for Messages {
    fn from(Stored { all }: Stored) -> Self {
        let mut messages = Self {
            all,
            unread: BTreeMap::new(),
        };
        for (id, message) in messages.all.iter().filter(|(_, message)| message.is_unread()) {
            let inbox = messages.unread.entry(message.sent.to.clone()).or_default();
            inbox.insert(*id);
        }
        messages
    }
}

impl Messages {
    /// Takes in a decision; `event` is what a new message is named after.
    pub(crate) fn fold(&mut self, fact: &MessageFact, event: MessageId, at: Timestamp) {
        if let MessageFact::Sent(sent) = fact {
            if let Entry::Vacant(new) = self.all.entry(event) {
                self.unread.entry(sent.to.clone()).or_default().insert(event);
                new.insert(Message {
                    sent: (**sent).clone(),
                    at,
                    attempts: 0,
                    delivery: None,
                    push: None,
                    acked: None,
                    answered: None,
                    expired: None,
                });
            }
            return self.forget();
        }
        let Some(message) = fact.id().and_then(|id| self.all.get_mut(&id)) else {
            return;
        };
        match fact {
            MessageFact::Sent(_) => {}
            MessageFact::Delivered {
                attempt,
                until,
                effect,
                request,
                ..
            } => {
                message.attempts = message.attempts.max(*attempt);
                message.delivery = Some(Delivery {
                    at,
                    until: *until,
                    effect: *effect,
                    request: request.clone(),
                });
            }
            MessageFact::Acked { .. } => {
                message.acked.get_or_insert(at);
            }
            MessageFact::Answered { answer, by, .. } => {
                message.acked.get_or_insert(at);
                let said = (at, by.clone(), answer.clone());
                message.answered.get_or_insert(said);
            }
            MessageFact::Expired { reason, .. } => {
                message.expired.get_or_insert_with(|| (at, reason.clone()));
            }
        }
        if !message.is_unread()
            && let Some(inbox) = self.unread.get_mut(&message.sent.to)
            && fact.id().is_some_and(|id| inbox.remove(&id))
            && inbox.is_empty()
        {
            self.unread.remove(&message.sent.to);
        }
    }

    /// Takes in that an effect shall bring it.
    pub(crate) fn pushed(&mut self, id: MessageId, effect: EffectId) {
        if let Some(message) = self.all.get_mut(&id) {
            message.push = Some(effect);
        }
    }

    fn forget(&mut self) {
        let over = self.all.iter().filter(|(_, message)| message.is_over());
        if self.all.len() > OVER_MAX
            && over.clone().count() > OVER_MAX
            && let Some(oldest) = over.min_by_key(|(id, message)| (message.at, **id)).map(|(id, _)| *id)
        {
            self.all.remove(&oldest);
        }
    }

    /// All that are known.
    pub const fn all(&self) -> &BTreeMap<MessageId, Message> {
        &self.all
    }

    /// The message of this id.
    pub fn get(&self, id: MessageId) -> Option<&Message> {
        self.all.get(&id)
    }

    /// Those in an inbox.
    pub fn inbox<'a>(&'a self, of: &'a Party) -> impl Iterator<Item = (MessageId, &'a Message)> {
        let all = self.all.iter().filter(move |(_, message)| message.sent.to == *of);
        all.map(|(id, message)| (*id, message))
    }

    /// Those of them that are to be read.
    pub fn unread<'a>(&'a self, of: &Party) -> impl Iterator<Item = (MessageId, &'a Message)> + use<'a> {
        let unread = self.unread.get(of).into_iter().flatten();
        unread.filter_map(|id| Some((*id, self.all.get(id)?)))
    }

    /// How many of them are to be read now.
    pub fn unread_count(&self, of: &Party, now: Timestamp) -> usize {
        self.unread(of).filter(|(_, message)| message.is_due(now)).count()
    }

    /// Those that this request of this party sent. Sessions of one host ask under one caller, and choose ids of their own.
    pub fn sent_by<'a>(
        &'a self,
        from: &'a Party,
        caller: &'a str,
        request: &'a str,
    ) -> impl Iterator<Item = (MessageId, &'a Message)> {
        let own = move |message: &Message| message.sent.is_of(from, caller, request);
        let all = self.all.iter().filter(move |(_, message)| own(message));
        all.map(|(id, message)| (*id, message))
    }

    /// Those that this request took from the inbox that `of` reads, that are still to be read, and that nobody else may take
    /// yet.
    pub fn taken_by<'a>(
        &'a self,
        of: &Party,
        request: &'a str,
        now: Timestamp,
    ) -> impl Iterator<Item = (MessageId, &'a Message)> + use<'a> {
        let took = move |message: &Message| {
            let own = |delivery: &Delivery| *delivery.request == *request && delivery.until > Some(now);
            message.delivery.as_ref().is_some_and(own)
        };
        let unread = self.unread(&receive::inbox(of));
        unread.filter(move |(_, message)| took(message))
    }

    /// Those that are to be read by a session.
    pub(crate) fn unread_of<'a>(
        &'a self,
        session: &SessionKey,
    ) -> impl Iterator<Item = (MessageId, &'a Message)> + use<'a> {
        self.unread(&Party::Session(session.clone()))
    }
}
