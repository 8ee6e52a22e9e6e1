//! Work on workspaces: CCD's session lifecycle, for all hosts.

use super::{After, Asked, Then, encode_classed, page};
use muster_domain::conclusion::Conclusion;
use muster_domain::digest;
use muster_domain::fleet::Fleet;
use muster_domain::host::HostState;
use muster_domain::lease::{
    self, Continuity, Decided, Ground, Heartbeat, LeaseKey, OwnerKind, Place, Protected, Start, Takeover, WriteOutcome,
};
use muster_domain::names::{HostName, SessionId};
use muster_wire::api::{
    ApiError, ErrorKind, LeaseAnswer, LeaseCursor, LeaseRow, LeaseStatus, LeaseTarget, LeasesList, LeasesListRequest,
    RetryClass, SessionsClearRequest, SessionsHeartbeatRequest, SessionsStartRequest, SessionsTakeoverRequest, Written,
    page_rows,
};
use muster_wire::data::continuity::ContinuityData;
use muster_wire::data::lease::LeaseData;
use serde::Serialize;
use std::time::Duration;
use uuid::Uuid;

pub(super) fn list(asked: &Asked<'_>, request: &LeasesListRequest) -> LeasesList {
    let fleet = asked.fleet;
    let lost = |host: &Option<HostName>| {
        let host = host.as_ref().and_then(|name| fleet.hosts().get(name));
        host.is_some_and(|host| host.state() == HostState::Lost)
    };
    let after = request.cursor.as_ref().map(LeaseCursor::key);
    let wanted = fleet
        .leases()
        .held_after(after)
        .filter(|(key, ..)| request.workspace.as_ref().is_none_or(|wanted| *wanted == key.workspace));
    let rows = wanted.map(|(key, lease, revision)| LeaseRow {
        workspace: key.workspace.clone(),
        profile: key.profile.clone(),
        revision,
        stale: lease.is_stale(asked.now, lost(&lease.host)),
        session: lease.into(),
    });
    let page = page::of(rows, page_rows(request.limit));
    let key = |row: &LeaseRow| LeaseKey {
        profile: row.profile.clone(),
        workspace: row.workspace.clone(),
    };
    LeasesList {
        next_cursor: page.next(|row| LeaseCursor::after(key(row))),
        leases: page.rows,
    }
}

pub(super) fn start(asked: &Asked<'_>, request: SessionsStartRequest) -> Result<After, ApiError> {
    let digest = digest::of(&request);
    let target = &request.target;
    let owner_kind = request.owner_kind.unwrap_or(if target.actor_id.is_some() {
        OwnerKind::RuntimeWorker
    } else {
        OwnerKind::Interactive
    });
    let autonomous = owner_kind.is_autonomous();
    if autonomous && target.actor_id.is_none() {
        return Err(bad("a program says who it is: `actor_id`"));
    }
    if autonomous && request.lease_seconds.unwrap_or_default() < 1 && !request.recover_stale {
        return Err(bad(
            "a program says how long a heartbeat keeps its lease: `lease_seconds`, at least 1",
        ));
    }
    if request
        .lease_seconds
        .is_some_and(|seconds| seconds > lease::TTL_MAX.as_secs())
    {
        return Err(bad("a heartbeat keeps a lease for 604800 seconds at most (seven days)"));
    }
    let start = Start {
        protected: protected(target),
        mode: request.mode,
        owner_kind,
        supervisor: request.supervisor_id.as_deref().map(Into::into),
        ttl: request.lease_seconds.filter(|_| autonomous).map(Duration::from_secs),
        recover_stale: request.recover_stale,
        host: host(asked, target),
    };
    let (ground, key) = (ground(asked, digest), key(target));
    lease::room(&ground, &key).map_err(|full| ApiError::new(ErrorKind::Unavailable, full.to_string()))?;
    let decided = lease::start(&ground, &key, &start, minted());
    Ok(answer(target, decided, "start_session"))
}

pub(super) fn heartbeat(asked: &Asked<'_>, request: SessionsHeartbeatRequest) -> Result<After, ApiError> {
    let digest = digest::of(&request);
    if request
        .activity
        .as_deref()
        .is_some_and(|text| text.chars().count() > lease::ACTIVITY_CHARS_MAX)
    {
        return Err(bad("`activity` has at most 280 characters"));
    }
    let heartbeat = Heartbeat {
        protected: protected(&request.target),
        activity: request.activity.as_deref().map(Into::into),
        host: host(asked, &request.target),
    };
    let decided = lease::heartbeat(&ground(asked, digest), &key(&request.target), &heartbeat);
    Ok(answer(&request.target, decided, "heartbeat_session"))
}

pub(super) fn clear(asked: &Asked<'_>, request: SessionsClearRequest) -> Result<After, ApiError> {
    let digest = digest::of(&request);
    let target = &request.target;
    let reason = request.reason.as_deref().map(Into::into);
    let decided = lease::clear(&ground(asked, digest), &key(target), &protected(target), reason);
    Ok(answer(target, decided, "clear_session"))
}

pub(super) fn takeover(asked: &Asked<'_>, request: SessionsTakeoverRequest) -> Result<After, ApiError> {
    let digest = digest::of(&request);
    if request.reason.trim().is_empty() {
        return Err(bad("a takeover says why: `reason`"));
    }
    if request.target.actor_id.is_none() {
        return Err(bad("a takeover says who takes: `actor_id`"));
    }
    let takeover = Takeover {
        protected: protected(&request.target),
        reason: request.reason.trim().into(),
        host: host(asked, &request.target),
    };
    let decided = lease::takeover(&ground(asked, digest), &key(&request.target), &takeover, minted());
    Ok(answer(&request.target, decided, "takeover_session"))
}

pub(super) fn bad(text: &str) -> ApiError {
    ApiError::new(ErrorKind::BadRequest, text)
}

pub(super) fn key(target: &LeaseTarget) -> LeaseKey {
    LeaseKey {
        profile: target.profile.clone(),
        workspace: target.workspace.clone(),
    }
}

pub(super) fn protected(target: &LeaseTarget) -> Protected {
    Protected {
        actor: target.actor_id.as_deref().map(Into::into),
        session: target.session_id.clone(),
        expected_revision: target.expected_revision,
    }
}

/// A host that asks holds it from there, whatever it says.
fn host(asked: &Asked<'_>, target: &LeaseTarget) -> Option<HostName> {
    let caller = HostName::new(&asked.asker.caller).ok();
    let caller = caller.filter(|name| asked.fleet.hosts().contains_key(name));
    caller.or_else(|| target.host.clone())
}

fn minted() -> SessionId {
    let name = format!("ses_{}", Uuid::now_v7().simple());
    SessionId::new(&name).expect("invariant: letters and digits are a session id")
}

pub(super) fn ground<'a>(asked: &'a Asked<'a>, digest: u64) -> Ground<'a> {
    Ground {
        fleet: asked.fleet,
        overlay: asked.overlay,
        now: asked.now,
        asker: asked.asker,
        digest,
    }
}

fn answer(target: &LeaseTarget, decided: Decided, operation: &'static str) -> After {
    let key = key(target);
    let Decided { outcome, draft, note } = decided;
    // Whoever begins is told what the work before left; whoever keeps or ends it knows.
    let begins = outcome.is_done() && matches!(operation, "start_session" | "takeover_session");
    let mut prior = None;
    if let Some(Conclusion::Lease(fact)) = draft.as_deref().map(|draft| &draft.conclusion) {
        prior.clone_from(&fact.prior);
    }
    let then: Then = Box::new(move |fleet: &Fleet, at| {
        let place = fleet.leases().get(&key);
        let answer = LeaseAnswer {
            status: status_of(outcome),
            outcome,
            message: note.map(str::to_owned),
            workspace: key.workspace,
            profile: key.profile,
            revision: place.map_or(0, |place| place.revision),
            session: place.and_then(|place| place.lease.as_ref()).map(LeaseData::from),
            prior_session_id: prior.as_ref().map(|prior| prior.session.clone()),
            prior_actor_id: prior
                .as_ref()
                .and_then(|prior| Some(prior.actor.as_deref()?.to_owned())),
            continuity: place.filter(|_| begins).and_then(left),
        };
        encode_classed(at, RetryClass::of(operation), answer)
    });
    After::written(draft.map(|draft| *draft).into_iter().collect(), then)
}

/// Writes what belongs to the work, and answers with what there is then.
pub(super) fn written<R: Serialize>(
    decided: Decided,
    operation: &'static str,
    row: impl FnOnce(&Fleet) -> R + Send + Sync + 'static,
) -> After {
    let Decided { outcome, draft, note } = decided;
    let then: Then = Box::new(move |fleet: &Fleet, at| {
        let answer = Written {
            status: status_of(outcome),
            outcome,
            message: note.map(str::to_owned),
            row: row(fleet),
        };
        encode_classed(at, RetryClass::of(operation), answer)
    });
    After::written(draft.map(|draft| *draft).into_iter().collect(), then)
}

fn left(place: &Place) -> Option<ContinuityData> {
    let left = &place.continuity;
    (*left != Continuity::default()).then(|| left.clone().into())
}

/// Whether it went well.
pub(super) const fn status_of(outcome: WriteOutcome) -> LeaseStatus {
    match outcome {
        WriteOutcome::Applied | WriteOutcome::IdempotentNoop => LeaseStatus::Ok,
        WriteOutcome::StaleSession => LeaseStatus::Stale,
        WriteOutcome::OwnershipConflict | WriteOutcome::UnsupportedMultiwriter | WriteOutcome::DuplicateIdConflict => {
            LeaseStatus::Failed
        }
    }
}
