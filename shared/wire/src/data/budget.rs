//! `runtime.budget.*`: budgets, and how far they got.

use super::runtime::RuntimeMetadata;
use crate::time;
use muster_domain::budget::{Measure, Reached, Rule, Subject};
use muster_domain::time::Timestamp;
use serde::{Deserialize, Serialize};

/// `set`: it is in force, in place of one of the same id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BudgetSet {
    /// What every decision carries.
    pub runtime: RuntimeMetadata,
    /// What it is known by.
    pub budget_id: String,
    /// What it allows to whom; dollars in millionths.
    #[serde(flatten)]
    pub rule: Rule,
    /// Who set it.
    #[serde(default)]
    pub by: Option<String>,
}

/// `removed`: it is no more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BudgetRemoved {
    /// What every decision carries.
    pub runtime: RuntimeMetadata,
    /// Which.
    pub budget_id: String,
    /// Who removed it.
    #[serde(default)]
    pub by: Option<String>,
}

/// `warned` and `exceeded`: most, or all, of it is spent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BudgetReached {
    /// What every decision carries.
    pub runtime: RuntimeMetadata,
    /// Which.
    pub budget_id: String,
    /// Whose.
    pub subject: Subject,
    /// What it measures.
    pub measure: Measure,
    /// What was spent: millionths of a dollar, tokens, or calls.
    pub spent: u64,
    /// What may be.
    pub limit: u64,
    /// When its window passes and counting begins anew; none where it never does.
    #[serde(default, with = "time::optional")]
    pub until: Option<Timestamp>,
    /// In words.
    pub summary: String,
}

impl BudgetReached {
    /// As it is written.
    pub fn new(runtime: RuntimeMetadata, reached: Reached) -> Self {
        let summary = reached.to_string();
        let Reached {
            id,
            subject,
            measure,
            spent,
            limit,
            until,
        } = reached;
        Self {
            runtime,
            budget_id: id,
            subject,
            measure,
            spent,
            limit,
            until,
            summary,
        }
    }

    /// As it is folded.
    pub fn into_reached(self) -> Reached {
        Reached {
            id: self.budget_id,
            subject: self.subject,
            measure: self.measure,
            spent: self.spent,
            limit: self.limit,
            until: self.until,
        }
    }
}
