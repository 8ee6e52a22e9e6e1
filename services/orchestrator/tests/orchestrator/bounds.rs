//! Requests that say too much: refused whole, and nobody else is the worse for them.

use crate::effects::of_session;
use crate::hub::{Hub, SOON};
use muster_bus::service::RequestError;
use muster_domain::state::SessionState;
use muster_testkit::eventually;
use muster_wire::api::Status;
use muster_wire::subject::Operation;
use serde_json::{Value, json};
use std::collections::BTreeSet;

fn status(answer: Result<Value, RequestError>) -> u16 {
    match answer {
        Ok(_) => 200,
        Err(RequestError::Failed(failed)) => failed.code,
        Err(other) => panic!("{other}"),
    }
}

/// Something that only an operator may let happen; the approval's id.
async fn ask(hub: &Hub, name: &str, bytes: usize) -> String {
    let input = json!({"command": format!("git push {}", "x".repeat(bytes))});
    let body = json!({"tool": "Bash", "input": input, "wait_ms": 3_600_000, "request_id": name});
    let answer = hub.answer::<Value>(Operation::PolicyCheck, body).await.body;
    answer["approval_id"]
        .as_str()
        .unwrap_or_else(|| panic!("{answer}"))
        .to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_says_too_much_is_refused_and_leaves_nothing_behind() {
    let hub = Hub::start().await;
    let orchestrator = hub.orchestrator("a", &[]);
    let id = ask(&hub, "r1", 10).await;
    let deny = |reason: String| json!({"id": id, "decision": "deny", "reason": reason});
    // More than a request may have; and what has too much only once it is written down, with what is said beside it.
    let room = 512 * 1024 - deny(String::new()).to_string().len();
    for bytes in [600_000, room - 10] {
        let body = deny("a".repeat(bytes));
        assert_eq!(status(hub.order(Operation::ApprovalsResolve, &body).await), 413);
    }
    let named = json!({"id": id, "decision": "deny", "request_id": "r".repeat(129)});
    assert_eq!(status(hub.order(Operation::ApprovalsResolve, &named).await), 400);
    let resolved = hub
        .order(Operation::ApprovalsResolve, &deny("no".to_owned()))
        .await
        .unwrap();
    assert_eq!(resolved["outcome"], "applied", "{resolved}");

    let start = |actor: &str| json!({"workspace": "/w", "actor_id": actor, "lease_seconds": 60});
    let long = start(&"a".repeat(20_000));
    assert_eq!(status(hub.order(Operation::SessionsStart, &long).await), 413);
    let begun = hub.order(Operation::SessionsStart, &start("worker")).await.unwrap();
    assert_eq!(begun["outcome"], "applied", "{begun}");
    orchestrator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn large_asks_are_listed_a_page_at_a_time() {
    let hub = Hub::start().await;
    let orchestrator = hub.orchestrator("a", &[]);
    let mut asked = BTreeSet::new();
    for n in 0..40 {
        asked.insert(ask(&hub, &format!("r{n}"), 15_000).await);
    }
    let seen = in_pages(&hub, Operation::ApprovalsList, "approvals").await;
    assert_eq!(seen, asked);
    orchestrator.stop().await;
}

/// The ids of what is listed, over several pages.
async fn in_pages(hub: &Hub, operation: Operation, rows: &str) -> BTreeSet<String> {
    let (mut seen, mut cursor, mut pages) = (BTreeSet::new(), Value::Null, 0);
    loop {
        let page = hub
            .order(operation, &json!({"cursor": cursor, "limit": 500}))
            .await
            .unwrap();
        pages += 1;
        for row in page[rows].as_array().unwrap() {
            assert!(seen.insert(row["id"].as_str().unwrap().to_owned()), "listed twice");
        }
        cursor = page["next_cursor"].clone();
        if cursor.is_null() {
            break;
        }
    }
    assert!(pages > 1, "all of them fit one message");
    seen
}

#[tokio::test(flavor = "multi_thread")]
async fn long_prompts_and_a_full_inbox_are_listed_a_page_at_a_time() {
    let hub = Hub::start().await;
    let orchestrator = hub.orchestrator("a", &[]);
    let _ = hub.answer::<Value>(Operation::Status, json!({})).await;
    let mut host = hub.host("web-01");
    let started = json!({"version": "1", "instance": "0198f3c2-0000-7000-8000-00000000abcd"});
    let started = host.observe(None, "host.status.started", &started);
    host.publish(&[started]).await;
    let writers = ["s1", "s2", "s3"];
    for session in writers {
        host.begin(session).await;
        hub.until(session, SessionState::Working).await;
    }
    let mut asked = BTreeSet::new();
    for n in 0..20 {
        let spawn =
            json!({"host": "web-01", "template": "t", "prompt": "x".repeat(60_000), "request_id": format!("r{n}")});
        let effect = hub.order(Operation::SessionsSpawn, &spawn).await.unwrap();
        asked.insert(effect["effect"]["id"].as_str().unwrap().to_owned());
    }
    assert_eq!(in_pages(&hub, Operation::EffectsList, "effects").await, asked);

    let mut sent = BTreeSet::new();
    for n in 0..150 {
        let wish = json!({"to": "operator", "body": "x".repeat(4096), "request_id": format!("q{n}")});
        let message = of_session(&hub, writers[n % 3], Operation::MessagesSend, &wish)
            .await
            .unwrap();
        sent.insert(message["messages"][0]["id"].as_str().unwrap().to_owned());
    }
    assert_eq!(in_pages(&hub, Operation::MessagesList, "messages").await, sent);
    let gone = json!({"cursor": "0198f3c2-0000-7000-8000-00000000000a"});
    assert_eq!(status(hub.order(Operation::EffectsList, &gone).await), 404);
    orchestrator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_message_to_all_is_answered_with_as_many_rows_as_fit() {
    let hub = Hub::start().await;
    let orchestrator = hub.orchestrator("a", &[]);
    let _ = hub.answer::<Value>(Operation::Status, json!({})).await;
    let mut host = hub.host("web-01");
    let begun: Vec<_> = (0..300)
        .map(|n| {
            host.hook(
                &format!("s{n}"),
                "session_start",
                json!({"source": "startup", "cwd": "/src"}),
            )
        })
        .collect();
    host.publish(&begun).await;
    eventually(SOON, async || {
        let status = hub.answer::<Status>(Operation::Status, json!({})).await.body;
        (status.sessions == 300).then_some(())
    })
    .await;
    let wish = json!({"to": "*", "body": "x".repeat(4096)});
    let sent = hub.order(Operation::MessagesSend, &wish).await.unwrap();
    assert_eq!(sent["count"], 300);
    let rows = sent["messages"].as_array().unwrap().len();
    assert!((1..300).contains(&rows), "{rows}");
    orchestrator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_decision_that_the_log_holds_already_is_answered_at_once() {
    let hub = Hub::start().await;
    let orchestrator = hub.orchestrator("a", &[]);
    let _ = hub.answer::<Value>(Operation::BudgetsList, json!({})).await;
    let budget = json!({"scope": {"kind": "fleet"}, "measure": "calls", "limit": 5, "request_id": "r1"});
    let first = hub.order(Operation::BudgetsSet, &budget).await.unwrap();
    let again = hub.order(Operation::BudgetsSet, &budget).await.unwrap();
    assert_eq!(first["budget"], again["budget"]);
    assert_eq!(hub.events_of("runtime.budget.set").await.len(), 1);
    orchestrator.stop().await;
}
