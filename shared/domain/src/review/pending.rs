//! What was said and done, and is on its way into the log.

use super::{ReviewFact, Reviews};
use crate::ids::EventId;
use crate::time::Timestamp;
use std::borrow::Cow;

/// What was written and not read back, in the order it was written.
#[derive(Debug, Default)]
pub(crate) struct Pending(Vec<(EventId, ReviewFact)>);

impl Pending {
    pub(crate) fn published(&mut self, id: EventId, fact: &ReviewFact) {
        self.0.push((id, fact.clone()));
    }

    pub(crate) fn folded(&mut self, id: EventId) {
        self.0.retain(|(event, _)| *event != id);
    }

    /// How it will be.
    pub(super) fn over<'a>(&self, known: &'a Reviews, now: Timestamp) -> Cow<'a, Reviews> {
        let mut reviews = Cow::Borrowed(known);
        for (_, fact) in &self.0 {
            reviews.to_mut().fold(fact, now);
        }
        reviews
    }

    /// The last change on its way.
    pub(super) fn last(&self) -> Option<EventId> {
        self.0.last().map(|(event, _)| *event)
    }
}
