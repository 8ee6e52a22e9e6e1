//! Requests that were answered lately, by the name their sender gave them: asked again, they get the same answer.
//!
//! A hook that loses its connection asks again with the same key, and must not become two observations. An event id that
//! a reporter chose must not be stored twice either: the hub would recognise the second as a repetition and leave a hole in
//! the count. While a name is worked on it is locked, so that whoever asks meanwhile waits for that answer.

use muster_domain::ids::EventId;
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::OwnedMutexGuard;

/// How long a name is remembered: a hook gives up after ten minutes at the latest, the hub's dedupe window is two.
const REMEMBERED: Duration = Duration::from_secs(600);
/// Names remembered at most: about 4 MiB.
const NAMES_MAX: usize = 32 * 1024;

/// How a sender names its request.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Name {
    Key(Box<str>),
    Id(EventId),
}

/// Where an observation went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Accepted {
    pub(crate) id: EventId,
    pub(crate) seq: u64,
}

type Slot = Arc<tokio::sync::Mutex<Option<Accepted>>>;

/// The names of one request, locked. Empty where nothing was stored under a name yet.
pub(crate) type Held = BTreeMap<Name, OwnedMutexGuard<Option<Accepted>>>;

#[derive(Default)]
pub(crate) struct Recent(Mutex<Names>);

#[derive(Default)]
struct Names {
    slots: HashMap<Name, Slot>,
    since: VecDeque<(Instant, Name)>,
}

impl Recent {
    /// Locks all of `names`, in their order, so that two requests never wait for each other.
    pub(crate) async fn hold(&self, names: BTreeSet<Name>) -> Held {
        let mut held = Held::new();
        for name in names {
            let slot = self.slot(name.clone());
            held.insert(name, slot.lock_owned().await);
        }
        held
    }

    /// Remembers what was stored before this process started.
    pub(crate) fn remember(&self, name: Name, accepted: Accepted) {
        if let Ok(mut slot) = self.slot(name).try_lock() {
            *slot = Some(accepted);
        }
    }

    fn slot(&self, name: Name) -> Slot {
        let mut names = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        names.forget(Instant::now());
        if let Some(slot) = names.slots.get(&name) {
            return Arc::clone(slot);
        }
        let slot = Slot::default();
        names.slots.insert(name.clone(), Arc::clone(&slot));
        names.since.push_back((Instant::now(), name));
        slot
    }
}

impl Names {
    fn forget(&mut self, now: Instant) {
        while let Some((since, _)) = self.since.front()
            && (self.since.len() > NAMES_MAX || now.duration_since(*since) > REMEMBERED)
            && let Some((_, name)) = self.since.pop_front()
        {
            self.slots.remove(&name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> Name {
        Name::Key(text.into())
    }

    fn accepted(seq: u64) -> Accepted {
        let id = EventId::from_uuid(uuid::Uuid::from_u128(seq.into()));
        Accepted { id, seq }
    }

    #[tokio::test]
    async fn the_second_asker_waits_for_the_answer_of_the_first() {
        let recent = Arc::new(Recent::default());
        let mut first = recent.hold([key("a"), key("b")].into()).await;
        let mut second = tokio::task::JoinSet::new();
        let again = Arc::clone(&recent);
        second.spawn(async move { *again.hold([key("b")].into()).await[&key("b")] });
        **first.get_mut(&key("b")).unwrap() = Some(accepted(7));
        drop(first);
        assert_eq!(second.join_next().await.unwrap().unwrap(), Some(accepted(7)));
    }

    #[tokio::test]
    async fn the_oldest_names_are_forgotten_first() {
        let recent = Recent::default();
        for seq in 0..NAMES_MAX as u64 + 10 {
            recent.remember(Name::Id(accepted(seq).id), accepted(seq));
        }
        let seen = async |seq| {
            let name = Name::Id(accepted(seq).id);
            *recent.hold([name.clone()].into()).await[&name]
        };
        assert_eq!(seen(NAMES_MAX as u64).await, Some(accepted(NAMES_MAX as u64)));
        assert_eq!(seen(0).await, None);
    }
}
