//! What people and agents think of sessions, and which of them are kept.

use super::leases::{bad, ground};
use super::{After, Asked, Then, encode_at, lists, page};
use muster_domain::digest;
use muster_domain::fleet::{Fleet, SessionKey};
use muster_domain::review::{self, Decided, Docket, File, NOTE_BYTES_MAX, REASON_BYTES_MAX, Refusal, Said};
use muster_domain::view;
use muster_wire::api::{
    self, ApiError, CaseAnswer, CaseWritten, CasesCreateRequest, CasesList, CasesMineRequest, CasesMined, CloseRequest,
    ErrorKind, FeedbackAnnotateRequest, FeedbackAnswer, FeedbackList, FeedbackListRequest, FeedbackRow, FileOutcome,
    FileRequest, FileRow, FilesListRequest, ProposalRow, SessionSummary,
};
use serde::Serialize;

pub(super) fn annotate(asked: &Asked<'_>, request: FeedbackAnnotateRequest) -> Result<After, ApiError> {
    let digest = asked_by(asked, &request);
    let session = lists::find(asked.fleet, &request.session_id, request.host.as_ref())?;
    let said = Said {
        score: request.score,
        label: request.label,
        note: words("note", request.note, NOTE_BYTES_MAX)?,
    };
    let decided = review::annotate(&ground(asked, digest), &session, said);
    answer(decided, |fleet, Decided { about, .. }| {
        let (word, counts) = fleet.reviews().feedback().get(*about).ok_or_else(forgotten)?;
        let feedback = FeedbackRow::new(word, counts);
        Ok(FeedbackAnswer { feedback })
    })
}

pub(super) fn feedback(fleet: &Fleet, request: &FeedbackListRequest) -> FeedbackList {
    let wanted = |row: &FeedbackRow| {
        (row.counts || request.all)
            && request.session_id.as_ref().is_none_or(|id| *id == row.session_id)
            && request.host.as_ref().is_none_or(|host| *host == row.host)
            && request.label.is_none_or(|label| Some(label) == row.label)
            && request.cursor.is_none_or(|after| row.id < after)
    };
    let all = fleet.reviews().feedback().all();
    let mut rows: Vec<FeedbackRow> = all
        .map(|(word, counts)| FeedbackRow::new(word, counts))
        .filter(wanted)
        .collect();
    rows.sort_unstable_by_key(|row| std::cmp::Reverse(row.id));
    let page = page::of(rows, api::page_rows(request.limit));
    FeedbackList {
        next_cursor: page.next(|row| row.id),
        feedback: page.rows,
    }
}

pub(super) fn create_case(asked: &Asked<'_>, request: CasesCreateRequest) -> Result<After, ApiError> {
    let digest = asked_by(asked, &request);
    let session = lists::find(asked.fleet, &request.session_id, request.host.as_ref())?;
    let reason = words("reason", Some(request.reason), REASON_BYTES_MAX)?;
    let reason = reason.ok_or_else(|| bad("say why: a `reason`"))?;
    let decided = review::create_case(&ground(asked, digest), &session, &reason, request.label);
    answer(decided, case_written)
}

pub(super) fn archive_case(asked: &Asked<'_>, request: CloseRequest) -> Result<After, ApiError> {
    let digest = asked_by(asked, &request);
    let note = words("note", request.note, REASON_BYTES_MAX)?;
    let decided = review::archive_case(&ground(asked, digest), request.id, note.as_deref());
    answer(decided, case_written)
}

fn case_written(fleet: &Fleet, decided: &Decided) -> Result<CaseWritten, ApiError> {
    let case = fleet.reviews().cases().get(decided.about);
    Ok(CaseWritten {
        outcome: FileOutcome::of(decided.applied),
        case: FileRow::new(case.ok_or_else(forgotten)?),
    })
}

pub(super) fn cases(fleet: &Fleet, request: &FilesListRequest) -> CasesList {
    let page = files(fleet.reviews().cases(), request);
    CasesList {
        next_cursor: page.next(|row| row.id),
        cases: page.rows,
    }
}

fn files(docket: &Docket, request: &FilesListRequest) -> page::Page<FileRow> {
    let wanted = |file: &&File| {
        let SessionKey { host, id } = &file.opening.session;
        (file.end.is_none() || request.all)
            && request.session_id.as_ref().is_none_or(|wanted| wanted == id)
            && request.host.as_ref().is_none_or(|wanted| wanted == host)
            && request.cursor.is_none_or(|after| file.opening.id < after)
    };
    let rows = docket.files().rev().filter(wanted).map(FileRow::new);
    page::of(rows, api::page_rows(request.limit))
}

pub(super) fn case(fleet: &Fleet, request: FileRequest) -> Result<CaseAnswer, ApiError> {
    let case = fleet.reviews().cases().get(request.id);
    let case = case.ok_or_else(|| refused(&Refusal::NoCase(request.id)))?;
    let session = &case.opening.session;
    Ok(CaseAnswer {
        case: FileRow::new(case),
        session: known(fleet, session),
        feedback: said(fleet, session),
    })
}

fn known(fleet: &Fleet, session: &SessionKey) -> Option<SessionSummary> {
    view::session(fleet, session).map(SessionSummary::from)
}

fn said(fleet: &Fleet, session: &SessionKey) -> Vec<FeedbackRow> {
    let words = fleet.reviews().feedback().of(session);
    words.map(|word| FeedbackRow::new(word, true)).collect()
}

pub(super) fn mine(fleet: &Fleet, request: &CasesMineRequest) -> CasesMined {
    let proposals = review::mine(fleet, request.since).into_iter();
    let page = page::of(proposals.map(ProposalRow::from), api::page_rows(request.limit));
    CasesMined {
        more: page.more,
        proposals: page.rows,
    }
}

/// One number for what is asked, and by whom: another's request of the same name is another request.
fn asked_by(asked: &Asked<'_>, request: &impl std::hash::Hash) -> u64 {
    digest::of(&(&asked.asker.caller, asked.asker.session.as_ref(), request))
}

fn words(member: &str, text: Option<String>, bytes_max: usize) -> Result<Option<Box<str>>, ApiError> {
    let text = text.as_deref().map(str::trim).filter(|text| !text.is_empty());
    match text {
        Some(text) if text.len() > bytes_max => Err(bad(&format!(
            "`{member}` has {} bytes; the limit is {bytes_max}",
            text.len()
        ))),
        text => Ok(text.map(Into::into)),
    }
}

/// Once it is written, or what it was decided from is read back.
fn answer<R: Serialize>(
    decided: Result<Decided, Refusal>,
    row: impl FnOnce(&Fleet, &Decided) -> Result<R, ApiError> + Send + Sync + 'static,
) -> Result<After, ApiError> {
    let mut decided = decided.map_err(|refusal| refused(&refusal))?;
    let (drafts, event) = (std::mem::take(&mut decided.drafts), decided.soon);
    let then: Then = Box::new(move |fleet, at| encode_at(at, row(fleet, &decided)?));
    Ok(After { drafts, event, then })
}

/// It was there when it was asked for.
fn forgotten() -> ApiError {
    ApiError::new(ErrorKind::NotFound, "it is no longer remembered; the log has it")
}

fn refused(refusal: &Refusal) -> ApiError {
    let kind = match refusal {
        Refusal::Nothing => ErrorKind::BadRequest,
        Refusal::NoCase(_) => ErrorKind::NotFound,
        Refusal::OwnCase => ErrorKind::Forbidden,
        Refusal::Named(_)
        | Refusal::TooManySpeakers
        | Refusal::TooMuchFeedback
        | Refusal::TooHeavy
        | Refusal::TooManyCases
        | Refusal::TooManyOfSession => ErrorKind::Conflict,
    };
    ApiError::new(kind, refusal.to_string())
}
