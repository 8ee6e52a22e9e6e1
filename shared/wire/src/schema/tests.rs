mod decisions;
mod effects;
mod experiments;
mod messages;
mod review;
mod work_memory;

use super::*;
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

fn requests() -> Vec<Full> {
    let all = [
        decisions::requests(),
        effects::requests(),
        messages::requests(),
        review::requests(),
        experiments::requests(),
        work_memory::requests(),
    ];
    all.into_iter().flatten().collect()
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
