//! Effects: what the orchestrator wants done on a host, from the request to what the host says became of it.
//!
//! An effect is a decision in the log. The host it is for carries it out, and says so with receipts: `accepted` right
//! before it acts, `done` or `failed` after. What is made of them does not depend on their order or on how often they
//! come: each moment is kept by itself, and how the effect stands is read from all of them. A withdrawal stands only where
//! nothing was begun, since a receipt that says otherwise is the truth; but for the one that gives up what was begun and
//! will not be heard of again (`unknown`), which stands until its host says after all how it ended.

mod conclude;
mod pending;
mod words;

pub use conclude::{Asking, Refusal, request};
pub(crate) use conclude::{due, expire, may_ask, order, withdraw};
pub(crate) use pending::Pending;
pub use words::{
    Action, ActionKind, By, Carrier, EXPIRED, EXPIRY, EffectFact, End, GIVEN_UP, Order, Receipt, SPAWN_EXPIRY, Status,
    UNKNOWN, Word,
};

use crate::fleet::SessionKey;
use crate::ids::EffectId;
use crate::names::HostName;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How many are kept, those that wait not counted: the latest.
const KEPT_MAX: usize = 2000;

/// Something that shall be done on a host.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Effect {
    /// The session it is for; for a spawn, the session that begins.
    pub target: SessionKey,
    /// What is asked.
    pub order: Order,
    /// When it was asked for.
    pub asked: Timestamp,
    /// When its host said that it begins.
    pub accepted: Option<Timestamp>,
    /// When its host said that it is over, and how.
    pub ended: Option<(Timestamp, End)>,
    /// When it was taken back, and why.
    pub withdrawn: Option<(Timestamp, Box<str>)>,
    /// When nobody expected any more to hear how it ended.
    #[serde(default)]
    pub given_up: Option<Timestamp>,
}

impl Effect {
    /// How it stands.
    pub fn status(&self) -> Status {
        let begun = self.has_begun();
        match (&self.withdrawn, &self.ended) {
            (Some((_, reason)), _) if !begun && **reason == *EXPIRED => Status::Expired,
            (Some(_), _) if !begun => Status::Withdrawn,
            (_, Some((_, End::Done))) => Status::Done,
            (_, Some((_, End::Failed { .. }))) => Status::Failed,
            (_, None) if begun && self.given_up.is_some() => Status::Failed,
            (_, None) if begun => Status::Accepted,
            (_, None) => Status::Requested,
        }
    }

    /// Whether its host said that it began.
    pub const fn has_begun(&self) -> bool {
        self.accepted.is_some() || matches!(self.ended, Some((_, End::Done)))
    }

    /// Since when it stands so.
    pub fn since(&self) -> Timestamp {
        let at = match self.status() {
            Status::Requested => None,
            Status::Accepted => self.accepted,
            Status::Done | Status::Failed => self.ended.as_ref().map(|(at, _)| *at).or(self.given_up),
            Status::Withdrawn | Status::Expired => self.withdrawn.as_ref().map(|(at, _)| *at),
        };
        at.unwrap_or(self.asked)
    }

    /// Why it ended so, in one word.
    pub fn reason(&self) -> Option<&str> {
        let heard = match &self.ended {
            Some((_, End::Failed { reason, .. })) => Some(&**reason),
            Some((_, End::Done)) | None => None,
        };
        let withdrawn = self.withdrawn.as_ref().map(|(_, reason)| &**reason);
        match self.status() {
            Status::Withdrawn | Status::Expired => withdrawn.or(heard),
            Status::Failed => heard.or(Some(UNKNOWN)),
            Status::Requested | Status::Accepted | Status::Done => heard,
        }
    }

    fn note(&mut self, word: &Word, at: Timestamp) {
        match word {
            Word::Accepted => self.accepted = Some(self.accepted.map_or(at, |known| known.min(at))),
            Word::Ended(end) => {
                let heard = (at, end.clone());
                if self.ended.as_ref().is_none_or(|known| heard < *known) {
                    self.ended = Some(heard);
                }
            }
        }
    }
}

/// Effects that are under way, and the latest that ended.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct Effects {
    all: BTreeMap<EffectId, Effect>,
}

impl Effects {
    /// Takes in a decision; `id` is its event's, `target` whom it is about.
    pub(crate) fn fold(&mut self, fact: &EffectFact, id: EffectId, target: Option<SessionKey>, at: Timestamp) {
        match fact {
            EffectFact::Requested(order) => {
                let Some(target) = target else {
                    return;
                };
                let mut order = (**order).clone();
                if let Action::Message { body, .. } = &mut order.action {
                    // It is kept with the message.
                    *body = Box::default();
                }
                self.all.entry(id).or_insert(Effect {
                    target,
                    order,
                    asked: at,
                    accepted: None,
                    ended: None,
                    withdrawn: None,
                    given_up: None,
                });
                self.forget();
            }
            EffectFact::Withdrawn { id, reason } => {
                if let Some(effect) = self.all.get_mut(id) {
                    effect.withdrawn.get_or_insert_with(|| (at, reason.clone()));
                    if **reason == *UNKNOWN {
                        effect.given_up.get_or_insert(at);
                    }
                }
            }
        }
    }

    /// Takes in what a host says. Nobody speaks for another one's effects.
    pub(crate) fn receive(&mut self, host: Option<&HostName>, receipt: &Receipt, at: Timestamp) {
        let own = |effect: &&mut Effect| Some(&effect.target.host) == host;
        if let Some(effect) = self.all.get_mut(&receipt.id).filter(own) {
            effect.note(&receipt.word, at);
        }
    }

    fn forget(&mut self) {
        let told = |effect: &Effect| effect.status() != Status::Requested;
        if self.all.len() <= KEPT_MAX || self.all.values().filter(|effect| told(effect)).count() <= KEPT_MAX {
            return;
        }
        let kept = self.all.iter().filter(|(_, effect)| told(effect));
        let order = |(id, effect): &(&EffectId, &Effect)| (effect.status().is_open(), effect.since(), **id);
        if let Some(oldest) = kept.min_by_key(order).map(|(id, _)| *id) {
            self.all.remove(&oldest);
        }
    }

    /// All that are known.
    pub const fn all(&self) -> &BTreeMap<EffectId, Effect> {
        &self.all
    }

    /// The effect of this id.
    pub fn get(&self, id: EffectId) -> Option<&Effect> {
        self.all.get(&id)
    }

    /// The one that this request asked for of `target`. Sessions of one host ask under one caller, and choose ids of their own,
    /// each for itself.
    pub fn asked_by(
        &self,
        caller: &str,
        request: &str,
        target: &SessionKey,
        kind: ActionKind,
    ) -> Option<(EffectId, &Effect)> {
        let mut all = self.all.iter();
        let found = all.find(|(_, effect)| effect.target == *target && effect.order.is_by(caller, request, kind));
        found.map(|(id, effect)| (*id, effect))
    }

    /// How many wait for their hosts.
    pub(crate) fn waiting(&self) -> usize {
        let all = self.all.values();
        all.filter(|effect| effect.status() == Status::Requested).count()
    }

    /// Those of a session.
    pub fn of<'a>(&'a self, target: &'a SessionKey) -> impl Iterator<Item = (EffectId, &'a Effect)> {
        let all = self.all.iter().filter(move |(_, effect)| effect.target == *target);
        all.map(|(id, effect)| (*id, effect))
    }
}
