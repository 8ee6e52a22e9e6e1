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

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_does_what_it_says_about_each_session_once_also_under_the_next_leader() {
    let hub = Hub::start().await;
    let first = hub.orchestrator("a", &[]);
    let _: muster_wire::api::Reply<Value> = hub.answer(Operation::Hello, json!({})).await;
    let mut host = hub.host("web-01");
    for session in ["s1", "s2", "s3"] {
        host.begin(session).await;
    }
    hub.until("s3", muster_domain::state::SessionState::Working).await;
    for session in ["s1", "s2"] {
        let bad = json!({"session_id": session, "label": "bad"});
        ask(&hub, Operation::FeedbackAnnotate, bad).await;
    }
    let order = async |operation, body: Value| hub.order(operation, &body).await.unwrap();
    let rule = json!({"name": "bad ones", "filter": "feedback_label=bad", "action": "queue_review",
        "message": "somebody was not pleased", "request_id": "r1"});
    let no = refused(&hub, Operation::RulesCreate, rule.clone()).await;
    assert!(no.contains("operator"), "{no}");
    let made = order(Operation::RulesCreate, rule.clone()).await;
    assert_eq!(
        (&made["rule"]["id"], &made["rule"]["enabled"]),
        (&json!(1), &json!(true))
    );
    assert_eq!(order(Operation::RulesCreate, rule).await["rule"], made["rule"]);
    for (name, action) in [("keep", "create_case"), ("tell", "emit_alert")] {
        let rule = json!({"name": name, "filter": "session=s2 feedback_label=bad", "action": action});
        order(Operation::RulesCreate, rule).await;
    }

    let dry = order(Operation::RulesRun, json!({"dry_run": true})).await;
    assert_eq!(
        (&dry["dry_run"], &dry["rules"][0]["matched"]),
        (&json!(true), &json!(2))
    );
    assert_eq!(dry["rules"][0]["acted"].as_array().unwrap().len(), 2);
    assert_eq!(ask(&hub, Operation::ReviewsList, json!({})).await["reviews"], json!([]));
    let ran = order(Operation::RulesRun, json!({})).await;
    let acted = |ran: &Value, rule: usize| ran["rules"][rule]["acted"].as_array().unwrap().len();
    assert_eq!([acted(&ran, 0), acted(&ran, 1), acted(&ran, 2)], [2, 1, 1]);
    assert_eq!(
        ran["rules"][0]["acted"][0],
        json!({"session_id": "s1", "host": "web-01", "number": 1})
    );
    assert_eq!(ran["more"], false);

    let alerts = ask(&hub, Operation::AlertsList, json!({"session": "s2"})).await;
    let alert = &alerts["alerts"][0];
    assert_eq!(
        (&alert["key"], &alert["kind"], &alert["severity"], &alert["rule"]),
        (
            &json!("rule:3:web-01/s2"),
            &json!("tell"),
            &json!("warning"),
            &Value::Null
        )
    );
    let case = ask(&hub, Operation::CasesGet, json!({"id": 1})).await;
    assert_eq!(case["case"]["by"], json!({"kind": "rule", "rule": 2, "name": "keep"}));

    first.stop().await;
    let second = hub.orchestrator("b", &[]);
    let _: muster_wire::api::Reply<Value> = hub.answer(Operation::Hello, json!({})).await;
    let again = order(Operation::RulesRun, json!({})).await;
    assert_eq!([acted(&again, 0), acted(&again, 1), acted(&again, 2)], [0, 0, 0]);
    assert_eq!(
        (&again["rules"][0]["already"], &again["more"]),
        (&json!(2), &json!(false))
    );
    assert_eq!(hub.until_events("runtime.rule.ran", 3).await.len(), 3);

    let off = order(Operation::RulesDisable, json!({"id": 3})).await;
    assert_eq!(
        (&off["rule"]["enabled"], &off["rule"]["acted"]),
        (&json!(false), &json!(1))
    );
    hub.until_events("runtime.alert.cleared", 1).await;
    let no = hub.order(Operation::RulesRun, &json!({"id": 3})).await.unwrap_err();
    assert!(no.to_string().contains("rule 3 is off"), "{no}");
    order(Operation::RulesEnable, json!({"id": 3})).await;
    let rules = ask(&hub, Operation::RulesList, json!({})).await;
    assert_eq!(rules["rules"][2]["enabled"], true);

    for (wrong, why) in [
        (
            json!({"name": "x", "filter": "colour=red", "action": "create_case"}),
            "colour",
        ),
        (
            json!({"name": "x", "filter": " ", "action": "create_case"}),
            "a `filter` that has a term",
        ),
        (
            json!({"name": " ", "filter": "turns>1", "action": "create_case"}),
            "give it a `name`",
        ),
        (
            json!({"name": "x", "filter": "turns>1", "action": "create_case", "severity": "info"}),
            "emit_alert",
        ),
        (
            json!({"name": "keep", "filter": "turns>1", "action": "create_case"}),
            "the name of rule 2",
        ),
        (
            json!({"name": "x".repeat(65), "filter": "turns>1", "action": "create_case"}),
            "the limit is 64",
        ),
    ] {
        let no = hub.order(Operation::RulesCreate, &wrong).await.unwrap_err().to_string();
        assert!(no.contains(why), "{why}: {no}");
    }
    second.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_for_review_is_resolved_or_dismissed_by_whoever_is_first() {
    let hub = Hub::start().await;
    let orchestrator = hub.orchestrator("a", &[]);
    let _: muster_wire::api::Reply<Value> = hub.answer(Operation::Hello, json!({})).await;
    let mut host = hub.host("web-01");
    for session in ["s1", "s2"] {
        host.begin(session).await;
    }
    hub.until("s2", muster_domain::state::SessionState::Working).await;
    let rule = json!({"name": "all", "filter": "host=web-01", "action": "queue_review"});
    hub.order(Operation::RulesCreate, &rule).await.unwrap();
    hub.order(Operation::RulesRun, &json!({})).await.unwrap();
    let list = ask(&hub, Operation::ReviewsList, json!({"limit": 1})).await;
    assert_eq!(
        (&list["reviews"][0]["id"], &list["next_cursor"]),
        (&json!(2), &json!(2))
    );
    let rest = ask(&hub, Operation::ReviewsList, json!({"cursor": 2})).await;
    assert_eq!(
        (&rest["reviews"][0]["session_id"], &rest["next_cursor"]),
        (&json!("s1"), &Value::Null)
    );
    let shown = ask(&hub, Operation::ReviewsGet, json!({"id": 1})).await;
    assert_eq!(
        (&shown["review"]["reason"], &shown["session"]["id"]),
        (&json!("rule all found it"), &json!("s1"))
    );

    let no = refused(&hub, Operation::ReviewsResolve, json!({"id": 1})).await;
    assert!(no.contains("operator"), "{no}");
    let own = hub
        .order_of("s1", Operation::ReviewsDismiss, &json!({"id": 1}))
        .await
        .unwrap_err();
    assert!(own.to_string().contains("its own review"), "{own}");
    // Two at once: one of them is told that the other did.
    let resolve = json!({"id": 1, "note": "it is fine"});
    let dismiss = json!({"id": 1});
    let (resolved, dismissed) = tokio::join!(
        hub.order(Operation::ReviewsResolve, &resolve),
        hub.order(Operation::ReviewsDismiss, &dismiss)
    );
    let (resolved, dismissed) = (resolved.unwrap(), dismissed.unwrap());
    let mut outcomes = [resolved["outcome"].clone(), dismissed["outcome"].clone()];
    outcomes.sort_by_key(ToString::to_string);
    assert_eq!(outcomes, [json!("already_closed"), json!("applied")]);
    assert_eq!(resolved["review"], dismissed["review"]);
    let dismissed = hub.order(Operation::ReviewsDismiss, &json!({"id": 2})).await.unwrap();
    assert_eq!(
        (
            &dismissed["review"]["closed"]["how"],
            &dismissed["review"]["closed"]["by"]["name"]
        ),
        (&json!("dismissed"), &json!("op-anna"))
    );
    assert_eq!(ask(&hub, Operation::ReviewsList, json!({})).await["reviews"], json!([]));
    let ended =
        hub.events_of("runtime.review.resolved").await.len() + hub.events_of("runtime.review.dismissed").await.len();
    assert_eq!(ended, 2);
    let unknown = hub
        .order(Operation::ReviewsResolve, &json!({"id": 9}))
        .await
        .unwrap_err();
    assert!(unknown.to_string().contains("no review 9"), "{unknown}");
    orchestrator.stop().await;
}
