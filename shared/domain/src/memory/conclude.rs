//! What the leader concludes about contexts: their pressure, their compactions, and when somebody should look.

use super::compact::{self, Relief};
use super::{MemoryFact, Pressure};
use crate::about::About;
use crate::alert::Rule;
use crate::conclusion::{Cause, Conclusion, Draft};
use crate::fact::Recorded;
use crate::fleet::Fleet;
use crate::overlay::Overlay;
use crate::state::SessionState;
use crate::time::Timestamp;

/// What follows from an event of a session.
pub(crate) fn react(fleet: &Fleet, overlay: &Overlay, recorded: &Recorded, drafts: &mut Vec<Draft>) {
    if let Some(about) = About::of(fleet, overlay, recorded) {
        about.memory(&Cause::Event(recorded.event.id), false, drafts);
    }
}

/// What is still to be said of all sessions.
pub(crate) fn catch_up(fleet: &Fleet, overlay: &Overlay, drafts: &mut Vec<Draft>) {
    for (about, cause) in About::all(fleet, overlay) {
        about.memory(&cause, true, drafts);
    }
}

/// When the first compaction is no longer waited for.
pub(crate) fn due(fleet: &Fleet) -> Option<Timestamp> {
    fleet.agenda().compactions().next().map(|(at, _)| *at)
}

/// What follows from it being `now`.
pub(crate) fn expire(fleet: &Fleet, overlay: &Overlay, now: Timestamp, drafts: &mut Vec<Draft>) {
    for (at, key) in fleet.agenda().compactions().take_while(|(at, _)| *at <= now) {
        if let Some(about) = About::new(fleet, overlay, key) {
            drafts.extend(about.compaction(&Cause::Due { at: *at }, true));
        }
    }
}

impl About<'_> {
    /// `thorough`: nothing is known of what was said before, so alerts are looked for where none is likely.
    fn memory(&self, cause: &Cause, thorough: bool, drafts: &mut Vec<Draft>) {
        let is_over = self.session.standing().state.is_over();
        drafts.extend(self.compaction(cause, is_over));
        let announced = self.overlay.pressure(self.key, self.session);
        let context = self.session.context();
        let settings = &self.fleet.settings().memory;
        let measured = context.and_then(|context| {
            let window = context.window_tokens?;
            let pressure = settings.pressure(context.used_tokens, Some(window))?;
            Some((pressure, context.used_tokens, window))
        });
        if let Some((to, used_tokens, window_tokens)) = measured
            && to != announced
        {
            let changed = MemoryFact::PressureChanged {
                from: announced,
                to,
                used_tokens,
                window_tokens,
            };
            drafts.push(self.draft(Conclusion::Memory(changed), cause));
        }
        let pressure = measured.map_or(announced, |(pressure, ..)| pressure);
        if thorough || [pressure, announced].contains(&Pressure::Compact) {
            let full = pressure == Pressure::Compact && !is_over;
            let since = (announced == Pressure::Compact).then(|| self.session.memory.pressure_since());
            let relieved = full && self.relieve(since, cause, drafts);
            drafts.extend(self.alert(full && !relieved, cause));
        }
    }

    /// Whether room is being made in a context that is nearly full; `since` is when that was said.
    fn relieve(&self, since: Option<Timestamp>, cause: &Cause, drafts: &mut Vec<Draft>) -> bool {
        match compact::relieve(self.fleet, self.overlay, self.key, since, self.fleet.now()) {
            Relief::Ask(fact) => {
                drafts.push(self.draft(Conclusion::Effect(fact), cause));
                true
            }
            Relief::UnderWay => true,
            Relief::None => false,
        }
    }

    /// A compaction that is over is announced once its result is known, or will not be.
    fn compaction(&self, cause: &Cause, waited: bool) -> Option<Draft> {
        let pending = self.session.memory.pending()?;
        let known = pending.settled || waited;
        if !known || self.overlay.compacted(self.key, pending.compaction.ended) {
            return None;
        }
        Some(self.draft(Conclusion::Memory(MemoryFact::Compacted(pending.compaction)), cause))
    }

    /// A context is nearly full, and nobody here makes room in it: somebody should.
    fn alert(&self, full: bool, cause: &Cause) -> Option<Draft> {
        if self.session.standing().state == SessionState::Unknown {
            return None;
        }
        let (rule, now) = (Rule::ContextPressure, self.fleet.now());
        self.say(rule, full, cause, now)
    }

    fn draft(&self, conclusion: Conclusion, cause: &Cause) -> Draft {
        Draft::of_session(self.key, self.session, conclusion, cause.clone())
    }
}
