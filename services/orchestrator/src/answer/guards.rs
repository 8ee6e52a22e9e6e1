//! Escalations and execution gates of leased work.

use super::leases::{bad, ground, key, protected, written};
use super::{After, Asked};
use muster_domain::digest;
use muster_domain::fleet::Fleet;
use muster_domain::lease::{self, Change, ESCALATIONS_MAX, GATES_MAX, LeaseKey, Operation, WORDS_CHARS_MAX};
use muster_wire::api::{
    ApiError, EscalationsClearRequest, EscalationsSetRequest, GatesReplaceRequest, GatesRequest, GatesSeedRequest,
    GatesSetStatusRequest, GuardsListRequest, GuardsRow, LeaseTarget,
};
use muster_wire::data::lease::GuardsData;

pub(super) fn list(fleet: &Fleet, request: GuardsListRequest) -> GuardsRow {
    let key = LeaseKey {
        profile: request.profile,
        workspace: request.workspace,
    };
    row(fleet, key)
}

pub(super) fn set_escalation(asked: &Asked<'_>, request: EscalationsSetRequest) -> Result<After, ApiError> {
    let digest = digest::of(&request);
    let known = asked.fleet.leases().get(&key(&request.target));
    if known.is_some_and(|place| place.guards.escalations.len() >= ESCALATIONS_MAX) {
        return Err(bad("a workspace has at most 32 escalations; clear some first"));
    }
    // The request names it where nobody does, so that its repetition is the same one.
    let id = request.id.map_or_else(
        || format!("esc_{}", asked.asker.request).into_boxed_str(),
        String::into_boxed_str,
    );
    let change = Change::SetEscalation {
        id: words(&id, "id")?,
        kind: request.kind,
        reason: words(&request.reason, "reason")?,
    };
    Ok(write(asked, request.target, digest, &change, Operation::SetEscalation))
}

pub(super) fn clear_escalation(asked: &Asked<'_>, request: EscalationsClearRequest) -> After {
    let digest = digest::of(&request);
    let change = Change::ClearEscalation(request.id.map(Into::into));
    write(asked, request.target, digest, &change, Operation::ClearEscalation)
}

pub(super) fn replace_gates(asked: &Asked<'_>, request: GatesReplaceRequest) -> Result<After, ApiError> {
    let digest = digest::of(&request);
    let change = Change::ReplaceGates(gates(&request.gates)?);
    Ok(write(
        asked,
        request.target,
        digest,
        &change,
        Operation::ReplaceExecutionGates,
    ))
}

pub(super) fn seed_gates(asked: &Asked<'_>, request: GatesSeedRequest) -> Result<After, ApiError> {
    let digest = digest::of(&request);
    let change = Change::SeedGates(request.seeded_from, gates(&request.gates)?);
    Ok(write(
        asked,
        request.target,
        digest,
        &change,
        Operation::SeedExecutionGates,
    ))
}

pub(super) fn set_gate_status(asked: &Asked<'_>, request: GatesSetStatusRequest) -> After {
    let digest = digest::of(&request);
    let change = Change::SetGateStatus(request.index, request.status);
    write(
        asked,
        request.target,
        digest,
        &change,
        Operation::SetExecutionGateStatus,
    )
}

pub(super) fn advance_gates(asked: &Asked<'_>, request: GatesRequest) -> After {
    let digest = digest::of(&request);
    write(
        asked,
        request.target,
        digest,
        &Change::AdvanceGates,
        Operation::AdvanceExecutionGates,
    )
}

pub(super) fn clear_gates(asked: &Asked<'_>, request: GatesRequest) -> After {
    let digest = digest::of(&request);
    write(
        asked,
        request.target,
        digest,
        &Change::ClearGates,
        Operation::ClearExecutionGates,
    )
}

/// Words that somebody reads: some, and not too many.
fn words(text: &str, member: &str) -> Result<Box<str>, ApiError> {
    let text = text.trim();
    if text.is_empty() || text.chars().count() > WORDS_CHARS_MAX {
        return Err(bad(&format!("`{member}` has 1 to {WORDS_CHARS_MAX} characters")));
    }
    Ok(text.into())
}

fn gates(texts: &[String]) -> Result<Vec<Box<str>>, ApiError> {
    if texts.len() > GATES_MAX {
        return Err(bad("a workspace has at most 64 gates"));
    }
    texts.iter().map(|text| words(text, "gates")).collect()
}

fn write(asked: &Asked<'_>, target: LeaseTarget, digest: u64, change: &Change, operation: Operation) -> After {
    let key = key(&target);
    let decided = lease::change(&ground(asked, digest), &key, &protected(&target), change);
    written(decided, operation.as_str(), move |fleet| row(fleet, key))
}

fn row(fleet: &Fleet, key: LeaseKey) -> GuardsRow {
    let place = fleet.leases().get(&key).cloned().unwrap_or_default();
    GuardsRow {
        workspace: key.workspace,
        profile: key.profile,
        revision: place.revision,
        guards: GuardsData::from(&place.guards),
    }
}
