//! What the leader says of alerts: the difference between what the rules answer and what the log says.

use super::span::span;
use super::{AlertFact, Because, Raised, Rule, Severity, describe};
use crate::about::About;
use crate::conclusion::{Cause, Conclusion, Draft};
use crate::fact::Recorded;
use crate::fleet::Fleet;
use crate::overlay::Overlay;
use crate::session::Session;
use crate::state::SessionState;
use crate::time::Timestamp;
use std::collections::BTreeMap;

/// What follows from an event that was just folded.
pub(crate) fn react(fleet: &Fleet, overlay: &Overlay, recorded: &Recorded, drafts: &mut Vec<Draft>) {
    drafts.extend(forked(fleet, overlay, recorded));
    if let Some(about) = About::of(fleet, overlay, recorded) {
        about.alerts(&Cause::Event(recorded.event.id), fleet.now(), drafts);
    }
}

/// For a new leader: everything that is still to be said.
pub(crate) fn catch_up(fleet: &Fleet, overlay: &Overlay, drafts: &mut Vec<Draft>) {
    for (about, cause) in About::all(fleet, overlay) {
        about.alerts(&cause, fleet.now(), drafts);
    }
}

/// When the first session is due.
pub(crate) fn due(fleet: &Fleet) -> Option<Timestamp> {
    fleet.agenda().alerts().next().map(|(at, _)| *at)
}

/// What follows from it being `now`.
pub(crate) fn expire(fleet: &Fleet, overlay: &Overlay, now: Timestamp, drafts: &mut Vec<Draft>) {
    for (at, key) in fleet.agenda().alerts().take_while(|(at, _)| *at <= now) {
        if let Some(about) = About::new(fleet, overlay, key) {
            about.alerts(&Cause::Due { at: *at }, now, drafts);
        }
    }
}

impl About<'_> {
    fn alerts(&self, cause: &Cause, now: Timestamp, drafts: &mut Vec<Draft>) {
        let settings = &self.fleet.settings().alerts;
        for rule in Rule::OF_SESSIONS.iter().copied() {
            if rule == Rule::ContextPressure && self.session.standing().state != SessionState::Unknown {
                // Whether somebody makes room is known where compactions are ([`crate::memory`]).
                continue;
            }
            let holds = span(rule, self.session, settings).is_some_and(|span| span.holds(now));
            drafts.extend(self.say(rule, holds, cause, now));
        }
    }

    /// What is to be said of a rule that holds, or does not: nothing where the log says so, or is about to.
    pub(crate) fn say(&self, rule: Rule, holds: bool, cause: &Cause, now: Timestamp) -> Option<Draft> {
        let (key, session) = (self.key, self.session);
        let settings = &self.fleet.settings().alerts;
        let holds = holds && settings.asks(rule);
        let stands = session.watch.standing().contains(rule);
        if holds == stands || self.overlay.alerting(&rule.key(key)) {
            return None;
        }
        let fact = if stands {
            AlertFact::Cleared {
                key: rule.key(key).into(),
                because: because(session),
            }
        } else if session.watch.quiet(rule).is_some_and(|quiet| quiet > now) {
            return None;
        } else {
            let raised = describe::raised(rule, key, session, settings, now)?;
            AlertFact::Raised(Box::new(raised))
        };
        Some(Draft::of_session(key, session, Conclusion::Alert(fact), cause.clone()))
    }
}

fn because(session: &Session) -> Because {
    let state = session.standing().state;
    if state.is_over() {
        Because::SessionOver
    } else if state == SessionState::Unknown {
        Because::Silent
    } else {
        Because::Over
    }
}

/// Two spools count as one: what one of them says may be lost, for as long as the log remembers.
fn forked(fleet: &Fleet, overlay: &Overlay, recorded: &Recorded) -> Option<Draft> {
    let producer = recorded.event.origin?.producer;
    let times = fleet.producers().get(&producer)?.forked();
    if times == 0 {
        return None;
    }
    let key = format!("{}:{producer}", Rule::Forked);
    if fleet.alerts().standing().contains_key(&*key) || overlay.alerting(&key) {
        return None;
    }
    let raised = Raised {
        key: key.into(),
        rule: Some(Rule::Forked),
        kind: None,
        severity: Severity::Critical,
        summary: format!(
            "two spools report as producer {producer}: a copied machine or a restored disk; give one of them a new spool"
        )
        .into(),
        since: Some(recorded.at),
        evidence: BTreeMap::from([("times".into(), times)]),
    };
    Some(Draft {
        host: recorded.event.host.clone(),
        session: None,
        agent: None,
        profile: None,
        conclusion: Conclusion::Alert(AlertFact::Raised(Box::new(raised))),
        cause: Cause::Event(recorded.event.id),
    })
}
