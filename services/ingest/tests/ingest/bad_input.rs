//! Each kind of bad input gets its documented answer, and the next good request works.

use crate::client::Socket;
use crate::rig::{Hub, Ingest, Place, SOON};
use muster_testkit::eventually;
use muster_wire::frame::ServerFrame;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const HOOK: &str = "/v1/hooks/claude-code";
const JSON: &str = "application/json";

async fn a_good_request_works(ingest: &Ingest) {
    let good = json!({"session_id": "good", "hook_event_name": "Stop"});
    assert_eq!(ingest.hook(&good).await.status, 200);
}

fn nested(depth: usize) -> String {
    format!(
        r#"{{"session_id":"s","hook_event_name":"Stop","x":{}{}}}"#,
        "[".repeat(depth - 1),
        "]".repeat(depth - 1)
    )
}

#[tokio::test]
async fn over_http() {
    let hub = Hub::start().await;
    let place = Place::new("web-01", &hub.server.client_url());
    let ingest = place.start().await;
    let stop = json!({"session_id": "s", "hook_event_name": "Stop"}).to_string();
    let cases: Vec<(&str, &str, Vec<u8>, u16, &str)> = vec![
        (HOOK, JSON, b"{\"a\":".to_vec(), 400, "broken-json"),
        (HOOK, JSON, b"".to_vec(), 400, "broken-json"),
        (HOOK, JSON, b"{\"session_id\":\"\xff\"}".to_vec(), 400, "not-utf8"),
        (HOOK, JSON, nested(129).into_bytes(), 400, "too-deep"),
        (HOOK, JSON, "[".repeat(5_000_000).into_bytes(), 400, "too-deep"),
        (HOOK, JSON, b"[1]".to_vec(), 400, "not-an-object"),
        (
            HOOK,
            JSON,
            br#"{"hook_event_name":"Stop"}"#.to_vec(),
            400,
            "missing-session",
        ),
        (HOOK, JSON, br#"{"session_id":"s"}"#.to_vec(), 400, "missing-hook"),
        (
            "/v1/hooks/nobody",
            JSON,
            stop.clone().into_bytes(),
            404,
            "unknown-agent",
        ),
        (HOOK, JSON, vec![b' '; 9 << 20], 413, "too-large"),
        (
            HOOK,
            "text/plain",
            stop.clone().into_bytes(),
            415,
            "unsupported-media-type",
        ),
        (
            HOOK,
            JSON,
            br#"{"session_id":"a\u0000b","hook_event_name":"Stop"}"#.to_vec(),
            422,
            "bad-name",
        ),
        (
            HOOK,
            JSON,
            format!(r#"{{"session_id":"{}","hook_event_name":"Stop"}}"#, "x".repeat(300)).into_bytes(),
            422,
            "bad-name",
        ),
        (
            HOOK,
            JSON,
            br#"{"session_id":"s","hook_event_name":"!!"}"#.to_vec(),
            422,
            "bad-name",
        ),
        ("/v1/events", JSON, b"{".to_vec(), 400, "broken-json"),
        (
            "/v1/events",
            JSON,
            br#"{"kind":"agent.hook.stop"}"#.to_vec(),
            400,
            "missing-session",
        ),
        (
            "/v1/events",
            JSON,
            br#"{"kind":"runtime.leader.elected"}"#.to_vec(),
            422,
            "not-an-observation",
        ),
        (
            "/v1/events",
            JSON,
            br#"{"kind":"agent.turn.nope","session":"s"}"#.to_vec(),
            422,
            "unknown-kind",
        ),
        (
            "/v1/events",
            "application/xml",
            b"<a/>".to_vec(),
            415,
            "unsupported-media-type",
        ),
        (
            "/v1/events",
            "application/x-ndjson",
            b"\xff\xfe".to_vec(),
            400,
            "not-utf8",
        ),
    ];
    for (path, kind, body, status, problem) in cases {
        let shown = String::from_utf8_lossy(&body[..body.len().min(60)]).into_owned();
        let answer = ingest.post(path, kind, body).await;
        assert_eq!(
            (answer.status, answer.problem().as_str()),
            (status, problem),
            "{path} {shown}"
        );
        a_good_request_works(&ingest).await;
    }
    assert_eq!(ingest.post(HOOK, JSON, nested(128)).await.status, 200);
    let unknown = json!({"session_id": "s", "hook_event_name": "NeverHeardOf"});
    assert_eq!(ingest.hook(&unknown).await.status, 200);
    let metrics = ingest.get("/metrics").await.body;
    assert!(metrics.contains(r#"reason="too-deep"} 2"#), "{metrics}");
}

#[tokio::test]
async fn from_strangers() {
    let hub = Hub::start().await;
    let token = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(token.path(), "let-me-in-please-0123456789").unwrap();
    let place =
        Place::new("web-01", &hub.server.client_url()).with(&format!("http.token_file={}", token.path().display()));
    let ingest = place.start().await;
    let send = async |headers: &[(&str, &str)]| {
        let mut request = reqwest::Client::new()
            .post(ingest.url(HOOK))
            .header("content-type", JSON);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let body = json!({"session_id": "s", "hook_event_name": "Stop"}).to_string();
        request.body(body).send().await.unwrap().status().as_u16()
    };
    let good = ("authorization", "Bearer let-me-in-please-0123456789");
    assert_eq!(send(&[]).await, 401);
    assert_eq!(send(&[("authorization", "Bearer wrong")]).await, 401);
    assert_eq!(send(&[good, ("origin", "https://evil.example")]).await, 403);
    assert_ne!(send(&[good, ("host", "evil.example")]).await, 200);
    assert_eq!(send(&[good]).await, 200);
}

#[tokio::test]
async fn from_the_slow() {
    let hub = Hub::start().await;
    let place = Place::new("web-01", &hub.server.client_url())
        .with("http.body_timeout=300ms")
        .with("http.header_timeout=300ms");
    let ingest = place.start().await;
    let mut slow = Vec::new();
    for head in [
        "POST /v1/hooks/claude-code HT",
        "POST /v1/hooks/claude-code HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\ncontent-length: 8000000\r\n\r\n{",
    ] {
        for _ in 0..40 {
            let mut stream = TcpStream::connect(("127.0.0.1", ingest.port)).await.unwrap();
            stream.write_all(head.as_bytes()).await.unwrap();
            slow.push(stream);
        }
    }
    a_good_request_works(&ingest).await;
    for mut stream in slow {
        let mut answer = String::new();
        // Closed with or without a word, but closed.
        let _ = tokio::time::timeout(SOON * 2, stream.read_to_string(&mut answer))
            .await
            .expect("a slow connection is closed");
    }
    a_good_request_works(&ingest).await;
}

#[tokio::test]
async fn over_the_socket() {
    let hub = Hub::start().await;
    let place = Place::new("web-01", &hub.server.client_url()).with("socket.read_timeout=500ms");
    let ingest = place.start().await;
    let path = &ingest.socket;

    let mut silent = Socket::open(path).await;
    assert!(silent.hear().await.is_none(), "who says no hello is not waited for");
    let mut first = Socket::open(path).await;
    first.say(&json!({"type": "status"})).await;
    assert_eq!(first.error().await, "hello-required");
    assert!(first.hear().await.is_none());
    let mut old = Socket::open(path).await;
    old.say(&json!({"type": "hello", "proto_min": 7, "proto_max": 9})).await;
    let Some(ServerFrame::Error(error)) = old.hear().await else {
        panic!("no error")
    };
    assert_eq!(
        (error.code.as_str(), error.supported_min, error.supported_max),
        ("unsupported-version", 1, 1)
    );
    assert!(old.hear().await.is_none());
    for greeted in [false, true] {
        let mut huge = if greeted {
            Socket::greeted(path).await
        } else {
            Socket::open(path).await
        };
        huge.raw(&[0xff; 4]).await;
        assert_eq!(huge.error().await, "too-large");
        assert!(huge.hear().await.is_none());
    }
    let mut half = Socket::greeted(path).await;
    half.raw(&[0, 0, 1, 0, b'{']).await;
    assert!(half.hear().await.is_none(), "half a frame is not waited for");

    let mut socket = ingest.connect().await;
    socket.frame(b"{").await;
    assert_eq!(socket.error().await, "broken-frame");
    socket.say(&json!({"type": "stop"})).await;
    assert_eq!(socket.error().await, "unknown-type");
    let many = format!(
        r#"{{"type":"ingest_events","events":[{}{{}}]}}"#,
        "{},".repeat(2_700_000)
    );
    socket.frame(many.as_bytes()).await;
    assert_eq!(socket.error().await, "too-many");
    let peak_kib = ingest.peak_kib();
    assert!(peak_kib < 256 * 1024, "{peak_kib} KiB for what was refused");
    let ask = json!({"type": "ingest_hook", "agent": "claude-code", "payload_follows": true});
    for (around, payload, code) in [
        (ask.clone(), &b"{"[..], "broken-json"),
        (ask.clone(), b"\xff", "not-utf8"),
        (ask.clone(), b"{}", "missing-session"),
        (ask.clone(), nested(129).as_bytes(), "too-deep"),
        (
            json!({"type": "ingest_hook", "agent": "nobody", "payload_follows": true}),
            b"{}",
            "unknown-agent",
        ),
        (
            json!({"type": "ingest_hook", "agent": "claude-code", "payload_follows": true, "truncated": true}),
            b"{\"a",
            "too-large",
        ),
    ] {
        socket.say(&around).await;
        socket.frame(payload).await;
        assert_eq!(socket.error().await, code);
    }
    socket
        .hook(json!({}), br#"{"session_id":"s","hook_event_name":"Stop"}"#)
        .await;
    hub.hooks("web-01", 1).await;
    eventually(SOON, async || {
        Some(ingest.get("/metrics").await.body).filter(|metrics| metrics.contains(r#"reason="unknown-agent"} 1"#))
    })
    .await;
}
