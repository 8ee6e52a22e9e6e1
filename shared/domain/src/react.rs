//! What follows from an event, once it is folded.
//!
//! A conclusion is the difference between what a session does and what the log last said it does. That makes reacting
//! idempotent: after a replay, a change of leader or a lost answer, only what is still different is said.

use crate::alert;
use crate::approval;
use crate::budget;
use crate::circuit;
use crate::conclusion::{Cause, Conclusion, Draft};
use crate::delegation;
use crate::fact::{Fact, Recorded};
use crate::fleet::{Fleet, SessionKey};
use crate::memory;
use crate::message;
use crate::overlay::Overlay;
use crate::review;
use crate::session::Session;
use crate::state::SessionState;

/// What follows from an event that `fleet` has just folded.
pub fn react(fleet: &Fleet, overlay: &Overlay, recorded: &Recorded) -> Vec<Draft> {
    let event = &recorded.event;
    let cause = Cause::Event(event.id);
    let mut drafts = Vec::new();
    match (&event.host, &event.session, &event.fact) {
        // A host's word changes what can be told of all its sessions.
        (Some(host), None, Fact::Host(_) | Fact::Decision(_)) => {
            for (key, session) in fleet.sessions_of(host) {
                announce(overlay, key, session, &cause, &mut drafts);
            }
        }
        (Some(host), Some(id), _) => {
            let key = SessionKey {
                host: host.clone(),
                id: id.clone(),
            };
            if let Some(session) = fleet.session(&key) {
                announce(overlay, &key, session, &cause, &mut drafts);
            }
        }
        _ => {}
    }
    approval::react(fleet, overlay, recorded, &mut drafts);
    circuit::react(fleet, overlay, recorded, &mut drafts);
    delegation::react(fleet, overlay, recorded, &mut drafts);
    budget::react(fleet, overlay, recorded, &mut drafts);
    memory::react(fleet, overlay, recorded, &mut drafts);
    alert::react(fleet, overlay, recorded, &mut drafts);
    message::react(fleet, overlay, recorded, &mut drafts);
    review::react(fleet, overlay, recorded, &mut drafts);
    drafts
}

/// Everything that is still to be said: asked once by a leader that has folded up to its own election.
pub fn catch_up(fleet: &Fleet, overlay: &Overlay) -> Vec<Draft> {
    let mut drafts = Vec::new();
    for (key, session) in fleet.sessions() {
        // The cause is what the leader before would have named, so what it wrote and we did not see is found as a duplicate.
        let cause = Cause::Event(session.last_event.value);
        announce(overlay, key, session, &cause, &mut drafts);
    }
    approval::catch_up(fleet, overlay, &mut drafts);
    circuit::catch_up(fleet, overlay, &mut drafts);
    delegation::catch_up(fleet, overlay, &mut drafts);
    budget::catch_up(fleet, overlay, &mut drafts);
    memory::catch_up(fleet, overlay, &mut drafts);
    alert::catch_up(fleet, overlay, &mut drafts);
    message::catch_up(fleet, overlay, &mut drafts);
    review::catch_up(fleet, overlay, &mut drafts);
    drafts
}

fn announce(overlay: &Overlay, key: &SessionKey, session: &Session, cause: &Cause, drafts: &mut Vec<Draft>) {
    let standing = session.standing();
    let from = overlay.session(key, session);
    if from == Some(standing.state) {
        return;
    }
    let reason = standing.reason.as_deref().map(ToOwned::to_owned);
    if standing.state == SessionState::Lost {
        let reason = reason.clone().unwrap_or_default();
        let lost = Conclusion::SessionLost { reason };
        drafts.push(Draft::of_session(key, session, lost, cause.clone()));
    }
    let changed = Conclusion::StateChanged {
        from,
        to: standing.state,
        reason,
        since: standing.since,
    };
    drafts.push(Draft::of_session(key, session, changed, cause.clone()));
}
