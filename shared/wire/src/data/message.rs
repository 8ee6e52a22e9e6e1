//! `runtime.message.*`: what sessions and operators tell and ask one another. A message's id is that of the event that
//! sends it; a party is written `host/session`, `operator` for all who have the operator's token, or by an operator's name.

use super::Payload;
use super::runtime::RuntimeMetadata;
use crate::envelope::RawData;
use crate::time;
use muster_domain::family::MessageKind;
use muster_domain::ids::{EffectId, MessageId};
use muster_domain::message::{Answer, Kind, MessageFact, Party, Sent};
use muster_domain::time::Timestamp;
use serde::{Deserialize, Serialize};

/// `runtime.message.sent`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageSent {
    /// What every decision carries.
    pub runtime: RuntimeMetadata,
    /// Who writes.
    pub from: String,
    /// To whom.
    pub to: String,
    /// What for: `note`, `question` or `reminder`.
    pub kind: MessageFor,
    /// What.
    pub body: String,
    /// Among what a question's answer is chosen.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub options: Vec<String>,
    /// Whether several of them may be.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub multi: bool,
    /// The message that it answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<MessageId>,
    /// Before when it is not delivered.
    #[serde(default, with = "time::optional", skip_serializing_if = "Option::is_none")]
    pub due_at: Option<Timestamp>,
    /// Until when it waits.
    #[serde(with = "time")]
    pub expires_at: Timestamp,
    /// The name the request came under.
    pub caller: String,
}

/// What a message is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MessageFor {
    /// To be read.
    Note,
    /// To be answered.
    Question,
    /// To be read at its time.
    Reminder,
}

impl From<&Kind> for MessageFor {
    fn from(kind: &Kind) -> Self {
        match kind {
            Kind::Note => Self::Note,
            Kind::Question { .. } => Self::Question,
            Kind::Reminder => Self::Reminder,
        }
    }
}

/// `runtime.message.delivered`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageDelivered {
    /// What every decision carries.
    pub runtime: RuntimeMetadata,
    /// Which.
    pub message_id: MessageId,
    /// For the how-manieth time.
    pub attempt: u32,
    /// Until when it is not offered again.
    #[serde(default, with = "time::optional", skip_serializing_if = "Option::is_none")]
    pub lease_until: Option<Timestamp>,
    /// The effect that brought it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effect_id: Option<EffectId>,
    /// The request that took it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub taken_by: String,
}

/// `runtime.message.acked`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageAcked {
    /// What every decision carries.
    pub runtime: RuntimeMetadata,
    /// Which.
    pub message_id: MessageId,
    /// By whom.
    pub by: String,
}

/// `runtime.message.answered`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageAnswered {
    /// What every decision carries.
    pub runtime: RuntimeMetadata,
    /// Which.
    pub message_id: MessageId,
    /// What was chosen.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub choices: Vec<String>,
    /// In words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// By whom.
    pub by: String,
}

/// `runtime.message.expired`: it is not waited for any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageExpired {
    /// What every decision carries.
    pub runtime: RuntimeMetadata,
    /// Which.
    pub message_id: MessageId,
    /// Why: `expired`, `cancelled`, `undeliverable`, `interrupted`.
    pub reason: String,
}

impl MessageSent {
    pub(crate) fn new(runtime: RuntimeMetadata, sent: Sent) -> Self {
        let kind = (&sent.kind).into();
        let (options, multi) = match sent.kind {
            Kind::Question { options, multi } => (options, multi),
            Kind::Note | Kind::Reminder => (Vec::new(), false),
        };
        Self {
            runtime: RuntimeMetadata {
                request_id: sent.request.into(),
                ..runtime
            },
            from: sent.from.to_string(),
            to: sent.to.to_string(),
            kind,
            body: sent.body.into(),
            options: options.into_iter().map(Into::into).collect(),
            multi,
            reply_to: sent.reply_to,
            due_at: sent.due,
            expires_at: sent.expires,
            caller: sent.caller.into(),
        }
    }

    pub(crate) fn into_fact(self) -> Option<MessageFact> {
        let kind = match self.kind {
            MessageFor::Note => Kind::Note,
            MessageFor::Question => Kind::Question {
                options: self.options.into_iter().map(Into::into).collect(),
                multi: self.multi,
            },
            MessageFor::Reminder => Kind::Reminder,
        };
        Some(MessageFact::Sent(Box::new(Sent {
            from: Party::parse(&self.from)?,
            to: Party::parse(&self.to)?,
            body: self.body.into(),
            kind,
            reply_to: self.reply_to,
            due: self.due_at,
            expires: self.expires_at,
            caller: self.caller.into(),
            request: self.runtime.request_id.into(),
        })))
    }
}

impl MessageDelivered {
    pub(crate) fn into_fact(self) -> MessageFact {
        MessageFact::Delivered {
            id: self.message_id,
            attempt: self.attempt,
            until: self.lease_until,
            effect: self.effect_id,
            request: self.taken_by.into(),
        }
    }
}

impl MessageAnswered {
    pub(crate) fn into_fact(self) -> Option<MessageFact> {
        Some(MessageFact::Answered {
            id: self.message_id,
            answer: Answer {
                choices: self.choices.into_iter().map(Into::into).collect(),
                text: self.text.map(Into::into),
            },
            by: Party::parse(&self.by)?,
        })
    }
}

/// What happened to a message, as its event carries it.
pub(crate) fn encode(runtime: RuntimeMetadata, fact: MessageFact) -> RawData {
    match fact {
        MessageFact::Sent(sent) => MessageSent::new(runtime, *sent).to_raw(),
        MessageFact::Delivered {
            id,
            attempt,
            until,
            effect,
            request,
        } => MessageDelivered {
            runtime,
            message_id: id,
            attempt,
            lease_until: until,
            effect_id: effect,
            taken_by: request.into(),
        }
        .to_raw(),
        MessageFact::Acked { id, by } => MessageAcked {
            runtime,
            message_id: id,
            by: by.to_string(),
        }
        .to_raw(),
        MessageFact::Answered { id, answer, by } => MessageAnswered {
            runtime,
            message_id: id,
            choices: answer.choices.into_iter().map(Into::into).collect(),
            text: answer.text.map(Into::into),
            by: by.to_string(),
        }
        .to_raw(),
        MessageFact::Expired { id, reason } => MessageExpired {
            runtime,
            message_id: id,
            reason: reason.into(),
        }
        .to_raw(),
    }
}

/// The same, read.
pub(crate) fn decode(kind: MessageKind, data: &str) -> Option<MessageFact> {
    match kind {
        MessageKind::Sent => read::<MessageSent>(data)?.into_fact(),
        MessageKind::Delivered => read::<MessageDelivered>(data).map(MessageDelivered::into_fact),
        MessageKind::Acked => {
            let MessageAcked { message_id: id, by, .. } = read(data)?;
            let by = Party::parse(&by)?;
            Some(MessageFact::Acked { id, by })
        }
        MessageKind::Answered => read::<MessageAnswered>(data)?.into_fact(),
        MessageKind::Expired => {
            let MessageExpired {
                message_id: id, reason, ..
            } = read(data)?;
            let reason = reason.into();
            Some(MessageFact::Expired { id, reason })
        }
    }
}

fn read<'a, T: Deserialize<'a>>(data: &'a str) -> Option<T> {
    serde_json::from_str(data).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decision::envelope;
    use crate::decode;
    use muster_domain::conclusion::{Cause, Conclusion, Draft};
    use muster_domain::fact::{Decision, Fact};
    use muster_domain::ids::EventId;
    use uuid::Uuid;

    fn id(n: u128) -> EventId {
        EventId::from_uuid(Uuid::from_u128(n))
    }

    #[test]
    fn every_step_of_a_message_is_read_back() {
        let message = MessageId::of(id(3));
        let session = || Party::parse("web-01/s/1").unwrap();
        let kinds = [
            Kind::Note,
            Kind::Question {
                options: vec!["yes".into(), "no".into()],
                multi: true,
            },
            Kind::Reminder,
        ];
        let sent = kinds.into_iter().map(|kind| {
            MessageFact::Sent(Box::new(Sent {
                from: Party::Operator("op-anna".into()),
                to: session(),
                body: "grüße".into(),
                kind,
                reply_to: Some(MessageId::of(id(2))),
                due: Some(Timestamp::from_millis(5)),
                expires: Timestamp::from_millis(9),
                caller: "op-anna".into(),
                request: "q1".into(),
            }))
        });
        let steps = [
            MessageFact::Delivered {
                id: message,
                attempt: 2,
                until: Some(Timestamp::from_millis(7)),
                effect: None,
                request: "q2".into(),
            },
            MessageFact::Delivered {
                id: message,
                attempt: 1,
                until: None,
                effect: Some(EffectId::of(id(4))),
                request: "q1".into(),
            },
            MessageFact::Acked {
                id: message,
                by: session(),
            },
            MessageFact::Answered {
                id: message,
                answer: Answer {
                    choices: vec!["yes".into()],
                    text: Some("go".into()),
                },
                by: Party::Operators,
            },
            MessageFact::Expired {
                id: message,
                reason: "cancelled".into(),
            },
        ];
        for fact in sent.chain(steps) {
            let draft = Draft {
                host: None,
                session: None,
                agent: None,
                profile: None,
                conclusion: Conclusion::Message(fact.clone()),
                cause: Cause::Request("q1".into()),
            };
            let sent = envelope(&draft, id(1), Timestamp::default());
            let read = decode::event(&sent).fact;
            assert_eq!(read, Fact::Decision(Decision::Message(fact)), "{}", sent.data.get());
        }
    }

    #[test]
    fn a_party_is_read_back_by_its_name() {
        for name in ["operator", "op-anna", "muster", "web-01/a/b"] {
            assert_eq!(Party::parse(name).unwrap().to_string(), name);
        }
        assert_eq!(Party::parse(""), None);
        assert_eq!(Party::parse("bad host/s"), None);
    }
}
