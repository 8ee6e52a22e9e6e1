//! How many workspaces may be held.

use super::{Ground, Lease, LeaseKey};

/// Workspaces that are held at the same time, stale or not.
pub const HELD_MAX: usize = 10_000;
/// Those of them that were begun under one name: a host's, or a person's.
pub const HELD_BY_ONE: usize = 1000;

/// Why no further workspace may be held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Too many are, begun by whoever asks.
    #[error("{HELD_BY_ONE} workspaces are held that you began, stale ones among them; clear some first")]
    OfOne,
    /// Too many are.
    #[error("{HELD_MAX} workspaces are held, stale ones among them; some have to be cleared first")]
    OfAll,
}

/// Whether work may begin on this workspace, as far as others are held. Work that goes on has its room.
///
/// # Errors
/// [`Refusal`].
pub fn room(ground: &Ground<'_>, key: &LeaseKey) -> Result<(), Refusal> {
    let place = ground.place(key);
    if place.lease.is_some() || ground.repeated(&place).is_some() {
        return Ok(());
    }
    let known = ground.fleet.leases();
    let held = known.held_after(None).map(|(_, lease, _)| lease);
    let begun = ground.overlay.leases_held();
    let begun = begun.filter(|(key, _)| known.get(key).is_none_or(|place| place.lease.is_none()));
    let (mut all, mut own) = (0, 0);
    for lease in held.chain(begun.map(|(_, lease)| lease)) {
        all += 1;
        own += usize::from(lease.is_of(&ground.asker.caller));
    }
    if own >= HELD_BY_ONE {
        Err(Refusal::OfOne)
    } else if all >= HELD_MAX {
        Err(Refusal::OfAll)
    } else {
        Ok(())
    }
}

impl Lease {
    fn is_of(&self, caller: &str) -> bool {
        self.caller.as_deref() == Some(caller)
    }
}
