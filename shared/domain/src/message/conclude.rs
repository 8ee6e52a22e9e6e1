//! What the leader concludes about messages: that one is brought to whoever runs its session, what became of that, and that
//! one is not waited for any more.
//!
//! Each conclusion is what is still different between what is the case and what was said, so that nothing is said twice.

use super::receive::is_free;
use super::send::{draft, written};
use super::{ATTEMPTS_MAX, KEPT, Kind, Message, MessageFact, Party, Sent};
use crate::conclusion::{Cause, Conclusion, Draft};
use crate::effect::{self, Action, By, EXPIRED, Effect, End, Order, Status};
use crate::fact::{Decision, Fact, ProcessFact, Recorded};
use crate::fleet::{Fleet, SessionKey};
use crate::ids::{EffectId, MessageId};
use crate::names::HostName;
use crate::overlay::Overlay;
use crate::time::Timestamp;
use std::time::Duration;

/// Messages that are brought to one session at the same time; the next one when one of them is through.
const AT_ONCE: usize = 8;
/// The end of a turn that somebody interrupted: what it was told is not told again.
const INTERRUPTED: &str = "interrupted";

/// Why what is no longer to be read is not brought.
const NOT_UNREAD: &str = "not to be read any more";

/// After how long a run is first asked again for what it would not begin: its host was away, or it had too much to do.
const DECLINED: Duration = Duration::from_secs(30);

/// When that is; each time after as long again as it took until then.
fn asked_again(message: &Message, effect: &Effect) -> Timestamp {
    let since = effect.since();
    let age = since.as_millis().saturating_sub(message.at.as_millis());
    since.after(DECLINED.max(Duration::from_millis(u64::try_from(age).unwrap_or_default())))
}

/// The effect that a run declined to begin, where that run still carries the session.
fn declined<'a>(fleet: &'a Fleet, message: &Message) -> Option<&'a Effect> {
    let effect = fleet.effects().get(message.push?)?;
    let carrier = fleet.session(message.sent.to.session()?)?.carrier()?;
    let by_it =
        effect.status() == Status::Failed && !effect.has_begun() && effect.order.run.as_ref() == Some(&carrier.run);
    by_it.then_some(effect)
}

/// What follows from an event.
pub(crate) fn react(fleet: &Fleet, overlay: &Overlay, recorded: &Recorded, drafts: &mut Vec<Draft>) {
    let event = &recorded.event;
    let messages = fleet.messages();
    // Its message, and what waited until that one was through.
    let of_effect = |id: EffectId| -> Vec<_> {
        let Some(effect) = fleet.effects().get(id) else {
            return Vec::new();
        };
        let own = effect.order.action.message();
        let own = own.and_then(|id| messages.get(id).map(|message| (id, message)));
        let others = messages.unread_of(&effect.target);
        let others = others.filter(|(id, _)| own.is_some_and(|(own, _)| own != *id));
        own.into_iter().chain(others).collect()
    };
    let of_host = |host: &HostName| -> Vec<_> {
        let of = |message: &Message| message.sent.to.session().is_some_and(|key| key.host == *host);
        let all = messages
            .all()
            .iter()
            .filter(|(_, message)| message.is_unread() && of(message));
        all.map(|(id, message)| (*id, message)).collect()
    };
    let mut concerned: Vec<(MessageId, &Message)> = match (&event.fact, &event.host, &event.session) {
        // Also its delivery: that it failed may have been heard before.
        (Fact::Decision(Decision::Message(fact)), ..) => {
            let id = fact.id().unwrap_or_else(|| MessageId::of(event.id));
            messages.get(id).map(|message| (id, message)).into_iter().collect()
        }
        (Fact::Effect(receipt), ..) => of_effect(receipt.id),
        (Fact::Decision(Decision::Effect(effect::EffectFact::Withdrawn { id, .. })), ..) => of_effect(*id),
        (Fact::Process(ProcessFact::Carries { .. }), Some(host), Some(id)) => {
            let key = SessionKey {
                host: host.clone(),
                id: id.clone(),
            };
            messages.unread_of(&key).collect()
        }
        (Fact::Host(_) | Fact::Decision(Decision::HostAdded | Decision::HostReturned), Some(host), _) => of_host(host),
        (
            Fact::Hook(_)
            | Fact::Turn(_)
            | Fact::Process(_)
            | Fact::Host(_)
            | Fact::Decision(_)
            | Fact::Tombstone
            | Fact::Noted,
            ..,
        ) => return,
    };
    concerned.sort_by_key(|(id, message)| (message.at, *id));
    for (id, message) in concerned {
        let about = About {
            fleet,
            overlay,
            id,
            message,
            now: fleet.now(),
        };
        about.conclude(&Cause::Event(event.id), drafts);
    }
}

/// For a new leader: everything that is still to be said.
pub(crate) fn catch_up(fleet: &Fleet, overlay: &Overlay, drafts: &mut Vec<Draft>) {
    all(fleet, overlay, fleet.now(), drafts);
}

/// When time alone is next news of a message.
pub(crate) fn due(fleet: &Fleet) -> Option<Timestamp> {
    let open = fleet.messages().all().values().filter(|message| !message.is_over());
    open.filter_map(|message| {
        let unread = message.is_unread();
        let lease = message.delivery.as_ref().and_then(|delivery| delivery.until);
        let moments = [
            Some(message.sent.expires),
            message.sent.due.filter(|_| unread),
            lease.filter(|_| unread),
            declined(fleet, message)
                .filter(|_| unread)
                .map(|effect| asked_again(message, effect)),
        ];
        moments.into_iter().flatten().min()
    })
    .min()
}

/// What follows from it being `now`.
pub(crate) fn expire(fleet: &Fleet, overlay: &Overlay, now: Timestamp, drafts: &mut Vec<Draft>) {
    all(fleet, overlay, now, drafts);
}

fn all(fleet: &Fleet, overlay: &Overlay, now: Timestamp, drafts: &mut Vec<Draft>) {
    let brought = |message: &Message| {
        let effect = message.push.and_then(|id| fleet.effects().get(id));
        effect.is_some_and(|effect| effect.status() == Status::Requested)
    };
    let all = fleet.messages().all().iter();
    let mut open: Vec<_> = all
        .filter(|(_, message)| !message.is_over() || brought(message))
        .collect();
    open.sort_by_key(|(id, message)| (message.at, **id));
    for (id, message) in open {
        let about = About {
            fleet,
            overlay,
            id: *id,
            message,
            now,
        };
        about.conclude(&Cause::Due { at: about.since() }, drafts);
    }
}

/// A message, and what is known of its being brought.
struct About<'a> {
    fleet: &'a Fleet,
    overlay: &'a Overlay,
    id: MessageId,
    message: &'a Message,
    now: Timestamp,
}

impl About<'_> {
    /// What it last waited for.
    fn since(&self) -> Timestamp {
        let delivery = self.message.delivery.as_ref();
        let moments = [
            self.pushed().map(|(_, effect)| effect.since()),
            delivery.map(|delivery| delivery.until.unwrap_or(delivery.at)),
            self.message.sent.due,
            (self.message.sent.expires <= self.now).then_some(self.message.sent.expires),
        ];
        moments.into_iter().flatten().fold(self.message.at, Timestamp::max)
    }

    fn pushed(&self) -> Option<(EffectId, &Effect)> {
        let id = self.message.push?;
        Some((id, self.fleet.effects().get(id)?))
    }

    fn conclude(&self, cause: &Cause, drafts: &mut Vec<Draft>) {
        let ends = |fact: &MessageFact| !matches!(fact, MessageFact::Delivered { .. } | MessageFact::Sent(_));
        if !self.message.is_unread()
            && let Some(push) = self.message.push
        {
            // It was read, taken back or given up on the way.
            drafts.extend(effect::withdraw(
                self.fleet,
                self.overlay,
                push,
                NOT_UNREAD,
                cause.clone(),
            ));
        }
        if self.message.is_over() || self.overlay.messages().about(self.id, ends).is_some() {
            return;
        }
        if let Some((id, effect)) = self.pushed().filter(|_| self.message.is_unread()) {
            let known = self.message.delivery.as_ref().and_then(|delivery| delivery.effect);
            let delivered = |fact: &MessageFact| matches!(fact, MessageFact::Delivered { .. });
            let said = known == Some(id) || self.overlay.messages().about(self.id, delivered).is_some();
            if effect.has_begun() && !said {
                drafts.push(self.draft(self.delivered(id, effect), cause));
            }
            match &effect.ended {
                Some((_, End::Done)) => {
                    let by = self.message.sent.to.clone();
                    let acked = MessageFact::Acked { id: self.id, by };
                    return drafts.push(self.draft(acked, cause));
                }
                Some((_, End::Failed { reason, .. })) if effect.has_begun() && **reason == *INTERRUPTED => {
                    return self.give_up(INTERRUPTED, cause, drafts);
                }
                // Brought in this very moment: whether it is brought again is seen when that is read back.
                Some(_) | None if effect.has_begun() && !said && !effect.status().is_open() => return,
                Some(_) | None => {}
            }
        }
        if self.message.sent.expires <= self.now {
            return self.give_up(EXPIRED, cause, drafts);
        }
        let held = self.message.is_held(self.fleet.effects(), self.now);
        if self.message.is_unread() && self.message.attempts >= ATTEMPTS_MAX && !held {
            return self.give_up("undeliverable", cause, drafts);
        }
        drafts.extend(self.push(cause, drafts));
    }

    fn delivered(&self, id: EffectId, effect: &Effect) -> MessageFact {
        let attempt = if let Action::Message { attempt, .. } = effect.order.action {
            attempt
        } else {
            1
        };
        MessageFact::Delivered {
            id: self.id,
            attempt,
            until: None,
            effect: Some(id),
            request: effect.order.request.clone(),
        }
    }

    /// Nobody waits for it any more; whoever waits for an answer is told that none comes.
    fn give_up(&self, reason: &str, cause: &Cause, drafts: &mut Vec<Draft>) {
        let expired = MessageFact::Expired {
            id: self.id,
            reason: reason.into(),
        };
        drafts.push(self.draft(expired, cause));
        let asker = self.message.sent.from.inbox().filter(|_| self.message.is_question());
        if let Some(to) = asker {
            let sent = Sent {
                from: Party::Muster,
                to,
                body: format!("[{reason}] nobody answered: {}", self.message.sent.body).into(),
                kind: Kind::Note,
                reply_to: Some(self.id),
                due: None,
                expires: self.now.after(KEPT),
                caller: Party::Muster.to_string().into(),
                request: self.id.to_string().into(),
            };
            drafts.push(written(self.fleet, sent, cause.clone()));
        }
    }

    /// Has it brought by whoever runs its session.
    fn push(&self, cause: &Cause, drafts: &[Draft]) -> Option<Draft> {
        let target = self.message.sent.to.session()?;
        self.fleet.session(target)?.carrier()?;
        if !is_free(self.fleet, self.overlay, self.id, self.message, self.now) {
            return None;
        }
        if self.under_way(target, drafts) >= AT_ONCE {
            return None;
        }
        // What a run would not begin, it will not begin the next moment either; another run may.
        if declined(self.fleet, self.message).is_some_and(|effect| self.now < asked_again(self.message, effect)) {
            return None;
        }
        let sent = &self.message.sent;
        let action = Action::Message {
            message: self.id,
            from: sent.from.to_string().into(),
            body: self.words(),
            reply_to: sent.reply_to,
            attempt: self.message.attempts + 1,
        };
        let by = By {
            caller: sent.caller.clone(),
            session: sent.from.session().map(|key| key.id.clone()),
        };
        let request = sent.request.clone();
        let order = effect::order(self.fleet, self.overlay, target, action, by, request, self.now);
        let fact = order.ok()?;
        Some(Draft {
            conclusion: Conclusion::Effect(fact),
            ..draft(
                self.fleet,
                sent,
                MessageFact::Sent(Box::new(sent.clone())),
                cause.clone(),
            )
        })
    }

    /// Messages that are being brought to a session.
    fn under_way(&self, target: &SessionKey, drafts: &[Draft]) -> usize {
        let is_message = |order: &Order| order.action.message().is_some();
        let known = self.fleet.effects().of(target);
        let known = known.filter(|(_, effect)| effect.status().is_open() && is_message(&effect.order));
        let written = self.overlay.effects().requested();
        let written = written.filter(|(_, of, order)| *of == target && is_message(order));
        let drafted = drafts.iter().filter(|draft| {
            let own = draft.host.as_ref() == Some(&target.host) && draft.session.as_ref() == Some(&target.id);
            own && matches!(&draft.conclusion, Conclusion::Effect(fact) if fact.message().is_some())
        });
        known.count() + written.count() + drafted.count()
    }

    /// What a model reads of it.
    fn words(&self) -> Box<str> {
        let body = &self.message.sent.body;
        let Kind::Question { options, multi } = &self.message.sent.kind else {
            return body.clone();
        };
        let how = match (options.is_empty(), multi) {
            (true, _) => "in your own words".to_owned(),
            (false, false) => format!("with one of: {}", options.join(" | ")),
            (false, true) => format!("with any of: {}", options.join(" | ")),
        };
        format!(
            "{body}\n\n(A question: answer it {how}, by muster's tool `answer` with the id {}.)",
            self.id
        )
        .into()
    }

    fn draft(&self, fact: MessageFact, cause: &Cause) -> Draft {
        draft(self.fleet, &self.message.sent, fact, cause.clone())
    }
}
