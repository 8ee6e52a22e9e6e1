//! Circuits over a real hub: failures of several hosts open one, exactly one of many who ask may try, and only an operator
//! forgives.

use crate::hub::{Hub, Orchestrator, SOON};
use muster_bus::operator::Key;
use muster_bus::service::{Credentials, RequestError};
use muster_domain::names::SessionId;
use muster_testkit::eventually;
use muster_wire::api::{self, CircuitsProbe, CircuitsReset, CircuitsStatus, Reply};
use muster_wire::edge;
use muster_wire::subject::{Caller, Operation, Request};
use muster_wire::topology::EDGE;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::time::Duration;
use tokio::task::JoinSet;

const AGENT: &str = "code-reviewer";

/// A hub and its leader, whose circuits cool down within this time.
async fn lead(cooldown: &str) -> (Hub, Orchestrator, PathBuf) {
    let hub = Hub::start().await;
    let token = hub.dir.path().join("operator.token");
    let orchestrator = hub.orchestrator(
        "a",
        &[
            ("circuits.cooldown", cooldown),
            ("operator.token_file", &token.display().to_string()),
        ],
    );
    leads(&hub).await;
    (hub, orchestrator, token)
}

async fn leads(hub: &Hub) {
    let _: Reply<api::Status> = hub.answer(Operation::Status, json!({})).await;
}

fn outcome(hook: &str, call: &str) -> Value {
    let mut payload = json!({"hook_event_name": hook, "prompt_id": "p1", "tool_name": "Agent", "tool_use_id": call,
        "tool_input": {"subagent_type": AGENT, "prompt": "review it"}});
    if hook == "PostToolUse" {
        payload["tool_response"] = json!({"status": "completed", "agentId": format!("a-{call}")});
    } else {
        payload["error"] = json!("Agent terminated early due to an API error: overloaded");
    }
    payload
}

/// Three hosts see the agent fail once each.
async fn fail_everywhere(hub: &Hub) {
    for name in ["web-01", "web-02", "web-03"] {
        let mut host = hub.host(name);
        let failure = host.hook("s1", "post_tool_use_failure", outcome("PostToolUseFailure", "toolu_1"));
        host.publish(&[failure]).await;
    }
}

async fn ask(hub: &Hub, caller: &str, operation: Operation, body: &Value) -> Result<Vec<u8>, RequestError> {
    let request = Request {
        operation,
        caller: Caller::new(caller).unwrap(),
    };
    let answer = hub.bus.request(&request, body.to_string().into(), SOON).await?;
    Ok(answer.to_vec())
}

async fn probe(hub: &Hub, host: &str, call: &str) -> CircuitsProbe {
    let body = json!({"agent": AGENT, "session": "s1", "tool_use_id": call});
    let answer = ask(hub, host, Operation::CircuitsProbe, &body).await.unwrap();
    Reply::<CircuitsProbe>::read(&answer).unwrap().body
}

async fn status(hub: &Hub, agent: &str) -> Value {
    let answer = ask(hub, "op-anna", Operation::CircuitsStatus, &json!({"agent": agent}))
        .await
        .unwrap();
    serde_json::from_slice(&answer).unwrap()
}

/// Waits until the circuit is in this state.
async fn until(hub: &Hub, state: &str) -> Value {
    eventually(SOON, async || {
        let shown = status(hub, AGENT).await;
        if shown["breaker"]["state"] == state {
            Ok(shown)
        } else {
            Err(shown)
        }
    })
    .await
}

async fn enforced(hub: &Hub, state: Option<&str>) -> Value {
    eventually(SOON, async || {
        let (value, _) = hub
            .bus
            .bucket(&EDGE)
            .get(edge::CIRCUITS)
            .await
            .unwrap()
            .ok_or(Value::Null)?;
        let document: Value = serde_json::from_slice(&value).unwrap();
        let row = document["circuits"][0].clone();
        if row["state"].as_str() == state {
            Ok(row)
        } else {
            Err(row)
        }
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_hosts_that_ask_at_once_get_one_probe_and_its_success_closes_the_circuit() {
    let (hub, orchestrator, _) = lead("50ms").await;
    let fresh = status(&hub, AGENT).await;
    assert_eq!(
        (&fresh["agent"], &fresh["breaker"]),
        (
            &json!(AGENT),
            &json!({"state": "closed", "consecutive_failures": 0, "config": {"failure_threshold": 3, "max_depth": 5}})
        )
    );
    assert!(
        probe(&hub, "web-09", "toolu_9").await.granted,
        "nobody need ask while it is closed"
    );
    fail_everywhere(&hub).await;
    let opened = &hub.until_events("runtime.circuit.opened", 1).await[0]["data"];
    assert_eq!(
        (&opened["agent"], &opened["reason"]),
        (&json!(AGENT), &json!("failures"))
    );
    assert_eq!((&opened["failures"], &opened["trips"]), (&json!(3), &json!(1)));
    let row = enforced(&hub, Some("open")).await;
    assert!(row["reason"].as_str().unwrap().contains("overloaded"), "{row}");
    let over = muster_wire::time::parse(opened["until"].as_str().unwrap()).unwrap();
    eventually(SOON, async || {
        (muster_wire::time::from_system(std::time::SystemTime::now()) > over).then_some(())
    })
    .await;

    let mut asking = JoinSet::new();
    for n in 0..50 {
        let bus = hub.bus.clone();
        asking.spawn(async move {
            let host = format!("host-{n}");
            let request = Request {
                operation: Operation::CircuitsProbe,
                caller: Caller::new(&host).unwrap(),
            };
            let body = json!({"agent": AGENT, "session": "s1", "tool_use_id": "toolu_p"}).to_string();
            let answer = bus.request(&request, body.into(), SOON).await.unwrap();
            (host, Reply::<CircuitsProbe>::read(&answer).unwrap().body)
        });
    }
    let answers = asking.join_all().await;
    let winners: Vec<&String> = answers
        .iter()
        .filter(|(_, said)| said.granted)
        .map(|(host, _)| host)
        .collect();
    let [winner] = winners[..] else {
        panic!("{winners:?} were granted the probe");
    };
    for (host, said) in &answers {
        let holder = &said.circuit.probe.as_ref().unwrap().holder;
        assert_eq!(holder.host.as_str(), winner, "{host} is told whose it is");
    }
    assert_eq!(hub.events_of("runtime.circuit.half_opened").await.len(), 1);
    let row = enforced(&hub, Some("half_open")).await;
    assert_eq!(
        (row["holder"]["host"].as_str(), row["holder"]["tool_use_id"].as_str()),
        (Some(winner.as_str()), Some("toolu_p"))
    );
    assert!(row["expires"].is_string() && row["grace_until"].is_string(), "{row}");

    // Another run of the agent, begun before, says nothing about the probe; its own does.
    let mut other = hub.host("web-01");
    let done = other.hook("s1", "post_tool_use", outcome("PostToolUse", "toolu_2"));
    other.publish(&[done]).await;
    let mut host = hub.host(winner);
    let done = host.hook("s1", "post_tool_use", outcome("PostToolUse", "toolu_p"));
    host.publish(&[done]).await;
    let closed = &hub.until_events("runtime.circuit.closed", 1).await[0]["data"];
    assert_eq!(
        (&closed["reason"], &closed["failures"]),
        (&json!("probe_succeeded"), &json!(3))
    );
    assert_eq!(until(&hub, "closed").await["breaker"]["consecutive_failures"], 0);
    enforced(&hub, None).await;
    orchestrator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_probe_that_fails_opens_it_again_for_longer_and_one_without_a_word_expires() {
    let hub = Hub::start().await;
    let token = hub.dir.path().join("operator.token").display().to_string();
    let set = [
        ("circuits.cooldown", "1ms"),
        ("circuits.probe", "1500ms"),
        ("operator.token_file", &token),
    ];
    let orchestrator = hub.orchestrator("a", &set);
    leads(&hub).await;
    fail_everywhere(&hub).await;
    until(&hub, "open").await;
    eventually(SOON, async || {
        probe(&hub, "web-01", "toolu_p").await.granted.then_some(())
    })
    .await;
    let mut host = hub.host("web-01");
    let failed = host.hook("s1", "post_tool_use_failure", outcome("PostToolUseFailure", "toolu_p"));
    host.publish(&[failed]).await;
    let opened = hub.until_events("runtime.circuit.opened", 2).await;
    assert_eq!(
        (&opened[1]["data"]["reason"], &opened[1]["data"]["trips"]),
        (&json!("probe_failed"), &json!(2))
    );
    eventually(SOON, async || {
        probe(&hub, "web-02", "toolu_q").await.granted.then_some(())
    })
    .await;
    let opened = hub.until_events("runtime.circuit.opened", 3).await;
    assert_eq!(opened[2]["data"]["reason"], "probe_expired");
    assert_eq!(opened[2]["data"]["failures"], 4, "what is not known is no failure");
    orchestrator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_an_operator_resets_and_the_same_request_again_is_the_same_reset() {
    let (hub, orchestrator, token) = lead("1h").await;
    fail_everywhere(&hub).await;
    until(&hub, "open").await;
    let said = probe(&hub, "web-01", "toolu_p").await;
    assert!(!said.granted && said.circuit.until.is_some());
    let body = json!({"agent": AGENT, "request_id": "reset-1"});
    let refused = ask(&hub, "web-01", Operation::CircuitsReset, &body).await.unwrap_err();
    assert!(refused.to_string().contains("operator"), "{refused}");

    let key = Key::read(&token).unwrap();
    let reset = async |session: Option<&str>, body: &Value| {
        let credentials = Credentials {
            operator: Some(key.clone()),
            session: session.map(|id| SessionId::new(id).unwrap()),
        };
        let request = Request {
            operation: Operation::CircuitsReset,
            caller: Caller::new("op-anna").unwrap(),
        };
        let answer = hub
            .bus
            .request_as(&credentials, &request, body.to_string().into(), Duration::from_secs(5))
            .await;
        answer.map(|answer| Reply::<CircuitsReset>::read(&answer).unwrap().body)
    };
    let own = reset(Some("s1"), &body).await.unwrap_err();
    assert!(own.to_string().contains("forgive its own"), "{own}");
    for _ in 0..2 {
        let done = reset(None, &body).await.unwrap();
        assert_eq!(done.outcome, api::ResetOutcome::Applied);
        assert_eq!(
            (
                done.circuit.breaker.state.as_str(),
                done.circuit.breaker.consecutive_failures
            ),
            ("closed", 0)
        );
    }
    let nothing = reset(None, &json!({"agent": AGENT})).await.unwrap();
    assert_eq!(nothing.outcome, api::ResetOutcome::Unchanged);
    let closed = hub.events_of("runtime.circuit.closed").await;
    let [closed] = &closed[..] else { panic!("{closed:?}") };
    assert_eq!(
        (&closed["data"]["reason"], &closed["data"]["by"]),
        (&json!("reset"), &json!("op-anna"))
    );
    let all = ask(&hub, "op-anna", Operation::CircuitsStatus, &json!({}))
        .await
        .unwrap();
    let CircuitsStatus::All { breakers, .. } = Reply::<CircuitsStatus>::read(&all).unwrap().body else {
        panic!("not all");
    };
    assert_eq!(breakers.len(), 1);
    orchestrator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_circuit_and_its_probe_outlive_their_leader() {
    let (hub, first, token) = lead("50ms").await;
    fail_everywhere(&hub).await;
    until(&hub, "open").await;
    eventually(SOON, async || {
        probe(&hub, "web-01", "toolu_p").await.granted.then_some(())
    })
    .await;
    first.stop().await;
    let second = hub.orchestrator("b", &[("operator.token_file", &token.display().to_string())]);
    leads(&hub).await;
    let held = eventually(SOON, async || {
        let body = json!({"agent": AGENT, "session": "s1", "tool_use_id": "toolu_q"});
        ask(&hub, "web-02", Operation::CircuitsProbe, &body).await
    })
    .await;
    let held = Reply::<CircuitsProbe>::read(&held).unwrap().body;
    assert!(!held.granted);
    assert_eq!(held.circuit.probe.unwrap().holder.host.as_str(), "web-01");
    assert!(
        probe(&hub, "web-01", "toolu_p").await.granted,
        "its holder may ask again"
    );
    second.stop().await;
}
