//! Effects on their way into the log.

use super::{EffectFact, Order};
use crate::conclusion::Draft;
use crate::fleet::SessionKey;
use crate::ids::{EffectId, EventId};
use std::collections::BTreeMap;

/// What was written and not read back.
#[derive(Debug, Default)]
pub(crate) struct Pending {
    requested: BTreeMap<EventId, (SessionKey, Order)>,
    withdrawn: BTreeMap<EventId, EffectId>,
}

impl Pending {
    pub(crate) fn published(&mut self, id: EventId, draft: &Draft, fact: &EffectFact) {
        match fact {
            EffectFact::Requested(order) => {
                if let (Some(host), Some(session)) = (&draft.host, &draft.session) {
                    let target = SessionKey {
                        host: host.clone(),
                        id: session.clone(),
                    };
                    self.requested.insert(id, (target, (**order).clone()));
                }
            }
            EffectFact::Withdrawn { id: effect, .. } => {
                self.withdrawn.insert(id, *effect);
            }
        }
    }

    pub(crate) fn folded(&mut self, id: EventId) {
        self.requested.remove(&id);
        self.withdrawn.remove(&id);
    }

    /// What is being asked, and whom.
    pub(crate) fn requested(&self) -> impl Iterator<Item = (EventId, &SessionKey, &Order)> {
        self.requested.iter().map(|(id, (target, order))| (*id, target, order))
    }

    /// The event that takes this effect back.
    pub(crate) fn withdrawing(&self, effect: EffectId) -> Option<EventId> {
        let mut all = self.withdrawn.iter();
        all.find(|(_, of)| **of == effect).map(|(id, _)| *id)
    }
}
