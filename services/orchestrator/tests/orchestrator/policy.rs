//! Rules: put in force by an operator, shown to everybody, drawn for the hosts, and asked what they come to.

use crate::hub::{Hub, SOON};
use muster_bus::service::RequestError;
use muster_testkit::eventually;
use muster_wire::api::{ApiError, ErrorKind, Failure};
use muster_wire::subject::Operation;
use muster_wire::topology::EDGE;
use serde_json::{Value, json};

const RULES: &str = r#"
@id("no-force") @reason("history_is_shared") @message("Push without --force.")
forbid (principal, action == Action::"Bash", resource) when { context.words.contains("--force") };
@decision("approval_required") @reason("look_first")
forbid (principal, action in Action::"publish_external", resource);
"#;

fn rules(text: &str) -> Value {
    json!([{"name": "team.cedar", "text": text}])
}

/// Asks as an operator, until somebody leads.
async fn operate(hub: &Hub, body: Value) -> Result<Value, ApiError> {
    operate_for(hub, Operation::PolicyActivate, body).await
}

async fn operate_for(hub: &Hub, operation: Operation, body: Value) -> Result<Value, ApiError> {
    let answer = eventually(SOON, async || match hub.operate(operation, &body).await {
        Err(error @ RequestError::NoOrchestrator) => Err(error),
        other => Ok(other),
    })
    .await;
    match answer {
        Ok(answer) => Ok(serde_json::from_slice(&answer).unwrap()),
        Err(RequestError::Failed(failed)) => Err(serde_json::from_slice::<Failure>(&failed.body).unwrap().error),
        Err(other) => panic!("{other}"),
    }
}

async fn document(hub: &Hub) -> Option<Value> {
    let (value, _) = hub.bus.bucket(&EDGE).get("policy").await.unwrap()?;
    serde_json::from_slice(&value).ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_come_into_force_for_the_hosts_and_outlive_their_orchestrator() {
    let hub = Hub::start().await;
    let orchestrator = hub.orchestrator("a", &[]);
    let drawn = eventually(SOON, async || document(&hub).await).await;
    assert_eq!(
        (&drawn["version"], &drawn["sources"]),
        (&json!(0), &json!([])),
        "nothing is in force at first"
    );
    let wanted = json!({"name": "team", "sources": rules(RULES), "expected_fingerprint": "", "request_id": "r1"});
    let answer = operate(&hub, wanted.clone()).await.unwrap();
    assert_eq!(
        (&answer["outcome"], &answer["active"]["version"]),
        (&json!("applied"), &json!(1))
    );
    assert_eq!(answer["active"]["by"], "op-anna");
    let fingerprint = answer["active"]["fingerprint"].as_str().unwrap().to_owned();
    let again = operate(&hub, wanted).await.unwrap();
    assert_eq!(
        (&again["outcome"], &again["active"]),
        (&answer["outcome"], &answer["active"]),
        "the same request"
    );
    let same = operate(&hub, json!({"sources": rules(RULES)})).await.unwrap();
    assert_eq!(same["outcome"], "unchanged");
    let drawn = eventually(SOON, async || {
        document(&hub)
            .await
            .filter(|drawn| drawn["version"] == 1)
            .ok_or("not yet")
    })
    .await;
    assert_eq!(
        (&drawn["fingerprint"], &drawn["sources"]),
        (&json!(fingerprint), &rules(RULES))
    );
    orchestrator.stop().await;

    let orchestrator = hub.orchestrator("b", &[]);
    let shown: Value = hub.answer::<Value>(Operation::PolicyShow, json!({})).await.body;
    assert_eq!(
        (&shown["active"]["fingerprint"], &shown["sources"]),
        (&json!(fingerprint), &rules(RULES))
    );
    let stale = operate(&hub, json!({"sources": [], "expected_fingerprint": "sha256:other"}))
        .await
        .unwrap_err();
    assert_eq!(stale.kind, ErrorKind::Conflict);
    let cleared = operate(&hub, json!({"sources": [], "expected_fingerprint": fingerprint}))
        .await
        .unwrap();
    assert_eq!(cleared["active"]["version"], 2);
    eventually(SOON, async || {
        document(&hub)
            .await
            .filter(|drawn| drawn["version"] == 2 && drawn["sources"] == json!([]))
    })
    .await;
    let activated = hub.until_events("runtime.policy.activated", 2).await;
    assert_eq!(activated.len(), 2);
    orchestrator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_that_are_not_sound_or_not_an_operators_are_refused() {
    let hub = Hub::start().await;
    let orchestrator = hub.orchestrator("a", &[]);
    let broken = operate(&hub, json!({"sources": rules("forbid(principal, action, resource)")}))
        .await
        .unwrap_err();
    assert_eq!(broken.kind, ErrorKind::BadRequest);
    assert!(broken.detail.contains("team.cedar:1:"), "{}", broken.detail);
    let body = json!({"sources": rules(RULES)});
    let RequestError::Failed(unsigned) = hub.ask(Operation::PolicyActivate, &body).await.unwrap_err() else {
        panic!("an answer is due");
    };
    let unsigned: Failure = serde_json::from_slice(&unsigned.body).unwrap();
    assert_eq!(unsigned.error.kind, ErrorKind::Forbidden);
    let shown: Value = hub.answer::<Value>(Operation::PolicyShow, json!({})).await.body;
    assert_eq!((&shown["active"], &shown["history"]), (&Value::Null, &json!([])));
    orchestrator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_follows_the_rules_then_the_families_and_asks_people_once() {
    let hub = Hub::start().await;
    let orchestrator = hub.orchestrator("a", &[]);
    let check = async |body: Value| hub.answer::<Value>(Operation::PolicyCheck, body).await.body;
    for (action, decision, reason) in [
        ("read_only", "allow", "read_only_allowed"),
        ("local_execution", "allow", "local_execution_allowed"),
        ("local_isolation", "allow", "local_isolation_allowed"),
        ("local_finalize", "approval_required", "finalize_requires_approval"),
        ("publish_external", "approval_required", "publish_requires_approval"),
        (
            "shared_queue_mutation",
            "approval_required",
            "shared_queue_requires_approval",
        ),
        (
            "durable_memory_mutation",
            "approval_required",
            "durable_memory_requires_approval",
        ),
        (
            "protected_surface_mutation",
            "approval_required",
            "protected_surface_requires_approval",
        ),
        ("repair_destructive", "deny", "repair_destructive_denied"),
    ] {
        let answer = check(json!({"action": action, "dry_run": true})).await;
        assert_eq!(
            (&answer["decision"], &answer["reason_code"]),
            (&json!(decision), &json!(reason)),
            "{action}"
        );
        assert_eq!(
            (&answer["by"], &answer["posture"]),
            (&json!("default"), &json!("guarded_local_execution"))
        );
    }
    // What cannot be read to its end is what breaks most, whatever its caller calls it, and without any rule.
    let endless = json!({"command": "eval ".repeat(50)});
    let answer = check(json!({"action": "read_only", "tool": "Bash", "input": endless, "dry_run": true})).await;
    assert_eq!(
        (&answer["decision"], &answer["action"]),
        (&json!("deny"), &json!("repair_destructive"))
    );
    let largest = |bytes: usize| json!({"tool": "Bash", "input": {"command": "x".repeat(bytes - 18)}, "dry_run": true});
    assert_eq!(check(largest(16 * 1024)).await["decision"], "allow");
    let refused = operate_for(&hub, Operation::PolicyCheck, largest(16 * 1024 + 1))
        .await
        .unwrap_err();
    assert_eq!(refused.kind, ErrorKind::BadRequest);
    assert!(
        refused.detail.contains("16385 bytes, the limit is 16384"),
        "{}",
        refused.detail
    );
    operate(&hub, json!({"sources": rules(RULES)})).await.unwrap();
    let denied = check(json!({"tool": "Bash", "input": {"command": "git push --force"}})).await;
    assert_eq!(
        (&denied["decision"], &denied["reason_code"]),
        (&json!("deny"), &json!("history_is_shared"))
    );
    assert_eq!(
        (&denied["rules"], &denied["message"]),
        (&json!(["no-force", "team:2"]), &json!("Push without --force."))
    );
    assert_eq!(denied["approval_id"], Value::Null);
    let wanted =
        json!({"tool": "Bash", "input": {"command": "git push"}, "request_id": "push-1", "summary": "push main"});
    let (one, again) = (check(wanted.clone()).await, check(wanted.clone()).await);
    assert_eq!(
        (&one["decision"], &one["reason_code"]),
        (&json!("approval_required"), &json!("look_first"))
    );
    let id = one["approval_id"].as_str().unwrap();
    assert_eq!(again["approval_id"], id);
    let asked = hub.until_events("runtime.approval_required.policy_check", 1).await;
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0]["data"]["asked"]["tool_input"]["command"], "git push");
    let resolved = operate_for(
        &hub,
        Operation::ApprovalsResolve,
        json!({"id": id, "decision": "approve"}),
    )
    .await
    .unwrap();
    assert_eq!(resolved["outcome"], "applied");
    let shown = hub
        .answer::<Value>(Operation::ApprovalsGet, json!({"id": id}))
        .await
        .body;
    assert_eq!(shown["approval"]["resolution"]["answer"]["outcome"], "approved");
    let started = hub
        .answer::<Value>(
            Operation::SessionsStart,
            json!({"workspace": "w", "owner_kind": "runtime_worker", "actor_id": "bot", "lease_seconds": 1}),
        )
        .await
        .body;
    let session = started["session"]["session_id"]
        .as_str()
        .unwrap_or_else(|| panic!("{started}"));
    let stale = eventually(SOON, async || {
        let answer = check(json!({"action": "local_execution", "session": session})).await;
        if answer["reason_code"] == "stale_autonomous_session" {
            Ok(answer)
        } else {
            Err(answer)
        }
    })
    .await;
    assert_eq!(
        (&stale["decision"], &stale["by"]),
        (&json!("escalation_required"), &json!("session"))
    );
    let looks = check(json!({"action": "read_only", "session": session})).await;
    assert_eq!(looks["decision"], "allow");
    let nothing = hub.ask(Operation::PolicyCheck, json!({})).await.unwrap_err();
    assert!(nothing.to_string().contains("action"), "{nothing}");
    orchestrator.stop().await;
}
