//! Context checks, checkpoints and closeouts, of sessions and of leased work.

use super::leases::{bad, ground};
use super::{After, Asked, Then, encode_classed, lists};
use muster_domain::checkpoint::{self, Extent, Reported};
use muster_domain::context::{self, Told};
use muster_domain::digest;
use muster_domain::lease::LeaseKey;
use muster_domain::matter::{Matter, Writing};
use muster_domain::names::{HostName, Profile, SessionId, Workspace};
use muster_wire::api::{
    ApiError, CheckpointAnswer, CheckpointRequest, ContextCheckRequest, ContextChecked, RetryClass,
};

/// Longest word of a caller on what only they see, in characters.
const TOLD_CHARS_MAX: usize = 500;

pub(super) fn check(asked: &Asked<'_>, request: ContextCheckRequest) -> Result<After, ApiError> {
    let digest = digest::of(&request);
    let matter = matter(
        asked,
        (request.session.as_ref(), request.host.as_ref()),
        (request.workspace, request.profile),
    )?;
    let told = Told {
        trigger: request.trigger,
        checkout_advisory: words(request.checkout_advisory, "checkout_advisory")?,
        behavioural_drift: words(request.behavioural_drift, "behavioural_drift")?,
        boundary: request.boundary,
        review_required: request.review_required,
        known_fingerprint: request.source_fingerprint.map(Into::into),
    };
    let ground = ground(asked, digest);
    let mut measures = context::measured(&ground, &matter);
    measures.symptoms = u32::try_from(request.symptoms.len()).unwrap_or(u32::MAX);
    measures.no_progress = request.no_progress;
    let checked = context::check(&ground, &matter, &measures, &told);
    let answer = ContextChecked {
        matter,
        throttled: checked.throttled,
        evaluation: checked.evaluation,
    };
    let class = RetryClass::of("evaluate_context_refresh");
    let then: Then = Box::new(move |_, at| encode_classed(at, class, answer));
    Ok(after(checked.writing, then))
}

pub(super) fn evaluate(asked: &Asked<'_>, extent: Extent, request: CheckpointRequest) -> Result<After, ApiError> {
    let digest = digest::of(&request);
    let matter = matter(
        asked,
        (request.session.as_ref(), request.host.as_ref()),
        (request.workspace, request.profile),
    )?;
    let reported = Reported {
        git: request.git,
        memory_candidates: request.memory_candidates,
        memory_changed: request.memory_changed,
    };
    let (evaluation, writing) = checkpoint::evaluate(&ground(asked, digest), &matter, extent, &reported);
    let answer = CheckpointAnswer { matter, evaluation };
    let class = RetryClass::of(extent.operation());
    let then: Then = Box::new(move |_, at| encode_classed(at, class, answer));
    Ok(after(writing, then))
}

fn after(writing: Writing, then: Then) -> After {
    match writing {
        Writing::Now(draft) => After::written(vec![*draft], then),
        Writing::Soon(event) => After::folded(event, then),
        Writing::Not => After::nothing(then),
    }
}

/// What is evaluated: a session that is known, a workspace whether or not anybody holds it, or both.
fn matter(
    asked: &Asked<'_>,
    (session, host): (Option<&SessionId>, Option<&HostName>),
    (workspace, profile): (Option<Workspace>, Option<Profile>),
) -> Result<Matter, ApiError> {
    let session = session.map(|id| lists::find(asked.fleet, id, host)).transpose()?;
    let work = workspace.map(|workspace| LeaseKey { profile, workspace });
    if session.is_none() && work.is_none() {
        return Err(bad("name a `session`, or the `workspace` it works on"));
    }
    Ok(Matter { session, work })
}

fn words(text: Option<String>, member: &str) -> Result<Option<Box<str>>, ApiError> {
    let said = text.filter(|text| !text.trim().is_empty());
    if said.as_ref().is_some_and(|text| text.chars().count() > TOLD_CHARS_MAX) {
        return Err(bad(&format!("`{member}` has at most {TOLD_CHARS_MAX} characters")));
    }
    Ok(said.map(Into::into))
}
