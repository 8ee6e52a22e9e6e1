//! Handoffs and recoveries of leased work.

use super::leases::{bad, ground, key, protected, written};
use super::{After, Asked};
use muster_domain::digest;
use muster_domain::fleet::Fleet;
use muster_domain::lease::{
    self, Buffer, ENTRIES_MAX, Handoff, LeaseKey, Leave, Operation, Pulse, Recovery, TEXT_BYTES_MAX,
};
use muster_wire::api::{
    ApiError, HandoffRow, HandoffsGetRequest, HandoffsWriteRequest, LeaseTarget, RecoveriesWriteRequest,
};

pub(super) fn get(fleet: &Fleet, request: HandoffsGetRequest) -> HandoffRow {
    let key = LeaseKey {
        profile: request.profile,
        workspace: request.workspace,
    };
    row(fleet, key)
}

pub(super) fn write_handoff(asked: &Asked<'_>, request: HandoffsWriteRequest) -> Result<After, ApiError> {
    let digest = digest::of(&request);
    let Handoff {
        title,
        immediate_actions,
        completed_state,
        operational_guardrails,
        key_files,
        definition_of_done,
    } = &request.handoff;
    if title.trim().is_empty() {
        return Err(bad("a handoff has a `title`"));
    }
    let lists = [
        immediate_actions,
        completed_state,
        operational_guardrails,
        key_files,
        definition_of_done,
    ];
    bounded("handoff", title, &lists)?;
    let what = Leave::Handoff(request.handoff);
    Ok(write(asked, request.target, digest, &what, Operation::WriteHandoff))
}

pub(super) fn write_recovery(asked: &Asked<'_>, request: RecoveriesWriteRequest) -> Result<After, ApiError> {
    let digest = digest::of(&request);
    let Recovery {
        checkpoint: Pulse {
            summary,
            immediate_actions,
            key_files,
        },
        working_buffer: Buffer { summary_lines },
        ..
    } = &request.recovery;
    if summary.trim().is_empty() && summary_lines.is_empty() {
        return Err(bad(
            "a recovery says something: `checkpoint.summary`, or `working_buffer.summary_lines`",
        ));
    }
    bounded("recovery", summary, &[immediate_actions, key_files, summary_lines])?;
    let what = Leave::Recovery(request.recovery);
    Ok(write(asked, request.target, digest, &what, Operation::WriteRecovery))
}

/// What is kept for long, and told to whoever begins, is short.
fn bounded(what: &str, text: &str, lists: &[&Vec<Box<str>>]) -> Result<(), ApiError> {
    let bytes: usize = lists.iter().flat_map(|list| list.iter()).map(|entry| entry.len()).sum();
    if lists.iter().any(|list| list.len() > ENTRIES_MAX) || text.len() + bytes > TEXT_BYTES_MAX {
        return Err(bad(&format!(
            "a {what} has at most {TEXT_BYTES_MAX} bytes of text, and {ENTRIES_MAX} entries in a list"
        )));
    }
    Ok(())
}

fn write(asked: &Asked<'_>, target: LeaseTarget, digest: u64, what: &Leave, operation: Operation) -> After {
    let key = key(&target);
    let decided = lease::leave(&ground(asked, digest), &key, &protected(&target), what);
    written(decided, operation.as_str(), move |fleet| row(fleet, key))
}

fn row(fleet: &Fleet, key: LeaseKey) -> HandoffRow {
    let place = fleet.leases().get(&key).cloned().unwrap_or_default();
    HandoffRow {
        workspace: key.workspace,
        profile: key.profile,
        revision: place.revision,
        left: place.continuity.into(),
    }
}
