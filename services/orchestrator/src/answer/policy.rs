//! Policy: shown, put in force, and asked what it comes to.

mod check;

pub(super) use check::{check, forbids, stands_in_the_way};

use super::{After, Asked, Then, encode_at};
use muster_domain::fleet::Fleet;
use muster_domain::policy::{self, Activated, Expected, Proposal};
use muster_policy::{Policies, PolicyError, Source, fingerprint};
use muster_wire::api::{
    ActivationOutcome, ApiError, ErrorKind, PolicyActivateRequest, PolicyActivatedAnswer, PolicyRow, PolicyShowRequest,
    PolicyShown, PolicyText,
};
use std::sync::{Arc, Mutex, PoisonError};

/// Longest name of a set of rules, in bytes: one line of a table.
const NAME_BYTES_MAX: usize = 128;

/// The rules in force, read once.
#[derive(Default)]
pub(crate) struct InForce(Mutex<Option<(u64, Arc<Policies>)>>);

impl InForce {
    /// The rules in force; `None` where there never were any.
    fn read(&self, fleet: &Fleet) -> Option<Result<Arc<Policies>, PolicyError>> {
        let active = fleet.policy().active()?;
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((seq, policies)) = &*known
            && *seq == active.seq
        {
            return Some(Ok(Arc::clone(policies)));
        }
        let source = |source: &policy::Source| Source {
            name: source.name.to_string(),
            text: source.text.to_string(),
        };
        let sources: Vec<Source> = active.activation.sources.iter().map(source).collect();
        Some(Policies::parse(&sources).map(|policies| {
            let policies = Arc::new(policies);
            *known = Some((active.seq, Arc::clone(&policies)));
            policies
        }))
    }
}

pub(super) fn show(fleet: &Fleet, _request: PolicyShowRequest) -> PolicyShown {
    let active = fleet.policy().active();
    let texts = active.map_or(&[][..], |active| &active.activation.sources);
    PolicyShown {
        active: active.map(PolicyRow::from),
        sources: texts.iter().map(PolicyText::from).collect(),
        history: fleet.policy().history().map(PolicyRow::from).collect(),
    }
}

/// Puts rules in force once they are found sound.
pub(super) fn activate(asked: &Asked<'_>, request: PolicyActivateRequest) -> Result<After, ApiError> {
    let bad = |text: String| ApiError::new(ErrorKind::BadRequest, text);
    if request.name.as_ref().is_some_and(|name| name.len() > NAME_BYTES_MAX) {
        return Err(bad(format!("`name` has more than {NAME_BYTES_MAX} bytes")));
    }
    let source = |text: &PolicyText| Source {
        name: text.name.clone(),
        text: text.text.clone(),
    };
    let sources: Vec<Source> = request.sources.iter().map(source).collect();
    let policies = Policies::parse(&sources).map_err(|error| bad(error.to_string()))?;
    let proposal = Proposal {
        name: request.name.filter(|name| !name.trim().is_empty()).map(Into::into),
        fingerprint: fingerprint(&sources).into(),
        sources: request.sources.into_iter().map(Into::into).collect(),
        expected: request.expected_fingerprint.map(|expected| {
            if expected.is_empty() {
                Expected::Nothing
            } else {
                Expected::Fingerprint(expected.into())
            }
        }),
    };
    let activated = policy::activate(asked.fleet, asked.overlay, asked.asker, proposal).map_err(|refusal| {
        let kind = match refusal {
            policy::Refusal::Moved { .. } => ErrorKind::Conflict,
            policy::Refusal::Own => ErrorKind::Forbidden,
        };
        ApiError::new(kind, refusal.to_string())
    })?;
    let (own, warnings) = (asked.asker.request.clone(), policies.warnings().to_vec());
    let then: Then = Box::new(move |fleet, at| {
        let policy = fleet.policy();
        let Some(active) = policy.active() else {
            return Err(ApiError::new(ErrorKind::Internal, "no rules are in force"));
        };
        let outcome = if active.activation.request == own {
            ActivationOutcome::Applied
        } else if policy.history().any(|past| past.request == own) {
            ActivationOutcome::Superseded
        } else {
            ActivationOutcome::Unchanged
        };
        let active = PolicyRow::from(active);
        encode_at(
            at,
            PolicyActivatedAnswer {
                outcome,
                active,
                warnings,
            },
        )
    });
    Ok(match activated {
        Activated::Now(draft) => After::written(vec![*draft], then),
        Activated::Soon(event) => After::folded(event, then),
        Activated::Before => After::nothing(then),
    })
}
