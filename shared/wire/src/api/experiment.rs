//! Experiments: planned, begun, given sessions, compared, concluded. Figures are in the metric's own unit: dollars,
//! tokens, turns, calls, or seconds.

use crate::time;
use muster_domain::experiment::{
    Arm, Concluded, DAYS, Experiment, Metric, Outcome, Plan, State, TARGET_PERCENT, Variant, Verdict,
};
use muster_domain::ids::ExperimentId;
use muster_domain::names::{HostName, SessionId};
use muster_domain::query::{Query, QueryError};
use muster_domain::time::Timestamp;
use serde::{Deserialize, Serialize};

/// `experiments.create`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExperimentsCreateRequest {
    /// What people call it.
    pub name: String,
    /// What is expected.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub hypothesis: String,
    /// What is changed.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub change: String,
    /// What is measured.
    pub metric: Metric,
    /// By how many per cent it shall change; [`TARGET_PERCENT`] without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target_percent: Option<i16>,
    /// For how many days sessions that begin count; [`DAYS`] without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_days: Option<u16>,
    /// Which sessions are the control, as a query.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub control: Option<String>,
    /// Which sessions have the change, as a query.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub treatment: Option<String>,
    /// The same id again is the same request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

impl ExperimentsCreateRequest {
    /// The plan.
    ///
    /// # Errors
    /// A query that cannot be read.
    pub fn plan(self) -> Result<Plan, QueryError> {
        let query = |text: Option<String>| text.map(|text| Query::parse(&text)).transpose();
        Ok(Plan {
            name: self.name.into(),
            hypothesis: self.hypothesis.into(),
            change: self.change.into(),
            metric: self.metric,
            target_percent: self.target_percent.unwrap_or(TARGET_PERCENT),
            duration_days: self.duration_days.unwrap_or(DAYS),
            control: query(self.control)?,
            treatment: query(self.treatment)?,
        })
    }
}

/// `experiments.list`: which.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ExperimentsListRequest {
    /// Only those this far; all but the archived ones without it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<State>,
    /// Where the page before ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cursor: Option<ExperimentId>,
    /// Rows at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
}

/// Experiments, the latest first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ExperimentsList {
    /// The rows.
    pub experiments: Vec<ExperimentRow>,
    /// Where to go on; none at the end.
    pub next_cursor: Option<ExperimentId>,
}

/// `experiments.get`, `experiments.start`, `experiments.archive`: which one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExperimentRequest {
    /// Its id.
    pub id: ExperimentId,
    /// The same id again is the same request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

/// `experiments.tag`: a session on a side of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExperimentsTagRequest {
    /// The experiment.
    pub id: ExperimentId,
    /// The session.
    pub session: SessionId,
    /// Its host; may be left out while no two hosts have the id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<HostName>,
    /// The side; without it, none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<Variant>,
    /// The same id again is the same request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

/// `experiments.conclude`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExperimentsConcludeRequest {
    /// Which.
    pub id: ExperimentId,
    /// What you make of its figures.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// The same id again is the same request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

/// One experiment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ExperimentAnswer {
    /// It.
    pub experiment: ExperimentRow,
}

/// An experiment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ExperimentRow {
    /// Its id.
    pub id: ExperimentId,
    /// How far it is.
    pub state: State,
    /// What is tried.
    #[serde(flatten)]
    pub plan: Plan,
    /// Who planned it.
    pub by: String,
    /// When.
    #[serde(with = "time")]
    pub created_at: Timestamp,
    /// When it began.
    #[serde(with = "time::optional")]
    pub started_at: Option<Timestamp>,
    /// From when on sessions that begin no longer count.
    #[serde(with = "time::optional")]
    pub ends_at: Option<Timestamp>,
    /// How it ended.
    pub concluded: Option<ConcludedRow>,
    /// Its figures: the final ones, and where it is asked for alone those so far.
    pub report: Option<ExperimentReport>,
}

/// How an experiment ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConcludedRow {
    /// When.
    #[serde(with = "time")]
    pub at: Timestamp,
    /// Who said so.
    pub by: String,
    /// What they made of it.
    pub note: Option<String>,
}

/// Its figures.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ExperimentReport {
    /// What they are in.
    pub unit: String,
    /// Sessions as they were.
    pub control: ArmRow,
    /// Sessions with the change.
    pub treatment: ArmRow,
    /// By how many per cent of the control's mean the treatment's differs.
    pub change_percent: Option<f64>,
    /// Where the true change lies with 95 %, in per cent; none of too few sessions.
    pub interval_percent: Option<(f64, f64)>,
    /// What may be said.
    pub verdict: Verdict,
}

/// What the sessions of one side add up to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ArmRow {
    /// How many.
    pub sessions: u32,
    /// Those that still run.
    pub running: u32,
    /// Of all of them.
    pub mean: f64,
    /// Half of them have no more.
    pub median: f64,
    /// The sample's standard deviation.
    pub deviation: f64,
}

/// How many of what is kept make one of what is shown, and what that is called.
const fn unit(metric: Metric) -> (f64, &'static str) {
    match metric {
        Metric::CostUsd => (1e6, "USD"),
        Metric::Tokens => (1.0, "tokens"),
        Metric::Turns => (1.0, "turns"),
        Metric::ToolCalls | Metric::Failures => (1.0, "calls"),
        Metric::Duration => (1e3, "s"),
    }
}

#[expect(clippy::cast_precision_loss, reason = "to be shown")]
fn shown(value: u64, per: f64) -> f64 {
    value as f64 / per
}

impl ArmRow {
    fn new(arm: &Arm, per: f64) -> Self {
        Self {
            sessions: arm.sessions,
            running: arm.running,
            mean: shown(arm.mean_milli, per * 1e3),
            median: shown(arm.median, per),
            deviation: shown(arm.deviation_milli, per * 1e3),
        }
    }
}

impl ExperimentReport {
    fn new(plan: &Plan, outcome: &Outcome) -> Self {
        let (per, unit) = unit(plan.metric);
        let compared = outcome.compare(plan.target_percent);
        Self {
            unit: unit.to_owned(),
            control: ArmRow::new(&outcome.control, per),
            treatment: ArmRow::new(&outcome.treatment, per),
            change_percent: compared.change_percent,
            interval_percent: compared.interval_percent,
            verdict: compared.verdict,
        }
    }
}

impl ExperimentRow {
    /// The row of an experiment, with these figures.
    pub fn new(id: ExperimentId, experiment: &Experiment, outcome: Option<&Outcome>) -> Self {
        let plan = experiment.plan().clone();
        let report = outcome.map(|outcome| ExperimentReport::new(&plan, outcome));
        Self {
            id,
            state: experiment.state(),
            plan,
            by: experiment.by().to_owned(),
            created_at: experiment.created(),
            started_at: experiment.started(),
            ends_at: experiment.ends(),
            concluded: experiment
                .concluded()
                .map(|Concluded { at, by, note, .. }| ConcludedRow {
                    at: *at,
                    by: by.to_string(),
                    note: note.as_deref().map(ToOwned::to_owned),
                }),
            report,
        }
    }
}
