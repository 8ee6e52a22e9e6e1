//! Those who wait for a message to come.
//!
//! A call that was cancelled and a program that was killed look the same from here as one that waits. So waiting takes
//! nothing: who is woken is told that something waits, and takes it by asking again, which only one does who is still there.
//!
//! Places are shared fairly. Who asks once more while others of its own wait for the same is let in, and the one that has
//! waited longest goes; when all places are taken, one goes of the caller who has most of them.

use crate::answer::Waits;
use muster_domain::asker::Asker;
use muster_domain::message::Party;
use muster_domain::names::SessionId;
use std::collections::{BTreeMap, VecDeque};
use tokio::time::Instant;

/// How many may wait at the same time. A question has 16 KiB at most, nearly always far below one.
const PLACES: usize = 4096;
/// How many of one session, or of one operator: its subagents may wait side by side.
const PLACES_OF_ONE: usize = 4;

/// Who waits.
pub(crate) struct Parked<I> {
    pub(crate) incoming: I,
    /// Whose inbox is watched.
    pub(crate) inbox: Party,
    reader: Reader,
    until: Instant,
}

/// One who reads an inbox: the caller, and the session on whose behalf it asks.
type Reader = (Box<str>, Option<SessionId>);

/// The places, by the inbox that is watched; who has waited longest is first.
pub(crate) struct Room<I> {
    inboxes: BTreeMap<Party, VecDeque<Parked<I>>>,
}

impl<I> Default for Room<I> {
    fn default() -> Self {
        let inboxes = BTreeMap::new();
        Self { inboxes }
    }
}

impl<I> Room<I> {
    /// Keeps who waits. Gives those who have to go for it.
    pub(crate) fn park(&mut self, incoming: I, asker: &Asker, waits: Waits) -> Vec<Parked<I>> {
        let reader = (asker.caller.clone(), asker.session.clone());
        let watching = self.inboxes.entry(waits.inbox.clone()).or_default();
        let own = |parked: &Parked<I>| parked.reader == reader;
        let mut gone = Vec::new();
        if watching.iter().filter(|parked| own(parked)).count() >= PLACES_OF_ONE
            && let Some(oldest) = watching.iter().position(own)
        {
            gone.extend(watching.remove(oldest));
        }
        watching.push_back(Parked {
            incoming,
            inbox: waits.inbox,
            reader,
            until: Instant::now() + waits.wait,
        });
        if self.inboxes.values().map(VecDeque::len).sum::<usize>() > PLACES {
            gone.extend(self.make_room());
        }
        gone
    }

    /// Of the caller who has most places, ends the wait that is next to its end.
    fn make_room(&mut self) -> Option<Parked<I>> {
        let mut places: BTreeMap<&str, usize> = BTreeMap::new();
        for parked in self.inboxes.values().flatten() {
            *places.entry(&parked.reader.0).or_default() += 1;
        }
        let caller: Box<str> = places.into_iter().max_by_key(|(_, count)| *count)?.0.into();
        let all = self.inboxes.iter();
        let own = all.flat_map(|(inbox, watching)| watching.iter().map(move |parked| (inbox, parked)));
        let own = own.filter(|(_, parked)| parked.reader.0 == caller);
        let (inbox, next) = own.min_by_key(|(_, parked)| parked.until)?;
        let (inbox, until) = (inbox.clone(), next.until);
        let watching = self.inboxes.get_mut(&inbox)?;
        let at = watching
            .iter()
            .position(|parked| parked.until == until && parked.reader.0 == caller)?;
        watching.remove(at)
    }

    /// Whether somebody watches this inbox.
    pub(crate) fn watches(&self, inbox: &Party) -> bool {
        self.inboxes.contains_key(inbox)
    }

    /// The inboxes that somebody watches.
    pub(crate) fn watched(&self) -> Vec<Party> {
        self.inboxes.keys().cloned().collect()
    }

    /// All who watch this inbox.
    pub(crate) fn take(&mut self, inbox: &Party) -> Vec<Parked<I>> {
        self.inboxes.remove(inbox).map(Vec::from).unwrap_or_default()
    }

    /// Those who waited long enough.
    pub(crate) fn over(&mut self) -> Vec<Parked<I>> {
        let now = Instant::now();
        let mut over = Vec::new();
        for watching in self.inboxes.values_mut() {
            let (gone, kept) = std::mem::take(watching)
                .into_iter()
                .partition::<VecDeque<_>, _>(|parked| parked.until <= now);
            over.extend(gone);
            *watching = kept;
        }
        self.inboxes.retain(|_, watching| !watching.is_empty());
        over
    }

    /// Everybody.
    pub(crate) fn empty(&mut self) -> Vec<Parked<I>> {
        let all = std::mem::take(&mut self.inboxes);
        all.into_values().flatten().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use muster_domain::fleet::SessionKey;
    use muster_domain::names::HostName;
    use std::time::Duration;

    const NOBODY: [usize; 0] = [];

    fn asker(caller: &str, session: usize) -> Asker {
        Asker {
            caller: caller.into(),
            operator: false,
            session: Some(SessionId::new(&session.to_string()).unwrap()),
            request: "r".into(),
        }
    }

    fn park(room: &mut Room<usize>, caller: &str, session: usize, name: usize) -> Vec<usize> {
        let asker = asker(caller, session);
        let inbox = Party::Session(SessionKey {
            host: HostName::new(caller).unwrap(),
            id: asker.session.clone().unwrap(),
        });
        let wait = Duration::from_secs(60);
        let gone = room.park(name, &asker, Waits { inbox, wait });
        gone.into_iter().map(|parked| parked.incoming).collect()
    }

    #[test]
    fn one_who_waits_often_gives_up_its_own_places() {
        let mut room = Room::default();
        for name in 0..PLACES_OF_ONE {
            assert_eq!(park(&mut room, "web-01", 1, name), NOBODY);
        }
        assert_eq!(park(&mut room, "web-01", 1, 100), [0]);
        assert_eq!(park(&mut room, "web-01", 1, 101), [1]);
        assert_eq!(park(&mut room, "web-01", 2, 102), NOBODY, "another session has its own");
    }

    #[test]
    fn whoever_fills_the_room_keeps_nobody_else_out() {
        let mut room = Room::default();
        assert_eq!(park(&mut room, "db-01", 1, 9_999), NOBODY);
        for name in 1..PLACES {
            assert_eq!(park(&mut room, "web-01", name, name), NOBODY);
        }
        assert_eq!(park(&mut room, "db-01", 2, 0), [1], "of whom most wait");
        assert_eq!(park(&mut room, "web-01", PLACES, 0), [2]);
        let all: Vec<usize> = room.empty().into_iter().map(|parked| parked.incoming).collect();
        assert_eq!((all.len(), all.contains(&9_999)), (PLACES, true));
    }
}
