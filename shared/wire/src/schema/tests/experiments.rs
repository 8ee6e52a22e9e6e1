//! Requests of experiments, each with every member set.

use super::super::*;
use super::{Full, full};
use crate::api::{
    ExperimentRequest, ExperimentsConcludeRequest, ExperimentsCreateRequest, ExperimentsListRequest,
    ExperimentsTagRequest,
};
use muster_domain::experiment::{Metric, State, Variant};
use muster_domain::ids::ExperimentId;
use muster_domain::names::{HostName, SessionId};

pub(super) fn requests() -> Vec<Full> {
    let id: ExperimentId = "0198f3c2-0000-7000-8000-00000000000a".parse().unwrap();
    let request_id = || Some("q".to_owned());
    let one = ExperimentRequest {
        id,
        request_id: request_id(),
    };
    vec![
        full(
            Operation::ExperimentsCreate,
            &ExperimentsCreateRequest {
                name: "smaller model".to_owned(),
                hypothesis: "cheaper".to_owned(),
                change: "haiku".to_owned(),
                metric: Metric::CostUsd,
                target_percent: Some(-20),
                duration_days: Some(7),
                control: Some("model=sonnet".to_owned()),
                treatment: Some("model=haiku".to_owned()),
                request_id: request_id(),
            },
        ),
        full(
            Operation::ExperimentsList,
            &ExperimentsListRequest {
                state: Some(State::Running),
                cursor: Some(id),
                limit: Some(5),
            },
        ),
        full(Operation::ExperimentsGet, &one),
        full(Operation::ExperimentsStart, &one),
        full(Operation::ExperimentsArchive, &one),
        full(
            Operation::ExperimentsTag,
            &ExperimentsTagRequest {
                id,
                session: SessionId::new("s1").unwrap(),
                host: HostName::new("web-01").ok(),
                variant: Some(Variant::Treatment),
                request_id: request_id(),
            },
        ),
        full(
            Operation::ExperimentsConclude,
            &ExperimentsConcludeRequest {
                id,
                note: Some("keep it".to_owned()),
                request_id: request_id(),
            },
        ),
    ]
}
