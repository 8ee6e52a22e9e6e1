//! Rules: queries, with what is done about each session that they find.

use crate::time;
use muster_domain::alert::Severity;
use muster_domain::names::{HostName, SessionId};
use muster_domain::review::{Action, By, Definition, Rule, RuleRun};
use muster_domain::time::Timestamp;
use serde::{Deserialize, Serialize};

/// `rules.create`: which sessions, and what is done about them.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RulesCreateRequest {
    /// What it is called, in at most 64 bytes.
    pub name: String,
    /// Which sessions: a query, as in `errors>=3 agent=codex`.
    pub filter: String,
    /// What is done about each.
    pub action: Action,
    /// Why, in at most 1 KiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// How much its alerts matter; `warning` without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub severity: Option<Severity>,
    /// The same id again is the same request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

/// `rules.enable`, `rules.disable`: which.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RulesSwitchRequest {
    /// Its number.
    pub id: u64,
    /// The same id again is the same request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

/// `rules.run`: which, and about which sessions.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RulesRunRequest {
    /// Only this rule; without it, every one that is on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<u64>,
    /// Only about sessions that were heard of since then.
    #[serde(skip_serializing_if = "Option::is_none", with = "time::optional")]
    pub since: Option<Timestamp>,
    /// Only say what would be done; also of a rule that is off, by its number.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub dry_run: bool,
    /// The same id again does nothing more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

/// `rules.list`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RulesListRequest {}

/// Every rule, by number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RulesList {
    /// The rows.
    pub rules: Vec<RuleRow>,
}

/// A rule, as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleAnswer {
    /// It.
    pub rule: RuleRow,
}

/// A rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleRow {
    /// Its number.
    pub id: u64,
    /// What it is called.
    pub name: String,
    /// Which sessions it finds.
    pub filter: String,
    /// What is done about each.
    pub action: Action,
    /// Why.
    pub message: Option<String>,
    /// How much its alerts matter; null where it raises none.
    pub severity: Option<Severity>,
    /// Whether it is on.
    pub enabled: bool,
    /// Who made it.
    pub by: By,
    /// When.
    #[serde(with = "time")]
    pub at: Timestamp,
    /// About how many known sessions something was done.
    pub acted: usize,
    /// When that was last.
    #[serde(with = "time::optional")]
    pub ran_at: Option<Timestamp>,
}

impl RuleRow {
    /// The row of a rule.
    pub fn new(rule: &Rule) -> Self {
        let Definition {
            id,
            name,
            filter,
            action,
            message,
            severity,
            by,
        } = rule.definition.clone();
        Self {
            id,
            name: name.into(),
            filter: filter.into(),
            action,
            message: message.map(Into::into),
            severity: (action == Action::EmitAlert).then_some(severity),
            enabled: rule.enabled,
            by,
            at: rule.at,
            acted: rule.acted.len(),
            ran_at: rule.ran,
        }
    }
}

/// What rules did, or would do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RulesRan {
    /// Whether it is only said.
    pub dry_run: bool,
    /// What each did.
    pub rules: Vec<RuleRunRow>,
    /// Whether something is left to do: run them again.
    pub more: bool,
}

/// What a rule did, or would do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleRunRow {
    /// Its number.
    pub id: u64,
    /// What it is called.
    pub name: String,
    /// What it does.
    pub action: Action,
    /// How many sessions it found.
    pub matched: u32,
    /// About how many of them that was done before.
    pub already: u32,
    /// About which of them it is done now.
    pub acted: Vec<ActedRow>,
    /// About how many of them it is not done yet.
    pub left: u32,
    /// Why not, where another run would not do it either.
    pub stopped: Option<String>,
}

/// A session that something is done about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActedRow {
    /// Which session.
    pub session_id: SessionId,
    /// Its host.
    pub host: HostName,
    /// The number of the case, or of what waits for review.
    pub number: Option<u64>,
}

impl RuleRunRow {
    /// The row of what came of running this rule.
    pub fn new(run: RuleRun, rule: &Definition) -> Self {
        Self {
            id: run.rule,
            name: rule.name.to_string(),
            action: rule.action,
            matched: run.matched,
            already: run.already,
            left: run.left(),
            stopped: run.stopped.map(|why| why.to_string()),
            acted: run
                .acted
                .into_iter()
                .map(|(session, number)| ActedRow {
                    session_id: session.id,
                    host: session.host,
                    number,
                })
                .collect(),
        }
    }
}
