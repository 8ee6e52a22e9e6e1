//! Experiments: planned, begun, given sessions, shown with their figures, concluded.

use super::{After, Asked, Then, encode_at, lists, named_by, page};
use muster_domain::conclusion::Draft;
use muster_domain::experiment::{self, Experiment, Refusal, State, outcome};
use muster_domain::fleet::Fleet;
use muster_domain::ids::ExperimentId;
use muster_wire::api::{
    self, ApiError, ErrorKind, ExperimentAnswer, ExperimentRequest, ExperimentRow, ExperimentsConcludeRequest,
    ExperimentsCreateRequest, ExperimentsList, ExperimentsListRequest, ExperimentsTagRequest,
};
use std::cmp::Reverse;

pub(super) fn create(asked: &Asked<'_>, request: ExperimentsCreateRequest) -> Result<After, ApiError> {
    let asker = asked.asker;
    let bytes = named_by(&asker.caller, &asker.request);
    // The same request of the same caller is the same experiment.
    let id = ExperimentId::from_uuid(uuid::Builder::from_custom_bytes(bytes).into_uuid());
    let plan = request
        .plan()
        .map_err(|wrong| ApiError::new(ErrorKind::BadRequest, wrong.to_string()))?;
    after(id, experiment::create(asked.fleet, id, plan, asker))
}

pub(super) fn list(fleet: &Fleet, request: &ExperimentsListRequest) -> Result<ExperimentsList, ApiError> {
    let after = request
        .cursor
        .map(|id| Ok::<_, ApiError>((Reverse(known(fleet, id)?.created()), id)));
    let wanted = fleet.experiments().all().iter().filter(|(_, one)| match request.state {
        Some(state) => one.state() == state,
        None => one.state() != State::Archived,
    });
    let page = page::latest(
        wanted.map(|(id, one)| (*id, one)),
        Experiment::created,
        after.transpose()?,
        // Figures that are not final are made of all sessions: too much for each row of a list.
        |id, one| ExperimentRow::new(id, one, one.concluded().map(|ended| &ended.outcome)),
        api::page_rows(request.limit),
    );
    Ok(ExperimentsList {
        next_cursor: page.next(|row| row.id),
        experiments: page.rows,
    })
}

pub(super) fn get(fleet: &Fleet, request: &ExperimentRequest) -> Result<ExperimentAnswer, ApiError> {
    answer(fleet, request.id)
}

pub(super) fn start(asked: &Asked<'_>, request: &ExperimentRequest) -> Result<After, ApiError> {
    after(request.id, experiment::start(asked.fleet, request.id, asked.asker))
}

pub(super) fn tag(asked: &Asked<'_>, request: &ExperimentsTagRequest) -> Result<After, ApiError> {
    let session = lists::find(asked.fleet, &request.session, request.host.as_ref())?;
    let tagged = experiment::tag(asked.fleet, request.id, session, request.variant, asked.asker);
    after(request.id, tagged)
}

pub(super) fn conclude(asked: &Asked<'_>, request: ExperimentsConcludeRequest) -> Result<After, ApiError> {
    let note = request.note.filter(|note| !note.trim().is_empty()).map(Into::into);
    after(
        request.id,
        experiment::conclude(asked.fleet, request.id, note, asked.asker),
    )
}

pub(super) fn archive(asked: &Asked<'_>, request: &ExperimentRequest) -> Result<After, ApiError> {
    after(request.id, experiment::archive(asked.fleet, request.id, asked.asker))
}

/// The experiment as it is once this is folded: whose conclusion it has, a second one is told.
fn after(id: ExperimentId, decided: Result<Option<Draft>, Refusal>) -> Result<After, ApiError> {
    let draft = decided.map_err(|refusal| error(&refusal))?;
    let then: Then = Box::new(move |fleet, at| encode_at(at, answer(fleet, id)?));
    Ok(After::written(draft.into_iter().collect(), then))
}

fn answer(fleet: &Fleet, id: ExperimentId) -> Result<ExperimentAnswer, ApiError> {
    let known = known(fleet, id)?;
    let outcome = known.started().map(|_| outcome(fleet, known));
    let experiment = ExperimentRow::new(id, known, outcome.as_ref());
    Ok(ExperimentAnswer { experiment })
}

fn known(fleet: &Fleet, id: ExperimentId) -> Result<&Experiment, ApiError> {
    let known = fleet.experiments().get(id);
    known.ok_or_else(|| error(&Refusal::Unknown(id)))
}

fn error(refusal: &Refusal) -> ApiError {
    let kind = match refusal {
        Refusal::Unknown(_) => ErrorKind::NotFound,
        Refusal::Text { .. } | Refusal::Days | Refusal::Target | Refusal::Same => ErrorKind::BadRequest,
        Refusal::TooMany | Refusal::TooManySessions | Refusal::OtherRequest | Refusal::State { .. } => {
            ErrorKind::Conflict
        }
    };
    ApiError::new(kind, refusal.to_string())
}
