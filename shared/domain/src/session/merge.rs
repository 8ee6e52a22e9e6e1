//! Ways to take in what may come late, doubled, or in another order.
//!
//! Each of these gives the same result for the same set of facts, however often and in whatever order they come. State that
//! is made of nothing else is order-insensitive without further thought.

use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How far apart two facts of one prompt may come in the wrong order. Hooks run as processes of their own and can overtake
/// one another by a scheduling delay; an agent that goes on after it stopped needs a model's answer first, which takes longer.
pub(crate) const RACE: Duration = Duration::from_secs(2);

/// A word and when it was said; of two, the later counts.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct Latest<T> {
    pub(crate) at: Timestamp,
    pub(crate) value: T,
}

/// Takes in a word. Where two were said at once, the greater one counts: some rule is needed, and order may not be it.
pub(crate) fn later<T: Ord>(slot: &mut Option<Latest<T>>, at: Timestamp, value: T) {
    let word = Latest { at, value };
    if slot.as_ref().is_none_or(|known| *known < word) {
        *slot = Some(word);
    }
}

/// As [`later`], without allocating where the text stays the same, which is nearly always.
pub(crate) fn later_text(slot: &mut Option<Latest<Box<str>>>, at: Timestamp, text: &str) {
    match slot {
        Some(known) if *known.value == *text => known.at = known.at.max(at),
        Some(_) | None => later(slot, at, text.into()),
    }
}

pub(crate) fn earliest(slot: &mut Option<Timestamp>, at: Timestamp) {
    *slot = Some(slot.map_or(at, |known| known.min(at)));
}

pub(crate) fn latest(slot: &mut Option<Timestamp>, at: Timestamp) {
    *slot = (*slot).max(Some(at));
}

/// When the word was said.
pub(crate) fn when<T>(slot: Option<&Latest<T>>) -> Option<Timestamp> {
    slot.map(|word| word.at)
}

/// Whether `later` came clearly after `earlier`, by more than what can race.
pub(crate) fn clearly_after(later: Timestamp, earlier: Timestamp) -> bool {
    later > earlier.after(RACE)
}
