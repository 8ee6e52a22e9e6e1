//! Putting rules in force: one after the other, and only over what the operator has seen.

use super::{Activation, PolicyFact, Source};
use crate::asker::Asker;
use crate::conclusion::{Cause, Conclusion, Draft};
use crate::fleet::Fleet;
use crate::ids::EventId;
use crate::overlay::Overlay;

/// What an operator believes to be in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expected {
    /// No rules yet.
    Nothing,
    /// Rules of this fingerprint.
    Fingerprint(Box<str>),
}

/// Rules that an operator wants in force. They were read and found sound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proposal {
    /// What the operator calls them.
    pub name: Option<Box<str>>,
    /// One name for the sources.
    pub fingerprint: Box<str>,
    /// The texts.
    pub sources: Vec<Source>,
    /// What they replace; `None` replaces whatever there is.
    pub expected: Option<Expected>,
}

/// What became of a proposal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Activated {
    /// It is to be written.
    Now(Box<Draft>),
    /// The same request is being written.
    Soon(EventId),
    /// The same rules are in force, or this very request put them there before.
    Before,
}

/// Why rules are not put in force.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Others are in force than the operator believes.
    #[error("other rules are in force than expected: {}", found.as_deref().unwrap_or("none"))]
    Moved {
        /// Their fingerprint.
        found: Option<Box<str>>,
    },
    /// The one who asks is under the rules.
    #[error("a session cannot change the rules it is under")]
    Own,
}

/// Decides about a proposal.
///
/// # Errors
/// [`Refusal`] says why nothing changes.
pub fn activate(fleet: &Fleet, overlay: &Overlay, asker: &Asker, proposal: Proposal) -> Result<Activated, Refusal> {
    if asker.session.is_some() {
        return Err(Refusal::Own);
    }
    if let Some((event, _)) = overlay.activating().find(|(_, one)| one.request == asker.request) {
        return Ok(Activated::Soon(event));
    }
    if fleet.policy().history().any(|past| past.request == asker.request) {
        return Ok(Activated::Before);
    }
    let written = overlay.activating().last().map(|(_, activation)| activation);
    let folded = fleet.policy().active().map(|active| &active.activation);
    let current = written.or(folded);
    let found = current.map(|current| &current.fingerprint);
    let holds = match &proposal.expected {
        None => true,
        Some(Expected::Nothing) => found.is_none(),
        Some(Expected::Fingerprint(expected)) => found == Some(expected),
    };
    if !holds {
        return Err(Refusal::Moved { found: found.cloned() });
    }
    if written.is_none() && found == Some(&proposal.fingerprint) {
        return Ok(Activated::Before);
    }
    let activation = Activation {
        version: current.map_or(0, |current| current.version) + 1,
        fingerprint: proposal.fingerprint,
        name: proposal.name,
        sources: proposal.sources,
        by: asker.caller.clone(),
        request: asker.request.clone(),
    };
    Ok(Activated::Now(Box::new(Draft {
        host: None,
        session: None,
        agent: None,
        profile: None,
        conclusion: Conclusion::Policy(PolicyFact::Activated(Box::new(activation))),
        cause: Cause::Request(asker.request.clone()),
    })))
}
