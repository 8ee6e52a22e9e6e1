//! A check that somebody has to approve becomes an approval like any other.

use crate::approval::{ApprovalFact, ApprovalId, Asked, Kind, Stage};
use crate::asker::Asker;
use crate::conclusion::{Cause, Conclusion, Draft};
use crate::fleet::{Fleet, SessionKey};
use crate::ids::EventId;
use crate::overlay::Overlay;
use crate::time::Timestamp;

/// What became of a question to people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asking {
    /// It is to be written.
    Now(Box<Draft>),
    /// The same request is being written.
    Soon(EventId),
    /// The same request asked before.
    Before,
}

/// The id is one that another request's approval has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the request id names an approval already that is about something else; use another one")]
pub struct Taken;

/// Asks people whether an action may happen. The same request, by its id, asks once.
///
/// # Errors
/// [`Taken`].
pub fn ask(
    fleet: &Fleet,
    overlay: &Overlay,
    asker: &Asker,
    id: ApprovalId,
    session: Option<&SessionKey>,
    asked: Asked,
    deadline: Timestamp,
) -> Result<Asking, Taken> {
    if let Some(known) = fleet.approvals().get(id) {
        let same = known.asked.kind == Kind::PolicyCheck
            && known.session.as_ref() == session
            && known.asked.tool == asked.tool
            && known.asked.digest == asked.digest;
        return if same { Ok(Asking::Before) } else { Err(Taken) };
    }
    if let Some(event) = overlay.requiring(id) {
        return Ok(Asking::Soon(event));
    }
    let of = session.and_then(|key| fleet.session(key));
    Ok(Asking::Now(Box::new(Draft {
        host: session.map(|key| key.host.clone()),
        session: session.map(|key| key.id.clone()),
        agent: of.and_then(|session| session.agent().cloned()),
        profile: of.and_then(|session| session.profile().cloned()),
        conclusion: Conclusion::Approval(ApprovalFact::Required {
            id,
            stage: Stage::Asked,
            deadline,
            fallback: fleet.settings().approvals.fallback,
            asked: Box::new(asked),
        }),
        cause: Cause::Request(asker.request.clone()),
    })))
}
