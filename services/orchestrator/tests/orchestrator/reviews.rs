//! What is thought of sessions, through a real hub: said, kept, found again under the next leader.

use crate::hub::Hub;
use muster_wire::subject::Operation;
use serde_json::{Value, json};

async fn ask(hub: &Hub, operation: Operation, body: Value) -> Value {
    let answer = hub.ask(operation, body).await.unwrap();
    serde_json::from_slice(&answer).unwrap()
}

async fn refused(hub: &Hub, operation: Operation, body: Value) -> String {
    hub.ask(operation, body).await.unwrap_err().to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_said_of_a_session_counts_until_its_speaker_says_otherwise_also_under_the_next_leader() {
    let hub = Hub::start().await;
    let first = hub.orchestrator("a", &[]);
    let _: muster_wire::api::Reply<Value> = hub.answer(Operation::Hello, json!({})).await;
    let mut host = hub.host("web-01");
    host.begin("s1").await;
    host.begin("s2").await;
    hub.until("s2", muster_domain::state::SessionState::Working).await;

    let bad =
        json!({"session_id": "s1", "score": 1, "label": "bug", "note": "it deleted the tests", "request_id": "f1"});
    let said = ask(&hub, Operation::FeedbackAnnotate, bad.clone()).await;
    let row = &said["feedback"];
    assert_eq!(
        (&row["id"], &row["score"], &row["label"], &row["counts"]),
        (&json!(1), &json!(1), &json!("bug"), &json!(true))
    );
    assert_eq!(row["by"], json!({"kind": "caller", "name": "op-anna"}));
    let again = ask(&hub, Operation::FeedbackAnnotate, bad.clone()).await;
    assert_eq!(again["feedback"], said["feedback"]);
    let other = json!({"session_id": "s1", "score": 2, "request_id": "f1"});
    let no = refused(&hub, Operation::FeedbackAnnotate, other).await;
    assert!(no.contains("another request_id"), "{no}");
    ask(
        &hub,
        Operation::FeedbackAnnotate,
        json!({"session_id": "s1", "score": 3}),
    )
    .await;
    ask(
        &hub,
        Operation::FeedbackAnnotate,
        json!({"session_id": "s2", "label": "good"}),
    )
    .await;

    for (wrong, why) in [
        (json!({"session_id": "s1"}), "say something"),
        (json!({"session_id": "s1", "note": "  "}), "say something"),
        (json!({"session_id": "s1", "score": 6}), "1, which is worst, to 5"),
        (json!({"session_id": "s1", "label": "meh"}), "unknown variant"),
        (json!({"session_id": "unheard-of", "score": 1}), "no such session"),
        (
            json!({"session_id": "s1", "note": "x".repeat(4097)}),
            "4097 bytes; the limit is 4096",
        ),
    ] {
        let no = refused(&hub, Operation::FeedbackAnnotate, wrong).await;
        assert!(no.contains(why), "{why}: {no}");
    }

    first.stop().await;
    let second = hub.orchestrator("b", &[]);
    let _: muster_wire::api::Reply<Value> = hub.answer(Operation::Hello, json!({})).await;
    let list = async |body: Value| {
        let list = ask(&hub, Operation::FeedbackList, body).await;
        let ids = list["feedback"].as_array().unwrap().iter();
        let ids: Vec<u64> = ids.map(|row| row["id"].as_u64().unwrap()).collect();
        (ids, list["next_cursor"].clone())
    };
    assert_eq!(list(json!({})).await.0, [3, 2]);
    assert_eq!(list(json!({"all": true})).await.0, [3, 2, 1]);
    assert_eq!(list(json!({"all": true, "label": "bug"})).await.0, [1]);
    assert_eq!(list(json!({"session_id": "s2"})).await.0, [3]);
    let (page, cursor) = list(json!({"all": true, "limit": 2})).await;
    assert_eq!(page, [3, 2]);
    assert_eq!(
        list(json!({"all": true, "limit": 2, "cursor": cursor})).await,
        (vec![1], Value::Null)
    );
    let again = ask(&hub, Operation::FeedbackAnnotate, bad).await;
    assert_eq!(
        (&again["feedback"]["id"], &again["feedback"]["counts"]),
        (&json!(1), &json!(false))
    );
    assert_eq!(hub.until_events("runtime.feedback.annotated", 3).await.len(), 3);
    second.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_deserves_it_becomes_a_case_and_is_put_away_once() {
    let hub = Hub::start().await;
    let first = hub.orchestrator("a", &[]);
    let _: muster_wire::api::Reply<Value> = hub.answer(Operation::Hello, json!({})).await;
    let mut host = hub.host("web-01");
    host.begin("s1").await;
    host.begin("s2").await;
    hub.until("s2", muster_domain::state::SessionState::Working).await;
    assert_eq!(ask(&hub, Operation::CasesMine, json!({})).await["proposals"], json!([]));
    ask(
        &hub,
        Operation::FeedbackAnnotate,
        json!({"session_id": "s2", "label": "regression"}),
    )
    .await;
    let mined = ask(&hub, Operation::CasesMine, json!({"limit": 5})).await;
    let found = &mined["proposals"][0];
    assert_eq!(
        (&found["session_id"], &found["bad_feedback"], &mined["more"]),
        (&json!("s2"), &json!(1), &json!(false))
    );

    let create =
        json!({"session_id": "s2", "reason": "it worked last week", "label": "regression", "request_id": "c1"});
    let created = ask(&hub, Operation::CasesCreate, create.clone()).await;
    assert_eq!(
        (&created["outcome"], &created["case"]["id"], &created["case"]["closed"]),
        (&json!("applied"), &json!(1), &Value::Null)
    );
    assert_eq!(ask(&hub, Operation::CasesCreate, create).await["case"], created["case"]);
    assert_eq!(ask(&hub, Operation::CasesMine, json!({})).await["proposals"], json!([]));
    let shown = ask(&hub, Operation::CasesGet, json!({"id": 1})).await;
    assert_eq!(
        (&shown["session"]["id"], &shown["feedback"][0]["label"]),
        (&json!("s2"), &json!("regression"))
    );

    // Putting it away is for an operator, and not for the session it is about.
    let archive = json!({"id": 1, "note": "fixed", "request_id": "c2"});
    let no = refused(&hub, Operation::CasesArchive, archive.clone()).await;
    assert!(no.contains("operator"), "{no}");
    let own = hub.order_of("s2", Operation::CasesArchive, &archive).await.unwrap_err();
    assert!(own.to_string().contains("its own case"), "{own}");
    let archived = hub.order(Operation::CasesArchive, &archive).await.unwrap();
    assert_eq!(
        (&archived["outcome"], &archived["case"]["closed"]["how"]),
        (&json!("applied"), &json!("archived"))
    );
    let late = hub.order(Operation::CasesArchive, &json!({"id": 1})).await.unwrap();
    assert_eq!(
        (&late["outcome"], &late["case"]),
        (&json!("already_closed"), &archived["case"])
    );

    first.stop().await;
    let second = hub.orchestrator("b", &[]);
    let _: muster_wire::api::Reply<Value> = hub.answer(Operation::Hello, json!({})).await;
    assert_eq!(ask(&hub, Operation::CasesList, json!({})).await["cases"], json!([]));
    let all = ask(&hub, Operation::CasesList, json!({"all": true})).await;
    assert_eq!(all["cases"][0], archived["case"]);
    let again = hub.order(Operation::CasesArchive, &archive).await.unwrap();
    assert_eq!(again["outcome"], "applied", "it was this request's doing");
    for (operation, wrong, why) in [
        (Operation::CasesGet, json!({"id": 9}), "no case 9"),
        (
            Operation::CasesCreate,
            json!({"session_id": "s1", "reason": " "}),
            "say why",
        ),
        (
            Operation::CasesCreate,
            json!({"session_id": "s1", "reason": "x".repeat(1025)}),
            "the limit is 1024",
        ),
    ] {
        let no = refused(&hub, operation, wrong).await;
        assert!(no.contains(why), "{why}: {no}");
    }
    for _ in 0..8 {
        ask(
            &hub,
            Operation::CasesCreate,
            json!({"session_id": "s1", "reason": "look"}),
        )
        .await;
    }
    let ninth = refused(
        &hub,
        Operation::CasesCreate,
        json!({"session_id": "s1", "reason": "look"}),
    )
    .await;
    assert!(ninth.contains("8 cases of this session are open"), "{ninth}");
    assert_eq!(hub.until_events("runtime.case.created", 9).await.len(), 9);
    assert_eq!(hub.until_events("runtime.case.archived", 1).await.len(), 1);
    second.stop().await;
}
