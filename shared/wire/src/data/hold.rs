//! `runtime.hold.*`: orders that hosts enforce.

use super::runtime::RuntimeMetadata;
use crate::time;
use muster_domain::hold::{By, Change, Mode, Order, Selector};
use muster_domain::ids::EventId;
use muster_domain::time::Timestamp;
use serde::{Deserialize, Serialize};

/// `set`: the order is in force, under the id of this event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HoldSet {
    /// What every decision carries.
    pub runtime: RuntimeMetadata,
    /// `hold` denies new tool calls, `away` has questions wait for an answer from elsewhere.
    pub mode: Mode,
    /// Whom it is for.
    pub selector: Selector,
    /// Why, in words that an agent is shown.
    #[serde(default)]
    pub reason: Option<String>,
    /// Who set it.
    pub by: By,
    /// When it ends by itself.
    #[serde(default, with = "time::optional")]
    pub expires_at: Option<Timestamp>,
    /// The request that set it; none where a budget did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

/// `released`: it is no longer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HoldReleased {
    /// What every decision carries.
    pub runtime: RuntimeMetadata,
    /// Which: the id of the event that set it.
    pub hold_id: EventId,
    /// Who released it.
    pub by: By,
    /// Why.
    #[serde(default)]
    pub reason: Option<String>,
}

/// `confirmed`: the event's host enforces it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HoldConfirmed {
    /// What every decision carries.
    pub runtime: RuntimeMetadata,
    /// Which.
    pub hold_id: EventId,
}

impl HoldSet {
    /// As it is written.
    pub fn new(runtime: RuntimeMetadata, order: Order) -> Self {
        let Order {
            mode,
            selector,
            reason,
            by,
            expires_at,
            request,
        } = order;
        Self {
            runtime,
            mode,
            selector,
            reason,
            by,
            expires_at,
            request_id: request,
        }
    }

    /// As it is folded.
    pub fn into_change(self) -> Change {
        Change::Set(Order {
            mode: self.mode,
            selector: self.selector,
            reason: self.reason,
            by: self.by,
            expires_at: self.expires_at,
            request: self.request_id,
        })
    }
}

#[cfg(test)]
mod tests {
    use crate::{decision, decode};
    use muster_domain::budget::{self, Measure, Reached, Rule, Scope, Subject, Window};
    use muster_domain::conclusion::{Cause, Conclusion, Draft};
    use muster_domain::fact::{Decision, Fact};
    use muster_domain::fleet::SessionKey;
    use muster_domain::hold::{self, By, Mode, Order, Selector};
    use muster_domain::ids::EventId;
    use muster_domain::names::{HostName, SessionId};
    use muster_domain::time::Timestamp;
    use uuid::Uuid;

    fn id() -> EventId {
        EventId::from_uuid(Uuid::from_u128(7))
    }

    fn read_back(conclusion: Conclusion) -> Fact {
        let draft = Draft {
            host: None,
            session: None,
            agent: None,
            profile: None,
            conclusion,
            cause: Cause::Request("r1".into()),
        };
        decode::event(&decision::envelope(&draft, id(), Timestamp::default())).fact
    }

    #[test]
    fn what_is_decided_of_orders_is_read_back_as_it_was() {
        let order = Order {
            mode: Mode::Away,
            selector: Selector::Session {
                host: None,
                session: SessionId::new("s1").unwrap(),
            },
            reason: Some("lunch".to_owned()),
            by: By::Budget {
                budget: "fleet/usd".to_owned(),
            },
            expires_at: Some(Timestamp::from_millis(1_795_262_400_123)),
            request: Some("r1".to_owned()),
        };
        let released = hold::Change::Released {
            hold: id(),
            by: By::Deadline,
            reason: None,
        };
        for change in [
            hold::Change::Set(order),
            released,
            hold::Change::Confirmed { hold: id() },
        ] {
            let fact = read_back(Conclusion::Hold(change.clone()));
            assert_eq!(fact, Fact::Decision(Decision::Hold(change)));
        }
    }

    #[test]
    fn what_is_decided_of_budgets_is_read_back_as_it_was() {
        let reached = Reached {
            id: "session:*/calls-per-minute".to_owned(),
            subject: Subject::Session(SessionKey {
                host: HostName::new("web-01").unwrap(),
                id: SessionId::new("s1").unwrap(),
            }),
            measure: Measure::Calls,
            spent: 120,
            limit: 120,
            until: Some(Timestamp::from_millis(1_795_262_460_000)),
        };
        let rule = Rule {
            scope: Scope::Session {
                host: None,
                session: None,
            },
            measure: Measure::Calls,
            limit: 120,
            window: Some(Window::Minute),
        };
        for change in [
            budget::Change::Set {
                rule,
                by: Some("op-anna".to_owned()),
            },
            budget::Change::Removed {
                id: "fleet/usd".to_owned(),
                by: None,
            },
            budget::Change::Warned(reached.clone()),
            budget::Change::Exceeded(reached),
        ] {
            let fact = read_back(Conclusion::Budget(change.clone()));
            assert_eq!(fact, Fact::Decision(Decision::Budget(change)));
        }
    }
}
