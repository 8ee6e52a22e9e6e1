//! Orders that hosts enforce without asking: hold new tool calls, or treat a session as unattended.
//!
//! An order is in force from the event that sets it to the event that releases it. Hosts learn of both through a
//! projection of this state; that a host enforces an order is itself concluded into the log, once for each host, so that
//! whoever set it can see where it does not hold yet.

mod selector;

pub use selector::{Selector, Whom};

use crate::ids::EventId;
use crate::names::HostName;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// What an order asks of the hosts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// New tool calls are denied.
    Hold,
    /// Nobody sits before the session: questions wait for an answer from elsewhere.
    Away,
}

impl Mode {
    /// The name, as in `hold`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hold => "hold",
            Self::Away => "away",
        }
    }
}

/// Who set or released an order.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum By {
    /// Somebody who holds the operator token.
    Operator {
        /// Who, as the request's subject says.
        name: String,
    },
    /// A budget that was exceeded, or is no more.
    Budget {
        /// Its id.
        budget: String,
    },
    /// Its own end in time.
    Deadline,
}

impl fmt::Display for By {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Operator { name } => write!(f, "operator {name}"),
            Self::Budget { budget } => write!(f, "budget {budget}"),
            Self::Deadline => f.write_str("its deadline"),
        }
    }
}

/// An order in force.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Hold {
    /// The event that set it.
    pub id: EventId,
    /// What it asks.
    pub mode: Mode,
    /// Whom it is for.
    pub selector: Selector,
    /// Why.
    pub reason: Option<String>,
    /// Who set it.
    pub by: By,
    /// When it was set.
    pub at: Timestamp,
    /// The place in the log that set it: a host that enforces this place or a later one enforces it.
    pub seq: u64,
    /// When it ends by itself.
    pub expires_at: Option<Timestamp>,
    /// The request that set it.
    pub request: Option<String>,
    /// Hosts that enforce it, and since when that is known.
    pub confirmed: BTreeMap<HostName, Timestamp>,
}

/// Every order.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct Holds {
    changed_seq: u64,
    /// In the order they were set.
    in_force: Vec<Hold>,
}

impl Holds {
    /// Orders in force, in the order they were set.
    pub fn in_force(&self) -> impl Iterator<Item = &Hold> {
        self.in_force.iter()
    }

    /// The place in the log that last set or released one; 0 before the first.
    pub const fn changed_seq(&self) -> u64 {
        self.changed_seq
    }
}
