//! Delegations over a real hub: let begin, joined to the one call that carries their id, and refused.

use crate::hub::{Hub, SOON};
use muster_bus::service::RequestError;
use muster_testkit::eventually;
use muster_wire::api::{self, Delegated, DelegationAnswer, Reply, SessionsList};
use muster_wire::subject::{Caller, Operation, Request};
use serde_json::{Value, json};

async fn ask(hub: &Hub, operation: Operation, body: &Value) -> Result<Vec<u8>, RequestError> {
    let request = Request {
        operation,
        caller: Caller::new("web-01").unwrap(),
    };
    let answer = hub.bus.request(&request, body.to_string().into(), SOON).await?;
    Ok(answer.to_vec())
}

async fn active(hub: &Hub) -> u32 {
    let list = ask(hub, Operation::SessionsList, &json!({})).await.unwrap();
    Reply::<SessionsList>::read(&list).unwrap().body.sessions[0].active_delegations
}

fn call(hook: &str, prompt: &str) -> Value {
    let mut payload = json!({"hook_event_name": hook, "prompt_id": "p1", "tool_name": "Agent", "tool_use_id": "toolu_1",
        "permission_mode": "plan", "tool_input": {"subagent_type": "reviewer", "prompt": prompt}});
    if hook == "PostToolUse" {
        payload["tool_response"] = json!({"status": "completed", "agentId": "a1"});
    }
    payload
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delegation_is_followed_by_the_id_that_its_call_carries() {
    let hub = Hub::start().await;
    let token = hub.dir.path().join("operator.token").display().to_string();
    let orchestrator = hub.orchestrator("a", &[("operator.token_file", &token)]);
    let _: Reply<api::Status> = hub.answer(Operation::Status, json!({})).await;
    let mut host = hub.host("web-01");
    let prompt =
        json!({"hook_event_name": "UserPromptSubmit", "prompt_id": "p1", "prompt": "go", "permission_mode": "plan"});
    let began = host.hook("s1", "user_prompt_submit", prompt);
    host.publish(&[began]).await;
    eventually(SOON, async || hub.sessions().await.pop()).await;

    let wish = json!({"session_id": "s1", "agent": "reviewer", "task": "review it", "request_id": "r1"});
    let begun = ask(&hub, Operation::DelegationsDelegate, &wish).await.unwrap();
    let begun = Reply::<Delegated>::read(&begun).unwrap().body;
    assert_eq!((begun.circuit.as_str(), begun.delegation.depth), ("closed", 0));
    assert_eq!(
        begun.delegation.permission_mode.as_deref(),
        Some("plan"),
        "its ceiling is kept"
    );
    let again = ask(&hub, Operation::DelegationsDelegate, &wish).await.unwrap();
    assert_eq!(
        Reply::<Delegated>::read(&again).unwrap().body.delegation_id,
        begun.delegation_id
    );
    assert_eq!(active(&hub).await, 1);

    let prompt = format!("{}\nreview it", begun.prompt_line);
    let started = host.hook("s1", "pre_tool_use", call("PreToolUse", &prompt));
    let ended = host.hook("s1", "post_tool_use", call("PostToolUse", &prompt));
    host.publish(&[started, ended]).await;
    let id = json!({"id": begun.delegation_id});
    let known = eventually(SOON, async || {
        let known = ask(&hub, Operation::DelegationsGet, &id).await.unwrap();
        let row = Reply::<DelegationAnswer>::read(&known).unwrap().body.delegation;
        let status = serde_json::to_value(row.status).unwrap();
        if status == "completed" { Ok(row) } else { Err(row) }
    })
    .await;
    assert_eq!(
        known.tool_use_id.map(|call| call.to_string()).as_deref(),
        Some("toolu_1")
    );
    assert_eq!(active(&hub).await, 0);

    for (wish, said) in [
        (
            json!({"session_id": "nobody", "agent": "reviewer", "task": "x"}),
            "no such session: nobody",
        ),
        (
            json!({"session_id": "s1", "agent": "reviewer", "task": "x", "tier": "gpt"}),
            "unknown model tier",
        ),
    ] {
        let refused = ask(&hub, Operation::DelegationsDelegate, &wish).await.unwrap_err();
        assert!(refused.to_string().contains(said), "{refused}");
    }
    for n in 0..3 {
        let mut failure = call("PostToolUseFailure", "review it");
        (failure["tool_use_id"], failure["error"]) = (json!(format!("toolu_f{n}")), json!("overloaded"));
        let failure = host.hook("s1", "post_tool_use_failure", failure);
        host.publish(&[failure]).await;
    }
    hub.until_events("runtime.circuit.opened", 1).await;
    let wish = json!({"session_id": "s1", "agent": "reviewer", "task": "review it"});
    let refused = ask(&hub, Operation::DelegationsDelegate, &wish).await.unwrap_err();
    assert!(
        refused
            .to_string()
            .contains("circuit breaker for agent `reviewer` is Open; delegation refused"),
        "{refused}"
    );
    assert_eq!(hub.until_events("runtime.delegation.refused", 1).await.len(), 1);
    orchestrator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delegation_that_a_rule_forbids_is_refused_with_its_words() {
    let hub = Hub::start().await;
    let orchestrator = hub.orchestrator("a", &[]);
    let _: Reply<api::Status> = hub.answer(Operation::Status, json!({})).await;
    let mut host = hub.host("web-01");
    let prompt = json!({"hook_event_name": "UserPromptSubmit", "prompt_id": "p1", "prompt": "go"});
    let began = host.hook("s1", "user_prompt_submit", prompt);
    host.publish(&[began]).await;
    eventually(SOON, async || hub.sessions().await.pop()).await;
    let text = r#"@message("Nobody deploys today.")
forbid (principal, action == Action::"Agent", resource) when { context.input.subagent_type == "deployer" };"#;
    let activate = json!({"sources": [{"name": "team.cedar", "text": text}]});
    hub.operate(Operation::PolicyActivate, &activate).await.unwrap();
    let wish = |agent: &str| json!({"session_id": "s1", "agent": agent, "task": "go ahead"});
    let Err(RequestError::Failed(refused)) = ask(&hub, Operation::DelegationsDelegate, &wish("deployer")).await else {
        panic!("it may not")
    };
    let error = serde_json::from_slice::<api::Failure>(&refused.body).unwrap().error;
    assert_eq!(error.detail, "policy: Nobody deploys today.; delegation refused");
    ask(&hub, Operation::DelegationsDelegate, &wish("reviewer"))
        .await
        .unwrap();
    let said = hub.until_events("runtime.delegation.refused", 1).await;
    assert_eq!(said[0]["data"]["agent"], "deployer");
    orchestrator.stop().await;
}
