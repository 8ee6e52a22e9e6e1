//! Work on a workspace, held through a real hub and taken over when it is not kept.

use crate::hub::{Hub, SOON};
use muster_testkit::eventually;
use muster_wire::subject::Operation;
use serde_json::{Value, json};

async fn ask(hub: &Hub, operation: Operation, body: Value) -> Value {
    let answer = hub.ask(operation, body).await.expect("an answer");
    serde_json::from_slice(&answer).expect("JSON")
}

#[tokio::test(flavor = "multi_thread")]
async fn work_is_listed_once_in_pages_whoever_it_is_for() {
    let hub = Hub::start().await;
    let orchestrator = hub.orchestrator("a", &[]);
    let _: muster_wire::api::Reply<Value> = hub.answer(Operation::Hello, json!({})).await;
    for workspace in ["/b", "/a", "/c"] {
        for profile in [Value::Null, json!("work"), json!("home")] {
            let start = json!({"workspace": workspace, "profile": profile, "actor_id": "ann", "lease_seconds": 600});
            let started = ask(&hub, Operation::SessionsStart, start).await;
            assert_eq!(started["session"]["caller"], "op-anna");
        }
    }
    let (mut seen, mut cursor) = (Vec::new(), Value::Null);
    loop {
        let page = ask(&hub, Operation::SessionsLeases, json!({"cursor": cursor, "limit": 2})).await;
        for row in page["leases"].as_array().unwrap() {
            seen.push((row["profile"].clone(), row["workspace"].clone()));
        }
        cursor = page["next_cursor"].clone();
        if cursor.is_null() {
            break;
        }
    }
    let profiles = [Value::Null, json!("home"), json!("work")];
    let each = profiles
        .iter()
        .flat_map(|profile| ["/a", "/b", "/c"].map(|workspace| (profile.clone(), json!(workspace))));
    assert_eq!(seen, each.collect::<Vec<_>>());
    let forever = json!({"workspace": "/d", "actor_id": "ann", "lease_seconds": 604_801});
    assert!(hub.ask(Operation::SessionsStart, forever).await.is_err());
    orchestrator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn work_is_kept_by_heartbeats_and_taken_over_without_them_also_under_the_next_leader() {
    let hub = Hub::start().await;
    let first = hub.orchestrator("a", &[]);
    let _: muster_wire::api::Reply<Value> = hub.answer(Operation::Hello, json!({})).await;
    let start = json!({"workspace": "/repo", "actor_id": "ann", "lease_seconds": 600, "request_id": "r1"});
    let started = ask(&hub, Operation::SessionsStart, start.clone()).await;
    assert_eq!((&started["status"], &started["revision"]), (&json!("ok"), &json!(1)));
    assert_eq!(started["retry_class"], "retry_after_reread");
    let again = ask(&hub, Operation::SessionsStart, start).await;
    assert_eq!(
        (&again["outcome"], &again["revision"]),
        (&json!("idempotent_noop"), &json!(1))
    );
    let beat = json!({"workspace": "/repo", "actor_id": "ann", "activity": "building"});
    let kept = ask(&hub, Operation::SessionsHeartbeat, beat.clone()).await;
    assert_eq!(kept["session"]["activity"], "building");
    let other = json!({"workspace": "/repo", "actor_id": "bob", "lease_seconds": 600});
    let refused = ask(&hub, Operation::SessionsStart, other.clone()).await;
    assert_eq!(
        (&refused["status"], &refused["outcome"]),
        (&json!("failed"), &json!("ownership_conflict"))
    );

    // A lease of a second, which nobody keeps.
    let short = json!({"workspace": "/other", "actor_id": "ann", "lease_seconds": 1});
    let short = ask(&hub, Operation::SessionsStart, short).await;
    first.stop().await;
    let second = hub.orchestrator("b", &[]);
    let _: muster_wire::api::Reply<Value> = hub.answer(Operation::Hello, json!({})).await;
    let stale = json!({"workspace": "/other"});
    eventually(SOON, async || {
        let list = ask(&hub, Operation::SessionsLeases, stale.clone()).await;
        (list["leases"][0]["stale"] == true).then_some(())
    })
    .await;
    let take = json!({"workspace": "/other", "actor_id": "bob", "reason": "it is silent"});
    let taken = ask(&hub, Operation::SessionsTakeover, take).await;
    assert_eq!(
        (&taken["status"], &taken["retry_class"]),
        (&json!("ok"), &json!("do_not_retry"))
    );
    assert_eq!(taken["prior_session_id"], short["session"]["session_id"]);
    assert_eq!(
        (&taken["prior_actor_id"], &taken["session"]["actor_id"]),
        (&json!("ann"), &json!("bob"))
    );
    let kept = ask(&hub, Operation::SessionsHeartbeat, beat).await;
    assert_eq!(
        kept["outcome"], "applied",
        "what she keeps is hers under the next leader too"
    );

    let said = hub.until_events("runtime.status.takeover_session", 1).await;
    assert_eq!(said[0]["data"]["reason"], "it is silent");
    assert_eq!(said[0]["data"]["runtime"]["operation"], "takeover_session");
    let vague = json!({"workspace": "/other", "actor_id": "eve"});
    assert!(
        hub.ask(Operation::SessionsTakeover, vague).await.is_err(),
        "a takeover says why"
    );
    second.stop().await;
}
