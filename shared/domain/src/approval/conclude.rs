//! What follows for approvals: that they are announced, and how they end without an answer.
//!
//! As everywhere, a conclusion is the difference between what is the case and what the log says, so it is drawn once
//! however often it is looked for.

use super::{Approval, ApprovalFact, ApprovalId, AskEnd, By, Kind, Outcome, Resolution, Scope, Stage};
use crate::conclusion::{Cause, Conclusion, Draft};
use crate::fact::{Fact, Recorded, TurnFact};
use crate::fleet::{Fleet, SessionKey};
use crate::overlay::Overlay;
use crate::time::Timestamp;

/// What an event means for the approvals of its session.
pub(crate) fn react(fleet: &Fleet, overlay: &Overlay, recorded: &Recorded, drafts: &mut Vec<Draft>) {
    let cause = Cause::Event(recorded.event.id);
    if let Fact::Turn(TurnFact::AskEnded { ask, .. }) = &recorded.event.fact {
        conclude(fleet, overlay, ApprovalId::of(*ask), &cause, drafts);
    }
    let (Some(host), Some(id)) = (&recorded.event.host, &recorded.event.session) else {
        return;
    };
    let key = SessionKey {
        host: host.clone(),
        id: id.clone(),
    };
    for id in fleet.approvals().open_of(&key) {
        conclude(fleet, overlay, id, &cause, drafts);
    }
}

/// For a new leader: everything that waits.
pub(crate) fn catch_up(fleet: &Fleet, overlay: &Overlay, drafts: &mut Vec<Draft>) {
    for id in fleet.approvals().open() {
        conclude(fleet, overlay, id, &Cause::Event(id.event()), drafts);
    }
}

pub(crate) fn due(fleet: &Fleet) -> Option<Timestamp> {
    fleet.approvals().agenda().next().map(|(at, _)| at)
}

pub(crate) fn expire(fleet: &Fleet, overlay: &Overlay, now: Timestamp, drafts: &mut Vec<Draft>) {
    let due = fleet.approvals().agenda().take_while(|(at, _)| *at <= now);
    for (_, id) in due {
        let Some(approval) = waiting(fleet, overlay, id) else {
            continue;
        };
        let cause = Cause::Silence { since: approval.at };
        if approval.deadline <= now {
            let resolution = Resolution {
                fallback: Some(approval.fallback),
                ..unasked(Outcome::Expired, By::Deadline, None)
            };
            drafts.push(resolved(id, approval, resolution, cause));
            continue;
        }
        let settings = &fleet.settings().approvals;
        let stage = if approval.at.after(settings.escalate) <= now {
            Stage::Escalated
        } else {
            Stage::Reminded
        };
        announce(fleet, overlay, id, approval, stage, cause, drafts);
    }
}

/// The approval, if it waits and nothing that ends it is on its way.
pub(super) fn waiting<'a>(fleet: &'a Fleet, overlay: &Overlay, id: ApprovalId) -> Option<&'a Approval> {
    let approval = fleet.approvals().get(id).filter(|approval| approval.is_open())?;
    overlay.resolving(id).is_none().then_some(approval)
}

fn conclude(fleet: &Fleet, overlay: &Overlay, id: ApprovalId, cause: &Cause, drafts: &mut Vec<Draft>) {
    let Some(approval) = waiting(fleet, overlay, id) else {
        return;
    };
    if approval.stage.is_none() {
        announce(fleet, overlay, id, approval, Stage::Asked, cause.clone(), drafts);
    }
    if let Some(resolution) = ended(fleet, approval) {
        drafts.push(resolved(id, approval, resolution, cause.clone()));
    }
}

fn announce(
    fleet: &Fleet,
    overlay: &Overlay,
    id: ApprovalId,
    approval: &Approval,
    stage: Stage,
    cause: Cause,
    drafts: &mut Vec<Draft>,
) {
    if approval.stage.max(overlay.announced(id)) >= Some(stage) {
        return;
    }
    let mut asked = approval.asked.clone();
    if asked.call.is_none() {
        let session = approval.session.as_ref().and_then(|key| fleet.session(key));
        asked.call = session.and_then(|session| session.call_asked_for(&asked));
    }
    let required = ApprovalFact::Required {
        id,
        stage,
        deadline: approval.deadline,
        fallback: approval.fallback,
        asked,
    };
    drafts.push(about(approval, Conclusion::Approval(required), cause));
}

/// How it ended, if anything that is known says so.
fn ended(fleet: &Fleet, approval: &Approval) -> Option<Resolution> {
    match &approval.ended {
        Some((AskEnd::Answered, reason)) => {
            return Some(unasked(Outcome::AnsweredElsewhere, By::Terminal, reason.as_deref()));
        }
        Some((AskEnd::Released, reason)) => {
            return Some(unasked(Outcome::Withdrawn, By::Host, reason.as_deref()));
        }
        None => {}
    }
    let session = fleet.session(approval.session.as_ref()?)?;
    if session.standing().state.is_over() {
        return Some(unasked(Outcome::Withdrawn, By::SessionOver, None));
    }
    // What a rule wants looked at was asked by a request, of which the agent's hooks tell nothing.
    (approval.asked.kind != Kind::PolicyCheck && !session.still_asks(&approval.asked, approval.at))
        .then(|| unasked(Outcome::AnsweredElsewhere, By::Terminal, Some("the agent went on")))
}

fn unasked(outcome: Outcome, by: By, reason: Option<&str>) -> Resolution {
    Resolution {
        outcome,
        by,
        reason: reason.map(Into::into),
        scope: Scope::Once,
        interrupt: false,
        updated_input: None,
        fallback: None,
        request: None,
    }
}

pub(super) fn resolved(id: ApprovalId, approval: &Approval, resolution: Resolution, cause: Cause) -> Draft {
    let resolution = Box::new(resolution);
    about(
        approval,
        Conclusion::Approval(ApprovalFact::Resolved { id, resolution }),
        cause,
    )
}

fn about(approval: &Approval, conclusion: Conclusion, cause: Cause) -> Draft {
    Draft {
        host: approval.session.as_ref().map(|key| key.host.clone()),
        session: approval.session.as_ref().map(|key| key.id.clone()),
        agent: approval.agent.clone(),
        profile: approval.profile.clone(),
        conclusion,
        cause,
    }
}
