//! What somebody should look at: when an alert stands, for what, and when it is over.
//!
//! A rule is a question to one session ([`Rule`]): is it stuck, does it wait for too long, does it fail too often. The answer
//! is a span of time ([`span::Span`]) that follows from what is known, so that the same rule serves an event and a deadline.
//! An alert is raised once, stands for as long as its rule's answer is yes, and is cleared; then the rule is quiet for a
//! while, or a condition that comes and goes would be told each time. Numbers are those of kaizen's rules, where it has them.

mod conclude;
mod describe;
mod ledger;
mod settings;
mod span;

pub(crate) use conclude::{catch_up, due, expire, react};
pub use ledger::{Alert, Alerts, Ended};
pub use settings::Settings;
pub(crate) use span::next;

use crate::family::{AlertKind, EventType};
use crate::fleet::SessionKey;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// What is watched for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    /// A session works and gets nowhere.
    Stuck,
    /// A session waits for somebody for too long.
    Waiting,
    /// Too many of a session's latest calls fail.
    ErrorRate,
    /// A turn cost far more than those before it.
    CostSpike,
    /// A context is nearly full, and nobody makes room in it.
    ContextPressure,
    /// The model's provider turns a session away again and again.
    RateLimitCascade,
    /// Two spools count as one.
    Forked,
}

impl Rule {
    /// Every rule.
    pub const ALL: &[Self] = &[
        Self::Stuck,
        Self::Waiting,
        Self::ErrorRate,
        Self::CostSpike,
        Self::ContextPressure,
        Self::RateLimitCascade,
        Self::Forked,
    ];

    /// Those that are asked of each session.
    pub(crate) const OF_SESSIONS: &[Self] = &[
        Self::Stuck,
        Self::Waiting,
        Self::ErrorRate,
        Self::CostSpike,
        Self::ContextPressure,
        Self::RateLimitCascade,
    ];

    /// The name, as in `error_rate`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Stuck => "stuck",
            Self::Waiting => "waiting",
            Self::ErrorRate => "error_rate",
            Self::CostSpike => "cost_spike",
            Self::ContextPressure => "context_pressure",
            Self::RateLimitCascade => "rate_limit_cascade",
            Self::Forked => "forked",
        }
    }

    /// The rule of this name, if it is one.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|rule| rule.as_str() == name)
    }

    /// What makes two alerts about sessions the same.
    pub fn key(self, session: &SessionKey) -> String {
        format!("{self}:{}/{}", session.host, session.id)
    }

    /// The rule that a key is of.
    pub fn of_key(key: &str) -> Option<Self> {
        Self::parse(key.split_once(':')?.0)
    }

    const fn bit(self) -> u8 {
        1 << self as u8
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Some of the rules, in a byte: each session keeps which of its alerts stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RuleSet(u8);

impl RuleSet {
    /// Whether the rule is among them.
    pub const fn contains(self, rule: Rule) -> bool {
        self.0 & rule.bit() != 0
    }

    /// With the rule, or without.
    #[must_use]
    pub const fn with(self, rule: Rule, is_in: bool) -> Self {
        Self(if is_in {
            self.0 | rule.bit()
        } else {
            self.0 & !rule.bit()
        })
    }

    /// Those that are in it.
    pub fn iter(self) -> impl Iterator<Item = Rule> {
        Rule::ALL.iter().copied().filter(move |rule| self.contains(*rule))
    }
}

impl FromIterator<Rule> for RuleSet {
    fn from_iter<I: IntoIterator<Item = Rule>>(rules: I) -> Self {
        rules
            .into_iter()
            .fold(Self::default(), |set, rule| set.with(rule, true))
    }
}

/// How much it matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Good to know.
    Info,
    /// Worth a look.
    Warning,
    /// It costs while nobody looks.
    Critical,
}

impl Severity {
    /// Every severity, the least first.
    pub const ALL: &[Self] = &[Self::Info, Self::Warning, Self::Critical];

    /// The name, as in `warning`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

/// Why an alert is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Because {
    /// It is as it should be again.
    Over,
    /// The session is over.
    SessionOver,
    /// Nobody has heard of the session for too long to say.
    Silent,
}

/// What an alert says when it begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Raised {
    /// What makes two alerts the same.
    pub key: Box<str>,
    /// What was watched for; none of a rule that this version does not know.
    pub rule: Option<Rule>,
    /// Which form of it, where the rule has several, as in `same_call`.
    pub kind: Option<Box<str>>,
    /// How much it matters.
    pub severity: Severity,
    /// One line for people.
    pub summary: Box<str>,
    /// Since when it is so.
    pub since: Option<Timestamp>,
    /// What was counted.
    pub evidence: BTreeMap<Box<str>, u64>,
}

/// What becomes of an alert.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AlertFact {
    /// It begins.
    Raised(Box<Raised>),
    /// It is over.
    Cleared {
        /// Which.
        key: Box<str>,
        /// Why.
        because: Because,
    },
}

impl AlertFact {
    /// Which alert.
    pub fn key(&self) -> &str {
        match self {
            Self::Raised(raised) => &raised.key,
            Self::Cleared { key, .. } => key,
        }
    }

    pub(crate) const fn event_type(&self) -> EventType {
        EventType::Alert(match self {
            Self::Raised(_) => AlertKind::Raised,
            Self::Cleared { .. } => AlertKind::Cleared,
        })
    }
}
