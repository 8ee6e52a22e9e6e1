//! Orders that hosts enforce without asking: hold new tool calls, or treat a session as unattended.
//!
//! An order is in force from the event that sets it to the event that releases it. Hosts learn of both through a
//! projection of this state; that a host enforces an order is itself concluded into the log, once for each host, so that
//! whoever set it can see where it does not hold yet.

mod decide;
mod selector;

pub(crate) use decide::Pending;
pub use decide::{Refusal, Release, Set, Which, ask, confirm, release};
pub(crate) use decide::{due, expire, holding, of_budgets, released, set};
pub use selector::{Selector, Whom};

use crate::fact::Moment;
use crate::family::{EventType, HoldKind};
use crate::fleet::{Applied, Why};
use crate::ids::EventId;
use crate::names::HostName;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};
use std::fmt;

/// How many orders of people may be in force: each is a line that every host reads and asks before every tool call.
pub const HOLDS_MAX: usize = 500;
/// How many orders of budgets may be beside them. All together they stay below what one value of the hub may have, 1 MiB.
pub const BUDGET_HOLDS_MAX: usize = 1500;
/// How many that are over are remembered, for lists and for requests that come again.
const PAST_MAX: usize = 100;

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

/// What somebody asks for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Order {
    /// What it asks of hosts.
    pub mode: Mode,
    /// Whom it is for.
    pub selector: Selector,
    /// Why, in words that an agent is shown.
    pub reason: Option<String>,
    /// Who set it.
    pub by: By,
    /// When it ends by itself.
    pub expires_at: Option<Timestamp>,
    /// The request that set it, so that the same request again sets no second one.
    pub request: Option<String>,
}

impl Order {
    /// Whether a budget set it.
    pub const fn is_of_budget(&self) -> bool {
        matches!(self.by, By::Budget { .. })
    }

    /// Whether both ask for the same. Their ends may differ: one that is asked for again ends as much later.
    fn is_like(&self, other: &Self) -> bool {
        (self.mode, &self.selector, &self.reason, &self.by) == (other.mode, &other.selector, &other.reason, &other.by)
            && self.expires_at.is_some() == other.expires_at.is_some()
    }
}

/// What becomes of an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// It is in force, under the id of the event that says so.
    Set(Order),
    /// It is no longer.
    Released {
        /// Which.
        hold: EventId,
        /// Who released it.
        by: By,
        /// Why.
        reason: Option<String>,
    },
    /// The event's host enforces it.
    Confirmed {
        /// Which.
        hold: EventId,
    },
}

impl Change {
    pub(crate) const fn event_type(&self) -> EventType {
        EventType::Hold(match self {
            Self::Set(_) => HoldKind::Set,
            Self::Released { .. } => HoldKind::Released,
            Self::Confirmed { .. } => HoldKind::Confirmed,
        })
    }

    pub(crate) fn identity(&self) -> String {
        match self {
            // One request sets one order, a budget one for each of those it is for.
            Self::Set(order) => format!("{} {:?}", order.by, order.selector),
            Self::Released { hold, .. } | Self::Confirmed { hold } => hold.to_string(),
        }
    }
}

/// An order in force.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Hold {
    /// The event that set it.
    pub id: EventId,
    /// What was asked for.
    pub order: Order,
    /// When it was set.
    pub at: Timestamp,
    /// The place in the log that set it: a host that enforces this place or a later one enforces it.
    pub seq: u64,
    /// Hosts that enforce it, and since when that is known.
    pub confirmed: BTreeMap<HostName, Timestamp>,
}

/// An order that is over.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Past {
    /// As it was.
    pub hold: Hold,
    /// When it was released.
    pub at: Timestamp,
    /// By whom.
    pub by: By,
    /// Why.
    pub reason: Option<String>,
}

/// Every order.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct Holds {
    changed_seq: u64,
    /// In the order they were set.
    in_force: Vec<Hold>,
    /// The latest last.
    past: VecDeque<Past>,
}

impl Holds {
    /// Orders in force, in the order they were set.
    pub fn in_force(&self) -> impl Iterator<Item = &Hold> {
        self.in_force.iter()
    }

    /// Orders that are over, the latest first; only so many are remembered.
    pub fn past(&self) -> impl Iterator<Item = &Past> {
        self.past.iter().rev()
    }

    /// The place in the log that last set or released one; 0 before the first.
    pub const fn changed_seq(&self) -> u64 {
        self.changed_seq
    }

    /// The order of this id, if it is in force.
    pub fn get(&self, id: EventId) -> Option<&Hold> {
        self.in_force.iter().find(|hold| hold.id == id)
    }

    pub(crate) fn fold(&mut self, recorded: Moment<'_>, change: &Change) -> Applied {
        let Moment { seq, at, event } = recorded;
        match change {
            Change::Set(order) => {
                if self.get(event.id).is_some() {
                    return Applied::Ignored(Why::NoBearing);
                }
                self.changed_seq = seq;
                self.in_force.push(Hold {
                    id: event.id,
                    order: order.clone(),
                    at,
                    seq,
                    confirmed: BTreeMap::new(),
                });
            }
            Change::Released { hold, by, reason } => {
                let Some(place) = self.in_force.iter().position(|known| known.id == *hold) else {
                    return Applied::Ignored(Why::NoBearing);
                };
                self.changed_seq = seq;
                self.past.push_back(Past {
                    hold: self.in_force.remove(place),
                    at,
                    by: by.clone(),
                    reason: reason.clone(),
                });
                if self.past.len() > PAST_MAX {
                    self.past.pop_front();
                }
            }
            Change::Confirmed { hold } => {
                let known = self.in_force.iter_mut().find(|known| known.id == *hold);
                let (Some(known), Some(host)) = (known, &event.host) else {
                    return Applied::Ignored(Why::NoBearing);
                };
                known.confirmed.entry(host.clone()).or_insert(at);
            }
        }
        Applied::Changed
    }

    /// The order that this request set, in force or over.
    pub fn of_request(&self, request: &str) -> Option<&Hold> {
        let past = self.past.iter().map(|past| &past.hold);
        self.in_force
            .iter()
            .chain(past)
            .find(|hold| hold.order.request.as_deref() == Some(request))
    }
}
