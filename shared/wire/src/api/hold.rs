//! Orders that hosts enforce: set, released, and listed with the hosts that do and do not enforce them yet.

use crate::time;
use muster_domain::fleet::Fleet;
use muster_domain::hold::{By, Hold, Mode, Past, Selector};
use muster_domain::host::HostState;
use muster_domain::ids::EventId;
use muster_domain::names::HostName;
use muster_domain::time::Timestamp;
use serde::{Deserialize, Serialize};

/// `holds.list`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HoldsListRequest {
    /// Those that are over, too, as far as they are remembered.
    pub past: bool,
}

/// Orders.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HoldsList {
    /// In force, in the order they were set.
    pub holds: Vec<HoldRow>,
    /// Over, the latest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub past: Vec<HoldRow>,
    /// Whether there are more than fit.
    #[serde(default)]
    pub more: bool,
}

/// `holds.set`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HoldsSetRequest {
    /// What it asks of hosts; without it, that new tool calls are denied.
    #[serde(default = "hold")]
    pub mode: Mode,
    /// Whom it is for.
    pub selector: Selector,
    /// Why, in words that an agent is shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// After how many milliseconds it ends by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_in_ms: Option<u64>,
    /// The same again sets no second one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

const fn hold() -> Mode {
    Mode::Hold
}

/// The order that is in force now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HoldsSet {
    /// It.
    pub hold: HoldRow,
}

/// `holds.release`: one by its id, those for exactly these sessions, or all of a mode.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HoldsReleaseRequest {
    /// The one of this id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<EventId>,
    /// Those that were set for exactly these sessions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub selector: Option<Selector>,
    /// All of them, whomever they are for.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub all: bool,
    /// Which kind, where no id is given; without it, those that deny calls.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<Mode>,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Names the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

/// What was released, and what stays although it was meant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HoldsReleased {
    /// Over now.
    pub released: Vec<HoldRow>,
    /// Set by a budget, which would set it again: raise or remove the budget.
    pub kept: Vec<HoldRow>,
}

/// An order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HoldRow {
    /// Its id: the event that set it.
    pub id: EventId,
    /// What it asks of hosts.
    pub mode: Mode,
    /// Whom it is for.
    pub selector: Selector,
    /// Why.
    pub reason: Option<String>,
    /// Who set it.
    pub by: By,
    /// Since when.
    #[serde(with = "time")]
    pub at: Timestamp,
    /// When it ends by itself.
    #[serde(with = "time::optional")]
    pub expires_at: Option<Timestamp>,
    /// Every host that it can be for.
    pub hosts: Vec<HoldHost>,
    /// Hosts among them that do not enforce it yet, as far as is known.
    pub unconfirmed: Vec<HostName>,
    /// How it ended; none while it is in force.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub released: Option<HoldEnd>,
}

/// A host, and whether it enforces an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HoldHost {
    /// Its name.
    pub host: HostName,
    /// Whether it is there.
    pub state: HostState,
    /// Since when it is known to enforce the order.
    #[serde(with = "time::optional")]
    pub confirmed_at: Option<Timestamp>,
}

/// How an order ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HoldEnd {
    /// When.
    #[serde(with = "time")]
    pub at: Timestamp,
    /// By whom.
    pub by: By,
    /// Why.
    pub reason: Option<String>,
}

impl HoldRow {
    /// The row of an order in force.
    pub fn new(fleet: &Fleet, hold: &Hold) -> Self {
        // A host that was removed runs no agents any more; one that is lost or stopping may.
        let there = fleet
            .hosts()
            .iter()
            .filter(|(name, host)| host.state() != HostState::Removed && hold.order.selector.reaches(name));
        let hosts: Vec<HoldHost> = there
            .map(|(name, host)| HoldHost {
                host: name.clone(),
                state: host.state(),
                confirmed_at: hold.confirmed.get(name).copied(),
            })
            .collect();
        let order = hold.order.clone();
        Self {
            id: hold.id,
            mode: order.mode,
            selector: order.selector,
            reason: order.reason,
            by: order.by,
            at: hold.at,
            expires_at: order.expires_at,
            unconfirmed: hosts
                .iter()
                .filter(|host| host.confirmed_at.is_none())
                .map(|host| host.host.clone())
                .collect(),
            hosts,
            released: None,
        }
    }

    /// The row of an order that is over.
    pub fn past(fleet: &Fleet, past: &Past) -> Self {
        Self {
            released: Some(HoldEnd {
                at: past.at,
                by: past.by.clone(),
                reason: past.reason.clone(),
            }),
            ..Self::new(fleet, &past.hold)
        }
    }
}
