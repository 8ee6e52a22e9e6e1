//! Experiments through a real hub: planned, begun, compared, concluded, and the same under the next leader.

use crate::hub::{Hub, SOON};
use muster_testkit::eventually;
use muster_wire::api::Reply;
use muster_wire::subject::Operation;
use serde_json::{Value, json};

async fn ask(hub: &Hub, operation: Operation, body: Value) -> Value {
    let answer = hub.ask(operation, body).await.unwrap();
    serde_json::from_slice(&answer).unwrap()
}

async fn order(hub: &Hub, operation: Operation, body: Value) -> Value {
    hub.order(operation, &body).await.unwrap()["experiment"].clone()
}

async fn refused(hub: &Hub, operation: Operation, body: Value) -> String {
    hub.order(operation, &body).await.unwrap_err().to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_with_a_change_are_compared_to_those_without_also_under_the_next_leader() {
    let hub = Hub::start().await;
    let first = hub.orchestrator("a", &[]);
    let _: Reply<Value> = hub.answer(Operation::Hello, json!({})).await;
    let plan = json!({
        "name": "say less", "change": "a shorter prompt", "metric": "failures", "target_percent": -50,
        "treatment": "host=web-02", "request_id": "e1",
    });
    let planned = order(&hub, Operation::ExperimentsCreate, plan.clone()).await;
    let id = planned["id"].clone();
    assert_eq!(
        (&planned["state"], &planned["duration_days"], &planned["report"]),
        (&json!("draft"), &json!(14), &Value::Null)
    );
    let again = order(&hub, Operation::ExperimentsCreate, plan).await;
    assert_eq!(again["id"], id, "the same request plans the same experiment");
    order(&hub, Operation::ExperimentsStart, json!({"id": id})).await;

    let (mut left, mut right) = (hub.host("web-01"), hub.host("web-02"));
    for n in 0..5 {
        left.begin(&format!("c{n}")).await;
        right.begin(&format!("t{n}")).await;
    }
    eventually(SOON, async || (hub.sessions().await.len() == 10).then_some(())).await;
    for n in 0..5 {
        let tag = json!({"id": id, "session": format!("c{n}"), "variant": "control"});
        ask(&hub, Operation::ExperimentsTag, tag).await;
    }
    let report = ask(&hub, Operation::ExperimentsGet, json!({"id": id})).await["experiment"]["report"].clone();
    assert_eq!(
        (
            &report["control"]["sessions"],
            &report["treatment"]["sessions"],
            &report["verdict"]
        ),
        (&json!(5), &json!(5), &json!("no_difference")),
        "{report}"
    );
    let done = order(
        &hub,
        Operation::ExperimentsConclude,
        json!({"id": id, "note": "nothing failed"}),
    )
    .await;
    assert_eq!(done["concluded"]["by"], "op-anna");
    first.stop().await;

    let second = hub.orchestrator("b", &[]);
    second.ready().await;
    let shown = hub
        .answer::<Value>(Operation::ExperimentsGet, json!({"id": id}))
        .await
        .body["experiment"]
        .clone();
    assert_eq!(
        (&shown["state"], &shown["report"]),
        (&json!("concluded"), &done["report"])
    );
    let late = order(&hub, Operation::ExperimentsConclude, json!({"id": id, "note": "no"})).await;
    assert_eq!(late["concluded"]["note"], "nothing failed", "the first word counts");
    order(&hub, Operation::ExperimentsArchive, json!({"id": id})).await;
    let listed = ask(&hub, Operation::ExperimentsList, json!({})).await;
    assert_eq!(listed["experiments"], json!([]));
    let listed = ask(&hub, Operation::ExperimentsList, json!({"state": "archived"})).await;
    assert_eq!(listed["experiments"][0]["id"], id);
    second.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_experiment_is_planned_by_an_operator_and_goes_one_way() {
    let hub = Hub::start().await;
    let orchestrator = hub.orchestrator("a", &[]);
    let _: Reply<Value> = hub.answer(Operation::Hello, json!({})).await;
    let plan = json!({"name": "x", "metric": "tokens"});
    let id = order(&hub, Operation::ExperimentsCreate, plan.clone()).await["id"].clone();
    let unsigned = hub
        .ask(Operation::ExperimentsCreate, &plan)
        .await
        .unwrap_err()
        .to_string();
    assert!(unsigned.contains("403"), "{unsigned}");
    let cases = [
        (
            Operation::ExperimentsCreate,
            json!({"name": "x", "metric": "tokens", "control": "colour=red"}),
            "colour",
        ),
        (
            Operation::ExperimentsCreate,
            json!({"name": "x", "metric": "happiness"}),
            "unknown variant",
        ),
        (
            Operation::ExperimentsCreate,
            json!({"name": "", "metric": "tokens"}),
            "a name has 1 to 128 bytes",
        ),
        (
            Operation::ExperimentsConclude,
            json!({"id": id}),
            "only what runs is concluded",
        ),
        (
            Operation::ExperimentsTag,
            json!({"id": id, "session": "nobody"}),
            "no such session",
        ),
        (
            Operation::ExperimentsStart,
            json!({"id": "0198f3c2-0000-7000-8000-000000000000"}),
            "no such experiment",
        ),
    ];
    for (operation, body, words) in cases {
        let text = refused(&hub, operation, body.clone()).await;
        assert!(text.contains(words), "{body}: {text}");
    }
    order(&hub, Operation::ExperimentsStart, json!({"id": id})).await;
    let text = refused(&hub, Operation::ExperimentsArchive, json!({"id": id})).await;
    assert!(text.contains("only what does not run is archived"), "{text}");
    orchestrator.stop().await;
}
