//! What each spool has reported, so that everything counts once.
//!
//! A spool numbers its observations from 1 without gaps and may offer any of them again. The same number again is a
//! redelivery and is ignored; a number never seen is a gap until it comes. The same number under *another* event id means
//! that two spools count as one (a restored copy, a cloned machine): dropping either would lose an observation, so both
//! are applied and the fork is counted.

use crate::ids::EventId;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// How many of a producer's latest event ids are remembered to tell a redelivery from a fork: far more than a spool offers
/// again after an unknown outcome (one batch of 1 000), and 64 KiB.
const REMEMBERED_IDS: usize = 8192;
/// How many forked events are remembered so that they too count once.
const REMEMBERED_FORKS: usize = REMEMBERED_IDS;

/// What came of noting one observation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Seen {
    New,
    Again,
    Forked,
}

/// One spool, as the log shows it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Producer {
    /// The highest count seen; 0 before the first.
    highest: u64,
    /// Missing counts below it, as inclusive ranges.
    missing: BTreeMap<u64, u64>,
    /// Fingerprints of the ids of the latest counts, the last one being `highest`'s; 0 where missing.
    ids: VecDeque<u64>,
    /// Counts and fingerprints of forked events.
    forks: BTreeSet<(u64, u64)>,
    forked: u64,
    redelivered: u64,
}

/// A number that tells two event ids apart; never 0.
pub(crate) fn fingerprint(id: EventId) -> u64 {
    let (high, low) = id.as_uuid().as_u64_pair();
    (high.rotate_left(32) ^ low).max(1)
}

impl Producer {
    /// A producer whose count is known to begin after `base`.
    pub(crate) fn after(base: u64) -> Self {
        Self {
            highest: base,
            ..Self::default()
        }
    }

    pub(crate) fn note(&mut self, seq: u64, id: EventId) -> Seen {
        let print = fingerprint(id);
        if seq > self.highest {
            self.advance(seq, print);
            return Seen::New;
        }
        if self.fill(seq) {
            if let Some(slot) = self.slot(seq) {
                *slot = print;
            }
            return Seen::New;
        }
        let known = self.slot(seq).map(|slot| *slot);
        let same = known.is_none_or(|known| known == print || known == 0);
        if same || self.forks.contains(&(seq, print)) {
            self.redelivered += 1;
            return Seen::Again;
        }
        self.forks.insert((seq, print));
        if self.forks.len() > REMEMBERED_FORKS {
            self.forks.pop_first();
        }
        self.forked += 1;
        Seen::Forked
    }

    fn advance(&mut self, seq: u64, print: u64) {
        let skipped = seq - self.highest - 1;
        if skipped > 0 {
            self.missing.insert(self.highest + 1, seq - 1);
        }
        let padding = usize::try_from(skipped).map_or(REMEMBERED_IDS, |n| n.min(REMEMBERED_IDS));
        self.ids.extend(std::iter::repeat_n(0, padding));
        self.ids.push_back(print);
        let excess = self.ids.len().saturating_sub(REMEMBERED_IDS);
        self.ids.drain(..excess);
        self.highest = seq;
    }

    fn fill(&mut self, seq: u64) -> bool {
        let Some((&first, &last)) = self.missing.range(..=seq).next_back() else {
            return false;
        };
        if seq > last {
            return false;
        }
        self.missing.remove(&first);
        if first < seq {
            self.missing.insert(first, seq - 1);
        }
        if seq < last {
            self.missing.insert(seq + 1, last);
        }
        true
    }

    fn slot(&mut self, seq: u64) -> Option<&mut u64> {
        let back = usize::try_from(self.highest - seq).ok()?;
        let at = self.ids.len().checked_sub(back + 1)?;
        self.ids.get_mut(at)
    }

    /// The highest count seen.
    pub const fn highest(&self) -> u64 {
        self.highest
    }

    /// Counts that are missing, as inclusive ranges.
    pub fn gaps(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.missing.iter().map(|(first, last)| (*first, *last))
    }

    /// How many observations are missing.
    pub fn missing_count(&self) -> u64 {
        self.gaps()
            .fold(0, |sum: u64, (first, last)| sum.saturating_add(last - first + 1))
    }

    /// How many observations came under a count that another one holds.
    pub const fn forked(&self) -> u64 {
        self.forked
    }

    /// How many observations came again.
    pub const fn redelivered(&self) -> u64 {
        self.redelivered
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn id(n: u128) -> EventId {
        EventId::from_uuid(Uuid::from_u128(n))
    }

    #[test]
    fn a_skipped_count_is_a_gap_until_it_comes() {
        let mut producer = Producer::default();
        assert_eq!(producer.note(1, id(1)), Seen::New);
        assert_eq!(producer.note(5, id(5)), Seen::New);
        assert_eq!(producer.gaps().collect::<Vec<_>>(), [(2, 4)]);
        assert_eq!(producer.note(3, id(3)), Seen::New);
        assert_eq!(producer.gaps().collect::<Vec<_>>(), [(2, 2), (4, 4)]);
        assert_eq!(producer.note(2, id(2)), Seen::New);
        assert_eq!(producer.note(4, id(4)), Seen::New);
        assert_eq!(producer.missing_count(), 0);
    }

    #[test]
    fn the_same_observation_again_is_a_redelivery() {
        let mut producer = Producer::default();
        let _ = producer.note(1, id(1));
        assert_eq!(producer.note(1, id(1)), Seen::Again);
        assert_eq!(producer.redelivered(), 1);
    }

    #[test]
    fn another_event_under_a_used_count_is_a_fork_and_counts_once() {
        let mut producer = Producer::default();
        let _ = producer.note(1, id(1));
        assert_eq!(producer.note(1, id(2)), Seen::Forked);
        assert_eq!(producer.note(1, id(2)), Seen::Again);
        assert_eq!((producer.forked(), producer.redelivered()), (1, 1));
    }

    #[test]
    fn memory_stays_bounded_over_a_wild_jump() {
        let mut producer = Producer::default();
        let _ = producer.note(1, id(1));
        assert_eq!(producer.note(u64::MAX, id(2)), Seen::New);
        assert_eq!(producer.ids.len(), REMEMBERED_IDS);
        assert_eq!(producer.missing_count(), u64::MAX - 2);
        assert_eq!(producer.note(u64::MAX, id(3)), Seen::Forked);
        assert_eq!(producer.note(7, id(7)), Seen::New);
    }

    #[test]
    fn a_count_of_zero_is_no_observation() {
        let mut producer = Producer::default();
        assert_eq!(producer.note(0, id(1)), Seen::Again);
    }
}
