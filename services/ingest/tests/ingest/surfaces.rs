use crate::rig::{Hub, Ingest, Place, SOON, assert_counts_are_whole};
use muster_testkit::eventually;
use muster_wire::Filter;
use muster_wire::frame::ServerFrame;
use muster_wire::topology::{EVENTS, TRANSCRIPT};
use serde_json::{Value, json};
use std::process::Command;

fn stop(session: &str) -> Value {
    json!({"session_id": session, "hook_event_name": "Stop"})
}

#[tokio::test]
async fn a_hook_is_in_the_log_under_its_subject_with_what_was_said() {
    let hub = Hub::start().await;
    let place = Place::new("web-01", &hub.server.client_url());
    let ingest = place.start().await;
    let payload = json!({"session_id": "78e6edba-fbb9", "hook_event_name": "PreToolUse", "tool_name": "Bash", "tool_use_id": "t1",
        "tool_input": {"command": "curl -H 'Authorization: Bearer abcdef123456' x"}, "cwd": "/x", "unheard_of": {"a": [1]}});
    let answer = ingest.hook(&payload).await;
    assert_eq!((answer.status, answer.body.as_str()), (200, ""));
    let stored = hub.hooks("web-01", 1).await;
    let (subject, envelope) = &stored[0];
    assert_eq!(subject, "agent.hook.pre_tool_use.web-01.78e6edba-fbb9");
    assert_eq!(Some(envelope.id.to_string()), answer.event_id);
    assert_eq!(envelope.agent.as_ref().unwrap().as_str(), "claude-code");
    assert_eq!(envelope.source, "/hosts/web-01/ingest");
    let data: Value = serde_json::from_str(envelope.data.get()).unwrap();
    assert_eq!(data["unheard_of"], payload["unheard_of"]);
    assert_eq!(data["muster"]["redacted"], 1);
    assert!(!data.to_string().contains("abcdef123456"));
    let all = hub.stored(EVENTS, Filter::all()).await;
    assert_eq!(all[0].1.event_type.to_string(), "host.status.started");
    assert_counts_are_whole(&all);
}

#[tokio::test]
async fn events_come_alone_in_arrays_and_in_lines() {
    let hub = Hub::start().await;
    let place = Place::new("web-01", &hub.server.client_url());
    let ingest = place.start().await;
    let event =
        |n: u32| json!({"kind": "agent.turn.note", "session": "s", "agent": "codex", "data": {"text": format!("{n}")}});
    let one = ingest
        .post("/v1/events", "application/json", event(0).to_string())
        .await;
    assert_eq!(one.status, 202);
    let bad = json!({"kind": "runtime.leader.elected"});
    let array = ingest
        .post(
            "/v1/events",
            "application/json",
            json!([event(1), bad, event(2)]).to_string(),
        )
        .await
        .json();
    assert_eq!(array["accepted"].as_array().unwrap().len(), 2);
    assert_eq!(
        (&array["rejected"][0]["index"], &array["rejected"][0]["type"]),
        (&json!(1), &json!("not-an-observation"))
    );
    let output = json!({"kind": "agent.output.stream", "session": "s", "data": {"run": "r", "n": 1, "line": {}}});
    let given = json!({"kind": "agent.hook.stop", "session": "s", "id": "0198f3c2-0000-7000-8000-00000000000a"});
    let lines = format!("{}\nnot json\n{output}\n{given}\n{given}\n", event(3));
    let lines = ingest.post("/v1/events", "application/x-ndjson", lines).await.json();
    assert_eq!(lines["rejected"][0]["type"], "broken-json");
    assert_eq!(
        lines["accepted"][2], lines["accepted"][3],
        "the same id twice is one event"
    );
    assert_eq!(lines["accepted"][2]["id"], given["id"]);
    let hook = hub.hooks("web-01", 1).await;
    assert_eq!(hook[0].1.id.to_string(), given["id"].as_str().unwrap());
    let all = hub.stored(EVENTS, Filter::all()).await;
    assert_eq!(all.len(), 7, "started, capability, four notes, stop");
    assert_counts_are_whole(&all);
    let printed = eventually(SOON, async || {
        Some(hub.stored(TRANSCRIPT, Filter::all()).await).filter(|printed| !printed.is_empty())
    })
    .await;
    assert_eq!(printed[0].1.origin.unwrap().seq, 1, "lines are counted apart");
}

#[tokio::test]
async fn one_id_for_two_observations_is_refused_also_after_a_kill() {
    const ID: &str = "0198f3c2-0000-7000-8000-00000000000b";
    let hub = Hub::start().await;
    let place = Place::new("web-01", &hub.server.client_url());
    let mut ingest = place.start().await;
    let event =
        |session: &str, data: Value| json!({"kind": "agent.turn.note", "session": session, "id": ID, "data": data});
    let said = event("s", json!({"a": 1, "b": 2}));
    let send =
        async |ingest: &Ingest, body: &Value| ingest.post("/v1/events", "application/json", body.to_string()).await;
    let first = send(&ingest, &said).await.json();
    let reordered = event("s", json!({"b": 2, "a": 1}));
    assert_eq!(send(&ingest, &reordered).await.json(), first, "the same again");
    for other in [event("other", json!({"a": 1, "b": 2})), event("s", json!({"a": 2}))] {
        let refused = send(&ingest, &other).await;
        assert_eq!((refused.status, refused.problem().as_str()), (409, "id-conflict"));
    }
    let fresh = |session: &str| json!({"kind": "agent.turn.note", "session": session, "id": "0198f3c2-0000-7000-8000-00000000000c"});
    let batch = send(
        &ingest,
        &json!([said, event("other", json!({})), fresh("s"), fresh("t")]),
    )
    .await
    .json();
    assert_eq!(batch["accepted"].as_array().unwrap().len(), 2, "{batch}");
    let refused: Vec<_> = batch["rejected"]
        .as_array()
        .unwrap()
        .iter()
        .map(|no| (&no["index"], &no["type"]))
        .collect();
    assert_eq!(
        refused,
        [(&json!(1), &json!("id-conflict")), (&json!(3), &json!("id-conflict"))]
    );
    ingest.process.kill9().await;
    let ingest = place.start().await;
    assert_eq!(send(&ingest, &said).await.json(), first, "the same again after a kill");
    assert_eq!(send(&ingest, &event("other", json!({}))).await.status, 409);
}

#[tokio::test]
async fn the_real_hook_is_answered_and_names_its_environment() {
    let hub = Hub::start().await;
    let place = Place::new("web-01", &hub.server.client_url());
    let ingest = place.start().await;
    let mut hook = Command::new(muster_testkit::bin("muster-hook"));
    hook.arg("--socket")
        .arg(&ingest.socket)
        .env("MUSTER_LABELS", "team=web")
        .env("MUSTER_RUN", "run-1")
        .env("MUSTER_HOOK_DEBUG", "1");
    hook.stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped());
    let mut child = hook.spawn().unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), stop("s").to_string().as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success() && output.stdout.is_empty());
    let stored = hub.hooks("web-01", 1).await;
    let data: Value = serde_json::from_str(stored[0].1.data.get()).unwrap();
    assert_eq!(
        (&data["muster"]["labels"]["team"], &data["muster"]["run"]),
        (&json!("web"), &json!("run-1"))
    );
    assert!(data["muster"]["key"].is_string());
}

#[tokio::test]
async fn one_connection_carries_many_requests() {
    let hub = Hub::start().await;
    let place = Place::new("web-01", &hub.server.client_url());
    let ingest = place.start().await;
    let mut socket = ingest.connect().await;
    for n in 0..50 {
        socket
            .hook(json!({"key": format!("k{n}")}), stop("s").to_string().as_bytes())
            .await;
    }
    socket
        .say(&json!({"type": "ingest_hook", "agent": "codex", "payload": stop("inline")}))
        .await;
    assert!(matches!(socket.hear().await, Some(ServerFrame::HookAnswer(answer)) if answer.event_id.is_some()));
    socket
        .say(&json!({"type": "ingest_events", "events": [{"kind": "agent.turn.note", "session": "s"}, {"kind": "x"}]}))
        .await;
    assert!(
        matches!(socket.hear().await, Some(ServerFrame::Ack(ack)) if ack.accepted.len() == 1 && ack.rejected.len() == 1)
    );
    socket.say(&json!({"type": "status"})).await;
    let Some(ServerFrame::Status(status)) = socket.hear().await else {
        panic!("no status")
    };
    assert_eq!(status.pid, ingest.process.pid());
    socket.say(&json!({"type": "list_sessions"})).await;
    assert_eq!(socket.error().await, "orchestrator", "nobody answers on this hub");
    hub.hooks("web-01", 51).await;
}

#[tokio::test]
async fn the_same_key_twice_is_one_event_also_after_a_kill() {
    let hub = Hub::start().await;
    let place = Place::new("web-01", &hub.server.client_url());
    let mut ingest = place.start().await;
    let first = ingest
        .connect()
        .await
        .hook(json!({"key": "k1"}), stop("s").to_string().as_bytes())
        .await;
    let again = ingest
        .connect()
        .await
        .hook(json!({"key": "k1"}), stop("s").to_string().as_bytes())
        .await;
    assert_eq!(first, again);
    ingest.process.kill9().await;
    let ingest = place.start().await;
    let third = ingest
        .connect()
        .await
        .hook(json!({"key": "k1"}), stop("s").to_string().as_bytes())
        .await;
    assert_eq!(first, third);
    ingest
        .connect()
        .await
        .hook(json!({"key": "k2"}), stop("s").to_string().as_bytes())
        .await;
    assert_eq!(hub.hooks("web-01", 2).await.len(), 2);
}

#[tokio::test]
async fn memory_stays_small_and_the_counts_are_shown() {
    let hub = Hub::start().await;
    let place = Place::new("web-01", &hub.server.client_url());
    let ingest = place.start().await;
    let event = json!({"kind": "agent.hook.pre_tool_use", "session": "s", "data": {"tool_input": {"command": "x".repeat(400)}}}).to_string();
    for _ in 0..20 {
        let answer = ingest
            .post("/v1/events", "application/x-ndjson", format!("{event}\n").repeat(200))
            .await;
        assert_eq!(answer.status, 202);
    }
    hub.hooks("web-01", 4000).await;
    let metrics = ingest.get("/metrics").await.body;
    assert!(
        metrics.contains("muster_ingest_events_accepted_total 4002"),
        "{metrics}"
    );
    let status = std::fs::read_to_string(format!("/proc/{}/status", ingest.process.pid())).unwrap();
    let anonymous = status.lines().find_map(|line| {
        line.strip_prefix("RssAnon:")?
            .trim()
            .strip_suffix(" kB")?
            .parse::<u64>()
            .ok()
    });
    println!("anonymous memory after 4000 events: {anonymous:?} KiB");
    assert!(anonymous.unwrap() < 20 * 1024, "{anonymous:?}");
}
