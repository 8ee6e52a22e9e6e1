//! What one endpoint has to be told of, and when: a copy of what the ledger says, without the events themselves.

use muster_domain::ids::EventId;
use muster_domain::time::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

/// Deliveries by when they are due; among those due together, the older event first.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    by_due: BTreeSet<(Timestamp, u64, EventId)>,
    by_event: BTreeMap<EventId, (Timestamp, u64)>,
}

impl Queue {
    pub(crate) fn set(&mut self, event: EventId, due: Timestamp, seq: u64) {
        self.remove(event);
        self.by_event.insert(event, (due, seq));
        self.by_due.insert((due, seq, event));
    }

    pub(crate) fn remove(&mut self, event: EventId) {
        if let Some((due, seq)) = self.by_event.remove(&event) {
            self.by_due.remove(&(due, seq, event));
        }
    }

    /// What is due first, and when.
    pub(crate) fn first(&self) -> Option<(Timestamp, EventId)> {
        self.by_due.first().map(|(due, _, event)| (*due, *event))
    }

    pub(crate) fn len(&self) -> usize {
        self.by_event.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(n: u128) -> EventId {
        EventId::from_uuid(uuid::Uuid::from_u128(n))
    }

    #[test]
    fn what_is_due_first_comes_first_and_moves_when_it_is_set_again() {
        let at = Timestamp::from_millis;
        let mut queue = Queue::default();
        assert_eq!(queue.first(), None);
        queue.set(event(1), at(10), 101);
        queue.set(event(2), at(10), 100);
        queue.set(event(3), at(5), 102);
        assert_eq!(queue.first(), Some((at(5), event(3))));
        queue.set(event(3), at(20), 102);
        assert_eq!(queue.first(), Some((at(10), event(2))));
        queue.remove(event(2));
        assert_eq!(queue.first(), Some((at(10), event(1))));
        assert_eq!(queue.len(), 2);
    }
}
