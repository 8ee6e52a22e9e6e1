//! Approvals: listed, shown, and answered.

use super::{After, Asked, Then, encode_at, page};
use muster_domain::approval::{self, ApprovalId, Resolved};
use muster_domain::fleet::Fleet;
use muster_wire::api::{
    self, ApiError, ApprovalAnswer, ApprovalRequest, ApprovalRow, ApprovalState, ApprovalsList, ApprovalsListRequest,
    ApprovalsResolveRequest, ApprovalsResolved, ErrorKind, Taken, Verdict,
};
use muster_wire::envelope::RawData;
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Map, Value};

pub(super) fn list(fleet: &Fleet, request: &ApprovalsListRequest) -> ApprovalsList {
    let all: Box<dyn Iterator<Item = _>> = match request.cursor {
        None => Box::new(fleet.approvals().iter()),
        Some(cursor) => Box::new(fleet.approvals().after(cursor)),
    };
    let wanted = all.filter(|(_, approval)| {
        let (host, session) = (
            approval.session.as_ref().map(|key| &key.host),
            approval.session.as_ref().map(|key| &key.id),
        );
        (request.state == ApprovalState::All || approval.is_open())
            && request.host.as_ref().is_none_or(|wanted| Some(wanted) == host)
            && request.session.as_ref().is_none_or(|wanted| Some(wanted) == session)
    });
    let page = page::of(
        wanted.map(|(id, approval)| ApprovalRow::new(id, approval)),
        api::page_rows(request.limit),
    );
    ApprovalsList {
        next_cursor: page.next(|row| row.id),
        approvals: page.rows,
    }
}

pub(super) fn get(fleet: &Fleet, request: &ApprovalRequest) -> Result<ApprovalAnswer, ApiError> {
    row(fleet, request.id).map(|approval| ApprovalAnswer { approval })
}

/// Takes an operator's answer: the first one is written, every other learns whose was first.
pub(super) fn resolve(asked: &Asked<'_>, request: ApprovalsResolveRequest) -> Result<After, ApiError> {
    let id = request.id;
    let updated_input = updated_input(asked.fleet, &request)?;
    let answer = approval::Answer {
        id,
        verdict: match request.decision {
            Verdict::Approve => approval::Verdict::Approve,
            Verdict::Deny => approval::Verdict::Deny,
        },
        reason: request.reason.filter(|reason| !reason.trim().is_empty()),
        scope: request.scope,
        interrupt: request.interrupt,
        updated_input: updated_input.map(|raw| raw.get().to_owned()),
    };
    let resolved = approval::resolve(asked.fleet, asked.overlay, asked.asker, &answer).map_err(|refusal| {
        let kind = match refusal {
            approval::Refusal::Unknown(_) => ErrorKind::NotFound,
            approval::Refusal::Own => ErrorKind::Forbidden,
            approval::Refusal::Unanswered => ErrorKind::BadRequest,
        };
        ApiError::new(kind, refusal.to_string())
    })?;
    let own = asked.asker.request.clone();
    let then: Then = Box::new(move |fleet, at| {
        let approval = row(fleet, id)?;
        let first = approval
            .resolution
            .as_ref()
            .and_then(|resolution| resolution.answer.request_id.as_deref());
        let outcome = if first == Some(&*own) {
            Taken::Applied
        } else {
            Taken::AlreadyResolved
        };
        encode_at(at, ApprovalsResolved { outcome, approval })
    });
    Ok(match resolved {
        Resolved::Now(draft) => After::written(vec![*draft], then),
        Resolved::Soon(event) => After::folded(event, then),
        Resolved::Before => After::nothing(then),
    })
}

fn row(fleet: &Fleet, id: ApprovalId) -> Result<ApprovalRow, ApiError> {
    let approval = fleet.approvals().get(id);
    approval
        .map(|approval| ApprovalRow::new(id, approval))
        .ok_or_else(|| ApiError::new(ErrorKind::NotFound, format!("no such approval: {id}")))
}

/// What the tool shall run with: as given, or the agent's own questions with the answers in them.
fn updated_input(fleet: &Fleet, request: &ApprovalsResolveRequest) -> Result<Option<RawData>, ApiError> {
    let bad = |text: &str| ApiError::new(ErrorKind::BadRequest, text);
    let Some(answers) = &request.answers else {
        let given = request.updated_input.as_deref();
        return match given.map(RawValue::get).map(str::trim_start) {
            None => Ok(None),
            Some(text) if text.starts_with('{') => Ok(request.updated_input.clone()),
            Some(_) => Err(bad("`updated_input` is an object, like the input it replaces")),
        };
    };
    if request.updated_input.is_some() {
        return Err(bad("give `answers` or `updated_input`, not both"));
    }
    let answers: Map<String, Value> = serde_json::from_str(answers.get())
        .map_err(|_| bad("`answers` is an object: the label chosen, by question"))?;
    let approval = fleet.approvals().get(request.id);
    let input = approval.and_then(|approval| approval.asked.input.as_deref());
    let whole = approval.is_none_or(|approval| approval.asked.overflow.is_none());
    let input: Option<Map<String, Value>> = input.and_then(|text| serde_json::from_str(text).ok());
    let Some(mut input) = input.filter(|_| whole) else {
        // One that ended has no input any more, and says so itself; one too large is not known here as a whole.
        return if approval.is_some_and(approval::Approval::is_open) {
            Err(bad(
                "the question is too large to be answered by label; give `updated_input`",
            ))
        } else {
            Ok(None)
        };
    };
    input.insert("answers".to_owned(), Value::Object(answers));
    to_raw_value(&input)
        .map(Some)
        .map_err(|error| ApiError::new(ErrorKind::Internal, error.to_string()))
}
