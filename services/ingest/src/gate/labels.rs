//! Which labels sessions carry: not every hook of a session brings them.

use muster_domain::names::SessionId;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

/// Sessions remembered; the longest known is forgotten first. A few hundred bytes each.
const SESSIONS_MAX: usize = 4096;

type Pairs = BTreeMap<String, String>;

/// What sessions carried when they last carried any.
#[derive(Default)]
pub(super) struct Labels(Mutex<Known>);

#[derive(Default)]
struct Known {
    of: HashMap<SessionId, Arc<Pairs>>,
    order: VecDeque<SessionId>,
}

impl Labels {
    pub(super) fn remember(&self, session: Option<&SessionId>, labels: &Pairs) {
        let Some(session) = session.filter(|_| !labels.is_empty()) else {
            return;
        };
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.of.get(session).is_some_and(|before| **before == *labels) {
            return;
        }
        if known.of.insert(session.clone(), Arc::new(labels.clone())).is_none() {
            known.order.push_back(session.clone());
        }
        if known.order.len() > SESSIONS_MAX
            && let Some(oldest) = known.order.pop_front()
        {
            known.of.remove(&oldest);
        }
    }

    pub(super) fn of(&self, session: Option<&SessionId>) -> Option<Arc<Pairs>> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.of.get(session?).cloned()
    }
}
