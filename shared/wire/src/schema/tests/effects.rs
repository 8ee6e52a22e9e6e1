//! Requests of what hosts are told to do, each with every member set.

use super::super::*;
use super::{Full, full};
use crate::api::{
    EffectRequest, EffectsListRequest, MemoryCompactRequest, SessionsControlRequest, SessionsModelRequest,
    SessionsSpawnRequest,
};
use muster_domain::names::{HostName, SessionId};

pub(super) fn requests() -> Vec<Full> {
    let host = || HostName::new("web-01").unwrap();
    let id = || SessionId::new("s1").unwrap();
    let request_id = || Some("q".to_owned());
    let control = SessionsControlRequest {
        id: id(),
        host: Some(host()),
        request_id: request_id(),
    };
    vec![
        full(Operation::SessionsInterrupt, &control),
        full(Operation::SessionsStop, &control),
        full(Operation::SessionsReset, &control),
        full(
            Operation::SessionsModel,
            &SessionsModelRequest {
                id: id(),
                host: Some(host()),
                model: "opus".to_owned(),
                request_id: request_id(),
            },
        ),
        full(
            Operation::SessionsSpawn,
            &SessionsSpawnRequest {
                host: host(),
                template: "worker".to_owned(),
                prompt: "build it".to_owned(),
                model: Some("opus".to_owned()),
                budget_usd: Some(1.5),
                request_id: request_id(),
            },
        ),
        full(
            Operation::MemoryCompact,
            &MemoryCompactRequest {
                id: id(),
                host: Some(host()),
                instructions: Some("keep the plan".to_owned()),
                request_id: request_id(),
            },
        ),
        full(
            Operation::EffectsList,
            &EffectsListRequest {
                all: true,
                session: Some(id()),
                host: Some(host()),
                cursor: Some("0198f3c2-0000-7000-8000-00000000000a".parse().unwrap()),
                limit: Some(5),
            },
        ),
        full(
            Operation::EffectsGet,
            &EffectRequest {
                id: "0198f3c2-0000-7000-8000-00000000000a".parse().unwrap(),
            },
        ),
    ]
}
