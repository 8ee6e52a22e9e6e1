//! What the leader concludes about circuits: transitions that outcomes call for, and probes that expired.
//!
//! While a transition is on its way nothing further is concluded about that agent; when it comes back, it is asked again.

use super::{Change, Circuit, Holder, Permit};
use crate::asker::Asker;
use crate::conclusion::{Cause, Conclusion, Draft};
use crate::fact::Recorded;
use crate::fleet::Fleet;
use crate::ids::EventId;
use crate::names::SubagentName;
use crate::overlay::Overlay;
use crate::time::Timestamp;

/// What follows from an event that was just folded.
pub(crate) fn react(fleet: &Fleet, overlay: &Overlay, recorded: &Recorded, drafts: &mut Vec<Draft>) {
    for agent in fleet.circuits().touched(recorded) {
        let cause = Cause::Event(recorded.event.id);
        drafts.extend(change(fleet, overlay, agent, recorded.at, cause));
    }
}

/// Everything that is still to be said.
pub(crate) fn catch_up(fleet: &Fleet, overlay: &Overlay, drafts: &mut Vec<Draft>) {
    for agent in fleet.circuits().all().keys() {
        let cause = Cause::Due { at: fleet.now() };
        drafts.extend(change(fleet, overlay, agent, fleet.now(), cause));
    }
}

fn change(fleet: &Fleet, overlay: &Overlay, agent: &SubagentName, at: Timestamp, cause: Cause) -> Option<Draft> {
    if overlay.circuit(agent).is_some() {
        return None;
    }
    let change = fleet.circuits().due_change(agent, &fleet.settings().circuits, at)?;
    Some(Draft::of_circuit(change, cause))
}

/// When the next probe expires.
pub(crate) fn due(fleet: &Fleet) -> Option<Timestamp> {
    fleet.circuits().due()
}

/// What follows from it being `now`.
pub(crate) fn expire(fleet: &Fleet, overlay: &Overlay, now: Timestamp, drafts: &mut Vec<Draft>) {
    for (at, change) in fleet.circuits().expire(&fleet.settings().circuits, now) {
        if overlay.circuit(change.agent()).is_none() {
            drafts.push(Draft::of_circuit(change, Cause::Due { at }));
        }
    }
}

/// What is needed before one who asked can be answered from the folded state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asking {
    /// This is to be written, and read back.
    Write(Box<Draft>),
    /// This event is on its way.
    Soon(EventId),
    /// Nothing.
    Settled,
}

/// Why a request is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It comes from a session whose own runs opened the circuit.
    #[error("a session cannot forgive its own agent; let an operator do it from elsewhere")]
    Own,
}

/// A run wants to go ahead. What is on its way decides before it does.
pub fn ask(fleet: &Fleet, overlay: &Overlay, agent: &SubagentName, holder: &Holder, now: Timestamp) -> Asking {
    if let Some(event) = overlay.circuit(agent) {
        return Asking::Soon(event);
    }
    match fleet.circuits().permit(agent, holder, &fleet.settings().circuits, now) {
        Permit::Probe(change) => {
            // What makes two grants the same is which opening they end, so a second leader cannot grant another one.
            let since = fleet.circuits().get(agent).and_then(Circuit::since);
            let cause = Cause::Due {
                at: since.unwrap_or_default(),
            };
            Asking::Write(Box::new(Draft::of_circuit(change, cause)))
        }
        Permit::Free | Permit::Granted { .. } | Permit::Held { .. } | Permit::Open { .. } => Asking::Settled,
    }
}

/// An operator forgives an agent what it failed at.
///
/// # Errors
/// [`Refusal::Own`] when the request comes from a session that had a part in it.
pub fn reset(fleet: &Fleet, overlay: &Overlay, asker: &Asker, agent: &SubagentName) -> Result<Asking, Refusal> {
    let circuit = fleet.circuits().get(agent);
    if let (Some(circuit), Some(session)) = (circuit, &asker.session)
        && circuit.involves(session)
    {
        return Err(Refusal::Own);
    }
    if let Some(event) = overlay.circuit_reset(agent, &asker.request) {
        return Ok(Asking::Soon(event));
    }
    if circuit.and_then(Circuit::reset_request) == Some(&asker.request) {
        return Ok(Asking::Settled);
    }
    let (by, request) = (asker.caller.to_string(), asker.request.to_string());
    let change = fleet.circuits().reset(agent, by, request);
    Ok(change.map_or(Asking::Settled, |change| {
        let cause = Cause::Request(asker.request.clone());
        Asking::Write(Box::new(Draft::of_circuit(change, cause)))
    }))
}

impl Draft {
    /// A transition of a circuit, which is the fleet's and no host's.
    pub const fn of_circuit(change: Change, cause: Cause) -> Self {
        Self {
            host: None,
            session: None,
            agent: None,
            profile: None,
            conclusion: Conclusion::Circuit(change),
            cause,
        }
    }
}
