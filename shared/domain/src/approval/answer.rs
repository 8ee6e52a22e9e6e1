//! Answers: the first one counts, every other is told whose it was.

use super::conclude::{resolved, waiting};
use super::{ApprovalId, By, Kind, Outcome, Resolution, Scope};
use crate::asker::Asker;
use crate::conclusion::{Cause, Draft};
use crate::fleet::Fleet;
use crate::ids::EventId;
use crate::overlay::Overlay;

/// Yes or no.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Yes.
    Approve,
    /// No.
    Deny,
}

/// Somebody's answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// To which.
    pub id: ApprovalId,
    /// Yes or no.
    pub verdict: Verdict,
    /// In their words.
    pub reason: Option<String>,
    /// For how long.
    pub scope: Scope,
    /// Whether a denied agent shall stop.
    pub interrupt: bool,
    /// The input that the tool shall run with instead, as JSON.
    pub updated_input: Option<String>,
}

/// What became of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resolved {
    /// It is the first.
    Now(Box<Draft>),
    /// Another one is being written: that event says whose.
    Soon(EventId),
    /// Another one was first, or this very request before.
    Before,
}

/// Why an answer is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No such approval, or one that ended long ago.
    #[error("no such approval: {0}")]
    Unknown(ApprovalId),
    /// The one who asks may not be the one who answers.
    #[error("a session cannot answer what it asked itself")]
    Own,
    /// An approval of a question brings what was answered.
    #[error("a question is approved with its answers: give `answers` or `updated_input`")]
    Unanswered,
}

/// Takes somebody's answer.
///
/// # Errors
/// [`Refusal`] says why it is not taken.
pub fn resolve(fleet: &Fleet, overlay: &Overlay, asker: &Asker, answer: &Answer) -> Result<Resolved, Refusal> {
    let id = answer.id;
    let approval = fleet.approvals().get(id).ok_or(Refusal::Unknown(id))?;
    let own = approval.session.as_ref().map(|key| &key.id);
    if own.is_some() && own == asker.session.as_ref() {
        return Err(Refusal::Own);
    }
    if !approval.is_open() {
        return Ok(Resolved::Before);
    }
    if let Some(event) = overlay.resolving(id) {
        return Ok(Resolved::Soon(event));
    }
    let approve = answer.verdict == Verdict::Approve;
    if approve && approval.asked.kind == Kind::Question && asks_words(&approval.asked) && answer.updated_input.is_none()
    {
        return Err(Refusal::Unanswered);
    }
    let Some(approval) = waiting(fleet, overlay, id) else {
        return Ok(Resolved::Before);
    };
    let resolution = Resolution {
        outcome: if approve { Outcome::Approved } else { Outcome::Denied },
        by: By::Operator(asker.caller.clone()),
        reason: answer.reason.as_deref().map(Into::into),
        scope: answer.scope,
        interrupt: answer.interrupt && !approve,
        updated_input: answer.updated_input.as_deref().filter(|_| approve).map(Into::into),
        fallback: None,
        request: Some(asker.request.clone()),
    };
    let cause = Cause::Request(asker.request.clone());
    Ok(Resolved::Now(Box::new(resolved(id, approval, resolution, cause))))
}

/// A plan is approved as it is; a question is not.
fn asks_words(asked: &super::Asked) -> bool {
    !matches!(asked.tool.as_str(), "ExitPlanMode" | "exit_plan_mode")
}
