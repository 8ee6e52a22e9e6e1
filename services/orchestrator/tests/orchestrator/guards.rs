//! Escalations and execution gates of leased work.

use crate::hub::Hub;
use muster_wire::subject::Operation;
use serde_json::{Value, json};

async fn ask(hub: &Hub, operation: Operation, body: Value) -> Value {
    let answer = hub.ask(operation, body).await.unwrap();
    serde_json::from_slice(&answer).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blocking_escalation_makes_policy_ask_for_somebody_until_it_is_cleared() {
    let hub = Hub::start().await;
    let orchestrator = hub.orchestrator("a", &[]);
    let _: muster_wire::api::Reply<Value> = hub.answer(Operation::Hello, json!({})).await;
    let start = json!({"workspace": "/repo", "actor_id": "a", "lease_seconds": 600});
    let started = ask(&hub, Operation::SessionsStart, start).await;
    let session = started["session"]["session_id"].clone();
    let check = json!({"action": "local_execution", "session": session, "dry_run": true});
    let checked = ask(&hub, Operation::PolicyCheck, check.clone()).await;
    assert_eq!(checked["decision"], "allow");

    let raise = json!({
        "workspace": "/repo", "actor_id": "a", "kind": "blocking", "reason": "which of the two?", "request_id": "r1",
    });
    let raised = ask(&hub, Operation::EscalationsSet, raise.clone()).await;
    assert_eq!(
        (&raised["outcome"], &raised["revision"]),
        (&json!("applied"), &json!(2))
    );
    assert_eq!(raised["escalations"][0]["id"], "esc_r1");
    assert_eq!(raised["retry_class"], "retry_after_reread");
    let again = ask(&hub, Operation::EscalationsSet, raise).await;
    assert_eq!(
        (&again["outcome"], &again["revision"]),
        (&json!("idempotent_noop"), &json!(2))
    );
    let checked = ask(&hub, Operation::PolicyCheck, check.clone()).await;
    assert_eq!(checked["decision"], "escalation_required");
    assert_eq!(checked["reason_code"], "blocking_escalation_active");
    let said = hub.until_events("runtime.status.set_escalation", 1).await;
    assert_eq!(said[0]["data"]["guards"]["escalations"][0]["kind"], "blocking");

    let other = json!({"workspace": "/repo", "actor_id": "b"});
    let refused = ask(&hub, Operation::EscalationsClear, other).await;
    assert_eq!(
        (&refused["status"], &refused["outcome"]),
        (&json!("failed"), &json!("ownership_conflict"))
    );
    let own = json!({"workspace": "/repo", "actor_id": "a"});
    let cleared = ask(&hub, Operation::EscalationsClear, own.clone()).await;
    assert_eq!(
        (&cleared["outcome"], &cleared["escalations"]),
        (&json!("applied"), &json!([]))
    );
    assert_eq!(ask(&hub, Operation::PolicyCheck, check).await["decision"], "allow");

    let seed = json!({
        "workspace": "/repo", "actor_id": "a", "seeded_from": "definition_of_done", "gates": ["builds", "tests pass"],
    });
    let seeded = ask(&hub, Operation::GatesSeed, seed).await;
    assert_eq!(seeded["attention_anchor"], 0);
    ask(&hub, Operation::GatesAdvance, own.clone()).await;
    let status = json!({"workspace": "/repo", "actor_id": "a", "index": 1, "status": "blocked"});
    ask(&hub, Operation::GatesSetStatus, status).await;
    let listed = ask(&hub, Operation::GatesList, json!({"workspace": "/repo"})).await;
    let statuses: Vec<_> = listed["execution_gates"]
        .as_array()
        .unwrap()
        .iter()
        .map(|gate| &gate["status"])
        .collect();
    assert_eq!(statuses, [&json!("done"), &json!("blocked")]);
    assert_eq!(listed["attention_anchor"], 1);
    let replaced = json!({"workspace": "/repo", "actor_id": "a", "gates": ["ships"]});
    assert_eq!(
        ask(&hub, Operation::GatesReplace, replaced).await["attention_anchor"],
        0
    );
    let cleared = ask(&hub, Operation::GatesClear, own).await;
    assert_eq!(cleared["execution_gates"], json!([]));
    let empty = json!({"workspace": "/repo", "actor_id": "a", "kind": "blocking", "reason": " "});
    assert!(hub.ask(Operation::EscalationsSet, empty).await.is_err());
    orchestrator.stop().await;
}
