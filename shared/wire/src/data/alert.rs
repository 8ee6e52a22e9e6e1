//! `runtime.alert.*`: what somebody should look at, and that it is over.

use super::runtime::RuntimeMetadata;
use crate::time;
use muster_domain::alert::{AlertFact, Because, Raised, Rule, Severity};
use muster_domain::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Under which word contexts were told of before rules had names.
const CONTEXT: &str = "context";

/// `raised`, and `cleared` with no more than its key, its rule and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alert {
    /// What every decision carries.
    pub runtime: RuntimeMetadata,
    /// What makes two alerts the same.
    pub key: String,
    /// What was watched for, as in `stuck`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// Which form of it, as in `same_call`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// `info`, `warning` or `critical`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub severity: Option<Severity>,
    /// In words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub summary: Option<String>,
    /// Since when it is so.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "time::optional")]
    pub since: Option<Timestamp>,
    /// What was counted.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub evidence: BTreeMap<String, u64>,
    /// Why it is over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub because: Option<Because>,
}

impl Alert {
    /// What becomes of an alert, as an event says it.
    pub fn new(runtime: RuntimeMetadata, fact: AlertFact) -> Self {
        let bare = |key: Box<str>| Self {
            runtime,
            rule: Rule::of_key(&key).map(|rule| rule.to_string()),
            key: key.into(),
            kind: None,
            severity: None,
            summary: None,
            since: None,
            evidence: BTreeMap::new(),
            because: None,
        };
        match fact {
            AlertFact::Raised(raised) => Self {
                kind: raised.kind.map(Into::into),
                severity: Some(raised.severity),
                summary: Some(raised.summary.into()),
                since: raised.since,
                evidence: raised.evidence.into_iter().map(|(name, n)| (name.into(), n)).collect(),
                ..bare(raised.key)
            },
            AlertFact::Cleared { key, because } => Self {
                because: Some(because),
                ..bare(key)
            },
        }
    }

    /// The key; of an event that an older version wrote, the key that it would have now.
    fn known_key(&self) -> Box<str> {
        match self.key.split_once(':') {
            Some((CONTEXT, of)) => format!("{}:{of}", Rule::ContextPressure).into(),
            _ => self.key.as_str().into(),
        }
    }

    /// That it begins.
    pub fn raised(self) -> AlertFact {
        let key = self.known_key();
        AlertFact::Raised(Box::new(Raised {
            rule: Rule::of_key(&key),
            key,
            kind: self.kind.map(Into::into),
            severity: self.severity.unwrap_or(Severity::Warning),
            summary: self.summary.unwrap_or(self.key).into(),
            since: self.since,
            evidence: self.evidence.into_iter().map(|(name, n)| (name.into(), n)).collect(),
        }))
    }

    /// That it is over.
    pub fn cleared(self) -> AlertFact {
        AlertFact::Cleared {
            key: self.known_key(),
            because: self.because.unwrap_or(Because::Over),
        }
    }
}
