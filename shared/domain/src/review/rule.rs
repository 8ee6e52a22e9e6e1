//! Rules: queries, with what is to be done about each session that they find. It is done once.

use super::By;
use crate::alert::Severity;
use crate::fleet::SessionKey;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// How many there may be.
pub const RULES_MAX: usize = 100;
/// Bytes of a name.
pub const NAME_BYTES_MAX: usize = 64;
/// Sessions that one run does something about.
pub const RUN_MAX: usize = 100;
/// How many sessions may be remembered as those that something was done about, of all rules together.
pub const ACTED_MAX: usize = 20_000;
/// How many alerts of rules may stand.
pub const ALERTS_MAX: usize = 200;
/// How long such an alert stands.
pub const ALERT_STANDS: Duration = Duration::from_hours(24);
/// What the keys of such alerts begin with; no rule that alerts have of their own is called so.
const ALERT: &str = "rule";

/// What is done about a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// It becomes a case.
    CreateCase,
    /// It waits for somebody to look at it.
    QueueReview,
    /// An alert is raised of it.
    EmitAlert,
}

impl Action {
    /// Every action.
    pub const ALL: &[Self] = &[Self::CreateCase, Self::QueueReview, Self::EmitAlert];

    /// The name, as in `create_case`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::CreateCase => "create_case",
            Self::QueueReview => "queue_review",
            Self::EmitAlert => "emit_alert",
        }
    }
}

/// A rule, as somebody made it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Definition {
    /// Its number.
    pub id: u64,
    /// What it is called.
    pub name: Box<str>,
    /// Which sessions it finds: a query, as text.
    pub filter: Box<str>,
    /// What is done about them.
    pub action: Action,
    /// Why, in words.
    pub message: Option<Box<str>>,
    /// How much its alerts matter.
    pub severity: Severity,
    /// Who made it.
    pub by: By,
}

impl Definition {
    /// Why something is done.
    pub(super) fn reason(&self) -> Box<str> {
        let found = || format!("rule {} found it", self.name).into();
        self.message.clone().unwrap_or_else(found)
    }
}

/// That a rule is on, or off.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Switch {
    /// Which.
    pub id: u64,
    /// Who says so.
    pub by: By,
}

/// That a rule ran, and something was done.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Ran {
    /// Which.
    pub id: u64,
    /// How many sessions it found.
    pub matched: u32,
    /// About how many of them something was done.
    pub acted: u32,
    /// Who ran it.
    pub by: By,
}

/// A rule.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Rule {
    /// As it was made.
    pub definition: Definition,
    /// When.
    pub at: Timestamp,
    /// Whether it is on.
    pub enabled: bool,
    /// Sessions that something was done about.
    pub acted: BTreeSet<SessionKey>,
    /// When something was last done.
    pub ran: Option<Timestamp>,
}

/// Every rule.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct Rules {
    #[serde(with = "crate::pairs")]
    all: BTreeMap<u64, Rule>,
    /// The last number given.
    pub(super) counted: u64,
    /// Alerts that stand, by when they were raised.
    raised: BTreeSet<(Timestamp, Box<str>)>,
}

impl Rules {
    /// Every rule, by number.
    pub fn all(&self) -> impl ExactSizeIterator<Item = &Rule> {
        self.all.values()
    }

    /// The rule of this number.
    pub fn get(&self, id: u64) -> Option<&Rule> {
        self.all.get(&id)
    }

    /// Alerts that stand, the oldest first.
    pub(super) const fn raised(&self) -> &BTreeSet<(Timestamp, Box<str>)> {
        &self.raised
    }

    /// Whether one more session may be remembered.
    pub(super) fn remembers_more(&self) -> bool {
        self.all.values().map(|rule| rule.acted.len()).sum::<usize>() < ACTED_MAX
    }

    /// Takes a rule in, in place of one of its name that is off.
    pub(super) fn create(&mut self, definition: &Definition, at: Timestamp) {
        self.counted = self.counted.max(definition.id);
        self.all
            .retain(|_, rule| rule.enabled || rule.definition.name != definition.name);
        self.all.entry(definition.id).or_insert_with(|| Rule {
            definition: definition.clone(),
            at,
            enabled: true,
            acted: BTreeSet::new(),
            ran: None,
        });
    }

    pub(super) fn switch(&mut self, id: u64, enabled: bool) {
        if let Some(rule) = self.all.get_mut(&id) {
            rule.enabled = enabled;
        }
    }

    pub(super) fn ran(&mut self, id: u64, at: Timestamp) {
        if let Some(rule) = self.all.get_mut(&id) {
            rule.ran = Some(at);
        }
    }

    /// Something was done about this session.
    pub(super) fn acted(&mut self, by: &By, session: &SessionKey) {
        if let By::Rule { rule, .. } = by
            && let Some(rule) = self.all.get_mut(rule)
        {
            rule.acted.insert(session.clone());
        }
    }

    /// An alert of this key was raised of this session.
    pub(super) fn alerted(&mut self, key: &str, session: &SessionKey, at: Timestamp) {
        if let Some(rule) = alert_of(key) {
            self.raised.insert((at, key.into()));
            if let Some(rule) = self.all.get_mut(&rule) {
                rule.acted.insert(session.clone());
            }
        }
    }

    /// It was cleared.
    pub(super) fn cleared(&mut self, key: &str) {
        if alert_of(key).is_some() {
            self.raised.retain(|(_, raised)| **raised != *key);
        }
    }

    /// A session is no longer known.
    pub(super) fn forget(&mut self, key: &SessionKey) {
        for rule in self.all.values_mut() {
            rule.acted.remove(key);
        }
    }
}

/// What makes two alerts of a rule the same.
pub(super) fn alert_key(rule: u64, session: &SessionKey) -> Box<str> {
    format!("{ALERT}:{rule}:{}/{}", session.host, session.id).into()
}

/// The rule that an alert of this key is of, if it is of one.
pub(super) fn alert_of(key: &str) -> Option<u64> {
    let (rule, _) = key.strip_prefix(ALERT)?.strip_prefix(':')?.split_once(':')?;
    rule.parse().ok()
}
