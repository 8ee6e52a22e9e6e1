//! What hosts are told to do for their sessions: asked for, listed, shown.

use super::{After, Asked, Then, encode_at, lists, named_by, page};
use muster_domain::effect::{self, Action, ActionKind, Asking, Effect, Refusal};
use muster_domain::fleet::{Fleet, SessionKey};
use muster_domain::ids::EffectId;
use muster_domain::memory;
use muster_domain::names::SessionId;
use muster_wire::api::{
    self, ApiError, EffectAnswer, EffectRequest, EffectRow, EffectsList, EffectsListRequest, ErrorKind,
    MemoryCompactRequest, MemoryCompacting, SessionsControlRequest, SessionsModelRequest, SessionsSpawnRequest,
    StagedOutcome, StagedWrite,
};
use std::cmp::Reverse;

/// Bytes of a prompt: what a model may be told in one go, and far below a message's limit.
const PROMPT_BYTES_MAX: usize = 64 * 1024;
/// Bytes of a name (a model, a template), and of what a compaction shall keep.
const NAME_BYTES_MAX: usize = 200;
const INSTRUCTIONS_BYTES_MAX: usize = 4096;

/// Interrupts, stops, or begins anew.
pub(super) fn control(asked: &Asked<'_>, request: &SessionsControlRequest, action: Action) -> Result<After, ApiError> {
    let target = lists::find(asked.fleet, &request.id, request.host.as_ref())?;
    ask(asked, &target, action)
}

pub(super) fn model(asked: &Asked<'_>, request: SessionsModelRequest) -> Result<After, ApiError> {
    let model = words("a model", request.model, NAME_BYTES_MAX)?;
    let target = lists::find(asked.fleet, &request.id, request.host.as_ref())?;
    ask(asked, &target, Action::Model { model })
}

pub(super) fn spawn(asked: &Asked<'_>, request: SessionsSpawnRequest) -> Result<After, ApiError> {
    let budget = request.budget_usd.map(|usd| (usd * 1e6).round());
    if budget.is_some_and(|micros| !(1.0..1e15).contains(&micros)) {
        return Err(bad("a budget is an amount of US dollars above nothing".to_owned()));
    }
    let model = request.model.map(|model| words("a model", model, NAME_BYTES_MAX));
    let action = Action::Spawn {
        template: words("a template", request.template, NAME_BYTES_MAX)?,
        prompt: words("a prompt", request.prompt, PROMPT_BYTES_MAX)?,
        model: model.transpose()?,
        // In range, as was checked.
        budget_usd_micros: budget.map(|micros| micros as u64),
    };
    let target = SessionKey {
        host: request.host,
        id: chosen(&asked.asker.caller, &asked.asker.request)?,
    };
    ask(asked, &target, action)
}

/// The id of the session that a request begins: a UUID, which all agents take. The same request begins the same one.
fn chosen(caller: &str, request: &str) -> Result<SessionId, ApiError> {
    let bytes = named_by(caller, request);
    let id = uuid::Builder::from_random_bytes(bytes).into_uuid();
    SessionId::new(&id.to_string()).map_err(|error| ApiError::new(ErrorKind::Internal, error.to_string()))
}

/// Asks for a compaction, unless one is asked for already or would find nothing.
pub(super) fn compact(asked: &Asked<'_>, request: MemoryCompactRequest) -> Result<After, ApiError> {
    let (fleet, asker) = (asked.fleet, asked.asker);
    let key = lists::find(fleet, &request.id, request.host.as_ref())?;
    let instructions = request
        .instructions
        .filter(|text| !text.trim().is_empty())
        .map(|text| words("what shall be kept", text, INSTRUCTIONS_BYTES_MAX))
        .transpose()?;
    let (caller, name) = (asker.caller.clone(), asker.request.clone());
    if fleet
        .effects()
        .asked_by(&caller, &name, &key, ActionKind::Compact)
        .is_none()
        && let Some(under_way) =
            memory::nothing_to_compact(fleet, asked.overlay, asker, &key).map_err(|no| error(&no))?
    {
        let then: Then = Box::new(move |fleet, at| {
            let row = |id| Some(EffectRow::new(id, fleet.effects().get(id)?));
            let effect = under_way.effect.and_then(row);
            encode_at(at, compacting(fleet, &key, StagedOutcome::IdempotentNoop, effect))
        });
        return Ok(match under_way.event {
            Some(event) => After::folded(event, then),
            None => After::nothing(then),
        });
    }
    let action = Action::Compact { instructions };
    let asking = effect::request(fleet, asked.overlay, asker, &key, action, asked.now).map_err(|no| error(&no))?;
    let then: Then = Box::new(move |fleet, at| {
        let effect = found(fleet, &caller, &name, &key, ActionKind::Compact)?;
        encode_at(at, compacting(fleet, &key, StagedOutcome::Applied, Some(effect)))
    });
    Ok(after(asking, then))
}

fn compacting(fleet: &Fleet, key: &SessionKey, outcome: StagedOutcome, effect: Option<EffectRow>) -> MemoryCompacting {
    let session = fleet.session(key);
    MemoryCompacting {
        staged_write: StagedWrite { outcome },
        effect,
        compaction: session.and_then(|session| session.compaction()).map(Into::into),
    }
}

fn ask(asked: &Asked<'_>, target: &SessionKey, action: Action) -> Result<After, ApiError> {
    let (asker, kind) = (asked.asker, action.kind());
    let asking =
        effect::request(asked.fleet, asked.overlay, asker, target, action, asked.now).map_err(|no| error(&no))?;
    let (caller, name, target) = (asker.caller.clone(), asker.request.clone(), target.clone());
    let then: Then = Box::new(move |fleet, at| {
        let effect = found(fleet, &caller, &name, &target, kind)?;
        encode_at(at, EffectAnswer { effect })
    });
    Ok(after(asking, then))
}

fn after(asking: Asking, then: Then) -> After {
    match asking {
        Asking::Write(draft) => After::written(vec![*draft], then),
        Asking::Soon(event) => After::folded(event, then),
        Asking::Before(_) => After::nothing(then),
    }
}

fn found(
    fleet: &Fleet,
    caller: &str,
    request: &str,
    target: &SessionKey,
    kind: ActionKind,
) -> Result<EffectRow, ApiError> {
    let effect = fleet.effects().asked_by(caller, request, target, kind);
    let (id, effect) = effect.ok_or_else(|| ApiError::new(ErrorKind::Internal, "the effect is not in the state"))?;
    Ok(EffectRow::new(id, effect))
}

pub(super) fn list(fleet: &Fleet, request: &EffectsListRequest) -> Result<EffectsList, ApiError> {
    let after = request.cursor.map(|id| Ok((Reverse(known(fleet, id)?.asked), id)));
    let all = fleet.effects().all().iter();
    let wanted = all
        .filter(|(_, one)| request.admits(&one.target, one.status().is_open()))
        .map(|(id, one)| (*id, one));
    let page = page::latest(
        wanted,
        |one| one.asked,
        after.transpose()?,
        EffectRow::new,
        api::page_rows(request.limit),
    );
    Ok(EffectsList {
        next_cursor: page.next(|row| row.id),
        effects: page.rows,
    })
}

pub(super) fn get(fleet: &Fleet, request: &EffectRequest) -> Result<EffectAnswer, ApiError> {
    Ok(EffectAnswer {
        effect: EffectRow::new(request.id, known(fleet, request.id)?),
    })
}

fn known(fleet: &Fleet, id: EffectId) -> Result<&Effect, ApiError> {
    let known = fleet.effects().get(id);
    known.ok_or_else(|| ApiError::new(ErrorKind::NotFound, format!("no such effect: {id}")))
}

fn words(what: &str, text: String, bytes_max: usize) -> Result<Box<str>, ApiError> {
    if text.trim().is_empty() || text.len() > bytes_max {
        return Err(bad(format!("{what} has some words, and {bytes_max} bytes at most")));
    }
    Ok(text.into())
}

fn bad(text: String) -> ApiError {
    ApiError::new(ErrorKind::BadRequest, text)
}

pub(super) fn error(refusal: &Refusal) -> ApiError {
    let kind = match refusal {
        Refusal::NoSession(_) | Refusal::NoHost(_) => ErrorKind::NotFound,
        Refusal::HostAway { .. } | Refusal::Over(_) | Refusal::NoCarrier(_) => ErrorKind::Conflict,
        Refusal::Cannot { .. } | Refusal::Held(_) => ErrorKind::Conflict,
        Refusal::TooMany(_) => ErrorKind::Unavailable,
        Refusal::NotYours => ErrorKind::Forbidden,
    };
    ApiError::new(kind, refusal.to_string())
}
