//! Approvals over REST, with an orchestrator that is played and judges signatures as a real one does.

use crate::harness::{Event, Hub, Notifier, SOON};
use crate::receiver::Receiver;
use muster_bus::operator::{HEADER, Judge, Key};
use muster_bus::service::{Failure, Serving, serve};
use muster_runtime::drain::Drain;
use muster_testkit::eventually;
use muster_wire::subject::Operation;
use reqwest::{RequestBuilder, Response};
use serde_json::{Value, json};
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::SystemTime;

const TOKEN: &str = "an-operators-token-of-32-letters";
const ID: &str = "0198f3c2-0000-7000-8000-00000000aaaa";
const NOBODYS: &str = "0198f3c2-0000-7000-8000-00000000bbbb";

/// Answers as an orchestrator would: whoever signs first is first.
fn play(drain: &Drain, mut serving: Serving) -> Arc<AtomicUsize> {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    drain.spawn("orchestrator", async move {
        let mut judge = Judge::new(Key::new(TOKEN).unwrap());
        let mut first = None;
        while let Some(question) = serving.next().await {
            let request = question.request().clone();
            assert_eq!(request.caller.as_str(), "notifier");
            let body: Value = serde_json::from_slice(question.body()).unwrap();
            let now = muster_wire::time::from_system(SystemTime::now());
            let answer = if request.operation == Operation::ApprovalsResolve {
                count.fetch_add(1, Ordering::SeqCst);
                match judge.verify(&request, question.body(), question.header(HEADER), now) {
                    Err(error) => Err((403, "forbidden", error.to_string())),
                    Ok(()) if body["id"] == NOBODYS => Err((404, "not_found", "no such approval".to_owned())),
                    Ok(()) => {
                        let outcome = if first.is_none() { "applied" } else { "already_resolved" };
                        let first = first.get_or_insert(body);
                        Ok(json!({"outcome": outcome, "approval": {"asked_with": first}}))
                    }
                }
            } else {
                assert_eq!(question.header(HEADER), None, "whoever looks is nobody's operator");
                Ok(json!({"asked": body}))
            };
            let answer = answer
                .map(|body| body.to_string().into())
                .map_err(|(code, kind, detail)| Failure {
                    code,
                    text: detail.clone(),
                    body:
                        json!({"error": {"type": kind, "title": kind, "detail": detail, "retry_class": "do_not_retry"}})
                            .to_string()
                            .into(),
                });
            question.respond(answer).await.unwrap();
        }
        Ok::<_, Infallible>(())
    });
    asked
}

impl Notifier {
    fn answer(&self, id: &str) -> RequestBuilder {
        self.http.post(format!("{}/api/v1/approvals/{id}", self.base))
    }
}

async fn read(request: RequestBuilder) -> (u16, Value) {
    let response: Response = request.send().await.unwrap();
    (response.status().as_u16(), response.json().await.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_is_signed_with_what_its_sender_presents_and_the_verdict_handed_back() {
    let hub = Hub::start().await;
    let notifier = Notifier::start(&hub, &[]).await;
    let drain = Drain::new();
    let asked = play(&drain, serve(&hub.bus, "0.1.0", Operation::ALL, 8).await.unwrap());
    let approve = json!({"decision": "approve"});

    let without = notifier.answer(ID).json(&approve).send().await.unwrap();
    assert_eq!(
        (without.status().as_u16(), &without.headers()["www-authenticate"]),
        (401, &"Bearer".parse().unwrap())
    );
    assert_eq!(
        read(notifier.answer(ID).bearer_auth("short").json(&approve)).await.0,
        403
    );
    let form = |kind: &str| {
        let body = approve.to_string();
        notifier
            .answer(ID)
            .bearer_auth(TOKEN)
            .header("content-type", kind)
            .body(body)
    };
    assert_eq!(read(form("text/plain")).await.0, 415);
    assert_eq!(read(form("application/x-www-form-urlencoded")).await.0, 415);
    for origin in ["https://evil.example", "null", "http://127.0.0.1:1"] {
        let foreign = notifier
            .answer(ID)
            .bearer_auth(TOKEN)
            .header("origin", origin)
            .json(&approve);
        assert_eq!(read(foreign).await.0, 403, "{origin}");
    }
    let cross = form("application/json").header("sec-fetch-site", "cross-site");
    assert_eq!(read(cross).await.0, 403);
    for wrong in [
        json!({}),
        json!({"decision": "perhaps"}),
        json!({"decision": "deny", "id": ID}),
        json!([]),
    ] {
        assert_eq!(
            read(notifier.answer(ID).bearer_auth(TOKEN).json(&wrong)).await.0,
            400,
            "{wrong}"
        );
    }
    assert_eq!(
        read(notifier.answer("x").bearer_auth(TOKEN).json(&approve)).await.0,
        404
    );
    assert_eq!(asked.load(Ordering::SeqCst), 0, "the orchestrator was asked none of it");

    let (status, problem) = read(
        notifier
            .answer(ID)
            .bearer_auth("another-token-of-32-letters-here")
            .json(&approve),
    )
    .await;
    assert_eq!(
        (status, &problem["type"]),
        (403, &json!("urn:muster:problem:forbidden")),
        "{problem}"
    );
    let whole = json!({
        "decision": "approve", "reason": "fine", "scope": "session", "answers": {"Which?": "A"}, "request_id": "r-1",
    });
    let (status, applied) = read(notifier.answer(ID).bearer_auth(TOKEN).json(&whole)).await;
    assert_eq!((status, &applied["outcome"]), (200, &json!("applied")), "{applied}");
    let asked_with = &applied["approval"]["asked_with"];
    assert_eq!(
        (&asked_with["id"], &asked_with["answers"]),
        (&json!(ID), &whole["answers"])
    );
    assert_eq!(
        (&asked_with["scope"], &asked_with["request_id"]),
        (&json!("session"), &json!("r-1"))
    );
    let (status, late) = read(
        notifier
            .answer(ID)
            .bearer_auth(TOKEN)
            .json(&json!({"decision": "deny"})),
    )
    .await;
    assert_eq!((status, &late["outcome"]), (409, &json!("already_resolved")));
    assert_eq!(
        late["approval"]["asked_with"]["reason"], "fine",
        "the loser is told who won"
    );
    assert_eq!(
        read(notifier.answer(NOBODYS).bearer_auth(TOKEN).json(&approve)).await.0,
        404
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_services_token_opens_the_lists_and_answers_nothing() {
    let hub = Hub::start().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    let service = "the-services-token-of-32-letters";
    std::fs::write(&file, service).unwrap();
    {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    }
    let notifier = Notifier::start(&hub, &[("http.token_file", file.to_str().unwrap())]).await;
    let drain = Drain::new();
    let asked = play(&drain, serve(&hub.bus, "0.1.0", Operation::ALL, 8).await.unwrap());
    let list = "/api/v1/approvals?state=all&host=web-01&session=s1&limit=5";
    assert_eq!(read(notifier.get(list)).await.0, 401);
    assert_eq!(read(notifier.get(list).bearer_auth(TOKEN)).await.0, 401);
    let (status, listed) = read(notifier.get(list).bearer_auth(service)).await;
    assert_eq!(status, 200, "{listed}");
    let request = json!({"state": "all", "session": "s1", "host": "web-01", "limit": 5});
    assert_eq!(listed["asked"], request);
    let one = notifier.get(&format!("/api/v1/approvals/{ID}")).bearer_auth(service);
    assert_eq!(read(one).await.1["asked"]["id"], ID);
    let wrong = notifier.get("/api/v1/approvals?state=closed").bearer_auth(service);
    assert_eq!(read(wrong).await.0, 400);

    let approve = json!({"decision": "approve"});
    let (status, refused) = read(notifier.answer(ID).bearer_auth(service).json(&approve)).await;
    assert_eq!(status, 403, "{refused}");
    assert!(
        refused["detail"].as_str().unwrap().contains("the operator's"),
        "{refused}"
    );
    assert_eq!(asked.load(Ordering::SeqCst), 0, "nothing is signed with it");
    assert_eq!(read(notifier.answer(ID).json(&approve)).await.0, 401);
    assert_eq!(read(notifier.answer(ID).bearer_auth(TOKEN).json(&approve)).await.0, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_told_of_an_approval_is_told_all_that_was_asked() {
    let receiver = Receiver::start(&[]).await;
    let hub = Hub::start().await;
    let notifier = Notifier::configured(&hub, &[], Some(&receiver.config(&[("pager", None)]))).await;
    let mut sse = notifier.stream("?family=runtime.approval_required").await;
    sse.expect("hello").await;
    let asked = json!({
        "kind": "permission_request", "tool_name": "Bash", "input_digest": "0000000000000001", "cwd": "/w",
        "tool_input": {"command": "make\nmake install"}, "suggestions": [{"type": "addRules"}],
    });
    let data = json!({"approval_id": ID, "stage": "asked", "deadline": "2026-11-21T12:09:30.000Z", "asked": asked});
    let event = Event::of("runtime.approval_required.permission_request").data(&data);
    hub.publish(&[event.outgoing()]).await;
    let frame = sse.expect("runtime.approval_required.permission_request").await;
    assert_eq!(frame.data["data"], data);
    let call = eventually(SOON, async || receiver.calls().pop().ok_or("nothing yet")).await;
    assert!(call.body.to_string().contains(&asked.to_string()), "{}", call.body);
}
