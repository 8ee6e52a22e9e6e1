//! What is known of the work on a workspace, for longer than one session knows it (CCD's memory lifecycle).
//!
//! Evidence is submitted; candidates are drawn from it; those that hold are admitted as entries; few of these are promoted,
//! which makes them durable. Compaction takes away what is said twice, what nobody affirmed for long, and what was replaced.
//! All hosts share it, and it outlives the leases under which it was written. It has a revision of its own: what is learned
//! must not race with who keeps the work.
//!
//! The text of evidence is in the log and not here; here is what it was and what came of it. Everything has a number within
//! its workspace, and an entry keeps that of its candidate.

mod compact;
mod decide;
mod pending;

pub use compact::{Finding, Mode, Plan, Reason, Review, plan};
pub use decide::{
    Admit, Compact, Decided, Extract, Found, Promote, Refusal, Submit, admit, compact, extract, promote, submit,
};
pub(crate) use pending::Pending;

use crate::family::{EventType, WorkMemoryKind};
use crate::lease::LeaseKey;
use crate::names::SessionId;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// Bytes of one piece of evidence: a long page. It is kept by the log alone.
pub const EVIDENCE_BYTES_MAX: usize = 8 * 1024;
/// Bytes of one candidate or entry: a few sentences, since whoever begins is told many of them.
pub const TEXT_BYTES_MAX: usize = 1024;
/// Bytes of what evidence is called.
pub const TITLE_BYTES_MAX: usize = 200;
/// Pieces of evidence that one workspace remembers.
pub const EVIDENCE_MAX: usize = 64;
/// Candidates that wait in one workspace.
pub const CANDIDATES_MAX: usize = 128;
/// Entries of one workspace.
pub const ENTRIES_MAX: usize = 256;
/// Workspaces that have any.
pub const WORKSPACES_MAX: usize = 1024;
/// Bytes that all of them weigh: every instance keeps them, and a snapshot carries them.
pub const WEIGHT_MAX: usize = 8 * 1024 * 1024;
/// What anything weighs beside its words.
const WEIGHT_EACH: usize = 256;
/// How many requests of a workspace are remembered, so that a repeated one is recognised.
const REQUESTS_MAX: usize = 32;

/// Where evidence comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// What an agent and its user said.
    Transcript,
    /// What a session did.
    Session,
    /// Events.
    EventStream,
    /// What a hook printed.
    HookOutput,
    /// What a program wrote down.
    Log,
    /// A document.
    Document,
}

/// What is said; the one that binds most first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// It is to be done so.
    Rule,
    /// It cannot be otherwise.
    Constraint,
    /// It mostly helps.
    Heuristic,
    /// It was seen.
    Observation,
    /// It was tried.
    Attempt,
}

/// Where it holds; the narrowest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// In the piece of work in which it was admitted.
    WorkStream,
    /// In its workspace.
    Workspace,
    /// In the project.
    Project,
    /// In every workspace of the profile.
    Profile,
    /// In the project, whoever works on it and whatever else is said.
    ProjectTruth,
}

impl Scope {
    /// Whether it outlives the work: agents do not make or take away such by themselves.
    pub const fn is_durable(self) -> bool {
        matches!(self, Self::Project | Self::Profile | Self::ProjectTruth)
    }
}

/// How soon it is no longer believed (CCD's decay classes).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decay {
    /// Late.
    Permanent,
    /// In a while.
    Stable,
    /// Soon.
    Active,
}

impl Decay {
    /// How long it is kept at least after it was last affirmed (CCD: 90, 30 and 7 days).
    pub const fn floor(self) -> Duration {
        Duration::from_hours(24 * self.days())
    }

    const fn days(self) -> u64 {
        match self {
            Self::Permanent => 90,
            Self::Stable => 30,
            Self::Active => 7,
        }
    }
}

impl Kind {
    /// How soon what is said so is no longer believed, where nobody says.
    pub const fn decay(self) -> Decay {
        match self {
            Self::Rule | Self::Constraint => Decay::Permanent,
            Self::Heuristic => Decay::Stable,
            Self::Observation | Self::Attempt => Decay::Active,
        }
    }
}

/// Something that was shown.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Evidence {
    /// Its number.
    pub id: u64,
    /// Where it comes from.
    pub source: Source,
    /// What it is called.
    pub title: Option<Box<str>>,
    /// One name for its text.
    pub digest: Box<str>,
    /// How long that is.
    pub bytes: u32,
    /// Since when it is known.
    pub submitted: Timestamp,
    /// Who submitted it, where they say so.
    pub actor: Option<Box<str>>,
    /// When candidates were last drawn from it.
    pub extracted: Option<Timestamp>,
    /// How many candidates came of it that were new.
    pub candidates: u32,
    /// How many were known already.
    pub duplicates: u32,
}

/// Something that may hold.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Candidate {
    /// Its number.
    pub id: u64,
    /// What it was drawn from.
    pub evidence: u64,
    /// What it is.
    pub kind: Kind,
    /// Where it would hold.
    pub scope: Scope,
    /// What it says.
    pub text: Box<str>,
    /// Since when it waits.
    pub found: Timestamp,
}

/// Something that holds.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Entry {
    /// Its number, which was its candidate's.
    pub id: u64,
    /// What it was drawn from.
    pub evidence: u64,
    /// What it is.
    pub kind: Kind,
    /// Where it holds.
    pub scope: Scope,
    /// How soon it is no longer believed.
    pub decay: Decay,
    /// What it says.
    pub text: Box<str>,
    /// Since when it holds.
    pub admitted: Timestamp,
    /// When it was last said again, or promoted.
    pub affirmed: Timestamp,
    /// How often that was.
    pub affirmations: u32,
    /// The latest evidence that says it.
    pub seen_in: u64,
    /// The piece of work in which it was admitted, where somebody held the workspace.
    pub session: Option<SessionId>,
    /// Who admitted it, where they say so.
    pub actor: Option<Box<str>>,
    /// What holds instead.
    pub superseded_by: Option<u64>,
}

/// What was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Evidence came.
    Submitted {
        /// What it is.
        evidence: Evidence,
        /// What it says.
        text: Box<str>,
    },
    /// Candidates were drawn from it.
    Extracted {
        /// From which.
        evidence: u64,
        /// Those that are new.
        candidates: Vec<Candidate>,
        /// Entries that it says again.
        affirmed: Vec<u64>,
        /// How many were known already.
        duplicates: u32,
    },
    /// A candidate holds.
    Admitted {
        /// The entry it became.
        entry: Entry,
        /// What it holds instead of.
        supersedes: Option<u64>,
    },
    /// An entry is durable.
    Promoted {
        /// Which.
        entry: u64,
        /// Where it held before.
        from: Scope,
        /// Where it holds.
        to: Scope,
    },
    /// Some are no longer there.
    Compacted {
        /// Looking for what.
        mode: Mode,
        /// Which, and why.
        removed: Vec<Finding>,
    },
}

/// A change of what is known, as the log says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkMemoryFact {
    /// Of which workspace.
    pub key: LeaseKey,
    /// What was done.
    pub step: Step,
    /// When.
    pub at: Timestamp,
    /// By whom, where they say so.
    pub actor: Option<Box<str>>,
    /// The revision after it.
    pub revision: u64,
    /// The request, and a digest of what it asked.
    pub request: (Box<str>, u64),
}

impl WorkMemoryFact {
    pub(crate) const fn event_type(&self) -> EventType {
        EventType::WorkMemory(match &self.step {
            Step::Submitted { .. } => WorkMemoryKind::SubmitMemoryEvidence,
            Step::Extracted { .. } => WorkMemoryKind::ExtractMemoryCandidates,
            Step::Admitted { .. } => WorkMemoryKind::AdmitMemoryCandidate,
            Step::Promoted { .. } => WorkMemoryKind::PromoteMemory,
            Step::Compacted { .. } => WorkMemoryKind::CompactMemory,
        })
    }

    pub(crate) fn identity(&self) -> String {
        format!("{:?} {}", self.key, self.revision)
    }

    /// The number of what it is about; none of a compaction, which is about all.
    const fn about(&self) -> u64 {
        match &self.step {
            Step::Submitted { evidence, .. } => evidence.id,
            Step::Extracted { evidence, .. } => *evidence,
            Step::Admitted { entry, .. } => entry.id,
            Step::Promoted { entry, .. } => *entry,
            Step::Compacted { .. } => 0,
        }
    }
}

/// A request that was carried out.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
struct Request {
    id: Box<str>,
    digest: u64,
    /// The number of what it was about.
    about: u64,
}

/// What is known in one workspace.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct WorkMemory {
    evidence: VecDeque<Evidence>,
    #[serde(with = "crate::pairs")]
    candidates: BTreeMap<u64, Candidate>,
    #[serde(with = "crate::pairs")]
    entries: BTreeMap<u64, Entry>,
    /// The last number given.
    counted: u64,
    /// How often it changed; never goes back.
    revision: u64,
    changed: Timestamp,
    requests: VecDeque<Request>,
}

impl WorkMemory {
    /// How often it changed.
    pub const fn revision(&self) -> u64 {
        self.revision
    }

    /// What was shown, the oldest first.
    pub fn evidence(&self) -> impl DoubleEndedIterator<Item = &Evidence> {
        self.evidence.iter()
    }

    /// What may hold, in the order it was found.
    pub fn candidates(&self) -> impl Iterator<Item = &Candidate> {
        self.candidates.values()
    }

    /// What holds, and what was replaced.
    pub fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.entries.values()
    }

    /// The evidence of this number, while it is remembered.
    pub fn evidence_of(&self, id: u64) -> Option<&Evidence> {
        self.evidence.iter().find(|one| one.id == id)
    }

    /// The candidate of this number.
    pub fn candidate(&self, id: u64) -> Option<&Candidate> {
        self.candidates.get(&id)
    }

    /// The entry of this number.
    pub fn entry(&self, id: u64) -> Option<&Entry> {
        self.entries.get(&id)
    }

    fn is_blank(&self) -> bool {
        self.candidates.is_empty() && self.entries.is_empty()
    }

    /// Bytes it takes, about.
    fn weight(&self) -> usize {
        let words = |text: &str| text.len() + WEIGHT_EACH;
        let evidence = self
            .evidence
            .iter()
            .map(|one| words(one.title.as_deref().unwrap_or_default()));
        let candidates = self.candidates.values().map(|one| words(&one.text));
        let entries = self.entries.values().map(|one| words(&one.text));
        let requests = self.requests.iter().map(|one| words(&one.id));
        WEIGHT_EACH + evidence.chain(candidates).chain(entries).chain(requests).sum::<usize>()
    }

    fn take(&mut self, fact: &WorkMemoryFact) {
        let at = fact.at;
        match &fact.step {
            Step::Submitted { evidence, .. } => {
                self.counted = self.counted.max(evidence.id);
                self.make_room();
                self.evidence.push_back(evidence.clone());
            }
            Step::Extracted {
                evidence,
                candidates,
                affirmed,
                duplicates,
            } => {
                if let Some(drawn_from) = self.evidence.iter_mut().find(|one| one.id == *evidence) {
                    drawn_from.extracted = Some(at);
                    drawn_from.candidates += u32::try_from(candidates.len()).unwrap_or(u32::MAX);
                    drawn_from.duplicates = drawn_from.duplicates.saturating_add(*duplicates);
                }
                for id in affirmed {
                    if let Some(entry) = self.entries.get_mut(id) {
                        (entry.affirmed, entry.seen_in) = (at, *evidence);
                        entry.affirmations = entry.affirmations.saturating_add(1);
                    }
                }
                for candidate in candidates {
                    self.counted = self.counted.max(candidate.id);
                    self.candidates.insert(candidate.id, candidate.clone());
                }
            }
            Step::Admitted { entry, supersedes } => {
                self.candidates.remove(&entry.id);
                if let Some(replaced) = supersedes.and_then(|id| self.entries.get_mut(&id)) {
                    replaced.superseded_by = Some(entry.id);
                }
                self.entries.insert(entry.id, entry.clone());
            }
            Step::Promoted { entry, to, .. } => {
                if let Some(entry) = self.entries.get_mut(entry) {
                    (entry.scope, entry.affirmed) = (*to, at);
                    entry.affirmations = entry.affirmations.saturating_add(1);
                }
            }
            Step::Compacted { removed, .. } => removed.iter().for_each(|finding| self.remove(finding)),
        }
        (self.revision, self.changed) = (fact.revision, at);
        let (id, digest) = fact.request.clone();
        let about = fact.about();
        self.requests.push_back(Request { id, digest, about });
        if self.requests.len() > REQUESTS_MAX {
            self.requests.pop_front();
        }
    }

    /// Forgets the oldest evidence that candidates were drawn from; that it was the source of an entry stays said there.
    fn make_room(&mut self) {
        while self.evidence.len() >= EVIDENCE_MAX {
            let Some(spent) = self.evidence.iter().position(|one| one.extracted.is_some()) else {
                return;
            };
            self.evidence.remove(spent);
        }
    }

    fn remove(&mut self, finding: &Finding) {
        self.candidates.remove(&finding.id);
        let Some(gone) = self.entries.remove(&finding.id) else {
            return;
        };
        if let Some(kept) = finding.into.and_then(|id| self.entries.get_mut(&id)) {
            kept.affirmed = kept.affirmed.max(gone.affirmed);
            kept.affirmations = kept.affirmations.saturating_add(gone.affirmations);
        }
    }
}

/// What is known in all workspaces.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct WorkMemories {
    #[serde(with = "crate::pairs")]
    places: BTreeMap<LeaseKey, WorkMemory>,
}

impl WorkMemories {
    /// What is known in this workspace.
    pub fn get(&self, key: &LeaseKey) -> Option<&WorkMemory> {
        self.places.get(key)
    }

    /// What holds for whoever works there, the widest scope first and the latest affirmed before others: its own entries,
    /// and those of the profile's other workspaces that were promoted to the profile.
    pub fn recalled<'a>(&'a self, key: &'a LeaseKey) -> Vec<(&'a LeaseKey, &'a Entry)> {
        let all = self.places.iter().filter(|(of, _)| of.profile == key.profile);
        let entries = all.flat_map(|(of, memory)| memory.entries.values().map(move |entry| (of, entry)));
        let holds = |of: &LeaseKey, entry: &Entry| {
            entry.superseded_by.is_none() && (of == key || entry.scope == Scope::Profile)
        };
        let mut recalled: Vec<_> = entries.filter(|(of, entry)| holds(of, entry)).collect();
        recalled.sort_by(|(one_of, one), (other_of, other)| {
            let widest = other.scope.cmp(&one.scope);
            let latest = other.affirmed.cmp(&one.affirmed);
            widest
                .then(latest)
                .then(one_of.cmp(other_of))
                .then(one.id.cmp(&other.id))
        });
        recalled
    }

    fn weight(&self) -> usize {
        self.places.values().map(WorkMemory::weight).sum()
    }

    /// Whether a workspace that has none may have some.
    fn has_place(&self, key: &LeaseKey) -> bool {
        self.places.len() < WORKSPACES_MAX
            || self.places.contains_key(key)
            || self.places.values().any(WorkMemory::is_blank)
    }

    pub(crate) fn fold(&mut self, fact: &WorkMemoryFact) {
        if !self.places.contains_key(&fact.key) && self.places.len() >= WORKSPACES_MAX {
            let blank = self.places.iter().filter(|(_, memory)| memory.is_blank());
            let oldest = blank.min_by_key(|(key, memory)| (memory.changed, *key));
            if let Some(key) = oldest.map(|(key, _)| key.clone()) {
                self.places.remove(&key);
            }
        }
        let memory = self.places.entry(fact.key.clone()).or_default();
        if fact.revision > memory.revision {
            memory.take(fact);
        }
    }
}

/// What two texts have in common that say the same: case and spaces do not count.
fn essence(text: &str) -> String {
    let words = text.split_whitespace().map(str::to_lowercase);
    words.collect::<Vec<_>>().join(" ")
}
