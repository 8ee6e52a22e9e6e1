//! Policy: which rules are in force, and what they come to where somebody asks.
//!
//! Rules are text to the core. Which of them is in force is state: the last activation in the log counts. What they say is
//! read where they are enforced, on every host, so that a host without its hub still has them.

mod activate;
mod ask;
mod check;
mod family;

pub use activate::{Activated, Expected, Proposal, Refusal, activate};
pub use ask::{Asking, Taken, ask};
pub use check::{Blocked, Checked, Said, Speaker, blocked, check};
pub use family::{ActionFamily, Ruling, UnknownFamily};

use crate::fact::Moment;
use crate::family::{EventType, PolicyKind};
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// How many activations are remembered: enough to see what changed lately, and to know a repeated request.
const HISTORY_MAX: usize = 32;

/// One text of rules.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Source {
    /// Its name.
    pub name: Box<str>,
    /// What it says.
    pub text: Box<str>,
}

/// Rules that are to be in force from now on.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Activation {
    /// Counts activations, from 1.
    pub version: u64,
    /// One name for the sources.
    pub fingerprint: Box<str>,
    /// What the operator calls them.
    pub name: Option<Box<str>>,
    /// The texts; none puts no rule in force.
    pub sources: Vec<Source>,
    /// Who activated them.
    pub by: Box<str>,
    /// The request that did.
    pub request: Box<str>,
}

/// What the log says of policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PolicyFact {
    /// Rules came into force.
    Activated(Box<Activation>),
}

impl PolicyFact {
    pub(crate) const fn event_type(&self) -> EventType {
        match self {
            Self::Activated(_) => EventType::Policy(PolicyKind::Activated),
        }
    }

    pub(crate) fn identity(&self) -> String {
        let Self::Activated(activation) = self;
        format!("{} {}", activation.version, activation.fingerprint)
    }
}

/// The rules in force.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Active {
    /// Them.
    pub activation: Activation,
    /// Since when.
    pub at: Timestamp,
    /// The place in the log that put them in force.
    pub seq: u64,
}

/// An activation of the past, without its texts: the log has those.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Past {
    /// Its version.
    pub version: u64,
    /// One name for its sources.
    pub fingerprint: Box<str>,
    /// What the operator called them.
    pub name: Option<Box<str>>,
    /// Who activated them.
    pub by: Box<str>,
    /// The request that did.
    pub request: Box<str>,
    /// When.
    pub at: Timestamp,
}

/// Which rules are in force.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct Policy {
    active: Option<Box<Active>>,
    /// The latest first, the active one among them.
    history: VecDeque<Past>,
}

impl Policy {
    /// The rules in force; `None` where there never were any.
    pub fn active(&self) -> Option<&Active> {
        self.active.as_deref()
    }

    /// The latest activations, the last first.
    pub fn history(&self) -> impl Iterator<Item = &Past> {
        self.history.iter()
    }

    /// The place in the log that last changed them; 0 before the first activation.
    pub fn changed_seq(&self) -> u64 {
        self.active.as_ref().map_or(0, |active| active.seq)
    }

    pub(crate) fn fold(&mut self, fact: &PolicyFact, recorded: Moment<'_>) {
        let PolicyFact::Activated(activation) = fact;
        self.history.push_front(Past {
            version: activation.version,
            fingerprint: activation.fingerprint.clone(),
            name: activation.name.clone(),
            by: activation.by.clone(),
            request: activation.request.clone(),
            at: recorded.at,
        });
        self.history.truncate(HISTORY_MAX);
        self.active = Some(Box::new(Active {
            activation: (**activation).clone(),
            at: recorded.at,
            seq: recorded.seq,
        }));
    }
}
