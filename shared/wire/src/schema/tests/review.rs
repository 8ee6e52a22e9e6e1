//! Requests about what is thought of sessions, each with every member set.

use super::{Full, full};
use crate::api::{
    CasesCreateRequest, CasesMineRequest, CloseRequest, FeedbackAnnotateRequest, FeedbackListRequest, FileRequest,
    FilesListRequest, RulesCreateRequest, RulesRunRequest, RulesSwitchRequest,
};
use crate::subject::Operation;
use muster_domain::alert::Severity;
use muster_domain::names::{HostName, SessionId};
use muster_domain::review::{Action, Label, Score};
use muster_domain::time::Timestamp;

pub(super) fn requests() -> Vec<Full> {
    let session_id = SessionId::new("s1").unwrap();
    let host = HostName::new("web-01").ok();
    let request_id = Some("r".to_owned());
    let annotate = FeedbackAnnotateRequest {
        session_id: session_id.clone(),
        host: host.clone(),
        score: Score::try_from(1).ok(),
        label: Some(Label::Interesting),
        note: Some("n".to_owned()),
        request_id: request_id.clone(),
    };
    let said = FeedbackListRequest {
        session_id: Some(session_id.clone()),
        host: host.clone(),
        label: Some(Label::Good),
        all: true,
        cursor: Some(3),
        limit: Some(1),
    };
    let create = CasesCreateRequest {
        session_id: session_id.clone(),
        host: host.clone(),
        reason: "x".to_owned(),
        label: Some(Label::Bug),
        request_id: request_id.clone(),
    };
    let list = FilesListRequest {
        all: true,
        session_id: Some(session_id),
        host,
        cursor: Some(3),
        limit: Some(1),
    };
    let get = FileRequest { id: 1 };
    let close = CloseRequest {
        id: 1,
        note: Some("n".to_owned()),
        request_id: request_id.clone(),
    };
    let rule = RulesCreateRequest {
        name: "n".to_owned(),
        filter: "errors>1".to_owned(),
        action: Action::EmitAlert,
        message: Some("m".to_owned()),
        severity: Some(Severity::Info),
        request_id: request_id.clone(),
    };
    let switch = RulesSwitchRequest {
        id: 1,
        request_id: request_id.clone(),
    };
    let run = RulesRunRequest {
        id: Some(1),
        since: Some(Timestamp::from_millis(1)),
        dry_run: true,
        request_id,
    };
    let mine = CasesMineRequest {
        since: Some(Timestamp::from_millis(1)),
        limit: Some(1),
    };
    vec![
        full(Operation::FeedbackAnnotate, &annotate),
        full(Operation::FeedbackList, &said),
        full(Operation::CasesCreate, &create),
        full(Operation::CasesList, &list),
        full(Operation::CasesGet, &get),
        full(Operation::CasesArchive, &close),
        full(Operation::CasesMine, &mine),
        full(Operation::RulesCreate, &rule),
        full(Operation::RulesEnable, &switch),
        full(Operation::RulesDisable, &switch),
        full(Operation::RulesRun, &run),
        full(Operation::ReviewsList, &list),
        full(Operation::ReviewsGet, &get),
        full(Operation::ReviewsResolve, &close),
        full(Operation::ReviewsDismiss, &close),
    ]
}
