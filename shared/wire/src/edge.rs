//! What hosts enforce without asking: the documents of the bucket `edge`.
//!
//! Each key holds one whole document, a projection of the orchestrator's state. Only the leader writes it, after what it
//! says is folded. It names the place in the log that it reflects, so that an older view never replaces a newer one; hosts
//! keep the last they saw, and enforce it while the hub is away. Unknown members are ignored, so a document may grow.

use crate::time;
use muster_domain::circuit::{self, State};
use muster_domain::hold::{Mode, Selector};
use muster_domain::ids::EventId;
use muster_domain::names::{HostName, SessionId, ToolCallId};
use muster_domain::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The shape that is written today.
pub const SCHEMA: u32 = 1;

/// The key of [`Holds`].
pub const HOLDS: &str = "holds";
/// The key of [`Circuits`].
pub const CIRCUITS: &str = "circuits";
/// The key of [`Policy`].
pub const POLICY: &str = "policy";

/// What every document says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// [`SCHEMA`] when it was written.
    pub schema: u32,
    /// Where in the log it was drawn from.
    #[serde(flatten)]
    pub mark: Mark,
}

/// A place in a log. Of two marks the later log counts more than the later place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Mark {
    /// When the log was created: a sequence of another log is another place.
    #[serde(with = "time")]
    pub stream_created: Timestamp,
    /// The log's sequence that last changed what the document says; 0 where nothing ever did.
    pub seq: u64,
}

impl Head {
    /// The head of a document that is written now.
    pub const fn new(mark: Mark) -> Self {
        Self { schema: SCHEMA, mark }
    }
}

/// Holds in force, and who is away.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holds {
    /// About the document.
    #[serde(flatten)]
    pub head: Head,
    /// In the order they were set.
    pub holds: Vec<Hold>,
}

/// One order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// Its id: the event that set it.
    pub id: EventId,
    /// What it asks.
    pub mode: Mode,
    /// Whom it is for.
    pub selector: Selector,
    /// Why, in words that an agent is shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Who set it.
    pub by: String,
    /// When it ends by itself. A host lets go of it then, also while the hub is away.
    #[serde(default, with = "time::optional", skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
}

/// Agents whose circuit is not closed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Circuits {
    /// About the document.
    #[serde(flatten)]
    pub head: Head,
    /// By agent.
    pub circuits: Vec<Circuit>,
}

impl Circuits {
    /// The document, drawn from the state.
    pub fn of(circuits: &circuit::Circuits, settings: &circuit::Settings, head: Head) -> Self {
        let circuits = circuits.all().iter().filter_map(|(agent, circuit)| {
            let (state, until, holder) = match circuit.state() {
                State::Closed => return None,
                State::Open { until, .. } => (CircuitState::Open, *until, None),
                State::HalfOpen(probe) => (CircuitState::HalfOpen, probe.expires, Some(&probe.holder)),
            };
            Some(Circuit {
                agent: agent.to_string(),
                state,
                until,
                grace_until: Some(until.after(settings.grace)),
                holder: holder.map(|holder| Holder {
                    host: holder.session.host.clone(),
                    session: holder.session.id.clone(),
                    tool_use_id: holder.call.clone(),
                }),
                expires: holder.map(|_| until),
                reason: circuit.reason(),
            })
        });
        Self {
            head,
            circuits: circuits.collect(),
        }
    }
}

/// An agent that may not be used now, or by one session only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Circuit {
    /// The agent's name.
    pub agent: String,
    /// How it stands.
    pub state: CircuitState,
    /// Until when it is not tried again.
    #[serde(with = "time")]
    pub until: Timestamp,
    /// Until when a host that cannot reach the hub still refuses it; afterwards it asks.
    #[serde(default, with = "time::optional", skip_serializing_if = "Option::is_none")]
    pub grace_until: Option<Timestamp>,
    /// Who may try it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub holder: Option<Holder>,
    /// Until when the holder may.
    #[serde(default, with = "time::optional", skip_serializing_if = "Option::is_none")]
    pub expires: Option<Timestamp>,
    /// Why it is not closed.
    pub reason: String,
}

/// How a circuit that is not closed stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CircuitState {
    /// Nobody may use it.
    Open,
    /// One session may try it.
    HalfOpen,
}

/// The session that may try an agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// Its host.
    pub host: HostName,
    /// Its id.
    pub session: SessionId,
    /// The call that may, where its agent names calls.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool_use_id: Option<ToolCallId>,
}

/// The rules in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// About the document.
    #[serde(flatten)]
    pub head: Head,
    /// Counts activations; 0 where there never was one.
    pub version: u64,
    /// A digest of the sources.
    pub fingerprint: String,
    /// The files, in order.
    pub sources: Vec<Source>,
    /// Since when.
    #[serde(default, with = "time::optional", skip_serializing_if = "Option::is_none")]
    pub activated_at: Option<Timestamp>,
    /// Who activated them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
}

/// One file of rules.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// Its name.
    pub name: String,
    /// What it says.
    pub text: String,
}

/// What a host says in `presence` about the rules it enforces.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Applied {
    /// The highest revision of the bucket among the documents it enforces; 0 before the first.
    #[serde(default)]
    pub edge_revision: u64,
    /// The place in the log that each document it enforces reflects, by key.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub edge: BTreeMap<String, Mark>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_document_is_flat_and_reads_back() {
        let value = json!({
            "schema": 1, "stream_created": "2026-11-21T12:00:00.000Z", "seq": 17,
            "holds": [{
                "id": "0198f3c2-0000-7000-8000-000000000000", "mode": "hold",
                "selector": {"kind": "label", "key": "team", "value": "a"},
                "reason": "deploy", "by": "operator op-anna",
            }],
        });
        let holds: Holds = serde_json::from_value(value.clone()).unwrap();
        assert_eq!(holds.head.mark.seq, 17);
        assert_eq!(serde_json::to_value(&holds).unwrap(), value);
    }

    #[test]
    fn of_two_marks_the_later_log_counts_more_than_the_later_place() {
        let mark = |created, seq| Mark {
            stream_created: Timestamp::from_millis(created),
            seq,
        };
        assert!(mark(1, 9) < mark(2, 1));
        assert!(mark(2, 1) < mark(2, 2));
    }

    #[test]
    fn a_card_without_marks_says_that_nothing_is_enforced() {
        let applied: Applied = serde_json::from_value(json!({"instance": "x", "edge_revision": 0})).unwrap();
        assert_eq!(applied, Applied::default());
    }
}
