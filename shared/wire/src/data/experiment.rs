//! `runtime.experiment.*`: comparisons of sessions, from the plan to the figures that are final.

use super::Payload;
use super::runtime::RuntimeMetadata;
use crate::envelope::RawData;
use muster_domain::experiment::{ExperimentFact, Outcome, Plan, Step, Variant};
use muster_domain::family::ExperimentKind;
use muster_domain::fleet::SessionKey;
use muster_domain::ids::ExperimentId;
use muster_domain::names::{HostName, SessionId};
use serde::{Deserialize, Serialize};

/// `created`: it is planned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExperimentCreated {
    /// What every decision carries.
    pub runtime: RuntimeMetadata,
    /// Which.
    pub experiment_id: ExperimentId,
    /// Who planned it.
    pub by: String,
    /// What is tried.
    #[serde(flatten)]
    pub plan: Plan,
}

/// `started` and `archived`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExperimentStepped {
    /// What every decision carries.
    pub runtime: RuntimeMetadata,
    /// Which.
    pub experiment_id: ExperimentId,
    /// Who did it.
    pub by: String,
}

/// `tagged`: a session is on a side of it, or on none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExperimentTagged {
    /// What every decision carries.
    pub runtime: RuntimeMetadata,
    /// Which.
    pub experiment_id: ExperimentId,
    /// Who did it.
    pub by: String,
    /// The session's host.
    pub host: HostName,
    /// The session.
    pub session: SessionId,
    /// Its side; none takes a tag away.
    pub variant: Option<Variant>,
}

/// `concluded`: its figures are final.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExperimentConcluded {
    /// What every decision carries.
    pub runtime: RuntimeMetadata,
    /// Which.
    pub experiment_id: ExperimentId,
    /// Who did it.
    pub by: String,
    /// The figures: of each side, in the metric's unit or thousandths of it.
    #[serde(flatten)]
    pub outcome: Outcome,
    /// What people make of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

pub(crate) fn encode(runtime: RuntimeMetadata, fact: ExperimentFact) -> RawData {
    let (experiment_id, by) = (fact.id, fact.by.into());
    match fact.step {
        Step::Created(plan) => ExperimentCreated {
            runtime,
            experiment_id,
            by,
            plan: *plan,
        }
        .to_raw(),
        Step::Started | Step::Archived => ExperimentStepped {
            runtime,
            experiment_id,
            by,
        }
        .to_raw(),
        Step::Tagged { session, variant } => ExperimentTagged {
            runtime,
            experiment_id,
            by,
            host: session.host,
            session: session.id,
            variant,
        }
        .to_raw(),
        Step::Concluded { outcome, note } => ExperimentConcluded {
            runtime,
            experiment_id,
            by,
            outcome,
            note: note.map(Into::into),
        }
        .to_raw(),
    }
}

pub(crate) fn decode(kind: ExperimentKind, data: &str) -> Option<ExperimentFact> {
    let (id, by, step) = match kind {
        ExperimentKind::Created => {
            let created: ExperimentCreated = serde_json::from_str(data).ok()?;
            (created.experiment_id, created.by, Step::Created(Box::new(created.plan)))
        }
        ExperimentKind::Started | ExperimentKind::Archived => {
            let stepped: ExperimentStepped = serde_json::from_str(data).ok()?;
            let step = if kind == ExperimentKind::Started {
                Step::Started
            } else {
                Step::Archived
            };
            (stepped.experiment_id, stepped.by, step)
        }
        ExperimentKind::Tagged => {
            let tagged: ExperimentTagged = serde_json::from_str(data).ok()?;
            let session = SessionKey {
                host: tagged.host,
                id: tagged.session,
            };
            let variant = tagged.variant;
            (tagged.experiment_id, tagged.by, Step::Tagged { session, variant })
        }
        ExperimentKind::Concluded => {
            let concluded: ExperimentConcluded = serde_json::from_str(data).ok()?;
            let step = Step::Concluded {
                outcome: concluded.outcome,
                note: concluded.note.map(Into::into),
            };
            (concluded.experiment_id, concluded.by, step)
        }
    };
    Some(ExperimentFact {
        id,
        step,
        by: by.into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{decision, decode};
    use muster_domain::conclusion::{Cause, Conclusion, Draft};
    use muster_domain::experiment::{Arm, Metric};
    use muster_domain::fact::{Decision, Fact};
    use muster_domain::ids::EventId;
    use muster_domain::query::Query;
    use muster_domain::time::Timestamp;
    use uuid::Uuid;

    #[test]
    fn an_experiment_is_folded_as_it_was_concluded() {
        let plan = Plan {
            name: "say less".into(),
            hypothesis: "cheaper".into(),
            change: "a shorter prompt".into(),
            metric: Metric::CostUsd,
            target_percent: -20,
            duration_days: 7,
            control: None,
            treatment: Some(Query::parse("host=web-02").unwrap()),
        };
        let session = SessionKey {
            host: HostName::new("web-01").unwrap(),
            id: SessionId::new("s1").unwrap(),
        };
        let arm = |mean_milli| Arm {
            sessions: 5,
            running: 1,
            mean_milli,
            median: 3,
            deviation_milli: 1500,
        };
        let outcome = Outcome {
            control: arm(4000),
            treatment: arm(3000),
        };
        let variant = Some(Variant::Treatment);
        let note = Some("keep it".into());
        for (kind, step) in [
            ("created", Step::Created(Box::new(plan))),
            ("started", Step::Started),
            ("tagged", Step::Tagged { session, variant }),
            ("concluded", Step::Concluded { outcome, note }),
            ("archived", Step::Archived),
        ] {
            let fact = ExperimentFact {
                id: ExperimentId::from_uuid(Uuid::from_u128(3)),
                step,
                by: "op-anna".into(),
            };
            let draft = Draft {
                host: None,
                session: None,
                agent: None,
                profile: None,
                conclusion: Conclusion::Experiment(Box::new(fact.clone())),
                cause: Cause::Request("r1".into()),
            };
            let sent = decision::envelope(
                &draft,
                EventId::from_uuid(Uuid::from_u128(2)),
                Timestamp::from_millis(5),
            );
            assert_eq!(sent.event_type.to_string(), ["runtime.experiment", kind].join("."));
            assert_eq!(
                decode::event(&sent).fact,
                Fact::Decision(Decision::Experiment(Box::new(fact)))
            );
        }
    }
}
