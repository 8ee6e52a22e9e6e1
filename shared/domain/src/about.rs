//! A session, and what was said of it: where conclusions about one session are drawn.

use crate::conclusion::Cause;
use crate::fact::Recorded;
use crate::fleet::{Fleet, SessionKey};
use crate::overlay::Overlay;
use crate::session::Session;

/// A session, and what was said of it.
pub(crate) struct About<'a> {
    pub(crate) fleet: &'a Fleet,
    pub(crate) overlay: &'a Overlay,
    pub(crate) key: &'a SessionKey,
    pub(crate) session: &'a Session,
}

impl<'a> About<'a> {
    /// The session of this key, if it is known.
    pub(crate) fn new(fleet: &'a Fleet, overlay: &'a Overlay, key: &SessionKey) -> Option<Self> {
        let (key, session) = fleet.sessions().get_key_value(key)?;
        Some(Self {
            fleet,
            overlay,
            key,
            session,
        })
    }

    /// The session that an event is of.
    pub(crate) fn of(fleet: &'a Fleet, overlay: &'a Overlay, recorded: &Recorded) -> Option<Self> {
        let (host, id) = recorded.event.host.clone().zip(recorded.event.session.clone())?;
        Self::new(fleet, overlay, &SessionKey { host, id })
    }

    /// Every session, with what a leader before would have named as the cause of anything it said now.
    pub(crate) fn all(fleet: &'a Fleet, overlay: &'a Overlay) -> impl Iterator<Item = (Self, Cause)> {
        fleet.sessions().iter().map(move |(key, session)| {
            let about = Self {
                fleet,
                overlay,
                key,
                session,
            };
            (about, Cause::Event(session.last_event.value))
        })
    }
}
