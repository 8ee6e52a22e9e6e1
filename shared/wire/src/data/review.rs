//! `runtime.feedback.*`, `runtime.case.*`, `runtime.rule.*` and `runtime.review.*`: what was said of sessions, which are
//! kept, by which rules, and which wait for somebody to look at them.
//!
//! What was said or done is written as the domain says it: its words are the contract's own.

use super::Payload;
use super::runtime::RuntimeMetadata;
use crate::envelope::RawData;
use muster_domain::family::{CaseKind, FeedbackKind, ReviewKind, RuleKind};
use muster_domain::review::{Change, ReviewFact};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// A change.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Reviewed<T> {
    /// What every decision carries.
    pub runtime: RuntimeMetadata,
    /// Digest of what the request asked.
    pub request_digest: u64,
    /// What was said or done.
    #[serde(flatten)]
    pub change: T,
}

impl<T: Serialize> Payload for Reviewed<T> {}

/// The payload of a change.
pub(crate) fn encode(runtime: RuntimeMetadata, fact: ReviewFact) -> RawData {
    let (_, request_digest) = fact.request;
    match fact.change {
        Change::Annotated(change) => write(runtime, request_digest, change),
        Change::CaseCreated(change) | Change::Queued(change) => write(runtime, request_digest, change),
        Change::CaseArchived(change) | Change::Resolved(change) | Change::Dismissed(change) => {
            write(runtime, request_digest, change)
        }
        Change::RuleCreated(change) => write(runtime, request_digest, change),
        Change::RuleEnabled(change) | Change::RuleDisabled(change) => write(runtime, request_digest, change),
        Change::RuleRan(change) => write(runtime, request_digest, change),
    }
}

fn write<T: Serialize>(runtime: RuntimeMetadata, request_digest: u64, change: T) -> RawData {
    let reviewed = Reviewed {
        runtime,
        request_digest,
        change,
    };
    reviewed.to_raw()
}

/// Reads what was said of a session.
pub(crate) fn feedback(kind: FeedbackKind, data: &str) -> Option<ReviewFact> {
    match kind {
        FeedbackKind::Annotated => read(data, Change::Annotated),
    }
}

/// Reads what became of a case.
pub(crate) fn case(kind: CaseKind, data: &str) -> Option<ReviewFact> {
    match kind {
        CaseKind::Created => read(data, Change::CaseCreated),
        CaseKind::Archived => read(data, Change::CaseArchived),
    }
}

/// Reads what became of a session that waits for somebody to look at it.
pub(crate) fn review(kind: ReviewKind, data: &str) -> Option<ReviewFact> {
    match kind {
        ReviewKind::Queued => read(data, Change::Queued),
        ReviewKind::Resolved => read(data, Change::Resolved),
        ReviewKind::Dismissed => read(data, Change::Dismissed),
    }
}

/// Reads what became of a rule.
pub(crate) fn rule(kind: RuleKind, data: &str) -> Option<ReviewFact> {
    match kind {
        RuleKind::Created => read(data, Change::RuleCreated),
        RuleKind::Enabled => read(data, Change::RuleEnabled),
        RuleKind::Disabled => read(data, Change::RuleDisabled),
        RuleKind::Ran => read(data, Change::RuleRan),
    }
}

fn read<T: DeserializeOwned>(data: &str, change: impl FnOnce(T) -> Change) -> Option<ReviewFact> {
    let reviewed: Reviewed<T> = serde_json::from_str(data).ok()?;
    Some(ReviewFact {
        change: change(reviewed.change),
        request: (reviewed.runtime.request_id.into(), reviewed.request_digest),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{decision, decode};
    use muster_domain::alert::Severity;
    use muster_domain::conclusion::{Cause, Conclusion, Draft};
    use muster_domain::fact::{Decision, Fact};
    use muster_domain::fleet::SessionKey;
    use muster_domain::ids::EventId;
    use muster_domain::names::{HostName, SessionId};
    use muster_domain::review::{Action, Annotation, By, Closing, Definition, Label, Opening, Ran, Score, Switch};
    use muster_domain::time::Timestamp;
    use uuid::Uuid;

    fn changes() -> Vec<(&'static str, Change)> {
        let session = SessionKey {
            host: HostName::new("web-01").unwrap(),
            id: SessionId::new("s1").unwrap(),
        };
        let by = By::Caller {
            name: "op-anna".into(),
            session: SessionId::new("s2").ok(),
        };
        let annotation = Annotation {
            id: 1,
            session: session.clone(),
            score: Score::try_from(2).ok(),
            label: Some(Label::Regression),
            note: None,
            by: by.clone(),
        };
        let opening = Opening {
            id: 7,
            session,
            reason: "it deleted the tests".into(),
            label: Some(Label::Bug),
            by: by.clone(),
        };
        let queued = Opening {
            label: None,
            by: By::Rule {
                rule: 3,
                name: "loud".into(),
            },
            ..opening.clone()
        };
        let closing = Closing {
            id: 7,
            by: by.clone(),
            note: Some("fixed".into()),
        };
        let definition = Definition {
            id: 3,
            name: "loud".into(),
            filter: "errors>=3".into(),
            action: Action::EmitAlert,
            message: None,
            severity: Severity::Info,
            by: by.clone(),
        };
        let switch = Switch { id: 3, by: by.clone() };
        let ran = Ran {
            id: 3,
            matched: 2,
            acted: 1,
            by,
        };
        vec![
            ("runtime.feedback.annotated", Change::Annotated(annotation)),
            ("runtime.case.created", Change::CaseCreated(opening)),
            ("runtime.case.archived", Change::CaseArchived(closing.clone())),
            ("runtime.review.queued", Change::Queued(queued)),
            ("runtime.review.resolved", Change::Resolved(closing.clone())),
            ("runtime.review.dismissed", Change::Dismissed(closing)),
            ("runtime.rule.created", Change::RuleCreated(definition)),
            ("runtime.rule.enabled", Change::RuleEnabled(switch.clone())),
            ("runtime.rule.disabled", Change::RuleDisabled(switch)),
            ("runtime.rule.ran", Change::RuleRan(ran)),
        ]
    }

    #[test]
    fn what_was_said_and_done_is_folded_as_it_was_concluded() {
        for (event_type, change) in changes() {
            let fact = ReviewFact {
                change,
                request: ("r1".into(), u64::MAX),
            };
            let draft = Draft {
                host: None,
                session: None,
                agent: None,
                profile: None,
                conclusion: Conclusion::Review(Box::new(fact.clone())),
                cause: Cause::Request("r1".into()),
            };
            let id = EventId::from_uuid(Uuid::from_u128(2));
            let sent = decision::envelope(&draft, id, Timestamp::from_millis(5));
            assert_eq!(sent.event_type.to_string(), event_type);
            assert_eq!(
                decode::event(&sent).fact,
                Fact::Decision(Decision::Review(Box::new(fact)))
            );
        }
    }
}
