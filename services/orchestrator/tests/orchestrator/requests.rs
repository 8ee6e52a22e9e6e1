//! Questions and their answers.

use crate::hub::{Hub, SOON};
use crate::raw;
use muster_bus::service::RequestError;
use muster_domain::state::SessionState;
use muster_testkit::eventually;
use muster_wire::api::{
    ApiError, AuditDigest, ErrorKind, Failure, Hello, HostsList, Reply, Session, SessionDetail, SessionsList, Status,
};
use muster_wire::subject::Operation;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// The refusal that a question meets, in both of its forms.
async fn refused(hub: &Hub, operation: Operation, body: impl ToString) -> ApiError {
    let error = hub.ask(operation, body).await.unwrap_err();
    let RequestError::Failed(failure) = error else {
        panic!("{error:?}");
    };
    let body: Failure = serde_json::from_slice(&failure.body).unwrap();
    assert_eq!(failure.code, body.error.kind.status());
    body.error
}

#[tokio::test(flavor = "multi_thread")]
async fn each_operation_answers_in_its_documented_shape() {
    let hub = Hub::start().await;
    let orchestrator = hub.orchestrator("a", &[]);
    let mut host = hub.host("web-01");
    host.begin("s1").await;
    host.end("s1").await;
    hub.until("s1", SessionState::Idle).await;

    let hello: Reply<Hello> = hub
        .answer(Operation::Hello, json!({"proto_min": 1, "proto_max": 9}))
        .await;
    assert_eq!((hello.body.proto, hello.body.leading), (1, true));
    let status: Reply<Status> = hub.answer(Operation::Status, json!({})).await;
    assert_eq!(status.body.leader, Some(hello.body.instance));
    assert_eq!(status.stream_created, hub.log().await.created);
    let row: Reply<Session> = hub.answer(Operation::SessionsStatus, json!({"id": "s1"})).await;
    assert_eq!(row.body.session.tool_calls, 1);
    let hosts: Reply<HostsList> = hub.answer(Operation::HostsList, json!({"limit": 1})).await;
    assert_eq!(hosts.body.hosts[0].name.as_str(), "web-01");
    let digest: Reply<AuditDigest> = hub.answer(Operation::AuditDigest, json!({})).await;
    assert_eq!((digest.body.at_seq, digest.body.digest.len()), (digest.seq, 64));
    let detail: Reply<SessionDetail> = hub.answer(Operation::SessionsDetail, json!({"id": "s1"})).await;
    assert_eq!(
        detail.body.turns[0].spans[0].tool_use_id.as_ref().unwrap().as_str(),
        "t1"
    );
    assert!(detail.body.events.is_empty());
    orchestrator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_give_each_session_once_while_others_begin() {
    let hub = Hub::start().await;
    let orchestrator = hub.orchestrator("a", &[]);
    let mut host = hub.host("web-01");
    let names: Vec<String> = (0..1200).map(|n| format!("old-{n:04}")).collect();
    let begun: Vec<_> = names
        .iter()
        .map(|id| host.hook(id, "session_start", json!({"source": "startup"})))
        .collect();
    host.publish(&begun).await;
    eventually(SOON, async || {
        let status: Reply<Status> = hub.answer(Operation::Status, json!({})).await;
        if status.body.sessions == 1200 {
            Ok(())
        } else {
            Err(status.body)
        }
    })
    .await;
    let (mut seen, mut pages, mut cursor) = (Vec::new(), 0, Value::Null);
    loop {
        let body = json!({"limit": 9999, "cursor": cursor});
        let page: Reply<SessionsList> = hub.answer(Operation::SessionsList, body).await;
        assert!(page.body.sessions.len() <= 500);
        seen.extend(page.body.sessions.iter().map(|row| row.id.to_string()));
        pages += 1;
        let Some(next) = page.body.next_cursor else { break };
        cursor = json!(next);
        // One before the place the page ended, and one after every other.
        let new = [format!("a-{pages}"), format!("z-{pages}")];
        let new: Vec<_> = new.iter().map(|id| host.hook(id, "session_start", json!({}))).collect();
        host.publish(&new).await;
        let last = json!({"id": new[1].session});
        eventually(SOON, async || hub.ask(Operation::SessionsStatus, &last).await).await;
    }
    let old: Vec<&String> = seen.iter().filter(|id| id.starts_with("old-")).collect();
    assert_eq!(old, names.iter().collect::<Vec<_>>());
    assert_eq!(seen.iter().collect::<BTreeSet<_>>().len(), seen.len());
    assert_eq!(pages, 3);
    orchestrator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn events_of_a_session_are_paged_to_the_end() {
    let hub = Hub::start().await;
    let orchestrator = hub.orchestrator("a", &[]);
    // Who leads from the start announces each change, however soon the next one comes.
    let _: Reply<Hello> = hub.answer(Operation::Hello, json!({})).await;
    let mut host = hub.host("web-01");
    host.begin("s1").await;
    host.begin("s2").await;
    host.end("s1").await;
    hub.until("s1", SessionState::Idle).await;
    let announced = hub.until_events("runtime.status.state_changed", 5).await;
    let of_s1 = 5 + announced.iter().filter(|event| event["subject"] == "s1").count();
    let (mut seen, mut after) = (Vec::new(), json!(0));
    loop {
        let body = json!({"id": "s1", "limit": 2, "after_seq": after});
        let page: Reply<SessionDetail> = hub.answer(Operation::SessionsDetail, body).await;
        assert!(page.body.events.len() <= 2);
        for stored in &page.body.events {
            let event: Value = serde_json::from_str(stored.event.get()).unwrap();
            assert_eq!(event["subject"], "s1");
            seen.push(stored.seq);
        }
        match page.body.next_events {
            Some(next) => after = json!(next),
            None => break,
        }
    }
    assert!(seen.is_sorted_by(|a, b| a < b));
    assert_eq!(seen.len(), of_s1);
    let beyond = json!({"id": "s1", "limit": 2, "after_seq": u64::MAX});
    let page: Reply<SessionDetail> = hub.answer(Operation::SessionsDetail, beyond).await;
    assert!(page.body.events.is_empty() && page.body.next_events.is_none());
    orchestrator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_larger_than_a_message_is_answered_with_its_newest_turns_whole() {
    let hub = Hub::start().await;
    let orchestrator = hub.orchestrator("a", &[]);
    let mut host = hub.host("web-01");
    let mut events = Vec::new();
    for prompt in 0..20 {
        let prompt = format!("p{prompt}");
        events.push(host.hook("s1", "user_prompt_submit", json!({"prompt_id": prompt, "prompt": "go"})));
        for call in 0..250 {
            let input = json!({"command": "x".repeat(300)});
            let id = format!("{prompt}-{call}");
            let call = json!({"prompt_id": prompt, "tool_name": "Bash", "tool_use_id": id, "tool_input": input});
            events.push(host.hook("s1", "pre_tool_use", call));
        }
        events.push(host.hook("s1", "stop", json!({"prompt_id": prompt})));
    }
    let seq = host.publish(&events).await;
    let detail = eventually(SOON, async || {
        let body = json!({"id": "s1", "limit": 500});
        let detail: Reply<SessionDetail> = hub.answer(Operation::SessionsDetail, body).await;
        if detail.seq >= seq {
            Ok(detail.body)
        } else {
            Err(detail.seq)
        }
    })
    .await;
    assert_eq!(detail.session.tool_calls, 5000);
    assert!(!detail.events.is_empty() && detail.next_events.is_some());
    let (oldest, newest) = (&detail.turns[0], detail.turns.last().unwrap());
    assert_eq!((oldest.spans.len(), oldest.truncated), (0, 250));
    assert_eq!((newest.spans.len(), newest.truncated), (250, 0));
    orchestrator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_answered_is_refused_as_documented() {
    let hub = Hub::start().await;
    let orchestrator = hub.orchestrator("a", &[]);
    for name in ["web-01", "web-02"] {
        hub.host(name).begin("s1").await;
    }
    eventually(SOON, async || (hub.sessions().await.len() == 2).then_some(())).await;

    let both = refused(&hub, Operation::SessionsStatus, json!({"id": "s1"})).await;
    assert_eq!(both.kind, ErrorKind::Ambiguous);
    assert!(both.detail.contains("web-01, web-02"), "{both}");
    let one: Reply<Session> = hub
        .answer(Operation::SessionsStatus, json!({"id": "s1", "host": "web-02"}))
        .await;
    assert_eq!(one.body.session.host.as_str(), "web-02");

    use Operation::{AuditDigest, Hello, HostsList, SessionsDetail, SessionsList, SessionsStatus};
    let table = [
        (SessionsStatus, r#"{"id":"nobody"}"#, ErrorKind::NotFound),
        (SessionsDetail, r#"{"id":"nobody","limit":5}"#, ErrorKind::NotFound),
        (SessionsDetail, "", ErrorKind::BadRequest),
        (SessionsList, "{", ErrorKind::BadRequest),
        (SessionsList, "\u{0}", ErrorKind::BadRequest),
        (SessionsList, "[1]", ErrorKind::BadRequest),
        (SessionsList, r#"{"cursor":"%%%"}"#, ErrorKind::BadRequest),
        (SessionsList, r#"{"limit":-1}"#, ErrorKind::BadRequest),
        (SessionsList, r#"{"hots":"web-01"}"#, ErrorKind::BadRequest),
        (HostsList, r#"{"cursor":7}"#, ErrorKind::BadRequest),
        (Hello, r#"{"proto_min":2,"proto_max":3}"#, ErrorKind::Version),
        (Hello, r#"{"proto_max":0}"#, ErrorKind::Version),
        (AuditDigest, r#"{"at_seq":999999}"#, ErrorKind::Unavailable),
    ];
    for (operation, body, kind) in table {
        assert_eq!(refused(&hub, operation, body).await.kind, kind, "{operation} {body}");
    }
    assert_eq!(hub.sessions().await.len(), 2);
    orchestrator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_leader_is_there_to_be_asked() {
    let hub = Hub::start().await;
    let url = hub.server.client_url();
    let nobody = hub.ask(Operation::Hello, json!({})).await;
    assert_eq!(nobody, Err(RequestError::NoOrchestrator));

    let first = hub.orchestrator("a", &[]);
    let leader: Reply<Hello> = hub.answer(Operation::Hello, json!({})).await;
    let second = hub.orchestrator("b", &[]);
    second.ready().await;
    let stats = raw::request(&url, "$SRV.PING.orchestrator", "").await.unwrap();
    assert_eq!(stats["name"], "orchestrator");
    for _ in 0..20 {
        let again: Reply<Hello> = hub.answer(Operation::Hello, json!({})).await;
        assert_eq!(again.body.instance, leader.body.instance);
    }
    first.stop().await;
    let other: Reply<Hello> = hub.answer(Operation::Hello, json!({})).await;
    assert_ne!(other.body.instance, leader.body.instance);
    second.stop().await;
    assert_eq!(raw::request(&url, "$SRV.PING.orchestrator", "").await, None);
}
