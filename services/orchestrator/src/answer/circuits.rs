//! Circuits: shown, probed by hosts, and reset by operators.

use super::{After, Asked, Then, encode_at, page};
use crate::election::now;
use muster_domain::circuit::{self, Asking, Holder, Permit};
use muster_domain::fleet::{Fleet, SessionKey};
use muster_domain::names::{HostName, SubagentName};
use muster_wire::api::{
    ApiError, Circuit, CircuitsProbe, CircuitsProbeRequest, CircuitsReset, CircuitsResetRequest, CircuitsStatus,
    CircuitsStatusRequest, ErrorKind, ResetOutcome,
};

pub(super) fn status(fleet: &Fleet, request: &CircuitsStatusRequest) -> CircuitsStatus {
    match &request.agent {
        Some(agent) => CircuitsStatus::One(Box::new(row(fleet, agent))),
        None => {
            let all = fleet.circuits().all().keys();
            let page = page::of(all.map(|agent| row(fleet, agent)), usize::MAX);
            CircuitsStatus::All {
                more: page.more,
                breakers: page.rows,
            }
        }
    }
}

/// Whether a run may go ahead: the first who asks once the cooldown is over becomes the holder of the probe.
pub(super) fn probe(asked: &Asked<'_>, request: CircuitsProbeRequest) -> Result<After, ApiError> {
    let host = HostName::new(&asked.asker.caller)
        .map_err(|error| ApiError::new(ErrorKind::BadRequest, format!("only hosts ask for a probe: {error}")))?;
    let holder = Holder {
        session: SessionKey {
            host,
            id: request.session,
        },
        call: request.tool_use_id,
        delegation: request.delegation_id,
    };
    let agent = request.agent;
    let asking = circuit::ask(asked.fleet, asked.overlay, &agent, &holder, now());
    let then: Then = Box::new(move |fleet, at| {
        let settings = &fleet.settings().circuits;
        let permit = fleet.circuits().permit(&agent, &holder, settings, fleet.now());
        let granted = matches!(permit, Permit::Free | Permit::Granted { .. });
        let circuit = row(fleet, &agent);
        encode_at(at, CircuitsProbe { granted, circuit })
    });
    Ok(match asking {
        Asking::Write(draft) => After::written(vec![*draft], then),
        Asking::Soon(event) => After::folded(event, then),
        Asking::Settled => After::nothing(then),
    })
}

/// Forgives an agent what it failed at.
pub(super) fn reset(asked: &Asked<'_>, request: CircuitsResetRequest) -> Result<After, ApiError> {
    let agent = request.agent;
    let asking = circuit::reset(asked.fleet, asked.overlay, asked.asker, &agent).map_err(|refusal| {
        let circuit::Refusal::Own = refusal;
        ApiError::new(ErrorKind::Forbidden, refusal.to_string())
    })?;
    let own = asked.asker.request.clone();
    let then: Then = Box::new(move |fleet, at| {
        let reset = fleet.circuits().get(&agent).and_then(circuit::Circuit::reset_request);
        let outcome = if reset == Some(&*own) {
            ResetOutcome::Applied
        } else {
            ResetOutcome::Unchanged
        };
        let circuit = row(fleet, &agent);
        encode_at(at, CircuitsReset { outcome, circuit })
    });
    Ok(match asking {
        Asking::Write(draft) => After::written(vec![*draft], then),
        Asking::Soon(event) => After::folded(event, then),
        Asking::Settled => After::nothing(then),
    })
}

fn row(fleet: &Fleet, agent: &SubagentName) -> Circuit {
    Circuit::of(fleet.circuits(), agent, &fleet.settings().circuits)
}
