//! Budgets: how much sessions may spend before they are warned of, and held.
//!
//! What was spent is kept as running sums, so that an event costs as much as the session it is of, however large the fleet.
//! A budget counts from when it was set, or by windows of the log's time; one of a session counts the whole session. How
//! far it got is told once for each step (warned, exceeded), and what is exceeded is held ([`crate::hold`]) until the
//! budget is raised, removed, or its window passes.

mod decide;
mod meter;
mod rule;

pub(crate) use decide::{Pending, catch_up, react, spends, spent};
pub use decide::{Refusal, Standing, remove, set, standings};
pub use meter::Level;
use meter::Meters;
pub use rule::{Measure, Rule, Scope, Subject, Window};

use crate::fact::Moment;
use crate::family::{BudgetKind, EventType};
use crate::fleet::{Applied, SessionKey, Why};
use crate::names::{AgentName, HostName};
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// At which part of a budget it is warned of, in per cent (trusty-mpm's threshold).
pub const WARN_PERCENT: u8 = 80;

/// Budgets that hold without anybody setting them, and when to warn.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// In force from the log's beginning, until somebody sets or removes one of the same id.
    pub rules: Vec<Rule>,
    /// Part of a budget that is worth a warning.
    pub warn_percent: u8,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            rules: Vec::new(),
            warn_percent: WARN_PERCENT,
        }
    }
}

/// What was spent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct Spent {
    /// Millionths of a US dollar.
    pub usd_micros: u64,
    /// Tokens of every kind.
    pub tokens: u64,
    /// Tool calls.
    pub calls: u64,
}

impl Spent {
    /// The part of it that a budget measures.
    pub const fn of(self, measure: Measure) -> u64 {
        match measure {
            Measure::Usd => self.usd_micros,
            Measure::Tokens => self.tokens,
            Measure::Calls => self.calls,
        }
    }

    fn grow(&mut self, from: Self, to: Self) {
        let grow = |sum: &mut u64, from: u64, to: u64| *sum = sum.saturating_add(to.saturating_sub(from));
        grow(&mut self.usd_micros, from.usd_micros, to.usd_micros);
        grow(&mut self.tokens, from.tokens, to.tokens);
        grow(&mut self.calls, from.calls, to.calls);
    }
}

/// A budget in force.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Budget {
    /// What it allows.
    pub rule: Rule,
    /// Who set it; none where the configuration does.
    pub by: Option<String>,
    /// When.
    pub at: Timestamp,
}

/// What becomes of a budget.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// It is in force, in place of one of the same id.
    Set {
        /// What it allows.
        rule: Rule,
        /// Who set it.
        by: Option<String>,
    },
    /// It is no more.
    Removed {
        /// Which.
        id: String,
        /// Who removed it.
        by: Option<String>,
    },
    /// Most of it is spent.
    Warned(Reached),
    /// All of it is spent.
    Exceeded(Reached),
}

impl Change {
    pub(crate) const fn event_type(&self) -> EventType {
        EventType::Budget(match self {
            Self::Set { .. } => BudgetKind::Set,
            Self::Removed { .. } => BudgetKind::Removed,
            Self::Warned(_) => BudgetKind::Warned,
            Self::Exceeded(_) => BudgetKind::Exceeded,
        })
    }

    pub(crate) fn identity(&self) -> String {
        match self {
            Self::Set { rule, .. } => rule.id(),
            Self::Removed { id, .. } => id.clone(),
            Self::Warned(reached) | Self::Exceeded(reached) => format!("{:?} {:?}", reached.id, reached.subject),
        }
    }
}

/// How far a budget got.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reached {
    /// Which.
    pub id: String,
    /// Whose.
    pub subject: Subject,
    /// What it measures.
    pub measure: Measure,
    /// What was spent.
    pub spent: u64,
    /// What may be.
    pub limit: u64,
    /// When its window passes.
    pub until: Option<Timestamp>,
}

/// Every budget, and what was spent.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct Budgets {
    warn_percent: u8,
    fleet: Spent,
    hosts: BTreeMap<HostName, Spent>,
    agents: BTreeMap<AgentName, Spent>,
    in_force: BTreeMap<String, Budget>,
    meters: BTreeMap<String, Meters>,
}

impl Budgets {
    pub(crate) fn new(settings: &Settings) -> Self {
        let configured = settings.rules.iter().map(|rule| {
            let budget = Budget {
                rule: rule.clone(),
                by: None,
                at: Timestamp::default(),
            };
            (rule.id(), budget)
        });
        Self {
            warn_percent: settings.warn_percent,
            in_force: configured.collect(),
            ..Self::default()
        }
    }

    /// Budgets in force, by id.
    pub fn in_force(&self) -> impl Iterator<Item = (&str, &Budget)> {
        self.in_force.iter().map(|(id, budget)| (id.as_str(), budget))
    }

    /// The budget of this id.
    pub fn get(&self, id: &str) -> Option<&Budget> {
        self.in_force.get(id)
    }

    /// What a session spent since it was last counted.
    pub(crate) fn spend(
        &mut self,
        key: &SessionKey,
        agent: Option<&AgentName>,
        (from, to): (Spent, Spent),
        at: Timestamp,
    ) {
        if !self.in_force.is_empty() {
            self.roll(key, agent, from, at);
        }
        self.fleet.grow(from, to);
        if let Some(sum) = self.hosts.get_mut(&key.host) {
            sum.grow(from, to);
        } else {
            let mut sum = Spent::default();
            sum.grow(from, to);
            self.hosts.insert(key.host.clone(), sum);
        }
        let Some(agent) = agent else {
            return;
        };
        if let Some(sum) = self.agents.get_mut(agent) {
            sum.grow(from, to);
        } else {
            let mut sum = Spent::default();
            sum.grow(from, to);
            self.agents.insert(agent.clone(), sum);
        }
    }

    /// Begins the windows that this moment lies in, at what was spent before it.
    fn roll(&mut self, key: &SessionKey, agent: Option<&AgentName>, session: Spent, at: Timestamp) {
        let windowed = self
            .in_force
            .iter()
            .filter_map(|(id, budget)| Some((id, budget, budget.rule.window?)));
        for (id, budget, window) in windowed {
            for subject in Subject::all_of(key, agent) {
                if !budget.rule.scope.covers(&subject) {
                    continue;
                }
                let before = match &subject {
                    Subject::Session(_) => session,
                    Subject::Fleet | Subject::Host(_) | Subject::Agent(_) => self.sum(&subject),
                };
                let before = before.of(budget.rule.measure);
                self.meters
                    .entry(id.clone())
                    .or_default()
                    .roll(subject, before, at, window);
            }
        }
    }

    fn sum(&self, subject: &Subject) -> Spent {
        let known = match subject {
            Subject::Fleet => Some(&self.fleet),
            Subject::Host(host) => self.hosts.get(host),
            Subject::Agent(agent) => self.agents.get(agent),
            Subject::Session(_) => None,
        };
        known.copied().unwrap_or_default()
    }

    /// A session is no longer known.
    pub(crate) fn forget(&mut self, key: &SessionKey) {
        if self.meters.is_empty() {
            return;
        }
        let subject = Subject::Session(key.clone());
        for meters in self.meters.values_mut() {
            meters.remove(&subject);
        }
    }

    pub(crate) fn fold(&mut self, recorded: Moment<'_>, change: &Change) -> Applied {
        match change {
            Change::Set { rule, by } => {
                let budget = Budget {
                    rule: rule.clone(),
                    by: by.clone(),
                    at: recorded.at,
                };
                let id = rule.id();
                if let Some(known) = self.in_force.insert(id.clone(), budget) {
                    // Told of what is reached is told of what was reached; a higher limit is another question.
                    if known.rule.limit < rule.limit
                        && let Some(meters) = self.meters.get_mut(&id)
                    {
                        meters.tell_anew();
                    }
                } else if rule.window.is_none() {
                    self.count_from_here(id, rule);
                }
            }
            Change::Removed { id, .. } => {
                self.meters.remove(id);
                if self.in_force.remove(id).is_none() {
                    return Applied::Ignored(Why::NoBearing);
                }
            }
            Change::Warned(reached) => return self.told(reached, Level::Warned),
            Change::Exceeded(reached) => return self.told(reached, Level::Exceeded),
        }
        Applied::Changed
    }

    fn told(&mut self, reached: &Reached, level: Level) -> Applied {
        if !self.in_force.contains_key(&reached.id) {
            return Applied::Ignored(Why::NoBearing);
        }
        let meters = self.meters.entry(reached.id.clone()).or_default();
        meters.told(reached.subject.clone(), level);
        Applied::Changed
    }

    /// What hosts, agents and the fleet spent before a budget was set is none of its business.
    fn count_from_here(&mut self, id: String, rule: &Rule) {
        let mut subjects = vec![Subject::Fleet];
        subjects.extend(self.hosts.keys().cloned().map(Subject::Host));
        subjects.extend(self.agents.keys().cloned().map(Subject::Agent));
        let bases = subjects
            .into_iter()
            .filter(|subject| rule.scope.covers(subject))
            .map(|subject| (subject.clone(), self.sum(&subject).of(rule.measure)))
            .collect::<Vec<_>>();
        let meters = self.meters.entry(id).or_default();
        for (subject, base) in bases {
            meters.begin(subject, base);
        }
    }
}
