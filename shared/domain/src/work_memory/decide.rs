//! May they? Each of CCD's five operations that change what is known.
//!
//! Where a program holds the workspace, its owner, its supervisor or an operator writes, with the outcomes that writes to
//! the lease have; where nobody does, or a person, anybody writes.

use super::compact::{Mode, Plan, Review, plan};
use super::{
    CANDIDATES_MAX, Candidate, Decay, ENTRIES_MAX, EVIDENCE_MAX, Entry, Evidence, Kind, Scope, Source, Step,
    WEIGHT_EACH, WEIGHT_MAX, WORKSPACES_MAX, WorkMemory, WorkMemoryFact, essence,
};
use crate::conclusion::{Cause, Conclusion, Draft};
use crate::ids::EventId;
use crate::lease::{self, Ground, Lease, LeaseKey, Protected, WriteOutcome};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry as MapEntry;

/// Why what was asked for cannot be done at all.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// There is none, or it is forgotten.
    #[error("no evidence {0} is remembered in this workspace; submit it again")]
    NoEvidence(u64),
    /// There is none.
    #[error("no candidate {0} waits in this workspace; list them")]
    NoCandidate(u64),
    /// There is none.
    #[error("there is no entry {0} in this workspace; list them")]
    NoEntry(u64),
    /// Another holds instead.
    #[error("entry {0} was replaced by entry {1}; name that")]
    Superseded(u64, u64),
    /// Too much evidence waits.
    #[error("{EVIDENCE_MAX} pieces of evidence wait in this workspace, the cap; draw candidates from them first")]
    TooMuchEvidence,
    /// Too many candidates wait.
    #[error("a workspace has at most {CANDIDATES_MAX} candidates; admit some, or compact with mode decay")]
    TooManyCandidates,
    /// Too many entries.
    #[error("a workspace has at most {ENTRIES_MAX} entries; compact them")]
    TooManyEntries,
    /// All together are too many.
    #[error("{WORKSPACES_MAX} workspaces have entries or candidates, the cap; compact those that are done")]
    TooManyWorkspaces,
    /// All together are too much.
    #[error("what all workspaces know weighs {WEIGHT_MAX} bytes, the cap; compact some")]
    TooMuch,
    /// It is durable.
    #[error("{0}: an operator has to change durable memory")]
    Durable(Box<str>),
}

/// Evidence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Submit {
    /// Where it comes from.
    pub source: Source,
    /// What it is called.
    pub title: Option<Box<str>>,
    /// What it says.
    pub text: Box<str>,
    /// One name for that.
    pub digest: Box<str>,
}

/// Something that may hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// What it is.
    pub kind: Kind,
    /// Where it would hold.
    pub scope: Scope,
    /// What it says.
    pub text: Box<str>,
}

/// Candidates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Extract {
    /// Drawn from which.
    pub evidence: u64,
    /// What was found.
    pub found: Vec<Found>,
}

/// A candidate that holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Admit {
    /// Which.
    pub candidate: u64,
    /// Where it holds; where its candidate says, if nobody does.
    pub scope: Option<Scope>,
    /// How soon it is no longer believed; by its kind, if nobody says.
    pub decay: Option<Decay>,
    /// What it holds instead of.
    pub supersedes: Option<u64>,
}

/// An entry that is to be durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Promote {
    /// Which.
    pub entry: u64,
    /// Where it holds from then on.
    pub to: Scope,
}

/// What is to be taken away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Compact {
    /// What is looked for.
    pub mode: Mode,
    /// What a review looks for.
    pub review: Review,
    /// Whether a review takes away what it finds.
    pub remove: bool,
    /// Whether it is done, or only said.
    pub write: bool,
}

impl Compact {
    /// Whether it would take away what it finds.
    pub fn removes(&self) -> bool {
        self.mode != Mode::Review || (self.remove && self.review != Review::PromotionCandidate)
    }
}

/// What follows from a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decided {
    /// What became of the write.
    pub write: lease::Decided,
    /// The number of what it is about; 0 where there is none.
    pub about: u64,
    /// The event after which what is known is what this was decided from.
    pub soon: Option<EventId>,
}

/// Where one workspace's memory is written.
struct Desk<'a, 'b> {
    ground: &'a Ground<'b>,
    key: &'a LeaseKey,
    protected: &'a Protected,
    /// What will be known once what is on its way is folded.
    memory: WorkMemory,
    /// Who holds the work.
    lease: Option<Lease>,
}

impl<'a, 'b> Desk<'a, 'b> {
    /// A place to write at, unless the request was made before or the writer may not.
    fn at(ground: &'a Ground<'b>, key: &'a LeaseKey, protected: &'a Protected) -> Result<Self, Decided> {
        let desk = Self::seen(ground, key, protected);
        match desk.repeated().or_else(|| desk.forbidden()) {
            Some(before) => Err(before),
            None => Ok(desk),
        }
    }

    /// The same place, to look only.
    fn seen(ground: &'a Ground<'b>, key: &'a LeaseKey, protected: &'a Protected) -> Self {
        let known = ground.fleet.work_memories().get(key).cloned().unwrap_or_default();
        Self {
            ground,
            key,
            protected,
            memory: ground.overlay.work_memories().over(key, known),
            lease: ground.place(key).lease,
        }
    }

    fn repeated(&self) -> Option<Decided> {
        let request = &self.ground.asker.request;
        let known = self.memory.requests.iter().find(|known| known.id == *request)?;
        let write = if known.digest == self.ground.digest {
            lease::Decided {
                outcome: WriteOutcome::IdempotentNoop,
                draft: None,
                note: None,
            }
        } else {
            let note = "this request id was used for another request";
            lease::Decided::refused(WriteOutcome::DuplicateIdConflict, note)
        };
        Some(self.unwritten(known.about, write))
    }

    fn forbidden(&self) -> Option<Decided> {
        let Protected {
            actor,
            session,
            expected_revision,
        } = self.protected;
        let refused = |outcome, note| {
            let write = lease::Decided::refused(outcome, note);
            Some(self.unwritten(0, write))
        };
        let conflict = |note| refused(WriteOutcome::OwnershipConflict, note);
        if expected_revision.is_some_and(|expected| expected != self.memory.revision) {
            return conflict("what is known is at another revision; read it again");
        }
        if session.is_some() && session.as_ref() != self.lease.as_ref().map(|held| &held.session) {
            return conflict("the workspace is held for other work, or by nobody");
        }
        let held = self.lease.as_ref().filter(|held| held.owner_kind.is_autonomous())?;
        if self.ground.asker.operator {
            return None;
        }
        if self.ground.is_stale(held) {
            let note = "the lease went stale; start again, or take it over";
            return refused(WriteOutcome::StaleSession, note);
        }
        if actor.is_none() {
            let note = "a program holds the workspace: say who writes";
            return refused(WriteOutcome::UnsupportedMultiwriter, note);
        }
        if held.actor != *actor && held.supervisor != *actor {
            return conflict("only its owner or supervisor writes to a program's work");
        }
        None
    }

    /// Whether this much more may be kept.
    fn room(&self, more: usize) -> Result<(), Refusal> {
        let Ground { fleet, overlay, .. } = self.ground;
        if !fleet.work_memories().has_place(self.key) {
            return Err(Refusal::TooManyWorkspaces);
        }
        let will_be = fleet.work_memories().weight() + overlay.work_memories().weight() + more;
        if will_be > WEIGHT_MAX {
            return Err(Refusal::TooMuch);
        }
        Ok(())
    }

    fn write(&self, step: Step) -> Decided {
        let asker = self.ground.asker;
        let fact = WorkMemoryFact {
            key: self.key.clone(),
            step,
            at: self.ground.now,
            actor: self.protected.actor.clone(),
            revision: self.memory.revision + 1,
            request: (asker.request.clone(), self.ground.digest),
        };
        let about = fact.about();
        let draft = Draft {
            host: self.lease.as_ref().and_then(|lease| lease.host.clone()),
            session: self.lease.as_ref().map(|lease| lease.session.clone()),
            agent: None,
            profile: self.key.profile.clone(),
            conclusion: Conclusion::WorkMemory(Box::new(fact)),
            cause: Cause::Request(asker.request.clone()),
        };
        let write = lease::Decided {
            outcome: WriteOutcome::Applied,
            draft: Some(Box::new(draft)),
            note: None,
        };
        Decided {
            write,
            about,
            soon: None,
        }
    }

    fn nothing(&self, about: u64, note: &'static str) -> Decided {
        self.unwritten(about, lease::Decided::nothing(note))
    }

    fn unwritten(&self, about: u64, write: lease::Decided) -> Decided {
        let soon = self.ground.overlay.work_memories().last(self.key);
        Decided { write, about, soon }
    }
}

/// Takes evidence in. The same text again is the same evidence.
///
/// # Errors
/// [`Refusal`], where there is no room.
pub fn submit(
    ground: &Ground<'_>,
    key: &LeaseKey,
    protected: &Protected,
    submitted: &Submit,
) -> Result<Decided, Refusal> {
    let desk = match Desk::at(ground, key, protected) {
        Ok(desk) => desk,
        Err(decided) => return Ok(decided),
    };
    if let Some(known) = desk.memory.evidence.iter().find(|one| one.digest == submitted.digest) {
        return Ok(desk.nothing(known.id, "this evidence is known already"));
    }
    let waiting = desk.memory.evidence.iter().filter(|one| one.extracted.is_none());
    if waiting.count() >= EVIDENCE_MAX {
        return Err(Refusal::TooMuchEvidence);
    }
    desk.room(2 * WEIGHT_EACH + submitted.title.as_deref().map_or(0, str::len))?;
    let evidence = Evidence {
        id: desk.memory.counted + 1,
        source: submitted.source,
        title: submitted.title.clone(),
        digest: submitted.digest.clone(),
        bytes: u32::try_from(submitted.text.len()).unwrap_or(u32::MAX),
        submitted: ground.now,
        actor: protected.actor.clone(),
        extracted: None,
        candidates: 0,
        duplicates: 0,
    };
    let text = submitted.text.clone();
    Ok(desk.write(Step::Submitted { evidence, text }))
}

/// Draws candidates from evidence. What is known already is counted, and affirms the entry that says it.
///
/// # Errors
/// [`Refusal`], where there is no such evidence or no room.
pub fn extract(
    ground: &Ground<'_>,
    key: &LeaseKey,
    protected: &Protected,
    drawn: &Extract,
) -> Result<Decided, Refusal> {
    let desk = match Desk::at(ground, key, protected) {
        Ok(desk) => desk,
        Err(decided) => return Ok(decided),
    };
    let memory = &desk.memory;
    let from = memory.evidence_of(drawn.evidence);
    let from = from.ok_or(Refusal::NoEvidence(drawn.evidence))?;
    // Entries with their numbers, candidates without.
    let holds = memory.entries.values().filter(|entry| entry.superseded_by.is_none());
    let holds = holds.map(|entry| ((entry.kind, essence(&entry.text)), Some(entry.id)));
    let waits = memory
        .candidates
        .values()
        .map(|one| ((one.kind, essence(&one.text)), None));
    let mut known: BTreeMap<_, Option<u64>> = waits.chain(holds).collect();
    let mut candidates: Vec<Candidate> = Vec::new();
    let mut affirmed: Vec<u64> = Vec::new();
    let mut duplicates = 0;
    for found in &drawn.found {
        match known.entry((found.kind, essence(&found.text))) {
            MapEntry::Occupied(said) => {
                duplicates += 1;
                let entry = said.get().and_then(|id| memory.entry(id));
                let again = entry.filter(|entry| entry.seen_in < from.id && !affirmed.contains(&entry.id));
                affirmed.extend(again.map(|entry| entry.id));
            }
            MapEntry::Vacant(new) => {
                new.insert(None);
                candidates.push(Candidate {
                    id: memory.counted + 1 + candidates.len() as u64,
                    evidence: from.id,
                    kind: found.kind,
                    scope: found.scope,
                    text: found.text.clone(),
                    found: ground.now,
                });
            }
        }
    }
    if candidates.is_empty() && affirmed.is_empty() && from.extracted.is_some() {
        return Ok(desk.nothing(from.id, "all of it is known already"));
    }
    if memory.candidates.len() + candidates.len() > CANDIDATES_MAX {
        return Err(Refusal::TooManyCandidates);
    }
    let more = candidates.iter().map(|one| one.text.len() + WEIGHT_EACH).sum::<usize>();
    desk.room(more + WEIGHT_EACH)?;
    Ok(desk.write(Step::Extracted {
        evidence: from.id,
        candidates,
        affirmed,
        duplicates,
    }))
}

/// Makes a candidate an entry. `durable` says why durable memory may not be changed, where it may not.
///
/// # Errors
/// [`Refusal`], where there is no such candidate, or no room, or it would replace what it may not.
pub fn admit(
    ground: &Ground<'_>,
    key: &LeaseKey,
    protected: &Protected,
    admitted: &Admit,
    durable: Result<(), Box<str>>,
) -> Result<Decided, Refusal> {
    let desk = match Desk::at(ground, key, protected) {
        Ok(desk) => desk,
        Err(decided) => return Ok(decided),
    };
    let memory = &desk.memory;
    if let Some(known) = memory.entry(admitted.candidate) {
        return Ok(desk.nothing(known.id, "it was admitted already"));
    }
    let candidate = memory.candidate(admitted.candidate);
    let candidate = candidate.ok_or(Refusal::NoCandidate(admitted.candidate))?;
    if let Some(id) = admitted.supersedes {
        let replaced = standing(memory, id)?;
        if replaced.scope.is_durable() {
            durable.map_err(Refusal::Durable)?;
        }
    }
    if memory.entries.len() >= ENTRIES_MAX {
        return Err(Refusal::TooManyEntries);
    }
    let entry = Entry {
        id: candidate.id,
        evidence: candidate.evidence,
        kind: candidate.kind,
        scope: admitted.scope.unwrap_or(candidate.scope),
        decay: admitted.decay.unwrap_or(candidate.kind.decay()),
        text: candidate.text.clone(),
        admitted: ground.now,
        affirmed: ground.now,
        affirmations: 0,
        seen_in: candidate.evidence,
        session: desk.lease.as_ref().map(|lease| lease.session.clone()),
        actor: protected.actor.clone(),
        superseded_by: None,
    };
    let supersedes = admitted.supersedes;
    Ok(desk.write(Step::Admitted { entry, supersedes }))
}

/// The entry of this number, which nothing replaced.
fn standing(memory: &WorkMemory, id: u64) -> Result<&Entry, Refusal> {
    let entry = memory.entry(id).ok_or(Refusal::NoEntry(id))?;
    match entry.superseded_by {
        Some(by) => Err(Refusal::Superseded(id, by)),
        None => Ok(entry),
    }
}

/// Makes an entry durable. `durable` says why that may not be, where it may not.
///
/// # Errors
/// [`Refusal`], where there is no such entry, or an operator has to do it.
pub fn promote(
    ground: &Ground<'_>,
    key: &LeaseKey,
    protected: &Protected,
    promoted: Promote,
    durable: Result<(), Box<str>>,
) -> Result<Decided, Refusal> {
    let desk = match Desk::at(ground, key, protected) {
        Ok(desk) => desk,
        Err(decided) => return Ok(decided),
    };
    let entry = standing(&desk.memory, promoted.entry)?;
    if entry.scope == promoted.to {
        return Ok(desk.nothing(entry.id, "it holds there already"));
    }
    durable.map_err(Refusal::Durable)?;
    Ok(desk.write(Step::Promoted {
        entry: entry.id,
        from: entry.scope,
        to: promoted.to,
    }))
}

/// Looks for what there is too much of, and takes it away where that is asked for. `durable` says whether durable entries
/// may go too.
pub fn compact(
    ground: &Ground<'_>,
    key: &LeaseKey,
    protected: &Protected,
    wanted: Compact,
    durable: bool,
) -> (Decided, Plan) {
    let desk = Desk::seen(ground, key, protected);
    // To look, nobody need hold anything.
    if wanted.write
        && let Some(before) = desk.repeated().or_else(|| desk.forbidden())
    {
        return (before, Plan::default());
    }
    let work = desk.lease.as_ref().map(|lease| &lease.session);
    let (mode, review) = (wanted.mode, wanted.review);
    let plan = plan(&desk.memory, mode, review, work, durable, ground.now);
    let decided = if plan.found.is_empty() || !wanted.removes() {
        desk.nothing(0, "nothing is to be taken away")
    } else if !wanted.write {
        desk.nothing(0, "this is what would be taken away; nothing was")
    } else {
        let removed = plan.found.clone();
        desk.write(Step::Compacted { mode, removed })
    };
    (decided, plan)
}
