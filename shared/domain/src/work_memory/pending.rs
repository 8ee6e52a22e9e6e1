//! Changes of what is known that are on their way into the log.

use super::{WorkMemory, WorkMemoryFact};
use crate::ids::EventId;
use crate::lease::LeaseKey;
use std::collections::BTreeMap;

/// What was written and not read back, in the order it was written.
#[derive(Debug, Default)]
pub(crate) struct Pending(BTreeMap<LeaseKey, Vec<(EventId, WorkMemoryFact)>>);

impl Pending {
    pub(crate) fn published(&mut self, id: EventId, fact: &WorkMemoryFact) {
        self.0.entry(fact.key.clone()).or_default().push((id, fact.clone()));
    }

    pub(crate) fn folded(&mut self, id: EventId) {
        self.0.retain(|_, written| {
            written.retain(|(event, _)| *event != id);
            !written.is_empty()
        });
    }

    /// What will be known there.
    pub(super) fn over(&self, key: &LeaseKey, mut memory: WorkMemory) -> WorkMemory {
        for (_, fact) in self.0.get(key).into_iter().flatten() {
            if fact.revision > memory.revision {
                memory.take(fact);
            }
        }
        memory
    }

    /// The last change on its way there.
    pub(super) fn last(&self, key: &LeaseKey) -> Option<EventId> {
        let (event, _) = self.0.get(key)?.last()?;
        Some(*event)
    }

    /// Bytes that this will add to what is kept, at most.
    pub(super) fn weight(&self) -> usize {
        let written = self.0.values().flatten();
        let each = written.map(|(_, fact)| {
            let mut alone = WorkMemory::default();
            alone.take(fact);
            alone.weight()
        });
        each.sum()
    }
}
