//! What there is too much of: said twice, no longer believed, or replaced.

use super::{Candidate, Decay, Entry, WorkMemory, essence};
use crate::names::SessionId;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// From how many affirmations on an entry is worth being promoted: it came up in three more places.
const AFFIRMED_OFTEN: u32 = 3;

/// What is looked for (CCD's compact modes).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// What is said twice: one of each is kept.
    Keep,
    /// What nobody affirmed for longer than its class is kept.
    Decay,
    /// What the review looks for.
    Review,
}

/// What a review looks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Review {
    /// What nobody affirmed for long, and what belonged to work that is over.
    Expired,
    /// What was replaced.
    Superseded,
    /// What came up so often that it may be promoted.
    PromotionCandidate,
}

/// Why something is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// Another one says it.
    Duplicate,
    /// Nobody affirmed it for long.
    Decayed,
    /// The work is over to which it belonged.
    WorkOver,
    /// Another one holds instead.
    Superseded,
    /// It came up often.
    PromotionCandidate,
}

/// Something that was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Finding {
    /// The number of the entry or candidate.
    pub id: u64,
    /// Why.
    pub reason: Reason,
    /// The entry that says it, or holds instead.
    pub into: Option<u64>,
}

/// What a compaction would do.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Plan {
    /// What was found, in the order of the numbers.
    pub found: Vec<Finding>,
    /// How much of what was found is durable and stays, since an operator alone takes it away.
    pub spared: usize,
}

/// What is found now. `work` is the piece of work that is held; `durable` says whether durable entries may be taken away.
pub fn plan(
    memory: &WorkMemory,
    mode: Mode,
    review: Review,
    work: Option<&SessionId>,
    durable: bool,
    now: Timestamp,
) -> Plan {
    let mut found = match (mode, review) {
        (Mode::Keep, _) => twice(memory),
        (Mode::Decay, _) => {
            let waiting = memory.candidates.values().filter(|one| is_forgotten(one, now));
            let waiting = waiting.map(|one| finding(one.id, Reason::Decayed, None));
            decayed(memory, now).chain(waiting).collect()
        }
        (Mode::Review, Review::Expired) => {
            let over = memory.entries.values().filter(|entry| is_over(entry, work));
            let over = over.map(|entry| finding(entry.id, Reason::WorkOver, None));
            decayed(memory, now).chain(over).collect()
        }
        (Mode::Review, Review::Superseded) => {
            let replaced = memory
                .entries
                .values()
                .filter_map(|entry| Some((entry.id, entry.superseded_by?)));
            replaced
                .map(|(id, by)| finding(id, Reason::Superseded, Some(by)))
                .collect()
        }
        (Mode::Review, Review::PromotionCandidate) => {
            let often = memory.entries.values().filter(|entry| is_worth_promoting(entry));
            often
                .map(|entry| finding(entry.id, Reason::PromotionCandidate, None))
                .collect()
        }
    };
    found.sort_by_key(|finding: &Finding| (finding.id, finding.reason));
    found.dedup_by_key(|finding| finding.id);
    let all = found.len();
    let is_durable = |id: u64| memory.entry(id).is_some_and(|entry| entry.scope.is_durable());
    found.retain(|finding| durable || !is_durable(finding.id));
    Plan {
        spared: all - found.len(),
        found,
    }
}

const fn finding(id: u64, reason: Reason, into: Option<u64>) -> Finding {
    Finding { id, reason, into }
}

/// Of entries that say the same: the one that holds most widely is kept, of these the one that binds most, of these the
/// oldest.
fn twice(memory: &WorkMemory) -> Vec<Finding> {
    let mut kept: BTreeMap<String, &Entry> = BTreeMap::new();
    let holds = || memory.entries.values().filter(|entry| entry.superseded_by.is_none());
    let rank = |entry: &Entry| (std::cmp::Reverse(entry.scope), entry.kind, entry.id);
    for entry in holds() {
        let known = kept.entry(essence(&entry.text)).or_insert(entry);
        if rank(entry) < rank(known) {
            *known = entry;
        }
    }
    let others = holds().filter_map(|entry| {
        let into = kept.get(&essence(&entry.text))?.id;
        (into != entry.id).then(|| finding(entry.id, Reason::Duplicate, Some(into)))
    });
    others.collect()
}

fn decayed(memory: &WorkMemory, now: Timestamp) -> impl Iterator<Item = Finding> {
    let gone = memory
        .entries
        .values()
        .filter(move |entry| entry.affirmed.after(entry.decay.floor()) <= now);
    gone.map(|entry| finding(entry.id, Reason::Decayed, None))
}

/// A candidate that nobody admitted is believed no longer than what is believed shortest.
fn is_forgotten(candidate: &Candidate, now: Timestamp) -> bool {
    candidate.found.after(Decay::Active.floor()) <= now
}

fn is_over(entry: &Entry, work: Option<&SessionId>) -> bool {
    entry.scope == super::Scope::WorkStream && entry.session.is_some() && entry.session.as_ref() != work
}

const fn is_worth_promoting(entry: &Entry) -> bool {
    !entry.scope.is_durable() && entry.superseded_by.is_none() && entry.affirmations >= AFFIRMED_OFTEN
}
