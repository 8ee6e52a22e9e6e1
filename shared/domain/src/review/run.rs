//! Rules made, switched and run. A run does for each session that a rule finds what the rule says, unless that was done.

use super::decide::Desk;
use super::rule::{alert_key, alert_of};
use super::{
    ALERT_STANDS, ALERTS_MAX, Action, By, Change, Decided, Definition, Kept, Opening, RULES_MAX, RUN_MAX, Ran, Refusal,
    Switch,
};
use crate::alert::{AlertFact, Because, Raised, Severity};
use crate::conclusion::{Cause, Conclusion, Draft};
use crate::fact::{Decision, Fact, Recorded};
use crate::fleet::{Fleet, SessionKey};
use crate::lease::Ground;
use crate::overlay::Overlay;
use crate::query::{Query, Row};
use crate::time::Timestamp;
use std::collections::BTreeMap;

/// A rule that somebody wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewRule {
    /// What it is called.
    pub name: Box<str>,
    /// Which sessions it finds.
    pub filter: Query,
    /// What is done about them.
    pub action: Action,
    /// Why, in words.
    pub message: Option<Box<str>>,
    /// How much its alerts matter.
    pub severity: Severity,
}

/// What is to be run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Wanted {
    /// Only this rule; else every one that is on.
    pub rule: Option<u64>,
    /// Only sessions that were heard of since then.
    pub since: Option<Timestamp>,
    /// Only say what would be done.
    pub dry_run: bool,
}

/// What came of running one rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleRun {
    /// Which.
    pub rule: u64,
    /// How many sessions it found.
    pub matched: u32,
    /// About how many of them the same was done before.
    pub already: u32,
    /// About which of them something is done, with the number of the case or of what waits for review.
    pub acted: Vec<(SessionKey, Option<u64>)>,
    /// Why nothing is done about the others, where that is not for a later run.
    pub stopped: Option<Refusal>,
}

impl RuleRun {
    /// How many are left.
    pub fn left(&self) -> u32 {
        let acted = u32::try_from(self.acted.len()).unwrap_or(u32::MAX);
        self.matched.saturating_sub(self.already).saturating_sub(acted)
    }
}

/// Makes a rule, which is on; one of its name that is off gives way.
///
/// # Errors
/// [`Refusal`], where its name is taken or there is no room.
pub fn create_rule(ground: &Ground<'_>, new: NewRule) -> Result<Decided, Refusal> {
    let desk = Desk::at(ground);
    if let Some(before) = desk.repeated()? {
        return Ok(before);
    }
    let rules = desk.reviews.rules();
    let named = rules.all().find(|rule| rule.definition.name == new.name);
    match named {
        Some(taken) if taken.enabled => return Err(Refusal::Taken(new.name, taken.definition.id)),
        None if rules.all().len() >= RULES_MAX => return Err(Refusal::TooManyRules),
        _ => {}
    }
    let definition = Definition {
        id: rules.counted + 1,
        name: new.name,
        filter: new.filter.to_string().into(),
        action: new.action,
        message: new.message,
        severity: new.severity,
        by: desk.by(),
    };
    let id = definition.id;
    Ok(desk.written(id, None, Change::RuleCreated(definition)))
}

/// Switches a rule on or off.
///
/// # Errors
/// [`Refusal::NoRule`].
pub fn switch_rule(ground: &Ground<'_>, id: u64, on: bool) -> Result<Decided, Refusal> {
    let desk = Desk::at(ground);
    if let Some(before) = desk.repeated()? {
        return Ok(before);
    }
    let rule = desk.reviews.rules().get(id).ok_or(Refusal::NoRule(id))?;
    if rule.enabled == on {
        return Ok(desk.unwritten(id, false));
    }
    let switch = Switch { id, by: desk.by() };
    let change = if on {
        Change::RuleEnabled(switch)
    } else {
        Change::RuleDisabled(switch)
    };
    Ok(desk.written(id, None, change))
}

/// Runs rules. The same request again does nothing more.
///
/// # Errors
/// [`Refusal`], where there is no such rule, or it is off.
pub fn run_rules(ground: &Ground<'_>, wanted: Wanted) -> Result<(Decided, Vec<RuleRun>), Refusal> {
    let mut desk = Desk::at(ground);
    let repeated = desk.repeated()?.is_some();
    let rules = desk.reviews.rules();
    let rules: Vec<Definition> = match wanted.rule {
        None => rules
            .all()
            .filter(|rule| rule.enabled)
            .map(|rule| rule.definition.clone())
            .collect(),
        Some(id) => {
            let rule = rules.get(id).ok_or(Refusal::NoRule(id))?;
            if !rule.enabled && !wanted.dry_run {
                return Err(Refusal::Off(id));
            }
            vec![rule.definition.clone()]
        }
    };
    let mut room = if repeated { 0 } else { RUN_MAX };
    let mut drafts = Vec::new();
    let mut runs = Vec::new();
    for rule in rules {
        let before = drafts.len();
        let run = run_one(&mut desk, &rule, wanted.since, &mut room, &mut drafts);
        if drafts.len() > before {
            let ran = Ran {
                id: rule.id,
                matched: run.matched,
                acted: u32::try_from(run.acted.len()).unwrap_or(u32::MAX),
                by: desk.by(),
            };
            drafts.push(desk.draft(None, Change::RuleRan(ran)));
        }
        runs.push(run);
    }
    if wanted.dry_run {
        drafts.clear();
    }
    let mut decided = desk.unwritten(0, true);
    decided.drafts = drafts;
    Ok((decided, runs))
}

fn run_one(
    desk: &mut Desk<'_, '_>,
    rule: &Definition,
    since: Option<Timestamp>,
    room: &mut usize,
    drafts: &mut Vec<Draft>,
) -> RuleRun {
    let mut run = RuleRun {
        rule: rule.id,
        matched: 0,
        already: 0,
        acted: Vec::new(),
        stopped: None,
    };
    // It was read when the rule was made; a later version may read less.
    let Ok(query) = Query::parse(&rule.filter) else {
        run.stopped = Some(Refusal::Unreadable(rule.filter.clone()));
        return run;
    };
    let (fleet, now) = (desk.ground.fleet, desk.ground.now);
    for (key, session) in fleet.sessions() {
        let found = || query.matches(&Row::reviewed(&desk.reviews, key, session), now);
        if since.is_some_and(|since| session.last_seen() < since) || !found() {
            continue;
        }
        run.matched += 1;
        if desk.did(rule, key) {
            run.already += 1;
        } else if *room > 0 && run.stopped.is_none() {
            match desk.act(rule, key) {
                Ok((draft, about)) => {
                    *room -= 1;
                    drafts.push(draft);
                    run.acted.push((key.clone(), about));
                }
                Err(refusal) => run.stopped = Some(refusal),
            }
        }
    }
    run
}

impl Desk<'_, '_> {
    /// Whether that was done about this session, or is about to be.
    fn did(&self, rule: &Definition, session: &SessionKey) -> bool {
        let known = self.reviews.rules().get(rule.id);
        let alerting = || self.ground.overlay.alerting(&alert_key(rule.id, session));
        known.is_some_and(|known| known.acted.contains(session)) || rule.action == Action::EmitAlert && alerting()
    }

    /// Does it, if there is room.
    fn act(&mut self, rule: &Definition, session: &SessionKey) -> Result<(Draft, Option<u64>), Refusal> {
        if !self.reviews.rules().remembers_more() {
            return Err(Refusal::TooMuchDone);
        }
        let by = By::Rule {
            rule: rule.id,
            name: rule.name.clone(),
        };
        let kept = match rule.action {
            Action::CreateCase => Kept::Case,
            Action::QueueReview => Kept::Review,
            Action::EmitAlert => return self.alert(rule, session).map(|draft| (draft, None)),
        };
        self.room(kept, session)?;
        let opening = Opening {
            id: self.reviews.docket(kept).counted + 1,
            session: session.clone(),
            reason: rule.reason(),
            label: None,
            by,
        };
        let id = opening.id;
        let draft = self.draft(Some(session), kept.opened(opening));
        self.foresee(&draft);
        Ok((draft, Some(id)))
    }

    fn alert(&mut self, rule: &Definition, session: &SessionKey) -> Result<Draft, Refusal> {
        if self.reviews.rules().raised().len() >= ALERTS_MAX {
            return Err(Refusal::TooManyAlerts);
        }
        let key = alert_key(rule.id, session);
        let raised = Raised {
            key: key.clone(),
            rule: None,
            kind: Some(rule.name.clone()),
            severity: rule.severity,
            summary: format!("session {} on {}: {}", session.id, session.host, rule.reason()).into(),
            since: None,
            evidence: BTreeMap::from([("rule".into(), rule.id)]),
        };
        let now = self.ground.now;
        self.reviews.to_mut().rules.alerted(&key, session, now);
        Ok(self.concluded(Some(session), Conclusion::Alert(AlertFact::Raised(Box::new(raised)))))
    }
}

/// What follows from an event that was just folded: a rule that is off has no alerts.
pub(crate) fn react(fleet: &Fleet, overlay: &Overlay, recorded: &Recorded, drafts: &mut Vec<Draft>) {
    let Fact::Decision(decision) = &recorded.event.fact else {
        return;
    };
    let off = matches!(decision, Decision::Review(fact) if matches!(fact.change, Change::RuleDisabled(_)));
    let own = matches!(decision, Decision::Alert(AlertFact::Raised(raised)) if alert_of(&raised.key).is_some());
    if off || own {
        catch_up(fleet, overlay, drafts);
    }
}

/// For a new leader: everything that is still to be said.
pub(crate) fn catch_up(fleet: &Fleet, overlay: &Overlay, drafts: &mut Vec<Draft>) {
    let raised = fleet.reviews().rules().raised().iter();
    for (at, key) in raised.filter(|(_, key)| is_off(fleet, key)) {
        // The same cause whoever says it, so that it is said once.
        drafts.extend(cleared(fleet, overlay, key, Cause::Due { at: *at }));
    }
}

fn is_off(fleet: &Fleet, alert: &str) -> bool {
    let rule = alert_of(alert).and_then(|rule| fleet.reviews().rules().get(rule));
    rule.is_none_or(|rule| !rule.enabled)
}

/// When the first alert of a rule has stood for long enough.
pub(crate) fn due(fleet: &Fleet) -> Option<Timestamp> {
    let (raised, _) = fleet.reviews().rules().raised().first()?;
    Some(raised.after(ALERT_STANDS))
}

/// What follows from it being `now`.
pub(crate) fn expire(fleet: &Fleet, overlay: &Overlay, now: Timestamp, drafts: &mut Vec<Draft>) {
    let raised = fleet.reviews().rules().raised().iter();
    let old = raised.map(|(raised, key)| (raised.after(ALERT_STANDS), key));
    for (at, key) in old.take_while(|(at, _)| *at <= now) {
        drafts.extend(cleared(fleet, overlay, key, Cause::Due { at }));
    }
}

/// That an alert is over, unless that is on its way.
fn cleared(fleet: &Fleet, overlay: &Overlay, key: &str, cause: Cause) -> Option<Draft> {
    let alert = fleet.alerts().standing().get(key)?;
    let fact = AlertFact::Cleared {
        key: key.into(),
        because: Because::Over,
    };
    let draft = Draft {
        host: alert.host.clone(),
        session: alert.session.clone(),
        agent: alert.agent.clone(),
        profile: None,
        conclusion: Conclusion::Alert(fact),
        cause,
    };
    (!overlay.alerting(key)).then_some(draft)
}
