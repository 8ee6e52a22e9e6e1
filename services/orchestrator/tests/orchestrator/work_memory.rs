//! What is known of the work on a workspace, through a real hub: shown, admitted, made durable, told.

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

/// Something that is about `/repo`.
fn at(more: Value) -> Value {
    let mut body = json!({"workspace": "/repo", "profile": "p"});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

/// Makes an entry that says this, and gives its number.
async fn entry(hub: &Hub, kind: &str, text: &str) -> u64 {
    let shown = at(json!({"source": "log", "text": format!("a log about: {text}")}));
    let evidence = ask(hub, Operation::MemoriesSubmit, shown).await["evidence"]["id"].clone();
    let drawn = at(json!({"evidence": evidence, "candidates": [{"type": kind, "text": text}]}));
    let id = ask(hub, Operation::MemoriesExtract, drawn).await["memories"][0]["id"].clone();
    let admitted = ask(hub, Operation::MemoriesAdmit, at(json!({"candidate": id}))).await;
    assert_eq!(admitted["outcome"], "applied");
    id.as_u64().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_session_learned_the_next_is_told_also_under_the_next_leader() {
    let hub = Hub::start().await;
    let first = hub.orchestrator("a", &[]);
    let _: muster_wire::api::Reply<Value> = hub.answer(Operation::Hello, json!({})).await;
    let shown = at(
        json!({"source": "transcript", "title": "s1", "text": "it broke, then I ran the linter", "request_id": "m1"}),
    );
    let submitted = ask(&hub, Operation::MemoriesSubmit, shown.clone()).await;
    assert_eq!(
        (
            &submitted["outcome"],
            &submitted["evidence"]["id"],
            &submitted["retry_class"]
        ),
        (&json!("applied"), &json!(1), &json!("retry_after_reread"))
    );
    let again = ask(&hub, Operation::MemoriesSubmit, shown.clone()).await;
    assert_eq!(
        (&again["outcome"], &again["evidence"]),
        (&json!("idempotent_noop"), &submitted["evidence"])
    );
    let candidates = json!([
        {"type": "rule", "text": "run the linter first"},
        {"type": "attempt", "text": "without the linter it broke", "scope": "work_stream"},
        {"type": "rule", "text": "Run the linter  FIRST"},
    ]);
    let drawn = at(json!({"evidence": 1, "candidates": candidates, "request_id": "m2"}));
    let extracted = ask(&hub, Operation::MemoriesExtract, drawn).await;
    assert_eq!(extracted["evidence"]["duplicates"], 1);
    assert_eq!(extracted["memories"].as_array().unwrap().len(), 2);
    let admitted = ask(
        &hub,
        Operation::MemoriesAdmit,
        at(json!({"candidate": 2, "request_id": "m3"})),
    )
    .await;
    assert_eq!(
        (
            &admitted["memories"][0]["state"],
            &admitted["memories"][0]["decay_class"]
        ),
        (&json!("entry"), &json!("permanent"))
    );

    // What is durable is not for agents to make; an operator does.
    let promote = at(json!({"entry": 2, "to": "profile"}));
    let no = refused(&hub, Operation::MemoriesPromote, promote.clone()).await;
    assert!(
        no.contains("durable_memory_requires_approval") && no.contains("operator"),
        "{no}"
    );
    let promoted = hub.order(Operation::MemoriesPromote, &promote).await.unwrap();
    assert_eq!(promoted["memories"][0]["scope"], "profile");
    let elsewhere = json!({"workspace": "/other", "profile": "p"});
    let told = ask(&hub, Operation::MemoriesList, elsewhere.clone()).await;
    assert_eq!(
        (&told["memories"][0]["text"], &told["memories"][0]["workspace"]),
        (&json!("run the linter first"), &json!("/repo"))
    );

    first.stop().await;
    let second = hub.orchestrator("b", &[]);
    let _: muster_wire::api::Reply<Value> = hub.answer(Operation::Hello, json!({})).await;
    assert_eq!(
        ask(&hub, Operation::MemoriesList, elsewhere).await["memories"],
        told["memories"]
    );
    let again = ask(&hub, Operation::MemoriesSubmit, shown).await;
    assert_eq!(
        (&again["outcome"], &again["evidence"]["id"]),
        (&json!("idempotent_noop"), &json!(1))
    );
    let waiting = ask(&hub, Operation::MemoriesList, at(json!({"state": "candidate"}))).await;
    assert_eq!(waiting["memories"][0]["text"], "without the linter it broke");
    let sources = ask(&hub, Operation::MemoriesSources, at(json!({}))).await;
    assert_eq!(
        (
            &sources["sources"][0]["candidates"],
            &sources["sources"][0]["entries"],
            &sources["waiting"]
        ),
        (&json!([3]), &json!([2]), &json!(0))
    );
    let one = ask(&hub, Operation::MemoriesGet, at(json!({"id": 2}))).await;
    assert_eq!(
        (&one["memory"]["affirmations"], &one["evidence"]["title"]),
        (&json!(1), &json!("s1"))
    );
    let described = ask(&hub, Operation::MemoriesDescribe, at(json!({}))).await;
    assert_eq!(
        (&described["entries"], &described["candidates"]),
        (&json!({"profile": 1}), &json!(1))
    );

    // Each change is an event; the text of evidence is there and nowhere else.
    let said = hub.until_events("runtime.memory.promote_memory", 1).await;
    assert_eq!(
        (&said[0]["data"]["from"], &said[0]["data"]["to"]),
        (&json!("workspace"), &json!("profile"))
    );
    let said = hub.until_events("runtime.memory.submit_memory_evidence", 1).await;
    assert_eq!(
        (said.len(), &said[0]["data"]["text"]),
        (1, &json!("it broke, then I ran the linter"))
    );
    for kind in ["extract_memory_candidates", "admit_memory_candidate"] {
        assert_eq!(
            hub.until_events(&format!("runtime.memory.{kind}"), 1).await.len(),
            1,
            "{kind}"
        );
    }

    let long = at(json!({"source": "log", "text": "x".repeat(8 * 1024 + 1)}));
    let no = refused(&hub, Operation::MemoriesSubmit, long).await;
    assert!(no.contains("8192 bytes"), "{no}");
    let durable = at(json!({"candidate": 3, "scope": "project"}));
    assert!(
        refused(&hub, Operation::MemoriesAdmit, durable)
            .await
            .contains("promoted")
    );
    let nothing = at(json!({"evidence": 1, "candidates": []}));
    assert!(
        refused(&hub, Operation::MemoriesExtract, nothing)
            .await
            .contains("1 to 32")
    );
    second.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_compaction_is_shown_first_and_done_once_and_durable_entries_stay() {
    let hub = Hub::start().await;
    let orchestrator = hub.orchestrator("a", &[]);
    let _: muster_wire::api::Reply<Value> = hub.answer(Operation::Hello, json!({})).await;
    let rule = entry(&hub, "rule", "use tabs").await;
    let seen = entry(&hub, "observation", "Use tabs").await;
    let constraint = entry(&hub, "constraint", "use tabs").await;
    for (entry, to) in [(rule, "project"), (constraint, "project_truth")] {
        hub.order(Operation::MemoriesPromote, &at(json!({"entry": entry, "to": to})))
            .await
            .unwrap();
    }
    let preview = ask(&hub, Operation::MemoriesCompact, at(json!({"mode": "keep"}))).await;
    assert_eq!(
        (&preview["found"][0]["id"], &preview["found"][0]["into"]),
        (&json!(seen), &json!(constraint))
    );
    assert_eq!(
        (&preview["spared"], &preview["staged_write"]),
        (&json!(1), &Value::Null)
    );
    assert_eq!(preview.get("write_result"), None);
    let write = at(json!({"mode": "keep", "write": true, "request_id": "c1"}));
    let written = ask(&hub, Operation::MemoriesCompact, write.clone()).await;
    assert_eq!(
        (
            &written["staged_write"]["outcome"],
            &written["write_result"]["removed"],
            &written["write_result"]["entries"]
        ),
        (&json!("applied"), &json!(1), &json!(2))
    );
    for again in [write, at(json!({"mode": "keep", "write": true}))] {
        let noop = ask(&hub, Operation::MemoriesCompact, again).await;
        assert_eq!(noop["staged_write"]["outcome"], "idempotent_noop");
        assert_eq!(noop.get("write_result"), None);
        assert_eq!(noop["revision"], written["revision"]);
    }
    let all = hub
        .order(Operation::MemoriesCompact, &at(json!({"mode": "keep", "write": true})))
        .await
        .unwrap();
    assert_eq!((&all["found"][0]["id"], &all["spared"]), (&json!(rule), &json!(0)));
    let said = hub.until_events("runtime.memory.compact_memory", 2).await;
    assert_eq!(
        (said.len(), &said[0]["data"]["removed"][0]["reason"]),
        (2, &json!("duplicate"))
    );
    let vague = at(json!({"mode": "keep", "remove": true}));
    assert!(
        refused(&hub, Operation::MemoriesCompact, vague)
            .await
            .contains("review")
    );

    // A rule may let agents do what by default they may not.
    let rules = json!({"sources": [{"name": "r.cedar", "text":
        "@id(\"learn\") permit(principal, action in Action::\"durable_memory_mutation\", resource);"}]});
    hub.order(Operation::PolicyActivate, &rules).await.unwrap();
    let other = entry(&hub, "rule", "mind the gap").await;
    let promoted = ask(
        &hub,
        Operation::MemoriesPromote,
        at(json!({"entry": other, "to": "project"})),
    )
    .await;
    assert_eq!(promoted["outcome"], "applied");
    orchestrator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_child_is_told_what_it_needs_to_begin_and_how_much_did_not_fit() {
    let hub = Hub::start().await;
    let orchestrator = hub.orchestrator("a", &[]);
    let _: muster_wire::api::Reply<Value> = hub.answer(Operation::Hello, json!({})).await;
    let empty = ask(&hub, Operation::WorkspacesBootstrap, at(json!({}))).await;
    assert_eq!((&empty["lease"], &empty["memories"]), (&Value::Null, &json!([])));

    let own = |more: Value| {
        let mut body = at(more);
        body["actor_id"] = json!("ann");
        body
    };
    entry(&hub, "rule", "run the linter first").await;
    ask(&hub, Operation::SessionsStart, own(json!({"lease_seconds": 600}))).await;
    ask(
        &hub,
        Operation::GatesReplace,
        own(json!({"gates": ["builds", "tests pass"]})),
    )
    .await;
    ask(&hub, Operation::GatesAdvance, own(json!({}))).await;
    let raise = json!({"kind": "non_blocking", "reason": "which of the two?"});
    ask(&hub, Operation::EscalationsSet, own(raise)).await;
    let handoff = json!({"handoff": {"title": "the parser", "immediate_actions": ["run the tests"]}});
    ask(&hub, Operation::HandoffsWrite, own(handoff)).await;
    let told = ask(
        &hub,
        Operation::WorkspacesBootstrap,
        at(json!({"session": "unheard-of"})),
    )
    .await;
    assert_eq!(
        (&told["lease"]["session"]["actor_id"], &told["lease"]["stale"]),
        (&json!("ann"), &json!(false))
    );
    assert_eq!(
        (&told["open_gates"][0]["index"], &told["attention_anchor"]),
        (&json!(1), &json!(1))
    );
    assert_eq!(told["escalations"][0]["reason"], "which of the two?");
    assert_eq!(told["handoff"]["immediate_actions"], json!(["run the tests"]));
    assert_eq!(told["memories"][0]["text"], "run the linter first");
    let nothing =
        json!({"lease": false, "escalations": 0, "open_gates": 0, "handoff": 0, "recovery": 0, "memories": 0});
    assert_eq!((&told["left_out"], &told["nesting"]), (&nothing, &Value::Null));
    assert!(told["rights"].as_str().unwrap().contains("at most the rights"));

    // Much more than fits: what waits for somebody and what is known are there all the same, and the rest is counted.
    let gates: Vec<String> = (0..30).map(|n| format!("gate {n} {}", "é\"".repeat(100))).collect();
    ask(&hub, Operation::GatesReplace, own(json!({"gates": gates}))).await;
    let long: Vec<String> = (0..30).map(|n| format!("action {n} {}", "x".repeat(400))).collect();
    let handoff = json!({"handoff": {"title": "all of it", "immediate_actions": long}});
    ask(&hub, Operation::HandoffsWrite, own(handoff)).await;
    let answer = hub.ask(Operation::WorkspacesBootstrap, at(json!({}))).await.unwrap();
    assert!(answer.len() <= 16 * 1024, "{}", answer.len());
    let told: Value = serde_json::from_slice(&answer).unwrap();
    assert_eq!(told["escalations"].as_array().unwrap().len(), 1);
    assert_eq!(told["memories"][0]["text"], "run the linter first");
    let shown = told["open_gates"].as_array().unwrap().len() as u64;
    assert_eq!(shown + told["left_out"]["open_gates"].as_u64().unwrap(), 30);
    assert!(told["left_out"]["handoff"].as_u64().unwrap() > 0);
    orchestrator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_known_is_found_by_its_words_and_paged() {
    let hub = Hub::start().await;
    let orchestrator = hub.orchestrator("a", &[]);
    let _: muster_wire::api::Reply<Value> = hub.answer(Operation::Hello, json!({})).await;
    let shown = at(json!({"source": "document", "text": "a long document"}));
    ask(&hub, Operation::MemoriesSubmit, shown).await;
    let texts: Vec<Value> = (0..7)
        .map(|n| json!({"type": if n == 3 { "rule" } else { "attempt" }, "text": format!("Word {n}")}))
        .collect();
    ask(
        &hub,
        Operation::MemoriesExtract,
        at(json!({"evidence": 1, "candidates": texts})),
    )
    .await;
    let rules = at(json!({"state": "candidate", "type": "rule", "text": "word"}));
    let found = ask(&hub, Operation::MemoriesList, rules).await;
    assert_eq!(
        (&found["memories"][0]["text"], &found["next_cursor"]),
        (&json!("Word 3"), &Value::Null)
    );
    let (mut seen, mut cursor) = (Vec::new(), Value::Null);
    loop {
        let page = at(json!({"state": "candidate", "type": "attempt", "limit": 4, "cursor": cursor}));
        let page = ask(&hub, Operation::MemoriesList, page).await;
        seen.extend(
            page["memories"]
                .as_array()
                .unwrap()
                .iter()
                .map(|row| row["id"].as_u64().unwrap()),
        );
        cursor = page["next_cursor"].clone();
        if cursor.is_null() {
            break;
        }
    }
    assert_eq!(seen, [2, 3, 4, 6, 7, 8]);
    let foreign = at(json!({"cursor": "x"}));
    assert!(
        refused(&hub, Operation::MemoriesList, foreign)
            .await
            .contains("next_cursor")
    );
    orchestrator.stop().await;
}
