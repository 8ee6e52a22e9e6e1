//! What somebody reads: taken with a lease, and said to be read.

use super::send::{draft, not_yours, reads, speaker};
use super::{ATTEMPTS_MAX, LEASE, Message, MessageFact, Party, Refusal};
use crate::asker::Asker;
use crate::conclusion::{Cause, Draft};
use crate::effect::{EffectFact, Receipt};
use crate::fact::{Decision, Fact, Recorded};
use crate::fleet::Fleet;
use crate::ids::{EventId, MessageId};
use crate::overlay::Overlay;
use crate::time::Timestamp;

/// What there is for one who receives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Received {
    /// These, once that they were taken is written and read back.
    Take(Vec<MessageId>, Vec<Draft>),
    /// These, which this request took before.
    Again(Vec<MessageId>),
    /// This event is on its way, by which this request takes some.
    Soon(EventId),
    /// Nothing.
    Nothing,
}

/// Takes what waits for whoever asks, the oldest first, for as long as it `fits`.
///
/// # Errors
/// [`Refusal`].
pub fn receive(
    fleet: &Fleet,
    overlay: &Overlay,
    asker: &Asker,
    fits: &mut dyn FnMut(MessageId, &Message) -> bool,
    now: Timestamp,
) -> Result<Received, Refusal> {
    let party = speaker(fleet, asker)?;
    let inbox = inbox(&party);
    let own = |id| fleet.messages().get(id).is_some_and(|message| message.sent.to == inbox);
    if let Some(event) = overlay.messages().taking(&asker.request, own) {
        return Ok(Received::Soon(event));
    }
    let again = fleet.messages().taken_by(&party, &asker.request, now);
    let again: Vec<MessageId> = again.map(|(id, _)| id).collect();
    if !again.is_empty() {
        return Ok(Received::Again(again));
    }
    let mut waiting: Vec<(MessageId, &Message)> = waiting(fleet, overlay, &inbox, now).collect();
    waiting.sort_by_key(|(id, message)| (message.at, *id));
    let taken = waiting.iter().take_while(|(id, message)| fits(*id, message)).count();
    waiting.truncate(taken);
    if waiting.is_empty() {
        return Ok(Received::Nothing);
    }
    let take = |(id, message): &(MessageId, &Message)| {
        let fact = MessageFact::Delivered {
            id: *id,
            attempt: message.attempts + 1,
            until: Some(now.after(LEASE)),
            effect: None,
            request: asker.request.clone(),
        };
        draft(fleet, &message.sent, fact, Cause::Request(asker.request.clone()))
    };
    let drafts = waiting.iter().map(take).collect();
    Ok(Received::Take(waiting.into_iter().map(|(id, _)| id).collect(), drafts))
}

/// The inbox that a party reads.
pub(super) fn inbox(party: &Party) -> Party {
    party.inbox().unwrap_or(Party::Muster)
}

/// Whether anything waits in an inbox.
pub fn waits(fleet: &Fleet, overlay: &Overlay, inbox: &Party, now: Timestamp) -> bool {
    waiting(fleet, overlay, inbox, now).next().is_some()
}

/// The inbox in which something may wait since this event was folded. What time alone changes is not said by any event.
pub fn may_hold<'a>(fleet: &'a Fleet, recorded: &Recorded) -> Option<&'a Party> {
    let message = match &recorded.event.fact {
        Fact::Decision(Decision::Message(MessageFact::Sent(_))) => MessageId::of(recorded.event.id),
        Fact::Decision(Decision::Effect(EffectFact::Withdrawn { id, .. })) | Fact::Effect(Receipt { id, .. }) => {
            fleet.effects().get(*id)?.order.action.message()?
        }
        Fact::Decision(_)
        | Fact::Hook(_)
        | Fact::Turn(_)
        | Fact::Process(_)
        | Fact::Host(_)
        | Fact::Tombstone
        | Fact::Noted => return None,
    };
    Some(&fleet.messages().get(message)?.sent.to)
}

/// What waits in an inbox, and is with nobody.
fn waiting<'a>(
    fleet: &'a Fleet,
    overlay: &'a Overlay,
    of: &Party,
    now: Timestamp,
) -> impl Iterator<Item = (MessageId, &'a Message)> {
    fleet
        .messages()
        .unread(of)
        .filter(move |(id, message)| is_free(fleet, overlay, *id, message, now))
}

/// Whether a message may be brought now: it is to be read, its time has come, and nobody has it or is about to.
pub(super) fn is_free(fleet: &Fleet, overlay: &Overlay, id: MessageId, message: &Message, now: Timestamp) -> bool {
    message.is_unread()
        && message.is_due(now)
        && message.sent.expires > now
        && message.attempts < ATTEMPTS_MAX
        && !message.is_held(fleet.effects(), now)
        && overlay.messages().about(id, |_| true).is_none()
        && !overlay
            .effects()
            .requested()
            .any(|(.., order)| order.action.message() == Some(id))
}

/// Says that messages were read. What was said before is not said again.
///
/// # Errors
/// [`Refusal`] where one of them is not known, or not for whoever asks.
pub fn ack(fleet: &Fleet, overlay: &Overlay, asker: &Asker, ids: &[MessageId]) -> Result<Vec<Draft>, Refusal> {
    let party = speaker(fleet, asker)?;
    let mut drafts = Vec::new();
    for id in ids.iter().copied() {
        let message = fleet.messages().get(id).ok_or(Refusal::Unknown(id))?;
        if !reads(&party, &message.sent.to) {
            return Err(not_yours(id, message));
        }
        let acked = |fact: &MessageFact| matches!(fact, MessageFact::Acked { .. });
        if message.is_unread() && overlay.messages().about(id, acked).is_none() {
            let by = party.clone();
            let cause = Cause::Request(asker.request.clone());
            drafts.push(draft(fleet, &message.sent, MessageFact::Acked { id, by }, cause));
        }
    }
    Ok(drafts)
}
