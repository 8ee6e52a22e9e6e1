//! What is known of the work on a workspace: CCD's memory lifecycle and recall.

use crate::api::effect::StagedWrite;
use crate::api::lease::{LeaseTarget, Written};
use crate::data::work_memory::{CandidateData, EntryData, EvidenceData};
use muster_domain::names::{Profile, Workspace};
use muster_domain::work_memory::{Decay, Finding, Kind, Mode, Review, Scope, Source};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// `memories.submit`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct MemoriesSubmitRequest {
    /// Where, and who; `expected_revision` is that of what is known.
    #[serde(flatten)]
    pub target: LeaseTarget,
    /// Where it comes from.
    pub source: Source,
    /// What it is called: a file, a session, a command.
    #[serde(default)]
    pub title: Option<String>,
    /// What it says, in at most 8 KiB.
    pub text: String,
}

/// `memories.extract`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct MemoriesExtractRequest {
    /// Where, and who.
    #[serde(flatten)]
    pub target: LeaseTarget,
    /// From which evidence.
    pub evidence: u64,
    /// What it shows.
    pub candidates: Vec<CandidateGiven>,
}

/// What evidence shows.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CandidateGiven {
    /// What it is.
    #[serde(rename = "type")]
    pub kind: Kind,
    /// Where it would hold: in the workspace, unless it is said.
    #[serde(default)]
    pub scope: Option<Scope>,
    /// What it says, in at most 1 KiB.
    pub text: String,
}

/// `memories.admit`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct MemoriesAdmitRequest {
    /// Where, and who.
    #[serde(flatten)]
    pub target: LeaseTarget,
    /// Which candidate.
    pub candidate: u64,
    /// Where it holds.
    #[serde(default)]
    pub scope: Option<Scope>,
    /// How soon it is no longer believed.
    #[serde(default)]
    pub decay_class: Option<Decay>,
    /// The entry instead of which it holds.
    #[serde(default)]
    pub supersedes: Option<u64>,
}

/// `memories.promote`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct MemoriesPromoteRequest {
    /// Where, and who.
    #[serde(flatten)]
    pub target: LeaseTarget,
    /// Which entry.
    pub entry: u64,
    /// Where it holds from then on: project, profile or project_truth.
    pub to: Scope,
}

/// `memories.compact`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct MemoriesCompactRequest {
    /// Where, and who.
    #[serde(flatten)]
    pub target: LeaseTarget,
    /// What is looked for.
    pub mode: Mode,
    /// What a review looks for.
    #[serde(default)]
    pub review: Option<Review>,
    /// Whether a review takes away what it finds.
    #[serde(default)]
    pub remove: bool,
    /// Whether it is done; else it is only said what would be.
    #[serde(default)]
    pub write: bool,
}

/// `memories.list`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MemoriesListRequest {
    /// On what is worked.
    pub workspace: Workspace,
    /// Whose work.
    #[serde(default)]
    pub profile: Option<Profile>,
    /// Only what holds (which is the default), what was replaced, or what may hold.
    #[serde(default)]
    pub state: MemoryState,
    /// Only what says this, whatever its case.
    #[serde(default)]
    pub text: Option<String>,
    /// Only what holds there.
    #[serde(default)]
    pub scope: Option<Scope>,
    /// Only what is this.
    #[serde(default, rename = "type")]
    pub kind: Option<Kind>,
    /// `next_cursor` of the page before.
    #[serde(default)]
    pub cursor: Option<String>,
    /// Rows at most.
    #[serde(default)]
    pub limit: Option<usize>,
}

/// How far something is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MemoryState {
    /// It holds.
    #[default]
    Entry,
    /// Something else holds instead.
    Superseded,
    /// It may hold.
    Candidate,
}

/// `memories.get`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MemoriesGetRequest {
    /// On what is worked.
    pub workspace: Workspace,
    /// Whose work.
    #[serde(default)]
    pub profile: Option<Profile>,
    /// The number of an entry or a candidate.
    pub id: u64,
}

/// `memories.describe`, `memories.sources`: of which workspace.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MemoriesRequest {
    /// On what is worked.
    pub workspace: Workspace,
    /// Whose work.
    #[serde(default)]
    pub profile: Option<Profile>,
}

/// Something that holds, or may.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemoryRow {
    /// The workspace in which it is known: another one for what was promoted to the profile there.
    pub workspace: Workspace,
    /// What it is.
    #[serde(flatten)]
    pub what: Memory,
}

/// What is known, by how far it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum Memory {
    /// It holds.
    Entry(EntryData),
    /// Something else holds instead.
    Superseded(EntryData),
    /// It may hold.
    Candidate(CandidateData),
}

/// A page of what is known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemoriesList {
    /// How often what is known there changed.
    pub revision: u64,
    /// The rows.
    pub memories: Vec<MemoryRow>,
    /// Where the next page begins.
    pub next_cursor: Option<String>,
}

/// One of what is known, and where it comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemoryAnswer {
    /// It.
    pub memory: MemoryRow,
    /// What it was drawn from; none where that is forgotten.
    pub evidence: Option<EvidenceData>,
}

/// How much is known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemoriesDescribed {
    /// On what is worked.
    pub workspace: Workspace,
    /// Whose work.
    pub profile: Option<Profile>,
    /// How often what is known there changed.
    pub revision: u64,
    /// How much holds, by where.
    pub entries: BTreeMap<Scope, usize>,
    /// How much was replaced and is still there.
    pub superseded: usize,
    /// How much waits to be admitted.
    pub candidates: usize,
    /// How much evidence is remembered.
    pub evidence: usize,
    /// How much of it no candidates were drawn from yet.
    pub evidence_waiting: usize,
    /// How much there may be.
    pub limits: MemoryLimits,
}

/// How much one workspace may know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemoryLimits {
    /// Entries.
    pub entries: usize,
    /// Candidates.
    pub candidates: usize,
    /// Pieces of evidence.
    pub evidence: usize,
}

/// What came of which evidence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemoriesSources {
    /// How often what is known there changed.
    pub revision: u64,
    /// How much evidence waits for candidates to be drawn from it.
    pub waiting: usize,
    /// The evidence, the oldest first.
    pub sources: Vec<MemorySource>,
    /// Entries and candidates whose evidence is forgotten.
    pub unsourced: Vec<u64>,
}

/// One piece of evidence, and what came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemorySource {
    /// The evidence.
    #[serde(flatten)]
    pub evidence: EvidenceData,
    /// Candidates that wait.
    pub candidates: Vec<u64>,
    /// Entries.
    pub entries: Vec<u64>,
}

/// What became of a change.
pub type MemoriesAnswer = Written<MemoriesChanged>;

/// What is known of what a change was about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemoriesChanged {
    /// On what is worked.
    pub workspace: Workspace,
    /// Whose work.
    pub profile: Option<Profile>,
    /// How often what is known there changed.
    pub revision: u64,
    /// The evidence it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<EvidenceData>,
    /// What it is about, as it is now: of evidence, the candidates that wait.
    pub memories: Vec<MemoryRow>,
}

/// What became of a compaction.
pub type MemoriesCompacted = Written<Compaction>;

/// What a compaction found, and what was done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Compaction {
    /// On what is worked.
    pub workspace: Workspace,
    /// Whose work.
    pub profile: Option<Profile>,
    /// How often what is known there changed.
    pub revision: u64,
    /// What was found.
    pub found: Vec<FoundRow>,
    /// How much of that is durable and stays: an operator takes it away.
    pub spared: usize,
    /// `idempotent_noop` where nothing changes, `applied` where it was done; none where it was only said.
    pub staged_write: Option<StagedWrite>,
    /// What was done, where it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub write_result: Option<CompactionResult>,
}

/// Something that was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FoundRow {
    /// Which, and why.
    #[serde(flatten)]
    pub finding: Finding,
    /// What it says.
    pub text: String,
}

/// What a compaction did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct CompactionResult {
    /// How many are gone.
    pub removed: usize,
    /// How many entries are left.
    pub entries: usize,
    /// How many candidates are left.
    pub candidates: usize,
}
