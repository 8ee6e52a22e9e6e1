//! Delegations: asked for, listed, shown, taken back.

use super::{After, Asked, Then, encode_at, lists, named_by, of_its_own, page, policy};
use crate::election::now;
use muster_domain::delegation::{self, Delegating, Delegation, Refusal, Wish};
use muster_domain::fleet::Fleet;
use muster_domain::ids::DelegationId;
use muster_wire::agent_call::delegation_line;
use muster_wire::api::{
    self, ApiError, Circuit, DelegateRequest, Delegated, DelegationAnswer, DelegationRequest, DelegationRow,
    DelegationsCancelRequest, DelegationsList, DelegationsListRequest, ErrorKind,
};
use serde_json::json;
use std::cmp::Reverse;

/// Bytes of a task: what a model may be told in one go, and far below a message's limit.
const TASK_BYTES_MAX: usize = 64 * 1024;

/// Characters of a task that stand for its description where rules look at one.
const DESCRIPTION_CHARS: usize = 80;

pub(super) fn delegate(asked: &Asked<'_>, request: DelegateRequest) -> Result<After, ApiError> {
    let bad = |text: String| ApiError::new(ErrorKind::BadRequest, text);
    let tier = request
        .tier
        .as_deref()
        .map_or_else(|| Ok(delegation::Tier::default()), str::parse);
    let tier = tier.map_err(|error: delegation::UnknownTier| bad(error.to_string()))?;
    if request.task.trim().is_empty() || request.task.len() > TASK_BYTES_MAX {
        return Err(bad(format!(
            "a task has some words, and {TASK_BYTES_MAX} bytes at most"
        )));
    }
    let session = lists::find(asked.fleet, &request.session_id, request.host.as_ref())?;
    // As the call will be: its description is a few words, and judging a task twice would cost twice.
    let description: String = request.task.chars().take(DESCRIPTION_CHARS).collect();
    let call = json!({"subagent_type": request.agent, "prompt": request.task, "description": description});
    let forbidden = policy::forbids(asked, &session, "Agent", call)?;
    let wish = Wish {
        id: id(&asked.asker.caller, &asked.asker.request),
        session,
        agent: request.agent,
        task: request.task,
        tier,
        parent: request.parent_delegation,
        forbidden,
    };
    let id = wish.id;
    of_its_own(asked, &wish.session.host)?;
    match delegation::delegate(asked.fleet, asked.overlay, asked.asker, &wish, now()) {
        Ok(delegating) => Ok(after(
            delegating,
            Box::new(move |fleet, at| encode_at(at, begun(fleet, id)?)),
        )),
        Err((refusal, None)) => Err(error(&refusal)),
        Err((refusal, Some(shown))) => {
            let then: Then = Box::new(move |_, _| Err(error(&refusal)));
            Ok(After::written(vec![*shown], then))
        }
    }
}

/// The same request of the same caller is the same delegation.
fn id(caller: &str, request: &str) -> DelegationId {
    let bytes = named_by(caller, request);
    DelegationId::from_uuid(uuid::Builder::from_custom_bytes(bytes).into_uuid())
}

fn begun(fleet: &Fleet, id: DelegationId) -> Result<Delegated, ApiError> {
    let delegation = row(fleet, id)?;
    let prompt_line = delegation_line(id);
    let circuit = Circuit::of(fleet.circuits(), &delegation.agent, &fleet.settings().circuits);
    Ok(Delegated {
        delegation_id: id,
        agent: delegation.agent.clone(),
        tier: delegation.tier,
        circuit: circuit.breaker.state,
        instructions: format!(
            "Call the agent `{}` now, with this as the first line of its prompt: {prompt_line}",
            delegation.agent
        ),
        prompt_line,
        delegation,
    })
}

pub(super) fn list(fleet: &Fleet, request: &DelegationsListRequest) -> Result<DelegationsList, ApiError> {
    let after = request.cursor.map(|id| Ok((Reverse(known(fleet, id)?.queued), id)));
    let all = fleet.delegations().all().iter();
    let wanted = all
        .filter(|(_, one)| request.admits(&one.session, one.status.is_open()))
        .map(|(id, one)| (*id, one));
    let page = page::latest(
        wanted,
        |one| one.queued,
        after.transpose()?,
        DelegationRow::new,
        api::page_rows(request.limit),
    );
    Ok(DelegationsList {
        next_cursor: page.next(|row| row.id),
        delegations: page.rows,
    })
}

pub(super) fn get(fleet: &Fleet, request: &DelegationRequest) -> Result<DelegationAnswer, ApiError> {
    row(fleet, request.id).map(|delegation| DelegationAnswer { delegation })
}

pub(super) fn cancel(asked: &Asked<'_>, request: DelegationsCancelRequest) -> Result<After, ApiError> {
    let id = request.id;
    let reason = request.reason.filter(|reason| !reason.trim().is_empty());
    let delegating = delegation::cancel(asked.fleet, asked.overlay, asked.asker, id, reason);
    let delegating = delegating.map_err(|refusal| error(&refusal))?;
    let then: Then = Box::new(move |fleet, at| {
        let delegation = row(fleet, id)?;
        encode_at(at, DelegationAnswer { delegation })
    });
    Ok(after(delegating, then))
}

fn after(delegating: Delegating, then: Then) -> After {
    match delegating {
        Delegating::Write(drafts) => After::written(drafts, then),
        Delegating::Soon(event) => After::folded(event, then),
        Delegating::Settled => After::nothing(then),
    }
}

fn row(fleet: &Fleet, id: DelegationId) -> Result<DelegationRow, ApiError> {
    known(fleet, id).map(|delegation| DelegationRow::new(id, delegation))
}

fn known(fleet: &Fleet, id: DelegationId) -> Result<&Delegation, ApiError> {
    let known = fleet.delegations().get(id);
    known.ok_or_else(|| error(&Refusal::Unknown(id)))
}

fn error(refusal: &Refusal) -> ApiError {
    let kind = match refusal {
        Refusal::NoSession(_) | Refusal::Unknown(_) => ErrorKind::NotFound,
        Refusal::Open(_) | Refusal::HalfOpen(..) | Refusal::TooDeep { .. } | Refusal::Held(_) | Refusal::Spent(_) => {
            ErrorKind::Conflict
        }
        Refusal::Changing(_) => ErrorKind::Unavailable,
        Refusal::NotYours | Refusal::Forbidden(_) => ErrorKind::Forbidden,
    };
    ApiError::new(kind, refusal.to_string())
}
