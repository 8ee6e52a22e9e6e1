//! `runtime.memory.*`: what was shown of the work on a workspace, and what is known since.
//!
//! Each event says what it changed and not the whole: what a workspace knows is too much to be said each time, and whoever
//! joins late asks for it. The text of evidence is here and nowhere else.

use super::Payload;
use super::runtime::RuntimeMetadata;
use crate::time;
use muster_domain::family::WorkMemoryKind;
use muster_domain::lease::LeaseKey;
use muster_domain::names::{Profile, SessionId, Workspace};
use muster_domain::time::Timestamp;
use muster_domain::work_memory::{
    Candidate, Decay, Entry, Evidence, Finding, Kind, Mode, Scope, Source, Step, WorkMemoryFact,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// A change of what is known.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct WorkMemoryChanged<T> {
    /// What every decision carries.
    pub runtime: RuntimeMetadata,
    /// Of which workspace.
    pub workspace: Workspace,
    /// Whose work.
    pub profile: Option<Profile>,
    /// How often what is known there changed; never goes back.
    pub revision: u64,
    /// When.
    #[serde(with = "time")]
    pub changed_at: Timestamp,
    /// By whom.
    pub actor_id: Option<String>,
    /// Digest of what the request asked.
    pub request_digest: u64,
    /// What was done.
    #[serde(flatten)]
    pub step: T,
}

impl<T: Serialize> Payload for WorkMemoryChanged<T> {}

/// `submit_memory_evidence`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct EvidenceSubmitted {
    /// What it is.
    pub evidence: EvidenceData,
    /// What it says.
    pub text: String,
}

/// `extract_memory_candidates`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CandidatesExtracted {
    /// From which evidence.
    pub evidence_id: u64,
    /// Those that are new.
    pub candidates: Vec<CandidateData>,
    /// Entries that it says again.
    pub affirmed: Vec<u64>,
    /// How many were known already.
    pub duplicates: u32,
}

/// `admit_memory_candidate`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CandidateAdmitted {
    /// The entry it became.
    pub entry: EntryData,
    /// What it holds instead of.
    pub supersedes: Option<u64>,
}

/// `promote_memory`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct EntryPromoted {
    /// Which.
    pub entry_id: u64,
    /// Where it held before.
    pub from: Scope,
    /// Where it holds.
    pub to: Scope,
}

/// `compact_memory`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct EntriesCompacted {
    /// Looking for what.
    pub mode: Mode,
    /// Entries and candidates that are no longer there, and why.
    pub removed: Vec<Finding>,
}

/// Something that was shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EvidenceData {
    /// Its number within its workspace.
    pub id: u64,
    /// Where it comes from.
    pub source: Source,
    /// What it is called.
    pub title: Option<String>,
    /// SHA-256 of its text.
    pub digest: String,
    /// How long that is.
    pub bytes: u32,
    /// Since when it is known.
    #[serde(with = "time")]
    pub submitted_at: Timestamp,
    /// Who submitted it.
    pub actor_id: Option<String>,
    /// When candidates were last drawn from it.
    #[serde(with = "time::optional")]
    pub extracted_at: Option<Timestamp>,
    /// How many candidates came of it that were new.
    pub new_candidates: u32,
    /// How many were known already.
    pub duplicates: u32,
}

/// Something that may hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CandidateData {
    /// Its number within its workspace.
    pub id: u64,
    /// The evidence it was drawn from.
    pub evidence: u64,
    /// What it is.
    #[serde(rename = "type")]
    pub kind: Kind,
    /// Where it would hold.
    pub scope: Scope,
    /// What it says.
    pub text: String,
    /// Since when it waits.
    #[serde(with = "time")]
    pub found_at: Timestamp,
}

/// Something that holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EntryData {
    /// Its number within its workspace, which was its candidate's.
    pub id: u64,
    /// The evidence it was drawn from.
    pub evidence: u64,
    /// What it is.
    #[serde(rename = "type")]
    pub kind: Kind,
    /// Where it holds.
    pub scope: Scope,
    /// How soon it is no longer believed.
    pub decay_class: Decay,
    /// What it says.
    pub text: String,
    /// Since when it holds.
    #[serde(with = "time")]
    pub admitted_at: Timestamp,
    /// When it was last said again, or promoted.
    #[serde(with = "time")]
    pub affirmed_at: Timestamp,
    /// How often that was.
    pub affirmations: u32,
    /// The latest evidence that says it.
    pub seen_in: u64,
    /// The piece of work in which it was admitted.
    pub session_id: Option<SessionId>,
    /// Who admitted it.
    pub actor_id: Option<String>,
    /// The entry that holds instead.
    pub superseded_by: Option<u64>,
}

fn owned(text: Option<&str>) -> Option<String> {
    text.map(str::to_owned)
}

impl From<&Evidence> for EvidenceData {
    fn from(one: &Evidence) -> Self {
        Self {
            id: one.id,
            source: one.source,
            title: owned(one.title.as_deref()),
            digest: one.digest.to_string(),
            bytes: one.bytes,
            submitted_at: one.submitted,
            actor_id: owned(one.actor.as_deref()),
            extracted_at: one.extracted,
            new_candidates: one.candidates,
            duplicates: one.duplicates,
        }
    }
}

impl From<EvidenceData> for Evidence {
    fn from(data: EvidenceData) -> Self {
        Self {
            id: data.id,
            source: data.source,
            title: data.title.map(Into::into),
            digest: data.digest.into(),
            bytes: data.bytes,
            submitted: data.submitted_at,
            actor: data.actor_id.map(Into::into),
            extracted: data.extracted_at,
            candidates: data.new_candidates,
            duplicates: data.duplicates,
        }
    }
}

impl From<&Candidate> for CandidateData {
    fn from(one: &Candidate) -> Self {
        Self {
            id: one.id,
            evidence: one.evidence,
            kind: one.kind,
            scope: one.scope,
            text: one.text.to_string(),
            found_at: one.found,
        }
    }
}

impl From<CandidateData> for Candidate {
    fn from(data: CandidateData) -> Self {
        Self {
            id: data.id,
            evidence: data.evidence,
            kind: data.kind,
            scope: data.scope,
            text: data.text.into(),
            found: data.found_at,
        }
    }
}

impl From<&Entry> for EntryData {
    fn from(one: &Entry) -> Self {
        Self {
            id: one.id,
            evidence: one.evidence,
            kind: one.kind,
            scope: one.scope,
            decay_class: one.decay,
            text: one.text.to_string(),
            admitted_at: one.admitted,
            affirmed_at: one.affirmed,
            affirmations: one.affirmations,
            seen_in: one.seen_in,
            session_id: one.session.clone(),
            actor_id: owned(one.actor.as_deref()),
            superseded_by: one.superseded_by,
        }
    }
}

impl From<EntryData> for Entry {
    fn from(data: EntryData) -> Self {
        Self {
            id: data.id,
            evidence: data.evidence,
            kind: data.kind,
            scope: data.scope,
            decay: data.decay_class,
            text: data.text.into(),
            admitted: data.admitted_at,
            affirmed: data.affirmed_at,
            affirmations: data.affirmations,
            seen_in: data.seen_in,
            session: data.session_id,
            actor: data.actor_id.map(Into::into),
            superseded_by: data.superseded_by,
        }
    }
}

/// The payload of a change.
pub(crate) fn encode(runtime: RuntimeMetadata, fact: WorkMemoryFact) -> crate::envelope::RawData {
    let WorkMemoryFact {
        key,
        step,
        at,
        actor,
        revision,
        request,
    } = fact;
    let head = WorkMemoryChanged {
        runtime,
        workspace: key.workspace,
        profile: key.profile,
        revision,
        changed_at: at,
        actor_id: actor.map(Into::into),
        request_digest: request.1,
        step: (),
    };
    match step {
        Step::Submitted { evidence, text } => head.with(EvidenceSubmitted {
            evidence: (&evidence).into(),
            text: text.into(),
        }),
        Step::Extracted {
            evidence,
            candidates,
            affirmed,
            duplicates,
        } => head.with(CandidatesExtracted {
            evidence_id: evidence,
            candidates: candidates.iter().map(Into::into).collect(),
            affirmed,
            duplicates,
        }),
        Step::Admitted { entry, supersedes } => head.with(CandidateAdmitted {
            entry: (&entry).into(),
            supersedes,
        }),
        Step::Promoted { entry, from, to } => head.with(EntryPromoted {
            entry_id: entry,
            from,
            to,
        }),
        Step::Compacted { mode, removed } => head.with(EntriesCompacted { mode, removed }),
    }
}

impl WorkMemoryChanged<()> {
    fn with<T: Serialize>(self, step: T) -> crate::envelope::RawData {
        WorkMemoryChanged {
            runtime: self.runtime,
            workspace: self.workspace,
            profile: self.profile,
            revision: self.revision,
            changed_at: self.changed_at,
            actor_id: self.actor_id,
            request_digest: self.request_digest,
            step,
        }
        .to_raw()
    }
}

/// Reads a change of this kind.
pub(crate) fn decode(kind: WorkMemoryKind, data: &str) -> Option<WorkMemoryFact> {
    match kind {
        WorkMemoryKind::SubmitMemoryEvidence => read(data, |EvidenceSubmitted { evidence, text }| Step::Submitted {
            evidence: evidence.into(),
            text: text.into(),
        }),
        WorkMemoryKind::ExtractMemoryCandidates => read(data, |drawn: CandidatesExtracted| Step::Extracted {
            evidence: drawn.evidence_id,
            candidates: drawn.candidates.into_iter().map(Into::into).collect(),
            affirmed: drawn.affirmed,
            duplicates: drawn.duplicates,
        }),
        WorkMemoryKind::AdmitMemoryCandidate => read(data, |CandidateAdmitted { entry, supersedes }| Step::Admitted {
            entry: entry.into(),
            supersedes,
        }),
        WorkMemoryKind::PromoteMemory => read(data, |EntryPromoted { entry_id, from, to }| Step::Promoted {
            entry: entry_id,
            from,
            to,
        }),
        WorkMemoryKind::CompactMemory => read(data, |EntriesCompacted { mode, removed }| Step::Compacted {
            mode,
            removed,
        }),
    }
}

fn read<T: DeserializeOwned>(data: &str, step: impl FnOnce(T) -> Step) -> Option<WorkMemoryFact> {
    let changed: WorkMemoryChanged<T> = serde_json::from_str(data).ok()?;
    Some(WorkMemoryFact {
        key: LeaseKey {
            profile: changed.profile,
            workspace: changed.workspace,
        },
        step: step(changed.step),
        at: changed.changed_at,
        actor: changed.actor_id.map(Into::into),
        revision: changed.revision,
        request: (changed.runtime.request_id.into(), changed.request_digest),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{decision, decode};
    use muster_domain::conclusion::{Cause, Conclusion, Draft};
    use muster_domain::fact::{Decision, Fact};
    use muster_domain::ids::EventId;
    use muster_domain::work_memory::Reason;
    use uuid::Uuid;

    fn steps() -> Vec<(&'static str, Step)> {
        let at = Timestamp::from_millis(5);
        let evidence = Evidence {
            id: 1,
            source: Source::HookOutput,
            title: Some("lint".into()),
            digest: "sha256:00".into(),
            bytes: 3,
            submitted: at,
            actor: Some("a".into()),
            extracted: None,
            candidates: 0,
            duplicates: 0,
        };
        let candidate = Candidate {
            id: 2,
            evidence: 1,
            kind: Kind::Rule,
            scope: Scope::Workspace,
            text: "run the linter".into(),
            found: at,
        };
        let entry = Entry {
            id: 2,
            evidence: 1,
            kind: Kind::Rule,
            scope: Scope::WorkStream,
            decay: Decay::Stable,
            text: "run the linter".into(),
            admitted: at,
            affirmed: at,
            affirmations: 0,
            seen_in: 1,
            session: SessionId::new("ses_1").ok(),
            actor: None,
            superseded_by: Some(9),
        };
        let gone = Finding {
            id: 2,
            reason: Reason::Superseded,
            into: Some(9),
        };
        let (from, to) = (Scope::Workspace, Scope::ProjectTruth);
        vec![
            (
                "submit_memory_evidence",
                Step::Submitted {
                    evidence,
                    text: "abc".into(),
                },
            ),
            (
                "extract_memory_candidates",
                Step::Extracted {
                    evidence: 1,
                    candidates: vec![candidate],
                    affirmed: vec![7],
                    duplicates: 1,
                },
            ),
            (
                "admit_memory_candidate",
                Step::Admitted {
                    entry,
                    supersedes: Some(3),
                },
            ),
            ("promote_memory", Step::Promoted { entry: 2, from, to }),
            (
                "compact_memory",
                Step::Compacted {
                    mode: Mode::Review,
                    removed: vec![gone],
                },
            ),
        ]
    }

    #[test]
    fn what_is_known_is_folded_as_it_was_concluded() {
        for (kind, step) in steps() {
            let fact = WorkMemoryFact {
                key: LeaseKey {
                    profile: Profile::new("p").ok(),
                    workspace: Workspace::new("/repo").unwrap(),
                },
                step,
                at: Timestamp::from_millis(5),
                actor: Some("a".into()),
                revision: 4,
                request: ("r1".into(), u64::MAX),
            };
            let draft = Draft {
                host: None,
                session: None,
                agent: None,
                profile: None,
                conclusion: Conclusion::WorkMemory(Box::new(fact.clone())),
                cause: Cause::Request("r1".into()),
            };
            let id = EventId::from_uuid(Uuid::from_u128(2));
            let sent = decision::envelope(&draft, id, Timestamp::from_millis(5));
            assert_eq!(sent.event_type.to_string(), ["runtime.memory", kind].join("."));
            assert!(
                sent.data.get().contains(r#""retry_class":"retry_after_reread""#),
                "{kind}"
            );
            assert_eq!(
                decode::event(&sent).fact,
                Fact::Decision(Decision::WorkMemory(Box::new(fact)))
            );
        }
    }
}
