//! What was written of messages and not yet read back.

use super::{MessageFact, Party, Sent};
use crate::ids::{EventId, MessageId};
use std::collections::BTreeMap;

#[derive(Debug, Default)]
pub(crate) struct Pending(BTreeMap<EventId, MessageFact>);

impl Pending {
    pub(crate) fn published(&mut self, id: EventId, fact: &MessageFact) {
        self.0.insert(id, fact.clone());
    }

    pub(crate) fn folded(&mut self, id: EventId) {
        self.0.remove(&id);
    }

    /// What is on its way about this message, the first of a sort.
    pub(crate) fn about(&self, id: MessageId, is: impl Fn(&MessageFact) -> bool) -> Option<EventId> {
        let mut all = self.0.iter();
        let found = all.find(|(_, fact)| fact.id() == Some(id) && is(fact));
        found.map(|(event, _)| *event)
    }

    /// The last event by which this request of this party sends something.
    pub(crate) fn sending(&self, from: &Party, caller: &str, request: &str) -> Option<EventId> {
        let own = |sent: &Sent| sent.is_of(from, caller, request);
        let mut all = self.0.iter().rev();
        let found = all.find(|(_, fact)| matches!(fact, MessageFact::Sent(sent) if own(sent)));
        found.map(|(event, _)| *event)
    }

    /// What is being sent.
    pub(crate) fn sent(&self) -> impl Iterator<Item = &Sent> {
        self.0.values().filter_map(|fact| match fact {
            MessageFact::Sent(sent) => Some(&**sent),
            MessageFact::Delivered { .. }
            | MessageFact::Acked { .. }
            | MessageFact::Answered { .. }
            | MessageFact::Expired { .. } => None,
        })
    }

    /// The last event by which this request takes something that it `may` take.
    pub(crate) fn taking(&self, by: &str, may: impl Fn(MessageId) -> bool) -> Option<EventId> {
        let mut all = self.0.iter().rev();
        let taken = |fact: &MessageFact| matches!(fact, MessageFact::Delivered { id, request, .. } if **request == *by && may(*id));
        let found = all.find(|(_, fact)| taken(fact));
        found.map(|(event, _)| *event)
    }
}
