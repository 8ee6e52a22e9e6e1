//! When silence alone becomes news, and when a session that is over is dropped: both by time, both without looking at
//! every session.
//!
//! Times are rounded up to whole seconds, so that a busy session moves in the order once a second and not with each event.

use super::{SessionKey, Settings};
use crate::alert;
use crate::host::{Host, HostState};
use crate::session::Session;
use crate::state::SessionState;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::time::Duration;

#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub(crate) struct Agenda {
    silences: BTreeSet<(Timestamp, SessionKey)>,
    burials: BTreeSet<(Timestamp, SessionKey)>,
    /// Compactions that wait for a measure.
    #[serde(default)]
    compactions: BTreeSet<(Timestamp, SessionKey)>,
    /// Alerts that begin or end by time alone.
    #[serde(default)]
    alerts: BTreeSet<(Timestamp, SessionKey)>,
}

/// What a session has in the agenda.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub(crate) struct Planned {
    silence: Option<Timestamp>,
    burial: Option<Timestamp>,
    #[serde(default)]
    compaction: Option<Timestamp>,
    #[serde(default)]
    alert: Option<Timestamp>,
}

impl Agenda {
    pub(super) fn plan(
        &mut self,
        key: &SessionKey,
        session: &mut Session,
        host: Option<&Host>,
        settings: &Settings,
        now: Timestamp,
    ) {
        let state = session.standing().state;
        let over = state.is_over();
        let unknown = state == SessionState::Unknown;
        let reliable = session.watched() && host.is_some_and(|h| h.state() == HostState::Present);
        let waiting = session.memory.pending().filter(|pending| !pending.settled);
        let plan = Planned {
            silence: (!over && !unknown && !reliable).then(|| whole_second(session.heard(host), settings.silence)),
            burial: (over || unknown).then(|| whole_second(session.last_seen(), settings.retention)),
            compaction: waiting.map(|pending| whole_second(pending.compaction.ended, settings.memory.settle)),
            alert: alert::next(session, &settings.alerts, now),
        };
        let before = std::mem::replace(&mut session.planned, plan);
        replace(&mut self.silences, key, before.silence, plan.silence);
        replace(&mut self.burials, key, before.burial, plan.burial);
        replace(&mut self.compactions, key, before.compaction, plan.compaction);
        replace(&mut self.alerts, key, before.alert, plan.alert);
    }

    pub(super) fn next_burial(&mut self, now: Timestamp) -> Option<SessionKey> {
        self.burials.first().filter(|(at, _)| *at < now)?;
        let (_, key) = self.burials.pop_first()?;
        self.compactions.retain(|(_, of)| *of != key);
        self.alerts.retain(|(_, of)| *of != key);
        Some(key)
    }

    /// Sessions by the moment a compaction of theirs is waited for no longer.
    pub(crate) fn compactions(&self) -> impl Iterator<Item = &(Timestamp, SessionKey)> {
        self.compactions.iter()
    }

    /// Sessions by the moment an alert of theirs begins or ends.
    pub(crate) fn alerts(&self) -> impl Iterator<Item = &(Timestamp, SessionKey)> {
        self.alerts.iter()
    }

    /// Sessions by the moment their silence becomes news, the first one first.
    pub(crate) fn silences(&self) -> impl Iterator<Item = &(Timestamp, SessionKey)> {
        self.silences.iter()
    }
}

fn whole_second(from: Timestamp, span: Duration) -> Timestamp {
    let ms = from.after(span).as_millis();
    Timestamp::from_millis(ms.saturating_add((1000 - ms.rem_euclid(1000)) % 1000))
}

fn replace(
    order: &mut BTreeSet<(Timestamp, SessionKey)>,
    key: &SessionKey,
    before: Option<Timestamp>,
    after: Option<Timestamp>,
) {
    if before == after {
        return;
    }
    if let Some(at) = before {
        order.remove(&(at, key.clone()));
    }
    if let Some(at) = after {
        order.insert((at, key.clone()));
    }
}
