//! What people and agents think of sessions, which of them are kept, and which wait to be looked at.

use super::leases::{bad, ground};
use super::{After, Asked, Then, encode_at, lists, page};
use muster_domain::digest;
use muster_domain::fleet::{Fleet, SessionKey};
use muster_domain::review::{self, Decided, Docket, File, How, Kept, NOTE_BYTES_MAX, REASON_BYTES_MAX, Refusal, Said};
use muster_domain::view;
use muster_wire::api::{
    self, ApiError, CaseAnswer, CaseWritten, CasesCreateRequest, CasesList, CasesMineRequest, CasesMined, CloseRequest,
    ErrorKind, FeedbackAnnotateRequest, FeedbackAnswer, FeedbackList, FeedbackListRequest, FeedbackRow, FileOutcome,
    FileRequest, FileRow, FilesListRequest, ProposalRow, ReviewAnswer, ReviewWritten, ReviewsList, SessionSummary,
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

pub(super) fn archive(asked: &Asked<'_>, request: CloseRequest) -> Result<After, ApiError> {
    answer(close(asked, How::Archived, request)?, case_written)
}

pub(super) fn end(asked: &Asked<'_>, how: How, request: CloseRequest) -> Result<After, ApiError> {
    answer(close(asked, how, request)?, |fleet, decided| {
        let review = fleet.reviews().queue().get(decided.about);
        Ok(ReviewWritten {
            outcome: FileOutcome::of(decided.applied),
            review: FileRow::new(review.ok_or_else(forgotten)?),
        })
    })
}

fn close(asked: &Asked<'_>, how: How, request: CloseRequest) -> Result<Result<Decided, Refusal>, ApiError> {
    let digest = asked_by(asked, &(how, &request));
    let note = words("note", request.note, REASON_BYTES_MAX)?;
    Ok(review::close(&ground(asked, digest), how, request.id, note.as_deref()))
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

pub(super) fn queue(fleet: &Fleet, request: &FilesListRequest) -> ReviewsList {
    let page = files(fleet.reviews().queue(), request);
    ReviewsList {
        next_cursor: page.next(|row| row.id),
        reviews: page.rows,
    }
}

pub(super) fn case(fleet: &Fleet, request: FileRequest) -> Result<CaseAnswer, ApiError> {
    let case = file(fleet, Kept::Case, request)?;
    Ok(CaseAnswer {
        case: FileRow::new(case),
        session: known(fleet, &case.opening.session),
        feedback: said(fleet, &case.opening.session),
    })
}

pub(super) fn queued(fleet: &Fleet, request: FileRequest) -> Result<ReviewAnswer, ApiError> {
    let review = file(fleet, Kept::Review, request)?;
    Ok(ReviewAnswer {
        review: FileRow::new(review),
        session: known(fleet, &review.opening.session),
        feedback: said(fleet, &review.opening.session),
    })
}

fn file(fleet: &Fleet, kept: Kept, request: FileRequest) -> Result<&File, ApiError> {
    let file = fleet.reviews().docket(kept).get(request.id);
    file.ok_or_else(|| refused(&Refusal::None(kept, request.id)))
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
pub(super) fn asked_by(asked: &Asked<'_>, request: &impl std::hash::Hash) -> u64 {
    digest::of(&(&asked.asker.caller, asked.asker.session.as_ref(), request))
}

pub(super) fn words(member: &str, text: Option<String>, bytes_max: usize) -> Result<Option<Box<str>>, ApiError> {
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
pub(super) fn answer<R: Serialize>(
    decided: Result<Decided, Refusal>,
    row: impl FnOnce(&Fleet, &Decided) -> Result<R, ApiError> + Send + Sync + 'static,
) -> Result<After, ApiError> {
    let mut decided = decided.map_err(|refusal| refused(&refusal))?;
    let (drafts, event) = (std::mem::take(&mut decided.drafts), decided.soon);
    let then: Then = Box::new(move |fleet, at| encode_at(at, row(fleet, &decided)?));
    Ok(After { drafts, event, then })
}

/// It was there when it was asked for.
pub(super) fn forgotten() -> ApiError {
    ApiError::new(ErrorKind::NotFound, "it is no longer remembered; the log has it")
}

pub(super) fn refused(refusal: &Refusal) -> ApiError {
    let kind = match refusal {
        Refusal::Nothing => ErrorKind::BadRequest,
        Refusal::None(..) | Refusal::NoRule(_) => ErrorKind::NotFound,
        Refusal::Own(_) => ErrorKind::Forbidden,
        Refusal::Named(_)
        | Refusal::TooManySpeakers
        | Refusal::TooMuchFeedback
        | Refusal::TooHeavy
        | Refusal::TooMany(_)
        | Refusal::TooManyOfSession(_)
        | Refusal::Off(_)
        | Refusal::Taken(..)
        | Refusal::TooManyRules
        | Refusal::TooMuchDone
        | Refusal::TooManyAlerts
        | Refusal::Unreadable(_) => ErrorKind::Conflict,
    };
    ApiError::new(kind, refusal.to_string())
}
