//! What somebody should look at: raised by what a session does, and by the clock, whoever leads.

use crate::hub::Hub;
use muster_bus::service::RequestError;
use muster_domain::alert::{Because, Rule, Severity};
use muster_wire::api::AlertsList;
use muster_wire::subject::Operation;
use serde_json::{Value, json};

fn call(n: u32, hook: &str, command: &str, more: &[(&str, Value)]) -> Value {
    let mut payload = json!({"hook_event_name": hook, "prompt_id": "p1", "tool_name": "Bash",
        "tool_use_id": format!("toolu_{n}"), "tool_input": {"command": command}});
    for (name, value) in more {
        payload[*name] = value.clone();
    }
    payload
}

async fn list(hub: &Hub, request: Value) -> AlertsList {
    hub.answer::<AlertsList>(Operation::AlertsList, request).await.body
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_gets_nowhere_is_told_of_once_until_it_gets_somewhere() {
    let hub = Hub::start().await;
    let orchestrator = hub.orchestrator("a", &[]);
    // Who begins to lead later sees all of it at once.
    assert!(list(&hub, json!({})).await.alerts.is_empty());
    let mut host = hub.host("web-01");
    let prompt = json!({"hook_event_name": "UserPromptSubmit", "prompt_id": "p1", "prompt": "go"});
    let mut told = vec![host.hook("s1", "user_prompt_submit", prompt)];
    for n in 0..5 {
        told.push(host.hook("s1", "pre_tool_use", call(n, "PreToolUse", "make", &[])));
        let error = [(
            "error",
            json!(format!("error: missing separator on line {n}, in the Makefile")),
        )];
        told.push(host.hook(
            "s1",
            "post_tool_use_failure",
            call(n, "PostToolUseFailure", "make", &error),
        ));
    }
    host.publish(&told).await;
    let raised = hub.until_events("runtime.alert.raised", 1).await;
    let data = &raised[0]["data"];
    assert_eq!(
        (&data["key"], &data["rule"], &data["kind"], &data["severity"]),
        (
            &json!("stuck:web-01/s1"),
            &json!("stuck"),
            &json!("same_error"),
            &json!("warning")
        )
    );
    assert_eq!(data["evidence"], json!({"times": 4}));
    assert_eq!(
        data["summary"],
        "session s1 on web-01 met the same error 4 times in a row (Bash: make)"
    );
    let open = list(&hub, json!({})).await;
    assert_eq!(open.alerts.len(), 1);
    assert_eq!(open.alerts[0].rule, Some(Rule::Stuck));
    assert_eq!(hub.sessions().await[0].alerts, [Rule::Stuck]);

    let response = [("tool_response", json!({"stdout": "ok"}))];
    let well = host.hook(
        "s1",
        "post_tool_use",
        call(9, "PostToolUse", "make -f other", &response),
    );
    host.publish(&[well]).await;
    let cleared = hub.until_events("runtime.alert.cleared", 1).await;
    assert_eq!(
        (&cleared[0]["data"]["rule"], &cleared[0]["data"]["because"]),
        (&json!("stuck"), &json!("over"))
    );
    assert_eq!(hub.events_of("runtime.alert.raised").await.len(), 1);
    assert_eq!(list(&hub, json!({})).await.alerts, []);
    let all = list(
        &hub,
        json!({"state": "all", "rule": "stuck", "session": "s1", "host": "web-01"}),
    )
    .await;
    assert_eq!(all.alerts[0].because, Some(Because::Over));
    for (filter, found) in [
        (json!({"state": "all", "severity": "critical"}), 0),
        (json!({"state": "all", "severity": "info"}), 1),
        (json!({"state": "all", "since": "2126-01-01T00:00:00Z"}), 0),
        (json!({"state": "all", "host": "web-02"}), 0),
        (json!({"state": "all", "session": "s2"}), 0),
        (json!({"state": "all", "rule": "waiting"}), 0),
    ] {
        assert_eq!(list(&hub, filter.clone()).await.alerts.len(), found, "{filter}");
    }
    for wrong in [
        json!({"rule": "sloth"}),
        json!({"severity": "loud"}),
        json!({"sate": "all"}),
    ] {
        let refused = hub.ask(Operation::AlertsList, &wrong).await;
        assert!(matches!(refused, Err(RequestError::Failed(_))), "{wrong}");
    }
    orchestrator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deadline_that_one_leader_does_not_live_to_see_is_met_by_the_next() {
    let hub = Hub::start().await;
    let patience = [("alerts.waiting.approval", "3s")];
    let first = hub.orchestrator("a", &patience);
    first.ready().await;
    let mut host = hub.host("web-01");
    let prompt = json!({"hook_event_name": "UserPromptSubmit", "prompt_id": "p1", "prompt": "go"});
    let told = [
        host.hook("s1", "user_prompt_submit", prompt),
        host.hook("s1", "pre_tool_use", call(1, "PreToolUse", "make", &[])),
        host.hook("s1", "permission_request", call(1, "PermissionRequest", "make", &[])),
    ];
    host.publish(&told).await;
    hub.until_events("runtime.status.state_changed", 1).await;
    first.stop().await;
    assert_eq!(hub.events_of("runtime.alert.raised").await, Vec::<Value>::new());

    let second = hub.orchestrator("b", &patience);
    let raised = hub.until_events("runtime.alert.raised", 1).await;
    let data = &raised[0]["data"];
    assert_eq!((&data["rule"], &data["kind"]), (&json!("waiting"), &json!("approval")));
    assert!(data["evidence"]["seconds"].as_u64() >= Some(3), "{data}");
    assert_eq!(hub.elected().await.len(), 2);
    let standing = list(&hub, json!({"rule": "waiting"})).await.alerts;
    assert_eq!(
        (standing[0].severity, standing[0].cleared_at),
        (Severity::Warning, None)
    );
    // Its session's end is its own.
    let ended = host.hook(
        "s1",
        "session_end",
        json!({"hook_event_name": "SessionEnd", "reason": "other"}),
    );
    host.publish(&[ended]).await;
    let cleared = hub.until_events("runtime.alert.cleared", 1).await;
    assert_eq!(cleared[0]["data"]["because"], "session_over");
    second.stop().await;
}
