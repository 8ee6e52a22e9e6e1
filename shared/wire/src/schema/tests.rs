use super::*;
use crate::api::{
    AuditDigestRequest, Cursor, HelloRequest, HostsListRequest, SessionDetailRequest, SessionRequest,
    SessionsListRequest,
};
use muster_domain::fleet::SessionKey;
use muster_domain::names::{AgentName, HostName, SessionId};
use muster_domain::state::SessionState;
use muster_domain::time::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::BTreeSet;

/// A request with every member set. No `..`: a new member makes this a compile error.
struct Full {
    operation: Operation,
    value: Value,
    reads: fn(Value) -> bool,
}

fn full<T: Serialize + DeserializeOwned>(operation: Operation, request: &T) -> Full {
    Full {
        operation,
        value: serde_json::to_value(request).unwrap(),
        reads: |value| serde_json::from_value::<T>(value).is_ok(),
    }
}

fn host() -> HostName {
    HostName::new("web-01").unwrap()
}

fn id() -> SessionId {
    SessionId::new("s1").unwrap()
}

fn requests() -> Vec<Full> {
    vec![
        full(
            Operation::Hello,
            &HelloRequest {
                proto_min: Some(1),
                proto_max: Some(1),
            },
        ),
        full(
            Operation::SessionsList,
            &SessionsListRequest {
                cursor: Some(Cursor::after(SessionKey { host: host(), id: id() })),
                limit: Some(1),
                host: Some(host()),
                agent: Some(AgentName::new("codex").unwrap()),
                state: Some(SessionState::Idle),
                since: Some(Timestamp::from_millis(1)),
            },
        ),
        full(
            Operation::SessionsStatus,
            &SessionRequest {
                id: id(),
                host: Some(host()),
            },
        ),
        full(
            Operation::SessionsDetail,
            &SessionDetailRequest {
                id: id(),
                host: Some(host()),
                after_seq: Some(1),
                limit: Some(1),
            },
        ),
        full(
            Operation::HostsList,
            &HostsListRequest {
                cursor: Some(host()),
                limit: Some(1),
            },
        ),
        full(Operation::AuditDigest, &AuditDigestRequest { at_seq: Some(1) }),
    ]
}

fn keys(value: &Value) -> BTreeSet<String> {
    value.as_object().unwrap().keys().cloned().collect()
}

#[test]
fn a_schema_has_the_members_of_its_request_and_requires_what_the_request_does() {
    for Full {
        operation,
        value,
        reads,
    } in requests()
    {
        let schema = request(operation).unwrap();
        assert_eq!(keys(&schema["properties"]), keys(&value), "{operation}");
        let required = schema["required"].as_array().unwrap();
        for key in keys(&value) {
            let mut without = value.clone();
            without.as_object_mut().unwrap().shift_remove(&key);
            assert_eq!(
                required.contains(&json!(key)),
                !reads(without),
                "{operation}: is {key} required?"
            );
        }
    }
}

#[test]
fn every_schema_is_held_against_a_type() {
    let held: BTreeSet<Operation> = requests().iter().map(|full| full.operation).collect();
    for (operation, schema) in REQUESTS {
        let asks_nothing = schema()["properties"] == json!({});
        assert!(
            asks_nothing || held.contains(operation),
            "{operation} is held against no type"
        );
    }
}
