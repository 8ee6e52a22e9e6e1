//! What is known of the work on a workspace, as it is asked for.

use super::leases::bad;
use super::{Asked, encode_classed, page};
use bytes::Bytes;
use muster_domain::fleet::Fleet;
use muster_domain::lease::LeaseKey;
use muster_domain::names::{Profile, Workspace};
use muster_domain::work_memory::{
    CANDIDATES_MAX, Candidate, ENTRIES_MAX, EVIDENCE_MAX, Entry, Evidence, Kind, Scope, WorkMemory,
};
use muster_wire::api::{
    ApiError, ErrorKind, MemoriesDescribed, MemoriesGetRequest, MemoriesList, MemoriesListRequest, MemoriesRequest,
    MemoriesSources, Memory, MemoryAnswer, MemoryLimits, MemoryRow, MemorySource, MemoryState, RetryClass, page_rows,
};
use std::collections::BTreeMap;

pub(super) fn list(fleet: &Fleet, request: MemoriesListRequest) -> Result<MemoriesList, ApiError> {
    let key = of(request.workspace, request.profile);
    let known = fleet.work_memories().get(&key);
    let after = request.cursor.as_deref().map(cursor).transpose()?;
    let wanted = request.text.map(|text| text.to_lowercase());
    let mut rows = match request.state {
        MemoryState::Entry => {
            let recalled = fleet.work_memories().recalled(&key).into_iter();
            recalled.map(|(of, one)| entry(of, one)).collect()
        }
        MemoryState::Superseded => {
            let replaced = known.into_iter().flat_map(WorkMemory::entries);
            let replaced = replaced.filter(|entry| entry.superseded_by.is_some());
            replaced.map(|one| entry(&key, one)).collect::<Vec<_>>()
        }
        MemoryState::Candidate => {
            let waiting = known.into_iter().flat_map(WorkMemory::candidates);
            waiting.map(|one| candidate(&key, one)).collect()
        }
    };
    // Its own come first, then those of others, each in the order of their numbers.
    let place = |row: &MemoryRow| (row.workspace != key.workspace, row.workspace.clone(), id(row));
    rows.sort_by_cached_key(place);
    let start = after.map_or(0, |(id, workspace)| {
        let before = (workspace != key.workspace, workspace, id);
        rows.partition_point(|row| place(row) <= before)
    });
    let rows = rows.split_off(start).into_iter().filter(|row| {
        let (kind, scope, text) = says(row);
        wanted
            .as_ref()
            .is_none_or(|wanted| text.to_lowercase().contains(wanted))
            && request.kind.is_none_or(|wanted| wanted == kind)
            && request.scope.is_none_or(|wanted| wanted == scope)
    });
    let page = page::of(rows, page_rows(request.limit));
    Ok(MemoriesList {
        revision: known.map_or(0, WorkMemory::revision),
        next_cursor: page.next(|row| format!("{} {}", id(row), row.workspace)),
        memories: page.rows,
    })
}

pub(super) fn get(fleet: &Fleet, request: MemoriesGetRequest) -> Result<MemoryAnswer, ApiError> {
    let key = of(request.workspace, request.profile);
    let memory = fleet.work_memories().get(&key);
    let found = memory.and_then(|memory| Some((memory, one(memory, &key, request.id)?)));
    let Some((memory, row)) = found else {
        let detail = format!("there is no entry or candidate {} in this workspace", request.id);
        return Err(ApiError::new(ErrorKind::NotFound, detail));
    };
    let from = match &row.what {
        Memory::Entry(entry) | Memory::Superseded(entry) => entry.evidence,
        Memory::Candidate(candidate) => candidate.evidence,
    };
    Ok(MemoryAnswer {
        memory: row,
        evidence: memory.evidence_of(from).map(Into::into),
    })
}

pub(super) fn describe(fleet: &Fleet, request: MemoriesRequest) -> MemoriesDescribed {
    let key = of(request.workspace, request.profile);
    let memory = fleet.work_memories().get(&key).cloned().unwrap_or_default();
    let mut entries = BTreeMap::new();
    let (replaced, hold): (Vec<&Entry>, Vec<&Entry>) = memory.entries().partition(|one| one.superseded_by.is_some());
    for entry in hold {
        *entries.entry(entry.scope).or_default() += 1;
    }
    MemoriesDescribed {
        revision: memory.revision(),
        entries,
        superseded: replaced.len(),
        candidates: memory.candidates().count(),
        evidence: memory.evidence().count(),
        evidence_waiting: waiting(&memory),
        limits: MemoryLimits {
            entries: ENTRIES_MAX,
            candidates: CANDIDATES_MAX,
            evidence: EVIDENCE_MAX,
        },
        workspace: key.workspace,
        profile: key.profile,
    }
}

pub(super) fn sources(asked: &Asked<'_>, request: MemoriesRequest) -> Result<Bytes, ApiError> {
    let key = of(request.workspace, request.profile);
    let memory = asked.fleet.work_memories().get(&key).cloned().unwrap_or_default();
    let source = |evidence: &Evidence| {
        let candidates = memory.candidates().filter(|one| one.evidence == evidence.id);
        let entries = memory.entries().filter(|one| one.evidence == evidence.id);
        MemorySource {
            evidence: evidence.into(),
            candidates: candidates.map(|one| one.id).collect(),
            entries: entries.map(|one| one.id).collect(),
        }
    };
    let candidates = memory.candidates().map(|one| (one.id, one.evidence));
    let all = candidates.chain(memory.entries().map(|one| (one.id, one.evidence)));
    let unsourced = all.filter(|(_, from)| memory.evidence_of(*from).is_none());
    let answer = MemoriesSources {
        revision: memory.revision(),
        waiting: waiting(&memory),
        sources: memory.evidence().map(source).collect(),
        unsourced: unsourced.map(|(id, _)| id).collect(),
    };
    encode_classed(asked.at(), RetryClass::of("export_ingest_source_map"), answer)
}

fn waiting(memory: &WorkMemory) -> usize {
    memory.evidence().filter(|one| one.extracted.is_none()).count()
}

const fn of(workspace: Workspace, profile: Option<Profile>) -> LeaseKey {
    LeaseKey { profile, workspace }
}

/// The entry or candidate of this number.
pub(super) fn one(memory: &WorkMemory, key: &LeaseKey, id: u64) -> Option<MemoryRow> {
    let known = memory.entry(id).map(|one| entry(key, one));
    known.or_else(|| memory.candidate(id).map(|one| candidate(key, one)))
}

pub(super) fn entry(key: &LeaseKey, entry: &Entry) -> MemoryRow {
    let what = match entry.superseded_by {
        None => Memory::Entry(entry.into()),
        Some(_) => Memory::Superseded(entry.into()),
    };
    row(key, what)
}

pub(super) fn candidate(key: &LeaseKey, candidate: &Candidate) -> MemoryRow {
    row(key, Memory::Candidate(candidate.into()))
}

fn row(key: &LeaseKey, what: Memory) -> MemoryRow {
    MemoryRow {
        workspace: key.workspace.clone(),
        what,
    }
}

const fn id(row: &MemoryRow) -> u64 {
    match &row.what {
        Memory::Entry(entry) | Memory::Superseded(entry) => entry.id,
        Memory::Candidate(candidate) => candidate.id,
    }
}

fn says(row: &MemoryRow) -> (Kind, Scope, &str) {
    match &row.what {
        Memory::Entry(entry) | Memory::Superseded(entry) => (entry.kind, entry.scope, &entry.text),
        Memory::Candidate(candidate) => (candidate.kind, candidate.scope, &candidate.text),
    }
}

/// The last row of the page before: its number and its workspace.
fn cursor(text: &str) -> Result<(u64, Workspace), ApiError> {
    let unknown = || bad("`cursor` is the next_cursor of the page before");
    let (id, workspace) = text.split_once(' ').ok_or_else(unknown)?;
    Ok((
        id.parse().map_err(|_| unknown())?,
        Workspace::new(workspace).map_err(|_| unknown())?,
    ))
}
