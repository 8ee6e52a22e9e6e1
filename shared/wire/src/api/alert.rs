//! Alerts: listed.

use crate::time;
use muster_domain::alert::{Alert, Because, Ended, Rule, Severity};
use muster_domain::names::{AgentName, HostName, SessionId};
use muster_domain::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Which alerts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AlertState {
    /// Those that stand.
    #[default]
    Open,
    /// Also those that are over: the latest of them.
    All,
}

/// `alerts.list`: which.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AlertsListRequest {
    /// `open`, or `all`.
    pub state: AlertState,
    /// Only of this rule.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<Rule>,
    /// Only of this session.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<SessionId>,
    /// Only on this host.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<HostName>,
    /// Only of at least this severity.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub severity: Option<Severity>,
    /// Only those that still stand, or were cleared since then.
    #[serde(skip_serializing_if = "Option::is_none", with = "time::optional")]
    pub since: Option<Timestamp>,
    /// Rows at most; the server has a cap of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
}

/// Alerts: those that stand first, the latest first among either.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlertsList {
    /// The rows.
    pub alerts: Vec<AlertRow>,
    /// Whether there are more than those.
    pub more: bool,
}

/// An alert.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlertRow {
    /// What makes two alerts the same.
    pub key: String,
    /// What was watched for; null of a rule that a newer version brought.
    pub rule: Option<Rule>,
    /// Which form of it.
    pub kind: Option<String>,
    /// How much it matters.
    pub severity: Severity,
    /// The host it is about.
    pub host: Option<HostName>,
    /// The session it is about.
    pub session: Option<SessionId>,
    /// The product that runs the session.
    pub agent: Option<AgentName>,
    /// In words.
    pub summary: String,
    /// What was counted.
    pub evidence: BTreeMap<String, u64>,
    /// Since when it is so.
    #[serde(with = "time")]
    pub since: Timestamp,
    /// When it was raised.
    #[serde(with = "time")]
    pub raised_at: Timestamp,
    /// When it was cleared; null while it stands.
    #[serde(with = "time::optional")]
    pub cleared_at: Option<Timestamp>,
    /// Why it was cleared.
    pub because: Option<Because>,
}

impl AlertRow {
    /// The row of an alert that stands.
    pub fn standing(key: &str, alert: &Alert) -> Self {
        Self {
            key: key.to_owned(),
            rule: alert.rule,
            kind: alert.kind.as_deref().map(str::to_owned),
            severity: alert.severity,
            host: alert.host.clone(),
            session: alert.session.clone(),
            agent: alert.agent.clone(),
            summary: alert.summary.to_string(),
            evidence: alert.evidence.iter().map(|(name, n)| (name.to_string(), *n)).collect(),
            since: alert.since,
            raised_at: alert.raised,
            cleared_at: None,
            because: None,
        }
    }

    /// The row of one that is over.
    pub fn ended(ended: &Ended) -> Self {
        Self {
            cleared_at: Some(ended.at),
            because: Some(ended.because),
            ..Self::standing(&ended.key, &ended.alert)
        }
    }
}
