//! REST over the orchestrator's answers, with one that is played.

use crate::harness::{Event, Hub, Notifier};
use muster_bus::service::{Failure, Serving, serve};
use muster_domain::time::Timestamp;
use muster_runtime::drain::Drain;
use muster_wire::subject::Operation;
use muster_wire::topology::EVENTS;
use serde_json::{Value, json};
use std::convert::Infallible;

/// Answers as an orchestrator would, with sessions on pages of one.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "what the notifier never asks is not played"
)]
fn play(drain: &Drain, mut serving: Serving, created: Timestamp) {
    let created = muster_wire::time::format(created);
    drain.spawn("orchestrator", async move {
        // Each page reflects a later place than the one before.
        let mut seq = 2;
        while let Some(question) = serving.next().await {
            let asked: Value = serde_json::from_slice(question.body()).unwrap();
            assert_eq!(question.request().caller.as_str(), "notifier");
            let answer = match question.request().operation {
                Operation::SessionsList if asked["cursor"].is_null() => {
                    Ok(json!({ "sessions": [session("s1")], "next_cursor": "web-01.s1" }))
                }
                Operation::SessionsList => Ok(json!({ "sessions": [session("s2")], "next_cursor": null })),
                Operation::SessionsDetail if asked["id"] == "both" => Err((409, "ambiguous", "on web-01 and web-02")),
                Operation::SessionsDetail if asked["id"] == "none" => Err((404, "not_found", "no session none")),
                Operation::SessionsDetail => Ok(json!({ "session": session("s1"), "asked": asked })),
                Operation::HostsList => Ok(json!({ "hosts": [], "next_cursor": null })),
                Operation::AlertsList => Ok(json!({ "alerts": [], "more": false })),
                Operation::SessionsSearch => Ok(json!({ "hits": [], "asked": asked })),
                _ => Err((400, "bad_request", "not played")),
            };
            let answer = answer
                .map(|mut body: Value| {
                    body["seq"] = json!(seq);
                    body["stream_created"] = json!(created);
                    body["retry_class"] = json!("safe_retry");
                    body.to_string().into()
                })
                .map_err(|(code, kind, detail)| Failure {
                    code,
                    text: detail.to_owned(),
                    body: json!({ "error": {
                        "type": kind, "title": kind, "detail": detail, "retry_class": "do_not_retry",
                    } })
                    .to_string()
                    .into(),
                });
            seq += 1;
            question.respond(answer).await.unwrap();
        }
        Ok::<_, Infallible>(())
    });
}

fn session(id: &str) -> Value {
    json!({
        "id": id, "host": "web-01", "agent": "claude-code", "profile": null, "state": "working", "reason": null,
        "since": "2026-11-21T12:00:00.000Z", "started": "2026-11-21T12:00:00.000Z",
        "last_seen": "2026-11-21T12:00:00.000Z", "cwd": null, "model": null, "permission_mode": null, "turns": 1,
        "tool_calls": 0, "failures": 0, "cost_usd": null,
        "tokens": { "input": 0, "output": 0, "cache_read": 0, "cache_creation": 0, "total": 0 },
        "context_tokens": null, "window_tokens": null, "subagents_running": 0, "truncated": false,
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_and_the_stream_after_it_miss_nothing() {
    let hub = Hub::start().await;
    hub.stops(0, 5).await;
    let created = hub.bus.stream_state(EVENTS).await.unwrap().created;
    let notifier = Notifier::start(&hub, &[]).await;
    let drain = Drain::new();
    play(
        &drain,
        serve(&hub.bus, "0.1.0", Operation::ALL, 8).await.unwrap(),
        created,
    );

    let (status, snapshot) = notifier.json("/api/v1/snapshot").await;
    assert_eq!(status, 200, "{snapshot}");
    let ids: Vec<_> = snapshot["sessions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|session| &session["id"])
        .collect();
    assert_eq!(ids, ["s1", "s2"]);
    assert_eq!(snapshot["seq"], 2, "the lowest of its pages");
    let after = snapshot["seq"].as_u64().unwrap() + 1;
    let mut sse = notifier.stream(&format!("?from_seq={after}")).await;
    sse.expect("hello").await;
    assert_eq!(sse.numbers(3).await.0, [2, 3, 4]);

    // A client whose log is no more is given the same state, and goes on after it.
    let mut lost = notifier.stream("?last_event_id=1-1").await;
    lost.expect("hello").await;
    assert_eq!(lost.expect("reset").await.data["snapshot"], true);
    let state = lost.expect("snapshot").await;
    assert_eq!(state.data["sessions"].as_array().unwrap().len(), 2);
    let seq = state.data["seq"].as_u64().unwrap();
    let created = hub.created_unix().await;
    assert_eq!(state.id, Some(format!("{created}-{seq}")));
    hub.publish(&[Event::of("agent.hook.stop").data(&99).outgoing()]).await;
    let next = lost.numbers(1).await;
    assert!(next.0[0] == seq || next.0[0] == 99, "{next:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_of_the_orchestrator_are_handed_on() {
    let hub = Hub::start().await;
    let created = hub.bus.stream_state(EVENTS).await.unwrap().created;
    let notifier = Notifier::start(&hub, &[]).await;
    let without = notifier.get("/api/v1/sessions").send().await.unwrap();
    assert_eq!(without.status(), 503);
    assert!(without.headers().contains_key("retry-after"));
    let problem: Value = without.json().await.unwrap();
    assert_eq!(problem["type"], "urn:muster:problem:no-orchestrator");

    let drain = Drain::new();
    play(
        &drain,
        serve(&hub.bus, "0.1.0", Operation::ALL, 8).await.unwrap(),
        created,
    );
    let (status, list) = notifier
        .json("/api/v1/sessions?host=web-01&state=working&since=15m&limit=1")
        .await;
    assert_eq!(
        (status.as_u16(), &list["next_cursor"]),
        (200, &json!("web-01.s1")),
        "{list}"
    );
    let (status, page) = notifier.json("/api/v1/sessions?cursor=web-01.s1").await;
    assert_eq!((status.as_u16(), &page["sessions"][0]["id"]), (200, &json!("s2")));
    let (status, detail) = notifier.json("/api/v1/sessions/a%2Fb%20c?host=web-01").await;
    assert_eq!((status.as_u16(), &detail["asked"]["id"]), (200, &json!("a/b c")));
    assert_eq!(detail["asked"]["host"], "web-01");
    assert_eq!(notifier.json("/api/v1/hosts").await.0, 200);
    let asked = "/api/v1/alerts?state=all&rule=stuck&severity=warning&host=web-01&session=s1&since=7d&limit=5";
    assert_eq!(notifier.json(asked).await.0, 200);
    let (status, found) = notifier
        .json("/api/v1/search?query=two%20words&kind=error&since=7d&agent=codex&host=web-01&session=s1&limit=5")
        .await;
    assert_eq!((status.as_u16(), &found["asked"]["query"]), (200, &json!("two words")));
    assert_eq!(
        (&found["asked"]["kind"], &found["asked"]["limit"]),
        (&json!("error"), &json!(5))
    );

    for (path, expected, part) in [
        ("/api/v1/sessions/both", 409, "web-01 and web-02"),
        ("/api/v1/sessions/none", 404, "no session"),
        ("/api/v1/sessions?state=asleep", 400, "state"),
        ("/api/v1/sessions?limit=many", 400, "limit"),
        ("/api/v1/sessions?cursor=nowhere", 400, "cursor"),
        ("/api/v1/sessions?hots=web-01", 400, "hots"),
        ("/api/v1/hosts?host=web-01", 400, "host"),
        ("/api/v1/alerts?rule=sloth", 400, "rule"),
        ("/api/v1/alerts?state=closed", 400, "state"),
        ("/api/v1/search", 400, "query"),
        ("/api/v1/search?query=x&kind=thought", 400, "kind"),
        ("/api/v1/nothing", 404, "no such path"),
    ] {
        let (status, problem) = notifier.json(path).await;
        assert_eq!(status.as_u16(), expected, "{path} {problem}");
        assert!(problem["detail"].as_str().unwrap().contains(part), "{path} {problem}");
    }
    let (status, index) = notifier.json("/").await;
    assert_eq!(
        (status.as_u16(), &index["links"]["snapshot"]),
        (200, &json!("/api/v1/snapshot"))
    );
}
