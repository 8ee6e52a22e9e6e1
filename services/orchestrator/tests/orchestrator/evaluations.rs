//! Context checks, checkpoints and closeouts, and what work leaves, through a real hub.

use crate::hub::{Hub, SOON};
use muster_testkit::eventually;
use muster_wire::subject::Operation;
use serde_json::{Value, json};

async fn ask(hub: &Hub, operation: Operation, body: Value) -> Value {
    let answer = hub.ask(operation, body).await.unwrap();
    serde_json::from_slice(&answer).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_context_check_is_a_decision_that_everybody_sees_and_a_throttled_one_is_not() {
    let hub = Hub::start().await;
    let orchestrator = hub.orchestrator("a", &[]);
    let _: muster_wire::api::Reply<Value> = hub.answer(Operation::Hello, json!({})).await;
    let start = json!({"workspace": "/repo", "actor_id": "a", "lease_seconds": 600});
    ask(&hub, Operation::SessionsStart, start).await;

    let check = json!({
        "workspace": "/repo", "trigger": "supervisor_poll", "symptoms": ["repeats itself", "forgets", "lies", "more"],
        "no_progress": 2, "request_id": "c1",
    });
    let checked = ask(&hub, Operation::ContextCheck, check.clone()).await;
    assert_eq!(
        (&checked["action"], &checked["urgency"]),
        (&json!("wrap_up_required"), &json!("high"))
    );
    assert_eq!(checked["score"]["points"], 65);
    assert_eq!(checked["score"]["band"], "risky");
    assert_eq!(checked["score"]["recommendation"], "wrap_up_soon");
    assert_eq!(
        (&checked["throttled"], &checked["retry_class"]),
        (&json!(false), &json!("safe_retry"))
    );
    assert_eq!(checked["matter"]["work"]["workspace"], "/repo");
    let said = hub.until_events("runtime.status.evaluate_context_refresh", 1).await;
    assert_eq!(said[0]["data"]["action"], "wrap_up_required");
    assert_eq!(said[0]["data"]["runtime"]["request_id"], "c1");

    let mut poll = check.clone();
    poll["request_id"] = json!("c2");
    let polled = ask(&hub, Operation::ContextCheck, poll).await;
    assert_eq!(polled["throttled"], true);
    ask(&hub, Operation::ContextCheck, check).await;

    let raise = json!({"workspace": "/repo", "actor_id": "a", "kind": "blocking", "reason": "which of the two?"});
    ask(&hub, Operation::EscalationsSet, raise).await;
    let interval = json!({"workspace": "/repo", "trigger": "interval"});
    let escalated = ask(&hub, Operation::ContextCheck, interval).await;
    assert_eq!(
        (&escalated["action"], &escalated["throttled"]),
        (&json!("escalate"), &json!(false))
    );
    let said = hub.until_events("runtime.status.evaluate_context_refresh", 2).await;
    assert_eq!(
        said.len(),
        2,
        "neither the throttled one nor the repeated one is written"
    );
    assert_eq!(said[1]["data"]["reason"], "blocking_escalation");

    assert!(hub.ask(Operation::ContextCheck, json!({})).await.is_err());
    let unknown = json!({"session": "nobody"});
    assert!(hub.ask(Operation::ContextCheck, unknown).await.is_err());
    orchestrator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closeout_says_all_that_a_checkpoint_says_and_whether_work_can_be_left() {
    let hub = Hub::start().await;
    let orchestrator = hub.orchestrator("a", &[]);
    let _: muster_wire::api::Reply<Value> = hub.answer(Operation::Hello, json!({})).await;
    let own = |beyond: Value| {
        let mut body = json!({"workspace": "/repo", "actor_id": "a"});
        body.as_object_mut()
            .unwrap()
            .extend(beyond.as_object().unwrap().clone());
        body
    };
    ask(&hub, Operation::SessionsStart, own(json!({"lease_seconds": 600}))).await;
    ask(&hub, Operation::GatesReplace, own(json!({"gates": ["builds"]}))).await;
    let about = json!({"workspace": "/repo", "git": {"branch": "main", "changed_files": 2}, "memory_candidates": 0});
    let pulse = ask(&hub, Operation::CheckpointsEvaluate, about.clone()).await;
    assert_eq!(
        pulse["evaluation"],
        json!({"next_step": "ready_to_commit", "memory": "clean"})
    );
    assert_eq!(pulse["retry_class"], "retry_after_reread");
    let whole = ask(&hub, Operation::CheckpointsCloseout, about).await;
    for member in ["matter", "known", "git"] {
        assert_eq!(pulse[member], whole[member], "{member}");
    }
    assert_eq!(whole["evaluation"]["wrap_up"], "needs_review");
    let decisions = json!({
        "requires_human_choice": false, "can_clear_session": true, "safe_clean_close": false,
        "needs_full_handover": true, "recommended_next_command": "git commit",
    });
    assert_eq!(whole["decisions"], decisions);
    ask(&hub, Operation::GatesAdvance, own(json!({}))).await;
    let done = json!({"workspace": "/repo", "git": {"branch": "main"}, "memory_candidates": 0});
    let closed = ask(&hub, Operation::CheckpointsCloseout, done).await;
    assert_eq!(closed["decisions"]["safe_clean_close"], true);
    assert_eq!(closed["decisions"]["recommended_next_command"], "muster lease clear");
    let said = hub.until_events("runtime.checkpoint.evaluate_closeout", 2).await;
    assert_eq!(said[1]["data"]["decisions"]["safe_clean_close"], true);
    let said = hub.until_events("runtime.checkpoint.evaluate_checkpoint", 1).await;
    assert!(said[0]["data"].get("decisions").is_none());
    let unknown = json!({"workspace": "/repo", "git": {"dirty": true}});
    assert!(hub.ask(Operation::CheckpointsCloseout, unknown).await.is_err());
    orchestrator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_successor_is_told_what_was_left_when_it_takes_the_work_over() {
    let hub = Hub::start().await;
    let orchestrator = hub.orchestrator("a", &[]);
    let _: muster_wire::api::Reply<Value> = hub.answer(Operation::Hello, json!({})).await;
    let start = |seconds| json!({"workspace": "/repo", "actor_id": "a", "lease_seconds": seconds});
    ask(&hub, Operation::SessionsStart, start(600)).await;
    let handoff = json!({"title": "the parser", "immediate_actions": ["run the tests"], "key_files": ["src/parse.rs"]});
    let write = json!({"workspace": "/repo", "actor_id": "a", "handoff": handoff, "request_id": "h1"});
    let written = ask(&hub, Operation::HandoffsWrite, write).await;
    assert_eq!(
        (&written["outcome"], &written["handoff"]["revision"]),
        (&json!("applied"), &json!(1))
    );
    assert_eq!(written["retry_class"], "retry_after_reread");
    let recovery = json!({"origin": "risky_pause", "checkpoint": {"summary": "half of it stands"}});
    let write = json!({"workspace": "/repo", "actor_id": "a", "recovery": recovery});
    ask(&hub, Operation::RecoveriesWrite, write).await;
    let said = hub.until_events("runtime.status.write_handoff", 1).await;
    assert_eq!(said[0]["data"]["continuity"]["handoff"]["title"], "the parser");

    let take = json!({"workspace": "/repo", "actor_id": "b", "reason": "it is silent"});
    let again = ask(&hub, Operation::SessionsStart, start(1)).await;
    assert_eq!(again["continuity"]["handoff"]["title"], "the parser");
    let taken = eventually(SOON, async || {
        let taken = ask(&hub, Operation::SessionsTakeover, take.clone()).await;
        (taken["outcome"] == "applied").then_some(taken)
    })
    .await;
    assert_eq!(
        taken["continuity"]["handoff"]["immediate_actions"],
        json!(["run the tests"])
    );
    assert_eq!(
        taken["continuity"]["recovery"]["checkpoint"]["summary"],
        "half of it stands"
    );
    let read = ask(&hub, Operation::HandoffsGet, json!({"workspace": "/repo"})).await;
    assert_eq!(
        (&read["handoff"], &read["recovery"]),
        (&taken["continuity"]["handoff"], &taken["continuity"]["recovery"])
    );
    let other = json!({"workspace": "/repo", "actor_id": "a", "handoff": {"title": "mine"}});
    let refused = ask(&hub, Operation::HandoffsWrite, other).await;
    assert_eq!(
        (&refused["status"], &refused["outcome"]),
        (&json!("failed"), &json!("ownership_conflict"))
    );
    let untitled = json!({"workspace": "/repo", "actor_id": "b", "handoff": {"title": " "}});
    assert!(hub.ask(Operation::HandoffsWrite, untitled).await.is_err());
    orchestrator.stop().await;
}
