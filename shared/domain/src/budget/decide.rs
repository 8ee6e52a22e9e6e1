//! What requests and spending make of budgets.
//!
//! A budget that is exceeded and its hold are compared each time one of them may have changed, and only the difference is
//! said: so what a leader before left undone is made up for, and nothing is said twice.

use super::{Budget, Change, Level, Reached, Rule, Scope, Subject};
use crate::conclusion::{Cause, Conclusion, Draft};
use crate::fact::{Decision, Fact, HookBody, Recorded, TurnFact};
use crate::fleet::{Fleet, SessionKey};
use crate::hold::{self, BUDGET_HOLDS_MAX, By, Hold, Mode, Order, Selector};
use crate::ids::EventId;
use crate::overlay::Overlay;
use crate::time::Timestamp;

/// How many budgets may be in force: each is asked for every event that spends.
const BUDGETS_MAX: usize = 200;

/// Why a budget was not set or removed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// A limit of nothing.
    #[error("a limit of 0 would hold everything: use `muster hold`")]
    Nothing,
    /// No more of them.
    #[error("{BUDGETS_MAX} budgets are in force, which is the limit: remove some")]
    TooMany,
}

/// Words about budgets that are written and not folded yet.
#[derive(Debug, Default)]
pub(crate) struct Pending(Vec<(EventId, String, Subject, Level)>);

impl Pending {
    pub(crate) fn published(&mut self, id: EventId, change: &Change) {
        let (reached, level) = match change {
            Change::Warned(reached) => (reached, Level::Warned),
            Change::Exceeded(reached) => (reached, Level::Exceeded),
            Change::Set { .. } | Change::Removed { .. } => return,
        };
        self.0.push((id, reached.id.clone(), reached.subject.clone(), level));
    }

    pub(crate) fn folded(&mut self, id: EventId) {
        self.0.retain(|(written, ..)| *written != id);
    }

    fn told(&self, budget: &str, subject: &Subject) -> Level {
        let words = self.0.iter().filter(|(_, id, of, _)| id == budget && of == subject);
        words.map(|(.., level)| *level).max().unwrap_or_default()
    }
}

/// How a budget stands for one of those it is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// Whose.
    pub subject: Subject,
    /// What counts of what they spent.
    pub spent: u64,
    /// How far that is.
    pub level: Level,
    /// When the window passes.
    pub until: Option<Timestamp>,
}

fn draft(subject: Option<&Subject>, change: Change, cause: Cause) -> Draft {
    let (host, session, agent) = match subject {
        Some(Subject::Host(host)) => (Some(host.clone()), None, None),
        Some(Subject::Agent(agent)) => (None, None, Some(agent.clone())),
        Some(Subject::Session(key)) => (Some(key.host.clone()), Some(key.id.clone()), None),
        Some(Subject::Fleet) | None => (None, None, None),
    };
    Draft {
        host,
        session,
        agent,
        profile: None,
        conclusion: Conclusion::Budget(change),
        cause,
    }
}

/// A budget as asked for, in place of one of the same id.
///
/// # Errors
/// [`Refusal::Nothing`] and [`Refusal::TooMany`].
pub fn set(fleet: &Fleet, rule: Rule, by: &str, request: &str) -> Result<Draft, Refusal> {
    if rule.limit == 0 {
        return Err(Refusal::Nothing);
    }
    let budgets = fleet.budgets();
    if budgets.get(&rule.id()).is_none() && budgets.in_force().count() >= BUDGETS_MAX {
        return Err(Refusal::TooMany);
    }
    let change = Change::Set {
        rule,
        by: Some(by.to_owned()),
    };
    Ok(draft(None, change, Cause::Request(request.into())))
}

/// The end of a budget, and with it of its holds; nothing where there is none of this id.
pub fn remove(fleet: &Fleet, id: &str, by: &str, request: &str) -> Option<Draft> {
    fleet.budgets().get(id)?;
    let change = Change::Removed {
        id: id.to_owned(),
        by: Some(by.to_owned()),
    };
    Some(draft(None, change, Cause::Request(request.into())))
}

/// How this budget stands for everybody it is for who spent anything, by the log's time.
pub fn standings(fleet: &Fleet, id: &str, at: Timestamp) -> Vec<Standing> {
    let Some(budget) = fleet.budgets().get(id) else {
        return Vec::new();
    };
    subjects(fleet, &budget.rule.scope)
        .into_iter()
        .filter_map(|subject| standing(fleet, id, budget, subject, at))
        .filter(|standing| standing.spent > 0)
        .collect()
}

/// A budget of this session that is spent, its hold or not: by the service's clock, since windows pass without events.
pub(crate) fn spent(fleet: &Fleet, key: &SessionKey, now: Timestamp) -> Option<String> {
    let agent = fleet.session(key).and_then(|session| session.agent());
    let exceeded = |(id, budget): (&str, &Budget)| {
        let mut own = Subject::all_of(key, agent).filter(|one| budget.rule.scope.covers(one));
        let level = |one| standing(fleet, id, budget, one, now).map(|standing| standing.level);
        own.any(|one| level(one) == Some(Level::Exceeded))
            .then(|| id.to_owned())
    };
    fleet.budgets().in_force().find_map(exceeded)
}

fn subjects(fleet: &Fleet, scope: &Scope) -> Vec<Subject> {
    let budgets = fleet.budgets();
    match scope {
        Scope::Fleet => vec![Subject::Fleet],
        Scope::Host { host: Some(host) } => vec![Subject::Host(host.clone())],
        Scope::Host { host: None } => budgets.hosts.keys().cloned().map(Subject::Host).collect(),
        Scope::Agent { agent: Some(agent) } => vec![Subject::Agent(agent.clone())],
        Scope::Agent { agent: None } => budgets.agents.keys().cloned().map(Subject::Agent).collect(),
        Scope::Session { .. } => {
            let sessions = fleet.sessions().keys().cloned().map(Subject::Session);
            sessions.filter(|subject| scope.covers(subject)).collect()
        }
    }
}

fn standing(fleet: &Fleet, id: &str, budget: &Budget, subject: Subject, at: Timestamp) -> Option<Standing> {
    let budgets = fleet.budgets();
    let rule = &budget.rule;
    let sum = match &subject {
        Subject::Session(key) => fleet.session(key)?.spent(),
        Subject::Fleet | Subject::Host(_) | Subject::Agent(_) => budgets.sum(&subject),
    };
    let sum = sum.of(rule.measure);
    let meter = budgets.meters.get(id).and_then(|meters| meters.get(&subject));
    let spent = match (meter, rule.window) {
        (Some(meter), _) => meter.counts(sum, at),
        (None, None) => sum,
        // Nothing was spent since it was set.
        (None, Some(_)) => 0,
    };
    let warn_at = u128::from(rule.limit) * u128::from(budgets.warn_percent);
    let level = if spent >= rule.limit {
        Level::Exceeded
    } else if u128::from(spent) * 100 >= warn_at {
        Level::Warned
    } else {
        Level::Under
    };
    Some(Standing {
        subject,
        spent,
        level,
        until: meter.and_then(|meter| meter.until),
    })
}

/// What follows from an event that was just folded.
pub(crate) fn react(fleet: &Fleet, overlay: &Overlay, recorded: &Recorded, drafts: &mut Vec<Draft>) {
    let event = &recorded.event;
    let cause = Cause::Event(event.id);
    if let Fact::Decision(Decision::Budget(change)) = &event.fact {
        match change {
            Change::Set { rule, .. } => {
                let id = rule.id();
                release(fleet, overlay, Some(&id), recorded.at, &cause, drafts);
                all_of(fleet, overlay, &id, recorded.at, &cause, drafts);
            }
            Change::Removed { id, .. } => release(fleet, overlay, Some(id), recorded.at, &cause, drafts),
            Change::Warned(_) | Change::Exceeded(_) => {}
        }
        return;
    }
    if !spends(&event.fact) || fleet.budgets().in_force.is_empty() {
        return;
    }
    let (Some(host), Some(id)) = (&event.host, &event.session) else {
        return;
    };
    let key = SessionKey {
        host: host.clone(),
        id: id.clone(),
    };
    let agent = fleet.session(&key).and_then(|session| session.agent());
    for subject in Subject::all_of(&key, agent) {
        for (id, budget) in fleet.budgets().in_force() {
            if budget.rule.scope.covers(&subject) {
                reconcile(
                    fleet,
                    overlay,
                    (id, budget),
                    subject.clone(),
                    recorded.at,
                    &cause,
                    drafts,
                );
            }
        }
    }
}

/// Whether a session that says this may have spent something.
pub(crate) const fn spends(fact: &Fact) -> bool {
    match fact {
        Fact::Hook(hook) => matches!(hook.body, HookBody::ToolStarted(_) | HookBody::ToolEnded { .. }),
        Fact::Turn(turn) => matches!(turn, TurnFact::Ended { .. }),
        Fact::Process(_) | Fact::Host(_) | Fact::Effect(_) | Fact::Decision(_) | Fact::Tombstone | Fact::Noted => false,
    }
}

/// What is still to be said and held, asked once by a new leader. The cause is the budget and not an event, as nobody knows
/// which event the leader before would have named.
pub(crate) fn catch_up(fleet: &Fleet, overlay: &Overlay, drafts: &mut Vec<Draft>) {
    let now = fleet.now();
    let cause = Cause::Silence { since: now };
    release(fleet, overlay, None, now, &cause, drafts);
    for (id, _) in fleet.budgets().in_force() {
        all_of(fleet, overlay, id, now, &cause, drafts);
    }
}

fn all_of(fleet: &Fleet, overlay: &Overlay, id: &str, at: Timestamp, cause: &Cause, drafts: &mut Vec<Draft>) {
    let Some(budget) = fleet.budgets().get(id) else {
        return;
    };
    for subject in subjects(fleet, &budget.rule.scope) {
        reconcile(fleet, overlay, (id, budget), subject, at, cause, drafts);
    }
}

fn reconcile(
    fleet: &Fleet,
    overlay: &Overlay,
    (id, budget): (&str, &Budget),
    subject: Subject,
    at: Timestamp,
    cause: &Cause,
    drafts: &mut Vec<Draft>,
) {
    let Some(standing) = standing(fleet, id, budget, subject, at) else {
        return;
    };
    if standing.level == Level::Under {
        return;
    }
    let Standing {
        subject,
        spent,
        level,
        until,
    } = standing;
    let meter = fleet.budgets().meters.get(id).and_then(|meters| meters.get(&subject));
    let told = meter
        .map_or(Level::Under, |meter| meter.told(at))
        .max(overlay.budgets().told(id, &subject));
    let reached = Reached {
        id: id.to_owned(),
        measure: budget.rule.measure,
        limit: budget.rule.limit,
        subject,
        spent,
        until,
    };
    if level > told {
        let change = match level {
            Level::Exceeded => Change::Exceeded(reached.clone()),
            Level::Warned | Level::Under => Change::Warned(reached.clone()),
        };
        drafts.push(draft(Some(&reached.subject), change, cause.clone()));
    }
    if level == Level::Exceeded {
        held(fleet, overlay, &reached, at, cause, drafts);
    }
}

/// The hold of a budget that is exceeded, where there is none yet. Where no further one fits, the oldest whose session is over
/// makes room: should that session be resumed, it is held again by the first thing it spends.
fn held(fleet: &Fleet, overlay: &Overlay, reached: &Reached, at: Timestamp, cause: &Cause, drafts: &mut Vec<Draft>) {
    let by = By::Budget {
        budget: reached.id.clone(),
    };
    let selector = reached.subject.selector();
    let stands = |hold: &Hold| hold.order.by == by && hold.order.selector == selector;
    if fleet.holds().in_force().any(stands) || overlay.holds().sets_for(&by, &selector) {
        return;
    }
    if hold::of_budgets(fleet, overlay, drafts) >= BUDGET_HOLDS_MAX {
        let Some(hold) = replaceable(fleet, overlay, drafts) else {
            // The budget is told to be exceeded all the same.
            return;
        };
        let why = Some("its session is over, and others are to be held");
        drafts.push(hold::released(hold, &hold.order.by, why, cause.clone()));
    }
    let order = Order {
        mode: Mode::Hold,
        selector,
        reason: Some(reached.to_string()),
        by,
        expires_at: reached.until,
        request: None,
    };
    // What would be over before it began is not set.
    drafts.extend(hold::set(fleet, overlay, order, at, cause.clone()));
}

/// The oldest hold of a budget whose session is over and that nobody lets go yet.
fn replaceable<'a>(fleet: &'a Fleet, overlay: &Overlay, drafts: &[Draft]) -> Option<&'a Hold> {
    let released = |id: EventId| {
        let of = |draft: &Draft| matches!(&draft.conclusion, Conclusion::Hold(hold::Change::Released { hold, .. }) if *hold == id);
        overlay.holds().releases(id) || drafts.iter().any(of)
    };
    let idle = |hold: &&Hold| hold.order.is_of_budget() && is_idle(fleet, &hold.order.selector) && !released(hold.id);
    fleet.holds().in_force().filter(idle).min_by_key(|hold| hold.seq)
}

/// Whether this is for one session, and that one is over.
fn is_idle(fleet: &Fleet, selector: &Selector) -> bool {
    let Some(Subject::Session(key)) = Subject::of(selector) else {
        return false;
    };
    fleet
        .session(&key)
        .is_none_or(|session| session.standing().state.is_over())
}

/// The end of holds whose budget is raised or no more; of all budgets where none is named.
fn release(
    fleet: &Fleet,
    overlay: &Overlay,
    only: Option<&str>,
    at: Timestamp,
    cause: &Cause,
    drafts: &mut Vec<Draft>,
) {
    for hold in fleet.holds().in_force() {
        let By::Budget { budget: id } = &hold.order.by else {
            continue;
        };
        if only.is_some_and(|only| only != id) || overlay.holds().releases(hold.id) {
            continue;
        }
        let budget = fleet.budgets().get(id);
        let exceeded = budget.is_some_and(|budget| {
            let subject = Subject::of(&hold.order.selector).filter(|subject| budget.rule.scope.covers(subject));
            let standing = subject.and_then(|subject| standing(fleet, id, budget, subject, at));
            standing.is_some_and(|standing| standing.level == Level::Exceeded)
        });
        if !exceeded {
            let why = if budget.is_some() {
                "the budget was raised"
            } else {
                "the budget was removed"
            };
            drafts.push(hold::released(hold, &hold.order.by, Some(why), cause.clone()));
        }
    }
}

impl std::fmt::Display for Reached {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            measure,
            subject,
            spent,
            limit,
            ..
        } = self;
        write!(
            f,
            "{subject} used {} of {}",
            measure.words(*spent),
            measure.words(*limit)
        )
    }
}
