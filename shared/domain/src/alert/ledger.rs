//! The alerts that stand, and the latest that are over.

use super::{AlertFact, Because, Raised, Rule, Severity};
use crate::fact::Moment;
use crate::fleet::{Applied, SessionKey, Why};
use crate::names::{AgentName, HostName, SessionId};
use crate::session::Session;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};

/// How many that are over can be looked up; older ones are in the log.
const ENDED_MAX: usize = 256;

/// An alert.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Alert {
    /// What was watched for; none of a rule that this version does not know.
    pub rule: Option<Rule>,
    /// Which form of it.
    pub kind: Option<Box<str>>,
    /// How much it matters.
    pub severity: Severity,
    /// One line for people.
    pub summary: Box<str>,
    /// Since when it is so.
    pub since: Timestamp,
    /// When it was raised.
    pub raised: Timestamp,
    /// What was counted.
    pub evidence: BTreeMap<Box<str>, u64>,
    /// The host it is about.
    pub host: Option<HostName>,
    /// The session it is about.
    pub session: Option<SessionId>,
    /// The product that runs the session.
    pub agent: Option<AgentName>,
}

/// An alert that is over.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Ended {
    /// What makes two alerts the same.
    pub key: Box<str>,
    /// What it was.
    pub alert: Alert,
    /// When it was cleared.
    pub at: Timestamp,
    /// Why.
    pub because: Because,
}

/// Every alert.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct Alerts {
    standing: BTreeMap<Box<str>, Alert>,
    ended: VecDeque<Ended>,
}

impl Alerts {
    /// Those that stand, by their keys.
    pub const fn standing(&self) -> &BTreeMap<Box<str>, Alert> {
        &self.standing
    }

    /// The latest that are over, the latest first.
    pub fn ended(&self) -> impl Iterator<Item = &Ended> {
        self.ended.iter().rev()
    }

    /// Those of a session that stand.
    pub fn of<'a>(&'a self, key: &'a SessionKey, session: &Session) -> impl Iterator<Item = &'a Alert> + use<'a> {
        let rules = session.watch.standing();
        rules.iter().filter_map(|rule| self.standing.get(&*rule.key(key)))
    }

    pub(crate) fn fold(&mut self, recorded: Moment<'_>, fact: &AlertFact) -> Applied {
        match fact {
            AlertFact::Raised(raised) => {
                let alert = || begun(recorded, raised);
                self.standing.entry(raised.key.clone()).or_insert_with(alert);
            }
            AlertFact::Cleared { key, because } => {
                let Some(alert) = self.standing.remove(key) else {
                    return Applied::Ignored(Why::NoBearing);
                };
                if self.ended.len() >= ENDED_MAX {
                    self.ended.pop_front();
                }
                self.ended.push_back(Ended {
                    key: key.clone(),
                    alert,
                    at: recorded.at,
                    because: *because,
                });
            }
        }
        Applied::Changed
    }

    /// A session is no longer known.
    pub(crate) fn forget(&mut self, key: &SessionKey, session: &Session) {
        for rule in session.watch.standing().iter() {
            self.standing.remove(&*rule.key(key));
        }
    }
}

fn begun(recorded: Moment<'_>, raised: &Raised) -> Alert {
    let event = &recorded.event;
    Alert {
        rule: raised.rule,
        kind: raised.kind.clone(),
        severity: raised.severity,
        summary: raised.summary.clone(),
        since: raised.since.unwrap_or(recorded.at),
        raised: recorded.at,
        evidence: raised.evidence.clone(),
        host: event.host.clone(),
        session: event.session.clone(),
        agent: event.agent.clone(),
    }
}
