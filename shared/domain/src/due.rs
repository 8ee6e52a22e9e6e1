//! What follows from time, and from a host's presence: the two things that are no event.
//!
//! Neither changes state. Each gives conclusions, and those change state when they are read back from the log.

use crate::alert;
use crate::approval;
use crate::circuit;
use crate::conclusion::{Cause, Conclusion, Draft};
use crate::delegation;
use crate::effect;
use crate::fleet::Fleet;
use crate::hold;
use crate::host::HostState;
use crate::memory;
use crate::message;
use crate::names::HostName;
use crate::overlay::Overlay;
use crate::review;
use crate::state::SessionState;
use crate::time::Timestamp;

/// Whether a host's presence is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// Its heartbeat came.
    Present,
    /// Its heartbeat expired.
    Gone,
}

/// When time alone will next be news. May lie in the past until what [`expire`] concluded is read back.
pub fn due(fleet: &Fleet) -> Option<Timestamp> {
    let silence = fleet.agenda().silences().next().map(|(at, _)| *at);
    let dues = [
        silence,
        approval::due(fleet),
        circuit::due(fleet),
        hold::due(fleet),
        memory::due(fleet),
        delegation::due(fleet),
        effect::due(fleet),
        alert::due(fleet),
        message::due(fleet),
        review::due(fleet),
    ];
    dues.into_iter().flatten().min()
}

/// What follows from it being `now`: sessions that were silent for too long are unknown, approvals that nobody answers are
/// announced again and end, probes without a word are over, orders end at their time.
pub fn expire(fleet: &Fleet, overlay: &Overlay, now: Timestamp) -> Vec<Draft> {
    let mut drafts = Vec::new();
    for (at, key) in fleet.agenda().silences() {
        if *at > now {
            break;
        }
        let Some(session) = fleet.session(key) else {
            continue;
        };
        let from = overlay.session(key, session);
        if from == Some(SessionState::Unknown) {
            continue;
        }
        let since = session.heard(fleet.hosts().get(&key.host));
        let unknown = Conclusion::StateChanged {
            from,
            to: SessionState::Unknown,
            reason: Some("silent".to_owned()),
            since,
        };
        let cause = Cause::Silence { since };
        drafts.push(Draft::of_session(key, session, unknown, cause));
    }
    approval::expire(fleet, overlay, now, &mut drafts);
    circuit::expire(fleet, overlay, now, &mut drafts);
    delegation::expire(fleet, overlay, now, &mut drafts);
    effect::expire(fleet, overlay, now, &mut drafts);
    message::expire(fleet, overlay, now, &mut drafts);
    drafts.extend(hold::expire(fleet, overlay, now));
    memory::expire(fleet, overlay, now, &mut drafts);
    alert::expire(fleet, overlay, now, &mut drafts);
    review::expire(fleet, overlay, now, &mut drafts);
    drafts
}

/// What follows from a host's presence being there or gone. The same presence again concludes nothing.
pub fn presence(fleet: &Fleet, overlay: &Overlay, name: &HostName, presence: Presence) -> Option<Draft> {
    let announced = overlay.host(fleet, name);
    let host = fleet.hosts().get(name);
    let stopping = host.is_some_and(|host| host.state() == HostState::Stopping);
    let conclusion = match (presence, announced) {
        (Presence::Present, None | Some(HostState::Removed)) => Conclusion::HostAdded,
        (Presence::Present, Some(HostState::Lost)) => Conclusion::HostReturned,
        // It said that it stops, and it did.
        (Presence::Gone, Some(HostState::Present)) if !stopping => Conclusion::HostLost,
        (Presence::Present, Some(HostState::Present | HostState::Stopping)) | (Presence::Gone, _) => return None,
    };
    let after_seq = host.map_or(0, |host| host.changed_seq);
    let cause = Cause::Presence { after_seq };
    Some(Draft::of_host(name.clone(), conclusion, cause))
}
