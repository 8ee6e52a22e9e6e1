//! Requests that were answered lately, by the name their sender gave them: asked again, they get the same answer.
//!
//! A hook that loses its connection asks again with the same key, and must not become two observations. An event id that
//! a reporter chose must not be stored twice either: the hub would recognise the second as a repetition and leave a hole in
//! the count. But two observations under one id are a mistake of the reporter that it must hear of, so the id goes with what
//! was said under it. While a name is worked on it is locked, so that whoever asks meanwhile waits for that answer.

use crate::observation::Observation;
use muster_domain::family::EventType;
use muster_domain::ids::EventId;
use muster_domain::names::SessionId;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::OwnedMutexGuard;

/// How long a name is remembered: a hook gives up after ten minutes at the latest, the hub's dedupe window is two.
const REMEMBERED: Duration = Duration::from_secs(600);
/// Names remembered at most: about 6 MiB.
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

/// What was said, short enough to be remembered: SHA-256, cut to what nobody hits by chance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Content {
    /// Kind and session.
    about: [u8; 16],
    /// The data as they came; not known of what was stored before this process started, because only what redaction left
    /// of them was.
    data: Option<[u8; 16]>,
}

impl Content {
    /// Of an observation that has just come.
    pub(crate) fn of(observation: &Observation) -> Self {
        // Reporters that keep their members in no order write them in another one each time.
        let mut data = Value::Object(observation.data.clone());
        data.sort_all_objects();
        Self {
            data: Some(cut(Sha256::new_with_prefix(data.to_string()))),
            ..Self::stored(&observation.event_type, observation.session.as_ref())
        }
    }

    /// Of an observation that is stored.
    pub(crate) fn stored(event_type: &EventType, session: Option<&SessionId>) -> Self {
        let session = session.map_or("", SessionId::as_str);
        Self {
            about: cut(Sha256::new_with_prefix(format!("{event_type} {session}"))),
            data: None,
        }
    }

    /// Whether both may be the same observation.
    pub(crate) fn agrees(&self, other: &Self) -> bool {
        self.about == other.about && self.data.zip(other.data).is_none_or(|(ours, theirs)| ours == theirs)
    }
}

fn cut(digest: Sha256) -> [u8; 16] {
    let whole: [u8; 32] = digest.finalize().into();
    let mut half = [0; 16];
    half.copy_from_slice(&whole[..16]);
    half
}

/// What was stored under a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Known {
    pub(crate) accepted: Accepted,
    /// Where the name is an id.
    pub(crate) content: Option<Content>,
}

type Slot = Arc<tokio::sync::Mutex<Option<Known>>>;

/// The names of one request, locked. Empty where nothing was stored under a name yet.
pub(crate) type Held = BTreeMap<Name, OwnedMutexGuard<Option<Known>>>;

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
    pub(crate) fn remember(&self, name: Name, known: Known) {
        if let Ok(mut slot) = self.slot(name).try_lock() {
            *slot = Some(known);
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

    fn id(seq: u64) -> EventId {
        EventId::from_uuid(uuid::Uuid::from_u128(seq.into()))
    }

    fn known(seq: u64) -> Known {
        Known {
            accepted: Accepted { id: id(seq), seq },
            content: None,
        }
    }

    #[tokio::test]
    async fn the_second_asker_waits_for_the_answer_of_the_first() {
        let recent = Arc::new(Recent::default());
        let mut first = recent.hold([key("a"), key("b")].into()).await;
        let mut second = tokio::task::JoinSet::new();
        let again = Arc::clone(&recent);
        second.spawn(async move { *again.hold([key("b")].into()).await[&key("b")] });
        **first.get_mut(&key("b")).unwrap() = Some(known(7));
        drop(first);
        assert_eq!(second.join_next().await.unwrap().unwrap(), Some(known(7)));
    }

    #[tokio::test]
    async fn the_oldest_names_are_forgotten_first() {
        let recent = Recent::default();
        for seq in 0..NAMES_MAX as u64 + 10 {
            recent.remember(Name::Id(id(seq)), known(seq));
        }
        let seen = async |seq| {
            let name = Name::Id(id(seq));
            *recent.hold([name.clone()].into()).await[&name]
        };
        assert_eq!(seen(NAMES_MAX as u64).await, Some(known(NAMES_MAX as u64)));
        assert_eq!(seen(0).await, None);
    }
}
