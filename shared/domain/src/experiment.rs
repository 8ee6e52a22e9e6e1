//! Experiments: whether a change makes sessions cheaper, shorter or better, by comparing those with it to those without.
//!
//! A plan says what is changed, what is measured and by how much it shall change. While it runs, sessions are told apart:
//! by hand, or by what they are (`model=opus`). Nothing is counted by the experiment itself: what sessions add up to is
//! read from them when somebody looks, and kept of those that are no longer known. A conclusion keeps the figures it was
//! drawn from, so that it can be read when all of its sessions are forgotten.

mod decide;
mod report;

pub use decide::{Refusal, archive, conclude, create, start, tag};
pub use report::{Arm, Comparison, Outcome, SESSIONS_MIN, Verdict, outcome};

use crate::fact::Moment;
use crate::family::{EventType, ExperimentKind};
use crate::fleet::{Applied, SessionKey, Why};
use crate::ids::ExperimentId;
use crate::query::{Query, Row};
use crate::review::Reviews;
use crate::session::Session;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

/// Experiments known at most, those that are archived included; the oldest of those give way.
pub const EXPERIMENTS_MAX: usize = 200;
/// Sessions told apart by hand in one experiment, and sessions kept of those no longer known.
pub const SESSIONS_MAX: usize = 2_000;
/// How long an experiment runs where nobody says: kaizen's two weeks.
pub const DAYS: u16 = 14;
/// How much what is measured shall change where nobody says, in per cent: kaizen's tenth less.
pub const TARGET_PERCENT: i16 = -10;

/// What is measured of each session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// US dollars, in millionths; sessions whose cost nobody told do not count.
    CostUsd,
    /// Tokens of every kind.
    Tokens,
    /// Turns.
    Turns,
    /// Tool calls.
    ToolCalls,
    /// Tool calls that failed.
    Failures,
    /// Milliseconds from its beginning to what was last heard of it.
    Duration,
}

/// Which side of the comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Variant {
    /// As it was.
    Control,
    /// With the change.
    Treatment,
}

/// How far an experiment is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Planned.
    Draft,
    /// Sessions are told apart.
    Running,
    /// Its figures are final.
    Concluded,
    /// Out of the way.
    Archived,
}

impl State {
    /// The name, as in `draft`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Running => "running",
            Self::Concluded => "concluded",
            Self::Archived => "archived",
        }
    }
}

/// What is tried.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Plan {
    /// What people call it.
    pub name: Box<str>,
    /// What is expected.
    #[serde(default)]
    pub hypothesis: Box<str>,
    /// What is changed.
    #[serde(default)]
    pub change: Box<str>,
    /// What is measured.
    pub metric: Metric,
    /// By how many per cent it shall change; less is negative.
    pub target_percent: i16,
    /// For how many days sessions that begin count.
    pub duration_days: u16,
    /// Which sessions are the control, beside those named by hand.
    #[serde(default)]
    pub control: Option<Query>,
    /// Which sessions have the change, beside those named by hand.
    #[serde(default)]
    pub treatment: Option<Query>,
}

/// What becomes of an experiment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExperimentFact {
    /// Which.
    pub id: ExperimentId,
    /// What.
    pub step: Step,
    /// Who did it.
    pub by: Box<str>,
}

/// One step of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// It is planned.
    Created(Box<Plan>),
    /// Sessions that begin from now on count.
    Started,
    /// A session is on this side, or on none.
    Tagged {
        /// Which.
        session: SessionKey,
        /// None takes a tag away.
        variant: Option<Variant>,
    },
    /// These are its figures.
    Concluded {
        /// They.
        outcome: Outcome,
        /// What people make of them.
        note: Option<Box<str>>,
    },
    /// It is out of the way.
    Archived,
}

impl ExperimentFact {
    pub(crate) const fn event_type(&self) -> EventType {
        EventType::Experiment(match self.step {
            Step::Created(_) => ExperimentKind::Created,
            Step::Started => ExperimentKind::Started,
            Step::Tagged { .. } => ExperimentKind::Tagged,
            Step::Concluded { .. } => ExperimentKind::Concluded,
            Step::Archived => ExperimentKind::Archived,
        })
    }

    pub(crate) fn identity(&self) -> String {
        match &self.step {
            Step::Tagged { session, variant } => format!("{} {session:?} {variant:?}", self.id),
            Step::Created(_) | Step::Started | Step::Concluded { .. } | Step::Archived => self.id.to_string(),
        }
    }
}

/// How it ended.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Concluded {
    /// When.
    pub at: Timestamp,
    /// Who said so.
    pub by: Box<str>,
    /// Its figures.
    pub outcome: Outcome,
    /// What people make of them.
    pub note: Option<Box<str>>,
}

/// An experiment.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Experiment {
    plan: Plan,
    by: Box<str>,
    created: Timestamp,
    started: Option<Timestamp>,
    concluded: Option<Concluded>,
    archived: bool,
    #[serde(with = "crate::pairs")]
    tags: BTreeMap<SessionKey, Variant>,
    /// What sessions added up to that are no longer known.
    #[serde(with = "crate::pairs")]
    kept: BTreeMap<SessionKey, (Variant, u64)>,
}

impl Experiment {
    /// What is tried.
    pub const fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Who planned it.
    pub fn by(&self) -> &str {
        &self.by
    }

    /// When it was planned.
    pub const fn created(&self) -> Timestamp {
        self.created
    }

    /// When it began.
    pub const fn started(&self) -> Option<Timestamp> {
        self.started
    }

    /// From when on sessions that begin no longer count.
    pub fn ends(&self) -> Option<Timestamp> {
        let days = Duration::from_hours(24) * u32::from(self.plan.duration_days);
        self.started.map(|started| started.after(days))
    }

    /// How it ended.
    pub const fn concluded(&self) -> Option<&Concluded> {
        self.concluded.as_ref()
    }

    /// How far it is.
    pub const fn state(&self) -> State {
        match (self.archived, &self.concluded, self.started) {
            (true, ..) => State::Archived,
            (false, Some(_), _) => State::Concluded,
            (false, None, Some(_)) => State::Running,
            (false, None, None) => State::Draft,
        }
    }

    /// On which side a session is: where it was put by hand, else by what it is. One that both sides claim is on none.
    fn side(&self, reviews: &Reviews, key: &SessionKey, session: &Session) -> Option<Variant> {
        if let Some(variant) = self.tags.get(key) {
            return Some(*variant);
        }
        let (began, started, ends) = (session.began(), self.started?, self.ends()?);
        if began < started || began >= ends {
            return None;
        }
        let row = Row::reviewed(reviews, key, session);
        // Spans of time in a query count back from the session's own beginning, so that it stays on its side.
        let claims = |query: &Option<Query>| query.as_ref().is_some_and(|query| query.matches(&row, began));
        match (claims(&self.plan.control), claims(&self.plan.treatment)) {
            (true, false) => Some(Variant::Control),
            (false, true) => Some(Variant::Treatment),
            _ => None,
        }
    }

    /// Keeps what a session added up to that will not be known any more.
    fn keep(&mut self, reviews: &Reviews, key: &SessionKey, session: &Session) {
        if self.state() != State::Running || self.kept.len() >= SESSIONS_MAX {
            return;
        }
        if let Some(variant) = self.side(reviews, key, session)
            && let Some(value) = self.plan.metric.of(session)
        {
            self.kept.insert(key.clone(), (variant, value));
        }
    }
}

/// Every experiment.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct Experiments(BTreeMap<ExperimentId, Experiment>);

impl Experiments {
    /// All of them, by id.
    pub const fn all(&self) -> &BTreeMap<ExperimentId, Experiment> {
        &self.0
    }

    /// The one of this id.
    pub fn get(&self, id: ExperimentId) -> Option<&Experiment> {
        self.0.get(&id)
    }

    /// A session is about to be no longer known.
    pub(crate) fn forget(&mut self, reviews: &Reviews, key: &SessionKey, session: &Session) {
        for experiment in self.0.values_mut() {
            experiment.keep(reviews, key, session);
        }
    }

    /// Steps that do not follow from where an experiment is have no bearing: the first of two conclusions counts.
    pub(crate) fn fold(&mut self, recorded: Moment<'_>, fact: &ExperimentFact) -> Applied {
        if let Step::Created(plan) = &fact.step {
            return self.add(fact, plan, recorded.at);
        }
        let ignored = Applied::Ignored(Why::NoBearing);
        let Some(experiment) = self.0.get_mut(&fact.id) else {
            return ignored;
        };
        match (&fact.step, experiment.state()) {
            (Step::Started, State::Draft) => experiment.started = Some(recorded.at),
            (Step::Tagged { session, variant }, State::Running) => match variant {
                None => {
                    experiment.tags.remove(session);
                    experiment.kept.remove(session);
                }
                Some(variant) => {
                    experiment.tags.insert(session.clone(), *variant);
                    if let Some((side, _)) = experiment.kept.get_mut(session) {
                        *side = *variant;
                    }
                }
            },
            (Step::Concluded { outcome, note }, State::Running) => {
                experiment.concluded = Some(Concluded {
                    at: recorded.at,
                    by: fact.by.clone(),
                    outcome: *outcome,
                    note: note.clone(),
                });
                experiment.tags = BTreeMap::new();
                experiment.kept = BTreeMap::new();
            }
            (Step::Archived, State::Draft | State::Concluded) => experiment.archived = true,
            _ => return ignored,
        }
        Applied::Changed
    }

    fn add(&mut self, fact: &ExperimentFact, plan: &Plan, at: Timestamp) -> Applied {
        if self.0.contains_key(&fact.id) {
            return Applied::Ignored(Why::NoBearing);
        }
        let experiment = Experiment {
            plan: plan.clone(),
            by: fact.by.clone(),
            created: at,
            started: None,
            concluded: None,
            archived: false,
            tags: BTreeMap::new(),
            kept: BTreeMap::new(),
        };
        self.0.insert(fact.id, experiment);
        if self.0.len() > EXPERIMENTS_MAX {
            let archived = self.0.iter().filter(|(_, one)| one.archived);
            let oldest = archived.min_by_key(|(_, one)| one.created).map(|(id, _)| *id);
            if let Some(oldest) = oldest {
                self.0.remove(&oldest);
            }
        }
        Applied::Changed
    }
}
