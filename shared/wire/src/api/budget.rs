//! Budgets: set, removed, and listed with how they stand. Amounts are in the measure's own unit: dollars, tokens, calls.

use crate::time;
use muster_domain::budget::{Budget, Level, Measure, Rule, Scope, Standing, Subject, Window, standings};
use muster_domain::fleet::Fleet;
use muster_domain::time::Timestamp;
use serde::{Deserialize, Serialize};

/// Standings shown of one budget at most, the fullest first.
const STANDINGS_MAX: usize = 20;
/// Millionths in a dollar.
const MICROS: f64 = 1e6;

/// `budgets.list`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BudgetsListRequest {}

/// Budgets in force, by id.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BudgetsList {
    /// The rows.
    pub budgets: Vec<BudgetRow>,
    /// Whether there are more than fit.
    #[serde(default)]
    pub more: bool,
}

/// `budgets.set`: in place of one for the same of the same.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BudgetsSetRequest {
    /// For whom.
    pub scope: Scope,
    /// Of what.
    pub measure: Measure,
    /// How much: dollars, tokens or calls.
    pub limit: f64,
    /// Per what; without it, all in all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<Window>,
    /// Names the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

/// The budget that is in force now.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BudgetsSet {
    /// It.
    pub budget: BudgetRow,
}

/// `budgets.remove`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BudgetsRemoveRequest {
    /// Which.
    pub id: String,
    /// Names the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

/// What was removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BudgetsRemoved {
    /// Which was meant.
    pub id: String,
    /// Whether there was one.
    pub removed: bool,
}

/// A budget.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BudgetRow {
    /// Its id.
    pub id: String,
    /// For whom.
    pub scope: Scope,
    /// Of what.
    pub measure: Measure,
    /// How much: dollars, tokens or calls.
    pub limit: f64,
    /// Per what; none is all in all.
    pub window: Option<Window>,
    /// Who set it; none where the configuration does.
    pub by: Option<String>,
    /// Since when; none where the configuration sets it.
    #[serde(with = "time::optional")]
    pub at: Option<Timestamp>,
    /// How it stands for those who spent anything, the fullest first.
    pub standings: Vec<StandingRow>,
    /// How many more there are.
    pub more: usize,
}

/// How a budget stands for one of those it is for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StandingRow {
    /// Whose.
    pub subject: Subject,
    /// What was spent: dollars, tokens or calls.
    pub spent: f64,
    /// How far that is.
    pub level: Level,
    /// When counting begins anew.
    #[serde(with = "time::optional")]
    pub until: Option<Timestamp>,
}

impl BudgetsSetRequest {
    /// The limit as it is kept; none where it is no amount.
    pub fn rule(&self) -> Option<Rule> {
        let limit = match self.measure {
            Measure::Usd => self.limit * MICROS,
            Measure::Tokens | Measure::Calls => self.limit,
        };
        // Beyond 2^53 a number does not say what it means.
        let amount = limit.is_finite() && (0.0..=9.0e15).contains(&limit);
        amount.then(|| Rule {
            scope: self.scope.clone(),
            measure: self.measure,
            limit: whole(limit),
            window: self.window,
        })
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "an amount from 0 to 9e15"
)]
const fn whole(amount: f64) -> u64 {
    amount.round() as u64
}

#[expect(clippy::cast_precision_loss, reason = "to be shown")]
fn shown(measure: Measure, amount: u64) -> f64 {
    match measure {
        Measure::Usd => amount as f64 / MICROS,
        Measure::Tokens | Measure::Calls => amount as f64,
    }
}

impl BudgetRow {
    /// The row of a budget.
    pub fn new(fleet: &Fleet, id: &str, budget: &Budget, now: Timestamp) -> Self {
        let rule = &budget.rule;
        let mut all: Vec<Standing> = standings(fleet, id, now);
        all.sort_by_key(|standing| std::cmp::Reverse(standing.spent));
        let more = all.len().saturating_sub(STANDINGS_MAX);
        all.truncate(STANDINGS_MAX);
        Self {
            id: id.to_owned(),
            scope: rule.scope.clone(),
            measure: rule.measure,
            limit: shown(rule.measure, rule.limit),
            window: rule.window,
            by: budget.by.clone(),
            at: budget.by.as_ref().map(|_| budget.at),
            standings: all
                .into_iter()
                .map(|standing| StandingRow {
                    spent: shown(rule.measure, standing.spent),
                    subject: standing.subject,
                    level: standing.level,
                    until: standing.until,
                })
                .collect(),
            more,
        }
    }
}
