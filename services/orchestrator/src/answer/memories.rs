//! What is known of the work on a workspace, and how it comes to be known.

use super::leases::{bad, ground, key, protected, written};
use super::{After, Asked, policy, recall};
use muster_domain::digest;
use muster_domain::fleet::Fleet;
use muster_domain::ids::EventId;
use muster_domain::lease::{self, WriteOutcome};
use muster_domain::policy::ActionFamily;
use muster_domain::work_memory::{
    self, Admit, Compact, Decided, EVIDENCE_BYTES_MAX, Extract, Finding, Found, Mode, Promote, Refusal, Review, Scope,
    Submit, TEXT_BYTES_MAX, TITLE_BYTES_MAX, WorkMemory,
};
use muster_wire::api::{
    ApiError, Compaction, CompactionResult, ErrorKind, FoundRow, LeaseTarget, MemoriesAdmitRequest, MemoriesChanged,
    MemoriesCompactRequest, MemoriesExtractRequest, MemoriesPromoteRequest, MemoriesSubmitRequest, StagedOutcome,
    StagedWrite,
};
use serde::Serialize;
use sha2::{Digest, Sha256};

/// Candidates of one request.
const EXTRACTED_MAX: usize = 32;
/// Bytes of the name of whoever writes: it is kept with all they write.
const ACTOR_BYTES_MAX: usize = 256;
/// Characters that are shown of what a compaction finds.
const SHOWN_CHARS: usize = 200;

/// What an answer shows beside the revision.
#[derive(Clone, Copy)]
enum Shows {
    /// Evidence, and the candidates of it that wait.
    Evidence,
    /// An entry, or the candidate that it still is.
    One,
}

pub(super) fn submit(asked: &Asked<'_>, request: MemoriesSubmitRequest) -> Result<After, ApiError> {
    let digest = digest::of(&request);
    let target = checked(request.target)?;
    let text = words("text", &request.text, EVIDENCE_BYTES_MAX)?;
    let title = request.title.map(|title| words("title", &title, TITLE_BYTES_MAX));
    let submitted = Submit {
        source: request.source,
        title: title.transpose()?,
        digest: named(&text),
        text,
    };
    let decided = work_memory::submit(&ground(asked, digest), &key(&target), &protected(&target), &submitted);
    answer(&target, decided, "submit_memory_evidence", Shows::Evidence)
}

pub(super) fn extract(asked: &Asked<'_>, request: MemoriesExtractRequest) -> Result<After, ApiError> {
    let digest = digest::of(&request);
    let target = checked(request.target)?;
    if request.candidates.is_empty() || request.candidates.len() > EXTRACTED_MAX {
        return Err(bad(&format!(
            "say what the evidence shows: 1 to {EXTRACTED_MAX} `candidates`"
        )));
    }
    let found = request.candidates.into_iter().map(|given| {
        Ok(Found {
            kind: given.kind,
            scope: own(given.scope)?.unwrap_or(Scope::Workspace),
            text: words("text", &given.text, TEXT_BYTES_MAX)?,
        })
    });
    let drawn = Extract {
        evidence: request.evidence,
        found: found.collect::<Result<_, ApiError>>()?,
    };
    let decided = work_memory::extract(&ground(asked, digest), &key(&target), &protected(&target), &drawn);
    answer(&target, decided, "extract_memory_candidates", Shows::Evidence)
}

pub(super) fn admit(asked: &Asked<'_>, request: MemoriesAdmitRequest) -> Result<After, ApiError> {
    let digest = digest::of(&request);
    let target = checked(request.target)?;
    let admitted = Admit {
        candidate: request.candidate,
        scope: own(request.scope)?,
        decay: request.decay_class,
        supersedes: request.supersedes,
    };
    let (key, protected) = (key(&target), protected(&target));
    let decided = work_memory::admit(&ground(asked, digest), &key, &protected, &admitted, durable(asked)?);
    answer(&target, decided, "admit_memory_candidate", Shows::One)
}

pub(super) fn promote(asked: &Asked<'_>, request: MemoriesPromoteRequest) -> Result<After, ApiError> {
    let digest = digest::of(&request);
    let target = checked(request.target)?;
    if !request.to.is_durable() {
        return Err(bad("an entry is promoted `to` project, profile or project_truth"));
    }
    let promoted = Promote {
        entry: request.entry,
        to: request.to,
    };
    let (key, protected) = (key(&target), protected(&target));
    let decided = work_memory::promote(&ground(asked, digest), &key, &protected, promoted, durable(asked)?);
    answer(&target, decided, "promote_memory", Shows::One)
}

pub(super) fn compact(asked: &Asked<'_>, request: MemoriesCompactRequest) -> Result<After, ApiError> {
    let digest = digest::of(&request);
    let target = checked(request.target)?;
    if request.mode != Mode::Review && (request.review.is_some() || request.remove) {
        return Err(bad("`review` and `remove` are for mode review"));
    }
    let wanted = Compact {
        mode: request.mode,
        review: request.review.unwrap_or(Review::Expired),
        remove: request.remove,
        write: request.write,
    };
    if wanted.remove && !wanted.removes() {
        return Err(bad("what may be promoted is not removed: promote it, or leave it"));
    }
    let key = key(&target);
    let (decided, plan) = work_memory::compact(
        &ground(asked, digest),
        &key,
        &protected(&target),
        wanted,
        durable(asked)?.is_ok(),
    );
    let Decided { write, soon, .. } = decided;
    let outcome = write.outcome;
    let found: Vec<FoundRow> = {
        let known = asked.fleet.work_memories().get(&key);
        plan.found.iter().map(|finding| found(known, *finding)).collect()
    };
    let removed = found.len();
    let changes_nothing = wanted.write || removed == 0 || !wanted.removes();
    let staged = match outcome {
        WriteOutcome::Applied => Some(StagedOutcome::Applied),
        WriteOutcome::IdempotentNoop => changes_nothing.then_some(StagedOutcome::IdempotentNoop),
        WriteOutcome::OwnershipConflict
        | WriteOutcome::StaleSession
        | WriteOutcome::UnsupportedMultiwriter
        | WriteOutcome::DuplicateIdConflict => None,
    };
    let row = move |fleet: &Fleet| {
        let memory = fleet.work_memories().get(&key);
        let result = || CompactionResult {
            removed,
            entries: memory.map_or(0, |memory| memory.entries().count()),
            candidates: memory.map_or(0, |memory| memory.candidates().count()),
        };
        Compaction {
            revision: memory.map_or(0, WorkMemory::revision),
            found,
            spared: plan.spared,
            staged_write: staged.map(|outcome| StagedWrite { outcome }),
            write_result: (outcome == WriteOutcome::Applied).then(result),
            workspace: key.workspace,
            profile: key.profile,
        }
    };
    Ok(once(write, soon, "compact_memory", row))
}

fn found(known: Option<&WorkMemory>, finding: Finding) -> FoundRow {
    let entry = known.and_then(|memory| Some(&memory.entry(finding.id)?.text));
    let candidate = known.and_then(|memory| Some(&memory.candidate(finding.id)?.text));
    let text = entry.or(candidate).map(|text| &**text).unwrap_or_default();
    let text = text.chars().take(SHOWN_CHARS).collect();
    FoundRow { finding, text }
}

/// Why durable memory may not be changed, where it may not: an operator may, and others as far as policy lets them.
fn durable(asked: &Asked<'_>) -> Result<Result<(), Box<str>>, ApiError> {
    if asked.asker.operator {
        return Ok(Ok(()));
    }
    let why = policy::stands_in_the_way(asked, ActionFamily::DurableMemoryMutation)?;
    Ok(why.map_or(Ok(()), |why| Err(why.into())))
}

fn checked(target: LeaseTarget) -> Result<LeaseTarget, ApiError> {
    let long = |name: &String| name.len() > ACTOR_BYTES_MAX;
    if target.actor_id.as_ref().is_some_and(long) {
        return Err(bad(&format!("`actor_id` has at most {ACTOR_BYTES_MAX} bytes")));
    }
    Ok(target)
}

/// Where something may hold that was not promoted.
fn own(scope: Option<Scope>) -> Result<Option<Scope>, ApiError> {
    match scope {
        Some(scope) if scope.is_durable() => Err(bad(
            "`scope` is workspace or work_stream; an entry is promoted to what is wider",
        )),
        scope => Ok(scope),
    }
}

fn words(member: &str, text: &str, bytes_max: usize) -> Result<Box<str>, ApiError> {
    let text = text.trim();
    if text.is_empty() || text.len() > bytes_max {
        return Err(bad(&format!("`{member}` has 1 to {bytes_max} bytes")));
    }
    Ok(text.into())
}

/// One name for a text.
fn named(text: &str) -> Box<str> {
    let digest = Sha256::digest(text.as_bytes());
    let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}").into()
}

fn answer(
    target: &LeaseTarget,
    decided: Result<Decided, Refusal>,
    operation: &'static str,
    shows: Shows,
) -> Result<After, ApiError> {
    let key = key(target);
    let Decided { write, about, soon } = decided.map_err(|refusal| refused(&refusal))?;
    let outcome = write.outcome;
    let row = move |fleet: &Fleet| {
        let memory = fleet.work_memories().get(&key).filter(|_| outcome.is_done());
        let evidence = memory.and_then(|memory| memory.evidence_of(about));
        let memories = memory.map_or_else(Vec::new, |memory| shown(memory, &key, about, shows));
        MemoriesChanged {
            revision: fleet.work_memories().get(&key).map_or(0, WorkMemory::revision),
            evidence: evidence.map(Into::into),
            memories,
            workspace: key.workspace,
            profile: key.profile,
        }
    };
    Ok(once(write, soon, operation, row))
}

/// Once it is written, or what it was decided from is read back.
fn once<R: Serialize>(
    write: lease::Decided,
    soon: Option<EventId>,
    operation: &'static str,
    row: impl FnOnce(&Fleet) -> R + Send + Sync + 'static,
) -> After {
    After {
        event: soon,
        ..written(write, operation, row)
    }
}

fn shown(memory: &WorkMemory, key: &lease::LeaseKey, about: u64, shows: Shows) -> Vec<muster_wire::api::MemoryRow> {
    match shows {
        Shows::One => recall::one(memory, key, about).into_iter().collect(),
        Shows::Evidence => {
            let waiting = memory.candidates().filter(|one| one.evidence == about);
            waiting.map(|one| recall::candidate(key, one)).collect()
        }
    }
}

fn refused(refusal: &Refusal) -> ApiError {
    let kind = match refusal {
        Refusal::NoEvidence(_) | Refusal::NoCandidate(_) | Refusal::NoEntry(_) => ErrorKind::NotFound,
        Refusal::Durable(_) => ErrorKind::Forbidden,
        Refusal::Superseded(..)
        | Refusal::TooMuchEvidence
        | Refusal::TooManyCandidates
        | Refusal::TooManyEntries
        | Refusal::TooManyWorkspaces
        | Refusal::TooMuch => ErrorKind::Conflict,
    };
    ApiError::new(kind, refusal.to_string())
}
