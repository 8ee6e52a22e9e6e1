//! Requests about what is known of work, each with every member set.

use super::{Full, full};
use crate::api::{
    BootstrapRequest, CandidateGiven, LeaseTarget, MemoriesAdmitRequest, MemoriesCompactRequest,
    MemoriesExtractRequest, MemoriesGetRequest, MemoriesListRequest, MemoriesPromoteRequest, MemoriesRequest,
    MemoriesSubmitRequest, MemoryState,
};
use crate::subject::Operation;
use muster_domain::names::{HostName, Profile, SessionId, Workspace};
use muster_domain::work_memory::{Decay, Kind, Mode, Review, Scope, Source};

pub(super) fn requests() -> Vec<Full> {
    let workspace = Workspace::new("/w").unwrap();
    let profile = Profile::new("p").ok();
    let target = LeaseTarget {
        workspace: workspace.clone(),
        profile: profile.clone(),
        actor_id: Some("a".to_owned()),
        session_id: SessionId::new("ses_1").ok(),
        expected_revision: Some(1),
        host: HostName::new("web-01").ok(),
        request_id: Some("r".to_owned()),
    };
    let submit = MemoriesSubmitRequest {
        target: target.clone(),
        source: Source::EventStream,
        title: Some("t".to_owned()),
        text: "x".to_owned(),
    };
    let extract = MemoriesExtractRequest {
        target: target.clone(),
        evidence: 1,
        candidates: vec![CandidateGiven {
            kind: Kind::Rule,
            scope: Some(Scope::Workspace),
            text: "x".to_owned(),
        }],
    };
    let admit = MemoriesAdmitRequest {
        target: target.clone(),
        candidate: 2,
        scope: Some(Scope::WorkStream),
        decay_class: Some(Decay::Active),
        supersedes: Some(1),
    };
    let promote = MemoriesPromoteRequest {
        target: target.clone(),
        entry: 2,
        to: Scope::Profile,
    };
    let compact = MemoriesCompactRequest {
        target,
        mode: Mode::Review,
        review: Some(Review::PromotionCandidate),
        remove: true,
        write: true,
    };
    let list = MemoriesListRequest {
        workspace: workspace.clone(),
        profile: profile.clone(),
        state: MemoryState::Superseded,
        text: Some("x".to_owned()),
        scope: Some(Scope::ProjectTruth),
        kind: Some(Kind::Attempt),
        cursor: Some("2 /w".to_owned()),
        limit: Some(1),
    };
    let get = MemoriesGetRequest {
        workspace: workspace.clone(),
        profile: profile.clone(),
        id: 2,
    };
    let of_workspace = MemoriesRequest {
        workspace: workspace.clone(),
        profile: profile.clone(),
    };
    let bootstrap = BootstrapRequest {
        workspace,
        profile,
        session: SessionId::new("s1").ok(),
        host: HostName::new("web-01").ok(),
    };
    vec![
        full(Operation::MemoriesSubmit, &submit),
        full(Operation::MemoriesExtract, &extract),
        full(Operation::MemoriesAdmit, &admit),
        full(Operation::MemoriesPromote, &promote),
        full(Operation::MemoriesCompact, &compact),
        full(Operation::MemoriesList, &list),
        full(Operation::MemoriesGet, &get),
        full(Operation::MemoriesDescribe, &of_workspace),
        full(Operation::MemoriesSources, &of_workspace),
        full(Operation::WorkspacesBootstrap, &bootstrap),
    ]
}
