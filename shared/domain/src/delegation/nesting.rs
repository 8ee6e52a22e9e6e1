//! How deep a delegation is nested: by the parent that it names, and by where it was seen to be made.
//!
//! Whoever delegates may leave its own delegation unsaid. Its call of the tool tells the subagent that makes it, though, and
//! so does the call that the delegation becomes. Which delegation that subagent works for follows from the call that
//! started it, where that is known; where it is not, any running delegation of that kind of agent may be it, and the deepest
//! counts: that may refuse one too many, and never lets one too many begin.

use super::{Delegation, Status};
use crate::fleet::{Fleet, SessionKey};
use crate::ids::DelegationId;
use crate::names::SubagentId;

/// A subagent, and its kind where it was told.
pub(super) type Inside<'a> = (&'a SubagentId, Option<&'a str>);

/// The delegations that somebody in this session may ask on behalf of, as far as it can be seen.
pub(super) fn asking(fleet: &Fleet, key: &SessionKey) -> Vec<DelegationId> {
    let Some(session) = fleet.session(key) else {
        return Vec::new();
    };
    let mut all: Vec<_> = session
        .delegating()
        .flat_map(|inside| parents(fleet, key, inside))
        .collect();
    all.sort_unstable();
    all.dedup();
    all
}

/// How deep a delegation that this session makes now would be, as far as it can be seen.
pub fn next_depth(fleet: &Fleet, key: &SessionKey) -> u32 {
    let limit = fleet.settings().circuits.max_depth;
    let above = asking(fleet, key).into_iter();
    above.map(|id| depth(fleet, id, limit) + 1).max().unwrap_or(0)
}

/// How deep it is nested. `limit` is as deep as is looked.
pub(super) fn depth(fleet: &Fleet, id: DelegationId, limit: u32) -> u32 {
    let Some(delegation) = fleet.delegations().get(id) else {
        return 0;
    };
    let Some(left) = limit.checked_sub(1) else {
        return delegation.depth;
    };
    let inside = fleet.delegations().made_inside(id, delegation);
    let seen = inside.map_or_else(Vec::new, |inside| parents(fleet, &delegation.session, inside));
    let above = seen.into_iter().chain(delegation.parent).filter(|parent| *parent != id);
    let observed = above.map(|parent| depth(fleet, parent, left) + 1).max();
    delegation.depth.max(observed.unwrap_or(0))
}

/// The delegations that this subagent may work for: the one of the call that started it, else all that may be.
fn parents(fleet: &Fleet, key: &SessionKey, (subagent, kind): Inside<'_>) -> Vec<DelegationId> {
    let starter = fleet.session(key).and_then(|session| session.starter_of(subagent));
    let own = fleet.delegations().all().iter().filter(|(_, one)| one.session == *key);
    if let Some(starter) = starter {
        let started = own.filter(|(_, one)| one.call.as_ref() == Some(starter));
        return started.map(|(id, _)| *id).collect();
    }
    let may = |one: &Delegation| one.status == Status::Running && Some(one.agent.as_str()) == kind;
    own.filter(|(_, one)| may(one)).map(|(id, _)| *id).collect()
}
