//! `runtime.effect.*`, what a host shall do, and `agent.effect.*`, what it says became of it.
//!
//! The session of a request's subject is the one it is for; for a spawn, the one that begins. An effect's id is that of
//! the event that asks for it.

use super::runtime::RuntimeMetadata;
use crate::time;
use muster_domain::effect::{Action, ActionKind, By, EffectFact, End, Order, Receipt, Word};
use muster_domain::family::EffectReceiptKind;
use muster_domain::ids::EffectId;
use muster_domain::names::{RunId, SessionId};
use muster_domain::time::Timestamp;
use serde::{Deserialize, Serialize};

/// `runtime.effect.requested`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EffectRequested {
    /// What every decision carries.
    pub runtime: RuntimeMetadata,
    /// The run that shall do it; none for a spawn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<RunId>,
    /// Until when it may begin, by the hub's clock.
    #[serde(with = "time")]
    pub expires_at: Timestamp,
    /// Who wants it.
    pub by: EffectBy,
    /// What.
    pub action: Action,
}

/// Who wants something done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EffectBy {
    /// The name the request came under.
    pub caller: String,
    /// The session on whose behalf it was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<SessionId>,
}

impl EffectRequested {
    pub(crate) fn new(runtime: RuntimeMetadata, order: Order) -> Self {
        Self {
            runtime,
            run: order.run,
            expires_at: order.expires,
            by: EffectBy {
                caller: order.by.caller.into(),
                session: order.by.session,
            },
            action: order.action,
        }
    }

    pub(crate) fn into_fact(self) -> EffectFact {
        EffectFact::Requested(Box::new(Order {
            run: self.run,
            action: self.action,
            by: By {
                caller: self.by.caller.into(),
                session: self.by.session,
            },
            request: self.runtime.request_id.into(),
            expires: self.expires_at,
        }))
    }
}

/// `runtime.effect.withdrawn`: it is not carried out, if it was not begun. For the reason `unknown`, it was begun, and nobody
/// expects any more to hear how it ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EffectWithdrawn {
    /// What every decision carries.
    pub runtime: RuntimeMetadata,
    /// Which.
    pub effect_id: EffectId,
    /// Why; `expired` where nothing was heard of it in time.
    pub reason: String,
}

/// `agent.effect.accepted`, `done` and `failed`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EffectReceipt {
    /// Which effect.
    pub effect_id: EffectId,
    /// What it is; none where the host does not know it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<ActionKind>,
    /// The run that does it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<RunId>,
    /// Why it failed, in one word: `late`, `mismatched`, `no_carrier`, `unknown`, `refused`, `interrupted`, `error`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The same, in a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

impl EffectReceipt {
    pub(crate) fn into_fact(self, kind: EffectReceiptKind) -> Receipt {
        let word = match kind {
            EffectReceiptKind::Accepted => Word::Accepted,
            EffectReceiptKind::Done => Word::Ended(End::Done),
            EffectReceiptKind::Failed => Word::Ended(End::Failed {
                reason: self.reason.unwrap_or_else(|| "error".to_owned()).into(),
                detail: self.detail.map(Into::into),
            }),
        };
        Receipt {
            id: self.effect_id,
            word,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Payload;
    use crate::decision::envelope;
    use crate::decode;
    use muster_domain::conclusion::{Cause, Conclusion, Draft};
    use muster_domain::fact::{Decision, Fact};
    use muster_domain::family::EventType;
    use muster_domain::ids::{EventId, MessageId};
    use muster_domain::names::HostName;
    use uuid::Uuid;

    fn id(n: u128) -> EventId {
        EventId::from_uuid(Uuid::from_u128(n))
    }

    fn actions() -> Vec<Action> {
        vec![
            Action::Message {
                message: MessageId::of(id(3)),
                from: "op-anna".into(),
                body: "look at \"this\"\n".into(),
                reply_to: Some(MessageId::of(id(2))),
                attempt: 2,
            },
            Action::Model { model: "opus".into() },
            Action::NewSession,
            Action::Compact { instructions: None },
            Action::Interrupt,
            Action::Stop,
            Action::Spawn {
                template: "worker".into(),
                prompt: "build it".into(),
                model: Some("haiku".into()),
                budget_usd_micros: Some(500_000),
            },
        ]
    }

    #[test]
    fn whatever_a_host_shall_do_is_read_back() {
        let orders = actions().into_iter().map(|action| Order {
            run: RunId::new("r1").ok(),
            action,
            by: By {
                caller: "op-anna".into(),
                session: SessionId::new("s").ok(),
            },
            request: "q1".into(),
            expires: Timestamp::from_millis(600_000),
        });
        let withdrawn = EffectFact::Withdrawn {
            id: EffectId::of(id(9)),
            reason: "expired".into(),
        };
        for fact in orders
            .map(|order| EffectFact::Requested(Box::new(order)))
            .chain([withdrawn])
        {
            let draft = Draft {
                host: HostName::new("web-01").ok(),
                session: SessionId::new("s").ok(),
                agent: None,
                profile: None,
                conclusion: Conclusion::Effect(fact.clone()),
                cause: Cause::Request("q1".into()),
            };
            let sent = envelope(&draft, id(1), Timestamp::default());
            let read = decode::event(&sent).fact;
            assert_eq!(read, Fact::Decision(Decision::Effect(fact)), "{}", sent.data.get());
        }
    }

    #[test]
    fn an_action_is_told_by_its_kind() {
        for (action, kind) in actions().into_iter().zip(ActionKind::ALL) {
            let written = serde_json::to_value(&action).unwrap();
            assert_eq!((action.kind(), &written["kind"]), (*kind, &kind.as_str().into()));
            assert_eq!(serde_json::from_value::<Action>(written).unwrap(), action);
            assert_eq!(ActionKind::parse(kind.as_str()), Some(*kind));
        }
    }

    #[test]
    fn whatever_a_host_says_of_an_effect_is_read_back() {
        let receipt = EffectReceipt {
            effect_id: EffectId::of(id(9)),
            kind: Some(ActionKind::Stop),
            run: RunId::new("r1").ok(),
            reason: Some("late".to_owned()),
            detail: None,
        };
        let words = [
            (EffectReceiptKind::Accepted, Word::Accepted),
            (EffectReceiptKind::Done, Word::Ended(End::Done)),
            (
                EffectReceiptKind::Failed,
                Word::Ended(End::Failed {
                    reason: "late".into(),
                    detail: None,
                }),
            ),
        ];
        for (kind, word) in words {
            let mut sent = envelope(
                &Draft {
                    host: None,
                    session: None,
                    agent: None,
                    profile: None,
                    conclusion: Conclusion::HostAdded,
                    cause: Cause::Event(id(1)),
                },
                id(5),
                Timestamp::default(),
            );
            (sent.event_type, sent.data) = (EventType::AgentEffect(kind), receipt.to_raw());
            let id = receipt.effect_id;
            assert_eq!(decode::event(&sent).fact, Fact::Effect(Receipt { id, word }));
        }
    }
}
